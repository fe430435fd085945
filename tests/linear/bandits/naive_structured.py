"""Structured linear bandits as their papers write them: histories and solved systems, NumPy only."""

import itertools

import numpy as np


def dynlin_ucb(bandit, T, bounds, lam, delta, c, rng):
    """Actions, and the mean reward of each round along the state without noise."""
    rho, Phi, B, omega, theta, x, sigma = bounds
    phi, d = bandit.phi, bandit.phi.shape[1]
    U = max(np.linalg.norm(u) for u in phi)
    c1 = U * omega * Phi * (U * B / (1 - rho) + x)
    c2 = theta + omega * B * Phi / (1 - rho)
    variance = sigma**2 * (1 + omega**2 * Phi**2 / (1 - rho**2))
    state, actions, last, m = bandit.x0.copy(), [], [], 0
    while len(actions) < T:
        m += 1
        t = len(actions)
        V = lam * np.eye(d) + sum((np.outer(phi[a], phi[a]) for a, _ in last), np.zeros((d, d)))
        h = np.linalg.solve(V, sum((phi[a] * y for a, y in last), np.zeros(d)))
        beta = c1 / np.sqrt(lam) * np.log(np.e * (t + 1)) + c2 * np.sqrt(lam)
        beta += np.sqrt(2 * variance * (np.log(1 / delta) + d / 2 * np.log(1 + t * U**2 / (d * lam))))
        index = [u @ h + c * beta * np.sqrt(u @ np.linalg.solve(V, u)) for u in phi]
        a = int(np.argmax(index))
        for _ in range(1 + int(np.floor(np.log(m) / np.log(1 / rho)))):
            if len(actions) == T:
                break
            y = bandit.omega @ state + bandit.theta @ phi[a] + bandit.sigma * rng.standard_normal()
            state = bandit.F @ state + bandit.B @ phi[a]
            if bandit.sigma_x > 0:
                state = state + bandit.sigma_x * rng.standard_normal(len(state))
            actions.append(a)
        else:
            last.append((a, y))
    calm, means = bandit.x0.copy(), []
    for a in actions:
        means.append(bandit.omega @ calm + bandit.theta @ phi[a])
        calm = bandit.F @ calm + bandit.B @ phi[a]
    return actions, np.array(means), m


def reward(bandit, a, rng):
    """One reward of a bandit with features, drawn as the library draws it."""
    if bandit.law == 1:
        return float(rng.random() < bandit.means[a])
    return bandit.means[a] + bandit.sigma[a] * rng.standard_normal()


def misspecified_elimination(bandit, T, design, sigma, delta, rng):
    """With `design(phi)` the distribution and its largest width; returns actions and active sets."""
    A, d = bandit.phi.shape
    m = int(np.ceil(4 * d * np.log(np.log(d)))) + 16 if d > 2 else 16
    active, phase, actions, history = list(range(A)), 1, [], []
    while len(actions) < T:
        history.append(active)
        if len(active) == 1:
            actions += active * (T - len(actions))
            break
        phi = bandit.phi[active]
        pi, g = design(phi)
        X, y = [], []
        for i, a in enumerate(active):
            for _ in range(int(np.ceil(m * pi[i]))):
                if len(actions) < T:
                    y.append(reward(bandit, a, rng))
                    X.append(phi[i])
                    actions.append(a)
        estimate = phi @ np.linalg.lstsq(np.array(X), np.array(y), rcond=None)[0]
        w = sigma * np.sqrt(2 * g / m * np.log(2 * A * phase * (phase + 1) / delta))
        if len(actions) < T:
            active = [a for i, a in enumerate(active) if estimate.max() - estimate[i] <= 2 * w]
            phase, m = phase + 1, 2 * m
    return actions, history


def sparse_elimination(bandit, s, eps, S, n, w, rng):
    """The net as a list of vectors in R^d; returns the arm, and the rewards of each arm."""
    d = bandit.phi.shape[1]
    L = max(np.linalg.norm(u) for u in bandit.phi)
    q = int(np.ceil(S * L * np.sqrt(s) / eps))
    values = [S * ((2 * i + 1) / q - 1) for i in range(q)]
    seen, survivors = {}, []
    for support in itertools.combinations(range(d), s):
        for backwards in itertools.product(values, repeat=s):
            v = np.zeros(d)
            v[list(support)] = backwards[::-1]
            if np.linalg.norm(v) > S + np.sqrt(s) * S / q + 1e-9:
                continue
            a = int(np.argmax(bandit.phi @ v))
            if a not in seen:
                seen[a] = [reward(bandit, a, rng) for _ in range(n)]
            if abs(np.mean(seen[a]) - bandit.phi[a] @ v) <= 2 * eps + w:
                survivors.append((bandit.phi[a] @ v, a))
    return max(survivors, key=lambda pair: pair[0])[1], seen


def rep_exp(bandit, T, lam, center):
    """Arms, bonuses and log-determinants, with a matrix solved for each."""
    phi = bandit.phi - bandit.phi.mean(axis=0) if center else bandit.phi
    V, arms, bonus, logs = lam * np.eye(phi.shape[1]), [], [], []
    for _ in range(T):
        score = [-1.0 if a in arms else u @ np.linalg.solve(V, u) for a, u in enumerate(phi)]
        a = int(np.argmax(score))
        arms.append(a)
        bonus.append(np.sqrt(score[a]))
        V = V + np.outer(phi[a], phi[a])
        logs.append(np.linalg.slogdet(V)[1] - len(V) * np.log(lam))
    return arms, bonus, logs
