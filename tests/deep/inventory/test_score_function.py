"""The score function against plain NumPy, the closed form of one period and the gradient along paths."""

import math
import shutil
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import normal, seed_keys
from eluder.deep.common.training import Schedule
from eluder.deep.inventory import (
    GradientNoise,
    HDPOConfig,
    LevelPolicy,
    MLPPolicy,
    Problem,
    ReinforceConfig,
    Seen,
    gradient_noise,
    reinforce,
)
from eluder.deep.inventory import _score_function as score
from eluder.deep.inventory._hdpo import Paths
from eluder.envs.inventory import Categorical, Network, Poisson, edge, setting, step, store, supplier
from eluder.envs.inventory._settings import Setting

NONE = Schedule(evaluate_every=0, log_every=0, save_every=0)


def moved(parameters, by=0.1, seed=7, dtype=torch.float64):
    """Parameters that are not the first ones."""
    state = {k: x.to(dtype) for k, x in parameters.state().items()}
    parameters = Parameters(parameters.shapes, parameters.N, dtype=dtype)
    parameters.load(state)
    with torch.no_grad():
        for i, x in enumerate(parameters.tensors.values()):
            generator = torch.Generator().manual_seed(seed + i)
            x += by * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return parameters


def one_period(demand=4, holding=2.0, penalty=7.0):
    """A store whose order is on hand before the demand of the same period, which is known."""
    p = np.zeros(demand + 1)
    p[-1] = 1.0
    network = Network.build(
        supplier("factory"), store("shop", holding=holding, penalty=penalty),
        edge("factory", "shop", lead_time=0), demand=Categorical(p), orders="continuous",
    )  # fmt: skip
    return Setting("newsvendor", network, np.array([float(demand)]), np.zeros(1))


class Constant:
    """Orders ``theta`` whatever the state."""

    def __init__(self, theta):
        self.theta = theta

    def init(self, problem, keys):
        parameters = Parameters({"theta": (1, 1)}, len(keys), keys.device, problem.mean.dtype)
        with torch.no_grad():
            parameters["theta"].fill_(self.theta)
        return parameters

    def orders(self, parameters, problem, seen):
        return parameters["theta"].expand(*seen.inventory.shape[:2], 1)


@pytest.mark.parametrize("estimator", ["pathwise", "score"])
@pytest.mark.parametrize("theta", [2.0, 2.5])
def test_both_estimators_have_the_mean_of_the_closed_form(estimator, theta):
    """d/dtheta E[h (x + theta + s eps - d)^+ + p (d - x - theta - s eps)^+] = (h + p) E Phi(...) - p, with
    stock x uniform on (0, d)."""
    s = 0.1 * 4
    measured = gradient_noise(
        one_period(), estimator, policy=Constant(theta), paths=64_000, periods=1, copies=4, sigma=0.1
    )
    x = 4 * (np.arange(4000) + 0.5) / 4000
    assert isinstance(measured, GradientNoise)
    wanted = 9.0 * np.mean([NormalDist().cdf((x_i + theta - 4) / s) for x_i in x]) - 7.0
    assert measured.error[0] < 0.2
    assert abs(measured.gradient[0] - wanted) < 4 * measured.error[0]


@pytest.mark.parametrize("copies", [1, 8])
def test_both_estimators_agree_on_a_network(copies):
    it, policy = setting("lost_sales", lead_time=2, penalty=4), MLPPolicy((4,))
    parameters = moved(policy.init(Problem(it), seed_keys([3])), 0.05, dtype=torch.float32).tensors
    options = {"policy": policy, "parameters": parameters, "periods": 5, "copies": copies}
    along = gradient_noise(it, "pathwise", paths=8192, **options)
    other = gradient_noise(it, "score", paths=16_384, **options)
    z = (along.gradient - other.gradient) / np.hypot(along.error, other.error).clip(1e-9)
    assert np.abs(z).max() < 5
    assert (z**2).mean() < 3
    assert np.abs(along.gradient).max() > 10 * along.error[np.abs(along.gradient).argmax()]
    assert along.variance < other.variance


def test_demand_in_common_takes_most_of_the_variance():
    it = setting("lost_sales", lead_time=2, penalty=4)
    alone, shared = (gradient_noise(it, "score", paths=1024, copies=K) for K in (1, 16))
    assert shared.variance < 0.3 * alone.variance


