"""Duelling bandits: in each round two arms meet, and only which of them wins is seen.

With w the Condorcet winner (the arm that beats every other) the regret of a duel of a and b is ``(P[w, a] -
1/2 + P[w, b] - 1/2) / 2``. Put otherwise, the value of an arm is its probability of winning against w, that
of a duel the mean of its two arms, and the best duel is w against itself, of value 1/2.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import Ledger, record
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = ["DuelingBandit", "condorcet_winner", "duel", "dueling_result"]


class _DuelingBandit(NamedTuple):
    P: Array


class DuelingBandit(_DuelingBandit):
    """Duelling bandit with A arms.

    Parameters
    ----------
    P : array_like, shape (A, A)
        ``P[a, b]`` is the probability that arm a beats arm b: ``P[a, b] + P[b, a] = 1``, so 1/2 on the
        diagonal.

    Raises
    ------
    ValueError
        If an entry is not a probability, or two of them do not sum to 1.

    Examples
    --------
    >>> from eluder.core.dueling import DuelingBandit
    >>> DuelingBandit([[0.5, 0.7], [0.3, 0.5]]).P
    array([[0.5, 0.7],
           [0.3, 0.5]])
    """

    __slots__ = ()

    def __new__(cls, P: ArrayLike) -> Self:
        P = checks.finite("P", P, (None, None), 0.0, 1.0)
        if P.shape[0] != P.shape[1]:
            raise ValueError(f"P must be square, got {P.shape}")
        bad = np.abs(P + P.T - 1.0) > checks.SUM_TOLERANCE
        if bad.any():
            i = checks.first(bad)
            j = (i[1], i[0])
            total = f"{checks.entry('P', i)} + {checks.entry('P', j)}"
            raise ValueError(f"{total} is {P[i] + P[j]:.12g}, not 1")
        return super().__new__(cls, P)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `DuelingBandit`."""
    if not isinstance(bandit, DuelingBandit):
        raise ValueError(f"bandit must be a DuelingBandit, got {type(bandit).__name__}")


def condorcet_winner(bandit: DuelingBandit) -> int:
    """Return the arm that beats every other with probability above 1/2.

    Parameters
    ----------
    bandit : DuelingBandit
        The problem.

    Returns
    -------
    int
        The winner.

    Raises
    ------
    ValueError
        If `bandit` is not a `DuelingBandit`, or each arm is beaten or equalled by another.

    Examples
    --------
    >>> condorcet_winner(DuelingBandit([[0.5, 0.7], [0.3, 0.5]]))
    0
    """
    refuse_other_problems(bandit)
    beats = bandit.P > 0.5
    np.fill_diagonal(beats, True)
    a = int(np.argmax(beats.sum(axis=1)))
    if not beats[a].all():
        b = checks.first(~beats[a])[0]
        raise ValueError(
            f"P has no Condorcet winner: each arm is beaten or equalled by another (P[{a}, {b}] is "
            f"{bandit.P[a, b]:g} in the best row)"
        )
    return a


@kernel
def duel(
    bandit: DuelingBandit, winner: int, books: Ledger, t: int, a: int, b: int, rng: np.random.Generator
) -> bool:
    """Let arms a and b meet in round t and return whether a wins; `books` get what is measured."""
    value = 0.5 * (bandit.P[a, winner] + bandit.P[b, winner])  # measurement
    books.pulls[b] += 1
    record(books, t, a, value)
    return bool(rng.random() < bandit.P[a, b])


def dueling_result(books: Ledger) -> BanditResult:
    """Close the books of a run.

    Parameters
    ----------
    books : Ledger
        What was measured.

    Returns
    -------
    BanditResult
        Regret against the Condorcet winner, whose duel with itself has value 1/2. `pulls` counts both arms of
        a duel and sums to 2 T.

    Examples
    --------
    >>> from eluder.core.bandits import ledger
    >>> books = ledger(2, 1)
    >>> won = duel(DuelingBandit([[0.5, 0.7], [0.3, 0.5]]), 0, books, 0, 0, 1, np.random.default_rng(0))
    >>> round(float(dueling_result(books).regret[0]), 12), books.pulls
    (0.1, array([1, 1]))
    """
    return BanditResult(books.checkpoints, 0.5 * books.checkpoints - books.value, books.pulls, books.value)
