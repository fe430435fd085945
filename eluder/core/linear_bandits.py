"""Linear bandits: the mean reward of an arm is a function of one inner product.

Arm a has known features ``phi[a]`` and mean reward ``link(<phi[a], theta>)``. Learners touch the problem
through `play_linear`, which also keeps the books; of the problem they may read `phi`, `link`, `law` and
`sigma`, never `theta`.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, GAUSSIAN, MAX_MEAN, Ledger, draw, ledger, record
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray

__all__ = [
    "LinearBandit",
    "LinearLedger",
    "linear_ledger",
    "linear_means",
    "linear_result",
    "next_arms",
    "play_linear",
    "subgaussian_scale",
]

LINKS = ("identity", "logistic")
IDENTITY, LOGISTIC = range(len(LINKS))
LAWS = {"bernoulli": BERNOULLI, "gaussian": GAUSSIAN}


class _LinearBandit(NamedTuple):
    phi: Array
    theta: Array
    link: int
    law: int
    sigma: Array


class LinearBandit(_LinearBandit):
    """Bandit with A arms whose mean rewards depend on d features.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features of each arm.
    theta : array_like, shape (d,)
        The parameter, which no learner reads.
    link : {"identity", "logistic"}, default="identity"
        Mean reward of arm a: ``<phi[a], theta>``, or ``1 / (1 + exp(-<phi[a], theta>))``.
    law : {"gaussian", "bernoulli"}, default="gaussian"
        Gaussian rewards with deviation `sigma`, or rewards 0 or 1.
    sigma : float or array_like, shape (A,), default=1.0
        Standard deviation of the Gaussian noise, of all arms or of each; not used by "bernoulli".

    Raises
    ------
    ValueError
        If a shape or an entry is wrong, or a Bernoulli mean leaves [0, 1]; the message names the first bad
        entry.

    Examples
    --------
    >>> from eluder.core.linear_bandits import LinearBandit
    >>> LinearBandit([[1, 0], [0, 1], [1, 1]], [0.5, -0.2]).phi.shape
    (3, 2)
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        theta: ArrayLike,
        link: str | int = "identity",
        law: str | int = "gaussian",
        sigma: ArrayLike = 1.0,
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None), -MAX_MEAN, MAX_MEAN)
        A, d = phi.shape
        theta = checks.finite("theta", theta, (d,), -MAX_MEAN, MAX_MEAN)
        code, law = coded("link", link, dict(zip(LINKS, range(2), strict=True))), coded("law", law, LAWS)
        wide = np.full(A, sigma, dtype=np.float64) if np.ndim(sigma) == 0 else sigma
        sigma = checks.finite("sigma", wide, (A,), 0.0, MAX_MEAN)
        bandit = super().__new__(cls, phi, theta, code, law, sigma)
        if law == BERNOULLI:
            means = linear_means(bandit)
            if (bad := (means < 0) | (means > 1)).any():
                i = checks.first(bad)
                mean = f"the mean of arm {i[0]} is {means[i]:g}"
                raise ValueError(f"{mean}, that of a Bernoulli law is in [0, 1]")
        return bandit

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def coded(name: str, value: str | int, known: dict[str, int]) -> int:
    """Return the code of a named choice; a code stays as it is."""
    if isinstance(value, str) and value in known:
        return known[value]
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value in known.values():
        return int(value)
    raise ValueError(f"{name} must be one of {', '.join(sorted(known))}, got {value!r}")


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `LinearBandit`."""
    if not isinstance(bandit, LinearBandit):
        raise ValueError(f"bandit must be a LinearBandit, got {type(bandit).__name__}")


def refuse_other_links(who: str, bandit: Any) -> None:
    """Refuse what is not a `LinearBandit` with means linear in the features."""
    refuse_other_problems(bandit)
    if bandit.link != IDENTITY:
        raise ValueError(f"{who} needs means linear in phi, the link of the bandit is {LINKS[bandit.link]}")


def linear_means(bandit: LinearBandit) -> Array:
    """Return the mean reward of each arm.

    Parameters
    ----------
    bandit : LinearBandit
        The problem.

    Returns
    -------
    ndarray, shape (A,)
        ``link(phi theta)``.

    Examples
    --------
    >>> linear_means(LinearBandit([[1, 0], [1, 1]], [0.5, -0.5], link="logistic")).round(4).tolist()
    [0.6225, 0.5]
    """
    score: Array = bandit.phi @ bandit.theta
    if bandit.link == LOGISTIC:
        score = np.exp(-np.logaddexp(0.0, -score))
    return score


def subgaussian_scale(bandit: LinearBandit) -> float:
    """Return the sub-Gaussian constant of the noise: the largest `sigma`, or 1/2 for rewards 0 or 1.

    Parameters
    ----------
    bandit : LinearBandit
        The problem.

    Returns
    -------
    float
        ``E exp(x noise) <= exp(x^2 scale^2 / 2)`` for every x.

    Examples
    --------
    >>> subgaussian_scale(LinearBandit([[1.0]], [0.5], law="bernoulli"))
    0.5
    """
    return 0.5 if bandit.law == BERNOULLI else float(bandit.sigma.max())


@kernel
def mean_of(link: int, score: float) -> float:
    """Return ``link(score)``."""
    if link == LOGISTIC:
        if score >= 0.0:
            return 1.0 / (1.0 + math.exp(-score))
        e = math.exp(score)
        return e / (1.0 + e)
    return score


# --- the books of a run ---


class LinearLedger(NamedTuple):
    """What is measured of a run, and the means that draw its rewards; `play_linear` uses it.

    Attributes
    ----------
    played : Ledger
        Of the arms played.
    means : ndarray, shape (A,)
        Mean reward of each arm.
    best : Ledger
        Of the best arm of each context that came; not used with one context.
    mu : ndarray, shape (X,)
        Probabilities of the contexts. Each has the same number of arms, one after the other.
    top : ndarray of int, shape (X,)
        The best arm of each context.
    """

    played: Ledger
    means: Array
    best: Ledger
    mu: Array
    top: IntArray


def linear_ledger(bandit: LinearBandit, T: int, mu: Array | None = None) -> LinearLedger:
    """Open the books of a run of T rounds.

    Parameters
    ----------
    bandit : LinearBandit
        The problem.
    T : int
        Number of rounds.
    mu : ndarray, shape (X,), optional
        Probabilities of contexts, among which the arms are divided evenly; by default there is one.

    Returns
    -------
    LinearLedger
        All zero; its memory does not grow with T.

    Examples
    --------
    >>> linear_ledger(LinearBandit([[1, 0], [1, 1]], [0.5, -0.5]), 1000).means
    array([0.5, 0. ])
    """
    mu, means = np.ones(1) if mu is None else mu, linear_means(bandit)
    by_context = means.reshape(mu.size, -1)
    top = by_context.argmax(axis=1) + by_context.shape[1] * np.arange(mu.size)
    return LinearLedger(ledger(means.size, T), means, ledger(means.size, T), mu, top)


@kernel
def next_arms(books: LinearLedger, rng: np.random.Generator) -> tuple[int, int]:
    """Draw a context and return the range of its arms, last + 1; nothing is drawn where there is one."""
    X = books.mu.size
    if X == 1:
        return 0, books.means.size
    x, A = sample(books.mu, rng), books.means.size // X
    return x * A, (x + 1) * A


@kernel
def play_linear(bandit: LinearBandit, books: LinearLedger, t: int, a: int, rng: np.random.Generator) -> float:
    """Play arm `a` in round t and return its reward; `books` get what is measured."""
    record(books.played, t, a, books.means[a])  # measurement
    if books.mu.size > 1:
        best = books.top[a // (books.means.size // books.mu.size)]
        record(books.best, t, best, books.means[best])  # measurement
    return draw(bandit.law, books.means[a], bandit.sigma[a], rng)


def linear_result(books: LinearLedger) -> BanditResult:
    """Close the books: the regret against the arm with the best mean, in each context that came.

    Parameters
    ----------
    books : LinearLedger
        Of a finished run.

    Returns
    -------
    BanditResult
        Entry n of its regret is ``sum_{t < n} (max_a means(a) - means(a_t))``, with the maximum over the arms
        of the context: no noise of rewards in it. With contexts `pulls` are summed over them.

    Examples
    --------
    >>> bandit = LinearBandit([[1, 0], [1, 1]], [0.5, -0.5])
    >>> books = linear_ledger(bandit, 1)
    >>> reward = play_linear(bandit, books, 0, 1, np.random.default_rng(0))
    >>> linear_result(books).regret
    array([0.5])
    """
    played, X = books.played, books.mu.size
    best = books.means.max() * played.checkpoints if X == 1 else books.best.value
    pulls = played.pulls.reshape(X, -1).sum(axis=0)
    return BanditResult(played.checkpoints, best - played.value, pulls, played.value)
