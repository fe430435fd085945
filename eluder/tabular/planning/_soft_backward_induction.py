r"""Soft backward induction: a finite horizon regularised by entropy or by a divergence (Ziebart 2010).

Pseudo-code, in our names, with temperature tau::

    V[H] <- 0
    for h = H-1, ..., 0:
        Q[h]  <- r[h] + P[h] V[h+1]
        V[h]  <- tau log sum_a ref[h, s, a] exp(Q[h, s, a] / tau)
        pi[h] <- ref[h] exp((Q[h] - V[h]) / tau)

Guarantee: V is the largest value of  E sum_h r_h - tau KL(pi_h || ref_h)  and pi attains it; without a
reference, ref = 1 and the entropy is rewarded instead. Rounding adds the declared gap.

Deviations from the paper: none.
"""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import EpisodicMDP
from eluder.core.results import PlanResult
from eluder.tabular.planning._backward_induction import action_values, check_episodic, rounding
from eluder.tabular.planning._soft_value_iteration import LARGEST, log_reference, soft_greedy, soft_size

__all__ = ["soft_backward_induction"]


def soft_backward_induction(mdp: EpisodicMDP, *, tau: float, ref: ArrayLike | None = None) -> PlanResult:
    """Plan an episodic problem with an entropy bonus, or with a price on leaving a reference policy.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem.
    tau : float
        Temperature, positive and at most 1e100, in units of reward.
    ref : array_like, shape (S, A) or (H, S, A), optional
        Reference policy, probabilities; by default there is none and the entropy is rewarded.

    Returns
    -------
    PlanResult
        Soft values ``V`` (H, S) and ``Q`` (H, S, A), the probabilities ``pi`` (H, S, A) by stage from 0;
        ``num_iter`` is H, ``gap`` a bound on rounding.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `tau` is out of range, or `ref` is not a policy or plays an unavailable
        action.

    Notes
    -----
    O(H S^2 A) time, O(H S A) memory.

    References
    ----------
    .. [1] Ziebart. Modeling purposeful adaptive behavior with the principle of maximum causal entropy.
       PhD thesis, Carnegie Mellon University, 2010.

    Examples
    --------
    With reward 0 only the entropy of two actions is left, log 2 a stage:

    >>> from eluder.core.problems import EpisodicMDP
    >>> coin = EpisodicMDP(P=[[[1.0], [1.0]]], r=[[0.0, 0.0]], mu=[1.0], H=2)
    >>> (soft_backward_induction(coin, tau=0.1).V / np.log(2)).round(6).ravel()
    array([0.2, 0.1])
    """
    check_episodic(mdp)
    tau = checks.number("tau", tau, 0.0, LARGEST, open_low=True)
    H, S = mdp.H, mdp.mu.size
    log_ref = np.broadcast_to(log_reference(mdp, ref), (H, *mdp.mask.shape))
    Q = np.empty((H, *mdp.mask.shape))
    pi = np.empty_like(Q)
    V = np.zeros((H + 1, S))
    for h in range(H - 1, -1, -1):
        Q[h] = action_values(mdp, h, V[h + 1])
        V[h], pi[h] = soft_greedy(Q[h], log_ref[h], tau)
    return PlanResult(V[:H], Q, pi, H, rounding(mdp, V, soft_size(log_ref, tau)), "converged")


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Modeling purposeful adaptive behavior with the principle of maximum causal entropy",
            authors="Ziebart",
            venue="PhD thesis, Carnegie Mellon University",
            year=2010,
        ),
        setting="planning",
        statement="V is the optimal soft value and pi attains it, up to rounding",
        assumptions="tau > 0",
    ),
)
