"""Paths of `SharedLevelPolicy` and their gradient in compiled loops.

The pseudo-code is that of `_shared_level`; here are its parts, each with the way back, where ``g_y`` is the
derivative of the loss in y::

    survey      inventory -> inventory in units, gap to the levels of the heuristic, unchanging features
    surround    -> contexts of warehouses, and what the networks of warehouses and of stores see
    meet        -> what the network of edges sees, for locations with several sources
    ask         outputs of the networks -> what edges want
    settle      -> orders, balanced where a source is short

Guarantee: the tests hold costs, last states and gradients against operations of PyTorch and autograd.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eluder.core.kernels import kernel
from eluder.deep.common.compiled import Net, _layer, rows_of
from eluder.deep.inventory._sourcing import STRETCH

__all__ = [
    "Place", "ask", "ask_back", "meet", "meet_back", "network_back", "settle", "settle_back", "surround",
    "surround_back", "survey", "survey_back",
]  # fmt: skip

Array = NDArray[Any]
SMALL = 1e-6  # units


class Place(NamedTuple):
    """What the loops know of a network.

    Attributes
    ----------
    unit, base, spread : ndarray, shape (M,)
        Units that pass in a period; levels of the heuristic; standard deviation over the lead time.
    location, edge : ndarray, shape (M, 7), (C, 4)
        Unchanging features.
    reach, into, out_of : ndarray, shape (W, M), (M, W), (W, M)
        As in `Sourcing`.
    source, target, choices : ndarray of int64, shape (E,), (E,), (C,)
        Ends of edges, W for suppliers; edges whose target has other sources.
    turn, which : ndarray of int64, shape (E,)
        Edges in their order; where they are among the choices, -1 for those that are not.
    level, counts : ndarray, shape (C,), (C, L)
        Levels of choices, and the slots they count.
    usual : ndarray, shape (M, L)
        Inventories that networks see as zero.
    holds : ndarray of bool, shape (W + 1,)
        Whether a warehouse may keep stock.
    """

    unit: Array
    base: Array
    spread: Array
    location: Array
    edge: Array
    reach: Array
    into: Array
    out_of: Array
    source: Array
    target: Array
    choices: Array
    turn: Array
    which: Array
    level: Array
    counts: Array
    usual: Array
    holds: Array


@kernel
def survey(x: Array, at: Place, own: Array) -> None:
    """Fill the features (M, B, F) of inventories (B, M, L)."""
    B, M, L = x.shape
    W, z = len(at.reach), np.zeros(M)
    for b in range(B):
        for i in range(M):
            z[i] = 0.0
            for k in range(L):
                z[i] += x[b, i, k]
        for i in range(M):
            position = z[i]
            if i < W:
                position = 0.0
                for j in range(M):
                    position += at.reach[i, j] * z[j]
            row = own[i, b]
            for k in range(L):
                row[k] = STRETCH * (x[b, i, k] / at.unit[i] - at.usual[i, k])
            row[L] = (at.base[i] - position) / at.unit[i]
            for k in range(at.location.shape[1]):
                row[L + 1 + k] = at.location[i, k]


@kernel
def survey_back(g_own: Array, at: Place, g_x: Array) -> None:
    """Add to the derivative in inventories."""
    B, M, L = g_x.shape
    W, down = len(at.reach), np.zeros(M)
    for b in range(B):
        for i in range(M):
            down[i] = -g_own[i, b, L] / at.unit[i]
        for i in range(M):
            g = down[i] if i >= W else 0.0
            for w in range(W):
                g += at.reach[w, i] * down[w]
            for k in range(L):
                g_x[b, i, k] += STRETCH * g_own[i, b, k] / at.unit[i] + g


@kernel
def surround(own: Array, said: Array, at: Place, context: Array, above: Array, below: Array) -> None:
    """Fill contexts (W, B, C) and what networks see, (W, B, F + 2 C - L) and (M - W, B, F + C)."""
    M, B, F = own.shape
    (W, _, C), K = context.shape, said.shape[2]
    L = (C - 1 - K) // 2
    for w in range(W):
        for b in range(B):
            for k in range(C):
                context[w, b, k] = own[w, b, k] if k < L else 0.0
            context[w, b, L] = own[w, b, 0] / STRETCH + at.usual[w, 0]
        for j in range(M):
            part = at.out_of[w, j]
            if part == 0.0:
                continue
            for b in range(B):
                row, x = context[w, b], own[j, b]
                row[L] -= part * x[L] if x[L] > 0.0 else 0.0
                for k in range(L):
                    row[L + 1 + k] += part * x[k]
                for k in range(K):
                    row[2 * L + 1 + k] += part * said[j, b, k]
    for i in range(M):
        rows = above[i] if i < W else below[i - W]
        for b in range(B):
            for k in range(F + C):
                rows[b, k] = own[i, b, k] if k < F else 0.0
        for w in range(W):
            part = at.into[i, w]
            if part == 0.0:
                continue
            for b in range(B):
                for k in range(C):
                    rows[b, F + k] += part * context[w, b, k]
        if i < W:
            for b in range(B):
                for k in range(L, C):
                    rows[b, F + C + k - L] = context[i, b, k]


@kernel
def surround_back(
    own: Array, g_context: Array, g_above: Array, g_below: Array, at: Place, g_own: Array, g_said: Array
) -> None:
    """Add to the derivatives in features and contexts; fill those in what locations say."""
    M, B, F = own.shape
    (W, _, C), K = g_context.shape, g_said.shape[2]
    L = (C - 1 - K) // 2
    g_said.fill(0.0)
    for i in range(M):
        rows = g_above[i] if i < W else g_below[i - W]
        for b in range(B):
            for k in range(F):
                g_own[i, b, k] += rows[b, k]
        for w in range(W):
            part = at.into[i, w]
            if part == 0.0:
                continue
            for b in range(B):
                for k in range(C):
                    g_context[w, b, k] += part * rows[b, F + k]
        if i < W:
            for b in range(B):
                for k in range(L, C):
                    g_context[i, b, k] += rows[b, F + C + k - L]
    for w in range(W):
        for b in range(B):
            g_own[w, b, 0] += g_context[w, b, L] / STRETCH
            for k in range(L):
                g_own[w, b, k] += g_context[w, b, k]
        for j in range(M):
            part = at.out_of[w, j]
            if part == 0.0:
                continue
            for b in range(B):
                row, g = g_context[w, b], g_own[j, b]
                g[L] -= part * row[L] if own[j, b, L] > 0.0 else 0.0
                for k in range(L):
                    g[k] += part * row[L + 1 + k]
                for k in range(K):
                    g_said[j, b, k] += part * row[2 * L + 1 + k]


@kernel
def meet(own: Array, context: Array, at: Place, seen: Array) -> None:
    """Fill what the network of edges sees, (choices, B, ...): edge, gap, source with its context, target."""
    (W, B, C), F = context.shape, own.shape[2]
    known, L, n = at.location.shape[1], at.counts.shape[1], at.edge.shape[1]
    for k in range(len(at.choices)):
        e = at.choices[k]
        w, i = at.source[e], at.target[e]
        for b in range(B):
            row = seen[k, b]
            for j in range(n):
                row[j] = at.edge[k, j]
            row[n] = at.level[k] / at.unit[i]
            for j in range(L):
                row[n] -= at.counts[k, j] * (own[i, b, j] / STRETCH + at.usual[i, j])
            for j in range(C):
                row[n + 1 + j] = context[w, b, j] if w < W else 0.0
            for j in range(known):
                row[n + 1 + C + j] = at.location[w, j] if w < W else 0.0
            for j in range(F):
                row[n + 1 + C + known + j] = own[i, b, j]


@kernel
def meet_back(g_seen: Array, g_score: Array, at: Place, g_own: Array, g_context: Array) -> None:
    """Add to the derivatives in features and contexts; that in a gap is also the one in its score."""
    (W, B, C), F = g_context.shape, g_own.shape[2]
    n = at.edge.shape[1]
    first = n + 1 + C + at.location.shape[1]
    for k in range(len(at.choices)):
        w, i = at.source[at.choices[k]], at.target[at.choices[k]]
        for b in range(B):
            row = g_seen[k, b]
            if w < W:
                for j in range(C):
                    g_context[w, b, j] += row[n + 1 + j]
            for j in range(F):
                g_own[i, b, j] += row[first + j]
            for j in range(at.counts.shape[1]):
                g_own[i, b, j] -= at.counts[k, j] / STRETCH * (row[n] + g_score[k, b, 0])


@kernel
def ask(own: Array, above: Array, below: Array, seen: Array, score: Array, at: Place, asks: Array) -> None:
    """Fill what edges want, (E, B): of several sources of a location, each what those before it do not."""
    (M, B, _), W, L, n = own.shape, len(at.reach), at.counts.shape[1], at.edge.shape[1]
    most, asked = np.zeros((M, B)), np.zeros((W + 1, B))
    for e in at.turn:
        w, i, k = at.source[e], at.target[e], at.which[e]
        out = above[i] if i < W else below[i - W]
        for b in range(B):
            gap = out[b, 0] + (own[i, b, L] if k < 0 else seen[k, b, n] + score[k, b, 0])
            level = at.unit[i] * gap + (asked[i, b] if i < W else 0.0)
            asks[e, b] = level - most[i, b]
            most[i, b] = max(most[i, b], level)
            if len(at.choices):
                asked[w, b] += max(asks[e, b], 0.0)


@kernel
def ask_back(
    g_asks: Array, asks: Array, at: Place, g_above: Array, g_below: Array, g_score: Array, g_own: Array
) -> None:
    """Fill the derivatives in levels, and in scores; add to those in features."""
    (M, B, _), W, L = g_own.shape, len(at.reach), at.counts.shape[1]
    g_most, g_asked = np.zeros((M, B)), np.zeros((W + 1, B))
    g_above[:, :, 0] = 0.0
    g_below[:, :, 0] = 0.0
    for e in at.turn[::-1]:
        w, i, k = at.source[e], at.target[e], at.which[e]
        out = g_above[i] if i < W else g_below[i - W]
        for b in range(B):
            positive = asks[e, b] > 0.0
            g = g_asks[e, b] + (g_asked[w, b] if positive else 0.0)
            level = g + (g_most[i, b] if positive else 0.0)
            g_most[i, b] = (0.0 if positive else g_most[i, b]) - g
            if i < W and len(at.choices):
                g_asked[i, b] += level
            out[b, 0] += at.unit[i] * level
            if k < 0:
                g_own[i, b, L] += at.unit[i] * level
            else:
                g_score[k, b, 0] = at.unit[i] * level


@kernel
def settle(
    asks: Array, x: Array, above: Array, below: Array, c: float, at: Place, width: Array, u: Array, q: Array
) -> None:
    """Fill widths (M, B), what sources lack per width (W + 1, B), and orders (B, E)."""
    B, M = x.shape[:2]
    W, scale = len(at.reach), np.zeros(u.shape)
    for i in range(M):
        out = above[i] if i < W else below[i - W]
        for b in range(B):
            width[i, b] = at.spread[i] * math.exp(math.tanh(out[b, 1]))
    u.fill(0.0)
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            if asks[e, b] > 0.0 or not at.holds[w]:
                u[w, b] += asks[e, b]
                scale[w, b] += width[i, b]
    for w in range(W):
        for b in range(B):
            short = (u[w, b] - x[b, w, 0]) / max(scale[w, b], SMALL)
            u[w, b] = 0.0 if at.holds[w] and short < 0.0 else short
    u[W].fill(0.0)
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            q[b, e] = max(asks[e, b] - c * u[w, b] * width[i, b], 0.0)


@kernel
def settle_back(
    g_q: Array, above: Array, below: Array, c: float, at: Place, asks: Array, width: Array, u: Array,
    g_asks: Array, g_x: Array, g_above: Array, g_below: Array,
) -> float:  # fmt: skip
    """Fill the derivatives in wants and widths, add to that in states; return that in c."""
    B, M = g_x.shape[:2]
    W = len(at.reach)
    g_u, scale, g_width = np.zeros(u.shape), np.zeros(u.shape), np.zeros((M, B))
    g_c = 0.0
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            spread = width[i, b]
            if asks[e, b] > 0.0 or not at.holds[w]:
                scale[w, b] += spread
            g = g_q[b, e] if asks[e, b] - c * u[w, b] * spread > 0.0 else 0.0
            g_asks[e, b] = g
            g_width[i, b] -= g * c * u[w, b]
            g_u[w, b] -= g * c * spread
            g_c -= g * u[w, b] * spread
    for w in range(W):
        for b in range(B):
            g = g_u[w, b] / max(scale[w, b], SMALL)
            g_u[w, b] = g if u[w, b] > 0.0 or not at.holds[w] else 0.0
            g_x[b, w, 0] -= g_u[w, b]
    g_u[W].fill(0.0)
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            if asks[e, b] > 0.0 or not at.holds[w]:
                g_asks[e, b] += g_u[w, b]
                g_width[i, b] -= g_u[w, b] * (u[w, b] if scale[w, b] > SMALL else 0.0)
    for i in range(M):
        out, g_out = (above[i], g_above[i]) if i < W else (below[i - W], g_below[i - W])
        for b in range(B):
            y = math.tanh(out[b, 1])
            g_out[b, 1] = g_width[i, b] * width[i, b] * (1.0 - y * y)
    return g_c


@kernel
def network_back(
    flat: Array, grad: Array, net: Net, n: int, memory: Array, delta: Array, b: int, learn: bool
) -> None:
    """Fill the derivatives in the inputs, `delta[0]`; add to those in the parameters, if asked to."""
    for i in range(net.sizes.size - 2, -1, -1):
        w, _ = _layer(flat, net, n, i)
        x, dz = rows_of(memory, net, i, b), rows_of(delta, net, i + 1, b)
        if learn:
            dw, db = _layer(grad, net, n, i)
            dw += np.dot(x.T, dz)
            for k in range(b):
                for j in range(db.size):
                    db[j] += dz[k, j]
        np.dot(dz, w.T, rows_of(delta, net, i, b))
        if i:
            dh, h = delta[i, : b * net.sizes[i]], memory[i, : b * net.sizes[i]]
            for j in range(dh.size):
                if h[j] <= 0.0:
                    dh[j] = 0.0
