"""Gymnasium's vector environments behind the interface of `Environments`, whichever way they reset."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from eluder.deep.common._stepping import Step, Stepping

__all__ = ["VectorAdapter"]

MODES = ("NEXT_STEP", "SAME_STEP", "DISABLED")
IN_USE: "weakref.WeakSet[gymnasium.vector.VectorEnv]" = weakref.WeakSet()


class VectorAdapter(Stepping):
    """A vector environment of gymnasium, with the contract of `Step`.

    What `terminated`, `truncated` and `next_obs` say does not depend on its autoreset mode. In the mode
    NEXT_STEP the step after an end is a reset that ignores the action: there `valid` is False. In the mode
    DISABLED it is reset here.

    Parameters
    ----------
    env : gymnasium.vector.VectorEnv
        The environments, ``len(seeds) * per_seed`` of them.
    seeds : sequence of int
        Seeds of the run.
    per_seed : int, default=1
        Environments of each seed; they lie side by side, those of the first seed first.
    purpose : str, default="train"
        What they are for: other purposes see other episodes.

    Raises
    ------
    ValueError
        If the number of environments, their spaces or their mode do not fit, or `env` is adapted already.

    Notes
    -----
    Only the first reset is seeded by the run, in the mode DISABLED each one; a vector environment that is
    not made of single ones takes one seed for all of them. What an episode does after that is in its hands,
    so a run on it cannot be resumed.

    Examples
    --------
    >>> import gymnasium, numpy as np
    >>> with VectorAdapter(gymnasium.make_vec("CartPole-v1", num_envs=2), [0, 1]) as envs:
    ...     obs = envs.reset()
    ...     step = envs.step(np.zeros(2, np.int64))
    >>> obs.shape, step.valid.tolist()
    ((2, 4), [True, True])
    """

    def __init__(
        self,
        env: gymnasium.vector.VectorEnv,
        seeds: Sequence[int],
        per_seed: int = 1,
        *,
        purpose: str = "train",
    ) -> None:
        spec = getattr(env, "spec", None)
        super().__init__(spec.id if spec else type(env).__name__, seeds, per_seed, purpose)
        if env.num_envs != self.num:
            raise ValueError(
                f"{self.name} has {env.num_envs} environments, needed are {self.num}: {per_seed} for each of "
                f"{len(seeds)} seeds"
            )
        if env in IN_USE:
            raise ValueError(
                f"{self.name} is in use already: training and evaluation need environments of their own; "
                "pass a function that makes n of them"
            )
        mode = env.metadata.get("autoreset_mode")
        self.mode = getattr(mode, "name", str(mode))
        if self.mode not in MODES:
            raise ValueError(f"{self.name} must say its autoreset mode in its metadata, says {mode!r}")
        self._begin(env.single_observation_space, env.single_action_space)
        self.env = env
        self.each = isinstance(env.unwrapped, SyncVectorEnv | AsyncVectorEnv)  # takes a seed for each
        IN_USE.add(env)
        self.resetting = np.zeros(self.num, bool)
        self.lengths = np.zeros(self.num, np.int64)

    def close(self) -> None:
        """Close the environments."""
        IN_USE.discard(self.env)
        self.env.close()

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
        seeds = [self._next_seed(e) for e in range(self.num)]
        one = int(np.random.SeedSequence(seeds).generate_state(1)[0])
        obs, _ = self.env.reset(seed=seeds if self.each else one)
        self.totals, self.lengths[:], self.resetting[:] = [0.0] * self.num, 0, False
        self.obs = self._encode(obs)
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
            If an action, an observation or a reward is not finite, rewards are not one each, or the
            observation where an episode ended is missing.
        """
        valid = ~self.resetting
        obs, reward, terminated, truncated, info = self.env.step(self.scale(self._checked_actions(action)))
        if np.shape(reward) != valid.shape:
            raise ValueError(f"{self.name} gave rewards of shape {np.shape(reward)}, needed is {valid.shape}")
        reward = np.where(valid, np.asarray(reward, np.float64), 0.0)
        terminated, truncated = (np.array(x, bool) & valid for x in (terminated, truncated))
        self.t += 1
        ended = terminated | truncated
        self.obs = self._encode(obs)
        follow = self.obs
        rewards = self._rewards(reward)
        for e in range(self.num):
            self.totals[e] += float(reward[e])
        self.lengths += valid
        if ended.any():
            follow = self._ended(ended, info)
        self.resetting = ended if self.mode == "NEXT_STEP" else np.zeros(self.num, bool)
        self._check("observation", follow)
        self._check("observation", self.obs)
        return Step(self.obs, rewards, follow, terminated, truncated, valid)

    def _ended(self, ended: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Note the episodes that ended, make `obs` begin the next; return where their last step led."""
        follow = self.obs.copy()
        for e in np.flatnonzero(ended).tolist():
            self.ended.append((e, self.totals[e], int(self.lengths[e])))
            self.totals[e], self.lengths[e] = 0.0, 0
            if self.mode == "SAME_STEP":
                follow[e] = self._encode(self._final(info, e))
        if self.mode == "DISABLED":
            seeds = [self._next_seed(e) if ended[e] else None for e in range(self.num)]
            obs, _ = self.env.reset(seed=seeds if self.each else None, options={"reset_mask": ended})
            self.obs = self._encode(obs)
        return follow

    def _final(self, info: Mapping[str, Any], e: int) -> Any:
        """Return the observation with which the episode of an environment ended."""
        if "final_obs" not in info or info["final_obs"][e] is None:
            raise ValueError(f"{self.name} (environment {e}) ended at step {self.t} without its final_obs")
        return info["final_obs"][e]

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the observations: there is nothing that would bring the environments back.

        Returns
        -------
        dict of str to ndarray
            The observations.
        dict
            The kind of state.
        """
        return {"obs": self.obs}, {"vector": self.name}

    def restore(self, arrays: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> None:
        """Refuse to go back to a `state`.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Not used.
        data : mapping of str to object
            Not used.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"{self.name} is a vector environment: it cannot be resumed exactly")
