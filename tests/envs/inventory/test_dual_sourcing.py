"""Dual sourcing: tabulated optima, value iteration on the physical system, heuristics by exact chains."""

import numpy as np
import pytest

from eluder.envs.inventory import (
    Categorical,
    DualIndex,
    DualSourcingCost,
    DualSourcingHeuristic,
    DualSourcingResult,
    Poisson,
    TailoredBaseSurge,
    backlogged_optimum,
    best_dual_index,
    best_tailored_base_surge,
    dual_sourcing_cost,
    dual_sourcing_optimum,
    uniform_demand,
)
from eluder.envs.inventory import _dual_index as index
from eluder.envs.inventory import _dual_sourcing as dual
from eluder.envs.inventory._dual_chain import reachable, stationary
from eluder.envs.inventory._lattice import integer_law
from tests.envs.inventory import naive_dual as naive

# demand 0 to 4 with equal probability, h = 5, p = 495, express lead time 0, regular orders cost nothing
TABLE = {
    (5, 2): 16.76980198,
    (5, 3): 16.87671987,
    (5, 4): 16.89305091,
    (10, 2): 19.73333333,
    (10, 3): 20.34105134,
    (10, 4): 20.61223180,
    (20, 2): 23.07142857,
    (20, 3): 24.33561033,
    (20, 4): 25.03978234,
}


def tabulated(express_cost, lead_time, penalty=495):
    return {
        "lead_times": (lead_time, 0),
        "unit_costs": (0, express_cost),
        "penalty": penalty,
        "holding": 5,
    }


# --- the optimum ---


@pytest.mark.parametrize("row", TABLE)
def test_optima_of_the_table(row):
    best = dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(*row))
    assert isinstance(best, DualSourcingResult)
    assert best.status == "converged"
    assert best.lower <= best.cost <= best.upper < best.lower + 2.1e-9
    assert best.cost == pytest.approx(TABLE[row], abs=1e-8)


def test_optimum_with_a_smaller_penalty():
    best = dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(20, 2, penalty=95))
    assert best.cost == pytest.approx(22.824, abs=1e-6)


SMALL = [
    ((0.3, 0.3, 0.4), (2, 0), (0.5, 1.5), 4.0, 1.0),
    ((0.5, 0.0, 0.5), (3, 0), (0.0, 2.0), 5.0, 1.0),
    ((0.2, 0.5, 0.3), (2, 1), (0.2, 1.0), 3.0, 0.5),
    ((0.4, 0.4, 0.2), (3, 1), (0.0, 1.0), 6.0, 1.0),
    ((0.6, 0.4), (1, 0), (0.0, 3.0), 2.0, 1.0),  # so dear that express orders never pay
]


@pytest.mark.parametrize("case", SMALL)
def test_no_policy_is_better(case):
    p, lead_times, unit_costs, penalty, holding = case
    sizes = {"low": -6, "high": 8, "express": 4, "regular": 3}
    low, high = naive.dynamic_program(p, lead_times, unit_costs, penalty, holding, **sizes)
    assert high - low < 1e-8
    problem = {"lead_times": lead_times, "unit_costs": unit_costs, "penalty": penalty, "holding": holding}
    best = dual_sourcing_optimum(Categorical(p), **problem)
    assert low - 1e-8 <= best.cost <= high + 1e-8
    exact = dual_sourcing_cost(Categorical(p), best, **problem)
    assert exact.cost == pytest.approx(best.cost, abs=3e-9)


@pytest.mark.parametrize("law", [Poisson(2.0), uniform_demand(1, 4), Categorical((0.9, 0, 0, 0, 0, 0.1))])
def test_wider_bounds_change_nothing(law, monkeypatch):
    problem = {"lead_times": (2, 0), "unit_costs": (1.0, 3.0), "penalty": 9.0}
    best = dual_sourcing_optimum(law, **problem)
    monkeypatch.setattr(dual, "_first_bounds", lambda _: dual.Bounds(-8, 20, 14))
    assert dual_sourcing_optimum(law, **problem).cost == pytest.approx(best.cost, abs=3e-9)


def test_narrow_bounds_are_widened(monkeypatch):
    want = dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(10, 3)).cost
    monkeypatch.setattr(dual, "_first_bounds", lambda _: dual.Bounds(3, 4, 0))
    best = dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(10, 3))
    assert best.cost == pytest.approx(want, abs=3e-9)


