"""Exact costs of policies of a store, and the heuristics: tables, dense chains, simulation, bad input."""

import numpy as np
import pytest

from eluder.envs.inventory import (
    BaseStock,
    BestPolicy,
    CappedBaseStock,
    Categorical,
    ConstantOrder,
    Geometric,
    MyopicOrder,
    Normal,
    Poisson,
    ProjectedInventory,
    StoreCost,
    StorePolicy,
    best_store_policy,
    evaluate_store,
    lost_sales_optimum,
    lost_sales_plan,
    store_policy_cost,
)
from eluder.envs.inventory import _store_chain as chain
from eluder.envs.inventory._store_policies import _arrival
from tests.envs.inventory import naive_lost_sales as naive

# Poisson(5), holding 1; by (lead time, penalty): base-stock level and cost; capped level, cap and cost.
TABLE = {
    (1, 4): (12, 4.162803, 12, 6, 4.065419),
    (1, 9): (13, 5.547472, 14, 6, 5.481227),
    (1, 19): (15, 6.727785, 15, 8, 6.687749),
    (1, 39): (16, 7.862647, 16, 9, 7.842475),
    (2, 4): (16, 4.638644, 17, 5, 4.405732),
    (2, 9): (19, 6.316261, 19, 6, 6.119093),
    (2, 19): (21, 7.842174, 21, 7, 7.720861),
    (2, 39): (22, 9.190278, 22, 8, 9.132584),
    (3, 4): (20, 4.974996, 21, 5, 4.630770),
    (3, 9): (23, 6.864027, 24, 6, 6.616440),
    (3, 19): (26, 8.604489, 26, 6, 8.401040),
    (3, 39): (28, 10.217627, 28, 7, 10.085258),
    (4, 4): (25, 5.197769, 26, 5, 4.797850),
    (4, 9): (28, 7.270933, 29, 5, 6.912279),
    (4, 19): (31, 9.231933, 31, 6, 8.954383),
    (4, 39): (33, 11.062288, 34, 6, 10.892605),
}
SMALL = Categorical((0.2, 0.5, 0.1, 0.2))


@pytest.mark.parametrize(("L", "penalty"), TABLE)
def test_the_published_heuristics(L, penalty):
    level, cost, capped_level, cap, capped = TABLE[L, penalty]
    best = best_store_policy(BaseStock, Poisson(5.0), lead_time=L, penalty=penalty)
    assert isinstance(best, BestPolicy)
    assert best.policy == BaseStock(level)
    assert best.cost == pytest.approx(cost, abs=1e-6)
    best = best_store_policy(CappedBaseStock, Poisson(5.0), lead_time=L, penalty=penalty)
    assert best.policy == CappedBaseStock(capped_level, cap)
    assert best.cost == pytest.approx(capped, abs=1e-6)
    assert best.tried > 3


@pytest.mark.parametrize("L", [1, 2, 3])
def test_the_optimal_policy_costs_the_optimum(L):
    plan = lost_sales_plan(Poisson(5.0), lead_time=L, penalty=9.0)
    done = evaluate_store(plan, Poisson(5.0), lead_time=L, penalty=9.0)
    assert isinstance(done, StoreCost)
    assert done.cost == pytest.approx(plan.gain, abs=2e-9)
    assert done.lower <= done.cost <= done.upper
    assert done.classes == 1
    assert done.status == "converged"


def wild(x):
    """A rule without structure."""
    return (x @ np.arange(1, x.shape[1] + 1) + 2) % 3


POLICIES = {
    "base stock": lambda L: BaseStock(2 * L + 1),
    "capped": lambda L: CappedBaseStock(2 * L + 2, 2),
    "constant": lambda L: CappedBaseStock(3 * L + 4, 1),
    "wild": lambda L: lambda x: np.where(x.sum(axis=1) > 7, 0, wild(x)),
    "projected": lambda L: ProjectedInventory(2.3, SMALL),
    "myopic": lambda L: MyopicOrder(SMALL, penalty=4.0),
}


