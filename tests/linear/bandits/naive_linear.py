"""Linear bandits as their papers write them: matrices solved in each round, NumPy only."""

import numpy as np


class Play:
    """Draws rewards as the library does; keeps arms and rewards."""

    def __init__(self, bandit, rng):
        self.bandit, self.rng = bandit, rng
        self.arms, self.rewards = [], []
        z = bandit.phi @ bandit.theta
        self.means = 1 / (1 + np.exp(-z)) if bandit.link == 1 else z

    def act(self, a):
        m = self.means[a]
        if self.bandit.law == 1:
            r = float(self.rng.random() < m)
        else:
            r = m + self.bandit.sigma[a] * self.rng.standard_normal()
        self.arms.append(int(a))
        self.rewards.append(r)
        return r

    @property
    def gaps(self):
        return self.means.max() - self.means[self.arms]

    def ridge(self, lam, weights=None):
        """V and theta of all rounds so far."""
        X = self.bandit.phi[self.arms].reshape(-1, self.bandit.phi.shape[1])
        w = np.ones(len(self.arms)) if weights is None else np.array(weights)
        V = lam * np.eye(X.shape[1]) + X.T @ (w[:, None] * X)
        return V, np.linalg.solve(V, X.T @ (w * np.array(self.rewards)))


def widths(phi, V):
    return np.array([f @ np.linalg.solve(V, f) for f in phi])


def lin_ucb(bandit, T, lam, S, sigma, C, delta, rng):
    play, d = Play(bandit, rng), bandit.phi.shape[1]
    last, choices = None, 0
    for _ in range(T):
        V, theta = play.ridge(lam)
        if last is None or np.linalg.det(V) > (1 + C) * last * (1 + 1e-12):
            last = np.linalg.det(V)
            rad = np.sqrt(lam) * S + sigma * np.sqrt(2 * np.log(np.sqrt(last / lam**d) / delta))
            a = np.argmax(bandit.phi @ theta + rad * np.sqrt(widths(bandit.phi, V)))
            choices += 1
        play.act(a)
    return play, choices


def shrunk(B, x):
    """``B (I + v v')^(-1/2)`` with ``v = B' x``, by eigenvalues."""
    v = B.T @ x
    e, U = np.linalg.eigh(np.eye(len(v)) + np.outer(v, v))
    return B @ (U / np.sqrt(e)) @ U.T


def lin_ts(bandit, T, lam, S, sigma, delta, rng):
    play, d = Play(bandit, rng), bandit.phi.shape[1]
    B = np.eye(d) / np.sqrt(lam)
    for _ in range(T):
        V, theta = play.ridge(lam)
        det = np.linalg.det(V) / lam**d
        beta = np.sqrt(lam) * S + sigma * np.sqrt(2 * np.log(np.sqrt(det) / (delta / (4 * T))))
        eta = np.array([rng.standard_normal() for _ in range(d)])
        a = np.argmax(bandit.phi @ (theta + beta * B @ eta))
        play.act(a)
        B = shrunk(B, bandit.phi[a])
    return play


def phased_elimination(bandit, T, design, sigma, scale, delta, rng):
    """With `design(phi)` the distribution and its largest width."""
    play, A = Play(bandit, rng), len(bandit.phi)
    active, phase = list(range(A)), 1
    while len(play.arms) < T:
        if len(active) == 1:
            play.act(active[0])
            continue
        phi, eps = bandit.phi[active], scale * 2.0**-phase
        pi, g = design(phi)
        V, b = np.zeros((phi.shape[1],) * 2), np.zeros(phi.shape[1])
        for i, a in enumerate(active):
            for _ in range(
                int(np.ceil(2 * g * pi[i] * sigma**2 / eps**2 * np.log(A * phase * (phase + 1) / delta)))
            ):
                if len(play.arms) < T:
                    r = play.act(a)
                    V += np.outer(phi[i], phi[i])
                    b += r * phi[i]
        y = phi @ np.linalg.pinv(V) @ b
        if len(play.arms) < T:
            active = [a for i, a in enumerate(active) if y.max() - y[i] <= 2 * eps]
            phase += 1
    return play


def constrained_likelihood(X, y, logistic, weight, S):
    """Newton's method for a given penalty, and the penalty by bisection where the ball binds."""

    def solve(rho):
        theta = np.zeros(X.shape[1])
        for _ in range(60):
            z = X @ theta
            m = 1 / (1 + np.exp(-z)) if logistic else z
            slope = m * (1 - m) if logistic else np.ones_like(z)
            H = rho * np.eye(len(theta)) + X.T @ (slope[:, None] * X)
            step = np.linalg.solve(H, rho * theta + X.T @ (m - y))
            theta -= step / max(1.0, np.linalg.norm(step))
        return theta

    theta = solve(weight)
    if np.linalg.norm(theta) <= S:
        return theta
    low, high = weight, weight + 1.0
    while np.linalg.norm(solve(high)) > S:
        high *= 4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.linalg.norm(solve(middle)) > S else (low, middle)
    return solve(high)


def glm_ucb(bandit, T, lam, S, sigma, kappa, tau, C, delta, c, rng):
    play, d = Play(bandit, rng), bandit.phi.shape[1]
    last = None
    for t in range(T):
        V = play.ridge(lam)[0]
        det = np.linalg.det(V)
        if t < tau:
            a = int(rng.random() * len(bandit.phi))
        elif t == tau or det > (1 + C) * last * (1 + 1e-12):
            X = bandit.phi[play.arms].reshape(-1, d)
            theta = constrained_likelihood(X, np.array(play.rewards), bandit.link == 1, kappa * lam, S)
            rad = np.sqrt(lam) * S + sigma / kappa * np.sqrt(2 * np.log(np.sqrt(det / lam**d) / delta))
            a = int(np.argmax(bandit.phi @ theta + c * rad * np.sqrt(widths(bandit.phi, V))))
            last = det
        play.act(a)
    return play


def weighted_oful(bandit, T, lam, S, sigma, alpha, gamma, delta, rng):
    """Returns the play and the bound on its regret."""
    play, d, weights = Play(bandit, rng), bandit.phi.shape[1], []
    sum_variances = sum_widths = 0.0
    for _ in range(T):
        V, theta = play.ridge(lam, weights)
        rad = np.sqrt(lam) * S + np.sqrt(2 * np.log(np.sqrt(np.linalg.det(V) / lam**d) / delta))
        w = widths(bandit.phi, V)
        a = int(np.argmax(bandit.phi @ theta + rad * np.sqrt(w)))
        play.act(a)
        s = max(sigma[a], alpha, gamma * np.sqrt(np.sqrt(w[a])))
        weights.append(s**-2)
        sum_variances += s**2
        sum_widths += w[a] / s**2
    V = play.ridge(lam, weights)[0]
    rad = np.sqrt(lam) * S + np.sqrt(2 * np.log(np.sqrt(np.linalg.det(V) / lam**d) / delta))
    return play, 2 * rad * np.sqrt(sum_variances * sum_widths)
