"""SquareCB, FALCON and batched regression: weights, oracles, runs, bounds, the oscillation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.contextual import (
    BatchedResult,
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
from eluder.envs import contextual_bandit, finite_class_bandit, logistic_bandit
from eluder.experiments.studies import payments
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


@pytest.mark.parametrize(("T", "seeds"), [(5000, 20), (500_000, 3)])
@pytest.mark.parametrize("kind", ORACLES)
def test_regret_of_square_cb_is_below_its_bound(kind, T, seeds):
    """On every run; the longer horizon is one at which uniform play is above the bound."""
    bandit = problem()
    code = regression.kind_of(kind, bandit)
    reg = regression.square_regret(code, bandit, T)
    bound = _square_cb.expected_bound(3, T, _square_cb.learning_rate(3, T, reg, 0.05), reg)
    regret = [square_cb(bandit, T, oracle=kind, rng=rng(i)).regret[-1] for i in range(seeds)]
    assert max(regret) < bound
    best, uniform = np.eye(3)[best_arms(bandit)], bandit.mask / bandit.mask.sum(axis=1)[:, None]
    assert T == 5000 or bound < T * (value_of(bandit, best) - value_of(bandit, uniform))


@pytest.mark.parametrize("learner", [square_cb, falcon])
def test_a_class_of_thousands_costs_its_logarithm(learner):
    small, large = (finite_class_bandit(10, 5, N, rng=rng(1)) for N in (4, 4000))
    regret = [
        np.mean([learner(b, 20_000, oracle="finite", rng=rng(i)).regret[-1] for i in range(3)])
        for b in (small, large)
    ]
    assert regret[1] < 6 * regret[0] + 200


# --- the policies of batches, and the oscillation effect ---

WRONG = payments.problems["Linear is wrong"][1]
FORCED = payments.problems["Linear is wrong, forced"][1]


@pytest.mark.parametrize("explore", ["inverse_gap", "uniform"])
def test_policies_are_the_propensities(explore):
    """The table of batch k holds the probabilities with which its actions were drawn, in the twin as well."""
    bandit, T, batch = problem(), 200, 15
    gamma = 25.0 if explore == "inverse_gap" else None
    play = naive.batched(bandit, T, batch, 1, 2, "table", gamma, 0.2, rng(1))
    result = batched_regression(
        bandit, T, batch=batch, memory=2, explore=explore, gamma=25.0, epsilon=0.2, rng=rng(1)
    )
    assert isinstance(result, BatchedResult)
    assert result.policies.shape == (14, 4, 3)
    for t, (x, a, _) in enumerate(play.rounds):
        np.testing.assert_allclose(result.policies[t // batch, x], play.chances[t], atol=1e-12)
        assert result.policies[t // batch, x, a] > 0
    for policy in result.policies:
        stochastic_policy("policy", policy, bandit.mask)


def test_value_of_the_policies_is_the_expected_regret():
    bandit, T = problem(), 2000
    best = value_of(bandit, np.eye(3)[best_arms(bandit)])
    runs = [batched_regression(bandit, T, batch=500, gamma=25.0, rng=rng(i)) for i in range(300)]
    told = [500 * sum(best - value_of(bandit, policy) for policy in run.policies) for run in runs]
    gap = np.array([run.regret[-1] for run in runs]) - told
    assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(300)


def test_delay_and_memory_beyond_the_run():
    bandit = problem()
    far = batched_regression(bandit, 100, batch=10, delay=10**12, memory=10**12, rng=rng())
    np.testing.assert_allclose(
        far.policies, np.broadcast_to(bandit.mask / bandit.mask.sum(1)[:, None], (10, 4, 3))
    )


def two_wrong_models():
    """Each of two models overrates one of two actions, by 0.3 and by 0.5; it is right on the other."""
    return contextual_bandit([[0.6, 0.4]], models=[[[0.9, 0.4]], [[0.6, 0.9]]])


@pytest.mark.parametrize(("delay", "length"), [(0, 2), (1, 4), (2, 6)])
def test_two_wrong_models_alternate(delay, length):
    """By hand, gamma = 20: the first plays action 1 with chance 1/12, the second action 0 with chance 1/8.

    Square errors: 0.09 p_0 of the first, 0.25 p_1 of the second. Under the first policy 0.0825 > 0.0208,
    under the second 0.01125 < 0.21875: whoever plays loses. A batch is learnt from delay + 1 batches later.
    """
    bandit = two_wrong_models()
    V, p = population_orbit(bandit, 60, delay=delay, memory=1, oracle="finite", gamma=20.0)
    first, second = [11 / 12, 1 / 12], [1 / 8, 7 / 8]
    block = [first] * (delay + 1) + [second] * (delay + 1)
    np.testing.assert_allclose(p[: delay + 1, 0], 0.5)
    np.testing.assert_allclose(p[delay + 1 : delay + 1 + 2 * length, 0], block * 2)
    np.testing.assert_allclose(V[delay + 1 : 3 * delay + 3], [7 / 12] * (delay + 1) + [17 / 40] * (delay + 1))
    assert period(p) == length
    _, greedy = population_orbit(bandit, 6, delay=delay, memory=1, oracle="finite", explore="uniform")
    np.testing.assert_allclose(greedy[: delay + 1, 0], 0.5)  # nothing has arrived
    np.testing.assert_allclose(greedy[delay + 1, 0], [0.95, 0.05])
    run = batched_regression(
        bandit, 60_000, batch=1000, delay=delay, memory=1, oracle="finite", gamma=20.0, rng=rng()
    )
    np.testing.assert_allclose(run.policies, p)  # the choice between two models leaves no room for noise


def test_the_longest_memory_does_not_reconcile_two_wrong_models():
    """The choice stays a jump; in the limit both errors are equal, 0.09 n_0 = 0.25 n_1, by alternation."""
    _, p = population_orbit(two_wrong_models(), 4000, delay=0, oracle="finite", gamma=20.0)
    share = (p[:, 0, 0] > 0.5).mean()
    assert share == pytest.approx((0.25 * 7 / 8 - 0.09 / 8) / (0.09 * 19 / 24 + 0.25 * 19 / 24), abs=2e-3)
    assert set(p[-40:, 0, 0].round(6)) == {round(11 / 12, 6), 0.125}


@pytest.mark.parametrize("batch", [5000, 500_000])
def test_a_wrong_linear_regression_swings_for_ever(batch):
    """More data in a batch do not end it; all logs, more exploration, or rounds without a choice do."""
    wrong, forced = contextual_bandit(**WRONG), contextual_bandit(**FORCED)

    def orbit(bandit, **options):
        options = {"delay": 0, "memory": 1, "gamma": 1000.0, **options}
        V, p = population_orbit(bandit, 400, batch=batch, oracle="linear", **options)
        return np.ptp(V[-30:]), period(p, tol=1e-3)

    swing, length = orbit(wrong)
    assert swing > 0.1
    assert length == 2
    assert orbit(wrong, delay=1)[1] == 4
    assert orbit(wrong, explore="uniform")[0] > 0.1  # not a matter of the weights
    assert orbit(wrong, memory=None)[0] < 0.01
    assert orbit(wrong, gamma=20.0)[0] < 0.01
    assert orbit(forced)[0] < 0.001


def test_runs_follow_the_map():
    bandit, options = contextual_bandit(**WRONG), {"memory": 1, "gamma": 1000.0, "oracle": "linear"}
    V, _ = population_orbit(bandit, 40, **options)
    for seed in range(3):
        run = batched_regression(bandit, 200_000, **options, rng=rng(seed))
        np.testing.assert_allclose(
            [value_of(bandit, policy) for policy in run.policies[4:]], V[4:], atol=0.01
        )


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


def test_a_table_swings_only_where_one_half_is_much_and_batches_are_short():
    """What is seldom played falls back to the fictitious 1/2: a reason to try it where all pay less."""
    bandit = logistic_bandit(rng=rng(1))
    best = np.where(bandit.mask, bandit.means, 0).max(axis=1)
    V, p = population_orbit(bandit, 60, memory=1, gamma=1000.0)
    moving = np.ptp(p[-12:], axis=0).max(axis=1) > 0.05
    assert np.ptp(V[-12:]) > 0.02
    assert moving.sum() > 20
    assert best[moving].max() < 0.5
    assert np.ptp(population_orbit(bandit, 60, gamma=1000.0)[0][-12:]) < 1e-3
    assert np.ptp(population_orbit(bandit, 60, memory=1, gamma=10.0)[0][-12:]) < 1e-3
    V, _ = population_orbit(bandit, 60, batch=1_000_000, memory=1, gamma=1000.0)
    assert np.ptp(V[-12:]) < 1e-3
    assert period(np.random.default_rng(0).random((40, 2, 2))) == 0


# --- the books ---


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


def test_refuses_oracles_without_data():
    with pytest.raises(ValueError, match="oracle 'finite' needs a class: the bandit has no models"):
        falcon(contextual_bandit([[0.1, 0.2]]), 10, oracle="finite", rng=rng())
    with pytest.raises(ValueError, match="oracle 'linear' needs features: the bandit has no phi"):
        square_cb(contextual_bandit([[0.1, 0.2]]), 10, oracle="linear", rng=rng())


# --- rates ---


def shifted():
    """Sixteen tables with one good action in each of eight contexts, the first of them true."""
    models = np.full((16, 8, 4), 0.1)
    for i in range(16):
        models[i, np.arange(8), (np.arange(8) * (1 + i // 4) + i) % 4] = 0.9
    return contextual_bandit(models[0], models=models)


def price(gamma):
    """What inverse-gap weighting of the truth loses in a round: three gaps of 0.8, each / (4 + gamma 0.8)."""
    return 3 * 0.8 / (4 + gamma * 0.8)


def price_of_run(learner, bandit, T, c):
    """The sum of `price` over the rounds, at the gammas that the learner uses; c = 0: uniform play."""
    if learner is falcon:
        rates = c * _falcon.epoch_rates(1, bandit, T, 0.05)
        ends = [0, *(2**m for m in range(1, rates.size)), T]
        return sum((min(end, T) - begin) * price(g) for begin, end, g in zip(ends, ends[1:], rates))
    return T * price(c * _square_cb.learning_rate(4, T, 2 * math.log(16), 0.05))


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "c"), [(square_cb, 1.0), (falcon, 30.0), (square_cb, 0.0)])
def test_regret_grows_as_declared(learner, c):
    """One problem for all T, so that playing uniformly has slope 1. Once the truth is found the regret is
    known in closed form: the runs must match it, and it must have the declared exponent in the end."""
    bandit, sizes = shifted(), np.array([4_000, 16_000, 64_000, 256_000, 1_024_000])
    options = {"c": c} if learner is falcon else {"gamma": None if c else 0.0}
    regret = [
        np.mean([learner(bandit, T, oracle="finite", rng=rng(i), **options).regret[-1] for i in range(10)])
        for T in sizes.tolist()
    ]
    expected = [price_of_run(learner, bandit, int(T), c) for T in sizes]
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"{learner.__name__} c={c}: slope {slope:.3f}, ratio {np.round(np.divide(regret, expected), 3)}")
    np.testing.assert_allclose(regret, expected, rtol=0.05)
    late = [price_of_run(learner, bandit, 4**n, c) for n in (24, 25)]
    if c == 0.0:
        assert slope == pytest.approx(1, abs=0.01)
    else:
        assert math.log(late[1] / late[0], 4) == pytest.approx(guarantee(learner).exponent, abs=0.02)
        assert slope < 0.6
        assert regret[-1] < 0.05 * price_of_run(square_cb, bandit, int(sizes[-1]), 0.0)
