"""Environments whose values are known by hand: each fails for one kind of mistake.

A critic that cannot learn `Constant` has no reward; `TwoStep`, no discount; `Forever`, a time limit taken
for an end; a policy that cannot learn `Identity`, no gradient through the action or no view of what it sees.
"""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Probe(gymnasium.Env):
    """One observation of one number; actions in a box, or discrete."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, discrete=False, low=-1.0, high=1.0):
        self.observation_space = Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = Discrete(2) if discrete else Box(low, high, (1,), np.float32)
        self.x = 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.x = 0, self.first()
        return self.obs(), {}

    def obs(self):
        return np.array([self.x], np.float32)

    def first(self):
        return 0.0


class Constant(Probe):
    """One step, reward 1: the value is 1."""

    def step(self, action):
        return self.obs(), 1.0, True, False, {}


class TwoStep(Probe):
    """Reward 1 at the second and last step, where the observation is 1: values gamma and 1."""

    def step(self, action):
        self.t += 1
        self.x = 1.0
        return self.obs(), float(self.t == 2), self.t == 2, False, {}


class Forever(Probe):
    """Reward 1 at every step, cut after 5: the value is 1 / (1 - gamma), not that of 5 steps."""

    def step(self, action):
        self.t += 1
        return self.obs(), 1.0, False, self.t == 5, {}


class Identity(Probe):
    """One step: the best action is the observation (discrete: its sign), reward 1 there."""

    def first(self):
        return float(self.np_random.uniform(-1.0, 1.0))

    def step(self, action):
        if isinstance(self.action_space, Discrete):
            reward = float((self.x > 0) == action)
        else:
            middle = (self.action_space.high + self.action_space.low) / 2
            half = (self.action_space.high - self.action_space.low) / 2
            reward = 1.0 - float((action[0] - middle[0]) / half[0] - self.x) ** 2
        return self.obs(), reward, True, False, {}
