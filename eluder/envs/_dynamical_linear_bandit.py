"""Dynamical linear bandits: tables of your own, and advertising with awareness that fades."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.dynamical import DynamicalLinearBandit

__all__ = ["dynamical_linear_bandit", "random_dynamical_bandit"]


def dynamical_linear_bandit(
    phi: ArrayLike,
    theta: ArrayLike,
    F: ArrayLike,
    B: ArrayLike,
    omega: ArrayLike,
    *,
    x0: ArrayLike | None = None,
    sigma: float = 1.0,
    sigma_x: float = 0.0,
) -> DynamicalLinearBandit:
    """Return a bandit with a hidden linear state and given parameters.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        The actions.
    theta : array_like, shape (d,)
        What an action earns at once.
    F : array_like, shape (n, n)
        Dynamics of the state, stable.
    B : array_like, shape (n, d)
        What an action does to the state.
    omega : array_like, shape (n,)
        What the state earns.
    x0 : array_like, shape (n,), optional
        The first state; 0 by default.
    sigma : float, default=1.0
        Standard deviation of the Gaussian noise of a reward.
    sigma_x : float, default=0.0
        Standard deviation of the Gaussian noise in each coordinate of the state.

    Returns
    -------
    DynamicalLinearBandit
        The problem.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong, or `F` is not stable.

    Examples
    --------
    >>> dynamical_linear_bandit([[1, 0], [0, 1]], [0, 1], [[0.5]], [[1, 0]], [1], sigma=0.1).sigma
    0.1
    """
    return DynamicalLinearBandit(phi, theta, F, B, omega, x0, sigma, sigma_x)


def random_dynamical_bandit(
    A: int,
    d: int,
    n: int,
    *,
    rho: float = 0.5,
    sigma: float = 0.1,
    sigma_x: float = 0.0,
    rng: np.random.Generator,
) -> DynamicalLinearBandit:
    """Return budgets that raise a hidden awareness, which fades and sells.

    Parameters
    ----------
    A, d, n : int
        Numbers of actions, of their features and of the state.
    rho : float, default=0.5
        Spectral radius of the dynamics, in [0, 1).
    sigma, sigma_x : float
        Standard deviations of the Gaussian noise of rewards and of the state.
    rng : numpy.random.Generator
        Draws the instance.

    Returns
    -------
    DynamicalLinearBandit
        Actions and parameters are not negative; F is symmetric with norm `rho`; ``<h, u>`` is at most 1;
        half of ``h`` at most comes at once.

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Examples
    --------
    >>> from eluder.core.dynamical import long_run_means
    >>> b = random_dynamical_bandit(6, 3, 2, rng=np.random.default_rng(0))
    >>> round(float(long_run_means(b).max()), 12)
    1.0
    """
    A, d, n = checks.integer("A", A), checks.integer("d", d), checks.integer("n", n)
    rho = checks.number("rho", rho, 0.0, 1.0, open_high=True)
    g = checks.generator(rng)
    phi, theta = g.dirichlet(np.ones(d), A), 0.5 * g.random(d)
    M = g.random((n, n))
    M += M.T
    F = rho * M / np.abs(np.linalg.eigvalsh(M)).max()
    B, omega = g.random((n, d)), g.random(n)
    later = B.T @ np.linalg.solve(np.eye(n) - F.T, omega)
    B *= (0.5 + 0.5 * g.random(d)) / later  # each column by its effect
    best = (phi @ (theta + B.T @ np.linalg.solve(np.eye(n) - F.T, omega))).max()
    return DynamicalLinearBandit(phi, theta / best, F, B / best, omega, None, sigma, sigma_x)
