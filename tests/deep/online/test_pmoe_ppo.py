"""PMOE for PPO: densities and losses by hand, the gate's gradient, one update row by row, whole runs."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.densities import gaussian_log_density
from eluder.deep.common.networks import mlp
from eluder.deep.common.normalise import RunningNorm
from eluder.deep.common.random import normal, seed_keys
from eluder.deep.online import PMOEPPOConfig, Schedule, pmoe_ppo
from eluder.deep.online._pmoe_ppo import (
    BEST,
    best_expert,
    fixed_uniform,
    gate_loss,
    init,
    make_act,
    make_update,
    mixture,
    mixture_log_density,
    policy_terms,
)
from eluder.deep.online._ppo_kernels import Data
from tests.deep.probes import Constant, Forever, Identity, TwoStep

D, A, K, M = 3, 2, 3, 12
QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)
CONFIG = PMOEPPOConfig(num_experts=K, hidden=(5,), batch_size=M, epochs=1, lr=0.01)


def filled(config, N=2, seed=0):
    """Parameters that are not the first ones, in float64 where asked for by the caller."""
    keys = seed_keys(range(seed, seed + N))
    parameters = init(config, D, A, keys)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        parameters.flat.add_(0.3 * torch.randn(parameters.flat.shape, generator=generator))
    return parameters, keys


def rollout_rows(parameters, config, N=2, seed=0):
    generator = torch.Generator().manual_seed(seed + 100)

    def draw(*shape):
        return torch.randn(N, M, *shape, generator=generator)

    obs, action = draw(D), draw(A)
    with torch.no_grad():
        old = policy_terms(parameters, config, obs, action)[0] + 0.3 * draw()
    weight = torch.ones(N, M)
    weight[:, 3] = 0.0
    return Data(obs, action, old, draw(), draw(), draw(), weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_density_of_a_mixture_by_hand(dtype):
    """0.25 N(0; 0, 1) + 0.75 N(0; 1, 0.5), two actions each."""
    w = torch.tensor([[[0.25, 0.75]]], dtype=dtype)
    mean = torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]], dtype=dtype)
    log_std = torch.tensor([[[[0.0, 0.0], [math.log(0.5)] * 2]]], dtype=dtype)
    found = mixture_log_density(torch.zeros(1, 1, 2, dtype=dtype), w, mean, log_std)
    hand = 0.25 / (2 * math.pi) + 0.75 * (math.exp(-2.0) / (0.5 * math.sqrt(2 * math.pi))) ** 2
    assert found.item() == pytest.approx(math.log(hand), rel=1e-6)
    one = gaussian_log_density(torch.zeros(1, 1, 2, dtype=dtype), mean[:, :, 0], log_std[:, :, 0])
    same = (x[:, :, :1].expand_as(mean) for x in (mean, log_std))
    alone = mixture_log_density(torch.zeros(1, 1, 2, dtype=dtype), torch.full_like(w, 0.5), *same)
    assert alone.item() == pytest.approx(one.item(), rel=1e-6)


def test_gate_loss_by_hand_and_its_mean_gradient():
    w = torch.tensor([[[0.2, 0.8], [0.5, 0.5]]], requires_grad=True)
    best, weight = torch.tensor([[1, 0]]), torch.tensor([[1.0, 1.0]])
    assert gate_loss(w, best, weight).item() == pytest.approx((2 * 0.04 + 2 * 0.25) / 2)
    assert gate_loss(w, best, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(0.5)
    gate_loss(w, best, weight).sum().backward()
    torch.testing.assert_close(w.grad[0, 0], torch.tensor([0.2, -0.2]))  # 2 (w - v) over two rows


def test_the_gate_follows_the_frequency_loss_alone():
    """The ratio's gradient reaches experts and not the gate; the choice of the best has none."""
    parameters, _ = filled(CONFIG)
    data = rollout_rows(parameters, CONFIG)
    policy_terms(parameters, CONFIG, data.obs, data.action)[0].sum().backward()
    assert parameters["gate_w0"].grad.abs().max() == 0
    assert parameters["actor_w0"].grad.abs().max() > 0
    assert parameters["log_std"].grad.abs().max() > 0


