"""Arms with features and means that are not quite linear: tables, sparse ones, a needle, a pool."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.feature_bandits import FeatureBandit
from eluder.core.types import Array

__all__ = ["answer_pool", "feature_bandit", "misspecified_linear_bandit", "needle_bandit"]


def feature_bandit(
    phi: ArrayLike, means: ArrayLike, *, law: str = "gaussian", sigma: ArrayLike = 1.0
) -> FeatureBandit:
    """Return a bandit with given features and mean rewards.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features of each arm.
    means : array_like, shape (A,)
        Mean reward of each arm.
    law : {"gaussian", "bernoulli"}, default="gaussian"
        Law of the rewards.
    sigma : float or array_like, shape (A,), default=1.0
        Standard deviation of the Gaussian noise.

    Returns
    -------
    FeatureBandit
        The problem.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong; the message names the first bad entry.

    Examples
    --------
    >>> feature_bandit([[1, 0], [0, 1]], [0.5, 0.1], sigma=0.1).means
    array([0.5, 0.1])
    """
    return FeatureBandit(phi, means, law, sigma)


def misspecified_linear_bandit(
    A: int, d: int, *, eps: float, s: int | None = None, sigma: float = 0.1, rng: np.random.Generator
) -> FeatureBandit:
    """Return arms on the unit sphere whose means miss a linear function by at most eps.

    Parameters
    ----------
    A, d : int
        Numbers of arms and of features.
    eps : float
        Largest error, >= 0; the errors are uniform in ``[-eps, eps]``.
    s : int, optional
        Number of parameters that are not 0; by default all.
    sigma : float, default=0.1
        Standard deviation of the Gaussian noise.
    rng : numpy.random.Generator
        Draws the instance.

    Returns
    -------
    FeatureBandit
        The parameter has norm 1.

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Examples
    --------
    >>> from eluder.core.feature_bandits import sparse_misspecification
    >>> b = misspecified_linear_bandit(30, 5, eps=0.1, s=1, rng=np.random.default_rng(0))
    >>> sparse_misspecification(b.phi, b.means, 1).eps <= 0.1
    True
    """
    A, d = checks.integer("A", A), checks.integer("d", d)
    eps = checks.number("eps", eps, 0.0, 1e3)
    s = d if s is None else checks.integer("s", s, 1, d)
    g = checks.generator(rng)
    phi, theta = _sphere(g, A, d), np.zeros(d)
    theta[g.permutation(d)[:s]] = _sphere(g, 1, s)[0]
    return FeatureBandit(phi, phi @ theta + g.uniform(-eps, eps, A), sigma=sigma)


def needle_bandit(
    A: int, d: int, *, gap: float = 1.0, sigma: float = 0.0, rng: np.random.Generator
) -> FeatureBandit:
    """Return one good arm among A, with features that nearly hide it.

    Parameters
    ----------
    A, d : int
        Numbers of arms and of features.
    gap : float, default=1.0
        Mean of the good arm, > 0; those of the others are 0.
    sigma : float, default=0.0
        Standard deviation of the Gaussian noise.
    rng : numpy.random.Generator
        Draws the features, uniform on the unit sphere, and the good arm.

    Returns
    -------
    FeatureBandit
        Means within ``gap max_b |<phi_a, phi_b>|`` of ``gap <phi_a, .>`` with a the good arm: about
        ``gap sqrt(2 ln A / d)``.

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Notes
    -----
    The error eps is of order ``gap / sqrt(d)``, and rewards say nothing of the good arm before it is played:
    to do better than ``eps sqrt(d)``, logarithms aside, takes as many plays as there are arms, and A may be
    exponential in ``d eps^2``.

    References
    ----------
    .. [1] Du, Kakade, Wang and Yang. Is a good representation sufficient for sample efficient reinforcement
       learning? ICLR 2020. arXiv:1910.03016
    .. [2] Lattimore, Szepesvari and Weisz. Learning with good feature representations in bandits and in RL
       with a generative model. ICML 2020. arXiv:1911.07676

    Examples
    --------
    >>> b = needle_bandit(100, 20, rng=np.random.default_rng(0))
    >>> float(b.means.sum())
    1.0
    """
    A, d = checks.integer("A", A), checks.integer("d", d)
    gap = checks.number("gap", gap, 0.0, 1e3, open_low=True)
    g = checks.generator(rng)
    phi, means = _sphere(g, A, d), np.zeros(A)
    means[int(g.integers(A))] = gap
    return FeatureBandit(phi, means, sigma=sigma)


def answer_pool(
    A: int, modes: int, *, d: int = 32, spread: float = 0.2, rng: np.random.Generator
) -> FeatureBandit:
    """Return sampled answers to one question: many say the same, and the right one is rare.

    Parameters
    ----------
    A : int
        Number of answers, at least `modes`.
    modes : int
        Number of ways to answer, at least 2; the k-th most frequent comes with probability in proportion to
        ``1 / k^2``, and only the last is right. Each is in the pool at least once.
    d : int, default=32
        Number of features.
    spread : float, default=0.2
        Distance, in the mean, of the features of an answer from those of its mode.
    rng : numpy.random.Generator
        Draws the pool.

    Returns
    -------
    FeatureBandit
        Rewards 1 of a right answer and 0 of a wrong one.

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Examples
    --------
    >>> pool = answer_pool(64, 8, rng=np.random.default_rng(0))
    >>> int(pool.means.sum())
    2
    """
    modes = checks.integer("modes", modes, 2)
    A, d = checks.integer("A", A, modes), checks.integer("d", d)
    spread = checks.number("spread", spread, 0.0, 1e3)
    g = checks.generator(rng)
    p = 1.0 / np.arange(1, modes + 1) ** 2
    mode = np.concatenate([np.arange(modes), g.choice(modes, A - modes, p=p / p.sum())])
    phi = _sphere(g, modes, d)[mode] + spread / np.sqrt(d) * g.standard_normal((A, d))
    order = g.permutation(A)
    return FeatureBandit(phi[order], (mode == modes - 1).astype(np.float64)[order], "bernoulli")


def _sphere(rng: np.random.Generator, n: int, d: int) -> Array:
    x = rng.standard_normal((n, d))
    points: Array = x / np.linalg.norm(x, axis=1, keepdims=True)
    return points
