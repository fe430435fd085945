"""Backward induction, and the regularised planners of both kinds."""

import numpy as np
import pytest
from scipy.special import logsumexp

from eluder.core.exact import policy_value
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.tabular.planning import (
    average_policy_iteration,
    backward_induction,
    policy_iteration,
    relative_value_iteration,
    soft_backward_induction,
    soft_value_iteration,
    value_iteration,
)
from eluder.tabular.planning._soft_value_iteration import log_reference, soft_greedy
from tests.instances import random_discounted, random_episodic
from tests.tabular.planning import naive


def rng(seed=1):
    return np.random.default_rng(seed)


def policies(mask, seed, lead=()):
    w = rng(seed).random((*lead, *mask.shape)) * mask
    return w / w.sum(axis=-1, keepdims=True)


def regularised_value(mdp, pi, ref, tau):
    """Exact value of `pi` with the reward r - tau log(pi / ref); ref = 1 gives the entropy."""
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(pi > 0, np.log(pi / ref), 0.0)
    cost = tau * (pi * price).sum(axis=-1)
    if isinstance(mdp, EpisodicMDP):
        V = np.zeros((mdp.H + 1, mdp.mu.size))
        for h in reversed(range(mdp.H)):
            P = mdp.P[h] if mdp.P.ndim == 4 else mdp.P
            r = mdp.r[h] if mdp.r.ndim == 3 else mdp.r
            V[h] = (pi[h] * (r + P @ V[h + 1])).sum(axis=1) - cost[h]
        return V[: mdp.H]
    P, _ = naive.tables(mdp)
    P_pi = np.einsum("sa,sat->st", pi, P)
    return np.linalg.solve(np.eye(len(P)) - mdp.gamma * P_pi, (pi * mdp.r).sum(axis=1) - cost)


# --- backward induction ---


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_backward_induction_equals_definition(stages, masked):
    for seed in range(5):
        mdp = random_episodic(5, 3, 6, seed, stages=stages, masked=masked)
        result = backward_induction(mdp)
        assert np.abs(result.V - naive.backward_induction(mdp)).max() <= result.gap < 1e-12
        np.testing.assert_allclose(policy_value(mdp, result.pi)[:-1], result.V)
        np.testing.assert_array_equal(result.Q.max(axis=2), result.V)
        assert result.num_iter == 6


def test_backward_induction_by_hand():
    """Wait once for the larger reward, but not at the last stage."""
    P = [[[1, 0], [0, 1]], [[0, 1], [0, 1]]]
    result = backward_induction(EpisodicMDP(P, [[0.3, 0.0], [1.0, 1.0]], [1, 0], H=3))
    np.testing.assert_allclose(result.V, [[2, 3], [1, 2], [0.3, 1]])
    np.testing.assert_array_equal(result.pi[:, 0], [1, 1, 0])


@pytest.mark.parametrize("planner", [backward_induction, lambda mdp: soft_backward_induction(mdp, tau=1.0)])
def test_finite_planners_refuse_discounted_problems(planner):
    with pytest.raises(ValueError, match="mdp must be an EpisodicMDP, got DiscountedMDP"):
        planner(random_discounted(3, 2, 0.9, 0))


@pytest.mark.parametrize(
    "planner",
    [
        value_iteration,
        relative_value_iteration,
        average_policy_iteration,
        lambda mdp: soft_value_iteration(mdp, tau=1.0),
    ],
)
def test_infinite_planners_refuse_episodic_problems(planner):
    with pytest.raises(ValueError, match="mdp must be a DiscountedMDP, got EpisodicMDP"):
        planner(random_episodic(3, 2, 2, 0))


# --- soft operator ---


@pytest.mark.parametrize("tau", [0.01, 1.0, 100.0])
def test_soft_greedy_equals_definition(tau):
    Q, ref = rng().normal(size=(6, 4)), policies(np.ones((6, 4), bool), 2)
    V, pi = soft_greedy(Q, np.log(ref), tau)
    np.testing.assert_allclose(V, tau * logsumexp(Q / tau, axis=1, b=ref))
    if tau > 0.1:
        V_naive, pi_naive = naive.soft_backup(Q, ref, tau)
        np.testing.assert_allclose(V, V_naive)
        np.testing.assert_allclose(pi, pi_naive)


def test_soft_greedy_by_hand():
    V, pi = soft_greedy(np.array([[0.0, np.log(3.0)]]), np.zeros((1, 2)), 1.0)
    np.testing.assert_allclose(V, np.log(4))
    np.testing.assert_allclose(pi, [[0.25, 0.75]])
    V, pi = soft_greedy(np.array([[1e6, 0.0]]), np.zeros((1, 2)), 1e-3)  # no overflow
    np.testing.assert_allclose(V, 1e6)
    np.testing.assert_allclose(pi, [[1, 0]])


def test_soft_greedy_at_the_lowest_temperature():
    """Q / tau would overflow; what the reference never plays does not count, however good."""
    Q, log_ref = np.array([[3.0, 2.0, 9.0, 3.0]]), np.log([[0.2, 0.7, 1e-300, 0.1]])
    log_ref[0, 2] = -np.inf
    V, pi = soft_greedy(Q, log_ref, 5e-324)
    np.testing.assert_allclose(V, 3.0)
    np.testing.assert_allclose(pi, [[2 / 3, 0, 0, 1 / 3]])


