"""Slow twins for dual sourcing: the physical system, order by order, with express lead time 0 or 1."""

import itertools

import numpy as np


def dynamic_program(p, lead_times, unit_costs, penalty, holding, *, low, high, express, regular, tol=1e-9):
    """Bounds on the best cost by value iteration on (stock on hand, regular orders on their way).

    Stock is cut to low, ..., high; express orders go up to `express`, regular ones up to `regular`.
    """
    slow, fast = lead_times
    shape = (high - low + 1, *[regular + 1] * (slow - 1))
    index = np.indices(shape)
    stock, way = index[0] + low, [*index[1:]]
    V = np.zeros(shape)
    for _ in range(3000):
        best = np.full(shape, np.inf)
        for e, q in itertools.product(range(express + 1), range(regular + 1)):
            value = np.full(shape, unit_costs[1] * e + unit_costs[0] * q, dtype=float)
            line = [*way, np.full(shape, q)]
            for d, prob in enumerate(p):
                left = stock - d + (e if fast == 0 else 0)
                after = left + line[0] + (e if fast == 1 else 0)
                cost = holding * np.maximum(left, 0) + penalty * np.maximum(-left, 0)
                value += prob * (cost + V[(np.clip(after, low, high) - low, *line[1:])])
            best = np.minimum(best, value)
        change = best - V
        V = V + 0.9 * change
        V -= V.flat[0]
        if np.ptp(change) < tol:
            break
    return change.min(), change.max()


def simulate(sample, policy, lead_times, unit_costs, penalty, holding, chains, periods, warm_up):
    """Cost of a policy: mean over chains, and its standard error."""
    slow, fast = lead_times
    stock = np.zeros(chains, dtype=np.int64)
    regular = np.zeros((chains, slow), dtype=np.int64)  # column j arrives in j + 1 periods
    express = np.zeros((chains, fast + 1), dtype=np.int64)
    costs = np.zeros(chains)
    for t in range(periods):
        x = stock + express[:, :fast].sum(axis=1) + regular[:, :fast].sum(axis=1)
        q, e = policy(x, regular[:, fast : slow - 1])
        regular[:, slow - 1] = q
        if fast:
            express[:, fast - 1] = e
        else:
            stock = stock + e
        stock = stock - sample(chains).astype(np.int64)
        cost = unit_costs[0] * q + unit_costs[1] * e
        cost = cost + holding * np.maximum(stock, 0) + penalty * np.maximum(-stock, 0)
        if t >= warm_up:
            costs += cost
        stock = stock + regular[:, 0] + (express[:, 0] if fast else 0)
        regular = np.column_stack([regular[:, 1:], np.zeros(chains, dtype=np.int64)])
        express = np.column_stack([express[:, 1:], np.zeros(chains, dtype=np.int64)])
    costs = costs / (periods - warm_up)
    return costs.mean(), costs.std(ddof=1) / np.sqrt(chains)
