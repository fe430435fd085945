"""Published settings: parameters, seeds, horizons, known optima and bounds."""

from math import exp, pi, sqrt

import numpy as np
import pytest
from scipy import stats

from eluder.envs.inventory import (
    DualIndex,
    Geometric,
    Horizon,
    Normal,
    Setting,
    dual_sourcing_cost,
    order_up_to,
    s_S_optimum,
    setting,
    setting_names,
    simulate,
)

SALES = np.random.default_rng(0).uniform(0, 9, (5, 40, 3))


def make(name):
    return setting(name, sales=SALES) if name == "favorita" else setting(name)


@pytest.mark.parametrize("name", setting_names())
def test_each_setting_runs(name):
    it = make(name)
    assert isinstance(it, Setting)
    assert it.name == name
    assert isinstance(it.train, Horizon)
    B = 5
    rng = np.random.default_rng(1)
    network = it.network
    start = it.first_inventory(B, rng=rng)
    assert start.shape == (B, network.num_locations, network.longest)
    W = len(network.warehouses)
    assert (start[:, :W] == 0).all()
    assert (start[:, W:] <= np.ceil(it.mean)[:, None]).all()
    assert (start[:, W:].sum() > 0) == (name != "favorita")
    result = simulate(
        network,
        order_up_to(network, 30, echelon=True),
        periods=30,
        samples=B,
        demand=it.data[:, :30] if it.data is not None else None,
        inventory=start,
        rng=rng,
    )
    assert np.isfinite(result.mean)
    assert (it.kind is None) == np.isnan(it.reference())


@pytest.mark.parametrize(
    ("n", "published"),
    [(3, 8.533674), (5, 7.902133), (10, 8.296968), (20, 8.731082), (30, 8.377328), (50, 8.118102)],
)
def test_transshipment_draws_give_the_published_bounds(n, published):
    it = setting("transshipment", stores=n)
    sd = it.network.demand.sd
    z = stats.norm.ppf(0.9)
    covariance = 0.5 * np.outer(sd, sd) + 0.5 * np.diag(sd**2)
    spread = sqrt(sd.sum() ** 2 * 5 + 3 * covariance.sum())
    assert 10 * exp(-z * z / 2) / sqrt(2 * pi) * spread / n == pytest.approx(published, abs=5e-7)
    assert it.reference() == pytest.approx(published, abs=5e-7)
    assert it.kind == "lower bound"
    assert not it.network.holds[0]
    assert not it.network.demand.clipped


@pytest.mark.parametrize(
    ("name", "options", "published"),
    [
        ("lost_sales", {"lead_time": 1, "penalty": 39}, 7.835949012),
        ("lost_sales", {"lead_time": 2, "penalty": 4, "demand": Geometric(5.0)}, 10.24021213),
        ("lost_sales", {"lead_time": 2, "penalty": 9, "stores": 4}, 6.093642387),
        ("backlogged", {"lead_time": 20, "penalty": 39}, 17.1338),
        ("serial", {"lead_time": 1, "penalty": 4}, 6.8986),
        ("serial", {"locations": 7}, 12.2890),
        ("transshipment", {"lead_time": 2, "penalty": 4}, 5.753735),
        ("transshipment", {"lead_time": 2, "penalty": 4, "correlation": 0.0}, 5.151388),
        ("dual_sourcing", {}, 16.76980198),
        ("dual_sourcing", {"unit_costs": (0, 20), "lead_times": (3, 0)}, 24.33561033),
    ],
)
def test_references_are_the_known_numbers(name, options, published):
    digits = len(str(published).split(".")[1])
    error = 3e-4 if name == "serial" else 10.0**-digits
    assert setting(name, **options).reference() == pytest.approx(published, abs=error)


def test_the_best_s_S_levels_cost_the_reference():
    it = setting("fixed_cost")
    best = s_S_optimum(it.network.demand, lead_time=2, setup=64, penalty=9)
    policy = order_up_to(it.network, best.S, reorder=best.s)
    rng = np.random.default_rng(2)
    run = simulate(it.network, policy, periods=3000, samples=300, warm_up=100, rng=rng)
    assert best.cost == it.reference()
    assert abs(run.mean - it.reference()) < 4 * run.standard_error < 0.1


@pytest.mark.parametrize("express", [0, 1])
def test_a_dual_index_costs_what_its_chain_says(express):
    known = {"lead_times": (3, express), "unit_costs": (1, 4), "penalty": 45, "holding": 5}
    it = setting("dual_sourcing", **known)
    low, high = 5 + 2 * express, 13
    exact = dual_sourcing_cost(it.network.demand, DualIndex(low, high), **known).cost

    def policy(state):
        x = state.inventory[:, 0]
        fast = np.maximum(low - x[:, : express + 1].sum(axis=1), 0)
        return np.stack([np.maximum(high - x.sum(axis=1) - fast, 0), fast], axis=1)

    rng = np.random.default_rng(3)
    run = simulate(it.network, policy, periods=1500, samples=400, warm_up=200, rng=rng)
    assert abs(run.mean - exact) < 4 * run.standard_error < 0.3


