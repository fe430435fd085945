"""Policies of a fishery and their episodes: the usual rules compiled, any other policy vectorised."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray
from eluder.envs.fishery._model import Fishery, check_fishery, checks_last, first_populations, step

__all__ = [
    "ConstantEscapement",
    "ConstantMortality",
    "EscapementTable",
    "Noise",
    "Runs",
    "draw_noise",
    "simulate",
]

BLOCK = 4096  # episodes whose noise is held at once
MORTALITY, ESCAPEMENT, TABLE = range(3)


@dataclass(frozen=True)
class ConstantMortality:
    """Take the same part of each harvested species in every period.

    Attributes
    ----------
    fractions : tuple of float
        Parts in [0, 1], one for each harvested species.

    Raises
    ------
    ValueError
        If a part is not in [0, 1].

    Examples
    --------
    >>> ConstantMortality((0.2,))(np.array([[0.5]]), 0).tolist()
    [[0.2]]
    """

    fractions: tuple[float, ...]

    def __post_init__(self) -> None:
        for i, x in enumerate(self.fractions):
            checks.number(f"fractions[{i}]", x, 0.0, 1.0)

    def __call__(self, populations: Array, t: int) -> Array:
        """Return the parts, shape (B, A)."""
        return np.tile(np.asarray(self.fractions), (len(populations), 1))


@dataclass(frozen=True)
class ConstantEscapement:
    """Take what is above a level, the escapement.

    Attributes
    ----------
    levels : tuple of float
        Populations that are left, one for each harvested species, not negative.

    Raises
    ------
    ValueError
        If a level is negative.

    Examples
    --------
    >>> ConstantEscapement((0.4,))(np.array([[0.5], [0.3]]), 0).round(3).tolist()
    [[0.2], [0.0]]
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        for i, x in enumerate(self.levels):
            checks.number(f"levels[{i}]", x, 0.0)

    def __call__(self, populations: Array, t: int) -> Array:
        """Return the parts, shape (B, A)."""
        N = np.maximum(populations[:, : len(self.levels)], 1e-12)
        return np.maximum(1.0 - np.asarray(self.levels) / N, 0.0)


@dataclass(frozen=True, eq=False)
class EscapementTable:
    """A level that depends on the population of X and the period, linear between the points of a grid.

    Attributes
    ----------
    step : float
        Distance of the grid's points 0, step, 2 step, ...
    levels : ndarray, shape (T, G)
        Population of X that is left, for each period and point; beyond the last point its level holds.

    Raises
    ------
    ValueError
        If the step is not positive, or the table not one of numbers that are finite and not negative.

    Examples
    --------
    >>> EscapementTable(0.5, np.array([[0.0, 0.5, 0.6]]))(np.array([[0.8]]), 0).round(3).tolist()
    [[0.3]]
    """

    step: float
    levels: Array

    def __post_init__(self) -> None:
        checks.number("step", self.step, 0.0, open_low=True)
        checks.finite("levels", self.levels, (None, None), low=0.0)

    def __call__(self, populations: Array, t: int) -> Array:
        """Return the parts, shape (B, 1)."""
        N = populations[:, :1]
        place = np.clip(N / self.step, 0.0, self.levels.shape[1] - 1.0)
        j = np.minimum(place.astype(np.int64), self.levels.shape[1] - 2)
        row = self.levels[t]
        level = row[j] + (place - j) * (row[j + 1] - row[j])
        fractions: Array = np.maximum(1.0 - level / np.maximum(N, 1e-12), 0.0)
        return fractions


class Noise:
    """Random numbers of some episodes: one table for all policies that are compared.

    Attributes
    ----------
    first : ndarray, shape (B, S)
        Of the first populations.
    later : ndarray, shape (B, T, S)
        Of every period.
    """

    def __init__(self, first: Array, later: Array) -> None:
        self.first = checks.finite("first", first, (None, None))
        self.later = checks.finite("later", later, (len(self.first), None, self.first.shape[1]))


