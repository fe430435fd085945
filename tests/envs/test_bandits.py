"""Bandit instances."""

import numpy as np
import pytest

from eluder import envs
from eluder.core.bandits import LAWS, best_value


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("bernoulli_bandit", "bernoulli"),
        ("gaussian_bandit", "gaussian"),
        ("bounded_bandit", "beta"),
        ("exponential_bandit", "exponential"),
        ("poisson_bandit", "poisson"),
        ("heavy_tailed_bandit", "pareto"),
    ],
)
def test_stochastic_instances(name, law):
    make = getattr(envs, name)
    bandit = make([0.2, 0.7, 0.4])
    assert LAWS[bandit.law] == law
    np.testing.assert_array_equal(bandit.means, [[0.2, 0.7, 0.4]])
    assert bandit.starts.tolist() == [0]
    with pytest.raises(ValueError, match=r"means must have shape \(n >= 1\)"):
        make([[0.2, 0.7]])
    with pytest.raises(ValueError, match=r"means\[1\] is nan"):
        make([0.2, np.nan])


def test_piecewise_bandit_compares_with_the_best_arm_of_each_round():
    bandit = envs.piecewise_bandit([[0.2, 0.8], [0.9, 0.1]], starts=[0, 4])
    assert best_value(bandit, np.array([8]))[0] == pytest.approx(4 * 0.8 + 4 * 0.9)
    with pytest.raises(ValueError, match="means must have shape"):
        envs.piecewise_bandit([0.2, 0.8], starts=[0])


def test_adversarial_bandit_compares_with_the_best_fixed_arm():
    rewards = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    bandit = envs.adversarial_bandit(rewards)
    np.testing.assert_allclose(best_value(bandit, np.arange(1, 4)), [1.0, 1.0, 2.0])
    with pytest.raises(ValueError, match=r"rewards\[1, 0\] is 1.5"):
        envs.adversarial_bandit([[0.0, 1.0], [1.5, 0.0]])


def test_stochastically_constrained_bandit_keeps_its_gap():
    bandit = envs.stochastically_constrained_bandit(4, 10_000, gap=0.1)
    np.testing.assert_allclose(bandit.means[:, 0] - bandit.means[:, 1:].max(axis=1), 0.1)
    np.testing.assert_allclose(bandit.means[0::2, 0], 1.0)
    np.testing.assert_allclose(bandit.means[1::2, 0], 0.1)
    length = np.diff(bandit.starts)
    assert bandit.starts[-1] < 10_000
    np.testing.assert_allclose(length[4:] / length[3:-1], 1.6, atol=0.15)
    for change, message in (
        ({"A": 1}, "A must be at least 2"),
        ({"gap": 1.0}, "gap"),
        ({"growth": 1.0}, "growth"),
    ):
        with pytest.raises(ValueError, match=message):
            envs.stochastically_constrained_bandit(**{"A": 3, "T": 10, **change})
