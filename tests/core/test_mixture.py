"""Linear mixture MDPs: checks, regressions against dense algebra, plans, variances of moments, instances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eluder.core.exact import optimal_value, policy_value
from eluder.core.mixture import (
    LinearMixtureMDP,
    TargetedRegression,
    add_target,
    confidence_norm,
    largest_return,
    lower_value,
    mixture_tables,
    moment_levels,
    moment_radius,
    moment_variances,
    new_targets,
    optimistic_plan,
    pair_features,
    refuse_not_mixture,
)
from eluder.envs import (
    hypercube_mixture_mdp,
    one_hot_mixture_mdp,
    random_linear_mixture_mdp,
    river_swim,
    wait_or_take_mixture_mdp,
)
from eluder.linear.mixture import ucrl_vtr
from eluder.linear.mixture._ucrl_vtr_plus import radius, square_radius
from eluder.linear.reward_free import ucrl_rfe
from tests.instances import random_episodic


def rng(seed=0):
    return np.random.default_rng(seed)


# --- problems ---


def test_tables_are_the_mixture_with_and_without_stages():
    g = rng()
    phi, theta = g.dirichlet(np.ones(4), (3, 2, 4, 2)), g.dirichlet(np.ones(2), 3)
    mdp = LinearMixtureMDP(phi, theta, np.ones((4, 2)) / 3, np.ones(4) / 4, 3)
    P = mixture_tables(mdp).P
    for h in range(3):
        np.testing.assert_allclose(P[h], theta[h, 0] * phi[h, 0] + theta[h, 1] * phi[h, 1], rtol=1e-12)
    for phi_, theta_ in ((phi[0], theta), (phi, theta[0])):
        P = mixture_tables(mdp._replace(phi=phi_, theta=theta_)).P
        assert P.shape == (3, 4, 2, 4)
        h_phi, h_theta = (0, 2) if phi_.ndim == 4 else (2, 0)
        np.testing.assert_allclose(P[2], np.tensordot(theta[h_theta], phi[h_phi], 1), rtol=1e-12)
    assert pytest.approx(np.sqrt((theta**2).sum(axis=1)).max()) == mdp.B


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": [0.5, 0.6]}, r"phi theta\[0, 0\] sums to 1.1, not 1"),
        ({"theta": [1.5, -0.5]}, r"phi theta\[0, 0, 1\] is -0.5, it must not be negative"),
        ({"theta": [1.0]}, r"theta must have shape \(2\), got \(1,\)"),
        ({"theta": [0.5, np.nan]}, r"theta\[1\] is nan, it must be finite"),
        ({"phi": np.ones((2, 2, 1, 3))}, r"phi must have shape \(2, 2, 1, 2\)"),
        ({"phi": np.ones((3, 2, 2, 1, 2))}, r"phi must have shape \(2, n >= 1"),
        ({"r": [[0.0], [2.0]]}, r"r\[1, 0\] is 2, it must be in \[0, 1\]"),
        ({"mu": [0.5, 0.6]}, "mu sums to 1.1, not 1"),
        ({"H": 0}, "H must be at least 1"),
        ({"B": 0.1}, r"B must be at least \|theta\| = 0.707107, got 0.1"),
        ({"mask": [[False], [True]]}, "mask"),
    ],
)
def test_bad_problems_are_named(change, message):
    phi = [[[[1.0, 0.0]], [[1.0, 0.0]]], [[[0.0, 1.0]], [[0.0, 1.0]]]]
    good = {"phi": phi, "theta": [0.5, 0.5], "r": [[0.0], [1.0]], "mu": [1.0, 0.0], "H": 2}
    LinearMixtureMDP(**good)
    with pytest.raises(ValueError, match=message):
        LinearMixtureMDP(**{**good, **change})


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(float, (2, 2, 1, 2), elements=st.floats(allow_nan=True, width=64)))
def test_arbitrary_base_kernels_are_refused_or_make_a_kernel(phi):
    finite = np.isfinite(phi).all()
    P = phi.mean(axis=0) if finite and np.abs(phi).max() < 1e6 else np.full((2, 1, 2), np.nan)
    if (P >= 0).all() and np.allclose(P.sum(axis=-1), 1, rtol=0, atol=1e-9):
        mdp = LinearMixtureMDP(phi, [0.5, 0.5], [[0.0], [1.0]], [1.0, 0.0], 2)
        np.testing.assert_allclose(mixture_tables(mdp).P.sum(axis=-1), 1)
    else:
        with pytest.raises(ValueError, match=r"^phi"):
            LinearMixtureMDP(phi, [0.5, 0.5], [[0.0], [1.0]], [1.0, 0.0], 2)


def test_refusals():
    mdp = random_linear_mixture_mdp(4, 2, 2, 3, rng=rng())
    with pytest.raises(ValueError, match="mdp must be a LinearMixtureMDP, got str"):
        refuse_not_mixture("x")
    with pytest.raises(ValueError, match="one theta for all stages"):
        refuse_not_mixture(hypercube_mixture_mdp(3, 3, 0.1, rng=rng()), homogeneous=True)
    with pytest.raises(ValueError, match=r"may add up to 2\.\d+, they must to 1 at most"):
        refuse_not_mixture(mdp, total=True)
    refuse_not_mixture(random_linear_mixture_mdp(4, 2, 2, 3, total=1.0, rng=rng()), total=True)


@pytest.mark.parametrize("seed", range(5))
def test_largest_return_by_enumeration(seed):
    tables = random_episodic(S=3, A=2, H=3, seed=seed, masked=True)
    P = np.where(tables.P < 0.25, 0, tables.P)
    mdp = one_hot_mixture_mdp(tables._replace(P=P / P.sum(axis=-1, keepdims=True)))
    tables = mixture_tables(mdp)

    def best(h, s):
        if h == 3:
            return 0.0
        P = tables.P[h] if tables.P.ndim == 4 else tables.P
        r = np.broadcast_to(tables.r, (3, 3, 2))[h]
        return max(
            r[s, a] + max(best(h + 1, t) for t in range(3) if P[s, a, t] > 0)
            for a in range(2)
            if tables.mask[s, a]
        )

    assert largest_return(mdp) == pytest.approx(max(best(0, s) for s in range(3) if tables.mu[s] > 0))


# --- instances ---


def test_random_instance_is_normalised():
    mdp = random_linear_mixture_mdp(6, 3, 4, 5, total=0.7, rng=rng())
    assert largest_return(mdp) == pytest.approx(0.7)
    assert mdp.B == 2.0
    corners = np.array([[i >> s & 1 for s in range(6)] for i in range(64)], float)
    assert np.linalg.norm(mdp.phi @ corners.T, axis=0).max() <= 1 + 1e-12
    assert random_linear_mixture_mdp(6, 3, 4, 5, rng=rng()).r.max() > 0.9
    with pytest.raises(ValueError, match=r"total must be in \(0, 1\], got 2"):
        random_linear_mixture_mdp(6, 3, 4, 5, total=2, rng=rng())


def test_hypercube_has_its_value_and_its_features():
    H, gap = 6, 0.1
    mdp = hypercube_mixture_mdp(4, H, gap, rng=rng())
    tables = mixture_tables(mdp)
    q = 1 / H + gap
    value = sum(1 - (1 - q) ** h for h in range(H))
    assert optimal_value(tables)[0, 0] == pytest.approx(value, rel=1e-12)
    for h in range(H):
        P = tables.P[h, h]
        np.testing.assert_allclose(P[:, [h + 1, H + 1]].sum(axis=1), 1)
        assert np.isclose(P[:, H + 1], q).sum() == 1, "one best corner per stage"
        assert P[:, H + 1].min() == pytest.approx(1 / H - gap)
    assert len({int(tables.P[h, h, :, H + 1].argmax()) for h in range(H)}) > 1, "a corner for each stage"
    np.testing.assert_allclose(tables.P[:, H + 1, :, H + 1], 1)
    for V in rng().random((20, H + 2)):
        assert np.linalg.norm(mdp.phi @ V, axis=0).max() <= 1 + 1e-12
    with pytest.raises(ValueError, match=r"gap must be in \(0, 0.25\], got 0.3"):
        hypercube_mixture_mdp(4, 4, 0.3, rng=rng())


@pytest.mark.parametrize(("H", "take", "survive"), [(3, 0.3, 0.5), (8, 0.9, 0.5), (16, 0.2, 0.25)])
def test_waiting_is_worth_what_survives_at_every_horizon(H, take, survive):
    mdp = wait_or_take_mixture_mdp(H, take=take, survive=survive)
    tables = mixture_tables(mdp)
    wait = np.ones(3, np.int64)
    assert policy_value(tables, wait)[0, 0] == pytest.approx(survive)
    assert policy_value(tables, 0 * wait)[0, 0] == pytest.approx(take)
    assert optimal_value(tables)[0, 0] == pytest.approx(max(take, survive))
    assert largest_return(mdp) == 1
    for V in np.vstack([np.eye(3), np.ones((1, 3)), rng().random((20, 3))]):
        assert (np.linalg.norm(np.einsum("isat,t->sai", mdp.phi, V), axis=2) <= 1 + 1e-12).all()
    with pytest.raises(ValueError, match="H must be at least 3"):
        wait_or_take_mixture_mdp(2)
    with pytest.raises(ValueError, match=r"survive must be in \(0, 1\]"):
        wait_or_take_mixture_mdp(3, survive=0.0)


def test_one_hot_is_the_same_problem():
    tables = river_swim(3, H=4)
    mdp = one_hot_mixture_mdp(tables)
    np.testing.assert_array_equal(mixture_tables(mdp).P, tables.P)
    with pytest.raises(ValueError, match="mdp must be an EpisodicMDP"):
        one_hot_mixture_mdp(mdp)


# --- regression ---


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


# --- high-order moments ---


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


def test_what_cancels_is_not_reachable():
    """A signed mixture leaves 5e-17 where terms cancel: no trajectory goes there."""
    phi = np.zeros((3, 3, 1, 3))
    phi[0, 0, 0], phi[1, 0, 0], phi[2, 0, 0] = [0.9, 0.1, 0], [0.8, 0.2, 0], [0.7, 0.3, 0]
    phi[0, 1, 0, 1] = phi[0, 2, 0, 2] = 1
    mdp = LinearMixtureMDP(phi, [1.0, 1.0, -1.0], [[0.3], [1.0], [0.0]], [1.0, 0, 0], 3)
    assert largest_return(mdp) == pytest.approx(0.9)
    assert mixture_tables(mdp).P[0, 0].tolist() == [1.0, 0.0, 0.0]


def test_refuses_kernels_that_are_not_numbers():
    with (
        pytest.raises(ValueError, match=r"phi theta\[0, 0, 0\] is nan, it must be finite"),
        np.errstate(all="ignore"),
    ):
        LinearMixtureMDP(np.full((2, 1, 1, 1), 1e308), [1e10, -1e10], [[0.5]], [1.0], 2, B=1e11)


def test_radii_of_long_horizons_do_not_wrap_around():
    for H, k in ((65_536, 1), (60_000, 1), (5000, 16_000)):
        assert square_radius(2, H, k, 1.0, 1.0, 0.05) > 8.0 * H**2
    assert radius(2, 3, 10**10, 1.0, 1.0, 0.05) > 1


def test_refuses_a_vanishing_ridge():
    with pytest.raises(ValueError, match="lam is 1e-14, it must be at least 1e-10"):
        new_targets(1, 2, 1e-14)
    mdp = random_linear_mixture_mdp(3, 2, 2, 2, rng=rng())._replace(B=1e9)
    with pytest.raises(ValueError, match=r"lam is 1e-18, .*B is too large"):
        ucrl_vtr(mdp, 5, rng=rng())


def test_a_certificate_is_trivial_beside_what_the_reward_can_pay():
    mdp = random_linear_mixture_mdp(4, 3, 2, 3, rng=rng(1))
    explored = ucrl_rfe(mdp, 50, rng=rng())
    plan = explored.plan(np.full((4, 3), 0.1))
    assert plan.gap > 0.3
    assert "the gap is trivial" in plan.status
    assert explored.plan(np.zeros((4, 3))).status != "converged"
