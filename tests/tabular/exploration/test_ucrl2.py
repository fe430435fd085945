"""Tests of tabular/exploration/_ucrl2.py and of what it shares with KL-UCRL."""

import functools

import numpy as np
import pytest

from eluder.core.exact import diameter
from eluder.core.problems import DiscountedMDP
from eluder.core.simulator import simulator
from eluder.envs import river_swim
from eluder.tabular.exploration import ucrl2
from eluder.tabular.exploration._average_reward import backup, memory, play_episode, warn_if_cut
from eluder.tabular.exploration._ucrl2 import (
    _extended_value_iteration,
    _kind_expectations,
    _sort,
    bound,
    bound_episodes,
    columns,
    reward_radius,
    transition_radius,
    work,
)
from tests.instances import random_discounted, random_episodic
from tests.tabular.exploration import naive_average


def rng(seed=1):
    return np.random.default_rng(seed)


def empirical(mdp, seed, unseen=True):
    """Random counts on the support of `mdp`: the rows by column entry, and as a dense array."""
    sim = simulator(mdp)
    col = columns(sim)
    S, A = mdp.mask.shape
    n_next = rng(seed).integers(0, 5, sim.prob[0].shape) * (sim.prob[0] > 0)
    if unseen:
        n_next[0, 0] = 0
    P_hat = n_next / np.maximum(1, n_next.sum(axis=-1, keepdims=True))
    dense = np.zeros((S, A, S))
    for s, a, i in np.ndindex(n_next.shape):
        dense[s, a, sim.succ[0, s, a, i]] += P_hat[s, a, i]
    return sim, col, P_hat.reshape(S * A, -1)[col.pair, col.slot], dense


# --- constants ---


def test_radii_by_hand():
    # 2 S A t / delta = 240 and 2 A t / delta = 80
    assert np.isclose(reward_radius(7, t=2, S=3, A=2, delta=0.1), np.sqrt(np.log(240) / 2))
    assert np.isclose(transition_radius(7, t=2, S=3, A=2, delta=0.1), np.sqrt(6 * np.log(80)))
    assert transition_radius(0, 2, 3, 2, 0.1) == transition_radius(1, 2, 3, 2, 0.1)


def test_bounds_by_hand():
    assert np.isclose(bound(S=2, A=4, D=3.0, T=100, delta=0.1), 34 * 3 * 2 * 20 * np.sqrt(np.log(1000)))
    assert np.isclose(bound_episodes(S=2, A=4, T=64), 8 * 6)


# --- definition ---


@pytest.mark.parametrize("branching", [2, 5])
def test_kind_expectations_equal_linear_program(branching):
    mdp = random_discounted(5, 3, 0.9, seed=2, branching=branching)
    _, col, P_hat, dense = empirical(mdp, seed=branching)
    u = np.array([0.3, 2.0, 2.0, 0.0, 1.1])  # with a tie at the top
    d = rng(3).random((5, 3)) * 1.5
    d[0, 0] = 2.5  # an unseen pair: everything is plausible
    PV, left, order = np.empty(15), np.empty(15), np.arange(5)
    _sort(order, u)
    assert (np.diff(u[order]) >= 0).all()
    _kind_expectations(PV, left, P_hat, d.ravel(), u, order, col)
    naive = [naive_average.l1_expectation(dense[s, a], u, d[s, a]) for s in range(5) for a in range(3)]
    np.testing.assert_allclose(PV, naive, atol=1e-9)


def test_extended_value_iteration_equals_definition():
    mdp = random_discounted(4, 2, 0.9, seed=5, branching=3, masked=True)
    sim, col, P_hat, dense = empirical(mdp, seed=8)
    r_up = rng(2).random((4, 2))
    d = rng(3).random((4, 2)) * 0.5
    d[0, 0] = 2.5
    Q, pi, scratch = np.empty((4, 2)), np.zeros(4, np.int64), work(4, 2)
    gain, done = _extended_value_iteration(Q, pi, r_up, P_hat, d, scratch, sim, col, 1e-3)
    naive, naive_gain = naive_average.extended_value_iteration(
        r_up, dense, d, mdp.mask, 1e-3, naive_average.l1_expectation
    )
    assert done
    assert np.isclose(gain, naive_gain)
    np.testing.assert_allclose(Q - Q.max(), naive - naive.max())
    np.testing.assert_array_equal(pi, naive.argmax(axis=1))


def test_backup_brackets_the_gain():
    """For any u, min and max of the change bracket the gain; u changes by the damped step."""
    mdp = random_discounted(6, 3, 0.9, seed=1, masked=True)
    u = rng().random(6)
    Q, pi = np.empty((6, 3)), np.zeros(6, np.int64)
    PV = mdp.P @ u
    expected = np.where(mdp.mask, mdp.r + PV, -np.inf).max(axis=1)
    moved = u + 0.3 * (expected - u)
    low, high = backup(Q, u, mdp.r, PV, mdp.mask, pi, 0.3)
    assert low <= naive_average.optimal_gain(mdp) <= high
    np.testing.assert_allclose(u, moved - moved.min())
    np.testing.assert_array_equal(pi, Q.argmax(axis=1))


