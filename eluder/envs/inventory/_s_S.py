"""Fixed ordering cost with backlogging: Zheng and Federgruen, Operations Research 1991.

Each order costs `setup` K, whatever its size. An (s, S) policy orders up to S whenever the position (on hand
+ on order - backlog) is at or below s; it is optimal among all policies. With G(y) the expected holding and
shortage cost of the demand of L + 1 periods and m the renewal masses of demand::

    m(0) = 1 / (1 - p_0),   m(j) = sum_{i=1}^{j} p_i m(j - i) / (1 - p_0)
    c(s, S) = (K + sum_{j=0}^{S-s-1} m(j) G(S - j)) / sum_{j=0}^{S-s-1} m(j)

    y* = argmin G;  S0 = y*;  s = y*
    repeat s <- s - 1 until c(s, S0) <= G(s)
    c0 = c(s, S0);  S = S0 + 1
    while G(S) <= c0:
        if c(s, S) < c0:
            S0 = S
            while c(s, S0) <= G(s + 1): s <- s + 1
            c0 = c(s, S0)
        S <- S + 1
    return s, S0, c0

Certified: the search is exact (their theorem), so is c up to rounding; the tests compare with all (s, S) and
with value iteration over all policies.

Deviations from the paper: none; the lead time enters through G.
"""

from dataclasses import dataclass

import numpy as np

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._demand import IntegerDemand
from eluder.envs.inventory._lattice import Lattice, cost_between, integer_law, total

__all__ = ["ReorderPolicy", "s_S_optimum"]

LONGEST = 2**22  # levels that may have to be looked at


@dataclass(frozen=True, slots=True)
class ReorderPolicy:
    """An (s, S) policy and its cost.

    Attributes
    ----------
    s, S : int
        Order up to S when the position is at or below s.
    cost : float
        Average cost per period.
    """

    s: int
    S: int
    cost: float


def s_S_optimum(
    demand: IntegerDemand, *, lead_time: int, setup: float, penalty: float, holding: float = 1.0
) -> ReorderPolicy:
    """Return the optimal policy of a location that backlogs and pays for each order.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of one period.
    lead_time : int
        Periods between an order and its being on hand; 0 is before the demand of the same period.
    setup : float
        Cost of an order, not negative.
    penalty : float
        Cost per unit short at the end of a period, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.

    Returns
    -------
    ReorderPolicy
        ``s``, ``S`` and the average ``cost`` per period.

    Raises
    ------
    ValueError
        If an argument is out of range, demand is always 0, or more than 2**22 levels would have to be tried.

    Notes
    -----
    O(n d + n^2) time, n the levels between s and S and d the largest demand; typically far less.

    References
    ----------
    .. [1] Zheng and Federgruen. Finding optimal (s, S) policies is about as simple as evaluating a single
       policy. Operations Research 39, 1991.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> best = s_S_optimum(Poisson(10), lead_time=0, setup=64, penalty=9)
    >>> best.s, best.S, round(best.cost, 3)
    (6, 40, 35.022)
    """
    lead_time = checks.integer("lead_time", lead_time, 0)
    K = checks.number("setup", setup, 0.0)
    law = integer_law(demand)
    if law.mean <= 0:
        raise ValueError("demand is always 0, it must have a positive mean")
    first, G = candidates(total(law, lead_time + 1), K, penalty, holding)
    return _search(first, G, renewal(law, len(G)), K)


def candidates(law: Lattice, K: float, penalty: float, holding: float) -> tuple[int, Array]:
    """List the levels whose cost is below ``K + min G``, which bounds the optimum, and a few more."""
    p = checks.number("penalty", penalty, 0.0, open_low=True)
    h = checks.number("holding", holding, 0.0, open_low=True)
    last = law.low + len(law.p) - 1
    most = K + float(cost_between(law, law.low, last, h, p).min())
    if most / h + most / p + len(law.p) > LONGEST:
        raise ValueError(
            f"setup {K:g} needs more than {LONGEST:,} levels, it must be smaller, or the unit larger"
        )
    first = law.low - int(np.ceil(most / p)) - 2
    return first, cost_between(law, first, last + int(np.ceil(most / h)) + 2, h, p)


def renewal(law: Lattice, n: int) -> Array:
    """Renewal masses m(0), ..., m(n - 1): how often in the mean the demand since an order is exactly j."""
    p = np.concatenate([np.zeros(law.low), law.p])
    stays, p = p[0], p[1:]
    m = np.zeros(n)
    m[0] = 1.0
    for j in range(1, n):
        k = min(j, len(p))
        m[j] = p[:k] @ m[j - k : j][::-1] / (1 - stays)
    m /= 1 - stays
    return m


def cycle_cost(m: Array, costs: Array, K: float) -> float:
    """c(s, S) from ``costs = G(S), G(S - 1), ..., G(s + 1)``: of a cycle, per period of it."""
    n = len(costs)
    return float((K + m[:n] @ costs) / m[:n].sum())


def _search(first: int, G: Array, m: Array, K: float) -> ReorderPolicy:
    """Search as written above; s and S count from the first level of G."""

    def c(s: int, S: int) -> float:
        return cycle_cost(m, G[S:s:-1], K)

    S0 = s = int(np.argmin(G))
    s -= 1
    while c(s, S0) > G[s]:
        s -= 1
    c0 = c(s, S0)
    S = S0 + 1
    while G[S] <= c0:
        if c(s, S) < c0:
            S0 = S
            while c(s, S0) <= G[s + 1]:
                s += 1
            c0 = c(s, S0)
        S += 1
    return ReorderPolicy(first + s, first + S0, c0)
