"""GFUCB as its docstring writes it: all rounds kept, least squares solved anew, every tuple of arms tried."""

import itertools

import numpy as np


def best_tuple(y, q, rho):
    """The first tuple with the largest index, and the index."""
    M, A = y.shape
    tuples = np.array(list(itertools.product(range(A), repeat=M)))
    rows = np.arange(M)
    index = y[rows, tuples].sum(axis=1) + rho * np.sqrt(q[rows, tuples].sum(axis=1))
    return tuples[np.argmax(index)], index.max()


class Candidate:
    """Ridge regressions of one representation, from all rounds so far."""

    def __init__(self, phi, history, M, lam):
        k = phi.shape[-1]
        self.V, self.w, self.loss, self.log_det = [], [], 0.0, 0.0
        for i in range(M):
            X = np.array([phi[x[i], a[i]] for x, a, _ in history]).reshape(-1, k)
            r = np.array([r[i] for _, _, r in history])
            V = lam * np.eye(k) + X.T @ X
            w = np.linalg.solve(V, X.T @ r)
            self.V.append(V)
            self.w.append(w)
            self.loss += ((r - X @ w) ** 2).sum() + lam * w @ w
            self.log_det += np.linalg.slogdet(V / lam)[1]


def gfucb(bandit, T, lam, S, sigma, delta, c, rng):
    """Returns the history, the regret of each round, the candidates chosen and the last losses."""
    N, M = len(bandit.phi), len(bandit.heads)
    means = np.einsum("xak,ik->ixa", bandit.phi[bandit.truth], bandit.heads)
    history, gaps, chosen = [], [], []
    for _ in range(T):
        fits = [Candidate(phi, history, M, lam) for phi in bandit.phi]
        threshold = min(fit.loss + (c * sigma) ** 2 * fit.log_det for fit in fits)
        threshold += c**2 * (2 * sigma**2 * np.log(N / delta) + lam * M * S**2)
        x = [int(np.searchsorted(np.cumsum(bandit.mu), rng.random(), side="right")) for _ in range(M)]
        best = (-np.inf, None, None)
        for n, fit in enumerate(fits):
            if threshold >= fit.loss:
                y = np.array([bandit.phi[n, x[i]] @ fit.w[i] for i in range(M)])
                q = np.array(
                    [[f @ np.linalg.solve(fit.V[i], f) for f in bandit.phi[n, x[i]]] for i in range(M)]
                )
                arms, index = best_tuple(y, q, np.sqrt(threshold - fit.loss))
                if index > best[0]:
                    best = (index, n, arms)
        _, n, arms = best
        r = [means[i, x[i], arms[i]] + bandit.sigma * rng.standard_normal() for i in range(M)]
        history.append((x, arms, r))
        gaps.append(sum(means[i, x[i]].max() - means[i, x[i], arms[i]] for i in range(M)))
        chosen.append(n)
    loss = [Candidate(phi, history, M, lam).loss for phi in bandit.phi]
    return history, np.array(gaps), chosen, np.array(loss)
