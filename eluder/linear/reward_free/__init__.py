"""Reward-free exploration of linear problems: learn first, be told the reward later."""

from eluder.linear.reward_free._hf_ucrl_rfe_plus_plus import hf_ucrl_rfe_plus_plus
from eluder.linear.reward_free._lsvi_reward_free import lsvi_reward_free
from eluder.linear.reward_free._ucrl_rfe import ucrl_rfe
from eluder.linear.reward_free._ucrl_rfe_plus import ucrl_rfe_plus

__all__ = ["hf_ucrl_rfe_plus_plus", "lsvi_reward_free", "ucrl_rfe", "ucrl_rfe_plus"]