def test_parameters_are_those_of_the_published_runs():
    it = setting("one_warehouse", stores=3)
    np.random.seed(33)
    mean = np.random.uniform(2.5, 7.5, 3).round(3)
    np.random.seed(92)
    sd = (mean * np.random.uniform(0.25, 0.5, 3)).round(3)
    np.random.seed(73)
    holding = np.random.uniform(0.7, 1.3, 3)
    np.random.seed(28)
    penalty = np.random.uniform(6.3, 11.7, 3)
    np.random.seed(41)
    lead_time = np.random.randint(2, 6, 3)
    np.testing.assert_array_equal(it.mean, mean)
    np.testing.assert_array_equal(it.sd, sd)
    np.testing.assert_array_equal(it.network.holding, [0.3, *holding])
    np.testing.assert_array_equal(it.network.penalty, penalty)
    np.testing.assert_array_equal(it.network.lead_time, [3, *lead_time])
    assert it.network.demand.clipped
    assert (it.train, it.dev, it.test) == ((50, 30), (100, 60), (5000, 3000))


def test_published_demand_is_the_legacy_stream():
    np.random.seed(65 + 2 + 40)
    raw = np.random.poisson(5.0, size=(3, 1, 5000))
    it = setting("lost_sales", lead_time=2, penalty=4)
    np.testing.assert_array_equal(it.published_demand("test", 3), raw.transpose(0, 2, 1))
    np.random.seed(57)
    raw = np.random.poisson(5.0, size=(4, 3, 50))
    many = setting("lost_sales", lead_time=3, stores=3)
    np.testing.assert_array_equal(many.published_demand("train", 4), raw.transpose(0, 2, 1))
    np.random.seed(58 + 4 + 90)
    raw = np.clip(np.random.normal(5, 1.6, size=(2, 1, 100)), 0, None)
    np.testing.assert_array_equal(setting("backlogged").published_demand("dev", 2)[:, :, 0], raw[:, 0])
    pair = setting("transshipment", stores=3)
    np.random.seed(57)
    raw = np.random.multivariate_normal(pair.mean, pair.network.demand.covariance, size=(2, 50))
    np.testing.assert_allclose(pair.published_demand("train", 2), raw)


def test_many_warehouses():
    it = setting("many_warehouses")
    network = it.network
    np.testing.assert_array_equal(network.holding[:2], [0.3, 0.4])
    np.testing.assert_array_equal(network.unit_cost[:3], [0.5, 1.5, 0])
    second = (network.source == 1) & (network.lead_time == 1)
    np.testing.assert_array_equal(network.target[second] - 2, [1, 4])
    lanes = {n: setting("many_warehouses", stores=n).network for n in (10, 20, 30, 40, 50)}
    assert [len(net.warehouses) for net in lanes.values()] == [2, 3, 4, 5, 6]
    assert [net.num_edges for net in lanes.values()] == [17, 45, 62, 91, 100]


def test_recorded_demand():
    it = setting("favorita", sales=SALES)
    assert it.network.lead_time.shape == (5, 3)
    assert set(it.network.lead_time.ravel()) <= {4, 5, 6}
    assert it.network.objective == "profit"
    assert (it.train, it.dev, it.test) == ((95, 16), (37, 16), (37, 16))
    hub = setting("favorita", sales=SALES, warehouses=1).network
    assert hub.penalty.shape == (5, 3)
    np.testing.assert_array_equal(hub.lead_time, [3, 2, 5, 2])
    np.testing.assert_array_equal(it.mean, SALES.mean(axis=(0, 1)))