def test_suppliers_of_one_price_make_a_newsvendor():
    best = dual_sourcing_optimum(Poisson(3.0), lead_times=(3, 1), unit_costs=(2.0, 2.0), penalty=9.0)
    assert best.cost == pytest.approx(backlogged_optimum(Poisson(3.0), lead_time=1, penalty=9.0).cost + 6.0)


def test_a_prohibitive_price_leaves_the_regular_supplier():
    problem = {"lead_times": (3, 0), "unit_costs": (1.0, 500.0), "penalty": 4.0}
    best = dual_sourcing_optimum(Categorical((0.3, 0.4, 0.3)), **problem)
    alone = backlogged_optimum(Categorical((0.3, 0.4, 0.3)), lead_time=3, penalty=4.0).cost + 1.0
    assert best.cost == pytest.approx(alone, abs=1e-8)


def test_policy_of_the_optimum_in_simulation():
    problem = {"lead_times": (3, 1), "unit_costs": (0.0, 2.0), "penalty": 9.0, "holding": 1.0}
    law = uniform_demand(0, 3)
    best = dual_sourcing_optimum(law, **problem)
    rng = np.random.default_rng(0)
    mean, error = naive.simulate(
        lambda n: law.sample(rng, (n,)), best, **problem, chains=3000, periods=200, warm_up=40
    )
    assert mean == pytest.approx(best.cost, abs=4 * error)
    assert error < 0.01 * mean


def test_policy_outside_its_table_is_refused():
    best = dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(5, 2))
    with pytest.raises(ValueError, match="x leaves the table"):
        best(np.array([best.low - 1]), np.array([[0]]))
    with pytest.raises(ValueError, match=r"pipeline\[:, 0\] leaves the table"):
        best(np.array([0]), np.array([[99]]))
    top = best.regular.shape[0] - 1 + best.low
    with pytest.raises(ValueError, match="x and pipeline leave the table"):
        best(np.array([top]), np.array([[3]]))


def test_a_few_sweeps_are_said_not_to_be_enough():
    with pytest.warns(RuntimeWarning, match=r"not converged: bounds .* raise max_iter"):
        best = dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(5, 2), max_iter=3)
    assert best.status.startswith("not converged")
    assert best.lower <= TABLE[5, 2] + 1e-9
    assert best.num_iter == 3


# --- policies ---


@pytest.mark.parametrize("row", [(5, 2), (10, 3), (20, 3)])
def test_heuristics_are_evaluated_exactly(row):
    law, problem = uniform_demand(0, 4), tabulated(*row)
    optimum = dual_sourcing_optimum(law, **problem).cost
    plain, capped = best_dual_index(law, **problem), best_dual_index(law, **problem, capped=True)
    for best in (plain, capped):
        assert isinstance(best, DualSourcingHeuristic)
        exact = dual_sourcing_cost(law, best.policy, **problem)
        assert isinstance(exact, DualSourcingCost)
        assert exact.upper - exact.lower < 2.1e-9
        assert best.cost == pytest.approx(exact.cost, abs=3e-9)
    assert optimum - 1e-8 <= capped.cost <= plain.cost
    assert optimum <= best_tailored_base_surge(law, **problem).cost


def test_no_levels_are_better_than_the_best():
    law, problem = (
        Categorical((0.3, 0.3, 0.4)),
        {"lead_times": (3, 0), "unit_costs": (0.0, 1.5), "penalty": 6.0},
    )
    costs = {
        (s, s + gap, cap): dual_sourcing_cost(law, DualIndex(s, s + gap, cap), **problem).cost
        for s in range(-1, 4)
        for gap in range(7)
        for cap in (1, 2, None)
    }
    best = best_dual_index(law, **problem)
    assert best.cost == pytest.approx(min(c for (_, _, cap), c in costs.items() if cap is None), abs=1e-8)
    capped = best_dual_index(law, **problem, capped=True)
    assert capped.cost == pytest.approx(min(costs.values()), abs=1e-8)
    p = capped.policy
    assert costs[p.express_level, p.regular_level, p.cap] == pytest.approx(capped.cost, abs=1e-8)


