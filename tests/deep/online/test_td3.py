"""TD3: gradients by hand, the equations, probes, Riccati's gain, seeds side by side, exact resume."""

import math

import gymnasium
import numpy as np
import pytest
import torch

from eluder.core.results import TrainResult
from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.random import normal, seed_keys
from eluder.deep.common.replay import Batch
from eluder.deep.online import Schedule, TD3Config, td3
from eluder.deep.online._td3 import NOISE, First, init, make_act, make_update, smoothed
from tests.deep.probes import Constant, Forever, Identity, TwoStep

QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)


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
    update, _ = make_update(config, nets, keys, A)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    metrics = {}
    for u in range(steps):
        each = [batch(1, config.batch_size, obs_dim, A, g) for g in generators]
        metrics |= update(Batch(*(torch.cat(x) for x in zip(*each))), u)
    return nets, metrics


# --- definition ---


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("actor_every", [1, 3])
def test_by_hand_equals_autograd(activation, actor_every):
    config = {"hidden": (32, 16), "batch_size": 40, "activation": activation, "actor_every": actor_every}
    ours, metrics = updated(TD3Config(**config), range(3))
    reference, expected = updated(TD3Config(**config, fused=False), range(3))
    for a, b in zip(ours, reference):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(a.flat.detach(), b.flat.detach(), rtol=1e-5, atol=1e-5)
    assert set(metrics) == {"q", "td_error", "q_actor", "saturation"}
    for name in expected:
        torch.testing.assert_close(metrics[name], expected[name], rtol=1e-4, atol=1e-5)


def naive_losses(nets, config, b, noise, n):
    """The losses of critics and actor of seed n from the equations, transition by transition."""

    def mlp(p, x, member=()):
        for i in range(len(config.hidden) + 1):
            x = x @ p[f"w{i}"][(n, *member)] + p[f"b{i}"][(n, *member)][0]
            x = torch.relu(x) if i < len(config.hidden) else x
        return x

    critic = actor = 0.0
    B = b.reward.shape[1]
    for k in range(B):
        eps = torch.clamp(config.target_sigma * noise[n, k], -config.target_clip, config.target_clip)
        a = torch.clamp(torch.tanh(mlp(nets.actor_target, b.next_obs[n, k])) + eps, -1, 1)
        x = torch.cat([b.next_obs[n, k], a])
        q = min(mlp(nets.critic_target, x, (i,)).item() for i in range(2))
        y = b.reward[n, k].item() + b.discount[n, k].item() * q
        x = torch.cat([b.obs[n, k], b.action[n, k]])
        for i in range(2):
            critic = critic + 0.5 * (mlp(nets.critic, x, (i,))[0] - y) ** 2 / B
        a = torch.tanh(mlp(nets.actor, b.obs[n, k]))
        actor = actor - mlp(nets.critic, torch.cat([b.obs[n, k], a]), (0,))[0] / B
    return critic, actor


@pytest.mark.parametrize("fused", [True, False])
def test_one_update_against_the_equations(fused):
    """Gradients of the losses as the paper writes them, from parameters that are not the first ones."""
    sizes = {"hidden": (16,), "batch_size": 20, "fused": fused, "target_sigma": 0.6}
    nets, _ = updated(TD3Config(**sizes, lr_critic=1e-2, lr_actor=1e-2, tau=0.5), range(2), obs_dim=4, A=2)
    config = TD3Config(**sizes, lr_critic=1e-12, actor_every=1)  # the critic stays for the actor's gradient
    keys, b = seed_keys(range(2)), batch(2, 20, 4, 2, torch.Generator().manual_seed(9))
    noise = normal(keys, 77, NOISE, (20, 2))
    wanted = []
    for p, k in ((nets.critic, 0), (nets.actor, 1)):
        for leaf in p.tensors.values():
            leaf.grad = None
        sum(naive_losses(nets, config, b, noise, n)[k] for n in range(2)).backward()
        wanted.append(torch.cat([leaf.grad.reshape(-1) for leaf in p.tensors.values()]))
    fresh = init(config, 4, 2, keys)
    for ours, theirs in zip(fresh, nets):
        ours.load(theirs.state())
    update, _ = make_update(config, fresh, keys, 2)
    update(b, 77)
    for p, grad in zip((fresh.critic, fresh.actor), wanted):
        torch.testing.assert_close(p.grad, grad, rtol=1e-3, atol=1e-5)


def test_the_action_of_the_target_by_hand():
    action, noise = torch.tensor([0.0, 0.0, 0.9, -0.9]), torch.tensor([1.0, -9.0, 9.0, 1.0])
    wanted = torch.tensor([0.2, -0.5, 1.0, -0.7])
    torch.testing.assert_close(smoothed(action, noise, 0.2, 0.5), wanted)


def test_actor_and_targets_wait_for_their_turn():
    config = TD3Config(hidden=(8,), batch_size=10, actor_every=3, tau=0.25)
    nets = init(config, 5, 3, seed_keys([0, 1]))
    update, _ = make_update(config, nets, seed_keys([0, 1]), 3)
    g = torch.Generator().manual_seed(0)
    for u in range(7):
        before = [p.flat.detach().clone() for p in nets]
        update(batch(2, 10, 5, 3, g), u)
        changed = [not p.flat.equal(old) for p, old in zip(nets, before)]
        turn = u in (2, 5)
        assert changed == [turn, True, turn, turn]
        if turn:
            for target, p, old in ((nets.actor_target, nets.actor, 2), (nets.critic_target, nets.critic, 3)):
                wanted = 0.75 * before[old] + 0.25 * p.flat.detach()
                torch.testing.assert_close(target.flat, wanted, rtol=0, atol=1e-6)


