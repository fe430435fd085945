r"""Optimistic Q-learning, UCB-H and UCB-B (Jin, Allen-Zhu, Bubeck & Jordan, NeurIPS 2018).

Pseudo-code (Algorithms 1 and 2), in our names::

    Q[h, s, a] <- H - h;  V[h, s] <- H - h;  N, mu, sigma, beta <- 0
    for k = 1, ..., K:
        for h = 0, ..., H-1:
            play a = argmax Q[h, s, .], observe r and s'                            # act
            t <- N[h, s, a] += 1;   alpha_t <- (H + 1) / (H + t)                    # update
            Q[h, s, a] <- (1 - alpha_t) Q[h, s, a] + alpha_t (r + V[h+1, s'] + b_t)
            V[h, s]    <- min(H - h, max_a Q[h, s, a])

    bonus "hoeffding":  b_t = c sqrt(H^3 iota / t)                                  # Algorithm 1
    bonus "bernstein":  mu += V[h+1, s'];  sigma += V[h+1, s']^2                    # Algorithm 2
                        W_t    = sigma / t - (mu / t)^2
                        beta_t = c min(sqrt(H (W_t + H) iota / t) + sqrt(H^7 S A) iota / t,
                                       sqrt(H^3 iota / t))
                        b_t    = (beta_t - (1 - alpha_t) beta_{t-1}) / (2 alpha_t)

with iota = ln(S A T / delta) and T = K H.

Guarantee: with probability 1 - delta, regret O(sqrt(H^4 S A T iota)) with Hoeffding bonuses (Theorem 1) and
O(sqrt(H^3 S A T iota) + sqrt(H^9 S^3 A^3) iota^2) with Bernstein bonuses (Theorem 2), for an absolute
constant c (two of them, c1 and c2, with Bernstein bonuses) that the paper does not give.

Deviations from the paper: Q starts at, and V is cut off at, H - h instead of H (the reward left; rewards are
in [0, 1]); one `c` takes the place of c, c1 and c2, and nothing proves that 1 is large enough.
"""

from typing import Literal

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import PolicyLog, Simulator, measure, policy_log, reset, step
from eluder.core.types import Array, IntArray
from eluder.tabular.exploration._shared import episodic_simulator, greedy, initial_value, optimistic

__all__ = ["ucb_q_learning"]


