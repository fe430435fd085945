"""First weights that are orthogonal (Saxe, McClelland & Ganguli, ICLR 2014, arXiv:1312.6120)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import normal

__all__ = ["init_orthogonal"]


def init_orthogonal(
    parameters: Parameters, keys: Tensor, gains: Sequence[float], stream: int = 0, name: str = ""
) -> None:
    """Draw the weights of a perceptron uniformly among (semi-)orthogonal matrices, in place; biases are 0.

    Parameters
    ----------
    parameters : Parameters
        With names ``w0, b0, w1, ...`` after the prefix.
    keys : Tensor of int64, shape (N,)
        Keys of the seeds: each draws what it would draw alone.
    gains : sequence of float
        Factor of each layer.
    stream : int, default=0
        Offset of the streams, one for each layer.
    name : str, default=""
        Prefix of the names.

    Raises
    ------
    ValueError
        If there are not as many gains as layers.

    Notes
    -----
    The orthogonal part of a Gaussian matrix, by QR with the signs of R's diagonal (Mezzadri, Notices of the
    AMS 54, 2007), on the host and in double precision: the same numbers for every device.

    Examples
    --------
    >>> from eluder.deep.common.networks import mlp_shapes
    >>> from eluder.deep.common.random import seed_keys
    >>> p = Parameters(mlp_shapes((2, 2)), N=1)
    >>> init_orthogonal(p, seed_keys([0]), [3.0])
    >>> (p["w0"][0].detach() @ p["w0"][0].detach().T).round(decimals=4).tolist()
    [[9.0, 0.0], [0.0, 9.0]]
    """
    layers = sum(1 for key in parameters.tensors if key.startswith(f"{name}w"))
    if len(gains) != layers:
        raise ValueError(f"gains must hold {layers} numbers, one per layer, got {len(gains)}")
    for i, gain in enumerate(gains):
        w, b = parameters[f"{name}w{i}"].detach(), parameters[f"{name}b{i}"].detach()
        draw = normal(keys.cpu(), 0, stream + i, tuple(w.shape[1:])).double()
        wide = w.shape[-2] < w.shape[-1]
        q, r = torch.linalg.qr(draw.transpose(-1, -2) if wide else draw)
        q = q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1))[..., None, :]
        w.copy_(gain * (q.transpose(-1, -2) if wide else q))
        b.zero_()
