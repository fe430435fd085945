"""Dynamical linear bandits: the long run against simulation, bounds on powers, the books."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.dynamical import (
    DynamicalLedger,
    DynamicalLinearBandit,
    cumulative_effect,
    dynamical_bounds,
    dynamical_ledger,
    dynamical_result,
    long_run_means,
    play_dynamical,
    power_bound,
)
from eluder.envs import dynamical_linear_bandit, random_dynamical_bandit


def rng(seed=0):
    return np.random.default_rng(seed)


def unsymmetric(seed=0, sigma=0.3, sigma_x=0.2):
    g = rng(seed)
    F = g.standard_normal((3, 3))
    F *= 0.7 / np.abs(np.linalg.eigvals(F)).max()
    phi, B = g.standard_normal((4, 2)), g.standard_normal((3, 2))
    return dynamical_linear_bandit(
        phi, g.random(2), F, B, g.random(3), x0=g.random(3), sigma=sigma, sigma_x=sigma_x
    )


def test_the_effect_by_hand():
    """State x -> x / 2 + u_0, worth 3: u_0 earns 3 (1 + 1/2 + 1/4 + ...) = 6 from the next round on."""
    bandit = DynamicalLinearBandit([[1, 0], [0, 1]], [0.5, 1], [[0.5]], [[1, 0]], [3])
    assert cumulative_effect(bandit).tolist() == [6.5, 1.0]
    assert long_run_means(bandit).tolist() == [6.5, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_a_held_action_earns_its_long_run_mean(seed):
    bandit = unsymmetric(seed, 0.0, 0.0)
    for a, mean in enumerate(long_run_means(bandit)):
        books = dynamical_ledger(bandit, 300)
        for t in range(300):
            reward = play_dynamical(bandit, books, t, a, rng())
        assert reward == pytest.approx(mean, abs=1e-9)
        np.testing.assert_array_equal(books.state, books.calm)


def test_no_policy_earns_more_than_the_best_constant_action():
    """Mean rewards of periodic plays, in the long run, are mixtures of the constant ones."""
    bandit = unsymmetric(1, 0.0, 0.0)
    for period in ((0, 1), (0, 0, 1), (0, 1, 2, 3), (3, 1)):
        books, T = dynamical_ledger(bandit, 12_000), 12_000
        for t in range(T):
            play_dynamical(bandit, books, t, period[t % len(period)], rng())
        mixture = long_run_means(bandit)[list(period)].mean()
        assert books.played.total[0] / T == pytest.approx(mixture, abs=0.01)


def test_the_value_recorded_is_the_mean_of_the_rewards():
    bandit, T, runs = unsymmetric(2), 6, 4000
    actions, total, g = [0, 3, 1, 1, 2, 0], np.zeros(T), rng(5)
    for _ in range(runs):
        books = dynamical_ledger(bandit, T)
        total += [play_dynamical(bandit, books, t, a, g) for t, a in enumerate(actions)]
    result = dynamical_result(books)
    np.testing.assert_allclose(np.cumsum(total / runs), result.value, atol=0.12)
    best = long_run_means(bandit).max()
    np.testing.assert_allclose(result.regret, best * np.arange(1, T + 1) - result.value)
    assert result.pulls.tolist() == [2, 2, 1, 1]
    assert isinstance(books, DynamicalLedger)


@pytest.mark.parametrize("seed", range(5))
def test_powers_stay_below_their_bound(seed):
    F = rng(seed).standard_normal((4, 4))
    F *= 0.8 / np.abs(np.linalg.eigvals(F)).max()
    for rho in (0.82, 0.95):
        C = power_bound(F, rho)
        sizes = [np.linalg.norm(np.linalg.matrix_power(F, t), 2) / rho**t for t in range(200)]
        assert max(sizes) == pytest.approx(C, rel=1e-9)
    with pytest.raises(ValueError, match="rho must be larger"):
        power_bound(F, 0.7)
    assert power_bound(np.diag([0.5, -0.2]), 0.5) == 1.0


def test_the_bounds_are_those_of_the_problem():
    bandit = unsymmetric(3)
    known = dynamical_bounds(bandit)
    assert known.rho == pytest.approx(0.1 + 0.9 * 0.7)
    assert pytest.approx(np.linalg.svd(bandit.B)[1].max()) == known.B
    assert (known.omega, known.theta, known.x) == pytest.approx(
        [np.sqrt((v**2).sum()) for v in (bandit.omega, bandit.theta, bandit.x0)]
    )
    assert known.sigma == 0.3
    assert known.Phi == power_bound(bandit.F, known.rho)
    with pytest.raises(ValueError, match="rho must be in"):
        dynamical_bounds(bandit, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_random_instances_keep_what_they_say(seed):
    bandit = random_dynamical_bandit(7, 3, 2, rho=0.6, rng=rng(seed))
    assert np.linalg.norm(bandit.F, 2) == pytest.approx(0.6)
    h = cumulative_effect(bandit)
    assert long_run_means(bandit).max() == pytest.approx(1.0)
    assert (bandit.theta <= 0.5 * h + 1e-12).sum() >= 0
    assert min(x.min() for x in (bandit.phi, bandit.theta, bandit.B, bandit.omega)) >= 0
    assert random_dynamical_bandit(3, 2, 2, rho=0.0, rng=rng()).F.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": [[1, np.nan]]}, r"phi\[0, 1\] is nan"),
        ({"theta": [1]}, r"theta must have shape \(2\)"),
        ({"F": [[1.0]]}, "F has the spectral radius 1, it must be below 1"),
        ({"B": [[1]]}, r"B must have shape \(1, 2\)"),
        ({"omega": [np.inf]}, r"omega\[0\] is inf"),
        ({"x0": [1, 2]}, r"x0 must have shape \(1\)"),
        ({"sigma": -1}, "sigma must be in"),
        ({"sigma_x": np.nan}, "sigma_x must be in"),
    ],
)
def test_bad_input_is_named(change, message):
    bandit = DynamicalLinearBandit([[1, 0], [0, 1]], [0, 1], [[0.5]], [[1, 0]], [1])
    with pytest.raises(ValueError, match=message):
        bandit._replace(**change)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_only_stable_dynamics_are_taken(a, b):
    F = [[a, 1.0], [0.0, b]]
    if max(abs(a), abs(b)) < 0.99:
        assert DynamicalLinearBandit([[1.0]], [0], F, [[1], [1]], [1, 0]).F[0, 0] == a
    elif max(abs(a), abs(b)) > 1.01:
        with pytest.raises(ValueError, match="spectral radius"):
            DynamicalLinearBandit([[1.0]], [0], F, [[1], [1]], [1, 0])
