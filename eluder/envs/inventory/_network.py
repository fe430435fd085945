"""Networks of suppliers, warehouses and stores.

A network is a directed graph without cycles. Suppliers are outside and have everything; warehouses hold stock
and ship it on; stores hold stock and meet demand. Each edge is a lane along which its *target* orders from
its *source*; what is ordered along an edge of lead time L is on hand at the target L periods later. A lead
time of 0, on hand before the demand of the same period, is for stores that order from suppliers.

`Network` holds the graph as arrays. Locations are numbered warehouses first, then stores, each in the order
given; suppliers hold no stock and are numbered -1, -2, ... as sources of edges. `step` plays one period.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, BoolArray, IntArray
from eluder.envs.inventory._demand import Demand

__all__ = ["Edge", "Network", "Node", "edge", "store", "supplier", "warehouse"]

LONGEST_LEAD_TIME = 10_000  # periods


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A supplier, a warehouse or a store, as the functions of these names make it.

    Attributes
    ----------
    name : str
        Its name.
    kind : {"supplier", "warehouse", "store"}
        What it is.
    holding : ndarray, shape () or (B,)
        Money per unit on hand at the end of a period.
    penalty : ndarray, shape () or (B,)
        Money per unit short in a period, or the price where the objective is profit.
    initial : float
        Units on hand at first.
    holds : bool
        Whether stock may stay.
    """

    name: str
    kind: str
    holding: Array
    penalty: Array
    initial: float = 0.0
    holds: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A lane, as `edge` makes it.

    Attributes
    ----------
    source, target : str
        Names of nodes; the target orders from the source.
    lead_time : ndarray of int, shape () or (B,)
        Periods.
    unit_cost : ndarray, shape () or (B,)
        Money per unit shipped.
    fixed_cost : float
        Money per period in which anything is shipped (more than 1e-4 units).
    capacity : float
        Units per period; inf for no limit.
    """

    source: str
    target: str
    lead_time: IntArray
    unit_cost: Array
    fixed_cost: float
    capacity: float


def supplier(name: str) -> Node:
    """Return a supplier: outside, and never short.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    Node
        A part for `Network.build`.

    Raises
    ------
    ValueError
        If the name is empty or no text.

    Examples
    --------
    >>> supplier("factory").kind
    'supplier'
    """
    return Node(_name(name), "supplier", np.zeros(()), np.zeros(()))


def warehouse(name: str, *, holding: ArrayLike = 0.0, initial: float = 0.0, holds: bool = True) -> Node:
    """Return a warehouse: it orders, holds stock and ships; no customer comes there.

    Parameters
    ----------
    name : str
        Its name.
    holding : float or array_like, shape (B,), default=0.0
        Money per unit on hand after shipping, per period; an entry per sample if an array.
    initial : float, default=0.0
        Units on hand at first.
    holds : bool, default=True
        Whether stock may stay. If not, all on hand is shipped every period (a transshipment point): orders
        only say in which proportion.

    Returns
    -------
    Node
        A part for `Network.build`.

    Raises
    ------
    ValueError
        If the name is empty, or a number is negative or not finite.

    Examples
    --------
    >>> warehouse("hub", holding=0.3).kind
    'warehouse'
    """
    name = _name(name)
    costs = _per_sample(f"holding of {name}", holding)
    return Node(name, "warehouse", costs, np.zeros(()), _amount(f"initial of {name}", initial), bool(holds))


def store(name: str, *, holding: ArrayLike, penalty: ArrayLike, initial: float = 0.0) -> Node:
    """Return a store: customers come there.

    Parameters
    ----------
    name : str
        Its name.
    holding : float or array_like, shape (B,)
        Money per unit on hand at the end of the period; an entry per sample if an array.
    penalty : float or array_like, shape (B,)
        Money per unit short (lost, or owed at the end of the period); the price of a unit sold where the
        objective of the network is profit.
    initial : float, default=0.0
        Units on hand at first.

    Returns
    -------
    Node
        A part for `Network.build`.

    Raises
    ------
    ValueError
        If the name is empty, or a number is negative or not finite.

    Examples
    --------
    >>> store("north", holding=1, penalty=9).kind
    'store'
    """
    name = _name(name)
    h, p = _per_sample(f"holding of {name}", holding), _per_sample(f"penalty of {name}", penalty)
    return Node(name, "store", h, p, _amount(f"initial of {name}", initial))


def edge(
    source: str,
    target: str,
    *,
    lead_time: ArrayLike,
    unit_cost: ArrayLike = 0.0,
    fixed_cost: float = 0.0,
    capacity: float = np.inf,
) -> Edge:
    """Return a lane along which `target` orders from `source`.

    Parameters
    ----------
    source, target : str
        Names of nodes.
    lead_time : int or array_like of int, shape (B,)
        Periods from order to arrival: the order of period t is on hand before the demand of period
        ``t + lead_time``. At least 1, or 0 from a supplier to a store. An entry per sample if an array.
    unit_cost : float or array_like, shape (B,), default=0.0
        Money per unit shipped, paid when it is shipped.
    fixed_cost : float, default=0.0
        Money per period in which anything is shipped (more than 1e-4 units).
    capacity : float, default=inf
        Largest shipment of a period, in units, positive.

    Returns
    -------
    Edge
        A part for `Network.build`.

    Raises
    ------
    ValueError
        If a lead time is no integer or negative, a cost is negative, or the capacity is not positive.

    Examples
    --------
    >>> edge("factory", "north", lead_time=2).lead_time
    array(2)
    """
    source, target = _name(source), _name(target)
    of = f"of edge {source} -> {target}"
    cost = _per_sample(f"unit_cost {of}", unit_cost)
    leads = _lead_times(f"lead_time {of}", lead_time)
    most = float(capacity)
    if not most > 0:
        raise ValueError(f"capacity {of} must be positive, got {capacity}")
    return Edge(source, target, leads, cost, _amount(f"fixed_cost {of}", fixed_cost), most)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network as arrays; `Network.build` makes one from named parts.

    Attributes
    ----------
    suppliers, warehouses, stores : tuple of str
        Names: K suppliers, W warehouses, n stores. Locations are the M = W + n warehouses and stores.
    holding : ndarray, shape (M,) or (B, M)
        Money per unit on hand at the end of a period. A first axis B here or below is an entry per sample.
    penalty : ndarray, shape (n,) or (B, n)
        Money per unit short in a period, or price per unit.
    initial : ndarray, shape (M,)
        Units on hand at first.
    holds : ndarray of bool, shape (W,)
        Whether stock may stay in a warehouse; if not, everything on hand is shipped.
    source : ndarray of int, shape (E,)
        The warehouse each of E edges leaves; -1, -2, ... for the first, second, ... supplier.
    target : ndarray of int, shape (E,)
        The location each edge leads to.
    lead_time : ndarray of int, shape (E,) or (B, E)
        Periods, at least 1, or 0 from a supplier to a store.
    unit_cost : ndarray, shape (E,) or (B, E)
        Money per unit shipped.
    fixed_cost : ndarray, shape (E,)
        Money per period with a shipment.
    capacity : ndarray, shape (E,)
        Units per period; inf for no limit.
    unmet : {"lost", "backlog"}
        What becomes of demand that is not met.
    objective : {"cost", "profit"}
        Whether `penalty` is charged for units short or earned for units sold.
    orders : {"continuous", "integer"}
        Whether orders are rounded to integers.
    demand : Demand or None
        The law of demand at the stores; None where demand is always handed over as an array.
    longest : int
        L, the longest lead time, at least 1 and what is given: a part of the samples keeps that of all.

    Raises
    ------
    ValueError
        If an array has a wrong shape or a bad entry, names repeat, an edge repeats, leads nowhere or leaves a
        store, the edges form a cycle, or a location has no source or a warehouse no target.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> network = Network.build(
    ...     supplier("factory"),
    ...     warehouse("hub", holding=0.3),
    ...     store("north", holding=1, penalty=9),
    ...     store("south", holding=1, penalty=4),
    ...     edge("factory", "hub", lead_time=3),
    ...     edge("hub", "north", lead_time=2),
    ...     edge("hub", "south", lead_time=4),
    ...     unmet="lost",
    ...     demand=Poisson(5.0),
    ... )
    >>> network.lead_time
    array([3, 2, 4])
    >>> network.edges[1]
    'hub -> north'
    """

    suppliers: tuple[str, ...]
    warehouses: tuple[str, ...]
    stores: tuple[str, ...]
    holding: Array
    penalty: Array
    initial: Array
    holds: BoolArray
    source: IntArray
    target: IntArray
    lead_time: IntArray
    unit_cost: Array
    fixed_cost: Array
    capacity: Array
    unmet: str = "lost"
    objective: str = "cost"
    orders: str = "continuous"
    demand: Demand | None = None
    longest: int = 1

    @classmethod
    def build(
        cls,
        *parts: Node | Edge,
        unmet: str = "lost",
        objective: str = "cost",
        orders: str = "continuous",
        demand: Demand | None = None,
    ) -> "Network":
        """Return the network of nodes and edges given in any order."""
        nodes: dict[str, list[Node]] = {"supplier": [], "warehouse": [], "store": []}
        edges: list[Edge] = []
        for i, part in enumerate(parts):
            if isinstance(part, Node):
                nodes[part.kind].append(part)
            elif isinstance(part, Edge):
                edges.append(part)
            else:
                raise ValueError(f"parts[{i}] must be a node or an edge, got {part!r}")
        places = nodes["warehouse"] + nodes["store"]
        names = {kind: tuple(node.name for node in group) for kind, group in nodes.items()}
        _check_names(*names.values())
        _check_not_empty(names["store"], edges)
        index = {name: -1 - k for k, name in enumerate(names["supplier"])}
        index |= {node.name: i for i, node in enumerate(places)}
        for e in edges:
            for end in (e.source, e.target):
                if end not in index:
                    raise ValueError(f"edge {e.source} -> {e.target}: there is no node {end!r}")
        return cls(
            suppliers=names["supplier"],
            warehouses=names["warehouse"],
            stores=names["store"],
            holding=_stack("holding", [node.holding for node in places]),
            penalty=_stack("penalty", [node.penalty for node in nodes["store"]]),
            initial=np.array([node.initial for node in places]),
            holds=np.array([node.holds for node in nodes["warehouse"]], dtype=np.bool_),
            source=np.array([index[e.source] for e in edges]),
            target=np.array([index[e.target] for e in edges]),
            lead_time=_stack("lead_time", [e.lead_time for e in edges]),
            unit_cost=_stack("unit_cost", [e.unit_cost for e in edges]),
            fixed_cost=np.array([e.fixed_cost for e in edges]),
            capacity=np.array([e.capacity for e in edges]),
            unmet=unmet,
            objective=objective,
            orders=orders,
            demand=demand,
        )

    def __post_init__(self) -> None:
        _check_names(self.suppliers, self.warehouses, self.stores)
        _check_not_empty(self.stores, self.source)
        M, n, E = self.num_locations, len(self.stores), np.size(self.source)
        put = object.__setattr__
        for name, size in (("holding", M), ("penalty", n), ("unit_cost", E)):
            put(self, name, _with_samples(name, getattr(self, name), size))
        put(self, "lead_time", _lead_times("lead_time", self.lead_time, E))
        given = checks.integer("longest", self.longest, 1, LONGEST_LEAD_TIME)
        put(self, "longest", max(given, int(self.lead_time.max())))
        put(self, "initial", checks.finite("initial", self.initial, (M,), low=0.0))
        put(self, "fixed_cost", checks.finite("fixed_cost", self.fixed_cost, (E,), low=0.0))
        put(self, "holds", np.array(self.holds, dtype=np.bool_).reshape(len(self.warehouses)))
        capacity = np.array(self.capacity, dtype=np.float64)
        if capacity.shape != (E,) or not (capacity > 0).all():
            raise ValueError(f"capacity must be {E} positive numbers, got {capacity}")
        put(self, "capacity", capacity)
        for name, options in (
            ("unmet", ("lost", "backlog")),
            ("objective", ("cost", "profit")),
            ("orders", ("continuous", "integer")),
        ):
            if getattr(self, name) not in options:
                raise ValueError(f"{name} must be one of {options}, got {getattr(self, name)!r}")
        if self.demand is not None and not isinstance(self.demand, Demand):
            raise ValueError(f"demand must be a law of demand or None, got {self.demand!r}")
        for name in ("source", "target"):
            put(self, name, np.array(getattr(self, name), dtype=np.int64).reshape(E))
        self._check_graph()
        sizes = {len(x) for x in self._sampled() if x.ndim == 2}
        if len(sizes) > 1:
            raise ValueError(
                f"holding, penalty, lead_time, unit_cost have different numbers of samples: {sorted(sizes)}"
            )

    def _sampled(self) -> tuple[Any, ...]:
        return self.holding, self.penalty, self.lead_time, self.unit_cost

    @property
    def num_locations(self) -> int:
        """M, the number of warehouses and stores."""
        return len(self.warehouses) + len(self.stores)

    @property
    def num_edges(self) -> int:
        """E, the number of edges, and of orders in a period."""
        return len(self.source)

    @property
    def num_samples(self) -> int | None:
        """B, the number of samples that parameters are given for; None if they are the same for all."""
        return next((len(x) for x in self._sampled() if x.ndim == 2), None)

    @property
    def locations(self) -> tuple[str, ...]:
        """Names of the M locations, warehouses first."""
        return self.warehouses + self.stores

    @property
    def edges(self) -> tuple[str, ...]:
        """Names of the E edges, as "source -> target"."""
        names = (*self.locations, *reversed(self.suppliers))  # index -1 is the first supplier
        return tuple(f"{names[i]} -> {names[j]}" for i, j in zip(self.source, self.target, strict=True))

    def upstream_first(self) -> IntArray:
        """Return the locations in an order in which every source comes before its targets."""
        left = np.bincount(self.target[self.source >= 0], minlength=self.num_locations)
        ready = [int(i) for i in np.flatnonzero(left == 0)]
        for i in ready:  # grows
            for e in np.flatnonzero(self.source == i):
                left[self.target[e]] -= 1
                if left[self.target[e]] == 0:
                    ready.append(int(self.target[e]))
        return np.array(ready, dtype=np.int64)

    def take(self, samples: ArrayLike) -> "Network":
        """Return the network of some of the samples; the same network if none has parameters of its own."""
        if self.num_samples is None:
            return self
        index = np.asarray(samples)
        names = ("holding", "penalty", "lead_time", "unit_cost")
        parts = {k: getattr(self, k)[index] for k in names if getattr(self, k).ndim == 2}
        return replace(self, **parts)

    def _check_graph(self) -> None:
        W, M, K = len(self.warehouses), self.num_locations, len(self.suppliers)
        for e, (i, j) in enumerate(zip(self.source, self.target, strict=True)):
            if W <= i < M:
                raise ValueError(
                    f"edge {e} leaves the store {self.locations[i]!r}, only suppliers and warehouses ship"
                )
            if not -K <= i < M:
                raise ValueError(f"source[{e}] is {i}, it must be in [{-K}, {W - 1}]")
            if not 0 <= j < M:
                raise ValueError(f"target[{e}] is {j}, it must be a warehouse or a store, 0 to {M - 1}")
            if i >= 0 and not self.holds[i] and np.isfinite(self.capacity[e]):
                raise ValueError(
                    f"capacity[{e}]: {self.edges[e]} leaves a warehouse that cannot hold, it must be inf"
                )
        at_once = np.atleast_2d(self.lead_time).min(axis=0) == 0
        for e in np.flatnonzero(at_once & ~((self.source < 0) & (self.target >= W))).tolist():
            raise ValueError(
                f"lead_time of {self.edges[e]} is 0, which only a store's orders from a supplier can have"
            )
        seen: set[str] = set()
        for name in self.edges:
            if name in seen:
                raise ValueError(f"edge {name} is given twice (a second lane needs a node of its own)")
            seen.add(name)
        for i, name in enumerate(self.locations):
            if i not in self.target:
                raise ValueError(f"{name!r} has no supplier: no edge leads to it")
            if i < W and i not in self.source:
                raise ValueError(f"warehouse {name!r} ships to no one: no edge leaves it")
        left = set(range(M)) - set(self.upstream_first().tolist())
        if left:  # each location left has a source that is left: walk upstream until one comes again
            path = [min(left)]
            while path[-1] not in path[:-1]:
                path.append(next(int(s) for s in self.source[self.target == path[-1]] if int(s) in left))
            loop = path[path.index(path[-1]) :][::-1]
            raise ValueError(f"the edges form a cycle: {' -> '.join(self.locations[k] for k in loop)}")


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ValueError(f"name must be a text that is not empty, got {name!r}")
    return name


