"""Bad input: each check names the argument and the first bad entry; good input comes back as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eluder.core import checks

BAD_NUMBERS = [np.nan, np.inf, -np.inf, -0.5, -1e300]
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


@given(hnp.arrays(np.float64, shapes, elements=st.floats(-1e300, 1e300)))
def test_finite_returns_what_it_was_given(x):
    y = checks.finite("x", x, x.shape)
    np.testing.assert_array_equal(x, y)
    assert y.flags.c_contiguous
    assert y.dtype == np.float64


@given(st.data(), shapes, st.sampled_from([np.nan, np.inf, -np.inf]))
def test_finite_names_the_first_bad_entry(data, shape, bad):
    x = np.zeros(shape)
    places = data.draw(st.sets(st.integers(0, x.size - 1), min_size=1))
    x.flat[list(places)] = bad
    at = ", ".join(str(i) for i in np.unravel_index(min(places), shape))
    with pytest.raises(ValueError) as error:
        checks.finite("x", x, shape)
    assert str(error.value) == f"x[{at}] is {bad:g}, it must be finite"


@given(st.data(), shapes)
def test_distribution_names_the_first_bad_row(data, shape):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    p = rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
    np.testing.assert_array_equal(checks.distribution("p", p, shape), p)
    rows = data.draw(st.sets(st.integers(0, p[..., 0].size - 1), min_size=1))
    p.reshape(-1, shape[-1])[list(rows)] *= 0.75
    at = ", ".join(str(i) for i in np.unravel_index(min(rows), shape[:-1])) if len(shape) > 1 else ""
    name = f"p[{at}]" if at else "p"
    with pytest.raises(ValueError) as error:
        checks.distribution("p", p, shape)
    assert str(error.value) == f"{name} sums to 0.75, not 1"


@pytest.mark.parametrize("bad", BAD_NUMBERS)
def test_distribution_refuses_what_is_no_probability(bad):
    with pytest.raises(ValueError, match=r"p\[1, 0\] is .*, it must be in \[0, inf\]"):
        checks.distribution("p", [[0.5, 0.5], [bad, 1.0]], (None, None))


def test_distribution_forgives_rounding_only():
    checks.distribution("p", [1 / 3, 1 / 3, 1 / 3 + 1e-9], (3,))
    with pytest.raises(ValueError, match=r"p sums to 1\.0000001, not 1"):
        checks.distribution("p", [1 / 3, 1 / 3, 1 / 3 + 1e-7], (3,))


@pytest.mark.parametrize(
    ("x", "shape", "message"),
    [
        ([], (None,), r"x must have shape \(n >= 1\), got \(0,\)"),
        ([[1.0]], (None,), r"x must have shape \(n >= 1\), got \(1, 1\)"),
        (1.0, (None,), r"x must have shape \(n >= 1\), got \(\)"),
        (np.zeros((2, 3)), (2, 2), r"x must have shape \(2, 2\), got \(2, 3\)"),
        (np.zeros((2, 0)), (2, None), r"x must have shape \(2, n >= 1\), got \(2, 0\)"),
        ([[1.0], [1.0, 2.0]], (None, None), "x must be an array of real numbers"),
        (["one"], (None,), "x must be an array of real numbers"),
        ([1 + 2j], (None,), "x must be an array of real numbers"),
        (np.array([1 + 2j]), (None,), "x must be an array of real numbers"),
        ([10**400], (None,), "x must be an array of real numbers"),
        ([object()], (None,), "x must be an array of real numbers"),
        (None, (None,), r"x must have shape \(n >= 1\), got \(\)"),
        ({"a": 1}, (None,), "x must be an array of real numbers"),
    ],
)
def test_floats_refuses_by_message(x, shape, message):
    with pytest.raises(ValueError, match=message):
        checks.floats("x", x, shape)


@pytest.mark.parametrize("x", [3, 3.0, np.int32(3), np.uint8(3), np.float32(3), np.int64(3)])
def test_integer_accepts_whole_numbers(x):
    assert checks.integer("K", x) == 3
    assert type(checks.integer("K", x)) is int


@pytest.mark.parametrize(
    "x", [2.5, np.nan, np.inf, True, np.bool_(True), "3", None, [3], 3 + 0j, np.array([3])]
)
def test_integer_refuses_everything_else(x):
    with pytest.raises(ValueError, match="K must be an integer, got"):
        checks.integer("K", x)


@pytest.mark.parametrize("x", [2**63, 10**30, 1e300])
def test_integer_refuses_what_no_array_can_hold(x):
    with pytest.raises(ValueError, match="K must be less than 2\\*\\*63"):
        checks.integer("K", x)


def test_integer_bounds():
    with pytest.raises(ValueError, match="K must be at least 1, got 0"):
        checks.integer("K", 0)
    with pytest.raises(ValueError, match=r"h must be in \[0, 3\], got 4"):
        checks.integer("h", 4, 0, 3)
    assert checks.integer("h", 3, 0, 3) == 3


@given(st.floats(0, 1))
def test_number_returns_what_it_was_given(x):
    assert checks.number("x", x, 0, 1) == x


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf, -1e-12, 1 + 1e-12])
def test_number_refuses_what_is_outside(x):
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got"):
        checks.number("x", x, 0, 1)


@pytest.mark.parametrize("x", ["a", None, [1, 2], 1j, 10**400, {}])
def test_number_refuses_what_is_no_number(x):
    with pytest.raises(ValueError, match="x must be a real number, got"):
        checks.number("x", x)


def test_number_open_ends():
    with pytest.raises(ValueError, match=r"x must be in \(0, 1\], got 0"):
        checks.number("x", 0, 0, 1, open_low=True)
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\), got 1"):
        checks.number("x", 1, 0, 1, open_high=True)


def test_policy():
    mask = np.array([[True, False], [True, True]])
    np.testing.assert_array_equal(checks.policy("pi", [0, 1], (2,), mask), [0, 1])
    np.testing.assert_array_equal(checks.policy("pi", [[0, 1], [0, 0]], (2, 2), mask), [[0, 1], [0, 0]])
    for pi, message in [
        ([1, 1], r"pi\[0\] is 1, not an available action"),
        ([[0, 1], [0, 2]], r"pi\[1, 1\] is 2, not an available action"),
        ([0, -1], r"pi\[1\] is -1, not an available action"),
        ([0.0, 1.0], r"pi must hold integers \(actions\), got float64"),
        ([True, False], r"pi must hold integers \(actions\), got bool"),
        (np.array([2**63, 0], np.uint64), r"pi\[0\] is .*, not an available action"),
    ]:
        with pytest.raises(ValueError, match=message):
            checks.policy("pi", pi, np.shape(pi), mask)
    with pytest.raises(ValueError, match=r"pi must have shape \(2,\), got \(3,\)"):
        checks.policy("pi", [0, 1, 1], (2,), mask)


@pytest.mark.parametrize("rng", [None, 0, np.random, np.random.RandomState(0), np.random.SeedSequence(0)])
def test_generator_refuses_everything_else(rng):
    with pytest.raises(ValueError, match=r"rng must be a numpy\.random\.Generator"):
        checks.generator(rng)


def test_failure_probability_keeps_the_logarithms_finite():
    assert checks.failure_probability("delta", 1e-100) == 1e-100
    for bad in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"delta must be in \(0, 1\)"):
            checks.failure_probability("delta", bad)
    with pytest.raises(ValueError, match="delta must be at least 1e-100, got 1e-310"):
        checks.failure_probability("delta", 1e-310)
