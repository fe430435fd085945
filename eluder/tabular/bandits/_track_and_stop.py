r"""Track-and-stop: play in the best proportions for the means seen so far (Garivier & Kaufmann, COLT 2016).

Pseudo-code (section 3, D-tracking), in our names::

    play each arm once
    for t = A, A + 1, ...:                                          # t plays so far
        best = argmax mean
        stop if for all a != best: transport(best, a) > threshold(t)                      # stop, return best
        if min n < sqrt(t) - A / 2: play argmin n                                         # act: explore
        else: w = w*(mean);  play argmax_a t w(a) - n(a)                                  # act: track
        n(a) += 1, mean(a) <- mean of its rewards                                         # update

`transport` is the log of the generalised likelihood ratio; w* maximises its growth (`characteristic_time`).

Guarantee: with the proved threshold the arm returned is wrong with probability at most delta, and

    limsup_{delta -> 0} E[number of plays] / ln(1 / delta) <= T*

(Theorem 10; Theorem 14, whose number is from memory); no learner that errs so rarely has a smaller limit
(Theorem 1).

Deviations from the paper: where arms tie for the best mean, w* is not defined; they share the plays. The
proved threshold for Gaussian rewards is derived here, by a mixture of martingales (see `gaussian_threshold`);
that for Bernoulli rewards is the paper's. Of the two ways to track only D-tracking, which the paper's
experiments prefer.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, ledger, play
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.identification import Family, family, optimal_weights
from eluder.core.kernels import kernel
from eluder.core.results import IdentificationResult
from eluder.core.types import Array
from eluder.tabular.bandits._identification import confidence, evidence, leader, result, threshold_code

__all__ = ["track_and_stop"]


def track_and_stop(
    bandit: Bandit,
    *,
    delta: float = 0.05,
    threshold: str = "proved",
    max_rounds: int = 10_000_000,
    rng: np.random.Generator,
) -> IdentificationResult:
    """Find the best arm by track-and-stop.

    Parameters
    ----------
    bandit : Bandit
        One segment; Bernoulli rewards, or Gaussian ones of one deviation, which is known to the learner.
    delta : float, default=0.05
        Allowed probability that the arm returned is not the best.
    threshold : str, default="proved"
        On the evidence: "proved", or "heuristic" for the smaller ``ln((1 + ln t) / delta)`` of the paper's
        experiments, without proof.
    max_rounds : int, default=10_000_000
        Give up after this many plays.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    IdentificationResult
        The arm, plays and means.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit of this kind, `delta` is outside (0, 1), `threshold` is not one of the
        two, `max_rounds` is less than the number of arms, or `rng` is not a Generator.

    Warns
    -----
    RuntimeWarning
        If `max_rounds` is reached; `status` says what to try.

    Notes
    -----
    O(A) time per play for each step of two nested Newton iterations, which start from the last solution.

    References
    ----------
    .. [1] Garivier and Kaufmann. Optimal best arm identification with fixed confidence. COLT 2016,
       arXiv:1602.04589.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> track_and_stop(bernoulli_bandit([0.2, 0.8, 0.5]), rng=np.random.default_rng(0)).arm
    1
    """
    laws = family(bandit)
    delta, max_rounds = confidence(delta, max_rounds, bandit.means.shape[1])
    proved = threshold_code(threshold)
    books, total = ledger(bandit.means.shape[1], max_rounds), np.zeros(bandit.means.shape[1])
    arm, stopped = _track(bandit, laws, proved, delta, max_rounds, total, books, checks.generator(rng))
    return result(books, arm, total, stopped)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Optimal best arm identification with fixed confidence",
            authors="Garivier, Kaufmann",
            venue="COLT",
            year=2016,
            arxiv="1602.04589",
        ),
        setting="best-arm identification",
        statement="wrong with probability at most delta; "
        "E[plays] / ln(1 / delta) -> T*, the least possible, as delta -> 0",
        assumptions="Bernoulli, or Gaussian rewards of known deviation; one best arm",
        when={"threshold": "proved"},
    ),
)


@kernel
def least(t: int, A: int) -> float:
    """Return ``sqrt(t) - A / 2``: with fewer plays than this an arm is explored."""
    return math.sqrt(t) - 0.5 * A


@kernel
def choose(laws: Family, n: Array, mean: Array, t: int, start: float, w: Array) -> tuple[int, float]:
    """Return the arm to play and the solver's next start; w* is written into `w` if it is needed."""
    a = int(np.argmin(n))
    if n[a] < least(t, n.size):
        return a, start
    start, _ = optimal_weights(laws, mean, 0.0, start, w)
    for b in range(n.size):
        if b == 0 or t * w[b] - n[b] > t * w[a] - n[a]:
            a = b
    return a, start


@kernel
def _track(
    bandit: Bandit,
    laws: Family,
    proved: bool,
    delta: float,
    max_rounds: int,
    total: Array,
    books: Ledger,
    rng: np.random.Generator,
) -> tuple[int, bool]:
    """Run until the evidence is enough; `total` (of rewards) and `books` in place."""
    A = total.size
    n, mean, w = np.zeros(A), np.zeros(A), np.zeros(A)
    start = 0.5
    for t in range(max_rounds):
        # stop
        if t >= A:
            best = leader(mean)
            if evidence(laws, proved, n, mean, best, t, delta) > 0.0:
                return best, True

        # act
        a = t
        if t >= A:
            a, start = choose(laws, n, mean, t, start, w)
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
    best = leader(mean)
    return best, evidence(laws, proved, n, mean, best, max_rounds, delta) > 0.0
