"""Tests of tabular/exploration/_ucbvi.py."""

import numpy as np
import pytest

from eluder.core.simulator import simulator
from eluder.tabular.exploration import ucbvi
from eluder.tabular.exploration._ucbvi import (
    _plan,
    bernstein_bonus,
    bound_bernstein,
    bound_hoeffding,
    correction_term,
    hoeffding_bonus,
    log_term,
)
from tests.instances import random_episodic
from tests.tabular.exploration import naive


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
    L = log_term(2, 3, 100, 4, 0.1)
    assert np.isclose(bound_hoeffding(2, 3, 4, 100, 0.1), 20 * 8 * L * np.sqrt(600) + 250 * 16 * 4 * 3 * L**2)
    assert np.isclose(
        bound_bernstein(2, 3, 4, 100, 0.1),
        30 * 4 * L * np.sqrt(600) + 2500 * 16 * 4 * 3 * L**2 + 4 * 8 * np.sqrt(100 * L),
    )


# --- definition ---


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
@pytest.mark.parametrize("stationary", [False, True])
def test_plan_equals_definition(bonus, stationary):
    mdp = random_episodic(5, 3, 4, seed=3, stages=not stationary, masked=True)
    sim = simulator(mdp)
    H, S, A = sim.r.shape
    counts = np.zeros(H, np.int64) if stationary else np.arange(H)
    n_next = rng().integers(0, 4, (counts[-1] + 1, *sim.prob.shape[1:])) * (sim.prob[: counts[-1] + 1] > 0)
    n_next[0, 0, 0] = 0
    N = rng(4).integers(0, 2000, (H, S, A))
    Q = np.where(mdp.mask, rng(2).random((H, S, A)) * H, -np.inf)
    pi = np.zeros((H, S), np.int64)
    n_next *= mdp.mask[..., None]
    V = np.zeros((H + 1, S))
    Q_naive, V_naive = naive.ucbvi_plan(Q, naive.dense_counts(n_next, sim)[counts], N, sim.r, bonus, 0.7, 0.1)
    _plan(Q, V, pi, N, n_next, counts, sim, bonus == "bernstein", 0.7, 0.1)
    np.testing.assert_allclose(Q, Q_naive)
    np.testing.assert_allclose(V, V_naive)
    np.testing.assert_array_equal(pi, Q_naive.argmax(axis=-1))


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


# --- rate ---


@pytest.mark.slow
@pytest.mark.parametrize(("bonus", "stationary"), [("hoeffding", False), ("bernstein", True)])
def test_regret_rate(bonus, stationary):
    """Theory: slope 1/2 and logarithms."""
    mdp = random_episodic(3, 2, 3, seed=5)
    best = mdp.mu @ naive.optimal_value(mdp)[0]
    K = 2 ** np.arange(12, 19)
    regret = np.mean(
        [
            np.cumsum(best - ucbvi(mdp, K[-1], bonus=bonus, stationary=stationary, c=0.1, rng=rng(i)).value)
            for i in range(8)
        ],
        axis=0,
    )
    slope, _ = np.polyfit(np.log(K), np.log(regret[K - 1]), 1)
    assert slope < 0.6
