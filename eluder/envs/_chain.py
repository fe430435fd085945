"""The noisy chain: a near small reward and a far large one."""

import numpy as np

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["chain"]


def chain(L: int = 10, *, fail: float = 0.1, H: int | None = None, gamma: float | None = None) -> Problem:
    """Return a chain of L states with a small reward at its start and a large one at its end.

    Parameters
    ----------
    L : int, default=10
        Number of states, at least 2; the initial state is 0.
    fail : float, default=0.1
        Probability, in [0, 1], that a move goes the other way.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Action 0 moves left, action 1 right; a move past an end stays. Reward .05 for either action in state
        0, 1 in state L - 1.

    Raises
    ------
    ValueError
        If `L` < 2, `fail` is not a probability, or not exactly one of `H` and `gamma` is given.

    Notes
    -----
    The table is that of the chain in rlberry, where L is 5 by default.

    References
    ----------
    .. [1] Domingues, Flet-Berliac, Leurent, Menard, Shang and Valko. rlberry: a reinforcement learning
       library for research and education. 2021.

    Examples
    --------
    >>> chain(4, H=5).P[1, 1]
    array([0.1, 0. , 0.9, 0. ])
    """
    L = checks.integer("L", L, low=2)
    fail = checks.number("fail", fail, 0.0, 1.0)
    s = np.arange(L)
    P = np.zeros((L, 2, L))
    for action, (left, right) in enumerate([(1 - fail, fail), (fail, 1 - fail)]):
        P[s, action, np.maximum(s - 1, 0)] += left
        P[s, action, np.minimum(s + 1, L - 1)] += right
    r = np.zeros((L, 2))
    r[0] = 0.05
    r[-1] = 1.0
    return problem(P, r, np.eye(L)[0], H=H, gamma=gamma)
