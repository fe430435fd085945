"""Exact regret and sample complexity."""

import itertools

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult, checkpoints
from eluder.experiments import regret, sample_complexity
from eluder.experiments.measures import optimum
from eluder.tabular.exploration import ucbvi
from tests.instances import random_discounted, random_episodic


def played(value):
    nothing = np.zeros((1, 1), np.int64)
    return OnlineResult(np.array(value, float), np.array(value, float), np.zeros((1, 1, 2)), nothing, nothing)


def best_by_enumeration(mdp):
    """The value from mu of the best of all deterministic policies."""
    S, A = mdp.mask.shape
    policies = itertools.product(range(A), repeat=mdp.H * S)
    arrays = (np.array(p).reshape(mdp.H, S) for p in policies)
    allowed = (pi for pi in arrays if mdp.mask[np.arange(S), pi].all())
    return max(float(mdp.mu @ policy_value(mdp, pi)[0]) for pi in allowed)


@pytest.mark.parametrize("stages", [False, True])
def test_optimum_is_that_of_the_best_policy(stages):
    mdp = random_episodic(S=3, A=2, H=3, seed=4, stages=stages, masked=True)
    assert optimum(mdp) == pytest.approx(best_by_enumeration(mdp), abs=1e-12)


def test_regret_by_hand():
    mdp = random_episodic(S=3, A=2, H=3, seed=1)
    best = float(mdp.mu @ optimal_value(mdp)[0])
    np.testing.assert_allclose(regret(played([best - 1, best, best - 0.25]), mdp), [1, 1, 1.25], atol=1e-12)


def test_regret_of_a_run_never_decreases():
    mdp = random_episodic(S=5, A=3, H=4, seed=0)
    curve = regret(ucbvi(mdp, 500, c=0.02, rng=np.random.default_rng(0)), mdp)
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[0] >= -1e-12


def test_average_reward_regret_counts_from_the_gain():
    """With rewards that do not depend on the state, the gain is the best reward."""
    mdp = random_discounted(S=4, A=2, gamma=1.0, seed=2)._replace(r=np.tile([0.2, 0.7], (4, 1)))
    np.testing.assert_allclose(regret(played([0.2, 0.7, 0.2]), mdp), [0.5, 0.5, 1.0], atol=1e-9)


def test_sample_complexity_is_the_last_bad_episode():
    mdp = random_episodic(S=3, A=2, H=3, seed=1)
    best = float(mdp.mu @ optimal_value(mdp)[0])
    result = played([best, best - 0.3, best, best - 0.1, best])
    assert sample_complexity(result, mdp, 0.2) == 2
    assert sample_complexity(result, mdp, 0.05) == 4
    assert sample_complexity(result, mdp, 1.0) == 0
    assert sample_complexity(played([best, best - 1]), mdp, 0.5) is None


def test_a_gap_of_exactly_eps_is_optimal_enough():
    mdp = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    assert sample_complexity(played([0.0, 0.75, 0.75]), mdp, 0.25) == 1


@pytest.mark.parametrize("eps", [0.0, -1.0, np.nan, "x"])
def test_eps_is_checked(eps):
    mdp = random_episodic(S=3, A=2, H=3, seed=1)
    with pytest.raises(ValueError, match="eps must be"):
        sample_complexity(played([0.0]), mdp, eps)


def test_sample_complexity_needs_episodes():
    with pytest.raises(ValueError, match="mdp must be an EpisodicMDP"):
        sample_complexity(played([0.0]), random_discounted(S=3, A=2, gamma=1.0, seed=0), 0.1)


@pytest.mark.parametrize("K", [1, 2, 3, 199, 200, 5000, 10**7])
def test_checkpoints_end_at_the_budget(K):
    k = checkpoints(K)
    assert k[0] == 1
    assert k[-1] == K
    assert len(k) <= 200
    assert (np.diff(k) > 0).all()
