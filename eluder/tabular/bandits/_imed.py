r"""IMED: play the arm that is cheapest to doubt (Honda & Takemura, JMLR 2015).

Pseudo-code (section 3), in our names::

    play each arm once
    for t = A, ..., T-1:
        best = max_a mean(a)
        cost(a) = n(a) kl(mean(a), best) + ln(n(a))
        play a = argmin_a cost(a)                                 # act
        observe a reward;  n(a) += 1, mean(a) <- mean of its rewards                 # update

Guarantee: for Bernoulli arms limsup regret / ln T is the constant of Lai and Robbins,

    sum_{a: gap_a > 0} gap_a / kl(mean_a, best mean)                              (from memory)

Deviations from the paper: its divergence D_inf is over all laws on (-inf, 1]; here it is that of a
one-parameter family. For 0/1 rewards the two are equal; for other rewards in [0, 1] the Bernoulli divergence
is smaller, and the constant larger.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array
from eluder.tabular.bandits._index import conjugate, excess, family_code, natural, potential

__all__ = ["imed"]


def imed(
    bandit: Bandit, T: int, *, family: str = "bernoulli", sigma: float = 1.0, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of IMED, the indexed minimum empirical divergence.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    family : str, default="bernoulli"
        Whose divergence: "bernoulli" (any rewards in [0, 1]), "gaussian", "exponential" or "poisson".
    sigma : float, default=1.0
        Standard deviation, > 0; used by the Gaussian family only.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave the domain of `family`, `T` < 1, `sigma` is not
        positive, `family` is another, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round (four logarithms and two multiplications for each arm), O(A) memory.

    References
    ----------
    .. [1] Honda and Takemura. Non-asymptotic analysis of a new bandit algorithm for semi-bounded rewards.
       JMLR 16, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = imed(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    code = family_code("imed", family, bandit)
    T = checks.integer("T", T)
    sigma = checks.number("sigma", sigma, 1e-100, 1e100)
    books = ledger(bandit.means.shape[1], T)
    scale = 1 / sigma**2 if family == "gaussian" else 1.0
    _imed(bandit, T, code, scale, books, checks.generator(rng))
    return bandit_result(bandit, books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Non-asymptotic analysis of a new bandit algorithm for semi-bounded rewards",
            authors="Honda, Takemura",
            venue="JMLR",
            year=2015,
        ),
        setting="stochastic regret",
        statement="limsup of regret / ln(T) at most sum_a gap_a / kl(mean_a, best mean) for Bernoulli arms",
        assumptions="independent rewards of the family",
        exponent=0.0,
    ),
)


@kernel
def argmin_cost(family: int, scale: float, n: Array, mean: Array, ent: Array, log_n: Array) -> int:
    """Return the first arm with the smallest ``n scale kl(mean, best) + ln n``."""
    best = mean[0]
    for b in range(1, n.size):
        best = max(best, mean[b])
    theta, psi = natural(family, best), potential(family, best)
    a, least = 0, math.inf
    for b in range(n.size):
        cost = log_n[b]
        if mean[b] < best:
            cost += n[b] * scale * max(excess(family, mean[b], ent[b], best, theta, psi), 0.0)
        if cost < least:
            a, least = b, cost
    return a


@kernel
def _imed(bandit: Bandit, T: int, family: int, scale: float, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place. `scale` is one over the variance of a Gaussian."""
    A = books.pulls.size
    n, total, mean, ent, log_n = np.zeros(A), np.zeros(A), np.zeros(A), np.zeros(A), np.zeros(A)
    for t in range(T):
        # act
        a = t if t < A else argmin_cost(family, scale, n, mean, ent, log_n)
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
        ent[a] = conjugate(family, mean[a])
        log_n[a] = math.log(n[a])
