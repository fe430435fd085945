"""Slow twins of the classical exact tools, in plain Python and NumPy."""

import itertools

import numpy as np


def sum_law(p, periods):
    """Law of the sum of `periods` demands with probabilities `p`, by adding one at a time."""
    law = np.array([1.0])
    for _ in range(periods):
        grown = np.zeros(len(law) + len(p) - 1)
        for i, a in enumerate(law):
            for j, b in enumerate(p):
                grown[i + j] += a * b
        law = grown
    return law


def level_cost(p, periods, y, h, b):
    """Expected holding and shortage cost of level y against the demand of `periods`."""
    return sum(q * (h * max(y - d, 0) + b * max(d - y, 0)) for d, q in enumerate(sum_law(p, periods)))


def lot_sizing(demand, setup, holding, unit):
    """Best plan over all subsets of periods with a setup; the first is one."""
    T = len(demand)
    best = (np.inf, None)
    for chosen in itertools.product([False, True], repeat=T):
        if demand[0] > 0 and not chosen[0]:
            continue
        starts = [t for t in range(T) if chosen[t]]
        orders = np.zeros(T)
        feasible = True
        for t in range(T):
            before = [s for s in starts if s <= t]
            if demand[t] > 0 and not before:
                feasible = False
                break
            if before:
                orders[before[-1]] += demand[t]
        if feasible:
            best = min(best, (plan_cost(orders, demand, setup, holding, unit), orders.tolist()))
    return best


def plan_cost(orders, demand, setup, holding, unit):
    """Cost of a plan, period by period."""
    stock = cost = 0.0
    for t in range(len(demand)):
        stock += orders[t] - demand[t]
        assert stock >= -1e-9
        cost += setup[t] * (orders[t] > 0) + unit[t] * orders[t] + holding[t] * stock
    return cost
