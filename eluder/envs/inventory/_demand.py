"""Laws of demand: of one place, of several together, and recorded traces.

Every law samples; a law on the integers also lists its probabilities, and a law on the line is rounded to a
grid of a given step. The exact tools (dynamic programs, convolutions) work on those lists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from eluder.core import checks
from eluder.core.types import Array

__all__ = [
    "Categorical",
    "Demand",
    "Geometric",
    "IntegerDemand",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "Trace",
    "uniform_demand",
]

LONGEST = 2**20  # support points a list of probabilities may have


@runtime_checkable
class Demand(Protocol):
    """What every law can do: ``sample(rng, shape)`` gives an array of `shape`, units per period."""

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array: ...


@runtime_checkable
class IntegerDemand(Demand, Protocol):
    """A law on 0, 1, 2, ...: ``pmf(tail)`` lists its probabilities."""

    @property
    def mean(self) -> float: ...

    def pmf(self, tail: float = 1e-15) -> Array: ...


def _listed(log_p: Callable[[Array], Array], survival: Callable[[Array], Array], tail: float) -> Array:
    """List a law on the integers up to the first point beyond which at most `tail` is left."""
    tail = checks.number("tail", tail, 0.0, 0.5, open_low=True)
    size = 64
    while size <= LONGEST:
        k = np.arange(size, dtype=np.float64)
        enough = survival(k) <= tail
        if enough.any():
            p: Array = np.exp(log_p(k[: int(np.argmax(enough)) + 1]))
            total: float = p.sum()
            p /= total
            return p
        size *= 4
    raise ValueError(
        f"tail {tail:g} needs more than {LONGEST:,} points, it must be larger, or the mean smaller"
    )


@dataclass(frozen=True, slots=True)
class Poisson:
    """Poisson demand.

    Attributes
    ----------
    mean : float
        Units per period, positive.
    """

    mean: float

    def __post_init__(self) -> None:
        checks.number("mean", self.mean, 0.0, open_low=True)

    def pmf(self, tail: float = 1e-15) -> Array:
        """Probabilities of 0, 1, ..., scaled to sum to one after the last `tail` is left out."""
        m = self.mean

        def survival(k: Array) -> Array:
            left: Array = np.asarray(special.gammainc(k + 1, m))
            return left

        return _listed(lambda k: k * np.log(m) - m - special.gammaln(k + 1), survival, tail)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw demands of `shape`."""
        x: Array = checks.generator(rng).poisson(self.mean, shape).astype(np.float64)
        return x


