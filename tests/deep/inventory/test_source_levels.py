"""Levels of several sources: against a pipeline followed by hand, newsvendor levels, and other levels."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import Problem, Seen, SharedLevelPolicy
from eluder.deep.inventory._source_levels import (
    WAREHOUSE_RATIO,
    _calm,
    means_of,
    simulate,
    source_levels,
)
from eluder.deep.inventory._sourcing import sourcing_of
from eluder.envs.inventory import (
    MultivariateNormal,
    Network,
    Setting,
    edge,
    setting,
    store,
    supplier,
    warehouse,
)


def shop(*lanes, unmet="backlog", sd=2.0):
    """One store with a supplier for each lane, (lead time, unit cost)."""
    names = [f"supplier {k}" for k in range(len(lanes))]
    network = Network.build(
        *map(supplier, names),
        store("shop", holding=1.0, penalty=9.0),
        *(edge(x, "shop", lead_time=L, unit_cost=c) for x, (L, c) in zip(names, lanes, strict=True)),
        unmet=unmet,
        demand=MultivariateNormal([8.0], [sd], 0.0, clipped=True),
    )
    return Setting("shop", network, np.array([8.0]), np.array([sd]))


def long_run(given, levels, T=400, samples=500):
    """Cost of the first policy with other levels."""
    problem, policy = Problem(given, dtype=torch.float64), SharedLevelPolicy((4,), 2)
    at = sourcing_of(problem)
    at.level = torch.as_tensor(levels, dtype=torch.float64)[:, None]
    parameters = policy.init(problem, seed_keys([0])).tensors
    rng, total = np.random.default_rng(3), 0.0
    demand = torch.as_tensor(given.network.demand.sample(rng, (T, samples, 1)))
    x = torch.as_tensor(given.first_inventory(samples, rng=rng))[None]
    for t in range(T):
        outcome = problem.simulator.step(x, policy.orders(parameters, problem, Seen(x)), demand[None, t])
        x = outcome.inventory
        total += outcome.cost.mean().item() if t >= 50 else 0.0
    return total / (T - 50)


def test_what_is_over_is_that_of_a_pipeline_followed_by_hand():
    """Order-up-to S of what arrives within 2 periods, and S + D of all, with lead times 2 and 5."""
    news = np.maximum(np.random.default_rng(0).normal(8.0, 4.0, (60, 1)), 0.0)
    S, D = 30.0, 20.0
    over, soon, late = simulate(news, np.array([D]), np.array([3]))
    on_hand, way = S, [0.0] * 6
    for t in range(60):
        on_hand -= news[t, 0]
        if t:
            on_hand, way = on_hand + way[1], [0.0, *way[2:], 0.0]
        near = on_hand + sum(way[1:3])
        fast = max(S - near, 0.0)
        slow = max(S + D - (on_hand + sum(way)) - fast, 0.0)
        assert (soon[t, 0], late[t, 0]) == pytest.approx((fast, slow), abs=1e-9)
        assert over[t, 0] == pytest.approx(near + fast - S, abs=1e-9)
        way[2] += fast
        way[5] += slow


def test_one_source_gets_the_level_of_a_newsvendor():
    found = source_levels(shop((4, 0.0)))
    assert found.level[0] == pytest.approx(8 * 5 + norm.ppf(0.9) * 2 * math.sqrt(5), abs=1.0)
    lost = source_levels(shop((4, 5.0), unmet="lost")).level[0]  # as if the penalty were 4
    assert lost == pytest.approx(8 * 5 + norm.ppf(0.8) * 2 * math.sqrt(5), abs=1.0)
    assert found.flow[0] == pytest.approx(8.0, abs=0.3)


def test_two_sources_get_levels_of_which_no_others_nearby_are_better():
    given = shop((1, 2.0), (5, 1.0))
    found = source_levels(given)
    best = long_run(given, found.level)
    for a, b in ((-2, 0), (2, 0), (0, -4), (0, 4), (2, 2), (-2, -2)):
        assert long_run(given, np.add(found.level, [a, b])) > best
    assert 0.02 < found.flow[0] / found.flow.sum() < 0.4
    for alone in ((1, 2.0), (5, 1.0)):
        one = shop(alone)
        assert long_run(one, np.zeros(0)) > best


def test_no_source_is_used_that_is_later_and_dearer():
    found = source_levels(shop((2, 1.0), (4, 1.5)))
    assert found.flow[1] == 0.0
    assert found.level[1] == found.level[0]
    found = source_levels(shop((3, 2.0), (3, 1.0), (3, 1.0)))
    assert found.turn.tolist() == [1, 2, 0]
    assert (found.flow[[0, 2]] == 0).all()


def test_sources_that_are_not_of_the_pair_cover_mean_demand():
    found = source_levels(shop((1, 2.0), (2, 1.999), (6, 1.0)))
    spare = int(np.flatnonzero(found.flow == 0)[0])
    mean = found.flow.sum()
    assert found.level[spare] == pytest.approx(mean * ((1, 2, 6)[spare] + 1), rel=0.02)


def two_echelons():
    """A warehouse with two suppliers, and two stores with one source each."""
    network = Network.build(
        supplier("far"), supplier("near"), warehouse("w", holding=0.5),
        store("a", holding=1.0, penalty=9.0), store("b", holding=1.0, penalty=9.0),
        edge("far", "w", lead_time=6, unit_cost=1.0), edge("near", "w", lead_time=1, unit_cost=1.5),
        edge("w", "a", lead_time=2, unit_cost=0.1), edge("w", "b", lead_time=1),
        unmet="backlog", demand=MultivariateNormal([5.0, 7.0], [3.0, 4.0], 0.5, clipped=True),
    )  # fmt: skip
    return Setting("two echelons", network, np.array([5.0, 7.0]), np.array([3.0, 4.0]))


def test_prices_and_demand_pass_upstream():
    given = two_echelons()
    m = means_of(given.network)
    assert m.price.tolist() == pytest.approx([1.0, 1.5, 1.1, 1.0])
    assert m.depth.tolist() == [0, 1, 1]
    assert _calm(given)[0] == pytest.approx(math.sqrt((0.5 * 25 + 0.5 * 49) / 49))
    found = source_levels(given)
    assert found.turn.tolist()[2:] == [1, 0]
    assert found.flow[:2].sum() == pytest.approx(found.flow[2:].sum(), rel=0.02)


def test_a_warehouse_covers_what_is_asked_until_an_order_arrives():
    """What it is asked for in this period it knows; then 3 periods at its quantile, of independent stores."""
    n, names = 8, [f"s{i}" for i in range(8)]
    network = Network.build(
        supplier("far"), supplier("near"), warehouse("w", holding=0.5),
        *(store(name, holding=1.0, penalty=9.0) for name in names),
        edge("far", "w", lead_time=3, unit_cost=1.0), edge("near", "w", lead_time=3, unit_cost=1.5),
        *(edge("w", name, lead_time=2) for name in names),
        unmet="backlog", demand=MultivariateNormal([9.0] * n, [3.0] * n, 0.0, clipped=True),
    )  # fmt: skip
    found = source_levels(Setting("eight stores", network, np.full(n, 9.0), np.full(n, 3.0)))
    want = 3 * 72 + norm.ppf(WAREHOUSE_RATIO) * 3 * math.sqrt(3 * n)
    assert found.level[0] == pytest.approx(want, rel=0.02)


def test_of_three_sources_each_wants_what_those_before_it_leave():
    """By hand: levels 10, 30, 44 of lead times 0, 2, 3; 9 on the way, to arrive in one period."""
    given = shop((0, 3.0), (2, 2.0), (3, 1.0))
    problem, policy = Problem(given, dtype=torch.float64), SharedLevelPolicy((4,), 2)
    sourcing_of(problem).level = torch.tensor([[10.0], [30.0], [44.0]], dtype=torch.float64)
    parameters = policy.init(problem, seed_keys([0])).tensors
    for on_hand, want in ((4.0, [6.0, 11.0, 14.0]), (12.0, [0.0, 9.0, 14.0]), (-40.0, [50.0, 11.0, 14.0])):
        x = torch.tensor([[[[on_hand, 9.0, 0.0]]]], dtype=torch.float64)
        q = policy.orders(parameters, problem, Seen(x))[0, 0].tolist()
        assert q == pytest.approx(want), on_hand


def test_a_start_of_many_warehouses_is_near_the_trained_policy():
    """Levels of one source of each, shared evenly, cost 15.2; the best published policy 9.60."""
    given = setting("many_warehouses", stores=10)
    problem, policy = Problem(given), SharedLevelPolicy()
    parameters = policy.init(problem, seed_keys([0])).tensors
    rng, total = np.random.default_rng(0), 0.0
    x = torch.as_tensor(given.first_inventory(200, rng=rng), dtype=torch.float32)[None]
    for t in range(120):
        d = torch.as_tensor(given.network.demand.sample(rng, (200, 10)), dtype=torch.float32)
        outcome = problem.simulator.step(x, policy.orders(parameters, problem, Seen(x)), d[None])
        x, total = outcome.inventory, total + (outcome.cost.mean().item() / 10 if t >= 60 else 0.0)
    assert total / 60 < 10.5
