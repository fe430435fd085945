"""Tests of epsilon_greedy, explore_then_commit and successive_elimination."""

import math

import numpy as np
import pytest

from eluder.core.bandits import Bandit
from eluder.core.guarantees import guarantee
from eluder.envs import bernoulli_bandit, gaussian_bandit
from eluder.tabular.bandits import epsilon_greedy, explore_then_commit, successive_elimination
from eluder.tabular.bandits._epsilon_greedy import exploration
from eluder.tabular.bandits._explore_then_commit import bound as commit_bound
from eluder.tabular.bandits._explore_then_commit import optimal_m
from eluder.tabular.bandits._successive_elimination import bound as elimination_bound
from eluder.tabular.bandits._successive_elimination import radius
from tests.tabular.bandits import naive_stochastic as naive

MEANS = np.array([0.3, 0.45, 0.6, 0.5])


def rng(seed=0):
    return np.random.default_rng(seed)


def same(result, arms, means):
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=len(means)))
    regret = np.cumsum(means.max() - means[arms])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, regret, atol=1e-10)


# --- constants ---


def test_constants_by_hand():
    assert exploration(0, 5.0) == 1.0
    assert exploration(9, 5.0) == 0.5
    # 4 / 0.25 ln(1000 * 0.25 / 4) = 16 * 4.135...
    assert optimal_m(0.5, 1000) == 67
    assert optimal_m(0.01, 100) == 1
    gaps = np.array([0.0, 0.5])
    assert commit_bound(gaps, 1000, 16) == pytest.approx(8 + 968 * 0.5 * math.exp(-1), rel=1e-12)
    assert commit_bound(gaps, 20, 16) == 8.0
    assert radius(3.0, 4, 0.1, 2.0) == pytest.approx(2 * math.sqrt(math.log(1800) / 3), rel=1e-14)


def test_elimination_bound_is_the_first_n_that_is_enough():
    gaps = np.array([0.0, 0.5, 0.2])
    total = 0.0
    for gap in gaps[1:]:
        n = 1
        while 4 * radius(float(n), 3, 0.05, 1.0) > gap:
            n += 1
        total += gap * n
    assert elimination_bound(gaps, 10**6, 0.05) == pytest.approx(total, rel=1e-12)
    assert elimination_bound(gaps, 100, 0.05) == pytest.approx(70)


# --- definition ---


@pytest.mark.parametrize("seed", range(3))
def test_epsilon_greedy_plays_the_arms_of_the_paper(seed):
    bandit, T = bernoulli_bandit(MEANS), 500
    same(
        epsilon_greedy(bandit, T, epsilon=0.2, rng=rng(seed)),
        naive.epsilon_greedy(MEANS, T, rng(seed), lambda t: 0.2),
        MEANS,
    )
    arms = naive.epsilon_greedy(MEANS, T, rng(seed), lambda t: min(1, 0.5 * 4 / (0.3**2 * t)))
    same(epsilon_greedy(bandit, T, gap=0.3, rate=0.5, rng=rng(seed)), arms, MEANS)


@pytest.mark.parametrize("seed", range(3))
def test_successive_elimination_plays_the_arms_of_the_paper(seed):
    means, T = np.array([0.1, 0.95, 0.5, 0.0]), 3000
    arms = naive.successive_elimination(means, T, rng(seed), 0.05)
    assert (arms[-100:] == 1).all()
    same(successive_elimination(bernoulli_bandit(means), T, rng=rng(seed)), arms, means)


def test_commit_takes_the_best_of_the_first_rewards():
    result = explore_then_commit(Bandit([0.2, 0.7, 0.5], law="fixed"), 100, m=5, rng=rng())
    assert result.pulls.tolist() == [5, 90, 5]
    assert explore_then_commit(bernoulli_bandit(MEANS), 7, m=5, rng=rng()).pulls.tolist() == [2, 2, 2, 1]
    with pytest.raises(ValueError, match="m must be an integer"):
        explore_then_commit(bernoulli_bandit(MEANS), 7, m=1.5, rng=rng())


