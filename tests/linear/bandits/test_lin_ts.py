"""Linear Thompson sampling: the root of the covariance, whole runs, optimism, the order of the regret."""

import math

import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.core.kernels import kernel
from eluder.core.ridge import absorb, ridge
from eluder.envs import hypercube_bandit, linear_bandit, random_linear_bandit
from eluder.linear.bandits import _lin_ts, lin_ts
from tests.linear.bandits import naive_linear as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def test_equations_by_hand():
    assert _lin_ts.share_of_failure(0.1, 50) == pytest.approx(0.0005)
    B, v = np.array([[2.0]]), np.zeros(1)
    _lin_ts.shrink_root(B, np.array([3.0]), v)
    assert B[0, 0] == pytest.approx(1 / math.sqrt(1 / 4 + 9))
    _lin_ts.shrink_root(B, np.array([0.0]), v)
    assert B[0, 0] == pytest.approx(1 / math.sqrt(1 / 4 + 9))


@kernel
def shrink_often(B, phi, n, v):
    for k in range(n):
        _shrink(B, phi[k % phi.shape[0]], v)


_shrink = _lin_ts.shrink_root


@pytest.mark.parametrize("n", [5, 100_000])
def test_the_root_stays_a_root(n):
    phi = rng(1).standard_normal((5, 4)) * [1, 1, 0.1, 0.01]
    B = np.eye(4) / math.sqrt(0.5)
    shrink_often(B, phi, n, np.zeros(4))
    V = 0.5 * np.eye(4) + n / 5 * phi.T @ phi
    np.testing.assert_allclose(B @ B.T @ V, np.eye(4), atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_lin_ts_is_its_definition(seed):
    bandit = linear_bandit(rng(seed).standard_normal((6, 3)), rng(seed + 9).random(3), sigma=0.7)
    play = naive.lin_ts(bandit, 250, 0.5, 2.0, 0.7, 0.1, rng(seed))
    result = lin_ts(bandit, 250, lam=0.5, S=2.0, delta=0.1, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(play.arms, minlength=6))
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)


def test_draws_have_the_covariance_and_are_optimistic():
    """Whatever theta in the ellipsoid: the best index drawn exceeds the best mean often enough (lemma 3)."""
    g = rng(3)
    R, d = ridge(g.standard_normal((10, 3)), 1.0), 3
    B, v, z = np.eye(d), np.zeros(d), np.zeros(d)
    for a in g.integers(10, size=40):
        absorb(R, int(a), 1.0, float(g.standard_normal()))
        _lin_ts.shrink_root(B, R.phi[a], v)
    beta, draws = 1.7, np.zeros((20_000, d))
    for draw in draws:
        _lin_ts.draw_index(R, B, beta, v, z, 0, R.y.size, g)
        draw[:] = z
    np.testing.assert_allclose(draws.mean(axis=0), R.theta, atol=0.01)
    np.testing.assert_allclose(np.cov(draws.T), beta**2 * R.inverse, atol=0.03 * beta**2 * R.inverse.max())
    root = np.linalg.cholesky(R.inverse)
    for _ in range(20):
        e = g.standard_normal(d)
        theta = R.theta + beta * root @ (e / np.linalg.norm(e))  # on the edge of the ellipsoid
        share = np.mean((draws @ R.phi.T).max(axis=1) >= (R.phi @ theta).max())
        assert share >= 1 / (4 * math.sqrt(math.e * math.pi))


def test_a_smaller_scale_pays_on_an_easy_problem():
    bandit = random_linear_bandit(20, 4, rng=rng(1))
    regret = {
        c: np.mean([lin_ts(bandit, 5000, c=c, rng=rng(i)).regret[-1] for i in range(10)]) for c in (1, 0.2)
    }
    assert regret[0.2] < 0.4 * regret[1]
    no_noise = linear_bandit([[1, 0], [0, 1]], [0.5, 0.6], sigma=0.0)
    assert lin_ts(no_noise, 50, c=0.0, rng=rng()).pulls.tolist() == [50, 0]


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    sizes = np.array([16_000, 64_000, 256_000, 1_024_000])
    regret = [
        np.mean(
            [lin_ts(hypercube_bandit(3, int(T)), int(T), S=0.1, rng=rng(i)).regret[-1] for i in range(30)]
        )
        for T in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"lin_ts: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(lin_ts).exponent == 0.5
    assert abs(slope - 0.5) < 0.08
