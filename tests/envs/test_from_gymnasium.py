"""Tests of envs/_from_gymnasium.py."""

from types import SimpleNamespace

import gymnasium
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse

from eluder.core.exact import occupancy, optimal_value
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.envs import from_gymnasium


def optimal(mdp):
    """V* of a discounted problem by value iteration until nothing is left."""
    P = scipy.sparse.csr_array(mdp.P.reshape(mdp.r.size, -1))
    V = np.zeros(mdp.mu.size)
    for _ in range(3000):
        V = np.where(mdp.mask, mdp.r + mdp.gamma * (P @ V).reshape(mdp.r.shape), -np.inf).max(axis=1)
    return V


def two_rooms(**changes):
    """Action 0 in state 0 ends in state 1, which state 2 enters without an end."""
    P = {
        0: {0: [(1.0, 1, 5.0, True)], 1: [(0.5, 0, 0.0, False), (0.5, 2, 1.0, False)]},
        1: {0: [(1.0, 0, 2.0, False)]},
        2: {0: [(1.0, 1, 3.0, False)], 1: [(0.25, 2, 4.0, False), (0.75, 2, 0.0, False)]},
    }
    return SimpleNamespace(**{"P": P, "initial_state_distrib": [1.0, 0.0, 0.0], **changes})


# --- regression: done-aware conversion ---


@pytest.mark.parametrize(
    ("name", "S", "value"),
    [("Taxi-v4", 501, 6.3275), ("CliffWalking-v1", 48, -12.2479), ("FrozenLake-v1", 16, 0.5420)],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_value_ends_with_the_episode(name, S, value, sparse):
    mdp = from_gymnasium(name, gamma=0.99, sparse=sparse)
    assert mdp.r.shape[0] == S
    assert scipy.sparse.issparse(mdp.P) == sparse
    assert np.isclose(mdp.mu @ optimal(mdp), value, atol=5e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FrozenLake-v1", {"is_slippery": False}),
        ("FrozenLake-v1", {"desc": ["GS", "HF"], "reward_schedule": (10, -5, -1)}),
        ("FrozenLake8x8-v1", {"success_rate": 0.7}),
        ("CliffWalkingSlippery-v1", {}),
        ("Taxi-v4", {"is_rainy": True}),
    ],
)
def test_variants_equal_a_backup_that_reads_done(name, options):
    """V(s) = max_a sum p (r + gamma (1 - done) V(s')) on the raw table, no state added."""
    env = gymnasium.make(name, **options).unwrapped
    table = [(s, a, *t) for s in env.P for a in env.P[s] for t in env.P[s][a]]
    s, a, p, after, reward, done = (np.array(column) for column in zip(*table, strict=True))
    V = np.zeros(len(env.P))
    for _ in range(200):
        Q = np.zeros((V.size, len(env.P[0])))
        np.add.at(Q, (s, a), p * (reward + 0.9 * np.where(done, 0.0, V[after])))
        V = Q.max(axis=1)
    mdp = from_gymnasium(env, gamma=0.9)
    assert np.isclose(mdp.mu @ optimal(mdp), env.initial_state_distrib @ V)


def test_value_equals_played_episodes():
    """The mean return of FrozenLake's own episodes agrees with the table's exact value."""
    env = gymnasium.make("FrozenLake-v1").unwrapped
    mdp = from_gymnasium(env, H=30)
    policy = np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])
    exact = (occupancy(mdp, policy) * mdp.r).sum()
    total = 0.0
    for episode in range(800):
        s, _ = env.reset(seed=episode)
        for _ in range(30):
            s, reward, done, _, _ = env.step(policy[s])
            total += reward
            if done:
                break
    assert abs(total / 800 - exact) < 4 * np.sqrt(exact * (1 - exact) / 800)


# --- definition ---


def test_absorbing_states_and_numbers():
    mdp = from_gymnasium(two_rooms(), gamma=0.9)
    assert isinstance(mdp, DiscountedMDP)
    expected = np.zeros((4, 2, 4))
    expected[0, 0, 3] = 1  # the end: an added state, as state 1 goes on when entered from 2
    expected[0, 1, [0, 2]] = 0.5
    expected[1, 0, 0] = 1
    expected[1, 1, 1] = 1  # not in the table: unavailable
    expected[2, 0, 1] = 1
    expected[2, 1, 2] = 1
    expected[3, :, 3] = 1
    np.testing.assert_array_equal(mdp.P, expected)
    np.testing.assert_allclose(mdp.r, [[5, 0.5], [2, 0], [3, 1], [0, 0]])
    np.testing.assert_array_equal(mdp.mask, [[1, 1], [1, 0], [1, 1], [1, 1]])
    np.testing.assert_array_equal(mdp.mu, [1, 0, 0, 0])


def test_a_state_entered_only_at_the_end_becomes_absorbing():
    env = two_rooms()
    env.P[2][0] = [(1.0, 1, 3.0, True)]
    mdp = from_gymnasium(env, gamma=0.9)
    assert mdp.P.shape == (3, 2, 3)
    assert (mdp.P[1, :, 1] == 1).all()
    assert (mdp.r[1] == 0).all()
    assert mdp.mask[1].all()
    starts_there = from_gymnasium(env, gamma=0.9, mu=[0.5, 0.5, 0.0])
    assert starts_there.P.shape == (4, 2, 4)


def test_what_does_not_decide_whether_a_state_is_absorbing():
    """A step of the end to itself is none into it, and what has no probability never happens."""
    P = {
        0: {0: [(1.0, 1, 1.0, True), (0.0, 0, 0.0, True)]},
        1: {0: [(1.0, 1, 7.0, False), (0.0, 0, 0.0, True)]},
    }
    mdp = from_gymnasium(two_rooms(P=P, initial_state_distrib=[1.0, 0.0]), gamma=0.9)
    np.testing.assert_array_equal(mdp.P[:, 0], [[0, 1], [0, 1]])
    np.testing.assert_array_equal(mdp.r, [[1], [0]])


