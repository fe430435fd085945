"""Fisheries: the period row by row, rules, published records, and the optimum of one species."""

import dataclasses
import math

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from eluder.envs import fishery as fisheries
from eluder.envs.fishery import (
    ConstantEscapement,
    ConstantMortality,
    EscapementTable,
    ExactValue,
    FisheryEnv,
    FisheryPlan,
    FisheryStep,
    GridSearch,
    Noise,
    Runs,
    best_rule,
    draw_noise,
    fishery,
    fishery_env,
    fishery_optimum,
    growth,
    policy_value,
    simulate,
    step,
)

SHORT = Noise(np.zeros((1, 1)), np.zeros((1, 1, 1)))


def RNG():
    return np.random.default_rng(0)


def odd(model):
    """A fishery none of whose numbers is 0, 1 or another's."""
    return fishery(
        model, T=9, sigma=0.13, r_Y=0.83, K=1.21, beta=0.37, c=0.29, D=1.15, c_XY=0.17, b=0.19, d_Z=0.23,
        threshold=0.06, penalty=70.0,
    )  # fmt: skip


def one_period(f, N, a, t, xi):
    """The paper's period for one episode, with floats: next populations, harvest, reward, ended."""
    N = [float(x) for x in N]
    h = [min(max(float(a[i]), 0.0), 1.0) * N[i] for i in range(f.harvested)]
    left = [N[i] - (h[i] if i < len(h) else 0.0) for i in range(len(N))]
    if len(N) == 1:
        (X,) = left
        change = [f.r[t] * X * (1 - X / f.K) - f.beta * X**2 / (f.c**2 + X**2)]
    else:
        X, Y, Z = left
        change = [
            f.r[t] * X * (1 - X / f.K) - f.beta * Z * X**2 / (f.c**2 + X**2) - f.c_XY * X * Y,
            f.r_Y * Y * (1 - Y / f.K) - f.D * f.beta * Z * Y**2 / (f.c**2 + Y**2) - f.c_XY * X * Y,
            f.b * (X + f.D * Y) * Z - f.d_Z * Z,
        ]
    after = [x + d + f.sigma * x * float(e) for x, d, e in zip(left, change, xi)]
    ended = any(x <= f.threshold for x in after)
    return np.array(after), h, sum(h) - (f.penalty / (t + 1) if ended else 0.0), ended


# --- one period ---


@pytest.mark.parametrize("model", [1, 2, 3, 4])
def test_step_is_the_papers(model):
    f, rng = odd(model), np.random.default_rng(model)
    S, A = len(f.x0), f.harvested
    N, a = rng.uniform(0.03, 1.3, (200, S)), rng.uniform(-0.2, 1.2, (200, A))
    xi = rng.standard_normal((200, S))
    for t in (0, 8):
        played = step(f, N, a, t, xi)
        for k in range(200):
            after, h, reward, ended = one_period(f, N[k], a[k], t, xi[k])
            np.testing.assert_allclose(played.populations[k], after, rtol=1e-12)
            np.testing.assert_allclose(played.harvest[k], h, rtol=1e-12)
            np.testing.assert_allclose(played.reward[k], reward, rtol=1e-12)
            assert played.ended[k] == ended
    assert 0 < played.ended.sum() < 200


def test_parameters_are_the_papers():
    one, three = fishery(1), fishery(3)
    assert (one.beta, one.c, one.sigma, one.x0.tolist()) == (0.25, 0.1, 0.05, [0.7])
    assert (three.beta, three.c, three.D, three.c_XY, three.b, three.d_Z) == (0.3, 0.3, 1.1, 0.1, 0.1, 0.1)
    assert three.x0.tolist() == [0.5, 0.5, 0.7]
    assert [fishery(m).harvested for m in (1, 2, 3, 4)] == [1, 1, 2, 2]
    np.testing.assert_allclose(fishery(4).r[[0, 1, 99, 100, 101, 199]], [1, 0.995, 0.505, 0.5, 0.5, 0.5])
    assert all((fishery(m).r == 1).all() for m in (1, 2, 3))


def test_growth_of_hand_values():
    # X = Y = 1/2, Z = 1: X + 1/4 - .3 (1/4) / (.09 + 1/4) - .1 / 4
    got = growth(fishery(3), [0.5, 0.5, 1.0], 0)
    eaten = 0.3 * 0.25 / 0.34
    np.testing.assert_allclose(got, [0.725 - eaten, 0.725 - 1.1 * eaten, 1 + 0.1 * 1.05 - 0.1], rtol=1e-14)


# --- episodes ---


