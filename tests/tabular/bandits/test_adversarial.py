"""Tests of hedge, optimistic hedge, EXP3, EXP3-IX, EXP3.P, EXP3++, Tsallis-INF and the log-barrier."""

import importlib

import numpy as np
import pytest

from eluder.core.bandits import Bandit
from eluder.core.guarantees import guarantee
from eluder.envs import (
    adversarial_bandit,
    bernoulli_bandit,
    blockwise_adversary,
    lower_bound_bandit,
    stochastically_constrained_bandit,
)
from eluder.tabular import bandits
from eluder.tabular.bandits import _sum_tree as tree
from tests.tabular.bandits import naive_adversarial as naive

NAMES = [
    "hedge",
    "optimistic_hedge",
    "exp3",
    "exp3_ix",
    "exp3_p",
    "exp3_plus_plus",
    "tsallis_inf",
    "log_barrier",
]
MEANS = np.array([0.3, 0.45, 0.6, 0.5, 0.55])


def rng(seed=0):
    return np.random.default_rng(seed)


def module(name):
    return importlib.import_module(f"eluder.tabular.bandits._{name}")


# --- constants ---


@pytest.mark.parametrize(
    ("name", "function", "args", "value"),
    [
        ("hedge", "learning_rate", (4, 100), 0.333_021_9),  # sqrt(8 * 1.3862944 / 100)
        ("hedge", "bound", (4, 100), 8.325_546),  # sqrt(50 * 1.3862944)
        ("optimistic_hedge", "learning_rate", (4, 100), 0.117_741),
        ("optimistic_hedge", "bound", (4, 100), 23.548_2),
        ("optimistic_hedge", "bound", (4, 100, 25), 11.774_1),
        ("exp3", "learning_rate", (4, 100), 0.083_255_5),  # sqrt(2 * 1.3862944 / 400)
        ("exp3", "bound", (4, 100), 33.302_2),
        ("exp3", "mixing_rate", (4, 100), 0.179_643),  # sqrt(4 * 1.3862944 / (1.7182818 * 100))
        ("exp3", "mixing_rate", (4, 1), 1.0),
        ("exp3", "bound_of_gains", (4, 100), 61.735_6),  # 2 sqrt(1.7182818 * 400 * 1.3862944)
        ("exp3_ix", "learning_rate", (4, 100), 0.083_255_5),
        ("exp3_ix", "implicit_exploration", (0.5,), 0.25),
        # 2 sqrt(1109.0355) + (sqrt(800 / 1.3862944) + 1) ln 20
        ("exp3_ix", "bound", (4, 100, 0.1), 66.604_4 + (24.022_4 + 1) * 2.995_732),
        ("exp3_ix", "bound", (1, 100, 0.1), 0.0),
        ("exp3_p", "bias", (4, 100, 0.1), 0.096_032_2),  # sqrt(ln 40 / 400)
        ("exp3_p", "learning_rate", (4, 100), 0.95 * 0.058_870_5),
        ("exp3_p", "mixing_rate", (4, 100), 1.05 * 0.235_482),
        ("exp3_p", "bound", (4, 100, 0.1), 5.15 * 38.412_9),
        ("exp3_plus_plus", "bound", (4, 100), 4 * 23.548_2),
        ("exp3_plus_plus", "learning_rate", (4, 100), 0.5 * 0.058_870_5),
        ("exp3_plus_plus", "radius", (10.0, 4, 100, 3.0), 0.871_831),  # sqrt((3 * 4.60517 + 1.386294) / 20)
        # beta ln(100) / (100 * 0.25): not ln^2, not 1 / gap
        ("exp3_plus_plus", "exploration", (0.5, 4, 100, 0.1), 0.1 * 4.605_170 / 25),
        ("exp3_plus_plus", "exploration", (0.5, 4, 100, 256.0), 0.029_435_3),
        ("exp3_plus_plus", "exploration", (-0.5, 4, 100, 0.1), 0.029_435_3),
        ("exp3_plus_plus", "exploration", (0.0, 4, 1, 0.1), 0.125),
        ("tsallis_inf", "learning_rate", (16, False), 0.5),
        ("tsallis_inf", "learning_rate", (16, True), 1.0),
        ("tsallis_inf", "baseline", (0.25, 0.5, True), 0.5),
        ("tsallis_inf", "baseline", (0.24, 0.5, True), 0.0),
        ("tsallis_inf", "baseline", (0.25, 0.5, False), 0.0),
        ("tsallis_inf", "bound", (4, 100), 81.0),
        ("log_barrier", "learning_rate", (4, 100), 0.525_653),  # sqrt(6 * 4.60517 / 100)
        ("log_barrier", "learning_rate", (1, 100), 1.0),
        ("log_barrier", "bound", (4, 100), 53.565_3),
    ],
)
def test_constants_by_hand(name, function, args, value):
    assert getattr(module(name), function)(*args) == pytest.approx(value, rel=2e-5)


