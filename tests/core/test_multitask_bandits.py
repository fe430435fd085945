"""Bandits with a shared representation: means and books by hand, the instance, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.core.multitask_bandits import (
    MultitaskBandit,
    MultitaskLedger,
    MultitaskResult,
    multitask_ledger,
    multitask_means,
    multitask_result,
    next_contexts,
    play_tasks,
)
from eluder.envs import multitask_linear_bandits


def rng(seed=0):
    return np.random.default_rng(seed)


def bandit(sigma=0.5):
    phi = np.arange(24.0).reshape(2, 3, 2, 2) / 10
    return MultitaskBandit(phi, [[1, 0], [0, -1]], 1, [0.2, 0.5, 0.3], sigma)


def test_means_and_books_by_hand():
    b = bandit(sigma=0.0)
    means = multitask_means(b)
    assert means.shape == (2, 3, 2)
    assert means[0, 1].round(12).tolist() == [1.6, 1.8]
    assert means[1, 2].round(12).tolist() == [-2.1, -2.3]
    books, rewards = multitask_ledger(b, 2), np.zeros(2)
    assert isinstance(books, MultitaskLedger)
    play_tasks(b, books, 0, np.array([1, 2]), np.array([0, 1]), rewards, rng())
    assert rewards.round(12).tolist() == [1.6, -2.3]
    play_tasks(b, books, 1, np.array([1, 2]), np.array([1, 0]), rewards, rng())
    result = multitask_result(books, np.array([2, 0]), np.zeros(2))
    assert isinstance(result, MultitaskResult)
    np.testing.assert_allclose(result.regret, [0.4, 0.4])
    np.testing.assert_allclose(result.value, [-0.7, -1.0])
    assert result.pulls.tolist() == [2, 2]


def test_contexts_and_noise_have_their_laws():
    b, g, x = bandit(), rng(), np.zeros(2, np.int64)
    draws = []
    for _ in range(4000):
        next_contexts(b, x, g)
        draws.append(x.copy())
    for i in range(2):
        share = np.bincount(np.array(draws)[:, i], minlength=3) / 4000
        np.testing.assert_allclose(share, b.mu, atol=0.03)
    assert abs(np.corrcoef(np.array(draws).T)[0, 1]) < 0.05, "each task has its own"
    books, rewards, seen = multitask_ledger(b, 4000), np.zeros(2), []
    for t in range(4000):
        play_tasks(b, books, t, np.array([0, 1]), np.array([1, 1]), rewards, g)
        seen.append(rewards.copy())
    np.testing.assert_allclose(np.mean(seen, axis=0), [books.means[0, 0, 1], books.means[1, 1, 1]], atol=0.04)
    np.testing.assert_allclose(np.std(seen, axis=0), 0.5, atol=0.03)


def test_the_instance():
    b = multitask_linear_bandits(7, 4, k=2, d=9, X=5, A=3, sigma=0.1, rng=rng(1))
    assert b.phi.shape == (4, 5, 3, 2)
    assert b.heads.shape == (7, 2)
    np.testing.assert_allclose(np.linalg.norm(b.heads, axis=1), 1.0)
    length = np.linalg.norm(b.phi, axis=-1)
    assert length.max() <= 1 + 1e-12
    assert length.mean() > 0.6
    assert np.abs(multitask_means(b)).max() <= 1 + 1e-12
    assert {multitask_linear_bandits(1, 4, rng=rng(i)).truth for i in range(30)} == {0, 1, 2, 3}
    for change, message in (
        ({"k": 10}, r"k must be in \[1, 9\]"),
        ({"sigma": -1.0}, "sigma must be in"),
        ({"rng": 1}, "rng must be a numpy"),
    ):
        with pytest.raises(ValueError, match=message):
            multitask_linear_bandits(**{"M": 2, "N": 2, "k": 2, "d": 9, "rng": rng(), **change})


def test_bad_tables_are_refused():
    phi, heads = np.ones((2, 3, 2, 2)), np.ones((4, 2))
    for args, message in (
        ((np.ones((3, 2, 2)), heads), "phi must have shape"),
        ((phi, np.ones((4, 3))), r"heads must have shape \(n >= 1, 2\)"),
        ((phi, heads, 2), r"truth must be in \[0, 1\]"),
        ((phi, heads, 0, [0.5, 0.6, 0.0]), "mu sums to 1.1"),
        ((phi, heads, 0, None, -1.0), "sigma must be in"),
    ):
        with pytest.raises(ValueError, match=message):
            MultitaskBandit(*args)
    with pytest.raises(ValueError, match="truth must be in"):
        MultitaskBandit(phi, heads)._replace(truth=7)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["phi", "heads"]),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e300]),
    st.integers(0, 7),
)
def test_a_bad_entry_is_named(name, value, place):
    tables = {"phi": np.ones((2, 1, 2, 2)), "heads": np.ones((4, 2))}
    index = np.unravel_index(place, tables[name].shape)
    tables[name][index] = value
    where = ", ".join(str(i) for i in index)
    with pytest.raises(ValueError, match=rf"{name}\[{where}\] is "):
        MultitaskBandit(**tables)
