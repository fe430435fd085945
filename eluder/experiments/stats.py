"""Statistics of runs: aggregate scores with bootstrap intervals, regret slopes, exact binomial limits.

Scores are arrays of shape (R, M): run (seed) by problem, larger is better. Every statistic of scores also
takes leading batch axes (..., R, M), which is what makes the bootstrap fast: all resamples are one array.

The aggregates (interquartile mean, optimality gap, performance profile, probability of improvement) and the
bootstrap stratified by problem are those of Agarwal, Schwarzer, Castro, Courville and Bellemare. Deep
reinforcement learning at the edge of the statistical precipice. NeurIPS 2021. arXiv:2108.13264
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array

__all__ = [
    "Interval",
    "censored_quantile",
    "clopper_pearson",
    "iqm",
    "loglog_slope",
    "mean",
    "mean_curve",
    "optimality_gap",
    "performance_profile",
    "probability_of_improvement",
    "stratified_bootstrap",
]

T = TypeVar("T")
CHUNK = 2**20  # numbers held at once by a bootstrap


class Interval(NamedTuple, Generic[T]):
    """An estimate and the two ends of its confidence interval: numbers, or arrays of one shape."""

    estimate: T
    low: T
    high: T


# --- aggregates of scores ---


def mean(scores: ArrayLike) -> Array:
    """Return the mean over runs and problems.

    Parameters
    ----------
    scores : ndarray, shape (..., R, M)
        Score of each run on each problem.

    Returns
    -------
    ndarray, shape (...)
        Mean over the last two axes.

    Raises
    ------
    ValueError
        If `scores` has fewer than two axes, is empty or is not finite.

    Notes
    -----
    With as many runs on each problem this is the mean of the problems' means.

    Examples
    --------
    >>> float(mean([[0.0, 1.0], [2.0, 5.0]]))
    2.0
    """
    return np.asarray(_scores("scores", scores).mean(axis=(-2, -1)))


def iqm(scores: ArrayLike) -> Array:
    """Return the interquartile mean: of the middle half of all runs on all problems together.

    Parameters
    ----------
    scores : ndarray, shape (..., R, M)
        Score of each run on each problem.

    Returns
    -------
    ndarray, shape (...)
        Mean of the R M scores without the floor(R M / 4) smallest and as many largest.

    Raises
    ------
    ValueError
        If `scores` has fewer than two axes, is empty or is not finite.

    References
    ----------
    .. [1] Agarwal et al. Deep reinforcement learning at the edge of the statistical precipice. NeurIPS 2021.
       arXiv:2108.13264

    Examples
    --------
    >>> float(iqm([[0.0, 1.0], [2.0, 50.0]]))
    1.5
    """
    x = _scores("scores", scores)
    flat = np.sort(x.reshape(*x.shape[:-2], -1), axis=-1)
    n = flat.shape[-1]
    return np.asarray(flat[..., n // 4 : n - n // 4].mean(axis=-1))


def optimality_gap(scores: ArrayLike, threshold: float = 1.0) -> Array:
    """Return how far the scores fall short of a threshold on average.

    Parameters
    ----------
    scores : ndarray, shape (..., R, M)
        Score of each run on each problem.
    threshold : float, default=1.0
        Scores above it count as this much.

    Returns
    -------
    ndarray, shape (...)
        ``threshold - mean(min(scores, threshold))``.

    Raises
    ------
    ValueError
        If `scores` has fewer than two axes, is empty or is not finite, or `threshold` is not finite.

    References
    ----------
    .. [1] Agarwal et al. Deep reinforcement learning at the edge of the statistical precipice. NeurIPS 2021.
       arXiv:2108.13264

    Examples
    --------
    >>> float(optimality_gap([[0.5], [7.0]]))
    0.25
    """
    threshold = checks.number("threshold", threshold)
    return threshold - mean(np.minimum(_scores("scores", scores), threshold))


def performance_profile(scores: ArrayLike, tau: ArrayLike) -> Array:
    """Return the fraction of runs above each threshold.

    Parameters
    ----------
    scores : ndarray, shape (..., R, M)
        Score of each run on each problem.
    tau : ndarray, shape (T,)
        Thresholds.

    Returns
    -------
    ndarray, shape (..., T)
        Fraction of the R M scores strictly above ``tau[t]``.

    Raises
    ------
    ValueError
        If `scores` has fewer than two axes, is empty or is not finite, or `tau` is not a finite vector.

    References
    ----------
    .. [1] Agarwal et al. Deep reinforcement learning at the edge of the statistical precipice. NeurIPS 2021.
       arXiv:2108.13264

    Examples
    --------
    >>> performance_profile([[0.0, 1.0], [2.0, 5.0]], [0.0, 1.5])
    array([0.75, 0.5 ])
    """
    x = _scores("scores", scores)
    levels = checks.finite("tau", tau, (None,))
    return np.asarray((x[..., None] > levels).mean(axis=(-3, -2)))


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> Array:
    """Return the probability that a run of X scores above a run of Y, averaged over problems.

    Parameters
    ----------
    x : ndarray, shape (..., R, M)
        Scores of X.
    y : ndarray, shape (..., R', M)
        Scores of Y on the same problems; the number of runs may differ.

    Returns
    -------
    ndarray, shape (...)
        Mean over problems of P(X > Y) + P(X = Y) / 2, over all pairs of runs (the Mann-Whitney statistic).

    Raises
    ------
    ValueError
        If `x` or `y` has fewer than two axes, is empty or is not finite, or their problems differ in number.

    Notes
    -----
    Where less is better, as with regret, exchange `x` and `y`.

    References
    ----------
    .. [1] Agarwal et al. Deep reinforcement learning at the edge of the statistical precipice. NeurIPS 2021.
       arXiv:2108.13264

    Examples
    --------
    >>> float(probability_of_improvement([[1.0], [3.0]], [[0.0], [1.0]]))
    0.875
    """
    a, b = _scores("x", x), _scores("y", y)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"x and y must have as many problems, got {a.shape[-1]} and {b.shape[-1]}")
    a, b = a[..., :, None, :], b[..., None, :, :]
    wins = (a > b).mean(axis=(-3, -2)) + 0.5 * (a == b).mean(axis=(-3, -2))
    return np.asarray(wins.mean(axis=-1))


# --- intervals ---


def stratified_bootstrap(
    statistic: Callable[..., Array],
    *samples: ArrayLike,
    level: float = 0.95,
    num_resamples: int = 2000,
    rng: np.random.Generator,
) -> Interval[Any]:
    """Return a statistic of scores with a percentile bootstrap interval, runs resampled within each problem.

    Parameters
    ----------
    statistic : callable
        Maps one array (..., R, M) per sample to an array (...) or (..., T), such as `iqm`.
    *samples : ndarray, shape (R, M)
        Scores; several samples are resampled independently, and may differ in R.
    level : float, default=0.95
        Confidence level, in (0, 1).
    num_resamples : int, default=2000
        Number of resamples.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Interval
        Estimate, and the (1 - level)/2 and (1 + level)/2 quantiles of the resampled statistic.

    Raises
    ------
    ValueError
        If there is no sample, a sample is not a finite (R, M) array, or `level`, `num_resamples` or `rng` is
        not valid.

    Notes
    -----
    Percentile intervals are short for few runs: at level 95% the mean of R = 5, 10, 20 normal runs was
    covered in 83%, 90%, 92% of simulations. With one run the interval is a point.

    References
    ----------
    .. [1] Agarwal et al. Deep reinforcement learning at the edge of the statistical precipice. NeurIPS 2021.
       arXiv:2108.13264

    Examples
    --------
    >>> stratified_bootstrap(mean, [[1.0], [1.0]], rng=np.random.default_rng(0))
    Interval(estimate=1.0, low=1.0, high=1.0)
    """
    if not samples:
        raise ValueError("stratified_bootstrap needs at least one sample")
    data = [checks.finite(f"samples[{i}]", x, (None, None)) for i, x in enumerate(samples)]
    level, B, rng = _bootstrap_arguments(level, num_resamples, rng)
    cost = int(np.prod([len(x) for x in data])) * data[0].shape[1]
    step = max(1, CHUNK // cost)
    draws = np.concatenate(
        [statistic(*(_resample(x, min(step, B - b), rng) for x in data)) for b in range(0, B, step)]
    )
    estimate = statistic(*(x[None] for x in data))[0]
    return _plain(Interval(estimate, *_quantiles(draws, level)))


def mean_curve(
    curves: ArrayLike, *, level: float = 0.95, num_resamples: int = 2000, rng: np.random.Generator
) -> Interval[Array]:
    """Return the mean of curves over runs with pointwise bootstrap intervals; whole runs are resampled.

    Parameters
    ----------
    curves : ndarray, shape (R, T)
        One curve for each run.
    level : float, default=0.95
        Confidence level of each point, in (0, 1).
    num_resamples : int, default=2000
        Number of resamples.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Interval
        Three arrays of shape (T,).

    Raises
    ------
    ValueError
        If `curves` is not a finite (R, T) array, or `level`, `num_resamples` or `rng` is not valid.

    Notes
    -----
    O(num_resamples R T) time in one matrix product.

    Examples
    --------
    >>> mean_curve([[0.0, 2.0], [0.0, 2.0]], rng=np.random.default_rng(0)).high
    array([0., 2.])
    """
    x = checks.finite("curves", curves, (None, None))
    level, B, rng = _bootstrap_arguments(level, num_resamples, rng)
    return Interval(x.mean(axis=0), *_quantiles(_resampled_means(x, B, rng), level))


def loglog_slope(
    k: ArrayLike,
    regret: ArrayLike,
    *,
    window: tuple[float, float] | None = None,
    level: float = 0.95,
    num_resamples: int = 2000,
    rng: np.random.Generator,
) -> Interval[float]:
    """Return the growth exponent of a regret curve: the slope of ln(mean regret) on ln k.

    Parameters
    ----------
    k : ndarray, shape (T,)
        Checkpoints (episodes or steps), increasing and positive.
    regret : ndarray, shape (R, T)
        Cumulative regret of each run at the checkpoints.
    window : (float, float), optional
        Least and largest k of the fit; by default the last decade, from max(k) / 10 to max(k).
    level : float, default=0.95
        Confidence level, in (0, 1).
    num_resamples : int, default=2000
        Number of resamples of whole runs.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Interval
        Least-squares slope over the checkpoints in the window, with its percentile bootstrap interval over
        runs. All three are NaN where the mean regret is not positive in the window: it has no logarithm.

    Raises
    ------
    ValueError
        If `k` is not increasing and positive, `regret` does not fit it or is not finite, the window holds
        fewer than two checkpoints, or `level`, `num_resamples` or `rng` is not valid.

    Notes
    -----
    The mean is taken before the logarithm: theorems bound regret, not its logarithm. Log-spaced checkpoints
    weigh each part of the window alike.

    Examples
    --------
    >>> k = np.arange(1, 101)
    >>> slope = loglog_slope(k, 3 * np.sqrt(k)[None], rng=np.random.default_rng(0))
    >>> round(slope.estimate, 6)
    0.5
    """
    k = checks.finite("k", k, (None,), low=0.0)
    if k[0] <= 0 or (np.diff(k) <= 0).any():
        raise ValueError("k must be positive and increasing")
    x = checks.finite("regret", regret, (None, k.size))
    level, B, rng = _bootstrap_arguments(level, num_resamples, rng)
    low, high = (k[-1] / 10, k[-1]) if window is None else window
    inside = (k >= low) & (k <= high)
    if inside.sum() < 2:
        raise ValueError(f"window [{low:g}, {high:g}] holds {inside.sum()} checkpoints, a slope needs 2")
    means = np.concatenate([x[:, inside].mean(axis=0)[None], _resampled_means(x[:, inside], B, rng)])
    if (means <= 0).any():
        return Interval(np.nan, np.nan, np.nan)
    log_k = np.log(k[inside])
    weights = (log_k - log_k.mean()) / np.sum((log_k - log_k.mean()) ** 2)
    slopes = np.log(means) @ weights
    return _plain(Interval(slopes[0], *_quantiles(slopes[1:], level)))


def clopper_pearson(count: int, n: int, *, level: float = 0.95) -> Interval[float]:
    """Return a frequency with its exact binomial interval, for claims "with probability at least 1 - delta".

    Parameters
    ----------
    count : int
        Number of runs with the event, such as regret above the bound.
    n : int
        Number of runs.
    level : float, default=0.95
        Confidence level, in (0, 1): the interval covers the probability at least this often.

    Returns
    -------
    Interval
        ``count / n`` and the ends. A claim "at most delta" is refuted when ``low > delta``.

    Raises
    ------
    ValueError
        If `n` < 1, `count` is not in 0..n, or `level` is outside (0, 1).

    References
    ----------
    .. [1] Clopper and Pearson. The use of confidence or fiducial limits illustrated in the case of the
       binomial. Biometrika 26, 1934.

    Examples
    --------
    >>> round(clopper_pearson(0, 20).high, 4)
    0.1684
    """
    from scipy.special import betaincinv

    n = checks.integer("n", n)
    count = checks.integer("count", count, 0, n)
    tail = (1 - checks.number("level", level, 0.0, 1.0, open_low=True, open_high=True)) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(count / n, low, high)


def censored_quantile(
    times: ArrayLike,
    observed: ArrayLike,
    q: float = 0.5,
    *,
    level: float = 0.95,
    num_resamples: int = 2000,
    rng: np.random.Generator,
) -> Interval[float]:
    """Return a quantile of a sample complexity when some runs ended before they reached the accuracy.

    Parameters
    ----------
    times : ndarray, shape (R,)
        Episodes until the accuracy was reached; the run's budget where it was not.
    observed : ndarray of bool, shape (R,)
        False where the run ended first (the time is censored).
    q : float, default=0.5
        Which quantile, in (0, 1); 0.5 is the median.
    level : float, default=0.95
        Confidence level, in (0, 1).
    num_resamples : int, default=2000
        Number of resamples of the runs.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Interval
        Least t at which the Kaplan-Meier estimate of P(time <= t) is at least `q`, and its percentile
        bootstrap interval; inf where this is not reached: "more than the budget".

    Raises
    ------
    ValueError
        If `times` is not a vector of nonnegative numbers, `observed` does not fit it or is not boolean, or
        `q`, `level`, `num_resamples` or `rng` is not valid.

    Notes
    -----
    With one common budget it is the empirical quantile; the product-limit form allows budgets that differ.

    References
    ----------
    .. [1] Kaplan and Meier. Nonparametric estimation from incomplete observations. Journal of the American
       Statistical Association 53, 1958.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> censored_quantile([3.0, 5.0, 9.0], [True, True, False], 0.5, rng=rng).estimate
    5.0
    >>> censored_quantile([3.0, 9.0, 9.0], [True, False, False], 0.5, rng=rng).estimate
    inf
    """
    t = checks.finite("times", times, (None,), low=0.0)
    event = np.asarray(observed)
    if event.shape != t.shape or event.dtype != np.bool_:
        raise ValueError(f"observed must be boolean of shape {t.shape}, got {event.dtype} of {event.shape}")
    q = checks.number("q", q, 0.0, 1.0, open_low=True, open_high=True)
    level, B, rng = _bootstrap_arguments(level, num_resamples, rng)
    R = t.size
    order = np.lexsort((~event, t))  # by time, events before censored runs of the same time
    rows = np.concatenate([np.arange(R)[None], np.sort(rng.integers(R, size=(B, R)), axis=1)])
    t, event = t[order][rows], event[order][rows]
    alive = np.cumprod(1 - event / np.arange(R, 0, -1), axis=1)
    reached = alive <= 1 - q + 1e-12
    hit = np.take_along_axis(t, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    value = np.where(reached.any(axis=1), hit, np.inf)
    draws = np.sort(value[1:])
    low = draws[int(np.floor(B * (1 - level) / 2))]  # order statistics: no arithmetic with inf
    high = draws[int(np.ceil(B * (1 + level) / 2)) - 1]
    return _plain(Interval(value[0], low, high))


# --- shared steps ---


def _scores(name: str, x: ArrayLike) -> Array:
    """Return `x` as finite scores of shape (..., R, M)."""
    return checks.finite(name, x, (None,) * max(np.ndim(x), 2))


def _bootstrap_arguments(
    level: float, num_resamples: int, rng: np.random.Generator
) -> tuple[float, int, np.random.Generator]:
    """Check what every bootstrap takes."""
    level = checks.number("level", level, 0.0, 1.0, open_low=True, open_high=True)
    return level, checks.integer("num_resamples", num_resamples), checks.generator(rng)


def _resample(x: Array, B: int, rng: np.random.Generator) -> Array:
    """Return B resamples (B, R, M) of scores (R, M): runs drawn with replacement, anew for each problem."""
    rows = rng.integers(len(x), size=(B, *x.shape))
    return np.take_along_axis(x[None], rows, axis=1)


def _resampled_means(x: Array, B: int, rng: np.random.Generator) -> Array:
    """Return the means (B, T) of B resamples of the rows of `x` (R, T)."""
    R = len(x)
    weights = rng.multinomial(R, np.full(R, 1 / R), size=B) / R
    return np.asarray(weights @ x)


def _quantiles(draws: Array, level: float) -> Array:
    """Return the two ends of the percentile interval along the first axis."""
    return np.asarray(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0))


def _plain(interval: Interval[Any]) -> Interval[Any]:
    """Turn NumPy scalars into floats."""
    return Interval(*(float(x) if np.ndim(x) == 0 else x for x in interval))
