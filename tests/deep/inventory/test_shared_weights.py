"""Policies that share weights over a network: against loops over locations, edges and arcs, and what must not
matter: the order of stores, seeds side by side, the size of the network."""

import math

import numpy as np
import pytest
import torch

from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import (
    GNNPolicy,
    HDPOConfig,
    Problem,
    Seen,
    SharedLevelPolicy,
    hdpo,
    heuristic_levels,
    simulated_cost,
)
from eluder.deep.inventory._hdpo import path_cost
from eluder.deep.inventory._source_levels import source_levels
from eluder.envs.inventory import (
    MultivariateNormal,
    Network,
    Poisson,
    Setting,
    edge,
    setting,
    store,
    supplier,
    warehouse,
)

L, B = 3, 4
POLICIES = {
    "shared": SharedLevelPolicy((8, 8), 3),
    "one layer": SharedLevelPolicy((6,), 2, activation="tanh"),
    "gnn": GNNPolicy(width=6),
    "two rounds": GNNPolicy(width=5, rounds=2, activation="tanh"),
    "gnn levels": GNNPolicy(width=6, levels=True),
}


def mesh(per_sample=True, order=(0, 1, 2), holds=(True, True, False), unmet="lost"):
    """Three warehouses in two echelons, one of which may not hold; stores with one source, two, and a
    supplier; everything of its own for each sample."""
    rng = np.random.default_rng(5)

    def draw(low=0.5, high=2.0):
        return rng.uniform(low, high, B) if per_sample else float(rng.uniform(low, high))

    def lead():
        return rng.integers(1, L + 1, B) if per_sample else int(rng.integers(1, L + 1))

    parts = [
        supplier("far"), supplier("near"),
        warehouse("a", holding=draw(), holds=holds[0]), warehouse("b", holding=draw(), holds=holds[1]),
        warehouse("c", holds=holds[2]),
        edge("far", "a", lead_time=lead(), unit_cost=draw()), edge("a", "b", lead_time=lead()),
        edge("near", "c", lead_time=lead()), edge("far", "c", lead_time=lead(), unit_cost=draw()),
    ]  # fmt: skip
    stores = [store(f"s{i}", holding=draw(), penalty=draw(4, 9)) for i in range(3)]
    lanes = [
        [edge("b", "s0", lead_time=lead()), edge("c", "s0", lead_time=lead(), unit_cost=draw())],
        [edge("c", "s1", lead_time=lead())],
        [edge("near", "s2", lead_time=L), edge("b", "s2", lead_time=lead(), unit_cost=draw())],
    ]
    mean, sd = np.array([5.0, 3.0, 7.0]), np.array([2.0, 1.0, 2.5])
    k = list(order)
    parts += [stores[i] for i in k] + [lane for i in k for lane in lanes[i]]
    law = MultivariateNormal(mean[k], sd[k], 0.3, clipped=True)
    return Setting("mesh", Network.build(*parts, unmet=unmet, demand=law), mean[k], sd[k])


def some(problem, policy, N=2, seed=0, scale=0.6):
    """Parameters that are not the initial ones, and states some of which are short."""
    rng = np.random.default_rng(seed)
    parameters = policy.init(problem, seed_keys(range(N)))
    with torch.no_grad():
        for leaf in parameters.tensors.values():
            leaf += (
                scale
                * torch.as_tensor(rng.normal(size=leaf.shape[1:]), dtype=leaf.dtype)
                / leaf.shape[-2] ** 0.5
            )
            leaf *= torch.linspace(1.0, 0.8, N).view(-1, *[1] * (leaf.dim() - 1)).to(leaf.dtype)
    s = problem.simulator
    x = rng.uniform(0, 6, (N, B, s.M, s.L)) * (rng.random((N, B, s.M, s.L)) < 0.7)
    x[:, :, : s.W] *= 3
    return parameters, torch.as_tensor(x, dtype=problem.mean.dtype)


def perceptron(p, name, n, x, act):
    i = 0
    while f"{name}w{i}" in p:
        x = (act(x) if i else x) @ p[f"{name}w{i}"][n] + p[f"{name}b{i}"][n][0]
        i += 1
    return x


ACTS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


