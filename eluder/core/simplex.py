r"""Steps on the simplex that learners share: exponential weights, Tsallis-1/2 and the log-barrier.

All write a distribution in place. The two regularised leaders have one unknown, the normaliser, and solve
for it by Newton's method in a form in which every iterate but the first stays on one side of the root::

    Tsallis-1/2   p(a) = 4 / (eta (L(a) - x))^2   y = min L - x   phi(y) = (sum_a (y + d(a))^-2)^(-1/2)
    log-barrier   p(a) = 1 / (eta (L(a) - x))     y = min L - x   phi(y) = (sum_a (y + d(a))^-1)^(-1)

with ``d(a) = L(a) - min L``. phi is a power mean of an affine function, so increasing and concave, and the
root is where it equals ``2 / eta`` (Tsallis) or ``1 / eta`` (log-barrier). The tangent of a concave function
lies above it: a step from anywhere lands left of the root, later steps grow towards it, and nothing left of
``2 / eta`` (``1 / eta``) can be the root. So every start is safe, a start near the root needs few steps.
"""

import math

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array

__all__ = ["exponential_weights", "log_barrier_step", "mirror_step", "tsallis_step"]

ROOT = 1e-9  # |sum p - 1| at which Newton stops: quadratic, so the step before was at 3e-5
MOST = 100  # steps; a cold start needs about ten


@kernel
def exponential_weights(loss: Array, eta: float, p: Array) -> None:
    """Write ``p(a) = exp(-eta loss(a)) / sum_b exp(-eta loss(b))`` into `p`.

    Parameters
    ----------
    loss : ndarray, shape (A,)
        Cumulative losses, of any sign and size.
    eta : float
        Learning rate, at least 0.
    p : ndarray, shape (A,)
        Written in place.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.empty(2)
    >>> exponential_weights(np.array([0.0, np.log(3.0)]), 1.0, p)
    >>> p.round(12).tolist()
    [0.75, 0.25]
    """
    low = loss[0]
    for a in range(1, loss.size):
        low = min(low, loss[a])
    total = 0.0
    for a in range(loss.size):
        p[a] = math.exp(-eta * (loss[a] - low))
        total += p[a]
    _scale(p, 1.0 / total)


@kernel
def mirror_step(log_p: Array, gain: Array, eta: float, tau: float, log_ref: Array, out: Array) -> None:
    """Take one composite mirror-descent step with the entropy, in log-probabilities.

    Parameters
    ----------
    log_p : ndarray, shape (A,)
        Logarithms of the current distribution; -inf for probability 0.
    gain : ndarray, shape (A,)
        Gradient g of what is maximised.
    eta : float
        Step size, > 0; inf leaves the current distribution out.
    tau : float
        Weight of the divergence from the reference, at least 0; not 0 if `eta` is inf.
    log_ref : ndarray, shape (A,)
        Logarithms of the reference; read if `tau` > 0.
    out : ndarray, shape (A,)
        Logarithms of ``argmax_x <x, g> - tau KL(x || ref) - KL(x || p) / eta``, written in place; may be
        `log_p`.

    Notes
    -----
    The maximiser is ``softmax((log p / eta + tau log ref + g) / (1 / eta + tau))``: with ``tau = 0`` the
    multiplicative-weights step, with ``eta = inf`` the best response of temperature tau.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.log([0.5, 0.5])
    >>> mirror_step(out, np.log([3.0, 1.0]), 1.0, 0.0, out, out)
    >>> np.exp(out).round(12).tolist()
    [0.75, 0.25]
    """
    inverse = 1.0 / eta
    scale = 1.0 / (inverse + tau)
    top = -math.inf
    for a in range(gain.size):
        x = gain[a]
        if inverse > 0.0:
            x += inverse * log_p[a]
        if tau > 0.0:
            x += tau * log_ref[a]
        out[a] = x * scale
        top = max(top, out[a])
    total = 0.0
    for a in range(gain.size):
        total += math.exp(out[a] - top)
    shift = top + math.log(total)
    for a in range(gain.size):
        out[a] -= shift


