r"""Value-targeted regression for linear mixture MDPs, and the plans made with it.

In a linear mixture the next value is ``(P V)(s, a) = <psi_V(s, a), theta>`` with the features
``psi_V(s, a)_i = sum_{s'} phi_i(s' | s, a) V(s')``. So learners regress ``V(s')`` onto ``psi_V(s, a)``: each
target stays as it was when it was made, and a round costs one update of rank one, whatever K is.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "TargetedRegression",
    "add_target",
    "confidence_norm",
    "default_ridge",
    "lower_value",
    "new_targets",
    "optimistic_plan",
    "pair_features",
]

TIE = 1e-10  # action values that differ by less are equal but for rounding


class TargetedRegression(NamedTuple):
    """G weighted ridge regressions onto values of the next state.

    Attributes
    ----------
    Lambda, inverse : ndarray, shape (G, d, d)
        ``lam I + sum weight x x'``, and its inverse.
    b, theta : ndarray, shape (G, d)
        ``sum weight x y`` and the solution ``Lambda^-1 b``.
    logdet : ndarray, shape (G,)
        ``ln det Lambda``.
    n : ndarray of int, shape (G,)
        Rounds.
    """

    Lambda: Array
    inverse: Array
    b: Array
    theta: Array
    logdet: Array
    n: IntArray


def default_ridge(B: float, scale: float = 1.0) -> float:
    """Return the weight ``scale / B^2`` of the ridge that the theorems take.

    Parameters
    ----------
    B : float
        Bound on the norm of the mixture.
    scale : float, default=1.0
        1, or the number d of base kernels.

    Returns
    -------
    float
        The weight.

    Raises
    ------
    ValueError
        If `B` is so large or so small that the weight is no number that regressions can use.

    Examples
    --------
    >>> default_ridge(2.0, 3.0)
    0.75
    """
    square = B * B
    if not 1e-100 <= square <= 1e100:
        raise ValueError(f"B is {B:g}, its square must be in [1e-100, 1e+100]")
    return scale / square


def new_targets(G: int, d: int, lam: float) -> TargetedRegression:
    """Return regressions without data.

    Parameters
    ----------
    G, d : int
        Number of regressions, of features.
    lam : float
        Weight > 0 of the ridge.

    Returns
    -------
    TargetedRegression
        With ``theta = 0``.

    Raises
    ------
    ValueError
        If `lam` is less than 1e-10: inverses would lose all digits.

    Examples
    --------
    >>> new_targets(1, 2, 0.5).inverse[0].tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    if not lam >= 1e-10:
        raise ValueError(f"lam is {lam:g}, it must be at least 1e-10 (where B is its source, B is too large)")
    eye = np.broadcast_to(np.eye(d), (G, d, d))
    zeros = np.zeros((G, d))
    return TargetedRegression(
        lam * eye, eye / lam, zeros, zeros.copy(), np.full(G, d * math.log(lam)), np.zeros(G, np.int64)
    )


@kernel
def add_target(fit: TargetedRegression, g: int, x: Array, y: float, weight: float, u: Array) -> None:
    """Add the round (x, y) to regression g with a weight > 0, in place; `u` (d,) is room to work.

    Sherman and Morrison's formula loses digits slowly; when the number of rounds is a power of 2 the inverse
    and the solution are computed anew.
    """
    d, inverse = x.size, fit.inverse[g]
    for i in range(d):
        u[i] = dot(inverse[i], x)
    quadratic = dot(u, x)
    scale = weight / (1.0 + weight * quadratic)
    error = y - dot(fit.theta[g], x)
    for i in range(d):
        fit.b[g, i] += weight * x[i] * y
        fit.theta[g, i] += scale * error * u[i]
        for j in range(d):
            fit.Lambda[g, i, j] += weight * x[i] * x[j]
            inverse[i, j] -= scale * u[i] * u[j]
    fit.logdet[g] += math.log(1.0 + weight * quadratic)
    fit.n[g] += 1
    n = fit.n[g]
    if n & (n - 1) == 0:
        fit.inverse[g] = np.linalg.inv(fit.Lambda[g])
        for i in range(d):
            fit.theta[g, i] = dot(fit.inverse[g, i], fit.b[g])


@kernel
def confidence_norm(inverse: Array, x: Array) -> float:
    """Return ``sqrt(x' Lambda^-1 x)`` for the inverse (d, d) of one regression."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * dot(inverse[i], x)
    return math.sqrt(max(total, 0.0))


@kernel
def pair_features(phi: Array, h: int, s: int, a: int, V: Array, x: Array) -> None:
    """Write ``psi_V(s, a)`` of stage h to `x` (d,); `phi` has shape (1 or H, d, S, A, S)."""
    g = h % phi.shape[0]
    for i in range(x.size):
        x[i] = dot(phi[g, i, s, a], V)


@kernel
def optimistic_plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    fit: TargetedRegression,
    phi: Array,
    r: Array,
    mask: BoolArray,
    beta: float,
    cap: Array,
    x: Array,
) -> None:
    """Plan in place: ``Q[h] = clip(r[h] + psi theta + beta |psi|, 0, cap[h])``, `V` its maximum, `pi` greedy.

    `V` has shape (H + 1, S) and zeros in its last row; `x` (d,) is room to work. Stage h uses regression h,
    or the only one. Of actions that differ by rounding only `pi` takes the first.
    """
    H, S, A = Q.shape
    for h in range(H - 1, -1, -1):
        g = h % fit.theta.shape[0]
        for s in range(S):
            best, V[h, s] = -1, 0.0
            for a in range(A):
                if not mask[s, a]:
                    continue
                pair_features(phi, h, s, a, V[h + 1], x)
                q = r[h, s, a] + dot(fit.theta[g], x) + beta * confidence_norm(fit.inverse[g], x)
                Q[h, s, a] = min(max(q, 0.0), cap[h])
                V[h, s] = max(V[h, s], Q[h, s, a])
                if best < 0 or Q[h, s, a] > Q[h, s, best] + TIE:
                    best = a
            pi[h, s] = best


@kernel
def lower_value(
    V: Array,
    pi: IntArray,
    fit: TargetedRegression,
    phi: Array,
    r: Array,
    beta: float,
    cap: Array,
    x: Array,
) -> None:
    """Write to `V` (H + 1, S) the pessimistic value of a policy, ``r + psi theta - beta |psi|`` cut off."""
    H, S = pi.shape
    for h in range(H - 1, -1, -1):
        g = h % fit.theta.shape[0]
        for s in range(S):
            pair_features(phi, h, s, pi[h, s], V[h + 1], x)
            q = r[h, s, pi[h, s]] + dot(fit.theta[g], x) - beta * confidence_norm(fit.inverse[g], x)
            V[h, s] = min(max(q, 0.0), cap[h])
