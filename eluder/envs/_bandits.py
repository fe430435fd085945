"""Bandit instances: stochastic, piecewise-stationary and adversarial."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import Bandit

__all__ = [
    "adversarial_bandit",
    "bernoulli_bandit",
    "bounded_bandit",
    "exponential_bandit",
    "gaussian_bandit",
    "heavy_tailed_bandit",
    "piecewise_bandit",
    "poisson_bandit",
    "stochastically_constrained_bandit",
]


def bernoulli_bandit(means: ArrayLike) -> Bandit:
    """Return a bandit whose rewards are 0 or 1.

    Parameters
    ----------
    means : array_like, shape (A,)
        Probability of a 1, in [0, 1].

    Returns
    -------
    Bandit
        One segment.

    Raises
    ------
    ValueError
        If a mean is outside [0, 1].

    Examples
    --------
    >>> bernoulli_bandit([0.2, 0.8]).means
    array([[0.2, 0.8]])
    """
    return Bandit(_one_segment(means), "bernoulli")


def gaussian_bandit(means: ArrayLike, sigma: ArrayLike = 1.0) -> Bandit:
    """Return a bandit with Gaussian rewards.

    Parameters
    ----------
    means : array_like, shape (A,)
        Means.
    sigma : float or array_like, shape (A,), default=1.0
        Standard deviations, > 0.

    Returns
    -------
    Bandit
        One segment.

    Raises
    ------
    ValueError
        If a mean is not finite or a deviation is not positive.

    Examples
    --------
    >>> gaussian_bandit([0.0, 0.5], sigma=2.0).scale
    array([2., 2.])
    """
    return Bandit(_one_segment(means), "gaussian", sigma)


def bounded_bandit(means: ArrayLike, precision: ArrayLike = 4.0) -> Bandit:
    """Return a bandit with rewards in [0, 1] of smaller variance than Bernoulli's: Beta laws.

    Parameters
    ----------
    means : array_like, shape (A,)
        Means m in [0, 1].
    precision : float or array_like, shape (A,), default=4.0
        Sum s > 0 of the two parameters of the law: the variance is ``m (1 - m) / (1 + s)``.

    Returns
    -------
    Bandit
        One segment.

    Raises
    ------
    ValueError
        If a mean is outside [0, 1] or a precision is not positive.

    Examples
    --------
    >>> bounded_bandit([0.2, 0.8], precision=10).scale
    array([10., 10.])
    """
    return Bandit(_one_segment(means), "beta", precision)


def exponential_bandit(means: ArrayLike) -> Bandit:
    """Return a bandit with exponential rewards.

    Parameters
    ----------
    means : array_like, shape (A,)
        Means, > 0.

    Returns
    -------
    Bandit
        One segment.

    Raises
    ------
    ValueError
        If a mean is not positive.

    Examples
    --------
    >>> exponential_bandit([1.0, 2.0]).means
    array([[1., 2.]])
    """
    return Bandit(_one_segment(means), "exponential")


def poisson_bandit(means: ArrayLike) -> Bandit:
    """Return a bandit with Poisson rewards.

    Parameters
    ----------
    means : array_like, shape (A,)
        Means in [0, 500].

    Returns
    -------
    Bandit
        One segment.

    Raises
    ------
    ValueError
        If a mean is outside [0, 500].

    Examples
    --------
    >>> poisson_bandit([1.0, 2.0]).means
    array([[1., 2.]])
    """
    return Bandit(_one_segment(means), "poisson")


def heavy_tailed_bandit(means: ArrayLike, tail: ArrayLike = 1.8) -> Bandit:
    """Return a bandit whose rewards are a mean plus a centred Pareto variable.

    Parameters
    ----------
    means : array_like, shape (A,)
        Means.
    tail : float or array_like, shape (A,), default=1.8
        Tail index a > 1: moments of order a and above do not exist, so up to 2 there is no variance.

    Returns
    -------
    Bandit
        One segment.

    Raises
    ------
    ValueError
        If a mean is not finite, or an index is at most 1.

    Examples
    --------
    >>> heavy_tailed_bandit([0.0, 1.0]).scale
    array([1.8, 1.8])
    """
    return Bandit(_one_segment(means), "pareto", tail)


def piecewise_bandit(
    means: ArrayLike, starts: ArrayLike, law: str = "bernoulli", scale: float = 1.0
) -> Bandit:
    """Return a bandit whose means change at given rounds; regret is against the best arm of each round.

    Parameters
    ----------
    means : array_like, shape (M, A)
        Means in each of M segments.
    starts : array_like of int, shape (M,)
        First round of each segment: increasing, from 0.
    law : str, default="bernoulli"
        Law of the rewards, as in `eluder.core.bandits.Bandit`.
    scale : float, default=1.0
        Its scale.

    Returns
    -------
    Bandit
        M segments.

    Raises
    ------
    ValueError
        If a mean or a start is wrong.

    Examples
    --------
    >>> piecewise_bandit([[0.2, 0.8], [0.9, 0.1]], starts=[0, 500]).starts
    array([  0, 500])
    """
    return Bandit(checks.floats("means", means, (None, None)), law, scale, starts)


def adversarial_bandit(rewards: ArrayLike) -> Bandit:
    """Return an oblivious adversary: a table of rewards; regret is against the best fixed arm.

    Parameters
    ----------
    rewards : array_like, shape (T, A)
        Reward of each arm in each round, in [0, 1]; after the last row that row stays.

    Returns
    -------
    Bandit
        T segments of one round, without noise.

    Raises
    ------
    ValueError
        If a reward is outside [0, 1].

    Examples
    --------
    >>> adversarial_bandit([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]).dynamic
    False
    """
    table = checks.finite("rewards", rewards, (None, None), 0.0, 1.0)
    return Bandit(table, "fixed", dynamic=False)


def stochastically_constrained_bandit(
    A: int, T: int, gap: float = 0.125, *, growth: float = 1.6, law: str = "bernoulli"
) -> Bandit:
    """Return the stochastically constrained adversary of Zimmert & Seldin (2021): means move, gaps do not.

    Parameters
    ----------
    A : int
        Number of arms, at least 2; arm 0 is best throughout.
    T : int
        Rounds for which phases are laid out.
    gap : float, default=0.125
        Distance in (0, 1) of the best mean from the others, in every round.
    growth : float, default=1.6
        Ratio > 1 of the lengths of consecutive phases.
    law : str, default="bernoulli"
        Law of the rewards.

    Returns
    -------
    Bandit
        Phases in which the means (best, other) are (1, 1 - gap) and (gap, 0) in turn: a learner that takes
        the mean of the past for the mean of an arm is fooled, one that is robust to adversaries is not.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    .. [1] Zimmert and Seldin. Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits.
       JMLR 22, 2021, section 5. arXiv:1807.07623

    Examples
    --------
    >>> stochastically_constrained_bandit(3, 10).means[:2].tolist()
    [[1.0, 0.875, 0.875], [0.125, 0.0, 0.0]]
    """
    A, T = checks.integer("A", A, 2), checks.integer("T", T)
    gap = checks.number("gap", gap, 0.0, 1.0, open_low=True, open_high=True)
    growth = checks.number("growth", growth, 1.0, 1e6, open_low=True)
    starts = [0]
    length = 1.0
    while starts[-1] + length < T:
        starts.append(starts[-1] + round(length))
        length = max(length * growth, length + 1.0)
    means = np.zeros((len(starts), A))
    means[0::2] = 1.0 - gap
    means[:, 0] += gap
    return Bandit(means, law, starts=starts, dynamic=False)


def _one_segment(means: ArrayLike) -> ArrayLike:
    return checks.floats("means", means, (None,))
