"""The rows of the contract: what each public algorithm is called with, and what it refuses."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eluder.core.results import OnlineResult


@dataclass
class Row:
    """One algorithm: `call(seed)` runs it on a small instance; each error is (arguments, message)."""

    name: str
    problem: Callable[[], Any]
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    result: type = OnlineResult
    seeded: bool = True
    errors: tuple = ()
    check: Callable[[Any, Any], None] | None = None  # of (problem, result), for results of its own kind

    @property
    def function(self):
        room, name = self.name.rsplit(".", 1)
        return getattr(importlib.import_module(f"eluder.{room}"), name)

    def call(self, seed=3, problem=None, **changes):
        args = list(self.args)
        kwargs = {**self.kwargs, **changes}
        first, *names = inspect.signature(self.function).parameters
        problem = kwargs.pop(first, problem)
        for i, key in enumerate(names[: len(args)]):
            args[i] = kwargs.pop(key, args[i])
        if self.seeded:
            kwargs.setdefault("rng", np.random.default_rng(seed))
        return self.function(self.problem() if problem is None else problem, *args, **kwargs)


BUDGET = (({"K": 0}, "K must be at least 1"), ({"K": 2.5}, "K must be an integer"))
STEPS = (({"T": 0}, "T must be at least 1"), ({"T": 2.5}, "T must be an integer"))
RNG = (({"rng": 7}, "rng must be a numpy.random.Generator"),)
DELTA = (({"delta": 0.0}, r"delta must be in \(0, 1\)"), ({"delta": float("nan")}, "delta must be in"))
SCALE = (({"c": -1.0}, r"c must be in \[0, inf"), ({"c": float("inf")}, "c must be in"))
