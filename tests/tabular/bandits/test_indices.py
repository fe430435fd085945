"""Tests of tabular/bandits/_index.py and _tournament.py."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eluder.envs import (
    bernoulli_bandit,
    exponential_bandit,
    gaussian_bandit,
    heavy_tailed_bandit,
    poisson_bandit,
)
from eluder.tabular.bandits import imed, kl_ucb
from eluder.tabular.bandits._index import (
    FAMILIES,
    conjugate,
    divergence,
    excess,
    family_code,
    natural,
    potential,
    upper,
)
from eluder.tabular.bandits._tournament import replace, tournament
from tests.tabular.bandits import naive_stochastic as naive

BERNOULLI, GAUSSIAN, EXPONENTIAL, POISSON = range(4)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_divergences_by_hand():
    assert divergence(BERNOULLI, 0.5, 0.75) == pytest.approx(0.5 * math.log(4 / 3), rel=1e-14)
    assert divergence(GAUSSIAN, 1.0, 3.0) == 2.0
    assert divergence(EXPONENTIAL, 1.0, 2.0) == pytest.approx(0.5 - 1 + math.log(2), rel=1e-14)
    assert divergence(POISSON, 1.0, 2.0) == pytest.approx(1 - math.log(2), rel=1e-14)
    assert divergence(POISSON, 0.0, 2.0) == 2.0
    assert divergence(BERNOULLI, 0.0, 0.5) == pytest.approx(math.log(2))
    assert divergence(BERNOULLI, 1.0, 0.5) == pytest.approx(math.log(2))
    assert divergence(BERNOULLI, 0.5, 1.0) == math.inf


@pytest.mark.parametrize("code", range(4))
@given(m=st.floats(0.001, 0.999), u=st.floats(0.001, 0.999))
def test_divergence_is_the_formula_of_the_family(code, m, u):
    expected = naive.KL[FAMILIES[code]](np.array(m), np.array(u))
    assert divergence(code, m, u) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
    parts = excess(code, m, conjugate(code, m), u, natural(code, u), potential(code, u))
    assert parts == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
    conjugate_form = conjugate(code, m) - m * natural(code, u) + potential(code, u)
    assert conjugate_form == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("code", range(4))
@given(m=st.floats(0.0, 1.0), log=st.floats(-25, 4))
@example(m=5e-324, log=0.0)
def test_upper_solves_its_equation(code, m, log):
    if code == EXPONENTIAL:
        m += 0.01
    level = math.exp(log)
    u = upper(code, m, level)
    assert u >= m
    expected = naive.upper(FAMILIES[code], np.array([m]), level)[0]
    assert u == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_upper_at_the_ends():
    assert upper(BERNOULLI, 1.0, 0.3) == 1.0
    assert upper(BERNOULLI, 0.0, 0.3) == pytest.approx(1 - math.exp(-0.3), rel=1e-14)
    assert upper(POISSON, 0.0, 0.3) == 0.3
    assert upper(BERNOULLI, 0.999, 100.0) == 1.0
    for code in range(4):
        assert upper(code, 0.4, 0.0) == 0.4


def test_exponential_rewards_that_round_to_zero():
    """Means near the smallest float: rewards of 0, which the law does not give."""
    assert natural(EXPONENTIAL, 0.0) == potential(EXPONENTIAL, 0.0) == -math.inf
    for algorithm in (kl_ucb, imed):
        result = algorithm(exponential_bandit([5e-324, 5e-324]), 300, family="exponential", rng=rng())
        assert result.pulls.sum() == 300


def test_families_refuse_other_rewards():
    assert [
        family_code("x", "gaussian", b) for b in (heavy_tailed_bandit([0.0]), bernoulli_bandit([0.1]))
    ] == [1, 1]
    assert family_code("x", "exponential", exponential_bandit([1.0])) == EXPONENTIAL
    assert family_code("x", "poisson", poisson_bandit([1.0])) == POISSON
    with pytest.raises(ValueError, match=r"x with family 'exponential' needs rewards > 0, a poisson bandit"):
        family_code("x", "exponential", poisson_bandit([1.0]))
    with pytest.raises(ValueError, match=r"x needs rewards in .0, 1., those of a pareto bandit"):
        family_code("x", "bernoulli", heavy_tailed_bandit([0.0]))
    with pytest.raises(ValueError, match=r"means\[0, 0\] is -1"):
        family_code("x", "poisson", gaussian_bandit([-1.0])._replace(law="fixed"))


@pytest.mark.parametrize("A", [1, 2, 3, 7, 8, 100])
def test_tournament_is_argmax(A):
    rng = np.random.default_rng(A)
    keys, winner = tournament(A)
    plain = np.full(A, np.inf)
    for t in range(1000):
        a = int(rng.integers(A)) if t % 2 else int(winner[1])
        plain[a] = rng.integers(5)  # many ties
        replace(keys, winner, a, plain[a])
        assert winner[1] == np.argmax(plain)
