"""Tests of sliding_window_ucb, discounted_ucb, sliding_window_average and raw_ucb."""

import math

import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.envs import bernoulli_bandit, gaussian_bandit, piecewise_bandit, rotting_bandit
from eluder.tabular.bandits import _discounted_ucb as discounted
from eluder.tabular.bandits import _raw_ucb as raw
from eluder.tabular.bandits import _sliding_window_average as average
from eluder.tabular.bandits import _sliding_window_ucb as sliding
from eluder.tabular.bandits import discounted_ucb, raw_ucb, sliding_window_average, sliding_window_ucb, ucb1
from tests.tabular.bandits import naive_stochastic as naive

TABLE = np.array([[0.2, 0.5, 0.8], [0.9, 0.5, 0.1]])
STARTS = [0, 120]


def rng(seed=0):
    return np.random.default_rng(seed)


def means(t):
    return TABLE[int(t >= STARTS[1])]


def rotting_means(N=80):
    return np.linspace([0.9, 0.7, 0.5], [0.1, 0.6, 0.5], N)


# --- constants ---


def test_constants_by_hand():
    assert sliding.default_window(1000, 4) == math.ceil(2 * math.sqrt(250 * 6.907755278982137))
    assert sliding.default_window(1, 1) == 1
    assert sliding.radius(4.0, 500, 100, 0.6, 2.0) == pytest.approx(2 * math.sqrt(0.6 * math.log(100) / 4))
    assert sliding.radius(4.0, 50, 100, 0.6, 1.0) == pytest.approx(math.sqrt(0.6 * math.log(50) / 4))
    assert discounted.default_gamma(10_000, 4) == pytest.approx(0.995)
    assert discounted.default_gamma(3, 9) == 0.75
    assert discounted.radius(4.0, 50.0, 0.6, 0.5) == pytest.approx(math.sqrt(0.6 * math.log(50) / 4))
    # 4^(2/3) (1/2)^(2/3) (1000 / 10)^(2/3) ln(1414.2)^(1/3) = 66.2
    assert average.window(1000, 10, 1.0, 0.5) == math.ceil((2 * 100) ** (2 / 3) * 7.2543 ** (1 / 3))
    assert average.window(1000, 10, 0.5, 0.5) == math.ceil(0.5 * (2 * 100) ** (2 / 3) * 7.2543 ** (1 / 3))
    assert average.window(1000, 10, 1.0, 1e-300) == 1
    assert raw.radius(100, 8.0, 4.0, 0.5) == pytest.approx(0.5 * math.sqrt(math.log(100)))


# --- definition ---


@pytest.mark.parametrize("seed", range(3))
def test_changing_learners_play_the_arms_of_the_paper(seed):
    bandit, T = piecewise_bandit(TABLE, STARTS), 300
    for result, arms in (
        (
            sliding_window_ucb(bandit, T, window=40, rng=rng(seed)),
            naive.sliding_window_ucb(means, T, rng(seed), 40, 0.6),
        ),
        (
            discounted_ucb(bandit, T, gamma=0.95, xi=0.7, rng=rng(seed)),
            naive.discounted_ucb(means, T, rng(seed), 0.95, 0.7),
        ),
    ):
        np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=3))
        value = np.cumsum([means(t)[a] for t, a in enumerate(arms)])[result.checkpoints - 1]
        np.testing.assert_allclose(result.value, value, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_rotting_learners_play_the_arms_of_the_paper(seed):
    table, T = rotting_means(), 400
    M = average.window(T, 3, 0.2, 0.5)
    for result, arms in (
        (
            raw_ucb(rotting_bandit(table), T, alpha=0.8, rng=rng(seed)),
            naive.rotting(lambda t, x: naive.raw_ucb(t, x, 0.8, 0.5), table, T, rng(seed)),
        ),
        (
            sliding_window_average(rotting_bandit(table), T, alpha=0.2, rng=rng(seed)),
            naive.sliding_window_average(table, T, rng(seed), M),
        ),
    ):
        np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=3))
        n = np.array([np.sum(arms[:t] == a) for t, a in enumerate(arms)])
        value = np.cumsum(table[np.minimum(n, len(table) - 1), arms])[result.checkpoints - 1]
        np.testing.assert_allclose(result.value, value, atol=1e-10)


def test_windows_hold_the_last_finished_blocks():
    x = rng(1).random(100)
    last, mean = np.zeros(7), np.zeros(7)
    for n in range(1, 101):
        full = raw.renew(n, x[n - 1], last, mean)
        assert full == int(math.log2(n)) + 1
        for j in range(full):
            step = 2 ** (j - 1) if j else 1
            end = n // step * step
            assert mean[j] == pytest.approx(x[end - 2**j : end].mean(), rel=1e-12)


def test_windows_are_renewed_in_constant_time_on_average():
    """Block j ends at every 2^(j-1)-th reward: 2 steps a reward on average."""
    last, mean = np.zeros(15), np.zeros(15)
    for n in range(1, 2**14 + 1):
        raw.renew(n, 1.0, last, mean)
    np.testing.assert_allclose(mean, 1.0)


def test_weights_are_scaled_back_before_they_overflow():
    """0.5 ** -t passes 1e100 at t = 333: the arms played are those of the plain sums."""
    bandit, T = piecewise_bandit(TABLE, STARTS), 900
    arms = naive.discounted_ucb(means, T, rng(), 0.5, 0.7)
    result = discounted_ucb(bandit, T, gamma=0.5, xi=0.7, rng=rng())
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=3))


# --- behaviour ---


