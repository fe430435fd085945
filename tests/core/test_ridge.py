"""Ridge regression with rank-one updates: equal to solving the system, also after very many updates."""

import numpy as np
import pytest

from eluder.core.kernels import kernel
from eluder.core.ridge import Ridge, absorb, checked_radius, refresh, ridge


def exact(phi, lam, n, s):
    V = lam * np.eye(phi.shape[1]) + (phi * n[:, None]).T @ phi
    theta = np.linalg.solve(V, phi.T @ s)
    width = np.einsum("ai,ai->a", phi, np.linalg.solve(V, phi.T).T)
    return V, theta, width


def close(R, rtol):
    V, theta, width = exact(R.phi, R.lam, R.n, R.s)
    np.testing.assert_allclose(R.inverse @ V, np.eye(len(V)), atol=rtol * 10)
    np.testing.assert_allclose(R.theta, theta, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(R.y, R.phi @ theta, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(R.width, width, rtol=rtol)
    log_det = np.linalg.slogdet(V)[1] - len(V) * np.log(R.lam)
    assert R.log_det[0] == pytest.approx(log_det, rel=rtol, abs=rtol)


@pytest.mark.parametrize("seed", range(5))
def test_updates_are_the_solution(seed):
    g = np.random.default_rng(seed)
    R = ridge(g.standard_normal((7, 4)), 0.3)
    assert isinstance(R, Ridge)
    close(R, 1e-12)
    for _ in range(100):
        w = float(g.random() * 3)
        absorb(R, int(g.integers(7)), w, w * float(g.standard_normal()))
    assert R.age[0] == 100
    close(R, 1e-9)
    refresh(R)
    assert R.age[0] == 0
    close(R, 1e-11)


@kernel
def many(R, n, generator):
    """Absorb n observations, mostly of the first two arms."""
    A = R.y.size
    for _ in range(n):
        a = int(generator.random() * A) if generator.random() < 0.01 else int(generator.random() * 2)
        absorb(R, a, 1.0, generator.standard_normal())


@pytest.mark.parametrize("lam", [1e-6, 1.0])
def test_rounding_does_not_add_up(lam):
    """After 200 000 updates on nearly collinear arms all is as computed anew."""
    g = np.random.default_rng(0)
    phi = g.standard_normal((20, 10)) * 10.0 ** np.linspace(0, -3, 10)
    R = ridge(phi, lam)
    many(R, 200_000, g)
    assert R.n.sum() == 200_000
    assert 0 < R.age[0] < 4096
    close(R, 1e-7)


def test_radii_that_overflow_are_refused_by_the_names_of_their_sources():
    assert checked_radius(1e100, c=1.0) == 1e100
    with pytest.raises(
        ValueError, match=r"c = 1e\+308, lam = 1 makes the radius inf, it must be at most 1e\+100"
    ):
        checked_radius(1e308 * 10, c=1e308, lam=1.0)
    with pytest.raises(ValueError, match="makes the radius nan"):
        checked_radius(float("nan"), c=0.0)
