"""Admission to a queue (Naor 1969; Puterman 1994, chapter 11), uniformised."""

import numpy as np

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["queue_admission"]


def queue_admission(
    capacity: int = 10,
    *,
    arrival_rate: float = 1.0,
    service_rate: float = 1.5,
    reward: float = 5.0,
    holding_cost: float = 1.0,
    rescale: bool = False,
    H: int | None = None,
    gamma: float | None = None,
) -> Problem:
    """Return the control of admission to a queue with Poisson arrivals and exponential service (M/M/1).

    Parameters
    ----------
    capacity : int, default=10
        The largest number of customers; the state is their number, the served one among them, at first 0.
    arrival_rate : float, default=1.0
        Arrivals per unit of time.
    service_rate : float, default=1.5
        Services per unit of time.
    reward : float, default=5.0
        Money for each customer admitted.
    holding_cost : float, default=1.0
        Money per customer present and unit of time.
    rescale : bool, default=False
        Map the rewards to [0, 1] by ``(r - r.min()) / (r.max() - r.min())``; an episodic problem needs that.
    H : int, optional
        Horizon in events, for an EpisodicMDP.
    gamma : float, optional
        Discount per event, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma`
        is given.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Action 1 admits the next arrival, action 0 turns it away; a full queue can only do the latter.
        One step is one event of a clock of rate ``arrival_rate + service_rate``, an arrival or (if someone
        is there) a service. ``r[s, a] = (a * arrival_rate * reward - holding_cost * s) / (arrival_rate +
        service_rate)``, the mean reward of a step.

    Raises
    ------
    ValueError
        If an argument is out of range, not exactly one of `H` and `gamma` is given, or an episodic problem
        has rewards outside [0, 1].

    Notes
    -----
    An optimal policy admits while there are fewer than n customers. For the average reward, Naor's formula
    gives n: the integer part of the v that solves ``(v (1 - rho) - rho (1 - rho^v)) / (1 - rho)^2 =
    reward * service_rate / holding_cost``, ``rho = arrival_rate / service_rate`` (the tests check it). A
    continuous-time discount rate beta is the discount ``gamma = rate / (rate + beta)`` per event, rate the
    clock's.

    References
    ----------
    .. [1] Naor. The regulation of queue size by levying tolls. Econometrica 37, 1969.
    .. [2] Puterman. Markov Decision Processes. Wiley 1994, section 11.5.

    Examples
    --------
    >>> queue_admission(2, gamma=1.0).P[1]
    array([[0.6, 0.4, 0. ],
           [0.6, 0. , 0.4]])
    """
    N = checks.integer("capacity", capacity)
    lam = checks.number("arrival_rate", arrival_rate, 0.0, open_low=True)
    mu = checks.number("service_rate", service_rate, 0.0, open_low=True)
    reward = checks.number("reward", reward)
    holding_cost = checks.number("holding_cost", holding_cost, 0.0)
    n = np.arange(N + 1)
    P = np.zeros((N + 1, 2, N + 1))
    r = np.empty((N + 1, 2))
    for a in (0, 1):
        admitted = a * (n < N)
        P[n, a, n + admitted] += lam / (lam + mu)
        P[n, a, np.maximum(n - 1, 0)] += mu / (lam + mu)
        r[:, a] = (admitted * lam * reward - holding_cost * n) / (lam + mu)
    mask = np.column_stack([n <= N, n < N])
    return problem(P, r, np.eye(N + 1)[0], H=H, gamma=gamma, mask=mask, rescale=rescale)
