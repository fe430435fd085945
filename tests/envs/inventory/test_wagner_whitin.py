"""Dynamic lot sizing: textbook plans, all subsets of setups, the quadratic recursion."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from eluder.envs.inventory import LotSizes, wagner_whitin
from tests.envs.inventory import naive_classic as naive


def test_plan_of_wagner_and_whitin():
    demand = [69, 29, 36, 61, 61, 26, 34, 67, 45, 67, 79, 56]
    setup = [85, 102, 102, 101, 98, 114, 105, 86, 119, 110, 98, 114]
    plan = wagner_whitin(demand, setup=setup, holding=1)
    assert isinstance(plan, LotSizes)
    assert plan.cost == 864
    assert plan.orders.tolist() == [98, 0, 97, 0, 121, 0, 0, 112, 0, 67, 135, 0]


def test_plan_of_a_textbook():
    plan = wagner_whitin([90, 120, 80, 70], setup=500, holding=2)
    assert plan.cost == 1380
    assert plan.orders.tolist() == [210, 0, 150, 0]


@pytest.mark.parametrize("seed", range(40))
def test_no_subset_of_setups_is_better(seed):
    rng = np.random.default_rng(seed)
    T = int(rng.integers(1, 8))
    demand = rng.integers(0, 6, T) * (rng.random(T) < 0.7) * 1.0
    setup, holding = rng.uniform(0, 12, T), rng.uniform(0, 2, T)
    unit = rng.uniform(0, 4, T) if seed % 2 else np.zeros(T)
    if seed % 5 == 0:
        setup[:] = 0.0
    plan = wagner_whitin(demand, setup=setup, holding=holding, unit=unit)
    assert plan.cost == pytest.approx(naive.lot_sizing(demand, setup, holding, unit)[0], abs=1e-10)
    assert plan.cost == pytest.approx(naive.plan_cost(plan.orders, demand, setup, holding, unit), abs=1e-10)
    assert plan.orders.sum() == pytest.approx(demand.sum())


def quadratic(d, K, h, c):
    """The recursion over all pairs of periods, with holding costs as they arise."""
    T = len(d)
    G = np.full(T + 1, np.inf)
    G[T] = 0.0
    for t in range(T - 1, -1, -1):
        if d[t] == 0:
            G[t] = G[t + 1]
        cost = K[t]
        carried = 0.0
        for s in range(t + 1, T + 1):
            cost += d[s - 1] * (c[t] + carried)
            G[t] = min(G[t], cost + G[s])
            carried += h[s - 1]
    return G[0]


@hypothesis.given(st.integers(1, 60), st.integers(0, 10**6), st.floats(0, 100))
def test_the_hull_finds_what_all_pairs_find(T, seed, scale):
    rng = np.random.default_rng(seed)
    d = np.round(rng.exponential(5, T)) * (rng.random(T) < 0.8)
    K, h, c = scale * rng.random(T), rng.exponential(1, T), rng.uniform(0, 20, T)
    plan = wagner_whitin(d, setup=K, holding=h, unit=c)
    assert plan.cost == pytest.approx(quadratic(d, K, h, c), rel=1e-10, abs=1e-9)


def test_long_horizons():
    rng = np.random.default_rng(0)
    d = rng.poisson(3.0, 200_000)
    plan = wagner_whitin(d, setup=20.0, holding=1.0)
    assert plan.orders.sum() == d.sum()
    short = wagner_whitin(d[:500], setup=20.0, holding=1.0)
    assert short.cost == pytest.approx(quadratic(d[:500], np.full(500, 20.0), np.ones(500), np.zeros(500)))
    assert plan.cost < 400 * short.cost * 1.1


def test_nothing_to_meet_costs_nothing():
    plan = wagner_whitin([0, 0, 0], setup=5, holding=1)
    assert (plan.orders.tolist(), plan.cost) == ([0, 0, 0], 0)
    assert wagner_whitin([0, 4], setup=5, holding=1, unit=2).orders.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"demand": []}, "demand must have shape"),
        ({"demand": [1.0, -1.0, 0.0]}, r"demand\[1\] is -1"),
        ({"setup": [1.0, 2.0]}, r"setup must have shape \(3\), got \(2,\)"),
        ({"setup": -1.0}, "setup is -1"),
        ({"holding": [1.0, np.nan, 0.0]}, r"holding\[1\] is nan"),
        ({"unit": np.inf}, "unit is inf"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"demand": [1.0, 2.0, 3.0], "setup": 1.0, "holding": 1.0} | change
    with pytest.raises(ValueError, match=message):
        wagner_whitin(given.pop("demand"), **given)
