"""Slow twins for serial systems: the recursion as it is written, simulation, and a dynamic program."""

import functools
import itertools

import numpy as np

from tests.envs.inventory.naive_classic import sum_law


def clark_scarf(p, lead_times, holding, penalty, reach):
    """The recursion for demand probabilities `p`; levels are sought in range(reach)."""
    h = [*holding, 0.0]
    m = sum(d * q for d, q in enumerate(p))
    laws = [sum_law(p, lead_times[0] + 1)] + [sum_law(p, n) for n in lead_times[1:]]
    levels = []

    @functools.cache
    def C(k, y):
        if k == 0:
            short = sum(q * max(d - y, 0) for d, q in enumerate(laws[0]))
            return h[0] * (y - (lead_times[0] + 1) * m) + (h[0] + penalty) * short - h[1] * y
        waits = sum(q * C(k - 1, min(levels[k - 1], y - d)) for d, q in enumerate(laws[k]))
        return h[k] * (y - lead_times[k] * m) + waits - h[k + 1] * y

    for k in range(len(lead_times)):
        levels.append(min(range(reach), key=lambda y: C(k, y)))
    return levels, C(len(lead_times) - 1, levels[-1])


def simulate(sample, levels, lead_times, holding, penalty, chains, periods, warm_up):
    """Cost of echelon base stock levels: mean and its standard error over independent chains."""
    N = len(levels)
    stock = np.zeros((chains, N))
    stock[:, 0] = levels[0]
    stock[:, 1:] = np.diff(levels)
    pipeline = [np.zeros((chains, n)) for n in lead_times]
    total = np.zeros(chains)
    for t in range(periods):
        inside = stock + np.stack([q.sum(axis=1) for q in pipeline], axis=1)
        position = np.cumsum(inside, axis=1)
        order = np.maximum(np.asarray(levels) - position, 0)
        order[:, :-1] = np.minimum(order[:, :-1], stock[:, 1:])
        stock[:, 1:] -= order[:, :-1]
        stock[:, 0] -= sample(chains)
        cost = np.maximum(stock, 0) @ np.asarray(holding) + penalty * np.maximum(-stock[:, 0], 0)
        if t >= warm_up:
            total += cost
        for k in range(N):
            pipeline[k] = np.concatenate([pipeline[k], order[:, k : k + 1]], axis=1)[:, 1:]
            stock[:, k] += pipeline[k][:, 0]
            pipeline[k][:, 0] = 0
    mean = total / (periods - warm_up)
    return mean.mean(), mean.std(ddof=1) / np.sqrt(chains)


def dynamic_program(p, lead_time, holding, penalty, *, low, high, stock, ship, sweeps=4000, tol=1e-9):
    """Bounds on the best cost over all policies of two stages, upper lead time 1, by value iteration.

    Axes: net stock of the store (low to high, cut there), orders on their way to it (lead_time - 1 slots up
    to `ship`), stock of the supplier. All shipments up to `ship` and orders that fit are tried.
    """
    x = np.arange(low, high + 1)
    slots = lead_time - 1
    shape = (len(x), *[ship + 1] * slots, stock + 1)
    index = np.indices(shape)
    net, way, w = x[index[0]], index[1:-1], index[-1]
    V = np.zeros(shape)
    for _ in range(sweeps):
        best = np.full(shape, np.inf)
        for a, q in itertools.product(range(ship + 1), range(stock + 1)):
            value = holding[1] * (w - a).astype(float)
            for d, prob in enumerate(p):
                left = net - d
                arrives = way[0] if slots else a
                after = np.clip(left + arrives, low, high) - low
                moved = tuple(way[1:]) + ((np.full(shape, a),) if slots else ())
                cost = holding[0] * np.maximum(left, 0) + penalty * np.maximum(-left, 0)
                value = value + prob * (cost + V[(after, *moved, np.clip(w - a + q, 0, stock))])
            best = np.minimum(best, np.where((a <= w) & (w - a + q <= stock), value, np.inf))
        change = best - V
        V = V + 0.9 * change
        V -= V.flat[0]
        if np.ptp(change) < tol:
            break
    return change.min(), change.max()
