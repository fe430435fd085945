"""DeepSea (Osband et al. 2019): one path out of 2^N pays."""

import numpy as np

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["deep_sea"]

MOVE_COST = 0.01  # of a whole way to the right


def deep_sea(
    size: int = 10,
    *,
    H: int | None = None,
    gamma: float | None = None,
    rng: np.random.Generator | None = None,
) -> Problem:
    """Return DeepSea: sink through a square of cells, one row per step, to a treasure in the far corner.

    Parameters
    ----------
    size : int, default=10
        Rows and columns N. State ``row * N + column``; the initial state is 0, the upper left cell.
    H : int, optional
        Horizon, for an EpisodicMDP; the paper's is N.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    rng : numpy.random.Generator, optional
        Draws for each cell which action goes right; without it action 1 does everywhere.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        A step goes down one row and one column to the left or right, within the walls; from the last row it
        leads back to the start. Reward ``.01 / N`` for a step to the left, 0 to the right, and 1 for the
        step to the right in the lower right cell.

    Raises
    ------
    ValueError
        If `size` < 1, `rng` is not a Generator, or not exactly one of `H` and `gamma` is given.

    Notes
    -----
    In the paper a step to the right costs ``.01 / N``. Here every step is paid ``.01 / N`` more, so that
    rewards lie in [0, 1]: with H = N the optimal return is 1 instead of .99, the runner-up's .01 instead
    of 0. The cells above the diagonal are never reached. The paper has one episode of N steps.

    References
    ----------
    .. [1] Osband, Van Roy, Russo and Wen. Deep exploration via randomized value functions. JMLR 20, 2019.
       arXiv:1703.07608
    .. [2] Osband et al. Behaviour suite for reinforcement learning. ICLR 2020. arXiv:1908.03568

    Examples
    --------
    >>> from eluder.core.exact import optimal_value
    >>> float(optimal_value(deep_sea(8, H=8))[0, 0])
    1.0
    """
    N = checks.integer("size", size)
    right = np.ones((N, N), dtype=np.int64)
    if rng is not None:
        right = checks.generator(rng).integers(0, 2, (N, N))
    P = np.zeros((N * N, 2, N * N))
    r = np.empty((N * N, 2))
    for row, column in np.ndindex(N, N):
        s, a = row * N + column, right[row, column]
        below = (row + 1) * N
        P[s, a, below + min(column + 1, N - 1) if row < N - 1 else 0] = 1.0
        P[s, 1 - a, below + max(column - 1, 0) if row < N - 1 else 0] = 1.0
        r[s, a], r[s, 1 - a] = 0.0, MOVE_COST / N
    r[-1, right[-1, -1]] = 1.0
    return problem(P, r, np.eye(1, N * N)[0], H=H, gamma=gamma)
