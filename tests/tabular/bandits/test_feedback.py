"""Tests of graph feedback, several plays a round, delays and batches."""

import importlib

import numpy as np
import pytest

from eluder.core.bandits import Bandit
from eluder.core.guarantees import guarantee
from eluder.envs import (
    adversarial_bandit,
    bernoulli_bandit,
    blockwise_adversary,
    lower_bound_bandit,
)
from eluder.tabular import bandits
from eluder.tabular.bandits import _feedback_graph as graphs
from eluder.tabular.bandits import batched_elimination, delayed_exp3, exp3, exp3_graph, exp3_m
from tests.tabular.bandits import naive_feedback as naive
from tests.tabular.bandits.naive_adversarial import softmax
from tests.tabular.bandits.test_adversarial import ADVERSARIES, hard

MEANS = np.array([0.3, 0.45, 0.6, 0.5, 0.55])


def rng(seed=0):
    return np.random.default_rng(seed)


def module(name):
    return importlib.import_module(f"eluder.tabular.bandits._{name}")


def loops(A):
    return np.eye(A, dtype=bool)


def ring(A):
    """Each arm shows itself and the next."""
    return loops(A) | np.roll(loops(A), 1, axis=1)


def random_graph(A, seed, density=0.3):
    return (rng(seed).random((A, A)) < density) | loops(A)


def loopless(A):
    """Each arm shows all others, and not itself."""
    return ~loops(A)


def revealing(A):
    """Arm 0 shows all arms, the others nothing: weakly observable."""
    graph = np.zeros((A, A), bool)
    graph[0] = True
    return graph


@pytest.mark.parametrize(
    ("name", "function", "args", "value"),
    [
        ("exp3_graph", "set_rate", (4, 100, 2), 0.117_741),  # sqrt(2.7725887 / 200)
        ("exp3_graph", "g_rates", (4, 100, 4, 0), (0.05, 0.1)),
        ("exp3_graph", "g_rates", (4, 2, 1, 0), (0.5, 1.0)),
        ("exp3_graph", "g_rates", (4, 1000, 4, 2), (0.1404845, 0.009867951)),  # (2.7725887 / 1000)^(1/3)
        ("exp3_graph", "g_rates", (4, 10, 4, 2), (0.5, 0.125)),
        ("exp3_graph", "bound", (4, 100, loops(4)), 33.302_2),
        ("exp3_graph", "bound", (4, 100, np.ones((4, 4))), 16.651_1),
        ("exp3_graph", "bound", (4, 100, loops(4), 2), 23.548_2),
        ("exp3_m", "mixing", (4, 100, 2), 0.089_821_5),  # sqrt(4 * 0.6931472 / (1.7182818 * 200))
        ("exp3_m", "mixing", (4, 1, 1), 1.0),
        ("exp3_m", "mixing", (4, 100, 4), 0.0),
        ("exp3_m", "bound", (4, 100, 2), 61.735_6),  # 2 sqrt(1.7182818 * 800 * 0.6931472)
        ("delayed_exp3", "total_delay", (np.array([3]), 10), 24),  # 7 rounds of 3, then 2, 1, 0
        ("delayed_exp3", "total_delay", (np.array([0, 5]), 6), 6),  # rounds 1, 3, 5 wait 4, 2, 0
        ("delayed_exp3", "learning_rate", (4, 100, 600), 0.037_233),  # sqrt(1.3862944 / 1000)
        ("delayed_exp3", "bound", (4, 100, 0), 47.096_4),
        ("delayed_exp3", "bound", (4, 10, 3), 18.838_6),  # 2 sqrt(64 * 1.3862944)
        ("batched_elimination", "radius", (8.0, 5, 20, 2.0, 0.5), 0.536_489),  # 0.5 sqrt(2 * 4.6051702 / 8)
        ("batched_elimination", "minimax_grid", (128, 3), (16, 64, 128)),  # u = 128^(4/7) = 16
        ("batched_elimination", "minimax_grid", (100, 1), (100,)),
        ("batched_elimination", "geometric_grid", (1000, 3), (10, 100, 1000)),
    ],
)
def test_constants_by_hand(name, function, args, value):
    assert getattr(module(name), function)(*args) == pytest.approx(value, rel=2e-5)


