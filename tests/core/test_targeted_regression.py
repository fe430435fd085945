"""Value-targeted regression against its history, plans by their definition, certificates."""

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.mixture import mixture_tables
from eluder.core.targeted_regression import (
    TargetedRegression,
    add_target,
    confidence_norm,
    default_ridge,
    lower_value,
    new_targets,
    optimistic_plan,
    pair_features,
)
from eluder.envs import random_linear_mixture_mdp
from eluder.linear.mixture import ucrl_vtr
from eluder.linear.reward_free import ucrl_rfe


def rng(seed=0):
    return np.random.default_rng(seed)


def test_regression_is_that_of_the_history():
    """Inverse, solution and determinant against dense algebra, also far from a refresh; others unmoved."""
    g, d = rng(1), 4
    fit, u = new_targets(2, d, 0.3), np.zeros(d)
    assert isinstance(fit, TargetedRegression)
    X, y, w = g.random((1500, d)), g.random(1500), g.random(1500) * 3
    for i in range(1500):
        add_target(fit, 1, X[i], y[i], w[i], u)
    Lambda = 0.3 * np.eye(d) + (X * w[:, None]).T @ X
    np.testing.assert_allclose(fit.Lambda[1], Lambda, rtol=1e-12)
    np.testing.assert_allclose(fit.inverse[1], np.linalg.inv(Lambda), rtol=1e-9)
    np.testing.assert_allclose(fit.theta[1], np.linalg.solve(Lambda, X.T @ (w * y)), rtol=1e-9)
    assert fit.logdet[1] == pytest.approx(np.linalg.slogdet(Lambda)[1], rel=1e-12)
    assert confidence_norm(fit.inverse[1], X[0]) == pytest.approx(
        np.sqrt(X[0] @ np.linalg.solve(Lambda, X[0]))
    )
    assert fit.n.tolist() == [0, 1500]
    np.testing.assert_allclose(fit.inverse[0], np.eye(d) / 0.3)


def test_elliptical_potential():
    g, d, lam = rng(2), 3, 0.5
    fit, u, total = new_targets(1, d, lam), np.zeros(d), 0.0
    for _ in range(2000):
        x, w = g.standard_normal(d), g.random()
        total += min(1.0, w * confidence_norm(fit.inverse[0], x) ** 2)
        add_target(fit, 0, x, 0.0, w, u)
    assert total <= 2 * (fit.logdet[0] - d * np.log(lam))


def fitted(seed, G, d):
    g = rng(seed)
    fit, u = new_targets(G, d, 0.5), np.zeros(d)
    for i in range(40):
        add_target(fit, i % G, g.random(d), g.random(), 1.0, u)
    return fit


@pytest.mark.parametrize("staged", [False, True])
def test_plan_and_lower_value_by_their_definition(staged):
    g, (S, A, H, d) = rng(3), (4, 3, 3, 2)
    phi = g.random((H if staged else 1, d, S, A, S)) / 4
    fit, r, cap = fitted(4, H if staged else 1, d), g.random((H, S, A)), np.array([1.4, 1.3, 0.8])
    mask = g.random((S, A)) < 0.7
    mask[:, 0] = True
    Q, V, pi, x = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64), np.zeros(d)
    optimistic_plan(Q, V, pi, fit, phi, r, mask, 0.3, cap, x)
    low = np.zeros((H + 1, S))
    lower_value(low, pi, fit, phi, r, 0.3, cap, x)
    W, W_low = np.zeros(S), np.zeros(S)
    for h in reversed(range(H)):
        j = h if staged else 0
        q, q_low = np.zeros((S, A)), np.zeros(S)
        for s in range(S):
            for a in range(A):
                psi, psi_low = phi[j, :, s, a] @ W, phi[j, :, s, a] @ W_low
                wide = np.sqrt(psi @ fit.inverse[j] @ psi)
                q[s, a] = np.clip(r[h, s, a] + psi @ fit.theta[j] + 0.3 * wide, 0, cap[h])
                if a == pi[h, s]:
                    narrow = np.sqrt(psi_low @ fit.inverse[j] @ psi_low)
                    q_low[s] = np.clip(r[h, s, a] + psi_low @ fit.theta[j] - 0.3 * narrow, 0, cap[h])
        np.testing.assert_allclose(Q[h][mask], q[mask], rtol=1e-12)
        q[~mask] = -np.inf
        np.testing.assert_array_equal(pi[h], q.argmax(axis=1))
        W, W_low = q.max(axis=1), q_low
        np.testing.assert_allclose(V[h], W, rtol=1e-12)
        np.testing.assert_allclose(low[h], W_low, rtol=1e-12)


def test_plan_with_the_true_mixture_is_dynamic_programming():
    mdp = random_linear_mixture_mdp(5, 3, 3, 4, rng=rng())
    tables, (d, S, A) = mixture_tables(mdp), mdp.phi.shape[:3]
    fit = new_targets(1, d, 1.0)
    fit.theta[0] = mdp.theta
    Q, V, pi, x = np.zeros((4, S, A)), np.zeros((5, S)), np.zeros((4, S), np.int64), np.zeros(d)
    r, cap = np.broadcast_to(mdp.r, (4, S, A)).copy(), np.arange(4, 0, -1.0)
    optimistic_plan(Q, V, pi, fit, mdp.phi[None], r, mdp.mask, 0.0, cap, x)
    np.testing.assert_allclose(V, optimal_value(tables), rtol=1e-12)
    lower_value(V, pi, fit, mdp.phi[None], r, 0.0, cap, x)
    np.testing.assert_allclose(V, policy_value(tables, pi), rtol=1e-12)


def test_features_are_linear_in_the_value():
    mdp, x = random_linear_mixture_mdp(5, 3, 3, 4, rng=rng()), np.zeros(3)
    V = rng().random(5)
    pair_features(mdp.phi[None], 2, 4, 1, V, x)
    np.testing.assert_allclose(x, mdp.phi[:, 4, 1] @ V, rtol=1e-12)
    assert x @ mdp.theta == pytest.approx(mixture_tables(mdp).P[4, 1] @ V)


def test_refuses_a_vanishing_ridge():
    with pytest.raises(ValueError, match="lam is 1e-14, it must be at least 1e-10"):
        new_targets(1, 2, 1e-14)
    mdp = random_linear_mixture_mdp(3, 2, 2, 2, rng=rng())._replace(B=1e9)
    with pytest.raises(ValueError, match=r"lam is 1e-18, .*B is too large"):
        ucrl_vtr(mdp, 5, rng=rng())


def test_a_certificate_is_trivial_beside_what_the_reward_can_pay():
    mdp = random_linear_mixture_mdp(4, 3, 2, 3, rng=rng(1))
    explored = ucrl_rfe(mdp, 50, rng=rng())
    with pytest.warns(RuntimeWarning, match="the gap is trivial"):
        plan = explored.plan(np.full((4, 3), 0.1))
    assert plan.gap > 0.3
    assert "the gap is trivial" in plan.status
    with pytest.warns(RuntimeWarning, match="the gap is trivial"):
        assert explored.plan(np.zeros((4, 3))).status != "converged"


def test_default_ridge_by_hand():
    assert default_ridge(2.0) == 0.25
    assert default_ridge(2.0, 3) == 0.75
    for B in (1e-60, 1e60, 1e200):
        with pytest.raises(ValueError, match=r"B is .*, its square must be in"):
            default_ridge(B)
