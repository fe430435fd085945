"""Linear learners on sets of arms that change: whole runs, one context, coverage, bounds, rates."""

import numpy as np
import pytest

from eluder.core.contextual_linear_bandits import ContextualLinearBandit, contextual_linear_means
from eluder.envs import contextual_linear_bandit, linear_bandit, random_linear_bandit
from eluder.linear.bandits import (
    _glm_ucb,
    _lin_ucb,
    glm_ucb,
    lin_ts,
    lin_ucb,
    phased_elimination,
    weighted_oful,
)
from tests.linear.bandits import naive_changing as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def changing(seed, link="identity"):
    """Contexts that are not equally likely, noise that differs, and a last arm that is the first again."""
    g = rng(seed)
    phi = g.standard_normal((4, 3, 2))
    phi[1, 2] = phi[1, 0]
    phi[2, 1] = 0.0
    law = "bernoulli" if link == "logistic" else "gaussian"
    return ContextualLinearBandit(
        phi, g.standard_normal(2), g.dirichlet(np.ones(4)), link, law, 0.2 + g.random((4, 3))
    )


def agree(result, play, A=3):
    np.testing.assert_array_equal(result.pulls, np.bincount(play.arms, minlength=A))
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)


@pytest.mark.parametrize("switch", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(3))
def test_lin_ucb_is_its_definition(seed, switch):
    bandit = changing(seed)
    play = naive.lin_ucb(bandit, 200, 0.5, 2.0, 0.7, switch, 0.1, rng(seed))
    agree(lin_ucb(bandit, 200, lam=0.5, S=2.0, sigma=0.7, switch=switch, delta=0.1, rng=rng(seed)), play)


@pytest.mark.parametrize("seed", range(3))
def test_lin_ts_is_its_definition(seed):
    bandit = changing(seed)
    play = naive.lin_ts(bandit, 200, 0.5, 2.0, 0.7, 0.1, rng(seed))
    agree(lin_ts(bandit, 200, lam=0.5, S=2.0, sigma=0.7, delta=0.1, rng=rng(seed)), play)


@pytest.mark.parametrize("link", ["identity", "logistic"])
@pytest.mark.parametrize("seed", range(2))
def test_glm_ucb_is_its_definition(seed, link):
    bandit = changing(seed, link)
    play = naive.glm_ucb(bandit, 50, 0.5, 4.0, 0.5, 0.2, 5, 0.1, 0.3, rng(seed))
    result = glm_ucb(bandit, 50, lam=0.5, S=4.0, sigma=0.5, kappa=0.2, tau=5, delta=0.1, c=0.3, rng=rng(seed))
    agree(result, play)


@pytest.mark.parametrize("gamma", [0.0, 0.8])
@pytest.mark.parametrize("seed", range(2))
def test_weighted_oful_is_its_definition(seed, gamma):
    bandit = changing(seed)
    play = naive.weighted_oful(bandit, 200, 0.5, 2.0, bandit.sigma, 0.1, gamma, 0.1, rng(seed))
    agree(weighted_oful(bandit, 200, lam=0.5, S=2.0, alpha=0.1, gamma=gamma, delta=0.1, rng=rng(seed)), play)


@pytest.mark.parametrize("learner", [lin_ucb, lin_ts, glm_ucb, weighted_oful])
def test_a_fixed_set_is_one_context(learner):
    fixed = random_linear_bandit(6, 3, rng=rng(1))
    single = ContextualLinearBandit(fixed.phi[None], fixed.theta)
    a, b = (learner(bandit, 300, rng=rng(2)) for bandit in (fixed, single))
    np.testing.assert_array_equal(a.regret, b.regret)
    np.testing.assert_array_equal(a.pulls, b.pulls)


