r"""Successive elimination: play what may still be best in turn (Even-Dar, Mannor & Mansour, JMLR 2006).

Pseudo-code (algorithm 3), in our names::

    active <- all arms
    for n = 1, 2, ..., until T rounds are played:
        play each active arm once                                  # act
        drop each active arm a with max_b mean(b) - mean(a) >= 2 radius(n)           # update
            radius(n) = sqrt(ln(5 A n^2 / delta) / n)

Guarantee: with probability at least 1 - delta the best arm stays, and an arm a is played until
``4 radius(n) <= gap_a`` at most (Theorem 8), so that the regret is at most
``sum_a gap_a min{n : 4 radius(n) <= gap_a}``.

Deviations from the paper: it stops when one arm is left; here that arm is played until round T. 5 is the
paper's constant "c > 4" (from memory); `c` multiplies the radius, 1 is the paper's. For a small expected
regret choose ``delta = 1 / T``.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = ["successive_elimination"]


def successive_elimination(
    bandit: Bandit, T: int, *, delta: float = 0.05, c: float = 1.0, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of successive elimination.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    delta : float, default=0.05
        Probability with which the guarantee may fail, in (0, 1).
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
        If `bandit` is not a Bandit, `T` < 1, `delta` is not in (0, 1), `c` is negative, or `rng` is not a
        Generator.

    Notes
    -----
    O(1) time per round, O(A) memory.

    References
    ----------
    .. [1] Even-Dar, Mannor and Mansour. Action elimination and stopping conditions for the multi-armed bandit
       and reinforcement learning problems. JMLR 7, 2006, Theorem 8.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> bandit = bernoulli_bandit([0.2, 0.8])
    >>> result = successive_elimination(bandit, 2000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.shape[1], T)
    _successive_elimination(bandit, T, delta, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(gaps: Array, T: int, delta: float) -> float:
    """Return ``sum_a gap_a min{T, n : 4 radius(n) <= gap_a}``; it holds with probability 1 - delta."""
    total = 0.0
    for gap in gaps[gaps > 0]:
        low, high = 0, 1
        while high < T and 4 * radius(high, gaps.size, delta, 1.0) > gap:
            low, high = high, 2 * high
        while high - low > 1:  # the radius decreases
            middle = (low + high) // 2
            low, high = (middle, high) if 4 * radius(middle, gaps.size, delta, 1.0) > gap else (low, middle)
        total += float(gap) * min(high, T)
    return total


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Action elimination and stopping conditions for the multi-armed bandit and reinforcement "
            "learning problems",
            authors="Even-Dar, Mannor, Mansour",
            venue="JMLR",
            year=2006,
        ),
        setting="stochastic regret",
        statement="with probability 1 - delta, regret O(sum_a ln(A / (delta gap_a)) / gap_a) at all times "
        "(Theorem 8)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.0,
        bound=bound,
        when={"c": 1.0},
    ),
)


@kernel
def radius(n: float, A: int, delta: float, c: float) -> float:
    """Return ``c sqrt(ln(5 A n^2 / delta) / n)``."""
    return c * math.sqrt(math.log(5.0 * A * n * n / delta) / n)


@kernel
def _successive_elimination(
    bandit: Bandit, T: int, delta: float, c: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    total, active = np.zeros(A), np.arange(A)
    size, place, n = A, 0, 0  # of the active arms, of the next one, of finished sweeps
    for t in range(T):
        # act
        a = active[place]
        total[a] += play(bandit, books, t, a, rng)
        place += 1

        # update
        if place == size:
            place, n = 0, n + 1
            if size == 1:
                continue
            best = -math.inf
            for i in range(size):
                best = max(best, total[active[i]] / n)
            limit = 2.0 * radius(n, A, delta, c)
            kept = 0
            for i in range(size):
                mean = total[active[i]] / n
                if mean == best or best - mean < limit:
                    active[kept] = active[i]
                    kept += 1
            size = kept
