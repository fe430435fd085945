"""Laws of demand on a lattice: sums over periods, and what a level costs on average.

With ``D`` on ``step * {low, low + 1, ...}`` and ``y`` on the same lattice::

    E (D - y)^+ = step * sum_{j >= y} P(D > j)          E (y - D)^+ = y - E D + E (D - y)^+
    G(y) = h E (y - D)^+ + p E (D - y)^+                                           # convex, piecewise linear

Laws on the integers are exact but for a tail of 1e-15. A normal law is rounded to the nearest multiple of
`step`: then G is off by O(step^2), smoothly in `step`, so that two steps tell the error and remove most of it
(Richardson).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import fft

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._demand import IntegerDemand, Normal

TAIL = 1e-15  # mass that is left out at each end of a law
DIRECT = 2**22  # products of lengths up to which convolution is direct
STEPS_PER_SD = 100  # of a normal law, unless the step is given


class Lattice(NamedTuple):
    """P(D = step * (low + i)) = p[i]."""

    step: float
    low: int
    p: Array

    @property
    def points(self) -> Array:
        """The values D takes."""
        points: Array = self.step * np.arange(self.low, self.low + len(self.p), dtype=np.float64)
        return points

    @property
    def mean(self) -> float:
        """E D."""
        return float(self.points @ self.p)


def integer_law(demand: Any) -> Lattice:
    """List a law on 0, 1, 2, ...; refuse any other."""
    if not isinstance(demand, IntegerDemand):
        raise ValueError(f"demand must be a law on 0, 1, 2, ... (with a pmf), got {demand!r}")
    return Lattice(1.0, 0, checks.distribution("demand.pmf()", demand.pmf(TAIL), (None,)))


def rounded(demand: Normal, step: float) -> Lattice:
    """Round a normal law to the nearest multiples of `step`."""
    low, p = demand.grid(step, TAIL)
    return Lattice(step, round(low / step), p)


def total(law: Lattice, periods: int) -> Lattice:
    """Law of the sum of `periods` independent demands; 0 periods give 0."""
    result = Lattice(law.step, 0, np.ones(1))
    square = law
    while periods:
        if periods & 1:
            result = add(result, square)
        periods >>= 1
        if periods:
            square = add(square, square)
    return result


def add(a: Lattice, b: Lattice) -> Lattice:
    """Law of the sum of two independent amounts on the same lattice, ends of mass TAIL cut off."""
    p = convolve(a.p, b.p)
    np.maximum(p, 0.0, out=p)
    first = int(np.searchsorted(np.cumsum(p), TAIL, side="right"))
    last = len(p) - int(np.searchsorted(np.cumsum(p[::-1]), TAIL, side="right"))
    kept = p[first:last]
    return Lattice(a.step, a.low + b.low + first, kept / kept.sum())


def convolve(a: Array, b: Array) -> Array:
    """Convolve directly if short, by FFT if long; the latter is off by about 1e-16 max(a) max(b)."""
    if a.size * b.size <= DIRECT:
        direct: Array = np.convolve(a, b)
        return direct
    n = a.size + b.size - 1
    size = fft.next_fast_len(n, real=True)
    by_fft: Array = fft.irfft(fft.rfft(a, size) * fft.rfft(b, size), size)[:n]
    return by_fft


def expected_short(law: Lattice) -> Array:
    """E (D - y)^+ at each y among the points of the law."""
    above = np.concatenate([np.cumsum(law.p[:0:-1])[::-1], [0.0]])
    short: Array = law.step * np.cumsum(above[::-1])[::-1]
    return short


def level_cost(law: Lattice, holding: float, penalty: float) -> Array:
    """G(y) at each y among the points of the law."""
    short = expected_short(law)
    cost: Array = holding * (law.points - law.mean + short) + penalty * short
    return cost


def vertex(f: Array) -> tuple[float, float]:
    """Index (with fraction) and value of the minimum of the parabola through the lowest entry and its two."""
    i = int(np.argmin(f))
    if i in (0, len(f) - 1):
        return float(i), float(f[i])
    slope, bend = f[i + 1] - f[i - 1], f[i + 1] - 2 * f[i] + f[i - 1]
    if bend <= 0:
        return float(i), float(f[i])
    shift = -0.5 * slope / bend
    return i + float(shift), float(f[i] + 0.25 * slope * shift)


def extrapolate(coarse: float, fine: float) -> tuple[float, float]:
    """Richardson: the limit of values off by c step^2 at a step and at half of it, and how far it may be."""
    return (4 * fine - coarse) / 3, abs(fine - coarse)


def cost_between(law: Lattice, first: int, last: int, holding: float, penalty: float) -> Array:
    """G at the levels ``step * first, ..., step * last``; G is a line on either side of the law."""
    y = np.arange(first, last + 1)
    inside = np.clip(y - law.low, 0, len(law.p) - 1)
    level = law.step * y
    short = np.where(y < law.low, law.mean - level, expected_short(law)[inside])
    cost: Array = holding * (level - law.mean + short) + penalty * short
    return cost
