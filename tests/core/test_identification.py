"""The characteristic time against convex programs, and the divergences behind it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from eluder.core.bandits import Bandit
from eluder.core.identification import (
    Family,
    balance,
    characteristic_time,
    family,
    inverse_level,
    kl,
    level,
    optimal_weights,
    transport,
)
from tests.tabular.bandits import naive_identification as naive

BERNOULLI = Family(False, 1.0)
GAUSSIAN = Family(True, 0.5)
MEANS = st.just(0.0) | st.floats(1e-9, 1)  # of rewards: 0, or not far below 1 / n


@pytest.mark.parametrize(
    ("bandit", "message"),
    [
        ("x", "bandit must be a Bandit, got str"),
        (Bandit([[0.1, 0.2], [0.3, 0.4]]), "bandit must have one segment"),
        (Bandit([0.1]), "bandit must have at least 2 arms"),
        (Bandit([0.1, 0.2], law="poisson"), "bandit must have Bernoulli rewards, or Gaussian ones"),
        (
            Bandit([0.1, 0.2], law="gaussian", scale=[1.0, 2.0]),
            r"scale\[1\] is 2 and scale\[0\] is 1: the family needs one deviation",
        ),
        (Bandit([0.1, 0.7, 0.7]), "bandit must have one best arm"),
    ],
)
def test_refuses(bandit, message):
    with pytest.raises(ValueError, match=message):
        characteristic_time(bandit)


def test_refuses_a_wrong_share():
    with pytest.raises(ValueError, match=r"beta must be in \(0, 1\)"):
        characteristic_time(Bandit([0.1, 0.2]), beta=1.0)


def test_family():
    assert family(Bandit([0.1, 0.2], law="gaussian", scale=0.3)) == Family(True, 0.3)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.2, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("y", [1e-9, 0.2, 0.21, 0.5, 1 - 1e-9])
def test_bernoulli_divergence(x, y):
    assert kl(BERNOULLI, x, y) == pytest.approx(rel_entr(x, y) + rel_entr(1 - x, 1 - y), rel=1e-7, abs=1e-15)


def test_divergence_at_the_ends_and_by_hand():
    assert kl(BERNOULLI, 0.3, 0.0) == kl(BERNOULLI, 0.3, 1.0) == math.inf
    assert kl(BERNOULLI, 0.0, 0.0) == kl(BERNOULLI, 1.0, 1.0) == 0.0
    assert kl(BERNOULLI, 0.0, 0.5) == pytest.approx(math.log(2), rel=1e-15)
    assert kl(GAUSSIAN, 1.0, 0.0) == 2.0
    # close means: (x - y)^2 / (2 x (1 - x)), where the plain formula keeps no digit
    assert kl(BERNOULLI, 0.3, 0.3 + 1e-9) == pytest.approx(1e-18 / 0.42, rel=1e-6)


@pytest.mark.parametrize("laws", [BERNOULLI, GAUSSIAN])
def test_transport_is_the_least_cost_of_an_alternative(laws):
    grid = np.linspace(0.001, 0.999, 999)
    sigma = laws.sigma if laws.gaussian else None
    costs = [7 * naive.d(sigma, 0.6, m) + 12 * naive.d(sigma, 0.3, m) for m in grid]
    assert transport(laws, 7.0, 0.6, 12.0, 0.3) == pytest.approx(min(costs), rel=1e-4)
    assert transport(laws, 7.0, 0.6, 12.0, 0.3) <= min(costs)
    assert transport(laws, 7.0, 0.3, 12.0, 0.6) == 0.0


def test_gaussian_level_has_a_closed_form():
    # g(x) = gap^2 / (2 sigma^2) x / (1 + x)
    assert level(GAUSSIAN, 1.0, 0.0, 3.0) == pytest.approx(2 * 0.75)
    assert inverse_level(GAUSSIAN, 1.0, 0.0, 1.5, 0.0, 10.0) == pytest.approx(3.0, rel=1e-12)
    assert balance(GAUSSIAN, 1.0, 0.0, 3.0, 0.0)[0] == pytest.approx(9.0)  # d(best, m) / d(other, m) = x^2


@pytest.mark.parametrize("laws", [BERNOULLI, GAUSSIAN])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_derivative_of_the_outer_equation(laws, share):
    best, other, x, h = 0.7, 0.4, 0.8, 1e-6
    low, high = (balance(laws, best, other, x + s * h, share)[0] for s in (-1, 1))
    step = level(laws, best, other, x + h) - level(laws, best, other, x - h)
    assert balance(laws, best, other, x, share)[1] == pytest.approx((high - low) / step, rel=1e-6)


@pytest.mark.parametrize("law", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("beta", [None, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_characteristic_time_against_the_convex_program(law, beta, seed):
    rng = np.random.default_rng(seed)
    means = rng.random(2 + seed)
    sigma = 0.5 if law == "gaussian" else None
    time, w = characteristic_time(Bandit(means, law, 0.5 if sigma else 1.0), beta)
    reference, proportions = naive.program(sigma, means, beta)
    assert time == pytest.approx(reference, rel=1e-6)
    np.testing.assert_allclose(w, proportions, atol=1e-4)
    assert w.sum() == pytest.approx(1, abs=1e-12)


def test_proportions_of_the_paper():
    _, w = characteristic_time(Bandit([0.5, 0.45, 0.43, 0.4]))
    np.testing.assert_allclose(w, [0.417, 0.390, 0.136, 0.057], atol=1e-3)  # section 2.3 of the paper


@given(
    st.lists(st.sampled_from(np.linspace(0, 1, 51).tolist()) | MEANS, min_size=2, max_size=6),
    st.booleans(),
)
def test_weights_equalise_the_evidence(means, gaussian):
    """At the optimum every other arm carries the same evidence, and no arm is left out."""
    laws, mean, w = Family(gaussian, 1.0), np.array(means), np.zeros(len(means))
    start, time = optimal_weights(laws, mean, 0.0, 0.5, w)
    assert w.sum() == pytest.approx(1)
    assert 0 < start < 1
    best = int(np.argmax(mean))
    if (mean == mean[best]).sum() > 1:
        np.testing.assert_allclose(w, (mean == mean[best]) / (mean == mean[best]).sum())
        assert time == math.inf
    elif mean[best] - np.sort(mean)[-2] > 1e-6:
        costs = [transport(laws, w[best], mean[best], w[a], mean[a]) for a in range(w.size) if a != best]
        np.testing.assert_allclose(costs, 1 / time, rtol=1e-6)
        again = w.copy()
        optimal_weights(laws, mean, 0.0, start, again)  # a warm start changes nothing
        np.testing.assert_allclose(again, w, rtol=1e-7, atol=1e-12)
