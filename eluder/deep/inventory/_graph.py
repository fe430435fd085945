"""What policies that share weights see of a network: ends of its edges, scales and unchanging features.

Locations lead here: tensors are (N, M, B, ...), so that taking the locations at the ends of edges moves whole
blocks. Everything is in units of what passes through a location, and money in mean holding costs of a store,
so that weights trained on one network make sense on another.
"""

from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from eluder.deep.inventory._problem import Problem, heuristic_levels

__all__ = ["Graph", "graph_of"]

NUM_LOCATION = 7  # unchanging features of a location
NUM_EDGE = 2  # and of an edge


class Graph:
    """The parts of a problem that do not change; a first axis of samples has length 1 if they are all alike.

    Attributes
    ----------
    unit : Tensor, shape (M, 1)
        Units that pass through a location in a period.
    base, spread : Tensor, shape (M, B or 1)
        Order-up-to levels of the heuristic (of echelons, for warehouses), and the standard deviation of
        demand over the lead time and a period.
    location : Tensor, shape (M, B or 1, 7)
        Whether it is a store, holding cost, the part p / (p + h), what passes (1 is the mean of warehouses,
        and of stores), variation of demand, lead time, unit cost.
    edge : Tensor, shape (E, B or 1, 2)
        Lead time and unit cost.
    into : Tensor, shape (M, W)
        Parts of each location's sources, suppliers left out.
    out_of : Tensor, shape (W, M)
        Parts of what passes through a warehouse that go to each location.
    part : Tensor, shape (E, 1)
        Part of what passes through its source that goes along each edge; 0 for edges of suppliers.
    supplied : Tensor of bool, shape (E, 1)
        Whether the source is a supplier.
    to_warehouse, to_store : Tensor of int64
        Edges into warehouses, and into stores; `in_order` has the places of all edges among these two.
    choices : Tensor of int64
        Edges whose target has other sources.
    arc_source, arc_target : Tensor of int64, shape (A,)
        Ends of the edges, then of one loop at each warehouse that can hold, then of one arc from each store
        to its customers; M stands for what is outside.
    arc : Tensor, shape (A, B or 1, 2)
        Lead time and unit cost, 0 for what is no edge.
    arc_unit : Tensor, shape (A, 1)
        Units that pass along an arc in a period; along a loop, what passes through its warehouse.
    kept : Tensor of int64
        The warehouses with a loop.
    degree : Tensor, shape (2, M, 1, 1)
        Numbers of arcs into and out of each location.
    depth : int
        Warehouses on the longest way to a store.
    """

    def __init__(self, problem: Problem) -> None:
        s, network = problem.simulator, problem.setting.network
        W, M, E = s.W, s.M, s.E
        self.W, self.M, self.E, self.L = W, M, E, s.L
        self.source, self.target = s.source, s.target
        self.unit = problem.through.clamp_min(1e-3 * problem.scale)[:, None]
        self.share = problem.share[:, None]
        self.reach = problem.reach[:W]
        self.holds = s.holds[:W, None]

        ends = torch.zeros(M, W + 1, dtype=s.dtype, device=s.device)
        self.into = ends.index_put((s.target, s.source), problem.share)[:, :W]
        self.out_of = self.into.T * self.unit[:, 0] / self.unit[:W]
        sources = np.bincount(network.target, minlength=M)
        self.choices = torch.as_tensor(np.flatnonzero(sources[network.target] > 1), device=s.device)
        passes = problem.share * self.unit[s.target, 0]
        leaving = passes.new_zeros(W + 1).index_add(0, s.source, passes)
        self.supplied = s.supplied[:, None]
        self.part = torch.where(s.supplied, 0.0, passes / leaving[s.source])[:, None]
        above = network.target < W
        self.to_warehouse, self.to_store = (
            torch.as_tensor(np.flatnonzero(x), device=s.device) for x in (above, ~above)
        )
        self.in_order = torch.cat([self.to_warehouse, self.to_store]).argsort()

        self._describe(problem)
        self._join(problem)

    def _describe(self, problem: Problem) -> None:
        """Set levels and unchanging features."""
        s, W, M = problem.simulator, self.W, self.M
        h, p = rows(s.holding), rows(s.penalty)
        money = h[W:].mean().clamp_min(1e-6)
        lead, cost = rows(s.lead_time).to(s.dtype), rows(s.unit_cost)
        zeros = torch.zeros(M, max(lead.shape[1], cost.shape[1]), dtype=s.dtype, device=s.device)
        lead_in = zeros.index_add(0, s.target, (self.share * lead).expand(-1, zeros.shape[1]))
        cost_in = zeros.index_add(0, s.target, (self.share * cost).expand(-1, zeros.shape[1]))
        ratio = p / (p + h[W:]).clamp_min(1e-6)
        mean, sd = problem.mean[:, None], problem.sd[:, None]

        levels = heuristic_levels(problem.setting)
        self.base = torch.as_tensor(levels, dtype=s.dtype, device=s.device)[:, None]
        if problem.setting.network.num_samples is not None:
            periods = lead_in[W:] + 1
            z = 2**0.5 * torch.erfinv((2 * ratio - 1).clamp(-0.9999, 0.9999))
            stores = mean * periods + z * sd * periods.sqrt()
            self.base = torch.cat([self.base[:W].expand(-1, stores.shape[1]), stores])

        below = (problem.reach[:, W:] * problem.sd**2).sum(dim=1).sqrt()[:, None]
        self.spread = below * (lead_in + 1).sqrt()
        kind = torch.zeros_like(self.unit)
        kind[W:] = 1.0
        none = torch.zeros_like(self.unit[:W])
        columns = [
            kind,
            h / money,
            torch.cat([none.expand(-1, ratio.shape[1]), ratio]),
            torch.cat([self.unit[:W] / self.unit[:W].mean(), self.unit[W:] / self.unit[W:].mean()]),
            torch.cat([none, sd / self.unit[W:]]),
            lead_in / 4,
            cost_in / money,
        ]
        self.location = side_by_side(columns)
        self.edge = side_by_side([lead / 4, cost / money])

    def _join(self, problem: Problem) -> None:
        """Set the arcs."""
        network, W, M, E = problem.setting.network, self.W, self.M, self.E
        kept, stores, outside = np.flatnonzero(network.holds), np.arange(W, M), np.full(M - W, M)
        source = np.concatenate([np.where(network.source < 0, M, network.source), kept, stores])
        target = np.concatenate([network.target, kept, outside])
        degree = np.stack([np.bincount(x, minlength=M + 1)[:M] for x in (target, source)])
        depth = np.zeros(M, np.int64)
        for i in network.upstream_first():
            for j in network.target[network.source == i]:
                depth[j] = max(depth[j], depth[i] + 1)

        def place(x: np.ndarray) -> Tensor:
            return torch.as_tensor(x, device=self.unit.device)

        self.kept, self.depth = place(kept), int(depth.max())
        self.arc_source, self.arc_target = place(source), place(target)
        self.degree = place(degree).to(self.unit.dtype)[:, :, None, None]
        more = len(source) - E
        self.arc = torch.cat([self.edge, self.edge.new_zeros(more, *self.edge.shape[1:])])
        ends = [self.share * self.unit[self.target], self.unit[self.kept], self.unit[W:]]
        self.arc_unit = torch.cat(ends)


def rows(x: Tensor) -> Tensor:
    """Return (M, 1) or (M, B) from (M,) or (B, M)."""
    return x[:, None] if x.ndim == 1 else x.T


def side_by_side(columns: list[Tensor]) -> Tensor:
    """Return (M, B or 1, F) from features of shape (M, B or 1)."""
    return torch.stack(torch.broadcast_tensors(*columns), dim=-1)


_GRAPHS: WeakKeyDictionary[Problem, Graph] = WeakKeyDictionary()


def graph_of(problem: Problem) -> Graph:
    """Return the graph of a problem, made once."""
    if problem not in _GRAPHS:
        _GRAPHS[problem] = Graph(problem)
    return _GRAPHS[problem]
