"""Experts, perturbed leaders, graphs, sets of arms, delays and batches as their papers write them."""

import itertools

import numpy as np
from scipy.optimize import brentq

from tests.tabular.bandits.naive_adversarial import draw, softmax


def bernoulli(mean, rng):
    return 1.0 if rng.random() < mean else 0.0


def exp4(means, T, advice, contexts, eta, rng):
    """Return the arms, and the value of each expert."""
    L, arms, value = np.zeros(advice.shape[1]), [], np.zeros(advice.shape[1])
    for t in range(T):
        E = advice[contexts[t % len(contexts)]]
        p = softmax(-eta * L) @ E
        a = draw(p, rng.random())
        y = np.zeros(means.size)
        y[a] = (1 - bernoulli(means[a], rng)) / p[a]
        L += E @ y
        arms.append(a)
        value += E @ means
    return np.array(arms), value


def noise(gumbel, rng):
    z = rng.standard_exponential()
    return -np.log(z) if gumbel else z


def ftpl(means, T, full, gumbel, eta, most, rng):
    """The resampling looks at the arm itself first, and at others until one beats it."""
    L, arms = np.zeros(means.size), []
    for _ in range(T):
        a = int(np.argmax([noise(gumbel, rng) - eta * x for x in L]))
        arms.append(a)
        if full:
            L += [1 - bernoulli(m, rng) for m in means]
            continue
        loss = 1 - bernoulli(means[a], rng)
        if loss > 0:
            n = 1
            while n < most:
                own = noise(gumbel, rng) - eta * L[a]
                if not any(noise(gumbel, rng) - eta * L[b] > own for b in range(means.size) if b != a):
                    break
                n += 1
            L[a] += n * loss
    return np.array(arms)


def leader_probabilities(L, eta, nodes=400_000):
    """P(a = argmax Z - eta L) for exponential noise, by quadrature over the noise of the leader."""
    z = (np.arange(nodes) + 0.5) * 40 / nodes
    p = []
    for a in range(L.size):
        others = [b for b in range(L.size) if b != a]
        below = [np.clip(1 - np.exp(-(z + eta * (L[b] - L[a]))), 0, None) for b in others]
        p.append(np.sum(np.exp(-z) * np.prod(below, axis=0)) * 40 / nodes)
    return np.array(p)


def exp3_graph(means, T, graph, explore, eta, gamma, rng):
    L, arms = np.zeros(means.size), []
    for _ in range(T):
        p = (1 - gamma) * softmax(-eta * L) + gamma * explore
        a = draw(p, rng.random())
        P = p @ graph
        for b in np.flatnonzero(graph[a]):
            L[b] += (1 - bernoulli(means[b], rng)) / P[b]
        arms.append(a)
    return np.array(arms)


def is_acyclic(graph, arms):
    """No power of the graph among the arms, without loops, has an entry on its diagonal."""
    part = graph[np.ix_(arms, arms)] & ~np.eye(len(arms), dtype=bool)
    walk = np.eye(len(arms), dtype=int)
    for _ in arms:
        walk = np.minimum(walk @ part, 1)
        if np.trace(walk) > 0:
            return False
    return True


def is_independent(graph, arms):
    return not any(graph[a, b] for a, b in itertools.permutations(arms, 2))


def largest(graph, good):
    A = len(graph)
    sets = (s for n in range(A, 0, -1) for s in itertools.combinations(range(A), n))
    return next(len(s) for s in sets if good(graph, list(s)))


def set_probabilities(w, m, gamma):
    """Probabilities of EXP3.M; the weight at which weights are cut by a root finder."""
    A = w.size
    kappa = (1 / m - gamma / A) / (1 - gamma)
    top = np.inf
    if w.max() >= kappa * w.sum():

        def excess(x):
            return x - kappa * np.minimum(w, x).sum()

        low = np.sort(w)[-m] * 1e-9
        top = brentq(excess, low, w.max(), xtol=1e-15 * w.max())
    v = np.minimum(w, top)
    return m * ((1 - gamma) * v / v.sum() + gamma / A), top


def dep_round(p, rng):
    """The pair is the earliest entry not yet decided, and the next one after all that were looked at."""
    p = p.copy()
    i = None
    for j in range(p.size):
        if not 0 < p[j] < 1:
            continue
        if i is None:
            i = j
            continue
        up, down = min(1 - p[i], p[j]), min(p[i], 1 - p[j])
        if rng.random() < down / (up + down):
            p[i], p[j] = p[i] + up, p[j] - up
        else:
            p[i], p[j] = p[i] - down, p[j] + down
        p[[i, j]] = np.where(np.abs(p[[i, j]] - p[[i, j]].round()) < 1e-12, p[[i, j]].round(), p[[i, j]])
        i = next((k for k in (i, j) if 0 < p[k] < 1), None)
    return p.round().astype(bool)


def exp3_m(means, T, m, gamma, rng):
    A = means.size
    w, sets = np.ones(A), []
    for _ in range(T):
        p, top = set_probabilities(w, m, gamma)
        p = np.where(w >= top, 1.0, p)
        chosen = dep_round(p, rng)
        for a in np.flatnonzero(chosen):
            reward = bernoulli(means[a], rng)
            if w[a] < top:
                w[a] *= np.exp(m * gamma * reward / (A * p[a]))
        sets.append(chosen)
    return np.array(sets)


def delayed_exp3(means, T, delays, eta, rng):
    L, arms, late = np.zeros(means.size), [], []
    for t in range(T):
        p = softmax(-eta * L)
        a = draw(p, rng.random())
        late.append((t + delays[t % len(delays)], a, (1 - bernoulli(means[a], rng)) / p[a]))
        for when, arm, x in late:
            if when == t:
                L[arm] += x
        arms.append(a)
    return np.array(arms)


def batched_elimination(means, T, ends, width, rng):
    """`width(n)` is the radius of arms played n times."""
    A = means.size
    active, rewards, arms = list(range(A)), [[] for _ in range(A)], []
    turn = -1
    for k, end in enumerate(ends):
        if k == len(ends) - 1:
            best = max(active, key=lambda a: np.mean(rewards[a]) if rewards[a] else -1.0)
        while len(arms) < end:
            if k < len(ends) - 1:
                turn = next(b % A for b in range(turn + 1, turn + 1 + A) if b % A in active)
                best = turn
            rewards[best].append(bernoulli(means[best], rng))
            arms.append(best)
        n = min(len(rewards[a]) for a in active)
        if n > 0:
            mean = {a: np.mean(rewards[a]) for a in active}
            active = [a for a in active if max(mean.values()) - mean[a] < width(n)]
    return np.array(arms)
