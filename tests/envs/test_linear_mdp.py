"""Linear MDPs: the hard one in closed form, the exact distance of a misspecified one."""

import numpy as np
import pytest

from eluder.core.exact import optimal_value
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, episodic, misspecification
from eluder.envs import hypercube_linear_mdp, misspecified_linear_mdp, random_linear_mdp
from eluder.linear.exploration import lsvi_ucb


def rng(seed=0):
    return np.random.default_rng(seed)


def test_hypercube_has_its_value_and_its_features():
    H, gap = 6, 0.1
    mdp = hypercube_linear_mdp(5, H, gap, rng=rng())
    q = 1 / H + gap
    reached = [1 - (1 - q) ** h for h in range(H)]
    assert optimal_value(episodic(mdp))[0, 0] == pytest.approx(sum(reached), rel=1e-12)
    np.testing.assert_allclose(np.linalg.norm(mdp.phi, axis=2), 1, rtol=1e-12)
    P = episodic(mdp).P
    assert (np.isclose(P[:, 0, :, 1], q).sum(axis=1) == 1).all(), "one best corner per stage"
    np.testing.assert_allclose(P[:, 0, :, 1].min(axis=1), 1 / H - gap)
    np.testing.assert_allclose(P[:, 1, :, 1], 1)
    best = P[:, 0, :, 1].argmax(axis=1)
    assert len(set(best)) > 1, "corners are drawn for each stage"


def test_hypercube_refuses_impossible_gaps():
    with pytest.raises(ValueError, match=r"gap must be in \(0, 0.25\], got 0.3"):
        hypercube_linear_mdp(4, 4, 0.3, rng=rng())
    with pytest.raises(ValueError, match=r"d must be (in|at) .*"):
        hypercube_linear_mdp(2, 4, 0.1, rng=rng())


def test_distance_of_a_linear_problem_is_zero():
    mdp = random_linear_mdp(5, 3, 3, 2, rng=rng())
    assert misspecification(mdp) < 1e-9
    tables = episodic(mdp)
    same = MisspecifiedLinearMDP(mdp.phi, tables.P, tables.r, mdp.mu)
    assert misspecification(same) < 1e-9


@pytest.mark.parametrize(("seed", "rewards"), [(0, True), (1, True), (0, False), (1, False)])
def test_distance_is_the_least(seed, rewards):
    """At most what was mixed in; at least what the best of many linear tables leaves, by another solver."""
    import cvxpy

    zeta = 0.2
    mdp = misspecified_linear_mdp(4, 3, 2, 2, zeta, rng=rng(seed))
    if not rewards:  # the kernels alone decide
        mdp = mdp._replace(r=np.zeros_like(mdp.r))
    found = misspecification(mdp)
    assert 0 < found <= zeta + 1e-9
    worst = 0.0
    for h in range(2):
        psi, theta = cvxpy.Variable((2, 4)), cvxpy.Variable(2)
        phi = mdp.phi.reshape(-1, 2)
        kernels = cvxpy.max(cvxpy.sum(cvxpy.abs(phi @ psi - mdp.P[h].reshape(-1, 4)), axis=1)) / 2
        means = cvxpy.max(cvxpy.abs(phi @ theta - mdp.r[h].ravel()))
        program = cvxpy.Problem(cvxpy.Minimize(cvxpy.maximum(kernels, means)))
        worst = max(worst, program.solve(solver=cvxpy.CLARABEL))
    assert found == pytest.approx(worst, abs=1e-6)


def test_distance_leaves_out_actions_that_are_not_available():
    phi = [[[1.0], [1.0]]]
    mdp = MisspecifiedLinearMDP(phi, [[[[1.0], [1.0]]]], [[[0.2, 0.6]]], [1.0])
    assert misspecification(mdp) == pytest.approx(0.2)
    assert misspecification(mdp._replace(mask=np.array([[True, False]]))) == pytest.approx(0.0, abs=1e-12)


def test_says_when_the_solver_fails(monkeypatch):
    import scipy.optimize

    failed = scipy.optimize.OptimizeResult(fun=None, message="out of time")
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="the linear program failed: out of time"):
        misspecification(random_linear_mdp(2, 2, 2, 1, rng=rng()))


def test_refuses_wrong_tables():
    good = misspecified_linear_mdp(3, 2, 2, 2, 0.1, rng=rng())
    with pytest.raises(ValueError, match=r"P\[0, 0, 0\] sums to"):
        good._replace(P=good.P * 2)
    with pytest.raises(ValueError, match="r must have shape"):
        good._replace(r=good.r[:1])
    with pytest.raises(ValueError, match="phi"):
        good._replace(phi=np.full((3, 2, 2), np.nan))
    with pytest.raises(ValueError, match="mdp must be a LinearMDP, got int"):
        misspecification(3)


def test_learners_play_the_true_problem():
    """Values are those of the true tables; the misspecification widens the radius, more so later."""
    mdp = misspecified_linear_mdp(5, 3, 3, 3, 0.1, rng=rng(1))
    best = mdp.mu @ optimal_value(episodic(mdp))[0]
    plain = lsvi_ucb(mdp, 3000, c=0.02, rng=rng())
    aware = lsvi_ucb(mdp, 3000, c=0.02, zeta=0.1, rng=rng())
    assert (plain.value <= best + 1e-12).all()
    assert plain.upper[0] == aware.upper[0] or aware.upper[0] > plain.upper[0]
    assert aware.upper[-1] > plain.upper[-1]
    assert isinstance(random_linear_mdp(2, 2, 2, 2, rng=rng()), LinearMDP)
