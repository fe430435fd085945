"""Simulation of a network under a policy: compiled for `OrderUpTo`, vectorised over samples for any other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray
from eluder.envs.inventory._dynamics import NEGLIGIBLE, _period, check_inventory, initial_inventory
from eluder.envs.inventory._network import Network
from eluder.envs.inventory._policies import JustInTime, NetworkState, OrderUpTo, orders

__all__ = ["SimulationResult", "Trajectories", "simulate"]

BLOCK = 2**23  # demands drawn at a time
MOST_RECORDED = 2**26  # entries of trajectories
SIDE_BY_SIDE = 64  # samples that the kernel plays together

Policy = OrderUpTo | JustInTime | Callable[[NetworkState], ArrayLike]


class Trajectories(NamedTuple):
    """All that happened, period by period.

    Attributes
    ----------
    inventory : ndarray, shape (B, T, M, L)
        Before the orders of the period, after its arrivals.
    orders : ndarray, shape (B, T, E)
        Units the policy asked for along each edge.
    shipped : ndarray, shape (B, T, E)
        Units that left along each edge.
    demand, short : ndarray, shape (B, T, n)
        Units asked for, and lost or owed at the end of the period.
    location_cost : ndarray, shape (B, T, M)
        Holding and shortage (less revenue), money.
    edge_cost : ndarray, shape (B, T, E)
        Unit and fixed costs.
    """

    inventory: Array
    orders: Array
    shipped: Array
    demand: Array
    short: Array
    location_cost: Array
    edge_cost: Array


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """What a simulation returns. Costs are per period, of the periods after the warm-up.

    Attributes
    ----------
    cost : ndarray, shape (B,)
        Mean cost per period of each sample; minus profit where that is the objective.
    by_location : ndarray, shape (B, M)
        The same by location; the costs of an edge are its target's.
    by_period : ndarray, shape (T,)
        Mean over the samples of the cost of each period, the warm-up among them.
    fill_rate : ndarray, shape (n,)
        Part of each store's demand that was met at once, from stock; NaN without demand.
    num_stores : int
        Stores.
    trajectories : Trajectories or None
        All that happened, if asked for.
    """

    cost: Array
    by_location: Array
    by_period: Array
    fill_rate: Array
    num_stores: int
    trajectories: Trajectories | None = None

    @property
    def mean(self) -> float:
        """Mean cost per period of the network."""
        return float(self.cost.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of `mean`, from the spread over the samples; NaN for a single one."""
        return _standard_error(self.cost)

    @property
    def mean_per_store(self) -> float:
        """Mean cost per period and store."""
        return self.mean / self.num_stores

    @property
    def standard_error_per_store(self) -> float:
        """Standard error of `mean_per_store`."""
        return self.standard_error / self.num_stores


def _standard_error(x: Array) -> float:
    return float(x.std(ddof=1) / np.sqrt(x.size)) if x.size > 1 else float("nan")


