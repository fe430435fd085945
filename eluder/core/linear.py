"""Linear MDPs: transitions and rewards are linear, or nearly so, in known features of (state, action)."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.problems import EpisodicMDP
from eluder.core.types import Array, BoolArray

__all__ = ["LinearMDP", "MisspecifiedLinearMDP", "episodic", "misspecification", "refuse_not_linear"]


class _LinearMDP(NamedTuple):
    phi: Array
    psi: Array
    theta: Array
    mu: Array
    mask: BoolArray
    bernoulli: bool


class LinearMDP(_LinearMDP):
    """Episodic linear MDP with finitely many states: ``P_h = phi psi_h`` and ``r_h = phi theta_h``.

    Parameters
    ----------
    phi : array_like, shape (S, A, d)
        Features. The theorems assume ``|phi(s, a)| <= 1``.
    psi : array_like, shape (H, d, S)
        Factor measures: ``P_h(s' | s, a) = sum_i phi(s, a)_i psi_h(i, s')`` must be a distribution.
    theta : array_like, shape (H, d)
        Reward parameters; mean rewards must lie in [0, 1].
    mu : array_like, shape (S,)
        Distribution of the initial state.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default.
    bernoulli : bool, default=False
        What the learner sees: False, the mean reward itself; True, 0 or 1 with that mean.

    Raises
    ------
    ValueError
        If a shape is wrong, or ``phi psi`` is not a kernel or ``phi theta`` not a reward; the message names
        the first bad entry.

    Examples
    --------
    >>> from eluder.core.linear import LinearMDP
    >>> mdp = LinearMDP(phi=[[[1, 0], [0, 1]]], psi=[[[1.0], [1.0]]], theta=[[0.2, 0.9]], mu=[1.0])
    >>> mdp.phi.shape, episodic(mdp).r
    ((1, 2, 2), array([[[0.2, 0.9]]]))
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        psi: ArrayLike,
        theta: ArrayLike,
        mu: ArrayLike,
        mask: ArrayLike | None = None,
        bernoulli: bool = False,
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None, None))
        S, A, d = phi.shape
        psi = checks.finite("psi", psi, (None, d, S))
        theta = checks.finite("theta", theta, (psi.shape[0], d))
        P, r = _tables(phi, psi, theta)
        if (bad := P < -checks.SUM_TOLERANCE).any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry('phi psi', i)} is {P[i]:g}, it must not be negative")
        if (bad := (r < -checks.SUM_TOLERANCE) | (r > 1 + checks.SUM_TOLERANCE)).any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry('phi theta', i)} is {r[i]:g}, it must be in [0, 1]")
        if (bad := np.abs(P.sum(axis=-1) - 1) > checks.SUM_TOLERANCE).any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry('phi psi', i)} sums to {P.sum(axis=-1)[i]:.12g}, not 1")
        plain = EpisodicMDP(np.ones((S, A, S)) / S, np.zeros((S, A)), mu, 1, mask, bernoulli)  # their checks
        return super().__new__(cls, phi, psi, theta, plain.mu, plain.mask, plain.bernoulli)

    @property
    def H(self) -> int:
        """The horizon."""
        return int(self.psi.shape[0])

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


class _MisspecifiedLinearMDP(NamedTuple):
    phi: Array
    P: Array
    r: Array
    mu: Array
    mask: BoolArray
    bernoulli: bool


