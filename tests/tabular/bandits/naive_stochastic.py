"""Stochastic bandits as their papers write them: plain NumPy, the whole index of every arm in every round."""

import numpy as np


def run(index, means, T, rng):
    """Play the argmax of ``index(t, n, mean)`` on Bernoulli arms, each once first; return the arms played."""
    A = len(means)
    rewards = [[] for _ in range(A)]
    arms = []
    for t in range(T):
        if t < A:
            a = t
        else:
            n = np.array([len(x) for x in rewards])
            mean = np.array([np.mean(x) for x in rewards])
            a = int(np.argmax(index(t, n, mean)))
        rewards[a].append(1.0 if rng.random() < means[a] else 0.0)
        arms.append(a)
    return np.array(arms)


def ucb1(t, n, mean):
    return mean + np.sqrt(2 * np.log(t) / n)
