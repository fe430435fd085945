"""NAME as its paper writes it: plain NumPy, dense arrays, no care for speed.

Write this from the paper, before the kernel and without looking at it. It takes the state of the learner as
arguments (counts, values), so that a test can call it with random arrays instead of initial ones: at the
initial state most mistakes are invisible.
"""

import numpy as np


def NAME_plan(Q, n_next, r, L, c):
    """Algorithm n of Author et al. (year); `n_next` has shape (H, S, A, S)."""
    H, S, A = Q.shape
    Q = Q.copy()
    V = np.zeros((H + 1, S))
    for h in reversed(range(H)):
        for s in range(S):
            for a in range(A):
                n = n_next[h, s, a].sum()
                if n == 0:
                    continue
                Q[h, s, a] = ...
            V[h, s] = Q[h, s].max()
    return Q, V
