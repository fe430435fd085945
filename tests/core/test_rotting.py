"""Tests of core/rotting.py: the comparator against all ways to share the plays."""

import itertools

import numpy as np
import pytest

from eluder.core.bandits import ledger
from eluder.core.rotting import (
    RottingBandit,
    pull,
    refuse_not_rotting,
    rotting_best_value,
    rotting_result,
)
from eluder.envs import rotting_bandit


def random_bandit(seed, N=4, A=3):
    means = np.random.default_rng(seed).random((N, A)).round(2)
    return rotting_bandit(np.sort(means, axis=0)[::-1])


@pytest.mark.parametrize("seed", range(6))
def test_comparator_is_the_best_of_all_pull_counts(seed):
    bandit = random_bandit(seed)
    _N, A = bandit.means.shape
    longest = 9
    column = np.concatenate([bandit.means, np.repeat(bandit.means[-1:], longest, axis=0)])
    sums = np.concatenate([np.zeros((1, A)), np.cumsum(column, axis=0)])
    for n in range(1, longest + 1):
        best = max(
            sum(sums[count, a] for a, count in enumerate(counts))
            for counts in itertools.product(range(n + 1), repeat=A)
            if sum(counts) == n
        )
        assert rotting_best_value(bandit, np.array([n]))[0] == pytest.approx(best, abs=1e-12)


def test_pull_reads_the_mean_of_this_play_and_keeps_the_books():
    bandit = rotting_bandit([[0.9, 0.5], [0.3, 0.5], [0.2, 0.4]], law="fixed")
    books, rng = ledger(2, 5), np.random.default_rng(0)
    assert [pull(bandit, books, t, a, rng) for t, a in enumerate([0, 0, 1, 0, 0])] == [
        0.9,
        0.3,
        0.5,
        0.2,
        0.2,
    ]
    result = rotting_result(bandit, books)
    assert result.pulls.tolist() == [4, 1]
    np.testing.assert_allclose(result.value, np.cumsum([0.9, 0.3, 0.5, 0.2, 0.2]))
    np.testing.assert_allclose(result.regret, np.cumsum([0.9, 0.5, 0.5, 0.4, 0.4]) - result.value, atol=1e-12)


def test_the_greedy_oracle_has_no_regret():
    bandit, rng = random_bandit(9)._replace(law="fixed"), np.random.default_rng(0)
    books = ledger(3, 50)
    for t in range(50):
        row = np.minimum(books.pulls, 3)
        pull(bandit, books, t, int(np.argmax(bandit.means[row, np.arange(3)])), rng)
    np.testing.assert_allclose(rotting_result(bandit, books).regret, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("means", "message"),
    [
        ([[0.5, 0.2], [0.4, 0.3]], r"means\[1, 1\] is 0.3, more than means\[0, 1\] = 0.2"),
        ([[0.5, 1.2]], r"means\[0, 1\] is 1.2, it must be in \[0, 1\]"),
        ([[0.5, np.nan]], r"means\[0, 1\] is nan"),
        ([0.5, 0.2], "means must have shape"),
        (np.empty((0, 2)), "means must have shape"),
    ],
)
def test_bad_means(means, message):
    with pytest.raises(ValueError, match=message):
        RottingBandit(means)


def test_other_bad_input():
    with pytest.raises(ValueError, match="law must be one of"):
        RottingBandit([[0.5]], law="x")
    with pytest.raises(ValueError, match=r"scale\[0\] is 0"):
        RottingBandit([[0.5]], law="gaussian", scale=0.0)
    with pytest.raises(ValueError, match="bandit must be a RottingBandit, got int"):
        refuse_not_rotting(3)
    with pytest.raises(ValueError, match="more than"):
        RottingBandit([[0.5], [0.4]])._replace(means=[[0.1], [0.2]])
