"""The simulator and its policies: kernel against NumPy, exact costs, the oracle, bad arguments."""

from dataclasses import replace

import numpy as np
import pytest

from eluder.envs.inventory import (
    JustInTime,
    Network,
    NetworkState,
    Normal,
    OrderUpTo,
    Poisson,
    SimulationResult,
    Trace,
    Trajectories,
    edge,
    empirical_levels,
    initial_inventory,
    order_up_to,
    simulate,
    step,
    store,
    supplier,
    warehouse,
)
from tests.envs.inventory.random_networks import random_network


def shop(lead_time=4, *, penalty=4, **options):
    options = {"demand": Poisson(5.0), "orders": "integer"} | options
    return Network.build(
        supplier("factory"),
        store("shop", holding=1, penalty=penalty),
        edge("factory", "shop", lead_time=lead_time),
        **options,
    )


def hub(n=3, *, holds=True, **options):
    return Network.build(
        supplier("factory"),
        warehouse("hub", holding=0.3, holds=holds),
        *(store(f"m{i}", holding=1, penalty=9) for i in range(n)),
        edge("factory", "hub", lead_time=3),
        *(edge("hub", f"m{i}", lead_time=i + 1) for i in range(n)),
        **options,
    )


def naive_orders(network, policy, x):
    """Orders of one sample, from the module's text: u of a balanced source by bisection."""
    W, E = len(network.warehouses), network.num_edges
    position = [sum(x[i]) for i in range(network.num_locations)]
    z = [sum(p for j, p in enumerate(position) if policy.reach[i, j]) for i in range(len(position))]
    q = np.zeros(E)
    for e in range(E):
        i = network.target[e]
        want = min(max(policy.level[i] - z[i], 0), policy.most[i]) if z[i] <= policy.reorder[i] else 0
        q[e] = policy.constant[e] + policy.share[e] * want
    for i in range(W):
        out = [e for e in range(E) if network.source[e] == i]
        stock = max(x[i][0], 0)
        if sum(policy.share[e] * policy.spread[network.target[e]] for e in out) == 0:
            continue
        if network.holds[i] and sum(q[out]) <= stock:
            continue
        who = [e for e in out if (q[e] > 0 if network.holds[i] else policy.share[e] > 0)]

        def given(u, who=who):
            m = network.target[who]
            return policy.share[who] * np.maximum(policy.level[m] - u * policy.spread[m] - np.array(z)[m], 0)

        low, high = -1e4, 1e4
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if given(middle).sum() > stock else (low, middle)
        q[out] = 0
        q[who] = given(low)
    return q


def random_policy(rng, network, kind):
    M, E = network.num_locations, network.num_edges
    level = rng.integers(5, 40, M).astype(float)
    share = rng.random(E) + 0.1
    share /= np.bincount(network.target, share, minlength=M)[network.target]
    if kind == "constant":
        return order_up_to(network, -np.inf, constant=rng.integers(0, 9, E))
    if kind == "plain":
        return order_up_to(network, level, share=share)
    if kind == "balanced":
        return order_up_to(network, level, spread=rng.uniform(1, 4, M), share=share)
    return order_up_to(
        network,
        level,
        reorder=level - rng.integers(0, 9, M),
        most=rng.integers(1, 20, M),
        constant=rng.uniform(0, 2, E),
        share=share,
        echelon=True,
    )


