"""Robust linear MDPs of the literature: the simulated one of off-dynamics learning, and an American put."""

import itertools

import numpy as np

from eluder.core import checks
from eluder.core.linear import LinearMDP
from eluder.core.robust_linear import RobustLinearMDP, robust

__all__ = ["american_put", "off_dynamics_linear_mdp", "perturbed_linear_mdp"]

LEAK = 0.001  # chance of the failing state where the walk would go on
STRIKE, UP, LOWEST, HIGHEST = 100.0, 1.02, -11, 17  # prices are STRIKE UP^j: from 80.4 to 140.0


def off_dynamics_linear_mdp(
    rho: float = 0.3,
    divergence: str = "tv",
    mode: str = "ball",
    *,
    delta: float = 0.3,
    xi: float = 0.2,
    every: bool = False,
) -> RobustLinearMDP:
    """Return the simulated linear MDP on which robust learners of off-dynamics problems are compared.

    Five states, three stages, actions in ``{-1, 1}^4``. Actions move probability ``delta + <xi_a, a>`` to
    the good state 4, which pays 1 per stage from the second on; the rest goes on, or with a chance of .001
    to the failing state 3, which pays nothing. Nature may change the factor of the good state in the first
    stage (or all), so that actions that aim at it are worth less than they seem (Liu & Xu, 2024; Tang, Liu
    & Xu, 2025).

    Parameters
    ----------
    rho : float, default=0.3
        Radius of the ball around the factor of the good state in stage 0, or weight of its penalty.
    divergence : {"tv", "kl", "chi2"}, default="tv"
        What the ball is made of, or the penalty. With the other two than "tv" a factor that is a point cannot
        change.
    mode : {"ball", "penalty"}, default="ball"
        What holds nature back. A penalty is on all factors.
    delta : float, default=0.3
        Chance of the good state under the mean action, in [0, 1].
    xi : float, default=0.2
        Weight of the action, ``|xi|_1``, at least 0, with delta - xi and delta + xi in [0, 1].
    every : bool, default=False
        Whether the balls of all factors in all stages have the radius, not only that of the good state.

    Returns
    -------
    RobustLinearMDP
        Starts in state 0.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> mdp = off_dynamics_linear_mdp()
    >>> mdp.phi.shape, mdp.level.tolist()
    ((5, 16, 4), [[0.0, 0.0, 0.0, 0.3], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    """
    rho = checks.number("rho", rho, 0.0)
    linear = _simulated(delta, xi, 0.0)
    where = np.zeros((3, 4))
    where[0, 3] = 1.0
    level = np.full((3, 4), rho) if every or mode == "penalty" else rho * where
    return robust(linear, level, divergence, mode)


def perturbed_linear_mdp(q: float, *, delta: float = 0.3, xi: float = 0.2) -> LinearMDP:
    """Return the problem in which a policy for `off_dynamics_linear_mdp` is deployed.

    In the first stage the factor of the good state leads to the failing state with probability q.

    Parameters
    ----------
    q : float
        Perturbation, in [0, 1]: the distance in total variation from the nominal problem's factor.
    delta, xi : float, default=0.3, 0.2
        As in `off_dynamics_linear_mdp`.

    Returns
    -------
    LinearMDP
        The problem without uncertainty.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> perturbed_linear_mdp(0.25).psi[0, 3].tolist()
    [0.0, 0.0, 0.0, 0.25, 0.75]
    """
    return _simulated(delta, xi, checks.number("q", q, 0.0, 1.0))


def _simulated(delta: float, xi: float, q: float) -> LinearMDP:
    delta = checks.number("delta", delta, 0.0, 1.0)
    xi = checks.number("xi", xi, 0.0, min(delta, 1 - delta))
    actions = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))
    up = delta + xi * actions.mean(axis=1)
    phi = np.zeros((5, 16, 4))
    for s in range(3):
        phi[s, :, s], phi[s, :, 3] = 1 - up, up
    phi[3, :, 2] = phi[4, :, 3] = 1.0
    psi = np.zeros((3, 4, 5))
    psi[:, 0, [1, 3]] = psi[:, 1, [2, 3]] = 1 - LEAK, LEAK
    psi[:, 2, 3] = psi[:, 3, 4] = 1.0
    psi[0, 3, [3, 4]] = q, 1 - q
    theta = np.zeros((3, 4))
    theta[1:, 3] = 1.0
    return LinearMDP(phi, psi, theta, np.arange(5) == 0)


