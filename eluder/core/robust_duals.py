r"""Duals of worst cases over divergence balls, and of their penalised forms, for weights of any sign.

For a distribution p, values V and ``[V]_a = min(V, a)``, with ``TV(q, p) = |q - p|_1 / 2``,
``KL(q, p) = sum q ln(q / p)`` and ``chi2(q, p) = sum (q - p)^2 / p``::

    ball      TV    min q V = max_a      p [V]_a - rho (a - min V)
              KL            = max_l      -l ln(p e^(-V / l)) - l rho
              chi2          = max_a      p [V]_a - sqrt(rho Var_p [V]_a)
    penalty   TV    min q V + lam TV   = p [V]_(min V + lam)
              KL    min q V + lam KL   = -lam ln(p e^(-V / lam))
              chi2  min q V + lam chi2 = max_a p [V]_a - Var_p [V]_a / (4 lam)

``min V`` is over all states for TV, whose q may reach states of probability 0 under p; the two others cannot.
A learner has an estimate m of p, a signed measure such as a row of ``Lambda^-1 sum phi e_{s'}'``, and puts it
into the dual: what it optimises is then a piecewise function of one number, with breakpoints at the values.
TV and chi-square are solved exactly from the sorted values; KL, for weights of any sign, by a search. In the
balls of KL and chi-square, values count from the least one.
The worst q themselves are found in `eluder.core.divergences`.
"""

import math

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray

__all__ = [
    "chi2_ball_dual",
    "chi2_ball_estimate",
    "chi2_penalty_dual",
    "kl_ball_dual",
    "kl_penalty_dual",
    "tv_ball_dual",
    "tv_penalty_dual",
]

GRID, STEPS, RANGE = 60, 45, 30.0  # of the search over the logarithm of the temperature of a KL ball
GOLDEN = 0.6180339887498949


@kernel
def tv_ball_dual(m: Array, V: Array, order: IntArray, rho: float, lowest: float) -> float:
    """Return ``max_a m [V]_a - rho (a - lowest)`` over a between `lowest` and the largest value.

    Parameters
    ----------
    m : ndarray, shape (S,)
        Weights.
    V : ndarray, shape (S,)
        Values.
    order : ndarray of int, shape (S,)
        ``argsort(V)``.
    rho : float
        Radius, at least 0.
    lowest : float
        Least value that the adversary can reach, at most ``min V``.

    Returns
    -------
    float
        The maximum: the function is piecewise linear, so it is at a value or at `lowest`. O(S).

    Examples
    --------
    >>> tv_ball_dual(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([0, 1]), 0.25, 0.0)
    0.25
    """
    total = 0.0
    for s in range(m.size):
        total += m[s]
    below, left = 0.0, total
    best = total * lowest
    for k in range(order.size):
        s = order[k]
        best = max(best, below + left * V[s] - rho * (V[s] - lowest))
        below += m[s] * V[s]
        left -= m[s]
    return best


@kernel
def tv_penalty_dual(m: Array, V: Array, lam: float, lowest: float) -> float:
    """Return ``m [V]_(lowest + lam)``.

    Examples
    --------
    >>> tv_penalty_dual(np.array([0.5, 0.5]), np.array([0.0, 1.0]), 0.5, 0.0)
    0.25
    """
    total = 0.0
    for s in range(m.size):
        total += m[s] * min(V[s], lowest + lam)
    return total


@kernel
def kl_penalty_dual(m: Array, V: Array, lam: float, top: float) -> float:
    """Return ``-lam ln(max(m e^(-V / lam), e^(-top / lam)))``, the values being between 0 and `top`.

    Examples
    --------
    >>> round(kl_penalty_dual(np.array([0.5, 0.5]), np.array([0.0, 1.0]), 1.0, 2.0), 12)
    0.379885493042
    """
    low, total = float(V.min()), 0.0
    for s in range(m.size):
        total += m[s] * math.exp((low - V[s]) / lam)
    if total <= 0.0:
        return top
    return min(low - lam * math.log(total), top)


