"""Reward-free exploration as the papers write it: fits of the whole history, all corners of the box."""

import itertools

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


def plan(mdp, r, theta, inverse, beta, cap):
    """Return Q, V (H + 1, S) and pi."""
    (S, A), H = mdp.mask.shape, mdp.H
    Q, V, pi = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), int)
    for h in reversed(range(H)):
        psi = np.einsum("isat,t->sai", kernels(mdp, h), V[h + 1])
        width = np.sqrt(np.maximum(np.einsum("sai,ij,saj->sa", psi, inverse, psi), 0))
        Q[h] = np.clip(r[h] + psi @ theta + beta * width, 0, cap[h])
        Q[h, ~mdp.mask] = -np.inf
        pi[h] = np.argmax(np.round(Q[h], 10), axis=1)
        V[h] = Q[h].max(axis=1)
    return Q, V, pi


def pseudo(phi, inverse):
    """Return max over f in {0, 1}^S of the norm of psi_f for a pair, and an f; phi has shape (d, S)."""
    support = (phi != 0).any(axis=0)
    corners = [np.array(f) * support for f in itertools.product((0.0, 1.0), repeat=phi.shape[1])]
    norms = [np.sqrt(max(phi @ f @ inverse @ phi @ f, 0)) for f in corners]
    return max(norms), corners[int(np.argmax(np.round(norms, 10)))]


def exploration_reward(mdp, beta, widths):
    """widths[h][s, a] is the maximum over functions into [0, 1]."""
    H = mdp.H
    return [np.minimum(1, 2 * beta / H * (H - h - 1) * widths[h]) for h in range(H)]


def widths_and_functions(mdp, inverse):
    S, A = mdp.mask.shape
    widths, functions = [], []
    for h in range(mdp.H):
        pairs = [[pseudo(kernels(mdp, h)[:, s, a], inverse) for a in range(A)] for s in range(S)]
        widths.append(np.array([[w for w, _ in row] for row in pairs]))
        functions.append([[f for _, f in row] for row in pairs])
    return widths, functions


def episode(mdp, P, pi, rng):
    s = draw(mdp.mu, rng)
    for h in range(mdp.H):
        a = pi[h, s]
        t = draw((P[h] if P.ndim == 4 else P)[s, a], rng)
        yield h, s, a, t
        s = t


def ucrl_rfe(mdp, P, K, beta, lam, rng):
    """Return the policies, the uncertainty and the regression."""
    H, fit = mdp.H, Ridge(mdp.phi.shape[-4], lam)
    policies, uncertainty = [], []
    for _ in range(K):
        widths, functions = widths_and_functions(mdp, fit.inverse)
        r = exploration_reward(mdp, beta, widths)
        _, V, pi = plan(mdp, r, fit.theta, fit.inverse, beta, np.arange(H, 0, -1.0))
        policies.append(pi)
        uncertainty.append(mdp.mu @ V[0])
        for h, s, a, t in episode(mdp, P, pi, rng):
            u = (H - h - 1) * functions[h][s][a]
            fit.add(kernels(mdp, h)[:, s, a] @ u, u[t])
    return policies, np.array(uncertainty), fit


def ucrl_rfe_plus(mdp, P, K, betas, lam, rng):
    H, d = mdp.H, mdp.phi.shape[-4]
    fit, weighted, square = Ridge(d, lam), Ridge(d, lam), Ridge(d, lam)
    beta, beta_w, check, beta_2 = betas
    policies, uncertainty = [], []
    for _ in range(K):
        widths, functions = widths_and_functions(mdp, fit.inverse)
        r = exploration_reward(mdp, beta, widths)
        theta, inverse = weighted.theta, weighted.inverse
        theta_2, inverse_2 = square.theta, square.inverse
        _, V, pi = plan(mdp, r, theta, inverse, beta_w, np.arange(H, 0, -1.0))
        policies.append(pi)
        uncertainty.append(mdp.mu @ V[0])
        for h, s, a, t in episode(mdp, P, pi, rng):
            u = (H - h - 1) * functions[h][s][a]
            fit.add(kernels(mdp, h)[:, s, a] @ u, u[t])
            x, z = kernels(mdp, h)[:, s, a] @ V[h + 1], kernels(mdp, h)[:, s, a] @ V[h + 1] ** 2
            var = np.clip(z @ theta_2, 0, H**2) - np.clip(x @ theta, 0, H) ** 2
            E = min(H**2, beta_2 * np.sqrt(z @ inverse_2 @ z))
            E += min(H**2, 2 * H * check * np.sqrt(x @ inverse @ x))
            weighted.add(x, V[h + 1, t], 1 / max(H**2 / d, var + E))
            square.add(z, V[h + 1, t] ** 2)
    return policies, np.array(uncertainty), (fit, weighted, square)


def lsvi_plan(mdp, history, r, beta, lam, H, *, explore):
    """Return Q, V and pi from the rounds (phi, s') of each stage; exploring, the bonus is the reward too."""
    S, A, d = mdp.phi.shape
    Q, V, pi = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), int)
    for h in reversed(range(H)):
        Lambda = lam * np.eye(d) + sum(np.outer(f, f) for f, _ in history[h])
        w = np.linalg.solve(Lambda, sum((f * V[h + 1, t] for f, t in history[h]), np.zeros(d)))
        u = beta * np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, np.linalg.inv(Lambda), mdp.phi))
        u = np.minimum(u, H) if explore else u
        Q[h] = np.clip(mdp.phi @ w + (u / H if explore else r[h]) + u, 0, H - h)
        Q[h, ~mdp.mask] = -np.inf
        pi[h] = np.argmax(np.round(Q[h], 10), axis=1)
        V[h] = Q[h].max(axis=1)
    return Q, V, pi


