"""Logged rounds of contextual bandits, and exact moments of what is estimated from them."""

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import FIXED, draw
from eluder.core.contextual import (
    ContextualBandit,
    ContextualLedger,
    arrive,
    available_actions,
    contextual_ledger,
    refuse_other_problems,
    stochastic_policy,
)
from eluder.core.kernels import kernel, sample
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["LoggedData", "collect", "exact_moments", "outcomes", "table_model", "take"]


class _LoggedData(NamedTuple):
    context: IntArray
    action: IntArray
    reward: Array
    propensity: Array
    mask: BoolArray
    features: Array


class LoggedData(_LoggedData):
    """Rounds that some policy played: who came, what was played, what it paid, how likely it was.

    Parameters
    ----------
    context : array_like of int, shape (n,)
        Context of each row, in 0, ..., X - 1.
    action : array_like of int, shape (n,)
        Action played, in 0, ..., A - 1.
    reward : array_like, shape (n,)
        Reward seen.
    propensity : array_like, shape (n,)
        Probability in (0, 1] with which the logging policy played that action in that round. It may change
        from row to row.
    mask : array_like of bool, shape (X, A)
        Available actions; its shape says X and A.
    features : array_like, shape (X, d), optional
        Features of each context.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong, or an action was not available; the message names the first bad row.

    Examples
    --------
    >>> LoggedData([0, 1], [1, 0], [1.0, 0.0], [0.5, 0.0], [[1, 1], [1, 1]])
    Traceback (most recent call last):
    ValueError: propensity[1] is 0: what was played had a positive probability
    """

    __slots__ = ()

    def __new__(
        cls,
        context: ArrayLike,
        action: ArrayLike,
        reward: ArrayLike,
        propensity: ArrayLike,
        mask: ArrayLike,
        features: ArrayLike | None = None,
    ) -> Self:
        shape = checks.floats("mask", mask, (None, None)).shape
        available = available_actions(mask, *shape)
        x = _indices("context", context, None, shape[0])
        n = x.size
        a = _indices("action", action, n, shape[1])
        reward = checks.finite("reward", reward, (n,))
        propensity = checks.finite("propensity", propensity, (n,), 0.0, 1.0)
        if (zero := propensity == 0).any():
            i = checks.first(zero)[0]
            raise ValueError(f"propensity[{i}] is 0: what was played had a positive probability")
        if (bad := ~available[x, a]).any():
            i = checks.first(bad)[0]
            raise ValueError(f"action[{i}] is {a[i]}, not an available action of context {x[i]}")
        table = (
            np.zeros((shape[0], 0))
            if features is None or np.shape(features)[1:] == (0,)
            else checks.finite("features", features, (shape[0], None))
        )
        return super().__new__(cls, x, a, reward, propensity, available, table)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)


def _indices(name: str, raw: ArrayLike, n: int | None, high: int) -> IntArray:
    x = checks.finite(name, raw, (n,))
    if (bad := (x != np.floor(x)) | (x < 0) | (x >= high)).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry(name, i)} is {x[i]:g}, it must be an integer in [0, {high - 1}]")
    return x.astype(np.int64)


def refuse_other_data(data: Any) -> None:
    """Refuse what is not a `LoggedData`."""
    if not isinstance(data, LoggedData):
        raise ValueError(f"data must be a LoggedData, got {type(data).__name__}")


def take(data: LoggedData, rows: ArrayLike) -> LoggedData:
    """Return some rows of logged data: a half to fit a model, the other to estimate with it.

    Parameters
    ----------
    data : LoggedData
        The log.
    rows : array_like of int or bool
        Which rows.

    Returns
    -------
    LoggedData
        The same contexts and actions.

    Examples
    --------
    >>> log = LoggedData([0, 1], [1, 0], [1.0, 0.0], [0.5, 0.5], [[1, 1], [1, 1]])
    >>> take(log, [1]).context
    array([1])
    """
    refuse_other_data(data)
    i = np.asarray(rows)
    columns = (data.context[i], data.action[i], data.reward[i], data.propensity[i])
    return LoggedData(*columns, data.mask, data.features)


def table_model(data: LoggedData, *, prior: float = 0.5, strength: float = 1.0) -> Array:
    """Return the mean reward of each pair of context and action in a log, shrunk towards a prior.

    Parameters
    ----------
    data : LoggedData
        The log.
    prior : float, default=0.5
        Value of a pair that was never logged.
    strength : float, default=1.0
        How many rows the prior counts for, > 0.

    Returns
    -------
    ndarray, shape (X, A)
        ``(sum of rewards + strength prior) / (rows + strength)``.

    Raises
    ------
    ValueError
        If `data` is not LoggedData, `prior` not finite or `strength` not positive.

    Examples
    --------
    >>> table_model(LoggedData([0, 0], [1, 1], [1.0, 1.0], [0.5, 0.5], [[1, 1]]), strength=2.0)
    array([[0.5 , 0.75]])
    """
    refuse_other_data(data)
    prior = checks.number("prior", prior)
    strength = checks.number("strength", strength, 0.0, open_low=True)
    n, s = np.zeros(data.mask.shape), np.zeros(data.mask.shape)
    np.add.at(n, (data.context, data.action), 1.0)
    np.add.at(s, (data.context, data.action), data.reward)
    return (s + strength * prior) / (n + strength)


