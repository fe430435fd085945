"""Combinatorial semi-bandits and duelling bandits as their papers write them: lists and plain NumPy."""

import math

import numpy as np


def best_action(values, actions):
    return max(range(len(actions)), key=lambda k: (sum(values[a] for a in actions[k]), -k))


def comb_ucb1(means, actions, T, rng):
    """Return the super-arms played (Bernoulli rewards)."""
    A = len(means)
    rewards = [[] for _ in range(A)]
    played = []
    for t in range(T):
        if any(not x for x in rewards):
            index = [0.0 if x else 1.0 for x in rewards]
        else:
            index = [np.mean(x) + math.sqrt(1.5 * math.log(t) / len(x)) for x in rewards]
        k = best_action(np.round(index, 11), actions)
        for a in actions[k]:
            rewards[a].append(float(rng.random() < means[a]))
        played.append(k)
    return played


def cts(means, actions, T, rng):
    alpha, beta = np.ones(len(means)), np.ones(len(means))
    played = []
    for _ in range(T):
        theta = [rng.beta(x, y) for x, y in zip(alpha, beta, strict=True)]
        k = best_action(theta, actions)
        for a in actions[k]:
            won = rng.random() < means[a]
            alpha[a] += won
            beta[a] += not won
        played.append(k)
    return played


def bounds(wins, t, alpha):
    """Return U and L of each ordered pair in round t = 1, 2, ..."""
    n = wins + wins.T
    with np.errstate(all="ignore"):
        p, r = wins / n, np.sqrt(alpha * math.log(t) / n)
    U, L = np.where(n > 0, p + r, 2.0), np.where(n > 0, p - r, 0.0)
    np.fill_diagonal(U, 0.5)
    np.fill_diagonal(L, 0.5)
    return U, L


def any_of(arms, rng):
    return arms[min(int(rng.random() * len(arms)), len(arms) - 1)] if len(arms) > 1 else arms[0]


def rucb(P, T, alpha, rng):
    """Return the pairs that met."""
    A = len(P)
    wins, B, pairs = np.zeros((A, A)), [], []
    for t in range(1, T + 1):
        U, _ = bounds(wins, t, alpha)
        C = [a for a in range(A) if (U[a] >= 0.5).all()]
        B = [a for a in B if a in C]
        if not C:
            a = any_of(list(range(A)), rng)
        elif len(C) == 1:
            B, a = C, C[0]
        elif B:
            a = B[0] if rng.random() < 0.5 else any_of([c for c in C if c not in B], rng)
        else:
            a = any_of(C, rng)
        ties = [b for b in range(A) if U[b, a] == U[:, a].max()]
        if len(ties) > 1 and a in ties:  # the last takes its place: the same number picks the same arm
            ties[ties.index(a)] = ties[-1]
            ties.pop()
        b = any_of(ties, rng)
        won = rng.random() < P[a][b]
        if a != b:
            wins[(a, b) if won else (b, a)] += 1
        pairs.append((a, b))
    return pairs


def d_ts_first(wins, t, alpha, theta):
    """Return the arms among which D-TS draws its first arm, for a given draw ``theta[a, b]``."""
    U, _ = bounds(wins, t, alpha)
    np.fill_diagonal(U, 0.0)
    may = (U > 0.5).sum(axis=1)
    C = np.flatnonzero(may == may.max())
    does = (theta > 0.5).sum(axis=1)
    return [a for a in C if does[a] == does[C].max()]


def d_ts_second(wins, t, alpha, a, theta):
    """Return the second arm of D-TS for a given draw ``theta[b]`` with ``theta[a] = 1/2``."""
    _, L = bounds(wins, t, alpha)
    arms = [b for b in range(len(wins)) if b == a or L[b, a] <= 0.5]
    return max(arms, key=lambda b: theta[b])