class Naive:
    """One sample of one network, by the formulas."""

    def __init__(self, problem, b):
        net, st = problem.setting.network, problem.setting
        pick = lambda x: x[b] if x.ndim == 2 else x  # noqa: E731
        self.W, self.M, self.E = len(net.warehouses), net.num_locations, net.num_edges
        self.h, self.p = pick(net.holding), pick(net.penalty)
        self.lead, self.cost = pick(net.lead_time), pick(net.unit_cost)
        self.src, self.tgt, self.holds = net.source, net.target, net.holds
        W, M = self.W, self.M
        self.share = np.array([1 / (self.tgt == j).sum() for j in self.tgt])
        self.unit, self.below = np.zeros(M), [set() for _ in range(M)]
        self.unit[W:] = st.mean
        for i in net.upstream_first()[::-1]:
            self.below[i] = {i}
            for e in np.flatnonzero(self.src == i):
                self.unit[i] += self.share[e] * self.unit[self.tgt[e]]
                self.below[i] |= self.below[self.tgt[e]]
        self.lead_in, self.cost_in = np.zeros(M), np.zeros(M)
        for e, j in enumerate(self.tgt):
            self.lead_in[j] += self.share[e] * self.lead[e]
            self.cost_in[j] += self.share[e] * self.cost[e]
        self.S = heuristic_levels(st).copy()
        ratio = self.p / (self.p + self.h[W:])
        if net.num_samples is not None:
            from scipy.stats import norm

            l1 = self.lead_in[W:] + 1
            self.S[W:] = st.mean * l1 + norm.ppf(ratio) * st.sd * np.sqrt(l1)
        money = net.holding[..., W:].mean()
        mean = np.where(np.arange(M) < W, self.unit[:W].mean() if W else 0, self.unit[W:].mean())
        self.spread, self.fixed = np.zeros(M), np.zeros((M, 7))
        for i in range(M):
            sds = [st.sd[j - W] for j in self.below[i] if j >= W]
            self.spread[i] = math.sqrt(sum(s * s for s in sds)) * math.sqrt(self.lead_in[i] + 1)
            shop = i >= W
            self.fixed[i] = [
                shop, self.h[i] / money, ratio[i - W] if shop else 0, self.unit[i] / mean[i],
                st.sd[i - W] / st.mean[i - W] if shop else 0, self.lead_in[i] / 4, self.cost_in[i] / money,
            ]  # fmt: skip
        self.arc = np.stack([self.lead / 4, self.cost / money], axis=1)

    def positions(self, x):
        own = x.sum(axis=1)
        return np.array([own[list(self.below[i])].sum() if i < self.W else own[i] for i in range(self.M)])


