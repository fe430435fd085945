"""Worst cases over divergence balls and their penalised forms: convex programs, certificates, limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from eluder.core.divergence_kernels import DIVERGENCES, ball, penalty
from eluder.core.divergences import WorstCase, divergence_of, penalised, worst_case
from eluder.core.robust_duals import (
    chi2_ball_dual,
    chi2_ball_estimate,
    chi2_penalty_dual,
    kl_ball_dual,
    kl_penalty_dual,
    tv_ball_dual,
    tv_penalty_dual,
)

KINDS = list(DIVERGENCES)


def case(seed, S=6, atoms=True):
    """A distribution, with a state of probability 0 and one of equal values, and values of any sign."""
    rng = np.random.default_rng(seed)
    p, V = rng.dirichlet(np.full(S, 0.7)), rng.normal(size=S) * 2
    if atoms:
        p[seed % S] = 0.0
        p /= p.sum()
        V[1] = V[0]
    return p, V


def program(p, V, divergence, rho=None, lam=None):
    """The same by cvxpy, written from the definitions."""
    cvxpy = pytest.importorskip("cvxpy")
    q = cvxpy.Variable(p.size, nonneg=True)
    on = np.flatnonzero(p > 0)
    if divergence == "tv":
        D, limits = cvxpy.norm1(q - p) / 2, []
    else:
        limits = [q[i] == 0 for i in np.flatnonzero(p == 0)]
        if divergence == "kl":
            D = cvxpy.sum(cvxpy.rel_entr(q[on], p[on]))
        else:
            D = cvxpy.sum_squares(cvxpy.multiply(q[on] - p[on], 1 / np.sqrt(p[on])))
    cost, limits = q @ V, [*limits, cvxpy.sum(q) == 1]
    if rho is None:
        cost = cost + lam * D
    else:
        limits.append(rho >= D)
    return cvxpy.Problem(cvxpy.Minimize(cost), limits).solve(solver="CLARABEL")


@pytest.mark.parametrize("divergence", KINDS)
@pytest.mark.parametrize("rho", [0.02, 0.3, 0.8])
def test_ball_by_convex_programming(divergence, rho):
    for seed in range(8):
        p, V = case(seed)
        found = worst_case(p, V, rho, divergence)
        assert found.value == pytest.approx(program(p, V, divergence, rho=rho), abs=2e-6)


@pytest.mark.parametrize("divergence", KINDS)
@pytest.mark.parametrize("lam", [0.1, 0.7, 3.0])
def test_penalty_by_convex_programming(divergence, lam):
    for seed in range(8):
        p, V = case(seed)
        found = penalised(p, V, lam, divergence)
        assert found.value == pytest.approx(program(p, V, divergence, lam=lam), abs=2e-6)


weights = st.lists(st.sampled_from([0.0, 1e-9, 0.01, 0.2, 0.5, 1.0]), min_size=1, max_size=7)


@settings(max_examples=150, deadline=None)
@given(
    weights.filter(any),
    st.data(),
    st.sampled_from([0.0, 1e-8, 1e-3, 0.1, 0.5, 1.0, 4.0, 1e6]),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_certificates(w, data, amount, divergence, within):
    """Primal feasibility, the value of the primal, and a dual bound that meets it: no solver is needed."""
    p = np.array(w) / sum(w)
    numbers = st.one_of(st.sampled_from([-3.0, 0.0, 1.0, 2.5]), st.floats(-10, 10))
    V = np.array(data.draw(st.lists(numbers, min_size=p.size, max_size=p.size)))
    found = worst_case(p, V, amount, divergence, within_support=within)
    assert found.q.sum() == pytest.approx(1, abs=1e-9)
    assert (found.q >= 0).all()
    assert divergence_of(found.q, p, divergence) <= amount * (1 + 1e-6) + 1e-12
    assert found.value == pytest.approx(found.q @ V, abs=1e-9)
    assert 0 <= found.gap <= 2e-6 * (1 + np.ptp(V))
    if within or divergence != "tv":
        assert (found.q[p == 0] == 0).all()

    found = penalised(p, V, amount, divergence, within_support=within)
    assert found.q.sum() == pytest.approx(1, abs=1e-9)
    cost = amount * divergence_of(found.q, p, divergence) if amount else 0.0
    assert found.value == pytest.approx(found.q @ V + cost, abs=1e-7 * (1 + amount))
    assert 0 <= found.gap <= 1e-6 * (1 + np.ptp(V)) + 1e-9 * amount


@pytest.mark.parametrize("divergence", KINDS)
def test_extreme_penalties_lose_no_digits(divergence):
    """Weights next to nothing leave the least value; vast ones the mean less variance over weight."""
    for seed in range(5):
        p, V = case(seed)
        low, mean = V.min() if divergence == "tv" else V[p > 0].min(), p @ V
        for lam in (5e-324, 1e-300, 1e-30):
            found = penalised(p, V, lam, divergence)
            assert found.value == pytest.approx(low, abs=1e-12)
            assert found.q.sum() == pytest.approx(1)
        for lam in (1e7, 1e10, 1e15, 1e299, 1e300, 1e308):
            found = penalised(p, V, lam, divergence)
            less = {"tv": 0.0, "kl": 2.0, "chi2": 4.0}[divergence]
            taken = (p @ V**2 - mean**2) / less / lam if less else 0.0
            assert found.value == pytest.approx(mean - taken, abs=1e-13)
            np.testing.assert_allclose(found.q, p, atol=1e-5)
        flat = penalised(p, np.full(p.size, 2.0), 5e-324, divergence)
        assert flat.value == pytest.approx(2.0)
        assert flat.gap < 1e-12


@pytest.mark.parametrize("divergence", KINDS)
def test_limits(divergence):
    p, V = case(3)
    support = p > 0
    reach = V if divergence == "tv" else V[support]
    assert worst_case(p, V, 0.0, divergence).value == pytest.approx(p @ V)
    assert worst_case(p, V, 1e9, divergence).value == pytest.approx(reach.min())
    assert worst_case(p, V, 1e9, divergence, within_support=True).value == pytest.approx(V[support].min())
    assert penalised(p, V, 0.0, divergence).value == pytest.approx(reach.min())
    assert penalised(p, V, 1e-12, divergence).value == pytest.approx(reach.min(), abs=1e-9)
    assert penalised(p, V, math.inf, divergence).value == pytest.approx(p @ V)
    assert penalised(p, V, 1e9, divergence).value == pytest.approx(p @ V, abs=1e-6)
    for found in (
        worst_case(p, np.full(6, 2.5), 0.3, divergence),
        penalised(p, V * 0 + 2.5, 0.3, divergence),
    ):
        assert found.value == pytest.approx(2.5)
        assert found.gap < 1e-12
    radii = [0.0, 0.01, 0.1, 0.5, 1.0, 3.0]
    values = [worst_case(p, V, rho, divergence).value for rho in radii]
    assert (np.diff(values) <= 1e-12).all()


@pytest.mark.parametrize("divergence", KINDS)
def test_ball_is_the_best_penalty_less_its_price(divergence):
    """Lagrange: min over the ball = max over lam of penalised - lam rho."""
    for seed in range(5):
        p, V = case(seed, atoms=False)

        def price(x, p=p, V=V):
            return 0.2 * math.exp(x) - penalised(p, V, math.exp(x), divergence).value

        best = min(
            minimize_scalar(price, bounds=(k - 0.5, k + 0.5), method="bounded").fun for k in range(-6, 5)
        )
        assert -best == pytest.approx(worst_case(p, V, 0.2, divergence).value, abs=2e-5)


def test_hand_values():
    half, V = [0.5, 0.5], [0.0, 1.0]
    assert worst_case(half, V, 0.25).value == 0.25
    assert worst_case(half, V, 0.25, "chi2").value == pytest.approx(0.25)  # q = (3/4, 1/4)
    q = 0.25
    rho = q * math.log(q / 0.5) + (1 - q) * math.log((1 - q) / 0.5)
    assert worst_case(half, V, rho, "kl").value == pytest.approx(q)
    assert penalised(half, V, 0.3).value == pytest.approx(0.15)
    assert penalised(half, V, 2.0, "kl").value == pytest.approx(-2 * math.log((1 + math.exp(-0.5)) / 2))
    assert penalised(half, V, 1.0, "chi2").value == pytest.approx(0.5 - 0.25 / 4)
    assert divergence_of([0.75, 0.25], half) == 0.25
    assert divergence_of([0.75, 0.25], half, "chi2") == 0.25
    assert divergence_of([0.0, 1.0], [1.0, 0.0], "kl") == math.inf
    # the state of probability 0 is in reach of TV only
    assert worst_case([1.0, 0.0], [1.0, 0.0], 0.4).value == pytest.approx(0.6)
    assert worst_case([1.0, 0.0], [1.0, 0.0], 0.4, within_support=True).value == 1.0
    assert worst_case([1.0, 0.0], [1.0, 0.0], 0.4, "chi2").value == 1.0
    assert isinstance(worst_case(half, V, 0.1), WorstCase)


# --- duals, for weights of any sign ---


def signed(seed, S=6, top=3.0):
    rng = np.random.default_rng(seed)
    m = rng.dirichlet(np.ones(S)) + 0.15 * rng.normal(size=S)
    return m, rng.uniform(0, top, S)


def test_duals_of_distributions_are_the_worst_cases():
    for seed in range(20):
        p, V = case(seed)
        V -= V.min()
        order, top, rho, lam = np.argsort(V), V.max() + 0.5, 0.2, 0.6
        assert tv_ball_dual(p, V, order, rho, 0.0) == pytest.approx(worst_case(p, V, rho).value)
        assert kl_ball_dual(p, V, rho, top) == pytest.approx(worst_case(p, V, rho, "kl").value, abs=1e-9)
        assert tv_penalty_dual(p, V, lam, 0.0) == pytest.approx(penalised(p, V, lam).value)
        assert kl_penalty_dual(p, V, lam, top) == pytest.approx(penalised(p, V, lam, "kl").value)
        assert chi2_penalty_dual(p, V, order, lam, top) == pytest.approx(penalised(p, V, lam, "chi2").value)
        bounds = [chi2_ball_dual(p, V, rho, a) for a in np.linspace(0, 3 * top, 3001)]
        assert max(bounds) == pytest.approx(worst_case(p, V, rho, "chi2").value, abs=1e-5)


def test_chi_square_ball_of_an_estimate_is_exact_for_a_distribution():
    for seed in range(60):
        p, V = case(seed)
        order = np.argsort(V)
        for rho in (0.0, 0.01, 0.3, 2.0, 1e6):
            exact = worst_case(p, V, rho, "chi2").value
            rounding = 1e-6 + 3e-8 * math.sqrt(rho)
            assert chi2_ball_estimate(p, V, order, rho) == pytest.approx(exact, abs=rounding)


def test_chi_square_ball_of_an_estimate_by_a_fine_grid():
    """Weights of any sign: no grid finds more, and one around the best point as much."""
    for seed in range(60):
        m, V = signed(seed)
        rho = (0.05, 0.3, 1.5)[seed % 3]
        low, mean = V.min(), m @ (V - V.min())
        a = np.append(np.linspace(0, V.max() - low, 200_001), V - low)
        x, y = np.zeros(a.size), np.zeros(a.size)
        for weight, v in zip(m, V - low, strict=True):
            x, y = x + weight * np.minimum(v, a), y + weight * np.minimum(v, a) ** 2
        best = (x - np.sqrt(rho * np.maximum(y - x**2, 0))).max()
        expected = low + min(best, max(mean, 0.0))
        estimate = chi2_ball_estimate(m, V, np.argsort(V), rho)
        assert expected - 1e-9 <= estimate <= expected + 1e-2
        assert estimate == pytest.approx(expected, abs=1e-4) or best < mean
        assert chi2_ball_estimate(m, V + 3.0, np.argsort(V), rho) == pytest.approx(estimate + 3.0, abs=1e-6)
    assert chi2_ball_estimate(np.array([1.0]), np.array([2.0]), np.array([0]), 1e308) == 2.0


def test_duals_of_weights_of_any_sign_by_a_fine_grid():
    for seed in range(30):
        m, V = signed(seed)
        order, rho, lam, top = np.argsort(V), 0.2, 0.3, 3.0
        a = np.append(np.linspace(V.min(), V.max(), 20_001), V)
        cut = np.minimum(V, a[:, None])
        tv = (cut @ m - rho * (a - V.min())).max()
        assert tv_ball_dual(m, V, order, rho, V.min()) == pytest.approx(max(tv, m.sum() * V.min()), abs=1e-9)
        x, y = np.clip(cut @ m, 0, top), np.clip(cut**2 @ m, 0, top**2)
        chi2 = (x + x**2 / (4 * lam) - y / (4 * lam)).max()
        assert chi2_penalty_dual(m, V, order, lam, top) == pytest.approx(chi2, abs=1e-3)
        assert chi2_penalty_dual(m, V, order, lam, top) >= chi2 - 1e-12
        z = max(m @ np.exp(-V / lam), math.exp(-top / lam))
        assert kl_penalty_dual(m, V, lam, top) == pytest.approx(-lam * math.log(z))
        low = V.min()
        t = np.exp(np.linspace(math.log((top - low) / rho), math.log((top - low) / rho) - 30, 40_001))
        z = 1 + np.expm1((low - V) / t[:, None]) @ m
        y = np.where(z > 0, np.minimum(low - t * np.log(np.maximum(z, 1e-300)), top), top) - t * rho
        falls = np.flatnonzero((np.diff(y) < 0) & (y[:-1] > low))  # past the first maximum from above
        kl = y[: falls[0] + 1].max() if falls.size else y.max()
        mean = low + m @ (V - low)
        assert kl_ball_dual(m, V, rho, top) == pytest.approx(max(min(kl, mean), low), abs=1e-4)


def test_moments_that_are_cut_have_their_breakpoints():
    """Weights of any sign and size: no point of a fine grid is above the maximum, and one is near it."""
    for seed in range(400):
        rng = np.random.default_rng(seed)
        m, V, top, lam = rng.normal(size=4), rng.uniform(0, 1, 4), 1.0, 10 ** rng.uniform(-2, 1)
        a = np.linspace(V.min(), V.max(), 4001)
        cut = np.minimum(V, a[:, None])
        x, y = np.clip(cut @ m, 0, top), np.clip(cut**2 @ m, 0, top**2)
        best, found = (x + (x**2 - y) / (4 * lam)).max(), chi2_penalty_dual(m, V, np.argsort(V), lam, top)
        assert best - 1e-12 <= found <= best + 2e-3 * (1 + 1 / lam)


def test_kernels_write_the_worst_distribution():
    p, V = case(2)
    order, q = np.argsort(V), np.empty(6)
    for kind, divergence in enumerate(KINDS):
        assert ball(p, V, order, 0.2, kind, False, q)[0] == worst_case(p, V, 0.2, divergence).value
        np.testing.assert_array_equal(q, worst_case(p, V, 0.2, divergence).q)
        assert penalty(p, V, order, 0.2, kind, False, q) == penalised(p, V, 0.2, divergence).value
        np.testing.assert_array_equal(q, penalised(p, V, 0.2, divergence).q)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4), st.floats(), st.sampled_from(KINDS)
)
def test_bad_input_is_refused_or_answered(p, amount, divergence):
    for f in (worst_case, penalised):
        message = ""
        try:
            assert f(p, np.zeros(len(p)), amount, divergence).value == 0.0
        except ValueError as error:
            message = str(error)
        assert not message or message.startswith(("p must", "p[", "p sums", "rho must", "lam must"))


def test_refuses_by_message():
    with pytest.raises(ValueError, match="p sums to 2, not 1"):
        worst_case([1.0, 1.0], [0.0, 0.0], 0.1)
    with pytest.raises(ValueError, match=r"V\[1\] is nan"):
        worst_case([0.5, 0.5], [0.0, np.nan], 0.1)
    with pytest.raises(ValueError, match=r"rho must be in \[0, inf"):
        worst_case([0.5, 0.5], [0.0, 0.0], -0.1)
    with pytest.raises(ValueError, match=r"lam must be in \[0, inf"):
        penalised([0.5, 0.5], [0.0, 0.0], -0.1)
    with pytest.raises(ValueError, match="divergence must be one of 'tv', 'kl', 'chi2', got 'w1'"):
        penalised([0.5, 0.5], [0.0, 0.0], 0.1, "w1")
    with pytest.raises(ValueError, match="q sums to 2"):
        divergence_of([1.0, 1.0], [0.5, 0.5])