@kernel
def _kl_at(m: Array, V: Array, low: float, temperature: float, top: float) -> float:
    """Return ``low - l ln(max(1 + m (e^((low - V) / l) - 1), e^((low - top) / l)))``."""
    less = 0.0
    for s in range(m.size):
        less += m[s] * math.expm1((low - V[s]) / temperature)
    if less <= -1.0:
        return top
    return min(low - temperature * math.log1p(less), top)


@kernel
def kl_ball_dual(m: Array, V: Array, rho: float, top: float) -> float:
    """Return the maximum over l > 0 of ``low - l ln(1 + m (e^((low - V) / l) - 1)) - l rho``, low = min V.

    Parameters
    ----------
    m : ndarray, shape (S,)
        Weights. What they lack of 1 counts as the least value.
    V : ndarray, shape (S,)
        Values, at most `top`.
    rho : float
        Radius, at least 0; with 0 the answer is ``low + m (V - low)``.
    top : float
        Largest value there can be: the logarithm is cut off where it would give more.

    Returns
    -------
    float
        For a distribution the function is concave and the maximum exact up to rounding. For weights of any
        sign it is the first maximum that a grid meets from above, refined by golden sections: towards l = 0
        one negative weight on a low value makes the function grow without meaning. Cut to what rho = 0
        gives. O(S) per evaluation, of which there are about a hundred.

    Examples
    --------
    >>> round(kl_ball_dual(np.array([0.5, 0.5]), np.array([0.0, 1.0]), 0.1308, 1.0), 4)
    0.25
    """
    low = float(V.min())
    mean = low
    for s in range(m.size):
        mean += m[s] * (V[s] - low)
    if rho <= 0.0 or mean <= low or top <= low:
        return max(mean, low) if rho > 0.0 else mean
    best = low
    high = math.log((top - low) / rho)  # beyond it the function is at most `low`
    at, width = high, RANGE / GRID
    for k in range(GRID + 1):
        x = high - width * k
        y = _kl_at(m, V, low, math.exp(x), top) - rho * math.exp(x)
        if y > best:
            best, at = y, x
        elif best > low:
            break
    a, b = at - width, min(at + width, high)
    for _ in range(STEPS):
        c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        y = _kl_at(m, V, low, math.exp(c), top) - rho * math.exp(c)
        z = _kl_at(m, V, low, math.exp(d), top) - rho * math.exp(d)
        best = max(best, y, z)
        if y > z:
            b = d
        else:
            a = c
    return min(best, mean)


@kernel
def _chi2_penalty_at(z: float, z2: float, lam: float, top: float) -> float:
    """Return ``x + (x^2 - y) / (4 lam)`` with x = z cut to [0, top] and y = z2 cut to [0, top^2]."""
    x, y = min(max(z, 0.0), top), min(max(z2, 0.0), top * top)
    return x + (x * x - y) / (4.0 * lam)


@kernel
def chi2_penalty_dual(m: Array, V: Array, order: IntArray, lam: float, top: float) -> float:
    """Return ``max_a x(a) + (x(a)^2 - y(a)) / (4 lam)``, x and y the first two moments of ``[V]_a``.

    Parameters
    ----------
    m : ndarray, shape (S,)
        Weights.
    V : ndarray, shape (S,)
        Values between 0 and `top`.
    order : ndarray of int, shape (S,)
        ``argsort(V)``.
    lam : float
        Weight of the penalty, > 0.
    top : float
        Moments are cut to [0, top] and [0, top^2].

    Returns
    -------
    float
        The maximum over a in [min V, max V], exact: between two values, and where no moment begins to be cut,
        the function is a parabola. (Where the first moment reaches 0 or the second its top the slope only
        grows.) Cut to a number where a tiny `lam` makes it infinite. O(S).

    Examples
    --------
    >>> chi2_penalty_dual(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([0, 1]), 1.0, 1.0)
    0.4375
    """
    left = 0.0
    for s in range(m.size):
        left += m[s]
    first, second = 0.0, 0.0  # sums of m V and m V^2 over the values below
    a = V[order[0]]
    best = _chi2_penalty_at(left * a, left * a * a, lam, top)
    points = np.empty(4)
    for k in range(order.size):
        s = order[k]
        lower = a
        a = V[s]
        points[:] = a
        if a > lower:
            if left != 1.0:
                points[1] = (2.0 * lam + first) / (1.0 - left)  # top of the parabola
            if left != 0.0:
                points[2] = (top - first) / left  # where a moment begins to be cut
                points[3] = math.sqrt(max(-second / left, 0.0))
        for x in points:
            if lower <= x <= a:
                best = max(best, _chi2_penalty_at(first + left * x, second + left * x * x, lam, top))
        first += m[s] * V[s]
        second += m[s] * V[s] * V[s]
        left -= m[s]
    return min(max(best, -1e100), 1e100)


