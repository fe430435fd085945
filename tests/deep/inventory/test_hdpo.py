"""HDPO: one update by hand, the gradient against differences, levels and scales, exact costs, whole runs."""

import importlib
import inspect
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from eluder.deep.common import devices
from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.networks import Parameters, mlp
from eluder.deep.common.random import seed_keys
from eluder.deep.common.training import Schedule
from eluder.deep.inventory import (
    DataDrivenPolicy,
    HDPOConfig,
    LevelPolicy,
    MLPPolicy,
    Outcome,
    Policy,
    PolicyCost,
    Problem,
    ReinforceConfig,
    Seen,
    best_offsets,
    exact_cost,
    hdpo,
    heuristic_levels,
    inventory_ppo,
    reinforce,
    simulated_cost,
)
from eluder.deep.inventory import _evaluate as evaluate
from eluder.deep.inventory import _hdpo as training
from eluder.deep.inventory._evaluate import OFFSETS, _levels, bounded_offsets, growing, optimal_levels
from eluder.deep.inventory._hdpo import Judge, Paths, identity, make_update, path_cost, recipe, step_size
from eluder.envs.inventory import (
    BaseStock,
    Categorical,
    MultivariateNormal,
    Network,
    Normal,
    Poisson,
    Setting,
    Trace,
    edge,
    evaluate_store,
    initial_inventory,
    newsvendor,
    order_up_to,
    setting,
    setting_names,
    shang_song,
    simulate,
    step,
    store,
    store_policy_cost,
    supplier,
    warehouse,
)
from tests.deep.graphs import played

LOST = setting("lost_sales", lead_time=2, penalty=4)
WEEKS = Trace(np.arange(40.0)[:, None] % 10)
POLICIES = [MLPPolicy(hidden=(5,)), LevelPolicy(hidden=(5, 4))]


def with_law(given, law):
    """The setting with another law of demand."""
    return replace(given, network=replace(given.network, demand=law))


def shifted(policy, problem, N=2, seed=0):
    """Parameters that are not the first ones."""
    parameters = policy.init(problem, seed_keys(range(seed, seed + N)))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        parameters.flat.add_(0.2 * torch.randn(parameters.flat.shape, generator=generator))
    return parameters


def naive_orders(policy, p, network, means, inventory):
    """Orders of one sample, written from the docstrings of the policies; lists of lists of floats."""
    W, M = len(network.warehouses), network.num_locations
    lead = [
        max(network.lead_time[e] for e in range(network.num_edges) if network.target[e] == i)
        for i in range(M)
    ]
    below = {i: {i} for i in range(M)}
    for _ in range(M):
        for a, b in zip(network.source, network.target):
            if a >= 0:
                below[a] |= below[b]
    sources = [sum(int(t == i) for t in network.target) for i in range(M)]
    through = [0.0] * W + list(means)
    for i in reversed(network.upstream_first().tolist()):
        for a, b in zip(network.source, network.target):
            if a == i:
                through[i] += through[b] / sources[b]
    x = np.concatenate([inventory[i, : max(lead[i], 1)] for i in range(M)]) / np.mean(means)
    i = 0
    while f"w{i}" in p:
        if i:
            x = np.where(x > 0, x, np.expm1(x))
        x = x @ p[f"w{i}"] + p[f"b{i}"][0]
        i += 1
    if isinstance(policy, MLPPolicy):
        return [through[t] / sources[t] * max(0.0, 1 + x[e]) for e, t in enumerate(network.target)]
    want = []
    for i in range(M):
        position = sum(inventory[j].sum() for j in (below[i] if policy.echelon else {i}))
        want.append(max(0.0, through[i] * (p["base"][0, i] + x[i]) - position))
    return [want[t] / sources[t] for t in network.target]


@pytest.mark.parametrize("name", ["lost_sales", "serial", "one_warehouse", "many_warehouses"])
@pytest.mark.parametrize("policy", [*POLICIES, LevelPolicy(hidden=(5,), echelon=False)], ids=str)
def test_orders_are_those_of_the_docstring(policy, name):
    problem = Problem(setting(name), dtype=torch.float64)
    assert isinstance(policy, Policy)
    parameters = {k: x.double() for k, x in shifted(policy, problem).state().items()}
    rng = np.random.default_rng(1)
    s = problem.simulator
    x = rng.uniform(0, 9, (2, 3, s.M, s.L))
    found = policy.orders(parameters, problem, Seen(torch.as_tensor(x)))
    for n, b in np.ndindex(2, 3):
        p = {k: y[n].numpy() for k, y in parameters.items()}
        wanted = naive_orders(policy, p, s.network, problem.setting.mean, x[n, b])
        np.testing.assert_allclose(found[n, b], wanted, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in setting_names() if n != "favorita"])
