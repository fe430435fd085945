"""Studies: plain data that say which problems, algorithms, seeds and budgets to run.

A study is a Python file of module-level names (or a TOML file with the same keys)::

    problems = {"RiverSwim": ("river_swim", {"S": 6, "H": 20}),
                "FrozenLake": ("gymnasium", {"id": "FrozenLake-v1", "H": 40})}
    algorithms = {"UCBVI": ("ucbvi", {"bonus": "bernstein", "c": 0.1}), "PSRL": "psrl"}
    seeds = 20
    budget = 2000                                   # episodes, or {problem label: episodes}

Every pair of a label and a function may have parameters, checked against the function's signature. A problem
whose constructor draws its instance (it has an argument `rng`) takes an integer `seed`, 0 by default: the
instance's randomness is separate from the runs'. A function of your own is named ``"module:function"``.
"""

import dataclasses
import functools
import hashlib
import inspect
import itertools
import json
import re
import runpy
import tomllib
import traceback
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eluder.core import checks
from eluder.experiments import catalogue

__all__ = ["Study", "build", "cells", "entropy", "load_study"]

MOST_CELLS = 1_000_000  # each is a file or two
RESULTS = 1  # raised when a release gives other numbers for the same cell; old cells are then refused

Component = tuple[str, dict[str, Any]]
Cell = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What to run: every algorithm on every problem with every seed.

    Attributes
    ----------
    problems : mapping of str to (str, dict)
        Label -> name of a constructor of `eluder.envs` (or "gymnasium", with an `id`) and its parameters.
    algorithms : mapping of str to (str, dict)
        Label -> name of an algorithm and its parameters.
    budget : int or mapping of str to int
        Episodes (or steps, for average reward), for all problems or by label.
    seeds : int
        Seeds 0, ..., seeds - 1.
    name : str
        Name of the study; part of the entropy of its cells.
    epsilons : tuple of float
        Accuracies for which the sample complexity is stored.
    score : callable, optional
        ``score(cells) -> DataFrame`` on the finished table of cells; its result is printed and stored.

    Raises
    ------
    ValueError
        If the data are not of this form.

    Examples
    --------
    >>> Study(problems={"R": "river_swim"}, algorithms={"U": ["ucbvi", {"c": 0.1}]}, budget=10).algorithms
    {'U': ('ucbvi', {'c': 0.1})}
    """

    problems: Mapping[str, Any]
    algorithms: Mapping[str, Any]
    budget: int | Mapping[str, int]
    seeds: int = 20
    name: str = "study"
    epsilons: tuple[float, ...] = ()
    score: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        problems = _components("problems", self.problems)
        normal: dict[str, Any] = {
            "name": _name(self.name),
            "problems": problems,
            "algorithms": _components("algorithms", self.algorithms),
            "seeds": checks.integer("seeds", self.seeds),
            "epsilons": _epsilons(self.epsilons),
        }
        if self.score is not None and not callable(self.score):
            raise ValueError(f"score must be a function of the table of cells, got {self.score!r}")
        size = len(problems) * len(normal["algorithms"]) * normal["seeds"]
        if size > MOST_CELLS:
            raise ValueError(f"a study holds at most {MOST_CELLS:,} cells, this one has {size:,}")
        budget = self.budget if isinstance(self.budget, Mapping) else dict.fromkeys(problems, self.budget)
        if set(budget) != set(problems):
            raise ValueError(f"budget must name the problems {list(problems)}, got {list(budget)}")
        normal["budget"] = {p: checks.integer(f"budget of {p}", budget[p]) for p in problems}
        for field, value in normal.items():
            object.__setattr__(self, field, value)

    def config(self) -> dict[str, Any]:
        """Return the whole study, but for `score`, as plain data."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "score"}
        data: dict[str, Any] = json.loads(json.dumps({**plain, "results": RESULTS}))
        return data


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip(".") or re.search(r"[/\\\0]", name):
        raise ValueError(f"name must be a word that can name a directory, got {name!r}")
    return name


def _epsilons(epsilons: Any) -> tuple[float, ...]:
    if not isinstance(epsilons, list | tuple):
        raise ValueError(f"epsilons must be a list of numbers, got {epsilons!r}")
    return tuple(checks.number("epsilons", e, 0.0, open_low=True) for e in epsilons)


