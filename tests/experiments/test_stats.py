"""Tests of experiments/stats.py: rliable's numbers, plain definitions, and coverage by simulation."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, trim_mean

from eluder.experiments.stats import (
    Interval,
    censored_quantile,
    clopper_pearson,
    iqm,
    loglog_slope,
    mean,
    mean_curve,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)


def rng(seed=1):
    return np.random.default_rng(seed)


def pattern(a, R=7, M=3):
    """Return scores (R, M) that anyone can write down again, for the numbers recorded from rliable."""
    return (np.arange(R * M, dtype=float).reshape(R, M) ** 2 * a % 97) / 50


X, Y = pattern(7), pattern(11)
TAU = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]


# --- rliable 1.2.0 on the same scores (recorded with pandas 2.3.3, arch 7.2.0) ---


def test_aggregates_equal_rliable():
    assert np.isclose(mean(X), 0.8419047619047619)
    assert np.isclose(iqm(X), 0.8090909090909091)
    assert np.isclose(iqm(Y), 0.7254545454545455)
    assert np.isclose(optimality_gap(X), 0.3304761904761905)
    assert np.isclose(optimality_gap(X, 1.5), 0.6838095238095238)
    assert np.isclose(probability_of_improvement(X, Y), 0.5612244897959183)
    assert np.isclose(probability_of_improvement(X, Y[:5]), 0.6047619047619047)
    profile = [20 / 21, 18 / 21, 13 / 21, 11 / 21, 9 / 21, 6 / 21, 4 / 21, 0, 0]
    assert np.allclose(performance_profile(X, TAU), profile)


@pytest.mark.parametrize(
    ("statistic", "samples", "low", "high"),
    [
        (mean, (X,), 0.64285714, 1.03428571),
        (iqm, (X,), 0.53272727, 1.10181818),
        (optimality_gap, (X,), 0.2, 0.46761905),
        (probability_of_improvement, (X, Y), 0.3877551, 0.73469388),
        (
            lambda x: performance_profile(x, TAU[1:5]),
            (X,),
            [0.71428571, 0.42857143, 0.33333333, 0.23809524],
            [1.0, 0.80952381, 0.71428571, 0.61904762],
        ),
    ],
    ids=["mean", "iqm", "gap", "improvement", "profile"],
)
def test_intervals_equal_rliable_up_to_resampling_noise(statistic, samples, low, high):
    got = stratified_bootstrap(statistic, *samples, num_resamples=20_000, rng=rng())
    assert np.allclose(got.low, low, atol=0.012)
    assert np.allclose(got.high, high, atol=0.012)


# --- definition: batched statistics against loops ---


def test_statistics_equal_loops_on_every_resample():
    x, y = rng(2).integers(0, 6, (4, 9, 3)) / 3, rng(3).integers(0, 6, (4, 5, 3)) / 3
    for b in range(4):
        assert np.isclose(iqm(x)[b], trim_mean(x[b], 0.25, axis=None))
        assert np.isclose(mean(x)[b], np.mean([x[b, :, m].mean() for m in range(3)]))
        assert np.isclose(optimality_gap(x, 0.7)[b], np.mean([max(0.7 - v, 0.0) for v in x[b].flat]))
        pairs = [(u > v) + 0.5 * (u == v) for m in range(3) for u in x[b, :, m] for v in y[b, :, m]]
        assert np.isclose(probability_of_improvement(x, y)[b], np.mean(pairs))
        assert np.isclose(performance_profile(x, [0.4, 1.0])[b, 1], np.mean([v > 1.0 for v in x[b].flat]))


def test_resampling_stays_within_problems():
    x = np.array([[0.0, 10.0, 20.0], [1.0, 11.0, 21.0]])
    seen = stratified_bootstrap(lambda z: z.min(axis=1) // 10, x, num_resamples=50, rng=rng())
    assert seen.low.tolist() == seen.high.tolist() == [0, 1, 2]


def test_a_bootstrap_in_pieces_has_all_its_resamples(monkeypatch):
    sizes = []

    def spy(x):
        sizes.append(len(x))
        return mean(x)

    monkeypatch.setattr("eluder.experiments.stats.CHUNK", 21 * 30)
    stratified_bootstrap(spy, X, num_resamples=100, rng=rng())
    assert sizes == [30, 30, 30, 10, 1]


def test_slope_is_least_squares_on_the_last_decade():
    k = np.unique(np.geomspace(1, 5000, 60).astype(int))
    curves = rng(4).uniform(0.5, 1.5, (6, 1)) * k ** rng(5).uniform(0.4, 0.9, (6, 1))
    tail = k >= 500
    expected = np.polyfit(np.log(k[tail]), np.log(curves.mean(axis=0)[tail]), 1)[0]
    assert np.isclose(loglog_slope(k, curves, rng=rng()).estimate, expected)
    early = k <= 50
    expected = np.polyfit(np.log(k[early]), np.log(curves.mean(axis=0)[early]), 1)[0]
    assert np.isclose(loglog_slope(k, curves, window=(1, 50), rng=rng()).estimate, expected)


def test_slope_of_curves_without_regret_is_nan():
    assert np.isnan(loglog_slope([1, 2, 4], np.zeros((3, 3)), rng=rng())).all()


def test_slope_interval_ignores_the_scale_of_runs():
    k = np.geomspace(10, 1000, 30)
    slope = loglog_slope(k, rng().uniform(1, 9, (8, 1)) * k**0.5, rng=rng())
    assert np.allclose(slope, 0.5)


def kaplan_meier(times, observed, q):
    """Least t with P(time <= t) >= q, by the table of deaths and runs at risk."""
    alive = 1.0
    for t in np.unique(times):
        at_risk, deaths = np.sum(times >= t), np.sum((times == t) & observed)
        alive *= 1 - deaths / at_risk
        if alive <= 1 - q + 1e-12:
            return t
    return np.inf


@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_censored_quantile_equals_kaplan_meier(seed, q):
    times, observed = rng(seed).integers(1, 6, 12).astype(float), rng(seed).random(12) < 0.6
    got = censored_quantile(times, observed, q, num_resamples=1, rng=rng())
    assert got.estimate == kaplan_meier(times, observed, q)


def test_censored_quantile_with_one_budget_is_the_empirical_one():
    times = np.minimum(rng(7).exponential(10, 41), 12.0)
    got = censored_quantile(times, times < 12, 0.5, rng=rng())
    assert got.estimate == np.median(times)
    assert got.low <= got.estimate <= got.high
    assert censored_quantile(times, times < 12, 0.95, rng=rng())[0] == np.inf


# --- theorem: coverage ---


def test_clopper_pearson_equals_scipy_and_covers():
    for count in range(13):
        expected = binomtest(count, 12).proportion_ci(0.9)
        assert np.allclose(clopper_pearson(count, 12, level=0.9)[1:], expected)
    for p in np.linspace(0.01, 0.99, 25):
        ends = [clopper_pearson(c, 12, level=0.9) for c in range(13)]
        covered = sum(binom.pmf(c, 12, p) for c in range(13) if ends[c].low <= p <= ends[c].high)
        assert covered >= 0.9


def test_bootstrap_interval_covers_the_mean():
    draw = rng(11)
    hits = 0
    for _ in range(400):
        x = draw.exponential(size=(20, 2)) + np.array([0.0, 5.0])
        got = stratified_bootstrap(mean, x, num_resamples=300, rng=draw)
        hits += got.low <= 3.5 <= got.high
    assert 0.90 <= hits / 400 <= 0.97


def test_slope_interval_covers_the_exponent():
    draw = rng(12)
    k = np.geomspace(10, 1000, 12)
    hits = 0
    for _ in range(300):
        noise = draw.normal(size=(20, 1)) * 0.3  # each run bends a little: slopes differ between runs
        got = loglog_slope(
            k, k**0.6 * (1 + noise * np.log(k / 100)), window=(10, 1000), num_resamples=300, rng=draw
        )
        hits += got.low <= 0.6 <= got.high
    assert 0.89 <= hits / 300 <= 0.98


def test_mean_curve_covers_each_point():
    draw = rng(13)
    inside = np.zeros(5)
    for _ in range(300):
        band = mean_curve(draw.normal(size=(25, 5)).cumsum(axis=1), num_resamples=300, rng=draw)
        inside += (band.low <= 0) & (band.high >= 0)
    assert (inside / 300 > 0.88).all()
    assert (inside / 300 < 0.985).all()


def test_constant_scores_have_a_point_interval():
    x = np.full((5, 2), 0.25)
    for statistic in (mean, iqm, optimality_gap):
        got = stratified_bootstrap(statistic, x, rng=rng())
        assert got.low == got.estimate == got.high
    assert np.allclose(mean_curve(np.full((4, 3), 7.0), rng=rng()), 7.0)
    assert stratified_bootstrap(probability_of_improvement, x, x, rng=rng()) == Interval(0.5, 0.5, 0.5)


def test_same_seed_same_interval():
    assert stratified_bootstrap(iqm, X, rng=rng(5)) == stratified_bootstrap(iqm, X, rng=rng(5))
    assert stratified_bootstrap(iqm, X, rng=rng(5)) != stratified_bootstrap(iqm, X, rng=rng(6))


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean([1.0, 2.0]), r"scores must have shape \(n >= 1, n >= 1\), got \(2,\)"),
        (lambda: iqm([[1.0, np.nan]]), r"scores\[0, 1\] is nan, it must be finite"),
        (lambda: optimality_gap([[1.0]], np.inf), "threshold must be"),
        (lambda: performance_profile([[1.0]], []), "tau must have shape"),
        (lambda: probability_of_improvement(X, Y[:, :2]), "x and y must have as many problems, got 3 and 2"),
        (lambda: stratified_bootstrap(mean, rng=rng()), "at least one sample"),
        (lambda: stratified_bootstrap(mean, X, X[0], rng=rng()), r"samples\[1\] must have shape"),
        (lambda: stratified_bootstrap(mean, X, level=1.0, rng=rng()), "level must be in"),
        (
            lambda: stratified_bootstrap(mean, X, num_resamples=0, rng=rng()),
            "num_resamples must be at least 1",
        ),
        (lambda: stratified_bootstrap(mean, X, rng=0), "rng must be a numpy.random.Generator"),
        (lambda: mean_curve([1.0], rng=rng()), "curves must have shape"),
        (lambda: loglog_slope([0, 1], [[1, 2]], rng=rng()), "k must be positive and increasing"),
        (lambda: loglog_slope([2, 1], [[1, 2]], rng=rng()), "k must be positive and increasing"),
        (lambda: loglog_slope([1, 2], [[1, 2, 3]], rng=rng()), r"regret must have shape \(n >= 1, 2\)"),
        (lambda: loglog_slope([1, 100], [[1, 2]], rng=rng()), r"window \[10, 100\] holds 1 checkpoints"),
        (lambda: clopper_pearson(3, 2), r"count must be in \[0, 2\], got 3"),
        (lambda: clopper_pearson(0, 0), "n must be at least 1"),
        (lambda: censored_quantile([1.0], [1], rng=rng()), "observed must be boolean of shape"),
        (lambda: censored_quantile([-1.0], [True], rng=rng()), r"times\[0\] is -1"),
        (lambda: censored_quantile([1.0], [True], 1.0, rng=rng()), "q must be in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_is_light():
    heavy = "{'scipy.stats', 'matplotlib', 'torch'}"
    code = f"import sys, eluder.experiments.stats; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
