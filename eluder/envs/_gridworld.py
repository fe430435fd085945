"""Gridworlds drawn as text, and the usual maps."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from eluder.core import checks
from eluder.core.types import IntArray
from eluder.envs._build import Problem, problem

__all__ = ["cells", "four_rooms", "four_rooms_map", "grid", "grid_map", "gridworld", "n_room", "n_room_map"]

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up


def gridworld(
    layout: Sequence[str],
    *,
    slip: float = 0.1,
    restart: bool = False,
    H: int | None = None,
    gamma: float | None = None,
    sparse: bool = False,
) -> Problem:
    """Return the gridworld of a map.

    Parameters
    ----------
    layout : sequence of str
        Rows of equal length: ``#`` a wall, ``S`` the start, ``G`` a goal, ``.`` any other cell. The cells
        that are not walls are the states, numbered in reading order.
    slip : float, default=0.1
        Probability, in [0, 1], that a move goes in one of the other three directions, a third each.
    restart : bool, default=False
        What follows a goal: False, it stays there for ever; True, the start.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    sparse : bool, default=False
        Keep the kernel as CSR, shape (S * A, S); needs `gamma`.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Actions 0 to 3 move left, down, right, up; a move into a wall or off the map stays. Reward 1 for any
        action in a goal, else 0.

    Raises
    ------
    ValueError
        If the map is not a rectangle of these characters with one start and a goal, `slip` is not a
        probability, not exactly one of `H` and `gamma` is given, or `sparse` comes with `H`.

    Notes
    -----
    A dense kernel has 4 S^2 numbers; a map of 60 x 60 cells wants `sparse`.

    Examples
    --------
    >>> world = gridworld(["S.G", "##."], slip=0.0, gamma=0.5)
    >>> world.P.argmax(axis=-1).tolist()
    [[0, 0, 1, 0], [0, 1, 2, 1], [2, 2, 2, 2], [3, 3, 3, 2]]
    """
    number = cells(layout)
    slip = checks.number("slip", slip, 0.0, 1.0)
    rows, columns = np.nonzero(number >= 0)
    S = rows.size
    text = np.array([character for line in layout for character in line if character != "#"])
    goal = text == "G"
    if (text == "S").sum() != 1 or not goal.any():
        raise ValueError("layout must hold one start S and at least one goal G")
    start = int(np.argmax(text == "S"))

    state = np.arange(S)
    padded = np.pad(number, 1, constant_values=-1)
    target = np.stack([padded[rows + 1 + i, columns + 1 + j] for i, j in MOVES], axis=1)
    target = np.where(target >= 0, target, state[:, None])
    target[goal] = start if restart else state[goal, None]
    chance = np.tile(np.where(np.eye(4, dtype=np.bool_), 1 - slip, slip / 3), (S, 1, 1))
    chance[goal] = [1.0, 0.0, 0.0, 0.0]  # all four targets are the same; chance[s, action, direction]
    P = scipy.sparse.csr_array(
        (
            chance.ravel(),
            (np.repeat(np.arange(4 * S), 4), np.repeat(target, 4, axis=0).ravel()),
        ),
        (4 * S, S),
    )
    r = np.tile(goal[:, None], (1, 4)).astype(np.float64)
    return problem(P, r, np.eye(1, S, start)[0], H=H, gamma=gamma, sparse=sparse)


def cells(layout: Sequence[str]) -> IntArray:
    """Return the state of each cell of a map, -1 for a wall."""
    lines = [layout] if isinstance(layout, str) else list(layout)
    widths = {len(line) for line in lines}
    if len(widths) != 1 or 0 in widths:
        raise ValueError(f"layout must be rows of equal length, got lengths {sorted(widths)}")
    for i, line in enumerate(lines):
        for j, character in enumerate(line):
            if character not in "#SG.":
                raise ValueError(f"layout[{i}][{j}] is {character!r}, it must be one of # S G .")
    free = np.array([[character != "#" for character in line] for line in lines])
    return np.where(free, free.cumsum().reshape(free.shape) - 1, -1)


def grid(
    size: int = 5,
    *,
    slip: float = 0.1,
    restart: bool = False,
    H: int | None = None,
    gamma: float | None = None,
    sparse: bool = False,
) -> Problem:
    """Return an empty square grid with the start in the upper left and the goal in the lower right corner.

    Parameters
    ----------
    size : int, default=5
        Rows and columns, at least 2. State ``row * size + column``.
    slip : float, default=0.1
        Probability that a move goes in one of the other three directions, a third each.
    restart : bool, default=False
        What follows the goal: False, it stays there for ever; True, the start.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    sparse : bool, default=False
        Keep the kernel as CSR, shape (S * A, S); needs `gamma`.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        The gridworld.

    Raises
    ------
    ValueError
        If `size` < 2, and as `gridworld`.

    Notes
    -----
    With ``slip=0`` the goal is ``d = 2 (size - 1)`` steps away: the discounted value of the start is
    ``gamma^d / (1 - gamma)``.

    Examples
    --------
    >>> grid(60, gamma=0.999, sparse=True).P.shape
    (14400, 3600)
    """
    return gridworld(grid_map(size), slip=slip, restart=restart, H=H, gamma=gamma, sparse=sparse)


def grid_map(size: int = 5) -> list[str]:
    """Return the map of `grid`."""
    n = checks.integer("size", size, low=2)
    return ["S" + "." * (n - 1), *["." * n] * (n - 2), "." * (n - 1) + "G"]


def four_rooms(
    *,
    slip: float = 1 / 3,
    restart: bool = False,
    H: int | None = None,
    gamma: float | None = None,
    sparse: bool = False,
) -> Problem:
    """Return the four rooms of Sutton, Precup & Singh 1999, from the upper left to the lower right corner.

    Parameters
    ----------
    slip : float, default=1/3
        Probability that a move goes in one of the other three directions, a third each.
    restart : bool, default=False
        What follows the goal: False, it stays there for ever; True, the start.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    sparse : bool, default=False
        Keep the kernel as CSR, shape (S * A, S); needs `gamma`.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        The gridworld, 104 states.

    Raises
    ------
    ValueError
        As `gridworld`.

    Notes
    -----
    The map and the slip of one third are the paper's (from memory); there the goal is a hallway.

    References
    ----------
    .. [1] Sutton, Precup and Singh. Between MDPs and semi-MDPs: a framework for temporal abstraction in
       reinforcement learning. Artificial Intelligence 112, 1999.

    Examples
    --------
    >>> four_rooms(gamma=0.99).r.shape
    (104, 4)
    """
    return gridworld(four_rooms_map(), slip=slip, restart=restart, H=H, gamma=gamma, sparse=sparse)


def four_rooms_map() -> list[str]:
    """Return the map of `four_rooms`."""
    return [
        "#############",
        "#S....#.....#",
        "#.....#.....#",
        "#...........#",
        "#.....#.....#",
        "#.....#.....#",
        "##.####.....#",
        "#.....###.###",
        "#.....#.....#",
        "#.....#.....#",
        "#...........#",
        "#.....#....G#",
        "#############",
    ]


def n_room(
    rooms: int = 3,
    size: int = 5,
    *,
    slip: float = 0.1,
    restart: bool = False,
    H: int | None = None,
    gamma: float | None = None,
    sparse: bool = False,
) -> Problem:
    """Return a row of square rooms joined by doors, from the first room's corner to the last room's.

    Parameters
    ----------
    rooms : int, default=3
        Number of rooms.
    size : int, default=5
        Rows and columns of each, at least 2. The doors are in the middle of the walls.
    slip : float, default=0.1
        Probability that a move goes in one of the other three directions, a third each.
    restart : bool, default=False
        What follows the goal: False, it stays there for ever; True, the start.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    sparse : bool, default=False
        Keep the kernel as CSR, shape (S * A, S); needs `gamma`.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        The gridworld: the start is the upper left, the goal the lower right corner.

    Raises
    ------
    ValueError
        If `rooms` < 1 or `size` < 2, and as `gridworld`.

    Examples
    --------
    >>> print("\\n".join(n_room_map(2, 3)))
    S..#...
    .......
    ...#..G
    """
    return gridworld(n_room_map(rooms, size), slip=slip, restart=restart, H=H, gamma=gamma, sparse=sparse)


def n_room_map(rooms: int = 3, size: int = 5) -> list[str]:
    """Return the map of `n_room`."""
    rooms, n = checks.integer("rooms", rooms), checks.integer("size", size, low=2)
    lines = [("." if i == n // 2 else "#").join(["." * n] * rooms) for i in range(n)]
    return ["S" + lines[0][1:], *lines[1:-1], lines[-1][:-1] + "G"]
