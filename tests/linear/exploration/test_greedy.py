"""The greedy step, and what planners of the folder share."""

import numpy as np

from eluder.linear.exploration._greedy import act_greedily


def test_greedy_by_hand():
    """First of equals, of the available ones; says whether the policy changed."""
    Q = np.array([[1.0, 3.0, 3.0], [9.0, -2.0, -5.0]])
    mask = np.array([[True, True, True], [False, True, True]])
    V, pi = np.zeros(2), np.array([1, 0])
    assert act_greedily(Q, mask, V, pi)
    assert pi.tolist() == [1, 1]
    assert V.tolist() == [3.0, -2.0]
    assert not act_greedily(Q, mask, V, pi)
    Q[1, 2] = -1.0
    assert act_greedily(Q, mask, V, pi)
    assert pi.tolist() == [1, 2]