@kernel
def chi2_ball_dual(p: Array, V: Array, rho: float, a: float) -> float:
    """Return ``p [V]_a - sqrt(rho Var_p [V]_a)`` of a distribution: a lower bound for every a.

    Examples
    --------
    >>> chi2_ball_dual(np.array([0.5, 0.5]), np.array([0.0, 1.0]), 0.25, 1.0)
    0.25
    """
    mean, variance = 0.0, 0.0
    for s in range(p.size):
        mean += p[s] * min(V[s], a)
    for s in range(p.size):
        variance += p[s] * (min(V[s], a) - mean) ** 2
    return mean - math.sqrt(rho * variance)


@kernel
def _roots(a: float, b: float, c: float) -> tuple[float, float]:
    """Return the real roots of ``a x^2 + b x + c``; NaN where there is none."""
    discriminant = b * b - 4.0 * a * c
    if not discriminant >= 0.0:
        return math.nan, math.nan
    t = -0.5 * (b + math.copysign(math.sqrt(discriminant), b))
    return (t / a if a != 0.0 else math.nan), (c / t if t != 0.0 else math.nan)


@kernel
def chi2_ball_estimate(m: Array, V: Array, order: IntArray, rho: float) -> float:
    """Return ``low + max_a x(a) - sqrt(rho max(y(a) - x(a)^2, 0))``, low = min V, for weights of any sign.

    Parameters
    ----------
    m : ndarray, shape (S,)
        Weights. What they lack of 1 counts as the least value.
    V : ndarray, shape (S,)
        Values.
    order : ndarray of int, shape (S,)
        ``argsort(V)``.
    rho : float
        Radius, at least 0; with 0 the answer is ``low + m (V - low)``.

    Returns
    -------
    float
        With x and y the first two moments of ``min(V - low, a)``. The maximum over a in [0, max V - low] is
        exact: between two values y - x^2 is a parabola, and where it is positive the derivative vanishes at
        the roots of another. For a distribution this is the dual; for weights of any sign it is cut to what
        rho = 0 gives. Rounding costs up to some 1e-8 sqrt(rho) max V. O(S).

    Examples
    --------
    >>> chi2_ball_estimate(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([0, 1]), 0.25)
    0.25
    """
    low, mean, left = V[order[0]], 0.0, 0.0
    for s in range(m.size):
        mean += m[s] * (V[s] - low)
        left += m[s]
    if rho <= 0.0:
        return float(low + mean)
    best, below = 0.0, 0.0
    first, second = 0.0, 0.0  # sums of m W and m W^2, W = V - low, over the values below
    points = np.empty(5)
    for k in range(order.size):
        weight, a = m[order[k]], V[order[k]] - low
        if a > below:
            A, B, C = (
                left * (1.0 - left),
                -2.0 * first * left,
                second - first * first,
            )  # y - x^2 = A a^2 + ...
            slope = left * left - rho * A
            points[0] = a
            points[1], points[2] = _roots(A, B, C)
            points[3], points[4] = _roots(
                4.0 * A * slope, 4.0 * B * slope, 4.0 * left * left * C - rho * B * B
            )
            for x in points:
                if below < x <= a:
                    value = first + left * x - math.sqrt(rho * max((A * x + B) * x + C, 0.0))
                    if value > best:
                        best = value
            below = a
        first += weight * a
        second += weight * a * a
        left -= weight
    return float(low + min(best, max(mean, 0.0)))