def test_extremes():
    flat = Bandit([0.2, 0.8, 0.5], law="fixed")
    assert epsilon_greedy(flat, 100, epsilon=0.0, rng=rng()).pulls.tolist() == [1, 98, 1]
    even = epsilon_greedy(flat, 30_000, epsilon=1.0, rng=rng()).pulls
    assert (np.abs(even - 10_000) < 400).all()
    assert successive_elimination(flat, 100, c=0.0, rng=rng()).pulls.tolist() == [1, 98, 1]
    tied = successive_elimination(Bandit([0.5, 0.5], law="fixed"), 100, c=0.0, rng=rng())
    assert tied.pulls.tolist() == [50, 50]


# --- theorems ---


def test_regret_is_below_the_bounds():
    bandit, gaps, T = bernoulli_bandit(MEANS), MEANS.max() - MEANS, 20_000
    for m in (5, 100, 1000):
        mean = np.mean([explore_then_commit(bandit, T, m=m, rng=rng(i)).regret[-1] for i in range(40)])
        assert mean <= commit_bound(gaps, T, m)
    runs = [successive_elimination(bandit, T, rng=rng(i)) for i in range(40)]
    for k in (-1, -40):
        t = int(runs[0].checkpoints[k])
        assert np.mean([r.regret[k] <= elimination_bound(gaps, t, 0.05) for r in runs]) >= 0.95
    for r in runs:
        assert r.pulls.argmax() == 2


def test_optimal_m_is_near_the_best_m():
    """With two Gaussian arms the bound at `optimal_m` is within a few percent of the smallest bound."""
    gap, T = 0.4, 5000
    gaps = np.array([0.0, gap])
    best = min(commit_bound(gaps, T, m) for m in range(1, 500))
    assert commit_bound(gaps, T, optimal_m(gap, T)) <= 1.05 * best
    bandit = gaussian_bandit([0.0, gap])
    mean = np.mean(
        [explore_then_commit(bandit, T, m=optimal_m(gap, T), rng=rng(i)).regret[-1] for i in range(40)]
    )
    assert mean <= gap + 4 / gap * (1 + math.log(T * gap**2 / 4))


def test_a_gap_whose_square_underflows_explores_for_ever():
    result = epsilon_greedy(Bandit([0.2, 0.8], law="fixed"), 2000, gap=1e-200, rng=rng())
    assert result.pulls.min() > 800


def test_guarantee_follows_the_gap():
    assert guarantee(epsilon_greedy).exponent == 1.0
    assert guarantee(epsilon_greedy, gap=0.1).exponent == 0.0
    assert guarantee(successive_elimination, c=0.5) is None


# --- rates ---


@pytest.mark.slow
def test_regret_of_elimination_is_logarithmic_in_the_horizon():
    """With delta = 1 / T for each T; with a fixed delta its regret stops growing."""
    assert guarantee(successive_elimination).exponent == 0.0
    horizons, regrets = [10**6, 10**7], []
    for T in horizons:
        runs = [
            successive_elimination(bernoulli_bandit(MEANS), T, delta=1 / T, rng=rng(i)).regret[-1]
            for i in range(20)
        ]
        regrets.append(np.mean(runs))
    slope = math.log(regrets[1] / regrets[0]) / math.log(10)
    print(f"successive_elimination: slope {slope:.3f}, {regrets}")
    assert 0.0 < slope < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "options"), [(epsilon_greedy, {"gap": 0.1})])
def test_regret_is_logarithmic(algorithm, options):
    assert guarantee(algorithm, **options).exponent == 0.0
    t, runs = None, []
    for i in range(20):
        result = algorithm(bernoulli_bandit(MEANS), 1_000_000, **options, rng=rng(i))
        t, runs = result.checkpoints, [*runs, result.regret]
    tail = t >= 100_000
    slope = np.polyfit(np.log(t[tail]), np.log(np.mean(runs, axis=0)[tail]), 1)[0]
    print(f"{algorithm.__name__}: slope {slope:.3f}")
    assert slope < 0.2


@pytest.mark.slow
def test_constant_epsilon_is_linear():
    bandit = bernoulli_bandit(MEANS)
    runs = [epsilon_greedy(bandit, 1_000_000, rng=rng(i)) for i in range(10)]
    t, mean = runs[0].checkpoints, np.mean([r.regret for r in runs], axis=0)
    tail = t >= 100_000
    slope = np.polyfit(np.log(t[tail]), np.log(mean[tail]), 1)[0]
    assert abs(slope - guarantee(epsilon_greedy).exponent) < 0.05
    assert mean[-1] >= 0.1 * np.mean(MEANS.max() - MEANS) * 1_000_000 * 0.99
