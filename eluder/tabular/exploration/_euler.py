r"""EULER: episodic upper lower exploration in reinforcement learning (Zanette & Brunskill, ICML 2019).

Pseudo-code (Algorithm 1), in our names::

    for k = 1, ..., K:
        for h = H-1, ..., 0 and each s:                                             # plan
            for each a with n = N(s, a) > 1:
                Q[h, s, a] <- min(H - h, r_hat + b_r + P_hat V_up[h+1] + b(V_up))
            a <- argmax Q[h, s, .];  V_up[h, s] <- Q[h, s, a]
            V_low[h, s] <- max(0, r_hat - b_r + P_hat V_low[h+1] - b(V_low))
        for h = 0, ..., H-1:                                                        # act
            play a = argmax Q[h, s, .], observe r and s', count them                # update

    b_r    = sqrt(2 Var(r) L / n) + 7 L / (3 (n - 1))
    b(V)   = phi(V) + (4 J + B_p) / n + B_v sqrt(P_hat (V_up[h+1] - V_low[h+1])^2 / n)
    phi(V) = sqrt(2 Var_{P_hat} V[h+1] L / n) + H L / (3 (n - 1))

with J = H L / 3, B_p = H sqrt(2 L), B_v = sqrt(2 L), L = ln(4 S A T / delta'), delta' = delta / 7, T = K H.

The first part of b is an empirical Bernstein bound for V*; the second pays for V* being unknown, by the
distance of its two bounds, and so shrinks where the problem is easy.

Guarantee, for a kernel that does not depend on the stage: with probability 1 - delta, V_low <= V* <= V_up and
the regret is at most the smaller of O~(sqrt(Q* S A T)) and O~(sqrt(G^2 S A K)), plus
O~(sqrt(S) S A H^2 (sqrt(S) + sqrt(H))), where Q* is the largest variance of one reward
plus the next value, and G bounds the return; the learner knows neither (Theorem 1).

The constants of the bonus agree with an independent implementation of the pseudo-code; delta' is from memory.

Deviations from the paper: `c` multiplies the bonuses (1 is the paper's); a pair visited once has no bonus
(n - 1 = 0) and keeps the trivial bounds; the variance of the rewards is the unbiased one; counts may depend
on the stage.
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, policy_value, reset, step
from eluder.core.types import Array, IntArray
from eluder.tabular.exploration._shared import (
    Counts,
    count,
    episodic_simulator,
    greedy,
    initial_value,
    mean,
    mean_and_variance,
    new_counts,
    optimistic,
    stage_table,
)

__all__ = ["euler"]


def euler(
    mdp: EpisodicMDP,
    K: int,
    *,
    stationary: bool = False,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of EULER, whose bonuses adapt to the variance of the problem.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the horizon and the numbers of states and actions; it reads neither
        `P` nor `r`.
    K : int
        Number of episodes.
    stationary : bool, default=False
        Share the counts between stages, as in the paper; only if `P` and `r` do not depend on the stage.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the bonuses; 1 is the paper's, smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,); ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1, `delta` is outside (0, 1), `c` is negative, `rng` is not a
        Generator, or `stationary` is asked of a problem that depends on the stage.

    Notes
    -----
    O(H S A B) time per episode, B the number of successors of a pair; O(H S A B) memory.

    References
    ----------
    .. [1] Zanette and Brunskill. Tighter problem-dependent regret bounds in reinforcement learning without
       domain knowledge using value function bounds. ICML 2019, Theorem 1. arXiv:1901.00210

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> euler(bandit, 100, c=0.01, rng=np.random.default_rng(0)).pi
    array([[1]])
    """
    K = checks.integer("K", K)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    sim = episodic_simulator(mdp)
    tables = stage_table(mdp, stationary)
    H, S, A = sim.r.shape
    L = log_term(S, A, K, H, delta)
    value, upper, _, Q, pi, N = _euler(sim, K, tables, L, c, checks.generator(rng))
    return OnlineResult(value, upper, Q, pi, N)


def log_term(S: int, A: int, K: int, H: int, delta: float) -> float:
    """Return L = ln(4 S A T / delta') with T = K H and delta' = delta / 7."""
    return float(np.log(4 * S * A * K * H * 7 / delta))


@kernel
def reward_bonus(n: int, variance: float, L: float) -> float:
    """Return b_r for n > 1 rewards in [0, 1]."""
    return float(np.sqrt(2.0 * variance * L / n) + 7.0 * L / (3.0 * (n - 1)))


@kernel
def value_bonus(n: int, variance: float, H: int, L: float) -> float:
    """Return phi for n > 1 samples of a value in [0, H]."""
    return float(np.sqrt(2.0 * variance * L / n) + H * L / (3.0 * (n - 1)))


@kernel
def correction(n: int, gap: float, H: int, L: float) -> float:
    """Return the second part of b; `gap` is the mean of (V_up - V_low)^2 under P_hat."""
    B_v = np.sqrt(2.0 * L)
    return float((4.0 * H * L / 3.0 + H * B_v) / n + B_v * np.sqrt(gap / n))


@kernel
def transition_bonus(n: int, variance: float, gap: float, H: int, L: float) -> float:
    """Return b(V) for the variance of V and the `gap` of `correction`."""
    return value_bonus(n, variance, H, L) + correction(n, gap, H, L)