def test_action_mask_of_taxi():
    env = gymnasium.make("Taxi-v4").unwrapped
    mdp = from_gymnasium(env, gamma=0.9)
    for s in (0, 137, 499):
        np.testing.assert_array_equal(mdp.mask[s], env.action_mask(s) == 1)
    assert mdp.mask[500].all()


def test_horizon_and_rescale():
    lake = from_gymnasium("FrozenLake-v1", H=20, bernoulli=True)
    assert isinstance(lake, EpisodicMDP)
    assert lake.bernoulli
    with pytest.raises(ValueError, match=r"r\[0, 0\] is -1; an episodic .*: try rescale=True"):
        from_gymnasium("CliffWalking-v1", H=20)
    plain = from_gymnasium("CliffWalking-v1", gamma=1.0).r
    scaled = from_gymnasium("CliffWalking-v1", H=20, rescale=True)
    assert (plain.min(), plain.max()) == (-100, 0)
    np.testing.assert_allclose(scaled.r * 100 - 100, plain)
    # 13 steps of -1 in 20 stages: the values map back
    assert np.isclose(100 * (scaled.mu @ optimal_value(scaled)[0]) - 100 * 20, -13)


# --- bad input ---


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (SimpleNamespace(), "env has no transition table"),
        (two_rooms(P={}), "env has no transition table"),
        (two_rooms(P={0: {0: [(1.0, 0, 0, False)]}, 2: {}}), "P has no state 1: its 2 states"),
        (two_rooms(P={0: [1]}), r"P\[0\] must be a dictionary of actions"),
        (two_rooms(P={0: {-1: [(1.0, 0, 0, False)]}}), r"action of P\[0\] must be at least 0"),
        (two_rooms(P={0: {"up": [(1.0, 0, 0, False)]}}), r"action of P\[0\] must be an integer"),
        (two_rooms(P={0: {0: []}}), r"P\[0\]\[0\] sums to 0, not 1"),
        (two_rooms(P={0: {0: [(0.9, 0, 0, False)]}}), r"P\[0\]\[0\] sums to 0.9, not 1"),
        (two_rooms(P={0: {0: [(1.0, 0, 0)]}}), r"P\[0\]\[0\]\[0\] must be \(probability, next state"),
        (two_rooms(P={0: {0: [(-0.5, 0, 0, False)]}}), r"probability P\[0\]\[0\]\[0\]\[0\] must be in"),
        (
            two_rooms(P={0: {0: [(1.0, 7, 0, False)]}}),
            r"next state P\[0\]\[0\]\[0\]\[1\] must be in \[0, 0\]",
        ),
        (two_rooms(P={0: {0: [(1.0, 0, np.nan, False)]}}), r"reward P\[0\]\[0\]\[0\]\[2\] must be in"),
        (two_rooms(initial_state_distrib=[1.0]), r"mu must have shape \(3\)"),
        (two_rooms(initial_state_distrib=None), "env has no initial_state_distrib: give mu"),
        (two_rooms(action_mask=lambda s: [1, 1, 1]), r"action_mask\(0\) must have shape \(2,\), got \(3,\)"),
        (two_rooms(action_mask=lambda s: [1] * (2 + s // 2)), r"action_mask\(2\) must have shape \(2,\)"),
        (two_rooms(P={0: {0: None}}), r"P\[0\]\[0\] must be a list of \(probability, next state"),
        (two_rooms(P={0: {10**9: [(1.0, 0, 0, False)]}}), "P has an action 1000000000: its 1 actions must"),
        (two_rooms(fickle_passenger=True), "not those of its table"),
        (gymnasium.make("CartPole-v1"), "env has no transition table"),
    ],
)
def test_errors_by_message(env, message):
    with pytest.raises(ValueError, match=message):
        from_gymnasium(env, gamma=0.9)


def test_exactly_one_criterion():
    for kwargs, message in [({}, "got neither"), ({"H": 3, "gamma": 0.9}, "got both")]:
        with pytest.raises(ValueError, match=message):
            from_gymnasium("FrozenLake-v1", **kwargs)
    with pytest.raises(ValueError, match="sparse=True needs gamma"):
        from_gymnasium("FrozenLake-v1", H=3, sparse=True)


@hypothesis.given(
    st.lists(
        st.tuples(
            st.floats(0, 1), st.integers(0, 2), st.floats(-5, 5), st.booleans()
        ),
        min_size=6, max_size=6,
    )
)  # fmt: skip
def test_any_table_gives_a_problem_or_names_the_place(rows):
    """Each pair moves with probability p to some state, else stays: always a valid problem."""
    table = {s: {a: [] for a in range(2)} for s in range(3)}
    for i, (p, t, reward, done) in enumerate(rows):
        table[i // 2][i % 2] = [(p, t, reward, done), (1 - p, i // 2, 0.0, False)]
    mdp = from_gymnasium(two_rooms(P=table), gamma=0.9)
    assert mdp.P.shape[0] in (3, 4)
    for i, (p, t, reward, done) in enumerate(rows):
        absorbing = mdp.P[i // 2, i % 2, i // 2] == 1
        if not absorbing:
            assert np.isclose(mdp.r[i // 2, i % 2], p * reward)
        if p > 0 and done and not absorbing:
            assert mdp.P[t, 0, t] == 1 or mdp.P[i // 2, i % 2, 3] == p
