"""DQN: equations, exact dynamic programming, quantiles of known rewards, seeds side by side, exact resume."""

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
from gymnasium.wrappers import TimeLimit

from eluder.core.results import TrainResult
from eluder.deep.common.checkpoint import checkpoints, load_checkpoint
from eluder.deep.common.config import tuned
from eluder.deep.common.losses import quantile_huber_loss
from eluder.deep.common.random import seed_keys
from eluder.deep.common.replay import Batch
from eluder.deep.online import DQNConfig, Schedule, dqn
from eluder.deep.online._dqn import (
    duel,
    exploration,
    explore,
    greedy,
    init,
    largest_norm,
    make_act,
    make_update,
    quantile_gradient,
    target_quantiles,
)
from eluder.envs import garnet, river_swim, to_gymnasium
from eluder.tabular.planning import value_iteration
from tests.deep.probes import Constant, Forever, Identity, TwoStep

QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)
KINDS = [
    {"double": False},
    {"double": True, "kappa": 1.0},
    {"duelling": True},
    {"num_quantiles": 5, "double": False},
    {"num_quantiles": 5, "duelling": True, "kappa": 0.3},
]


def batch(N, B, obs_dim, A, generator):
    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    action = torch.randint(A, (N, B), generator=generator)
    discount = 0.9 * (torch.rand(N, B, generator=generator) > 0.2)
    return Batch(normal(N, B, obs_dim), action, 2 * normal(N, B), normal(N, B, obs_dim), discount)


def updated(config, seeds, steps=10, obs_dim=4, A=3):
    """Networks after some updates on random batches; every seed sees what it sees alone."""
    nets = init(config, obs_dim, A, seed_keys(seeds))
    update, _ = make_update(config, nets, A)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    for u in range(steps):
        each = [batch(1, config.batch_size, obs_dim, A, g) for g in generators]
        metrics = update(Batch(*(torch.cat(x) for x in zip(*each))), u)
    return nets, metrics


# --- definition ---


@pytest.mark.parametrize("hidden", [(16,), (24, 16)])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_by_hand_equals_autograd(options, hidden):
    config = {"hidden": hidden, "batch_size": 40, "activation": "gelu", "target_every": 3, **options}
    ours, metrics = updated(DQNConfig(**config), range(3))
    reference, expected = updated(DQNConfig(**config, fused=False), range(3))
    for a, b in zip(ours, reference):
        torch.testing.assert_close(a.flat.detach(), b.flat.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.online.grad, reference.online.grad, rtol=1e-4, atol=1e-5)
    for name in expected:
        torch.testing.assert_close(metrics[name], expected[name], rtol=1e-4, atol=1e-5)


def naive_quantiles(p, config, A, n, x):
    """The quantiles of seed n at one observation, as a list over actions, from the definition."""
    act = {"relu": torch.relu, "tanh": torch.tanh}[config.activation]

    def mlp(name, x):
        i = 0
        while f"{name}w{i}" in p.tensors:
            x = act(x) if i else x
            x = x @ p[f"{name}w{i}"][n] + p[f"{name}b{i}"][n, 0]
            i += 1
        return x

    Z = max(1, config.num_quantiles)
    if not config.duelling:
        y = mlp("", x)
        return [y[a * Z : (a + 1) * Z] for a in range(A)]
    h = act(mlp("common_", x))
    value, advantage = mlp("value_", h), mlp("advantage_", h)
    each = [advantage[a * Z : (a + 1) * Z] for a in range(A)]
    return [value + each[a] - sum(each) / A for a in range(A)]


