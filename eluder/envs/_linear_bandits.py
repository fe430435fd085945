"""Linear bandits: tables of your own, random ones, the hypercube of a lower bound, logistic, contexts."""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.contextual_linear_bandits import ContextualLinearBandit
from eluder.core.linear_bandits import LinearBandit
from eluder.core.types import Array

__all__ = [
    "contextual_linear_bandit",
    "hypercube_bandit",
    "linear_bandit",
    "logistic_linear_bandit",
    "random_linear_bandit",
]


def linear_bandit(
    phi: ArrayLike,
    theta: ArrayLike,
    *,
    link: str = "identity",
    law: str = "gaussian",
    sigma: ArrayLike = 1.0,
) -> LinearBandit:
    """Return a linear bandit with given features and parameter.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features of each arm.
    theta : array_like, shape (d,)
        The parameter.
    link : {"identity", "logistic"}, default="identity"
        Mean reward as a function of ``<phi[a], theta>``.
    law : {"gaussian", "bernoulli"}, default="gaussian"
        Law of the rewards.
    sigma : float or array_like, shape (A,), default=1.0
        Standard deviation of the Gaussian noise.

    Returns
    -------
    LinearBandit
        The problem.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong; the message names the first bad entry.

    Examples
    --------
    >>> linear_bandit([[1, 0], [0, 1]], [0.5, 0.1], sigma=0.1).sigma
    array([0.1, 0.1])
    """
    return LinearBandit(phi, theta, link, law, sigma)


def random_linear_bandit(A: int, d: int, *, sigma: float = 1.0, rng: np.random.Generator) -> LinearBandit:
    """Return a bandit whose arms and parameter are uniform on the unit sphere.

    Parameters
    ----------
    A, d : int
        Numbers of arms and of features.
    sigma : float, default=1.0
        Standard deviation of the Gaussian noise.
    rng : numpy.random.Generator
        Draws arms and parameter.

    Returns
    -------
    LinearBandit
        Means in [-1, 1], Gaussian rewards.

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Examples
    --------
    >>> random_linear_bandit(5, 3, rng=np.random.default_rng(0)).phi.shape
    (5, 3)
    """
    A, d = checks.integer("A", A), checks.integer("d", d)
    g = checks.generator(rng)
    return LinearBandit(_sphere(g, A, d), _sphere(g, 1, d)[0], sigma=sigma)


def hypercube_bandit(d: int, T: int, *, sign: ArrayLike | None = None) -> LinearBandit:
    """Return the instance of the lower bound for the hypercube: small gaps in every direction at once.

    Parameters
    ----------
    d : int
        Number of features, at most 16: the arms are the 2^d corners of ``[-1, 1]^d``.
    T : int
        The horizon for which it is hard.
    sign : array_like, shape (d,), optional
        Signs, -1 or 1, of the parameter; by default all 1.

    Returns
    -------
    LinearBandit
        ``theta = sign / sqrt(T)``, Gaussian rewards with deviation 1.

    Raises
    ------
    ValueError
        If a number is outside its range or an entry of `sign` is neither -1 nor 1.

    Notes
    -----
    For every learner there is a choice of signs with regret at least ``exp(-2) / 8 d sqrt(T)``.

    References
    ----------
    .. [1] Lattimore and Szepesvari. Bandit algorithms. Cambridge, 2020, Theorem 24.1.

    Examples
    --------
    >>> hypercube_bandit(3, 100).phi.shape
    (8, 3)
    """
    d, T = checks.integer("d", d, 1, 16), checks.integer("T", T)
    signs = np.ones(d) if sign is None else checks.finite("sign", sign, (d,), -1.0, 1.0)
    if (bad := np.abs(signs) != 1).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('sign', i)} is {signs[i]:g}, it must be -1 or 1")
    corners = 1.0 - 2.0 * (np.arange(2**d)[:, None] >> np.arange(d) & 1)
    return LinearBandit(corners, signs / math.sqrt(T))


def logistic_linear_bandit(A: int, d: int, *, S: float = 3.0, rng: np.random.Generator) -> LinearBandit:
    """Return a bandit with rewards 0 or 1 whose log-odds are linear.

    Parameters
    ----------
    A, d : int
        Numbers of arms and of features.
    S : float, default=3.0
        Norm of the parameter: the larger, the flatter the link at the ends.
    rng : numpy.random.Generator
        Draws arms and the direction of the parameter, uniform on the unit sphere.

    Returns
    -------
    LinearBandit
        Logistic link, Bernoulli rewards.

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Examples
    --------
    >>> logistic_linear_bandit(5, 3, rng=np.random.default_rng(0)).phi.shape
    (5, 3)
    """
    A, d, S = checks.integer("A", A), checks.integer("d", d), checks.number("S", S, 0.0, 500.0)
    g = checks.generator(rng)
    return LinearBandit(_sphere(g, A, d), S * _sphere(g, 1, d)[0], "logistic", "bernoulli")


def contextual_linear_bandit(
    X: int,
    A: int,
    d: int,
    *,
    link: str = "identity",
    S: float = 1.0,
    sigma: float = 1.0,
    rng: np.random.Generator,
) -> ContextualLinearBandit:
    """Return a linear bandit whose set of arms changes from round to round.

    Parameters
    ----------
    X : int
        Number of contexts, equally likely.
    A, d : int
        Numbers of arms in each, and of features.
    link : {"identity", "logistic"}, default="identity"
        Means linear in the features and Gaussian rewards, or linear log-odds and rewards 0 or 1.
    S : float, default=1.0
        Norm of the parameter.
    sigma : float, default=1.0
        Standard deviation of the Gaussian noise; not used with the logistic link.
    rng : numpy.random.Generator
        Draws arms and the direction of the parameter, uniform on the unit sphere.

    Returns
    -------
    ContextualLinearBandit
        The problem; tables of your own go to `ContextualLinearBandit` itself.

    Raises
    ------
    ValueError
        If a number is outside its range, `link` is unknown or `rng` is not a Generator.

    Examples
    --------
    >>> contextual_linear_bandit(50, 5, 3, rng=np.random.default_rng(0)).phi.shape
    (50, 5, 3)
    """
    X, A, d = checks.integer("X", X), checks.integer("A", A), checks.integer("d", d)
    S = checks.number("S", S, 0.0, 500.0)
    sigma = checks.number("sigma", sigma, 0.0, 1e6)
    g = checks.generator(rng)
    phi, theta = _sphere(g, X * A, d).reshape(X, A, d), S * _sphere(g, 1, d)[0]
    law = "bernoulli" if link == "logistic" else "gaussian"
    return ContextualLinearBandit(phi, theta, None, link, law, sigma)


def _sphere(rng: np.random.Generator, n: int, d: int) -> Array:
    x = rng.standard_normal((n, d))
    points: Array = x / np.linalg.norm(x, axis=1, keepdims=True)
    return points
