"""What the offline learners of robust linear MDPs share: regressions of the data, planning with penalties."""

import math

import numpy as np

from eluder.core.divergence_kernels import DIVERGENCES
from eluder.core.kernels import kernel
from eluder.core.offline_regression import absorb, absorb_stage, next_variances
from eluder.core.results import PessimisticResult
from eluder.core.robust_linear import RobustLinearMDP
from eluder.core.transitions import Transitions
from eluder.core.types import Array, BoolArray, IntArray
from eluder.core.value_regression import ValueRegression, new_regression
from eluder.linear.robust._estimates import coordinate_widths, estimate_factors, weighted_widths

__all__ = ["plain_regression", "plan", "pessimistic", "weighted_regression"]


def plain_regression(mdp: RobustLinearMDP, data: Transitions, lam: float) -> ValueRegression:
    """Return the regressions of all stages, every transition with the weight 1."""
    fit = new_regression(mdp.phi, mdp.H, lam)
    absorb(fit, *data)
    return fit


def weighted_regression(
    mdp: RobustLinearMDP, data: Transitions, lam: float, other: ValueRegression, V: Array
) -> ValueRegression:
    """Return regressions weighted by the variances of ``V[h+1]``, which those of `other` data estimate."""
    fit, var = new_regression(mdp.phi, mdp.H, lam), np.ones(mdp.mask.shape)
    following = np.vstack([V[1:], np.zeros(V.shape[1])])
    for h in range(mdp.H):
        next_variances(other, h, following[h], float(mdp.H - h - 1), var)
        absorb_stage(fit, h, *data, var)
    return fit


def pessimistic(mdp: RobustLinearMDP, fit: ValueRegression, scale: Array) -> PessimisticResult:
    """Return the pessimistic plan of regressions; `scale` (H, d) is the radius of each factor."""
    (S, A, _), H = mdp.phi.shape, mdp.H
    Q, V, pi, taken = (
        np.zeros((H, S, A)),
        np.zeros((H + 1, S)),
        np.zeros((H, S), np.int64),
        np.zeros((H, S, A)),
    )
    kind, penalised = DIVERGENCES[mdp.divergence], mdp.mode == "penalty"
    plan(fit, mdp.theta, mdp.level, kind, penalised, scale, mdp.mask, taken, Q, V, pi)
    Q[:, ~mdp.mask] = -np.inf
    return PessimisticResult(pi, V[:-1], Q, taken)


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