def test_the_first_levels_are_those_of_a_heuristic(name):
    """At first the policy of levels is the heuristic: the same cost in the simulator of the definition."""
    given = setting(name)
    levels = heuristic_levels(given)
    if name == "serial":
        bounds = shang_song(
            given.network.demand, lead_times=[4, 3, 4, 2], holding=[1, 0.5, 0.2, 0.1], penalty=9
        )
        np.testing.assert_allclose(levels, bounds.levels[::-1])
    if name == "backlogged":
        wanted = newsvendor(given.network.demand, penalty=9, periods=5).level
        assert levels[0] == pytest.approx(wanted, abs=0.05)
    problem, policy = Problem(given), LevelPolicy(hidden=(4,))
    parameters = policy.init(problem, seed_keys([0]))
    rule = order_up_to(given.network, levels, share=problem.share.numpy(), echelon=True)
    rng = np.random.default_rng(0)
    demand = given.network.demand.sample(rng, (20, 15, problem.simulator.n))
    first = given.first_inventory(20, rng=rng)
    ours = simulate(
        given.network,
        lambda seen: policy.orders(
            parameters, problem, Seen(torch.as_tensor(seen.inventory[None], dtype=torch.float32))
        )[0].detach(),
        demand=demand,
        inventory=first,
    )
    theirs = simulate(given.network, rule, demand=demand, inventory=first)
    np.testing.assert_allclose(ours.cost, theirs.cost, rtol=1e-4)


def test_step_sizes_by_hand():
    config = HDPOConfig(lr=0.1, warm_up=0.1)
    assert step_size(config, 0, 100) == pytest.approx(0.1 / 11)
    assert step_size(config, 9, 100) == pytest.approx(0.1 * 10 / 11)
    assert step_size(config, 10, 100) == pytest.approx(0.1)
    assert step_size(config, 55, 100) == pytest.approx(0.05)
    assert step_size(config, 99, 100) == pytest.approx(0.05 * (1 + math.cos(math.pi * 89 / 90)))
    assert step_size(HDPOConfig(lr=0.1, warm_up=0.0), 0, 100) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["lost_sales", "serial"])
def test_costs_of_paths_are_those_of_the_definition(name):
    given = setting(name)
    problem, policy = Problem(given, dtype=torch.float64), LevelPolicy(hidden=(4,))
    parameters = {k: x.double() for k, x in shifted(policy, problem).state().items()}
    rng = np.random.default_rng(2)
    demand = rng.uniform(0, 10, (2, 6, 3, 1))
    x = np.stack([initial_inventory(given.network, 3)] * 2)
    cost, end = path_cost(policy, parameters, problem, torch.as_tensor(x), torch.as_tensor(demand))
    free = replace(given.network, orders="continuous")
    for n in range(2):
        p = {k: y[n : n + 1] for k, y in parameters.items()}
        state, total = x[n], 0.0
        for t in range(6):
            q = policy.orders(p, problem, Seen(torch.as_tensor(state)[None]))[0].numpy()
            period = step(free, state, q, demand[n, t])
            state, total = period.inventory, total + period.cost
        np.testing.assert_allclose(cost[n], total / 6, rtol=1e-9)
        np.testing.assert_allclose(end[n], state, atol=1e-9)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_the_gradient_is_that_of_differences(policy):
    given = setting("one_warehouse", stores=3)
    problem = Problem(given, dtype=torch.float64)
    first = {k: x.double() for k, x in shifted(policy, problem, N=1).state().items()}
    rng = np.random.default_rng(3)
    demand = torch.as_tensor(given.network.demand.sample(rng, (1, 8, 4, 3)))
    x = torch.as_tensor(given.first_inventory(4, rng=rng))[None]

    def loss(values):
        return path_cost(policy, values, problem, x, demand)[0].mean()

    leaves = {k: y.clone().requires_grad_() for k, y in first.items()}
    grads = dict(zip(leaves, torch.autograd.grad(loss(leaves), list(leaves.values()))))
    for _ in range(4):
        way = {k: torch.as_tensor(rng.normal(size=y.shape)) for k, y in first.items()}
        ends = [loss({k: y + e * way[k] for k, y in first.items()}).item() for e in (1e-6, -1e-6)]
        slope = sum((grads[k] * way[k]).sum().item() for k in first)
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-7)


def test_one_update_is_the_gradient_cut_and_adam():
    config = HDPOConfig(batch_size=16, periods=5, lr=0.01, max_grad_norm=0.05)
    problem, policy = Problem(LOST), LevelPolicy(hidden=(4,))
    keys = seed_keys([3, 4])
    parameters, paths = shifted(policy, problem), Paths(config, problem, keys)
    x, demand = paths.next(7)
    assert demand.shape == (2, 5, 16, 1)
    leaves = {k: y.detach().clone().requires_grad_() for k, y in parameters.tensors.items()}
    cost, end = path_cost(policy, leaves, problem, x.clone(), demand)
    cost.mean(dim=1).sum().backward()
    update, adam = make_update(config, policy, problem, parameters)
    adam.lr = step_size(config, 7, 100)
    metrics = update(paths, 7)
    torch.testing.assert_close(paths.x, end.detach())
    assert not torch.equal(paths.next(8)[1], demand)
    for n in range(2):
        norm = math.sqrt(sum(float(y.grad[n].square().sum()) for y in leaves.values()))
        assert metrics["grad_norm"][n].item() == pytest.approx(norm, rel=1e-4)
        assert metrics["loss"][n].item() == pytest.approx(cost[n].mean().item(), rel=1e-5)
        for k, y in leaves.items():
            g = y.grad[n] * min(1.0, 0.05 / (norm + 1e-6))
            wanted = y[n].detach() - step_size(config, 7, 100) * g / (g.abs() + 1e-8)
            torch.testing.assert_close(parameters[k][n].detach(), wanted, rtol=1e-3, atol=1e-5)


