"""HF-UCRL-RFE++: its definition on whole runs, the oracle against all policies, certificates, horizons."""

import itertools
import math
from functools import partial

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.mixture import largest_return, mixture_tables
from eluder.core.moments import moment_levels, moment_radius
from eluder.core.reward_free import planning_gaps
from eluder.core.simulator import simulator
from eluder.core.targeted_regression import new_targets
from eluder.envs import random_linear_mixture_mdp, wait_or_take_mixture_mdp
from eluder.linear.reward_free import _hf_ucrl_rfe_plus_plus as hf
from eluder.linear.reward_free import _joint_oracle as oracle
from eluder.linear.reward_free import hf_ucrl_rfe_plus_plus, ucrl_rfe
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
    models = np.vstack([mdp.theta, grid(4), [30.0, 30.0]])
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
    assert c == 1 or len(left) < len(models)
    for fit, fits in ((hat, series[0]), (tilde, series[1])):
        for m in range(M):
            np.testing.assert_allclose(fit.Lambda[m], fits[m].Lambda, rtol=1e-8)
            np.testing.assert_allclose(fit.theta[m], fits[m].theta, rtol=1e-6, atol=1e-10)
    result = hf_ucrl_rfe_plus_plus(mdp, K, rewards=rewards, models=models, lam=lam, c=c, rng=rng(seed))
    np.testing.assert_array_equal(result.uncertainty, found)
    np.testing.assert_array_equal(result.center, tilde.theta[0])
    norm = [(x - tilde.theta[0]) @ tilde.Lambda[0] @ (x - tilde.theta[0]) for x in left]
    np.testing.assert_array_equal(result.theta, left[int(np.argmin(norm))])


@pytest.mark.parametrize(("lam", "alpha"), [(0.01, 0.1), (50.0, 0.9)])
def test_weights_where_the_norm_or_alpha_decides(lam, alpha):
    """gamma = d^(-1/4), so gamma^2 |X| = |X| / sqrt(d)."""
    fit, X = new_targets(2, 2, lam), np.array([[0.6, 0.2], [0.4, 0.1]])
    s2, v = np.zeros(2), np.zeros(2)
    norms = np.linalg.norm(X, axis=1) / math.sqrt(lam)
    hf.regress_moments(fit, fit.inverse.copy(), fit.theta.copy(), X, 0.5, 0.0, alpha, s2, v)
    np.testing.assert_allclose(s2, np.maximum(norms / math.sqrt(2), [alpha**2, 1.0]))
    for m in range(2):
        np.testing.assert_allclose(fit.Lambda[m], lam * np.eye(2) + np.outer(X[m], X[m]) / s2[m])
        np.testing.assert_allclose(fit.b[m], X[m] * 0.5 ** (m + 1) / s2[m])


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


@pytest.mark.filterwarnings("ignore:the gap is trivial")
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


@pytest.mark.filterwarnings("ignore:the gap is trivial")
def test_plans_without_bonus_in_a_model_of_the_set():
    mdp = mixture(1)
    found = hf_ucrl_rfe_plus_plus(mdp, 50, models=grid(), rng=rng())
    assert any((found.theta == x).all() for x in grid())
    r = some_rewards(1, 3, 3, 2)[0]
    expected = naive.plan(mdp, r, found.theta, np.eye(2), 0.0, np.ones(3))
    np.testing.assert_allclose(found.plan(r).Q, expected[0], rtol=1e-12)


def test_certificate_is_upper_less_lower_value():
    """Both from the center, with the radius; the policy is that of the plan without bonus."""
    mdp = mixture(1)
    found, r = hf_ucrl_rfe_plus_plus(mdp, 400, c=0.003, rng=rng()), some_rewards(1, 3, 3, 2)[0]
    plan, inverse = found.plan(r), np.linalg.inv(found.Lambda)
    _, upper, _ = naive.plan(mdp, r, found.center, inverse, found.beta, np.ones(3))
    low = np.zeros((4, 3))
    for h, s in itertools.product((2, 1, 0), range(3)):
        a = plan.pi[h, s]
        x = mdp.phi[:, s, a] @ low[h + 1]
        low[h, s] = np.clip(r[h, s, a] + x @ found.center - found.beta * np.sqrt(x @ inverse @ x), 0, 1)
    assert 0 < plan.gap < 0.9
    assert plan.gap == pytest.approx((upper[0] - low[0]).max())


def test_few_episodes_are_enough_in_practice():
    mdp = mixture(1, S=4, A=3)
    rewards = some_rewards(50, 3, 4, 3)
    few, many = (hf_ucrl_rfe_plus_plus(mdp, K, c=0.002, rng=rng()) for K in (1, 1000))
    gaps = [planning_gaps(mixture_tables(mdp), found, rewards) for found in (few, many)]
    assert gaps[1].max() < 0.02
    assert gaps[1].mean() < 0.5 * gaps[0].mean()


