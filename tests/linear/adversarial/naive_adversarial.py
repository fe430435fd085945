"""Policy optimisation against adversaries, plain and with the whole history, from the papers."""

import numpy as np


def draw(p, rng):
    u, total, last = rng.random(), 0.0, 0
    for i, x in enumerate(p):
        if x > 0:
            total, last = total + x, i
            if u < total:
                return i
    return last


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def barrier_leader(loss, eta):
    """argmin of ``eta <p, loss> + sum ln(1 / p)``: bisection of the multiplier."""
    low, high = -eta * loss.min() + 1e-12, -eta * loss.min() + len(loss)
    for _ in range(200):
        lam = (low + high) / 2
        low, high = (lam, high) if (1 / (eta * loss + lam)).sum() > 1 else (low, lam)
    p = 1 / (eta * loss + lam)
    return p / p.sum()


def occupancy(mdp, pi):
    q = np.zeros(pi.shape)
    state = mdp.mu
    for h in range(mdp.H):
        q[h] = state[:, None] * pi[h]
        state = np.einsum("sa,sat->t", q[h], mdp.P[h])
    return q


def episode(mdp, losses, pi, rng):
    s = draw(mdp.mu, rng)
    pairs, seen = [], []
    for h in range(mdp.H):
        a = draw(pi[h, s], rng)
        pairs.append((s, a))
        seen.append(losses[h, s, a])
        s = draw(mdp.P[h, s, a], rng)
    return pairs, [sum(seen[h:]) for h in range(mdp.H)]


def inverses(mdp, pi, gamma):
    q, d = occupancy(mdp, pi), mdp.phi.shape[2]
    return [
        np.linalg.inv(gamma * np.eye(d) + np.einsum("sa,sai,saj->ij", q[h], mdp.phi, mdp.phi))
        for h in range(mdp.H)
    ]


def dilated(mdp, pi, R, beta):
    H, B = mdp.H, np.zeros((mdp.H + 1, *mdp.mask.shape))
    for h in reversed(range(H)):
        width = np.einsum("sai,ij,saj->sa", mdp.phi, R[h], mdp.phi)
        b = beta * (width + (pi[h] * width).sum(axis=1, keepdims=True))
        after = (pi[h + 1] * B[h + 1]).sum(axis=1) if h + 1 < H else np.zeros(len(mdp.mu))
        B[h] = b + (1 + 1 / H) * mdp.P[h] @ after
    return B[:H]


def plain_estimate(mdp, pi, R, h, pair, loss):
    return mdp.phi @ R[h] @ mdp.phi[pair] * loss


def reduced_estimate(mdp, pi, R, h, pair, loss):
    z = mdp.phi @ R[h] @ mdp.phi[pair]
    every = np.einsum("sai,ij,tbj->satb", mdp.phi, R[h], mdp.phi)
    m = (np.minimum(every, 0) * occupancy(mdp, pi)[h]).sum(axis=(2, 3))
    most = mdp.H - h
    return z * loss - most * np.minimum(z, 0) + most * m


def policy_optimisation(mdp, K, eta, beta, gamma, rng, leader, estimate, losses_of):
    """The list of policies played; costs are summed over the history each time."""
    H, (S, A) = mdp.H, mdp.mask.shape
    costs, policies = [], []
    for k in range(K):
        total = sum(costs, np.zeros((H, S, A)))
        pi = np.zeros((H, S, A))
        for h in range(H):
            for s in range(S):
                pi[h, s, mdp.mask[s]] = leader(total[h, s, mdp.mask[s]], eta)
        pairs, L = episode(mdp, losses_of(k), pi, rng)
        R = inverses(mdp, pi, gamma)
        Q = np.array([estimate(mdp, pi, R, h, pairs[h], L[h]) for h in range(H)])
        costs.append(Q - dilated(mdp, pi, R, beta))
        policies.append(pi)
    return policies


def linexp3(mdp, K, eta, explore, N, rng, losses_of):
    H, (S, A), d = mdp.H, mdp.mask.shape, mdp.phi.shape[2]
    total, policies = np.zeros((H, S, A)), []
    for k in range(K):
        pi = np.zeros((H, S, A))
        for h in range(H):
            for s in range(S):
                on = mdp.mask[s]
                pi[h, s, on] = (1 - explore) * softmax(-eta * total[h, s, on]) + explore / on.sum()
        pairs, L = episode(mdp, losses_of(k), pi, rng)
        Z, R = [np.eye(d)] * H, [np.eye(d) / 2] * H
        for _ in range(N):
            simulated, _ = episode(mdp, losses_of(k), pi, rng)
            for h, pair in enumerate(simulated):
                Z[h] = Z[h] @ (np.eye(d) - np.outer(mdp.phi[pair], mdp.phi[pair]) / 2)
                R[h] = R[h] + Z[h] / 2
        for h in range(H):
            total[h] += mdp.phi @ R[h] @ mdp.phi[pairs[h]] * L[h]
        policies.append(pi)
    return policies
