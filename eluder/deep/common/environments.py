"""Environments side by side, with one contract for how a step ends.

Whatever makes an episode end, a step says where its action led (`next_obs`, never the observation after a
reset), whether the problem ended there (`terminated`) or only the episode did (`truncated`), and what the
next action is chosen from (`obs`). Episodes are reset here, at once, with a seed that is a function of the
run's seed, the environment's place, the number of the episode and what the environments are for. So nothing
random is hidden in an environment: its state is the number of its episode and the actions since the reset,
and a run is resumed by doing them again.
"""

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from eluder.deep.common._stepping import Step, Stepping
from eluder.deep.common.physics import quiet, stepper
from eluder.deep.common.vector import VectorAdapter

__all__ = ["Environments", "Step", "make_environments"]

EnvLike: TypeAlias = (
    str
    | Callable[[], gymnasium.Env]
    | Callable[[int], gymnasium.vector.VectorEnv]
    | gymnasium.vector.VectorEnv
)


OWNERS: "weakref.WeakValueDictionary[int, Environments]" = weakref.WeakValueDictionary()  # by what they step


class Environments(Stepping):
    """Some environments for each seed, stepped here: one after another, or heavy ones in threads.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments.
    seeds : sequence of int
        Seeds of the run.
    per_seed : int, default=1
        Environments of each seed; they lie side by side, those of the first seed first.
    threads : int or "auto", default="auto"
        Threads for the physics of MuJoCo models, this one included. By default more than one where the first
        steps, timed both ways, show a gain. The numbers do not depend on it.
    purpose : str, default="train"
        What they are for: other purposes see other episodes.

    Attributes
    ----------
    num : int
        Number of environments n.
    observation_space : Box
        Of one environment; a discrete one is given as one-hot vectors.
    action_space : Box or Discrete
        Of one environment, in its own units; agents act in [-1, 1], or count from 0.
    obs : ndarray of float32, shape (n, ...)
        What the next action is chosen from.

    Raises
    ------
    ValueError
        If the environment cannot be made or is one that is in use, its spaces are neither boxes nor discrete,
        its actions are not bounded, or `threads` is more than one where there is nothing to thread.

    Notes
    -----
    The actions of the episode that goes on are kept, to do them again after a restart: memory grows with the
    length of episodes, by 4 bytes for each number of an action, and so does the time of a restart.

    Examples
    --------
    >>> with Environments("CartPole-v1", [0, 1]) as envs:
    ...     obs = envs.reset()
    ...     step = envs.step(np.zeros(2, np.int64))
    >>> obs.shape, step.reward.tolist()
    ((2, 4), [1.0, 1.0])
    """

    def __init__(
        self,
        env: str | Callable[[], gymnasium.Env],
        seeds: Sequence[int],
        per_seed: int = 1,
        *,
        threads: int | str = "auto",
        purpose: str = "train",
    ) -> None:
        super().__init__(_name(env), seeds, per_seed, purpose)
        with quiet(env):
            self.worlds = [_make(env, self.name) for _ in self.seeds]
        self._begin(self.worlds[0].observation_space, self.worlds[0].action_space)
        self.actions: list[list[np.ndarray]] = [[] for _ in self.worlds]
        inner = [id(world.unwrapped) for world in self.worlds]
        if len(set(inner)) < self.num or any(key in OWNERS for key in inner):
            raise ValueError(
                f"{self.name} made an environment that is in use: it must make a new one each time"
            )
        OWNERS.update(dict.fromkeys(inner, self))
        self.stepper = stepper(self.name, self.worlds, threads)

    def close(self) -> None:
        """Close the environments and end their threads."""
        self.stepper.close()
        for world in self.worlds:
            OWNERS.pop(id(world.unwrapped), None)
            world.close()

    def _reset(self, e: int) -> np.ndarray:
        """Begin the next episode of an environment."""
        self.actions[e], self.totals[e] = [], 0.0
        given = self.worlds[e].reset(seed=self._next_seed(e))
        if not isinstance(given, tuple) or len(given) != 2:
            raise ValueError(f"{self.name} must reset to (observation, info), gave {_short(given)}")
        obs: np.ndarray = self._fitting(self._encode(given[0]))
        return obs

    def _fitting(self, obs: Any) -> Any:
        """Return an observation; refuse one of another shape than its space says."""
        if (obs.shape if isinstance(obs, np.ndarray) else np.shape(obs)) != self.obs.shape[1:]:
            raise ValueError(
                f"{self.name} gave an observation of shape {np.shape(obs)}, its space says "
                f"{self.obs.shape[1:]}"
            )
        return obs

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
            If one is not finite, not of the shape of its space, or not given as gymnasium says.
        """
        if episode is not None:
            self.episodes = [episode - 1] * self.num
        self.obs = np.stack([self._reset(e) for e in range(self.num)])
        self._check("observation", self.obs)
        return self.obs

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
            If an action is none, an observation or a reward is not finite, or a step is not what gymnasium
            says.
        """
        n, action = self.num, self._checked_actions(action)
        follow = np.empty_like(self.obs)
        reward, (terminated, truncated) = np.empty(n), np.zeros((2, n), bool)
        ended: dict[int, tuple[float, int, np.ndarray]] = {}
        self.t += 1

        def take(e: int, result: Any) -> None:  # in the order in which they are done
            try:
                obs, got, terminated[e], truncated[e], _ = result
            except (TypeError, ValueError):
                wanted = "(observation, reward, terminated, truncated, info)"
                raise ValueError(f"{self.name} must step to {wanted}, gave {_short(result)}") from None
            try:
                reward[e] = got
            except (TypeError, ValueError):
                raise ValueError(f"{self.name} gave reward {got!r}, it must be a number") from None
            follow[e] = self._fitting(self._encode(obs) if self.one_hot else obs)
            self.actions[e].append(action[e])
            self.totals[e] += reward.item(e)
            if terminated[e] or truncated[e]:
                ended[e] = (self.totals[e], len(self.actions[e]), self._reset(e))

        self.stepper.step(self.scale(action), take)
        self._check("observation", follow)
        rewards = self._rewards(reward)
        self.obs = follow
        if ended:
            self.obs = follow.copy()
            for e, (total, length, obs) in sorted(ended.items()):
                self.ended.append((e, total, length))
                self.obs[e] = obs
            self._check("observation", self.obs)
        return Step(self.obs, rewards, follow, terminated, truncated, self.always)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what brings the environments back.

        Returns
        -------
        dict of str to ndarray
            The observations, and the actions of the episodes that go on, one after another.
        dict
            Plain data: seeds, numbers of the episodes and of their steps, episodes that `finished` has not
            given yet.
        """
        done = [a for each in self.actions for a in each]
        arrays = {"obs": self.obs.copy()} | ({"actions": np.stack(done)} if done else {})
        return arrays, {
            "seeds": list(self.seeds),
            "episodes": list(self.episodes),
            "lengths": [len(each) for each in self.actions],
            "ended": [list(one) for one in self.ended],
            "t": self.t,
        }

    def restore(self, arrays: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> None:
        """Go back to a `state`: reset with the same seeds and do the actions of the episodes again.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Observations and actions.
        data : mapping of str to object
            Plain data.

        Raises
        ------
        ValueError
            If the state is one of other environments, or an observation is not the same to the bit: the
            environment does not repeat its episodes.
        """
        if data.get("seeds") != self.seeds or arrays["obs"].shape != self.obs.shape:
            raise ValueError(
                f"the state is one of other environments: it has seeds {data.get('seeds')} and observations "
                f"of shape {arrays['obs'].shape}, these have {self.seeds} and {self.obs.shape}"
            )
        at, obs = 0, np.zeros_like(self.obs)
        for e, (episode, length) in enumerate(zip(data["episodes"], data["lengths"])):
            self.episodes[e] = episode
            if episode < 0:
                continue
            obs[e] = self._again(e, arrays["actions"][at : at + length] if length else ())
            at += length
            if not np.array_equal(obs[e], arrays["obs"][e]):
                raise ValueError(
                    f"{self.name} (environment {e}, seed {self.seeds[e]}) did not repeat its episode: "
                    "it cannot be resumed exactly"
                )
        self.obs, self.t = obs, int(data["t"])
        self.ended = [(int(e), float(total), int(length)) for e, total, length in data["ended"]]

    def _again(self, e: int, actions: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Do the actions of an episode again; return its last observation."""
        self.episodes[e] -= 1
        obs = self._reset(e)
        for action in actions:
            last, reward, *_ = self.worlds[e].step(self.scale(action[None])[0])
            obs = self._encode(last)
            self.actions[e].append(action)
            self.totals[e] += float(reward)
        return obs