@pytest.mark.parametrize("kind", ["constant", "plain", "balanced", "all"])
@pytest.mark.parametrize("seed", range(12))
def test_kernel_is_the_stepper_is_the_definition(kind, seed):
    rng = np.random.default_rng(seed)
    B, T = 4, 30
    network = random_network(rng, batch=B)
    d = rng.integers(0, 9, (B, T, len(network.stores))) / (1 if network.orders == "integer" else 2)
    policy = random_policy(rng, network, kind)
    start = rng.integers(0, 9, (B, network.num_locations, network.longest)).astype(float)
    known = {"demand": d, "inventory": start, "warm_up": 7}
    fast = simulate(network, policy, **known)
    slow = simulate(network, policy, **known, record=True)
    kept = slow.trajectories
    for name in ("cost", "by_location", "by_period", "fill_rate"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-12, atol=1e-9)
    # the records are those of `step` on orders written out from the text
    x = start
    total = np.zeros(B)
    for t in range(T):
        np.testing.assert_allclose(kept.inventory[:, t], x, atol=1e-9)
        for b in range(B):
            q = naive_orders(network, policy, x[b])
            np.testing.assert_allclose(kept.orders[b, t], q, atol=1e-9)
        period = step(network, x, kept.orders[:, t], d[:, t])
        np.testing.assert_allclose(kept.shipped[:, t], period.shipped, atol=1e-9)
        np.testing.assert_allclose(kept.short[:, t], period.short, atol=1e-9)
        x = period.inventory
        total += period.cost * (t >= 7)
    np.testing.assert_allclose(fast.cost, total / 23, atol=1e-9)
    np.testing.assert_allclose(fast.by_location.sum(axis=1), fast.cost)
    np.testing.assert_allclose(fast.by_period[7:].mean(), fast.mean)
    assert isinstance(fast, SimulationResult)
    assert isinstance(kept, Trajectories)
    assert isinstance(policy, OrderUpTo)


@pytest.mark.parametrize(
    ("lead_time", "penalty", "level", "most", "exact"),
    [
        (1, 9, 14, 6, 5.481227),
        (4, 4, 25, np.inf, 5.197769),
        (4, 9, 29, 5, 6.912279),
        (2, 19, 21, 7, 7.720861),
    ],
)
def test_exact_costs_of_base_stock_and_capped_base_stock(lead_time, penalty, level, most, exact):
    network = shop(lead_time, penalty=penalty)
    policy = order_up_to(network, level, most=most)
    rng = np.random.default_rng(0)
    result = simulate(network, policy, periods=4000, samples=400, warm_up=200, rng=rng)
    assert abs(result.mean - exact) < 4 * result.standard_error < 0.05


def test_exact_cost_with_backlog():
    network = shop(4, penalty=9, demand=Normal(5, 1.6), orders="continuous", unmet="backlog")
    rng = np.random.default_rng(1)
    result = simulate(network, order_up_to(network, 29.59), periods=4000, samples=300, warm_up=99, rng=rng)
    assert abs(result.mean - 6.2769) < 4 * result.standard_error < 0.05
    assert result.mean_per_store == result.mean
    assert result.standard_error == pytest.approx(result.cost.std(ddof=1) / np.sqrt(300))


def test_serial_levels_cost_what_clark_and_scarf_say():
    network = Network.build(
        supplier("outside"),
        warehouse("e1", holding=0.1),
        warehouse("e2", holding=0.2),
        warehouse("w", holding=0.5),
        store("m", holding=1, penalty=9),
        edge("outside", "e1", lead_time=2),
        edge("e1", "e2", lead_time=4),
        edge("e2", "w", lead_time=3),
        edge("w", "m", lead_time=4),
        unmet="backlog",
        demand=Normal(5, 2),
    )
    policy = order_up_to(network, [83.18, 72.82, 49.00, 32.36], echelon=True)
    result = simulate(network, policy, periods=3000, samples=300, warm_up=300, rng=np.random.default_rng(2))
    assert abs(result.mean - 10.7339) < 4 * result.standard_error < 0.12


def test_a_callable_is_any_policy():
    network = hub(2, demand=Poisson(5.0))
    base = order_up_to(network, 30)
    seen = []

    def policy(state):
        assert isinstance(state, NetworkState)
        seen.append((state.past.shape, state.period))
        position = state.inventory.sum(axis=2)
        state.inventory[:] = -1e9  # a policy cannot change the state
        return np.maximum(30 - position[:, network.target], 0)

    d = np.random.default_rng(3).poisson(5, (6, 50, 2)).astype(float)
    known = {"demand": d, "history": np.ones((6, 4, 2))}
    ours = simulate(network, policy, **known)
    np.testing.assert_allclose(ours.cost, simulate(network, base, **known).cost, rtol=1e-12)
    assert seen[0] == ((6, 4, 2), 0)
    assert seen[-1] == ((6, 53, 2), 49)


