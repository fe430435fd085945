"""DynLin-UCB: its radius by hand, whole runs, the transient, coverage, what holding an action is for."""

import math

import numpy as np
import pytest

from eluder.core.dynamical import (
    DynamicalBounds,
    cumulative_effect,
    dynamical_bounds,
    dynamical_ledger,
    long_run_means,
    play_dynamical,
)
from eluder.core.guarantees import guarantee
from eluder.core.ridge import ridge
from eluder.envs import dynamical_linear_bandit, random_dynamical_bandit
from eluder.linear.bandits import _dynlin_ucb as module
from eluder.linear.bandits import dynlin_ucb
from tests.linear.bandits import naive_structured as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def test_equations_by_hand():
    known = DynamicalBounds(rho=0.5, Phi=2.0, B=3.0, omega=1.5, theta=0.25, x=4.0, sigma=0.1)
    assert module.transient_scale(known, 2.0) == pytest.approx(2 * 1.5 * 2 * (2 * 3 / 0.5 + 4))
    assert module.effect_bound(known) == pytest.approx(0.25 + 1.5 * 3 * 2 / 0.5)
    assert module.noise_scale(known) == pytest.approx(0.1 * math.sqrt(1 + 9 / 0.75))
    # t = 7, d = 2, lam = 4: c1 = 96, c2 = 18.25, s^2 = 0.13, growth ln(1 + 28 / 8) = ln 4.5
    expected = 96 / 2 * (1 + math.log(8)) + 18.25 * 2 + math.sqrt(0.26 * (math.log(10) + math.log(4.5)))
    assert module.radius(known, 2.0, 2, 7, 4.0, 0.1) == pytest.approx(expected)
    assert [module.epoch_rounds(m, 0.5) for m in (1, 2, 3, 4, 5, 9)] == [0, 1, 1, 2, 2, 3]
    assert module.epoch_rounds(100, 0.01) == 1


@pytest.mark.parametrize("seed", range(4))
def test_it_is_its_definition(seed):
    g = rng(seed)
    bandit = random_dynamical_bandit(6, 3, 2, rho=0.7, sigma=0.2, sigma_x=0.1 * (seed % 2), rng=g)
    bandit = bandit._replace(x0=g.random(2))
    known = dynamical_bounds(bandit)._replace(Phi=1.3)
    actions, means, epochs = naive.dynlin_ucb(bandit, 400, known, 2.0, 0.1, 0.05, rng(seed))
    result = dynlin_ucb(bandit, 400, bounds=known, lam=2.0, delta=0.1, c=0.05, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(actions, minlength=6))
    regret = np.cumsum(long_run_means(bandit).max() - means)
    np.testing.assert_allclose(result.regret, regret[result.checkpoints - 1], atol=1e-9)
    books = dynamical_ledger(bandit, 400)
    U = np.linalg.norm(bandit.phi, axis=1).max()
    run = module._dynlin_ucb(bandit, 400, known, U, 0.1, 0.05, ridge(bandit.phi, 2.0), books, rng(seed))
    assert run == epochs


def test_defaults_are_those_of_the_paper():
    bandit, T = random_dynamical_bandit(5, 2, 2, rng=rng()), 1000
    a = dynlin_ucb(bandit, T, rng=rng(1))
    b = dynlin_ucb(
        bandit, T, bounds=dynamical_bounds(bandit), lam=math.log(T), delta=1 / T, c=1.0, rng=rng(1)
    )
    np.testing.assert_array_equal(a.regret, b.regret)
    with pytest.raises(ValueError, match="bounds must be a DynamicalBounds, got tuple"):
        dynlin_ucb(bandit, T, bounds=(1, 2), rng=rng())


# --- theorems ---


