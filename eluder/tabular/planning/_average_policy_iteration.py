r"""Policy iteration for the average reward (Howard 1960), for weakly communicating problems.

Pseudo-code, in our names::

    pi <- a policy that leads from everywhere to one state
    repeat
        solve gain + V = r_pi + P_pi V                                                # evaluate
        Q  <- r + P V                                                                 # improve
        switch pi[s] to argmax_a Q[s, .] where max_a Q[s, a] > Q[s, pi[s]] + eta
        stop if no state switched, or span(max_a Q - V)/2 <= tol
        if pi has several closed classes: keep the one of highest gain, lead all other states there

Guarantee: each step raises the gain, or keeps it and raises the bias, so it ends (Puterman 1994, section
8.6). Then min d <= gain* <= max d with d = max_a Q - V certifies the answer. If a new policy has several
closed classes, all but at most one contain a state that switched (the old policy had one class only), and a
class with such a state has a higher gain than the old policy; so the last line raises the gain too.

Deviations from the book: an action is kept unless another is better by eta = tol, or by more than rounding,
so that ties end; the first policy is chosen to have one closed class, and later ones are led back to one.
"""

from typing import Any

import numpy as np

from eluder.core import checks
from eluder.core.exact import closed_classes, gain_and_bias, policy_kernel, reaching_policy
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array, IntArray
from eluder.tabular.planning._relative_value_iteration import (
    check_weakly_communicating,
    end_components,
    gain_certificate,
)
from eluder.tabular.planning._sweeps import Bellman, bellman, check_kind, enough, status, sweep

__all__ = ["average_policy_iteration"]


def average_policy_iteration(mdp: DiscountedMDP, *, tol: float = 1e-8, max_iter: int = 10_000) -> PlanResult:
    """Plan for the average reward by policy iteration.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse, its discount is ignored. It must be weakly
        communicating, see `relative_value_iteration`; unichain problems are.
    tol : float, default=1e-8
        Accuracy of the gain, in units of reward.
    max_iter : int, default=10_000
        Largest number of policies.

    Returns
    -------
    PlanResult
        ``gain``, the bias ``V`` (S,) with ``V[0] = 0``, ``Q`` (S, A) with ``V = max_a Q``, ``pi`` (S,),
        ``gap`` with ``|gain* - gain| <= gap``; ``num_iter`` counts policies evaluated.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP or is multichain, `tol` is not positive or `max_iter` < 1.

    Notes
    -----
    Per policy O(nnz(P)) and two linear systems, O(S^3) or a sparse LU each.

    References
    ----------
    .. [1] Howard. Dynamic Programming and Markov Processes. MIT Press 1960.
    .. [2] Puterman. Markov Decision Processes. Wiley 1994, section 8.6.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> two_cycle = DiscountedMDP([[[0, 1.0]], [[1.0, 0]]], [[0], [1]], [1, 0], 1.0)
    >>> round(average_policy_iteration(two_cycle).gain, 6)
    0.5
    """
    check_kind(mdp)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    max_iter = checks.integer("max_iter", max_iter)
    check_weakly_communicating(mdp)
    return _average_policy_iteration(mdp, bellman(mdp, 1.0), tol, max_iter)


def _average_policy_iteration(mdp: DiscountedMDP, b: Bellman, tol: float, max_iter: int) -> PlanResult:
    """Evaluate exactly and improve, in turn."""
    pi = reaching_policy(mdp, int(end_components(mdp)[0][0]))
    n = 0

    while True:
        # evaluate
        _, V = gain_and_bias(mdp, pi)
        n += 1

        # improve
        low, high = sweep(b, V)
        cert = gain_certificate(low, high, b.error, V)
        better = b.TV - b.Q[np.arange(V.size), pi] > max(tol, 4.0 * cert.floor)
        if not better.any() or enough(cert, tol) or n >= max_iter:
            break
        pi = one_class(mdp, np.where(better, b.pi, pi))

    text = status(cert, tol, n, "raise max_iter, or use relative_value_iteration")
    anchor = b.TV[0]
    return PlanResult(b.TV - anchor, b.Q - anchor, b.pi, n, cert.gap, text, gain=0.5 * (low + high))


def one_class(mdp: DiscountedMDP, pi: IntArray) -> IntArray:
    """Return `pi`, led from everywhere into its closed class of highest gain if it has several."""
    P_pi, r_pi = policy_kernel(mdp, pi)
    classes = closed_classes(P_pi)
    if len(classes) == 1:
        return pi
    best = max(classes, key=lambda states: class_gain(P_pi, r_pi, states))
    return np.where(np.isin(np.arange(pi.size), best), pi, reaching_policy(mdp, best[0]))


def class_gain(P_pi: Any, r_pi: Array, states: list[int]) -> float:
    """Return the gain of a closed class of a chain."""
    n = len(states)
    P = P_pi[states][:, states]
    P = P[:, None] if isinstance(P, np.ndarray) else P
    chain = DiscountedMDP(P, r_pi[states, None], np.full(n, 1 / n), 1.0)
    return gain_and_bias(chain, np.zeros(n, np.int64))[0]


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Dynamic Programming and Markov Processes", authors="Howard", venue="MIT Press", year=1960
        ),
        setting="planning",
        statement="gain, then bias, rises with each policy; min(TV - V) <= gain* <= max(TV - V)",
        assumptions="weakly communicating (unichain, for example)",
    ),
)