def test_blocks_change_nothing(monkeypatch):
    network = hub(3, demand=Poisson(5.0), unmet="backlog")
    policy = order_up_to(network, 40, echelon=True)
    sizes = {"periods": 40, "samples": 10}
    whole = simulate(network, policy, **sizes, rng=np.random.default_rng(4))
    monkeypatch.setitem(simulate.__globals__, "BLOCK", 40 * 3 * 3)
    parts = simulate(network, policy, **sizes, rng=np.random.default_rng(4))
    np.testing.assert_array_equal(whole.cost, parts.cost)
    np.testing.assert_allclose(whole.by_period, parts.by_period)


def test_many_samples_of_their_own_parameters_in_blocks(monkeypatch):
    rng = np.random.default_rng(5)
    B = 150
    network = random_network(rng, batch=B, orders="continuous", objective="cost")
    M, n, E = network.num_locations, len(network.stores), network.num_edges
    lead_time = rng.integers(1, 3, (B, E))
    lead_time[8] = 6
    costs = {"holding": rng.uniform(0, 2, (B, M)), "penalty": rng.uniform(0, 2, (B, n))}
    network = replace(network, lead_time=lead_time, unit_cost=rng.uniform(0, 2, (B, E)), **costs)
    d = rng.uniform(0, 9, (B, 20, n))
    policy = order_up_to(network, 20)
    whole = simulate(network, policy, demand=d)
    monkeypatch.setitem(simulate.__globals__, "BLOCK", 70 * d[0].size)
    np.testing.assert_array_equal(simulate(network, policy, demand=d).cost, whole.cost)
    slow = simulate(network, policy, demand=d, record=True)
    np.testing.assert_allclose(slow.cost, whole.cost)
    assert slow.trajectories.inventory.shape[0] == B


# --- the oracle ---


@pytest.mark.parametrize("unmet", ["lost", "backlog"])
def test_the_oracle_pays_nothing_once_its_orders_arrive(unmet):
    network = replace(hub(3, demand=Poisson(5.0), unmet=unmet), initial=np.array([3.0, 11.0, 2.0, 0.0]))
    result = simulate(network, JustInTime(), periods=60, samples=20, warm_up=20, rng=np.random.default_rng(6))
    np.testing.assert_allclose(result.by_location, 0, atol=1e-12)
    np.testing.assert_allclose(result.fill_rate, 1)


def test_the_oracle_uses_what_is_there_first():
    network = Network.build(
        supplier("s"),
        store("m", holding=1, penalty=4, initial=23),
        store("far", holding=1, penalty=4),
        edge("s", "m", lead_time=2),
        edge("s", "far", lead_time=5),
    )
    result = simulate(network, JustInTime(), demand=np.full((1, 12, 2), 5.0), record=True)
    np.testing.assert_array_equal(result.trajectories.orders[0, :, 0], [0, 0, 2, 5, 5, 5, 5, 5, 5, 5, 0, 0])
    np.testing.assert_array_equal(result.trajectories.location_cost[0, :, 0], [18, 13, 8, 3] + [0] * 8)


def test_the_oracle_earns_what_is_demanded_where_stock_suffices():
    network = replace(shop(2, penalty=7), objective="profit")
    d = np.random.default_rng(7).poisson(5, (5, 30, 1)).astype(float)
    result = simulate(network, JustInTime(), demand=d, warm_up=2)
    np.testing.assert_allclose(-result.cost, 7 * d[:, 2:, 0].mean(axis=1))


