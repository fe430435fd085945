"""DDPG: gradients by hand, the equations, probes, Riccati's gain, seeds side by side, exact resume."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv

from eluder.core.results import TrainResult
from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.config import tuned
from eluder.deep.common.random import normal, seed_keys, uniform
from eluder.deep.common.replay import Batch
from eluder.deep.online import DDPGConfig, Schedule, _ddpg, ddpg
from eluder.deep.online._ddpg import ACT, LAST, WARMUP, init, make_act, make_update, next_noise
from tests.deep.probes import Constant, Forever, Identity, TwoStep

QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)


class Regulator(gymnasium.Env):
    """x' = 0.9 x + 0.5 a + 0.05 eps, reward -(x^2 + a^2 / 2), cut after 20 steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = float(self.np_random.uniform(-1.0, 1.0)), 0
        return np.array([self.x], np.float32), {}

    def step(self, action):
        a = float(action[0])
        reward = -(self.x**2 + a**2 / 2)
        self.x = 0.9 * self.x + 0.5 * a + 0.05 * float(self.np_random.standard_normal())
        self.t += 1
        return np.array([self.x], np.float32), reward, False, self.t == 20, {}


def batch(N, B, obs_dim, A, generator):
    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    action = torch.rand(N, B, A, generator=generator) * 2 - 1
    discount = 0.99 * (torch.rand(N, B, generator=generator) > 0.2)
    return Batch(draw(N, B, obs_dim), action, draw(N, B), draw(N, B, obs_dim), discount)


def updated(config, seeds, steps=10, obs_dim=5, A=3):
    """Networks after some updates on random batches; every seed sees what it sees alone."""
    keys = seed_keys(seeds)
    nets = init(config, obs_dim, A, keys)
    update, _ = make_update(config, nets)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    for _ in range(steps):
        each = [batch(1, config.batch_size, obs_dim, A, g) for g in generators]
        metrics = update(Batch(*(torch.cat(x) for x in zip(*each))))
    return nets, metrics


# --- definition ---


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_by_hand_equals_autograd(activation, weight_decay):
    config = {"hidden": (32, 16), "batch_size": 40, "activation": activation, "weight_decay": weight_decay}
    ours, metrics = updated(DDPGConfig(**config), range(3))
    reference, expected = updated(DDPGConfig(**config, fused=False), range(3))
    for a, b in zip(ours, reference):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(a.flat.detach(), b.flat.detach(), rtol=1e-5, atol=1e-5)
    assert set(metrics) == {"q", "td_error", "q_actor", "saturation"}
    for name in expected:
        torch.testing.assert_close(metrics[name], expected[name], rtol=1e-4, atol=1e-5)


def naive_losses(nets, config, b, n):
    """The losses of critic and actor of seed n from the equations, transition by transition."""

    def mlp(p, x):
        for i in range(len(config.hidden) + 1):
            x = x @ p[f"w{i}"][n] + p[f"b{i}"][n, 0]
            x = torch.relu(x) if i < len(config.hidden) else x
        return x

    B = b.reward.shape[1]
    critic, actor = 0.0, 0.0
    for leaf in nets.critic.tensors.values():
        critic = critic + 0.5 * config.weight_decay * leaf[n].square().sum()
    for k in range(B):
        a = torch.tanh(mlp(nets.actor_target, b.next_obs[n, k]))
        q = mlp(nets.critic_target, torch.cat([b.next_obs[n, k], a])).item()
        y = b.reward[n, k].item() + b.discount[n, k].item() * q
        x = torch.cat([b.obs[n, k], b.action[n, k]])
        critic = critic + 0.5 * (mlp(nets.critic, x)[0] - y) ** 2 / B
        a = torch.tanh(mlp(nets.actor, b.obs[n, k]))
        actor = actor - mlp(nets.critic, torch.cat([b.obs[n, k], a]))[0] / B
    return critic, actor