# --- definition: whole runs of naive twins, with the same random numbers ---


TWINS = {
    "exp3": ({"eta": 0.05}, naive.Exp3, {"eta": 0.05}),
    "exp3_mixed": (
        {"eta": 0.05, "gamma": 0.3, "form": "gains"},
        naive.Exp3,
        {"eta": 0.05, "gamma": 0.3, "gains": True},
    ),
    "exp3_ix": ({"eta": 0.3, "gamma": 0.07}, naive.Exp3IX, {"eta": 0.3, "gamma": 0.07}),
    "exp3_p": (
        {"delta": 0.1},
        naive.Exp3P,
        {
            "eta": 0.95 * np.sqrt(np.log(5) / 3000),
            "gamma": 1.05 * np.sqrt(5 * np.log(5) / 600),
            "beta": np.sqrt(np.log(50) / 3000),
        },
    ),
    "exp3_plus_plus": ({"alpha": 0.1, "beta": 0.05}, naive.Exp3PlusPlus, {"alpha": 0.1, "beta": 0.05}),
    "tsallis_inf": ({}, naive.TsallisINF, {"reduced": False}),
    "tsallis_inf_reduced": ({"estimator": "reduced"}, naive.TsallisINF, {"reduced": True}),
    "log_barrier": ({"eta": 0.4}, naive.LogBarrier, {"eta": 0.4}),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("key", TWINS)
def test_plays_the_arms_of_the_paper(key, seed):
    kwargs, twin, args = TWINS[key]
    learner = getattr(bandits, key.removesuffix("_mixed").removesuffix("_reduced"))
    arms = naive.play(twin(5, **args), MEANS, 600, rng(seed))
    result = learner(bernoulli_bandit(MEANS), 600, rng=rng(seed), **kwargs)
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    regret = np.cumsum(MEANS.max() - MEANS[arms])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, regret, atol=1e-9)


@pytest.mark.parametrize("name", ["hedge", "optimistic_hedge"])
def test_plays_the_distributions_of_the_paper(name):
    value, arms = getattr(naive, name)(MEANS, 300, 0.2, rng(1))
    result = getattr(bandits, name)(bernoulli_bandit(MEANS), 300, eta=0.2, rng=rng(1))
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=5))
    np.testing.assert_allclose(result.value, np.cumsum(value)[result.checkpoints - 1], rtol=1e-10)


# --- the tree of weights ---


@pytest.mark.parametrize("A", [1, 2, 3, 20, 1000])
def test_tree_holds_the_softmax_and_inverts_its_distribution_function(A):
    random, eta = rng(A), 0.7
    weights = tree.uniform_weights(A)
    for _ in range(300):
        tree.add_loss(weights, int(random.integers(A)), float(random.exponential(3)), eta)
    p = naive.softmax(-eta * weights.loss)
    np.testing.assert_allclose([tree.probability(weights, a) for a in range(A)], p, rtol=1e-10)
    for u in random.random(200):
        assert tree.find(weights, u) == naive.draw(p, u)
    assert tree.find(weights, 1.0) == np.flatnonzero(p)[-1], "rounding may leave a rest"


def test_an_arm_whose_weight_was_rounded_to_zero_comes_back():
    weights = tree.uniform_weights(2)
    tree.add_loss(weights, 0, 2000.0, 1.0)
    assert tree.probability(weights, 0) == 0
    for _ in range(2100):
        tree.add_loss(weights, 1, 1.0, 1.0)
    assert tree.probability(weights, 0) > 0.999


def test_weights_that_grow_are_scaled():
    weights = tree.uniform_weights(3)
    for _ in range(100):
        tree.add_loss(weights, 1, -1e4, 1.0)
    assert tree.probability(weights, 1) == 1
    assert np.isfinite(weights.tree).all()


