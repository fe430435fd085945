"""Tests of EXP4 and of follow the perturbed leader."""

import importlib

import numpy as np
import pytest

from eluder.core.bandits import Bandit
from eluder.core.guarantees import guarantee
from eluder.envs import adversarial_bandit, bernoulli_bandit, blockwise_adversary, lower_bound_bandit
from eluder.tabular.bandits import exp4, ftpl, hedge
from tests.tabular.bandits import naive_feedback as naive
from tests.tabular.bandits.naive_adversarial import softmax
from tests.tabular.bandits.test_adversarial import ADVERSARIES, hard

MEANS = np.array([0.3, 0.45, 0.6, 0.5, 0.55])


def rng(seed=0):
    return np.random.default_rng(seed)


def module(name):
    return importlib.import_module(f"eluder.tabular.bandits._{name}")


def table(C, N, A, seed=0):
    """Advice of all kinds: sharp, flat, and zero for some arms."""
    E = rng(seed).dirichlet(np.full(A, 0.3), (C, N))
    E[:, 0] = np.eye(A)[0]
    return E


@pytest.mark.parametrize(
    ("name", "function", "args", "value"),
    [
        ("exp4", "learning_rate", (4, 100, 8), 0.101_967),  # sqrt(2 * 2.0794415 / 400)
        ("exp4", "bound", (4, 100, np.zeros((8, 4))), 40.786_7),  # sqrt(800 * 2.0794415)
        ("exp4", "bound", (4, 100, np.zeros((5, 8, 4))), 40.786_7),
        ("ftpl", "learning_rate", (4, 100, "bandit", "exponential"), 0.054_615_3),  # sqrt(2.3862944 / 800)
        ("ftpl", "learning_rate", (4, 100, "bandit", "gumbel"), 0.058_870_5),  # sqrt(1.3862944 / 400)
        ("ftpl", "learning_rate", (4, 100, "full", "exponential"), 0.154_476),  # sqrt(2.3862944 / 100)
        ("ftpl", "learning_rate", (4, 100, "full", "gumbel"), 0.333_021_9),
        ("ftpl", "most_draws", (4, 100), 4),  # 20 / (2.71828 * 2.18462) = 3.37
        ("ftpl", "bound_full", (4, 100), 30.895_3),
        ("ftpl", "bound_full_gumbel", (4, 100), 8.325_546),
        ("ftpl", "bound_bandit", (4, 100), 131.077),  # 3 sqrt(800 * 2.3862944)
        ("ftpl", "bound_bandit_gumbel", (4, 100), 47.096_4 + 43.692_3),
    ],
)
def test_constants_by_hand(name, function, args, value):
    assert getattr(module(name), function)(*args) == pytest.approx(value, rel=2e-5)


