"""Kernels of `eluder.core.divergences`: worst distributions near p, written in place.

They attain ``min q V`` over the ball ``D(q || p) <= rho``, and ``min q V + lam D(q || p)``. With KL and
chi-square q lives on the support of p, with TV it may move to any state, unless told to stay. `order` is
``argsort(V)``, done once for all p.
"""

import math

from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray

__all__ = ["DIVERGENCES", "ball", "penalty"]

DIVERGENCES = {"tv": 0, "kl": 1, "chi2": 2}
TV, KL, CHI2 = 0, 1, 2
MOST, ACCURACY = 200, 1e-13  # steps of Newton's method, and where it stops
FREE = 1e300  # a penalty of this weight cannot be paid


@kernel
def _mean(q: Array, V: Array) -> float:
    total = 0.0
    for s in range(q.size):
        total += q[s] * V[s]
    return total


@kernel
def _lowest(p: Array, order: IntArray, anywhere: bool) -> int:
    """Return the first state of `order`, of positive probability unless `anywhere`."""
    for k in range(order.size):
        if anywhere or p[order[k]] > 0.0:
            return int(order[k])
    return int(order[0])


@kernel
def _condition(p: Array, V: Array, level: float, q: Array) -> None:
    """Write p restricted to the states of value at most `level`."""
    total = 0.0
    for s in range(p.size):
        q[s] = p[s] if V[s] <= level else 0.0
        total += q[s]
    for s in range(p.size):
        q[s] /= total


@kernel
def ball(
    p: Array, V: Array, order: IntArray, rho: float, kind: int, within: bool, q: Array
) -> tuple[float, float]:
    """Write the worst distribution of the ball into `q`; return its expectation and the dual number.

    Parameters
    ----------
    p, V : ndarray, shape (S,)
        Distribution and values.
    order : ndarray of int, shape (S,)
        ``argsort(V)``.
    rho : float
        Radius.
    kind : int
        0 for TV, 1 for KL, 2 for chi-square: see `DIVERGENCES`.
    within : bool
        Whether q must stay on the support of p.
    q : ndarray, shape (S,)
        Written in place.

    Returns
    -------
    value, number : float
        ``q V``; and x of KL, or a of chi-square less the least value. It is infinite where q = p, and 0 where
        q is p on its lowest values.
    """
    low = _lowest(p, order, kind == TV and not within)
    if rho <= 0.0:
        q[:] = p
        return _mean(p, V), math.inf
    if kind == TV:
        q[:] = p
        left = rho
        for k in range(order.size - 1, -1, -1):
            s = order[k]
            if V[s] <= V[low] or left <= 0.0:
                break
            moved = min(left, q[s])
            q[s] -= moved
            q[low] += moved
            left -= moved
        return _mean(q, V), 0.0
    if kind == KL:
        x = _kl_ball(p, V, V[low], rho, q)
    else:
        x = _chi2_ball(p, V, order, V[low], rho, q)
    return _mean(q, V), x


@kernel
def _tilt(p: Array, V: Array, low: float, x: float, q: Array) -> tuple[float, float]:
    """Write ``q = p e^(-x V) / Z``; return ``KL(q || p)`` and the variance of V under q."""
    total, mean, second = 0.0, 0.0, 0.0
    for s in range(p.size):
        q[s] = p[s] * math.exp(x * (low - V[s])) if p[s] > 0.0 else 0.0
        total += q[s]
    for s in range(p.size):
        q[s] /= total
        mean += q[s] * (V[s] - low)
    for s in range(p.size):
        second += q[s] * (V[s] - low - mean) ** 2
    return -x * mean - math.log(total), second


@kernel
def _kl_ball(p: Array, V: Array, low: float, rho: float, q: Array) -> float:
    """Write the worst of the KL ball into `q`; return x, or 0 if it is p on its lowest values."""
    mass = 0.0
    for s in range(p.size):
        mass += p[s] if V[s] <= low else 0.0
    if rho >= -math.log(mass):
        _condition(p, V, low, q)
        return 0.0
    a, b = 0.0, 1.0  # KL grows with x, from 0 to -ln(mass); bracket the root
    for _ in range(60):
        if _tilt(p, V, low, b, q)[0] >= rho:
            break
        a, b = b, 8.0 * b
    x = b
    for _ in range(MOST):
        value, variance = _tilt(p, V, low, x, q)
        if value > rho:
            b = x
        else:
            a = x
        if abs(value - rho) <= ACCURACY * rho or b - a <= ACCURACY * b:
            break
        slope = x * variance
        x = x - (value - rho) / slope if slope > 0.0 else b
        if not a < x < b:
            x = 0.5 * (a + b)
    if _tilt(p, V, low, x, q)[0] > rho * (1.0 + 1e-9):
        x = a
        _tilt(p, V, low, x, q)
    return x


