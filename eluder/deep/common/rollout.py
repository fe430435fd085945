"""What N seeds did in their last T steps, for agents that learn from it once.

It lies on the host as NumPy arrays: a step writes one row of each, and nothing is launched for it.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.checkpoint import fill
from eluder.deep.common.environments import Step

__all__ = ["Rollout"]


class Rollout:
    """T steps of E environments for each of N seeds.

    Parameters
    ----------
    N, T, E : int
        Seeds, steps, environments of each seed.
    obs_dim : int
        Numbers of an observation.
    A : int or None
        Numbers of an action; None for actions that are integers.

    Attributes
    ----------
    obs, next_obs : ndarray of float32, shape (N, T, E, obs_dim)
        What was acted on, and where it led.
    action : ndarray, shape (N, T, E, A) of float32, or (N, T, E) of int64
        The actions.
    reward : ndarray of float32, shape (N, T, E)
        Rewards.
    terminated, truncated, valid : ndarray of bool, shape (N, T, E)
        As in `Step`.

    Raises
    ------
    ValueError
        If a size is not positive.

    Notes
    -----
    4 (2 obs_dim + A + 1) + 3 bytes per step.

    Examples
    --------
    >>> rollout = Rollout(1, 2, 1, 3, 1)
    >>> obs, no = np.ones((1, 3), np.float32), np.zeros(1, bool)
    >>> step = Step(obs, np.ones(1, np.float32), obs, no, no, ~no)
    >>> rollout.add(0, obs, np.zeros((1, 1), np.float32), step)
    >>> rollout.reward[0, :, 0].tolist()
    [1.0, 0.0]
    """

    def __init__(self, N: int, T: int, E: int, obs_dim: int, A: int | None) -> None:
        self.N, self.T, self.E = (checks.integer(name, x) for name, x in (("N", N), ("T", T), ("E", E)))
        lead = (N, T, E)
        self.obs = np.zeros((*lead, checks.integer("obs_dim", obs_dim)), np.float32)
        self.next_obs = np.zeros_like(self.obs)
        self.action = np.zeros(lead, np.int64) if A is None else np.zeros((*lead, A), np.float32)
        self.reward = np.zeros(lead, np.float32)
        self.terminated, self.truncated, self.valid = (np.zeros(lead, bool) for _ in range(3))

    def add(self, i: int, obs: np.ndarray, action: np.ndarray, step: Step) -> None:
        """Write the i-th step.

        Parameters
        ----------
        i : int
            Its number, 0, ..., T - 1.
        obs : ndarray, N E rows
            What was acted on.
        action : ndarray, N E rows
            The actions.
        step : Step
            What they led to.
        """
        lead = (self.N, self.E)
        self.obs[:, i] = obs.reshape(*lead, -1)
        self.next_obs[:, i] = step.next_obs.reshape(*lead, -1)
        self.action[:, i] = action.reshape(self.action.shape[:1] + self.action.shape[2:])
        self.reward[:, i] = step.reward.reshape(lead)
        self.terminated[:, i] = step.terminated.reshape(lead)
        self.truncated[:, i] = step.truncated.reshape(lead)
        self.valid[:, i] = step.valid.reshape(lead)

    @property
    def ended(self) -> np.ndarray:
        """Where nothing of the next row follows from this one, shape (N, T, E)."""
        return self.terminated | self.truncated | ~self.valid

    def state(self) -> dict[str, Tensor]:
        """Return the arrays."""
        return {name: torch.from_numpy(x) for name, x in vars(self).items() if isinstance(x, np.ndarray)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place; a ValueError names the first array that does not fit."""
        fill(self.state(), state)
