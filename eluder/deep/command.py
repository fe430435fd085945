"""What ``eluder train`` and ``eluder resume`` do."""

import argparse
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eluder.deep import online
from eluder.deep.common.config import configure, tuned
from eluder.deep.common.training import Schedule, read_run

__all__ = ["changed_schedule", "read_changes", "resume", "train"]


def train(arguments: argparse.Namespace, literal: Callable[[str], Any]) -> None:
    """Train an agent as the command line says.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of ``eluder train``.
    literal : callable
        Reads a value.

    Raises
    ------
    ValueError
        If an argument is refused.
    """
    agent, config = _agent(arguments.agent)
    changes = read_changes(arguments.changes, literal)
    config = configure(tuned(config, arguments.agent, arguments.env), changes)
    out = arguments.out or Path("runs") / f"{arguments.agent}-{arguments.env.replace('/', '-')}"
    schedule = changed_schedule(arguments, Schedule(), {})
    result = agent(
        arguments.env,
        arguments.steps,
        config=config,
        seeds=arguments.seeds,
        device=arguments.device,
        out=out,
        schedule=schedule,
    )
    _show_training(result)


def resume(arguments: argparse.Namespace) -> None:
    """Go on with a run as the command line says.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of ``eluder resume``.

    Raises
    ------
    ValueError
        If the folder holds no run, or one that cannot be made again from its description.
    """
    held = read_run(arguments.directory)
    if "setting" in held:
        from eluder.deep.inventory import command

        command.resume(arguments, held)
        return
    agent, config = _agent(held["agent"])
    if held.get("factory", ":" in held["env"]):
        raise ValueError(f"{held['env']} is a factory of your own: resume it from Python, with resume=True")
    result = agent(
        held["env"],
        held["steps"] if arguments.steps is None else arguments.steps,
        config=configure(config, held["config"]),
        seeds=held["seeds"],
        device=arguments.device or held["device"],
        out=arguments.directory,
        resume=True,
        schedule=changed_schedule(arguments, Schedule(), held["schedule"]),
    )
    _show_training(result)


def _agent(name: str) -> tuple[Callable[..., Any], Any]:
    """Return an agent and its default configuration."""
    agents = {n: f for n in online.__all__ if inspect.isfunction(f := getattr(online, n))}
    if name not in agents:
        near = difflib.get_close_matches(name, agents, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown agent {name!r}{hint} Valid: {', '.join(sorted(agents))}")
    return agents[name], inspect.signature(agents[name]).parameters["config"].default


def read_changes(texts: Sequence[str], literal: Callable[[str], Any]) -> dict[str, Any]:
    """Read what ``--set`` was told.

    Parameters
    ----------
    texts : sequence of str
        FIELD=VALUE each.
    literal : callable
        Reads a value.

    Returns
    -------
    dict
        Values by field.

    Raises
    ------
    ValueError
        If a text has no equals sign.

    Examples
    --------
    >>> read_changes(["lr=0.1"], float)
    {'lr': 0.1}
    """
    changes = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set takes FIELD=VALUE, got {text!r}")
        changes[name] = literal(value)
    return changes


def changed_schedule(arguments: argparse.Namespace, schedule: Schedule, held: Mapping[str, Any]) -> Any:
    """Return the schedule: what the run was begun with, changed by flags.

    Parameters
    ----------
    arguments : argparse.Namespace
        Flags of ``eluder train`` or ``eluder resume``.
    schedule : Schedule
        The default.
    held : mapping of str to Any
        What a run was begun with.

    Returns
    -------
    Schedule
        The schedule.

    Examples
    --------
    >>> flags = argparse.Namespace(
    ...     evaluate_every=5, episodes=None, log_every=None, save_every=None, num_threads=None, quiet=True,
    ...     tensorboard=False)
    >>> changed_schedule(flags, Schedule(), {"episodes": 3}).episodes
    3
    """
    names = ("evaluate_every", "episodes", "log_every", "save_every", "num_threads")
    flags = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    flags |= {"progress": not arguments.quiet}
    if arguments.tensorboard:
        flags["tensorboard"] = True
    return configure(schedule, {**held, **flags})


def _show_training(result: Any) -> None:
    """Print the returns of each evaluation, over seeds and episodes."""
    print("steps       mean return  lowest seed  highest seed")
    for step, returns in zip(result.steps, result.returns):
        by_seed = returns.mean(axis=1)
        print(f"{step:<10}  {by_seed.mean():<11.5g}  {by_seed.min():<11.5g}  {by_seed.max():.5g}")
    print(f"\n{len(result.seeds)} seeds in {result.out}: evaluations.csv, log.jsonl, checkpoints/")
