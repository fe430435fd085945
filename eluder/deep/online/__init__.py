"""Agents that learn while they act: one file each, over the kit of `eluder.deep.common`."""

from eluder.deep.common.training import Schedule
from eluder.deep.online._ddpg import DDPGConfig, ddpg
from eluder.deep.online._dqn import DQNConfig, dqn
from eluder.deep.online._dsac import DSACConfig, dsac
from eluder.deep.online._dsac_t import DSACTConfig, dsac_t
from eluder.deep.online._multi_goal import MultiGoal
from eluder.deep.online._pmoe import PMOEConfig, pmoe
from eluder.deep.online._pmoe_ppo import PMOEPPOConfig, pmoe_ppo
from eluder.deep.online._ppo import PPOConfig, ppo
from eluder.deep.online._sac import SACConfig, sac
from eluder.deep.online._td3 import TD3Config, td3

__all__ = [
    "DDPGConfig",
    "DQNConfig",
    "DSACConfig",
    "DSACTConfig",
    "MultiGoal",
    "PMOEConfig",
    "PMOEPPOConfig",
    "PPOConfig",
    "SACConfig",
    "Schedule",
    "TD3Config",
    "ddpg",
    "dqn",
    "dsac",
    "dsac_t",
    "pmoe",
    "pmoe_ppo",
    "ppo",
    "sac",
    "td3",
]
