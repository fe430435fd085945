"""What surrounds the visible loop of an agent: environments, evaluation, logs, checkpoints, progress.

A loop asks `Run` for its steps and tells it what it did; nothing here chooses an action or changes a
parameter::

    with Run("sac", env, steps, config, seeds, ...) as run:
        run.keep(actor=actor, replay=replay, ...)  # what a checkpoint holds; filled if a run is resumed
        for t in run:
            action = ...                           # act, on run.observations()
            action, step = run.step(action)
            run.metrics = ...                      # learn
            run.after(t, act)                      # evaluate, log and save what is due

The folder of a run holds ``run.json`` (what was asked for), ``log.jsonl`` (metrics and finished episodes),
``evaluations.csv`` and ``checkpoints/``. A run that is resumed cuts the logs back to its checkpoint, so that
they read as if it had never stopped.
"""

import contextlib
import dataclasses
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import gymnasium
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import eluder
from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.deep.common import devices
from eluder.deep.common.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from eluder.deep.common.environments import EnvLike, Step, make_environments
from eluder.deep.common.log import Log
from eluder.deep.common.random import seed_keys

__all__ = ["Run", "Schedule", "Stateful", "read_run", "updates_due"]

Act = Callable[[Tensor], Tensor]  # observations (N, B, ...) to the actions of a policy (N, B, ...)


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
        for name in ("evaluate_every", "log_every", "save_every", "num_threads"):
            checks.integer(name, getattr(self, name), 0)
        for name in ("episodes", "keep"):
            checks.integer(name, getattr(self, name))


