r"""LUCB: play the leader and its strongest rival until their intervals part (Kalyanakrishnan et al. 2012).

Pseudo-code (LUCB1 for one arm, section 3), in our names::

    play each arm once
    for t = 2, 3, ...:                                              # rounds; the first played all arms
        best  = argmax mean
        rival = argmax_{a != best} mean(a) + radius(n(a), t)
        stop if  mean(rival) + radius - (mean(best) - radius) < eps                       # stop, return best
        play best and rival;  n += 1, mean <- mean of the rewards, for both               # act, update

    radius(n, t) = sqrt(ln(k A t^4 / delta) / (2 n)),  k = 5 / 4

Guarantee: with probability at least 1 - delta the arm returned is within eps of the best; the expected number
of plays is O(H ln(H / delta)), with H = sum_a 1 / max(gap_a, eps / 2)^2 (Theorems 1 and 6, numbers from
memory).

Deviations from the paper: eps may be 0 (the paper has eps > 0); `c` multiplies the radius (1 is the paper's).
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.identification import one_segment
from eluder.core.kernels import kernel
from eluder.core.results import IdentificationResult
from eluder.core.types import Array
from eluder.tabular.bandits._identification import confidence, leader, result

__all__ = ["lucb"]


def lucb(
    bandit: Bandit,
    *,
    delta: float = 0.05,
    eps: float = 0.0,
    c: float = 1.0,
    max_rounds: int = 10_000_000,
    rng: np.random.Generator,
) -> IdentificationResult:
    """Find the best arm by LUCB.

    Parameters
    ----------
    bandit : Bandit
        One segment; rewards in [0, 1].
    delta : float, default=0.05
        Allowed probability that the arm returned is worse than the best by `eps` or more.
    eps : float, default=0.0
        Tolerance, >= 0; at 0 two equal best arms are never told apart.
    c : float, default=1.0
        Multiplies the radius; 1 is the paper's.
    max_rounds : int, default=10_000_000
        Give up after this many plays (two in each of the paper's rounds).
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    IdentificationResult
        The arm, plays and means.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit with one segment, two arms and rewards in [0, 1], `delta` is outside (0,
        1), `eps` or `c` is negative, `max_rounds` is less than the number of arms, or `rng` is not a
        Generator.

    Warns
    -----
    RuntimeWarning
        If `max_rounds` is reached; `status` says what to try.

    Notes
    -----
    O(A) time for two plays.

    References
    ----------
    .. [1] Kalyanakrishnan, Tewari, Auer and Stone. PAC subset selection in stochastic multi-armed bandits.
       ICML 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> lucb(bernoulli_bandit([0.2, 0.8, 0.5]), rng=np.random.default_rng(0)).arm
    1
    """
    refuse_unbounded("lucb", bandit)
    one_segment(bandit)
    delta, max_rounds = confidence(delta, max_rounds, bandit.means.shape[1])
    eps, c = checks.number("eps", eps, 0.0), checks.number("c", c, 0.0)
    books, total = ledger(bandit.means.shape[1], max_rounds), np.zeros(bandit.means.shape[1])
    arm, stopped = _lucb(bandit, delta, eps, c, max_rounds, total, books, checks.generator(rng))
    return result(books, arm, total, stopped)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="PAC subset selection in stochastic multi-armed bandits",
            authors="Kalyanakrishnan, Tewari, Auer, Stone",
            venue="ICML",
            year=2012,
        ),
        setting="best-arm identification",
        statement="within eps of the best with probability 1 - delta; O(H ln(H / delta)) plays in the mean, "
        "H = sum_a 1 / max(gap_a, eps / 2)^2",
        assumptions="independent rewards in [0, 1]",
    ),
)


@kernel
def log_term(t: int, A: int, delta: float) -> float:
    """Return ``ln(5/4 A t^4 / delta)``."""
    return math.log(1.25 * A / delta) + 4.0 * math.log(t)


@kernel
def radius(n: float, log: float, c: float) -> float:
    """Return ``c sqrt(log / (2 n))``."""
    return c * math.sqrt(log / (2.0 * n))


@kernel
def rival_of(n: Array, mean: Array, best: int, log: float, c: float) -> tuple[int, float]:
    """Return the other arm of the largest upper bound, and that bound less the lower bound of `best`."""
    rival, upper = -1, -math.inf
    for a in range(n.size):
        if a != best:
            u = mean[a] + radius(n[a], log, c)
            if u > upper:
                rival, upper = a, u
    return rival, upper - mean[best] + radius(n[best], log, c)


@kernel
def _lucb(
    bandit: Bandit,
    delta: float,
    eps: float,
    c: float,
    max_rounds: int,
    total: Array,
    books: Ledger,
    rng: np.random.Generator,
) -> tuple[int, bool]:
    """Run until the intervals part; `total` (of rewards) and `books` in place."""
    A = total.size
    n, mean = np.zeros(A), np.zeros(A)
    plays, t = 0, 1
    while True:
        if t > 1:
            # stop
            best = leader(mean)
            rival, overlap = rival_of(n, mean, best, log_term(t, A, delta), c)
            if overlap < eps:
                return best, True
            if plays + 2 > max_rounds:
                return best, False

        # act
        for i in range(A if t == 1 else 2):
            a = i if t == 1 else (best if i == 0 else rival)
            total[a] += play(bandit, books, plays, a, rng)

            # update
            n[a] += 1.0
            mean[a] = total[a] / n[a]
            plays += 1
        t += 1
