"""Tests of the baselines of tabular/exploration."""

import numpy as np
import pytest

from eluder.core import exact
from eluder.core.problems import EpisodicMDP
from eluder.core.simulator import simulator, stochastic_policy_value
from eluder.tabular.exploration import (
    boltzmann_q_learning,
    epsilon_greedy_q_learning,
    greedy_certainty_equivalence,
    oracle_policy,
    random_policy,
)
from eluder.tabular.exploration._boltzmann import boltzmann_row
from eluder.tabular.exploration._certainty_equivalence import _plan
from eluder.tabular.exploration._epsilon_greedy import epsilon_greedy_row
from eluder.tabular.exploration._shared import Counts, stage_table
from eluder.tabular.exploration._stochastic import decayed, repair_mixture_value, td_update, uniform_row
from tests.instances import random_episodic
from tests.tabular.exploration import naive, naive_baselines


def rng(seed=1):
    return np.random.default_rng(seed)


def masked(stages=False):
    return random_episodic(5, 3, 4, seed=3, stages=stages, masked=True, bernoulli=True)


def start_value(mdp, pi):
    return mdp.mu @ exact.policy_value(mdp, pi)[0]


def two_rooms():
    """A safe reward of 0.1 at once, or nothing now and 1 at each later stage."""
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = 1
    return EpisodicMDP(P, [[0.1, 0.0], [1.0, 1.0]], mu=[1.0, 0.0], H=3)


# --- constants ---


def test_schedule_by_hand():
    assert decayed(0.5, 1, 0.7) == 0.5
    assert np.isclose(decayed(0.5, 16, 0.25), 0.25)
    assert decayed(0.3, 99, 0.0) == 0.3


def test_rows_by_hand():
    mask = np.array([True, False, True, True])
    row = np.full(4, np.nan)
    uniform_row(row, mask, 0.6)
    np.testing.assert_allclose(row, [0.2, 0, 0.2, 0.2])
    epsilon_greedy_row(row, 2, mask, 0.3)
    np.testing.assert_allclose(row, [0.1, 0, 0.8, 0.1])
    boltzmann_row(row, np.array([0.0, -np.inf, np.log(3.0), np.log(4.0)]), 0.5)
    np.testing.assert_allclose(row, [1 / 26, 0, 9 / 26, 16 / 26])
    boltzmann_row(row, np.array([0.0, -np.inf, 1e9, 1e9]), 1e-300)
    np.testing.assert_allclose(row, [0, 0, 0.5, 0.5])


# --- definition ---


def test_td_update_equals_definition():
    Q = rng().random((3, 4, 2))
    N = rng(2).integers(0, 9, Q.shape)
    for h, s, a, reward, s_next in [(0, 1, 1, 0.7, 3), (1, 0, 0, 0.2, 2), (2, 3, 1, 1.0, 0)]:
        expected = naive_baselines.q_learning_step(Q, N[h, s, a] + 1, h, s, a, reward, s_next)
        before = N[h, s, a]
        td_update(Q, N, h, s, a, reward, s_next)
        np.testing.assert_allclose(Q, expected)
        assert N[h, s, a] == before + 1


@pytest.mark.parametrize("stages", [False, True])
def test_repaired_value_equals_evaluation(stages):
    """After any changes of one state per stage the repaired value is that of a full evaluation."""
    mdp = masked(stages)
    sim = simulator(mdp)
    w = naive_baselines.boltzmann(np.where(mdp.mask, rng().random(sim.r.shape), -np.inf), 0.3)
    V = np.empty((mdp.H + 1, 5))
    V[-1] = 0.0
    current = stochastic_policy_value(sim, w, V)
    r = rng(7)
    for _ in range(50):
        changed = np.where(r.random(mdp.H) < 0.4, r.integers(0, 5, mdp.H), -1)
        for h in np.flatnonzero(changed >= 0):
            row = np.where(mdp.mask[changed[h]], r.random(3), 0.0)
            w[h, changed[h]] = row / row.sum()
        current = repair_mixture_value(sim, w, V, changed, current)
        assert np.isclose(current, start_value(mdp, w))
        np.testing.assert_allclose(V, exact.policy_value(mdp, w))


