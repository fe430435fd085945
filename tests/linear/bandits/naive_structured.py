"""Structured linear bandits as their papers write them: histories and solved systems, NumPy only."""

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
