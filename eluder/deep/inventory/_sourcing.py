"""What `SharedLevelPolicy` starts from: levels and scales of a network, the order of edges.

Where every location has one source these are the levels of `heuristic_levels`, of echelons. Where one has
several, edges have the levels of `source_levels`, each of what arrives within its lead time, the last one of
the whole position; warehouses have levels of their own positions, from which what is asked for is taken.
Features are centred and stretched by constants, so that networks see about as much of each.
"""

from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from eluder.core.types import Array
from eluder.deep.inventory._graph import Graph, graph_of, rows, side_by_side
from eluder.deep.inventory._problem import Problem
from eluder.deep.inventory._source_levels import Levels, means_of, source_levels

__all__ = ["NUM_EDGE", "STRETCH", "Sourcing", "sourcing_of"]

NUM_EDGE = 4  # unchanging features of an edge
EVEN = 0.2  # part of what passes that is thought to be split evenly
STRETCH = 2.0  # of inventories, in units that pass in a period
WIDEST = 3.0  # largest unchanging feature
# what is usual of the features of locations and edges, and how far they are stretched
WAREHOUSE = (0.0, 0.3, 0.0, 1.0, 0.0, 0.75, 1.0), (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
STORE = (1.0, 1.0, 0.9, 1.0, 0.35, 0.75, 0.75), (1.0, 4.0, 20.0, 2.0, 6.0, 2.0, 2.0)
EDGE = (1.0, 1.0, 0.5, 0.3), (2.0, 2.0, 2.0, 4.0)


class Sourcing:
    """Levels and scales of a problem.

    Attributes
    ----------
    chosen : bool
        Whether any location has several sources.
    unit, base : Tensor, shape (M, 1), (M, B or 1)
        Units that pass through a location in a period; levels of its whole position.
    into, out_of, reach : Tensor, shape (M, W), (W, M), (W, M)
        As in `Graph`, for the flows of the levels; if chosen, a warehouse reaches but itself.
    location : Tensor, shape (M, B or 1, 7)
        As in `Graph`, for these flows, unit costs all that a unit has cost so far; centred and stretched.
    usual : Tensor, shape (M, 1, L)
        The inventories that networks see as zero.
    turn : Tensor of int64, shape (E,)
        Edges, those furthest downstream first, of a location the soonest first.
    table, place : Tensor of int64, shape (M, K), (E,)
        Edges of each location in this order, E for none; where each edge is in the flat table.
    level, counts : Tensor, shape (C, 1), (C, B or 1, L)
        Of the edges among which there is a choice: levels, and which slots of their targets these count.
    edge : Tensor, shape (C, B or 1, 4)
        Lead time, all that a unit has cost so far, part of what passes through the target, and the level
        above mean demand over the lead time and a period, in standard deviations over as long.
    """

    def __init__(self, problem: Problem) -> None:
        g = graph_of(problem)
        self.unit, self.base, self.into, self.out_of, self.reach = g.unit, g.base, g.into, g.out_of, g.reach
        self.chosen, self.turn = len(g.choices) > 0, torch.arange(g.E)
        self.level, self.counts = g.unit.new_zeros(0, 1), g.unit.new_zeros(0, 1, g.L)
        self.edge, location = g.unit.new_zeros(0, 1, NUM_EDGE), g.location
        if self.chosen:
            found = source_levels(problem.setting)
            share = self._flow(problem, found.flow)
            self._arrange(problem, g, found)
            location, self.edge = self._features(problem, g, found, share)
        self.location = torch.cat([centred(location[: g.W], *WAREHOUSE), centred(location[g.W :], *STORE)])
        self.usual = problem.slots.to(g.unit.dtype)[:, None]

    def _flow(self, problem: Problem, flow: Array) -> Tensor:
        """Set what passes, and return the part of its target's that each edge brings, (E, 1)."""
        s, network, W = problem.simulator, problem.setting.network, problem.simulator.W
        target, unit = network.target, problem.through.cpu().numpy().astype(float)
        total, sources = np.bincount(target, flow, s.M), np.bincount(target)
        share = (1.0 - EVEN) * flow / np.maximum(total, 1e-9)[target] + EVEN / sources[target]
        unit[:W] = 0.0
        for i in network.upstream_first()[::-1]:
            out = network.source == i
            unit[i] += (share[out] * unit[target[out]]).sum()
        unit = np.maximum(unit, 1e-3 * problem.scale)
        into = np.zeros((s.M, W + 1))
        into[target, np.where(network.source < 0, W, network.source)] = share
        into = into[:, :W]
        parts = unit[:, None], into, into.T * unit / unit[:W, None], np.eye(s.M)[:W], share[:, None]
        self.unit, self.into, self.out_of, self.reach, part = (
            torch.as_tensor(x, dtype=s.dtype, device=s.device) for x in parts
        )
        return part

    def _arrange(self, problem: Problem, g: Graph, found: Levels) -> None:
        """Set levels and the order of edges."""
        network, E, like = problem.setting.network, g.E, g.unit
        target, at, first, most = network.target, np.empty(E, np.int64), np.full(g.M, E), np.zeros(g.M)
        at[found.turn] = np.arange(E)
        np.minimum.at(first, target, at)
        np.maximum.at(most, target, found.level)
        rank = at - first[target]
        table = np.full((g.M, rank.max() + 1), E)
        table[target, rank] = np.arange(E)
        last = rank == np.bincount(target)[target] - 1
        counts = (np.arange(g.L) <= np.atleast_2d(network.lead_time).T[..., None]) | last[:, None, None]
        c = g.choices.cpu().numpy()
        self.base, self.level, self.counts = (
            torch.as_tensor(x, dtype=like.dtype, device=like.device)
            for x in (most[:, None], found.level[c, None], counts[c])
        )
        order = found.turn, table, table.shape[1] * target + rank
        self.turn, self.table, self.place = (torch.as_tensor(x, device=like.device) for x in order)

    def _features(self, problem: Problem, g: Graph, found: Levels, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return unchanging features of locations, and of edges among which there is a choice."""
        s, W, target = problem.simulator, g.W, g.target[g.choices]
        lead, money = rows(s.lead_time).to(s.dtype), rows(s.holding)[W:].mean().clamp_min(1e-6)
        price = means_of(problem.setting.network).price[:, None]
        price = torch.as_tensor(price, dtype=s.dtype, device=s.device) / money
        location = g.location.clone()
        location[:W, :, 3] = self.unit[:W] / self.unit[:W].mean()
        for column, x in ((5, lead / 4), (6, price)):
            location[..., column] = x.new_zeros(g.M, x.shape[1]).index_add(0, g.target, share * x)
        lead, price, share = lead[g.choices], price[g.choices], share[g.choices]
        variance = (problem.reach[:, W:] * problem.sd**2).sum(dim=1)[target, None] * (lead + 1)
        safety = (self.level - self.unit[target] * (lead + 1)) / variance.clamp_min(1e-9).sqrt()
        return location, centred(side_by_side([lead / 4, price, share, safety / 4]), *EDGE)


def centred(x: Tensor, usual: tuple[float, ...], stretch: tuple[float, ...]) -> Tensor:
    """Return features, the last axis of x, as networks see them."""
    return ((x - x.new_tensor(usual)) * x.new_tensor(stretch)).clamp(-WIDEST, WIDEST)


_SOURCINGS: WeakKeyDictionary[Problem, Sourcing] = WeakKeyDictionary()


def sourcing_of(problem: Problem) -> Sourcing:
    """Return where a problem's orders start, computed once."""
    if problem not in _SOURCINGS:
        _SOURCINGS[problem] = Sourcing(problem)
    return _SOURCINGS[problem]
