"""Checks of arguments: each error names the argument and the first bad entry."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "distribution",
    "failure_probability",
    "finite",
    "floats",
    "generator",
    "integer",
    "number",
    "policy",
]

SUM_TOLERANCE = 1e-8  # rows of probabilities may miss 1 by rounding, not by more
INT64_MAX = 2**63 - 1
FLOAT_MAX = float(np.finfo(np.float64).max)


def entry(name: str, index: Any) -> str:
    """Write ``name[i, j]`` for an index tuple."""
    index = tuple(int(i) for i in np.atleast_1d(index))
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def first(bad: BoolArray) -> tuple[int, ...]:
    """Return the index of the first True in C order."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def floats(name: str, x: ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """Return `x` as a C-contiguous float64 array of `shape` (None: any positive length)."""
    try:
        if np.iscomplexobj(x):
            raise TypeError("the entries are complex")
        array = np.ascontiguousarray(x, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from None
    array = array.reshape(np.shape(x))  # ascontiguousarray gives a number one axis
    sizes: tuple[int, ...] = array.shape
    fits = len(sizes) == len(shape) and all(
        n >= 1 and want in (None, n) for n, want in zip(sizes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("n >= 1" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {sizes}")
    return array


def finite(
    name: str, x: ArrayLike, shape: tuple[int | None, ...], low: float = -np.inf, high: float = np.inf
) -> Array:
    """Return `x` as a float array of `shape` with finite entries in [low, high]."""
    array = floats(name, x, shape)
    if max(low, -FLOAT_MAX) <= array.min() and array.max() <= min(high, FLOAT_MAX):  # not so with a NaN
        return array
    bad = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if bad.any():
        i = first(bad)
        wanted = "finite" if np.isinf([low, high]).all() else f"in [{low:g}, {high:g}]"
        raise ValueError(f"{entry(name, i)} is {array[i]:g}, it must be {wanted}")
    return array


def distribution(name: str, x: ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """Return `x` as a float array of `shape` whose last axis holds probabilities."""
    array = floats(name, x, shape)
    if array.min() >= 0 and (np.abs(array.sum(axis=-1) - 1) <= SUM_TOLERANCE).all():
        return array
    total = finite(name, array, shape, low=0.0).sum(axis=-1)
    i = first(np.atleast_1d(np.abs(total - 1) > SUM_TOLERANCE))[: total.ndim]
    raise ValueError(f"{entry(name, i)} sums to {total[i]:.12g}, not 1")


def integer(name: str, x: Any, low: int = 1, high: int | None = None) -> int:
    """Return `x` as an int in [low, high]; refuse fractions and booleans."""
    whole = isinstance(x, int | np.integer) and not isinstance(x, bool)
    if not whole and not (isinstance(x, float | np.floating) and float(x).is_integer()):
        raise ValueError(f"{name} must be an integer, got {x!r}")
    if x < low or (high is not None and x > high):
        bound = f"at least {low}" if high is None else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be {bound}, got {x}")
    if x > INT64_MAX:
        raise ValueError(f"{name} must be less than 2**63, got {x}")
    return int(x)


def number(
    name: str,
    x: Any,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `x` as a finite float between `low` and `high`; each end can be excluded."""
    try:
        value = float(x)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a real number, got {x!r}") from None
    inside = (low < value if open_low else low <= value) and (value < high if open_high else value <= high)
    if not np.isfinite(value) or not inside:
        first, last = open_low or low == -np.inf, open_high or high == np.inf
        interval = f"{'(' if first else '['}{low:g}, {high:g}{')' if last else ']'}"
        raise ValueError(f"{name} must be in {interval}, got {x}")
    return value


def failure_probability(name: str, x: Any) -> float:
    """Return `x` in (0, 1); refuse those so small that the logarithms of the theorems overflow."""
    value = number(name, x, 0.0, 1.0, open_low=True, open_high=True)
    if value < 1e-100:
        raise ValueError(f"{name} must be at least 1e-100, got {x}")
    return value


def policy(name: str, pi: ArrayLike, lead: tuple[int, ...], mask: BoolArray) -> IntArray:
    """Return a deterministic policy of shape `lead` as ints; refuse unavailable actions."""
    raw = np.asarray(pi)
    if raw.shape != lead:
        raise ValueError(f"{name} must have shape {lead}, got {raw.shape}")
    if not np.issubdtype(raw.dtype, np.integer):
        raise ValueError(f"{name} must hold integers (actions), got {raw.dtype}")
    A = mask.shape[-1]
    actions = np.ascontiguousarray(raw, dtype=np.int64)
    bad = (actions < 0) | (actions >= A)
    if not bad.any():
        bad = ~np.take_along_axis(np.broadcast_to(mask, (*lead, A)), actions[..., None], -1)[..., 0]
    if bad.any():
        i = first(bad)
        raise ValueError(f"{entry(name, i)} is {actions[i]}, not an available action")
    return actions


def generator(rng: Any) -> np.random.Generator:
    """Return `rng`; refuse anything that is not a `numpy.random.Generator`."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"rng must be a numpy.random.Generator (numpy.random.default_rng(seed)), got {rng!r}"
        )
    return rng