class NaiveLevels(Naive):
    """The same, with the levels and scales of shared levels: a loop over locations, the features by hand."""

    def __init__(self, problem, b):
        super().__init__(problem, b)
        net, W, M = problem.setting.network, self.W, self.M
        self.usual = problem.slots.numpy().astype(float)
        self.choices = [e for e in range(self.E) if (self.tgt == self.tgt[e]).sum() > 1]
        if self.choices:
            found = source_levels(problem.setting)
            self.level = found.level
            mean_lead = np.rint(np.atleast_2d(net.lead_time).mean(axis=0))
            self.price = np.atleast_2d(net.unit_cost).mean(axis=0).copy()
            for i in net.upstream_first():
                for e in np.flatnonzero(self.src == i):
                    self.price[e] += min(self.price[self.tgt == i])
            into = [found.flow[self.tgt == j].sum() for j in range(M)]
            self.share = np.array(
                [0.8 * found.flow[e] / into[j] + 0.2 / (self.tgt == j).sum() for e, j in enumerate(self.tgt)]
            )
            for i in net.upstream_first()[::-1]:
                if i < W:
                    out = np.flatnonzero(self.src == i)
                    self.unit[i] = sum(self.share[e] * self.unit[self.tgt[e]] for e in out)
            money = net.holding[..., W:].mean()
            for i in range(M):
                edges = np.flatnonzero(self.tgt == i)
                self.S[i] = max(found.level[edges])
                passes = self.unit[i] / (self.unit[:W] if i < W else self.unit[W:]).mean()
                lead = self.share[edges] @ self.lead[edges] / 4
                self.fixed[i, [3, 5, 6]] = passes, lead, self.share[edges] @ self.price[edges] / money
            self.arc = np.zeros((self.E, 4))
            variance = np.array(
                [sum(problem.setting.sd[j - W] ** 2 for j in below if j >= W) for below in self.below]
            )
            for e, j in enumerate(self.tgt):
                covers = self.lead[e] + 1
                safety = (self.level[e] - self.unit[j] * covers) / np.sqrt(variance[j] * covers)
                self.arc[e] = self.lead[e] / 4, self.price[e] / money, self.share[e], safety / 4
            self.arc = np.clip((self.arc - [1, 1, 0.5, 0.3]) * [2, 2, 2, 4], -3, 3)
            self.turn = sorted(range(self.E), key=lambda e: (mean_lead[e], self.price[e], e))
            self.below = [{i} for i in range(M)]
        usual = np.array([[0, 0.3, 0, 1, 0, 0.75, 1], [1, 1, 0.9, 1, 0.35, 0.75, 0.75]])
        stretch = np.array([[1] * 7, [1, 4, 20, 2, 6, 2, 2]])
        kind = (np.arange(M) >= W).astype(int)
        self.fixed = np.clip((self.fixed - usual[kind]) * stretch[kind], -3, 3)

    def ask(self, level):
        """What edges want: those into a location in turn, what warehouses are asked for first."""
        asks = {}

        def into(i):
            edges, asked = [e for e in self.turn if self.tgt[e] == i], 0.0
            for e in np.flatnonzero(self.src == i):
                if e not in asks:
                    into(self.tgt[e])
                asked += max(asks[e], 0.0)
            before = 0.0
            for e in edges:
                asks[e] = level[e] + asked - before
                before = max(before, level[e] + asked)

        for i in range(self.M):
            into(i)
        return np.array([asks[e] for e in range(self.E)])


def naive_shared(policy, p, n, net, x):
    act, W, M = ACTS[policy.activation], net.W, net.M
    inv, z = 2 * (x / net.unit[:, None] - net.usual), net.positions(x)
    gap = (net.S - z) / net.unit
    own = [np.array([*inv[i], gap[i], *net.fixed[i]]) for i in range(M)]
    K = policy.summary
    context = np.zeros((W, 2 * x.shape[1] + 1 + K))
    for w in range(W):
        asked, mean = 0.0, np.zeros(x.shape[1] + K)
        for e in np.flatnonzero(net.src == w):
            j = net.tgt[e]
            asked += net.share[e] * max(net.S[j] - z[j], 0)
            said = act(perceptron(p, "summary_", n, own[j], act))
            mean += net.share[e] * net.unit[j] * np.array([*inv[j], *said])
        context[w] = [*inv[w], (x[w, 0] - asked) / net.unit[w], *(mean / net.unit[w])]
    out = np.zeros((M, 2))
    for i in range(M):
        over = np.zeros(context.shape[1])
        for e in np.flatnonzero(net.tgt == i):
            if net.src[e] >= 0:
                over += net.share[e] * context[net.src[e]]
        if i < W:
            row = np.concatenate([own[i], over, context[i][x.shape[1] :]])
            out[i] = perceptron(p, "warehouse_", n, row, act)
        else:
            out[i] = perceptron(p, "store_", n, np.concatenate([own[i], over]), act)
    wanted = (net.S + net.unit * out[:, 0] - z)[net.tgt]
    width = net.spread * np.exp(np.tanh(out[:, 1]))
    for e in net.choices:
        w, j = net.src[e], net.tgt[e]
        last = [k for k in net.turn if net.tgt[k] == j][-1] == e
        near = (net.level[e] - (x[j].sum() if last else x[j, : net.lead[e] + 1].sum())) / net.unit[j]
        source = [*context[w], *net.fixed[w]] if w >= 0 else np.zeros(context.shape[1] + 7)
        row = np.concatenate([net.arc[e], [near], source, own[j]])
        wanted[e] = net.unit[j] * (near + out[j, 0] + perceptron(p, "edge_", n, row, act)[0])
    if net.choices:
        wanted = net.ask(wanted)
    u = np.zeros(W)
    for w in range(W):
        top = bottom = 0.0
        for e in np.flatnonzero(net.src == w):
            if wanted[e] > 0 or not net.holds[w]:
                top += wanted[e]
                bottom += width[net.tgt[e]]
        u[w] = (top - x[w, 0]) / max(bottom, 1e-6)
        if net.holds[w]:
            u[w] = max(u[w], 0)
    balance = p["balance"][n, 0, 0]
    return [
        max(wanted[e] - (balance * u[net.src[e]] * width[j] if net.src[e] >= 0 else 0), 0)
        for e, j in enumerate(net.tgt)
    ]


