r"""Reward-free exploration of linear MDPs by least squares (Wang, Du, Yang & Salakhutdinov, NeurIPS 2020).

Pseudo-code (algorithms 1 and 2), in our names; |phi| = sqrt(phi' Lambda[h]^-1 phi)::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            w <- Lambda^-1 sum of phi V[h+1](s') over these rounds
            u <- min(beta |phi|, H),   r <- u / H
            Q[h] <- clip(phi w + r + u, 0, H - h),   V[h] <- max_a Q[h]
        for h = 0, ..., H-1:                                                        # act, update
            play a = argmax Q[h](s, .), observe s'
    plan(r): the same backward pass over all rounds, with u alone and the reward that is given

with lam = 1 and beta = c d H sqrt(ln(2 d K H / delta)).

Guarantee: with probability at least 1 - delta, O~(d^3 H^6 / eps^2) episodes are enough for plans that lose at
most eps for every reward at once (Theorem 3.1).

Deviations from the paper: it leaves the constant c open, here 1 unless given, and has 1 / eps for K in the
logarithm. The plan does not cut u off at H, which is no less optimistic. Q is cut off at H - h instead of H
(the reward left). Sums over the rounds are kept as statistics.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP
from eluder.core.linear_simulator import LinearSimulator, linear_simulator, reset, step
from eluder.core.reward_free import LinearExploration
from eluder.core.ridge import checked_radius
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_round, new_regression, predict, solve

__all__ = ["lsvi_reward_free"]


def lsvi_reward_free(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    K: int,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> LinearExploration:
    """Explore a linear MDP for K episodes, without rewards.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The simulator. The learner knows `phi` and the horizon; it sees states, and no rewards.
    K : int
        Number of episodes.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    LinearExploration
        Its ``plan(r)`` plans for a reward, with a certificate.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is negative or
        makes a radius above 1e100, or `rng` is not a Generator.

    Notes
    -----
    O(H (d^2 + d S + S A d)) time per episode, whatever K is; O(H (d^2 + d S + S A)) memory.

    References
    ----------
    .. [1] Wang, Du, Yang and Salakhutdinov. On reward-free reinforcement learning with linear function
       approximation. NeurIPS 2020. arXiv:2006.11274

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(4, 2, 3, 3, rng=np.random.default_rng(0))
    >>> explored = lsvi_reward_free(mdp, 100, c=0.02, rng=np.random.default_rng(0))
    >>> explored.plan(np.eye(4)[:, [0, 1]]).pi.shape
    (3, 4)
    """
    sim = linear_simulator(mdp)
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    H, S, A = sim.r.shape
    fit = new_regression(mdp.phi, H, lam)
    beta = checked_radius(c * radius(mdp.phi.shape[2], H, K, delta), c=c)
    pi, N, uncertainty = np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64), np.empty(K)
    _lsvi_reward_free(uncertainty, pi, N, fit, sim, beta, checks.generator(rng))
    return LinearExploration(mdp.phi, mdp.mask, fit.M, fit.Lambda, beta, uncertainty, pi, N)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = d H sqrt(ln(2 d K H / delta))``, with the paper's constant taken as 1."""
    return d * H * math.sqrt(math.log(2 * d * K * H / delta))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="On reward-free reinforcement learning with linear function approximation",
            authors="Wang, Du, Yang, Salakhutdinov",
            venue="NeurIPS",
            year=2020,
            arxiv="2006.11274",
        ),
        setting="reward-free",
        statement="after O~(d^3 H^6 / eps^2) episodes plans lose at most eps for all rewards at once, with "
        "probability 1 - delta (Theorem 3.1, number from memory); the exponent is that of the loss",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]; an absolute constant in the radius",
        exponent=-0.5,
    ),
)


@kernel
def _lsvi_reward_free(
    uncertainty: Array,
    pi: IntArray,
    N: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    beta: float,
    rng: np.random.Generator,
) -> None:
    """Run ``uncertainty.size`` episodes in place (all but `sim`)."""
    H, S, A = N.shape
    d = fit.b.shape[1]
    V, y, w, v = np.zeros((H + 1, S)), np.zeros(d), np.zeros(d), np.zeros(d)
    for k in range(uncertainty.size):
        # plan
        for h in range(H - 1, -1, -1):
            solve(fit, h, V[h + 1], y, w)
            for s in range(S):
                best, largest = -1, -math.inf
                for a in range(A):
                    if not sim.mask[s, a]:
                        continue
                    u = min(beta * math.sqrt(max(fit.width2[h, s, a], 0.0)), float(H))
                    q = min(max(predict(fit, s, a, w) + u / H + u, 0.0), float(H - h))
                    if q > largest:
                        best, largest = a, q
                V[h, s], pi[h, s] = largest, best
        uncertainty[k] = (sim.mu * V[0]).sum()

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _ = step(sim, h, s, a, rng)

            # update
            add_round(fit, h, s, a, 0.0, s_next, v)
            N[h, s, a] += 1
            s = s_next