def naive_loss(nets, config, A, b, n):
    """The loss of seed n from the equations, transition by transition."""
    total = 0.0
    for i in range(b.reward.shape[1]):
        target = naive_quantiles(nets.target, config, A, n, b.next_obs[n, i])
        judge = naive_quantiles(nets.online, config, A, n, b.next_obs[n, i]) if config.double else target
        best = max(range(A), key=lambda a: judge[a].mean().item())
        y = [float(b.reward[n, i] + b.discount[n, i] * z) for z in target[best]]
        theta = naive_quantiles(nets.online, config, A, n, b.obs[n, i])[int(b.action[n, i])]
        k = config.kappa or (1.0 if config.num_quantiles else 1e9)

        def size(u, k=k):
            return 0.5 * u**2 if abs(u.item()) <= k else k * (abs(u) - 0.5 * k)

        if config.num_quantiles == 0:
            total = total + size(y[0] - theta[0])
            continue
        Z = len(theta)
        for j in range(Z):
            tau = (2 * j + 1) / (2 * Z)
            for y_j in y:
                u = y_j - theta[j]
                total = total + abs(tau - float(u < 0)) * size(u) / k / Z
    return total / b.reward.shape[1]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_one_update_against_the_equations(options):
    """The gradient of the loss as the papers write it, from parameters that are not the first ones."""
    config = DQNConfig(hidden=(12, 8), batch_size=15, target_every=100, **options)
    nets, _ = updated(
        DQNConfig(hidden=(12, 8), batch_size=15, lr=1e-2, target_every=7, **options), range(2), 10
    )
    b = batch(2, 15, 4, 3, torch.Generator().manual_seed(9))
    fresh = init(config, 4, 3, seed_keys(range(2)))
    for ours, theirs in zip(fresh, nets):
        ours.load(theirs.state())
    for leaf in nets.online.tensors.values():
        leaf.grad = None
    sum(naive_loss(nets, config, 3, b, n) for n in range(2)).backward()
    scale = {name: math.sqrt(0.5) if name.startswith("common") else 1.0 for name in nets.online.tensors}
    wanted = torch.cat([(x.grad * scale[name]).reshape(-1) for name, x in nets.online.tensors.items()])
    update, _ = make_update(config, fresh, 3)
    update(b, 0)
    torch.testing.assert_close(fresh.online.grad, wanted, rtol=1e-4, atol=1e-5)


