"""Cost of the paths of `SharedLevelPolicy` and its gradient: one call for all periods, forth and back.

Per seed, with the parts of `_compiled_levels` and the period of `_compiled_step`::

    for t = 0, ..., T - 1:
        survey, summaries, surround, networks, meet, ask, settle -> q_t;  c_t, x_{t+1} = step(x_t, q_t, d_t)
    for t = T - 1, ..., 0:
        the way back; periods of the tail add nothing to the gradient of the parameters

Guarantee: the tests hold costs, last states and gradients against `path_cost` and autograd. Where stock
equals demand exactly, a kink, both take a derivative from one side, not always from the same.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eluder.core.kernels import kernel
from eluder.deep.common.compiled import Net, forward, net_of, rows_of, scratch
from eluder.deep.common.networks import Parameters
from eluder.deep.inventory._compiled_levels import (
    Place,
    ask,
    ask_back,
    meet,
    meet_back,
    network_back,
    settle,
    settle_back,
    surround,
    surround_back,
    survey,
    survey_back,
)
from eluder.deep.inventory._compiled_step import Lanes, lanes_of, step, step_back
from eluder.deep.inventory._graph import graph_of
from eluder.deep.inventory._problem import Problem
from eluder.deep.inventory._sourcing import sourcing_of

__all__ = ["CompiledPaths"]

Array = NDArray[Any]


class Nets(NamedTuple):
    """Where the networks, and the factor of the balance, lie in the parameters."""

    summary: Net
    warehouse: Net
    store: Net
    edge: Net
    balance: int


class Memory(NamedTuple):
    """What the way back needs of each period, and room for its derivatives."""

    x: Array
    own: Array
    context: Array
    asks: Array
    width: Array
    u: Array
    q: Array
    f: Array
    summary: Array
    warehouse: Array
    store: Array
    edge: Array


@kernel
def _copy(x: Array, y: Array) -> None:
    """Fill the first places of y."""
    for k in range(x.size):
        y[k] = x[k]


@kernel
def _order(flat: Array, nets: Nets, n: int, at: Place, m: Memory, t: int) -> None:
    """Fill the orders of a period from its inventory, and what the way back needs."""
    (M, B, _), W = m.own[t].shape, len(at.reach)
    survey(m.x[t], at, m.own[t])
    _copy(m.own[t].ravel(), m.summary[t, 0])
    forward(flat, nets.summary, n, m.summary[t], M * B)
    said = rows_of(m.summary[t], nets.summary, 1, M * B)
    for k in range(M * B):
        for j in range(said.shape[1]):
            said[k, j] = max(said[k, j], 0.0)
    above = rows_of(m.warehouse[t], nets.warehouse, 0, W * B).reshape(W, B, -1)
    below = rows_of(m.store[t], nets.store, 0, (M - W) * B).reshape(M - W, B, -1)
    surround(m.own[t], said.reshape(M, B, -1), at, m.context[t], above, below)
    forward(flat, nets.warehouse, n, m.warehouse[t], W * B)
    forward(flat, nets.store, n, m.store[t], (M - W) * B)
    last, C = len(nets.store.sizes) - 1, max(len(at.choices), 1)
    seen = rows_of(m.edge[t], nets.edge, 0, C * B).reshape(C, B, -1)
    if len(at.choices):
        meet(m.own[t], m.context[t], at, seen)
        forward(flat, nets.edge, n, m.edge[t], C * B)
    above = rows_of(m.warehouse[t], nets.warehouse, last, W * B).reshape(W, B, 2)
    below = rows_of(m.store[t], nets.store, last, (M - W) * B).reshape(M - W, B, 2)
    score = rows_of(m.edge[t], nets.edge, len(nets.edge.sizes) - 1, C * B).reshape(C, B, 1)
    ask(m.own[t], above, below, seen, score, at, m.asks[t])
    settle(m.asks[t], m.x[t], above, below, flat[nets.balance + n], at, m.width[t], m.u[t], m.q[t])


@kernel
def _order_back(
    flat: Array, grad: Array, nets: Nets, n: int, at: Place, m: Memory, g: Memory, t: int, learn: bool
) -> None:
    """Add to the derivative in inventory, `g.x[0]`, and in the parameters, from that in orders, `g.q[0]`."""
    (M, B, _), W, C = m.own[t].shape, len(at.reach), max(len(at.choices), 1)
    last = len(nets.store.sizes) - 1
    g.own.fill(0.0)
    g.context.fill(0.0)
    above = rows_of(m.warehouse[t], nets.warehouse, last, W * B).reshape(W, B, 2)
    below = rows_of(m.store[t], nets.store, last, (M - W) * B).reshape(M - W, B, 2)
    g_above = rows_of(g.warehouse[0], nets.warehouse, last, W * B).reshape(W, B, 2)
    g_below = rows_of(g.store[0], nets.store, last, (M - W) * B).reshape(M - W, B, 2)
    g_score = rows_of(g.edge[0], nets.edge, len(nets.edge.sizes) - 1, C * B).reshape(C, B, 1)
    g_balance = settle_back(
        g.q[0], above, below, flat[nets.balance + n], at, m.asks[t], m.width[t], m.u[t], g.asks[0], g.x[0],
        g_above, g_below,
    )  # fmt: skip
    if learn:
        grad[nets.balance + n] += g_balance
    ask_back(g.asks[0], m.asks[t], at, g_above, g_below, g_score, g.own[0])
    if len(at.choices):
        network_back(flat, grad, nets.edge, n, m.edge[t], g.edge[0], C * B, learn)
        g_seen = rows_of(g.edge[0], nets.edge, 0, C * B).reshape(C, B, -1)
        meet_back(g_seen, g_score, at, g.own[0], g.context[0])
    network_back(flat, grad, nets.warehouse, n, m.warehouse[t], g.warehouse[0], W * B, learn)
    network_back(flat, grad, nets.store, n, m.store[t], g.store[0], (M - W) * B, learn)
    g_said = rows_of(g.summary[0], nets.summary, 1, M * B)
    surround_back(
        m.own[t], g.context[0],
        rows_of(g.warehouse[0], nets.warehouse, 0, W * B).reshape(W, B, -1),
        rows_of(g.store[0], nets.store, 0, (M - W) * B).reshape(M - W, B, -1),
        at, g.own[0], g_said.reshape(M, B, -1),
    )  # fmt: skip
    said = rows_of(m.summary[t], nets.summary, 1, M * B)
    for k in range(M * B):
        for j in range(said.shape[1]):
            if said[k, j] <= 0.0:
                g_said[k, j] = 0.0
    network_back(flat, grad, nets.summary, n, m.summary[t], g.summary[0], M * B, learn)
    own, more = g.own.ravel(), g.summary[0, 0]
    for k in range(own.size):
        own[k] += more[k]
    survey_back(g.own[0], at, g.x[0])


@kernel
def _path(
    flat: Array, grad: Array, nets: Nets, n: int, at: Place, lanes: Lanes, m: Memory, g: Memory,
    demand: Array, cost: Array, learning: int,
) -> None:  # fmt: skip
    """Fill costs (B,) and states of a seed's paths from the first, and add to its gradient."""
    T, B, stores = demand.shape
    weight = 1.0 / (B * T * stores)
    for t in range(T):
        _order(flat, nets, n, at, m, t)
        step(m.x[t], m.q[t], demand[t], lanes, m.x[t + 1], m.f[t], cost)
    g.x.fill(0.0)
    for t in range(T - 1, -1, -1):
        step_back(m.x[t], m.q[t], demand[t], m.f[t], lanes, g.x[1], weight, g.x[0], g.q[0])
        _order_back(flat, grad, nets, n, at, m, g, t, t < learning)
        _copy(g.x[0].ravel(), g.x[1].ravel())


