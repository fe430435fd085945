"""Fisheries in PyTorch: the return row by row, gradients, unbiasedness, training."""

import math
import shutil

import numpy as np
import pytest
import torch
from scipy.stats import norm

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import normal, seed_keys, uniform
from eluder.deep.common.training import Schedule
from eluder.deep.fishery import FisheryPolicy, PathwiseConfig, Simulator, learned_rule, pathwise
from eluder.deep.fishery._pathwise import draw_paths, make_update, step_size
from eluder.envs.fishery import ConstantEscapement, ConstantMortality, fishery, policy_value, simulate

SHORT = PathwiseConfig(FisheryPolicy(hidden=(8,), start=0.3), batch_size=16, samples=32)


def odd(model, T=7):
    """A fishery none of whose numbers is 0, 1 or another's."""
    made = fishery(
        model, T=T, sigma=0.33, r_Y=0.83, K=1.21, beta=0.37, c=0.29, D=1.15, c_XY=0.17, b=0.19, d_Z=0.23,
        threshold=0.06, penalty=70.0,
    )  # fmt: skip
    return made._replace(r=np.linspace(0.9, 0.6, T))


def doubles(model, N=2, B=5, seed=0, T=7):
    """A simulator in float64, first populations and uniform numbers."""
    s = Simulator(odd(model, T), dtype=torch.float64)
    rng = np.random.default_rng(seed)
    first = torch.from_numpy(rng.uniform(0.3, 0.9, (N, B, s.S)))
    return s, first, torch.from_numpy(rng.uniform(0.01, 0.99, (N, T, B, s.S)))


def scrambled(policy, s, N=2, seed=1):
    """Parameters that are not the first ones, in float64."""
    like = policy.init(s, seed_keys(list(range(N))))
    p = Parameters(like.shapes, N, dtype=torch.float64)
    p.flat.copy_(torch.from_numpy(0.7 * np.random.default_rng(seed).standard_normal(p.flat.numel())))
    return p


def one_path(f, act, N, u):
    """The return of a path, with floats: harvest and fines, weighted by the probability of survival."""
    total, weight = 0.0, 1.0
    for t in range(len(f.r)):
        a = act(N, t)
        h = [a[i] * N[i] for i in range(f.harvested)]
        left = [N[i] - (h[i] if i < len(h) else 0.0) for i in range(len(N))]
        X, Y, Z = left if len(left) == 3 else (left[0], 0.0, 1.0)
        mean = [X + f.r[t] * X * (1 - X / f.K) - f.beta * Z * X**2 / (f.c**2 + X**2) - f.c_XY * X * Y]
        if len(left) == 3:
            eaten = f.D * f.beta * Z * Y**2 / (f.c**2 + Y**2)
            mean += [Y + f.r_Y * Y * (1 - Y / f.K) - eaten - f.c_XY * X * Y]
            mean += [Z + (f.b * (X + f.D * Y) - f.d_Z) * Z]
        N, q = [], 1.0
        for s, m, v in zip(left, mean, u[t]):
            p = norm.sf((f.threshold - m) / (f.sigma * s))
            N.append(m + f.sigma * s * norm.isf(v * p))
            q *= p
        total += weight * (sum(h) - (1 - q) * f.penalty / (t + 1))
        weight *= q
    return total


