r"""UCB1: optimism with Hoeffding's radius (Auer, Cesa-Bianchi & Fischer, Machine Learning 2002).

Pseudo-code (figure 1), in our names::

    play each arm once
    for t = A, ..., T-1:                                          # t plays so far
        play a = argmax_a  mean(a) + sqrt(2 ln(t) / n(a))         # act
        observe a reward in [0, 1];  n(a) += 1, mean(a) <- mean of its rewards        # update

Guarantee: the expected regret is at most

    8 sum_{a: gap_a > 0} ln(T) / gap_a + (1 + pi^2 / 3) sum_a gap_a                   (Theorem 1)

Deviations from the paper: none. `c` multiplies the radius (1 is the paper's); for rewards that are
sigma-sub-Gaussian instead of in [0, 1], ``c = 2 sigma`` gives Hoeffding's radius.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = ["ucb1"]


def ucb1(bandit: Bandit, T: int, *, c: float = 1.0, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of UCB1.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    c : float, default=1.0
        Multiplies the radius; 1 is the paper's, for rewards in [0, 1].
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit, `T` < 1, `c` is negative, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round, O(A) memory.

    References
    ----------
    .. [1] Auer, Cesa-Bianchi and Fischer. Finite-time analysis of the multiarmed bandit problem. Machine
       Learning 47, 2002, Theorem 1.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = ucb1(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.shape[1], T)
    _ucb1(bandit, T, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(gaps: Array, T: int) -> float:
    """Return the bound of Theorem 1."""
    worse = gaps[gaps > 0]
    return float(8 * np.log(T) * np.sum(1 / worse) + (1 + np.pi**2 / 3) * np.sum(worse))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Finite-time analysis of the multiarmed bandit problem",
            authors="Auer, Cesa-Bianchi, Fischer",
            venue="Machine Learning",
            year=2002,
        ),
        setting="stochastic regret",
        statement="expected regret at most 8 sum_a ln(T) / gap_a + (1 + pi^2 / 3) sum_a gap_a (Theorem 1)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.0,
        bound=bound,
    ),
)


@kernel
def radius(t: int, c: float) -> float:
    """Return ``c sqrt(2 ln t)``, the radius of an arm that was played once."""
    return c * math.sqrt(2.0 * math.log(t))


@kernel
def _ucb1(bandit: Bandit, T: int, c: float, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    n, total, mean, shrink = np.zeros(A), np.zeros(A), np.zeros(A), np.zeros(A)  # shrink = 1 / sqrt(n)
    for t in range(T):
        # act
        a = t
        if t >= A:
            width = radius(t, c)
            a = 0
            for b in range(1, A):
                if mean[b] + width * shrink[b] > mean[a] + width * shrink[a]:
                    a = b
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
        shrink[a] = 1.0 / math.sqrt(n[a])
