r"""Value iteration (Bellman 1957) with the stopping bounds of MacQueen (1966) and Porteus (1971).

Pseudo-code, in our names::

    V <- 0
    repeat
        TV <- max_a r + gamma P V                                                     # Jacobi
        stop if gamma/(1-gamma) span(TV - V)/2 <= tol
        V  <- TV, moved by a constant
        with sweep "gauss_seidel", if the certificate has shrunk, EVERY times:        # Gauss-Seidel
            for s = 0, ..., S-1:  V[s] <- max_a r[s, a] + gamma P[s, a] V
    return TV + gamma/(1-gamma) (min(TV - V) + max(TV - V))/2

Guarantee: |V_n - V*| <= gamma^n |V_0 - V*|; the span of TV - V shrinks by gamma a sweep at least, and on
problems that mix by gamma times the second largest modulus of an eigenvalue in the end (Puterman 1994,
sections 6.3 and 6.6).

Deviations from the paper: Gauss-Seidel sweeps alone have no two-sided span bound, and a maximum-norm stop
makes them crawl, at gamma a sweep; so each block ends with a Jacobi sweep, whose bounds certify the result.
Moving V by a constant alters no span, and blocks go on only while the certificate shrinks by 0.9, so both
converge. Before a block the constant leads to the midpoint of the bounds if TV - V has one sign; else to mean
0, because a large constant costs the digits in which periodic problems converge.
"""

from typing import Literal

import numpy as np

from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array
from eluder.tabular.planning._sweeps import (
    Bellman,
    Rows,
    advance,
    bellman,
    check_discounted,
    enough,
    expectation,
    finish,
    improve,
    status,
)

__all__ = ["value_iteration"]

PROGRESS = 0.9  # they go on only while the certificate shrinks so
EVERY = 4  # Gauss-Seidel sweeps between two certificates


def value_iteration(
    mdp: DiscountedMDP,
    *,
    tol: float = 1e-8,
    sweep: Literal["jacobi", "gauss_seidel"] = "jacobi",
    max_iter: int = 1_000_000,
) -> PlanResult:
    """Plan by value iteration.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse. ``gamma < 1``.
    tol : float, default=1e-8
        Accuracy of `V` in the maximum norm, in units of value.
    sweep : {"jacobi", "gauss_seidel"}, default="jacobi"
        Whether a sweep uses old values only, or new ones as soon as it has them.
    max_iter : int, default=1_000_000
        Largest number of sweeps.

    Returns
    -------
    PlanResult
        ``V`` (S,), ``Q`` (S, A), greedy ``pi`` (S,), ``gap``; ``num_iter`` counts sweeps.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP, gamma is 1, `tol` is not positive, `max_iter` < 1 or `sweep` is
        unknown.

    Notes
    -----
    O(nnz(P)) time per sweep, O(S A) memory. Gauss-Seidel wins where values travel along the order of the
    states (chains, grids); on problems that mix fast Jacobi does, because its span shrinks faster. A dense
    kernel is copied to a sparse one for Gauss-Seidel.

    References
    ----------
    .. [1] Bellman. Dynamic Programming. Princeton 1957.
    .. [2] MacQueen. A modified dynamic programming method for Markovian decision problems. Journal of
       Mathematical Analysis and Applications 14, 1966.
    .. [3] Porteus. Some bounds for discounted sequential decision processes. Management Science 18, 1971.
    .. [4] Puterman. Markov Decision Processes. Wiley 1994, sections 6.3 and 6.6.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> stay_or_go = DiscountedMDP([[[1, 0], [0, 1.0]], [[0, 1], [0, 1.0]]], [[0, 0], [1, 1]], [1, 0], 0.9)
    >>> value_iteration(stay_or_go).V.round(6)
    array([ 9., 10.])
    """
    tol, max_iter = check_discounted(mdp, tol, max_iter)
    if sweep not in ("jacobi", "gauss_seidel"):
        raise ValueError(f"sweep must be 'jacobi' or 'gauss_seidel', got {sweep!r}")
    extra = EVERY if sweep == "gauss_seidel" else 0
    return _value_iteration(bellman(mdp, sparse=extra > 0), extra, tol, max_iter)


def _value_iteration(b: Bellman, extra: int, tol: float, max_iter: int) -> PlanResult:
    """Sweep, with `extra` Gauss-Seidel sweeps after each Jacobi sweep."""
    V = np.zeros(b.r.shape[0])
    best = np.inf
    n = 0

    while True:
        cert = improve(b, V)
        n += 1
        if enough(cert, tol) or n >= max_iter:
            break
        if extra and cert.gap <= PROGRESS * best:
            best = cert.gap
            advance(b, V, cert)
            for _ in range(min(extra, max_iter - n - 1)):
                _gauss_seidel(b.rows, b.r, b.gamma, V)
                n += 1
        else:
            np.subtract(b.TV, b.TV.mean(), out=V)

    return finish(b, cert, n, status(cert, tol, n, "raise max_iter, or use modified_policy_iteration"))


@kernel
def _gauss_seidel(rows: Rows, r: Array, gamma: float, V: Array) -> None:
    """Sweep once over the states, using new values at once; `V` changes in place."""
    S, A = r.shape
    for s in range(S):
        best = -np.inf
        for a in range(A):
            best = max(best, r[s, a] + gamma * expectation(rows, s * A + a, V))
        V[s] = best


GUARANTEES = (
    Guarantee(
        paper=Paper(title="Dynamic Programming", authors="Bellman", venue="Princeton", year=1957),
        setting="planning",
        statement="|V_n - V*| <= gamma^n |V_0 - V*|, and a certificate of |V* - V|",
        assumptions="gamma < 1",
    ),
)