def make_environments(
    env: EnvLike,
    seeds: Sequence[int],
    per_seed: int = 1,
    *,
    threads: int | str = "auto",
    purpose: str = "train",
) -> Environments | VectorAdapter:
    """Return environments for each seed.

    Parameters
    ----------
    env : str, callable or gymnasium.vector.VectorEnv
        A gymnasium id; a factory of environments; a function of n that makes a vector environment of n; or
        such a vector environment.
    seeds : sequence of int
        Seeds of the run.
    per_seed : int, default=1
        Environments of each seed.
    threads : int or "auto", default="auto"
        Threads for heavy MuJoCo models; vector environments have their own.
    purpose : str, default="train"
        What they are for.

    Returns
    -------
    Environments or VectorAdapter
        Not reset yet.

    Raises
    ------
    ValueError
        As `Environments` and `VectorAdapter`.

    Examples
    --------
    >>> make_environments("CartPole-v1", [0]).num
    1
    >>> import gymnasium
    >>> make_environments(lambda n: gymnasium.make_vec("CartPole-v1", num_envs=n), [0, 1], 2).num
    4
    """
    if not isinstance(env, str | gymnasium.vector.VectorEnv) and _takes_number(env):
        vector = env(len(seeds) * per_seed)  # type: ignore[call-arg]
        if not isinstance(vector, gymnasium.vector.VectorEnv):
            raise ValueError(f"env takes a number, so must make a VectorEnv: {_name(env)} made {vector!r}")
        env = vector
    if isinstance(env, gymnasium.vector.VectorEnv):
        return VectorAdapter(env, seeds, per_seed, purpose=purpose)
    return Environments(env, seeds, per_seed, threads=threads, purpose=purpose)  # type: ignore[arg-type]


def _name(env: object) -> str:
    """Return how messages call an environment."""
    return env if isinstance(env, str) else getattr(env, "__qualname__", repr(env))


def _short(x: object) -> str:
    """Return what messages say of a wrong result."""
    return f"{len(x)} values" if isinstance(x, tuple) else f"a {type(x).__name__}"


def _takes_number(env: object) -> bool:
    """Say whether a factory needs an argument."""
    try:
        parameters = inspect.signature(env).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )


def _make(env: str | Callable[[], gymnasium.Env], name: str) -> gymnasium.Env:
    """Make one environment."""
    if isinstance(env, str):
        try:
            return gymnasium.make(env, disable_env_checker=True)
        except (gymnasium.error.Error, ImportError) as error:
            raise ValueError(f"env {env!r} cannot be made: {error}") from None
        except Exception as error:  # of the environment itself
            raise ValueError(f"env {env!r} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(env):
        raise ValueError(f"env must be a gymnasium id or a factory, got {env!r}")
    world = env()
    if not isinstance(world, gymnasium.Env):
        raise ValueError(f"env must make a gymnasium.Env, {name} made {type(world).__name__}")
    return world
