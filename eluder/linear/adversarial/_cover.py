"""A policy cover: exploring a linear MDP without its losses, by least squares with bonuses as rewards."""

import math

import numpy as np

from eluder.core.adversarial_books import AdversarialBooks, begin_episode, finish_episode, play_episode
from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_round, predict, solve


@kernel
def one_hot(policy: IntArray, top: int, pi: Array) -> None:
    """Let `pi` play the actions of `policy` at the stages up to `top`, in place (`pi`)."""
    for h in range(top + 1):
        for s in range(policy.shape[1]):
            pi[h, s] = 0.0
            pi[h, s, policy[h, s]] = 1.0


@kernel
def plan_cover(
    policy: IntArray, V: Array, fit: ValueRegression, books: AdversarialBooks, beta: float, y: Array, w: Array
) -> None:
    """Write the greedy policy of ``min(phi w + 2 beta |phi|, H - h)``, in place (`policy`, `V`)."""
    H, S = policy.shape
    V[H] = 0.0
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        for s in range(S):
            V[h, s] = -math.inf
            for a in range(fit.phi.shape[1]):
                if books.sim.mask[s, a]:
                    q = predict(fit, s, a, w) + 2.0 * beta * math.sqrt(max(fit.width2[h, s, a], 0.0))
                    q = min(q, float(H - h))
                    if q > V[h, s]:
                        V[h, s], policy[h, s] = q, a


@kernel
def explore_cover(
    policies: IntArray,
    weights: Array,
    fit: ValueRegression,
    books: AdversarialBooks,
    K: int,
    beta: float,
    rng: np.random.Generator,
) -> None:
    """Play K episodes and keep the policies and their shares, in place (all but `beta`).

    A new policy is planned when the determinant of some stage has doubled.
    """
    H, S, A = books.total.shape
    d = fit.b.shape[1]
    V, y, w, u = np.zeros((H + 1, S)), np.zeros(d), np.zeros(d), np.zeros(d)
    pi, last, n = np.zeros((H, S, A)), fit.logdet.copy(), -1
    path, played, L = np.zeros(H + 1, np.int64), np.zeros(H, np.int64), np.zeros(H)
    for k in range(K):
        # plan
        doubled = (fit.logdet - last).max() >= math.log(2.0)
        if k == 0 or (doubled and n + 1 < len(policies)):
            n += 1
            plan_cover(policies[n], V, fit, books, beta, y, w)
            one_hot(policies[n], H - 1, pi)
            last[:] = fit.logdet
        weights[n] += 1.0 / K

        # act, update
        begin_episode(books, k)
        play_episode(books, pi, path, played, L, rng)
        for h in range(H):
            add_round(fit, h, path[h], played[h], 0.0, path[h + 1], u)
        finish_episode(books, k, pi)  # measurement