@pytest.mark.parametrize("L", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "lost"), [*((name, True) for name in POLICIES), ("base stock", False), ("capped at 3", False)]
)
def test_chain_against_a_dense_twin(name, L, lost):
    policy = CappedBaseStock(5, 3) if name == "capped at 3" else POLICIES[name](L)  # no demand is above 3
    cost, shares = naive.chain_cost(policy, SMALL, L, 4.0, 0.7, lost)
    done = evaluate_store(policy, SMALL, lead_time=L, penalty=4.0, holding=0.7, lost=lost)
    assert done.cost == pytest.approx(cost, abs=1e-9)
    assert {tuple(x) for x in done.states.tolist()} == set(shares)
    np.testing.assert_allclose(done.stationary, [shares[tuple(x)] for x in done.states.tolist()], atol=1e-9)
    assert done.cost == pytest.approx(0.7 * done.on_hand + 4.0 * done.short)
    assert store_policy_cost(
        policy, SMALL, lead_time=L, penalty=4.0, holding=0.7, lost=lost
    ) == pytest.approx(cost, abs=1e-9)


@pytest.mark.parametrize("L", [1, 2])
def test_large_classes_are_swept_to_the_same_answer(L, monkeypatch):
    policy = CappedBaseStock(13, 6)
    direct = evaluate_store(policy, Poisson(3.0), lead_time=L, penalty=4.0)
    monkeypatch.setattr(chain, "DIRECT", 0)
    swept = evaluate_store(policy, Poisson(3.0), lead_time=L, penalty=4.0)
    assert swept.cost == pytest.approx(direct.cost, abs=1e-9)
    np.testing.assert_allclose(swept.stationary, direct.stationary, atol=1e-9)
    assert 0 < swept.upper - swept.lower <= 2e-10
    monkeypatch.setattr(chain, "SWEEPS", 2)
    with pytest.warns(RuntimeWarning, match="stopped after 2 sweeps between"):
        rough = evaluate_store(policy, Poisson(3.0), lead_time=L, penalty=4.0)
    assert rough.lower < direct.cost < rough.upper
    assert rough.status.endswith("raise tol")


def test_a_store_that_is_empty_at_first_and_full_for_ever():
    def policy(x):
        return np.where(x[:, 0] < 300, 6, 0)

    done = evaluate_store(policy, Poisson(5.0), lead_time=1, penalty=4.0)
    P, c = naive_chain(policy, done.states, Poisson(5.0), 4.0)
    assert done.cost == pytest.approx(naive_shares(P) @ c, abs=1e-8)
    assert done.cost == pytest.approx(done.on_hand + 4.0 * done.short, abs=1e-9)
    assert done.status == "converged"


@pytest.mark.parametrize("direct", [0, 1500])
def test_chains_that_mix_slowly_need_no_more_sweeps(direct, monkeypatch):
    def policy(x):
        return np.where(x.sum(axis=1) < 60, 3, 0)

    monkeypatch.setattr(chain, "DIRECT", direct)
    monkeypatch.setattr(chain, "SWEEPS", 2000)  # alone they would need far more
    done = evaluate_store(policy, Poisson(3.0), lead_time=1, penalty=4.0)
    P, c = naive_chain(policy, done.states, Poisson(3.0), 4.0)
    m = naive_shares(P)
    np.testing.assert_allclose(done.stationary, m, atol=1e-9)
    assert done.stationary.min() >= 0
    assert done.stationary.sum() == pytest.approx(1.0, abs=1e-14)
    assert done.cost == pytest.approx(m @ c, abs=1e-8)
    assert done.status == "converged"
    assert store_policy_cost(policy, Poisson(3.0), lead_time=1, penalty=4.0) == pytest.approx(
        done.cost, abs=1e-9
    )


@pytest.mark.parametrize(("direct", "most"), [(0, 400), (1500, 200)])
def test_sweeps_end_where_rounding_hides_the_rest(direct, most, monkeypatch):
    def policy(x):
        return np.where(x[:, 0] < 300, 3, 0)

    monkeypatch.setattr(chain, "DIRECT", direct)
    with pytest.warns(RuntimeWarning, match=f"stopped after {most} sweeps between"):
        done = evaluate_store(policy, Poisson(3.0), lead_time=1, penalty=1e8)
    P, c = naive_chain(policy, done.states, Poisson(3.0), 1e8)
    assert done.cost == pytest.approx(naive_shares(P) @ c, rel=1e-9)
    assert done.upper - done.lower < 1e-9 * done.cost


def test_bounds_have_room_for_the_rounding_of_large_values():
    bounds = chain._bounds(np.array([2.0, 1.0, 3.0]), np.array([0.0, -1e9, 1.0]))
    np.testing.assert_allclose(bounds, [1 - 1e-6, 3 + 1e-6, 1e-6], rtol=1e-12)


