"""The simulator: the same dynamics as the problem's arrays, and exact values against enumeration."""

import itertools

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.kernels import sample
from eluder.core.simulator import (
    Simulator,
    next_value,
    policy_value,
    repair_policy_value,
    reset,
    simulator,
    step,
    stochastic_policy_value,
)
from tests.instances import random_discounted, random_episodic

seeds = st.integers(0, 10**6)


def dense(sim):
    """Unfold the kernel (G, S, A, S)."""
    G, S, A, B = sim.prob.shape
    P = np.zeros((G, S, A, S))
    for g, s, a, i in np.ndindex(G, S, A, B):
        P[g, s, a, sim.succ[g, s, a, i]] += sim.prob[g, s, a, i]
    return P


def value_by_enumeration(mdp, pi):
    """Sum over every trajectory of its probability and its rewards; `pi` (H, S, A) holds probabilities."""
    S, A = mdp.mask.shape
    P = np.broadcast_to(mdp.P, (mdp.H, S, A, S))
    r = np.broadcast_to(mdp.r, (mdp.H, S, A))
    total = 0.0
    for states in itertools.product(range(S), repeat=mdp.H):
        for actions in itertools.product(range(A), repeat=mdp.H):
            p = mdp.mu[states[0]]
            for h in range(mdp.H):
                p *= pi[h, states[h], actions[h]]
                if h + 1 < mdp.H:
                    p *= P[h, states[h], actions[h], states[h + 1]]
            total += p * sum(r[h, states[h], actions[h]] for h in range(mdp.H))
    return total


@given(seeds, st.booleans())
def test_the_same_kernel(seed, stages):
    mdp = random_episodic(5, 3, 4, seed, stages=stages, branching=2)
    sim = simulator(mdp)
    assert isinstance(sim, Simulator)
    np.testing.assert_allclose(dense(sim)[sim.stage], np.broadcast_to(mdp.P, (4, 5, 3, 5)), atol=1e-15)
    np.testing.assert_array_equal(sim.r, np.broadcast_to(mdp.r, (4, 5, 3)))
    assert sim.prob.shape[3] == 2
    assert (np.diff(sim.succ, axis=-1) >= 0).all()


@given(seeds)
def test_sparse_equals_dense(seed):
    rng = np.random.default_rng(seed)
    mdp = random_discounted(6, 2, 0.9, seed, branching=3)
    P = mdp.P.copy()
    P[rng.integers(6), rng.integers(2)] = np.eye(6)[rng.integers(6)]  # rows of unequal length
    a = simulator(mdp._replace(P=P))
    b = simulator(mdp._replace(P=scipy.sparse.csr_array(P.reshape(12, 6))))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(dense(a)[0], P)


def test_the_simulator_owns_its_arrays():
    mdp = random_episodic(3, 2, 2, 0)
    sim = simulator(mdp)
    for x, y in itertools.product(sim[:6], mdp[:5]):
        assert not np.may_share_memory(x, y)


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_policy_values_by_enumeration(seed, stages):
    S, A, H = 3, 2, 3
    mdp = random_episodic(S, A, H, seed, stages=stages)
    sim = simulator(mdp)
    rng = np.random.default_rng(seed)
    pi = rng.integers(0, A, (H, S))
    V = np.full((H + 1, S), 7.0)
    V[H] = 0
    assert np.isclose(policy_value(sim, pi, V, H - 1), value_by_enumeration(mdp, np.eye(A)[pi]))
    soft = rng.dirichlet(np.ones(A), (H, S))
    assert np.isclose(stochastic_policy_value(sim, soft, V), value_by_enumeration(mdp, soft))
    assert np.isclose(stochastic_policy_value(sim, np.eye(A)[pi], V), policy_value(sim, pi, V, H - 1))


@given(seeds, st.integers(0, 4))
def test_only_the_stages_up_to_top_are_needed(seed, top):
    mdp = random_episodic(4, 3, 5, seed, stages=True)
    sim = simulator(mdp)
    rng = np.random.default_rng(seed)
    pi = rng.integers(0, 3, (5, 4))
    V = np.zeros((6, 4))
    policy_value(sim, pi, V, 4)
    pi[: top + 1] = rng.integers(0, 3, (top + 1, 4))
    kept, fresh = V.copy(), np.zeros((6, 4))
    assert policy_value(sim, pi, kept, top) == policy_value(sim, pi, fresh, 4)
    np.testing.assert_array_equal(kept, fresh)


@given(seeds, st.lists(st.integers(-1, 3), min_size=5, max_size=5))
def test_repaired_value_equals_a_fresh_one(seed, changed):
    mdp = random_episodic(4, 3, 5, seed, branching=1 + seed % 3)
    sim = simulator(mdp)
    rng = np.random.default_rng(seed)
    pi = rng.integers(0, 3, (5, 4))
    V = np.zeros((6, 4))
    current = policy_value(sim, pi, V, 4)
    for h, s in enumerate(changed):
        if s >= 0:
            pi[h, s] = rng.integers(0, 3)
    fresh = np.zeros((6, 4))
    expected = policy_value(sim, pi, fresh, 4)
    assert repair_policy_value(sim, pi, V, np.array(changed), current) == expected
    np.testing.assert_array_equal(V, fresh)


def test_step_and_reset_draw_from_the_arrays():
    """With the same stream: the reward's uniform number first (only if it is drawn), then the successor's."""
    mdp = random_episodic(4, 2, 3, 5, stages=True, bernoulli=True)
    sim = simulator(mdp)
    rng, twin = np.random.default_rng(2), np.random.default_rng(2)
    assert reset(sim, rng) == sample(mdp.mu, twin)
    for h, s, a in np.ndindex(3, 4, 2):
        s_next, reward, slot = step(sim, h, s, a, rng)
        assert reward == float(twin.random() < mdp.r[h, s, a])
        assert s_next == sample(mdp.P[h, s, a], twin)
        assert sim.succ[h, s, a, slot] == s_next


def test_deterministic_rewards_are_the_means():
    mdp = random_episodic(4, 2, 3, 5)
    sim = simulator(mdp)
    rng = np.random.default_rng(0)
    assert all(step(sim, h, s, a, rng)[1] == mdp.r[s, a] for h, s, a in np.ndindex(3, 4, 2))


@given(seeds)
def test_next_value(seed):
    mdp = random_episodic(5, 3, 4, seed, stages=bool(seed % 2))
    V = np.random.default_rng(seed).normal(size=(5, 5))
    P = np.broadcast_to(mdp.P, (4, 5, 3, 5))
    sim = simulator(mdp)
    for h, s, a in np.ndindex(4, 5, 3):
        assert np.isclose(next_value(sim, h, s, a, V), P[h, s, a] @ V[h + 1])
