"""Exponential, logarithm, tanh and a turn of the circle in float32, as vector code.

A call of the function of C is one number at a time; these are polynomials that the compiler makes vectors of
where a loop calls them. Each cuts its argument to a small interval around 0 first: of the exponential by
multiples of ln 2, of the logarithm by powers of 2, of an angle by quarters of a turn::

    exp x     2^n e^r                        r = x - n ln 2, |r| <= ln(2) / 2
    ln u      n ln 2 + 2 artanh s            u = 2^n m, s = (m - 1) / (m + 1), |s| < 0.18
    tanh |x|  (1 - e) / (1 + e)              e = exp(-2 |x|)
    ln 2 cosh x = |x| + 2 artanh(e / (2 + e))

Guarantee: within 2e-7 of the value, or of 1 where the value is less; the exponential and the logarithm within
3e-7 of the value. Tests hold them against float64.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from eluder.core.kernels import _compiled

__all__ = ["contracted", "exp", "log", "log_two_cosh", "tanh_of", "turn"]

F = TypeVar("F", bound=Callable[..., Any])
ZERO, HALF, ONE, TWO, FOUR = (np.float32(x) for x in (0.0, 0.5, 1.0, 2.0, 4.0))
QUARTER, TWO_PI = np.float32(0.25), np.float32(2.0 * np.pi)
LOG2E, LN2 = np.float32(1.0 / np.log(2.0)), np.float32(np.log(2.0))
LN2_HIGH = np.float32(0.693359375)  # few digits: times n it is exact
LN2_LOW = np.float32(np.log(2.0) - 0.693359375)
LEAST, MOST = np.float32(-87.0), np.float32(88.0)
NEAREST = np.float32(1.5 * 2.0**23)  # the last bits of x + this are the integer nearest to x
ZEROTH, EXPONENT = NEAREST.view(np.int32), np.int32(23)
ROOT, MANTISSA, ONE_BITS = np.int32(0x3F3504F3), np.int32(0x007FFFFF), np.int32(0x3F800000)
E2, E3, E4, E5, E6 = (np.float32(1.0 / x) for x in (2, 6, 24, 120, 720))
E7 = np.float32(1.0 / 5040)
A3, A5, A7, A9, A11, A13 = (np.float32(1.0 / x) for x in (3, 5, 7, 9, 11, 13))
S3, S5, S7, S9 = (np.float32(x) for x in (-1 / 6, 1 / 120, -1 / 5040, 1 / 362880))
C4, C6, C8 = (np.float32(x) for x in (1 / 24, -1 / 720, 1 / 40320))
ONE_BIT, TWO_BIT = np.int32(1), np.int32(2)


def contracted(function: F) -> F:
    """Compile as `kernel` does, but let a product and a sum be one instruction where there is one.

    That is rounded once, not twice: other last digits than without, as with BLAS.
    """
    return _compiled(function, {"contract"})


@contracted
def exp(x: Any) -> Any:
    """Return ``e^x`` of a float32; beyond the range of the type, its ends."""
    x = min(max(x, LEAST), MOST)
    shifted = x * LOG2E + NEAREST
    n = shifted - NEAREST
    r = x - n * LN2_HIGH - n * LN2_LOW
    e = ONE + r * (ONE + r * (HALF + r * (E3 + r * (E4 + r * (E5 + r * (E6 + r * E7))))))
    power = np.int32(np.float32(shifted).view(np.int32) - ZEROTH)
    return np.int32((power << EXPONENT) + np.float32(e).view(np.int32)).view(np.float32)


@contracted
def log(u: Any) -> Any:
    """Return ``ln u`` of a normal positive float32."""
    bits = np.int32(np.float32(u).view(np.int32) - ROOT)
    n = np.float32(bits >> EXPONENT)
    m = np.int32((bits & MANTISSA) + ROOT).view(np.float32)  # from 1 / sqrt(2) to sqrt(2)
    s = np.divide(m - ONE, m + ONE)
    t = s * s
    return n * LN2 + TWO * s * (ONE + t * (A3 + t * (A5 + t * (A7 + t * A9))))


@contracted
def tanh_of(x: Any, e: Any) -> Any:
    """Return ``tanh x``, given ``e = exp(-2 |x|)``."""
    y = np.divide(ONE - e, ONE + e)
    return -y if x < ZERO else y


@contracted
def log_two_cosh(x: Any, e: Any) -> Any:
    """Return ``ln(2 cosh x)``, given ``e = exp(-2 |x|)``."""
    s = np.divide(e, TWO + e)
    t = s * s
    tail = ONE + t * (A3 + t * (A5 + t * (A7 + t * (A9 + t * (A11 + t * A13)))))
    return abs(x) + TWO * s * tail


@contracted
def turn(t: Any) -> Any:
    """Return cosine and sine of t turns, t from 0 to 1."""
    shifted = FOUR * t + NEAREST
    quarter = shifted - NEAREST
    x = TWO_PI * (t - QUARTER * quarter)
    y = x * x
    sine = x * (ONE + y * (S3 + y * (S5 + y * (S7 + y * S9))))
    cosine = ONE + y * (y * (C4 + y * (C6 + y * C8)) - HALF)
    k = np.float32(shifted).view(np.int32)
    odd = (k & ONE_BIT) == ONE_BIT
    a, b = sine if odd else cosine, cosine if odd else sine
    back = ((k + ONE_BIT) & TWO_BIT) == TWO_BIT  # second and third quarter
    down = (k & TWO_BIT) == TWO_BIT
    return -a if back else a, -b if down else b
