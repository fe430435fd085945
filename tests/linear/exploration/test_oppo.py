"""OPPO: its definition on whole runs, optimism, adversaries against the best fixed policy in hindsight."""

import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.mixture import mixture_tables
from eluder.envs import random_linear_mixture_mdp
from eluder.experiments import regret
from eluder.linear.exploration import oppo
from eluder.linear.exploration._oppo import improve, radius, step_size
from tests.linear.exploration import naive_exploration as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0, S=4, A=3, d=3, H=3):
    return random_linear_mixture_mdp(S, A, d, H, rng=rng(seed))


def hindsight(mdp, rewards, K):
    """What the best fixed policy collects in K episodes: values are linear in the rewards."""
    weights = np.bincount(np.arange(K) % len(rewards), minlength=len(rewards)) / K
    mean = np.einsum("n,nhsa->hsa", weights, rewards)
    tables = mixture_tables(mdp)._replace(r=mean)
    return K * (tables.mu @ optimal_value(tables)[0])


@pytest.mark.parametrize("seed", range(3))
def test_plays_the_policies_of_the_paper(seed):
    mdp, K = problem(seed), 60
    mdp = mdp._replace(mask=np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], bool))
    rewards = rng(seed).random((7, 3, 4, 3))
    tables = mixture_tables(mdp)
    result = oppo(mdp, K, c=0.1, lam=0.5, rewards=rewards, rng=rng(seed))
    policies, upper = naive.oppo(
        mdp, tables.P, rewards, K, step_size(3, 3, K), 0.1 * radius(3, 3, K, 0.05), 0.5, rng(seed)
    )
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9)
    np.testing.assert_allclose(result.pi, policies[-1], rtol=1e-9)
    value = [mdp.mu @ policy_value(tables._replace(r=rewards[k % 7]), pi)[0] for k, pi in enumerate(policies)]
    np.testing.assert_allclose(result.value, value, rtol=1e-9)
    assert result.N.sum() == 3 * K


def test_equations_by_hand():
    assert step_size(4, 3, 100) == pytest.approx(math.sqrt(2 * math.log(4) / (3 * 300)))
    assert radius(4, 3, 100, 0.1) == pytest.approx(math.sqrt(36 * math.log(4 * 300 / 0.1)))


@pytest.mark.parametrize(("A", "H", "K"), [(4, 50, 1000), (2, 3, 10), (20, 7, 10**6)])
def test_the_step_is_where_mirror_steps_lose_least(A, H, K):
    """``H ln A / alpha + alpha H^3 K / 2``, then ``sqrt(2 H^3 T ln A)``, the theorem's order."""

    def loss(alpha):
        return H * math.log(A) / alpha + alpha * H**3 * K / 2

    alpha = step_size(A, H, K)
    assert loss(alpha) == pytest.approx(math.sqrt(2 * H**3 * K * H * math.log(A)))
    assert loss(alpha) < min(loss(0.9 * alpha), loss(1.1 * alpha))


def test_improvement_is_the_mirror_step_and_never_loses_an_action():
    pi, Q = np.array([[[0.2, 0.0, 0.8]]]), np.array([[[1.0, 5.0, 2.0]]])
    improve(pi, Q, 0.5)
    expected = np.array([0.2 * math.exp(0.5), 0, 0.8 * math.exp(1.0)])
    np.testing.assert_allclose(pi[0, 0], expected / expected.sum())
    for _ in range(1000):
        improve(pi, Q, 3.0)
    assert (pi[0, 0, [0, 2]] > 0).all()
    assert pi.sum() == pytest.approx(1)


def test_estimates_are_optimistic_with_the_radius_of_the_theory():
    """The evaluation is an upper bound on the value of the very policy, under the episode's rewards."""
    for seed in range(10):
        result = oppo(problem(seed), 300, rewards=rng(seed).random((5, 3, 4, 3)), rng=rng(seed))
        assert (result.upper >= result.value - 1e-9).all()


def test_learns_under_fixed_rewards():
    mdp = problem(2, S=5, H=4)
    result = oppo(mdp, 20_000, c=0.05, rng=rng())
    best = mdp.mu @ optimal_value(mixture_tables(mdp))[0]
    assert result.value[-1] > 0.97 * best
    assert result.value[0] < 0.9 * best


def test_follows_no_single_episode_but_the_best_policy_in_hindsight():
    """Rewards alternate: each action is right every other time, one of them a little more."""
    mdp = problem(1, S=3, A=2, H=2)
    rewards = np.zeros((2, 2, 3, 2))
    rewards[0, ..., 0], rewards[1, ..., 1] = 1.0, 0.8
    K = 20_000
    result = oppo(mdp, K, c=0.05, rewards=rewards, rng=rng())
    loss = hindsight(mdp, rewards, K) - result.value.sum()
    assert -1 <= loss < 0.05 * K
    assert (result.pi[..., 0] > 0.5).all()


def test_refuses_rewards_of_other_problems():
    with pytest.raises(ValueError, match="rewards must have shape"):
        oppo(problem(), 5, rewards=np.zeros((2, 3, 4)), rng=rng())
    bad = np.zeros((1, 3, 4, 3))
    bad[0, 0, 1, 2] = 1.5
    with pytest.raises(ValueError, match=r"rewards\[0, 0, 1, 2\] is 1.5"):
        oppo(problem(), 5, rewards=bad, rng=rng())


@pytest.mark.slow
def test_regret_grows_no_faster_than_declared():
    """The step size depends on K: one run for each K."""
    mdp, budgets = problem(1, S=6, A=3, d=3, H=4), np.array([2_000, 8_000, 32_000, 128_000])
    finals = [
        np.mean([regret(oppo(mdp, int(K), c=0.02, rng=rng(i)), mdp)[-1] for i in range(3)]) for K in budgets
    ]
    slope = np.polyfit(np.log(budgets), np.log(finals), 1)[0]
    print(f"oppo (c=0.02): slope {slope:.3f}, regret {finals[-1]:.0f}")
    assert 0.35 < slope < 0.6
