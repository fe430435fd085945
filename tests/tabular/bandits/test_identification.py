"""Best-arm identification: definitions, thresholds, errors, proportions."""

import math

import numpy as np
import pytest

from eluder.core.bandits import Bandit
from eluder.core.identification import characteristic_time, family
from eluder.envs import bernoulli_bandit, gaussian_bandit
from eluder.tabular.bandits import _identification as stopping
from eluder.tabular.bandits import (
    _lucb,
    _successive_halving,
    _top_two,
    _track_and_stop,
    lucb,
    successive_halving,
    top_two,
    track_and_stop,
)
from tests.tabular.bandits import naive_identification as naive

BERNOULLI, GAUSSIAN = [0.3, 0.6, 0.45, 0.2], [0.0, 1.0, 0.4, -0.5]


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(gaussian):
    return gaussian_bandit(GAUSSIAN, sigma=0.7) if gaussian else bernoulli_bandit(BERNOULLI)


def sampler(gaussian, generator):
    if gaussian:
        return lambda a: GAUSSIAN[a] + 0.7 * generator.standard_normal()
    return lambda a: float(generator.random() < BERNOULLI[a])


# --- equations by hand ---


def test_thresholds_by_hand():
    assert stopping.bernoulli_threshold(10.0, 4, 0.05) == pytest.approx(math.log(2 * 10 * 3 / 0.05))
    expected = 1.5 * (math.log(3 / 0.05) + (math.log(3) + math.log(6)) / 2)
    assert stopping.gaussian_threshold(2.0, 5.0, 4, 0.05) == pytest.approx(expected)
    assert stopping.heuristic_threshold(10.0, 0.05) == pytest.approx(math.log((1 + math.log(10)) / 0.05))


def test_radius_of_lucb_by_hand():
    log = _lucb.log_term(3, 4, 0.1)
    assert log == pytest.approx(math.log(5 / 4 * 4 * 81 / 0.1))
    assert _lucb.radius(8.0, log, 2.0) == pytest.approx(2 * math.sqrt(log / 16))
    n, mean = np.array([1.0, 1.0, 4.0]), np.array([0.5, 0.2, 0.4])
    rival, overlap = _lucb.rival_of(n, mean, 0, 2.0, 1.0)
    assert (rival, overlap) == (1, pytest.approx(0.2 + 1 - 0.5 + 1))


def test_halving_by_hand():
    assert [_successive_halving.rounds(A) for A in (2, 3, 4, 5, 8, 9)] == [1, 2, 2, 3, 3, 4]
    assert _successive_halving.plays_each(1000, 8, 3) == 41
    gaps = np.array([0.0, 0.1, 0.2, 0.5])
    assert _successive_halving.hardness(gaps) == pytest.approx(max(2 / 0.01, 3 / 0.04, 4 / 0.25))
    assert _successive_halving.hardness(np.array([0.0, 0.0])) == np.inf
    assert _successive_halving.bound(gaps, 4000) == pytest.approx(6 * math.exp(-4000 / (8 * 200 * 2)))


def test_choices_of_track_and_stop_and_of_top_two():
    laws, w = family(problem(False)), np.zeros(3)
    assert _track_and_stop.least(100, 4) == 8
    n, mean = np.array([60.0, 37.0, 3.0]), np.array([0.5, 0.4, 0.3])
    assert _track_and_stop.choose(laws, n, mean, 100, 0.5, w)[0] == 2  # starved: 3 < 10 - 1.5
    n = np.array([40.0, 40.0, 20.0])
    arm, _ = _track_and_stop.choose(laws, n, mean, 100, 0.5, w)
    assert arm == int(np.argmax(100 * naive.weights(None, mean) - n))
    index = [naive.cost(None, 40, 0.5, n[a], mean[a]) + math.log(n[a]) for a in (1, 2)]
    assert _top_two.challenger(laws, n, mean, 0) == 1 + int(np.argmin(index))


# --- definitions ---


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gaussian", [False, True])
def test_track_and_stop_is_its_definition(gaussian, seed):
    result = track_and_stop(problem(gaussian), delta=0.2, threshold="heuristic", rng=rng(seed))
    sigma = 0.7 if gaussian else None
    sample = sampler(gaussian, rng(seed))
    arm, n = naive.fixed_confidence(sample, 4, naive.track_rule(sigma), sigma, False, 0.2)
    assert result.arm == arm
    np.testing.assert_array_equal(result.pulls, n)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("leader", ["empirical", "thompson"])
@pytest.mark.parametrize("gaussian", [False, True])
def test_top_two_is_its_definition(gaussian, leader, seed):
    result = top_two(problem(gaussian), delta=0.1, beta=0.4, leader=leader, rng=rng(seed))
    generator, sigma = rng(seed), 0.7 if gaussian else None
    rule = naive.top_two_rule(sigma, 0.4, leader == "thompson", generator)
    arm, n = naive.fixed_confidence(sampler(gaussian, generator), 4, rule, sigma, True, 0.1)
    assert result.arm == arm
    np.testing.assert_array_equal(result.pulls, n)


