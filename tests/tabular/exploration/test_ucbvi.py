"""Tests of tabular/exploration/_ucbvi.py."""

import numpy as np
import pytest

from eluder.core.simulator import simulator
from eluder.tabular.exploration import ucbvi
from eluder.tabular.exploration._shared import stage_table
from eluder.tabular.exploration._ucbvi import (
    _plan,
    _ucbvi,
    bernstein_bonus,
    bound_bernstein,
    bound_hoeffding,
    correction_term,
    hoeffding_bonus,
    log_term,
)
from tests.instances import random_episodic
from tests.tabular.exploration import naive
from tests.tabular.exploration.naive import counts_of, random_counts


def rng(seed=1):
    return np.random.default_rng(seed)


# --- constants ---


def test_log_term_by_hand():
    assert np.isclose(log_term(S=3, A=4, K=10, H=2, delta=0.1), np.log(12000))


def test_bonuses_by_hand():
    assert np.isclose(hoeffding_bonus(n=4, H=2, L=3.0), 21.0)
    # sqrt(8*3*0.5/4) + 14*2*3/12 + sqrt(8*2/4)
    assert np.isclose(bernstein_bonus(4, 0.5, 2.0, H=2, L=3.0), np.sqrt(3.0) + 7.0 + 2.0)
    assert correction_term(0, S=2, A=2, H=3, L=1.0) == 9.0
    assert np.isclose(correction_term(10**9, S=2, A=2, H=3, L=1.0), 1e4 * 27 * 4 * 2 / 1e9)


def test_bounds_by_hand():
    L = np.log(5 * 4 * 2 * 3 * 400 / 0.1)  # the theorems' ln(5 H S A T / delta), not the bonus's
    assert np.isclose(bound_hoeffding(2, 3, 4, 100, 0.1), 20 * 8 * L * np.sqrt(600) + 250 * 16 * 4 * 3 * L**2)
    assert np.isclose(
        bound_bernstein(2, 3, 4, 100, 0.1),
        30 * 4 * L * np.sqrt(600) + 2500 * 16 * 4 * 3 * L**2 + 4 * 8 * np.sqrt(100 * L),
    )


# --- definition ---


def planned(mdp, stationary, bonus, n_next, visits, Q, L=0.7, c=0.1):
    """Return what the kernel plans, and the definition, from the given counts."""
    sim = simulator(mdp)
    H, S, A = sim.r.shape
    counts = counts_of(n_next, stage_table(mdp, stationary, knows_r=True))
    W = np.array([[correction_term(n, S, A, H, L) for n in row] for row in visits])
    naive_Q, naive_V = naive.ucbvi_plan(
        Q, naive.dense_counts(n_next, sim)[counts.table], visits, sim.r, bonus, L, c
    )
    V, pi = np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
    top = _plan(Q, V, pi, counts, W, sim, bonus == "bernstein", L, c)
    return (Q, V, pi, top), (naive_Q, naive_V)


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
@pytest.mark.parametrize("stationary", [False, True])
def test_plan_equals_definition(bonus, stationary):
    mdp = random_episodic(5, 3, 4, seed=3, stages=not stationary, masked=True)
    n_next = random_counts(mdp, stationary, seed=1)
    Q = np.where(mdp.mask, rng(2).random((4, 5, 3)) * 4, -np.inf)
    visits = rng(4).integers(0, 2 * 10**6, (5, 5)) * rng(5).integers(0, 2, (5, 5))
    (Q, V, pi, top), (naive_Q, naive_V) = planned(mdp, stationary, bonus, n_next, visits, Q)
    np.testing.assert_allclose(Q, naive_Q)
    np.testing.assert_allclose(V, naive_V)
    np.testing.assert_array_equal(pi, naive_Q.argmax(axis=-1))
    assert top == max(np.flatnonzero(pi.any(axis=1)))  # the policy before was 0


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
@pytest.mark.parametrize("stationary", [False, True])
def test_run_equals_definition(bonus, stationary):
    """Sixty episodes from the same draws; L is so small that the correction term of Algorithm 4 varies."""
    mdp = random_episodic(4, 2, 3, seed=8, stages=not stationary, masked=True)
    tables = stage_table(mdp, stationary)
    args = 60, tables, bonus == "bernstein", 1e-3, 0.5
    value, upper, Q, _, N = _ucbvi(simulator(mdp), *args, rng())
    slow = naive.ucbvi_run(mdp, 60, tables, bonus, 1e-3, 0.5, rng())
    np.testing.assert_allclose(value, slow[0])
    np.testing.assert_allclose(upper, slow[1])
    np.testing.assert_allclose(Q, slow[2])
    assert (N.sum(axis=(1, 2)) == 60).all()
    assert len(np.unique(value)) > 2


def test_shared_counts_refresh_the_bonus_of_every_stage():
    """A visit at one stage lowers the bonus at all stages at the next plan."""
    mdp = random_episodic(4, 2, 3, seed=6)
    mdp = mdp._replace(r=mdp.r / 10)  # so that neither the last Q nor the cut-off at H - h binds
    start = np.full((3, 4, 2), 1e9)
    n_next = 1 + random_counts(mdp, True, seed=7)
    (before, *_), _ = planned(mdp, True, "hoeffding", n_next, np.ones((4, 4)), start.copy(), c=1e-3)
    n_next[0, 2, 1] *= 4  # the same empirical kernel, half the bonus
    (after, *_), _ = planned(mdp, True, "hoeffding", n_next, np.ones((4, 4)), start.copy(), c=1e-3)
    assert (after[:, 2, 1] < before[:, 2, 1]).all()


# --- theorem ---


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
def test_optimism(mdp, bonus):
    result = ucbvi(mdp, 500, bonus=bonus, rng=rng())
    assert (result.upper >= mdp.mu @ naive.optimal_value(mdp)[0] - 1e-12).all()


def test_value_is_exact(mdp):
    """The last stored value is that of the last policy, evaluated from the problem's own arrays."""
    result = ucbvi(mdp, 300, c=0.01, rng=rng())
    P, r = (np.broadcast_to(x, (mdp.H, *x.shape[-n:])) for x, n in ((mdp.P, 3), (mdp.r, 2)))
    V = np.zeros(5)
    for h in reversed(range(mdp.H)):
        a = result.pi[h]
        V = r[h][np.arange(5), a] + P[h][np.arange(5), a] @ V
    assert np.isclose(result.value[-1], mdp.mu @ V)


def test_stationary_refuses_stages():
    with pytest.raises(ValueError, match="stationary=True needs a kernel"):
        ucbvi(random_episodic(3, 2, 2, 0, stages=True), 2, stationary=True, rng=rng())
