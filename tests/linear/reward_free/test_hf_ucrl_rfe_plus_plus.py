"""HF-UCRL-RFE++: its definition on whole runs, the oracle against all policies, certificates, horizons."""

import itertools
import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.mixture import mixture_tables, moment_levels, moment_radius, new_targets
from eluder.core.reward_free import planning_gaps
from eluder.core.simulator import simulator
from eluder.envs import random_linear_mixture_mdp
from eluder.linear.reward_free import _hf_ucrl_rfe_plus_plus as hf
from eluder.linear.reward_free import _joint_oracle as oracle
from eluder.linear.reward_free import hf_ucrl_rfe_plus_plus
from tests.linear.reward_free import naive_reward_free as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def mixture(seed=0, S=3, A=2, d=2, H=3):
    mdp = random_linear_mixture_mdp(S, A, d, H, concentration=0.2, rng=rng(seed))
    return mdp._replace(mask=np.arange(S * A).reshape(S, A) % 5 != 3)


def some_rewards(n, H, S, A, seed=1):
    g = rng(seed)
    return g.random((n, H, S, A)) / H


def grid(n=9):
    """Mixtures of two base kernels, scaled by sqrt(2)."""
    w = np.linspace(0, 1, n)
    return np.column_stack([w, 1 - w]) * np.sqrt(2)


@pytest.mark.parametrize(("seed", "lam", "c"), [(0, 0.5, 0.005), (1, 20.0, 0.02), (2, 1.0, 1.0)])
def test_explores_as_in_the_paper(seed, lam, c):
    mdp, K = mixture(seed)._replace(mu=np.ones(3) / 3), 12
    tables, M, rewards = mixture_tables(mdp), moment_levels(12, 3), some_rewards(3, 3, 3, 2)
    models = np.vstack([mdp.theta, grid(4)])
    prior = max(1 - c, 0) * math.sqrt(lam) * mdp.B
    policies, uncertainty, series, left = naive.hf_ucrl_rfe_plus_plus(
        mdp,
        tables.P,
        K,
        rewards,
        models,
        lambda k: c * moment_radius(2, 3, k, lam, mdp.B, 0.05),
        prior,
        M,
        lam,
        rng(seed),
    )
    hat, tilde, kept = new_targets(M, 2, lam), new_targets(M, 2, lam), np.ones(len(models), np.bool_)
    pi, N, found = np.zeros((3, 3), np.int64), np.zeros((3, 3, 2), np.int64), np.empty(K)
    known = (lam, mdp.B, 0.05, c)
    phi, sim = mdp.phi[None], simulator(tables)
    done = hf._hf_ucrl_rfe_plus_plus(
        found, pi, N, hat, tilde, models, kept, True, phi, sim, rewards, known, rng(seed)
    )
    assert done == K
    np.testing.assert_allclose(found, uncertainty, rtol=1e-8)
    np.testing.assert_array_equal(pi, policies[-1])
    assert kept.sum() == len(left)
    for fit, fits in ((hat, series[0]), (tilde, series[1])):
        for m in range(M):
            np.testing.assert_allclose(fit.Lambda[m], fits[m].Lambda, rtol=1e-8)
            np.testing.assert_allclose(fit.theta[m], fits[m].theta, rtol=1e-6, atol=1e-10)
    result = hf_ucrl_rfe_plus_plus(mdp, K, rewards=rewards, models=models, lam=lam, c=c, rng=rng(seed))
    np.testing.assert_array_equal(result.uncertainty, found)
    np.testing.assert_array_equal(result.center, tilde.theta[0])
    norm = [(x - tilde.theta[0]) @ tilde.Lambda[0] @ (x - tilde.theta[0]) for x in left]
    np.testing.assert_array_equal(result.theta, left[int(np.argmin(norm))])


def random_state(seed, S=2, A=2, d=2, H=3):
    g = rng(seed)
    mdp = random_linear_mixture_mdp(S, A, d, H, concentration=0.5, rng=g)
    roots = g.standard_normal((2, d, d))
    inverses = [root @ root.T / 4 + 0.02 * np.eye(d) for root in roots]
    return mdp, inverses, g


def search(mdp, inverses, rewards, models, beta):
    H, S = mdp.H, len(mdp.mu)
    hat, tilde, pi = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
    kept = np.ones(len(models), bool)
    best = oracle.joint_oracle(
        hat, tilde, pi, mdp.phi[None], rewards, models, kept, mdp.mask, mdp.mu, beta, *inverses
    )
    return best, hat, tilde, pi


@pytest.mark.parametrize("seed", range(6))
def test_oracle_is_near_the_best_of_all_policies(seed):
    """Never above the maximum over all policies, and above 9 / 10 of it; values are those of its policy."""
    mdp, inverses, g = random_state(seed)
    rewards, models, beta = g.random((2, 3, 2, 2)) / 3, np.vstack([mdp.theta, grid(2)]), 0.25
    best, hat, tilde, pi = search(mdp, inverses, rewards, models, beta)
    assert best == pytest.approx(mdp.mu @ hat[0])
    assert any(
        np.allclose(naive.policy_uncertainty(mdp, pi, theta, r, beta, *inverses), (hat, tilde), atol=1e-9)
        for theta in models
        for r in rewards
    )
    top = max(
        mdp.mu @ naive.policy_uncertainty(mdp, np.reshape(p, (3, 2)), theta, r, beta, *inverses)[0][0]
        for p in itertools.product((0, 1), repeat=6)
        for theta in models
        for r in rewards
    )
    assert 0.9 * top <= best <= top + 1e-9