# --- estimators: enumeration over the arm drawn, with losses that are not 0 or 1 ---


def random_state(name, seed):
    """The distribution after 60 rounds of random losses, and what an update adds to L, on a copy."""
    m, random, A = module(name), rng(seed), 4
    state, eta = m.init(A), 0.2
    more = {"exp3": (eta, 0.1), "exp3_ix": (eta, 0.05), "exp3_p": (0.03,), "log_barrier": ()}
    for t in range(60):
        eta_t = m.learning_rate(t + 1, True) if name == "tsallis_inf" else eta
        acting = {"exp3": (0.1,), "exp3_ix": (), "exp3_p": (eta, 0.1)}.get(name, (eta_t,))
        update = (eta_t, True) if name == "tsallis_inf" else more[name]
        before = type(state)(*(x.copy() for x in state))
        a = m.act(state, *acting, random)
        p = distribution(name, state, 0.1)
        before = type(state)(*(x.copy() for x in state))
        m.update(state, a, random.random(), *update)

    def after(a, loss):
        copy = type(before)(*(x.copy() for x in before))
        m.update(copy, a, loss, *update)
        return copy.loss - before.loss

    return p, after, eta_t


def distribution(name, state, gamma):
    if hasattr(state, "p"):
        return state.p.copy()
    A = state.loss.size
    p = state.tree[state.tree.size // 2 :][:A] / state.tree[1]
    return (1 - gamma) * p + gamma / A if name == "exp3" else p


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["exp3", "tsallis_inf", "log_barrier"])
def test_estimates_are_unbiased(name, seed):
    """The weight is the probability with which the arm was drawn, also for losses that are not 0 or 1."""
    p, after, _ = random_state(name, seed)
    losses = rng(seed + 10).random(4)
    assert np.ptp(p) > 0.05
    mean = sum(p[a] * after(a, losses[a]) for a in range(4))
    np.testing.assert_allclose(mean, losses, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_biased_estimates_have_the_bias_of_their_papers(seed):
    losses = rng(seed + 10).random(4)
    p, after, _ = random_state("exp3_ix", seed)
    mean = sum(p[a] * after(a, losses[a]) for a in range(4))
    np.testing.assert_allclose(mean, losses * p / (p + 0.05), rtol=1e-9)
    p, after, _ = random_state("exp3_p", seed)
    mean = sum(p[a] * after(a, losses[a]) for a in range(4))
    np.testing.assert_allclose(-mean, (1 - losses) + 0.03 / p, rtol=1e-9)


def test_reduced_variance():
    """A loss of 1/2 is estimated without error, whichever arm is drawn, where p >= eta^2."""
    p, after, eta = random_state("tsallis_inf", 0)
    likely = p >= eta**2
    assert 0 < likely.sum() < 4
    for a in np.flatnonzero(likely):
        np.testing.assert_allclose(after(a, 0.5), np.where(likely, 0.5, 0.0), atol=1e-12)


# --- adversaries that see the distribution ---


def largest(p, t, memory, random):
    """Loss 1 to the most likely arm."""
    return (np.arange(p.size) == p.argmax()).astype(float)


def blocking(p, t, memory, random):
    """One arm is good until the learner trusts it; then it is bad, and the least likely arm becomes good."""
    if p[memory[0]] > 0.9:
        memory[0] = int(p.argmin())
    losses = np.ones(p.size)
    losses[memory[0]] = 0.0
    return losses


def hidden(p, t, memory, random):
    """The instance of the lower bound."""
    means = np.full(p.size, 0.5)
    means[1] -= np.sqrt(p.size / memory[1])
    return (random.random(p.size) < means).astype(float)


ADVERSARIES = [largest, blocking, hidden]


def duel(name, adversary, A, T, seed):
    """Play a learner's `act` and `update` against an adversary; return its loss less that of each arm."""
    m, random = module(name), rng(seed)
    state, memory = m.init(A), [0, T]
    rates = {
        "hedge": lambda: ((m.learning_rate(A, T),), ()),
        "optimistic_hedge": lambda: ((m.learning_rate(A, T),), ()),
        "exp3": lambda: ((0.0,), (m.learning_rate(A, T), 0.0)),
        "exp3_ix": lambda: ((), (m.learning_rate(A, T), m.learning_rate(A, T) / 2)),
        "exp3_p": lambda: ((m.learning_rate(A, T), m.mixing_rate(A, T)), (m.bias(A, T, 0.05),)),
        "log_barrier": lambda: ((m.learning_rate(A, T),), ()),
        "tsallis_inf": lambda: ((1.0,), (1.0, False)),
    }
    acting, updating = rates[name]()
    regret = np.zeros(A)
    for t in range(T):
        if name == "tsallis_inf":
            eta = m.learning_rate(t + 1, False)
            acting, updating = (eta,), (eta, False)
        full = name.endswith("hedge")
        a = m.act(state, *acting) if full else m.act(state, *acting, random)
        p = distribution(name, state, 0.0)
        assert p.min() >= 0
        assert abs(p.sum() - 1) < 1e-9
        losses = adversary(p, t, memory, random)
        if full:
            m.update(state, losses)
            regret += p @ losses - losses
        else:
            m.update(state, a, losses[a], *updating)
            regret += losses[a] - losses
    return regret


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("name", ["hedge", "optimistic_hedge", "exp3_ix", "exp3_p"])
def test_bound_holds_on_every_run(name, adversary):
    """Surely for the two hedges, with probability 0.95 for the two others: their bounds have room."""
    A, T = 5, 1200
    bound = module(name).bound(A, T) if name.endswith("hedge") else module(name).bound(A, T, 0.05)
    for seed in range(2):
        assert duel(name, adversary, A, T, seed).max() <= bound


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("name", ["exp3", "tsallis_inf", "log_barrier"])
def test_bound_holds_in_the_mean(name, adversary):
    A, T = 5, 1000
    regret = np.mean([duel(name, adversary, A, T, seed) for seed in range(4)], axis=0)
    assert regret.max() <= module(name).bound(A, T)


def hard(A, T):
    """Oblivious instances: the lower bound, rewards that turn, random tables."""
    return [
        lower_bound_bandit(A, T),
        blockwise_adversary(A, T, 2),
        blockwise_adversary(A, T, 7 * A),
        adversarial_bandit(rng(5).random((T, A)) ** np.arange(1, A + 1)),
    ]


@pytest.mark.parametrize("name", ["hedge", "optimistic_hedge"])
def test_full_information_bound_is_sure(name):
    A, T = 6, 2000
    for bandit in hard(A, T)[1:]:  # without noise the regret kept is the one of the theorem
        result = getattr(bandits, name)(bandit, T, rng=rng())
        assert result.regret[-1] <= guarantee(getattr(bandits, name)).bound(A=A, T=T)


def test_hedge_meets_its_bound_where_it_is_tight():
    """Two arms, fair coins, one the complement of the other: about sqrt(T / (2 pi)) of sqrt(T ln(2) / 2)."""
    T, regrets = 3000, []
    for seed in range(20):
        x = rng(seed).integers(0, 2, T).astype(float)
        regrets.append(bandits.hedge(adversarial_bandit(np.stack([x, 1 - x], 1)), T, rng=rng()).regret[-1])
    assert 0.4 * module("hedge").bound(2, T) < np.mean(regrets)
    assert np.max(regrets) <= module("hedge").bound(2, T)


def test_optimistic_hedge_is_bounded_by_the_path_length():
    T, A = 2000, 4
    t = np.arange(T)[:, None]
    rewards = 0.5 + 0.5 * np.sin(t / 200 + np.arange(A))
    losses = np.vstack([np.zeros(A), 1 - rewards])
    V = (np.abs(np.diff(losses, axis=0)).max(axis=1) ** 2).sum()
    assert V < 2
    result = bandits.optimistic_hedge(adversarial_bandit(rewards), T, V=V, rng=rng())
    assert result.regret.max() <= module("optimistic_hedge").bound(A, T, V) < 4
    assert bandits.hedge(adversarial_bandit(rewards), T, rng=rng()).regret.max() > 10


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("exp3", {}),
        ("exp3", {"form": "gains"}),
        ("exp3_plus_plus", {}),
        ("tsallis_inf", {}),
        ("log_barrier", {}),
        ("exp3_ix", {"delta": 0.05}),
        ("exp3_p", {"delta": 0.05}),
    ],
)
def test_bound_holds_on_oblivious_adversaries(name, kwargs):
    """On every run, though most of the theorems speak of the mean: they leave room."""
    A, T = 6, 4000
    learner = getattr(bandits, name)
    call = {} if name == "exp3_ix" else kwargs
    given = {"delta": kwargs["delta"]} if "delta" in kwargs else {}
    bound = guarantee(learner, **call).bound(A=A, T=T, **given)
    for bandit in hard(A, T):
        last = [learner(bandit, T, rng=rng(i), **call).regret[-1] for i in range(8)]
        assert np.max(last) <= bound