@pytest.mark.parametrize("learner", [lin_ucb, lin_ts, weighted_oful])
def test_means_must_be_linear(learner):
    with pytest.raises(ValueError, match=f"{learner.__name__} needs means linear in phi, the link"):
        learner(changing(0, "logistic"), 10, rng=rng())
    with pytest.raises(
        ValueError, match="bandit must be a LinearBandit or a ContextualLinearBandit, got int"
    ):
        learner(3, 10, rng=rng())


def test_a_fixed_set_is_asked_for_where_a_design_needs_one():
    with pytest.raises(ValueError, match="bandit must be a LinearBandit, got ContextualLinearBandit"):
        phased_elimination(changing(0), 10, rng=rng())


def test_the_noise_of_each_arm_in_each_context():
    bandit = changing(0)
    with pytest.raises(ValueError, match=r"sigma\[1, 2\] is -1"):
        weighted_oful(bandit, 10, sigma=np.where(np.arange(12).reshape(4, 3) == 5, -1, 1), rng=rng())
    with pytest.raises(ValueError, match=r"sigma must have shape \(4, 3\)"):
        weighted_oful(bandit, 10, sigma=np.ones(3), rng=rng())


@pytest.mark.parametrize("switch", [0.0, 1.0])
def test_regret_is_below_the_bounds(switch):
    T = 2000
    for seed in range(5):
        bandit = contextual_linear_bandit(30, 5, 4, rng=rng(seed))
        assert lin_ucb(bandit, T, switch=switch, rng=rng(seed)).regret[-1] < _lin_ucb.bound(
            4, T, 0.05, switch=switch
        )
    bandit = contextual_linear_bandit(10, 4, 2, link="logistic", rng=rng(3))
    assert glm_ucb(bandit, 500, rng=rng()).regret[-1] < _glm_ucb.bound(2, 500, 0.05)


def test_what_one_context_teaches_holds_in_all():
    """A context that never came before is played well: the learner knows theta, not the table of means."""
    bandit = contextual_linear_bandit(2000, 5, 3, sigma=0.1, rng=rng(0))
    run = lin_ucb(bandit, 4000, rng=rng(1))
    late = (run.regret[-1] - run.regret[run.checkpoints.searchsorted(2000)]) / 2000
    means = contextual_linear_means(bandit)
    blind = (means.max(axis=1) - means.mean(axis=1)).mean()
    assert late < 0.02 * blind
    assert lin_ts(bandit, 4000, c=0.2, rng=rng(1)).regret[-1] < 0.1 * 4000 * blind


def test_the_best_fixed_arm_is_not_the_comparator():
    bandit = ContextualLinearBandit([[[1.0], [0.0]], [[0.0], [1.0]]], [1.0], sigma=0.1)
    run = lin_ucb(bandit, 2000, rng=rng())
    assert run.value[-1] > 1900
    assert run.regret[-1] < 100
    assert run.regret[-1] == pytest.approx(2000 - run.value[-1])
    fixed = linear_bandit([[1.0], [0.0]], [1.0], sigma=0.1)
    assert lin_ucb(fixed, 100, rng=rng()).value[-1] > 90


# --- rates ---


def hard(T, X=8, d=4):
    """Each context offers two corners of a cube; theta has entries of size 1 / sqrt(T)."""
    g = rng(7)
    corners = np.where(g.random((X, 2, d)) < 0.5, -1.0, 1.0) / np.sqrt(d)
    return ContextualLinearBandit(corners, 2 * np.where(g.random(d) < 0.5, -1.0, 1.0) / np.sqrt(T))


@pytest.mark.slow
@pytest.mark.parametrize("learner", [lin_ucb, lin_ts, weighted_oful])
def test_regret_grows_as_declared(learner):
    sizes = np.array([4_000, 16_000, 64_000, 256_000])
    regret = [
        np.mean([learner(hard(int(T)), int(T), c=0.5, rng=rng(i)).regret[-1] for i in range(20)])
        for T in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"{learner.__name__}, contexts: slope {slope:.3f}, regret {np.round(regret)}")
    assert abs(slope - 0.5) < 0.08