def american_put(
    rho: float = 0.05,
    divergence: str = "kl",
    mode: str = "ball",
    *,
    p_up: float = 0.5,
    H: int = 20,
    spacing: int = 4,
) -> RobustLinearMDP:
    """Return an American put option: when to exercise the right to sell at 100, if the market may be another.

    The price is ``100 1.02^j`` with j from -11 to 17, starts near 100 and goes up or down by one j, with
    probability `p_up` up. Exercising (action 1) pays ``max(0, 100 - price) / 100`` and ends the episode;
    holding (action 0) pays nothing. Holding has one feature per anchor price, each the weight of linear
    interpolation in j, so that the interpolated market is exactly linear (after Ma et al., 2022; Liu & Xu,
    2024, who take these features for a market that is linear in them nearly, and a step down of .98 instead
    of 1 / 1.02).

    Parameters
    ----------
    rho : float, default=0.05
        Radius of the ball around the moves from each anchor, or weight of their penalty.
    divergence : {"tv", "kl", "chi2"}, default="kl"
        What the ball is made of, or the penalty. With "kl" and "chi2" nature chooses the probability of
        going up; with "tv" it can also end the episode.
    mode : {"ball", "penalty"}, default="ball"
        What holds nature back.
    p_up : float, default=0.5
        Probability of going up, in [0, 1]. `eluder.core.robust_linear.nominal` of another `p_up` is a
        market to test a policy in.
    H : int, default=20
        Number of stages.
    spacing : int, default=4
        Distance of the anchors in j, from 1 (every price) to 28.

    Returns
    -------
    RobustLinearMDP
        30 states, the last one after exercise; a feature per anchor, and two for exercise.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from eluder.core.robust_linear import robust_optimum
    >>> mdp = american_put(0.0)
    >>> mdp.phi.shape
    (30, 2, 10)
    >>> worth = [robust_optimum(american_put(x)).V[0] @ mdp.mu for x in (0.0, 0.05, 0.2)]
    >>> bool(worth[0] > worth[1] > worth[2])
    True
    """
    rho, p_up = checks.number("rho", rho, 0.0), checks.number("p_up", p_up, 0.0, 1.0)
    H, spacing = checks.integer("H", H), checks.integer("spacing", spacing, 1, HIGHEST - LOWEST)
    j = np.arange(LOWEST, HIGHEST + 1)
    n = j.size
    anchors = np.unique(np.append(np.arange(0, n, spacing), n - 1))
    d = anchors.size + 2
    pay = np.maximum(1.0 - UP**j, 0.0)
    phi, psi = np.zeros((n + 1, 2, d)), np.zeros((d, n + 1))
    for i in range(anchors.size):
        phi[:n, 0, i] = np.interp(np.arange(n), anchors, np.eye(anchors.size)[i])
        psi[i, min(anchors[i] + 1, n - 1)] += p_up
        psi[i, max(anchors[i] - 1, 0)] += 1 - p_up
    phi[:n, 1, -2], phi[:n, 1, -1] = pay, 1 - pay
    phi[n, :, -1] = psi[-2:, n] = 1.0
    theta = np.broadcast_to(np.arange(d) == d - 2, (H, d)).astype(float)
    start = np.append(np.abs(STRIKE * UP**j - STRIKE) <= 5.0, False)
    linear = LinearMDP(phi, np.broadcast_to(psi, (H, d, n + 1)), theta, start / start.sum())
    level = np.full(d, rho) if mode == "penalty" else np.where(np.arange(d) < anchors.size, rho, 0.0)
    return robust(linear, level, divergence, mode)
