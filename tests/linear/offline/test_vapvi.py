"""VAPVI: its definition, pessimism, variances against the true ones, and what weights gain."""

import math

import numpy as np
import pytest

from eluder.core.exact import occupancy, policy_value
from eluder.core.linear import episodic
from eluder.core.offline_regression import absorb, next_variances
from eluder.core.transitions import collect_episodes
from eluder.core.value_regression import new_regression
from eluder.envs import hypercube_linear_mdp, random_linear_mdp
from eluder.linear.offline import pevi, vapvi
from eluder.linear.offline._vapvi import radius, remainder
from eluder.tabular.planning import backward_induction


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0, S=6, A=3, d=3, H=4):
    return random_linear_mdp(S, A, d, H, rng=rng(seed))


def uniform(mdp, K, seed=0):
    pi = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    return collect_episodes(episodic(mdp), pi, K, rng(seed))


def naive(mdp, data, beta, rest, lam):
    """The algorithm as the paper writes it: dense algebra, one stage after the other."""
    S, _, d = mdp.phi.shape
    H, half = mdp.H, len(data.r) // 2
    V, pi, heaviest = np.zeros((H + 1, S)), np.zeros((H, S), int), 0.0
    for h in reversed(range(H)):
        F = mdp.phi[data.s[:half, h], data.a[:half, h]]
        next_value = V[h + 1, data.s_next[:, h]]
        Sigma = lam * np.eye(d) + F.T @ F
        u, u_square = (np.linalg.solve(Sigma, F.T @ next_value[:half] ** p) for p in (1, 2))
        var = np.clip(mdp.phi @ u_square, 0, (H - h) ** 2) - np.clip(mdp.phi @ u, 0, H - h) ** 2
        heaviest = max(heaviest, var.max())
        weight = 1 / np.maximum(1, var)[data.s[half:, h], data.a[half:, h]]
        F = mdp.phi[data.s[half:, h], data.a[half:, h]]
        Lambda = lam * np.eye(d) + (F * weight[:, None]).T @ F
        w = np.linalg.solve(Lambda, F.T @ (weight * (data.r[half:, h] + next_value[half:])))
        width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, np.linalg.inv(Lambda), mdp.phi))
        Q = np.where(mdp.mask, np.clip(mdp.phi @ w - beta * width - rest, 0, H - h), -np.inf)
        V[h], pi[h] = Q.max(axis=1), np.round(Q, 11).argmax(axis=1)
    return V[:-1], pi, heaviest


@pytest.mark.parametrize("c", [0.0, 0.005, 1.0])
def test_definition(c):
    """On the cube the next value is 0 or nearly H: variances far above the floor of 1."""
    mask = np.ones((2, 4), bool)
    mask[0, 1] = mask[1, 0] = False
    mdp = hypercube_linear_mdp(4, 6, 0.1, rng=rng())._replace(mask=mask)
    data = uniform(mdp, 401)
    result = vapvi(mdp, data, c=c, lam=0.7)
    V, pi, heaviest = naive(mdp, data, c * radius(4, 6, 201, 0.05), c * remainder(4, 6, 201), 0.7)
    assert c == 1 or heaviest > 1.5
    np.testing.assert_allclose(result.V, V, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(result.pi, pi)
    assert np.isneginf(result.Q[:, 0, 1]).all()


def test_equations_by_hand():
    assert radius(4, 3, 100, 0.1) == pytest.approx(2 * math.log(2 * 4 * 3 * 100 / 0.1))
    assert remainder(4, 3, 100) == pytest.approx(2 * 27 * 2 / 100)


def test_variances_converge_to_the_true_ones():
    mdp = problem(1, H=8)
    tables, fit = episodic(mdp), new_regression(mdp.phi, 8, 1.0)
    absorb(fit, *uniform(mdp, 60_000))
    V_next = 10 * rng(2).random(6)
    var = np.zeros((6, 3))
    next_variances(fit, 0, V_next, 100.0, var)
    exact = tables.P[0] @ V_next**2 - (tables.P[0] @ V_next) ** 2
    assert exact.max() > 1.5
    start = mdp.mu > 0
    np.testing.assert_allclose(var[start], np.maximum(1, exact)[start], rtol=0.1)


@pytest.mark.parametrize("c", [0.2, 1.0])
def test_values_are_pessimistic(c):
    for seed in range(30):
        mdp = problem(seed)
        tables = episodic(mdp)
        result = vapvi(mdp, uniform(mdp, 2000, seed), c=c)
        assert (result.V[0] <= policy_value(tables, result.pi)[0] + 1e-9).all()


def test_the_full_radius_says_something_with_many_data():
    """c = 1, a short horizon: values above 0 that are below the truth, and every estimate in its interval."""
    said = []
    for seed in range(6):
        mdp = problem(seed, S=4, d=2, H=2)
        tables = episodic(mdp)
        result = vapvi(mdp, uniform(mdp, 200_000, seed))
        assert (result.V[0] <= policy_value(tables, result.pi)[0]).all()
        truth = tables.r.copy()
        truth[0] += tables.P[0] @ result.V[1]
        cut = (result.Q <= 0) | (result.Q >= [[[2]], [[1]]])
        assert (np.abs(result.Q + result.penalty - truth) <= result.penalty)[~cut].all()
        said.append(result.V[0].max())
    assert np.mean(np.array(said) > 0.3) > 0.6


def test_penalty_is_below_that_of_pevi():
    """sqrt(d) instead of d H, and weights that undo H where the variance is small."""
    mdp = problem(2, H=6)
    data = uniform(mdp, 20_000)
    assert vapvi(mdp, data).penalty.mean() < 0.7 * pevi(mdp, data).penalty.mean()


def test_refuses_a_single_episode():
    with pytest.raises(ValueError, match="data must hold at least 2 transitions of each stage, got 1"):
        vapvi(problem(), uniform(problem(), 1))


@pytest.mark.slow
def test_gap_falls_like_one_over_the_root():
    mdp, sizes = problem(3), np.array([4_000, 16_000, 64_000, 256_000])
    tables = episodic(mdp)
    d_star = occupancy(tables, backward_induction(tables).pi)
    bound = [
        np.mean([(vapvi(mdp, uniform(mdp, int(K), i)).penalty * d_star).sum() for i in range(5)])
        for K in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(bound), 1)[0]
    print(f"vapvi: slope of the penalty along the optimal policy {slope:.3f}")
    assert abs(slope + 0.5) < 0.08
