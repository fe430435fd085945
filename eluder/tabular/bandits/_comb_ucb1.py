r"""CombUCB1: UCB1 for sets of arms (Kveton, Wen, Ashkan & Szepesvari, AISTATS 2015).

Pseudo-code (algorithms 1 and 2), in our names::

    until each arm was played: play the super-arm that holds most arms not played yet
    for each further round, after t rounds:
        play the super-arm of the largest sum of  mean(a) + sqrt(1.5 ln(t) / n(a))        # act
        observe the reward of each of its arms;  n(a) += 1, mean(a) <- mean of its rewards      # update

Guarantee: with m the largest number of arms in a super-arm, gap_a the smallest gap of a super-arm that is not
best and holds a, the expected regret is O(m sum_a ln(T) / gap_a), and for every instance O(sqrt(m A T ln T)).
(The paper's theorems give the constants 534 and 47, which are from memory and not confirmed.)

Deviations from the paper: none. `c` multiplies the radius (1 is the paper's).
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger, ledger
from eluder.core.combinatorial import (
    SemiBandit,
    best_super_arm,
    play_super_arm,
    refuse_other_problems,
    semi_bandit_result,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult

__all__ = ["comb_ucb1"]


def comb_ucb1(bandit: SemiBandit, T: int, *, c: float = 1.0, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of CombUCB1.

    Parameters
    ----------
    bandit : SemiBandit
        The problem; the learner knows the super-arms and sees the rewards of the arms it plays.
    T : int
        Number of rounds.
    c : float, default=1.0
        Multiplies the radius; 1 is the paper's.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls of the arms.

    Raises
    ------
    ValueError
        If `bandit` is not a SemiBandit, `T` < 1, `c` is negative, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round and that of the best super-arm: O(M m) for M super-arms of at most m arms, O(A m) for
    all sets of m arms.

    References
    ----------
    .. [1] Kveton, Wen, Ashkan and Szepesvari. Tight regret bounds for stochastic combinatorial semi-bandits.
       AISTATS 2015, arXiv:1410.0949.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import top_m_bandit
    >>> result = comb_ucb1(top_m_bandit([0.1, 0.9, 0.5, 0.6], 2), 2000, rng=np.random.default_rng(0))
    >>> np.sort(result.pulls.argsort()[-2:])
    array([1, 3])
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.size, T)
    _comb_ucb1(bandit, T, c, books, checks.generator(rng))
    return semi_bandit_result(bandit, books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Tight regret bounds for stochastic combinatorial semi-bandits",
            authors="Kveton, Wen, Ashkan, Szepesvari",
            venue="AISTATS",
            year=2015,
            arxiv="1410.0949",
        ),
        setting="stochastic regret",
        statement="expected regret O(m sum_a ln(T) / gap_a), and O(sqrt(m A T ln T)) on every instance "
        "(constants not confirmed)",
        assumptions="rewards in [0, 1], independent between rounds; a linear oracle",
        exponent=0.0,
    ),
)


@kernel
def radius(t: int, c: float) -> float:
    """Return ``c sqrt(1.5 ln t)``, the radius of an arm that was played once."""
    return c * math.sqrt(1.5 * math.log(t))


@kernel
def _comb_ucb1(bandit: SemiBandit, T: int, c: float, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A, m = books.pulls.size, bandit.members.shape[1]
    n, total, mean, shrink = np.zeros(A), np.zeros(A), np.zeros(A), np.zeros(A)  # shrink = 1 / sqrt(n)
    index, rewards, chosen = np.ones(A), np.zeros(m), np.zeros(m, np.int64)
    unseen = A
    for t in range(T):
        # act
        if unseen == 0:
            width = radius(t, c)
            for a in range(A):
                index[a] = mean[a] + width * shrink[a]
        size = best_super_arm(bandit.members, index, chosen)
        play_super_arm(bandit, books, t, chosen, size, rewards, rng)

        # update
        for i in range(size):
            a = chosen[i]
            if n[a] == 0.0:
                unseen -= 1
                index[a] = 0.0
            n[a] += 1.0
            total[a] += rewards[i]
            mean[a] = total[a] / n[a]
            shrink[a] = 1.0 / math.sqrt(n[a])
