"""Compiled loops of paths against operations of PyTorch and autograd; orders at the end of a path."""

import numpy as np
import pytest
import torch

from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import GNNPolicy, HDPOConfig, Problem, SharedLevelPolicy
from eluder.deep.inventory._compiled_step import lanes_of, step, step_back
from eluder.deep.inventory._hdpo import Paths, make_update, path_cost
from eluder.deep.inventory._simulator import Simulator
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
from tests.deep.inventory.test_shared_weights import mesh

B = 4
POLICY = SharedLevelPolicy((8, 6), 3)


def odd(unmet="lost", objective="cost"):
    """Two echelons, a warehouse that cannot hold, several sources, capacities, fixed costs, no lead time."""
    parts = [
        supplier("far"), supplier("near"), warehouse("a", holding=0.4), warehouse("b", holding=0.2),
        warehouse("c", holds=False), store("x", holding=1.0, penalty=4.0),
        store("y", holding=2.0, penalty=7.0), store("z", holding=1.5, penalty=5.0),
        edge("far", "a", lead_time=2, unit_cost=0.3), edge("a", "b", lead_time=1),
        edge("near", "c", lead_time=1), edge("far", "c", lead_time=3, unit_cost=0.7, capacity=6.0),
        edge("b", "x", lead_time=2, fixed_cost=2.0), edge("c", "x", lead_time=3, unit_cost=0.2),
        edge("c", "y", lead_time=1), edge("near", "z", lead_time=0, unit_cost=0.5),
        edge("b", "z", lead_time=3),
    ]  # fmt: skip
    mean, sd = np.array([5.0, 3.0, 7.0]), np.array([2.0, 1.0, 2.5])
    law = MultivariateNormal(mean, sd, 0.3, clipped=True)
    return Setting("odd", Network.build(*parts, unmet=unmet, objective=objective, demand=law), mean, sd)


NETWORKS = {
    "odd": odd,
    "odd, profit": lambda: odd("backlog", "profit"),
    "serial": lambda: setting("serial"),
    "one warehouse": lambda: setting("one_warehouse", stores=4),
    "transshipment": lambda: setting("transshipment"),
    "many warehouses": lambda: setting("many_warehouses"),
}


def play(problem, N=2, T=12, seed=0):
    """Parameters that are not the first ones, states some of which are short, demand."""
    rng, s = np.random.default_rng(seed), problem.simulator
    parameters = POLICY.init(problem, seed_keys(range(N)))
    with torch.no_grad():
        for leaf in parameters.tensors.values():
            leaf += (
                0.6 * torch.as_tensor(rng.normal(size=leaf.shape), dtype=leaf.dtype) / leaf.shape[-2] ** 0.5
            )
    x = rng.uniform(0, 6, (N, B, s.M, s.L)) * (rng.random((N, B, s.M, s.L)) < 0.7)
    x[:, :, : s.W] *= 2
    return parameters, torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(
        rng.uniform(0, 9, (N, T, B, s.n)), dtype=torch.float32
    )  # fmt: skip


@pytest.mark.parametrize("tail", [0, 2])
@pytest.mark.parametrize("network", NETWORKS)
def test_costs_states_and_gradients_are_those_of_autograd(network, tail):
    problem = Problem(NETWORKS[network]())
    parameters, x, demand = play(problem)
    cost, end = path_cost(POLICY, parameters.tensors, problem, x, demand, tail)
    cost.mean(dim=1).sum().backward()
    wanted = parameters.grad.clone()
    parameters.zero_grad()
    found, last = POLICY.compiled(problem, parameters)(x, demand, tail)
    torch.testing.assert_close(found, cost.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last, end.detach(), rtol=1e-5, atol=1e-4)
    assert wanted.abs().max() > 0.1
    assert (parameters.grad - wanted).abs().max() < 2e-5 * wanted.abs().max()


def steady():
    """Demand that hardly varies: widths so small that a shortage is not divided by their sum."""
    given = odd()
    return Setting("steady", given.network, given.mean, np.array([1e-7, 2e-7, 1.5e-7]))