def naive_gnn(policy, p, n, net, x, rounds):
    act, W, M, H = ACTS[policy.activation], net.W, net.M, policy.width
    kept = [w for w in range(W) if net.holds[w]]
    arcs = [(s if s >= 0 else None, t, net.arc[e]) for e, (s, t) in enumerate(zip(net.src, net.tgt))]
    arcs += [(w, w, np.zeros(2)) for w in kept] + [(i, None, np.zeros(2)) for i in range(W, M)]
    outside = np.zeros(H)
    inv = x / net.unit[:, None]
    h = [act(perceptron(p, "node_", n, np.array([*inv[i], *net.fixed[i]]), act)) for i in range(M)]
    at = lambda i: outside if i is None else h[i]  # noqa: E731
    e = [act(perceptron(p, "arc_", n, np.concatenate([at(s), at(t), f]), act)) for s, t, f in arcs]
    for _ in range(rounds):
        new = []
        for i in range(M):
            into = [e[a] for a, (_, t, _f) in enumerate(arcs) if t == i]
            out = [e[a] for a, (s, _, _f) in enumerate(arcs) if s == i]
            row = [h[i], sum(into) / math.sqrt(len(into)), sum(out) / math.sqrt(len(out))]
            new.append(h[i] + act(perceptron(p, "node_update_", n, np.concatenate(row), act)))
        h = new
        e = [
            e[a] + act(perceptron(p, "arc_update_", n, np.concatenate([e[a], at(s), at(t)]), act))
            for a, (s, t, _f) in enumerate(arcs)
        ]
    out = [perceptron(p, "order_", n, row, act)[0] for row in e]
    unit = [net.share[k] * net.unit[t] for k, t in enumerate(net.tgt)]
    if policy.levels:
        z = net.positions(x)
        return [max(net.share[k] * (net.S[t] - z[t]) + unit[k] * out[k], 0) for k, t in enumerate(net.tgt)]
    y = [u * math.log1p(math.exp(o)) for u, o in zip([*unit, *net.unit[kept]], out)]
    total = np.zeros(W)
    for k, s in enumerate(net.src):
        if s >= 0:
            total[s] += y[k]
    for k, w in enumerate(kept):
        total[w] += y[net.E + k]
    ratio = [min(1.0, x[w, 0] / (total[w] + 1e-10)) if net.holds[w] else 1.0 for w in range(W)]
    return [y[k] * (ratio[s] if s >= 0 else 1.0) for k, s in enumerate(net.src)]


