"""Networks: the builder, the checks, and one period against plain Python, hand values and conservation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.envs.inventory import (
    Edge,
    Network,
    Node,
    Period,
    Poisson,
    edge,
    initial_inventory,
    step,
    store,
    supplier,
    warehouse,
)
from tests.envs.inventory.naive_network import naive_period
from tests.envs.inventory.random_networks import random_network


def two_stores(**options):
    """A factory, a hub (3 periods), a near store (1) and a far one (2)."""
    return Network.build(
        edge("hub", "near", lead_time=1, unit_cost=0.5),
        store("near", holding=1, penalty=9, initial=4),
        supplier("factory"),
        warehouse("hub", holding=0.25, initial=10, holds=options.pop("holds", True)),
        store("far", holding=2, penalty=5, initial=1),
        edge("hub", "far", lead_time=2, fixed_cost=3),
        edge("factory", "hub", lead_time=3, capacity=6),
        **options,
    )


def test_the_builder_numbers_warehouses_first():
    network = two_stores(demand=Poisson(5.0), unmet="backlog")
    assert network.locations == ("hub", "near", "far")
    assert network.edges == ("hub -> near", "hub -> far", "factory -> hub")
    np.testing.assert_array_equal(network.source, [0, 0, -1])
    np.testing.assert_array_equal(network.target, [1, 2, 0])
    np.testing.assert_array_equal(network.holding, [0.25, 1, 2])
    np.testing.assert_array_equal(network.penalty, [9, 5])
    np.testing.assert_array_equal(network.capacity, [np.inf, np.inf, 6])
    np.testing.assert_array_equal(network.upstream_first(), [0, 1, 2])
    assert (network.num_locations, network.num_edges, network.longest, network.num_samples) == (3, 3, 3, None)
    assert network.take([0, 1]) is network
    assert isinstance(supplier("s"), Node)
    assert isinstance(edge("a", "b", lead_time=1), Edge)
    dual = Network.build(
        supplier("slow"),
        supplier("fast"),
        store("m", holding=1, penalty=2),
        edge("fast", "m", lead_time=1),
        edge("slow", "m", lead_time=3),
    )
    assert dual.edges == ("fast -> m", "slow -> m")
    np.testing.assert_array_equal(dual.source, [-2, -1])


def test_parameters_may_differ_by_sample():
    network = Network.build(
        supplier("s"),
        store("a", holding=[1, 2], penalty=4),
        store("b", holding=3, penalty=[5, 6]),
        edge("s", "a", lead_time=[1, 4]),
        edge("s", "b", lead_time=2),
    )
    np.testing.assert_array_equal(network.holding, [[1, 3], [2, 3]])
    np.testing.assert_array_equal(network.penalty, [[4, 5], [4, 6]])
    np.testing.assert_array_equal(network.lead_time, [[1, 2], [4, 2]])
    assert network.unit_cost.shape == (2,)
    assert network.num_samples == 2
    part = network.take([1])
    np.testing.assert_array_equal(part.lead_time, [[4, 2]])
    assert part.unit_cost.shape == (2,)
    assert network.take([0]).longest == network.longest == 4
    one = step(network, initial_inventory(network, 2), [[3.0, 1.0]] * 2, [[1.0, 2.0]] * 2)
    np.testing.assert_array_equal(one.cost, [4 * 1 + 5 * 2, 4 * 1 + 6 * 2])
    assert one.inventory[0, 0, 0] == 3
    assert one.inventory[1, 0].tolist() == [0, 0, 0, 3]


def test_one_period_by_hand():
    network = two_stores(unmet="backlog")
    x = initial_inventory(network, 1)
    x[0, 0, 1], x[0, 2, 1] = 2.0, 7.0
    period = step(network, x, [[9.0, 6.0, 8.0]], [[5.0, 0.5]])
    assert isinstance(period, Period)
    # the hub has 10 and is asked for 15; the factory's lane takes 6
    np.testing.assert_allclose(period.shipped, [[6, 4, 6]])
    np.testing.assert_allclose(period.short, [[1, 0]])
    np.testing.assert_allclose(period.location_cost, [[0, 9, 1]])
    np.testing.assert_allclose(period.edge_cost, [[3, 3, 0]])
    np.testing.assert_allclose(period.cost, [16])
    np.testing.assert_allclose(period.inventory[0], [[2, 0, 6], [5, 0, 0], [7.5, 4, 0]])
    lost = step(replace(network, unmet="lost"), x, [[9.0, 6.0, 8.0]], [[5.0, 0.5]])
    np.testing.assert_allclose(lost.inventory[0, 1], [6, 0, 0])
    np.testing.assert_allclose(lost.cost, [16])
    profit = step(replace(network, objective="profit"), x, [[0.0, 0.0, 0.0]], [[5.0, 0.5]])
    np.testing.assert_allclose(profit.location_cost, [[2.5, -9 * 4, 2 * 0.5 - 5 * 0.5]])


def test_an_order_of_no_lead_time_is_there_before_demand():
    network = Network.build(
        supplier("s"),
        supplier("t"),
        store("m", holding=1, penalty=9, initial=2),
        edge("s", "m", lead_time=0, unit_cost=5),
        edge("t", "m", lead_time=2),
        objective="profit",
    )
    period = step(network, initial_inventory(network, 1), [[4.0, 3.0]], [[5.0]])
    np.testing.assert_array_equal(period.inventory, [[[1, 3]]])
    np.testing.assert_array_equal(period.cost, [1 - 9 * 5 + 5 * 4])
    alone = Network.build(S, SHOP, edge("s", "m", lead_time=0))
    assert alone.longest == 1
    assert step(alone, [[[1.0]]], [[4.0]], [[3.0]]).inventory == 2


def test_integer_orders_stay_integers_and_use_all_stock():
    network = two_stores(orders="integer")
    x = initial_inventory(network, 1)
    x[0, 0, 0] = 1
    shipped = step(network, x, [[1.4, 0.6, 6.7]], [[0.0, 0.0]]).shipped
    np.testing.assert_array_equal(shipped, [[0, 1, 6]])
    x[0, 0, 0] = 10
    np.testing.assert_array_equal(step(network, x, [[7.0, 7.0, 2.5]], [[0.0, 0.0]]).shipped, [[5, 5, 2]])


def test_a_point_that_cannot_hold_ships_everything():
    network = two_stores(holds=False)
    x = initial_inventory(network, 1)
    np.testing.assert_allclose(step(network, x, [[3.0, 1.0, 0]], [[0, 0]]).shipped, [[7.5, 2.5, 0]])
    np.testing.assert_allclose(step(network, x, [[0.0, 0.0, 0]], [[0, 0]]).shipped, [[5, 5, 0]])
    whole = replace(network, orders="integer")
    np.testing.assert_allclose(step(whole, x, [[2.0, 1.0, 0]], [[0, 0]]).shipped, [[6, 4, 0]])
    x[0, 0, 0] = 0
    np.testing.assert_allclose(step(network, x, [[3.0, 1.0, 0]], [[0, 0]]).shipped, [[0, 0, 0]])


@pytest.mark.parametrize("seed", range(60))
def test_a_period_is_that_of_plain_python(seed):
    rng = np.random.default_rng(seed)
    B = 3
    network = random_network(rng, batch=B)
    x = rng.integers(0, 9, (B, network.num_locations, network.longest)).astype(float)
    if network.unmet == "backlog":
        W = len(network.warehouses)
        x[:, W:, 0] -= 4
    q = rng.uniform(0, 8, (B, network.num_edges)) * (rng.random((B, network.num_edges)) < 0.8)
    d = rng.integers(0, 9, (B, len(network.stores))) / (1 if network.orders == "integer" else 3.0)
    period = step(network, x, q, d)
    for b in range(B):
        nxt, sent, short, cost = naive_period(network, x[b].tolist(), q[b].tolist(), d[b].tolist(), b)
        np.testing.assert_allclose(period.inventory[b], nxt, atol=1e-12)
        np.testing.assert_allclose(period.shipped[b], sent, atol=1e-12)
        np.testing.assert_allclose(period.short[b], short, atol=1e-12)
        np.testing.assert_allclose(period.cost[b], cost, atol=1e-12)
    np.testing.assert_allclose(
        period.cost, period.location_cost.sum(axis=1) + period.edge_cost.sum(axis=1), atol=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_units_are_conserved(seed):
    """What enters is sold (or owed less), or stays; no location ships what it does not have."""
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    x = initial_inventory(network, 2)
    W = len(network.warehouses)
    for _ in range(6):
        q = rng.uniform(0, 9, (2, network.num_edges))
        d = rng.uniform(0, 9, (2, len(network.stores)))
        if network.orders == "integer":
            d = np.floor(d)
        period = step(network, x, q, d)
        entered = period.shipped[:, network.source < 0].sum(axis=1)
        left = d.sum(axis=1) if network.unmet == "backlog" else (d - period.short).sum(axis=1)
        np.testing.assert_allclose(
            period.inventory.sum(axis=(1, 2)), x.sum(axis=(1, 2)) + entered - left, atol=1e-11
        )
        assert (period.inventory[:, :W] >= 0).all()
        assert (period.shipped >= 0).all()
        if network.unmet == "lost":
            assert (period.inventory >= 0).all()
        for i in range(W):
            leaving = period.shipped[:, network.source == i].sum(axis=1)
            assert (leaving <= x[:, i, 0] + 1e-12).all()
            if not network.holds[i]:
                np.testing.assert_allclose(leaving, x[:, i, 0], atol=1e-12)
        if network.orders == "integer":
            assert (period.shipped == np.round(period.shipped)).all()
        x = period.inventory


def test_profit_is_revenue_less_what_cost_counts():
    rng = np.random.default_rng(5)
    network = random_network(rng, objective="cost", unmet="backlog")
    x = rng.uniform(0, 9, (4, network.num_locations, network.longest))
    x[:, len(network.warehouses) :, 0] -= 4.0
    q, d = rng.uniform(0, 9, (4, network.num_edges)), rng.uniform(0, 9, (4, len(network.stores)))
    cost = step(network, x, q, d).cost
    profit = -step(replace(network, objective="profit"), x, q, d).cost
    np.testing.assert_allclose(profit, (network.penalty * d).sum(axis=1) - cost, atol=1e-12)


S, SHOP, LANE = supplier("s"), store("m", holding=1, penalty=1), edge("s", "m", lead_time=1)
HUB, POINT = warehouse("w"), warehouse("w", holds=False)
PAIR, TO_HUB = store("m", holding=[1, 2], penalty=1), edge("s", "w", lead_time=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: supplier(""), "name must be a text that is not empty, got ''"),
        (lambda: warehouse("w", holding=-1), "holding of w is -1, it must be in"),
        (lambda: warehouse("w", initial=-1), "initial of w must be in"),
        (lambda: store("m", holding=1, penalty=[1, np.nan]), r"penalty of m\[1\] is nan"),
        (lambda: edge("a", "b", lead_time=-1), "lead_time of edge a -> b is -1, it must be in"),
        (
            lambda: edge("a", "b", lead_time=[1, 1.5]),
            r"lead_time of edge a -> b\[1\] is 1.5, it",
        ),
        (lambda: edge("a", "b", lead_time=1, unit_cost=-1), "unit_cost of edge a -> b is -1"),
        (lambda: edge("a", "b", lead_time=1, fixed_cost=-1), "fixed_cost of edge a -> b must be in"),
        (lambda: edge("a", "b", lead_time=1, capacity=0), "capacity of edge a -> b must be positive, got 0"),
        (lambda: Network.build(S, SHOP, LANE, 3), r"parts\[3\] must be a node or an edge, got 3"),
        (lambda: Network.build(S, HUB, LANE), "the network needs at least one store"),
        (lambda: Network.build(S, SHOP), "the network needs at least one edge"),
        (lambda: Network.build(S, SHOP, SHOP, LANE), "there are two nodes named 'm'"),
        (lambda: Network.build(S, SHOP, edge("s", "x", lead_time=1)), "edge s -> x: there is no node 'x'"),
        (lambda: Network.build(S, SHOP, LANE, LANE), "edge s -> m is given twice"),
        (lambda: Network.build(S, SHOP, LANE, edge("m", "s", lead_time=1)), "edge 1 leaves the store 'm'"),
        (
            lambda: Network.build(S, SHOP, HUB, LANE, edge("w", "s", lead_time=1)),
            r"target\[1\] is -1, it must be a warehouse or a store",
        ),
        (
            lambda: Network.build(S, SHOP, store("z", holding=1, penalty=1), LANE),
            "'z' has no supplier: no edge leads to it",
        ),
        (
            lambda: Network.build(S, HUB, SHOP, LANE, edge("s", "w", lead_time=1)),
            "warehouse 'w' ships to no one",
        ),
        (
            lambda: Network.build(
                S,
                SHOP,
                HUB,
                warehouse("v"),
                warehouse("u"),
                edge("w", "v", lead_time=1),
                edge("v", "u", lead_time=1),
                edge("u", "w", lead_time=1),
                edge("u", "m", lead_time=1),
            ),
            "the edges form a cycle: w -> v -> u -> w",
        ),
        (
            lambda: Network.build(
                S, store("m", holding=[1, 2], penalty=1), edge("s", "m", lead_time=[1, 2, 3])
            ),
            r"different numbers of samples: \[2, 3\]",
        ),
        (
            lambda: Network.build(
                S,
                store("m", holding=[1, 2], penalty=1),
                store("z", holding=[1, 2, 3], penalty=1),
                LANE,
                edge("s", "z", lead_time=1),
            ),
            r"holding has different numbers of samples: \[2, 3\]",
        ),
        (lambda: Network.build(S, SHOP, LANE, unmet="gone"), r"unmet must be one of \('lost', 'backlog'\)"),
        (lambda: Network.build(S, SHOP, LANE, objective=1), "objective must be one of"),
        (lambda: Network.build(S, SHOP, LANE, orders="x"), "orders must be one of"),
        (lambda: Network.build(S, SHOP, LANE, demand=5), "demand must be a law of demand or None, got 5"),
        (
            lambda: Network.build(S, POINT, SHOP, TO_HUB, edge("w", "m", lead_time=1, capacity=2)),
            "w -> m leaves a warehouse that cannot hold, it must be inf",
        ),
        (
            lambda: replace(Network.build(S, SHOP, LANE), source=[5]),
            r"source\[0\] is 5, it must be",
        ),
        (
            lambda: replace(Network.build(S, SHOP, LANE), capacity=[-1.0]),
            "capacity must be 1 positive",
        ),
        (lambda: replace(Network.build(S, SHOP, LANE), lead_time=[-1]), r"lead_time\[0\] is -1"),
        (
            lambda: Network.build(S, HUB, SHOP, edge("s", "w", lead_time=0), edge("w", "m", lead_time=1)),
            "lead_time of s -> w is 0, which only a store's orders from a supplier can have",
        ),
        (
            lambda: Network.build(S, HUB, SHOP, TO_HUB, edge("w", "m", lead_time=[1, 0])),
            "lead_time of w -> m is 0, which only",
        ),
    ],
)
def test_bad_networks_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("x", "q", "d", "message"),
    [
        ([[[1.0, 2.0]]], [[1.0]], [[1.0]], r"inventory must have shape \(n >= 1, 1, 1\)"),
        ([[[np.nan]]], [[1.0]], [[1.0]], r"inventory\[0, 0, 0\] is nan"),
        ([[[1.0]]], [[-1.0]], [[1.0]], r"orders\[0, 0\] is -1"),
        ([[[1.0]]], [[1.0, 2.0]], [[1.0]], r"orders must have shape \(1, 1\), got \(1, 2\)"),
        ([[[1.0]]], [[1.0]], [[np.inf]], r"demand\[0, 0\] is inf"),
        ([[[-1.0]]], [[1.0]], [[1.0]], r"inventory\[0, 0, 0\] is -1, only stores that owe can have negative"),
    ],
)
def test_bad_periods_are_named(x, q, d, message):
    with pytest.raises(ValueError, match=message):
        step(Network.build(S, SHOP, LANE), x, q, d)


def test_only_what_stores_owe_is_negative():
    network = two_stores(unmet="backlog")
    x = initial_inventory(network, 1)
    x[0, 1, 0] = -3
    assert step(network, x, [[0.0] * 3], [[0.0, 0.0]]).short[0, 0] == 3
    for place in ((0, 0, 0), (0, 1, 1)):
        bad = x.copy()
        bad[place] = -2
        with pytest.raises(ValueError, match=rf"inventory\[{place[0]}, {place[1]}, {place[2]}\] is -2, only"):
            step(network, bad, [[0.0] * 3], [[0.0, 0.0]])


def test_the_numbers_of_samples_must_agree():
    network = Network.build(S, store("m", holding=[1, 2], penalty=1), LANE)
    with pytest.raises(ValueError, match="inventory has 3 samples, the network 2"):
        step(network, np.ones((3, 1, 1)), np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="samples must be at least 1"):
        initial_inventory(network, 0)
