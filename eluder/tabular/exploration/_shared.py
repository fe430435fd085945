"""What episodic explorers share: counts by successor slot, the optimistic start, the greedy action."""

from typing import NamedTuple

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.simulator import Simulator
from eluder.core.types import Array, IntArray

__all__ = ["Counts", "count", "greedy", "initial_value", "new_counts", "optimistic", "table"]


class Counts(NamedTuple):
    """Counts of G tables: one for all stages, or one for each. Slots are those of `Simulator.succ`.

    Attributes
    ----------
    table : ndarray of int, shape (H,)
        The table in which stage h counts.
    n : ndarray of int, shape (G, S, A)
        Visits.
    n_next : ndarray of int, shape (G, S, A, B)
        Visits by successor.
    P_hat : ndarray, shape (G, S, A, B)
        ``n_next / n``, 0 before the first visit: divided once when a pair is visited, not at every plan.
    """

    table: IntArray
    n: IntArray
    n_next: IntArray
    P_hat: Array


def table(H: int, stationary: bool) -> IntArray:
    """Return the table of each stage: 0 for all if `stationary`, else one for each."""
    return np.zeros(H, np.int64) if stationary else np.arange(H)


@kernel
def new_counts(table: IntArray, sim: Simulator) -> Counts:
    """Return counts of zero."""
    S, A, B = sim.prob.shape[1:]
    G = table[-1] + 1
    return Counts(
        table, np.zeros((G, S, A), np.int64), np.zeros((G, S, A, B), np.int64), np.zeros((G, S, A, B))
    )


@kernel
def count(counts: Counts, h: int, s: int, a: int, slot: int) -> None:
    """Count the successor `slot` of (s, a) at stage `h`, in place."""
    g = counts.table[h]
    counts.n[g, s, a] += 1
    counts.n_next[g, s, a, slot] += 1
    for i in range(counts.P_hat.shape[3]):
        counts.P_hat[g, s, a, i] = counts.n_next[g, s, a, i] / counts.n[g, s, a]


@kernel
def optimistic(sim: Simulator) -> tuple[Array, IntArray]:
    """Return Q = H - h where an action is available, -inf elsewhere, and its greedy policy."""
    H, S, A = sim.r.shape
    Q = np.empty((H, S, A))
    pi = np.empty((H, S), np.int64)
    for h in range(H):
        for s in range(S):
            for a in range(A):
                Q[h, s, a] = H - h if sim.mask[s, a] else -np.inf
            pi[h, s] = np.argmax(Q[h, s])
    return Q, pi


@kernel
def greedy(q: Array) -> int:
    """Return the first index of the largest entry (`np.argmax` without its checks for NaN)."""
    best = 0
    for a in range(1, q.size):
        if q[a] > q[best]:
            best = a
    return best


@kernel
def initial_value(sim: Simulator, V: Array) -> float:
    """Return the mean of ``V[0]`` over the initial state."""
    total = 0.0
    for s in range(sim.mu.size):
        total += sim.mu[s] * V[0, s]
    return total
