r"""RAW-UCB: the smallest of the bounds over all windows (Seznec, Menard, Lazaric & Valko, AISTATS 2020).

Pseudo-code (algorithm 1, with the windows of its efficient version), in our names::

    play each arm once
    for t = A, ..., T-1:                                          # t plays so far
        index(a) = min_j  mean_j(a) + sigma sqrt(2 alpha ln(t) / 2^j)
        play a = argmax_a index(a)                                # act, and observe a reward
        mean_j(a) <- mean of 2^j consecutive rewards, renewed every 2^(j-1) plays of a      # update

Guarantee: the expected regret is O(sigma sqrt(A T ln T)) up to the total decay of the arms, for alpha >= 4,
without knowing T or how the means fall (constants and the condition on alpha from memory).

Deviations from the paper: its algorithm 1 has all windows, at a cost of O(t) a round; here are those of the
efficient version (the trick of Seznec et al., AISTATS 2019), with lengths 1, 2, 4, ... A window of 2^j plays
ended at most 2^(j-1) - 1 plays ago.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger, ledger
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.rotting import RottingBandit, pull, refuse_not_rotting, rotting_result
from eluder.core.types import Array

__all__ = ["raw_ucb"]


def raw_ucb(
    bandit: RottingBandit, T: int, *, alpha: float = 4.0, sigma: float = 0.5, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of RAW-UCB.

    Parameters
    ----------
    bandit : RottingBandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    alpha : float, default=4.0
        The bounds fail with probability about ``t ** -alpha``; smaller values explore less.
    sigma : float, default=0.5
        Deviation of the rewards (sub-Gaussian), > 0; 1/2 for rewards in [0, 1].
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret against the best sequence of plays, at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a RottingBandit, `T` < 1, `alpha` is negative, `sigma` is not positive, or `rng` is
        not a Generator.

    Notes
    -----
    O(A log t) time per round, and O(1) more on average for the windows; O(A log T) memory.

    References
    ----------
    .. [1] Seznec, Menard, Lazaric and Valko. A single algorithm for both restless and rested rotting bandits.
       AISTATS 2020.
    .. [2] Seznec, Locatelli, Carpentier, Lazaric and Valko. Rotting bandits are no harder than stochastic
       ones. AISTATS 2019. arXiv:1811.11043

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import rotting_bandit
    >>> bandit = rotting_bandit([[0.9, 0.5]] * 100 + [[0.1, 0.5]])
    >>> result = raw_ucb(bandit, 5000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_not_rotting(bandit)
    T = checks.integer("T", T)
    alpha = checks.number("alpha", alpha, 0.0, 1e6)
    sigma = checks.number("sigma", sigma, 0.0, 1e6, open_low=True)
    books = ledger(bandit.means.shape[1], T)
    _raw_ucb(bandit, T, alpha, sigma, books, checks.generator(rng))
    return rotting_result(bandit, books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="A single algorithm for both restless and rested rotting bandits",
            authors="Seznec, Menard, Lazaric, Valko",
            venue="AISTATS",
            year=2020,
        ),
        setting="changing rewards",
        statement="expected regret O(sigma sqrt(A T ln T)) up to the total decay (constants from memory)",
        assumptions="means do not increase with the plays of their arm; sub-Gaussian rewards; alpha >= 4",
        exponent=0.5,
    ),
)


@kernel
def radius(t: int, h: float, alpha: float, sigma: float) -> float:
    """Return ``sigma sqrt(2 alpha ln(t) / h)``, for a window of h plays."""
    return sigma * math.sqrt(2.0 * alpha * math.log(t) / h)


@kernel
def renew(n: int, reward: float, last: Array, mean: Array) -> int:
    """Add the n-th reward of an arm (n >= 1) to its windows; return how many are full.

    ``last[j]`` is the sum of the last finished block of 2^(j-1) rewards, and ``mean[j]`` the mean of the last
    two, once it is full; both in place. O(1) on average: block j ends at every 2^(j-1)-th reward.
    """
    mean[0] = reward
    block, size, j = reward, 1, 1
    while j < mean.size:
        before, last[j] = last[j], block
        mean[j] = (before + block) / (2.0 * size)
        if n % (2 * size) != 0:
            break
        block += before
        size, j = 2 * size, j + 1
    full = 1
    while n >= 1 << full and full < mean.size:
        full += 1
    return full


@kernel
def _raw_ucb(
    bandit: RottingBandit, T: int, alpha: float, sigma: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    J = 1
    while 1 << J <= T:
        J += 1
    last, mean, full = np.zeros((A, J)), np.zeros((A, J)), np.zeros(A, np.int64)
    shrink = np.zeros(J)
    for j in range(J):
        shrink[j] = 2.0 ** (-0.5 * j)
    for t in range(T):
        # act
        a = t
        if t >= A:
            width = radius(t, 1.0, alpha, sigma)
            a, largest = 0, -math.inf
            for b in range(A):
                index = math.inf
                for j in range(full[b]):
                    index = min(index, mean[b, j] + width * shrink[j])
                if index > largest:
                    a, largest = b, index
        reward = pull(bandit, books, t, a, rng)

        # update
        full[a] = renew(books.pulls[a], reward, last[a], mean[a])