@pytest.mark.parametrize("model", [1, 2, 3, 4])
def test_episodes_are_periods_in_a_row(model):
    f = odd(model)._replace(sigma=0.33)
    A = f.harvested
    noise = draw_noise(f, 40, rng=np.random.default_rng(model))
    table = np.abs(np.random.default_rng(5).normal(0.3, 0.2, (9, 6)))
    rules = [ConstantMortality((0.42, 0.4)[:A]), ConstantEscapement((0.2, 0.3)[:A])]
    rules += [EscapementTable(0.2, table)] if A == 1 else []
    for rule in rules:
        runs = simulate(f, rule, noise=noise)
        other = simulate(f, lambda N, t, rule=rule: rule(N, t), noise=noise)
        for k in range(40):
            N = np.maximum(f.x0 + f.sigma0 * noise.first[k], 0.0)
            total = harvest = last = 0.0
            for t in range(9):
                if isinstance(rule, ConstantMortality):
                    a = rule.fractions
                elif isinstance(rule, ConstantEscapement):
                    a = [max(1 - level / x, 0.0) for level, x in zip(rule.levels, N)]
                else:
                    a = [max(1 - np.interp(N[0], 0.2 * np.arange(6), table[t]) / N[0], 0.0)]
                N, h, reward, ended = one_period(f, N, a, t, noise.later[k, t])
                total, last = total + reward, sum(h)
                harvest += last
                if ended:
                    break
            for got in (runs, other):
                np.testing.assert_allclose(got.returns[k], total, rtol=1e-10)
                np.testing.assert_allclose(got.harvest[k], harvest, rtol=1e-10)
                np.testing.assert_allclose(got.published[k], harvest - last, rtol=1e-9, atol=1e-12)
                assert (got.length[k], got.ended[k]) == (t + 1, ended)
    assert 0 < simulate(f, rules[0], noise=noise).extinctions < 1


def test_episodes_of_a_generator_repeat():
    f = fishery(2, T=20)
    a, b = (simulate(f, ConstantMortality((0.3,)), episodes=5000, rng=np.random.default_rng(3)) for _ in "ab")
    np.testing.assert_array_equal(a.returns, b.returns)
    assert len(np.unique(a.returns)) == 5000


def test_mean_error_and_extinctions():
    f = fishery(1, T=1, sigma=0.0, sigma0=0.0)
    runs = simulate(f, ConstantMortality((1.0,)), episodes=4, rng=np.random.default_rng(0))
    assert runs.mean == pytest.approx(0.7 - 100.0)  # all is taken: the population ends at once
    assert (runs.error, runs.extinctions, runs.published.tolist()) == (0.0, 1.0, [0.0] * 4)


@pytest.mark.parametrize(
    ("model", "fractions", "published", "spread"),
    [
        (1, (0.01,), 0.8816, 0.029),
        (2, (0.29,), 19.766, 0.2),
        (3, (0.3, 0.25), 62.304, 1.3),
        (4, (0.13, 0.27), 44.520, 0.57),
    ],
)
def test_constant_mortality_of_the_published_episodes(model, fractions, published, spread):
    """The paper's rates give its table's rewards, within twice the error of its 100 episodes."""
    rule = ConstantMortality(fractions)
    runs = simulate(fishery(model), rule, episodes=4000, rng=np.random.default_rng(0))
    assert abs(runs.published.mean() - published) < 2 * spread
    # `spread` is no more than what 100 episodes have
    assert spread < 1.05 * runs.published.std() / 10


# --- the best constant rules ---


def test_searches_find_the_best_of_a_grid():
    f = fishery(3, T=30)
    found = best_rule(ConstantMortality, f, points=5, episodes=50, fresh=60, rng=np.random.default_rng(1))
    noise = draw_noise(f, 50, rng=np.random.default_rng(1))
    for i, x in enumerate((0.0, 0.125, 0.25, 0.375, 0.5)):
        for j, y in enumerate((0.0, 0.125, 0.25, 0.375, 0.5)):
            runs = simulate(f, ConstantMortality((x, y)), noise=noise)
            assert found.mean[i, j] == runs.mean
            assert found.error[i, j] == pytest.approx(runs.returns.std() / math.sqrt(50))
    i, j = np.unravel_index(found.mean.argmax(), (5, 5))
    assert found.policy.fractions == (found.axis[i], found.axis[j])
    assert len(found.runs.returns) == 60
    levels = best_rule(ConstantEscapement, f, points=5, episodes=50, fresh=60, rng=np.random.default_rng(1))
    assert levels.axis.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert isinstance(levels.policy, ConstantEscapement)


# --- one species, exactly ---