# --- graphs ---


@pytest.mark.parametrize("seed", range(12))
def test_numbers_of_a_graph_by_enumeration(seed):
    graph = random_graph(6, seed, 0.1 + 0.05 * seed)
    assert graphs.acyclic_number(graph) == naive.largest(graph, naive.is_acyclic)
    assert graphs.independence_number(graph) == naive.largest(graph, naive.is_independent)
    either = graph | graph.T
    assert graphs.acyclic_number(either) == graphs.independence_number(graph), "one number if undirected"
    for exact, mutual in (
        (graphs.acyclic_number(graph), graph & graph.T),
        (graphs.independence_number(graph), either),
    ):
        assert graphs._clique_cover(mutual) >= exact


def test_numbers_of_known_graphs():
    assert graphs.acyclic_number(ring(7)) == 6, "a directed ring without one arm"
    assert graphs.independence_number(ring(7)) == 3
    assert graphs.acyclic_number(np.triu(np.ones((5, 5), bool))) == 5
    assert graphs.acyclic_number(loopless(5)) == graphs.independence_number(loopless(5)) == 1
    blocks = np.kron(np.eye(9), np.ones((5, 5))) > 0
    assert graphs.acyclic_number(blocks) == graphs.independence_number(blocks) == 9, "cliques of 45 arms"


