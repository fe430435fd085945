"""Several bandits at once whose mean rewards share one unknown representation.

There are M tasks. Task i sees a context x and plays action a, of mean reward ``<phi*(x, a), w_i>``: each task
has a head of its own, the representation phi* is the same for all and is one of N candidates. Learners touch
the problem through `next_contexts` and `play_tasks`, which also keep the books; of the problem they may read
`phi` (all candidates) and `sigma`, never `heads` or `truth`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import MAX_MEAN, Ledger, ledger, record
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray

__all__ = [
    "MultitaskBandit",
    "MultitaskLedger",
    "MultitaskResult",
    "multitask_ledger",
    "multitask_means",
    "multitask_result",
    "next_contexts",
    "play_tasks",
]


class _MultitaskBandit(NamedTuple):
    phi: Array
    heads: Array
    truth: int
    mu: Array
    sigma: float


class MultitaskBandit(_MultitaskBandit):
    """M contextual bandits with linear rewards in one of N representations.

    Parameters
    ----------
    phi : array_like, shape (N, X, A, k)
        The candidates: features of each action in each context.
    heads : array_like, shape (M, k)
        Parameter of each task, which no learner reads.
    truth : int, default=0
        The candidate that is right, which no learner reads.
    mu : array_like, shape (X,), optional
        Distribution of the contexts, drawn for each task by itself; uniform by default.
    sigma : float, default=1.0
        Standard deviation of the Gaussian noise.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong; the message names the first bad entry.

    Examples
    --------
    >>> from eluder.core.multitask_bandits import MultitaskBandit
    >>> b = MultitaskBandit([[[[1, 0], [0, 1]]], [[[0, 1], [1, 0]]]], [[0.5, 0.2], [0.1, 0.9], [0, 1]])
    >>> b.phi.shape, b.heads.shape
    ((2, 1, 2, 2), (3, 2))
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        heads: ArrayLike,
        truth: int = 0,
        mu: ArrayLike | None = None,
        sigma: float = 1.0,
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None, None, None), -MAX_MEAN, MAX_MEAN)
        N, X, _, k = phi.shape
        heads = checks.finite("heads", heads, (None, k), -MAX_MEAN, MAX_MEAN)
        truth = checks.integer("truth", truth, 0, N - 1)
        mu = np.full(X, 1.0 / X) if mu is None else checks.distribution("mu", mu, (X,))
        return super().__new__(cls, phi, heads, truth, mu, checks.number("sigma", sigma, 0.0, MAX_MEAN))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `MultitaskBandit`."""
    if not isinstance(bandit, MultitaskBandit):
        raise ValueError(f"bandit must be a MultitaskBandit, got {type(bandit).__name__}")


def multitask_means(bandit: MultitaskBandit) -> Array:
    """Return the mean reward of each action, by task and context.

    Parameters
    ----------
    bandit : MultitaskBandit
        The problem.

    Returns
    -------
    ndarray, shape (M, X, A)
        ``<phi[truth, x, a], heads[i]>``.

    Examples
    --------
    >>> multitask_means(MultitaskBandit([[[[1, 0], [1, 1]]]], [[0.5, 0.25], [0, 1]])).tolist()
    [[[0.5, 0.75]], [[0.0, 1.0]]]
    """
    means: Array = np.einsum("xak,ik->ixa", bandit.phi[bandit.truth], bandit.heads)
    return np.ascontiguousarray(means)


# --- the books of a run ---


class MultitaskLedger(NamedTuple):
    """What is measured of a run, and the means that draw its rewards; `play_tasks` uses it.

    Attributes
    ----------
    played : Ledger
        Of the actions played, summed over the tasks.
    best : Ledger
        Of the best action of each context that came: the comparator.
    means : ndarray, shape (M, X, A)
        Mean rewards.
    """

    played: Ledger
    best: Ledger
    means: Array


def multitask_ledger(bandit: MultitaskBandit, T: int) -> MultitaskLedger:
    """Open the books of a run of T rounds.

    Parameters
    ----------
    bandit : MultitaskBandit
        The problem.
    T : int
        Number of rounds, each of one play in every task.

    Returns
    -------
    MultitaskLedger
        All zero; its memory does not grow with T.

    Examples
    --------
    >>> multitask_ledger(MultitaskBandit([[[[1, 0], [1, 1]]]], [[0.5, 0.25]]), 1000).means
    array([[[0.5 , 0.75]]])
    """
    A = bandit.phi.shape[2]
    return MultitaskLedger(ledger(A, T), ledger(A, T), multitask_means(bandit))


@kernel
def next_contexts(bandit: MultitaskBandit, x: IntArray, rng: np.random.Generator) -> None:
    """Draw a context for every task, one after the other; x in place."""
    for i in range(x.size):
        x[i] = sample(bandit.mu, rng)


@kernel
def play_tasks(
    bandit: MultitaskBandit,
    books: MultitaskLedger,
    t: int,
    x: IntArray,
    arms: IntArray,
    rewards: Array,
    rng: np.random.Generator,
) -> None:
    """Play ``arms[i]`` in context ``x[i]`` of each task i in round t; `rewards` and `books` in place."""
    value, best = 0.0, 0.0
    for i in range(x.size):
        mean = books.means[i, x[i], arms[i]]
        value += mean  # measurement
        best += books.means[i, x[i]].max()  # measurement
        rewards[i] = mean + bandit.sigma * rng.standard_normal()
        if i > 0:
            books.played.pulls[arms[i]] += 1  # `record` counts that of the first task
    record(books.played, t, arms[0], value)  # measurement
    record(books.best, t, arms[0], best)  # measurement


@dataclass(frozen=True, slots=True, eq=False)
class MultitaskResult(BanditResult):
    """What a learner of shared representations returns: regret and pulls are summed over the tasks.

    Attributes
    ----------
    chosen : ndarray of int, shape (N,)
        In how many rounds each candidate was the optimistic one.
    loss : ndarray, shape (N,)
        Smallest regularised sum of squares of each candidate, over all tasks and rounds.
    """

    chosen: IntArray
    loss: Array


def multitask_result(books: MultitaskLedger, chosen: IntArray, loss: Array) -> MultitaskResult:
    """Close the books: the regret against the best action of each context that came, in every task.

    Parameters
    ----------
    books : MultitaskLedger
        Of a finished run.
    chosen : ndarray of int, shape (N,)
        Rounds of each candidate.
    loss : ndarray, shape (N,)
        Last loss of each candidate.

    Returns
    -------
    MultitaskResult
        Entry n of its regret is ``sum_{t < n} sum_i (max_a means(i, x, a) - means(i, x, a_i))``.

    Examples
    --------
    >>> bandit = MultitaskBandit([[[[1, 0], [1, 1]]]], [[0.5, 0.25], [0, 1]])
    >>> books, zero = multitask_ledger(bandit, 1), np.zeros(2, np.int64)
    >>> play_tasks(bandit, books, 0, zero, zero, np.zeros(2), np.random.default_rng(0))
    >>> multitask_result(books, np.ones(1, np.int64), np.zeros(1)).regret
    array([1.25])
    """
    played = books.played
    regret = books.best.value - played.value
    return MultitaskResult(played.checkpoints, regret, played.pulls, played.value, chosen, loss)
