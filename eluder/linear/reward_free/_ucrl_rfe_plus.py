r"""UCRL-RFE+: reward-free exploration with Bernstein's bonus (Zhang, Zhou & Gu, NeurIPS 2021).

Pseudo-code, in our names; x = psi_V[h+1](s, a), z = psi_{V[h+1]^2}(s, a), and |.|, |.|_w, |.|_2 are the norms
of Lambda^-1, Lambda_w^-1 and Lambda_2^-1::

    for k = 1, ..., K:
        r[h] <- min(1, 2 beta / H max_f |psi_f|) over f: S -> [0, H-h-1]            # plan
        Q, V, pi <- optimistic plan for r with theta_w, Lambda_w and beta_w
        for h = 0, ..., H-1:
            play a = pi[h](s), observe s'                                           # act
            u <- the f that is largest for (s, a), with Lambda of the episode's start
            var <- clip(z theta_2, 0, H^2) - clip(x theta_w, 0, H)^2                # update
            E <- min(H^2, beta_2 |z|_2) + min(H^2, 2 H beta_check |x|_w)
            s2 <- max(H^2 / d, var + E)
            Lambda   <- Lambda   + psi_u psi_u',   b   <- b   + psi_u u(s')
            Lambda_w <- Lambda_w + x x' / s2,      b_w <- b_w + x V[h+1](s') / s2
            Lambda_2 <- Lambda_2 + z z',           b_2 <- b_2 + z V[h+1](s')^2
        theta, theta_w, theta_2 <- the three solutions
    plan(r): the optimistic plan for r with theta, Lambda and beta

with lam = 1 / B^2 for all three and, with l = ln(48 K^2 H^2 / delta),

    beta       = H sqrt(d ln(12 (1 + K H^3 / lam) / delta)) + sqrt(lam) B
    beta_w     = 8 sqrt(d ln(1 + K H / lam) l) + 4 sqrt(d) l + sqrt(lam) B
    beta_check = 8 d sqrt(ln(1 + K H / lam) l) + 4 sqrt(d) l + sqrt(lam) B
    beta_2     = 8 H^2 sqrt(d ln(1 + K H / lam) l) + 4 H^2 l + sqrt(lam) B

where theta_w and theta_2 are those of the episode's start, as the plan is.

Guarantee: with probability at least 1 - delta, O~(H^4 d (H + d) / eps^2) episodes are enough for plans that
lose at most eps for every reward at once. Algorithm and radii are confirmed by the first author's thesis
(Theorem 2.5.1, which has B^2 for 1 / lam and 1 for sqrt(lam) B).

Deviations from the paper: values are cut off at H - h instead of H (the reward left). The maximum over f as
in `ucrl_rfe`. `c` multiplies the radii.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import dot, kernel
from eluder.core.mixture import LinearMixtureMDP, mixture_tables, refuse_not_mixture
from eluder.core.reward_free import MixtureExploration
from eluder.core.ridge import checked_radius
from eluder.core.simulator import Simulator, reset, simulator, step
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
from eluder.linear.reward_free._pseudo_values import check_inner, exploration_reward, pseudo_values
from eluder.linear.reward_free._ucrl_rfe import GUARANTEES as HOEFFDING

__all__ = ["ucrl_rfe_plus"]


def ucrl_rfe_plus(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    inner: str = "exact",
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> MixtureExploration:
    """Explore for K episodes by UCRL-RFE+.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The simulator, with one mixture for all stages. The learner knows the base kernels, the horizon and
        `B`; it sees states, and no rewards.
    K : int
        Number of episodes.
    inner : {"exact", "ascent"}, default="exact"
        How the least known function is found: all corners, for at most 16 successors of a pair, or ascent.
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
    MixtureExploration
        Its ``plan(r)`` plans for a reward, with a certificate.

    Raises
    ------
    ValueError
        If `mdp` is not a linear mixture MDP of this kind, `K` < 1, `inner` is unknown or not possible, `lam`
        is not positive, `delta` is outside (0, 1), `c` is negative or makes a radius above 1e100, or `rng`
        is not a Generator.

    Notes
    -----
    As `ucrl_rfe`.

    References
    ----------
    .. [1] Zhang, Zhou and Gu. Reward-free model-based reinforcement learning with linear function
       approximation. NeurIPS 2021. arXiv:2110.06394

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(4, 2, 2, 3, rng=np.random.default_rng(0))
    >>> explored = ucrl_rfe_plus(mdp, 100, c=0.02, rng=np.random.default_rng(0))
    >>> explored.plan(np.eye(4)[:, [0, 1]]).pi.shape
    (3, 4)
    """
    refuse_not_mixture(mdp, homogeneous=True)
    sim = simulator(mixture_tables(mdp))
    K = checks.integer("K", K)
    exact = check_inner(inner, mdp)
    lam = default_ridge(mdp.B) if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    phi = mdp.phi.reshape(-1, *mdp.phi.shape[-4:])
    (H, S, A), d = sim.r.shape, phi.shape[1]
    fits = (new_targets(1, d, lam), new_targets(1, d, lam), new_targets(1, d, lam))
    beta, beta_w, beta_check, beta_2 = (
        checked_radius(c * x, c=c, lam=lam) for x in radii(d, H, K, lam, mdp.B, delta)
    )
    pi, N, uncertainty = np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64), np.empty(K)
    betas = (beta, beta_w, beta_check, beta_2)
    _ucrl_rfe_plus(uncertainty, pi, N, fits, phi, sim, betas, exact, checks.generator(rng))
    theta, cap = fits[0].theta[0], np.arange(H, 0, -1.0)
    return MixtureExploration(
        phi, mdp.mask, theta, theta, fits[0].Lambda[0], beta, beta, cap, uncertainty, pi, N
    )


def radii(d: int, H: int, K: int, lam: float, B: float, delta: float) -> tuple[float, float, float, float]:
    """Return ``beta, beta_w, beta_check, beta_2`` of the module."""
    log, rate = math.log(48 * K**2 * H**2 / delta), math.log(1 + K * H / lam)
    prior = math.sqrt(lam) * B
    return (
        H * math.sqrt(d * math.log(12 * (1 + K * H**3 / lam) / delta)) + prior,
        8 * math.sqrt(d * rate * log) + 4 * math.sqrt(d) * log + prior,
        8 * d * math.sqrt(rate * log) + 4 * math.sqrt(d) * log + prior,
        8 * H**2 * math.sqrt(d * rate * log) + 4 * H**2 * log + prior,
    )


GUARANTEES = (
    Guarantee(
        paper=HOEFFDING[0].paper,
        setting="reward-free",
        statement="after O~(H^4 d (H + d) / eps^2) episodes plans lose at most eps for all rewards at once, "
        "with probability 1 - delta (Theorem 2.5.1 of a thesis); the exponent is that of the loss",
        assumptions=HOEFFDING[0].assumptions,
        exponent=-0.5,
    ),
)


@kernel
def variance_bound(
    theta_w: Array,
    inverse_w: Array,
    theta_2: Array,
    inverse_2: Array,
    x: Array,
    z: Array,
    H: int,
    beta_check: float,
    beta_2: float,
) -> float:
    """Return ``max(H^2 / d, var + E)``, an upper bound on the variance of the next value."""
    top = float(H * H)
    mean = min(max(dot(theta_w, x), 0.0), float(H))
    var = min(max(dot(theta_2, z), 0.0), top) - mean * mean
    E = min(top, 2 * H * beta_check * confidence_norm(inverse_w, x))
    E += min(top, beta_2 * confidence_norm(inverse_2, z))
    return max(top / x.size, var + E)


@kernel
def _ucrl_rfe_plus(
    uncertainty: Array,
    pi: IntArray,
    N: IntArray,
    fits: tuple[TargetedRegression, TargetedRegression, TargetedRegression],
    phi: Array,
    sim: Simulator,
    betas: tuple[float, float, float, float],
    exact: bool,
    rng: np.random.Generator,
) -> None:
    """Run ``uncertainty.size`` episodes in place (all but `phi`, `sim` and `betas`)."""
    H, S, A = N.shape
    G, d = phi.shape[:2]
    fit, weighted, square = fits
    beta, beta_w, beta_check, beta_2 = betas
    Q, V, r = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S, A))
    width, f, x, z, v = np.zeros((G, S, A)), np.zeros((G, S, A, S)), np.zeros(d), np.zeros(d), np.zeros(d)
    cap = np.arange(H, 0, -1).astype(np.float64)
    for k in range(uncertainty.size):
        # plan
        pseudo_values(width, f, fit.inverse[0], phi, exact)
        exploration_reward(r, width, beta)
        optimistic_plan(Q, V, pi, weighted, phi, r, sim.mask, beta_w, cap, x)
        uncertainty[k] = (sim.mu * V[0]).sum()
        theta_w, inverse_w = weighted.theta[0].copy(), weighted.inverse[0].copy()
        theta_2, inverse_2 = square.theta[0].copy(), square.inverse[0].copy()

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, _ = step(sim, h, s, a, rng)

            # update
            u = (H - h - 1) * f[h % G, s, a]
            pair_features(phi, h, s, a, u, x)
            add_target(fit, 0, x, u[s_next], 1.0, v)
            pair_features(phi, h, s, a, V[h + 1], x)
            pair_features(phi, h, s, a, V[h + 1] ** 2, z)
            s2 = variance_bound(theta_w, inverse_w, theta_2, inverse_2, x, z, H, beta_check, beta_2)
            add_target(weighted, 0, x, V[h + 1, s_next], 1.0 / s2, v)
            add_target(square, 0, z, V[h + 1, s_next] ** 2, 1.0, v)
            N[h, s, a] += 1
            s = s_next