def _components(field: str, given: Any) -> dict[str, Component]:
    """Check {label: name | (name, params)} and return {label: (name, params)} of plain data."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"{field} must be a mapping from labels to (name, parameters), got {given!r}")
    components: dict[str, Component] = {}
    for label, component in given.items():
        if not isinstance(label, str) or not label.strip() or not label.isprintable():
            raise ValueError(f"labels of {field} must be printable text, got {label!r}")
        name, params = (component, {}) if isinstance(component, str) else _pair(field, label, component)
        try:
            components[label] = (name, json.loads(json.dumps(params, allow_nan=False)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{field}[{label!r}]: parameters must be plain data: {error}") from None
    return components


def _pair(field: str, label: str, component: Any) -> tuple[str, Mapping[str, Any]]:
    fits = isinstance(component, list | tuple) and len(component) == 2 and isinstance(component[0], str)
    if not fits or not isinstance(component[1], Mapping):
        raise ValueError(f"{field}[{label!r}] must be a name or (name, parameters), got {component!r}")
    return component[0], component[1]


def load_study(source: str | Path) -> Study:
    """Read a study.

    Parameters
    ----------
    source : str or Path
        A Python file of plain data, a TOML file, or the name of a built-in study.

    Returns
    -------
    Study
        As written; its name is that of the file where it has none.

    Raises
    ------
    ValueError
        If there is no such file or name, if it cannot be read, or if a key is missing or unknown.

    Examples
    --------
    >>> load_study("quickstart").seeds
    20
    """
    path = Path(source)
    if path.suffix == ".toml" and path.is_file():
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not TOML: {error}") from None
    elif path.suffix == ".py" and path.is_file():
        data = _executed(path)
    else:
        known = built_in()
        if path.suffix in (".py", ".toml"):
            raise ValueError(f"there is no file {path}")
        catalogue.refuse_unknown("study", [str(source)], known)
        path = known[str(source)]
        data = _executed(path)
    fields = {f.name: f for f in dataclasses.fields(Study)}
    catalogue.refuse_unknown(f"key in {path.name}:", data, fields)
    missing = [n for n in ("problems", "algorithms", "budget") if n not in data]
    if missing:
        raise ValueError(f"{path.name} does not set {', '.join(missing)}")
    return Study(**{"name": path.stem, **data})


def _executed(path: Path) -> dict[str, Any]:
    """Run a study file; an error names its file and the line."""
    try:
        return _plain(runpy.run_path(str(path)))
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise ValueError(f"{path}{where}: {type(error).__name__}: {error}") from error


def built_in() -> dict[str, Path]:
    """Return the files of the built-in studies by name."""
    folder = Path(__file__).parent / "studies"
    return {p.stem: p for p in sorted(folder.glob("*.py")) if p.stem != "__init__"}


def _plain(module: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the names of a study file that are, or look like, a study's; helpers are left out."""
    fields = {f.name for f in dataclasses.fields(Study)}
    code = (types.ModuleType, types.FunctionType, type)
    helper = {n for n, x in module.items() if n.startswith("_") or isinstance(x, code)}
    return {n: x for n, x in module.items() if n in fields or not (n in helper or n.isupper())}


def resolve(study: Study) -> Study:
    """Find every function of a study and complete its parameters with the defaults.

    Parameters
    ----------
    study : Study
        As written.

    Returns
    -------
    Study
        The same with all parameters: what is run, and what is stored.

    Raises
    ------
    ValueError
        If a name or a parameter is unknown, or a value does not fit its annotation.

    Examples
    --------
    >>> study = Study(problems={"Lake": ("gymnasium", {"id": "FrozenLake-v1", "H": 20})},
    ...               algorithms={"U": ("ucbvi", {"c": 1})}, budget=10)
    >>> resolve(study).algorithms["U"]
    ('ucbvi', {'bonus': 'hoeffding', 'stationary': False, 'delta': 0.05, 'c': 1.0})
    """
    known = catalogue.learners()
    algorithms = {
        label: (name, catalogue.arguments(label, catalogue.find("algorithm", name, known), params, skip=2))
        for label, (name, params) in study.algorithms.items()
    }
    problems = {
        label: (name, complete(label, name, params)) for label, (name, params) in study.problems.items()
    }
    return dataclasses.replace(study, problems=problems, algorithms=algorithms)


def _constructor(name: str) -> Callable[..., Any]:
    return catalogue.find("problem", name, constructors())


@functools.cache
def constructors() -> dict[str, Callable[..., Any]]:
    """Return the constructors of problems by name: those of `eluder.envs`, and "gymnasium"."""
    known = {n: f for n, f in catalogue.functions("eluder.envs").items() if n != "to_gymnasium"}
    return {"gymnasium": known.pop("from_gymnasium"), **known}


def problem_parameters(name: str) -> dict[str, inspect.Parameter]:
    """Return what a constructor of problems takes; `rng` is set by an integer `seed`."""
    constructor = _constructor(name)
    parameters = catalogue.call_parameters(constructor, skip=int(name == "gymnasium"))
    if _draws(constructor):
        parameters["seed"] = inspect.Parameter("seed", inspect.Parameter.KEYWORD_ONLY, default=0)
    return parameters


def _draws(constructor: Callable[..., Any]) -> bool:
    return "rng" in inspect.signature(constructor).parameters


