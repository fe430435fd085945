"""Instances of problems with their exact tables, and the way to and from gymnasium.

Each instance takes `H` for an EpisodicMDP or `gamma` for a DiscountedMDP. Importing this package registers
gymnasium ids such as "eluder/RiverSwim-v0".
"""

from eluder.envs._chain import chain
from eluder.envs._combination_lock import combination_lock
from eluder.envs._deep_sea import deep_sea
from eluder.envs._from_gymnasium import from_gymnasium
from eluder.envs._garnet import garnet
from eluder.envs._gridworld import four_rooms, grid, gridworld, n_room
from eluder.envs._inventory import inventory
from eluder.envs._lower_bounds import lower_bound_average, lower_bound_episodic
from eluder.envs._queue_admission import queue_admission
from eluder.envs._random_ergodic import random_ergodic
from eluder.envs._register import register
from eluder.envs._river_swim import river_swim
from eluder.envs._to_gymnasium import to_gymnasium

__all__ = [
    "chain",
    "combination_lock",
    "deep_sea",
    "four_rooms",
    "from_gymnasium",
    "garnet",
    "grid",
    "gridworld",
    "inventory",
    "lower_bound_average",
    "lower_bound_episodic",
    "n_room",
    "queue_admission",
    "random_ergodic",
    "river_swim",
    "to_gymnasium",
]

register()
del register
