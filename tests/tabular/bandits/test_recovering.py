"""Tests of recovering bandits: core/recovering.py, purely_periodic, recovering_ucb, and their instances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.guarantees import guarantees
from eluder.core.recovering import PeriodicPlan, RecoveringBandit, concave_envelope, relaxation
from eluder.envs import recovering_bandit, saturating_bandit
from eluder.tabular.bandits import purely_periodic, recovering_ucb
from eluder.tabular.bandits._purely_periodic import (
    admissible,
    mean_reward,
    offsets,
    plan_periods,
    reversed_bits,
    slots,
)
from eluder.tabular.bandits._recovering_ucb import radius, upper
from tests.tabular.bandits import naive_recovering as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def random_bandit(generator, most=10):
    A = int(generator.integers(1, 3 * most))
    m = int(generator.integers(1, min(A, most) + 1))
    return RecoveringBandit(np.sort(generator.random((A, int(generator.integers(1, 16)))), axis=1), m)


# --- the problem ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.5, 0.4]],), r"R\[0, 1\] is 0.4, less than R\[0, 0\]: arms recover"),
        (([[0.5, 1.4]],), r"R\[0, 1\] is 1.4, it must be in \[0, 1\]"),
        (([[np.nan]],), r"R\[0, 0\] is nan"),
        (([[0.5]], 2), r"m must be in \[1, 1\], got 2"),
        (([[0.5]], 1, "gaussian"), "law must be 'bernoulli' or 'fixed', got 'gaussian'"),
        (([0.5],), "R must have shape"),
    ],
)
def test_bad_problems_are_named(arguments, message):
    for make in (RecoveringBandit, recovering_bandit):
        with pytest.raises(ValueError, match=message):
            make(*arguments)


def test_saturating_bandit_recovers():
    bandit = saturating_bandit(6, 2, D=12, rng=rng())
    assert bandit.R.shape == (6, 12)
    assert (np.diff(bandit.R, axis=1) > 0).all()
    assert bandit._replace(law="fixed").law != bandit.law


# --- the relaxation ---


@pytest.mark.parametrize("seed", range(40))
def test_relaxation_equals_the_linear_program(seed):
    bandit = random_bandit(rng(seed))
    periods = np.arange(1, bandit.R.shape[1] + 1)
    value, partial, _ = relaxation(bandit.R, periods, bandit.m)
    assert value == pytest.approx(naive.relaxation(bandit.R, bandit.m), abs=1e-9)
    assert len(partial) <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_envelope_is_concave_and_above_its_points(rewards):
    reward, d = np.sort(rewards), np.arange(1, len(rewards) + 1)
    x, F, _ = concave_envelope(reward, d)
    assert (np.diff(x) > 0).all()
    slope = np.diff(F) / np.diff(x)
    assert (slope > 0).all()
    assert (np.diff(slope) < 1e-12).all()
    assert (np.interp(1 / d, x, F) >= reward / d - 1e-12).all()


# --- schedules ---


def test_equations_by_hand():
    assert admissible(1, 9).tolist() == [1, 2, 4, 8, 16]
    assert admissible(3, 9).tolist() == [1, 2, 3, 4, 5, 6, 8, 10]
    assert [reversed_bits(i, 8) for i in range(8)] == [0, 4, 2, 6, 1, 5, 3, 7]
    # odd part 1: 1/2 + 1/4 + 1/2 -> 2 slots; odd part 3: 1/3 + 1/6 -> 1 slot
    assert slots(np.array([2, 4, 2, 3, 6, 0])) == 3
    assert mean_reward(np.array([[0.2, 0.6], [0.5, 0.5], [1.0, 1.0]]), np.array([4, 1, 0])) == 0.6 / 4 + 0.5


@pytest.mark.parametrize("seed", range(60))
def test_plan_never_plays_more_than_m_arms(seed):
    bandit = random_bandit(rng(seed))
    plan = purely_periodic(bandit)
    assert isinstance(plan, PeriodicPlan)
    horizon = 4096
    table = naive.schedule(plan.period, plan.offset, horizon)
    assert table.sum(axis=1).max() <= slots(plan.period) <= bandit.m
    on = plan.period > 0
    assert (plan.offset[on] < plan.period[on]).all()
    assert plan.value == pytest.approx(mean_reward(bandit.R, plan.period))
    assert plan.value <= plan.upper + 1e-9


@given(st.lists(st.tuples(st.sampled_from([1, 3, 5]), st.integers(0, 4)), max_size=12))
def test_offsets_keep_to_the_slots(parts):
    period = np.array([q * 2**i for q, i in parts], np.int64)
    load = naive.schedule(period, offsets(period), 15 * 16 * 2).sum(axis=1)
    assert load.max(initial=0) <= slots(period)


@pytest.mark.parametrize("m", [1, 4, 9, 25])
def test_ratio_is_that_of_the_claim(m):
    """The loss is below (2 a0 - 1) / m + 1 / (1 + a0) at a0 = sqrt(m): 2/sqrt(m) and some."""
    for seed in range(8):
        plan = purely_periodic(saturating_bandit(3 * m, m, D=30, rng=rng(seed)))
        assert plan.value / plan.upper >= 1 - 1.0 / np.sqrt(m) * 0.5


@pytest.mark.parametrize("seed", range(6))
def test_plan_against_the_best_policy_of_all(seed):
    generator = rng(seed)
    A, m = (3, 1) if seed % 2 else (3, 2)
    R = np.sort(generator.random((A, 4)), axis=1)
    plan, best = purely_periodic(RecoveringBandit(R, m)), naive.optimum(R, m)
    assert plan.value <= best + 1e-6
    assert best <= plan.upper + 1e-6
    assert plan.value >= 0.75 * best


def test_planner_refuses_what_it_cannot_plan():
    bandit = RecoveringBandit([[0.1, 0.9]] * 3, 2)
    with pytest.raises(ValueError, match=r"largest must be in \[1, 2\]"):
        purely_periodic(bandit, largest=3)


# --- the learner ---


def test_radius_and_upper_by_hand():
    assert radius(np.array([2.0]), 100, 0.5)[0] == pytest.approx(1.072983, rel=1e-6)  # sqrt(ln 100) / 2
    U = upper(np.array([[90.0, 0.0, 10.0]]), np.array([[100.0, 0.0, 100.0]]), 100, 0.1)
    expected = 0.1 + 0.1 * np.sqrt(2 * np.log(100) / 100)
    np.testing.assert_allclose(U, [[expected, expected, expected]])


@pytest.mark.parametrize(("seed", "m"), [(0, 1), (1, 2), (2, 4)])
def test_learner_is_the_naive_one(seed, m):
    bandit = saturating_bandit(5, m, D=7, law="fixed", rng=rng(seed))
    a0 = round(np.sqrt(m))
    allowed = admissible(a0, 7)
    place = np.full(allowed[-1] + 1, -1)
    place[allowed] = np.arange(allowed.size)

    def plan(U):
        period = plan_periods(U, allowed, m, a0)
        return period, offsets(period)

    value, n = naive.learn(bandit.R, m, 300, 20, plan, place, 0.3)
    result = recovering_ucb(bandit, 300, phase=20, c=0.3, rng=rng())
    np.testing.assert_allclose(result.value, value[result.checkpoints - 1])
    np.testing.assert_allclose(
        result.regret, purely_periodic(bandit).value * result.checkpoints - result.value
    )
    assert n.sum() <= result.pulls.sum() <= 300 * m


@pytest.mark.slow
def test_regret_grows_as_declared():
    (exponent,) = {g.exponent for g in guarantees(recovering_ucb)}
    bandit = saturating_bandit(10, 2, rng=rng(1))
    budgets = 2 ** np.arange(12, 20, 2)
    runs = [[recovering_ucb(bandit, int(T), rng=rng(i)).regret[-1] for i in range(10)] for T in budgets]
    slope = np.polyfit(np.log(budgets), np.log(np.mean(runs, axis=1)), 1)[0]
    assert slope <= exponent + 0.15
