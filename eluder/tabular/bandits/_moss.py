r"""MOSS: a radius that vanishes when an arm had its share (Audibert & Bubeck, COLT 2009).

Pseudo-code (section 2), in our names::

    play each arm once
    for t = A, ..., T-1:
        play a = argmax_a  mean(a) + sqrt(max(ln(T / (A n(a))), 0) / n(a))         # act
        observe a reward in [0, 1];  n(a) += 1, mean(a) <- mean of its rewards      # update

Guarantee: the expected regret is at most 49 sqrt(A T), for every bandit (Theorem 5, from memory).

Deviations from the paper: none. `c` multiplies the radius (1 is the paper's); for rewards that are
sigma-sub-Gaussian instead of in [0, 1], ``c = 2 sigma``. An index depends on its own arm only, so the largest
one is kept in a tournament tree.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.tabular.bandits._tournament import replace, tournament

__all__ = ["moss"]


def moss(bandit: Bandit, T: int, *, c: float = 1.0, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of MOSS, which knows T.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds; the learner knows it.
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
    O(log A) time per round, O(A) memory.

    References
    ----------
    .. [1] Audibert and Bubeck. Minimax policies for adversarial and stochastic bandits. COLT 2009, Theorem 5.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = moss(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.shape[1], T)
    _moss(bandit, T, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(A: int, T: int) -> float:
    """Return the bound of Theorem 5."""
    return float(49 * np.sqrt(A * T))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Minimax policies for adversarial and stochastic bandits",
            authors="Audibert, Bubeck",
            venue="COLT",
            year=2009,
        ),
        setting="stochastic regret",
        statement="expected regret at most 49 sqrt(A T) on every bandit (Theorem 5)",
        assumptions="independent rewards in [0, 1]; T is known",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def radius(n: float, A: int, T: int, c: float) -> float:
    """Return ``c sqrt(max(ln(T / (A n)), 0) / n)``."""
    return c * math.sqrt(max(math.log(T / (A * n)), 0.0) / n)


@kernel
def _moss(bandit: Bandit, T: int, c: float, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    n, total = np.zeros(A), np.zeros(A)
    keys, winner = tournament(A)
    for t in range(T):
        # act
        a = winner[1]
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        replace(keys, winner, a, total[a] / n[a] + radius(n[a], A, T, c))
