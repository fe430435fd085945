"""Arms that are equal, zero, huge or tiny, one round, huge scales: an error that names them, or numbers."""

import warnings

import numpy as np
import pytest

from eluder.core.dynamical import dynamical_bounds
from eluder.envs import (
    dynamical_linear_bandit,
    feature_bandit,
    linear_bandit,
    multitask_linear_bandits,
)
from eluder.linear.bandits import (
    dynlin_ucb,
    gfucb,
    glm_ucb,
    lin_ts,
    lin_ucb,
    misspecified_elimination,
    phased_elimination,
    rep_exp,
    sparse_elimination,
    weighted_oful,
)
from eluder.linear.bandits._phased_elimination import plays, rescaled

ARMS = {
    "one": [[1.0]],
    "zero": [[0.0], [0.0]],
    "equal": [[1.0, 0.0]] * 3,
    "some zero": [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]],
    "huge": [[1e6, 0.0], [0.0, 1e6], [1.0, 1.0]],
    "tiny": [[1e-200, 0.0], [0.0, 1e-200]],
    "nearly parallel": [[1.0, 0.0], [1.0, 1e-9]],
}


def rng():
    return np.random.default_rng(0)


def linear(phi, sigma):
    largest = np.abs(phi).max()
    return linear_bandit(phi, np.full(np.shape(phi)[1], 0.5 / max(largest, 1.0)), sigma=sigma)


def near_linear(phi, sigma):
    bandit = linear(phi, sigma)
    return feature_bandit(phi, bandit.phi @ bandit.theta, sigma=sigma)


def dynamical(phi, sigma):
    d = np.shape(phi)[1]
    actions = np.clip(phi, -1, 1)
    return dynamical_linear_bandit(actions, np.ones(d), [[0.5]], np.ones((1, d)), [1.0], sigma=sigma)


LEARNERS = [
    (lin_ucb, linear),
    (lin_ts, linear),
    (glm_ucb, linear),
    (weighted_oful, linear),
    (phased_elimination, linear),
    (misspecified_elimination, near_linear),
    (dynlin_ucb, dynamical),
]


@pytest.mark.parametrize("arms", ARMS)
@pytest.mark.parametrize(("learner", "make"), LEARNERS, ids=lambda x: x.__name__)
def test_odd_arms(learner, make, arms):
    T = 60 if learner is glm_ucb else 2500
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sigma in (0.0, 0.3):
            for rounds in (1, T):
                result = learner(make(ARMS[arms], sigma), rounds, rng=rng())
                assert np.isfinite(result.regret).all()
                assert (result.regret >= -1e-9).all()
                assert result.pulls.sum() == rounds


@pytest.mark.parametrize("c", [1e150, 1e308])
@pytest.mark.parametrize(("learner", "make"), LEARNERS, ids=lambda x: x.__name__)
def test_a_huge_scale_is_refused_or_sound(learner, make, c):
    bandit = make([[1.0, 0.0], [0.5, 0.5]], 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if learner in (phased_elimination, misspecified_elimination):
            assert learner(bandit, 100, c=c, rng=rng()).pulls.sum() == 100
        else:
            with pytest.raises(ValueError, match=r"c = 1e\+(150|308).* makes the radius"):
                learner(bandit, 100, c=c, rng=rng())


@pytest.mark.parametrize(("learner", "make"), LEARNERS[:4], ids=lambda x: x.__name__)
def test_a_vanishing_penalty_is_refused(learner, make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"lam = 1e-300 makes the widths of arms up to 1e\+300"):
            learner(make(ARMS["zero"], 0.3), 10, lam=1e-300, rng=rng())
        with pytest.raises(ValueError, match=r"lam = 1e-95 makes the widths of arms up to 1e\+107"):
            learner(make(ARMS["huge"], 0.3), 10, lam=1e-95, rng=rng())


def test_the_others_refuse_it_as_well():
    pool = feature_bandit(ARMS["some zero"], [0.0, 1.0, 0.0])
    for learner, problem, steps in (
        (rep_exp, pool, 2),
        (dynlin_ucb, dynamical([[1.0, 0.0]], 0.3), 10),
        (gfucb, multitask_linear_bandits(2, 2, rng=rng()), 10),
    ):
        with pytest.raises(ValueError, match="lam = 1e-300 makes the widths"):
            learner(problem, steps, lam=1e-300, rng=rng())


def test_bounds_that_overflow_are_named():
    bandit = dynamical([[1.0, 0.0]], 0.3)
    with pytest.raises(ValueError, match=r"bounds\.omega = 1e\+308.* makes the radius"):
        dynlin_ucb(bandit, 10, bounds=dynamical_bounds(bandit)._replace(omega=1e308), rng=rng())


def test_sparse_elimination_refuses_plays_without_end():
    bandit = feature_bandit([[1.0], [2.0]], [0.5, 1.0], sigma=1.0)
    for change in ({"eps": 0.5, "c": 1e308}, {"eps": 1e-5, "S": 1e-3}):
        with pytest.raises(ValueError, match=r"make .* plays of an arm, more than 1000000000"):
            sparse_elimination(bandit, s=1, **change, rng=rng())


def test_where_nothing_can_be_told_apart_phases_do_not_end_in_a_division_by_zero():
    """Without noise a phase is a play for each arm of the design: after 1100 phases 2^-l is 0 as a number."""
    bandit = linear_bandit([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5], sigma=0.0)
    result = phased_elimination(bandit, 4000, rng=rng())
    assert result.pulls.tolist() == [2000, 2000]
    assert plays(np.array([0.5, 0.0]), 2.0, 1e-300, 2, 5, np.inf, 0.1).tolist() == [2**53, 0]


def test_a_power_of_two_changes_nothing():
    phi = rng().standard_normal((4, 3)) * 1e-180
    unit = rescaled(phi)
    assert 0.5 <= np.abs(unit).max() < 1
    np.testing.assert_array_equal(unit / unit[0, 0], phi / phi[0, 0])
    assert not rescaled(np.zeros((2, 2))).any()
