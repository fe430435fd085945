"""The ids under which gymnasium finds the instances."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from eluder.core.types import IntArray
from eluder.envs._build import Problem
from eluder.envs._chain import chain
from eluder.envs._combination_lock import combination_lock
from eluder.envs._deep_sea import deep_sea
from eluder.envs._garnet import garnet
from eluder.envs._gridworld import cells, four_rooms, four_rooms_map, grid, n_room, n_room_map
from eluder.envs._inventory_control import inventory_control
from eluder.envs._lower_bounds import lower_bound_average, lower_bound_episodic
from eluder.envs._queue_admission import queue_admission
from eluder.envs._random_ergodic import random_ergodic
from eluder.envs._river_swim import river_swim
from eluder.envs._to_gymnasium import TabularEnv

__all__ = ["INSTANCES", "InstanceEnv", "register"]


class Instance(NamedTuple):
    """How an id makes its problem: function, criterion by default, other defaults, picture.

    A criterion that is a string is the argument of that name: DeepSea has as many stages as rows.
    """

    build: Callable[..., Problem]
    criterion: dict[str, Any]
    defaults: dict[str, Any] = {}  # noqa: RUF012
    layout: Callable[..., IntArray] | None = None


def _line(S: int, /, **_: Any) -> IntArray:
    return np.arange(S)[None, :]


def _square(S: int, /, **_: Any) -> IntArray:
    side = int(np.sqrt(S))
    return np.arange(S).reshape(side, side)


def _four_rooms(S: int, /, **_: Any) -> IntArray:
    return cells(four_rooms_map())


def _n_room(S: int, /, rooms: int = 3, size: int = 5, **_: Any) -> IntArray:
    return cells(n_room_map(rooms, size))


INSTANCES = {
    "RiverSwim": Instance(river_swim, {"H": 20}, layout=_line),
    "Chain": Instance(chain, {"H": 20}, layout=_line),
    "DeepSea": Instance(deep_sea, {"H": "size"}, {"size": 10}, _square),
    "CombinationLock": Instance(combination_lock, {"H": "L"}, {"L": 5}, _line),
    "Grid": Instance(grid, {"H": 20}, layout=_square),
    "FourRooms": Instance(four_rooms, {"H": 100}, layout=_four_rooms),
    "NRoom": Instance(n_room, {"H": 50}, layout=_n_room),
    "Garnet": Instance(garnet, {"H": 20}, {"S": 20, "A": 4, "branching": 3}),
    "RandomErgodic": Instance(random_ergodic, {"gamma": 1.0}, {"S": 10, "A": 3}),
    "LowerBoundEpisodic": Instance(lower_bound_episodic, {"H": 12}),
    "LowerBoundAverage": Instance(lower_bound_average, {"gamma": 1.0}),
    "Inventory": Instance(inventory_control, {"gamma": 0.95}, layout=_line),
    "QueueAdmission": Instance(queue_admission, {"gamma": 0.99}, layout=_line),
}


class InstanceEnv(TabularEnv):
    """An instance by name.

    Parameters
    ----------
    name : str
        A key of INSTANCES.
    render_mode : {"ansi", "rgb_array"}, optional
        See `to_gymnasium`.
    instance_seed : int, default=0
        Seeds the generator that draws the instance, where it has one.
    **arguments
        Arguments of the instance's function, `H` or `gamma` among them.
    """

    def __init__(
        self, name: str, *, render_mode: str | None = None, instance_seed: int = 0, **arguments: Any
    ) -> None:
        build, criterion, defaults, layout = INSTANCES[name]
        arguments = {**defaults, **arguments}
        if "H" not in arguments and "gamma" not in arguments:
            arguments |= {key: arguments.get(value, value) for key, value in criterion.items()}
        if "rng" in inspect.signature(build).parameters:
            arguments["rng"] = np.random.default_rng(instance_seed)
        problem = build(**arguments)
        picture = layout(problem.mu.size, **arguments) if layout else None
        super().__init__(problem, layout=picture, render_mode=render_mode)


def register() -> None:
    """Register ``eluder/<name>-v0`` for every instance, and the ids of networks and fisheries."""
    if "eluder/InventoryNetwork-v0" not in gymnasium.registry:
        gymnasium.register(
            "eluder/InventoryNetwork-v0",
            "eluder.envs.inventory._gym:InventoryEnv",
            kwargs={"problem": "one_warehouse"},
        )
    if "eluder/Fishery-v0" not in gymnasium.registry:
        gymnasium.register("eluder/Fishery-v0", "eluder.envs.fishery._gym:FisheryEnv", kwargs={"model": 3})
    for name in INSTANCES:
        if f"eluder/{name}-v0" not in gymnasium.registry:
            gymnasium.register(
                f"eluder/{name}-v0", "eluder.envs._register:InstanceEnv", kwargs={"name": name}
            )
