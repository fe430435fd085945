"""The Markov chain of a stationary dual sourcing policy: the states it reaches, and its exact average cost.

The state is the express position x and the l - 1 regular orders that arrive later, as in
`dual_sourcing_optimum`. With c the cost of a state and P its law of successors, any V gives::

    min(c + P V - V) <= average cost <= max(c + P V - V)

and V <- V + 0.9 (c + P V - V) draws the two together where the chain has one recurrent class.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray
from eluder.envs.inventory._store_chain import CHUNK, FARTHEST, first_state, insert, make_room

sparse: Any = scipy.sparse  # its stubs refuse arrays of unknown format
Policy = Callable[[IntArray, IntArray], tuple[IntArray, IntArray]]

MOST = 2_000_000  # states that a policy may reach
PART = 0.9  # of a sweep that is taken: no chain is periodic then


class Sweeps(NamedTuple):
    """Bounds on an average cost, and whether they met."""

    low: float
    high: float
    status: str


class Chain(NamedTuple):
    """States (n, l), orders (n,) and successors (n, number of demands), as rows of `states`."""

    states: IntArray
    regular: IntArray
    express: IntArray
    successors: IntArray


def reachable(policy: Policy, demands: IntArray, l: int, start: int = 0) -> Chain:  # noqa: E741
    """Find all states that the policy reaches from position `start` and an empty pipeline."""
    first = np.zeros(l, dtype=np.int64)
    first[0] = start
    states, table = first_state(first)
    known, done = 1, 0
    periods = level = 0  # states below `level` are reached in fewer than `periods`
    regular, express, successors = [], [], []
    while done < known:
        if done >= level:
            periods, level = periods + 1, known
        last = min(known, done + CHUNK)
        q, e = _orders(policy, states[done:last])
        states, table = make_room(states, table, known, (last - done) * len(demands))
        after = np.empty((last - done, len(demands)), dtype=np.int64)
        known = _follow(states, known, done, q, e, demands, table, after)
        regular.append(q)
        express.append(e)
        successors.append(after)
        done = last
        if known > MOST:
            raise ValueError(f"policy reaches more than {MOST:,} states: its orders may be unbounded")
        if periods > FARTHEST and done < known:
            raise ValueError(
                f"policy reaches new states after {FARTHEST:,} periods, the last "
                f"{states[known - 1].tolist()}: its stock may have no end"
            )
    pieces = (np.concatenate(x) for x in (regular, express, successors))
    return Chain(states[:known].copy(), *pieces)


@kernel
def _follow(
    states: IntArray,
    known: int,
    first: int,
    regular: IntArray,
    express: IntArray,
    demands: IntArray,
    table: IntArray,
    after: IntArray,
) -> int:
    """Append successors of states first, first + 1, ...; fills `after`; returns the number known."""
    l = states.shape[1]  # noqa: E741
    for i in range(regular.size):
        for k in range(demands.size):
            x = states[first + i, 0] + express[i] - demands[k]
            for j in range(1, l):
                states[known, j - 1] = states[first + i, j]
            states[known, l - 1] = regular[i]
            states[known, 0] += x
            number = insert(states, known, table)
            known = max(known, number + 1)
            after[i, k] = number
    return known


def _orders(policy: Policy, states: IntArray) -> tuple[IntArray, IntArray]:
    """Ask the policy, and check what it says."""
    orders = []
    for name, order in zip(("regular", "express"), policy(states[:, 0], states[:, 1:]), strict=True):
        given = np.asarray(order)
        whole = given.astype(np.int64)
        bad = (whole != given) | (whole < 0) if given.shape == (len(states),) else np.ones(1, dtype=bool)
        if bad.any():
            i = int(np.argmax(bad))
            what = given[i] if given.shape == (len(states),) else f"of shape {given.shape}"
            raise ValueError(f"policy gives a {name} order {what} at state {states[i].tolist()}")
        orders.append(whole)
    return orders[0], orders[1]


def recurrent(chain: Chain) -> BoolArray:
    """Which states are in a closed class: they are visited again and again."""
    n, demands = chain.successors.shape
    source = np.repeat(np.arange(n), demands)
    edges = sparse.coo_array((np.ones(n * demands), (source, chain.successors.ravel())), (n, n))
    count, label = connected_components(edges.tocsr(), directed=True, connection="strong")
    closed = np.ones(count, dtype=bool)
    closed[label[(label[chain.successors] != label[:, None]).any(axis=1)]] = False
    result: BoolArray = closed[label]
    return result


def stationary(chain: Chain, p: Array, tol: float = 1e-14, most: int = 100_000) -> Array:
    """Stationary distribution, by powers of the lazy chain until a step moves less than `tol`."""
    n = len(chain.states)
    into, weight = chain.successors.ravel(), np.tile(p, n)
    pi = np.full(n, 1 / n)
    for _ in range(most):
        step = np.bincount(into, weights=np.repeat(pi, len(p)) * weight, minlength=n)
        moved = float(np.abs(step - pi).sum())
        pi += PART * (step - pi)
        if moved <= tol * n**0.5:
            break
    pi /= pi.sum()
    return pi


def average_cost(c: Array, chain: Chain, p: Array, tol: float, max_iter: int) -> Sweeps:
    """Bounds on the average cost, by sweeps."""
    V = np.zeros(len(c))
    n, low, high = 0, -np.inf, np.inf
    while high - low > 2 * tol and n < max_iter:
        n += 1
        change = c + V[chain.successors] @ p - V
        low, high = float(change.min()), float(change.max())
        V += PART * change
        V -= V[0]
    status = "converged"
    if high - low > 2 * tol:
        status = f"not converged: bounds {high - low:.3g} apart > {2 * tol:.3g} after {n} sweeps; "
        status += "raise max_iter, or tol if that does not help"
        warnings.warn(status, RuntimeWarning, stacklevel=3)
    return Sweeps(low, high, status)
