"""Adversarial bandits as their papers write them: plain NumPy, the whole distribution in every round."""

import numpy as np
from scipy.optimize import brentq


def draw(p, u):
    """The arm in whose part of [0, 1) the number u lies."""
    return int(min(np.searchsorted(np.cumsum(p), u, side="right"), np.flatnonzero(p)[-1]))


def softmax(x):
    w = np.exp(x - x.max())
    return w / w.sum()


def play(learner, means, T, rng):
    """Run a learner (see below) on Bernoulli arms; return the arms played."""
    arms = []
    for t in range(1, T + 1):
        p = learner.p(t)
        a = learner.draw(p, rng.random())
        reward = 1.0 if rng.random() < means[a] else 0.0
        learner.learn(t, p, a, reward)
        arms.append(a)
    return np.array(arms)


class Learner:
    """`p(t)` is the distribution of round t (from 1), `learn` is told the arm and its reward."""

    def __init__(self, A, **args):
        self.A, self.L = A, np.zeros(A)
        self.__dict__.update(args)

    def draw(self, p, u):
        return draw(p, u)


class Exp3(Learner):
    gamma = 0.0
    gains = False

    def p(self, t):
        return (1 - self.gamma) * softmax(-self.eta * self.L) + self.gamma / self.A

    def draw(self, p, u):
        if u < self.gamma:
            return int(u / self.gamma * self.A)
        rest = (p - self.gamma / self.A) / (1 - self.gamma)
        return draw(rest, (u - self.gamma) / (1 - self.gamma))

    def learn(self, t, p, a, reward):
        self.L[a] += (-reward if self.gains else 1 - reward) / p[a]


class Exp3IX(Learner):
    def p(self, t):
        return softmax(-self.eta * self.L)

    def learn(self, t, p, a, reward):
        self.L[a] += (1 - reward) / (p[a] + self.gamma)


class Exp3P(Learner):
    def p(self, t):
        return (1 - self.gamma) * softmax(self.eta * self.L) + self.gamma / self.A

    def learn(self, t, p, a, reward):
        seen = np.zeros(self.A)
        seen[a] = reward
        self.L += (seen + self.beta) / p


class Exp3PlusPlus(Learner):
    def __init__(self, A, **args):
        super().__init__(A, **args)
        self.losses = [[] for _ in range(A)]

    def epsilon(self, t):
        lower, upper = np.zeros(self.A), np.ones(self.A)
        for a, seen in enumerate(self.losses):
            if seen:
                width = np.sqrt((self.alpha * np.log(t) + np.log(self.A)) / (2 * len(seen)))
                lower[a] = max(0, np.mean(seen) - width)
                upper[a] = min(1, np.mean(seen) + width)
        gap = np.maximum(0, lower - upper.min())
        with np.errstate(divide="ignore", invalid="ignore"):
            xi = np.where(gap > 0, self.beta * np.log(t) / (t * gap**2), np.inf)
        return np.minimum(np.minimum(1 / (2 * self.A), 0.5 * np.sqrt(np.log(self.A) / (t * self.A))), xi)

    def p(self, t):
        eta = 0.5 * np.sqrt(np.log(self.A) / (t * self.A))
        epsilon = self.epsilon(t)
        return (1 - epsilon.sum()) * softmax(-eta * self.L) + epsilon

    def learn(self, t, p, a, reward):
        self.L[a] += (1 - reward) / p[a]
        self.losses[a].append(1 - reward)


class TsallisINF(Learner):
    def p(self, t):
        eta = (4 if self.reduced else 2) / np.sqrt(t)

        def weights(x):
            return 4 / (eta * (self.L - x)) ** 2

        low = self.L.min()
        x = brentq(
            lambda x: weights(x).sum() - 1, low - 2.1 * np.sqrt(self.A) / eta, low - 1.9 / eta, xtol=1e-13
        )
        return weights(x)

    def learn(self, t, p, a, reward):
        eta = (4 if self.reduced else 2) / np.sqrt(t)
        B = 0.5 * (p >= eta**2) if self.reduced else np.zeros(self.A)
        self.L += B
        self.L[a] += (1 - reward - B[a]) / p[a]


class LogBarrier(Learner):
    def p(self, t):
        d = self.eta * (self.L - self.L.min())
        lam = brentq(lambda lam: (1 / (lam + d)).sum() - 1, 0.9, self.A + 1, xtol=1e-13)
        return 1 / (lam + d)

    def learn(self, t, p, a, reward):
        self.L[a] += (1 - reward) / p[a]


def hedge(means, T, eta, rng):
    """Means of the distributions played, and arms drawn from them; the draw comes after the rewards."""
    A = len(means)
    L, value, arms = np.zeros(A), [], []
    for _ in range(T):
        p = softmax(-eta * L)
        rewards = (rng.random(A) < means).astype(float)
        arms.append(draw(p, rng.random()))
        value.append(p @ means)
        L += 1 - rewards
    return np.array(value), np.array(arms)


def optimistic_hedge(means, T, eta, rng):
    A = len(means)
    L, last, value, arms = np.zeros(A), np.zeros(A), [], []
    for _ in range(T):
        p = softmax(-eta * (L + last))
        rewards = (rng.random(A) < means).astype(float)
        arms.append(draw(p, rng.random()))
        value.append(p @ means)
        last = 1 - rewards
        L += last
    return np.array(value), np.array(arms)
