"""Regressions onto next states from recorded transitions, plain or weighted by variances.

Weighted by ``1 / var(s, a)`` with ``var = max(1, Var V(s'))``, rows whose next value hardly varies count
most. The variance comes from two regressions of other data, of V and of its square::

    var(s, a) = max(1, clip(phi' u_square, 0, ceiling^2) - clip(phi' u, 0, ceiling)^2)
"""

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.transitions import Transitions
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_weighted_round, predict

__all__ = ["absorb", "absorb_stage", "halves", "next_variances"]


def halves(data: Transitions) -> tuple[Transitions, Transitions]:
    """Return the first half of the data, and the rest.

    Parameters
    ----------
    data : Transitions
        At least 2 transitions of each stage.

    Returns
    -------
    tuple of Transitions
        The second is longer by one if their number is odd.

    Raises
    ------
    ValueError
        If there are fewer than 2.

    Examples
    --------
    >>> column = [[0], [0], [1]]
    >>> [len(half.r) for half in halves(Transitions(column, column, column, column))]
    [1, 2]
    """
    K = len(data.r)
    if K < 2:
        raise ValueError(f"data must hold at least 2 transitions of each stage, got {K}")
    return Transitions(*(x[: K // 2] for x in data)), Transitions(*(x[K // 2 :] for x in data))


@kernel
def absorb(fit: ValueRegression, s: IntArray, a: IntArray, r: Array, s_next: IntArray) -> None:
    """Add all transitions, each with the weight 1, in place.

    Parameters
    ----------
    fit : ValueRegression
        The regressions of H stages, changed in place.
    s, a : ndarray of int, shape (K, H)
        States and actions.
    r : ndarray, shape (K, H)
        Rewards.
    s_next : ndarray of int, shape (K, H)
        Next states.

    Examples
    --------
    >>> from eluder.core.value_regression import new_regression
    >>> fit, zero = new_regression(np.ones((2, 1, 1)), 1, 1.0), np.zeros((3, 1), np.int64)
    >>> absorb(fit, zero, zero, np.ones((3, 1)), zero)
    >>> fit.Lambda.tolist(), fit.M.tolist()
    ([[[4.0]]], [[[3.0, 0.0]]])
    """
    one = np.ones(fit.phi.shape[:2])
    for h in range(r.shape[1]):
        absorb_stage(fit, h, s, a, r, s_next, one)


@kernel
def absorb_stage(
    fit: ValueRegression, h: int, s: IntArray, a: IntArray, r: Array, s_next: IntArray, var: Array
) -> None:
    """Add the transitions of stage h, each with the weight ``1 / var[s, a]``, in place."""
    u = np.zeros(fit.b.shape[1])
    for k in range(r.shape[0]):
        i, j = s[k, h], a[k, h]
        add_weighted_round(fit, h, i, j, r[k, h], s_next[k, h], 1.0 / var[i, j], u)


@kernel
def next_variances(fit: ValueRegression, h: int, V: Array, ceiling: float, var: Array) -> None:
    """Write ``max(1, Var V(s'))`` of all pairs of stage h into `var` (S, A)."""
    d = fit.b.shape[1]
    u, u_square = np.zeros(d), np.zeros(d)
    square = V**2
    for i in range(d):
        for j in range(d):
            u[i] += fit.inverse[h, i, j] * dot(fit.M[h, j], V)
            u_square[i] += fit.inverse[h, i, j] * dot(fit.M[h, j], square)
    S, A = var.shape
    for s in range(S):
        for a in range(A):
            mean = min(max(predict(fit, s, a, u), 0.0), ceiling)
            second = min(max(predict(fit, s, a, u_square), 0.0), ceiling**2)
            var[s, a] = max(1.0, second - mean**2)
