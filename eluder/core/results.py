"""What algorithms return: a few frozen records of arrays. Derived quantities are functions elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eluder.core.types import Array, IntArray

__all__ = [
    "BanditResult",
    "EstimateResult",
    "IdentificationResult",
    "InteractionResult",
    "OnlineResult",
    "PessimisticResult",
    "PlanResult",
    "TrainResult",
    "checkpoints",
]


@dataclass(frozen=True, slots=True, eq=False)
class PlanResult:
    """What planning returns.

    Attributes
    ----------
    V : ndarray, shape (S,) or (H, S)
        Value of each state; for average reward the bias (relative value) with ``V[0] = 0``. (That of
        `eluder.core.exact.gain_and_bias` has mean 0 under the stationary distribution instead.)
    Q : ndarray, shape (S, A) or (H, S, A)
        Action values; -inf where an action is not available.
    pi : ndarray of int, shape (S,) or (H, S); of float with a last axis A for soft planning
        The policy: greedy actions, or probabilities.
    num_iter : int
        Iterations; each algorithm says of what.
    gap : float
        The certificate: ``max_s |V*(s) - V(s)| <= gap`` (for average reward ``|gain* - gain| <= gap``).
    status : str
        "converged", or what happened and what to try.
    gain : float or None
        Optimal average reward per step; None for the other criteria.
    """

    V: Array
    Q: Array
    pi: IntArray | Array
    num_iter: int
    gap: float
    status: str
    gain: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OnlineResult:
    """What an exploring learner returns.

    Attributes
    ----------
    value : ndarray, shape (K,)
        Exact value of what was played: of the policy of episode k from `mu` (episodic), or the mean
        reward of the pair visited at step k (average reward).
    upper : ndarray, shape (K,)
        The learner's own upper estimate of the optimal value at that time; NaN if it has none.
    Q : ndarray, shape (H, S, A) or (S, A)
        Last action values; -inf where an action is not available.
    pi : ndarray of int, shape (H, S) or (S,); of float with a last axis A for policy optimisation
        Last policy: greedy actions, or probabilities.
    N : ndarray of int, shape (H, S, A) or (S, A)
        Visits.
    """

    value: Array
    upper: Array
    Q: Array
    pi: IntArray | Array
    N: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class InteractionResult:
    """What a learner returns that sees features only; values of policies are not known there.

    Its last action values are ``min(phi w_h + beta sqrt(phi' inverse_h phi), H - h)``.

    Attributes
    ----------
    returns : ndarray, shape (K,)
        Sum of the rewards of each episode.
    upper : ndarray, shape (K,)
        The learner's upper estimate of the optimal value of the episode's initial state.
    w : ndarray, shape (H, d)
        Last solution of each stage.
    inverse : ndarray, shape (H, d, d)
        Inverse of ``lam I + sum phi phi'`` of each stage at the last plan.
    beta : float
        Radius.
    """

    returns: Array
    upper: Array
    w: Array
    inverse: Array
    beta: float


@dataclass(frozen=True, slots=True, eq=False)
class BanditResult:
    """What a bandit learner returns. Its size does not grow with the number of rounds.

    Attributes
    ----------
    checkpoints : ndarray of int, shape (C,)
        Numbers of rounds, increasing, evenly spaced in log t; the last is T.
    regret : ndarray, shape (C,)
        Expected pseudo-regret of that many rounds: what the problem's comparator collects in the mean, less
        the sum of the means of what was played. No noise of the rewards is in it.
    pulls : ndarray of int, shape (A,)
        How often each arm was played.
    value : ndarray, shape (C,)
        The sum of the means of what was played.
    """

    checkpoints: IntArray
    regret: Array
    pulls: IntArray
    value: Array


@dataclass(frozen=True, slots=True, eq=False)
class IdentificationResult:
    """What best-arm identification returns.

    Attributes
    ----------
    arm : int
        The arm recommended.
    pulls : ndarray of int, shape (A,)
        How often each arm was played; their sum is the sample complexity.
    means : ndarray, shape (A,)
        Mean of the rewards seen of each arm; NaN where there are none.
    status : str
        "stopped" (by the learner's own rule, so that its guarantee holds), or what happened and what to try.
    """

    arm: int
    pulls: IntArray
    means: Array
    status: str


@dataclass(frozen=True, slots=True, eq=False)
class EstimateResult:
    """What off-policy evaluation returns.

    Attributes
    ----------
    value : float
        Estimate of the mean reward of the policy.
    error : float
        Its standard error, from the spread over the rows; NaN for a single row. It knows nothing of a bias.
    scores : ndarray, shape (n,)
        What each row contributes; `value` is their mean.
    weights : ndarray, shape (n,)
        Importance weights as they were used.
    mean_weight : float
        Mean of the weights before any were cut; near 1 if the propensities are right and cover the policy.
    effective_rows : float
        ``(sum w)^2 / sum w^2`` of the weights used; 0 if all are 0.
    unsupported : float
        Share of the policy's probability, over the contexts of the log, on pairs that were never logged.
    status : str
        "ok", or what the log leaves open and what to try.
    """

    value: float
    error: float
    scores: Array
    weights: Array
    mean_weight: float
    effective_rows: float
    unsupported: float
    status: str


@dataclass(frozen=True, slots=True, eq=False)
class PessimisticResult:
    """What learning from a fixed data set returns.

    Attributes
    ----------
    pi : ndarray of int, shape (H, S)
        The policy.
    V : ndarray, shape (H, S)
        Lower estimates of its values.
    Q : ndarray, shape (H, S, A)
        Lower estimates of action values; -inf where an action is not available.
    penalty : ndarray, shape (H, S, A)
        What was taken off for the uncertainty of the data.
    """

    pi: IntArray
    V: Array
    Q: Array
    penalty: Array


@dataclass(frozen=True, slots=True, eq=False)
class TrainResult:
    """What training a deep agent returns, for N seeds side by side.

    Attributes
    ----------
    seeds : ndarray of int, shape (N,)
        The seeds.
    steps : ndarray of int, shape (E,)
        Environment steps of one seed at each evaluation.
    returns : ndarray, shape (E, N, episodes)
        Undiscounted returns of the deterministic policy in environments of their own.
    parameters : mapping of str to ndarray, shapes (N, ...)
        Trained parameters, by network and layer.
    policy : callable
        Maps observations, shape (N, B, ...), to the actions of the deterministic policy, shape (N, B, ...),
        in the units of the environment.
    out : Path or None
        Folder of the logs and checkpoints; None if nothing was written.
    gap : ndarray, shape (N,), or None
        Relative distance to the optimum, where an exact one is known.
    """

    seeds: IntArray
    steps: IntArray
    returns: Array
    parameters: Mapping[str, Array]
    policy: Callable[[Array], Array]
    out: Path | None
    gap: Array | None = None


def checkpoints(T: int, most: int = 200) -> IntArray:
    """Return the numbers of rounds (or episodes) at which curves are kept, evenly spaced in log t.

    Parameters
    ----------
    T : int
        Budget; the last checkpoint.
    most : int, default=200
        How many at most.

    Returns
    -------
    ndarray of int
        Increasing, from 1 to T.

    Examples
    --------
    >>> checkpoints(1000, 4).tolist()
    [1, 10, 100, 1000]
    """
    return np.unique(np.geomspace(1, T, most).round().astype(np.int64))
