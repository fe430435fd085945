r"""Robust linear MDPs: a linear MDP whose factor measures nature may change, each on its own.

Features and factors are distributions, ``P_h(. | s, a) = sum_i phi(s, a)_i psi_h(i, .)``. Nature replaces
each ``psi_h(i)`` by some ``q_h(i)``, to the learner's harm (d-rectangularity; Ma et al. 2022). Either it
must stay in a ball, ``D(q_h(i) || psi_h(i)) <= level[h, i]``, or pay ``level[h, i] D(q_h(i) || psi_h(i))``
whenever factor i of stage h is visited: the penalised form (Tang, Liu & Xu 2025). The robust Bellman
equation is exact in both::

    nu[h, i] = min_q q V[h+1]                          (ball)
             = min_q q V[h+1] + level D(q || psi)      (penalty)
    Q[h](s, a) = phi(s, a) (theta[h] + nu[h])          V[h](s) = sum_a pi Q[h] - tau KL(pi || ref)

With ``tau > 0`` policies pay for leaving a reference as well: the doubly regularised problem.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.divergence_kernels import DIVERGENCES
from eluder.core.linear import LinearMDP, refuse_not_linear
from eluder.core.robust_model import RobustModel, optimise, robust_value
from eluder.core.types import Array, BoolArray

__all__ = [
    "RobustLinearMDP",
    "RobustPlan",
    "nominal",
    "refuse_not_robust",
    "robust",
    "robust_model",
    "robust_optimum",
    "robust_values",
]

MODES = ("ball", "penalty")


class _RobustLinearMDP(NamedTuple):
    phi: Array
    psi: Array
    theta: Array
    mu: Array
    level: Array
    divergence: str
    mode: str
    mask: BoolArray
    bernoulli: bool


class RobustLinearMDP(_RobustLinearMDP):
    """Episodic linear MDP with finitely many states and a set of factor measures around the nominal ones.

    Parameters
    ----------
    phi : array_like, shape (S, A, d)
        Features, distributions over the d factors.
    psi : array_like, shape (H, d, S)
        Nominal factors, distributions over states.
    theta : array_like, shape (H, d)
        Reward parameters; mean rewards must lie in [0, 1].
    mu : array_like, shape (S,)
        Distribution of the initial state.
    level : array_like, broadcast to shape (H, d)
        Radius of each ball, at least 0; or weight of each penalty, > 0.
    divergence : {"tv", "kl", "chi2"}, default="tv"
        What the balls are made of, or the penalty. With "tv" nature can reach every state, with the others
        those that the factor can reach.
    mode : {"ball", "penalty"}, default="ball"
        What holds nature back.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default.
    bernoulli : bool, default=False
        What the learner sees: False, the mean reward itself; True, 0 or 1 with that mean.

    Raises
    ------
    ValueError
        If a shape is wrong, a feature or factor is no distribution, a reward leaves [0, 1], a level is out of
        range, or `divergence` or `mode` is not known; the message names the first bad entry.

    Examples
    --------
    >>> mdp = RobustLinearMDP(
    ...     phi=[[[1.0]], [[1.0]]], psi=[[[0.5, 0.5]]] * 2, theta=[[0.0], [1.0]], mu=[1.0, 0.0], level=0.1
    ... )
    >>> mdp.H, mdp.level.shape
    (2, (2, 1))
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        psi: ArrayLike,
        theta: ArrayLike,
        mu: ArrayLike,
        level: ArrayLike,
        divergence: str = "tv",
        mode: str = "ball",
        mask: ArrayLike | None = None,
        bernoulli: bool = False,
    ) -> Self:
        phi = checks.distribution("phi", phi, (None, None, None))
        S, _, d = phi.shape
        psi = checks.distribution("psi", psi, (None, d, S))
        plain = LinearMDP(phi, psi, theta, mu, mask, bernoulli)
        if divergence not in DIVERGENCES:
            raise ValueError(
                f"divergence must be one of {', '.join(map(repr, DIVERGENCES))}, got {divergence!r}"
            )
        if mode not in MODES:
            raise ValueError(f"mode must be 'ball' or 'penalty', got {mode!r}")
        shape = (plain.H, d)
        try:
            level = np.broadcast_to(np.asarray(level, float), shape)
        except (TypeError, ValueError):
            raise ValueError(f"level must be numbers that broadcast to shape {shape}") from None
        level = checks.finite("level", level, shape, 0.0)
        if mode == "penalty" and (bad := level <= 0).any():
            raise ValueError(f"{checks.entry('level', checks.first(bad))} is 0, a penalty must be positive")
        fields = (phi, psi, plain.theta, plain.mu, level, divergence, mode, plain.mask, plain.bernoulli)
        return super().__new__(cls, *fields)

    @property
    def H(self) -> int:
        """The horizon."""
        return int(self.psi.shape[0])

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def robust(mdp: LinearMDP, level: ArrayLike, divergence: str = "tv", mode: str = "ball") -> RobustLinearMDP:
    """Return a linear MDP with an uncertainty set around its factors.

    Parameters
    ----------
    mdp : LinearMDP
        The nominal problem, with features and factors that are distributions.
    level : array_like, broadcast to shape (H, d)
        Radius of each ball, or weight of each penalty.
    divergence : {"tv", "kl", "chi2"}, default="tv"
        What the balls are made of, or the penalty.
    mode : {"ball", "penalty"}, default="ball"
        What holds nature back.

    Returns
    -------
    RobustLinearMDP
        The problem.

    Raises
    ------
    ValueError
        If `mdp` is not a LinearMDP, or as in `RobustLinearMDP`.

    Examples
    --------
    >>> linear = LinearMDP(phi=[[[1.0]]], psi=[[[1.0]]], theta=[[0.5]], mu=[1.0])
    >>> robust(linear, 0.1, "kl", "penalty").mode
    'penalty'
    """
    refuse_not_linear(mdp)
    if not isinstance(mdp, LinearMDP):
        raise ValueError(f"mdp must be a LinearMDP, got {type(mdp).__name__}")
    return RobustLinearMDP(
        mdp.phi, mdp.psi, mdp.theta, mdp.mu, level, divergence, mode, mdp.mask, mdp.bernoulli
    )


