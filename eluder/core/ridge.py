"""Ridge regression with rank-one updates, and the width of every arm kept along.

With ``V = lam I + sum_t w_t x_t x_t'`` and ``theta = V^-1 sum_t w_t y_t x_t``, an observation (x, y) of
weight w changes, with ``u = V^-1 x`` and ``q = x' u`` (Sherman & Morrison 1950),

    V^-1   -= w / (1 + w q) u u'            theta    += w (y - x' theta) / (1 + w q) u
    ln det V += ln(1 + w q)                 width[a] -= w / (1 + w q) (phi[a]' u)^2

so all estimates ``phi[a]' theta`` and all widths ``phi[a]' V^-1 phi[a]`` follow in O(A d), without a product
of a matrix and every arm. Rounding adds up; `refresh` computes all of it anew from the sums of each arm.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.types import Array

__all__ = ["Ridge", "absorb", "checked_radius", "refresh", "ridge"]

PERIOD = 4096  # updates after which `absorb` computes all anew
LARGEST_RADIUS = 1e100  # beyond, bonuses and their squares may overflow


class Ridge(NamedTuple):
    """Ridge regression on the features of A arms.

    Attributes
    ----------
    phi : ndarray, shape (A, d)
        The arms.
    lam : float
        Weight of the penalty.
    inverse : ndarray, shape (d, d)
        ``V^-1``.
    theta : ndarray, shape (d,)
        The estimate.
    y : ndarray, shape (A,)
        ``phi theta``, the estimated mean of each arm.
    width : ndarray, shape (A,)
        ``phi[a]' V^-1 phi[a]``.
    n, s : ndarray, shape (A,)
        Sum of the weights of each arm's observations, and of weight times reward.
    log_det : ndarray, shape (1,)
        ``ln(det V / det(lam I))``.
    age : ndarray of int, shape (1,)
        Updates since all was computed anew.
    u, g : ndarray, shapes (d,), (A,)
        Work space.
    """

    phi: Array
    lam: float
    inverse: Array
    theta: Array
    y: Array
    width: Array
    n: Array
    s: Array
    log_det: Array
    age: np.ndarray
    u: Array
    g: Array


def ridge(phi: Array, lam: float) -> Ridge:
    """Return the regression before the first observation.

    Parameters
    ----------
    phi : ndarray, shape (A, d)
        The arms.
    lam : float
        Weight of the penalty, positive.

    Returns
    -------
    Ridge
        ``V = lam I``, ``theta = 0``.

    Examples
    --------
    >>> ridge(np.array([[1.0, 0.0], [3.0, 4.0]]), 2.0).width
    array([ 0.5, 12.5])
    """
    A, d = phi.shape
    width = (phi**2).sum(axis=1) / lam
    one, age = np.zeros(1), np.zeros(1, np.int64)
    zero = (np.zeros(d), np.zeros(A))
    theta, y, n, s = np.zeros(d), np.zeros(A), np.zeros(A), np.zeros(A)
    return Ridge(phi, float(lam), np.eye(d) / lam, theta, y, width, n, s, one, age, *zero)


def checked_radius(radius: float, **source: float) -> float:
    """Return a radius; refuse what is not a number, or so large that a bonus may overflow.

    Parameters
    ----------
    radius : float
        The radius of a confidence set.
    **source : float
        The arguments that it comes from, to be named in the error.

    Returns
    -------
    float
        The radius.

    Raises
    ------
    ValueError
        If it is not at most 1e100.

    Examples
    --------
    >>> checked_radius(0.5 * 3.0, c=0.5)
    1.5
    """
    if not radius <= LARGEST_RADIUS:
        given = ", ".join(f"{name} = {x:g}" for name, x in source.items())
        raise ValueError(f"{given} makes the radius {radius:g}, it must be at most {LARGEST_RADIUS:g}")
    return radius


@kernel
def absorb(R: Ridge, a: int, weight: float, total: float) -> None:
    """Add observations of arm `a`: the sum of their weights, and of weight times reward; R in place.

    Several rewards of one arm are one update: only their sums matter.
    """
    R.n[a] += weight
    R.s[a] += total
    R.age[0] += 1
    if R.age[0] >= PERIOD:
        refresh(R)
        return
    d = R.theta.size
    for i in range(d):
        R.u[i] = dot(R.inverse[i], R.phi[a])
    scale = 1.0 + weight * R.width[a]
    shrink, step = weight / scale, (total - weight * R.y[a]) / scale
    for i in range(d):
        R.theta[i] += step * R.u[i]
        f = shrink * R.u[i]
        for j in range(d):
            R.inverse[i, j] -= f * R.u[j]
    for b in range(R.y.size):
        g = dot(R.phi[b], R.u)
        R.y[b] += step * g
        R.width[b] -= shrink * g * g
    R.log_det[0] += math.log(scale)


@kernel
def refresh(R: Ridge) -> None:
    """Compute all of R from `n` and `s`, in place: O(A d^2 + d^3)."""
    A, d = R.phi.shape
    V, b = np.zeros((d, d)), np.zeros(d)
    for a in range(A):
        for i in range(d):
            b[i] += R.s[a] * R.phi[a, i]
            for j in range(d):
                V[i, j] += R.n[a] * R.phi[a, i] * R.phi[a, j]
    for i in range(d):
        V[i, i] += R.lam
    R.inverse[:] = np.linalg.inv(V)
    R.log_det[0] = np.linalg.slogdet(V)[1] - d * math.log(R.lam)
    for i in range(d):
        R.theta[i] = dot(R.inverse[i], b)
    for a in range(A):
        R.y[a] = dot(R.phi[a], R.theta)
        R.width[a] = 0.0
        for i in range(d):
            R.width[a] += R.phi[a, i] * dot(R.inverse[i], R.phi[a])
    R.age[0] = 0
