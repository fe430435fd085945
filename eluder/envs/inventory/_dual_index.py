"""Dual sourcing policies of few parameters, the best of each kind, and the exact cost of any policy.

The state is that of `dual_sourcing_optimum`: express position x, and l - 1 regular orders that arrive later::

    dual index (S_e, S_r)       e = (S_e - x)^+;  q = (S_r - position of all orders after e)^+
    capped (S_e, S_r, cap)      the same, and q <= cap
    tailored base surge (S, Q)  e = (S - x)^+;    q = Q

The overshoot O = (x - S_e)^+ and the orders follow a chain that depends on the gap S_r - S_e (and the cap)
alone, and O says nothing of the demands to come. So with pi the chain's stationary distribution::

    cost = c_e E e + c_r E q + E h (S_e + O - D)^+ + p (D - S_e - O)^+             # D: L_e + 1 periods

and the best S_e is the critical ratio's quantile of D - O: one newsvendor problem for each gap and cap
(Veeraraghavan and Scheller-Wolf 2008). Base surge has ``O' = (O + Q - d)^+``, the waiting time of a queue.

Certified: the cost of a policy by bounds as in `dual_sourcing_optimum`; the best of a kind by trying all gaps
up to that which the demand of l periods exceeds with probability .001, and all caps (or Q below the mean).

Deviations from the papers: average cost on the integers by the chain, not by simulation; Q is an integer.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from eluder.core import checks
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import IntegerDemand
from eluder.envs.inventory._dual_chain import Policy, average_cost, reachable, stationary
from eluder.envs.inventory._dual_sourcing import Problem, dual_arguments
from eluder.envs.inventory._lattice import Lattice, add, cost_between, level_cost, total
from eluder.envs.inventory._newsvendor import critical_ratio, quantile_index

__all__ = [
    "DualIndex",
    "DualSourcingCost",
    "DualSourcingHeuristic",
    "TailoredBaseSurge",
    "best_dual_index",
    "best_tailored_base_surge",
    "dual_sourcing_cost",
]

RARE = 1e-3  # gaps and caps are tried up to what demand exceeds with this probability
LONGEST_QUEUE = 2**18


@dataclass(frozen=True, slots=True)
class DualIndex:
    """Base stock levels for both suppliers, and a cap on the regular order.

    Attributes
    ----------
    express_level, regular_level : int
        Levels of the express position and of the position of all orders, express <= regular.
    cap : int or None
        Largest regular order.
    """

    express_level: int
    regular_level: int
    cap: int | None = None

    def __call__(self, x: IntArray, pipeline: IntArray) -> tuple[IntArray, IntArray]:
        """Regular and express orders for positions (n,) and pipelines (n, l - 1)."""
        e = np.maximum(self.express_level - x, 0)
        q = np.maximum(self.regular_level - (x + e + pipeline.sum(axis=1)), 0)
        return q if self.cap is None else np.minimum(q, self.cap), e


@dataclass(frozen=True, slots=True)
class TailoredBaseSurge:
    """The same regular order in each period, a base stock level for the express supplier.

    Attributes
    ----------
    express_level : int
        Level of the express position.
    regular : int
        The order, below the mean demand.
    """

    express_level: int
    regular: int

    def __call__(self, x: IntArray, pipeline: IntArray) -> tuple[IntArray, IntArray]:
        """Regular and express orders for positions (n,) and pipelines (n, l - 1)."""
        return np.full_like(x, self.regular), np.maximum(self.express_level - x, 0)


@dataclass(frozen=True, slots=True)
class DualSourcingHeuristic:
    """The best policy of its kind.

    Attributes
    ----------
    policy : DualIndex or TailoredBaseSurge
        The policy.
    cost : float
        Its average cost per period.
    """

    policy: DualIndex | TailoredBaseSurge
    cost: float


@dataclass(frozen=True, slots=True)
class DualSourcingCost:
    """What `dual_sourcing_cost` returns.

    Attributes
    ----------
    cost : float
        Average cost per period, in the middle of the bounds.
    lower, upper : float
        Bounds on it.
    num_states : int
        How many states the policy reaches.
    status : str
        "converged", or what happened and what to try.
    """

    cost: float
    lower: float
    upper: float
    num_states: int
    status: str


def dual_sourcing_cost(
    demand: IntegerDemand,
    policy: Policy,
    *,
    lead_times: tuple[int, int],
    unit_costs: tuple[float, float],
    penalty: float,
    holding: float = 1.0,
    tol: float = 1e-9,
    max_iter: int = 100_000,
) -> DualSourcingCost:
    """Return the exact average cost of a stationary dual sourcing policy.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of one period.
    policy : callable
        ``policy(x, pipeline)`` gives the regular and the express orders, arrays (n,) of integers, for express
        positions ``x`` (n,) and pipelines (n, l - 1), l the difference of the lead times: the orders that
        arrive L_e + 1, L_e + 2, ... periods from now.
    lead_times : tuple of int, (regular, express)
        Periods from order to on hand, ``0 <= express < regular``.
    unit_costs : tuple of float, (regular, express)
        Costs per unit ordered.
    penalty : float
        Cost per unit backlogged at the end of a period, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.
    tol : float, default=1e-9
        Half the distance of the bounds at which sweeps stop.
    max_iter : int, default=100_000
        Largest number of sweeps.

    Returns
    -------
    DualSourcingCost
        ``cost`` with ``lower`` and ``upper``.

    Raises
    ------
    ValueError
        If an argument is out of range, an order is no integer or negative, or the policy reaches more than
        2,000,000 states, or new ones after 10,000 periods (with `TailoredBaseSurge` of an order above the
        least demand they have no end; its cost comes with `best_tailored_base_surge`).

    Notes
    -----
    O(states x demands) time and memory per sweep. The chain starts empty; a policy with several recurrent
    classes has no one cost and does not converge.

    References
    ----------
    .. [1] Puterman. Markov Decision Processes. Wiley 1994, section 8.5.

    Examples
    --------
    >>> from eluder.envs.inventory import uniform_demand
    >>> problem = {"lead_times": (2, 0), "unit_costs": (0, 10), "penalty": 495, "holding": 5}
    >>> round(dual_sourcing_cost(uniform_demand(0, 4), DualIndex(4, 8), **problem).cost, 4)
    20.1253
    """
    problem = dual_arguments(demand, lead_times, unit_costs, penalty, holding)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    max_iter = checks.integer("max_iter", max_iter)
    demands, p = _demands(problem.law)
    chain = reachable(policy, demands, problem.l)
    y = chain.states[:, 0] + chain.express
    first = int(y.min())
    G = cost_between(problem.D, first, int(y.max()), problem.h, problem.p)
    c = problem.c_r * chain.regular + problem.c_e * chain.express + G[y - first]
    low, high, status = average_cost(c, chain, p, tol, max_iter)
    return DualSourcingCost(0.5 * (low + high), low, high, len(c), status)


def best_dual_index(
    demand: IntegerDemand,
    *,
    lead_times: tuple[int, int],
    unit_costs: tuple[float, float],
    penalty: float,
    holding: float = 1.0,
    capped: bool = False,
) -> DualSourcingHeuristic:
    """Return the best dual index policy.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of one period.
    lead_times : tuple of int, (regular, express)
        Periods from order to on hand, ``0 <= express < regular``.
    unit_costs : tuple of float, (regular, express)
        Costs per unit ordered, ``0 <= regular <= express``.
    penalty : float
        Cost per unit backlogged at the end of a period, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.
    capped : bool, default=False
        Whether to try caps on the regular order too (Sun and Van Mieghem 2019).

    Returns
    -------
    DualSourcingHeuristic
        ``policy``, a `DualIndex`, and its ``cost``.

    Raises
    ------
    ValueError
        If an argument is out of range, or a chain has too many states.

    Notes
    -----
    One chain for each gap and cap, of up to d^l states for demands below d.

    References
    ----------
    .. [1] Veeraraghavan and Scheller-Wolf. Now or later: a simple policy for effective dual sourcing in
       capacitated systems. Operations Research 56, 2008.
    .. [2] Sun and Van Mieghem. Robust dual sourcing inventory management: optimality of capped dual index
       policies and smoothing. Manufacturing & Service Operations Management 21, 2019.

    Examples
    --------
    >>> from eluder.envs.inventory import uniform_demand
    >>> problem = {"lead_times": (2, 0), "unit_costs": (0, 10), "penalty": 495, "holding": 5}
    >>> best_dual_index(uniform_demand(0, 4), **problem, capped=True).policy
    DualIndex(express_level=4, regular_level=8, cap=2)
    """
    problem = dual_arguments(demand, lead_times, unit_costs, penalty, holding)
    several = total(problem.law, problem.l)
    gaps = range(several.low + quantile_index(several.p, 1 - RARE) + 1)
    most = problem.law.low + quantile_index(problem.law.p, 1 - RARE)
    caps = [*range(1, most), None] if capped else [None]
    best = None
    for cap in caps:
        for gap in gaps:
            S, cost = _with_best_level(problem, *_overshoot(problem, gap, cap))
            if best is None or cost < best.cost - 1e-12 * cost:
                best = DualSourcingHeuristic(DualIndex(S, S + gap, cap), cost)
    assert best is not None
    return best


def best_tailored_base_surge(
    demand: IntegerDemand,
    *,
    lead_times: tuple[int, int],
    unit_costs: tuple[float, float],
    penalty: float,
    holding: float = 1.0,
) -> DualSourcingHeuristic:
    """Return the best policy with a constant regular order.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of one period.
    lead_times : tuple of int, (regular, express)
        Periods from order to on hand, ``0 <= express < regular``; the cost depends on the latter alone.
    unit_costs : tuple of float, (regular, express)
        Costs per unit ordered, ``0 <= regular <= express``.
    penalty : float
        Cost per unit backlogged at the end of a period, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.

    Returns
    -------
    DualSourcingHeuristic
        ``policy``, a `TailoredBaseSurge`, and its ``cost``.

    Raises
    ------
    ValueError
        If an argument is out of range, or an order is so near the mean that stock has no end.

    Notes
    -----
    One banded linear system for each order below the mean demand.

    References
    ----------
    .. [1] Allon and Van Mieghem. Global dual sourcing: tailored base-surge allocation to near- and offshore
       production. Management Science 56, 2010.

    Examples
    --------
    >>> from eluder.envs.inventory import uniform_demand
    >>> problem = {"lead_times": (2, 0), "unit_costs": (0, 10), "penalty": 495, "holding": 5}
    >>> best_tailored_base_surge(uniform_demand(0, 4), **problem).policy
    TailoredBaseSurge(express_level=4, regular=1)
    """
    problem = dual_arguments(demand, lead_times, unit_costs, penalty, holding)
    m = problem.law.mean
    best = None
    for Q in range(max(int(np.ceil(m - 1e-9)), 1)):
        O = surge_overshoot(problem.law, Q)  # noqa: E741
        S, cost = _with_best_level(problem, O, float(Q), m - Q)
        if best is None or cost < best.cost - 1e-12 * cost:
            best = DualSourcingHeuristic(TailoredBaseSurge(S, Q), cost)
    assert best is not None
    return best


def _overshoot(problem: Problem, gap: int, cap: int | None) -> tuple[Array, float, float]:
    """Law of the overshoot, mean regular and mean express order of the dual index with S_e = 0."""
    demands, p = _demands(problem.law)
    chain = reachable(DualIndex(0, gap, cap), demands, problem.l)
    pi = stationary(chain, p)
    over = np.zeros(int((chain.states[:, 0] + chain.express).max()) + 1)
    np.add.at(over, chain.states[:, 0] + chain.express, pi)
    return over, float(pi @ chain.regular), float(pi @ chain.express)


def surge_overshoot(law: Lattice, Q: int) -> Array:
    """Stationary law of ``O' = (O + Q - d)^+`` for Q below the mean, cut where next to nothing is left."""
    if law.low >= Q:
        return np.ones(1)
    p = np.concatenate([np.zeros(law.low), law.p])
    up, down = Q, max(len(p) - 1 - Q, 0)
    size = 64
    while size <= LONGEST_QUEUE:
        # (I - P') pi = 0 with pi[0] = 1: rows and columns 1, ..., size - 1, the last of them the cut
        band = np.zeros((up + down + 1, size - 1))
        for d, prob in enumerate(p):
            if 0 <= down + (Q - d) < len(band):
                band[down + Q - d] -= prob
        for w in range(max(size - Q, 1), size):  # mass beyond the cut stays at it
            for d in range(max(w + Q - size + 1, 0)):
                band[down + size - 1 - w, w - 1] -= p[d] if d < len(p) else 0.0
        band[down] += 1.0
        start = np.zeros(size - 1)
        start[: min(Q, size - 1)] = p[Q - 1 :: -1][: size - 1]
        pi = np.concatenate([[1.0], linalg.solve_banded((up, down), band, start)])
        pi /= pi.sum()
        if pi[-1] * size < 1e-14:
            result: Array = np.maximum(pi, 0.0)
            return result
        size *= 4
    raise ValueError(f"demand has mean {law.mean:g}, too near the regular order {Q}: stock has no end")


def _with_best_level(problem: Problem, over: Array, regular: float, express: float) -> tuple[int, float]:
    """Best S_e for an overshoot, and the average cost."""
    lack = add(problem.D, Lattice(1.0, 1 - len(over), over[::-1]))
    i = quantile_index(lack.p, critical_ratio(problem.h, problem.p))
    cost = float(level_cost(lack, problem.h, problem.p)[i])
    return lack.low + i, problem.c_e * express + problem.c_r * regular + cost


def _demands(law: Lattice) -> tuple[IntArray, Array]:
    """The values of a law on the integers that can come, and their probabilities."""
    come = np.flatnonzero(law.p)
    return law.low + come, law.p[come]
