"""Recovering bandits: an arm that rests pays more, and m arms can be played in each period."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, FIXED
from eluder.core.types import Array, IntArray

__all__ = ["PeriodicPlan", "RecoveringBandit", "concave_envelope", "relaxation"]


class _RecoveringBandit(NamedTuple):
    R: Array
    m: int
    law: int


class RecoveringBandit(_RecoveringBandit):
    """Bandit whose mean rewards recover with the time since the last play.

    Parameters
    ----------
    R : array_like, shape (A, D)
        ``R[a, d - 1]`` is the mean reward in [0, 1] of arm a when its last play was d periods ago; it does
        not decrease with d, and stays at ``R[a, D - 1]`` beyond D. Before its first play an arm has rested
        since just before period 0.
    m : int, default=1
        Largest number of arms played in a period, at most A.
    law : {"bernoulli", "fixed"}, default="bernoulli"
        Rewards of 0 or 1 with that mean, or the mean itself.

    Raises
    ------
    ValueError
        If a mean is outside [0, 1] or decreases, or `m` or `law` is wrong; the message names the entry.

    Examples
    --------
    >>> from eluder.core.recovering import RecoveringBandit
    >>> RecoveringBandit([[0.2, 0.5, 0.6], [0.3, 0.3, 0.3]]).R.shape
    (2, 3)
    """

    __slots__ = ()

    def __new__(cls, R: ArrayLike, m: int = 1, law: str | int = "bernoulli") -> Self:
        R = checks.finite("R", R, (None, None), 0.0, 1.0)
        falls = np.diff(R, axis=1) < 0
        if falls.any():
            a, d = checks.first(falls)
            raise ValueError(f"R[{a}, {d + 1}] is {R[a, d + 1]:g}, less than R[{a}, {d}]: arms recover")
        m = checks.integer("m", m, 1, R.shape[0])
        codes: dict[Any, int] = {"bernoulli": BERNOULLI, "fixed": FIXED, BERNOULLI: BERNOULLI, FIXED: FIXED}
        if isinstance(law, bool) or law not in codes:
            raise ValueError(f"law must be 'bernoulli' or 'fixed', got {law!r}")
        return super().__new__(cls, R, m, codes[law])

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


@dataclass(frozen=True, slots=True, eq=False)
class PeriodicPlan:
    """A purely periodic policy: arm a is played at ``offset[a]``, ``offset[a] + period[a]``, ...

    Attributes
    ----------
    period : ndarray of int, shape (A,)
        Periods; 0 for an arm that is never played.
    offset : ndarray of int, shape (A,)
        First period of play, less than `period`.
    value : float
        Long-run mean reward of a period, ``sum_a R_a(period) / period``.
    upper : float
        The relaxation: no policy has a larger long-run mean reward.
    """

    period: IntArray
    offset: IntArray
    value: float
    upper: float


def concave_envelope(reward: Array, periods: IntArray) -> tuple[Array, Array, IntArray]:
    """Return the increasing part of the upper concave envelope of the points (1/d, R(d)/d) and (0, 0).

    Parameters
    ----------
    reward : ndarray, shape (n,)
        R(d) for each period.
    periods : ndarray of int, shape (n,)
        The periods d, increasing.

    Returns
    -------
    x, F : ndarray
        Corners, from (0, 0) on, with decreasing positive slopes.
    d : ndarray of int
        Period of each corner; 0 for the first.

    Examples
    --------
    >>> x, F, d = concave_envelope(np.array([0.2, 0.6]), np.array([1, 2]))
    >>> x.tolist(), F.tolist(), d.tolist()
    ([0.0, 0.5], [0.0, 0.3], [0, 2])
    """
    corners: list[tuple[float, float, int]] = [(0.0, 0.0, 0)]
    for d, r in zip(periods[::-1].tolist(), reward[::-1].tolist(), strict=True):
        point = (1.0 / d, r / d, d)
        while len(corners) > 1 and _slope(corners[-2], corners[-1]) <= _slope(corners[-1], point):
            corners.pop()
        if point[1] > corners[-1][1]:
            corners.append(point)
    x, F, chosen = zip(*corners, strict=True)
    return np.array(x), np.array(F), np.array(chosen, np.int64)


def _slope(a: tuple[float, float, int], b: tuple[float, float, int]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def relaxation(
    R: Array, periods: IntArray, budget: float
) -> tuple[float, list[tuple[int, int, int, float]], IntArray]:
    """Maximise ``sum_a F_a(x_a)`` subject to ``sum_a x_a <= budget``, F_a the concave envelope of arm a.

    The frequencies x of the linear program (variables x[a, d]: plays of arm a after exactly d periods) enter
    only through their envelopes, so filling the steepest segments first is exact.

    Parameters
    ----------
    R : ndarray, shape (A, n)
        Mean reward of each arm after each of the periods.
    periods : ndarray of int, shape (n,)
        The periods, increasing.
    budget : float
        Plays in a period.

    Returns
    -------
    value : float
        The maximum.
    partial : list of tuple
        At most one: (arm, period before, period after, fraction) of the segment that was cut.
    period : ndarray of int, shape (A,)
        Period of each arm at its last full segment; 0 if it has none.

    Examples
    --------
    >>> value, partial, period = relaxation(np.array([[0.2, 0.6], [0.5, 0.5]]), np.array([1, 2]), 1.0)
    >>> round(float(value), 6), len(partial), period.tolist()
    (0.55, 1, [2, 0])
    """
    segments = []
    for a, reward in enumerate(R):
        x, F, d = concave_envelope(reward, periods)
        for i in range(1, d.size):
            slope = (F[i] - F[i - 1]) / (x[i] - x[i - 1])
            segments.append((-slope, a, i, x[i] - x[i - 1], int(d[i - 1]), int(d[i])))
    segments.sort()
    period = np.zeros(R.shape[0], np.int64)
    value, left = 0.0, budget
    partial: list[tuple[int, int, int, float]] = []
    for minus_slope, a, _, width, before, after in segments:
        if width <= left + 1e-12:
            period[a] = after
            left -= width
            value -= minus_slope * width
        else:
            if left > 1e-12:
                partial.append((a, before, after, left / width))
                value -= minus_slope * left
            break
    return value, partial, period
