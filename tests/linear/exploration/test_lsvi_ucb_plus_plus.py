"""LSVI-UCB++: its definition on whole runs, the order of its estimates, variances, switches, learning."""

import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import episodic
from eluder.core.linear_simulator import linear_simulator
from eluder.core.value_regression import add_weighted_round, new_regression
from eluder.envs import random_linear_mdp
from eluder.experiments import regret
from eluder.linear.exploration import lsvi_ucb_plus_plus
from eluder.linear.exploration._lsvi_ucb_plus_plus import (
    _plan,
    coarse_radius,
    radius,
    switches,
    variance_bound,
)
from tests.linear.exploration import naive_exploration as naive


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("seed", "d3"), [(0, 0.01), (1, 0.01), (2, 0.06), (3, 0.06)])
def test_plays_the_policies_of_the_paper(seed, d3):
    mdp, K, c = random_linear_mdp(5, 3, 3, 3, rng=rng(seed)), 150, 0.005
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


@pytest.mark.parametrize(("c", "d3"), [(0.3, 0.05), (1e-3, 0.02), (1e-3, 1.0), (1e-4, 27.0), (0.02, 3.0)])
def test_variance_bound_is_the_equation(c, d3):
    """On data and values that are not those of a run; each of the terms decides in one of the cases."""
    g, H, d = rng(7), 4, 3
    mdp = random_linear_mdp(6, 2, d, H, rng=g)
    fit, u, y, w = new_regression(mdp.phi, H, 0.1), np.zeros(d), np.zeros(d), np.zeros(d)
    rounds = []
    for _ in range(40):
        s, a, t, s2 = int(g.integers(6)), int(g.integers(2)), int(g.integers(6)), g.uniform(1, 20)
        add_weighted_round(fit, 1, s, a, 0.0, t, 1 / s2, u)
        rounds.append((mdp.phi[s, a], t, s2))
    V = 4 * g.random((H + 1, 6))
    low = V - 0.3 * g.random((H + 1, 6))
    Sigma = 0.1 * np.eye(d) + sum(np.outer(f, f) / s2 for f, _, s2 in rounds)
    beta_bar = 10 * c
    for s in range(6):
        f = mdp.phi[s, 1]
        mean, lower, square = (
            f @ np.linalg.solve(Sigma, sum(x * v[t] / s2 for x, t, s2 in rounds))
            for v in (V[2], low[2], V[2] ** 2)
        )
        norm = math.sqrt(f @ np.linalg.solve(Sigma, f))
        E = min(H * beta_bar * norm, H**2) + min(2 * H * beta_bar * norm, H**2)
        D = min(4 * d3 * H**2 * (mean - lower + 2 * beta_bar * norm), d3 * H**3)
        variance = np.clip(square, 0, H**2) - np.clip(mean, 0, H) ** 2
        expected = max(variance + E + D + H, H, (2 * d3 * H**2) ** 2 * norm)
        assert variance_bound(fit, V, low, 1, s, 1, beta_bar, d3, y, w) == pytest.approx(expected, rel=1e-9)


def test_plan_is_the_equations():
    """Both estimates on data and values that are not those of a run; each stays monotone."""
    g, H, S, A, d = rng(3), 3, 5, 2, 3
    mdp = random_linear_mdp(S, A, d, H, rng=g)
    sim, fit, u = linear_simulator(mdp), new_regression(mdp.phi, H, 0.1), np.zeros(d)
    for _ in range(60):
        h, s, a, t = (int(g.integers(n)) for n in (H, S, A, S))
        add_weighted_round(fit, h, s, a, 0.0, t, g.uniform(0.1, 1), u)
    Q, low = 4 * g.random((H, S, A)), 0.3 * g.random((H, S, A))
    old_Q, old_low = Q.copy(), low.copy()
    V, V_low, pi = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
    _plan(Q, low, V, V_low, pi, fit, sim, 0.2, 0.3, np.zeros(d), np.zeros(d), np.zeros(d))
    width = np.sqrt(fit.width2)
    for h in reversed(range(H)):
        w, w_low = (fit.inverse[h] @ fit.M[h] @ x[h + 1] for x in (V, V_low))
        expected = np.minimum(old_Q[h], sim.r[h] + mdp.phi @ w + 0.2 * width[h])
        lower = np.maximum(old_low[h], sim.r[h] + mdp.phi @ w_low - 0.3 * width[h])
        np.testing.assert_allclose(Q[h], expected, rtol=1e-12)
        np.testing.assert_allclose(low[h], lower, rtol=1e-12)
        np.testing.assert_allclose(V[h], expected.max(axis=1), rtol=1e-12)
        np.testing.assert_allclose(V_low[h], lower.max(axis=1), rtol=1e-12)
        np.testing.assert_array_equal(pi[h], expected.argmax(axis=1))
    assert (low > old_low).any()
    assert (old_Q > Q).any()


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


def test_lower_values_never_fall():
    """A plan whose widths are larger keeps the lower values of the one before, as it does the upper ones."""
    mdp, shape = random_linear_mdp(5, 3, 3, 3, rng=rng()), (3, 5, 3)
    Q, low, V, V_low = np.full(shape, 1.1), np.full(shape, 0.7), np.zeros((4, 5)), np.zeros((4, 5))
    room = (np.zeros(3), np.zeros(3), np.zeros(3))
    fit, sim, pi = new_regression(mdp.phi, 3, 1.0), linear_simulator(mdp), np.zeros((3, 5), np.int64)
    _plan(Q, low, V, V_low, pi, fit, sim, 50.0, 50.0, *room)
    assert (low == 0.7).all()
    assert (Q == 1.1).all()
    assert (V_low[:3] == 0.7).all()
