"""Inverse covariances: exact, by resampling with its exact mean, by enumeration; bias bounds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.core.adversarial_books import adversarial_books
from eluder.core.covariance import (
    add_outer,
    covariances,
    geometric_resampling,
    inverse_covariances,
    regularised_inverse,
    resampling_bias,
    resampling_mean,
    resampling_moment,
    resampling_terms,
)
from eluder.envs import adversarial_linear_mdp

H, S, A, D = 3, 4, 2, 3


def setup(seed=0):
    rng = np.random.default_rng(seed)
    mdp = adversarial_linear_mdp(S, A, D, H, rng=rng)
    return mdp, adversarial_books(mdp, 1).sim, rng.dirichlet(np.ones(A), (H, S))


def trajectories(mdp, pi):
    """(probability, features of the stages) of every path of states and actions."""
    for path in itertools.product(range(S * A), repeat=H):
        pairs = [divmod(x, A) for x in path]
        p = mdp.mu[pairs[0][0]]
        for h, (s, a) in enumerate(pairs):
            p *= pi[h, s, a]
            if h + 1 < H:
                p *= mdp.P[h, s, a, pairs[h + 1][0]]
        if p > 0:
            yield p, np.array([mdp.phi[s, a] for s, a in pairs])


def test_covariances_by_enumeration_of_paths():
    mdp, sim, pi = setup()
    Sigma, out = np.full((H, D, D), np.nan), np.full((H, D, D), np.nan)
    covariances(sim, mdp.phi, pi, np.zeros((H, S)), Sigma)
    naive = sum(p * np.einsum("hi,hj->hij", x, x) for p, x in trajectories(mdp, pi))
    np.testing.assert_allclose(Sigma, naive, atol=1e-12)
    before = Sigma.copy()
    regularised_inverse(Sigma, 0.1, out)
    np.testing.assert_allclose(
        out @ (naive + 0.1 * np.eye(D)), np.broadcast_to(np.eye(D), out.shape), atol=1e-9
    )
    np.testing.assert_array_equal(Sigma, before)
    M = np.ones((2, 2))
    add_outer(M, np.array([1.0, 2.0]), 0.5)
    np.testing.assert_allclose(M, [[1.5, 2.0], [2.0, 3.0]])


def naive_resampling(sim, phi, pi, gamma, c, M, N, rng):
    """As the papers write it: products of matrices, one list of draws for each repetition."""
    total = np.zeros((H, D, D))
    for _ in range(M):
        Y = np.zeros((N, H, D, D))
        for n in range(N):
            s = int(np.searchsorted(np.cumsum(sim.mu), rng.random(), side="right"))
            for h in range(H):
                a = int(np.searchsorted(np.cumsum(pi[h, s]), rng.random(), side="right"))
                Y[n, h] = gamma * np.eye(D) + np.outer(phi[s, a], phi[s, a])
                slot = int(np.searchsorted(np.cumsum(sim.prob[h, s, a]), rng.random(), side="right"))
                s = sim.succ[h, s, a, slot]
        for h in range(H):
            Z = np.eye(D)
            total[h] += c * Z
            for n in range(N):
                Z = Z @ (np.eye(D) - c * Y[n, h])
                total[h] += c * Z
    return total / M


@pytest.mark.parametrize("seed", range(3))
def test_resampling_is_its_definition(seed):
    mdp, sim, pi = setup(seed)
    out = np.full((H, D, D), np.nan)
    geometric_resampling(
        sim, mdp.phi, pi, 0.2, 0.4, 3, 5, np.random.default_rng(seed), np.zeros((H, D, D)), out
    )
    naive = naive_resampling(sim, mdp.phi, pi, 0.2, 0.4, 3, 5, np.random.default_rng(seed))
    np.testing.assert_allclose(out, naive, rtol=1e-12, atol=1e-14)


def test_mean_of_resampling_by_enumeration_of_all_draws():
    """Two terms: every pair of paths, with its probability; equal to the closed form."""
    mdp, _, pi = setup(1)
    gamma, c = 0.3, 0.5
    laws = list(trajectories(mdp, pi))
    for h in range(H):
        Y = np.array([gamma * np.eye(D) + np.outer(x[h], x[h]) for _, x in laws])
        step = np.eye(D) - c * Y
        p = np.array([p for p, _ in laws])
        mean = c * np.eye(D) + c * np.einsum("a,aij->ij", p, step)
        for q, first in zip(p, step, strict=True):
            mean += c * q * np.einsum("a,ij,ajk->ik", p, first, step)
        Sigma = np.einsum("a,aij->ij", p, (Y - gamma * np.eye(D)))
        np.testing.assert_allclose(resampling_mean(Sigma, gamma, c, 2), mean, atol=1e-10)


def test_second_moments_of_resampling_by_recursion():
    """``E u_n u_m'`` of ``u_n = Z_n' x``, exact, for every N up to 400, against the bound and enumeration."""
    mdp, _, pi = setup(1)
    laws = list(trajectories(mdp, pi))
    p, ratio = np.array([p for p, _ in laws]), 0.0
    for h in range(1, H):  # at the start there are not enough features
        x = np.array([features[h] for _, features in laws])
        Sigma = np.einsum("a,ai,aj->ij", p, x, x)
        lam, step = np.linalg.eigvalsh(Sigma)[0], np.eye(D) - Sigma / 2
        draws = np.eye(D) - np.einsum("ai,aj->aij", x, x) / 2
        for start in (np.eye(D)[0], np.eye(D)[1], np.ones(D) / np.sqrt(D)):
            G = np.outer(start, start)  # E u_n u_n'
            cross, total = np.zeros((D, D)), np.zeros((D, D))  # E (sum_{m < n} u_m) u_n', E of the square
            for n in range(400):
                if n > 0:
                    cross = (cross + G) @ step
                    G = np.einsum("a,aij,jk,alk->il", p, draws, G, draws)
                total += G + cross + cross.T
                moment = np.trace(total @ Sigma) / 4
                assert moment <= resampling_moment(lam)
                if n == 1:
                    first = [start @ (np.eye(D) + draw) / 2 for draw in draws]
                    by_hand = sum(q * u @ Sigma @ u for q, u in zip(p, first, strict=True))
                    assert moment == pytest.approx(by_hand)
            ratio = max(ratio, moment / resampling_moment(lam))
    assert ratio > 0.2, "the bound is of the right size"


def test_resampling_is_unbiased_for_its_mean():
    mdp, sim, pi = setup(2)
    Sigma, out, z = np.zeros((H, D, D)), np.zeros((H, D, D)), np.zeros((H, D, D))
    covariances(sim, mdp.phi, pi, np.zeros((H, S)), Sigma)
    runs, rng = [], np.random.default_rng(0)
    for _ in range(200):
        geometric_resampling(sim, mdp.phi, pi, 0.2, 0.5, 50, 8, rng, z, out)
        runs.append(out.copy())
    mean = np.array([resampling_mean(Sigma[h], 0.2, 0.5, 8) for h in range(H)])
    error = np.std(runs, axis=0) / np.sqrt(len(runs))
    assert (np.abs(np.mean(runs, axis=0) - mean) <= 4.5 * error + 1e-12).all()


@given(seed=st.integers(0, 10_000), gamma=st.floats(0.01, 0.9), N=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_bias_is_within_its_bound(seed, gamma, N):
    x = np.random.default_rng(seed).normal(size=(5, D))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    Sigma = x.T @ x / 5
    exact = np.linalg.inv(gamma * np.eye(D) + Sigma)
    bias = np.linalg.norm(exact - resampling_mean(Sigma, gamma, 0.5, N), 2)
    assert bias <= resampling_bias(gamma, 0.5, N) + 1e-9
    closed = np.linalg.matrix_power(np.eye(D) - 0.5 * (gamma * np.eye(D) + Sigma), N + 1) @ exact
    np.testing.assert_allclose(exact - resampling_mean(Sigma, gamma, 0.5, N), closed, atol=1e-9)


def test_terms_reach_their_accuracy():
    for gamma, eps in ((0.1, 0.1), (0.5, 0.01), (0.02, 1.0)):
        assert resampling_bias(gamma, 0.5, resampling_terms(gamma, eps)) <= eps
    assert resampling_terms(0.1, 0.1) == int(np.ceil(20 * np.log(100)))
    assert resampling_terms(1.0, 10.0) == 1
    assert resampling_moment(0.25) == pytest.approx(17 / 3)
    assert resampling_bias(0.2, 0.5, 2) == pytest.approx(0.9**3 / 0.2)


def test_the_plug_in_chooses():
    mdp, sim, pi = setup(3)
    room, out, q = np.zeros((H, D, D)), np.zeros((H, D, D)), np.zeros((H, S))
    inverse_covariances(sim, mdp.phi, pi, 0.1, 0, 1, np.random.default_rng(0), q, room, out)
    exact = out.copy()
    Sigma = np.zeros_like(out)
    covariances(sim, mdp.phi, pi, q, Sigma)
    np.testing.assert_allclose(exact, np.linalg.inv(Sigma + 0.1 * np.eye(D)), atol=1e-10)
    inverse_covariances(sim, mdp.phi, pi, 0.1, 2, 6, np.random.default_rng(0), q, room, out)
    np.testing.assert_allclose(
        out, naive_resampling(sim, mdp.phi, pi, 0.1, 0.5, 2, 6, np.random.default_rng(0)), atol=1e-12
    )
