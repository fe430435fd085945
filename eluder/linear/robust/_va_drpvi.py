r"""VA-DRPVI: variance-aware DRPVI over balls in total variation (Liu & Xu, NeurIPS 2024).

Pseudo-code (algorithm 3, appendix B), in our names; the first part of the data, D', is for the variances::

    V' <- the values of DRPVI on D'
    for h = H-1, ..., 0:
        Lambda' <- I + sum over D' of phi phi'
        u, u_square <- Lambda'^-1 sum over D' of phi V'[h+1](s'), and of phi V'[h+1](s')^2
        var <- max(1, clip(phi u_square, 0, (H-h-1)^2) - clip(phi u, 0, H-h-1)^2)
        Sigma <- lam I + sum over D of phi phi' / var(s, a)
        z(g) <- Sigma^-1 sum over D of phi g(V[h+1](s')) / var(s, a)
        nu[i] <- max_a z_i(min(V[h+1], a)) - level[h, i] (a - min V[h+1])
        Q[h] <- clip(phi (theta[h] + nu) - beta sum_i phi_i sqrt((Sigma^-1)_ii), 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with lam = 1 / H^2 and beta = c sqrt(d) ln(2 d H K / delta), K transitions a stage in D.

Guarantee: for data that cover all features and K large, with probability at least 1 - delta,

    V*(s) - V^pi(s) <= O~(sqrt(d)) sup_P sum_h E_{pi*, P}[sum_i phi_i sqrt((Sigma*_h^-1)_ii) | s_0 = s]

robust values both, the supremum over the balls, Sigma* weighted by the variances of the true V* (Theorem
B.1). H is gone from the radius, and the range of robust values shrinks to (1 - (1 - rho)^H) / rho (Lemma
5.1): with a large radius the bound is better than DRPVI's by a factor of order H.

Deviations from the paper: algorithm 2, with the same theorem, has other weights for each a. The paper writes
beta = O~(sqrt(d)); the logarithm here is not confirmed. It takes a term O~(d H^3 / sqrt(kappa K)) off the
variances, of an unknown constant and an eigenvalue kappa that no learner knows; here nothing is taken off.
The top H is replaced by what is left. The least value is that of the estimates over the states. The paper
has two data sets; here they are the halves of one. The parameter theta of the rewards is known, as there.
Balls of KL and chi-square are accepted, with the duals of DRPVI: this is not in the paper, without guarantee.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.offline_regression import halves
from eluder.core.results import PessimisticResult
from eluder.core.ridge import checked_radius
from eluder.core.robust_linear import RobustLinearMDP, refuse_not_robust
from eluder.core.transitions import Transitions, refuse_outside
from eluder.linear.robust._drpvi import radius as plain_radius
from eluder.linear.robust._pessimism import pessimistic, plain_regression, weighted_regression

__all__ = ["va_drpvi"]


def va_drpvi(
    mdp: RobustLinearMDP,
    data: Transitions,
    *,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
) -> PessimisticResult:
    """Learn a policy for a robust problem with balls from transitions weighted by variances.

    Parameters
    ----------
    mdp : RobustLinearMDP
        With balls. The learner reads `phi`, `theta`, the available actions, the horizon, the divergence and
        the radii; nothing else.
    data : Transitions
        At least 2 transitions of each stage of the nominal problem; the first half serves the variances.
    lam : float, optional
        Weight > 0 of the weighted ridge; ``1 / H^2`` by default. That of the first part is 1.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies both radii, `beta` and that of DRPVI on the first part; smaller is common in practice.

    Returns
    -------
    PessimisticResult
        Policy, lower estimates of its robust values, and the penalties.

    Raises
    ------
    ValueError
        If `mdp` is not robust with balls, `data` not transitions of its stages, states and available actions
        or fewer than 2, `lam` is not positive, `delta` is outside (0, 1), or `c` is negative or makes a
        radius exceed 1e100.

    Notes
    -----
    O(K H (d^2 + S A d)) time for the data and O(H (d^2 S + S log S + S A d)) for each of two plans.

    References
    ----------
    .. [1] Liu and Xu. Minimax optimal and computationally efficient algorithms for distributionally robust
       offline reinforcement learning. NeurIPS 2024, Theorems 5.2 and B.1. arXiv:2403.09621

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
    >>> va_drpvi(mdp, data, c=0.001).pi.shape
    (3, 5)
    """
    refuse_not_robust(mdp, "ball")
    (S, A, d), H = mdp.phi.shape, mdp.H
    refuse_outside(data, S, A, H, mdp.mask)
    aside, rest = halves(data)
    lam = 1 / H**2 if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    first = checked_radius(c * plain_radius(d, H, len(aside.r), delta), c=c)
    beta = checked_radius(c * radius(d, H, len(rest.r), delta), c=c)
    plain = plain_regression(mdp, aside, 1.0)
    V = pessimistic(mdp, plain, np.full((H, d), first)).V
    return pessimistic(mdp, weighted_regression(mdp, rest, lam, plain, V), np.full((H, d), beta))


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = sqrt(d) ln(2 d H K / delta)``; the paper's is this up to constants and logarithms."""
    return math.sqrt(d) * math.log(2 * d * H * K / delta)


def value_range(rho: float, H: int) -> float:
    """Return ``(1 - (1 - rho)^H) / rho``, the largest range of robust values over H stages (Lemma 5.1)."""
    return float(H) if rho == 0 else -math.expm1(H * math.log1p(-rho)) / rho if rho < 1 else 1.0


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
        statement="suboptimality O~(sqrt(d)) sup_P sum_h E_{pi*, P}[sum_i phi_i sqrt((Sigma*^-1)_ii)] with "
        "probability 1 - delta, Sigma* weighted by the variances of V* (Theorems 5.2 and B.1), for balls in "
        "total variation",
        assumptions="d-rectangular linear robust MDP, data that cover all features (least eigenvalue kappa), "
        "K > max(O~(d^2 H^6 / kappa), O~(H^4 / kappa^2)); constants are not in the paper",
    ),
)
