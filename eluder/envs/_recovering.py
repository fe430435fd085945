"""Instances of recovering bandits."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.recovering import RecoveringBandit

__all__ = ["recovering_bandit", "saturating_bandit"]


def recovering_bandit(R: ArrayLike, m: int = 1, law: str = "bernoulli") -> RecoveringBandit:
    """Return a bandit whose arms recover as a table says.

    Parameters
    ----------
    R : array_like, shape (A, D)
        ``R[a, d - 1]``: mean reward in [0, 1] of arm a after a rest of d periods; not decreasing.
    m : int, default=1
        Largest number of arms played in a period.
    law : {"bernoulli", "fixed"}, default="bernoulli"
        Law of the rewards.

    Returns
    -------
    RecoveringBandit
        The problem.

    Raises
    ------
    ValueError
        If an entry of the table decreases or leaves [0, 1].

    Examples
    --------
    >>> recovering_bandit([[0.1, 0.8], [0.3, 0.4]]).m
    1
    """
    return RecoveringBandit(checks.floats("R", R, (None, None)), m, law)


def saturating_bandit(
    A: int, m: int, D: int = 20, *, law: str = "bernoulli", rng: np.random.Generator
) -> RecoveringBandit:
    """Return random arms that recover like ``b (1 - exp(-d / s))``.

    Parameters
    ----------
    A : int
        Number of arms.
    m : int
        Largest number of arms played in a period.
    D : int, default=20
        Periods after which a mean no longer changes.
    law : {"bernoulli", "fixed"}, default="bernoulli"
        Law of the rewards.
    rng : numpy.random.Generator
        Draws ceilings b in [0.3, 1] and recovery times s in [1, D/2] (uniform in log s).

    Returns
    -------
    RecoveringBandit
        The problem.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `rng` is not a Generator.

    Examples
    --------
    >>> saturating_bandit(5, 2, rng=np.random.default_rng(0)).R.shape
    (5, 20)
    """
    A, D = checks.integer("A", A), checks.integer("D", D, 2)
    rng = checks.generator(rng)
    ceiling = rng.uniform(0.3, 1.0, A)
    slowness = np.exp(rng.uniform(0.0, np.log(D / 2), A))
    R = ceiling[:, None] * (1 - np.exp(-np.arange(1, D + 1) / slowness[:, None]))
    return RecoveringBandit(R, m, law)