def test_a_path_in_place_of_a_seed_gives_the_gradient_of_the_batch():
    """The mean of single gradients is the gradient that an update takes."""
    it, policy, config = setting("lost_sales", lead_time=2, penalty=4), MLPPolicy((4,)), ReinforceConfig(
        batch_size=32, copies=4, periods=6
    )  # fmt: skip
    problem, keys = Problem(it), seed_keys([0])
    problem.simulator.integer = False
    parameters = score.noisy(policy, problem, keys, config.sigma)
    x, demand = Paths(replace(config, batch_size=8, copies=1), problem, keys).next(0)
    x, demand = x.repeat_interleave(4, dim=1), demand.repeat_interleave(4, dim=2)
    singles = gradient_noise(it, "score", policy=policy, paths=32, periods=6, copies=4)
    # the same noise: drawn (rows, T, K, E) there
    noise = normal(keys, 0, score.NOISE, (8, 6, 4, 1)).transpose(1, 2).reshape(1, 6, 32, 1)
    played = score.rollout(policy, parameters.tensors, problem, x, demand, noise, config.least_sigma)
    score.score_loss(policy, parameters.tensors, problem, played, 4, 0.02).mean(dim=1).sum().backward()
    got = torch.cat([parameters[k].grad.flatten() for k in ("w0", "b0", "w1", "b1")])
    np.testing.assert_allclose(got, singles.gradient, rtol=2e-3, atol=2e-3 * np.abs(singles.gradient).max())


def test_the_update_is_that_of_plain_numpy():
    """Two seeds, written row by row: states, costs, advantages, and the gradient by differences of the
    density."""
    it = setting("dual_sourcing", lead_times=(3, 0), unit_costs=(0, 10))
    network, problem, policy = it.network, Problem(it, dtype=torch.float64), LevelPolicy((3,))
    keys, T, B, K, least = seed_keys([1, 2]), 4, 6, 3, 0.02
    parameters = moved(score.noisy(policy, problem, keys, 0.3))
    rng = np.random.default_rng(5)
    x = torch.as_tensor(rng.integers(0, 5, (2, B, 1, 3)).astype(float))
    demand = torch.as_tensor(rng.integers(0, 5, (2, T, B, 1)).astype(float))
    noise = torch.as_tensor(rng.normal(size=(2, T, B, 2)))
    played = score.rollout(policy, parameters.tensors, problem, x, demand, noise, least)

    unit = 2.0 / 2  # half of the mean demand passes along each edge
    for n in range(2):
        own = {k: p[n : n + 1] for k, p in parameters.tensors.items()}
        sigma = unit * np.exp(own["log_sigma"].detach().numpy().ravel())
        state, cost = x[n].numpy(), np.zeros((T, B))
        means = []
        for t in range(T):
            mean = policy.orders(own, problem, Seen(torch.as_tensor(state)[None]))[0].detach().numpy()
            a = mean + sigma * noise[n, t].numpy()
            np.testing.assert_allclose(played.inventory[n, t], state, atol=1e-12)
            np.testing.assert_allclose(played.action[n, t], a, atol=1e-12)
            outcome = step(network, state, np.maximum(a, 0.0), demand[n, t].numpy())
            state, cost[t] = outcome.inventory, outcome.cost
            means.append(mean)
        np.testing.assert_allclose(played.cost[n], cost, atol=1e-12)
        np.testing.assert_allclose(played.last[n], state, atol=1e-12)

        togo = np.array([[cost[t:, b].sum() for b in range(B)] for t in range(T)])
        np.testing.assert_allclose(score.cost_to_go(played.cost)[n], togo)
        advantage = np.zeros((T, B))
        for b in range(B):
            group = [c for c in range(b // K * K, b // K * K + K) if c != b]
            advantage[:, b] = togo[:, b] - togo[:, group].mean(axis=1)
        np.testing.assert_allclose(score.leave_one_out(score.cost_to_go(played.cost), K)[n], advantage)
        z = (played.action[n].numpy() - np.array(means)) / sigma
        log_prob = (-0.5 * z**2 - np.log(sigma) - 0.5 * math.log(2 * math.pi)).sum(axis=-1)
        loss = score.score_loss(policy, parameters.tensors, problem, played, K, least)[n]
        np.testing.assert_allclose(loss.detach(), (advantage * log_prob).mean(axis=0))


def test_gradients_are_those_of_differences():
    it = setting("dual_sourcing", lead_times=(2, 0))
    problem, policy = Problem(it, dtype=torch.float64), LevelPolicy((3,), "tanh")
    parameters = moved(score.noisy(policy, problem, seed_keys([1]), 0.3))
    rng = np.random.default_rng(2)
    draw = lambda *shape: torch.as_tensor(rng.normal(2.0, 1.0, shape))  # noqa: E731
    played = score.rollout(
        policy, parameters.tensors, problem, draw(1, 4, 1, 2), draw(1, 3, 4, 1), draw(1, 3, 4, 2), 0.02
    )
    loss = lambda: score.score_loss(policy, parameters.tensors, problem, played, 2, 0.02).sum()  # noqa: E731
    parameters.zero_grad()
    loss().backward()
    direction = torch.as_tensor(rng.normal(size=len(parameters.flat)))
    eps, slopes = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            parameters.flat += sign * eps * direction
            slopes.append(loss().item())
            parameters.flat -= sign * eps * direction
    slope = (slopes[0] - slopes[1]) / (2 * eps)
    assert (parameters.grad @ direction).item() == pytest.approx(slope, rel=1e-5)


def test_hand_values():
    assert score.log_density(
        torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]]), torch.ones(2)
    ).item() == (pytest.approx(-0.5 - math.log(2 * math.pi)))
    cost = torch.tensor([1.0, 2.0, 4.0])[None, :, None]
    assert score.cost_to_go(cost).flatten().tolist() == [7.0, 6.0, 4.0]
    C = torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0])
    assert score.leave_one_out(C, 3).tolist() == [-3.0, -1.5, 4.5, 0.0, 0.0, 0.0]
    assert torch.equal(score.leave_one_out(C, 1), C)
    problem = Problem(setting("dual_sourcing"))
    sigma = score.spread({"log_sigma": torch.tensor([[[0.0, -9.0]]])}, problem, 0.25)
    assert sigma.flatten().tolist() == pytest.approx([1.0, 0.25])