PAPER = Paper(
    title="Tighter problem-dependent regret bounds in reinforcement learning without domain knowledge "
    "using value function bounds",
    authors="Zanette, Brunskill",
    venue="ICML",
    year=2019,
    arxiv="1901.00210",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(min(sqrt(Q* S A T), sqrt(G^2 S A K))), T = K H, for K large (Theorem 1)",
        assumptions="stationary kernel, c = 1",
        exponent=0.5,
        when={"stationary": True},
    ),
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(sqrt(K)): Theorem 1 with H S states",
        assumptions="c = 1",
        exponent=0.5,
        when={"stationary": False},
    ),
)


def _euler(
    sim: Simulator, K: int, table: IntArray, L: float, c: float, rng: np.random.Generator
) -> tuple[Array, Array, Array, Array, IntArray, IntArray]:
    """Run K episodes; stage h counts in ``table[h]``. The third array is the lower estimate of the value."""
    H, S, A = sim.r.shape
    Q, pi = optimistic(sim)
    N = np.zeros((H, S, A), np.int64)
    value, upper, lower = np.empty(K), np.empty(K), np.empty(K)
    V_up, V_low, V_pi, gap = (np.zeros((H + 1, S)) for _ in range(4))
    counts = new_counts(table, sim)
    r_up, r_low, rewards = (np.zeros((*counts.n.shape, *more)) for more in ((), (), (2,)))
    _run(value, upper, lower, Q, pi, N, V_up, V_low, V_pi, gap, r_up, r_low, rewards, counts, sim, L, c, rng)
    return value, upper, lower, Q, pi, N


@kernel
def _run(
    value: Array,
    upper: Array,
    lower: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    V_up: Array,
    V_low: Array,
    V_pi: Array,
    gap: Array,
    r_up: Array,
    r_low: Array,
    rewards: Array,
    counts: Counts,
    sim: Simulator,
    L: float,
    c: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`)."""
    H = pi.shape[0]
    for k in range(value.size):
        # plan
        top = _plan(Q, V_up, V_low, gap, pi, counts, r_up, r_low, sim, L, c)
        if k == 0 or top >= 0:
            value[k] = policy_value(sim, pi, V_pi, H - 1 if k == 0 else top)  # measurement
        else:
            value[k] = value[k - 1]
        upper[k] = initial_value(sim, V_up)
        lower[k] = initial_value(sim, V_low)

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, reward, slot = step(sim, h, s, a, rng)

            # update
            count(counts, h, s, a, slot)
            _bound_reward(r_up, r_low, rewards, counts, h, s, a, reward, L, c)
            N[h, s, a] += 1
            s = s_next


@kernel
def _bound_reward(
    r_up: Array,
    r_low: Array,
    rewards: Array,
    counts: Counts,
    h: int,
    s: int,
    a: int,
    reward: float,
    L: float,
    c: float,
) -> None:
    """Add a reward to the sums `rewards` of the pair, and renew its r_hat + b_r and r_hat - b_r, in place."""
    g = counts.table[h]
    n = counts.n[g, s, a]
    rewards[g, s, a, 0] += reward
    rewards[g, s, a, 1] += reward**2
    if n > 1:
        r_hat = rewards[g, s, a, 0] / n
        variance = max(rewards[g, s, a, 1] - n * r_hat**2, 0.0) / (n - 1)
        b = c * reward_bonus(n, variance, L)
        r_up[g, s, a] = r_hat + b
        r_low[g, s, a] = r_hat - b


@kernel
def _plan(
    Q: Array,
    V_up: Array,
    V_low: Array,
    gap: Array,
    pi: IntArray,
    counts: Counts,
    r_up: Array,
    r_low: Array,
    sim: Simulator,
    L: float,
    c: float,
) -> int:
    """Plan in place (`Q`, `V_up`, `V_low`, `pi`); return the last stage where `pi` changed, or -1.

    `gap` (H + 1, S) is scratch: the squares of V_up - V_low.
    """
    H, S, A = Q.shape
    top = -1
    for h in range(H - 1, -1, -1):
        g = counts.table[h]
        for s in range(S):
            gap[h + 1, s] = (V_up[h + 1, s] - V_low[h + 1, s]) ** 2
        for s in range(S):
            for a in range(A):
                n = counts.n[g, s, a]
                if n > 1:
                    PV, variance = mean_and_variance(counts, sim, h, s, a, V_up)
                    b = transition_bonus(n, variance, mean(counts, sim, h, s, a, gap), H, L)
                    Q[h, s, a] = min(float(H - h), r_up[g, s, a] + PV + c * b)
            a = greedy(Q[h, s])
            if a != pi[h, s]:
                pi[h, s] = a
                top = max(top, h)
            V_up[h, s] = Q[h, s, a]
            V_low[h, s] = 0.0
            n = counts.n[g, s, a]
            if n > 1:
                PV, variance = mean_and_variance(counts, sim, h, s, a, V_low)
                b = transition_bonus(n, variance, mean(counts, sim, h, s, a, gap), H, L)
                V_low[h, s] = max(0.0, r_low[g, s, a] + PV - c * b)
    return top
