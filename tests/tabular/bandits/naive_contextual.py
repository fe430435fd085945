"""Contextual bandits by regression as their papers write them: lists of rounds, NumPy's solvers."""

import numpy as np


def weights(y, mask, gamma):
    """Inverse-gap weighting, from its formula."""
    offered = np.flatnonzero(mask)
    b = offered[np.argmax(y[offered])]
    p = np.zeros(len(y))
    for a in offered:
        if a != b:
            p[a] = 1 / (len(offered) + gamma * (y[b] - y[a]))
    p[b] = 1 - p.sum()
    return p


class Play:
    """Draws contexts, actions and Bernoulli rewards as the library does; keeps the rounds."""

    def __init__(self, bandit, rng):
        self.bandit, self.rng = bandit, rng
        self.rounds, self.gaps, self.chances = [], [], []

    def context(self):
        reach = np.cumsum(self.bandit.mu)
        return int(min(np.searchsorted(reach, self.rng.random(), "right"), len(reach) - 1))

    def act(self, x, p):
        a = int(min(np.searchsorted(np.cumsum(p), self.rng.random(), "right"), np.flatnonzero(p)[-1]))
        m = self.bandit.means[x]
        r = float(self.rng.random() < m[a])
        self.rounds.append((x, a, r))
        self.chances.append(np.array(p))
        self.gaps.append(m[self.bandit.mask[x]].max() - m[a])


def online(kind, bandit, rounds, x):
    """The online oracle's prediction for all actions of context x, from the rounds so far."""
    A = bandit.means.shape[1]
    if kind == "table":
        y = np.zeros(A)
        for a in range(A):
            seen = [r for (z, b, r) in rounds if (z, b) == (x, a)]
            y[a] = (sum(seen) + 0.5) / (len(seen) + 1)
        return y
    if kind == "finite":
        loss = np.array([sum((f[z, b] - r) ** 2 for z, b, r in rounds) for f in bandit.models])
        w = np.exp(-(loss - loss.min()) / 2)
        return (w / w.sum()) @ bandit.models[:, x]
    d = bandit.phi.shape[2]
    V, s = np.eye(d), np.zeros(d)
    for z, b, r in rounds:
        V += np.outer(bandit.phi[z, b], bandit.phi[z, b])
        s += r * bandit.phi[z, b]
    y = np.zeros(A)
    for a in range(A):
        f = bandit.phi[x, a]
        y[a] = f @ np.linalg.solve(V + np.outer(f, f), s)
    return np.clip(y, 0, 1)


def offline(kind, bandit, rounds):
    """The regression on a log: a table (X, A)."""
    X, _A = bandit.means.shape
    if kind == "table":
        return np.array([online("table", bandit, rounds, x) for x in range(X)])
    if kind == "finite":
        return bandit.models[
            int(np.argmin([sum((f[z, b] - r) ** 2 for z, b, r in rounds) for f in bandit.models]))
        ]
    d = bandit.phi.shape[2]
    Z = np.array([bandit.phi[z, b] for z, b, _ in rounds]).reshape(-1, d)
    r = np.array([r for *_, r in rounds])
    theta = np.linalg.lstsq(np.vstack([Z, np.eye(d)]), np.r_[r, np.zeros(d)], rcond=None)[0]
    return np.clip(bandit.phi @ theta, 0, 1)


def square_cb(bandit, T, kind, gamma, rng):
    play = Play(bandit, rng)
    for _ in range(T):
        x = play.context()
        play.act(x, weights(online(kind, bandit, play.rounds, x), bandit.mask[x], gamma))
    return play


def falcon(bandit, T, kind, rate, rng):
    """`rate(tau)` is gamma of an epoch that begins after tau rounds."""
    play, end, f, gamma = Play(bandit, rng), 0, None, 0.0
    for t in range(T):
        if t == end:
            f, gamma = offline(kind, bandit, play.rounds), rate(t)
            end = max(2, 2 * t)
        x = play.context()
        play.act(x, weights(f[x], bandit.mask[x], gamma))
    return play


def batched(bandit, T, batch, delay, memory, kind, gamma, epsilon, rng):
    """`gamma` None: uniform exploration with `epsilon`."""
    play = Play(bandit, rng)
    for t in range(T):
        k = t // batch
        if t % batch == 0:
            log = play.rounds[max(k - delay - memory, 0) * batch : max(k - delay, 0) * batch]
            f = offline(kind, bandit, log)
        x = play.context()
        mask = bandit.mask[x]
        if not log:
            p = weights(f[x], mask, 0.0)
        elif gamma is None:
            p = epsilon * mask / mask.sum()
            p[np.argmax(np.where(mask, f[x], -1))] += 1 - epsilon
        else:
            p = weights(f[x], mask, gamma)
        play.act(x, p)
    return play
