r"""Prioritized sweeping: asynchronous value iteration (Moore & Atkeson, Machine Learning 1993).

Pseudo-code, in our names::

    V <- 0
    repeat
        TV <- max_a r + gamma P V;  d <- |TV - V|                                     # certificate
        stop if gamma/(1-gamma) span(TV - V)/2 <= tol
        unless the certificate has shrunk: V <- TV, moved to mean 0, and go on to the next round
        V <- TV, moved by a constant to the midpoint of its bounds if TV - V has one sign
        theta <- max(d)/10;  queue the predecessors of each state s, as below with delta = d[s]
        while the queue is not empty, and at most EVERY S times:
            take the first state s;  new <- max_a r[s, a] + gamma P[s, a] V
            delta <- |new - V[s]|;  V[s] <- new
            for each (s', a') with p = P[s', a', s] > 0:
                raise the priority of s' to gamma p delta, if that exceeds theta

Guarantee: no backup, in whatever order, moves V away from V* (Bertsekas & Tsitsiklis 1989). Sweeps alone
shrink the certificate by gamma each, constants alter no span, and backups by priority go on only while the
certificate shrinks by 0.9; so it ends.

Deviations from the paper: the model is given, not learned; the threshold falls with the residual; a full
sweep per round gives the certificate.
"""

from typing import Any

import numpy as np
import scipy.sparse

from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array, IntArray
from eluder.tabular.planning._sweeps import (
    Bellman,
    Rows,
    advance,
    bellman,
    check_discounted,
    enough,
    expectation,
    finish,
    improve,
    status,
)

__all__ = ["prioritized_sweeping"]

EVERY = 4  # at most so many backups per state between two certificates
PROGRESS = 0.9  # asynchronous backups go on only while the certificate shrinks so
THRESHOLD = 0.1  # changes below this part of the largest residual wait for the next round


def prioritized_sweeping(
    mdp: DiscountedMDP, *, tol: float = 1e-8, max_iter: int = 1_000_000_000
) -> PlanResult:
    """Plan by backing up first the states whose value changes most.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; a dense kernel is copied to a sparse one. ``gamma < 1``.
    tol : float, default=1e-8
        Accuracy of `V` in the maximum norm, in units of value.
    max_iter : int, default=1_000_000_000
        Number of backups of single states after which no new round begins.

    Returns
    -------
    PlanResult
        ``V`` (S,), ``Q`` (S, A), greedy ``pi`` (S,), ``gap``; ``num_iter`` counts backups of single states,
        those of the full sweeps included.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP, gamma is 1, `tol` is not positive or `max_iter` < 1.

    Notes
    -----
    A backup costs the successors of one state and, where it changes something, O(log S) per predecessor. It
    wins where values travel far from few rewards through nearly deterministic moves (mazes, chains, long
    corridors: O(S) backups there against O(S^2) for value iteration) and loses to sweeps on problems that
    mix.

    References
    ----------
    .. [1] Moore and Atkeson. Prioritized sweeping: reinforcement learning with less data and less time.
       Machine Learning 13, 1993.
    .. [2] Bertsekas and Tsitsiklis. Parallel and Distributed Computation. Prentice Hall 1989.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> stay_or_go = DiscountedMDP([[[1, 0], [0, 1.0]], [[0, 1], [0, 1.0]]], [[0, 0], [1, 1]], [1, 0], 0.9)
    >>> prioritized_sweeping(stay_or_go).V.round(6)
    array([ 9., 10.])
    """
    tol, max_iter = check_discounted(mdp, tol, max_iter)
    return _prioritized_sweeping(bellman(mdp, sparse=True), predecessors(mdp.P, *mdp.r.shape), tol, max_iter)


