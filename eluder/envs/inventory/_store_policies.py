r"""Heuristics for a store with lost sales, each with its best parameters by exact search.

States are (on hand x_0, orders under way x_1 .. x_{L-1}); J is what will be on hand L periods from now, when
the order q arrives, before it does::

    base stock            q = (S - x_0 - ... - x_{L-1})^+
    capped base stock     q = min(r, (S - x_0 - ... - x_{L-1})^+)                            (Xin 2021)
    projected inventory   q = (floor(U - E J))^+                                 (van Jaarsveld and Arts 2024)
    myopic                q = min{q >= 0 : P(D > J + q) <= h / (h + p)}                   (Zipkin 2008)
    constant order        q = r < E D                                                  (Goldberg et al. 2016)

The law of J comes from L convolutions: J = ((...((x_0 - D)^+ + x_1 - D)^+ ...) + x_{L-1} - D)^+. Each search
compares exact costs, those of the chains of `evaluate_store`. A constant order has a closed form up to one
Lindley recursion W = (W + r - D)^+: of each period's demand E D - r is lost, so its cost is
h E W + p (E D - r), convex in r.

Deviations from the papers: orders are whole units, so the projected inventory reaches at most U and the level
of the paper is met between two whole orders; the myopic rule is Zipkin's with no procurement cost. Statements
of the papers are from memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import IntegerDemand
from eluder.envs.inventory._lost_sales import at_least, integer_law
from eluder.envs.inventory._store_chain import lindley_mean, store_policy_cost
from eluder.envs.inventory._store_states import order_levels

__all__ = [
    "BaseStock",
    "BestPolicy",
    "CappedBaseStock",
    "ConstantOrder",
    "MyopicOrder",
    "ProjectedInventory",
    "StorePolicy",
    "best_store_policy",
]

Orders = NDArray[Any]
LEAST = 1e-9  # a smaller gain is none


@runtime_checkable
class StorePolicy(Protocol):
    """What every policy of a store can do: map states (..., L) to orders (...)."""

    def __call__(self, states: ArrayLike) -> Orders: ...


@dataclass(frozen=True, slots=True)
class BaseStock:
    """Order what is missing to the level, on hand and under way together.

    Attributes
    ----------
    level : float
        S, units, not negative.
    """

    level: float

    def __post_init__(self) -> None:
        checks.number("level", self.level, 0.0)

    def __call__(self, states: ArrayLike) -> Orders:
        """Order in `states` (..., L)."""
        orders: Orders = np.maximum(self.level - _states(states).sum(axis=-1), 0)
        return orders


@dataclass(frozen=True, slots=True)
class CappedBaseStock:
    """Order what is missing to the level, but at most the cap.

    Attributes
    ----------
    level : float
        S, units, not negative.
    cap : float
        r, units, not negative.
    """

    level: float
    cap: float

    def __post_init__(self) -> None:
        checks.number("level", self.level, 0.0)
        checks.number("cap", self.cap, 0.0)

    def __call__(self, states: ArrayLike) -> Orders:
        """Order in `states` (..., L)."""
        orders: Orders = np.clip(self.level - _states(states).sum(axis=-1), 0, self.cap)
        return orders


@dataclass(frozen=True, slots=True)
class ConstantOrder:
    """Order the same in every period.

    Attributes
    ----------
    quantity : float
        r, units, not negative; below the mean demand, or stock grows for ever.
    """

    quantity: float

    def __post_init__(self) -> None:
        checks.number("quantity", self.quantity, 0.0)

    def __call__(self, states: ArrayLike) -> Orders:
        """Order in `states` (..., L)."""
        return np.full(_states(states).shape[:-1], self.quantity)


class ProjectedInventory:
    """Order so that expected stock on hand when the order arrives comes up to a level.

    Parameters
    ----------
    level : float
        U, units, not negative. The order is the largest whole one that does not exceed it.
    demand : IntegerDemand
        Law of the demand of a period.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, level: float, demand: IntegerDemand) -> None:
        self.level = checks.number("level", level, 0.0)
        self._p = integer_law(demand)

    def __repr__(self) -> str:
        return f"ProjectedInventory(level={self.level})"

    def __call__(self, states: ArrayLike) -> IntArray:
        """Order in `states` (..., L) of whole numbers."""
        x = _whole(states)
        law = _arrival(x, self._p)
        mean = law @ np.arange(law.shape[1])
        orders = np.maximum(np.floor(self.level - mean + 1e-9), 0).astype(np.int64)
        return orders.reshape(np.shape(states)[:-1])


