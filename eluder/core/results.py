"""What algorithms return: a few frozen records of arrays. Derived quantities are functions elsewhere."""

from dataclasses import dataclass

from eluder.core.types import Array, IntArray

__all__ = ["OnlineResult", "PlanResult"]


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
    pi : ndarray of int, shape (H, S) or (S,)
        Last greedy policy.
    N : ndarray of int, shape (H, S, A) or (S, A)
        Visits.
    """

    value: Array
    upper: Array
    Q: Array
    pi: IntArray
    N: IntArray
