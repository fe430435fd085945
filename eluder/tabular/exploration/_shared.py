"""What episodic explorers share: counts by successor slot, the optimistic start, the greedy action."""

from typing import NamedTuple

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.simulator import Simulator, simulator
from eluder.core.types import Array, IntArray

__all__ = [
    "Counts",
    "count",
    "episodic_simulator",
    "greedy",
    "initial_value",
    "mean",
    "mean_and_variance",
    "new_counts",
    "optimistic",
    "stage_table",
]


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


def episodic_simulator(mdp: EpisodicMDP) -> Simulator:
    """Return the simulator of an episodic problem; another kind would be read as one of a single stage."""
    if not isinstance(mdp, EpisodicMDP):
        raise ValueError(f"mdp must be an EpisodicMDP, got {type(mdp).__name__}")
    return simulator(mdp)


def stage_table(mdp: EpisodicMDP, stationary: bool, *, knows_r: bool = False) -> IntArray:
    """Return the table in which each stage counts: 0 for all if `stationary`, else one for each.

    A learner that `knows_r` may share the counts although the rewards depend on the stage.
    """
    if not isinstance(stationary, bool | np.bool_):
        raise ValueError(f"stationary must be True or False, got {stationary!r}")
    if stationary and mdp.P.ndim == 4:
        raise ValueError("stationary=True needs a kernel P of shape (S, A, S)")
    if stationary and mdp.r.ndim == 3 and not knows_r:
        raise ValueError("stationary=True needs rewards r of shape (S, A)")
    return np.zeros(mdp.H, np.int64) if stationary else np.arange(mdp.H)


def new_counts(table: IntArray, sim: Simulator) -> Counts:
    """Return counts of zero."""
    shape = (int(table[-1]) + 1, *sim.prob.shape[1:])
    return Counts(table, np.zeros(shape[:-1], np.int64), np.zeros(shape, np.int64), np.zeros(shape))


@kernel
def count(counts: Counts, h: int, s: int, a: int, slot: int) -> None:
    """Count the successor `slot` of (s, a) at stage `h`, in place."""
    g = counts.table[h]
    counts.n[g, s, a] += 1
    counts.n_next[g, s, a, slot] += 1
    for i in range(counts.P_hat.shape[3]):
        counts.P_hat[g, s, a, i] = counts.n_next[g, s, a, i] / counts.n[g, s, a]


@kernel
def mean(counts: Counts, sim: Simulator, h: int, s: int, a: int, V: Array) -> float:
    """Return ``P_hat V[h + 1]`` of the pair (s, a) at stage `h`."""
    g, m = counts.table[h], sim.stage[h]
    total = 0.0
    for i in range(counts.P_hat.shape[3]):
        total += counts.P_hat[g, s, a, i] * V[h + 1, sim.succ[m, s, a, i]]
    return total


@kernel
def mean_and_variance(
    counts: Counts, sim: Simulator, h: int, s: int, a: int, V: Array
) -> tuple[float, float]:
    """Return ``P_hat V[h + 1]`` and ``Var_{P_hat} V[h + 1]`` of the pair (s, a) at stage `h`."""
    g, m = counts.table[h], sim.stage[h]
    total = 0.0
    squares = 0.0
    for i in range(counts.P_hat.shape[3]):
        v = V[h + 1, sim.succ[m, s, a, i]]
        total += counts.P_hat[g, s, a, i] * v
        squares += counts.P_hat[g, s, a, i] * v**2
    return total, max(squares - total**2, 0.0)


@kernel
def greedy(q: Array) -> int:
    """Return the first index of the largest entry (`np.argmax` without its checks for NaN)."""
    best = 0
    top = q[0]
    for a in range(1, q.size):
        if q[a] > top:
            best = a
            top = q[a]
    return best


def optimistic(sim: Simulator) -> tuple[Array, IntArray]:
    """Return Q = H - h where an action is available, -inf elsewhere, and its greedy policy."""
    H = sim.stage.size
    Q = np.where(sim.mask, (H - np.arange(float(H)))[:, None, None], -np.inf)
    return Q, Q.argmax(axis=-1)


@kernel
def initial_value(sim: Simulator, V: Array) -> float:
    """Return the mean of ``V[0]`` over the initial state."""
    total = 0.0
    for s in range(sim.mu.size):
        total += sim.mu[s] * V[0, s]
    return total
