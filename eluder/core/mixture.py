r"""Linear mixture MDPs: the kernel is a mixture of known base kernels, ``P = sum_i theta_i phi_i``.

For any V the next value is linear in theta, ``(P V)(s, a) = <psi_V(s, a), theta>`` with the features
``psi_V(s, a)_i = sum_{s'} phi_i(s' | s, a) V(s')``. So learners regress ``V(s')`` onto ``psi_V(s, a)``
(value-targeted regression): each target stays as it was when it was made, and a round costs one update of
rank one, whatever K is.

The estimator of high-order moments (Zhou & Gu 2022) keeps M such regressions, of ``V^(2^m)`` for m < M: each
level gives the variance by which the rounds of the level below are weighted.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import dot, kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "LinearMixtureMDP",
    "TargetedRegression",
    "add_target",
    "confidence_norm",
    "largest_return",
    "lower_value",
    "mixture_tables",
    "moment_levels",
    "moment_radius",
    "moment_variances",
    "new_targets",
    "optimistic_plan",
    "pair_features",
    "refuse_not_mixture",
]


TIE = 1e-10  # action values that differ by less are equal but for rounding


ROUNDING = 1e-12  # of a probability


class _LinearMixtureMDP(NamedTuple):
    phi: Array
    theta: Array
    r: Array
    mu: Array
    H: int
    B: float
    mask: BoolArray
    bernoulli: bool


class LinearMixtureMDP(_LinearMixtureMDP):
    """Episodic linear mixture MDP: ``P(s' | s, a) = sum_i theta_i phi_i(s' | s, a)``.

    Learners know all but `theta`: the base kernels, the mean rewards, the bound `B`.

    Parameters
    ----------
    phi : array_like, shape (d, S, A, S) or (H, d, S, A, S)
        Base kernels ``phi[i, s, a, s']``, or ``phi[h, i, s, a, s']``; not necessarily distributions. The
        theorems assume ``|psi_V(s, a)| <= 1`` for every V with values in [0, 1].
    theta : array_like, shape (d,) or (H, d)
        The mixture; with a stage axis a mixture for each stage.
    r : array_like, shape (S, A) or (H, S, A)
        Mean rewards in [0, 1].
    mu : array_like, shape (S,)
        Distribution of the initial state.
    H : int
        Horizon, stages per episode.
    B : float, optional
        Bound on ``|theta|``; by default the norm itself, the largest of the stages.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default.
    bernoulli : bool, default=False
        What the learner sees: False, the mean reward itself; True, 0 or 1 with that mean.

    Raises
    ------
    ValueError
        If a shape is wrong, the mixture is not a kernel, or `B` is too small; the message names the first
        bad entry.

    Examples
    --------
    >>> phi = [[[[1.0, 0.0]], [[1.0, 0.0]]], [[[0.0, 1.0]], [[0.0, 1.0]]]]  # to state 0, to state 1
    >>> mdp = LinearMixtureMDP(phi, theta=[0.25, 0.75], r=[[0.0], [1.0]], mu=[1.0, 0.0], H=2)
    >>> mixture_tables(mdp).P[0, 0].tolist()
    [0.25, 0.75]
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        theta: ArrayLike,
        r: ArrayLike,
        mu: ArrayLike,
        H: int,
        B: float | None = None,
        mask: ArrayLike | None = None,
        bernoulli: bool = False,
    ) -> Self:
        H = checks.integer("H", H)
        stages = (H,) if np.ndim(phi) == 5 else ()
        phi = checks.finite("phi", phi, (*stages, None, None, None, None))
        d, S, A = phi.shape[-4:-1]
        phi = checks.finite("phi", phi, (*stages, d, S, A, S))
        theta = checks.finite("theta", theta, (*((H,) if np.ndim(theta) == 2 else ()), d))
        P = _mixture(phi, theta)
        if (bad := ~(P >= -checks.SUM_TOLERANCE) | np.isinf(P)).any():
            i = checks.first(bad)
            must = "be finite" if not np.isfinite(P[i]) else "not be negative"
            raise ValueError(f"{checks.entry('phi theta', i)} is {P[i]:g}, it must {must}")
        if (bad := np.abs(P.sum(axis=-1) - 1) > checks.SUM_TOLERANCE).any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry('phi theta', i)} sums to {P.sum(axis=-1)[i]:.12g}, not 1")
        norm = float(np.linalg.norm(theta, axis=-1).max())
        B = norm if B is None else checks.number("B", B, 0.0, open_low=True)
        if norm * (1 - 1e-12) > B:
            raise ValueError(f"B must be at least |theta| = {norm:g}, got {B:g}")
        plain = EpisodicMDP(np.ones((S, A, S)) / S, r, mu, H, mask, bernoulli)  # their checks
        return super().__new__(cls, phi, theta, plain.r, plain.mu, H, B, plain.mask, plain.bernoulli)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def _mixture(phi: Array, theta: Array) -> Array:
    """Return ``sum_i theta_i phi_i``, with a stage axis where one of them has it."""
    return np.asarray(np.einsum("...isat,...i->...sat", phi, theta))