def test_the_oracle_goes_the_fastest_way():
    network = Network.build(
        supplier("s"),
        warehouse("near"),
        warehouse("far"),
        store("m", holding=1, penalty=5),
        edge("s", "near", lead_time=1),
        edge("s", "far", lead_time=4),
        edge("far", "m", lead_time=1),
        edge("near", "m", lead_time=2),
    )
    d = np.random.default_rng(8).integers(0, 9, (3, 25, 1)).astype(float)
    result = simulate(network, JustInTime(), demand=d, record=True)
    kept = result.trajectories
    np.testing.assert_array_equal(kept.shipped[:, :, 1:3], 0)
    np.testing.assert_array_equal(kept.orders[:, :22, 0], d[:, 3:, 0])
    np.testing.assert_array_equal(kept.short[:, 3:], 0)
    np.testing.assert_array_equal(kept.short[:, :3], d[:, :3])


def test_lead_times_of_samples_reach_the_oracle():
    network = Network.build(supplier("s"), store("m", holding=1, penalty=5), edge("s", "m", lead_time=[1, 3]))
    d = np.random.default_rng(9).integers(1, 9, (2, 12, 1)).astype(float)
    short = simulate(network, JustInTime(), demand=d, record=True).trajectories.short[..., 0]
    np.testing.assert_array_equal(short > 0, np.arange(12) < np.array([[1], [3]]))


# --- allocation ---


def test_a_balanced_shortage_leaves_equal_fractiles():
    network = hub(3)
    x = initial_inventory(network, 1)
    x[0, :, 0] = [12.0, 3.0, 9.0, 30.0]
    policy = order_up_to(network, [0, 20, 24, 28], spread=[0, 2, 4, 3])
    d = np.zeros((1, 1, 3))
    q = simulate(network, policy, demand=d, inventory=x, record=True).trajectories.orders[0, 0]
    after = (np.array([20, 24, 28]) - x[0, 1:, 0] - q[1:]) / [2, 4, 3]
    assert q[1:].sum() == pytest.approx(12)
    assert after[0] == pytest.approx(after[1])
    assert q[3] == 0
    plain = order_up_to(network, [0, 20, 24, 28])
    shipped = simulate(network, plain, demand=d, inventory=x, record=True).trajectories.shipped[0, 0]
    np.testing.assert_allclose(shipped[1:], [12 * 17 / 32, 12 * 15 / 32, 0])


def test_balanced_transshipment_ships_everything():
    network = hub(3, holds=False, demand=Normal(5, 2), unmet="backlog")
    policy = order_up_to(network, [60, 10, 15, 20], spread=[0, 2, 3, 4], echelon=True)
    kept = simulate(
        network, policy, periods=30, samples=4, record=True, rng=np.random.default_rng(0)
    ).trajectories
    np.testing.assert_allclose(kept.orders[..., 1:].sum(axis=-1), kept.inventory[:, :, 0, 0], atol=1e-9)
    np.testing.assert_allclose(kept.orders[..., 1:], kept.shipped[..., 1:], atol=1e-9)


# --- levels from a record ---


def test_empirical_levels_are_the_newsvendors():
    rng = np.random.default_rng(10)
    d = rng.integers(0, 9, (4, 60, 3)).astype(float)
    network = hub(3)
    levels = empirical_levels(network, d)

    def quantile(series, window):
        sums = sorted(float(s[t : t + window].sum()) for s in series for t in range(len(s) - window + 1))
        return sums[int(np.ceil(0.9 * len(sums) - 1e-9)) - 1]

    for i in range(3):
        assert levels[1 + i] == quantile(d[:, :, i], i + 2)
    assert levels[0] == quantile(d.sum(axis=2), 3 + 3 + 1)
    # the best level in hindsight, single store and backlog: the cost of the record is least there
    one = shop(2, unmet="backlog")
    record = d[:1, :, :1]
    best = empirical_levels(one, record[0])[0]
    sums = np.array([record[0, t : t + 3].sum() for t in range(58)])
    costs = [np.maximum(y - sums, 0).sum() + 4 * np.maximum(sums - y, 0).sum() for y in range(30)]
    assert costs[int(best)] == min(costs)
    assert empirical_levels(one, record, fractile=0.5)[0] == np.sort(sums)[28]


