"""Tests of thompson and bayes_ucb."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special

from eluder.core.bandits import lai_robbins
from eluder.core.guarantees import guarantee
from eluder.envs import bernoulli_bandit, bounded_bandit, gaussian_bandit
from eluder.tabular.bandits import bayes_ucb, thompson
from eluder.tabular.bandits._bayes_ucb import argmax_quantile, level, quantile, tail
from eluder.tabular.bandits._thompson import argmax_beta, draw_beta, log_beta
from tests.tabular.bandits.test_optimism import growth, interval, mean_regret, worst_slope

MEANS = np.array([0.3, 0.45, 0.6, 0.5])


def rng(seed=0):
    return np.random.default_rng(seed)


def log_b(x, y):
    return scipy.special.betaln(x, y)


# --- Thompson sampling ---


def density(x, y, u):
    return math.exp((x - 1) * math.log(u) + (y - 1) * math.log1p(-u) - log_b(x, y))


def probabilities(wins, losses):
    """P(arm a has the largest draw), by quadrature."""
    out = []
    for a in range(wins.size):
        others = [b for b in range(wins.size) if b != a]

        def integrand(u, a=a, others=others):
            below = np.prod(scipy.special.betainc(wins[others], losses[others], u))
            return density(wins[a], losses[a], u) * below

        centre = wins[a] / (wins[a] + losses[a])
        out.append(scipy.integrate.quad(integrand, 0, 1, points=[centre], limit=200)[0])
    return np.array(out)


@pytest.mark.parametrize("first", [0, 2, 4])
@pytest.mark.parametrize(
    ("wins", "losses"),
    [
        ([1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        ([4, 9, 3, 1, 2], [2, 5, 3, 8, 1]),
        ([60, 30, 45, 2, 8], [40, 25, 40, 6, 5]),
        ([600, 50, 290, 5, 80], [400, 40, 210, 6, 70]),
        ([6000, 24, 23, 25, 24], [4000, 36, 37, 35, 36]),  # all but the first win once in thousands of draws
    ],
)
def test_arms_win_as_often_as_their_draws_are_largest(first, wins, losses):
    """The draws that are left out do not change the law: frequencies against quadrature."""
    wins, losses = np.array(wins, float), np.array(losses, float)
    lb, g, runs = log_b(wins, losses), rng(first), 60_000
    counts = np.bincount([argmax_beta(first, wins, losses, lb, g) for _ in range(runs)], minlength=5)
    p = probabilities(wins, losses)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    error = (counts - runs * p) / np.sqrt(runs * p * (1 - p))
    assert (np.abs(error) < 4.5).all()


def test_draws_are_beta():
    g = rng()
    x = np.array([draw_beta(3.0, 5.0, g) for _ in range(40_000)])
    assert x.mean() == pytest.approx(3 / 8, abs=4.5 * math.sqrt(15 / 576 / 40_000))
    assert x.var() == pytest.approx(15 / 576, rel=0.05)
    assert log_beta(3.0, 5.0) == pytest.approx(math.log(1 / 105), rel=1e-12)


def naive_thompson(means, T, g, draw):
    """The paper's loop with every draw made."""
    A = len(means)
    S, F = np.zeros(A), np.zeros(A)
    for _ in range(T):
        a = int(np.argmax(draw(S, F, g)))
        x = float(g.random() < means[a])
        S[a] += x
        F[a] += 1 - x
    return S + F


@pytest.mark.parametrize("prior", ["beta", "gaussian"])
def test_plays_have_the_law_of_the_paper(prior):
    """Mean plays of each arm in 400 runs, against the loop that makes every draw."""
    means, T, runs = np.array([0.3, 0.5, 0.7]), 60, 400

    def beta(S, F, g):
        return g.beta(1 + S, 1 + F)

    def gaussian(S, F, g):
        return g.normal(S / (S + F + 1), 1 / np.sqrt(S + F + 1))

    draw = beta if prior == "beta" else gaussian
    slow = np.array([naive_thompson(means, T, rng(i), draw) for i in range(runs)])
    fast = np.array(
        [thompson(bernoulli_bandit(means), T, prior=prior, rng=rng(10_000 + i)).pulls for i in range(runs)]
    )
    error = (slow.mean(0) - fast.mean(0)) / np.sqrt((slow.var(0) + fast.var(0)) / runs)
    assert (np.abs(error) < 4.5).all()


