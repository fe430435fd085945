"""What ``eluder train hdpo --setting NAME`` and ``eluder resume`` do for ordering policies."""

import argparse
import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eluder.core.results import TrainResult
from eluder.deep import inventory
from eluder.deep.command import changed_schedule, read_changes
from eluder.deep.common.config import configure
from eluder.deep.inventory._evaluate import bounded_offsets
from eluder.deep.inventory._plot import plot_policy
from eluder.deep.inventory._policies import LevelPolicy, MLPPolicy
from eluder.deep.inventory._problem import Problem
from eluder.envs.inventory import Setting, setting

__all__ = ["resume", "train"]

STEPS = 400  # updates, if none are asked for
SHORT = {
    "levels": "LevelPolicy",
    "mlp": "MLPPolicy",
    "gnn": "GNNPolicy",
    "shared": "SharedLevelPolicy",
    "symmetry": "SymmetryAwarePolicy",
}


def train(arguments: argparse.Namespace, options: Mapping[str, Any], literal: Callable[[str], Any]) -> None:
    """Train an ordering policy as the command line says.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of ``eluder train``.
    options : mapping of str to Any
        Of the setting.
    literal : callable
        Reads a value.

    Raises
    ------
    ValueError
        If an argument is refused.
    """
    trainer, defaults = _trainer(arguments.agent)
    policy = _policy(arguments.policy or "levels")()
    config = configure(defaults["config"], read_changes(arguments.changes, literal))
    given = setting(arguments.setting, **options)
    words = "-".join(f"{key}={value}" for key, value in options.items())
    out = arguments.out or Path("runs") / "-".join(filter(None, (arguments.agent, arguments.setting, words)))
    result = trainer(
        given,
        STEPS if arguments.steps is None else arguments.steps,
        policy=policy,
        config=config,
        seeds=arguments.seeds,
        device=arguments.device,
        out=out,
        schedule=changed_schedule(arguments, defaults["schedule"], {}),
    )
    _show(result, given, policy)


def resume(arguments: argparse.Namespace, held: Mapping[str, Any]) -> None:
    """Go on with a run as the command line says.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of ``eluder resume``.
    held : mapping of str to Any
        What the folder says of the run.

    Raises
    ------
    ValueError
        If the setting cannot be made again from its description.
    """
    trainer, defaults = _trainer(held["agent"])
    if held["setting"] is None:
        raise ValueError(f"{held['env']} is a setting of your own: resume it from Python, with resume=True")
    values = dict(held["config"])
    told = dict(values.pop("policy"))
    policy = configure(_policy(told.pop("policy"))(), told)
    given = setting(held["setting"]["name"], **held["setting"]["options"])
    result = trainer(
        given,
        held["steps"] if arguments.steps is None else arguments.steps,
        policy=policy,
        config=configure(defaults["config"], values),
        seeds=held["seeds"],
        device=arguments.device or held["device"],
        out=arguments.directory,
        resume=True,
        schedule=changed_schedule(arguments, defaults["schedule"], held["schedule"]),
    )
    _show(result, given, policy)


def _trainer(name: str) -> tuple[Callable[..., TrainResult], dict[str, Any]]:
    """Return a trainer and the defaults of its arguments."""
    trainers = {}
    for key in inventory.__all__:
        thing = getattr(inventory, key)
        parameters = inspect.signature(thing).parameters if inspect.isfunction(thing) else {}
        if {"policy", "config"} <= parameters.keys() and _needed(thing) == ["setting", "steps"]:
            trainers[key] = thing
    if name not in trainers:
        near = difflib.get_close_matches(name, trainers, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown trainer {name!r}{hint} Valid: {', '.join(sorted(trainers))}")
    parameters = inspect.signature(trainers[name]).parameters
    return trainers[name], {key: p.default for key, p in parameters.items()}


def _needed(thing: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that have no default."""
    return [word for word, p in inspect.signature(thing).parameters.items() if p.default is p.empty]


def _policy(name: str) -> Any:
    """Return a class of policies that needs no arguments, by its short name or its own."""
    known = {SHORT.get(name, name)} & set(inventory.__all__)
    found = getattr(inventory, known.pop()) if known else None
    alone = inspect.isclass(found) and hasattr(found, "orders") and not _needed(found)
    if not alone:
        raise ValueError(f"unknown policy {name!r}. Valid: {', '.join(SHORT)}")
    return found


def _show(result: TrainResult, given: Setting, policy: LevelPolicy | MLPPolicy) -> None:
    """Print costs and gaps, and draw the policy where the optimal one is known."""
    import torch

    named = result.parameters.items()
    parameters = {k.removeprefix("policy/"): torch.as_tensor(x) for k, x in named if k.startswith("policy/")}
    exact = bounded_offsets(policy, parameters, Problem(given)) or [None] * len(result.seeds)
    best = given.reference()
    print("updates     cost per period and store: mean, lowest and highest seed")
    for step, returns in zip(result.steps, result.returns):
        by_seed = -returns.mean(axis=1)
        print(f"{step:<10}  {by_seed.mean():<9.6g}  {by_seed.min():<9.6g}  {by_seed.max():.6g}")
    if not math.isnan(best) and result.gap is not None:
        print(f"\n{given.kind}: {best:.9g}")
        for seed, gap, found in zip(result.seeds, result.gap, exact, strict=True):
            how = "by simulation" if found is None else f"exact, certified to {found[1].error:.0e}"
            print(f"seed {seed}: gap {100 * gap:.4f} % ({how})")
    if result.out is None:
        return
    written = "evaluations.csv, log.jsonl, checkpoints/"
    if given.name == "lost_sales" and len(given.network.stores) == 1:
        try:
            written = f"{plot_policy(result, given, result.out / 'policy.png').name}, {written}"
        except ValueError as error:  # too many states of the optimal policy
            print(f"\nno picture: {error}")
    print(f"\nin {result.out}: {written}")
