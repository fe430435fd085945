"""The combination lock: a wrong action loses all that was gained."""

import numpy as np

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["combination_lock"]


def combination_lock(
    L: int = 5,
    A: int = 2,
    *,
    H: int | None = None,
    gamma: float | None = None,
    rng: np.random.Generator,
) -> Problem:
    """Return a lock with a secret code of L actions.

    Parameters
    ----------
    L : int, default=5
        Length of the code. State s: the first s actions of the code were played.
    A : int, default=2
        Number of actions.
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    rng : numpy.random.Generator
        Draws the code.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        The code's action leads to the next state, any other back to state 0. The last action of the code
        pays 1 and leads back as well; all other rewards are 0.

    Raises
    ------
    ValueError
        If a size is less than 1, `rng` is not a Generator, or not exactly one of `H` and `gamma` is given.

    Notes
    -----
    With H = L the uniform policy has the value ``A ** -L``. The optimal average reward is 1 / L.

    References
    ----------
    .. [1] Koenig and Simmons. Complexity analysis of real-time reinforcement learning. AAAI 1993 (such
       "reset" state spaces; from memory).

    Examples
    --------
    >>> lock = combination_lock(3, 4, H=3, rng=np.random.default_rng(0))
    >>> lock.r.sum(), (lock.P[0, :, 1] == 1).sum()
    (np.float64(1.0), np.int64(1))
    """
    L, A = checks.integer("L", L), checks.integer("A", A)
    code = checks.generator(rng).integers(0, A, L)
    s = np.arange(L)
    P = np.zeros((L, A, L))
    P[:, :, 0] = 1.0
    P[s, code, 0] = 0.0
    P[s, code, (s + 1) % L] = 1.0
    r = np.zeros((L, A))
    r[-1, code[-1]] = 1.0
    return problem(P, r, np.eye(L)[0], H=H, gamma=gamma)
