"""Agents with continuous actions swing a pendulum up: slow, two seeds of each, small networks.

The best policies have some -140 on average; one that stays hanging has -1500 in an episode, chance -1200 on
average. `test_ddpg.py` and `test_dqn.py` have checks of their own.
"""

import pytest

from eluder.deep import online
from eluder.deep.online import Schedule

OFF_POLICY = {"hidden": (64, 64), "batch_size": 128, "warmup": 1000, "lr_actor": 1e-3, "lr_critic": 1e-3}
DROQ = {"dropout": 0.01, "num_critics": 2, "num_sampled": 2, "utd": 5, "actor_every": 5}
AGENTS = {
    "sac": ("sac", online.SACConfig(**OFF_POLICY), 8_000),
    "droq": ("sac", online.SACConfig(**OFF_POLICY, **DROQ), 2_500),
    "td3": ("td3", online.TD3Config(**OFF_POLICY), 8_000),
    "dsac": ("dsac", online.DSACConfig(**OFF_POLICY), 14_000),
    "dsac_t": ("dsac_t", online.DSACTConfig(**OFF_POLICY), 12_000),
    "pmoe": ("pmoe", online.PMOEConfig(**OFF_POLICY), 8_000),
    "ppo": ("ppo", online.PPOConfig(), 100_000),
    "pmoe_ppo": ("pmoe_ppo", online.PMOEPPOConfig(play="drawn"), 100_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AGENTS)
def test_swings_the_pendulum_up(name):
    agent, config, steps = AGENTS[name]
    schedule = Schedule(evaluate_every=0, episodes=20, log_every=0)
    result = getattr(online, agent)("Pendulum-v1", steps, config=config, seeds=(0, 1), schedule=schedule)
    returns = result.returns[-1].mean(axis=1)
    assert returns.min() > -250, returns
