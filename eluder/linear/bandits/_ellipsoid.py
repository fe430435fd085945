"""The confidence ellipsoid of ridge regression, for every time at once (Abbasi-Yadkori et al., NIPS 2011)."""

import math

from eluder.core.kernels import kernel
from eluder.core.ridge import LARGEST_RADIUS, Ridge, checked_radius
from eluder.core.types import Array


@kernel
def radius(lam: float, S: float, sigma: float, log_det: float, delta: float) -> float:
    """Return ``sqrt(lam) S + sigma sqrt(2 ln(1 / delta) + ln det V / det(lam I))`` (Theorem 2)."""
    return math.sqrt(lam) * S + sigma * math.sqrt(2.0 * math.log(1.0 / delta) + max(log_det, 0.0))


@kernel
def choose(R: Ridge, rad: float, low: int, high: int) -> int:
    """Return the arm in ``low, ..., high - 1`` with the largest index ``y + rad sqrt(width)``."""
    best, top = low, -math.inf
    for a in range(low, high):
        index = R.y[a] + rad * math.sqrt(max(R.width[a], 0.0))
        if index > top:
            best, top = a, index
    return best


def longest(phi: Array) -> float:
    """Return the largest norm of the arms."""
    return math.sqrt(float((phi**2).sum(axis=1).max()))


def refuse_overflow(phi: Array, lam: float, rad: float, **source: float) -> None:
    """Refuse a penalty so small, or a radius so large, that bonuses may overflow."""
    widest = max(1.0, longest(phi) ** 2) / lam
    if not widest <= LARGEST_RADIUS:
        limit = f"it must be at most {LARGEST_RADIUS:g}"
        raise ValueError(f"lam = {lam:g} makes the widths of arms up to {widest:g}, {limit}")
    checked_radius(rad, lam=lam, **source)


def largest_log_det(d: int, T: int, L: float, lam: float) -> float:
    """Return ``d ln(1 + T L^2 / (d lam))``, which bounds ``ln det V / det(lam I)`` after T rounds."""
    return d * math.log1p(T * (L * L) / (d * lam))


def optimistic_bound(rad: float, d: int, T: int, L: float, lam: float, switch: float) -> float:
    """Return ``2 rad sqrt((1 + switch) T b / ln(1 + b) d ln(1 + T L^2 / (d lam)))``, b = L^2 / lam."""
    b = L**2 / lam
    widths = b / math.log1p(b) * largest_log_det(d, T, L, lam)
    return 2 * rad * math.sqrt((1 + switch) * T * widths)