def test_a_krylov_method_brings_costs_nearer_or_nothing(monkeypatch):
    """Costs per period of a million beside differences of 1e-6 that are left of them."""
    P = chain._reach(BaseStock(9), naive.laws(Poisson(5.0))[1], np.zeros(3, dtype=np.int64), True, 10**6)[2]
    rng = np.random.default_rng(0)
    for size in (1e-6, 1.0):
        d = 1e6 + size * rng.random(P.shape[0])
        v = chain._poisson(P, d)
        assert np.ptp(d + P @ v - v) < 1e-3 * size
    monkeypatch.setattr(chain, "KRYLOV", 1)
    for _ in range(20):
        d = rng.normal(size=P.shape[0])
        v = chain._poisson(P, d)
        assert np.ptp(d + P @ v - v) <= np.ptp(d)
        m = chain._balance(P.T.tocsr(), d - d.mean())
        left = d - d.mean() + P.T @ m - m
        assert np.abs(left).sum() <= np.abs(d - d.mean()).sum()


def naive_chain(policy, states, demand, penalty):
    """Dense transition matrix and costs of a store with lead time 1."""
    d, p = naive.laws(demand)
    x, q, place = states[:, 0], policy(states), {x: i for i, x in enumerate(states[:, 0].tolist())}
    P = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for k, w in zip(d, p, strict=True):
            P[i, place[int(max(x[i] - k, 0) + q[i])]] += w
    left, short = np.maximum(x[:, None] - d, 0), np.maximum(d - x[:, None], 0)
    return P, (left + penalty * short) @ p


def naive_shares(P):
    """Stationary distribution by least squares."""
    n = len(P)
    return np.linalg.lstsq(np.vstack([P.T - np.eye(n), np.ones(n)]), np.eye(n + 1)[-1])[0]


def test_a_simulation_agrees():
    rng = np.random.default_rng(0)
    policy, penalty, L = CappedBaseStock(9, 4), 4.0, 2
    done = evaluate_store(policy, Geometric(2.0), lead_time=L, penalty=penalty)
    x = np.zeros((4000, L))
    totals = np.zeros(5)
    for t in range(450):
        q = policy(x)
        d = Geometric(2.0).sample(rng, (4000,))
        left, short = np.maximum(x[:, 0] - d, 0), np.maximum(d - x[:, 0], 0)
        if t >= 50:
            totals += [left.mean(), short.mean(), q.mean(), 1 - short.mean() / 2.0, (left + 4 * short).mean()]
        x = np.column_stack([left + x[:, 1], q])
    wanted = [done.on_hand, done.short, done.ordered, done.fill_rate, done.cost]
    np.testing.assert_allclose(totals / 400, wanted, rtol=0.02)
    assert done.ordered + done.short == pytest.approx(2.0)


def test_base_stock_with_backlog_is_the_newsvendor():
    level = 11
    done = evaluate_store(BaseStock(level), Poisson(2.0), lead_time=2, penalty=4.0, lost=False, tail=1e-11)
    d, p = naive.laws(Poisson(6.0))
    cost = p @ (np.maximum(level - d, 0) + 4.0 * np.maximum(d - level, 0))
    assert done.cost == pytest.approx(cost, abs=1e-7)
    assert done.ordered == pytest.approx(2.0)
    # on hand is the level less the demand of the lead time; what waits already is not served from stock
    (before, w), (k, q) = naive.laws(Poisson(4.0)), naive.laws(Poisson(2.0))
    served = np.minimum(np.maximum(level - before, 0)[:, None], k)
    assert done.fill_rate == pytest.approx(w @ served @ q / 2.0, abs=1e-9)


def test_certain_demand_cycles():
    # demand 2 each period, order 3 when empty: stock 3, 1, 0(+3) ... a periodic chain
    two = Categorical((0.0, 0.0, 1.0))
    rule = lambda x: np.where(x[:, 0] < 2, 4, 0)  # noqa: E731
    # on hand 0 -> order 4 -> 4 (serve 2, keep 2) -> 2 (order 0, serve 2, keep 0) -> 0 (order 4, lose 2)
    done = evaluate_store(rule, two, lead_time=1, penalty=6.0)
    assert done.cost == pytest.approx((2 + 0 + 12) / 3)
    np.testing.assert_allclose(done.stationary, [1 / 3] * 3)
    assert done.fill_rate == pytest.approx(2 / 3)


