"""Serial systems: the recursion's twin, a dynamic program over all policies, simulation, tables."""

import numpy as np
import pytest

from eluder.envs.inventory import (
    Categorical,
    Normal,
    Poisson,
    SerialResult,
    backlogged_optimum,
    clark_scarf,
    uniform_demand,
)
from eluder.envs.inventory._clark_scarf import expected_after
from eluder.envs.inventory._lattice import Lattice
from tests.envs.inventory import naive_serial as naive

# N(5, 2) clipped at 0; four locations, store's lead time 1 to 4, p = 4, 9, 19, 39; on a grid of .02
FOUR = {
    1: (6.8986, 8.3669, 9.6080, 10.7009),
    2: (7.5984, 9.2610, 10.6703, 11.9130),
    3: (8.2059, 10.0367, 11.5919, 12.9648),
    4: (8.7525, 10.7339, 12.4201, 13.9100),
}
# k locations, store's lead time 4, p = 9: those between store and top are drawn from the front
DEPTH = {3: 9.8688, 4: 10.7339, 5: 10.9865, 6: 11.7071, 7: 12.2890}


@pytest.mark.parametrize("lead_time", FOUR)
def test_costs_of_the_table(lead_time):
    for penalty, cost in zip((4.0, 9.0, 19.0, 39.0), FOUR[lead_time], strict=True):
        best = clark_scarf(
            Normal(5.0, 2.0), lead_times=[lead_time, 3, 4, 2], holding=[1.0, 0.5, 0.2, 0.1], penalty=penalty
        )
        assert isinstance(best, SerialResult)
        assert best.cost == pytest.approx(cost, abs=1.1e-4)
        assert best.error < 1e-4


@pytest.mark.parametrize("k", DEPTH)
def test_costs_by_depth(k):
    holding, lead_times = [0.1, 0.2, 0.25, 0.3, 0.4][: k - 2], [2, 4, 1, 3, 2][: k - 2]
    best = clark_scarf(
        Normal(5.0, 2.0), lead_times=[4, 3, *lead_times[::-1]], holding=[1, 0.5, *holding[::-1]], penalty=9
    )
    assert best.cost == pytest.approx(DEPTH[k], abs=1.1e-4)
    if k == 4:
        np.testing.assert_allclose(best.levels, [32.36, 49.00, 72.82, 83.18], atol=0.006)


@pytest.mark.parametrize("seed", range(6))
def test_recursion_is_its_twin(seed):
    rng = np.random.default_rng(seed)
    N = 1 + seed % 3
    p = rng.dirichlet(np.ones(rng.integers(2, 5)))
    lead_times = rng.integers(1, 4, N).tolist()
    holding = np.cumsum(rng.uniform(0.1, 1.0, N))[::-1]
    penalty = rng.uniform(0.5, 9.0)
    levels, cost = naive.clark_scarf(p, lead_times, holding, penalty, reach=12 * N)
    best = clark_scarf(Categorical(tuple(p)), lead_times=lead_times, holding=holding, penalty=penalty)
    assert best.levels.tolist() == levels
    assert best.cost == pytest.approx(cost, rel=1e-11)
    assert best.error == 0
    assert [len(y) for y in best.y] == [len(C) for C in best.C]
    assert best.C[-1].min() == best.cost


@pytest.mark.parametrize(
    ("p", "lead_time", "holding", "penalty", "sizes"),
    [
        ((0.3, 0.4, 0.3), 1, (1.0, 0.4), 4.0, {"low": -9, "high": 7, "stock": 6, "ship": 4}),
        ((0.5, 0.2, 0.3), 1, (2.0, 0.2), 9.0, {"low": -9, "high": 8, "stock": 7, "ship": 5}),
        ((0.6, 0.4), 2, (1.0, 0.5), 5.0, {"low": -7, "high": 5, "stock": 4, "ship": 3}),
    ],
)
def test_no_policy_is_better(p, lead_time, holding, penalty, sizes):
    low, high = naive.dynamic_program(p, lead_time, holding, penalty, **sizes)
    assert high - low < 1e-8
    best = clark_scarf(Categorical(p), lead_times=[lead_time, 1], holding=holding, penalty=penalty)
    assert low - 1e-9 <= best.cost <= high + 1e-9


