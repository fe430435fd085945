"""Definitions of the baselines' steps: dense arrays, no care for speed."""

import numpy as np


def q_learning_step(Q, n, h, s, a, reward, s_next):
    """Watkins' update at visit number n of (h, s, a), step size of Jin et al. 2018; returns a new Q."""
    H = len(Q)
    alpha = (H + 1) / (H + n)
    tail = max(Q[h + 1, s_next]) if h + 1 < H else 0.0
    new = Q.copy()
    new[h, s, a] = (1 - alpha) * Q[h, s, a] + alpha * (reward + tail)
    return new


def epsilon_greedy(Q, mask, eps):
    """Probabilities (H, S, A): eps uniform over available actions, 1 - eps on the first best."""
    H, S, _ = Q.shape
    w = np.array([eps * mask / mask.sum(axis=1, keepdims=True)] * H)
    for h in range(H):
        for s in range(S):
            w[h, s, Q[h, s].argmax()] += 1 - eps
    return w


def boltzmann(Q, tau):
    """Probabilities (H, S, A) proportional to exp(Q / tau)."""
    w = np.exp(Q / tau)
    return w / w.sum(axis=-1, keepdims=True)


def empirical_plan(n_next, r, mask):
    """Backward induction in the empirical model; `n_next` (H, S, A, S); unvisited pairs have no future."""
    H, S, _, _ = n_next.shape
    V = np.zeros((H + 1, S))
    Q = np.empty(r.shape)
    for h in reversed(range(H)):
        P_hat = n_next[h] / np.maximum(1, n_next[h].sum(axis=-1, keepdims=True))
        Q[h] = np.where(mask, r[h] + P_hat @ V[h + 1], -np.inf)
        V[h] = Q[h].max(axis=1)
    return Q
