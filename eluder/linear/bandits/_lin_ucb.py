r"""LinUCB or OFUL: optimism in a confidence ellipsoid (Abbasi-Yadkori, Pal & Szepesvari, NIPS 2011).

Pseudo-code (the OFUL algorithm; `switch` is C of the rarely switching one), in our names::

    V = lam I,  theta = 0
    for t = 0, ..., T-1:
        observe the context: a is one of its arms
        if det V > (1 + C) det V at the last choice, or the context is new, or t = 0:
            radius = c (sqrt(lam) S + sigma sqrt(2 ln(1 / delta) + ln det V / det(lam I)))
            a = argmax_a <phi_a, theta> + radius sqrt(phi_a' V^-1 phi_a)
        play a, observe a reward                                                        # act
        V += phi_a phi_a',  theta = V^-1 sum of reward phi                              # update

Guarantee: with probability at least 1 - delta, theta* is in the ellipsoid ``|theta* - theta|_V <= radius`` at
all times (Theorem 2), and then the regret is at most

    2 radius_T sqrt((1 + C) T  b / ln(1 + b)  d ln(1 + T L^2 / (d lam))),   b = L^2 / lam

with ``|theta*| <= S``, ``|phi_a| <= L`` and the radius at its largest value. The paper's Theorems 3 and 4
have other constants and need means in [-1, 1]; this one follows from Theorem 2, from the growth of
determinants, and from ``x <= b / ln(1 + b) ln(1 + x)`` on [0, b].

Deviations from the paper: a finite set of arms, so that the optimistic pair is the index above. While an arm
is kept, ``det V`` grows by the factor ``1 + k phi_a' V^-1 phi_a`` after k plays: the regression is updated
when the arm is about to be chosen anew, with the sums of these k rewards.
"""

import numpy as np

from eluder.core import checks
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
    subgaussian_scale,
)
from eluder.core.results import BanditResult
from eluder.core.ridge import Ridge, absorb, ridge
from eluder.linear.bandits._ellipsoid import (
    choose,
    largest_log_det,
    longest,
    optimistic_bound,
    radius,
    refuse_overflow,
)

__all__ = ["lin_ucb"]


def lin_ucb(
    bandit: LinearBandit | ContextualLinearBandit,
    T: int,
    *,
    lam: float = 1.0,
    S: float = 1.0,
    sigma: float | None = None,
    switch: float = 0.0,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of LinUCB with the confidence ellipsoid of OFUL.

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
    switch : float, default=0.0
        C >= 0: while the context stays, an arm is kept until the determinant has grown by more than
        ``1 + C``; 0 chooses each round.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies the radius; 1 is the paper's.
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
    O(A d + d^2) time per round in which the arm is chosen anew, O(1) in the others; memory O(A d + d^2).

    References
    ----------
    .. [1] Abbasi-Yadkori, Pal and Szepesvari. Improved algorithms for linear stochastic bandits. NIPS 2011,
       Theorems 2 to 4.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import linear_bandit
    >>> bandit = linear_bandit([[1, 0], [0, 1], [0.7, 0.7]], [0.2, 0.9], sigma=0.1)
    >>> int(lin_ucb(bandit, 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    flat = flattened(linear_problem(bandit, "lin_ucb"))
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e100, open_low=True)
    S = checks.number("S", S, 0.0, 1e100)
    sigma = checks.number("sigma", subgaussian_scale(flat) if sigma is None else sigma, 0.0, 1e100)
    switch = checks.number("switch", switch, 0.0)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    widest = largest_log_det(flat.phi.shape[1], T, longest(flat.phi), lam)
    refuse_overflow(flat.phi, lam, c * radius(lam, S, sigma, widest, delta), c=c, S=S, sigma=sigma)
    books, R = contextual_linear_ledger(bandit, T), ridge(flat.phi, lam)
    _lin_ucb(flat, T, S, sigma, switch, delta, c, R, books, checks.generator(rng))
    return linear_result(books)


def bound(
    d: int,
    T: int,
    delta: float,
    S: float = 1.0,
    sigma: float = 1.0,
    L: float = 1.0,
    lam: float = 1.0,
    switch: float = 0.0,
) -> float:
    """Return the bound on the regret of the module's docstring."""
    rad = radius(lam, S, sigma, largest_log_det(d, T, L, lam), delta)
    return optimistic_bound(rad, d, T, L, lam, switch)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Improved algorithms for linear stochastic bandits",
            authors="Abbasi-Yadkori, Pal, Szepesvari",
            venue="NIPS",
            year=2011,
        ),
        setting="linear regret",
        statement="regret O(d sqrt(T) ln T) with probability at least 1 - delta (Theorems 3 and 4; constants "
        "derived here from Theorem 2)",
        assumptions="mean rewards linear in phi, |theta| <= S, sigma-sub-Gaussian noise",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def _lin_ucb(
    bandit: LinearBandit,
    T: int,
    S: float,
    sigma: float,
    switch: float,
    delta: float,
    c: float,
    R: Ridge,
    books: LinearLedger,
    rng: np.random.Generator,
) -> int:
    """Run T rounds and return how often the arm was chosen; `R` and `books` in place."""
    choices, k, total, a = 0, 0, 0.0, 0
    for t in range(T):
        low, high = next_arms(books, rng)
        if k == 0 or a < low or a >= high or k * R.width[a] > switch:
            if k > 0:
                absorb(R, a, float(k), total)
            a = choose(R, c * radius(R.lam, S, sigma, R.log_det[0], delta), low, high)
            choices, k, total = choices + 1, 0, 0.0

        # act
        reward = play_linear(bandit, books, t, a, rng)

        # update
        k += 1
        total += reward
    return choices
