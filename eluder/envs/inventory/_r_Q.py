"""Batches of fixed size with backlogging: Federgruen and Zheng, Operations Research 1992.

An (r, Q) policy orders Q units whenever the position (on hand + on order - backlog) falls to r, each batch
for `setup` K. After ordering, the position is equally likely to be any of r + 1, ..., r + Q; so with lam the
mean demand and G(y) the expected holding and shortage cost at position y::

    c(r, Q) = (K lam + sum_{y=r+1}^{r+Q} G(y)) / Q

G is convex: for each Q the best positions are the Q cheapest, and adding the next one lowers c as long as its
G is below c::

    y* = argmin G;  r = y* - 1;  Q = 1;  c = K lam + G(y*)
    while min(G(r), G(r + Q + 1)) < c:
        take the cheaper of r and r + Q + 1 (the former: r <- r - 1);  Q <- Q + 1
        c <- (K lam + sum of the Q) / Q

Continuous review: unit demands come in a Poisson process, and G is over the demand of a lead time of any
length. Periodic review, as everywhere else here: n Q units are ordered (at n K) if the position is at or
below r, to bring it above; G is over the demand of L + 1 periods.

Certified: exact up to rounding; the tests compare with all (r, Q), and with the chain of positions.

Deviations from the paper: periodic review beside the paper's continuous one; on the integers.
"""

from dataclasses import dataclass

import numpy as np

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._demand import IntegerDemand, Poisson
from eluder.envs.inventory._lattice import Lattice, integer_law, total
from eluder.envs.inventory._s_S import candidates

__all__ = ["BatchPolicy", "r_Q_optimum"]


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """An (r, Q) policy and its cost.

    Attributes
    ----------
    r, Q : int
        Order batches of Q when the position is at or below r.
    cost : float
        Average cost per period.
    """

    r: int
    Q: int
    cost: float


def r_Q_optimum(
    demand: IntegerDemand,
    *,
    lead_time: float,
    setup: float,
    penalty: float,
    holding: float = 1.0,
    continuous: bool = False,
) -> BatchPolicy:
    """Return the best reorder point and batch size of a location that backlogs.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of one period; under continuous review Poisson.
    lead_time : float
        Periods between an order and its being on hand; an integer unless review is continuous.
    setup : float
        Cost of a batch, not negative.
    penalty : float
        Cost per unit short at the end of a period (continuous: and unit of time), positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period (continuous: and unit of time), positive.
    continuous : bool, default=False
        Whether orders are placed at any time, as soon as the position is r.

    Returns
    -------
    BatchPolicy
        ``r``, ``Q`` and the average ``cost`` per period.

    Raises
    ------
    ValueError
        If an argument is out of range, demand is always 0 or has a common divisor, or `continuous` is asked
        for demand that is not Poisson.

    Notes
    -----
    O(Q) time once G is listed. Among all policies an (s, S) policy is better still, unless units come one by
    one, when the two are the same.

    References
    ----------
    .. [1] Federgruen and Zheng. An efficient algorithm for computing an optimal (r, Q) policy in continuous
       review stochastic inventory systems. Operations Research 40, 1992.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> r_Q_optimum(Poisson(1), lead_time=0, setup=1, penalty=1, continuous=True)
    BatchPolicy(r=-1, Q=1, cost=1.0)
    """
    K = checks.number("setup", setup, 0.0)
    if continuous:
        if not isinstance(demand, Poisson):
            raise ValueError(f"demand must be Poisson under continuous review, got {demand!r}")
        L = checks.number("lead_time", lead_time, 0.0)
        law = integer_law(Poisson(demand.mean * L)) if L else Lattice(1.0, 0, np.ones(1))
        mean = demand.mean
    else:
        L = checks.integer("lead_time", lead_time, 0)
        one = integer_law(demand)
        divisor = np.gcd.reduce(np.flatnonzero(one.p) + one.low)
        if divisor != 1:
            why = f"is a multiple of {divisor}, use that as the unit" if divisor else "is always 0"
            raise ValueError(f"demand {why}")
        law, mean = total(one, int(L) + 1), one.mean
    first, G = candidates(law, K * max(mean, 1.0), penalty, holding)
    return _grow(first, G, K * mean)


def _grow(first: int, G: Array, setups: float) -> BatchPolicy:
    """Take the cheapest levels while the next is below the average."""
    low = high = int(np.argmin(G))
    spent = setups + G[low]
    cost = spent
    while min(G[low - 1], G[high + 1]) < cost:
        if G[low - 1] <= G[high + 1]:
            low -= 1
            spent += G[low]
        else:
            high += 1
            spent += G[high]
        cost = spent / (high - low + 1)
    return BatchPolicy(first + low - 1, high - low + 1, float(cost))
