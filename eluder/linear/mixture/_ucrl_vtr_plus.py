r"""UCRL-VTR+: value-targeted regression weighted by variances (Zhou, Gu & Szepesvari, COLT 2021).

Pseudo-code, in our names; x = psi_V[h+1](s, a), z = psi_{V[h+1]^2}(s, a), |x| = sqrt(x' Lambda^-1 x) and
|z|_2 the same with Lambda_2::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Q[h] <- clip(r[h] + psi_V[h+1] theta[h] + beta |psi_V[h+1]|, 0, H - h)
            V[h] <- max_a Q[h]
        for h = 0, ..., H-1:
            play a = argmax Q[h](s, .), observe s'                                  # act
            var <- clip(z theta_2, 0, H^2) - clip(x theta, 0, H)^2                  # update
            E <- min(H^2, 2 H beta_check |x|) + min(H^2, beta_tilde |z|_2)
            s2 <- max(H^2 / d, var + E)
            Lambda   <- Lambda + x x' / s2,   b   <- b + x V[h+1](s') / s2
            Lambda_2 <- Lambda_2 + z z',      b_2 <- b_2 + z V[h+1](s')^2

with regressions of their own at each stage, lam = 1 / B^2, and in episode k, with l = ln(4 k^2 H / delta),

    beta       = 8 sqrt(d ln(1 + k / lam) l) + 4 sqrt(d) l + sqrt(lam) B
    beta_check = 8 d sqrt(ln(1 + k / lam) l) + 4 sqrt(d) l + sqrt(lam) B
    beta_tilde = 8 H^2 sqrt(d ln(1 + k H^4 / (d lam)) l) + 4 H^2 l + sqrt(lam) B

Guarantee: with probability at least 1 - 5 delta the regret is
O~(sqrt(d^2 H^2 + d H^3) sqrt(T) + d^2 H^3 + d^3 H^2), T = K H; for d >= H and K large no algorithm improves
on it but for logarithms.

Deviations from the paper: the radii are from memory, their constants not confirmed. Q is cut off at H - h
instead of H (the reward left). `c` multiplies the three radii.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import dot, kernel
from eluder.core.mixture import LinearMixtureMDP, mixture_tables
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.simulator import Simulator, policy_value, reset, simulator, step
from eluder.core.targeted_regression import (
    TargetedRegression,
    add_target,
    confidence_norm,
    default_ridge,
    new_targets,
    optimistic_plan,
    pair_features,
)
from eluder.core.types import Array, IntArray

__all__ = ["ucrl_vtr_plus"]


def ucrl_vtr_plus(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of UCRL-VTR+.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The simulator. The learner knows the base kernels, the mean rewards, the horizon and `B`; it sees
        states.
    K : int
        Number of episodes.
    lam : float, optional
        Weight > 0 of the ridge; by default ``1 / B^2``.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radii; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,); ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not a linear mixture MDP, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c`
        is negative or makes a radius above 1e100, or `rng` is not a Generator.

    Notes
    -----
    O(H S A d (S + d)) time per episode, whatever K is; O(H (d^2 + S A)) memory beside the problem.

    References
    ----------
    .. [1] Zhou, Gu and Szepesvari. Nearly minimax optimal reinforcement learning for linear mixture Markov
       decision processes. COLT 2021. arXiv:2012.08507

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(5, 2, 3, 2, rng=np.random.default_rng(0))
    >>> ucrl_vtr_plus(mdp, 100, c=0.05, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    sim = simulator(mixture_tables(mdp))
    K = checks.integer("K", K)
    lam = default_ridge(mdp.B) if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    phi = mdp.phi.reshape(-1, *mdp.phi.shape[-4:])
    (H, S, A), d = sim.r.shape, phi.shape[1]
    fit, square = new_targets(H, d, lam), new_targets(H, d, lam)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    for equation in (radius, coarse_radius, square_radius):
        checked_radius(c * equation(d, H, K, lam, mdp.B, delta), c=c, lam=lam)
    known = (lam, mdp.B, delta, c)
    _ucrl_vtr_plus(value, upper, Q, pi, N, fit, square, phi, sim, known, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


@kernel
def radius(d: int, H: int, k: int, lam: float, B: float, delta: float) -> float:
    """Return ``8 sqrt(d ln(1 + k / lam) l) + 4 sqrt(d) l + sqrt(lam) B``, ``l = ln(4 k^2 H / delta)``."""
    log = math.log(4 * float(k) ** 2 * H / delta)
    return 8 * math.sqrt(d * math.log(1 + k / lam) * log) + 4 * math.sqrt(d) * log + math.sqrt(lam) * B


@kernel
def coarse_radius(d: int, H: int, k: int, lam: float, B: float, delta: float) -> float:
    """Return ``8 d sqrt(ln(1 + k / lam) l) + 4 sqrt(d) l + sqrt(lam) B``, ``l = ln(4 k^2 H / delta)``."""
    log = math.log(4 * float(k) ** 2 * H / delta)
    return 8 * d * math.sqrt(math.log(1 + k / lam) * log) + 4 * math.sqrt(d) * log + math.sqrt(lam) * B


@kernel
def square_radius(d: int, H: int, k: int, lam: float, B: float, delta: float) -> float:
    """Return ``8 H^2 sqrt(d ln(1 + k H^4 / (d lam)) l) + 4 H^2 l + sqrt(lam) B``, l as in `radius`."""
    log = math.log(4 * float(k) ** 2 * H / delta)
    first = 8 * H**2 * math.sqrt(d * math.log(1 + k * float(H) ** 4 / (d * lam)) * log)
    return first + 4 * H**2 * log + math.sqrt(lam) * B


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Nearly minimax optimal reinforcement learning for linear mixture Markov decision "
            "processes",
            authors="Zhou, Gu, Szepesvari",
            venue="COLT",
            year=2021,
            arxiv="2012.08507",
        ),
        setting="episodic regret",
        statement="regret O~(sqrt(d^2 H^2 + d H^3) sqrt(T) + d^2 H^3 + d^3 H^2) with probability "
        "1 - 5 delta, T = K H",
        assumptions="linear mixture MDP, |psi_V| <= 1 for V in [0, 1], |theta| <= B, known rewards in [0, 1]",
        exponent=0.5,
    ),
)


@kernel
def variance_bound(
    fit: TargetedRegression,
    square: TargetedRegression,
    h: int,
    x: Array,
    z: Array,
    H: int,
    beta_check: float,
    beta_tilde: float,
) -> float:
    """Return ``max(H^2 / d, var + E)``, an upper bound on the variance of the next value."""
    top = float(H * H)
    mean = min(max(dot(fit.theta[h], x), 0.0), float(H))
    var = min(max(dot(square.theta[h], z), 0.0), top) - mean * mean
    E = min(top, 2 * H * beta_check * confidence_norm(fit.inverse[h], x))
    E += min(top, beta_tilde * confidence_norm(square.inverse[h], z))
    return max(top / x.size, var + E)


@kernel
def _ucrl_vtr_plus(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: TargetedRegression,
    square: TargetedRegression,
    phi: Array,
    sim: Simulator,
    known: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `phi`, `sim` and ``known = (lam, B, delta, c)``)."""
    H, S, _A = Q.shape
    d = fit.theta.shape[1]
    lam, B, delta, c = known
    V, V_pi = np.zeros((H + 1, S)), np.zeros((H + 1, S))
    x, z, u = np.zeros(d), np.zeros(d), np.zeros(d)
    cap = np.arange(H, 0, -1).astype(np.float64)
    for k in range(value.size):
        # plan
        beta = c * radius(d, H, k + 1, lam, B, delta)
        beta_check = c * coarse_radius(d, H, k + 1, lam, B, delta)
        beta_tilde = c * square_radius(d, H, k + 1, lam, B, delta)
        optimistic_plan(Q, V, pi, fit, phi, sim.r, sim.mask, beta, cap, x)
        value[k] = policy_value(sim, pi, V_pi, H - 1)  # measurement
        upper[k] = (sim.mu * V[0]).sum()

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, _ = step(sim, h, s, a, rng)

            # update
            pair_features(phi, h, s, a, V[h + 1], x)
            pair_features(phi, h, s, a, V[h + 1] ** 2, z)
            s2 = variance_bound(fit, square, h, x, z, H, beta_check, beta_tilde)
            add_target(fit, h, x, V[h + 1, s_next], 1.0 / s2, u)
            add_target(square, h, z, V[h + 1, s_next] ** 2, 1.0, u)
            N[h, s, a] += 1
            s = s_next
