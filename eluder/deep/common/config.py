"""Configurations as plain data: from the command line, from ``run.json`` and from the defaults of an
environment."""

import dataclasses
import difflib
import functools
import math
import tomllib
import typing
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from eluder.core import checks

__all__ = ["check_interval", "check_layers", "configure", "tuned"]

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = typing.TypeVar("C", bound="DataclassInstance")


def check_layers(hidden: Any) -> None:
    """Refuse what is no sequence of numbers of units, one for each hidden layer.

    Parameters
    ----------
    hidden : tuple of int
        The field of that name.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> check_layers((64, 0))
    Traceback (most recent call last):
    ValueError: hidden[1] must be at least 1, got 0
    """
    if not isinstance(hidden, tuple | list):
        raise ValueError(f"hidden must be a tuple of integers, got {hidden!r}")
    for i, units in enumerate(hidden):
        checks.integer(f"hidden[{i}]", units)


def check_interval(name: str, ends: Any, low: float = -math.inf, high: float = math.inf) -> None:
    """Refuse what is no pair of numbers, the smaller first, between `low` and `high`.

    Parameters
    ----------
    name : str
        What messages call it.
    ends : tuple of float
        The pair.
    low, high : float
        Bounds of both.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> check_interval("log_std_range", (2, -20))
    Traceback (most recent call last):
    ValueError: log_std_range must be a pair (low, high) with low <= high, got (2, -20)
    """
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise ValueError(f"{name} must be a pair (low, high), got {ends!r}")
    first, last = (checks.number(f"{name}[{i}]", x, low, high) for i, x in enumerate(ends))
    if first > last:
        raise ValueError(f"{name} must be a pair (low, high) with low <= high, got {ends!r}")


def configure(config: C, changes: Mapping[str, Any]) -> C:
    """Return a configuration with some fields changed.

    Parameters
    ----------
    config : dataclass
        A frozen configuration.
    changes : mapping of str to object
        Plain data by field: numbers, text, lists for tuples, None.

    Returns
    -------
    dataclass
        Of the same type.

    Raises
    ------
    ValueError
        If a field is unknown or a value does not fit its annotation; and what the configuration itself
        refuses.

    Examples
    --------
    >>> from eluder.deep.online import SACConfig
    >>> configure(SACConfig(), {"hidden": [64, 64], "gamma": 1}).hidden
    (64, 64)
    """
    hints = typing.get_type_hints(type(config))
    fields = {f.name: hints[f.name] for f in dataclasses.fields(config)}
    fitted = {}
    for name, x in changes.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"{type(config).__name__} has no field {name!r}{hint} Valid: {', '.join(fields)}"
            )
        fitted[name] = _fit(name, x, fields[name])
    return dataclasses.replace(config, **fitted)


def _fit(name: str, x: Any, hint: Any) -> Any:
    """Return a plain value as the annotation of its field wants it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(x, list | tuple):
            raise ValueError(f"{name} must be a list, got {x!r}")
        kinds = [inner[0]] * len(x) if inner[-1] is Ellipsis else inner
        if len(kinds) != len(x):
            raise ValueError(f"{name} must have {len(kinds)} entries, got {len(x)}")
        return tuple(_fit(f"{name}[{i}]", y, kind) for i, (y, kind) in enumerate(zip(x, kinds)))
    kinds = inner if inner and origin is not typing.Literal else (hint,)
    if origin is typing.Literal:
        return x  # the configuration checks its choices
    for kind in kinds:
        if kind is type(None) and (x is None or x == "none"):
            return None
        if type(x) is kind:
            return x
        if kind is float and type(x) is int and abs(x) < 1e308:
            return float(x)
        if kind is int and type(x) is float and x.is_integer():
            return int(x)
    wanted = " or ".join("none" if kind is type(None) else kind.__name__ for kind in kinds)
    raise ValueError(f"{name} must be of type {wanted}, got {x!r}")


@functools.cache
def _table() -> dict[str, Any]:
    text = resources.files("eluder.deep.online").joinpath("defaults.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def tuned(config: C, agent: str, env: str) -> C:
    """Return the configuration that is kept for an environment, or the one given where there is none.

    Parameters
    ----------
    config : dataclass
        The agent's own defaults.
    agent : str
        Name of the agent.
    env : str
        A gymnasium id.

    Returns
    -------
    dataclass
        Of the same type.

    Examples
    --------
    >>> from eluder.deep.online import SACConfig
    >>> tuned(SACConfig(), "sac", "Pendulum-v1").warmup, tuned(SACConfig(), "sac", "Else-v0").warmup
    (1000, 10000)
    """
    return configure(config, _table().get(agent, {}).get(env, {}))
