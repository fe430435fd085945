"""Arms with features whose mean rewards need not be linear in them.

How far they are from linear is `misspecification`: the smallest eps with ``|means[a] - <phi[a], theta>| <=
eps`` for all arms and some theta, a linear program. Learners touch the problem through `pull` or
`play_features`, of which the second keeps the books; of the problem they may read `phi`, `law` and `sigma`,
never `means`.
"""

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, GAUSSIAN, MAX_MEAN, Ledger, draw, ledger, record
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = [
    "FeatureBandit",
    "LinearFit",
    "feature_ledger",
    "feature_noise",
    "feature_result",
    "misspecification",
    "play_features",
    "pull",
    "sparse_misspecification",
]

LAWS = {"bernoulli": BERNOULLI, "gaussian": GAUSSIAN}
MAX_SUPPORTS = 100_000  # linear programs that `sparse_misspecification` solves


class _FeatureBandit(NamedTuple):
    phi: Array
    means: Array
    law: int
    sigma: Array


class FeatureBandit(_FeatureBandit):
    """Bandit with A arms that have d features each, and any mean rewards.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features of each arm.
    means : array_like, shape (A,)
        Mean reward of each arm, which no learner reads.
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
    >>> from eluder.core.feature_bandits import FeatureBandit
    >>> FeatureBandit([[1, 0], [0, 1], [1, 1]], [0.5, -0.2, 0.1]).sigma
    array([1., 1., 1.])
    """

    __slots__ = ()

    def __new__(
        cls, phi: ArrayLike, means: ArrayLike, law: str | int = "gaussian", sigma: ArrayLike = 1.0
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None), -MAX_MEAN, MAX_MEAN)
        A = len(phi)
        code = LAWS.get(law) if isinstance(law, str) else law
        if code is None or isinstance(code, bool) or code not in LAWS.values():
            raise ValueError(f"law must be one of {', '.join(sorted(LAWS))}, got {law!r}")
        low, high = (0.0, 1.0) if code == BERNOULLI else (-MAX_MEAN, MAX_MEAN)
        means = checks.finite("means", means, (A,), low, high)
        wide = np.full(A, sigma, dtype=np.float64) if np.ndim(sigma) == 0 else sigma
        sigma = checks.finite("sigma", wide, (A,), 0.0, MAX_MEAN)
        return super().__new__(cls, phi, means, int(code), sigma)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `FeatureBandit`."""
    if not isinstance(bandit, FeatureBandit):
        raise ValueError(f"bandit must be a FeatureBandit, got {type(bandit).__name__}")


def feature_noise(bandit: FeatureBandit) -> float:
    """Return the sub-Gaussian constant of the noise: the largest `sigma`, or 1/2 for rewards 0 or 1.

    Parameters
    ----------
    bandit : FeatureBandit
        The problem.

    Returns
    -------
    float
        ``E exp(x noise) <= exp(x^2 scale^2 / 2)`` for every x.

    Examples
    --------
    >>> feature_noise(FeatureBandit([[1.0], [2.0]], [0.5, 0.5], sigma=[0.1, 0.3]))
    0.3
    """
    return 0.5 if bandit.law == BERNOULLI else float(bandit.sigma.max())


class LinearFit(NamedTuple):
    """The linear function nearest to the means in the largest error.

    Attributes
    ----------
    theta : ndarray, shape (d,)
        Its parameter.
    eps : float
        ``max_a |means[a] - <phi[a], theta>|``, computed anew from `theta`.
    """

    theta: Array
    eps: float


def misspecification(phi: ArrayLike, means: ArrayLike) -> LinearFit:
    """Return the linear function of the features that is nearest to the means in the largest error.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features.
    means : array_like, shape (A,)
        Mean rewards.

    Returns
    -------
    LinearFit
        A parameter and its error, the smallest there is.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong.

    Notes
    -----
    A linear program with d + 1 unknowns and 2 A rows, solved to the accuracy of its solver (1e-7 or so).

    Examples
    --------
    >>> fit = misspecification([[1.0], [1.0]], [0.2, 0.6])
    >>> fit.theta.round(6), round(fit.eps, 6)
    (array([0.4]), 0.2)
    """
    phi = checks.finite("phi", phi, (None, None), -MAX_MEAN, MAX_MEAN)
    means = checks.finite("means", means, (len(phi),), -MAX_MEAN, MAX_MEAN)
    return _nearest(phi, means)


def _nearest(phi: Array, means: Array) -> LinearFit:
    from scipy.optimize import linprog

    A, d = phi.shape
    one, cost = np.ones((A, 1)), np.zeros(d + 1)
    cost[d] = 1.0
    rows = np.vstack([np.hstack([phi, -one]), np.hstack([-phi, -one])])
    bounds = [(None, None)] * d + [(0, None)]
    found: Any = linprog(cost, rows, np.concatenate([means, -means]), bounds=bounds, method="highs")
    if found.x is None:
        raise ValueError(f"phi and means: the linear program was not solved ({found.message})")
    theta = np.asarray(found.x[:d], dtype=np.float64)
    return LinearFit(theta, float(np.abs(means - phi @ theta).max()))


def sparse_misspecification(phi: ArrayLike, means: ArrayLike, s: int) -> LinearFit:
    """Return the nearest linear function with at most s parameters that are not 0.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        Features.
    means : array_like, shape (A,)
        Mean rewards.
    s : int
        Number of parameters that may differ from 0, at most d.

    Returns
    -------
    LinearFit
        A parameter and its error, the smallest over all supports.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong, or there are more than 100000 supports.

    Notes
    -----
    One linear program for each of the d-choose-s supports.

    Examples
    --------
    >>> fit = sparse_misspecification([[1, 0], [0, 1], [1, 1]], [0.1, 0.5, 0.5], 1)
    >>> fit.theta.round(6).tolist(), round(fit.eps, 6)
    ([0.0, 0.4], 0.1)
    """
    phi = checks.finite("phi", phi, (None, None), -MAX_MEAN, MAX_MEAN)
    means = checks.finite("means", means, (len(phi),), -MAX_MEAN, MAX_MEAN)
    d = phi.shape[1]
    every = supports(d, checks.integer("s", s, 1, d), MAX_SUPPORTS)
    best = LinearFit(np.zeros(d), np.inf)
    for support in every:
        fit = _nearest(phi[:, support], means)
        if fit.eps < best.eps:
            theta = np.zeros(d)
            theta[support] = fit.theta
            best = LinearFit(theta, fit.eps)
    return best


def supports(d: int, s: int, most: int) -> Any:
    """Return all sets of s of d features as rows; refuse more than `most`."""
    count = 1
    for i in range(s):
        count = count * (d - i) // (i + 1)
    if count > most:
        raise ValueError(f"s = {s} of {d} features make {count} supports, more than {most}")
    return np.array(list(itertools.combinations(range(d), s)), dtype=np.int64)


# --- the books of a run ---


@kernel
def pull(bandit: FeatureBandit, a: int, rng: np.random.Generator) -> float:
    """Return a reward of arm `a`."""
    return draw(bandit.law, bandit.means[a], bandit.sigma[a], rng)


@kernel
def play_features(bandit: FeatureBandit, books: Ledger, t: int, a: int, rng: np.random.Generator) -> float:
    """Play arm `a` in round t and return its reward; `books` get what is measured."""
    record(books, t, a, bandit.means[a])  # measurement
    return pull(bandit, a, rng)


def feature_ledger(bandit: FeatureBandit, T: int) -> Ledger:
    """Open the books of a run of T rounds.

    Parameters
    ----------
    bandit : FeatureBandit
        The problem.
    T : int
        Number of rounds.

    Returns
    -------
    Ledger
        All zero; its memory does not grow with T.

    Examples
    --------
    >>> feature_ledger(FeatureBandit([[1.0], [2.0]], [0.5, 0.7]), 1000).pulls
    array([0, 0])
    """
    return ledger(len(bandit.phi), T)


def feature_result(bandit: FeatureBandit, books: Ledger) -> BanditResult:
    """Close the books: the regret against the arm with the best mean.

    Parameters
    ----------
    bandit : FeatureBandit
        The problem.
    books : Ledger
        Of a finished run.

    Returns
    -------
    BanditResult
        Entry n of its regret is ``sum_{t < n} (max_a means(a) - means(a_t))``: no noise of rewards in it.

    Examples
    --------
    >>> bandit = FeatureBandit([[1.0], [2.0]], [0.5, 1.0])
    >>> books = feature_ledger(bandit, 1)
    >>> reward = play_features(bandit, books, 0, 0, np.random.default_rng(0))
    >>> feature_result(bandit, books).regret
    array([0.5])
    """
    regret = bandit.means.max() * books.checkpoints - books.value
    return BanditResult(books.checkpoints, regret, books.pulls, books.value)
