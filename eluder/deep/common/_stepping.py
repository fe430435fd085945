"""What environments have in common, however they are stepped: spaces, seeds, checks, episodes."""

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from eluder.core import checks
from eluder.core.kernels import kernel

__all__ = ["Step", "Stepping", "reset_seed"]

ONE = np.float32(1.0)


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


def reset_seed(seed: int, place: int, episode: int, purpose: int) -> int:
    """Return the seed an episode is reset with: a function of nothing but its own numbers."""
    return int(np.random.SeedSequence([seed, place, episode, purpose]).generate_state(1)[0])


class Stepping(ABC):
    """The part of `Environments` that does not depend on how a step is made.

    Subclasses call `_begin` with the spaces of one environment, and fill `obs`.
    """

    def __init__(self, name: str, seeds: Sequence[int], per_seed: int, purpose: str) -> None:
        self.name = name
        per_seed = checks.integer("per_seed", per_seed)
        each = [checks.integer(f"seeds[{i}]", seed, 0) for i, seed in enumerate(seeds)]
        if not each:
            raise ValueError("seeds must not be empty")
        self.seeds = [seed for seed in each for _ in range(per_seed)]
        self.places = [i for _ in each for i in range(per_seed)]
        self.num = len(self.seeds)
        self.purpose = zlib.crc32(purpose.encode())
        self.episodes = [-1] * self.num
        self.totals = [0.0] * self.num
        self.ended: list[tuple[int, float, int]] = []
        self.t = 0

    def _begin(self, observation: gymnasium.Space, action: gymnasium.Space) -> None:
        """Take the spaces of one environment."""
        self.one_hot = int(observation.n) if isinstance(observation, Discrete) else 0
        self.first = int(observation.start) if isinstance(observation, Discrete) else 0
        self.observation_space = _observations(self.name, observation)
        self.action_space = action
        self.discrete = isinstance(action, Discrete)
        self.low, self.high = _actions(self.name, action)
        self.half = (self.high - self.low) / 2.0
        self.native = action.dtype in (np.float32, np.float64)  # what the loops write at once
        self.obs = np.zeros((self.num, *self.observation_space.shape), np.float32)
        self.always = np.ones(self.num, bool)  # what `valid` is where no step is spent on a reset
        self.always.flags.writeable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the environments."""

    def _encode(self, obs: Any) -> np.ndarray:
        """Return one observation, or a batch of them, as a new array."""
        if not self.one_hot:
            return np.array(obs, np.float32, order="C")
        where = np.asarray(obs, np.int64) - self.first
        if (where < 0).any() or (where >= self.one_hot).any():
            last = self.first + self.one_hot - 1
            raise ValueError(f"{self.name} gave observation {obs}, its space says {self.first}..{last}")
        vector = np.zeros((*where.shape, self.one_hot), np.float32)
        np.put_along_axis(vector, where[..., None], 1.0, axis=-1)
        return vector

    def _next_seed(self, e: int) -> int:
        """Number the next episode of an environment, and return the seed of its reset."""
        self.episodes[e] += 1
        return reset_seed(self.seeds[e], self.places[e], self.episodes[e], self.purpose)

    def scale(self, action: np.ndarray) -> np.ndarray:
        """Return actions in the units of the environment: of a box from [-1, 1], cut to its ends.

        Where the box holds integers, the nearest one.

        Parameters
        ----------
        action : ndarray, shape (..., A) in [-1, 1], or (...) of int from 0
            The actions; A numbers each, as one axis.

        Returns
        -------
        ndarray
            Of the type and shape of the environment's space.
        """
        if self.discrete:
            return action + int(self.action_space.start)
        kind = self.action_space.dtype
        out = np.empty((*action.shape[:-1], *self.action_space.shape), kind if self.native else np.float64)
        _to_box(action.reshape(-1), self.low, self.half, self.high, out.reshape(-1))
        if self.native:
            return out
        return (np.rint(out) if kind.kind in "iu" else out).astype(kind)

    def _checked_actions(self, action: np.ndarray) -> np.ndarray:
        """Return a copy of the actions of a step; refuse other shapes and what is no action."""
        given = np.array(action)
        shape = (self.num,) if self.discrete else (self.num, self.low.size)
        if given.shape != shape:
            raise ValueError(f"action must have shape {shape}, got {given.shape}")
        if not self.discrete and not _bad(given.reshape(-1)):
            return given
        good = (given >= 0) & (given < self.action_space.n) if self.discrete else np.isfinite(given)
        if not good.all():
            e, *index = (int(i) for i in np.argwhere(~good)[0])
            within = f"in 0..{self.action_space.n - 1}" if self.discrete else "finite"
            raise ValueError(f"action{[e, *index]} must be {within}, got {given[(e, *index)]}")
        return given

    def _rewards(self, x: np.ndarray) -> np.ndarray:
        """Return rewards as float32; refuse those that are not finite there."""
        rewards = np.empty(self.num, np.float32)
        if _narrow(x, rewards):
            self._check("reward", rewards)
        return rewards

    def _check(self, what: str, x: np.ndarray) -> None:
        """Refuse observations and rewards that are not finite."""
        if _bad(x.reshape(-1)):
            e, *index = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
            raise ValueError(
                f"{self.name} (environment {e}, seed {self.seeds[e]}) gave {what}{index or ''} = "
                f"{x[(e, *index)]} at step {self.t}"
            )

    def finished(self) -> list[tuple[int, float, int]]:
        """Return the episodes that ended since the last call.

        Returns
        -------
        list of (int, float, int)
            Environment, undiscounted return and length of each.
        """
        ended, self.ended = self.ended, []
        return ended


@kernel
def _to_box(x: np.ndarray, low: np.ndarray, half: np.ndarray, high: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with actions in the units of a box, from [-1, 1]; what is beyond is cut."""
    for i in range(x.size):
        j = i % low.size
        y = ONE if x[i] > ONE else x[i]
        y = -ONE if y < -ONE else y
        z = low[j] + (y + ONE) * half[j]
        out[i] = high[j] if z > high[j] else z


@kernel
def _bad(x: np.ndarray) -> int:
    """Count the entries that are not finite: one call, where NumPy takes two and an array."""
    bad = 0
    for i in range(x.size):
        bad += not math.isfinite(x[i])
    return bad


@kernel
def _narrow(x: np.ndarray, out: np.ndarray) -> int:
    """Fill `out` with numbers of another type, without warnings; count those that are not finite there."""
    for i in range(x.size):
        out[i] = x[i]
    return _bad(out)


def _observations(name: str, space: gymnasium.Space) -> Box:
    """Return the space of encoded observations."""
    if isinstance(space, Discrete):
        return Box(0.0, 1.0, (int(space.n),), np.float32)
    if isinstance(space, Box):
        return space
    raise ValueError(f"{name} must have observations in a box or discrete ones, has {space}: wrap it")


def _actions(name: str, space: gymnasium.Space) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper ends of the box of actions, as one axis."""
    if isinstance(space, Discrete):
        return np.zeros(1), np.zeros(1)
    if not isinstance(space, Box):
        raise ValueError(f"{name} must have actions in a box or discrete ones, has {space}: wrap it")
    low, high = space.low.astype(np.float64).reshape(-1), space.high.astype(np.float64).reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        bounded = np.isfinite(high - low)
    if not bounded.all():
        i = int(np.flatnonzero(~bounded)[0])
        raise ValueError(f"{name} must have bounded actions, entry {i} lies in [{low[i]}, {high[i]}]")
    return low, high