@kernel
def _threshold(p: Array, V: Array, low: float, a: float, q: Array) -> None:
    """Write ``q = p (low + a - V)_+ / Z`` for a positive a."""
    total = 0.0
    for s in range(p.size):
        q[s] = p[s] * max(a - (V[s] - low), 0.0) / a
        total += q[s]
    for s in range(p.size):
        q[s] /= total


@kernel
def _chi2_ball(p: Array, V: Array, order: IntArray, low: float, rho: float, q: Array) -> float:
    """Write the worst of the chi-square ball into `q`; return a, or 0 if it is p on its lowest values."""
    n, mean, spread = 0.0, 0.0, 0.0  # mass, mean and n variance of V - low over the values below
    for k in range(order.size):
        s = order[k]
        if p[s] > 0.0:
            away = V[s] - low
            n += p[s]
            change = away - mean
            mean += p[s] / n * change
            spread += p[s] * change * (away - mean)
        if k + 1 < order.size and V[order[k + 1]] == V[s]:
            continue
        if n <= 0.0:
            continue
        if spread == 0.0 and n * (1.0 + rho) >= 1.0:
            _condition(p, V, low, q)
            return 0.0
        if n * (1.0 + rho) > 1.0:
            # E(a - V)_+^2 = b^2 / n + spread with b = E(a - V)_+ = n (a - mean)
            b = math.sqrt(spread / (1.0 + rho - 1.0 / n))
            a = mean + b / n
            if k + 1 == order.size or low + a <= V[order[k + 1]]:
                _threshold(p, V, low, a, q)
                return a
    q[:] = p
    return math.inf


@kernel
def penalty(p: Array, V: Array, order: IntArray, lam: float, kind: int, within: bool, q: Array) -> float:
    """Write the worst distribution of the penalised form into `q`; return expectation plus penalty.

    Parameters
    ----------
    p, V : ndarray, shape (S,)
        Distribution and values.
    order : ndarray of int, shape (S,)
        ``argsort(V)``.
    lam : float
        Weight of the penalty.
    kind : int
        0 for TV, 1 for KL, 2 for chi-square: see `DIVERGENCES`.
    within : bool
        Whether q must stay on the support of p.
    q : ndarray, shape (S,)
        Written in place.

    Returns
    -------
    float
        ``q V + lam D(q || p)``.
    """
    low = _lowest(p, order, kind == TV and not within)
    if lam >= FREE:
        q[:] = p
        return _mean(p, V)
    if kind == TV:
        q[:] = p
        moved = 0.0
        for s in range(p.size):
            if V[s] > V[low] + lam:
                moved += p[s]
                q[s] = 0.0
        q[low] += moved
        return _mean(q, V) + lam * moved
    reach = V[order[-1]] - V[low]
    if lam == 0.0 or reach <= 0.0 or reach / lam > 1e300:
        _condition(p, V, V[low], q)
        return float(V[low])
    if kind == KL:
        _tilt(p, V, V[low], min(1.0 / lam, 1e308), q)
        return float(V[low]) + _free_energy(p, V, V[low], lam)
    return float(V[low]) + _chi2_penalty(p, V, order, V[low], lam, q)


@kernel
def _free_energy(p: Array, V: Array, low: float, lam: float) -> float:
    """Return ``-lam ln(p e^((low - V) / lam))``; also where lam is large and the logarithm next to 0."""
    total, less = 0.0, 0.0
    for s in range(p.size):
        if p[s] > 0.0:
            total += p[s] * math.exp((low - V[s]) / lam)
            less += p[s] * math.expm1((low - V[s]) / lam)
    return -lam * (math.log1p(less) if less > -0.5 else math.log(total))


@kernel
def _chi2_penalty(p: Array, V: Array, order: IntArray, low: float, lam: float, q: Array) -> float:
    """Write the worst of the chi-square penalty into `q`; return expectation plus penalty, less `low`."""
    n, first, a = 0.0, 0.0, 0.0  # mass of the values below, and sum of V - low over it
    for k in range(order.size):
        s = order[k]
        n += p[s]
        first += p[s] * (V[s] - low)
        if n > 0.0:
            a = (2.0 * lam + first) / n
            if k + 1 == order.size or a <= V[order[k + 1]] - low:
                break
    _threshold(p, V, low, a, q)
    mean, variance = 0.0, 0.0  # of min(V - low, a): the dual loses no digits where lam is large
    for s in range(p.size):
        mean += p[s] * min(V[s] - low, a)
    for s in range(p.size):
        variance += p[s] * (min(V[s] - low, a) - mean) ** 2
    return mean - variance / (4.0 * lam)