def mixture_tables(mdp: LinearMixtureMDP) -> EpisodicMDP:
    """Return the tables of a linear mixture MDP.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The problem.

    Returns
    -------
    EpisodicMDP
        The same problem; entries that rounding left slightly outside [0, 1] are put there.

    Raises
    ------
    ValueError
        If `mdp` is not a linear mixture MDP.

    Examples
    --------
    >>> mdp = LinearMixtureMDP([[[[1.0]]]], [1.0], [[0.5]], [1.0], 3)
    >>> mixture_tables(mdp).P.shape
    (1, 1, 1)
    """
    refuse_not_mixture(mdp)
    P = _mixture(mdp.phi, mdp.theta)
    P[P < ROUNDING] = 0.0  # what is left where terms of a signed mixture cancel
    P /= P.sum(axis=-1, keepdims=True)
    return EpisodicMDP(P, mdp.r, mdp.mu, mdp.H, mdp.mask, mdp.bernoulli)


def refuse_not_mixture(mdp: Any, *, homogeneous: bool = False, total: bool = False) -> None:
    """Refuse what is not a `LinearMixtureMDP` of the kind that an algorithm is for.

    Parameters
    ----------
    mdp : object
        The problem.
    homogeneous : bool, default=False
        Whether `theta` must be the same at every stage.
    total : bool, default=False
        Whether the rewards of an episode must add up to 1 at most.

    Raises
    ------
    ValueError
        If it is not.

    Examples
    --------
    >>> refuse_not_mixture(LinearMixtureMDP([[[[1.0]]]], [1.0], [[0.5]], [1.0], 2), total=True)
    """
    if not isinstance(mdp, LinearMixtureMDP):
        raise ValueError(f"mdp must be a LinearMixtureMDP, got {type(mdp).__name__}")
    if homogeneous and mdp.theta.ndim == 2:
        raise ValueError("mdp must have one theta for all stages, its theta has a stage axis")
    if total and (largest := largest_return(mdp)) > 1 + 1e-9:
        raise ValueError(f"mdp: rewards of an episode may add up to {largest:g}, they must to 1 at most")


def largest_return(mdp: LinearMixtureMDP) -> float:
    """Return the largest sum of mean rewards of any trajectory that has a positive probability.

    Parameters
    ----------
    mdp : LinearMixtureMDP
        The problem.

    Returns
    -------
    float
        0 or more, at most H.

    Notes
    -----
    O(H S^2 A) time.

    Examples
    --------
    >>> largest_return(LinearMixtureMDP([[[[1.0]]]], [1.0], [[0.5]], [1.0], 3))
    1.5
    """
    tables = mixture_tables(mdp)
    V = np.zeros(tables.mu.size)
    for h in range(mdp.H - 1, -1, -1):
        P = tables.P[h] if tables.P.ndim == 4 else tables.P
        r = tables.r[h] if tables.r.ndim == 3 else tables.r
        after = np.where(P > 0, V, -np.inf).max(axis=-1)
        V = np.where(tables.mask, r + after, -np.inf).max(axis=-1)
    return float(V[tables.mu > 0].max())


