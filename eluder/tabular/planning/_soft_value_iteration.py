r"""Soft value iteration: planning regularised by entropy or a divergence (Geist, Scherrer & Pietquin 2019).

Pseudo-code, in our names, with temperature tau::

    V <- 0
    repeat
        Q  <- r + gamma P V
        TV <- tau log sum_a ref[s, a] exp(Q[s, a] / tau)
        pi <- ref exp((Q - TV) / tau)
        stop if gamma/(1-gamma) span(TV - V)/2 <= tol
        V  <- TV
    return TV + gamma/(1-gamma) (min(TV - V) + max(TV - V))/2

The fixed point is the largest value of  E sum_t gamma^t (r_t - tau KL(pi(.|s_t) || ref(.|s_t))).  Without a
reference, ref = 1: the entropy  + tau entropy(pi(.|s_t))  takes the place of the divergence.

Guarantee: TV is the largest of  sum_a pi Q - tau KL(pi || ref)  over policies; so T is monotone, T(V + c) =
TV + gamma c, it contracts by gamma, and the bounds of MacQueen and Porteus hold word for word. With
entropy, V* <= V_soft <= V* + tau log(A)/(1-gamma).

Deviations from the paper: none.
"""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.core.results import PlanResult
from eluder.core.types import Array
from eluder.tabular.planning._sweeps import (
    Bellman,
    bellman,
    certificate,
    check_discounted,
    enough,
    status,
    sweep,
)

__all__ = ["soft_value_iteration"]

LARGEST = 1e100  # temperatures above would overflow somewhere


def soft_value_iteration(
    mdp: DiscountedMDP,
    *,
    tau: float,
    ref: ArrayLike | None = None,
    tol: float = 1e-8,
    max_iter: int = 1_000_000,
) -> PlanResult:
    """Plan with an entropy bonus, or with a price on leaving a reference policy.

    Parameters
    ----------
    mdp : DiscountedMDP
        The problem; its kernel may be dense or sparse. ``gamma < 1``.
    tau : float
        Temperature, positive and at most 1e100, in units of reward.
    ref : array_like, shape (S, A), optional
        Reference policy, probabilities; by default there is none and the entropy is rewarded.
    tol : float, default=1e-8
        Accuracy of the soft `V` in the maximum norm, in units of value.
    max_iter : int, default=1_000_000
        Largest number of sweeps.

    Returns
    -------
    PlanResult
        Soft values ``V`` (S,) and ``Q`` (S, A), the probabilities ``pi`` (S, A), ``gap``; ``num_iter`` counts
        sweeps.

    Raises
    ------
    ValueError
        If `mdp` is not a DiscountedMDP, gamma is 1, `tau` is out of range, `tol` is not positive,
        `max_iter` < 1, or `ref` is not a policy or plays an unavailable action.

    Notes
    -----
    O(nnz(P) + S A) time per sweep, O(S A) memory.

    References
    ----------
    .. [1] Geist, Scherrer and Pietquin. A theory of regularized Markov decision processes. ICML 2019.
       arXiv:1901.11275
    .. [2] Ziebart. Modeling purposeful adaptive behavior with the principle of maximum causal entropy.
       PhD thesis, Carnegie Mellon University, 2010.

    Examples
    --------
    With one state and reward 0, only the entropy log 2 of two actions is left:

    >>> from eluder.core.problems import DiscountedMDP
    >>> coin = DiscountedMDP([[[1.0], [1.0]]], [[0.0, 0.0]], [1.0], 0.9)
    >>> (soft_value_iteration(coin, tau=0.1).V / np.log(2)).round(6)
    array([1.])
    """
    tol, max_iter = check_discounted(mdp, tol, max_iter)
    tau = checks.number("tau", tau, 0.0, LARGEST, open_low=True)
    return _soft_value_iteration(bellman(mdp), log_reference(mdp, ref), tau, tol, max_iter)


def _soft_value_iteration(b: Bellman, log_ref: Array, tau: float, tol: float, max_iter: int) -> PlanResult:
    """Sweep with the soft maximum."""
    V = np.zeros(b.r.shape[0])
    size = soft_size(log_ref, tau)
    n = 0

    while True:
        sweep(b, V)
        TV, pi = soft_greedy(b.Q, log_ref, tau)
        d = TV - V
        cert = certificate(b.gamma, float(d.min()), float(d.max()), b.error, float(np.abs(V).max()) + size)
        n += 1
        if enough(cert, tol) or n >= max_iter:
            break
        V = TV

    text = status(cert, tol, n, "raise max_iter")
    return PlanResult(TV + cert.shift, b.Q + cert.shift, pi, n, cert.gap, text)


def log_reference(mdp: DiscountedMDP | EpisodicMDP, ref: ArrayLike | None) -> Array:
    """Return the logarithm of `ref`, or of 1 without one; -inf where an action is not available."""
    if ref is None:
        return np.where(mdp.mask, 0.0, -np.inf)
    lead = (mdp.H,) if isinstance(mdp, EpisodicMDP) and np.ndim(ref) == 3 else ()
    array = checks.distribution("ref", ref, (*lead, *mdp.mask.shape))
    bad = (array > 0) & ~mdp.mask
    if bad.any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('ref', i)} is {array[i]:g}, but the action is not available")
    return np.log(array, out=np.full(array.shape, -np.inf), where=array > 0)


def soft_greedy(Q: Array, log_ref: Array, tau: float) -> tuple[Array, Array]:
    """Return ``tau log sum_a ref exp(Q / tau)`` (S,) and the policy ``ref exp((Q - V) / tau)`` (S, A)."""
    Q = np.where(log_ref > -np.inf, Q, -np.inf)
    best = Q.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # to -inf, at the lowest temperatures; Q / tau itself would not do
        x = (Q - best) / tau + log_ref
    top = x.max(axis=1, keepdims=True)
    weight = np.exp(x - top)
    total = weight.sum(axis=1, keepdims=True)
    return (best + tau * (top + np.log(total)))[:, 0], weight / total


def soft_size(log_ref: Array, tau: float) -> float:
    """Return the size of the terms of ``tau log sum_a``; they may cancel, their rounding errors do not."""
    finite = np.where(log_ref > -np.inf, log_ref, 0.0)
    return tau * float(np.log(log_ref.shape[-1]) + 4.0 + np.abs(finite).max())


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="A theory of regularized Markov decision processes",
            authors="Geist, Scherrer, Pietquin",
            venue="ICML",
            year=2019,
            arxiv="1901.11275",
        ),
        setting="planning",
        statement="|V_n - V_soft| <= gamma^n |V_0 - V_soft|, and a certificate of |V_soft - V|",
        assumptions="gamma < 1, tau > 0",
    ),
)