def test_models_left_out_are_not_used():
    mdp, inverses, g = random_state(0)
    rewards, models = g.random((1, 3, 2, 2)) / 3, np.vstack([mdp.theta, [5.0, 5.0]])
    alone, *_ = search(mdp, inverses, rewards, models[:1], 0.01)
    both, *_ = search(mdp, inverses, rewards, models, 0.01)
    assert both > alone
    hat, pi = np.zeros((4, 2)), np.zeros((3, 2), np.int64)
    kept = np.array([True, False])
    one = oracle.joint_oracle(
        hat, hat.copy(), pi, mdp.phi[None], rewards, models, kept, mdp.mask, mdp.mu, 0.01, *inverses
    )
    assert one == alone


def test_goals_are_all_states_at_all_later_stages():
    goals = oracle.goal_rewards(3, 2, 2)
    assert goals.shape == (4, 3, 2, 2)
    assert (goals[:, 0] == 0).all()
    assert (goals.sum(axis=(1, 2, 3)) == 2).all()
    np.testing.assert_array_equal(goals.sum(axis=0)[1:], np.ones((2, 2, 2)))
    assert oracle.goal_rewards(1, 2, 2).shape == (2, 1, 2, 2)


def test_points_of_the_ellipsoid():
    """The center and the ends of 2 d axes, at the distance beta; kept are those in all ellipsoids."""
    g, d, beta = rng(), 3, 0.5
    hat, tilde = new_targets(2, d, 1.0), new_targets(2, d, 1.0)
    for m in range(2):
        root = g.standard_normal((d, d))
        tilde.Lambda[m] = root @ root.T + np.eye(d)
        tilde.inverse[m] = np.linalg.inv(tilde.Lambda[m])
    tilde.theta[0] = tilde.theta[1] = hat.theta[1] = hat.theta[0] = g.random(d)
    hat.theta[1, 0] += 0.45
    models, kept = np.zeros((7, d)), np.zeros(7, np.bool_)
    oracle.local_models(models, kept, hat, tilde, beta, 0.0)
    np.testing.assert_array_equal(models[0], tilde.theta[0])
    away = models - tilde.theta[0]
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", away, tilde.Lambda[0], away)[1:], beta**2)
    np.testing.assert_allclose(away[1::2], -away[2::2])
    for i, x in enumerate(models):
        far = [
            np.sqrt((x - f.theta[m]) @ f.Lambda[m] @ (x - f.theta[m])) for f in (hat, tilde) for m in range(2)
        ]
        assert oracle.violation(x, hat, tilde) == pytest.approx(max(far))
        assert kept[i] == (max(far) <= beta) or abs(max(far) - beta) < 1e-9
    assert kept[0]
    assert not kept.all()
    hat.theta[1, 0] += 10
    oracle.local_models(models, kept, hat, tilde, beta, 0.0)
    assert kept.sum() == 1, "the nearest, where none is inside"


@pytest.mark.parametrize("models", [None, grid()])
def test_certificates_hold_for_rewards_of_the_set(models):
    """Also, at c = 1, the true mixture is in every ellipsoid: it is never left out."""
    for seed in range(3):
        mdp = mixture(seed)
        rewards = some_rewards(5, 3, 3, 2)
        if models is not None:
            models = np.vstack([grid(), mdp.theta])
        found = hf_ucrl_rfe_plus_plus(mdp, 60, rewards=rewards, models=models, rng=rng(seed))
        error = found.center - mdp.theta
        assert math.sqrt(error @ found.Lambda @ error) <= found.beta
        for r in rewards:
            plan, problem = found.plan(r), mixture_tables(mdp)._replace(r=r)
            best = optimal_value(problem)[0]
            assert (best - policy_value(problem, plan.pi)[0]).max() <= plan.gap + 1e-9
            assert np.abs(best - plan.V[0]).max() <= plan.gap + 1e-9


def test_plans_without_bonus_in_a_model_of_the_set():
    mdp = mixture(1)
    found = hf_ucrl_rfe_plus_plus(mdp, 50, models=grid(), rng=rng())
    assert any((found.theta == x).all() for x in grid())
    r = some_rewards(1, 3, 3, 2)[0]
    expected = naive.plan(mdp, r, found.theta, np.eye(2), 0.0, np.ones(3))
    np.testing.assert_allclose(found.plan(r).Q, expected[0], rtol=1e-12)


def test_few_episodes_are_enough_in_practice():
    mdp = mixture(1, S=4, A=3)
    rewards = some_rewards(50, 3, 4, 3)
    few, many = (hf_ucrl_rfe_plus_plus(mdp, K, c=0.002, rng=rng()) for K in (1, 1000))
    gaps = [planning_gaps(mixture_tables(mdp), found, rewards) for found in (few, many)]
    assert gaps[1].max() < 0.02
    assert gaps[1].mean() < 0.5 * gaps[0].mean()
