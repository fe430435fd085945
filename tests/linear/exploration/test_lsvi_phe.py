"""LSVI-PHE: its definition on whole runs, the law of a perturbed history, optimism, learning."""

import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import episodic
from eluder.envs import random_linear_mdp
from eluder.experiments import regret
from eluder.linear.exploration import lsvi_phe
from eluder.linear.exploration._lsvi_phe import deviation, samples
from tests.linear.exploration import naive_exploration as naive


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(4))
def test_plays_the_policies_of_the_paper(seed):
    mdp, K, M = random_linear_mdp(5, 3, 3, 3, rng=rng(seed)), 60, 4
    mdp = mdp._replace(mask=np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0], [1, 1, 1]], bool))
    tables = episodic(mdp)
    result = lsvi_phe(mdp, K, c=0.02, lam=0.5, num_samples=M, rng=rng(seed))
    sigma = 0.02 * deviation(3, 3, K, 0.05)
    policies, upper = naive.lsvi_phe(mdp, tables.P, tables.r, K, sigma, M, 0.5, rng(seed))
    np.testing.assert_allclose(result.upper, upper, rtol=1e-8)
    value = [tables.mu @ policy_value(tables, pi)[0] for pi in policies]
    np.testing.assert_allclose(result.value, value, rtol=1e-9)
    np.testing.assert_array_equal(result.pi, policies[-1])


def test_perturbed_history_has_the_law_that_is_drawn():
    """Regressions onto targets with noise, drawn to a random prior: covariance sigma^2 Lambda^-1."""
    g, lam, sigma = rng(), 0.7, 1.5
    F, y = g.random((20, 3)), g.random(20)
    Lambda = lam * np.eye(3) + F.T @ F
    draws = np.array([naive.perturbed_least_squares(F, y, lam, sigma, g) for _ in range(40_000)])
    covariance = sigma**2 * np.linalg.inv(Lambda)
    scale = np.sqrt(np.diag(covariance))
    assert (np.abs(draws.mean(axis=0) - np.linalg.solve(Lambda, F.T @ y)) < 4 * scale / 200).all()
    error = np.abs(np.cov(draws.T) - covariance) / np.outer(scale, scale)
    assert error.max() < 0.03


def test_equations_by_hand():
    assert deviation(3, 4, 100, 0.1) == pytest.approx(4 * math.sqrt(3 * math.log(2 * 3 * 100 * 4 / 0.1)))
    assert samples(2, 0.09) == 54  # 2 ln(0.01) / ln(0.8413...) = 53.32


def test_estimates_are_optimistic_with_the_noise_of_the_theory():
    for seed in range(5):
        mdp = random_linear_mdp(5, 3, 3, 3, rng=rng(seed))
        best = mdp.mu @ optimal_value(episodic(mdp))[0]
        assert (lsvi_phe(mdp, 100, rng=rng(seed)).upper >= best - 1e-9).all()


def test_learns():
    mdp = random_linear_mdp(8, 3, 3, 4, rng=rng(1))
    best = mdp.mu @ optimal_value(episodic(mdp))[0]
    result = lsvi_phe(mdp, 10_000, c=0.02, num_samples=5, rng=rng())
    assert result.value[-1000:].mean() > 0.98 * best


@pytest.mark.slow
def test_regret_grows_no_faster_than_declared():
    mdp, K = random_linear_mdp(10, 4, 4, 4, rng=rng(1)), 200_000
    runs = [lsvi_phe(mdp, K, c=0.02, num_samples=5, rng=rng(i)) for i in range(5)]
    curve = np.mean([regret(run, episodic(mdp)) for run in runs], axis=0)
    k = np.unique(np.geomspace(K / 10, K, 30).astype(int)) - 1
    slope = np.polyfit(np.log(k + 1), np.log(curve[k]), 1)[0]
    print(f"lsvi_phe (c=0.02, 5 samples): slope {slope:.3f}, regret {curve[-1]:.0f}")
    assert slope < 0.6
