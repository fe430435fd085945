"""The symmetry-aware policy: against a loop over edges, and what must and must not matter to it."""

import math

import numpy as np
import pytest
import torch

from eluder.deep.common import devices
from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import (
    HDPOConfig,
    Problem,
    Seen,
    SymmetryAwarePolicy,
    hdpo,
    simulated_cost,
)
from eluder.deep.inventory import _hdpo as module
from eluder.deep.inventory._hdpo import path_cost
from eluder.envs.inventory import Network, Normal, Setting, edge, setting, store, supplier, warehouse
from tests.deep.graphs import played
from tests.deep.inventory.test_shared_weights import ACTS, Naive, mesh, perceptron, some
from tests.deep.inventory.test_shared_weights import NETWORKS as COMMON

POLICIES = {
    "elu": SymmetryAwarePolicy((6, 5), (7, 4)),
    "tanh": SymmetryAwarePolicy((8,), (3,), activation="tanh"),
}
SMALL = SymmetryAwarePolicy((8,), (8,))


def mixed():
    """Edges into stores before those into warehouses."""
    network = Network.build(
        supplier("s"), warehouse("a", holding=0.1), warehouse("b", holding=0.3),
        store("x", holding=1, penalty=4), store("y", holding=1, penalty=9),
        edge("b", "y", lead_time=2, unit_cost=0.5), edge("a", "b", lead_time=1),
        edge("s", "x", lead_time=3), edge("s", "a", lead_time=2), edge("a", "x", lead_time=1),
        demand=Normal(5.0, 1.0),
    )  # fmt: skip
    return Setting("mixed", network, np.array([5.0, 5.0]), np.array([1.0, 1.0]))


NETWORKS = {**COMMON, "mixed": mixed}


