"""Dual sourcing with backlogging: a cheap slow supplier and a dear fast one (Whittemore and Saunders 1977).

A regular order is on hand L_r periods later and costs c_r per unit, an express order L_e < L_r periods later
at c_e. With l = L_r - L_e, the state is the express position x (on hand - backlog + all that arrives within
L_e periods) and the l - 1 regular orders that arrive later, q_1 first::

    x, q_1, ..., q_{l-1}   express e raises x to y, then regular q                # L_e = 0: e meets demand d
    c_e e + c_r q + G(y)   G(y) = h E (y - D)^+ + p E (D - y)^+                   # D: L_e + 1 periods
    y + q_1 - d, q_2, ..., q_{l-1}, q                                             # next; l = 1: y + q - d

    repeat                                                                        # relative value iteration
        U(z, m) <- E V(z - d, m)
        W(y)    <- G(y) + min_q c_r q + U(y + q_1, (q_2, ..., q_{l-1}, q))        # for each pipeline
        TV(x)   <- min_{y >= x} c_e (y - x) + W(y)                                # running minimum
        V       <- V + 0.9 (TV - V);  V <- V - V[0]
    until max(TV - V) - min(TV - V) <= 2 tol

Certified: min(TV - V) <= optimal cost <= max(TV - V) among policies that keep y at or above a least position,
each regular order at or below a largest one, and the position of all orders at or below a ceiling. The three
bounds are widened until the best policy keeps clear of them in every state to which demands of probability
above 1e-6 lead again and again.

Deviations from the paper: average cost instead of discounted cost. The reduction to l = L_r - L_e is standard
(Sheopuri, Janakiraman and Seshadri 2010).
"""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import IntegerDemand
from eluder.envs.inventory._dual_chain import reachable, recurrent
from eluder.envs.inventory._lattice import Lattice, cost_between, integer_law, total
from eluder.envs.inventory._newsvendor import critical_ratio, quantile_index

__all__ = ["DualSourcingResult", "dual_sourcing_optimum"]

LARGEST = 2**24  # states
SEEN = 1e-6  # probability of a demand from which on its consequences count for the bounds
PART = 0.9  # of a sweep that is taken: no policy is periodic then


@dataclass(frozen=True, slots=True, eq=False)
class DualSourcingResult:
    """What `dual_sourcing_optimum` returns; it is a policy: ``result(x, pipeline)`` gives the orders.

    Attributes
    ----------
    cost : float
        Optimal average cost per period, in the middle of the bounds.
    lower, upper : float
        Bounds on it; the policy's own cost lies between them too.
    regular, express : ndarray of int, shape (X, Q, ..., Q)
        Orders at express position ``low + i`` and pipeline ``q_1, ..., q_{l-1}`` (axes after the first).
        -1 where the position of all orders is above the ceiling.
    low : int
        The position of the first row.
    num_iter : int
        Sweeps, in all trials of bounds.
    status : str
        "converged", or what happened and what to try.
    """

    cost: float
    lower: float
    upper: float
    regular: IntArray
    express: IntArray
    low: int
    num_iter: int
    status: str

    def __call__(self, x: IntArray, pipeline: IntArray) -> tuple[IntArray, IntArray]:
        """Regular and express orders for positions (n,) and pipelines (n, l - 1)."""
        state = (np.asarray(x) - self.low, *np.asarray(pipeline).T)
        for axis, (index, size) in enumerate(zip(state, self.regular.shape, strict=True)):
            if index.size and not (index.min() >= 0 and index.max() < size):
                what = "x" if axis == 0 else f"pipeline[:, {axis - 1}]"
                raise ValueError(f"{what} leaves the table of the policy")
        orders = self.regular[state], self.express[state]
        if (orders[0] < 0).any():
            raise ValueError("x and pipeline leave the table of the policy")
        return orders


class Problem(NamedTuple):
    """What the sweeps need; l is L_r - L_e, D the demand of L_e + 1 periods."""

    law: Lattice
    D: Lattice
    l: int  # noqa: E741
    c_r: float
    c_e: float
    h: float
    p: float


class Bounds(NamedTuple):
    """Least position after an express order, ceiling of the position of all orders, largest order."""

    least: int
    ceiling: int
    order: int


