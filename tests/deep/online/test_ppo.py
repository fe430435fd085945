"""PPO: kernels against autograd and the equations, advantages by enumeration, probes, exact resume."""

import math

import gymnasium
import numpy as np
import pytest
import torch

from eluder.core.results import TrainResult
from eluder.deep.common.advantages import discounted_sums, gae
from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.compiled import (
    Net,
    adam_in_place,
    backward,
    forward,
    log_softmax,
    net_of,
    rows_of,
    scratch,
    tanh_in_place,
)
from eluder.deep.common.networks import Parameters, mlp, mlp_shapes
from eluder.deep.common.normalise import RewardScale, RunningNorm
from eluder.deep.common.orthogonal import init_orthogonal
from eluder.deep.common.random import normal, seed_keys, uniform
from eluder.deep.common.rollout import Rollout
from eluder.deep.common.seedwise import SeedAdam, clip_by_norm
from eluder.deep.online import PMOEPPOConfig, PPOConfig, Schedule, pmoe_ppo, ppo
from eluder.deep.online._ppo import (
    ACT,
    Data,
    clipped_loss,
    divergence,
    draw_noise,
    evaluate_rollout,
    init,
    make_act,
    make_update,
    normalised,
    scaled_rewards,
    step_size,
    value_error,
    weighted_mean,
)
from tests.deep.probes import Constant, Forever, Identity, TwoStep

QUIET = Schedule(evaluate_every=0, episodes=1, log_every=0)
OPTIONS = [
    {},
    {"value_clip": 0.05, "entropy_coef": 0.1, "activation": "relu"},
    {"max_kl": 0.08, "hidden": (), "normalise_advantage": False},
    {"max_grad_norm": 0.02, "hidden": (12,), "clip": 0.02},
]


def data(N, M, obs_dim, A, discrete, generator, all_valid=False):
    """Rows that the policy has not drawn: ratios on both sides of the interval."""

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    action = torch.randint(A, (N, M, 1), generator=generator).float() if discrete else draw(N, M, A)
    weight = (torch.rand(N, M, generator=generator) > (0.0 if all_valid else 0.3)).float()
    old = -math.log(A) + 0.3 * draw(N, M) if discrete else -1.0 * A - 0.5 * action.square().sum(-1)
    return Data(draw(N, M, obs_dim), action, old, draw(N, M), draw(N, M), 0.1 * draw(N, M), weight)


def updated(config, seeds, *, discrete=False, rollouts=3, M=50, obs_dim=5, A=3):
    """Parameters after some rollouts of random rows; each seed sees what it sees alone."""
    keys = seed_keys(seeds)
    parameters = init(config, obs_dim, A, discrete, keys)
    update, adam = make_update(config, parameters)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    for _ in range(rollouts):
        each = [data(1, M, obs_dim, A, discrete, g) for g in generators]
        order = [
            torch.stack([torch.randperm(M, generator=g) for _ in range(config.epochs)]) for g in generators
        ]
        rows = Data(*(torch.cat(x) for x in zip(*each)))
        metrics = update(rows, torch.stack(order), 1e-2)
    return parameters, adam, metrics


# --- definition ---


def naive_gae(reward, value, next_value, terminated, ended, gamma, lam):
    """``A_t = sum_l (gamma lam)^l delta_{t+l}`` up to the end of the episode, of one environment."""
    T = len(reward)
    delta = reward + gamma * (1 - terminated) * next_value - value
    out = np.zeros(T)
    for t in range(T):
        for k in range(t, T):
            out[t] += (gamma * lam) ** (k - t) * delta[k]
            if ended[k]:
                break
    return out


def test_advantages_are_the_sums_of_the_paper():
    rng = np.random.default_rng(0)
    shape = (2, 30, 3)
    reward, value, next_value = rng.normal(size=(3, *shape))
    terminated, truncated = rng.random((2, *shape)) < 0.1
    ended = terminated | truncated
    ours = gae(reward, value, next_value, 0.9 * ~terminated, 0.9 * 0.8 * ~ended)
    assert ours.dtype == np.float32
    for n in range(2):
        for e in range(3):
            at = (n, slice(None), e)
            args = (x[at] for x in (reward, value, next_value, terminated, ended))
            np.testing.assert_allclose(ours[at], naive_gae(*args, 0.9, 0.8), rtol=1e-5, atol=1e-6)


def test_advantages_by_hand():
    """gamma 0.5, lam 0.5; the second step is cut by a time limit and goes on in the value 8."""
    row = lambda *x: np.array(x, float).reshape(1, -1, 1)  # noqa: E731
    found = gae(row(1, 2, 3), row(4, 6, 1), row(6, 8, 9), row(0.5, 0.5, 0), row(0.25, 0, 0))
    # delta = 1 + 3 - 4 = 0,  2 + 4 - 6 = 0,  3 + 0 - 1 = 2
    assert found[0, :, 0].tolist() == [0.0, 0.0, 2.0]
    found = gae(row(1, 2, 3), row(4, 4, 1), row(4, 8, 9), row(0.5, 0.5, 0), row(0.25, 0, 0))
    assert found[0, :, 0].tolist() == [-1.0 + 0.25 * 2.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="value must have the shape"):
        gae(row(1, 2), row(1), row(1, 2), row(1, 2), row(1, 2))


