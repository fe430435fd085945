"""Dynamical linear bandits: what is played moves a hidden linear state, and rewards see both.

In round t the learner plays an action u of a finite set, sees ``y = <omega, x> + <theta, u> + noise``, and
the hidden state becomes ``F x + B u + noise``. An action that is held for ever earns in the long run
``<h, u>`` with ``h = theta + B' (I - F')^-1 omega`` (`cumulative_effect`), and some constant action is
optimal (Mussi, Metelli & Restelli 2023). Learners touch the problem through `play_dynamical`, which also
keeps the books; of the problem they may read `phi`, never the rest.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import MAX_MEAN, Ledger, ledger, record
from eluder.core.kernels import dot, kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = [
    "DynamicalBounds",
    "DynamicalLedger",
    "DynamicalLinearBandit",
    "cumulative_effect",
    "dynamical_bounds",
    "dynamical_ledger",
    "dynamical_result",
    "long_run_means",
    "play_dynamical",
    "power_bound",
]

MAX_POWER = 10_000  # powers of F that `power_bound` looks at


class _DynamicalLinearBandit(NamedTuple):
    phi: Array
    theta: Array
    F: Array
    B: Array
    omega: Array
    x0: Array
    sigma: float
    sigma_x: float


class DynamicalLinearBandit(_DynamicalLinearBandit):
    """Bandit with A actions of d features and a hidden state of n numbers.

    Parameters
    ----------
    phi : array_like, shape (A, d)
        The actions u.
    theta : array_like, shape (d,)
        What an action earns at once.
    F : array_like, shape (n, n)
        Dynamics of the state; its spectral radius is below 1.
    B : array_like, shape (n, d)
        What an action does to the state.
    omega : array_like, shape (n,)
        What the state earns.
    x0 : array_like, shape (n,), optional
        The first state; 0 by default.
    sigma : float, default=1.0
        Standard deviation of the Gaussian noise of a reward.
    sigma_x : float, default=0.0
        Standard deviation of the Gaussian noise in each coordinate of the state.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong, or `F` is not stable.

    Examples
    --------
    >>> from eluder.core.dynamical import DynamicalLinearBandit
    >>> DynamicalLinearBandit([[1, 0], [0, 1]], [0, 1], [[0.5]], [[1, 0]], [1]).x0
    array([0.])
    """

    __slots__ = ()

    def __new__(
        cls,
        phi: ArrayLike,
        theta: ArrayLike,
        F: ArrayLike,
        B: ArrayLike,
        omega: ArrayLike,
        x0: ArrayLike | None = None,
        sigma: float = 1.0,
        sigma_x: float = 0.0,
    ) -> Self:
        phi = checks.finite("phi", phi, (None, None), -MAX_MEAN, MAX_MEAN)
        d = phi.shape[1]
        theta = checks.finite("theta", theta, (d,), -MAX_MEAN, MAX_MEAN)
        omega = checks.finite("omega", omega, (None,), -MAX_MEAN, MAX_MEAN)
        n = omega.size
        F = checks.finite("F", F, (n, n), -MAX_MEAN, MAX_MEAN)
        if (rho := spectral_radius(F)) >= 1.0 - 1e-9:
            raise ValueError(f"F has the spectral radius {rho:.9g}, it must be below 1")
        B = checks.finite("B", B, (n, d), -MAX_MEAN, MAX_MEAN)
        x0 = np.zeros(n) if x0 is None else checks.finite("x0", x0, (n,), -MAX_MEAN, MAX_MEAN)
        sigma = checks.number("sigma", sigma, 0.0, MAX_MEAN)
        sigma_x = checks.number("sigma_x", sigma_x, 0.0, MAX_MEAN)
        return super().__new__(cls, phi, theta, F, B, omega, x0, sigma, sigma_x)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def refuse_other_problems(bandit: Any) -> None:
    """Refuse what is not a `DynamicalLinearBandit`."""
    if not isinstance(bandit, DynamicalLinearBandit):
        raise ValueError(f"bandit must be a DynamicalLinearBandit, got {type(bandit).__name__}")


def spectral_radius(F: Array) -> float:
    """Return the largest modulus of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(F)).max())


