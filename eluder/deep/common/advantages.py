"""Advantages along rollouts: generalised estimates, and the traces by which rewards are scaled.

Rollouts have shape (N, T, E): N seeds, T steps, E environments. They lie on the host, where the environments
are, so both sweeps are loops of a compiled kernel.
"""

import numpy as np

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array

__all__ = ["discounted_sums", "gae"]


@kernel
def _gae(reward: Array, value: Array, next_value: Array, discount: Array, trace: Array, out: Array) -> None:
    """Fill `out` with the advantages, from the last step to the first."""
    N, T, E = reward.shape
    for n in range(N):
        for e in range(E):
            after = 0.0
            for t in range(T - 1, -1, -1):
                delta = reward[n, t, e] + discount[n, t, e] * next_value[n, t, e] - value[n, t, e]
                after = delta + trace[n, t, e] * after
                out[n, t, e] = after


def gae(
    reward: np.ndarray, value: np.ndarray, next_value: np.ndarray, discount: np.ndarray, trace: np.ndarray
) -> np.ndarray:
    """Return generalised advantage estimates (Schulman et al., ICLR 2016, arXiv:1506.02438, equation 16).

    ``delta_t = r_t + discount_t V(s'_t) - V(s_t)`` and ``A_t = delta_t + trace_t A_{t+1}``.

    Parameters
    ----------
    reward, value, next_value : ndarray, shape (N, T, E)
        Rewards; values of the observation and of the one the action led to, at the end of an episode too.
    discount : ndarray, shape (N, T, E)
        ``gamma (1 - terminated)``: a truncated episode goes on in the value.
    trace : ndarray, shape (N, T, E)
        ``gamma lam`` where the episode goes on, 0 where it ended for whatever reason.

    Returns
    -------
    ndarray of float32, shape (N, T, E)
        The advantages; with the value added, targets of the value.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Sums are taken in double precision.

    References
    ----------
    Schulman, Moritz, Levine, Jordan & Abbeel. High-dimensional continuous control using generalized advantage
    estimation. ICLR 2016, arXiv:1506.02438.

    Examples
    --------
    >>> one = np.ones((1, 2, 1))
    >>> gae(one, 0 * one, 0 * one, 0.9 * one, 0.5 * one)[0, :, 0].tolist()
    [1.5, 1.0]
    """
    for name, x in (
        ("value", value),
        ("next_value", next_value),
        ("discount", discount),
        ("trace", trace),
    ):
        if x.shape != reward.shape or reward.ndim != 3:
            raise ValueError(f"{name} must have the shape (N, T, E) of reward {reward.shape}, has {x.shape}")
    out = np.empty(reward.shape)
    r, v, v_next, d, c = (
        np.ascontiguousarray(x, np.float64) for x in (reward, value, next_value, discount, trace)
    )
    _gae(r, v, v_next, d, c, out)
    return out.astype(np.float32)


@kernel
def _discounted_sums(reward: Array, ended: Array, total: Array, gamma: float, out: Array) -> None:
    """Fill `out`, and bring `total` forward."""
    N, T, E = reward.shape
    for n in range(N):
        for e in range(E):
            for t in range(T):
                total[n, e] = gamma * total[n, e] + reward[n, t, e]
                out[n, t, e] = total[n, e]
                if ended[n, t, e]:
                    total[n, e] = 0.0


def discounted_sums(reward: np.ndarray, ended: np.ndarray, total: np.ndarray, gamma: float) -> np.ndarray:
    """Return the discounted sums of past rewards, ``R_t = gamma R_{t-1} + r_t``.

    Parameters
    ----------
    reward : ndarray, shape (N, T, E)
        Rewards.
    ended : ndarray of bool, shape (N, T, E)
        Whether an episode ended with the step; the sum begins again after it.
    total : ndarray of float64, shape (N, E)
        The sum before the first step; changed in place to the one after the last.
    gamma : float
        Discount factor.

    Returns
    -------
    ndarray of float64, shape (N, T, E)
        The sums.

    Raises
    ------
    ValueError
        If `gamma` is out of range or the shapes differ.

    Examples
    --------
    >>> total = np.zeros((1, 1))
    >>> ended = np.array([[[False], [True], [False]]])
    >>> discounted_sums(np.ones((1, 3, 1)), ended, total, 0.5)[0, :, 0].tolist(), total.item()
    ([1.0, 1.5, 1.0], 1.0)
    """
    gamma = checks.number("gamma", gamma, 0.0, 1.0)
    N, T, E = reward.shape
    if ended.shape != (N, T, E) or total.shape != (N, E):
        raise ValueError(
            f"ended and total must have shapes {(N, T, E)} and {(N, E)}, have {ended.shape} and {total.shape}"
        )
    out = np.empty((N, T, E))
    _discounted_sums(np.ascontiguousarray(reward, np.float64), ended, total, gamma, out)
    return out
