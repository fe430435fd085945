r"""UCRL-VTR: value-targeted regression (Jia, Yang, Szepesvari & Wang, L4DC 2020; Ayoub et al., ICML 2020).

Pseudo-code, in our names; psi_V(s, a) = sum_{s'} phi(s' | s, a) V(s') and |x| = sqrt(x' Lambda^-1 x)::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Q[h] <- clip(r[h] + psi_V[h+1] theta + beta |psi_V[h+1]|, 0, H - h)
            V[h] <- max_a Q[h]
        for h = 0, ..., H-1:
            play a = argmax Q[h](s, .), observe s'                                  # act
            x <- psi_V[h+1](s, a)                                                   # update
            Lambda <- Lambda + x x',   b <- b + x V[h+1](s')
        theta <- Lambda^-1 b

with Lambda = lam I at first, lam = 1 / B^2 and beta = H sqrt(d ln((1 + K H^3 / lam) / delta)) + sqrt(lam) B.

Guarantee: regret O~(d sqrt(H^3 T)) with probability at least 1 - delta, T = K H (Jia et al. 2020).

Deviations from the paper: its radius is larger by constants and logarithms that could not be confirmed; here
it is that of the self-normalised bound (Abbasi-Yadkori, Pal and Szepesvari 2011, Theorem 2) for values in
[0, H], which is all the proof needs. Q is cut off at H - h instead of H (the reward left). Where the mixture
depends on the stage there is one regression for each, and the same radius covers them all.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.mixture import LinearMixtureMDP, mixture_tables
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

__all__ = ["ucrl_vtr"]


def ucrl_vtr(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of UCRL-VTR.

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
        Multiplies the radius `beta`; smaller is common in practice.
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
    O(H S A d (S + d)) time per episode, whatever K is; O(d^2 + H S A) memory beside the problem.

    References
    ----------
    .. [1] Jia, Yang, Szepesvari and Wang. Model-based reinforcement learning with value-targeted regression.
       L4DC 2020.
    .. [2] Ayoub, Jia, Szepesvari, Wang and Yang. Model-based reinforcement learning with value-targeted
       regression. ICML 2020. arXiv:2006.01107

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(5, 2, 3, 2, rng=np.random.default_rng(0))
    >>> ucrl_vtr(mdp, 100, c=0.05, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    sim = simulator(mixture_tables(mdp))
    K = checks.integer("K", K)
    lam = default_ridge(mdp.B) if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    phi = mdp.phi.reshape(-1, *mdp.phi.shape[-4:])
    (H, S, A), d = sim.r.shape, phi.shape[1]
    fit = new_targets(mdp.theta.size // d, d, lam)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    beta = checked_radius(c * radius(d, H, K, lam, mdp.B, delta), c=c, lam=lam)
    _ucrl_vtr(value, upper, Q, pi, N, fit, phi, sim, beta, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def radius(d: int, H: int, K: int, lam: float, B: float, delta: float) -> float:
    """Return ``beta = H sqrt(d ln((1 + K H^3 / lam) / delta)) + sqrt(lam) B``."""
    return H * math.sqrt(d * math.log((1 + K * H**3 / lam) / delta)) + math.sqrt(lam) * B


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Model-based reinforcement learning with value-targeted regression",
            authors="Jia, Yang, Szepesvari, Wang",
            venue="L4DC",
            year=2020,
        ),
        setting="episodic regret",
        statement="regret O~(d sqrt(H^3 T)) with probability 1 - delta, T = K H",
        assumptions="linear mixture MDP, |psi_V| <= 1 for V in [0, 1], |theta| <= B, known rewards in [0, 1]",
        exponent=0.5,
    ),
)


@kernel
def _ucrl_vtr(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: TargetedRegression,
    phi: Array,
    sim: Simulator,
    beta: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `phi` and `sim`)."""
    H, S, _A = Q.shape
    G, d = fit.theta.shape
    V, V_pi, x, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(d), np.zeros(d)
    cap = np.arange(H, 0, -1).astype(np.float64)
    for k in range(value.size):
        # plan
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
            add_target(fit, h % G, x, V[h + 1, s_next], 1.0, u)
            N[h, s, a] += 1
            s = s_next