def cumulative_effect(bandit: DynamicalLinearBandit) -> Array:
    """Return what one unit of each feature earns at once and through the state, in all rounds to come.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The problem.

    Returns
    -------
    ndarray, shape (d,)
        ``h = theta + B' (I - F')^-1 omega``.

    Examples
    --------
    >>> cumulative_effect(DynamicalLinearBandit([[1, 0], [0, 1]], [0, 1], [[0.5]], [[1, 0]], [1]))
    array([2., 1.])
    """
    n = bandit.omega.size
    h: Array = bandit.theta + bandit.B.T @ np.linalg.solve(np.eye(n) - bandit.F.T, bandit.omega)
    return h


def long_run_means(bandit: DynamicalLinearBandit) -> Array:
    """Return the mean reward of each action in the long run, when it is held for ever.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The problem.

    Returns
    -------
    ndarray, shape (A,)
        ``<h, u>`` for each action u; their largest is the optimal average reward.

    Examples
    --------
    >>> long_run_means(DynamicalLinearBandit([[1, 0], [1, 1]], [0, 1], [[0.5]], [[1, 0]], [1]))
    array([2., 3.])
    """
    means: Array = bandit.phi @ cumulative_effect(bandit)
    return means


def power_bound(F: ArrayLike, rho: float) -> float:
    """Return the smallest C with ``|F^t| <= C rho^t`` (spectral norm) for every t.

    Parameters
    ----------
    F : array_like, shape (n, n)
        A matrix.
    rho : float
        Above its spectral radius; or equal to it, if the norm of `F` is as well.

    Returns
    -------
    float
        ``sup_t |F^t| / rho^t``, at least 1.

    Raises
    ------
    ValueError
        If no power up to the 10000th shows that the supremum has been met.

    Notes
    -----
    The norm of a product is at most the product of the norms: once ``|F^t| <= rho^t`` for some t >= 1 no
    later power can exceed those before.

    Examples
    --------
    >>> power_bound([[0.5, 1], [0, 0.5]], 0.75)
    1.88...
    """
    F = checks.finite("F", F, (None, None))
    rho = checks.number("rho", rho, 0.0, 1.0, open_low=True)
    G, power, most = F / rho, np.eye(len(F)), 1.0
    for _ in range(MAX_POWER):
        power = G @ power
        size = float(np.linalg.norm(power, 2))
        if size <= 1.0:
            return most
        most = max(most, size)
        if most > 1e100:
            break
    raise ValueError(f"rho must be larger: the powers of F do not fall below those of rho = {rho:g}")


class DynamicalBounds(NamedTuple):
    """What a learner is told of a dynamical linear bandit: upper bounds.

    Attributes
    ----------
    rho : float
        On the spectral radius of F, in (0, 1).
    Phi : float
        ``|F^t| <= Phi rho^t`` for every t.
    B, omega, theta : float
        On the norms of B, omega and theta.
    x : float
        On the norm of the first state.
    sigma : float
        On the deviations of all noise, that of rewards and that of the state.
    """

    rho: float
    Phi: float
    B: float
    omega: float
    theta: float
    x: float
    sigma: float


def dynamical_bounds(bandit: DynamicalLinearBandit, rho: float | None = None) -> DynamicalBounds:
    """Return the exact bounds of a problem: the least that a learner can be told.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The problem.
    rho : float, optional
        Bound on the spectral radius of F, above it; by default a tenth of the way from it to 1.

    Returns
    -------
    DynamicalBounds
        Norms of the problem's own parameters.

    Raises
    ------
    ValueError
        If `rho` is not in (0, 1) or not above the spectral radius.

    Examples
    --------
    >>> bounds = dynamical_bounds(DynamicalLinearBandit([[1, 0]], [3, 4], [[0.5]], [[1, 0]], [2]), 0.5)
    >>> bounds.Phi, bounds.theta, bounds.omega
    (1.0, 5.0, 2.0)
    """
    if rho is None:
        rho = 0.1 + 0.9 * spectral_radius(bandit.F)
    rho = checks.number("rho", rho, 0.0, 1.0, open_low=True, open_high=True)
    B, omega, theta, x = (
        float(np.linalg.norm(a, 2)) for a in (bandit.B, bandit.omega, bandit.theta, bandit.x0)
    )
    return DynamicalBounds(
        rho, power_bound(bandit.F, rho), B, omega, theta, x, max(bandit.sigma, bandit.sigma_x)
    )


