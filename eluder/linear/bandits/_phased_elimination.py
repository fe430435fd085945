r"""Phased elimination with optimal designs (Lattimore & Szepesvari, Bandit Algorithms, 2020, chapter 22).

Pseudo-code (algorithm 12), in our names::

    active = all arms
    for l = 1, 2, ... while rounds are left:
        pi = design over the active arms with g(pi) <= (1 + tol) d
        eps = scale 2^-l
        play each active arm ceil(2 g(pi) pi(a) c^2 sigma^2 / eps^2 ln(A l (l + 1) / delta)) times   # act
        theta = least squares on the rewards of this phase
        active = {a in active: max_b <phi_b - phi_a, theta> <= 2 eps}                       # update

Guarantee: with probability at least 1 - delta, in every phase the best arm is not underestimated by more than
eps nor another overestimated by more. Then the best arm is never eliminated, an arm in phase l > 1 has a gap
of at most 4 eps of the phase before, and the regret is O(sqrt(d T ln(A ln(T) / delta))) (Theorem 22.1; the
book's constant is universal, not given).

Deviations from the book: its noise is 1-sub-Gaussian and its means differ by 2 at most, here the square of
`sigma` multiplies the plays and `scale` takes the place of 1 in eps; g(pi), which is certified, stands where
the book has d for the exact design. Arms that do not span are treated within their span.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.design import coordinates, optimal_design
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear_bandits import (
    LinearBandit,
    LinearLedger,
    linear_ledger,
    linear_result,
    play_linear,
    refuse_other_links,
    subgaussian_scale,
)
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray

__all__ = ["phased_elimination"]

SMALLEST = 1e-300  # eps of a phase, so that it does not become 0 where nothing can be told apart


def phased_elimination(
    bandit: LinearBandit,
    T: int,
    *,
    sigma: float | None = None,
    scale: float = 1.0,
    tol: float = 0.1,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of phased elimination.

    Parameters
    ----------
    bandit : LinearBandit
        The problem, with the identity as link; the learner sees `phi` and rewards, never `theta`.
    T : int
        Number of rounds.
    sigma : float, optional
        Sub-Gaussian constant >= 0 of the noise; by default that of the bandit.
    scale : float, default=1.0
        Half the largest gap, > 0: the first phase has ``eps = scale / 2``.
    tol : float, default=0.1
        The design is within the factor ``1 + tol`` of the best.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies `sigma`; 1 is the book's.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a LinearBandit with the identity as link, or an argument is outside its range.

    Notes
    -----
    O(1) time per round; O(log T) designs, each of some hundreds of steps of O(A d). Rewards are used only at
    the end of a phase, so they may come late or in batches.

    References
    ----------
    .. [1] Lattimore and Szepesvari. Bandit algorithms. Cambridge, 2020, Theorem 22.1.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import linear_bandit
    >>> bandit = linear_bandit([[1, 0], [0, 1], [0.7, 0.7]], [0.2, 0.9], sigma=0.1)
    >>> int(phased_elimination(bandit, 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_other_links("phased_elimination", bandit)
    T = checks.integer("T", T)
    sigma = checks.number("sigma", subgaussian_scale(bandit) if sigma is None else sigma, 0.0, 1e100)
    scale = checks.number("scale", scale, 0.0, 1e100, open_low=True)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    books = linear_ledger(bandit, T)
    _run(bandit, T, c * sigma, scale, tol, delta, books, checks.generator(rng))
    return linear_result(books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Bandit algorithms",
            authors="Lattimore, Szepesvari",
            venue="Cambridge University Press",
            year=2020,
        ),
        setting="linear regret",
        statement="regret O(sqrt(d T ln(A ln(T) / delta))) with probability at least 1 - delta "
        "(Theorem 22.1; constant not given)",
        assumptions="mean rewards linear in phi, gaps at most 2 scale, sigma-sub-Gaussian noise, fixed arms",
        exponent=0.5,
    ),
)


def rescaled(phi: Array) -> Array:
    """Return phi times a power of 2, largest entry in [1/2, 1): designs and estimates stay what they are."""
    scaled: Array = np.ldexp(phi, -np.frexp(np.abs(phi).max())[1])
    return scaled


def plays(pi: Array, width: float, eps: float, A: int, phase: int, sigma: float, delta: float) -> IntArray:
    """Return ``ceil(2 width pi (sigma / eps)^2 ln(A phase (phase + 1) / delta))``; at least 1 if pi > 0."""
    log = math.log(A * phase * (phase + 1) / delta)
    n = np.ceil(np.minimum(2 * width * pi * min(sigma / eps, 1e100) ** 2 * log, 2.0**53))
    return np.where(pi > 0, np.maximum(n, 1.0), 0.0).astype(np.int64)


def survivors(phi: Array, n: IntArray, total: Array, eps: float) -> Array:
    """Return which arms stay: their estimate is within ``2 eps`` of the best."""
    x = coordinates(phi) if phi.any() else np.zeros((len(phi), 1))
    V = (x * n[:, None]).T @ x
    y = x @ np.linalg.lstsq(V, x.T @ total, rcond=None)[0]
    stay: Array = y.max() - y <= 2 * eps
    return stay


def _run(
    bandit: LinearBandit,
    T: int,
    sigma: float,
    scale: float,
    tol: float,
    delta: float,
    books: LinearLedger,
    rng: np.random.Generator,
) -> list[IntArray]:
    """Run T rounds, with `books` in place; return the active arms of each phase."""
    A = len(bandit.phi)
    active, t, phase, history = np.arange(A), 0, 1, []
    while t < T:
        history.append(active)
        phi = rescaled(bandit.phi[active])
        if active.size == 1 or not phi.any():
            t = _play_phase(bandit, t, T, active[:1], np.array([T - t]), np.zeros(1), books, rng)
            break
        design = optimal_design(phi, tol=tol)
        eps = max(scale * 2.0**-phase, SMALLEST)
        n = plays(design.pi, design.width, eps, A, phase, sigma, delta)
        total = np.zeros(active.size)

        # act
        t = _play_phase(bandit, t, T, active, n, total, books, rng)

        # update
        if t < T:
            active = active[survivors(phi, n, total, eps)]
            phase += 1
    return history


@kernel
def _play_phase(
    bandit: LinearBandit,
    t: int,
    T: int,
    active: IntArray,
    n: IntArray,
    total: Array,
    books: LinearLedger,
    rng: np.random.Generator,
) -> int:
    """Play each active arm its number of times, until T; return the next round. `total`, `books` in place."""
    for i in range(active.size):
        for _ in range(n[i]):
            if t == T:
                return t
            total[i] += play_linear(bandit, books, t, active[i], rng)
            t += 1
    return t
