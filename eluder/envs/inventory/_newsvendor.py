"""The newsvendor, and base stock with backlogging (Arrow, Harris and Marschak 1951; Karlin and Scarf 1958).

Order up to S before demand D, pay `holding` h per unit left and `penalty` p per unit short::

    G(S) = h E (S - D)^+ + p E (D - S)^+
    S*   = min {S : P(D <= S) >= p / (p + h)}                                      # the critical ratio

    normal law N(m, s^2), z = Phi^-1(p / (p + h)):   S* = m + z s,   G(S*) = (h + p) s phi(z)
    clipped at 0:                                    S* = max(0, m + z s)

With backlogging and a lead time of L periods the position (on hand + on order - backlog) is raised to S in
each period; what is left at the end of period t + L is S less the demand of L + 1 periods. So the best base
stock level is the newsvendor's for the sum of L + 1 demands, and it is optimal among all policies.

Certified: closed forms and laws on the integers are exact up to rounding (a tail of 1e-15 is left out).
Clipped normal demand of several periods is convolved on a grid at a step and at half of it; `cost` is
extrapolated and `error` is the difference of the two, several times its distance from the limit.

Deviations from the papers: none known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.inventory._demand import IntegerDemand, Normal
from eluder.envs.inventory._lattice import (
    STEPS_PER_SD,
    Lattice,
    extrapolate,
    integer_law,
    level_cost,
    rounded,
    total,
    vertex,
)

__all__ = ["NewsvendorResult", "backlogged_optimum", "critical_ratio", "newsvendor"]


@dataclass(frozen=True, slots=True)
class NewsvendorResult:
    """What `newsvendor` and `backlogged_optimum` return.

    Attributes
    ----------
    level : float
        Order-up-to level S, units; an integer for laws on the integers.
    cost : float
        Expected cost per period.
    error : float
        Of `cost`, estimated with room by halving the grid's step; 0 where nothing but rounding is left.
    """

    level: float
    cost: float
    error: float


def newsvendor(
    demand: IntegerDemand | Normal | ArrayLike, *, penalty: float, holding: float = 1.0, periods: int = 1
) -> NewsvendorResult:
    """Return the best order-up-to level against the demand of some periods.

    Parameters
    ----------
    demand : IntegerDemand or Normal or array_like, shape (n,)
        Law of the demand of one period, or samples of what is to be met, each equally likely.
    penalty : float
        Cost of a unit short, positive.
    holding : float, default=1.0
        Cost of a unit left, positive.
    periods : int, default=1
        How many independent periods are to be met; 1 for samples.

    Returns
    -------
    NewsvendorResult
        ``level`` S, ``cost`` G(S) and ``error``. Of several optima the smallest.

    Raises
    ------
    ValueError
        If an argument is out of range, or samples are given with `periods` above 1.

    Notes
    -----
    O(n log n) time for n samples, or n points of the list of probabilities of the sum.

    References
    ----------
    .. [1] Arrow, Harris and Marschak. Optimal inventory policy. Econometrica 19, 1951.

    Examples
    --------
    >>> from eluder.envs.inventory import uniform_demand
    >>> newsvendor(uniform_demand(1, 4), penalty=3)
    NewsvendorResult(level=3.0, cost=1.5, error=0.0)
    >>> newsvendor([10, 20, 30, 40, 50], penalty=1).level
    30.0
    """
    p = checks.number("penalty", penalty, 0.0, open_low=True)
    h = checks.number("holding", holding, 0.0, open_low=True)
    periods = checks.integer("periods", periods)
    if isinstance(demand, Normal):
        return _normal(demand, h, p, periods)
    if isinstance(demand, IntegerDemand):
        law = total(integer_law(demand), periods)
        i = quantile_index(law.p, critical_ratio(h, p))
        return NewsvendorResult(float(law.points[i]), float(level_cost(law, h, p)[i]), 0.0)
    samples: Any = demand
    x = np.sort(checks.finite("demand", samples, (None,)))
    if periods > 1:
        raise ValueError(f"periods must be 1 for samples, got {periods}: sample the sum instead")
    S = x[quantile_index(np.full(len(x), 1 / len(x)), critical_ratio(h, p))]
    return NewsvendorResult(
        float(S), float(np.mean(h * np.maximum(S - x, 0) + p * np.maximum(x - S, 0))), 0.0
    )


def backlogged_optimum(
    demand: IntegerDemand | Normal, *, lead_time: int, penalty: float, holding: float = 1.0
) -> NewsvendorResult:
    """Return the optimum of one location that backlogs: the best base stock level and its cost.

    Parameters
    ----------
    demand : IntegerDemand or Normal
        Law of the demand of one period.
    lead_time : int
        Periods between an order and its being on hand; 0 is before the demand of the same period.
    penalty : float
        Cost per unit short at the end of a period, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.

    Returns
    -------
    NewsvendorResult
        ``level`` of the position (on hand + on order - backlog) after ordering, average ``cost`` per period.

    Raises
    ------
    ValueError
        If an argument is out of range, or `demand` is no law.

    Notes
    -----
    That of `newsvendor` over ``lead_time + 1`` periods.

    References
    ----------
    .. [1] Karlin and Scarf. Inventory models of the Arrow-Harris-Marschak type with time lag. In: Studies in
       the Mathematical Theory of Inventory and Production. Stanford 1958.

    Examples
    --------
    >>> from eluder.envs.inventory import Normal
    >>> best = backlogged_optimum(Normal(5.0, 1.6), lead_time=4, penalty=9.0)
    >>> round(best.level, 2), round(best.cost, 4)
    (29.59, 6.2769)
    """
    lead_time = checks.integer("lead_time", lead_time, 0)
    if not isinstance(demand, Normal):
        integer_law(demand)
    return newsvendor(demand, penalty=penalty, holding=holding, periods=lead_time + 1)


def critical_ratio(holding: float, penalty: float) -> float:
    """Return the part of all demands that the best level covers.

    Parameters
    ----------
    holding, penalty : float
        Costs per unit left and per unit short, positive.

    Returns
    -------
    float
        ``penalty / (penalty + holding)``.

    Examples
    --------
    >>> critical_ratio(1.0, 9.0)
    0.9
    """
    return penalty / (penalty + holding)


def quantile_index(p: Array, ratio: float) -> int:
    """First index at which the sum of `p` reaches `ratio`, up to rounding."""
    return min(int(np.searchsorted(np.cumsum(p), ratio * (1 - 1e-12))), len(p) - 1)


def quantile(demand: IntegerDemand | Normal, periods: int, ratio: float) -> float:
    """Smallest S with P(D <= S) >= ratio, D the demand of `periods`."""
    return newsvendor(demand, penalty=ratio, holding=1 - ratio, periods=periods).level


def _normal(demand: Normal, h: float, p: float, periods: int) -> NewsvendorResult:
    """Closed forms, and the grid for clipped demand of several periods."""
    m, s = periods * demand.mean, np.sqrt(periods) * demand.sd
    z = float(special.ndtri(critical_ratio(h, p)))
    if not demand.clipped:
        return NewsvendorResult(float(m + z * s), float((h + p) * s * density(z)), 0.0)
    if periods == 1:
        z = max(z, -m / s)
        S = max(m + z * s, 0.0)
        short = s * (density(z) - z * special.ndtr(-z))
        return NewsvendorResult(float(S), float(h * (S - demand.expectation) + (h + p) * short), 0.0)
    step = demand.sd / STEPS_PER_SD
    (_, coarse), (S, fine) = (_best_level(total(rounded(demand, x), periods), h, p) for x in (step, step / 2))
    return NewsvendorResult(S, *extrapolate(coarse, fine))


def _best_level(law: Lattice, h: float, p: float) -> tuple[float, float]:
    """Minimum of the cost between the points of a rounded law."""
    i, cost = vertex(level_cost(law, h, p))
    return law.step * (law.low + i), cost


def density(z: float) -> float:
    """Standard normal density."""
    return float(np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
