"""Functions of float32 in vector code against float64, over their whole range and at its ends."""

import numpy as np
import pytest

from eluder.deep.common import cpu_math
from eluder.deep.common.cpu_math import contracted, exp, log, log_two_cosh, tanh_of, turn


@contracted
def every(x, u, e, ln, t, c, cosine, sine):
    for i in range(x.size):
        e[i], ln[i] = exp(x[i]), log(u[i])
        small = exp(-cpu_math.TWO * abs(x[i]))
        t[i], c[i] = tanh_of(x[i], small), log_two_cosh(x[i], small)
        cosine[i], sine[i] = turn(u[i])


def values(x, u):
    out = np.empty((6, len(x)), np.float32)
    every(x, u, *out)
    return out


def test_they_are_within_what_they_promise():
    n = 300_001
    x = np.linspace(-87, 88, n).astype(np.float32)
    u = np.concatenate([np.linspace(2.0**-25, 1 - 2.0**-24, n - 1000), np.geomspace(1e-37, 1, 1000)])
    e, logarithm, _, _, cosine, sine = values(x, u.astype(np.float32))
    wide, turns = x.astype(float), u.astype(np.float32).astype(float)
    assert np.abs(e / np.exp(wide) - 1).max() < 3e-7
    known = turns < 1
    assert np.abs(logarithm[known] / np.log(turns[known]) - 1).max() < 3e-7
    assert np.abs(cosine - np.cos(2 * np.pi * turns)).max() < 2e-7
    assert np.abs(sine - np.sin(2 * np.pi * turns)).max() < 2e-7
    x = np.concatenate([np.linspace(-12, 12, n - 1000), np.geomspace(1e-8, 1e4, 1000)]).astype(np.float32)
    _, _, t, c, _, _ = values(x, u.astype(np.float32))
    wide = x.astype(float)
    assert np.abs(t - np.tanh(wide)).max() < 2e-7
    assert np.abs(c / np.logaddexp(wide, -wide) - 1).max() < 2e-7


def test_beyond_the_range_and_what_is_no_number():
    x = np.array([-np.inf, -1e30, 1e30, np.inf, np.nan], np.float32)
    e, _, t, c, _, _ = values(x, np.ones(5, np.float32))
    np.testing.assert_allclose(e[:4], np.exp([-87, -87, 88, 88]), rtol=3e-7)
    np.testing.assert_array_equal(t[:4], [-1, -1, 1, 1])
    np.testing.assert_array_equal(c[1:3], np.float32(1e30))
    assert np.isnan([e[4], t[4], c[4]]).all()


@pytest.mark.parametrize("function", ["exp", "log", "turn"])
def test_python_gives_the_compiled_numbers(function):
    compiled = getattr(cpu_math, function)
    x = np.linspace(0.01, 0.99, 50).astype(np.float32)
    for y in x:
        np.testing.assert_allclose(
            compiled(y), getattr(compiled, "py_func", compiled)(y), rtol=3e-7, atol=1e-7
        )
