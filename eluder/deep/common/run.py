"""What surrounds the visible loop of an agent: environments and evaluation, beside all that `Training` does.

A loop asks `Run` for its steps and tells it what it did; nothing here chooses an action or changes a
parameter::

    with Run("sac", env, steps, config, seeds, ...) as run:
        run.keep(actor=actor, replay=replay, ...)  # what a checkpoint holds; filled if a run is resumed
        for t in run:
            action = ...                           # act, on run.observations()
            action, step = run.step(action)
            run.metrics = ...                      # learn
            run.after(t, act)                      # evaluate, log and save what is due
"""

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.deep.common import devices
from eluder.deep.common.environments import Environments, EnvLike, Step, make_environments
from eluder.deep.common.training import Schedule, Training, part
from eluder.deep.common.vector import VectorAdapter

__all__ = ["Run", "updates_due"]

PATIENCE = 100_000  # steps of an evaluation in which some episode must end
Act = Callable[[Tensor], Tensor]  # observations (N, B, ...) to the actions of a policy (N, B, ...)


class Run(Training):
    """A run of an agent: N seeds with ``config.num_envs`` environments each, whose steps `steps` counts.

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
    ) -> None:
        wanted = f"{agent.replace('_', '')}config"
        if wanted not in [kind.__name__.lower() for kind in type(config).__mro__]:
            raise ValueError(f"config must be that of {agent}, got {config!r}")
        stride, about = config.num_envs, _about(agent, env, config)
        super().__init__(about, steps, seeds, device, out, resume, schedule, stride)
        threads = schedule.env_threads
        self.envs = make_environments(env, self.seeds, stride, threads=threads)
        self.judges = make_environments(env, self.seeds, 1, threads=threads, purpose="evaluate")
        self.lost = np.zeros(self.N, bool)  # seeds whose actions were not finite
        self._here = devices.has_kernels(self.device)
        self._seen = torch.empty(self.N, self.stride, self.obs_dim, device=self.device)

    def __enter__(self) -> Self:
        for thing in (self.envs, self.judges):
            self._stack.callback(thing.close)
        return super().__enter__()

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
        return torch.from_numpy(self.obs) if self._here else self._seen

    def _see(self, obs: np.ndarray) -> None:
        """Take new observations of the environments."""
        self.obs = obs.reshape(self.N, self.stride, -1)
        if not self._here:  # where graphs read it
            self._seen.copy_(torch.from_numpy(self.obs), non_blocking=True)

    def step(self, action: Tensor | np.ndarray) -> tuple[np.ndarray, Step]:
        """Take one step in every environment.

        Parameters
        ----------
        action : Tensor or ndarray, shape (N, E, A) in [-1, 1], or (N, E) of int64
            The actions.

        Returns
        -------
        ndarray, shape (N E, A) or (N E,)
            The actions.
        Step
            What followed; observations as rows.
        """
        array = action.numpy(force=True) if isinstance(action, Tensor) else action
        done = array.reshape(self.N * self.stride, *array.shape[2:])
        done, step = self._stepped(self.envs, done)
        if step.obs.ndim != 2:
            rows = (len(done), self.obs_dim)
            step = step._replace(obs=step.obs.reshape(rows), next_obs=step.next_obs.reshape(rows))
        self._see(step.obs)
        return done, step

    def _stepped(self, envs: Environments | VectorAdapter, action: np.ndarray) -> tuple[np.ndarray, Step]:
        """Step environments; return the actions too: 0 for seeds that diverged, while others go on."""
        try:
            return action, envs.step(action)
        except ValueError:
            lost = ~np.isfinite(action).reshape(self.N, -1).all(axis=1)
            if not lost.any():
                raise
        seeds = [self.seeds[n] for n in np.flatnonzero(lost)]
        text = f"training of seeds {seeds} diverged: their actions are not finite"
        if lost.all():
            raise ValueError(f"{text}; try a smaller step size, or observations and rewards of another scale")
        if (lost & ~self.lost).any():
            warnings.warn(f"{text}, and are 0 from here on", RuntimeWarning, stacklevel=3)
        self.lost |= lost
        action = np.where(np.repeat(lost, len(action) // self.N)[:, None], 0.0, action).astype(action.dtype)
        return action, envs.step(action)

    def _begin(self) -> None:
        self._see(self.envs.reset())

    def _restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        for _, x in state["evaluations"]:
            if len(x[0]) != self.schedule.episodes:
                raise ValueError(
                    f"{self.out} has evaluations of {len(x[0])} episodes, asked for {self.schedule.episodes}"
                )
        if "envs" not in state:
            raise ValueError(f"the newest checkpoint in {self.out} holds no envs")
        self.envs.restore({key: x.numpy() for key, x in part(tensors, "envs").items()}, state["envs"])
        self._see(self.envs.obs)

    def _extra(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        arrays, state = self.envs.state()
        return {f"envs/{key}": torch.from_numpy(x) for key, x in arrays.items()}, {"envs": state}

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
        for env, total, length in self.envs.finished():
            self.log.episode(now, env // self.stride, total, length)
        evaluate, save = self.due(t)
        if evaluate:
            self.evaluate(now, act)
        if save:
            self.save(now)

    def evaluate(self, now: int, act: Act) -> None:
        """Let the deterministic policy of each seed play its episodes; keep and log the returns."""
        episodes = self.schedule.episodes
        returns = np.full((self.N, episodes), np.nan)
        lengths = np.zeros((self.N, episodes), np.int64)
        done = np.zeros(self.N, np.int64)
        obs = self.judges.reset(now * episodes)  # episodes of no other evaluation, whatever was done before
        self.judges.finished()
        waited = 0
        while (done < episodes).any():
            waited += 1
            if waited > PATIENCE:
                raise ValueError(
                    f"env has episodes without end: none ended in {PATIENCE:,} steps of an evaluation; "
                    "gymnasium.wrappers.TimeLimit cuts them"
                )
            with torch.no_grad():
                action = act(torch.from_numpy(obs).to(self.device).view(self.N, 1, self.obs_dim))[:, 0]
            obs = self._stepped(self.judges, action.cpu().numpy())[1].obs
            for env, total, length in self.judges.finished():
                waited = 0
                if done[env] < episodes:
                    returns[env, done[env]], lengths[env, done[env]] = total, length
                    done[env] += 1
        returns[self.lost] = np.nan
        self.evaluations.append((now, returns))
        self.log.evaluation(now, returns, lengths)

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

        Warns
        -----
        RuntimeWarning
            If parameters of a seed are not finite.
        """

        def policy(obs: Array) -> Array:
            with torch.no_grad():
                x = torch.as_tensor(np.asarray(obs, np.float32), device=self.device)
                each = self.envs.observation_space.shape
                if x.shape[2:] not in (each, (self.obs_dim,)) or x.shape[0] not in (1, self.N):
                    wanted = f"({', '.join(map(str, (self.N, 'B', *each)))})"
                    raise ValueError(f"obs must have shape {wanted}, or 1 for {self.N}, got {tuple(x.shape)}")
                x = x.reshape(*x.shape[:2], self.obs_dim).expand(self.N, -1, -1)
                return np.asarray(self.envs.scale(act(x).cpu().numpy()))

        if not self.evaluations:  # a run that was further than it is asked for
            self.evaluate(self.start, act)
        steps = np.array([s for s, _ in self.evaluations], np.int64)
        returns = np.stack([x for _, x in self.evaluations])
        parameters = {
            f"{name}/{key}": x.detach().cpu().numpy().copy()
            for name, network in networks.items()
            for key, x in network.items()
        }
        fine = [all(np.isfinite(x[n]).all() for x in parameters.values()) for n in range(self.N)]
        self.warn_of(fine)
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


def _about(agent: str, env: EnvLike, config: Any) -> dict[str, Any]:
    """Describe a run as plain data."""
    name = (
        env
        if isinstance(env, str)
        else f"{getattr(env, '__module__', '?')}:{getattr(env, '__qualname__', '?')}"
    )
    return {
        "agent": agent,
        "env": name,
        "factory": name is not env,
        "config": dataclasses.asdict(config),
    }
