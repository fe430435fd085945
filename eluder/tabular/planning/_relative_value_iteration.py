r"""Relative value iteration for the average reward (White 1963), made aperiodic (Schweitzer 1971).

Pseudo-code, in our names, with x = `step`::

    V <- 0
    repeat
        TV <- max_a r + P V;  d <- TV - V
        stop if span(d)/2 <= tol
        V  <- V + x d;  V <- V - V[0]                                                 # (1-x) V + x TV
    return gain = (min d + max d)/2, V = TV - TV[0], Q = r + P V_last - TV[0]

Guarantee: min d <= gain* <= max d at any V, and the greedy policy's gain is at least min d; V converges,
and span(d) goes to 0, if the problem is weakly communicating (every unichain problem is): with x < 1 the
chain of each policy may stay where it is, hence is aperiodic (Puterman 1994, sections 8.5.4, 8.5.5 and
9.5.3).

Deviations from the papers: the transformation is made in the update, V + x (TV - V), and not in the kernel;
problems that are not weakly communicating are refused before the first sweep.
"""

from typing import Any

import numpy as np
import scipy.sparse

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array, IntArray
from eluder.tabular.planning._sweeps import Bellman, Certificate, bellman, check_kind, enough, status, sweep

__all__ = ["relative_value_iteration"]

sparse: Any = scipy.sparse  # its stubs refuse arrays of unknown format


def relative_value_iteration(
    mdp: DiscountedMDP, *, tol: float = 1e-8, step: float = 0.9, max_iter: int = 1_000_000
) -> PlanResult:
    """Plan for the average reward by relative value iteration.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse, its discount is ignored. It must be weakly
        communicating: one set of states in which each can be reached from each, left by no action, and
        other states transient under every policy. Unichain problems are of this kind.
    tol : float, default=1e-8
        Accuracy of the gain, in units of reward.
    step : float, default=0.9
        Part of a sweep that is taken, in (0, 1]; 1 may cycle for ever if the problem is periodic.
    max_iter : int, default=1_000_000
        Largest number of sweeps.

    Returns
    -------
    PlanResult
        ``gain``, the bias ``V`` (S,) with ``V[0] = 0``, ``Q`` (S, A) with ``V = max_a Q``, greedy ``pi``
        (S,), ``gap`` with ``|gain* - gain| <= gap``; ``num_iter`` counts sweeps.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP or is multichain, `tol` is not positive, `step` is outside (0, 1] or
        `max_iter` < 1.

    Notes
    -----
    O(nnz(P)) time per sweep, O(S A) memory.

    References
    ----------
    .. [1] White. Dynamic programming, Markov chains, and the method of successive approximations. Journal of
       Mathematical Analysis and Applications 6, 1963.
    .. [2] Schweitzer. Iterative solution of the functional equations of undiscounted Markov renewal
       programming. Journal of Mathematical Analysis and Applications 34, 1971.
    .. [3] Puterman. Markov Decision Processes. Wiley 1994, section 8.5.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> two_cycle = DiscountedMDP([[[0, 1.0]], [[1.0, 0]]], [[0], [1]], [1, 0], 1.0)
    >>> round(relative_value_iteration(two_cycle).gain, 6)
    0.5
    """
    check_kind(mdp)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    step = checks.number("step", step, 0.0, 1.0, open_low=True)
    max_iter = checks.integer("max_iter", max_iter)
    check_weakly_communicating(mdp)
    return _relative_value_iteration(bellman(mdp, 1.0), step, tol, max_iter)


def _relative_value_iteration(b: Bellman, step: float, tol: float, max_iter: int) -> PlanResult:
    """Sweep, and take a part of each step."""
    V = np.zeros(b.r.shape[0])
    n = 0

    while True:
        low, high = sweep(b, V)
        cert = gain_certificate(low, high, b.error, V)
        n += 1
        if enough(cert, tol) or n >= max_iter:
            break
        V += step * (b.TV - V)
        V -= V[0]

    text = status(cert, tol, n, "raise max_iter, or choose step = 0.5")
    anchor = b.TV[0]
    return PlanResult(b.TV - anchor, b.Q - anchor, b.pi, n, cert.gap, text, gain=0.5 * (low + high))


def gain_certificate(low: float, high: float, error: float, V: Array) -> Certificate:
    """Turn ``low <= TV - V <= high`` into a bound on how far ``(low + high)/2`` is from the optimal gain."""
    floor = error * float(np.abs(V).max() + max(abs(low), abs(high)))
    return Certificate(0.0, 0.5 * (high - low) + floor, floor, high - low)


def check_weakly_communicating(mdp: DiscountedMDP) -> None:
    """Refuse a problem in which some policy stays in either of two disjoint sets of states."""
    sets = end_components(mdp)
    if len(sets) > 1:
        named = " and ".join(str([*c[:5].tolist(), *(["..."] if c.size > 5 else [])]) for c in sets[:2])
        raise ValueError(
            f"mdp is multichain: a policy can stay in either of {len(sets)} disjoint sets of states, such as "
            f"{named}, so the best average reward may depend on the start"
        )


def end_components(mdp: DiscountedMDP) -> list[IntArray]:
    """Return the maximal sets of states that can be kept for ever, each state reached from each.

    Cut, again and again, the actions that may leave their strongly connected component. O(nnz(P)) a round.
    """
    from scipy.sparse.csgraph import connected_components

    S, A = mdp.r.shape
    P: Any = mdp.P if sparse.issparse(mdp.P) else sparse.csr_array(mdp.P.reshape(S * A, S))
    pair = np.repeat(np.arange(S * A), np.diff(P.indptr))
    allowed = mdp.mask.ravel().copy()
    while True:
        used = allowed[pair]
        edges = sparse.coo_array((np.ones(used.sum()), (pair[used] // A, P.indices[used])), (S, S))
        label = connected_components(edges.tocsr(), directed=True, connection="strong")[1]
        alive = allowed.reshape(S, A).any(axis=1)
        leaves = used & (label[pair // A] != label[P.indices])
        if not leaves.any():
            return [np.flatnonzero(label == c) for c in np.unique(label[alive])]
        allowed[pair[leaves]] = False


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Dynamic programming, Markov chains, and the method of successive approximations",
            authors="White",
            venue="Journal of Mathematical Analysis and Applications",
            year=1963,
        ),
        setting="planning",
        statement="min(TV - V) <= gain* <= max(TV - V), and both converge to gain*",
        assumptions="weakly communicating (unichain, for example); step < 1",
    ),
)
