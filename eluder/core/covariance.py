r"""Inverses of feature covariances ``Sigma_h = E[phi(s_h, a_h) phi(s_h, a_h)']`` under a policy.

Estimators of losses need ``(gamma I + Sigma_h)^-1``. Three ways:

- exactly, by the probabilities of the states (what infinitely many simulated episodes would give);
- from an empirical covariance, by inverting ``gamma I + (1/n) sum phi phi'``;
- by matrix geometric resampling (Neu & Olkhovskaya 2020; in this form Luo, Wei & Lee 2021): with fresh
  ``Y_j = gamma I + phi_j phi_j'`` from simulated episodes and ``Z_n = (I - c Y_1) ... (I - c Y_n)``,

      R = c I + c sum_{n=1..N} Z_n        E[R] = c sum_{n=0..N} (I - c (gamma I + Sigma))^n

  so the bias is ``-(I - c (gamma I + Sigma))^(N+1) (gamma I + Sigma)^-1``, of norm at most
  ``(1 - c gamma)^(N+1) / gamma`` where ``c (gamma + |Sigma|) <= 1``. The mean of M such R is used.

With ``gamma = 0``, ``c = 1/2``, ``|phi| <= 1`` and ``Sigma >= lam I`` one such R, used on a pair drawn like
those in it, has second moments ``E (x' R phi)^2 <= (1 + 4 / lam) / 3`` for ``|x| <= 1``, whatever N: the
``u_n = Z_n' x`` get shorter, ``|u_n|^2 <= |u_{n-1}|^2 - 3/4 (phi_n' u_{n-1})^2``, so that their sums have
``E sum |u_n|_Sigma^2 <= 4/3``, ``E sum |u_n|^2 <= 4 / (3 lam)``, and ``E |R' x|_Sigma^2`` is at most a
quarter of the first and the second.
"""

import math

import numpy as np

from eluder.core.kernels import kernel, sample
from eluder.core.simulator import Simulator, reset, step, visits
from eluder.core.types import Array

__all__ = [
    "add_outer",
    "covariances",
    "geometric_resampling",
    "inverse_covariances",
    "regularised_inverse",
    "resampling_bias",
    "resampling_mean",
    "resampling_moment",
    "resampling_terms",
]


def resampling_mean(Sigma: Array, gamma: float, c: float, N: int) -> Array:
    """Return the expectation of matrix geometric resampling.

    Parameters
    ----------
    Sigma : ndarray, shape (d, d)
        The covariance.
    gamma : float
        Weight of the identity, at least 0.
    c : float
        Scale, > 0.
    N : int
        Number of terms.

    Returns
    -------
    ndarray, shape (d, d)
        ``c sum_{n=0..N} (I - c (gamma I + Sigma))^n``.

    Examples
    --------
    >>> resampling_mean(np.array([[0.5]]), 0.5, 0.5, 2)  # 1/2 (1 + 1/2 + 1/4)
    array([[0.875]])
    """
    step = np.eye(len(Sigma)) - c * (gamma * np.eye(len(Sigma)) + Sigma)
    total, power = np.zeros_like(step), np.eye(len(Sigma))
    for _ in range(N + 1):
        total, power = total + power, power @ step
    return c * total


def resampling_bias(gamma: float, c: float, N: int) -> float:
    """Return the bound ``(1 - c gamma)^(N+1) / gamma`` on the norm of the bias of N terms.

    Parameters
    ----------
    gamma : float
        Weight of the identity, > 0.
    c : float
        Scale, with ``c (gamma + |Sigma|) <= 1``.
    N : int
        Number of terms.

    Returns
    -------
    float
        The bound.

    Examples
    --------
    >>> resampling_bias(0.5, 0.5, 1)
    1.125
    """
    return float((1 - c * gamma) ** (N + 1) / gamma)


def resampling_terms(gamma: float, eps: float, c: float = 0.5) -> int:
    """Return how many terms make the bias at most `eps` in norm.

    Parameters
    ----------
    gamma : float
        Weight of the identity, > 0.
    eps : float
        Accuracy, > 0.
    c : float, default=0.5
        Scale.

    Returns
    -------
    int
        ``ceil(ln(1 / (eps gamma)) / (c gamma))``, at least 1.

    Examples
    --------
    >>> resampling_terms(0.1, 0.1)
    93
    """
    return max(1, math.ceil(math.log(1 / (eps * gamma)) / (c * gamma)))


