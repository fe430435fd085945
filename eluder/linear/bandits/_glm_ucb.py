r"""UCB-GLM: optimism for generalised linear rewards (Li, Lu & Zhou, ICML 2017; Filippi et al., NIPS 2010).

Pseudo-code (Li, Lu & Zhou, algorithm 1), in our names; `mu` is the link, kappa its smallest slope::

    V = lam I
    for t = 0, ..., T-1:
        observe the context: a is one of its arms
        if t < tau: a = uniform
        else:
            theta = maximum-likelihood estimate, |theta| <= S
            radius = c (sqrt(lam) S + sigma / kappa sqrt(2 ln(1 / delta) + ln det V / det(lam I)))
            a = argmax_a <phi_a, theta> + radius sqrt(phi_a' V^-1 phi_a)
        play a, observe a reward                                                        # act
        V += phi_a phi_a'                                                               # update

theta minimises ``l = sum_t B(<phi, theta>) - reward <phi, theta> + kappa lam / 2 |theta|^2`` over the ball,
with ``B' = mu``: a convex problem, solved by Newton's method from the last solution.

Guarantee: with probability at least 1 - delta theta* is in the ellipsoid at all times, and the regret is at
most the largest slope (1/4 for the logistic link) times `lin_ucb`'s bound with this radius. Proof: l is
kappa-strongly convex in the norm of V on the ball, which holds both theta and theta*, so
``kappa |theta - theta*|_V <= |grad l(theta*)|_{V^-1} <= |sum_t noise phi|_{V^-1} + kappa sqrt(lam) S``, and
the first term is at most ``sigma sqrt(2 ln(1 / delta) + ln det V / det(lam I))`` (Abbasi-Yadkori et al. 2011,
Theorem 1). The paper's Theorem 2 (from memory) has O(sigma / kappa d sqrt(T) ln T).

Deviations from the paper: it has no penalty and no ball, and plays uniformly until V is large enough for the
estimate to be near theta*, with constants of its own; here the ball does that, so `tau` is 0 by default.
An arm may be kept until the determinant has grown, as in `lin_ucb`.
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
    IDENTITY,
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
from eluder.linear.bandits._likelihood import Likelihood, fit, likelihood

__all__ = ["glm_ucb"]


def glm_ucb(
    bandit: LinearBandit | ContextualLinearBandit,
    T: int,
    *,
    lam: float = 1.0,
    S: float = 1.0,
    sigma: float | None = None,
    kappa: float | None = None,
    tau: int = 0,
    switch: float = 0.0,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of UCB-GLM.

    Parameters
    ----------
    bandit : LinearBandit or ContextualLinearBandit
        The problem; the learner sees `phi`, `link` and rewards, never `theta`.
    T : int
        Number of rounds.
    lam : float, default=1.0
        Weight > 0 of the penalty.
    S : float, default=1.0
        Bound > 0 on the norm of the parameter.
    sigma : float, optional
        Sub-Gaussian constant >= 0 of the noise; by default that of the bandit.
    kappa : float, optional
        Smallest slope > 0 of the link that theta can meet; by default that on ``[-L S, L S]``, with L the
        largest norm of an arm.
    tau : int, default=0
        Rounds of uniform play at the beginning.
    switch : float, default=0.0
        While the context stays, an arm is kept until the determinant has grown by more than
        ``1 + switch``; 0 chooses each round.
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
        If `bandit` is no linear bandit, or an argument is outside its range.

    Notes
    -----
    O(A d^2 + d^3) time for each Newton step, about two in a round in which the arm is chosen anew: rewards
    enter by their sums over each arm, so a round costs the same however many went before.

    References
    ----------
    .. [1] Li, Lu and Zhou. Provably optimal algorithms for generalized linear contextual bandits. ICML 2017.
       arXiv:1703.00048
    .. [2] Filippi, Cappe, Garivier and Szepesvari. Parametric bandits: the generalized linear case. NIPS
       2010.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import linear_bandit
    >>> bandit = linear_bandit([[1, 0], [0, 1]], [-2, 2], link="logistic", law="bernoulli")
    >>> int(glm_ucb(bandit, 1000, S=3.0, c=0.1, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    flat = flattened(linear_problem(bandit))
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e100, open_low=True)
    S = checks.number("S", S, 0.0, 1e100, open_low=True)
    sigma = checks.number("sigma", subgaussian_scale(flat) if sigma is None else sigma, 0.0, 1e100)
    if kappa is None:
        L = float(np.sqrt((flat.phi**2).sum(axis=1).max()))
        kappa = smallest_slope(flat.link, min(L * S, 200.0))
    kappa = checks.number("kappa", kappa, 0.0, 1e100, open_low=True)
    tau = checks.integer("tau", tau, 0)
    switch = checks.number("switch", switch, 0.0)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    books = contextual_linear_ledger(bandit, T)
    model = likelihood(flat.phi.shape[1], flat.link, kappa * lam, S)
    ratio, widest = sigma / kappa, largest_log_det(flat.phi.shape[1], T, longest(flat.phi), lam)
    rad = c * radius(lam, S, ratio, widest, delta)
    refuse_overflow(flat.phi, lam, rad, c=c, S=S, sigma=sigma, kappa=kappa)
    R = ridge(flat.phi, lam)
    _glm_ucb(flat, T, S, ratio, tau, switch, delta, c, model, R, books, checks.generator(rng))
    return linear_result(books)


def smallest_slope(link: int, z: float) -> float:
    """Return the smallest slope of the link on [-z, z]: 1, or ``1 / (2 + 2 cosh z)``."""
    return 1.0 if link == IDENTITY else 1 / (2 + 2 * math.cosh(z))


def bound(
    d: int,
    T: int,
    delta: float,
    S: float = 1.0,
    sigma: float = 0.5,
    L: float = 1.0,
    lam: float = 1.0,
    switch: float = 0.0,
) -> float:
    """Return the bound of the module's docstring for the logistic link."""
    kappa = smallest_slope(1, L * S)
    rad = radius(lam, S, sigma / kappa, largest_log_det(d, T, L, lam), delta)
    return optimistic_bound(rad, d, T, L, lam, switch) / 4


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Provably optimal algorithms for generalized linear contextual bandits",
            authors="Li, Lu, Zhou",
            venue="ICML",
            year=2017,
            arxiv="1703.00048",
        ),
        setting="linear regret",
        statement="regret O(sigma / kappa d sqrt(T) ln T) with probability at least 1 - delta (Theorem 2, "
        "from memory; constants derived here)",
        assumptions="mean rewards link(<phi, theta>), |theta| <= S, slope of the link at least kappa",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def _glm_ucb(
    bandit: LinearBandit,
    T: int,
    S: float,
    ratio: float,
    tau: int,
    switch: float,
    delta: float,
    c: float,
    model: Likelihood,
    R: Ridge,
    books: LinearLedger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `model`, `R` and `books` in place."""
    A, k, total, a = R.y.size, 0, 0.0, 0
    for t in range(T):
        low, high = next_arms(books, rng)
        if t <= tau or k == 0 or a < low or a >= high or k * R.width[a] > switch:
            if k > 0:
                absorb(R, a, float(k), total)
            k, total = 0, 0.0
            if t < tau:
                a = low + int(rng.random() * (high - low))
            else:
                fit(model, R)
                for b in range(A):
                    R.y[b] = dot(R.phi[b], model.theta)
                a = choose(R, c * radius(R.lam, S, ratio, R.log_det[0], delta), low, high)

        # act
        reward = play_linear(bandit, books, t, a, rng)

        # update
        k += 1
        total += reward
