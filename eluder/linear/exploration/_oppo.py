r"""OPPO: optimistic proximal policy optimisation (Cai, Yang, Jin & Wang, ICML 2020).

Pseudo-code (algorithm 1), in our names::

    pi[h] <- uniform, Q[h] <- 0
    for k = 1, ..., K:
        for all h, s: pi[h](. | s) <- pi[h](. | s) exp(alpha Q[h](s, .)) / its sum      # improve
        for h = 0, ..., H-1: play a ~ pi[h](. | s), observe s'; the rewards r of episode k are shown   # act
        for h = H-1, ..., 0:                                                           # evaluate
            Lambda <- lam I + sum of psi psi' over the rounds of stage h before this episode
            w <- Lambda^-1 sum of psi V(s') over these rounds, with the psi and V of their episodes
            psi(s, a)_i = sum_{s'} phi_i(s' | s, a) V[h+1](s')
            Q[h] <- r[h] + clip(psi w + beta sqrt(psi' Lambda^-1 psi), 0, H - h - 1)
            V[h] <- sum_a pi[h](a | .) Q[h](., a)

with lam = 1, alpha = sqrt(2 ln A / (H T)), beta = c sqrt(d H^2 ln(d T / delta)) and T = K H. This alpha is
where what mirror steps lose, ``H ln A / alpha + alpha H^3 K / 2``, is least.

Guarantee: whatever the rewards in [0, 1] are, the regret against the best fixed policy is O(sqrt(d^2 H^3 T)
ln(d T / delta)) with probability at least 1 - delta, for an absolute constant c (Theorem 4.1).

Deviations from the paper: it leaves the constant c open, here 1 unless given; alpha and beta are from memory
and were not confirmed, the bound on the mirror steps is derived. Rewards repeat with the period
of the table that is given; with none they are those of the problem, always.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import dot, kernel, sample
from eluder.core.mixture import LinearMixtureMDP, mixture_tables
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.simulator import Simulator, reset, simulator, step, stochastic_policy_value
from eluder.core.targeted_regression import (
    TargetedRegression,
    add_target,
    confidence_norm,
    new_targets,
    pair_features,
)
from eluder.core.types import Array, IntArray

__all__ = ["oppo"]


def oppo(
    mdp: LinearMixtureMDP,
    K: int,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    rewards: ArrayLike | None = None,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of optimistic proximal policy optimisation.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The simulator. The learner knows the base kernels and the horizon; it sees states, and after each
        episode its mean rewards.
    K : int
        Number of episodes.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice.
    rewards : array_like, shape (N, H, S, A), optional
        Rewards in [0, 1] of an adversary: episode k, from 0, has ``rewards[k % N]``. By default ``mdp.r``.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` of shape (K,), under the rewards of the episode; ``pi`` of shape (H, S, A) is
        the last policy, of probabilities; ``Q`` and ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not a LinearMixtureMDP, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is
        negative or makes a radius above 1e100, an entry of `rewards` is outside [0, 1], or `rng` is not a
        Generator.

    Notes
    -----
    O(H S A (d S + d^2)) time per episode, whatever K is, with the exact value of the policy.

    References
    ----------
    .. [1] Cai, Yang, Jin and Wang. Provably efficient exploration in policy optimization. ICML 2020,
       Theorem 4.1. arXiv:1912.05830

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> mdp = random_linear_mixture_mdp(4, 2, 3, 3, rng=np.random.default_rng(0))
    >>> oppo(mdp, 50, c=0.1, rng=np.random.default_rng(0)).pi.shape
    (3, 4, 2)
    """
    sim = simulator(mixture_tables(mdp))
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    (H, S, A), d = sim.r.shape, mdp.phi.shape[-4]
    r = sim.r[None] if rewards is None else checks.finite("rewards", rewards, (None, H, S, A), 0.0, 1.0)
    fit = new_targets(H, d, lam)
    phi = mdp.phi.reshape(-1, d, S, A, S)
    pi = np.broadcast_to(mdp.mask / mdp.mask.sum(axis=1, keepdims=True), (H, S, A)).copy()
    Q, N = np.zeros((H, S, A)), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    alpha, beta = step_size(A, H, K), checked_radius(c * radius(d, H, K, delta), c=c)
    _oppo(value, upper, Q, pi, N, fit, sim, phi, r, alpha, beta, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def step_size(A: int, H: int, K: int) -> float:
    """Return ``alpha = sqrt(2 ln A / (H T))`` for T = K H (from memory)."""
    return math.sqrt(2 * math.log(A) / (H * K * H))


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = sqrt(d H^2 ln(d K H / delta))``, with the paper's constant taken as 1."""
    return math.sqrt(d * H**2 * math.log(d * K * H / delta))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Provably efficient exploration in policy optimization",
            authors="Cai, Yang, Jin, Wang",
            venue="ICML",
            year=2020,
            arxiv="1912.05830",
        ),
        setting="episodic regret",
        statement="regret O~(sqrt(d^2 H^3 T)) against the best fixed policy with probability 1 - delta, for "
        "any rewards (Theorem 4.1)",
        assumptions="linear mixture MDP, |psi| <= H sqrt(d), rewards in [0, 1] shown after each episode; an "
        "absolute constant in the radius",
        exponent=0.5,
    ),
)