NETWORKS = {
    "per sample": mesh,
    "alike": lambda: mesh(per_sample=False),
    "serial": lambda: setting("serial"),
    "transshipment": lambda: setting("transshipment"),
    "many warehouses": lambda: setting("many_warehouses"),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", POLICIES)
def test_orders_are_those_of_the_formulas(name, network):
    policy, problem = POLICIES[name], Problem(NETWORKS[network](), dtype=torch.float64)
    parameters, x = some(problem, policy)
    if network == "transshipment":
        x[:, :, 0, 0] *= 4
    with torch.no_grad():
        q = policy.orders(parameters.tensors, problem, Seen(x)).numpy()
    assert q.shape == (2, B, problem.simulator.E)
    assert (q >= 0).all()
    assert (q > 0).any()
    arrays = {k: v.detach().numpy() for k, v in parameters.tensors.items()}
    rounds = {"serial": 3, "per sample": 2, "alike": 2}.get(network, 1)
    for n in range(2):
        for b in range(B):
            if isinstance(policy, SharedLevelPolicy):
                net = NaiveLevels(problem, b)
                if not net.choices:
                    assert "edge_w0" not in arrays
                wanted = naive_shared(policy, arrays, n, net, x[n, b].numpy())
            else:
                net = Naive(problem, b)
                wanted = naive_gnn(policy, arrays, n, net, x[n, b].numpy(), policy.rounds or rounds)
            np.testing.assert_allclose(q[n, b], wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", POLICIES)
def test_the_order_of_stores_does_not_matter(name):
    policy = POLICIES[name]
    order = [2, 0, 1]
    problem, other = (Problem(mesh(order=k), dtype=torch.float64) for k in ((0, 1, 2), order))
    # the draws of costs must not follow the order: the same stores, in other places
    parameters, x = some(problem, policy)
    places = [0, 1, 2, *(3 + i for i in order)]
    q = policy.orders(parameters.tensors, problem, Seen(x))
    r = policy.orders(parameters.tensors, other, Seen(x[:, :, places]))
    names, others = problem.setting.network.edges, other.setting.network.edges
    torch.testing.assert_close(r, q[..., [names.index(k) for k in others]])


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("network", ["per sample", "transshipment"])
def test_gradients_are_those_of_differences(name, network):
    policy, problem = POLICIES[name], Problem(NETWORKS[network](), dtype=torch.float64)
    parameters, x = some(problem, policy, N=1)
    rng = np.random.default_rng(2)
    d = torch.as_tensor(rng.uniform(0, 9, (1, 4, B, problem.simulator.n)))

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


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("shared", "serial"),
        ("shared", "one_warehouse"),  # several sources: see test_source_levels
        ("gnn levels", "serial"),
        ("gnn levels", "one_warehouse"),
        ("gnn levels", "many_warehouses"),
    ],
)
def test_the_first_policy_is_the_heuristic(name, network):
    problem = Problem(setting(network), dtype=torch.float64)
    policy = POLICIES[name]
    parameters = policy.init(problem, seed_keys([3]))
    _, x = some(problem, policy, N=1)
    x[:, :, : problem.simulator.W, 0] += 1000.0  # nobody is short
    x = x - 900.0 * (torch.arange(x.shape[2]) < problem.simulator.W)[:, None] * (
        torch.arange(x.shape[3]) == 0
    )
    x[:, :, : problem.simulator.W, 0] += 200.0
    z = x.sum(-1)
    z = torch.cat([z @ problem.reach[: problem.simulator.W].T, z[..., problem.simulator.W :]], dim=-1)
    levels = torch.as_tensor(heuristic_levels(problem.setting))
    wanted = problem.share * torch.relu(levels - z)[..., problem.simulator.target]
    q = policy.orders(parameters.tensors, problem, Seen(x))
    torch.testing.assert_close(q, wanted)


def test_a_short_source_leaves_all_targets_as_short_for_their_spread():
    """By hand: levels 30 and 20, positions 10 and 10, spreads 4 and 2 (sd 2, 1, lead time 3), 12 on hand."""
    network = Network.build(
        supplier("s"), warehouse("w", holding=0.2), store("x", holding=1, penalty=1),
        store("y", holding=1, penalty=1), edge("s", "w", lead_time=1), edge("w", "x", lead_time=3),
        edge("w", "y", lead_time=3), demand=Poisson(5.0),
    )  # fmt: skip
    problem = Problem(
        Setting("pair", network, np.array([7.5, 5.0]), np.array([2.0, 1.0])), dtype=torch.float64
    )
    policy = SharedLevelPolicy()
    parameters = policy.init(problem, seed_keys([0]))
    x = torch.tensor([[[[12.0, 0, 0], [10.0, 0, 0], [10.0, 0, 0]]]], dtype=torch.float64)
    q = policy.orders(parameters.tensors, problem, Seen(x))[0, 0]
    assert q[1:].tolist() == pytest.approx([20 - 4 * 3, 10 - 2 * 3])  # u = (30 - 12) / 6