def test_advantages_with_exact_values_are_exact_in_the_mean():
    """Lambda 1, three states, by enumeration: the mean over all futures of 4 steps is Q(s, a) - V(s)."""
    rng = np.random.default_rng(1)
    S, A, gamma, T = 3, 2, 0.8, 4
    P, r, pi = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A)), rng.dirichlet(np.ones(A), S)
    V = np.linalg.solve(np.eye(S) - gamma * np.einsum("sa,sat->st", pi, P), (pi * r).sum(1))
    Q = r + gamma * P @ V
    for s in range(S):
        for a in range(A):
            paths, weights = [[(s, a)]], [1.0]
            for _ in range(T):  # all (s', a') that may follow
                more = [
                    ([*path, (t, b)], w * P[path[-1]][t] * pi[t, b])
                    for path, w in zip(paths, weights)
                    for t in range(S)
                    for b in range(A)
                ]
                paths, weights = [p for p, _ in more], [w for _, w in more]
            states = np.array([[x for x, _ in path] for path in paths])
            reward = np.array([[r[x] for x in path[:-1]] for path in paths])
            v = V[states]
            ones = np.ones((len(paths), T, 1))
            args = (x[:, :, None] for x in (reward, v[:, :-1], v[:, 1:]))
            estimates = gae(*args, gamma * ones, gamma * ones)[:, 0, 0]
            assert float(np.dot(weights, estimates)) == pytest.approx(Q[s, a] - V[s], abs=1e-5)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_kernels_equal_autograd(options, discrete):
    config = {"hidden": (16, 8), "batch_size": 16, "epochs": 3, **options}
    ours, adam, metrics = updated(PPOConfig(**config), range(3), discrete=discrete)
    reference, adam_reference, expected = updated(
        PPOConfig(**config, fused=False), range(3), discrete=discrete
    )
    torch.testing.assert_close(ours.flat, reference.flat, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(adam.count, adam_reference.count)
    assert set(metrics) == set(expected)
    for name in expected:
        torch.testing.assert_close(metrics[name], expected[name], rtol=1e-4, atol=1e-4, msg=name)
    if config.get("max_kl"):
        assert 0 < metrics["updates"].sum() < 36
    else:
        once = 0 if discrete else 1  # a last minibatch of nothing but resets
        assert metrics["updates"].tolist() == [12.0, 12.0 - once, 12.0]


def naive_loss(parameters, config, rows, n, discrete):
    """The objective of seed n from the equations, row by row, with torch.distributions."""

    def net(name, x):
        for i in range(len(config.hidden) + 1):
            x = x @ parameters[f"{name}w{i}"][n] + parameters[f"{name}b{i}"][n][0]
            x = torch.tanh(x) if i < len(config.hidden) else x
        return x

    w = rows.weight[n] > 0
    A = rows.advantage[n][w]
    A = (A - A.mean()) / (A.std() + 1e-8)
    total = 0.0
    for k, i in enumerate(torch.nonzero(w)[:, 0].tolist()):
        y = net("actor_", rows.obs[n, i])
        if discrete:
            law = torch.distributions.Categorical(logits=y)
            log_prob, entropy = law.log_prob(rows.action[n, i, 0].long()), law.entropy()
        else:
            law = torch.distributions.Normal(y, parameters["log_std"][n, 0].exp())
            log_prob, entropy = law.log_prob(rows.action[n, i]).sum(), law.entropy().sum()
        ratio = (log_prob - rows.log_prob[n, i]).exp()
        policy = torch.min(ratio * A[k], torch.clip(ratio, 1 - config.clip, 1 + config.clip) * A[k])
        v = net("critic_", rows.obs[n, i])[0]
        old = rows.value[n, i]
        clipped = old + torch.clip(v - old, -config.value_clip, config.value_clip)
        error = torch.max((v - rows.target[n, i]) ** 2, (clipped - rows.target[n, i]) ** 2) / 2
        total = total - policy - config.entropy_coef * entropy + config.value_coef * error
    return total / int(w.sum())


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("discrete", [False, True])
def test_gradient_is_that_of_the_equations(discrete, fused):
    """From parameters that are not the first ones; one minibatch, no cut of the norm."""
    config = PPOConfig(
        hidden=(16, 8), batch_size=40, epochs=1, value_clip=0.05, entropy_coef=0.1,
        max_grad_norm=1e9, fused=fused,
    )  # fmt: skip
    parameters, _, _ = updated(config, range(2), discrete=discrete)
    update, adam = make_update(config, parameters)
    rows = data(2, 40, 5, 3, discrete, torch.Generator().manual_seed(7))
    parameters.zero_grad()
    sum(naive_loss(parameters, config, rows, n, discrete) for n in range(2)).backward()
    wanted, before = parameters.grad.clone(), parameters.flat.clone()
    update(rows, torch.arange(40).view(1, 1, 40).expand(2, 1, 40).contiguous(), 1e-3)
    torch.testing.assert_close(parameters.grad, wanted, rtol=1e-4, atol=1e-5)
    first = wanted / (wanted.abs() + config.adam_eps)  # what the first step of Adam is
    torch.testing.assert_close(before - parameters.flat, 1e-3 * first, rtol=1e-2, atol=1e-6)
    assert adam.count.tolist() == [1.0, 1.0]


def test_a_batch_larger_than_the_rollout_is_the_rollout():
    """Buffers grow with what is there, not with what was asked for."""
    whole = updated(PPOConfig(hidden=(8,), batch_size=50), [0])[0]
    more = updated(PPOConfig(hidden=(8,), batch_size=10**15), [0])[0]
    assert whole.flat.equal(more.flat)


def test_seeds_learn_as_alone():
    for fused in (True, False):
        config = PPOConfig(hidden=(16,), batch_size=16, epochs=3, max_kl=0.05, fused=fused)
        together, _, metrics = updated(config, [3, 8, 5])
        for i, seed in enumerate([3, 8, 5]):
            alone, _, own = updated(config, [seed])
            for name in alone.tensors:
                torch.testing.assert_close(together[name][i], alone[name][0], rtol=1e-4, atol=1e-6)
            assert metrics["updates"][i] == own["updates"][0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_by_hand(dtype):
    log_ratio = torch.tensor([0.5, 0.5, 2.0, 2.0, 0.25], dtype=dtype).log()
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0, 0.0], dtype=dtype)
    wanted = torch.tensor([-1.0, 1.6, -2.4, 4.0, 0.0], dtype=dtype)
    torch.testing.assert_close(clipped_loss(log_ratio, advantage, 0.2), wanted)
    v, old, target = (
        torch.tensor(x, dtype=dtype) for x in ([1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [2.0, 4.0, 0.0])
    )
    wanted = torch.tensor([0.5, 0.5, 4.5], dtype=dtype)
    torch.testing.assert_close(value_error(v, old, target, None), wanted)
    wanted = torch.tensor([1.125, 6.125, 4.5], dtype=dtype)  # cut at 0.5: 1.5^2 / 2, 3.5^2 / 2
    torch.testing.assert_close(value_error(v, old, target, 0.5), wanted)
    weight = torch.tensor([1.0, 0.0, 1.0], dtype=dtype)
    x = torch.tensor([1.0, 100.0, 3.0], dtype=dtype)
    assert weighted_mean(x, weight).item() == 2.0
    torch.testing.assert_close(normalised(x, weight)[[0, 2]], torch.tensor([-1.0, 1.0], dtype=dtype) / 2**0.5)
    zero = torch.zeros(3, dtype=dtype)
    assert weighted_mean(x, zero).item() == 0.0
    assert torch.isfinite(normalised(x, zero)).all()
    ratio = torch.tensor([[2.0, 9.0, 0.5]], dtype=dtype)
    kl = (2 - 1 - math.log(2) + 0.5 - 1 + math.log(2)) / 2
    assert divergence(ratio.log(), weight).item() == pytest.approx(kl)


def test_gradient_check_of_the_losses():
    g = torch.Generator().manual_seed(0)
    x, y, z = (torch.randn(7, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(3))
    assert torch.autograd.gradcheck(lambda a: clipped_loss(a, y.detach(), 0.2), (x,))
    assert torch.autograd.gradcheck(lambda a: value_error(a, y.detach(), z.detach(), 0.3), (x,))


# --- the kit ---


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_compiled_perceptron_equals_autograd(activation):
    g = torch.Generator().manual_seed(0)
    p = Parameters({"x": (2,), **mlp_shapes((4, 9, 6, 2), name="net_")}, 3)
    p.flat.copy_(torch.randn(p.flat.shape, generator=g))
    x, dy = torch.randn(3, 11, 4, generator=g), torch.randn(3, 11, 2, generator=g)
    y = mlp(p, x, getattr(torch, activation), "net_")
    (y * dy).sum().backward()
    net, grad = net_of(p, "net_", activation), np.zeros_like(p.flat.numpy())
    assert isinstance(net, Net)
    memory, delta = scratch(net, 11), scratch(net, 11)
    for n in range(3):
        rows_of(memory, net, 0, 11)[:] = x[n].numpy()
        forward(p.flat.numpy(), net, n, memory, 11)
        torch.testing.assert_close(
            torch.tensor(rows_of(memory, net, 3, 11)), y[n].detach(), rtol=1e-5, atol=1e-5
        )
        rows_of(delta, net, 3, 11)[:] = dy[n].numpy()
        backward(p.flat.numpy(), grad, net, n, memory, delta, 11)
    torch.testing.assert_close(torch.tensor(grad), p.grad, rtol=1e-4, atol=1e-4)


def test_tanh_and_softmax_of_the_kernels():
    x = np.concatenate([np.linspace(-12, 12, 100_001), np.logspace(-10, 0, 1001), [1e30, -1e30]])
    x = x.astype(np.float32)
    y = x.copy()
    tanh_in_place(y)
    exact = np.tanh(x.astype(float))
    assert np.abs(y - exact).max() < 3e-7
    assert np.abs(y).max() <= 1.0
    assert np.abs(y[x != 0] / exact[x != 0] - 1).max() < 5e-7
    nothing = np.array([np.nan], np.float32)
    tanh_in_place(nothing)
    assert np.isnan(nothing[0])
    z = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32) * 30
    wanted = torch.log_softmax(torch.tensor(z), -1)
    log_softmax(z)
    torch.testing.assert_close(torch.tensor(z), wanted, rtol=1e-5, atol=1e-5)


def test_adams_of_seeds_equal_the_one_of_pytorch():
    g = torch.Generator().manual_seed(0)
    p = Parameters({"w": (2, 3), "b": (3,)}, 2)
    p.flat.copy_(torch.randn(p.flat.shape, generator=g))
    own = [torch.cat([p[k][n].detach().flatten() for k in ("w", "b")]).requires_grad_() for n in range(2)]
    theirs = [torch.optim.Adam([x], 0.1, eps=1e-5) for x in own]
    adam, x = SeedAdam(p, eps=1e-5), own[0].detach().numpy().copy()
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in range(6):
        p.grad.copy_(torch.randn(p.grad.shape, generator=g) * 10)
        active = torch.tensor([True, t % 2 == 0])
        for n in range(2):
            own[n].grad = torch.cat([p[k].grad[n].flatten() for k in ("w", "b")])
            if active[n]:
                theirs[n].step()
        root = math.sqrt(1 - 0.999 ** (t + 1))
        adam_in_place(x, own[0].grad.numpy(), m, v, 0.1 / (1 - 0.9 ** (t + 1)), root, 1e-5)
        adam.step(0.1, active)
    for n in range(2):
        ours = torch.cat([p[k][n].detach().flatten() for k in ("w", "b")])
        torch.testing.assert_close(ours, own[n].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.tensor(x), own[0].detach(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="eps must be"):
        SeedAdam(p, -1.0)


def test_norms_are_those_of_each_seed():
    p = Parameters({"w": (2, 3), "b": (3,)}, 2)
    p.grad.copy_(torch.randn(18, generator=torch.Generator().manual_seed(0)))
    each = [torch.cat([p[k].grad[n].flatten() for k in ("w", "b")]) for n in range(2)]
    found = clip_by_norm(p, 2.0)
    torch.testing.assert_close(found, torch.stack([x.norm() for x in each]))
    for n in range(2):
        after = torch.cat([p[k].grad[n].flatten() for k in ("w", "b")])
        torch.testing.assert_close(
            after, each[n] * min(1.0, 2.0 / float(each[n].norm())), rtol=1e-5, atol=1e-6
        )


def test_first_weights_are_orthogonal():
    p = Parameters(mlp_shapes((3, 8, 8, 2), name="a_"), 2)
    p.flat.fill_(7.0)
    init_orthogonal(p, seed_keys([4, 9]), [2.0, 1.0, 0.5], name="a_")
    alone = Parameters(mlp_shapes((3, 8, 8, 2), name="a_"), 1)
    init_orthogonal(alone, seed_keys([9]), [2.0, 1.0, 0.5], name="a_")
    for i, gain in enumerate([2.0, 1.0, 0.5]):
        w = p[f"a_w{i}"].detach()
        small = w @ w.transpose(1, 2) if w.shape[1] < w.shape[2] else w.transpose(1, 2) @ w
        torch.testing.assert_close(
            small, gain**2 * torch.eye(small.shape[-1]).expand_as(small), atol=1e-5, rtol=0
        )
        assert torch.equal(alone[f"a_w{i}"][0], p[f"a_w{i}"][1])
        assert not p[f"a_b{i}"].any()
    many = Parameters(mlp_shapes((2, 2)), 3000)
    init_orthogonal(many, seed_keys(range(3000)), [1.0])
    w = many["w0"].detach()
    assert w.mean(0).abs().max() < 0.05  # uniform: reflections and rotations, no sign preferred
    assert abs(torch.linalg.det(w).mean()) < 0.06
    with pytest.raises(ValueError, match="gains must hold 3 numbers"):
        init_orthogonal(p, seed_keys([0, 1]), [1.0], name="a_")


def test_scale_of_rewards():
    """The sums begin again after an end, go on from rollout to rollout, and the scale is their deviation."""
    rng = np.random.default_rng(0)
    reward, ended = rng.normal(size=(2, 40, 3)), rng.random((2, 40, 3)) < 0.1
    total = np.zeros((2, 3))
    halves = [discounted_sums(reward[:, i : i + 20], ended[:, i : i + 20], total, 0.9) for i in (0, 20)]
    found = np.concatenate(halves, axis=1)
    for n in range(2):
        for e in range(3):
            R = 0.0
            for t in range(40):
                R = 0.9 * R + reward[n, t, e]
                assert found[n, t, e] == pytest.approx(R)
                R = 0.0 if ended[n, t, e] else R
    scale = RewardScale(2, 3, 0.9)
    rollout, scaled = Rollout(2, 20, 3, 1, 1), []
    rollout.valid[:] = True
    for i in (0, 20):
        rollout.reward[:], rollout.truncated[:] = reward[:, i : i + 20], ended[:, i : i + 20]
        scaled.append(scaled_rewards(scale, rollout))
    std = found.reshape(2, -1).std(axis=1)
    np.testing.assert_allclose(scaled[1], reward[:, 20:] / std[:, None, None], rtol=1e-4)
    with pytest.raises(ValueError, match="ended and total must have shapes"):
        discounted_sums(reward, ended, total[:, :1], 0.9)


@pytest.mark.parametrize("discrete", [False, True])
def test_both_ways_of_acting_agree(discrete):
    """From parameters and statistics that are not the first ones; and frequencies of discrete actions."""
    g = torch.Generator().manual_seed(0)
    fast, slow = (PPOConfig(hidden=(16, 8), fused=f) for f in (True, False))
    parameters = init(fast, 4, 3, discrete, seed_keys([1, 2]))
    parameters.flat.add_(torch.randn(parameters.flat.shape, generator=g), alpha=0.3)
    norm = RunningNorm(2, (4,))
    obs = torch.randn(2, 500, 4, generator=g) * 3 + 2
    noise = torch.rand(2, 500, 1, generator=g) if discrete else torch.randn(2, 500, 3, generator=g)
    for _ in range(2):
        for given in (noise, None):
            a, b = make_act(parameters, norm, fast)(obs, given), make_act(parameters, norm, slow)(obs, given)
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        norm.update(obs, torch.tensor([[1.0], [0.4]]).expand(2, 500).round())  # the second seed sees nothing
        norm.update(obs[:, :9] + 1)
    if discrete:
        same = obs[:, :1].expand_as(obs).contiguous()
        counts = make_act(parameters, norm, fast)(same, noise)[0].bincount(minlength=3) / 500
        p = mlp(parameters, norm(same), torch.tanh, "actor_")[0, 0].softmax(-1).detach()
        assert (counts - p).abs().max() < 0.08


@pytest.mark.parametrize("discrete", [False, True])
def test_acting_on_arrays_is_acting_on_tensors(discrete):
    """In any order of memory, by turns with other batches; what is given decides what comes back."""
    config = PPOConfig(hidden=(8, 6))
    parameters = init(config, 4, 3, discrete, seed_keys([1, 2]))
    parameters.flat.add_(torch.randn(parameters.flat.shape, generator=torch.Generator().manual_seed(0)))
    norm = RunningNorm(2, (4,))
    norm.update(torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(1)) + 1)
    act, slow = (make_act(parameters, norm, PPOConfig(hidden=(8, 6), fused=f)) for f in (True, False))
    rng = np.random.default_rng(0)
    for B in (5, 1, 7, 5):
        obs = 2 * rng.normal(size=(2, B, 4)).astype(np.float32)
        noise = rng.random((2, B, 1)) if discrete else rng.normal(size=(2, B, 3))
        for given in (noise.astype(np.float32), None):
            tensor = None if given is None else torch.from_numpy(given)
            wanted = slow(torch.from_numpy(obs), tensor)
            kept = obs.copy()
            for x in (obs, np.asfortranarray(obs), np.repeat(obs, 2, axis=2)[..., ::2]):
                found = act(x, given)
                assert found.dtype == (np.int64 if discrete else np.float32)
                np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)
            found = act(torch.from_numpy(obs), tensor)
            assert found.dtype == wanted.dtype
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
            one = act(torch.from_numpy(obs[:1]), tensor)  # the same for all seeds
            assert torch.equal(one, act(torch.from_numpy(obs[:1].repeat(2, axis=0)), tensor))
            assert np.array_equal(obs, kept)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("discrete", [False, True])
