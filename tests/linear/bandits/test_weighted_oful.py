"""Weighted OFUL: weights by hand, whole runs, LinUCB as a special case, its bound, what known noise gains."""

import math

import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.core.linear_bandits import linear_ledger, linear_result
from eluder.core.ridge import ridge
from eluder.envs import hypercube_bandit, linear_bandit
from eluder.linear.bandits import _weighted_oful as module
from eluder.linear.bandits import lin_ucb, weighted_oful
from tests.linear.bandits import naive_linear as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def test_equations_by_hand():
    assert module.smallest_deviation(3.0, 100) == pytest.approx(0.3)
    assert module.smallest_deviation(0.0, 100) == pytest.approx(0.1)
    assert module.width_factor(4.0, 16) == pytest.approx(1.0)
    assert module.deviation(0.5, 0.1, 2.0, 1e-4) == 0.5
    assert module.deviation(0.01, 0.1, 2.0, 1e-8) == 0.1
    assert module.deviation(0.5, 0.1, 2.0, 16.0) == pytest.approx(4.0)


@pytest.mark.parametrize("gamma", [0.0, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_its_definition(seed, gamma):
    bandit = linear_bandit(rng(seed).standard_normal((6, 3)), rng(seed + 9).random(3), sigma=rng(7).random(6))
    play, limit = naive.weighted_oful(bandit, 200, 0.5, 2.0, bandit.sigma, 0.1, gamma, 0.1, rng(seed))
    result = weighted_oful(bandit, 200, lam=0.5, S=2.0, alpha=0.1, gamma=gamma, delta=0.1, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(play.arms, minlength=6))
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)
    books, R = linear_ledger(bandit, 200), ridge(bandit.phi, 0.5)
    ours = module._weighted_oful(bandit, 200, 2.0, bandit.sigma, 0.1, gamma, 0.1, 1.0, R, books, rng(seed))
    assert ours == pytest.approx(limit, rel=1e-7)


def test_one_deviation_for_all_is_lin_ucb():
    bandit = linear_bandit(rng(1).standard_normal((6, 3)), rng(2).random(3), sigma=0.4)
    a = weighted_oful(bandit, 3000, lam=2.0 / 0.4**2, gamma=0.0, alpha=1e-9, rng=rng())
    b = lin_ucb(bandit, 3000, lam=2.0, rng=rng())
    np.testing.assert_array_equal(a.pulls, b.pulls)
    coins = linear_bandit([[0.2], [0.7]], [1.0], law="bernoulli")
    a, b = weighted_oful(coins, 500, lam=4.0, gamma=0.0, rng=rng()), lin_ucb(coins, 500, rng=rng())
    np.testing.assert_array_equal(a.pulls, b.pulls)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_regret_is_below_the_bound_of_each_run(gamma):
    delta, over = 0.1, 0
    for seed in range(100):
        g = rng(seed)
        phi, theta = g.standard_normal((10, 3)), g.standard_normal(3)
        bandit, T = linear_bandit(phi, theta, sigma=g.exponential(size=10)), 1000
        books, R, S = linear_ledger(bandit, T), ridge(phi, 1.0), float(np.linalg.norm(theta))
        limit = module._weighted_oful(bandit, T, S, bandit.sigma, 0.05, gamma, delta, 1.0, R, books, g)
        over += linear_result(books).regret[-1] > limit
    assert over <= 100 * delta


def test_known_noise_gains():
    """The good arms have little noise, the bad ones much: without weights all count as noisy."""
    phi = np.vstack([np.eye(5), rng(1).standard_normal((20, 5)) / 6])
    bandit = linear_bandit(phi, [0.3, 0.5, 0.2, 0.4, 0.6], sigma=[0.01] * 5 + [2.0] * 20)
    weighted, plain = (
        np.mean([learner(bandit, 10_000, rng=rng(i)).regret[-1] for i in range(5)])
        for learner in (weighted_oful, lin_ucb)
    )
    assert weighted < 0.2 * plain


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    sizes = np.array([4_000, 16_000, 64_000, 256_000])
    regret = [
        np.mean(
            [weighted_oful(hypercube_bandit(4, int(T)), int(T), rng=rng(i)).regret[-1] for i in range(30)]
        )
        for T in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"weighted_oful: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(weighted_oful).exponent == 0.5
    assert math.isclose(slope, 0.5, abs_tol=0.08)
