r"""Linear mixture MDPs: the kernel is a mixture of known base kernels, ``P = sum_i theta_i phi_i``.

For any V the next value is linear in theta, ``(P V)(s, a) = <psi_V(s, a), theta>`` with the features
``psi_V(s, a)_i = sum_{s'} phi_i(s' | s, a) V(s')``; see `eluder.core.targeted_regression` for what learns it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.problems import EpisodicMDP
from eluder.core.types import Array, BoolArray

__all__ = ["LinearMixtureMDP", "largest_return", "mixture_tables", "refuse_not_mixture"]

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