def test_the_best_expert_is_the_one_whose_draw_is_judged_highest():
    parameters, keys = filled(CONFIG)
    obs = torch.randn(2, M, D, generator=torch.Generator().manual_seed(1))
    noise = normal(keys, 3, BEST, (M, K, A))
    _, mean, log_std = mixture(parameters, CONFIG, obs)
    found = best_expert(parameters, CONFIG, obs, mean, log_std, noise)
    for n in range(2):
        judge = {k: x[n : n + 1].detach() for k, x in parameters.tensors.items() if k.startswith("judge_")}
        for b in range(M):
            q = []
            for k in range(K):
                draw = mean[n, b, k] + log_std[n, 0, k].exp() * noise[n, b, k]
                x = torch.cat([obs[n, b], draw.detach()])[None, None]
                q.append(mlp(judge, x, torch.tanh, "judge_").item())
            assert found[n, b] == int(np.argmax(q))
    assert len(found.unique()) > 1


def naive_loss(p, data, n, best):
    """The loss of seed n, row by row."""
    rows = [b for b in range(M) if data.weight[n, b] == 1]
    advantage = data.advantage[n, rows]
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    total = 0.0
    for given, b in zip(advantage, rows):
        s, a = data.obs[n, b], data.action[n, b]
        h = torch.tanh(s @ p["actor_w0"][n] + p["actor_b0"][n, 0])
        mean = (h @ p["actor_w1"][n] + p["actor_b1"][n, 0]).view(K, A)
        std = p["log_std"][n].exp()
        w = torch.softmax(s @ p["gate_w0"][n] + p["gate_b0"][n, 0], dim=0)
        density = sum(
            w[k].detach()
            * torch.exp(-(((a - mean[k]) / std[k]) ** 2).sum() / 2)
            / (2 * math.pi) ** (A / 2)
            / std[k].prod()
            for k in range(K)
        )
        ratio = density / torch.exp(data.log_prob[n, b])
        total = total - torch.min(ratio * given, ratio.clamp(0.8, 1.2) * given)
        v = (
            torch.tanh(s @ p["critic_w0"][n] + p["critic_b0"][n, 0]) @ p["critic_w1"][n]
            + p["critic_b1"][n, 0]
        )
        total = total + 0.5 * 0.5 * (v[0] - data.target[n, b]) ** 2
        x = torch.cat([s, a])
        q = torch.tanh(x @ p["judge_w0"][n] + p["judge_b0"][n, 0]) @ p["judge_w1"][n] + p["judge_b1"][n, 0]
        total = total + (q[0] - data.target[n, b]) ** 2
        target = torch.zeros(K)
        target[best[n, b]] = 1.0
        total = total + ((w - target) ** 2).sum()
    return total / len(rows)


def test_one_update_against_the_equations():
    """Gradient, cut, and Adam's first step: lr times the sign, nearly."""
    parameters, keys = filled(CONFIG)
    data = rollout_rows(parameters, CONFIG)
    before = {k: x.detach().clone().requires_grad_() for k, x in parameters.tensors.items()}
    _, mean, log_std = mixture(parameters, CONFIG, data.obs)
    order = torch.stack([torch.randperm(M) for _ in range(2)])[:, None]
    noise = normal(keys, 7, BEST, (M, K, A))
    shuffled = torch.stack([noise[n, order[n, 0].argsort()] for n in range(2)])
    best = best_expert(parameters, CONFIG, data.obs, mean, log_std, shuffled)
    loss = sum(naive_loss(before, data, n, best) for n in range(2))
    loss.backward()
    update, _ = make_update(CONFIG, parameters, keys)
    metrics = update(data, order, 0.01, 7)
    for n in range(2):
        norm = math.sqrt(sum(float(x.grad[n].square().sum()) for x in before.values()))
        assert metrics["grad_norm"][n].item() == pytest.approx(norm, rel=1e-4)
        cut = min(1.0, 0.5 / (norm + 1e-6))
        for name, x in before.items():
            g = cut * x.grad[n]
            step = 0.01 * g / (g.abs() + 1e-5)
            torch.testing.assert_close(
                parameters[name][n].detach(), x[n].detach() - step, rtol=1e-3, atol=2e-5, msg=name
            )
    total = metrics["policy_loss"] + metrics["value_loss"] + metrics["judge_loss"] + metrics["gate_loss"]
    assert total.sum().item() == pytest.approx(loss.item(), rel=1e-4)