def resampling_moment(lam: float) -> float:
    """Return the bound on the second moment of an estimate by one resampling without regularisation.

    Parameters
    ----------
    lam : float
        Smallest eigenvalue of the covariance, > 0, features being at most 1 long.

    Returns
    -------
    float
        ``(1 + 4 / lam) / 3``, at least ``E (x' R phi)^2`` for ``|x| <= 1``, any number of terms and c = 1/2.

    Examples
    --------
    >>> resampling_moment(0.5)
    3.0
    """
    return (1 + 4 / lam) / 3


@kernel
def covariances(sim: Simulator, phi: Array, pi: Array, q: Array, Sigma: Array) -> None:
    """Write the exact covariance of each stage under `pi`, in place: `Sigma` (H, d, d); `q` (H, S): room."""
    H, S, A = pi.shape
    visits(sim, pi, q)
    Sigma[:] = 0.0
    for h in range(H):
        for s in range(S):
            for a in range(A):
                p = q[h, s] * pi[h, s, a]
                if p > 0.0:
                    add_outer(Sigma[h], phi[s, a], p)


@kernel
def add_outer(Sigma: Array, x: Array, weight: float) -> None:
    """Add ``weight x x'`` to `Sigma`, in place."""
    for i in range(x.size):
        for j in range(x.size):
            Sigma[i, j] += weight * x[i] * x[j]


@kernel
def regularised_inverse(Sigma: Array, gamma: float, out: Array) -> None:
    """Write ``(gamma I + Sigma[h])^-1`` of each stage, in place: `out` (H, d, d); `Sigma` is kept."""
    H, d = Sigma.shape[:2]
    for h in range(H):
        out[h] = Sigma[h]
        for i in range(d):
            out[h, i, i] += gamma
        out[h] = np.linalg.inv(out[h])


@kernel
def geometric_resampling(
    sim: Simulator,
    phi: Array,
    pi: Array,
    gamma: float,
    c: float,
    M: int,
    N: int,
    rng: np.random.Generator,
    Z: Array,
    out: Array,
) -> None:
    """Write the mean of M resamplings of N terms for each stage, in place: `out` (H, d, d); `Z` is room.

    Plays ``M N`` simulated episodes of `pi`; one episode serves all stages.
    """
    H, d = out.shape[:2]
    u = np.zeros(d)
    out[:] = 0.0
    for h in range(H):
        for i in range(d):
            out[h, i, i] = c
    for _ in range(M):
        Z[:] = 0.0
        for h in range(H):
            for i in range(d):
                Z[h, i, i] = 1.0
        for _n in range(N):
            s = reset(sim, rng)
            for h in range(H):
                a = sample(pi[h, s], rng)
                x = phi[s, a]
                for i in range(d):
                    u[i] = 0.0
                    for j in range(d):
                        u[i] += Z[h, i, j] * x[j]
                for i in range(d):
                    for j in range(d):
                        Z[h, i, j] -= c * (gamma * Z[h, i, j] + u[i] * x[j])
                        out[h, i, j] += c * Z[h, i, j] / M
                s, _, _ = step(sim, h, s, a, rng)


@kernel
def inverse_covariances(
    sim: Simulator,
    phi: Array,
    pi: Array,
    gamma: float,
    M: int,
    N: int,
    rng: np.random.Generator,
    q: Array,
    room: Array,
    out: Array,
) -> None:
    """Write ``(gamma I + Sigma[h])^-1``: exactly if ``M = 0``, else by resampling with ``c = 1/2``; in place.

    `q` (H, S) and `room` (H, d, d) are room to work.
    """
    if M == 0:
        covariances(sim, phi, pi, q, room)
        regularised_inverse(room, gamma, out)
    else:
        geometric_resampling(sim, phi, pi, gamma, 0.5, M, N, rng, room, out)
