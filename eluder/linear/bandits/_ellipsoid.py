"""The confidence ellipsoid of ridge regression, for every time at once (Abbasi-Yadkori et al., NIPS 2011)."""

import math

from eluder.core.kernels import kernel


@kernel
def radius(lam: float, S: float, sigma: float, log_det: float, delta: float) -> float:
    """Return ``sqrt(lam) S + sigma sqrt(2 ln(1 / delta) + ln det V / det(lam I))`` (Theorem 2)."""
    return math.sqrt(lam) * S + sigma * math.sqrt(2.0 * math.log(1.0 / delta) + max(log_det, 0.0))


def largest_log_det(d: int, T: int, L: float, lam: float) -> float:
    """Return ``d ln(1 + T L^2 / (d lam))``, which bounds ``ln det V / det(lam I)`` after T rounds."""
    return d * math.log1p(T * L**2 / (d * lam))
