"""One period of a network, in NumPy: the definition that every simulator of networks agrees with.

State: ``x[b, i, j]``, units of sample b at location i: j = 0 on hand after this period's arrivals (negative:
owed to customers), j = 1, ..., L - 1 under way, arriving in j periods. L is the longest lead time (at least
1), d demand, q orders.

All orders are given at once, before demand is known::

    # order: what edge e of source i = source[e] ships; suppliers (i < 0) are never short
    q[e] <- min(q[e], capacity[e])
            min(round(q[e]), floor(capacity[e]))       if orders are integers; halves are rounded to even
    s[i] <- x[i, 0];  Q[i] <- sum of q[e] over the edges that leave i
    if i cannot hold and Q[i] = 0: q[e] <- 1 for the edges that leave i
    f[e] <- q[e]                             if i < 0, or i can hold and Q[i] <= s[i]
            q[e] s[i] / Q[i]                 otherwise; 0 if Q[i] = 0
            floor(C[e] s[i] / Q[i]) - floor((C[e] - q[e]) s[i] / Q[i])   the same, for integer orders,
                                             C[e] = sum of q over the edges up to e that leave i

    # arrive at once: suppliers' shipments to stores
    x[target[e], 0] <- x[target[e], 0] + f[e]           for the edges of lead time 0

    # costs
    warehouse i:  y[i] <- max(s[i] - sum of f[e] over the edges that leave i, 0);  c[i] <- holding[i] y[i]
    store i:      y[i] <- x[i, 0] - d[i];  short[i] <- max(-y[i], 0)
                  c[i] <- holding[i] max(y[i], 0) + penalty[i] short[i]                        (cost)
                  c[i] <- holding[i] max(y[i], 0) - penalty[i] min(x[i, 0], d[i])              (profit)
                  if lost: y[i] <- max(y[i], 0)
    edge e:       c[e] <- unit_cost[e] f[e] + fixed_cost[e] 1{f[e] > NEGLIGIBLE}

    # shift
    x[i, 0] <- y[i] + x[i, 1];  x[i, j] <- x[i, j + 1];  x[i, L - 1] <- 0
    x[target[e], lead_time[e] - 1] <- x[target[e], lead_time[e] - 1] + f[e]   for the other edges, in order

Shipments out of a warehouse never exceed what it has. Stock under way costs nothing. ``min(x, d)`` is
``d - short``: profit is what all demand would earn, less `penalty` per unit short (with backlog, in every
period in which it is owed).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._network import Network

__all__ = ["Period", "initial_inventory", "step"]

NEGLIGIBLE = 1e-4  # units; a shipment that is not larger is taken for rounding, and no fixed cost is due


class Period(NamedTuple):
    """What happens in one period, for B samples.

    Attributes
    ----------
    inventory : ndarray, shape (B, M, L)
        At the start of the next period: on hand after arrivals, then arriving in 1, ..., L - 1 periods.
    shipped : ndarray, shape (B, E)
        Units that leave along each edge.
    short : ndarray, shape (B, n)
        Units lost in the period, or owed at its end.
    location_cost : ndarray, shape (B, M)
        Holding and shortage at each location (less revenue where the objective is profit).
    edge_cost : ndarray, shape (B, E)
        Unit and fixed costs of each edge.
    cost : ndarray, shape (B,)
        Their sum.
    """

    inventory: Array
    shipped: Array
    short: Array
    location_cost: Array
    edge_cost: Array
    cost: Array


def initial_inventory(network: Network, samples: int) -> Array:
    """Return the first state: the initial stock on hand, nothing under way.

    Parameters
    ----------
    network : Network
        The network.
    samples : int
        B, the number of samples.

    Returns
    -------
    ndarray, shape (B, M, L)
        Units on hand, then units that arrive in 1, ..., L - 1 periods.

    Raises
    ------
    ValueError
        If `samples` < 1.

    Examples
    --------
    >>> from eluder.envs.inventory import edge, store, supplier
    >>> lane = edge("factory", "shop", lead_time=2)
    >>> shop = store("shop", holding=1, penalty=4, initial=7)
    >>> initial_inventory(Network.build(supplier("factory"), shop, lane), 1)
    array([[[7., 0.]]])
    """
    x = np.zeros((checks.integer("samples", samples), network.num_locations, network.longest))
    x[..., 0] = network.initial
    return x


def step(network: Network, inventory: ArrayLike, orders: ArrayLike, demand: ArrayLike) -> Period:
    """Play one period.

    Parameters
    ----------
    network : Network
        The network, with parameters for all samples or for B of them.
    inventory : array_like, shape (B, M, L)
        Units on hand after this period's arrivals (negative: owed), then arriving in 1, ..., L - 1 periods.
    orders : array_like, shape (B, E)
        Units ordered along each edge, not negative.
    demand : array_like, shape (B, n)
        Units asked for at each store, not negative unless customers return goods: negative demand adds stock.

    Returns
    -------
    Period
        The next state, what was shipped and short, and the costs.

    Raises
    ------
    ValueError
        If a shape is wrong, an entry is not finite, an order is negative, or stock is, but for what stores
        owe on hand where demand is backlogged.

    Notes
    -----
    O(B (M L + E)) time and memory. The module's docstring is the definition.

    Examples
    --------
    >>> from eluder.envs.inventory import edge, store, supplier
    >>> lane = edge("factory", "shop", lead_time=1)
    >>> shop = store("shop", holding=1, penalty=4, initial=7)
    >>> network = Network.build(supplier("factory"), shop, lane)
    >>> period = step(network, initial_inventory(network, 1), [[3.0]], [[9.0]])
    >>> period.inventory, period.cost
    (array([[[3.]]]), array([8.]))
    """
    x = checks.finite("inventory", inventory, (None, network.num_locations, network.longest))
    B = len(x)
    if network.num_samples not in (None, B):
        raise ValueError(f"inventory has {B} samples, the network {network.num_samples}")
    check_inventory(network, x)
    q = checks.finite("orders", orders, (B, network.num_edges), low=0.0)
    d = checks.finite("demand", demand, (B, len(network.stores)))
    return _period(network, x, q, d)


def check_inventory(network: Network, x: Array) -> None:
    """Refuse negative stock, but for what stores owe where demand is backlogged."""
    bad = x < 0
    if network.unmet == "backlog":
        bad[:, len(network.warehouses) :, 0] = False
    if bad.any():
        i = checks.first(bad)
        raise ValueError(
            f"{checks.entry('inventory', i)} is {x[i]:g}, only stores that owe can have negative stock"
        )


def _period(network: Network, x: Array, q: Array, d: Array) -> Period:
    W = len(network.warehouses)

    # order
    f = shipments(network, x, q)

    # arrive at once
    samples = np.arange(len(x))
    lead_time = np.broadcast_to(network.lead_time, f.shape)
    y = x[..., 0].copy()
    for e in np.flatnonzero((lead_time == 0).any(axis=0)).tolist():
        y[:, network.target[e]] += np.where(lead_time[:, e] == 0, f[:, e], 0.0)
    on_hand = y[:, W:].copy()

    # costs
    leaving = np.zeros((len(x), W))
    for e in range(network.num_edges):
        if network.source[e] >= 0:
            leaving[:, network.source[e]] += f[:, e]
    y[:, :W] = np.maximum(y[:, :W] - leaving, 0.0)
    y[:, W:] -= d
    short = np.maximum(-y[:, W:], 0.0)
    location_cost = network.holding * np.maximum(y, 0.0)
    if network.objective == "cost":
        location_cost[:, W:] += network.penalty * short
    else:
        location_cost[:, W:] -= network.penalty * np.minimum(on_hand, d)
    edge_cost = network.unit_cost * f + network.fixed_cost * (f > NEGLIGIBLE)
    if network.unmet == "lost":
        y[:, W:] = np.maximum(y[:, W:], 0.0)

    # shift
    after = np.zeros_like(x)
    after[..., :-1] = x[..., 1:]
    after[..., 0] += y
    for e in range(network.num_edges):
        under_way = np.where(lead_time[:, e] > 0, f[:, e], 0.0)
        after[samples, network.target[e], np.maximum(lead_time[:, e] - 1, 0)] += under_way
    return Period(after, f, short, location_cost, edge_cost, location_cost.sum(-1) + edge_cost.sum(-1))


def shipments(network: Network, x: Array, q: Array) -> Array:
    """Return what each edge ships: its order if the source has enough, else in proportion to the orders."""
    integer = network.orders == "integer"
    capacity = np.floor(network.capacity) if integer else network.capacity
    f = np.minimum(np.rint(q) if integer else q, capacity)
    for i in range(len(network.warehouses)):
        leaving = np.flatnonzero(network.source == i)
        s = x[:, i, :1]
        orders = f[:, leaving]
        if not network.holds[i]:
            orders = np.where(orders.sum(axis=1, keepdims=True) > 0, orders, 1.0)
        up_to = np.cumsum(orders, axis=1)
        total = up_to[:, -1:]
        some = np.where(total > 0, total, 1.0)
        if integer:
            share = np.floor(up_to * s / some) - np.floor((up_to - orders) * s / some)
        else:
            share = orders * s / some
        f[:, leaving] = np.where((total > s) | ~network.holds[i], share, orders)
    return f