def draw_noise(fishery: Fishery, episodes: int, *, rng: np.random.Generator) -> Noise:
    """Draw the noise of some episodes.

    Parameters
    ----------
    fishery : Fishery
        The fishery.
    episodes : int
        How many.
    rng : Generator
        Source of the numbers.

    Returns
    -------
    Noise
        Standard normal numbers, ``8 B (T + 1) S`` bytes.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> draw_noise(fishery(2, T=5), 7, rng=np.random.default_rng(0)).later.shape
    (7, 5, 3)
    """
    B, S, T = checks.integer("episodes", episodes), len(check_fishery(fishery).x0), len(fishery.r)
    numbers = checks.generator(rng).standard_normal((B, T + 1, S))
    return Noise(numbers[:, 0], numbers[:, 1:])


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Episodes of one policy.

    Attributes
    ----------
    returns : ndarray, shape (B,)
        Sums of the rewards.
    harvest : ndarray, shape (B,)
        Biomass taken.
    last_harvest : ndarray, shape (B,)
        The part of it that was taken in the last period played.
    length : ndarray of int, shape (B,)
        Periods played.
    ended : ndarray of bool, shape (B,)
        Whether a population fell to the threshold.
    """

    returns: Array
    harvest: Array
    last_harvest: Array
    length: IntArray
    ended: BoolArray

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean return."""
        return float(self.returns.std() / np.sqrt(len(self.returns)))

    @property
    def extinctions(self) -> float:
        """Part of the episodes that ended early."""
        return float(self.ended.mean())

    @property
    def published(self) -> Array:
        """What the paper's tables hold, shape (B,): harvest before the last period played, no penalty."""
        return self.harvest - self.last_harvest


Rule = ConstantMortality | ConstantEscapement | EscapementTable | Callable[[Array, int], ArrayLike]


def simulate(
    fishery: Fishery,
    policy: Rule,
    *,
    episodes: int = 1000,
    rng: np.random.Generator | None = None,
    noise: Noise | None = None,
) -> Runs:
    """Play episodes of a policy.

    Parameters
    ----------
    fishery : Fishery
        The fishery.
    policy : ConstantMortality, ConstantEscapement, EscapementTable or callable
        The first three are compiled. A callable maps populations (B, S) and the period to the parts (B, A)
        that are taken, which are cut to [0, 1].
    episodes : int, default=1000
        How many, where `rng` is given.
    rng : Generator, optional
        Source of the noise.
    noise : Noise, optional
        The noise itself, from `draw_noise`; either this or `rng`.

    Returns
    -------
    Runs
        Returns, harvests and lengths.

    Raises
    ------
    ValueError
        If an argument is out of range, the policy does not fit, or not exactly one of `rng` and `noise` is
        given.

    Notes
    -----
    A period of a compiled rule takes some tens of nanoseconds.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> calm = fishery(1, beta=0.0, sigma=0.0, sigma0=0.0, T=3)
    >>> runs = simulate(calm, ConstantEscapement((0.5,)), episodes=1, rng=np.random.default_rng(0))
    >>> runs.returns.round(6).tolist(), runs.extinctions
    ([0.7], 0.0)
    """
    if (rng is None) == (noise is None):
        raise ValueError("give either rng or noise, exactly one of them")
    f = check_fishery(fishery)
    check_rule(f, policy)
    if noise is not None:
        shape = (len(noise.first), len(f.r), len(f.x0))
        if noise.later.shape != shape:
            raise ValueError(f"noise must be of {shape[1]} periods and {shape[2]} species")
        return _play(f, policy, noise)
    assert rng is not None
    parts, left = [], checks.integer("episodes", episodes)
    while left:
        B = min(left, BLOCK)
        parts.append(_play(f, policy, draw_noise(f, B, rng=rng)))
        left -= B
    fields = ("returns", "harvest", "last_harvest", "length", "ended")
    return Runs(*(np.concatenate([getattr(p, name) for p in parts]) for name in fields))


def check_rule(f: Fishery, policy: Rule) -> None:
    """Refuse a rule for other species or periods."""
    if isinstance(policy, ConstantMortality | ConstantEscapement):
        given = policy.fractions if isinstance(policy, ConstantMortality) else policy.levels
        if len(given) != f.harvested:
            raise ValueError(
                f"policy must have {f.harvested} numbers, one per harvested species, got {given}"
            )
    elif isinstance(policy, EscapementTable):
        if f.harvested != 1 or len(policy.levels) != len(f.r) or policy.levels.shape[1] < 2:
            raise ValueError(f"policy must be a table of {len(f.r)} periods for one harvested species")
    elif not callable(policy):
        raise ValueError(f"policy must be a rule or a callable, got {policy!r}")


