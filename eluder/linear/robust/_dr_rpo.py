r"""DR-RPO: policy optimisation against nature, held to a reference policy (Gu, He, Liu & Xu, 2025).

Pseudo-code, in our names::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # evaluate, improve
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            for i = 1, ..., d:
                z(a) <- [Lambda^-1 sum of phi min(V[h+1](s'), a)]_i over these rounds
                nu[i] <- max_a z(a) - rho (a - min V[h+1])
            Q[h] <- clip(phi (theta[h] + nu) + beta sum_i phi_i sqrt((Lambda^-1)_ii), 0, H - h)
            pi[h] <- argmax_x <x, Q[h]> - tau KL(x || ref) - KL(x || pi[h]) / eta
            V[h] <- <pi[h], Q[h]> - tau KL(pi[h] || ref)
        for h = 0, ..., H-1:                                                        # act, update
            draw a from pi[h](s, .) in the nominal problem, observe s'

with lam = 1, beta = c d H sqrt(L) and L = ln(2 d H K / delta). The step has a closed form: pi is
proportional to ``(pi^(1 / eta) ref^tau e^Q)^(1 / (1 / eta + tau))``; with eta infinite, ``ref e^(Q /
tau)``. The problem is doubly constrained: nature in the transitions, the reference in the policies.

Guarantee: polynomial suboptimality of the policies in the regularised robust problem, sublinear regret, as
for the value-based DR-LSVI-UCB (the abstract; the constants of the theorem are not confirmed).

Deviations from the paper: whether it takes the one-shot step (eta infinite, the default) or steps from the
last policy is not confirmed; both are here. The radius beta is that of DR-LSVI-UCB, not confirmed. The
least value is that of the estimates over the states. Sums over the rounds are kept as statistics; the
maximum over a is exact. Balls of KL and chi-square are accepted, with the duals of DRPVI: these are not in
the paper, without guarantee.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.linear import episodic
from eluder.core.results import OnlineResult
from eluder.core.ridge import checked_radius
from eluder.core.robust_linear import (
    RobustLinearMDP,
    log_reference,
    nominal,
    refuse_not_robust,
    robust_model,
)
from eluder.core.robust_model import RobustModel, robust_value
from eluder.core.simplex import mirror_step
from eluder.core.simulator import Simulator, reset, simulator, step
from eluder.core.types import Array, IntArray
from eluder.core.value_regression import ValueRegression, add_round, new_regression
from eluder.linear.robust._estimates import coordinate_widths, estimate_factors, weighted_widths

__all__ = ["dr_rpo"]


def dr_rpo(
    mdp: RobustLinearMDP,
    K: int,
    *,
    tau: float = 0.1,
    eta: float = math.inf,
    ref: ArrayLike | None = None,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of DR-RPO in the nominal problem.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The simulator, with balls. The learner knows `phi`, `theta`, the divergence, the radii and the
        horizon; it sees states of the nominal problem.
    K : int
        Number of episodes.
    tau : float, default=0.1
        Weight > 0 of ``KL(pi || ref)``.
    eta : float, default=inf
        Step size > 0 of the policy; infinite for the best response.
    ref : array_like, shape (S, A), optional
        Reference policy, positive on the available actions; uniform over these by default.
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
        ``value`` of shape (K,), the exact robust value of each policy less what it pays for leaving the
        reference; ``upper``, the estimate of the same, and with `eta` infinite of the optimum; ``Q``, ``N``
        by stage; ``pi`` of shape (H, S, A), the last policy.

    Raises
    ------
    ValueError
        If `mdp` is not robust with balls, `K` < 1, `tau`, `eta` or `lam` is not positive, `ref` is not such a
        policy, `delta` is outside (0, 1), `c` is negative or makes the radius exceed 1e100, or `rng` is not a
        Generator.

    Notes
    -----
    O(H (d^2 S + d S log S + S A d)) time per episode, whatever K is. The optimum to compare with is
    ``robust_optimum(mdp, tau=tau, ref=ref)`` of `eluder.core.robust_linear`.

    References
    ----------
    .. [1] Gu, He, Liu and Xu. Policy regularized distributionally robust Markov decision processes with
       linear function approximation. 2025. arXiv:2510.14246

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import off_dynamics_linear_mdp
    >>> mdp = off_dynamics_linear_mdp(rho=0.3)
    >>> dr_rpo(mdp, 50, c=0.05, rng=np.random.default_rng(0)).pi.shape
    (3, 5, 16)
    """
    refuse_not_robust(mdp, "ball")
    K = checks.integer("K", K)
    tau = checks.number("tau", tau, 0.0, open_low=True)
    eta = eta if eta == math.inf else checks.number("eta", eta, 0.0, open_low=True)
    log_ref = log_reference(mdp, ref)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    (S, A, d), H = mdp.phi.shape, mdp.H
    fit, sim = new_regression(mdp.phi, H, lam), simulator(episodic(nominal(mdp)))
    Q, N, value, upper = np.zeros((H, S, A)), np.zeros((H, S, A), np.int64), np.empty(K), np.empty(K)
    pi = np.exp(np.broadcast_to(log_ref, (H, S, A)))
    scale = np.full(d, checked_radius(c * radius(d, H, K, delta), c=c))
    args = (fit, sim, mdp.theta, mdp.level, robust_model(mdp), scale, tau, eta, log_ref)
    _dr_rpo(value, upper, Q, pi, N, *args, checks.generator(rng))
    Q[:, ~mdp.mask] = -np.inf
    return OnlineResult(value, upper, Q, pi, N)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = d H sqrt(ln(2 d H K / delta))``; not confirmed."""
    return d * H * math.sqrt(math.log(2 * d * H * K / delta))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Policy regularized distributionally robust Markov decision processes with linear function "
            "approximation",
            authors="Gu, He, Liu, Xu",
            venue="arXiv",
            year=2025,
            arxiv="2510.14246",
        ),
        setting="robust regret",
        statement="sublinear regret in the robust problem regularised by a reference policy",
        assumptions="d-rectangular linear robust MDP, TV balls, as DR-LSVI-UCB; constants are not confirmed",
    ),
)


@kernel
def _improve(
    Q: Array,
    V: Array,
    log_pi: Array,
    fit: ValueRegression,
    sim: Simulator,
    theta: Array,
    rho: Array,
    kind: int,
    scale: Array,
    tau: float,
    eta: float,
    log_ref: Array,
) -> None:
    """Evaluate and improve in place (`Q`, `V`, `log_pi`)."""
    H, S, A = Q.shape
    nu, width = np.zeros(scale.size), np.zeros(scale.size)
    for h in range(H - 1, -1, -1):
        estimate_factors(fit, h, V[h + 1], rho[h], kind, False, float(H - h - 1), nu)
        coordinate_widths(fit, h, scale, width)
        for s in range(S):
            for a in range(A):
                q = weighted_widths(fit, s, a, theta[h]) + weighted_widths(fit, s, a, nu)
                q += weighted_widths(fit, s, a, width)
                Q[h, s, a] = min(max(q, 0.0), float(H - h))
            mirror_step(log_pi[h, s], Q[h, s], eta, tau, log_ref[s], log_pi[h, s])
            V[h, s] = 0.0
            for a in range(A):
                if sim.mask[s, a]:
                    price = tau * (log_pi[h, s, a] - log_ref[s, a])
                    V[h, s] += math.exp(log_pi[h, s, a]) * (Q[h, s, a] - price)


@kernel
def _dr_rpo(
    value: Array,
    upper: Array,
    Q: Array,
    pi: Array,
    N: IntArray,
    fit: ValueRegression,
    sim: Simulator,
    theta: Array,
    rho: Array,
    model: RobustModel,
    scale: Array,
    tau: float,
    eta: float,
    log_ref: Array,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (`value` to `fit`)."""
    H, S, A = Q.shape
    V, V_pi, log_pi, u = np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S, A)), np.zeros(scale.size)
    log_pi[:] = log_ref
    for k in range(value.size):
        # evaluate, improve
        _improve(Q, V, log_pi, fit, sim, theta, rho, model.kind, scale, tau, eta, log_ref)
        pi[:] = np.exp(log_pi)
        value[k] = robust_value(model, pi, tau, log_ref, V_pi)  # measurement
        upper[k] = 0.0
        for s in range(S):
            upper[k] += sim.mu[s] * V[0, s]

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = sample(pi[h, s], rng)
            s_next, reward, _ = step(sim, h, s, a, rng)

            # update
            add_round(fit, h, s, a, reward, s_next, u)
            N[h, s, a] += 1
            s = s_next
