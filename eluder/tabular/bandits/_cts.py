r"""CTS: combinatorial Thompson sampling with Beta priors (Wang & Chen, ICML 2018).

Pseudo-code (algorithm 1), in our names::

    alpha(a) = beta(a) = 1 for each arm
    for each round:
        draw theta(a) ~ Beta(alpha(a), beta(a)) for each arm                              # act
        play the super-arm of the largest sum of theta
        for each of its arms: observe a reward X in [0, 1], draw Y ~ Bernoulli(X)         # update
            alpha(a) += Y,  beta(a) += 1 - Y

Guarantee: with m the largest number of arms in a super-arm and gap the smallest gap of a super-arm that is
not best, the expected regret is O(A m ln(T) / gap) for independent arms; where any m arms may be played (a
matroid) it is O(sum_a ln(T) / gap_a), dependent arms included (abstract; constants not confirmed).

Deviations from the paper: no Y is drawn for rewards 0 and 1, where Y = X.
"""

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

__all__ = ["cts"]


def cts(bandit: SemiBandit, T: int, *, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of combinatorial Thompson sampling.

    Parameters
    ----------
    bandit : SemiBandit
        The problem; the learner knows the super-arms and sees the rewards of the arms it plays.
    T : int
        Number of rounds.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls of the arms.

    Raises
    ------
    ValueError
        If `bandit` is not a SemiBandit, `T` < 1, or `rng` is not a Generator.

    Notes
    -----
    A Beta variables per round, and the time of the best super-arm: O(M m) for M super-arms of at most m arms,
    O(A m) for all sets of m arms.

    References
    ----------
    .. [1] Wang and Chen. Thompson sampling for combinatorial semi-bandits. ICML 2018, arXiv:1803.04623.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import top_m_bandit
    >>> result = cts(top_m_bandit([0.1, 0.9, 0.5, 0.7], 2), 2000, rng=np.random.default_rng(0))
    >>> np.sort(result.pulls.argsort()[-2:])
    array([1, 3])
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    books = ledger(bandit.means.size, T)
    _cts(bandit, T, books, checks.generator(rng))
    return semi_bandit_result(bandit, books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Thompson sampling for combinatorial semi-bandits",
            authors="Wang, Chen",
            venue="ICML",
            year=2018,
            arxiv="1803.04623",
        ),
        setting="stochastic regret",
        statement="expected regret O(A m ln(T) / gap); O(sum_a ln(T) / gap_a) where any m arms may be played "
        "(constants not confirmed)",
        assumptions="independent rewards in [0, 1]; an exact oracle",
        exponent=0.0,
    ),
)


@kernel
def coin(x: float, rng: np.random.Generator) -> float:
    """Return 1 with probability x, else 0; no draw where x is 0 or 1."""
    if x <= 0.0 or x >= 1.0:
        return x
    return 1.0 if rng.random() < x else 0.0


@kernel
def _cts(bandit: SemiBandit, T: int, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A, m = books.pulls.size, bandit.members.shape[1]
    alpha, beta, theta = np.ones(A), np.ones(A), np.zeros(A)
    rewards, chosen = np.zeros(m), np.zeros(m, np.int64)
    for t in range(T):
        # act
        for a in range(A):
            theta[a] = rng.beta(alpha[a], beta[a])
        size = best_super_arm(bandit.members, theta, chosen)
        play_super_arm(bandit, books, t, chosen, size, rewards, rng)

        # update
        for i in range(size):
            y = coin(rewards[i], rng)
            alpha[chosen[i]] += y
            beta[chosen[i]] += 1.0 - y
