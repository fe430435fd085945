"""The kernels of robust linear MDPs, one by one, against the definitions."""

import itertools

import numpy as np
import pytest

from eluder.core.divergences import penalised, worst_case
from eluder.core.robust_linear import robust, robust_model
from eluder.core.robust_model import factor_values, optimise, robust_action_value, robust_value, soften
from eluder.envs import random_linear_mdp

EVERY = list(itertools.product(["tv", "kl", "chi2"], ["ball", "penalty"]))


def problem(divergence, mode):
    mdp = random_linear_mdp(5, 3, 3, 3, concentration=1.0, rng=np.random.default_rng(0))
    return robust(mdp, 0.2, divergence, mode)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_natures_answer_is_the_worst_case_of_each_factor(divergence, mode):
    mdp = problem(divergence, mode)
    V, nu, q = np.random.default_rng(1).uniform(0, 2, 5), np.zeros(3), np.zeros((3, 5))
    factor_values(robust_model(mdp), 1, V, nu, q)
    worst = worst_case if mode == "ball" else penalised
    for i in range(3):
        answer = worst(mdp.psi[1, i], V, mdp.level[1, i], divergence)
        assert nu[i] == pytest.approx(answer.value, abs=1e-9)
        assert q[i].sum() == pytest.approx(1.0)
        if mode == "ball":
            assert nu[i] == pytest.approx(q[i] @ V, abs=1e-7)


def test_action_values_are_linear_in_the_features():
    mdp = problem("tv", "ball")
    nu = np.array([0.3, -1.0, 2.0])
    for s, a in itertools.product(range(5), range(3)):
        expected = mdp.phi[s, a] @ (mdp.theta[2] + nu)
        assert robust_action_value(robust_model(mdp), 2, s, a, nu) == pytest.approx(expected, abs=1e-12)


def test_soft_choice():
    Q, mask = np.array([1.0, 3.0, 3.0, 9.0]), np.array([True, True, True, False])
    log_ref, pi = np.log(np.array([0.2, 0.5, 0.3, 1.0])), np.ones(4)
    assert soften(Q, mask, 0.0, log_ref, pi) == 3.0
    assert pi.tolist() == [0.0, 1.0, 0.0, 0.0]
    value = soften(Q, mask, 2.0, log_ref, pi)
    weight = np.array([0.2, 0.5, 0.3]) * np.exp(Q[:3] / 2.0)
    np.testing.assert_allclose(pi, [*weight / weight.sum(), 0.0])
    assert value == pytest.approx(2.0 * np.log(weight.sum()))
    kl = (pi[:3] * np.log(pi[:3] / np.array([0.2, 0.5, 0.3]))).sum()
    assert value == pytest.approx(pi[:3] @ Q[:3] - 2.0 * kl), "the value is what the choice attains"


@pytest.mark.parametrize("tau", [0.0, 0.5])
@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_the_optimum_is_the_value_of_its_policy_and_no_other_is_better(divergence, mode, tau):
    mdp = problem(divergence, mode)
    model, log_ref = robust_model(mdp), np.full((5, 3), -np.log(3.0))
    V, Q, pi = np.zeros((4, 5)), np.zeros((3, 5, 3)), np.zeros((3, 5, 3))
    optimise(model, tau, log_ref, V, Q, pi)
    again = np.zeros((4, 5))
    assert robust_value(model, pi, tau, log_ref, again) == pytest.approx(mdp.mu @ V[0], abs=1e-9)
    np.testing.assert_allclose(again, V, atol=1e-9)
    rng = np.random.default_rng(2)
    for _ in range(20):
        other = np.zeros((4, 5))
        robust_value(model, rng.dirichlet(np.ones(3), (3, 5)), tau, log_ref, other)
        assert (other <= V + 1e-9).all()
