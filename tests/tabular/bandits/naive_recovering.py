"""Recovering bandits without thought: the linear program by HiGHS, the exact optimum over all idle times."""

import itertools

import numpy as np
from scipy.optimize import linprog


def relaxation(R, m):
    """The linear program over x[a, d], plays of arm a after exactly d periods, per period."""
    A, D = R.shape
    rows = np.zeros((A + 1, A * D))
    for a in range(A):
        rows[a, a * D : (a + 1) * D] = np.arange(1, D + 1)
    rows[A] = 1.0
    answer = linprog(-R.ravel(), A_ub=rows, b_ub=np.append(np.ones(A), m), method="highs")
    assert answer.status == 0
    return -answer.fun


def optimum(R, m, sweeps=4000):
    """Average reward of the best policy at all: relative value iteration on idle times, half lazy."""
    A, D = R.shape
    states = list(itertools.product(range(D), repeat=A))  # idle time less one, capped
    number = {s: i for i, s in enumerate(states)}
    sets = [c for k in range(m + 1) for c in itertools.combinations(range(A), k)]
    after = np.array(
        [
            [number[tuple(0 if a in c else min(s[a] + 1, D - 1) for a in range(A))] for c in sets]
            for s in states
        ]
    )
    reward = np.array([[sum(R[a, s[a]] for a in c) for c in sets] for s in states])
    V = np.zeros(len(states))
    for _ in range(sweeps):
        step = (reward + V[after]).max(axis=1) - V
        if step.max() - step.min() < 1e-9:
            break
        V += 0.5 * step
        V -= V[0]
    assert step.max() - step.min() < 1e-6
    return (step.max() + step.min()) / 2


def schedule(period, offset, T):
    """Table (T, A) of plays."""
    t = np.arange(T)[:, None]
    return (period > 0) & (t % np.maximum(period, 1) == offset)


def learn(R, m, T, length, plan, place, c):
    """The online learner with rewards equal to their means; `plan(U)` gives periods and offsets."""
    A, D = R.shape
    n, total = np.zeros((A, int(place.max()) + 1)), np.zeros((A, int(place.max()) + 1))
    last, value = np.full(A, -1), []
    for t in range(T):
        if t % length == 0:
            with np.errstate(divide="ignore"):
                U = np.minimum(total / np.maximum(n, 1) + c * np.sqrt(2 * np.log(T) / n), 1.0)
            for i in range(U.shape[1]):
                U[:, i] = U[:, i:].min(axis=1)
            period, offset = plan(U)
        gained = 0.0
        for a in range(A):
            if period[a] and t % period[a] == offset[a]:
                rest = t - last[a]
                mean = R[a, min(rest, D) - 1]
                i = place[min(rest, place.size - 1)]
                if i >= 0:
                    n[a, i] += 1
                    total[a, i] += mean
                last[a], gained = t, gained + mean
        value.append(gained)
    return np.cumsum(value), n
