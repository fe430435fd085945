"""Tests of ucb_v, moss, kl_ucb, kl_ucb_plus_plus and imed."""

import math

import numpy as np
import pytest

from eluder.core.bandits import Bandit, lai_robbins
from eluder.core.guarantees import guarantee
from eluder.envs import bernoulli_bandit, bounded_bandit, exponential_bandit, gaussian_bandit, poisson_bandit
from eluder.tabular.bandits import _kl_ucb_plus_plus as plus
from eluder.tabular.bandits import epsilon_greedy, imed, kl_ucb, kl_ucb_plus_plus, moss, ucb_v
from eluder.tabular.bandits._imed import argmin_cost
from eluder.tabular.bandits._index import conjugate
from eluder.tabular.bandits._kl_ucb import argmax_index, exploration
from eluder.tabular.bandits._moss import bound as moss_bound
from eluder.tabular.bandits._moss import radius as moss_radius
from eluder.tabular.bandits._ucb_v import bound as ucb_v_bound
from eluder.tabular.bandits._ucb_v import radius as ucb_v_radius
from tests.tabular.bandits import naive_stochastic as naive

MEANS = np.array([0.3, 0.45, 0.6, 0.5])
T = 400


def rng(seed=0):
    return np.random.default_rng(seed)


def regret(arms, means, result):
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=len(means)))
    expected = np.cumsum(means.max() - means[arms])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, expected, atol=1e-10)


# --- constants ---


def test_radii_by_hand():
    # sqrt(2 * 0.25 * 2 / 4) + 3 * 0.5 * 2 / 4
    assert ucb_v_radius(0.25, 4.0, 2.0, 0.5) == pytest.approx(0.5 + 0.75, rel=1e-14)
    # T / (A n) = 100 / (2 * 5) = 10
    assert moss_radius(5.0, 2, 100, 2.0) == pytest.approx(2 * math.sqrt(math.log(10) / 5), rel=1e-14)
    assert moss_radius(50.0, 2, 100, 1.0) == moss_radius(80.0, 2, 100, 1.0) == 0.0
    assert exploration(100, 0.0) == pytest.approx(math.log(100))
    assert exploration(100, 3.0) == pytest.approx(4.605170186 + 3 * 1.527179626, rel=1e-9)
    assert exploration(1, 3.0) == exploration(2, 30.0) == 0.0
    # y = 10: ln(10 (ln(10)^2 + 1)) = ln(63.0189...)
    assert plus.exploration(5.0, 2, 100) == pytest.approx(math.log(10 * (5.301898110478399 + 1)), rel=1e-12)
    assert plus.exploration(80.0, 2, 100) == 0.0


def test_bounds_by_hand():
    assert moss_bound(4, 100) == 49 * 20
    gaps = np.array([0.0, 0.5, 0.25])
    assert ucb_v_bound(gaps, 100) == pytest.approx(10 * (0.5 + 2 + 1 + 2) * 4.605170185988092, rel=1e-12)
    assert guarantee(ucb_v).bound is ucb_v_bound
    assert guarantee(ucb_v, zeta=2.0).bound is None


# --- definition ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("algorithm", "index", "options"),
    [
        (moss, naive.moss(T), {}),
        (kl_ucb, naive.kl_ucb(), {}),
        (kl_ucb, naive.kl_ucb(c=3.0), {"loglog": 3.0}),
        (kl_ucb_plus_plus, naive.kl_ucb_plus_plus(T), {}),
        (imed, naive.imed(), {}),
    ],
    ids=["moss", "kl_ucb", "kl_ucb-c", "kl_ucb_plus_plus", "imed"],
)
def test_plays_the_arms_of_the_paper(algorithm, index, options, seed):
    arms = naive.run(index, MEANS, T, rng(seed))
    regret(arms, MEANS, algorithm(bernoulli_bandit(MEANS), T, **options, rng=rng(seed)))


@pytest.mark.parametrize("seed", range(3))
def test_ucb_v_plays_the_arms_of_the_paper(seed):
    """On Beta rewards: variances of 0/1 rewards tie, and rounding would decide."""
    arms = naive.run(naive.ucb_v, MEANS, T, rng(seed), naive.bounded(MEANS), variance=True)
    regret(arms, MEANS, ucb_v(bounded_bandit(MEANS), T, rng=rng(seed)))


