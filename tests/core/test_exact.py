"""Tests of core/exact.py: against enumeration of trajectories and policies, and closed forms."""

import itertools

import numpy as np
import pytest
import scipy.sparse

from eluder.core import exact
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from tests.instances import random_discounted, random_episodic

SPARSE = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def stochastic_policy(mdp, lead, seed=0):
    pi = np.random.default_rng(seed).random((*lead, *mdp.mask.shape)) * mdp.mask
    return pi / pi.sum(axis=-1, keepdims=True)


def trajectories(mdp, pi, s0):
    """All (probability, pairs, return) of an episodic problem, with Bernoulli rewards drawn."""
    S, A = mdp.mask.shape
    P = np.broadcast_to(mdp.P, (mdp.H, S, A, S))
    r = np.broadcast_to(mdp.r, (mdp.H, S, A))

    def follow(h, s):
        if h == mdp.H:
            yield 1.0, (), 0.0
            return
        for a, t in itertools.product(range(A), range(S)):
            p = pi[h, s, a] * P[h, s, a, t]
            outcomes = [(r[h, s, a], 1.0), (1 - r[h, s, a], 0.0)] if mdp.bernoulli else [(1.0, r[h, s, a])]
            if p > 0:
                for (q, reward), (rest, pairs, total) in itertools.product(outcomes, follow(h + 1, t)):
                    yield p * q * rest, ((s, a), *pairs), reward + total

    return list(follow(0, s0))


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("bernoulli", [False, True])
def test_episodic_equals_enumeration(stages, bernoulli):
    mdp = random_episodic(3, 2, 3, seed=2, stages=stages, branching=2, masked=True, bernoulli=bernoulli)
    pi = stochastic_policy(mdp, (3,))
    V, W, q = exact.policy_value(mdp, pi), exact.return_variance(mdp, pi), exact.occupancy(mdp, pi)
    visits = np.zeros((3, 3, 2))
    for s in range(3):
        paths = trajectories(mdp, pi, s)
        mean = sum(p * total for p, _, total in paths)
        assert np.isclose(V[0, s], mean)
        assert np.isclose(W[0, s], sum(p * (total - mean) ** 2 for p, _, total in paths))
        for p, pairs, _ in paths:
            for h, (state, action) in enumerate(pairs):
                visits[h, state, action] += mdp.mu[s] * p
    np.testing.assert_allclose(q, visits)
    assert np.isclose(mdp.mu @ V[0], (q * mdp.r).sum()), "value = occupancy times reward"


@pytest.mark.parametrize("stages", [False, True])
def test_optimal_value_equals_best_policy(stages):
    mdp = random_episodic(2, 2, 3, seed=4, stages=stages, branching=2)
    policies = [np.array(p).reshape(3, 2) for p in itertools.product(range(2), repeat=6)]
    best = np.max([exact.policy_value(mdp, pi) for pi in policies], axis=0)
    np.testing.assert_allclose(exact.optimal_value(mdp), best)


def test_optimal_value_respects_the_mask():
    mdp = EpisodicMDP([[[1.0], [1.0]]], [[0.2, 1.0]], [1.0], 2, mask=[[True, False]])
    np.testing.assert_allclose(exact.optimal_value(mdp)[:, 0], [0.4, 0.2, 0.0])
    assert exact.minimum_gap(mdp) == np.inf


def test_a_policy_without_stages_is_played_at_every_stage(mdp):
    pi = np.array([0, 2, 1, 1, 0])
    expected = exact.policy_value(mdp, np.tile(pi, (4, 1)))
    np.testing.assert_array_equal(exact.policy_value(mdp, pi), expected)
    np.testing.assert_array_equal(exact.policy_value(mdp, np.eye(3)[pi]), expected)


@SPARSE
def test_discounted_equals_series(sparse):
    """Value, occupancy and second moment against their series, summed until they vanish."""
    mdp = random_discounted(5, 3, 0.6, seed=1, branching=3, masked=True, sparse=sparse, bernoulli=True)
    pi = stochastic_policy(mdp, ())
    P = mdp.P.toarray().reshape(5, 3, 5) if sparse else mdp.P
    V, M, d, visits = np.zeros(5), np.zeros(5), mdp.mu, np.zeros((5, 3))
    for t in range(200):
        second = mdp.r + 2 * 0.6 * mdp.r * (P @ V) + 0.36 * (P @ M)  # E (R + gamma G)^2, R^2 = R
        V, M = (pi * (mdp.r + 0.6 * P @ V)).sum(axis=1), (pi * second).sum(axis=1)
        visits += 0.4 * 0.6**t * d[:, None] * pi
        d = np.einsum("s,sa,sat->t", d, pi, P)
    np.testing.assert_allclose(exact.policy_value(mdp, pi), V)
    np.testing.assert_allclose(exact.return_variance(mdp, pi), M - V**2)
    np.testing.assert_allclose(exact.occupancy(mdp, pi), visits)
    assert np.isclose(exact.occupancy(mdp, pi).sum(), 1)