def test_run_equals_definition():
    """The whole run from the same draws, long enough for the radii to exclude problems."""
    mdp = random_discounted(2, 2, 0.9, seed=3, bernoulli=True)
    mdp = mdp._replace(r=mdp.r / 5)
    T, delta = 60_000, 0.9
    result = ucrl2(mdp, T, delta=delta, rng=rng())
    slow = naive_average.run(mdp, T, functools.partial(naive_average.ucrl2_plan, mdp, delta), rng())
    np.testing.assert_array_equal(result.value, slow[0])
    np.testing.assert_allclose(result.upper, slow[1])
    np.testing.assert_allclose(result.Q - result.Q.max(), slow[2] - slow[2].max(), atol=1e-9)
    np.testing.assert_array_equal(result.N, slow[3])
    assert len(np.unique(slow[1])) > 5, "the radii exclude nothing"


def test_optimistic_rewards_are_at_most_one():
    """Where every reward is 1 the optimistic gain is 1, not 1 and a radius."""
    mdp = random_discounted(3, 2, 0.9, seed=3)
    np.testing.assert_allclose(ucrl2(mdp._replace(r=np.ones((3, 2))), 2000, rng=rng()).upper, 1.0)


# --- theorem ---


@pytest.mark.parametrize("bernoulli", [False, True])
def test_optimism(bernoulli):
    """On the event of the theorem (here: with this seed) every plan's gain is at least the optimal one."""
    mdp = random_discounted(4, 2, 0.9, seed=3, bernoulli=bernoulli)
    result = ucrl2(mdp, 50_000, rng=rng())
    assert (result.upper >= naive_average.optimal_gain(mdp)).all()
    assert result.upper[-1] < 0.999


def test_episodes_are_few():
    mdp = random_discounted(4, 2, 0.9, seed=3)
    T = 50_000
    upper = ucrl2(mdp, T, rng=rng()).upper
    episodes = 1 + np.count_nonzero(np.diff(upper))  # at least; equal gains are not told apart
    assert 10 < episodes <= bound_episodes(4, 2, T)


def test_memory_holds_the_run():
    """One episode's counts add up: by successor, in rewards, and in visits of the policy's own pairs."""
    mdp = random_discounted(4, 2, 0.9, seed=3, branching=3)
    sim = simulator(mdp)
    m = memory(sim)
    m.N[:] = 40
    m.n_next[:] = 10
    pi = np.array([0, 1, 1, 0])
    v, value = np.zeros(4, np.int64), np.full(500, np.nan)
    _, t = play_episode(sim, pi, m, v, 0, 100, value, rng())
    assert v.max() == 40
    assert v.sum() == t - 100 == np.isfinite(value).sum()
    np.testing.assert_array_equal(m.N[np.arange(4), pi], 40 + v)
    np.testing.assert_array_equal(m.n_next.sum(axis=-1)[np.arange(4), pi], 30 + v)
    np.testing.assert_allclose(m.reward[np.arange(4), pi], v * mdp.r[np.arange(4), pi])
    share = (m.n_next - 10)[np.arange(4), pi] / v[:, None]
    np.testing.assert_allclose(share, sim.prob[0, np.arange(4), pi], atol=0.3)


def test_value_is_the_mean_reward_of_the_visited_pairs():
    mdp = random_discounted(4, 2, 0.9, seed=3, bernoulli=True)
    result = ucrl2(mdp, 3000, rng=rng())
    assert np.isclose(result.value.sum(), (result.N * mdp.r).sum())


def test_solves_river_swim():
    result = ucrl2(river_swim(4, gamma=1.0), 200_000, rng=rng())
    np.testing.assert_array_equal(result.pi, 1)


def test_periodic_problem_converges():
    """Two states that swap: value iteration for the true chain would not converge."""
    mdp = random_discounted(2, 1, 0.9, seed=0)._replace(P=[[[0.0, 1.0]], [[1.0, 0.0]]], r=[[1.0], [0.0]])
    result = ucrl2(mdp, 20_000, rng=rng())
    assert 0.5 <= result.upper[-1] < 0.7


# --- bad input ---


def test_refuses_rewards_outside_the_unit_interval():
    mdp = random_discounted(3, 2, 0.9, seed=0)
    r = mdp.r.copy()
    r[1, 0] = 1.5
    with pytest.raises(ValueError, match=r"r\[1, 0\] is 1.5, it must be in \[0, 1\]"):
        ucrl2(mdp._replace(r=r), 10, rng=rng())
    with pytest.raises(ValueError, match="mdp must be a DiscountedMDP"):
        ucrl2(random_episodic(3, 2, 2, 0), 10, rng=rng())


def test_warns_of_plans_that_did_not_converge():
    with pytest.warns(UserWarning, match="stopped at .* sweeps in 2 episodes"):
        warn_if_cut(2, "ucrl2")


# --- rate ---


@pytest.mark.slow
def test_regret_is_below_the_bound():
    """Theorem 2, at each T, with room."""
    mdp = river_swim(6, gamma=1.0)
    best = naive_average.optimal_gain(mdp)
    T = 2 ** np.arange(17, 23)
    regret = np.mean([np.cumsum(best - ucrl2(mdp, T[-1], rng=rng(i)).value)[T - 1] for i in range(8)], axis=0)
    assert (regret <= [bound(6, 2, diameter(mdp), n, 0.05) for n in T]).all()


def test_warns_of_a_problem_that_does_not_communicate():
    """Two absorbing states: no policy leads from one to the other."""
    mdp = DiscountedMDP(np.eye(2)[:, None], [[0.0], [1.0]], [1.0, 0.0], 1.0)
    with pytest.warns(UserWarning, match="not communicating"):
        ucrl2(mdp, 5, rng=np.random.default_rng(0))
