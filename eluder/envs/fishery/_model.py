r"""Fisheries of one and three species, harvested for 200 periods or until a population nearly dies out.

Montealegre-Mora, Lapeyrolerie, Chapman, Keller & Boettiger (2023), Pretty darn good control: when are
approximate solutions better than approximate models, arXiv:2308.13654. A period, in our names::

    h_i = a_i N_i,  a_i in [0, 1] for the harvested species, 0 for the others;  (X, Y, Z) <- N - h
    X' = X + r_t X (1 - X / K) - beta Z X^2 / (c^2 + X^2) - c_XY X Y + sigma X xi_X
    Y' = Y + r Y (1 - Y / K) - D beta Z Y^2 / (c^2 + Y^2) - c_XY X Y + sigma Y xi_Y
    Z' = Z + (b (X + D Y) - d_Z) Z + sigma Z xi_Z
    reward = sum_i h_i;  if any population is <= threshold:  reward -= penalty / (t + 1), the episode ends

Model 1 has X alone, with Z = 1 for ever. Models 2 to 4 have all three; 2 harvests X, 3 harvests X and Y, and
4 does with r_t = max(1 - t / 200, 1 / 2), a climate that changes. Episodes start near fixed populations.

The paper says that the variance of the noise is .05. The published records of its episodes have standard
deviations of .05 in Model 1 and of .10 in Models 2 to 4, and .02 in the first populations; those are the
defaults here. Its rewards are harvests before the last period that was played, without the penalty (see
`Runs.published`), which changes which policy is best: ours are returns as defined above.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, BoolArray

__all__ = ["Fishery", "FisheryStep", "first_populations", "fishery", "growth", "step"]


class Fishery(NamedTuple):
    """A fishery of one or three species.

    Attributes
    ----------
    r : ndarray, shape (T,)
        Growth rate of X in each of the T periods, per period.
    r_Y : float
        Growth rate of Y.
    K : float
        Carrying capacity of X and of Y; the unit of populations.
    beta, c : float
        Largest predation per predator and period; prey at which it is half of that.
    D : float
        Predation on Y relative to that on X.
    c_XY : float
        Competition of X and Y.
    b, d_Z : float
        Births of Z per prey, and its deaths, per period.
    sigma : float
        Standard deviation of the noise of a period, relative to the population.
    x0 : ndarray, shape (S,)
        Mean first populations of the S = 1 or 3 species.
    sigma0 : float
        Standard deviation of the first populations.
    harvested : int
        Number A of species that are harvested: the first ones.
    threshold : float
        Population at or below which the episode ends.
    penalty : float
        An end in period t = 0, 1, ... costs ``penalty / (t + 1)``.
    """

    r: Array
    r_Y: float
    K: float
    beta: float
    c: float
    D: float
    c_XY: float
    b: float
    d_Z: float
    sigma: float
    x0: Array
    sigma0: float
    harvested: int
    threshold: float
    penalty: float


class FisheryStep(NamedTuple):
    """What happens in one period.

    Attributes
    ----------
    populations : ndarray, shape (..., S)
        At the start of the next period.
    harvest : ndarray, shape (..., A)
        Biomass taken of each harvested species.
    reward : ndarray, shape (...)
        All harvest, less the penalty.
    ended : ndarray of bool, shape (...)
        Whether a population fell to the threshold.
    """

    populations: Array
    harvest: Array
    reward: Array
    ended: BoolArray


def fishery(model: int, *, T: int = 200, sigma: float | None = None, **changes: float) -> Fishery:
    """Return one of the four published fisheries.

    Parameters
    ----------
    model : {1, 2, 3, 4}
        1: one species near its tipping point; 2: three species, X harvested; 3: three species, X and Y
        harvested; 4: as 3, with the growth rate of X falling from 1 to 1/2 in 100 periods.
    T : int, default=200
        Periods of an episode.
    sigma : float, optional
        Relative noise of a period; .05 in model 1 and .1 in the others if not given.
    **changes : float
        Other fields of `Fishery` that are numbers.

    Returns
    -------
    Fishery
        The fishery.

    Raises
    ------
    ValueError
        If an argument is out of range or unknown.

    References
    ----------
    .. [1] Montealegre-Mora et al. Pretty darn good control: when are approximate solutions better than
       approximate models. arXiv:2308.13654, 2023.

    Examples
    --------
    >>> fishery(4).r[[0, 50, 150]].tolist(), fishery(1).x0.tolist()
    ([1.0, 0.75, 0.5], [0.7])
    """
    model = checks.integer("model", model, 1, 4)
    T = checks.integer("T", T)
    if sigma is None:
        sigma = 0.05 if model == 1 else 0.1
    one = model == 1
    made = Fishery(
        r=np.maximum(1 - np.arange(T) / 200, 0.5) if model == 4 else np.ones(T),
        r_Y=1.0,
        K=1.0,
        beta=0.25 if one else 0.3,
        c=0.1 if one else 0.3,
        D=1.1,
        c_XY=0.1,
        b=0.1,
        d_Z=0.1,
        sigma=checks.number("sigma", sigma, 0.0),
        x0=np.array([0.7] if one else [0.5, 0.5, 0.7]),
        sigma0=0.02,
        harvested=1 if model < 3 else 2,
        threshold=0.05,
        penalty=100.0,
    )
    for name, value in changes.items():
        if name in ("r", "x0", "harvested") or name not in Fishery._fields:
            raise ValueError(f"{name} is no number of a fishery that can be changed")
        low = 1e-6 if name in ("K", "c") else 0.0
        new: dict[str, Any] = {name: checks.number(name, value, low)}
        made = made._replace(**new)
    return made


def growth(fishery: Fishery, populations: ArrayLike, t: int) -> Array:
    """Return what is left over after a period without harvest and noise.

    Parameters
    ----------
    fishery : Fishery
        The fishery.
    populations : array_like, shape (..., S)
        After the harvest.
    t : int
        Period, from 0.

    Returns
    -------
    ndarray, shape (..., S)
        Means of the next populations.

    Raises
    ------
    ValueError
        If the populations do not fit or the period is none of the fishery.

    Examples
    --------
    >>> growth(fishery(1, beta=0.0), [0.5], 0).tolist()
    [0.75]
    """
    f = fishery
    N = _populations(f, populations)
    r = f.r[checks.integer("t", t, 0, len(f.r) - 1)]
    X, Y, Z = (N[..., 0], N[..., 1], N[..., 2]) if len(f.x0) == 3 else (N[..., 0], 0.0, 1.0)
    mean = np.empty_like(N)
    mean[..., 0] = X + r * X * (1 - X / f.K) - f.beta * Z * X**2 / (f.c**2 + X**2) - f.c_XY * X * Y
    if len(f.x0) == 3:
        mean[..., 1] = (
            Y + f.r_Y * Y * (1 - Y / f.K) - f.D * f.beta * Z * Y**2 / (f.c**2 + Y**2) - f.c_XY * X * Y
        )
        mean[..., 2] = Z + (f.b * (X + f.D * Y) - f.d_Z) * Z
    return mean


def step(
    fishery: Fishery, populations: ArrayLike, fractions: ArrayLike, t: int, xi: ArrayLike
) -> FisheryStep:
    """Play one period: the definition, in NumPy.

    Parameters
    ----------
    fishery : Fishery
        The fishery.
    populations : array_like, shape (..., S)
        At the start of the period.
    fractions : array_like, shape (..., A)
        Parts of the harvested species that are taken; cut to [0, 1].
    t : int
        Period, from 0.
    xi : array_like, shape (..., S)
        Noise of the species, standard normal.

    Returns
    -------
    FisheryStep
        Next populations, harvest, reward, and whether the episode ends.

    Raises
    ------
    ValueError
        If an argument does not fit or the period is none of the fishery.

    Examples
    --------
    >>> played = step(fishery(1, beta=0.0), [[0.5]], [[0.2]], 0, [[0.0]])
    >>> played.populations.tolist(), played.harvest.tolist(), played.ended.tolist()
    ([[0.64]], [[0.1]], [False])
    """
    f = fishery
    N = _populations(f, populations)
    a = np.clip(checks_last("fractions", fractions, f.harvested), 0.0, 1.0)
    noise = checks_last("xi", xi, len(f.x0))
    # harvest
    h = a * N[..., : f.harvested]
    left = np.broadcast_to(N, (*h.shape[:-1], N.shape[-1])).copy()
    left[..., : f.harvested] -= h
    # grow
    after = growth(f, left, t) + f.sigma * left * noise
    # end
    ended: BoolArray = np.asarray((after <= f.threshold).any(axis=-1))
    reward = h.sum(axis=-1) - ended * f.penalty / (t + 1)
    return FisheryStep(after, h, reward, ended)


def first_populations(fishery: Fishery, xi: ArrayLike) -> Array:
    """Return first populations.

    Parameters
    ----------
    fishery : Fishery
        The fishery.
    xi : array_like, shape (..., S)
        Standard normal numbers.

    Returns
    -------
    ndarray, shape (..., S)
        ``x0 + sigma0 xi``, and not negative.

    Raises
    ------
    ValueError
        If the numbers do not fit.

    Examples
    --------
    >>> first_populations(fishery(2), [0.0, 1.0, -1.0]).tolist()
    [0.5, 0.52, 0.6799999999999999]
    """
    noise = checks_last("xi", xi, len(fishery.x0))
    first: Array = np.maximum(fishery.x0 + fishery.sigma0 * noise, 0.0)
    return first


def checks_last(name: str, x: ArrayLike, n: int) -> Array:
    """Return finite floats whose last axis has n entries."""
    array = np.asarray(x, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != n:
        raise ValueError(f"{name} must have shape (..., {n}), got {array.shape}")
    if not np.isfinite(array).all():
        where = checks.first(~np.isfinite(array))
        raise ValueError(f"{checks.entry(name, where)} is {array[where]}, it must be finite")
    return array


def check_fishery(fishery: Any) -> Fishery:
    """Return a fishery; refuse anything else."""
    if not isinstance(fishery, Fishery):
        raise ValueError(f"fishery must be a Fishery, got {fishery!r}")
    return fishery


def _populations(fishery: Fishery, populations: ArrayLike) -> Array:
    return checks_last("populations", populations, len(check_fishery(fishery).x0))
