"""Public functions found by name, and their parameters checked against their own signatures.

The library, the command line and study files cannot drift apart: the signature of a function is the only
list of its parameters.
"""

import difflib
import functools
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

from eluder.core.guarantees import Paper
from eluder.core.results import BanditResult, OnlineResult

__all__ = [
    "AREAS",
    "algorithms",
    "arguments",
    "call_parameters",
    "check_problem",
    "cite",
    "find",
    "functions",
    "learners",
    "refuse_unknown",
]

Function = Callable[..., Any]

AREAS = ("eluder.tabular", "eluder.linear")  # the rooms that hold algorithms


@functools.cache
def functions(room: str) -> dict[str, Function]:
    """Return the public functions of a room and of the rooms inside it, by name.

    Parameters
    ----------
    room : str
        A package such as ``"eluder.tabular"`` or ``"eluder.envs"``.

    Returns
    -------
    dict of str to callable
        In the order of the rooms and of their ``__all__``.

    Examples
    --------
    >>> "ucbvi" in functions("eluder.tabular")
    True
    """
    top = importlib.import_module(room)
    inner = [m for _, m, is_package in pkgutil.walk_packages(top.__path__, f"{room}.") if is_package]
    modules = [top, *map(importlib.import_module, inner)]
    found = {n: getattr(m, n) for m in modules for n in getattr(m, "__all__", ())}
    return {name: f for name, f in found.items() if inspect.isfunction(f)}


@functools.cache
def algorithms() -> dict[str, Function]:
    """Return every algorithm of the library: the public functions of the rooms in `AREAS`.

    Returns
    -------
    dict of str to callable
        By name.

    Examples
    --------
    >>> {"ucbvi", "lin_ucb"} <= set(algorithms())
    True
    """
    return {name: f for room in AREAS for name, f in functions(room).items()}


@functools.cache
def learners() -> dict[str, Function]:
    """Return what a study can run: the public functions that return an OnlineResult or a BanditResult.

    Returns
    -------
    dict of str to callable
        By name.

    Examples
    --------
    >>> {"ucbvi", "ucb1"} <= set(learners()), "value_iteration" in learners()
    (True, False)
    """
    kinds = (OnlineResult, BanditResult)
    every = algorithms()
    hints: dict[str, typing.Any] = {name: typing.get_type_hints(f).get("return") for name, f in every.items()}
    return {n: f for n, f in every.items() if isinstance(hints[n], type) and issubclass(hints[n], kinds)}


def find(kind: str, name: str, known: Mapping[str, Function]) -> Function:
    """Return the function called `name`: one of `known`, or ``"module:function"`` of the user's own.

    Parameters
    ----------
    kind : str
        What it is, for messages: "algorithm" or "problem".
    name : str
        The name.
    known : mapping of str to callable
        The functions to choose from.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    ValueError
        If there is none; the message lists the valid names.

    Examples
    --------
    >>> find("function", "math:sqrt", {})(4)
    2.0
    """
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            return typing.cast(Function, getattr(importlib.import_module(module), attribute))
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"{kind} {name!r} cannot be imported: {error}") from None
    refuse_unknown(kind, [name], known)
    return known[name]


def refuse_unknown(kind: str, names: Collection[str], known: Collection[str]) -> None:
    """Raise for the first of `names` that is not in `known`.

    Parameters
    ----------
    kind : str
        What the names are, for the message.
    names : collection of str
        The names given.
    known : collection of str
        The valid names.

    Raises
    ------
    ValueError
        Naming the first unknown one, the nearest valid one and all valid ones.

    Examples
    --------
    >>> refuse_unknown("algorithm", ["ucbvl"], ["psrl", "ucbvi"])
    Traceback (most recent call last):
    ValueError: unknown algorithm 'ucbvl', did you mean 'ucbvi'? Valid: psrl, ucbvi
    """
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"unknown {kind} {name!r}{hint} Valid: {', '.join(known) or 'none'}")


def call_parameters(function: Function, skip: int = 0) -> dict[str, inspect.Parameter]:
    """Return the parameters of `function` that plain data can set.

    Parameters
    ----------
    function : callable
        Any function.
    skip : int, default=0
        Leading parameters to leave out (the problem and the budget of an algorithm).

    Returns
    -------
    dict of str to inspect.Parameter
        Without `rng`.

    Examples
    --------
    >>> from eluder.tabular.exploration import ucbvi
    >>> list(call_parameters(ucbvi, skip=2))
    ['bonus', 'stationary', 'delta', 'c']
    """
    named = list(inspect.signature(function).parameters.values())[skip:]
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {p.name: p for p in named if p.kind not in variadic and p.name != "rng"}


