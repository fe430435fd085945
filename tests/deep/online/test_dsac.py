"""DSAC and DSAC-T: gradients by the equations, by hand and by autograd; a return law in closed form; runs."""

import math

import numpy as np
import pytest
import torch

from eluder.deep.common.networks import mlp
from eluder.deep.common.random import normal, seed_keys
from eluder.deep.common.replay import Batch
from eluder.deep.online import DSACConfig, DSACTConfig, Schedule, dsac, dsac_t
from eluder.deep.online import _dsac as v1
from eluder.deep.online import _dsac_t as v2
from tests.deep.probes import Constant, Forever, Identity, TwoStep

AGENTS = {
    "dsac": (v1, dsac, DSACConfig, {}),
    "dsac_t": (v2, dsac_t, DSACTConfig, {}),
    "dsac_t_huber": (v2, dsac_t, DSACTConfig, {"loss": "huber"}),
}
QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)


@pytest.fixture(params=AGENTS)
def agent(request):
    return AGENTS[request.param]


def batch(N, B, obs_dim, A, g):
    action = torch.rand(N, B, A, generator=g) * 2 - 1
    discount = 0.99 * (torch.rand(N, B, generator=g) > 0.2)
    x, y = (torch.randn(N, B, obs_dim, generator=g) for _ in range(2))
    return Batch(x, action, 3 * torch.randn(N, B, generator=g), y, discount)


def updated(module, config, seeds, steps=10, obs_dim=5, A=2):
    keys = seed_keys(seeds)
    nets = module.init(config, obs_dim, A, keys)
    update, _ = module.make_update(config, nets, keys, A)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    for u in range(steps):
        each = [batch(1, config.batch_size, obs_dim, A, g) for g in generators]
        metrics = update(Batch(*(torch.cat(x) for x in zip(*each))), u)
    return nets, metrics


# --- definition ---


def test_by_hand_equals_autograd(agent):
    module, _, make, options = agent
    size = {"hidden": (32, 16), "batch_size": 40, **options}
    ours, metrics = updated(module, make(**size), range(3))
    reference, expected = updated(module, make(**size, fused=False), range(3))
    for a, b in zip(ours, reference):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(a.flat.detach(), b.flat.detach(), rtol=1e-4, atol=1e-5)
    for name in expected:
        torch.testing.assert_close(metrics[name], expected[name], rtol=1e-4, atol=1e-5)


