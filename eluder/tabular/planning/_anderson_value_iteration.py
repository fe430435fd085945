r"""Anderson-accelerated value iteration, safeguarded (Geist & Scherrer 2018; Zhang, O'Donoghue & Boyd 2018).

Pseudo-code, in our names::

    V <- 0
    repeat
        g <- T V - V
        stop if gamma/(1-gamma) span(g)/2 <= tol
        if V was extrapolated and span(g) > gamma span(g of the last kept V):          # safeguard
            go back: V <- T(last kept V), forget the history
        else keep V; with the differences dV_i, dg_i of the last `memory` kept points:
            theta <- argmin |g - sum_i theta_i dg_i|_2
            V     <- TV - sum_i theta_i (dV_i + dg_i), moved to mean 0                 # extrapolate
    return TV + gamma/(1-gamma) (min g + max g)/2

Guarantee: span(T U - U) after a plain step U = T V is at most gamma span(T V - V), and an extrapolated
point is kept only if it does as well; so the span of the residual shrinks at least by gamma every two
sweeps. No rate of the acceleration itself is declared: T is not smooth.

Deviations from the papers: the safeguard compares spans, not norms (constants are removed by the bounds of
MacQueen and Porteus), and the least squares see the residuals centred for the same reason.
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import DiscountedMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array
from eluder.tabular.planning._sweeps import (
    Bellman,
    bellman,
    check_discounted,
    enough,
    finish,
    improve,
    status,
)

__all__ = ["anderson_value_iteration"]


def anderson_value_iteration(
    mdp: DiscountedMDP, *, tol: float = 1e-8, memory: int = 5, max_iter: int = 1_000_000
) -> PlanResult:
    """Plan by value iteration with Anderson extrapolation.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse. ``gamma < 1``.
    tol : float, default=1e-8
        Accuracy of `V` in the maximum norm, in units of value.
    memory : int, default=5
        Differences that an extrapolation combines.
    max_iter : int, default=1_000_000
        Largest number of sweeps.

    Returns
    -------
    PlanResult
        ``V`` (S,), ``Q`` (S, A), greedy ``pi`` (S,), ``gap``; ``num_iter`` counts sweeps.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP, gamma is 1, `tol` is not positive, `memory` < 1 or `max_iter` < 1.

    Notes
    -----
    O(nnz(P) + S memory^2) time per sweep, O(S (A + memory)) memory. It wins over value iteration where that
    mixes slowly and policies settle early; `modified_policy_iteration` is usually faster still.

    References
    ----------
    .. [1] Geist and Scherrer. Anderson acceleration for reinforcement learning. EWRL 2018. arXiv:1809.09501
    .. [2] Zhang, O'Donoghue and Boyd. Globally convergent type-I Anderson acceleration for nonsmooth
       fixed-point iterations. SIAM Journal on Optimization 30(4), 2020. arXiv:1808.03971

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> stay_or_go = DiscountedMDP([[[1, 0], [0, 1.0]], [[0, 1], [0, 1.0]]], [[0, 0], [1, 1]], [1, 0], 0.9)
    >>> anderson_value_iteration(stay_or_go).V.round(6)
    array([ 9., 10.])
    """
    tol, max_iter = check_discounted(mdp, tol, max_iter)
    memory = checks.integer("memory", memory)
    return _anderson_value_iteration(bellman(mdp), memory, tol, max_iter)


def _anderson_value_iteration(b: Bellman, memory: int, tol: float, max_iter: int) -> PlanResult:
    """Sweep and extrapolate; go back where that did harm."""
    V = np.zeros(b.r.shape[0])
    kept: list[tuple[Array, Array]] = []  # the last points V and their images TV
    span = np.inf
    extrapolated = False
    n = 0

    while True:
        cert = improve(b, V)
        n += 1
        if enough(cert, tol) or n >= max_iter:
            break

        # safeguard
        if extrapolated and not cert.span <= b.gamma * span:
            V = kept[-1][1]
            kept.clear()
            extrapolated = False
            continue

        # extrapolate
        kept = [*kept[-memory:], (V, b.TV.copy())]
        span = cert.span
        V = extrapolate(kept)
        V -= V.mean()  # a large constant costs digits
        extrapolated = len(kept) > 1

    return finish(b, cert, n, status(cert, tol, n, "raise max_iter, or use modified_policy_iteration"))


def extrapolate(kept: list[tuple[Array, Array]]) -> Array:
    """Combine points V_0, ..., V_m and their images TV_i to the next point (type II Anderson mixing)."""
    images = np.array([TV for _, TV in kept])
    residuals = images - np.array([V for V, _ in kept])
    residuals -= residuals.mean(axis=1, keepdims=True)
    theta = np.linalg.lstsq(np.diff(residuals, axis=0).T, residuals[-1], rcond=1e-10)[0]
    return np.asarray(images[-1] - theta @ np.diff(images, axis=0))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Anderson acceleration for reinforcement learning",
            authors="Geist, Scherrer",
            venue="EWRL",
            year=2018,
            arxiv="1809.09501",
        ),
        setting="planning",
        statement="the span of the residual shrinks by gamma in two sweeps, and a certificate of |V* - V|",
        assumptions="gamma < 1; the rate is that of the safeguard, not of the acceleration",
    ),
)