@dataclass(frozen=True, slots=True)
class Geometric:
    """Geometric demand on 0, 1, ...: ``P(D = k) = (1 - q) q^k`` with ``q = mean / (1 + mean)``.

    Attributes
    ----------
    mean : float
        Units per period, positive.
    """

    mean: float

    def __post_init__(self) -> None:
        checks.number("mean", self.mean, 0.0, open_low=True)

    def pmf(self, tail: float = 1e-15) -> Array:
        """Probabilities of 0, 1, ..., scaled to sum to one after the last `tail` is left out."""
        log_q = -np.log1p(1 / self.mean)
        return _listed(lambda k: k * log_q - np.log1p(self.mean), lambda k: np.exp((k + 1) * log_q), tail)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw demands of `shape`."""
        x: Array = checks.generator(rng).geometric(1 / (1 + self.mean), shape).astype(np.float64)
        return x - 1


@dataclass(frozen=True, slots=True)
class NegativeBinomial:
    """Negative binomial demand: Poisson with a Gamma rate.

    Attributes
    ----------
    mean : float
        Units per period, positive.
    sd : float
        Standard deviation, larger than ``sqrt(mean)``.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        checks.number("mean", self.mean, 0.0, open_low=True)
        checks.number("sd", self.sd, float(np.sqrt(self.mean)), open_low=True)

    @property
    def _successes(self) -> tuple[float, float]:
        p = self.mean / self.sd**2
        return self.mean * p / (1 - p), p

    def pmf(self, tail: float = 1e-15) -> Array:
        """Probabilities of 0, 1, ..., scaled to sum to one after the last `tail` is left out."""
        r, p = self._successes

        def log_p(k: Array) -> Array:
            ways = special.gammaln(k + r) - special.gammaln(r) - special.gammaln(k + 1)
            result: Array = ways + r * np.log(p) + k * np.log1p(-p)
            return result

        return _listed(log_p, lambda k: special.betainc(k + 1, r, 1 - p), tail)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw demands of `shape`."""
        x: Array = checks.generator(rng).negative_binomial(*self._successes, shape).astype(np.float64)
        return x


@dataclass(frozen=True, slots=True)
class Categorical:
    """Any law on 0, 1, ..., n.

    Attributes
    ----------
    probabilities : tuple of float
        ``probabilities[k] = P(D = k)``.
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        p = checks.distribution("probabilities", self.probabilities, (None,))
        object.__setattr__(self, "probabilities", tuple(p.tolist()))

    @property
    def mean(self) -> float:
        """Units per period."""
        return float(np.dot(np.arange(len(self.probabilities)), self.probabilities))

    def pmf(self, tail: float = 1e-15) -> Array:
        """Probabilities of 0, 1, ..., n; nothing is left out."""
        return np.array(self.probabilities)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw demands of `shape`."""
        above = checks.generator(rng).random(shape)
        cdf = np.cumsum(self.probabilities)
        return np.searchsorted(cdf / cdf[-1], above, side="right").astype(np.float64)


def uniform_demand(low: int, high: int) -> Categorical:
    """Return the law that gives each of low, low + 1, ..., high the same probability.

    Parameters
    ----------
    low, high : int
        The ends, ``0 <= low <= high``.

    Returns
    -------
    Categorical
        With `high` + 1 entries.

    Raises
    ------
    ValueError
        If an end is out of range.

    Examples
    --------
    >>> uniform_demand(0, 4).mean
    2.0
    """
    low = checks.integer("low", low, 0)
    high = checks.integer("high", high, low)
    k = np.arange(high + 1)
    return Categorical(tuple((k >= low) / (high - low + 1)))


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal demand, negative draws set to zero unless `clipped` is false.

    Attributes
    ----------
    mean, sd : float
        Of the normal law before it is clipped, units per period.
    clipped : bool
        Whether demand is ``max(0, N(mean, sd^2))``.
    """

    mean: float
    sd: float
    clipped: bool = True

    def __post_init__(self) -> None:
        checks.number("mean", self.mean, 0.0)
        checks.number("sd", self.sd, 0.0, open_low=True)

    @property
    def expectation(self) -> float:
        """E D, units per period: a little above `mean` where draws are clipped."""
        if not self.clipped:
            return self.mean
        z = self.mean / self.sd
        return float(self.mean * special.ndtr(z) + self.sd * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))

    def grid(self, step: float, tail: float = 1e-15) -> tuple[float, Array]:
        """Round the law to multiples of `step`: the smallest of them, and the probabilities from there on."""
        step = checks.number("step", step, 0.0, open_low=True)
        tail = checks.number("tail", tail, 0.0, 0.5, open_low=True)
        reach = self.sd * float(-special.ndtri(tail))
        low = np.floor((self.mean - reach) / step) if not self.clipped else 0.0
        high = max(np.ceil((self.mean + reach) / step), low)
        if not high - low < LONGEST:
            raise ValueError(f"step {step:g} needs more than {LONGEST:,} points, it must be coarser")
        points = np.arange(low, high + 1)
        inside = special.ndtr(((points[:-1] + 0.5) * step - self.mean) / self.sd)
        p: Array = np.diff(np.concatenate([[0.0], inside, [1.0]]))
        return float(low * step), p

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw demands of `shape`."""
        x = checks.generator(rng).normal(self.mean, self.sd, shape)
        return np.maximum(x, 0.0) if self.clipped else x


class MultivariateNormal:
    """Jointly normal demands of n stores, all pairs equally correlated.

    Parameters
    ----------
    mean : array_like, shape (n,)
        Units per period.
    sd : array_like, shape (n,)
        Standard deviations, positive.
    correlation : float
        Of each pair, in ``[-1 / (n - 1), 1]``.
    clipped : bool, default=True
        Whether negative draws are set to zero.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, mean: ArrayLike, sd: ArrayLike, correlation: float, clipped: bool = True) -> None:
        self.mean: Array = checks.finite("mean", mean, (None,))
        n = len(self.mean)
        self.sd: Array = checks.finite("sd", sd, (n,), low=np.finfo(float).tiny)
        self.correlation = checks.number("correlation", correlation, -1 / (n - 1) if n > 1 else -1.0, 1.0)
        self.clipped = bool(clipped)

    @property
    def covariance(self) -> Array:
        """Of the normal law before it is clipped, shape (n, n)."""
        R = np.full((len(self.sd), len(self.sd)), self.correlation)
        np.fill_diagonal(R, 1.0)
        covariance: Array = R * np.outer(self.sd, self.sd)
        return covariance

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw demands of ``shape``, whose last axis has n entries."""
        n = len(self.mean)
        if not shape or shape[-1] != n:
            raise ValueError(f"shape must end with {n}, one entry per store, got {shape}")
        z = checks.generator(rng).standard_normal(shape)
        # the symmetric square root of (1 - rho) I + rho 1 1'
        rest = np.sqrt(1 - self.correlation)
        along = np.sqrt(max(1 + (n - 1) * self.correlation, 0.0)) - rest
        x: Array = self.mean + self.sd * (rest * z + along * z.mean(axis=-1, keepdims=True))
        return np.maximum(x, 0.0) if self.clipped else x


class Trace:
    """Recorded demand: samples are windows of the record, each starting at a random period.

    Parameters
    ----------
    values : array_like, shape (T, n)
        Units per period and store, not negative.

    Raises
    ------
    ValueError
        If an entry is negative or not finite.
    """

    def __init__(self, values: ArrayLike) -> None:
        self.values: Array = checks.finite("values", values, (None, None), low=0.0)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw windows: shape (..., periods, n), periods at most T."""
        T, n = self.values.shape
        if len(shape) < 2 or shape[-1] != n or not 1 <= shape[-2] <= T:
            raise ValueError(f"shape must end with (periods <= {T}, {n}), got {shape}")
        starts = checks.generator(rng).integers(T - shape[-2] + 1, size=shape[:-2])
        windows: Array = self.values[starts[..., None] + np.arange(shape[-2])]
        return windows