@pytest.mark.parametrize("stationary", [False, True])
def test_certainty_equivalent_plan_equals_definition(stationary):
    mdp = masked(stages=not stationary)
    sim = simulator(mdp)
    H, S, A = sim.r.shape
    which = stage_table(mdp, stationary, knows_r=True)
    n_next = rng().integers(0, 4, (which[-1] + 1, *sim.prob.shape[1:])) * (sim.prob[: which[-1] + 1] > 0)
    n_next[0, 0, 0] = 0
    n = n_next.sum(axis=-1)
    counts = Counts(which, n, n_next, n_next / np.maximum(1, n)[..., None])
    Q = np.where(mdp.mask, rng(2).random((H, S, A)) * H, -np.inf)
    pi = np.zeros((H, S), np.int64)
    expected = naive_baselines.empirical_plan(naive.dense_counts(n_next, sim)[which], sim.r, mdp.mask)
    top = _plan(Q, np.zeros((H + 1, S)), pi, counts, sim)
    np.testing.assert_allclose(Q, expected)
    np.testing.assert_array_equal(pi, expected.argmax(axis=-1))
    assert top == np.flatnonzero(pi.any(axis=1)).max()


@pytest.mark.parametrize("stationary", [False, True])
def test_certainty_equivalent_run_equals_definition(stationary):
    """Sixty episodes from the same draws: each stage counts in its own table."""
    mdp = masked(stages=not stationary)
    H, (S, A) = mdp.H, mdp.mask.shape
    tables = np.zeros(H, int) if stationary else np.arange(H)
    n_next, draw, values = np.zeros((H, S, A, S), int), rng(), []
    for _ in range(60):
        r = np.broadcast_to(mdp.r, (H, S, A))
        Q = naive_baselines.empirical_plan(n_next[tables], r, mdp.mask)
        values.append(naive.value(mdp, Q.argmax(axis=-1)))
        for h, s, a, _, s_next in naive.play(mdp, Q.argmax(axis=-1), draw):
            n_next[tables[h], s, a, s_next] += 1
    result = greedy_certainty_equivalence(mdp, 60, stationary=stationary, rng=rng())
    np.testing.assert_allclose(result.value, values)
    np.testing.assert_allclose(result.Q, Q)
    np.testing.assert_array_equal(result.pi, Q.argmax(axis=-1))


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_value_is_that_of_the_mixture_played(stages, decay):
    """A run of K episodes leaves the Q from which a run of K + 1 episodes plays its last one."""
    mdp = masked(stages)
    for K in (1, 2, 30, 200):
        scale = 0.3 * (K + 1) ** -decay
        before = epsilon_greedy_q_learning(mdp, K, epsilon=0.3, decay=decay, rng=rng())
        after = epsilon_greedy_q_learning(mdp, K + 1, epsilon=0.3, decay=decay, rng=rng())
        w = naive_baselines.epsilon_greedy(before.Q, mdp.mask, scale)
        assert np.isclose(after.value[-1], start_value(mdp, w), atol=1e-13)
        np.testing.assert_array_equal(after.value[:-1], before.value)
        before = boltzmann_q_learning(mdp, K, temperature=0.3, decay=decay, rng=rng())
        after = boltzmann_q_learning(mdp, K + 1, temperature=0.3, decay=decay, rng=rng())
        w = naive_baselines.boltzmann(before.Q, scale)
        assert np.isclose(after.value[-1], start_value(mdp, w), atol=1e-13)


def test_certainty_equivalence_value_is_exact(mdp):
    result = greedy_certainty_equivalence(mdp, 100, rng=rng())
    assert np.isclose(result.value[-1], start_value(mdp, result.pi))


def test_certainty_equivalence_learns_the_kernel():
    """Planned and true value of its policy agree where its own path has been counted often."""
    mdp = random_episodic(4, 3, 4, seed=2)
    result = greedy_certainty_equivalence(mdp, 20_000, stationary=True, rng=rng())
    assert np.isclose(mdp.mu @ result.Q[0].max(axis=-1), result.value[-1], atol=0.02)


