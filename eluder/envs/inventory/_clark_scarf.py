"""Optimal policies for a serial system: Clark and Scarf, Management Science 1960.

Stage 0 is the store, stage k + 1 supplies stage k, and stage N - 1 orders from outside. `holding` h_k is paid
per unit on hand at stage k at the end of the period (above the store: after shipping), `penalty` p per unit
backlogged at the store, nothing per unit in transit. An echelon base stock policy raises the echelon position
of stage k (all that is at, below or on the way to stage k, less the backlog) to S_k in each period, as far as
stage k + 1 has stock. It is optimal, and the levels come one at a time::

    C_0(y) = h_0 (y - (L_0 + 1) m) + (h_0 + p) E (D[L_0 + 1] - y)^+ - h_1 y        # D[n]: demand of n periods
    S_0    = argmin C_0
    for k = 1, ..., N - 1:
        F(x)   = C_{k-1}(min(S_{k-1}, x))                                          # short of S_{k-1}: wait
        C_k(y) = h_k (y - L_k m) + E F(y - D[L_k]) - h_{k+1} y                     # h_N = 0
        S_k    = argmin C_k
    cost = min C_{N-1}

m is the mean demand of a period. Below the smallest demand every C_k is a line of slope -(p + h_{k+1}); so F
is known everywhere, and each expectation is one convolution.

Certified: laws on the integers are exact up to rounding (a tail of 1e-15 is left out). Normal demand is
rounded to a grid, at a step and at half of it; `cost` is extrapolated (Richardson) and `error` is the
difference of the two, several times its distance from the limit.

Deviations from the paper: average cost instead of discounted cost of a finite horizon (Federgruen and Zipkin
1984); linear installation holding costs, not charged in transit, instead of echelon costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import IntegerDemand, Normal
from eluder.envs.inventory._lattice import (
    STEPS_PER_SD,
    Lattice,
    convolve,
    expected_short,
    extrapolate,
    integer_law,
    rounded,
    total,
    vertex,
)

__all__ = ["SerialResult", "clark_scarf"]


@dataclass(frozen=True, slots=True, eq=False)
class SerialResult:
    """What `clark_scarf` returns.

    Attributes
    ----------
    levels : ndarray, shape (N,)
        Echelon base stock levels, the store's first.
    cost : float
        Smallest average cost per period.
    error : float
        Of `cost`, estimated with room by halving the grid's step; 0 where nothing but rounding is left.
    y : tuple of ndarray, length N
        Echelon positions of each stage, on a grid.
    C : tuple of ndarray, length N
        ``C[k][i]`` is C_k at ``y[k][i]``: cost of stages 0 to k, given that stage k's position is raised to
        that in each period and stage k + 1 earns h_{k+1} for each unit taken from it. Their grid is the
        finer one.
    """

    levels: Array
    cost: float
    error: float
    y: tuple[Array, ...]
    C: tuple[Array, ...]


def clark_scarf(
    demand: IntegerDemand | Normal,
    *,
    lead_times: ArrayLike,
    holding: ArrayLike,
    penalty: float,
    step: float | None = None,
) -> SerialResult:
    """Return the optimal echelon base stock levels of a serial system, and their cost.

    Parameters
    ----------
    demand : IntegerDemand or Normal
        Law of the demand of one period, at the store.
    lead_times : array_like of int, shape (N,)
        Periods from each stage's order (where its supplier has stock) to its being on hand, 1 or more. The
        store comes first, then its supplier, and so on up.
    holding : array_like, shape (N,)
        Cost per unit on hand at the end of a period, positive and falling from the store up.
    penalty : float
        Cost per unit backlogged at the store at the end of a period, positive.
    step : float, optional
        Coarser grid step for normal demand, units; a hundredth of its standard deviation if not given.

    Returns
    -------
    SerialResult
        ``levels`` (store first), average ``cost`` per period of the whole system, its ``error``, and the
        functions C_k on their grids.

    Raises
    ------
    ValueError
        If an argument is out of range, holding costs do not fall, or `step` is given for integer demand.

    Notes
    -----
    O(N n log n) time for n grid points of the demand of all lead times together.

    References
    ----------
    .. [1] Clark and Scarf. Optimal policies for a multi-echelon inventory problem. Management Science 6,
       1960.
    .. [2] Federgruen and Zipkin. Computational issues in an infinite-horizon, multiechelon inventory model.
       Operations Research 32, 1984.

    Examples
    --------
    >>> from eluder.envs.inventory import Normal
    >>> best = clark_scarf(Normal(5, 2), lead_times=[4, 3, 4, 2], holding=[1, 0.5, 0.2, 0.1], penalty=9)
    >>> round(best.cost, 3), best.levels.round(1)
    (10.734, array([32.4, 49. , 72.8, 83.2]))
    """
    L, h, p = serial_arguments(lead_times, holding, penalty)
    if not isinstance(demand, Normal):
        if step is not None:
            raise ValueError("step is for normal demand only, a law on the integers has step 1")
        return SerialResult(*_levels(integer_law(demand), L, h, p, between=False))
    step = demand.sd / STEPS_PER_SD if step is None else checks.number("step", step, 0.0, open_low=True)
    coarse = _levels(rounded(demand, step), L, h, p, between=True)[1]
    levels, fine, _, y, C = _levels(rounded(demand, step / 2), L, h, p, between=True)
    return SerialResult(levels, *extrapolate(coarse, fine), y, C)


def serial_arguments(
    lead_times: ArrayLike, holding: ArrayLike, penalty: float
) -> tuple[IntArray, Array, float]:
    """Check the data of a serial system."""
    L = checks.finite("lead_times", lead_times, (None,), low=1.0)
    whole = [checks.integer(f"lead_times[{k}]", x) for k, x in enumerate(L)]
    h = checks.finite("holding", holding, (len(L),), low=0.0)
    for k, below in enumerate(h):
        above = h[k + 1] if k + 1 < len(h) else 0.0
        if not above < below:
            raise ValueError(
                f"holding[{k}] is {below:g}, it must be above "
                + (f"that of the supplier, holding[{k + 1}] = {above:g}" if k + 1 < len(h) else "0")
            )
    return np.array(whole), h, checks.number("penalty", penalty, 0.0, open_low=True)


def _levels(
    law: Lattice, L: IntArray, h: Array, p: float, *, between: bool
) -> tuple[Array, float, float, tuple[Array, ...], tuple[Array, ...]]:
    """Run the recursion; seek minima between the points of the grid or at them. Fields of the result."""
    m = law.mean
    above = np.append(h[1:], 0.0)
    levels, grids, costs = [], [], []
    reach = total(law, int(L[0]) + 1)
    S = (0.0, 0.0)  # index of the minimum, and its value
    low = reach.low  # C[0] belongs to y = step * low; below it C_k is linear
    y = reach.points
    C = h[0] * (y - (L[0] + 1) * m) + (h[0] + p) * expected_short(reach) - above[0] * y
    for k in range(len(L)):
        if k:
            D = total(law, int(L[k]))
            C = expected_after(D, C, S, slope=-(p + h[k]) * law.step)
            low += D.low
            y = law.step * np.arange(low, low + len(C), dtype=np.float64)
            C += h[k] * (y - L[k] * m) - above[k] * y
        S = vertex(C) if between else (float(np.argmin(C)), float(C.min()))
        levels.append(law.step * (low + S[0]))
        grids.append(y)
        costs.append(C)
    return np.array(levels), S[1], 0.0, tuple(grids), tuple(costs)


def expected_after(D: Lattice, C: Array, best: tuple[float, float], slope: float) -> Array:
    """E F(y - D) from the first y at which it is not linear on: F is C up to its minimum, flat from there on.

    `slope` is that of C below its first entry, per step. What F lacks to its minimum is convolved: it is 0
    from there on, so that beyond the last y the expectation is constant.
    """
    S, least = best
    lack = np.where(np.arange(len(C)) < S, C - least, 0.0)
    n = len(D.p)
    below = C[0] - least + slope * np.arange(-(n - 1), 0)
    result: Array = convolve(np.concatenate([below, lack]), D.p)[n - 1 : n - 1 + len(C) + n - 1] + least
    return result