@pytest.mark.parametrize("fused", [True, False])
def test_one_update_against_the_equations(fused):
    """Gradients of the losses as the paper writes them, from parameters that are not the first ones."""
    sizes = {"hidden": (16,), "batch_size": 20, "fused": fused, "weight_decay": 0.02}
    nets, _ = updated(DDPGConfig(**sizes, lr_critic=1e-2, lr_actor=1e-2, tau=0.5), range(2), obs_dim=4, A=2)
    config = DDPGConfig(**sizes, lr_critic=1e-12, tau=0.25)  # the critic stays for the actor's gradient
    keys, b = seed_keys(range(2)), batch(2, 20, 4, 2, torch.Generator().manual_seed(9))
    wanted = []
    for p, k in ((nets.critic, 0), (nets.actor, 1)):
        for leaf in p.tensors.values():
            leaf.grad = None
        sum(naive_losses(nets, config, b, n)[k] for n in range(2)).backward()
        wanted.append(torch.cat([leaf.grad.reshape(-1) for leaf in p.tensors.values()]))
    fresh = init(config, 4, 2, keys)
    for ours, theirs in zip(fresh, nets):
        ours.load(theirs.state())
    update, _ = make_update(config, fresh)
    metrics = update(b)
    for p, grad in zip((fresh.critic, fresh.actor), wanted):
        torch.testing.assert_close(p.grad, grad, rtol=1e-3, atol=1e-5)
    for target, old, p in (
        (fresh.actor_target, nets.actor_target, fresh.actor),
        (fresh.critic_target, nets.critic_target, fresh.critic),
    ):
        wanted = 0.75 * old.flat + 0.25 * p.flat.detach()
        torch.testing.assert_close(target.flat, wanted, rtol=0, atol=1e-6)
    assert set(metrics) == {"q", "td_error", "q_actor", "saturation"}


def test_first_values_and_actions_are_small():
    nets = init(DDPGConfig(hidden=(50, 40)), 5, 3, seed_keys(range(4)))
    for p, width in ((nets.actor, 3), (nets.critic, 1)):
        assert p["w2"].shape == (4, 40, width)
        for name in ("w2", "b2"):
            assert p[name].abs().max() <= LAST
        assert p["w2"].abs().max() > 0.8 * LAST
        assert p["w1"].abs().max() > 0.1
    assert nets.actor_target.flat.equal(nets.actor.flat)


def test_the_noise_is_correlated_as_it_should_be():
    """Stationary variance sigma^2 / (1 - (1 - theta)^2), correlation 1 - theta of neighbours."""
    theta, sigma, keys = 0.15, 0.2, seed_keys([0])
    assert next_noise(torch.tensor([2.0]), torch.tensor([-1.0]), 0.25, 0.5).tolist() == [1.0]
    noise, seen = torch.zeros(1, 400), []
    for t in range(200):
        noise = next_noise(noise, normal(keys, t, ACT, (400,)), theta, sigma)
        seen.append(noise)
    x = torch.cat(seen[60:])
    assert x.var().item() == pytest.approx(sigma**2 / (1 - (1 - theta) ** 2), rel=0.05)
    assert (x[1:] * x[:-1]).mean().item() / x.var().item() == pytest.approx(1 - theta, abs=0.02)


class Watched(Regulator):
    """Keeps what is done, and cuts after 5 steps."""

    def reset(self, **given):
        self.seen = []
        everything.append(self.seen)
        return super().reset(**given)

    def step(self, action):
        self.seen.append(float(action[0]))
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, self.t == 5, info


everything = []