class MyopicOrder:
    """Order the least quantity that makes the period in which it arrives cheapest.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of a period.
    penalty : float
        Cost per unit lost, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, demand: IntegerDemand, *, penalty: float, holding: float = 1.0) -> None:
        self._p = integer_law(demand)
        penalty = checks.number("penalty", penalty, 0.0, open_low=True)
        holding = checks.number("holding", holding, 0.0, open_low=True)
        self.ratio = holding / (holding + penalty)

    def __call__(self, states: ArrayLike) -> IntArray:
        """Order in `states` (..., L) of whole numbers."""
        x = _whole(states)
        law = _arrival(x, self._p)
        size = len(self._p)  # an order of the largest demand always suffices
        above = at_least(self._p, law.shape[1] + size)
        short = law @ above[np.add.outer(np.arange(law.shape[1]), np.arange(1, size + 1))]
        orders: IntArray = np.argmax(short <= self.ratio + 1e-13, axis=1).reshape(np.shape(states)[:-1])
        return orders


def _states(states: ArrayLike) -> NDArray[Any]:
    x: NDArray[Any] = np.asarray(states)
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"states must have shape (..., L), got {x.shape}")
    return x


def _whole(states: ArrayLike) -> IntArray:
    """States as rows of whole numbers, none negative."""
    x = _states(states)
    rows = x.reshape(-1, x.shape[-1])
    bad = ((rows < 0) | (rows != np.round(rows))).any(axis=1)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"states[{i}] is {rows[i].tolist()}, it must hold whole units, not negative")
    return rows.astype(np.int64)


def _arrival(x: IntArray, p: Array) -> Array:
    """Law of J in each state, shape (N, most + 1)."""
    law = np.zeros((len(x), int(x.sum(axis=1).max(initial=0)) + 1))
    _propagate(x, p, at_least(p, law.shape[1]), law, np.empty(law.shape[1]))
    return law


@kernel
def _propagate(states: IntArray, p: Array, tail: Array, law: Array, last: Array) -> None:
    """L periods of demand and arrivals without new orders; fills `law`, uses `last`."""
    N, L = states.shape
    for i in range(N):
        now = law[i]
        now[states[i, 0]] = 1.0
        top = states[i, 0]
        for k in range(1, L + 1):
            last[: top + 1] = now[: top + 1]
            now[: top + 1] = 0.0
            shift = states[i, k] if k < L else 0
            for x in range(top + 1):
                if last[x] > 0.0:
                    now[shift] += last[x] * tail[x]
                    for d in range(min(x, p.size)):
                        now[x - d + shift] += last[x] * p[d]
            top += shift


@dataclass(frozen=True, slots=True)
class BestPolicy:
    """The best policy of a family.

    Attributes
    ----------
    policy : StorePolicy
        The policy, callable with states (..., L).
    cost : float
        Its exact average cost per period.
    tried : int
        Number of policies whose cost was computed.
    """

    policy: StorePolicy
    cost: float
    tried: int


class _Search:
    """Costs of policies, each computed once."""

    def __init__(self, demand: IntegerDemand, lead_time: int, penalty: float, holding: float) -> None:
        self.p = integer_law(demand)
        self.demand = demand
        self.L = checks.integer("lead_time", lead_time)
        self.penalty = checks.number("penalty", penalty, 0.0, open_low=True)
        self.holding = checks.number("holding", holding, 0.0, open_low=True)
        self.levels = order_levels(self.p, self.L, self.penalty, self.holding)
        self.mean = float(self.p @ np.arange(len(self.p)))
        self.costs: dict[tuple[float, ...], float] = {}

    def cost(self, key: tuple[float, ...], policy: StorePolicy) -> float:
        if key not in self.costs:
            self.costs[key] = store_policy_cost(
                policy, self.demand, lead_time=self.L, penalty=self.penalty, holding=self.holding
            )
        return self.costs[key]

    def capped(self, cap: int, level: float) -> float:
        return self.cost((level, cap), CappedBaseStock(level, cap))


def _descend(cost: Callable[[float], float], x: float, step: float) -> tuple[float, float]:
    """Walk down from x in steps, first below, then above; for functions with one valley."""
    best = cost(x)
    for way in (-step, step):
        moved = False
        while x + way >= 0 and (lower := cost(x + way)) < best - LEAST:
            x, best, moved = x + way, lower, True
        if moved:
            break
    return x, best


def _base_stock(s: _Search) -> tuple[StorePolicy, float]:
    level, cost = _descend(lambda S: s.cost((S,), BaseStock(S)), int(s.levels[-1]), 1)
    return BaseStock(level), cost


def _capped_base_stock(s: _Search) -> tuple[StorePolicy, float]:
    S, r, best = int(s.levels[-1]), int(s.levels[1]), np.inf
    level: float = S
    for cap in range(int(s.levels[1]), 0, -1):
        if s.penalty * (s.mean - cap) >= best:
            break
        level, cost = _descend(partial(s.capped, cap), level, 1)
        if cost < best - LEAST:
            S, r, best = int(level), cap, cost
    return CappedBaseStock(S, r), best


def _projected_inventory(s: _Search) -> tuple[StorePolicy, float]:
    def of_level(level: float) -> float:
        return s.cost((level,), ProjectedInventory(level, s.demand))

    rough = _descend(of_level, int(s.levels[1]), 1)[0]
    level = min((max(rough + i / 32, 0.0) for i in range(-32, 33)), key=of_level)
    level, cost = _descend(of_level, level, 1 / 256)
    return ProjectedInventory(level, s.demand), cost


def _constant_order(s: _Search) -> tuple[StorePolicy, float]:
    def cost(r: float) -> float:
        if (r,) not in s.costs:
            s.costs[r,] = s.holding * lindley_mean(s.p, int(r)) + s.penalty * (s.mean - r)
        return s.costs[r,]

    r: float = int(np.ceil(s.mean - 1e-9)) - 1
    best = cost(r)
    while r > 0 and (lower := cost(r - 1)) < best:
        r, best = r - 1, lower
    return ConstantOrder(r), best


SEARCHES: dict[type, Callable[[_Search], tuple[StorePolicy, float]]] = {
    BaseStock: _base_stock,
    CappedBaseStock: _capped_base_stock,
    ProjectedInventory: _projected_inventory,
    ConstantOrder: _constant_order,
}


def best_store_policy(
    family: type[StorePolicy],
    demand: IntegerDemand,
    *,
    lead_time: int,
    penalty: float,
    holding: float = 1.0,
) -> BestPolicy:
    """Find the best policy of a family for a store with lost sales.

    Parameters
    ----------
    family : type
        `BaseStock`, `CappedBaseStock`, `ProjectedInventory` or `ConstantOrder`.
    demand : IntegerDemand
        Law of the demand of a period.
    lead_time : int
        Periods from an order to its arrival, at least 1.
    penalty : float
        Cost per unit lost, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.

    Returns
    -------
    BestPolicy
        The policy and its exact cost.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Base stock: the cost is convex in the level [1]_, so the walk down from the newsvendor level of L + 1
    periods ends at the best one. A chain has up to ``binom(S + L, L)`` states.

    Capped base stock [2]_: every cap up to the newsvendor quantity of one period is tried, except where the
    demand that it must lose costs too much already. The level is walked down for each, which assumes one
    valley (no theorem is known to us).

    Projected inventory [3]_: the cost is piecewise constant in the level, with small valleys. Whole levels
    are walked down, then all multiples of 1/32 near by compared, then steps of 1/256 walked down: what is
    left is below the digits that matter, but the last digit of the cost is not certified to be the family's
    best.

    Constant order: whole units below the mean demand; the lead time makes no difference to the cost.
    Asymptotically optimal as the lead time grows, if fractions may be ordered [4]_.

    References
    ----------
    .. [1] Janakiraman and Roundy. Lost-sales problems with stochastic lead times: convexity results for
       base-stock policies. Operations Research 52, 2004.
    .. [2] Xin. Understanding the performance of capped base-stock policies in lost-sales inventory models.
       Operations Research 69, 2021.
    .. [3] van Jaarsveld and Arts. Projected inventory-level policies for lost sales inventory systems:
       asymptotic optimality in two regimes. Operations Research, 2024 (arXiv:2101.07519).
    .. [4] Goldberg, Katz-Rogozhnikov, Lu, Sharma and Squillante. Asymptotic optimality of constant-order
       policies for lost sales inventory models with large lead times. Mathematics of Operations Research 41,
       2016.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> for family in (BaseStock, CappedBaseStock, ProjectedInventory, ConstantOrder):
    ...     best = best_store_policy(family, Poisson(5.0), lead_time=1, penalty=4.0)
    ...     print(best.policy, round(best.cost, 4))
    BaseStock(level=12) 4.1628
    CappedBaseStock(level=12, cap=6) 4.0654
    ProjectedInventory(level=7.28125) 4.0423
    ConstantOrder(quantity=4) 5.2748
    """
    if not (isinstance(family, type) and family in SEARCHES):
        names = ", ".join(known.__name__ for known in SEARCHES)
        raise ValueError(f"family must be one of {names}, got {family!r}")
    search = _Search(demand, lead_time, penalty, holding)
    policy, cost = SEARCHES[family](search)
    return BestPolicy(policy, cost, len(search.costs))