# --- the books of a run ---


class DynamicalLedger(NamedTuple):
    """The hidden state of a run and what is measured of it; `play_dynamical` uses it.

    Attributes
    ----------
    played : Ledger
        Of the actions played.
    state : ndarray, shape (n,)
        The hidden state.
    calm : ndarray, shape (n,)
        The state that the same actions would have led to without noise.
    work : ndarray, shape (n,)
        Work space.
    best : float
        The optimal average reward.
    """

    played: Ledger
    state: Array
    calm: Array
    work: Array
    best: float


def dynamical_ledger(bandit: DynamicalLinearBandit, T: int) -> DynamicalLedger:
    """Open the books of a run of T rounds.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The problem.
    T : int
        Number of rounds.

    Returns
    -------
    DynamicalLedger
        At the first state; its memory does not grow with T.

    Examples
    --------
    >>> dynamical_ledger(DynamicalLinearBandit([[1, 0]], [3, 4], [[0.5]], [[1, 0]], [2]), 9).best
    7.0
    """
    x, best = bandit.x0, float(long_run_means(bandit).max())
    return DynamicalLedger(ledger(len(bandit.phi), T), x.copy(), x.copy(), np.zeros(x.size), best)


@kernel
def play_dynamical(
    bandit: DynamicalLinearBandit, books: DynamicalLedger, t: int, a: int, rng: np.random.Generator
) -> float:
    """Play action `a` in round t and return its reward; the state in `books` moves.

    The value recorded is that of the state without noise: its difference from the reward has mean 0,
    whatever the rule that chose the actions.
    """
    at_once = dot(bandit.theta, bandit.phi[a])
    record(books.played, t, a, at_once + dot(bandit.omega, books.calm))  # measurement
    reward = at_once + dot(bandit.omega, books.state)
    if bandit.sigma > 0.0:
        reward += bandit.sigma * rng.standard_normal()
    _move(bandit, books.state, books.work, a)
    if bandit.sigma_x > 0.0:
        for i in range(books.state.size):
            books.state[i] += bandit.sigma_x * rng.standard_normal()
    _move(bandit, books.calm, books.work, a)
    return reward


@kernel
def _move(bandit: DynamicalLinearBandit, x: Array, work: Array, a: int) -> None:
    """Replace x by ``F x + B u``, in place."""
    for i in range(x.size):
        work[i] = dot(bandit.F[i], x) + dot(bandit.B[i], bandit.phi[a])
    x[:] = work


def dynamical_result(books: DynamicalLedger) -> BanditResult:
    """Close the books: the regret against the best constant action in its long run.

    Parameters
    ----------
    books : DynamicalLedger
        Of a finished run.

    Returns
    -------
    BanditResult
        Entry n of its regret is ``n max_u <h, u>`` less the sum of the mean rewards of the first n rounds,
        from the state that the actions led to without noise. What the state still lacks counts.

    Examples
    --------
    >>> bandit = DynamicalLinearBandit([[1, 0]], [3, 4], [[0.5]], [[1, 0]], [2])
    >>> books = dynamical_ledger(bandit, 2)
    >>> for t in range(2):
    ...     reward = play_dynamical(bandit, books, t, 0, np.random.default_rng(0))
    >>> dynamical_result(books).regret
    array([4., 6.])
    """
    played = books.played
    regret = books.best * played.checkpoints - played.value
    return BanditResult(played.checkpoints, regret, played.pulls, played.value)