def test_a_fixed_number_of_paths_is_used_again():
    config = HDPOConfig(batch_size=3, periods=5, persistent=False, scenarios=6)
    paths = Paths(config, Problem(LOST), seed_keys([0, 1]))
    held = {tuple(paths.demand[:, k, 0].tolist()): paths.x[0, k] for k in range(6)}
    for u in range(20):
        x, demand = paths.next(u)
        assert demand.shape == (2, 5, 3, 1)
        for n, b in np.ndindex(2, 3):
            torch.testing.assert_close(x[n, b], held[tuple(demand[n, :, b, 0].tolist())])
    paths.keep(torch.full_like(paths.x, 99.0))
    assert paths.x.max() < 99


def test_exact_costs_are_those_of_the_chain():
    """Of a rounded policy of levels: base stock, and what a perceptron makes of it, by simulation."""
    problem, policy = Problem(LOST), LevelPolicy(hidden=(4,))
    parameters = policy.init(problem, seed_keys([0, 1]))
    with torch.no_grad():
        parameters["base"].copy_(torch.tensor([[[16 / 5.0]], [[14 / 5.0]]]))
    costs = exact_cost(policy, parameters.tensors, problem)
    for found, level in zip(costs, (16, 14)):
        wanted = store_policy_cost(BaseStock(level), Poisson(5.0), lead_time=2, penalty=4)
        assert isinstance(found, PolicyCost)
        assert found.cost == pytest.approx(wanted, abs=1e-9)
        assert found.error < 1e-6
    changed = shifted(policy, problem)
    exact = exact_cost(policy, changed.tensors, problem)
    by_paths = simulated_cost(policy, changed.tensors, problem, samples=4000, periods=200, warm_up=50)
    for a, b in zip(exact, by_paths):
        assert a.cost == pytest.approx(b.cost, abs=4 * b.error)


def test_simulated_costs_are_those_of_the_definition():
    """Per period and store, without the first periods."""
    given = setting("one_warehouse", stores=3)
    problem, policy = Problem(given, dtype=torch.float64), LevelPolicy(hidden=(4,))
    parameters = {k: x.double() for k, x in shifted(policy, problem, N=1).state().items()}
    demand = given.network.demand.sample(np.random.default_rng(1), (2, 5, 3))
    (found,) = simulated_cost(policy, parameters, problem, demand=torch.as_tensor(demand), warm_up=2)
    state, costs = given.first_inventory(2, rng=np.random.default_rng(65)), []
    for t in range(5):
        q = policy.orders(parameters, problem, Seen(torch.as_tensor(state)[None]))[0].numpy()
        period = step(given.network, state, q, demand[:, t])
        state, costs = period.inventory, [*costs, period.cost]
    each = np.mean(costs[2:], axis=0) / 3
    assert found == (
        pytest.approx(each.mean(), rel=1e-9),
        pytest.approx(abs(each[0] - each[1]) / 2, rel=1e-9),
    )


def test_costs_that_have_no_chain():
    for name in ("serial", "one_warehouse", "backlogged"):
        problem = Problem(setting(name))
        assert exact_cost(MLPPolicy(), MLPPolicy().init(problem, seed_keys([0])).tensors, problem) is None


def test_exact_cost_of_two_suppliers():
    """Base stock along the express lane alone is a newsvendor with a unit cost."""
    given = setting("dual_sourcing")
    problem = Problem(given)

    class Express:
        def init(self, problem, keys):
            return LevelPolicy(hidden=(2,)).init(problem, keys)

        def orders(self, parameters, problem, seen):
            q = torch.relu(4.0 - seen.inventory.sum(dim=(-2, -1)))
            return torch.stack([torch.zeros_like(q), q], dim=-1)

    (found,) = exact_cost(Express(), Express().init(problem, seed_keys([0])).tensors, problem)
    assert found.cost == pytest.approx(5 * 2.0 + 5 * 2.0)  # holding 5 (4 - D), express units 5 each, mean 2
    (by_paths,) = simulated_cost(Express(), Express().init(problem, seed_keys([0])).tensors, problem)
    assert found.cost == pytest.approx(by_paths.cost, abs=4 * by_paths.error)


SMALL = HDPOConfig(batch_size=32, periods=8, samples=64, eval_periods=20, eval_warm_up=10)


def test_learns_the_lost_sales_optimum():
    """From the level of a newsvendor, 10 % above the optimum, to half a per cent in 60 updates."""
    given = setting("lost_sales", lead_time=1, penalty=4)
    config = HDPOConfig(batch_size=128, periods=20)
    result = hdpo(given, 60, policy=LevelPolicy(), config=config, seeds=(0, 1))
    assert result.gap.shape == (2,)
    assert (result.gap > -1e-9).all()
    assert result.gap.max() < 5e-3
    assert -result.returns[-1, 0, 0] == pytest.approx(given.reference() * (1 + result.gap[0]))
    held = {k.removeprefix("policy/"): torch.tensor(x) for k, x in result.parameters.items()}
    offset = held.pop("rounding/offset").ravel().tolist()
    for n in range(2):
        cost = exact_cost(LevelPolicy(), held, Problem(given), offset=offset[n])[n].cost
        assert cost == pytest.approx(-result.returns[-1, n, 0], abs=1e-12)
    q = result.policy(np.array([[[[0.0]], [[30.0]]]] * 2))
    assert q.shape == (2, 2, 1)
    assert (q[:, 0] > 5).all()
    assert (q[:, 1] == 0).all()
    plain = q[:, 0, 0] - offset
    assert np.abs(plain - np.rint(plain)).max() > 1e-4  # not rounded


