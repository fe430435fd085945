"""Bandit instances on which learners must pay: the lower bound, and rewards that turn."""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit

__all__ = ["blockwise_adversary", "lower_bound_bandit"]


def lower_bound_bandit(A: int, T: int, *, best: int = 0, scale: float = 1.0) -> Bandit:
    """Return the Bernoulli bandit of the lower bound: one arm is better by about sqrt(A / T).

    Parameters
    ----------
    A : int
        Number of arms, at least 2.
    T : int
        Number of rounds for which it is hard.
    best : int, default=0
        The best arm.
    scale : float, default=1.0
        Factor > 0 of the gap.

    Returns
    -------
    Bandit
        Means 1/2, that of `best` larger by ``min(1/2, scale * sqrt(A / T))``: in T rounds the gap can just be
        seen, so that every learner has a regret of the order sqrt(A T) for some `best`.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    .. [1] Auer, Cesa-Bianchi, Freund and Schapire. The nonstochastic multiarmed bandit problem. SIAM Journal
       on Computing 32, 2002, section 7.

    Examples
    --------
    >>> lower_bound_bandit(4, 400).means
    array([[0.6, 0.5, 0.5, 0.5]])
    """
    A, T = checks.integer("A", A, 2), checks.integer("T", T)
    best = checks.integer("best", best, 0, A - 1)
    scale = checks.number("scale", scale, 0.0, 1e6, open_low=True)
    means = np.full(A, 0.5)
    means[best] += min(0.5, scale * math.sqrt(A / T))
    return Bandit(means, "bernoulli")


def blockwise_adversary(A: int, T: int, blocks: int = 2) -> Bandit:
    """Return an oblivious adversary that lets each arm in turn be the only good one.

    Parameters
    ----------
    A : int
        Number of arms, at least 2.
    T : int
        Number of rounds, at least `blocks`.
    blocks : int, default=2
        Number of blocks of rounds, about equally long.

    Returns
    -------
    Bandit
        In block j arm ``j mod A`` has reward 1 and the others 0, without noise; regret is against the best
        fixed arm. Who stops looking at an arm that was bad falls far behind.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> blockwise_adversary(2, 10).starts
    array([0, 5])
    """
    A, T = checks.integer("A", A, 2), checks.integer("T", T)
    blocks = checks.integer("blocks", blocks, 1, T)
    means = np.zeros((blocks, A))
    means[np.arange(blocks), np.arange(blocks) % A] = 1.0
    return Bandit(means, "fixed", starts=np.arange(blocks) * T // blocks, dynamic=False)