@kernel
def improve(pi: Array, Q: Array, alpha: float) -> None:
    """Multiply the probabilities by ``exp(alpha Q)`` and normalise, in place (`pi`)."""
    H, S, A = pi.shape
    for h in range(H):
        for s in range(S):
            top, total = -math.inf, 0.0
            for a in range(A):
                if pi[h, s, a] > 0.0:
                    top = max(top, Q[h, s, a])
            for a in range(A):
                if pi[h, s, a] > 0.0:
                    pi[h, s, a] = max(pi[h, s, a] * math.exp(alpha * (Q[h, s, a] - top)), 1e-300)
                    total += pi[h, s, a]
            for a in range(A):
                pi[h, s, a] /= total


@kernel
def _evaluate(
    Q: Array, V: Array, pi: Array, fit: TargetedRegression, phi: Array, r: Array, beta: float, x: Array
) -> None:
    """Write the optimistic values of a policy, in place (`Q`, `V`)."""
    H, S, A = Q.shape
    for h in range(H - 1, -1, -1):
        for s in range(S):
            V[h, s] = 0.0
            for a in range(A):
                if pi[h, s, a] > 0.0:
                    pair_features(phi, h, s, a, V[h + 1], x)
                    after = dot(fit.theta[h], x) + beta * confidence_norm(fit.inverse[h], x)
                    Q[h, s, a] = r[h, s, a] + min(max(after, 0.0), float(H - h - 1))
                    V[h, s] += pi[h, s, a] * Q[h, s, a]


@kernel
def _oppo(
    value: Array,
    upper: Array,
    Q: Array,
    pi: Array,
    N: IntArray,
    fit: TargetedRegression,
    sim: Simulator,
    phi: Array,
    rewards: Array,
    alpha: float,
    beta: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`, `phi`, `rewards`)."""
    H, S, _A = Q.shape
    d = fit.b.shape[1]
    V, V_pi, x, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(d), np.zeros(d)
    path, played = np.zeros(H + 1, np.int64), np.zeros(H, np.int64)
    for k in range(value.size):
        # improve
        improve(pi, Q, alpha)

        # act
        path[0] = reset(sim, rng)
        for h in range(H):
            played[h] = sample(pi[h, path[h]], rng)
            path[h + 1], _, _ = step(sim, h, path[h], played[h], rng)
            N[h, path[h], played[h]] += 1

        # evaluate
        r = rewards[k % len(rewards)]
        _evaluate(Q, V, pi, fit, phi, r, beta, x)
        for h in range(H):
            pair_features(phi, h, path[h], played[h], V[h + 1], x)
            add_target(fit, h, x, V[h + 1, path[h + 1]], 1.0, u)
        sim.r[:] = r
        value[k] = stochastic_policy_value(sim, pi, V_pi)  # measurement
        upper[k] = dot(sim.mu, V[0])
