r"""Thompson sampling: play each arm as often as it is likely to be best (Agrawal & Goyal, AISTATS 2013).

Pseudo-code (COLT 2012 and AISTATS 2013), in our names::

    for t = 0, ..., T-1:
        draw theta(a) ~ Beta(1 + S(a), 1 + F(a))           [prior="beta"]
                     or Normal(S(a) / (n(a) + 1), 1 / (n(a) + 1))                    [prior="gaussian"]
        play a = argmax_a theta(a)                                # act
        observe a reward x in [0, 1]
        beta: with probability x, S(a) += 1, else F(a) += 1;  gaussian: S(a) += x, n(a) += 1     # update

Guarantee: with the Beta prior, for every eps > 0 the expected regret is at most

    (1 + eps) sum_{a: gap_a > 0} gap_a ln(T) / kl(mean_a, best mean) + O(A / eps^2)       (Theorem 1)

so that for Bernoulli arms it meets the lower bound of Lai and Robbins (also Kaufmann, Korda & Munos, ALT
2012); with the Gaussian prior it is O(sqrt(A T ln A)) (Theorem 3; both from memory).

Deviations from the paper: none in law. With the Beta prior most draws are not made: beyond the largest draw M
so far the log-concave density f is below its tangent ``f(M) exp(-slope (x - M))``, whose mass q is small.
With probability 1 - q the arm stays below M and nothing more is drawn; else a point x of the tangent is
accepted with probability f(x) / tangent(x). Whether an arm exceeds M, and where, has exactly the law of a
full draw.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import (
    Bandit,
    Ledger,
    bandit_result,
    ledger,
    play,
    refuse_other_problems,
    refuse_unbounded,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array
from eluder.tabular.bandits._index import INSIDE

__all__ = ["thompson"]


def thompson(bandit: Bandit, T: int, *, prior: str = "beta", rng: np.random.Generator) -> BanditResult:
    """Play T rounds of Thompson sampling.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    prior : str, default="beta"
        "beta": uniform prior, rewards in [0, 1] (those between 0 and 1 are rounded at random);
        "gaussian": standard normal prior and unit variance.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit, or its rewards can leave [0, 1] with the Beta prior, `T` < 1, `prior` is
        another, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round, O(A) memory.

    References
    ----------
    .. [1] Agrawal and Goyal. Analysis of Thompson sampling for the multi-armed bandit problem. COLT 2012.
       arXiv:1111.1797
    .. [2] Agrawal and Goyal. Further optimal regret bounds for Thompson sampling. AISTATS 2013.
       arXiv:1209.3353
    .. [3] Kaufmann, Korda and Munos. Thompson sampling: an asymptotically optimal finite-time analysis. ALT
       2012. arXiv:1205.4217

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = thompson(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    books = ledger(bandit.means.shape[1], T)
    if prior == "beta":
        refuse_unbounded("thompson", bandit)
        _beta(bandit, T, books, checks.generator(rng))
    elif prior == "gaussian":
        _gaussian(bandit, T, books, checks.generator(rng))
    else:
        raise ValueError(f"prior must be 'beta' or 'gaussian', got {prior!r}")
    return bandit_result(bandit, books)


PAPER = Paper(
    title="Further optimal regret bounds for Thompson sampling",
    authors="Agrawal, Goyal",
    venue="AISTATS",
    year=2013,
    arxiv="1209.3353",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret at most (1 + eps) sum_a gap_a ln(T) / kl(mean_a, best mean) + "
        "O(A / eps^2) (Theorem 1)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.0,
        when={"prior": "beta"},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O(sqrt(A T ln A)) on every bandit (Theorem 3)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.5,
        when={"prior": "gaussian"},
    ),
)


@kernel
def log_beta(x: float, y: float) -> float:
    """Return the logarithm of the Beta function."""
    return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)


@kernel
def draw_beta(x: float, y: float, rng: np.random.Generator) -> float:
    """Draw from Beta(x, y), as a ratio of Gamma variables."""
    g = rng.standard_gamma(x)
    return min(max(g / (g + rng.standard_gamma(y)), 1e-300), INSIDE)


@kernel
def argmax_beta(first: int, wins: Array, losses: Array, log_b: Array, rng: np.random.Generator) -> int:
    """Return the argmax of independent draws from Beta(wins, losses), all at least 1; `first` is drawn first.

    The law does not depend on `first`; it is quick if that arm is likely to win.
    """
    a = first
    best = draw_beta(wins[a], losses[a], rng)
    log_m, log_1m = math.log(best), math.log1p(-best)
    u, stay = rng.random(), 1.0  # the candidates are found by inversion: one uniform number for many arms
    for b in range(wins.size):
        if b == first:
            continue
        x, y = wins[b] - 1.0, losses[b] - 1.0
        slope = y / (1.0 - best) - x / best  # -d ln f / dx at M
        if slope > 0.0:
            log_f = x * log_m + y * log_1m - log_b[b]
            if log_f < -38.0 and slope >= 1.0:  # q < 2^-54: 1 - q is 1
                continue
            q = math.exp(log_f) / slope
        else:
            q = 1.0
        if q < 0.5:
            stay *= 1.0 - q
            if u < stay:
                continue
            u, stay = rng.random(), 1.0
            step = rng.standard_exponential() / slope
            if step >= 1.0 - best:
                continue
            theta = min(best + step, INSIDE)
            accept = x * math.log1p(step / best) + y * math.log1p(-step / (1.0 - best)) + slope * step
            if math.log(1.0 - rng.random()) >= accept:
                continue
        else:
            theta = draw_beta(wins[b], losses[b], rng)
            if theta <= best:
                continue
        a, best = b, theta
        log_m, log_1m = math.log(best), math.log1p(-best)
    return a


@kernel
def _beta(bandit: Bandit, T: int, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds with the Beta prior; `books` in place."""
    A = books.pulls.size
    wins, losses, log_b = np.ones(A), np.ones(A), np.zeros(A)
    a = 0
    for t in range(T):
        # act
        a = argmax_beta(a, wins, losses, log_b, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        if 0.0 < reward < 1.0:
            reward = 1.0 if rng.random() < reward else 0.0
        wins[a] += reward
        losses[a] += 1.0 - reward
        log_b[a] = log_beta(wins[a], losses[a])


@kernel
def _gaussian(bandit: Bandit, T: int, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds with the Gaussian prior; `books` in place."""
    A = books.pulls.size
    n, total, mean, deviation = np.ones(A), np.zeros(A), np.zeros(A), np.ones(A)
    for t in range(T):
        # act
        a, best = 0, -math.inf
        for b in range(A):
            theta = mean[b] + deviation[b] * rng.standard_normal()
            if theta > best:
                a, best = b, theta
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
        deviation[a] = 1.0 / math.sqrt(n[a])
