"""Bandit problems: laws of rewards whose means may change with the round, and the ledger of a run.

One object serves the stochastic, the piecewise-stationary and the adversarial setting: ``means[m, a]`` is the
mean reward of arm a during segment m, which begins at round ``starts[m]``; the last segment never ends. A
stochastic bandit has one segment; an oblivious adversary has one for each round, and rewards without noise.

Learners touch a bandit through `play` (bandit feedback) or `observe` (full information). Both also keep the
books: the mean reward of what was played is measurement, and a learner never reads it.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult, checkpoints
from eluder.core.types import Array, IntArray

__all__ = [
    "Bandit",
    "Ledger",
    "advance",
    "bandit_result",
    "best_value",
    "draw",
    "lai_robbins",
    "ledger",
    "minimax",
    "observe",
    "play",
    "record",
    "refuse_unbounded",
]

LAWS = ("fixed", "bernoulli", "gaussian", "beta", "exponential", "poisson", "pareto")
FIXED, BERNOULLI, GAUSSIAN, BETA, EXPONENTIAL, POISSON, PARETO = range(len(LAWS))
MAX_MEAN = 1e6  # so that cumulative rewards keep their accuracy


class _Bandit(NamedTuple):
    means: Array
    law: int
    scale: Array
    starts: IntArray
    dynamic: bool


class Bandit(_Bandit):
    """Bandit with A arms: an adversary's table, or independent rewards with given means.

    Parameters
    ----------
    means : array_like, shape (A,) or (M, A)
        Mean reward of each arm, in each of M segments.
    law : str, default="bernoulli"
        Law of the rewards given their mean m: "fixed" (no noise), "bernoulli", "gaussian" (standard deviation
        `scale`), "beta" (on [0, 1], parameters ``m * scale`` and ``(1 - m) * scale``), "exponential",
        "poisson", or "pareto" (m plus a centred Pareto variable whose tail index is `scale`: no variance at
        2 or below, no mean at 1).
    scale : float or array_like, shape (A,), default=1.0
        See `law`.
    starts : array_like of int, shape (M,), optional
        First round of each segment: increasing, from 0. By default one segment a round.
    dynamic : bool, default=True
        Regret compares with the best arm of each round (True) or the best fixed arm in hindsight (False).

    Raises
    ------
    ValueError
        If a shape, a mean, a scale or the segments are wrong; the message names the first bad entry.

    Examples
    --------
    >>> from eluder.core.bandits import Bandit
    >>> Bandit([0.2, 0.8]).means
    array([[0.2, 0.8]])
    """

    __slots__ = ()

    def __new__(
        cls,
        means: ArrayLike,
        law: str | int = "bernoulli",
        scale: ArrayLike = 1.0,
        starts: ArrayLike | None = None,
        dynamic: bool = True,
    ) -> Self:
        code = _law(law)
        low, high = _range_of_means(code)
        one = np.ndim(means) == 1
        means = checks.finite("means", means, (None,) if one else (None, None), low, high)
        if code == EXPONENTIAL and not means.min() > 0:
            i = checks.first(means <= 0)
            raise ValueError(f"{checks.entry('means', i)} is 0, an exponential reward has a positive mean")
        means = means.reshape(-1, means.shape[-1])
        A = means.shape[1]
        wide = np.full(A, scale, dtype=np.float64) if np.ndim(scale) == 0 else scale
        scale = checks.finite("scale", wide, (A,), 0.0, MAX_MEAN)
        least = 1.0 if code == PARETO else 0.0
        if code in (GAUSSIAN, BETA, PARETO) and not scale.min() > least:
            i = checks.first(scale <= least)
            raise ValueError(f"{checks.entry('scale', i)} is {scale[i]:g}, it must exceed {least:g}")
        if not isinstance(dynamic, bool | np.bool_):
            raise ValueError(f"dynamic must be True or False, got {dynamic!r}")
        return super().__new__(cls, means, code, scale, _starts(starts, means.shape[0]), bool(dynamic))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def _law(law: str | int) -> int:
    if isinstance(law, int | np.integer) and not isinstance(law, bool) and 0 <= law < len(LAWS):
        return int(law)
    if law not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}, got {law!r}")
    return LAWS.index(str(law))


def _range_of_means(law: int) -> tuple[float, float]:
    if law in (BERNOULLI, BETA):
        return 0.0, 1.0
    if law == POISSON:
        return 0.0, 500.0  # so that exp(-mean) is a positive number
    return (0.0 if law == EXPONENTIAL else -MAX_MEAN), MAX_MEAN


def _starts(starts: ArrayLike | None, M: int) -> IntArray:
    if starts is None:
        return np.arange(M)
    raw = checks.finite("starts", starts, (M,), 0.0, 2.0**53)
    bad = raw != np.floor(raw)
    bad[0] |= raw[0] != 0
    bad[1:] |= np.diff(raw) <= 0
    if bad.any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('starts', i)} is {raw[i]:g}: starts are whole, increasing, from 0")
    return raw.astype(np.int64)


def refuse_unbounded(who: str, bandit: Bandit) -> None:
    """Refuse a bandit whose rewards can leave [0, 1].

    Parameters
    ----------
    who : str
        Name of the learner, for the message.
    bandit : Bandit
        The problem.

    Raises
    ------
    ValueError
        If `bandit` is not a `Bandit`, or its rewards can leave [0, 1].

    Examples
    --------
    >>> refuse_unbounded("exp3", Bandit([0.0, 1.0], law="gaussian"))
    Traceback (most recent call last):
    ValueError: exp3 needs rewards in [0, 1], those of a gaussian bandit can leave it
    """
    refuse_other_problems(bandit)
    if bandit.law in (BERNOULLI, BETA):
        return
    if bandit.law != FIXED:
        raise ValueError(f"{who} needs rewards in [0, 1], those of a {LAWS[bandit.law]} bandit can leave it")
    checks.finite("means", bandit.means, bandit.means.shape, 0.0, 1.0)


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `Bandit`."""
    if not isinstance(bandit, Bandit):
        raise ValueError(f"bandit must be a Bandit, got {type(bandit).__name__}")


