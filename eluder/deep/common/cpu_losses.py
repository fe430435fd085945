"""Gradients of losses of critics in compiled loops for the CPU: one pass each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eluder.core.kernels import kernel

__all__ = ["descend_least", "descend_squared"]

Array = NDArray[Any]  # of float32
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@kernel
def descend_squared(q: Array, target: Array, d_q: Array, mean: Array, error: Array) -> None:
    """Differentiate half the squared error.

    Parameters
    ----------
    q : ndarray, shape (N, M, B)
        Estimates of M members.
    target : ndarray, shape (N, B)
        What they should be.
    d_q : ndarray, shape (N, M, B)
        ``(q - target) / B``; changed in place.
    mean, error : ndarray, shape (N,)
        Means of q and of ``(q - target)^2`` over members and batch; changed in place.

    Examples
    --------
    >>> d_q, mean, error = np.empty((1, 1, 2), np.float32), np.empty(1, np.float32), np.empty(1, np.float32)
    >>> descend_squared(np.array([[[1.0, 3.0]]], np.float32), np.zeros((1, 2), np.float32), d_q, mean, error)
    >>> d_q.ravel().tolist(), mean.item(), error.item()
    ([0.5, 1.5], 2.0, 5.0)
    """
    N, M, B = q.shape
    share = np.divide(ONE, np.float32(B))
    for n in range(N):
        total, squares = 0.0, 0.0
        for i in range(M):
            for b in range(B):
                d = q[n, i, b] - target[n, b]
                d_q[n, i, b] = d * share
                total += q[n, i, b]
                squares += d * d
        mean[n], error[n] = total / (M * B), squares / (M * B)


@kernel
def descend_least(q: Array, d_q: Array) -> None:
    """Differentiate minus the mean over the batch of the least member's first output.

    Parameters
    ----------
    q : ndarray, shape (N, M, B, outputs)
        Outputs of M members.
    d_q : ndarray, shape (N, M, B, outputs)
        ``-1 / B`` at the least, the first one of equals, and 0 elsewhere; changed in place.

    Examples
    --------
    >>> q = np.array([3.0, 1.0, 2.0, 5.0], np.float32).reshape(1, 2, 2, 1)
    >>> d_q = np.empty_like(q)
    >>> descend_least(q, d_q)
    >>> d_q.ravel().tolist()
    [0.0, -0.5, -0.5, 0.0]
    """
    N, M, B, _ = q.shape
    share = np.divide(-ONE, np.float32(B))
    d_q[:] = ZERO
    for n in range(N):
        for b in range(B):
            least = 0
            for i in range(1, M):
                if q[n, i, b, 0] < q[n, least, b, 0]:
                    least = i
            d_q[n, least, b, 0] = share
