"""Value-targeted regression as the papers write it: every fit is computed from the whole history."""

import numpy as np


class Ridge:
    """Weighted ridge regression from a list of rounds."""

    def __init__(self, d, lam):
        self.d, self.lam, self.rounds = d, lam, []

    def add(self, x, y, weight=1.0):
        self.rounds.append((x, y, weight))

    @property
    def Lambda(self):
        return self.lam * np.eye(self.d) + sum(w * np.outer(x, x) for x, _, w in self.rounds)

    @property
    def theta(self):
        return np.linalg.solve(self.Lambda, sum((w * y * x for x, y, w in self.rounds), np.zeros(self.d)))

    @property
    def inverse(self):
        return np.linalg.inv(self.Lambda)

    def norm(self, x):
        return np.sqrt(x @ self.inverse @ x)


def kernels(mdp, h):
    return mdp.phi[h] if mdp.phi.ndim == 5 else mdp.phi


def plan(mdp, r, fits, beta, cap, mask=None):
    """Return Q, V (H + 1, S) and pi; `fits` holds a regression per stage, or one."""
    mask = mdp.mask if mask is None else mask
    (S, A), H = mask.shape, mdp.H
    Q, V, pi = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), int)
    for h in reversed(range(H)):
        fit = fits[h % len(fits)]
        psi = np.einsum("isat,t->sai", kernels(mdp, h), V[h + 1])
        width = np.sqrt(np.einsum("sai,ij,saj->sa", psi, fit.inverse, psi))
        Q[h] = np.clip(r[h] + psi @ fit.theta + beta * width, 0, cap[h])
        Q[h, ~mask] = -np.inf
        pi[h] = np.argmax(np.round(Q[h], 10), axis=1)
        V[h] = Q[h].max(axis=1)
    return Q, V, pi


def rewards(mdp):
    return np.broadcast_to(mdp.r, (mdp.H, *mdp.mask.shape))


def episode(mdp, P, pi, rng):
    """Yield (h, s, a, s') of an episode drawn from the tables P."""
    s = draw(mdp.mu, rng)
    for h in range(mdp.H):
        a = pi[h, s]
        table = P[h] if P.ndim == 4 else P
        t = draw(table[s, a], rng)
        yield h, s, a, t
        s = t


def ucrl_vtr(mdp, P, K, beta, lam, rng):
    """Return the policy and the upper estimate of each episode, and the regressions."""
    d, H = mdp.phi.shape[-4], mdp.H
    fits = [Ridge(d, lam) for _ in range(len(mdp.theta) if mdp.theta.ndim == 2 else 1)]
    policies, upper = [], []
    for _ in range(K):
        _, V, pi = plan(mdp, rewards(mdp), fits, beta, np.arange(H, 0, -1.0))
        policies.append(pi)
        upper.append(mdp.mu @ V[0])
        for h, s, a, t in episode(mdp, P, pi, rng):
            fits[h % len(fits)].add(kernels(mdp, h)[:, s, a] @ V[h + 1], V[h + 1, t])
    return policies, np.array(upper), fits


def ucrl_vtr_plus(mdp, P, K, radii, lam, rng):
    """As above; ``radii(k)`` returns the three radii of episode k, from 1."""
    d, H = mdp.phi.shape[-4], mdp.H
    fits, squares = [Ridge(d, lam) for _ in range(H)], [Ridge(d, lam) for _ in range(H)]
    policies, upper = [], []
    for k in range(1, K + 1):
        beta, check, tilde = radii(k)
        _, V, pi = plan(mdp, rewards(mdp), fits, beta, np.arange(H, 0, -1.0))
        policies.append(pi)
        upper.append(mdp.mu @ V[0])
        for h, s, a, t in episode(mdp, P, pi, rng):
            x, z = kernels(mdp, h)[:, s, a] @ V[h + 1], kernels(mdp, h)[:, s, a] @ V[h + 1] ** 2
            var = np.clip(z @ squares[h].theta, 0, H**2) - np.clip(x @ fits[h].theta, 0, H) ** 2
            E = min(H**2, tilde * squares[h].norm(z)) + min(H**2, 2 * H * check * fits[h].norm(x))
            fits[h].add(x, V[h + 1, t], 1 / max(H**2 / d, var + E))
            squares[h].add(z, V[h + 1, t] ** 2)
    return policies, np.array(upper), fits + squares


def moment_weights(fits, start, X, beta, gamma, alpha):
    """Return sigma_m^2 of one round; `start` holds (inverse, theta) at the start of the episode."""
    clip = [np.clip(X[m] @ start[m][1], 0, 1) for m in range(len(fits))]
    wide = [np.sqrt(X[m] @ start[m][0] @ X[m]) for m in range(len(fits))]
    sigma2 = []
    for m, fit in enumerate(fits):
        known = 1.0
        if m + 1 < len(fits):
            E = min(1, 2 * beta * wide[m]) + min(1, beta * wide[m + 1])
            known = clip[m + 1] - clip[m] ** 2 + E
        sigma2.append(max(gamma**2 * fit.norm(X[m]), known, alpha**2))
    return sigma2


def hf_ucrl_vtr_plus(mdp, P, K, radius, M, lam, rng):
    d, H = mdp.phi.shape[-4], mdp.H
    fits = [Ridge(d, lam) for _ in range(M)]
    policies, upper = [], []
    for k in range(1, K + 1):
        _, V, pi = plan(mdp, rewards(mdp), fits[:1], radius(k), np.ones(H))
        policies.append(pi)
        upper.append(mdp.mu @ V[0])
        start = [(fit.inverse, fit.theta) for fit in fits]
        for h, s, a, t in episode(mdp, P, pi, rng):
            X = [kernels(mdp, h)[:, s, a] @ V[h + 1] ** (2**m) for m in range(M)]
            sigma2 = moment_weights(fits, start, X, radius(k), d**-0.25, H**-0.5)
            for m in range(M):
                fits[m].add(X[m], V[h + 1, t] ** (2**m), 1 / sigma2[m])
    return policies, np.array(upper), fits


def draw(p, rng):
    return int(min(np.searchsorted(np.cumsum(p), rng.random(), side="right"), np.flatnonzero(p)[-1]))