def test_the_sweep_also_converges_where_the_chain_is_periodic(monkeypatch):
    monkeypatch.setattr(chain, "DIRECT", 0)
    rule = lambda x: np.where(x[:, 0] < 2, 4, 0)  # noqa: E731
    done = evaluate_store(rule, Categorical((0.0, 0.0, 1.0)), lead_time=1, penalty=6.0)
    assert done.cost == pytest.approx(14 / 3, abs=1e-9)


def test_several_closed_classes_are_weighted_by_where_the_start_leads():
    demand = Categorical((0.3, 0.0, 0.7))

    # 6 (order 0) -> 6 or 4; 4 (order 2) -> 6 or 4: a class. 2 (order 0) -> 2 or 0, where it stays
    def keep(x):
        return np.where(x[:, 0] >= 4, 6 - x[:, 0], 0)

    alive = evaluate_store(keep, demand, lead_time=1, penalty=5.0, start=[6])
    dead = evaluate_store(keep, demand, lead_time=1, penalty=5.0, start=[2])
    assert alive.cost == pytest.approx(0.3 * (0.3 * 6 + 0.7 * 4) + 0.7 * (0.3 * 4 + 0.7 * 2))
    assert dead.cost == pytest.approx(5.0 * 1.4)
    assert dead.stationary.tolist() == [0, 1]

    # 3 (order 3) -> 6 or 4; from 5 on up to 7: the class 5, 6, 7; from 4 (order 0) down to 0
    def fork(x):
        return np.where(x[:, 0] == 3, 3, np.where(x[:, 0] >= 5, 7 - x[:, 0], 0))

    done = evaluate_store(fork, demand, lead_time=1, penalty=5.0, start=[3])
    high = evaluate_store(fork, demand, lead_time=1, penalty=5.0, start=[7])
    cost, shares = naive.chain_cost(fork, demand, 1, 5.0, 1.0, start=(3,))
    assert done.classes == 2
    assert done.cost == pytest.approx(cost)
    assert done.cost == pytest.approx(0.3 * high.cost + 0.7 * 7.0)
    np.testing.assert_allclose(done.stationary, [shares[tuple(x)] for x in done.states.tolist()], atol=1e-12)


def test_hash_table_lists_each_state_once_among_many():
    done = evaluate_store(BaseStock(20), Poisson(5.0), lead_time=3, penalty=4.0)
    assert len(np.unique(done.states, axis=0)) == len(done.states)
    assert (done.states.sum(axis=1) <= 20).all()
    assert done.stationary.sum() == pytest.approx(1)


# --- the policies ---


def test_orders_by_hand():
    x = np.array([[3, 2], [0, 0], [9, 9]])
    assert isinstance(BaseStock(8), StorePolicy)
    assert BaseStock(8)(x).tolist() == [3, 8, 0]
    assert CappedBaseStock(8, 4)(x).tolist() == [3, 4, 0]
    assert ConstantOrder(2)(x).tolist() == [2, 2, 2]
    assert BaseStock(8.5)(x[0] / 2).tolist() == 6.0
    assert BaseStock(8)(np.zeros((2, 3, 4))).shape == (2, 3)
    half = Categorical((0.5, 0.5))
    # from (1, 0): J = 1 with 1/4, 0 otherwise. From (1, 1): E J = 1
    law = _arrival(np.array([[1, 0], [1, 1], [0, 0]]), half.pmf())
    np.testing.assert_allclose(law[0], [0.75, 0.25, 0])
    np.testing.assert_allclose(law[1], [0.25, 0.5, 0.25])
    assert ProjectedInventory(1.25, half)(np.array([[1, 0], [1, 1]])).tolist() == [1, 0]
    assert ProjectedInventory(2.24, half)(np.array([[1, 0], [1, 1]])).tolist() == [1, 1]
    # P(D > J) = P(J = 0) / 2 = 3/8 and 1/8: no order where h / (h + p) is at least that
    assert MyopicOrder(half, penalty=3.0)(np.array([[1, 0], [1, 1]])).tolist() == [1, 0]
    assert MyopicOrder(half, penalty=1.0)(np.array([[1, 0], [1, 1]])).tolist() == [0, 0]
    assert repr(ProjectedInventory(2, half)) == "ProjectedInventory(level=2.0)"


