"""The simulator of linear MDPs: the same dynamics and values by factors as by tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.core import exact
from eluder.core import simulator as tables_of
from eluder.core.linear import LinearMDP, episodic
from eluder.core.linear_simulator import (
    LinearSimulator,
    linear_simulator,
    measure,
    policy_value,
    reset,
    step,
)
from eluder.envs import (
    hypercube_linear_mdp,
    misspecified_linear_mdp,
    one_hot_linear_mdp,
    random_linear_mdp,
    river_swim,
)

seeds = st.integers(0, 10**6)


def rng(seed=0):
    return np.random.default_rng(seed)


def problems(seed):
    """One that is a product as it stands, and two that need a table."""
    product = random_linear_mdp(6, 3, 4, 3, rng=rng(seed))._replace(mu=np.arange(1, 7) / 21)
    signed = hypercube_linear_mdp(4, 3, 0.1, rng=rng(seed))
    nearly = misspecified_linear_mdp(6, 3, 4, 3, 0.1, rng=rng(seed))
    return product, product._replace(bernoulli=True), signed, nearly


@given(seeds)
def test_values_are_exact(seed):
    for mdp in problems(seed):
        sim, tables, g = linear_simulator(mdp), episodic(mdp), rng(seed)
        H, S, A = sim.r.shape
        pi, V = g.integers(A, size=(H, S)), np.zeros((H + 1, S))
        value = policy_value(sim, pi, V, H - 1)
        np.testing.assert_allclose(V, exact.policy_value(tables, pi), rtol=1e-12, atol=1e-14)
        assert value == pytest.approx(tables.mu @ V[0], rel=1e-12)
        pi[1] = g.integers(A, size=S)
        assert policy_value(sim, pi, V, 1) == pytest.approx(tables.mu @ exact.policy_value(tables, pi)[0])


@given(seeds)
def test_draws_are_those_of_the_tables(seed):
    for mdp in problems(seed):
        sim, other, g = linear_simulator(mdp), tables_of.simulator(episodic(mdp)), rng(seed)
        a, b = rng(seed), rng(seed)
        H, S, A = sim.r.shape
        np.testing.assert_allclose(sim.r, other.r, rtol=1e-15)
        for _ in range(30):
            assert reset(sim, a) == tables_of.reset(other, b)
            pair = int(g.integers(H)), int(g.integers(S)), int(g.integers(A))
            assert step(sim, *pair, a) == tables_of.step(other, *pair, b)[:2]


def test_tables_only_where_they_are_needed():
    product, _, signed, nearly = (linear_simulator(mdp) for mdp in problems(0))
    assert isinstance(product, LinearSimulator)
    assert product.P.shape == (0, 6, 3, 6)
    assert product.psi.shape == (3, 4, 6)
    for sim in (signed, nearly):
        assert sim.P.shape[0] == 3
        assert sim.psi.shape[0] == 0
    hot = linear_simulator(one_hot_linear_mdp(river_swim(4, H=3)))
    assert hot.P.shape[0] == 0
    off = LinearMDP([[[1.0 + 1e-9]], [[1.0]]], [[[0.4, 0.6]]], [[0.5]], [0.5, 0.5])  # a row sums to 1 + 1e-9
    assert linear_simulator(off).P.shape == (1, 2, 1, 2)
    np.testing.assert_allclose(linear_simulator(off).P.sum(axis=-1), 1, rtol=1e-15)
    signed = LinearMDP([[[1.0, 0.0]], [[0.5, 0.5]]], [[[0.5, 0.5], [-0.1, 1.1]]], [[0.5, 0.5]], [0.5, 0.5])
    assert linear_simulator(signed).P.shape == (1, 2, 1, 2)


def test_measures_again_only_what_changed():
    """Stages above `top` keep their values; with -1 the value is that of the episode before."""
    mdp = problems(0)[0]
    sim, tables = linear_simulator(mdp), episodic(mdp)
    pi, V, value = np.zeros((3, 6), np.int64), np.full((4, 6), 7.0), np.zeros(4)
    V[3] = 0.0
    measure(value, 0, sim, pi, V, -1)  # the first episode measures all, whatever top is
    assert value[0] == pytest.approx(tables.mu @ exact.policy_value(tables, pi)[0])
    measure(value, 1, sim, pi, V, -1)
    assert value[1] == value[0]
    pi[0] = 1
    measure(value, 2, sim, pi, V, 0)
    assert value[2] == pytest.approx(tables.mu @ exact.policy_value(tables, pi)[0])
    pi[2] = 2
    measure(value, 3, sim, pi, V, 2)
    assert value[3] == pytest.approx(tables.mu @ exact.policy_value(tables, pi)[0])
    assert len(set(value.round(9))) == 3


def test_inputs_are_copied():
    mdp = problems(0)[0]
    sim = linear_simulator(mdp)
    for name in ("phi", "psi", "mu", "mask"):
        assert not np.shares_memory(getattr(sim, name), getattr(mdp, name))


def test_refuses_what_is_not_linear():
    with pytest.raises(ValueError, match="mdp must be a LinearMDP, got EpisodicMDP"):
        linear_simulator(river_swim(3, H=2))
