"""Tests of tabular/planning/_sweeps.py: layouts, sweeps on random arrays, the certificate."""

import numpy as np
import pytest
import scipy.sparse

from eluder.core.problems import DiscountedMDP
from eluder.tabular.planning import _anderson_value_iteration, _prioritized_sweeping, _value_iteration
from eluder.tabular.planning._sweeps import (
    advance,
    bellman,
    certificate,
    compact,
    evaluate,
    improve,
    layout,
    row_error,
    sweep,
)
from tests.instances import random_discounted
from tests.tabular.planning import naive


def rng(seed=1):
    return np.random.default_rng(seed)


def varied(S=8, A=3, seed=0, most=3):
    """Rows of 1 to `most` successors."""
    g = rng(seed)
    P = np.zeros((S * A, S))
    for row in P:
        b = g.integers(1, most + 1)
        row[g.choice(S, b, replace=False)] = g.dirichlet(np.ones(b))
    mask = g.random((S, A)) < 0.8
    mask[:, 0] = True
    return DiscountedMDP(scipy.sparse.csr_array(P), g.normal(size=(S, A)), np.full(S, 1 / S), 0.9, mask)


PROBLEMS = {
    "dense": random_discounted(7, 3, 0.9, 0, masked=True),
    "fixed": random_discounted(7, 3, 0.9, 0, masked=True, sparse=True, branching=4),
    "padded": varied(),
    "general": random_discounted(20, 2, 0.9, 0, masked=True, sparse=True),
    "general, uneven": varied(S=30, most=20),
}


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


def test_layouts_are_those_meant():
    def kind(name):
        rows = layout(PROBLEMS[name].P)
        return len(rows.unroll) if rows.succ.size else "dense"

    assert [kind(name) for name in PROBLEMS] == ["dense", 4, 3, 0, 0]


def test_equal_rows_are_not_copied():
    P = PROBLEMS["fixed"].P
    rows = layout(P)
    assert np.shares_memory(rows.prob, P.data)
    assert np.shares_memory(rows.succ, P.indices)


def test_sweep_equals_definition(problem):
    V = rng().normal(size=problem.r.shape[0])
    b = bellman(problem)
    low, high = sweep(b, V)
    Q = naive.action_values(problem, V)
    np.testing.assert_allclose(b.Q, Q)
    np.testing.assert_allclose(b.TV, Q.max(axis=1))
    np.testing.assert_array_equal(b.pi, Q.argmax(axis=1))
    np.testing.assert_allclose([low, high], [(b.TV - V).min(), (b.TV - V).max()])


@pytest.mark.parametrize("sweeps", [1, 2, 5])
def test_evaluate_equals_definition(problem, sweeps):
    S, A = problem.r.shape
    V = rng().normal(size=S)
    pi = np.where(problem.mask, rng(2).random((S, A)), -1.0).argmax(axis=1)
    b = bellman(problem)
    expected = naive.evaluate(problem, pi, V, sweeps)
    assert evaluate(compact(b.rows, pi, A), b.r[np.arange(S), pi], b.gamma, V, sweeps, 0.0) == sweeps
    np.testing.assert_allclose(V, expected)


def test_evaluate_stops_at_the_target(problem):
    S, A = problem.r.shape
    pi = problem.mask.argmax(axis=1)
    b = bellman(problem)
    V = rng().normal(size=S)
    n = evaluate(compact(b.rows, pi, A), b.r[np.arange(S), pi], b.gamma, V, 10_000, 1e-3)
    before = naive.evaluate(problem, pi, rng().normal(size=S), n - 1)
    after = naive.evaluate(problem, pi, before, 1)
    assert (
        np.ptp(after - before)
        <= 1e-3
        < np.ptp(before - naive.evaluate(problem, pi, rng().normal(size=S), n - 2))
    )


