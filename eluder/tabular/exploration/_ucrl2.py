r"""UCRL2: upper confidence for undiscounted reinforcement learning (Jaksch, Ortner & Auer, JMLR 2010).

Pseudo-code (Figures 1 and 2), in our names::

    for episodes k = 1, 2, ... starting at time t = t_k (the first step is t = 1):
        r_up  <- min(1, r_hat + sqrt(7 ln(2 S A t / delta) / (2 max(1, N))))                   # plan
        d     <- sqrt(14 S ln(2 A t / delta) / max(1, N))
        u     <- 0
        repeat  Q <- r_up + max {p u : |p - P_hat|_1 <= d};  u <- max_a Q
        until   the span of the change of u is below 1 / sqrt(t)
        play the greedy policy until some pair has doubled its visits                          # act, update

The inner maximum puts d / 2 more on the state of largest u and takes it from the states of smallest u. States
are sorted once per sweep, and the mass is taken from all pairs in one pass over the successors in that order.

Guarantee: with probability 1 - delta, from any start and for all T > 1, the regret is at most
34 D S sqrt(A T ln(T / delta)), D the diameter (Theorem 2); the number of episodes is at most
S A log2(8 T / (S A)) for T >= S A (Proposition 18).

Periodic policies: the inner maximum always leaves positive mass on the state of largest u, so extended value
iteration meets aperiodic chains only and converges (Theorem 7); nothing is added for it.

Deviations from the paper: none that changes a decision. `u` is shifted to min u = 0 after each sweep;
optimistic rewards are cut off at 1, since plausible problems have rewards in [0, 1].
"""

from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import DiscountedMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, reset
from eluder.core.types import Array, IntArray
from eluder.tabular.exploration._average_reward import (
    MAX_SWEEPS,
    Memory,
    average_simulator,
    backup,
    memory,
    play_episode,
    warn_if_cut,
)

__all__ = ["ucrl2"]


def ucrl2(mdp: DiscountedMDP, T: int, *, delta: float = 0.05, rng: np.random.Generator) -> OnlineResult:
    """Play T steps of UCRL2 for the average reward.

    Parameters
    ----------
    mdp : DiscountedMDP
        The simulator, with rewards in [0, 1]; `gamma` is ignored. The learner reads neither `P` nor `r`: it
        sees states and rewards.
    T : int
        Number of steps.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` (T,): mean reward of the pair visited at each step; ``upper`` (T,): optimistic gain of the
        current episode; ``Q`` (S, A), ``pi`` (S,): of the last plan; ``N`` (S, A).

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP or has a reward outside [0, 1], `T` < 1, `delta` is outside (0, 1), or
        `rng` is not a Generator.

    Notes
    -----
    O(B) time per step, B the number of successors of a pair; a plan takes O(S A B) per sweep of
    extended value iteration, and the sort of the states: O(S) where their order hardly changes, O(S^2) at
    worst. There are at most S A log2(8 T / (S A)) plans. O(S A B + T) memory.

    References
    ----------
    .. [1] Jaksch, Ortner and Auer. Near-optimal regret bounds for reinforcement learning. Journal of Machine
       Learning Research 11, 2010, Theorem 2.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import DiscountedMDP
    >>> bandit = DiscountedMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], gamma=1.0)
    >>> ucrl2(bandit, 2000, rng=np.random.default_rng(0)).pi
    array([1])
    """
    T = checks.integer("T", T)
    delta = checks.failure_probability("delta", delta)
    sim = average_simulator(mdp)
    value, upper, Q, pi, N, cut = _ucrl2(sim, columns(sim), T, delta, checks.generator(rng))
    warn_if_cut(cut, "ucrl2")
    return OnlineResult(value, upper, Q, pi, N)


@kernel
def reward_radius(n: int, t: int, S: int, A: int, delta: float) -> float:
    """Return sqrt(7 ln(2 S A t / delta) / (2 max(1, n))) (Equation 3)."""
    return float(np.sqrt(3.5 * np.log(2.0 * S * A * t / delta) / max(1, n)))


@kernel
def transition_radius(n: int, t: int, S: int, A: int, delta: float) -> float:
    """Return sqrt(14 S ln(2 A t / delta) / max(1, n)) (Equation 4)."""
    return float(np.sqrt(14.0 * S * np.log(2.0 * A * t / delta) / max(1, n)))


def bound(S: int, A: int, D: float, T: int, delta: float) -> float:
    """Return 34 D S sqrt(A T ln(T / delta)) (Theorem 2)."""
    return float(34 * D * S * np.sqrt(A * T * np.log(T / delta)))


def bound_episodes(S: int, A: int, T: int) -> float:
    """Return S A log2(8 T / (S A)), the largest number of episodes for T >= S A (Proposition 18)."""
    return float(S * A * np.log2(8 * T / (S * A)))


PAPER = Paper(
    title="Near-optimal regret bounds for reinforcement learning",
    authors="Jaksch, Ortner, Auer",
    venue="Journal of Machine Learning Research 11",
    year=2010,
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="average-reward regret",
        statement="regret at most 34 D S sqrt(A T ln(T / delta)) with probability 1 - delta (Theorem 2)",
        assumptions="communicating, rewards in [0, 1]; D the diameter",
        exponent=0.5,
        bound=bound,
    ),
)


