"""What duelling learners keep of each pair of arms: wins, the share of wins, and 1 / sqrt(duels)."""

import math

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array

__all__ = ["count_duel", "pick", "width"]


@kernel
def width(t: int, alpha: float) -> float:
    """Return ``sqrt(alpha ln t)``, the radius of a pair that met once."""
    return math.sqrt(alpha * math.log(t))


@kernel
def pick(k: int, rng: np.random.Generator) -> int:
    """Return one of 0, ..., k - 1; no draw if k is 1."""
    return min(int(rng.random() * k), k - 1) if k > 1 else 0


@kernel
def count_duel(wins: Array, p: Array, shrink: Array, a: int, b: int, won: bool) -> None:
    """Add the duel of a and b to `wins`, `p` and `shrink`; a duel of an arm with itself says nothing."""
    if a == b:
        return
    if won:
        wins[a, b] += 1.0
    else:
        wins[b, a] += 1.0
    n = wins[a, b] + wins[b, a]
    p[a, b], p[b, a] = wins[a, b] / n, wins[b, a] / n
    shrink[a, b] = 1.0 / math.sqrt(n)
    shrink[b, a] = shrink[a, b]