def test_each_seed_is_trained_as_alone(agent):
    module, _, make, options = agent
    config = make(hidden=(32, 16), batch_size=40, **options)
    together, _ = updated(module, config, [3, 8], steps=20)
    for i, seed in enumerate([3, 8]):
        alone, _ = updated(module, config, [seed], steps=20)
        for a, b in zip(together, alone):
            for name in a.tensors:
                torch.testing.assert_close(a[name][i], b[name][0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_factors(dtype):
    def t(*x):
        return torch.tensor(x, dtype=dtype)

    def close(pair, d_q, d_sigma):
        for got, value in zip(pair, (d_q, d_sigma)):
            torch.testing.assert_close(got, t(value))

    q, sigma, y, clipped = t(1.0), t(2.0), t(4.0), t(3.0)
    d_q, d_sigma = -3.0 / 4.1, -(4.0 - 4.0) / 8.1
    close(v1.law_gradient(q, sigma, y, clipped, 0.1), d_q, d_sigma)
    d_sigma = -((6.0 - 1.0) ** 2 - 4.0) / 8.1
    close(v1.law_gradient(q, sigma, y, t(6.0), 0.1), d_q, d_sigma)
    close(v2.paper_gradient(q, sigma, y, t(6.0), t(9.0), 0.1), 9.1 * d_q, 9.1 * d_sigma)
    rho = 9.0 / 4.1  # (average 3)^2 / (sigma^2 + e)
    close(v2.huber_gradient(q, sigma, y, t(6.0), t(3.0), 0.1), rho * -3.0, rho * (4 - 12.5) / 2.1)
    far = v2.huber_gradient(t(0.0), sigma, t(80.0), t(80.0), t(100.0), 0.1)  # rho is cut at 10
    close(far, 10 * -50.0, 10 * (4 - 50 * (80 - 25)) / 2.1)


def test_the_gradient_is_that_of_the_likelihood_where_nothing_is_cut():
    q = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor([0.7, 2.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, 0.5], dtype=torch.float64)
    (-torch.distributions.Normal(q, sigma).log_prob(y)).sum().backward()
    d_q, d_sigma = v1.law_gradient(q.detach(), sigma.detach(), y, y, 0.0)
    torch.testing.assert_close(d_q, q.grad)
    torch.testing.assert_close(d_sigma, sigma.grad)


def naive_critic_gradient(module, config, nets, b, keys, u, A):
    """The critics' gradient from the pseudo-code: loops over seeds and critics, torch.distributions."""
    B, t2 = b.reward.shape[1], module is v2

    def net(p, x, index):
        layers = len(config.hidden) + 1
        for i in range(layers):
            x = x @ p[f"w{i}"][index] + p[f"b{i}"][index]
            x = torch.nn.functional.gelu(x) if i < layers - 1 else x
        return x

    noise, xi = normal(keys, u, module.NOISE, (2, B, A)), normal(keys, u, module.RETURN, (B,))
    members = 2 if t2 else 1
    total = 0.0
    for n in range(len(keys)):
        with torch.no_grad():
            mean, log_std = net(nets.actor_target, b.next_obs[n], n).chunk(2, -1)
            std = log_std.clamp(-20, 0.5).exp()
            pre = mean + std * noise[n, 0]
            a = torch.tanh(pre)
            base = torch.distributions.Normal(mean, std).log_prob(pre)
            log_prob = (base - torch.log(1 - a**2 + 1e-12)).sum(-1)
            x = torch.cat([b.next_obs[n], a], -1)
            outs = [net(nets.critic_target, x, (n, i)) for i in range(members)]
            y_q, y_z = torch.zeros(B), torch.zeros(B)
            for k in range(B):
                j = min(range(members), key=lambda i: outs[i][k, 0])
                q, s = outs[j][k, 0], math.log1p(math.exp(outs[j][k, 1]))
                soft = nets.alpha["log_alpha"][n].exp() * log_prob[k]
                z = q + s * float(xi[n, k].clamp(-3, 3))
                y_q[k] = b.reward[n, k] + b.discount[n, k] * (q - soft)
                y_z[k] = b.reward[n, k] + b.discount[n, k] * (z - soft)
        for i in range(members):
            out = net(nets.critic, torch.cat([b.obs[n], b.action[n]], -1), (n, i))
            Q, sigma = out[:, 0], torch.nn.functional.softplus(out[:, 1])
            q, s = Q.detach(), sigma.detach()
            if t2:
                average = 0.995 * nets.averages["sigma"][n, i] + 0.005 * s.mean()
                omega = 0.995 * nets.averages["variance"][n, i] + 0.005 * (s**2).mean()
                width = config.xi * average
                C = torch.minimum(torch.maximum(y_z, q - width), q + width)
                each = -(y_q - q) / (s**2 + 0.1) * Q - ((C - q) ** 2 - s**2) / (s**3 + 0.1) * sigma
                total = total + (omega + 0.1) * each.mean()
            else:
                C = torch.minimum(torch.maximum(y_z, q - config.bound), q + config.bound)
                each = -(y_z - q) / (s**2 + 0.1) * Q - ((C - q) ** 2 - s**2) / (s**3 + 0.1) * sigma
                total = total + each.mean()
    for leaf in nets.critic.tensors.values():
        leaf.grad = None
    total.sum().backward()
    return torch.cat([leaf.grad.reshape(-1) for leaf in nets.critic.tensors.values()])


@pytest.mark.parametrize(
    ("name", "options"),
    [("dsac", {"bound": 0.7}), ("dsac", {}), ("dsac_t", {}), ("dsac_t", {"xi": 30.0})],
    ids=str,
)
def test_one_update_against_the_pseudo_code(name, options):
    module, _, make, _ = AGENTS[name]
    size = {"hidden": (16,), "batch_size": 20}
    used, _ = updated(module, make(**size, lr_critic=1e-2, tau=0.5), range(2))
    keys, b = seed_keys(range(2)), batch(2, 20, 5, 2, torch.Generator().manual_seed(9))
    config = make(**size, **options)
    for k, target in enumerate((used.actor_target, used.critic_target)):  # far from what they follow
        target.flat.add_(
            torch.randn(target.flat.shape, generator=torch.Generator().manual_seed(k)), alpha=0.3
        )
    u = next(u for u in range(1, 99) if normal(keys, u, module.RETURN, (20,)).abs().max() > 3.3)  # is cut
    fresh = module.init(config, 5, 2, keys)
    for ours, theirs in zip(fresh, used):
        ours.load(theirs.state())
    wanted = naive_critic_gradient(module, config, used, b, keys, u, 2)
    update, _ = module.make_update(config, fresh, keys, 2)
    update(b, u)
    torch.testing.assert_close(fresh.critic.grad, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fused", [True, False])
def test_averages_begin_at_the_first_batch_and_follow_slowly(fused):
    config = DSACTConfig(hidden=(8,), batch_size=20, tau_b=0.1, fused=fused)
    nets, keys = v2.init(config, 5, 2, seed_keys([0])), seed_keys([0])
    update, _ = v2.make_update(config, nets, keys, 2)
    sigmas, averages = [], []
    for u in range(3):
        b = batch(1, 20, 5, 2, torch.Generator().manual_seed(u))
        output = mlp(nets.critic, torch.cat([b.obs, b.action], -1)[:, None], torch.nn.functional.gelu)
        sigmas.append(torch.nn.functional.softplus(output[..., 1]).detach())
        update(b, u)
        averages.append({name: x.clone() for name, x in nets.averages.state().items()})
    for name, x in (("sigma", sigmas), ("variance", [s.square() for s in sigmas])):
        wanted = x[0].mean(dim=-1, keepdim=True)
        torch.testing.assert_close(averages[0][name], wanted)
        for u in (1, 2):
            wanted = 0.9 * wanted + 0.1 * x[u].mean(dim=-1, keepdim=True)
            torch.testing.assert_close(averages[u][name], wanted)


def test_only_every_second_update_moves_actor_and_targets(agent):
    module, _, make, options = agent
    config = make(hidden=(8,), batch_size=8, **options)
    keys = seed_keys([0])
    nets = module.init(config, 5, 2, keys)
    update, _ = module.make_update(config, nets, keys, 2)
    g = torch.Generator().manual_seed(0)
    for u in range(4):
        before = [p.flat.detach().clone() for p in nets]
        update(batch(1, 8, 5, 2, g), u)
        moved = {f for f, p, old in zip(nets._fields, nets, before) if not torch.equal(p.flat, old)}
        rest = {"actor", "actor_target", "critic_target", "alpha"}
        assert moved - {"averages"} == ({"critic"} | rest if u % 2 else {"critic"})


# --- truth ---


@pytest.mark.parametrize("name", list(AGENTS))
def test_the_return_law_of_a_linear_gaussian_chain(name):
    """x' = rho x + w with w ~ N(0, s^2) and reward x: the return from x is Gaussian.

    Its mean is x / (1 - gamma rho), its variance (gamma s / (1 - gamma rho))^2 / (1 - gamma^2).
    """
    module, _, make, options = AGENTS[name]
    rho, s, gamma = 0.6, 1.0, 0.8
    more = {"hidden": (32, 32), "lr_critic": 2e-3, "tau": 0.02, "batch_size": 256, **options}
    config = make(**more, alpha=1e-6, lr_alpha=1e-12, gamma=gamma)
    keys = seed_keys([0])
    nets = module.init(config, 1, 1, keys)
    update, _ = module.make_update(config, nets, keys, 1)
    g = torch.Generator().manual_seed(0)
    for u in range(2500):
        x = torch.rand(1, 256, 1, generator=g) * 6 - 3
        w = s * torch.randn(1, 256, 1, generator=g)
        a = torch.rand(1, 256, 1, generator=g) * 2 - 1
        update(Batch(x, a, x[..., 0], rho * x + w, torch.full((1, 256), gamma)), u)
    x = torch.linspace(-1.5, 1.5, 7)
    rows = torch.stack([x, torch.zeros(7)], dim=-1)
    h = rows
    for i in range(3):
        h = h @ nets.critic[f"w{i}"][0, 0] + nets.critic[f"b{i}"][0, 0]
        h = torch.nn.functional.gelu(h) if i < 2 else h
    mean, sigma = (y.detach() for y in v1.return_law(h))
    assert (mean - x / (1 - gamma * rho)).abs().max() < 0.45
    exact = gamma * s / (1 - gamma * rho) / math.sqrt(1 - gamma**2)
    if options:  # half a square for a square: the later code's sigma is not the standard deviation
        assert sigma.mean() < 0.9 * exact
    else:
        assert sigma.mean().item() == pytest.approx(exact, rel=0.12)


# --- learning and runs ---


FAST = {"hidden": (32, 32), "batch_size": 64, "warmup": 100, "lr_actor": 3e-3, "lr_critic": 3e-3, "tau": 0.05}
COLD = {"alpha": 1e-3, "lr_alpha": 1e-12}


def value(result, obs, seed=0):
    """The mean of the return at action 0."""
    x = torch.tensor([[obs, 0.0]])
    named = {k: torch.tensor(v[seed]) for k, v in result.parameters.items()}
    p = {k.removeprefix("critic/"): v for k, v in named.items() if k.startswith("critic/")}
    for i in range(3):
        x = x @ p[f"w{i}"] + p[f"b{i}"]
        x = torch.nn.functional.gelu(x) if i < 2 else x
    return float(x[..., 0].mean())


@pytest.mark.parametrize("name", ["dsac", "dsac_t"])
def test_values_of_the_probes(name):
    _, run, make, _ = AGENTS[name]
    config = make(**FAST, **COLD, gamma=0.9)
    assert value(run(Constant, 600, config=config, schedule=QUIET), 0.0) == pytest.approx(1.0, abs=0.1)
    result = run(TwoStep, 800, config=config, schedule=QUIET)
    assert value(result, 1.0) == pytest.approx(1.0, abs=0.15)
    assert value(result, 0.0) == pytest.approx(0.9, abs=0.15)


@pytest.mark.parametrize("name", ["dsac", "dsac_t"])
def test_a_time_limit_is_no_end(name):
    _, run, make, _ = AGENTS[name]
    result = run(Forever, 1500, config=make(**FAST, **COLD, gamma=0.8), schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(5.0, abs=0.5)


def test_learns_the_identity(agent):
    _, run, make, options = agent
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    config = make(**FAST, **options, gamma=0.9, alpha=0.2)
    result = run(Identity, 1200, config=config, seeds=(0, 1), schedule=schedule)
    assert result.returns.mean(axis=(0, 2)).min() > 0.95


@pytest.mark.parametrize("name", ["dsac", "dsac_t"])
def test_a_resumed_run_is_the_run_that_never_stopped(name, tmp_path):
    _, run, make, _ = AGENTS[name]
    config = make(hidden=(16,), batch_size=16, warmup=60, replay_size=150, num_envs=4, utd=0.25)
    often = Schedule(evaluate_every=100, episodes=1, log_every=40, save_every=0)
    args = {"config": config, "seeds": (1, 2), "schedule": often}
    whole = run("Pendulum-v1", 400, out=tmp_path / "whole", **args)
    run("Pendulum-v1", 200, out=tmp_path / "parts", **args)
    parts = run("Pendulum-v1", 400, out=tmp_path / "parts", resume=True, **args)
    for key, x in whole.parameters.items():
        np.testing.assert_array_equal(x, parts.parameters[key])
    np.testing.assert_array_equal(whole.returns, parts.returns)
    logs = [(tmp_path / part / "log.jsonl").read_text() for part in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_bad_input():
    with pytest.raises(ValueError, match="loss must be 'paper' or 'huber', got 'nll'"):
        DSACTConfig(loss="nll")
    for make, name in [(DSACTConfig, "xi"), (DSACTConfig, "tau_b"), (DSACConfig, "bound")]:
        with pytest.raises(ValueError, match=f"{name} must be in"):
            make(**{name: -1.0})
    with pytest.raises(ValueError, match="actions in a box"):
        dsac("CartPole-v1", 10)
    with pytest.raises(ValueError, match="actions in a box"):
        dsac_t("CartPole-v1", 10)
