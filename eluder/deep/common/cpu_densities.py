"""The Gaussian squashed by tanh in compiled loops for the CPU: one pass there, one back.

With ``u = mean + std noise``, log_std cut to an interval, and ``spread = std noise``::

    there   a = tanh u,  log_prob = sum [2 ln(2 cosh u) - log_std - noise^2 / 2 - ln(2 pi) / 2 - 2 ln 2]
    back    du = da (1 - a^2) + 2 a dlog_prob,   dmean = du,   dlog_std = du spread - dlog_prob

``ln(1 - tanh(u)^2) = 2 ln 2 - 2 ln(2 cosh u)`` has no cancellation. `densities` has the same in operations of
PyTorch; tests hold both equal.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eluder.deep.common.cpu_math import contracted, exp, log_two_cosh, tanh_of

__all__ = ["squash", "squash_gradient"]

Array = NDArray[Any]  # of float32
ZERO, HALF, ONE, TWO = (np.float32(x) for x in (0.0, 0.5, 1.0, 2.0))
CONSTANT = np.float32(0.5 * np.log(2.0 * np.pi) + 2.0 * np.log(2.0))


@contracted
def _cut(x: Any, low: Any, high: Any) -> Any:
    """Return x within an interval; not-a-number stays."""
    x = low if x < low else x
    return high if x > high else x


@contracted
def squash(
    mean: Array,
    log_std: Array,
    noise: Array,
    low: Any,
    high: Any,
    action: Array,
    spread: Array,
    log_prob: Array,
) -> None:
    """Draw actions and their log-densities.

    Parameters
    ----------
    mean, log_std, noise : ndarray, shape (n, A)
        Of the Gaussian before squashing; standard normal numbers.
    low, high : float
        Where log_std is cut.
    action, spread : ndarray, shape (n, A), contiguous
        Actions, and std times noise; changed in place.
    log_prob : ndarray, shape (n,)
        Log-densities; changed in place.

    Examples
    --------
    >>> zero, action, spread = (np.zeros((1, 1), np.float32) for _ in range(3))
    >>> log_prob = np.empty(1, np.float32)
    >>> squash(zero, zero, zero, -20.0, 2.0, action, spread, log_prob)
    >>> action.item(), round(log_prob.item(), 4)
    (0.0, -0.9189)
    """
    least, most = np.float32(low), np.float32(high)
    each = np.empty_like(action)
    # Rows are short: they are copied first, so that the loop after knows no ends of rows.
    for i in range(action.shape[0]):
        for j in range(action.shape[1]):
            action[i, j], spread[i, j] = mean[i, j], _cut(log_std[i, j], least, most)
            each[i, j] = noise[i, j]
    a, s, x = action.ravel(), spread.ravel(), each.ravel()
    for k in range(a.size):
        log_sigma, z = s[k], x[k]
        s[k] = exp(log_sigma) * z
        u = a[k] + s[k]
        e = exp(-TWO * abs(u))
        a[k] = tanh_of(u, e)
        x[k] = TWO * log_two_cosh(u, e) - log_sigma - HALF * z * z - CONSTANT
    for i in range(action.shape[0]):
        total = ZERO
        for j in range(action.shape[1]):
            total += each[i, j]
        log_prob[i] = total


@contracted
def squash_gradient(
    d_action: Array,
    log_std: Array,
    action: Array,
    spread: Array,
    d_log_prob: Array,
    low: Any,
    high: Any,
    d_output: Array,
) -> None:
    """Differentiate what `squash` does; nothing flows into a log_std that was cut.

    Parameters
    ----------
    d_action : ndarray, shape (n, A)
        Derivatives in the actions.
    log_std, action, spread : ndarray, shape (n, A)
        What `squash` was given, and what it gave.
    d_log_prob : ndarray, shape (m,)
        Derivatives in the log-densities, each for n / m rows.
    low, high : float
        Where log_std was cut.
    d_output : ndarray, shape (n, 2 A)
        Derivatives in means and log_std, side by side; changed in place.

    Examples
    --------
    >>> one, d_output = np.ones((1, 1), np.float32), np.empty((1, 2), np.float32)
    >>> squash_gradient(one, one, 0.5 * one, 2.0 * one, one[0], -20.0, 2.0, d_output)
    >>> d_output.tolist()  # 3/4 + 2 / 2, and twice that less 1
    [[1.75, 2.5]]
    """
    least, most, A = np.float32(low), np.float32(high), action.shape[1]
    rows = action.shape[0] // d_log_prob.size
    for i in range(action.shape[0]):
        slope = d_log_prob[i // rows]
        for j in range(A):
            a, d = action[i, j], d_action[i, j]
            du = d - d * a * a + TWO * slope * a
            free = least <= log_std[i, j] <= most
            d_output[i, j] = du
            d_output[i, A + j] = du * spread[i, j] - slope if free else ZERO