def _play(f: Fishery, policy: Rule, noise: Noise) -> Runs:
    """Play the episodes of one table of noise."""
    B = len(noise.first)
    returns, harvest, last = np.zeros(B), np.zeros(B), np.zeros(B)
    length, ended = np.zeros(B, np.int64), np.zeros(B, np.bool_)
    N = first_populations(f, noise.first)
    if isinstance(policy, ConstantMortality):
        rule = (MORTALITY, np.array(policy.fractions), 1.0, np.zeros((1, 1)))
    elif isinstance(policy, ConstantEscapement):
        rule = (ESCAPEMENT, np.array(policy.levels), 1.0, np.zeros((1, 1)))
    elif isinstance(policy, EscapementTable):
        rule = (TABLE, np.zeros(1), policy.step, np.ascontiguousarray(policy.levels))
    else:
        for t in range(len(f.r)):
            on = np.flatnonzero(~ended)
            if len(on) == 0:
                break
            a = checks_last("fractions", policy(N[on], t), f.harvested)
            if a.shape != (len(on), f.harvested):
                raise ValueError(f"policy must return shape {(len(on), f.harvested)}, got {a.shape}")
            played = step(f, N[on], a, t, noise.later[on, t])
            N[on] = played.populations
            last[on] = played.harvest.sum(axis=1)
            harvest[on] += last[on]
            returns[on] += played.reward
            length[on], ended[on] = t + 1, played.ended
        return Runs(returns, harvest, last, length, ended)
    _episodes(f, *rule, N, noise.later, returns, harvest, last, length, ended)
    return Runs(returns, harvest, last, length, ended)


@kernel
def _fraction(kind: int, level: float, width: float, row: Array, N: float) -> float:
    """Part of a population that a rule takes."""
    if kind == MORTALITY:
        return level
    if kind == TABLE:
        place = min(N / width, row.size - 1.0)
        j = min(int(place), row.size - 2)
        level = row[j] + (place - j) * (row[j + 1] - row[j])
    return min(max(1.0 - level / max(N, 1e-12), 0.0), 1.0)


@kernel
def _grow(f: Fishery, r: float, X: float, Y: float, Z: float) -> tuple[float, float, float]:
    """Means of the next populations."""
    clash = f.c_XY * X * Y
    to_X = f.beta * Z * X * X / (f.c * f.c + X * X)
    to_Y = f.D * f.beta * Z * Y * Y / (f.c * f.c + Y * Y)
    return (
        X + r * X * (1.0 - X / f.K) - to_X - clash,
        Y + f.r_Y * Y * (1.0 - Y / f.K) - to_Y - clash,
        Z + (f.b * (X + f.D * Y) - f.d_Z) * Z,
    )


@kernel
def _episodes(
    f: Fishery,
    kind: int,
    levels: Array,
    width: float,
    table: Array,
    N: Array,
    xi: Array,
    returns: Array,
    harvest: Array,
    last: Array,
    length: IntArray,
    ended: BoolArray,
) -> None:
    """Play all episodes; overwrites the last five and adds to the first two of them."""
    three = f.x0.size == 3
    for e in range(N.shape[0]):
        X, Y, Z = N[e, 0], 0.0, 1.0
        if three:
            Y, Z = N[e, 1], N[e, 2]
        for t in range(f.r.size):
            # harvest
            row = table[t if kind == TABLE else 0]
            h = _fraction(kind, levels[0], width, row, X) * X
            X -= h
            if f.harvested == 2:
                g = _fraction(kind, levels[1], width, row, Y) * Y
                Y -= g
                h += g
            # grow
            mX, mY, mZ = _grow(f, f.r[t], X, Y, Z)
            X = mX + f.sigma * X * xi[e, t, 0]
            lowest = X
            if three:
                Y = mY + f.sigma * Y * xi[e, t, 1]
                Z = mZ + f.sigma * Z * xi[e, t, 2]
                lowest = min(X, Y, Z)
            # count
            harvest[e] += h
            returns[e] += h
            last[e] = h
            length[e] = t + 1
            if lowest <= f.threshold:
                returns[e] -= f.penalty / (t + 1)
                ended[e] = True
                break