def test_optimum_of_one_period():
    """All but what survives is taken: the best s by trying all."""
    f = fishery(1, T=1)
    s = np.linspace(1e-4, 0.7, 200_000)
    mean = s + s * (1 - s) - 0.25 * s**2 / (0.01 + s**2)
    dead = np.array(
        [0.5 * math.erfc((m - 0.05) / (0.05 * x * math.sqrt(2))) for m, x in zip(mean[::50], s[::50])]
    )
    best = 0.7 + np.max(-s[::50] - 100 * dead)
    assert fishery_optimum(f).value == pytest.approx(best, abs=2e-3)


def test_optimum_of_a_calm_logistic_fishery():
    """Nearly no noise, no predators: s = 1/2 in every period but the last, and then all but the threshold."""
    f = fishery(1, T=10, sigma=1e-3, beta=0.0)
    value = (0.7 - 0.5) + 8 * 0.25 + 0.75  # s + s (1 - s) > .05 from s = .0257 on
    assert fishery_optimum(f).value == pytest.approx(value - 0.0257, abs=1e-3)


def test_optimum_converges_and_is_what_its_policy_earns():
    f = fishery(1)
    coarse, middle, fine = (fishery_optimum(f, step=s) for s in (0.005, 0.0025, 0.00125))
    ratio = (middle.value - coarse.value) / (fine.value - middle.value)
    assert 3.5 < ratio < 4.5  # second order
    limit = fine.value + (fine.value - middle.value) / 3
    assert limit == pytest.approx(2.0697, abs=2e-4)
    assert policy_value(f, middle.policy, step=0.0025).value == pytest.approx(middle.value, abs=1e-9)
    runs = simulate(f, fine.policy, episodes=20_000, rng=np.random.default_rng(0))
    assert abs(runs.mean - limit) < 3 * runs.error


@pytest.mark.parametrize(
    "rule", [ConstantEscapement((0.52,)), ConstantMortality((0.01,)), ConstantMortality((0.2,))]
)
def test_exact_values_of_rules(rule):
    f = fishery(1)
    exact = policy_value(f, rule)
    runs = simulate(f, rule, episodes=20_000, rng=np.random.default_rng(0))
    assert abs(runs.mean - exact.value) < 3 * runs.error
    assert abs(runs.extinctions - 1 + exact.survival) < 0.01
    assert exact.value < fishery_optimum(f).value


def test_optimum_with_a_growth_rate_that_changes():
    f = fishery(1, T=12)._replace(r=np.linspace(1.0, 0.4, 12))
    plan = fishery_optimum(f, step=0.0025)
    runs = simulate(f, plan.policy, episodes=20_000, rng=np.random.default_rng(0))
    assert abs(runs.mean - plan.value) < 3 * runs.error + 5e-3
    assert policy_value(f, plan.policy, step=0.0025).value == pytest.approx(plan.value, abs=1e-9)


# --- gymnasium ---


@pytest.mark.parametrize("model", [1, 2, 3, 4])
def test_env_passes_the_checks(model):
    check_env(fishery_env(model, clock=model == 4), skip_render_check=True)
    assert gymnasium.make("eluder/Fishery-v0", model=model).action_space.shape == (1 if model < 3 else 2,)


def test_env_plays_the_definition():
    f = fishery(3)
    env = fishery_env(f, clock=True, render_mode="ansi")
    seen, info = env.reset(seed=4)
    rng = np.random.default_rng(4)
    N = f.x0 + 0.02 * rng.standard_normal(3)
    np.testing.assert_allclose(info["populations"], N)
    for t in range(200):
        np.testing.assert_allclose(seen, [*N / 4, t / 200], rtol=1e-6)
        N, _, reward, ended = one_period(f, N, (0.35, 0.35), t, rng.standard_normal(3))
        seen, got, terminated, truncated, info = env.step(np.array([0.35, 0.35]))
        assert got == pytest.approx(reward)
        assert (terminated, truncated) == (ended, t == 199 and not ended)
        assert "harvest" in env.render()
        if ended:
            break
    assert ended or t == 199
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.array([0.1, 0.1]))


def test_env_is_cut_after_all_periods():
    env = fishery_env(2, T=3)
    env.reset(seed=0)
    assert [env.step(np.array([0.0]))[2:4] for _ in range(3)] == [(False, False)] * 2 + [(False, True)]


# --- what comes back ---


