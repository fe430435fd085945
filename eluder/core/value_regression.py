"""Ridge regression onto all next states at once, with its widths, at a cost that does not grow with K.

On enumerable states the targets ``r + V(s')`` of every least-squares value iteration depend on the data only
through ``Lambda = lam I + sum phi phi'``, ``M = sum phi e_{s'}'`` and ``b = sum phi r``: for any V the
solution is ``w = Lambda^-1 (b + M V)``. One round changes Lambda by a matrix of rank one, and with it the
squared widths ``phi(s, a)' Lambda^-1 phi(s, a)`` of all pairs, in O(S A d). Weighted regressions are the
same with ``weight phi phi'``, ``weight phi e_{s'}'`` and ``weight phi r`` in the sums.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.types import Array, IntArray

__all__ = [
    "ValueRegression",
    "add_predictions",
    "add_round",
    "add_weighted_round",
    "new_regression",
    "predict",
    "solve",
]


class ValueRegression(NamedTuple):
    """The regressions of all stages.

    Attributes
    ----------
    phi : ndarray, shape (S, A, d)
        Features.
    Lambda, inverse : ndarray, shape (H, d, d)
        ``lam I + sum phi phi'``, and its inverse.
    M : ndarray, shape (H, d, S)
        ``sum phi e_{s'}'``.
    b : ndarray, shape (H, d)
        ``sum phi r``.
    width2 : ndarray, shape (H, S, A)
        ``phi' Lambda^-1 phi``.
    logdet : ndarray, shape (H,)
        ``ln det Lambda``.
    n : ndarray of int, shape (H,)
        Rounds.
    columns : ndarray, shape (d, S A)
        The features once more, by coordinate: sums over all pairs side by side are vector code.
    room : ndarray, shape (S A,)
        Room to work.
    """

    phi: Array
    Lambda: Array
    inverse: Array
    M: Array
    b: Array
    width2: Array
    logdet: Array
    n: IntArray
    columns: Array
    room: Array


def new_regression(phi: Array, H: int, lam: float) -> ValueRegression:
    """Return regressions without data.

    Parameters
    ----------
    phi : ndarray, shape (S, A, d)
        Features.
    H : int
        Number of stages.
    lam : float
        Weight > 0 of the ridge.

    Returns
    -------
    ValueRegression
        O(H (d^2 + d S + S A)) numbers.

    Raises
    ------
    ValueError
        If `lam` is less than ``1e-10 |phi|^2``: inverses would lose all digits.

    Examples
    --------
    >>> new_regression(np.ones((3, 2, 4)), 5, 1.0).M.shape
    (5, 4, 3)
    """
    S, A, d = phi.shape
    refuse_vanishing_ridge(lam, float(np.linalg.norm(phi, axis=2).max()))
    eye = np.broadcast_to(np.eye(d), (H, d, d))
    width2 = np.broadcast_to((phi**2).sum(axis=2) / lam, (H, S, A)).copy()
    return ValueRegression(
        phi,
        lam * eye,
        eye / lam,
        np.zeros((H, d, S)),
        np.zeros((H, d)),
        width2,
        np.full(H, d * math.log(lam)),
        np.zeros(H, np.int64),
        by_coordinate(phi),
        np.zeros(S * A),
    )


def by_coordinate(phi: Array) -> Array:
    """Return features (S, A, d) as (d, S A)."""
    return np.ascontiguousarray(phi.reshape(-1, phi.shape[2]).T)


def refuse_vanishing_ridge(lam: float, norm: float) -> None:
    """Refuse a ridge that is nothing beside features of this norm."""
    if not lam >= 1e-10 * norm**2:
        raise ValueError(f"lam is {lam:g}, with phi of norm {norm:g} it must be at least 1e-10 of its square")


@kernel
def add_round(fit: ValueRegression, h: int, s: int, a: int, reward: float, s_next: int, u: Array) -> None:
    """Add a round of stage h, in place; `u` (d,) is room to work."""
    add_weighted_round(fit, h, s, a, reward, s_next, 1.0, u)


@kernel
def add_weighted_round(
    fit: ValueRegression, h: int, s: int, a: int, reward: float, s_next: int, weight: float, u: Array
) -> None:
    """Add a round of stage h with a weight > 0, in place; `u` (d,) is room to work.

    Sherman and Morrison's formula loses digits slowly; when the number of rounds is a power of 2 the inverse
    is computed anew.
    """
    f, inverse, d = fit.phi[s, a], fit.inverse[h], u.size
    quadratic = 0.0
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += inverse[i, j] * f[j]
        u[i] = total
        quadratic += total * f[i]
    scale = weight / (1.0 + weight * quadratic)
    for i in range(d):
        fit.M[h, i, s_next] += weight * f[i]
        fit.b[h, i] += weight * f[i] * reward
        for j in range(d):
            fit.Lambda[h, i, j] += weight * f[i] * f[j]
            inverse[i, j] -= scale * u[i] * u[j]
    g, width2 = fit.room, fit.width2[h].reshape(-1)
    g[:] = 0.0
    combine(fit.columns, u, g)
    for i in range(g.size):
        width2[i] -= scale * g[i] * g[i]
    fit.logdet[h] += math.log(1.0 + weight * quadratic)
    fit.n[h] += 1
    n = fit.n[h]
    if n & (n - 1) == 0:
        refresh(fit, h)


@kernel
def refresh(fit: ValueRegression, h: int) -> None:
    """Compute the inverse and the squared widths of stage h from Lambda, in place."""
    fit.inverse[h] = np.linalg.inv(fit.Lambda[h])
    S, A, d = fit.phi.shape
    for s in range(S):
        for a in range(A):
            total = 0.0
            for i in range(d):
                row = 0.0
                for j in range(d):
                    row += fit.inverse[h, i, j] * fit.phi[s, a, j]
                total += row * fit.phi[s, a, i]
            fit.width2[h, s, a] = total


@kernel
def solve(fit: ValueRegression, h: int, V: Array, y: Array, w: Array) -> None:
    """Write ``w = Lambda^-1 (b + M V)`` of stage h in place; `y` (d,) is room to work."""
    d = y.size
    for i in range(d):
        y[i] = fit.b[h, i] + dot(fit.M[h, i], V)
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += fit.inverse[h, i, j] * y[j]
        w[i] = total


@kernel
def predict(fit: ValueRegression, s: int, a: int, w: Array) -> float:
    """Return ``phi(s, a)' w``."""
    total = 0.0
    for i in range(w.size):
        total += fit.phi[s, a, i] * w[i]
    return total


@kernel
def add_predictions(fit: ValueRegression, w: Array, out: Array) -> None:
    """Add ``phi(s, a)' w`` to `out` (S, A) for all pairs, in place; the same numbers as `predict`."""
    combine(fit.columns, w, out.reshape(-1))


@kernel
def combine(columns: Array, w: Array, out: Array) -> None:
    """Add ``sum_i w[i] columns[i]`` to `out`, in place and in this order."""
    for i in range(w.size):
        c, row = w[i], columns[i]
        for j in range(out.size):
            out[j] += c * row[j]
