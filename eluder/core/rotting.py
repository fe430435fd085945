"""Rotting bandits: the mean reward of an arm falls with the number of its own plays."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, draw, record
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray

__all__ = ["RottingBandit", "pull", "refuse_not_rotting", "rotting_best_value", "rotting_result"]


class _RottingBandit(NamedTuple):
    means: Array
    law: int
    scale: Array


class RottingBandit(_RottingBandit):
    """Bandit with A arms that wear out: play n + 1 of arm a has the mean reward ``means[n, a]``.

    Parameters
    ----------
    means : array_like, shape (N, A)
        Mean reward of each arm at its first, second, ... play; no column increases. After the last row that
        row stays.
    law : str, default="bernoulli"
        Law of the rewards given their mean, as in `eluder.core.bandits.Bandit`.
    scale : float or array_like, shape (A,), default=1.0
        Its scale.

    Raises
    ------
    ValueError
        If a shape, a mean or a scale is wrong, or a column increases; the message names the first bad entry.

    Examples
    --------
    >>> from eluder.core.rotting import RottingBandit
    >>> RottingBandit([[0.9, 0.5], [0.3, 0.5]]).means.shape
    (2, 2)
    """

    __slots__ = ()

    def __new__(cls, means: ArrayLike, law: str | int = "bernoulli", scale: ArrayLike = 1.0) -> Self:
        means = checks.floats("means", means, (None, None))
        checked = Bandit(means, law, scale)  # the same rules for means and scales
        rises = np.diff(checked.means, axis=0) > 0
        if rises.any():
            n, a = checks.first(rises)
            raise ValueError(
                f"means[{n + 1}, {a}] is {means[n + 1, a]:g}, more than means[{n}, {a}] = {means[n, a]:g}: "
                "the mean of an arm must not increase with its plays"
            )
        return super().__new__(cls, checked.means, checked.law, checked.scale)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def refuse_not_rotting(bandit: Any) -> None:
    """Refuse what is not a `RottingBandit`.

    Parameters
    ----------
    bandit : object
        The problem.

    Raises
    ------
    ValueError
        If it is not a `RottingBandit`.

    Examples
    --------
    >>> refuse_not_rotting(3)
    Traceback (most recent call last):
    ValueError: bandit must be a RottingBandit, got int
    """
    if not isinstance(bandit, RottingBandit):
        raise ValueError(f"bandit must be a RottingBandit, got {type(bandit).__name__}")


@kernel
def pull(bandit: RottingBandit, books: Ledger, t: int, a: int, rng: np.random.Generator) -> float:
    """Play arm `a` in round t and return its reward; `books` get what is measured."""
    mean = bandit.means[min(books.pulls[a], bandit.means.shape[0] - 1), a]
    record(books, t, a, mean)  # measurement
    return draw(bandit.law, mean, bandit.scale[a], rng)


def rotting_best_value(bandit: RottingBandit, n: IntArray) -> Array:
    """Return the comparator: the largest sum of mean rewards that n plays can collect.

    Parameters
    ----------
    bandit : RottingBandit
        The problem.
    n : ndarray of int
        Numbers of rounds, at least 1.

    Returns
    -------
    ndarray
        One sum for each entry of `n`: the n largest entries of the columns, each continued by its last entry.
        As no column increases, the oracle that always plays the arm with the largest mean collects them.

    Notes
    -----
    O(N A log(N A)) time: one sort.

    Examples
    --------
    >>> bandit = RottingBandit([[0.9, 0.5], [0.3, 0.5]])
    >>> rotting_best_value(bandit, np.array([1, 2, 3])).tolist()
    [0.9, 1.4, 1.9]
    """
    for_ever = bandit.means[-1].max()
    above = np.sort(bandit.means[bandit.means > for_ever])[::-1]
    sums = np.concatenate([[0.0], np.cumsum(above)])
    first = np.minimum(n, above.size)
    best: Array = sums[first] + (n - first) * for_ever
    return best


def rotting_result(bandit: RottingBandit, books: Ledger) -> BanditResult:
    """Close the books: the regret against the best sequence of plays.

    Parameters
    ----------
    bandit : RottingBandit
        The problem.
    books : Ledger
        The books of a run.

    Returns
    -------
    BanditResult
        Regret at the checkpoints, and pulls.

    Examples
    --------
    >>> from eluder.core.bandits import ledger
    >>> bandit, books = RottingBandit([[0.9, 0.5], [0.3, 0.5]], law="fixed"), ledger(2, 2)
    >>> rewards = [pull(bandit, books, t, 0, np.random.default_rng(0)) for t in range(2)]
    >>> rotting_result(bandit, books).regret.round(12).tolist()
    [0.0, 0.2]
    """
    regret = rotting_best_value(bandit, books.checkpoints) - books.value
    return BanditResult(books.checkpoints, regret, books.pulls, books.value)
