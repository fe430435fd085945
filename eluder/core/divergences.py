r"""Worst cases of an expectation over distributions near p, with the distribution that attains each.

`worst_case` is ``min q V`` over the ball ``D(q || p) <= rho``, `penalised` is ``min q V + lam D(q || p)``,
with ``TV = |q - p|_1 / 2``, ``KL = sum q ln(q / p)`` or ``chi2 = sum (q - p)^2 / p`` as D. With KL and
chi-square q lives on the support of p; with TV it may move to any state, unless told to stay on the support.
The worst q have closed forms, up to one number each::

    TV    ball: move the mass rho from the highest values to the lowest
          penalty: move all mass on values above min V + lam to the lowest
    KL    q = p e^(-x V) / Z; penalty x = 1 / lam; ball: x by Newton's method, safeguarded by bisection
    chi2  q = p (a - V)_+ / Z; a solves, on the interval between two values which it is in,
          ball: E(a - V)_+^2 = (1 + rho) (E(a - V)_+)^2     penalty: E(a - V)_+ = 2 lam

Every answer comes with the duality gap, from the duals of `eluder.core.robust_duals`: a certificate.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.divergence_kernels import DIVERGENCES, KL, TV, ball, penalty
from eluder.core.robust_duals import (
    chi2_ball_dual,
    chi2_penalty_dual,
    kl_penalty_dual,
    tv_ball_dual,
    tv_penalty_dual,
)
from eluder.core.types import Array

__all__ = ["WorstCase", "divergence_of", "penalised", "worst_case"]


class WorstCase(NamedTuple):
    """A worst case.

    Attributes
    ----------
    value : float
        ``q V``, plus ``lam D(q || p)`` if penalised.
    q : ndarray, shape (S,)
        A distribution that attains it.
    gap : float
        What `q` attains less a lower bound from the dual: the minimum is that close to `value`.
    """

    value: float
    q: Array
    gap: float


def worst_case(
    p: ArrayLike, V: ArrayLike, rho: float, divergence: str = "tv", *, within_support: bool = False
) -> WorstCase:
    """Return the least expectation of V over the ball around p.

    Parameters
    ----------
    p : array_like, shape (S,)
        A distribution.
    V : array_like, shape (S,)
        Values, finite.
    rho : float
        Radius, at least 0.
    divergence : {"tv", "kl", "chi2"}, default="tv"
        What the ball is made of.
    within_support : bool, default=False
        Whether q must stay on the support of p. With "kl" and "chi2" it does anyhow.

    Returns
    -------
    WorstCase
        Value, worst distribution, certificate.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `V` is not finite or of another length, `rho` is negative, or
        `divergence` is not known.

    Notes
    -----
    O(S log S); KL takes a few passes more.

    Examples
    --------
    >>> worst_case([0.5, 0.5], [0.0, 1.0], 0.2).q.round(12).tolist()
    [0.7, 0.3]
    >>> round(worst_case([0.5, 0.5], [0.0, 1.0], 0.25, "chi2").value, 12)
    0.25
    """
    p, V, kind = _checked(p, V, divergence)
    rho = checks.number("rho", rho, 0.0)
    q, order = np.empty_like(p), np.argsort(V, kind="stable")
    low, shifted, top = _shifted(p, V, kind, within_support)
    value, x = ball(p, V, order, rho, kind, bool(within_support), q)
    if kind == TV:
        dual = tv_ball_dual(p, shifted, np.argsort(shifted, kind="stable"), rho, 0.0)
    elif x == math.inf:
        dual = float(p @ shifted)
    elif x == 0.0:
        dual = 0.0
    elif kind == KL:
        dual = kl_penalty_dual(p, shifted, 1.0 / x, top) - rho / x
    else:
        dual = chi2_ball_dual(p, shifted, rho, x)
    return WorstCase(float(value), q, max(float(value) - (low + dual), 0.0))


def penalised(
    p: ArrayLike, V: ArrayLike, lam: float, divergence: str = "tv", *, within_support: bool = False
) -> WorstCase:
    """Return the least of expectation plus penalty, ``min q V + lam D(q || p)``.

    Parameters
    ----------
    p : array_like, shape (S,)
        A distribution.
    V : array_like, shape (S,)
        Values, finite.
    lam : float
        Weight of the penalty, at least 0, or infinite: then q = p.
    divergence : {"tv", "kl", "chi2"}, default="tv"
        The penalty.
    within_support : bool, default=False
        Whether q must stay on the support of p. With "kl" and "chi2" it does anyhow.

    Returns
    -------
    WorstCase
        Value (with the penalty), worst distribution, certificate.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `V` is not finite or of another length, `lam` is negative, or
        `divergence` is not known.

    Notes
    -----
    O(S log S).

    Examples
    --------
    >>> penalised([0.5, 0.5], [0.0, 1.0], 0.25)
    WorstCase(value=0.125, q=array([1., 0.]), gap=0.0)
    >>> round(penalised([0.5, 0.5], [0.0, 1.0], 1.0, "kl").value, 12)
    0.379885493042
    """
    p, V, kind = _checked(p, V, divergence)
    lam = lam if lam == math.inf else checks.number("lam", lam, 0.0)
    q, order = np.empty_like(p), np.argsort(V, kind="stable")
    low, shifted, top = _shifted(p, V, kind, within_support)
    value = float(penalty(p, V, order, lam, kind, bool(within_support), q))
    if lam == math.inf:
        dual = float(p @ shifted)
    elif lam == 0.0 or top == 0.0:
        dual = 0.0
    elif kind == TV:
        dual = tv_penalty_dual(p, shifted, lam, 0.0)
    elif kind == KL:
        dual = kl_penalty_dual(p, shifted, lam, top)
    else:
        dual = chi2_penalty_dual(p, shifted, np.argsort(shifted, kind="stable"), lam, top)
    paid = lam * _divergence(q, p, kind) if lam < math.inf else 0.0
    return WorstCase(value, q, max(float(q @ V) + paid - (low + dual), 0.0))


def divergence_of(q: ArrayLike, p: ArrayLike, divergence: str = "tv") -> float:
    """Return ``D(q || p)``; infinite where q leaves the support of p and D does not allow it.

    Parameters
    ----------
    q, p : array_like, shape (S,)
        Distributions.
    divergence : {"tv", "kl", "chi2"}, default="tv"
        Which.

    Returns
    -------
    float
        The divergence.

    Raises
    ------
    ValueError
        If `q` or `p` is not a distribution, or `divergence` is not known.

    Examples
    --------
    >>> divergence_of([1.0, 0.0], [0.5, 0.5], "chi2")
    1.0
    """
    p, q, kind = _checked(p, q, divergence, "q")
    checks.distribution("q", q, (p.size,))
    return _divergence(q, p, kind)


def _divergence(q: Array, p: Array, kind: int) -> float:
    """Return ``D(q || p)`` of distributions."""
    if kind == TV:
        return float(np.abs(q - p).sum() / 2)
    if (q[p == 0] > 0).any():
        return math.inf
    on = q > 0
    if kind == KL:
        return float((q[on] * np.log(q[on] / p[on])).sum())
    return float(((q - p)[p > 0] ** 2 / p[p > 0]).sum())


def _checked(p: ArrayLike, V: ArrayLike, divergence: str, name: str = "V") -> tuple[Array, Array, int]:
    """Return `p`, `V` and the number of the divergence."""
    p = checks.distribution("p", p, (None,))
    V = checks.finite(name, V, (p.size,))
    if divergence not in DIVERGENCES:
        raise ValueError(f"divergence must be one of {', '.join(map(repr, DIVERGENCES))}, got {divergence!r}")
    return p, V, DIVERGENCES[divergence]


def _shifted(p: Array, V: Array, kind: int, within: bool) -> tuple[float, Array, float]:
    """Return the least value in reach, the values above it, and the largest of these on the support."""
    low = float(V.min() if kind == TV and not within else V[p > 0].min())
    shifted = np.maximum(V - low, 0.0)
    return low, shifted, float(shifted[p > 0].max())
