"""Environments side by side, with one contract for how a step ends.

Whatever makes an episode end, a step says where its action led (`next_obs`, never the observation after a
reset), whether the problem ended there (`terminated`) or only the episode did (`truncated`), and what the
next action is chosen from (`obs`). Episodes are reset here, at once, with a seed that is a function of the
run's seed, the environment's place and the number of the episode. So nothing random is hidden in an
environment: its state is the number of its episode and the actions since the reset, and a run is resumed by
doing them again.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from eluder.core import checks

__all__ = ["EnvLike", "Environments", "Step", "make_environments"]

EnvLike = str | Callable[[], gymnasium.Env]


class Step(NamedTuple):
    """What a step of n environments leads to.

    Attributes
    ----------
    obs : ndarray of float32, shape (n, ...)
        What the next action is chosen from: where an episode ended, the first observation of the next.
    reward : ndarray of float32, shape (n,)
        Rewards.
    next_obs : ndarray of float32, shape (n, ...)
        Where the action led, also at an end.
    terminated, truncated : ndarray of bool, shape (n,)
        Whether the problem ended there; whether the episode was cut there.
    valid : ndarray of bool, shape (n,)
        False where the step was no transition: the reset of a vector environment that spends a step on it.
    """

    obs: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray


class Environments:
    """Some environments for each seed, stepped here one after another.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments.
    seeds : sequence of int
        Seeds of the run.
    per_seed : int, default=1
        Environments of each seed; they lie side by side, those of the first seed first.
    purpose : str, default="train"
        What they are for: other purposes see other episodes.

    Attributes
    ----------
    observation_space : Box
        Of one environment; a discrete one is given as one-hot vectors.
    action_space : Box or Discrete
        Of one environment, in its own units.
    obs : ndarray of float32, shape (n, ...)
        What the next action is chosen from.

    Raises
    ------
    ValueError
        If the environment cannot be made, or its spaces are neither boxes nor discrete.

    Examples
    --------
    >>> with Environments("CartPole-v1", [0, 1]) as envs:
    ...     obs = envs.reset()
    ...     step = envs.step(np.zeros(2, np.int64))
    >>> obs.shape, step.reward.tolist()
    ((2, 4), [1.0, 1.0])
    """

    def __init__(
        self, env: EnvLike, seeds: Sequence[int], per_seed: int = 1, *, purpose: str = "train"
    ) -> None:
        self.name = env if isinstance(env, str) else getattr(env, "__qualname__", repr(env))
        self.seeds = [seed for seed in seeds for _ in range(checks.integer("per_seed", per_seed))]
        self.places = [i for _ in seeds for i in range(per_seed)]
        self.purpose = zlib.crc32(purpose.encode())
        self.worlds = [_make(env, self.name) for _ in self.seeds]
        self.num = len(self.worlds)
        space, self.action_space = self.worlds[0].observation_space, self.worlds[0].action_space
        self.one_hot = int(space.n) if isinstance(space, Discrete) else 0
        self.first = int(space.start) if isinstance(space, Discrete) else 0
        self.observation_space = _observations(self.name, space)
        self.low, self.half = _actions(self.name, self.action_space)
        self.obs = np.zeros((self.num, *self.observation_space.shape), np.float32)
        self.episodes = [-1] * self.num
        self.actions: list[list[np.ndarray]] = [[] for _ in self.worlds]
        self.totals = [0.0] * self.num
        self.ended: list[tuple[int, float, int]] = []
        self.t = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environments."""
        for world in self.worlds:
            world.close()

    def _encode(self, obs: Any) -> np.ndarray:
        if not self.one_hot:
            return np.asarray(obs, np.float32)
        vector = np.zeros(self.one_hot, np.float32)
        vector[int(obs) - self.first] = 1.0
        return vector

    def _reset(self, e: int) -> np.ndarray:
        """Begin the next episode of an environment."""
        self.episodes[e] += 1
        self.actions[e], self.totals[e] = [], 0.0
        key = [self.seeds[e], self.places[e], self.episodes[e], self.purpose]
        seed = int(np.random.SeedSequence(key).generate_state(1)[0])
        return self._encode(self.worlds[e].reset(seed=seed)[0])

    def reset(self, episode: int | None = None) -> np.ndarray:
        """Begin a new episode everywhere.

        Parameters
        ----------
        episode : int, optional
            Its number, the same everywhere; by default the next one of each environment.

        Returns
        -------
        ndarray of float32, shape (n, ...)
            The observations.

        Raises
        ------
        ValueError
            If one is not finite.
        """
        if episode is not None:
            self.episodes = [episode - 1] * self.num
        self.obs = np.stack([self._reset(e) for e in range(self.num)])
        self._check("observation", self.obs)
        return self.obs

    def scale(self, action: np.ndarray) -> np.ndarray:
        """Return actions in the units of the environment: of a box from [-1, 1], cut to its ends."""
        if isinstance(self.action_space, Discrete):
            return action + int(self.action_space.start)
        x = self.low + (np.clip(action, -1.0, 1.0) + 1.0) * self.half
        shaped = x.reshape(*action.shape[:-1], *self.action_space.shape)
        return np.asarray(shaped, self.action_space.dtype)

    def step(self, action: np.ndarray) -> Step:
        """Take one step everywhere.

        Parameters
        ----------
        action : ndarray, shape (n, A) in [-1, 1], or (n,) of int
            The actions.

        Returns
        -------
        Step
            What they led to.

        Raises
        ------
        ValueError
            If an observation or a reward is not finite.
        """
        n = self.num
        follow = np.empty_like(self.obs)
        reward, (terminated, truncated) = np.empty(n, np.float32), np.zeros((2, n), bool)
        for e, (world, a) in enumerate(zip(self.worlds, self.scale(action))):
            obs, reward[e], terminated[e], truncated[e], _ = world.step(a)
            follow[e] = self._encode(obs)
            self.actions[e].append(action[e])
            self.totals[e] += float(reward[e])
        self.t += 1
        self._check("observation", follow)
        self._check("reward", reward)
        self.obs = follow
        ended = terminated | truncated
        if ended.any():
            self.obs = follow.copy()
            for e in np.flatnonzero(ended).tolist():
                self.ended.append((e, self.totals[e], len(self.actions[e])))
                self.obs[e] = self._reset(e)
            self._check("observation", self.obs)
        return Step(self.obs, reward, follow, terminated, truncated, np.ones(n, bool))

    def _check(self, what: str, x: np.ndarray) -> None:
        """Refuse what is not finite."""
        if not np.isfinite(x).all():
            e, *index = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
            raise ValueError(
                f"{self.name} (environment {e}, seed {self.seeds[e]}) gave {what}{index or ''} = "
                f"{x[(e, *index)]} at step {self.t}"
            )

    def finished(self) -> list[tuple[int, float, int]]:
        """Return the episodes that ended since the last call: place, undiscounted return and length."""
        ended, self.ended = self.ended, []
        return ended

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what brings the environments back: arrays, and plain data."""
        done = [a for each in self.actions for a in each]
        arrays = {"obs": self.obs, "actions": np.stack(done)} if done else {"obs": self.obs}
        return arrays, {
            "episodes": self.episodes,
            "lengths": [len(each) for each in self.actions],
            "t": self.t,
        }

    def restore(self, arrays: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> None:
        """Go back to a `state`: reset with the same seeds and do the actions of the episode again.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Observations and actions.
        data : mapping of str to object
            Numbers of the episodes and of their steps.

        Raises
        ------
        ValueError
            If the observations are not the same to the bit: the environment does not repeat its episodes.
        """
        self.ended, at, obs = [], 0, np.zeros_like(self.obs)
        for e, (episode, length) in enumerate(zip(data["episodes"], data["lengths"])):
            if episode < 0:
                continue
            self.episodes[e] = episode - 1
            obs[e] = self._reset(e)
            for action in arrays["actions"][at : at + length] if length else ():
                last, reward, *_ = self.worlds[e].step(self.scale(action[None])[0])
                obs[e] = self._encode(last)
                self.actions[e].append(action)
                self.totals[e] += float(np.float32(reward))
            at += length
            if not np.array_equal(obs[e], arrays["obs"][e]):
                raise ValueError(
                    f"{self.name} (environment {e}, seed {self.seeds[e]}) did not repeat its episode: "
                    "it cannot be resumed exactly"
                )
        self.obs, self.t = obs, int(data["t"])


def make_environments(
    env: EnvLike,
    seeds: Sequence[int],
    per_seed: int = 1,
    *,
    threads: int | str = "auto",
    purpose: str = "train",
) -> Environments:
    """Return environments for each seed.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments.
    seeds : sequence of int
        Seeds of the run.
    per_seed : int, default=1
        Environments of each seed.
    threads : int or "auto", default="auto"
        Threads for heavy MuJoCo models.
    purpose : str, default="train"
        What they are for.

    Returns
    -------
    Environments
        Not reset yet.

    Raises
    ------
    ValueError
        As `Environments`.

    Examples
    --------
    >>> make_environments("CartPole-v1", [0]).num
    1
    """
    return Environments(env, seeds, per_seed, purpose=purpose)


def _make(env: EnvLike, name: str) -> gymnasium.Env:
    """Make one environment."""
    if isinstance(env, str):
        try:
            return gymnasium.make(env)
        except (gymnasium.error.Error, ImportError) as error:
            raise ValueError(f"env {env!r} cannot be made: {error}") from None
    if not callable(env):
        raise ValueError(f"env must be a gymnasium id or a factory, got {env!r}")
    world = env()
    if not isinstance(world, gymnasium.Env):
        raise ValueError(f"env must make a gymnasium.Env, {name} made {type(world).__name__}")
    return world


def _observations(name: str, space: gymnasium.Space) -> Box:
    """Return the space of encoded observations."""
    if isinstance(space, Discrete):
        return Box(0.0, 1.0, (int(space.n),), np.float32)
    if isinstance(space, Box):
        return space
    raise ValueError(f"{name} must have observations in a box or discrete ones, has {space}: wrap it")


def _actions(name: str, space: gymnasium.Space) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower end of the box of actions and half its width, as one axis."""
    if isinstance(space, Discrete):
        return np.zeros(1), np.zeros(1)
    if not isinstance(space, Box):
        raise ValueError(f"{name} must have actions in a box or discrete ones, has {space}: wrap it")
    low, high = space.low.astype(np.float64).reshape(-1), space.high.astype(np.float64).reshape(-1)
    if not (np.isfinite(low) & np.isfinite(high)).all():
        i = int(np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))[0])
        raise ValueError(f"{name} must have bounded actions, entry {i} lies in [{low[i]}, {high[i]}]")
    return low, (high - low) / 2.0