def test_targets_by_hand():
    """Two actions, two quantiles: the target prefers action 0, the network in training action 1."""
    b = Batch(None, None, torch.tensor([[1.0, 1.0]]), None, torch.tensor([[0.5, 0.0]]))
    next_target = torch.tensor([[[2.0, 6.0], [1.0, 3.0]]]).expand(2, 2, 2)[None]
    next_online = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]]).expand(2, 2, 2)[None]
    assert target_quantiles(False, b, next_target, None)[0].tolist() == [[2.0, 4.0], [1.0, 1.0]]
    assert target_quantiles(True, b, next_target, next_online)[0].tolist() == [[1.5, 2.5], [1.0, 1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_the_quantile_loss(dtype):
    """Golden by hand, and autograd."""
    q, y = torch.tensor([[0.0, 0.5]], dtype=dtype), torch.tensor([[-3.0, 0.25]], dtype=dtype)
    # tau = 1/4, 3/4; u = (-3, 0.25), (-3.5, -0.25): clipped (-1, 0.25), (-1, -0.25)
    wanted = [(0.75 * 1 - 0.25 * 0.25) / 2, (0.25 * 1 + 0.25 * 0.25) / 2]
    assert quantile_gradient(q, y, 1.0)[0].tolist() == pytest.approx(wanted)
    g = torch.Generator().manual_seed(0)
    q = torch.randn(2, 7, 5, generator=g, dtype=dtype).requires_grad_()
    y = 2 * torch.randn(2, 7, 5, generator=g, dtype=dtype)
    quantile_huber_loss(q, y, 0.4).backward()
    torch.testing.assert_close(quantile_gradient(q.detach(), y, 0.4), q.grad)


def test_the_duel_and_the_greedy_action():
    value, advantage = torch.tensor([[10.0]]), torch.tensor([[1.0], [2.0], [6.0]])
    assert duel(value, advantage)[:, 0].tolist() == [8.0, 9.0, 13.0]
    q = torch.tensor([[[[1.0, 2.0], [3.0, 0.0], [0.0, 0.0]]]])  # means 1.5, 1.5, 0: the first of equals
    assert greedy(q).tolist() == [[0]]


def test_each_seed_is_trained_as_alone():
    for options in KINDS[1:]:
        config = DQNConfig(hidden=(32, 32), batch_size=40, target_every=5, **options)
        together, _ = updated(config, [3, 8, 5], steps=30)
        for i, seed in enumerate([3, 8, 5]):
            alone, _ = updated(config, [seed], steps=30)
            for a, b in zip(together, alone):
                for name in a.tensors:
                    torch.testing.assert_close(a[name][i], b[name][0], rtol=1e-3, atol=1e-4)


def test_the_first_step_of_adam_has_its_size():
    """``-lr g / (|g| + eps)``; eps is not lost on the way."""
    config = DQNConfig(hidden=(8,), batch_size=16, lr=0.1, adam_eps=0.01)
    nets, _ = updated(config, [0], steps=1)
    moved = (nets.online.flat - init(config, 4, 3, seed_keys([0])).online.flat).detach()
    g = nets.online.grad
    torch.testing.assert_close(moved, -0.1 * g / (g.abs() + 0.01), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("fused", [True, False])
def test_the_gradient_of_each_seed_is_cut_at_its_own_norm(fused):
    options = {"hidden": (8, 8), "batch_size": 16, "duelling": True, "fused": fused}

    def gradients(most):
        online = updated(DQNConfig(**options, max_grad_norm=most), [0, 4], steps=1)[0].online
        return [torch.cat([x.grad[n].flatten() for x in online.tensors.values()]) for n in range(2)]

    free = gradients(1e6)
    least, most = sorted(g.norm().item() for g in free)
    between = (least + most) / 2
    assert least < 0.95 * most
    for g, h in zip(free, gradients(between)):
        torch.testing.assert_close(h, g * min(1.0, between / g.norm().item()), rtol=1e-4, atol=1e-6)
    assert largest_norm(DQNConfig(duelling=True)) == 10.0  # as in the paper
    assert largest_norm(DQNConfig()) == math.inf
    assert largest_norm(DQNConfig(max_grad_norm=2.5)) == 2.5


def test_the_target_moves_when_it_should():
    for tau in (1.0, 0.25):
        config = DQNConfig(hidden=(8,), batch_size=10, target_every=3, tau=tau)
        nets = init(config, 4, 3, seed_keys([0]))
        update, _ = make_update(config, nets, 3)
        g = torch.Generator().manual_seed(0)
        for u in range(7):
            before = nets.target.flat.clone()
            update(batch(1, 10, 4, 3, g), u)
            wanted = before + tau * (nets.online.flat - before) if u in (2, 5) else before
            torch.testing.assert_close(nets.target.flat, wanted.detach(), rtol=0, atol=1e-7)
            assert not nets.target.flat.equal(nets.online.flat) or (tau == 1.0 and u in (2, 5))


def test_exploration_is_what_is_asked_for():
    config = DQNConfig(warmup=100, epsilon=(0.9, 0.1), epsilon_steps=400)
    assert [exploration(config, t) for t in (0, 99)] == [1.0, 1.0]
    got = [exploration(config, t) for t in (100, 101, 300, 500, 9000)]
    assert got == pytest.approx([0.9, 0.898, 0.5, 0.1, 0.1])
    keys, obs = seed_keys([0, 1]), torch.zeros(2, 50, 1)
    best = torch.full((2, 50), 2)
    actions = torch.stack([explore(lambda _: best, obs, keys, t, 3, 0.3) for t in range(200)])
    for a, p in ((0, 0.1), (1, 0.1), (2, 0.8)):
        assert (actions == a).float().mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000))
    assert explore(lambda _: best, obs, keys, 5, 3, 1.0).unique().tolist() == [0, 1, 2]
    assert explore(lambda _: best, obs, keys, 5, 3, 0.0).equal(best)


# --- learning ---


FAST = {
    "hidden": (32,),
    "batch_size": 64,
    "warmup": 100,
    "lr": 3e-3,
    "utd": 1.0,
    "target_every": 20,
    "epsilon_steps": 200,
}


def q_values(result, config, obs, A, seed=0):
    """Quantiles of every action, shape (B, A, Z)."""
    nets = init(config, np.shape(obs)[-1], A, seed_keys([0]))
    state = {k.removeprefix("online/"): torch.tensor(v[[seed]]) for k, v in result.parameters.items()}
    nets.online.load(state)
    from eluder.deep.online._dqn import forward

    return forward(nets.online, config, A, torch.tensor(obs, dtype=torch.float32)[None], learn=False)[
        0
    ].numpy()


@pytest.mark.parametrize(
    "options", [{}, {"num_quantiles": 5}, {"duelling": True, "hidden": (16, 16)}], ids=str
)
def test_values_of_the_probes(options):
    config = DQNConfig(**FAST | options, gamma=0.9)
    result = dqn(lambda: Constant(True), 400, config=config, schedule=QUIET)
    assert np.abs(q_values(result, config, [[0.0]], 2) - 1.0).max() < 0.05
    result = dqn(lambda: TwoStep(True), 700, config=config, schedule=QUIET)
    q = q_values(result, config, [[0.0], [1.0]], 2)
    assert np.abs(q[0] - 0.9).max() < 0.08
    assert np.abs(q[1] - 1.0).max() < 0.05


def test_a_time_limit_is_no_end():
    config = DQNConfig(**FAST, gamma=0.8)
    result = dqn(lambda: Forever(True), 1200, config=config, schedule=QUIET)
    assert np.abs(q_values(result, config, [[0.0]], 2) - 5.0).max() < 0.3  # of 5 steps alone: 3.36
    steps = DQNConfig(**FAST, gamma=0.8, n_step=3)
    result = dqn(lambda: Forever(True), 800, config=steps, schedule=QUIET)
    assert np.abs(q_values(result, steps, [[0.0]], 2) - 5.0).max() < 0.3


@pytest.mark.parametrize("options", [{}, {"num_quantiles": 7}], ids=str)
def test_learns_the_sign(options):
    config = DQNConfig(**FAST | options)
    schedule = Schedule(evaluate_every=0, episodes=60, log_every=0)
    result = dqn(lambda: Identity(True), 600, config=config, seeds=(0, 1), schedule=schedule)
    assert isinstance(result, TrainResult)
    assert result.returns.shape == (1, 2, 60)
    assert result.returns.mean(axis=(0, 2)).min() > 0.93
    assert result.policy(np.array([[[0.5], [-0.5]]] * 2)).tolist() == [[1, 0], [1, 0]]


PROBLEMS = {
    "garnet": garnet(6, 3, 3, gamma=0.8, rng=np.random.default_rng(3)),
    "river_swim": river_swim(4, gamma=0.9),
}
EXACT = {
    "hidden": (64,),
    "batch_size": 128,
    "warmup": 2500,
    "epsilon": (1.0, 1.0),
    "target_every": 25,
    "lr": 2e-3,
    "num_envs": 4,
}


def distance(problem, config, steps, seeds=(0,), limit=20):
    """max |Q - Q*| over all pairs, of each seed, and the scale of Q*."""

    def env():
        return TimeLimit(to_gymnasium(problem), limit)

    result = dqn(env, steps, config=config, seeds=seeds, schedule=QUIET)
    S, A = problem.mask.shape
    exact = value_iteration(problem).Q
    got = [q_values(result, config, np.eye(S), A, n).mean(axis=-1) for n in range(len(seeds))]
    return max(np.abs(q - exact).max() for q in got), np.abs(exact).max()


@pytest.mark.parametrize("options", [{"double": False}, {"duelling": True}], ids=str)
def test_values_against_dynamic_programming(options):
    """Replay of uniform actions; rewards are coins, so that the tolerance is what 3000 of them leave."""
    config = DQNConfig(**EXACT, gamma=0.8, utd=0.5, **options)
    error, scale = distance(PROBLEMS["garnet"], config, 5000)
    assert error < 0.06 * scale


@pytest.mark.slow
@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("name", PROBLEMS)
def test_values_of_every_kind_against_dynamic_programming(name, options):
    problem = PROBLEMS[name]
    config = DQNConfig(
        **{**EXACT, "warmup": 10_000, "batch_size": 256, "lr": 1e-3}, gamma=problem.gamma, utd=0.25, **options
    )
    error, scale = distance(problem, config, 40_000, seeds=(0, 1))
    assert error < 0.05 * scale


class Bandit(gymnasium.Env):
    """One step; action 0 pays an exponential, action 1 a fair coin times 4."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        reward = self.np_random.exponential() if action == 0 else 4.0 * self.np_random.integers(2)
        return np.ones(1, np.float32), float(reward), True, False, {}


def huber_quantile(tau, kappa, draw):
    """The root of E |tau - 1{u < 0}| clip(u, -kappa, kappa), u = x - theta: bisection over a grid of x."""
    low, high = draw.min(), draw.max()
    for _ in range(60):
        theta = (low + high) / 2
        u = draw - theta
        slope = (np.where(u < 0, 1 - tau, tau) * np.clip(u, -kappa, kappa)).mean()
        low, high = (theta, high) if slope > 0 else (low, theta)
    return theta


@pytest.mark.parametrize("kappa", [0.02, 1.0])
def test_quantiles_of_a_bandit(kappa):
    """Against the true quantiles for a small kappa, against the exact minimum of the loss for any."""
    Z = 4
    config = DQNConfig(
        hidden=(32,),
        batch_size=256,
        warmup=3000,
        num_quantiles=Z,
        kappa=kappa,
        epsilon=(1.0, 1.0),
        lr=2e-3,
        num_envs=4,
    )
    result = dqn(Bandit, 6000, config=config, schedule=QUIET)
    q = q_values(result, config, [[1.0]], 2)[0]
    tau = (np.arange(Z) + 0.5) / Z
    grid = -np.log((np.arange(20_000) + 0.5) / 20_000)
    exact = [huber_quantile(x, kappa, grid) for x in tau]
    if kappa < 0.1:
        assert exact == pytest.approx(-np.log(1 - tau), abs=0.02)
        assert q[1] == pytest.approx([0.0, 0.0, 4.0, 4.0], abs=0.1)
    assert q[0] == pytest.approx(exact, abs=0.15)
    coins = [huber_quantile(x, kappa, np.array([0.0, 4.0])) for x in tau]
    assert q[1] == pytest.approx(coins, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("duelling", "least"), [(False, 450), (True, 400)])
def test_balances_the_pole(duelling, least):
    """Of 500; a policy of chance has 22. The last evaluation of every seed; some duelling ones still rise."""
    config = tuned(DQNConfig(duelling=duelling), "dqn", "CartPole-v1")
    schedule = Schedule(evaluate_every=0, episodes=20, log_every=0)
    result = dqn("CartPole-v1", 30_000, config=config, seeds=range(5), schedule=schedule)
    assert result.returns[-1].mean(axis=1).min() > least


# --- runs ---


SMALL = DQNConfig(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2, target_every=7)
OFTEN = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)


def same(a, b):
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name], err_msg=name)
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.steps, b.steps)


def test_the_same_seed_is_the_same_run():
    runs = [dqn("CartPole-v1", 200, config=SMALL, seeds=(1, 2), schedule=OFTEN) for _ in range(2)]
    same(*runs)


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    arguments = {"config": SMALL, "seeds": (1, 2), "schedule": OFTEN}
    whole = dqn("CartPole-v1", 400, out=tmp_path / "whole", **arguments)
    dqn("CartPole-v1", 200, out=tmp_path / "parts", **arguments)
    parts = dqn("CartPole-v1", 400, out=tmp_path / "parts", resume=True, **arguments)
    same(whole, parts)
    last = [load_checkpoint(tmp_path / run / "checkpoints") for run in ("whole", "parts")]
    assert last[0][1]["step"] == last[1][1]["step"] == 400
    for name, x in last[0][0].items():
        assert torch.equal(x, last[1][0][name]), name
    for file in ("log.jsonl", "evaluations.csv"):
        texts = [(tmp_path / run / file).read_text() for run in ("whole", "parts")]
        assert texts[0] == texts[1], file
    assert '"epsilon"' in (tmp_path / "whole" / "log.jsonl").read_text()


KILLED = """
import sys
from eluder.deep.online import DQNConfig, Schedule, dqn
config = DQNConfig(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=2, target_every=7)
schedule = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)
dqn("CartPole-v1", 400, config=config, seeds=(1, 2), out=sys.argv[1], resume=True, schedule=schedule)
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
    parts = dqn("CartPole-v1", 400, config=SMALL, seeds=(1, 2), out=out, resume=True, schedule=OFTEN)
    same(dqn("CartPole-v1", 400, config=SMALL, seeds=(1, 2), schedule=OFTEN), parts)