@pytest.mark.parametrize("name", POLICIES)
def test_seeds_side_by_side_are_seeds_alone(name):
    policy, problem = POLICIES[name], Problem(mesh())
    both, alone = policy.init(problem, seed_keys([4, 7])), policy.init(problem, seed_keys([7]))
    for key, leaf in alone.tensors.items():
        torch.testing.assert_close(both[key][1:], leaf)
    parameters, x = some(problem, policy, N=2)
    q = policy.orders(parameters.tensors, problem, Seen(x))
    one = {k: v[1:] for k, v in parameters.tensors.items()}
    torch.testing.assert_close(policy.orders(one, problem, Seen(x[1:])), q[1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("policy", [SharedLevelPolicy(), GNNPolicy(), GNNPolicy(levels=True)])
def test_operations_and_parameters_do_not_depend_on_the_number_of_stores(policy):
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        n = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Count.n += 1
            return func(*args, **(kwargs or {}))

    counts, sizes = [], []
    for n in (10, 40):
        problem = Problem(setting("one_warehouse", stores=n))
        parameters, x = some(problem, policy, N=1)
        policy.orders(parameters.tensors, problem, Seen(x))
        Count.n = 0
        with Count():
            policy.orders(parameters.tensors, problem, Seen(x)).sum().backward()
        counts.append(Count.n)
        sizes.append(parameters.flat.numel())
    assert counts[0] == counts[1]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("policy", [SharedLevelPolicy(), GNNPolicy(), GNNPolicy(levels=True)])
def test_without_warehouses(policy):
    problem = Problem(setting("lost_sales", stores=3))
    parameters, x = some(problem, policy, N=1)
    q = policy.orders(parameters.tensors, problem, Seen(x))
    one = Problem(setting("lost_sales"))
    alone = policy.orders(parameters.tensors, one, Seen(x[:, :, :1]))
    torch.testing.assert_close(q[..., :1], alone)


def test_loops_let_a_warehouse_keep_stock():
    problem = Problem(setting("one_warehouse", stores=3), dtype=torch.float64)
    policy = GNNPolicy()
    parameters = policy.init(problem, seed_keys([0]))
    x = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    x[..., 0, 0] = 4.0
    q = policy.orders(parameters.tensors, problem, Seen(x))
    assert 0 < q[0, 0, 1:].sum() < 4


@pytest.mark.parametrize(
    "policy", [SharedLevelPolicy((16,)), GNNPolicy(width=8, levels=True)], ids=["shared", "gnn"]
)
def test_training_beats_the_heuristic(policy):
    problem = Problem(setting("one_warehouse", stores=3))
    start = policy.init(problem, seed_keys([0]))
    first = simulated_cost(policy, start.tensors, problem, samples=512)[0]
    config = HDPOConfig(batch_size=32, periods=15, lr=0.02, average=0.1, samples=512)
    result = hdpo(problem.setting, 40, policy=policy, config=config)
    assert -result.returns[-1, 0, 0] < 0.975 * first.cost


def test_weights_of_few_stores_work_on_many():
    """Trained on 10 stores, used on 30: better than the heuristic there."""
    policy, config = SharedLevelPolicy((16,)), HDPOConfig(batch_size=32, periods=15, average=0.1, samples=64)
    result = hdpo(setting("one_warehouse", stores=10), 40, policy=policy, config=config)
    many = Problem(setting("one_warehouse", stores=30))
    parameters = {k.split("/")[1]: torch.as_tensor(v) for k, v in result.parameters.items()}
    start = policy.init(many, seed_keys([0])).tensors
    trained, heuristic = (simulated_cost(policy, p, many, samples=256)[0] for p in (parameters, start))
    assert trained.cost < 0.96 * heuristic.cost


def test_bad_input():
    with pytest.raises(ValueError, match=r"hidden\[1\]"):
        SharedLevelPolicy((8, 0))
    with pytest.raises(ValueError, match="activation must be one of elu, relu, tanh, got 'gelu'"):
        SharedLevelPolicy(activation="gelu")
    with pytest.raises(ValueError, match="activation must be one of"):
        GNNPolicy(activation="none")
    with pytest.raises(ValueError, match="summary"):
        SharedLevelPolicy(summary=0)
    with pytest.raises(ValueError, match="width"):
        GNNPolicy(width=0)
    with pytest.raises(ValueError, match="rounds"):
        GNNPolicy(rounds=0)