@pytest.mark.parametrize("name", ["fixed", "padded", "general"])
def test_gauss_seidel_equals_definition(name):
    problem = PROBLEMS[name]
    V = rng().normal(size=problem.r.shape[0])
    expected = naive.gauss_seidel(problem, V)
    b = bellman(problem)
    _value_iteration._gauss_seidel(b.rows, b.r, b.gamma, V)
    np.testing.assert_allclose(V, expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sparse", [False, True])
def test_propagate_equals_definition(seed, sparse):
    problem = random_discounted(7, 3, 0.95, seed, masked=True, sparse=sparse, branching=2)
    S, A = problem.r.shape
    b = bellman(problem, sparse=True)
    V, d = rng(seed).normal(size=S) * 5, rng(seed + 1).random(S)
    expected, n = naive.propagate(
        problem, V, d, _prioritized_sweeping.THRESHOLD, _prioritized_sweeping.EVERY * S
    )
    work = np.empty(S, np.int64), np.full(S, -1), np.empty(S)
    into = _prioritized_sweeping.predecessors(problem.P, S, A)
    assert _prioritized_sweeping._propagate(b.rows, *into, b.r, b.gamma, V, d, *work) == n > 0
    np.testing.assert_allclose(V, expected)
    assert (work[1] == -1).all()


def test_anderson_equals_definition():
    points, images = rng().normal(size=(2, 4, 9))
    V = _anderson_value_iteration.extrapolate(list(zip(points, images, strict=True)))
    np.testing.assert_allclose(V, naive.anderson(points, images))


# --- certificate ---


def test_certificate_by_hand():
    # gamma/(1-gamma) = 9: middle 2, half width 1
    cert = certificate(0.9, 1.0, 3.0, 0.0, 5.0)
    np.testing.assert_allclose(cert, (18.0, 9.0, 0.0, 2.0))
    # c = 20, error 0.01: gamma' = 0.909, noise 0.01 (40 + 5), all times 1/(1 - gamma')
    cert = certificate(0.9, 1.0, 3.0, 0.01, 5.0)
    np.testing.assert_allclose(cert, (18.0, (0.909 + 0.45) / 0.091, 0.45 / 0.091, 2.0))
    assert certificate(0.999, 0.0, 0.0, 0.01, 1.0).gap == np.inf


def test_certificate_holds_at_any_value(problem):
    """Bounds of MacQueen and Porteus, from random V."""
    V_star = naive.optimal_value(problem)
    b = bellman(problem)
    for seed in range(20):
        cert = improve(b, rng(seed).normal(size=V_star.size) * 10 ** rng(seed).uniform(-3, 2))
        assert np.abs(b.TV + cert.shift - V_star).max() <= cert.gap + 1e-8


def test_certificate_covers_rows_that_miss_one():
    """Rows may sum to 1 only up to 1e-8; near gamma = 1 that moves V* by far more than rounding does."""
    mdp = random_discounted(5, 2, 0.999, 0)
    P = mdp.P * (1 + 9e-9 * rng().uniform(-1, 1, (5, 2, 1)))
    b = bellman(DiscountedMDP(P, mdp.r, mdp.mu, 0.999))
    V_star = naive.enumerated_value(DiscountedMDP(P, mdp.r, mdp.mu, 0.999))
    V = np.zeros(5)
    for _ in range(60):
        cert = improve(b, V)
        error = np.abs(b.TV + cert.shift - V_star).max()
        assert error <= cert.gap + 1e-10
        V = b.TV.copy()
    assert error > 1e-5 > 0.5 * np.ptp(b.TV - V) * 999


def test_row_error_by_hand():
    half = DiscountedMDP([[[0.5, 0.5 + 4e-9]], [[1.0, 0.0]]], [[0], [0]], [1, 0], 0.9)
    assert np.isclose(row_error(layout(half.P), 2), 4e-9, rtol=1e-6)
    sparse = DiscountedMDP(scipy.sparse.csr_array(half.P.reshape(2, 2)), half.r, half.mu, 0.9)
    assert np.isclose(row_error(layout(sparse.P), 2), 4e-9, rtol=1e-6)


def test_advance_keeps_the_span():
    problem = PROBLEMS["fixed"]
    b = bellman(problem)
    for start in (0.0, 100.0):  # far from V* by a constant, and not
        V = rng().normal(size=7) + start
        plain = improve(b, V)
        TV = b.TV.copy()
        change = advance(b, V, plain)
        assert np.ptp(V - TV) < 1e-12
        assert (change >= 0).all()
        shifted = improve(b, V).span
        improve(b, TV)
        assert np.isclose(shifted, np.ptp(b.TV - TV))
    assert np.abs(V - TV).max() > 50