def test_noise_is_that_of_each_seed_alone_time_first(discrete, fused):
    config, T, E = PPOConfig(hidden=(4,), fused=fused), 3, 3
    draws = []
    for seeds in ([4, 9], [9]):
        keys = seed_keys(seeds)
        draws.append(draw_noise(init(config, 2, 3, discrete, keys), config, keys, 7, T, E))
    assert isinstance(draws[0], np.ndarray if fused else torch.Tensor)
    keys = seed_keys([9])
    wanted = uniform(keys, 7, ACT, (T, E, 1)) if discrete else normal(keys, 7, ACT, (T, E, 3))
    for draw, n in zip(draws, (1, 0)):
        assert draw.shape == (T, n + 1, E, wanted.shape[-1])
        np.testing.assert_array_equal(np.asarray(draw)[:, n], wanted[0].numpy())


class Witness(gymnasium.Env):
    """Keeps what it showed, what was done, what it paid and where that led; ends by chance or after 5."""

    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (2, 3), np.float32)

    def __init__(self, discrete):
        box, kinds = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32), gymnasium.spaces.Discrete(3, start=2)
        self.action_space = kinds if discrete else box
        self.seen = []

    def _obs(self):
        self.shown = self.np_random.uniform(-9.0, 9.0, (3, 2)).astype(np.float32).T
        return self.shown

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        before, reward, end = self.shown, self.np_random.normal(), self.np_random.random() < 0.2
        self.seen.append((before, np.array(action), reward, self._obs(), end, self.t == 5))
        return self.shown, reward, end, self.t == 5, {}


