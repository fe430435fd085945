r"""Discounted UCB: old rewards fade (Kocsis & Szepesvari 2006; Garivier & Moulines, ALT 2011).

Pseudo-code (section 3), in our names::

    play each arm once
    for t = A, ..., T-1:
        n(a) = sum of gamma^(age of the play) over the plays of a;  mean(a) <- their mean with these weights
        index(a) = mean(a) + 2 c sqrt(xi ln(sum_b n(b)) / n(a))
        play a = argmax_a index(a)                                # act
        n <- gamma n, n(a) += 1, and the sums of rewards likewise             # update

Guarantee: if the means change `changes` times and ``gamma = 1 - sqrt(changes / T) / 4``, with rewards in
[0, 1] and xi > 1/2, the expected number of wrong plays of each arm is O(sqrt(changes T) ln T) (Theorem 1 and
the remark after it); the constants depend on the smallest gap (from memory).

Deviations from the paper: none. `c` multiplies the radius; 1 is the paper's B for rewards in [0, 1].
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult

__all__ = ["discounted_ucb"]


def discounted_ucb(
    bandit: Bandit,
    T: int,
    *,
    gamma: float | None = None,
    changes: int = 1,
    xi: float = 0.6,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of discounted UCB.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    gamma : float, optional
        Weight in (0, 1] that a reward keeps from one round to the next; by default
        ``1 - sqrt(changes / T) / 4``.
    changes : int, default=1
        Changes of the means that gamma is laid out for, at least 1.
    xi : float, default=0.6
        Factor of the logarithm; the theorem has xi > 1/2.
    c : float, default=1.0
        Multiplies the radius; 1 is the paper's, for rewards in [0, 1].
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit, `T` or `changes` < 1, `gamma` is not in (0, 1], `xi` or `c` is negative,
        or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round, O(A) memory.

    References
    ----------
    .. [1] Garivier and Moulines. On upper-confidence bound policies for switching bandit problems. ALT 2011,
       Theorem 1. arXiv:0805.3415

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import piecewise_bandit
    >>> bandit = piecewise_bandit([[0.1, 0.9], [0.9, 0.1]], starts=[0, 2000])
    >>> result = discounted_ucb(bandit, 4000, gamma=0.98, rng=np.random.default_rng(0))
    >>> bool((result.pulls > 1000).all())
    True
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    changes = checks.integer("changes", changes)
    if gamma is None:
        gamma = default_gamma(T, changes)
    gamma = checks.number("gamma", gamma, 0.0, 1.0, open_low=True)
    xi = checks.number("xi", xi, 0.0)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.shape[1], T)
    _discounted_ucb(bandit, T, gamma, xi, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def default_gamma(T: int, changes: int) -> float:
    """Return ``1 - sqrt(changes / T) / 4``; more changes than rounds count as one a round."""
    return 1 - math.sqrt(min(changes / T, 1)) / 4


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="On upper-confidence bound policies for switching bandit problems",
            authors="Garivier, Moulines",
            venue="ALT",
            year=2011,
            arxiv="0805.3415",
        ),
        setting="changing rewards",
        statement="expected regret O(sqrt(changes T) ln T) with the default gamma (Theorem 1)",
        assumptions="independent rewards in [0, 1]; the number of changes is known",
        exponent=0.5,
    ),
)


@kernel
def radius(n: float, all_n: float, xi: float, c: float) -> float:
    """Return ``2 c sqrt(xi ln(all_n) / n)``; `all_n` is at least 1."""
    return 2.0 * c * math.sqrt(xi * math.log(max(all_n, 1.0)) / n)


@kernel
def _discounted_ucb(
    bandit: Bandit, T: int, gamma: float, xi: float, c: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    n, total, mean, shrink = np.zeros(A), np.zeros(A), np.zeros(A), np.full(A, math.inf)
    all_n, weight = 0.0, 1.0  # instead of old rounds fading, new ones grow in weight: n(a) is n[a] / weight
    for t in range(T):
        # act
        a = t
        if t >= A:
            width = radius(1.0 / weight, all_n, xi, c)
            a, largest = 0, -math.inf
            for b in range(A):
                index = mean[b] + width * shrink[b] if shrink[b] < math.inf else math.inf
                if index > largest:
                    a, largest = b, index
        reward = play(bandit, books, t, a, rng)

        # update
        weight /= gamma
        if weight > 1e100:
            for b in range(A):
                n[b] /= weight
                total[b] /= weight
                shrink[b] = 1.0 / math.sqrt(n[b]) if n[b] > 0.0 else math.inf
            weight = 1.0
        all_n = gamma * all_n + 1.0
        n[a] += weight
        total[a] += weight * reward
        mean[a] = total[a] / n[a]
        shrink[a] = 1.0 / math.sqrt(n[a])
