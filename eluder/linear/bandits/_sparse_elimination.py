r"""Elimination of sparse parameters where means are not quite linear (Dong & Yang, ICML 2023).

Pseudo-code, in our names; L is the largest norm of the features::

    net = for each support of s features, the grid with ceil(S L sqrt(s) / eps) values in each coordinate
    for v in net:
        a = argmax_a <phi_a, v>
        play a until its mean is known to within w, once for each arm                   # act
        if |mean of a - <phi_a, v>| <= 2 eps + w and <phi_a, v> is the largest of these so far:
            best = a                                                                    # update

with w = 0 and one play where there is no noise, and otherwise w = eps and
``ceil(2 (c sigma / eps)^2 ln(2 A / delta))`` plays.

Guarantee: let ``|means(a) - <phi_a, theta>| <= eps`` for all arms and some theta of norm at most S with at
most s coordinates that are not 0. With probability at least 1 - delta the arm returned is within ``4 eps + 2
w`` of the best: the point of the net next to theta survives and predicts at least the best mean less 2 eps,
and the arm of any survivor is worth its prediction less ``2 eps + 2 w``. So the arm is O(eps)-optimal, where
without sparsity ``eps sqrt(d)`` is the best that polynomially many plays can reach; and at most as many arms
are played as the net has points, O(d^s (S L sqrt(s) / eps)^s). The paper: O(eps^-s d^s) plays suffice, and
exp(s) are needed.

Deviations from the paper: the constants are derived here, those of the paper were not confirmed. The arms are
finitely many; an arm that is the best for several points of the net is played once.
"""

import math
import warnings

import numpy as np

from eluder.core import checks
from eluder.core.feature_bandits import (
    FeatureBandit,
    feature_noise,
    pull,
    refuse_other_problems,
    supports,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import IdentificationResult
from eluder.core.types import Array, IntArray

__all__ = ["sparse_elimination"]

MAX_NET = 10**9  # points of a net that are looked at
MAX_PLAYS = 10**9  # of one arm


def sparse_elimination(
    bandit: FeatureBandit,
    *,
    s: int,
    eps: float,
    S: float = 1.0,
    sigma: float | None = None,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> IdentificationResult:
    """Find an arm that is best up to the misspecification, by a net of sparse parameters.

    Parameters
    ----------
    bandit : FeatureBandit
        The problem; the learner sees `phi` and rewards, never `means`.
    s : int
        Number of parameters that are not 0, at most d.
    eps : float
        Bound > 0 on the distance of the means from the nearest linear function with s parameters.
    S : float, default=1.0
        Bound > 0 on the norm of that function's parameter.
    sigma : float, optional
        Sub-Gaussian constant >= 0 of the noise; by default that of the bandit.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies `sigma`; 1 is that of the theorem.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    IdentificationResult
        An arm, how often each was played, and the means seen. Its status is "stopped" if a parameter
        survived; otherwise the arm is the best seen, without a guarantee, and the status says what to try.

    Raises
    ------
    ValueError
        If `bandit` is not a FeatureBandit, an argument is outside its range, or the net has more than 10^9
        points.

    Notes
    -----
    O(A s) time for each point of the net, memory O(A d) beside the supports.

    References
    ----------
    .. [1] Dong and Yang. Does sparsity help in learning misspecified linear bandits? ICML 2023.
       arXiv:2303.16998

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import feature_bandit
    >>> bandit = feature_bandit([[1, 0], [0, 1], [0.7, 0.7]], [0.05, 0.9, 0.6], sigma=0.0)
    >>> sparse_elimination(bandit, s=1, eps=0.05, rng=np.random.default_rng(0)).arm
    1
    """
    refuse_other_problems(bandit)
    A, d = bandit.phi.shape
    s = checks.integer("s", s, 1, d)
    eps = checks.number("eps", eps, 0.0, 1e100, open_low=True)
    S = checks.number("S", S, 0.0, 1e100, open_low=True)
    sigma = checks.number("sigma", feature_noise(bandit) if sigma is None else sigma, 0.0, 1e100)
    delta = checks.failure_probability("delta", delta)
    sigma *= checks.number("c", c, 0.0)
    g = checks.generator(rng)
    L = float(np.linalg.norm(bandit.phi, axis=1).max())
    every, q = supports(d, s, MAX_NET), grid_size(S, L, s, eps)
    if (points := len(every) * float(q) ** s) > MAX_NET:
        raise ValueError(f"eps = {eps:g} and s = {s} make a net of {points:.3g} points, more than {MAX_NET}")
    pulls, total = np.zeros(A, np.int64), np.zeros(A)
    n, w = plays(sigma, eps, A, delta), eps if sigma > 0 else 0.0
    if n > MAX_PLAYS:
        raise ValueError(
            f"eps = {eps:g}, c = {c:g} and the noise make {n:.3g} plays of an arm, more than {MAX_PLAYS}"
        )
    arm = int(_search(bandit, every, q, S, eps, n, w, pulls, total, g))
    means = np.where(pulls > 0, total / np.maximum(pulls, 1), np.nan)
    status = "stopped"
    if arm < 0:
        arm = int(np.nanargmax(means))
        status = "no parameter fits the rewards: raise eps, s or S"
        warnings.warn(f"sparse_elimination: {status}", stacklevel=2)
    return IdentificationResult(arm, pulls, means, status)


def grid_size(S: float, L: float, s: int, eps: float) -> int:
    """Return ``ceil(S L sqrt(s) / eps)``, at least 1: values of a coordinate, so that the net is eps-fine."""
    return max(1, math.ceil(min(S * L * math.sqrt(s) / eps, 1e15)))


def plays(sigma: float, eps: float, A: int, delta: float) -> int:
    """Return ``ceil(2 (sigma / eps)^2 ln(2 A / delta))``; 1 without noise."""
    return max(1, math.ceil(min(2 * min(sigma / eps, 1e100) ** 2 * math.log(2 * A / delta), 2.0**53)))


def gap_bound(eps: float, sigma: float = 1.0) -> float:
    """Return ``4 eps + 2 w``: how far from the best the arm may be."""
    return 6 * eps if sigma > 0 else 4 * eps


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Does sparsity help in learning misspecified linear bandits?",
            authors="Dong, Yang",
            venue="ICML",
            year=2023,
            arxiv="2303.16998",
        ),
        setting="best-arm identification",
        statement="O(eps)-optimal arm from O(eps^-s d^s) plays; here within 6 eps of the best with "
        "probability at least 1 - delta (4 eps without noise; constants derived here)",
        assumptions="means within eps of linear in s of d features, |theta| <= S, sigma-sub-Gaussian noise",
        bound=gap_bound,
    ),
)


