"""Two suppliers: the first policy is the best heuristic, its orders those written row by row, and
training improves on it."""

import numpy as np
import pytest
import torch

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import seed_keys
from eluder.deep.common.training import Schedule
from eluder.deep.inventory import (
    DualIndexPolicy,
    HDPOConfig,
    Problem,
    ReinforceConfig,
    Seen,
    exact_cost,
    hdpo,
    reinforce,
)
from eluder.envs.inventory import Network, best_dual_index, edge, setting, store, supplier, uniform_demand


def instance(express, regular):
    return setting("dual_sourcing", lead_times=(regular, 0), unit_costs=(0, express))


@pytest.mark.parametrize("capped", [True, False])
@pytest.mark.parametrize(("express", "regular"), [(5, 2), (10, 3), (20, 4)])
def test_the_first_policy_is_the_best_heuristic(express, regular, capped):
    problem, policy = Problem(instance(express, regular)), DualIndexPolicy(capped=capped)
    best = best_dual_index(
        uniform_demand(0, 4), lead_times=(regular, 0), unit_costs=(0, express), penalty=495, holding=5,
        capped=capped,
    )  # fmt: skip
    costs = exact_cost(policy, policy.init(problem, seed_keys([0, 1])).tensors, problem)
    for cost in costs:
        assert cost.cost == pytest.approx(best.cost, abs=1e-6)


def moved(policy, problem):
    first = policy.init(problem, seed_keys([1, 2]))
    parameters = Parameters(first.shapes, 2, dtype=torch.float64)
    parameters.load({k: x.double() for k, x in first.state().items()})
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        parameters.flat += 0.3 * torch.randn(parameters.flat.shape, generator=generator, dtype=torch.float64)
    return parameters


@pytest.mark.parametrize("swapped", [False, True])
def test_orders_are_those_written_row_by_row(swapped):
    """With either supplier first, and an express lead time of 1."""
    slow, fast = (edge("far", "shop", lead_time=4), edge("near", "shop", lead_time=1, unit_cost=9))
    lanes = (fast, slow) if swapped else (slow, fast)
    network = Network.build(
        supplier("far"), supplier("near"), store("shop", holding=5, penalty=95), *lanes,
        unmet="backlog", orders="integer", demand=uniform_demand(0, 4),
    )  # fmt: skip
    it = instance(5, 4)
    object.__setattr__(it, "network", network)
    problem, policy = Problem(it, dtype=torch.float64), DualIndexPolicy((3,), "tanh")
    parameters = moved(policy, problem)
    x = np.random.default_rng(3).integers(-4, 6, (2, 5, 1, 4)).astype(float)
    got = policy.orders(parameters.tensors, problem, Seen(torch.as_tensor(x)))
    p = {k: v.detach().numpy() for k, v in parameters.tensors.items()}
    for n in range(2):
        for b in range(5):
            row = x[n, b, 0]
            hidden = np.tanh(row / 2.0 @ p["w0"][n] + p["b0"][n, 0])
            S_e, S_r, cap = p["base"][n, 0] + 2.0 * (hidden @ p["w1"][n] + p["b1"][n, 0])
            e = max(S_e - row[0] - row[1], 0.0)
            q = min(max(S_r - row.sum() - e, 0.0), max(cap, 0.0))
            np.testing.assert_allclose(got[n, b].detach(), [e, q] if swapped else [q, e], atol=1e-12)


def test_gradients_are_those_of_differences():
    problem, policy = Problem(instance(10, 3), dtype=torch.float64), DualIndexPolicy((3,), "tanh")
    parameters = moved(policy, problem)
    rng = np.random.default_rng(0)
    x, weight = torch.as_tensor(rng.normal(1, 2, (2, 9, 1, 3))), torch.as_tensor(rng.normal(size=(2, 9, 2)))
    total = lambda: (weight * policy.orders(parameters.tensors, problem, Seen(x))).sum()  # noqa: E731
    parameters.zero_grad()
    total().backward()
    direction, slopes = torch.as_tensor(rng.normal(size=len(parameters.flat))), []
    for sign in (1e-6, -1e-6):
        with torch.no_grad():
            parameters.flat += sign * direction
            slopes.append(total().item())
            parameters.flat -= sign * direction
    assert (parameters.grad @ direction).item() == pytest.approx((slopes[0] - slopes[1]) / 2e-6, rel=1e-5)


def test_training_improves_the_heuristic():
    """Along the path, from 1.2 % above the optimum."""
    schedule = Schedule(evaluate_every=0, log_every=0, save_every=0)
    config = HDPOConfig(batch_size=128, periods=20)
    result = hdpo(instance(10, 4), 200, policy=DualIndexPolicy((16,)), config=config, schedule=schedule)
    assert result.gap[0] < 0.011


@pytest.mark.slow
def test_all_instances_are_within_half_a_percent():
    schedule = Schedule(evaluate_every=0, log_every=0, save_every=0)
    for express in (5, 10, 20):
        for regular in (2, 3, 4):
            it, config = instance(express, regular), HDPOConfig(batch_size=256)
            result = hdpo(it, 400, policy=DualIndexPolicy(), config=config, schedule=schedule)
            assert result.gap[0] < 0.005


@pytest.mark.slow
def test_the_score_function_improves_the_heuristic_too():
    """With orders rounded when they are played."""
    schedule = Schedule(evaluate_every=0, log_every=0, save_every=0)
    config = ReinforceConfig(batch_size=1024, periods=20, sigma=0.4, least_sigma=0.2)
    result = reinforce(instance(10, 4), 800, policy=DualIndexPolicy(), config=config, schedule=schedule)
    assert result.gap[0] < 0.01


def test_bad_input():
    for it in (setting("lost_sales"), setting("one_warehouse", stores=3)):
        with pytest.raises(ValueError, match="policy needs one store with backlog, integer demand"):
            DualIndexPolicy().init(Problem(it), seed_keys([0]))
    with pytest.raises(ValueError, match="activation"):
        DualIndexPolicy(activation="sine")
    with pytest.raises(ValueError, match="hidden"):
        DualIndexPolicy((0,))
