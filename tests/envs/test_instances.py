"""Tests of the instances: their tables against the papers' numbers, their answers against closed forms."""

import itertools
from collections import Counter

import numpy as np
import pytest
import scipy.sparse

from eluder import envs
from eluder.core.exact import diameter, gain_and_bias, optimal_value, policy_value
from eluder.core.problems import DiscountedMDP, EpisodicMDP


def rng(seed=0):
    return np.random.default_rng(seed)


INSTANCES = {
    "river_swim": lambda **k: envs.river_swim(4, **k),
    "chain": lambda **k: envs.chain(4, **k),
    "deep_sea": lambda **k: envs.deep_sea(3, rng=rng(), **k),
    "combination_lock": lambda **k: envs.combination_lock(3, 3, rng=rng(), **k),
    "grid": lambda **k: envs.grid(3, **k),
    "gridworld": lambda **k: envs.gridworld(["S#G", "..."], **k),
    "four_rooms": lambda **k: envs.four_rooms(**k),
    "n_room": lambda **k: envs.n_room(2, 3, **k),
    "garnet": lambda **k: envs.garnet(5, 2, 3, rng=rng(), **k),
    "random_ergodic": lambda **k: envs.random_ergodic(4, 2, rng=rng(), **k),
    "lower_bound_average": lambda **k: envs.lower_bound_average(3, 2, rng=rng(), **k),
    "inventory_control": lambda **k: envs.inventory_control(rescale=True, **k),
    "queue_admission": lambda **k: envs.queue_admission(4, rescale=True, **k),
}


def gains(mdp):
    """The gain of every deterministic policy with available actions."""
    policies = itertools.product(*(np.flatnonzero(m) for m in mdp.mask))
    return {pi: gain_and_bias(mdp, np.array(pi))[0] for pi in policies}


def best(gain):
    return max(gain, key=gain.get)


# --- all ---


@pytest.mark.parametrize("name", INSTANCES)
def test_one_of_horizon_and_discount(name):
    build = INSTANCES[name]
    episodic, discounted = build(H=4), build(gamma=0.9)
    assert isinstance(episodic, EpisodicMDP)
    assert isinstance(discounted, DiscountedMDP)
    np.testing.assert_array_equal(episodic.P, discounted.P)
    np.testing.assert_allclose(episodic.P.sum(axis=-1), 1)
    assert episodic.r.min() >= 0
    assert episodic.r.max() <= 1
    with pytest.raises(ValueError, match="got neither"):
        build()
    with pytest.raises(ValueError, match="got both"):
        build(H=4, gamma=0.9)


@pytest.mark.parametrize("name", ["garnet", "grid", "four_rooms", "n_room", "gridworld"])
def test_sparse_holds_the_same_numbers(name):
    dense, sparse = INSTANCES[name](gamma=0.9), INSTANCES[name](gamma=0.9, sparse=True)
    assert scipy.sparse.issparse(sparse.P)
    np.testing.assert_array_equal(sparse.P.toarray().reshape(dense.P.shape), dense.P)
    np.testing.assert_array_equal(sparse.r, dense.r)
    with pytest.raises(ValueError, match="sparse=True needs gamma"):
        INSTANCES[name](H=3, sparse=True)


# --- RiverSwim ---


