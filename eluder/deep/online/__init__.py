"""Agents that learn while they act: one file each, over the kit of `eluder.deep.common`."""

from eluder.deep.common.run import Schedule
from eluder.deep.online._dqn import DQNConfig, dqn
from eluder.deep.online._dsac import DSACConfig, dsac
from eluder.deep.online._dsac_t import DSACTConfig, dsac_t
from eluder.deep.online._sac import SACConfig, sac

__all__ = ["DQNConfig", "DSACConfig", "DSACTConfig", "SACConfig", "Schedule", "dqn", "dsac", "dsac_t", "sac"]
