"""Problems with linear action values that are no linear MDPs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.core.adversarial import linear_q_error
from eluder.envs import adversarial_linear_mdp, linear_q_mdp

LAWS = ("fixed", "switching", "stochastic", "adaptive")
SIZES = [(8, 2, 3, 3), (6, 3, 2, 4), (12, 3, 4, 2), (3, 2, 1, 2)]


def rng(seed=0):
    return np.random.default_rng(seed)


def ranks(mdp):
    return [np.linalg.matrix_rank(P.reshape(-1, mdp.mu.size)) for P in mdp.P]


def misfit(mdp):
    """The largest total-variation distance of a row of the best linear fit of the kernels."""
    x, worst = mdp.phi.reshape(-1, mdp.phi.shape[2]), 0.0
    for P in mdp.P:
        rows = P.reshape(len(x), -1)
        fit = x @ np.linalg.lstsq(x, rows, rcond=None)[0]
        worst = max(worst, np.abs(rows - fit).sum(axis=1).max() / 2)
    return worst


@given(seed=st.integers(0, 10_000), size=st.sampled_from(SIZES), law=st.sampled_from(LAWS))
@settings(max_examples=40, deadline=None)
def test_every_policy_has_linear_values(seed, size, law):
    S, A, d, H = size
    mdp, noise = linear_q_mdp(S, A, d, H, law=law, rng=rng(seed)), rng(seed + 1)
    stochastic = noise.dirichlet(np.ones(A), (H, S))
    deterministic = np.eye(A)[noise.integers(A, size=(H, S))]
    for pi in (stochastic, deterministic):
        assert linear_q_error(mdp, pi) < 1e-12
    other = np.clip(np.einsum("sai,hi->hsa", mdp.phi, noise.random((H, d))), 0, 1)[None]
    assert linear_q_error(mdp._replace(losses=other), stochastic) < 1e-12


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_kernels_are_not_linear_in_any_features_of_this_dimension(size, seed):
    S, A, d, H = size
    mdp = linear_q_mdp(S, A, d, H, rng=rng(seed))
    assert min(ranks(mdp)) > d
    assert misfit(mdp) > 0.1, "nor nearly in these"
    linear = adversarial_linear_mdp(S, A, d, H, rng=rng(seed))
    assert max(ranks(linear)) <= d
    assert misfit(linear) < 1e-12


def test_parameters_are_bounded_as_in_a_linear_mdp():
    """Entries of theta in [0, H - h], so |theta| <= (H - h) sqrt(d): what the bounds assume."""
    mdp, H = linear_q_mdp(12, 3, 4, 5, rng=rng(1)), 5
    pi, x = rng(2).dirichlet(np.ones(3), (5, 12)), mdp.phi.reshape(-1, 4)
    V = np.zeros(12)
    for h in range(H - 1, -1, -1):
        Q = mdp.losses[0, h] + mdp.P[h] @ V
        theta = np.linalg.lstsq(x, Q.ravel(), rcond=None)[0]
        assert theta.min() >= -1e-9
        assert theta.max() <= H - h + 1e-9
        V = (pi[h] * Q).sum(axis=1)
    assert np.linalg.norm(mdp.phi, axis=2).max() <= 1 + 1e-12


def test_transit_states_have_no_choice_and_the_others_do():
    mdp, n = linear_q_mdp(8, 3, 2, 3, transit=4, law="adaptive", rng=rng(3)), 4
    for table in (
        mdp.phi[n:],
        np.moveaxis(mdp.P[:, n:], 0, -1),
        np.moveaxis(mdp.losses[:, :, n:], (0, 1), (-2, -1)),
    ):
        np.testing.assert_array_equal(table, np.broadcast_to(table[:, :1], table.shape))
    assert (np.abs(mdp.phi[:n] - mdp.phi[:n, :1]).max(axis=(1, 2)) > 0.05).all()
    assert mdp.mu[0] == 1
    assert mdp.adaptive == 0.5
    assert ((mdp.P[..., n:] > 0).sum(axis=-1) <= 2).all(), "gathered on at most d states"
    assert mdp.P.min() >= 0


def test_refuses_by_message():
    for change, message in (
        ({"S": 4}, "S must be at least 5"),
        ({"transit": 3}, r"transit must be in \[4, 7\]"),
        ({"transit": 8}, r"transit must be in \[4, 7\]"),
        ({"law": "kind"}, "law must be one of 'fixed'"),
        ({"block": 0}, "block must be at least 1"),
        ({"tables": 0}, "tables must be at least 1"),
        ({"concentration": 0.0}, "concentration must be in"),
        ({"rng": 7}, "rng must be a numpy.random.Generator"),
    ):
        with pytest.raises(ValueError, match=message):
            linear_q_mdp(**{"S": 8, "A": 2, "d": 3, "H": 2, "rng": rng(), **change})
