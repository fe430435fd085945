"""The loops of all agents: against the same loop written plainly, resumed at odd places, on odd environments.

`by_hand` counts steps and updates where the agents compute them, and keeps nothing between two runs.
"""

import dataclasses
import importlib
import json
import math
import os
import subprocess
import sys
import zlib
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from eluder.deep.common._stepping import reset_seed
from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.environments import Environments
from eluder.deep.common.normalise import RewardScale, RunningNorm
from eluder.deep.common.random import bits, integers, normal, seed_keys, uniform
from eluder.deep.common.replay import Replay
from eluder.deep.common.rollout import Rollout
from eluder.deep.online import (
    DDPGConfig,
    DQNConfig,
    DSACConfig,
    DSACTConfig,
    PMOEConfig,
    PMOEPPOConfig,
    PPOConfig,
    SACConfig,
    Schedule,
    TD3Config,
    ddpg,
    dqn,
    dsac,
    dsac_t,
    pmoe,
    pmoe_ppo,
    ppo,
    sac,
    td3,
)

COMMON = {"hidden": (8,), "batch_size": 4, "gamma": 0.9, "num_envs": 2, "warmup": 8, "replay_size": 48}
CONFIGS = {
    sac: SACConfig(**COMMON, utd=0.6, n_step=3, num_critics=3, num_sampled=2, actor_every=2),
    td3: TD3Config(**COMMON, utd=0.6, n_step=3, sigma=0.7),
    ddpg: DDPGConfig(**COMMON, utd=0.6, n_step=3, sigma=0.7),
    dqn: DQNConfig(
        **COMMON, utd=0.6, n_step=3, num_quantiles=3, duelling=True, epsilon=(0.8, 0.2), epsilon_steps=40
    ),
    dsac: DSACConfig(**COMMON, utd=0.6),
    dsac_t: DSACTConfig(**COMMON, utd=0.6),
    pmoe: PMOEConfig(**COMMON, utd=0.6, num_experts=3),
}
WHOLE = {"hidden": (8,), "num_steps": 9, "num_envs": 2, "batch_size": 5, "epochs": 2, "lr": 0.01}
ROLLOUTS = {ppo: PPOConfig(**WHOLE, max_kl=0.05), pmoe_ppo: PMOEPPOConfig(**WHOLE, num_experts=3)}
OFF_POLICY = [pytest.param(agent, id=agent.__name__) for agent in CONFIGS]
ALL = [*OFF_POLICY, *(pytest.param(agent, id=agent.__name__) for agent in ROLLOUTS)]
QUIET = Schedule(episodes=1)


