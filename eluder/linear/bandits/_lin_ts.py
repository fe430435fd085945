r"""Linear Thompson sampling (Abeille & Lazaric, AISTATS 2017; Agrawal & Goyal, ICML 2013).

Pseudo-code (Abeille & Lazaric, algorithm 1, Gaussian sampling), in our names::

    V = lam I,  theta = 0,  delta' = delta / (4 T)
    for t = 0, ..., T-1:
        observe the context: a is one of its arms
        beta = c (sqrt(lam) S + sigma sqrt(2 ln(1 / delta') + ln det V / det(lam I)))
        eta ~ N(0, I),  sampled = theta + beta B eta  with  B B' = V^-1
        a = argmax_a <phi_a, sampled>
        play a, observe a reward                                                        # act
        V += phi_a phi_a',  theta = V^-1 sum of reward phi                              # update

Guarantee: with probability at least 1 - delta the regret is O(d sqrt(d T ln d) ln T): a draw is optimistic
with probability 1 / (4 sqrt(e pi)) at least, and its length is sqrt(d) times that of the ellipsoid
(Theorem 1; constants not confirmed, none is given as a bound). Agrawal & Goyal draw with the scale
``sigma sqrt(9 d ln(t / delta))`` instead.

Deviations from the paper: the radius has ``ln det V`` itself in place of its upper bound, which is smaller
and still covers theta. For Gaussian draws any root B of V^-1 has the same law as the symmetric one; it is
kept by ``B -= kappa (B v) v'``, with ``v = B' phi_a``, ``q = |v|^2``, ``kappa = (1 - 1 / sqrt(1 + q)) / q``
(Potter's update), so that a round needs no factorisation.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.contextual_linear_bandits import (
    ContextualLinearBandit,
    contextual_linear_ledger,
    flattened,
    linear_problem,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import dot, kernel
from eluder.core.linear_bandits import (
    LinearBandit,
    LinearLedger,
    linear_result,
    next_arms,
    play_linear,
    subgaussian_scale,
)
from eluder.core.results import BanditResult
from eluder.core.ridge import Ridge, absorb, ridge
from eluder.core.types import Array
from eluder.linear.bandits._ellipsoid import largest_log_det, longest, radius, refuse_overflow

__all__ = ["lin_ts"]


def lin_ts(
    bandit: LinearBandit | ContextualLinearBandit,
    T: int,
    *,
    lam: float = 1.0,
    S: float = 1.0,
    sigma: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of linear Thompson sampling.

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
    sigma : float, optional
        Sub-Gaussian constant >= 0 of the noise; by default that of the bandit.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies the deviation of the draws; 1 is the paper's.
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
    O(A d + d^2) time per round, O(A d + d^2) memory.

    References
    ----------
    .. [1] Abeille and Lazaric. Linear Thompson sampling revisited. AISTATS 2017. arXiv:1611.06534
    .. [2] Agrawal and Goyal. Thompson sampling for contextual bandits with linear payoffs. ICML 2013.
       arXiv:1209.3352

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import linear_bandit
    >>> bandit = linear_bandit([[1, 0], [0, 1], [0.7, 0.7]], [0.2, 0.9], sigma=0.1)
    >>> int(lin_ts(bandit, 1000, c=0.2, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    flat = flattened(linear_problem(bandit, "lin_ts"))
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e100, open_low=True)
    S = checks.number("S", S, 0.0, 1e100)
    sigma = checks.number("sigma", subgaussian_scale(flat) if sigma is None else sigma, 0.0, 1e100)
    delta = share_of_failure(checks.failure_probability("delta", delta), T)
    c = checks.number("c", c, 0.0)
    widest = largest_log_det(flat.phi.shape[1], T, longest(flat.phi), lam)
    refuse_overflow(flat.phi, lam, c * radius(lam, S, sigma, widest, delta), c=c, S=S, sigma=sigma)
    books, R = contextual_linear_ledger(bandit, T), ridge(flat.phi, lam)
    _lin_ts(flat, T, S, sigma, delta, c, R, books, checks.generator(rng))
    return linear_result(books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Linear Thompson sampling revisited",
            authors="Abeille, Lazaric",
            venue="AISTATS",
            year=2017,
            arxiv="1611.06534",
        ),
        setting="linear regret",
        statement="regret O(d sqrt(d T ln d) ln T) with probability at least 1 - delta (Theorem 1; constants "
        "not confirmed)",
        assumptions="mean rewards linear in phi, |phi| <= 1, |theta| <= S, sigma-sub-Gaussian noise",
        exponent=0.5,
    ),
)


def share_of_failure(delta: float, T: int) -> float:
    """Return ``delta / (4 T)``, the probability of failure in the radius."""
    return delta / (4 * T)


@kernel
def shrink_root(B: Array, x: Array, v: Array) -> None:
    """Turn a root of V^-1 into one of ``(V + x x')^-1``; B in place, v is work space."""
    d = x.size
    for i in range(d):
        v[i] = 0.0
    for j in range(d):
        for i in range(d):
            v[i] += B[j, i] * x[j]
    q = dot(v, v)
    if q > 0.0:
        kappa = (1.0 - 1.0 / math.sqrt(1.0 + q)) / q
        for j in range(d):
            f = kappa * dot(B[j], v)
            for i in range(d):
                B[j, i] -= f * v[i]


@kernel
def draw_index(
    R: Ridge, B: Array, beta: float, v: Array, z: Array, low: int, high: int, rng: np.random.Generator
) -> int:
    """Return the best of the arms ``low, ..., high - 1`` for a drawn parameter; v and z are work space."""
    d = v.size
    for i in range(d):
        v[i] = rng.standard_normal()
    for i in range(d):
        z[i] = R.theta[i] + beta * dot(B[i], v)
    best, top = low, -math.inf
    for a in range(low, high):
        index = dot(R.phi[a], z)
        if index > top:
            best, top = a, index
    return best


@kernel
def _lin_ts(
    bandit: LinearBandit,
    T: int,
    S: float,
    sigma: float,
    delta: float,
    c: float,
    R: Ridge,
    books: LinearLedger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `R` and `books` in place."""
    d = R.theta.size
    B, v, z = np.eye(d) / math.sqrt(R.lam), np.zeros(d), np.zeros(d)
    for t in range(T):
        low, high = next_arms(books, rng)
        beta = c * radius(R.lam, S, sigma, R.log_det[0], delta)
        a = draw_index(R, B, beta, v, z, low, high, rng)

        # act
        reward = play_linear(bandit, books, t, a, rng)

        # update
        absorb(R, a, 1.0, reward)
        shrink_root(B, R.phi[a], v)
