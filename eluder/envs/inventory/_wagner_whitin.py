"""Dynamic lot sizing: Wagner and Whitin 1958, in the time of Wagelmans, van Hoesel and Kolen 1992.

Known demand d_t is met in each of T periods, from stock or from an order of the same period; an order costs
`setup` K_t and `unit` c_t each, stock left at the end of a period `holding` h_t each. Some optimal plan
orders only when stock is 0, for whole periods. With D_t the demand before t, the holding costs moved to the
orders, ``a_t = c_t + h_t + ... + h_{T-1}``, and G(T) = 0::

    G(t) = min_{s > t} K_t + a_t (D_s - D_t) + G(s)          # order for t, ..., s - 1
    G(t) <- min(G(t), G(t + 1)) if d_t = 0
    cost = G(0) - sum_t h_t D_{t+1}

The inner minimum asks for the point (D_s, G(s)) that is lowest in the direction (a_t, 1): it is on the lower
convex hull of the points, which grows at its left end, and is found there by bisection.

Certified: exact up to rounding; `cost` is that of `orders`, added up period by period.

Deviations from the papers: none known (their recursion, from memory).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray

__all__ = ["LotSizes", "wagner_whitin"]


@dataclass(frozen=True, slots=True, eq=False)
class LotSizes:
    """What `wagner_whitin` returns.

    Attributes
    ----------
    orders : ndarray, shape (T,)
        Units ordered in each period.
    cost : float
        Of the whole plan.
    """

    orders: Array
    cost: float


def wagner_whitin(
    demand: ArrayLike, *, setup: ArrayLike, holding: ArrayLike, unit: ArrayLike = 0.0
) -> LotSizes:
    """Return the cheapest plan of orders for known demand.

    Parameters
    ----------
    demand : array_like, shape (T,)
        Units in each period, not negative.
    setup : array_like, shape () or (T,)
        Cost of an order in each period, not negative.
    holding : array_like, shape () or (T,)
        Cost per unit in stock at the end of each period, not negative.
    unit : array_like, shape () or (T,), default=0.0
        Cost per unit ordered in each period, not negative.

    Returns
    -------
    LotSizes
        ``orders`` (T,) and their ``cost``.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, or the shapes do not agree.

    Notes
    -----
    O(T log T) time, O(T) memory.

    References
    ----------
    .. [1] Wagner and Whitin. Dynamic version of the economic lot size model. Management Science 5, 1958.
    .. [2] Wagelmans, van Hoesel and Kolen. Economic lot sizing: an O(n log n) algorithm that runs in linear
       time in the Wagner-Whitin case. Operations Research 40, 1992.

    Examples
    --------
    >>> plan = wagner_whitin([90, 120, 80, 70], setup=500, holding=2)
    >>> plan.orders, plan.cost
    (array([210.,   0., 150.,   0.]), 1380.0)
    """
    d = checks.finite("demand", demand, (None,), low=0.0)
    K, h, c = (
        np.broadcast_to(checks.finite(name, x, () if np.ndim(x) == 0 else (len(d),), low=0.0), d.shape)
        for name, x in (("setup", setup), ("holding", holding), ("unit", unit))
    )
    before = np.concatenate([[0.0], np.cumsum(d)])
    following = _following(d, before, np.ascontiguousarray(K), c + np.cumsum(h[::-1])[::-1])
    orders = np.zeros(len(d))
    t = 0
    while t < len(d):
        s = int(following[t])
        orders[t] = d[t:s].sum()
        t = s
    return LotSizes(orders, plan_cost(orders, d, K, h, c))


def plan_cost(orders: Array, d: Array, K: Array, h: Array, c: Array) -> float:
    """Cost of a plan, from the stock it leaves in each period."""
    stock = np.maximum(np.cumsum(orders - d), 0.0)
    return float(K @ (orders > 0) + c @ orders + h @ stock)


@kernel
def _following(d: Array, before: Array, K: Array, a: Array) -> IntArray:
    """For each period the one before which its order lasts; the next one where nothing is ordered."""
    T = d.size
    G = np.zeros(T + 1)
    following = np.zeros(T, dtype=np.int64)
    hull = np.empty(T + 1, dtype=np.int64)
    hull[0] = T
    n = 1
    for t in range(T - 1, -1, -1):
        # along the hull, from right to left, the height falls and then rises: bisect for the first rise
        low, high = 0, n - 1
        while low < high:
            middle = (low + high) // 2
            i, j = hull[middle], hull[middle + 1]
            if G[j] + a[t] * before[j] < G[i] + a[t] * before[i]:
                low = middle + 1
            else:
                high = middle
        s = hull[low]
        G[t] = K[t] + a[t] * (before[s] - before[t]) + G[s]
        following[t] = s
        if d[t] == 0.0 and G[t + 1] <= G[t]:
            G[t] = G[t + 1]
            following[t] = t + 1
        # the new point joins on the left, and those above the line to it go
        while n > 1:
            i, j = hull[n - 2], hull[n - 1]
            if (G[t] - G[j]) * (before[i] - before[j]) <= (G[i] - G[j]) * (before[t] - before[j]):
                n -= 1
            else:
                break
        if n == 1 and before[t] == before[hull[0]]:
            n = 0  # no demand since: the new point is not above
        hull[n] = t
        n += 1
    return following
