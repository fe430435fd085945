r"""DR-LSVI-UCB: robust policies from exploring the nominal problem (Liu & Xu, AISTATS 2024).

Pseudo-code (algorithm 1), in our names::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            for i = 1, ..., d:
                z(a) <- [Lambda^-1 sum of phi min(V[h+1](s'), a)]_i over these rounds
                nu[i] <- max_a z(a) - rho (a - min V[h+1])
            Q[h] <- clip(phi (theta[h] + nu) + beta sum_i phi_i sqrt((Lambda^-1)_ii), 0, H - h)
            V[h] <- max_a Q[h]
        for h = 0, ..., H-1:                                                        # act, update
            play a = argmax Q[h](s, .) in the nominal problem, observe s'

with lam = 1, beta = c d H sqrt(L) and L = ln(2 d H K / delta). The learner explores the nominal problem and
is judged by the worst one.

Guarantee: if every policy explores all features, and there is a state that pays nothing for ever, the
average suboptimality (1 / K) sum_k V* - V^{pi_k}, robust values both, is O~(d^2 H^2 / sqrt(K)) with
probability at least 1 - delta. Without such assumptions exploring the nominal problem does not suffice: the
worst problem may visit what the nominal one never does. (The order is confirmed; beta's constant and
logarithm are from memory.)

Deviations from the paper: there a state that pays nothing for ever makes min V = 0; here min V is the least
of the estimates over the states, the same where there is such a state. The rewards' parameter theta is
known, as there. Sums over the rounds are kept as statistics, and the maximum over a is exact, not a search.
Balls of KL and chi-square are accepted, with the duals of DRPVI: these are not in the paper, without
guarantee.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear import episodic
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.robust_linear import (
    RobustLinearMDP,
    nominal,
    refuse_not_robust,
    robust_model,
)
from eluder.core.robust_model import RobustModel, robust_value
from eluder.core.simulator import Simulator, reset, simulator, step
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_round, new_regression
from eluder.linear.robust._estimates import coordinate_widths, estimate_factors, weighted_widths

__all__ = ["dr_lsvi_ucb"]


def dr_lsvi_ucb(
    mdp: RobustLinearMDP,
    K: int,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of DR-LSVI-UCB in the nominal problem.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The simulator, with balls. The learner knows `phi`, `theta`, the divergence, the radii and the
        horizon; it sees states of the nominal problem.
    K : int
        Number of episodes.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` of shape (K,), the exact *robust* value of each policy; ``upper``, the estimate of the
        optimal robust value; ``Q``, ``pi``, ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not robust with balls, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is
        negative or makes the radius exceed 1e100, or `rng` is not a Generator.

    Notes
    -----
    O(H (d^2 S + S log S + S A d)) time per episode, whatever K is.

    References
    ----------
    .. [1] Liu and Xu. Distributionally robust off-dynamics reinforcement learning: provable efficiency with
       linear function approximation. AISTATS 2024. arXiv:2402.15399

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import off_dynamics_linear_mdp
    >>> mdp = off_dynamics_linear_mdp(rho=0.3)
    >>> dr_lsvi_ucb(mdp, 50, c=0.05, rng=np.random.default_rng(0)).value.shape
    (50,)
    """
    refuse_not_robust(mdp, "ball")
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    (S, A, d), H = mdp.phi.shape, mdp.H
    fit = new_regression(mdp.phi, H, lam)
    Q, pi, N = np.zeros((H, S, A)), np.zeros((H, S), np.int64), np.zeros((H, S, A), np.int64)
    value, upper = np.empty(K), np.empty(K)
    beta = checked_radius(c * radius(d, H, K, delta), c=c)
    sim, scale = simulator(episodic(nominal(mdp))), np.full(d, beta)
    args = (fit, sim, mdp.theta, mdp.level, robust_model(mdp), scale, checks.generator(rng))
    _dr_lsvi_ucb(value, upper, Q, pi, N, *args)
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = d H sqrt(ln(2 d H K / delta))``; constant and logarithm are not confirmed."""
    return d * H * math.sqrt(math.log(2 * d * H * K / delta))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Distributionally robust off-dynamics reinforcement learning: provable efficiency with "
            "linear function approximation",
            authors="Liu, Xu",
            venue="AISTATS",
            year=2024,
            arxiv="2402.15399",
        ),
        setting="robust regret",
        statement="average robust suboptimality O~(d^2 H^2 / sqrt(K)) with probability 1 - delta",
        assumptions="d-rectangular linear robust MDP, TV balls, a state that pays nothing for ever, every "
        "policy explores all features; the constant of the radius is not confirmed",
        exponent=0.5,
    ),
)


@kernel
def _plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    fit: ValueRegression,
    sim: Simulator,
    theta: Array,
    rho: Array,
    kind: int,
    scale: Array,
) -> bool:
    """Plan in place (`Q`, `V`, `pi`); return whether `pi` changed."""
    H, S, A = Q.shape
    nu, width = np.zeros(scale.size), np.zeros(scale.size)
    changed = False
    for h in range(H - 1, -1, -1):
        estimate_factors(fit, h, V[h + 1], rho[h], kind, False, float(H - h - 1), nu)
        coordinate_widths(fit, h, scale, width)
        for s in range(S):
            best, largest = -1, -math.inf
            for a in range(A):
                if not sim.mask[s, a]:
                    continue
                q = weighted_widths(fit, s, a, theta[h]) + weighted_widths(fit, s, a, nu)
                q += weighted_widths(fit, s, a, width)
                Q[h, s, a] = min(max(q, 0.0), float(H - h))
                if Q[h, s, a] > largest:
                    best, largest = a, Q[h, s, a]
            V[h, s] = largest
            if pi[h, s] != best:
                pi[h, s] = best
                changed = True
    return changed


@kernel
def _dr_lsvi_ucb(
    value: Array,
    upper: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    fit: ValueRegression,
    sim: Simulator,
    theta: Array,
    rho: Array,
    model: RobustModel,
    scale: Array,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (`value` to `fit`)."""
    H, S, A = Q.shape
    V, V_pi, table, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S, A)), np.zeros(scale.size)
    for k in range(value.size):
        # plan
        changed = _plan(Q, V, pi, fit, sim, theta, rho, model.kind, scale)
        upper[k] = 0.0
        for s in range(S):
            upper[k] += sim.mu[s] * V[0, s]

        # measurement
        if k == 0 or changed:
            table[:] = 0.0
            for h in range(H):
                for s in range(S):
                    table[h, s, pi[h, s]] = 1.0
            value[k] = robust_value(model, table, 0.0, table[0], V_pi)
        else:
            value[k] = value[k - 1]

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, reward, _ = step(sim, h, s, a, rng)

            # update
            add_round(fit, h, s, a, reward, s_next, u)
            N[h, s, a] += 1
            s = s_next
