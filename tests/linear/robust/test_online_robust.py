"""DR-LSVI-UCB and DR-RPO: their definition on whole runs, optimism, the doubly constrained optimum."""

import math

import numpy as np
import pytest

from eluder.core.linear import episodic
from eluder.core.robust_linear import nominal, robust, robust_optimum, robust_values
from eluder.envs import off_dynamics_linear_mdp, random_linear_mdp
from eluder.linear.robust import _dr_lsvi_ucb, _dr_rpo, dr_lsvi_ucb, dr_rpo
from tests.linear.robust import naive_robust as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0, rho=0.2, S=5, A=3, d=3, H=3, masked=True, divergence="tv"):
    mdp = robust(random_linear_mdp(S, A, d, H, concentration=0.7, rng=rng(seed)), rho, divergence)
    mask = np.ones((S, A), bool)
    mask[1, 2] = mask[3, 0] = not masked
    return mdp._replace(mask=mask)


@pytest.mark.parametrize("divergence", ["tv", "chi2"])
@pytest.mark.parametrize("seed", range(2))
def test_dr_lsvi_ucb_plays_the_policies_of_the_paper(seed, divergence):
    mdp, K, c = problem(seed, divergence=divergence), 60 if divergence == "tv" else 30, 0.02
    mdp = mdp._replace(level=rng(seed).uniform(0.0, 0.5, (3, 3)))
    result = dr_lsvi_ucb(mdp, K, c=c, lam=0.5, rng=rng(seed))
    beta = c * _dr_lsvi_ucb.radius(3, 3, K, 0.05)
    policies, upper = naive.online(mdp, episodic(nominal(mdp)).P, K, beta, 0.5, rng(seed))
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9 if divergence == "tv" else 2e-5)
    value = [mdp.mu @ robust_values(mdp, pi)[0] for pi in policies]
    np.testing.assert_allclose(result.value, value, rtol=1e-9)
    np.testing.assert_array_equal(result.pi, policies[-1].argmax(axis=-1))
    assert (result.N[:, ~mdp.mask] == 0).all()


@pytest.mark.parametrize(("eta", "divergence"), [(math.inf, "tv"), (3.0, "tv"), (3.0, "chi2")])
@pytest.mark.parametrize("seed", range(2))
def test_dr_rpo_plays_the_policies_of_the_definition(seed, eta, divergence):
    mdp, K, c = problem(seed, divergence=divergence), 60 if divergence == "tv" else 30, 0.02
    exact = divergence == "tv"
    ref = mdp.mask * rng(seed).uniform(0.2, 1.0, (5, 3))
    ref /= ref.sum(axis=1, keepdims=True)
    result = dr_rpo(mdp, K, c=c, lam=0.5, tau=0.3, eta=eta, ref=ref, rng=rng(seed))
    beta = c * _dr_rpo.radius(3, 3, K, 0.05)
    policies, upper = naive.online(mdp, episodic(nominal(mdp)).P, K, beta, 0.5, rng(seed), 0.3, eta, ref)
    np.testing.assert_allclose(result.upper, upper, rtol=1e-9 if exact else 2e-5)
    np.testing.assert_allclose(result.pi, policies[-1], atol=1e-9 if exact else 2e-5)
    value = [mdp.mu @ robust_values(mdp, pi, tau=0.3, ref=ref)[0] for pi in policies]
    np.testing.assert_allclose(result.value, value, rtol=1e-9 if exact else 2e-5)


def test_equations_by_hand():
    for module in (_dr_lsvi_ucb, _dr_rpo):
        assert module.radius(3, 4, 100, 0.1) == pytest.approx(12 * math.sqrt(math.log(2 * 3 * 4 * 100 / 0.1)))


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
@pytest.mark.parametrize("c", [0.1, 1.0])
def test_estimates_are_optimistic(c, divergence):
    for seed in range(5):
        mdp = problem(seed, divergence=divergence)
        assert (
            dr_lsvi_ucb(mdp, 200, c=c, rng=rng(seed)).upper >= mdp.mu @ robust_optimum(mdp).V[0] - 1e-9
        ).all()
        soft = mdp.mu @ robust_optimum(mdp, tau=0.2).V[0]
        assert (dr_rpo(mdp, 200, c=c, tau=0.2, rng=rng(seed)).upper >= soft - 1e-9).all()


def test_policies_become_those_of_the_dynamic_program():
    """On a problem that every policy explores: the robust optimum, and the doubly constrained one."""
    mdp = problem(2, 0.3, masked=False)
    result = dr_lsvi_ucb(mdp, 20_000, c=0.005, rng=rng())
    best = mdp.mu @ robust_optimum(mdp).V[0]
    assert (result.value <= best + 1e-9).all()
    assert result.value[-1] > best - 0.01
    for eta in (math.inf, 1.0):
        result = dr_rpo(mdp, 20_000, tau=0.2, eta=eta, c=0.005, rng=rng())
        plan = robust_optimum(mdp, tau=0.2)
        assert (result.value <= mdp.mu @ plan.V[0] + 1e-9).all()
        assert result.value[-1] > mdp.mu @ plan.V[0] - 0.003
        np.testing.assert_allclose(result.pi, plan.pi, atol=0.05)


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_much_data_give_the_exact_optimum(divergence):
    """Without a bonus and with much data the update is the dynamic program itself."""
    mdp = problem(4, 0.2, masked=False, divergence=divergence)
    result = dr_rpo(mdp, 100_000, tau=0.5, c=0.0, rng=rng())
    assert result.upper[-1] == pytest.approx(mdp.mu @ robust_optimum(mdp, tau=0.5).V[0], abs=0.02)
    assert result.value[-1] == pytest.approx(mdp.mu @ robust_optimum(mdp, tau=0.5).V[0], abs=1e-3)


def test_without_uncertainty_nothing_is_lost():
    mdp = off_dynamics_linear_mdp(0.0)
    best = robust_optimum(mdp).V[0, 0]
    assert dr_lsvi_ucb(mdp, 3000, c=0.05, rng=rng()).value.mean() > 0.98 * best


@pytest.mark.slow
def test_regret_grows_no_faster_than_declared():
    """Declared: sqrt(K) for DR-LSVI-UCB where all policies explore; DR-RPO: sublinear regret."""
    mdp, K = problem(1, 0.2, S=6, A=4, masked=False), 100_000
    k = np.unique(np.geomspace(K / 10, K, 30).astype(int)) - 1
    for name, run, best in (
        ("dr_lsvi_ucb", dr_lsvi_ucb, robust_optimum(mdp).V[0]),
        ("dr_rpo", dr_rpo, robust_optimum(mdp, tau=0.1).V[0]),
    ):
        curves = [np.cumsum(mdp.mu @ best - run(mdp, K, c=0.02, rng=rng(i)).value) for i in range(3)]
        slope = np.polyfit(np.log(k + 1), np.log(np.mean(curves, axis=0)[k]), 1)[0]
        print(f"{name} (c=0.02): slope {slope:.3f}, regret {np.mean(curves, axis=0)[-1]:.1f}")
        assert slope < 0.65
