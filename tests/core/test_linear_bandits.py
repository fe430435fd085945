"""Linear bandits: the problem, its books, its instances."""

import numpy as np
import pytest

from eluder.core.linear_bandits import (
    LinearBandit,
    LinearLedger,
    linear_ledger,
    linear_means,
    linear_result,
    mean_of,
    play_linear,
    subgaussian_scale,
)
from eluder.envs import hypercube_bandit, linear_bandit, logistic_linear_bandit, random_linear_bandit


def rng(seed=0):
    return np.random.default_rng(seed)


def test_means_by_hand():
    np.testing.assert_allclose(linear_means(LinearBandit([[1, 2], [0, 1]], [0.5, -1])), [-1.5, -1])
    logistic = LinearBandit([[1.0], [0.0], [-800.0], [800.0]], [1.0], "logistic", "bernoulli")
    np.testing.assert_allclose(linear_means(logistic), [0.7310585786, 0.5, 0, 1], rtol=1e-9)
    np.testing.assert_allclose([mean_of(1, z) for z in (1.0, 0.0, -800.0, 800.0)], linear_means(logistic))
    assert mean_of(0, 1.3) == 1.3
    assert subgaussian_scale(logistic) == 0.5
    assert subgaussian_scale(LinearBandit([[1.0], [2.0]], [0.1], sigma=[0.3, 0.7])) == 0.7


def test_rewards_have_their_law_and_books_are_kept():
    bandit = LinearBandit([[1.0], [0.5]], [0.8], sigma=[0.1, 2.0])
    books, g = linear_ledger(bandit, 4000), rng()
    assert isinstance(books, LinearLedger)
    rewards = np.array([play_linear(bandit, books, t, t % 2, g) for t in range(4000)])
    np.testing.assert_allclose(rewards[::2].mean(), 0.8, atol=0.01)
    np.testing.assert_allclose(rewards[1::2].std(), 2.0, atol=0.1)
    result = linear_result(books)
    assert result.regret[-1] == pytest.approx(2000 * 0.4)
    assert result.pulls.tolist() == [2000, 2000]
    coin = LinearBandit([[1.0]], [0.3], law="bernoulli")
    books = linear_ledger(coin, 3000)
    assert np.mean([play_linear(coin, books, t, 0, g) for t in range(3000)]) == pytest.approx(0.3, abs=0.03)


def test_instances():
    b = random_linear_bandit(40, 5, sigma=0.2, rng=rng())
    np.testing.assert_allclose(np.linalg.norm(b.phi, axis=1), 1)
    assert np.linalg.norm(b.theta) == pytest.approx(1)
    b = hypercube_bandit(3, 400, sign=[1, -1, 1])
    assert sorted(map(tuple, b.phi)) == sorted(_corners(3))
    assert linear_means(b).max() == pytest.approx(3 / 20)
    b = logistic_linear_bandit(6, 4, S=2.0, rng=rng())
    assert np.linalg.norm(b.theta) == pytest.approx(2)
    assert linear_means(b).min() > 0.11


def _corners(d):
    return [tuple(2.0 * np.array(i) - 1) for i in np.ndindex(*[2] * d)]


def test_refuses_wrong_problems():
    with pytest.raises(ValueError, match=r"phi\[0, 1\] is nan"):
        LinearBandit([[0.1, float("nan")]], [1, 1])
    with pytest.raises(ValueError, match="theta must have shape"):
        LinearBandit([[0.1, 0.2]], [1.0])
    with pytest.raises(ValueError, match=r"sigma\[1\] is -1"):
        linear_bandit([[0.1], [0.2]], [1.0], sigma=[1, -1])
    with pytest.raises(ValueError, match=r"the mean of arm 1 is 1\.5, that of a Bernoulli law is in"):
        linear_bandit([[0.1], [1.5]], [1.0], law="bernoulli")
    with pytest.raises(ValueError, match="link must be one of identity, logistic, got 'x'"):
        linear_bandit([[0.1]], [1.0], link="x")
    with pytest.raises(ValueError, match="law must be one of bernoulli, gaussian, got 'x'"):
        linear_bandit([[0.1]], [1.0], law="x")
    with pytest.raises(ValueError, match=r"sign\[1\] is 0.5, it must be -1 or 1"):
        hypercube_bandit(2, 10, sign=[1, 0.5])
    bandit = linear_bandit([[0.1]], [1.0])
    assert bandit._replace(theta=[2.0]).theta.tolist() == [2.0]
    with pytest.raises(ValueError, match="theta must have shape"):
        bandit._replace(theta=[2.0, 1.0])