def test_results_cannot_be_changed():
    f, rng = fishery(1, T=2), np.random.default_rng(0)
    found = best_rule(ConstantMortality, f, points=2, episodes=2, fresh=2, rng=rng)
    plan, value = fishery_optimum(f, step=0.01), policy_value(f, ConstantMortality((0.1,)), step=0.01)
    kinds = (GridSearch, FisheryPlan, ExactValue, Runs)
    for result, kind in zip((found, plan, value, found.runs), kinds, strict=True):
        assert isinstance(result, kind)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, dataclasses.fields(result)[0].name, None)
    assert plan.V.shape == (3, len(plan.grid))
    assert plan.policy.levels.shape == (2, len(plan.grid))
    assert isinstance(step(f, [0.5], [0.1], 0, [0.0]), FisheryStep)
    assert isinstance(fishery_env(f), FisheryEnv)


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: fishery(5), "model must be"),
        (lambda f: fishery(1, T=0), "T must be"),
        (lambda f: fishery(1, sigma=-1), "sigma must be"),
        (lambda f: fishery(1, beta=float("nan")), "beta must be"),
        (lambda f: fishery(1, gamma=1.0), "gamma is no number of a fishery"),
        (lambda f: fishery(1, r=1.0), "r is no number of a fishery"),
        (lambda f: growth(f, [0.5], 0), r"populations must have shape \(..., 3\)"),
        (lambda f: growth(f, [0.5, np.nan, 1], 0), r"populations\[1\] is nan"),
        (lambda f: growth(f, [0.5, 0.5, 1], 200), "t must be"),
        (lambda f: growth(None, [0.5], 0), "fishery must be a Fishery"),
        (lambda f: step(f, [0.5] * 3, [0.1], 0, [0.0] * 3), r"fractions must have shape \(..., 2\)"),
        (lambda f: step(f, [0.5] * 3, [0.1] * 2, 0, [0.0]), r"xi must have shape \(..., 3\)"),
        (lambda f: fisheries.first_populations(f, [0.0]), "xi must have shape"),
        (lambda f: draw_noise(f, 0, rng=np.random.default_rng(0)), "episodes must be"),
        (lambda f: draw_noise(f, 1, rng=0), "rng"),
        (lambda f: Noise(np.zeros((2, 3)), np.zeros((3, 5, 3))), "later must have shape"),
        (lambda f: simulate(f, ConstantMortality((0.1, 0.1))), "exactly one of them"),
        (lambda f: simulate(f, ConstantMortality((0.1,)), rng=RNG()), "policy must have 2"),
        (lambda f: simulate(f, 3, rng=RNG()), "policy must be a rule"),
        (lambda f: simulate(f, lambda N, t: N, rng=RNG()), "fractions must have shape"),
        (lambda f: simulate(f, lambda N, t: [0, 0], rng=RNG()), "policy must return shape"),
        (lambda f: simulate(f, EscapementTable(0.1, np.ones((200, 3))), rng=RNG()), "table"),
        (lambda f: simulate(f, ConstantMortality((0.1,) * 2), noise=SHORT),
         "noise must be of 200 periods and 3 species"),
        (lambda f: ConstantMortality((1.5,)), r"fractions\[0\] must be"),
        (lambda f: ConstantEscapement((-0.5,)), r"levels\[0\] must be"),
        (lambda f: EscapementTable(0.0, np.ones((1, 2))), "step must be"),
        (lambda f: EscapementTable(0.1, -np.ones((1, 2))), r"levels\[0, 0\]"),
        (lambda f: best_rule(ConstantMortality, f, points=1, rng=np.random.default_rng(0)), "points must be"),
        (lambda f: best_rule(ConstantMortality, f, most=2.0, rng=np.random.default_rng(0)), "most must be"),
        (lambda f: best_rule(ConstantEscapement, f, most=0.0, rng=np.random.default_rng(0)), "most must be"),
        (lambda f: best_rule(EscapementTable, f, rng=np.random.default_rng(0)), "family must be"),
        (lambda f: fishery_optimum(f), "fishery must have one species"),
        (lambda f: fishery_optimum(fishery(1, sigma=0.0)), "must be positive"),
        (lambda f: fishery_optimum(fishery(1), step=0.0), "step must be"),
        (lambda f: policy_value(fishery(1), lambda N, t: N), "policy must be one of the three"),
        (lambda f: policy_value(fishery(1), ConstantMortality((0.1, 0.1))), "policy must have 1"),
        (lambda f: policy_value(fishery(1), EscapementTable(0.1, np.ones((3, 2)))), "table of 200 periods"),
        (lambda f: fishery_env(f, T=3), "options"),
        (lambda f: fishery_env(1, clock=2), "clock must be"),
        (lambda f: fishery_env(1, render_mode="human"), "render_mode must be"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(fishery(3))
