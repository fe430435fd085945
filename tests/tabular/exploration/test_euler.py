"""Tests of tabular/exploration/_euler.py."""

import numpy as np
import pytest

from eluder.core.simulator import simulator
from eluder.tabular.exploration import euler
from eluder.tabular.exploration._euler import (
    _bound_reward,
    _euler,
    _plan,
    correction,
    log_term,
    reward_bonus,
    value_bonus,
)
from eluder.tabular.exploration._shared import stage_table
from tests.instances import random_episodic
from tests.tabular.exploration import naive


def rng(seed=1):
    return np.random.default_rng(seed)


# --- constants ---


def test_equations_by_hand():
    assert np.isclose(log_term(S=3, A=4, K=10, H=2, delta=0.7), np.log(9600))
    # sqrt(2 0.5 4 / 4) + 28 / 9
    assert np.isclose(reward_bonus(4, 0.5, 4.0), 1 + 28 / 9)
    # sqrt(2 2 4 / 4) + 2 4 / 9
    assert np.isclose(value_bonus(4, 2.0, H=2, L=4.0), 2 + 8 / 9)
    # J = 4, B_v = 2, B_p = 12: (16 + 12) / 4 + 2 sqrt(9 / 4)
    assert np.isclose(correction(4, 9.0, H=6, L=2.0), 7 + 3)


# --- definition ---


@pytest.mark.parametrize("stationary", [False, True])
def test_plan_equals_definition(stationary):
    H, S, A, L, c = 4, 5, 3, 0.7, 0.05
    mdp = random_episodic(S, A, H, seed=3, stages=not stationary, masked=True)
    sim = simulator(mdp)
    tables = stage_table(mdp, stationary)
    n_next = naive.random_counts(mdp, stationary, seed=1, high=9)
    counts = naive.counts_of(n_next, tables)
    draw = rng(2)
    rewards = [
        [
            [list(draw.random(counts.n[g, s, a])) if mdp.mask[s, a] else None for a in range(A)]
            for s in range(S)
        ]
        for g in range(len(n_next))
    ]
    r_up, r_low, sums = np.zeros(counts.n.shape), np.zeros(counts.n.shape), np.zeros((*counts.n.shape, 2))
    for h in [0] if stationary else range(H):
        for s, a in np.ndindex(S, A):
            for x in rewards[tables[h]][s][a] or []:
                _bound_reward(r_up, r_low, sums, counts, h, s, a, x, L, c)
    Q = np.where(mdp.mask, (H - np.arange(H))[:, None, None], -np.inf).astype(float)
    V_up, V_low, pi = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
    _plan(Q, V_up, V_low, np.zeros_like(V_up), pi, counts, r_up, r_low, sim, L, c)
    by_stage = [rewards[g] for g in tables]
    slow = naive.euler_plan(naive.dense_counts(n_next, sim)[tables], by_stage, H, L, c)
    np.testing.assert_allclose(Q, slow[0])
    np.testing.assert_allclose(V_up, slow[1])
    np.testing.assert_allclose(V_low, slow[2])
    assert (V_low[:H] > 0).mean() > 0.3
    np.testing.assert_array_equal(pi, slow[0].argmax(axis=-1))


@pytest.mark.parametrize("stationary", [False, True])
def test_run_equals_definition(stationary):
    """Sixty episodes from the same draws."""
    mdp = random_episodic(4, 2, 3, seed=8, stages=not stationary, masked=True, bernoulli=True)
    tables = stage_table(mdp, stationary)
    value, upper, lower, Q, *_ = _euler(simulator(mdp), 60, tables, 1.0, 0.05, rng())
    slow = naive.euler_run(mdp, 60, tables, 1.0, 0.05, rng())
    for fast, x in zip((value, upper, lower, Q), slow, strict=True):
        np.testing.assert_allclose(fast, x, atol=1e-12)
    assert len(np.unique(value)) > 2


# --- theorem ---


@pytest.mark.parametrize("bernoulli", [False, True])
@pytest.mark.parametrize("stationary", [False, True])
def test_both_bounds_hold(stationary, bernoulli):
    """V_low <= V* <= V_up in every episode, with the paper's constants, long enough for both to bind."""
    mdp = random_episodic(3, 2, 2, seed=4, stages=not stationary, bernoulli=bernoulli)
    K = 20_000
    L = log_term(3, 2, K, 2, 0.05)
    value, upper, lower, *_ = _euler(simulator(mdp), K, stage_table(mdp, stationary), L, 1.0, rng())
    best = mdp.mu @ naive.optimal_value(mdp)[0]
    assert (lower <= best + 1e-12).all()
    assert (upper >= best - 1e-12).all()
    assert lower[-1] > 0.3 * best
    assert upper[-1] < 2 - 0.3 * (2 - best)
    assert (value <= best + 1e-12).all()


def test_value_is_exact(mdp):
    result = euler(mdp, 300, c=0.01, rng=rng())
    assert np.isclose(result.value[-1], naive.value(mdp, result.pi))


def test_stationary_refuses_stages():
    with pytest.raises(ValueError, match="stationary=True needs a kernel"):
        euler(random_episodic(3, 2, 2, 0, stages=True), 2, stationary=True, rng=rng())
