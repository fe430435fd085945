"""A plane with four goals: every direction is as good as another, so one Gaussian is not enough."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

__all__ = ["MultiGoal"]


class MultiGoal(gymnasium.Env):
    """A point that begins at the origin and is to reach one of four goals.

    The state is the position in [-7, 7]^2, the action a velocity in [-1, 1]^2. A step moves by the action
    plus Gaussian noise of standard deviation 0.1 and pays ``-|x - nearest goal| - 0.5 |a|^2``; within 1 of a
    goal (5, 0), (-5, 0), (0, 5) or (0, -5) the episode ends with 10 more. After 30 steps it is cut.

    Notes
    -----
    After the multi-goal environment of Haarnoja et al., Reinforcement learning with deep energy-based
    policies, ICML 2017, arXiv:1702.08165 (section 5.1); sizes and costs are ours.

    Examples
    --------
    >>> env = MultiGoal()
    >>> obs, _ = env.reset(seed=0)
    >>> np.abs(obs).max() < 1
    np.True_
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012
    goals = np.array([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0]])

    def __init__(self) -> None:
        self.observation_space = Box(-7.0, 7.0, (2,), np.float32)
        self.action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin near the origin."""
        super().reset(seed=seed)
        self.x, self.t = 0.1 * self.np_random.normal(size=2), 0
        return self.x.astype(np.float32), {}

    def step(self, action: Any) -> Any:
        """Move, and pay the distance to the nearest goal."""
        a = np.clip(np.asarray(action, np.float64), -1.0, 1.0)
        self.t += 1
        self.x = np.clip(self.x + a + 0.1 * self.np_random.normal(size=2), -7.0, 7.0)
        distance = float(np.linalg.norm(self.goals - self.x, axis=1).min())
        reached = distance < 1.0
        reward = -distance - 0.5 * float(a @ a) + 10.0 * reached
        return self.x.astype(np.float32), reward, reached, self.t >= 30 and not reached, {}
