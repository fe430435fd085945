"""Learners of robust linear MDPs as their papers write them: histories, dense algebra, brute force."""

import math

import numpy as np


def nu_tv_ball(z, V, rho):
    """max over a of z(min(V, a)) - rho (a - min V): at a value, for it is piecewise linear."""
    return max(z(np.minimum(V, a)) - rho * (a - V.min()) for a in V)


def nu_kl_ball(z, V, rho, top):
    """The first maximum over l, from above, of low - l ln(1 + z(exp(-(V - low) / l) - 1)) - l rho."""
    low = V.min()
    mean = low + z(V - low)
    if rho == 0 or mean <= low or top <= low:
        return mean if rho == 0 else max(mean, low)
    best, start = low, math.log((top - low) / rho)
    t = np.exp(np.linspace(start, start - 30, 40_001))
    inside = 1 + z(np.exp((low - V[:, None]) / t) - 1)
    values = np.where(inside > 0, low - t * np.log(np.maximum(inside, 1e-300)) - t * rho, top)
    for y in values:
        if y < best and best > low:
            break
        best = max(best, y)
    return min(best, mean)


def nu_ball(z, V, rho, top, divergence):
    if divergence == "tv":
        return nu_tv_ball(z, V, rho)
    return nu_kl_ball(z, V, rho, top) if divergence == "kl" else nu_chi2_ball(z, V, rho)


def nu_chi2_ball(z, V, rho):
    """The maximum over a of x - sqrt(rho (y - x^2)), on a grid and polished; values count from the least."""
    low = V.min()
    W, mean = V - low, z(V - low)
    if rho == 0:
        return low + mean

    def f(a):
        cut = np.minimum(W[:, None], a)
        x, y = z(cut), z(cut**2)
        return x - np.sqrt(rho * np.maximum(y - x**2, 0.0))

    a, width = np.append(np.linspace(0, W.max(), 2001), W), W.max() / 2000
    for _ in range(4):
        best = a[f(a).argmax()]
        a = np.append(np.clip(np.linspace(best - width, best + width, 101), 0, W.max()), best)
        width /= 50
    return low + min(f(a).max(), max(mean, 0.0))


def nu_penalty(z, V, w, top, divergence):
    if divergence == "tv":
        return z(np.minimum(V, V.min() + w))
    if divergence == "kl":
        return -w * math.log(max(z(np.exp(-V / w)), math.exp(-top / w)))
    cut = np.minimum(V, np.append(np.linspace(V.min(), V.max(), 4001), V)[:, None]).T
    x, y = np.clip(z(cut), 0, top), np.clip(z(cut**2), 0, top**2)
    return (x + x**2 / (4 * w) - y / (4 * w)).max()


def worst(mdp, h, rounds, V, lam, top, var=None):
    """Return nu and the coordinate widths of stage h from its rounds (phi, s') and their variances."""
    d = mdp.phi.shape[2]
    F = np.array([f for f, _ in rounds]).reshape(-1, d)
    W = F / (np.ones(len(rounds)) if var is None else var)[:, None]
    inverse = np.linalg.inv(lam * np.eye(d) + W.T @ F)
    M = W.T @ np.eye(V.size)[[t for _, t in rounds]].reshape(-1, V.size)
    nu = np.zeros(d)
    for i in range(d):

        def z(g, weights=inverse[i] @ M):
            return weights @ g

        w = mdp.level[h, i]
        if mdp.mode == "penalty":
            nu[i] = nu_penalty(z, V, w, top, mdp.divergence)
        else:
            nu[i] = nu_ball(z, V, w, top, mdp.divergence)
    return nu, np.sqrt(np.diag(inverse))


def offline(mdp, data, beta, lam, var=None):
    """R2PVI and DRPVI; `beta` has shape (H, d), `var` (K, H) the variances that rows are divided by."""
    S = mdp.mu.size
    V, pi = np.zeros((mdp.H + 1, S)), np.zeros((mdp.H, S), int)
    for h in reversed(range(mdp.H)):
        rounds = [
            (mdp.phi[s, a], t) for s, a, t in zip(data.s[:, h], data.a[:, h], data.s_next[:, h], strict=True)
        ]
        at = None if var is None else var[:, h]
        nu, width = worst(mdp, h, rounds, V[h + 1], lam, mdp.H - h - 1, at)
        Q = np.clip(mdp.phi @ (mdp.theta[h] + nu) - mdp.phi @ (beta[h] * width), 0, mdp.H - h)
        Q = np.where(mdp.mask, Q, -np.inf)
        V[h], pi[h] = Q.max(axis=1), np.round(Q, 9).argmax(axis=1)
    return V[:-1], pi


def variance_aware(mdp, data, first, beta, lam):
    """VA-DRPVI and VA-R2PVI; `first` and `beta` (H, d) are the radii; also return the largest variance."""
    half, H, d = len(data.r) // 2, mdp.H, mdp.phi.shape[2]
    aside, rest = (type(data)(*(x[part] for x in data)) for part in (slice(half), slice(half, None)))
    V = np.vstack([offline(mdp, aside, first, 1.0)[0], np.zeros(mdp.mu.size)])
    var = np.ones(rest.r.shape)
    for h in range(H):
        F, y, top = mdp.phi[aside.s[:, h], aside.a[:, h]], V[h + 1, aside.s_next[:, h]], H - h - 1
        u, square = (np.linalg.solve(np.eye(d) + F.T @ F, F.T @ y**p) for p in (1, 2))
        f = mdp.phi[rest.s[:, h], rest.a[:, h]]
        var[:, h] = np.maximum(1, np.clip(f @ square, 0, top**2) - np.clip(f @ u, 0, top) ** 2)
    return *offline(mdp, rest, beta, lam, var), var.max()


def online(mdp, P, K, beta, lam, rng, tau=0.0, eta=math.inf, ref=None):
    """DR-LSVI-UCB, and with `tau` DR-RPO; return the policies as probabilities, and the estimates."""
    S, A, _ = mdp.phi.shape
    H = mdp.H
    history, policies, upper = [[] for _ in range(H)], [], []
    last = np.broadcast_to(ref, (H, S, A)) if tau else None
    for _ in range(K):
        V, pi = np.zeros(S), np.zeros((H, S, A))
        for h in reversed(range(H)):
            nu, width = worst(mdp, h, history[h], V, lam, H - h - 1)
            Q = np.clip(mdp.phi @ (mdp.theta[h] + nu + beta * width), 0, H - h)
            if not tau:
                Q[~mdp.mask] = -np.inf
                pi[h] = np.eye(A)[np.round(Q, 10).argmax(axis=1)]
                V = Q.max(axis=1)
                continue
            weight = (last[h] ** (1 / eta) * ref**tau * np.exp(Q)) ** (1 / (1 / eta + tau)) * mdp.mask
            pi[h] = weight / weight.sum(axis=1, keepdims=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                price = np.where(mdp.mask, pi[h] * np.log(pi[h] / ref), 0.0)
            V = (pi[h] * Q - tau * price).sum(axis=1)
        last = pi
        policies.append(pi)
        upper.append(mdp.mu @ V)
        s = draw(mdp.mu, rng)
        for h in range(H):
            a = draw(pi[h, s], rng) if tau else int(pi[h, s].argmax())
            t = draw(P[h, s, a], rng)
            history[h].append((mdp.phi[s, a], t))
            s = t
    return policies, np.array(upper)


def draw(p, rng):
    """The first index whose cumulative sum exceeds one uniform number."""
    return min(int(np.searchsorted(np.cumsum(p), rng.random(), side="right")), np.flatnonzero(p).max())