def test_bad_input():
    for name, x in [
        ("gamma", 1.5),
        ("tau", 0.0),
        ("lr", -1.0),
        ("batch_size", 0),
        ("kappa", 0.0),
        ("max_grad_norm", 0.0),
        ("utd", -1),
    ]:
        with pytest.raises(ValueError, match=f"{name} must be"):
            DQNConfig(**{name: x})
    for name, x in [("num_quantiles", -1), ("n_step", 0), ("target_every", 0), ("warmup", 0)]:
        with pytest.raises(ValueError, match=f"{name} must be"):
            DQNConfig(**{name: x})
    with pytest.raises(ValueError, match=r"epsilon\[1\] must be"):
        DQNConfig(epsilon=(1.0, 1.5))
    with pytest.raises(ValueError, match="hidden must hold"):
        DQNConfig(hidden=())
    with pytest.raises(ValueError, match="activation must be one of"):
        DQNConfig(activation="step")
    with pytest.raises(ValueError, match="discrete actions"):
        dqn("Pendulum-v1", 100)
    with pytest.raises(ValueError, match="steps must be"):
        dqn("CartPole-v1", 0)


def test_the_policy_is_greedy():
    config = DQNConfig(hidden=(8,), duelling=True)
    nets = init(config, 3, 4, seed_keys([0, 1]))
    obs = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    act = make_act(nets.online, config, 4)(obs)
    assert act.shape == (2, 6)
    assert act.dtype == torch.int64
    assert nets.target.flat.equal(nets.online.flat)
