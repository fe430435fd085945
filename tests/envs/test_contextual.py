"""Contextual instances: what their names promise, and what they refuse."""

import numpy as np
import pytest

from eluder.core.contextual import ContextualBandit
from eluder.envs import contextual_bandit, finite_class_bandit, linear_class_bandit, logistic_bandit


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_one_table_of_a_finite_class_is_true(seed):
    b = finite_class_bandit(3, 2, 8, rng=rng(seed))
    assert b.models.shape == (8, 3, 2)
    assert (b.models == b.means).all(axis=(1, 2)).sum() == 1
    assert b.mask.all()
    np.testing.assert_allclose(b.mu, 1 / 3)


def test_every_table_of_a_class_can_be_true():
    drawn = [finite_class_bandit(2, 2, 4, rng=rng(seed)) for seed in range(60)]
    place = [np.argmax((b.models == b.means).all(axis=(1, 2))) for b in drawn]
    assert set(place) == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(5))
def test_means_of_a_linear_class_are_linear(seed):
    b = linear_class_bandit(3, 2, 4, rng=rng(seed))
    theta = np.linalg.lstsq(b.phi.reshape(-1, 4), b.means.ravel(), rcond=None)[0]
    np.testing.assert_allclose(b.phi @ theta, b.means, atol=1e-12)
    np.testing.assert_allclose(b.phi.sum(axis=2), 1)
    assert 0 <= theta.min() <= theta.max() <= 1


def test_means_of_a_logistic_bandit_are_logistic_and_action_sets_differ():
    b = logistic_bandit(50, 6, 10, rng=rng())
    logit = np.log(b.means / (1 - b.means))
    theta = np.linalg.lstsq(b.phi.reshape(-1, 10), logit.ravel(), rcond=None)[0]
    np.testing.assert_allclose(b.phi @ theta, logit, atol=1e-9)
    assert np.linalg.norm(theta) == pytest.approx(1.5)
    assert set(b.mask.sum(axis=1)) == {2, 3, 4, 5, 6}
    assert (b.phi[:, :, -1] == 1).all()
    assert logistic_bandit(50, 6, 10, least=6, rng=rng()).mask.all()


@pytest.mark.parametrize("make", [finite_class_bandit, linear_class_bandit, logistic_bandit])
def test_same_seed_same_problem(make):
    one, same, other = (make(4, 3, 5, rng=rng(seed)) for seed in (1, 1, 2))
    for x, y in zip(one, same):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(one.means, other.means)
    assert one.law == ContextualBandit(one.means).law


@pytest.mark.parametrize("make", [finite_class_bandit, linear_class_bandit, logistic_bandit])
def test_generated_problems_refuse_bad_numbers(make):
    with pytest.raises(ValueError, match="X must be at least 1"):
        make(0, 3, 5, rng=rng())
    with pytest.raises(ValueError, match="A must be at least 1"):
        make(4, 0, 5, rng=rng())
    with pytest.raises(ValueError, match=r"[Nd] must be at least 1"):
        make(4, 3, 0, rng=rng())
    with pytest.raises(ValueError, match=r"rng must be a numpy\.random\.Generator"):
        make(4, 3, 5, rng=0)


def test_logistic_bandit_refuses_what_it_cannot_offer():
    with pytest.raises(ValueError, match=r"least must be in \[1, 6\]"):
        logistic_bandit(least=7, rng=rng())
    with pytest.raises(ValueError, match=r"scale must be in \(0, inf"):
        logistic_bandit(scale=0.0, rng=rng())


def test_given_tables_are_checked():
    with pytest.raises(ValueError, match=r"mask\[1\] has no available action"):
        contextual_bandit([[0.1, 0.2], [0.3, 0.4]], mask=[[1, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"mask\[0, 1\] is 0.5, it must be True or False"):
        contextual_bandit([[0.1, 0.2]], mask=[[1, 0.5]])
    with pytest.raises(ValueError, match=r"means\[0, 1\] is 1.2"):
        contextual_bandit([[0.1, 1.2]])
    with pytest.raises(ValueError, match=r"models\[0, 0, 1\] is -0.1"):
        contextual_bandit([[0.1, 0.2]], models=[[[0.1, -0.1]]])
    with pytest.raises(ValueError, match=r"phi\[0, 1, 0\] is nan"):
        contextual_bandit([[0.1, 0.2]], phi=[[[1.0], [np.nan]]])
    with pytest.raises(ValueError, match="phi"):
        contextual_bandit([[0.1, 0.2]], phi=[[[1.0]]])
    with pytest.raises(ValueError, match=r"mu sums to 0.9"):
        contextual_bandit([[0.1], [0.2]], [0.5, 0.4])
    with pytest.raises(ValueError, match="law must be 'bernoulli' or 'fixed', got 'x'"):
        contextual_bandit([[0.1]], law="x")
