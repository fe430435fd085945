"""R2PVI and DRPVI: their definition, pessimism and the suboptimality bound with exact values, deployment."""

import itertools
import math

import numpy as np
import pytest

from eluder.core.divergences import penalised, worst_case
from eluder.core.exact import occupancy, policy_value
from eluder.core.linear import episodic
from eluder.core.robust_linear import nominal, robust, robust_optimum, robust_values
from eluder.core.robust_nature import worst_factors
from eluder.core.transitions import collect_episodes
from eluder.envs import american_put, off_dynamics_linear_mdp, perturbed_linear_mdp, random_linear_mdp
from eluder.linear.offline import pevi
from eluder.linear.robust import _drpvi, _r2pvi, drpvi, r2pvi, va_drpvi, va_r2pvi
from tests.linear.robust import naive_robust as naive

EVERY = list(itertools.product(["tv", "kl", "chi2"], ["ball", "penalty"]))


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(divergence, mode, seed=0, level=0.3, S=5, A=3, d=3, H=3):
    return robust(random_linear_mdp(S, A, d, H, concentration=0.7, rng=rng(seed)), level, divergence, mode)


def learner(mdp):
    return drpvi if mdp.mode == "ball" else r2pvi


def uniform(mdp, K, seed=0):
    pi = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    return collect_episodes(episodic(nominal(mdp)), pi, K, rng(seed))


def radii(mdp, K, delta=0.05):
    """beta of each stage and factor, for c = 1."""
    H, d, _ = mdp.psi.shape
    if mdp.mode == "ball":
        return np.full((H, d), _drpvi.radius(d, H, K, delta))
    return _r2pvi.radius(mdp.divergence, d, H, K, delta, mdp.level)


def suboptimality_bound(mdp, result):
    """2 sum_h E[penalty] under the optimal policy and nature's answer to the estimates: the proof's bound."""
    V = np.vstack([result.V, np.zeros(mdp.mu.size)])
    model = nominal(mdp)._replace(psi=worst_factors(mdp, V))
    visits = occupancy(episodic(model), robust_optimum(mdp).pi)
    return 2 * (result.penalty * visits).sum()


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
@pytest.mark.parametrize("c", [0.0, 0.002])
def test_definition(divergence, mode, c):
    mask = np.ones((5, 3), bool)
    mask[2, 1] = mask[4, 0] = False
    for seed in range(2):
        mdp = problem(divergence, mode, seed)._replace(mask=mask, level=rng(seed).uniform(0.1, 0.6, (3, 3)))
        data = uniform(mdp, 60, seed)
        result = learner(mdp)(mdp, data, c=c, lam=0.7)
        V, pi = naive.offline(mdp, data, c * radii(mdp, 60), 0.7)
        np.testing.assert_allclose(
            result.V, V, atol=1e-9 if divergence == "tv" or mode == "penalty" else 2e-5
        )
        np.testing.assert_array_equal(result.pi, pi)
        assert np.isneginf(result.Q[:, 2, 1]).all()


def test_equations_by_hand():
    xi = 2 * math.log(1024 * 3 * 2 * 100**2 / 0.1)
    assert _r2pvi.log_term(4, 3, 100, 0.1) == pytest.approx(xi)
    assert _drpvi.radius(4, 3, 100, 0.1) == pytest.approx(24 * math.sqrt(math.log(72_000)))
    w = np.array([0.5, 2.0])
    tv, kl, chi2 = (_r2pvi.radius(x, 4, 3, 100, 0.1, w) for x in ("tv", "kl", "chi2"))
    np.testing.assert_allclose(tv, 16 * 12 * math.sqrt(xi))
    np.testing.assert_allclose(
        kl, [32 * math.exp(6) * math.sqrt(6 + xi), 128 * math.exp(1.5) * math.sqrt(1.5 + xi)]
    )
    np.testing.assert_allclose(chi2, [8 * 36 * 3 * math.sqrt(xi), 8 * 36 * 1.5 * math.sqrt(xi)])
    assert np.isfinite(_r2pvi.radius("kl", 4, 3, 100, 0.1, np.array([1e-9]))).all()


def backup(mdp, V):
    """The exact robust action values of one stage before values V (H + 1, S) of the estimates."""
    f = worst_case if mdp.mode == "ball" else penalised
    nu = [
        [f(p, following, x, mdp.divergence).value for p, x in zip(factors, level, strict=True)]
        for factors, level, following in zip(mdp.psi, mdp.level, V[1:], strict=True)
    ]
    return np.einsum("sai,hi->hsa", mdp.phi, mdp.theta + np.array(nu))


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_values_are_pessimistic_and_the_bound_holds(divergence, mode):
    """With so many data that the theorem's radius (a part of it, for penalties) leaves values to speak of."""
    said = []
    for seed in range(5):
        mdp = problem(divergence, mode, seed, 0.1 if mode == "ball" else 1.0, S=4, d=2, H=2)
        result = learner(mdp)(mdp, uniform(mdp, 200_000, seed), c=1.0 if mode == "ball" else 0.03)
        said.append(result.V[0].max())
        value = robust_values(mdp, result.pi)[0]
        assert (result.V[0] <= value + 1e-9).all()
        gap = mdp.mu @ (robust_optimum(mdp).V[0] - value)
        assert gap <= suboptimality_bound(mdp, result) + 1e-9
        cut = (result.Q <= 0) | (result.Q >= [[[2]], [[1]]])
        error = result.Q + result.penalty - backup(mdp, np.vstack([result.V, np.zeros(4)]))
        assert (np.abs(error) <= result.penalty)[~cut].all()
    assert np.mean(np.array(said) > 0.2) > 0.6


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_few_data_and_the_full_radius_promise_nothing_false(divergence, mode):
    for seed in range(5):
        mdp = problem(divergence, mode, seed)
        result = learner(mdp)(mdp, uniform(mdp, 200, seed))
        assert (result.V[0] <= robust_values(mdp, result.pi)[0] + 1e-9).all()


