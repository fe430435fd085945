r"""LSVI-UCB: optimistic least-squares value iteration (Jin, Yang, Wang & Jordan, COLT 2020).

Pseudo-code (algorithm 1), in our names::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            w <- Lambda^-1 sum of phi (r + max_a Q[h+1](s', a)) over these rounds
            Q[h] <- min(phi w + beta sqrt(phi' Lambda^-1 phi), H - h)
        for h = 0, ..., H-1:                                                        # act, update
            play a = argmax Q[h](s, .), observe r and s'

with lam = 1, beta = c H (d sqrt(L) + zeta sqrt(k d)), L = ln(2 d T / delta) and T = K H, where zeta is how
far the problem may be from linear.

Guarantee: with |phi| <= 1 the regret is O(sqrt(d^3 H^3 T) L) with probability at least 1 - delta, for an
absolute constant c (Theorem 3.1); if the problem is zeta-approximately linear, zeta d H T sqrt(L) more
(Theorem 3.2).

With ``rare=True`` Q is only computed anew when det Lambda of some stage has doubled since (Wang, Zhou & Gu,
NeurIPS 2021): at most ``d H log2(1 + K / (d lam))`` times, at the same rate of the regret.

Deviations from the paper: it leaves the constant c open, here 1 unless given; Q is cut off at H - h instead
of H (the reward left). The sums over the rounds are kept as statistics, not computed over again: the same
numbers at a cost that does not grow with K.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import dot, kernel
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP
from eluder.core.linear_simulator import LinearSimulator, linear_simulator, measure, reset, step
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_predictions, add_round, new_regression, solve
from eluder.linear.exploration._greedy import act_greedily

__all__ = ["lsvi_ucb"]


def lsvi_ucb(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    K: int,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    rare: bool = False,
    zeta: float = 0.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of LSVI-UCB.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The simulator. The learner knows `phi` and the horizon; it sees states and rewards.
    K : int
        Number of episodes.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice.
    rare : bool, default=False
        Plan only when the determinant of a stage's matrix has doubled.
    zeta : float, default=0.0
        Bound on the misspecification, in [0, 1].
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,); ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is negative or
        makes a radius above 1e100, `rare` is not a truth value, `zeta` is outside [0, 1], or `rng` is not a
        Generator.

    Notes
    -----
    O(H (d^2 + d S + S A d)) time per episode, whatever K is, beside the exact evaluation of the policy;
    O(H (d^2 + d S + S A)) memory.

    References
    ----------
    .. [1] Jin, Yang, Wang and Jordan. Provably efficient reinforcement learning with linear function
       approximation. COLT 2020, Theorem 3.1. arXiv:1907.05388
    .. [2] Wang, Zhou and Gu. Provably efficient reinforcement learning with linear function approximation
       under adaptivity constraints. NeurIPS 2021. arXiv:2101.02195

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(5, 2, 3, 2, rng=np.random.default_rng(0))
    >>> lsvi_ucb(mdp, 100, c=0.05, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    sim = linear_simulator(mdp)
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    if not isinstance(rare, bool | np.bool_):
        raise ValueError(f"rare must be True or False, got {rare!r}")
    H, S, A = sim.r.shape
    zeta = checks.number("zeta", zeta, 0.0, 1.0)
    d = mdp.phi.shape[2]
    beta, drift = c * radius(d, H, K, delta), c * drift_scale(d, H, zeta)
    checked_radius(beta + drift * math.sqrt(K), c=c)
    fit = new_regression(mdp.phi, H, lam)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    _lsvi_ucb(value, upper, Q, pi, N, fit, sim, beta, drift, bool(rare), checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = d H sqrt(ln(2 d K H / delta))``, with the paper's constant taken as 1."""
    return d * H * math.sqrt(math.log(2 * d * K * H / delta))


def drift_scale(d: int, H: int, zeta: float) -> float:
    """Return ``H zeta sqrt(d)``: what sqrt(k) of it adds to the radius of episode k, the constant as 1."""
    return H * zeta * math.sqrt(d)


def switches(d: int, H: int, K: int, lam: float) -> float:
    """Return ``d H log2(1 + K / (d lam))``: how often at most a determinant doubles, if |phi| <= 1."""
    return d * H * math.log2(1 + K / (d * lam))


PAPER = Paper(
    title="Provably efficient reinforcement learning with linear function approximation",
    authors="Jin, Yang, Wang, Jordan",
    venue="COLT",
    year=2020,
    arxiv="1907.05388",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(sqrt(d^3 H^3 T)) with probability 1 - delta, T = K H (Theorem 3.1)",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]; an absolute constant in the radius",
        exponent=0.5,
        when={"rare": False},
    ),
    Guarantee(
        paper=Paper(
            title="Provably efficient reinforcement learning with linear function approximation under "
            "adaptivity constraints",
            authors="Wang, Zhou, Gu",
            venue="NeurIPS",
            year=2021,
            arxiv="2101.02195",
        ),
        setting="episodic regret",
        statement="regret O~(sqrt(d^3 H^3 T)) with O(d H ln K) switches of the policy",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]; an absolute constant in the radius",
        exponent=0.5,
        when={"rare": True},
    ),
)


@kernel
def _plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    beta: float,
    y: Array,
    w: Array,
) -> int:
    """Plan in place (`Q`, `V`, `pi`); return the last stage where `pi` changed, or -1."""
    H = Q.shape[0]
    top = -1
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        q, width2 = Q[h].reshape(-1), fit.width2[h].reshape(-1)
        for i in range(q.size):
            q[i] = beta * math.sqrt(max(width2[i], 0.0))
        add_predictions(fit, w, Q[h])
        for i in range(q.size):
            q[i] = min(q[i], float(H - h))
        if act_greedily(Q[h], sim.mask, V[h], pi[h]):
            top = max(top, h)
    return top


@kernel
def _doubled(logdet: Array, last: Array) -> bool:
    """Return whether the determinant of a stage is at least twice what it was at the last plan."""
    return bool((logdet - last).max() >= math.log(2.0))


@kernel
def _lsvi_ucb(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    beta: float,
    drift: float,
    rare: bool,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`)."""
    H, S, _A = Q.shape
    d = fit.b.shape[1]
    V, V_pi, y, w, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(d), np.zeros(d), np.zeros(d)
    last = fit.logdet.copy()
    for k in range(value.size):
        # plan
        top = -1
        if k == 0 or not rare or _doubled(fit.logdet, last):
            top = _plan(Q, V, pi, fit, sim, beta + drift * math.sqrt(k + 1.0), y, w)
            last[:] = fit.logdet
        measure(value, k, sim, pi, V_pi, top)
        upper[k] = dot(sim.mu, V[0])

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, reward = step(sim, h, s, a, rng)

            # update
            add_round(fit, h, s, a, reward, s_next, u)
            N[h, s, a] += 1
            s = s_next
