"""The planners' definitions from their papers: dense arrays, no care for speed."""

import itertools
import operator
from fractions import Fraction

import numpy as np
import scipy.sparse
from scipy.optimize import linprog


def tables(mdp):
    """Return the kernel (S, A, S) and the rewards, -inf where an action is not available."""
    S, A = mdp.r.shape
    P = mdp.P.toarray().reshape(S, A, S) if scipy.sparse.issparse(mdp.P) else mdp.P
    return P, np.where(mdp.mask, mdp.r, -np.inf)


def action_values(mdp, V, gamma=None):
    P, r = tables(mdp)
    S, A = r.shape
    gamma = mdp.gamma if gamma is None else gamma
    return np.array([[r[s, a] + gamma * sum(P[s, a] * V) for a in range(A)] for s in range(S)])


def gauss_seidel(mdp, V):
    V = V.copy()
    for s in range(V.size):
        V[s] = action_values(mdp, V)[s].max()
    return V


def evaluate(mdp, pi, V, sweeps):
    """Apply T_pi `sweeps` times."""
    for _ in range(sweeps):
        V = action_values(mdp, V)[np.arange(V.size), pi]
    return V


def policy_value(mdp, pi):
    P, r = tables(mdp)
    s = np.arange(len(pi))
    return np.linalg.inv(np.eye(s.size) - mdp.gamma * P[s, pi]) @ r[s, pi]


def optimal_value(mdp):
    """Return V* by the linear program min sum V, V >= r + gamma P V; checked by its residual."""
    P, r = tables(mdp)
    S, A = r.shape
    rows = [(s, a) for s in range(S) for a in range(A) if mdp.mask[s, a]]
    M = np.array([mdp.gamma * P[s, a] - np.eye(S)[s] for s, a in rows])
    limits = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    b = [-r[s, a] for s, a in rows]
    solved = linprog(np.ones(S), scipy.sparse.csr_array(M), b, bounds=(None, None), options=limits)
    assert solved.status == 0
    return solved.x


def enumerated_value(mdp):
    """Return V* as the largest value over all policies."""
    S, _ = mdp.r.shape
    choices = [np.flatnonzero(mdp.mask[s]) for s in range(S)]
    return np.max([policy_value(mdp, np.array(pi)) for pi in itertools.product(*choices)], axis=0)


def exact_value(mdp):
    """Return V* in rational numbers, by Howard's iteration without rounding."""
    S, _ = mdp.r.shape
    P = [[[Fraction(p) for p in row] for row in rows] for rows in tables(mdp)[0].tolist()]
    r, gamma = [[Fraction(x) for x in row] for row in mdp.r.tolist()], Fraction(mdp.gamma)
    choices = [np.flatnonzero(mdp.mask[s]).tolist() for s in range(S)]
    pi = [actions[0] for actions in choices]
    while True:
        M = [[(s == t) - gamma * P[s][pi[s]][t] for t in range(S)] + [r[s][pi[s]]] for s in range(S)]
        for i in range(S):  # Gauss and Jordan; the diagonal dominates
            M[i] = [x / M[i][i] for x in M[i]]
            for k in set(range(S)) - {i}:
                M[k] = [x - M[k][i] * y for x, y in zip(M[k], M[i], strict=True)]
        V = [row[-1] for row in M]
        Q = [{a: r[s][a] + gamma * sum(map(operator.mul, P[s][a], V)) for a in choices[s]} for s in range(S)]
        if all(max(Q[s].values()) == Q[s][pi[s]] for s in range(S)):
            return V
        pi = [max(Q[s], key=Q[s].get) for s in range(S)]


def optimal_gain(mdp):
    """Return the optimal gain by the linear program min g, g + h >= r + P h."""
    P, r = tables(mdp)
    S, A = r.shape
    rows = [(s, a) for s in range(S) for a in range(A) if mdp.mask[s, a]]
    M = np.array([np.append(P[s, a] - np.eye(S)[s], -1.0) for s, a in rows])
    solved = linprog(np.append(np.zeros(S), 1.0), M, [-r[s, a] for s, a in rows], bounds=(None, None))
    assert solved.status == 0
    return solved.x[-1]


def anderson(points, images):
    """Return sum_i alpha_i TV_i, sum alpha = 1, with the centred residual sum_i alpha_i g_i shortest."""
    g = images - points
    g = g - g.mean(axis=1, keepdims=True)
    m = len(g)
    kkt = np.block([[g @ g.T, np.ones((m, 1))], [np.ones((1, m)), np.zeros((1, 1))]])
    alpha = np.linalg.solve(kkt, np.append(np.zeros(m), 1.0))[:m]
    return alpha @ images


def propagate(mdp, V, d, threshold, most):
    """One round of prioritized sweeping after the changes `d`; return V and the number of backups."""
    P, _ = tables(mdp)
    theta = threshold * d.max()
    V, queue = V.copy(), {}

    def push(s, delta):
        for p, a in itertools.product(range(V.size), range(P.shape[1])):
            change = mdp.gamma * P[p, a, s] * delta
            if change > theta:
                queue[p] = max(queue.get(p, 0.0), change)

    for s in range(V.size):
        push(s, d[s])
    n = 0
    while queue and n < most:
        s = max(queue, key=queue.get)
        del queue[s]
        new = action_values(mdp, V)[s].max()
        delta, V[s] = abs(new - V[s]), new
        n += 1
        push(s, delta)
    return V, n


def soft_backup(Q, ref, tau):
    """Return the soft value and policy; `ref` may be all ones (entropy)."""
    weight = ref * np.exp(Q / tau)
    return tau * np.log(weight.sum(axis=-1)), weight / weight.sum(axis=-1, keepdims=True)


def backward_induction(mdp):
    """Return V (H, S) as the largest expected return over Markov policies, stage by stage."""
    S, A = mdp.mask.shape
    V = np.zeros((mdp.H + 1, S))
    for h in reversed(range(mdp.H)):
        P = mdp.P[h] if mdp.P.ndim == 4 else mdp.P
        r = mdp.r[h] if mdp.r.ndim == 3 else mdp.r
        for s in range(S):
            V[h, s] = max(r[s, a] + sum(P[s, a] * V[h + 1]) for a in range(A) if mdp.mask[s, a])
    return V[: mdp.H]


def end_components(mdp):
    """Return the maximal sets that can be kept for ever and whose states reach each other, by enumeration."""
    P, _ = tables(mdp)
    S, A = mdp.r.shape
    found = []
    for size in range(S, 0, -1):
        for states in itertools.combinations(range(S), size):
            inside = np.isin(np.arange(S), states)
            kept = mdp.mask & (P[:, :, ~inside].sum(axis=2) == 0)
            step = np.array(
                [[any(kept[s, a] and P[s, a, t] > 0 for a in range(A)) for t in states] for s in states]
            )
            reach = np.linalg.matrix_power(step + np.eye(size), size) > 0
            if kept[inside].any(axis=1).all() and reach.all() and not any(set(states) <= f for f in found):
                found.append(set(states))
    return found
