r"""UCBVI: upper-confidence-bound value iteration (Azar, Osband & Munos, ICML 2017).

Pseudo-code (Algorithms 1 to 4), in our names::

    N <- 0;  Q[h, s, a] <- H - h
    for k = 1, ..., K:
        for h = H-1, ..., 0 and each visited (s, a):                                # plan
            P_hat <- N(s, a, .) / N(s, a)
            b     <- bonus(h, s, a)
            Q[h, s, a] <- min(Q[h, s, a], H - h, r[h, s, a] + P_hat V[h+1] + b)
            V[h, s]    <- max_a Q[h, s, a]
        for h = 0, ..., H-1:                                                        # act
            play a = argmax Q[h, s, .], observe s';  N(s, a, s') += 1               # update

    bonus "hoeffding":  7 H L / sqrt(n)                                             # Algorithm 3
    bonus "bernstein":  sqrt(8 L Var_{P_hat} V[h+1] / n) + 14 H L / (3 n)           # Algorithm 4
                        + sqrt(8 P_hat min(100^2 H^3 S^2 A L^2 / N'[h+1], H^2) / n)

with n = N(s, a), L = ln(5 S A T / delta), T = K H, and N'[h, s] the visits of state s at stage h.

Guarantee, for a kernel that does not depend on the stage and counts shared by the stages: with probability
1 - delta, with L' = ln(5 H S A T / delta), the regret is at most

    20 H^{3/2} L' sqrt(S A K) + 250 H^2 S^2 A L'^2                          (Hoeffding, Theorem 1)
    30 H L' sqrt(S A K) + 2500 H^2 S^2 A L'^2 + 4 H^{3/2} sqrt(K L')        (Bernstein, Theorem 2).

These constants are those printed in the paper; its appendix does not follow all of them through.

Deviations from the paper: Q starts at, and is cut off at, H - h instead of H (the reward left; rewards are in
[0, 1]); `c` multiplies the bonus (1 is the paper's); counts may depend on the stage, which makes H times as
many pairs: there the rate in K is the same, and no constants are claimed.
"""

from typing import Literal

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

__all__ = ["ucbvi"]