@kernel
def _search(
    bandit: FeatureBandit,
    every: IntArray,
    q: int,
    S: float,
    eps: float,
    n: int,
    w: float,
    pulls: IntArray,
    total: Array,
    rng: np.random.Generator,
) -> int:
    """Look at each point of the net; return the best survivor's arm or -1. `pulls`, `total` in place."""
    A, s = pulls.size, every.shape[1]
    v, digit = np.zeros(s), np.zeros(s, np.int64)
    far = S + math.sqrt(s) * S / q  # the point of the net next to a parameter is not farther out
    best, top = -1, -math.inf
    for support in every:
        digit[:] = 0
        while True:
            square = 0.0
            for i in range(s):
                v[i] = S * ((2 * digit[i] + 1.0) / q - 1.0)
                square += v[i] * v[i]
            if math.sqrt(square) <= far * (1.0 + 1e-12):
                a, y = 0, -math.inf
                for b in range(A):
                    z = 0.0
                    for i in range(s):
                        z += v[i] * bandit.phi[b, support[i]]
                    if z > y:
                        a, y = b, z

                # act
                while pulls[a] < n:
                    total[a] += pull(bandit, a, rng)
                    pulls[a] += 1

                # update
                if abs(total[a] / pulls[a] - y) <= 2.0 * eps + w and y > top:
                    best, top = a, y
            if not _next(digit, q):
                break
    return best


@kernel
def _next(digit: IntArray, q: int) -> bool:
    """Count up by one in base q, in place; return False after the last number."""
    for i in range(digit.size):
        digit[i] += 1
        if digit[i] < q:
            return True
        digit[i] = 0
    return False
