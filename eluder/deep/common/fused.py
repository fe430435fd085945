"""Perceptrons with a backward pass by hand: the same numbers as `mlp`, without allocations.

The buffers are kept from call to call, activations are differentiated in place, and gradients go straight
into the flat gradient of `Parameters`. The rectifier on the CPU, and GELU too on a GPU, are compiled: one
pass through the memory with the bias, and one with its gradient. ::

    forward   z_i = h_{i-1} W_i + b_i,   h_i = act(z_i)
    backward  dW_i += h_{i-1}' dz_i,   db_i += 1' dz_i,   dz_{i-1} = (dz_i W_i') * act'(z_{i-1})

`mlp` with autograd is the reference; a test holds both equal.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eluder.deep.common import devices, gpu_kernels
from eluder.deep.common.compiled import bias_relu, relu_backward
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


@dataclass(frozen=True)
class _Loops:
    """An activation with its bias in one pass each way."""

    forward: Callable[[Any, Any, Any], None]  # (z, b, h): z becomes z + b, h = act(z); h may be z
    backward: Callable[[Any, Any, Any], None]  # (dh, z or h, db): dh becomes dz, db grows by 1' dz
    on_cpu: bool

    def take(self, *tensors: Tensor) -> list[Any]:
        """Return tensors as the loops want them: with a leading axis, on the CPU as arrays."""
        led = [x if x.ndim == 3 else x[None] for x in tensors]
        return [x.numpy() for x in led] if self.on_cpu else led


def _loops(activation: str, device: torch.device) -> _Loops | None:
    """Return the loops for an activation where there are any."""
    if devices.has_kernels(device) and activation == "relu":
        return _Loops(lambda z, b, h: bias_relu(z, b), relu_backward, True)
    if gpu_kernels.available(device) and activation in gpu_kernels.LAYERS:
        forward, backward = gpu_kernels.activate, gpu_kernels.differentiate
        return _Loops(partial(forward, activation), partial(backward, activation), False)
    return None


LOW_FROM = 64  # units on both sides of a layer from which rounding its factors pays


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
        Of the factors of the matrix products between layers of 64 units and more, where ``torch.bfloat16``
        is faster if the processor has it. Parameters, activations and gradients stay as they are.

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
        self.loops = _loops(activation, parameters.flat.device)
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
            alone = cpu and B >= 32
            blocks = range(self.n) if alone else [slice(None)]
            shared: dict[tuple[int, ...], list[Tensor]] = {}
            self.plans[B] = [_Stack(self, k, B, shared) for k in blocks]
        return self.plans[B]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (n, B, out); keep the activations."""
        self.stacks = self.plan(x.shape[-2])
        if self.stacks[0].batched:
            return self.stacks[0].forward(x)
        if len(self.stacks) == 1:
            return self.stacks[0].forward(x[0])[None]
        return torch.stack([stack.forward(x_k) for stack, x_k in zip(self.stacks, x.unbind())])

    def backward(self, dy: Tensor, wants_input: bool) -> Tensor | None:
        """Add the gradients of the parameters; return that of the inputs if it is wanted."""
        if self.stacks[0].batched:
            return self.stacks[0].backward(dy, wants_input)
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
        self.batched, self.act = isinstance(block, slice), net.activation
        grads = list(zip(net.dw, net.db)) if net.learn else [None] * len(net.w)
        self.layers = []
        for i, (w, b, grad) in enumerate(zip(net.w, net.b, grads)):
            grad = grad and (grad[0][block], grad[1][block])
            self.layers.append(_Layer(w[block], b[block], grad, B, net.dtype, shared, i % 2))
        keeps = self.act.keeps_input
        self.h = [torch.empty_like(layer.z) if keeps else layer.z for layer in self.layers[:-1]]
        self.loops = net.loops
        if self.loops:
            self.arrays = [self.loops.take(*layer.arrays()) for layer in self.layers]
            self.outputs = [self.loops.take(h)[0] for h in self.h]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs; keep the activations."""
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            if i == last or not self.loops:
                layer.affine(x)
            else:
                layer.linear(x)
                z, b, _, _ = self.arrays[i]
                self.loops.forward(z, b, self.outputs[i])
            if i < last:
                if not self.loops:
                    self.act.apply(layer.z, self.h[i])
                x = self.h[i]
        return self.layers[-1].z

    def backward(self, dz: Tensor, wants_input: bool) -> Tensor | None:
        """Add the gradients of the parameters; return that of the inputs if it is wanted."""
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            layer.receive(dz)
            if layer.grad:
                layer.add_gradients(bias=not self.loops or i == len(self.layers) - 1)
            if i == 0 and not wants_input:
                return None
            dh = layer.back()
            if i and self.loops:
                self.loops.backward(self.arrays[i][2], self.arrays[i - 1][0], self.arrays[i - 1][3])
            elif i:
                self.act.backward(dh, self.layers[i - 1].z, self.h[i - 1])
            dz = dh
        return dz


class _Layer:
    """The three products of a layer, in place.

    With a lower precision the factors are rounded to it, if the layer is so large that this pays; sums,
    biases, activations and gradients stay in float32.
    """

    def __init__(
        self,
        w: Tensor,
        b: Tensor,
        grad: tuple[Tensor, Tensor] | None,
        B: int,
        dtype: torch.dtype,
        shared: dict[tuple[int, ...], list[Tensor]],
        turn: int,
    ) -> None:
        self.w, self.b, self.grad = w, b, grad
        shape = (*w.shape[:-2], B, w.shape[-2])
        self.z = w.new_empty(*w.shape[:-2], B, w.shape[-1])
        # two buffers in turn are enough, and serve every network
        self.dx = shared.setdefault(shape, [w.new_empty(shape), w.new_empty(shape)])[turn]
        batched = w.ndim == 3
        self.add, self.product = (torch.baddbmm, torch.bmm) if batched else (torch.addmm, torch.mm)
        self.x: Tensor | None = None
        self.low = dtype != torch.float32 and min(w.shape[-2:]) >= LOW_FROM
        if self.low:
            like = (self.w, self.dx, self.z, self.z, self.dx, self.w)
            self.w_low, self.x_low, self.z_low, self.dz_low, self.dx_low, self.dw_low = (
                torch.empty_like(x, dtype=dtype) for x in like
            )
        self.w_turned = (self.w_low if self.low else w).transpose(-1, -2)

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return z, b, dx and db for the loops."""
        return self.z, self.b, self.dx, self.grad[1] if self.grad else self.b[..., :0]

    def linear(self, x: Tensor) -> None:
        """Set ``z = x W``."""
        if self.low:
            self.take(self.x_low.copy_(x))
            self.z.copy_(self.product(self.x_low, self.w_low.copy_(self.w), out=self.z_low))
        else:
            self.take(x)
            self.product(x, self.w, out=self.z)

    def affine(self, x: Tensor) -> None:
        """Set ``z = x W + b``."""
        if self.low:
            self.linear(x)
            self.z += self.b
        else:
            self.take(x)
            self.add(self.b, x, self.w, out=self.z)

    def take(self, x: Tensor) -> None:
        """Keep the input, and its transpose, for the way back."""
        if x is not self.x:
            self.x, self.x_turned = x, x.transpose(-1, -2)

    def receive(self, dz: Tensor) -> None:
        """Take the derivative in z."""
        self.dz = dz
        self.factor = self.dz_low.copy_(dz) if self.low else dz

    def add_gradients(self, bias: bool) -> None:
        """Add ``x' dz``, and ``1' dz`` if `bias`."""
        assert self.grad is not None
        dw, db = self.grad
        if self.low:
            dw += self.product(self.x_turned, self.factor, out=self.dw_low)
        else:
            self.add(dw, self.x_turned, self.factor, out=dw)
        if bias:
            db += self.dz.sum(dim=-2, keepdim=True)

    def back(self) -> Tensor:
        """Return the derivative in x, ``dz W'``."""
        if self.low:
            return self.dx.copy_(self.product(self.factor, self.w_turned, out=self.dx_low))
        return self.product(self.factor, self.w_turned, out=self.dx)


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
