"""The steps on the simplex against convex optimality, closed forms and root finding by SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import brentq

from eluder.core import simplex
from eluder.core.simplex import exponential_weights, log_barrier_step, mirror_step, tsallis_step

LOSSES = hnp.arrays(np.float64, st.integers(1, 9), elements=st.floats(-1e6, 1e6))
RATES = st.floats(1e-4, 10.0)
STARTS = st.sampled_from([0.0, 1e-3, 1.0, 1e3, 1e9])


def test_exponential_weights_by_hand():
    p = np.empty(3)
    exponential_weights(np.array([1.0, 2.0, 3.0]), np.log(2), p)
    np.testing.assert_allclose(p, [4 / 7, 2 / 7, 1 / 7], rtol=1e-14)


@pytest.mark.filterwarnings("ignore:overflow")
@given(hnp.arrays(np.float64, st.integers(1, 9), elements=st.floats(-1e300, 1e300)), RATES)
def test_exponential_weights_never_leave_the_simplex(loss, eta):
    p = np.empty(loss.size)
    exponential_weights(loss, eta, p)
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1)
    assert p[np.argmin(loss)] == p.max()


def tsallis_by_root(loss, eta):
    def p(x):
        return 4 / (eta * (loss - x)) ** 2

    low = loss.min()
    x = brentq(
        lambda x: p(x).sum() - 1, low - 2 * np.sqrt(loss.size) / eta - 1e-9, low - 1.999999 / eta, xtol=1e-13
    )
    return p(x)


def barrier_by_root(loss, eta):
    d = eta * (loss - loss.min())
    lam = brentq(lambda y: (1 / (y + d)).sum() - 1, 1 - 1e-9, loss.size + 1e-9, xtol=1e-13)
    return 1 / (lam + d)


STEPS = [(tsallis_step, tsallis_by_root), (log_barrier_step, barrier_by_root)]


@pytest.mark.parametrize(("step", "reference"), STEPS)
@pytest.mark.parametrize("seed", range(5))
def test_steps_agree_with_a_bracketed_root(step, reference, seed):
    rng = np.random.default_rng(seed)
    for A in (1, 2, 5, 30):
        loss, eta, p = rng.exponential(20, A) - 5, rng.exponential(0.3) + 0.01, np.empty(A)
        step(loss, eta, 0.0, p)
        np.testing.assert_allclose(p, reference(loss, eta), rtol=1e-6)
        assert p.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("step", [tsallis_step, log_barrier_step])
@given(loss=LOSSES, eta=RATES, start=STARTS)
def test_steps_from_any_start_satisfy_the_first_order_condition(step, loss, eta, start):
    """L + grad(regulariser) is the same number for all arms: the certificate of optimality on the simplex."""
    p = np.empty(loss.size)
    y = step(loss, eta, start, p)
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-12)
    power, scale = (-0.5, 2.0) if step is tsallis_step else (-1.0, 1.0)
    multiplier = loss - scale / eta * p**power
    # p is right up to a factor of 1e-9, which the largest losses amplify
    assert np.ptp(multiplier) <= 1e-6 * (1 + np.abs(multiplier).max()) + 1e-9 * np.ptp(loss)
    np.testing.assert_allclose(loss.min() - y, multiplier, rtol=1e-6, atol=1e-6 * (1 + np.abs(loss).max()))


def test_steps_by_hand():
    p = np.empty(2)
    # eta = 2, x = -1.25: 4 / (2 * 1.25)^2 = 0.64, and 4 / (2 (d + 1.25))^2 = 0.36 for d = 5 / 3 - 5 / 4
    assert tsallis_step(np.array([0.0, 5 / 12]), 2.0, 0.0, p) == pytest.approx(1.25)
    np.testing.assert_allclose(p, [0.64, 0.36], atol=1e-9)
    # eta = 1: 1 / 1.25 = 0.8 and 1 / 5 = 0.2
    assert log_barrier_step(np.array([7.0, 10.75]), 1.0, 0.0, p) == pytest.approx(1.25)
    np.testing.assert_allclose(p, [0.8, 0.2], atol=1e-9)


@pytest.mark.parametrize("step", [tsallis_step, log_barrier_step])
def test_extreme_losses_stay_finite(step):
    p = np.empty(3)
    step(np.array([0.0, 1e300, 1e-300]), 1e-3, 0.0, p)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p, [0.5, 0.0, 0.5], atol=1e-12)


# --- mirror descent ---


def kl(x, y):
    return np.sum(x * np.log(x / y))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("eta", "tau"), [(0.7, 0.0), (0.7, 0.4), (np.inf, 0.4)])
def test_mirror_step_maximises_its_objective(seed, eta, tau):
    rng = np.random.default_rng(seed)
    p, ref = rng.dirichlet(np.ones((2, 5)).ravel())[:5] + 0.01, rng.dirichlet(np.ones(5)) + 0.01
    p, ref, gain = p / p.sum(), ref / ref.sum(), rng.normal(size=5)

    def objective(x):
        return x @ gain - tau * kl(x, ref) - kl(x, p) / eta

    out = np.empty(5)
    mirror_step(np.log(p), gain, eta, tau, np.log(ref), out)
    best = np.exp(out)
    assert best.sum() == pytest.approx(1)
    for _ in range(200):
        other = rng.dirichlet(np.full(5, 2.0))
        for weight in (1.0, 1e-3):
            assert objective(best) >= objective((1 - weight) * best + weight * other) - 1e-12


def test_mirror_step_keeps_zeros_and_writes_in_place():
    log_p = np.array([0.0, -np.inf])
    mirror_step(log_p, np.array([0.0, 100.0]), 1.0, 0.0, log_p, log_p)
    assert log_p.tolist() == [0.0, -np.inf]


def test_a_thousand_mirror_steps_are_exponential_weights():
    rng = np.random.default_rng(0)
    losses = rng.random((1000, 4))
    log_p, p = np.log(np.full(4, 0.25)), np.empty(4)
    for loss in losses:
        mirror_step(log_p, -loss, 0.3, 0.0, log_p, log_p)
    exponential_weights(losses.sum(axis=0), 0.3, p)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-9)


@pytest.mark.parametrize("A", range(1, 10))
def test_sums_in_four_parts(A):
    z = np.random.default_rng(A).random(A)
    squares = z.copy()
    np.testing.assert_allclose(simplex._sums(z), (z.sum(), (z**2).sum()), rtol=1e-14)
    np.testing.assert_allclose(simplex._square_and_sum(squares), ((z**2).sum(), (z**3).sum()), rtol=1e-14)
    np.testing.assert_array_equal(squares, z * z)
