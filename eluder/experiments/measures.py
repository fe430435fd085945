"""What is measured of a run: exact regret and sample complexity, without sampling noise; lower bounds."""

import numpy as np

from eluder.core import checks
from eluder.core.bandits import FIXED, Bandit, lai_robbins, minimax
from eluder.core.exact import optimal_value
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, episodic
from eluder.core.mixture import LinearMixtureMDP, mixture_tables
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.robust_linear import RobustLinearMDP, robust_optimum
from eluder.core.types import Array, IntArray

__all__ = ["lower_bounds", "regret", "sample_complexity"]


Linear = LinearMDP | MisspecifiedLinearMDP | LinearMixtureMDP | RobustLinearMDP


def optimum(mdp: EpisodicMDP | DiscountedMDP | Linear) -> float:
    """Return the optimal value from `mu` (episodic; robust) or the optimal gain (average reward)."""
    if isinstance(mdp, RobustLinearMDP):
        return float(mdp.mu @ robust_optimum(mdp).V[0])
    if isinstance(mdp, LinearMixtureMDP):
        mdp = mixture_tables(mdp)
    if isinstance(mdp, LinearMDP | MisspecifiedLinearMDP):
        mdp = episodic(mdp)
    if isinstance(mdp, EpisodicMDP):
        return float(mdp.mu @ optimal_value(mdp)[0])

    from eluder.tabular.planning import average_policy_iteration

    gain = average_policy_iteration(mdp).gain
    assert gain is not None
    return gain


def regret(result: OnlineResult, mdp: EpisodicMDP | DiscountedMDP | Linear) -> Array:
    """Return the cumulative exact regret of a run.

    Parameters
    ----------
    result : OnlineResult
        What an exploring learner returned.
    mdp : EpisodicMDP, DiscountedMDP, LinearMDP, LinearMixtureMDP or RobustLinearMDP
        The problem it ran on; a `DiscountedMDP` is read as an average-reward problem, and a robust problem is
        measured in robust values.

    Returns
    -------
    ndarray, shape (K,)
        Entry k is ``sum_{j <= k} (V* - V^{pi_j})`` from `mu`, or ``sum_{j <= k} (gain* - r(s_j, a_j))``.

    Notes
    -----
    Episodic: O(H S^2 A) for the optimal value, then O(K). The value of each executed policy is exact, so the
    episodic regret never decreases; the average-reward regret can.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> from eluder.core.results import OnlineResult
    >>> mdp = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> value, none = np.array([0.0, 1.0, 0.25]), np.zeros((1, 1), int)
    >>> regret(OnlineResult(value, value, np.zeros((1, 1, 2)), none, none), mdp).tolist()
    [1.0, 1.0, 1.75]
    """
    return np.cumsum(optimum(mdp) - result.value)


def sample_complexity(result: OnlineResult, mdp: EpisodicMDP | Linear, eps: float) -> int | None:
    """Return the number of episodes after which every policy played is eps-optimal.

    Parameters
    ----------
    result : OnlineResult
        What an exploring learner returned.
    mdp : EpisodicMDP, LinearMDP or LinearMixtureMDP
        The problem it ran on.
    eps : float
        Accuracy, > 0: a policy is eps-optimal if its exact value from `mu` is at least ``V* - eps``.

    Returns
    -------
    int or None
        The least n such that the policies of episodes n, ..., K - 1 (from 0) are all eps-optimal; None
        (censored: more than K) if that of the last episode is not.

    Raises
    ------
    ValueError
        If `eps` is not positive, or `mdp` is not episodic.

    Notes
    -----
    The future is that of the run: a policy that is eps-optimal only in the last few episodes counts as
    reached, so a number close to K is a lower bound on what a longer run would show. PAC theorems count
    the episodes whose policy is not eps-optimal, which is at most this number.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> from eluder.core.results import OnlineResult
    >>> mdp = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> value, none = np.array([1.0, 0.0, 0.95, 1.0]), np.zeros((1, 1), int)
    >>> result = OnlineResult(value, value, np.zeros((1, 1, 2)), none, none)
    >>> sample_complexity(result, mdp, 0.1), sample_complexity(result, mdp, 0.01)
    (2, 3)
    """
    eps = checks.number("eps", eps, 0.0, open_low=True)
    if not isinstance(mdp, EpisodicMDP | Linear):
        raise ValueError("mdp must be an EpisodicMDP: steps of average reward have no policy value")
    gap = optimum(mdp) - result.value
    bad = np.flatnonzero(gap > eps)
    after = int(bad[-1]) + 1 if bad.size else 0
    return after if after < gap.size else None


def lower_bounds(problem: object, t: IntArray) -> dict[str, Array]:
    """Return what no learner can beat on a problem, to be drawn beside its regret.

    Parameters
    ----------
    problem : object
        A problem; only a `Bandit` has bounds so far.
    t : ndarray of int
        Numbers of rounds.

    Returns
    -------
    dict of str to ndarray
        By label: "Lai-Robbins", asymptotic and for this bandit, where its means do not change and the
        divergence has a closed form; "minimax", for the worst bandit with as many arms and rewards in [0, 1].

    Examples
    --------
    >>> bounds = lower_bounds(Bandit([0.5, 0.6]), np.array([100, 10_000]))
    >>> {label: bound.round(2).tolist() for label, bound in bounds.items()}
    {'Lai-Robbins': [22.56, 45.12], 'minimax': [0.71, 7.07]}
    """
    found: dict[str, Array] = {}
    if isinstance(problem, Bandit):
        if problem.starts.size == 1 and problem.law != FIXED:
            try:
                found["Lai-Robbins"] = lai_robbins(problem) * np.log(t)
            except ValueError:  # no closed form
                pass
        found["minimax"] = minimax(problem.means.shape[1], t)
    return found
