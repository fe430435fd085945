r"""DRPVI: distributionally robust pessimistic value iteration over balls (Liu & Xu 2024; Ma et al. 2022).

Pseudo-code, in our names::

    for h = H-1, ..., 0:
        Lambda <- lam I + sum of phi phi' over the data of stage h
        z(g) <- Lambda^-1 sum of phi g(V[h+1](s')) over the data
        for i = 1, ..., d, with the radius rho = level[h, i]:
            tv:  nu[i] <- max_a z_i(min(V, a)) - rho (a - min V)
            kl:  nu[i] <- low + max_l -l ln(1 + z_i(exp((low - V) / l) - 1)) - l rho,  low = min V
        Q[h] <- clip(phi (theta[h] + nu) - beta sum_i phi_i sqrt((Lambda^-1)_ii), 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with lam = 1, xi = 2 ln(1024 H sqrt(d) K^2 / delta) and beta = c 16 d H sqrt(xi) (tv; for kl the same). TV is
DRPVI of Liu & Xu, KL is the pessimistic DRVI-L of Ma et al.

Guarantee: with probability at least 1 - delta the robust suboptimality is at most ``2 sup_P sum_h E_{pi*,
P}[beta sum_i phi_i sqrt((Lambda_h^-1)_ii)]``, the supremum over the ball: of order 1 / sqrt(K) with data
that cover (tv, Liu & Xu; the constant of beta is from memory). For kl the paper's radius holds the least
temperature l that can be optimal, an assumption, and e^(H / l); it is not confirmed.

Deviations from the paper: the top H is replaced by what is left, H - h - 1. The least value is that of the
estimates over the states, and for kl values count from it; a state that pays nothing for ever makes it 0,
as in the papers. The maximum over a is exact. Over l it is the first maximum from above, cut to what rho =
0 gives: with exact data there is no other, while with few data the papers' formula grows without meaning
towards l = 0, which Ma et al. exclude by an assumption. The parameter theta of the rewards is known, as
there.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.divergence_kernels import DIVERGENCES
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.results import PessimisticResult
from eluder.core.robust_linear import RobustLinearMDP, refuse_not_robust
from eluder.core.transitions import Transitions, refuse_outside
from eluder.core.value_regression import new_regression
from eluder.linear.robust._pessimism import absorb, plan

__all__ = ["drpvi"]


def drpvi(
    mdp: RobustLinearMDP,
    data: Transitions,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
) -> PessimisticResult:
    """Learn a policy for a robust problem with balls from transitions of the nominal one.

    Parameters
    ----------
    mdp : RobustLinearMDP
        With balls, in total variation or KL. The learner reads `phi`, `theta`, the available actions, the
        horizon, the divergence and the radii; nothing else.
    data : Transitions
        K transitions of each stage of the nominal problem.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice.

    Returns
    -------
    PessimisticResult
        Policy, lower estimates of its robust values, and the penalties.

    Raises
    ------
    ValueError
        If `mdp` is not robust with balls in total variation or KL, `data` not transitions of its stages,
        states and actions, `lam` is not positive, `delta` is outside (0, 1), or `c` is negative.

    Notes
    -----
    O(K H (d^2 + S A d)) time for the data and O(H (d^2 S + S log S + S A d)) for the plan; KL takes some
    hundred passes over S for each factor.

    References
    ----------
    .. [1] Liu and Xu. Minimax optimal and computationally efficient algorithms for distributionally robust
       offline reinforcement learning. NeurIPS 2024. arXiv:2403.09621
    .. [2] Ma, Liang, Blanchet, Liu, Xia, Zhang, Zhao and Zhou. Distributionally robust offline reinforcement
       learning with linear function approximation. 2022. arXiv:2209.06620

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.linear import episodic
    >>> from eluder.core.robust_linear import nominal
    >>> from eluder.core.transitions import collect_episodes
    >>> from eluder.envs import off_dynamics_linear_mdp
    >>> mdp = off_dynamics_linear_mdp(0.3)
    >>> uniform = np.full((5, 16), 1 / 16)
    >>> data = collect_episodes(episodic(nominal(mdp)), uniform, 100, np.random.default_rng(0))
    >>> drpvi(mdp, data, c=0.001).pi.shape
    (3, 5)
    """
    refuse_not_robust(mdp, "ball", ("tv", "kl"))
    (S, A, d), H = mdp.phi.shape, mdp.H
    refuse_outside(data, S, A, H)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    fit = new_regression(mdp.phi, H, lam)
    absorb(fit, data.s, data.a, data.r, data.s_next)
    scale = np.full((H, d), c * radius(d, H, len(data.r), delta))
    Q, V, pi = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
    penalty, kind = np.zeros((H, S, A)), DIVERGENCES[mdp.divergence]
    plan(fit, mdp.theta, mdp.level, kind, False, scale, mdp.mask, penalty, Q, V, pi)
    Q[:, ~mdp.mask] = -np.inf
    return PessimisticResult(pi, V[:-1], Q, penalty)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = 16 d H sqrt(2 ln(1024 H sqrt(d) K^2 / delta))``, from memory."""
    return 16 * d * H * math.sqrt(2 * math.log(1024 * H * math.sqrt(d) * K**2 / delta))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Minimax optimal and computationally efficient algorithms for distributionally robust "
            "offline reinforcement learning",
            authors="Liu, Xu",
            venue="NeurIPS",
            year=2024,
            arxiv="2403.09621",
        ),
        setting="offline",
        statement="suboptimality at most 2 beta sup_P sum_h E_{pi*, P}[sum_i phi_i sqrt((Lambda^-1)_ii)] "
        "with probability 1 - delta, for balls in total variation",
        assumptions="d-rectangular linear robust MDP, a state that pays nothing for ever; the constant of "
        "the radius is from memory",
    ),
)