# --- rewards ---


@kernel
def draw(law: int, mean: float, scale: float, rng: np.random.Generator) -> float:
    """Draw a reward of a law of `LAWS` with its mean and scale."""
    if law == BERNOULLI:
        return 1.0 if rng.random() < mean else 0.0
    if law == FIXED:
        return mean
    if law == GAUSSIAN:
        return mean + scale * rng.standard_normal()
    return _draw_other(law, mean, scale, rng)


@kernel
def _draw_other(law: int, mean: float, scale: float, rng: np.random.Generator) -> float:
    if law == EXPONENTIAL:
        return mean * rng.standard_exponential()
    if law == PARETO:
        return mean + math.exp(rng.standard_exponential() / scale) - scale / (scale - 1.0)
    if law == POISSON:
        u = rng.random()
        k, p = 0, math.exp(-mean)
        while u > p and k < 10_000:  # inversion: leave out the probabilities of 0, 1, ...
            u -= p
            k += 1
            p *= mean / k
        return float(k)
    if mean <= 0.0 or mean >= 1.0:  # a beta law that has shrunk to a point
        return mean
    x = rng.standard_gamma(mean * scale)
    y = rng.standard_gamma((1.0 - mean) * scale)
    return x / (x + y) if x + y > 0.0 else mean


# --- the books of a run ---


class Ledger(NamedTuple):
    """What is measured of a run; `play` and `record` write it.

    Attributes
    ----------
    checkpoints : ndarray of int, shape (C,)
        Numbers of rounds after which `value` is kept, increasing; the last is T.
    value : ndarray, shape (C,)
        Sum of the mean rewards of the arms played.
    pulls : ndarray of int, shape (A,)
        How often each arm was played.
    place : ndarray of int, shape (2,)
        The next checkpoint and the segment of the current round.
    total : ndarray, shape (1,)
        The running sum.
    """

    checkpoints: IntArray
    value: Array
    pulls: IntArray
    place: IntArray
    total: Array


def ledger(A: int, T: int) -> Ledger:
    """Open the books of a run of T rounds with A arms.

    Parameters
    ----------
    A : int
        Number of arms.
    T : int
        Number of rounds.

    Returns
    -------
    Ledger
        All zero; its memory does not grow with T.

    Examples
    --------
    >>> ledger(3, 1000).pulls
    array([0, 0, 0])
    """
    at = checkpoints(T)
    return Ledger(at, np.zeros(at.size), np.zeros(A, np.int64), np.zeros(2, np.int64), np.zeros(1))


@kernel
def record(books: Ledger, t: int, a: int, mean: float) -> None:
    """Write into `books` that arm `a`, of the given mean reward, is played in round t."""
    books.pulls[a] += 1
    books.total[0] += mean
    c = books.place[0]
    if t + 1 == books.checkpoints[c]:
        books.value[c] = books.total[0]
        books.place[0] = c + 1


@kernel
def advance(bandit: Bandit, books: Ledger, t: int) -> int:
    """Return the segment of round t, and keep it in `books`; rounds only go forward."""
    m = int(books.place[1])
    last = bandit.starts.size - 1
    while m < last and bandit.starts[m + 1] <= t:
        m += 1
    books.place[1] = m
    return m


@kernel
def play(bandit: Bandit, books: Ledger, t: int, a: int, rng: np.random.Generator) -> float:
    """Play arm `a` in round t and return its reward; `books` get what is measured."""
    m = advance(bandit, books, t)
    record(books, t, a, bandit.means[m, a])  # measurement
    return draw(bandit.law, bandit.means[m, a], bandit.scale[a], rng)


