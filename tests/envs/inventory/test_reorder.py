"""(s, S) and (r, Q) policies: published values, all policies of a box, chains, value iteration."""

import numpy as np
import pytest
from scipy import stats

from eluder.envs.inventory import (
    BatchPolicy,
    Categorical,
    Geometric,
    Poisson,
    ReorderPolicy,
    backlogged_optimum,
    r_Q_optimum,
    s_S_optimum,
    uniform_demand,
)
from eluder.envs.inventory import _s_S as module
from eluder.envs.inventory._lattice import cost_between, integer_law, total
from tests.envs.inventory import naive_classic as naive

# Zheng and Federgruen 1991, table 1: Poisson, K = 64, h = 1, p = 9, L = 0
PUBLISHED = {
    10: (6, 40, 35.022),
    15: (10, 49, 42.698),
    20: (14, 62, 49.173),
    21: (15, 65, 50.406),
    22: (16, 68, 51.632),
    23: (17, 52, 52.757),
    24: (18, 54, 53.518),
    25: (19, 56, 54.262),
    30: (23, 66, 57.819),
}


@pytest.mark.parametrize("mean", PUBLISHED)
def test_published_values(mean):
    best = s_S_optimum(Poisson(float(mean)), lead_time=0, setup=64, penalty=9)
    assert isinstance(best, ReorderPolicy)
    assert (best.s, best.S, round(best.cost, 3)) == PUBLISHED[mean]


def chain_cost(p, periods, s, S, K, h, b):
    """Cost of (s, S) from the stationary distribution of the position after ordering."""
    y = np.arange(s + 1, S + 1)
    P, orders = np.zeros((len(y), len(y))), np.zeros(len(y))
    for i, level in enumerate(y):
        for d, prob in enumerate(p):
            order = level - d <= s
            P[i, len(y) - 1 if order else i - d] += prob
            orders[i] += prob * order
    pi = np.linalg.lstsq(
        np.vstack([P.T - np.eye(len(y)), np.ones(len(y))]), np.eye(len(y) + 1)[-1], rcond=None
    )[0]
    return pi @ [naive.level_cost(p, periods, level, h, b) for level in y] + K * (pi @ orders)


INSTANCES = [
    ((0.2, 0.3, 0.5), 0, 3.0, 4.0, 1.0),
    ((0.6, 0.0, 0.1, 0.3), 1, 5.0, 9.0, 1.0),
    ((0.0, 0.5, 0.5), 2, 2.0, 2.0, 0.5),
    ((0.1, 0.8, 0.1), 1, 0.0, 3.0, 1.0),
    ((0.5, 0.0, 0.0, 0.5), 0, 1.0, 0.5, 1.0),
]


@pytest.mark.parametrize(("p", "lead_time", "K", "b", "h"), INSTANCES)
def test_no_s_and_S_are_better(p, lead_time, K, b, h):
    best = s_S_optimum(Categorical(p), lead_time=lead_time, setup=K, penalty=b, holding=h)
    costs = {
        (s, S): chain_cost(p, lead_time + 1, s, S, K, h, b)
        for s in range(-8, 10)
        for S in range(s + 1, s + 14)
    }
    assert best.cost == pytest.approx(min(costs.values()), abs=1e-9)
    assert costs[best.s, best.S] == pytest.approx(best.cost, abs=1e-9)


@pytest.mark.parametrize(("p", "lead_time", "K", "b", "h"), INSTANCES)
def test_no_policy_is_better(p, lead_time, K, b, h):
    """Value iteration over all orders, on positions -14 to 20."""
    levels = np.arange(-14, 21)
    G = np.array([naive.level_cost(p, lead_time + 1, y, h, b) for y in levels])
    V = np.zeros(len(levels))
    for _ in range(2000):
        after = sum(prob * V[np.maximum(np.arange(len(levels)) - d, 0)] for d, prob in enumerate(p))
        stay = G + after
        order = K + np.minimum.accumulate(stay[::-1])[::-1]
        change = np.minimum(stay, order) - V
        V = V + 0.9 * change
        V -= V[14]
        if np.ptp(change) < 1e-10:
            break
    best = s_S_optimum(Categorical(p), lead_time=lead_time, setup=K, penalty=b, holding=h)
    assert change.min() - 1e-9 <= best.cost <= change.max() + 1e-9


def test_without_setup_it_is_base_stock():
    for law in (Poisson(4.0), Geometric(2.0)):
        best = s_S_optimum(law, lead_time=3, setup=0, penalty=9)
        single = backlogged_optimum(law, lead_time=3, penalty=9)
        assert best.cost == pytest.approx(single.cost, rel=1e-10)
        assert single.level == best.S
    batch = r_Q_optimum(Poisson(4.0), lead_time=3, setup=0, penalty=9)
    assert (batch.r, batch.Q, batch.cost) == (best_level(4.0, 3) - 1, 1, pytest.approx(batch_cost(4.0, 3)))


def best_level(mean, lead_time):
    return int(backlogged_optimum(Poisson(mean), lead_time=lead_time, penalty=9).level)


def batch_cost(mean, lead_time):
    return backlogged_optimum(Poisson(mean), lead_time=lead_time, penalty=9).cost


def test_renewal_masses_by_hand():
    m = module.renewal(integer_law(Categorical((0.5, 0.25, 0.25))), 4)
    np.testing.assert_allclose(m, [2, 1, 1.5, 1.25])
    np.testing.assert_allclose(module.renewal(integer_law(uniform_demand(2, 2)), 5), [1, 0, 1, 0, 1])


