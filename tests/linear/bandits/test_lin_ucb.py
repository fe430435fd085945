"""LinUCB: its width by hand, whole runs, coverage of the ellipsoid, the bound, rare switches."""

import math

import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.core.kernels import kernel
from eluder.core.linear_bandits import linear_ledger, play_linear
from eluder.core.ridge import absorb, ridge
from eluder.envs import hypercube_bandit, linear_bandit, random_linear_bandit
from eluder.linear.bandits import _lin_ucb, lin_ucb
from tests.linear.bandits import naive_linear as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def test_equations_by_hand():
    assert _lin_ucb.radius(4.0, 3.0, 0.5, 1.5, 0.1) == pytest.approx(6 + 0.5 * math.sqrt(4.605170186 + 1.5))
    assert _lin_ucb.largest_log_det(2, 8, 3.0, 4.0) == pytest.approx(2 * math.log(10))
    growth = 2 * math.log(1 + 100 / 2)
    expected = 2 * (1 + math.sqrt(2 * math.log(20) + growth)) * math.sqrt(1.5 * 100 * growth / math.log(2))
    assert _lin_ucb.bound(2, 100, 0.05, switch=0.5) == pytest.approx(expected)
    # the determinant that the paper's radius has: ln(det(V)^(1/2) det(lam I)^(-1/2) / delta), doubled
    V, lam, delta = np.array([[5.0, 1.0], [1.0, 3.0]]), 2.0, 0.1
    paper = np.sqrt(2 * np.log(np.linalg.det(V) ** 0.5 * np.linalg.det(lam * np.eye(2)) ** -0.5 / delta))
    ours = _lin_ucb.radius(lam, 0.0, 1.0, float(np.log(np.linalg.det(V) / lam**2)), delta)
    assert ours == pytest.approx(paper)


@pytest.mark.parametrize("switch", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_lin_ucb_is_its_definition(seed, switch):
    phi = rng(seed).standard_normal((6, 3))
    bandit = linear_bandit(phi, rng(seed + 9).random(3), sigma=0.7)
    play, choices = naive.lin_ucb(bandit, 250, 0.5, 2.0, 0.7, switch, 0.1, rng(seed))
    result = lin_ucb(bandit, 250, lam=0.5, S=2.0, switch=switch, delta=0.1, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(play.arms, minlength=6))
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)
    books, state = linear_ledger(bandit, 250), ridge(bandit.phi, 0.5)
    assert choices == _lin_ucb._lin_ucb(bandit, 250, 2.0, 0.7, switch, 0.1, 1.0, state, books, rng(seed))


def test_the_scale_multiplies_the_radius():
    """With c = 0 the estimate alone decides: an arm whose first rewards were bad is never played again."""
    bandit = linear_bandit([[1, 0], [0, 1]], [0.5, 0.6], sigma=0.0)
    assert lin_ucb(bandit, 100, c=0.0, rng=rng()).pulls.tolist() == [100, 0]
    assert lin_ucb(bandit, 100, c=0.0, lam=1e-9, S=0.0, rng=rng()).pulls.tolist() == [100, 0]
    assert lin_ucb(bandit, 100, sigma=0.0, rng=rng()).pulls[1] > 80


# --- theorems ---


@kernel
def misses(bandit, T, lam, S, sigma, delta, runs, generator, R, books):
    """In how many runs the parameter leaves the ellipsoid at some time; arms by the learner's own rule."""
    missed = 0
    d = bandit.theta.size
    for _ in range(runs):
        R.n[:] = 0.0
        R.s[:] = 0.0
        R.theta[:] = 0.0
        R.y[:] = 0.0
        R.log_det[0] = 0.0
        R.age[0] = 0
        V = lam * np.eye(d)
        R.inverse[:] = np.eye(d) / lam
        for a in range(R.y.size):
            R.width[a] = (R.phi[a] ** 2).sum() / lam
        out = False
        books.played.place[:] = 0
        for t in range(T):
            rad = _radius(lam, S, sigma, R.log_det[0], delta)
            e = bandit.theta - R.theta
            distance = 0.0
            for i in range(d):
                for j in range(d):
                    distance += e[i] * V[i, j] * e[j]
            out = out or distance > rad * rad
            a = _choose(R, rad, 0, R.y.size)
            reward = play_linear(bandit, books, t, a, generator)
            absorb(R, a, 1.0, reward)
            for i in range(d):
                for j in range(d):
                    V[i, j] += R.phi[a, i] * R.phi[a, j]
        missed += out
    return missed


_radius, _choose = _lin_ucb.radius, _lin_ucb.choose


@pytest.mark.parametrize(("d", "law"), [(1, "gaussian"), (3, "gaussian"), (2, "bernoulli")])
def test_the_ellipsoid_covers_the_parameter(d, law):
    """At all times of a run at once, in at least 1 - delta of 1000 runs, with S = |theta|."""
    g = rng(d)
    phi = g.random((8, d)) if law == "bernoulli" else g.standard_normal((8, d))
    theta = np.full(d, 0.7 / d) if law == "bernoulli" else g.standard_normal(d)
    bandit = linear_bandit(phi, theta, law=law, sigma=0.8)
    sigma, delta, S = (0.5 if law == "bernoulli" else 0.8), 0.1, float(np.linalg.norm(theta))
    books, R = linear_ledger(bandit, 300), ridge(bandit.phi, 1.0)
    missed = misses(bandit, 300, 1.0, S, sigma, delta, 1000, rng(), R, books)
    assert missed <= 100
    small = misses(bandit, 300, 1.0, 0.2 * S, 0.2 * sigma, delta, 1000, rng(), R, books)
    assert small > 100, "a radius that is too small is noticed"


@pytest.mark.parametrize("switch", [0.0, 1.0])
@pytest.mark.parametrize("lam", [0.2, 1.0, 5.0])
def test_regret_is_below_the_bound(lam, switch):
    bandit, T = random_linear_bandit(30, 4, rng=rng(1)), 3000
    limit = _lin_ucb.bound(4, T, 0.05, lam=lam, switch=switch)
    runs = [lin_ucb(bandit, T, lam=lam, switch=switch, rng=rng(i)) for i in range(20)]
    assert max(run.regret[-1] for run in runs) < limit


def test_rare_switches_are_rare():
    """At most d log_{1 + C}(1 + T L^2 / (d lam)) choices beside the first, and the regret hardly grows."""
    bandit, T, C = random_linear_bandit(20, 5, rng=rng(2)), 20_000, 0.5
    books, R = linear_ledger(bandit, T), ridge(bandit.phi, 1.0)
    choices = _lin_ucb._lin_ucb(bandit, T, 1.0, 1.0, C, 0.05, 1.0, R, books, rng())
    assert choices <= 1 + _lin_ucb.largest_log_det(5, T, 1.0, 1.0) / math.log(1 + C)
    often, rare = (
        np.mean([lin_ucb(bandit, T, switch=s, rng=rng(i)).regret[-1] for i in range(10)]) for s in (0.0, C)
    )
    assert rare < math.sqrt(1 + C) * 1.2 * often


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    """On the hypercube with its gaps for each T: the slope is 1 / 2, logarithms aside."""
    sizes = np.array([4_000, 16_000, 64_000, 256_000])
    regret = [
        np.mean([lin_ucb(hypercube_bandit(4, int(T)), int(T), rng=rng(i)).regret[-1] for i in range(30)])
        for T in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"lin_ucb: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(lin_ucb).exponent == 0.5
    assert abs(slope - 0.5) < 0.08
