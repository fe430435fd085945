"""LSVI-UCB++: its definition on whole runs, the order of its estimates, variances, switches, learning."""

import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import episodic
from eluder.core.value_regression import add_weighted_round, new_regression
from eluder.envs import random_linear_mdp
from eluder.experiments import regret
from eluder.linear.exploration import lsvi_ucb_plus_plus
from eluder.linear.exploration._lsvi_ucb_plus_plus import coarse_radius, radius, switches, variance_bound
from tests.linear.exploration import naive_exploration as naive


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(4))
def test_plays_the_policies_of_the_paper(seed):
    mdp, K, c, d3 = random_linear_mdp(5, 3, 3, 3, rng=rng(seed)), 150, 0.005, 0.01
    mdp = mdp._replace(mask=np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0], [1, 1, 1]], bool))
    tables = episodic(mdp)
    result = lsvi_ucb_plus_plus(mdp, K, lam=0.01, c=c, d3=d3, rng=rng(seed))
    beta, bar = (c * f(3, 3, K, 0.01, 0.05) for f in (radius, coarse_radius))
    policies, upper, lower = naive.lsvi_ucb_plus_plus(
        mdp, tables.P, tables.r, K, beta, bar, 3 * bar, d3, 0.01, rng(seed)
    )
    assert len(np.unique(upper)) > 5, "it never planned"
    assert lower[-1] > 0
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9)
    value = [tables.mu @ policy_value(tables, pi)[0] for pi in policies]
    np.testing.assert_allclose(result.value, value, rtol=1e-9)
    np.testing.assert_array_equal(result.pi, policies[-1])


def test_equations_by_hand():
    d, H, K, lam, delta = 4, 3, 100, 0.25, 0.1
    assert radius(d, H, K, lam, delta) == pytest.approx(3 + 2 * math.log(1 + 1200 / 0.025))
    assert coarse_radius(d, H, K, lam, delta) == pytest.approx(3 + 24 * math.log(1200 / 0.025))
    assert switches(d, H, K, lam) == pytest.approx(12 * math.log2(1 + 100 / 3))


def test_estimates_enclose_the_optimum_with_the_radii_of_the_theory():
    """Monotone, and above the optimal value; with ``d3`` small so that it plans at all."""
    planned = 0
    for seed in range(4):
        mdp = random_linear_mdp(5, 3, 2, 3, rng=rng(seed))
        best = mdp.mu @ optimal_value(episodic(mdp))[0]
        upper = lsvi_ucb_plus_plus(mdp, 200_000, d3=0.0, rng=rng(seed)).upper
        assert (upper >= best - 1e-9).all()
        assert (np.diff(upper) <= 0).all()
        planned += len(np.unique(upper))
        assert len(np.unique(upper)) <= switches(2, 3, 200_000, 1 / 9)
    assert planned > 10


def test_weights_bound_the_variance_of_the_optimal_value():
    """``s2 >= Var V*[h + 1]`` of a visited pair (Lemma B.2), whatever the data."""
    mdp = random_linear_mdp(6, 3, 3, 3, rng=rng(2))
    tables, g = episodic(mdp), rng(5)
    V = np.vstack([optimal_value(tables), np.zeros(6)])
    fit, u, y, w = new_regression(mdp.phi, 3, 1 / 9), np.zeros(3), np.zeros(3), np.zeros(3)
    beta_bar = coarse_radius(3, 3, 2000, 1 / 9, 0.05)
    for _ in range(2000):
        h, s, a = int(g.integers(3)), int(g.integers(6)), int(g.integers(3))
        s2 = variance_bound(fit, V + 0.3, V - 0.1, h, s, a, beta_bar, 27.0, y, w)
        p = tables.P[h, s, a]
        assert s2 >= p @ V[h + 1] ** 2 - (p @ V[h + 1]) ** 2
        add_weighted_round(fit, h, s, a, 0.0, int(g.choice(6, p=p)), 1 / s2, u)


def test_first_plan_of_the_theory_is_late():
    """With the factor d^3 a determinant doubles after about 4 d^6 H^3 episodes, as the docstring says."""
    mdp = random_linear_mdp(4, 2, 2, 2, rng=rng(3))
    upper = lsvi_ucb_plus_plus(mdp, 20_000, rng=rng()).upper
    first = np.flatnonzero(upper < 2)
    assert first.size == 0 or first[0] > 4 * 2**6 * 2**3 / 4


def test_learns():
    mdp = random_linear_mdp(8, 3, 3, 4, rng=rng(1))
    best = mdp.mu @ optimal_value(episodic(mdp))[0]
    result = lsvi_ucb_plus_plus(mdp, 50_000, c=0.05, d3=0.1, rng=rng())
    assert result.value[-1000:].mean() > 0.97 * best


@pytest.mark.slow
def test_regret_grows_no_faster_than_declared():
    mdp, K = random_linear_mdp(10, 4, 4, 4, rng=rng(1)), 2_000_000
    runs = [lsvi_ucb_plus_plus(mdp, K, c=0.05, d3=0.0, rng=rng(i)) for i in range(5)]
    curve = np.mean([regret(run, episodic(mdp)) for run in runs], axis=0)
    k = np.unique(np.geomspace(K / 10, K, 30).astype(int)) - 1
    slope = np.polyfit(np.log(k + 1), np.log(curve[k]), 1)[0]
    print(f"lsvi_ucb_plus_plus (c=0.05, d3=0): slope {slope:.3f}, regret {curve[-1]:.0f}")
    assert slope < 0.6
