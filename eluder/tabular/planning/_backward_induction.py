r"""Backward induction for a finite horizon (Bellman 1957; Puterman 1994, section 4.5).

Pseudo-code, in our names::

    V[H] <- 0
    for h = H-1, ..., 0:
        Q[h]  <- r[h] + P[h] V[h+1]
        V[h]  <- max_a Q[h];  pi[h] <- argmax_a Q[h]

Guarantee: V is the optimal value and pi an optimal policy, by induction; rounding adds the declared gap.

Deviations from the book: none.
"""

import numpy as np

from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import EpisodicMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array
from eluder.tabular.planning._sweeps import EPS

__all__ = ["backward_induction"]


def backward_induction(mdp: EpisodicMDP) -> PlanResult:
    """Plan an episodic problem.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem.

    Returns
    -------
    PlanResult
        ``V`` (H, S), ``Q`` (H, S, A), ``pi`` (H, S) by stage from 0; ``num_iter`` is H, ``gap`` a bound on
        rounding.

    Raises
    ------
    ValueError
        If `mdp` is not episodic.

    Notes
    -----
    O(H S^2 A) time, O(H S A) memory.

    References
    ----------
    .. [1] Bellman. Dynamic Programming. Princeton 1957.
    .. [2] Puterman. Markov Decision Processes. Wiley 1994, section 4.5.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> backward_induction(EpisodicMDP(P=[[[1.0], [1.0]]], r=[[0.2, 0.5]], mu=[1.0], H=2)).V.ravel()
    array([1. , 0.5])
    """
    check_episodic(mdp)
    H, S = mdp.H, mdp.mu.size
    Q = np.empty((H, *mdp.mask.shape))
    V = np.zeros((H + 1, S))
    for h in range(H - 1, -1, -1):
        Q[h] = action_values(mdp, h, V[h + 1])
        V[h] = Q[h].max(axis=1)
    return PlanResult(V[:H], Q, Q.argmax(axis=2), H, rounding(mdp, V), "converged")


def check_episodic(mdp: EpisodicMDP) -> None:
    """Refuse anything that is not episodic."""
    if not isinstance(mdp, EpisodicMDP):
        raise ValueError(f"mdp must be an EpisodicMDP, got {type(mdp).__name__}")


def action_values(mdp: EpisodicMDP, h: int, V: Array) -> Array:
    """Return ``r[h] + P[h] V``, -inf where an action is not available."""
    S, A = mdp.mask.shape
    P = mdp.P[h] if mdp.P.ndim == 4 else mdp.P
    r = mdp.r[h] if mdp.r.ndim == 3 else mdp.r
    return np.where(mdp.mask, r + (P.reshape(S * A, S) @ V).reshape(S, A), -np.inf)


def rounding(mdp: EpisodicMDP, V: Array, size: float = 0.0) -> float:
    """Return a bound on what rounding adds to the values `V` (H + 1, S): S + 2 operations a stage.

    `size` is that of further terms of each value.
    """
    return mdp.H * (mdp.mu.size + 2) * EPS * (float(np.abs(V).max()) + size)


GUARANTEES = (
    Guarantee(
        paper=Paper(title="Dynamic Programming", authors="Bellman", venue="Princeton", year=1957),
        setting="planning",
        statement="V = V* and pi is optimal, up to rounding",
    ),
)
