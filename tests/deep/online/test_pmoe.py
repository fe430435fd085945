"""PMOE: the gate against quadrature, updates against the equations, primitives in a plane of four goals."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from eluder.deep.common.networks import mlp
from eluder.deep.common.random import normal, seed_keys, uniform
from eluder.deep.common.replay import Batch
from eluder.deep.online import MultiGoal, PMOEConfig, Schedule, pmoe
from eluder.deep.online import _pmoe as module
from eluder.deep.online._pmoe import (
    chosen,
    draw_expert,
    frequency_loss,
    init,
    make_act,
    make_mixture,
    make_update,
)
from tests.deep.probes import Constant, Forever, Identity

QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)


def batch(N, B, obs_dim, A, g):
    action = torch.rand(N, B, A, generator=g) * 2 - 1
    discount = 0.99 * (torch.rand(N, B, generator=g) > 0.2)
    x, y = (torch.randn(N, B, obs_dim, generator=g) for _ in range(2))
    return Batch(x, action, torch.randn(N, B, generator=g), y, discount)


def updated(config, seeds, steps=10, obs_dim=5, A=2):
    keys = seed_keys(seeds)
    nets = init(config, obs_dim, A, keys)
    update, _ = make_update(config, nets, keys, A)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    for u in range(steps):
        each = [batch(1, config.batch_size, obs_dim, A, g) for g in generators]
        metrics = update(Batch(*(torch.cat(x) for x in zip(*each))), u)
    return nets, metrics


# --- the gate ---


def test_the_gate_learns_how_often_each_expert_is_best():
    """One state, reward -(a - 1)^2 (a + 1)^2 with two optima; f_k by quadrature over the experts' actions."""

    def reward(a):
        return -((a - 1) ** 2) * (a + 1) ** 2

    mean, std = np.array([-0.9, 0.5, 1.6]), np.array([0.3, 0.6, 0.2])
    # P(k is best) = int p_k(a) prod_{l != k} P(r(a_l) < r(a)) da
    a = np.linspace(-4, 4, 4001)
    density = norm.pdf(a[:, None], mean, std)
    below = (reward(a)[None, :] < reward(a)[:, None]).astype(float)  # [i, j]: a_j is worse than a_i
    worse = below @ density * (a[1] - a[0])
    f = np.array(
        [(density[:, k] * np.prod(np.delete(worse, k, 1), 1)).sum() * (a[1] - a[0]) for k in range(3)]
    )
    assert f.sum() == pytest.approx(1.0, abs=2e-3)

    logits = torch.zeros(1, 1, 3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.02)
    g = torch.Generator().manual_seed(0)
    tail = []
    for i in range(1500):
        draws = torch.tensor(mean) + torch.tensor(std) * torch.randn(1, 256, 3, generator=g)
        optimizer.zero_grad()
        frequency_loss(logits.softmax(-1).expand(1, 256, 3), reward(draws).argmax(-1)).backward()
        optimizer.step()
        if i >= 1000:
            tail.append(logits.detach().softmax(-1)[0, 0])
    np.testing.assert_allclose(torch.stack(tail).mean(0), f, atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_frequency_loss(dtype):
    w = torch.tensor([[[0.2, 0.8], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]], dtype=dtype, requires_grad=True)
    loss = frequency_loss(w, torch.tensor([[0, 1], [0, 0]]))
    torch.testing.assert_close(loss, torch.tensor((1.28 + 0.5) / 2 + (0 + 2.0) / 2, dtype=dtype))
    loss.backward()
    assert w.grad[0, 0].tolist() == pytest.approx([2 * (0.2 - 1) / 2, 2 * 0.8 / 2])


def test_experts_are_drawn_by_their_probabilities():
    w = torch.tensor([0.1, 0.6, 0.3]).expand(1, 50_000, 3)
    k = draw_expert(w, uniform(seed_keys([0]), 0, 0, (50_000,)))
    np.testing.assert_allclose(np.bincount(k[0]) / 50_000, [0.1, 0.6, 0.3], atol=0.01)
    x = torch.arange(12.0).view(1, 2, 3, 2)
    assert chosen(x, torch.tensor([[2, 0]])).tolist() == [[[4.0, 5.0], [6.0, 7.0]]]
    assert chosen(x[..., 0], torch.tensor([[2, 0]])).tolist() == [[4.0, 6.0]]


# --- definition ---


def naive_actor_loss(nets, config, b, noise, n, A):
    """The loss of gate and experts of seed n, transition by transition."""
    K, total = config.num_experts, 0.0

    def mlp(p, x, index, layers):
        for i in range(layers):
            x = x @ p[f"w{i}"][index] + p[f"b{i}"][index].squeeze(0)
            x = torch.relu(x) if i < layers - 1 else x
        return x

    layers = len(config.hidden) + 1
    alpha = nets.alpha["log_alpha"][n].exp().detach()
    for t in range(b.obs.shape[1]):
        s = b.obs[n, t]
        w = torch.softmax(s @ nets.actor["gate_w0"][n] + nets.actor["gate_b0"][n, 0], -1)
        heads = mlp(nets.actor, s, n, layers).view(K, 2, A)
        values, densities = [], []
        for k in range(K):
            mean, std = heads[k, 0], heads[k, 1].clamp(-20, 2).exp()
            pre = mean + std * noise[n, t, k]
            a = torch.tanh(pre)
            base = torch.distributions.Normal(mean, std).log_prob(pre)
            densities.append((base - torch.log(1 - a**2 + 1e-12)).sum())
            values.append(min(mlp(nets.critic, torch.cat([s, a]), (n, i), layers)[0] for i in range(2)))
        best = max(range(K), key=lambda k: values[k])
        ks = [best] if config.experts == "best" else range(K)
        total = total + sum(alpha[0] * densities[k] - values[k] for k in ks)
        total = total + ((w - torch.eye(K)[best]) ** 2).sum()
    return total / b.obs.shape[1]


@pytest.mark.parametrize("experts", ["best", "all"])
@pytest.mark.parametrize("fused", [True, False])
def test_one_update_against_the_equations(experts, fused):
    config = PMOEConfig(
        num_experts=3, experts=experts, hidden=(16,), batch_size=12, fused=fused, lr_critic=1e-12
    )
    used, _ = updated(PMOEConfig(num_experts=3, hidden=(16,), batch_size=12, lr_actor=1e-2), range(2))
    keys, b = seed_keys(range(2)), batch(2, 12, 5, 2, torch.Generator().manual_seed(3))
    noise = normal(keys, 50, module.NOISE, (12, 4, 2))
    for leaf in used.actor.tensors.values():
        leaf.grad = None
    sum(naive_actor_loss(used, config, b, noise, n, 2) for n in range(2)).backward()
    wanted = torch.cat([leaf.grad.reshape(-1) for leaf in used.actor.tensors.values()])
    fresh = init(config, 5, 2, keys)
    for ours, theirs in zip(fresh, used):
        ours.load(theirs.state())
    update, _ = make_update(config, fresh, keys, 2)
    update(b, 50)
    torch.testing.assert_close(fresh.actor.grad, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("experts", ["best", "all"])
def test_the_temperature_follows_the_entropy_of_the_best_expert(experts):
    """Also where all experts learn; critics that hardly move say which one is the best."""
    config = PMOEConfig(num_experts=3, experts=experts, hidden=(16,), batch_size=30, lr_critic=1e-9)
    keys, b = seed_keys([0]), batch(1, 30, 5, 2, torch.Generator().manual_seed(3))
    nets = init(config, 5, 2, keys)
    with torch.no_grad():
        _, mean, log_std = make_mixture(config, nets.actor, 2, learn=False)(b.obs)
        law = torch.distributions.Normal(mean, log_std.exp())
        pre = law.mean + law.stddev * normal(keys, 7, module.NOISE, (30, 4, 2))[:, :, :3]
        log_prob = (law.log_prob(pre) - torch.log(1 - torch.tanh(pre) ** 2)).sum(-1)
        pair = torch.cat([b.obs[:, :, None].expand(1, 30, 3, 5), torch.tanh(pre)], -1).view(1, 1, 90, 7)
        best = mlp(nets.critic, pair, torch.relu)[..., 0].amin(dim=1).view(1, 30, 3).argmax(dim=-1)
        wanted = -log_prob.gather(2, best[..., None]).mean().item()
    assert len(best.unique()) > 1
    metrics = make_update(config, nets, keys, 2)[0](b, 7)
    assert metrics["entropy"].item() == pytest.approx(wanted, abs=1e-4)
    assert nets.alpha.grad.item() == pytest.approx(wanted + 2, abs=1e-4)  # -(mean ln pi - dim A)


def test_a_temperature_that_is_given_stays():
    nets, metrics = updated(PMOEConfig(hidden=(8,), batch_size=8, alpha=0.3, learn_alpha=False), [0, 1])
    assert nets.alpha["log_alpha"].exp().flatten().tolist() == pytest.approx([0.3, 0.3])
    assert metrics["alpha"].tolist() == pytest.approx([0.3, 0.3])


def test_targets_use_the_density_of_the_chosen_expert():
    """With rewards 0, discount 1 and critics 0, the TD target is -alpha ln pi_k(a'|s')."""
    config = PMOEConfig(num_experts=3, hidden=(16,), batch_size=12)
    keys, b = seed_keys([0]), batch(1, 12, 5, 2, torch.Generator().manual_seed(3))
    nets = init(config, 5, 2, keys)
    with torch.no_grad():
        nets.critic.flat.zero_()
        nets.target.flat.zero_()
    noise, draw = normal(keys, 7, module.NOISE, (12, 4, 2)), uniform(keys, 7, module.EXPERT, (12,))
    with torch.no_grad():
        w, mean, log_std = make_mixture(config, nets.actor, 2, learn=False)(b.next_obs)
    total = 0.0
    for t in range(12):
        k = int(np.searchsorted(np.cumsum(w[0, t].numpy()), draw[0, t].item()))
        law = torch.distributions.Normal(mean[0, t, k], log_std[0, t, k].exp())
        pre = law.mean + law.stddev * noise[0, t, 3]
        total += (law.log_prob(pre) - torch.log(1 - torch.tanh(pre) ** 2)).sum()
    update, _ = make_update(config, nets, keys, 2)
    update(b._replace(reward=torch.zeros(1, 12), discount=torch.ones(1, 12)), 7)
    # the gradient of the last bias is the mean of Q - y, here of alpha ln pi
    assert nets.critic["b2" if "b2" in nets.critic.tensors else "b1"].grad[0, 0].item() == pytest.approx(
        total.item() / 12, abs=1e-4
    )


def test_each_seed_is_trained_as_alone():
    config = PMOEConfig(hidden=(32, 16), batch_size=40)
    together, _ = updated(config, [3, 8], steps=20)
    for i, seed in enumerate([3, 8]):
        alone, _ = updated(config, [seed], steps=20)
        for a, b in zip(together, alone):
            for name in a.tensors:
                torch.testing.assert_close(a[name][i], b[name][0], rtol=1e-3, atol=1e-4)


def test_the_deterministic_action_is_the_mode_of_the_likeliest_expert():
    config = PMOEConfig(num_experts=3, hidden=(16,))
    nets = init(config, 5, 2, seed_keys([0]))
    obs = torch.randn(1, 40, 5)
    w, mean, _ = make_mixture(config, nets.actor, 2, learn=False)(obs)
    action = make_act(config, nets.actor, 2)(obs)
    for t in range(40):
        torch.testing.assert_close(action[0, t], torch.tanh(mean[0, t, w[0, t].argmax()]))


# --- learning and runs ---


FAST = {"hidden": (32, 32), "batch_size": 64, "warmup": 100, "lr_actor": 3e-3, "lr_critic": 3e-3, "tau": 0.05}


def value(result):
    x = torch.zeros(1, 2)
    p = {
        k.removeprefix("critic/"): torch.tensor(v[0]) for k, v in result.parameters.items() if "critic/" in k
    }
    for i in range(3):
        x = x @ p[f"w{i}"] + p[f"b{i}"]
        x = torch.relu(x) if i < 2 else x
    return float(x.mean())


def test_values_of_the_probes():
    cold = {"alpha": 1e-3, "learn_alpha": False}
    assert value(pmoe(Constant, 500, config=PMOEConfig(**FAST, **cold), schedule=QUIET)) == pytest.approx(
        1, abs=0.1
    )
    result = pmoe(Forever, 1200, config=PMOEConfig(**FAST, **cold, gamma=0.8), schedule=QUIET)
    assert value(result) == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize("experts", ["best", "all"])
def test_learns_the_identity(experts):
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    config = PMOEConfig(**FAST, num_experts=3, experts=experts, alpha=0.2)
    result = pmoe(Identity, 1000, config=config, seeds=(0, 1), schedule=schedule)
    assert result.returns.mean(axis=(0, 2)).min() > 0.9


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    config = PMOEConfig(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2)
    args = {
        "config": config,
        "seeds": (1, 2),
        "schedule": Schedule(evaluate_every=50, episodes=1, save_every=0),
    }
    whole = pmoe("Pendulum-v1", 300, out=tmp_path / "whole", **args)
    pmoe("Pendulum-v1", 170, out=tmp_path / "parts", **args)
    parts = pmoe("Pendulum-v1", 300, out=tmp_path / "parts", resume=True, **args)
    for name, x in whole.parameters.items():
        np.testing.assert_array_equal(x, parts.parameters[name])
    np.testing.assert_array_equal(whole.returns, parts.returns)


def goals_reached(result, n, K, obs_dim=2):
    """Which goals the modes of the experts of seed n lead to, from the origin without noise."""
    p = {k.removeprefix("actor/"): v[n] for k, v in result.parameters.items() if k.startswith("actor/")}
    reached = set()
    for k in range(K):
        x = np.zeros(2)
        for _ in range(30):
            h = x
            for i in range(3):
                h = h @ p[f"w{i}"] + p[f"b{i}"][0]
                h = np.maximum(h, 0) if i < 2 else h
            x = x + np.tanh(h.reshape(K, 2, 2)[k, 0])
            distances = np.linalg.norm(MultiGoal.goals - x, axis=1)
            if distances.min() < 1:
                reached.add(int(distances.argmin()))
                break
    return reached


@pytest.mark.slow
def test_distinct_primitives_in_a_plane_of_four_goals():
    """Some mixtures hold more than one goal, none holds all four: measured 1, 2, 1, 2 of them."""
    config = PMOEConfig(
        hidden=(64, 64), batch_size=128, warmup=1000, gamma=0.95, lr_actor=1e-3, lr_critic=1e-3
    )
    schedule = Schedule(evaluate_every=0, episodes=20, log_every=0)
    result = pmoe(MultiGoal, 8000, config=config, seeds=range(4), schedule=schedule)
    assert result.returns.mean() > -30
    reached = [goals_reached(result, n, 4) for n in range(4)]
    assert min(len(r) for r in reached) >= 1, reached
    assert max(len(r) for r in reached) >= 2, reached


def test_multi_goal():
    env = MultiGoal()
    obs, _ = env.reset(seed=1)
    assert env.observation_space.contains(obs)
    total, ended, t = 0.0, False, 0
    while not ended:
        obs, reward, ended, truncated, _ = env.step(np.array([1.0, 0.0], np.float32))
        total, t = total + reward, t + 1
        assert not truncated
    assert t in (4, 5)
    assert np.linalg.norm(obs - [5, 0]) < 1
    env.reset(seed=1)
    for _ in range(30):
        *_, ended, truncated, _ = env.step(np.zeros(2, np.float32))
    assert truncated
    assert not ended


def test_bad_input():
    with pytest.raises(ValueError, match="experts must be 'best' or 'all', got 'some'"):
        PMOEConfig(experts="some")
    with pytest.raises(ValueError, match="num_experts must be"):
        PMOEConfig(num_experts=0)
    with pytest.raises(ValueError, match="actions in a box"):
        pmoe("CartPole-v1", 10)