def test_cycle_cost_by_hand():
    assert module.cycle_cost(np.array([2.0, 1.0, 9.0]), np.array([3.0, 6.0]), 6.0) == (6 + 6 + 6) / 3


def test_simulated_reorder_policy():
    law = Poisson(5.0)
    best = s_S_optimum(law, lead_time=2, setup=30, penalty=9)
    rng = np.random.default_rng(0)
    stock, way, costs = np.full(4000, best.S), [np.zeros(4000)], 0.0
    for t in range(150):
        position = stock + way[0]
        order = np.where(position <= best.s, best.S - position, 0)
        stock = stock - rng.poisson(5.0, 4000)
        if t >= 50:
            costs += 30 * (order > 0) + np.maximum(stock, 0) + 9 * np.maximum(-stock, 0)
        stock, way = stock + way[0], [order]
    costs = costs / 100
    assert costs.mean() == pytest.approx(best.cost, abs=4 * costs.std() / np.sqrt(4000))


# --- batches ---


@pytest.mark.parametrize(
    ("rate", "lead_time", "K", "b", "h"),
    [
        (1.5, 2.0, 5.0, 25.0, 1.0),
        (3.0, 0.7, 1.0, 2.0, 0.5),
        (0.2, 1.0, 10.0, 5.0, 1.0),
        (2.0, 0.0, 4.0, 3.0, 1.0),
    ],
)
def test_no_r_and_Q_are_better(rate, lead_time, K, b, h):
    best = r_Q_optimum(Poisson(rate), lead_time=lead_time, setup=K, penalty=b, holding=h, continuous=True)
    assert isinstance(best, BatchPolicy)
    k = np.arange(60)
    p = stats.poisson.pmf(k, rate * lead_time)
    G = {y: p @ (h * np.maximum(y - k, 0) + b * np.maximum(k - y, 0)) for y in range(-20, 50)}
    costs = {
        (r, Q): (K * rate + sum(G[y] for y in range(r + 1, r + Q + 1))) / Q
        for r in range(-12, 12)
        for Q in range(1, 30)
    }
    assert best.cost == pytest.approx(min(costs.values()), rel=1e-11)
    assert costs[best.r, best.Q] == pytest.approx(best.cost, rel=1e-11)


@pytest.mark.parametrize(("p", "lead_time", "K", "b", "h"), INSTANCES[:4])
def test_batches_of_periodic_review_by_their_chain(p, lead_time, K, b, h):
    best = r_Q_optimum(Categorical(p), lead_time=lead_time, setup=K, penalty=b, holding=h)
    costs = {}
    for Q in range(1, 9):
        P = np.zeros((Q, Q))
        batches = np.zeros(Q)
        for i in range(Q):  # position r + 1 + i after ordering
            for d, prob in enumerate(p):
                P[i, (i - d) % Q] += prob
                batches[i] += prob * -((i - d) // Q)
        system = np.vstack([P.T - np.eye(Q), np.ones(Q)])
        pi = np.linalg.lstsq(system, np.eye(Q + 1)[-1], rcond=None)[0]
        for r in range(-6, 9):
            G = [naive.level_cost(p, lead_time + 1, r + 1 + i, h, b) for i in range(Q)]
            costs[r, Q] = pi @ G + K * (pi @ batches)
    assert best.cost == pytest.approx(min(costs.values()), abs=1e-9)
    assert costs[best.r, best.Q] == pytest.approx(best.cost, abs=1e-9)


def test_unit_demands_make_the_two_the_same():
    law = Categorical((0.4, 0.6))
    batch = r_Q_optimum(law, lead_time=3, setup=4, penalty=6)
    reorder = s_S_optimum(law, lead_time=3, setup=4, penalty=6)
    assert (reorder.s, reorder.S - reorder.s) == (batch.r, batch.Q)
    assert reorder.cost == pytest.approx(batch.cost)


def test_cost_between_continues_as_lines():
    law = total(integer_law(Categorical((0.0, 0.5, 0.5))), 2)  # 2, 3, 4
    G = cost_between(law, 0, 7, 2.0, 5.0)
    np.testing.assert_allclose(G, [naive.level_cost((0.0, 0.5, 0.5), 2, y, 2.0, 5.0) for y in range(8)])


@pytest.mark.parametrize("call", [s_S_optimum, r_Q_optimum])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"demand": [1.0]}, "demand must be a law on"),
        ({"demand": Categorical((1.0,))}, "demand is always 0"),
        ({"lead_time": -1}, "lead_time must be at least 0"),
        ({"lead_time": 0.5}, "lead_time must be an integer"),
        ({"setup": -1.0}, "setup must be in"),
        ({"setup": 1e9}, "setup 1e\\+09 needs more than"),
        ({"penalty": 0.0}, "penalty must be in"),
        ({"holding": 0.0}, "holding must be in"),
    ],
)
def test_bad_arguments_are_named(call, change, message):
    given = {"demand": Poisson(1.0), "lead_time": 0, "setup": 1.0, "penalty": 1.0} | change
    with pytest.raises(ValueError, match=message):
        call(given.pop("demand"), **given)


def test_bad_batches_are_named():
    with pytest.raises(ValueError, match="demand is a multiple of 2, use that as the unit"):
        r_Q_optimum(Categorical((0.5, 0.0, 0.5)), lead_time=0, setup=1, penalty=1)
    with pytest.raises(ValueError, match="demand must be Poisson under continuous review"):
        r_Q_optimum(Geometric(1.0), lead_time=0, setup=1, penalty=1, continuous=True)
    with pytest.raises(ValueError, match="lead_time must be in"):
        r_Q_optimum(Poisson(1.0), lead_time=-0.5, setup=1, penalty=1, continuous=True)
