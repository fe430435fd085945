"""Combinatorial semi-bandits: in each round a set of arms is played, and the reward of each of them is seen.

The sets that may be played (super-arms) are given as a list, or are all sets of m arms. A learner knows them,
and finds the best for given values by `best_super_arm`; it sees rewards through `play_super_arm` only.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, BETA, FIXED, LAWS, Ledger, draw, record
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray

__all__ = ["SemiBandit", "best_super_arm", "play_super_arm", "semi_bandit_result"]


class _SemiBandit(NamedTuple):
    means: Array
    members: IntArray
    law: int
    scale: Array


class SemiBandit(_SemiBandit):
    """Semi-bandit with A arms and M super-arms.

    Parameters
    ----------
    means : array_like, shape (A,)
        Mean reward of each arm, in [0, 1].
    members : array_like of int, shape (M, m)
        The arms of each super-arm; -1 fills the rows of those with fewer than m. M = 0 stands for all sets of
        m arms.
    law : str, default="bernoulli"
        Law of the rewards, which are independent: "bernoulli", "fixed" (no noise) or "beta".
    scale : float or array_like, shape (A,), default=1.0
        Sum of the two parameters of a Beta law.

    Raises
    ------
    ValueError
        If a mean or a scale is wrong, the law is another, a super-arm is empty or names an arm twice, or an
        arm is in no super-arm.

    Examples
    --------
    >>> from eluder.core.combinatorial import SemiBandit
    >>> SemiBandit([0.2, 0.8, 0.5], [[0, 1], [2, -1]]).members
    array([[ 0,  1],
           [ 2, -1]])
    """

    __slots__ = ()

    def __new__(
        cls, means: ArrayLike, members: ArrayLike, law: str | int = "bernoulli", scale: ArrayLike = 1.0
    ) -> Self:
        means = checks.finite("means", means, (None,), 0.0, 1.0)
        code = LAWS.index(law) if isinstance(law, str) and law in LAWS else law
        if isinstance(code, bool) or code not in (FIXED, BERNOULLI, BETA):
            raise ValueError(f"law must be 'bernoulli', 'fixed' or 'beta', got {law!r}")
        wide = np.full(means.size, scale, dtype=np.float64) if np.ndim(scale) == 0 else scale
        scale = checks.finite("scale", wide, means.shape, 0.0, 1e6)
        if code == BETA and not scale.min() > 0:
            raise ValueError(f"{checks.entry('scale', checks.first(scale <= 0))} is 0, it must exceed 0")
        return super().__new__(cls, means, _members(members, means.size), int(code), scale)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def _members(members: ArrayLike, A: int) -> IntArray:
    """Return the table of super-arms; refuse a wrong one."""
    raw = np.asarray(members)
    if raw.ndim != 2 or not 1 <= raw.shape[1] <= A:
        raise ValueError(f"members must have shape (M, m) with 1 <= m <= {A}, got {raw.shape}")
    if raw.shape[0] == 0:
        return np.zeros((0, raw.shape[1]), np.int64)
    if not np.issubdtype(raw.dtype, np.integer):
        raise ValueError(f"members must hold integers (arms, or -1), got {raw.dtype}")
    table = np.ascontiguousarray(raw, dtype=np.int64)
    bad = (table < -1) | (table >= A)
    if bad.any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('members', i)} is {table[i]}, not an arm and not -1")
    ordered = np.sort(table, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    gaps = (table[:, 0] < 0) | ((table[:, 1:] >= 0) & (table[:, :-1] < 0)).any(axis=1)
    if twice.any():
        raise ValueError(f"{checks.entry('members', checks.first(twice))} names an arm twice")
    if gaps.any():
        i = checks.first(gaps)
        raise ValueError(f"{checks.entry('members', i)} must begin with an arm, and -1 come last")
    if not np.isin(np.arange(A), table).all():
        i = checks.first(~np.isin(np.arange(A), table))
        raise ValueError(f"arm {i[0]} is in no super-arm: leave it out")
    return table


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `SemiBandit`."""
    if not isinstance(bandit, SemiBandit):
        raise ValueError(f"bandit must be a SemiBandit, got {type(bandit).__name__}")


@kernel
def best_super_arm(members: IntArray, index: Array, chosen: IntArray) -> int:
    """Write the arms of the super-arm with the largest sum of `index` into `chosen`; return their number.

    ``O(M m)`` time for a list, less than ``O(A m)`` for all sets of m arms. Ties go to the first super-arm,
    or to the first arms.
    """
    m = members.shape[1]
    if members.shape[0] == 0:  # the m largest: chosen is kept sorted
        size = 0
        for a in range(index.size):
            if size == m and index[a] <= index[chosen[m - 1]]:
                continue
            i = size if size < m else m - 1
            size = min(size + 1, m)
            while i > 0 and index[chosen[i - 1]] < index[a]:
                chosen[i] = chosen[i - 1]
                i -= 1
            chosen[i] = a
        return int(m)
    best, largest = 0, 0.0
    for k in range(members.shape[0]):
        total = 0.0
        for i in range(m):
            if members[k, i] < 0:
                break
            total += index[members[k, i]]
        if k == 0 or total > largest:
            best, largest = k, total
    size = 0
    for i in range(m):
        if members[best, i] >= 0:
            chosen[i] = members[best, i]
            size += 1
    return size


@kernel
def play_super_arm(
    bandit: SemiBandit,
    books: Ledger,
    t: int,
    chosen: IntArray,
    size: int,
    rewards: Array,
    rng: np.random.Generator,
) -> None:
    """Play the first `size` arms of `chosen` in round t; `rewards` of each and `books` in place."""
    for i in range(size):
        a = chosen[i]
        if i + 1 < size:
            books.pulls[a] += 1
            books.total[0] += bandit.means[a]
        else:
            record(books, t, a, bandit.means[a])  # measurement: the last arm closes the round
        rewards[i] = draw(bandit.law, bandit.means[a], bandit.scale[a], rng)


def semi_bandit_result(bandit: SemiBandit, books: Ledger) -> BanditResult:
    """Close the books of a run.

    Parameters
    ----------
    bandit : SemiBandit
        The problem.
    books : Ledger
        What was measured.

    Returns
    -------
    BanditResult
        Regret against the best super-arm; `pulls` counts the arms, so that it sums to more than T.

    Examples
    --------
    >>> from eluder.core.bandits import ledger
    >>> two = SemiBandit([0.2, 0.8, 0.5], np.zeros((0, 2), int))
    >>> books = ledger(3, 1)
    >>> play_super_arm(two, books, 0, np.array([0, 1]), 2, np.zeros(2), np.random.default_rng(0))
    >>> round(float(semi_bandit_result(two, books).regret[0]), 12)
    0.3
    """
    chosen = np.zeros(bandit.members.shape[1], np.int64)
    size = best_super_arm(bandit.members, bandit.means, chosen)
    best = float(bandit.means[chosen[:size]].sum())
    return BanditResult(books.checkpoints, best * books.checkpoints - books.value, books.pulls, books.value)
