"""Contextual bandits with finitely many contexts.

In each round a context x is drawn from `mu`, the learner plays one of the actions available in x, and sees a
reward with mean ``means[x, a]``. Learners touch the problem through `arrive` and `respond`, which also keep
the books; of the problem they may read `mask`, `phi` and `models`, never `mu` or `means`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, FIXED, LAWS, Ledger, draw, ledger, record
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "BatchedResult",
    "ContextualBandit",
    "ContextualLedger",
    "arrive",
    "best_arms",
    "contextual_ledger",
    "contextual_result",
    "respond",
    "stochastic_policy",
    "value_of",
]


class _ContextualBandit(NamedTuple):
    means: Array
    mu: Array
    mask: BoolArray
    phi: Array
    models: Array
    law: int


class ContextualBandit(_ContextualBandit):
    """Contextual bandit with X contexts and A actions, of which each context offers some.

    Parameters
    ----------
    means : array_like, shape (X, A)
        Mean reward of each action in each context, in [0, 1].
    mu : array_like, shape (X,), optional
        Distribution of the context; uniform by default.
    mask : array_like of bool, shape (X, A), optional
        Available actions, one at least in each row; all by default.
    phi : array_like, shape (X, A, d), optional
        Features that a linear regression may use.
    models : array_like, shape (N, X, A), optional
        A finite class of tables of mean rewards in [0, 1] that a regression may choose from.
    law : str, default="bernoulli"
        "bernoulli": rewards are 0 or 1; "fixed": the mean itself, no noise.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong; the message names the first bad entry.

    Examples
    --------
    >>> from eluder.core.contextual import ContextualBandit
    >>> ContextualBandit([[0.2, 0.8], [0.6, 0.1]]).mu
    array([0.5, 0.5])
    """

    __slots__ = ()

    def __new__(
        cls,
        means: ArrayLike,
        mu: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        phi: ArrayLike | None = None,
        models: ArrayLike | None = None,
        law: str | int = "bernoulli",
    ) -> Self:
        means = checks.finite("means", means, (None, None), 0.0, 1.0)
        X, A = means.shape
        mu = np.full(X, 1.0 / X) if mu is None else checks.distribution("mu", mu, (X,))
        features = np.zeros((X, A, 0)) if _absent(phi) else checks.finite("phi", phi, (X, A, None))  # type: ignore[arg-type]
        tables = (
            np.zeros((0, X, A))
            if _absent(models)
            else checks.finite("models", models, (None, X, A), 0.0, 1.0)  # type: ignore[arg-type]
        )
        return super().__new__(cls, means, mu, available_actions(mask, X, A), features, tables, _law(law))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def _absent(table: ArrayLike | None) -> bool:
    return table is None or (isinstance(table, np.ndarray) and table.size == 0 and 0 in table.shape[::2])


def available_actions(mask: ArrayLike | None, X: int, A: int) -> BoolArray:
    """Return the mask of available actions, checked; all by default."""
    if mask is None:
        return np.ones((X, A), dtype=np.bool_)
    raw: Array = checks.finite("mask", mask, (X, A), 0.0, 1.0)
    if (strange := ~np.isin(raw, (0.0, 1.0))).any():
        i = checks.first(strange)
        raise ValueError(f"{checks.entry('mask', i)} is {raw[i]:g}, it must be True or False")
    if not (some := raw.any(axis=1)).all():
        raise ValueError(f"{checks.entry('mask', int(np.argmin(some)))} has no available action")
    return raw.astype(np.bool_)


def _law(law: str | int) -> int:
    code = LAWS.index(law) if law in LAWS else law
    if isinstance(code, bool) or code not in (FIXED, BERNOULLI):
        raise ValueError(f"law must be 'bernoulli' or 'fixed', got {law!r}")
    return int(code)


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `ContextualBandit`."""
    if not isinstance(bandit, ContextualBandit):
        raise ValueError(f"bandit must be a ContextualBandit, got {type(bandit).__name__}")


def stochastic_policy(name: str, pi: ArrayLike, mask: BoolArray) -> Array:
    """Return a stochastic policy as a table; refuse probability on actions that are not available.

    Parameters
    ----------
    name : str
        Its name, for messages.
    pi : array_like, shape (X, A)
        Probability of each action in each context.
    mask : ndarray of bool, shape (X, A)
        Available actions.

    Returns
    -------
    ndarray, shape (X, A)
        The policy.

    Raises
    ------
    ValueError
        If a row is not a distribution over the available actions.

    Examples
    --------
    >>> stochastic_policy("pi", [[0.5, 0.5]], np.array([[True, False]]))
    Traceback (most recent call last):
    ValueError: pi[0, 1] is 0.5, the action is not available
    """
    table = checks.distribution(name, pi, mask.shape)
    if (bad := (table > 0) & ~mask).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry(name, i)} is {table[i]:g}, the action is not available")
    return table


