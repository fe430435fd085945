"""The differentiable simulator against the definition, its gradient against differences, demand against its
law."""

import numpy as np
import pytest
import torch

from eluder.deep.common.random import seed_keys
from eluder.deep.inventory._draws import drawer
from eluder.deep.inventory._simulator import Simulator
from eluder.envs.inventory import (
    Geometric,
    MultivariateNormal,
    Network,
    Normal,
    Poisson,
    Trace,
    edge,
    setting,
    setting_names,
    step,
    store,
    supplier,
    uniform_demand,
    warehouse,
)

NAMES = [name for name in setting_names() if name != "favorita"]


def random_play(network, N=2, B=3, T=8, seed=0):
    """States, orders and demand of some periods, with shortages."""
    rng = np.random.default_rng(seed)
    if network.num_samples is not None:
        B = network.num_samples
    x = rng.uniform(0, 6, (N, B, network.num_locations, network.longest))
    q = rng.uniform(0, 9, (T, N, B, network.num_edges)) * (rng.random((T, N, B, network.num_edges)) < 0.8)
    d = rng.uniform(0, 9, (T, N, B, len(network.stores)))
    return x, q, d


def per_sample():
    """Every parameter of its own for each of 4 samples, two warehouses, one of which cannot hold."""
    rng = np.random.default_rng(9)
    draw = lambda: rng.uniform(0.5, 2, 4)  # noqa: E731
    lead = lambda: rng.integers(1, 4, 4)  # noqa: E731
    return Network.build(
        supplier("far"), supplier("near"),
        warehouse("a", holding=draw()), warehouse("b", holds=False),
        store("x", holding=draw(), penalty=draw()), store("y", holding=1, penalty=draw()),
        edge("far", "a", lead_time=lead(), unit_cost=draw()), edge("near", "b", lead_time=2, capacity=4.0),
        edge("a", "x", lead_time=lead()), edge("a", "y", lead_time=lead(), fixed_cost=3.0),
        edge("b", "x", lead_time=lead()), edge("b", "y", lead_time=lead(), unit_cost=draw()),
        edge("near", "y", lead_time=0, unit_cost=draw()),
        unmet="lost", objective="profit",
    )  # fmt: skip


def whole_units(unmet="backlog"):
    """Integer orders through three warehouses, one of which cannot hold; capacities that are not whole."""
    return Network.build(
        supplier("far"),
        warehouse("a", holding=0.3), warehouse("b", holds=False), warehouse("top", holding=0.1),
        store("x", holding=1, penalty=4), store("y", holding=2, penalty=3), store("z", holding=2, penalty=3),
        edge("far", "top", lead_time=1, capacity=7.5), edge("top", "a", lead_time=1, capacity=3.9),
        edge("top", "b", lead_time=2), edge("a", "x", lead_time=1), edge("a", "y", lead_time=2),
        edge("a", "z", lead_time=1, capacity=2.5), edge("b", "x", lead_time=3), edge("b", "y", lead_time=1),
        edge("far", "z", lead_time=0, fixed_cost=2.0),
        unmet=unmet, orders="integer",
    )  # fmt: skip


def backlog_of_profit():
    """Sold units earn; what is owed counts in every period."""
    lanes = edge("far", "x", lead_time=2), edge("far", "y", lead_time=0, unit_cost=1.0)
    shops = store("x", holding=1, penalty=4), store("y", holding=2, penalty=3)
    return Network.build(supplier("far"), *shops, *lanes, unmet="backlog", objective="profit")


MADE = {
    "per sample": per_sample,
    "whole units": whole_units,
    "whole units, lost": lambda: whole_units("lost"),
    "profit": backlog_of_profit,
}


@pytest.mark.parametrize("name", [*NAMES, *MADE])
def test_every_period_is_that_of_the_definition(name):
    network = MADE[name]() if name in MADE else setting(name).network
    simulator = Simulator(network, dtype=torch.float64)
    x, q, d = random_play(network, B=40 if name.startswith("whole") else 3)
    if network.orders == "integer":
        x, q, d = np.rint(x), np.rint(2 * q) / 2, np.rint(d)
    if network.unmet == "backlog":
        x[:, :, simulator.W :, 0] -= 3
    now = torch.as_tensor(x)
    for orders, demand in zip(q, d):
        wanted = [step(network, now[k].numpy(), orders[k], demand[k]) for k in range(2)]
        outcome = simulator.step(now, torch.as_tensor(orders), torch.as_tensor(demand), rounded=True)
        for k in range(2):
            np.testing.assert_allclose(outcome.shipped[k], wanted[k].shipped, atol=1e-12)
            np.testing.assert_allclose(outcome.inventory[k], wanted[k].inventory, atol=1e-12)
            np.testing.assert_allclose(outcome.short[k], wanted[k].short, atol=1e-12)
            np.testing.assert_allclose(outcome.cost[k], wanted[k].cost, atol=1e-11)
        now = outcome.inventory