def _prioritized_sweeping(
    b: Bellman, into: tuple[IntArray, IntArray, Array], tol: float, max_iter: int
) -> PlanResult:
    """Sweep, and propagate what changed, in turn."""
    S = b.r.shape[0]
    V = np.zeros(S)
    best = np.inf
    queue = (np.empty(S, np.int64), np.full(S, -1, np.int64), np.empty(S))
    n = 0

    while True:
        cert = improve(b, V)
        n += S
        if enough(cert, tol) or n >= max_iter:
            break
        if cert.gap <= PROGRESS * best:
            best = cert.gap
            change = advance(b, V, cert)
            n += _propagate(b.rows, *into, b.r, b.gamma, V, change, *queue)
        else:
            np.subtract(b.TV, b.TV.mean(), out=V)  # a large constant costs digits

    return finish(b, cert, n, status(cert, tol, n, "raise max_iter, or use modified_policy_iteration"))


def predecessors(P: Any, S: int, A: int) -> tuple[IntArray, IntArray, Array]:
    """Return `start`, `state`, `prob`: ``state[start[s]:start[s + 1]]`` can step to s, with these `prob`."""
    rows: Any = scipy.sparse.csr_array(P.reshape(S * A, S) if isinstance(P, np.ndarray) else P)
    columns = rows.tocsc()
    return columns.indptr.astype(np.int64), columns.indices.astype(np.int64) // A, columns.data


@kernel
def _propagate(
    rows: Rows,
    start: IntArray,
    state: IntArray,
    prob: Array,
    r: Array,
    gamma: float,
    V: Array,
    d: Array,
    heap: IntArray,
    place: IntArray,
    priority: Array,
) -> int:
    """Back up by priority after the changes `d` of V; `V` changes in place; return the number of backups.

    `heap`, `place` (-1 where a state is not queued) and `priority` are work space.
    """
    S, A = r.shape
    theta = THRESHOLD * np.max(d)
    size = 0
    for s in range(S):
        size = _queue(s, d[s], gamma, theta, start, state, prob, heap, place, priority, size)
    backups = 0
    while size > 0 and backups < EVERY * S:
        s = heap[0]
        size = _pop(heap, place, priority, size)
        new = -np.inf
        for a in range(A):
            new = max(new, r[s, a] + gamma * expectation(rows, s * A + a, V))
        delta = abs(new - V[s])
        V[s] = new
        backups += 1
        size = _queue(s, delta, gamma, theta, start, state, prob, heap, place, priority, size)
    for i in range(size):
        place[heap[i]] = -1
    return backups


@kernel
def _queue(
    s: int,
    delta: float,
    gamma: float,
    theta: float,
    start: IntArray,
    state: IntArray,
    prob: Array,
    heap: IntArray,
    place: IntArray,
    priority: Array,
    size: int,
) -> int:
    """Queue the predecessors of `s`, whose value changed by `delta`, in place; return the heap's new size."""
    if gamma * delta > theta:
        for j in range(start[s], start[s + 1]):
            change = gamma * prob[j] * delta
            if change > theta:
                size = _raise(state[j], change, heap, place, priority, size)
    return size


@kernel
def _raise(s: int, value: float, heap: IntArray, place: IntArray, priority: Array, size: int) -> int:
    """Put `s` into the heap, or raise its priority to `value`; return the new size."""
    i = place[s]
    if i < 0:
        i = size
        size += 1
    elif priority[s] >= value:
        return size
    priority[s] = value
    while i > 0:
        parent = (i - 1) // 2
        if priority[heap[parent]] >= value:
            break
        heap[i] = heap[parent]
        place[heap[i]] = i
        i = parent
    heap[i] = s
    place[s] = i
    return size


@kernel
def _pop(heap: IntArray, place: IntArray, priority: Array, size: int) -> int:
    """Remove the first state of the heap; return the new size."""
    place[heap[0]] = -1
    size -= 1
    if size == 0:
        return 0
    s = heap[size]
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and priority[heap[child + 1]] > priority[heap[child]]:
            child += 1
        if priority[heap[child]] <= priority[s]:
            break
        heap[i] = heap[child]
        place[heap[i]] = i
        i = child
    heap[i] = s
    place[s] = i
    return size


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Prioritized sweeping: reinforcement learning with less data and less time",
            authors="Moore, Atkeson",
            venue="Machine Learning",
            year=1993,
        ),
        setting="planning",
        statement="no backup moves V away from V*; a certificate of |V* - V|",
        assumptions="gamma < 1",
    ),
)