def test_the_actor_follows_the_first_critic():
    config = TD3Config(hidden=(8,), batch_size=10, actor_every=1, lr_critic=1e-12)
    grads = []
    for change in (0.0, 1.0):
        nets = init(config, 5, 3, seed_keys([0]))
        with torch.no_grad():
            nets.critic["w0"][:, 1] += change
        assert First(nets.critic)["w0"].equal(nets.critic["w0"][:, 0])
        update, _ = make_update(config, nets, seed_keys([0]), 3)
        update(batch(1, 10, 5, 3, torch.Generator().manual_seed(0)), 0)
        grads.append(nets.actor.grad.clone())
    torch.testing.assert_close(*grads)


def test_each_seed_is_trained_as_alone():
    config = TD3Config(hidden=(32, 32), batch_size=40)
    together, _ = updated(config, [3, 8, 5], steps=30)
    for i, seed in enumerate([3, 8, 5]):
        alone, _ = updated(config, [seed], steps=30)
        for a, b in zip(together, alone):
            for name in a.tensors:
                torch.testing.assert_close(a[name][i], b[name][0], rtol=1e-3, atol=1e-4)


# --- learning ---


FAST = {"hidden": (32, 32), "batch_size": 64, "warmup": 100, "lr_actor": 3e-3, "lr_critic": 3e-3, "tau": 0.05}


def value(result, obs, action=0.0, seed=0):
    """The mean of the critics."""
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
    config = TD3Config(**FAST, gamma=0.9)
    assert value(td3(Constant, 500, config=config, schedule=QUIET), 0.0) == pytest.approx(1.0, abs=0.05)
    result = td3(TwoStep, 800, config=config, schedule=QUIET)
    assert value(result, 1.0) == pytest.approx(1.0, abs=0.08)
    assert value(result, 0.0) == pytest.approx(0.9, abs=0.08)


def test_a_time_limit_is_no_end():
    config = TD3Config(**FAST | {"tau": 0.1}, gamma=0.8)
    result = td3(Forever, 1200, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(5.0, abs=0.3)  # of 5 steps alone: 3.36


def test_learns_the_identity_in_units_of_the_environment():
    config = TD3Config(**FAST, gamma=0.9)
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    result = td3(lambda: Identity(low=-2.0, high=6.0), 1000, config=config, seeds=(0, 1), schedule=schedule)
    assert isinstance(result, TrainResult)
    assert result.returns.shape == (1, 2, 50)
    assert result.returns.mean(axis=(0, 2)).min() > 0.97
    action = result.policy(np.array([[[0.5]], [[-0.5]]]))
    assert action[:, 0, 0] == pytest.approx([4.0, 0.0], abs=1.0)


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


def riccati_gain(gamma):
    """The best action is -K x; P solves the discounted equation of Riccati."""
    P = 0.0
    for _ in range(500):
        P = 1.0 + gamma * 0.81 * P - (gamma * 0.45 * P) ** 2 / (0.5 + gamma * 0.25 * P)
    return gamma * 0.45 * P / (0.5 + gamma * 0.25 * P)


def test_the_gain_of_a_regulator():
    gamma = 0.9
    config = TD3Config(
        **FAST | {"warmup": 1000, "lr_actor": 1e-3, "tau": 0.02}, gamma=gamma, activation="silu", utd=0.5
    )
    result = td3(Regulator, 4000, config=config, schedule=QUIET)
    x = np.linspace(-0.6, 0.6, 13)
    a = result.policy(x[None, :, None])[0, :, 0]
    assert (x @ a) / (x @ x) == pytest.approx(-riccati_gain(gamma), abs=0.08)


@pytest.mark.slow
def test_swings_the_pendulum_up():
    config = TD3Config(hidden=(64, 64), batch_size=128, warmup=1000, lr_actor=1e-3, lr_critic=1e-3)
    result = td3("Pendulum-v1", 15_000, config=config, seeds=(0, 1, 2), schedule=Schedule(evaluate_every=0))
    assert result.returns[-1].mean(axis=1).min() > -250


# --- runs ---


SMALL = TD3Config(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2)
OFTEN = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)


def same(a, b):
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name], err_msg=name)
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.steps, b.steps)


def test_the_same_seed_is_the_same_run():
    same(*(td3("Pendulum-v1", 100, config=SMALL, seeds=(1, 2), schedule=OFTEN) for _ in range(2)))


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    arguments = {"config": SMALL, "seeds": (1, 2), "schedule": OFTEN}
    whole = td3("Pendulum-v1", 400, out=tmp_path / "whole", **arguments)
    td3("Pendulum-v1", 200, out=tmp_path / "parts", **arguments)
    parts = td3("Pendulum-v1", 400, out=tmp_path / "parts", resume=True, **arguments)
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
    for name, x in [*bad, ("sigma", -0.1), ("target_clip", -1.0), ("actor_every", 0), ("warmup", 0)]:
        with pytest.raises(ValueError, match=f"{name} must be"):
            TD3Config(**{name: x})
    with pytest.raises(ValueError, match="activation must be one of"):
        TD3Config(activation="step")
    with pytest.raises(ValueError, match="actions in a box"):
        td3("CartPole-v1", 100)
    with pytest.raises(ValueError, match="steps must be"):
        td3("Pendulum-v1", 0)


def test_the_policy_is_squashed_and_without_noise():
    config = TD3Config(hidden=(8,))
    nets = init(config, 3, 2, seed_keys([0]))
    act, obs = make_act(nets.actor, "relu"), torch.full((1, 4, 3), 100.0)
    assert act(obs).equal(act(obs))
    assert act(obs).abs().max() <= 1.0
    assert nets.actor_target.flat.equal(nets.actor.flat)
    assert nets.critic_target.flat.equal(nets.critic.flat)