def normalised(mdp, n, seed):
    """Rewards that add up to 1 on the best trajectory, the same at every stage."""
    g, found = rng(seed), []
    for _ in range(n):
        r = g.random(mdp.mask.shape) ** 3
        r /= largest_return(mdp._replace(r=r))
        found.append(np.broadcast_to(r, (mdp.H, *r.shape)).copy())
    return np.array(found)


@pytest.mark.slow
def test_the_loss_falls_as_declared():
    K = 2 ** np.arange(4, 11)
    problems = [random_linear_mixture_mdp(4, 3, 2, 4, concentration=0.2, rng=rng(i)) for i in range(4)]
    worst = [
        np.mean(
            [
                planning_gaps(
                    mixture_tables(mdp), hf_ucrl_rfe_plus_plus(mdp, int(n), c=0.001, rng=rng(j)), rewards
                ).max()
                for mdp in problems
                for rewards in (normalised(mdp, 50, 1),)
                for j in range(2)
            ]
        )
        for n in K
    ]
    slope = np.polyfit(np.log(K), np.log(worst), 1)[0]
    print(f"hf_ucrl_rfe_plus_plus (c=0.001): slope {slope:.3f}, worst loss {worst[0]:.4f} to {worst[-1]:.4f}")
    assert slope < -0.45


def episodes_needed(measure, eps, K):
    """Return the first of the numbers K from which on the measure stays below eps; the last of K if none."""
    ok = np.array([measure(int(n)) for n in K]) <= eps
    late = np.flatnonzero(~ok)
    return K[min(late[-1] + 1, len(K) - 1)] if late.size else K[0]


def waits(H):
    """The problem, and rewards by which to wait is a little worse, or better, than to take."""
    mdp = wait_or_take_mixture_mdp(H)
    return mdp, np.array([wait_or_take_mixture_mdp(H, take=x).r for x in (0.3, 0.7)])


def worst_loss(learner, H, n, seeds=1, told=False):
    """Mean over runs of the exact loss of the worst reward, with the constants of the theorems (c = 1)."""
    (mdp, R), losses = waits(H), []
    for i in range(seeds):
        found = learner(mdp, n, **({"rewards": R} if told else {}), rng=rng(i))
        losses.append(planning_gaps(mixture_tables(mdp), found, R).max())
    return np.mean(losses)


def worst_certificate(learner, H, n, c, told=False):
    mdp, R = waits(H)
    found = learner(mdp, n, c=c, **({"rewards": R} if told else {}), rng=rng())
    return max(found.plan(r).gap for r in R)


@pytest.mark.slow
def test_the_horizon_does_not_enter_the_loss():
    """Episodes to an exact loss of 0.1 for rewards of total 1, with the constants of the theorems."""
    horizons, K = (4, 8, 16, 32), 2 ** np.arange(4, 19)
    free, plain = [], []
    for H in horizons:
        few = partial(worst_loss, hf_ucrl_rfe_plus_plus, H, seeds=10, told=True)
        free.append(int(episodes_needed(few, 0.1, K[:8])))
        plain.append(int(episodes_needed(partial(worst_loss, ucrl_rfe, H), 0.1, K[8:])))
    print(f"H {horizons}, loss 0.1: HF-UCRL-RFE++ {free} episodes, UCRL-RFE {plain}")
    assert max(free) <= 4 * min(free)
    assert plain[-1] >= 4 * plain[0]
    assert plain[0] > 16 * max(free)


@pytest.mark.filterwarnings("ignore:the gap is trivial")
@pytest.mark.slow
def test_the_horizon_does_not_enter_the_certificate():
    """Episodes to a certificate of 0.15, with radii that are smaller by a factor that is no horizon's."""
    horizons, K = (4, 8, 16, 32), np.unique((2 ** np.arange(6, 13, 0.5)).astype(int))
    free, plain = [], []
    for H in horizons:
        few = partial(worst_certificate, hf_ucrl_rfe_plus_plus, H, c=0.001, told=True)
        free.append(int(episodes_needed(few, 0.15, K[:9])))
        plain.append(int(episodes_needed(partial(worst_certificate, ucrl_rfe, H, c=0.1), 0.15, K)))
    print(f"H {horizons}, certificate 0.15: HF-UCRL-RFE++ {free} episodes, UCRL-RFE {plain}")
    assert max(free) < 2 * min(free)
    assert plain[-1] >= 3 * plain[0]