class CompiledPaths:
    """Paths of one problem and policy; the memory of a call serves the next.

    Parameters
    ----------
    problem : Problem
        On the CPU, with warehouses, the same for all samples.
    parameters : Parameters
        Of a `SharedLevelPolicy` with rectifiers; gradients are added to theirs.
    """

    def __init__(self, problem: Problem, parameters: Parameters) -> None:
        g, s = graph_of(problem), problem.simulator
        self.parameters, self.lanes, self.place = parameters, lanes_of(s), _place(problem)
        self.M, self.W, self.E, self.L = g.M, g.W, g.E, s.L
        summary, above, below, edge = (
            net_of(parameters, name, "relu") for name in ("summary_", "warehouse_", "store_", "edge_")
        )
        if not len(g.choices):
            edge = Net(np.zeros(2, np.int64), np.ones(2, np.int64), False)
        names = list(parameters.tensors)
        before = names[: names.index("balance")]
        balance = sum(parameters[name].numel() for name in before)
        self.nets = Nets(summary, above, below, edge, balance)
        self.shape = (0, 0)

    def __call__(self, x: Tensor, demand: Tensor, tail: int) -> tuple[Tensor, Tensor]:
        """Return the cost of paths per period and store, (N, B), and where they end; add to the gradient.

        That is the gradient of the sum over seeds of the mean over paths.
        """
        N, T, B, n = demand.shape
        if self.shape != (T, B):
            self.shape, self.memory, self.way_back = (T, B), self._memory(T, B), self._memory(1, B)
        flat, grad = self.parameters.flat.detach().numpy(), self.parameters.grad.numpy()
        d, cost, ends = demand.contiguous().numpy(), np.zeros((N, B), flat.dtype), torch.empty_like(x)
        known = self.place, self.lanes, self.memory, self.way_back
        for k in range(N):
            self.memory.x[0] = x[k].numpy()
            _path(flat, grad, self.nets, k, *known, d[k], cost[k], T - tail)
            ends[k] = torch.from_numpy(self.memory.x[T])
        return torch.from_numpy(cost) / (T * n), ends

    def _memory(self, T: int, B: int) -> Memory:
        """Return room for T periods."""
        M, W, E, dtype = self.M, self.W, self.E, self.place.unit.dtype
        F, K = self.nets.summary.sizes
        C = 2 * self.L + 1 + K
        states, sides, ends = (B, M, self.L), (M, B), (B, E)
        shapes = states, (M, B, F), (W, B, C), (E, B), sides, (W + 1, B), ends, ends
        rows = M, W, M - W, max(len(self.place.choices), 1)
        nets = [scratch(net, B * k).shape for net, k in zip(self.nets[:4], rows, strict=True)]
        more = [1, *[0] * 11]
        return Memory(*(np.ones((T + i, *s), dtype) for i, s in zip(more, (*shapes, *nets), strict=True)))


def _place(problem: Problem) -> Place:
    """Return what the loops know of a problem."""
    g, start = graph_of(problem), sourcing_of(problem)
    which = torch.full((g.E,), -1).index_copy(0, g.choices, torch.arange(len(g.choices)))
    numbers = start.unit[:, 0], start.base[:, 0], g.spread[:, 0], start.location[:, 0], start.edge[:, 0]
    rest = start.reach, start.into, start.out_of, g.source, g.target, g.choices, start.turn, which
    levels = start.level[:, 0], start.counts[:, 0], start.usual[:, 0], problem.simulator.holds
    return Place(*(np.ascontiguousarray(x.numpy()) for x in (*numbers, *rest, *levels)))
