"""Least-squares value iteration as its papers write it: the history is fitted again in every episode."""

import numpy as np


def lsvi_ucb(mdp, P, r, K, radii, lam, rare, rng):
    """Return pi and the estimate of each episode; `P`, `r` are the tables that nature draws from."""
    S, _A, d = mdp.phi.shape
    H = len(P)
    history = [[] for _ in range(H)]
    policies, upper, planned = [], [], None
    for beta in np.broadcast_to(radii, K):
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


def perturbed_least_squares(F, y, lam, sigma, rng):
    """Ridge regression onto targets with noise, drawn to a random prior."""
    n, d = F.shape
    prior = rng.normal(0, sigma / np.sqrt(lam), d)
    return np.linalg.solve(lam * np.eye(d) + F.T @ F, F.T @ (y + rng.normal(0, sigma, n)) + lam * prior)


def lsvi_phe(mdp, P, r, K, sigma, M, lam, rng):
    S, _, d = mdp.phi.shape
    H = len(P)
    history = [[] for _ in range(H)]
    policies, upper = [], []
    for _ in range(K):
        V, pi = np.zeros(S), np.zeros((H, S), int)
        for h in reversed(range(H)):
            Lambda = lam * np.eye(d) + sum(np.outer(f, f) for f, *_ in history[h])
            w = np.linalg.solve(Lambda, sum((f * (x + V[t]) for f, x, t in history[h]), np.zeros(d)))
            root = np.linalg.cholesky(np.linalg.inv(Lambda))
            z = np.array([[rng.standard_normal() for _ in range(d)] for _ in range(M)])
            Q = (mdp.phi @ (w + sigma * z @ root.T).T).max(axis=-1).clip(0, H - h)
            Q = np.where(mdp.mask, Q, -np.inf)
            pi[h] = Q.argmax(axis=1)
            V = Q.max(axis=1)
        policies.append(pi)
        upper.append(mdp.mu @ V)
        s = draw(mdp.mu, rng)
        for h in range(H):
            a = pi[h, s]
            t = draw(P[h, s, a], rng)
            history[h].append((mdp.phi[s, a], r[h, s, a], t))
            s = t
    return policies, np.array(upper)


def lsvi_ucb_plus_plus(mdp, P, r, K, beta, beta_bar, beta_square, d3, lam, rng):
    """Return pi, the upper and the lower estimate of each episode."""
    S, A, d = mdp.phi.shape
    H = len(P)
    history = [[] for _ in range(H)]
    Q = np.array([np.full((S, A), H - h, float) for h in range(H)])
    low = np.zeros((H, S, A))
    pi = np.array([mdp.mask.argmax(axis=1)] * H)
    planned = [d * np.log(lam)] * H
    policies, upper, lower = [], [], []

    def sigma(h):
        return lam * np.eye(d) + sum(np.outer(f, f) / s2 for f, _, s2 in history[h])

    def regression(h, y):
        return np.linalg.solve(sigma(h), sum((f * y[t] / s2 for f, t, s2 in history[h]), np.zeros(d)))

    def greedy(q):
        return np.where(mdp.mask, q, -np.inf).max(axis=-1)

    for _ in range(K):
        dets = [np.linalg.slogdet(sigma(h))[1] for h in range(H)]
        if any(new - old >= np.log(2) for new, old in zip(dets, planned, strict=True)):
            planned = dets
            for h in reversed(range(H)):
                V = greedy(Q[h + 1]) if h + 1 < H else np.zeros(S)
                V_low = greedy(low[h + 1]) if h + 1 < H else np.zeros(S)
                width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, np.linalg.inv(sigma(h)), mdp.phi))
                Q[h] = np.minimum(Q[h], r[h] + mdp.phi @ regression(h, V) + beta * width)
                low[h] = np.maximum(low[h], r[h] + mdp.phi @ regression(h, V_low) - beta_bar * width)
                pi[h] = np.where(mdp.mask, np.round(Q[h], 9), -np.inf).argmax(axis=1)
        policies.append(pi.copy())
        upper.append(mdp.mu @ greedy(Q[0]))
        lower.append(mdp.mu @ greedy(low[0]))
        s = draw(mdp.mu, rng)
        for h in range(H):
            a = pi[h, s]
            t = draw(P[h, s, a], rng)
            f = mdp.phi[s, a]
            V = greedy(Q[h + 1]) if h + 1 < H else np.zeros(S)
            V_low = greedy(low[h + 1]) if h + 1 < H else np.zeros(S)
            norm = np.sqrt(f @ np.linalg.inv(sigma(h)) @ f)
            mean, square = f @ regression(h, V), f @ regression(h, V**2)
            variance = np.clip(square, 0, H**2) - np.clip(mean, 0, H) ** 2
            E = min(beta_square * norm, H**2) + min(2 * H * beta_bar * norm, H**2)
            D = min(4 * d3 * H**2 * (mean - f @ regression(h, V_low) + 2 * beta_bar * norm), d3 * H**3)
            s2 = max(variance + E + D + H, H, (2 * d3 * H**2) ** 2 * norm)
            history[h].append((f, t, s2))
            s = t
    return policies, np.array(upper), np.array(lower)


def oppo(mdp, P, rewards, K, alpha, beta, lam, rng):
    """Return the policies and the estimates; `mdp` is a linear mixture with one set of base kernels."""
    d, S, A, _ = mdp.phi.shape
    H = mdp.H
    history = [[] for _ in range(H)]
    pi = np.broadcast_to(mdp.mask / mdp.mask.sum(axis=1, keepdims=True), (H, S, A))
    Q, policies, upper = np.zeros((H, S, A)), [], []
    for k in range(K):
        pi = pi * np.exp(alpha * Q)
        pi = pi / pi.sum(axis=2, keepdims=True)
        policies.append(pi)
        path = [draw(mdp.mu, rng)]
        played = []
        for h in range(H):
            played.append(draw(pi[h, path[h]], rng))
            path.append(draw(P[path[h], played[h]], rng))
        V, Q = np.zeros((H + 1, S)), np.zeros((H, S, A))
        for h in reversed(range(H)):
            psi = np.einsum("isat,t->sai", mdp.phi, V[h + 1])
            Lambda = lam * np.eye(d) + sum(np.outer(x, x) for x, _ in history[h])
            w = np.linalg.solve(Lambda, sum((x * y for x, y in history[h]), np.zeros(d)))
            width = np.sqrt(np.einsum("sai,ij,saj->sa", psi, np.linalg.inv(Lambda), psi))
            Q[h] = rewards[k % len(rewards)][h] + np.clip(psi @ w + beta * width, 0, H - h - 1)
            V[h] = (pi[h] * Q[h]).sum(axis=1)
            history[h].append((psi[path[h], played[h]], V[h + 1, path[h + 1]]))
        upper.append(mdp.mu @ V[0])
    return policies, np.array(upper)


def draw(p, rng):
    return int(min(np.searchsorted(np.cumsum(p), rng.random(), side="right"), np.flatnonzero(p)[-1]))
