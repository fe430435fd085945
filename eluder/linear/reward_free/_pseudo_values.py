"""The function of the next state about which least is known: a maximum of a convex function over a box.

For every pair, ``max |psi_f(s, a)|_{Lambda^-1}`` over ``f: S -> [0, 1]`` is attained at a corner of the box,
for the norm is convex in f. Only states that some base kernel reaches matter.
"""

import numpy as np

from eluder.core.kernels import dot, kernel
from eluder.core.mixture import LinearMixtureMDP
from eluder.core.types import Array

MOST = 16  # successors for which all corners are tried


def check_inner(inner: str, mdp: LinearMixtureMDP) -> bool:
    """Return whether to try all corners; refuse where there are too many."""
    if inner not in ("exact", "ascent"):
        raise ValueError(f"inner must be 'exact' or 'ascent', got {inner!r}")
    most = int((mdp.phi != 0).any(axis=-4).sum(axis=-1).max())
    if inner == "exact" and most > MOST:
        raise ValueError(
            f"inner 'exact' is for at most {MOST} successors of a pair, one has {most}: try 'ascent'"
        )
    return inner == "exact"


@kernel
def pseudo_values(width: Array, f: Array, inverse: Array, phi: Array, exact: bool) -> None:
    """Write the largest norm to `width` (G, S, A) and its corner, of 0 and 1, to `f` (G, S, A, S)."""
    G, d, S, A = phi.shape[:4]
    columns, rows, slot = np.zeros((S, d)), np.zeros((S, d)), np.zeros(S, np.int64)
    corner = np.zeros(S)
    for g in range(G):
        for s in range(S):
            for a in range(A):
                n = 0
                for t in range(S):
                    f[g, s, a, t] = 0.0
                    if not (phi[g, :, s, a, t] != 0).any():
                        continue
                    for i in range(d):
                        columns[n, i] = phi[g, i, s, a, t]
                    for i in range(d):
                        rows[n, i] = dot(inverse[i], columns[n])
                    slot[n] = t
                    n += 1
                if exact:
                    best = all_corners(corner, columns[:n], rows[:n])
                else:
                    best = ascend(corner, columns[:n], rows[:n])
                width[g, s, a] = np.sqrt(best)
                for i in range(n):
                    f[g, s, a, slot[i]] = corner[i]


@kernel
def exploration_reward(r: Array, width: Array, beta: float) -> None:
    """Write ``r[h] = min(1, 2 beta / H max_f |psi_f|)``, f with values in [0, H - h - 1], in place."""
    H, S, A = r.shape
    for h in range(H):
        for s in range(S):
            for a in range(A):
                r[h, s, a] = min(1.0, 2 * beta / H * (H - h - 1) * width[h % width.shape[0], s, a])


@kernel
def all_corners(corner: Array, columns: Array, rows: Array) -> float:
    """Return the largest ``|sum_i f_i column_i|^2`` over f in {0, 1}^n and write its f to `corner`.

    In the order of a Gray code one coordinate changes at a time, so a corner costs O(d). The rows are
    ``Lambda^-1 column_i``.
    """
    n, d = columns.shape
    x, norm2, best, found = np.zeros(d), 0.0, 0.0, 0
    for j in range(1, 2**n):
        i = 0
        while not j >> i & 1:
            i += 1
        sign = 1.0 if (j ^ j >> 1) >> i & 1 else -1.0
        norm2 += 2 * sign * dot(rows[i], x) + dot(rows[i], columns[i])
        for e in range(d):
            x[e] += sign * columns[i, e]
        if norm2 > best * (1 + 1e-10):  # of corners that differ by rounding only the first
            best, found = norm2, j ^ j >> 1
    for i in range(n):
        corner[i] = found >> i & 1
    return best


@kernel
def ascend(corner: Array, columns: Array, rows: Array) -> float:
    """Return a local maximum of the same, the best of ``2 d + 1`` starts; it never exceeds the maximum.

    Each step goes to the corner that is best for the tangent; the norm grows, since it is convex.
    """
    n, d = columns.shape
    x, f, best = np.zeros(d), np.zeros(n), 0.0
    corner[:] = 0.0
    for start in range(2 * d + 1):
        for i in range(n):
            f[i] = start == 2 * d or (rows[i, start // 2] > 0) == (start % 2 == 0)
        norm2 = -1.0
        while True:
            x[:] = 0.0
            for i in range(n):
                if f[i] > 0:
                    for e in range(d):
                        x[e] += columns[i, e]
            now = 0.0
            for i in range(n):
                if f[i] > 0:
                    now += dot(rows[i], x)
            if now <= norm2 * (1 + 1e-12):
                break
            norm2 = now
            if now > best:
                best = now
                for i in range(n):
                    corner[i] = f[i]
            for i in range(n):
                f[i] = dot(rows[i], x) > 0
    return best
