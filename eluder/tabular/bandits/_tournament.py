"""An exact argmax over many arms when one key changes at a time: a tournament tree."""

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray

__all__ = ["replace", "tournament"]


@kernel
def tournament(A: int) -> tuple[Array, IntArray]:
    """Return keys (all infinite) and winners of a tree over A arms; ``winner[1]`` is the argmax.

    Node i has the children 2 i and 2 i + 1; the leaf of arm a is ``keys.size + a``. Ties go to the left, so
    to the first arm.
    """
    size = 1
    while size < A:
        size *= 2
    keys = np.full(size, -np.inf)
    keys[:A] = np.inf
    winner = np.zeros(2 * size, np.int64)
    for i in range(size):
        winner[size + i] = i
    for i in range(size - 1, 0, -1):
        winner[i] = winner[2 * i]  # infinite keys first: the left child always wins
    return keys, winner


@kernel
def replace(keys: Array, winner: IntArray, a: int, key: float) -> None:
    """Give arm `a` another key, and replay its matches; `keys` and `winner` in place, O(log A)."""
    keys[a] = key
    i = (keys.size + a) >> 1
    while i > 0:
        left, right = winner[2 * i], winner[2 * i + 1]
        winner[i] = right if keys[right] > keys[left] else left
        i >>= 1
