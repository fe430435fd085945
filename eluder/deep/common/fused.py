"""Perceptrons with a backward pass by hand: the same numbers as `mlp`, without allocations.

The buffers are kept from call to call, activations are differentiated in place, and gradients go straight
into the flat gradient of `Parameters`::

    forward   z_i = h_{i-1} W_i + b_i,   h_i = act(z_i)
    backward  dW_i += h_{i-1}' dz_i,   db_i += 1' dz_i,   dz_{i-1} = (dz_i W_i') * act'(z_{i-1})

`mlp` with autograd is the reference; a test holds both equal.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eluder.deep.common.networks import Parameters, mlp

__all__ = ["ACTIVATIONS", "FusedMLP", "network"]


class _Activation(NamedTuple):
    """An activation: in place, and its derivative times a gradient, in place."""

    forward: Callable[[Tensor], Tensor]
    apply: Callable[[Tensor, Tensor], Tensor]  # (z, out): out may be z
    backward: Callable[[Tensor, Tensor, Tensor], Any]  # (dh, z, h): dh becomes dz
    keeps_input: bool  # whether the derivative needs z beside h


_aten = torch.ops.aten
ACTIVATIONS = {
    "relu": _Activation(
        torch.relu,
        lambda z, out: torch.clamp_min(z, 0.0, out=out),
        lambda dh, z, h: _aten.threshold_backward.grad_input(dh, h, 0.0, grad_input=dh),
        False,
    ),
    "tanh": _Activation(
        torch.tanh,
        lambda z, out: torch.tanh(z, out=out),
        lambda dh, z, h: _aten.tanh_backward.grad_input(dh, h, grad_input=dh),
        False,
    ),
    "gelu": _Activation(
        torch.nn.functional.gelu,
        lambda z, out: _aten.gelu.out(z, out=out),
        lambda dh, z, h: _aten.gelu_backward.grad_input(dh, z, grad_input=dh),
        True,
    ),
    "silu": _Activation(
        torch.nn.functional.silu,
        lambda z, out: _aten.silu.out(z, out=out),
        lambda dh, z, h: _aten.silu_backward.grad_input(dh, z, grad_input=dh),
        True,
    ),
}


class FusedMLP:
    """The perceptrons of all seeds and members at one place of a loss.

    Parameters
    ----------
    parameters : Parameters
        Names ``w0, b0, w1, ...`` after the prefix.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers; none after the last.
    name : str, default=""
        Prefix of the names.
    learn : bool, default=True
        Whether gradients go to the parameters; else only to the input, as where an actor is improved along a
        critic.
    dtype : torch.dtype, default=torch.float32
        Of the matrix products; ``torch.bfloat16`` is twice as fast where the processor has it. Parameters
        and gradients stay as they are.

    Raises
    ------
    ValueError
        If the activation is unknown or there is no layer of that name.

    Notes
    -----
    The result of a call, and what its backward pass needs, is overwritten by the next call of the same
    object: one object per place in a loss.

    Examples
    --------
    >>> from eluder.deep.common.networks import mlp_shapes
    >>> p = Parameters(mlp_shapes((3, 8, 1), members=(2,)), N=4)
    >>> FusedMLP(p, "relu")(torch.ones(4, 1, 5, 3)).shape
    torch.Size([4, 2, 5, 1])
    """

    def __init__(
        self,
        parameters: Parameters,
        activation: str,
        name: str = "",
        *,
        learn: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        if f"{name}w0" not in parameters.tensors:
            raise ValueError(f"parameters hold no layer {name}w0, only {', '.join(parameters.tensors)}")
        self.activation, self.dtype = ACTIVATIONS[activation], dtype
        self.lead = parameters[f"{name}w0"].shape[:-2]
        self.n = math.prod(self.lead)
        self.layers = sum(1 for key in parameters.tensors if key.startswith(f"{name}w"))
        leaves = [(parameters[f"{name}w{i}"], parameters[f"{name}b{i}"]) for i in range(self.layers)]
        self.dim = leaves[0][0].shape[-2]
        self.w = [w.detach().view(self.n, *w.shape[-2:]) for w, _ in leaves]
        self.b = [b.detach().view(self.n, 1, b.shape[-1]) for _, b in leaves]
        self.dw = [w.grad.view_as(v) for (w, _), v in zip(leaves, self.w) if w.grad is not None]
        self.db = [b.grad.view_as(v) for (_, b), v in zip(leaves, self.b) if b.grad is not None]
        self.learn = learn and bool(self.dw)
        self.anchor = torch.zeros((), device=parameters.flat.device).requires_grad_(self.learn)
        self.plans: dict[int, list[_Stack]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the networks to x, shape (N, members..., B, in), where a member axis of length 1 is
        repeated."""
        lead = self.lead
        if x.shape[:-2] != lead:
            x = x.expand(*lead, *x.shape[-2:])
        y: Tensor = _Pass.apply(x.reshape(self.n, *x.shape[-2:]), self.anchor, self)
        return y.view(*lead, *y.shape[-2:])

    def run(self, x: Tensor) -> Tensor:
        """Apply the networks outside autograd; `pull` is the way back."""
        x = x.expand(*self.lead, *x.shape[-2:])
        y = self.forward(x.reshape(self.n, *x.shape[-2:]))
        return y.view(*self.lead, *y.shape[-2:])

    def pull(self, dy: Tensor, wants_input: bool = False) -> Tensor:
        """Add the gradients of the last `run`; return that of its inputs, shape (N, members..., B, in), if
        wanted.

        Parameters
        ----------
        dy : Tensor, shape (N, members..., B, out)
            Derivative of the loss in the outputs.
        wants_input : bool, default=False
            Whether to return the derivative in the inputs; else an empty tensor.

        Returns
        -------
        Tensor
            The derivative in the inputs of each member.
        """
        dx = self.backward(dy.reshape(self.n, *dy.shape[-2:]), wants_input)
        return dy.new_empty(0) if dx is None else dx.view(*self.lead, *dx.shape[-2:])

    def plan(self, B: int) -> "list[_Stack]":
        """Return the buffers for B rows, made at the first call.

        On one thread of a CPU the networks pass one after another, so that one of them stays in the cache;
        else they go layer by layer, in batched products.
        """
        if B not in self.plans:
            cpu = self.anchor.device.type == "cpu" and torch.get_num_threads() == 1
            alone = cpu and B >= 32 and self.dtype == torch.float32
            blocks = range(self.n) if alone else [slice(None)]
            shared: dict[tuple[int, ...], list[Tensor]] = {}
            self.plans[B] = [_Stack(self, k, B, shared) for k in blocks]
        return self.plans[B]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (n, B, out); keep the activations."""
        self.stacks = self.plan(x.shape[-2])
        x = x if x.dtype == self.dtype else x.to(self.dtype)
        if len(self.stacks) == 1:
            y = self.stacks[0].forward(x if self.stacks[0].batched else x[0])
            y = y if self.stacks[0].batched else y[None]
        else:
            y = torch.stack([stack.forward(x_k) for stack, x_k in zip(self.stacks, x.unbind())])
        return y if y.dtype == torch.float32 else y.float()

    def backward(self, dy: Tensor, wants_input: bool) -> Tensor | None:
        """Add the gradients of the parameters; return that of the inputs if it is wanted."""
        dy = dy.to(self.dtype)
        if self.stacks[0].batched:
            dx = self.stacks[0].backward(dy, wants_input)
            return dx.float() if dx is not None else None
        out = torch.empty(self.n, dy.shape[1], self.dim, device=dy.device) if wants_input else None
        for k, (stack, dy_k) in enumerate(zip(self.stacks, dy.unbind())):
            dx = stack.backward(dy_k, wants_input)
            if out is not None and dx is not None:
                out[k] = dx
        return out


class _Stack:
    """The layers of one network, or of all of them in batched products, with buffers for B rows."""

    def __init__(
        self, net: FusedMLP, block: Any, B: int, shared: dict[tuple[int, ...], list[Tensor]]
    ) -> None:
        self.net, self.batched = net, isinstance(block, slice)
        self.masters = [(w[block], b[block]) for w, b in zip(net.w, net.b)]
        self.grads = [(dw[block], db[block]) for dw, db in zip(net.dw, net.db)] if net.learn else []
        self.low = net.dtype != torch.float32
        self.layers = [(w.to(net.dtype), b.to(net.dtype)) for w, b in self.masters]
        self.turned = [w.transpose(-1, -2) for w, _ in self.layers]
        lead = net.w[0].shape[:1] if self.batched else ()
        self.z = [w.new_empty(*lead, B, w.shape[-1]) for w, _ in self.layers]
        keeps = net.activation.keeps_input
        self.h = [torch.empty_like(z) if keeps else z for z in self.z[:-1]]
        self.dx = []
        for i, (w, _) in enumerate(self.layers):  # two buffers in turn are enough, and serve every network
            shape = (*lead, B, w.shape[-2])
            pair = shared.setdefault(shape, [w.new_empty(shape), w.new_empty(shape)])
            self.dx.append(pair[i % 2])
        self.add = torch.baddbmm if self.batched else torch.addmm
        self.product = torch.bmm if self.batched else torch.mm

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs; keep the activations."""
        if self.low:
            for kept, masters in zip(self.layers, self.masters):
                kept[0].copy_(masters[0])
                kept[1].copy_(masters[1])
        self.inputs = [x, *self.h]
        for i, (w, b) in enumerate(self.layers):
            self.add(b, self.inputs[i], w, out=self.z[i])
            if i < len(self.h):
                self.net.activation.apply(self.z[i], self.h[i])
        return self.z[-1]

    def backward(self, dz: Tensor, wants_input: bool) -> Tensor | None:
        """Add the gradients of the parameters; return that of the inputs if it is wanted."""
        for i in range(len(self.layers) - 1, -1, -1):
            if self.grads:
                self.add_gradients(i, dz)
            if i == 0 and not wants_input:
                return None
            dh = self.dx[i]
            self.product(dz, self.turned[i], out=dh)
            if i:
                self.net.activation.backward(dh, self.z[i - 1], self.inputs[i])
            dz = dh
        return dz

    def add_gradients(self, i: int, dz: Tensor) -> None:
        """Add ``x' dz`` and ``1' dz`` to the gradients of layer i, in place."""
        (dw, db), x = self.grads[i], self.inputs[i].transpose(-1, -2)
        if self.low:
            dw += self.product(x, dz)
        else:
            self.add(dw, x, dz, out=dw)
        db += dz.sum(dim=-2, keepdim=True)


