"""A store with lost sales: tables, brute force on a box, wider bounds, properties of orders, bad input."""

import itertools

import numpy as np
import pytest

from eluder.envs.inventory import (
    Categorical,
    Geometric,
    LostSalesPlan,
    Normal,
    Poisson,
    lost_sales_optimum,
    lost_sales_plan,
    uniform_demand,
)
from eluder.envs.inventory import _lost_sales as module
from eluder.envs.inventory._store_states import cells, fronts, order_levels, store_states
from tests.envs.inventory.naive_lost_sales import box_iteration

# Optima at holding 1: Zipkin's instances, mean 5, by lead time; columns are penalties 4, 9, 19, 39.
TABLE = {
    ("Poisson", 1): (4.040711170, 5.438219409, 6.675743996, 7.835949012),
    ("Poisson", 2): (4.395295135, 6.093642387, 7.664416428, 9.106380249),
    ("Poisson", 3): (4.598718741, 6.531371099, 8.362510335, 10.038478479),
    ("Poisson", 4): (4.728525500, 6.835942018, 8.887177982, 10.794411617),
    ("Geometric", 1): (9.81748647, 14.50817059, 19.21790326, 23.86568610),
    ("Geometric", 2): (10.24021213, 15.50289445, 20.89055492, 26.21376923),
    ("Geometric", 3): (10.46671047, 16.13674076, 22.06453806, 27.96353847),
    ("Geometric", 4): (10.606502, 16.577370, 22.953004, 29.355932),
}
LAWS = {"Poisson": Poisson(5.0), "Geometric": Geometric(5.0)}
PENALTIES = (4, 9, 19, 39)
SMALL = Categorical((0.2, 0.5, 0.1, 0.2))


@pytest.mark.parametrize(("name", "L"), TABLE)
def test_the_published_optima(name, L):
    digits = 1e-6 if (name, L) == ("Geometric", 4) else 1e-8
    for penalty, truth in zip(PENALTIES, TABLE[name, L], strict=True):
        plan = lost_sales_plan(LAWS[name], lead_time=L, penalty=penalty)
        assert plan.status == "converged"
        assert plan.lower <= plan.gain <= plan.upper
        assert 0 < plan.gap <= 1e-9
        assert plan.gain == pytest.approx(truth, abs=digits)


@pytest.mark.parametrize(
    ("L", "penalty", "truth"),
    [
        (5, 4, 4.8138966),
        (5, 9, 7.0580202),
        pytest.param(6, 4, 4.872515, marks=pytest.mark.slow),
        pytest.param(6, 9, 7.228960, marks=pytest.mark.slow),
    ],
)
def test_long_lead_times(L, penalty, truth):
    gain = lost_sales_optimum(Poisson(5.0), lead_time=L, penalty=penalty, tol=1e-7)
    assert gain == pytest.approx(truth, abs=1e-6)


@pytest.mark.parametrize(
    ("demand", "L", "penalty", "holding", "on_hand", "order"),
    [
        (SMALL, 1, 4.0, 1.0, 12, 8),
        (SMALL, 2, 4.0, 1.0, 12, 5),
        (SMALL, 3, 2.5, 0.7, 11, 4),
        (uniform_demand(0, 2), 3, 9.0, 2.0, 11, 4),
        (Categorical((0.7, 0.0, 0.0, 0.3)), 2, 7.0, 1.0, 14, 6),
        (Categorical((0.0, 0.5, 0.5)), 2, 0.3, 1.0, 9, 4),
    ],
)
def test_against_brute_force_on_a_larger_box(demand, L, penalty, holding, on_hand, order):
    low, high, V, Q, _ = box_iteration(demand, L, penalty, holding, on_hand, order)
    plan = lost_sales_plan(demand, lead_time=L, penalty=penalty, holding=holding, tol=1e-10)
    assert on_hand > plan.levels[-1]
    assert order > plan.levels[1]
    assert plan.gain == pytest.approx((low + high) / 2, abs=1e-9)
    at = tuple(plan.states.T)
    np.testing.assert_allclose(plan.V, V[at], atol=1e-7)
    np.testing.assert_allclose(Q[(*at, plan.orders)], Q[at].min(axis=1), atol=1e-7)


@pytest.mark.parametrize(("demand", "L"), [(SMALL, 1), (SMALL, 2), (SMALL, 3), (uniform_demand(0, 2), 2)])
def test_values_of_finite_horizons_keep_the_slope_that_bounds_the_orders(demand, L):
    plan = lost_sales_plan(demand, lead_time=L, penalty=4.0)
    on_hand = int(plan.levels[-1]) + 1
    *_, history = box_iteration(demand, L, 4.0, 1.0, on_hand, int(plan.levels[1]) + 1)
    states = plan._states
    for V in history:
        for m, front in enumerate(fronts(states)):
            line = V[(slice(0, front + 2), *states.pipelines[m])]
            assert np.diff(line).max() <= plan.slope + 1e-9


