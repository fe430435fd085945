"""Instances of duelling bandits."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.dueling import DuelingBandit

__all__ = ["bradley_terry_bandit", "cyclic_dueling_bandit", "dueling_bandit"]


def dueling_bandit(P: ArrayLike) -> DuelingBandit:
    """Return a duelling bandit with given preferences.

    Parameters
    ----------
    P : array_like, shape (A, A)
        ``P[a, b]`` is the probability that arm a beats arm b.

    Returns
    -------
    DuelingBandit
        The problem.

    Raises
    ------
    ValueError
        If an entry is not a probability, or ``P[a, b] + P[b, a]`` is not 1.

    Examples
    --------
    >>> dueling_bandit([[0.5, 0.7], [0.3, 0.5]]).P[0, 1]
    np.float64(0.7)
    """
    return DuelingBandit(P)


def bradley_terry_bandit(utilities: ArrayLike) -> DuelingBandit:
    """Return a duelling bandit in which a beats b with probability ``1 / (1 + exp(u_b - u_a))``.

    Parameters
    ----------
    utilities : array_like, shape (A,)
        Utility u of each arm.

    Returns
    -------
    DuelingBandit
        The arm of the largest utility beats all others.

    Raises
    ------
    ValueError
        If a utility is not finite.

    References
    ----------
    .. [1] Bradley and Terry. Rank analysis of incomplete block designs. Biometrika 39, 1952.

    Examples
    --------
    >>> round(float(bradley_terry_bandit([1.0, 0.0]).P[0, 1]), 4)
    0.7311
    """
    u = checks.finite("utilities", utilities, (None,), -1e6, 1e6)
    return DuelingBandit(0.5 * (1.0 + np.tanh(0.5 * (u[:, None] - u[None, :]))))


def cyclic_dueling_bandit(A: int = 4, gap: float = 0.1, cycle: float = 0.4) -> DuelingBandit:
    """Return a duelling bandit with a Condorcet winner and a cycle among the others.

    Parameters
    ----------
    A : int, default=4
        Number of arms, at least 4. Arm 0 beats each other arm; of the others each beats the next, and the
        last beats arm 1; all other pairs are even.
    gap : float, default=0.1
        Arm 0 wins with probability 1/2 + gap; in (0, 1/2].
    cycle : float, default=0.4
        In the cycle the stronger wins with probability 1/2 + cycle; in [0, 1/2].

    Returns
    -------
    DuelingBandit
        Nothing orders the arms behind the winner, and with ``cycle > gap`` most duels say more about the
        cycle.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> cyclic_dueling_bandit(gap=0.1, cycle=0.4).P
    array([[0.5, 0.6, 0.6, 0.6],
           [0.4, 0.5, 0.9, 0.1],
           [0.4, 0.1, 0.5, 0.9],
           [0.4, 0.9, 0.1, 0.5]])
    """
    A = checks.integer("A", A, 4)
    gap = checks.number("gap", gap, 0.0, 0.5, open_low=True)
    cycle = checks.number("cycle", cycle, 0.0, 0.5)
    P = np.full((A, A), 0.5)
    P[0, 1:], P[1:, 0] = 0.5 + gap, 0.5 - gap
    a = np.arange(1, A)
    b = np.roll(a, -1)
    P[a, b], P[b, a] = 0.5 + cycle, 0.5 - cycle
    return DuelingBandit(P)
