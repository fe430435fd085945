"""LSVI-UCB: its definition on whole runs, optimism, widths, switches; one-hot features against tables."""

import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import LinearMDP, episodic, refuse_not_linear
from eluder.envs import misspecified_linear_mdp, one_hot_linear_mdp, random_linear_mdp, river_swim
from eluder.experiments import regret
from eluder.linear.exploration import lsvi_ucb
from eluder.linear.exploration._lsvi_ucb import drift_scale, radius, switches
from tests.instances import random_episodic
from tests.linear.exploration import naive_exploration as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0, S=5, A=3, d=3, H=3):
    return random_linear_mdp(S, A, d, H, rng=rng(seed))


# --- definition ---


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_plays_the_policies_of_the_paper(seed, rare):
    mdp, K, c = problem(seed), 80, 0.02
    tables = episodic(mdp)
    result = lsvi_ucb(mdp, K, c=c, lam=0.5, rare=rare, rng=rng(seed))
    beta = c * radius(3, 3, K, 0.05)
    policies, upper = naive.lsvi_ucb(mdp, tables.P, tables.r, K, beta, 0.5, rare, rng(seed))
    value = [tables.mu @ policy_value(tables, pi)[0] for pi in policies]
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9)
    np.testing.assert_allclose(result.value, value, rtol=1e-9)
    np.testing.assert_array_equal(result.pi, policies[-1])


def test_plays_the_policies_of_the_paper_on_problems_that_are_not_linear():
    """The radius of episode k = 1, 2, ... is ``c H (d sqrt(L) + zeta sqrt(k d))``."""
    mdp, K, c = misspecified_linear_mdp(5, 3, 3, 3, 0.2, rng=rng(4)), 80, 0.02
    result = lsvi_ucb(mdp, K, c=c, zeta=0.2, rng=rng(4))
    radii = c * (radius(3, 3, K, 0.05) + 3 * 0.2 * np.sqrt(3 * np.arange(1, K + 1)))
    policies, upper = naive.lsvi_ucb(mdp, mdp.P, mdp.r, K, radii, 1.0, False, rng(4))
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9)
    np.testing.assert_array_equal(result.pi, policies[-1])


def test_equations_by_hand():
    assert drift_scale(4, 3, 0.1) == pytest.approx(0.6)
    assert radius(3, 4, 100, 0.1) == pytest.approx(12 * math.sqrt(math.log(2 * 3 * 100 * 4 / 0.1)))
    assert switches(3, 4, 100, 2.0) == pytest.approx(12 * math.log2(1 + 100 / 6))


# --- theorems ---


def test_estimates_are_optimistic_with_the_radius_of_the_theory():
    for seed in range(20):
        mdp = problem(seed)
        best = mdp.mu @ optimal_value(episodic(mdp))[0]
        assert (lsvi_ucb(mdp, 200, rng=rng(seed)).upper >= best - 1e-9).all()


def test_rare_switching_switches_rarely_and_loses_little():
    mdp, K = problem(), 5000
    often, rare = (lsvi_ucb(mdp, K, c=0.01, rare=x, rng=rng()) for x in (False, True))
    changes = np.count_nonzero(np.diff(rare.upper))
    assert changes <= switches(3, 3, K, 1.0)
    assert changes < np.count_nonzero(np.diff(often.upper)) / 20
    loss = [regret(x, episodic(mdp))[-1] for x in (often, rare)]
    assert loss[1] < 3 * loss[0] + 10


def test_learns_with_one_hot_features():
    """With features for every pair the widths are 1 / sqrt(lam + n), as in tabular value iteration."""
    tables = river_swim(4, H=6)
    mdp = one_hot_linear_mdp(tables)
    np.testing.assert_allclose(episodic(mdp).P, np.broadcast_to(tables.P, (6, 4, 2, 4)))
    result = lsvi_ucb(mdp, 20_000, c=0.002, rng=rng())
    best = tables.mu @ optimal_value(tables)[0]
    assert result.value[-1] > 0.95 * best
    assert result.N.sum() == 6 * 20_000