def _amount(name: str, x: Any) -> float:
    return checks.number(name, x, 0.0)


def _per_sample(name: str, x: ArrayLike) -> Array:
    """Return a cost that is one number, or one per sample."""
    return checks.finite(name, x, (None,) if np.ndim(x) else (), low=0.0)


def _with_samples(name: str, x: ArrayLike, size: int) -> Array:
    return checks.finite(name, x, (size,) if np.ndim(x) < 2 else (None, size), low=0.0)


def _lead_times(name: str, x: ArrayLike, size: int | None = None) -> IntArray:
    shape: tuple[int | None, ...] = (None,) * np.ndim(x)
    if size is not None:
        shape = (size,) if np.ndim(x) < 2 else (None, size)
    leads = checks.finite(name, x, shape, low=0.0, high=float(LONGEST_LEAD_TIME))
    whole: IntArray = leads.astype(np.int64)
    if (whole != leads).any():
        i = checks.first(whole != leads)
        raise ValueError(f"{checks.entry(name, i)} is {leads[i]:g}, it must be an integer")
    return whole


def _stack(name: str, parts: Sequence[Any]) -> Any:
    """Put parameters of parts side by side, with a sample axis in front if one of them has it."""
    sizes = sorted({part.size for part in parts if part.ndim})
    if len(sizes) > 1:
        raise ValueError(f"{name} has different numbers of samples: {sizes}")
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def _check_names(*groups: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for name in (name for group in groups for name in group):
        if _name(name) in seen:
            raise ValueError(f"there are two nodes named {name!r}")
        seen.add(name)


def _check_not_empty(stores: Sequence[str], edges: Any) -> None:
    if not stores:
        raise ValueError("the network needs at least one store")
    if not np.size(edges):
        raise ValueError("the network needs at least one edge")
