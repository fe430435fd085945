"""Contextual bandits: tables of your own, a finite class, linear and logistic means."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.contextual import ContextualBandit
from eluder.core.types import Array

__all__ = ["contextual_bandit", "finite_class_bandit", "linear_class_bandit", "logistic_bandit"]


def contextual_bandit(
    means: ArrayLike,
    mu: ArrayLike | None = None,
    *,
    mask: ArrayLike | None = None,
    phi: ArrayLike | None = None,
    models: ArrayLike | None = None,
    law: str = "bernoulli",
) -> ContextualBandit:
    """Return a contextual bandit with given tables.

    Parameters
    ----------
    means : array_like, shape (X, A)
        Mean reward of each action in each context, in [0, 1].
    mu : array_like, shape (X,), optional
        Distribution of the context; uniform by default.
    mask : array_like of bool, shape (X, A), optional
        Available actions; all by default.
    phi : array_like, shape (X, A, d), optional
        Features that a linear regression may use.
    models : array_like, shape (N, X, A), optional
        A finite class of tables of mean rewards in [0, 1].
    law : {"bernoulli", "fixed"}, default="bernoulli"
        Law of the rewards.

    Returns
    -------
    ContextualBandit
        The problem.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong; the message names the first bad entry.

    Examples
    --------
    >>> contextual_bandit([[0.2, 0.8], [0.6, 0.1]]).means.shape
    (2, 2)
    """
    return ContextualBandit(means, mu, mask, phi, models, law)


def finite_class_bandit(X: int, A: int, N: int, *, rng: np.random.Generator) -> ContextualBandit:
    """Return a bandit whose mean rewards are one of N random tables, which the learner knows.

    Parameters
    ----------
    X, A : int
        Numbers of contexts and actions.
    N : int
        Number of tables in the class.
    rng : numpy.random.Generator
        Draws the tables, uniform in [0, 1], and which of them is true.

    Returns
    -------
    ContextualBandit
        Uniform contexts, Bernoulli rewards.

    Raises
    ------
    ValueError
        If a number is less than 1 or `rng` is not a Generator.

    Examples
    --------
    >>> finite_class_bandit(3, 2, 8, rng=np.random.default_rng(0)).models.shape
    (8, 3, 2)
    """
    X, A, N = checks.integer("X", X), checks.integer("A", A), checks.integer("N", N)
    models = checks.generator(rng).random((N, X, A))
    return ContextualBandit(models[int(rng.integers(N))], models=models)


def linear_class_bandit(X: int, A: int, d: int, *, rng: np.random.Generator) -> ContextualBandit:
    """Return a bandit whose mean rewards are linear in known features.

    Parameters
    ----------
    X, A : int
        Numbers of contexts and actions.
    d : int
        Number of features.
    rng : numpy.random.Generator
        Draws the features, Dirichlet(1, ..., 1), and the parameter, uniform in [0, 1]^d.

    Returns
    -------
    ContextualBandit
        ``means = phi theta`` in [0, 1]; uniform contexts, Bernoulli rewards.

    Raises
    ------
    ValueError
        If a number is less than 1 or `rng` is not a Generator.

    Examples
    --------
    >>> linear_class_bandit(3, 2, 4, rng=np.random.default_rng(0)).phi.shape
    (3, 2, 4)
    """
    X, A, d = checks.integer("X", X), checks.integer("A", A), checks.integer("d", d)
    phi = checks.generator(rng).dirichlet(np.ones(d), (X, A))
    return ContextualBandit(np.clip(phi @ rng.random(d), 0.0, 1.0), phi=phi)


def logistic_bandit(
    X: int = 200, A: int = 6, d: int = 10, *, least: int = 2, scale: float = 1.5, rng: np.random.Generator
) -> ContextualBandit:
    """Return a bandit with logistic mean rewards and action sets that differ from context to context.

    Payments are like this: a context is a transaction, an action a way to process it, and not every way is
    open to every transaction. A regression that is linear in the features is misspecified.

    Parameters
    ----------
    X : int, default=200
        Number of contexts.
    A : int, default=6
        Number of actions.
    d : int, default=10
        Number of features.
    least : int, default=2
        Fewest available actions; their number is uniform between this and A.
    scale : float, default=1.5
        Standard deviation of the logits, > 0.
    rng : numpy.random.Generator
        Draws features, parameter and action sets.

    Returns
    -------
    ContextualBandit
        ``means = 1 / (1 + exp(-phi theta))`` with Gaussian features; the last feature is 1. Uniform
        contexts, Bernoulli rewards.

    Raises
    ------
    ValueError
        If a number is out of its range or `rng` is not a Generator.

    References
    ----------
    .. [1] Vangara and Egg. Contextual bandits in payment processing: non-uniform exploration and supervised
       learning. OARS workshop at KDD, 2025. arXiv:2412.00569 (the setting; these tables are synthetic)

    Examples
    --------
    >>> bandit = logistic_bandit(rng=np.random.default_rng(0))
    >>> int(bandit.mask.sum(axis=1).min()), int(bandit.mask.sum(axis=1).max())
    (2, 6)
    """
    X, A, d = checks.integer("X", X), checks.integer("A", A), checks.integer("d", d)
    least = checks.integer("least", least, 1, A)
    scale = checks.number("scale", scale, 0.0, open_low=True)
    rng = checks.generator(rng)
    phi = rng.standard_normal((X, A, d))
    phi[:, :, -1] = 1.0
    theta: Array = rng.standard_normal(d)
    logits = phi @ (theta * scale / np.linalg.norm(theta))
    offered = rng.integers(least, A + 1, X)
    mask = rng.permuted(np.arange(A) < offered[:, None], axis=1)
    return ContextualBandit(1.0 / (1.0 + np.exp(-logits)), mask=mask, phi=phi)
