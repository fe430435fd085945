r"""Top-two sampling: the leader, or the arm hardest to tell from it (Jourdan et al. 2022; Russo 2016).

Pseudo-code (Jourdan et al.: leader EB or TS, challenger TCI), in our names::

    play each arm once
    for t = A, A + 1, ...:                                          # t plays so far
        best = argmax mean
        stop if for all a != best: transport(best, a) > threshold(t)                      # stop, return best
        leader = best, or argmax of a draw from the posterior                             # act
        challenger = argmin_{a != leader} transport(leader, a) + ln n(a)
        play the leader with probability beta, else the challenger
        n(a) += 1, mean(a) <- mean of its rewards                                         # update

The posterior is Beta(1 + sum of rewards, 1 + n - sum) for Bernoulli rewards, N(mean, sigma^2 / n) for
Gaussian ones.

Guarantee: with the proved threshold the arm returned is wrong with probability at most delta, and if no two
means are equal

    limsup_{delta -> 0} E[number of plays] / ln(1 / delta) <= T*_beta

where T*_beta is the least possible for learners that give the best arm a share beta, and T*_{1/2} <= 2 T*
(Russo 2016). (Jourdan et al. 2022, from memory: the theorem's number is not confirmed.)

Deviations from the paper: ties go to the first arm, not to a random one. The proved threshold for Gaussian
rewards is derived here (see `gaussian_threshold`); that for Bernoulli rewards is of Garivier and Kaufmann
2016.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, ledger, play
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.identification import Family, family, transport
from eluder.core.kernels import kernel
from eluder.core.results import IdentificationResult
from eluder.core.types import Array
from eluder.tabular.bandits._identification import (
    confidence,
    evidence,
    result,
    threshold_code,
)
from eluder.tabular.bandits._identification import (
    leader as empirical_best,
)

__all__ = ["top_two"]


def top_two(
    bandit: Bandit,
    *,
    delta: float = 0.05,
    beta: float = 0.5,
    leader: str = "empirical",
    threshold: str = "proved",
    max_rounds: int = 10_000_000,
    rng: np.random.Generator,
) -> IdentificationResult:
    """Find the best arm by top-two sampling.

    Parameters
    ----------
    bandit : Bandit
        One segment; Bernoulli rewards, or Gaussian ones of one deviation, which is known to the learner.
    delta : float, default=0.05
        Allowed probability that the arm returned is not the best.
    beta : float, default=0.5
        Probability, in (0, 1), to play the leader.
    leader : str, default="empirical"
        "empirical", the arm of the best mean, or "thompson", the best of a draw from the posterior.
    threshold : str, default="proved"
        On the evidence: "proved", or "heuristic" for the smaller ``ln((1 + ln t) / delta)``, without proof.
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
        If `bandit` is not a Bandit of this kind, `delta` or `beta` is outside (0, 1), `leader` or `threshold`
        is not one of the two, `max_rounds` is less than the number of arms, or `rng` is not a Generator.

    Warns
    -----
    RuntimeWarning
        If `max_rounds` is reached; `status` says what to try.

    Notes
    -----
    O(A) time per play.

    References
    ----------
    .. [1] Jourdan, Degenne, Baudry, de Heide and Kaufmann. Top two algorithms revisited. NeurIPS 2022,
       arXiv:2206.05979.
    .. [2] Russo. Simple Bayesian algorithms for best arm identification. COLT 2016, arXiv:1602.08448.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> top_two(bernoulli_bandit([0.2, 0.8, 0.5]), rng=np.random.default_rng(0)).arm
    1
    """
    laws = family(bandit)
    delta, max_rounds = confidence(delta, max_rounds, bandit.means.shape[1])
    beta = checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True)
    if leader not in ("empirical", "thompson"):
        raise ValueError(f"leader must be 'empirical' or 'thompson', got {leader!r}")
    proved, posterior = threshold_code(threshold), leader == "thompson"
    books, total = ledger(bandit.means.shape[1], max_rounds), np.zeros(bandit.means.shape[1])
    rng = checks.generator(rng)
    arm, stopped = _top_two(bandit, laws, proved, delta, beta, posterior, max_rounds, total, books, rng)
    return result(books, arm, total, stopped)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Top two algorithms revisited",
            authors="Jourdan, Degenne, Baudry, de Heide, Kaufmann",
            venue="NeurIPS",
            year=2022,
            arxiv="2206.05979",
        ),
        setting="best-arm identification",
        statement="wrong with probability at most delta; "
        "limsup E[plays] / ln(1 / delta) <= T*_beta as delta -> 0, and T*_{1/2} <= 2 T* "
        "(theorem number not confirmed)",
        assumptions="Bernoulli, or Gaussian rewards of known deviation; all means distinct",
        when={"threshold": "proved"},
    ),
)


@kernel
def challenger(laws: Family, n: Array, mean: Array, best: int) -> int:
    """Return ``argmin_{a != best} transport(best, a) + ln n(a)``."""
    arm, least = -1, math.inf
    for a in range(n.size):
        if a != best:
            index = transport(laws, n[best], mean[best], n[a], mean[a]) + math.log(n[a])
            if index < least:
                arm, least = a, index
    return arm


@kernel
def posterior_best(laws: Family, n: Array, total: Array, rng: np.random.Generator) -> int:
    """Return the best arm of a draw from the posterior."""
    best, largest = 0, -math.inf
    for a in range(n.size):
        if laws.gaussian:
            x = total[a] / n[a] + laws.sigma * rng.standard_normal() / math.sqrt(n[a])
        else:
            x = rng.beta(1.0 + total[a], 1.0 + n[a] - total[a])
        if x > largest:
            best, largest = a, x
    return best


@kernel
def _top_two(
    bandit: Bandit,
    laws: Family,
    proved: bool,
    delta: float,
    beta: float,
    posterior: bool,
    max_rounds: int,
    total: Array,
    books: Ledger,
    rng: np.random.Generator,
) -> tuple[int, bool]:
    """Run until the evidence is enough; `total` (of rewards) and `books` in place."""
    A = total.size
    n, mean = np.zeros(A), np.zeros(A)
    for t in range(max_rounds):
        a = t
        if t >= A:
            # stop
            best = empirical_best(mean)
            if evidence(laws, proved, n, mean, best, t, delta) > 0.0:
                return best, True

            # act
            a = posterior_best(laws, n, total, rng) if posterior else best
            if rng.random() >= beta:
                a = challenger(laws, n, mean, a)
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
    best = empirical_best(mean)
    return best, evidence(laws, proved, n, mean, best, max_rounds, delta) > 0.0
