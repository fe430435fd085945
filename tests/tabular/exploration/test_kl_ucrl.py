"""Tests of tabular/exploration/_kl_ucrl.py."""

import functools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eluder.core.simulator import simulator
from eluder.envs import river_swim
from eluder.tabular.exploration import kl_ucrl, ucrl2
from eluder.tabular.exploration._average_reward import Memory
from eluder.tabular.exploration._kl_ucrl import (
    _extended_value_iteration,
    _kl_ucrl,
    kl_expectation,
    reward_constant,
    transition_constant,
    work,
)
from tests.instances import random_discounted
from tests.tabular.exploration import naive_average


def rng(seed=1):
    return np.random.default_rng(seed)


# --- constants ---


def test_constants_by_hand():
    # ln T = 2; 4 S A ln T / delta = 480; 2 e S^2 A ln T / delta = 720 e
    T = np.exp(2.0)
    assert np.isclose(reward_constant(S=3, A=2, T=T, delta=0.1), np.sqrt(np.log(480) / 1.99))
    x = np.log(720) + 1.5
    assert np.isclose(transition_constant(S=3, A=2, T=T, delta=0.1), 3 * (x - 0.5 + np.log(x) * (1 + 1 / x)))
    assert np.isfinite(transition_constant(1, 1, 1, 0.99))


# --- definition ---


def random_row(seed):
    """A row with unseen states, values with ties, and a radius between 1e-5 and 100."""
    r = rng(seed)
    S = int(r.integers(2, 6))
    p = r.dirichlet(np.ones(S)) * (r.random(S) < 0.6)
    if p.sum() == 0:
        p[r.integers(S)] = 1
    u = r.integers(0, 5, S) * 10.0 ** r.integers(-2, 3)
    return p / p.sum(), u, 10 ** r.uniform(-5, 2)


@given(st.integers(0, 10**6))
@example(804)  # all values equal
def test_kl_expectation_equals_bisection_and_dual(seed):
    p, u, eps = random_row(seed)
    value = kl_expectation(p, np.arange(len(u)), u, u.max(), eps)
    q = naive_average.max_kl(p, u, eps)
    scale = max(np.ptp(u), 1e-12)
    assert np.isclose(q.sum(), 1)
    assert (q >= 0).all()
    assert abs(value - q @ u) <= 1e-9 * scale + 1e-14 * u.max()  # q sums to 1 up to rounding
    if np.ptp(u[p > 0]) > 0 or u[p > 0].max() < u.max():
        assert abs(value - naive_average.kl_dual(p, u, eps)) <= 1e-7 * scale


@given(st.integers(0, 10**6))
@example(1067)  # nearly all mass on the best state
def test_naive_maximiser_satisfies_kkt(seed):
    """KL(p, q) = eps, and u_i + lam p_i / q_i is the same nu where p_i > 0, u_i <= nu elsewhere."""
    p, u, eps = random_row(seed)
    seen = p > 0
    eps = min(eps, 3.0, 100 * p[u < u.max()].sum())  # beyond, q underflows where u is not the largest
    if np.ptp(u[seen]) == 0 and u[seen].max() == u.max():
        return
    q = naive_average.max_kl(p, u, eps)
    scale = np.ptp(u)
    assert np.isclose(naive_average.kl(p, q), eps, rtol=1e-6)
    ratio = p[seen] / q[seen]
    if np.ptp(u[seen]) > 0:
        best, worst = np.argmax(u[seen]), np.argmin(u[seen])
        lam = (u[seen][best] - u[seen][worst]) / (ratio[worst] - ratio[best])
        nu = u[seen] + lam * ratio
        assert lam >= 0
        assert np.ptp(nu) <= 1e-6 * scale
        assert u.max() <= nu[0] + 1e-6 * scale