@pytest.mark.parametrize("L", [1, 2, 4])
def test_law_of_what_will_be_on_hand_by_enumeration(L):
    rng = np.random.default_rng(L)
    states = rng.integers(0, 4, (6, L))
    d, p = naive.laws(SMALL)
    wanted = np.zeros((6, states.sum(axis=1).max() + 1))
    for i, x in enumerate(states):
        for path in np.ndindex(*[len(d)] * L):
            left = x[0]
            for k in range(L):
                left = max(left - path[k], 0) + (x[k + 1] if k + 1 < L else 0)
            wanted[i, left] += np.prod(p[list(path)])
    np.testing.assert_allclose(_arrival(states, p), wanted, atol=1e-14)


def test_myopic_order_minimises_the_cost_of_its_period():
    states = np.array([[0, 0], [2, 1], [5, 3], [9, 0]])
    law = _arrival(states, SMALL.pmf())
    costs = np.array([[sum(w * naive.immediate(j + q, SMALL, 4.0, 1.0) for j, w in enumerate(row))
                       for q in range(6)] for row in law])  # fmt: skip
    best = MyopicOrder(SMALL, penalty=4.0)(states)
    np.testing.assert_allclose(costs[np.arange(4), best], costs.min(axis=1))


@pytest.mark.parametrize(("demand", "r"), [(Poisson(5.0), 4), (Geometric(2.0), 1), (SMALL, 1)])
def test_constant_order_by_spitzer(demand, r):
    # E W = sum_n E (n r - D_1 - ... - D_n)^+ / n
    p = demand.pmf()
    total, mean = np.ones(1), 0.0
    for n in range(1, 700):
        total = np.convolve(total, p)[: 700 * r]
        mean += total @ np.maximum(n * r - np.arange(len(total)), 0) / n
    assert chain.lindley_mean(p, r) == pytest.approx(mean, abs=1e-8)


def test_constant_order_is_the_chain_and_the_least():
    best = best_store_policy(ConstantOrder, SMALL, lead_time=3, penalty=2.0)
    assert best.policy == ConstantOrder(1)
    assert best.cost == pytest.approx(
        store_policy_cost(CappedBaseStock(60, 1), SMALL, lead_time=1, penalty=2.0), abs=1e-8
    )
    none = best_store_policy(ConstantOrder, Geometric(2.0), lead_time=1, penalty=0.1)
    assert none.policy == ConstantOrder(0)
    assert none.cost == pytest.approx(0.2)


@pytest.mark.parametrize(("L", "penalty", "most"), [(1, 4.0, 1.01), (2, 9.0, 1.02), (3, 4.0, 1.01)])
def test_projected_inventory_is_near_the_optimum(L, penalty, most):
    best = best_store_policy(ProjectedInventory, Poisson(5.0), lead_time=L, penalty=penalty)
    optimum = lost_sales_optimum(Poisson(5.0), lead_time=L, penalty=penalty)
    assert optimum < best.cost < most * optimum
    again = store_policy_cost(best.policy, Poisson(5.0), lead_time=L, penalty=penalty)
    assert again == best.cost
    for change in (-1.0, -0.25, 0.25, 1.0):
        other = ProjectedInventory(best.policy.level + change, Poisson(5.0))
        assert store_policy_cost(other, Poisson(5.0), lead_time=L, penalty=penalty) >= best.cost


def test_searches_find_the_least_of_all_parameters():
    L, penalty = 2, 5.0
    arguments = {"lead_time": L, "penalty": penalty}
    every = {S: store_policy_cost(BaseStock(S), SMALL, **arguments) for S in range(15)}
    best = best_store_policy(BaseStock, SMALL, **arguments)
    assert best.cost == min(every.values())
    assert best.policy.level == min(every, key=every.get)
    pairs = [
        store_policy_cost(CappedBaseStock(S, r), SMALL, **arguments) for S in range(15) for r in range(1, 6)
    ]
    assert best_store_policy(CappedBaseStock, SMALL, **arguments).cost == pytest.approx(min(pairs), abs=1e-12)


# --- bad input ---


