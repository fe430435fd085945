r"""EXP3++: exploration that follows estimated gaps (Seldin & Slivkins 2014; Seldin & Lugosi 2017).

Pseudo-code (the parametrisation of 2017), in our names; t counts from 1::

    L(a) = 0
    for t = 1, ..., T:
        eta = (1/2) sqrt(ln A / (t A))
        lower(a), upper(a) = mean(a) -+ sqrt((alpha ln t + ln A) / (2 n(a))),  cut at 0 and 1   # of losses
        gap(a) = max(0, lower(a) - min_b upper(b))
        xi(a) = beta ln(t) / (t gap(a)^2)
        epsilon(a) = min(1 / (2 A), (1/2) sqrt(ln A / (t A)), xi(a))
        p(a) = (1 - sum_b epsilon(b)) exp(-eta L(a)) / sum_b exp(-eta L(b)) + epsilon(a)
        draw a from p                                                               # act
        observe loss = 1 - reward;  L(a) += loss / p(a);  n(a) += 1, mean(a) anew   # update

with alpha = 3 and beta = 256.

Guarantee: the expected regret against the best fixed arm is, for every T, without knowing it, at most

    4 sqrt(A T ln A)                                                   (2014, Theorem 1; for every xi)

and O(sum_a ln(T)^2 / gap_a) on stochastic bandits (2017, Theorem 2; its number and alpha, beta from memory).

Deviations from the paper: none known. While an arm was never played its bounds are 0 and 1. With
the theorem's beta the first two terms of the minimum rule for a long time; smaller values explore less.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array

__all__ = ["exp3_plus_plus"]


def exp3_plus_plus(
    bandit: Bandit, T: int, *, alpha: float = 3.0, beta: float = 256.0, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of EXP3++.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds; the learner does not use it.
    alpha : float, default=3.0
        Factor > 0 in the confidence bounds.
    beta : float, default=256.0
        Factor > 0 in the exploration by gaps.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], or an argument is outside its range.

    Notes
    -----
    O(A) time per round, O(A) memory.

    References
    ----------
    .. [1] Seldin and Slivkins. One practical algorithm for both stochastic and adversarial bandits. ICML
       2014, Theorem 1.
    .. [2] Seldin and Lugosi. An improved parametrization and analysis of the EXP3++ algorithm for stochastic
       and adversarial bandits. COLT 2017. arXiv:1702.06103

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(exp3_plus_plus(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("exp3_plus_plus", bandit)
    T = checks.integer("T", T)
    alpha = checks.number("alpha", alpha, 0.0, 1e6, open_low=True)
    beta = checks.number("beta", beta, 0.0, 1e6, open_low=True)
    books = ledger(bandit.means.shape[1], T)
    _exp3_plus_plus(bandit, T, alpha, beta, books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(A: int, T: int) -> float:
    """Return ``4 sqrt(A T ln A)``."""
    return 4 * math.sqrt(A * T * math.log(A))


PAPER = Paper(
    title="An improved parametrization and analysis of the EXP3++ algorithm for stochastic and adversarial "
    "bandits",
    authors="Seldin, Lugosi",
    venue="COLT",
    year=2017,
    arxiv="1702.06103",
)
GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="One practical algorithm for both stochastic and adversarial bandits",
            authors="Seldin, Slivkins",
            venue="ICML",
            year=2014,
        ),
        setting="adversarial regret",
        statement="expected regret at most 4 sqrt(A T ln A), any T (Theorem 1)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O(sum_a ln(T)^2 / gap_a) (constants not confirmed)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.0,
    ),
)


@kernel
def learning_rate(A: int, t: int) -> float:
    """Return ``(1/2) sqrt(ln A / (t A))``; t from 1."""
    return 0.5 * math.sqrt(math.log(A) / (t * A))


@kernel
def radius(n: float, A: int, t: int, alpha: float) -> float:
    """Return ``sqrt((alpha ln t + ln A) / (2 n))``."""
    return math.sqrt((alpha * math.log(t) + math.log(A)) / (2.0 * n))


@kernel
def exploration(gap: float, A: int, t: int, beta: float) -> float:
    """Return ``min(1 / (2 A), (1/2) sqrt(ln A / (t A)), beta ln(t) / (t gap^2))``; t from 1."""
    least = min(0.5 / A, learning_rate(A, t))
    if gap > 0.0:
        least = min(least, beta * math.log(t) / (t * gap * gap))
    return least


@kernel
def distribution(
    t: int, loss: Array, n: Array, mean: Array, alpha: float, beta: float, p: Array, lower: Array
) -> None:
    """Write the distribution of round t (from 1) into `p`; `lower` is work space."""
    A = p.size
    best = 1.0
    for a in range(A):
        lower[a] = 0.0
        if n[a] > 0.0:
            width = radius(n[a], A, t, alpha)
            lower[a] = max(mean[a] - width, 0.0)
            best = min(best, mean[a] + width)
    exponential_weights(loss, learning_rate(A, t), p)
    left = 1.0
    for a in range(A):
        lower[a] = exploration(lower[a] - best, A, t, beta)
        left -= lower[a]
    for a in range(A):
        p[a] = left * p[a] + lower[a]


@kernel
def _exp3_plus_plus(
    bandit: Bandit, T: int, alpha: float, beta: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    loss, n, mean = np.zeros(A), np.zeros(A), np.zeros(A)
    p, work = np.empty(A), np.empty(A)
    for t in range(T):
        # act
        distribution(t + 1, loss, n, mean, alpha, beta, p, work)
        a = sample(p, rng)
        x = 1.0 - play(bandit, books, t, a, rng)

        # update
        loss[a] += x / p[a]
        n[a] += 1.0
        mean[a] += (x - mean[a]) / n[a]