def nominal(mdp: RobustLinearMDP) -> LinearMDP:
    """Return the nominal problem: what data come from.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The problem.

    Returns
    -------
    LinearMDP
        Without the uncertainty.

    Examples
    --------
    >>> linear = LinearMDP(phi=[[[1.0]]], psi=[[[1.0]]], theta=[[0.5]], mu=[1.0])
    >>> nominal(robust(linear, 0.1)).H
    1
    """
    refuse_not_robust(mdp)
    return LinearMDP(mdp.phi, mdp.psi, mdp.theta, mdp.mu, mdp.mask, mdp.bernoulli)


def refuse_not_robust(
    mdp: Any, mode: str | None = None, divergences: tuple[str, ...] = tuple(DIVERGENCES)
) -> None:
    """Refuse what is not a `RobustLinearMDP`, or is one of another mode or divergence."""
    if not isinstance(mdp, RobustLinearMDP):
        raise ValueError(f"mdp must be a RobustLinearMDP, got {type(mdp).__name__}")
    if mode is not None and mdp.mode != mode:
        raise ValueError(f"mdp must be robust with mode {mode!r}, got {mdp.mode!r}")
    if mdp.divergence not in divergences:
        raise ValueError(
            f"mdp must be robust in {' or '.join(map(repr, divergences))}, got {mdp.divergence!r}"
        )


# --- exact dynamic programming ---


def robust_model(mdp: RobustLinearMDP) -> RobustModel:
    """Return a robust problem as kernels read it."""
    kind, penalised = DIVERGENCES[mdp.divergence], mdp.mode == "penalty"
    return RobustModel(mdp.phi, mdp.psi, mdp.theta, mdp.mu, mdp.mask, mdp.level, kind, penalised)


class RobustPlan(NamedTuple):
    """Exact robust values.

    Attributes
    ----------
    V : ndarray, shape (H + 1, S)
        Robust values.
    Q : ndarray, shape (H, S, A)
        Robust action values; -inf where an action is not available.
    pi : ndarray, shape (H, S, A)
        The policy, as probabilities.
    """

    V: Array
    Q: Array
    pi: Array