def test_a_record_is_simulated():
    record = np.random.default_rng(11).integers(0, 9, (40, 1)).astype(float)
    network = shop(2, demand=Trace(record))
    policy = order_up_to(network, empirical_levels(network, record))
    result = simulate(network, policy, periods=20, samples=50, rng=np.random.default_rng(0))
    assert 0.5 < result.fill_rate[0] <= 1


# --- bad arguments ---

NET = shop(2)
UP = order_up_to(NET, 10)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate(NET, UP, rng=RNG), "periods must be given unless demand is"),
        (lambda: simulate(NET, UP, periods=0, rng=RNG), "periods must be at least 1"),
        (lambda: simulate(NET, UP, periods=5, samples=0, rng=RNG), "samples must be at least 1"),
        (lambda: simulate(NET, UP, periods=5, warm_up=5, rng=RNG), r"warm_up must be in \[0, 4\]"),
        (lambda: simulate(NET, UP, periods=5), "rng must be a numpy.random.Generator"),
        (lambda: simulate(NET, 3, periods=5, rng=RNG), "policy must be an OrderUpTo"),
        (lambda: simulate(replace(NET, demand=None), UP, periods=5, rng=RNG), "demand must be given"),
        (lambda: simulate(NET, UP, demand=[[[1.0], [np.nan]]]), r"demand\[0, 1, 0\] is nan"),
        (lambda: simulate(NET, UP, demand=np.ones((2, 3, 1)), samples=4), "not 4 samples of at least 3"),
        (lambda: simulate(NET, UP, demand=np.ones((2, 3, 1)), periods=4), "not 2 samples of at least 4"),
        (lambda: simulate(NET, UP, demand=np.ones((2, 3, 2))), r"demand must have shape"),
        (lambda: simulate(NET, UP, periods=3, inventory=np.ones((1, 2, 2)), rng=RNG), "inventory must have"),
        (
            lambda: simulate(NET, UP, periods=3, inventory=[[1.0, -1.0]], rng=RNG),
            r"inventory\[0, 0, 1\] is -1",
        ),
        (lambda: simulate(NET, UP, periods=3, history=np.ones((1, 2, 2)), rng=RNG), "history must have"),
        (lambda: simulate(hub(2), UP, demand=np.ones((1, 3, 2))), "policy was made for another network"),
        (
            lambda: simulate(NET, lambda s: -np.ones((1, 1)), periods=3, rng=RNG),
            r"orders\[0, 0\] is -1",
        ),
        (lambda: simulate(NET, lambda s: [1.0], periods=3, rng=RNG), r"orders must have shape \(1, 1\)"),
        (
            lambda: simulate(NET, UP, periods=10**5, samples=10**4, record=True, rng=RNG),
            "record: 10000 samples of 100000 periods need more than",
        ),
        (
            lambda: simulate(
                Network.build(
                    supplier("s"), store("m", holding=[1, 2], penalty=1), edge("s", "m", lead_time=1)
                ),
                lambda s: s,
                demand=np.ones((3, 2, 1)),
            ),
            "samples is 3, the network has parameters for 2",
        ),
        (lambda: order_up_to(NET, np.nan), "level is nan"),
        (lambda: order_up_to(NET, [1, 2]), r"level must have shape \(1\)"),
        (lambda: order_up_to(NET, 5, reorder=6), r"reorder\[0\] is 6, it must be at most the level 5"),
        (lambda: order_up_to(NET, 5, most=-1), "most is -1"),
        (lambda: order_up_to(NET, 5, constant=[-1]), r"constant\[0\] is -1"),
        (lambda: order_up_to(NET, 5, share=[0.5]), "the shares of shop sum to 0.5, not 1"),
        (lambda: order_up_to(NET, 5, spread=1, most=4), "spread cannot be combined with most"),
        (lambda: empirical_levels(NET, [[1.0]] * 2), "demand has 2 periods, shop needs 3"),
        (lambda: empirical_levels(NET, [1.0]), "demand must have shape"),
        (lambda: empirical_levels(NET, [[1.0]] * 9, fractile=1.0), r"fractile must be in \(0, 1\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