@pytest.mark.parametrize(
    ("algorithm", "twin"), [(kl_ucb, naive.kl_ucb), (imed, naive.imed)], ids=["kl_ucb", "imed"]
)
@pytest.mark.parametrize("family", ["gaussian", "exponential"])
def test_plays_the_arms_of_the_paper_in_other_families(algorithm, twin, family):
    means, variance = np.array([1.0, 1.5, 2.0]), 1.0
    if family == "gaussian":
        problem, draw, variance = gaussian_bandit(means, 2.0), naive.gaussian(means, 2.0), 4.0
    else:
        problem, draw = exponential_bandit(means), naive.exponential(means)
    arms = naive.run(twin(family, variance=variance), means, T, rng(1), draw)
    sigma = math.sqrt(variance)
    regret(arms, means, algorithm(problem, T, family=family, sigma=sigma, rng=rng(1)))


def test_gaussian_plus_plus_plays_the_arms_of_the_paper():
    means = np.array([1.0, 1.5, 2.0])
    index = naive.kl_ucb_plus_plus(T, "gaussian", variance=4.0)
    arms = naive.run(index, means, T, rng(1), naive.gaussian(means, 2.0))
    regret(
        arms,
        means,
        kl_ucb_plus_plus(gaussian_bandit(means, 2.0), T, family="gaussian", sigma=2.0, rng=rng(1)),
    )


def state(seed, A=12, tied=False):
    """Counts and means in the middle of a run."""
    g = rng(seed)
    n = g.integers(1, 4 if tied else 200, A).astype(float)
    mean = np.floor(g.random(A) * (n + 1)) / n  # wins / n
    return n, mean


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("code", [0, 1, 3])
def test_argmax_is_the_first_of_the_largest_indices(code, tied):
    """Wherever the search begins, on random states; with few plays many arms are equal or have mean 1."""
    for seed in range(60):
        n, mean = state(seed, tied=tied)
        if code == 1:
            mean = mean - 0.5
        ent = np.array([conjugate(code, m) for m in mean])
        f = exploration(int(n.sum()), 0.0)
        index = naive.upper(("bernoulli", "gaussian", "", "poisson")[code], mean, f / n)
        expected = int(np.argmax(index >= index.max() - 1e-12))
        assert {argmax_index(code, f, a, n, mean, ent) for a in range(n.size)} == {expected}


def test_argmax_when_indices_round_to_one():
    mean, n = np.array([0.2, 0.999, 1.0, 0.9995]), np.array([1.0, 1.0, 3.0, 1.0])
    ent = np.array([conjugate(0, m) for m in mean])
    assert {argmax_index(0, 200.0, a, n, mean, ent) for a in range(4)} == {0}
    n[0] = 1e6
    assert {argmax_index(0, 200.0, a, n, mean, ent) for a in range(4)} == {1}


@pytest.mark.parametrize("tied", [False, True])
def test_argmin_cost_on_random_states(tied):
    for seed in range(60):
        n, mean = state(seed, tied=tied)
        ent = np.array([conjugate(0, m) for m in mean])
        cost = -naive.imed()(0, n, mean)
        a = argmin_cost(0, 1.0, n, mean, ent, np.log(n))
        assert a == int(np.argmax(cost <= cost.min() + 1e-12))


# --- theorems ---


def mean_regret(algorithm, bandit, T, runs=20, **options):
    results = [algorithm(bandit, T, **options, rng=rng(i)) for i in range(runs)]
    return results[0].checkpoints, np.mean([r.regret for r in results], axis=0)


def test_mean_regret_is_below_its_bound():
    bandit, gaps = bernoulli_bandit(MEANS), MEANS.max() - MEANS
    t, mean = mean_regret(ucb_v, bandit, 5000)
    later = t > 1  # ln 1 = 0
    assert (mean[later] <= [ucb_v_bound(gaps, int(k)) for k in t[later]]).all()
    _, mean = mean_regret(moss, bandit, 5000)
    assert mean[-1] <= moss_bound(4, 5000)


def test_moss_stops_exploring_an_arm_that_had_its_share():
    result = moss(Bandit([0.5, 0.5, 0.4], law="fixed"), 3000, rng=rng())
    assert result.pulls[2] < 700  # ln(T / (A n)) / n < 0.1^2 at the latest


@pytest.mark.parametrize("algorithm", [kl_ucb, kl_ucb_plus_plus, imed])
def test_they_find_the_best_arm_of_every_family(algorithm):
    for family, bandit in (
        ("bernoulli", bounded_bandit([0.2, 0.6])),
        ("gaussian", gaussian_bandit([0.0, 1.0])),
        ("exponential", exponential_bandit([1.0, 3.0])),
        ("poisson", poisson_bandit([0.5, 2.0])),
    ):
        assert algorithm(bandit, 2000, family=family, rng=rng()).pulls[1] > 1800


