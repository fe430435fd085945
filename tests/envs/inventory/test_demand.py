"""Laws of demand: lists of probabilities against scipy, samples against moments, bad arguments."""

import numpy as np
import pytest
from scipy import stats

from eluder.envs.inventory import (
    Categorical,
    Demand,
    Geometric,
    IntegerDemand,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    Trace,
    uniform_demand,
)

INTEGERS = {
    "Poisson": (Poisson(5.0), stats.poisson(5.0)),
    "small Poisson": (Poisson(1e-3), stats.poisson(1e-3)),
    "large Poisson": (Poisson(900.0), stats.poisson(900.0)),
    "Geometric": (Geometric(5.0), stats.geom(1 / 6, loc=-1)),
    "NegativeBinomial": (NegativeBinomial(5.0, 4.0), stats.nbinom(25 / 11, 5 / 16)),
    "uniform": (uniform_demand(1, 4), stats.randint(1, 5)),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_probabilities_are_those_of_the_law(name):
    law, truth = INTEGERS[name]
    assert isinstance(law, IntegerDemand)
    p = law.pmf()
    k = np.arange(len(p))
    np.testing.assert_allclose(p, truth.pmf(k), rtol=1e-10, atol=1e-300)
    assert p.sum() == pytest.approx(1, abs=1e-14)
    assert truth.sf(k[-1]) <= 1e-15
    assert p @ k == pytest.approx(law.mean, rel=1e-10)


def test_a_larger_tail_leaves_out_as_much_and_not_more():
    p = Poisson(5.0).pmf(tail=1e-3)
    assert stats.poisson(5.0).sf(len(p) - 1) <= 1e-3 < stats.poisson(5.0).sf(len(p) - 2)
    assert p.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", INTEGERS)
def test_samples_have_the_moments_of_the_law(name):
    law, truth = INTEGERS[name]
    x = law.sample(np.random.default_rng(0), (4, 50_000))
    assert x.shape == (4, 50_000)
    assert x.dtype == np.float64
    assert (x == np.round(x)).all()
    assert x.mean() == pytest.approx(truth.mean(), abs=5 * truth.std() / np.sqrt(x.size))
    assert x.var() == pytest.approx(truth.var(), rel=0.2 if law.mean < 1 else 0.03)


def test_normal_demand_is_clipped_at_zero():
    law = Normal(1.0, 1.0)
    x = law.sample(np.random.default_rng(1), (200_000,))
    assert x.min() == 0
    assert x.mean() == pytest.approx(law.expectation, abs=0.01)
    assert law.expectation == pytest.approx(stats.norm.cdf(1) + stats.norm.pdf(1))
    free = Normal(1.0, 1.0, clipped=False)
    assert free.expectation == 1.0
    assert free.sample(np.random.default_rng(1), (99,)).min() < 0


@pytest.mark.parametrize("clipped", [True, False])
def test_the_grid_keeps_the_mean_and_the_distribution(clipped):
    law = Normal(1.0, 1.0, clipped)
    low, p = law.grid(0.01)
    x = low + 0.01 * np.arange(len(p))
    assert p.sum() == pytest.approx(1, abs=1e-14)
    assert p @ x == pytest.approx(law.expectation, abs=2e-5)
    assert p[x < 2 + 1e-9].sum() == pytest.approx(stats.norm.cdf(2.005, 1, 1), abs=1e-12)
    assert (x[0] == 0) == clipped
    if clipped:
        assert p[0] == pytest.approx(stats.norm.cdf(-0.995), abs=1e-15)


def test_joint_demand_has_its_covariance():
    law = MultivariateNormal([3.0, 5.0, 7.0], [1.0, 2.0, 0.5], 0.4, clipped=False)
    x = law.sample(np.random.default_rng(2), (100_000, 3))
    np.testing.assert_allclose(x.mean(axis=0), law.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), law.covariance, atol=0.04)
    assert law.covariance[0, 1] == pytest.approx(0.4 * 1.0 * 2.0)
    least = MultivariateNormal([0.0, 0.0], [1.0, 1.0], -1.0, clipped=False)
    y = least.sample(np.random.default_rng(3), (10, 2))
    np.testing.assert_allclose(y[:, 0], -y[:, 1], atol=1e-12)
    assert MultivariateNormal([0.0], [1.0], 0.0).sample(np.random.default_rng(0), (50, 1)).min() == 0


def test_a_trace_gives_windows_of_the_record():
    record = np.arange(20.0).reshape(10, 2)
    x = Trace(record).sample(np.random.default_rng(4), (500, 4, 2))
    assert x.shape == (500, 4, 2)
    assert set(x[:, 0, 0]) == set(record[:7, 0])
    np.testing.assert_array_equal(np.diff(x[:, :, 1], axis=1), 2.0)
    assert isinstance(Trace(record), Demand)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Poisson(0.0), r"mean must be in \(0, inf\), got 0.0"),
        (lambda: Poisson(float("nan")), "mean must be in"),
        (lambda: Geometric(-1.0), "mean must be in"),
        (lambda: NegativeBinomial(4.0, 2.0), r"sd must be in \(2, inf\)"),
        (lambda: Normal(1.0, 0.0), "sd must be in"),
        (lambda: Categorical((0.5, 0.4)), "probabilities sums to 0.9, not 1"),
        (lambda: Categorical((1.5, -0.5)), r"probabilities\[1\] is -0.5"),
        (lambda: uniform_demand(3, 2), "high must be"),
        (lambda: Poisson(1e9).pmf(), "needs more than 1,048,576 points"),
        (lambda: Poisson(5.0).pmf(tail=0.0), "tail must be in"),
        (lambda: Normal(5.0, 1.0).grid(1e-9), "step 1e-09 needs more than"),
        (lambda: MultivariateNormal([1.0], [0.0], 0.0), r"sd\[0\] is 0"),
        (lambda: MultivariateNormal([1.0, 1.0, 1.0], [1.0] * 3, -0.6), "correlation must be in"),
        (
            lambda: MultivariateNormal([1.0, 2.0], [1.0] * 2, 0.0).sample(np.random.default_rng(0), (3,)),
            "shape must end with 2",
        ),
        (lambda: Trace([[1.0], [-2.0]]), r"values\[1, 0\] is -2"),
        (lambda: Trace([[1.0]]).sample(np.random.default_rng(0), (2, 1)), r"shape must end with \(periods"),
        (lambda: Poisson(5.0).sample(0, (3,)), "rng must be a numpy.random.Generator"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