def test_river_swim_by_hand():
    mdp = envs.river_swim(3, gamma=1.0)
    np.testing.assert_array_equal(mdp.P[:, 0], [[1, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(mdp.P[:, 1], [[0.4, 0.6, 0], [0.05, 0.6, 0.35], [0, 0.4, 0.6]])
    np.testing.assert_array_equal(mdp.r, [[0.005, 0], [0, 0], [0, 1]])


def test_river_swim_optimal_policy_is_right():
    mdp = envs.river_swim(gamma=1.0)
    gain = gains(mdp)
    assert best(gain) == (1,) * 6
    flow = np.cumprod([1, 0.6 / 0.05, *[0.35 / 0.05] * 3, 0.35 / 0.4])  # detailed balance
    assert np.isclose(gain[(1,) * 6], flow[-1] / flow.sum())


@pytest.mark.parametrize("S", [2, 6, 12])
def test_river_swim_diameter(S):
    """From the left bank to the right: the sum of the times to gain one state."""
    climb = [1 / 0.6]
    for _ in range(S - 2):
        climb.append((1 + 0.05 * climb[-1]) / 0.35)
    assert np.isclose(diameter(envs.river_swim(S, gamma=1.0)), sum(climb))


# --- chain, DeepSea, lock ---


def test_chain_by_hand():
    mdp = envs.chain(3, fail=0.2, gamma=1.0)
    np.testing.assert_allclose(mdp.P[:, 0], [[0.8, 0.2, 0], [0.8, 0, 0.2], [0, 0.8, 0.2]])
    np.testing.assert_allclose(mdp.P[:, 1], [[0.2, 0.8, 0], [0.2, 0, 0.8], [0, 0.2, 0.8]])
    np.testing.assert_array_equal(mdp.r, [[0.05, 0.05], [0, 0], [1, 1]])
    assert np.isclose(optimal_value(envs.chain(10, fail=0.0, H=30))[0, 0], 0.05 + 30 - 9)


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_deep_sea_has_one_path(seed):
    N = 5
    mdp = envs.deep_sea(N, H=N, rng=None if seed is None else rng(seed))
    returns = []
    for actions in itertools.product((0, 1), repeat=N):
        s, total = 0, 0.0
        for a in actions:
            total += mdp.r[s, a]
            s = mdp.P[s, a].argmax()
        assert s == 0, "N steps lead back to the start"
        returns.append(total)
    best_two = np.sort(returns)[-2:]
    np.testing.assert_allclose(best_two, [0.01, 1.0])
    np.testing.assert_allclose(np.sort(mdp.r[-1]), [0.01 / N, 1.0])
    if seed is None:
        assert np.isclose(returns[-1], 1.0), "right all the way"


def test_deep_sea_is_the_papers_plus_a_constant():
    """Less .01 / N a step, these are the paper's rewards: 0 to the left, a cost to the right, a treasure."""
    N = 4
    r = envs.deep_sea(N, H=N).r - 0.01 / N
    np.testing.assert_allclose(r[:, 0], 0)
    np.testing.assert_allclose(r[:-1, 1], -0.01 / N)
    assert np.isclose(r[-1, 1], 1 - 0.01 / N)


def test_combination_lock():
    L, A = 4, 3
    lock = envs.combination_lock(L, A, H=L, rng=rng())
    assert np.isclose(policy_value(lock, np.full((L, A), 1 / A))[0, 0], A**-L)
    assert np.isclose(optimal_value(lock)[0, 0], 1)
    assert np.isclose(max(gains(envs.combination_lock(L, A, gamma=1.0, rng=rng())).values()), 1 / L)


# --- random ---


def test_garnet_successors():
    mdp = envs.garnet(30, 4, 5, gamma=0.9, sparse=True, rng=rng())
    assert (np.diff(mdp.P.indptr) == 5).all()
    full = envs.garnet(4, 3, 4, gamma=0.9, rng=rng())
    assert (full.P > 0).all()
    assert envs.garnet(4, 3, 1, gamma=0.9, rng=rng()).P.max(axis=-1).min() == 1


def test_garnet_subsets_are_uniform():
    from eluder.envs._garnet import _subsets

    n = 60_000
    counts = Counter(map(tuple, _subsets(n, 4, 2, rng()).tolist()))
    assert sorted(counts) == list(itertools.combinations(range(4), 2))
    expected = n / 6
    chi2 = sum((c - expected) ** 2 / expected for c in counts.values())
    assert chi2 < 20.5, "0.1% quantile of 5 degrees of freedom"


def test_garnet_probabilities_are_uniform_spacings():
    P = envs.garnet(2000, 2, 3, gamma=0.9, sparse=True, rng=rng()).P.data.reshape(-1, 3)
    np.testing.assert_allclose(P.mean(axis=0), 1 / 3, atol=0.02)
    np.testing.assert_allclose((P**2).mean(axis=0), 1 / 6, atol=0.02)  # Dirichlet(1, 1, 1)


def test_random_ergodic_is_ergodic():
    mdp = envs.random_ergodic(4, 2, concentration=0.05, gamma=1.0, rng=rng())
    assert mdp.P.min() >= 0.001 / 4
    assert len(gains(mdp)) == 16, "no policy is multichain"


# --- gridworlds ---


def test_gridworld_moves_by_hand():
    mdp = envs.gridworld(["S.", "#G"], slip=0.3, gamma=0.9)
    # state 0 is a corner with a wall below: left, down and up stay
    np.testing.assert_allclose(mdp.P[0], [[0.9, 0.1, 0], [0.9, 0.1, 0], [0.3, 0.7, 0], [0.9, 0.1, 0]])
    np.testing.assert_allclose(mdp.P[1, 1], [0.1, 0.2, 0.7])
    np.testing.assert_array_equal(mdp.P[2, :, 2], 1)
    np.testing.assert_array_equal(mdp.r, [[0] * 4, [0] * 4, [1] * 4])
    again = envs.gridworld(["S.", "#G"], slip=0.3, restart=True, gamma=0.9)
    np.testing.assert_array_equal(again.P[2, :, 0], 1)


def test_grid_value_in_closed_form():
    mdp = envs.grid(4, slip=0.0, gamma=0.9)
    towards = np.full(16, 2)  # right, then down
    towards[3::4] = 1
    V = policy_value(mdp, towards)
    row, column = np.divmod(np.arange(16), 4)
    np.testing.assert_allclose(V, 0.9 ** (6 - row - column) / (1 - 0.9))
    assert np.isclose(optimal_value(envs.grid(4, slip=0.0, H=20))[0, 0], 20 - 6)


def test_rooms():
    four = envs.four_rooms(slip=0.0, H=60)
    assert four.mu.size == 104
    assert np.isclose(optimal_value(four)[0, 0], 60 - 20), "20 steps: the doors lie on shortest ways"
    rooms = envs.n_room(3, 4, slip=0.0, H=60)
    assert rooms.mu.size == 3 * 16 + 2
    # 13 to the right, 3 down
    assert np.isclose(optimal_value(rooms)[0, 0], 60 - 16)
    assert np.isfinite(diameter(envs.grid(3, restart=True, gamma=1.0)))
    assert diameter(envs.grid(3, gamma=1.0)) == np.inf


# --- operations research ---


def test_inventory_gives_putermans_numbers():
    """The tables of section 3.2.2 and the optimal values over three periods of section 4.6.1."""
    mdp = envs.inventory_control(gamma=1.0)
    expected = [[0, -1, -2, -5], [5, 0, -3], [6, -1], [5]]
    for s, row in enumerate(expected):
        np.testing.assert_allclose(mdp.r[s, : len(row)], row)
        np.testing.assert_array_equal(mdp.mask[s], np.arange(4) < len(row))
    stock = [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0.25, 0.5, 0.25, 0], [0, 0.25, 0.5, 0.25]]
    for s, a in np.ndindex(4, 4):
        if s + a <= 3:
            np.testing.assert_allclose(mdp.P[s, a], stock[s + a])
    low, high = mdp.r.min(), mdp.r.max()
    scaled = envs.inventory_control(rescale=True, H=3)
    V = (high - low) * optimal_value(scaled) + low * (3 - np.arange(4))[:, None]
    np.testing.assert_allclose(V[0], np.array([67, 129, 194, 227]) / 16)
    np.testing.assert_allclose(V[1], [2, 6.25, 10, 10.5])
    np.testing.assert_allclose(V[2], [0, 5, 6, 5])


@pytest.mark.parametrize(("R", "lam", "service"), [(5.0, 1.0, 1.5), (3.0, 0.5, 1.0), (9.0, 2.0, 1.6)])
def test_queue_threshold_is_naors(R, lam, service):
    N = 7
    mdp = envs.queue_admission(
        N, arrival_rate=lam, service_rate=service, reward=R, holding_cost=1.0, gamma=1.0
    )
    rho = lam / service

    def naor(v):
        return (v * (1 - rho) - rho * (1 - rho**v)) / (1 - rho) ** 2

    n = max(v for v in range(1, N + 1) if naor(v) <= R * service)
    gain = gains(mdp)
    threshold = tuple(int(s < n) for s in range(N + 1))
    assert n < N, "the capacity does not bind"
    assert np.isclose(gain[best(gain)], gain[threshold])
    p = rho ** np.arange(n + 1)  # M/M/1 with n places
    p /= p.sum()
    per_time = lam * R * (1 - p[-1]) - p @ np.arange(n + 1)
    assert np.isclose(gain[threshold], per_time / (lam + service))


def test_discounted_queue_has_a_threshold():
    mdp = envs.queue_admission(6, reward=3.0, gamma=0.95)
    policies = list(itertools.product(*(np.flatnonzero(m) for m in mdp.mask)))
    values = np.array([policy_value(mdp, np.array(pi)) for pi in policies])
    top = np.flatnonzero((values >= values.max(axis=0) - 1e-9).all(axis=1))
    assert any((np.diff(policies[i]) <= 0).all() for i in top)
    assert 0 < sum(policies[top[0]]) < 6


# --- lower bounds ---


@pytest.mark.parametrize(("depth", "A", "H", "wait"), [(1, 2, 5, None), (2, 3, 9, None), (3, 2, 10, 4)])
def test_episodic_lower_bound(depth, A, H, wait):
    eps = 0.2
    mdp = envs.lower_bound_episodic(depth, A, H=H, eps=eps, wait=wait, rng=rng(1))
    assert mdp.mu.size == 3 + (A**depth - 1) // (A - 1)
    paid = H - (wait or H // 3) - depth
    V = optimal_value(mdp)
    assert np.isclose(V[0, 0], paid * (0.5 + eps))
    # every other policy that reaches the leaves in time has the value paid / 2
    secret = np.argwhere((mdp.P[..., 1] > 0.5) & (mdp.P[..., 1] < 1))
    assert secret.shape == (1, 3)
    h, leaf, a = secret[0]
    assert depth <= h < (wait or H // 3) + depth
    assert leaf >= 3 + (A ** (depth - 1) - 1) // (A - 1)
    miss = np.full((H, mdp.mu.size), (a + 1) % A)
    miss[:, 0] = A - 1  # enter at once
    assert np.isclose(policy_value(mdp, miss)[0, 0], paid / 2)
    waits = np.zeros((H, mdp.mu.size), int)
    waits[h, leaf] = (a + 1) % A
    assert policy_value(mdp, waits)[0, 0] <= paid / 2 + 1e-12


@pytest.mark.parametrize(("copies", "arms", "D"), [(1, 3, 20), (5, 2, 20)])
def test_average_lower_bound(copies, arms, D):
    delta, eps = 4 / D, 0.05
    mdp = envs.lower_bound_average(copies, arms, D=D, eps=eps, gamma=1.0, rng=rng(2))
    assert mdp.r.shape == (2 * copies, arms if copies == 1 else 2 * arms + 1)
    leaves = np.array([mdp.P[2 * i, :arms, 2 * i + 1] for i in range(copies)])
    assert np.isclose(leaves, delta + eps).sum() == 1
    assert np.isclose(leaves, delta).sum() == copies * arms - 1
    assert D / 4 <= diameter(mdp) <= D
    copy, arm = np.argwhere(leaves > delta + eps / 2)[0]
    stay = np.zeros(2 * copies, int)
    stay[2 * copy] = arm
    for i in range(copies):  # climb or descend to the good copy
        path, node = [], copy
        while node:
            path.append(((node - 1) // arms, (node - 1) % arms))
            node = (node - 1) // arms
        if i != copy:
            stay[2 * i] = dict(path)[i] + arms if i in dict(path) else 2 * arms
    assert np.isclose(gain_and_bias(mdp, stay)[0], (delta + eps) / (2 * delta + eps))


def test_trees_by_hand():
    mdp = envs.lower_bound_episodic(3, 2, H=9, rng=rng())
    assert mdp.P[0, 3:6].argmax(axis=-1).tolist() == [[4, 5], [6, 7], [8, 9]]
    mdp = envs.lower_bound_average(5, 2, gamma=1.0, rng=rng())
    # actions 2 and 3 go to the children, 4 to the parent; node i is state 2 i, nodes 2, 3 and 4 are leaves
    assert mdp.P[::2, 2:].argmax(axis=-1).tolist() == [[2, 4, 0], [6, 8, 0], [4, 4, 0], [6, 6, 2], [8, 8, 2]]


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: envs.river_swim(1, H=2), "S must be at least 2"),
        (lambda: envs.chain(1, H=2), "L must be at least 2"),
        (lambda: envs.chain(fail=1.5, H=2), r"fail must be in \[0, 1\]"),
        (lambda: envs.deep_sea(0, H=2), "size must be at least 1"),
        (lambda: envs.deep_sea(2, H=2, rng=1), "rng must be"),
        (lambda: envs.combination_lock(0, H=2, rng=rng()), "L must be at least 1"),
        (lambda: envs.combination_lock(H=2, rng=None), "rng must be"),
        (lambda: envs.garnet(3, 2, 4, H=2, rng=rng()), r"branching must be in \[1, 3\]"),
        (lambda: envs.garnet(3, 2, 2, H=2, rng=0), "rng must be"),
        (lambda: envs.random_ergodic(3, 2, concentration=0, H=2, rng=rng()), "concentration must be in"),
        (lambda: envs.grid(1, H=2), "size must be at least 2"),
        (lambda: envs.grid(slip=-0.1, H=2), r"slip must be in \[0, 1\]"),
        (lambda: envs.n_room(0, H=2), "rooms must be at least 1"),
        (lambda: envs.gridworld(["S.", "G"], H=2), r"rows of equal length, got lengths \[1, 2\]"),
        (lambda: envs.gridworld(["S?G"], H=2), r"layout\[0\]\[1\] is '\?', it must be one of"),
        (lambda: envs.gridworld(["S.S"], H=2), "one start S and at least one goal G"),
        (lambda: envs.gridworld([], H=2), "rows of equal length"),
        (lambda: envs.inventory_control(demand=[0.5], gamma=0.9), "demand sums to 0.5, not 1"),
        (lambda: envs.inventory_control(holding_cost=-1, gamma=0.9), "holding_cost must be in"),
        (lambda: envs.inventory_control(H=3), "try rescale=True"),
        (lambda: envs.queue_admission(arrival_rate=0, gamma=0.9), r"arrival_rate must be in \(0"),
        (lambda: envs.queue_admission(H=3), "try rescale=True"),
        (lambda: envs.lower_bound_episodic(2, 2, H=5, rng=rng()), "H must be at least 6"),
        (lambda: envs.lower_bound_episodic(2, 2, H=6, wait=5, rng=rng()), r"wait must be in \[1, 4\]"),
        (lambda: envs.lower_bound_episodic(2, 1, H=6, rng=rng()), "A must be at least 2"),
        (lambda: envs.lower_bound_episodic(H=6, eps=0.6, rng=rng()), r"eps must be in \[0, 0.5\]"),
        (lambda: envs.lower_bound_average(2, 1, gamma=1.0, rng=rng()), "arms must be at least 2"),
        (lambda: envs.lower_bound_average(D=4, gamma=1.0, rng=rng()), r"D must be in \(4"),
        (lambda: envs.lower_bound_average(D=8, eps=0.6, gamma=1.0, rng=rng()), r"eps must be in \[0, 0.5\]"),
    ],
)
def test_errors_by_message(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_secret_stage_can_be_reached():
    """With one stage to enter the tree there is one stage at the leaves, whatever the seed."""
    for seed in range(12):
        mdp = envs.lower_bound_episodic(2, 2, H=6, eps=0.2, wait=1, rng=rng(seed))
        assert np.isclose(optimal_value(mdp)[0, 0], (6 - 1 - 2) * 0.7)


def test_a_full_queue_admits_nobody():
    mask = envs.queue_admission(3, gamma=0.9).mask
    np.testing.assert_array_equal(mask, [[1, 1], [1, 1], [1, 1], [1, 0]])
