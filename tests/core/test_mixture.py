"""Linear mixture MDPs: checks, tables, largest returns by enumeration, instances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eluder.core.exact import optimal_value, policy_value
from eluder.core.mixture import LinearMixtureMDP, largest_return, mixture_tables, refuse_not_mixture
from eluder.envs import (
    hypercube_mixture_mdp,
    one_hot_mixture_mdp,
    random_linear_mixture_mdp,
    river_swim,
    wait_or_take_mixture_mdp,
)
from tests.instances import random_episodic


def rng(seed=0):
    return np.random.default_rng(seed)


# --- problems ---


def test_tables_are_the_mixture_with_and_without_stages():
    g = rng()
    phi, theta = g.dirichlet(np.ones(4), (3, 2, 4, 2)), g.dirichlet(np.ones(2), 3)
    mdp = LinearMixtureMDP(phi, theta, np.ones((4, 2)) / 3, np.ones(4) / 4, 3)
    P = mixture_tables(mdp).P
    for h in range(3):
        np.testing.assert_allclose(P[h], theta[h, 0] * phi[h, 0] + theta[h, 1] * phi[h, 1], rtol=1e-12)
    for phi_, theta_ in ((phi[0], theta), (phi, theta[0])):
        P = mixture_tables(mdp._replace(phi=phi_, theta=theta_)).P
        assert P.shape == (3, 4, 2, 4)
        h_phi, h_theta = (0, 2) if phi_.ndim == 4 else (2, 0)
        np.testing.assert_allclose(P[2], np.tensordot(theta[h_theta], phi[h_phi], 1), rtol=1e-12)
    assert pytest.approx(np.sqrt((theta**2).sum(axis=1)).max()) == mdp.B


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": [0.5, 0.6]}, r"phi theta\[0, 0\] sums to 1.1, not 1"),
        ({"theta": [1.5, -0.5]}, r"phi theta\[0, 0, 1\] is -0.5, it must not be negative"),
        ({"theta": [1.0]}, r"theta must have shape \(2\), got \(1,\)"),
        ({"theta": [0.5, np.nan]}, r"theta\[1\] is nan, it must be finite"),
        ({"phi": np.ones((2, 2, 1, 3))}, r"phi must have shape \(2, 2, 1, 2\)"),
        ({"phi": np.ones((3, 2, 2, 1, 2))}, r"phi must have shape \(2, n >= 1"),
        ({"r": [[0.0], [2.0]]}, r"r\[1, 0\] is 2, it must be in \[0, 1\]"),
        ({"mu": [0.5, 0.6]}, "mu sums to 1.1, not 1"),
        ({"H": 0}, "H must be at least 1"),
        ({"B": 0.1}, r"B must be at least \|theta\| = 0.707107, got 0.1"),
        ({"mask": [[False], [True]]}, "mask"),
    ],
)
def test_bad_problems_are_named(change, message):
    phi = [[[[1.0, 0.0]], [[1.0, 0.0]]], [[[0.0, 1.0]], [[0.0, 1.0]]]]
    good = {"phi": phi, "theta": [0.5, 0.5], "r": [[0.0], [1.0]], "mu": [1.0, 0.0], "H": 2}
    LinearMixtureMDP(**good)
    with pytest.raises(ValueError, match=message):
        LinearMixtureMDP(**{**good, **change})


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(float, (2, 2, 1, 2), elements=st.floats(allow_nan=True, width=64)))
def test_arbitrary_base_kernels_are_refused_or_make_a_kernel(phi):
    finite = np.isfinite(phi).all()
    P = phi.mean(axis=0) if finite and np.abs(phi).max() < 1e6 else np.full((2, 1, 2), np.nan)
    if (P >= 0).all() and np.allclose(P.sum(axis=-1), 1, rtol=0, atol=1e-9):
        mdp = LinearMixtureMDP(phi, [0.5, 0.5], [[0.0], [1.0]], [1.0, 0.0], 2)
        np.testing.assert_allclose(mixture_tables(mdp).P.sum(axis=-1), 1)
    else:
        with pytest.raises(ValueError, match=r"^phi"):
            LinearMixtureMDP(phi, [0.5, 0.5], [[0.0], [1.0]], [1.0, 0.0], 2)


def test_refusals():
    mdp = random_linear_mixture_mdp(4, 2, 2, 3, rng=rng())
    with pytest.raises(ValueError, match="mdp must be a LinearMixtureMDP, got str"):
        refuse_not_mixture("x")
    with pytest.raises(ValueError, match="one theta for all stages"):
        refuse_not_mixture(hypercube_mixture_mdp(3, 3, 0.1, rng=rng()), homogeneous=True)
    with pytest.raises(ValueError, match=r"may add up to 2\.\d+, they must to 1 at most"):
        refuse_not_mixture(mdp, total=True)
    refuse_not_mixture(random_linear_mixture_mdp(4, 2, 2, 3, total=1.0, rng=rng()), total=True)


@pytest.mark.parametrize("seed", range(5))
def test_largest_return_by_enumeration(seed):
    tables = random_episodic(S=3, A=2, H=3, seed=seed, masked=True)
    P = np.where(tables.P < 0.25, 0, tables.P)
    mdp = one_hot_mixture_mdp(tables._replace(P=P / P.sum(axis=-1, keepdims=True)))
    tables = mixture_tables(mdp)

    def best(h, s):
        if h == 3:
            return 0.0
        P = tables.P[h] if tables.P.ndim == 4 else tables.P
        r = np.broadcast_to(tables.r, (3, 3, 2))[h]
        return max(
            r[s, a] + max(best(h + 1, t) for t in range(3) if P[s, a, t] > 0)
            for a in range(2)
            if tables.mask[s, a]
        )

    assert largest_return(mdp) == pytest.approx(max(best(0, s) for s in range(3) if tables.mu[s] > 0))


# --- instances ---


def test_random_instance_is_normalised():
    mdp = random_linear_mixture_mdp(6, 3, 4, 5, total=0.7, rng=rng())
    assert largest_return(mdp) == pytest.approx(0.7)
    assert mdp.B == 2.0
    corners = np.array([[i >> s & 1 for s in range(6)] for i in range(64)], float)
    assert np.linalg.norm(mdp.phi @ corners.T, axis=0).max() <= 1 + 1e-12
    assert random_linear_mixture_mdp(6, 3, 4, 5, rng=rng()).r.max() > 0.9
    with pytest.raises(ValueError, match=r"total must be in \(0, 1\], got 2"):
        random_linear_mixture_mdp(6, 3, 4, 5, total=2, rng=rng())


def test_hypercube_has_its_value_and_its_features():
    H, gap = 6, 0.1
    mdp = hypercube_mixture_mdp(4, H, gap, rng=rng())
    tables = mixture_tables(mdp)
    q = 1 / H + gap
    value = sum(1 - (1 - q) ** h for h in range(H))
    assert optimal_value(tables)[0, 0] == pytest.approx(value, rel=1e-12)
    for h in range(H):
        P = tables.P[h, h]
        np.testing.assert_allclose(P[:, [h + 1, H + 1]].sum(axis=1), 1)
        assert np.isclose(P[:, H + 1], q).sum() == 1, "one best corner per stage"
        assert P[:, H + 1].min() == pytest.approx(1 / H - gap)
    assert len({int(tables.P[h, h, :, H + 1].argmax()) for h in range(H)}) > 1, "a corner for each stage"
    np.testing.assert_allclose(tables.P[:, H + 1, :, H + 1], 1)
    for V in rng().random((20, H + 2)):
        assert np.linalg.norm(mdp.phi @ V, axis=0).max() <= 1 + 1e-12
    with pytest.raises(ValueError, match=r"gap must be in \(0, 0.25\], got 0.3"):
        hypercube_mixture_mdp(4, 4, 0.3, rng=rng())


@pytest.mark.parametrize(("H", "take", "survive"), [(3, 0.3, 0.5), (8, 0.9, 0.5), (16, 0.2, 0.25)])
def test_waiting_is_worth_what_survives_at_every_horizon(H, take, survive):
    mdp = wait_or_take_mixture_mdp(H, take=take, survive=survive)
    tables = mixture_tables(mdp)
    wait = np.ones(3, np.int64)
    assert policy_value(tables, wait)[0, 0] == pytest.approx(survive)
    assert policy_value(tables, 0 * wait)[0, 0] == pytest.approx(take)
    assert optimal_value(tables)[0, 0] == pytest.approx(max(take, survive))
    assert largest_return(mdp) == 1
    for V in np.vstack([np.eye(3), np.ones((1, 3)), rng().random((20, 3))]):
        assert (np.linalg.norm(np.einsum("isat,t->sai", mdp.phi, V), axis=2) <= 1 + 1e-12).all()
    with pytest.raises(ValueError, match="H must be at least 3"):
        wait_or_take_mixture_mdp(2)
    with pytest.raises(ValueError, match=r"survive must be in \(0, 1\]"):
        wait_or_take_mixture_mdp(3, survive=0.0)


def test_one_hot_is_the_same_problem():
    tables = river_swim(3, H=4)
    mdp = one_hot_mixture_mdp(tables)
    np.testing.assert_array_equal(mixture_tables(mdp).P, tables.P)
    with pytest.raises(ValueError, match="mdp must be an EpisodicMDP"):
        one_hot_mixture_mdp(mdp)


def test_what_cancels_is_not_reachable():
    """A signed mixture leaves 5e-17 where terms cancel: no trajectory goes there."""
    phi = np.zeros((3, 3, 1, 3))
    phi[0, 0, 0], phi[1, 0, 0], phi[2, 0, 0] = [0.9, 0.1, 0], [0.8, 0.2, 0], [0.7, 0.3, 0]
    phi[0, 1, 0, 1] = phi[0, 2, 0, 2] = 1
    mdp = LinearMixtureMDP(phi, [1.0, 1.0, -1.0], [[0.3], [1.0], [0.0]], [1.0, 0, 0], 3)
    assert largest_return(mdp) == pytest.approx(0.9)
    assert mixture_tables(mdp).P[0, 0].tolist() == [1.0, 0.0, 0.0]


def test_refuses_kernels_that_are_not_numbers():
    with (
        pytest.raises(ValueError, match=r"phi theta\[0, 0, 0\] is nan, it must be finite"),
        np.errstate(all="ignore"),
    ):
        LinearMixtureMDP(np.full((2, 1, 1, 1), 1e308), [1e10, -1e10], [[0.5]], [1.0], 2, B=1e11)
