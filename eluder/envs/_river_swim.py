"""RiverSwim (Strehl & Littman 2008), with the probabilities of Osband, Russo & Van Roy 2013."""

import numpy as np

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["river_swim"]


def river_swim(S: int = 6, *, H: int | None = None, gamma: float | None = None) -> Problem:
    """Return RiverSwim: swim against the current for a large reward, or drift for a small one.

    Parameters
    ----------
    S : int, default=6
        Number of states, at least 2; the swimmer starts in state 0, the left bank.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Action 0 swims left and always moves there. Action 1 swims right: from inside the river it moves
        right, stays, moves left with probability .35, .6, .05; at the left bank it moves right or stays with
        .6, .4; at the right bank it stays or moves left with .6, .4. Rewards: .005 for action 0 in state 0,
        1 for action 1 in state S - 1.

    Raises
    ------
    ValueError
        If `S` < 2, or not exactly one of `H` and `gamma` is given.

    Notes
    -----
    The figure of [1]_ has other numbers: right, stay, left with .3, .6, .1 inside, .3 and .7 at the banks, a
    start in one of two states, rewards 5 and 10000. The numbers here are those of [2]_, which most later
    experiments use, with both rewards divided by the larger one and rounded to .005 as there.

    References
    ----------
    .. [1] Strehl and Littman. An analysis of model-based interval estimation for Markov decision processes.
       J. Computer and System Sciences 74, 2008.
    .. [2] Osband, Russo and Van Roy. (More) efficient reinforcement learning via posterior sampling.
       NeurIPS 2013. arXiv:1306.0940

    Examples
    --------
    >>> river_swim(H=20).P[2, 1]
    array([0.  , 0.05, 0.6 , 0.35, 0.  , 0.  ])
    """
    S = checks.integer("S", S, low=2)
    P = np.zeros((S, 2, S))
    s = np.arange(S)
    P[s, 0, np.maximum(s - 1, 0)] = 1.0
    P[0, 1, :2] = 0.4, 0.6
    P[-1, 1, -2:] = 0.4, 0.6
    inside = s[1:-1]
    for move, p in ((-1, 0.05), (0, 0.6), (1, 0.35)):
        P[inside, 1, inside + move] = p
    r = np.zeros((S, 2))
    r[0, 0] = 0.005
    r[-1, 1] = 1.0
    return problem(P, r, np.eye(S)[0], H=H, gamma=gamma)