# --- numbers stay finite ---


@pytest.mark.parametrize("means", [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
@pytest.mark.parametrize("name", NAMES)
def test_a_million_rounds_of_extreme_losses(name, means):
    T = 1_000_000 if name in ("exp3", "tsallis_inf") else 200_000
    bandit = Bandit([means, means[::-1], [0, 0, 0], means], "fixed", starts=[0, T // 4, T // 2, 3 * T // 4])
    result = getattr(bandits, name)(bandit._replace(dynamic=False), T, rng=rng())
    assert np.isfinite(result.value).all()
    assert result.pulls.sum() == T


@pytest.mark.parametrize(
    "kwargs", [{"eta": 1e9}, {"eta": 1e300}, {"eta": 1e9, "form": "gains", "gamma": 0.0}]
)
def test_exp3_with_huge_rates_stays_on_the_simplex(kwargs):
    assert bandits.exp3(bernoulli_bandit(MEANS), 1000, rng=rng(), **kwargs).pulls.sum() == 1000


@pytest.mark.parametrize("name", NAMES)
def test_one_arm_has_no_regret(name):
    for T in (1, 10):
        assert getattr(bandits, name)(bernoulli_bandit([0.5]), T, rng=rng()).regret[-1] == 0


# --- rates ---


def means_of(learner, bandit, T, seeds, **kwargs):
    return np.mean([learner(bandit(T), T, rng=rng(i), **kwargs).regret[-1] for i in range(seeds)])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_regret_grows_with_the_declared_exponent(name):
    """Against the instance of the lower bound, whose gap shrinks with the horizon."""
    learner, A = getattr(bandits, name), 5
    Ts = np.array([2_000, 20_000, 200_000])
    seeds = 40
    mean = [means_of(learner, lambda T: lower_bound_bandit(A, T, scale=2.0), T, seeds) for T in Ts]
    slope = np.polyfit(np.log(Ts), np.log(mean), 1)[0]
    turn = means_of(learner, lambda T: blockwise_adversary(A, T, 2), Ts[-1], 10)
    print(f"{name}: slope {slope:.3f}, regret {np.round(mean, 1)}; turning rewards {turn:.1f}")
    assert abs(slope - guarantee(learner).exponent) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["plain", "reduced"])
def test_tsallis_inf_is_logarithmic_where_gaps_are_fixed(estimator):
    """Stochastic, and stochastically constrained."""
    T = 1_000_000
    for make in (
        lambda: bernoulli_bandit([0.625, 0.5, 0.5, 0.5]),
        lambda: stochastically_constrained_bandit(4, T, 0.125),
    ):
        runs = [bandits.tsallis_inf(make(), T, estimator=estimator, rng=rng(i)) for i in range(20)]
        t, mean = runs[0].checkpoints, np.mean([run.regret for run in runs], axis=0)
        tail = t >= T // 10
        slope = np.polyfit(np.log(t[tail]), np.log(mean[tail]), 1)[0]
        print(f"tsallis_inf {estimator}: slope {slope:.3f}, regret {mean[-1]:.1f}")
        assert slope < 0.25


@pytest.mark.slow
def test_exp3_plus_plus_is_polylogarithmic_on_stochastic_bandits():
    """With beta = 256 the exploration by gaps is idle until t is about 1e7; a smaller one shows it."""
    T = 1_000_000
    runs = [
        bandits.exp3_plus_plus(bernoulli_bandit([0.7, 0.4, 0.4]), T, beta=1.0, rng=rng(i)) for i in range(10)
    ]
    t, mean = runs[0].checkpoints, np.mean([run.regret for run in runs], axis=0)
    tail = t >= T // 10
    slope = np.polyfit(np.log(t[tail]), np.log(mean[tail]), 1)[0]
    print(f"exp3_plus_plus: slope {slope:.3f}, regret {mean[-1]:.1f}")
    assert slope < 0.4