def test_the_noise_begins_again_with_an_episode():
    """An actor that hardly learns leaves the noise alone: its sequence, and zero where an episode begins."""
    everything.clear()
    config = DDPGConfig(hidden=(8,), batch_size=4, warmup=5, lr_actor=1e-12, replay_size=100)
    ddpg(Watched, 20, config=config, schedule=QUIET)
    keys, t = seed_keys([0]), 5
    first = next(x for x in everything if x)
    assert first == pytest.approx([2 * uniform(keys, k, WARMUP, (1,)).item() - 1 for k in range(5)])
    training = [x for x in everything if len(x) == 5][1:4]
    for episode in training:
        noise = 0.0
        for action in episode:
            noise = 0.85 * noise + 0.2 * normal(keys, t, ACT, (1,)).item()
            assert action == pytest.approx(max(-1.0, min(1.0, noise)), abs=0.01)
            t += 1


def test_a_step_that_only_resets_leaves_no_noise(monkeypatch):
    """In a vector environment that spends a step on its reset an episode begins with noise 0 all the same."""
    noises = []

    def watched(noise, eps, theta, sigma):
        noises.append(noise.clone())
        return next_noise(noise, eps, theta, sigma)

    monkeypatch.setattr(_ddpg, "next_noise", watched)
    config = DDPGConfig(hidden=(8,), batch_size=4, warmup=5, replay_size=100)
    ddpg(lambda n: SyncVectorEnv([Watched] * n), 30, config=config, schedule=QUIET)
    # Episodes of 5 steps and a reset: at steps 5, 11, 17, ... what is done only resets.
    zero = [t for t, noise in enumerate(noises, 5) if not noise.any()]
    assert zero == [5, 6, 11, 12, 17, 18, 23, 24, 29]


def test_each_seed_is_trained_as_alone():
    config = DDPGConfig(hidden=(32, 32), batch_size=40)
    together, _ = updated(config, [3, 8, 5], steps=30)
    for i, seed in enumerate([3, 8, 5]):
        alone, _ = updated(config, [seed], steps=30)
        for a, b in zip(together, alone):
            for name in a.tensors:
                torch.testing.assert_close(a[name][i], b[name][0], rtol=1e-3, atol=1e-4)


# --- learning ---


FAST = {"hidden": (32, 32), "batch_size": 64, "warmup": 100, "lr_actor": 3e-3, "lr_critic": 3e-3, "tau": 0.05}


def value(result, obs, action=0.0, seed=0):
    """The critic."""
    x = torch.tensor([[obs, action]], dtype=torch.float32)
    p = {
        k.removeprefix("critic/"): torch.tensor(v[seed])
        for k, v in result.parameters.items()
        if "critic" in k
    }
    for i in range(3):
        x = x @ p[f"w{i}"] + p[f"b{i}"]
        x = torch.relu(x) if i < 2 else x
    return float(x.mean())


def test_values_of_the_probes():
    config = DDPGConfig(**FAST, gamma=0.9)
    assert value(ddpg(Constant, 500, config=config, schedule=QUIET), 0.0) == pytest.approx(1.0, abs=0.05)
    result = ddpg(TwoStep, 800, config=config, schedule=QUIET)
    assert value(result, 1.0) == pytest.approx(1.0, abs=0.08)
    assert value(result, 0.0) == pytest.approx(0.9, abs=0.08)