@pytest.mark.parametrize("seed", range(6))
def test_lucb_is_its_definition(seed):
    result = lucb(problem(False), delta=0.1, eps=0.05, c=0.5, rng=rng(seed))
    arm, n = naive.lucb(sampler(False, rng(seed)), 4, 0.1, 0.05, 0.5)
    assert result.arm == arm
    np.testing.assert_array_equal(result.pulls, n)


@pytest.mark.parametrize("A", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_halving_is_its_definition(A, seed):
    means = rng(100 + seed).random(A)
    result = successive_halving(bernoulli_bandit(means), 301, rng=rng(seed))
    generator = rng(seed)
    arm, n = naive.halving(lambda a: float(generator.random() < means[a]), A, 301)
    assert result.arm == arm
    np.testing.assert_array_equal(result.pulls, n)
    assert result.pulls.sum() <= 301


# --- theorems ---


@pytest.mark.parametrize(
    ("learner", "kwargs"),
    [
        (lucb, {}),
        (track_and_stop, {}),
        (top_two, {}),
        (top_two, {"leader": "thompson"}),
    ],
)
def test_errors_are_rarer_than_delta(learner, kwargs):
    bandit = bernoulli_bandit([0.5, 0.65, 0.4])
    wrong = sum(learner(bandit, delta=0.2, **kwargs, rng=rng(i)).arm != 1 for i in range(200))
    assert wrong <= 52  # Binomial(200, 0.2) exceeds it with probability 0.02; the learners err about never


def test_error_of_halving_is_below_its_bound():
    gaps = np.array([0.0, 0.15, 0.15, 0.2])
    bandit, T = bernoulli_bandit(0.6 - gaps), 6000
    wrong = np.mean([successive_halving(bandit, T, rng=rng(i)).arm != 0 for i in range(500)])
    assert wrong < _successive_halving.bound(gaps, T) < 0.5


@pytest.mark.parametrize("gaussian", [False, True])
def test_proportions_go_to_those_of_the_program(gaussian):
    means = GAUSSIAN[:3] if gaussian else [0.5, 0.45, 0.4]
    bandit = gaussian_bandit(means, sigma=0.7) if gaussian else bernoulli_bandit(means)
    _, w = naive.program(0.7 if gaussian else None, means)
    result = track_and_stop(bandit, delta=1e-90, rng=rng(1))
    np.testing.assert_allclose(result.pulls / result.pulls.sum(), w, atol=0.03)
    assert result.status == "stopped"


def test_top_two_gives_the_leader_its_share():
    bandit = bernoulli_bandit([0.5, 0.3, 0.25])
    result = top_two(bandit, delta=1e-99, beta=0.35, rng=rng())
    share = result.pulls / result.pulls.sum()
    np.testing.assert_allclose(share, characteristic_time(bandit, 0.35)[1], atol=0.04)


# --- ends ---


@pytest.mark.parametrize("learner", [lucb, track_and_stop, top_two])
def test_equal_arms_end_at_the_cap_with_a_word(learner):
    with pytest.warns(RuntimeWarning, match="max_rounds = 500 reached before the learner was sure"):
        result = learner(bernoulli_bandit([0.5, 0.5]), max_rounds=500, rng=rng())
    assert result.status.startswith("max_rounds = 500 reached")
    assert result.pulls.sum() == 500


@pytest.mark.parametrize("learner", [lucb, track_and_stop, top_two])
def test_certain_arms(learner):
    result = learner(bernoulli_bandit([0.0, 1.0]), delta=1e-6, rng=rng())
    assert result.arm == 1
    assert result.means.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("learner", [lucb, track_and_stop, top_two])
def test_refuses_what_it_cannot_identify(learner):
    with pytest.raises(ValueError, match="bandit must have at least 2 arms, has 1"):
        learner(bernoulli_bandit([0.5]), rng=rng())
    with pytest.raises(ValueError, match="bandit must have one segment"):
        learner(Bandit([[0.1, 0.2], [0.3, 0.4]], starts=[0, 5]), rng=rng())


# --- rates ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "kwargs", "beta"), [(track_and_stop, {}, None), (top_two, {}, 0.5)], ids=["track", "top_two"]
)
def test_plays_grow_by_the_characteristic_time(learner, kwargs, beta):
    """d E[plays] / d ln(1 / delta) is T*, up to the derivative of ln t in the threshold."""
    bandit = bernoulli_bandit([0.5, 0.45, 0.43, 0.4])
    time = characteristic_time(bandit, beta)[0]
    log = np.array([20.0, 60.0])
    plays = np.array(
        [
            [learner(bandit, delta=math.exp(-x), **kwargs, rng=rng(i)).pulls.sum() for i in range(100)]
            for x in log
        ]
    )
    slope = np.diff(plays.mean(axis=1))[0] / np.diff(log)[0]
    error = math.sqrt((plays.var(axis=1, ddof=1) / 100).sum()) / np.diff(log)[0]
    print(f"{learner.__name__}: {slope:.0f} +- {1.96 * error:.0f} plays per ln(1/delta), T* = {time:.0f}")
    assert 0.9 * time - 3 * error < slope < 1.15 * time + 3 * error
