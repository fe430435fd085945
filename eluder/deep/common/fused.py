"""Perceptrons with a backward pass by hand: the same numbers as `mlp`, without allocations.

The buffers are kept from call to call, activations are differentiated in place, and gradients go straight
into the flat gradient of `Parameters`. The rectifier and GELU are compiled: one pass through the memory with
the bias, and one with its gradient; on the CPU with the rounding of factors to bfloat16 too. ::

    forward   z_i = h_{i-1} W_i + b_i,   h_i = act(z_i)
    backward  dW_i += h_{i-1}' dz_i,   db_i += 1' dz_i,   dz_{i-1} = (dz_i W_i') * act'(z_{i-1})

`mlp` with autograd is the reference; a test holds both equal.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eluder.deep.common import cpu_layers, devices, gpu_kernels
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

    forward: Callable[[Any, Any, Any], None]  # (z, b, h): see cpu_layers; z keeps what the way back needs
    backward: Callable[[Any, Any, Any, Any, Any], None]  # (dh, z or h, dz, db, rows)
    on_cpu: bool  # then they take factors of a lower precision too

    def take(self, *tensors: Tensor) -> list[Any]:
        """Return tensors as the loops want them: with a leading axis, on the CPU as arrays."""
        led = [x if x.ndim == 3 else x[None] for x in tensors]
        return [cpu_layers.array(x) for x in led] if self.on_cpu else led


def _loops(activation: str, device: torch.device) -> _Loops | None:
    """Return the loops for an activation where there are any."""
    if devices.has_kernels(device) and activation in cpu_layers.LAYERS:
        return _Loops(*cpu_layers.LAYERS[activation], True)
    if gpu_kernels.available(device) and activation in gpu_kernels.LAYERS:
        forward, backward = partial(gpu_kernels.activate, activation), gpu_kernels.differentiate
        return _Loops(forward, lambda dh, x, dz, db, rows: backward(activation, dh, x, db), False)
    return None


LOW_FROM = 64  # units on both sides of a layer from which rounding its factors pays
THIN = 2  # units of a layer up to which loops of our own are faster than products


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
        Of the factors of the matrix products between layers of 64 units and more, and of what they give;
        ``torch.bfloat16`` is faster if the processor has it. Parameters and their gradients stay as they are.

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
        self.skips = (
            not self.learn and self.loops is not None and self.loops.on_cpu and dtype == torch.float32
        )
        self.plans: dict[tuple[int, bool], list[_Stack]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the networks to x, shape (N, members..., B, in), where a member axis of length 1 is
        repeated."""
        if not torch.is_grad_enabled():
            return self.run(x, keep=False)
        lead = self.lead
        if x.shape[:-2] != lead:
            x = x.expand(*lead, *x.shape[-2:])
        y: Tensor = _Pass.apply(x.reshape(self.n, *x.shape[-2:]), self.anchor, self)
        return y.view(*lead, *y.shape[-2:])

    def run(self, x: Tensor, keep: bool = True) -> Tensor:
        """Apply the networks outside autograd; `pull` is the way back, unless `keep` is false."""
        x = x.expand(*self.lead, *x.shape[-2:])
        y = self.forward(x.reshape(self.n, *x.shape[-2:]), keep)
        return y.view(*self.lead, *y.shape[-2:])

    def pull(self, dy: Tensor, wants_input: bool = False, *, add: bool = True, first: int = 0) -> Tensor:
        """Add the gradients of the last `run`, or set them; return that of its inputs, if wanted.

        Parameters
        ----------
        dy : Tensor, shape (N, members..., B, out)
            Derivative of the loss in the outputs.
        wants_input : bool, default=False
            Whether to return the derivative in the inputs; else an empty tensor.
        add : bool, default=True
            Whether the gradients of the parameters are added to what is there; else they replace it.
        first : int, default=0
            First input whose derivative is wanted.

        Returns
        -------
        Tensor
            The derivative in the inputs of each member, shape (N, members..., B, in - first).
        """
        dx = self.backward(dy.reshape(self.n, *dy.shape[-2:]), wants_input, add, first)
        return dy.new_empty(0) if dx is None else dx.view(*self.lead, *dx.shape[-2:])

    def plan(self, B: int, keep: bool) -> "list[_Stack]":
        """Return the buffers for B rows, made at the first call.

        On one thread of a CPU the networks pass one after another, so that one of them stays in the cache;
        else they go layer by layer, in batched products. Without a way back they use the same memory.
        """
        if (B, keep) not in self.plans:
            cpu = self.anchor.device.type == "cpu" and torch.get_num_threads() == 1
            alone = cpu and B >= 32
            blocks = range(self.n) if alone else [slice(None)]
            shared: dict[Any, Tensor] = {}
            self.plans[B, keep] = [_Stack(self, k, B, shared, keep) for k in blocks]
        return self.plans[B, keep]

    def forward(self, x: Tensor, keep: bool = True) -> Tensor:
        """Return the outputs, shape (n, B, out); keep the activations for the way back."""
        stacks = self.plan(x.shape[-2], keep)
        if keep:
            self.stacks = stacks
        if stacks[0].batched:
            return stacks[0].forward(x)
        if len(stacks) == 1:
            return stacks[0].forward(x[0])[None]
        return torch.stack([stack.forward(x_k) for stack, x_k in zip(stacks, x.unbind())])

    def backward(self, dy: Tensor, wants_input: bool, add: bool = True, first: int = 0) -> Tensor | None:
        """Add the gradients of the parameters, or set them; return that of the inputs if it is wanted."""
        if self.stacks[0].batched:
            return self.stacks[0].backward(dy, wants_input, add, first)
        if not wants_input:
            for stack, dy_k in zip(self.stacks, dy.unbind()):
                stack.backward(dy_k, wants_input, add, first)
            return None
        out = torch.zeros(self.n, dy.shape[1], self.dim - first, device=dy.device)
        for stack, dy_k, out_k in zip(self.stacks, dy.unbind(), out.unbind()):
            if self.skips:
                stack.through(dy_k, first, out_k)
            else:
                out_k.copy_(stack.backward(dy_k, wants_input, add, first))
        return out


