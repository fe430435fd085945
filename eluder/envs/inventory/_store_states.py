"""States of a store with lost sales that an optimal policy can visit, in ragged rows.

A state is (on hand x_0, orders under way x_1 .. x_{L-1}), x_k due in k periods. With bounds ``levels[j]`` on
the sum of any j consecutive orders, j <= L, and ``levels[L + 1]`` on everything on hand and under way, the
pipelines (x_1, ..., x_{L-1}) are finitely many. They are listed in lexicographic order, so that the
pipelines which follow one and the same pipeline stand side by side; each owns a row with a cell per x_0.
"""

from typing import NamedTuple

import numpy as np

from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["StoreStates", "cells", "fronts", "order_levels", "store_states"]

MOST = 2**26  # states a plan may have


class StoreStates(NamedTuple):
    """The listed states, and where each pipeline's successors stand.

    Attributes
    ----------
    levels : ndarray of int, shape (L + 2,)
        ``levels[j]`` bounds j consecutive orders, ``levels[L + 1]`` the inventory position.
    pipelines : ndarray of int, shape (M, L - 1)
        Orders under way, in lexicographic order.
    offset : ndarray of int, shape (M + 1,)
        Pipeline m owns the cells ``offset[m] + x_0``, ``x_0 <= room[m]``.
    room : ndarray of int, shape (M,)
        Largest x_0.
    most : ndarray of int, shape (M,)
        Largest order the windows allow; with x_0 it is at most ``max(0, room[m] - x_0)`` besides.
    child : ndarray of int, shape (M,)
        After order q the pipeline is ``child[m] + q`` (itself where L = 1).
    due : ndarray of int, shape (M,)
        What arrives next, x_1; 0 where L = 1, where the order itself does.
    starts : tuple of ndarray
        ``starts[k][i]`` is the first extension of the i-th row of k orders; one more entry ends the last.
    """

    levels: IntArray
    pipelines: IntArray
    offset: IntArray
    room: IntArray
    most: IntArray
    child: IntArray
    due: IntArray
    starts: tuple[IntArray, ...]


def order_levels(p: Array, lead_time: int, penalty: float, holding: float, slope: float = 0.0) -> IntArray:
    """Bounds on sums of orders: ``levels[j] = min{s : P(D_1 + ... + D_j > s) <= h / (h + p + slope)}``."""
    levels = np.zeros(lead_time + 2, dtype=np.int64)
    total = np.ones(1)
    for j in range(1, lead_time + 2):
        total = np.convolve(total, p)
        above = 1 - np.cumsum(total)
        above[-1] = 0.0
        levels[j] = int(np.argmax(above <= holding / (holding + penalty + slope)))
    levels[-1] = max(levels[-1], levels[-2] + 1)  # room for the extra unit of `_slope`
    return levels


def store_states(levels: IntArray) -> StoreStates:
    """List the states within the bounds."""
    L = len(levels) - 2
    free = min(int(levels[j]) // j for j in range(1, L + 1))  # all pipelines of orders up to it are listed
    if (free + 1) ** (L - 1) * (int(levels[-1]) - free * (L - 1) + 1) > MOST:
        raise ValueError(f"lead_time {L} and this demand need more than {MOST:,} states")
    rows = np.zeros((1, 0), dtype=np.int64)
    suffix = np.zeros(1, dtype=np.int64)
    starts: list[IntArray] = []
    child = np.zeros(1, dtype=np.int64)
    for k in range(L):
        most = _most(rows, levels)
        count = most + 1
        if count.sum() > MOST:
            raise ValueError(f"lead_time {L} and this demand need more than {MOST:,} states")
        start = np.concatenate([[0], np.cumsum(count)])
        if k == L - 1:  # the last extension is the order itself
            break
        parent = np.repeat(np.arange(len(rows)), count)
        order = np.arange(count.sum()) - start[parent]
        # dropping the first order: the parent's suffix, extended by the same order
        suffix = starts[-1][suffix[parent]] + order if k else np.zeros(len(parent), dtype=np.int64)
        rows = np.column_stack([rows[parent], order])
        starts.append(start)
    if L > 1:
        child = starts[-1][suffix]
    room = levels[-1] - rows.sum(axis=1)
    offset = np.concatenate([[0], np.cumsum(room + 1)])
    if offset[-1] > MOST:
        raise ValueError(f"lead_time {L} and this demand need more than {MOST:,} states")
    due = rows[:, 0].copy() if L > 1 else np.zeros(1, dtype=np.int64)
    return StoreStates(levels, rows, offset, room, most, child, due, tuple(starts))


def _most(rows: IntArray, levels: IntArray) -> IntArray:
    """Largest next order such that no window of the last orders exceeds its bound."""
    most = np.full(len(rows), levels[1])
    for j in range(2, min(rows.shape[1] + 1, len(levels) - 2) + 1):
        most = np.minimum(most, levels[j] - rows[:, -(j - 1) :].sum(axis=1))
    return most


def fronts(states: StoreStates) -> IntArray:
    """Largest x_0 with which (x_0, x_1, ..., x_{L-1}) keeps the bounds of L consecutive orders."""
    front = np.full(len(states.room), states.levels[1])
    sums = np.cumsum(states.pipelines, axis=1)
    for j in range(2, len(states.levels) - 1):
        front = np.minimum(front, states.levels[j] - sums[:, j - 2])
    return front


def cells(states: StoreStates, x: IntArray) -> tuple[IntArray, BoolArray]:
    """Cells of states (N, L), and which of them are listed."""
    inside: BoolArray = np.all(x >= 0, axis=1)
    place = np.zeros(len(x), dtype=np.int64)
    for k, start in enumerate(states.starts):
        inside &= x[:, k + 1] < np.diff(start)[place]
        place = np.where(inside, start[place] + x[:, k + 1], 0)
    inside &= x[:, 0] <= states.room[place]
    return np.where(inside, states.offset[place] + x[:, 0], 0), inside