def nothing(x):
    return np.zeros(len(x), dtype=int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": lambda x: x}, r"policy must return orders of shape \(1,\), got \(1, 2\)"),
        ({"policy": lambda x: nothing(x) - 1}, r"policy orders -1 in state \[0, 0\]"),
        ({"policy": lambda x: nothing(x) + 0.5}, r"policy orders 0.5 in state \[0, 0\]"),
        ({"policy": lambda x: nothing(x) + np.nan}, r"policy orders nan in state"),
        ({"policy": lambda x: nothing(x) + 1e12}, r"not a whole number in \[0, 2\^31\)"),
        ({"policy": lambda x: np.where(x[:, 0] > 3, -1, 2)}, r"policy orders -1 in state \[4, 2\]"),
        ({"policy": 3}, r"policy must be callable, states \(N, 2\)"),
        ({"policy": ConstantOrder(9), "max_states": 1000}, "policy reaches more than 1,000 states, the last"),
        (
            {"policy": ConstantOrder(3)},
            r"new states after 10,000 periods, the last \[\d+, 3\]",
        ),
        ({"demand": Normal(5.0, 1.0)}, "demand must be a law on the integers"),
        ({"lead_time": 0}, "lead_time must be at least 1"),
        ({"penalty": -1.0}, "penalty must be in"),
        ({"holding": np.inf}, "holding must be in"),
        ({"tail": 0.0}, "tail must be in"),
        ({"tol": -1.0}, "tol must be in"),
        ({"max_states": 0}, "max_states must be at least 1"),
        ({"start": [1.0]}, r"start must have shape \(2\)"),
        ({"start": [0.5, 0.0]}, "start must hold whole units"),
        ({"start": [0.0, -1.0]}, "start must hold whole units"),
        ({"start": [-1.0, 0.0]}, "start must hold whole units"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"policy": nothing, "demand": Poisson(2.0), "lead_time": 2, "penalty": 4.0, **changes}
    with pytest.raises(ValueError, match=message):
        evaluate_store(arguments.pop("policy"), arguments.pop("demand"), **arguments)


def test_states_far_away_are_found():
    """A unit a period up to a high level: the last state is a long way from the first."""
    done = evaluate_store(CappedBaseStock(9000, 1), Categorical((0.5, 0.5)), lead_time=1, penalty=4.0)
    assert np.sort(done.states[:, 0]).tolist() == list(range(9001))


def test_too_many_transitions_are_named(monkeypatch):
    monkeypatch.setattr(chain, "EDGES", 100)
    with pytest.raises(ValueError, match="policy reaches more than 100 transitions"):
        store_policy_cost(BaseStock(20), Poisson(2.0), lead_time=2, penalty=4.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BaseStock(-1), "level must be in"),
        (lambda: CappedBaseStock(3, -1), "cap must be in"),
        (lambda: ConstantOrder(float("nan")), "quantity must be in"),
        (lambda: ProjectedInventory(-1.0, SMALL), "level must be in"),
        (lambda: ProjectedInventory(1.0, Normal(5.0, 1.0)), "demand must be a law on the integers"),
        (lambda: MyopicOrder(SMALL, penalty=0.0), "penalty must be in"),
        (lambda: MyopicOrder(SMALL, penalty=1.0, holding=0.0), "holding must be in"),
        (lambda: BaseStock(3)(3), r"states must have shape \(..., L\)"),
        (lambda: ProjectedInventory(1.0, SMALL)([[1, 0], [0, 0.5]]), r"states\[1\] is \[0.0, 0.5\]"),
        (lambda: MyopicOrder(SMALL, penalty=1.0)([[-1, 0]]), r"states\[0\] is \[-1, 0\]"),
        (lambda: best_store_policy(BaseStock, SMALL, lead_time=0, penalty=1.0), "lead_time must be"),
        (lambda: best_store_policy(CappedBaseStock, SMALL, lead_time=1, penalty=0.0), "penalty must be"),
        (lambda: best_store_policy(BaseStock, SMALL, lead_time=1, penalty=1.0, holding=0.0), "holding must"),
        (lambda: best_store_policy(ConstantOrder, Normal(1.0, 1.0), lead_time=1, penalty=1.0), "demand must"),
        (lambda: best_store_policy(MyopicOrder, SMALL, lead_time=1, penalty=1.0), "family must be one of"),
        (lambda: best_store_policy([1], SMALL, lead_time=1, penalty=1.0), r"ConstantOrder, got \[1\]"),
        (lambda: chain.lindley_mean(np.array([0.5, 0.0, 0.5]), 1), "too near the mean demand"),
    ],
)
def test_policies_refuse_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
