r"""HF-UCRL-VTR+: a regret that does not grow with the horizon (Zhou & Gu, NeurIPS 2022).

Pseudo-code, in our names; level m regresses V^(2^m) onto X_m = psi_{V[h+1]^(2^m)}(s, a), with Lambda_m, b_m
and theta_m = Lambda_m^-1 b_m of its own, and |x|_m = sqrt(x' Lambda_m^-1 x)::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Q[h] <- clip(r[h] + psi_V[h+1] theta_0 + beta_k |psi_V[h+1]|_0, 0, 1)
            V[h] <- max_a Q[h]
        keep theta_m and |.|_m of the start of the episode, for all m
        for h = 0, ..., H-1:
            play a = argmax Q[h](s, .), observe s'                                  # act
            for m = 0, ..., M-2:                                                    # update
                var_m <- clip(X_{m+1} theta_{m+1}, 0, 1) - clip(X_m theta_m, 0, 1)^2
                E_m <- min(1, 2 beta_k |X_m|_m) + min(1, beta_k |X_{m+1}|_{m+1})    (those kept)
                s2_m <- max(gamma^2 |X_m|_m, var_m + E_m, alpha^2)                  (the norm of now)
            s2_{M-1} <- max(gamma^2 |X_{M-1}|_{M-1}, 1, alpha^2)
            Lambda_m <- Lambda_m + X_m X_m' / s2_m,   b_m <- b_m + X_m V[h+1](s')^(2^m) / s2_m

with alpha = H^(-1/2), gamma = d^(-1/4), M = log2(7 K H) levels, lam = d / B^2 and, with
l = ln(32 (ln(gamma^2 / alpha) + 1) k^2 H^2 / delta),

    beta_k = 12 sqrt(d ln(1 + k H / (alpha^2 d lam)) l) + 30 l / gamma^2 + sqrt(lam) B

Guarantee: if the rewards of an episode add up to 1 at most, the regret is O~(d sqrt(K) + d^2) with high
probability, with H in logarithms only.

Deviations from the paper: the constants are those of the same estimator in a thesis (Weitong Zhang, Theorem
2.6.3), not confirmed for this paper. M is rounded up; ln(gamma^2 / alpha) is taken as 0 where it is negative
(H < d). `c` multiplies beta_k, also in the weights.
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.mixture import LinearMixtureMDP, mixture_tables, refuse_not_mixture
from eluder.core.moments import moment_levels, moment_radius, moment_variances
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.simulator import Simulator, policy_value, reset, simulator, step
from eluder.core.targeted_regression import (
    TargetedRegression,
    add_target,
    default_ridge,
    new_targets,
    optimistic_plan,
    pair_features,
)
from eluder.core.types import Array, IntArray

__all__ = ["hf_ucrl_vtr_plus"]


def hf_ucrl_vtr_plus(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of HF-UCRL-VTR+.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The simulator, with one mixture for all stages and rewards of an episode that add up to 1 at most.
        The learner knows the base kernels, the mean rewards, the horizon and `B`; it sees states.
    K : int
        Number of episodes.
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
    OnlineResult
        ``value`` and ``upper`` of shape (K,); ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not a linear mixture MDP of this kind, `K` < 1, `lam` is not positive, `delta` is outside
        (0, 1), `c` is negative or makes a radius above 1e100, or `rng` is not a Generator.

    Notes
    -----
    O(H d (S A + M) (S + d)) time per episode, whatever K is; O(M d^2 + H S A) memory beside the problem.

    References
    ----------
    .. [1] Zhou and Gu. Computationally efficient horizon-free reinforcement learning for linear mixture MDPs.
       NeurIPS 2022. arXiv:2205.11507

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(5, 2, 3, 2, total=1, rng=np.random.default_rng(0))
    >>> hf_ucrl_vtr_plus(mdp, 100, c=0.05, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    refuse_not_mixture(mdp, homogeneous=True, total=True)
    sim = simulator(mixture_tables(mdp))
    K = checks.integer("K", K)
    phi = mdp.phi.reshape(-1, *mdp.phi.shape[-4:])
    (H, S, A), d = sim.r.shape, phi.shape[1]
    lam = default_ridge(mdp.B, d) if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    fit = new_targets(moment_levels(K, H), d, lam)
    first = TargetedRegression._make(x[:1] for x in fit)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    checked_radius(c * moment_radius(d, H, K, lam, mdp.B, delta), c=c, lam=lam)
    known = (lam, mdp.B, delta, c)
    _hf_ucrl_vtr_plus(value, upper, Q, pi, N, fit, first, phi, sim, known, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Computationally efficient horizon-free reinforcement learning for linear mixture MDPs",
            authors="Zhou, Gu",
            venue="NeurIPS",
            year=2022,
            arxiv="2205.11507",
        ),
        setting="episodic regret",
        statement="regret O~(d sqrt(K) + d^2) with high probability, polylogarithmic in H",
        assumptions="linear mixture MDP with one mixture for all stages, rewards of an episode add up to 1 "
        "at most, |psi_V| <= 1 for V in [0, 1], |theta| <= B",
        exponent=0.5,
    ),
)


@kernel
def _hf_ucrl_vtr_plus(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: TargetedRegression,
    first: TargetedRegression,
    phi: Array,
    sim: Simulator,
    known: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `phi`, `sim` and ``known = (lam, B, delta, c)``).

    `first` is the level 0 of `fit`, in the same memory.
    """
    H, S, _A = Q.shape
    M, d = fit.theta.shape
    lam, B, delta, c = known
    V, V_pi, power = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(S)
    X, s2, u = np.zeros((M, d)), np.zeros(M), np.zeros(d)
    cap = np.ones(H)
    for k in range(value.size):
        # plan
        beta = c * moment_radius(d, H, k + 1, lam, B, delta)
        optimistic_plan(Q, V, pi, first, phi, sim.r, sim.mask, beta, cap, u)
        value[k] = policy_value(sim, pi, V_pi, H - 1)  # measurement
        upper[k] = (sim.mu * V[0]).sum()
        inverse, theta = fit.inverse.copy(), fit.theta.copy()

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, _ = step(sim, h, s, a, rng)

            # update
            power[:] = V[h + 1]
            for m in range(M):
                pair_features(phi, h, s, a, power, X[m])
                power *= power
            moment_variances(fit, inverse, theta, X, beta, d**-0.25, H**-0.5, s2)
            y = V[h + 1, s_next]
            for m in range(M):
                add_target(fit, m, X[m], y, 1.0 / s2[m], u)
                y *= y
            N[h, s, a] += 1
            s = s_next
