"""Instances of problems with their exact tables, and the way to and from gymnasium."""

from eluder.envs._from_gymnasium import from_gymnasium
from eluder.envs._garnet import garnet
from eluder.envs._river_swim import river_swim

__all__ = ["from_gymnasium", "garnet", "river_swim"]
