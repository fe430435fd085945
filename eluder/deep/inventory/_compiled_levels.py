"""Paths of `SharedLevelPolicy` and their gradient in compiled loops.

The pseudo-code is that of `_shared_level`; here are its parts, each with the way back, where ``g_y`` is the
derivative of the loss in y::

    survey      inventory -> inventory in units, gap to the levels of the heuristic, unchanging features
    surround    -> contexts of warehouses, and what the networks of warehouses and of stores see
    meet        -> what the network of edges sees, for locations with several sources
    split       its scores -> what part of a location's wants each edge orders
    settle      outputs of the networks -> what is wanted, balanced where a source is short

Guarantee: the tests hold costs, last states and gradients against operations of PyTorch and autograd.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eluder.core.kernels import kernel
from eluder.deep.common.compiled import Net, _layer, rows_of

__all__ = [
    "Place", "meet", "meet_back", "network_back", "settle", "settle_back", "split", "split_back", "surround",
    "surround_back", "survey", "survey_back",
]  # fmt: skip

Array = NDArray[Any]
SMALL = 1e-6  # units
STEEPEST = 8.0  # largest difference of scores of two sources


class Place(NamedTuple):
    """What the loops know of a network.

    Attributes
    ----------
    unit, base, spread : ndarray, shape (M,)
        Units that pass in a period; levels of the heuristic; standard deviation over the lead time.
    location, edge : ndarray, shape (M, 7), (E, 2)
        Unchanging features.
    reach, into, out_of : ndarray, shape (W, M), (M, W), (W, M)
        As in `Graph`.
    source, target, choices : ndarray of int64, shape (E,), (E,), (C,)
        Ends of edges, W for suppliers; edges whose target has other sources.
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
                row[k] = x[b, i, k] / at.unit[i]
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
                g_x[b, i, k] += g_own[i, b, k] / at.unit[i] + g


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
            context[w, b, L] = own[w, b, 0]
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
            g_own[w, b, 0] += g_context[w, b, L]
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
    """Fill what the network of edges sees, (choices, B, ...): edge, source with its context, target."""
    (W, B, C), F = context.shape, own.shape[2]
    known = at.location.shape[1]
    for k in range(len(at.choices)):
        e = at.choices[k]
        w, i = at.source[e], at.target[e]
        for b in range(B):
            row = seen[k, b]
            row[0], row[1] = at.edge[e, 0], at.edge[e, 1]
            for j in range(C):
                row[2 + j] = context[w, b, j] if w < W else 0.0
            for j in range(known):
                row[2 + C + j] = at.location[w, j] if w < W else 0.0
            for j in range(F):
                row[2 + C + known + j] = own[i, b, j]


@kernel
def meet_back(g_seen: Array, at: Place, g_own: Array, g_context: Array) -> None:
    """Add to the derivatives in features and contexts."""
    (W, B, C), F = g_context.shape, g_own.shape[2]
    first = 2 + C + at.location.shape[1]
    for k in range(len(at.choices)):
        w, i = at.source[at.choices[k]], at.target[at.choices[k]]
        for b in range(B):
            row = g_seen[k, b]
            if w < W:
                for j in range(C):
                    g_context[w, b, j] += row[2 + j]
            for j in range(F):
                g_own[i, b, j] += row[first + j]


@kernel
def split(score: Array, at: Place, share: Array) -> None:
    """Fill the shares (E, B) of scores (choices, B, 1)."""
    B, total = share.shape[1], np.zeros((len(at.unit), share.shape[1]))
    for k in range(len(at.choices)):
        e = at.choices[k]
        for b in range(B):
            share[e, b] = math.exp(STEEPEST / 2 * math.tanh(score[k, b, 0] / (STEEPEST / 2)))
            total[at.target[e], b] += share[e, b]
    for e in at.choices:
        for b in range(B):
            share[e, b] /= total[at.target[e], b]


@kernel
def split_back(score: Array, share: Array, g_share: Array, at: Place, g_score: Array) -> None:
    """Fill the derivative in scores."""
    B, mean = share.shape[1], np.zeros((len(at.unit), share.shape[1]))
    for e in at.choices:
        for b in range(B):
            mean[at.target[e], b] += share[e, b] * g_share[e, b]
    for k in range(len(at.choices)):
        e = at.choices[k]
        for b in range(B):
            y = math.tanh(score[k, b, 0] / (STEEPEST / 2))
            g_score[k, b, 0] = share[e, b] * (g_share[e, b] - mean[at.target[e], b]) * (1.0 - y * y)


@kernel
def settle(
    own: Array, x: Array, above: Array, below: Array, share: Array, c: float, at: Place,
    wanted: Array, width: Array, u: Array, q: Array,
) -> None:  # fmt: skip
    """Fill what is wanted and widths (M, B), what sources lack per width (W + 1, B), and orders (B, E)."""
    B, M, L = x.shape
    W, scale = len(at.reach), np.zeros(u.shape)
    for i in range(M):
        out = above[i] if i < W else below[i - W]
        for b in range(B):
            wanted[i, b] = at.unit[i] * (own[i, b, L] + out[b, 0])
            width[i, b] = at.spread[i] * math.exp(math.tanh(out[b, 1]))
    u.fill(0.0)
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            if wanted[i, b] > 0.0 or not at.holds[w]:
                u[w, b] += share[e, b] * wanted[i, b]
                scale[w, b] += share[e, b] * width[i, b]
    for w in range(W):
        for b in range(B):
            short = (u[w, b] - x[b, w, 0]) / max(scale[w, b], SMALL)
            u[w, b] = 0.0 if at.holds[w] and short < 0.0 else short
    u[W].fill(0.0)
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            q[b, e] = share[e, b] * max(wanted[i, b] - c * u[w, b] * width[i, b], 0.0)


@kernel
def settle_back(
    g_q: Array, above: Array, below: Array, share: Array, c: float, at: Place, wanted: Array, width: Array,
    u: Array, g_own: Array, g_x: Array, g_above: Array, g_below: Array, g_share: Array,
) -> float:  # fmt: skip
    """Fill the derivatives in outputs and shares, add to those in features and states; return that in c."""
    B, M, L = g_x.shape
    W = len(at.reach)
    g_u, scale, g_wanted, g_width = np.zeros(u.shape), np.zeros(u.shape), np.zeros((M, B)), np.zeros((M, B))
    g_c = 0.0
    for e in range(len(at.source)):
        w, i = at.source[e], at.target[e]
        for b in range(B):
            part, spread = share[e, b], width[i, b]
            if wanted[i, b] > 0.0 or not at.holds[w]:
                scale[w, b] += part * spread
            left = wanted[i, b] - c * u[w, b] * spread
            g_share[e, b] = max(left, 0.0) * g_q[b, e]
            if left > 0.0:
                g = part * g_q[b, e]
                g_wanted[i, b] += g
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
            if wanted[i, b] > 0.0 or not at.holds[w]:
                down = u[w, b] if scale[w, b] > SMALL else 0.0
                g_wanted[i, b] += g_u[w, b] * share[e, b]
                g_width[i, b] -= g_u[w, b] * share[e, b] * down
                g_share[e, b] += g_u[w, b] * (wanted[i, b] - down * width[i, b])
    for i in range(M):
        out, g_out = (above[i], g_above[i]) if i < W else (below[i - W], g_below[i - W])
        for b in range(B):
            y = math.tanh(out[b, 1])
            g_out[b, 0] = at.unit[i] * g_wanted[i, b]
            g_out[b, 1] = g_width[i, b] * width[i, b] * (1.0 - y * y)
            g_own[i, b, L] += g_out[b, 0]
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