def test_a_part_of_the_samples_has_its_own_parameters():
    network = per_sample()
    simulator = Simulator(network, dtype=torch.float64)
    x, q, d = (torch.as_tensor(y) for y in random_play(network, T=1))
    rows = torch.tensor([3, 1])
    all_of_them = simulator.step(x, q[0], d[0])
    some = simulator.take(rows).step(x[:, rows], q[0][:, rows], d[0][:, rows])
    torch.testing.assert_close(some.inventory, all_of_them.inventory[:, rows])
    torch.testing.assert_close(some.cost, all_of_them.cost[:, rows])


@pytest.mark.parametrize(
    "name", ["lost_sales", "serial", "transshipment", "one_warehouse", "many_warehouses"]
)
def test_gradients_are_those_of_differences(name):
    """Of the cost of some periods in orders and first state; points of kinks have measure zero."""
    network = setting(name).network
    simulator = Simulator(network, dtype=torch.float64)
    x, q, d = (torch.as_tensor(y) for y in random_play(network, N=1, B=2, T=4, seed=3))

    def total(x, q):
        cost = 0.0
        for orders, demand in zip(q, d):
            outcome = simulator.step(x, orders, demand)
            x, cost = outcome.inventory, cost + outcome.cost.sum()
        return cost

    x, q = x.requires_grad_(), q.requires_grad_()
    gx, gq = torch.autograd.grad(total(x, q), (x, q))
    rng = np.random.default_rng(4)
    for _ in range(5):
        dx, dq = (torch.as_tensor(rng.normal(size=y.shape)) for y in (x, q))
        dq = dq * (q > 0)
        eps = 1e-6
        with torch.no_grad():
            slope = (total(x + eps * dx, q + eps * dq) - total(x - eps * dx, q - eps * dq)) / (2 * eps)
        assert ((gx * dx).sum() + (gq * dq).sum()).item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-4)


def test_tiny_orders_have_a_finite_gradient():
    """The square of 1e-25 is zero in float32."""
    simulator = Simulator(setting("one_warehouse", stores=3).network)
    x = torch.full((1, 1, 4, simulator.L), 5.0)
    q = torch.full((1, 1, 4), 1e-25, requires_grad=True)
    simulator.step(x, q, torch.ones(1, 1, 3)).inventory.sum().backward()
    assert q.grad.tolist() == [[[1.0, 0.0, 0.0, 0.0]]]  # what a warehouse ships is not new


def test_operations_do_not_depend_on_the_number_of_stores():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        n = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Count.n += 1
            return func(*args, **(kwargs or {}))

    counts = []
    for n in (3, 30):
        network = setting("one_warehouse", stores=n).network
        simulator, (x, q, d) = Simulator(network), random_play(network, T=1)
        x, q, d = (torch.as_tensor(y, dtype=torch.float32) for y in (x, q[0], d[0]))
        Count.n = 0
        with Count():
            simulator.step(x, q, d)
        counts.append(Count.n)
    assert counts[0] == counts[1]


LAWS = {
    "Poisson": Poisson(5.0),
    "Geometric": Geometric(5.0),
    "uniform": uniform_demand(0, 4),
    "Normal": Normal(5.0, 2.0),
    "clipped": Normal(1.0, 1.0),
    "not clipped": Normal(1.0, 1.0, clipped=False),
}


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_law_and_their_counter(name):
    law, keys = LAWS[name], seed_keys([1, 2])
    draw = drawer(law, 3)
    x = draw(keys, 5, 100, (2000, 4))
    assert x.shape == (2, 4, 2000, 3)
    y = law.sample(np.random.default_rng(0), (48_000,))
    assert x.mean().item() == pytest.approx(y.mean(), abs=0.1)
    assert x.std().item() == pytest.approx(y.std(), rel=0.03)
    for q in (0.1, 0.5, 0.9, 0.99):
        assert (x <= np.quantile(y, q)).float().mean() == pytest.approx(
            (y <= np.quantile(y, q)).mean(), abs=0.01
        )
    torch.testing.assert_close(x[1:], draw(seed_keys([2]), 5, 100, (2000, 4)))
    assert not torch.equal(x, draw(keys, 6, 100, (2000, 4)))


def test_joint_demand_has_its_covariance():
    law = MultivariateNormal([3.0, 5.0, 7.0], [1.0, 2.0, 0.5], 0.4, clipped=False)
    x = drawer(law, 3)(seed_keys([0]), 0, 0, (50_000, 1))[0, 0].numpy()
    np.testing.assert_allclose(x.mean(axis=0), law.mean, atol=0.04)
    np.testing.assert_allclose(np.cov(x.T), law.covariance, atol=0.06)


def test_traces_give_windows():
    record = np.arange(20.0).reshape(10, 2)
    x = drawer(Trace(record), 2)(seed_keys([4]), 0, 0, (300, 4))
    assert x.shape == (1, 4, 300, 2)
    assert set(x[0, 0, :, 0].tolist()) == set(record[:7, 0])
    assert (x[0, 1:] - x[0, :-1] == 2).all()


def test_bad_input():
    with pytest.raises(ValueError, match="demand has 2 stores, the network 3"):
        drawer(Trace([[1.0, 2.0]]), 3)
    with pytest.raises(ValueError, match="demand must be a law"):
        drawer("Poisson", 1)