def ucbvi(
    mdp: EpisodicMDP,
    K: int,
    *,
    bonus: Literal["hoeffding", "bernstein"] = "hoeffding",
    stationary: bool = False,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of UCBVI.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the mean rewards `r` and the horizon; it never reads `P`.
    K : int
        Number of episodes.
    bonus : {"hoeffding", "bernstein"}, default="hoeffding"
        Algorithm 3 or Algorithm 4 of the paper.
    stationary : bool, default=False
        Share the counts between stages, as in the paper; only for a kernel that does not depend on the stage.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the bonus; 1 is the paper's, smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,); ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1, `delta` is outside (0, 1), `c` is negative, `bonus` is unknown,
        `rng` is not a Generator, or `stationary` is asked of a kernel that depends on the stage.

    Notes
    -----
    O(H S A B) time per episode, B the number of successors of a pair; O(H S A B) memory.

    References
    ----------
    .. [1] Azar, Osband and Munos. Minimax regret bounds for reinforcement learning. ICML 2017,
       Theorems 1 and 2. arXiv:1703.05449

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> ucbvi(bandit, 100, c=0.01, rng=np.random.default_rng(0)).pi
    array([[1]])
    """
    K = checks.integer("K", K)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    if bonus not in ("hoeffding", "bernstein"):
        raise ValueError(f"bonus must be 'hoeffding' or 'bernstein', got {bonus!r}")
    sim = episodic_simulator(mdp)
    tables = stage_table(mdp, stationary, knows_r=True)
    H, S, A = sim.r.shape
    L = log_term(S, A, K, H, delta)
    rng = checks.generator(rng)
    return OnlineResult(*_ucbvi(sim, K, tables, bonus == "bernstein", L, c, rng))


def log_term(S: int, A: int, K: int, H: int, delta: float) -> float:
    """Return L = ln(5 S A T / delta) with T = K H."""
    return float(np.log(5 * S * A * K * H / delta))


@kernel
def hoeffding_bonus(n: int, H: int, L: float) -> float:
    """Return 7 H L / sqrt(n) (Algorithm 3)."""
    return float(7.0 * H * L / np.sqrt(n))


@kernel
def bernstein_bonus(n: int, variance: float, correction: float, H: int, L: float) -> float:
    """Return the bonus of Algorithm 4 for the empirical variance of V and the mean of `correction_term`."""
    first_order = np.sqrt(8.0 * L * variance / n) + 14.0 * H * L / (3.0 * n)
    return float(first_order + np.sqrt(8.0 * correction / n))


@kernel
def correction_term(n: int, S: int, A: int, H: int, L: float) -> float:
    """Return min(100^2 H^3 S^2 A L^2 / n, H^2) for a state visited n times at a stage; H^2 if never."""
    if n == 0:
        return float(H * H)
    return min(1e4 * (H * H * H) * (S * S) * A * (L * L) / n, float(H * H))


def bound_hoeffding(S: int, A: int, H: int, K: int, delta: float) -> float:
    """Return 20 H^{3/2} L sqrt(S A K) + 250 H^2 S^2 A L^2 with L = ln(5 H S A T / delta) (Theorem 1)."""
    L = log_term(S, A, K, H, delta / H)
    return float(20 * H**1.5 * L * np.sqrt(S * A * K) + 250 * H**2 * S**2 * A * L**2)


def bound_bernstein(S: int, A: int, H: int, K: int, delta: float) -> float:
    """Return 30 H L sqrt(S A K) + 2500 H^2 S^2 A L^2 + 4 H^{3/2} sqrt(K L), L as above (Theorem 2)."""
    L = log_term(S, A, K, H, delta / H)
    tail = 4 * H**1.5 * np.sqrt(K * L)
    return float(30 * H * L * np.sqrt(S * A * K) + 2500 * H**2 * S**2 * A * L**2 + tail)


PAPER = Paper(
    title="Minimax regret bounds for reinforcement learning",
    authors="Azar, Osband, Munos",
    venue="ICML",
    year=2017,
    arxiv="1703.05449",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(H^{3/2} sqrt(S A K)) with probability 1 - delta (Theorem 1)",
        assumptions="stationary kernel, known rewards, c = 1",
        exponent=0.5,
        bound=bound_hoeffding,
        when={"bonus": "hoeffding", "stationary": True},
    ),
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(H sqrt(S A K)) with probability 1 - delta for K large (Theorem 2)",
        assumptions="stationary kernel, known rewards, c = 1",
        exponent=0.5,
        bound=bound_bernstein,
        when={"bonus": "bernstein", "stationary": True},
    ),
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(sqrt(K)): Theorems 1 and 2 with H S states; constants not confirmed",
        assumptions="known rewards, c = 1",
        exponent=0.5,
        when={"stationary": False},
    ),
)


def _ucbvi(
    sim: Simulator,
    K: int,
    table: IntArray,
    bernstein: bool,
    L: float,
    c: float,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array, IntArray, IntArray]:
    """Run K episodes; stage h counts in ``table[h]``."""
    H, S, A = sim.r.shape
    Q, pi = optimistic(sim)
    N = np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    V, V_pi, visits = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H + 1, S), np.int64)
    W = np.full((H + 1, S), float(H * H))
    _run(value, upper, Q, pi, N, V, V_pi, visits, W, new_counts(table, sim), sim, bernstein, L, c, rng)
    return value, upper, Q, pi, N


@kernel
def _run(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    V: Array,
    V_pi: Array,
    visits: IntArray,
    W: Array,
    counts: Counts,
    sim: Simulator,
    bernstein: bool,
    L: float,
    c: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`); ``W[h, s]`` is the `correction_term`."""
    H, S, A = Q.shape
    for k in range(value.size):
        # plan
        top = _plan(Q, V, pi, counts, W, sim, bernstein, L, c)
        if k == 0 or top >= 0:
            value[k] = policy_value(sim, pi, V_pi, H - 1 if k == 0 else top)  # measurement
        else:
            value[k] = value[k - 1]
        upper[k] = initial_value(sim, V)

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, slot = step(sim, h, s, a, rng)

            # update
            count(counts, h, s, a, slot)
            N[h, s, a] += 1
            visits[h + 1, s_next] += 1
            if bernstein:
                W[h + 1, s_next] = correction_term(visits[h + 1, s_next], S, A, H, L)
            s = s_next


@kernel
def _plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    counts: Counts,
    W: Array,
    sim: Simulator,
    bernstein: bool,
    L: float,
    c: float,
) -> int:
    """Plan in place (`Q`, `V`, `pi`); return the last stage where `pi` changed, or -1."""
    H, S, A = Q.shape
    top = -1
    for h in range(H - 1, -1, -1):
        visits = counts.n[counts.table[h]]
        for s in range(S):
            for a in range(A):
                n = visits[s, a]
                if n > 0:
                    if bernstein:
                        PV, variance = mean_and_variance(counts, sim, h, s, a, V)
                        b = bernstein_bonus(n, variance, mean(counts, sim, h, s, a, W), H, L)
                    else:
                        PV = mean(counts, sim, h, s, a, V)
                        b = hoeffding_bonus(n, H, L)
                    Q[h, s, a] = min(Q[h, s, a], float(H - h), sim.r[h, s, a] + PV + c * b)
            best = greedy(Q[h, s])
            if best != pi[h, s]:
                pi[h, s] = best
                top = max(top, h)
            V[h, s] = Q[h, s, best]
    return top
