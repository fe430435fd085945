"""What the offline learners of robust linear MDPs share: absorbing the data, planning with penalties."""

import math

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray
from eluder.core.value_regression import ValueRegression, add_round
from eluder.linear.robust._estimates import coordinate_widths, estimate_factors, weighted_widths

__all__ = ["absorb", "plan"]


@kernel
def absorb(fit: ValueRegression, s: IntArray, a: IntArray, r: Array, s_next: IntArray) -> None:
    """Add all transitions, in place."""
    K, H = r.shape
    u = np.zeros(fit.b.shape[1])
    for k in range(K):
        for h in range(H):
            add_round(fit, h, s[k, h], a[k, h], r[k, h], s_next[k, h], u)


@kernel
def plan(
    fit: ValueRegression,
    theta: Array,
    level: Array,
    kind: int,
    penalised: bool,
    scale: Array,
    mask: BoolArray,
    penalty: Array,
    Q: Array,
    V: Array,
    pi: IntArray,
) -> None:
    """Plan in place (`penalty`, `Q`, `V`, `pi`); `scale` (H, d) is the radius of each factor."""
    H, S, A = Q.shape
    nu, width = np.zeros(theta.shape[1]), np.zeros(theta.shape[1])
    for h in range(H - 1, -1, -1):
        estimate_factors(fit, h, V[h + 1], level[h], kind, penalised, float(H - h - 1), nu)
        coordinate_widths(fit, h, scale[h], width)
        for s in range(S):
            best, largest = -1, -math.inf
            for a in range(A):
                if not mask[s, a]:
                    continue
                penalty[h, s, a] = weighted_widths(fit, s, a, width)
                q = weighted_widths(fit, s, a, theta[h]) + weighted_widths(fit, s, a, nu)
                Q[h, s, a] = min(max(q - penalty[h, s, a], 0.0), float(H - h))
                if Q[h, s, a] > largest:
                    best, largest = a, Q[h, s, a]
            V[h, s], pi[h, s] = largest, best
