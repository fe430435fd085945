"""Ordering rules for networks: order up to a level, in all its variants, and an oracle that sees demand.

Location i has the position p[i]: all it has and all that is under way to it, less what it owes. Its echelon
position is the sum of the positions of all locations that can be reached from it, itself among them. With
z[i] either of the two::

    want[i] <- min(max(level[i] - z[i], 0), most[i])     if z[i] <= reorder[i], else 0
    q[e]    <- constant[e] + share[e] want[target[e]]

- base stock: level alone. Echelon base stock: z is the echelon position.
- (s, S): reorder below level. Capped base stock: most. Constant order: level = -inf.
- tailored base surge: a constant along the slow lane, the rest along the fast one.

What a source does not have is shared out in proportion to the orders, as `step` does, or *balanced*: target m
gets ``share[e] max(level[m] - u spread[m] - z[m], 0)``, one u for all, such that the source ships what it
has. That is the allocation of Federgruen and Zipkin (1984) where `level` is mean demand over the lead time
and a period plus a multiple of its standard deviation, `spread`: all targets are equally likely to run out.
A warehouse that cannot hold is shared out so in every period, with u of either sign. (The form of the
allocation is from memory.)

The oracle `JustInTime` orders what will be demanded when the order reaches the customer.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, BoolArray
from eluder.envs.inventory._network import Network

__all__ = ["JustInTime", "NetworkState", "OrderUpTo", "empirical_levels", "order_up_to"]


class NetworkState(NamedTuple):
    """What a policy sees before it orders.

    Attributes
    ----------
    inventory : ndarray, shape (B, M, L)
        Units on hand after arrivals (negative: owed), then arriving in 1, ..., L - 1 periods.
    past : ndarray, shape (B, t, n)
        Demand seen so far, the last period last.
    period : int
        Periods played.
    """

    inventory: Array
    past: Array
    period: int


class OrderUpTo(NamedTuple):
    """Order up to a level, as `order_up_to` makes it.

    Attributes
    ----------
    level, reorder, most, spread : ndarray, shape (M,)
        Level, largest position at which an order is placed, largest order, and weight in a shortage.
    constant, share : ndarray, shape (E,)
        What each edge orders anyway, and its part of what the location wants.
    reach : ndarray, shape (M, M)
        ``reach[i, j] = 1`` if the position of j counts for i.
    """

    level: Array
    reorder: Array
    most: Array
    spread: Array
    constant: Array
    share: Array
    reach: Array


def order_up_to(
    network: Network,
    level: ArrayLike,
    *,
    reorder: ArrayLike | None = None,
    most: ArrayLike = np.inf,
    constant: ArrayLike = 0.0,
    share: ArrayLike | None = None,
    spread: ArrayLike = 0.0,
    echelon: bool = False,
) -> OrderUpTo:
    """Return a policy that orders each location up to its level.

    Parameters
    ----------
    network : Network
        The network.
    level : array_like, shape (M,) or a number
        Order-up-to levels, units; -inf for a location that orders nothing but constants.
    reorder : array_like, shape (M,) or a number, optional
        Order where the position is at most this; the level if not given, and never above it.
    most : array_like, shape (M,) or a number, default=inf
        Largest order, units.
    constant : array_like, shape (E,) or a number, default=0.0
        Units ordered along each edge in every period in any case.
    share : array_like, shape (E,), optional
        Part of what a location wants that each of its edges gets; the fastest way from outside gets
        all if not given.
    spread : array_like, shape (M,) or a number, default=0.0
        Where positive at a source's targets, what the source lacks is balanced, see the notes.
    echelon : bool, default=False
        Whether positions are those of echelons.

    Returns
    -------
    OrderUpTo
        For `simulate`.

    Raises
    ------
    ValueError
        If a shape is wrong, a number is not in range, a level is below `reorder`, the shares of a location
        do not sum to one, or `spread` is combined with `most`, `constant` or
        infinite levels.

    Notes
    -----
    In a shortage at a source, target m gets ``max(level[m] - u spread[m] - position[m], 0)``, one u for
    all. With `spread` 0 shortages are shared in proportion to the orders.

    References
    ----------
    .. [1] Federgruen and Zipkin. Approximations of dynamic, multilocation production and inventory problems.
       Management Science 30, 1984.

    Examples
    --------
    >>> from eluder.envs.inventory import edge, store, supplier
    >>> shop = store("shop", holding=1, penalty=4)
    >>> network = Network.build(supplier("factory"), shop, edge("factory", "shop", lead_time=1))
    >>> order_up_to(network, 12, reorder=5).reorder
    array([5.])
    """
    M, E = network.num_locations, network.num_edges
    up_to = _spread_out("level", level, M, -np.inf, checks.FLOAT_MAX)
    below = up_to if reorder is None else _spread_out("reorder", reorder, M, -np.inf, np.inf)
    if (below > up_to).any():
        i = checks.first(below > up_to)
        raise ValueError(
            f"{checks.entry('reorder', i)} is {below[i]:g}, it must be at most the level {up_to[i]:g}"
        )
    capped = _spread_out("most", most, M, 0.0, np.inf)
    fixed = _spread_out("constant", constant, E, 0.0, checks.FLOAT_MAX)
    widths = _spread_out("spread", spread, M, 0.0, checks.FLOAT_MAX)
    if widths.any() and (np.isfinite(capped).any() or fixed.any() or not np.isfinite(up_to).all()):
        raise ValueError("spread cannot be combined with most, constant or infinite levels")
    if share is None:
        parts = fastest(network).astype(np.float64)
    else:
        parts = checks.finite("share", share, (E,), low=0.0, high=1.0)
    total = np.bincount(network.target, parts, minlength=M)
    bad = np.abs(total - 1) > checks.SUM_TOLERANCE
    if bad.any():
        k = int(np.argmax(bad))
        raise ValueError(f"the shares of {network.locations[k]} sum to {total[k]:.12g}, not 1")
    reach = reachable(network).astype(np.float64) if echelon else np.eye(M)
    return OrderUpTo(up_to, below, capped, widths, fixed, parts, reach)


def _spread_out(name: str, x: ArrayLike, size: int, low: float, high: float) -> Array:
    """Return one number per location or edge; infinite ones where the ends are."""
    array = checks.floats(name, x, (size,) if np.ndim(x) else ())
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry(name, i)} is {array[i]:g}, it must be in [{low:g}, {high:g}]")
    return np.broadcast_to(array, (size,)).copy()


def reachable(network: Network) -> BoolArray:
    """Return which locations (column) can be reached from which (row), themselves among them."""
    reach = np.eye(network.num_locations, dtype=np.bool_)
    for i in network.upstream_first()[::-1]:
        for j in network.target[network.source == i]:
            reach[i] |= reach[j]
    return reach


def fastest(network: Network) -> BoolArray:
    """Mark the edge into each location on its fastest way from outside (by mean lead times), shape (E,)."""
    lead_time = np.atleast_2d(network.lead_time).mean(axis=0)
    marked = np.zeros(network.num_edges, dtype=np.bool_)
    far = np.zeros(network.num_locations)
    for i in network.upstream_first():
        into = np.flatnonzero(network.target == i)
        source = network.source[into]
        times = lead_time[into] + np.where(source >= 0, far[np.maximum(source, 0)], 0.0)
        marked[into[np.argmin(times)]] = True
        far[i] = times.min()
    return marked


def orders(network: Network, policy: OrderUpTo, x: Array) -> Array:
    """Return what `OrderUpTo` orders along each edge, shape (B, E), in NumPy."""
    z = x.sum(axis=2) @ policy.reach.T
    want = np.where(z <= policy.reorder, np.minimum(np.maximum(policy.level - z, 0.0), policy.most), 0.0)
    q: Array = policy.constant + policy.share * want[:, network.target]
    for i in range(len(network.warehouses)):
        out = np.flatnonzero(network.source == i)
        widths = (policy.share * policy.spread[network.target])[out]
        if not widths.any():
            continue
        stock = x[:, i, 0]
        gap = (policy.share * (policy.level - z)[:, network.target])[:, out]
        asked = q[:, out] > 0
        tight = q[:, out].sum(axis=1) > stock
        if not network.holds[i]:
            asked, tight = np.ones_like(asked) & (policy.share[out] > 0), np.ones_like(tight)
        q[:, out] = np.where(tight[:, None], balanced(gap, widths, asked, stock), q[:, out])
    return q


def balanced(gap: Array, widths: Array, asked: BoolArray, stock: Array) -> Array:
    """Return ``max(gap - u widths, 0)`` where asked, with the u of each row for which they sum to `stock`."""
    active = asked.copy()
    while True:
        weight = np.where(active, widths, 0.0).sum(axis=1)
        u = (np.where(active, gap, 0.0).sum(axis=1) - stock) / np.where(weight > 0, weight, 1.0)
        u = np.where(weight > 0, u, 0.0)[:, None]
        drop = active & (gap - u * widths < 0)
        if not drop.any():
            return np.where(active, np.maximum(gap - u * widths, 0.0), 0.0)
        active &= ~drop


class JustInTime:
    """An oracle that sees future demand: no admissible policy does, its cost is a yardstick.

    With lost sales each location orders what it will be asked for in the period in which the order arrives,
    less what it will have left by then; with backlog, what its echelon will be asked for until the order can
    have reached the customers, less its echelon position. A location orders along its fastest way from
    outside. Beyond the last period of the simulation demand is 0.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson, edge, simulate, store, supplier
    >>> shop = store("shop", holding=1, penalty=4)
    >>> lane = edge("factory", "shop", lead_time=2)
    >>> network = Network.build(supplier("factory"), shop, lane, demand=Poisson(5.0))
    >>> rng = np.random.default_rng(0)
    >>> simulate(network, JustInTime(), periods=20, samples=3, warm_up=2, rng=rng).mean
    0.0
    """

    def plan(self, network: Network, demand: Array) -> Any:
        """Return the orders as a function of inventory (B, M, L) and period, for demand (B, T, n)."""
        B, T, _ = demand.shape
        lead_time = np.broadcast_to(network.lead_time, (B, network.num_edges))
        edge_into = {int(network.target[e]): int(e) for e in np.flatnonzero(fastest(network))}
        rows, lost = np.arange(B), network.unmet == "lost"
        # need[i][b, t]: what location i must ship or sell in period t; reach of the longest way, then zeros
        end = T + int(network.longest) * (network.num_locations + 1)
        need = np.zeros((network.num_locations, B, end))
        until = np.zeros_like(
            need
        )  # what the echelon of i is asked for up to the arrival of what leaves in t
        for i in network.upstream_first()[::-1]:
            if i >= len(network.warehouses):
                need[i, :, :T] = demand[:, :, i - len(network.warehouses)]
                until[i] = np.cumsum(need[i], axis=1)
            for j, e in edge_into.items():
                if network.source[e] == i:
                    at = np.minimum(np.arange(end) + lead_time[:, e, None], end - 1)
                    need[i] += need[j][rows[:, None], at]
                    until[i] += until[j][rows[:, None], at]
        reach = reachable(network).astype(np.float64)
        downstream = reach[:, len(network.warehouses) :]
        seen = np.concatenate([np.zeros((B, 1, demand.shape[2])), np.cumsum(demand, axis=1)], axis=1)

        def order(x: Array, t: int) -> Array:
            q = np.zeros((B, network.num_edges))
            echelon = x.sum(axis=2) @ reach.T
            for i, e in edge_into.items():
                arrival = lead_time[:, e]
                if not lost:
                    asked = until[i][rows, t + arrival] - seen[:, t] @ downstream[i]
                    q[:, e] = np.maximum(asked - echelon[:, i], 0.0)
                    continue
                left = x[:, i, 0].copy()
                for j in range(network.longest):
                    under_way = x[:, i, j + 1] if j + 1 < network.longest else 0.0
                    later = np.maximum(left - need[i][:, t + j], 0.0) + under_way
                    left = np.where(j < arrival, later, left)
                q[:, e] = np.maximum(need[i][rows, t + arrival] - left, 0.0)
            return q

        return order


def empirical_levels(network: Network, demand: ArrayLike, *, fractile: ArrayLike | None = None) -> Array:
    """Return base-stock levels from recorded demand: quantiles of demand over the lead time and a period.

    Parameters
    ----------
    network : Network
        The network; parameters that differ by sample enter with their means.
    demand : array_like, shape (T, n) or (B, T, n)
        Recorded demand; windows do not cross from one record to another.
    fractile : float or array_like, shape (n,), optional
        Probability of not running out, of each store; ``penalty / (penalty + holding)`` if not given. For a
        warehouse it is the mean of those of the stores it reaches.

    Returns
    -------
    ndarray, shape (M,)
        For a store the quantile of its demand over L + 1 periods, L the lead time of its fastest edge; for a
        warehouse the quantile of the demand of all stores it reaches over the longest such way to a
        customer, plus one period: echelon levels. Use ``order_up_to(network, levels, echelon=True)``.

    Raises
    ------
    ValueError
        If `demand` is not finite, the record is shorter than a window, or a fractile is outside (0, 1).

    Notes
    -----
    The quantile is the smallest recorded sum that at least the fractile of the windows do not exceed: with
    all windows of an independent record it is the newsvendor's answer to the empirical law. O(B T n) time.

    Examples
    --------
    >>> from eluder.envs.inventory import edge, store, supplier
    >>> shop = store("shop", holding=1, penalty=4)
    >>> network = Network.build(supplier("factory"), shop, edge("factory", "shop", lead_time=1))
    >>> empirical_levels(network, [[1.0], [2.0], [3.0], [4.0], [5.0], [0.0]])
    array([7.])
    """
    n, W = len(network.stores), len(network.warehouses)
    d = checks.finite("demand", demand, (None,) * (np.ndim(demand) - 1) + (n,))
    if d.ndim not in (2, 3):
        raise ValueError(f"demand must have shape (T, {n}) or (B, T, {n}), got {d.shape}")
    d = d.reshape(-1, *d.shape[-2:])
    h = np.atleast_2d(network.holding).mean(axis=0)[W:]
    p = np.atleast_2d(network.penalty).mean(axis=0)
    if fractile is None:
        tau = p / np.where(p + h > 0, p + h, 1.0)
    else:
        tau = _spread_out("fractile", fractile, n, 0.0, 1.0)
    if not ((tau > 0) & (tau < 1)).all():
        raise ValueError(f"fractile must be in (0, 1) for every store, got {tau}")
    lead_time = np.rint(np.atleast_2d(network.lead_time).mean(axis=0)).astype(np.int64)
    into = np.flatnonzero(fastest(network))
    reach, cover = reachable(network), np.zeros(network.num_locations, dtype=np.int64)
    levels = np.zeros(network.num_locations)
    for i in network.upstream_first()[::-1]:
        e = into[network.target[into] == i][0]
        beyond = cover[network.target[network.source == i]]
        cover[i] = lead_time[e] + (beyond.max() if beyond.size else 0)
        if cover[i] + 1 > d.shape[1]:
            raise ValueError(f"demand has {d.shape[1]} periods, {network.locations[i]} needs {cover[i] + 1}")
        total = d[:, :, reach[i, W:]].sum(axis=2)
        sums = np.cumsum(np.pad(total, ((0, 0), (1, 0))), axis=1)
        windows = np.sort((sums[:, cover[i] + 1 :] - sums[:, : -cover[i] - 1]).ravel())
        rank = int(np.ceil(tau[reach[i, W:]].mean() * windows.size * (1 - 1e-12)))
        levels[i] = windows[min(max(rank, 1), windows.size) - 1]
    return levels