# --- theorem ---


def test_first_episode_of_q_learning_is_uniform_or_greedy():
    mdp = masked()
    uniform = random_policy(mdp, 1, rng=rng()).value[0]
    assert np.isclose(
        uniform, start_value(mdp, naive_baselines.epsilon_greedy(np.zeros((4, 5, 3)), mdp.mask, 1.0))
    )
    assert np.isclose(epsilon_greedy_q_learning(mdp, 9, epsilon=1.0, rng=rng()).value, uniform).all()
    assert np.isclose(boltzmann_q_learning(mdp, 1, rng=rng()).value[0], uniform)


@pytest.mark.parametrize("temperature", [1e-9, 5e-324])
def test_a_tiny_temperature_is_greedy(temperature):
    bandit = EpisodicMDP(np.ones((1, 2, 1)), [[0.0, 1e-6]], mu=[1.0], H=1)
    for decay in (0.0, 1.0, 1e300):
        value = boltzmann_q_learning(bandit, 50, temperature=temperature, decay=decay, rng=rng()).value
        assert value[0] == 0.5e-6
        assert value[-1] == 1e-6


def test_random_policy_is_uniform():
    mdp = masked()
    N = random_policy(mdp, 20_000, rng=rng()).N
    share = N / N.sum(axis=-1, keepdims=True)
    expected = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    sigma = np.sqrt(expected * (1 - expected) / N.sum(axis=-1, keepdims=True))
    assert (np.abs(share - expected) <= 5 * sigma).all()


@pytest.mark.parametrize("stages", [False, True])
def test_oracle_has_no_regret(stages):
    mdp = masked(stages)
    result = oracle_policy(mdp, 50, rng=rng())
    best = mdp.mu @ exact.optimal_value(mdp)[0]
    assert (best - result.value == 0).all()
    assert np.isclose(start_value(mdp, result.pi), best)
    np.testing.assert_allclose(result.Q.max(axis=-1), exact.optimal_value(mdp)[:-1])
    np.testing.assert_array_equal(result.upper, result.value)


def test_q_learning_finds_the_optimal_values():
    """With all actions tried for ever, Q tends to Q* (the promise of Watkins and Dayan)."""
    mdp = random_episodic(3, 2, 3, seed=5)
    expected = oracle_policy(mdp, 1, rng=rng()).Q
    for result in (
        epsilon_greedy_q_learning(mdp, 300_000, epsilon=0.5, rng=rng()),
        boltzmann_q_learning(mdp, 300_000, temperature=1.0, rng=rng()),
    ):
        visited = result.N > 1000
        assert visited.sum() > 12
        np.testing.assert_allclose(result.Q[visited], expected[visited], atol=0.05)


def test_certainty_equivalence_gets_stuck_where_the_others_do_not():
    mdp = two_rooms()
    K = 2000
    np.testing.assert_allclose(greedy_certainty_equivalence(mdp, K, rng=rng()).value, 0.3)
    for learner in (epsilon_greedy_q_learning, boltzmann_q_learning):
        result = learner(mdp, K, rng=rng())
        assert start_value(mdp, result.pi) == 2.0
        assert 1.5 < result.value[-1] < 2.0


def test_constant_exploration_has_linear_regret():
    """From some episode on each episode costs the same: no slope below 1."""
    mdp = random_episodic(3, 2, 3, seed=5)
    best = mdp.mu @ exact.optimal_value(mdp)[0]
    K = 2 ** np.arange(10, 15)
    for result in (
        random_policy(mdp, K[-1], rng=rng()),
        epsilon_greedy_q_learning(mdp, K[-1], epsilon=0.5, rng=rng()),
    ):
        regret = np.cumsum(best - result.value)[K - 1]
        slope, _ = np.polyfit(np.log(K), np.log(regret), 1)
        assert 0.9 < slope < 1.01


# --- bad input ---


def test_certainty_equivalence_stationary_refuses_stages():
    with pytest.raises(ValueError, match="stationary=True needs a kernel"):
        greedy_certainty_equivalence(masked(stages=True), 2, stationary=True, rng=rng())
