"""The best constant mortality and the best constant escapement, by trying all on a grid."""

import itertools
from dataclasses import dataclass

import numpy as np

from eluder.core import checks
from eluder.core.types import Array
from eluder.envs.fishery._model import Fishery, check_fishery
from eluder.envs.fishery._simulate import ConstantEscapement, ConstantMortality, Runs, draw_noise, simulate

__all__ = ["GridSearch", "best_rule"]


@dataclass(frozen=True, slots=True, eq=False)
class GridSearch:
    """All rules of one family on a grid.

    Attributes
    ----------
    axis : ndarray, shape (points,)
        Values of each parameter.
    mean, error : ndarray, shape (points,) or (points, points)
        Mean return of each rule over the same episodes, and its standard error.
    policy : ConstantMortality or ConstantEscapement
        The rule with the largest mean.
    runs : Runs
        Fresh episodes of it: their mean is not biased by the choice.
    """

    axis: Array
    mean: Array
    error: Array
    policy: ConstantMortality | ConstantEscapement
    runs: Runs


def best_rule(
    family: type[ConstantMortality | ConstantEscapement],
    fishery: Fishery,
    *,
    points: int = 51,
    most: float | None = None,
    episodes: int = 400,
    fresh: int = 4000,
    rng: np.random.Generator,
) -> GridSearch:
    """Find the best constant mortality or the best constant escapement.

    Parameters
    ----------
    family : type
        `ConstantMortality` or `ConstantEscapement`.
    fishery : Fishery
        The fishery.
    points : int, default=51
        Parts or levels that are tried for each harvested species, evenly spaced in [0, most].
    most : float, optional
        The largest; 0.5 for parts (at most 1), 1 for levels.
    episodes : int, default=400
        Episodes of each rule, with the same noise for all.
    fresh : int, default=4000
        Episodes of the best rule.
    rng : Generator
        Source of the noise.

    Returns
    -------
    GridSearch
        Mean returns with errors, the best rule (of equals the first) and fresh episodes of it.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Costs ``points^A episodes T`` periods, some tens of nanoseconds each.

    Examples
    --------
    The surplus ``s (1 - s)`` is largest at one half; a third of the stock is what is taken then in the long
    run, a little more in 200 periods:

    >>> from eluder.envs.fishery import fishery
    >>> calm, rng = fishery(1, beta=0.0, sigma=0.0), np.random.default_rng(0)
    >>> best_rule(ConstantEscapement, calm, points=11, episodes=1, fresh=1, rng=rng).policy
    ConstantEscapement(levels=(0.5,))
    >>> best_rule(ConstantMortality, calm, points=26, episodes=1, fresh=1, rng=rng).policy
    ConstantMortality(fractions=(0.34,))
    """
    if family not in (ConstantMortality, ConstantEscapement):
        raise ValueError(f"family must be ConstantMortality or ConstantEscapement, got {family!r}")
    parts = family is ConstantMortality
    most = (0.5 if parts else 1.0) if most is None else most
    most = checks.number("most", most, 0.0, 1.0 if parts else np.inf, open_low=True)
    A = check_fishery(fishery).harvested
    points, fresh = checks.integer("points", points, 2), checks.integer("fresh", fresh)
    axis = np.round(np.linspace(0.0, most, points), 12)
    noise = draw_noise(fishery, episodes, rng=rng)
    mean, error = np.empty((points,) * A), np.empty((points,) * A)
    for index in itertools.product(range(points), repeat=A):
        runs = simulate(fishery, family(tuple(axis[list(index)].tolist())), noise=noise)
        mean[index], error[index] = runs.mean, runs.error
    best = np.unravel_index(int(np.argmax(mean)), mean.shape)
    policy = family(tuple(axis[list(best)].tolist()))
    return GridSearch(axis, mean, error, policy, simulate(fishery, policy, episodes=fresh, rng=rng))
