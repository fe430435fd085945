r"""Weighted OFUL: rewards count by their precision (Zhou & Gu, NeurIPS 2022).

Pseudo-code (WeightedOFUL+, from memory), in our names; ``sigma_a`` is the noise of arm a::

    V = lam I,  theta = 0
    for t = 0, ..., T-1:
        observe the context: a is one of its arms
        radius = c (sqrt(lam) S + sqrt(2 ln(1 / delta) + ln det V / det(lam I)))
        a = argmax_a <phi_a, theta> + radius sqrt(phi_a' V^-1 phi_a)
        play a, observe a reward                                                        # act
        s = max(sigma_a, alpha, gamma (phi_a' V^-1 phi_a)^(1/4))
        V += phi_a phi_a' / s^2,  theta = V^-1 sum of reward phi / s^2                  # update

Guarantee: with probability at least 1 - delta theta* is in the ellipsoid at all times, and the regret is at
most

    2 radius_T sqrt(sum_t s_t^2) sqrt(sum_t phi_t' V_t^-1 phi_t / s_t^2)

(proved here: the noise over s is 1-sub-Gaussian, so Theorem 2 of Abbasi-Yadkori et al. 2011 holds for
phi / s; then Cauchy-Schwarz). The paper: O(d sqrt(sum_t sigma_t^2) + d) up to logarithms, so hardly any
regret where there is no noise.

Deviations from the paper: its noise is bounded with a known variance and its radius is a Bernstein one; here
sigma_a is a sub-Gaussian constant (a Gaussian deviation), for which the radius above is valid and smaller.
alpha and gamma are parameters; their defaults ``max sigma / sqrt(T)`` and ``sqrt(max sigma) / d^(1/4)`` are
from memory, and the guarantee holds for all.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI
from eluder.core.contextual_linear_bandits import (
    ContextualLinearBandit,
    contextual_linear_ledger,
    flattened,
    linear_problem,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear_bandits import (
    LinearBandit,
    LinearLedger,
    linear_result,
    next_arms,
    play_linear,
)
from eluder.core.results import BanditResult
from eluder.core.ridge import Ridge, absorb, ridge
from eluder.core.types import Array
from eluder.linear.bandits._ellipsoid import choose, largest_log_det, longest, radius, refuse_overflow

__all__ = ["weighted_oful"]


def weighted_oful(
    bandit: LinearBandit | ContextualLinearBandit,
    T: int,
    *,
    lam: float = 1.0,
    S: float = 1.0,
    sigma: ArrayLike | None = None,
    alpha: float | None = None,
    gamma: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of OFUL with rewards weighted by the inverse of their variance.

    Parameters
    ----------
    bandit : LinearBandit or ContextualLinearBandit
        The problem, with the identity as link; the learner sees `phi` and rewards, never `theta`.
    T : int
        Number of rounds.
    lam : float, default=1.0
        Weight > 0 of the ridge penalty.
    S : float, default=1.0
        Bound >= 0 on the norm of the parameter.
    sigma : array_like, shape (A,) or (X, A), optional
        Sub-Gaussian constant >= 0 of each arm's noise, in each context; by default those of the bandit.
    alpha : float, optional
        Smallest deviation > 0 that a weight may have; by default `smallest_deviation`.
    gamma : float, optional
        Caps, >= 0, the weight of an arm whose width is still large; by default `width_factor`.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies the radius; 1 is that of the proof.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is no linear bandit with the identity as link, or an argument is outside its range.

    Notes
    -----
    O(A d + d^2) time per round, O(A d + d^2) memory. With one deviation for all arms, ``gamma = 0`` and
    ``lam / sigma^2`` in place of ``lam`` it is `lin_ucb`.

    References
    ----------
    .. [1] Zhou and Gu. Computationally efficient horizon-free reinforcement learning for linear mixture MDPs.
       NeurIPS 2022. arXiv:2205.11507
    .. [2] Zhou, Gu and Szepesvari. Nearly minimax optimal reinforcement learning for linear mixture Markov
       decision processes. COLT 2021. arXiv:2012.08507

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import linear_bandit
    >>> bandit = linear_bandit([[1, 0], [0, 1]], [0.5, 0.9], sigma=[1.0, 0.01])
    >>> int(weighted_oful(bandit, 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    flat = flattened(linear_problem(bandit, "weighted_oful"))
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e100, open_low=True)
    S = checks.number("S", S, 0.0, 1e100)
    known = np.full(bandit.sigma.shape, 0.5) if bandit.law == BERNOULLI else bandit.sigma
    noise = checks.finite("sigma", known if sigma is None else sigma, known.shape, 0.0, 1e100).reshape(-1)
    largest, d = float(noise.max()), flat.phi.shape[1]
    alpha = smallest_deviation(largest, T) if alpha is None else alpha
    alpha = checks.number("alpha", alpha, 0.0, 1e100, open_low=True)
    gamma = checks.number("gamma", width_factor(largest, d) if gamma is None else gamma, 0.0, 1e100)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    widest = largest_log_det(d, T, longest(flat.phi) / alpha, lam)
    refuse_overflow(flat.phi, lam, c * radius(lam, S, 1.0, widest, delta), c=c, S=S, alpha=alpha)
    books = contextual_linear_ledger(bandit, T)
    R, generator = ridge(flat.phi, lam), checks.generator(rng)
    _weighted_oful(flat, T, S, noise, alpha, gamma, delta, c, R, books, generator)
    return linear_result(books)


def smallest_deviation(sigma: float, T: int) -> float:
    """Return ``sigma / sqrt(T)``, or ``1 / sqrt(T)`` where there is no noise (from memory)."""
    return (sigma if sigma > 0 else 1.0) / math.sqrt(T)


def width_factor(sigma: float, d: int) -> float:
    """Return ``sqrt(sigma) / d^(1/4)`` (from memory)."""
    return math.sqrt(sigma / math.sqrt(d))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Computationally efficient horizon-free reinforcement learning for linear mixture MDPs",
            authors="Zhou, Gu",
            venue="NeurIPS",
            year=2022,
            arxiv="2205.11507",
        ),
        setting="linear regret",
        statement="regret O(d sqrt(sum of variances) + d) up to logarithms with probability "
        "at least 1 - delta (the paper, from memory); the bound of the module's docstring is proved here",
        assumptions="mean rewards linear in phi, |theta| <= S, sub-Gaussian noise with a known sigma per arm",
        exponent=0.5,
    ),
)


@kernel
def deviation(sigma: float, alpha: float, gamma: float, width: float) -> float:
    """Return ``max(sigma, alpha, gamma width^(1/4))``, with the width ``phi' V^-1 phi``."""
    return max(sigma, alpha, gamma * math.sqrt(math.sqrt(max(width, 0.0))))


@kernel
def _weighted_oful(
    bandit: LinearBandit,
    T: int,
    S: float,
    sigma: Array,
    alpha: float,
    gamma: float,
    delta: float,
    c: float,
    R: Ridge,
    books: LinearLedger,
    rng: np.random.Generator,
) -> float:
    """Run T rounds and return the bound on the regret; `R` and `books` in place."""
    variances, widths = 0.0, 0.0
    for t in range(T):
        low, high = next_arms(books, rng)
        a = choose(R, c * radius(R.lam, S, 1.0, R.log_det[0], delta), low, high)

        # act
        reward = play_linear(bandit, books, t, a, rng)

        # update
        s = deviation(sigma[a], alpha, gamma, R.width[a])
        variances += s * s
        widths += R.width[a] / (s * s)
        absorb(R, a, 1.0 / (s * s), reward / (s * s))
    bound: float = 2.0 * radius(R.lam, S, 1.0, R.log_det[0], delta) * math.sqrt(variances * widths)
    return bound
