"""When best-arm identification may stop: thresholds on the evidence, and the result."""

import math
import warnings
from typing import Any

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger
from eluder.core.identification import Family, transport
from eluder.core.kernels import kernel
from eluder.core.results import IdentificationResult
from eluder.core.types import Array

__all__ = ["THRESHOLDS", "evidence", "leader", "result", "threshold", "threshold_code"]

THRESHOLDS = ("proved", "heuristic")


def threshold_code(name: Any) -> bool:
    """Return whether `name` is the proved threshold; refuse what is no threshold."""
    if name not in THRESHOLDS:
        raise ValueError(f"threshold must be 'proved' or 'heuristic', got {name!r}")
    return bool(name == "proved")


@kernel
def bernoulli_threshold(t: float, A: int, delta: float) -> float:
    """Return ``ln(2 t (A - 1) / delta)`` (Garivier and Kaufmann 2016, Theorem 10)."""
    return math.log(2.0 * t * (A - 1.0) / delta)


@kernel
def gaussian_threshold(n_a: float, n_b: float, A: int, delta: float) -> float:
    """Return ``(1 + 1 / min(n_a, n_b)) (ln((A - 1) / delta) + (ln(1 + n_a) + ln(1 + n_b)) / 2)``.

    Proof, as short as that of Theorem 10: with S_i the centred sum of n_i rewards over sigma, ``exp(S_i^2 /
    (2 (1 + n_i))) / sqrt(1 + n_i)`` is a martingale (the exponential one, mixed with a standard normal), so
    is the product for two arms, and by Ville's inequality it never reaches (A - 1) / delta, except with
    probability delta / (A - 1). If b is the better arm, the evidence that a is better is at most ``(S_a^2 /
    n_a + S_b^2 / n_b) / 2``, and ``S^2 / n <= (1 + 1 / n) S^2 / (1 + n)``. Sum over a.
    """
    log = math.log((A - 1.0) / delta) + 0.5 * (math.log1p(n_a) + math.log1p(n_b))
    return (1.0 + 1.0 / min(n_a, n_b)) * log


@kernel
def heuristic_threshold(t: float, delta: float) -> float:
    """Return ``ln((1 + ln t) / delta)``, which experiments use (Garivier and Kaufmann 2016, section 6)."""
    return math.log((1.0 + math.log(t)) / delta)


@kernel
def threshold(laws: Family, proved: bool, n_a: float, n_b: float, t: float, A: int, delta: float) -> float:
    """Return what the evidence for a over b must exceed after t plays."""
    if not proved:
        return heuristic_threshold(t, delta)
    if laws.gaussian:
        return gaussian_threshold(n_a, n_b, A, delta)
    return bernoulli_threshold(t, A, delta)


@kernel
def leader(mean: Array) -> int:
    """Return the arm of the largest mean."""
    best = 0
    for a in range(1, mean.size):
        if mean[a] > mean[best]:
            best = a
    return best


@kernel
def evidence(laws: Family, proved: bool, n: Array, mean: Array, best: int, t: int, delta: float) -> float:
    """Return by how much the evidence for `best` exceeds its threshold, at the arm where it does least."""
    least = math.inf
    for a in range(n.size):
        if a != best:
            cost = transport(laws, n[best], mean[best], n[a], mean[a])
            least = min(least, cost - threshold(laws, proved, n[best], n[a], float(t), n.size, delta))
    return least


def result(books: Ledger, arm: int, total: Array, stopped: bool) -> IdentificationResult:
    """Close the books; say so where the cap on rounds ended the run."""
    pulls = books.pulls
    means = np.divide(total, pulls, out=np.full(total.size, np.nan), where=pulls > 0)
    status = "stopped"
    if not stopped:
        status = (
            f"max_rounds = {books.checkpoints[-1]} reached before the learner was sure: "
            "raise max_rounds or delta; the best two arms may be too close, or equal"
        )
        warnings.warn(status, RuntimeWarning, stacklevel=3)
    return IdentificationResult(int(arm), pulls, means, status)


def confidence(delta: Any, max_rounds: Any, A: int) -> tuple[float, int]:
    """Check the arguments that all learners of fixed confidence share."""
    return checks.failure_probability("delta", delta), checks.integer("max_rounds", max_rounds, A)
