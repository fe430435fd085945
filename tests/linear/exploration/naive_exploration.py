"""Least-squares value iteration as its papers write it: the history is fitted again in every episode."""

import numpy as np


def lsvi_ucb(mdp, P, r, K, beta, lam, rare, rng):
    """Return pi and the estimate of each episode; `P`, `r` are the tables that nature draws from."""
    S, _A, d = mdp.phi.shape
    H = len(P)
    history = [[] for _ in range(H)]
    policies, upper, planned = [], [], None
    for _ in range(K):
        Lambda = [lam * np.eye(d) + sum(np.outer(f, f) for f, *_ in rounds) for rounds in history]
        dets = [np.linalg.slogdet(L)[1] for L in Lambda]
        if (
            planned is None
            or not rare
            or any(new - old >= np.log(2) for new, old in zip(dets, planned, strict=True))
        ):
            planned = dets
            V, pi = np.zeros(S), np.zeros((H, S), int)
            for h in reversed(range(H)):
                target = sum((f * (x + V[t]) for f, x, t in history[h]), np.zeros(d))
                w = np.linalg.solve(Lambda[h], target)
                width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, np.linalg.inv(Lambda[h]), mdp.phi))
                Q = np.minimum(mdp.phi @ w + beta * width, H - h)
                Q[~mdp.mask] = -np.inf
                pi[h] = np.argmax(np.round(Q, 10), axis=1)
                V = Q.max(axis=1)
        policies.append(pi.copy())
        upper.append(mdp.mu @ V)
        s = draw(mdp.mu, rng)
        for h in range(H):
            a = pi[h, s]
            t = draw(P[h, s, a], rng)
            history[h].append((mdp.phi[s, a], r[h, s, a], t))
            s = t
    return policies, np.array(upper)


def rlsvi(mdp, P, r, K, sigma, lam, rng):
    S, _, d = mdp.phi.shape
    H = len(P)
    history = [[] for _ in range(H)]
    policies, upper = [], []
    for _ in range(K):
        V, pi = np.zeros(S), np.zeros((H, S), int)
        for h in reversed(range(H)):
            Lambda = lam * np.eye(d) + sum(np.outer(f, f) for f, *_ in history[h])
            w = np.linalg.solve(Lambda, sum((f * (x + V[t]) for f, x, t in history[h]), np.zeros(d)))
            z = np.array([rng.standard_normal() for _ in range(d)])
            w = w + sigma * np.linalg.cholesky(np.linalg.inv(Lambda)) @ z
            Q = np.where(mdp.mask, mdp.phi @ w, -np.inf)
            pi[h] = Q.argmax(axis=1)
            V = np.clip(Q.max(axis=1), 0, H - h)
        policies.append(pi)
        upper.append(mdp.mu @ V)
        s = draw(mdp.mu, rng)
        for h in range(H):
            a = pi[h, s]
            t = draw(P[h, s, a], rng)
            history[h].append((mdp.phi[s, a], r[h, s, a], t))
            s = t
    return policies, np.array(upper)


def draw(p, rng):
    return int(min(np.searchsorted(np.cumsum(p), rng.random(), side="right"), np.flatnonzero(p)[-1]))
