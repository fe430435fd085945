"""Stochastic inventory control (Puterman 1994, section 3.2)."""

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.envs._build import Problem, problem

__all__ = ["inventory_control"]


def inventory_control(
    capacity: int = 3,
    *,
    demand: ArrayLike = (0.25, 0.5, 0.25),
    fixed_cost: float = 4.0,
    unit_cost: float = 2.0,
    holding_cost: float = 1.0,
    price: float = 8.0,
    rescale: bool = False,
    H: int | None = None,
    gamma: float | None = None,
) -> Problem:
    """Return the control of one product's stock with random demand and lost sales.

    Parameters
    ----------
    capacity : int, default=3
        The largest stock M. The state is the stock, in units, before the order; at first 0.
    demand : array_like, default=(0.25, 0.5, 0.25)
        ``demand[d]``: probability that d units are asked for in a period.
    fixed_cost : float, default=4.0
        Cost of placing an order, money.
    unit_cost : float, default=2.0
        Cost of each unit ordered, money.
    holding_cost : float, default=1.0
        Cost of each unit in stock after the order, money per period.
    price : float, default=8.0
        Revenue of each unit sold, money.
    rescale : bool, default=False
        Map the rewards to [0, 1] by ``(r - r.min()) / (r.max() - r.min())``; an episodic problem needs that.
    H : int, optional
        Horizon in periods, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Action a orders a units, available if they fit: ``s + a <= M``. They arrive at once, then demand is
        met from stock: ``s' = max(s + a - d, 0)``. ``r[s, a] = price * E min(d, s + a) - cost of the order -
        holding_cost * (s + a)``. Unavailable orders repeat the row of the largest one that fits.

    Raises
    ------
    ValueError
        If an argument is out of range, not exactly one of `H` and `gamma` is given, or an episodic problem
        has rewards outside [0, 1].

    Notes
    -----
    The defaults are the numerical example of [1]_, with optimal values over three periods 67/16, 129/16,
    194/16, 227/16 from stocks 0 to 3 (from memory of the book; the test computes them). With `rescale`, all
    policies keep their order, and ``V = (high - low) V' + low (H - h)`` as for `from_gymnasium`.

    References
    ----------
    .. [1] Puterman. Markov Decision Processes. Wiley 1994, sections 3.2.2 and 4.6.1.

    Examples
    --------
    >>> inventory_control(gamma=0.9).r[0]
    array([ 0., -1., -2., -5.])
    """
    M = checks.integer("capacity", capacity)
    p = checks.distribution("demand", demand, (None,))
    fixed, unit, holding, price = (
        checks.number(name, x, 0.0)
        for name, x in [
            ("fixed_cost", fixed_cost),
            ("unit_cost", unit_cost),
            ("holding_cost", holding_cost),
            ("price", price),
        ]
    )
    d = np.arange(p.size)
    P = np.zeros((M + 1, M + 1, M + 1))
    r = np.empty((M + 1, M + 1))
    for s, a in np.ndindex(M + 1, M + 1):
        order = min(a, M - s)
        stock = s + order
        np.add.at(P[s, a], np.maximum(stock - d, 0), p)
        revenue = price * (p @ np.minimum(d, stock))
        r[s, a] = revenue - (fixed * (order > 0) + unit * order) - holding * stock
    mask = np.add.outer(np.arange(M + 1), np.arange(M + 1)) <= M
    return problem(P, r, np.eye(M + 1)[0], H=H, gamma=gamma, mask=mask, rescale=rescale)