class _Stack:
    """The layers of one network, or of all of them in batched products, with buffers for B rows."""

    def __init__(self, net: FusedMLP, block: Any, B: int, shared: dict[Any, Tensor], keep: bool) -> None:
        self.batched, self.loops = isinstance(block, slice), net.loops
        grads = list(zip(net.dw, net.db)) if net.learn else [None] * len(net.w)
        self.layers = []
        for i, (w, b, grad) in enumerate(zip(net.w, net.b, grads)):
            grad = grad and (grad[0][block], grad[1][block])
            own = {} if keep or i == net.layers - 1 else shared
            loops = i > 0 and net.loops is not None and net.loops.on_cpu
            self.layers.append(_Layer(w[block], b[block], grad, B, net.dtype, (own, shared), i % 2, loops))
        pairs = itertools.pairwise(self.layers)
        self.between = [_Between(layer, after, net.activation, net.loops) for layer, after in pairs]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs; keep the activations."""
        for between in self.between:
            x = between.forward(x)
        return self.layers[-1].affine(x)

    def backward(self, dz: Tensor, wants_input: bool, add: bool, first: int) -> Tensor | None:
        """Add the gradients of the parameters, or set them; return that of the inputs if it is wanted."""
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            layer.receive(dz)
            if layer.grad:
                layer.learn(add, bias=not self.loops or i == len(self.layers) - 1)
            if i:
                dz = self.between[i - 1].backward(add)
        return layer.cast(layer.back(first), torch.float32, "dx") if wants_input else None

    def through(self, dz: Tensor, first: int, out: Tensor) -> None:
        """Write the gradient of the inputs; rows without a derivative in the outputs take no part.

        That is half of the rows where an actor follows the lesser one of two critics.
        """
        rows = np.flatnonzero(dz.numpy().any(axis=1))
        if not rows.size:
            return
        at = torch.from_numpy(rows)
        dz = dz.index_select(0, at)
        for i in range(len(self.layers) - 1, -1, -1):
            self.layers[i].receive(dz)
            if i:
                dz = self.between[i - 1].through(rows)
        out.index_copy_(0, at, self.layers[0].back(first))


class _Between:
    """The activation between two layers, in place where both have factors of one type."""

    def __init__(
        self, layer: "_Layer", after: "_Layer", activation: _Activation, loops: _Loops | None
    ) -> None:
        self.layer, self.after, self.activation, self.loops = layer, after, activation, loops
        rounding = loops is not None and loops.on_cpu
        before, behind = (x.kind if rounding else torch.float32 for x in (layer, after))
        keeps, same = activation.keeps_input, before == behind
        self.dh = after.cast(after.dx, behind, "dx")
        self.dz = self.dh if same else layer.buffer("dz", self.dh, before)
        if not (same or keeps):
            layer.z = self.dz  # never at one time
        self.z = layer.cast(layer.z, before, "z")
        self.h = self.z if same and not keeps else layer.buffer("h", self.z, behind)
        if loops:
            db = layer.grad[1] if layer.grad else layer.b[..., :0]
            self.there = loops.take(self.z, layer.b, self.h)
            self.back = loops.take(self.dh, self.z if keeps else self.h, self.dz, db)
            self.back.append(np.arange(self.dh.shape[-2]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the inputs of the layer after, given those of the layer before."""
        if self.loops:
            self.layer.cast(self.layer.linear(x), self.z.dtype, "z")
            self.loops.forward(*self.there)
        else:
            self.activation.apply(self.layer.affine(x), self.h)
        return self.h

    def backward(self, add: bool) -> Tensor:
        """Return the derivative in z, when the layer after has received its own."""
        self.after.cast(self.after.back(), self.dh.dtype, "dx")
        if self.loops:
            if self.layer.grad and not add:
                self.layer.grad[1].zero_()
            self.loops.backward(*self.back)
        else:
            self.activation.backward(self.dh, self.z, self.h)
        return self.dz

    def through(self, rows: Any) -> Tensor:
        """Return the derivative in z of some rows, when the layer after has received theirs."""
        assert self.loops is not None
        m, (dh, x, dz, db, _) = len(rows), self.back
        self.after.back()
        self.loops.backward(dh[:, :m], x, dz[:, :m], db, rows)
        return self.dz[:m]


