"""High-order moments: radius and levels by hand, weights by their definition and above the variances."""

import math

import numpy as np
import pytest

from eluder.core.mixture import mixture_tables
from eluder.core.moments import moment_levels, moment_radius, moment_variances
from eluder.envs import random_linear_mixture_mdp
from eluder.linear.mixture._ucrl_vtr_plus import radius, square_radius
from tests.core.test_targeted_regression import fitted


def rng(seed=0):
    return np.random.default_rng(seed)


def test_radius_and_levels_by_hand():
    assert moment_levels(100, 8) == 13  # log2(5600) = 12.45
    log = math.log(32 * (math.log(2.0) + 1) * 49 * 64 / 0.1)
    assert moment_radius(2, 8, 7, 0.25, 1.5, 0.1) == pytest.approx(
        12 * math.sqrt(2 * math.log(1 + 7 * 64 / 0.5) * log) + 30 * math.sqrt(2) * log + 0.75
    )
    assert moment_radius(2, 1, 1, 1.0, 0.0, 0.1) == pytest.approx(
        12 * math.sqrt(2 * math.log(1.5) * math.log(320)) + 30 * math.sqrt(2) * math.log(320)
    )


def test_moment_variances_by_their_definition():
    g, M, d = rng(5), 3, 2
    fit, X = fitted(6, M, d), g.random((M, d))
    inverse, theta = g.random((M, 1, 1)) * np.eye(d), g.random((M, d))
    beta, gamma, alpha, found = 0.2, 0.7, 0.4, np.zeros(M)
    moment_variances(fit, inverse, theta, X, beta, gamma, alpha, found)
    for m in range(M):
        now = np.sqrt(X[m] @ fit.inverse[m] @ X[m])
        start = [np.sqrt(X[i] @ inverse[i] @ X[i]) for i in range(M)]
        known = 1.0
        if m < M - 1:
            means = [np.clip(theta[i] @ X[i], 0, 1) for i in range(M)]
            known = means[m + 1] - means[m] ** 2
            known += min(1, 2 * beta * start[m]) + min(1, beta * start[m + 1])
        assert found[m] == pytest.approx(max(gamma**2 * now, known, alpha**2), rel=1e-12)
    for gamma, alpha in ((3.0, 0.4), (0.7, 2.0)):  # where the other terms are the largest
        moment_variances(fit, inverse, theta, X, beta, gamma, alpha, found)
        now = [np.sqrt(X[m] @ fit.inverse[m] @ X[m]) for m in range(M)]
        assert found[0] == pytest.approx(max(gamma**2 * now[0], alpha**2))
        assert found[2] == pytest.approx(max(gamma**2 * now[2], alpha**2, 1))


@pytest.mark.parametrize("seed", range(20))
def test_moment_variances_are_at_least_the_variance_on_the_event(seed):
    """With theta within the radius at every level, V_m + E_m bounds the variance of V^(2^m)."""
    g, (M, d) = rng(seed), (4, 3)
    mdp = random_linear_mixture_mdp(5, 2, d, 3, rng=g)
    V, s, a, beta = g.random(5), int(g.integers(5)), int(g.integers(2)), 0.8
    fit, P = fitted(seed, M, d), mixture_tables(mdp).P[s, a]
    X = np.array([mdp.phi[:, s, a] @ V ** (2**m) for m in range(M)])
    theta = np.array(
        [
            mdp.theta + beta * np.linalg.cholesky(fit.inverse[m]) @ u / np.linalg.norm(u)
            for m, u in enumerate(g.standard_normal((M, d)))
        ]
    )
    found = np.zeros(M)
    moment_variances(fit, fit.inverse, theta, X, beta, 0.0, 0.0, found)
    for m in range(M - 1):
        variance = P @ V ** (2 ** (m + 1)) - (P @ V ** (2**m)) ** 2
        assert found[m] >= variance - 1e-12


def test_radii_of_long_horizons_do_not_wrap_around():
    for H, k in ((65_536, 1), (60_000, 1), (5000, 16_000)):
        assert square_radius(2, H, k, 1.0, 1.0, 0.05) > 8.0 * H**2
    assert radius(2, 3, 10**10, 1.0, 1.0, 0.05) > 1