def test_a_minibatch_of_resets_is_no_step():
    """The moments of Adam would carry the parameters on; those of the other seed go on."""
    config = replace(CONFIG, batch_size=M // 2)
    parameters, keys = filled(config)
    data = rollout_rows(parameters, config)
    data.weight[1, M // 2 :] = 0.0
    update, adam = make_update(config, parameters, keys)
    first, both = torch.arange(M // 2).expand(2, 1, -1), torch.arange(M).expand(2, 1, -1)
    update(data, first, 0.01, 0)
    alone, _ = filled(config)
    reference, _ = make_update(config, alone, keys)
    for order, u in ((first, 0), (first, 1)):
        wanted = reference(data, order, 0.01, u)
    metrics = update(data, both, 0.01, 1)
    assert adam.count.tolist() == [3.0, 2.0]
    for name, x in parameters.tensors.items():
        torch.testing.assert_close(x[1], alone[name][1], msg=name)
    for name, x in metrics.items():
        torch.testing.assert_close(x[1], wanted[name][1], msg=name)


@pytest.mark.parametrize("play", ["likeliest", "drawn"])
def test_the_deterministic_action_is_the_mean_of_the_likeliest_expert_or_of_one_drawn(play):
    config = replace(CONFIG, play=play)
    parameters, keys = filled(config)
    act = make_act(parameters, RunningNorm(2, (D,)), config, keys)
    obs = torch.randn(2, 6, D, generator=torch.Generator().manual_seed(5))
    w, mean, log_std = mixture(parameters, config, RunningNorm(2, (D,))(obs))
    u, action = fixed_uniform(keys, obs), act(obs)
    for n, b in np.ndindex(2, 6):
        drawn = int((w[n, b].cumsum(dim=0) < u[n, b]).sum())
        k = drawn if play == "drawn" else w[n, b].argmax()
        torch.testing.assert_close(action[n, b], mean[n, b, k].detach())
    assert torch.equal(act(obs[:, 3:]), action[:, 3:])
    z, u = torch.ones(2, 6, A), torch.full((2, 6), 0.999999)
    last = (mean + log_std.exp())[:, :, K - 1].detach()
    torch.testing.assert_close(act(obs, z, u), last)


def test_the_number_of_an_observation_is_uniform_and_its_own():
    """On a grid as fine as float32: neighbours, rows and seeds are independent; no coordinate is lost."""
    keys, B = seed_keys(range(2)), 4000
    grid = torch.from_numpy(np.nextafter(np.float32(1.0), np.float32(2.0)) ** np.arange(B)).float()
    obs = torch.stack([grid, torch.zeros(B), torch.ones(B)], dim=-1).expand(2, -1, -1)
    assert len(obs[0].unique(dim=0)) == B
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        u = fixed_uniform(keys, obs[..., order]).double().numpy()
        assert len(np.unique(u)) > 2 * B - 10
        for x in u:
            np.testing.assert_allclose(np.histogram(x, 10, (0, 1))[0], B / 10, atol=5 * math.sqrt(B * 0.09))
            assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 5 / math.sqrt(B)
        assert abs(np.corrcoef(*u)[0, 1]) < 5 / math.sqrt(B)
    zero = torch.zeros(2, 1, D)
    assert torch.equal(fixed_uniform(keys, zero), fixed_uniform(keys, -zero))
    assert torch.equal(fixed_uniform(keys[1:], obs[1:]), fixed_uniform(keys, obs)[1:])


FAST = {
    "hidden": (16, 16), "num_steps": 64, "num_envs": 4, "batch_size": 64, "epochs": 8, "lr": 5e-3,
    "anneal_steps": 0, "normalise_reward": False, "normalise_obs": False, "num_experts": 2,
}  # fmt: skip


def value(result, obs, action=None):
    """The value of an observation, or what the judge says of an action there."""
    p = {k.removeprefix("policy/"): torch.tensor(x) for k, x in result.parameters.items() if "policy" in k}
    x = torch.tensor([[[obs] if action is None else [obs, action]]])
    return mlp(p, x, torch.tanh, "critic_" if action is None else "judge_")[0, 0, 0].item()


def test_values_of_the_probes():
    config = PMOEPPOConfig(**FAST, gamma=0.9)
    result = pmoe_ppo(Constant, 1024, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(1.0, abs=0.1)
    assert value(result, 0.0, 0.0) == pytest.approx(1.0, abs=0.1)
    result = pmoe_ppo(TwoStep, 3072, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(0.9, abs=0.07)
    forever = PMOEPPOConfig(**{**FAST, "epochs": 4, "lr": 1e-2}, gamma=0.8)
    result = pmoe_ppo(Forever, 6144, config=forever, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(5.0, abs=0.5)  # of 5 steps alone: 3.36


def test_learns_the_identity_in_units_of_the_environment():
    config = PMOEPPOConfig(**FAST, gamma=0.5, log_std=-0.7)
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    result = pmoe_ppo(
        lambda: Identity(low=-2.0, high=6.0), 8192, config=config, seeds=(0, 1), schedule=schedule
    )
    assert result.returns.mean(axis=(0, 2)).min() > 0.93


SMALL = PMOEPPOConfig(hidden=(16,), num_steps=30, batch_size=16, epochs=2, num_envs=2, anneal_steps=400)
OFTEN = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)


@pytest.mark.parametrize("normalise", [True, False])
def test_what_the_loop_hands_over(normalise, monkeypatch):
    """Step sizes, shuffles and counters of three rollouts; noise that never comes twice; statistics."""
    module, updates, draws, clips = importlib.import_module("eluder.deep.online._pmoe_ppo"), [], [], []

    def learner(*arguments):
        update, adam = make_update(*arguments)
        return lambda *told: updates.append(told) or update(*told), adam

    def actor(parameters, norm, *told):
        clips.append(norm.clip)
        act = make_act(parameters, norm, *told)
        return lambda *told: (draws.append(told[1:]) if len(told) > 1 else None, act(*told))[1]

    monkeypatch.setattr(module, "make_update", learner)
    monkeypatch.setattr(module, "make_act", actor)
    config = replace(SMALL, normalise_obs=normalise, log_std=-0.7)
    result = pmoe_ppo("Pendulum-v1", 180, config=config, seeds=(1, 2), schedule=QUIET)
    assert [told[2] for told in updates] == pytest.approx([3e-4, 3e-4 * 340 / 400, 3e-4 * 280 / 400])
    assert [told[3] for told in updates] == [0, 8, 16]  # 2 epochs of 4 minibatches
    orders = torch.stack([told[1] for told in updates])
    assert orders.shape == (3, 2, 2, 60)
    assert (orders.sort(dim=-1).values == torch.arange(60)).all()
    assert len(orders.flatten(0, 2).unique(dim=0)) == 12
    noise, u = (torch.stack([x[i] for x in draws]) for i in range(2))
    assert noise.unique().numel() == noise.numel() == 90 * 2 * 2
    assert u.unique().numel() == u.numel() == 90 * 2 * 2
    assert clips == [10.0 if normalise else math.inf]
    assert (result.parameters["norm/mean"] != 0).any() == normalise
    drift = result.parameters["policy/log_std"] + 0.7
    assert 0 < np.abs(drift).max() < 0.05


def test_each_seed_is_trained_as_alone():
    two = pmoe_ppo("Pendulum-v1", 240, config=SMALL, seeds=(1, 2), schedule=OFTEN)
    alone = pmoe_ppo("Pendulum-v1", 240, config=SMALL, seeds=(2,), schedule=OFTEN)
    for name, x in alone.parameters.items():
        np.testing.assert_allclose(two.parameters[name][1], x[0], rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    whole = pmoe_ppo("Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=tmp_path / "whole", schedule=OFTEN)
    pmoe_ppo("Pendulum-v1", 230, config=SMALL, seeds=(1, 2), out=tmp_path / "parts", schedule=OFTEN)
    parts = pmoe_ppo(
        "Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=tmp_path / "parts", resume=True, schedule=OFTEN
    )
    np.testing.assert_array_equal(whole.returns, parts.returns)
    last = [load_checkpoint(tmp_path / run / "checkpoints")[0] for run in ("whole", "parts")]
    for name, x in last[0].items():
        assert torch.equal(x, last[1][name]), name


def test_bad_input():
    for name, x in [
        ("num_experts", 0), ("gamma", 1.5), ("lam", -0.1), ("clip", 0.0), ("lr", math.nan), ("batch_size", 0),
        ("epochs", 0), ("value_coef", -1.0), ("log_std", math.inf), ("anneal_steps", -1), ("num_steps", 0),
        ("max_grad_norm", 0.0), ("activation", "step"), ("play", "mean"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} must be"):
            PMOEPPOConfig(**{name: x})
    with pytest.raises(ValueError, match="env must have actions in a box"):
        pmoe_ppo("CartPole-v1", 10)