def test_one_hot_features_make_it_tabular_value_iteration_with_counts():
    """The same episodes as counts give: means shrunk by n / (n + lam), widths 1 / sqrt(n + lam)."""
    tables, K, lam, g = random_episodic(S=3, A=2, H=3, seed=2, stages=True), 200, 0.5, rng(9)
    mdp = one_hot_linear_mdp(tables)
    result = lsvi_ucb(mdp, K, c=0.005, lam=lam, rng=rng(9))
    beta = 0.005 * radius(6, 3, K, 0.05)
    n, total, after, upper = np.zeros((3, 3, 2)), np.zeros((3, 3, 2)), np.zeros((3, 3, 2, 3)), []
    for _ in range(K):
        V, pi = np.zeros(3), np.zeros((3, 3), int)
        for h in reversed(range(3)):
            Q = (total[h] + after[h] @ V) / (n[h] + lam) + beta / np.sqrt(n[h] + lam)
            Q = np.minimum(Q, 3 - h)
            V, pi[h] = Q.max(axis=1), np.round(Q, 12).argmax(axis=1)
        upper.append(tables.mu @ V)
        s = naive.draw(tables.mu, g)
        for h in range(3):
            a = pi[h, s]
            t = naive.draw(tables.P[h, s, a], g)
            n[h, s, a] += 1
            total[h, s, a] += np.broadcast_to(tables.r, (3, 3, 2))[h, s, a]
            after[h, s, a, t] += 1
            s = t
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9)
    np.testing.assert_array_equal(result.N, n)


def test_masked_actions_are_not_played():
    mask = np.ones((5, 3), bool)
    mask[:, 1] = False
    result = lsvi_ucb(problem()._replace(mask=mask), 200, c=0.05, rng=rng())
    assert (result.N[:, :, 1] == 0).all()
    assert np.isneginf(result.Q[:, :, 1]).all()


# --- problems ---


def test_random_linear_mdp_is_linear():
    mdp = problem(S=7, A=2, d=4, H=3)
    tables = episodic(mdp)
    np.testing.assert_allclose(np.einsum("sad,hdt->hsat", mdp.phi, mdp.psi), tables.P, atol=1e-12)
    assert np.linalg.matrix_rank(tables.P[0].reshape(-1, 7)) == 4
    assert (np.linalg.norm(mdp.phi, axis=2) <= 1 + 1e-12).all()


def test_refuses_wrong_problems():
    good = problem()
    with pytest.raises(ValueError, match=r"phi psi\[0, 0, 0\] sums to 2, not 1"):
        LinearMDP(np.ones((1, 1, 2)), np.ones((1, 2, 1)), np.zeros((1, 2)), [1.0])
    with pytest.raises(ValueError, match=r"phi psi\[0, 0, 0, 1\] is -0.5, it must not be negative"):
        LinearMDP(np.ones((2, 1, 1)), [[[1.5, -0.5]]], [[0.0]], [1.0, 0.0])
    with pytest.raises(ValueError, match=r"phi theta\[0, 0, 0\] is 1.5, it must be in \[0, 1\]"):
        LinearMDP(np.ones((1, 1, 1)), [[[1.0]]], [[1.5]], [1.0])
    with pytest.raises(ValueError, match="psi must have shape"):
        good._replace(psi=np.ones((3, 2, 5)))
    with pytest.raises(ValueError, match="mdp must be a LinearMDP, got EpisodicMDP"):
        lsvi_ucb(episodic(good), 10, rng=rng())
    with pytest.raises(ValueError, match="mdp must be a LinearMDP, got int"):
        refuse_not_linear(3)
    with pytest.raises(ValueError, match="mdp must be an EpisodicMDP, got LinearMDP"):
        one_hot_linear_mdp(good)


@pytest.mark.slow
def test_regret_grows_no_faster_than_declared():
    mdp, K = problem(1, S=10, A=4, d=4, H=4), 200_000
    curves = [regret(lsvi_ucb(mdp, K, c=0.05, rng=rng(i)), episodic(mdp)) for i in range(5)]
    k = np.unique(np.geomspace(K / 10, K, 30).astype(int)) - 1
    slope = np.polyfit(np.log(k + 1), np.log(np.mean(curves, axis=0)[k]), 1)[0]
    print(f"lsvi_ucb (c=0.05): slope {slope:.3f}, regret {np.mean(curves, axis=0)[-1]:.0f}")
    assert slope < 0.6
