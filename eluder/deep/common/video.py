"""Films of a policy, also without a screen."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

from eluder.core import checks
from eluder.core.types import Array

__all__ = ["record_video"]


def record_video(
    policy: Callable[[Array], Array],
    env: str,
    file: str | os.PathLike[str],
    *,
    seed: int = 0,
    member: int = 0,
    steps: int = 1000,
    fps: int | None = None,
    **options: Any,
) -> Path:
    """Film one episode.

    Parameters
    ----------
    policy : callable
        That of a `TrainResult`: observations (N, B, ...) to actions (N, B, ...).
    env : str
        A gymnasium id; it is made with ``render_mode="rgb_array"``.
    file : path
        Where the film goes; ``.gif``, or ``.mp4`` if imageio-ffmpeg is installed.
    seed : int, default=0
        Seed of the episode.
    member : int, default=0
        Which of the trained seeds plays.
    steps : int, default=1000
        Most steps.
    fps : int, optional
        Frames per second; what the environment says by default.
    **options : object
        Passed to ``gymnasium.make``.

    Returns
    -------
    Path
        The film.

    Raises
    ------
    ValueError
        If the file is neither a GIF nor an MP4, the environment cannot be drawn, or what writes it is
        missing.

    Notes
    -----
    MuJoCo draws without a screen if ``MUJOCO_GL`` is ``egl`` or ``osmesa`` before it is imported.
    """
    file, steps = Path(file), checks.integer("steps", steps)
    if file.suffix not in (".gif", ".mp4"):
        raise ValueError(f"file must end in .gif or .mp4, got {file}")
    try:
        world = gymnasium.make(env, render_mode="rgb_array", **options)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"env {env!r} cannot be made: {error}") from None
    try:
        frames = _film(policy, world, seed, member, steps)
        rate = fps or int(world.metadata.get("render_fps", 30))
    except (NotImplementedError, gymnasium.error.Error) as error:
        raise ValueError(f"env {env!r} cannot be drawn: {type(error).__name__} {error}".rstrip()) from None
    finally:
        world.close()
    try:
        import imageio.v3 as iio
    except ImportError as error:
        raise ValueError(f"imageio is not installed: pip install imageio ({error})") from None
    try:
        if file.suffix == ".gif":
            iio.imwrite(file, frames, duration=1000.0 / rate, loop=0)
        else:
            iio.imwrite(file, frames, fps=rate, codec="libx264")
    except (ImportError, OSError) as error:
        raise ValueError(f"{file} cannot be written: {error}") from None
    return file


def _film(policy: Callable[[Array], Array], world: Any, seed: int, member: int, steps: int) -> list[Any]:
    """Return the pictures of one episode."""
    obs, _ = world.reset(seed=seed)
    frames = [world.render()]
    space = world.observation_space
    for _ in range(steps):
        seen = np.eye(space.n)[int(obs) - space.start] if isinstance(space, Discrete) else obs
        action = np.asarray(policy(np.asarray(seen, np.float64)[None, None]))
        if not 0 <= member < len(action):
            raise ValueError(f"member must be in 0..{len(action) - 1}, got {member}")
        chosen = action[member, 0]
        obs, _, terminated, truncated, _ = world.step(chosen if chosen.ndim else int(chosen))
        frames.append(world.render())
        if terminated or truncated:
            break
    return frames