class TargetedRegression(NamedTuple):
    """G weighted ridge regressions onto values of the next state.

    Attributes
    ----------
    Lambda, inverse : ndarray, shape (G, d, d)
        ``lam I + sum weight x x'``, and its inverse.
    b, theta : ndarray, shape (G, d)
        ``sum weight x y`` and the solution ``Lambda^-1 b``.
    logdet : ndarray, shape (G,)
        ``ln det Lambda``.
    n : ndarray of int, shape (G,)
        Rounds.
    """

    Lambda: Array
    inverse: Array
    b: Array
    theta: Array
    logdet: Array
    n: IntArray


def new_targets(G: int, d: int, lam: float) -> TargetedRegression:
    """Return regressions without data.

    Parameters
    ----------
    G, d : int
        Number of regressions, of features.
    lam : float
        Weight > 0 of the ridge.

    Returns
    -------
    TargetedRegression
        With ``theta = 0``.

    Raises
    ------
    ValueError
        If `lam` is less than 1e-10: inverses would lose all digits.

    Examples
    --------
    >>> new_targets(1, 2, 0.5).inverse[0].tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    if not lam >= 1e-10:
        raise ValueError(f"lam is {lam:g}, it must be at least 1e-10 (where B is its source, B is too large)")
    eye = np.broadcast_to(np.eye(d), (G, d, d))
    zeros = np.zeros((G, d))
    return TargetedRegression(
        lam * eye, eye / lam, zeros, zeros.copy(), np.full(G, d * math.log(lam)), np.zeros(G, np.int64)
    )


@kernel
def add_target(fit: TargetedRegression, g: int, x: Array, y: float, weight: float, u: Array) -> None:
    """Add the round (x, y) to regression g with a weight > 0, in place; `u` (d,) is room to work.

    Sherman and Morrison's formula loses digits slowly; when the number of rounds is a power of 2 the inverse
    and the solution are computed anew.
    """
    d, inverse = x.size, fit.inverse[g]
    for i in range(d):
        u[i] = dot(inverse[i], x)
    quadratic = dot(u, x)
    scale = weight / (1.0 + weight * quadratic)
    error = y - dot(fit.theta[g], x)
    for i in range(d):
        fit.b[g, i] += weight * x[i] * y
        fit.theta[g, i] += scale * error * u[i]
        for j in range(d):
            fit.Lambda[g, i, j] += weight * x[i] * x[j]
            inverse[i, j] -= scale * u[i] * u[j]
    fit.logdet[g] += math.log(1.0 + weight * quadratic)
    fit.n[g] += 1
    n = fit.n[g]
    if n & (n - 1) == 0:
        fit.inverse[g] = np.linalg.inv(fit.Lambda[g])
        for i in range(d):
            fit.theta[g, i] = dot(fit.inverse[g, i], fit.b[g])


@kernel
def confidence_norm(inverse: Array, x: Array) -> float:
    """Return ``sqrt(x' Lambda^-1 x)`` for the inverse (d, d) of one regression."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * dot(inverse[i], x)
    return math.sqrt(max(total, 0.0))


@kernel
def pair_features(phi: Array, h: int, s: int, a: int, V: Array, x: Array) -> None:
    """Write ``psi_V(s, a)`` of stage h to `x` (d,); `phi` has shape (1 or H, d, S, A, S)."""
    g = h % phi.shape[0]
    for i in range(x.size):
        x[i] = dot(phi[g, i, s, a], V)


@kernel
def optimistic_plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    fit: TargetedRegression,
    phi: Array,
    r: Array,
    mask: BoolArray,
    beta: float,
    cap: Array,
    x: Array,
) -> None:
    """Plan in place: ``Q[h] = clip(r[h] + psi theta + beta |psi|, 0, cap[h])``, `V` its maximum, `pi` greedy.

    `V` has shape (H + 1, S) and zeros in its last row; `x` (d,) is room to work. Stage h uses regression h,
    or the only one. Of actions that differ by rounding only `pi` takes the first.
    """
    H, S, A = Q.shape
    for h in range(H - 1, -1, -1):
        g = h % fit.theta.shape[0]
        for s in range(S):
            best, V[h, s] = -1, 0.0
            for a in range(A):
                if not mask[s, a]:
                    continue
                pair_features(phi, h, s, a, V[h + 1], x)
                q = r[h, s, a] + dot(fit.theta[g], x) + beta * confidence_norm(fit.inverse[g], x)
                Q[h, s, a] = min(max(q, 0.0), cap[h])
                V[h, s] = max(V[h, s], Q[h, s, a])
                if best < 0 or Q[h, s, a] > Q[h, s, best] + TIE:
                    best = a
            pi[h, s] = best


