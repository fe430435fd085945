"""SquareCB, FALCON and batched regression: weights, oracles, runs, bounds, the oscillation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.contextual import (
    ContextualBandit,
    ContextualLedger,
    arrive,
    best_arms,
    contextual_ledger,
    contextual_result,
    respond,
    stochastic_policy,
    value_of,
)
from eluder.core.guarantees import guarantee
from eluder.envs import contextual_bandit, finite_class_bandit, linear_class_bandit, logistic_bandit
from eluder.tabular.bandits import _falcon, _square_cb, batched_regression, falcon, square_cb
from eluder.tabular.bandits import _regression as regression
from eluder.tabular.bandits._batched_regression import batch_rates, lengths, uniform_policy
from eluder.tabular.bandits._inverse_gap import (
    decision_error,
    inverse_gap,
    inverse_gap_policy,
    worst_error,
    worst_truth,
)
from eluder.tabular.bandits._population import period, population_orbit
from tests.tabular.bandits import naive_contextual as naive

ORACLES = ("table", "finite", "linear")


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0):
    """Small, with all that the oracles need, and action sets that differ."""
    g = rng(seed)
    phi = g.dirichlet(np.ones(3), (4, 3))
    means = phi @ g.random(3)
    models = np.concatenate([g.random((4, 4, 3)), means[None]])
    mask = [[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]]
    return contextual_bandit(means, [0.4, 0.3, 0.2, 0.1], mask=mask, phi=phi, models=models)


# --- weights ---


def weights(y, mask, gamma):
    p = np.zeros(len(y))
    inverse_gap(np.array(y), np.array(mask, bool), gamma, p)
    return p


def test_weights_by_hand():
    # b = 1; 1 / (3 + 10 * 0.2) = 0.2, 1 / (3 + 10 * 0.7) = 0.1
    np.testing.assert_allclose(weights([0.6, 0.8, 0.1], [1, 1, 1], 10.0), [0.2, 0.7, 0.1])
    np.testing.assert_allclose(weights([0.6, 0.8, 0.1], [1, 0, 1], 10.0), [6 / 7, 0, 1 / 7])
    np.testing.assert_allclose(weights([0.6, 0.8, 0.1], [1, 1, 1], 0.0), [1 / 3] * 3)
    np.testing.assert_allclose(weights([0.5, 0.5], [1, 1], 1e9), [0.5, 0.5])
    table = np.zeros((2, 2))
    inverse_gap_policy(np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones((2, 2), bool), 2.0, table)
    np.testing.assert_allclose(table, [[0.25, 0.75], [0.75, 0.25]])


@given(
    y=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    gamma=st.floats(0.01, 1e4),
    seed=st.integers(0, 2**32 - 1),
)
def test_inequality_of_inverse_gap_weighting_with_its_constant(y, gamma, seed):
    """For random truths, for the worst truth in closed form, and for every truth: at most 2 A / gamma."""
    y = np.array(y)
    p = weights(y, np.ones(y.size), gamma)
    assert p.sum() == pytest.approx(1)
    assert p.min() > 0
    limit = 2 * (y.size - 1) / gamma + 1e-9
    for f in rng(seed).random((20, y.size)):
        assert decision_error(p, y, f, gamma) <= limit
    worst = max(decision_error(p, y, worst_truth(p, y, gamma, a), gamma) for a in range(y.size))
    assert worst == pytest.approx(worst_error(p, y, gamma), rel=1e-6, abs=1e-9)
    assert worst <= limit


def test_the_constant_is_approached():
    y = np.array([1.0, 0.0, 0.0, 0.0])
    p = weights(y, np.ones(4), 1e8)
    assert worst_error(p, y, 1e8) * 1e8 / 3 == pytest.approx(2, rel=1e-3)


# --- oracles ---


@pytest.mark.parametrize("kind", ORACLES)
def test_oracles_are_their_definitions(kind):
    bandit, g = problem(), rng(3)
    code = regression.kind_of(kind, bandit)
    oracle, rounds = regression.online_oracle(code, bandit), []
    n, s = np.zeros((4, 3)), np.zeros((4, 3))
    y, f = np.zeros(3), np.zeros((4, 3))
    for _ in range(60):
        x = int(g.integers(4))
        a = int(g.choice(np.flatnonzero(bandit.mask[x])))
        regression.predict(oracle, bandit, x, y)
        expected = naive.online(kind, bandit, rounds, x)
        np.testing.assert_allclose(y[bandit.mask[x]], expected[bandit.mask[x]], rtol=1e-9, atol=1e-12)
        reward = float(g.random())
        regression.learn(oracle, bandit, x, a, reward)
        rounds.append((x, a, reward))
        n[x, a] += 1
        s[x, a] += reward
    regression.fit(code, bandit, n, s, f)
    np.testing.assert_allclose(f, naive.offline(kind, bandit, rounds), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ORACLES)
def test_square_loss_is_within_its_bound_for_any_rewards(kind):
    """Against the best of the class in hindsight, on rewards that try to be as far off as they can."""
    bandit, T = problem(), 400
    code = regression.kind_of(kind, bandit)
    for seed in range(5):
        g, oracle = rng(seed), regression.online_oracle(code, bandit)
        y, loss, rounds = np.zeros(3), 0.0, []
        for _ in range(T):
            x = int(g.integers(4))
            a = int(g.choice(np.flatnonzero(bandit.mask[x])))
            regression.predict(oracle, bandit, x, y)
            reward = float(y[a] < 0.5) if seed % 2 else float(g.random() < 0.3)
            loss += (y[a] - reward) ** 2
            regression.learn(oracle, bandit, x, a, reward)
            rounds.append((x, a, reward))
        if kind == "finite":
            best = min(sum((f[x, a] - r) ** 2 for x, a, r in rounds) for f in bandit.models)
        elif kind == "table":
            seen = {}
            for x, a, r in rounds:
                seen.setdefault((x, a), []).append(r)
            best = sum(np.var(r) * len(r) for r in seen.values())
        else:
            Z = np.array([bandit.phi[x, a] for x, a, _ in rounds])
            r = np.array([r for *_, r in rounds])
            theta = np.linalg.lstsq(Z, r, rcond=None)[0]
            theta *= min(1.0, math.sqrt(3) / np.linalg.norm(theta))
            best = ((Z @ theta - r) ** 2).sum()
        assert loss - best <= regression.square_regret(code, bandit, T)


def test_equations_by_hand():
    assert _square_cb.learning_rate(3, 100, 5.0, 0.1) == pytest.approx(math.sqrt(300 / (5 + math.log(20))))
    assert _square_cb.expected_bound(3, 100, 10.0, 5.0) == pytest.approx(60 + 12.5)
    assert _falcon.epoch_rate(3, 64, 2.0, 0.1) == pytest.approx(math.sqrt(192 / (2 + math.log(640))) / 30)
    assert _falcon.epoch_rate(3, 0, 2.0, 0.1) == 0.0
    bandit = problem()
    assert _falcon.log_size(1, bandit, 8) == pytest.approx(math.log(5))
    assert _falcon.log_size(2, bandit, 8) == pytest.approx(3 * math.log(9))
    assert len(_falcon.epoch_rates(1, bandit, 8, 0.1)) == 4  # begin at 0, 2, 4; 8 is not reached
    M = 8  # available pairs
    assert regression.square_regret(0, bandit, 80) == pytest.approx(M * (2 * math.log(11) + 0.25))
    assert regression.square_regret(1, bandit, 80) == pytest.approx(2 * math.log(5))
    assert lengths(5, 10, 1, 2) == [0, 0, 10, 20, 20]
    p = np.zeros((1, 3))
    uniform_policy(np.array([[0.1, 0.9, 0.3]]), np.array([[True, False, True]]), 0.4, p)
    np.testing.assert_allclose(p, [[0.2, 0.0, 0.8]])
    greedy = batch_rates(0, bandit, 2, 10, 0, 1, "uniform", None, 0.0, 0.1)
    assert (greedy < 0).all()


# --- whole runs ---


def same(play, result):
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)
    np.testing.assert_array_equal(result.pulls, np.bincount([a for _, a, _ in play.rounds], minlength=3))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ORACLES)
def test_square_cb_is_its_definition(kind, seed):
    bandit, T = problem(), 150
    same(
        naive.square_cb(bandit, T, kind, 30.0, rng(seed)),
        square_cb(bandit, T, oracle=kind, gamma=30.0, rng=rng(seed)),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ORACLES)
def test_falcon_is_its_definition(kind, seed):
    bandit, T = problem(), 200
    code = regression.kind_of(kind, bandit)

    def rate(tau):
        return 20 * _falcon.epoch_rate(3, tau, _falcon.log_size(code, bandit, tau), 0.05)

    same(
        naive.falcon(bandit, T, kind, rate, rng(seed)), falcon(bandit, T, oracle=kind, c=20.0, rng=rng(seed))
    )


@pytest.mark.parametrize("explore", ["inverse_gap", "uniform"])
@pytest.mark.parametrize(("delay", "memory"), [(0, 1), (1, 2), (2, 50)])
@pytest.mark.parametrize("kind", ORACLES)
def test_batched_regression_is_its_definition(kind, delay, memory, explore):
    bandit, T = problem(), 200
    gamma = 25.0 if explore == "inverse_gap" else None
    play = naive.batched(bandit, T, 15, delay, memory, kind, gamma, 0.2, rng(1))
    result = batched_regression(
        bandit,
        T,
        batch=15,
        delay=delay,
        memory=memory,
        oracle=kind,
        explore=explore,
        gamma=gamma,
        epsilon=0.2,
        rng=rng(1),
    )
    same(play, result)


def test_without_exploration_the_best_prediction_is_played():
    bandit = contextual_bandit([[0.0, 1.0]], law="fixed")
    result = batched_regression(bandit, 100, batch=10, delay=0, explore="uniform", epsilon=0.0, rng=rng())
    assert result.pulls[1] >= 90


# --- theorems ---


@pytest.mark.parametrize("kind", ORACLES)
def test_regret_of_square_cb_is_below_its_bound(kind):
    bandit, T = problem(), 5000
    code = regression.kind_of(kind, bandit)
    reg = regression.square_regret(code, bandit, T)
    gamma = _square_cb.learning_rate(3, T, reg, 0.05)
    regret = [square_cb(bandit, T, oracle=kind, rng=rng(i)).regret[-1] for i in range(20)]
    assert max(regret) < _square_cb.expected_bound(3, T, gamma, reg)


@pytest.mark.parametrize("learner", [square_cb, falcon])
def test_a_class_of_thousands_costs_its_logarithm(learner):
    small, large = (finite_class_bandit(10, 5, N, rng=rng(1)) for N in (4, 4000))
    regret = [
        np.mean([learner(b, 20_000, oracle="finite", rng=rng(i)).regret[-1] for i in range(3)])
        for b in (small, large)
    ]
    assert regret[1] < 6 * regret[0] + 200


# --- the oscillation effect ---


def test_orbit_is_the_mean_of_runs():
    """With batches long enough to leave no noise, a run follows the deterministic map."""
    bandit = problem()
    K, batch = 8, 40_000
    V, p = population_orbit(bandit, K, batch=batch, delay=1, memory=1, gamma=50.0)
    result = batched_regression(bandit, K * batch, batch=batch, delay=1, memory=1, gamma=50.0, rng=rng())
    gap = np.cumsum([value_of(bandit, np.eye(3)[best_arms(bandit)]) - v for v in V]) * batch
    assert result.regret[-1] == pytest.approx(gap[-1], rel=0.03)
    for policy in p:
        stochastic_policy("p", policy, bandit.mask)


def test_short_memory_oscillates_and_a_long_one_does_not():
    bandit = logistic_bandit(rng=rng(1))
    V, p = population_orbit(bandit, 240, delay=1, memory=1, gamma=1000.0)
    assert period(p, tol=1e-3) == 4  # two interleaved orbits of period 2: what is not played is forgotten
    assert V[-1] - V[-3] > 0.02 or V[-3] - V[-1] > 0.02
    V, p = population_orbit(bandit, 60, delay=1, gamma=1000.0)
    assert np.ptp(V[-8:]) < 1e-3
    _, p = population_orbit(bandit, 60, delay=1, memory=1, gamma=1000.0, oracle="linear")
    assert period(p) == 1  # the regression shares what it learns between contexts
    V, _ = population_orbit(bandit, 60, delay=1, memory=1, gamma=10.0)
    assert np.ptp(V[-8:]) < 1e-3  # who explores enough does not forget
    assert period(np.random.default_rng(0).random((40, 2, 2))) == 0


# --- problems ---


def test_instances():
    b = finite_class_bandit(3, 2, 8, rng=rng())
    assert (b.models == b.means).all(axis=(1, 2)).sum() == 1
    b = linear_class_bandit(3, 2, 4, rng=rng())
    theta = np.linalg.lstsq(b.phi.reshape(-1, 4), b.means.ravel(), rcond=None)[0]
    np.testing.assert_allclose(b.phi @ theta, b.means, atol=1e-12)
    b = logistic_bandit(50, 6, 10, rng=rng())
    logit = np.log(b.means / (1 - b.means))
    theta = np.linalg.lstsq(b.phi.reshape(-1, 10), logit.ravel(), rcond=None)[0]
    np.testing.assert_allclose(b.phi @ theta, logit, atol=1e-9)
    assert np.linalg.norm(theta) == pytest.approx(1.5)
    assert set(b.mask.sum(axis=1)) == {2, 3, 4, 5, 6}


def test_books():
    bandit = problem()
    books = contextual_ledger(bandit, 2000)
    assert isinstance(books, ContextualLedger)
    g, came = rng(), []
    for t in range(2000):
        came.append(arrive(books, g))
        respond(bandit, books, t, came[-1], int(best_arms(bandit)[came[-1]]), g)
    np.testing.assert_allclose(np.bincount(came) / 2000, bandit.mu, atol=0.03)
    assert (contextual_result(books).regret == 0).all()


def test_refuses_wrong_problems():
    with pytest.raises(ValueError, match=r"mask\[1\] has no available action"):
        ContextualBandit([[0.1, 0.2], [0.3, 0.4]], mask=[[1, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"mask\[0, 1\] is 0.5, it must be True or False"):
        ContextualBandit([[0.1, 0.2]], mask=[[1, 0.5]])
    with pytest.raises(ValueError, match=r"means\[0, 1\] is 1.2"):
        ContextualBandit([[0.1, 1.2]])
    with pytest.raises(ValueError, match=r"mu sums to 0.9"):
        ContextualBandit([[0.1], [0.2]], mu=[0.5, 0.4])
    with pytest.raises(ValueError, match="law must be 'bernoulli' or 'fixed', got 'x'"):
        ContextualBandit([[0.1]], law="x")
    with pytest.raises(ValueError, match="oracle 'finite' needs a class: the bandit has no models"):
        falcon(contextual_bandit([[0.1, 0.2]]), 10, oracle="finite", rng=rng())
    with pytest.raises(ValueError, match="oracle 'linear' needs features: the bandit has no phi"):
        square_cb(contextual_bandit([[0.1, 0.2]]), 10, oracle="linear", rng=rng())


# --- rates ---


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "c"), [(square_cb, None), (falcon, 30.0)])
def test_regret_grows_as_declared(learner, c):
    """On the hardest gap for each T, 1 / sqrt(T) times a constant: the slope is that of the theorem."""
    sizes = np.array([4_000, 16_000, 64_000, 256_000])
    regret = []
    for T in sizes:
        gap = math.sqrt(8 * 4 / T)
        means = np.full((8, 4), 0.5)
        means[np.arange(8), np.arange(8) % 4] += gap
        options = {} if c is None else {"c": c}
        runs = [learner(contextual_bandit(means), int(T), rng=rng(i), **options) for i in range(30)]
        regret.append(np.mean([run.regret[-1] for run in runs]))
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"{learner.__name__}: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(learner).exponent == 0.5
    assert abs(slope - 0.5) < 0.05
