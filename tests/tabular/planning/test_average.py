"""Planners for the average reward against a linear program, known gains, and refusals."""

import warnings

import numpy as np
import pytest
import scipy.sparse

from eluder.core.exact import gain_and_bias
from eluder.core.problems import DiscountedMDP
from eluder.envs import river_swim
from eluder.tabular.planning import (
    _average_policy_iteration,
    average_policy_iteration,
    relative_value_iteration,
)
from eluder.tabular.planning._relative_value_iteration import end_components, gain_certificate
from tests.instances import random_discounted
from tests.tabular.planning import naive, problems

PLANNERS = [relative_value_iteration, average_policy_iteration]


def random_graph(seed):
    """Few actions that go to one or two states: all kinds of structure."""
    return random_discounted(5, 2, 1.0, seed, masked=True, branching=1 + seed % 2)


# --- theorem ---


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("tol", [1e-3, 1e-9])
def test_gain_is_that_of_the_linear_program(planner, sparse, tol):
    for seed in range(20):
        mdp = random_discounted(6, 3, 0.5, seed, masked=True, sparse=sparse)
        result = planner(mdp, tol=tol)
        assert result.status == "converged"
        assert abs(result.gain - naive.optimal_gain(mdp)) <= result.gap + 1e-9 <= tol + 1e-9
        assert gain_and_bias(mdp, result.pi)[0] >= result.gain - result.gap - 1e-12


@pytest.mark.parametrize("planner", PLANNERS)
def test_bias_solves_the_optimality_equation(planner):
    mdp = random_discounted(6, 3, 0.5, 0, masked=True)
    result = planner(mdp, tol=1e-10)
    assert result.V[0] == 0
    np.testing.assert_allclose(result.Q.max(axis=1), result.V)
    Q = naive.action_values(mdp, result.V, gamma=1.0) - result.gain
    np.testing.assert_allclose(result.Q, Q, atol=1e-9)
    np.testing.assert_array_equal(result.pi, Q.argmax(axis=1))
    gain, bias = gain_and_bias(mdp, result.pi)
    np.testing.assert_allclose(result.V, bias - bias[0], atol=1e-8)
    assert np.isclose(result.gain, gain)


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("L", [2, 3, 8])
def test_periodic_problems(planner, L):
    result = planner(problems.cycle(L), tol=1e-9)
    assert np.isclose(result.gain, 1 / L, atol=1e-9)


def test_a_full_step_cycles_on_periodic_problems():
    with pytest.warns(RuntimeWarning, match=r"choose step = 0\.5"):
        result = relative_value_iteration(problems.cycle(2), step=1.0, max_iter=1000)
    assert abs(result.gain - 0.5) <= result.gap


def test_planners_agree_on_river_swim():
    mdp = river_swim(6, gamma=0.9)
    assert np.isclose(
        relative_value_iteration(mdp, tol=1e-10).gain, average_policy_iteration(mdp).gain, atol=1e-9, rtol=0
    )
    assert np.isclose(average_policy_iteration(mdp).gain, naive.optimal_gain(mdp))


def test_gain_certificate_by_hand():
    np.testing.assert_allclose(gain_certificate(1.0, 3.0, 0.01, np.array([2.0, -5.0])), (0, 1.08, 0.08, 2.0))


def test_gain_bounds_hold_at_any_value():
    mdp = random_discounted(6, 3, 0.5, 4)
    gain = naive.optimal_gain(mdp)
    for seed in range(20):
        V = np.random.default_rng(seed).normal(size=6)
        d = naive.action_values(mdp, V, gamma=1.0).max(axis=1) - V
        assert d.min() <= gain <= d.max()


