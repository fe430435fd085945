"""Definitions of the average-reward learners' steps: dense arrays, linear programs, bisection."""

import numpy as np
from scipy.optimize import linprog, minimize_scalar


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


def extended_value_iteration(r_up, p_hat, radius, mask, tol, expectation):
    """Equation 5 of Jaksch et al. 2010 from u = 0, to a span below tol."""
    u = np.zeros(len(r_up))
    while True:
        S, A = r_up.shape
        PV = np.array([[expectation(p_hat[s, a], u, radius[s, a]) for a in range(A)] for s in range(S)])
        Q = np.where(mask, r_up + PV, -np.inf)
        change = Q.max(axis=1) - u
        u = Q.max(axis=1)
        if np.ptp(change) < tol:
            return Q, change.max()
