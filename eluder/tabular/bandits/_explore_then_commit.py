r"""Explore, then commit (Lattimore & Szepesvari, Bandit Algorithms, 2020, chapter 6).

Pseudo-code (algorithm 1), in our names::

    for t = 0, ..., T-1:
        if t < m A: play a = t mod A                               # explore
        else:       play a = argmax_a (mean of its first m rewards)            # commit

Guarantee: if rewards are 1-sub-Gaussian (those in [0, 1] are), the expected regret is at most

    m sum_a gap_a + max(T - m A, 0) sum_a gap_a exp(-m gap_a^2 / 4)                   (Theorem 6.1)

and with two arms and the m of `optimal_m` at most ``gap + 4 / gap (1 + max(0, ln(T gap^2 / 4)))``
(both from memory).

Deviations from the book: none.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = ["explore_then_commit"]


def explore_then_commit(bandit: Bandit, T: int, *, m: int, rng: np.random.Generator) -> BanditResult:
    """Play each arm m times, then the one with the largest mean.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    m : int
        Plays of each arm before the choice, at least 1.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit, `T` < 1, `m` < 1, or `rng` is not a Generator.

    Notes
    -----
    O(1) time per round, O(A) memory.

    References
    ----------
    .. [1] Lattimore and Szepesvari. Bandit Algorithms. Cambridge University Press, 2020, Theorem 6.1.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> bandit = bernoulli_bandit([0.2, 0.8])
    >>> explore_then_commit(bandit, 1000, m=50, rng=np.random.default_rng(0)).pulls
    array([ 50, 950])
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    m = checks.integer("m", m)
    books = ledger(bandit.means.shape[1], T)
    _explore_then_commit(bandit, T, m, books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(gaps: Array, T: int, m: int) -> float:
    """Return the bound of Theorem 6.1."""
    later = max(T - m * gaps.size, 0) * np.sum(gaps * np.exp(-m * gaps**2 / 4))
    return float(m * np.sum(gaps) + later)


def optimal_m(gap: float, T: int) -> int:
    """Return ``max(1, ceil(4 / gap^2 ln(T gap^2 / 4)))``, the best m for two arms at this distance."""
    return max(1, math.ceil(4 / gap**2 * math.log(T * gap**2 / 4)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Bandit Algorithms",
            authors="Lattimore, Szepesvari",
            venue="Cambridge University Press",
            year=2020,
        ),
        setting="stochastic regret",
        statement="expected regret at most m sum_a gap_a + (T - m A) sum_a gap_a exp(-m gap_a^2 / 4) "
        "(Theorem 6.1)",
        assumptions="independent 1-sub-Gaussian rewards",
        bound=bound,
    ),
)


@kernel
def _explore_then_commit(bandit: Bandit, T: int, m: int, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    total = np.zeros(A)
    best = 0
    for t in range(T):
        if t // A < m:  # explore
            a = t % A
            total[a] += play(bandit, books, t, a, rng)
        else:  # commit
            if t == m * A:
                best = int(np.argmax(total))
            play(bandit, books, t, best, rng)
