r"""DRPVI: distributionally robust pessimistic value iteration over balls (Liu & Xu, NeurIPS 2024).

Pseudo-code (algorithm 1), in our names::

    for h = H-1, ..., 0:
        Lambda <- lam I + sum of phi phi' over the data of stage h
        z(g) <- Lambda^-1 sum of phi g(V[h+1](s')) over the data;  low = min V[h+1]
        for i = 1, ..., d, with the radius rho = level[h, i]:
            tv:    nu[i] <- max_a z_i(min(V, a)) - rho (a - low)
            kl:    nu[i] <- low + max_l -l ln(1 + z_i(exp((low - V) / l) - 1)) - l rho
            chi2:  nu[i] <- low + max_a x - sqrt(rho max(y - x^2, 0)),  x = z_i(min(V - low, a)),
                                                                        y = z_i(min(V - low, a)^2)
        Q[h] <- clip(phi (theta[h] + nu) - beta sum_i phi_i sqrt((Lambda^-1)_ii), 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with lam = 1 and beta = c 4 sqrt(d) H sqrt(ln(2 d H^2 K / delta)).

Guarantee (tv): if the least eigenvalue of E[phi phi'] under the data's policy is kappa > 0 in all stages and
``K > max(512 ln(2 d H^2 / delta) / kappa^2, 20449 d^2 H^2 / kappa)``, with probability at least 1 - delta

    V*(s) - V^pi(s) <= 2 sup_P sum_h E_{pi*, P}[beta sum_i phi_i sqrt((Lambda_h^-1)_ii) | s_0 = s]

robust values both, the supremum over the balls (Theorem 4.4, with Lemmas D.1 and D.2): of order 1 / sqrt(K).

Deviations from the paper: it has balls in total variation. For kl this is the pessimistic DRVI-L of Ma et al.
(2022), whose radius, larger, is not confirmed; chi2 is not in either, and stands here with the same widths
and no guarantee. The top H is replaced by what is left, H - h - 1. The least value is that of the estimates
over the states, and for kl and chi2 values count from it; a state that pays nothing for ever makes it 0.
The maximum over a is exact; over l it is the first from above. With kl and chi2 it is cut to what rho = 0
gives. With exact data there is no other, while with few data the formula of kl grows without meaning towards
l = 0, which Ma et al. exclude by an assumption. The parameter theta of the rewards is known, as there.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.results import PessimisticResult
from eluder.core.ridge import checked_radius
from eluder.core.robust_linear import RobustLinearMDP, refuse_not_robust
from eluder.core.transitions import Transitions, refuse_outside
from eluder.linear.robust._pessimism import pessimistic, plain_regression

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
        With balls. The learner reads `phi`, `theta`, the available actions, the horizon, the divergence and
        the radii; nothing else.
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
        If `mdp` is not robust with balls, `data` not transitions of its stages, states and available actions,
        `lam` is not positive, `delta` is outside (0, 1), or `c` is negative or makes the radius exceed 1e100.

    Notes
    -----
    O(K H (d^2 + S A d)) time for the data and O(H (d^2 S + S log S + S A d)) for the plan; KL takes some
    hundred passes over S for each factor.

    References
    ----------
    .. [1] Liu and Xu. Minimax optimal and computationally efficient algorithms for distributionally robust
       offline reinforcement learning. NeurIPS 2024, Theorem 4.4. arXiv:2403.09621
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
    refuse_not_robust(mdp, "ball")
    (S, A, d), H = mdp.phi.shape, mdp.H
    refuse_outside(data, S, A, H, mdp.mask)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    beta = checked_radius(c * radius(d, H, len(data.r), delta), c=c)
    return pessimistic(mdp, plain_regression(mdp, data, lam), np.full((H, d), beta))


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = 4 sqrt(d) H sqrt(ln(2 d H^2 K / delta))`` (Lemma D.2)."""
    return 4 * math.sqrt(d) * H * math.sqrt(math.log(2 * d * H**2 * K / delta))


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
        "with probability 1 - delta (Theorem 4.4), for balls in total variation",
        assumptions="d-rectangular linear robust MDP; data that cover all features (least eigenvalue kappa), "
        "K > max(512 ln(2 d H^2 / delta) / kappa^2, 20449 d^2 H^2 / kappa)",
    ),
)
