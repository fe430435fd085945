"""Reinforcement learning theory: algorithms that read like their papers, checked against exact answers."""

import importlib
from typing import Any

__version__ = "0.1.0"
_ROOMS = ("core", "envs", "tabular", "experiments")
__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> Any:
    # Import on first use, so that `import eluder` costs nothing.
    if name in _ROOMS:
        return importlib.import_module(f"eluder.{name}")
    raise AttributeError(f"module 'eluder' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
