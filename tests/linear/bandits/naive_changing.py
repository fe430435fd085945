"""Learners of changing sets of arms as their papers write them: the features of all rounds are kept."""

import numpy as np

from tests.linear.bandits.naive_linear import constrained_likelihood, shrunk, widths


class Rounds:
    """Draws contexts and rewards as the library does; keeps the features played, rewards and gaps."""

    def __init__(self, bandit, rng):
        self.bandit, self.rng = bandit, rng
        z = bandit.phi @ bandit.theta
        self.means = 1 / (1 + np.exp(-z)) if bandit.link == 1 else z
        self.X, self.r, self.gaps, self.arms = np.zeros((0, bandit.phi.shape[2])), [], [], []

    def arrive(self):
        self.x = int(np.searchsorted(np.cumsum(self.bandit.mu), self.rng.random(), side="right"))
        return self.bandit.phi[self.x]

    def act(self, a):
        m = self.means[self.x, a]
        if self.bandit.law == 1:
            r = float(self.rng.random() < m)
        else:
            r = m + self.bandit.sigma[self.x, a] * self.rng.standard_normal()
        self.X = np.vstack([self.X, self.bandit.phi[self.x, a]])
        self.r.append(r)
        self.arms.append(int(a))
        self.gaps.append(self.means[self.x].max() - m)

    def fit(self, lam, weights=None):
        """V, theta and ln det(V / lam)."""
        w = np.ones(len(self.r)) if weights is None else np.array(weights)
        V = lam * np.eye(self.X.shape[1]) + self.X.T @ (w[:, None] * self.X)
        return V, np.linalg.solve(V, self.X.T @ (w * np.array(self.r))), np.linalg.slogdet(V / lam)[1]


def radius(lam, S, sigma, log_det, delta):
    return np.sqrt(lam) * S + sigma * np.sqrt(2 * np.log(1 / delta) + log_det)


def lin_ucb(bandit, T, lam, S, sigma, C, delta, rng):
    play, kept, last = Rounds(bandit, rng), None, 0.0
    for _ in range(T):
        phi = play.arrive()
        V, theta, log_det = play.fit(lam)
        if kept is None or kept[0] != play.x or np.exp(log_det - last) > (1 + C) * (1 + 1e-12):
            index = phi @ theta + radius(lam, S, sigma, log_det, delta) * np.sqrt(widths(phi, V))
            kept, last = (play.x, int(np.argmax(index))), log_det
        play.act(kept[1])
    return play


def lin_ts(bandit, T, lam, S, sigma, delta, rng):
    play, d = Rounds(bandit, rng), bandit.phi.shape[2]
    B = np.eye(d) / np.sqrt(lam)
    for _ in range(T):
        phi = play.arrive()
        _, theta, log_det = play.fit(lam)
        eta = np.array([rng.standard_normal() for _ in range(d)])
        beta = radius(lam, S, sigma, log_det, delta / (4 * T))
        play.act(int(np.argmax(phi @ (theta + beta * B @ eta))))
        B = shrunk(B, play.X[-1])
    return play


def glm_ucb(bandit, T, lam, S, sigma, kappa, tau, delta, c, rng):
    play = Rounds(bandit, rng)
    for t in range(T):
        phi = play.arrive()
        if t < tau:
            play.act(int(rng.random() * len(phi)))
            continue
        V, _, log_det = play.fit(lam)
        theta = constrained_likelihood(play.X, np.array(play.r), bandit.link == 1, kappa * lam, S)
        rad = radius(lam, S, sigma / kappa, log_det, delta)
        play.act(int(np.argmax(phi @ theta + c * rad * np.sqrt(widths(phi, V)))))
    return play


def weighted_oful(bandit, T, lam, S, sigma, alpha, gamma, delta, rng):
    play, weights = Rounds(bandit, rng), []
    for _ in range(T):
        phi = play.arrive()
        V, theta, log_det = play.fit(lam, weights)
        w = widths(phi, V)
        a = int(np.argmax(phi @ theta + radius(lam, S, 1.0, log_det, delta) * np.sqrt(w)))
        play.act(a)
        weights.append(max(sigma[play.x, a], alpha, gamma * w[a] ** 0.25) ** -2)
    return play
