"""Inverse-gap weighting: how `square_cb`, `falcon` and `batched_regression` turn predictions into chances."""

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray


@kernel
def inverse_gap(y: Array, mask: BoolArray, gamma: float, p: Array) -> None:
    """Fill `p` in place: ``p_a = 1 / (A + gamma (y_b - y_a))``, the rest on b, the best prediction.

    A counts the available actions; the others get 0. With ``gamma = 0`` all have the same chance.
    """
    A, b = 0, -1
    for a in range(y.size):
        if mask[a]:
            A += 1
            if b < 0 or y[a] > y[b]:
                b = a
    rest = 1.0
    for a in range(y.size):
        if mask[a] and a != b:
            p[a] = 1.0 / (A + gamma * (y[b] - y[a]))
            rest -= p[a]
        else:
            p[a] = 0.0
    p[b] = rest


@kernel
def inverse_gap_policy(f: Array, mask: BoolArray, gamma: float, p: Array) -> None:
    """Fill the table `p` (X, A) in place, one context after the other."""
    for x in range(f.shape[0]):
        inverse_gap(f[x], mask[x], gamma, p[x])


def decision_error(p: Array, y: Array, f: Array, gamma: float) -> float:
    """Return ``sum_a p_a (max f - f_a) - gamma / 4 sum_a p_a (y_a - f_a)^2``: what error does not buy."""
    return float(p @ (f.max() - f) - gamma / 4 * (p @ (y - f) ** 2))


def worst_truth(p: Array, y: Array, gamma: float, a: int) -> Array:
    """Return the f that maximises ``f_a - p f - gamma / 4 sum_b p_b (y_b - f_b)^2``, in closed form.

    The function is concave and separate in the entries of f; their derivatives vanish at
    ``f_b = y_b - 2 / gamma`` for b != a, and at ``f_a = y_a + 2 (1 - p_a) / (gamma p_a)``.
    """
    f = y - 2 / gamma
    f[a] = y[a] + 2 * (1 - p[a]) / (gamma * p[a])
    return f


def worst_error(p: Array, y: Array, gamma: float) -> float:
    """Return the largest `decision_error` over all f: ``max_a (y_a - p y + (1 / p_a - 1) / gamma)``.

    With inverse-gap weights it is ``p (y_b - y) + (A - 1) / gamma`` for each a but the best, b, and no
    more for b itself. The first part is below (A - 1) / gamma: the constant 2 (A - 1) / gamma is approached
    as gamma times the gaps grows, and never reached.
    """
    return float(np.max(y - p @ y + (1 / p - 1) / gamma))