def test_the_penalty_is_by_coordinate():
    """beta sum_i phi_i sqrt((Lambda^-1)_ii), at least the usual beta |phi|_{Lambda^-1}: a triangle."""
    mdp = problem("tv", "ball")
    data = uniform(mdp, 100)
    result = drpvi(mdp, data, lam=2.0)
    F = mdp.phi[data.s[:, 1], data.a[:, 1]]
    inverse = np.linalg.inv(2.0 * np.eye(3) + F.T @ F)
    beta = _drpvi.radius(3, 3, 100, 0.05)
    np.testing.assert_allclose(result.penalty[1], beta * mdp.phi @ np.sqrt(np.diag(inverse)))
    width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, inverse, mdp.phi))
    assert (result.penalty[1] >= beta * width - 1e-9).all()


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_many_data_find_the_robust_optimum(divergence, mode):
    mdp = problem(divergence, mode, 3)
    plan = robust_optimum(mdp)
    data = [uniform(mdp, 20_000, i) for i in range(5)]
    results = [learner(mdp)(mdp, log, c=0.0, lam=1e-3) for log in data]
    values = [robust_values(mdp, result.pi)[0] for result in results]
    assert 0 <= mdp.mu @ (plan.V[0] - np.mean(values, axis=0)) < 0.006
    np.testing.assert_allclose(np.mean([result.V[0] for result in results], axis=0), plan.V[0], atol=0.01)


def test_deployed_in_another_problem_it_holds_what_it_promised():
    """Trained in the nominal problem; where the good state fails PEVI falls, the robust policy less."""
    mdp = off_dynamics_linear_mdp(0.6)
    data = uniform(mdp, 3000)
    robustly, plainly = drpvi(mdp, data, c=0.0).pi, pevi(nominal(mdp), data, c=0.0).pi
    value = {
        q: [policy_value(episodic(perturbed_linear_mdp(q)), pi)[0, 0] for pi in (robustly, plainly)]
        for q in (0.0, 0.6, 0.9)
    }
    assert value[0.0][0] < value[0.0][1]
    assert value[0.6][0] > value[0.6][1] + 0.03
    assert value[0.9][0] > value[0.9][1] + 0.1


def test_put_option_is_stopped_well_from_data():
    mdp = american_put(0.05, "kl", H=10)
    result = drpvi(mdp, uniform(mdp, 4000), c=0.0, lam=0.1)
    gap = mdp.mu @ (robust_optimum(mdp).V[0] - robust_values(mdp, result.pi)[0])
    assert 0 <= gap < 0.01


@pytest.mark.parametrize("level", [0.0, 5e-324, 1e-30, 1.0, 1e10, 1e300, 1e308])
@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_extremes_give_numbers_or_are_refused(divergence, mode, level):
    """Levels, ridges, scales; one stage and factor, a state that no factor reaches; data too few for all."""
    if mode == "penalty" and level == 0:
        return
    linear = random_linear_mdp(4, 3, 3, 3, concentration=0.5, rng=rng(0))
    psi = np.roll(np.where(np.arange(4) == 0, 0.0, linear.psi + 1e-3), 1, axis=-1)
    point = random_linear_mdp(2, 1, 1, 1, rng=rng(0))
    weighted = va_drpvi if mode == "ball" else va_r2pvi
    for plain in (linear._replace(psi=psi / psi.sum(axis=-1, keepdims=True)), point):
        mdp = robust(plain, level, divergence, mode)
        optimum, data = robust_optimum(mdp).V, uniform(mdp, 7)
        assert ((optimum >= -1e-9) & (optimum <= mdp.H + 1e-9)).all()
        for run, lam, c in itertools.product(
            (learner(mdp), weighted), (1e-9, 1.0, 1e300), (0.0, 0.001, 1e308)
        ):
            message = ""
            try:
                result = run(mdp, data, lam=lam, c=c)
            except ValueError as error:
                message = str(error)
            if message:
                assert message.startswith(f"c = {c:g} makes the radius")
                continue
            assert ((result.V >= 0) & (result.V <= mdp.H)).all()
            assert np.isfinite(result.penalty).all()


@pytest.mark.slow
@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_certificate_and_error_fall_like_one_over_the_root(divergence, mode):
    """Declared: 1 / sqrt(K) for data that cover: the theorem's bound, and the error without penalties."""
    mdp, sizes = problem(divergence, mode, 1), np.array([2_000, 8_000, 32_000, 128_000])
    best, run = robust_optimum(mdp).V[0], learner(mdp)
    bound, error = [], []
    for K in sizes:
        data = [uniform(mdp, int(K), i) for i in range(16)]
        scale = 1e-3 / radii(mdp, int(K)).max()  # the radius holds ln K, which is divided out
        bound.append(np.mean([suboptimality_bound(mdp, run(mdp, log, c=scale)) for log in data[:3]]))
        error.append(np.mean([np.abs(run(mdp, log, c=0.0, lam=1e-3).V[0] - best) for log in data]))
    slopes = [np.polyfit(np.log(sizes), np.log(x), 1)[0] for x in (bound, error)]
    print(f"{divergence} {mode}: slope of the certificate {slopes[0]:.3f}, of the error {slopes[1]:.3f}")
    assert abs(slopes[0] + 0.5) < 0.03
    assert abs(slopes[1] + 0.5) < 0.12
