r"""Phased elimination where means are not quite linear (Lattimore, Szepesvari & Weisz, ICML 2020).

Pseudo-code (section 5, from memory), in our names::

    active = all arms,  m = 4 d ln ln d + 16
    for l = 1, 2, ... while rounds are left:
        pi = design over the active arms with g(pi) <= (1 + tol) d
        play each active arm ceil(m pi(a)) times                                        # act
        theta = least squares on the rewards of this phase
        w = c sigma sqrt(2 g(pi) / m ln(2 A l (l + 1) / delta))
        active = {a in active: max_b <phi_b - phi_a, theta> <= 2 w},  m = 2 m            # update

Guarantee: let all means be within eps of a linear function, eps not known to the learner. With probability at
least 1 - delta every estimate in phase l misses the linear function by at most ``w + b``, ``b = eps sqrt(g N
/ m)`` with N the plays of the phase. So a phase loses at most 2 b of the best value, an arm that survives it
is within ``4 w + 2 b`` of the best before it, and the regret is O(sqrt(d T ln(A ln(T) / delta)) + eps sqrt(d)
T ln T). No learner that plays fewer than A rounds can replace ``eps sqrt(d)`` by eps (their section 4; a
needle). The bound with its constants is derived here from these facts.

Deviations from the paper: the design is certified within ``1 + tol`` of the best instead of 2, and its
support is not cut; g(pi), tol and sigma stand in the width where the paper has constants.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger
from eluder.core.design import optimal_design
from eluder.core.feature_bandits import (
    FeatureBandit,
    feature_ledger,
    feature_noise,
    feature_result,
    play_features,
    refuse_other_problems,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray
from eluder.linear.bandits._phased_elimination import rescaled, survivors

__all__ = ["misspecified_elimination"]


def misspecified_elimination(
    bandit: FeatureBandit,
    T: int,
    *,
    sigma: float | None = None,
    tol: float = 0.1,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of phased elimination that tolerates means which are not quite linear.

    Parameters
    ----------
    bandit : FeatureBandit
        The problem; the learner sees `phi` and rewards, never `means`, and is not told how far they are from
        linear.
    T : int
        Number of rounds.
    sigma : float, optional
        Sub-Gaussian constant >= 0 of the noise; by default that of the bandit.
    tol : float, default=0.1
        The design is within the factor ``1 + tol`` of the best.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies the width; 1 is that of the theorem.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints against the best mean, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a FeatureBandit, or an argument is outside its range.

    Notes
    -----
    O(1) time per round; O(log T) designs, each of some hundreds of steps of O(A d).

    References
    ----------
    .. [1] Lattimore, Szepesvari and Weisz. Learning with good feature representations in bandits and in RL
       with a generative model. ICML 2020. arXiv:1911.07676

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import feature_bandit
    >>> bandit = feature_bandit([[1, 0], [0, 1], [0.7, 0.7]], [0.2, 0.9, 0.75], sigma=0.1)
    >>> int(misspecified_elimination(bandit, 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    sigma = checks.number("sigma", feature_noise(bandit) if sigma is None else sigma, 0.0, 1e100)
    tol = checks.number("tol", tol, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    books = feature_ledger(bandit, T)
    _run(bandit, T, c * sigma, tol, delta, books, checks.generator(rng))
    return feature_result(bandit, books)


def first_size(d: int) -> int:
    """Return m of the first phase: ``ceil(4 d ln ln d) + 16``, the logarithm at least 0."""
    return math.ceil(4 * d * max(math.log(max(math.log(d), 1.0)), 0.0)) + 16


def width(sigma: float, g: float, m: float, A: int, phase: int, delta: float) -> float:
    """Return ``w = sigma sqrt(2 g / m ln(2 A phase (phase + 1) / delta))``."""
    return sigma * math.sqrt(2 * g / m * math.log(2 * A * phase * (phase + 1) / delta))


def bias(eps: float, g: float, m: float, N: float) -> float:
    """Return ``b = eps sqrt(g N / m)``: what an error eps of the means does to an estimate after N plays."""
    return eps * math.sqrt(g * N / m)


def bound(
    d: int,
    A: int,
    T: int,
    delta: float,
    eps: float = 0.0,
    sigma: float = 1.0,
    tol: float = 0.1,
    scale: float = 1.0,
) -> float:
    """Return the bound on the regret of the module's docstring, for gaps of at most ``2 scale``."""
    g, m, left, total = (1 + tol) * d, float(first_size(d)), float(T), 0.0
    b, gap, phase = bias(eps, g, m, m + A), 2 * scale, 1
    while left > 0:
        plays = min(left, m + A)
        total, left = total + plays * min(gap, 2 * scale), left - plays
        gap = 4 * width(sigma, g, m, A, phase, delta) + 2 * b * phase + 2 * eps
        phase, m = phase + 1, 2 * m
    return total


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Learning with good feature representations in bandits and in RL with a generative model",
            authors="Lattimore, Szepesvari, Weisz",
            venue="ICML",
            year=2020,
            arxiv="1911.07676",
        ),
        setting="linear regret",
        statement="regret O(sqrt(d T ln(A ln(T) / delta)) + eps sqrt(d) T ln T) with probability at least "
        "1 - delta (constants derived here)",
        assumptions="means within eps of linear in phi, eps unknown, sigma-sub-Gaussian noise, fixed arms",
        exponent=0.5,
        bound=bound,
    ),
)


def _run(
    bandit: FeatureBandit,
    T: int,
    sigma: float,
    tol: float,
    delta: float,
    books: Ledger,
    rng: np.random.Generator,
) -> list[IntArray]:
    """Run T rounds, with `books` in place; return the active arms of each phase."""
    A = len(bandit.phi)
    active, t, phase, history = np.arange(A), 0, 1, []
    m = first_size(bandit.phi.shape[1])
    while t < T:
        history.append(active)
        phi = rescaled(bandit.phi[active])
        if active.size == 1 or not phi.any():
            t = _play_phase(bandit, t, T, active[:1], np.array([T - t]), np.zeros(1), books, rng)
            break
        design = optimal_design(phi, tol=tol)
        n = np.ceil(np.minimum(m * design.pi, 2.0**53)).astype(np.int64)
        total = np.zeros(active.size)

        # act
        t = _play_phase(bandit, t, T, active, n, total, books, rng)

        # update
        if t < T:
            w = width(sigma, design.width, m, A, phase, delta)
            active = active[survivors(phi, n, total, w)]
            phase, m = phase + 1, 2 * m
    return history


@kernel
def _play_phase(
    bandit: FeatureBandit,
    t: int,
    T: int,
    active: IntArray,
    n: IntArray,
    total: Array,
    books: Ledger,
    rng: np.random.Generator,
) -> int:
    """Play each active arm its number of times, until T; return the next round. `total`, `books` in place."""
    for i in range(active.size):
        for _ in range(n[i]):
            if t == T:
                return t
            total[i] += play_features(bandit, books, t, active[i], rng)
            t += 1
    return t
