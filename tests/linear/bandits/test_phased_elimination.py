"""Phased elimination: plays by hand, whole runs, what is kept and when, the order of the regret."""

import math

import numpy as np
import pytest

from eluder.core.design import optimal_design
from eluder.core.guarantees import guarantee
from eluder.core.linear_bandits import linear_ledger, linear_means
from eluder.envs import linear_bandit, random_linear_bandit
from eluder.linear.bandits import _phased_elimination as module
from eluder.linear.bandits import phased_elimination
from tests.linear.bandits import naive_linear as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def test_equations_by_hand():
    # 2 * 3 * (2 / 0.5)^2 ln(10 * 2 * 3 / 0.1) = 96 ln 600 = 614.1...
    n = module.plays(np.array([0.25, 0.75, 0.0, 1e-9]), 3.0, 0.5, 10, 2, 2.0, 0.1)
    assert n.tolist() == [math.ceil(24 * math.log(600)), math.ceil(72 * math.log(600)), 0, 1]
    assert module.plays(np.array([1.0, 0.0]), 1.0, 0.5, 2, 1, 0.0, 0.1).tolist() == [1, 0]
    phi, n = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([4, 2, 0])
    # theta = (0.5, -0.2), estimates 0.5, -0.2, 0.3
    assert module.survivors(phi, n, np.array([2.0, -0.4, 0.0]), 0.11).tolist() == [True, False, True]
    assert module.survivors(phi, n, np.array([2.0, -0.4, 0.0]), 0.09).tolist() == [True, False, False]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_its_definition(seed):
    g = rng(seed)
    phi = g.standard_normal((8, 2)) @ g.standard_normal((2, 3)) if seed == 3 else g.standard_normal((8, 3))
    bandit = linear_bandit(phi, g.random(3), sigma=0.3)

    def design(arms):
        found = optimal_design(arms, tol=0.1)
        return found.pi, found.width

    play = naive.phased_elimination(bandit, 3000, design, 0.3, 2.0, 0.1, rng(seed))
    result = phased_elimination(bandit, 3000, scale=2.0, delta=0.1, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(play.arms, minlength=8))
    np.testing.assert_allclose(result.regret, np.cumsum(play.gaps)[result.checkpoints - 1], atol=1e-9)
    assert (result.pulls > 0).sum() >= 1


def test_the_best_arm_stays_and_the_bad_go():
    delta, scale, lost, T = 0.1, 1.0, 0, 30_000
    for seed in range(200):
        bandit = random_linear_bandit(15, 3, sigma=0.5, rng=rng(seed))
        means = linear_means(bandit)
        history = module._run(bandit, T, 0.5, scale, 0.1, delta, linear_ledger(bandit, T), rng(seed))
        gaps = means.max() - means
        bad = any(gaps[arms].max() > 4 * scale * 2.0**-phase for phase, arms in enumerate(history[1:], 1))
        lost += bad or any(int(means.argmax()) not in arms for arms in history)
    assert lost <= 200 * delta
    assert phased_elimination(linear_bandit([[0.0], [0.0]], [1.0]), 10, rng=rng()).pulls.tolist() == [10, 0]


def test_regret_is_that_of_its_phases():
    """On the good event: a phase costs 4 eps of the one before in each round, the first 2."""
    bandit, T = random_linear_bandit(30, 4, rng=rng(1)), 50_000
    design = optimal_design(bandit.phi, tol=0.1)
    limit, left, phase = 0.0, T, 1
    while left > 0:
        eps = 2.0**-phase
        # any later set of arms has a width of at most (1 + tol) d and a support of at most 30
        n = min(left, 2 * 1.1 * 4 / eps**2 * math.log(30 * phase * (phase + 1) / 0.05) + 30)
        limit += n * min(2.0, 8 * eps)
        left, phase = left - n, phase + 1
    assert design.width <= 1.1 * 4
    runs = [phased_elimination(bandit, T, rng=rng(i)).regret[-1] for i in range(20)]
    assert max(runs) < limit


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    """One arm of the cross is better by sqrt(d / T) times a constant: the slope is 1 / 2."""
    sizes, d = np.array([20_000, 80_000, 320_000, 1_280_000, 5_120_000]), 4
    regret = []
    for T in sizes:
        theta = np.zeros(d)
        theta[0] = 60 * math.sqrt(d / T)
        bandit = linear_bandit(np.vstack([np.eye(d), -np.eye(d)]), theta)
        regret.append(np.mean([phased_elimination(bandit, int(T), rng=rng(i)).regret[-1] for i in range(20)]))
    assert (np.array(regret) < 0.3 * 60 * np.sqrt(d * sizes)).all(), "the bad arms are eliminated"
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"phased_elimination: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(phased_elimination).exponent == 0.5
    assert abs(slope - 0.5) < 0.08
