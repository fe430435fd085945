"""Definitions of the average-reward learners' steps: dense arrays, linear programs, bisection."""

import numpy as np
from scipy.optimize import linprog, minimize_scalar

from eluder.core.simulator import reset, simulator, step


def optimal_gain(mdp):
    """The gain of a communicating problem: the linear program over occupancy measures."""
    S, A = mdp.mask.shape
    flow = np.repeat(np.eye(S), A, axis=0) - mdp.P.reshape(S * A, S)
    bounds = [(0, None if ok else 0) for ok in mdp.mask.ravel()]
    done = linprog(
        -mdp.r.ravel(),
        A_eq=np.vstack([flow.T, np.ones(S * A)]),
        b_eq=np.append(np.zeros(S), 1.0),
        bounds=bounds,
    )
    assert done.status == 0
    return -done.fun


def l1_expectation(p_hat, u, d):
    """max p u over the simplex with |p - p_hat|_1 <= d, by linear programming in (p, |p - p_hat|)."""
    S = len(u)
    eye = np.eye(S)
    done = linprog(
        np.append(-u, np.zeros(S)),
        A_ub=np.vstack(
            [np.hstack([eye, -eye]), np.hstack([-eye, -eye]), np.append(np.zeros(S), np.ones(S))[None]]
        ),
        b_ub=np.concatenate([p_hat, -p_hat, [d]]),
        A_eq=np.append(np.ones(S), np.zeros(S))[None],
        b_eq=[1.0],
        bounds=[(0, 1)] * S + [(0, None)] * S,
    )
    assert done.status == 0
    return -done.fun


def kl(p, q):
    return sum(x * np.log(x / y) if y > 0 else np.inf for x, y in zip(p, q) if x > 0)


def max_kl(p_hat, u, eps):
    """Algorithm 2 of Filippi et al. 2010, the root by bisection; returns the maximising distribution."""
    top = u.max()
    seen = p_hat > 0
    p, g = p_hat[seen], top - u[seen]

    def f(nu):  # nu measured from the largest value
        with np.errstate(divide="ignore"):
            return p @ np.log(nu + g) + np.log(p @ (1 / (nu + g)))

    q = np.zeros(len(u))
    if (g > 0).all() and f(0.0) < eps:
        nu, r = 0.0, 1 - np.exp(f(0.0) - eps)
        q[np.argmax(u)] = r
    elif np.ptp(g) == 0:
        return p_hat
    else:
        low, high, r = 0.0, 1.0, 0.0
        while f(high) > eps:
            low, high = high, 2 * high
        for _ in range(200):
            nu = (low + high) / 2
            low, high = (nu, high) if f(nu) > eps else (low, nu)
    weight = p / (nu + g)
    q[seen] = (1 - r) * weight / weight.sum()
    return q


def kl_dual(p_hat, u, eps):
    """The dual of the KL maximisation: min over nu >= max u of nu - exp(p_hat log(nu - u) - eps)."""
    seen = p_hat > 0
    g = u.max() - u[seen]

    def dual(log_nu):
        return u.max() + np.exp(log_nu) - np.exp(p_hat[seen] @ np.log(np.exp(log_nu) + g) - eps)

    grid = np.linspace(-40, 20, 2001)
    i = int(np.argmin([dual(x) for x in grid]))
    return minimize_scalar(dual, bounds=(grid[max(i - 1, 0)], grid[min(i + 1, 2000)]), method="bounded").fun


def extended_value_iteration(r_up, p_hat, radius, mask, tol, expectation, damping=1.0):
    """Equation 5 of Jaksch et al. 2010 to a span below tol; u moves by `damping` of the change."""
    u = np.zeros(len(r_up))
    while True:
        S, A = r_up.shape
        PV = np.array([[expectation(p_hat[s, a], u, radius[s, a]) for a in range(A)] for s in range(S)])
        Q = np.where(mask, r_up + PV, -np.inf)
        change = Q.max(axis=1) - u
        u = u + damping * change
        if np.ptp(change) < tol:
            return Q, change.max()


def run(mdp, T, plan, rng):
    """The episodes of Figure 1 of Jaksch et al. 2010; `plan(N, n_next, rewards, t)` returns Q and a gain.

    N counts the steps 1, ..., t - 1 of each pair, n_next their successors, and rewards sums their rewards.
    """
    S, A = mdp.mask.shape
    sim = simulator(mdp)
    N, n_next, rewards = np.zeros((S, A), int), np.zeros((S, A, S), int), np.zeros((S, A))
    values, gains = [], []
    s, t = reset(sim, rng), 1
    while t <= T:
        Q, gain = plan(N.copy(), n_next.copy(), rewards.copy(), t)
        pi, v = Q.argmax(axis=1), np.zeros((S, A), int)
        while t <= T and v[s, pi[s]] < max(1, N[s, pi[s]]):
            a = pi[s]
            s_next, reward, _ = step(sim, 0, s, a, rng)
            values.append(mdp.r[s, a])
            gains.append(gain)
            v[s, a] += 1
            n_next[s, a, s_next] += 1
            rewards[s, a] += reward
            s, t = s_next, t + 1
        N += v
    return values, gains, Q, N


def ucrl2_plan(mdp, delta, N, n_next, rewards, t):
    """Steps 2 to 5 of Figure 1 of Jaksch et al. 2010."""
    S, A = N.shape
    n = np.maximum(1, N)
    r_up = np.minimum(1, rewards / n + np.sqrt(7 * np.log(2 * S * A * t / delta) / (2 * n)))
    d = np.sqrt(14 * S * np.log(2 * A * t / delta) / n)
    return extended_value_iteration(r_up, n_next / n[..., None], d, mdp.mask, 1 / np.sqrt(t), inner_maximum)


def inner_maximum(p_hat, u, d):
    """Figure 2 of Jaksch et al. 2010; returns p u."""
    order = np.argsort(-u, kind="stable")
    p = p_hat.copy()
    p[order[0]] = min(1, p_hat[order[0]] + d / 2)
    last = len(u) - 1
    while p.sum() > 1 + 1e-12:
        p[order[last]] = 0
        p[order[last]] = max(0, 1 - p.sum())
        last -= 1
    return p @ u


def kl_ucrl_plan(mdp, C_R, C_P, N, n_next, rewards, t):
    """Algorithm 1 of Filippi et al. 2010, with the damping by which ours differs."""
    n = np.maximum(1, N)
    r_up = np.where(N > 0, np.minimum(1, rewards / n + C_R / np.sqrt(n)), 1)
    return extended_value_iteration(
        r_up,
        n_next / n[..., None],
        C_P / n,
        mdp.mask,
        1 / np.sqrt(t),
        lambda p, u, eps: max_kl(p, u, eps) @ u if p.sum() > 0 else u.max(),
        damping=0.9,
    )