def test_observability():
    A = 5
    assert not graphs.weakly_observable(loops(A)).any()
    assert not graphs.weakly_observable(loopless(A)).any()
    assert graphs.weakly_observable(revealing(A)).tolist() == [False, True, True, True, True]
    np.testing.assert_array_equal(
        graphs.dominating_set(revealing(A), graphs.weakly_observable(revealing(A))), [True] + [False] * 4
    )
    graph = random_graph(9, 3, 0.25) & ~loops(9)
    wanted = graph.any(axis=0)
    chosen = graphs.dominating_set(graph, wanted)
    assert graph[chosen].any(axis=0)[wanted].all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("graph", "kwargs", "gamma"),
    [
        (ring(5), {}, 0.0),
        (random_graph(5, 1), {"gamma": 0.2}, 0.2),
        (loopless(5), {"form": "g", "gamma": 0.3}, 0.3),
        (revealing(5), {"form": "g", "gamma": 0.25}, 0.25),
    ],
)
def test_exp3_graph_plays_the_arms_of_the_paper(graph, kwargs, gamma, seed):
    explore = np.full(5, 0.2)
    if not graph.diagonal().all() and not graph[1, 2]:
        explore = np.eye(5)[0]
    result = exp3_graph(bernoulli_bandit(MEANS), 600, graph=graph, eta=0.07, rng=rng(seed), **kwargs)
    arms = naive.exp3_graph(MEANS, 600, graph, explore, 0.07, gamma, rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    np.testing.assert_allclose(result.value, np.cumsum(MEANS[arms])[result.checkpoints - 1])


def test_exp3_graph_without_side_observations_is_exp3():
    bandit = bernoulli_bandit(MEANS)
    one, two = exp3_graph(bandit, 2000, graph=loops(5), rng=rng(4)), exp3(bandit, 2000, rng=rng(4))
    np.testing.assert_array_equal(one.pulls, two.pulls)
    np.testing.assert_allclose(one.regret, two.regret, atol=1e-9)


@pytest.mark.parametrize("graph", [ring(5), random_graph(5, 2), loopless(5), revealing(5)])
def test_estimates_of_exp3_graph_are_unbiased(graph):
    m, random, A = module("exp3_graph"), rng(1), 5
    state, explore = m.init(A), np.full(A, 1 / A)
    for _ in range(60):
        m.update(state, graph, m.act(state, explore, 0.2, 0.1, random), random.random(A))
    m.act(state, explore, 0.2, 0.1, random)
    losses, mean = random.random(A), np.zeros(A)
    for a in range(A):
        copy = m.State(*(x.copy() for x in state))
        m.update(copy, graph, a, np.where(graph[a], losses, np.nan))  # what is not shown is not read
        mean += state.p[a] * (copy.loss - state.loss)
    np.testing.assert_allclose(mean, losses, rtol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_variance_is_bounded_by_the_acyclic_number(seed):
    """The lemma behind the bound: sum_a p(a) / P(a) <= alpha if all arms show themselves."""
    graph = random_graph(6, seed, 0.05 * (seed + 1))
    p = rng(seed).dirichlet(np.full(6, 0.3), 500)
    with np.errstate(divide="ignore", invalid="ignore"):
        Q = np.nansum(p / (p @ graph), axis=1)
    assert Q.max() <= graphs.acyclic_number(graph) + 1e-9
    spread = np.full(6, 1e-9) + 1.0 * np.isin(np.arange(6), 0)
    assert (spread / (spread @ graph)).sum() <= graphs.acyclic_number(graph) + 1e-9


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("graph", [ring(5), ring(5) | ring(5).T, np.ones((5, 5), bool)])
def test_exp3_graph_bound_against_adversaries_that_see_the_distribution(graph, adversary):
    m, A, T = module("exp3_graph"), 5, 1000
    eta, regrets = m.set_rate(A, T, graphs.acyclic_number(graph)), []
    for seed in range(4):
        random, memory, state, regret = rng(seed), [0, T], m.init(A), np.zeros(A)
        for t in range(T):
            a = m.act(state, np.full(A, 1 / A), eta, 0.0, random)
            losses = adversary(state.p, t, memory, random)
            m.update(state, graph, a, losses)
            regret += losses[a] - losses
        regrets.append(regret)
    assert np.mean(regrets, axis=0).max() <= m.bound(A, T, graph)


def test_exp3_graph_bound_on_oblivious_adversaries():
    A, T = 6, 3000
    for graph in (loops(A), ring(A), random_graph(A, 5), np.ones((A, A))):
        for bandit in hard(A, T):
            last = [exp3_graph(bandit, T, graph=graph, rng=rng(i)).regret[-1] for i in range(6)]
            assert np.max(last) <= module("exp3_graph").bound(A, T, graph)


def test_more_feedback_is_less_regret():
    A, T, means = 16, 4000, []
    bandit = bernoulli_bandit([0.8] + [0.5] * (A - 1))
    for graph in (loops(A), np.kron(np.eye(4), np.ones((4, 4))), np.ones((A, A))):
        runs = [exp3_graph(bandit, T, graph=graph, rng=rng(i)).regret[-1] for i in range(10)]
        means.append(np.mean(runs))
    assert means[0] > 1.5 * means[1] > 1.5**2 * means[2]


def test_exp3_g_learns_without_seeing_its_own_losses():
    T, means = 20_000, [0.2, 0.4, 0.8, 0.4]
    for graph in (loopless(4), revealing(4)):
        result = exp3_graph(bernoulli_bandit(means), T, graph=graph, form="g", rng=rng())
        assert result.pulls[2] > 0.7 * T


@pytest.mark.parametrize(
    ("graph", "form", "message"),
    [
        (loopless(3), "set", r"graph\[0, 0\] is 0, form 'set' needs arms that show themselves"),
        (np.triu(np.ones((3, 3)), 1), "g", r"graph\[:, 0\] is 0: the loss of this arm is never seen"),
        (np.full((3, 3), 0.5), "g", r"graph\[0, 0\] is 0.5, it must be 0 or 1"),
        (np.ones((2, 2)), "g", r"graph must have shape \(3, 3\)"),
        (np.full((3, 3), np.nan), "g", r"graph\[0, 0\] is nan"),
    ],
)
def test_exp3_graph_refuses_other_graphs(graph, form, message):
    with pytest.raises(ValueError, match=message):
        exp3_graph(bernoulli_bandit([0.1, 0.2, 0.3]), 10, graph=graph, form=form, rng=rng())


# --- several plays ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("m", "gamma"), [(1, 0.1), (2, 0.1), (3, 0.01), (4, 0.05)])
def test_exp3_m_plays_the_sets_of_the_paper(m, gamma, seed):
    result = exp3_m(bernoulli_bandit(MEANS), 600, m=m, gamma=gamma, rng=rng(seed))
    sets = naive.exp3_m(MEANS, 600, m, gamma, rng(seed))
    np.testing.assert_array_equal(result.pulls, sets.sum(axis=0))
    np.testing.assert_allclose(result.value, np.cumsum(sets @ MEANS)[result.checkpoints - 1])
    best = np.sort(MEANS)[-m:].sum() * result.checkpoints
    np.testing.assert_allclose(result.regret, best - result.value, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_probabilities_of_sets(seed):
    """At most 1, sum m, and those of the paper's equation, from weights of which some are cut."""
    m, gamma = 3, 0.05
    w = rng(seed).exponential(1, 8) ** (1 + seed % 4)
    p, cut = np.empty(8), module("exp3_m")
    top = cut.probabilities(w, m, gamma, p)
    expected, expected_top = naive.set_probabilities(w, m, gamma)
    np.testing.assert_allclose(p, expected, rtol=1e-8)
    assert top == pytest.approx(expected_top, rel=1e-8)
    assert p.sum() == pytest.approx(m)
    assert p.max() <= 1
    assert ((p == 1) == (w >= top)).all()


def test_weights_are_cut_in_some_of_these_tests():
    tops = [
        module("exp3_m").probabilities(rng(s).exponential(1, 8) ** (1 + s % 4), 3, 0.05, np.empty(8))
        for s in range(20)
    ]
    assert 3 < np.isfinite(tops).sum() < 17


class Script:
    """A generator whose numbers are decided by a list of branches, and which keeps their probabilities."""

    def __init__(self, branches):
        self.branches, self.asked, self.probability = list(branches), 0, 1.0

    def random(self):
        return self

    def __lt__(self, threshold):
        up = self.branches[self.asked] if self.asked < len(self.branches) else True
        if self.asked >= len(self.branches):
            self.branches.append(True)
        self.asked += 1
        self.probability *= threshold if up else 1 - threshold
        return up


def tree_of(p):
    """Yield (probability, rounded) of every leaf of DepRound's tree."""
    round_ = module("exp3_m").dep_round
    round_ = getattr(round_, "py_func", round_)
    branches = []
    while True:
        script, rounded = Script(branches), p.copy()
        round_(rounded, script)
        yield script.probability, rounded
        branches = script.branches[: script.asked]
        while branches and not branches[-1]:
            branches.pop()
        if not branches:
            return
        branches[-1] = False


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("A", "m"), [(2, 1), (4, 2), (6, 3), (7, 2)])
def test_dep_round_by_its_whole_tree(A, m, seed):
    """Every leaf is a set of m arms, and an arm is in the sets with exactly its probability."""
    p = rng(seed).dirichlet(np.ones(A)) * m
    while p.max() > 1:
        p = np.minimum(p, 1)
        p[p < 1] *= (m - (p == 1).sum()) / p[p < 1].sum()
    leaves = list(tree_of(p))
    assert sum(q for q, _ in leaves) == pytest.approx(1)
    assert len(leaves) > A - 1
    for _, rounded in leaves:
        assert set(rounded) <= {0.0, 1.0}
        assert rounded.sum() == m
    np.testing.assert_allclose(sum(q * rounded for q, rounded in leaves), p, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_estimates_of_exp3_m_are_unbiased(seed):
    """Over all sets: the mean step of ln w is m gamma reward / A, and 0 where weights are cut."""
    e, m, gamma = module("exp3_m"), 2, 0.2
    w = rng(seed).exponential(1, 5) ** 3
    state = e.State(w, np.empty(5), np.empty(5))
    rewards = rng(seed + 5).random(5)
    top = e.probabilities(w, m, gamma, state.p)
    mean = np.zeros(5)
    for q, rounded in tree_of(state.p):
        copy = e.State(w.copy(), state.p.copy(), rounded)
        e.update(copy, np.where(rounded == 1, rewards, np.nan), top, m, gamma)
        mean += q * np.log(copy.w / w)
    np.testing.assert_allclose(mean, np.where(w < top, m * gamma * rewards / 5, 0), atol=1e-12)


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("m", [1, 3])
def test_exp3_m_bound_against_adversaries_that_see_the_probabilities(m, adversary):
    e, A, T, regrets = module("exp3_m"), 5, 1000, []
    gamma = e.mixing(A, T, m)
    for seed in range(4):
        random, memory, state, gains, regret = rng(seed), [0, T], e.init(A), np.zeros(A), 0.0
        for t in range(T):
            top = e.act(state, m, gamma, random)
            assert state.p.sum() == pytest.approx(m)
            assert state.rounded.sum() == m
            rewards = 1 - adversary(state.p, t, memory, random)
            e.update(state, rewards, top, m, gamma)
            regret -= rewards @ state.rounded
            gains += rewards
        regrets.append(regret + np.sort(gains)[-m:].sum())
    assert np.max(regrets) <= e.bound(A, T, m)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_exp3_m_bound_on_oblivious_adversaries(m):
    A, T = 6, 3000
    for bandit in hard(A, T):
        last = [exp3_m(bandit, T, m=m, rng=rng(i)).regret[-1] for i in range(6)]
        assert np.max(last) <= module("exp3_m").bound(A, T, m)


def test_best_sets():
    table = rng(0).random((50, 6))
    n = np.array([1, 7, 50, 80])
    bandit = adversarial_bandit(table)
    rows = np.concatenate([table, np.tile(table[-1], (30, 1))])
    fixed = [np.sort(rows[:k].sum(axis=0))[-2:].sum() for k in n]
    moving = [np.sort(rows[:k], axis=1)[:, -2:].sum() for k in n]
    best_sets = module("exp3_m").best_sets
    np.testing.assert_allclose(best_sets(bandit, n, 2), fixed)
    np.testing.assert_allclose(best_sets(bandit._replace(dynamic=True), n, 2), moving)


def test_all_arms_at_once():
    result = exp3_m(bernoulli_bandit(MEANS), 50, m=5, rng=rng())
    assert (result.pulls == 50).all()
    np.testing.assert_allclose(result.regret, 0, atol=1e-9)


@pytest.mark.parametrize("gamma", [1e-9, 0.3, 1.0])
def test_exp3_m_plays_m_arms_whatever_the_weights(gamma):
    T = 100_000
    for means in ([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0] * 4):
        bandit = Bandit([means, means[::-1]], "fixed", starts=[0, T // 2])._replace(dynamic=False)
        result = exp3_m(bandit, T, m=2, gamma=gamma, rng=rng())
        assert result.pulls.sum() == 2 * T
        assert np.isfinite(result.value).all()


# --- delays ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("delays", [[0], [7], [3, 0, 11, 1, 1], [900], [0, 599, 2]])
def test_delayed_exp3_plays_the_arms_of_the_paper(delays, seed):
    result = delayed_exp3(bernoulli_bandit(MEANS), 600, delays=delays, eta=0.06, rng=rng(seed))
    arms = naive.delayed_exp3(MEANS, 600, delays, 0.06, rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    np.testing.assert_allclose(result.value, np.cumsum(MEANS[arms])[result.checkpoints - 1])


def test_without_delay_it_is_exp3():
    bandit = bernoulli_bandit(MEANS)
    one, two = (
        delayed_exp3(bandit, 2000, delays=0, eta=0.03, rng=rng(4)),
        exp3(bandit, 2000, eta=0.03, rng=rng(4)),
    )
    np.testing.assert_array_equal(one.pulls, two.pulls)
    np.testing.assert_array_equal(one.regret, two.regret)


def test_the_ring_delivers_each_estimate_once_and_in_time():
    """Whole numbers as estimates: what each arm was charged after each round."""
    m, tree = module("delayed_exp3"), importlib.import_module("eluder.tabular.bandits._sum_tree")
    T, n = 200, 9
    random = rng(3)
    delays, arms, x = random.integers(0, n, T), random.integers(0, 4, T), random.integers(1, 100, T)
    pending = m.Pending(np.full(n, -1), np.full(n, -1), np.zeros(n, np.int64), np.zeros(n))
    weights = tree.uniform_weights(4)
    for t in range(T):
        m.send(pending, t, delays[t], arms[t], float(x[t]))
        m.receive(pending, t, weights, 1e-6)
        s = np.arange(t + 1)
        there = s + delays[: t + 1] <= t
        np.testing.assert_array_equal(
            weights.loss, np.bincount(arms[: t + 1][there], x[: t + 1][there], minlength=4)
        )


def test_the_weight_is_that_of_the_round_of_the_play():
    """Rewards in between change p: with real rewards, an estimate by the p of arrival would be biased."""
    m = module("delayed_exp3")
    losses, eta, T, d = rng(2).random((6, 2)), 0.5, 6, 3
    probability, total, histories = {(): 1.0}, np.zeros(2), [()]
    for t in range(T):
        new = []
        for h in histories:
            p = softmax(-eta * sum((charge(h, s, losses, eta, d) for s in range(t - d)), np.zeros(2)))
            for a in range(2):
                probability[(*h, a)] = probability[h] * p[a]
                new.append((*h, a))
        histories = new
    for h in histories:
        total += probability[h] * sum(charge(h, s, losses, eta, d) for s in range(T - d))
    np.testing.assert_allclose(total, losses[: T - d].sum(axis=0), rtol=1e-9)
    assert m.total_delay(np.array([d]), T) == 3 * d + 2 + 1


def charge(h, s, losses, eta, d):
    """The estimate of round s of a history of arms."""
    p = softmax(-eta * sum((charge(h, r, losses, eta, d) for r in range(s - d)), np.zeros(2)))
    return np.eye(2)[h[s]] * losses[s, h[s]] / p[h[s]]


@pytest.mark.parametrize("delays", [0, 10, 200, [0, 50, 5000]])
def test_delayed_exp3_bound_on_oblivious_adversaries(delays):
    A, T = 6, 3000
    bound = module("delayed_exp3").bound(A, T, delays)
    for bandit in hard(A, T):
        last = [delayed_exp3(bandit, T, delays=delays, rng=rng(i)).regret[-1] for i in range(6)]
        assert np.max(last) <= bound


def test_delay_is_paid_for():
    """Nothing is known for the first 500 rounds, each of which costs 0.4."""
    bandit = bernoulli_bandit([0.9, 0.1])
    means = [
        np.mean([delayed_exp3(bandit, 2000, delays=d, eta=0.1, rng=rng(i)).regret[-1] for i in range(20)])
        for d in (0, 500)
    ]
    assert 190 < means[1] - means[0] < 230


def test_delays_beyond_the_horizon_cost_no_memory():
    result = delayed_exp3(bernoulli_bandit(MEANS), 50, delays=10**15, rng=rng())
    assert result.pulls.sum() == 50


def test_delays_are_whole():
    with pytest.raises(ValueError, match=r"delays\[1\] is 0.5, it must be an integer"):
        delayed_exp3(bernoulli_bandit(MEANS), 50, delays=[1, 0.5], rng=rng())


# --- batches ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("grid", ["minimax", "geometric"])
@pytest.mark.parametrize(("M", "T"), [(2, 700), (4, 3000), (9, 3000)])
def test_batched_elimination_plays_the_arms_of_the_paper(grid, M, T, seed):
    means, gamma, c = np.array([0.2, 0.9, 0.55, 0.7, 0.1]), 3.0, 0.5
    result = batched_elimination(
        bernoulli_bandit(means), T, batches=M, grid=grid, gamma=gamma, c=c, rng=rng(seed)
    )
    m = module("batched_elimination")
    ends = (m.minimax_grid if grid == "minimax" else m.geometric_grid)(T, M)
    arms = naive.batched_elimination(
        means, T, ends, lambda n: c * np.sqrt(gamma * np.log(5 * T) / n), rng(seed)
    )
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    np.testing.assert_allclose(result.value, np.cumsum(means[arms])[result.checkpoints - 1])


@pytest.mark.parametrize("T", [1, 5, 1000, 10**6, 10**9])
@pytest.mark.parametrize("M", [1, 2, 4, 8])
def test_grids_grow_as_the_paper_says(M, T):
    """u_m = u sqrt(u_(m-1)) and v_m = v v_(m-1), and both end at T."""
    m = module("batched_elimination")
    for ends in (m.minimax_grid(T, M), m.geometric_grid(T, M)):
        assert ends.size == M
        assert (np.diff(ends) >= 0).all()
        assert 1 <= ends[0] <= ends[-1] == T
    u, v = T ** (1 / (2 - 2.0 ** (1 - M))), T ** (1 / M)
    point, other = u, v
    for one, two in zip(m.minimax_grid(T, M), m.geometric_grid(T, M), strict=True):
        assert abs(one - point) <= 1 + 1e-9 * point
        assert abs(two - other) <= 1 + 1e-9 * other
        point, other = u * np.sqrt(point), v * other


def test_choices_do_not_depend_on_rewards_within_a_batch():
    """Two bandits that differ in their rewards: the first batch is the same, and the arms are in turn."""
    T, M = 4000, 3
    first = module("batched_elimination").minimax_grid(T, M)[0]
    pulls = [
        batched_elimination(bernoulli_bandit(means), int(first), batches=1, c=0.1, rng=rng()).pulls
        for means in ([0.9, 0.1, 0.1], [0.1, 0.1, 0.9])
    ]
    np.testing.assert_array_equal(pulls[0], pulls[1])
    assert np.ptp(pulls[0]) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_elimination_by_the_paper(seed):
    """An arm goes if it is a radius below the best; the best stays if means err by half a radius."""
    m, random, T = module("batched_elimination"), rng(seed), 1000
    n, mean = random.integers(3, 6, 8).astype(float) * 20, random.random(8) * 3
    before = random.random(8) < 0.8
    active = before.copy()
    best = m.eliminate(active, n, mean, T, 2.0, 1.0)
    width = np.sqrt(2 * np.log(8 * T) / n[before].min())
    assert best == np.flatnonzero(before)[mean[before].argmax()]
    np.testing.assert_array_equal(active, before & (mean > mean[before].max() - width))
    truth = mean + random.uniform(-width / 2, width / 2, 8)
    assert active[np.where(before, truth, -1).argmax()]


def test_nothing_is_dropped_before_all_were_played():
    m = module("batched_elimination")
    active = np.ones(3, bool)
    assert m.eliminate(active, np.array([9.0, 9.0, 0.0]), np.array([0.0, 1.0, 0.0]), 10, 0.0, 1.0) == 1
    assert active.all()
    assert m.eliminate(active, np.zeros(3), np.zeros(3), 10, 0.0, 1.0) == 0


# --- numbers stay finite, one arm ---


@pytest.mark.parametrize("means", [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
def test_extreme_losses(means):
    T = 100_000
    bandit = Bandit([means, means[::-1]], "fixed", starts=[0, T // 2])._replace(dynamic=False)
    for result in (
        exp3_graph(bandit, T, graph=ring(3), rng=rng()),
        exp3_graph(bandit, T, graph=loopless(3), form="g", rng=rng()),
        exp3_graph(bandit, T, graph=revealing(3), form="g", gamma=1.0, rng=rng()),
        delayed_exp3(bandit, T, delays=[0, 3000], rng=rng()),
        delayed_exp3(bandit, T, delays=3, eta=1e9, rng=rng()),
        batched_elimination(bandit, T, rng=rng()),
    ):
        assert np.isfinite(result.value).all()
        assert result.pulls.sum() == T


def test_one_arm_has_no_regret():
    bandit = bernoulli_bandit([0.5])
    for T in (1, 10):
        for result in (
            exp3_graph(bandit, T, graph=[[1]], rng=rng()),
            exp3_graph(bandit, T, graph=[[1]], form="g", rng=rng()),
            exp3_m(bandit, T, m=1, rng=rng()),
            delayed_exp3(bandit, T, delays=2, rng=rng()),
            batched_elimination(bandit, T, rng=rng()),
        ):
            assert result.regret[-1] == 0


# --- rates ---


def slope(learner, Ts, make, seeds, **kwargs):
    """Slope of the mean regret in a log-log plot, and the means."""
    means = [
        np.mean([learner(make(T), T, rng=rng(i), **kwargs).regret[-1] for i in range(seeds)]) for T in Ts
    ]
    return np.polyfit(np.log(Ts), np.log(means), 1)[0], np.round(means, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("exp3_graph", {"graph": ring(5)}),
        ("exp3_graph", {"graph": loopless(5), "form": "g"}),
        ("exp3_m", {"m": 2}),
        ("delayed_exp3", {"delays": 20}),
        ("delayed_exp3", {"delays": [0, 0, 200]}),
    ],
)
def test_regret_grows_with_the_declared_exponent(name, kwargs):
    """Against the instance of the lower bound, whose gap shrinks with the horizon."""
    learner, A = getattr(bandits, name), 5
    Ts = [2_000, 20_000, 200_000]
    measured, means = slope(learner, Ts, lambda T: lower_bound_bandit(A, T, scale=2.0), 40, **kwargs)
    turn = np.mean(
        [learner(blockwise_adversary(A, Ts[-1]), Ts[-1], rng=rng(i), **kwargs).regret[-1] for i in range(10)]
    )
    print(f"{name} {sorted(kwargs)}: slope {measured:.3f}, regret {means}; turning rewards {turn:.1f}")
    options = {k: v for k, v in kwargs.items() if k == "form"}
    assert abs(measured - guarantee(learner, **options).exponent) < 0.1


@pytest.mark.slow
def test_weakly_observable_graphs_cost_the_power_two_thirds():
    """Arms are seen by playing a bad one: the learner pays gamma T for this alone."""
    declared = guarantees_of_g()
    measured, means = slope(
        exp3_graph,
        [10_000, 100_000, 1_000_000],
        lambda T: bernoulli_bandit([0.0, 0.5, 0.5 + T ** (-1 / 3), 0.5]),
        20,
        graph=revealing(4),
        form="g",
    )
    print(f"exp3_graph weakly observable: slope {measured:.3f}, regret {means}")
    assert abs(measured - declared) < 0.1


def guarantees_of_g():
    from eluder.core.guarantees import guarantees

    return max(g.exponent for g in guarantees(exp3_graph))


def batched_regret(T, gap, seeds, **kwargs):
    bandit = bernoulli_bandit([0.5 - gap / 2, 0.5 + gap / 2])
    runs = [batched_elimination(bandit, T, gamma=2.0, c=0.5, rng=rng(i), **kwargs) for i in range(seeds)]
    return np.mean([run.regret[-1] for run in runs])


@pytest.mark.slow
@pytest.mark.parametrize(("M", "seeds"), [(2, 300), (4, 40)])
def test_minimax_grid_has_the_declared_exponent(M, seeds):
    """The worst of several gaps for each T, which the end of a batch can just see, or just not.

    Two batches need many seeds: few runs commit to the worse arm, and these cost most.
    """
    Ts, worst = np.array([10_000, 100_000, 1_000_000]), []
    for T in Ts:
        n = module("batched_elimination").minimax_grid(T, M)[:-1] / 2
        gaps = np.minimum(0.9, np.outer([0.5, 1, 2, 4], 1 / np.sqrt(n)).ravel())
        worst.append(max(batched_regret(T, gap, seeds, batches=M) for gap in gaps))
    measured = np.polyfit(np.log(Ts), np.log(worst), 1)[0]
    declared = 1 / (2 - 2.0 ** (1 - M))
    print(f"batched_elimination minimax M={M}: slope {measured:.3f} of {declared:.3f}, {np.round(worst, 1)}")
    assert declared == pytest.approx(guarantee(batched_elimination, batches=M).exponent or declared)
    assert abs(measured - declared) < 0.1


@pytest.mark.slow
def test_geometric_grid_has_the_declared_exponent():
    """The worst product of gap and regret, over the logarithm that the theorem leaves out."""
    Ts, M, worst = np.array([10_000, 100_000, 1_000_000, 10_000_000]), 4, []
    for T in Ts:
        gaps = np.geomspace(0.1, 0.9, 8)
        worst.append(
            max(gap * batched_regret(T, gap, 5, batches=M, grid="geometric") for gap in gaps) / np.log(2 * T)
        )
    measured = np.polyfit(np.log(Ts), np.log(worst), 1)[0]
    print(f"batched_elimination geometric M={M}: slope {measured:.3f}, {np.round(worst, 1)}")
    assert abs(measured - guarantee(batched_elimination, grid="geometric").exponent) < 0.1