def network(parameters, n, x, S, A, T, t, clock):
    """The policy for one seed and state."""
    seen = [2 * (v - 0.5) for v in x] + ([2 * t / T - 1] if clock else [])
    p = {k: v[n].detach().numpy() for k, v in parameters.tensors.items()}
    y, last = np.array([seen]), (len(p) // 2) - 1
    for i in range(last + 1):
        y = y @ p[f"w{i}"] + p[f"b{i}"]
        y = np.tanh(y) if i < last else np.log1p(np.exp(y))
    return [max(1 - y[0, i] / x[i], 0.0) for i in range(A)]


# --- the equations ---


@pytest.mark.parametrize("model", [1, 2, 3, 4])
@pytest.mark.parametrize("clock", [True, False])
def test_return_of_a_path_is_the_definition(model, clock):
    s, first, u = doubles(model)
    policy = FisheryPolicy(hidden=(6, 5), clock=clock)
    p = scrambled(policy, s)
    J = s.returns(lambda x, t: policy.fractions(p.tensors, s, x, t), first, u).detach().numpy()
    for n in range(2):
        for k in range(5):

            def act(x, t, n=n):
                return network(p, n, x, s.S, s.A, s.T, t, clock)

            expected = one_path(s.fishery, act, first[n, k].tolist(), u[n, :, k].tolist())
            assert J[n, k] == pytest.approx(expected, rel=1e-9)
    assert J.std() > 0.1


@pytest.mark.parametrize("model", [1, 3])
def test_gradient_is_that_of_differences(model):
    s, first, u = doubles(model)
    policy = FisheryPolicy(hidden=(6,))
    p = scrambled(policy, s)

    def J(flat):
        q = Parameters(p.shapes, 2, dtype=torch.float64)
        q.flat.copy_(flat)
        return s.returns(lambda x, t: policy.fractions(q.tensors, s, x, t), first, u).mean(dim=1).sum(), q

    total, q = J(p.flat)
    total.backward()
    rng = np.random.default_rng(3)
    for _ in range(5):
        d = torch.from_numpy(rng.standard_normal(p.flat.numel()))
        step = 1e-6
        difference = (J(p.flat + step * d)[0] - J(p.flat - step * d)[0]).item() / (2 * step)
        assert (q.grad @ d).item() == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("rule", [ConstantEscapement((0.5,)), ConstantMortality((0.03,))])
def test_expected_return_is_exact_in_one_species(rule):
    """The mean over paths that never end is the return of episodes that do."""
    f = fishery(1, T=60)
    s = Simulator(f, dtype=torch.float64)
    keys = seed_keys([4])
    first = s.first(normal(keys, 0, 0, (20_000, 1)))
    u = uniform(keys, 0, 1, (60, 20_000, 1)).double()

    def act(x, t):
        return torch.from_numpy(rule(x[0].numpy(), t))[None]

    J = s.returns(act, first, u)
    exact = policy_value(f, rule)
    assert exact.survival < 0.99
    assert abs(J.mean().item() - exact.value) < 4 * J.std().item() / math.sqrt(20_000) + 1e-3


def test_expected_return_is_that_of_simulation_in_three_species():
    f = fishery(3)._replace(threshold=0.15)
    s = Simulator(f)
    keys = seed_keys([5])
    first, u = draw_paths(s, keys, 0, 4000)
    J = s.returns(lambda x, t: x.new_tensor([0.3, 0.25]).expand(1, 4000, 2), first, u)
    runs = simulate(f, ConstantMortality((0.3, 0.25)), episodes=10_000, rng=np.random.default_rng(0))
    assert runs.extinctions > 0.1
    error = math.hypot(runs.error, J.std().item() / math.sqrt(4000))
    assert abs(J.mean().item() - runs.mean) < 4 * error
    assert J.std().item() < runs.returns.std()  # the end is integrated out


def test_noise_given_survival_is_above_the_threshold():
    s = Simulator(fishery(1, sigma=0.3))
    u = torch.linspace(1e-6, 1 - 1e-6, 1001).view(1, -1, 1)
    x = torch.full((1, 1001, 1), 0.08)
    outcome = s.step(x, torch.zeros_like(x), 0, u)
    mean, sd = s.growth(x, 0)[0, 0, 0].item(), 0.3 * 0.08
    p = norm.sf((0.05 - mean) / sd)
    assert outcome.survival[0, 0].item() == pytest.approx(p, rel=1e-5)
    assert 0.5 < p < 0.99
    assert (outcome.populations > 0.05 - 1e-6).all()
    np.testing.assert_allclose(
        outcome.populations[0, :, 0], mean + sd * norm.isf(u[0, :, 0].numpy() * p), atol=2e-5
    )


def test_certain_end_leaves_finite_gradients():
    s = Simulator(fishery(3))
    a = torch.ones(1, 4, 2, requires_grad=True)
    J = s.returns(lambda x, t: a, s.first(torch.zeros(1, 4, 3)), torch.full((1, 200, 4, 3), 0.5))
    J.sum().backward()
    assert torch.isfinite(a.grad).all()
    assert J[0, 0].item() == pytest.approx(1.0 - 100.0)


# --- the policy and the update ---


def test_first_policy_is_a_constant_escapement():
    s, policy = Simulator(fishery(3)), FisheryPolicy(start=0.4)
    p = policy.init(s, seed_keys([0, 7]))
    x = torch.rand(2, 9, 3) + 0.1
    for t in (0, 150):
        a = policy.fractions(p.tensors, s, x, t)
        np.testing.assert_allclose(
            a[0].detach(), ConstantEscapement((0.4, 0.4))(x[0].double().numpy(), t), atol=1e-6
        )


def test_step_sizes():
    c = PathwiseConfig(lr=0.5, warm_up=0.2)
    assert [step_size(c, u, 10) for u in (0, 1)] == pytest.approx([0.5 / 3, 1.0 / 3])
    assert step_size(c, 2, 10) == 0.5
    assert step_size(c, 6, 10) == pytest.approx(0.25)


def test_update_ascends_the_mean_return():
    s, keys = Simulator(fishery(3, T=20)), seed_keys([0])
    c = PathwiseConfig(batch_size=64, lr=0.01, warm_up=0.0, max_grad_norm=1e9)
    p = c.policy.init(s, keys)
    before = p.flat.clone()
    update, _ = make_update(c, s, p, keys, 10)
    metrics = update(0)
    g = p.grad.clone()
    moved = p.flat - before
    sure = g.abs() > 1e-5
    torch.testing.assert_close(moved[sure], -0.01 * g[sure].sign(), rtol=0.0, atol=1e-4)
    assert metrics["grad_norm"].item() == pytest.approx(g.norm().item(), rel=1e-4)
    again = s.returns(lambda x, t: c.policy.fractions(p.tensors, s, x, t), *draw_paths(s, keys, 0, 64))
    assert again.mean().item() > metrics["expected_return"].item()


# --- runs ---


def test_seeds_side_by_side_are_seeds_alone():
    f = fishery(3, T=10)
    both = pathwise(f, 6, config=SHORT, seeds=(3, 8))
    for n, seed in enumerate((3, 8)):
        alone = pathwise(f, 6, config=SHORT, seeds=(seed,))
        for name, x in alone.parameters.items():
            np.testing.assert_allclose(both.parameters[name][n], x[0], atol=1e-5)
        np.testing.assert_allclose(both.returns[0, n], alone.returns[0, 0], atol=1e-3)
    assert np.abs(both.parameters["policy/w0"][0] - both.parameters["policy/w0"][1]).max() > 1e-3


def test_run_goes_on_to_the_same_numbers(tmp_path):
    f, often = fishery(2, T=8), Schedule(evaluate_every=3, log_every=1, save_every=3)
    whole = pathwise(f, 6, config=SHORT, schedule=often, out=tmp_path / "run")
    for part in (tmp_path / "run" / "checkpoints").glob("*6*"):  # as if it had been killed
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    again = pathwise(f, 6, config=SHORT, schedule=often, out=tmp_path / "run", resume=True)
    assert again.steps.tolist() == [3, 6]
    np.testing.assert_array_equal(again.returns, whole.returns)
    np.testing.assert_array_equal(again.parameters["policy/w0"], whole.parameters["policy/w0"])
    with pytest.raises(ValueError, match="another run: env"):
        pathwise(fishery(3, T=8), 6, config=SHORT, out=tmp_path / "run", resume=True)


def test_learned_rule_is_the_policy_that_was_evaluated():
    f = fishery(3, T=10)
    result = pathwise(f, 4, config=SHORT, seeds=(0, 1))
    rng = np.random.default_rng(4839)
    for n in (0, 1):
        runs = simulate(f, learned_rule(result, n), episodes=32, rng=np.random.default_rng(4839))
        np.testing.assert_array_equal(runs.returns, result.returns[-1, n])
    x = rng.uniform(0.2, 0.9, (5, 3))
    seen = np.append(np.stack([x, x]), np.full((2, 5, 1), 3.0), axis=2)
    np.testing.assert_array_equal(result.policy(seen)[1], learned_rule(result, 1)(x, 3))


def test_training_beats_the_rules_it_starts_from():
    f = fishery(3, T=40)
    start = simulate(f, ConstantEscapement((0.35, 0.35)), episodes=1000, rng=np.random.default_rng(0))
    config = PathwiseConfig(FisheryPolicy(hidden=(16,), start=0.35), batch_size=32, lr=0.02)
    result = pathwise(f, 40, config=config)
    runs = simulate(f, learned_rule(result), episodes=1000, rng=np.random.default_rng(0))
    assert runs.mean > start.mean + 6 * math.hypot(runs.error, start.error)


@pytest.mark.slow
def test_three_species_beat_the_published_reward():
    """150 updates reach more than PPO and its smoothed version, 68.75, by the paper's own measure."""
    f = fishery(3)
    config = PathwiseConfig(FisheryPolicy(clock=False))
    result = pathwise(f, 150, config=config)
    runs = simulate(f, learned_rule(result), episodes=4000, rng=np.random.default_rng(0))
    assert runs.published.mean() > 69.3
    assert runs.extinctions < 0.07


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Simulator(None), "fishery must be a Fishery"),
        (lambda: Simulator(fishery(1, sigma=0.0)), "must have noise"),
        (lambda: FisheryPolicy(hidden=(0,)), r"hidden\[0\] must be"),
        (lambda: FisheryPolicy(start=0.0), "start must be"),
        (lambda: PathwiseConfig(policy=3), "policy must be a FisheryPolicy"),
        (lambda: PathwiseConfig(batch_size=0), "batch_size must be"),
        (lambda: PathwiseConfig(lr=0.0), "lr must be"),
        (lambda: PathwiseConfig(average=0.0), "average must be"),
        (lambda: PathwiseConfig(max_grad_norm=-1.0), "max_grad_norm must be"),
        (lambda: pathwise(fishery(1), 0), "steps must be"),
        (lambda: pathwise(fishery(1), 1, seeds=(-1,)), r"seeds\[0\] must be"),
        (lambda: pathwise(fishery(1), 1, device="abacus"), "device 'abacus' cannot be used"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_input_of_a_trained_policy():
    result = pathwise(fishery(1, T=3), 1, config=SHORT)
    with pytest.raises(ValueError, match=r"must have shape \(N, B, 2\)"):
        result.policy(np.zeros((1, 4, 1)))
    with pytest.raises(ValueError, match="same in all rows"):
        result.policy(np.array([[[0.5, 0.0], [0.5, 1.0]]]))
    with pytest.raises(ValueError, match="n must be"):
        learned_rule(result, 1)


def test_seeds_that_diverge_are_named_and_the_others_are_simulated(monkeypatch):
    init = FisheryPolicy.init

    def doomed(policy, simulator, keys):
        parameters = init(policy, simulator, keys)
        with torch.no_grad():
            parameters["w0"][keys == seed_keys([5])] = torch.nan
        return parameters

    monkeypatch.setattr(FisheryPolicy, "init", doomed)
    with pytest.warns(RuntimeWarning, match=r"training of seeds \[5\] diverged"):
        result = pathwise(fishery(3, T=6), 2, config=SHORT, seeds=(4, 5, 6))
    alone = pathwise(fishery(3, T=6), 2, config=SHORT, seeds=(6,))
    assert np.isfinite(result.returns).all(axis=(0, 2)).tolist() == [True, False, True]
    np.testing.assert_allclose(result.returns[:, 2], alone.returns[:, 0], rtol=1e-5)
