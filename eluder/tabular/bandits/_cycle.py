"""Sequences of whole numbers that are used in turn: contexts and delays of the rounds."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import IntArray


def cycle(name: str, x: ArrayLike, low: int, high: int) -> IntArray:
    """Return `x` as a sequence of ints in [low, high]; a number becomes a sequence of one."""
    raw = checks.finite(name, np.reshape(x, -1) if np.ndim(x) == 0 else x, (None,), low, high)
    bad = raw != np.floor(raw)
    if bad.any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry(name, i)} is {raw[i]:g}, it must be an integer")
    return raw.astype(np.int64)