def collect(bandit: ContextualBandit, logging: ArrayLike, n: int, rng: np.random.Generator) -> LoggedData:
    """Play n rounds of a fixed policy and return the log.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem.
    logging : array_like, shape (X, A)
        Probability of each action in each context.
    n : int
        Number of rounds.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    LoggedData
        n rows.

    Raises
    ------
    ValueError
        If an argument is wrong.

    Examples
    --------
    >>> bandit = ContextualBandit([[0.0, 1.0]])
    >>> collect(bandit, [[0.5, 0.5]], 4, np.random.default_rng(0)).reward
    array([0., 1., 1., 1.])
    """
    refuse_other_problems(bandit)
    p = stochastic_policy("logging", logging, bandit.mask)
    n = checks.integer("n", n)
    books = contextual_ledger(bandit, 1)
    x, a, r = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n)
    _collect(bandit, books, p, x, a, r, checks.generator(rng))
    return LoggedData(x, a, r, p[x, a], bandit.mask)


@kernel
def _collect(
    bandit: ContextualBandit,
    books: ContextualLedger,
    p: Array,
    x: IntArray,
    a: IntArray,
    r: Array,
    rng: np.random.Generator,
) -> None:
    """Fill the columns `x`, `a`, `r` in place."""
    for i in range(x.size):
        x[i] = arrive(books, rng)
        a[i] = sample(p[x[i]], rng)
        r[i] = draw(bandit.law, bandit.means[x[i], a[i]], 1.0, rng)


# --- exact moments ---


def outcomes(bandit: ContextualBandit, logging: ArrayLike) -> tuple[LoggedData, Array]:
    """Return every round (x, a, r) that a logging policy can produce, and its probability.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem.
    logging : array_like, shape (X, A)
        Probability of each action in each context.

    Returns
    -------
    LoggedData
        One row for each outcome of positive probability.
    ndarray
        The probabilities of the rows.

    Examples
    --------
    >>> data, q = outcomes(ContextualBandit([[0.25, 1.0]]), [[0.5, 0.5]])
    >>> data.action.tolist(), data.reward.tolist(), q.tolist()
    ([0, 1, 0], [1.0, 1.0, 0.0], [0.125, 0.5, 0.375])
    """
    refuse_other_problems(bandit)
    p = stochastic_policy("logging", logging, bandit.mask)
    x, a = (index.ravel() for index in np.indices(bandit.means.shape))
    q, f = bandit.mu[x] * p[x, a], bandit.means[x, a]
    if bandit.law == FIXED:
        reward = f
    else:
        reward = np.repeat([1.0, 0.0], f.size)
        x, a, q = np.tile(x, 2), np.tile(a, 2), np.concatenate([q * f, q * (1 - f)])
    keep = q > 0
    x, a = x[keep], a[keep]
    return LoggedData(x, a, reward[keep], p[x, a], bandit.mask), q[keep]


def exact_moments(
    estimate: Callable[[LoggedData], float], bandit: ContextualBandit, logging: ArrayLike, n: int = 1
) -> tuple[float, float]:
    """Return mean and variance of an estimator on n logged rounds, by enumeration of all logs.

    Parameters
    ----------
    estimate : callable
        Of a `LoggedData` of n rows, whose order must not matter.
    bandit : ContextualBandit
        The problem.
    logging : array_like, shape (X, A)
        The policy that logs.
    n : int, default=1
        Rows of a log.

    Returns
    -------
    mean : float
        Exact mean of the estimate; less the value of the target policy it is the bias.
    variance : float
        Exact variance. For an estimator that is a mean over rows it is that of one row over n.

    Raises
    ------
    ValueError
        If there are more than a million logs to enumerate.

    Notes
    -----
    With K outcomes of a round there are ``(K + n - 1)! / (n! (K - 1)!)`` logs up to order.

    Examples
    --------
    >>> bandit = ContextualBandit([[0.25, 1.0]])
    >>> mean, variance = exact_moments(lambda log: log.reward.mean(), bandit, [[0.5, 0.5]], n=2)
    >>> round(mean, 12), round(variance, 12)
    (0.625, 0.1171875)
    """
    n = checks.integer("n", n)
    every, q = outcomes(bandit, logging)
    if math.comb(q.size + n - 1, n) > 1_000_000:
        raise ValueError(f"n = {n} rows of {q.size} outcomes make more than a million logs")
    first = second = 0.0
    for rows in itertools.combinations_with_replacement(range(q.size), n):
        times = np.unique(rows, return_counts=True)[1]
        orders = math.factorial(n) // math.prod(math.factorial(int(k)) for k in times)
        weight = orders * float(np.prod(q[list(rows)]))
        z = float(estimate(take(every, list(rows))))
        first += weight * z
        second += weight * z * z
    return first, second - first * first