@pytest.mark.parametrize("p_best", [1e-3, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ratio", [1e-6, 1e-2, 1.0, 5.0, 20.0, 39.0, 41.0, 1e3])
def test_kl_expectation_near_the_best_state(p_best, ratio):
    """Radii about the size eps = 40 (1 - p_best), from which on the best state gets all."""
    p, u = np.array([p_best, 1 - p_best]), np.array([1.0, 0.0])
    eps = ratio * (1 - p_best)
    value = kl_expectation(p, np.arange(2), u, 1.0, eps)
    assert np.isclose(value, naive_average.max_kl(p, u, eps)[0], rtol=1e-10, atol=1e-13)


def test_kl_expectation_grows_with_the_radius():
    p, u = np.array([0.5, 0.5, 0.0]), np.array([0.0, 1.0, 2.0])
    values = [kl_expectation(p, np.arange(3), u, 2.0, eps) for eps in (1e-8, 1e-4, 0.01, 0.1, 1.0, 10.0, 1e4)]
    assert (np.diff(values) > 0).all()
    assert np.isclose(values[0], 0.5, atol=1e-3)
    assert values[-1] == 2.0


def test_kl_expectation_by_hand():
    # one seen state, unseen best: mass 1 - exp(-eps) goes to the best
    one = np.array([1.0])
    assert np.isclose(
        kl_expectation(one, np.array([0]), np.array([0.0, 3.0]), 3.0, 0.2), 3 * (1 - np.exp(-0.2))
    )
    # p = (1/2, 1/2), u = (0, 1), eps = ln(1 / (2 sqrt(q (1 - q)))): q = 0.8 gives eps = ln 1.25
    half = np.array([0.5, 0.5])
    assert np.isclose(kl_expectation(half, np.arange(2), np.array([0.0, 1.0]), 1.0, np.log(1.25)), 0.8)


def test_extended_value_iteration_equals_definition():
    mdp = random_discounted(4, 2, 0.9, seed=5, branching=3, masked=True)
    sim = simulator(mdp)
    n_next = rng(8).integers(0, 40, sim.prob[0].shape) * (sim.prob[0] > 0)
    n_next[0, 0] = 0
    N = n_next.sum(axis=-1)
    reward = rng(2).random((4, 2)) * N * 0.8
    C_R, C_P = 0.5, 2.0
    Q, pi = np.empty((4, 2)), np.zeros(4, np.int64)
    gain, done = _extended_value_iteration(Q, pi, Memory(N, n_next, reward), work(sim), C_R, C_P, sim, 1e-8)

    dense = np.zeros((4, 2, 4))
    for s, a, i in np.ndindex(n_next.shape):
        dense[s, a, sim.succ[0, s, a, i]] += n_next[s, a, i] / max(1, N[s, a])
    with np.errstate(divide="ignore", invalid="ignore"):
        r_up = np.where(N > 0, np.minimum(1, reward / N + C_R / np.sqrt(N)), 1.0)
        eps = C_P / N
    naive, naive_gain = naive_average.extended_value_iteration(
        r_up,
        dense,
        eps,
        mdp.mask,
        1e-8,
        lambda p, u, e: naive_average.max_kl(p, u, e) @ u if p.sum() > 0 else u.max(),
    )
    assert done
    assert np.isclose(gain, naive_gain, atol=1e-7)
    np.testing.assert_allclose(Q - Q.max(), naive - naive.max(), atol=1e-6)
    np.testing.assert_array_equal(pi, naive.argmax(axis=1))


def test_run_equals_definition():
    """The whole run from the same draws; radii so small that they exclude problems soon."""
    mdp = random_discounted(3, 2, 0.9, seed=3, masked=True, bernoulli=True)
    T, C_R, C_P = 1500, 0.5, 1.0
    value, upper, Q, _, N, cut = _kl_ucrl(simulator(mdp), T, C_R, C_P, rng())
    slow = naive_average.run(mdp, T, functools.partial(naive_average.kl_ucrl_plan, mdp, C_R, C_P), rng())
    np.testing.assert_array_equal(value, slow[0])
    np.testing.assert_allclose(upper, slow[1], atol=1e-6)
    np.testing.assert_allclose(Q - Q.max(), slow[2] - slow[2].max(), atol=1e-6)
    np.testing.assert_array_equal(N, slow[3])
    assert cut == 0
    assert upper[-1] < 0.9 < upper[0]


def test_periodic_optimistic_problem_converges():
    """Two states that swap, known almost exactly: without damping the sweeps would not stop."""
    mdp = random_discounted(2, 1, 0.9, seed=0)._replace(P=[[[0.0, 1.0]], [[1.0, 0.0]]], r=[[1.0], [0.0]])
    N = np.full((2, 1), 10**6)
    m = Memory(N, N[..., None].copy(), mdp.r * N)
    Q, pi = np.empty((2, 1)), np.zeros(2, np.int64)
    sim = simulator(mdp)
    gain, done = _extended_value_iteration(Q, pi, m, work(sim), 0.0, 1e-9, sim, 1e-6)
    assert done
    assert np.isclose(gain, 0.5, atol=1e-5)


# --- theorem ---


@pytest.mark.parametrize("bernoulli", [False, True])
def test_optimism(bernoulli):
    mdp = random_discounted(4, 2, 0.9, seed=3, bernoulli=bernoulli)
    result = kl_ucrl(mdp, 50_000, rng=rng())
    assert (result.upper >= naive_average.optimal_gain(mdp)).all()
    assert result.upper[-1] < 0.9


def test_less_regret_than_ucrl2_on_river_swim():
    """The paper's experiment: sparse rows make the KL regions much smaller."""
    mdp = river_swim(6, gamma=1.0)
    kl, l1 = (f(mdp, 200_000, rng=rng()).value.sum() for f in (kl_ucrl, ucrl2))
    assert kl > 1.2 * l1
    np.testing.assert_array_equal(kl_ucrl(mdp, 200_000, rng=rng()).pi, 1)
