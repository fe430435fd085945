r"""VA-R2PVI: variance-aware R2PVI for penalised robust linear MDPs (Tang, Liu & Xu, ICML 2025).

Pseudo-code, in our names; the first part of the data, D', is for the variances::

    V' <- the values of R2PVI on D'
    for h = H-1, ..., 0:
        Lambda' <- I + sum over D' of phi phi'
        u, u_square <- Lambda'^-1 sum over D' of phi V'[h+1](s'), and of phi V'[h+1](s')^2
        var <- max(1, clip(phi u_square, 0, (H-h-1)^2) - clip(phi u, 0, H-h-1)^2)
        Sigma <- lam I + sum over D of phi phi' / var(s, a)
        z(g) <- Sigma^-1 sum over D of phi g(V[h+1](s')) / var(s, a)
        nu[i] <- the dual of R2PVI with the weight w = level[h, i], put on z_i
        Q[h] <- clip(phi (theta[h] + nu) - sum_i beta[h, i] phi_i sqrt((Sigma^-1)_ii), 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with lam = 1 / H^2, K transitions a stage in D and ``beta[h, i] = c L sqrt(d) ln(2 d H K / delta)``. L says
how far the dual moves with the regressions: 1 for tv, e^(H / w) for kl and 1 + H / w for chi2.

Guarantee: none of its own. R2PVI's theorem is on regressions without weights; what weights gain is proven for
balls (VA-DRPVI). The form for tv is in the code that the authors of R2PVI released.

Deviations from the paper: it has no pseudo-code of this; weights, ridge and the radius for tv are those of
VA-DRPVI (Liu & Xu, 2024), whose logarithm is not confirmed either. For kl and chi2, not in the authors'
code, L is derived here: for kl, ``w / z`` is at most ``w e^(H / w)`` and what is regressed has the
slope 1 / w in V; for chi2 the first moment counts ``1 + H / (2 w)`` times, the second, of slope 2 H, ``1 / (4
w)`` times. The rest as in R2PVI.
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
from eluder.core.types import Array
from eluder.linear.robust._pessimism import pessimistic, plain_regression, weighted_regression
from eluder.linear.robust._r2pvi import radius as plain_radius

__all__ = ["va_r2pvi"]


def va_r2pvi(
    mdp: RobustLinearMDP,
    data: Transitions,
    *,
    lam: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
) -> PessimisticResult:
    """Learn a policy for a penalised robust problem from transitions weighted by variances.

    Parameters
    ----------
    mdp : RobustLinearMDP
        With mode "penalty". The learner reads `phi`, `theta`, the available actions, the horizon, the
        divergence and its weights; nothing else.
    data : Transitions
        At least 2 transitions of each stage of the nominal problem; the first half serves the variances.
    lam : float, optional
        Weight > 0 of the weighted ridge; ``1 / H^2`` by default. That of the first part is 1.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies both radii, `beta` and that of R2PVI on the first part; smaller is common in practice.

    Returns
    -------
    PessimisticResult
        Policy, lower estimates of its robust values, and the penalties.

    Raises
    ------
    ValueError
        If `mdp` is not robust with penalties, `data` not transitions of its stages, states and available
        actions or fewer than 2, `lam` is not positive, `delta` is outside (0, 1), or `c` is negative or makes
        a radius exceed 1e100.

    Notes
    -----
    O(K H (d^2 + S A d)) time for the data and O(H (d^2 S + S log S + S A d)) for each of two plans.

    References
    ----------
    .. [1] Tang, Liu and Xu. Robust offline reinforcement learning with linearly structured f-divergence
       regularization. ICML 2025. arXiv:2411.18612
    .. [2] Liu and Xu. Minimax optimal and computationally efficient algorithms for distributionally robust
       offline reinforcement learning. NeurIPS 2024. arXiv:2403.09621

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
    >>> va_r2pvi(mdp, data, c=0.001).pi.shape
    (3, 5)
    """
    refuse_not_robust(mdp, "penalty")
    (S, A, d), H = mdp.phi.shape, mdp.H
    refuse_outside(data, S, A, H, mdp.mask)
    aside, rest = halves(data)
    lam = 1 / H**2 if lam is None else checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    first = plain_radius(mdp.divergence, d, H, len(aside.r), delta, mdp.level)
    beta = radius(mdp.divergence, d, H, len(rest.r), delta, mdp.level)
    checked_radius(c * float(max(first.max(), beta.max())), c=c)
    plain = plain_regression(mdp, aside, 1.0)
    V = pessimistic(mdp, plain, c * first).V
    return pessimistic(mdp, weighted_regression(mdp, rest, lam, plain, V), c * beta)


def sensitivity(divergence: str, H: int, level: Array) -> Array:
    """Return L of each weight: 1 (tv), ``e^(H / w)`` (kl) or ``1 + H / w`` (chi2), derived here.

    Ratios ``H / w`` are cut at 200 for kl, and weights at 1e-50: all estimates are 0 before that.
    """
    w = np.maximum(level, 1e-50)
    if divergence == "tv":
        return np.ones(w.shape)
    return np.asarray(np.exp(np.minimum(H / w, 200.0)) if divergence == "kl" else 1 + H / w)


def radius(divergence: str, d: int, H: int, K: int, delta: float, level: Array) -> Array:
    """Return ``beta = L sqrt(d) ln(2 d H K / delta)`` for each weight; constants are not confirmed."""
    return sensitivity(divergence, H, level) * (math.sqrt(d) * math.log(2 * d * H * K / delta))


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
        statement="no theorem of its own: that of R2PVI is on regressions without weights",
        assumptions="d-rectangular linear robust regularised MDP; the radii are not confirmed",
    ),
)
