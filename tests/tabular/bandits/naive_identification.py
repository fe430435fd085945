"""Best-arm identification as its papers write it: plain NumPy, general optimisers, lists of rewards."""

import math

import cvxpy as cp
import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr


def d(sigma, x, y):
    """Divergence: Gaussian of deviation `sigma`, or Bernoulli where it is None."""
    if sigma is not None:
        return (x - y) ** 2 / (2 * sigma**2)
    return rel_entr(x, y) + rel_entr(1 - x, 1 - y)


def cost(sigma, n_a, x_a, n_b, x_b):
    m = (n_a * x_a + n_b * x_b) / (n_a + n_b)
    return n_a * d(sigma, x_a, m) + n_b * d(sigma, x_b, m) if x_a > x_b else 0.0


def program(sigma, mu, beta=None):
    """1 / max_w min_a of the characteristic time, and w, as a convex program."""
    mu = np.asarray(mu)
    i = int(np.argmax(mu))
    w, t = cp.Variable(mu.size), cp.Variable()
    constraints = [w >= 0, cp.sum(w) == 1]
    if beta is not None:
        constraints.append(w[i] == beta)
    entropy = rel_entr(mu, 1) + rel_entr(1 - mu, 1)
    for a in range(mu.size):
        if a == i:
            continue
        both = w[i] + w[a]
        if sigma is not None:  # w_i w_a / (w_i + w_a) = w_i - w_i^2 / (w_i + w_a)
            rate = (w[i] - cp.quad_over_lin(w[i], both)) * (mu[i] - mu[a]) ** 2 / (2 * sigma**2)
        else:
            ones = w[i] * mu[i] + w[a] * mu[a]
            rate = w[i] * entropy[i] + w[a] * entropy[a] - cp.rel_entr(ones, both)
            rate -= cp.rel_entr(both - ones, both)
        constraints.append(rate >= t)
    cp.Problem(cp.Maximize(t), constraints).solve(solver="CLARABEL")
    return 1 / float(t.value), w.value


def weights(sigma, mu):
    """w* by the nested equations of Theorem 5, each solved by Brent's method."""
    mu = np.asarray(mu)
    i = int(np.argmax(mu))
    if (mu == mu[i]).sum() > 1:
        return (mu == mu[i]) / (mu == mu[i]).sum()
    others = [a for a in range(mu.size) if a != i]

    def m(a, x):
        return (mu[i] + x * mu[a]) / (1 + x)

    def level(a, x):
        return d(sigma, mu[i], m(a, x)) + (x * d(sigma, mu[a], m(a, x)) if x else 0.0)

    def x_of(a, y):
        def g(z):
            x = z / (1 - z)
            return level(a, x) - y

        z = brentq(g, 0, 1 - 1e-7, xtol=1e-16, rtol=1e-14)
        return z / (1 - z)

    def excess(y):
        terms = [d(sigma, mu[i], m(a, x_of(a, y))) / d(sigma, mu[a], m(a, x_of(a, y))) for a in others]
        return sum(terms) - 1

    top = min(level(a, 1e7) for a in others)  # its supremum, d(best, a), may be infinite
    y = brentq(excess, top * 1e-6, top * (1 - 1e-5), xtol=1e-16, rtol=1e-14)
    x = np.array([1.0 if a == i else x_of(a, y) for a in range(mu.size)])
    return x / x.sum()


def beta_threshold(sigma, proved, n_a, n_b, t, A, delta):
    if not proved:
        return math.log((1 + math.log(t)) / delta)
    if sigma is None:
        return math.log(2 * t * (A - 1) / delta)
    inner = math.log((A - 1) / delta) + math.log((1 + n_a) * (1 + n_b)) / 2
    return (1 + 1 / min(n_a, n_b)) * inner


def fixed_confidence(sample, A, choose, sigma, proved, delta):
    """Run a sampling rule ``choose(t, rewards, n, mean)`` with the Chernoff stopping rule."""
    rewards = [[] for _ in range(A)]
    for t in range(10_000):
        a = t
        if t >= A:
            n = np.array([len(x) for x in rewards])
            mean = np.array([np.mean(x) for x in rewards])
            i = int(np.argmax(mean))
            if all(
                cost(sigma, n[i], mean[i], n[b], mean[b])
                > beta_threshold(sigma, proved, n[i], n[b], t, A, delta)
                for b in range(A)
                if b != i
            ):
                return i, n
            a = choose(t, rewards, n, mean)
        rewards[a].append(sample(a))
    raise AssertionError("no stop")


def track_rule(sigma):
    def choose(t, rewards, n, mean):
        A = n.size
        starved = [a for a in range(A) if n[a] < math.sqrt(t) - A / 2]
        if starved:
            return min(starved, key=lambda a: n[a])
        return int(np.argmax(np.round(t * weights(sigma, mean) - n, 9)))

    return choose


def top_two_rule(sigma, beta, thompson, rng):
    def choose(t, rewards, n, mean):
        A = n.size
        i = int(np.argmax(mean))
        if thompson and sigma is None:
            total = np.array([sum(x) for x in rewards])
            i = int(np.argmax([rng.beta(1 + s, 1 + k - s) for s, k in zip(total, n, strict=True)]))
        elif thompson:
            i = int(np.argmax([mean[a] + sigma / math.sqrt(n[a]) * rng.standard_normal() for a in range(A)]))
        if rng.random() < beta:
            return i
        index = [cost(sigma, n[i], mean[i], n[a], mean[a]) + math.log(n[a]) for a in range(A)]
        index[i] = np.inf
        return int(np.argmin(index))

    return choose


def lucb(sample, A, delta, eps, c=1.0):
    rewards = [[sample(a)] for a in range(A)]
    t = 2
    while True:
        n = np.array([len(x) for x in rewards])
        mean = np.array([np.mean(x) for x in rewards])
        radius = c * np.sqrt(np.log(5 / 4 * A * t**4 / delta) / (2 * n))
        i = int(np.argmax(mean))
        upper = mean + radius
        upper[i] = -np.inf
        rival = int(np.argmax(upper))
        if upper[rival] - (mean[i] - radius[i]) < eps:
            return i, n
        rewards[i].append(sample(i))
        rewards[rival].append(sample(rival))
        t += 1


def halving(sample, A, T):
    alive = list(range(A))
    pulls = np.zeros(A, int)
    R = math.ceil(math.log2(A))
    for _ in range(R):
        k = math.floor(T / (len(alive) * R))
        mean = {a: np.mean([sample(a) for _ in range(k)]) for a in alive}
        pulls[alive] += k
        alive = sorted(sorted(alive, key=lambda a: -mean[a])[: math.ceil(len(alive) / 2)])
    return alive[0], pulls
