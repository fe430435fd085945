"""Tests of tabular/AREA/_NAME.py."""

import numpy as np
import pytest

from eluder.core.simulator import simulator
from eluder.tabular.AREA import NAME
from eluder.tabular.AREA._NAME import _plan, bonus, bound, log_term
from tests.instances import random_episodic
from tests.tabular.AREA import naive


def rng(seed=1):
    return np.random.default_rng(seed)


# --- constants: each equation against a number worked out by hand ---


def test_bonus_by_hand():
    assert np.isclose(bonus(n=4, H=2, L=3.0), ...)


# --- definition: the kernel is the paper, on random arrays that are not the initial ones ---


def test_plan_equals_definition():
    mdp = random_episodic(5, 3, 4, seed=3, stages=True, masked=True)
    sim = simulator(mdp)
    ...
    np.testing.assert_allclose(Q, Q_naive)


# --- theorem: what the paper promises ---


def test_optimism(mdp):
    result = NAME(mdp, 500, rng=rng())
    assert (result.upper >= mdp.mu @ naive.optimal_value(mdp)[0] - 1e-12).all()


# --- rate: the log-log slope of the regret against the declared exponent ---


@pytest.mark.slow
def test_regret_rate(): ...


# The contract (same seed same run, compiled equals plain Python, inputs unmodified, errors by message) is one row in
# tests/test_contract.py.
