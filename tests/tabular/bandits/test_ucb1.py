"""Tests of tabular/bandits/_ucb1.py."""

import numpy as np
import pytest

from eluder.core.bandits import Bandit
from eluder.core.guarantees import guarantee
from eluder.envs import bernoulli_bandit
from eluder.tabular.bandits import ucb1
from eluder.tabular.bandits._ucb1 import bound, radius
from tests.tabular.bandits import naive_stochastic as naive

MEANS = np.array([0.3, 0.45, 0.6, 0.5])


def rng(seed=0):
    return np.random.default_rng(seed)


def test_radius_by_hand():
    assert radius(10, 1.0) == pytest.approx(2.1459660262893472, rel=1e-14)  # sqrt(2 * 2.302585...)
    assert radius(10, 0.5) == pytest.approx(2.1459660262893472 / 2, rel=1e-14)


def test_bound_by_hand():
    # 8 ln(100) (1 / 0.5 + 1 / 0.25) + (1 + pi^2 / 3) 0.75
    assert bound(np.array([0.0, 0.5, 0.25]), 100) == pytest.approx(221.048_169 + 3.217_401, rel=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_plays_the_arms_of_the_paper(seed):
    arms = naive.run(naive.ucb1, MEANS, 400, rng(seed))
    result = ucb1(bernoulli_bandit(MEANS), 400, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=4))
    regret = np.cumsum(MEANS.max() - MEANS[arms])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, regret, atol=1e-10)


def test_zero_scale_is_greedy():
    result = ucb1(Bandit([0.2, 0.8, 0.5], law="fixed"), 100, c=0.0, rng=rng())
    assert result.pulls.tolist() == [1, 98, 1]


def test_mean_regret_is_below_its_bound():
    bandit = bernoulli_bandit(MEANS)
    runs = [ucb1(bandit, 5000, rng=rng(i)) for i in range(20)]
    t = runs[0].checkpoints
    mean = np.mean([run.regret for run in runs], axis=0)
    assert (mean <= [bound(MEANS.max() - MEANS, int(k)) for k in t]).all()


@pytest.mark.slow
def test_regret_is_logarithmic():
    """Between T and 10 T the regret grows by C ln 10: its log-log slope is near 1 / ln T, far below 1/2."""
    runs = [ucb1(bernoulli_bandit(MEANS), 1_000_000, rng=rng(i)) for i in range(20)]
    t, mean = runs[0].checkpoints, np.mean([run.regret for run in runs], axis=0)
    tail = t >= 100_000
    assert guarantee(ucb1).exponent == 0.0
    assert np.polyfit(np.log(t[tail]), np.log(mean[tail]), 1)[0] < 0.2