class Run:
    """A run of an agent: N seeds with `num_envs` environments each.

    Parameters
    ----------
    agent : str
        Name of the agent.
    env : str or callable
        A gymnasium id, or a factory of environments.
    steps : int
        Environment steps of each seed.
    config : dataclass
        Configuration of the agent.
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
    num_envs : int
        Environments of each seed; `steps` counts the steps of all of them.

    Raises
    ------
    ValueError
        If an argument is out of range, `out` holds a run already and is not to be resumed, or holds another
        one.
    """

    def __init__(
        self,
        agent: str,
        env: EnvLike,
        steps: int,
        config: Any,
        seeds: Sequence[int],
        device: str,
        out: str | os.PathLike[str] | None,
        resume: bool,
        schedule: Schedule,
        num_envs: int = 1,
    ) -> None:
        self.steps = checks.integer("steps", steps)
        self.seeds = [checks.integer(f"seeds[{i}]", s, 0) for i, s in enumerate(seeds)]
        self.device = _device(device)
        self.keys = seed_keys(self.seeds, self.device)
        self.schedule, self.stride = schedule, checks.integer("num_envs", num_envs)
        _warn_if_busy()
        threads = schedule.env_threads
        self.envs = make_environments(env, self.seeds, num_envs, threads=threads)
        self.judges = make_environments(env, self.seeds, 1, threads=threads, purpose="evaluate")
        self.out = None if out is None else Path(out)
        self.start = 0
        self.holders: dict[str, Stateful] = {}
        self.metrics: dict[str, Tensor] = {}  # name: shape (N,); the newest values
        self.evaluations: list[tuple[int, Array]] = []
        self.about = _about(agent, env, config, self.seeds)
        self.about |= {"steps": self.steps, "device": device, "schedule": dataclasses.asdict(schedule)}
        self.resumed = self._held(resume)
        self.log = Log(self.out, self.seeds, tensorboard=schedule.tensorboard)
        self._seen = torch.empty(0)
        self._stack = contextlib.ExitStack()

    @property
    def N(self) -> int:
        """Number of seeds."""
        return len(self.seeds)

    def continuous(self) -> tuple[int, int]:
        """Return the numbers of one observation and of one action; refuse discrete actions."""
        space = self.envs.action_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise ValueError(f"env must have actions in a box, has {space}")
        return self.obs_dim, math.prod(space.shape)

    def discrete(self) -> tuple[int, int]:
        """Return the numbers of one observation and of actions; refuse actions in a box."""
        space = self.envs.action_space
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise ValueError(f"env must have discrete actions, has {space}")
        return self.obs_dim, int(space.n)

    @property
    def obs_dim(self) -> int:
        """Numbers of one observation, as one axis."""
        return math.prod(self.envs.observation_space.shape)

    def observations(self) -> Tensor:
        """Return the observations to act on: shape (N, E, obs_dim); off the CPU always the same tensor."""
        return self._seen

    def _see(self, obs: np.ndarray) -> None:
        """Take new observations of the environments."""
        self.obs = obs
        x = torch.from_numpy(np.ascontiguousarray(obs)).view(self.N, self.stride, self.obs_dim)
        if devices.has_kernels(self.device):
            self._seen = x
        else:  # where graphs read it
            self._seen = (
                self._seen if self._seen.shape == x.shape else torch.empty_like(x, device=self.device)
            )
            self._seen.copy_(x, non_blocking=True)

    def step(self, action: Tensor) -> tuple[np.ndarray, Step]:
        """Take one step in every environment.

        Parameters
        ----------
        action : Tensor, shape (N, E, A) in [-1, 1], or (N, E) of int64
            The actions.

        Returns
        -------
        ndarray, shape (N E, A) or (N E,)
            The actions.
        Step
            What followed; observations as rows.
        """
        done = action.cpu().numpy().reshape(self.N * self.stride, *action.shape[2:])
        step = self.envs.step(done)
        rows = (len(done), self.obs_dim)
        step = step._replace(obs=step.obs.reshape(rows), next_obs=step.next_obs.reshape(rows))
        self._see(step.obs)
        return done, step

    def _held(self, resume: bool) -> bool:
        """Compare what the folder holds with what is asked for; say whether there is a checkpoint."""
        if self.out is None or not (self.out / "run.json").exists():
            return False
        if not resume:
            raise ValueError(f"{self.out} holds a run already: resume=True goes on with it")
        held = read_run(self.out)
        for key in ("agent", "env", "config", "seeds"):
            if held.get(key) != self.about[key]:
                raise ValueError(
                    f"{self.out} holds another run: {key} is {held.get(key)}, asked for {self.about[key]}"
                )
        return bool(checkpoints(self.out / "checkpoints"))

    def _describe(self) -> None:
        """Write ``run.json``, at once or not at all."""
        if self.out is None or (self.out / "run.json").exists():
            return
        self.out.mkdir(parents=True, exist_ok=True)
        hidden = self.out / f".run-{os.getpid()}.json"
        hidden.write_text(
            json.dumps({**self.about, "version": eluder.__version__}, indent=1), encoding="utf-8"
        )
        os.replace(hidden, self.out / "run.json")

    def keep(self, **holders: Stateful) -> None:
        """Say what a checkpoint holds; if the run is resumed, fill it from the newest one, and the
        environments too.

        Parameters
        ----------
        **holders : Stateful
            By name: networks, optimisers, buffers, statistics.

        Raises
        ------
        ValueError
            If the checkpoint does not fit, or an environment does not repeat its episode.
        """
        self.holders = holders
        self._describe()
        if not self.resumed:
            self._see(self.envs.reset())
            self.log.cut(0)
            return
        assert self.out is not None
        tensors, state = load_checkpoint(self.out / "checkpoints")
        for name, holder in holders.items():
            holder.load(_part(tensors, name))
        self.start = int(state["step"])
        self.envs.restore({key: x.numpy() for key, x in _part(tensors, "envs").items()}, state["envs"])
        self._see(self.envs.obs)
        self.metrics = {key: x.to(self.device) for key, x in _part(tensors, "metrics").items()}
        self.evaluations = [(s, np.array(x)) for s, x in state["evaluations"]]
        self.log.cut(self.start)
        if not _crossed(self.start - self.stride, self.start, self.schedule.evaluate_every):
            self._drop_evaluation()

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
        for thing in (self.envs, self.judges, self.log):
            self._stack.callback(thing.close)
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

    def after(self, t: int, act: Act) -> None:
        """Close the loop body of step t: log, evaluate and save what is due.

        Parameters
        ----------
        t : int
            Steps done before this one.
        act : callable
            The deterministic policy.
        """
        now = t + self.stride
        due = self.schedule
        last = now >= self.steps
        for env, total, length in self.envs.finished():
            self.log.episode(now, env // self.stride, total, length)
        if self.metrics and _crossed(t, now, due.log_every):
            self.log.metrics(now, self.metrics)
        if last or _crossed(t, now, due.evaluate_every):
            self.evaluate(now, act)
        if self.out is not None and (last or _crossed(t, now, due.save_every)):
            self.save(now)

    def evaluate(self, now: int, act: Act) -> None:
        """Let the deterministic policy of each seed play its episodes; keep and log the returns."""
        episodes = self.schedule.episodes
        returns = np.full((self.N, episodes), np.nan)
        lengths = np.zeros((self.N, episodes), np.int64)
        done = np.zeros(self.N, np.int64)
        obs = self.judges.reset(now * episodes)  # episodes of no other evaluation, whatever was done before
        self.judges.finished()
        while (done < episodes).any():
            with torch.no_grad():
                action = act(torch.from_numpy(obs).to(self.device).view(self.N, 1, self.obs_dim))[:, 0]
            obs = self.judges.step(action.cpu().numpy()).obs
            for env, total, length in self.judges.finished():
                if done[env] < episodes:
                    returns[env, done[env]], lengths[env, done[env]] = total, length
                    done[env] += 1
        self.evaluations.append((now, returns))
        self.log.evaluation(now, returns, lengths)

    def save(self, now: int) -> None:
        """Write a checkpoint of step `now`."""
        assert self.out is not None
        self.log.flush()
        tensors: dict[str, Tensor] = {}
        state: dict[str, Any] = {"step": now}
        for name, holder in self.holders.items():
            tensors |= {f"{name}/{key}": x for key, x in holder.state().items()}
        arrays, state["envs"] = self.envs.state()
        tensors |= {f"envs/{key}": torch.from_numpy(x) for key, x in arrays.items()}
        tensors |= {f"metrics/{key}": x for key, x in self.metrics.items()}
        state["evaluations"] = [(s, x.tolist()) for s, x in self.evaluations]
        save_checkpoint(self.out / "checkpoints", now, tensors, state, keep=self.schedule.keep)

    def result(self, act: Act, networks: Mapping[str, Mapping[str, Tensor]]) -> TrainResult:
        """Return what the run leads to.

        Parameters
        ----------
        act : callable
            The deterministic policy.
        networks : mapping of str to mapping of str to Tensor
            Parameters of each network, shapes (N, ...).

        Returns
        -------
        TrainResult
            Evaluations, parameters and the policy.
        """

        def policy(obs: Array) -> Array:
            with torch.no_grad():
                x = torch.as_tensor(np.asarray(obs, np.float32), device=self.device)
                return np.asarray(self.envs.scale(act(x.reshape(*x.shape[:2], self.obs_dim)).cpu().numpy()))

        steps = np.array([s for s, _ in self.evaluations], np.int64)
        returns = np.stack([x for _, x in self.evaluations])
        parameters = {
            f"{name}/{key}": x.detach().cpu().numpy().copy()
            for name, network in networks.items()
            for key, x in network.items()
        }
        return TrainResult(np.array(self.seeds), steps, returns, parameters, policy, self.out)


def updates_due(since: int, stride: int, utd: float) -> range:
    """Return the numbers of the updates that are due after the next steps.

    Parameters
    ----------
    since : int
        Steps done since the warm-up ended; negative before.
    stride : int
        Steps that are done at once.
    utd : float
        Updates per step.

    Returns
    -------
    range
        Consecutive over the calls of a run: nothing but the step has to be known to go on with it.

    Examples
    --------
    >>> [list(updates_due(t, 10, 0.15)) for t in (-10, 0, 10)]
    [[], [0], [1, 2]]
    """
    before, now = (math.floor(max(0, n) * utd + 1e-9) for n in (since, since + stride))
    return range(before, now)


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
    except FileNotFoundError:
        raise ValueError(f"{out} holds no run: {file} is missing") from None
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    if not isinstance(held, dict):
        raise ValueError(f"{file} is damaged: it is no mapping")
    return held


def _about(agent: str, env: EnvLike, config: Any, seeds: list[int]) -> dict[str, Any]:
    """Describe a run as plain data."""
    name = (
        env
        if isinstance(env, str)
        else f"{getattr(env, '__module__', '?')}:{getattr(env, '__qualname__', '?')}"
    )
    plain = json.loads(json.dumps(dataclasses.asdict(config)))
    return {"agent": agent, "env": name, "seeds": seeds, "config": plain}


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of one holder."""
    found = {key.partition("/")[2]: x for key, x in tensors.items() if key.startswith(f"{name}/")}
    if not found and name != "metrics":
        raise ValueError(f"the checkpoint holds no {name}")
    return found


def _crossed(before: int, now: int, every: int) -> bool:
    """Say whether a multiple of `every` lies in (before, now]."""
    return every > 0 and now // every > before // every


def _device(name: str) -> torch.device:
    """Return a device that is there."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
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
