"""RLSVI: its definition on whole runs, the law of its noise, learning."""

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import episodic
from eluder.envs import random_linear_mdp
from eluder.experiments import regret
from eluder.linear.exploration import rlsvi
from eluder.linear.exploration._perturbation import perturb
from eluder.linear.exploration._rlsvi import deviation
from tests.linear.exploration import naive_exploration as naive


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(4))
def test_plays_the_policies_of_the_paper(seed):
    mdp, K = random_linear_mdp(5, 3, 3, 3, rng=rng(seed)), 80
    mdp = mdp._replace(mask=np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0], [1, 1, 1]], bool))
    tables = episodic(mdp)
    result = rlsvi(mdp, K, c=0.1, lam=0.5, rng=rng(seed))
    policies, upper = naive.rlsvi(mdp, tables.P, tables.r, K, 0.3, 0.5, rng(seed))
    np.testing.assert_allclose(result.upper, upper, rtol=1e-8)
    value = [tables.mu @ policy_value(tables, pi)[0] for pi in policies]
    np.testing.assert_allclose(result.value, value, rtol=1e-9)
    np.testing.assert_array_equal(result.pi, policies[-1])


def test_noise_has_its_covariance():
    inverse, g = np.array([[2.0, 0.5], [0.5, 1.0]]), rng()
    draws = np.zeros((20_000, 2))
    for w in draws:
        perturb(w, np.linalg.cholesky(inverse), 3.0, np.zeros(2), g)
    np.testing.assert_allclose(np.cov(draws.T), 9 * inverse, rtol=0.06)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.1)
    assert deviation(7) == 7.0


def test_learns():
    mdp = random_linear_mdp(8, 3, 3, 4, rng=rng(1))
    best = mdp.mu @ optimal_value(episodic(mdp))[0]
    result = rlsvi(mdp, 20_000, c=0.1, rng=rng())
    assert result.value[-1000:].mean() > 0.99 * best


@pytest.mark.slow
def test_regret_grows_no_faster_than_declared():
    mdp, K = random_linear_mdp(10, 4, 4, 4, rng=rng(1)), 200_000
    curves = [regret(rlsvi(mdp, K, c=0.3, rng=rng(i)), episodic(mdp)) for i in range(5)]
    k = np.unique(np.geomspace(K / 10, K, 30).astype(int)) - 1
    slope = np.polyfit(np.log(k + 1), np.log(np.mean(curves, axis=0)[k]), 1)[0]
    print(f"rlsvi (c=0.3): slope {slope:.3f}, regret {np.mean(curves, axis=0)[-1]:.0f}")
    assert slope < 0.6