def test_gaussian_prior_plays_the_arms_of_the_paper():
    """One normal number for each arm: the stream of the loop in the paper."""
    g, S, n = rng(2), np.zeros(4), np.zeros(4)
    for _ in range(400):
        a = int(np.argmax(S / (n + 1) + np.array([g.standard_normal() for _ in range(4)]) / np.sqrt(n + 1)))
        S[a] += g.random() < MEANS[a]
        n[a] += 1
    result = thompson(bernoulli_bandit(MEANS), 400, prior="gaussian", rng=rng(2))
    np.testing.assert_array_equal(result.pulls, n)


def test_rewards_between_zero_and_one_are_rounded_at_random():
    result = thompson(bounded_bandit([0.2, 0.8]), 2000, rng=rng())
    assert result.pulls[1] > 1900
    with pytest.raises(ValueError, match="thompson needs rewards in"):
        thompson(gaussian_bandit([0.0, 1.0]), 10, rng=rng())
    assert thompson(gaussian_bandit([0.0, 2.0]), 500, prior="gaussian", rng=rng()).pulls[1] > 450


def test_guarantee_of_each_prior():
    assert guarantee(thompson).exponent == 0.0
    assert guarantee(thompson, prior="gaussian").exponent == 0.5


# --- Bayes-UCB ---


def test_level_by_hand():
    assert level(99, 1000, 0.0) == pytest.approx(0.01)
    assert level(99, 1000, 2.0) == pytest.approx(0.01 / math.log(1000) ** 2)
    assert level(0, 1, 5.0) == level(0, 1000, 0.0) == 1.0


def shapes():
    g = rng(3)
    small = [(x, y) for x in (1, 2, 5) for y in (1, 2, 5)]
    return [
        *small,
        *((float(x), float(y)) for x, y in g.integers(1, 20_000, (30, 2))),
        (1e6, 1e6),
        (1.0, 1e5),
    ]


def test_tail_is_the_incomplete_beta_function():
    for x, y in shapes():
        deviation = math.sqrt(x * y / (x + y + 1)) / (x + y)
        for k in (-3, -0.5, 0.01, 1, 4):
            u = min(max(x / (x + y) + k * deviation, 1e-6), 1 - 1e-6)
            assert tail(x, y, log_b(x, y), u) == pytest.approx(scipy.special.betaincc(x, y, u), rel=1e-8)
    assert tail(2.0, 3.0, log_b(2, 3), 0.0) == 1.0
    assert tail(2.0, 3.0, log_b(2, 3), 1.0) == 0.0


@pytest.mark.parametrize("start", [0.001, 0.5, 0.999])
def test_quantile_is_the_inverse_of_the_tail(start):
    for x, y in shapes():
        for alpha in (0.9, 0.5, 0.1, 1e-3, 1e-7):
            expected = scipy.special.betainccinv(x, y, alpha)
            assert quantile(x, y, log_b(x, y), alpha, start) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert quantile(2.0, 2.0, log_b(2, 2), 1.0, start) == 0.0


def naive_bayes_ucb(means, T, c, g):
    A = len(means)
    S, F, arms = np.zeros(A), np.zeros(A), []
    for t in range(T):
        alpha = min(1 / ((t + 1) * np.log(T) ** c), 1)
        a = int(np.argmax(scipy.special.betainccinv(1 + S, 1 + F, alpha)))
        x = float(g.random() < means[a])
        S[a] += x
        F[a] += 1 - x
        arms.append(a)
    return np.array(arms)


