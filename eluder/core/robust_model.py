"""Robust linear MDPs as kernels read them: nature's answer to values, robust values, the robust optimum.

For measurement, never for a learner: they read the true factors. The equations and the functions to call are
in `eluder.core.robust_linear`.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core.divergence_kernels import ball, penalty
from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray

__all__ = ["RobustModel", "factor_values", "optimise", "robust_action_value", "robust_value", "soften"]


class RobustModel(NamedTuple):
    """A robust problem as kernels read it; `kind` is the number of the divergence. For measurement."""

    phi: Array
    psi: Array
    theta: Array
    mu: Array
    mask: BoolArray
    level: Array
    kind: int
    penalised: bool


@kernel
def factor_values(model: RobustModel, h: int, V: Array, nu: Array, q: Array) -> None:
    """Write nature's answer to V in stage h: `nu` (d,) its values, `q` (d, S) its factors, in place."""
    order = np.argsort(V)
    for i in range(nu.size):
        p, level = model.psi[h, i], model.level[h, i]
        if model.penalised:
            nu[i] = penalty(p, V, order, level, model.kind, False, q[i])
        else:
            nu[i] = ball(p, V, order, level, model.kind, False, q[i])[0]


@kernel
def robust_action_value(model: RobustModel, h: int, s: int, a: int, nu: Array) -> float:
    """Return ``phi(s, a) (theta[h] + nu)``."""
    total = 0.0
    for i in range(nu.size):
        total += model.phi[s, a, i] * (model.theta[h, i] + nu[i])
    return total


@kernel
def robust_value(model: RobustModel, pi: Array, tau: float, log_ref: Array, V: Array) -> float:
    """Return the exact robust value from `mu` of a policy (H, S, A); fills `V` (H + 1, S)."""
    H, S, A = pi.shape
    d = model.phi.shape[2]
    nu, q = np.zeros(d), np.zeros((d, S))
    V[H] = 0.0
    for h in range(H - 1, -1, -1):
        factor_values(model, h, V[h + 1], nu, q)
        for s in range(S):
            V[h, s] = 0.0
            for a in range(A):
                if pi[h, s, a] > 0.0:
                    x = robust_action_value(model, h, s, a, nu)
                    if tau > 0.0:
                        x -= tau * (math.log(pi[h, s, a]) - log_ref[s, a])
                    V[h, s] += pi[h, s, a] * x
    total = 0.0
    for s in range(S):
        total += model.mu[s] * V[0, s]
    return total


@kernel
def soften(Q: Array, mask: BoolArray, tau: float, log_ref: Array, pi: Array) -> float:
    """Write ``ref exp(Q / tau)``, normalised, or the first greedy action if tau is 0, into `pi` (A,).

    Returns ``tau ln sum ref exp(Q / tau)``, or the maximum: the best of ``pi Q - tau KL(pi || ref)``.
    """
    best = -1
    for a in range(Q.size):
        if mask[a] and (best < 0 or Q[a] > Q[best]):
            best = a
    pi[:] = 0.0
    if tau <= 0.0:
        pi[best] = 1.0
        return float(Q[best])
    total = 0.0
    for a in range(Q.size):
        if mask[a]:
            pi[a] = math.exp(log_ref[a] + (Q[a] - Q[best]) / tau)
            total += pi[a]
    for a in range(Q.size):
        pi[a] /= total
    return float(Q[best] + tau * math.log(total))


@kernel
def optimise(model: RobustModel, tau: float, log_ref: Array, V: Array, Q: Array, pi: Array) -> None:
    """Robust dynamic programming in place (`V`, `Q`, `pi`)."""
    H, S, A = Q.shape
    d = model.phi.shape[2]
    nu, q = np.zeros(d), np.zeros((d, S))
    for h in range(H - 1, -1, -1):
        factor_values(model, h, V[h + 1], nu, q)
        for s in range(S):
            for a in range(A):
                Q[h, s, a] = robust_action_value(model, h, s, a, nu)
            V[h, s] = soften(Q[h, s], model.mask[s], tau, log_ref[s], pi[h, s])
