"""A gymnasium environment with features of one's own, for learners that see features only."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from eluder.core import checks
from eluder.core.features import FeatureMDP
from eluder.core.types import Array

__all__ = ["feature_mdp"]


def feature_mdp(env: Any, features: Callable[[Any], Array], H: int) -> FeatureMDP:
    """Return a gymnasium environment as a problem of H stages seen through features.

    Parameters
    ----------
    env : gymnasium.Env or str
        An environment with a ``Discrete`` action space from 0, or the id of one; rewards must be in [0, 1].
    features : callable
        ``features(observation) -> array (A, d)``, one row per action, NaN where one is not available.
    H : int
        Number of stages. An episode that ends sooner has features 0 and reward 0 from there on, so that its
        value is 0.

    Returns
    -------
    FeatureMDP
        A state is (observation, whether the episode is over). The environment has one state of its own: the
        problem is to be played in order, by one learner at a time. It is seeded anew at each reset from the
        learner's generator.

    Raises
    ------
    ValueError
        If `env` is not an environment with such actions, `features` is not callable, or `H` < 1.

    Examples
    --------
    >>> import numpy as np
    >>> eye = np.eye(64).reshape(16, 4, 64)
    >>> lake = feature_mdp("FrozenLake-v1", lambda s: eye[s], H=20)
    >>> state = lake.reset(np.random.default_rng(0))
    >>> lake.features(state).shape, lake.step(0, state, 2, np.random.default_rng(0))[1]
    ((4, 64), 0.0)
    """
    if isinstance(env, str):
        env = gymnasium.make(env)
    actions = getattr(env, "action_space", None)
    if not isinstance(actions, gymnasium.spaces.Discrete) or actions.start != 0:
        raise ValueError(f"env must have a Discrete action space from 0, got {actions}")
    if not callable(features):
        raise ValueError(f"features must be callable, got {type(features).__name__}")
    H = checks.integer("H", H)

    def reset(rng: np.random.Generator) -> Any:
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        return observation, False

    def step(h: int, state: Any, a: int, rng: np.random.Generator) -> tuple[Any, float]:
        if state[1]:
            return state, 0.0
        observation, reward, terminated, truncated, _ = env.step(a)
        return (observation, bool(terminated or truncated)), float(reward)

    def seen(state: Any) -> Array:
        observation, over = state
        F = np.asarray(features(observation), dtype=float)
        return np.zeros_like(F) if over else F

    return FeatureMDP(reset, step, seen, H)