@pytest.mark.parametrize("lead_times", [(1, 0), (2, 1)])
def test_consecutive_lead_times_make_the_dual_index_optimal(lead_times):
    problem = {"lead_times": lead_times, "unit_costs": (1.0, 4.0), "penalty": 9.0}  # Fukuda 1964
    best = best_dual_index(Poisson(3.0), **problem)
    assert best.cost == pytest.approx(dual_sourcing_optimum(Poisson(3.0), **problem).cost, abs=1e-8)


def test_a_long_regular_lead_time_favours_base_surge():
    law = uniform_demand(0, 4)
    surge = best_tailored_base_surge(law, **tabulated(5, 4))
    assert surge.cost < best_dual_index(law, **tabulated(5, 4)).cost
    assert surge == best_tailored_base_surge(law, **tabulated(5, 2))


@pytest.mark.parametrize("policy", ["index", "capped", "surge"])
def test_costs_in_simulation(policy):
    law = uniform_demand(0, 4)
    problem = {"lead_times": (3, 1), "unit_costs": (0.5, 2.0), "penalty": 9.0, "holding": 1.0}
    find = best_tailored_base_surge if policy == "surge" else best_dual_index
    best = find(law, **problem, **({"capped": True} if policy == "capped" else {}))
    rng = np.random.default_rng(0)
    mean, error = naive.simulate(
        lambda n: law.sample(rng, (n,)), best.policy, **problem, chains=3000, periods=220, warm_up=60
    )
    assert mean == pytest.approx(best.cost, abs=4 * error)
    assert error < 0.01 * mean


def test_orders_by_hand():
    x, pipeline = np.array([1, 5, 9]), np.array([[2, 1], [0, 0], [0, 4]])
    for cap, wanted in ((None, [3, 5, 0]), (2, [2, 2, 0])):
        q, e = DualIndex(4, 10, cap)(x, pipeline)
        assert (q.tolist(), e.tolist()) == (wanted, [3, 0, 0])
    q, e = TailoredBaseSurge(4, 2)(x, pipeline)
    assert (q.tolist(), e.tolist()) == ([2, 2, 2], [3, 0, 0])


@pytest.mark.parametrize("law", [uniform_demand(0, 4), Poisson(2.1), uniform_demand(1, 4)])
@pytest.mark.parametrize("Q", [0, 1, 2])
def test_overshoot_of_base_surge(law, Q):
    if law.mean <= Q:
        with pytest.raises(ValueError, match="stock has no end"):
            index.surge_overshoot(integer_law(law), Q)
        return
    pi = index.surge_overshoot(integer_law(law), Q)
    p = law.pmf()
    step = np.zeros(len(pi) + Q)
    for w, mass in enumerate(pi):
        for d, prob in enumerate(p):
            step[max(w + Q - d, 0)] += mass * prob
    np.testing.assert_allclose(step[: len(pi)], pi, atol=1e-13)
    assert pi.sum() == pytest.approx(1)
    idle = sum(
        mass * prob * max(d - w - Q, 0)
        for w, mass in enumerate(pi)
        for d, prob in enumerate(p)
        if mass > 1e-17
    )
    assert idle == pytest.approx(law.mean - Q, abs=1e-9)  # express orders make up for the rest


def test_the_chain_is_closed_and_its_distribution_stationary():
    p = np.array([0.2, 0.3, 0.5])
    chain = reachable(DualIndex(1, 4, 2), np.arange(3), 3)
    for i, (x, q1, q2) in enumerate(chain.states):
        for d in range(3):
            after = [x + chain.express[i] + q1 - d, q2, chain.regular[i]]
            assert chain.states[chain.successors[i, d]].tolist() == after
    assert len(np.unique(chain.states, axis=0)) == len(chain.states)
    P = np.zeros((len(chain.states),) * 2)
    for d in range(3):
        P[np.arange(len(P)), chain.successors[:, d]] += p[d]
    pi = stationary(chain, p)
    np.testing.assert_allclose(pi @ P, pi, atol=1e-13)