def ucb_q_learning(
    mdp: EpisodicMDP,
    K: int,
    *,
    bonus: Literal["hoeffding", "bernstein"] = "hoeffding",
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of Q-learning with upper confidence bounds.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the horizon; it reads neither `P` nor `r`.
    K : int
        Number of episodes.
    bonus : {"hoeffding", "bernstein"}, default="hoeffding"
        Algorithm 1 or Algorithm 2 of the paper.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the bonus: the paper's unspecified constant. Smaller is common in practice.
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
        or `rng` is not a Generator.

    Notes
    -----
    The learner takes O(H A) time per episode and O(H S A) memory. The exact value of the played policy costs
    up to O(H S B) more in episodes that change it, B the number of successors of a pair; up to 128 policies
    are evaluated side by side, in O(128 (H + S)) memory.

    References
    ----------
    .. [1] Jin, Allen-Zhu, Bubeck and Jordan. Is Q-learning provably efficient? NeurIPS 2018,
       Theorems 1 and 2. arXiv:1807.03765

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> ucb_q_learning(bandit, 100, c=0.01, rng=np.random.default_rng(0)).pi
    array([[1]])
    """
    K = checks.integer("K", K)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    if bonus not in ("hoeffding", "bernstein"):
        raise ValueError(f"bonus must be 'hoeffding' or 'bernstein', got {bonus!r}")
    sim = episodic_simulator(mdp)
    H, S, A = sim.r.shape
    iota = log_term(S, A, K, H, delta)
    rng = checks.generator(rng)
    Q, pi = optimistic(sim)
    V = np.repeat(np.arange(H, -1.0, -1.0), S).reshape(H + 1, S)  # H - h
    N, moments = np.zeros((H, S, A), np.int64), np.zeros((H, S, A, 3))
    value, upper, log = np.empty(K), np.empty(K), policy_log(sim, pi)
    _ucb_q_learning(Q, V, pi, N, moments, value, upper, log, sim, bonus == "bernstein", iota, c, rng)
    return OnlineResult(value, upper, Q, pi, N)


def log_term(S: int, A: int, K: int, H: int, delta: float) -> float:
    """Return iota = ln(S A T / delta) with T = K H."""
    return float(np.log(S * A * K * H / delta))


@kernel
def step_size(t: int, H: int) -> float:
    """Return alpha_t = (H + 1) / (H + t)."""
    return float((H + 1.0) / (H + t))


@kernel
def hoeffding_bonus(t: int, H: int, iota: float) -> float:
    """Return sqrt(H^3 iota / t) (Algorithm 1, without c)."""
    return float(np.sqrt(H * H * H * iota / t))


@kernel
def bernstein_radius(t: int, W: float, S: int, A: int, H: int, iota: float) -> float:
    """Return beta_t for the variance `W` of the next values (Algorithm 2, without c1 and c2)."""
    bernstein = np.sqrt(H * (W + H) * iota / t) + np.sqrt(float(H) ** 7 * S * A) * iota / t
    return min(float(bernstein), hoeffding_bonus(t, H, iota))


@kernel
def bernstein_bonus(beta: float, beta_before: float, alpha: float) -> float:
    """Return the b_t that makes ``sum_i alpha_t^i b_i = beta_t / 2`` (Algorithm 2)."""
    return (beta - (1.0 - alpha) * beta_before) / (2.0 * alpha)


PAPER = Paper(
    title="Is Q-learning provably efficient?",
    authors="Jin, Allen-Zhu, Bubeck, Jordan",
    venue="NeurIPS",
    year=2018,
    arxiv="1807.03765",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O(sqrt(H^4 S A T iota)), T = K H, with probability 1 - delta (Theorem 1)",
        assumptions="c a large enough absolute constant",
        exponent=0.5,
        when={"bonus": "hoeffding"},
    ),
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O(sqrt(H^3 S A T iota) + sqrt(H^9 S^3 A^3) iota^2) w.p. 1 - delta (Theorem 2)",
        assumptions="c a large enough absolute constant",
        exponent=0.5,
        when={"bonus": "bernstein"},
    ),
)


@kernel
def _ucb_q_learning(
    Q: Array,
    V: Array,
    pi: IntArray,
    N: IntArray,
    moments: Array,
    value: Array,
    upper: Array,
    log: PolicyLog,
    sim: Simulator,
    bernstein: bool,
    iota: float,
    c: float,
    rng: np.random.Generator,
) -> None:
    """Run K = ``value.size`` episodes in place (all arrays and `log`).

    `moments` holds, for each (h, s, a), the sums mu and sigma of V[h+1] and its square, and the last beta.
    """
    H, S, A = Q.shape
    for k in range(value.size):
        measure(log, sim, pi, k, value)  # measurement
        upper[k] = initial_value(sim, V)

        # act
        s = reset(sim, rng)
        for h in range(H):
            log.path[h] = s
            a = pi[h, s]
            s_next, reward, _ = step(sim, h, s, a, rng)

            # update
            N[h, s, a] += 1
            t = N[h, s, a]
            alpha = step_size(t, H)
            v = V[h + 1, s_next]
            if bernstein:
                m = moments[h, s, a]
                m[0] += v
                m[1] += v * v
                beta = bernstein_radius(t, max(m[1] / t - (m[0] / t) ** 2, 0.0), S, A, H, iota)
                b = bernstein_bonus(beta, m[2], alpha)
                m[2] = beta
            else:
                b = hoeffding_bonus(t, H, iota)
            Q[h, s, a] = (1.0 - alpha) * Q[h, s, a] + alpha * (reward + v + c * b)
            pi[h, s] = greedy(Q[h, s])
            V[h, s] = min(float(H - h), Q[h, s, pi[h, s]])
            s = s_next
