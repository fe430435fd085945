"""What the learners of robust linear MDPs share: the dual put on the regression, and its widths.

The rows of ``Lambda^-1 sum phi e_{s'}'`` estimate the factors ``psi_h(i)``, as signed measures. The dual of
the worst case, which is a function of such a measure, gives ``nu[i]``, the worst expectation of the next
value.
"""

import math

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.robust_duals import (
    chi2_ball_estimate,
    chi2_penalty_dual,
    kl_ball_dual,
    kl_penalty_dual,
    tv_ball_dual,
    tv_penalty_dual,
)
from eluder.core.types import Array
from eluder.core.value_regression import ValueRegression

__all__ = ["coordinate_widths", "estimate_factors", "weighted_widths"]


@kernel
def estimate_factors(
    fit: ValueRegression, h: int, V: Array, level: Array, kind: int, penalised: bool, top: float, nu: Array
) -> None:
    """Write the estimate of the worst expectation of V under each factor of stage h into `nu` (d,).

    V is between 0 and `top`, `level` (d,) the radius or the weight, `kind` the number of the divergence.
    """
    d, S = fit.M.shape[1:]
    m, order = np.zeros(S), np.argsort(V)
    low = V[order[0]]
    for i in range(d):
        m[:] = 0.0
        for j in range(d):
            for s in range(S):
                m[s] += fit.inverse[h, i, j] * fit.M[h, j, s]
        if penalised and kind == 0:
            nu[i] = tv_penalty_dual(m, V, level[i], low)
        elif penalised and kind == 1:
            nu[i] = kl_penalty_dual(m, V, level[i], top)
        elif penalised:
            nu[i] = chi2_penalty_dual(m, V, order, level[i], top)
        elif kind == 0:
            nu[i] = tv_ball_dual(m, V, order, level[i], low)
        elif kind == 1:
            nu[i] = kl_ball_dual(m, V, level[i], top)
        else:
            nu[i] = chi2_ball_estimate(m, V, order, level[i])


@kernel
def coordinate_widths(fit: ValueRegression, h: int, scale: Array, width: Array) -> None:
    """Write ``scale[i] sqrt((Lambda^-1)_ii)`` of stage h into `width` (d,)."""
    for i in range(width.size):
        width[i] = scale[i] * math.sqrt(max(fit.inverse[h, i, i], 0.0))


@kernel
def weighted_widths(fit: ValueRegression, s: int, a: int, x: Array) -> float:
    """Return ``sum_i phi(s, a)_i x[i]``."""
    total = 0.0
    for i in range(x.size):
        total += fit.phi[s, a, i] * x[i]
    return total
