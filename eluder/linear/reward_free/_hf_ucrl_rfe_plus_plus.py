r"""HF-UCRL-RFE++: horizon-free reward-free exploration (Zhang, Zhang & Gu, ICML 2023).

Pseudo-code, in our names; |.|~ and |.|^ are the norms of the inverses of level 0 of two series of regressions
at the start of the episode, and V(theta, pi, r) is the value of pi for r in the model theta::

    for k = 1, ..., K:
        theta, r, pi <- argmax of V_hat[0] over theta in U, r in R and pi, where    # plan
            V_tilde[h] <- V(theta, pi, r)[h]
            u[h] <- min(1, beta |psi_V_tilde[h+1]|~)
            V_hat[h] <- min(1, u[h] + 2 beta |psi_V_hat[h+1]|^ + psi_V_hat[h+1] theta), at the action of pi
        for h = 0, ..., H-1:
            play a = pi[h](s), observe s'                                           # act
            regress V_tilde[h+1](s')^(2^m) onto psi of V_tilde[h+1]^(2^m), all m    # update
            regress V_hat[h+1](s')^(2^m) onto psi of V_hat[h+1]^(2^m), all m
        U <- U without the theta outside |theta - theta_m|_{Lambda_m} <= beta of some level of a series
    plan(r): the best policy for r in a model of U

with the weights, the M levels, lam = d / B^2 and the radius beta of the estimator of high-order moments, as
in `hf_ucrl_vtr_plus`.

Guarantee: for rewards of R, which add up to 1 at most in an episode, plans lose O~(d / sqrt(K) + d^2 / K)
with high probability: O~(d^2 / eps^2) episodes, with H in logarithms only.

Deviations from the paper: it assumes an oracle for the joint maximum. Here R is a finite set, by default the
goals "state s at stage h"; U is a finite set of models, or, where none is given, the center of the ellipsoid
of level 0 and the ends of its axes that are in the current ellipsoids (the nearest if none is), which is a
local search and not the maximum. The policy is found backward, by the largest V_hat or by the largest value,
whichever of the two is better: nor is this the maximum over all policies, for later actions change V_tilde.
The constants are those of the second author's thesis (Weitong Zhang, Theorem 2.6.3), where M is not rounded
up and ln(gamma^2 / alpha) not cut off at 0. Values are cut off at 0 too. `c` multiplies beta everywhere, but
not its term sqrt(lam) B in the definition of U, or else no model would be in U before the first episode.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.mixture import LinearMixtureMDP, largest_return, mixture_tables, refuse_not_mixture
from eluder.core.moments import moment_levels, moment_radius, moment_variances
from eluder.core.reward_free import MixtureExploration
from eluder.core.ridge import checked_radius
from eluder.core.simulator import Simulator, reset, simulator, step
from eluder.core.targeted_regression import (
    TargetedRegression,
    add_target,
    confidence_norm,
    default_ridge,
    new_targets,
    pair_features,
)
from eluder.core.types import Array, BoolArray, IntArray
from eluder.linear.reward_free._joint_oracle import goal_rewards, joint_oracle, local_models, violation

__all__ = ["hf_ucrl_rfe_plus_plus"]


def hf_ucrl_rfe_plus_plus(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    rewards: ArrayLike | None = None,
    models: ArrayLike | None = None,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> MixtureExploration:
    """Explore for K episodes by HF-UCRL-RFE++ over finite sets of rewards and models.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The simulator, with one mixture for all stages. The learner knows the base kernels, the horizon and
        `B`; it sees states, and no rewards.
    K : int
        Number of episodes.
    rewards : array_like, shape (R, H, S, A), optional
        The set R: each adds up to 1 at most in an episode. By default 1 for one state at one stage.
    models : array_like, shape (n, d), optional
        The mixtures among which the true one is; by default points of the ellipsoid.
    lam : float, optional
        Weight > 0 of the ridge; by default ``d / B^2``.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    MixtureExploration
        Its ``plan(r)`` plans for a reward that adds up to 1 at most, with a certificate.

    Raises
    ------
    ValueError
        If `mdp` is not a linear mixture MDP of this kind, `K` < 1, `rewards` or `models` are not of this
        form or no model is left in the confidence set, `lam` is not positive, `delta` is outside (0, 1), `c`
        is negative or makes a radius above 1e100, or `rng` is not a Generator.

    Notes
    -----
    O(n R H S A d (S + d)) time per episode for n models, or ``2 d + 1`` points, and R rewards, whatever K is.

    References
    ----------
    .. [1] Zhang, Zhang and Gu. Optimal horizon-free reward-free exploration for linear mixture MDPs. ICML
       2023. arXiv:2303.10165

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(4, 2, 2, 3, rng=np.random.default_rng(0))
    >>> explored = hf_ucrl_rfe_plus_plus(mdp, 100, c=0.002, rng=np.random.default_rng(0))
    >>> explored.plan(np.eye(4)[:, [0, 1]] / 3).pi.shape
    (3, 4)
    """
    refuse_not_mixture(mdp, homogeneous=True)
    sim = simulator(mixture_tables(mdp))
    K = checks.integer("K", K)
    phi = mdp.phi.reshape(-1, *mdp.phi.shape[-4:])
    (H, S, A), d = sim.r.shape, phi.shape[1]
    goals = goal_rewards(H, S, A) if rewards is None else _rewards(mdp, rewards, (H, S, A))
    finite = models is not None
    points = np.zeros((2 * d + 1, d)) if models is None else checks.finite("models", models, (None, d)).copy()
    lam = default_ridge(mdp.B, d) if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    beta = checked_radius(c * moment_radius(d, H, K, lam, mdp.B, delta), c=c, lam=lam)
    M = moment_levels(K, H)
    hat, tilde, kept = new_targets(M, d, lam), new_targets(M, d, lam), np.ones(len(points), np.bool_)
    pi, N, uncertainty = np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64), np.empty(K)
    known = (lam, mdp.B, delta, c)
    done = _hf_ucrl_rfe_plus_plus(
        uncertainty, pi, N, hat, tilde, points, kept, finite, phi, sim, goals, known, checks.generator(rng)
    )
    if done < K:
        raise ValueError(
            f"models: none is left in the confidence set after episode {done}: the true one is not among "
            "them, or c is too small"
        )
    if not finite:
        local_models(points, kept, hat, tilde, beta, max(1 - c, 0.0) * math.sqrt(lam) * mdp.B)
    far = [confidence_norm(tilde.Lambda[0], x - tilde.theta[0]) for x in points]
    theta = points[int(np.where(kept, far, np.inf).argmin())].copy()
    center, Lambda = tilde.theta[0].copy(), tilde.Lambda[0].copy()
    return MixtureExploration(phi, mdp.mask, theta, center, Lambda, beta, 0.0, np.ones(H), uncertainty, pi, N)


def _rewards(mdp: LinearMixtureMDP, rewards: ArrayLike, shape: tuple[int, int, int]) -> Array:
    """Return the checked set of rewards."""
    table = checks.finite("rewards", rewards, (None, *shape), 0.0, 1.0)
    for i, r in enumerate(table):
        if (total := largest_return(mdp._replace(r=r))) > 1 + 1e-9:
            raise ValueError(f"rewards[{i}] may add up to {total:g} in an episode, it must to 1 at most")
    return table


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Optimal horizon-free reward-free exploration for linear mixture MDPs",
            authors="Zhang, Zhang, Gu",
            venue="ICML",
            year=2023,
            arxiv="2303.10165",
        ),
        setting="reward-free",
        statement="plans lose O~(d / sqrt(K) + d^2 / K) for all rewards of the set at once, with high "
        "probability, polylogarithmic in H; the exponent is that of the loss",
        assumptions="an oracle for the joint maximum, which is approximate here; linear mixture MDP with one "
        "mixture for all stages, rewards of an episode add up to 1 at most, |psi_V| <= 1 for V in [0, 1]",
        exponent=-0.5,
    ),
)


@kernel
def regress_moments(
    fit: TargetedRegression,
    inverse: Array,
    theta: Array,
    X: Array,
    y: float,
    beta: float,
    alpha: float,
    s2: Array,
    v: Array,
) -> None:
    """Add a round to all levels of a series, in place; `inverse`, `theta` are those of the episode's start.

    ``X[m]`` are the features of level m, `y` is the value of the next state; `s2` (M,), `v` (d,) are room.
    """
    moment_variances(fit, inverse, theta, X, beta, X.shape[1] ** -0.25, alpha, s2)
    for m in range(X.shape[0]):
        add_target(fit, m, X[m], y, 1.0 / s2[m], v)
        y *= y


@kernel
def _hf_ucrl_rfe_plus_plus(
    uncertainty: Array,
    pi: IntArray,
    N: IntArray,
    hat: TargetedRegression,
    tilde: TargetedRegression,
    models: Array,
    kept: BoolArray,
    finite: bool,
    phi: Array,
    sim: Simulator,
    rewards: Array,
    known: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> int:
    """Run ``uncertainty.size`` episodes in place; return how many, fewer if no model is left."""
    H, S, _A = N.shape
    M, d = hat.theta.shape
    lam, B, delta, c = known
    V_hat, V_tilde, power = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(S)
    X, s2, v = np.zeros((M, d)), np.zeros(M), np.zeros(d)
    for k in range(uncertainty.size):
        # plan
        beta, prior = c * moment_radius(d, H, k + 1, lam, B, delta), max(1 - c, 0.0) * math.sqrt(lam) * B
        if finite:
            for i in range(len(models)):
                kept[i] = kept[i] and violation(models[i], hat, tilde) <= beta + prior
            if not kept.any():
                return k
        else:
            local_models(models, kept, hat, tilde, beta, prior)
        inverse_hat, theta_hat = hat.inverse.copy(), hat.theta.copy()
        inverse_tilde, theta_tilde = tilde.inverse.copy(), tilde.theta.copy()
        uncertainty[k] = joint_oracle(
            V_hat, V_tilde, pi, phi, rewards, models, kept, sim.mask, sim.mu, beta,
            inverse_hat[0], inverse_tilde[0],
        )  # fmt: skip

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, _ = step(sim, h, s, a, rng)

            # update
            power[:] = V_tilde[h + 1]
            for m in range(M):
                pair_features(phi, h, s, a, power, X[m])
                power *= power
            regress_moments(
                tilde, inverse_tilde, theta_tilde, X, V_tilde[h + 1, s_next], beta, H**-0.5, s2, v
            )
            power[:] = V_hat[h + 1]
            for m in range(M):
                pair_features(phi, h, s, a, power, X[m])
                power *= power
            regress_moments(hat, inverse_hat, theta_hat, X, V_hat[h + 1, s_next], beta, H**-0.5, s2, v)
            N[h, s, a] += 1
            s = s_next
    return int(uncertainty.size)
