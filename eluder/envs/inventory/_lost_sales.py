r"""The optimum of a store with lost sales and a lead time (Karlin and Scarf 1958; Morton 1969; Zipkin 2008).

On hand x_0, orders under way x_1 .. x_{L-1}; the order q of this period is on hand L periods later. Relative
value iteration, in our names, with x = `STEP` and k = `SWEEPS`::

    c(x_0) = h E (x_0 - D)^+ + p E (D - x_0)^+
    T_q V(x) = c(x_0) + E V((x_0 - D)^+ + x_1, x_2, ..., x_{L-1}, q)                  # L = 1: (x_0 - D)^+ + q
    V <- 0
    repeat
        TV <- min_q T_q V, pi <- argmin;  d <- TV - V
        stop if (max d - min d) / 2 <= tol
        V <- V + x d
        k times: V <- V + x (T_pi V - V)                                        # modified policy iteration
    return gain = (min d + max d) / 2

Guarantee: min d <= g* <= max d at any V, over the states and orders that are looked at (Odoni 1969). These
are those within Morton's bounds: an order q keeps the last j orders, itself among them, at

    x_{L-j+1} + ... + x_{L-1} + q <= s_j = min{s : P(D_1 + ... + D_j > s) <= h / (h + p)},  j = 1 .. L + 1,

(j = L + 1 counts x_0 too), or is 0. Why they lose nothing, by induction on the horizon: let A order q + 1
where q reaches a bound; let B order q, one unit more than A in the next period, and as A does from then on.
L periods later B has one unit less on hand. If the demand of the j periods is at most q and what was counted
with it, B does not run out: it saves h and is then where A is. Otherwise it pays p, and then has one unit
more than A, worth V(y + e_0) - V(y) where all of y was ordered after A's order, hence within the bounds. So
if these differences are at most `slope`, the bounds with h / (h + p + slope) hold. `slope` is 0 at first; the
largest difference of the V found is computed, and if it is above `slope` the bounds are widened and all is
done again. (Values of finite horizons have V's differences in the limit; that the limit is not exceeded on
the way is seen in the tests' instances and not proved.)

Deviations from the papers: no procurement cost, no discount; k sweeps of the last policy lie between two
sweeps over all orders; the bounds carry the names of the papers from memory and are derived as above.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from eluder.core import checks
from eluder.core.kernels import dot, kernel
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import IntegerDemand
from eluder.envs.inventory._store_states import StoreStates, cells, fronts, order_levels, store_states

__all__ = ["LostSalesPlan", "lost_sales_optimum", "lost_sales_plan"]

STEP = 0.95  # part of a sweep that is taken; below 1, so that no chain is periodic
SWEEPS = 25  # of the last policy between two sweeps over all orders


@dataclass(frozen=True, slots=True, eq=False)
class LostSalesPlan:
    """The optimal policy of a store with lost sales.

    Attributes
    ----------
    gain : float
        Long-run average cost per period, the middle of `lower` and `upper`.
    lower, upper : float
        Certified bounds of the optimal cost; the policy's own cost is at most `upper`.
    V : ndarray, shape (N,)
        Relative values of the states; ``V[0] = 0`` at the empty store.
    orders : ndarray of int, shape (N,)
        Optimal order of each state.
    levels : ndarray of int, shape (L + 2,)
        Bounds of the states and orders: ``levels[j]`` on any j consecutive orders, ``levels[L + 1]`` on the
        inventory position.
    slope : float
        Allowance with which the bounds were made; 0 are Morton's own.
    num_iter : int
        Sweeps over all orders.
    status : str
        "converged", or what happened and what to try.
    """

    gain: float
    lower: float
    upper: float
    V: Array
    orders: IntArray
    levels: IntArray
    slope: float
    num_iter: int
    status: str
    _states: StoreStates

    @property
    def gap(self) -> float:
        """Largest error of `gain`."""
        return 0.5 * (self.upper - self.lower)

    @property
    def states(self) -> IntArray:
        """The states in the order of `V`, shape (N, L): on hand, then orders under way, the next first."""
        s = self._states
        row = np.repeat(np.arange(len(s.room)), s.room + 1)
        on_hand = np.arange(s.offset[-1]) - s.offset[row]
        return np.column_stack([on_hand, s.pipelines[row]])

    def __call__(self, states: Array) -> IntArray:
        """Order optimally in `states` (..., L); refuse states that are not listed."""
        x = np.asarray(states)
        L = len(self.levels) - 2
        if x.ndim < 1 or x.shape[-1] != L:
            raise ValueError(f"states must have shape (..., {L}), got {x.shape}")
        flat = x.reshape(-1, L).astype(np.int64)
        cell, inside = cells(self._states, flat)
        inside &= (flat == x.reshape(-1, L)).all(axis=1)
        if not inside.all():
            i = int(np.argmin(inside))
            raise ValueError(f"states[{i}] is {x.reshape(-1, L)[i].tolist()}, the plan does not list it")
        orders: IntArray = self.orders[cell].reshape(x.shape[:-1])
        return orders

    def table(self, rows: int = 20) -> str:
        """Write the first `rows` pipelines as text: a line each, and the order for 0, 1, ... on hand."""
        s = self._states
        rows = min(checks.integer("rows", rows), len(s.room))
        wide = int(s.room[:rows].max()) + 1
        names = [" ".join(map(str, z)) or "-" for z in s.pipelines[:rows].tolist()]
        left = max(len("under way"), *map(len, names))
        lines = [f"{'under way':>{left}} | on hand " + " ".join(f"{i:2d}" for i in range(wide))]
        for m, name in enumerate(names):
            line = self.orders[s.offset[m] : s.offset[m + 1]]
            lines.append(f"{name:>{left}} |         " + " ".join(f"{q:2d}" for q in line))
        if rows < len(s.room):
            lines.append(f"({len(s.room) - rows:,} more)")
        return "\n".join(lines)


def lost_sales_plan(
    demand: IntegerDemand,
    *,
    lead_time: int,
    penalty: float,
    holding: float = 1.0,
    tol: float = 1e-9,
    max_iter: int = 1000,
) -> LostSalesPlan:
    """Find the optimal policy of a store with lost sales and a lead time, and certify its cost.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of a period, on 0, 1, ...
    lead_time : int
        Periods from an order to its arrival, at least 1.
    penalty : float
        Cost per unit of demand that is lost, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.
    tol : float, default=1e-9
        Accuracy of the average cost.
    max_iter : int, default=1000
        Largest number of sweeps over all orders.

    Returns
    -------
    LostSalesPlan
        Cost with certified bounds, relative values, the optimal order of each state, `table()` for people. It
        is itself a policy: called with states (..., L) it returns orders.

    Raises
    ------
    ValueError
        If an argument is out of range, demand is always zero, or there are more than 2^26 states.

    Warns
    -----
    RuntimeWarning
        If `max_iter` sweeps did not reach `tol`; `status` says so too.

    Notes
    -----
    A sweep over all orders takes O(N q d) time, N the number of states, q of orders within the bounds, d of
    demands; one of a policy O(N d). Memory O(N), about 40 bytes a state. N grows about tenfold per period
    of lead time.

    References
    ----------
    .. [1] Zipkin. Old and new methods for lost-sales inventory systems. Operations Research 56, 2008.
    .. [2] Morton. Bounds on the solution of the lagged optimal inventory equation with no demand backlogging
       and proportional costs. SIAM Review 11, 1969.
    .. [3] Karlin and Scarf. Inventory models of the Arrow-Harris-Marschak type with time lag. In Studies in
       the Mathematical Theory of Inventory and Production, Stanford 1958.

    Examples
    --------
    >>> from eluder.envs.inventory import Categorical
    >>> plan = lost_sales_plan(Categorical((0.5, 0.5)), lead_time=1, penalty=9.0)
    >>> round(plan.gain, 6), plan.orders.tolist()
    (1.0, [1, 1, 0])
    """
    p = integer_law(demand)
    L = checks.integer("lead_time", lead_time)
    penalty = checks.number("penalty", penalty, 0.0, open_low=True)
    holding = checks.number("holding", holding, 0.0, open_low=True)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    max_iter = checks.integer("max_iter", max_iter)

    slope = 0.0
    while True:
        states = store_states(order_levels(p, L, penalty, holding, slope))
        cost = period_cost(p, int(states.levels[-1]), penalty, holding)
        V, orders, low, high, n = _solve(states, p, cost, tol, max_iter)
        found = _slope(V, states.offset, fronts(states))
        if found <= slope + tol or high - low > 2 * tol:
            break
        slope = 1.1 * found

    text = "converged"
    if high - low > 2 * tol:
        text = (
            f"stopped after {n} sweeps with gap {0.5 * (high - low):.3g} > tol {tol:g}: raise max_iter or tol"
        )
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return LostSalesPlan(0.5 * (low + high), low, high, V, orders, states.levels, slope, n, text, states)


def lost_sales_optimum(
    demand: IntegerDemand, *, lead_time: int, penalty: float, holding: float = 1.0, tol: float = 1e-9
) -> float:
    """Return the least long-run average cost of a store with lost sales and a lead time.

    Parameters
    ----------
    demand : IntegerDemand
        Law of the demand of a period, on 0, 1, ...
    lead_time : int
        Periods from an order to its arrival, at least 1.
    penalty : float
        Cost per unit of demand that is lost, positive.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, positive.
    tol : float, default=1e-9
        Accuracy.

    Returns
    -------
    float
        Cost per period; `lost_sales_plan` gives its bounds and the policy too.

    Raises
    ------
    ValueError
        If an argument is out of range, demand is always zero, or there are more than 2^26 states.

    References
    ----------
    .. [1] Zipkin. Old and new methods for lost-sales inventory systems. Operations Research 56, 2008.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> round(lost_sales_optimum(Poisson(5.0), lead_time=1, penalty=4.0), 6)
    4.040711
    """
    return lost_sales_plan(demand, lead_time=lead_time, penalty=penalty, holding=holding, tol=tol).gain


def integer_law(demand: IntegerDemand, tail: float = 1e-15) -> Array:
    """Probabilities of 0, 1, ...; refuse other laws, and demand that is always zero."""
    if not isinstance(demand, IntegerDemand):
        raise ValueError(f"demand must be a law on the integers (it has mean and pmf), got {demand!r}")
    p = np.trim_zeros(demand.pmf(tail), "b")
    if len(p) < 2:
        raise ValueError("demand is always zero, it must be positive at times")
    return p


def period_cost(p: Array, most: int, penalty: float, holding: float) -> Array:
    """Expected cost of a period, ``c(x) = h E (x - D)^+ + p E (D - x)^+`` for x = 0 .. most."""
    below = np.concatenate([[0.0], np.cumsum(np.cumsum(np.pad(p, (0, max(0, most - len(p)))))[:most])])
    x = np.arange(most + 1)
    mean = p @ np.arange(len(p))
    cost: Array = holding * below + penalty * (mean - x + below)
    return cost


def at_least(p: Array, most: int) -> Array:
    """P(D >= x) for x = 0 .. most."""
    tail = np.zeros(most + 1)
    from_top = np.cumsum(p[::-1])[::-1]
    n = min(len(p), most + 1)
    tail[:n] = from_top[:n]
    return tail


def _solve(
    s: StoreStates, p: Array, cost: Array, tol: float, max_iter: int
) -> tuple[Array, IntArray, float, float, int]:
    """Modified policy iteration; the bounds are of the last sweep over all orders."""
    V = np.zeros(s.offset[-1])
    TV = np.empty_like(V)
    orders = np.empty(len(V), dtype=np.int64)
    law = (p[::-1].copy(), at_least(p, len(cost) - 1), cost)
    row = (s.offset, s.room, s.child, s.due, s.pipelines.shape[1] > 0)
    n = 0
    while True:
        # improve
        _improve(V, *row, s.most, *law, TV, orders)
        n += 1
        d = TV - V
        low, high = float(d.min()), float(d.max())
        rounding = 4e-16 * len(p) ** 0.5 * float(np.abs(TV).max())
        low, high = low - rounding, high + rounding
        if high - low <= 2 * tol or n >= max_iter:
            return TV - TV[0], orders, low, high, n
        V += STEP * d
        # evaluate
        for _ in range(SWEEPS):
            _evaluate(V, orders, *row, *law, TV)
            d = TV - V
            V += STEP * d
            V -= V[0]
            if d.max() - d.min() <= 0.1 * tol:
                break


@kernel
def _backup(V: Array, row: int, x: int, law: Array, tail: Array) -> float:
    """E V[row + (x - D)^+]."""
    K = law.size
    n = min(x, K)
    value: float = tail[x] * V[row] + dot(law[K - n :], V[row + x - n + 1 : row + x + 1])
    return value


@kernel
def _evaluate(
    V: Array,
    orders: IntArray,
    offset: IntArray,
    room: IntArray,
    child: IntArray,
    due: IntArray,
    under_way: bool,
    law: Array,
    tail: Array,
    cost: Array,
    TV: Array,
) -> None:
    """One sweep of the policy `orders`; overwrites `TV`."""
    for m in range(room.size):
        for x in range(room[m] + 1):
            q = orders[offset[m] + x]
            row = offset[child[m] + q] + due[m] if under_way else q
            TV[offset[m] + x] = cost[x] + _backup(V, row, x, law, tail)


@kernel
def _improve(
    V: Array,
    offset: IntArray,
    room: IntArray,
    child: IntArray,
    due: IntArray,
    under_way: bool,
    most: IntArray,
    law: Array,
    tail: Array,
    cost: Array,
    TV: Array,
    orders: IntArray,
) -> None:
    """One sweep over all orders, ties to the smallest; overwrites `TV` and `orders`."""
    for m in range(room.size):
        for q in range(most[m] + 1):
            row = offset[child[m] + q] + due[m] if under_way else q
            for x in range(room[m] + 1 if q == 0 else room[m] - q + 1):
                value = cost[x] + _backup(V, row, x, law, tail)
                i = offset[m] + x
                if q == 0 or value < TV[i]:
                    TV[i] = value
                    orders[i] = q


@kernel
def _slope(V: Array, offset: IntArray, front: IntArray) -> float:
    """Largest ``V(y + e_0) - V(y)`` over y whose L entries keep the bounds of consecutive orders."""
    most = 0.0
    for m in range(front.size):
        for x in range(front[m] + 1):
            most = max(most, V[offset[m] + x + 1] - V[offset[m] + x])
    return most