def lsvi_reward_free(mdp, P, K, beta, lam, rng):
    H = len(P)
    history = [[] for _ in range(H)]
    policies, uncertainty = [], []
    for _ in range(K):
        _, V, pi = lsvi_plan(mdp, history, None, beta, lam, H, explore=True)
        policies.append(pi)
        uncertainty.append(mdp.mu @ V[0])
        s = draw(mdp.mu, rng)
        for h in range(H):
            a = pi[h, s]
            t = draw(P[h, s, a], rng)
            history[h].append((mdp.phi[s, a], t))
            s = t
    return policies, np.array(uncertainty), history


def draw(p, rng):
    return int(min(np.searchsorted(np.cumsum(p), rng.random(), side="right"), np.flatnonzero(p)[-1]))


# --- HF-UCRL-RFE++ ---


def policy_uncertainty(mdp, pi, theta, r, beta, inverse_hat, inverse_tilde):
    """Return V_hat and V_tilde of a given policy, by the paper's recursion."""
    S, H = len(mdp.mask), mdp.H
    hat, tilde = np.zeros((H + 1, S)), np.zeros((H + 1, S))
    for h in reversed(range(H)):
        for s in range(S):
            a = pi[h][s]
            x, z = kernels(mdp, h)[:, s, a] @ hat[h + 1], kernels(mdp, h)[:, s, a] @ tilde[h + 1]
            u = min(1, beta * np.sqrt(z @ inverse_tilde @ z))
            hat[h, s] = np.clip(u + 2 * beta * np.sqrt(x @ inverse_hat @ x) + x @ theta, 0, 1)
            tilde[h, s] = np.clip(r[h, s, a] + z @ theta, 0, 1)
    return hat, tilde


def backward_policy(mdp, theta, r, beta, inverse_hat, inverse_tilde, greedy):
    """Return the policy that takes, backward, the largest (V_hat, V_tilde), or (V_tilde, V_hat)."""
    S, H = len(mdp.mask), mdp.H
    pi = mdp.mask.argmax(axis=1)[None].repeat(H, axis=0)
    for h in reversed(range(H)):
        for s in range(S):
            found = []
            for a in np.flatnonzero(mdp.mask[s]):
                pi[h, s] = a
                hat, tilde = policy_uncertainty(mdp, pi, theta, r, beta, inverse_hat, inverse_tilde)
                pair = (round(hat[h, s], 9), round(tilde[h, s], 9))
                found.append((pair[::-1] if greedy else pair, -a))
            pi[h, s] = -max(found)[1]
    return pi


def hf_oracle(mdp, models, rewards, beta, inverse_hat, inverse_tilde):
    """Return the largest V_hat from mu, with its (V_hat, V_tilde, pi)."""
    best, kept = -1.0, None
    for theta in models:
        for r in rewards:
            for greedy in (False, True):
                pi = backward_policy(mdp, theta, r, beta, inverse_hat, inverse_tilde, greedy)
                hat, tilde = policy_uncertainty(mdp, pi, theta, r, beta, inverse_hat, inverse_tilde)
                if mdp.mu @ hat[0] > best + 1e-9:
                    best, kept = mdp.mu @ hat[0], (hat, tilde, pi)
    return best, kept


def moment_weights(fits, start, X, beta, gamma, alpha):
    """Return sigma_m^2 of one round; `start` holds (inverse, theta) at the start of the episode."""
    clip = [np.clip(X[m] @ start[m][1], 0, 1) for m in range(len(fits))]
    wide = [np.sqrt(X[m] @ start[m][0] @ X[m]) for m in range(len(fits))]
    sigma2 = []
    for m, fit in enumerate(fits):
        known = 1.0
        if m + 1 < len(fits):
            known = clip[m + 1] - clip[m] ** 2 + min(1, 2 * beta * wide[m]) + min(1, beta * wide[m + 1])
        sigma2.append(max(gamma**2 * fit.norm(X[m]), known, alpha**2))
    return sigma2


def inside(theta, series, radius):
    return all(
        np.sqrt((theta - f.theta) @ f.Lambda @ (theta - f.theta)) <= radius for fits in series for f in fits
    )


def hf_ucrl_rfe_plus_plus(mdp, P, K, rewards, models, radius, prior, M, lam, rng):
    """Return the policies, the uncertainty, the two series and the models left; ``radius(k)`` from 1."""
    d, H = mdp.phi.shape[-4], mdp.H
    hat, tilde = [Ridge(d, lam) for _ in range(M)], [Ridge(d, lam) for _ in range(M)]
    policies, uncertainty, left = [], [], [np.array(x) for x in models]
    for k in range(1, K + 1):
        beta = radius(k)
        left = [x for x in left if inside(x, (hat, tilde), beta + prior)]
        best, (V_hat, V_tilde, pi) = hf_oracle(mdp, left, rewards, beta, hat[0].inverse, tilde[0].inverse)
        policies.append(pi)
        uncertainty.append(best)
        starts = [[(f.inverse, f.theta) for f in fits] for fits in (hat, tilde)]
        for h, s, a, t in episode(mdp, P, pi, rng):
            for fits, start, V in ((hat, starts[0], V_hat), (tilde, starts[1], V_tilde)):
                X = [kernels(mdp, h)[:, s, a] @ V[h + 1] ** (2**m) for m in range(M)]
                sigma2 = moment_weights(fits, start, X, beta, d**-0.25, H**-0.5)
                for m in range(M):
                    fits[m].add(X[m], V[h + 1, t] ** (2**m), 1 / sigma2[m])
    return policies, np.array(uncertainty), (hat, tilde), left
