"""Newsvendor bounds of serial systems: around the optimum, quantiles by hand, nearly as good levels."""

import numpy as np
import pytest
from scipy import stats

from eluder.envs.inventory import (
    Categorical,
    Geometric,
    NegativeBinomial,
    Normal,
    Poisson,
    SerialBounds,
    clark_scarf,
    shang_song,
)
from tests.envs.inventory import naive_serial as naive


@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_lies_between(seed):
    rng = np.random.default_rng(seed)
    N = 1 + seed % 4
    law = [Poisson(3.0), Geometric(2.0), NegativeBinomial(4.0, 3.0), Categorical((0.7, 0.1, 0.0, 0.2))][
        seed % 4
    ]
    if seed >= 8:
        law = Normal(5.0, 0.5 * (seed - 7), clipped=seed % 2 == 0)
    problem = {
        "lead_times": rng.integers(1, 5, N),
        "holding": np.cumsum(rng.uniform(0.05, 1.0, N))[::-1],
        "penalty": rng.uniform(1.0, 40.0),
    }
    bounds, best = shang_song(law, **problem), clark_scarf(law, **problem)
    assert isinstance(bounds, SerialBounds)
    slack = 1e-3 if isinstance(law, Normal) else 0.0
    assert (bounds.lower - slack <= best.levels).all()
    assert (best.levels <= bounds.upper + slack).all()
    assert (bounds.lower <= bounds.levels).all()
    assert (bounds.levels <= bounds.upper).all()
    assert bounds.cost_lower - 1e-9 <= best.cost <= bounds.cost_upper + 1e-9
    assert (
        bounds.lower[0] == bounds.upper[0] == pytest.approx(best.levels[0], abs=slack)
    )  # the store's is exact


def test_bounds_are_quantiles():
    bounds = shang_song(Poisson(5.0), lead_times=[2, 3, 1], holding=[1.0, 0.6, 0.2], penalty=9.0)
    total = [stats.poisson(5 * n) for n in (3, 6, 7)]
    assert bounds.lower.tolist() == [
        d.ppf(q) for d, q in zip(total, [9.6 / 10, 9.2 / 10, 9.0 / 10], strict=True)
    ]
    assert bounds.upper.tolist() == [
        d.ppf(q) for d, q in zip(total, [9.6 / 10, 9.2 / 9.6, 9.0 / 9.2], strict=True)
    ]
    assert bounds.levels.tolist() == np.floor((bounds.lower + bounds.upper) / 2).tolist()
    odd = shang_song(Poisson(5.0), lead_times=[2, 3], holding=[1.0, 0.7], penalty=9.0)
    assert (odd.lower[1], odd.levels[1], odd.upper[1]) == (37, 37, 38)


def test_normal_demand_by_hand():
    bounds = shang_song(Normal(5.0, 2.0, clipped=False), lead_times=[1, 2], holding=[1.0, 0.5], penalty=4.0)
    z = stats.norm.ppf([4.5 / 5, 4 / 5, 4 / 4.5])
    np.testing.assert_allclose(bounds.lower, [10 + np.sqrt(8) * z[0], 20 + 4 * z[1]])
    np.testing.assert_allclose(bounds.upper, [10 + np.sqrt(8) * z[0], 20 + 4 * z[2]])
    np.testing.assert_allclose(bounds.levels, (bounds.lower + bounds.upper) / 2)
    density = stats.norm.pdf(stats.norm.ppf([4 / 4.5, 4 / 5]))
    assert bounds.cost_lower == pytest.approx(4.5 * 4 * density[0])
    assert bounds.cost_upper == pytest.approx(5 * 4 * density[1])


def test_levels_cost_little_more_than_the_optimum():
    problem = {"lead_times": [4, 3, 4, 2], "holding": [1.0, 0.5, 0.2, 0.1], "penalty": 9.0}
    law, rng = Normal(5.0, 2.0), np.random.default_rng(0)
    cost, error = naive.simulate(
        lambda n: law.sample(rng, (n,)),
        shang_song(law, **problem).levels,
        **problem,
        chains=4000,
        periods=150,
        warm_up=50,
    )
    best = clark_scarf(law, **problem).cost
    assert best - 4 * error < cost < 1.02 * best + 4 * error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"demand": [1.0, 2.0]}, "demand must be a law"),
        ({"lead_times": [1, 0]}, r"lead_times\[1\] is 0"),
        ({"holding": [0.5, 1.0]}, r"holding\[0\] is 0.5, it must be above"),
        ({"penalty": -1.0}, "penalty must be in"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"demand": Poisson(2.0), "lead_times": [1, 1], "holding": [1.0, 0.5], "penalty": 1.0} | change
    with pytest.raises(ValueError, match=message):
        shang_song(given.pop("demand"), **given)