def arguments(where: str, function: Function, given: Mapping[str, Any], skip: int = 0) -> dict[str, Any]:
    """Check arguments against the signature of `function` and add its defaults.

    Parameters
    ----------
    where : str
        Who gave them, for messages.
    function : callable
        The function to be called.
    given : mapping of str to object
        Arguments by name: plain data.
    skip : int, default=0
        Leading parameters that are not given by name.

    Returns
    -------
    dict of str to object
        Every parameter in the order of the signature, numbers converted to the annotated type.

    Raises
    ------
    ValueError
        If a name is unknown, a required one is missing, or a value does not fit its annotation.

    Examples
    --------
    >>> from eluder.tabular.exploration import ucbvi
    >>> arguments("UCBVI", ucbvi, {"c": 1}, skip=2)
    {'bonus': 'hoeffding', 'stationary': False, 'delta': 0.05, 'c': 1.0}
    """
    parameters = call_parameters(function, skip)
    refuse_unknown(f"parameter of {where}:", given, parameters)
    hints = typing.get_type_hints(function)
    complete = {}
    for name, parameter in parameters.items():
        if name in given:
            complete[name] = _fit(f"{where}: {name}", given[name], hints.get(name))
        elif parameter.default is inspect.Parameter.empty:
            raise ValueError(f"{where}: {name} is required ({function.__name__}{_signature(parameters)})")
        else:
            complete[name] = parameter.default
    return complete


def cite(paper: Paper) -> str:
    """Return a paper as one line.

    Parameters
    ----------
    paper : Paper
        The source.

    Returns
    -------
    str
        Authors, title, venue, year and arXiv id.

    Examples
    --------
    >>> cite(Paper("Is it so?", "Doe", "ICML", 2020, "2001.00001"))
    'Doe. Is it so? ICML, 2020. arXiv:2001.00001'
    """
    title = paper.title if paper.title.endswith("?") else f"{paper.title}."
    text = f"{paper.authors}. {title} {paper.venue}, {paper.year}."
    return f"{text} arXiv:{paper.arxiv}" if paper.arxiv else text


def check_problem(who: str, function: Function, label: str, problem: Any) -> None:
    """Refuse a problem that is not of the kind which the first parameter of an algorithm is annotated with.

    Parameters
    ----------
    who : str
        Name of the algorithm, for the message.
    function : callable
        The algorithm.
    label : str
        Name of the problem, for the message.
    problem : EpisodicMDP or DiscountedMDP
        The problem.

    Raises
    ------
    ValueError
        If it does not fit.

    Examples
    --------
    >>> from eluder.tabular.exploration import ucbvi
    >>> from eluder.core.problems import DiscountedMDP
    >>> mdp = DiscountedMDP(P=[[[1.0]]], r=[[0.5]], mu=[1.0], gamma=0.9)
    >>> check_problem("ucbvi", ucbvi, "Loop", mdp)
    Traceback (most recent call last):
    ValueError: ucbvi needs EpisodicMDP, Loop is DiscountedMDP: H makes the former
    """
    parameters = list(inspect.signature(function).parameters)
    if not parameters:
        raise ValueError(f"{who} must take a problem, {function!r} takes nothing")
    wanted = typing.get_type_hints(function).get(parameters[0])
    kinds = typing.get_args(wanted) or (wanted,)
    if all(isinstance(t, type) for t in kinds) and not isinstance(problem, kinds):
        make = {"EpisodicMDP": "H makes the former", "DiscountedMDP": "gamma makes the former"}
        names = " or ".join(t.__name__ for t in kinds)
        hint = make.get(names, "choose another constructor")
        raise ValueError(f"{who} needs {names}, {label} is {type(problem).__name__}: {hint}")


def _signature(parameters: Mapping[str, inspect.Parameter]) -> str:
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters.values()]
    return f"({', '.join(map(str, bare))})"


def _fit(where: str, value: Any, hint: Any) -> Any:
    """Return `value` as its annotation wants it; annotations that are not of plain data are not checked."""
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        if value not in choices:
            raise ValueError(f"{where} must be one of {', '.join(map(repr, choices))}, got {value!r}")
        return value
    wanted = [t for t in (choices or (hint,)) if t in (bool, int, float, str, type(None))]
    if len(wanted) != len(choices or (hint,)):
        return value
    if type(value) in wanted:
        return value
    if type(value) is int and float in wanted:
        return float(value)
    if type(value) is float and int in wanted and value.is_integer():
        return int(value)
    names = " or ".join("None" if t is type(None) else t.__name__ for t in wanted)
    raise ValueError(f"{where} must be of type {names}, got {value!r}")
