r"""UCRL-RFE: reward-free exploration of linear mixture MDPs (Zhang, Zhou & Gu, NeurIPS 2021).

Pseudo-code, in our names; psi_f(s, a) = sum_{s'} phi(s' | s, a) f(s') and |x| = sqrt(x' Lambda^-1 x)::

    for k = 1, ..., K:
        r[h] <- min(1, 2 beta / H max_f |psi_f|) over f: S -> [0, H-h-1]            # plan
        Q, V, pi <- optimistic plan for r with theta, Lambda and beta
        for h = 0, ..., H-1:
            play a = pi[h](s), observe s'                                           # act
            u <- the f that is largest for (s, a), with Lambda of the episode's start
            Lambda <- Lambda + psi_u psi_u',   b <- b + psi_u u(s')                 # update
        theta <- Lambda^-1 b
    plan(r): the optimistic plan for r with theta, Lambda and beta:
        Q[h] <- clip(r[h] + psi_V[h+1] theta + beta |psi_V[h+1]|, 0, H - h),  V[h] <- max_a Q[h]

with Lambda = lam I at first, lam = 1 / B^2 and beta = H sqrt(d ln(3 (1 + K H^3 B^2) / delta)) + 1.

Guarantee: with probability at least 1 - delta, O~(H^5 d^2 / eps^2) episodes are enough for plans that lose at
most eps for every reward at once. Algorithm and constants are confirmed by the first author's thesis (Weitong
Zhang, University of California, Los Angeles; Theorem 2.4.3).

Deviations from the paper: values are cut off at H - h instead of H (the reward left). The maximum over f is
exact, over the corners of the box (``inner="exact"``), or a local one (``inner="ascent"``); the paper relaxes
it to another norm. With another lam the radius has 1 / lam for B^2 and sqrt(lam) B for 1.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.mixture import LinearMixtureMDP, mixture_tables, refuse_not_mixture
from eluder.core.reward_free import MixtureExploration
from eluder.core.ridge import checked_radius
from eluder.core.simulator import Simulator, reset, simulator, step
from eluder.core.targeted_regression import (
    TargetedRegression,
    add_target,
    default_ridge,
    new_targets,
    optimistic_plan,
    pair_features,
)
from eluder.core.types import Array, IntArray
from eluder.linear.reward_free._pseudo_values import check_inner, exploration_reward, pseudo_values

__all__ = ["ucrl_rfe"]


def ucrl_rfe(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    inner: str = "exact",
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> MixtureExploration:
    """Explore for K episodes by UCRL-RFE.

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
        Multiplies the radius; smaller is common in practice.
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
    O(S A d (H S + H d + 2^S)) time per episode, or with ascent about ``S d^2`` for ``2^S``, whatever K is;
    where a pair has few successors their number stands for S in ``2^S``.

    References
    ----------
    .. [1] Zhang, Zhou and Gu. Reward-free model-based reinforcement learning with linear function
       approximation. NeurIPS 2021. arXiv:2110.06394

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(4, 2, 2, 3, rng=np.random.default_rng(0))
    >>> explored = ucrl_rfe(mdp, 100, c=0.02, rng=np.random.default_rng(0))
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
    fit = new_targets(1, d, lam)
    beta = checked_radius(c * radius(d, H, K, lam, mdp.B, delta), c=c, lam=lam)
    pi, N, uncertainty = np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64), np.empty(K)
    _ucrl_rfe(uncertainty, pi, N, fit, phi, sim, beta, exact, checks.generator(rng))
    theta, cap = fit.theta[0], np.arange(H, 0, -1.0)
    return MixtureExploration(phi, mdp.mask, theta, theta, fit.Lambda[0], beta, beta, cap, uncertainty, pi, N)


def radius(d: int, H: int, K: int, lam: float, B: float, delta: float) -> float:
    """Return ``beta = H sqrt(d ln(3 (1 + K H^3 / lam) / delta)) + sqrt(lam) B``."""
    return H * math.sqrt(d * math.log(3 * (1 + K * H**3 / lam) / delta)) + math.sqrt(lam) * B


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Reward-free model-based reinforcement learning with linear function approximation",
            authors="Zhang, Zhou, Gu",
            venue="NeurIPS",
            year=2021,
            arxiv="2110.06394",
        ),
        setting="reward-free",
        statement="after O~(H^5 d^2 / eps^2) episodes plans lose at most eps for all rewards at once, with "
        "probability 1 - delta (Theorem 2.4.3 of a thesis); the exponent is that of the loss",
        assumptions="linear mixture MDP with one mixture for all stages, |psi_V| <= 1 for V in [0, 1], "
        "|theta| <= B, rewards in [0, 1]",
        exponent=-0.5,
    ),
)


@kernel
def _ucrl_rfe(
    uncertainty: Array,
    pi: IntArray,
    N: IntArray,
    fit: TargetedRegression,
    phi: Array,
    sim: Simulator,
    beta: float,
    exact: bool,
    rng: np.random.Generator,
) -> None:
    """Run ``uncertainty.size`` episodes in place (all but `phi` and `sim`)."""
    H, S, A = N.shape
    G, d = phi.shape[:2]
    Q, V, r = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S, A))
    width, f, x, v = np.zeros((G, S, A)), np.zeros((G, S, A, S)), np.zeros(d), np.zeros(d)
    cap = np.arange(H, 0, -1).astype(np.float64)
    for k in range(uncertainty.size):
        # plan
        pseudo_values(width, f, fit.inverse[0], phi, exact)
        exploration_reward(r, width, beta)
        optimistic_plan(Q, V, pi, fit, phi, r, sim.mask, beta, cap, x)
        uncertainty[k] = (sim.mu * V[0]).sum()

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, _ = step(sim, h, s, a, rng)

            # update
            u = (H - h - 1) * f[h % G, s, a]
            pair_features(phi, h, s, a, u, x)
            add_target(fit, 0, x, u[s_next], 1.0, v)
            N[h, s, a] += 1
            s = s_next