def test_each_seed_is_trained_as_alone():
    two = hdpo(setting("serial", locations=3), 12, config=SMALL, seeds=(3, 5))
    alone = hdpo(setting("serial", locations=3), 12, config=SMALL, seeds=(5,))
    for name, x in alone.parameters.items():
        np.testing.assert_allclose(two.parameters[name][1], x[0], rtol=1e-3, atol=1e-5, err_msg=name)
    assert two.returns[-1, 1, 0] == pytest.approx(alone.returns[-1, 0, 0], rel=1e-4)


@pytest.mark.parametrize("persistent", [True, False])
def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path, persistent):
    config = replace(SMALL, persistent=persistent, scenarios=None if persistent else 50)
    schedule = Schedule(evaluate_every=6, log_every=4, save_every=5)

    def train(out, steps, resume=False, stop=None):
        given = setting("one_warehouse", stores=2)
        run = {"config": config, "seeds": (1, 2), "schedule": schedule}
        return hdpo(given, steps, policy=LevelPolicy(hidden=(8,)), out=tmp_path / out, resume=resume, **run)

    whole = train("whole", 14)
    assert whole.gap is None
    assert whole.steps.tolist() == [6, 12, 14]
    again = train("whole", 14, resume=True)
    np.testing.assert_array_equal(again.returns, whole.returns)
    # a run whose later checkpoints are gone goes on from the one before
    last = sorted((tmp_path / "whole" / "checkpoints").iterdir())[-1]
    for file in last.iterdir():
        file.unlink()
    last.rmdir()
    parts = train("whole", 14, resume=True)
    np.testing.assert_array_equal(parts.returns, whole.returns)
    for name, x in whole.parameters.items():
        np.testing.assert_array_equal(x, parts.parameters[name])
    assert load_checkpoint(tmp_path / "whole" / "checkpoints")[1]["step"] == 14


def test_the_same_seed_is_the_same_run():
    first, second = (hdpo(LOST, 8, config=SMALL, seeds=(7,)) for _ in range(2))
    for name, x in first.parameters.items():
        np.testing.assert_array_equal(x, second.parameters[name])


def test_outcomes_have_their_fields():
    problem = Problem(LOST)
    outcome = problem.simulator.step(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1), torch.full((1, 1, 1), 3.0))
    assert isinstance(outcome, Outcome)
    assert outcome.short.item() == 2.0


def test_bad_input():
    for name, x in [
        ("batch_size", 0), ("periods", 0), ("lr", math.nan), ("warm_up", 2.0), ("max_grad_norm", 0.0),
        ("average", 0.0), ("samples", 0), ("eval_warm_up", 100), ("scenarios", 0),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} must be"):
            HDPOConfig(**{name: x})
    with pytest.raises(ValueError, match="scenarios needs persistent=False"):
        HDPOConfig(scenarios=10)
    with pytest.raises(ValueError, match=r"hidden\[0\] must be"):
        MLPPolicy(hidden=(0,))
    with pytest.raises(ValueError, match="activation must be one of"):
        LevelPolicy(activation="step")
    recorded = setting("favorita", sales=np.ones((2, 60, 1)))
    with pytest.raises(ValueError, match="setting favorita has no law of demand"):
        hdpo(recorded, 5)
    problem = Problem(LOST)
    parameters = MLPPolicy().init(problem, seed_keys([0]))
    with pytest.raises(ValueError, match="warm_up must be"):
        simulated_cost(MLPPolicy(), parameters.tensors, problem, periods=5, warm_up=5)
    assert mlp(parameters, torch.zeros(1, 1, 2), torch.relu).shape == (1, 1, 1)


@pytest.mark.parametrize("name", ["backlogged", "serial"])
def test_the_control_variate_is_the_optimum(name):
    """The optimal levels cost exactly the optimum; another policy what it costs without the control."""
    given = setting(name)
    problem = Problem(given)
    levels, best = optimal_levels(given)
    assert best == pytest.approx(given.reference(), rel=1e-9)
    rule, parameters = _levels(problem, levels)
    (found,) = simulated_cost(rule, parameters, problem, samples=50)
    assert found == (pytest.approx(best, rel=1e-6), pytest.approx(0.0, abs=1e-6))
    other = {k: x * 1.01 for k, x in parameters.items()}
    sizes = {"samples": 3000, "periods": 160, "warm_up": 60}
    (controlled,) = simulated_cost(rule, other, problem, **sizes)
    rng = np.random.default_rng(3)
    demand = given.network.demand.sample(rng, (3000, 160, 1))
    plain = simulate(
        given.network, order_up_to(given.network, 1.01 * levels, echelon=True), demand=demand, warm_up=60
    )
    error = plain.cost.std() / 3000**0.5
    assert controlled.cost == pytest.approx(plain.cost.mean(), abs=4 * error + 4 * controlled.error)
    assert controlled.error < 0.5 * error
    assert controlled.cost > best - 4 * controlled.error
    assert optimal_levels(setting("lost_sales")) is None
    assert optimal_levels(setting("transshipment")) is None