@pytest.mark.parametrize("law", [Normal(5.0, 2.0), Normal(2.0, 2.0), Poisson(3.0)])
def test_simulated_levels_cost_as_much(law):
    problem = {"lead_times": [2, 3, 1], "holding": [1.0, 0.5, 0.2], "penalty": 9.0}
    best = clark_scarf(law, **problem)
    rng = np.random.default_rng(0)
    mean, error = naive.simulate(
        lambda n: law.sample(rng, (n,)), best.levels, **problem, chains=4000, periods=150, warm_up=50
    )
    assert error < 0.01 * mean
    assert mean == pytest.approx(best.cost, abs=4 * error)
    rng = np.random.default_rng(0)
    worse, _ = naive.simulate(
        lambda n: law.sample(rng, (n,)), best.levels + 3, **problem, chains=4000, periods=150, warm_up=50
    )
    assert worse > mean


@pytest.mark.parametrize(
    "law", [Poisson(5.0), Normal(5.0, 2.0), Normal(5.0, 4.0), Normal(5.0, 2.0, clipped=False)]
)
def test_one_stage_is_a_newsvendor(law):
    serial = clark_scarf(law, lead_times=[3], holding=[1.5], penalty=9)
    single = backlogged_optimum(law, lead_time=3, penalty=9, holding=1.5)
    assert serial.cost == pytest.approx(single.cost, abs=1e-7)
    assert serial.levels[0] == pytest.approx(single.level, abs=1e-3)


def test_the_error_covers_a_finer_grid():
    problem = {"lead_times": [2, 1, 3], "holding": [1, 0.6, 0.1], "penalty": 19.0}
    coarse = clark_scarf(Normal(1.0, 1.5), **problem, step=0.1)
    fine = clark_scarf(Normal(1.0, 1.5), **problem, step=0.01)
    assert abs(coarse.cost - fine.cost) < coarse.error / 20
    assert coarse.error == pytest.approx(100 * fine.error, rel=0.05)  # second order in the step


def test_constant_demand_costs_nothing():
    best = clark_scarf(uniform_demand(2, 2), lead_times=[1, 2], holding=[1, 0.5], penalty=3)
    assert best.levels.tolist() == [4, 8]
    assert best.cost == pytest.approx(0, abs=1e-12)


def test_costs_are_convex_and_end_in_lines():
    best = clark_scarf(Poisson(9.0), lead_times=[1, 2, 2], holding=[1, 0.5, 0.2], penalty=7)
    for C, above, own in zip(best.C, [0.5, 0.2, 0.0], [1, 0.5, 0.2], strict=True):
        slopes = np.diff(C)
        assert (np.diff(slopes) > -1e-10).all()
        assert slopes[0] == pytest.approx(-(7 + above), abs=1e-6)
        assert slopes[-1] == pytest.approx(own - above, abs=1e-6)


def test_expectation_by_hand():
    # C = 5, 2, 1, 4 at 0..3, slope -3 below; best at 2: F = ..., 8, 5, 2, 1, 1; D is 1 or 2
    D = Lattice(1.0, 1, np.array([0.5, 0.5]))
    got = expected_after(D, np.array([5.0, 2.0, 1.0, 4.0]), (2.0, 1.0), -3.0)
    np.testing.assert_allclose(got, [6.5, 3.5, 1.5, 1.0, 1.0])  # y = 1..5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lead_times": [0, 1]}, r"lead_times\[0\] is 0"),
        ({"lead_times": [1, 1.5]}, r"lead_times\[1\] must be an integer, got"),
        ({"lead_times": []}, "lead_times must have shape"),
        ({"holding": [1.0]}, r"holding must have shape \(2\)"),
        (
            {"holding": [0.5, 0.5]},
            r"holding\[0\] is 0.5, it must be above that of the supplier, holding\[1\] = 0.5",
        ),
        ({"holding": [0.5, 0.0]}, r"holding\[1\] is 0, it must be above 0"),
        ({"penalty": 0.0}, "penalty must be in"),
        ({"step": 0.1}, "step is for normal demand only"),
        ({"demand": Normal(5.0, 1.0), "step": 0.0}, "step must be in"),
        ({"demand": [1.0, 2.0]}, "demand must be a law on"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"demand": Poisson(2.0), "lead_times": [1, 1], "holding": [1.0, 0.5], "penalty": 1.0} | change
    with pytest.raises(ValueError, match=message):
        clark_scarf(given.pop("demand"), **given)
