r"""Policy iteration (Howard, 1960).

Pseudo-code, in our names::

    V <- T of a constant; LEAD times: V <- TV;  pi <- argmax_a Q                      # start
    repeat
        solve V = r_pi + gamma P_pi V                                                 # evaluate
        Q  <- r + gamma P V                                                           # improve
        switch pi[s] to argmax_a Q[s, .] where max_a Q[s, a] > Q[s, pi[s]] + eta
        stop if no state switched, or gamma/(1-gamma) span(max_a Q - V)/2 <= tol

Guarantee: each step raises the value, V_{n+1} >= T V_n, so |V* - V_n| <= gamma^n |V* - V_0|; with eta = 0
and exact arithmetic it ends at an optimal policy after at most O(S A/(1-gamma) log(1/(1-gamma))) switches
in all (Ye, Mathematics of Operations Research 2011; Scherrer, NIPS 2013; the order only, constants are not
declared here).

Deviations from the paper: the first policy comes from a few sweeps of value iteration, which cost less than
the linear systems that they save. An action is kept unless another is better by eta = tol (1-gamma)/2, or
by more than rounding; with plain argmax, ties make the iteration cycle for ever in floating point.
"""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array, IntArray
from eluder.tabular.planning._sweeps import (
    Bellman,
    bellman,
    check_discounted,
    enough,
    finish,
    improve,
    status,
    sweep,
)

__all__ = ["policy_iteration"]

LEAD = 3  # sweeps before the first policy

sparse: Any = scipy.sparse  # its stubs refuse arrays of unknown format


def policy_iteration(mdp: DiscountedMDP, *, tol: float = 1e-8, max_iter: int = 10_000) -> PlanResult:
    """Plan by policy iteration.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse. ``gamma < 1``.
    tol : float, default=1e-8
        Accuracy of `V` in the maximum norm, in units of value.
    max_iter : int, default=10_000
        Largest number of policies.

    Returns
    -------
    PlanResult
        ``V`` (S,), ``Q`` (S, A), ``pi`` (S,), ``gap``; ``num_iter`` counts policies evaluated.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP, gamma is 1, `tol` is not positive or `max_iter` < 1.

    Notes
    -----
    Per policy O(nnz(P)) and one linear system: LAPACK, O(S^3), for a dense kernel; for a sparse one the
    Krylov method BiCGSTAB from the last value, whose residual is checked, and sparse LU where it fails.

    References
    ----------
    .. [1] Howard. Dynamic Programming and Markov Processes. MIT Press 1960.
    .. [2] Puterman. Markov Decision Processes. Wiley 1994, section 6.4.
    .. [3] Scherrer. Improved and generalized upper bounds on the complexity of policy iteration. NIPS 2013.
       arXiv:1306.0386

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> stay_or_go = DiscountedMDP([[[1, 0], [0, 1.0]], [[0, 1], [0, 1.0]]], [[0, 0], [1, 1]], [1, 0], 0.9)
    >>> policy_iteration(stay_or_go).pi
    array([1, 0])
    """
    tol, max_iter = check_discounted(mdp, tol, max_iter)
    return _policy_iteration(mdp, bellman(mdp), tol, max_iter)


def _policy_iteration(mdp: DiscountedMDP, b: Bellman, tol: float, max_iter: int) -> PlanResult:
    """Evaluate exactly and improve, in turn."""
    S = b.r.shape[0]
    V = b.r.max(axis=1)
    V += b.gamma / (1.0 - b.gamma) * V.mean()  # T of a constant
    for _ in range(LEAD):
        sweep(b, V)
        V[:] = b.TV
    pi = b.pi.copy()
    n = 0

    while True:
        # evaluate
        noise = b.error * float(np.abs(V).max())
        V = policy_system(mdp, pi, V, max(0.1 * tol * (1.0 - b.gamma), noise))
        n += 1

        # improve
        cert = improve(b, V)
        eta = max(0.5 * tol * (1.0 - b.gamma), 4.0 * noise)
        better = b.TV - b.Q[np.arange(S), pi] > eta
        if not better.any() or enough(cert, tol) or n >= max_iter:
            break
        pi = np.where(better, b.pi, pi)

    return finish(b, cert, n, status(cert, tol, n, "raise max_iter, or use modified_policy_iteration"))


def policy_system(mdp: DiscountedMDP, pi: IntArray, start: Array, residual: float) -> Array:
    """Solve ``V = r_pi + gamma P_pi V``; a sparse system iteratively from `start` to `residual`."""
    S, A = mdp.r.shape
    states = np.arange(S)
    r_pi = mdp.r[states, pi]
    if not sparse.issparse(mdp.P):
        M = mdp.P[states, pi]
        M *= -mdp.gamma
        M.flat[:: S + 1] += 1.0
        LU = scipy.linalg.lu_factor(M.T, overwrite_a=True, check_finite=False)  # LAPACK stores by columns
        return np.asarray(scipy.linalg.lu_solve(LU, r_pi, trans=1, check_finite=False))

    from scipy.sparse.linalg import bicgstab, splu

    M = sparse.eye_array(S, format="csr") - mdp.gamma * mdp.P[states * A + pi]
    V, _ = bicgstab(M, r_pi, x0=start, rtol=0.0, atol=residual, maxiter=1000)
    if np.abs(r_pi - M @ V).max() <= 4.0 * residual:  # what the method itself reports is not enough
        return np.asarray(V)
    return np.asarray(splu(sparse.csc_array(M)).solve(r_pi))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Dynamic Programming and Markov Processes", authors="Howard", venue="MIT Press", year=1960
        ),
        setting="planning",
        statement="V_{n+1} >= T V_n, |V* - V_n| <= gamma^n |V* - V_0|, and a certificate of |V* - V|",
        assumptions="gamma < 1",
    ),
)