@pytest.mark.parametrize("c", [0.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_plays_the_arms_of_the_paper(seed, c):
    arms = naive_bayes_ucb(MEANS, 400, c, rng(seed))
    result = bayes_ucb(bernoulli_bandit(MEANS), 400, power=c, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=4))
    regret = np.cumsum(MEANS.max() - MEANS[arms])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, regret, atol=1e-10)


def test_argmax_on_random_states():
    g = rng(5)
    for _ in range(60):
        wins, losses = g.integers(1, 60, (2, 8)).astype(float)
        alpha = 1 / (wins.sum() + losses.sum())
        expected = int(np.argmax(scipy.special.betainccinv(wins, losses, alpha)))
        lb = log_b(wins, losses)
        chosen = {argmax_quantile(alpha, a, wins, losses, lb, np.full(8, 0.5)) for a in range(8)}
        assert chosen == {expected}


def test_quantiles_that_round_to_one():
    """With few losses and a small alpha; the first of the arms whose quantile rounds to 1 wins."""
    wins, losses = np.array([3.0, 1e6, 2e6, 1e6]), np.array([5.0, 1.0, 1.0, 1.0])
    lb, alpha = log_b(wins, losses), 1e-12
    for start in (0.001, 0.5, 1 - 1e-15):
        assert quantile(1e6, 1.0, lb[1], alpha, start) == 1 - 2.0**-53
        assert 1 - quantile(1e3, 1.0, log_b(1e3, 1), 1e-9, start) == pytest.approx(1e-12, rel=2e-4)
    assert {argmax_quantile(alpha, a, wins, losses, lb, np.full(4, 0.5)) for a in range(4)} == {1}
    wins[0], losses[0] = 1e7, 1.0
    lb = log_b(wins, losses)
    assert {argmax_quantile(alpha, a, wins, losses, lb, np.full(4, 0.5)) for a in range(4)} == {0}
    result = bayes_ucb(bernoulli_bandit([1.0, 1.0, 0.2]), 300, power=100.0, rng=rng())
    assert result.pulls.sum() == 300


def test_bounded_rewards_and_one_arm():
    assert bayes_ucb(bounded_bandit([0.2, 0.8]), 2000, rng=rng()).pulls[1] > 1900
    assert bayes_ucb(bernoulli_bandit([1.0]), 20, rng=rng()).pulls.tolist() == [20]
    assert thompson(bernoulli_bandit([1.0, 0.0]), 200, rng=rng()).pulls[0] > 180


# --- rates ---


@pytest.mark.slow
def test_worst_case_regret_with_the_gaussian_prior_is_a_square_root():
    measured = worst_slope(thompson, prior="gaussian")
    assert abs(measured - guarantee(thompson, prior="gaussian").exponent) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [thompson, bayes_ucb])
def test_regret_is_logarithmic(algorithm):
    assert guarantee(algorithm).exponent == 0.0
    t, mean = mean_regret(algorithm, bernoulli_bandit(MEANS), 1_000_000)
    tail = t >= 100_000
    slope = np.polyfit(np.log(t[tail]), np.log(mean[tail]), 1)[0]
    print(f"{algorithm.__name__}: slope {slope:.3f}")
    assert slope < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [thompson, bayes_ucb])
def test_growth_is_the_constant_of_lai_and_robbins(algorithm):
    """As for KL-UCB: slope against ln T in the decade before T = 1e5 meets ``C (1 +- 3 / ln T)``."""
    bandit = bernoulli_bandit([0.5, 0.3, 0.7])
    low, high = interval(growth(algorithm, bandit))
    C = lai_robbins(bandit)
    print(f"{algorithm.__name__}: C = {C:.2f}, slope in [{low:.2f}, {high:.2f}]")
    assert high > (1 - 3 / math.log(100_000)) * C
    assert low < (1 + 3 / math.log(100_000)) * C