@pytest.mark.parametrize("tau", [1.0, 1e3, 1e9, 1e15])
def test_soft_rounding_is_certified(tau):
    """At high temperatures the logarithm of a reference cancels; a uniform one gives the mean in the end."""
    mdp = random_episodic(4, 3, 5, 0)
    ref = np.full((4, 3), 1 / 3)
    result = soft_backward_induction(mdp, tau=tau, ref=ref)
    V = np.zeros(4)
    for _ in range(5):
        Q = mdp.r + mdp.P @ V
        mean = Q.mean(axis=1)
        V = mean + (((Q - mean[:, None]) ** 2).mean(axis=1) / (2 * tau) if tau > 1 else 0.0)
        V = V if tau > 1 else logsumexp(Q, axis=1, b=ref)
    assert np.abs(result.V[0] - V).max() <= result.gap + 1 / tau**2 * (tau > 1)
    assert result.gap <= 1e-13 * max(tau, 1.0)


@pytest.mark.parametrize("tau", [0.0, -1.0, np.nan, np.inf, 1e101])
def test_refuses_temperature(tau):
    with pytest.raises(ValueError, match=r"tau must be in \(0, 1e\+100\]"):
        soft_value_iteration(random_discounted(3, 2, 0.9, 0), tau=tau)
    with pytest.raises(ValueError, match=r"tau must be in \(0, 1e\+100\]"):
        soft_backward_induction(random_episodic(3, 2, 2, 0), tau=tau)


# --- soft value iteration ---


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("tau", [0.05, 1.0])
@pytest.mark.parametrize("with_ref", [False, True])
def test_soft_value_is_that_of_its_policy_and_the_largest(sparse, tau, with_ref):
    for seed in range(5):
        mdp = random_discounted(5, 3, 0.9, seed, masked=True, sparse=sparse)
        ref = policies(mdp.mask, seed) if with_ref else np.ones((5, 3))
        result = soft_value_iteration(mdp, tau=tau, ref=ref if with_ref else None, tol=1e-9)
        assert result.status == "converged"
        assert result.gap <= 1e-9
        exact = regularised_value(mdp, result.pi, ref, tau)
        assert np.abs(result.V - exact).max() <= 2 * result.gap
        for other in range(20):
            assert (regularised_value(mdp, policies(mdp.mask, other), ref, tau) <= result.V + 1e-8).all()
        np.testing.assert_array_equal(result.pi > 0, mdp.mask)


def test_soft_certificate_is_true():
    mdp = random_discounted(5, 3, 0.99, 0)
    exact = soft_value_iteration(mdp, tau=0.3, tol=1e-10).V
    for tol in (1.0, 1e-2, 1e-5):
        result = soft_value_iteration(mdp, tau=0.3, tol=tol)
        assert np.abs(result.V - exact).max() <= result.gap <= tol


def test_soft_values_approach_hard_ones():
    """V* <= V_soft <= V* + tau log(A)/(1 - gamma) with entropy."""
    mdp = random_discounted(5, 3, 0.9, 0)
    V = policy_iteration(mdp).V
    for tau in (1.0, 1e-2, 1e-4):
        soft = soft_value_iteration(mdp, tau=tau).V
        assert (soft >= V - 1e-7).all()
        assert (soft <= V + tau * np.log(3) / 0.1 + 1e-7).all()


def test_a_large_temperature_keeps_the_reference():
    mdp = random_discounted(5, 3, 0.9, 0, masked=True)
    ref = policies(mdp.mask, 3)
    result = soft_value_iteration(mdp, tau=1e6, ref=ref, tol=1e-6)
    np.testing.assert_allclose(result.pi, ref, atol=1e-5)
    np.testing.assert_allclose(result.V, policy_value(mdp, ref), atol=1e-4)


def test_soft_not_converged_is_said():
    with pytest.warns(RuntimeWarning, match="raise max_iter"):
        result = soft_value_iteration(random_discounted(5, 3, 0.9, 0, branching=2), tau=0.1, max_iter=1)
    assert result.gap > 1e-8


# --- soft backward induction ---


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("ref_stages", [None, False, True])
def test_soft_backward_induction_is_exact_and_the_largest(stages, ref_stages):
    mdp = random_episodic(4, 3, 5, 0, stages=stages, masked=True)
    ref = None if ref_stages is None else policies(mdp.mask, 7, (5,) if ref_stages else ())
    result = soft_backward_induction(mdp, tau=0.2, ref=ref)
    full = np.broadcast_to(1.0 if ref is None else ref, result.pi.shape)
    assert np.abs(result.V - regularised_value(mdp, result.pi, full, 0.2)).max() <= result.gap < 1e-12
    for seed in range(30):
        other = policies(mdp.mask, seed, (5,))
        assert (regularised_value(mdp, other, full, 0.2) <= result.V + 1e-12).all()
    assert (result.pi[:, ~mdp.mask] == 0).all()


def test_soft_backward_induction_becomes_hard():
    mdp = random_episodic(4, 3, 5, 0, masked=True)
    hard = backward_induction(mdp)
    soft = soft_backward_induction(mdp, tau=1e-6)
    np.testing.assert_allclose(soft.V, hard.V, atol=1e-4)
    np.testing.assert_array_equal(soft.pi.argmax(axis=2), hard.pi)


# --- bad input ---


def test_references_that_are_not_policies():
    mdp = DiscountedMDP(np.ones((1, 2, 1)), [[0, 1]], [1], 0.9, mask=[[True, False]])
    for planner in (
        lambda ref: soft_value_iteration(mdp, tau=1.0, ref=ref),
        lambda ref: soft_backward_induction(EpisodicMDP(*mdp[:3], 2, mdp.mask), tau=1.0, ref=ref),
    ):
        with pytest.raises(ValueError, match=r"ref\[0, 1\] is 0\.5, but the action is not available"):
            planner([[0.5, 0.5]])
        with pytest.raises(ValueError, match=r"ref\[0\] sums to 0\.9, not 1"):
            planner([[0.9, 0.0]])
    np.testing.assert_array_equal(log_reference(mdp, [[1.0, 0.0]]), [[0.0, -np.inf]])