class Walk(gymnasium.Env):
    """Noise as a column of pixels; ends by chance, or by a limit after 7 steps."""

    def __init__(self, discrete=False, shape=(3, 1)):
        self.observation_space = Box(-9.0, 9.0, shape, np.float64)
        low, high = np.array([-0.1, -0.7]), np.array([0.3, 0.1])
        self.action_space = Discrete(3, start=1) if discrete else Box(low, high, dtype=np.float64)

    def obs(self):
        return self.np_random.normal(size=self.observation_space.shape).clip(-9.0, 9.0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.obs(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.t += 1
        return self.obs(), float(np.sum(action)), self.np_random.random() < 0.15, self.t == 7, {}


def config_of(agent):
    return (CONFIGS | ROLLOUTS)[agent]


def environment(agent):
    return lambda: Walk(discrete=agent is dqn)


def explorer(name, module, config, keys, nets, A):
    """Return what chooses the actions after the warm-up, of what was observed after t steps."""
    E = config.num_envs
    if name in ("sac", "dsac", "dsac_t"):
        act = module.make_act(nets.actor, config.activation, config.log_std_range)
        return lambda obs, t: act(obs, normal(keys, t, module.ACT, (E, A)))
    if name == "td3":
        act = module.make_act(nets.actor, config.activation)
        return lambda obs, t: (act(obs) + config.sigma * normal(keys, t, module.ACT, (E, A))).clamp(-1, 1)
    if name == "pmoe":
        act = module.make_act(config, nets.actor, A)
        return lambda obs, t: act(
            obs, normal(keys, t, module.ACT, (E, A)), uniform(keys, t, module.EXPERT + 1, (E,))
        )
    if name == "ddpg":
        act, noise = module.make_act(nets.actor, config.activation), torch.zeros(1, E, A)

        def wander(obs, t):
            noise.mul_(1 - config.theta).add_(config.sigma * normal(keys, t, module.ACT, (E, A)))
            return (act(obs) + noise).clamp(-1, 1)

        wander.noise = noise
        return wander
    act = module.make_act(nets.online, config, A)
    first, last = config.epsilon

    def coin(obs, t):
        eps = max(last, first + (last - first) * (t - config.warmup) / config.epsilon_steps)
        explores = uniform(keys, t, module.COIN, (E,)) < eps
        return torch.where(explores, integers(keys, t, module.ACT, (E,), A), act(obs))

    return coin


def by_hand(name, config, env, steps, seed):
    """Return the networks after some steps."""
    module, E, keys = (
        importlib.import_module(f"eluder.deep.online._{name}"),
        config.num_envs,
        seed_keys([seed]),
    )
    envs, discrete = Environments(env, [seed], E), name == "dqn"
    A = 3 if discrete else 2
    nets = module.init(config, 3, A, keys)
    replay = Replay(config.replay_size, (3,), 0 if discrete else A, 1, E)
    if discrete or name == "ddpg":
        update = module.make_update(config, nets, *[A] * discrete)[0]
    else:
        update = module.make_update(config, nets, keys, A)[0]
    explore = explorer(name, module, config, keys, nets, A)
    obs = envs.reset().reshape(E, 3)
    replay.begin(obs)
    done = updates = 0
    while done < steps:
        if done >= config.warmup:
            action = explore(torch.from_numpy(obs)[None], done)
        elif discrete:
            action = integers(keys, done, module.ACT, (E,), A)
        else:
            action = 2 * uniform(keys, done, module.WARMUP, (E, A)) - 1
        step = envs.step(action[0].numpy())
        obs = step.obs.reshape(E, 3)
        step = step._replace(obs=obs, next_obs=step.next_obs.reshape(E, 3))
        replay.add(action[0].numpy(), step)
        if name == "ddpg":
            explore.noise[0, step.terminated | step.truncated] = 0.0
        done += E
        while updates < math.floor((done - config.warmup) * config.utd + 1e-9):
            given = {"gamma": config.gamma, "n_step": getattr(config, "n_step", 1), "stream": module.SAMPLE}
            batch = replay.sample(config.batch_size, keys, updates, **given)
            update(batch, *[] if name == "ddpg" else [updates])
            updates += 1
    return nets


@pytest.mark.parametrize("agent", OFF_POLICY)
def test_the_loop_is_the_one_written_plainly(agent):
    config, env = CONFIGS[agent], environment(agent)
    result = agent(env, 60, config=config, seeds=(3,), schedule=QUIET)
    nets = by_hand(agent.__name__, config, env, 60, 3)
    for network in ("online",) if agent is dqn else ("actor", "critic"):
        for name, x in getattr(nets, network).state().items():
            assert np.array_equal(result.parameters[f"{network}/{name}"], x.numpy()), f"{network}/{name}"


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("anneal", [None, 0, 200])
def test_the_loop_of_ppo_is_the_one_written_plainly(anneal, fused):
    config = dataclasses.replace(ROLLOUTS[ppo], anneal_steps=anneal, fused=fused)
    result = ppo(Walk, 60, config=config, seeds=(3,), schedule=QUIET)
    module = importlib.import_module("eluder.deep.online._ppo")
    T, E, keys, horizon = 9, 2, seed_keys([3]), {None: 60, 0: math.inf, 200: 200}[anneal]
    envs = Environments(Walk, [3], E)
    parameters = module.init(config, 3, 2, False, keys)
    norm, scale = RunningNorm(1, (3,)), RewardScale(1, E, config.gamma)
    rollout, update = Rollout(1, T, E, 3, 2), module.make_update(config, parameters)[0]
    act, obs = module.make_act(parameters, norm, config), envs.reset().reshape(E, 3)
    for k in range(3):  # 54 of the 60 steps: the rest is no whole rollout
        noise = normal(keys, k, module.ACT, (T, E, 2))
        for i in range(T):
            action = act(torch.from_numpy(obs)[None], noise[:, i].contiguous())[0].numpy()
            step = envs.step(action)
            step = step._replace(obs=step.obs.reshape(E, 3), next_obs=step.next_obs.reshape(E, 3))
            rollout.add(i, obs, action, step)
            obs = step.obs
        data = module.evaluate_rollout(parameters, config, rollout, norm, scale)
        words = bits(keys, k, module.SHUFFLE, config.epochs * T * E)
        order = words.view(1, config.epochs, T * E).argsort(dim=2)
        update(data, order, config.lr * (1 - k * T * E / horizon))
        norm.update(torch.from_numpy(rollout.obs.reshape(1, T * E, 3)))
    for name, x in parameters.state().items():
        assert np.array_equal(result.parameters[f"policy/{name}"], x.numpy()), name
    assert np.array_equal(result.parameters["norm/mean"], norm.mean.numpy())


def same(a, b):
    return all(np.array_equal(a.parameters[name], x) for name, x in b.parameters.items()) and np.array_equal(
        a.returns, b.returns
    )


@pytest.mark.parametrize("agent", ALL)
@pytest.mark.parametrize("stops", [(14,), (34, 60), (62, 90)], ids=str)
def test_runs_resumed_at_odd_places_are_those_that_never_stopped(agent, stops, tmp_path):
    """In the warm-up, in a rollout, in an episode, and after the replay has turned round; logs too."""
    config, env = config_of(agent), environment(agent)
    if agent in ROLLOUTS:
        config = dataclasses.replace(config, anneal_steps=200)
    schedule = Schedule(evaluate_every=30, episodes=2, log_every=4, save_every=0)

    def train(out, steps, **given):
        return agent(env, steps, config=config, seeds=(0, 5), out=tmp_path / out, schedule=schedule, **given)

    whole = train("whole", 100)
    for i, steps in enumerate((*stops, 100)):
        parts = train("parts", steps, resume=i > 0)
    assert same(whole, parts)
    assert whole.steps.tolist() == parts.steps.tolist() == [30, 60, 90, 100]
    for file in ("log.jsonl", "evaluations.csv"):
        assert (tmp_path / "parts" / file).read_text() == (tmp_path / "whole" / file).read_text()


KILLED = """
import os, signal, sys
from tests.deep.online.test_loops import CONFIGS, ROLLOUTS, Walk, train_often
for agent in CONFIGS | ROLLOUTS:
    if os.fork() == 0:
        step, left = Walk.step, iter(range(198))

        def dies(self, action):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, action)

        Walk.step = dies
        train_often(agent, os.path.join(sys.argv[1], agent.__name__))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL, agent
"""


def train_often(agent, out):
    """Train two seeds; evaluations, metrics and checkpoints come often and at different times."""
    schedule = Schedule(evaluate_every=30, episodes=1, log_every=4, save_every=14)
    given = {"config": config_of(agent), "seeds": (0, 5), "schedule": schedule}
    return agent(environment(agent), 100, **given, out=out, resume=True)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folders of runs that were killed in the middle of a step."""
    out = tmp_path_factory.mktemp("killed")
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", KILLED, str(out)], cwd=root, check=True)
    return out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are copies")
@pytest.mark.parametrize("agent", ALL)
def test_a_run_killed_in_a_step_goes_on_as_if_it_had_not_been(agent, killed, tmp_path):
    out = killed / agent.__name__
    ends = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    before = load_checkpoint(out / "checkpoints")[1]["step"]
    assert 0 < before < 100
    assert max(ends) > before  # what was logged since is done, and logged, again
    whole, parts = train_often(agent, tmp_path), train_often(agent, out)
    assert same(whole, parts)
    tensors = [load_checkpoint(folder / "checkpoints")[0] for folder in (tmp_path, out)]
    for name, x in tensors[0].items():
        if not name.startswith("replay/"):  # which has frames that nothing was written to
            assert torch.equal(x, tensors[1][name]), name
    for file in ("log.jsonl", "evaluations.csv"):
        assert (out / file).read_text() == (tmp_path / file).read_text()


def test_what_was_logged_after_the_checkpoint_is_logged_once(tmp_path, monkeypatch):
    schedule = Schedule(evaluate_every=10, episodes=1, log_every=2, save_every=20)

    def train(out, **given):
        return td3(Walk, 60, config=CONFIGS[td3], out=tmp_path / out, schedule=schedule, **given)

    whole, step, left = train("whole"), Walk.step, iter(range(68))

    def stops(self, action):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return step(self, action)

    monkeypatch.setattr(Walk, "step", stops)
    with pytest.raises(KeyboardInterrupt):
        train("parts")
    monkeypatch.undo()
    texts = (tmp_path / "parts" / "log.jsonl").read_text()
    assert max(json.loads(line)["step"] for line in texts.splitlines()) % 20 != 0
    assert same(whole, train("parts", resume=True))
    for file in ("log.jsonl", "evaluations.csv"):
        assert (tmp_path / "parts" / file).read_text() == (tmp_path / "whole" / file).read_text()


@pytest.mark.parametrize("agent", [pytest.param(x, id=x.__name__) for x in (sac, dqn, ppo)])
def test_an_evaluation_is_the_policy_in_episodes_of_its_own(agent):
    env = environment(agent)
    result = agent(env, 40, config=config_of(agent), seeds=(0, 5), schedule=Schedule(episodes=3))
    for n, seed in enumerate((0, 5)):
        for k in range(3):
            world, total, ended = env(), 0.0, False
            obs, _ = world.reset(seed=reset_seed(seed, 0, 40 * 3 + k, zlib.crc32(b"evaluate")))
            while not ended:
                action = result.policy(np.broadcast_to(obs, (2, 1, 3, 1)))[n, 0]
                obs, reward, terminated, truncated, _ = world.step(action)
                total, ended = total + reward, terminated or truncated
            assert result.returns[0, n, k] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("agent", ALL)
def test_seeds_side_by_side_are_those_alone(agent):
    config, env = config_of(agent), environment(agent)
    both = agent(env, 30, config=config, seeds=(0, 5), schedule=QUIET)
    for n, seed in enumerate((0, 5)):
        alone = agent(env, 30, config=config, seeds=(seed,), schedule=QUIET)
        for name, x in alone.parameters.items():
            assert np.allclose(both.parameters[name][n], x[0], rtol=1e-3, atol=1e-5), name
        assert np.allclose(both.returns[:, n], alone.returns[:, 0], rtol=1e-4)


@pytest.mark.parametrize("agent", ALL)
def test_how_often_a_run_is_judged_does_not_change_it(agent):
    config, env = config_of(agent), environment(agent)
    often = agent(env, 40, config=config, schedule=Schedule(evaluate_every=2, episodes=1))
    once = agent(env, 40, config=config, schedule=QUIET)
    assert all(np.array_equal(x, often.parameters[name]) for name, x in once.parameters.items())
    assert np.array_equal(often.returns[-1], once.returns[-1])


@pytest.mark.parametrize("agent", ALL)
@pytest.mark.parametrize("shape", [(), (2, 2, 3)], ids=str)
def test_observations_of_any_box(agent, shape):
    result = agent(
        lambda: Walk(discrete=agent is dqn, shape=shape), 24, config=config_of(agent), schedule=QUIET
    )
    action = result.policy(np.zeros((1, 5, *shape)))
    assert action.shape == ((1, 5) if agent is dqn else (1, 5, 2))


@pytest.mark.parametrize("agent", [pytest.param(x, id=x.__name__) for x in (sac, td3, dqn, ppo)])
def test_one_row_of_observations_serves_every_seed(agent):
    result = agent(environment(agent), 40, config=config_of(agent), seeds=(0, 5), schedule=QUIET)
    obs = np.random.default_rng(0).normal(size=(1, 6, 3, 1))
    assert np.array_equal(result.policy(obs), result.policy(np.repeat(obs, 2, axis=0)))


@pytest.mark.parametrize("agent", [pytest.param(x, id=x.__name__) for x in (sac, td3, dsac, dsac_t)])
def test_metrics_of_the_actor_stay_in_the_log_until_there_are_newer_ones(agent, tmp_path):
    """Lines are due where the actor's turn is not: with one environment and 9 steps of warm-up."""
    config = type(CONFIGS[agent])(**{**vars(CONFIGS[agent]), "num_envs": 1, "warmup": 9, "utd": 1.0})
    agent(environment(agent), 40, config=config, out=tmp_path, schedule=Schedule(episodes=1, log_every=10))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    names = [set(line) for line in lines if "q" in line and line["step"] > 10]
    assert len(names) == 3
    assert all(({"q_actor"} if agent is td3 else {"entropy", "alpha"}) <= each for each in names)