@pytest.mark.parametrize("network", [odd, steady])
def test_gradients_in_float64_are_those_of_autograd(network):
    problem = Problem(network(), dtype=torch.float64)
    parameters, x, demand = (y.double() if isinstance(y, torch.Tensor) else y for y in play(problem))
    cost, _ = path_cost(POLICY, parameters.tensors, problem, x, demand)
    cost.mean(dim=1).sum().backward()
    wanted = parameters.grad.clone()
    parameters.zero_grad()
    found, _ = POLICY.compiled(problem, parameters)(x, demand, 0)
    torch.testing.assert_close(found, cost.detach(), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(parameters.grad, wanted, rtol=1e-8, atol=1e-9)


def test_loops_add_to_the_gradient_and_seeds_are_seeds_alone():
    problem = Problem(setting("many_warehouses"))
    parameters, x, demand = play(problem, N=2)
    loops = POLICY.compiled(problem, parameters)
    loops(x, demand, 1)
    once = {k: leaf.grad.clone() for k, leaf in parameters.tensors.items()}
    loops(x, demand, 1)
    torch.testing.assert_close(parameters["store_w0"].grad, 2 * once["store_w0"], rtol=1e-4, atol=1e-6)
    alone, _, _ = play(problem, N=1)
    for name, leaf in alone.tensors.items():
        leaf.detach().copy_(parameters[name][1:])
    cost, end = POLICY.compiled(problem, alone)(x[1:], demand[1:], 1)
    for name, leaf in alone.tensors.items():
        torch.testing.assert_close(leaf.grad, once[name][1:], rtol=0, atol=0)
    both, ends = loops(x, demand, 1)
    torch.testing.assert_close(cost, both[1:], rtol=0, atol=0)
    torch.testing.assert_close(end, ends[1:], rtol=0, atol=0)


def test_other_numbers_of_paths_and_periods_get_their_own_memory():
    problem = Problem(setting("one_warehouse", stores=3))
    parameters, x, demand = play(problem)
    loops = POLICY.compiled(problem, parameters)
    for periods, paths in ((12, 4), (12, 2), (5, 2), (12, 4)):
        x_, demand_ = x[:, :paths], demand[:, :periods, :paths]
        cost, end = path_cost(POLICY, parameters.tensors, problem, x_, demand_)
        found, last = loops(x_, demand_, 0)
        torch.testing.assert_close(found, cost.detach(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(last, end.detach(), rtol=1e-5, atol=1e-4)


def test_a_store_that_sells_its_last_unit_would_keep_one_more():
    """At the kink the derivative is that of more stock: with no stock and no demand, none is missing."""
    s = Simulator(setting("one_warehouse", stores=2).network, dtype=torch.float64)
    x, q, after = np.zeros((2, s.M, s.L)), np.zeros((2, s.E)), np.zeros((2, s.M, s.L))
    x[1, s.W :, 0] = 3.0
    d, f, cost, g_x, g_q = x[:, s.W :, 0].copy(), np.zeros_like(q), np.zeros(2), after.copy(), q.copy()
    step(x, q, d, lanes_of(s), after, f, cost)
    step_back(x, q, d, f, lanes_of(s), np.zeros_like(x), 1.0, g_x, g_q)
    assert not cost.any()
    np.testing.assert_array_equal(g_x[:, s.W :, 0], np.tile(s.holding[s.W :], (2, 1)))


@pytest.mark.parametrize("options", [("lost", "cost"), ("backlog", "profit"), ("lost", "profit")])
def test_a_period_is_that_of_the_simulator(options):
    """In float64, with idle warehouses, shortages, capacities; and its derivative is that of autograd."""
    s, rng = Simulator(odd(*options).network, dtype=torch.float64), np.random.default_rng(4)
    rows = 40
    x = torch.as_tensor(rng.uniform(0, 9, (1, rows, s.M, s.L))).requires_grad_()
    q = rng.uniform(0, 12, (1, rows, s.E)) * (rng.random((1, rows, s.E)) < 0.6)
    q[0, :9, np.flatnonzero(s.network.source == 2)] = 0.0  # nobody asks the one that cannot hold
    q = torch.as_tensor(q).requires_grad_()
    d = torch.as_tensor(rng.uniform(0, 9, (1, rows, s.n)))
    outcome, way = s.step(x, q, d), torch.as_tensor(rng.normal(size=x.shape))
    (0.7 * outcome.cost.sum() + (way * outcome.inventory).sum()).backward()

    after, f, cost = np.empty(x.shape[1:]), np.empty(q.shape[1:]), np.ones(rows)
    arrays = [y.detach().numpy()[0] for y in (x, q, d)]
    step(*arrays, lanes_of(s), after, f, cost)
    np.testing.assert_allclose(after, outcome.inventory[0].detach(), atol=1e-12)
    np.testing.assert_allclose(f, outcome.shipped[0].detach(), atol=1e-12)
    np.testing.assert_allclose(cost, 1 + outcome.cost[0].detach(), atol=1e-12)
    g_x, g_q = np.empty_like(after), np.empty_like(f)
    step_back(*arrays, f, lanes_of(s), way[0].numpy(), 0.7, g_x, g_q)
    np.testing.assert_allclose(g_x, x.grad[0], atol=1e-12)
    np.testing.assert_allclose(g_q, q.grad[0], atol=1e-12)


def test_an_update_is_the_same_with_loops_and_without(monkeypatch):
    given = setting("many_warehouses")
    config = HDPOConfig(batch_size=8, periods=7, tail=2, lr=0.01, max_grad_norm=0.05)
    left = []
    for loops in (True, False):
        if not loops:
            monkeypatch.setattr(SharedLevelPolicy, "compiled", lambda *_: None)
        problem, keys = Problem(given), seed_keys([3, 4])
        parameters, _, _ = play(problem)
        update, _ = make_update(config, POLICY, problem, parameters)
        paths = Paths(config, problem, keys)
        left.append([*(update(paths, u)["loss"] for u in range(2)), paths.x, parameters.grad])
    for a, b in zip(*left, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_orders_of_the_tail_do_not_move_the_parameters():
    """Held against parameters of their own for the last periods."""
    problem = Problem(setting("one_warehouse", stores=3))
    policy = GNNPolicy(width=5)
    parameters = policy.init(problem, seed_keys([1]))
    _, x, demand = play(problem, N=1)
    own = {k: leaf.detach().clone().requires_grad_() for k, leaf in parameters.tensors.items()}
    early, middle = path_cost(policy, parameters.tensors, problem, x, demand[:, :10])
    late, end = path_cost(policy, own, problem, middle, demand[:, 10:])
    ((10 * early + 2 * late) / 12).mean().backward()
    wanted = parameters.grad.clone()
    assert own["node_w0"].grad.abs().max() > 0
    parameters.zero_grad()
    cost, last = path_cost(policy, parameters.tensors, problem, x, demand, 2)
    cost.mean().backward()
    torch.testing.assert_close(parameters.grad, wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(last, end)


class Doubled(SharedLevelPolicy):
    """Orders of its own: the loops know nothing of them."""

    def orders(self, parameters, problem, seen):
        return 2 * super().orders(parameters, problem, seen)


def test_where_there_are_no_loops():
    for policy, given in (
        (SharedLevelPolicy(activation="tanh"), setting("one_warehouse")),
        (SharedLevelPolicy(), setting("lost_sales")),
        (SharedLevelPolicy(), mesh(per_sample=True)),
        (Doubled(), setting("one_warehouse")),
    ):
        problem = Problem(given)
        assert policy.compiled(problem, policy.init(problem, seed_keys([0]))) is None


def test_bad_input():
    with pytest.raises(ValueError, match="tail"):
        HDPOConfig(periods=5, tail=5)
    with pytest.raises(ValueError, match="tail"):
        HDPOConfig(tail=-1)
