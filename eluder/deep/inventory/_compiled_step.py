"""One period of a network in compiled loops, with its derivative by hand, for training on CPUs.

There a period of a small network costs the calls of its operations, and hardly any arithmetic.
For a location i, and an edge e from w to j::

    total[w] = sum_e q[e];     ratio[w] = on hand / total where that is short, else 1;     f = q ratio[w]
    left = on hand - demand (stores);     left = relu(on hand - sum_e f[e]) (warehouses)
    x'[i] = x[i] moved on by a period + left, or its positive part if unmet demand is lost + arriving f

    df[e] = unit_cost[e] dc + dx'[j, lead - 1] - dleft[w]
    dratio[w] = sum_e q[e] df[e];     dq[e] = ratio[w] df[e] - dratio[w] on hand / total^2 where short

Guarantee: the tests hold values and derivatives against the operations of PyTorch.

Deviations from `Simulator.step`: orders are not rounded; where the two sides of a kink meet, the derivative
is that of one of them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eluder.core.kernels import kernel
from eluder.deep.inventory._simulator import NEGLIGIBLE, Simulator

__all__ = ["Lanes", "lanes_of", "step", "step_back"]

Array = NDArray[Any]


class Lanes(NamedTuple):
    """What the loops know of a network.

    Attributes
    ----------
    holding, penalty : ndarray, shape (M,), (n,)
        Costs of locations.
    unit_cost, fixed_cost, capacity : ndarray, shape (E,)
        Of edges.
    lead_time : ndarray of int64, shape (E,)
        Periods.
    source, target : ndarray of int64, shape (E,)
        Ends; W stands for suppliers.
    holds : ndarray of bool, shape (W + 1,)
        Whether a warehouse may keep stock.
    lost, profit : bool
        Whether unmet demand is lost, and whether sales are paid.
    """

    holding: Array
    penalty: Array
    unit_cost: Array
    fixed_cost: Array
    capacity: Array
    lead_time: Array
    source: Array
    target: Array
    holds: Array
    lost: bool
    profit: bool


def lanes_of(s: Simulator) -> Lanes:
    """Return the network of a simulator on the CPU, without parameters of its own for each sample."""
    return Lanes(
        s.holding.numpy(),
        s.penalty.numpy(),
        s.unit_cost.numpy(),
        s.fixed_cost.numpy(),
        s.capacity.numpy(),
        s.lead_time.numpy(),
        s.source.numpy(),
        s.target.numpy(),
        s.holds.numpy(),
        s.network.unmet == "lost",
        s.network.objective != "cost",
    )


@kernel
def _ration(x: Array, q: Array, lanes: Lanes, total: Array, ratio: Array) -> None:
    """Fill what is asked of each source and the part of it that is shipped, for one sample."""
    W = ratio.size - 1
    total.fill(0.0)
    ratio.fill(1.0)
    for e in range(q.size):
        total[lanes.source[e]] += min(q[e], lanes.capacity[e])
    for w in range(W):
        if lanes.holds[w]:
            if total[w] > x[w, 0]:
                ratio[w] = x[w, 0] / total[w]
        elif total[w] > 0.0:
            ratio[w] = x[w, 0] / total[w]
        else:  # nobody asks: all receive the same
            ratio[w] = x[w, 0] / max((lanes.source == w).sum(), 1)


@kernel
def step(x: Array, q: Array, d: Array, lanes: Lanes, after: Array, f: Array, cost: Array) -> None:
    """Fill the next inventory (B, M, L) and shipments (B, E), and add to the costs (B,)."""
    B, M, L = x.shape
    W, E = M - d.shape[1], q.shape[1]
    total, ratio, y = np.zeros(W + 1), np.zeros(W + 1), np.zeros(M)
    for b in range(B):
        _ration(x[b], q[b], lanes, total, ratio)
        for i in range(M):
            y[i] = x[b, i, 0]
            for j in range(L - 1):
                after[b, i, j] = x[b, i, j + 1]
            after[b, i, L - 1] = 0.0
        spent = 0.0
        for e in range(E):
            w, i, lead = lanes.source[e], lanes.target[e], lanes.lead_time[e]
            idle = not lanes.holds[w] and total[w] <= 0.0
            units = ratio[w] * (1.0 if idle else min(q[b, e], lanes.capacity[e]))
            f[b, e] = units
            spent += lanes.unit_cost[e] * units + (lanes.fixed_cost[e] if units > NEGLIGIBLE else 0.0)
            if w < W:
                y[w] -= units
            if lead == 0:
                y[i] += units
            else:
                after[b, i, lead - 1] += units
        for i in range(M):
            h = lanes.holding[i]
            if i < W:
                y[i] = max(y[i], 0.0)
                spent += h * y[i]
            else:
                left, p = y[i] - d[b, i - W], lanes.penalty[i - W]
                held = max(left, 0.0)
                spent += h * held + p * (-min(y[i], d[b, i - W]) if lanes.profit else held - left)
                y[i] = held if lanes.lost else left
            after[b, i, 0] += y[i]
        cost[b] += spent


@kernel
def step_back(
    x: Array,
    q: Array,
    d: Array,
    f: Array,
    lanes: Lanes,
    g_after: Array,
    g_cost: float,
    g_x: Array,
    g_q: Array,
) -> None:
    """Fill the derivatives in inventory and orders from that in the next inventory and that in every cost."""
    B, M, L = x.shape
    W, E = M - d.shape[1], q.shape[1]
    total, ratio, g_ratio, y, g_y = (
        np.zeros(W + 1),
        np.zeros(W + 1),
        np.zeros(W + 1),
        np.zeros(M),
        np.zeros(M),
    )
    for b in range(B):
        _ration(x[b], q[b], lanes, total, ratio)
        for i in range(M):
            y[i], g_y[i] = x[b, i, 0], g_after[b, i, 0]
            for j in range(1, L):
                g_x[b, i, j] = g_after[b, i, j - 1]
        for e in range(E):
            if lanes.source[e] < W:
                y[lanes.source[e]] -= f[b, e]
            if lanes.lead_time[e] == 0:
                y[lanes.target[e]] += f[b, e]
        for i in range(M):
            if y[i] >= (d[b, i - W] if i >= W else 0.0):
                g_y[i] += lanes.holding[i] * g_cost
            else:
                kept = 0.0 if i < W or lanes.lost else g_y[i]
                g_y[i] = kept - (lanes.penalty[i - W] * g_cost if i >= W else 0.0)
            g_x[b, i, 0] = g_y[i]
        g_ratio.fill(0.0)
        for e in range(E):
            w, i, lead = lanes.source[e], lanes.target[e], lanes.lead_time[e]
            g = lanes.unit_cost[e] * g_cost + (g_y[i] if lead == 0 else g_after[b, i, lead - 1])
            g -= g_y[w] if w < W else 0.0
            idle = not lanes.holds[w] and total[w] <= 0.0
            g_ratio[w] += g * (1.0 if idle else min(q[b, e], lanes.capacity[e]))
            g_q[b, e] = 0.0 if idle else g * ratio[w]
        _through_ratio(x[b], q[b], lanes, total, g_ratio, g_x[b], g_q[b])


@kernel
def _through_ratio(
    x: Array, q: Array, lanes: Lanes, total: Array, g_ratio: Array, g_x: Array, g_q: Array
) -> None:
    """Add what passes through the ratios of short sources, in place; capacities cut last."""
    W = g_ratio.size - 1
    g_ratio[W] = 0.0
    for w in range(W):
        if lanes.holds[w] and total[w] <= x[w, 0]:
            g_ratio[w] = 0.0
        elif total[w] > 0.0:
            g_x[w, 0] += g_ratio[w] / total[w]
            g_ratio[w] *= x[w, 0] / (total[w] * total[w])
        else:
            g_x[w, 0] += g_ratio[w] / max((lanes.source == w).sum(), 1)
            g_ratio[w] = 0.0
    for e in range(q.size):
        g_q[e] = 0.0 if q[e] > lanes.capacity[e] else g_q[e] - g_ratio[lanes.source[e]]
