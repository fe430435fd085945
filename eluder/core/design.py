r"""Optimal designs: how to spread observations over arms so that every estimate is about equally sure.

For features phi of A arms that span R^d and a distribution pi over them, ``V(pi) = sum_a pi(a) phi_a phi_a'``
and ``g(pi) = max_a phi_a' V(pi)^-1 phi_a``. Kiefer & Wolfowitz (1960): the pi that maximises ``ln det V``
also minimises g, and there ``g = d``. So ``g(pi) - d >= 0`` is a certificate: it is the duality gap of Frank
& Wolfe for ``ln det V``, and the distance of g from its minimum.

The steps are those of Fedorov (1972) and Wynn (1970), towards the arm with the largest width, and away from
the arm of the support with the smallest one (Todd & Yildirim 2007); both have the length that maximises
``ln det V`` in closed form, and each costs O(A d) by rank-one updates.
"""

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import dot, kernel
from eluder.core.types import Array

__all__ = ["Design", "optimal_design", "step_length"]


class Design(NamedTuple):
    """A distribution over arms and its certificate.

    Attributes
    ----------
    pi : ndarray, shape (A,)
        The distribution.
    width : float
        ``g(pi)``, the largest ``phi_a' V^-1 phi_a``; `d` is its minimum.
    d : int
        Dimension of the span of the arms.
    gap : float
        ``g(pi) - d``: bounds ``ln det V(pi*) - ln det V(pi)`` as well.
    num_iter : int
        Steps taken.
    status : str
        "converged", or what to try.
    """

    pi: Array
    width: float
    d: int
    gap: float
    num_iter: int
    status: str


def optimal_design(phi: ArrayLike, *, tol: float = 0.01, max_iter: int = 100_000) -> Design:
    """Return a distribution over arms that nearly minimises the largest width.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features; arms that do not span R^d are treated within their span.
    tol : float, default=0.01
        Stop when ``g(pi) <= (1 + tol) d``.
    max_iter : int, default=100000
        Most steps.

    Returns
    -------
    Design
        The distribution and its certificate.

    Raises
    ------
    ValueError
        If an entry of `phi` is not finite, all are 0, or an argument is outside its range.

    Notes
    -----
    O(A d + d^2) time per step; the certificate is computed anew at the end, not by updates.

    References
    ----------
    .. [1] Kiefer and Wolfowitz. The equivalence of two extremum problems. Canadian Journal of Mathematics 12,
       1960.
    .. [2] Todd and Yildirim. On Khachiyan's algorithm for the computation of minimum-volume enclosing
       ellipsoids. Discrete Applied Mathematics 155, 2007.
    .. [3] Lattimore and Szepesvari. Bandit algorithms. Cambridge, 2020, chapter 21.

    Examples
    --------
    >>> optimal_design([[1, 0], [0, 1], [0.1, 0.1]], tol=1e-6).pi.round(3).tolist()
    [0.5, 0.5, 0.0]
    """
    phi = checks.finite("phi", phi, (None, None), -1e6, 1e6)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    max_iter = checks.integer("max_iter", max_iter)
    x = coordinates(phi)
    d = x.shape[1]
    pi = _start(x)
    num_iter, rest = 0, max_iter
    while True:  # a second round where rounding has hidden what is left
        V = (x * pi[:, None]).T @ x
        inverse = np.ascontiguousarray(np.linalg.inv(V), dtype=np.float64)
        w = np.einsum("ai,ij,aj->a", x, inverse, x)
        if w.max() <= (1 + tol) * d or rest == 0:
            break
        steps = int(_frank_wolfe(x, pi, inverse, w, tol, min(rest, 2000)))
        num_iter, rest = num_iter + steps, rest - max(steps, 1)
    width = float(w.max())
    status = "converged"
    if width > (1 + tol) * d:
        status = f"gap {width - d:.3g} after {num_iter} steps: raise max_iter or tol"
        warnings.warn(f"optimal_design: {status}", stacklevel=2)
    return Design(pi, width, d, max(width - d, 0.0), num_iter, status)


def coordinates(phi: Array) -> Array:
    """Return the arms in an orthonormal basis of their span, scaled to a largest norm of 1."""
    U, s, _ = np.linalg.svd(phi, full_matrices=False)
    rank = int((s > 1e-10 * s[0]).sum())
    if rank == 0:
        raise ValueError("phi is 0: the arms span nothing")
    x = U[:, :rank] * s[:rank]
    x = x / np.sqrt((x**2).sum(axis=1).max())
    return np.ascontiguousarray(x)


def _start(x: Array) -> Array:
    """Return the uniform distribution over d arms that span: each is the farthest from those before."""
    A, d = x.shape
    pi, left = np.zeros(A), x.copy()
    for _ in range(d):
        norm = (left**2).sum(axis=1)
        a = int(norm.argmax())
        pi[a] = 1.0 / d
        left -= np.outer(left @ left[a], left[a]) / norm[a]
    return pi


@kernel
def step_length(w: float, d: int) -> float:
    """Return the gamma < 1 that maximises ``ln det((1 - gamma) V + gamma x x')`` with ``w = x' V^-1 x``.

    It is ``(w / d - 1) / (w - 1)``: positive for w > d, negative for w < d. Where w <= 1 < d the determinant
    grows for ever as gamma falls: minus infinity. In one dimension and w < 1 likewise.
    """
    if w <= 1.0:
        return 0.0 if w >= d else -math.inf
    return (w / d - 1.0) / (w - 1.0)


@kernel
def _frank_wolfe(x: Array, pi: Array, W: Array, w: Array, tol: float, most: int) -> int:
    """Take steps until ``max w <= (1 + tol) d``, at most `most`; `pi`, `W` = V^-1 and `w` in place."""
    A, d = x.shape
    u = np.zeros(d)
    for k in range(most):
        far, near = 0, -1
        for a in range(A):
            if w[a] > w[far]:
                far = a
            if pi[a] > 0.0 and (near < 0 or w[a] < w[near]):
                near = a
        if w[far] <= (1.0 + tol) * d:
            return k
        a = far if w[far] - d >= d - w[near] else near
        gamma = step_length(w[a], d)
        drop = gamma <= -pi[a] / (1.0 - pi[a]) if pi[a] < 1.0 else False
        if drop:
            gamma = -pi[a] / (1.0 - pi[a])
        for b in range(A):
            pi[b] *= 1.0 - gamma
        pi[a] = 0.0 if drop else pi[a] + gamma
        ratio = gamma / (1.0 - gamma)
        for i in range(d):
            u[i] = dot(W[i], x[a])
        shrink = ratio / (1.0 + ratio * w[a])
        for i in range(d):
            for j in range(d):
                W[i, j] = (W[i, j] - shrink * u[i] * u[j]) / (1.0 - gamma)
        for b in range(A):
            g = dot(x[b], u)
            w[b] = (w[b] - shrink * g * g) / (1.0 - gamma)
    return most
