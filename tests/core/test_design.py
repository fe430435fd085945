"""Optimal designs: against cvxpy's, closed forms, and their own certificate."""

import math

import cvxpy
import numpy as np
import pytest

from eluder.core.design import Design, optimal_design, step_length


def d_optimal(phi):
    """The distribution that maximises ln det, by a conic program."""
    pi = cvxpy.Variable(len(phi), nonneg=True)
    V = phi.T @ cvxpy.diag(pi) @ phi
    cvxpy.Problem(cvxpy.Maximize(cvxpy.log_det(V)), [cvxpy.sum(pi) == 1]).solve(solver="CLARABEL")
    return pi.value


def widths(phi, pi):
    inverse = np.linalg.pinv((phi * pi[:, None]).T @ phi)
    return np.einsum("ai,ij,aj->a", phi, inverse, phi)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_d_optimal_design(seed):
    g = np.random.default_rng(seed)
    phi = g.standard_normal((12, 2 + seed % 3)) * g.exponential(size=(12, 1))
    design = optimal_design(phi, tol=1e-7)
    best = d_optimal(phi)
    assert isinstance(design, Design)
    assert design.status == "converged"
    np.testing.assert_allclose((phi * design.pi[:, None]).T @ phi, (phi * best[:, None]).T @ phi, atol=2e-3)
    value, optimum = (np.linalg.slogdet((phi * p[:, None]).T @ phi)[1] for p in (design.pi, best))
    assert optimum - 1e-6 <= value + design.gap
    assert value == pytest.approx(optimum, abs=1e-5)


@pytest.mark.parametrize(("A", "d"), [(5, 5), (40, 3), (300, 10), (2000, 6)])
def test_the_certificate_is_the_largest_width(A, d):
    phi = np.random.default_rng(A).standard_normal((A, d))
    for tol in (0.5, 0.01, 1e-4):
        design = optimal_design(phi, tol=tol)
        assert design.num_iter < 1000, "steps away from bad arms make convergence linear"
        assert design.pi.min() >= 0
        assert design.pi.sum() == pytest.approx(1)
        assert widths(phi, design.pi).max() == pytest.approx(design.width, rel=1e-8)
        assert d - 1e-9 <= design.width <= (1 + tol) * d
        assert design.gap == pytest.approx(design.width - d, abs=1e-9)
        support = design.pi > 1e-3 / A
        assert support.sum() <= d * (d + 1) / 2 + 2 * d


def test_closed_forms():
    square = [[1, 1], [1, -1], [-1, 1], [-1, -1], [0.5, 0.2]]
    design = optimal_design(square, tol=1e-9)
    assert design.pi[4] == pytest.approx(0, abs=1e-8)
    assert design.pi[0] + design.pi[3] == pytest.approx(0.5)
    assert optimal_design(np.diag([1.0, 10.0, 100.0])).pi.tolist() == pytest.approx([1 / 3] * 3)
    line = optimal_design([[1.0], [-3.0], [2.0]])
    assert line.pi.tolist() == [0, 1, 0]


def test_arms_that_do_not_span():
    phi = np.random.default_rng(0).standard_normal((10, 2)) @ np.random.default_rng(1).standard_normal((2, 5))
    design = optimal_design(phi, tol=1e-3)
    assert design.d == 2
    assert widths(phi, design.pi).max() == pytest.approx(design.width, rel=1e-6)
    assert optimal_design([[0.0, 0.0], [0.0, 2.0]]).pi.tolist() == [0, 1]


def test_step_by_hand_and_as_a_maximum():
    assert step_length(6.0, 3) == pytest.approx(1 / 5)
    assert step_length(2.0, 4) == pytest.approx(-0.5)
    assert step_length(1.0, 3) == -math.inf
    g = np.random.default_rng(0)
    for _ in range(20):
        x, root = g.standard_normal(3) * 2, g.standard_normal((3, 3))
        V = root @ root.T + 0.3 * np.eye(3)
        w = x @ np.linalg.solve(V, x)
        if w > 1:
            gamma = step_length(w, 3)
            value = [
                np.linalg.slogdet((1 - h) * V + h * np.outer(x, x))[1]
                for h in (gamma - 1e-3, gamma, gamma + 1e-3)
            ]
            assert value[1] >= max(value)


def test_says_when_it_stops_early():
    phi = np.random.default_rng(0).standard_normal((50, 5))
    with pytest.warns(UserWarning, match="raise max_iter or tol"):
        design = optimal_design(phi, tol=1e-9, max_iter=3)
    assert design.num_iter == 3
    assert design.gap > 0
    with pytest.raises(ValueError, match="phi is 0: the arms span nothing"):
        optimal_design([[0.0, 0.0]])
    with pytest.raises(ValueError, match=r"tol must be in \(0"):
        optimal_design([[1.0]], tol=0.0)
    with pytest.raises(ValueError, match="max_iter must be at least 1"):
        optimal_design([[1.0]], max_iter=0)
