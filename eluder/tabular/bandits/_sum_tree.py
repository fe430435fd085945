"""Exponential weights of which one changes at a time: a draw and a change cost O(log A).

The leaves of a binary tree hold ``exp(-eta (L(a) - shift))``, each inner node the sum of its two children.
Sums are taken anew along a path and never corrected by differences, so no error builds up. When the root
leaves [1e-100, 1e100] all weights are computed again from L with ``shift = min L``: an arm whose weight was
rounded to 0 comes back when the others have suffered as much.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array

TINY, HUGE = 1e-100, 1e100


class Weights(NamedTuple):
    """Weights of A arms.

    Attributes
    ----------
    loss : ndarray, shape (A,)
        Cumulative loss estimates L.
    tree : ndarray, shape (2 n,)
        Root at 1, children of i at 2 i and 2 i + 1, leaf of arm a at n + a; n is a power of 2.
    shift : ndarray, shape (1,)
        The loss whose weight is 1.
    """

    loss: Array
    tree: Array
    shift: Array


def uniform_weights(A: int) -> Weights:
    """Return equal weights."""
    n = 1
    while n < A:
        n *= 2
    weights = Weights(np.zeros(A), np.zeros(2 * n), np.zeros(1))
    rebuild(weights, 1.0)
    return weights


@kernel
def rebuild(weights: Weights, eta: float) -> None:
    """Compute all weights from the losses; `weights` in place."""
    loss, tree = weights.loss, weights.tree
    n = tree.size // 2
    low = math.inf
    for a in range(loss.size):
        low = min(low, loss[a])
    weights.shift[0] = low
    for a in range(loss.size):
        tree[n + a] = math.exp(-eta * (loss[a] - low))
    for i in range(n - 1, 0, -1):
        tree[i] = tree[2 * i] + tree[2 * i + 1]


@kernel
def find(weights: Weights, u: float) -> int:
    """Return the first arm whose cumulated probability exceeds `u` in [0, 1)."""
    tree = weights.tree
    n = tree.size // 2
    rest = u * tree[1]
    i = 1
    while i < n:
        i *= 2
        if rest >= tree[i]:
            rest -= tree[i]
            i += 1
    while tree[i] <= 0.0 and i > n:  # rounding left a rest
        i -= 1
    return i - n


@kernel
def probability(weights: Weights, a: int) -> float:
    """Return the probability of arm `a`."""
    tree = weights.tree
    p: float = tree[tree.size // 2 + a] / tree[1]
    return p


@kernel
def add_loss(weights: Weights, a: int, x: float, eta: float) -> None:
    """Add `x` to the loss of arm `a`; `weights` in place."""
    loss, tree = weights.loss, weights.tree
    loss[a] += x
    i = tree.size // 2 + a
    tree[i] = math.exp(min(-eta * (loss[a] - weights.shift[0]), 700.0))
    while i > 1:
        i //= 2
        tree[i] = tree[2 * i] + tree[2 * i + 1]
    if not TINY < tree[1] < HUGE:
        rebuild(weights, eta)
