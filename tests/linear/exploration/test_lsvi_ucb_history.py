"""LSVI-UCB with the history: the same numbers as with statistics; problems that cannot be enumerated."""

import gymnasium
import numpy as np
import pytest

from eluder.core.features import FeatureMDP, features_of, outcome, seen_through_features
from eluder.core.linear import LinearMDP
from eluder.envs import feature_mdp, random_linear_mdp, river_swim, to_gymnasium
from eluder.linear.exploration import lsvi_ucb, lsvi_ucb_history
from tests.linear.exploration.rows_exploration import linear


def rng(seed=0):
    return np.random.default_rng(seed)


def still(features, reward=0.0):
    return FeatureMDP(lambda g: 0, lambda h, s, a, g: (0, reward), lambda s: features, 2)


@pytest.mark.parametrize(("seed", "c"), [(0, 0.02), (1, 0.02), (2, 0.02), (1, 0.2)])
def test_plays_the_episodes_of_the_statistics(seed, c):
    """With the same draws, masks and Bernoulli rewards: same estimates, same actions, same solutions."""
    mdp = linear() if seed == 0 else random_linear_mdp(5, 3, 3, 4, rng=rng(seed))
    played = []

    problem = seen_through_features(mdp)

    def step(h, s, a, g):
        played.append((h, s, a))
        return problem.step(h, s, a, g)

    K = 60
    history = lsvi_ucb_history(problem._replace(step=step), K, c=c, lam=0.5, rng=rng(seed))
    statistics = lsvi_ucb(mdp, K, c=c, lam=0.5, rng=rng(seed))
    np.testing.assert_allclose(history.upper, statistics.upper, rtol=1e-9)
    N = np.zeros_like(statistics.N)
    for h, s, a in played:
        N[h, s, a] += 1
    np.testing.assert_array_equal(N, statistics.N)
    width = np.sqrt(np.einsum("sai,hij,saj->hsa", mdp.phi, history.inverse, mdp.phi))
    Q = np.minimum(
        np.einsum("sai,hi->hsa", mdp.phi, history.w) + history.beta * width,
        np.arange(mdp.H, 0, -1)[:, None, None],
    )
    np.testing.assert_allclose(Q[:, mdp.mask], statistics.Q[:, mdp.mask], rtol=1e-9)


def test_learns_where_states_are_numbers_of_the_line():
    """A point moves to the left or the right with noise; reward near 1. Features: a few bumps, per action."""
    centres = np.linspace(0, 1, 6)

    def features(x):
        bumps = np.exp(-(((x - centres) / 0.15) ** 2))
        bumps /= bumps.sum()
        return np.vstack([np.append(bumps, 0 * bumps), np.append(0 * bumps, bumps)])

    def step(h, x, a, g):
        return float(np.clip(x + (0.2 if a else -0.2) + g.normal(0, 0.03), 0, 1)), float(x > 0.9)

    walk = FeatureMDP(lambda g: g.uniform(0.3, 0.5), step, features, 8)
    result = lsvi_ucb_history(walk, 500, c=0.005, lam=0.03, rng=rng())
    assert result.returns[-50:].mean() > 4.5  # 5 at most: it takes 3 steps to come to 0.9
    assert result.returns[:30].mean() < 1


def test_plays_gymnasium():
    """Episodes that end sooner are worth nothing from there on."""
    env = to_gymnasium(river_swim(4, H=6))
    eye = np.eye(8).reshape(4, 2, 8)
    problem = feature_mdp(env, lambda s: eye[s], H=6)
    a, b = (lsvi_ucb_history(problem, 40, c=0.02, rng=rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a.returns, b.returns)
    assert (a.returns > 0).any()
    short = feature_mdp(to_gymnasium(river_swim(4, H=2)), lambda s: eye[s], H=5)
    state = short.reset(rng())
    for h in range(4):
        state, reward = short.step(h, state, 0, rng())
        assert state[1] == (h >= 1)
        assert (short.features(state) == 0).all() == (h >= 1)
    assert reward == 0
    assert lsvi_ucb_history(short, 5, rng=rng()).upper.shape == (5,)


def test_refuses_what_it_cannot_play():
    with pytest.raises(ValueError, match="reset must be callable, got int"):
        FeatureMDP(3, print, print, 2)
    with pytest.raises(ValueError, match="H must be at least 1"):
        FeatureMDP(print, print, print, 0)
    with pytest.raises(ValueError, match=r"reward must be in \[0, 1\], got 2"):
        lsvi_ucb_history(still([[1.0]], 2.0), 3, rng=rng())
    with pytest.raises(ValueError, match=r"features\[0, 1\] is nan, it must be finite"):
        lsvi_ucb_history(still([[1.0, np.nan]]), 3, rng=rng())
    with pytest.raises(ValueError, match="no action is available"):
        lsvi_ucb_history(still([[np.nan, np.nan]]), 3, rng=rng())
    with pytest.raises(ValueError, match="features must"):
        lsvi_ucb_history(still([1.0]), 3, rng=rng())
    with pytest.raises(ValueError, match="features must have shape"):
        features_of(still([[1.0, 2.0]]), 0, (2, 2))
    with pytest.raises(ValueError, match="mdp must be a LinearMDP, got FeatureMDP"):
        seen_through_features(still([[1.0]]))
    with pytest.raises(ValueError, match="env must have a Discrete action space from 0"):
        feature_mdp(gymnasium.make("Pendulum-v1"), lambda s: s, 3)
    with pytest.raises(ValueError, match="env must have a Discrete"):
        feature_mdp(3, lambda s: s, 3)
    with pytest.raises(ValueError, match="features must be callable, got int"):
        feature_mdp("FrozenLake-v1", 3, 3)
    assert isinstance(linear(), LinearMDP)


def test_features_may_be_filled_into_one_buffer():
    problem = seen_through_features(random_linear_mdp(5, 2, 3, 3, rng=rng()))
    buffer = np.zeros((2, 3))

    def features(state):
        buffer[:] = problem.features(state)
        return buffer

    fresh = lsvi_ucb_history(problem, 60, c=0.05, rng=rng(1))
    reused = lsvi_ucb_history(problem._replace(features=features), 60, c=0.05, rng=rng(1))
    np.testing.assert_array_equal(fresh.inverse, reused.inverse)
    np.testing.assert_array_equal(fresh.returns, reused.returns)
    with pytest.raises(ValueError, match="H must be at least 1"):
        problem._replace(H=-1)


def test_refuses_steps_that_are_no_pair_and_features_beside_which_the_ridge_is_nothing():
    for got in (None, (0,), (0, 0.0, False)):
        problem = still([[1.0]])._replace(step=lambda h, s, a, g, got=got: got)
        with pytest.raises(ValueError, match=r"step must return \(next state, reward\), got"):
            lsvi_ucb_history(problem, 3, rng=rng())
    with pytest.raises(ValueError, match=r"lam is 1, with phi of norm 1e\+08 it must be at least 1e-10"):
        lsvi_ucb_history(still([[1e8]]), 3, rng=rng())
    assert outcome(still([[1.0]]), 0, 0, 0, rng()) == (0, 0.0)
