"""The explorers' definitions from their papers: dense arrays, no care for speed."""

import numpy as np


def optimal_value(mdp):
    """Return V* (H + 1, S) by backward induction."""
    S, A = mdp.mask.shape
    P = np.broadcast_to(mdp.P, (mdp.H, S, A, S))
    r = np.broadcast_to(mdp.r, (mdp.H, S, A))
    V = np.zeros((mdp.H + 1, S))
    for h in reversed(range(mdp.H)):
        V[h] = np.where(mdp.mask, r[h] + P[h] @ V[h + 1], -np.inf).max(axis=1)
    return V


def dense_counts(n_next, sim):
    """Unfold counts by successor slot (G, S, A, B) into counts by state (G, S, A, S)."""
    G, S, A, B = n_next.shape
    dense = np.zeros((G, S, A, S), np.int64)
    for g, s, a, i in np.ndindex(G, S, A, B):
        dense[g, s, a, sim.succ[min(g, len(sim.succ) - 1), s, a, i]] += n_next[g, s, a, i]
    return dense


def ucbvi_plan(Q, n_next, N, r, bonus, L, c):
    """Algorithms 2 to 4 of Azar et al. 2017; `n_next` (H, S, A, S) is what stage h counts with."""
    H, S, A = Q.shape
    Q = Q.copy()
    V = np.zeros((H + 1, S))
    for h in reversed(range(H)):
        visits = N[h + 1].sum(axis=-1) if h + 1 < H else np.zeros(S)
        for s in range(S):
            for a in range(A):
                n = n_next[h, s, a].sum()
                if n == 0:
                    continue
                P_hat = n_next[h, s, a] / n
                PV = P_hat @ V[h + 1]
                if bonus == "hoeffding":
                    b = 7 * H * L * np.sqrt(1 / n)
                else:
                    variance = P_hat @ (V[h + 1] - PV) ** 2
                    with np.errstate(divide="ignore"):
                        W = np.minimum(100**2 * H**3 * S**2 * A * L**2 / visits, H**2)
                    b = np.sqrt(8 * L * variance / n) + 14 * H * L / (3 * n)
                    b += np.sqrt(8 * (P_hat @ W) / n)
                Q[h, s, a] = min(Q[h, s, a], H - h, r[h, s, a] + PV + c * b)
            V[h, s] = Q[h, s].max()
    return Q, V
