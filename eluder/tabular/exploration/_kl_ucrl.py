r"""KL-UCRL: optimism in Kullback-Leibler neighbourhoods (Filippi, Cappe & Garivier, Allerton 2010).

Pseudo-code (Algorithms 1 and 2), in our names::

    for episodes k = 1, 2, ... starting at time t = t_k (the first step is t = 1):
        r_up  <- min(1, r_hat + C_R / sqrt(N))                                                 # plan
        eps   <- C_P / N
        u     <- 0
        repeat  Q <- r_up + max {q u : KL(P_hat, q) <= eps};  u <- max_a Q
        until   the span of the change of u is below 1 / sqrt(t)
        play the greedy policy until some pair has doubled its visits                          # act, update

    max {q u : KL(p, q) <= eps}, with f(nu) = sum_i p_i ln(nu - u_i) + ln(sum_i p_i / (nu - u_i)):
        if the state of largest u is unseen (p = 0) and f(max u) < eps:  nu = max u
        else nu > max u solves f(nu) = eps, by Newton's method (f is convex and decreasing)
        q_i is proportional to p_i / (nu - u_i) where p_i > 0; an unseen best state gets the rest.

Here the value of the maximum is read off the dual, nu - exp(sum_i p_i ln(nu - u_i) - eps), whose minimum over
nu >= max u it is: an error in nu changes it in second order only, and never below the maximum. Pairs never
visited have every transition plausible: u_max.

Guarantee: with probability 1 - delta, for T large, regret <= C D S sqrt(A T ln(ln(T) / delta)) (Theorem 1,
from memory; its constant C was not confirmed). C_R and C_P below were compared with an independent
implementation that quotes them from the paper's proofs, not with the paper itself.

Deviations from the paper: optimistic rewards are cut off at 1 (rewards are in [0, 1]). Sweeps move u by 0.9
of the change: an unseen best state may be left without mass, the optimistic chain can then be periodic, and
plain value iteration would not stop; the certificate, the span of the change, is the same. Logarithms of T
are taken at max(T, 2).
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

__all__ = ["kl_ucrl"]

DAMPING = 0.9  # of extended value iteration


def kl_ucrl(mdp: DiscountedMDP, T: int, *, delta: float = 0.05, rng: np.random.Generator) -> OnlineResult:
    """Play T steps of KL-UCRL for the average reward.

    Parameters
    ----------
    mdp : DiscountedMDP
        The simulator, with rewards in [0, 1]; `gamma` is ignored. The learner reads neither `P` nor `r`: it
        sees states and rewards.
    T : int
        Number of steps; the confidence regions depend on it.
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
    O(B) time per step, B the number of successors of a pair; a plan takes O(S A B) logarithms per Newton step
    and sweep, a few times as long as UCRL2's. O(S A B + T) memory.

    References
    ----------
    .. [1] Filippi, Cappe and Garivier. Optimism in reinforcement learning and Kullback-Leibler divergence.
       Allerton Conference 2010, Theorem 1. arXiv:1004.5229

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import DiscountedMDP
    >>> bandit = DiscountedMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], gamma=1.0)
    >>> kl_ucrl(bandit, 2000, rng=np.random.default_rng(0)).pi
    array([1])
    """
    T = checks.integer("T", T)
    delta = checks.failure_probability("delta", delta)
    sim = average_simulator(mdp)
    S, A = mdp.mask.shape
    C_R, C_P = reward_constant(S, A, T, delta), transition_constant(S, A, T, delta)
    value, upper, Q, pi, N, cut = _kl_ucrl(sim, T, C_R, C_P, checks.generator(rng))
    warn_if_cut(cut, "kl_ucrl")
    return OnlineResult(value, upper, Q, pi, N)


def reward_constant(S: int, A: int, T: int, delta: float) -> float:
    """Return C_R = sqrt(ln(4 S A ln(T) / delta) / 1.99)."""
    return float(np.sqrt(np.log(4 * S * A * np.log(max(T, 2)) / delta) / 1.99))


def transition_constant(S: int, A: int, T: int, delta: float) -> float:
    """Return C_P = S (B + ln(B + 1/ln T) (1 + 1/(B + 1/ln T))) with B = ln(2 e S^2 A ln(T) / delta)."""
    log_T = np.log(max(T, 2))
    B = np.log(2 * np.e * S**2 * A * log_T / delta)
    x = B + 1 / log_T
    return float(S * (B + np.log(x) * (1 + 1 / x)))


PAPER = Paper(
    title="Optimism in reinforcement learning and Kullback-Leibler divergence",
    authors="Filippi, Cappe, Garivier",
    venue="Allerton Conference on Communication, Control, and Computing",
    year=2010,
    arxiv="1004.5229",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="average-reward regret",
        statement="regret O(D S sqrt(A T ln(ln(T) / delta))) w.p. 1 - delta (Theorem 1, from memory)",
        assumptions="communicating, rewards in [0, 1], T large; D the diameter",
        exponent=0.5,
    ),
)


def _kl_ucrl(
    sim: Simulator, T: int, C_R: float, C_P: float, rng: np.random.Generator
) -> tuple[Array, Array, Array, IntArray, IntArray, int]:
    """Run T steps; the last number counts the plans that stopped at the largest number of sweeps."""
    S, A = sim.mask.shape
    m = memory(sim)
    value, upper, Q = np.empty(T), np.empty(T), np.empty((S, A))
    pi, v = np.zeros(S, np.int64), np.zeros(S, np.int64)
    cut = _run(value, upper, Q, pi, m, v, work(sim), sim, C_R, C_P, rng)
    return value, upper, Q, pi, m.N, cut


class Work(NamedTuple):
    """Scratch of `_extended_value_iteration`: u (S,), PV (S, A), r_up (S, A), P_hat (S, A, B)."""

    u: Array
    PV: Array
    r_up: Array
    P_hat: Array


def work(sim: Simulator) -> Work:
    """Return empty scratch."""
    S, A, B = sim.prob.shape[1:]
    return Work(np.empty(S), np.empty((S, A)), np.empty((S, A)), np.empty((S, A, B)))


@kernel
def _run(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    m: Memory,
    v: IntArray,
    scratch: Work,
    sim: Simulator,
    C_R: float,
    C_P: float,
    rng: np.random.Generator,
) -> int:
    """Run ``T = value.size`` steps in place (all down to `scratch`); return how many plans were cut."""
    T = value.size
    s = reset(sim, rng)
    t = 0
    cut = 0

    while t < T:
        # plan
        gain, done = _extended_value_iteration(Q, pi, m, scratch, C_R, C_P, sim, 1.0 / np.sqrt(t + 1))
        cut += not done

        # act, update
        start = t
        s, t = play_episode(sim, pi, m, v, s, start, value, rng)
        upper[start:t] = gain
    return cut


@kernel
def _extended_value_iteration(
    Q: Array, pi: IntArray, m: Memory, scratch: Work, C_R: float, C_P: float, sim: Simulator, tol: float
) -> tuple[float, bool]:
    """Plan in place (`Q`, `pi`); return an upper bound on the optimistic gain, within `tol` of it."""
    S, A, B = m.n_next.shape
    u, PV, r_up, P_hat = scratch
    for s in range(S):
        u[s] = 0.0
        for a in range(A):
            r_up[s, a] = 1.0
            n = m.N[s, a]
            if n > 0:
                r_up[s, a] = min(1.0, m.reward[s, a] / n + C_R / np.sqrt(n))
                for i in range(B):
                    P_hat[s, a, i] = m.n_next[s, a, i] / n
    for _ in range(MAX_SWEEPS):
        top = u[np.argmax(u)]
        for s in range(S):
            for a in range(A):
                PV[s, a] = top
                if m.N[s, a] > 0:
                    PV[s, a] = kl_expectation(P_hat[s, a], sim.succ[0, s, a], u, top, C_P / m.N[s, a])
        low, high = backup(Q, u, r_up, PV, sim.mask, pi, DAMPING)
        if high - low < tol:
            return high, True
    return high, False


@kernel
def kl_expectation(p: Array, succ: IntArray, u: Array, top: float, eps: float) -> float:
    """Return ``max {sum_i q_i u_i : KL(p, q) <= eps}``, q over all states, of which `top` is the largest `u`.

    `p` holds the probabilities of the successors `succ`. In the notation of the module, x = nu - top.
    """
    mean = 0.0
    square = 0.0
    widest = 0.0
    nearest = np.inf  # gap to the best successor that is not itself the best state
    p_best = 0.0  # what the best state has
    for i in range(p.size):
        if p[i] > 0.0:
            gap = top - u[succ[i]]
            mean += p[i] * gap
            square += p[i] * gap * gap
            widest = max(widest, gap)
            if gap > 0.0:
                nearest = min(nearest, gap)
            else:
                p_best += p[i]
    if widest == 0.0:
        return top

    low = 0.0  # f(low) >= eps, or the answer is at 0
    if p_best > 0.0:
        if eps > 40.0 * (1.0 - p_best):  # q_i = p_i exp(-eps / (1 - p_best)) elsewhere is feasible
            return top
        low = nearest * np.exp((np.log(p_best) - eps) / (1.0 - p_best))
    f, slope, log_mean = _dual(p, succ, u, top, low)
    if f > eps:
        x = max(low, np.sqrt(max(square - mean * mean, 0.0) / (2.0 * eps)))
        for _ in range(100):
            f, slope, log_mean = _dual(p, succ, u, top, x)
            if abs(f - eps) <= 1e-7 * eps:
                break
            x = max(low, x - (f - eps) / slope)
        low = x
    return float(top + low - np.exp(log_mean - eps))


@kernel
def _dual(p: Array, succ: IntArray, u: Array, top: float, x: float) -> tuple[float, float, float]:
    """Return f, its derivative and ``sum_i p_i ln(nu - u_i)`` at nu = top + x."""
    log_mean = 0.0
    inverse = 0.0
    squared = 0.0
    for i in range(p.size):
        if p[i] > 0.0:
            gap = x + (top - u[succ[i]])
            log_mean += p[i] * np.log(gap)
            inverse += p[i] / gap
            squared += p[i] / (gap * gap)
    return log_mean + np.log(inverse), inverse - squared / inverse, log_mean