def complete(label: str, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters of a problem and add the defaults."""
    constructor = _constructor(name)
    if name == "gymnasium":
        if "id" not in params:
            raise ValueError(f"{label}: id is required, such as 'FrozenLake-v1'")
        ours, theirs = _split(params)
        return {**theirs, **catalogue.arguments(label, constructor, ours, skip=1)}
    if not _draws(constructor):
        return catalogue.arguments(label, constructor, params)
    seed = checks.integer(f"{label}: seed", params.get("seed", 0), 0)
    params = {key: value for key, value in params.items() if key != "seed"}
    return {**catalogue.arguments(label, constructor, params), "seed": seed}


def _split(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the parameters of `from_gymnasium` from those of ``gymnasium.make``."""
    own = problem_parameters("gymnasium")
    return {k: v for k, v in params.items() if k in own}, {k: v for k, v in params.items() if k not in own}


def build(name: str, params: Mapping[str, Any]) -> Any:
    """Make a problem.

    Parameters
    ----------
    name : str
        A constructor, as in `Study.problems`.
    params : mapping of str to object
        Its parameters.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        The problem.

    Raises
    ------
    ValueError
        If the constructor refuses its parameters.

    Examples
    --------
    >>> build("river_swim", {"S": 6, "H": 20}).H
    20
    """
    constructor = _constructor(name)
    if name != "gymnasium":
        params = dict(params)
        if _draws(constructor):
            params["rng"] = np.random.default_rng(params.pop("seed", 0))
        return constructor(**params)

    import gymnasium

    ours, theirs = _split(params)
    try:
        env = gymnasium.make(**theirs)
    except (gymnasium.error.Error, TypeError) as error:
        raise ValueError(f"gymnasium.make({theirs}): {error}") from None
    return constructor(env, **ours)


def override(study: Study, target: str, key: str, value: Any) -> Study:
    """Change one parameter of the problems or algorithms called `target`.

    Parameters
    ----------
    study : Study
        The study.
    target : str
        A label, or the name of a function: then of all labels that use it.
    key : str
        The parameter.
    value : object
        Its new value. Where a label shows the old one, as in "UCBVI (c=0.1)", it shows the new one.

    Returns
    -------
    Study
        The changed study.

    Raises
    ------
    ValueError
        If nothing in the study is called `target`, or two labels become the same.

    Examples
    --------
    >>> study = Study(problems={"R": "river_swim"}, algorithms={"U (c=0.1)": ("ucbvi", {"c": 0.1})}, budget=1)
    >>> override(study, "ucbvi", "c", 0.5).algorithms
    {'U (c=0.5)': ('ucbvi', {'c': 0.5})}
    """

    def changed(components: Mapping[str, Component]) -> dict[str, Component]:
        new: dict[str, Component] = {}
        for label, (name, params) in components.items():
            if target in (label, name):
                label = label.replace(f"{key}={params.get(key)}", f"{key}={value}")
                params = {**params, key: value}
            if label in new:
                raise ValueError(f"{target}.{key}={value} gives two entries the label {label!r}")
            new[label] = (name, params)
        return new

    everything = {**study.problems, **study.algorithms}
    names = [*everything, *dict.fromkeys(name for name, _ in everything.values())]
    catalogue.refuse_unknown("problem or algorithm", [target], names)
    problems = changed(study.problems)
    budget = dict(zip(problems, study.budget.values(), strict=True))  # type: ignore[union-attr]
    return dataclasses.replace(study, problems=problems, algorithms=changed(study.algorithms), budget=budget)


def cells(config: Mapping[str, Any]) -> list[Cell]:
    """Return the specifications of all cells of a study, problems outermost.

    Parameters
    ----------
    config : mapping of str to object
        ``resolve(study).config()``.

    Returns
    -------
    list of dict
        Plain data: all that the numbers of a cell depend on.

    Examples
    --------
    >>> study = Study(problems={"R": "river_swim"}, algorithms={"U": "ucbvi"}, budget=10, seeds=2)
    >>> [cell["seed"] for cell in cells(study.config())]
    [0, 1]
    """
    grid = itertools.product(config["problems"].items(), config["algorithms"].items(), range(config["seeds"]))
    return [
        {
            "study": config["name"],
            "problem": [problem, *constructor],
            "algorithm": [algorithm, *function],
            "budget": config["budget"][problem],
            "seed": seed,
            "epsilons": config["epsilons"],
            "results": config["results"],
        }
        for (problem, constructor), (algorithm, function), seed in grid
    ]


def digest(data: Any) -> str:
    """Return the sha256 of plain data, independent of the order of keys."""
    text = json.dumps(data, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def entropy(cell: Cell) -> int:
    """Return the entropy of a cell's generator: 128 bits that depend on study, algorithm, problem and seed.

    Parameters
    ----------
    cell : dict
        One of `cells`.

    Returns
    -------
    int
        For ``numpy.random.default_rng``.

    Examples
    --------
    >>> cell = {"study": "s", "algorithm": ["a", "ucbvi", {}], "problem": ["p", "chain", {}], "seed": 0}
    >>> entropy(cell) == entropy({**cell, "seed": 1})
    False
    """
    return int(digest([cell["study"], cell["algorithm"][0], cell["problem"][0], cell["seed"]])[:32], 16)
