"""One-sided feedback under individual fairness: the problem, its auditors, and the best fair policy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["FairClassification", "FairResult", "best_fair_policy", "expected_error", "report"]


class _FairClassification(NamedTuple):
    y: Array
    mu: Array
    F: Array
    similar: BoolArray
    k: int
    alpha: float
    share: float


class FairClassification(_FairClassification):
    """Classification whose labels are seen only after positive decisions, watched by a panel of auditors.

    In each round k individuals arrive. The learner decides positively on individual i with probability q(i),
    by a mixture of the classifiers of a finite class. An auditor who holds the types of i and j to be alike
    objects to the pair if ``q(i) - q(j) > alpha``; the panel reports a pair if at least `share` of its
    auditors object.

    Parameters
    ----------
    y : array_like, shape (X,)
        Probability that an individual of type x has label 1.
    mu : array_like, shape (X,)
        Distribution of the types.
    F : array_like, shape (M, X)
        Finite class: decisions 0 or 1 of each classifier. One must decide positively on all types.
    similar : array_like of bool, shape (J, X, X)
        ``similar[j, x, x']``: auditor j holds x and x' to be alike.
    k : int, default=4
        Individuals per round.
    alpha : float, default=0.1
        Tolerance in [0, 1].
    share : float, default=0.5
        Share in (0, 1] of the auditors that makes a report.

    Raises
    ------
    ValueError
        If a shape or a value is wrong, or the class has no classifier that is always positive.

    Examples
    --------
    >>> from eluder.core.fairness import FairClassification
    >>> FairClassification([0.2, 0.9], [0.5, 0.5], [[1, 1], [0, 1]], np.ones((1, 2, 2), bool)).k
    4
    """

    __slots__ = ()

    def __new__(
        cls,
        y: ArrayLike,
        mu: ArrayLike,
        F: ArrayLike,
        similar: ArrayLike,
        k: int = 4,
        alpha: float = 0.1,
        share: float = 0.5,
    ) -> Self:
        y = checks.finite("y", y, (None,), 0.0, 1.0)
        X = y.size
        mu = checks.distribution("mu", mu, (X,))
        F = checks.finite("F", F, (None, X), 0.0, 1.0)
        bad = (F != 0) & (F != 1)
        if bad.any():
            i = checks.first(bad)
            raise ValueError(f"{checks.entry('F', i)} is {F[i]:g}, decisions are 0 or 1")
        if not F.all(axis=1).any():
            raise ValueError("F must hold a classifier that is positive on all types: labels are seen by it")
        pairs = np.asarray(similar)
        if pairs.dtype != np.bool_ or pairs.ndim != 3 or pairs.shape[1:] != (X, X) or not len(pairs):
            raise ValueError(
                f"similar must be boolean of shape (J, {X}, {X}), got {pairs.dtype} {pairs.shape}"
            )
        k = checks.integer("k", k)
        alpha = checks.number("alpha", alpha, 0.0, 1.0)
        share = checks.number("share", share, 0.0, 1.0, open_low=True)
        return super().__new__(cls, y, mu, F, np.ascontiguousarray(pairs), k, alpha, share)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


@dataclass(frozen=True, slots=True, eq=False)
class FairResult:
    """What a learner under fairness returns.

    Attributes
    ----------
    checkpoints : ndarray of int, shape (C,)
        Numbers of rounds, increasing; the last is T.
    regret : ndarray, shape (C,)
        Sum over rounds of the expected number of wrong decisions, less that of the best fair policy.
    violations : ndarray of int, shape (C,)
        Rounds in which the panel reported a pair.
    q : ndarray, shape (X,)
        Last policy: probability of a positive decision for each type.
    """

    checkpoints: IntArray
    regret: Array
    violations: IntArray
    q: Array


def expected_error(problem: FairClassification, q: Array) -> float:
    """Return the expected number of wrong decisions in a round.

    Parameters
    ----------
    problem : FairClassification
        The problem.
    q : ndarray, shape (X,)
        Probability of a positive decision for each type.

    Returns
    -------
    float
        ``k sum_x mu(x) (q(x) (1 - 2 y(x)) + y(x))``.

    Examples
    --------
    >>> problem = FairClassification([0.0, 1.0], [0.5, 0.5], [[1, 1]], np.ones((1, 2, 2), bool), k=2)
    >>> expected_error(problem, np.array([0.0, 1.0]))
    0.0
    """
    return float(problem.k * np.sum(problem.mu * (q * (1 - 2 * problem.y) + problem.y)))


def best_fair_policy(problem: FairClassification, slack: float = 0.0) -> Array:
    """Return the best policy that the panel never reports, by linear programming.

    Parameters
    ----------
    problem : FairClassification
        The problem, known.
    slack : float, default=0.0
        The policy keeps ``q(x) - q(x') <= alpha - slack`` for pairs that a report could name.

    Returns
    -------
    ndarray, shape (X,)
        q of the best mixture of the class. One exists: the classifier that is always positive is fair.

    Raises
    ------
    ValueError
        If `slack` is not between 0 and alpha.
    RuntimeError
        If the solver fails.

    Examples
    --------
    >>> problem = FairClassification([0.0, 1.0], [0.5, 0.5], [[1, 1], [0, 1]], np.ones((1, 2, 2), bool))
    >>> best_fair_policy(problem).round(6).tolist()
    [0.9, 1.0]
    """
    from scipy.optimize import linprog

    slack = checks.number("slack", slack, 0.0, problem.alpha)
    M, _ = problem.F.shape
    tied = np.argwhere(problem.similar.mean(axis=0) >= problem.share - 1e-12)
    rows = problem.F[:, tied[:, 0]].T - problem.F[:, tied[:, 1]].T
    cost = problem.F @ (problem.mu * (1 - 2 * problem.y))
    limit = np.full(len(rows), problem.alpha - slack)
    answer = linprog(
        cost,
        A_ub=rows if len(rows) else None,
        b_ub=limit if len(rows) else None,
        A_eq=np.ones((1, M)),
        b_eq=[1.0],
    )
    if answer.status != 0:
        raise RuntimeError(f"the linear program failed: {answer.message}")
    weights: Array = np.asarray(answer.x)
    q: Array = np.clip(weights @ problem.F, 0.0, 1.0)
    return q


@kernel
def report(x: IntArray, q: Array, similar: BoolArray, alpha: float, share: float) -> tuple[int, int]:
    """Return the pair (i, j) of arrivals with the largest q(i) - q(j) that the panel reports; (-1, -1): none.

    `x` holds the types of the arrivals, `q` their probabilities.
    """
    worst, first, second = alpha, -1, -1
    J = similar.shape[0]
    for i in range(x.size):
        for j in range(x.size):
            if q[i] - q[j] > worst:
                objecting = 0
                for auditor in range(J):
                    objecting += similar[auditor, x[i], x[j]]
                if objecting >= share * J - 1e-9:
                    worst, first, second = q[i] - q[j], i, j
    return first, second
