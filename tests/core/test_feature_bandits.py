"""Arms with features: the nearest linear function by a linear program, supports, the books, instances."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eluder.core.feature_bandits import (
    FeatureBandit,
    LinearFit,
    feature_ledger,
    feature_noise,
    feature_result,
    misspecification,
    play_features,
    pull,
    sparse_misspecification,
)
from eluder.envs import answer_pool, feature_bandit, misspecified_linear_bandit, needle_bandit


def rng(seed=0):
    return np.random.default_rng(seed)


# --- how far from linear ---


@pytest.mark.parametrize("seed", range(5))
def test_in_one_dimension_it_is_the_best_of_a_grid(seed):
    g = rng(seed)
    phi, means = g.standard_normal((6, 1)), g.standard_normal(6)
    grid = np.linspace(-20, 20, 400_001)
    best = np.abs(means[:, None] - phi * grid).max(axis=0).min()
    fit = misspecification(phi, means)
    assert isinstance(fit, LinearFit)
    assert best - 2e-4 <= fit.eps <= best + 1e-7


@pytest.mark.parametrize("seed", range(5))
def test_the_error_alternates(seed):
    """Chebyshev: the largest error is met d + 1 times, with signs that no linear function agrees with."""
    g = rng(seed)
    phi, means = g.standard_normal((9, 3)), g.standard_normal(9)
    fit = misspecification(phi, means)
    error = means - phi @ fit.theta
    active = np.abs(np.abs(error) - fit.eps) < 1e-7
    assert active.sum() == 4
    signed = phi[active] * np.sign(error[active])[:, None]
    # 0 is a mixture of the signed features: no direction makes all these errors smaller
    null = np.linalg.svd(signed.T)[2][-1]
    assert np.abs(signed.T @ null).max() < 1e-8
    assert (null > 0).all() or (null < 0).all()


@pytest.mark.parametrize("s", [1, 2, 3])
def test_sparse_fits_are_the_best_of_all_supports(s):
    g = rng(s)
    phi, means = g.standard_normal((8, 4)), g.standard_normal(8)
    fit = sparse_misspecification(phi, means, s)
    every = [misspecification(phi[:, list(c)], means).eps for c in itertools.combinations(range(4), s)]
    assert fit.eps == pytest.approx(min(every))
    assert (fit.theta != 0).sum() <= s
    assert np.abs(means - phi @ fit.theta).max() == pytest.approx(fit.eps)
    assert fit.eps >= misspecification(phi, means).eps - 1e-9
    assert sparse_misspecification(phi, means, 4).eps == pytest.approx(misspecification(phi, means).eps)


@given(arrays(float, 5, elements=st.floats(-100, 100)), st.floats(-10, 10))
def test_a_linear_function_is_found(theta, shift):
    phi = rng(1).standard_normal((12, 5))
    assert misspecification(phi, phi @ theta).eps <= 1e-6 * (1 + np.abs(theta).max())
    assert misspecification(np.ones((2, 1)), [shift, shift + 2]).eps == pytest.approx(1.0)


def test_too_many_supports_are_refused():
    with pytest.raises(ValueError, match="s = 10 of 40 features make 847660528 supports"):
        sparse_misspecification(np.ones((2, 40)), [0, 0], 10)
    with pytest.raises(ValueError, match=r"s must be in \[1, 2\]"):
        sparse_misspecification(np.ones((2, 2)), [0, 0], 3)


# --- the books ---


def test_the_books_by_hand():
    bandit = feature_bandit([[1.0], [2.0], [0.0]], [0.5, 1.0, 0.0], sigma=[0.1, 0.2, 0.3])
    books, g, twin = feature_ledger(bandit, 4), rng(7), rng(7)
    for t, a in enumerate((0, 2, 1, 1)):
        expected = bandit.means[a] + bandit.sigma[a] * twin.standard_normal()
        assert play_features(bandit, books, t, a, g) == pytest.approx(expected)
    result = feature_result(bandit, books)
    np.testing.assert_allclose(result.regret, [0.5, 1.5, 1.5, 1.5])
    assert result.pulls.tolist() == [1, 2, 1]
    assert feature_noise(bandit) == 0.3
    coin = FeatureBandit([[1.0]], [0.25], "bernoulli")
    assert feature_noise(coin) == 0.5
    assert np.mean([pull(coin, 0, g) for _ in range(4000)]) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": [[1, np.nan], [0, 1]]}, r"phi\[0, 1\] is nan"),
        ({"phi": [1, 2]}, "phi must have shape"),
        ({"means": [1.0]}, r"means must have shape \(2\)"),
        ({"means": [0.0, np.inf]}, r"means\[1\] is inf"),
        ({"means": [0.0, 1.5], "law": "bernoulli"}, r"means\[1\] is 1.5"),
        ({"law": "x"}, "law must be one of bernoulli, gaussian, got 'x'"),
        ({"law": True}, "law must be one of"),
        ({"sigma": [0.0, -1.0]}, r"sigma\[1\] is -1"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        FeatureBandit([[1, 0], [0, 1]], [0.5, 0.5])._replace(**change)


# --- instances ---


@pytest.mark.parametrize("s", [None, 1, 2])
def test_misspecified_instances_keep_their_error(s):
    bandit = misspecified_linear_bandit(60, 4, eps=0.2, s=s, rng=rng(2))
    fit = sparse_misspecification(bandit.phi, bandit.means, s or 4)
    assert 0.1 < fit.eps <= 0.2
    np.testing.assert_allclose(np.linalg.norm(bandit.phi, axis=1), 1)
    if s == 1:
        assert misspecified_linear_bandit(60, 4, eps=0.0, s=1, rng=rng(2)).means.max() <= 1


@pytest.mark.parametrize("d", [10, 40])
def test_the_needle_hides_in_the_misspecification(d):
    """The error is at most the largest inner product, of order sqrt(ln A / d): eps sqrt(d) is the gap."""
    bandit = needle_bandit(200, d, gap=0.8, rng=rng(3))
    good = int(bandit.means.argmax())
    others = np.delete(np.abs(bandit.phi @ bandit.phi[good]), good)
    eps = misspecification(bandit.phi, bandit.means).eps
    assert eps <= 0.8 * others.max() + 1e-7
    assert bandit.means.sum() == 0.8
    assert eps * np.sqrt(d) < 0.8 * np.sqrt(2 * np.log(200))


def test_the_pool_is_that_of_its_modes():
    pool = answer_pool(200, 6, d=16, spread=0.1, rng=rng(4))
    assert 1 <= pool.means.sum() < 30
    G = pool.phi @ pool.phi.T
    right = pool.means == 1
    assert G[right][:, right].mean() > 0.9
    assert np.linalg.svd(pool.phi)[1][6] < 0.3 * np.linalg.svd(pool.phi)[1][5]
    with pytest.raises(ValueError, match="A must be at least 6"):
        answer_pool(5, 6, rng=rng())
