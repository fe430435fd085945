"""Changing sets of arms: means and books by hand, the instance, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.core.contextual_linear_bandits import (
    ContextualLinearBandit,
    contextual_linear_ledger,
    contextual_linear_means,
    flattened,
    linear_problem,
)
from eluder.core.linear_bandits import LinearBandit, linear_result, next_arms, play_linear
from eluder.envs import contextual_linear_bandit


def rng(seed=0):
    return np.random.default_rng(seed)


def bandit(**changes):
    phi = [[[1, 0], [0, 1]], [[2, 1], [1, 1]], [[0, 3], [1, -1]]]
    return ContextualLinearBandit(phi, [0.5, -0.2], [0.2, 0.5, 0.3], **changes)


def test_means_and_books_by_hand():
    b = bandit(sigma=0.0)
    np.testing.assert_allclose(contextual_linear_means(b), [[0.5, -0.2], [0.8, 0.3], [-0.6, 0.7]])
    np.testing.assert_allclose(
        contextual_linear_means(bandit(link="logistic"))[0], 1 / (1 + np.exp([-0.5, 0.2]))
    )
    books, flat = contextual_linear_ledger(b, 3), flattened(b)
    assert books.top.tolist() == [0, 2, 5]
    rewards = [play_linear(flat, books, t, a, rng()) for t, a in enumerate((1, 2, 4))]
    np.testing.assert_allclose(rewards, [-0.2, 0.8, -0.6])
    result = linear_result(books)
    np.testing.assert_allclose(result.regret, np.cumsum([0.7, 0.0, 1.3])[result.checkpoints - 1])
    assert result.pulls.tolist() == [2, 1]


def test_contexts_have_their_law_and_one_context_is_not_drawn():
    books, g = contextual_linear_ledger(bandit(), 10), rng()
    draws = [next_arms(books, g) for _ in range(4000)]
    assert set(draws) == {(0, 2), (2, 4), (4, 6)}
    share = np.bincount([low // 2 for low, _ in draws]) / 4000
    np.testing.assert_allclose(share, [0.2, 0.5, 0.3], atol=0.03)
    fixed, a, b = LinearBandit([[1.0], [2.0]], [1.0]), rng(1), rng(1)
    assert next_arms(contextual_linear_ledger(fixed, 10), a) == (0, 2)
    assert a.random() == b.random()


def test_flattened():
    b = bandit(sigma=np.arange(6.0).reshape(3, 2))
    flat = flattened(b)
    assert isinstance(flat, LinearBandit)
    assert flat.phi[3].tolist() == [1, 1]
    assert flat.sigma.tolist() == [0, 1, 2, 3, 4, 5]
    assert flattened(flat) is flat
    assert linear_problem(b) is b


def test_the_instance():
    b = contextual_linear_bandit(40, 5, 3, S=2.0, sigma=0.3, rng=rng())
    np.testing.assert_allclose(np.linalg.norm(b.phi, axis=-1), 1.0)
    assert np.linalg.norm(b.theta) == pytest.approx(2.0)
    assert (b.sigma == 0.3).all()
    assert (b.link, b.law) == (0, LinearBandit([[1.0]], [1.0]).law)
    clicks = contextual_linear_bandit(4, 5, 3, link="logistic", rng=rng())
    assert clicks.link == clicks.law == 1
    for change, message in (
        ({"X": 0}, "X must be at least 1"),
        ({"S": -1.0}, "S must be in"),
        ({"sigma": -1.0}, "sigma must be in"),
        ({"link": "x"}, "link must be one of identity, logistic"),
        ({"rng": 1}, "rng must be a numpy"),
    ):
        with pytest.raises(ValueError, match=message):
            contextual_linear_bandit(**{"X": 2, "A": 2, "d": 2, "rng": rng(), **change})


def test_bad_tables_are_refused():
    phi = np.ones((2, 3, 2))
    for args, message in (
        ((phi[0], [1, 1]), "phi must have shape"),
        ((phi, [1, 1, 1]), r"theta must have shape \(2\)"),
        ((phi, [1, 1], [0.5, 0.6]), "mu sums to 1.1"),
        ((phi, [1, 1], None, "identity", "x"), "law must be one of bernoulli, gaussian"),
        ((phi, [1, 1], None, "identity", "gaussian", np.ones(3)), r"sigma must have shape \(2, 3\)"),
        ((phi, [1, 1], None, "identity", "bernoulli"), "the mean of action 0 in context 0 is 2"),
    ):
        with pytest.raises(ValueError, match=message):
            ContextualLinearBandit(*args)
    with pytest.raises(ValueError, match="mu sums to 2"):
        bandit()._replace(mu=[1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="lin_ucb needs means linear in phi"):
        linear_problem(bandit(link="logistic"), "lin_ucb")


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["phi", "theta", "sigma"]),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e300]),
    st.integers(0, 11),
)
def test_a_bad_entry_is_named(name, value, place):
    tables = {"phi": np.ones((2, 3, 2)), "theta": np.ones(2), "sigma": np.ones((2, 3))}
    index = np.unravel_index(place % tables[name].size, tables[name].shape)
    tables[name][index] = value
    where = ", ".join(str(i) for i in index)
    with pytest.raises(ValueError, match=rf"{name}\[{where}\] is "):
        ContextualLinearBandit(**tables)