@kernel
def tsallis_step(loss: Array, eta: float, y: float, p: Array) -> float:
    """Write the leader regularised by Tsallis' entropy of power 1/2 into `p`; return its normaliser.

    Parameters
    ----------
    loss : ndarray, shape (A,)
        Cumulative losses L, of any sign.
    eta : float
        Learning rate, > 0.
    y : float
        Where to start: what the last call returned, or 0.
    p : ndarray, shape (A,)
        ``argmin_p <p, L> - (4 / eta) sum_a (sqrt(p(a)) - p(a) / 2)``, written in place.

    Returns
    -------
    float
        The root y, between ``2 / eta`` and ``2 sqrt(A) / eta``; ``p(a) = (2 / (eta (y + L(a) - min L)))^2``.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.empty(4)
    >>> tsallis_step(np.zeros(4), 1.0, 0.0, p)
    4.0
    >>> p.tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    low = loss[0]
    for a in range(1, loss.size):
        low = min(low, loss[a])
    least = 2.0 / eta
    y = max(y, least)
    total = 0.0
    for _ in range(MOST):
        _inverse(loss, low, y, least, p)
        s2, s3 = _square_and_sum(p)
        total = s2
        if abs(s2 - 1.0) <= ROOT:
            break
        y = max(y + least * s2 * (math.sqrt(s2) - 1.0) / s3, least)
    _scale(p, 1.0 / total)
    return y


@kernel
def log_barrier_step(loss: Array, eta: float, y: float, p: Array) -> float:
    """Write the leader regularised by the log-barrier into `p`; return its normaliser.

    Parameters
    ----------
    loss : ndarray, shape (A,)
        Cumulative losses L, of any sign.
    eta : float
        Learning rate, > 0.
    y : float
        Where to start: what the last call returned, or 0.
    p : ndarray, shape (A,)
        ``argmin_p <p, L> + (1 / eta) sum_a ln(1 / p(a))``, written in place.

    Returns
    -------
    float
        The root y, between ``1 / eta`` and ``A / eta``; ``p(a) = 1 / (eta (y + L(a) - min L))``.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.empty(2)
    >>> log_barrier_step(np.zeros(2), 0.5, 0.0, p)
    4.0
    >>> p.tolist()
    [0.5, 0.5]
    """
    low = loss[0]
    for a in range(1, loss.size):
        low = min(low, loss[a])
    least = 1.0 / eta
    y = max(y, least)
    total = 0.0
    for _ in range(MOST):
        _inverse(loss, low, y, least, p)
        s1, s2 = _sums(p)
        total = s1
        if abs(s1 - 1.0) <= ROOT:
            break
        y = max(y + least * s1 * (s1 - 1.0) / s2, least)
    _scale(p, 1.0 / total)
    return y


# --- loops that become vector code: a sum in four parts, a division that does not look for zero ---


@kernel
def _inverse(loss: Array, low: float, y: float, least: float, p: Array) -> None:
    """Write ``least / (y + loss - low)`` into `p`."""
    for a in range(loss.size):
        p[a] = np.true_divide(least, y + (loss[a] - low))


@kernel
def _scale(p: Array, factor: float) -> None:
    """Multiply `p` by a number, in place."""
    for a in range(p.size):
        p[a] *= factor


@kernel
def _square_and_sum(z: Array) -> tuple[float, float]:
    """Square `z` in place; return the sums of its squares and of its cubes."""
    u0, u1, u2, u3, v0, v1, v2, v3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n = z.size - z.size % 4
    for a in range(0, n, 4):
        z0, z1, z2, z3 = z[a], z[a + 1], z[a + 2], z[a + 3]
        p0, p1, p2, p3 = z0 * z0, z1 * z1, z2 * z2, z3 * z3
        z[a], z[a + 1], z[a + 2], z[a + 3] = p0, p1, p2, p3
        u0, u1, u2, u3 = u0 + p0, u1 + p1, u2 + p2, u3 + p3
        v0, v1, v2, v3 = v0 + p0 * z0, v1 + p1 * z1, v2 + p2 * z2, v3 + p3 * z3
    for a in range(n, z.size):
        z0 = z[a]
        z[a] = z0 * z0
        u0, v0 = u0 + z0 * z0, v0 + z0 * z0 * z0
    return (u0 + u1) + (u2 + u3), (v0 + v1) + (v2 + v3)


@kernel
def _sums(p: Array) -> tuple[float, float]:
    """Return the sums of `p` and of its squares."""
    u0, u1, u2, u3, v0, v1, v2, v3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n = p.size - p.size % 4
    for a in range(0, n, 4):
        p0, p1, p2, p3 = p[a], p[a + 1], p[a + 2], p[a + 3]
        u0, u1, u2, u3 = u0 + p0, u1 + p1, u2 + p2, u3 + p3
        v0, v1, v2, v3 = v0 + p0 * p0, v1 + p1 * p1, v2 + p2 * p2, v3 + p3 * p3
    for a in range(n, p.size):
        u0, v0 = u0 + p[a], v0 + p[a] * p[a]
    return (u0 + u1) + (u2 + u3), (v0 + v1) + (v2 + v3)