def robust_optimum(mdp: RobustLinearMDP, *, tau: float = 0.0, ref: ArrayLike | None = None) -> RobustPlan:
    """Return the optimal robust values and an optimal policy, by dynamic programming on the true factors.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The problem.
    tau : float, default=0.0
        Weight of ``KL(pi || ref)``, which policies pay in every stage; 0 for none.
    ref : array_like, shape (S, A), optional
        Reference policy; uniform over the available actions by default.

    Returns
    -------
    RobustPlan
        Of the optimal policy: greedy, or ``ref exp(Q / tau)``, normalised.

    Raises
    ------
    ValueError
        If `mdp` is not robust, `tau` is negative or `ref` is not a policy.

    Notes
    -----
    O(H (d S log S + S A d)) time. The optimum against nature is deterministic if ``tau = 0``.

    Examples
    --------
    >>> phi, psi, theta = [[[1.0, 0.0]], [[0.0, 1.0]]], [[[0.5, 0.5]] * 2] * 2, [[0.0, 0.0], [0.0, 1.0]]
    >>> linear = LinearMDP(phi, psi, theta, mu=[1.0, 0.0])
    >>> robust_optimum(robust(linear, 0.1)).V[0].round(12)
    array([0.4, 0.4])
    """
    refuse_not_robust(mdp)
    tau = checks.number("tau", tau, 0.0)
    log_ref = log_reference(mdp, ref)
    (S, A, _), H = mdp.phi.shape, mdp.H
    model, V, Q, pi = robust_model(mdp), np.zeros((H + 1, S)), np.zeros((H, S, A)), np.zeros((H, S, A))
    optimise(model, tau, log_ref, V, Q, pi)
    Q[:, ~mdp.mask] = -np.inf
    return RobustPlan(V, Q, pi)


def robust_values(
    mdp: RobustLinearMDP, pi: ArrayLike, *, tau: float = 0.0, ref: ArrayLike | None = None
) -> Array:
    """Return the exact robust values of a policy.

    Parameters
    ----------
    mdp : RobustLinearMDP
        The problem.
    pi : array_like, shape (H, S) of int or (H, S, A) of float
        A policy.
    tau : float, default=0.0
        Weight of ``KL(pi || ref)``; 0 for none.
    ref : array_like, shape (S, A), optional
        Reference policy; uniform over the available actions by default.

    Returns
    -------
    ndarray, shape (H + 1, S)
        ``V[h, s]``: the least value that nature can leave, plus what it pays, less what the policy pays.

    Raises
    ------
    ValueError
        If `mdp` is not robust, `pi` or `ref` is not a policy, or `tau` is negative.

    Notes
    -----
    O(H (d S log S + S A d)) time.

    Examples
    --------
    >>> linear = LinearMDP([[[1.0]]], [[[1.0]]] * 3, [[0.5]] * 3, [1.0])
    >>> robust_values(robust(linear, 0.1), [[0]] * 3)[0]
    array([1.5])
    """
    refuse_not_robust(mdp)
    table, tau = policy_table(mdp, pi), checks.number("tau", tau, 0.0)
    V = np.zeros((mdp.H + 1, mdp.mu.size))
    robust_value(robust_model(mdp), table, tau, log_reference(mdp, ref), V)
    return V


def policy_table(mdp: RobustLinearMDP, pi: ArrayLike) -> Array:
    """Return a checked policy as probabilities (H, S, A)."""
    S, A = mdp.mask.shape
    raw = np.asarray(pi)
    if np.issubdtype(raw.dtype, np.integer):
        return np.eye(A)[checks.policy("pi", raw, (mdp.H, S), mdp.mask)]
    table = checks.distribution("pi", raw, (mdp.H, S, A))
    if (bad := (table > 0) & ~mdp.mask).any():
        i = checks.first(bad)
        raise ValueError(f"{checks.entry('pi', i)} is {table[i]:g}, but the action is not available")
    return table


def log_reference(mdp: RobustLinearMDP, ref: ArrayLike | None) -> Array:
    """Return the logarithms of a checked reference policy (S, A), positive on the available actions alone."""
    if ref is None:
        ref = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    table = checks.distribution("ref", ref, mdp.mask.shape)
    if (bad := (table > 0) != mdp.mask).any():
        i = checks.first(bad)
        wanted = "positive, for the action is" if mdp.mask[i] else "0, for the action is not"
        raise ValueError(f"{checks.entry('ref', i)} is {table[i]:g}, it must be {wanted} available")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(table))
