"""Tests of envs/_adversaries.py."""

import numpy as np
import pytest

from eluder.envs import blockwise_adversary, lower_bound_bandit


def test_lower_bound_bandit():
    bandit = lower_bound_bandit(4, 1600, best=2, scale=2.0)
    np.testing.assert_allclose(bandit.means, [[0.5, 0.5, 0.6, 0.5]])
    assert lower_bound_bandit(4, 2).means.max() == 1.0


def test_blockwise_adversary():
    bandit = blockwise_adversary(2, 10, 3)
    assert bandit.means.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert bandit.starts.tolist() == [0, 3, 6]
    assert not bandit.dynamic


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower_bound_bandit(1, 10), "A must be at least 2"),
        (lambda: lower_bound_bandit(2, 0), "T must be at least 1"),
        (lambda: lower_bound_bandit(2, 10, best=2), r"best must be in \[0, 1\]"),
        (lambda: lower_bound_bandit(2, 10, scale=0.0), "scale must be in"),
        (lambda: blockwise_adversary(1, 10), "A must be at least 2"),
        (lambda: blockwise_adversary(2, 10, 11), r"blocks must be in \[1, 10\]"),
        (lambda: blockwise_adversary(2, 0), "T must be at least 1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
