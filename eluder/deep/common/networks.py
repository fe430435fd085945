"""Networks of many seeds, and of many members each, as one batched matrix product per layer.

A weight has shape (N, members..., in, out): N seeds side by side, and leading axes for twin critics,
ensembles or the experts of a mixture. All parameters of an optimiser lie in one flat tensor, their gradients
in another, so that a step of Adam or of a target network is a handful of operations whatever the number of
layers.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.random import uniform

__all__ = ["Parameters", "init_mlp", "mlp", "mlp_shapes"]


class Parameters:
    """Named tensors of N seeds that are views of one flat tensor; their gradients are views of another.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of each tensor of one seed.
    N : int
        Number of seeds.
    device : str or torch.device, default="cpu"
        Where they live.
    dtype : torch.dtype, default=torch.float32
        Their type.

    Attributes
    ----------
    flat, grad : Tensor, shape (N P,)
        All numbers, tensor after tensor; `grad` is where autograd adds.
    tensors : dict of str to Tensor
        Leaves of shape (N, ...).

    Raises
    ------
    ValueError
        If there is no tensor or `N` < 1.

    Examples
    --------
    >>> p = Parameters({"w": (2, 3), "b": (1, 3)}, N=4)
    >>> p.flat.shape, p.tensors["w"].shape
    (torch.Size([36]), torch.Size([4, 2, 3]))
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        N: int,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not shapes:
            raise ValueError("shapes must hold at least one tensor")
        N = checks.integer("N", N)
        sizes = {name: N * math.prod(shape) for name, shape in shapes.items()}
        self.shapes = dict(shapes)
        self.flat = torch.zeros(sum(sizes.values()), device=device, dtype=dtype)
        self.grad = torch.zeros_like(self.flat)
        self.tensors: dict[str, Tensor] = {}
        at = 0
        for name, shape in shapes.items():
            block = slice(at, at + sizes[name])
            leaf = self.flat[block].view(N, *shape).requires_grad_()
            leaf.grad = self.grad[block].view(N, *shape)
            self.tensors[name] = leaf
            at = block.stop

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    @property
    def N(self) -> int:
        """Number of seeds."""
        return len(next(iter(self.tensors.values())))

    def zero_grad(self) -> None:
        """Set all gradients to 0, in place."""
        self.grad.zero_()

    def like(self) -> "Parameters":
        """Return a copy of the numbers that autograd does not follow: a target network."""
        copy = Parameters(self.shapes, self.N, self.flat.device, self.flat.dtype)
        copy.flat.copy_(self.flat)
        for leaf in copy.tensors.values():
            leaf.requires_grad_(False)
            leaf.grad = None
        return copy

    def state(self) -> dict[str, Tensor]:
        """Return the tensors, as a checkpoint holds them."""
        return {name: leaf.detach() for name, leaf in self.tensors.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the numbers of a `state`, in place; a ValueError names the first tensor that does not fit."""
        for name, leaf in self.tensors.items():
            if name not in state or state[name].shape != leaf.shape:
                got = tuple(state[name].shape) if name in state else "nothing"
                raise ValueError(f"{name} must have shape {tuple(leaf.shape)}, the checkpoint has {got}")
            leaf.detach().copy_(state[name])

    def track(self, source: "Parameters", tau: float) -> None:
        """Move towards `source` in place: ``self <- (1 - tau) self + tau source``."""
        self.flat.lerp_(source.flat, tau)


def mlp_shapes(
    sizes: Sequence[int], members: tuple[int, ...] = (), name: str = ""
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights and biases of a multilayer perceptron.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, those of the input first.
    members : tuple of int, default=()
        Leading axes: as many networks side by side.
    name : str, default=""
        Prefix of the names ``w0, b0, w1, ...``.

    Returns
    -------
    dict of str to tuple of int
        Weights (members..., in, out) and biases (members..., 1, out).

    Raises
    ------
    ValueError
        If there are fewer than 2 layers or one has no unit.

    Examples
    --------
    >>> mlp_shapes((3, 8, 1), members=(2,))
    {'w0': (2, 3, 8), 'b0': (2, 1, 8), 'w1': (2, 8, 1), 'b1': (2, 1, 1)}
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least an input and an output, got {tuple(sizes)}")
    sizes = [checks.integer(f"sizes[{i}]", size) for i, size in enumerate(sizes)]
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        shapes[f"{name}w{i}"] = (*members, n_in, n_out)
        shapes[f"{name}b{i}"] = (*members, 1, n_out)
    return shapes


def init_mlp(parameters: Parameters, keys: Tensor, stream: int = 0) -> None:
    """Draw all weights and biases from ``U(-1 / sqrt(fan in), 1 / sqrt(fan in))``, in place.

    That is the default of PyTorch's linear layers, for the biases too.

    Parameters
    ----------
    parameters : Parameters
        With names that end in ``w0, b0, w1, ...``.
    keys : Tensor of int64, shape (N,)
        Keys of the seeds: each draws what it would draw alone.
    stream : int, default=0
        Offset of the streams, one for each tensor; networks of one run take different ones.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> p = Parameters(mlp_shapes((4, 2)), N=1)
    >>> init_mlp(p, seed_keys([0]))
    >>> bool((p.flat.abs() <= 0.5).all() and (p.flat != 0).all())
    True
    """
    fan_in = 1
    with torch.no_grad():
        for i, (name, leaf) in enumerate(parameters.tensors.items()):
            if name.rstrip("0123456789").endswith("w"):
                fan_in = leaf.shape[-2]
            draw = uniform(keys, 0, stream + i, tuple(leaf.shape[1:])).to(leaf.dtype)
            leaf.copy_((2 * draw - 1) / math.sqrt(fan_in))


def mlp(
    parameters: Parameters | Mapping[str, Tensor],
    x: Tensor,
    activation: Callable[[Tensor], Tensor],
    name: str = "",
) -> Tensor:
    """Apply the perceptrons of all seeds and members.

    Parameters
    ----------
    parameters : Parameters or mapping of str to Tensor
        Weights (N, members..., in, out) and biases (N, members..., 1, out).
    x : Tensor, shape (N, members..., B, in)
        Inputs; a member axis of length 1 is repeated.
    activation : callable
        Between layers; none after the last.
    name : str, default=""
        Prefix of the names.

    Returns
    -------
    Tensor, shape (N, members..., B, out)
        Outputs.

    Examples
    --------
    >>> p = Parameters(mlp_shapes((3, 8, 1), members=(2,)), N=4)
    >>> mlp(p, torch.ones(4, 1, 5, 3), torch.relu).shape
    torch.Size([4, 2, 5, 1])
    """
    tensors = parameters.tensors if isinstance(parameters, Parameters) else parameters
    i = 0
    while f"{name}w{i}" in tensors:
        if i:
            x = activation(x)
        x = _linear(x, tensors[f"{name}w{i}"], tensors[f"{name}b{i}"])
        i += 1
    return x


def _linear(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return ``x w + b`` as one batched product."""
    lead = w.shape[:-2]
    if x.shape[:-2] != lead:
        x = x.expand(*lead, *x.shape[-2:])
    n, (B, n_in), n_out = math.prod(lead), x.shape[-2:], w.shape[-1]
    if n == 1:
        y = torch.addmm(b.reshape(1, n_out), x.reshape(B, n_in), w.reshape(n_in, n_out))
    else:
        y = torch.baddbmm(b.reshape(n, 1, n_out), x.reshape(n, B, n_in), w.reshape(n, n_in, n_out))
    return y.view(*lead, B, n_out)
