"""Play a problem through gymnasium's interface."""

import functools
from typing import Any

import gymnasium
import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.core.types import IntArray

__all__ = ["TabularEnv", "to_gymnasium"]

TILE = 24  # pixels
WALL, FLOOR, GOLD, AGENT = (60, 60, 60), (245, 245, 245), (240, 190, 40), (30, 90, 200)


def to_gymnasium(
    problem: EpisodicMDP | DiscountedMDP, *, layout: ArrayLike | None = None, render_mode: str | None = None
) -> "TabularEnv":
    """Return a gymnasium environment that plays a problem.

    Parameters
    ----------
    problem : EpisodicMDP or DiscountedMDP
        The problem.
    layout : array_like of int, shape (rows, columns), optional
        Where the states stand in a picture, -1 for a wall; needed for "rgb_array".
    render_mode : {"ansi", "rgb_array"}, optional
        What ``render()`` returns: text, or an image, uint8 of shape (24 rows, 24 columns, 3).

    Returns
    -------
    TabularEnv
        Observations and actions are numbers, in Discrete(S) and Discrete(A). An episodic problem has
        terminated at stage H, as its horizon is part of it; the observation does not hold the stage,
        ``info["stage"]`` does. A discounted problem never ends: wrap it in a TimeLimit.
        ``info["action_mask"]`` marks the available actions; any other follows its row of the tables.
        ``env.P``, ``env.initial_state_distrib`` and ``env.action_mask(s)`` describe it as gymnasium's toy
        texts do (``env.P`` only where kernel and rewards do not depend on the stage), with mean rewards;
        ``env.problem`` is the problem.

    Raises
    ------
    ValueError
        If `problem` is not a problem, `layout` does not hold each
        state at most once, or `render_mode` is unknown or needs a layout.

    Notes
    -----
    The algorithms of this package do not go this way, which costs an interpreter call per step.
    ``from_gymnasium(to_gymnasium(problem))`` is the problem.

    Examples
    --------
    >>> from eluder.envs import river_swim
    >>> env = to_gymnasium(river_swim(3, H=2), layout=[[0, 1, 2]], render_mode="ansi")
    >>> env.reset(seed=0)[0], env.step(0)
    (0, (0, 0.005, False, False, {'action_mask': array([1, 1], dtype=int8), 'stage': 1}))
    >>> print(env.render())
    stage 1/2  state 0  action 0  reward 0.005
    A..
    """
    return TabularEnv(problem, layout=layout, render_mode=render_mode)