def test_policies_of_howard_rise():
    mdp = random_discounted(10, 4, 0.5, 1)
    gains = []
    for n in (1, 2, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gains.append(gain_and_bias(mdp, average_policy_iteration(mdp, max_iter=n).pi)[0])
    assert gains[0] < gains[1] + 1e-9 < gains[2] + 2e-9
    assert np.isclose(gains[2], naive.optimal_gain(mdp), atol=1e-3)


# --- structure ---


def test_end_components_equal_definition():
    kinds = set()
    for seed in range(60):
        mdp = random_graph(seed)
        found = [set(c.tolist()) for c in end_components(mdp)]
        expected = naive.end_components(mdp)
        assert len(found) == len(expected)
        assert all(c in expected for c in found)
        kinds.add(len(found))
    assert kinds >= {1, 2}


@pytest.mark.parametrize("planner", PLANNERS)
def test_multichain_is_refused(planner):
    with pytest.raises(ValueError, match=r"mdp is multichain: .* \[1\] and \[2\]"):
        planner(problems.two_rooms())


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_room_that_can_be_left_is_refused(planner):
    """State 0 may stay for 1 a step or leave for ever: the best gain depends on the start."""
    P = np.array([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], float)
    with pytest.raises(ValueError, match="mdp is multichain"):
        planner(DiscountedMDP(P, [[1, 0], [0, 0]], [1, 0], 0.9))


@pytest.mark.parametrize("planner", PLANNERS)
def test_transient_states_are_allowed(planner):
    P = np.array([[[0, 1, 0], [0, 0, 1]], [[0, 0, 1]] * 2, [[0, 1, 0]] * 2], float)
    result = planner(DiscountedMDP(P, [[9, 0], [1, 1], [2, 2]], [1, 0, 0], 0.9), tol=1e-10)
    assert np.isclose(result.gain, 1.5)
    assert result.pi[0] == 0


@pytest.mark.parametrize("sparse", [False, True])
def test_policies_with_several_classes_are_led_to_one(sparse):
    """Each state may stay, for a reward of its own: greedy policies stay everywhere."""
    S = 6
    P = np.zeros((S, 2, S))
    s = np.arange(S)
    P[s, 0, s] = P[s, 1, (s + 1) % S] = 1.0
    r = np.stack([np.arange(S) / S, np.zeros(S)], axis=1)
    kernel = scipy.sparse.csr_array(P.reshape(2 * S, S)) if sparse else P
    mdp = DiscountedMDP(kernel, r, np.full(S, 1 / S), 0.9)
    stay = np.zeros(S, np.int64)
    np.testing.assert_array_equal(_average_policy_iteration.one_class(mdp, stay), [1, 1, 1, 1, 1, 0])
    result = average_policy_iteration(mdp)
    assert np.isclose(result.gain, 5 / 6)
    assert np.isclose(result.gain, relative_value_iteration(mdp).gain, atol=1e-7)


def test_class_gain_by_hand():
    """Half the time in each of states 1 and 2."""
    P_pi = np.array([[0.5, 0.5, 0.0], [0, 0, 1], [0, 1, 0]])
    assert np.isclose(_average_policy_iteration.class_gain(P_pi, np.array([9.0, 1.0, 2.0]), [1, 2]), 1.5)


@pytest.mark.parametrize("planner", PLANNERS)
def test_every_weakly_communicating_graph_is_solved(planner):
    solved = 0
    for seed in range(60):
        mdp = random_graph(seed)
        if len(naive.end_components(mdp)) == 1:
            assert abs(planner(mdp, tol=1e-7).gain - naive.optimal_gain(mdp)) <= 2e-7
            solved += 1
    assert solved > 10


def test_sparse_equals_dense():
    for seed in range(10):
        dense, sparse = (random_discounted(6, 3, 1.0, seed, sparse=s) for s in (False, True))
        for planner in PLANNERS:
            assert np.isclose(planner(dense).gain, planner(sparse).gain, atol=1e-7)


@pytest.mark.parametrize("step", [0.0, 1.5, float("nan")])
def test_refuses_step(step):
    with pytest.raises(ValueError, match=r"step must be in \(0, 1\]"):
        relative_value_iteration(problems.cycle(2), step=step)
