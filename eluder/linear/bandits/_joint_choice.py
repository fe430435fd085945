r"""The joint optimistic choice of M tasks whose uncertainty is one ellipsoid.

Task i offers arms with estimates ``y[i, a]`` and widths ``q[i, a]``. Wanted is the tuple with the largest

    index(a) = sum_i y[i, a_i] + rho sqrt(sum_i q[i, a_i]).

The root couples the tasks, and in general no rule per task finds the maximum (with two arms each it contains
subset sums). For every ``u > 0`` the inequality ``sqrt(Q) <= u Q / 2 + 1 / (2 u)`` gives an upper bound whose
terms are separate,

    index(a) <= h(u) = sum_i max_a (y[i, a] + rho u / 2 q[i, a]) + rho / (2 u),

convex in u; at its minimum the arms chosen have ``Q u^2`` near 1, and the bound is sharp but for ties. The
search goes through the tuples depth first, drops a beginning whose bound is not above the best index found,
and leaves out arms that another arm of the task beats in both y and q. It is exact with ``tol = 0``;
otherwise the tuple returned has ``max_a index(a) <= sum_i y + (1 + tol) rho sqrt(sum_i q)``.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray

ROUNDING = 1e-13  # bounds this near the best index, relative to its parts, are not above it


class Search(NamedTuple):
    """Work space: arms that may be best, bounds of the tasks to come, the tuple at hand, sums down to it."""

    open: BoolArray
    rest: Array
    at: IntArray
    Y: Array
    Q: Array


def search(M: int, A: int) -> Search:
    """Return the work space for M tasks with A arms."""
    sums = (np.zeros(M + 1), np.zeros(M + 1))
    return Search(np.ones((M, A), dtype=np.bool_), np.zeros(M + 1), np.zeros(M, np.int64), *sums)


@kernel
def separate(y: Array, q: Array, slope: float, at: IntArray) -> float:
    """Write ``argmax_a y + slope q`` of each task into `at` and return the sum of their widths."""
    Q = 0.0
    for i in range(y.shape[0]):
        best, top = 0, -math.inf
        for a in range(y.shape[1]):
            value = y[i, a] + slope * q[i, a]
            if value > top:
                best, top = a, value
        at[i] = best
        Q += q[i, best]
    return Q


@kernel
def tightest(y: Array, q: Array, rho: float, at: IntArray) -> float:
    """Return the u that minimises h, where the sum of the widths of its arms crosses ``1 / u^2``."""
    most = 0.0
    for i in range(y.shape[0]):
        most += q[i].max()
    low = 1.0 / math.sqrt(most)
    high = low
    for _ in range(60):
        if separate(y, q, 0.5 * rho * high, at) * high * high >= 1.0:
            break
        low, high = high, 4.0 * high
    for _ in range(40):
        middle = math.sqrt(low * high)
        if separate(y, q, 0.5 * rho * middle, at) * middle * middle >= 1.0:
            high = middle
        else:
            low = middle
    return high


@kernel
def mark_open(y: Array, q: Array, open: BoolArray) -> None:
    """Mark the arms that no other arm of their task beats, the first of equals; `open` in place."""
    A = y.shape[1]
    for i in range(y.shape[0]):
        for a in range(A):
            open[i, a] = True
            for b in range(A):
                better = y[i, b] > y[i, a] or q[i, b] > q[i, a]
                if y[i, b] >= y[i, a] and q[i, b] >= q[i, a] and (better or b < a):
                    open[i, a] = False


@kernel
def choose_jointly(
    y: Array, q: Array, rho: float, tol: float, best: float, arms: IntArray, W: Search
) -> float:
    """Write the tuple with the largest index into `arms` if it is above `best`; return the larger of both.

    Here an index counts its root ``1 + tol`` times; `W` in place.
    """
    M, A = y.shape
    wide = rho * (1.0 + tol)
    if rho == 0.0 or q.max() <= 0.0:
        separate(y, q, 0.0, W.at)
        return keep(y, q, wide, best, arms, W.at)
    mark_open(y, q, W.open)
    u = tightest(y, q, rho, W.at)
    slope = 0.5 * rho * u
    separate(y, q, slope, W.at)
    best = keep(y, q, wide, best, arms, W.at)
    W.rest[M] = 0.5 * rho / u
    size = W.rest[M]
    for i in range(M - 1, -1, -1):
        top = -math.inf
        for a in range(A):
            top = max(top, y[i, a] + slope * q[i, a])
        W.rest[i] = W.rest[i + 1] + top
        size += abs(top)

    i = 0
    W.at[0] = -1
    while i >= 0:
        W.at[i] += 1
        a = W.at[i]
        if a == A:
            i -= 1
            continue
        if not W.open[i, a]:
            continue
        W.Y[i + 1], W.Q[i + 1] = W.Y[i] + y[i, a], W.Q[i] + q[i, a]
        if W.Y[i + 1] + slope * W.Q[i + 1] + W.rest[i + 1] <= best + ROUNDING * size:
            continue
        if i + 1 == M:
            best = keep(y, q, wide, best, arms, W.at)
        else:
            i += 1
            W.at[i] = -1
    return best


@kernel
def keep(y: Array, q: Array, wide: float, best: float, arms: IntArray, at: IntArray) -> float:
    """Copy `at` to `arms` if its index is above `best`; return the larger of both."""
    Y, Q = 0.0, 0.0
    for i in range(at.size):
        Y += y[i, at[i]]
        Q += q[i, at[i]]
    index = Y + wide * math.sqrt(Q)
    if index > best:
        arms[:] = at
        return index
    return best
