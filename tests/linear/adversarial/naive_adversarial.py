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


def regression(history, h, d):
    """Lambda and, for any V, the ridge solution, from all (pairs, states) so far."""
    phi = np.array([x[h] for x, _ in history]).reshape(-1, d)
    states = np.array([s[h + 1] for _, s in history], int)
    Lambda = np.eye(d) + phi.T @ phi
    return Lambda, lambda V: np.linalg.solve(Lambda, phi.T @ V[states]) if len(states) else np.zeros(d)


def walk(mdp, losses, pi, rng):
    s, states, pairs, seen = draw(mdp.mu, rng), [], [], []
    for h in range(mdp.H):
        a = draw(pi[h, s], rng)
        states.append(s)
        pairs.append((s, a))
        seen.append(losses[h, s, a])
        s = draw(mdp.P[h, s, a], rng)
    features = [mdp.phi[p] for p in pairs]
    return features, [*states, s], [sum(seen[h:]) for h in range(mdp.H)]


def simulator_free(mdp, K, K0, W, eta, beta, gamma, explore, radius, most, alpha, rng, losses_of):
    H, (S, A), d = mdp.H, mdp.mask.shape, mdp.phi.shape[2]
    history, cover, plays, last = [], [], [], None
    for k in range(K0):
        fits = [regression(history, h, d) for h in range(H)]
        logdet = np.array([np.linalg.slogdet(Lam)[1] for Lam, _ in fits])
        if last is None or (logdet - last).max() >= np.log(2):
            last, V, policy = logdet, np.zeros(S), np.zeros((H, S, A))
            for h in reversed(range(H)):
                Lam, ridge = fits[h]
                width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, np.linalg.inv(Lam), mdp.phi))
                Q = np.minimum(mdp.phi @ ridge(V) + 2 * radius * width, H - h)
                Q[~mdp.mask] = -np.inf
                V = Q.max(axis=1)
                policy[h, np.arange(S), Q.argmax(axis=1)] = 1
            cover.append([policy, 0])
        cover[-1][1] += 1
        features, states, _ = walk(mdp, losses_of(k), cover[-1][0], rng)
        history.append((features, states))
        plays.append(cover[-1][0])
    known = np.zeros((H, S), bool)
    for h in range(H):
        inverse = np.linalg.inv(regression(history, h, d)[0])
        width2 = np.einsum("sai,ij,saj->sa", mdp.phi, inverse, mdp.phi)
        known[h] = np.where(mdp.mask, width2, 0).max(axis=1) <= alpha
    total, pi, k = np.zeros((H, S, A)), None, K0
    while k < K:
        pi = np.zeros((H, S, A))
        for h in range(H):
            for s in range(S):
                pi[h, s, mdp.mask[s]] = barrier_leader(total[h, s, mdp.mask[s]], eta)
        outer, targets = [], []
        for _ in range(min(W, K - k)):
            play, v = pi.copy(), np.ones(H)
            if rng.random() < explore:
                star = int(H * rng.random())
                i = draw([n / K0 for _, n in cover], rng)
                play[: star + 1] = cover[i][0][: star + 1]
                v = H * (np.arange(H) == star)
            for_losses = rng.random() < 0.5
            features, states, L = walk(mdp, losses_of(k), play, rng)
            if for_losses:
                targets.append([v[h] * L[h] * features[h] for h in range(H)])
            else:
                outer.append([v[h] * np.outer(features[h], features[h]) for h in range(H)])
            history.append((features, states))
            plays.append(play)
            k += 1
        if not outer or not targets:
            continue
        R = np.linalg.inv(np.mean(outer, axis=0) + gamma * np.eye(d))
        mean, V = np.mean(targets, axis=0), np.zeros(S)
        for h in reversed(range(H)):
            Lam, ridge = regression(history, h, d)
            w2 = np.einsum("sai,ij,saj->sa", mdp.phi, R[h], mdp.phi)
            b = beta * (w2 + (pi[h] * w2).sum(axis=1, keepdims=True)) * known[h][:, None]
            width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, np.linalg.inv(Lam), mdp.phi))
            after = np.clip(mdp.phi @ ridge(V) + most[h] * radius / H * width, 0, most[h])
            B = b + (1 + 1 / H) * after
            V = (pi[h] * B).sum(axis=1)
            total[h] += mdp.phi @ R[h] @ mean[h] - B
    return plays, pi, len(cover), known