class _Layer:
    """The three products of a layer, in place.

    With a lower precision the factors are rounded to it, if the layer is so large that this pays; sums,
    biases, parameters and their gradients stay in float32.
    """

    def __init__(
        self,
        w: Tensor,
        b: Tensor,
        grad: tuple[Tensor, Tensor] | None,
        B: int,
        dtype: torch.dtype,
        rooms: tuple[dict[Any, Tensor], dict[Any, Tensor]],
        turn: int,
        loops: bool,
    ) -> None:
        self.w, self.b, self.grad, self.turn = w, b, grad, turn
        self.own, self.shared = rooms
        self.kind = dtype if min(w.shape[-2:]) >= LOW_FROM else torch.float32
        self.low = self.kind != torch.float32
        self.z = self.buffer("z", w.new_empty(*w.shape[:-2], B, w.shape[-1]), self.kind)
        self.dx = self.buffer("dx", w.new_empty(*w.shape[:-2], B, w.shape[-2]), self.kind)
        self.add, self.product = (torch.baddbmm, torch.bmm) if w.ndim == 3 else (torch.addmm, torch.mm)
        self.x: Tensor | None = None
        self.thin = loops and w.ndim == 2 and w.shape[-1] <= THIN
        self.factor = self.cast(w, self.kind, "w")
        self.factor_turned = self.factor.transpose(-1, -2)
        if self.low and grad:
            self.dw_low = torch.empty_like(self.factor)
            self.sum = _sum(grad[0], self.dw_low)

    def buffer(self, name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Return memory of a name; for derivatives two in turn are enough, and serve every network."""
        key = (name, dtype, like.shape, self.turn)
        rooms = self.shared if name in ("dx", "dz") else self.own
        if key not in rooms:
            rooms[key] = torch.empty_like(like, dtype=dtype)
        return rooms[key]

    def cast(self, x: Tensor, dtype: torch.dtype, name: str) -> Tensor:
        """Return x in another type, in memory of that name; x itself if it is of that type."""
        return x if x.dtype == dtype else self.buffer(name, x, dtype).copy_(x)

    def linear(self, x: Tensor) -> Tensor:
        """Return ``z = x W``, in the type of the factors."""
        if self.low:
            x = self.cast(x, self.kind, "x")
            self.factor.copy_(self.w)
        self.keep(x)
        return self.product(x, self.factor, out=self.z)

    def affine(self, x: Tensor) -> Tensor:
        """Return ``z = x W + b`` in float32."""
        if self.low:
            return self.cast(self.linear(x), torch.float32, "z").add_(self.b)
        self.keep(x)
        if self.thin:
            cpu_layers.thin(*(t.numpy() for t in (x, self.w, self.b, self.z)))
            return self.z
        return self.add(self.b, x, self.w, out=self.z)

    def keep(self, x: Tensor) -> None:
        """Keep the input, and its transpose, for the way back."""
        if x is not self.x:
            self.x, self.x_turned = x, x.transpose(-1, -2)

    def receive(self, dz: Tensor) -> None:
        """Take the derivative in z."""
        self.dz, self.dz_cast = dz, self.cast(dz, self.kind, "dz")

    def learn(self, add: bool, bias: bool) -> None:
        """Add ``x' dz``, and ``1' dz`` if `bias`; or set the gradients to them."""
        assert self.grad is not None
        assert self.x is not None
        dw, db = self.grad
        if self.thin:
            if not add:
                dw.zero_()
                db.zero_()
            cpu_layers.thin_gradient(*(t.numpy() for t in (self.x, self.dz, dw, db)))
            return
        if self.low:
            self.product(self.x_turned, self.dz_cast, out=self.dw_low)
            self.sum() if add else dw.copy_(self.dw_low)
        elif add:
            self.add(dw, self.x_turned, self.dz_cast, out=dw)
        else:
            self.product(self.x_turned, self.dz_cast, out=dw)
        if bias:
            total = self.dz.sum(dim=-2, keepdim=True)
            db.add_(total) if add else db.copy_(total)

    def back(self, first: int = 0) -> Tensor:
        """Return the derivative in x, ``dz W'``, from a first input on, in the type of the factors."""
        dz, w, dx = self.dz_cast, self.factor_turned, self.dx
        if dz.shape[-2] < dx.shape[-2]:
            dx = dx[..., : dz.shape[-2], :]
        if self.thin:
            cpu_layers.thin_back(*(t.numpy() for t in (dz, self.w, dx)))
            return dx
        return self.product(dz, w[..., first:], out=dx[..., first:]) if first else self.product(dz, w, out=dx)


def _sum(x: Tensor, low: Tensor) -> Callable[[], Any]:
    """Return what adds a tensor of lower precision in place."""
    if not devices.has_kernels(x.device):
        return lambda: x.add_(low)
    pair = [cpu_layers.array(t if t.ndim == 3 else t[None]) for t in (x, low)]
    return lambda: cpu_layers.accumulate(*pair)


class _Pass(torch.autograd.Function):
    """One node of the graph of autograd for a whole network."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, net: FusedMLP) -> Tensor:
        ctx.net = net
        return net.forward(x).detach()  # else the buffer itself would be part of the graph

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
