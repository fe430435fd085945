r"""Exact long-run cost of any stationary policy of one store, by the Markov chain of the states it visits.

In our names, from the state `start` (empty at first), with q = policy(x)::

    list the states reached:  x = (x_0, ..., x_{L-1}) -> ((x_0 - D)^+ + x_1, x_2, ..., x_{L-1}, q)
    (L = 1: (x_0 - D)^+ + q; backlog: x_0 - D, which may be negative)
    c(x_0) = h E (x_0 - D)^+ + p E (D - x_0)^+
    for each closed class:  d = c + P V - V,  V <- V + x d  until max d - min d <= 2 tol
                            m <- m + x (m P - m)            until |m P - m|_1 <= tol
                            every 200th time: solve for the whole difference, by BiCGSTAB (van der Vorst 1992)
    return cost = sum over classes, weighted by the probability to end there

Guarantee: min d <= cost <= max d in each closed class at any V, so the cost is certified; with x < 1, or
where a state may follow itself, nothing is periodic. Classes of at most `DIRECT` states begin with V and m of
a sparse LU, others with zeros and equal shares; what the Krylov method brings is taken if it is nearer.

Deviations: none; this is the textbook's evaluation (Puterman 1994, sections 8.2 and A.4).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray
from eluder.envs.inventory._demand import IntegerDemand
from eluder.envs.inventory._lost_sales import at_least, integer_law

__all__ = ["StoreCost", "evaluate_store", "store_policy_cost"]

sparse: Any = scipy.sparse  # its stubs refuse arrays of unknown format

CHUNK = 2**15  # states asked of the policy at once
DIRECT = 1500  # states up to which a class is solved by LU
EDGES = 2**27  # transitions a chain may have
FARTHEST = 10_000  # periods from the first state within which all others must be reached
SWEEPS = 20_000
PATIENCE = 200  # sweeps after which a Krylov method tries instead
KRYLOV = 1000  # its largest number of steps
LARGEST = 2**31  # a single order


@dataclass(frozen=True, slots=True, eq=False)
class StoreCost:
    """What a stationary policy of a store costs in the long run.

    Attributes
    ----------
    cost : float
        Average cost per period, the middle of `lower` and `upper`.
    lower, upper : float
        Certified bounds of it.
    fill_rate : float
        Share of demand served at once from stock.
    on_hand : float
        Mean stock at the end of a period, units.
    short : float
        Mean demand lost in a period (units), or backordered at its end.
    ordered : float
        Mean order, units per period.
    states : ndarray of int, shape (N, L)
        The states reached from the start, on hand first.
    orders : ndarray of int, shape (N,)
        The policy's orders there.
    stationary : ndarray, shape (N,)
        Long-run share of periods in each state; 0 where the chain does not stay.
    classes : int
        Closed classes the chain can end in.
    status : str
        "converged", or what happened and what to try.
    """

    cost: float
    lower: float
    upper: float
    fill_rate: float
    on_hand: float
    short: float
    ordered: float
    states: IntArray
    orders: IntArray
    stationary: Array
    classes: int
    status: str


def evaluate_store(
    policy: Callable[[IntArray], ArrayLike],
    demand: IntegerDemand,
    *,
    lead_time: int,
    penalty: float,
    holding: float = 1.0,
    lost: bool = True,
    start: ArrayLike | None = None,
    max_states: int = 1_000_000,
    tail: float = 1e-15,
    tol: float = 1e-10,
) -> StoreCost:
    """Compute the exact long-run cost of a stationary policy of one store.

    Parameters
    ----------
    policy : callable
        Maps states, integers of shape (N, L), to orders (N,): whole numbers, not negative. Column 0 is on
        hand after this period's arrivals, column k arrives in k periods. It is called with many states.
    demand : IntegerDemand
        Law of the demand of a period.
    lead_time : int
        L, periods from an order to its arrival, at least 1.
    penalty : float
        Cost per unit lost, or backordered at the end of a period; not negative.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, not negative.
    lost : bool, default=True
        Whether demand that is not met is lost; otherwise it waits, and the on-hand entry may be negative.
    start : array_like of int, shape (L,), optional
        First state, by default all zeros. It matters if the policy can end in several classes of states.
    max_states : int, default=1_000_000
        Largest number of states.
    tail : float, default=1e-15
        Probability left out of `demand`. Matters for backlogs, whose states grow with the largest demand.
    tol : float, default=1e-10
        Accuracy of the cost, and of the stationary distribution in the sum of its residuals.

    Returns
    -------
    StoreCost
        Cost with certified bounds, fill rate, mean stock, and the chain: states, orders, stationary shares.

    Raises
    ------
    ValueError
        If an argument is out of range, the policy returns something else than N orders, or it reaches more
        than `max_states` states or 2^27 transitions, or new ones after 10,000 periods (stock without end).

    Warns
    -----
    RuntimeWarning
        If 20,000 sweeps did not reach `tol`, or fewer came as near as rounding lets them; `status` says so
        too.

    Notes
    -----
    O(d) time per state to list the chain, d the number of demands; O(N d) per sweep; 12 bytes a transition.

    References
    ----------
    .. [1] Puterman. Markov Decision Processes. Wiley 1994.

    Examples
    --------
    >>> from eluder.envs.inventory import BaseStock, Poisson
    >>> done = evaluate_store(BaseStock(12), Poisson(5.0), lead_time=1, penalty=4.0)
    >>> round(done.cost, 6), round(done.fill_rate, 3), len(done.states)
    (4.162803, 0.928, 13)
    """
    return _evaluate(policy, demand, lead_time, penalty, holding, lost, start, max_states, tail, tol)


def store_policy_cost(
    policy: Callable[[IntArray], ArrayLike],
    demand: IntegerDemand,
    *,
    lead_time: int,
    penalty: float,
    holding: float = 1.0,
    lost: bool = True,
) -> float:
    """Return the exact long-run cost per period of a stationary policy of one store.

    Parameters
    ----------
    policy : callable
        Maps states, integers of shape (N, L), to orders (N,): whole numbers, not negative. Column 0 is on
        hand after this period's arrivals, column k arrives in k periods.
    demand : IntegerDemand
        Law of the demand of a period.
    lead_time : int
        L, periods from an order to its arrival, at least 1.
    penalty : float
        Cost per unit lost, or backordered at the end of a period; not negative.
    holding : float, default=1.0
        Cost per unit on hand at the end of a period, not negative.
    lost : bool, default=True
        Whether demand that is not met is lost; otherwise it waits.

    Returns
    -------
    float
        Cost per period from an empty store on; `evaluate_store` gives bounds, the fill rate and the chain.

    Raises
    ------
    ValueError
        If an argument is out of range, the policy returns something else than N orders, or it reaches more
        than a million states, or new ones after 10,000 periods.

    References
    ----------
    .. [1] Puterman. Markov Decision Processes. Wiley 1994.

    Examples
    --------
    >>> from eluder.envs.inventory import Poisson
    >>> nothing = store_policy_cost(lambda x: 0 * x[:, 0], Poisson(5.0), lead_time=3, penalty=4.0)
    >>> round(nothing, 9)
    20.0
    """
    return _evaluate(policy, demand, lead_time, penalty, holding, lost, shares=False).cost


def _evaluate(
    policy: Callable[[IntArray], ArrayLike],
    demand: IntegerDemand,
    lead_time: int,
    penalty: float,
    holding: float,
    lost: bool,
    start: ArrayLike | None = None,
    max_states: int = 1_000_000,
    tail: float = 1e-15,
    tol: float = 1e-10,
    shares: bool = True,
) -> StoreCost:
    """Check, list the chain, and solve it; without `shares` the stationary distribution is not refined."""
    L = checks.integer("lead_time", lead_time)
    penalty = checks.number("penalty", penalty, 0.0)
    holding = checks.number("holding", holding, 0.0)
    tail = checks.number("tail", tail, 0.0, 0.5, open_low=True)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    max_states = checks.integer("max_states", max_states)
    if not callable(policy):
        raise ValueError(f"policy must be callable, states (N, {L}) -> orders (N,), got {policy!r}")
    p = integer_law(demand, tail)
    first = checks.finite("start", np.zeros(L) if start is None else start, (L,))
    if (first != np.round(first)).any() or first[not lost :].min(initial=0) < 0:
        raise ValueError(f"start must hold whole units, not negative, got {first.tolist()}")

    states, orders, P = _reach(policy, p, first.astype(np.int64), bool(lost), max_states)
    left, short = _ends(p, states[:, 0])
    m, low, high, classes, stopped = _long_run(P, holding * left + penalty * short, tol, shares)
    text = "converged"
    if stopped:
        text = f"stopped after {stopped:,} sweeps between {low:.12g} and {high:.12g}: raise tol"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    missed = _ends(p, np.maximum(states[:, 0], 0))[1]
    mean = float(p @ np.arange(len(p)))
    fill = 1 - float(m @ missed) / mean
    return StoreCost(
        0.5 * (low + high), low, high, fill, float(m @ left), float(m @ short), float(m @ orders),
        states, orders, m, classes, text,
    )  # fmt: skip


def _ends(p: Array, x: IntArray) -> tuple[Array, Array]:
    """E (x - D)^+ and E (D - x)^+."""
    most = max(int(x.max()), 0)
    below = np.zeros(most + 1)
    np.cumsum(np.cumsum(np.pad(p, (0, max(0, most - len(p)))))[:most], out=below[1:])
    left = np.where(x > 0, below[np.maximum(x, 0)], 0.0)
    return left, p @ np.arange(len(p)) - x + left


def _asked(policy: Callable[[IntArray], ArrayLike], x: IntArray) -> IntArray:
    """Orders of the policy, checked."""
    q = np.asarray(policy(x.copy()))
    if q.shape != (len(x),):
        raise ValueError(f"policy must return orders of shape ({len(x)},), got {q.shape}")
    whole = (q >= 0) & (q < LARGEST) & (q == np.round(q))
    if not whole.all():
        i = int(np.argmin(whole))
        raise ValueError(
            f"policy orders {q[i]} in state {x[i].tolist()}, that is not a whole number in [0, 2^31)"
        )
    return q.astype(np.int64)


def _reach(
    policy: Callable[[IntArray], ArrayLike], p: Array, start: IntArray, lost: bool, max_states: int
) -> tuple[IntArray, IntArray, Any]:
    """List the states reached, the orders there, and the chain."""
    states, table = first_state(start)
    known = 1
    done = edges = periods = level = 0  # states below `level` are reached in fewer than `periods`
    orders, ends, columns, weights = [], [np.zeros(1, dtype=np.int64)], [], []
    while done < known:
        if done >= level:
            periods, level = periods + 1, known
        last = min(known, done + CHUNK)
        x = states[done:last]
        q = _asked(policy, x)
        size = int((np.minimum(x[:, 0], len(p) - 1) + 1 if lost else np.full(len(x), len(p))).sum())
        states, table = make_room(states, table, known, size)
        tails = at_least(p, int(x[:, 0].max()) if lost else 0)
        column: NDArray[Any] = np.empty(size, dtype=np.int32)
        weight = np.empty(size)
        end = np.empty(last - done, dtype=np.int64)
        known = _expand(states, known, done, last, q, p, tails, lost, table, column, weight, end)
        orders.append(q)
        ends.append(end + edges)
        columns.append(column[: end[-1]])
        weights.append(weight[: end[-1]])
        edges += int(end[-1])
        done = last
        if known > max_states or edges > EDGES:
            many = f"{max_states:,} states" if known > max_states else f"{EDGES:,} transitions"
            raise ValueError(
                f"policy reaches more than {many}, the last {states[known - 1].tolist()}: it orders too much "
                "for ever, or max_states or tail must be larger"
            )
        if periods > FARTHEST and done < known:
            raise ValueError(
                f"policy reaches new states after {FARTHEST:,} periods, the last "
                f"{states[known - 1].tolist()}: it orders too much for ever, or starts too far off"
            )
    pieces = np.concatenate(weights), np.concatenate(columns), np.concatenate(ends)
    return states[:known].copy(), np.concatenate(orders), sparse.csr_array(pieces, shape=(known, known))


def first_state(start: IntArray) -> tuple[IntArray, IntArray]:
    """Room for states, the first of them `start`, and a hash table of their numbers."""
    states, table = np.zeros((1024, len(start)), dtype=np.int64), np.full(4096, -1, dtype=np.int64)
    states[0] = start
    insert(states, 0, table)
    return states, table


def make_room(states: IntArray, table: IntArray, known: int, size: int) -> tuple[IntArray, IntArray]:
    """Room for `size` states more than are known."""
    if known + size > len(states):
        more = np.zeros((max(size, len(states)), states.shape[1]), dtype=np.int64)
        states = np.concatenate([states, more])
    if 2 * (known + size) > len(table):
        table = np.full(1 << int(4 * (known + size)).bit_length(), -1, dtype=np.int64)
        _insert_all(states, known, table)
    return states, table


def _long_run(P: Any, c: Array, tol: float, shares: bool) -> tuple[Array, float, float, int, int]:
    """Stationary shares from state 0, bounds of the cost, number of closed classes; sweeps, if stopped."""
    from scipy.sparse.csgraph import connected_components

    n = len(c)
    count, label = connected_components(P, directed=True, connection="strong")
    rows = np.repeat(np.arange(n), np.diff(P.indptr))
    closed = np.ones(count, dtype=bool)
    closed[label[rows[label[rows] != label[P.indices]]]] = False
    classes = np.flatnonzero(closed)
    if len(classes) == 1:
        ends = np.ones(1)
    else:  # state 0 is transient, or nothing else would be reached
        passing = np.flatnonzero(~closed[label])
        inner = P[passing][:, passing]
        visits = _solver(sparse.eye_array(len(passing)) - inner).solve(np.eye(1, len(passing))[0], trans="T")
        outflow = P[passing].T @ visits
        ends = np.array([outflow[label == k].sum() for k in classes])
        ends /= ends.sum()
    m = np.zeros(n)
    low = high = 0.0
    stopped = 0
    for k, weight in zip(classes, ends, strict=True):
        inside = np.flatnonzero(label == k)
        here = P[inside][:, inside] if len(inside) < n else P
        share, at_least_, at_most, sweeps = _stationary(here, c[inside], tol, shares)
        m[inside] = weight * share
        low, high, stopped = low + weight * at_least_, high + weight * at_most, max(stopped, sweeps)
    return m, float(low), float(high), len(classes), stopped


def _solver(A: Any) -> Any:
    from scipy.sparse.linalg import splu

    return splu(sparse.csc_array(A))


def _stationary(P: Any, c: Array, tol: float, shares: bool) -> tuple[Array, float, float, int]:
    """Stationary distribution of one closed class, bounds of its mean cost; sweeps, if these stopped."""
    n = len(c)
    V, m = np.zeros(n), np.full(n, 1 / n)
    if n <= DIRECT:
        # unknowns: the cost in place of V[0] = 0
        lu = _solver(sparse.hstack([np.ones((n, 1)), (sparse.eye_array(n) - P).tocsc()[:, 1:]]))
        V = lu.solve(c)
        V[0] = 0.0
        m = np.maximum(lu.solve(np.eye(1, n)[0], trans="T"), 0.0)
        m /= m.sum()
    step = 1.0 if P.diagonal().any() else 0.9

    # cost
    for k in range(1, SWEEPS + 1):
        d = c + P @ V - V
        low, high, rounding = _bounds(d, V)
        if high - low <= 2 * tol or (k % PATIENCE == 0 and high - low <= 4 * rounding):
            break
        V += d * step if k % PATIENCE else _poisson(P, d)
        V -= V[0]
    stopped = 0 if high - low <= 2 * tol else k
    if not shares:
        return m, low, high, stopped

    # shares
    PT = P.T.tocsr()
    for k in range(1, SWEEPS + 1):
        d = PT @ m - m
        if np.abs(d).sum() <= tol:
            break
        m += d * step if k % PATIENCE else _balance(PT, d)
        m = np.maximum(m, 0.0)
        m /= m.sum()
    return m, low, high, stopped if np.abs(d).sum() <= tol else k


def _poisson(P: Any, d: Array) -> Array:
    """Solve ``v - P v + g = d``, v[0] = 0, for v as far as a Krylov method comes; g is what V leaves of the
    cost."""

    def apply(v: Array) -> Array:
        w = np.append(0.0, v[1:])
        out: Array = w - P @ w + v[0]
        return out

    return np.append(0.0, _krylov(apply, d - d.mean(), np.ptp)[1:])


def _balance(PT: Any, d: Array) -> Array:
    """Solve ``m - m P = d`` for m of sum 0 as far as a Krylov method comes."""
    return _krylov(lambda m: m - PT @ m + m.sum() / len(m), d, lambda r: np.abs(r).sum())


def _krylov(apply: Callable[[Array], Array], b: Array, size: Callable[[Array], Any]) -> Array:
    """Solve ``apply(x) = b``, or return 0 if what is left is not smaller: the sweeps go on from there."""
    from scipy.sparse.linalg import LinearOperator, bicgstab

    n = len(b)
    x, _ = bicgstab(LinearOperator((n, n), apply, dtype=float), b, rtol=1e-12, maxiter=KRYLOV)
    better = bool(size(b - apply(x)) < size(b))
    step: Array = x if better else np.zeros(n)
    return step


def lindley_mean(p: Array, r: int) -> float:
    """Mean of ``W = (W + r - D)^+`` in the long run, r < E D; on 0..B, B doubled until it is not reached."""
    B = 2 * (len(p) + r)
    while True:
        w = np.arange(B + 1)
        to = np.clip(w[:, None] + r - np.arange(len(p)), 0, B)
        rows = np.repeat(w, len(p))
        P = sparse.coo_array((np.tile(p, B + 1), (rows, to.ravel())), (B + 1, B + 1)).tocsr()
        A = sparse.hstack([np.ones((B + 1, 1)), (sparse.eye_array(B + 1) - P).tocsc()[:, 1:]])
        m = _solver(A).solve(np.eye(1, B + 1)[0], trans="T")
        if m[-r - 1 :].sum() < 1e-13:
            return float(m @ w)
        if B > 2**16:
            raise ValueError(f"an order of {r} is too near the mean demand for its cost to be computed")
        B *= 2


def _bounds(d: Array, V: Array) -> tuple[float, float, float]:
    """Least and greatest of d, with room for rounding, and this room."""
    rounding = 1e-15 * float(np.abs(V).max())
    return float(d.min()) - rounding, float(d.max()) + rounding, rounding


@kernel
def insert(states: IntArray, known: int, table: IntArray) -> int:
    """Number of row `known` of `states`, which is entered in `table` if it is new."""
    h = 17
    for v in states[known]:
        h = (h * 1_000_003 + v) % 2_147_483_647
    slot = ((h * 2_654_435_761) >> 20) % table.size
    while table[slot] >= 0:
        same = True
        for k in range(states.shape[1]):
            if states[table[slot], k] != states[known, k]:
                same = False
                break
        if same:
            return int(table[slot])
        slot = (slot + 1) % table.size
    table[slot] = known
    return known


@kernel
def _insert_all(states: IntArray, known: int, table: IntArray) -> None:
    """Enter the first `known` states in an empty `table`."""
    for i in range(known):
        insert(states, i, table)


@kernel
def _expand(
    states: IntArray,
    known: int,
    first: int,
    last: int,
    orders: IntArray,
    p: Array,
    tails: Array,
    lost: bool,
    table: IntArray,
    column: NDArray[Any],
    weight: Array,
    end: IntArray,
) -> int:
    """Append successors of states first .. last - 1; fills column, weight, end; returns the number known."""
    L = states.shape[1]
    n = 0
    for i in range(first, last):
        x = states[i, 0]
        for d in range(min(x, p.size - 1) + 1 if lost else p.size):
            w = tails[x] if lost and d == x else p[d]
            if w > 0.0:
                for k in range(1, L):
                    states[known, k - 1] = states[i, k]
                states[known, L - 1] = orders[i - first]
                states[known, 0] += x - d
                j = insert(states, known, table)
                known = max(known, j + 1)
                column[n] = j
                weight[n] = w
                n += 1
        end[i - first] = n
    return known