def simulate(
    network: Network,
    policy: Policy,
    *,
    periods: int | None = None,
    samples: int | None = None,
    warm_up: int = 0,
    demand: ArrayLike | None = None,
    inventory: ArrayLike | None = None,
    history: ArrayLike | None = None,
    record: bool = False,
    rng: np.random.Generator | None = None,
) -> SimulationResult:
    """Simulate a network under a policy.

    Parameters
    ----------
    network : Network
        The network.
    policy : OrderUpTo, JustInTime or callable
        What orders. A callable takes a `NetworkState` of B samples at a time and returns the orders
        (B, E), not negative.
    periods : int, optional
        T, the periods of each sample, the warm-up among them; all of `demand` if not given.
    samples : int, optional
        B, independent samples; as many as `demand` or the parameters of the network have if not given.
    warm_up : int, default=0
        Periods at the beginning that do not count.
    demand : array_like, shape (B, T, n), optional
        Demand; drawn from ``network.demand`` if not given.
    inventory : array_like, shape (B, M, L) or (M, L), optional
        First state; the network's initial stock, nothing under way, if not given.
    history : array_like, shape (B, t, n), optional
        Demand before the first period, the beginning of what a callable sees as ``past``.
    record : bool, default=False
        Whether the result holds `Trajectories`.
    rng : numpy.random.Generator, optional
        Draws the demand; needed unless `demand` is given.

    Returns
    -------
    SimulationResult
        Costs by sample, location and period; their means and standard errors; fill rates.

    Raises
    ------
    ValueError
        If an argument is out of range or has a wrong shape, there is neither a law of demand nor `demand`,
        `rng` is missing, a callable returns a bad order, or `record` asks for more than 2**26 entries.

    Notes
    -----
    O(B T (M L + E)) time. `OrderUpTo` runs compiled; anything else, and `record`, runs in NumPy, vectorised
    over the samples, which is slow for few samples. Both follow `step`, to rounding.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson, edge, order_up_to, store, supplier
    >>> shop = store("shop", holding=1, penalty=4)
    >>> lane = edge("factory", "shop", lead_time=4)
    >>> network = Network.build(supplier("factory"), shop, lane, demand=Poisson(5.0), orders="integer")
    >>> policy = order_up_to(network, 25)
    >>> result = simulate(
    ...     network, policy, periods=2000, samples=500, warm_up=100, rng=np.random.default_rng(0)
    ... )
    >>> abs(result.mean - 5.197769) < 4 * result.standard_error  # the exact cost of this level
    True
    """
    given = None if demand is None else checks.finite("demand", demand, (None, None, len(network.stores)))
    B, T = _sizes(network, given, periods, samples)
    warm = checks.integer("warm_up", warm_up, 0, T - 1)
    if not (isinstance(policy, OrderUpTo | JustInTime) or callable(policy)):
        raise ValueError(f"policy must be an OrderUpTo, a JustInTime or a callable, got {policy!r}")
    start = _start(network, inventory, B)
    n, E = len(network.stores), network.num_edges
    before = np.zeros((B, 0, n))
    if history is not None:
        before = checks.finite("history", history, (B, None, n))
    if isinstance(policy, OrderUpTo) and (policy.level.size, policy.share.size) != (start.shape[1], E):
        raise ValueError("policy was made for another network: its levels or shares have other sizes")
    if given is None and network.demand is None:
        raise ValueError("demand must be given, the network has no law of demand")
    if given is None:
        checks.generator(rng)
    if record and B * T * (start[0].size + 3 * E + 3 * n) > MOST_RECORDED:
        raise ValueError(
            f"record: {B} samples of {T} periods need more than {MOST_RECORDED:,} entries, take fewer"
        )

    parts = []
    for block in _blocks(B, max(1, BLOCK // (T * n))):
        d = given[block, :T] if given is not None else _draw(network, (block.stop - block.start, T, n), rng)
        net = network.take(np.arange(B)[block])
        if isinstance(policy, OrderUpTo) and not record:
            parts.append(_compiled(net, policy, d, start[block], warm))
        else:
            parts.append(_stepped(net, policy, d, start[block], before[block], warm, record))
    return _result(parts, n, T, warm)


def _sizes(
    network: Network, demand: Array | None, periods: int | None, samples: int | None
) -> tuple[int, int]:
    """Return the numbers of samples and periods."""
    if periods is None and demand is None:
        raise ValueError("periods must be given unless demand is")
    T = checks.integer("periods", demand.shape[1] if periods is None and demand is not None else periods)
    have = network.num_samples if demand is None else demand.shape[0]
    B = checks.integer("samples", samples if samples is not None else have if have is not None else 1)
    if demand is not None and (demand.shape[0], min(T, demand.shape[1])) != (B, T):
        raise ValueError(f"demand has shape {demand.shape}, not {B} samples of at least {T} periods")
    if network.num_samples not in (None, B):
        raise ValueError(f"samples is {B}, the network has parameters for {network.num_samples}")
    return B, T


def _start(network: Network, inventory: ArrayLike | None, B: int) -> Array:
    if inventory is None:
        return initial_inventory(network, B)
    shape = (network.num_locations, network.longest)
    x = checks.finite("inventory", inventory, shape if np.ndim(inventory) == 2 else (B, *shape))
    x = np.broadcast_to(x, (B, *shape)).copy()
    check_inventory(network, x)
    return x


def _blocks(B: int, size: int) -> Iterator[slice]:
    for low in range(0, B, size):
        yield slice(low, min(low + size, B))


def _draw(network: Network, shape: tuple[int, int, int], rng: Any) -> Array:
    assert network.demand is not None
    return np.ascontiguousarray(network.demand.sample(rng, shape))


class Sums(NamedTuple):
    """What a block of samples adds up to."""

    by_location: Array  # (B, M), after the warm-up
    by_period: Array  # (T,), over the samples
    met: Array  # (n,)
    asked: Array  # (n,)
    trajectories: Trajectories | None


def _result(parts: list[Sums], n: int, T: int, warm: int) -> SimulationResult:
    by_location = np.concatenate([part.by_location for part in parts]) / (T - warm)
    asked = np.sum([part.asked for part in parts], axis=0)
    met = np.sum([part.met for part in parts], axis=0)
    kept = [part.trajectories for part in parts if part.trajectories is not None]
    return SimulationResult(
        cost=by_location.sum(axis=1),
        by_location=by_location,
        by_period=np.sum([part.by_period for part in parts], axis=0) / len(by_location),
        fill_rate=np.where(asked > 0, met / np.where(asked > 0, asked, 1.0), np.nan),
        num_stores=n,
        trajectories=Trajectories(*(np.concatenate(x) for x in zip(*kept, strict=True))) if kept else None,
    )


# --- any policy, in NumPy ---


def _stepped(
    network: Network, policy: Any, d: Array, x: Array, before: Array, warm: int, record: bool
) -> Sums:
    """Play all periods of some samples with `step`."""
    B, T, n = d.shape
    by_location, by_period = np.zeros(x.shape[:2]), np.zeros(T)
    met, asked = np.zeros(n), np.zeros(n)
    plan = policy.plan(network, d) if isinstance(policy, JustInTime) else None
    seen = np.concatenate([before, d], axis=1)
    rows: list[tuple[Array, ...]] = []
    for t in range(T):
        # order
        if plan is not None:
            q = plan(x, t)
        elif isinstance(policy, OrderUpTo):
            q = orders(network, policy, x)
        else:
            now = NetworkState(x.copy(), seen[:, : before.shape[1] + t], t)
            q = checks.finite("orders", policy(now), (B, network.num_edges), low=0.0)
        period = _period(network, x, q, d[:, t])

        # count
        by_period[t] = period.cost.sum()
        if t >= warm:
            by_location += period.location_cost
            for e, i in enumerate(network.target):
                by_location[:, i] += period.edge_cost[:, e]
            asked += np.maximum(d[:, t], 0.0).sum(axis=0)
            met += np.maximum(d[:, t] - period.short, 0.0).sum(axis=0)
        if record:
            rows.append((x, q, period.shipped, d[:, t], period.short, period.location_cost, period.edge_cost))
        x = period.inventory
    kept = Trajectories(*(np.stack(column, axis=1) for column in zip(*rows, strict=True))) if rows else None
    return Sums(by_location, by_period, met, asked, kept)


# --- order up to, compiled ---


class Lanes(NamedTuple):
    """A network for the kernels; rows by sample, or a single one."""

    source: IntArray
    target: IntArray
    lead_time: IntArray
    unit_cost: Array
    fixed_cost: Array
    capacity: Array
    holding: Array
    penalty: Array
    holds: BoolArray
    lost: bool
    profit: bool
    integer: bool


def _compiled(network: Network, policy: OrderUpTo, d: Array, x: Array, warm: int) -> Sums:
    """Play all periods of some samples in compiled code."""
    integer = network.orders == "integer"
    lanes = Lanes(
        network.source,
        network.target,
        np.atleast_2d(network.lead_time),
        np.atleast_2d(network.unit_cost),
        network.fixed_cost,
        np.floor(network.capacity) if integer else network.capacity,
        np.atleast_2d(network.holding),
        np.atleast_2d(network.penalty),
        network.holds,
        network.unmet == "lost",
        network.objective == "profit",
        integer,
    )
    rows, columns = np.nonzero(policy.reach)
    reach = (np.searchsorted(rows, np.arange(len(policy.level) + 1)), columns)
    by_location, by_period = np.zeros(x.shape[:2]), np.zeros(d.shape[1])
    met = np.zeros(d.shape[2])
    _run(lanes, policy, reach, np.ascontiguousarray(d), x.copy(), warm, by_location, by_period, met)
    return Sums(by_location, by_period, met, np.maximum(d[:, warm:], 0.0).sum(axis=(0, 1)), None)


@kernel
def _run(
    net: Lanes,
    policy: OrderUpTo,
    reach: tuple[IntArray, IntArray],
    d: Array,
    x: Array,
    warm: int,
    by_location: Array,
    by_period: Array,
    met: Array,
) -> None:
    """Play all samples, some at a time side by side; fills the last three and changes `x`."""
    B, T, n = d.shape
    M, E = x.shape[1], net.source.size
    z, active = np.empty(M), np.empty(E, dtype=np.bool_)
    q, f = np.empty((SIDE_BY_SIDE, E)), np.empty((SIDE_BY_SIDE, E))
    cost, short = np.empty((SIDE_BY_SIDE, M)), np.empty((SIDE_BY_SIDE, n))
    for low in range(0, B, SIDE_BY_SIDE):
        high = min(low + SIDE_BY_SIDE, B)
        for t in range(T):
            _orders(net, policy, reach, x[low:high], z, active, q)
            _ship(net, x[low:high], q, f)
            _shift(net, low, x[low:high], f, d[low:high, t], short, cost)
            for b in range(high - low):
                for i in range(M):
                    by_period[t] += cost[b, i]
                    if t >= warm:
                        by_location[low + b, i] += cost[b, i]
                if t >= warm:
                    for s in range(n):
                        met[s] += max(d[low + b, t, s] - short[b, s], 0.0)


@kernel
def _orders(
    net: Lanes,
    policy: OrderUpTo,
    reach: tuple[IntArray, IntArray],
    x: Array,
    z: Array,
    active: BoolArray,
    q: Array,
) -> None:
    """Fill a row of `q` with the orders of each sample; `z` and `active` are overwritten."""
    B, M, L = x.shape
    start, members = reach
    source, target, holds = net.source, net.target, net.holds
    level, reorder, most = policy.level, policy.reorder, policy.most
    spread, constant, share = policy.spread, policy.constant, policy.share
    E, W = target.size, holds.size
    weight = np.zeros(W)  # of the balance at each source
    for e in range(E):
        if source[e] >= 0:
            weight[source[e]] += share[e] * spread[target[e]]
    for b in range(B):
        for i in range(M):
            z[i] = 0.0
            for k in range(start[i], start[i + 1]):
                for j in range(L):
                    z[i] += x[b, members[k], j]
        for e in range(E):
            i = target[e]
            want = 0.0
            if z[i] <= reorder[i]:
                want = min(max(level[i] - z[i], 0.0), most[i])
            q[b, e] = constant[e] + share[e] * want
        for i in range(W):
            if weight[i] > 0.0:
                asked = 0.0
                for e in range(E):
                    if source[e] == i:
                        asked += q[b, e]
                if asked > x[b, i, 0] or not holds[i]:
                    _balance(net, policy, z, i, x[b, i, 0], active, q[b])


@kernel
def _balance(
    net: Lanes, policy: OrderUpTo, z: Array, i: int, stock: float, active: BoolArray, q: Array
) -> None:
    """Share the stock of source i out so that all its targets are equally short; changes `q`, `active`."""
    source, target = net.source, net.target
    level, spread, share = policy.level, policy.spread, policy.share
    E = q.size
    for e in range(E):
        wanted = q[e] > 0.0 if net.holds[i] else share[e] > 0.0
        active[e] = source[e] == i and wanted
    u, dropped = 0.0, True
    while dropped:
        gaps, weight = 0.0, 0.0
        for e in range(E):
            if active[e]:
                m = target[e]
                gaps += share[e] * (level[m] - z[m])
                weight += share[e] * spread[m]
        u = (gaps - stock) / weight if weight > 0.0 else 0.0
        dropped = False
        for e in range(E):
            if active[e]:
                m = target[e]
                if share[e] * (level[m] - z[m] - u * spread[m]) < 0.0:
                    active[e] = False
                    dropped = True
    for e in range(E):
        if source[e] == i:
            m = target[e]
            gap = share[e] * (level[m] - z[m] - u * spread[m])
            q[e] = max(gap, 0.0) if active[e] else 0.0


@kernel
def _ship(net: Lanes, x: Array, q: Array, f: Array) -> None:
    """Fill a row of `f` with what leaves along each edge; rounds and caps `q` in place."""
    source, capacity, holds, integer = net.source, net.capacity, net.holds, net.integer
    E, W = source.size, holds.size
    total = np.empty(W)
    for b in range(x.shape[0]):
        total[:] = 0.0
        for e in range(E):
            q[b, e] = min(np.rint(q[b, e]) if integer else q[b, e], capacity[e])
            f[b, e] = q[b, e]
            if source[e] >= 0:
                total[source[e]] += q[b, e]
        for i in range(W):
            stock = x[b, i, 0]
            if holds[i] and total[i] <= stock:
                continue
            up_to, evenly = 0.0, total[i] == 0.0
            for e in range(E):
                if source[e] == i and evenly:
                    q[b, e] = 1.0
                    total[i] += 1.0
            for e in range(E):
                if source[e] == i and integer:
                    after = np.floor((up_to + q[b, e]) * stock / total[i])
                    f[b, e] = after - np.floor(up_to * stock / total[i])
                    up_to += q[b, e]
                elif source[e] == i:
                    f[b, e] = q[b, e] * stock / total[i]


@kernel
def _shift(net: Lanes, first: int, x: Array, f: Array, d: Array, short: Array, cost: Array) -> None:
    """Pay and move on, samples from `first` on: changes `x`, fills rows of `short` and `cost`."""
    source, target, fixed_cost = net.source, net.target, net.fixed_cost
    holding, penalty, leads, unit_costs = net.holding, net.penalty, net.lead_time, net.unit_cost
    B, M, L = x.shape
    E, W = source.size, net.holds.size
    y = np.empty(M)
    for b in range(B):
        h = first + b if holding.shape[0] > 1 else 0
        p = first + b if penalty.shape[0] > 1 else 0
        g = first + b if leads.shape[0] > 1 else 0
        c = first + b if unit_costs.shape[0] > 1 else 0

        # arrive at once
        for i in range(M):
            y[i] = x[b, i, 0]
        for e in range(E):
            if leads[g, e] == 0:
                y[target[e]] += f[b, e]

        # costs
        for e in range(E):
            if source[e] >= 0:
                y[source[e]] -= f[b, e]
        for i in range(W):
            y[i] = max(y[i], 0.0)
            cost[b, i] = holding[h, i] * y[i]
        for i in range(W, M):
            on_hand = y[i]
            y[i] = on_hand - d[b, i - W]
            short[b, i - W] = max(-y[i], 0.0)
            cost[b, i] = holding[h, i] * max(y[i], 0.0)
            if net.profit:
                cost[b, i] -= penalty[p, i - W] * min(on_hand, d[b, i - W])
            else:
                cost[b, i] += penalty[p, i - W] * short[b, i - W]
            if net.lost:
                y[i] = max(y[i], 0.0)
        for e in range(E):
            fixed = fixed_cost[e] if f[b, e] > NEGLIGIBLE else 0.0
            cost[b, target[e]] += unit_costs[c, e] * f[b, e] + fixed

        # shift
        for i in range(M):
            for j in range(L - 1):
                x[b, i, j] = x[b, i, j + 1]
            x[b, i, L - 1] = 0.0
            x[b, i, 0] += y[i]
        for e in range(E):
            if leads[g, e] > 0:
                x[b, target[e], leads[g, e] - 1] += f[b, e]