@SPARSE
def test_policy_kernel(sparse):
    mdp = random_discounted(4, 3, 0.9, seed=1, sparse=sparse)
    P = mdp.P.toarray().reshape(4, 3, 4) if sparse else mdp.P
    pi = np.array([0, 2, 1, 1])
    P_pi, r_pi = exact.policy_kernel(mdp, pi)
    assert scipy.sparse.issparse(P_pi) == sparse
    np.testing.assert_array_equal(P_pi.toarray() if sparse else P_pi, P[np.arange(4), pi])
    np.testing.assert_array_equal(r_pi, mdp.r[np.arange(4), pi])


# --- average reward ---


@SPARSE
def test_gain_and_bias_solve_poisson(sparse):
    mdp = random_discounted(6, 2, 1.0, seed=3, sparse=sparse)
    pi = stochastic_policy(mdp, ())
    P_pi, r_pi = exact.policy_kernel(mdp, pi)
    d = exact.stationary_distribution(mdp, pi)
    gain, bias = exact.gain_and_bias(mdp, pi)
    np.testing.assert_allclose(d @ P_pi, d)
    np.testing.assert_allclose(bias, r_pi - gain + P_pi @ bias)
    assert np.isclose(d @ bias, 0, atol=1e-12)
    assert np.isclose(gain, d @ r_pi)
    power = np.linalg.matrix_power(P_pi.toarray() if sparse else P_pi, 200)
    np.testing.assert_allclose(power, np.tile(d, (6, 1)), atol=1e-12)


@SPARSE
def test_transient_states_and_periods(sparse):
    P = np.zeros((4, 1, 4))  # 3 -> 0 -> 1 -> 2 -> 0
    P[[0, 1, 2, 3], 0, [1, 2, 0, 0]] = 1
    kernel = scipy.sparse.csr_array(P.reshape(4, 4)) if sparse else P
    mdp = DiscountedMDP(kernel, [[3.0], [0.0], [0.0], [9.0]], [1, 0, 0, 0], 1.0)
    np.testing.assert_allclose(exact.stationary_distribution(mdp, [0] * 4), [1 / 3, 1 / 3, 1 / 3, 0])
    gain, bias = exact.gain_and_bias(mdp, [0] * 4)
    assert np.isclose(gain, 1)
    np.testing.assert_allclose(bias, [1, -1, 0, 9])  # Cesaro limits: 3, 0, 0 minus the gain, centred


def test_multichain_is_refused_by_name():
    mdp = DiscountedMDP(np.eye(3)[:, None, :], np.zeros((3, 1)), [1, 0, 0], 1.0)
    with pytest.raises(ValueError, match=r"multichain: 3 closed classes of states, \[0\], \[1\], \[2\]"):
        exact.gain_and_bias(mdp, [0, 0, 0])
    with pytest.raises(ValueError, match="multichain"):
        exact.stationary_distribution(mdp, [0, 0, 0])


def test_closed_classes_leave_the_chain_alone():
    P = scipy.sparse.csr_array(np.array([[0.5, 0.5], [0.0, 1.0]]))
    P.data[0] = 0.0
    assert exact.closed_classes(P) == [[1]]
    assert P.nnz == 3


# --- diameter, gaps, span ---


@pytest.mark.parametrize("seed", range(4))
@SPARSE
def test_diameter_equals_best_policy_per_pair(seed, sparse):
    mdp = random_discounted(4, 2, 1.0, seed, branching=2, masked=True, sparse=sparse)
    P = mdp.P.toarray().reshape(4, 2, 4) if sparse else mdp.P
    worst = 0.0
    for target in range(4):
        best = np.full(4, np.inf)
        for pi in itertools.product(*(np.flatnonzero(m) for m in mdp.mask)):
            Q = P[np.arange(4), list(pi)]
            Q[target] = 0
            reach = np.linalg.matrix_power(Q, 400).sum(axis=1)
            if reach.max() < 1e-6:  # proper
                best = np.minimum(best, np.linalg.solve(np.eye(4) - Q, np.arange(4) != target))
            else:
                for s in range(4):  # proper from some states only
                    inside = np.flatnonzero(reach < 1e-6)
                    if s in inside and not Q[np.ix_(inside, np.setdiff1d(range(4), inside))].any():
                        t = np.linalg.solve(
                            np.eye(inside.size) - Q[np.ix_(inside, inside)], (inside != target).astype(float)
                        )
                        best[s] = min(best[s], t[list(inside).index(s)])
        worst = max(worst, best.max())
    assert np.isclose(exact.diameter(mdp), worst)