def dual_sourcing_optimum(
    demand: IntegerDemand,
    *,
    lead_times: tuple[int, int],
    unit_costs: tuple[float, float],
    penalty: float,
    holding: float = 1.0,
    tol: float = 1e-9,
    max_iter: int = 100_000,
) -> DualSourcingResult:
    """Return the optimal policy of a location with a regular and an express supplier.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of one period.
    lead_times : tuple of int, (regular, express)
        Periods from order to on hand, ``0 <= express < regular``; 0 is before the demand of the same period.
    unit_costs : tuple of float, (regular, express)
        Costs per unit ordered, ``0 <= regular <= express``.
    penalty : float
        Cost per unit backlogged at the end of a period, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.
    tol : float, default=1e-9
        Half the distance of the bounds on the cost at which sweeps stop.
    max_iter : int, default=100_000
        Largest number of sweeps for one trial of bounds.

    Returns
    -------
    DualSourcingResult
        ``cost`` with ``lower`` and ``upper``, and the orders for each state.

    Raises
    ------
    ValueError
        If an argument is out of range, or the table would have more than 2**24 states.

    Notes
    -----
    A sweep takes O(X Q^(l-1) (d + Q)) time for X positions, orders below Q and demands below d.

    References
    ----------
    .. [1] Whittemore and Saunders. Optimal inventory under stochastic demand with two supply options. SIAM
       Journal on Applied Mathematics 32, 1977.
    .. [2] Sheopuri, Janakiraman and Seshadri. New policies for the stochastic inventory control problem with
       two supply sources. Operations Research 58, 2010.

    Examples
    --------
    >>> from eluder.envs.inventory import uniform_demand
    >>> problem = {"lead_times": (2, 0), "unit_costs": (0, 10), "penalty": 495, "holding": 5}
    >>> best = dual_sourcing_optimum(uniform_demand(0, 4), **problem)
    >>> round(best.cost, 6)
    19.733333
    """
    problem = dual_arguments(demand, lead_times, unit_costs, penalty, holding)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    max_iter = checks.integer("max_iter", max_iter)
    bounds, sweeps, touches = _first_bounds(problem), 0, Bounds(True, True, True)
    while any(touches):
        result = _solve(problem, bounds, tol, max_iter)
        sweeps += result.num_iter
        touches = _touches(problem, bounds, result)
        if result.status != "converged":
            warnings.warn(result.status, RuntimeWarning, stacklevel=2)
            break
        wider = max(2, (bounds.ceiling - bounds.least) // 4)
        bounds = Bounds(
            bounds.least - wider * touches.least,
            bounds.ceiling + wider * touches.ceiling,
            bounds.order + max(1, bounds.order // 4) * touches.order,
        )
    fields = (result.cost, result.lower, result.upper, result.regular, result.express, result.low)
    return DualSourcingResult(*fields, sweeps, result.status)


def dual_arguments(
    demand: IntegerDemand,
    lead_times: tuple[int, int],
    unit_costs: tuple[float, float],
    penalty: float,
    holding: float,
) -> Problem:
    """Check the data of a location with two suppliers."""
    law = integer_law(demand)
    L = checks.finite("lead_times", lead_times, (2,), low=0.0)
    slow, fast = (checks.integer(f"lead_times[{i}]", x, 0) for i, x in enumerate(L))
    if slow <= fast:
        raise ValueError(f"lead_times must be (regular, express), regular longer, got ({slow}, {fast})")
    c_r, c_e = checks.finite("unit_costs", unit_costs, (2,), low=0.0)
    if c_r > c_e:
        raise ValueError(f"unit_costs must be (regular, express), express dearer, got ({c_r:g}, {c_e:g})")
    p = checks.number("penalty", penalty, 0.0, open_low=True)
    h = checks.number("holding", holding, 0.0, open_low=True)
    return Problem(law, total(law, fast + 1), slow - fast, float(c_r), float(c_e), h, p)


def _first_bounds(problem: Problem) -> Bounds:
    """Bounds to begin with: little room around what one supplier would need."""
    law, D, n = problem.law, problem.D, problem.l
    both = total(law, n)
    least = D.low + quantile_index(D.p, 0.01) - 1
    ceiling = (
        D.low + both.low + quantile_index(np.convolve(D.p, both.p), critical_ratio(problem.h, problem.p))
    )
    return Bounds(least, max(ceiling, least) + 1, law.low + quantile_index(law.p, 0.99) + 1)


def _solve(problem: Problem, bounds: Bounds, tol: float, max_iter: int) -> DualSourcingResult:
    """Relative value iteration inside the bounds."""
    p = np.concatenate([np.zeros(problem.law.low), problem.law.p])
    n, B = problem.l, bounds.order + 1
    Y = bounds.ceiling - bounds.least + 1
    X, M = Y + len(p) - 1, B ** (n - 1)
    if X * M > LARGEST:
        raise ValueError(
            f"demand and lead_times need {X * M:,} states, more than {LARGEST:,}: shorten lead_times, or cut "
            "the law's tail"
        )
    G = cost_between(problem.D, bounds.least, bounds.ceiling, problem.h, problem.p)
    sums = np.indices((B,) * (n - 1)).reshape(n - 1, M).sum(axis=0) if n > 1 else np.zeros(1, np.int64)
    V, U = np.zeros((X, M)), np.zeros((Y, M))
    regular, express = np.full((X, M), -1), np.full((X, M), -1)
    sweeps, low, high = 0, -np.inf, np.inf
    while high - low > 2 * tol and sweeps < max_iter:
        sweeps += 1
        low, high = _sweep(V, U, p, G, sums, B, problem.c_r, problem.c_e, regular, express)
    status = "converged"
    if high - low > 2 * tol:
        status = f"not converged: bounds {high - low:.3g} apart > {2 * tol:.3g} after {sweeps} sweeps; raise "
        status += "max_iter, or tol if that does not help"
    shape = (X, *[B] * (n - 1))
    tables = regular.reshape(shape), express.reshape(shape)
    return DualSourcingResult(
        0.5 * (low + high), low, high, *tables, bounds.least - len(p) + 1, sweeps, status
    )


@kernel
def _sweep(
    V: Array,
    U: Array,
    p: Array,
    G: Array,
    sums: IntArray,
    B: int,
    c_r: float,
    c_e: float,
    regular: IntArray,
    express: IntArray,
) -> tuple[float, float]:
    """One sweep; moves V, fills U, regular and express in place. Least and largest TV - V."""
    Y, M = U.shape
    reach = p.size - 1
    for i in range(Y):
        U[i] = 0.0
        for d in range(p.size):
            if p[d] > 0.0:
                for m in range(M):
                    U[i, m] += p[d] * V[i + reach - d, m]

    low, high = np.inf, -np.inf
    oldest = M // B if M > 1 else 1  # what a unit of q_1 counts in the index of the pipeline
    for m in range(M):
        if sums[m] > Y - 1:
            continue
        lowest, y, q_y = np.inf, 0, 0
        for j in range(Y - 1 - sums[m] + reach, -1, -1):
            i = j - reach
            if i >= 0:
                q, w = _best_regular(U, i, m, oldest, B, Y - 1 - i - sums[m], c_r)
                w += G[i] + c_e * i
                if w <= lowest:
                    lowest, y, q_y = w, i, q
            change = lowest - c_e * i - V[j, m]
            low, high = min(low, change), max(high, change)
            regular[j, m] = q_y
            express[j, m] = y - i
            V[j, m] += PART * change
    anchor = V[0, 0]
    for j in range(V.shape[0]):
        for m in range(M):
            V[j, m] -= anchor
    return low, high


@kernel
def _best_regular(U: Array, i: int, m: int, oldest: int, B: int, room: int, c_r: float) -> tuple[int, float]:
    """Best regular order, at most `room`, at the i-th position after the express order."""
    best, least = 0, np.inf
    for q in range(min(B - 1, room) + 1):
        w = c_r * q
        if U.shape[1] > 1:
            w += U[i + m // oldest, (m % oldest) * B + q]
        else:
            w += U[i + q, 0]
        if w < least:
            best, least = q, w
    return best, least


def _touches(problem: Problem, bounds: Bounds, result: DualSourcingResult) -> Bounds:
    """Which bounds the policy meets where likely demands lead."""
    likely = np.flatnonzero(problem.law.p > SEEN) + problem.law.low
    chain = reachable(result, likely, problem.l, start=bounds.least)
    y = chain.states[:, 0] + chain.express
    position = y + chain.states[:, 1:].sum(axis=1) + chain.regular
    again = recurrent(chain)
    return Bounds(
        bool(y[again].min() == bounds.least),
        bool(position[again].max() == bounds.ceiling),
        bool(chain.regular[again].max() == bounds.order),
    )
