"""Robust linear MDPs: their dynamic program against a slow one, nature's answer, limits, bad input."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.core.divergences import divergence_of, penalised, worst_case
from eluder.core.exact import occupancy, policy_value
from eluder.core.linear import LinearMDP, episodic
from eluder.core.robust_linear import (
    RobustLinearMDP,
    RobustPlan,
    nominal,
    refuse_not_robust,
    robust,
    robust_model,
    robust_optimum,
    robust_values,
)
from eluder.core.robust_model import RobustModel, robust_value
from eluder.core.robust_nature import worst_factors, worst_model
from eluder.envs import misspecified_linear_mdp, random_linear_mdp
from eluder.tabular.planning import backward_induction, soft_backward_induction

EVERY = list(itertools.product(["tv", "kl", "chi2"], ["ball", "penalty"]))


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0, level=0.2, divergence="tv", mode="ball", S=4, A=3, d=3, H=3):
    return robust(random_linear_mdp(S, A, d, H, concentration=1.0, rng=rng(seed)), level, divergence, mode)


def policy(mdp, seed=0):
    S, A = mdp.mask.shape
    pi = rng(seed).dirichlet(np.ones(A), (mdp.H, S)) * mdp.mask
    return pi / pi.sum(axis=-1, keepdims=True)


def slow_values(mdp, pi, tau=0.0, ref=None):
    """The robust Bellman equation, one number after the other, with the worst cases of the definition."""
    S, A, d = mdp.phi.shape
    f = worst_case if mdp.mode == "ball" else penalised
    V = np.zeros((mdp.H + 1, S))
    for h in reversed(range(mdp.H)):
        nu = [f(mdp.psi[h, i], V[h + 1], mdp.level[h, i], mdp.divergence).value for i in range(d)]
        for s, a in itertools.product(range(S), range(A)):
            if pi[h, s, a] > 0:
                x = sum(mdp.phi[s, a, i] * (mdp.theta[h, i] + nu[i]) for i in range(d))
                price = tau * math.log(pi[h, s, a] / ref[s, a]) if tau else 0.0
                V[h, s] += pi[h, s, a] * (x - price)
    return V


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_values_of_a_policy(divergence, mode):
    mask = np.ones((4, 3), bool)
    mask[1, 2] = mask[3, 0] = False
    for seed in range(3):
        mdp = problem(seed, divergence=divergence, mode=mode)._replace(mask=mask)
        pi, ref = policy(mdp, seed), mask / mask.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(robust_values(mdp, pi), slow_values(mdp, pi), atol=1e-8)
        soft = slow_values(mdp, pi, 0.3, ref)
        np.testing.assert_allclose(robust_values(mdp, pi, tau=0.3), soft, atol=1e-8)
        V = np.zeros((4, 4))
        model = robust_model(mdp)
        assert isinstance(model, RobustModel)
        with np.errstate(divide="ignore"):
            assert robust_value(model, pi, 0.3, np.log(ref), V) == pytest.approx(mdp.mu @ soft[0])


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_the_optimum_is_that_of_all_policies(divergence, mode):
    """No deterministic policy of a small problem is better, and the plan's own policy attains it."""
    mdp = problem(1, 0.3, divergence, mode, S=3, A=2, d=2, H=2)
    plan = robust_optimum(mdp)
    assert isinstance(plan, RobustPlan)
    np.testing.assert_allclose(robust_values(mdp, plan.pi), plan.V, atol=1e-12)
    every = [np.array(x).reshape(2, 3) for x in itertools.product(range(2), repeat=6)]
    best = np.max([robust_values(mdp, pi) for pi in every], axis=0)
    np.testing.assert_allclose(plan.V, best, atol=1e-12)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_the_soft_optimum(divergence, mode):
    """Its policy attains its value, and no other of many random ones is better."""
    mdp = problem(2, 0.3, divergence, mode)
    plan = robust_optimum(mdp, tau=0.2)
    np.testing.assert_allclose(robust_values(mdp, plan.pi, tau=0.2), plan.V, atol=1e-10)
    for seed in range(30):
        near = 0.9 * plan.pi + 0.1 * policy(mdp, seed)
        assert (robust_values(mdp, near, tau=0.2) <= plan.V + 1e-10).all()


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_nature_attains_the_robust_value(divergence):
    for seed in range(5):
        mdp = problem(seed, 0.3, divergence)
        pi = policy(mdp, seed)
        V = robust_values(mdp, pi)
        np.testing.assert_allclose(policy_value(episodic(worst_model(mdp, pi)), pi), V, atol=1e-9)
        q = worst_factors(mdp, V)
        assert all(
            divergence_of(q[h, i], mdp.psi[h, i], divergence) <= 0.3 + 1e-6
            for h in range(3)
            for i in range(3)
        )
        for other in range(30):  # no other answer within the ball is worse
            mixed = 0.7 * mdp.psi + 0.3 * rng(other).dirichlet(np.ones(4), mdp.psi.shape[:2])
            legal = [
                divergence_of(*x, divergence) <= 0.3
                for x in zip(mixed.reshape(-1, 4), mdp.psi.reshape(-1, 4), strict=True)
            ]
            if all(legal):
                model = nominal(mdp)._replace(psi=mixed)
                assert (policy_value(episodic(model), pi) >= V - 1e-9).all()


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_a_penalty_is_paid_by_nature(divergence):
    """Value in nature's model plus what it pays on the way is the penalised value."""
    mdp = problem(3, 0.5, divergence, "penalty")
    pi = policy(mdp)
    model = worst_model(mdp, pi)
    visits = occupancy(episodic(model), pi)
    D = [[divergence_of(model.psi[h, i], mdp.psi[h, i], divergence) for i in range(3)] for h in range(3)]
    paid = np.einsum("hsa,sai,hi->", visits, mdp.phi, 0.5 * np.array(D))
    value = mdp.mu @ policy_value(episodic(model), pi)[0]
    assert value + paid == pytest.approx(mdp.mu @ robust_values(mdp, pi)[0])


