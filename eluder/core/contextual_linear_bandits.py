"""Linear bandits whose set of arms changes: a context comes with features of its own.

In context x the action a has features ``phi[x, a]`` and mean reward ``link(<phi[x, a], theta>)``; one theta
for all contexts. The learners of `eluder.core.linear_bandits` see such a problem as the fixed set of its X A
arms (arm ``x A + a`` is action a in context x), of which those of the context that came may be played:
`flattened` is that set, and `contextual_linear_ledger` opens the books. A fixed set of arms is one context.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, MAX_MEAN
from eluder.core.linear_bandits import (
    IDENTITY,
    LAWS,
    LINKS,
    LinearBandit,
    LinearLedger,
    coded,
    linear_ledger,
    linear_means,
)
from eluder.core.types import Array

__all__ = [
    "ContextualLinearBandit",
    "contextual_linear_ledger",
    "contextual_linear_means",
    "flattened",
    "linear_problem",
]


class _ContextualLinearBandit(NamedTuple):
    phi: Array
    theta: Array
    mu: Array
    link: int
    law: int
    sigma: Array


class ContextualLinearBandit(_ContextualLinearBandit):
    """Bandit with X contexts, in each of which A actions have d features.

    Parameters
    ----------
    phi : array_like, shape (X, A, d)
        Features of each action in each context; where fewer than A are on offer, repeat one of them.
    theta : array_like, shape (d,)
        The parameter, which no learner reads.
    mu : array_like, shape (X,), optional
        Distribution of the context; uniform by default.
    link : {"identity", "logistic"}, default="identity"
        Mean reward: ``<phi[x, a], theta>``, or ``1 / (1 + exp(-<phi[x, a], theta>))``.
    law : {"gaussian", "bernoulli"}, default="gaussian"
        Gaussian rewards with deviation `sigma`, or rewards 0 or 1.
    sigma : float or array_like, shape (X, A), default=1.0
        Standard deviation of the Gaussian noise, of all or of each; not used by "bernoulli".

    Raises
    ------
    ValueError
        If a shape or an entry is wrong, or a Bernoulli mean leaves [0, 1]; the message names the first bad
        entry.

    Examples
    --------
    >>> from eluder.core.contextual_linear_bandits import ContextualLinearBandit
    >>> ContextualLinearBandit([[[1, 0], [0, 1]], [[1, 1], [0, 0]]], [0.5, -0.2]).mu
    array([0.5, 0.5])
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        theta: ArrayLike,
        mu: ArrayLike | None = None,
        link: str | int = "identity",
        law: str | int = "gaussian",
        sigma: ArrayLike = 1.0,
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None, None), -MAX_MEAN, MAX_MEAN)
        X, A, d = phi.shape
        mu = np.full(X, 1.0 / X) if mu is None else checks.distribution("mu", mu, (X,))
        wide = np.full((X, A), sigma, dtype=np.float64) if np.ndim(sigma) == 0 else sigma
        sigma = checks.finite("sigma", wide, (X, A), 0.0, MAX_MEAN)
        theta = checks.finite("theta", theta, (d,), -MAX_MEAN, MAX_MEAN)
        flat = LinearBandit(phi.reshape(X * A, d), theta, link, "gaussian", 0.0)
        if (code := coded("law", law, LAWS)) == BERNOULLI:
            means = linear_means(flat).reshape(X, A)
            if (bad := (means < 0) | (means > 1)).any():
                i = checks.first(bad)
                mean = f"the mean of action {i[1]} in context {i[0]} is {means[i]:g}"
                raise ValueError(f"{mean}, that of a Bernoulli law is in [0, 1]")
        return super().__new__(cls, phi, theta, mu, flat.link, code, sigma)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def linear_problem(bandit: Any, who: str = "") -> LinearBandit | ContextualLinearBandit:
    """Return the problem; refuse what is no linear bandit, with a fixed or a changing set of arms.

    Parameters
    ----------
    bandit : object
        The argument of a learner.
    who : str, optional
        Name of a learner that needs means linear in the features.

    Returns
    -------
    LinearBandit or ContextualLinearBandit
        The problem.

    Raises
    ------
    ValueError
        If it is of another kind, or `who` is given and the link is not the identity.

    Examples
    --------
    >>> linear_problem(3)
    Traceback (most recent call last):
    ValueError: bandit must be a LinearBandit or a ContextualLinearBandit, got int
    """
    if not isinstance(bandit, LinearBandit | ContextualLinearBandit):
        raise ValueError(
            f"bandit must be a LinearBandit or a ContextualLinearBandit, got {type(bandit).__name__}"
        )
    if who and bandit.link != IDENTITY:
        raise ValueError(f"{who} needs means linear in phi, the link of the bandit is {LINKS[bandit.link]}")
    return bandit


def flattened(bandit: LinearBandit | ContextualLinearBandit) -> LinearBandit:
    """Return the arms of all contexts as one fixed set.

    Parameters
    ----------
    bandit : LinearBandit or ContextualLinearBandit
        The problem.

    Returns
    -------
    LinearBandit
        Its arm ``x A + a`` is action a in context x; a LinearBandit is returned as it is.

    Examples
    --------
    >>> flattened(ContextualLinearBandit([[[1, 0], [0, 1]], [[1, 1], [0, 0]]], [0.5, -0.2])).phi.shape
    (4, 2)
    """
    if isinstance(bandit, LinearBandit):
        return bandit
    d = bandit.phi.shape[2]
    sigma = bandit.sigma.reshape(-1)
    return LinearBandit(bandit.phi.reshape(-1, d), bandit.theta, bandit.link, bandit.law, sigma)


def contextual_linear_means(bandit: ContextualLinearBandit) -> Array:
    """Return the mean reward of each action in each context.

    Parameters
    ----------
    bandit : ContextualLinearBandit
        The problem.

    Returns
    -------
    ndarray, shape (X, A)
        ``link(phi theta)``.

    Examples
    --------
    >>> contextual_linear_means(ContextualLinearBandit([[[1, 0], [0, 1]]], [0.5, -0.2]))
    array([[ 0.5, -0.2]])
    """
    return linear_means(flattened(bandit)).reshape(bandit.phi.shape[:2])


def contextual_linear_ledger(bandit: LinearBandit | ContextualLinearBandit, T: int) -> LinearLedger:
    """Open the books of a run of T rounds.

    Parameters
    ----------
    bandit : LinearBandit or ContextualLinearBandit
        The problem.
    T : int
        Number of rounds.

    Returns
    -------
    LinearLedger
        All zero; with one context nothing is drawn for it.

    Examples
    --------
    >>> contextual_linear_ledger(ContextualLinearBandit([[[1.0], [0.5]], [[2.0], [3.0]]], [1.0]), 10).top
    array([0, 3])
    """
    mu = None if isinstance(bandit, LinearBandit) else bandit.mu
    return linear_ledger(flattened(bandit), T, mu)
