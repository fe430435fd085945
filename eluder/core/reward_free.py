"""What reward-free exploration returns: all that was learnt of the kernel, to plan for any reward later."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.exact import optimal_value, policy_value
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import PlanResult
from eluder.core.targeted_regression import TargetedRegression, lower_value, optimistic_plan
from eluder.core.types import Array, BoolArray, IntArray
from eluder.core.value_regression import ValueRegression, by_coordinate, predict, solve

__all__ = ["LinearExploration", "MixtureExploration", "planning_gaps"]

TRIVIAL = "the gap is trivial: explore for more episodes, or with a smaller c"


class _Exploration(Protocol):
    def _plan(self, r: ArrayLike) -> PlanResult: ...


@dataclass(frozen=True, slots=True, eq=False)
class MixtureExploration:
    """What was learnt of a linear mixture MDP; `plan` needs nothing else.

    Attributes
    ----------
    phi : ndarray, shape (1, d, S, A, S) or (H, d, S, A, S)
        Base kernels.
    mask : ndarray of bool, shape (S, A)
        Available actions.
    theta : ndarray, shape (d,)
        The mixture by which `plan` plans.
    center : ndarray, shape (d,)
        Center of the confidence ellipsoid.
    Lambda : ndarray, shape (d, d)
        Its matrix: the true mixture has ``|theta - center|_Lambda <= beta``, with high probability.
    beta : float
        Its radius.
    bonus : float
        Radius of the optimism of `plan`: `beta`, or 0 where the algorithm plans without.
    cap : ndarray, shape (H,)
        Bound on the reward left at each stage.
    uncertainty : ndarray, shape (K,)
        The learner's own estimate, before each episode, of how much is unknown.
    pi : ndarray of int, shape (H, S)
        Last policy of the exploration.
    N : ndarray of int, shape (H, S, A)
        Visits.
    """

    phi: Array
    mask: BoolArray
    theta: Array
    center: Array
    Lambda: Array
    beta: float
    bonus: float
    cap: Array
    uncertainty: Array
    pi: IntArray
    N: IntArray

    def plan(self, r: ArrayLike) -> PlanResult:
        """Plan for a reward.

        Parameters
        ----------
        r : array_like, shape (S, A) or (H, S, A)
            Mean rewards in [0, 1].

        Returns
        -------
        PlanResult
            ``V`` of shape (H, S) and ``Q``: estimates of the optimal values; ``pi``: the policy. On the event
            that the ellipsoid holds the true mixture, ``gap`` bounds what `pi` loses from any initial state,
            and the error of ``V[0]``.

        Raises
        ------
        ValueError
            If `r` has another shape or leaves [0, 1].

        Warns
        -----
        RuntimeWarning
            If the gap is no less than what an episode can pay; `status` says so, too.

        Notes
        -----
        O(H S A d (S + d)) time.
        """
        return _warned(self._plan(r))

    def _plan(self, r: ArrayLike) -> PlanResult:
        H, S, A = self.N.shape
        r = _rewards(r, H, S, A)
        x = np.zeros(self.center.size)
        inverse = np.asarray(np.linalg.inv(self.Lambda), np.float64)
        plans = []
        for theta, beta in ((self.theta, self.bonus), (self.center, self.beta)):
            fit = _one(self.Lambda, inverse, theta)
            Q, V, pi = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
            optimistic_plan(Q, V, pi, fit, self.phi, r, self.mask, beta, self.cap, x)
            plans.append((Q, V, pi))
        (Q, V, pi), (_, upper, _) = plans
        low = np.zeros((H + 1, S))
        fit = _one(self.Lambda, inverse, self.center)
        lower_value(low, pi, fit, self.phi, r, self.beta, self.cap, x)
        return _result(Q, V, pi, upper, low, self.mask, min(float(self.cap[0]), _most(r, self.mask)))


@dataclass(frozen=True, slots=True, eq=False)
class LinearExploration:
    """What was learnt of a linear MDP; `plan` needs nothing else.

    Attributes
    ----------
    phi : ndarray, shape (S, A, d)
        Features.
    mask : ndarray of bool, shape (S, A)
        Available actions.
    M : ndarray, shape (H, d, S)
        ``sum phi e_{s'}'`` over the rounds of each stage.
    Lambda : ndarray, shape (H, d, d)
        ``lam I + sum phi phi'``.
    beta : float
        Radius of the bonus.
    uncertainty : ndarray, shape (K,)
        The learner's own estimate, before each episode, of how much is unknown.
    pi : ndarray of int, shape (H, S)
        Last policy of the exploration.
    N : ndarray of int, shape (H, S, A)
        Visits.
    """

    phi: Array
    mask: BoolArray
    M: Array
    Lambda: Array
    beta: float
    uncertainty: Array
    pi: IntArray
    N: IntArray

    def plan(self, r: ArrayLike) -> PlanResult:
        """Plan for a reward.

        Parameters
        ----------
        r : array_like, shape (S, A) or (H, S, A)
            Mean rewards in [0, 1]; they need not be linear in the features.

        Returns
        -------
        PlanResult
            ``V`` of shape (H, S) and ``Q``: upper estimates of the optimal values; ``pi``: the policy. Where
            the bonus covers the error of the regressions, ``gap`` bounds what `pi` loses from any initial
            state, and the error of ``V[0]``.

        Raises
        ------
        ValueError
            If `r` has another shape or leaves [0, 1].

        Warns
        -----
        RuntimeWarning
            If the gap is no less than what an episode can pay; `status` says so, too.

        Notes
        -----
        O(H (S A d^2 + d S)) time.
        """
        return _warned(self._plan(r))

    def _plan(self, r: ArrayLike) -> PlanResult:
        H, S, A = self.N.shape
        r = _rewards(r, H, S, A)
        inverse = np.asarray(np.linalg.inv(self.Lambda), np.float64)
        width2 = np.einsum("sai,hij,saj->hsa", self.phi, inverse, self.phi)
        zero = np.zeros((H, self.phi.shape[2]))
        count = self.N.sum(axis=(1, 2))
        columns, room = by_coordinate(self.phi), np.zeros(S * A)
        fit = ValueRegression(
            self.phi, self.Lambda, inverse, self.M, zero, width2, zero[:, 0], count, columns, room
        )
        Q, V, pi = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64)
        low = np.zeros((H + 1, S))
        _plan_linear(Q, V, low, pi, fit, r, self.mask, self.beta)
        return _result(Q, V, pi, V, low, self.mask, _most(r, self.mask))


def planning_gaps(mdp: EpisodicMDP, explored: _Exploration, rewards: Iterable[ArrayLike]) -> Array:
    """Return what the plans for some rewards lose, exactly.

    Parameters
    ----------
    mdp : EpisodicMDP
        The tables of the problem that was explored; its own rewards are not used.
    explored : MixtureExploration or LinearExploration
        What the exploration returned.
    rewards : iterable of array_like, shape (S, A) or (H, S, A)
        Mean rewards in [0, 1].

    Returns
    -------
    ndarray
        For each reward the optimal value less that of the planned policy, both exact, from ``mdp.mu``.

    Raises
    ------
    ValueError
        If a reward has another shape or leaves [0, 1].

    Notes
    -----
    O(H S^2 A) time for each reward, beside the plan.

    Examples
    --------
    >>> from eluder.core.mixture import mixture_tables
    >>> from eluder.envs import random_linear_mixture_mdp
    >>> from eluder.linear.reward_free import ucrl_rfe
    >>> mdp = random_linear_mixture_mdp(4, 2, 2, 3, rng=np.random.default_rng(0))
    >>> explored = ucrl_rfe(mdp, 200, c=0.02, rng=np.random.default_rng(0))
    >>> gaps = planning_gaps(mixture_tables(mdp), explored, [np.eye(4)[:, [0, 1]], np.eye(4)[:, [2, 3]]])
    >>> (gaps >= 0).all(), (gaps < 0.1).all()
    (np.True_, np.True_)
    """
    gaps = []
    for r in rewards:
        problem = mdp._replace(r=np.asarray(r, dtype=float))
        pi = explored._plan(r).pi  # the loss is exact: no warning that the certificate is not
        gap = problem.mu @ (optimal_value(problem)[0] - policy_value(problem, pi)[0])
        gaps.append(max(float(gap), 0.0))
    return np.array(gaps)


def _rewards(r: ArrayLike, H: int, S: int, A: int) -> Array:
    """Return checked rewards with their stage axis."""
    stages = (H,) if np.ndim(r) == 3 else ()
    return np.array(np.broadcast_to(checks.finite("r", r, (*stages, S, A), 0.0, 1.0), (H, S, A)))


def _one(Lambda: Array, inverse: Array, theta: Array) -> TargetedRegression:
    """Return one regression with its solution given."""
    zero = np.zeros((1, theta.size))
    return TargetedRegression(
        Lambda[None], inverse[None], zero, theta[None], zero[:, 0], np.zeros(1, np.int64)
    )


def _most(r: Array, mask: BoolArray) -> float:
    """Return what an episode can pay at most, ``sum_h max r[h]``: no policy can lose more."""
    return float(np.where(mask, r, 0.0).max(axis=(1, 2)).sum())


def _warned(plan: PlanResult) -> PlanResult:
    """Return a plan, with a warning if its certificate says nothing."""
    if plan.status == TRIVIAL:
        warnings.warn(plan.status, RuntimeWarning, stacklevel=3)
    return plan


def _result(
    Q: Array, V: Array, pi: IntArray, upper: Array, low: Array, mask: BoolArray, trivial: float
) -> PlanResult:
    Q[:, ~mask] = -np.inf
    gap = float((upper[0] - low[0]).max())
    return PlanResult(V[:-1], Q, pi, 1, gap, "converged" if gap < trivial * (1 - 1e-9) else TRIVIAL)


@kernel
def _plan_linear(
    Q: Array,
    V: Array,
    low: Array,
    pi: IntArray,
    fit: ValueRegression,
    r: Array,
    mask: BoolArray,
    beta: float,
) -> None:
    """Plan in place (`Q`, `V`, `pi`), and write the pessimistic values of the plan to `low`."""
    H, S, A = Q.shape
    d = fit.b.shape[1]
    y, w, w_low = np.zeros(d), np.zeros(d), np.zeros(d)
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        solve(fit, h, low[h + 1], y, w_low)
        for s in range(S):
            best, largest = -1, -np.inf
            for a in range(A):
                if not mask[s, a]:
                    continue
                q = r[h, s, a] + predict(fit, s, a, w) + beta * np.sqrt(max(fit.width2[h, s, a], 0.0))
                Q[h, s, a] = min(max(q, 0.0), float(H - h))
                if Q[h, s, a] > largest:
                    best, largest = a, Q[h, s, a]
            V[h, s], pi[h, s] = largest, best
            q = r[h, s, best] + predict(fit, s, best, w_low)
            q -= beta * np.sqrt(max(fit.width2[h, s, best], 0.0))
            low[h, s] = min(max(q, 0.0), float(H - h))
