"""Newsvendor and base stock with backlogging: enumeration, closed forms, quadrature, a published table."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from eluder.envs.inventory import (
    Categorical,
    Geometric,
    NewsvendorResult,
    Normal,
    Poisson,
    backlogged_optimum,
    critical_ratio,
    newsvendor,
    uniform_demand,
)
from eluder.envs.inventory import _lattice as lattice
from tests.envs.inventory import naive_classic as naive

# N(5, 1.6) clipped at 0, h = 1: costs for p = 4, 9, 19, 39 on a grid of .01
TABLE = {
    1: (3.1666, 3.9703, 4.6666, 5.2891),
    4: (5.0062, 6.2769, 7.3779, 8.3620),
    7: (6.3319, 7.9392, 9.3317, 10.5766),
    10: (7.4245, 9.3091, 10.9419, 12.4017),
    15: (8.9538, 11.2265, 13.1958, 14.9562),
    20: (10.2576, 12.8612, 15.1171, 17.1338),
}


@pytest.mark.parametrize("lead_time", TABLE)
def test_costs_of_the_table(lead_time):
    for penalty, cost in zip((4.0, 9.0, 19.0, 39.0), TABLE[lead_time], strict=True):
        best = backlogged_optimum(Normal(5.0, 1.6), lead_time=lead_time, penalty=penalty)
        assert best.cost == pytest.approx(cost, abs=1.1e-4)
        assert best.error < 1e-4


def test_levels_of_the_table():
    levels = [
        backlogged_optimum(Normal(5.0, 1.6), lead_time=4, penalty=p).level for p in (4.0, 9.0, 19.0, 39.0)
    ]
    np.testing.assert_allclose(levels, [28.01, 29.59, 30.88, 32.01], atol=0.006)


@pytest.mark.parametrize("seed", range(8))
def test_integer_laws_against_enumeration(seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(rng.integers(2, 6)))
    periods, h, b = int(rng.integers(1, 5)), rng.uniform(0.2, 2), rng.uniform(0.2, 9)
    costs = [naive.level_cost(p, periods, y, h, b) for y in range(periods * (len(p) - 1) + 1)]
    best = newsvendor(Categorical(tuple(p)), penalty=b, holding=h, periods=periods)
    assert best.level == np.argmin(costs)
    assert best == NewsvendorResult(best.level, pytest.approx(min(costs), rel=1e-12), 0.0)


@pytest.mark.parametrize(
    ("law", "truth"), [(Poisson(5.0), stats.poisson(35)), (Geometric(3.0), stats.nbinom(7, 0.25))]
)
def test_level_is_the_smallest_that_covers_the_critical_ratio(law, truth):
    best = backlogged_optimum(law, lead_time=6, penalty=9.0, holding=2.0)
    assert best.level == truth.ppf(9 / 11)
    k = np.arange(3000)
    y = best.level
    assert best.cost == pytest.approx(
        truth.pmf(k) @ (2 * np.maximum(y - k, 0) + 9 * np.maximum(k - y, 0)), rel=1e-11
    )


def test_of_two_best_levels_the_smaller():
    best = newsvendor(uniform_demand(0, 4), penalty=4.0)  # P(D <= 3) is the critical ratio
    assert best.level == 3
    assert best.cost == pytest.approx(2.0)
    assert critical_ratio(2.0, 6.0) == 0.75


def test_normal_closed_form():
    best = newsvendor(Normal(10.0, 3.0, clipped=False), penalty=4.0, holding=2.0, periods=4)
    z = stats.norm.ppf(4 / 6)
    assert best.level == pytest.approx(40 + 6 * z)
    assert best.cost == pytest.approx(6 * 6 * stats.norm.pdf(z))


@pytest.mark.parametrize(("penalty", "mean"), [(4.0, 1.0), (0.1, 1.0), (4.0, 0.0)])
def test_clipped_normal_of_one_period_by_quadrature(penalty, mean):
    best = newsvendor(Normal(mean, 2.0), penalty=penalty)

    def cost(S):
        at = lambda x: np.maximum(S - max(x, 0), 0) + penalty * np.maximum(max(x, 0) - S, 0)  # noqa: E731
        f = lambda x: at(x) * stats.norm.pdf(x, mean, 2.0)  # noqa: E731
        return integrate.quad(f, -30, 0)[0] + integrate.quad(f, 0, S)[0] + integrate.quad(f, S, 40)[0]

    assert best.cost == pytest.approx(cost(best.level), rel=1e-7)
    assert best.cost <= min(cost(best.level + 0.05), cost(abs(best.level - 0.05))) + 1e-9
    assert best.level >= 0


def test_the_grid_agrees_with_closed_forms_and_knows_its_error():
    # far from 0 clipping does nothing; the grid must find the closed form within its own error
    free = newsvendor(Normal(20.0, 2.0, clipped=False), penalty=9.0, periods=5)
    grid = newsvendor(Normal(20.0, 2.0), penalty=9.0, periods=5)
    assert abs(grid.cost - free.cost) < 1e-7 < grid.error < 1e-4
    assert grid.level == pytest.approx(free.level, abs=1e-4)


def test_clipped_normal_near_zero_against_simulation():
    law = Normal(1.0, 2.0)
    best = newsvendor(law, penalty=4.0, periods=3)
    x = law.sample(np.random.default_rng(0), (400_000, 3)).sum(axis=1)
    cost = np.maximum(best.level - x, 0) + 4 * np.maximum(x - best.level, 0)
    assert best.cost == pytest.approx(cost.mean(), abs=4 * cost.std() / np.sqrt(len(x)))
    assert best.level == pytest.approx(np.quantile(x, 0.8), abs=0.02)


def test_samples():
    x = np.random.default_rng(0).gamma(2.0, 3.0, 37)
    best = newsvendor(x, penalty=3.0, holding=0.5)
    costs = [np.mean(0.5 * np.maximum(y - x, 0) + 3 * np.maximum(x - y, 0)) for y in x]
    assert best.cost == pytest.approx(min(costs))
    assert best.level == x[int(np.argmin(costs))]


def test_cost_is_a_newsvendors_in_simulation():
    """Base stock with lead time 2: order what was demanded; costs after demand."""
    best = backlogged_optimum(Poisson(5.0), lead_time=2, penalty=9.0)
    rng = np.random.default_rng(1)
    stock, pipeline, costs = np.full(2000, best.level), np.zeros((2000, 1)), []
    for _ in range(120):
        order = best.level - stock - pipeline.sum(axis=1)
        d = rng.poisson(5.0, 2000)
        left = stock - d
        costs.append(np.mean(np.maximum(left, 0) + 9 * np.maximum(-left, 0)))
        stock, pipeline = left + pipeline[:, 0], order[:, None]
    assert np.mean(costs[20:]) == pytest.approx(best.cost, rel=0.01)


def test_sums_by_fft_are_direct_sums(monkeypatch):
    law = lattice.rounded(Normal(3.0, 2.0), 0.02)
    direct = lattice.total(law, 5)
    monkeypatch.setattr(lattice, "DIRECT", 1)
    fast = lattice.total(law, 5)
    np.testing.assert_allclose(np.interp(direct.points, fast.points, fast.p, 0, 0), direct.p, atol=1e-15)
    assert fast.mean == pytest.approx(5 * Normal(3.0, 2.0).expectation, abs=1e-3)
    assert abs(lattice.total(law, 0).mean) == 0
    np.testing.assert_allclose(
        lattice.total(lattice.integer_law(uniform_demand(1, 4)), 3).p,
        naive.sum_law([0, *[0.25] * 4], 3)[3:],
        atol=1e-15,
    )


def test_level_cost_is_the_sum_over_demands():
    law = lattice.Lattice(0.5, -2, np.array([0.1, 0.2, 0.3, 0.4]))
    for y, cost in zip(law.points, lattice.level_cost(law, 2.0, 5.0), strict=True):
        wanted = law.p @ (2 * np.maximum(y - law.points, 0) + 5 * np.maximum(law.points - y, 0))
        assert cost == pytest.approx(wanted)


def test_vertex_and_extrapolation_by_hand():
    assert lattice.vertex(np.array([9.0, 4.0, 1.0, 0.0, 1.0])) == (3.0, 0.0)
    i, low = lattice.vertex((np.arange(6) - 2.3) ** 2 + 1)
    assert (i, low) == (pytest.approx(2.3), pytest.approx(1.0))
    assert lattice.vertex(np.array([0.0, 1.0])) == (0.0, 0.0)
    assert lattice.extrapolate(1.04, 1.01) == (pytest.approx(1.0), pytest.approx(0.03))


@pytest.mark.parametrize("periods", [1, 3])
def test_cost_grows_with_penalty_and_with_periods(periods):
    laws = [Poisson(4.0), Normal(4.0, 2.0), Normal(4.0, 2.0, clipped=False)]
    for law, (low, high) in itertools.product(laws, itertools.pairwise([1.0, 4.0, 9.0])):
        a, b = (newsvendor(law, penalty=p, periods=periods) for p in (low, high))
        assert a.cost < b.cost < newsvendor(law, penalty=high, periods=periods + 1).cost
        assert a.level < b.level


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: newsvendor(Poisson(5.0), penalty=0.0), r"penalty must be in \(0, inf\)"),
        (lambda: newsvendor(Poisson(5.0), penalty=1.0, holding=-1.0), "holding must be in"),
        (lambda: newsvendor(Poisson(5.0), penalty=1.0, periods=0), "periods must be at least 1"),
        (lambda: newsvendor([1.0, np.nan], penalty=1.0), r"demand\[1\] is nan"),
        (lambda: newsvendor([1.0, 2.0], penalty=1.0, periods=2), "periods must be 1 for samples, got 2"),
        (lambda: newsvendor("much", penalty=1.0), "demand must"),
        (lambda: backlogged_optimum(Poisson(5.0), lead_time=-1, penalty=1.0), "lead_time must be at least 0"),
        (lambda: backlogged_optimum([1.0], lead_time=0, penalty=1.0), "demand must be a law on 0, 1, 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
