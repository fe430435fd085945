"""Tests of tabular/exploration/_psrl.py."""

import numpy as np
import pytest
import scipy.stats

from eluder.core.problems import EpisodicMDP
from eluder.core.simulator import reset, simulator, step
from eluder.tabular.exploration import psrl
from eluder.tabular.exploration._psrl import _draw, _every_state, _plan
from eluder.tabular.exploration._shared import stage_table
from tests.instances import random_episodic
from tests.tabular.exploration import naive


def rng(seed=1):
    return np.random.default_rng(seed)


def draws(n_next, wins, mask, lumped, prior, times, seed=1):
    """Return rewards and slot probabilities of many draws: weight + rest in each slot, and rest."""
    shape = n_next.shape
    weight, rest, r = np.zeros(shape), np.zeros(shape[:3]), np.zeros(shape[:3])
    slots, rests, rewards = (
        np.empty((times, *shape)),
        np.empty((times, *shape[:3])),
        np.empty((times, *shape[:3])),
    )
    draw = rng(seed)
    for t in range(times):
        _draw(weight, rest, r, n_next, wins, mask, lumped, prior, draw)
        slots[t], rests[t], rewards[t] = weight + rest[..., None], rest, r
    return slots, rests, rewards


# --- definition ---


def posterior():
    """Counts of two slots in a problem of four states: seen and unseen slots, and a pair never visited."""
    n_next = np.array([[[[3, 1], [2, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]])
    wins = np.array([[[[3, 1], [0, 2]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]])
    mask = np.ones((4, 2), bool)
    mask[3, 1] = False
    return n_next, wins, mask


@pytest.mark.parametrize("prior", [1.0, 0.25])
def test_lumped_draw_has_the_posterior_law(prior):
    """Seen slots and the unseen total have the Beta marginals of the Dirichlet posterior."""
    n_next, wins, mask = posterior()
    slots, rests, r = draws(n_next, wins, mask, True, prior, 4000)
    total = 4 * prior
    for x, a, b in (
        (slots[:, 0, 0, 0, 0], prior + 3, total + 1 - prior),
        (slots[:, 0, 0, 0, 1], prior + 1, total + 3 - prior),
        (2 * rests[:, 0, 0, 0], 2 * prior, 2 * prior + 4),
        (slots[:, 0, 0, 1, 0], prior + 2, total - prior),
        (3 * rests[:, 0, 0, 1], 3 * prior, prior + 2),
        (r[:, 0, 0, 0], 2, 4),  # one win, three losses
        (r[:, 0, 1, 0], 1, 1),
    ):
        assert scipy.stats.kstest(x, scipy.stats.beta(a, b).cdf).pvalue > 1e-3
    assert (rests[:, 0, 1] == 0.25).all()
    np.testing.assert_allclose(slots[:, 0, 0, 0].sum(axis=-1) + 2 * rests[:, 0, 0, 0], 1)
    assert (r[:, 0, 3, 1] == 0).all(), "an unavailable pair needs no draw"


def test_full_draw_has_the_posterior_law():
    n_next, wins, mask = posterior()
    by_state = np.zeros((1, 4, 2, 4), np.int64)
    by_state[..., [0, 2]] = n_next
    slots, rests, _ = draws(by_state, wins, mask, False, 0.5, 4000)
    assert (rests == 0).all()
    np.testing.assert_allclose(slots[:, 0, :3].sum(axis=-1), 1)
    for s in range(4):
        law = scipy.stats.beta(0.5 + by_state[0, 0, 0, s], 1.5 + 4 - by_state[0, 0, 0, s])
        assert scipy.stats.kstest(slots[:, 0, 0, 0, s], law.cdf).pvalue > 1e-3


def test_lumped_and_full_have_one_mean():
    """For any V, the mean backup is that of the posterior mean kernel (prior + n) / (S prior + n)."""
    n_next, wins, mask = posterior()
    by_state = np.zeros((1, 4, 2, 4), np.int64)
    by_state[..., [0, 2]] = n_next
    mean = (1 + by_state) / (4 + by_state.sum(axis=-1, keepdims=True))
    succ = np.broadcast_to([0, 2], n_next.shape)
    slots, rests, _ = draws(n_next, wins, mask, True, 1.0, 4000)
    lumped = naive.drawn_kernel((slots - rests[..., None]).mean(axis=0), rests.mean(axis=0), succ)
    full = draws(by_state, wins, mask, False, 1.0, 4000)[0].mean(axis=0)
    np.testing.assert_allclose(lumped[0, :3], mean[0, :3], atol=0.015)
    np.testing.assert_allclose(full[0, :3], mean[0, :3], atol=0.015)


def test_tiny_prior_draws_a_random_successor():
    """Where all gamma draws underflow, the row is one successor, uniform."""
    n_next, wins = np.zeros((1, 4, 1, 4), np.int64), np.zeros((1, 4, 1, 2), np.int64)
    slots, _, _ = draws(n_next, wins, np.ones((4, 1), bool), False, 1e-9, 400)
    np.testing.assert_allclose(
        np.sort(slots, axis=-1), [[[[[0, 0, 0, 1]]]]] * np.ones_like(slots), atol=1e-12
    )
    assert (slots.mean(axis=(0, 1, 2, 3)) > 0.2).all()


@pytest.mark.parametrize("stages", [False, True])
def test_plan_is_optimal_in_the_drawn_problem(stages):
    mdp = random_episodic(5, 3, 4, seed=3, stages=stages, masked=True)
    sim = simulator(mdp)
    tables = stage_table(mdp, not stages)
    G = tables[-1] + 1
    draw = rng(2)
    weight, rest = np.zeros(sim.prob.shape), np.zeros((G, 5, 3))
    r = np.zeros((G, 5, 3))
    n_next = draw.integers(0, 3, sim.prob.shape) * mdp.mask[..., None]
    wins = draw.integers(0, 3, (G, 5, 3, 2))
    _draw(weight, rest, r, n_next, wins, mdp.mask, True, 0.7, draw)
    P = naive.drawn_kernel(weight, rest, sim.succ)
    P[:, ~mdp.mask] = 0.2
    drawn = EpisodicMDP(P if stages else P[0], r if stages else r[0], mdp.mu, 4, mdp.mask)
    Q, V, pi = np.full((4, 5, 3), -np.inf), np.zeros((5, 5)), np.zeros((4, 5), np.int64)
    _plan(Q, V, pi, weight, rest, r, tables, sim.succ, sim.stage, mdp.mask)
    np.testing.assert_allclose(V, naive.optimal_value(drawn))
    np.testing.assert_allclose(naive.value(drawn, pi), drawn.mu @ V[0])
    by_state = np.ascontiguousarray(P)
    V_full = np.zeros((5, 5))
    _plan(Q, V_full, pi, by_state, 0 * rest, r, tables, _every_state(5, 3), np.zeros(4, np.int64), mdp.mask)
    np.testing.assert_allclose(V_full, V)


@pytest.mark.parametrize("sampling", ["lumped", "full"])
@pytest.mark.parametrize("stationary", [False, True])
def test_run_equals_definition(sampling, stationary):
    """Forty episodes from the same draws: the posterior is that of what was seen, in the right table."""
    mdp = random_episodic(4, 2, 3, seed=8, stages=not stationary, masked=True)
    sim, tables, draw, lumped = simulator(mdp), stage_table(mdp, stationary), rng(), sampling == "lumped"
    succ = sim.succ if lumped else np.broadcast_to(np.arange(4), (tables[-1] + 1, 4, 2, 4))
    wins = np.zeros((len(succ), 4, 2, 2), np.int64)
    n_next, weight = np.zeros(succ.shape, np.int64), np.zeros(succ.shape)
    rest, r = np.zeros(succ.shape[:3]), np.zeros(succ.shape[:3])
    values = []
    for _ in range(40):
        _draw(weight, rest, r, n_next, wins, mdp.mask, lumped, 0.5, draw)
        P = naive.drawn_kernel(weight, rest, succ)
        V, pi = np.zeros(4), np.zeros((3, 4), np.int64)
        for h in reversed(range(3)):
            Q = np.where(mdp.mask, r[tables[h]] + P[tables[h]] @ V, -np.inf)
            V, pi[h] = Q.max(axis=1), Q.argmax(axis=1)
        values.append(naive.value(mdp, pi))
        s = reset(sim, draw)
        for h in range(3):
            g, a = tables[h], pi[h, s]
            s_next, reward, _ = step(sim, h, s, a, draw)
            n_next[g, s, a, np.flatnonzero(succ[g, s, a] == s_next)[0]] += 1
            wins[g, s, a, int(draw.random() < reward)] += 1
            s = s_next
    result = psrl(mdp, 40, prior=0.5, sampling=sampling, stationary=stationary, rng=rng())
    np.testing.assert_allclose(result.value, values)
    np.testing.assert_array_equal(result.pi, pi)
    assert len(np.unique(values)) > 2


# --- theorem ---


@pytest.mark.parametrize("sampling", ["lumped", "full"])
def test_value_is_exact(mdp, sampling):
    result = psrl(mdp, 100, sampling=sampling, rng=rng())
    assert np.isclose(result.value[-1], naive.value(mdp, result.pi))
    assert np.isnan(result.upper).all()


def test_rounded_rewards_have_their_mean():
    """A certain reward of 0.7 is learnt although only zeros and ones are counted."""
    mdp = EpisodicMDP(np.ones((1, 2, 1)), [[0.3, 0.7]], [1.0], H=1)
    result = psrl(mdp, 5000, rng=rng())
    assert result.pi[0, 0] == 1
    assert abs(result.Q[0, 0, 1] - 0.7) < 0.03
    assert result.N[0, 0, 0] < 200


def test_stationary_refuses_stages():
    mdp = random_episodic(3, 2, 2, 0, stages=True)
    with pytest.raises(ValueError, match="stationary=True needs a kernel P"):
        psrl(mdp, 2, stationary=True, rng=rng())
    with pytest.raises(ValueError, match="stationary=True needs rewards r"):
        psrl(mdp._replace(P=mdp.P[0]), 2, stationary=True, rng=rng())
    with pytest.raises(ValueError, match="stationary must be True or False, got 1"):
        psrl(mdp, 2, stationary=1, rng=rng())


def drawn_problem(seed, S=3, A=2, H=3):
    draw = rng(seed)
    P, mu = draw.dirichlet(np.ones(S), (S, A)), draw.dirichlet(np.ones(S))
    return EpisodicMDP(P, draw.random((S, A)), mu, H, bernoulli=True)


@pytest.mark.parametrize("sampling", ["lumped", "full"])
def test_bayesian_regret_falls(sampling):
    """Over problems from the prior, the mean regret per episode falls at least as fast as 1 / sqrt(k)."""
    total = np.zeros(2000)
    for seed in range(40):
        mdp = drawn_problem(seed)
        total += naive.optimal_value(mdp)[0] @ mdp.mu
        total -= psrl(mdp, 2000, sampling=sampling, stationary=True, rng=rng(seed)).value
    assert total[:20].mean() > 3 * total[180:220].mean() > 0
    assert total[180:220].mean() > 3 * total[-400:].mean()


# --- rate ---


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["lumped", "full"])
def test_bayesian_regret_rate(sampling):
    """Theory: slope at most 1/2 and logarithms, for the mean over problems drawn from the prior."""
    K = 2 ** np.arange(8, 16)
    regret = np.zeros(len(K))
    for seed in range(60):
        mdp = drawn_problem(seed)
        best = mdp.mu @ naive.optimal_value(mdp)[0]
        value = psrl(mdp, K[-1], sampling=sampling, stationary=True, rng=rng(seed)).value
        regret += np.cumsum(best - value)[K - 1]
    slope, _ = np.polyfit(np.log(K), np.log(regret), 1)
    assert slope < 0.6