@pytest.mark.parametrize("name", ["lost_sales", "many_warehouses", "transshipment", "trace", "scenarios"])
def test_learns_the_same_from_graphs(name, monkeypatch):
    """The operations of a GPU, once by Python and once from tapes: not a bit differs."""
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)
    module = importlib.import_module("eluder.deep.inventory._hdpo")
    config = replace(SMALL, persistent=False, scenarios=50) if name == "scenarios" else SMALL
    run = {"policy": LevelPolicy(hidden=(6,)), "config": config, "seeds": (2, 3)}
    given = with_law(LOST, WEEKS) if name == "trace" else LOST if name == "scenarios" else setting(name)
    plain, used = hdpo(given, 9, **run), []
    monkeypatch.setattr(module, "repeated", lambda *a: used.append(played(*a)) or used[-1])
    taped = hdpo(given, 9, **run)
    assert used[0].tapes
    for key, x in plain.parameters.items():
        np.testing.assert_array_equal(x, taped.parameters[key])


def test_levels_by_hand():
    """Two tiers, correlated demand: what each echelon covers, and the ratio of its stores."""
    law = MultivariateNormal([4.0, 6.0], [1.0, 2.0], 0.5)
    network = Network.build(
        *(supplier(f"{k}") for k in range(5)),
        warehouse("top", holding=0.1), warehouse("hub", holding=0.2),
        store("a", holding=1, penalty=9), store("b", holding=1, penalty=3),
        *(edge(f"{k}", "top", lead_time=k + 1) for k in range(5)),
        edge("top", "hub", lead_time=4), edge("hub", "a", lead_time=2), edge("hub", "b", lead_time=1),
        demand=law,
    )  # fmt: skip
    given = Setting("mine", network, law.mean, law.sd)
    z = [1.2815515655, 0.6744897502]
    both, sd = sum(z) / 2, math.sqrt(1 + 4 + 2 * 0.5 * 2)
    own = [4 * 3 + z[0] * math.sqrt(3), 6 * 2 + z[1] * 2 * math.sqrt(2)]
    hub, top = 10 * 6.5 + both * sd * math.sqrt(6.5), 10 * 9.5 + both * sd * math.sqrt(9.5)
    np.testing.assert_allclose(heuristic_levels(given), [top, hub, *own], rtol=1e-8)
    alone = [10 * 3 + both * sd * math.sqrt(3), 10 * 4 + both * sd * 2]
    np.testing.assert_allclose(heuristic_levels(given, echelon=False), [*alone, *own], rtol=1e-8)


def test_levels_are_finite_where_a_cost_is_zero_or_huge_and_where_holding_does_not_fall():
    for given in (
        setting("lost_sales", lead_time=1, penalty=0.0),
        setting("backlogged", penalty=1e17),
        setting("dual_sourcing", holding=0.0),
        setting("transshipment", stores=1),
        setting("one_warehouse", stores=1),
    ):
        assert np.isfinite(heuristic_levels(given)).all()
    chain = (
        supplier("far"), warehouse("hub", holding=1.0), edge("far", "hub", lead_time=3),
        edge("hub", "shop", lead_time=2),
    )  # fmt: skip
    for penalty in (4.0, np.array([4.0, 9.0])):
        network = Network.build(
            *chain, store("shop", holding=1.0, penalty=penalty), unmet="backlog", demand=Normal(5.0, 1.0)
        )
        levels = heuristic_levels(Setting("mine", network, np.array([5.0]), np.array([1.0])))
        assert levels[0] > levels[1] > 15


def test_demand_around_zero_is_no_division_by_zero():
    result = hdpo(setting("backlogged", lead_time=1, demand=Normal(0.0, 1.0)), 2, config=SMALL)
    assert np.isfinite(result.returns).all()


def test_a_control_variate_is_used_only_where_the_levels_are_optimal():
    for name in ("backlogged", "serial"):
        given = setting(name)
        M = given.network.num_locations
        for change in (
            {"unit_cost": np.full(M, 2.0)},
            {"fixed_cost": np.full(M, 2.0)},
            {"capacity": np.full(M, 20.0)},
            {"unmet": "lost"},
            {"objective": "profit"},
            {"penalty": np.full((3, 1), 9.0)},
        ):
            assert optimal_levels(replace(given, network=replace(given.network, **change))) is None
    # demand that is handed over follows no law: no optimum is known for it
    problem = Problem(setting("backlogged"))
    rule, parameters = _levels(problem, np.array([30.0]))
    demand = torch.full((4, 100, 1), 8.0)
    (found,) = simulated_cost(rule, parameters, problem, demand=demand)
    assert found.cost == pytest.approx(9 * (5 * 8 - 30))


