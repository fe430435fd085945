"""Feedback graphs: ``graph[a, b]`` says that playing arm a shows the loss of arm b."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import BoolArray, IntArray

EXACT = 20  # arms up to which all 2^A sets are tried


def feedback_graph(graph: ArrayLike, A: int) -> BoolArray:
    """Return `graph` as a (A, A) array of booleans; refuse one with an arm whose loss is never seen."""
    raw = checks.finite("graph", graph, (A, A), 0.0, 1.0)
    bad = (raw != 0) & (raw != 1)
    if bad.any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('graph', i)} is {raw[i]:g}, it must be 0 or 1")
    edges: BoolArray = raw == 1
    shown = edges.sum(axis=0)
    if not shown.min():
        raise ValueError(f"graph[:, {checks.first(shown == 0)[0]}] is 0: the loss of this arm is never seen")
    return edges


def acyclic_number(graph: BoolArray) -> int:
    """Return the size of the largest set of arms without a cycle among two or more of them.

    In an undirected graph this is the independence number. Exact up to 20 arms; for more the number of
    cliques (of arms that show one another) in a greedy cover, which is not smaller.
    """
    A = len(graph)
    return int(_largest(_bits(graph), True)) if A <= EXACT else _clique_cover(graph & graph.T)


def independence_number(graph: BoolArray) -> int:
    """Return the size of the largest set of arms of which none shows another; exact up to 20 arms."""
    either = graph | graph.T
    return int(_largest(_bits(either), False)) if len(graph) <= EXACT else _clique_cover(either)


def weakly_observable(graph: BoolArray) -> BoolArray:
    """Return which arms neither show themselves nor are shown by all others."""
    others = graph | np.eye(len(graph), dtype=bool)
    weak: BoolArray = ~np.diagonal(graph) & ~others.all(axis=0)
    return weak


def dominating_set(graph: BoolArray, wanted: BoolArray) -> BoolArray:
    """Return arms that together show all arms of `wanted`: greedily, those that show most first."""
    chosen = np.zeros(len(graph), bool)
    left = wanted.copy()
    while left.any():
        a = int((graph & left).sum(axis=1).argmax())
        chosen[a] = True
        left &= ~graph[a]
    return chosen


def _bits(graph: BoolArray) -> IntArray:
    """Return for each arm the set of other arms that show it, as bits."""
    others = graph & ~np.eye(len(graph), dtype=bool)
    bits: IntArray = (others * (1 << np.arange(len(graph)))[:, None]).sum(axis=0)
    return bits


def _clique_cover(mutual: BoolArray) -> int:
    """Return the number of cliques in a greedy cover."""
    left, count = np.ones(len(mutual), bool), 0
    while left.any():
        candidates = left.copy()
        while candidates.any():
            a = checks.first(candidates)[0]
            left[a] = candidates[a] = False
            candidates &= mutual[a]
        count += 1
    return count


@kernel
def _largest(shown_by: IntArray, acyclic: bool) -> int:
    """Return the size of the largest set that is empty, or good without one arm that the rest do not show.

    For an acyclic set this arm is any source; for an independent set it has to be its first arm.
    """
    A = shown_by.size
    good = np.zeros(1 << A, np.bool_)
    good[0] = True
    largest = 0
    for s in range(1, 1 << A):
        size = 0
        for a in range(A):
            if s >> a & 1:
                size += 1
        for a in range(A):
            if s >> a & 1:
                if s & shown_by[a] == 0:
                    good[s] = good[s ^ (1 << a)]
                    break
                if not acyclic:
                    break
        if good[s]:
            largest = max(largest, size)
    return largest
