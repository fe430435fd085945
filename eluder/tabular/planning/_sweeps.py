"""What the planners share: the memory layouts of a kernel, the Bellman sweep, and the certificate.

A sweep computes ``Q = r + gamma P V``, ``TV = max_a Q`` and the extremes of ``d = TV - V``. From these alone
(MacQueen 1966; Porteus 1971) ::

    TV + gamma/(1-gamma) min d  <=  V*  <=  TV + gamma/(1-gamma) max d,

so the midpoint of the two bounds is at most ``gamma/(1-gamma) (max d - min d)/2`` away from V*. The
certificate below is that number with what rounding, and rows that sum to 1 only nearly, can add to it.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from eluder.core import checks
from eluder.core.kernels import dot, kernel
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array, IntArray

MAX_UNROLL = 16  # longest rows for which a kernel is compiled with its own row length
EPS = float(np.finfo(np.float64).eps)


class Rows(NamedTuple):
    """Rows of a kernel, each with its successors; dense rows have no `succ`.

    `unroll` is a tuple of length b if each row has b entries, so that the compiler knows b: row i lies at
    ``b * i : b * (i + 1)``, sparse rows of other lengths at ``indptr[i]:indptr[i + 1]``, and dense ones at
    ``S * i : S * (i + 1)``.
    """

    indptr: IntArray
    succ: Any  # uint32: half the traffic of int64, and no test for negative indices
    prob: Array
    unroll: tuple[int, ...]


class Certificate(NamedTuple):
    """V* is within `gap` of ``TV + shift``; `floor` is the part of it that more sweeps cannot remove."""

    shift: float
    gap: float
    floor: float
    span: float


class Bellman(NamedTuple):
    """A discounted problem laid out for sweeps, with the arrays that a sweep fills."""

    rows: Rows
    r: Array
    gamma: float
    error: float
    Q: Array
    TV: Array
    pi: IntArray


def bellman(mdp: DiscountedMDP, gamma: float | None = None, *, sparse: bool = False) -> Bellman:
    """Lay out `mdp`; with `sparse` also a dense kernel, for algorithms that visit single states."""
    S, A = mdp.r.shape
    dense = sparse and not scipy.sparse.issparse(mdp.P)
    rows = layout(scipy.sparse.csr_array(mdp.P.reshape(S * A, S)) if dense else mdp.P)
    r = mdp.r if mdp.mask.all() else np.where(mdp.mask, mdp.r, -np.inf)  # no sweep chooses -inf
    gamma = mdp.gamma if gamma is None else gamma
    return Bellman(rows, r, gamma, row_error(rows, S), np.empty((S, A)), np.empty(S), np.empty(S, np.int64))


# --- layout ---


def layout(P: Any) -> Rows:
    """Lay out a kernel, (S, A, S) or sparse (S * A, S), by rows ``s * A + a``; without a copy if possible."""
    if isinstance(P, np.ndarray):
        return Rows(np.zeros(1, np.int64), np.empty(0, np.uint32), P.reshape(-1), ())
    length = np.diff(P.indptr)
    b = int(length.max())
    succ = P.indices.astype(np.uint32, copy=False) if P.indices.itemsize > 4 else P.indices.view(np.uint32)
    if b > MAX_UNROLL or b * length.size > 2 * P.nnz:
        return Rows(P.indptr.astype(np.int64), succ, P.data, ())
    if P.nnz == b * length.size:
        return Rows(np.zeros(1, np.int64), succ, P.data, (0,) * b)
    succ, prob = _pad(P.indptr.astype(np.int64), succ, P.data, b)
    return Rows(np.zeros(1, np.int64), succ, prob, (0,) * b)


@kernel
def _pad(indptr: IntArray, succ: Any, prob: Array, b: int) -> tuple[Any, Array]:
    """Return rows of equal length b; unused slots repeat the first successor with probability 0."""
    n = indptr.size - 1
    succ_b = np.empty(n * b, np.uint32)
    prob_b = np.zeros(n * b)
    for i in range(n):
        start = indptr[i]
        m = indptr[i + 1] - start
        for j in range(b):
            if j < m:
                prob_b[i * b + j] = prob[start + j]
                succ_b[i * b + j] = succ[start + j]
            else:
                succ_b[i * b + j] = succ[start]
    return succ_b, prob_b


def compact(rows: Rows, pi: IntArray, A: int) -> Rows:
    """Copy the rows that a deterministic policy uses, so that its sweeps read memory in order."""
    chosen = np.arange(pi.size) * A + pi
    if rows.succ.size == 0:
        return rows._replace(prob=rows.prob.reshape(-1, pi.size)[chosen].reshape(-1))
    return Rows(*_compact(rows, chosen), rows.unroll)


@kernel
def _compact(rows: Rows, chosen: IntArray) -> tuple[IntArray, Any, Array]:
    """Return indptr, succ and prob of the chosen rows."""
    b = len(rows.unroll)
    n = chosen.size
    if b > 0:
        succ = np.empty(n * b, np.uint32)
        prob = np.empty(n * b)
        for i in range(n):
            start = chosen[i] * b
            for j in range(len(rows.unroll)):
                succ[i * b + j] = rows.succ[start + j]
                prob[i * b + j] = rows.prob[start + j]
        return rows.indptr, succ, prob
    indptr = np.zeros(n + 1, np.int64)
    for i in range(n):
        indptr[i + 1] = indptr[i] + rows.indptr[chosen[i] + 1] - rows.indptr[chosen[i]]
    succ = np.empty(indptr[n], np.uint32)
    prob = np.empty(indptr[n])
    for i in range(n):
        start = rows.indptr[chosen[i]]
        for j in range(indptr[i + 1] - indptr[i]):
            succ[indptr[i] + j] = rows.succ[start + j]
            prob[indptr[i] + j] = rows.prob[start + j]
    return indptr, succ, prob


# --- sweeps ---


@kernel
def expectation(rows: Rows, i: int, V: Array) -> float:
    """Return ``sum_s' P[i, s'] V[s']`` of row i."""
    total = 0.0
    b = len(rows.unroll)
    if b > 0:
        start = i * b
        for j in range(len(rows.unroll)):
            total += rows.prob[start + j] * V[rows.succ[start + j]]
    elif rows.succ.size == 0:
        total = dot(rows.prob[i * V.size : (i + 1) * V.size], V)
    else:
        # With signed bounds the compiler keeps a test for negative indices in the loop.
        for j in range(np.uint64(rows.indptr[i]), np.uint64(rows.indptr[i + 1])):
            total += rows.prob[j] * V[rows.succ[j]]
    return total


def sweep(b: Bellman, V: Array) -> tuple[float, float]:
    """Fill ``b.Q`` (S, A), ``b.TV`` (S,) and the greedy ``b.pi`` (S,); return min and max of ``TV - V``."""
    return _sweep(b.rows, b.r, b.gamma, V, b.Q, b.TV, b.pi)


def improve(b: Bellman, V: Array) -> Certificate:
    """Sweep once and certify ``TV + shift``."""
    return certificate(b.gamma, *sweep(b, V), b.error, float(np.abs(V).max()))


@kernel
def _sweep(
    rows: Rows, r: Array, gamma: float, V: Array, Q: Array, TV: Array, pi: IntArray
) -> tuple[float, float]:
    """Fill `Q`, `TV` and `pi` in place."""
    S, A = r.shape
    low = np.inf
    high = -np.inf
    for s in range(S):
        best = -np.inf
        arg = 0
        for a in range(A):
            q = r[s, a] + gamma * expectation(rows, s * A + a, V)
            Q[s, a] = q
            if q > best:
                best = q
                arg = a
        TV[s] = best
        pi[s] = arg
        low = min(low, best - V[s])
        high = max(high, best - V[s])
    return low, high


def evaluate(rows: Rows, r: Array, gamma: float, V: Array, sweeps: int, target: float) -> int:
    """Replace `V` by ``r + gamma P V`` up to `sweeps` times, until it moves by a span of at most `target`."""
    return _evaluate(rows, r, gamma, V, np.empty_like(V), sweeps, target)


@kernel
def _evaluate(rows: Rows, r: Array, gamma: float, V: Array, W: Array, sweeps: int, target: float) -> int:
    """Sweep in place, with `W` as work space."""
    S = r.size
    for k in range(sweeps):
        low = np.inf
        high = -np.inf
        for s in range(S):
            W[s] = r[s] + gamma * expectation(rows, s, V)
            low = min(low, W[s] - V[s])
            high = max(high, W[s] - V[s])
        for s in range(S):
            V[s] = W[s]
        if high - low <= target:
            return k + 1
    return sweeps


# --- certificate ---


def row_error(rows: Rows, S: int) -> float:
    """Return how far a row may be from summing to 1, rounding of its dot products included."""
    if rows.succ.size == 0:
        return float(np.abs(rows.prob.reshape(-1, S) @ np.ones(S) - 1).max() + EPS / 2 * (S + 2))
    start = np.arange(0, rows.prob.size + 1, len(rows.unroll)) if rows.unroll else rows.indptr
    return float(_row_error(rows.prob, start) + EPS / 2 * (np.diff(start).max() + 2))


@kernel
def _row_error(prob: Array, start: IntArray) -> float:
    """Return the largest distance of a row's sum from 1."""
    worst = 0.0
    for i in range(start.size - 1):
        total = 0.0
        for j in range(np.uint64(start[i]), np.uint64(start[i + 1])):
            total += prob[j]
        worst = max(worst, abs(total - 1.0))
    return worst


def certificate(gamma: float, low: float, high: float, error: float, size: float) -> Certificate:
    """Turn ``low <= TV - V <= high`` into a bound on the distance of ``TV + shift`` from V*.

    `error` is that of `row_error`, `size` the largest abs of V. With c = (low + high)/2/(1-gamma) and
    W = V + c one has ``|TW - W| <= (high - low)/2 + gamma error |c| + error size``, the last for rounding.
    """
    span = high - low
    c = 0.5 * (low + high) / (1.0 - gamma)
    up = gamma * (1.0 + error)
    if up >= 1.0:
        return Certificate(gamma * c, np.inf, np.inf, span)
    noise = error * (2.0 * abs(c) + size)
    floor = noise / (1.0 - up)
    return Certificate(gamma * c, up / (1.0 - up) * 0.5 * span + floor, floor, span)


def advance(b: Bellman, V: Array, cert: Certificate) -> Array:
    """Replace `V` by TV; return by how much each state changed.

    Where all states change by much the same, what is left of that constant is added (to `V`) or left out (of
    the changes): no sweep would remove it faster than by gamma. The span of the next residual is not altered.
    """
    d = b.TV - V
    V[:] = b.TV
    if cert.span < 0.9 * np.abs(d).max():
        V += cert.shift
        d -= 0.5 * (d.min() + d.max())
    return np.abs(d, out=d)


def enough(cert: Certificate, tol: float) -> bool:
    """Tell whether to stop: `tol` is reached, or rounding forbids to."""
    return cert.gap <= max(tol, 2.0 * cert.floor)


def finish(b: Bellman, cert: Certificate, num_iter: int, text: str) -> PlanResult:
    """Return the last sweep with its certificate and status."""
    return PlanResult(b.TV + cert.shift, b.Q + cert.shift, b.pi, num_iter, cert.gap, text)


def status(cert: Certificate, tol: float, num_iter: int, advice: str) -> str:
    """Return "converged", or a text that says what to try, with a warning."""
    if cert.gap <= tol:
        return "converged"
    if cert.gap <= 4.0 * cert.floor:
        text = f"stopped at gap {cert.gap:.3g}: double precision allows no more here; ask for a larger tol"
    else:
        text = f"not converged: gap {cert.gap:.3g} > tol {tol:.3g} after {num_iter} iterations; {advice}"
    warnings.warn(text, RuntimeWarning, stacklevel=4)
    return text


# --- arguments ---


def check_discounted(mdp: DiscountedMDP, tol: float, max_iter: int) -> tuple[float, int]:
    """Check what all planners for discounted problems check."""
    check_kind(mdp)
    if mdp.gamma >= 1.0:
        raise ValueError("gamma must be below 1; for the average reward use relative_value_iteration")
    return checks.number("tol", tol, 0.0, open_low=True), checks.integer("max_iter", max_iter)


def check_kind(mdp: DiscountedMDP) -> None:
    """Refuse anything that has no infinite horizon."""
    if not isinstance(mdp, DiscountedMDP):
        raise ValueError(f"mdp must be a DiscountedMDP, got {type(mdp).__name__}")
