"""Guarantees as data: what a theorem says, in a form that tests, plots and tables can use."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Guarantee", "Paper", "guarantee", "guarantees"]


@dataclass(frozen=True, slots=True)
class Paper:
    """A source: `arxiv` is the arXiv id, empty if it has none."""

    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a paper promises of an algorithm. Each algorithm's module holds a tuple ``GUARANTEES``.

    Attributes
    ----------
    paper : Paper
        The source.
    setting : str
        "planning", "episodic regret", "average-reward regret" or "baseline".
    statement : str
        The guarantee in one line, with the theorem's number where it was confirmed.
    assumptions : str
        What it needs.
    exponent : float or None
        Exponent of K (or T) in the leading term of the regret; None if nothing is promised.
    bound : callable or None
        The bound as a function of keyword arguments ``S, A, H, K, delta`` (``S, A, D, T, delta`` for
        average reward); None where the constants could not be confirmed.
    when : mapping
        The arguments of the algorithm for which this holds, such as ``{"bonus": "bernstein"}``.
    """

    paper: Paper
    setting: str
    statement: str
    assumptions: str = ""
    exponent: float | None = None
    bound: Callable[..., float] | None = None
    when: Mapping[str, Any] = field(default_factory=dict)


def guarantees(algorithm: Callable[..., Any]) -> tuple[Guarantee, ...]:
    """Return all guarantees declared in the module of `algorithm`.

    Parameters
    ----------
    algorithm : callable
        A public algorithm such as ``eluder.tabular.exploration.ucbvi``.

    Returns
    -------
    tuple of Guarantee
        One for each variant that has its own theorem.

    Raises
    ------
    ValueError
        If the module of `algorithm` declares none.

    Examples
    --------
    >>> from eluder.tabular.exploration import ucbvi
    >>> guarantees(ucbvi)[0].exponent
    0.5
    """
    declared = getattr(sys.modules[algorithm.__module__], "GUARANTEES", None)
    if declared is None:
        raise ValueError(f"{algorithm.__name__} declares no GUARANTEES")
    return tuple(declared)


def guarantee(algorithm: Callable[..., Any], **params: Any) -> Guarantee | None:
    """Return the guarantee that holds for `algorithm` called with `params`.

    Parameters
    ----------
    algorithm : callable
        A public algorithm.
    **params
        Keyword arguments of the call; the others have their defaults.

    Returns
    -------
    Guarantee or None
        The first whose ``when`` agrees with the arguments; None if there is none.

    Examples
    --------
    >>> from eluder.tabular.exploration import ucbvi
    >>> guarantee(ucbvi, bonus="bernstein", stationary=True).when
    {'bonus': 'bernstein', 'stationary': True}
    """
    defaults = {
        p.name: p.default
        for p in inspect.signature(algorithm).parameters.values()
        if p.default is not inspect.Parameter.empty
    }
    call = {**defaults, **params}
    for g in guarantees(algorithm):
        if all(call.get(key) == value for key, value in g.when.items()):
            return g
    return None
