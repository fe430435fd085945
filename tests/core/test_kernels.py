"""The draws that all kernels share."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eluder.core.kernels import dot, sample


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_sample_is_the_inverse_of_the_distribution_function(seed, n):
    """One uniform number each; the index is the first whose cumulated probability exceeds it."""
    p = np.random.default_rng(seed).dirichlet(np.full(n, 0.3))
    rng, twin = np.random.default_rng(seed), np.random.default_rng(seed)
    for u in twin.random(50):
        assert sample(p, rng) == min(np.searchsorted(np.cumsum(p), u, side="right"), np.flatnonzero(p)[-1])


@given(hnp.arrays(np.float64, st.integers(1, 8), elements=st.sampled_from([0.0, 1.0])), st.integers(0, 100))
def test_sample_never_draws_what_has_no_probability(weights, seed):
    if weights.sum() == 0:
        weights[-1] = 1
    p = weights / weights.sum()
    rng = np.random.default_rng(seed)
    assert all(p[sample(p, rng)] > 0 for _ in range(50))


def test_sample_when_rounding_leaves_a_rest():
    """Where the sum stays below the uniform number, the last index that has a probability is drawn."""
    p = np.array([0.0, 1e-300, 0.0])
    assert all(sample(p, np.random.default_rng(i)) == 1 for i in range(20))


def test_sample_has_the_law():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    rng = np.random.default_rng(0)
    n = 40_000
    frequency = np.bincount([sample(p, rng) for _ in range(n)], minlength=4) / n
    assert (np.abs(frequency - p) <= 4.5 * np.sqrt(p * (1 - p) / n)).all()


def test_compiled_equals_python():
    p = np.array([0.2, 0.5, 0.3])
    python = getattr(sample, "py_func", sample)
    a, b = np.random.default_rng(3), np.random.default_rng(3)
    assert [sample(p, a) for _ in range(200)] == [python(p, b) for _ in range(200)]


def test_kernels_release_the_gil_and_have_no_fastmath():
    options = getattr(sample, "targetoptions", None)
    if options is None:
        pytest.skip("compilation is switched off")
    assert options.get("nogil") is True
    assert not options.get("fastmath")
    assert not options.get("parallel")


@given(st.integers(0, 10**6), st.integers(0, 100))
def test_dot_is_the_inner_product(seed, n):
    """Up to rounding, |error| <= n eps sum |x y|, whatever the order of the sum."""
    x, y = np.random.default_rng(seed).normal(size=(2, n)) * 1e3
    exact = math.fsum(a * b for a, b in zip(x.tolist(), y.tolist(), strict=True))
    assert abs(dot(x, y) - exact) <= (n + 1) * np.finfo(float).eps * np.abs(x * y).sum()


def test_dot_keeps_infinity_and_nan():
    assert dot(np.array([1.0, np.inf]), np.ones(2)) == np.inf
    assert np.isnan(dot(np.array([np.inf, -np.inf, np.nan]), np.array([1.0, 1.0, 1.0])))
