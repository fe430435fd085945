"""Instances of robust linear MDPs: the simulated linear MDP by hand, the put against the binomial market."""

import numpy as np
import pytest

from eluder.core.exact import policy_value
from eluder.core.linear import episodic
from eluder.core.robust_linear import nominal, robust_optimum, robust_values
from eluder.envs import american_put, off_dynamics_linear_mdp, perturbed_linear_mdp


def test_simulated_problem_by_hand():
    """States 0 to 2 walk on, 3 fails, 4 pays; the action of all ones has chance .5 of the good state."""
    mdp = off_dynamics_linear_mdp(0.0)
    P, r = episodic(nominal(mdp)).P, episodic(nominal(mdp)).r
    np.testing.assert_allclose(P[0, 0, -1], [0, 0.4995, 0, 0.0005, 0.5])
    np.testing.assert_allclose(P[1, 1, 0], [0, 0, 0.9 * 0.999, 0.9 * 0.001, 0.1])
    np.testing.assert_allclose(P[0, 3, 5], [0, 0, 0, 1, 0])
    np.testing.assert_allclose(r[:, 0, -1], [0, 0.5, 0.5])
    np.testing.assert_allclose(r[:, 4, 0], [0, 1, 1])
    np.testing.assert_allclose(r[:, 3, 0], 0)
    # from 0: good at once, value 2; else the walk: .5 now, then good (1) or on (.5)
    assert robust_optimum(mdp).V[0, 0] == pytest.approx(0.5 * 2 + 0.4995 * (0.5 + 0.5 + 0.4995 * 0.5))


def test_nature_takes_mass_of_the_good_state():
    """TV: rho of the good state's factor goes to the failing state; so the perturbed problem is the worst."""
    for rho in (0.1, 0.3, 0.8):
        mdp = off_dynamics_linear_mdp(rho)
        pi = np.tile(np.arange(5) % 16, (3, 1))
        worst = policy_value(episodic(perturbed_linear_mdp(rho)), pi)
        np.testing.assert_allclose(robust_values(mdp, pi), worst, atol=1e-12)


def test_robust_actions_avoid_the_good_state_when_it_is_not_sure():
    first = [np.argmax(robust_optimum(off_dynamics_linear_mdp(rho)).pi[0, 0]) for rho in (0.0, 0.3, 0.6)]
    assert first == [15, 15, 0]


def test_put_with_every_price_is_the_binomial_market():
    """One anchor per price: the exact optimal stopping problem, by a recursion of its own."""
    mdp = american_put(0.0, spacing=1, H=12, p_up=0.4)
    pay = np.maximum(1 - 1.02 ** np.arange(-11.0, 18), 0)
    worth = np.zeros(29)
    for _ in range(12):
        hold = 0.4 * worth[np.minimum(np.arange(29) + 1, 28)] + 0.6 * worth[np.maximum(np.arange(29) - 1, 0)]
        worth = np.maximum(pay, hold)
    np.testing.assert_allclose(robust_optimum(mdp).V[0, :-1], worth, atol=1e-12)
    assert mdp.mu.nonzero()[0].tolist() == [9, 10, 11, 12, 13]  # 96.1 to 104.0


def test_put_nature_chooses_the_drift():
    """The put gains when prices fall, so nature lets them rise: at the radius of another drift, that."""
    p = 0.7
    rho = p * np.log(p / 0.5) + (1 - p) * np.log((1 - p) / 0.5)
    robust, market = american_put(rho, spacing=1, H=8), american_put(0.0, spacing=1, H=8, p_up=p)
    inner = slice(8, 14)  # away from the edges and from prices at which both moves are worth the same
    np.testing.assert_allclose(
        robust_optimum(robust).V[0, inner], robust_optimum(market).V[0, inner], atol=1e-3
    )
    assert (robust_optimum(american_put(0.2, "tv")).V <= robust_optimum(american_put(0.0)).V + 1e-12).all()
    assert american_put(0.5, "chi2", "penalty").level.min() == 0.5


def test_refuses_by_message():
    with pytest.raises(ValueError, match=r"q must be in \[0, 1\]"):
        perturbed_linear_mdp(1.5)
    with pytest.raises(ValueError, match=r"xi must be in \[0, 0.3\]"):
        off_dynamics_linear_mdp(xi=0.5)
    with pytest.raises(ValueError, match=r"rho must be in \[0, inf"):
        off_dynamics_linear_mdp(-1.0)
    with pytest.raises(ValueError, match=r"spacing must be in \[1, 28\]"):
        american_put(spacing=40)
    with pytest.raises(ValueError, match=r"p_up must be in \[0, 1\]"):
        american_put(p_up=2.0)