@pytest.mark.parametrize("slope", [30.0, 300.0])
def test_wider_bounds_change_nothing(slope):
    plan = lost_sales_plan(Poisson(2.0), lead_time=3, penalty=9.0)
    p = Poisson(2.0).pmf()
    wide = store_states(order_levels(p, 3, 9.0, 1.0, slope))
    cost = module.period_cost(p, int(wide.levels[-1]), 9.0, 1.0)
    V, _, low, high, _ = module._solve(wide, p, cost, 1e-9, 100)
    assert len(V) > 1.5 * len(plan.V)
    assert (low + high) / 2 == pytest.approx(plan.gain, abs=2e-9)
    cell, inside = cells(wide, plan.states)
    assert inside.all()
    np.testing.assert_allclose(V[cell], plan.V, atol=1e-6)


def test_orders_fall_by_at_most_one_per_unit_and_most_for_the_latest():
    """Zipkin 2008: -1 <= change with x_{L-1} <= ... <= change with x_0 <= 0."""
    plan = lost_sales_plan(Poisson(3.0), lead_time=3, penalty=9.0)
    where = {tuple(x): q for x, q in zip(plan.states.tolist(), plan.orders.tolist(), strict=True)}
    for x, q in where.items():
        change = [where.get((*x[:k], x[k] + 1, *x[k + 1 :])) for k in range(3)]
        steps = [c - q for c in change if c is not None]
        assert all(-1 <= s <= 0 for s in steps)
        if None not in change:
            assert steps == sorted(steps, reverse=True)


def test_the_plan_is_a_policy_and_prints():
    plan = lost_sales_plan(Poisson(2.0), lead_time=2, penalty=4.0)
    assert isinstance(plan, LostSalesPlan)
    assert plan.V[0] == 0
    x = plan.states
    assert x.shape == (len(plan.V), 2)
    np.testing.assert_array_equal(plan(x), plan.orders)
    np.testing.assert_array_equal(plan(x[:6].reshape(2, 3, 2).astype(float)), plan.orders[:6].reshape(2, 3))
    text = plan.table(2).splitlines()
    assert text[0].split()[:3] == ["under", "way", "|"]
    assert [int(q) for q in text[2].split("|")[1].split()] == plan.orders[x[:, 1] == 1].tolist()
    assert text[-1] == f"({plan.levels[1] - 1} more)"
    assert "-" in lost_sales_plan(Poisson(2.0), lead_time=1, penalty=4.0).table()


def test_states_are_all_that_keep_the_bounds_and_successors_stand_where_they_should():
    levels = np.array([0, 2, 3, 4, 6])
    s = store_states(levels)
    listed = []
    for m, z in enumerate(s.pipelines.tolist()):
        assert s.room[m] == 6 - sum(z)
        listed += [(x, *z) for x in range(s.room[m] + 1)]
        for q in range(s.most[m] + 1):
            assert s.pipelines[s.child[m] + q].tolist() == [*z[1:], q]
        line = [*z, s.most[m] + 1]
        assert any(sum(line[-j:]) > levels[j] for j in (1, 2, 3))
        assert s.due[m] == z[0]
        # the largest x_0 with which every window of (x_0, z) that starts at x_0 keeps its bound
        most = [x for x in range(7) if all(x + sum(z[: j - 1]) <= levels[j] for j in (1, 2, 3))]
        assert fronts(s)[m] == max(most)
    wanted = [
        x
        for x in itertools.product(range(7), repeat=3)
        if max(x[1:]) <= 2 and sum(x[1:]) <= 3 and sum(x) <= 6
    ]
    assert sorted(listed) == wanted
    cell, inside = cells(s, np.array([*listed, (0, 3, 0), (0, 2, 2), (7, 0, 0), (-1, 0, 0)]))
    assert inside.tolist() == [True] * len(listed) + [False] * 4
    np.testing.assert_array_equal(cell[:-4], np.arange(len(listed)))


def test_bounds_by_hand():
    # D = 1 with certainty: sums of j demands are j
    assert order_levels(np.array([0.0, 1.0]), 2, 4.0, 1.0).tolist() == [0, 1, 2, 3]
    # P(D > 1) = 1/4 <= h / (h + p) = 1/4; P(D_1 + D_2 > 2) = 5/16, P(. > 3) = 1/16
    p = np.array([0.25, 0.5, 0.25])
    assert order_levels(p, 1, 3.0, 1.0).tolist() == [0, 1, 3]
    assert order_levels(p, 1, 3.01, 1.0).tolist() == [0, 2, 3]
    assert order_levels(p, 1, 3.0, 1.0, 0.01).tolist() == [0, 2, 3]
    # a position leaves room for one unit more than L orders may be
    assert order_levels(np.array([0.999, 0.001]), 1, 0.1, 1.0).tolist() == [0, 0, 1]
    # penalties that no sum of probabilities resolves: about the largest demand, not none
    for law in (Poisson(5.0), Geometric(5.0), Categorical((0.1,) * 10)):
        levels = order_levels(law.pmf(), 3, 1e30, 1.0)
        assert levels[1] > 0.5 * len(law.pmf())
        assert (np.diff(levels) > 0).all()