# --- bad arguments ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"demand": [1.0]}, "demand must be a law on"),
        ({"lead_times": (1, 1)}, r"lead_times must be \(regular, express\), regular longer, got \(1, 1\)"),
        ({"lead_times": (2, -1)}, r"lead_times\[1\] is -1"),
        ({"lead_times": (2.5, 1)}, r"lead_times\[0\] must be an integer"),
        ({"lead_times": (2, 1, 0)}, "lead_times must have shape"),
        (
            {"unit_costs": (2.0, 1.0)},
            r"unit_costs must be \(regular, express\), express dearer",
        ),
        ({"unit_costs": (-1.0, 1.0)}, r"unit_costs\[0\] is -1"),
        ({"penalty": 0.0}, "penalty must be in"),
        ({"holding": 0.0}, "holding must be in"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"demand": Poisson(1.0), "lead_times": (2, 0), "unit_costs": (0.0, 1.0), "penalty": 1.0} | change
    law = given.pop("demand")
    for call in (dual_sourcing_optimum, best_dual_index, best_tailored_base_surge):
        with pytest.raises(ValueError, match=message):
            call(law, **given)
    with pytest.raises(ValueError, match=message):
        dual_sourcing_cost(law, DualIndex(0, 0), **given)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda x, m: (x * 0 + 0.5, x * 0), "policy gives a regular order 0.5 at state"),
        (lambda x, m: (x * 0, x * 0 - 1), "policy gives a express order -1 at state"),
        (lambda x, m: (np.zeros(3), x), r"policy gives a regular order of shape \(3,\)"),
    ],
)
def test_bad_policies_are_named(policy, message):
    with pytest.raises(ValueError, match=message):
        dual_sourcing_cost(uniform_demand(0, 2), policy, **tabulated(5, 2))


def test_states_without_end_are_refused(monkeypatch):
    monkeypatch.setattr("eluder.envs.inventory._dual_chain.MOST", 1000)
    with pytest.raises(ValueError, match="policy reaches more than 1,000 states"):
        dual_sourcing_cost(uniform_demand(0, 4), TailoredBaseSurge(4, 1), **tabulated(5, 2))
    monkeypatch.setattr(dual, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"demand and lead_times need .* states, more than 1,000"):
        dual_sourcing_optimum(uniform_demand(0, 4), **tabulated(5, 4))


def test_limits_of_sweeps_and_queues(monkeypatch):
    with pytest.raises(ValueError, match="tol must be in"):
        dual_sourcing_optimum(Poisson(1.0), **tabulated(5, 2), tol=0.0)
    with pytest.raises(ValueError, match="max_iter must be at least 1"):
        dual_sourcing_cost(Poisson(1.0), DualIndex(0, 1), **tabulated(5, 2), max_iter=0)
    with pytest.warns(RuntimeWarning, match="not converged"):
        dual_sourcing_cost(uniform_demand(0, 4), DualIndex(4, 8), **tabulated(5, 2), max_iter=2)
    monkeypatch.setattr(index, "LONGEST_QUEUE", 64)
    with pytest.raises(ValueError, match=r"demand has mean 1.01, too near the regular order 1"):
        best_tailored_base_surge(Categorical((0.495, 0.0, 0.505)), **tabulated(5, 2))


def test_a_constant_order_that_demand_always_takes_has_finitely_many_states():
    """The least demand is the order: stock stays at the level, the rest is a newsvendor's cost."""
    law, problem = Categorical((0.0, 0.5, 0.0, 0.5)), tabulated(10, 3)
    found = dual_sourcing_cost(law, TailoredBaseSurge(3, 1), **problem)
    assert found.cost == pytest.approx(10 * 1.0 + 5 * 0.5 * 2, abs=1e-8)
    assert found.num_states == 5 + 2


def test_stock_without_end_is_refused_at_once():
    for regular in (1, 2, 3, 4):
        with pytest.raises(ValueError, match=r"new states after 10,000 periods, the last .* no end"):
            dual_sourcing_cost(uniform_demand(0, 4), TailoredBaseSurge(4, 1), **tabulated(5, regular))


def test_states_far_away_are_found():
    """An order of one unit a period up to a high level: all positions up to it."""
    p = np.array([0.5, 0.5])
    chain = reachable(DualIndex(0, 3000, 1), np.arange(2), 1)
    assert np.sort(chain.states[:, 0]).tolist() == list(range(3001))
    after = chain.states[:, 0] + chain.express + chain.regular
    np.testing.assert_array_equal(chain.states[chain.successors, 0], after[:, None] - np.arange(2))
    assert stationary(chain, p, most=1).sum() == pytest.approx(1.0)
