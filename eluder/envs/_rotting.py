"""Rotting bandits: instances whose arms wear out with their own plays."""

from numpy.typing import ArrayLike

from eluder.core.rotting import RottingBandit

__all__ = ["rotting_bandit"]


def rotting_bandit(means: ArrayLike, law: str = "bernoulli", scale: float = 1.0) -> RottingBandit:
    """Return a bandit whose arms wear out: regret is against the best sequence of plays.

    Parameters
    ----------
    means : array_like, shape (N, A)
        Mean reward of each arm at its first, second, ... play; no column increases, and the last row stays.
    law : str, default="bernoulli"
        Law of the rewards, as in `eluder.core.bandits.Bandit`.
    scale : float, default=1.0
        Its scale.

    Returns
    -------
    RottingBandit
        The problem.

    Raises
    ------
    ValueError
        If a mean is wrong or a column increases.

    Examples
    --------
    >>> rotting_bandit([[0.9, 0.5], [0.3, 0.5]]).means[1]
    array([0.3, 0.5])
    """
    return RottingBandit(means, law, scale)
