"""Plain NumPy twins of the exact tools of a store with lost sales, on a box of states."""

import itertools

import numpy as np


def laws(demand, tail=1e-15):
    """Return the demands and their probabilities."""
    p = demand.pmf(tail)
    return np.arange(len(p)), p


def successors(x, q, d, lost=True):
    """Return the next state of one state."""
    left = max(x[0] - d, 0) if lost else x[0] - d
    line = [*x[1:], q]
    return (left + line[0], *line[1:])


def immediate(x, demand, penalty, holding):
    """Return the expected cost of a period with x on hand."""
    d, p = laws(demand)
    return sum(w * (holding * max(x - k, 0) + penalty * max(k - x, 0)) for k, w in zip(d, p, strict=True))


def box_iteration(demand, L, penalty, holding, on_hand, order, sweeps=None, tol=1e-10):
    """Relative value iteration on 0..on_hand, 0..order per slot; on hand above the box is cut off.

    Returns the two bounds, the values and the greedy orders by state, and every sweep's values.
    """
    d, p = laws(demand)
    V = np.zeros((on_hand + 1, *[order + 1] * (L - 1)))
    c = np.array([immediate(x, demand, penalty, holding) for x in range(on_hand + 1)])
    history = []
    while True:
        Q = np.zeros((*V.shape, order + 1))
        for state in itertools.product(*map(range, V.shape)):
            for q in range(order + 1):
                left = np.maximum(state[0] - d, 0)
                line = (*state[1:], q)
                following = V[(np.minimum(left + line[0], on_hand), *line[1:])]
                Q[(*state, q)] = c[state[0]] + p @ following
        TV = Q.min(axis=-1)
        change = TV - V
        V = TV
        history.append(V)
        if np.ptp(change) < tol or (sweeps is not None and len(history) == sweeps):
            return change.min(), change.max(), V - V.flat[0], Q, history


def chain_cost(policy, demand, L, penalty, holding, lost=True, start=None):
    """Return the long-run cost by a dense chain of the states reached, in plain Python."""
    d, p = laws(demand)
    start = tuple([0] * L) if start is None else start
    index, queue = {start: 0}, [start]
    edges = []
    for x in queue:
        q = int(policy(np.array([x]))[0])
        for k, w in zip(d, p, strict=True):
            if w > 0:
                y = successors(x, q, int(k), lost)
                if y not in index:
                    index[y] = len(queue)
                    queue.append(y)
                edges.append((index[x], index[y], w))
    n = len(queue)
    P = np.zeros((n, n))
    for i, j, w in edges:
        P[i, j] += w
    c = np.array([immediate(x[0], demand, penalty, holding) for x in queue])
    # the Cesaro limit from the start, by squaring the lazy chain
    M = (P + np.eye(n)) / 2
    for _ in range(60):
        M = M @ M
        M /= M.sum(axis=1, keepdims=True)
    return float(M[0] @ c), dict(zip(queue, M[0], strict=True))