def test_without_uncertainty_it_is_the_nominal_problem():
    linear = random_linear_mdp(5, 3, 3, 4, rng=rng(4))
    tables, ref = episodic(linear), np.full((5, 3), 1 / 3)
    best, soft = backward_induction(tables).V, soft_backward_induction(tables, tau=0.2, ref=ref).V
    for divergence in ("tv", "kl", "chi2"):
        for level, mode in ((0.0, "ball"), (1e9, "penalty")):
            mdp = robust(linear, level, divergence, mode)
            np.testing.assert_allclose(robust_optimum(mdp).V[:-1], best[:4], atol=1e-6)
            np.testing.assert_allclose(robust_optimum(mdp, tau=0.2).V[:-1], soft[:4], atol=1e-6)
        V = [
            linear.mu @ robust_optimum(robust(linear, x, divergence)).V[0] for x in (0.0, 0.05, 0.2, 0.6, 2.0)
        ]
        assert (np.diff(V) < 1e-12).all()
        V = [
            linear.mu @ robust_optimum(robust(linear, x, divergence, "penalty")).V[0]
            for x in (0.01, 0.1, 1.0, 5.0)
        ]
        assert (np.diff(V) > -1e-12).all()


def test_refuses_by_message():
    linear = random_linear_mdp(4, 2, 3, 2, rng=rng())
    good = robust(linear, 0.1)
    assert good._replace(level=[[0.1], [0.3]]).level[1].tolist() == [0.3] * 3
    cases = [
        ({"level": -0.1}, r"level\[0, 0\] is -0.1"),
        ({"level": [[0.1, 0.2]]}, r"level must be numbers that broadcast to shape \(2, 3\)"),
        ({"level": "x"}, "level must be numbers"),
        ({"level": 0.0, "mode": "penalty"}, r"level\[0, 0\] is 0, a penalty must be positive"),
        ({"divergence": "w1"}, "divergence must be one of 'tv', 'kl', 'chi2', got 'w1'"),
        ({"mode": "x"}, "mode must be 'ball' or 'penalty', got 'x'"),
        ({"phi": np.ones((4, 2, 3))}, r"phi\[0, 0\] sums to 3, not 1"),
        ({"psi": np.ones((2, 3, 4))}, r"psi\[0, 0\] sums to 4, not 1"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            good._replace(**change)
    with pytest.raises(ValueError, match="mdp must be a LinearMDP, got MisspecifiedLinearMDP"):
        robust(misspecified_linear_mdp(4, 2, 3, 2, 0.1, rng=rng()), 0.1)
    with pytest.raises(ValueError, match="mdp must be a RobustLinearMDP, got LinearMDP"):
        robust_optimum(linear)
    with pytest.raises(ValueError, match="mdp must be robust with mode 'penalty', got 'ball'"):
        refuse_not_robust(good, "penalty")
    with pytest.raises(ValueError, match="mdp must be robust in 'kl', got 'tv'"):
        refuse_not_robust(good, None, ("kl",))
    assert isinstance(good, RobustLinearMDP)
    masked = good._replace(mask=np.array([[1, 0], [1, 1], [1, 1], [1, 1]], bool))
    with pytest.raises(ValueError, match=r"pi\[0, 0, 1\] is 0.5, but the action is not available"):
        robust_values(masked, np.full((2, 4, 2), 0.5))
    with pytest.raises(
        ValueError, match=r"ref\[0, 1\] is 0.5, it must be 0, for the action is not available"
    ):
        robust_optimum(masked, tau=0.1, ref=np.full((4, 2), 0.5))
    with pytest.raises(ValueError, match=r"ref\[0, 0\] is 0, it must be positive"):
        robust_optimum(good, tau=0.1, ref=[[0.0, 1.0]] * 4)
    with pytest.raises(ValueError, match=r"tau must be in \[0, inf"):
        robust_optimum(good, tau=-1.0)
    with pytest.raises(ValueError, match="V must have shape"):
        worst_factors(good, np.zeros((2, 4)))


@settings(max_examples=40, deadline=None)
@given(st.floats(), st.sampled_from(EVERY))
def test_any_level_is_refused_or_answered(level, kind):
    linear = LinearMDP([[[1.0]], [[1.0]]], [[[0.5, 0.5]]] * 2, [[0.0], [1.0]], [1.0, 0.0])
    message = ""
    try:
        V = robust_optimum(robust(linear, level, *kind)).V
        assert (V >= -1e-12).all()
        assert (V <= 2 + 1e-12).all()
    except ValueError as error:
        message = str(error)
    assert not message or message.startswith("level")