def test_a_folder_goes_on_with_no_other_demand():
    given = setting("backlogged", demand=Normal(5.0, 3.0))
    others = [
        setting("backlogged", demand=Normal(5.0, 3.0, clipped=False)),
        setting("backlogged", demand=Normal(5.0, 3.0), lead_time=3),
        setting("backlogged", demand=Normal(5.0, 3.0), penalty=8.0),
        with_law(given, Trace(np.ones((3, 1)))),
        with_law(given, Trace(np.zeros((3, 1)))),
    ]
    # the same mean and variance
    others += [
        setting("lost_sales", demand=Categorical(p)) for p in ((0.125, 0, 0.75, 0, 0.125), (0, 0.5, 0, 0.5))
    ]
    assert len({identity(x) for x in [given, *others]}) == len(others) + 1
    assert identity(given) == identity(setting("backlogged", demand=Normal(5.0, 3.0)))
    several = setting("one_warehouse", stores=3)
    law = several.network.demand
    other = with_law(several, MultivariateNormal(law.mean, law.sd, law.correlation, clipped=False))
    assert identity(several) != identity(other)
    assert recipe(several) == {"name": "one_warehouse", "options": {"stores": 3}}
    assert recipe(other) is None


def test_windows_of_a_trace_are_paths():
    config = replace(SMALL, persistent=False, scenarios=50, batch_size=50)
    _, demand = Paths(config, Problem(with_law(LOST, WEEKS)), seed_keys([0])).next(0)
    assert ((demand[:, 1:] - demand[:, :-1]) % 10 == 1).all()