def test_diameter_of_a_ring_and_of_one_way():
    ring = np.roll(np.eye(5), 1, axis=1)[:, None, :]
    zero = np.zeros((5, 1))
    assert np.isclose(exact.diameter(DiscountedMDP(ring, zero, np.ones(5) / 5, 1.0)), 4)
    ring[4, 0] = np.eye(5)[4]
    assert exact.diameter(DiscountedMDP(ring, zero, np.ones(5) / 5, 1.0)) == np.inf
    assert exact.diameter(DiscountedMDP([[[1.0]]], [[0.0]], [1.0], 1.0)) == 0


@SPARSE
@pytest.mark.parametrize("seed", range(5))
def test_reaching_policy_reaches(sparse, seed):
    """The chain of the policy is absorbed at the target; -1 where powers of P never come."""
    mdp = random_discounted(6, 2, 0.9, seed, sparse=sparse, branching=1, masked=True)
    pi = exact.reaching_policy(mdp, 2)
    P = (mdp.P.toarray() if sparse else mdp.P).reshape(6, 2, 6) * mdp.mask[..., None]
    ways = np.linalg.matrix_power(np.eye(6) + P.sum(axis=1), 6)[:, 2] > 0
    np.testing.assert_array_equal(pi >= 0, ways)
    np.testing.assert_array_equal(mdp.mask[np.arange(6), pi][ways], True)
    s = np.flatnonzero(ways)
    chain = P[s, pi[s]][:, s]
    chain[s == 2] = s == 2
    np.testing.assert_allclose(np.linalg.matrix_power(chain, 64)[:, s == 2], 1.0)


@pytest.mark.parametrize("slow", [0, 1])
def test_diameter_takes_the_faster_way(slow):
    """The first policy that reaches the target is not the best, from either state."""
    move = np.array([0.1, 0.5])
    P = np.stack([1 - move, move], axis=-1)
    P = np.stack([P, P[:, ::-1]]) if slow == 0 else np.stack([P[::-1], P[::-1, ::-1]])
    assert np.isclose(exact.diameter(DiscountedMDP(P, np.zeros((2, 2)), [1, 0], 1.0)), 2)


def test_minimum_gap_by_hand():
    # stage 1: gap .3; stage 0: the same action costs .3 now and nothing later
    mdp = EpisodicMDP([[[1.0], [1.0], [1.0]]], [[0.5, 0.2, 0.5 - 1e-12]], [1.0], 2)
    assert np.isclose(exact.minimum_gap(mdp), 0.3)
    assert np.isclose(exact.minimum_gap(mdp, tol=0.0), 1e-12, rtol=1e-3)


def test_span_by_hand():
    assert exact.span([[1.0, -2.0], [0.5, 3.0]]) == 5.0


# --- bad input ---


def test_errors_by_message(mdp, discounted):
    average = discounted._replace(gamma=1.0)
    one_way = EpisodicMDP([[[1.0], [1.0]]], [[0, 0]], [1.0], 1, mask=[[True, False]])
    pi = np.zeros(6, int)
    for call, message in [
        (lambda: exact.policy_value(average, pi), "gamma is 1"),
        (lambda: exact.occupancy(average, pi), "gamma is 1"),
        (lambda: exact.return_variance(average, pi), "gamma is 1"),
        (
            lambda: exact.policy_value(discounted, [0, 0, 0, 0, 0, 3]),
            r"pi\[5\] is 3, not an available action",
        ),
        (lambda: exact.policy_value(discounted, [0, 0]), r"pi must have shape \(6,\)"),
        (lambda: exact.policy_value(discounted, np.zeros((6, 3))), r"pi\[0\] sums to 0"),
        (lambda: exact.policy_value(one_way, [[0.5, 0.5]]), r"pi\[0, 1\] is 0.5, but the action is not"),
        (lambda: exact.policy_value("x", pi), "mdp must be a DiscountedMDP or an EpisodicMDP, got str"),
        (lambda: exact.optimal_value(discounted), "mdp must be an EpisodicMDP, got DiscountedMDP"),
        (lambda: exact.minimum_gap(discounted), "mdp must be an EpisodicMDP"),
        (lambda: exact.minimum_gap(mdp, tol=-1), "tol must be in"),
        (lambda: exact.gain_and_bias(mdp, pi), "mdp must be a DiscountedMDP, got EpisodicMDP"),
        (lambda: exact.diameter(mdp), "mdp must be a DiscountedMDP"),
        (lambda: exact.reaching_policy(mdp, 0), "mdp must be a DiscountedMDP"),
        (lambda: exact.reaching_policy(random_discounted(3, 2, 0.9, 0), 3), r"target must be in \[0, 2\]"),
        (lambda: exact.span([np.nan]), r"V\[0\] is nan"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
