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
    best = low
    for x in np.linspace(math.log((top - low) / rho), math.log((top - low) / rho) - 30, 40_001):
        t = math.exp(x)
        inside = 1 + z(np.exp((low - V) / t) - 1)
        y = low - t * math.log(inside) - t * rho if inside > 0 else top
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
        x, y = z(np.minimum(W, a)), z(np.minimum(W, a) ** 2)
        return x - math.sqrt(rho * max(y - x**2, 0.0))

    a = np.append(np.linspace(0, W.max(), 2001), W)
    for _ in range(4):
        best = max(a, key=f)
        width = W.max() / 2000 if len(a) > 2000 else (a[1] - a[0])
        a = np.append(np.clip(np.linspace(best - width, best + width, 101), 0, W.max()), best)
    return low + min(f(max(a, key=f)), max(mean, 0.0))


def nu_penalty(z, V, w, top, divergence):
    if divergence == "tv":
        return z(np.minimum(V, V.min() + w))
    if divergence == "kl":
        return -w * math.log(max(z(np.exp(-V / w)), math.exp(-top / w)))
    best = -math.inf
    for a in np.append(np.linspace(V.min(), V.max(), 4001), V):
        x, y = np.clip(z(np.minimum(V, a)), 0, top), np.clip(z(np.minimum(V, a) ** 2), 0, top**2)
        best = max(best, x + x**2 / (4 * w) - y / (4 * w))
    return best


def worst(mdp, h, rounds, V, lam, top):
    """Return nu and the coordinate widths of stage h from its rounds (phi, s')."""
    d = mdp.phi.shape[2]
    Lambda = lam * np.eye(d) + sum((np.outer(f, f) for f, _ in rounds), np.zeros((d, d)))
    inverse = np.linalg.inv(Lambda)
    rows = [np.eye(V.size)[t] for _, t in rounds]
    M = sum((np.outer(f, row) for (f, _), row in zip(rounds, rows, strict=True)), np.zeros((d, V.size)))
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


def offline(mdp, data, beta, lam):
    """R2PVI and DRPVI; `beta` has shape (H, d)."""
    S = mdp.mu.size
    V, pi = np.zeros((mdp.H + 1, S)), np.zeros((mdp.H, S), int)
    for h in reversed(range(mdp.H)):
        rounds = [
            (mdp.phi[s, a], t) for s, a, t in zip(data.s[:, h], data.a[:, h], data.s_next[:, h], strict=True)
        ]
        nu, width = worst(mdp, h, rounds, V[h + 1], lam, mdp.H - h - 1)
        Q = np.clip(mdp.phi @ (mdp.theta[h] + nu) - mdp.phi @ (beta[h] * width), 0, mdp.H - h)
        Q = np.where(mdp.mask, Q, -np.inf)
        V[h], pi[h] = Q.max(axis=1), np.round(Q, 9).argmax(axis=1)
    return V[:-1], pi


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