@kernel
def observe(bandit: Bandit, books: Ledger, t: int, a: int, rewards: Array, rng: np.random.Generator) -> None:
    """Play arm `a` in round t and see the rewards of all arms, written into `rewards`."""
    m = advance(bandit, books, t)
    record(books, t, a, bandit.means[m, a])  # measurement
    for b in range(rewards.size):
        rewards[b] = draw(bandit.law, bandit.means[m, b], bandit.scale[b], rng)


def bandit_result(bandit: Bandit, books: Ledger) -> BanditResult:
    """Close the books: the regret against the comparator of the problem."""
    regret = best_value(bandit, books.checkpoints) - books.value
    return BanditResult(books.checkpoints, regret, books.pulls, books.value)


def best_value(bandit: Bandit, n: IntArray) -> Array:
    """Return the comparator: the mean reward collected in n rounds by the best arm.

    Parameters
    ----------
    bandit : Bandit
        The problem; its `dynamic` says whether the best arm may change with the round.
    n : ndarray of int
        Numbers of rounds, at least 1.

    Returns
    -------
    ndarray
        One sum of means for each entry of `n`.

    Examples
    --------
    >>> two = Bandit([[1.0, 0.0], [0.0, 1.0]], law="fixed", starts=[0, 10])
    >>> best_value(two, np.array([10, 20])), best_value(two._replace(dynamic=False), np.array([10, 20]))
    (array([10., 20.]), array([10., 10.]))
    """
    means = bandit.means.max(axis=1, keepdims=True) if bandit.dynamic else bandit.means
    before = np.zeros((bandit.starts.size, means.shape[1]))
    np.cumsum(means[:-1] * np.diff(bandit.starts)[:, None], axis=0, out=before[1:])
    m = np.searchsorted(bandit.starts, n, side="left") - 1  # the segment of round n - 1
    total: Array = (before[m] + (n - bandit.starts[m])[:, None] * means[m]).max(axis=1)
    return total


def divergence(bandit: Bandit) -> Array:
    """Return KL(law of arm a, the same family with the best mean) of a stationary bandit."""
    m, best = bandit.means[0], bandit.means[0].max()
    with np.errstate(divide="ignore", invalid="ignore"):
        if bandit.law == BERNOULLI:
            one = np.where(m > 0, m * np.log(m / best), 0.0)
            kl = one + np.where(m < 1, (1 - m) * np.log((1 - m) / (1 - best)), 0.0)
        elif bandit.law == GAUSSIAN:
            kl = (m - best) ** 2 / (2 * bandit.scale**2)
        elif bandit.law == EXPONENTIAL:
            kl = m / best - 1 - np.log(m / best)
        elif bandit.law == POISSON:
            kl = best - m + np.where(m > 0, m * np.log(m / best), 0.0)
        else:
            raise ValueError(f"no closed form for the law {LAWS[bandit.law]}")
    return np.where(m == best, 0.0, kl)


def lai_robbins(bandit: Bandit) -> float:
    """Return the constant C of the lower bound C ln T of Lai and Robbins (1985) for a stationary bandit.

    Parameters
    ----------
    bandit : Bandit
        One segment; Bernoulli, Gaussian (known variance), exponential or Poisson rewards.

    Returns
    -------
    float
        ``sum_a gap_a / KL(arm a, best mean)`` over the arms that are not best: no learner that is good on
        all bandits of the family has a smaller regret over ln T in the limit.

    Raises
    ------
    ValueError
        If the means change, or the law is another.

    References
    ----------
    .. [1] Lai and Robbins. Asymptotically efficient adaptive allocation rules. Advances in Applied
       Mathematics 6, 1985, Theorem 1.

    Examples
    --------
    >>> round(lai_robbins(Bandit([0.0, 1.0], law="gaussian")), 12)
    2.0
    """
    refuse_other_problems(bandit)
    if bandit.starts.size > 1:
        raise ValueError("bandit must have one segment: the bound is for means that do not change")
    gap = bandit.means[0].max() - bandit.means[0]
    worse = gap > 0
    return float(np.sum(gap[worse] / divergence(bandit)[worse]))


def minimax(A: int, T: IntArray | int) -> Array:
    """Return the lower bound ``min(sqrt(A T), T) / 20`` on the regret of the worst bandit with A arms.

    Parameters
    ----------
    A : int
        Number of arms, at least 2 (with one arm there is no regret: 0).
    T : int or ndarray of int
        Number of rounds.

    Returns
    -------
    ndarray
        For every learner there is a bandit with rewards 0 or 1 on which its mean regret is at least this.

    References
    ----------
    .. [1] Auer, Cesa-Bianchi, Freund and Schapire. The nonstochastic multiarmed bandit problem. SIAM Journal
       on Computing 32, 2002, Theorem 5.1.

    Examples
    --------
    >>> float(minimax(4, 10_000))
    10.0
    """
    rounds = np.asarray(T, dtype=np.float64)
    bound: Array = np.minimum(np.sqrt(A * rounds), rounds) / 20 if A > 1 else np.zeros_like(rounds)
    return bound
