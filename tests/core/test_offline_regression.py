"""Regressions from recorded transitions: dense algebra on the history, variances, halves."""

import numpy as np
import pytest

from eluder.core.linear import episodic
from eluder.core.offline_regression import absorb, absorb_stage, halves, next_variances
from eluder.core.transitions import collect_episodes
from eluder.core.value_regression import new_regression
from eluder.envs import random_linear_mdp


def record(K=201, H=3):
    mdp = random_linear_mdp(5, 3, 3, H, rng=np.random.default_rng(0))
    return mdp, collect_episodes(episodic(mdp), np.full((5, 3), 1 / 3), K, np.random.default_rng(1))


def test_sums_and_inverses_are_those_of_the_history():
    mdp, data = record()
    var = 1 + 3 * np.random.default_rng(2).random((5, 3))
    plain, weighted = new_regression(mdp.phi, 3, 0.7), new_regression(mdp.phi, 3, 0.7)
    absorb(plain, *data)
    for h in range(3):
        absorb_stage(weighted, h, *data, var)
        F = mdp.phi[data.s[:, h], data.a[:, h]]
        for fit, w in ((plain, np.ones(201)), (weighted, 1 / var[data.s[:, h], data.a[:, h]])):
            Lambda = 0.7 * np.eye(3) + (F * w[:, None]).T @ F
            np.testing.assert_allclose(fit.Lambda[h], Lambda)
            np.testing.assert_allclose(fit.inverse[h], np.linalg.inv(Lambda), rtol=1e-9)
            np.testing.assert_allclose(fit.M[h], (F * w[:, None]).T @ np.eye(5)[data.s_next[:, h]])
            np.testing.assert_allclose(fit.b[h], (F * w[:, None]).T @ data.r[:, h])


def test_variances_are_those_of_two_regressions():
    """Cut to their range, and at least 1; rewards are no part of them."""
    mdp, data = record()
    fit, var = new_regression(mdp.phi, 3, 1.0), np.zeros((5, 3))
    absorb(fit, *data)
    F = mdp.phi[data.s[:, 1], data.a[:, 1]]
    for scale, ceiling in ((8.0, 100.0), (8.0, 3.0), (-8.0, 100.0)):
        V = scale * np.random.default_rng(3).random(5)
        u, square = (np.linalg.solve(np.eye(3) + F.T @ F, F.T @ V[data.s_next[:, 1]] ** p) for p in (1, 2))
        expected = np.clip(mdp.phi @ square, 0, ceiling**2) - np.clip(mdp.phi @ u, 0, ceiling) ** 2
        next_variances(fit, 1, V, ceiling, var)
        assert expected.max() > 1.2
        np.testing.assert_allclose(var, np.maximum(1, expected), rtol=1e-9)


def test_halves():
    _, data = record()
    first, rest = halves(data)
    assert len(first.r) == 100
    np.testing.assert_array_equal(np.vstack([first.s, rest.s]), data.s)
    np.testing.assert_array_equal(np.vstack([first.r, rest.r]), data.r)
    with pytest.raises(ValueError, match="data must hold at least 2 transitions of each stage, got 1"):
        halves(record(K=1)[1])
