"""UCB-GLM: constrained likelihood against a conic program, whole runs, coverage, the bound."""

import math

import cvxpy
import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.core.kernels import kernel
from eluder.core.linear_bandits import linear_ledger, play_linear
from eluder.core.ridge import absorb, ridge
from eluder.envs import linear_bandit, logistic_linear_bandit
from eluder.linear.bandits import _glm_ucb, _lin_ucb, glm_ucb
from eluder.linear.bandits import _likelihood as module
from eluder.linear.bandits._ellipsoid import choose, radius
from tests.linear.bandits import naive_linear as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def test_equations_by_hand():
    assert _glm_ucb.smallest_slope(0, 5.0) == 1.0
    e = math.exp(-3.0)
    assert _glm_ucb.smallest_slope(1, 3.0) == pytest.approx(e / (1 + e) ** 2)
    assert module.cumulant(1, 0.0) == pytest.approx(math.log(2))
    assert module.cumulant(1, 800.0) == 800.0
    assert module.cumulant(0, 3.0) == 4.5
    kappa = math.exp(-2) / (1 + math.exp(-2)) ** 2
    rad = 2 + 0.5 / kappa * math.sqrt(2 * math.log(10) + 3 * math.log1p(100 / 3))
    expected = 2 * rad * math.sqrt(100 / math.log(2) * 3 * math.log1p(100 / 3)) / 4
    assert _glm_ucb.bound(3, 100, 0.1, S=2.0) == pytest.approx(expected)
    assert _lin_ucb.bound(3, 100, 0.1) > 0


@pytest.mark.parametrize("S", [0.3, 1.0, 50.0])
@pytest.mark.parametrize("seed", range(3))
def test_fit_is_the_constrained_maximum(seed, S):
    g = rng(seed)
    R = ridge(g.standard_normal((8, 3)), 1.0)
    theta = 2 * g.standard_normal(3)
    for a in g.integers(8, size=60):
        absorb(R, int(a), 1.0, float(g.random() < 1 / (1 + math.exp(-R.phi[a] @ theta))))
    M = module.likelihood(3, 1, 0.2, S)
    module.fit(M, R)
    x = cvxpy.Variable(3)
    loss = cvxpy.sum(cvxpy.multiply(R.n, cvxpy.logistic(R.phi @ x)) - cvxpy.multiply(R.s, R.phi @ x))
    cvxpy.Problem(cvxpy.Minimize(loss + 0.1 * cvxpy.sum_squares(x)), [cvxpy.norm(x) <= S]).solve("CLARABEL")
    np.testing.assert_allclose(M.theta, x.value, atol=1e-4)
    assert np.linalg.norm(M.theta) <= S * (1 + 1e-9)
    before = M.theta.copy()
    module.fit(M, R)
    np.testing.assert_allclose(M.theta, before, atol=1e-9)


def test_a_separable_sample_is_no_trouble():
    """All rewards 1: the maximum is at infinity, but for the penalty and the ball."""
    R = ridge(np.array([[1.0, 0.0], [0.0, 1.0], [300.0, -300.0]]), 1.0)
    absorb(R, 0, 1e6, 1e6)
    absorb(R, 2, 10.0, 10.0)
    for S in (1e-3, 5.0, 1e3):
        M = module.likelihood(2, 1, 1e-8, S)
        module.fit(M, R)
        assert np.linalg.norm(M.theta) <= S * (1 + 1e-9)
        assert M.theta[0] > 0
    M = module.likelihood(2, 0, 1e-8, 1e3)
    module.fit(M, R)
    np.testing.assert_allclose(M.theta, [1, 1 - 1 / 300], rtol=1e-6)


@pytest.mark.parametrize(("tau", "switch"), [(0, 0.0), (10, 0.0), (5, 0.3), (5, 9.0)])
@pytest.mark.parametrize("link", ["logistic", "identity"])
def test_glm_ucb_is_its_definition(link, tau, switch):
    phi = rng(tau).standard_normal((5, 3))
    law = "bernoulli" if link == "logistic" else "gaussian"
    bandit = linear_bandit(phi, [0.9, -0.5, 0.2], link=link, law=law, sigma=0.5)
    play = naive.glm_ucb(bandit, 120, 0.7, 1.2, 0.5, 0.15, tau, switch, 0.1, 0.3, rng(1))
    options = {"lam": 0.7, "S": 1.2, "sigma": 0.5, "kappa": 0.15, "delta": 0.1, "c": 0.3}
    result = glm_ucb(bandit, 120, tau=tau, switch=switch, **options, rng=rng(1))
    np.testing.assert_array_equal(result.pulls, np.bincount(play.arms, minlength=5))
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)


# --- theorems ---


_radius, _choose, _fit = radius, choose, module.fit


@kernel
def furthest(bandit, T, ratio, S, delta, M, R, books, generator):
    """Largest distance of theta from its estimate over the radius, in one run."""
    d = M.theta.size
    worst = 0.0
    V = R.lam * np.eye(d)
    for t in range(T):
        _fit(M, R)
        rad = _radius(R.lam, S, ratio, R.log_det[0], delta)
        distance = 0.0
        for i in range(d):
            for j in range(d):
                distance += (bandit.theta[i] - M.theta[i]) * V[i, j] * (bandit.theta[j] - M.theta[j])
        worst = max(worst, math.sqrt(max(distance, 0.0)) / rad)
        for b in range(R.y.size):
            R.y[b] = (R.phi[b] * M.theta).sum()
        a = _choose(R, rad, 0, R.y.size)
        absorb(R, a, 1.0, play_linear(bandit, books, t, a, generator))
        for i in range(d):
            for j in range(d):
                V[i, j] += R.phi[a, i] * R.phi[a, j]
    return worst


def test_the_ellipsoid_covers_the_parameter():
    bandit, S, T, delta = logistic_linear_bandit(8, 2, S=1.5, rng=rng(1)), 1.5, 200, 0.1
    kappa = _glm_ucb.smallest_slope(1, S)
    worst = []
    for seed in range(500):
        M, R = module.likelihood(2, 1, kappa, S), ridge(bandit.phi, 1.0)
        books = linear_ledger(bandit, T)
        worst.append(furthest(bandit, T, 0.5 / kappa, S, delta, M, R, books, rng(seed)))
    assert np.mean(np.array(worst) > 1) <= delta
    assert np.mean(worst) > 0.15, "the radius is of the right order"


def test_regret_is_below_the_bound():
    bandit, T = logistic_linear_bandit(20, 3, S=1.0, rng=rng(2)), 3000
    runs = [glm_ucb(bandit, T, rng=rng(i)).regret[-1] for i in range(10)]
    assert max(runs) < _glm_ucb.bound(3, T, 0.05)


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    """On the hypercube with its gaps for each T, through the logistic link."""
    sizes = np.array([16_000, 64_000, 256_000, 1_024_000])
    corners = np.array(list(np.ndindex(2, 2, 2))) * 2.0 - 1
    regret = []
    for T in sizes:
        bandit = linear_bandit(corners, np.full(3, 4 / math.sqrt(T)), link="logistic", law="bernoulli")
        options = {"S": 0.1, "switch": 0.02}
        regret.append(np.mean([glm_ucb(bandit, int(T), **options, rng=rng(i)).regret[-1] for i in range(40)]))
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"glm_ucb: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(glm_ucb).exponent == 0.5
    assert abs(slope - 0.5) < 0.08
