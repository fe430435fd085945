"""SAC: gradients by hand, probes, soft dynamic programming, seeds side by side, exact resume."""

import math
import os
import signal
import subprocess
import sys
import time

import gymnasium
import numpy as np
import pytest
import torch

from eluder.core.results import TrainResult
from eluder.deep.common.checkpoint import checkpoints, load_checkpoint
from eluder.deep.common.networks import mlp
from eluder.deep.common.random import normal, seed_keys
from eluder.deep.common.replay import Batch
from eluder.deep.online import SACConfig, Schedule, sac
from eluder.deep.online._sac import NOISE, gaussian, init, make_update, pairs
from tests.deep.probes import Constant, Forever, Identity, TwoStep

QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)


def batch(N, B, obs_dim, A, generator):
    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    action = torch.rand(N, B, A, generator=generator) * 2 - 1
    discount = 0.99 * (torch.rand(N, B, generator=generator) > 0.2)
    return Batch(normal(N, B, obs_dim), action, normal(N, B), normal(N, B, obs_dim), discount)


def updated(config, seeds, steps=10, obs_dim=7, A=3):
    """Networks after some updates on random batches; every seed sees what it sees alone."""
    keys = seed_keys(seeds)
    nets = init(config, obs_dim, A, keys)
    update, _ = make_update(config, nets, keys, A)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    metrics = {}
    for u in range(steps):
        each = [batch(1, config.batch_size, obs_dim, A, g) for g in generators]
        metrics = update(Batch(*(torch.cat(x) for x in zip(*each))), u)
    return nets, metrics


# --- definition ---


@pytest.mark.parametrize("options", [{}, {"num_critics": 5, "num_sampled": 2}, {"actor_every": 3}], ids=str)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_by_hand_equals_autograd(options, activation):
    config = {"hidden": (32, 16), "batch_size": 40, "activation": activation, **options}
    ours, metrics = updated(SACConfig(**config, log_std_range=(-0.1, 0.1)), range(3))
    reference, expected = updated(SACConfig(**config, log_std_range=(-0.1, 0.1), fused=False), range(3))
    for a, b in zip(ours, reference):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(a.flat.detach(), b.flat.detach(), rtol=1e-4, atol=1e-5)
    for name in expected:
        torch.testing.assert_close(metrics[name], expected[name], rtol=1e-4, atol=1e-5)


def naive_losses(nets, config, b, noise, n):
    """The three losses of seed n from the equations, with torch.distributions."""

    def mlp(p, x, member=()):
        for i in range(len(config.hidden) + 1):
            x = x @ p[f"w{i}"][(n, *member)] + p[f"b{i}"][(n, *member)]
            x = torch.relu(x) if i < len(config.hidden) else x
        return x

    def draw(obs, eps):
        mean, log_std = mlp(nets.actor, obs).chunk(2, dim=-1)
        std = log_std.clamp(-20, 2).exp()
        u = mean + std * eps
        base = torch.distributions.Normal(mean, std)
        jacobian = torch.log(1 - torch.tanh(u) ** 2 + 1e-12)
        return torch.tanh(u), (base.log_prob(u) - jacobian).sum(-1)

    alpha = nets.alpha["log_alpha"][n].exp().detach()
    a, log_prob = draw(b.next_obs[n], noise[n, 0])
    x = torch.cat([b.next_obs[n], a], -1)
    q = torch.minimum(mlp(nets.target, x, (0,)), mlp(nets.target, x, (1,)))[:, 0]
    y = (b.reward[n] + b.discount[n] * (q - alpha * log_prob)).detach()
    x = torch.cat([b.obs[n], b.action[n]], -1)
    critic = sum(0.5 * ((mlp(nets.critic, x, (i,))[:, 0] - y) ** 2).mean() for i in range(2))
    a, log_prob = draw(b.obs[n], noise[n, 1])
    x = torch.cat([b.obs[n], a], -1)
    q = torch.minimum(mlp(nets.critic, x, (0,)), mlp(nets.critic, x, (1,)))[:, 0]
    temperature = -(nets.alpha["log_alpha"][n] * (log_prob.detach() - a.shape[-1])).mean()
    return critic, (alpha * log_prob - q).mean(), temperature