class TabularEnv(gymnasium.Env):  # type: ignore[misc]
    """A problem as a gymnasium environment; see `to_gymnasium`."""

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self, problem: Any, *, layout: ArrayLike | None = None, render_mode: str | None = None
    ) -> None:
        if not isinstance(problem, EpisodicMDP | DiscountedMDP):
            raise ValueError(
                f"problem must be an EpisodicMDP or a DiscountedMDP, got {type(problem).__name__}"
            )
        self.problem = problem
        S, A = problem.mask.shape
        self.layout = None if layout is None else _layout(layout, S)
        modes = ["ansi"] if layout is None else ["ansi", "rgb_array"]
        if render_mode not in (None, *modes):
            raise ValueError(f"render_mode must be None or one of {modes} (rgb_array needs a layout)")
        self.metadata = {**self.metadata, "render_modes": modes}
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Discrete(S)
        self.action_space = gymnasium.spaces.Discrete(A)
        self.initial_state_distrib = problem.mu
        rows: Any = problem.P
        self._rows: Any = rows if scipy.sparse.issparse(rows) else scipy.sparse.csr_array(rows.reshape(-1, S))
        self._state, self._stage = -1, 0
        self._last = ""

    @functools.cached_property
    def P(self) -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:
        """The transition table ``P[s][a] = [(probability, next state, mean reward, False), ...]``."""
        if np.ndim(self.problem.P) == 4 or self.problem.r.ndim == 3:
            raise AttributeError("P: a problem that depends on the stage has no table by state")
        S, A = self.problem.mask.shape
        table: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
        for s in range(S):
            table[s] = {}
            for a in range(A):
                succ, prob = self._row(s, a)
                reward = float(self.problem.r[s, a])
                table[s][a] = [
                    (p, t, reward, False) for p, t in zip(prob.tolist(), succ.tolist(), strict=True)
                ]
        return table

    def action_mask(self, s: int) -> Any:
        """Return 1 for each available action of a state, else 0."""
        return self.problem.mask[s].astype(np.int8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._state = self._draw(np.arange(self.problem.mu.size), self.problem.mu)
        self._stage = 0
        self._last = ""
        return self._state, self._info()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Play an action."""
        if self._state < 0 or (isinstance(self.problem, EpisodicMDP) and self._stage == self.problem.H):
            raise gymnasium.error.ResetNeeded("the episode is over: call reset()")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be in 0, ..., {self.action_space.n - 1}, got {action!r}")
        r = self.problem.r[self._stage] if self.problem.r.ndim == 3 else self.problem.r
        reward = float(r[self._state, int(action)])
        if self.problem.bernoulli:
            reward = float(self.np_random.random() < reward)
        self._state = self._draw(*self._row(self._state, action))
        self._stage += 1
        self._last = f"  action {action}  reward {reward:g}"
        terminated = isinstance(self.problem, EpisodicMDP) and self._stage == self.problem.H
        return self._state, reward, terminated, False, self._info()

    def render(self) -> Any:
        """Return the text or the image of the present state; None without a render mode."""
        if self.render_mode == "ansi":
            return self._text()
        return self._image() if self.render_mode == "rgb_array" else None

    def _row(self, s: int, a: int) -> tuple[Any, Any]:
        """Return successors and probabilities of a pair at the present stage."""
        S, A = self.problem.mask.shape
        g = self._stage if np.ndim(self.problem.P) == 4 else 0
        row = (g * S + s) * A + int(a)
        entries = slice(self._rows.indptr[row], self._rows.indptr[row + 1])
        return self._rows.indices[entries], self._rows.data[entries]

    def _draw(self, values: Any, p: Any) -> int:
        i = int(np.searchsorted(np.cumsum(p), self.np_random.random(), side="right"))
        return int(values[min(i, int(np.flatnonzero(p)[-1]))])

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"action_mask": self.action_mask(self._state)}
        if isinstance(self.problem, EpisodicMDP):
            info["stage"] = self._stage
        return info

    def _text(self) -> str:
        of = f"/{self.problem.H}" if isinstance(self.problem, EpisodicMDP) else ""
        head = f"stage {self._stage}{of}  state {self._state}{self._last}"
        if self.layout is None:
            return head
        letters = np.where(self.layout == self._state, "A", np.where(self.layout < 0, "#", "."))
        return "\n".join([head, *("".join(line) for line in letters.tolist())])

    def _image(self) -> Any:
        assert self.layout is not None
        best = np.where(self.problem.mask, self.problem.r, -np.inf).max(axis=-1)
        best = best.max(axis=0) if best.ndim == 2 else best
        shade = ((best - best.min()) / (np.ptp(best) or 1.0))[:, None]
        colours = np.append((1 - shade) * FLOOR + shade * GOLD, [WALL], axis=0)  # index -1 is the wall
        image = colours[self.layout].repeat(TILE, axis=0).repeat(TILE, axis=1)
        image[::TILE] *= 0.85
        image[:, ::TILE] *= 0.85
        y, x = np.mgrid[:TILE, :TILE] - (TILE - 1) / 2
        for row, column in np.argwhere(self.layout == self._state):
            tile = image[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            tile[x**2 + y**2 < (0.35 * TILE) ** 2] = AGENT
        return image.astype(np.uint8)


def _layout(layout: ArrayLike, S: int) -> IntArray:
    array = np.asarray(layout)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer) or array.size == 0:
        raise ValueError(f"layout must be integers of shape (rows, columns), got {array.dtype} {array.shape}")
    states = np.sort(array[array >= 0])
    if states.size and (states[-1] >= S or (np.diff(states) == 0).any()):
        raise ValueError(f"layout must hold each of the states 0, ..., {S - 1} at most once")
    return array.astype(np.int64)