def test_cost_of_a_period_by_hand():
    p = np.array([0.25, 0.5, 0.25])
    # x = 1: 1 left with 1/4, 1 short with 1/4
    np.testing.assert_allclose(module.period_cost(p, 3, 8.0, 2.0), [8.0, 2.5, 2.0, 4.0])
    np.testing.assert_allclose(module.period_cost(p, 1, 8.0, 2.0), [8.0, 2.5])
    np.testing.assert_allclose(module.at_least(p, 4), [1, 0.75, 0.25, 0, 0])


def test_certain_demand_is_periodic_but_solved():
    # a demand of 2 in every period: order 2, nothing is held, nothing is lost
    plan = lost_sales_plan(Categorical((0.0, 0.0, 1.0)), lead_time=3, penalty=5.0)
    assert plan.gain == pytest.approx(0, abs=1e-9)
    # a unit held costs more than it saves: hold nothing, lose everything
    assert lost_sales_optimum(Categorical((0.999, 0.001)), lead_time=1, penalty=0.1) == pytest.approx(
        1e-4, abs=2e-9
    )


def test_costs_scale_with_money():
    one = lost_sales_optimum(SMALL, lead_time=2, penalty=4.0)
    assert lost_sales_optimum(SMALL, lead_time=2, penalty=12.0, holding=3.0) == pytest.approx(3 * one)


def test_what_did_not_converge_says_so():
    with pytest.warns(RuntimeWarning, match="stopped after 1 sweeps with gap"):
        plan = lost_sales_plan(SMALL, lead_time=2, penalty=4.0, max_iter=1)
    assert plan.status.endswith("raise max_iter or tol")
    truth = lost_sales_optimum(SMALL, lead_time=2, penalty=4.0)
    assert plan.lower <= truth <= plan.upper


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"demand": Normal(5.0, 1.0)}, "demand must be a law on the integers"),
        ({"demand": Categorical((1.0, 0.0))}, "demand is always zero"),
        ({"lead_time": 0}, "lead_time must be at least 1, got 0"),
        ({"lead_time": 1.5}, "lead_time must be an integer"),
        ({"penalty": 0.0}, "penalty must be in"),
        ({"holding": -1.0}, "holding must be in"),
        ({"tol": 0.0}, "tol must be in"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"demand": Poisson(500.0), "lead_time": 4}, "lead_time 4 and this demand need more than 67,108,864"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"demand": Poisson(2.0), "lead_time": 1, "penalty": 4.0, **changes}
    with pytest.raises(ValueError, match=message):
        lost_sales_plan(arguments.pop("demand"), **arguments)


def test_a_plan_refuses_states_it_does_not_list():
    plan = lost_sales_plan(Poisson(2.0), lead_time=2, penalty=4.0)
    with pytest.raises(ValueError, match=r"states\[1\] is \[99, 0\], the plan does not list it"):
        plan(np.array([[0, 0], [99, 0]]))
    with pytest.raises(ValueError, match=r"states\[0\] is \[0.5, 0.0\]"):
        plan(np.array([[0.5, 0]]))
    with pytest.raises(ValueError, match=r"states must have shape \(..., 2\), got \(3,\)"):
        plan(np.zeros(3))
    with pytest.raises(ValueError, match="rows must be"):
        plan.table(0)


@pytest.mark.parametrize("L", [1, 2, 3, 4])
@pytest.mark.parametrize("demand", [Poisson(2.0), Categorical((0.5, 0.0, 0.5))])
def test_states_are_refused_only_if_they_are_too_many(L, demand, monkeypatch):
    levels = order_levels(demand.pmf(), L, 9.0, 1.0)
    cells_of_all = int(store_states(levels).offset[-1])
    monkeypatch.setattr("eluder.envs.inventory._store_states.MOST", cells_of_all)
    assert store_states(levels).offset[-1] == cells_of_all
    monkeypatch.setattr("eluder.envs.inventory._store_states.MOST", cells_of_all - 1)
    with pytest.raises(ValueError, match=f"lead_time {L} and this demand need more than"):
        store_states(levels)


def test_far_too_many_states_are_refused_unlisted(monkeypatch):
    monkeypatch.delattr("eluder.envs.inventory._store_states._most")
    with pytest.raises(ValueError, match="lead_time 40 and this demand need more than 67,108,864 states"):
        lost_sales_optimum(Poisson(5.0), lead_time=40, penalty=9.0)
