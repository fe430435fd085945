r"""LSVI-UCB++: weighted least-squares value iteration (He, Zhao, Zhou & Gu, ICML 2023).

Pseudo-code (algorithm 1), in our names; Sigma = lam I + sum of phi phi' / s2 over the rounds of the stage::

    for k = 1, ..., K:
        if det Sigma of some stage has doubled since the last plan:                 # plan
            for h = H-1, ..., 0:
                w <- Sigma^-1 sum of phi V[h+1](s') / s2,   w_low <- the same for V_low[h+1]
                Q[h]     <- min(r + phi w     + beta     |phi|, Q[h], H - h)
                Q_low[h] <- max(r + phi w_low - beta_bar |phi|, Q_low[h], 0)
                V[h] <- max_a Q[h],   V_low[h] <- max_a Q_low[h]
        for h = 0, ..., H-1:                                                        # act
            play a = argmax Q[h](s, .), observe s'
            w, w_low, w_square <- regressions onto V[h+1], V_low[h+1] and V[h+1]^2  # update
            var <- clip(phi w_square, 0, H^2) - clip(phi w, 0, H)^2
            E <- min(beta_square |phi|, H^2) + min(2 H beta_bar |phi|, H^2)
            D <- min(4 d^3 H^2 (phi w - phi w_low + 2 beta_bar |phi|), d^3 H^3)
            s2 <- max(var + E + D + H, 4 d^6 H^4 |phi|)

with |phi| = sqrt(phi' Sigma^-1 phi), lam = 1 / H^2 and, for constants that the paper leaves open,

    beta = H sqrt(d lam) + sqrt(d) ln(1 + d K H / (delta lam))
    beta_bar = H sqrt(d lam) + sqrt(d^3) H ln(d H K / (delta lam)),   beta_square = H beta_bar

Guarantee: regret O~(d sqrt(H^3 K)) with probability at least 1 - 7 delta for K large, which no algorithm
can improve but for logarithms (Theorem 5.1).

Deviations from the paper: its floor of the weights is written H and used as sqrt(H) in the proofs, here
sqrt(H); Q starts and is cut off at H - h instead of H (the reward left). Sums over the rounds are kept as
statistics. `c` multiplies the three radii, `d3` replaces the factor d^3 that counts the values which may
occur: with the theorem's the first plan takes about ``4 d^6 H^3`` episodes.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP
from eluder.core.linear_simulator import LinearSimulator, linear_simulator, policy_value, reset, step
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_weighted_round, new_regression, predict, solve

__all__ = ["lsvi_ucb_plus_plus"]


def lsvi_ucb_plus_plus(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    K: int,
    *,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    d3: float | None = None,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of LSVI-UCB++.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The simulator. The learner knows `phi`, the mean rewards and the horizon; it sees states.
    K : int
        Number of episodes.
    lam : float, optional
        Weight > 0 of the ridge; by default ``1 / H^2``.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radii; smaller is common in practice.
    d3 : float, optional
        Factor >= 0 in the weights; by default the theorem's ``d^3``. Of order 1 is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,), ``upper`` non-increasing; ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is negative,
        `d3` is outside [0, 1e40], a radius is above 1e100, or `rng` is not a Generator.

    Notes
    -----
    O(H (d^2 + d S + S A d)) time per episode, whatever K is; exact evaluation only at a plan, of which there
    are at most ``d H log2(1 + K / (d lam H))``.

    References
    ----------
    .. [1] He, Zhao, Zhou and Gu. Nearly minimax optimal reinforcement learning for linear Markov decision
       processes. ICML 2023. arXiv:2212.06132

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(5, 2, 3, 2, rng=np.random.default_rng(0))
    >>> lsvi_ucb_plus_plus(mdp, 100, c=0.05, d3=1, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    sim = linear_simulator(mdp)
    K = checks.integer("K", K)
    (H, S, A), d = sim.r.shape, mdp.phi.shape[2]
    lam = 1 / H**2 if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    d3 = float(d**3) if d3 is None else checks.number("d3", d3, 0.0, 1e40)
    fit = new_regression(mdp.phi, H, lam)
    beta = checked_radius(c * radius(d, H, K, lam, delta), c=c, lam=lam)
    beta_bar = checked_radius(c * coarse_radius(d, H, K, lam, delta), c=c, lam=lam)
    Q = np.broadcast_to(np.arange(H, 0, -1.0)[:, None, None], (H, S, A)).copy()
    pi, N = np.broadcast_to(mdp.mask.argmax(axis=1), (H, S)).copy(), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    _lsvi_ucb_plus_plus(value, upper, Q, pi, N, fit, sim, beta, beta_bar, d3, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def radius(d: int, H: int, K: int, lam: float, delta: float) -> float:
    """Return ``beta = H sqrt(d lam) + sqrt(d) ln(1 + d K H / (delta lam))``, the open constant as 1."""
    return H * math.sqrt(d * lam) + math.sqrt(d) * math.log(1 + d * K * H / (delta * lam))


def coarse_radius(d: int, H: int, K: int, lam: float, delta: float) -> float:
    """Return ``beta_bar = H sqrt(d lam) + sqrt(d^3) H ln(d H K / (delta lam))``, the open constant as 1."""
    return H * math.sqrt(d * lam) + math.sqrt(d**3) * H * math.log(d * H * K / (delta * lam))


def switches(d: int, H: int, K: int, lam: float) -> float:
    """Return ``d H log2(1 + K / (d lam H))``: how often a determinant doubles, if |phi| <= 1 and s2 >= H."""
    return d * H * math.log2(1 + K / (d * lam * H))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Nearly minimax optimal reinforcement learning for linear Markov decision processes",
            authors="He, Zhao, Zhou, Gu",
            venue="ICML",
            year=2023,
            arxiv="2212.06132",
        ),
        setting="episodic regret",
        statement="regret O~(d sqrt(H^3 K)) with probability 1 - 7 delta for K large (Theorem 5.1)",
        assumptions="linear MDP, |phi| <= 1, known rewards in [0, 1]; absolute constants in the radii",
        exponent=0.5,
    ),
)


@kernel
def variance_bound(
    fit: ValueRegression,
    V: Array,
    V_low: Array,
    h: int,
    s: int,
    a: int,
    beta_bar: float,
    d3: float,
    y: Array,
    w: Array,
) -> float:
    """Return s2 of a visited pair: an upper bound on the variance of ``V*[h + 1]``; `y`, `w` are room."""
    H = fit.n.size
    norm = math.sqrt(max(fit.width2[h, s, a], 0.0))
    solve(fit, h, V[h + 1] ** 2, y, w)
    square = min(max(predict(fit, s, a, w), 0.0), float(H * H))
    solve(fit, h, V[h + 1], y, w)
    mean = predict(fit, s, a, w)
    solve(fit, h, V_low[h + 1], y, w)
    low = predict(fit, s, a, w)
    variance = square - min(max(mean, 0.0), float(H)) ** 2
    E = min(H * beta_bar * norm, float(H * H)) + min(2 * H * beta_bar * norm, float(H * H))
    D = min(4 * d3 * H**2 * (mean - low + 2 * beta_bar * norm), d3 * H**3)
    return max(variance + E + D + H, float(H), 4 * d3**2 * H**4 * norm)


@kernel
def _plan(
    Q: Array,
    Q_low: Array,
    V: Array,
    V_low: Array,
    pi: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    beta: float,
    beta_bar: float,
    y: Array,
    w: Array,
    w_low: Array,
) -> None:
    """Plan in place (`Q`, `Q_low`, `V`, `V_low`, `pi`)."""
    H, S, A = Q.shape
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        solve(fit, h, V_low[h + 1], y, w_low)
        for s in range(S):
            best, largest, lowest = -1, -math.inf, 0.0
            for a in range(A):
                if not sim.mask[s, a]:
                    continue
                norm = math.sqrt(max(fit.width2[h, s, a], 0.0))
                Q[h, s, a] = min(Q[h, s, a], sim.r[h, s, a] + predict(fit, s, a, w) + beta * norm)
                low = sim.r[h, s, a] + predict(fit, s, a, w_low) - beta_bar * norm
                Q_low[h, s, a] = max(Q_low[h, s, a], low)
                lowest = max(lowest, Q_low[h, s, a])
                if Q[h, s, a] > largest:
                    best, largest = a, Q[h, s, a]
            V[h, s], V_low[h, s], pi[h, s] = largest, lowest, best


@kernel
def _lsvi_ucb_plus_plus(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    beta: float,
    beta_bar: float,
    d3: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`)."""
    H, S, A = Q.shape
    d = fit.b.shape[1]
    Q_low, V, V_low, V_pi = (
        np.zeros((H, S, A)),
        np.zeros((H + 1, S)),
        np.zeros((H + 1, S)),
        np.zeros((H + 1, S)),
    )
    for h in range(H):
        V[h] = float(H - h)
    y, w, w_low, u = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d)
    last = fit.logdet.copy()
    for k in range(value.size):
        # plan
        switched = (fit.logdet - last).max() >= math.log(2.0)
        if switched:
            _plan(Q, Q_low, V, V_low, pi, fit, sim, beta, beta_bar, y, w, w_low)
            last[:] = fit.logdet
        if switched or k == 0:
            value[k] = policy_value(sim, pi, V_pi, H - 1)  # measurement
            upper[k] = (sim.mu * V[0]).sum()
        else:
            value[k], upper[k] = value[k - 1], upper[k - 1]

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _ = step(sim, h, s, a, rng)

            # update
            s2 = variance_bound(fit, V, V_low, h, s, a, beta_bar, d3, y, w)
            add_weighted_round(fit, h, s, a, 0.0, s_next, 1.0 / s2, u)
            N[h, s, a] += 1
            s = s_next