@pytest.mark.parametrize("algorithm", [ucb_v, moss, kl_ucb, kl_ucb_plus_plus, imed])
def test_one_arm_and_few_rounds(algorithm):
    assert algorithm(bernoulli_bandit([0.5]), 30, rng=rng()).pulls.tolist() == [30]
    assert algorithm(bernoulli_bandit([0.5] * 6), 3, rng=rng()).pulls.tolist() == [1, 1, 1, 0, 0, 0]


def test_seeds_give_other_runs():
    runs = [kl_ucb(bernoulli_bandit(MEANS), 2000, rng=rng(i)).value[-1] for i in range(5)]
    assert len(set(runs)) == 5


# --- rates ---


def growth(algorithm, bandit, T=100_000, runs=200, **options):
    """(R(T) - R(T / 10)) / ln 10 of each run: the slope against ln T in the last decade."""
    out = []
    for i in range(runs):
        result = algorithm(bandit, T, **options, rng=rng(i))
        out.append((result.regret[-1] - np.interp(T / 10, result.checkpoints, result.regret)) / math.log(10))
    return np.array(out)


def interval(x):
    """Bootstrap interval of the mean, 99 %."""
    g = rng(1)
    means = [g.choice(x, x.size).mean() for _ in range(4000)]
    return np.quantile(means, [0.005, 0.995])


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "options"), [(kl_ucb, {}), (imed, {})])
def test_growth_is_the_constant_of_lai_and_robbins(algorithm, options):
    """Slope against ln T in the decade before T = 1e5: its interval meets ``C (1 +- 3 / ln T)``.

    The slope tends to C as T grows, with a relative error of order 1 / ln T: IMED stops at ``n kl + ln n =
    ln t``, which alone makes it ``1 / (1 + 1 / (n kl))`` times C, 0.86 here.
    """
    bandit = bernoulli_bandit([0.5, 0.3, 0.7])
    low, high = interval(growth(algorithm, bandit, **options))
    C = lai_robbins(bandit)
    print(f"{algorithm.__name__}: C = {C:.2f}, slope in [{low:.2f}, {high:.2f}]")
    assert high > (1 - 3 / math.log(100_000)) * C
    assert low < (1 + 3 / math.log(100_000)) * C


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [ucb_v, kl_ucb, imed])
def test_regret_is_logarithmic(algorithm):
    """Between T / 10 and T the regret grows by C ln 10: its log-log slope is near 1 / ln T."""
    assert guarantee(algorithm).exponent == 0.0
    t, mean = mean_regret(algorithm, bernoulli_bandit(MEANS), 1_000_000)
    tail = t >= 100_000
    slope = np.polyfit(np.log(t[tail]), np.log(mean[tail]), 1)[0]
    print(f"{algorithm.__name__}: slope {slope:.3f}")
    assert slope < 0.2


def worst_slope(algorithm, runs=40, **options):
    """Slope of the largest mean regret over gaps from sqrt(A / T), too small to be seen, to 0.4.

    On the smallest gap alone the regret of any learner grows as sqrt(T); on the largest, that of uniform play
    as T.
    """
    A, horizons, worst = 10, [3000, 10_000, 30_000, 100_000], []
    for T in horizons:
        gaps = math.sqrt(A / T) * 2.0 ** np.arange(6)
        bandits = [bernoulli_bandit(0.5 + gap * (np.arange(A) == A // 2)) for gap in (*gaps[gaps < 0.4], 0.4)]
        worst.append(max(mean_regret(algorithm, bandit, T, runs, **options)[1][-1] for bandit in bandits))
    slope = np.polyfit(np.log(horizons), np.log(worst), 1)[0]
    print(f"{algorithm.__name__}: slope {slope:.3f}, regret / sqrt(A T) {worst[-1] / math.sqrt(A * T):.3f}")
    return slope


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [moss, kl_ucb_plus_plus])
def test_worst_case_regret_is_a_square_root(algorithm):
    assert abs(worst_slope(algorithm) - guarantee(algorithm).exponent) < 0.05


@pytest.mark.slow
def test_worst_case_regret_of_uniform_play_is_linear():
    """What the tests above would tell apart."""
    assert worst_slope(epsilon_greedy, runs=5, epsilon=1.0) > 0.99