# --- EXP4 ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("C", "contexts"), [(1, None), (3, [0, 2, 2, 1, 0]), (600, None)])
def test_exp4_plays_the_arms_of_the_paper(C, contexts, seed):
    E = table(C, 7, 5, seed)
    result = exp4(bernoulli_bandit(MEANS), 600, advice=E, contexts=contexts, eta=0.06, rng=rng(seed))
    order = np.arange(C) if contexts is None else contexts
    arms, value = naive.exp4(MEANS, 600, E, order, 0.06, rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    np.testing.assert_allclose(result.value, np.cumsum(MEANS[arms])[result.checkpoints - 1])
    assert result.regret[-1] == pytest.approx(value.max() - MEANS[arms].sum(), abs=1e-8)


def test_exp4_compares_with_the_best_expert_at_every_checkpoint():
    T, E = 300, table(4, 6, 3)
    rewards = rng(1).random((T, 3))
    result = exp4(adversarial_bandit(rewards), T, advice=E, rng=rng())
    each = np.cumsum([E[t % 4] @ rewards[t] for t in range(T)], axis=0)
    np.testing.assert_allclose(result.regret + result.value, each.max(axis=1)[result.checkpoints - 1])


def test_exp4_with_one_expert_for_each_arm_is_exp3():
    from eluder.tabular.bandits import exp3

    bandit = bernoulli_bandit(MEANS)
    one = exp4(bandit, 2000, advice=np.eye(5), rng=rng(4))
    two = exp3(bandit, 2000, rng=rng(4))
    np.testing.assert_array_equal(one.pulls, two.pulls)
    np.testing.assert_allclose(one.regret, two.regret, atol=1e-9)


def test_a_two_dimensional_advice_holds_in_all_rounds():
    E = table(1, 4, 5)
    bandit = bernoulli_bandit(MEANS)
    one, two = (exp4(bandit, 300, advice=x, rng=rng()) for x in (E, E[0]))
    np.testing.assert_array_equal(one.regret, two.regret)


@pytest.mark.parametrize("seed", range(3))
def test_exp4_charges_experts_without_bias(seed):
    m, E, random = module("exp4"), table(1, 6, 4, seed)[0], rng(seed)
    state = m.init(6, 4)
    for _ in range(60):
        a = m.act(state, E, 0.2, random)
        m.update(state, E, a, random.random())
    losses = random.random(4)
    m.act(state, E, 0.2, random)
    mean = np.zeros(6)
    for a in np.flatnonzero(state.p):
        copy = m.State(*(x.copy() for x in state))
        m.update(copy, E, a, losses[a])
        mean += state.p[a] * (copy.loss - state.loss)
    np.testing.assert_allclose(mean, E @ losses, rtol=1e-9)


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_exp4_bound_against_adversaries_that_see_the_distribution(adversary):
    m, A, N, T = module("exp4"), 5, 12, 1000
    E, regrets = table(3, N, A), []
    for seed in range(4):
        random, state, memory, regret = rng(seed), m.init(N, A), [0, T], np.zeros(N)
        for t in range(T):
            a = m.act(state, E[t % 3], m.learning_rate(A, T, N), random)
            assert abs(state.p.sum() - 1) < 1e-9
            losses = adversary(state.p, t, memory, random)
            m.update(state, E[t % 3], a, losses[a])
            regret += losses[a] - E[t % 3] @ losses
        regrets.append(regret)
    assert np.max(regrets) <= m.bound(A, T, E)


def test_exp4_bound_on_oblivious_adversaries():
    A, T = 6, 3000
    E = np.concatenate([np.broadcast_to(np.eye(A), (2, A, A)), table(2, 10, A)], axis=1)
    for bandit in hard(A, T):
        last = [exp4(bandit, T, advice=E, rng=rng(i)).regret[-1] for i in range(6)]
        assert np.max(last) <= module("exp4").bound(A, T, E)


def test_exp4_finds_the_expert_that_knows_the_context():
    """Arms alternate; each arm alone is worth 1/2, the expert that knows the phase 1."""
    T, bandit = 4000, Bandit(np.eye(2)[np.arange(4000) % 2], "fixed", dynamic=False)
    E = np.full((2, 9, 2), 0.5)
    E[:, 3] = np.eye(2)
    result = exp4(bandit, T, advice=E, rng=rng())
    assert result.value[-1] > 0.95 * T
    assert 0 < result.regret[-1] < module("exp4").bound(2, T, E)


# --- follow the perturbed leader ---


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("noise", ["exponential", "gumbel"])
@pytest.mark.parametrize("feedback", ["bandit", "full"])
def test_ftpl_plays_the_arms_of_the_paper(feedback, noise, seed):
    result = ftpl(
        bernoulli_bandit(MEANS), 500, feedback=feedback, noise=noise, eta=0.08, most=9, rng=rng(seed)
    )
    arms = naive.ftpl(MEANS, 500, feedback == "full", noise == "gumbel", 0.08, 9, rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    np.testing.assert_allclose(result.value, np.cumsum(MEANS[arms])[result.checkpoints - 1])


LOSSES = np.array([3.0, 0.0, 7.5, 4.0])


def frequencies(gumbel, n=200_000):
    m, random = module("ftpl"), rng(2)
    return np.bincount([m.leader(LOSSES, 0.3, gumbel, random) for _ in range(n)], minlength=4) / n


def test_gumbel_leader_is_hedge():
    """The least of exponential variables with rates exp(-eta L): an arm wins with its share of the rates."""
    m = module("ftpl")
    for seed in range(50):
        clock = np.array([rng(seed).standard_exponential(4)])[0] * np.exp(0.3 * LOSSES)
        assert m.leader(LOSSES, 0.3, True, rng(seed)) == clock.argmin()
    p = softmax(-0.3 * LOSSES)
    assert np.abs(frequencies(True) - p).max() < 5 * np.sqrt(0.25 / 200_000)


def test_exponential_leader_has_the_probabilities_of_its_integral():
    p = naive.leader_probabilities(LOSSES, 0.3)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    assert np.abs(p - softmax(-0.3 * LOSSES)).max() > 0.02
    assert np.abs(frequencies(False) - p).max() < 5 * np.sqrt(0.25 / 200_000)


@pytest.mark.parametrize("gumbel", [False, True])
def test_resampling_has_the_mean_of_a_truncated_geometric_variable(gumbel):
    """E n = (1 - (1 - p)^most) / p, so that the estimate has the bias (1 - p)^most that the theorem uses."""
    m, most, n = module("ftpl"), 6, 60_000
    p = softmax(-0.3 * LOSSES) if gumbel else naive.leader_probabilities(LOSSES, 0.3)
    for a in range(4):
        random = rng(a)
        draws = [m.resample(LOSSES, a, 0.3, most, gumbel, random) for _ in range(n)]
        assert 1 <= min(draws) <= max(draws) <= most
        error = 5 * np.std(draws) / np.sqrt(n)
        assert np.mean(draws) == pytest.approx((1 - (1 - p[a]) ** most) / p[a], abs=error)


def test_bounds_of_ftpl_are_the_sums_of_their_proofs():
    m, A, T = module("ftpl"), 7, 10_000
    H, log, most = np.log(A) + 1, np.log(A), m.most_draws(A, T)
    eta = m.learning_rate(A, T, "full", "exponential")
    assert m.bound_full(A, T) == pytest.approx(H / eta + eta * T)
    eta = m.learning_rate(A, T, "bandit", "exponential")
    assert m.bound_bandit(A, T) >= H / eta + 2 * eta * A * T + A * T / (np.e * most)
    assert m.bound_bandit(A, T) <= 1.02 * (H / eta + 2 * eta * A * T + A * T / (np.e * most))
    eta = m.learning_rate(A, T, "bandit", "gumbel")
    assert m.bound_bandit_gumbel(A, T) >= log / eta + eta * A * T + A * T / (np.e * most)
    eta = m.learning_rate(A, T, "full", "gumbel")
    assert m.bound_full_gumbel(A, T) == pytest.approx(log / eta + eta * T / 8)


def test_gumbel_ftpl_has_the_regret_of_hedge():
    A, T = 4, 2000
    bandit = adversarial_bandit(rng(8).random((T, A)) ** np.arange(1, A + 1))
    exact = hedge(bandit, T, eta=0.05, rng=rng()).regret[-1]
    runs = [
        ftpl(bandit, T, feedback="full", noise="gumbel", eta=0.05, rng=rng(i)).regret[-1] for i in range(60)
    ]
    assert np.mean(runs) == pytest.approx(exact, abs=5 * np.std(runs) / np.sqrt(60))


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("noise", ["exponential", "gumbel"])
@pytest.mark.parametrize("feedback", ["bandit", "full"])
def test_ftpl_bound_against_adversaries_that_see_the_distribution(feedback, noise, adversary):
    m, A, T, gumbel = module("ftpl"), 4, 800, noise == "gumbel"
    eta, most, bound = (
        m.learning_rate(A, T, feedback, noise),
        m.most_draws(A, T),
        guarantee(ftpl, feedback=feedback, noise=noise).bound(A, T),
    )
    regrets = []
    for seed in range(3):
        random, memory, L, regret = rng(seed), [0, T], np.zeros(A), np.zeros(A)
        for t in range(T):
            p = softmax(-eta * L)  # of Gumbel noise; near enough to that of the other for an adversary
            losses = adversary(p, t, memory, random)
            a = m.leader(L, eta, gumbel, random)
            regret += losses[a] - losses
            if feedback == "full":
                L += losses
            else:
                L[a] += m.resample(L, a, eta, most, gumbel, random) * losses[a]
        regrets.append(regret)
    assert np.mean(regrets, axis=0).max() <= bound


@pytest.mark.parametrize("noise", ["exponential", "gumbel"])
@pytest.mark.parametrize("feedback", ["bandit", "full"])
def test_ftpl_bound_on_oblivious_adversaries(feedback, noise):
    A, T = 6, 3000
    bound = guarantee(ftpl, feedback=feedback, noise=noise).bound(A, T)
    for bandit in hard(A, T):
        last = [ftpl(bandit, T, feedback=feedback, noise=noise, rng=rng(i)).regret[-1] for i in range(6)]
        assert np.mean(last) <= bound


# --- numbers stay finite ---


@pytest.mark.parametrize("means", [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
def test_extreme_losses(means):
    T = 50_000
    bandit = Bandit([means, means[::-1]], "fixed", starts=[0, T // 2])._replace(dynamic=False)
    for result in (
        exp4(bandit, T, advice=np.eye(3), rng=rng()),
        ftpl(bandit, T, rng=rng()),
        ftpl(bandit, T, feedback="full", noise="gumbel", eta=1e9, rng=rng()),
        ftpl(bandit, T, noise="gumbel", eta=1e200, rng=rng()),
    ):
        assert np.isfinite(result.regret).all()
        assert result.pulls.sum() == T


def test_one_arm_and_one_expert():
    bandit = bernoulli_bandit([0.5])
    for T in (1, 10):
        assert exp4(bandit, T, advice=[[1.0]], rng=rng()).regret[-1] == 0
        for noise in ("exponential", "gumbel"):
            for feedback in ("bandit", "full"):
                assert ftpl(bandit, T, noise=noise, feedback=feedback, rng=rng()).regret[-1] == 0


# --- rates ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "kwargs"),
    [
        (exp4, {}),
        (ftpl, {}),
        (ftpl, {"noise": "gumbel"}),
        (ftpl, {"feedback": "full"}),
        (ftpl, {"feedback": "full", "noise": "gumbel"}),
    ],
)
def test_regret_grows_with_the_declared_exponent(learner, kwargs):
    """Against the instance of the lower bound, whose gap shrinks with the horizon."""
    A, Ts, seeds = 5, np.array([2_000, 20_000, 200_000]), 40
    if learner is exp4:
        kwargs = {"advice": np.concatenate([np.eye(A), np.full((5, A), 1 / A)])}
    last = np.array(
        [
            [
                learner(lower_bound_bandit(A, T, scale=2.0), T, rng=rng(i), **kwargs).regret[-1]
                for i in range(seeds)
            ]
            for T in Ts
        ]
    )
    slope = np.polyfit(np.log(Ts), np.log(last.mean(axis=1)), 1)[0]
    options = {k: v for k, v in kwargs.items() if k != "advice"}
    turn = np.mean(
        [learner(blockwise_adversary(A, Ts[-1]), Ts[-1], rng=rng(i), **kwargs).regret[-1] for i in range(10)]
    )
    print(
        f"{learner.__name__} {options}: slope {slope:.3f}, {last.mean(axis=1).round(1)}; turning {turn:.1f}"
    )
    assert abs(slope - guarantee(learner, **options).exponent) < 0.1
