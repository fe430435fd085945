"""Perceptrons with a backward pass by hand: the same numbers as `mlp`, without allocations.

The buffers are kept from call to call, activations are differentiated in place, and gradients go straight
into the flat gradient of `Parameters`. A pass is a list of calls that is made once: after the products of an
update the interpreter has to come back into the caches of the processor, and each of its lines costs
microseconds. The rectifier and GELU are compiled: one pass through the memory with the bias, and one with its
gradient; on the CPU with the rounding of factors to bfloat16 too. ::

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
        self.plans: dict[tuple[int, bool], tuple[list[_Stack], Tensor]] = {}

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

    def plan(self, B: int, keep: bool) -> "tuple[list[_Stack], Tensor]":
        """Return the buffers for B rows, made at the first call, and that of the outputs, shape (n, B, out).

        On one thread of a CPU the networks pass one after another, so that one of them stays in the cache;
        else they go layer by layer, in batched products. Without a way back they use the same memory.
        """
        if (B, keep) not in self.plans:
            cpu = self.anchor.device.type == "cpu" and torch.get_num_threads() == 1
            alone = cpu and B >= 32
            blocks = range(self.n) if alone else [slice(None)]
            shared: dict[Any, Tensor] = {}
            y = self.anchor.new_empty(self.n, B, self.w[-1].shape[-1])
            self.plans[B, keep] = [_Stack(self, k, B, shared, keep, y[k]) for k in blocks], y
        return self.plans[B, keep]

    def forward(self, x: Tensor, keep: bool = True) -> Tensor:
        """Return the outputs, shape (n, B, out); keep the activations for the way back."""
        stacks, y = self.plan(x.shape[-2], keep)
        if keep:
            self.stacks = stacks
        if stacks[0].batched:
            stacks[0].forward(x)
        else:
            for stack, x_k in zip(stacks, x.unbind()):
                stack.forward(x_k)
        return y

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


def _call(function: Callable[..., Any], *args: Any, **named: Any) -> Callable[[], Any]:
    """Return a call to be made later; an argument that is a function is made then."""
    if not any(callable(x) for x in args):
        return partial(function, *args, **named)
    return lambda: function(*[x() if callable(x) else x for x in args], **named)


class _Stack:
    """The layers of one network, or of all of them in batched products, with buffers for B rows.

    What there is to do is a list of calls; inputs x and derivatives dy are those of the moment.
    """

    def __init__(
        self, net: FusedMLP, block: Any, B: int, shared: dict[Any, Tensor], keep: bool, y: Tensor
    ) -> None:
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
        self.there: list[Callable[[], Any]] = []
        x: Any = lambda: self.x  # noqa: E731
        for between in self.between:
            x = between.forward(x, self.there)
        self.layers[-1].affine(x, y, self.there)
        self.tapes: dict[Any, tuple[list[Callable[[], Any]], Tensor]] = {}

    def forward(self, x: Tensor) -> None:
        """Fill the outputs; keep the activations."""
        self.x = x
        for call in self.there:
            call()

    def backward(self, dy: Tensor, wants_input: bool, add: bool, first: int) -> Tensor | None:
        """Add the gradients of the parameters, or set them; return that of the inputs if it is wanted."""
        key = (wants_input, add, first)
        if key not in self.tapes:
            self.tapes[key] = self.tape(*key)
        self.dy = dy
        calls, dx = self.tapes[key]
        for call in calls:
            call()
        return dx if wants_input else None

    def tape(self, wants_input: bool, add: bool, first: int) -> tuple[list[Callable[[], Any]], Tensor]:
        """Return the calls of a backward pass, and where it leaves the gradient of the inputs."""
        calls: list[Callable[[], Any]] = []
        dz: Any = lambda: self.dy  # noqa: E731
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            layer.receive(dz, calls)
            if layer.grad:
                layer.learn(add, not self.loops or i == len(self.layers) - 1, calls)
            if i:
                dz = self.between[i - 1].backward(add, calls)
        if wants_input:
            return calls, layer.cast(layer.back(first, calls), torch.float32, "dx", calls)
        return calls, layer.dx

    def through(self, dy: Tensor, first: int, out: Tensor) -> None:
        """Write the gradient of the inputs; rows without a derivative in the outputs take no part.

        That is half of the rows where an actor follows the lesser one of two critics.
        """
        rows = np.flatnonzero(dy.numpy().any(axis=1))
        if not rows.size:
            return
        at, calls = torch.from_numpy(rows), list[Callable[[], Any]]()
        dz = dy.index_select(0, at)
        for i in range(len(self.layers) - 1, -1, -1):
            self.layers[i].receive(dz, calls)
            if i:
                dz = self.between[i - 1].through(rows)
        dx = self.layers[0].back(first, calls)
        calls[0]()
        out.index_copy_(0, at, dx)


class _Between:
    """The activation between two layers, in place where both have factors of one type."""

    def __init__(
        self, layer: "_Layer", after: "_Layer", activation: _Activation, loops: _Loops | None
    ) -> None:
        self.layer, self.after, self.activation, self.loops = layer, after, activation, loops
        rounding = loops is not None and loops.on_cpu
        before, behind = (x.kind if rounding else torch.float32 for x in (layer, after))
        keeps, same = activation.keeps_input, before == behind
        self.dh = after.room(after.dx, behind, "dx")
        self.dz = self.dh if same else layer.buffer("dz", self.dh, before)
        if not (same or keeps):
            layer.z = self.dz  # never at one time
        self.z = layer.room(layer.z, before, "z")
        self.h = self.z if same and not keeps else layer.buffer("h", self.z, behind)
        if loops:
            db = layer.grad[1] if layer.grad else layer.b[..., :0]
            self.there = loops.take(self.z, layer.b, self.h)
            self.back = loops.take(self.dh, self.z if keeps else self.h, self.dz, db)
            self.back.append(np.arange(self.dh.shape[-2]))

    def forward(self, x: Any, calls: list[Callable[[], Any]]) -> Tensor:
        """Add the calls from the inputs of the layer before to those of the layer after, which it returns."""
        if self.loops:
            self.layer.cast(self.layer.linear(x, calls), self.z.dtype, "z", calls)
            calls.append(partial(self.loops.forward, *self.there))
        else:
            z = self.layer.affine(x, self.z, calls)
            calls.append(partial(self.activation.apply, z, self.h))
        return self.h

    def backward(self, add: bool, calls: list[Callable[[], Any]]) -> Tensor:
        """Add the calls to the derivative in z, which it returns, when the layer after has received its
        own."""
        self.after.cast(self.after.back(0, calls), self.dh.dtype, "dx", calls)
        if self.loops:
            if self.layer.grad and not add:
                calls.append(self.layer.grad[1].zero_)
            calls.append(partial(self.loops.backward, *self.back))
        else:
            calls.append(partial(self.activation.backward, self.dh, self.z, self.h))
        return self.dz

    def through(self, rows: Any) -> Tensor:
        """Return the derivative in z of some rows, when the layer after has received theirs."""
        assert self.loops is not None
        calls: list[Callable[[], Any]] = []
        m, (dh, x, dz, db, _) = len(rows), self.back
        self.after.back(0, calls)
        calls[0]()
        self.loops.backward(dh[:, :m], x, dz[:, :m], db, rows)
        return self.dz[:m]


class _Layer:
    """The three products of a layer, in place, as calls that are added to a list.

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
        self.x: Any = None
        self.thin = loops and w.ndim == 2 and w.shape[-1] <= THIN
        self.factor = self.room(w, self.kind, "w")
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

    def room(self, x: Tensor, dtype: torch.dtype, name: str) -> Tensor:
        """Return memory of that name for x in another type; x itself if it is of that type."""
        return x if x.dtype == dtype else self.buffer(name, x, dtype)

    def cast(self, x: Tensor, dtype: torch.dtype, name: str, calls: list[Callable[[], Any]]) -> Tensor:
        """Return `room`, and fill it."""
        y = self.room(x, dtype, name)
        if y is not x:
            calls.append(partial(y.copy_, x))
        return y

    def rounded(self, x: Any, like: Tensor, name: str, calls: list[Callable[[], Any]]) -> Any:
        """Return x, a tensor or a function, in the type of the factors; of the shape of another tensor."""
        if not self.low or (isinstance(x, Tensor) and x.dtype == self.kind):
            return x
        y = self.buffer(name, like, self.kind)
        calls.append(_call(y.copy_, x))
        return y

    def linear(self, x: Any, calls: list[Callable[[], Any]]) -> Tensor:
        """Add the calls to ``z = x W``, in the type of the factors, which it returns."""
        self.x = self.rounded(x, self.dx, "x", calls)
        if self.low:
            calls.append(partial(self.factor.copy_, self.w))
        calls.append(_call(self.product, self.x, self.factor, out=self.z))
        return self.z

    def affine(self, x: Any, y: Tensor, calls: list[Callable[[], Any]]) -> Tensor:
        """Add the calls to ``y = x W + b`` in float32."""
        if self.low:
            z = self.linear(x, calls)
            calls += [partial(y.copy_, z), partial(y.add_, self.b)]
            return y
        self.x = x
        if self.thin:
            calls.append(partial(cpu_layers.thin, *(t.numpy() for t in (x, self.w, self.b, y))))
        else:
            calls.append(_call(self.add, self.b, x, self.w, out=y))
        return y

    def receive(self, dz: Any, calls: list[Callable[[], Any]]) -> None:
        """Take the derivative in z."""
        self.dz, self.dz_cast = dz, self.rounded(dz, self.z, "dz", calls)

    def learn(self, add: bool, bias: bool, calls: list[Callable[[], Any]]) -> None:
        """Add the calls that add ``x' dz``, and ``1' dz`` if `bias`, or that set the gradients to them."""
        assert self.grad is not None
        (dw, db), x, dz = self.grad, self.x, self.dz_cast
        if self.thin:
            if not add:
                calls += [dw.zero_, db.zero_]
            given = x.numpy(), _array(dz)
            calls.append(_call(cpu_layers.thin_gradient, *given, dw.numpy(), db.numpy()))
            return
        turned = x.transpose(-1, -2) if isinstance(x, Tensor) else lambda: x().transpose(-1, -2)
        if self.low:
            calls.append(_call(self.product, turned, dz, out=self.dw_low))
            calls.append(self.sum if add else partial(dw.copy_, self.dw_low))
        elif add:
            calls.append(_call(self.add, dw, turned, dz, out=dw))
        else:
            calls.append(_call(self.product, turned, dz, out=dw))
        if bias and add:
            calls.append(_call(lambda dz: db.add_(dz.sum(dim=-2, keepdim=True)), self.dz))
        elif bias:
            calls.append(_call(torch.sum, self.dz, dim=-2, keepdim=True, out=db))

    def back(self, first: int, calls: list[Callable[[], Any]]) -> Tensor:
        """Add the call to the derivative in x, ``dz W'``, from a first input on, in the type of the
        factors."""
        dz, w, dx = self.dz_cast, self.factor_turned[..., first:], self.dx[..., first:]
        if isinstance(dz, Tensor):
            dx = dx[..., : dz.shape[-2], :]
        if self.thin:
            calls.append(_call(cpu_layers.thin_back, _array(dz), self.w.numpy(), dx.numpy()))
        else:
            calls.append(_call(self.product, dz, w, out=dx))
        return dx


def _array(x: Any) -> Any:
    """Return a tensor on the CPU, or what a function returns, as an array without gaps."""
    if isinstance(x, Tensor):
        return np.ascontiguousarray(x.numpy())
    return lambda: np.ascontiguousarray(x().numpy())


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
