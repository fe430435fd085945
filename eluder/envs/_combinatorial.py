"""Instances of combinatorial semi-bandits."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.combinatorial import SemiBandit

__all__ = ["semi_bandit", "top_m_bandit"]


def semi_bandit(
    means: ArrayLike, actions: ArrayLike, law: str = "bernoulli", scale: ArrayLike = 1.0
) -> SemiBandit:
    """Return a semi-bandit whose super-arms are given as rows of a boolean table.

    Parameters
    ----------
    means : array_like, shape (A,)
        Mean rewards in [0, 1].
    actions : array_like of bool, shape (M, A)
        ``actions[k, a]`` says whether super-arm k holds arm a.
    law : str, default="bernoulli"
        Law of the rewards: "bernoulli", "fixed" or "beta".
    scale : float or array_like, shape (A,), default=1.0
        Sum of the two parameters of a Beta law.

    Returns
    -------
    SemiBandit
        The problem.

    Raises
    ------
    ValueError
        If `actions` is not a table of booleans, a row is empty, an arm is in no row, or a mean is wrong.

    Examples
    --------
    >>> semi_bandit([0.2, 0.8, 0.5], [[True, True, False], [False, False, True]]).members
    array([[ 0,  1],
           [ 2, -1]])
    """
    means = checks.finite("means", means, (None,), 0.0, 1.0)
    table = np.asarray(actions)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] != means.size:
        raise ValueError(f"actions must have shape (n >= 1, {means.size}), got {table.shape}")
    if table.dtype != np.bool_:
        raise ValueError(f"actions must hold booleans, got {table.dtype}")
    sizes = table.sum(axis=1)
    if sizes.min() == 0:
        raise ValueError(f"{checks.entry('actions', checks.first(sizes == 0))} holds no arm")
    members = np.full((table.shape[0], sizes.max()), -1)
    for row, arms in zip(members, table, strict=True):
        held = np.flatnonzero(arms)
        row[: held.size] = held
    return SemiBandit(means, members, law, scale)


def top_m_bandit(means: ArrayLike, m: int, law: str = "bernoulli", scale: ArrayLike = 1.0) -> SemiBandit:
    """Return a semi-bandit in which any m arms may be played at once.

    Parameters
    ----------
    means : array_like, shape (A,)
        Mean rewards in [0, 1].
    m : int
        Arms played in each round, at most A.
    law : str, default="bernoulli"
        Law of the rewards: "bernoulli", "fixed" or "beta".
    scale : float or array_like, shape (A,), default=1.0
        Sum of the two parameters of a Beta law.

    Returns
    -------
    SemiBandit
        The problem.

    Raises
    ------
    ValueError
        If a mean is wrong or `m` is not in [1, A].

    Examples
    --------
    >>> top_m_bandit([0.2, 0.8, 0.5], 2).members.shape
    (0, 2)
    """
    means = checks.finite("means", means, (None,), 0.0, 1.0)
    return SemiBandit(means, np.zeros((0, checks.integer("m", m, 1, means.size)), np.int64), law, scale)
