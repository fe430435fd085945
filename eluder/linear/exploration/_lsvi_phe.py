r"""LSVI-PHE: least-squares value iteration with perturbed histories (Ishfaq et al., ICML 2021).

Pseudo-code (algorithm 1 with linear functions), in our names::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            for m = 1, ..., M:
                add Normal(0, sigma^2) to every target r + max_a Q[h+1](s', a)
                w[m] <- the ridge regression onto these, drawn to a prior Normal(0, sigma^2 / lam) too
            Q[h] <- clip(max_m phi w[m], 0, H - h)
        for h = 0, ..., H-1:                                                        # act, update
            play a = argmax Q[h](s, .), observe r and s'

with lam = 1, sigma = c H sqrt(d L), L = ln(2 d T / delta), T = K H, and M = d ln(delta / 9) / ln Phi(1)
for the distribution function Phi of the normal law. The greatest of M draws is optimistic where one draw is
so only now and then.

Guarantee: with |phi| <= 1 the regret is O~(d^(3/2) H^(3/2) sqrt(T)) with probability at least 1 - delta (the
theorem on linear MDPs; the number of draws is from memory, the constant in sigma not confirmed).

Deviations from the paper: noise on every target and a random prior make w[m] normal around the regression
without noise, with covariance sigma^2 Lambda^-1; that law is drawn from directly, at a cost that does not
grow with K. Sums over the rounds are kept as statistics. `c` multiplies sigma.
"""

import math
from statistics import NormalDist

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
from eluder.linear.exploration._perturbation import perturb

__all__ = ["lsvi_phe"]


def lsvi_phe(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    K: int,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    num_samples: int | None = None,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of LSVI-PHE.

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
        Multiplies the standard deviation `sigma`; smaller is common in practice.
    num_samples : int, optional
        Number M of regressions per stage; by default that of the theorem, `samples`.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` of shape (K,); ``upper`` is the value that the largest of the Q promises; ``Q``, ``pi``,
        ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is negative or
        makes a radius above 1e100, `num_samples` < 1, or `rng` is not a Generator.

    Notes
    -----
    O(H (d^3 + d S + M d (d + S A))) time per episode, whatever K is, beside the exact evaluation.

    References
    ----------
    .. [1] Ishfaq, Cui, Nguyen, Ayoub, Yang, Wang, Precup and Yang. Randomized exploration in reinforcement
       learning with general value function approximation. ICML 2021. arXiv:2106.07841

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(5, 2, 3, 2, rng=np.random.default_rng(0))
    >>> lsvi_phe(mdp, 100, c=0.05, num_samples=5, rng=np.random.default_rng(0)).value.shape
    (100,)
    """
    sim = linear_simulator(mdp)
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    (H, S, A), d = sim.r.shape, mdp.phi.shape[2]
    M = samples(d, delta) if num_samples is None else checks.integer("num_samples", num_samples)
    fit = new_regression(mdp.phi, H, lam)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    sigma = checked_radius(c * deviation(d, H, K, delta), c=c)
    _lsvi_phe(value, upper, Q, pi, N, fit, sim, sigma, np.zeros((M, d)), checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def deviation(d: int, H: int, K: int, delta: float) -> float:
    """Return ``sigma = H sqrt(d ln(2 d K H / delta))``; the constant is not confirmed."""
    return H * math.sqrt(d * math.log(2 * d * K * H / delta))


def samples(d: int, delta: float) -> int:
    """Return ``M = ceil(d ln(delta / 9) / ln Phi(1))`` (from memory)."""
    return math.ceil(d * math.log(delta / 9) / math.log(NormalDist().cdf(1.0)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Randomized exploration in reinforcement learning with general value function "
            "approximation",
            authors="Ishfaq, Cui, Nguyen, Ayoub, Yang, Wang, Precup, Yang",
            venue="ICML",
            year=2021,
            arxiv="2106.07841",
        ),
        setting="episodic regret",
        statement="regret O~(d^(3/2) H^(3/2) sqrt(T)) with probability 1 - delta, T = K H",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]; the constant of sigma is not confirmed",
        exponent=0.5,
    ),
)


@kernel
def _plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    sigma: float,
    y: Array,
    W: Array,
    rng: np.random.Generator,
) -> int:
    """Plan in place (`Q`, `V`, `pi`, the draws `W`); return the last stage where `pi` changed, or -1."""
    H = Q.shape[0]
    top = -1
    w, q = np.empty(y.size), np.empty(Q[0].shape)
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        root = np.linalg.cholesky(fit.inverse[h])
        for m in range(len(W)):
            W[m] = w
            perturb(W[m], root, sigma, y, rng)
        Q[h] = -math.inf
        for m in range(len(W)):
            q[:] = 0.0
            add_predictions(fit, W[m], q)
            Q[h] = np.maximum(Q[h], q)
        Q[h] = np.minimum(np.maximum(Q[h], 0.0), H - h)
        if act_greedily(Q[h], sim.mask, V[h], pi[h]):
            top = max(top, h)
    return top


@kernel
def _lsvi_phe(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: ValueRegression,
    sim: LinearSimulator,
    sigma: float,
    W: Array,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`)."""
    H, S = pi.shape
    d = fit.b.shape[1]
    V, V_pi, y, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros(d), np.zeros(d)
    for k in range(value.size):
        # plan
        top = _plan(Q, V, pi, fit, sim, sigma, y, W, rng)
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