@pytest.mark.parametrize("algorithm", [sliding_window_ucb, discounted_ucb])
def test_they_follow_an_arm_that_falls_and_comes_back(algorithm):
    """UCB1 believes its average: after the second change it is wrong for as long as it was right."""
    T = 20_000
    bandit = piecewise_bandit([[0.9, 0.5], [0.1, 0.5], [0.9, 0.5]], [0, T // 3, 2 * T // 3])
    change = np.mean([algorithm(bandit, T, changes=2, rng=rng(i)).regret[-1] for i in range(10)])
    fixed = np.mean([ucb1(bandit, T, rng=rng(i)).regret[-1] for i in range(10)])
    assert change < 0.6 * fixed


def test_all_rounds_in_the_window_is_ucb1_with_another_constant():
    bandit, T = bernoulli_bandit([0.3, 0.5, 0.6]), 500
    window = sliding_window_ucb(bandit, T, window=10 * T, xi=2.0, rng=rng())
    np.testing.assert_array_equal(window.pulls, ucb1(bandit, T, rng=rng()).pulls)
    fade = discounted_ucb(bandit, T, gamma=1.0, xi=0.5, rng=rng())
    np.testing.assert_array_equal(fade.pulls, ucb1(bandit, T, rng=rng()).pulls)


def test_arms_that_left_the_window_come_back():
    bandit = piecewise_bandit([[0.0, 1.0]], [0], law="fixed")
    result = sliding_window_ucb(bandit, 100, window=10, xi=0.0, rng=rng())
    assert result.pulls.tolist() == [10, 90]
    assert discounted_ucb(bandit, 5000, gamma=0.1, xi=0.0, rng=rng()).pulls[0] > 10  # weights below 1e-300


@pytest.mark.parametrize("algorithm", [sliding_window_average, raw_ucb])
def test_they_leave_an_arm_that_wears_out(algorithm):
    bandit = rotting_bandit([[0.9, 0.5]] * 200 + [[0.1, 0.5]])
    result = algorithm(bandit, 10_000, rng=rng())
    assert result.pulls[0] < 2500
    assert (result.regret > -1e-9).all()


def test_stationary_arms_are_a_rotting_bandit_with_one_row():
    result = raw_ucb(rotting_bandit([[0.2, 0.8]]), 3000, rng=rng())
    assert result.pulls[1] > 2700
    assert sliding_window_average(rotting_bandit([[0.5, 0.5]]), 3, rng=rng()).pulls.tolist() == [2, 1]


def test_gaussian_rewards_take_their_deviation():
    bandit = rotting_bandit([[1.0, 0.0], [-1.0, 0.0]], law="gaussian", scale=2.0)
    for algorithm in (raw_ucb, sliding_window_average):
        assert algorithm(bandit, 5000, sigma=2.0, rng=rng()).pulls[1] > 3000
    assert sliding_window_ucb(gaussian_bandit([0.0, 3.0]), 2000, c=2.0, rng=rng()).pulls[1] > 1500


def test_wrong_problem():
    with pytest.raises(ValueError, match="bandit must be a RottingBandit, got Bandit"):
        raw_ucb(bernoulli_bandit([0.5]), 10, rng=rng())


# --- rates ---


def slope(algorithm, instances, horizons, runs=30, logs=0.0):
    """Slope of the largest mean regret over the instances, divided by ``ln(T) ** logs``."""
    worst = []
    for T in horizons:
        means = [np.mean([algorithm(b, T, rng=rng(i)).regret[-1] for i in range(runs)]) for b in instances(T)]
        worst.append(max(means) / math.log(T) ** logs)
    value = np.polyfit(np.log(horizons), np.log(worst), 1)[0]
    print(f"{algorithm.__name__}: slope {value:.3f}")
    return value


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "logs"), [(sliding_window_ucb, 0.5), (discounted_ucb, 1.0)])
def test_regret_with_one_change_is_a_square_root(algorithm, logs):
    """One change at T / 2, at a fixed gap as in the theorems: regret over its power of ln T."""

    def instances(T):
        return [piecewise_bandit([[0.3, 0.7], [0.9, 0.1]], [0, T // 2])]

    measured = slope(algorithm, instances, [30_000, 100_000, 300_000, 1_000_000], logs=logs)
    assert abs(measured - guarantee(algorithm).exponent) < 0.1


@pytest.mark.slow
def test_regret_of_raw_ucb_on_the_worst_rotting_arms():
    """Four arms of which three fall after T / 8 plays, by sqrt(A / T) to 0.4: the largest mean regret."""

    def instances(T):
        drops = math.sqrt(4 / T) * 2.0 ** np.arange(8)
        for drop in (*drops[drops < 0.4], 0.4):
            means = np.full((T // 8 + 1, 4), 0.5)
            means[-1, 1:] -= drop
            yield rotting_bandit(means)

    measured = slope(raw_ucb, instances, [10_000, 30_000, 100_000, 300_000], runs=20, logs=0.5)
    assert abs(measured - guarantee(raw_ucb).exponent) < 0.1


@pytest.mark.slow
def test_regret_of_swa_is_below_two_thirds():
    """Its ramp alone is A M plays: exponent 2/3."""

    def instances(T):
        return [rotting_bandit(np.concatenate([np.full((T // 4, 2), [0.9, 0.5]), [[0.1, 0.5]]]))]

    measured = slope(sliding_window_average, instances, [10_000, 30_000, 100_000, 300_000], logs=1 / 3)
    assert abs(measured - guarantee(sliding_window_average).exponent) < 0.1