def test_a_policy_that_orders_without_bound_is_simulated(tmp_path):
    config = replace(SMALL, batch_size=4)
    schedule = Schedule(evaluate_every=0, log_every=0, save_every=2)
    first = hdpo(LOST, 4, policy=Greedy(), config=config, out=tmp_path, schedule=schedule)
    assert np.isfinite(first.returns).all()
    # the run was killed before its end, and is asked for fewer updates than it has
    for file in (last := tmp_path / "checkpoints" / "step-000000000004").iterdir():
        file.unlink()
    last.rmdir()
    for _ in range(2):
        again = hdpo(LOST, 1, policy=Greedy(), config=config, out=tmp_path, resume=True, schedule=schedule)
        assert again.steps.tolist() == [2]
    assert len((tmp_path / "evaluations.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("trainer", [hdpo, reinforce, inventory_ppo])
def test_the_last_evaluation_is_of_what_is_returned(trainer, tmp_path):
    """Evaluated after 2, saved after 3, killed before 4: what is asked for less is evaluated where it is."""
    schedule = Schedule(evaluate_every=2, log_every=0, save_every=3)
    kind = inspect.signature(trainer).parameters["config"].default
    config = replace(kind, batch_size=16, periods=4)
    options = {"policy": LevelPolicy(hidden=(4,)), "config": config, "schedule": schedule, "out": tmp_path}
    given = setting("lost_sales", lead_time=1, penalty=4)
    trainer(given, 4, **options)
    shutil.rmtree(sorted((tmp_path / "checkpoints").iterdir())[-1])
    again = trainer(given, 1, resume=True, **options)
    assert again.steps.tolist() == [2, 3]
    kept = {k: torch.as_tensor(x) for k, x in again.parameters.items() if k.startswith("policy/")}
    tensors = {k.removeprefix("policy/"): x for k, x in kept.items()}
    _, costs = best_offsets(options["policy"], tensors, Problem(given))
    assert -again.returns[-1, 0, 0] == pytest.approx(costs[0].cost, rel=1e-9)


class Greedy(LevelPolicy):
    """A policy that orders twice the demand, whatever it has."""

    def orders(self, parameters, problem, seen):
        return super().orders(parameters, problem, seen) + 10.0


class Told:
    """Order up to 12, and what a seed is told besides: nothing, something for ever, what is no number."""

    def init(self, problem, keys):
        parameters = Parameters({"least": (1,)}, len(keys))
        with torch.no_grad():
            parameters["least"].copy_(torch.tensor([0.0, 0.25, torch.nan])[: len(keys), None])
        return parameters

    def orders(self, parameters, problem, seen):
        return parameters["least"][:, None] + torch.relu(12.0 - seen.inventory.sum(dim=(-2, -1)))[..., None]


def test_what_orders_for_ever_is_found_early_and_each_seed_is_judged_alone(monkeypatch):
    problem = Problem(setting("lost_sales", lead_time=2, penalty=4))
    start, law = Told().init(problem, seed_keys([0, 1, 2])).tensors, problem.setting.network.demand
    grows = growing(Told(), start, problem, OFFSETS)
    wanted = [[round(least + offset) > 0 for offset in OFFSETS] for least in (0.0, 0.25)]
    assert grows.tolist() == [*wanted, [True] * 9]
    assert wanted[1].count(True) == 2
    asked = []

    def counted(*arguments, **options):
        asked.append(arguments)
        return evaluate_store(*arguments, **options)

    monkeypatch.setattr(evaluate, "evaluate_store", counted)
    found = bounded_offsets(Told(), start, problem)
    assert found[2] is None
    assert len(asked) == 9 + 7
    assert found[0][1].cost == pytest.approx(store_policy_cost(BaseStock(12), law, lead_time=2, penalty=4))
    for n in (0, 1):
        alone = {k: x[n : n + 1] for k, x in start.items()}
        assert bounded_offsets(Told(), alone, problem) == [found[n]]
    cost = Judge(SMALL, Told(), Told().init(problem, seed_keys([0, 1, 2])), problem)()
    assert cost[:2, 0].tolist() == [found[0][1].cost, found[1][1].cost]
    assert np.isnan(cost[2, 0])
    with pytest.raises(ValueError, match="policy of seed number 2 orders without bound: stock still grows"):
        exact_cost(Told(), start, problem)
    with pytest.raises(ValueError, match="policy of seed number 2 orders without bound"):
        best_offsets(Told(), start, problem)


class Doomed(LevelPolicy):
    """A policy that is no number for seed 5."""

    def init(self, problem, keys):
        parameters = super().init(problem, keys)
        with torch.no_grad():
            parameters["w0"][keys == seed_keys([5])] = torch.nan
        return parameters


@pytest.mark.parametrize("trainer", [hdpo, reinforce, inventory_ppo])
def test_seeds_that_diverge_are_named_and_the_others_learn(trainer):
    made = inspect.signature(trainer).parameters["config"].default
    config = replace(made, batch_size=16, periods=4, samples=8, eval_periods=8, eval_warm_up=2)
    serial, policy = setting("serial"), Doomed(hidden=(4,))
    for given in (LOST, serial):
        with pytest.warns(
            RuntimeWarning, match=r"training of seeds \[5\] diverged: their parameters are not fin"
        ):
            result = trainer(given, 2, policy=policy, config=config, seeds=(4, 5, 6))
        alone = trainer(given, 2, policy=policy, config=config, seeds=(6,))  # and no warning
        assert np.isfinite(result.returns[-1, :, 0]).tolist() == [True, False, True]
        assert np.isfinite(result.gap).tolist() == [True, False, True]
        np.testing.assert_allclose(result.returns[:, 2], alone.returns[:, 0], rtol=1e-5)
        for name, x in alone.parameters.items():
            np.testing.assert_allclose(result.parameters[name][2], x[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trainer", [hdpo, reinforce, inventory_ppo])
def test_policies_that_do_not_fit_are_refused_before_anything_is_written(trainer, tmp_path):
    with pytest.raises(
        ValueError, match=r"policy cannot order in setting lost_sales: seen has no past or cal"
    ):
        trainer(LOST, 2, policy=DataDrivenPolicy(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_end_of_a_run_is_judged_once_and_again_if_it_is_asked_for_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(training, "bounded_offsets", lambda *a: asked.append(a) or bounded_offsets(*a))
    options = {"config": SMALL, "policy": POLICIES[1], "out": tmp_path}
    first = hdpo(LOST, 2, **options)
    assert len(asked) == 1
    again = hdpo(LOST, 2, **options, resume=True)
    assert len(asked) == 2
    np.testing.assert_array_equal(again.parameters["rounding/offset"], first.parameters["rounding/offset"])


def test_constants_beyond_one_with_too_many_states_are_not_tried(monkeypatch):
    problem = Problem(setting("lost_sales", lead_time=1, penalty=4))
    start = LevelPolicy(hidden=(4,)).init(problem, seed_keys([0])).tensors
    for fails, wanted, tried in [
        ((0.2,), (-0.4, 0.1), 7), ((-0.1, 0.1), (0.0, 0.0), 3), ((0.0,), None, 1), ((), (-0.4, 0.4), 9),
    ]:  # fmt: skip
        asked = []

        def chain(policy, parameters, offset, fails=fails, asked=asked):
            asked.append(offset)
            if offset in fails:
                raise ValueError("policy reaches more than 1,000,000 states")
            return PolicyCost(-abs(offset + 0.01), 0.0)

        monkeypatch.setattr(evaluate, "_chain", lambda problem, chain=chain: chain)
        (best,) = bounded_offsets(LevelPolicy(hidden=(4,)), start, problem)
        assert len(asked) == tried
        assert (best is None) == (wanted is None)
        if wanted:
            assert (min(set(asked) - set(fails)), max(set(asked) - set(fails))) == wanted


def test_what_could_not_be_judged_is_refused_before_training(tmp_path):
    for name, options, message in [
        ("lost_sales", {"penalty": 0.0}, "penalty must be in"),
        ("lost_sales", {"lead_time": 0}, "lead_time must be at least 1"),
        ("lost_sales", {"lead_time": 12}, "lead_time 12 and this demand need more than 67,108,864 states"),
        ("backlogged", {"penalty": 0.0}, "penalty must be in"),
        ("serial", {"penalty": 0.0}, "penalty must be in"),
        ("transshipment", {"penalty": 0.0}, "penalty must be in"),
        ("fixed_cost", {"penalty": 0.0}, "penalty must be in"),
        ("dual_sourcing", {"holding": 0.0}, "holding must be in"),
        ("dual_sourcing", {"unit_costs": (5.0, 0.0)}, "unit_costs must be"),
    ]:
        for trainer, config in ((hdpo, HDPOConfig()), (reinforce, ReinforceConfig())):
            with pytest.raises(ValueError, match=f"setting {name} has no reference cost: {message}"):
                trainer(setting(name, **options), 2, config=config, out=tmp_path / "none")
    short = replace(SMALL, eval_periods=41)
    with pytest.raises(ValueError, match="eval_periods is 41, the trace of setting lost_sales has 40"):
        hdpo(with_law(LOST, WEEKS), 2, config=short, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_setting_without_its_reference_is_trained_and_simulated(tmp_path):
    for options in ({"unit_costs": (5.0, 0.0)}, {"penalty": 0.0}, {"holding": 0.0}):  # no bounds are known
        it = setting("dual_sourcing", **options).without_reference()
        start = LevelPolicy().init(Problem(it), seed_keys([0])).tensors
        assert exact_cost(LevelPolicy(), start, Problem(it)) is None
    free = setting("lost_sales", lead_time=9).without_reference()
    result = hdpo(free, 2, policy=Greedy(), config=replace(SMALL, periods=10), out=tmp_path)
    assert result.gap is None
    assert np.isfinite(result.returns).all()
    assert math.isnan(free.reference())
    assert json.loads((tmp_path / "run.json").read_text())["setting"] is None


def test_a_reference_is_computed_once(monkeypatch):
    given, asked = setting("lost_sales", lead_time=1, penalty=4), []
    module = importlib.import_module("eluder.envs.inventory._lost_sales")
    optimum = module.lost_sales_optimum
    monkeypatch.setattr(module, "lost_sales_optimum", lambda *a, **k: asked.append(1) or optimum(*a, **k))
    result = hdpo(given, 2, policy=LevelPolicy(hidden=(4,)), config=SMALL)
    assert given.reference() == pytest.approx(4.040711170)
    assert result.gap is not None
    assert len(asked) == 1


def test_refuses_what_it_cannot_learn_from():
    with pytest.raises(ValueError, match="periods is 2: no order arrives so soon"):
        hdpo(LOST, 1, policy=LevelPolicy(), config=replace(SMALL, periods=2))
    each = replace(LOST, network=replace(LOST.network, penalty=np.full((32, 1), 4.0)))
    with pytest.raises(ValueError, match="lost_sales has parameters of its own for each sample"):
        hdpo(each, 1, policy=LevelPolicy(), config=SMALL)
    with pytest.raises(ValueError, match="seeds must hold at least one"):
        hdpo(LOST, 1, seeds=())


@pytest.mark.parametrize("shape", ["level", "share"])
def test_exact_cost_of_orders_to_both_suppliers(shape):
    """Orders that look at every place of the pipeline, by simulation."""
    given = setting("dual_sourcing", lead_times=(3, 0))
    problem = Problem(given)

    class Both:
        def init(self, problem, keys):
            return LevelPolicy(hidden=(2,)).init(problem, keys)

        def orders(self, parameters, problem, seen):
            x = seen.inventory[..., 0, :]
            fast = torch.relu(3.0 - x[..., 0] - 0.6 * x[..., 1])
            slow = torch.relu(8.0 - x @ torch.tensor([1.0, 1.0, 0.7]) - fast)
            return torch.stack([slow if shape == "level" else slow.clamp_max(2.0), fast], dim=-1)

    (found,) = exact_cost(Both(), Both().init(problem, seed_keys([0])).tensors, problem)
    (by_paths,) = simulated_cost(Both(), Both().init(problem, seed_keys([0])).tensors, problem)
    assert found.cost == pytest.approx(by_paths.cost, abs=4 * by_paths.error)


def test_the_rounding_is_searched_by_the_exact_cost():
    """By hand over the nine constants; the result's policy has it in, a simulation of it costs the same."""
    given = setting("lost_sales", lead_time=1, penalty=9)
    problem = Problem(given)
    result = hdpo(given, 40, policy=LevelPolicy(), config=HDPOConfig(batch_size=64, periods=10), seeds=(0, 1))
    policy = {
        k.removeprefix("policy/"): torch.as_tensor(x) for k, x in result.parameters.items() if "pol" in k
    }
    offsets, costs = best_offsets(LevelPolicy(), policy, problem)
    np.testing.assert_array_equal(result.parameters["rounding/offset"].ravel(), offsets)
    for n in range(2):
        each = {}
        for offset in np.arange(-4, 5) / 10:

            def orders(x, offset=offset, n=n):
                seen = torch.as_tensor(np.broadcast_to(x[None, :, None], (2, len(x), 1, 1)).copy()).float()
                q = LevelPolicy().orders(policy, problem, Seen(seen))[n, :, 0].detach().numpy()
                return np.rint(np.maximum(q + np.float32(offset), 0)).astype(int)

            each[offset] = store_policy_cost(orders, given.network.demand, lead_time=1, penalty=9)
        assert costs[n].cost == pytest.approx(min(each.values()), abs=1e-9)
        assert -result.returns[-1, n, 0] == pytest.approx(costs[n].cost)
        final = store_policy_cost(
            lambda x, n=n: np.rint(result.policy(np.stack([x[:, None]] * 2))[n, :, 0]).astype(int),
            given.network.demand,
            lead_time=1,
            penalty=9,
        )
        assert final == pytest.approx(costs[n].cost, abs=1e-9)
    assert best_offsets(MLPPolicy(), MLPPolicy().init(Problem(setting("serial")), seed_keys([0])).tensors,
                        Problem(setting("serial"))) is None  # fmt: skip