@pytest.mark.parametrize("mode", [None, *gymnasium.vector.AutoresetMode], ids=str)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("discrete", [False, True])
def test_a_rollout_is_what_the_environments_saw(discrete, fused, mode, monkeypatch):
    """Of three seeds with two environments each: nobody's row is another's, or one step late."""
    worlds, rollouts = [], []

    def make():
        worlds.append(Witness(discrete))
        return worlds[-1]

    def evaluated(parameters, config, rollout, *rest):
        rollouts.append({name: x.numpy().copy() for name, x in rollout.state().items()})
        return evaluate_rollout(parameters, config, rollout, *rest)

    monkeypatch.setattr("eluder.deep.online._ppo.evaluate_rollout", evaluated)
    config = PPOConfig(hidden=(8,), num_steps=9, num_envs=2, batch_size=5, epochs=2, lr=0.01, fused=fused)
    many = lambda n: gymnasium.vector.SyncVectorEnv([make] * n, autoreset_mode=mode)  # noqa: E731
    ppo(make if mode is None else many, 36, config=config, seeds=(3, 8, 4), schedule=QUIET)
    whole = {name: np.concatenate([r[name] for r in rollouts], axis=1) for name in rollouts[0]}
    training = [world for world in worlds if len(world.seen) >= 9][:6]
    for i, world in enumerate(training):
        rows = {name: x[i // 2, :, i % 2] for name, x in whole.items()}
        rows = {name: x[rows["valid"]] for name, x in rows.items()}
        assert len(world.seen) == len(rows["reward"])
        assert len(rows["reward"]) == 18 or mode == gymnasium.vector.AutoresetMode.NEXT_STEP
        shown, action, reward, follow, *ends = (np.array(x) for x in zip(*world.seen))
        assert np.array_equal(rows["obs"], shown.reshape(len(shown), 6))
        assert np.array_equal(rows["next_obs"], follow.reshape(len(shown), 6))
        assert np.array_equal(rows["reward"], reward.astype(np.float32))
        assert np.array_equal(rows["terminated"], ends[0])
        assert np.array_equal(rows["truncated"], ends[1])
        done = rows["action"] + 2 if discrete else rows["action"].clip(-1, 1)
        np.testing.assert_allclose(done, action, rtol=0, atol=1e-6)


def test_a_rollout_keeps_what_was_done():
    from eluder.deep.common.environments import Step

    rollout, rng = Rollout(2, 3, 2, 4, 1), np.random.default_rng(0)
    for i in range(3):
        obs, follow = rng.normal(size=(2, 4, 4)).astype(np.float32)
        ends = rng.random((3, 4)) < 0.5
        step = Step(follow, np.arange(4, dtype=np.float32) + i, follow, *ends)
        rollout.add(i, obs, np.full((4, 1), i, np.float32), step)
    assert rollout.reward[1, :, 0].tolist() == [2.0, 3.0, 4.0]
    assert np.array_equal(rollout.obs[1, 2], obs[2:])
    assert np.array_equal(rollout.next_obs[:, 2].reshape(4, 4), follow)
    assert np.array_equal(rollout.ended[:, 2].ravel(), ends[0] | ends[1] | ~ends[2])
    other = Rollout(2, 3, 2, 4, 1)
    other.load({k: x.clone() for k, x in rollout.state().items()})
    assert all(torch.equal(x, other.state()[k]) for k, x in rollout.state().items())
    with pytest.raises(ValueError, match="obs must have shape"):
        Rollout(2, 3, 2, 5, 1).load(rollout.state())
    with pytest.raises(ValueError, match="T must be"):
        Rollout(1, 0, 1, 1, 1)


@pytest.mark.parametrize("how", ["terminated", "truncated"])
def test_rewards_are_scaled_by_returns_that_begin_again_with_an_episode(how):
    """With values 0 and lam 0 advantages are the rewards, over the deviation of the sums so far."""
    config, rng = PPOConfig(hidden=(4,), gamma=0.9, lam=0.0), np.random.default_rng(0)
    parameters = init(config, 2, 1, False, seed_keys([0]))
    parameters["critic_w1"].detach().zero_()
    rollout, scale, sums, total = Rollout(1, 8, 1, 2, 1), RewardScale(1, 1, 0.9), [], 0.0
    for _ in range(2):
        rollout.reward[:] = rng.normal(size=(1, 8, 1)) + 2
        rollout.valid[:] = True
        ends = getattr(rollout, how)
        ends[0, :, 0] = [False, False, True, False, False, False, True, False]
        for r, end in zip(rollout.reward[0, :, 0].tolist(), ends[0, :, 0]):
            total = 0.9 * total + r
            sums.append(total)
            total *= not end
        given = evaluate_rollout(parameters, config, rollout, RunningNorm(1, (2,)), scale).advantage[0]
        assert given.numpy() == pytest.approx(rollout.reward[0, :, 0] / np.std(sums), rel=1e-4)


def test_a_time_limit_goes_on_in_the_value_of_where_it_led():
    """It is the value of next_obs, never of what came after the reset; a reset weighs nothing."""
    config = PPOConfig(hidden=(8,), num_steps=3, gamma=0.5, lam=0.5, normalise_reward=False)
    parameters = init(config, 1, 1, False, seed_keys([0]))
    rollout = Rollout(1, 3, 1, 1, 1)
    rollout.obs[0, :, 0, 0], rollout.next_obs[0, :, 0, 0] = [1.0, 2.0, 5.0], [2.0, 3.0, 6.0]
    rollout.reward[:], rollout.valid[:] = 1.0, True
    rollout.truncated[0, 1], rollout.valid[0, 2] = True, False
    found = evaluate_rollout(
        parameters, config, rollout, RunningNorm(1, (1,), math.inf), RewardScale(1, 1, 0.5)
    )
    V = {x: mlp(parameters, torch.full((1, 1, 1), float(x)), torch.tanh, "critic_").item() for x in (1, 2, 3)}
    second = 1 + 0.5 * V[3] - V[2]
    first = 1 + 0.5 * V[2] - V[1] + 0.25 * second
    assert found.advantage[0, :2].tolist() == pytest.approx([first, second], abs=1e-5)
    assert found.target[0, :2].tolist() == pytest.approx([first + V[1], second + V[2]], abs=1e-5)
    assert found.weight[0].tolist() == [1.0, 1.0, 0.0]


def test_steps_that_only_reset_leave_no_trace():
    """A rollout of two seeds with such rows and without them: advantages, targets, both statistics."""
    config, rng = PPOConfig(hidden=(8,), gamma=0.9, lam=0.8), np.random.default_rng(0)
    parameters = init(config, 2, 1, False, seed_keys([0, 1]))
    with torch.no_grad():
        parameters.flat.add_(
            0.3 * torch.randn(parameters.flat.shape, generator=torch.Generator().manual_seed(0))
        )
    norm, scales = RunningNorm(2, (2,)), [RewardScale(2, 1, 0.9) for _ in range(2)]
    norm.update(torch.from_numpy(rng.normal(size=(2, 9, 2))))
    for _ in range(2):
        plain, spaced = Rollout(2, 10, 1, 2, 1), Rollout(2, 13, 1, 2, 1)
        for rollout in (plain, spaced):
            rollout.valid[:] = True
        plain.terminated[0, [2, 6]], plain.truncated[:, 9], plain.truncated[1, 4] = True, True, True
        for name in ("obs", "next_obs", "action", "reward"):
            x = getattr(plain, name)
            x[:] = rng.normal(size=x.shape)
        kept = np.ones((2, 13), bool)
        kept[0, [3, 8, 12]] = kept[1, [5, 11, 12]] = False  # the last of them at the end of the rollout
        for name in ("obs", "next_obs", "action"):
            getattr(spaced, name)[:] = 7.0
        for name in ("obs", "next_obs", "action", "reward", "terminated", "truncated"):
            getattr(spaced, name)[kept] = getattr(plain, name).reshape(20, *getattr(plain, name).shape[2:])
        spaced.valid[~kept] = False
        a, b = (evaluate_rollout(parameters, config, x, norm, s) for x, s in zip((plain, spaced), scales))
        for ours, wanted in zip(b, a):
            torch.testing.assert_close(
                ours[torch.from_numpy(kept)], wanted.flatten(0, 1), rtol=1e-5, atol=1e-6
            )
        assert b.weight.bool().numpy().tolist() == kept.tolist()
        for name, x in scales[0].state().items():
            torch.testing.assert_close(scales[1].state()[name], x, msg=name)


class Count(gymnasium.Env):
    """Observes the time, pays it, ends at 5."""

    observation_space = gymnasium.spaces.Box(0.0, 5.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.array([self.t], np.float32), float(self.t), self.t == 5, False, {}


@pytest.mark.parametrize("agent", [ppo, pmoe_ppo])
def test_the_way_of_resetting_is_no_part_of_the_problem(agent):
    """Where a reset takes no step the run is the same to the bit; where it does, its statistics are."""
    small = {"hidden": (8,), "num_steps": 30, "num_envs": 2, "batch_size": 20, "epochs": 2}
    config = PPOConfig(**small) if agent is ppo else PMOEPPOConfig(**small)

    def trained(mode):
        make = lambda n: gymnasium.vector.SyncVectorEnv([Count] * n, autoreset_mode=mode)  # noqa: E731
        return agent(Count if mode is None else make, 180, config=config, seeds=(0, 1), schedule=QUIET)

    plain, modes = trained(None), gymnasium.vector.AutoresetMode
    for mode in (modes.SAME_STEP, modes.DISABLED, modes.NEXT_STEP):
        found = trained(mode)
        for name, x in plain.parameters.items():
            if mode != modes.NEXT_STEP or name.startswith("norm"):
                np.testing.assert_allclose(
                    found.parameters[name], x, rtol=0, atol=1e-12, err_msg=f"{mode} {name}"
                )
    assert plain.parameters["norm/mean"].tolist() == [[2.0], [2.0]]  # of 0, ..., 4: nothing is done at 5
    assert plain.parameters["norm/var"] == pytest.approx(2.0)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("discrete", [False, True])
def test_a_minibatch_of_resets_is_no_step(discrete, fused):
    """Nor does a reset in a minibatch count for its metrics."""
    config = PPOConfig(hidden=(8,), batch_size=10, epochs=1, fused=fused, entropy_coef=0.01)
    g, found = torch.Generator().manual_seed(3), []
    rows, order = data(2, 30, 5, 3, discrete, g, all_valid=True), torch.arange(30).expand(2, 1, 30)
    rows.weight[0, 10:20], rows.weight[1, 20:] = 0.0, 0.0
    few = Data(*(torch.stack([x[0, [*range(10), *range(20, 30)]], x[1, :20]]) for x in rows))
    for given, k in ((rows, 30), (few, 20)):
        parameters = init(config, 5, 3, discrete, seed_keys([0, 1]))
        update, adam = make_update(config, parameters)
        metrics = [update(given, order[:, :, :k].contiguous(), 1e-2) for _ in range(2)][-1]
        found.append((parameters.flat.clone(), adam.count, metrics))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_step_sizes():
    config = PPOConfig(lr=1.0, num_steps=10)
    assert [step_size(config, t, 40) for t in (0, 10, 30)] == [1.0, 0.75, 0.25]
    assert step_size(PPOConfig(lr=1.0, anneal_steps=0), 30, 40) == 1.0
    assert step_size(PPOConfig(lr=1.0, anneal_steps=20), 30, 40) == 0.0


# --- learning ---


FAST = {
    "hidden": (16, 16), "num_steps": 64, "num_envs": 4, "batch_size": 64, "epochs": 8, "lr": 5e-3,
    "anneal_steps": 0, "normalise_reward": False, "normalise_obs": False,
}  # fmt: skip


def value(result, obs):
    """The value of an observation."""
    p = {k.removeprefix("policy/"): torch.tensor(x) for k, x in result.parameters.items() if "policy" in k}
    return mlp(p, torch.tensor([[[obs]]]), torch.tanh, "critic_")[0, 0, 0].item()


@pytest.mark.parametrize("discrete", [False, True])
def test_values_of_the_probes(discrete):
    config = PPOConfig(**FAST, gamma=0.9)
    result = ppo(lambda: Constant(discrete), 2048, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(1.0, abs=0.05)
    result = ppo(lambda: TwoStep(discrete), 4096, config=config, schedule=QUIET)
    assert value(result, 1.0) == pytest.approx(1.0, abs=0.05)
    assert value(result, 0.0) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("fused", [True, False])
def test_a_time_limit_is_no_end(fused):
    config = PPOConfig(**{**FAST, "epochs": 4, "lr": 1e-2}, gamma=0.8, fused=fused)
    result = ppo(Forever, 6144, config=config, schedule=QUIET)
    assert value(result, 0.0) == pytest.approx(5.0, abs=0.3)  # of 5 steps alone: 3.36


def test_values_do_not_depend_on_how_a_vector_environment_resets():
    """A step that is a reset is no transition: with it the value would be another."""
    config = PPOConfig(**FAST, gamma=0.8)
    modes = gymnasium.vector.AutoresetMode
    for mode in (modes.NEXT_STEP, modes.SAME_STEP):
        make = lambda n, mode=mode: gymnasium.vector.SyncVectorEnv([Forever] * n, autoreset_mode=mode)  # noqa: E731
        result = ppo(make, 8192, config=config, schedule=QUIET)
        assert value(result, 0.0) == pytest.approx(5.0, abs=0.3)


def test_learns_the_identity_in_units_of_the_environment():
    config = PPOConfig(**FAST, gamma=0.5, log_std=-0.7)
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    result = ppo(lambda: Identity(low=-2.0, high=6.0), 8192, config=config, seeds=(0, 1), schedule=schedule)
    assert isinstance(result, TrainResult)
    assert result.returns.shape == (1, 2, 50)
    assert result.returns.mean(axis=(0, 2)).min() > 0.95
    action = result.policy(np.array([[[0.5]], [[-0.5]]]))
    assert action[:, 0, 0] == pytest.approx([4.0, 0.0], abs=1.0)


def test_learns_the_discrete_identity():
    config = PPOConfig(**FAST, gamma=0.5)
    schedule = Schedule(evaluate_every=0, episodes=50, log_every=0)
    result = ppo(lambda: Identity(discrete=True), 4096, config=config, seeds=(0, 1), schedule=schedule)
    assert result.returns.mean(axis=(0, 2)).min() > 0.93
    assert result.policy(np.array([[[0.5]], [[-0.5]]])).ravel().tolist() == [1, 0]


@pytest.mark.slow
def test_balances_a_pole():
    config = PPOConfig(num_steps=256, num_envs=4, epochs=10, batch_size=128, lr=2.5e-3)
    schedule = Schedule(evaluate_every=0, episodes=20, log_every=0)
    result = ppo("CartPole-v1", 80_000, config=config, seeds=range(3), schedule=schedule)
    assert result.returns.mean(axis=(0, 2)).min() > 450


# --- runs ---


SMALL = PPOConfig(
    hidden=(16,), num_steps=30, batch_size=16, epochs=2, num_envs=2, anneal_steps=400, max_kl=0.1
)
OFTEN = Schedule(evaluate_every=50, episodes=2, log_every=20, save_every=50)


def same(a, b):
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name], err_msg=name)
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.steps, b.steps)


def test_the_same_seed_is_the_same_run_and_stacked_as_alone():
    two = ppo("Pendulum-v1", 300, config=SMALL, seeds=(1, 2), schedule=OFTEN)
    same(two, ppo("Pendulum-v1", 300, config=SMALL, seeds=(1, 2), schedule=OFTEN))
    alone = ppo("Pendulum-v1", 300, config=SMALL, seeds=(2,), schedule=OFTEN)
    np.testing.assert_allclose(two.returns[:, 1], alone.returns[:, 0], rtol=1e-3)
    for name, x in alone.parameters.items():
        np.testing.assert_allclose(two.parameters[name][1], x[0], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_kernels_and_autograd_are_the_same_run(env):
    results = [
        ppo(env, 360, config=PPOConfig(hidden=(16,), num_steps=60, batch_size=20, epochs=3, fused=fused),
            seeds=(0, 3), schedule=QUIET)
        for fused in (True, False)
    ]  # fmt: skip
    for name, x in results[0].parameters.items():
        np.testing.assert_allclose(x, results[1].parameters[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path):
    whole = ppo("Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=tmp_path / "whole", schedule=OFTEN)
    ppo("Pendulum-v1", 230, config=SMALL, seeds=(1, 2), out=tmp_path / "parts", schedule=OFTEN)
    parts = ppo(
        "Pendulum-v1", 400, config=SMALL, seeds=(1, 2), out=tmp_path / "parts", resume=True, schedule=OFTEN
    )
    same(whole, parts)
    last = [load_checkpoint(tmp_path / run / "checkpoints") for run in ("whole", "parts")]
    assert last[0][1]["step"] == last[1][1]["step"] == 400
    for name, x in last[0][0].items():
        assert torch.equal(x, last[1][0][name]), name
    for file in ("log.jsonl", "evaluations.csv"):
        texts = [(tmp_path / run / file).read_text() for run in ("whole", "parts")]
        assert texts[0] == texts[1], file


def test_bad_input():
    for name, x in [
        ("gamma", 1.5), ("lam", -0.1), ("clip", 0.0), ("lr", -1.0), ("batch_size", 0), ("epochs", 0),
        ("value_clip", 0.0), ("max_kl", math.nan), ("entropy_coef", -1.0), ("log_std", math.inf),
        ("anneal_steps", -1), ("num_steps", 0), ("max_grad_norm", 0.0),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} must be"):
            PPOConfig(**{name: x})
    with pytest.raises(ValueError, match=r"hidden\[1\] must be"):
        PPOConfig(hidden=(8, 0))
    with pytest.raises(ValueError, match="activation must be 'tanh' or 'relu'"):
        PPOConfig(activation="gelu")
    with pytest.raises(ValueError, match="steps must be"):
        ppo("Pendulum-v1", 0)
    with pytest.raises(ValueError, match=r"seeds\[1\] must be"):
        ppo("Pendulum-v1", 10, seeds=(0, -1))
