"""The simulator: the same dynamics as the problem's arrays, and exact values against enumeration."""

import itertools

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from eluder.core import exact
from eluder.core.kernels import sample
from eluder.core.simulator import (
    LANES,
    PolicyLog,
    Simulator,
    measure,
    next_value,
    policy_log,
    policy_value,
    reset,
    simulator,
    step,
    stochastic_policy_value,
    visits,
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


@pytest.mark.parametrize("branching", [1, 2, 4, 6])
@pytest.mark.parametrize(("K", "share"), [(1, 0.3), (7, 0.3), (200, 0.3), (300, 0.02), (130, 1.0)])
def test_measured_values_are_those_of_each_policy(K, share, branching):
    """Whatever changes along the paths, often, seldom or never, and however many wait at the end."""
    H, S, A = 5, 6, 3
    mdp = random_episodic(S, A, H, seed=K, branching=branching, stages=branching == 2)
    if branching < 4:
        mdp = mdp._replace(mu=np.eye(S)[2])  # so that the first stages reach few states
    sim = simulator(mdp)
    rng = np.random.default_rng(K)
    pi = rng.integers(0, A, (H, S))
    log = policy_log(sim, pi)
    value, expected = np.full(K, np.nan), []
    for k in range(K):
        measure(log, sim, pi, k, value)
        expected.append(mdp.mu @ exact.policy_value(mdp, pi)[0])
        log.path[:] = rng.integers(0, S, H)
        for h in range(H):
            if rng.random() < share:
                pi[h, log.path[h]] = rng.integers(0, A)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)


def test_values_are_written_in_batches():
    """A policy waits until there are LANES of them, or the run ends; episodes without a change repeat."""
    mdp = random_episodic(4, 2, 3, seed=0)
    sim = simulator(mdp)
    pi = np.zeros((3, 4), np.int64)
    log = policy_log(sim, pi)
    assert isinstance(log, PolicyLog)
    value = np.full(3 * LANES, np.nan)
    for k in range(2 * LANES):
        measure(log, sim, pi, k, value)
        pi[1, 0] = k // 2 % 2  # every second episode has a new policy
    assert np.isfinite(value[: 2 * LANES - 2]).all()
    assert np.isnan(value[2 * LANES :]).all()


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


@given(seeds)
def test_visits_are_the_occupancy(seed):
    mdp = random_episodic(5, 3, 4, seed, stages=bool(seed % 2), branching=2)
    rng = np.random.default_rng(seed)
    pi, q = rng.dirichlet(np.ones(3), (4, 5)), np.full((4, 5), np.nan)
    visits(simulator(mdp), pi, q)
    np.testing.assert_allclose(q, exact.occupancy(mdp, pi).sum(axis=2), atol=1e-14)
