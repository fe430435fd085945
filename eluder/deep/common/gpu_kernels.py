"""Kernels for GPUs where Triton is: the compiled loops of the CPU, and each random draw as one launch.

PyTorch's builds for GPUs bring Triton along on Linux. Elsewhere operations of PyTorch do the same: a draw is
then some fifty of them, a layer four, Adam two of a few blocks each. The words of draws are the same to the
bit everywhere; logarithm, cosine, sine and error function are those of the device.
"""

import math

import torch
from torch import Tensor

try:
    from eluder.deep.common import _triton
except ImportError:
    _triton = None  # type: ignore[assignment]

__all__ = ["activate", "adam", "available", "differentiate", "draw"]

DRAWS = {"bits": 0, "uniform": 1, "normal": 2, "integers": 3}
LAYERS = {"relu": 0, "gelu": 1}
BLOCK = 256
ROWS, COLUMNS = 128, 16  # of the tile in which a gradient is added up


def available(device: torch.device) -> bool:
    """Return whether there are kernels for a device.

    Parameters
    ----------
    device : torch.device
        Of the tensors.

    Returns
    -------
    bool
        True on CUDA with Triton.

    Examples
    --------
    >>> available(torch.device("cpu"))
    False
    """
    return bool(_triton is not None and device.type == "cuda")


def draw(
    kind: str, keys: Tensor, counter: Tensor, stream: int, size: int, high: Tensor | int | None = None
) -> Tensor:
    """Return random numbers for each key.

    Parameters
    ----------
    kind : {"bits", "uniform", "normal", "integers"}
        Which function of `random`.
    keys : Tensor of int64, shape (N,)
        Keys of the seeds.
    counter : Tensor of int64, scalar
        Number of the draw.
    stream : int
        What the draw is for.
    size : int
        Numbers per key.
    high : Tensor of int64, shape (N,), or int, optional
        Exclusive bound of integers.

    Returns
    -------
    Tensor, shape (N, size)
        Of float32 for uniform and normal numbers, else of int64.
    """
    N, words = len(keys), (size + 1) // 2 if kind == "normal" else size
    type_ = torch.int64 if kind in ("bits", "integers") else torch.float32
    out = torch.empty(N, size, dtype=type_, device=keys.device)
    bound = high.expand(N).contiguous() if isinstance(high, Tensor) else keys
    same = high if isinstance(high, int) else 0
    grid = (math.ceil(words / BLOCK), N)
    _triton.draw_kernel[grid](
        keys, counter, bound, out, stream, same, words, size, DRAWS[kind], same > 0, BLOCK
    )
    return out


def activate(kind: str, z: Tensor, b: Tensor, h: Tensor) -> None:
    """Add the bias and apply the activation, in one pass.

    Parameters
    ----------
    kind : {"relu", "gelu"}
        The activation.
    z : Tensor of float32, shape (n, B, units)
        Products of n networks; the bias is added in place.
    b : Tensor of float32, shape (n, 1, units)
        Biases; networks may lie apart, as where others lie between.
    h : Tensor of float32, shape (n, B, units)
        Where the outputs go; `z` itself for the rectifier.
    """
    n, B, units = z.shape
    grid = (math.ceil(B * units / (4 * BLOCK)), n)
    _triton.activate_kernel[grid](z, b, h, B * units, units, b.stride(0), LAYERS[kind], 4 * BLOCK)


def differentiate(kind: str, dh: Tensor, x: Tensor, db: Tensor) -> None:
    """Differentiate an activation and add up the gradient of the bias, in one pass.

    Parameters
    ----------
    kind : {"relu", "gelu"}
        The activation.
    dh : Tensor of float32, shape (n, B, units)
        Derivatives in the outputs; in the inputs afterwards.
    x : Tensor of float32, shape (n, B, units)
        The outputs of the rectifier; the inputs of another activation.
    db : Tensor of float32, shape (n, 1, units)
        Gradients of the biases; changed in place. Of no units where none is wanted.
    """
    n, B, units = dh.shape
    grid = (math.ceil(units / COLUMNS), n)
    _triton.differentiate_kernel[grid](
        dh, x, db, B, units, db.stride(0), LAYERS[kind], db.shape[-1] > 0, ROWS, COLUMNS
    )


def adam(
    x: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    step: Tensor,
    rate: Tensor,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Take one step of Adam.

    Parameters
    ----------
    x, g, m, v : Tensor of float32, shape (n,)
        Parameters, gradients and moments; all but the gradients are changed in place.
    step, rate : Tensor of float32, scalars
        Number of the step, from 1, and step size.
    betas : tuple of float
        Rates of the moments.
    eps : float
        Added to the root of the second moment.
    """
    grid = (math.ceil(x.numel() / (4 * BLOCK)),)
    logs = (math.log(beta) for beta in betas)
    rest = (1.0 - beta for beta in betas)
    _triton.adam_kernel[grid](x, g, m, v, step, rate, x.numel(), *logs, *rest, eps, 4 * BLOCK)