class MisspecifiedLinearMDP(_MisspecifiedLinearMDP):
    """Episodic problem with features in which it is only nearly linear; see `misspecification`.

    Parameters
    ----------
    phi : array_like, shape (S, A, d)
        Features. The theorems assume ``|phi(s, a)| <= 1``.
    P : array_like, shape (H, S, A, S)
        Kernels of the stages.
    r : array_like, shape (H, S, A)
        Mean rewards in [0, 1].
    mu : array_like, shape (S,)
        Distribution of the initial state.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default.
    bernoulli : bool, default=False
        What the learner sees: False, the mean reward itself; True, 0 or 1 with that mean.

    Raises
    ------
    ValueError
        If a shape is wrong, or an entry of `P`, `r` or `mu` is; the message names the first bad entry.

    Examples
    --------
    >>> mdp = MisspecifiedLinearMDP(phi=[[[1.0], [1.0]]], P=[[[[1.0], [1.0]]]], r=[[[0.2, 0.6]]], mu=[1.0])
    >>> round(misspecification(mdp), 9)  # the best common reward is 0.4
    0.2
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        P: ArrayLike,
        r: ArrayLike,
        mu: ArrayLike,
        mask: ArrayLike | None = None,
        bernoulli: bool = False,
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None, None))
        S, A, _ = phi.shape
        P = checks.floats("P", P, (None, S, A, S))
        r = checks.floats("r", r, (P.shape[0], S, A))
        plain = EpisodicMDP(P, r, mu, P.shape[0], mask, bernoulli)
        return super().__new__(cls, phi, plain.P, plain.r, plain.mu, plain.mask, plain.bernoulli)

    @property
    def H(self) -> int:
        """The horizon."""
        return int(self.P.shape[0])

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def misspecification(mdp: LinearMDP | MisspecifiedLinearMDP) -> float:
    """Return the least zeta for which a problem is zeta-approximately linear in its features.

    That is the least zeta with some signed measures psi and vectors theta such that, for all h, s, a,
    ``|P_h(. | s, a) - phi psi_h|_TV <= zeta`` (half the sum of absolute differences) and
    ``|r_h(s, a) - phi theta_h| <= zeta`` (Assumption B of Jin et al., 2020).

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The problem.

    Returns
    -------
    float
        Optimal value of a linear program per stage; 0, up to the solver's tolerance, if it is linear.

    Raises
    ------
    ValueError
        If `mdp` is not linear.
    RuntimeError
        If the solver fails.

    Examples
    --------
    >>> from eluder.core.linear import LinearMDP
    >>> misspecification(LinearMDP([[[1.0]]], [[[1.0]], [[1.0]]], [[0.5], [0.5]], [1.0]))
    0.0
    """
    tables = episodic(mdp)
    mask, phi = mdp.mask.ravel(), mdp.phi.reshape(-1, mdp.phi.shape[2])[mdp.mask.ravel()]
    worst = 0.0
    for h in range(mdp.H):
        P, r = tables.P[h].reshape(mask.size, -1)[mask], tables.r[h].ravel()[mask]
        worst = max(worst, _least_error(phi, r[:, None]), _least_error(phi, P) / 2)
    return worst


def _least_error(phi: Array, Y: Array) -> float:
    """Return ``min over W of max over rows of the sum of |Y - phi W|``."""
    from scipy import sparse
    from scipy.optimize import linprog

    (n, d), m = phi.shape, Y.shape[1]
    predict = sparse.kron(phi, sparse.eye_array(m))  # of W (d, m) in C order
    eye, none = sparse.eye_array(n * m), sparse.csr_array((n * m, 1))
    rows = sparse.kron(sparse.eye_array(n), np.ones((1, m)))
    above: Any = [predict, -eye, none]
    below: Any = [-predict, -eye, none]
    total: Any = [sparse.csr_array((n, d * m)), rows, sparse.csr_array(-np.ones((n, 1)))]
    A: Any = sparse.block_array([above, below, total])
    b = np.concatenate([Y.ravel(), -Y.ravel(), np.zeros(n)])
    bounds = [(None, None)] * (d * m) + [(0, None)] * (n * m + 1)
    cost = np.append(np.zeros(A.shape[1] - 1), 1.0)
    found: Any = linprog(cost, A, b, bounds=bounds, method="highs")
    if found.fun is None:
        raise RuntimeError(f"the linear program failed: {found.message}")
    return max(float(found.fun), 0.0)


def _tables(phi: Array, psi: Array, theta: Array) -> tuple[Array, Array]:
    """Return ``phi psi`` (H, S, A, S) and ``phi theta`` (H, S, A)."""
    return np.einsum("sad,hdt->hsat", phi, psi, optimize=True), np.einsum("sad,hd->hsa", phi, theta)


def episodic(mdp: LinearMDP | MisspecifiedLinearMDP) -> EpisodicMDP:
    """Return the tables of a linear MDP, for exact planning and for tabular learners.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The problem.

    Returns
    -------
    EpisodicMDP
        The same problem with ``P`` of shape (H, S, A, S); entries negative by rounding are 0.

    Examples
    --------
    >>> from eluder.core.linear import LinearMDP
    >>> episodic(LinearMDP([[[1.0]]], [[[1.0]], [[1.0]]], [[0.5], [0.5]], [1.0])).H
    2
    """
    refuse_not_linear(mdp)
    if isinstance(mdp, MisspecifiedLinearMDP):
        return EpisodicMDP(mdp.P, mdp.r, mdp.mu, mdp.H, mdp.mask, mdp.bernoulli)
    P, r = _tables(mdp.phi, mdp.psi, mdp.theta)
    P = np.maximum(P, 0.0)
    P /= P.sum(axis=-1, keepdims=True)
    return EpisodicMDP(P, np.clip(r, 0.0, 1.0), mdp.mu, mdp.H, mdp.mask, mdp.bernoulli)


def refuse_not_linear(mdp: Any) -> None:
    """Refuse what is neither a `LinearMDP` nor a `MisspecifiedLinearMDP`."""
    if not isinstance(mdp, LinearMDP | MisspecifiedLinearMDP):
        raise ValueError(f"mdp must be a LinearMDP, got {type(mdp).__name__}")