def test_seeds_side_by_side_are_those_alone():
    it, config = setting("lost_sales", lead_time=2, penalty=4), ReinforceConfig(batch_size=32, copies=4)
    both = reinforce(it, 6, config=config, seeds=(3, 5), schedule=NONE)
    alone = reinforce(it, 6, config=config, seeds=(5,), schedule=NONE)
    for k, x in alone.parameters.items():
        np.testing.assert_allclose(both.parameters[k][1:], x, atol=2e-5)


def test_a_run_that_is_cut_goes_on_to_the_same_numbers(tmp_path):
    it, config = setting("lost_sales", lead_time=2, penalty=4), ReinforceConfig(batch_size=32, copies=4)
    options = {"config": config, "schedule": Schedule(evaluate_every=0, log_every=0, save_every=3)}
    whole = reinforce(it, 6, out=tmp_path, **options)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    shutil.rmtree(newest)
    again = reinforce(it, 6, out=tmp_path, resume=True, **options)
    for k, x in whole.parameters.items():
        np.testing.assert_array_equal(again.parameters[k], x)


def test_it_learns_within_a_second():
    it = setting("lost_sales", lead_time=1, penalty=4, demand=Poisson(5.0))
    schedule = Schedule(evaluate_every=60, log_every=0, save_every=0)
    result = reinforce(it, 120, config=ReinforceConfig(batch_size=128, periods=15), schedule=schedule)
    assert result.gap[0] < 0.05
    assert result.parameters["policy/log_sigma"].mean() < math.log(0.2)


def test_bad_input():
    it = setting("lost_sales", lead_time=1)
    with pytest.raises(ValueError, match="copies must divide batch_size 512, got 7"):
        ReinforceConfig(copies=7)
    with pytest.raises(ValueError, match="sigma"):
        ReinforceConfig(sigma=0.01)
    with pytest.raises(ValueError, match="least_sigma"):
        ReinforceConfig(least_sigma=0.0)
    with pytest.raises(ValueError, match="estimator must be 'pathwise' or 'score', got 'both'"):
        gradient_noise(it, "both")
    with pytest.raises(ValueError, match="seed"):
        gradient_noise(it, "score", seed=-1)
    with pytest.raises(ValueError, match="no law of demand"):
        reinforce(setting("favorita", sales=np.ones((2, 100, 1))), 2)
    assert isinstance(ReinforceConfig(), HDPOConfig)
