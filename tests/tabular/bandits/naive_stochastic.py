"""Stochastic bandits as their papers write them: plain NumPy, the whole index of every arm in every round."""

import numpy as np


def bernoulli(means):
    return lambda a, rng: 1.0 if rng.random() < means[a] else 0.0


def gaussian(means, sigma=1.0):
    return lambda a, rng: means[a] + sigma * rng.standard_normal()


def exponential(means):
    return lambda a, rng: means[a] * rng.standard_exponential()


def bounded(means, precision=4.0):
    return lambda a, rng: rng.beta(means[a] * precision, (1 - means[a]) * precision)


def run(index, means, T, rng, draw=None, variance=False):
    """Play the argmax of ``index(t, n, mean)`` (or ``index(t, n, mean, var)``), each arm once first.

    Bernoulli arms by default; return the arms played.
    """
    A = len(means)
    draw = draw or bernoulli(means)
    rewards = [[] for _ in range(A)]
    arms = []
    for t in range(T):
        if t < A:
            a = t
        else:
            n = np.array([len(x) for x in rewards])
            mean = np.array([np.sum(x) / len(x) for x in rewards])
            more = (np.array([np.var(x) for x in rewards]),) if variance else ()
            a = int(np.argmax(index(t, n, mean, *more)))
        rewards[a].append(draw(a, rng))
        arms.append(a)
    return np.array(arms)


def ucb1(t, n, mean):
    return mean + np.sqrt(2 * np.log(t) / n)


def ucb_v(t, n, mean, var, zeta=1.2, c=1.0):
    E = zeta * np.log(t)
    return mean + np.sqrt(2 * var * E / n) + 3 * c * E / n


def moss(T):
    return lambda t, n, mean: mean + np.sqrt(np.maximum(np.log(T / (len(n) * n)), 0) / n)


# --- divergences, by their formulas ---


def kl_bernoulli(p, q):
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(p > 0, p * np.log(p / q), 0.0)
        return one + np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)


def kl_gaussian(p, q):
    return (p - q) ** 2 / 2


def kl_exponential(p, q):
    return p / q - 1 - np.log(p / q)


def kl_poisson(p, q):
    with np.errstate(divide="ignore", invalid="ignore"):
        return q - p + np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)  # p / q may round to zero


KL = {
    "bernoulli": kl_bernoulli,
    "gaussian": kl_gaussian,
    "exponential": kl_exponential,
    "poisson": kl_poisson,
}


def upper(family, mean, level):
    """The largest u with kl(mean, u) <= level, by bisection."""
    kl = KL[family]
    low = np.array(mean, dtype=float)
    high = np.ones_like(low)
    if family != "bernoulli":
        high = low + 1.0
        while (kl(low, high) <= level).any():
            high = high * 2
    base = low.copy()
    for _ in range(200):
        middle = (low + high) / 2
        inside = kl(base, middle) <= level
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


def kl_ucb(family="bernoulli", c=0.0, variance=1.0):
    def index(t, n, mean):
        f = np.log(t) + (c * np.log(np.log(t)) if c else 0.0)
        return upper(family, mean, variance * max(f, 0.0) / n)

    return index


def kl_ucb_plus_plus(T, family="bernoulli", variance=1.0):
    def index(t, n, mean):
        y = T / (len(n) * n)
        g = np.log(np.maximum(y * (np.maximum(np.log(y), 0) ** 2 + 1), 1))
        return upper(family, mean, variance * g / n)

    return index


def imed(family="bernoulli", variance=1.0):
    def index(t, n, mean):
        best = mean.max()
        kl = np.where(mean == best, 0.0, KL[family](mean, best))
        return -(n * kl / variance + np.log(n))

    return index


# --- other loops ---


def epsilon_greedy(means, T, rng, epsilon):
    """`epsilon` is a function of the number of the round, from 1; one uniform number decides twice."""
    A = len(means)
    n, total = np.zeros(A), np.zeros(A)
    arms = []
    for t in range(T):
        eps = epsilon(t + 1)
        u = rng.random()
        if u < eps:
            a = int(np.floor(u / eps * A))
        else:
            a = int(np.argmax([total[b] / n[b] if n[b] else np.inf for b in range(A)]))
        n[a] += 1
        total[a] += 1.0 if rng.random() < means[a] else 0.0
        arms.append(a)
    return np.array(arms)


def successive_elimination(means, T, rng, delta):
    A = len(means)
    total, active, arms, n = np.zeros(A), list(range(A)), [], 0
    while len(arms) < T:
        for a in active:
            arms.append(a)
            total[a] += 1.0 if rng.random() < means[a] else 0.0
        n += 1
        radius = np.sqrt(np.log(5 * A * n**2 / delta) / n)
        best = max(total[a] / n for a in active)
        if len(active) > 1:
            active = [a for a in active if best - total[a] / n < 2 * radius]
    return np.array(arms[:T])


def sliding_window_ucb(means, T, rng, window, xi):
    """`means` is a function of the round."""
    A = len(means(0))
    arms, rewards = [], []
    for t in range(T):
        index = np.full(A, np.inf)
        for b in range(A):
            seen = [x for a, x in zip(arms[-window:], rewards[-window:], strict=True) if a == b]
            if seen:
                index[b] = np.mean(seen) + np.sqrt(xi * np.log(min(t, window)) / len(seen))
        a = t if t < A else int(np.argmax(index))
        arms.append(a)
        rewards.append(1.0 if rng.random() < means(t)[a] else 0.0)
    return np.array(arms)


def discounted_ucb(means, T, rng, gamma, xi):
    A = len(means(0))
    arms, rewards = [], []
    for t in range(T):
        weight = gamma ** np.arange(t)[::-1]
        n = np.array([np.sum(weight * (np.array(arms) == b)) for b in range(A)])
        total = np.array([np.sum(weight * np.array(rewards) * (np.array(arms) == b)) for b in range(A)])
        if t < A:
            a = t
        else:
            a = int(np.argmax(total / n + 2 * np.sqrt(xi * np.log(n.sum()) / n)))
        arms.append(a)
        rewards.append(1.0 if rng.random() < means(t)[a] else 0.0)
    return np.array(arms)


def rotting(index, means, T, rng):
    """Play the argmax of ``index(t, rewards of an arm)``; arms without rewards first."""
    N, A = means.shape
    rewards = [[] for _ in range(A)]
    arms = []
    for t in range(T):
        a = int(np.argmax([index(t, np.array(x)) if x else np.inf for x in rewards]))
        mean = means[min(len(rewards[a]), N - 1), a]
        rewards[a].append(1.0 if rng.random() < mean else 0.0)
        arms.append(a)
    return np.array(arms)


def raw_ucb(t, rewards, alpha, sigma):
    """The smallest bound over windows of 2^j rewards that end at a multiple of 2^(j-1)."""
    n, bounds, j = len(rewards), [], 0
    while 2**j <= n:
        step = max(2 ** (j - 1), 1) if j else 1
        end = n // step * step
        window = rewards[end - 2**j : end]
        bounds.append(window.mean() + sigma * np.sqrt(2 * alpha * np.log(t) / 2**j))
        j += 1
    return min(bounds)


def sliding_window_average(means, T, rng, M):
    N, A = means.shape
    rewards = [[] for _ in range(A)]
    arms = []
    for t in range(T):
        a = t % A if t < A * M else int(np.argmax([np.mean(x[-M:]) for x in rewards]))
        mean = means[min(len(rewards[a]), N - 1), a]
        rewards[a].append(1.0 if rng.random() < mean else 0.0)
        arms.append(a)
    return np.array(arms)