def naive_orders(policy, p, n, net, x, slots):
    """One sample of one seed, edge by edge."""
    act, W = ACTS[policy.activation], net.W
    inventory = x / net.unit[:, None]
    own = [np.array([*inventory[i], *net.fixed[i]]) for i in range(net.M)]
    nothing = np.zeros_like(own[0])
    c = act(perceptron(p, "context_", n, inventory[slots], act))
    passes = [net.share[e] * net.unit[i] for e, i in enumerate(net.tgt)]
    y = np.zeros(net.E)
    for e, (w, i) in enumerate(zip(net.src, net.tgt)):
        row = np.concatenate([own[i], own[w] if w >= 0 else nothing, net.arc[e], c])
        y[e] = perceptron(p, "warehouse_" if i < W else "store_", n, row, act)[0]
    q = 4 * np.array(passes) / (1 + np.exp(math.log(3) - y))
    for w in range(W):
        leaving = np.flatnonzero(net.src == w)
        all_of_it = sum(passes[e] for e in leaving)
        a = {e: passes[e] / all_of_it * math.exp(20 * math.tanh(y[e] / 20)) for e in leaving}
        for e in leaving:
            q[e] = x[w, 0] * a[e] / (net.holds[w] + sum(a.values()))
    return q


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", POLICIES)
def test_orders_are_those_of_the_formulas(name, network):
    policy, problem = POLICIES[name], Problem(NETWORKS[network](), dtype=torch.float64)
    parameters, x = some(problem, policy)
    with torch.no_grad():
        q = policy.orders(parameters.tensors, problem, Seen(x)).numpy()
    arrays = {k: v.detach().numpy() for k, v in parameters.tensors.items()}
    for n in range(x.shape[0]):
        for b in range(x.shape[1]):
            wanted = naive_orders(
                policy, arrays, n, Naive(problem, b), x[n, b].numpy(), problem.slots.numpy()
            )
            np.testing.assert_allclose(q[n, b], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("network", ["one_warehouse", "many_warehouses", "transshipment", "serial"])
def test_first_orders_by_hand(network):
    """Scores of zero: what passes from outside; a half of what a warehouse has, or all, by what passes."""
    problem = Problem(setting(network), dtype=torch.float64)
    parameters, x = some(problem, SMALL)
    with torch.no_grad():
        parameters.flat.zero_()
    q = SMALL.orders(parameters.tensors, problem, Seen(x))
    s = problem.simulator
    unit = problem.share * problem.through[s.target]
    for e in range(s.E):
        w = int(s.source[e])
        if w == s.W:
            torch.testing.assert_close(q[..., e], unit[e].expand_as(q[..., e]))
        else:
            part = unit[e] / unit[s.source == w].sum()
            stock = x[:, :, w, 0] / (2 if s.holds[w] else 1)
            torch.testing.assert_close(q[..., e], part * stock)


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_is_promised_twice(network):
    """Also with scores of a thousand, which no exponential survives."""
    problem = Problem(NETWORKS[network]())
    parameters, x = some(problem, SMALL)
    with torch.no_grad():
        parameters["store_w1"].mul_(1e3)
        parameters["store_b1"].fill_(-500.0)
    q = SMALL.orders(parameters.tensors, problem, Seen(x))
    assert torch.isfinite(q).all()
    assert (q >= 0).all()
    s = problem.simulator
    shipped = q.new_zeros(*q.shape[:-1], s.W + 1).index_add(-1, s.source, q)[..., : s.W]
    stock = x[:, :, : s.W, 0]
    assert (shipped <= stock * (1 + 1e-5)).all()
    empty = ~s.holds[: s.W]
    torch.testing.assert_close(shipped[..., empty], stock[..., empty], rtol=1e-4, atol=1e-4)
    q.sum().backward()
    assert torch.isfinite(parameters.grad).all()


def test_the_order_of_stores_matters_to_the_context_alone():
    """Stores in other places, and the rows of the context's first layer with them: the same orders."""
    order = [2, 0, 1]
    problem, other = (Problem(mesh(order=k), dtype=torch.float64) for k in ((0, 1, 2), order))
    policy = POLICIES["elu"]
    parameters, x = some(problem, policy)
    places = [0, 1, 2, *(3 + i for i in order)]
    L = problem.simulator.L
    row = {int(k): r for r, k in enumerate(problem.places)}
    rows = [row[places[int(k) // L] * L + int(k) % L] for k in other.places]
    moved = {k: v[:, rows] if k == "context_w0" else v for k, v in parameters.tensors.items()}
    q = policy.orders(parameters.tensors, problem, Seen(x))
    r = policy.orders(moved, other, Seen(x[:, :, places]))
    names, others = problem.setting.network.edges, other.setting.network.edges
    torch.testing.assert_close(r, q[..., [names.index(k) for k in others]])


def test_every_store_sees_all_others():
    """What is at one store moves the orders of another, through the context only."""
    problem = Problem(setting("one_warehouse", stores=3), dtype=torch.float64)
    parameters, x = some(problem, SMALL, N=1)
    moved = x.clone()
    moved[..., 3, 0] += 2.0
    weights = {k: v.detach().clone() for k, v in parameters.tensors.items()}

    def change():
        return (SMALL.orders(weights, problem, Seen(moved)) - SMALL.orders(weights, problem, Seen(x))).abs()

    at = problem.simulator.target
    assert (change()[..., at != 3].amax(dim=(0, 1)) > 1e-6).all()
    weights["context_w0"].zero_()
    assert (change()[..., at == 0] == 0).all()


@pytest.mark.parametrize("network", ["per sample", "transshipment", "serial"])
def test_gradients_are_those_of_differences(network):
    policy, problem = POLICIES["tanh"], Problem(NETWORKS[network](), dtype=torch.float64)
    parameters, x = some(problem, policy, N=1)
    rng = np.random.default_rng(2)
    d = torch.as_tensor(rng.uniform(0, 9, (1, 4, x.shape[1], problem.simulator.n)))

    def total():
        return path_cost(policy, parameters.tensors, problem, x, d)[0].mean()

    total().backward()
    for _ in range(4):
        way = torch.as_tensor(rng.normal(size=parameters.flat.shape))
        with torch.no_grad():
            eps = 1e-6
            parameters.flat.add_(eps * way)
            up = total()
            parameters.flat.sub_(2 * eps * way)
            slope = (up - total()) / (2 * eps)
            parameters.flat.add_(eps * way)
        assert (parameters.grad @ way).item() == pytest.approx(slope.item(), rel=2e-4, abs=1e-6)


def test_seeds_side_by_side_are_seeds_alone():
    policy, problem = POLICIES["elu"], Problem(mesh())
    both, alone = policy.init(problem, seed_keys([4, 7])), policy.init(problem, seed_keys([7]))
    for key, leaf in alone.tensors.items():
        torch.testing.assert_close(both[key][1:], leaf)
    parameters, x = some(problem, policy, N=2)
    q = policy.orders(parameters.tensors, problem, Seen(x))
    one = {k: v[1:] for k, v in parameters.tensors.items()}
    torch.testing.assert_close(policy.orders(one, problem, Seen(x[1:])), q[1:], rtol=1e-4, atol=1e-4)


def test_operations_and_shared_parameters_do_not_depend_on_the_number_of_stores():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        n = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Count.n += 1
            return func(*args, **(kwargs or {}))

    counts, shapes = [], []
    for n in (10, 40):
        problem = Problem(setting("one_warehouse", stores=n))
        parameters, x = some(problem, SMALL, N=1)
        SMALL.orders(parameters.tensors, problem, Seen(x))
        Count.n = 0
        with Count():
            SMALL.orders(parameters.tensors, problem, Seen(x)).sum().backward()
        counts.append(Count.n)
        shapes.append({k: v.shape for k, v in parameters.tensors.items() if k != "context_w0"})
    assert counts[0] == counts[1]
    assert shapes[0] == shapes[1]


def test_without_warehouses():
    """Orders from outside, less than four times what passes; no network of warehouses."""
    problem = Problem(setting("lost_sales", stores=3))
    parameters, x = some(problem, SMALL, scale=3.0)
    assert "warehouse_w0" not in parameters.tensors
    q = SMALL.orders(parameters.tensors, problem, Seen(x))
    assert (q > 0).all()
    assert (q < 4 * problem.mean).all()
    assert (q > 2 * problem.mean).any()


@pytest.mark.parametrize("network", ["one_warehouse", "transshipment", "lost_sales"])
def test_training_can_be_captured(network, monkeypatch):
    """A tape of the update gives the same numbers as the update."""
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)
    config = HDPOConfig(batch_size=4, periods=5, samples=4)
    run = {"policy": SMALL, "config": config, "seeds": (2, 3)}
    given = setting(network, stores=3)
    plain, used = hdpo(given, 6, **run), []
    monkeypatch.setattr(module, "repeated", lambda *a: used.append(played(*a)) or used[-1])
    taped = hdpo(given, 6, **run)
    assert used[0].tapes
    for key, x in plain.parameters.items():
        np.testing.assert_array_equal(x, taped.parameters[key])


def test_training_beats_the_first_policy():
    problem = Problem(setting("one_warehouse", stores=3))
    start = SMALL.init(problem, seed_keys([0]))
    first = simulated_cost(SMALL, start.tensors, problem, samples=256)[0]
    config = HDPOConfig(batch_size=32, periods=15, lr=0.02, average=0.1, samples=256)
    result = hdpo(problem.setting, 60, policy=SMALL, config=config)
    assert -result.returns[-1, 0, 0] < 0.5 * first.cost


def test_bad_input():
    with pytest.raises(ValueError, match=r"hidden\[1\]"):
        SymmetryAwarePolicy((8, 0))
    with pytest.raises(ValueError, match=r"context\[0\]"):
        SymmetryAwarePolicy(context=(0, 8))
    with pytest.raises(ValueError, match=r"hidden must hold at least one layer, got \(\)"):
        SymmetryAwarePolicy(())
    with pytest.raises(ValueError, match=r"context must hold at least one layer, got \(\)"):
        SymmetryAwarePolicy(context=())
    with pytest.raises(ValueError, match="activation must be one of elu, relu, tanh, got 'gelu'"):
        SymmetryAwarePolicy(activation="gelu")