@kernel
def lower_value(
    V: Array,
    pi: IntArray,
    fit: TargetedRegression,
    phi: Array,
    r: Array,
    beta: float,
    cap: Array,
    x: Array,
) -> None:
    """Write to `V` (H + 1, S) the pessimistic value of a policy, ``r + psi theta - beta |psi|`` cut off."""
    H, S = pi.shape
    for h in range(H - 1, -1, -1):
        g = h % fit.theta.shape[0]
        for s in range(S):
            pair_features(phi, h, s, pi[h, s], V[h + 1], x)
            q = r[h, s, pi[h, s]] + dot(fit.theta[g], x) - beta * confidence_norm(fit.inverse[g], x)
            V[h, s] = min(max(q, 0.0), cap[h])


def moment_levels(K: int, H: int) -> int:
    """Return the number of levels ``M = log2(7 K H)``, rounded up.

    Parameters
    ----------
    K, H : int
        Episodes and stages.

    Returns
    -------
    int
        M.

    Examples
    --------
    >>> moment_levels(100, 8)  # log2(5600) = 12.45
    13
    """
    return math.ceil(math.log2(7 * K * H))


@kernel
def moment_radius(d: int, H: int, k: int, lam: float, B: float, delta: float) -> float:
    """Return ``12 sqrt(d ln(1 + k H^2 / (d lam)) l) + 30 sqrt(d) l + sqrt(lam) B``, the radius of each level.

    Here ``l = ln(32 (ln(sqrt(H / d)) + 1) k^2 H^2 / delta)``, since alpha = H^(-1/2) and gamma = d^(-1/4);
    ln(sqrt(H / d)) is taken as 0 where it is negative. Constants from memory, not confirmed.
    """
    log = math.log(32 * (max(0.5 * math.log(H / d), 0.0) + 1) * k**2 * H**2 / delta)
    first = 12 * math.sqrt(d * math.log(1 + k * H**2 / (d * lam)) * log)
    return first + 30 * math.sqrt(d) * log + math.sqrt(lam) * B


@kernel
def moment_variances(
    fit: TargetedRegression,
    inverse: Array,
    theta: Array,
    X: Array,
    beta: float,
    gamma: float,
    alpha: float,
    variance: Array,
) -> None:
    """Write the weights' denominators ``sigma_m^2`` of one round to `variance` (M,).

    Level m regresses ``V^(2^m)`` with the features ``X[m]``; `inverse` and `theta` are those of the start of
    the episode. For m < M - 1, with clipping to [0, 1]::

        sigma_m^2 = max(gamma^2 |X_m|, V_m + E_m, alpha^2)
        V_m = clip(X_{m+1} theta_{m+1}) - clip(X_m theta_m)^2
        E_m = min(1, 2 beta |X_m|_start) + min(1, beta |X_{m+1}|_start)

    and ``max(gamma^2 |X_m|, 1, alpha^2)`` at the last level.
    """
    M = X.shape[0]
    for m in range(M):
        known = 1.0
        if m < M - 1:
            square = min(max(dot(theta[m + 1], X[m + 1]), 0.0), 1.0)
            mean = min(max(dot(theta[m], X[m]), 0.0), 1.0)
            error = min(1.0, 2 * beta * confidence_norm(inverse[m], X[m]))
            error += min(1.0, beta * confidence_norm(inverse[m + 1], X[m + 1]))
            known = square - mean * mean + error
        variance[m] = max(max(gamma**2 * confidence_norm(fit.inverse[m], X[m]), known), alpha**2)