@pytest.mark.parametrize("seed", range(4))
def test_the_last_reward_of_an_epoch_is_nearly_that_of_the_long_run(seed):
    """``|E y - <h, u>| <= omega Phi rho^H |x - x(u)|`` after u was held for H + 1 rounds."""
    g = rng(seed)
    F = g.standard_normal((3, 3))
    F *= 0.8 / np.abs(np.linalg.eigvals(F)).max()
    args = (g.standard_normal((2, 2)), g.random(2), F, g.standard_normal((3, 2)), g.random(3))
    bandit = dynamical_linear_bandit(*args, x0=g.standard_normal(3), sigma=0.0)
    known = dynamical_bounds(bandit)
    steady = np.linalg.solve(np.eye(3) - F, bandit.B @ bandit.phi[0])
    far, tight = float(np.linalg.norm(bandit.x0 - steady)), 0.0
    books = dynamical_ledger(bandit, 60)
    for H in range(60):
        y = play_dynamical(bandit, books, H, 0, g)
        limit = known.omega * known.Phi * known.rho**H * far
        error = abs(y - long_run_means(bandit)[0])
        assert error <= limit * (1 + 1e-9) + 1e-12
        tight = max(tight, error / limit)
    assert tight > 0.02


def test_the_ellipsoid_covers_the_effect():
    """At every epoch, in more than 1 - delta of the runs, with noise in the state as well."""
    missed, delta, T, lam = 0, 0.1, 300, 3.0
    for seed in range(60):
        bandit = random_dynamical_bandit(5, 2, 2, rho=0.6, sigma=0.5, sigma_x=0.5, rng=rng(seed % 3))
        known, g = dynamical_bounds(bandit), rng(seed)
        books, t, m, out = dynamical_ledger(bandit, T), 0, 0, False
        V, b = lam * np.eye(2), np.zeros(2)
        while t < T:
            m += 1
            e = np.linalg.solve(V, b) - cumulative_effect(bandit)
            U = np.linalg.norm(bandit.phi, axis=1).max()
            out = out or math.sqrt(e @ V @ e) > module.radius(known, U, 2, t, lam, delta)
            a = int(g.random() * 5)
            for _ in range(1 + module.epoch_rounds(m, known.rho)):
                if t < T:
                    y = play_dynamical(bandit, books, t, a, g)
                    t += 1
            V, b = V + np.outer(bandit.phi[a], bandit.phi[a]), b + y * bandit.phi[a]
        missed += out
    assert missed <= 60 * delta


def deceptive():
    """What pays at once is not what pays: the first action's effect comes through the state alone."""
    return dynamical_linear_bandit([[1, 0], [0, 1]], [0.0, 0.6], [[0.9]], [[0.1, 0.0]], [1.0], sigma=0.05)


def test_holding_an_action_is_what_finds_the_long_run():
    """Told that nothing lasts (rho near 0), it never sees the first action's effect and plays the second."""
    bandit, T = deceptive(), 20_000
    assert long_run_means(bandit).round(9).tolist() == [1.0, 0.6]
    assert bandit.theta.argmax() == 1
    known = dynamical_bounds(bandit)
    right = [dynlin_ucb(bandit, T, c=0.5, rng=rng(i)).regret[-1] for i in range(5)]
    told = known._replace(rho=1e-9)
    wrong = [dynlin_ucb(bandit, T, bounds=told, c=0.5, rng=rng(i)).regret[-1] for i in range(5)]
    assert np.mean(right) < 0.1 * 0.4 * T
    assert np.mean(wrong) > 3 * np.mean(right)


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    """Gaps of order sqrt(d / T) for each T: the slope is at most 1 / 2, logarithms aside."""
    sizes, d = np.array([20_000, 80_000, 320_000, 1_280_000]), 2
    regret = []
    for T in sizes:
        gap = 20 / math.sqrt(T)
        bandit = dynamical_linear_bandit(
            np.eye(d), [0.25 + gap / 2, 0.25], 0.5 * np.eye(1), [[0.25] * d], [0.5], sigma=0.5
        )
        regret.append(np.mean([dynlin_ucb(bandit, int(T), c=0.1, rng=rng(i)).regret[-1] for i in range(20)]))
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"dynlin_ucb: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(dynlin_ucb).exponent == 0.5
    assert slope < 0.6