class _Pass(torch.autograd.Function):
    """One node of the graph of autograd for a whole network."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, net: FusedMLP) -> Tensor:
        ctx.net = net
        return net.forward(x)

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return ctx.net.backward(grad[0], ctx.needs_input_grad[0]), None, None


def network(
    parameters: Parameters, activation: str, *, learn: bool = True, fused: bool = True, dtype: str = "float32"
) -> Callable[[Tensor], Tensor]:
    """Return the perceptrons at one place of a loss: by hand, or as the readable reference.

    Parameters
    ----------
    parameters : Parameters
        Names ``w0, b0, w1, ...``.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    learn : bool, default=True
        Whether gradients go to the parameters.
    fused : bool, default=True
        `FusedMLP`; else `mlp` and autograd.
    dtype : {"float32", "bfloat16"}, default="float32"
        Of the matrix products, if fused.

    Returns
    -------
    callable
        Maps inputs (N, members..., B, in) to outputs (N, members..., B, out).

    Raises
    ------
    ValueError
        If the type is unknown, or not float32 without `fused`.

    Examples
    --------
    >>> from eluder.deep.common.networks import mlp_shapes
    >>> p = Parameters(mlp_shapes((3, 8, 1)), N=4)
    >>> network(p, "relu", fused=False)(torch.ones(4, 5, 3)).shape
    torch.Size([4, 5, 1])
    """
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
    if fused:
        return FusedMLP(parameters, activation, learn=learn, dtype=getattr(torch, dtype))
    if dtype != "float32":
        raise ValueError("dtype must be 'float32' without fused")
    act = ACTIVATIONS[activation].forward
    if learn:
        return lambda x: mlp(parameters, x, act)
    return lambda x: mlp({name: leaf.detach() for name, leaf in parameters.tensors.items()}, x, act)
