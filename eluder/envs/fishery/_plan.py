r"""The optimum of a fishery of one species by dynamic programming (Reed 1979), and exact values of its rules.

With s the population that is left, the next one is normal with mean ``m_t(s)`` and standard deviation
``sigma s``. In our names, N the population at the start of a period, theta the threshold::

    W_t(s) = E[V_{t+1}(N') ; N' > theta] - penalty / (t + 1) P(N' <= theta)
    V_t(N) = max_{s <= N} N - s + W_t(s) = N + G_t(N),   V_T = 0
    G_t(N) = max_{s <= N} (W_t(s) - s)                                      a running maximum

``V_t - N`` is held on a grid 0, d, 2 d, ... with theta among its points, is linear between them and constant
beyond; expectations of that are exact, in closed form of the normal law. So the only error is that of the
grid, which falls with its square where V is smooth.

The value of a rule is the same recursion with ``s = s_t(N)`` in place of the maximum; the probability that no
episode ends early is, with ``U_T = 1``, ``U_t(N) = E[U_{t+1}(N') ; N' > theta]``.

Guarantee: none on the error of a grid; halve `step` to see it.

Deviations from the paper: Reed's horizon is infinite and his growth multiplies one noise; here the noise is
that of the fishery, and the levels depend on the period, since the penalty does.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.fishery._model import Fishery, check_fishery, growth
from eluder.envs.fishery._simulate import (
    ConstantEscapement,
    ConstantMortality,
    EscapementTable,
    check_rule,
)

__all__ = ["ExactValue", "FisheryPlan", "fishery_optimum", "policy_value"]


@dataclass(frozen=True, slots=True, eq=False)
class FisheryPlan:
    """The optimum of a fishery of one species.

    Attributes
    ----------
    value : float
        Expected return from the first population.
    grid : ndarray, shape (G,)
        Populations.
    V : ndarray, shape (T + 1, G)
        Expected return from each population and period on.
    policy : EscapementTable
        Population that is left, for each period and population.
    """

    value: float
    grid: Array
    V: Array
    policy: EscapementTable


@dataclass(frozen=True, slots=True)
class ExactValue:
    """What a rule is worth.

    Attributes
    ----------
    value : float
        Expected return.
    survival : float
        Probability that an episode does not end early.
    """

    value: float
    survival: float


def fishery_optimum(fishery: Fishery, *, step: float = 0.00125, most: float = 1.5) -> FisheryPlan:
    """Find the best policy of a fishery of one species.

    Parameters
    ----------
    fishery : Fishery
        With one species, as ``fishery(1)``.
    step : float, default=0.00125
        Distance of the grid's points; rounded so that the threshold is one of them.
    most : float, default=1.5
        Largest population of the grid.

    Returns
    -------
    FisheryPlan
        Value, values of all periods and populations, and the policy, for `simulate`.

    Raises
    ------
    ValueError
        If there is more than one species or no noise, or an argument is out of range.

    Notes
    -----
    O(G^2) time for each period and memory, G = most / step.

    References
    ----------
    .. [1] Reed. Optimal escapement levels in stochastic and deterministic harvesting models. Journal of
       Environmental Economics and Management 6, 1979.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> round(fishery_optimum(fishery(1)).value, 2)
    2.07
    """
    f, grid, top = _grid(fishery, step, most)
    T = len(f.r)
    V, levels = np.zeros((T + 1, len(grid))), np.empty((T, len(grid)))
    law: tuple[Array, Array, Array] | None = None
    for t in range(T - 1, -1, -1):
        if law is None or f.r[t] != f.r[t + 1]:
            law = _law(f, grid, grid, t)
        gain = _expected(law, V[t + 1], t + 1 == T, grid, f.penalty / (t + 1)) - grid
        G = np.maximum.accumulate(gain)
        # the running maximum's place: the last point at which it grew
        grew = np.concatenate([[True], gain[1:] > G[:-1]])
        levels[t] = grid[np.maximum.accumulate(np.where(grew, np.arange(len(grid)), 0))]
        V[t] = grid + G
    value = float(_start(f, grid) @ (V[0] - grid) + f.x0[0])
    return FisheryPlan(value, grid, V, EscapementTable(top, levels))


def policy_value(
    fishery: Fishery,
    policy: ConstantMortality | ConstantEscapement | EscapementTable,
    *,
    step: float = 0.00125,
    most: float = 1.5,
) -> ExactValue:
    """Return the expected return of a rule in a fishery of one species, without simulation.

    Parameters
    ----------
    fishery : Fishery
        With one species, as ``fishery(1)``.
    policy : ConstantMortality, ConstantEscapement or EscapementTable
        The rule.
    step : float, default=0.00125
        Distance of the grid's points; rounded so that the threshold is one of them.
    most : float, default=1.5
        Largest population of the grid.

    Returns
    -------
    ExactValue
        Expected return, and the probability that an episode does not end early.

    Raises
    ------
    ValueError
        If there is more than one species or no noise, or an argument is out of range.

    Notes
    -----
    O(G^2) time for each period, and O(G^2) memory, G = most / step.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> best = policy_value(fishery(1), ConstantEscapement((0.52,)), step=0.005)
    >>> round(best.value, 1), round(best.survival, 1)
    (1.7, 0.8)
    """
    f, grid, _ = _grid(fishery, step, most)
    if not isinstance(policy, ConstantMortality | ConstantEscapement | EscapementTable):
        raise ValueError(f"policy must be one of the three rules, got {policy!r}")
    check_rule(f, policy)
    T = len(f.r)
    V, U = np.zeros(len(grid)), np.ones(len(grid))
    law: tuple[Array, Array, Array] | None = None
    for t in range(T - 1, -1, -1):
        if law is None or f.r[t] != f.r[t + 1] or isinstance(policy, EscapementTable):
            s = grid * (1.0 - np.clip(policy(grid[:, None], t)[:, 0], 0.0, 1.0))
            law = _law(f, grid, s, t)
        V = grid - s + _expected(law, V, t + 1 == T, grid, f.penalty / (t + 1))
        U = law[0] @ U
    start = _start(f, grid)
    return ExactValue(float(start @ (V - grid) + f.x0[0]), float(start @ U))


def _grid(fishery: Fishery, step: float, most: float) -> tuple[Fishery, Array, float]:
    """Return the fishery, the grid and its step; refuse fisheries that have no such plan."""
    f = check_fishery(fishery)
    if len(f.x0) != 1:
        raise ValueError(f"fishery must have one species, it has {len(f.x0)}")
    if f.sigma <= 0 or f.sigma0 <= 0 or f.threshold <= 0:
        raise ValueError(
            "fishery must have noise and a threshold: sigma, sigma0 and threshold must be positive"
        )
    step = checks.number("step", step, 1e-4, 0.05)
    most = checks.number("most", most, 1.0, 10.0)
    step = f.threshold / max(round(f.threshold / step), 1)
    grid: Array = step * np.arange(round(most / step) + 1, dtype=np.float64)
    return f, grid, step


def _law(f: Fishery, grid: Array, s: Array, t: int) -> tuple[Array, Array, Array]:
    """Return weights of the grid's points in E[g(N'); N' > theta] for functions g that are linear between
    them, E[N'; N' > theta] and P(N' <= theta), for each population s that is left."""
    mean = growth(f, s[:, None], t)[:, 0]
    return _normal_law(grid, mean, np.maximum(f.sigma * s, 1e-12), f.threshold)


def _start(f: Fishery, grid: Array) -> Array:
    """Return the weights of the grid's points in the expectation over the first population."""
    weights: Array = _normal_law(grid, f.x0, np.array([f.sigma0]), 0.0)[0][0]
    return weights


def _normal_law(grid: Array, mean: Array, sd: Array, low: float) -> tuple[Array, Array, Array]:
    """The same for normal laws; a point's weight is a second difference of E[(N' - y)^+]."""
    first = round(low / (grid[1] - grid[0]))
    y = grid[first:]
    z = (y - mean[:, None]) / sd[:, None]
    tail = ndtr(-z)
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    above = sd[:, None] * (density - z * tail)  # E (N' - y)^+
    slope = np.diff(above, axis=1) / np.diff(y)  # minus the mean of each tent's falling side
    weights = np.zeros((len(mean), len(grid)))
    weights[:, first] = tail[:, 0] + slope[:, 0]
    weights[:, first + 1 : -1] = np.diff(slope, axis=1)
    weights[:, -1] = -slope[:, -1]
    partial = above[:, 0] + y[0] * tail[:, 0]
    return weights, partial, 1.0 - tail[:, 0]


def _expected(law: tuple[Array, Array, Array], V: Array, last: bool, grid: Array, penalty: float) -> Array:
    """Return W, from the values of the next period; none follow the last one."""
    weights, partial, end = law
    W: Array = -penalty * end
    if not last:
        W = W + partial + weights @ (V - grid)
    return W