def test_one_update_against_the_equations():
    """Gradients of the losses as the paper writes them, from parameters that are not the first ones."""
    from eluder.deep.common.random import normal
    from eluder.deep.online._sac import NOISE

    config = SACConfig(
        hidden=(16,), batch_size=20, lr_critic=1e-12
    )  # the critic stays for the actor's gradient
    nets, _ = updated(
        SACConfig(hidden=(16,), batch_size=20, lr_critic=1e-2, tau=0.5), range(2), obs_dim=4, A=2
    )
    keys, b = seed_keys(range(2)), batch(2, 20, 4, 2, torch.Generator().manual_seed(9))
    noise = normal(keys, 77, NOISE, (2, 20, 2))
    wanted = []
    for p, k in ((nets.critic, 0), (nets.actor, 1), (nets.alpha, 2)):
        for leaf in p.tensors.values():
            leaf.grad = None
        sum(naive_losses(nets, config, b, noise, n)[k] for n in range(2)).backward()
        wanted.append(torch.cat([leaf.grad.reshape(-1) for leaf in p.tensors.values()]))
    fresh = init(config, 4, 2, keys)
    for ours, theirs in zip(fresh, nets):
        ours.load(theirs.state())
    update, _ = make_update(config, fresh, keys, 2)
    update(b, 77)
    for p, grad in zip((fresh.critic, fresh.actor, fresh.alpha), wanted):
        torch.testing.assert_close(p.grad, grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("num_sampled", [None, 2])
def test_the_actor_follows_the_least_critic_or_the_mean_of_all(num_sampled, fused):
    """Its gradient, by autograd, with critics that hardly move."""
    size = {"hidden": (16,), "batch_size": 30, "num_critics": 3, "lr_critic": 1e-9, "fused": fused}
    config, keys = SACConfig(**size, num_sampled=num_sampled), seed_keys([4])
    nets, b = init(config, 7, 3, keys), batch(1, 30, 7, 3, torch.Generator().manual_seed(1))
    leaves = {name: x.detach().clone().requires_grad_() for name, x in nets.actor.tensors.items()}
    mean, log_std = mlp(leaves, b.obs, torch.relu).chunk(2, dim=-1)
    law = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
    pre = law.mean + law.stddev * normal(keys, 5, NOISE, (2, 30, 3))[:, 1]
    log_prob = (law.log_prob(pre) - torch.log(1 - torch.tanh(pre) ** 2)).sum(-1)
    pair = torch.cat([b.obs, torch.tanh(pre)], dim=-1)[:, None]
    q = mlp({name: x.detach() for name, x in nets.critic.tensors.items()}, pair, torch.relu)[..., 0]
    (config.alpha * log_prob - (q.mean(dim=1) if num_sampled else q.amin(dim=1))).mean().backward()
    make_update(config, nets, keys, 3)[0](b, 5)
    for name, x in leaves.items():
        torch.testing.assert_close(nets.actor[name].grad, x.grad, rtol=1e-3, atol=1e-5)


def test_actor_and_temperature_wait_for_their_turn():
    config, keys = SACConfig(hidden=(8,), batch_size=8, actor_every=3), seed_keys([0])
    nets, b = init(config, 7, 3, keys), batch(1, 8, 7, 3, torch.Generator().manual_seed(0))
    update, _ = make_update(config, nets, keys, 3)
    for u in range(7):
        before = [p.flat.clone() for p in nets]
        update(b, u)
        moved = [not a.equal(p.flat) for a, p in zip(before, nets)]
        assert moved == [u in (2, 5), True, True, u in (2, 5)]  # actor, critic, target, alpha


def test_a_temperature_that_is_given_stays():
    nets, metrics = updated(SACConfig(hidden=(8,), batch_size=8, alpha=0.3, learn_alpha=False), [0, 1])
    assert nets.alpha["log_alpha"].exp().flatten().tolist() == pytest.approx([0.3, 0.3])
    assert metrics["alpha"].tolist() == pytest.approx([0.3, 0.3])


def test_targets_follow_slowly():
    config = SACConfig(hidden=(8,), batch_size=8, tau=0.1)
    nets, _ = updated(config, [0], steps=0)
    before = nets.target.flat.clone()
    keys = seed_keys([0])
    update, _ = make_update(config, nets, keys, 3)
    update(batch(1, 8, 7, 3, torch.Generator().manual_seed(0)), 0)
    torch.testing.assert_close(nets.target.flat, 0.9 * before + 0.1 * nets.critic.flat.detach())
    assert not nets.critic.flat.equal(before)


def test_each_seed_is_trained_as_alone():
    config = SACConfig(hidden=(32, 32), batch_size=40)
    together, _ = updated(config, [3, 8, 5], steps=30)
    for i, seed in enumerate([3, 8, 5]):
        alone, _ = updated(config, [seed], steps=30)
        for a, b in zip(together, alone):
            for name in a.tensors:
                torch.testing.assert_close(a[name][i], b[name][0], rtol=1e-3, atol=1e-4)


def test_the_subset_of_critics_is_random_and_of_its_size():
    from eluder.deep.online._sac import _sampled

    config = SACConfig(num_critics=5, num_sampled=2)
    q = torch.arange(5.0).view(1, 5, 1)
    seen = [tuple(sorted(_sampled(config, q, seed_keys([0]), u)[0, :, 0].tolist())) for u in range(300)]
    assert all(len(set(pair)) == 2 for pair in seen)
    assert len(set(seen)) == 10
    assert min(seen.count(pair) for pair in set(seen)) > 10


# --- learning ---


FAST = {"hidden": (32, 32), "batch_size": 64, "warmup": 100, "lr_actor": 3e-3, "lr_critic": 3e-3, "tau": 0.05}
COLD = {"alpha": 1e-3, "learn_alpha": False}


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
    config = SACConfig(**FAST, **COLD, gamma=0.9)
    assert value(sac(Constant, 500, config=config, schedule=QUIET), 0.0) == pytest.approx(1.0, abs=0.05)
    result = sac(TwoStep, 700, config=config, schedule=QUIET)
    assert value(result, 1.0) == pytest.approx(1.0, abs=0.08)
    assert value(result, 0.0) == pytest.approx(0.9, abs=0.08)


def test_a_time_limit_is_no_end():
    config = SACConfig(**FAST, **COLD, gamma=0.8)
    result = sac(Forever, 1200, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(5.0, abs=0.3)  # of 5 steps alone: 3.36


def test_learns_the_identity_in_units_of_the_environment():
    config = SACConfig(**FAST, gamma=0.9, alpha=0.2)
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    result = sac(lambda: Identity(low=-2.0, high=6.0), 1000, config=config, seeds=(0, 1), schedule=schedule)
    assert isinstance(result, TrainResult)
    assert result.returns.shape == (1, 2, 50)
    assert result.returns.mean(axis=(0, 2)).min() > 0.95
    action = result.policy(np.array([[[0.5]], [[-0.5]]]))
    assert action[:, 0, 0] == pytest.approx([4.0, 0.0], abs=1.0)


class Line(gymnasium.Env):
    """Two states; action a leads to state 1 with probability (1 + a) / 2; reward s - a^2 / 2."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = int(self.np_random.integers(2))
        return np.eye(2, dtype=np.float32)[self.s], {}

    def step(self, action):
        a = float(action[0])
        reward = self.s - a * a / 2
        self.s = int(self.np_random.random() < (1 + a) / 2)
        return np.eye(2, dtype=np.float32)[self.s], reward, False, False, {}


def soft_values(alpha, gamma):
    """Soft dynamic programming of Line by quadrature: V(s) = alpha ln int exp(Q(s, a) / alpha) da."""
    a = np.linspace(-1, 1, 4001)
    w = np.full(4001, a[1] - a[0])
    w[[0, -1]] /= 2
    V = np.zeros(2)
    for _ in range(2000):
        Q = np.arange(2)[:, None] - a**2 / 2 + gamma * ((1 + a) / 2 * V[1] + (1 - a) / 2 * V[0])
        V = alpha * np.log((np.exp(Q / alpha) * w).sum(axis=1))
    return a, Q


@pytest.mark.slow
def test_values_against_soft_dynamic_programming():
    """The squashed Gaussian is not the soft optimum, but near it for this problem."""
    alpha, gamma = 0.5, 0.7
    config = SACConfig(
        **{**FAST, "batch_size": 256, "tau": 0.02}, alpha=alpha, learn_alpha=False, gamma=gamma
    )
    result = sac(lambda: gymnasium.wrappers.TimeLimit(Line(), 100), 6000, config=config, schedule=QUIET)
    a, Q = soft_values(alpha, gamma)
    p = {k.removeprefix("critic/"): torch.tensor(v[0]) for k, v in result.parameters.items() if "critic" in k}
    for s in range(2):
        grid = torch.tensor(a[::400], dtype=torch.float32)[:, None]
        x = torch.cat([torch.eye(2)[s].expand(len(grid), 2), grid], 1)
        for i in range(3):
            x = x @ p[f"w{i}"] + p[f"b{i}"]
            x = torch.relu(x) if i < 2 else x
        assert np.abs(x.mean(0)[:, 0].numpy() - Q[s, ::400]).max() < 0.12


def test_the_entropy_goes_to_its_target():
    config = SACConfig(**FAST, gamma=0.5, lr_alpha=1e-2, target_entropy=-2.0)
    keys = seed_keys([0])
    nets = init(config, 1, 1, keys)
    update, _ = make_update(config, nets, keys, 1)
    g = torch.Generator().manual_seed(0)
    for u in range(1500):
        x = torch.rand(1, 64, 1, generator=g) * 2 - 1
        a = torch.rand(1, 64, 1, generator=g) * 2 - 1
        metrics = update(Batch(x, a, -((a - x) ** 2)[..., 0], x, torch.zeros(1, 64)), u)
    assert metrics["entropy"].item() == pytest.approx(-2.0, abs=0.3)


# --- runs ---


SMALL = SACConfig(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2)
OFTEN = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)


def same(a, b):
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name], err_msg=name)
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.steps, b.steps)


def test_the_same_seed_is_the_same_run():
    same(
        sac("Pendulum-v1", 100, config=SMALL, seeds=(1, 2), schedule=OFTEN),
        sac("Pendulum-v1", 100, config=SMALL, seeds=(1, 2), schedule=OFTEN),
    )


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    whole = sac("Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=tmp_path / "whole", schedule=OFTEN)
    sac("Pendulum-v1", 230, config=SMALL, seeds=(1, 2), out=tmp_path / "parts", schedule=OFTEN)
    parts = sac(
        "Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=tmp_path / "parts", resume=True, schedule=OFTEN
    )
    same(whole, parts)
    last = [load_checkpoint(tmp_path / run / "checkpoints") for run in ("whole", "parts")]
    assert last[0][1]["step"] == last[1][1]["step"] == 400
    for name, x in last[0][0].items():
        assert torch.equal(x, last[1][0][name]), name
    for file in ("log.jsonl", "evaluations.csv"):
        texts = [(tmp_path / run / file).read_text() for run in ("whole", "parts")]
        assert "200" in texts[0]
        # the first part ended with an evaluation at step 230, which the whole does not have
        assert texts[0] == texts[1], file


KILLED = """
import sys
from eluder.deep.online import SACConfig, Schedule, sac
config = SACConfig(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2)
schedule = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)
sac("Pendulum-v1", 400, config=config, seeds=(1, 2), out=sys.argv[1], resume=True, schedule=schedule)
"""


def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(out)])
    deadline = time.monotonic() + 120
    while not checkpoints(out / "checkpoints") and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoints(out / "checkpoints")
    parts = sac("Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=out, resume=True, schedule=OFTEN)
    same(sac("Pendulum-v1", 400, config=SMALL, seeds=(1, 2), schedule=OFTEN), parts)


def test_another_run_is_not_overwritten_nor_mixed(tmp_path):
    sac("Pendulum-v1", 70, config=SMALL, out=tmp_path, schedule=QUIET)
    with pytest.raises(ValueError, match="holds a run already: resume=True"):
        sac("Pendulum-v1", 100, config=SMALL, out=tmp_path)
    with pytest.raises(ValueError, match="holds another run: seeds is"):
        sac("Pendulum-v1", 100, config=SMALL, seeds=(5,), out=tmp_path, resume=True)
    with pytest.raises(ValueError, match="holds another run: config is"):
        sac("Pendulum-v1", 100, config=SACConfig(), out=tmp_path, resume=True)


def test_bad_input():
    for name, x in [("gamma", 1.5), ("tau", 0.0), ("lr_actor", -1.0), ("batch_size", 0), ("utd", math.nan)]:
        with pytest.raises(ValueError, match=f"{name} must be"):
            SACConfig(**{name: x})
    with pytest.raises(ValueError, match="num_sampled must be"):
        SACConfig(num_critics=2, num_sampled=3)
    with pytest.raises(ValueError, match="actions in a box"):
        sac("CartPole-v1", 100)
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        sac("Pendulum-v1", 100, device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda' cannot be used"):
            sac("Pendulum-v1", 100, device="cuda")
    with pytest.raises(ValueError, match="episodes must be"):
        Schedule(episodes=0)
    with pytest.raises(ValueError, match="evaluate_every must be"):
        Schedule(evaluate_every=-5)
    with pytest.raises(ValueError, match="steps must be"):
        sac("Pendulum-v1", 0)
    with pytest.raises(ValueError, match=r"seeds\[1\] must be"):
        sac("Pendulum-v1", 10, seeds=(0, -1))


def test_the_mode_is_the_mean_of_the_gaussian():
    config = SACConfig(hidden=(8,))
    nets = init(config, 3, 2, seed_keys([0]))
    mean, log_std = gaussian(torch.tensor([[0.5, -1.0, 9.0, -50.0]]), config.log_std_range)
    assert mean.tolist() == [[0.5, -1.0]]
    assert log_std.tolist() == [[2.0, -20.0]]
    assert pairs(torch.zeros(1, 4, 3), torch.zeros(1, 4, 2)).shape == (1, 1, 4, 5)
    assert nets.target.flat.equal(nets.critic.flat)