def best_arms(bandit: ContextualBandit) -> IntArray:
    """Return the best available action of each context, the first of equals.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem.

    Returns
    -------
    ndarray of int, shape (X,)
        Actions.

    Examples
    --------
    >>> best_arms(ContextualBandit([[0.2, 0.8], [0.6, 0.1]]))
    array([1, 0])
    """
    arms: IntArray = np.where(bandit.mask, bandit.means, -1.0).argmax(axis=1)
    return arms


def value_of(bandit: ContextualBandit, pi: ArrayLike) -> float:
    """Return the exact mean reward of a stochastic policy.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem.
    pi : array_like, shape (X, A)
        Probability of each action in each context.

    Returns
    -------
    float
        ``sum_x mu(x) sum_a pi(x, a) means(x, a)``.

    Raises
    ------
    ValueError
        If a row is not a distribution over the available actions.

    Examples
    --------
    >>> round(value_of(ContextualBandit([[0.2, 0.8], [0.6, 0.1]]), [[0, 1], [1, 0]]), 12)
    0.7
    """
    table = stochastic_policy("pi", pi, bandit.mask)
    return float(bandit.mu @ (table * bandit.means).sum(axis=1))


# --- the books of a run ---


class ContextualLedger(NamedTuple):
    """What is measured of a run, and what draws its contexts; `arrive` and `respond` use it.

    Attributes
    ----------
    played : Ledger
        Of the actions played.
    best : Ledger
        Of the best action of each context that came: the comparator.
    reach : ndarray, shape (X,)
        Cumulative sums of `mu`.
    top : ndarray of int, shape (X,)
        The best action of each context.
    """

    played: Ledger
    best: Ledger
    reach: Array
    top: IntArray


def contextual_ledger(bandit: ContextualBandit, T: int) -> ContextualLedger:
    """Open the books of a run of T rounds.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem.
    T : int
        Number of rounds.

    Returns
    -------
    ContextualLedger
        All zero; its memory does not grow with T.

    Examples
    --------
    >>> contextual_ledger(ContextualBandit([[0.2, 0.8], [0.6, 0.1]]), 1000).reach
    array([0.5, 1. ])
    """
    A = bandit.means.shape[1]
    return ContextualLedger(ledger(A, T), ledger(A, T), np.cumsum(bandit.mu), best_arms(bandit))


@kernel
def arrive(books: ContextualLedger, rng: np.random.Generator) -> int:
    """Draw a context: one uniform number, the first context whose cumulative sum exceeds it."""
    u = rng.random()
    low, high = 0, books.reach.size - 1
    while low < high:
        middle = (low + high) // 2
        if books.reach[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def respond(
    bandit: ContextualBandit, books: ContextualLedger, t: int, x: int, a: int, rng: np.random.Generator
) -> float:
    """Play `a` in context x in round t and return its reward; `books` get what is measured."""
    best = books.top[x]
    record(books.played, t, a, bandit.means[x, a])  # measurement
    record(books.best, t, best, bandit.means[x, best])  # measurement
    return draw(bandit.law, bandit.means[x, a], 1.0, rng)


def contextual_result(books: ContextualLedger) -> BanditResult:
    """Close the books: the regret against the best action of each context that came.

    Parameters
    ----------
    books : ContextualLedger
        Of a finished run.

    Returns
    -------
    BanditResult
        Entry n of its regret is ``sum_{t < n} (max_a means(x_t, a) - means(x_t, a_t))`` over the contexts
        that came and the actions played: noise of the rewards is not in it, the draws of actions are.

    Examples
    --------
    >>> books = contextual_ledger(ContextualBandit([[0.2, 0.8]]), 1)
    >>> reward = respond(ContextualBandit([[0.2, 0.8]]), books, 0, 0, 0, np.random.default_rng(0))
    >>> contextual_result(books).regret.round(12).tolist()
    [0.6]
    """
    played = books.played
    return BanditResult(played.checkpoints, books.best.value - played.value, played.pulls, played.value)


@dataclass(frozen=True, slots=True, eq=False)
class BatchedResult(BanditResult):
    """What a learner that plays in batches returns: a `BanditResult` with the policy of each batch.

    Attributes
    ----------
    policies : ndarray, shape (K, X, A)
        Probability of each action in each context, batch by batch: the propensities of the log. The exact
        value of batch k is ``value_of(bandit, policies[k])``.
    """

    policies: Array
