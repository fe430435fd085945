"""Fisheries behind gymnasium's interface."""

from typing import Any

import gymnasium
import numpy as np

from eluder.core import checks
from eluder.envs.fishery._model import Fishery, first_populations, fishery, step

__all__ = ["FisheryEnv", "fishery_env"]

SCALE = 4.0  # observations are populations over this, as published


def fishery_env(
    model: int | Fishery = 3, *, clock: bool = False, render_mode: str | None = None, **options: Any
) -> "FisheryEnv":
    """Return a gymnasium environment that plays a fishery.

    Parameters
    ----------
    model : {1, 2, 3, 4} or Fishery, default=3
        The fishery, or the number of a published one.
    clock : bool, default=False
        Whether the part of the episode that is over is observed too, as last number.
    render_mode : {"ansi"}, optional
        Whether ``render()`` returns the last period as a text.
    **options : Any
        Options of `fishery`, where `model` is a number.

    Returns
    -------
    FisheryEnv
        Observations are populations over 4, cut to [0, 1], float32 of shape (S,) or (S + 1,); actions the
        parts in [0, 1] that are taken, float32 of shape (A,). An episode is terminated if a population falls
        to the threshold, and truncated after T periods. ``info`` holds populations and harvest.

    Raises
    ------
    ValueError
        If an argument is out of range or unknown.

    Examples
    --------
    >>> env = fishery_env(1)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(np.array([0.1], dtype=np.float32))
    >>> observation.shape, bool(reward == info["harvest"].sum()), terminated, truncated
    ((1,), True, False, False)
    """
    return FisheryEnv(model, clock=clock, render_mode=render_mode, **options)


class FisheryEnv(gymnasium.Env):  # type: ignore[misc]
    """A fishery as a gymnasium environment; see `fishery_env`."""

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self, model: int | Fishery = 3, *, clock: bool = False, render_mode: str | None = None, **options: Any
    ) -> None:
        if isinstance(model, Fishery):
            if options:
                raise ValueError(
                    f"options {sorted(options)} are for the number of a model, model is a Fishery"
                )
            self.fishery = model
        else:
            self.fishery = fishery(model, **options)
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        if not isinstance(clock, bool):
            raise ValueError(f"clock must be True or False, got {clock!r}")
        self.render_mode, self.clock = render_mode, clock
        S, A = len(self.fishery.x0), self.fishery.harvested
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (A,), np.float32)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (S + clock,), np.float32)
        self._t = -1
        self._over = True
        self._last: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode near the first populations."""
        super().reset(seed=seed)
        self._N = first_populations(self.fishery, self.np_random.standard_normal(len(self.fishery.x0)))
        self._t, self._over, self._last = 0, False, {"populations": self._N.copy()}
        return self._observation(), dict(self._last)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play a period."""
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset()")
        a = checks.finite("action", action, (self.fishery.harvested,))
        xi = self.np_random.standard_normal(len(self.fishery.x0))
        played = step(self.fishery, self._N, a, self._t, xi)
        self._N = played.populations
        self._t += 1
        ended = bool(played.ended)
        truncated = not ended and self._t == len(self.fishery.r)
        self._over = ended or truncated
        self._last = {"populations": self._N.copy(), "harvest": played.harvest}
        return self._observation(), float(played.reward), ended, truncated, dict(self._last)

    def render(self) -> Any:
        """Return populations and the last harvest as a text; None without a render mode."""
        if self.render_mode is None:
            return None
        names = zip("XYZ", self._N, strict=False)
        text = f"period {self._t} of {len(self.fishery.r)}: " + ", ".join(f"{n} {x:.3f}" for n, x in names)
        if "harvest" in self._last:
            text += f"; harvest {self._last['harvest'].sum():.3f}"
        return text

    def _observation(self) -> Any:
        seen = np.clip(self._N / SCALE, 0.0, 1.0)
        if self.clock:
            seen = np.append(seen, self._t / len(self.fishery.r))
        return seen.astype(np.float32)