class Columns(NamedTuple):
    """Successor slots grouped by the state they lead to.

    Attributes
    ----------
    start : ndarray of int, shape (S + 1,)
        Entries ``start[s'] : start[s' + 1]`` lead to s'.
    pair : ndarray of int, shape (E,)
        The pair ``s * A + a`` of each entry.
    slot : ndarray of int, shape (E,)
        Its slot among the successors of the pair.
    """

    start: IntArray
    pair: IntArray
    slot: IntArray


def columns(sim: Simulator) -> Columns:
    """Group the slots of a simulator by successor."""
    _, S, _, B = sim.prob.shape
    used = np.flatnonzero(sim.prob[0] > 0)
    successor = sim.succ[0].ravel()[used]
    order = np.argsort(successor, kind="stable")
    start = np.searchsorted(successor[order], np.arange(S + 1))
    return Columns(start, used[order] // B, used[order] % B)


def _ucrl2(
    sim: Simulator, col: Columns, T: int, delta: float, rng: np.random.Generator
) -> tuple[Array, Array, Array, IntArray, IntArray, int]:
    """Run T steps; the last number counts the plans that stopped at the largest number of sweeps."""
    _, S, A = sim.r.shape
    m = memory(sim)
    value, upper, P_hat = np.empty(T), np.empty(T), np.empty(col.pair.size)
    pi, v = np.zeros(S, np.int64), np.zeros(S, np.int64)
    Q, r_up, d = np.empty((S, A)), np.empty((S, A)), np.empty((S, A))
    cut = _run(value, upper, Q, pi, m, v, r_up, P_hat, d, work(S, A), sim, col, delta, rng)
    return value, upper, Q, pi, m.N, cut


class Work(NamedTuple):
    """Scratch of `_extended_value_iteration`: u (S,), PV (S, A), left (S * A,), order (S,)."""

    u: Array
    PV: Array
    left: Array
    order: IntArray


def work(S: int, A: int) -> Work:
    """Return empty scratch."""
    return Work(np.empty(S), np.empty((S, A)), np.empty(S * A), np.empty(S, np.int64))


@kernel
def _run(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    m: Memory,
    v: IntArray,
    r_up: Array,
    P_hat: Array,
    d: Array,
    scratch: Work,
    sim: Simulator,
    col: Columns,
    delta: float,
    rng: np.random.Generator,
) -> int:
    """Run ``T = value.size`` steps in place (all down to `scratch`); return how many plans were cut."""
    S, A = Q.shape
    T = value.size
    s = reset(sim, rng)
    t = 0
    cut = 0

    while t < T:
        # plan
        for i in range(S):
            for a in range(A):
                n = m.N[i, a]
                r_up[i, a] = min(1.0, m.reward[i, a] / max(1, n) + reward_radius(n, t + 1, S, A, delta))
                d[i, a] = transition_radius(n, t + 1, S, A, delta)
        for e in range(P_hat.size):
            i, a = col.pair[e] // A, col.pair[e] % A
            P_hat[e] = m.n_next[i, a, col.slot[e]] / max(1, m.N[i, a])
        gain, done = _extended_value_iteration(Q, pi, r_up, P_hat, d, scratch, sim, col, 1.0 / np.sqrt(t + 1))
        cut += not done

        # act, update
        start = t
        s, t = play_episode(sim, pi, m, v, s, start, value, rng)
        upper[start:t] = gain
    return cut


@kernel
def _extended_value_iteration(
    Q: Array,
    pi: IntArray,
    r_up: Array,
    P_hat: Array,
    d: Array,
    scratch: Work,
    sim: Simulator,
    col: Columns,
    tol: float,
) -> tuple[float, bool]:
    """Plan in place (`Q`, `pi`); return an upper bound on the optimistic gain, within `tol` of it."""
    u, PV, left, order = scratch
    for s in range(u.size):
        u[s] = 0.0
        order[s] = s
    for _ in range(MAX_SWEEPS):
        _sort(order, u)
        _kind_expectations(PV.reshape(-1), left, P_hat, d.reshape(-1), u, order, col)
        low, high = backup(Q, u, r_up, PV, sim.mask, pi, 1.0)
        if high - low < tol:
            return high, True
    return high, False


@kernel
def _sort(order: IntArray, u: Array) -> None:
    """Sort the states `order` by increasing `u` in place; linear if little changed since the last sweep."""
    for i in range(1, order.size):
        s = order[i]
        j = i
        while j > 0 and u[order[j - 1]] > u[s]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = s


@kernel
def _kind_expectations(
    PV: Array, left: Array, P_hat: Array, d: Array, u: Array, order: IntArray, col: Columns
) -> None:
    """Set ``PV[pair] = max {p u : |p - P_hat|_1 <= d}`` for all pairs; `left` is scratch of the same size.

    `left` is the mass that the state of largest `u` gets and that is still to be taken from the others.
    """
    best = order[-1]
    for i in range(PV.size):
        left[i] = min(1.0, d[i] / 2.0)
    for e in range(col.start[best], col.start[best + 1]):
        left[col.pair[e]] = min(left[col.pair[e]], 1.0 - P_hat[e])
    for i in range(PV.size):
        PV[i] = left[i] * u[best]
    for s in order:
        for e in range(col.start[s], col.start[s + 1]):
            i = col.pair[e]
            taken = min(P_hat[e], left[i])
            left[i] -= taken
            PV[i] += (P_hat[e] - taken) * u[s]
