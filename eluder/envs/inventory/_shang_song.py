"""Newsvendor bounds and levels for a serial system: Shang and Song, Management Science 2003.

Stages, costs and levels are those of `clark_scarf`: stage 0 is the store, h_k falls from the store up, and
h_N = 0. With D the demand of L_0 + 1 + L_1 + ... + L_k periods, the optimal echelon level S_k lies between
two quantiles of D::

    lower_k = min {S : P(D <= S) >= (p + h_{k+1}) / (p + h_0)}     # as if all below were as dear as the store
    upper_k = min {S : P(D <= S) >= (p + h_{k+1}) / (p + h_k)}     # as if all below were as cheap as stage k
    level_k = (lower_k + upper_k) / 2

Certified: by induction over k, the slope of C_k lies between ``h_k - h_{k+1} - (p + h_k) P(D > y)`` and
``h_0 - h_{k+1} - (p + h_0) P(D > y)``; the three functions share the line they follow for small y, so
C_{N-1} lies between two newsvendor costs, and the optimal cost between their minima: those of one location
with holding cost h_{N-1}, and h_0, and lead time L_0 + ... + L_{N-1}.

Deviations from the paper: installation holding costs instead of echelon costs (theirs are our
h_k - h_{k+1}); laws on the integers round `levels` down (how the paper rounds was not confirmed).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eluder.core.types import Array
from eluder.envs.inventory._clark_scarf import serial_arguments
from eluder.envs.inventory._demand import IntegerDemand, Normal
from eluder.envs.inventory._lattice import integer_law
from eluder.envs.inventory._newsvendor import newsvendor

__all__ = ["SerialBounds", "shang_song"]


@dataclass(frozen=True, slots=True, eq=False)
class SerialBounds:
    """What `shang_song` returns.

    Attributes
    ----------
    levels : ndarray, shape (N,)
        Echelon base stock levels in the middle of the bounds, the store's first.
    lower, upper : ndarray, shape (N,)
        Bounds on the optimal levels.
    cost_lower, cost_upper : float
        Bounds on the optimal average cost per period.
    """

    levels: Array
    lower: Array
    upper: Array
    cost_lower: float
    cost_upper: float


def shang_song(
    demand: IntegerDemand | Normal, *, lead_times: ArrayLike, holding: ArrayLike, penalty: float
) -> SerialBounds:
    """Return newsvendor bounds on the levels and the cost of a serial system, and levels between them.

    Parameters
    ----------
    demand : IntegerDemand or Normal
        Law of the demand of one period, at the store.
    lead_times : array_like of int, shape (N,)
        Periods from each stage's order to its being on hand, 1 or more; the store comes first.
    holding : array_like, shape (N,)
        Cost per unit on hand at the end of a period, positive and falling from the store up.
    penalty : float
        Cost per unit backlogged at the store at the end of a period, positive.

    Returns
    -------
    SerialBounds
        ``levels``, ``lower`` and ``upper``, store first; ``cost_lower`` and ``cost_upper``.

    Raises
    ------
    ValueError
        If an argument is out of range, or holding costs do not fall.

    Notes
    -----
    2 N newsvendor problems. The cost of `levels` is not computed: simulate them.

    References
    ----------
    .. [1] Shang and Song. Newsvendor bounds and heuristic for optimal policies in serial supply chains.
       Management Science 49, 2003.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> bounds = shang_song(Poisson(5), lead_times=[1, 2], holding=[1, 0.4], penalty=9)
    >>> bounds.lower, bounds.levels, bounds.upper
    (array([15., 26.]), array([15., 27.]), array([15., 28.]))
    """
    L, h, p = serial_arguments(lead_times, holding, penalty)
    if not isinstance(demand, Normal):
        integer_law(demand)
    above = np.append(h[1:], 0.0)
    periods = 1 + np.cumsum(L)

    def level(k: int, dearest: float) -> float:
        short, left = p + above[k], dearest - above[k]
        return newsvendor(demand, penalty=short, holding=left, periods=int(periods[k])).level

    lower = np.array([level(k, h[0]) for k in range(len(h))])
    upper = np.array([level(k, h[k]) for k in range(len(h))])
    levels = 0.5 * (lower + upper)
    if not isinstance(demand, Normal):
        levels = np.floor(levels)
    best, worst = (newsvendor(demand, penalty=p, holding=c, periods=int(periods[-1])) for c in (h[-1], h[0]))
    return SerialBounds(levels, lower, upper, best.cost - best.error, worst.cost + worst.error)
