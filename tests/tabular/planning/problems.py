"""Problems with ties, periods, several classes, and answers known by hand."""

import numpy as np
import scipy.sparse

from eluder.core.problems import DiscountedMDP


def grid(n, gamma, slip=0.0, sparse=True):
    """Four moves on n x n states, a reward for every step in the last corner: many ties."""
    S = n * n
    P = np.zeros((S, 4, S))
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    for s, a in np.ndindex(S, 4):
        for turn, p in ((0, 1 - slip), (1, slip / 2), (3, slip / 2)):
            x, y = np.clip(np.array(divmod(s, n)) + moves[(a + turn) % 4], 0, n - 1)
            P[s, a, x * n + y] += p
    r = np.zeros((S, 4))
    r[-1] = 1.0
    kernel = scipy.sparse.csr_array(P.reshape(4 * S, S)) if sparse else P
    return DiscountedMDP(kernel, r, np.eye(S)[0], gamma)


def corridor(L, gamma):
    """Left or right on a line; entering the last state pays 1, and it is never left."""
    s = np.arange(L)
    step = np.stack([np.maximum(s - 1, 0), np.minimum(s + 1, L - 1)], axis=1)
    step[-1] = L - 1
    P = scipy.sparse.csr_array((np.ones(2 * L), (np.arange(2 * L), step.ravel())), (2 * L, L))
    r = np.zeros((L, 2))
    r[-2, 1] = 1.0
    return DiscountedMDP(P, r, np.eye(L)[0], gamma)


def cycle(L):
    """One action, a ring of L states, 1 for passing the first: periodic, gain 1/L."""
    r = np.eye(L)[0][:, None]
    return DiscountedMDP(np.roll(np.eye(L), 1, axis=1)[:, None], r, np.eye(L)[0], 1.0)


def puterman(gamma=0.95):
    """Puterman 1994, section 3.1: rewards 5, 10 in the first state, -1 in the second; 5 moves by a coin."""
    P = [[[0.5, 0.5], [0, 1]], [[0, 1], [0, 1]]]
    return DiscountedMDP(P, [[5, 10], [-1, 0]], [1, 0], gamma, mask=[[True, True], [True, False]])


def two_rooms():
    """State 0 chooses between two absorbing states of rewards 1 and 2: multichain."""
    P = [[[0, 1, 0], [0, 0, 1]], [[0, 1, 0]] * 2, [[0, 0, 1]] * 2]
    return DiscountedMDP(np.array(P, float), [[0, 0], [1, 1], [2, 2]], [1, 0, 0], 0.9)
