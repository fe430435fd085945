"""Learners for tests of the runner: slow, failing, or not a learner at all."""

import os
import time
from pathlib import Path

import numpy as np

from eluder.core.exact import optimal_value
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult


def sleepy(mdp: EpisodicMDP, K: int, *, seconds: float = 0.05, rng: np.random.Generator) -> OnlineResult:
    """Play random values below the optimum, after a nap."""
    time.sleep(seconds)
    value = mdp.mu @ optimal_value(mdp)[0] - rng.random(K) / np.arange(1, K + 1)
    nothing = np.zeros((mdp.H, 1), np.int64)
    return OnlineResult(value, value, np.zeros((mdp.H, 1, 1)), nothing, nothing)


def fragile(mdp: EpisodicMDP, K: int, *, flag: str, rng: np.random.Generator) -> OnlineResult:
    """Fail on every second seed while the file `flag` is there."""
    if K > 1 and Path(flag).exists() and rng.random() < 0.5:
        raise ZeroDivisionError("this learner divides by zero")
    return sleepy(mdp, K, seconds=0.0, rng=rng)


def broken(mdp: EpisodicMDP, K: int, *, rng: np.random.Generator) -> OnlineResult:
    """Return NaN."""
    result = sleepy(mdp, K, seconds=0.0, rng=rng)
    result.value[-1] = np.nan
    return result


def deadly(mdp: EpisodicMDP, K: int, *, rng: np.random.Generator) -> OnlineResult:
    """Kill the process it runs in, as the system does to one that takes all memory."""
    if K > 1:
        os._exit(9)
    return sleepy(mdp, K, seconds=0.0, rng=rng)