@pytest.mark.parametrize(("W", "lanes"), [(2, 37), (3, 55), (4, 48), (5, 56)])
def test_recorded_demand_behind_several_warehouses(W, lanes):
    sales = np.random.default_rng(0).poisson(9.0, (4, 30, 21)).astype(float)
    net = setting("favorita", sales=sales, warehouses=W).network
    assert net.warehouses == tuple(f"warehouse {w}" for w in range(W))
    assert net.num_edges == W + lanes
    np.testing.assert_array_equal(net.holding[:W], [0.3, 0.4, 0.2, 0.5, 0.1][:W])
    np.testing.assert_array_equal(net.holding[W:], np.random.RandomState(73).uniform(0.7, 1.3, 21))
    np.testing.assert_array_equal(net.penalty, np.random.RandomState(28).uniform(6.3, 11.7, (4, 21)))
    np.testing.assert_array_equal(net.unit_cost[:W], [0.5, 1.5, 0.7, 1.3, 0.9][:W])
    assert not net.unit_cost[W:].any()
    np.testing.assert_array_equal(net.lead_time[:W], 3)
    np.testing.assert_array_equal(net.source[:W], -1)
    ways = {
        (int(s), int(t)): int(L)
        for s, t, L in zip(net.source, net.target - W, net.lead_time, strict=True)
        if s >= 0
    }
    assert ways[0, 5], ways[1, 0] == (5, 1)
    assert (0, 3) not in ways
    assert (1, 5) not in ways
    if W > 2:
        assert (ways[2, 4], ways[2, 19]) == (4, 4)
        assert (2, 11) not in ways
    if W == 5:  # the last two rows, by store
        assert [ways.get((3, i), 0) for i in range(6, 14)] == [0, 2, 0, 2, 1, 1, 1, 1]
        assert [ways.get((4, i), 0) for i in range(6, 14)] == [4, 4, 4, 4, 3, 4, 3, 4]
        assert ways[4, 20] == 4


def test_recorded_demand_with_lanes_of_ones_own():
    it = setting("favorita", sales=SALES, lanes=[[2, 0, 3], [1, 4, 0]])
    net = it.network
    assert net.stores == ("store 0", "store 1", "store 2")
    assert net.source.tolist() == [-1, -1, 0, 0, 1, 1]
    assert net.target.tolist() == [0, 1, 2, 4, 2, 3]
    assert net.lead_time.tolist() == [3, 3, 2, 3, 1, 4]
    assert net.unit_cost.tolist() == [0.5, 1.5, 0, 0, 0, 0]
    one = setting("favorita", sales=SALES, lanes=[[2, 1, 3]]).network
    assert one.warehouses == ("warehouse",)
    assert not one.unit_cost.any()
    assert it.options["lanes"] == [[2, 0, 3], [1, 4, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: setting("lost"), r"name must be one of \('lost_sales', 'backlogged'"),
        (lambda: setting("lost_sales", p=3), "lost_sales has no option 'p', it has"),
        (lambda: setting("lost_sales", demand=Normal(5, 1)), "demand must be a law on the integers"),
        (lambda: setting("lost_sales", penalty=-1), "penalty of store 0 is -1"),
        (lambda: setting("lost_sales", stores=0), "stores must be at least 1"),
        (lambda: setting("backlogged", demand=3), "demand must be Normal or a law on the integers, got 3"),
        (lambda: setting("serial", locations=2), r"locations must be in \[3, 7\]"),
        (lambda: setting("transshipment", correlation=2), "correlation must be in"),
        (lambda: setting("many_warehouses", stores=11), r"stores must be one of \(10, 20, 30, 40, 50\)"),
        (lambda: setting("dual_sourcing", lead_times=3), r"lead_times must be a pair \(regular, express\)"),
        (lambda: setting("favorita", sales=[[1.0]]), "sales must have shape"),
        (
            lambda: setting("favorita", sales=SALES, warehouses=2),
            "lanes are known for 21 stores",
        ),
        (lambda: setting("favorita", sales=SALES, warehouses=-1), "warehouses must be at least 0"),
        (lambda: setting("favorita", sales=SALES, lanes=[[1, 2]]), r"lanes must have shape"),
        (
            lambda: setting("favorita", sales=SALES, warehouses=2, lanes=[[1, 2, 3]]),
            r"lanes must have shape \(2, 3\)",
        ),
        (lambda: setting("favorita", sales=SALES, lanes=[[1, 2, -1]]), r"lanes\[0, 2\] is -1"),
        (lambda: setting("favorita", sales=SALES, lanes=[[1, 2.5, 1]]), r"lanes\[0, 1\] is no whole number"),
        (
            lambda: setting("favorita", sales=SALES, lanes=np.ones((7, 3))),
            "lanes has 7 warehouses",
        ),
        (lambda: setting("favorita", sales=SALES, lanes=[[1, 2, 0]]), "'store 2' has no supplier"),
        (
            lambda: setting("favorita", sales=SALES, lanes=[[1, 2, 1], [0, 0, 0]]),
            "ships to no one",
        ),
        (lambda: setting("lost_sales").published_demand("tset", 2), "split must be one of"),
        (lambda: setting("dual_sourcing").published_demand("test", 2), "the study drew no demand"),
        (lambda: setting("lost_sales").first_inventory(2, rng=3), "rng must be a numpy.random.Generator"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
