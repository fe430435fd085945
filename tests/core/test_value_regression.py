"""Regression onto all next states against dense algebra."""

import math

import numpy as np
import pytest

from eluder.core.kernels import kernel, sample
from eluder.core.linear import episodic
from eluder.core.value_regression import (
    ValueRegression,
    add_predictions,
    add_round,
    add_weighted_round,
    new_regression,
    predict,
    solve,
)
from eluder.envs import random_linear_mdp
from eluder.linear.exploration import lsvi_ucb, rlsvi


def rng(seed=0):
    return np.random.default_rng(seed)


def test_statistics_are_those_of_the_history_after_many_rounds():
    """Inverse, widths, determinant and solution against dense algebra, also far from a refresh."""
    g, H, d = rng(), 2, 4
    phi = g.dirichlet(np.ones(d), (6, 2))
    fit, u = new_regression(phi, H, 0.7), np.zeros(d)
    assert isinstance(fit, ValueRegression)
    rounds = []
    for _ in range(3000):
        s, a, t, r = int(g.integers(6)), int(g.integers(2)), int(g.integers(6)), float(g.random())
        add_round(fit, 1, s, a, r, t, u)
        rounds.append((phi[s, a], r, t))
    F = np.array([f for f, *_ in rounds])
    Lambda = 0.7 * np.eye(d) + F.T @ F
    np.testing.assert_allclose(fit.inverse[1], np.linalg.inv(Lambda), rtol=1e-9)
    width2 = np.einsum("sai,ij,saj->sa", phi, np.linalg.inv(Lambda), phi)
    np.testing.assert_allclose(fit.width2[1], width2, rtol=1e-9)
    assert fit.logdet[1] == pytest.approx(np.linalg.slogdet(Lambda)[1], rel=1e-12)
    np.testing.assert_allclose(fit.inverse[0], np.eye(d) / 0.7)
    V, y, w = g.random(6), np.zeros(d), np.zeros(d)
    solve(fit, 1, V, y, w)
    target = sum(f * (r + V[t]) for f, r, t in rounds)
    np.testing.assert_allclose(w, np.linalg.solve(Lambda, target), rtol=1e-9)


def test_weighted_statistics_are_those_of_the_history():
    g, d, lam = rng(2), 3, 0.2
    phi = g.dirichlet(np.ones(d), (5, 2))
    fit, u, y, w = new_regression(phi, 1, lam), np.zeros(d), np.zeros(d), np.zeros(d)
    Lambda, target, V = lam * np.eye(d), np.zeros(d), g.random(5)
    for _ in range(700):
        s, a, t, r, weight = (
            int(g.integers(5)),
            int(g.integers(2)),
            int(g.integers(5)),
            g.random(),
            g.random(),
        )
        add_weighted_round(fit, 0, s, a, r, t, weight, u)
        f = phi[s, a]
        Lambda += weight * np.outer(f, f)
        target += weight * f * (r + V[t])
    solve(fit, 0, V, y, w)
    np.testing.assert_allclose(w, np.linalg.solve(Lambda, target), rtol=1e-9)
    np.testing.assert_allclose(fit.inverse[0], np.linalg.inv(Lambda), rtol=1e-9)
    width2 = np.einsum("sai,ij,saj->sa", phi, np.linalg.inv(Lambda), phi)
    np.testing.assert_allclose(fit.width2[0], width2, rtol=1e-9)
    assert fit.logdet[0] == pytest.approx(np.linalg.slogdet(Lambda)[1], rel=1e-12)
    assert predict(fit, 2, 1, w) == pytest.approx(phi[2, 1] @ w, rel=1e-14)


def test_widths_obey_the_elliptical_potential():
    """``sum min(1, phi' Lambda^-1 phi) <= 2 ln(det Lambda / det(lam I))`` (Abbasi-Yadkori et al., 2011)."""
    g, d = rng(1), 4
    phi = g.dirichlet(np.ones(d), (6, 2))
    fit, u, total = new_regression(phi, 1, 1.0), np.zeros(d), 0.0
    for _ in range(2000):
        s, a = int(g.integers(6)), int(g.integers(2))
        total += min(1.0, fit.width2[0, s, a])
        add_round(fit, 0, s, a, 0.0, 0, u)
        assert total <= 2 * fit.logdet[0] + 1e-9


@kernel
def misses(fit, P, V, w_true, deviation, rounds, g, u, y, w):
    """Whether ``|phi (w - w*)| > beta |phi|`` for some pair after some round; one run, uniform pairs."""
    S, A = fit.width2.shape[1:]
    for _ in range(rounds):
        s, a = int(g.random() * S), int(g.random() * A)
        t = sample(P[s, a], g)
        add_round(fit, 0, s, a, 0.0, t, u)
        solve(fit, 0, V, y, w)
        beta = deviation[0] * math.sqrt(2 * deviation[1] + fit.logdet[0]) + deviation[2]
        for x in range(S):
            for z in range(A):
                error = abs(predict(fit, x, z, w) - predict(fit, x, z, w_true))
                if error > beta * math.sqrt(fit.width2[0, x, z]) + 1e-12:
                    return True
    return False


@pytest.mark.parametrize(("scale", "expected"), [(1.0, (0.0, 0.05)), (0.15, (0.2, 1.0))])
def test_the_ellipsoid_covers_the_regression_in_enough_of_a_thousand_runs(scale, expected):
    """Of a fixed V, at all times of a run at once: radius ``R sqrt(2 ln(1/delta) + ln det Lambda) + |w*|``.

    That is for lam = 1; values in [0, 2] have R = 1 (Abbasi-Yadkori, Pal & Szepesvari 2011, Theorem 2).
    """
    g, S, A, d = rng(4), 5, 3, 3
    mdp = random_linear_mdp(S, A, d, 1, rng=g)
    P, V = episodic(mdp).P[0], 2 * g.random(S)
    w_true = mdp.psi[0] @ V
    deviation = scale * np.array([1.0, 0.0, np.linalg.norm(w_true)])
    deviation[1] = math.log(1 / 0.05)
    missed = sum(
        misses(new_regression(mdp.phi, 1, 1.0), P, V, w_true, deviation, 200, g, *np.zeros((3, d)))
        for _ in range(1000)
    )
    print(scale, missed)
    assert expected[0] <= missed / 1000 <= expected[1]


@pytest.mark.parametrize("lam", [1e-310, 1e-12, float("nan")])
def test_refuses_a_ridge_that_is_nothing_beside_the_features(lam):
    with pytest.raises(
        ValueError, match=r"lam is .*, with phi of norm 1 it must be at least 1e-10 of its square"
    ):
        new_regression(np.eye(2).reshape(2, 1, 2), 3, lam)
    for learner in (lsvi_ucb, rlsvi):
        with pytest.raises(ValueError, match="lam"):
            learner(random_linear_mdp(4, 2, 2, 2, rng=rng()), 5, lam=lam, rng=rng())


def test_predictions_of_all_pairs_are_those_of_each():
    g, d = rng(3), 5
    fit, w = new_regression(g.standard_normal((6, 3, d)), 1, 1.0), g.standard_normal(d)
    out = np.ones((6, 3))
    add_predictions(fit, w, out)
    np.testing.assert_allclose(out, [[1 + predict(fit, s, a, w) for a in range(3)] for s in range(6)])
