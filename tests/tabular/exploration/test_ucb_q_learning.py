"""Tests of tabular/exploration/_ucb_q_learning.py."""

import numpy as np
import pytest

from eluder.core.simulator import policy_log, simulator
from eluder.tabular.exploration import ucb_q_learning
from eluder.tabular.exploration._ucb_q_learning import (
    _ucb_q_learning,
    bernstein_bonus,
    bernstein_radius,
    hoeffding_bonus,
    log_term,
    step_size,
)
from tests.instances import random_episodic
from tests.tabular.exploration import naive


def rng(seed=1):
    return np.random.default_rng(seed)


# --- constants ---


def test_equations_by_hand():
    assert np.isclose(log_term(S=3, A=4, K=10, H=2, delta=0.1), np.log(2400))
    assert step_size(1, H=7) == 1.0
    assert np.isclose(step_size(3, H=2), 3 / 5)
    assert np.isclose(hoeffding_bonus(4, H=2, iota=8.0), 4.0)
    # sqrt(2 (2 + 2) 2 / 16) + sqrt(2^7 2) 2 / 16 = 1 + 2 and sqrt(2^3 2 / 16) = 1
    assert np.isclose(bernstein_radius(16, 2.0, S=2, A=1, H=2, iota=2.0), 1.0)
    # t = 1600: sqrt(0.01) + 0.02 > sqrt(0.01); H = 3, t = 10^6: the first is the smaller
    assert np.isclose(bernstein_radius(10**6, 0.0, S=1, A=1, H=3, iota=1.0), 3e-3 + 3**3.5 * 1e-6)
    assert np.isclose(bernstein_bonus(3.0, 2.0, 0.5), 2.0)


def weights(t, H):
    """alpha_t^i for i = 1, ..., t."""
    alpha = np.array([step_size(j, H) for j in range(1, t + 1)])
    return alpha * np.append(np.cumprod((1 - alpha)[:0:-1])[::-1], 1.0)


@pytest.mark.parametrize("H", [1, 4])
def test_weights_of_the_samples(H):
    """Lemma 4.1 of the paper; each sum of weights is 1."""
    table = np.zeros((3000, 3000))
    for t in range(1, 3001):
        w = weights(t, H) if t <= 200 else table[t - 2, : t - 1] * (1 - step_size(t, H))
        table[t - 1, : len(w)] = w
        table[t - 1, t - 1] = step_size(t, H)
    i = np.arange(1, 3001)
    for t in range(1, 201):
        w = table[t - 1, :t]
        assert np.isclose(w.sum(), 1.0)
        assert 1 / np.sqrt(t) - 1e-12 <= (w / np.sqrt(i[:t])).sum() <= 2 / np.sqrt(t)
        assert w.max() <= 2 * H / t + 1e-12
        assert (w**2).sum() <= 2 * H / t + 1e-12
    far = 2 if H == 1 else 200  # the tail of the sum is (i / 3000)^H
    np.testing.assert_allclose(table[:, :far].sum(axis=0), 1 + 1 / H, rtol=2e-3)


def test_bernstein_bonuses_sum_to_half_the_radius():
    """For any radii, sum_i alpha_t^i b_i = beta_t / 2."""
    H, t = 3, 40
    beta = np.append(0.0, rng().random(t))
    b = [bernstein_bonus(beta[i], beta[i - 1], step_size(i, H)) for i in range(1, t + 1)]
    assert np.isclose(weights(t, H) @ b, beta[t] / 2)


# --- definition ---


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
def test_run_equals_definition(bonus):
    """From random tables, two hundred episodes leave the same tables and have the same values."""
    iota, c = (1e-5, 30.0) if bonus == "bernstein" else (0.3, 1.0)
    H, S, A, K = 3, 4, 3, 200
    mdp = random_episodic(S, A, H, seed=2, masked=True, bernoulli=True)
    sim = simulator(mdp)
    Q = np.where(mdp.mask, rng(2).random((H, S, A)) * H, -np.inf)
    V = np.vstack([rng(3).random((H, S)), np.zeros((1, S))])
    N = rng(4).integers(1, 9, (H, S, A))
    moments = rng(5).random((H, S, A, 3)) * N[..., None]
    moments[..., 1] += moments[..., 0] ** 2 / N  # so that the variance is one
    slow = naive.UCBQLearning(Q, V, N, *np.moveaxis(moments * [1, 1, c], -1, 0), bonus, iota, c)
    values, uppers, draw = [], [], rng(6)
    for _ in range(K):
        pi = slow.Q.argmax(axis=-1)
        values.append(naive.value(mdp, pi))
        uppers.append(mdp.mu @ slow.V[0])
        for transition in naive.play(mdp, pi, draw):
            slow.update(*transition)
    pi = Q.argmax(axis=-1)
    value, upper, log = np.empty(K), np.empty(K), policy_log(sim, pi)
    _ucb_q_learning(Q, V, pi, N, moments, value, upper, log, sim, bonus == "bernstein", iota, c, rng(6))
    np.testing.assert_allclose(value, values)
    np.testing.assert_allclose(upper, uppers)
    np.testing.assert_allclose(Q, slow.Q)
    np.testing.assert_allclose(V, slow.V)
    np.testing.assert_array_equal(N, slow.N)
    np.testing.assert_array_equal(pi, Q.argmax(axis=-1))
    assert len(np.unique(value)) > 1
    if bonus == "bernstein":
        np.testing.assert_allclose(c * moments[..., 2], slow.beta)


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
def test_run_starts_from_the_optimistic_tables(bonus):
    """Sixty episodes of the public function from the same draws: Q and V start at H - h."""
    mdp = random_episodic(4, 2, 3, seed=8, masked=True, bernoulli=True)
    iota, c = log_term(4, 2, 60, 3, delta=0.1), 0.02
    result = ucb_q_learning(mdp, 60, bonus=bonus, c=c, delta=0.1, rng=rng())
    slow = naive.ucb_q_learning_run(mdp, 60, bonus, iota, c, rng())
    for fast, x in zip((result.value, result.upper, result.Q, result.N), slow, strict=True):
        np.testing.assert_allclose(fast, x)
    assert len(np.unique(result.value.round(9))) > 2


# --- theorem ---


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
def test_optimism(mdp, bonus):
    result = ucb_q_learning(mdp, 2000, bonus=bonus, rng=rng())
    assert (result.upper >= mdp.mu @ naive.optimal_value(mdp)[0] - 1e-12).all()


def test_value_is_exact(mdp):
    """The stored value is that of the policy before the episode's updates."""
    K = 300
    last = ucb_q_learning(mdp, K, c=0.01, rng=rng())
    assert np.isclose(last.value[0], naive.value(mdp, np.zeros((mdp.H, 5), int)), rtol=1e-12)
    assert len(np.unique(last.value)) > 5
    assert (last.value <= mdp.mu @ naive.optimal_value(mdp)[0] + 1e-12).all()
    for k in (1, 50, 299):  # the same seed: the policy after k episodes is that of episode k
        pi = ucb_q_learning(mdp, k, c=0.01 * np.sqrt(scale(mdp, K) / scale(mdp, k)), rng=rng()).pi
        assert np.isclose(last.value[k], naive.value(mdp, pi))


def scale(mdp, K):
    return log_term(5, 3, K, mdp.H, 0.05)