def test_a_time_limit_is_no_end():
    config = DDPGConfig(**FAST | {"tau": 0.1}, gamma=0.8)
    result = ddpg(Forever, 1200, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(5.0, abs=0.3)  # of 5 steps alone: 3.36


def test_learns_the_identity_in_units_of_the_environment():
    config = DDPGConfig(**FAST, gamma=0.9)
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    result = ddpg(lambda: Identity(low=-2.0, high=6.0), 1000, config=config, seeds=(0, 1), schedule=schedule)
    assert isinstance(result, TrainResult)
    assert result.returns.shape == (1, 2, 50)
    assert result.returns.mean(axis=(0, 2)).min() > 0.97
    action = result.policy(np.array([[[0.5]], [[-0.5]]]))
    assert action[:, 0, 0] == pytest.approx([4.0, 0.0], abs=1.0)


def riccati_gain(gamma):
    """The best action is -K x; P solves the discounted equation of Riccati."""
    P = 0.0
    for _ in range(500):
        P = 1.0 + gamma * 0.81 * P - (gamma * 0.45 * P) ** 2 / (0.5 + gamma * 0.25 * P)
    return gamma * 0.45 * P / (0.5 + gamma * 0.25 * P)


def test_the_gain_of_a_regulator():
    gamma = 0.9
    config = DDPGConfig(
        **FAST | {"warmup": 1000, "lr_actor": 1e-3, "tau": 0.02}, gamma=gamma, activation="silu", utd=0.5
    )
    result = ddpg(Regulator, 4000, config=config, schedule=QUIET)
    x = np.linspace(-0.6, 0.6, 13)
    a = result.policy(x[None, :, None])[0, :, 0]
    assert (x @ a) / (x @ x) == pytest.approx(-riccati_gain(gamma), abs=0.08)


@pytest.mark.slow
def test_swings_the_pendulum_up():
    """From every start of every seed: one that stays hanging has some -1500."""
    config = tuned(DDPGConfig(), "ddpg", "Pendulum-v1")
    schedule = Schedule(evaluate_every=0, log_every=0)
    result = ddpg("Pendulum-v1", 10_000, config=config, seeds=range(5), schedule=schedule)
    assert result.returns[-1].mean(axis=1).min() > -250
    assert result.returns[-1].min() > -500


# --- runs ---


SMALL = DDPGConfig(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2)
OFTEN = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)


def same(a, b):
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name], err_msg=name)
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.steps, b.steps)


def test_the_same_seed_is_the_same_run():
    same(*(ddpg("Pendulum-v1", 100, config=SMALL, seeds=(1, 2), schedule=OFTEN) for _ in range(2)))


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    arguments = {"config": SMALL, "seeds": (1, 2), "schedule": OFTEN}
    whole = ddpg("Pendulum-v1", 400, out=tmp_path / "whole", **arguments)
    ddpg("Pendulum-v1", 200, out=tmp_path / "parts", **arguments)
    parts = ddpg("Pendulum-v1", 400, out=tmp_path / "parts", resume=True, **arguments)
    same(whole, parts)
    last = [load_checkpoint(tmp_path / run / "checkpoints") for run in ("whole", "parts")]
    assert last[0][1]["step"] == last[1][1]["step"] == 400
    for name, x in last[0][0].items():
        assert torch.equal(x, last[1][0][name]), name
    for file in ("log.jsonl", "evaluations.csv"):
        texts = [(tmp_path / run / file).read_text() for run in ("whole", "parts")]
        assert texts[0] == texts[1], file


def test_bad_input():
    bad = [("gamma", 1.5), ("tau", 0.0), ("lr_actor", -1.0), ("batch_size", 0), ("utd", math.nan)]
    for name, x in [*bad, ("sigma", -0.1), ("theta", 0.0), ("weight_decay", -1.0), ("warmup", 0)]:
        with pytest.raises(ValueError, match=f"{name} must be"):
            DDPGConfig(**{name: x})
    with pytest.raises(ValueError, match="activation must be one of"):
        DDPGConfig(activation="step")
    with pytest.raises(ValueError, match="actions in a box"):
        ddpg("CartPole-v1", 100)
    with pytest.raises(ValueError, match="steps must be"):
        ddpg("Pendulum-v1", 0)


def test_the_policy_is_squashed_and_without_noise():
    config = DDPGConfig(hidden=(8,))
    nets = init(config, 3, 2, seed_keys([0]))
    act, obs = make_act(nets.actor, "relu"), torch.full((1, 4, 3), 100.0)
    assert act(obs).equal(act(obs))
    assert act(obs).abs().max() <= 1.0
    assert nets.actor_target.flat.equal(nets.actor.flat)
    assert nets.critic_target.flat.equal(nets.critic.flat)
