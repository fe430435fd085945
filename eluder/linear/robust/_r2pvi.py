r"""R2PVI: pessimistic value iteration for robust regularised linear MDPs (Tang, Liu & Xu, ICML 2025).

Pseudo-code (algorithm 1), in our names::

    for h = H-1, ..., 0:
        Lambda <- lam I + sum of phi phi' over the data of stage h
        z(g) <- Lambda^-1 sum of phi g(V[h+1](s')) over the data
        for i = 1, ..., d, with the weight w = level[h, i]:
            tv:    nu[i] <- z_i(min(V, min V + w))
            kl:    nu[i] <- -w ln(max(z_i(exp(-V / w)), exp(-H / w)))
            chi2:  nu[i] <- max_a x + (x^2 - y) / (4 w),  x = [z_i(min(V, a))]_[0, H],
                                                          y = [z_i(min(V, a)^2)]_[0, H^2]
        Q[h] <- clip(phi (theta[h] + nu) - sum_i beta[h, i] phi_i sqrt((Lambda^-1)_ii), 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with lam = 1, xi = 2 ln(1024 H sqrt(d) K^2 / delta) and ``beta = c 16 d H sqrt(xi)`` for tv,
``c 16 d w e^(H / w) sqrt(H / w + xi)`` for kl and ``c 8 d H^2 (1 + 1 / w) sqrt(xi)`` for chi2.

Guarantee: with probability at least 1 - delta the suboptimality in the penalised robust problem is at most
``2 sup_P sum_h E_{pi*, P}[sum_i beta phi_i sqrt((Lambda_h^-1)_ii)]``, the supremum over the kernels that
nature may choose; with data that cover, of order 1 / sqrt(K), which is near the lower bound. (The penalty's
form and the order are confirmed; the constants of beta are from memory.)

Deviations from the paper: the top H is replaced by what is left, H - h - 1. For tv the least value is that
of the estimates over the states; a state that pays nothing for ever, which the paper assumes, makes it 0.
For chi2 a is between the least and the largest value. The parameter theta of the rewards is known, as
there.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.results import PessimisticResult
from eluder.core.ridge import checked_radius
from eluder.core.robust_linear import RobustLinearMDP, refuse_not_robust
from eluder.core.transitions import Transitions, refuse_outside
from eluder.core.types import Array
from eluder.linear.robust._pessimism import pessimistic, plain_regression

__all__ = ["r2pvi"]


def r2pvi(
    mdp: RobustLinearMDP,
    data: Transitions,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
) -> PessimisticResult:
    """Learn a policy for a penalised robust problem from transitions of the nominal one.

    Parameters
    ----------
    mdp : RobustLinearMDP
        With mode "penalty". The learner reads `phi`, `theta`, the available actions, the horizon, the
        divergence and its weights; nothing else.
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
        If `mdp` is not robust with penalties, `data` not transitions of its stages, states and available
        actions, `lam` is not positive, `delta` is outside (0, 1), or `c` is negative or makes a radius exceed
        1e100.

    Notes
    -----
    O(K H (d^2 + S A d)) time for the data and O(H (d^2 S + S log S + S A d)) for the plan: no search.

    References
    ----------
    .. [1] Tang, Liu and Xu. Robust offline reinforcement learning with linearly structured f-divergence
       regularization. ICML 2025. arXiv:2411.18612

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.linear import episodic
    >>> from eluder.core.robust_linear import nominal
    >>> from eluder.core.transitions import collect_episodes
    >>> from eluder.envs import off_dynamics_linear_mdp
    >>> mdp = off_dynamics_linear_mdp(0.5, "tv", "penalty")
    >>> uniform = np.full((5, 16), 1 / 16)
    >>> data = collect_episodes(episodic(nominal(mdp)), uniform, 100, np.random.default_rng(0))
    >>> r2pvi(mdp, data, c=0.001).pi.shape
    (3, 5)
    """
    refuse_not_robust(mdp, "penalty")
    (S, A, d), H = mdp.phi.shape, mdp.H
    refuse_outside(data, S, A, H, mdp.mask)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    beta = radius(mdp.divergence, d, H, len(data.r), delta, mdp.level)
    checked_radius(c * float(beta.max()), c=c)
    return pessimistic(mdp, plain_regression(mdp, data, lam), c * beta)


def log_term(d: int, H: int, K: int, delta: float) -> float:
    """Return ``xi = 2 ln(1024 H sqrt(d) K^2 / delta)``, from memory."""
    return 2 * math.log(1024 * H * math.sqrt(d) * K**2 / delta)


def radius(divergence: str, d: int, H: int, K: int, delta: float, level: Array) -> Array:
    """Return beta for each weight in `level`; the constants are from memory.

    A radius of many H makes all estimates 0, so ratios ``H / w`` are cut at 200, and weights at 1e-50
    and 1e50.
    """
    xi, w = log_term(d, H, K, delta), np.clip(level, 1e-50, 1e50)
    if divergence == "tv":
        return np.full(w.shape, 16 * d * H * math.sqrt(xi))
    if divergence == "kl":
        ratio = np.minimum(H / w, 200.0)
        return np.asarray(16 * d * w * np.exp(ratio) * np.sqrt(ratio + xi))
    return np.asarray(8 * d * H**2 * (1 + 1 / w) * math.sqrt(xi))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Robust offline reinforcement learning with linearly structured f-divergence "
            "regularization",
            authors="Tang, Liu, Xu",
            venue="ICML",
            year=2025,
            arxiv="2411.18612",
        ),
        setting="offline",
        statement="suboptimality at most 2 sup_P sum_h E_{pi*, P}[sum_i beta phi_i sqrt((Lambda^-1)_ii)] "
        "with probability 1 - delta",
        assumptions="d-rectangular linear robust regularised MDP, for tv a state that pays nothing for ever; "
        "the constants of the radii are from memory",
    ),
)
