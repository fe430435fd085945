r"""Linear programming for discounted problems (d'Epenoux 1960; Manne 1960; Puterman 1994, section 6.9).

Pseudo-code, in our names, with weights w = 1/S (any positive weights have the same solutions V*)::

    form "primal":  min_V  w V   with  V[s] >= r[s, a] + gamma P[s, a] V   for each available (s, a)
                    pi[s] <- the action whose constraint is tightest
    form "dual":    max_x  r x   with  sum_a x[s, a] - gamma sum_{s', a} P[s', a, s] x[s', a] = w[s],  x >= 0
                    pi[s] <- argmax_a x[s, a]
    solve V = r_pi + gamma P_pi V                                                     # polish
    Q <- r + gamma P V;  certify                                                      # bounds of TV - V

Guarantee: strong duality; the primal solution is V*, the dual's x is the discounted occupancy (times
1/(1-gamma)) of an optimal policy started from w.

Deviations from the papers: the solver works to about 1e-7; its policy is evaluated once more by a linear
system, and the result certified by a Bellman sweep, which does not trust the solver.
"""

import warnings
from typing import Any, Literal

import numpy as np
import scipy.sparse

from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.tabular.planning._policy_iteration import policy_system
from eluder.tabular.planning._sweeps import bellman, check_discounted, finish, improve, status

__all__ = ["linear_program"]

sparse: Any = scipy.sparse  # its stubs refuse arrays of unknown format


def linear_program(
    mdp: DiscountedMDP,
    *,
    tol: float = 1e-8,
    form: Literal["primal", "dual"] = "primal",
    max_iter: int = 1_000_000,
) -> PlanResult:
    """Plan by linear programming, with the HiGHS solver that comes with SciPy.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse. ``gamma < 1``.
    tol : float, default=1e-8
        Accuracy of `V` in the maximum norm, in units of value; the answer is checked against it.
    form : {"primal", "dual"}, default="primal"
        Whether the unknowns are values or occupancies.
    max_iter : int, default=1_000_000
        Largest number of iterations of the solver.

    Returns
    -------
    PlanResult
        ``V`` (S,), ``Q`` (S, A), ``pi`` (S,), ``gap``; ``num_iter`` counts the solver's iterations. If the
        solver fails, ``status`` has its message and ``gap`` holds for what is returned all the same.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP, gamma is 1, `tol` is not positive, `form` is unknown or `max_iter`
        < 1.

    Notes
    -----
    S A constraints in S unknowns or the reverse: much slower than policy iteration. It is here as an
    independent answer, and because constraints can be added to it.

    References
    ----------
    .. [1] Manne. Linear programming and sequential decisions. Management Science 6(3), 1960.
    .. [2] Puterman. Markov Decision Processes. Wiley 1994, section 6.9.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> stay_or_go = DiscountedMDP([[[1, 0], [0, 1.0]], [[0, 1], [0, 1.0]]], [[0, 0], [1, 1]], [1, 0], 0.9)
    >>> linear_program(stay_or_go, form="dual").V.round(6)
    array([ 9., 10.])
    """
    tol, max_iter = check_discounted(mdp, tol, max_iter)
    if form not in ("primal", "dual"):
        raise ValueError(f"form must be 'primal' or 'dual', got {form!r}")
    from scipy.optimize import linprog

    S, A = mdp.r.shape
    pairs = np.flatnonzero(mdp.mask)
    P = sparse.csr_array(mdp.P if sparse.issparse(mdp.P) else mdp.P.reshape(S * A, S))
    at = sparse.csr_array((np.ones(pairs.size), (np.arange(pairs.size), pairs // A)), (pairs.size, S))
    M = at - mdp.gamma * P[pairs]  # M V >= r in the primal, M' x = w in the dual
    r, w = mdp.r.ravel()[pairs], np.full(S, 1.0 / S)
    r = r / (np.abs(r).max() or 1.0)  # the solver's tolerances are absolute; the policy is the same
    options: Any = {
        "maxiter": max_iter,
        "primal_feasibility_tolerance": 1e-9,
        "dual_feasibility_tolerance": 1e-9,
    }
    if form == "primal":
        solved: Any = linprog(w, -M, -r, bounds=(None, None), method="highs", options=options)
    else:
        solved = linprog(-r, A_eq=M.T, b_eq=w, method="highs", options=options)

    b = bellman(mdp)
    if solved.status != 0:
        text = f"the linear program was not solved: {solved.message}; raise max_iter, or use policy_iteration"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return finish(b, improve(b, np.zeros(S)), int(solved.nit), text)
    score = np.full(S * A, -np.inf)
    score[pairs] = r - M @ solved.x if form == "primal" else solved.x
    pi = score.reshape(S, A).argmax(axis=1)
    V = policy_system(mdp, pi, np.zeros(S), 0.1 * tol * (1.0 - mdp.gamma))
    cert = improve(b, V)
    n = int(solved.nit)
    return finish(b, cert, n, status(cert, tol, n, "use policy_iteration"))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Linear programming and sequential decisions",
            authors="Manne",
            venue="Management Science",
            year=1960,
        ),
        setting="planning",
        statement="strong duality: the primal solution is V*, the dual's an optimal occupancy",
        assumptions="gamma < 1",
    ),
)
