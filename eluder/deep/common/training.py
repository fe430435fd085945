"""What surrounds every training loop: seeds, device, folder, logs, checkpoints, progress.

`Training` knows no environment; `eluder.deep.common.run.Run` adds them. The folder of a run holds
``run.json`` (what was asked for), ``log.jsonl`` (metrics and finished episodes), ``evaluations.csv`` and
``checkpoints/``. A run that is resumed cuts the logs back to its checkpoint, so that they read as if it had
never stopped.
"""

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import eluder
from eluder.core import checks
from eluder.core.types import Array
from eluder.deep.common.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from eluder.deep.common.log import Log
from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import seed_keys

__all__ = ["Schedule", "Stateful", "Training", "part", "read_run"]


MOST_THREADS = 1024  # more than a system may start
KINDS = {  # what run.json says
    "agent": str,
    "env": str,
    "seeds": list,
    "config": dict,
    "steps": int,
    "device": str,
    "schedule": dict,
}


@runtime_checkable
class Stateful(Protocol):
    """Something a checkpoint can hold."""

    def state(self) -> Mapping[str, Tensor]:
        """Return the tensors that matter."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place."""
        ...


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When a run evaluates, logs and saves; all in environment steps of one seed, 0 for never.

    Attributes
    ----------
    evaluate_every : int
        Steps between evaluations; there is one at the end in any case.
    episodes : int
        Episodes of an evaluation.
    log_every : int
        Steps between lines of metrics.
    save_every : int
        Steps between checkpoints; there is one at the end if there is a folder.
    keep : int
        Checkpoints that stay.
    num_threads : int
        Threads of one tensor operation on the CPU while the run lasts; 0 leaves PyTorch's own choice. More
        than one pays only for many seeds or wide networks, and costs dearly on a busy machine.
    env_threads : int or "auto"
        Threads that step heavy MuJoCo models.
    progress : bool
        Whether to show a progress bar.
    tensorboard : bool
        Whether to write TensorBoard's files too.
    """

    evaluate_every: int = 10_000
    episodes: int = 10
    log_every: int = 1_000
    save_every: int = 50_000
    keep: int = 2
    num_threads: int = 1
    env_threads: int | str = "auto"
    progress: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("evaluate_every", "log_every", "save_every"):
            checks.integer(name, getattr(self, name), 0)
        checks.integer("num_threads", self.num_threads, 0, MOST_THREADS)
        for name in ("episodes", "keep"):
            checks.integer(name, getattr(self, name))


class Training:
    """A training run of N seeds, `stride` steps at a time.

    Parameters
    ----------
    about : mapping of str to Any
        What is trained, as plain data: agent, env, config; a folder goes on only with the same.
    steps : int
        Steps of each seed.
    seeds : sequence of int
        The seeds.
    device : str
        Where the tensors live.
    out : path or None
        Folder of the logs and checkpoints; nothing is written without one.
    resume : bool
        Whether to go on from the newest checkpoint in `out`, if there is one.
    schedule : Schedule
        When to evaluate, log and save.
    stride : int
        Steps that are done at once.

    Raises
    ------
    ValueError
        If an argument is out of range, `out` holds a run already and is not to be resumed, or holds another
        one.

    Examples
    --------
    >>> about = {"agent": "counter", "env": "none", "config": {}}
    >>> with Training(about, 3, [0], "cpu", None, False, Schedule()) as run:
    ...     run.keep()
    ...     print(list(run))
    [0, 1, 2]
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        steps: int,
        seeds: Sequence[int],
        device: str,
        out: str | os.PathLike[str] | None,
        resume: bool,
        schedule: Schedule,
        stride: int = 1,
    ) -> None:
        self.steps = checks.integer("steps", steps)
        if not isinstance(seeds, Iterable):
            raise ValueError(f"seeds must be a sequence of integers, got {seeds!r}")
        self.seeds = [checks.integer(f"seeds[{i}]", s, 0) for i, s in enumerate(seeds)]
        if len(set(self.seeds)) < self.N:
            i = next(i for i, seed in enumerate(self.seeds) if seed in self.seeds[:i])
            raise ValueError(f"seeds[{i}] is {self.seeds[i]} again: equal seeds are one run")
        self.device = _device(device)
        self.keys = seed_keys(self.seeds, self.device)
        if not isinstance(schedule, Schedule):
            raise ValueError(f"schedule must be a Schedule, got {schedule!r}")
        self.schedule, self.stride = schedule, stride
        _warn_if_busy()
        try:
            self.out = None if out is None else Path(out)
        except TypeError:
            raise ValueError(f"out must be a path, got {out!r}") from None
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise ValueError(f"out must be a folder, {self.out} is a file")
        self.start = 0
        self.holders: dict[str, Stateful] = {}
        self.metrics: dict[str, Tensor] = {}  # name: shape (N,); the newest values
        self.evaluations: list[tuple[int, Array]] = []
        self.about = {**about, "seeds": self.seeds, "steps": self.steps, "device": str(device)}
        self.about |= {"schedule": dataclasses.asdict(schedule)}
        self.about = json.loads(json.dumps(self.about, default=_plain))  # as a file gives it back
        self.resumed = self._held(resume)
        self.log = Log(self.out, self.seeds, tensorboard=schedule.tensorboard)
        self._stack = contextlib.ExitStack()

    @property
    def N(self) -> int:
        """Number of seeds."""
        return len(self.seeds)

    def _held(self, resume: bool) -> bool:
        """Compare what the folder holds with what is asked for; say whether there is a checkpoint."""
        if self.out is None or not (self.out / "run.json").exists():
            return False
        if not resume:
            raise ValueError(
                f"{self.out} holds a run already: resume=True, or eluder resume, goes on with it; "
                "another run needs another folder"
            )
        held = read_run(self.out)
        for key in ("agent", "env", "config", "seeds"):
            if held.get(key) != self.about[key]:
                raise ValueError(
                    f"{self.out} holds another run: {key} is {held.get(key)}, asked for {self.about[key]}"
                )
        return bool(checkpoints(self.out / "checkpoints"))

    def _describe(self) -> None:
        """Write ``run.json``, at once or not at all."""
        if self.out is None:
            return
        if (self.out / "run.json").exists() and read_run(self.out)["steps"] >= self.steps:
            return
        text = json.dumps({**self.about, "version": eluder.__version__}, indent=1)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            hidden = self.out / f".run-{os.getpid()}.json"
            hidden.write_text(text, encoding="utf-8")
            os.replace(hidden, self.out / "run.json")
        except OSError as error:
            raise ValueError(f"out cannot be written: {error}") from None

    def keep(self, **holders: Stateful) -> None:
        """Say what a checkpoint holds; if the run is resumed, fill it from the newest one.

        Parameters
        ----------
        **holders : Stateful
            By name: networks, optimisers, buffers, statistics.

        Raises
        ------
        ValueError
            If the checkpoint does not fit.
        """
        self.holders = holders
        if not self.resumed:
            self._begin()
            self._describe()
            self.log.cut(0)
            return
        assert self.out is not None
        tensors, state = load_checkpoint(self.out / "checkpoints")
        missing = {"step", "evaluations"} - state.keys()
        if missing:
            raise ValueError(f"the newest checkpoint in {self.out} holds no {', '.join(sorted(missing))}")
        for name, holder in holders.items():
            holder.load(part(tensors, name))
        self.start = int(state["step"])
        self._restore(tensors, state)
        self.metrics = {key: x.to(self.device) for key, x in part(tensors, "metrics").items()}
        self.evaluations = [(s, np.array(x)) for s, x in state["evaluations"]]
        self._describe()  # not before all that may refuse
        self.log.cut(self.start)
        if not _crossed(self.start - self.stride, self.start, self.schedule.evaluate_every):
            self._drop_evaluation()

    def _begin(self) -> None:
        """Begin what a checkpoint would have restored."""

    def _restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go back to what `_extra` returned."""

    def _extra(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what else a checkpoint holds."""
        return {}, {}

    def _drop_evaluation(self) -> None:
        """Forget the evaluation that ended the run before it was made longer: it would not be due there."""
        if self.evaluations and self.evaluations[-1][0] == self.start < self.steps:
            self.evaluations.pop()
            self.log.cut_evaluations(self.start - 1)

    def __enter__(self) -> Self:
        if self.schedule.num_threads and self.device.type == "cpu":
            before = torch.get_num_threads()
            torch.set_num_threads(self.schedule.num_threads)
            self._stack.callback(torch.set_num_threads, before)
        self._stack.callback(self.log.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[int]:
        """Yield the number of steps done so far, until `steps` are."""
        show = self.schedule.progress
        with tqdm(total=self.steps, initial=self.start, disable=not show, unit="step") as bar:
            for t in range(self.start, self.steps, self.stride):
                yield t
                bar.update(self.stride)

    def due(self, t: int) -> tuple[bool, bool]:
        """Log what is due after step t; say whether to evaluate, and to save then.

        Parameters
        ----------
        t : int
            Steps done before this one.

        Returns
        -------
        tuple of bool
            Whether to evaluate, whether to save.
        """
        now, due = t + self.stride, self.schedule
        last = now >= self.steps
        if self.metrics and _crossed(t, now, due.log_every):
            self.log.metrics(now, self.metrics)
        evaluate = last or _crossed(t, now, due.evaluate_every)
        return evaluate, self.out is not None and (last or _crossed(t, now, due.save_every))

    def finite(self, parameters: Parameters) -> list[bool]:
        """Say of each seed whether its parameters are finite."""
        rows = [x.detach().flatten(1).isfinite().all(dim=1) for x in parameters.tensors.values()]
        fine: list[bool] = torch.stack(rows).all(dim=0).tolist()
        return fine

    def warn_if_diverged(self, parameters: Parameters) -> None:
        """Warn of seeds whose parameters are not finite; to be called when a run ends.

        Parameters
        ----------
        parameters : Parameters
            What was trained, or its average.

        Warns
        -----
        RuntimeWarning
            If there are such seeds: their results mean nothing, those of the others are as they would be.
        """
        self.warn_of(self.finite(parameters))

    def warn_of(self, fine: Sequence[bool]) -> None:
        """Warn of the seeds that are not fine, as `warn_if_diverged`."""
        lost = [seed for seed, good in zip(self.seeds, fine, strict=True) if not good]
        if lost:
            text = f"training of seeds {lost} diverged: their parameters are not finite; try a smaller lr"
            warnings.warn(text, RuntimeWarning, stacklevel=4)

    def save(self, now: int) -> None:
        """Write a checkpoint of step `now`."""
        assert self.out is not None
        self.log.flush()
        tensors, state = self._extra()
        for name, holder in self.holders.items():
            tensors |= {f"{name}/{key}": x for key, x in holder.state().items()}
        tensors |= {f"metrics/{key}": x for key, x in self.metrics.items()}
        state |= {"step": now, "evaluations": [(s, x.tolist()) for s, x in self.evaluations]}
        save_checkpoint(self.out / "checkpoints", now, tensors, state, keep=self.schedule.keep)


def read_run(out: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what ``run.json`` in the folder of a run says.

    Parameters
    ----------
    out : path
        The folder.

    Returns
    -------
    dict
        Agent, environment, seeds and configuration.

    Raises
    ------
    ValueError
        If there is none or it is damaged.

    Examples
    --------
    >>> read_run("no/such/folder")
    Traceback (most recent call last):
    ValueError: no/such/folder holds no run: no/such/folder/run.json is missing
    """
    file = Path(out) / "run.json"
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{out} holds no run: {file} is missing") from None
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    if not isinstance(held, dict):
        raise ValueError(f"{file} is damaged: it is no mapping")
    for name, kind in KINDS.items():
        if not isinstance(held.get(name), kind):
            raise ValueError(f"{file} is damaged: {name} is {held.get(name, 'missing')!r}")
    return held


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of one holder.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Those of a checkpoint, named "holder/tensor".
    name : str
        The holder.

    Returns
    -------
    dict of str to Tensor
        Its tensors, by their own names.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> part({"actor/w0": torch.zeros(1)}, "actor")
    {'w0': tensor([0.])}
    """
    found = {key.partition("/")[2]: x for key, x in tensors.items() if key.startswith(f"{name}/")}
    if not found and name != "metrics":
        raise ValueError(f"the checkpoint holds no {name}")
    return found


def _plain(x: Any) -> Any:
    """Return a number of NumPy as one of Python's."""
    if isinstance(x, np.generic):
        return x.item()
    raise ValueError(f"config must be plain data, has {x!r}")


def _crossed(before: int, now: int, every: int) -> bool:
    """Say whether a multiple of `every` lies in (before, now]."""
    return every > 0 and now // every > before // every


def _device(name: str) -> torch.device:
    """Return a device that is there."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()  # not so on "meta", which holds no numbers
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def _warn_if_busy() -> None:
    """Warn where the machine has more to do than it has processors."""
    if not hasattr(os, "getloadavg"):
        return
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    if load > cpus + 1:
        warnings.warn(f"load is {load:.1f} on {cpus} processors: training will be slow", stacklevel=4)
