r"""UCB-V: a radius that uses the variance seen (Audibert, Munos & Szepesvari, TCS 2009).

Pseudo-code (section 3), in our names::

    play each arm once
    for t = A, ..., T-1:                                          # t plays so far
        E = zeta ln(t)
        index(a) = mean(a) + sqrt(2 var(a) E / n(a)) + 3 c E / n(a)
        play a = argmax_a index(a)                                # act
        observe a reward in [0, 1];  n(a), mean(a), var(a) <- those of its rewards          # update

Guarantee: for zeta = 1.2 and c = 1 the expected regret is at most

    10 sum_{a: gap_a > 0} (var_a / gap_a + 2) ln(T)                                   (Theorem 4)

which is stated here with var_a <= 1/4 (the number of the theorem and its constants are from memory).

Deviations from the paper: t is the number of plays so far; there it is the number of the round, one more.
`c` multiplies the last term only, as there; the variance is that of the sample (divided by n).
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = ["ucb_v"]


def ucb_v(
    bandit: Bandit, T: int, *, zeta: float = 1.2, c: float = 1.0, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of UCB-V.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    zeta : float, default=1.2
        Factor of ``ln t``; the theorem has zeta > 1.
    c : float, default=1.0
        Multiplies the term in 1 / n.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], `T` < 1, `zeta` or `c` is negative, or
        `rng` is not a Generator.

    Notes
    -----
    O(A) time per round, O(A) memory.

    References
    ----------
    .. [1] Audibert, Munos and Szepesvari. Exploration-exploitation tradeoff using variance estimates in
       multi-armed bandits. Theoretical Computer Science 410, 2009, Theorem 4.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = ucb_v(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_unbounded("ucb_v", bandit)
    T = checks.integer("T", T)
    zeta = checks.number("zeta", zeta, 0.0)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.shape[1], T)
    _ucb_v(bandit, T, zeta, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(gaps: Array, T: int) -> float:
    """Return the bound of Theorem 4 with the largest variance of a reward in [0, 1], 1/4."""
    worse = gaps[gaps > 0]
    return float(10 * np.sum(0.25 / worse + 2) * np.log(T))


PAPER = Paper(
    title="Exploration-exploitation tradeoff using variance estimates in multi-armed bandits",
    authors="Audibert, Munos, Szepesvari",
    venue="Theoretical Computer Science",
    year=2009,
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret at most 10 sum_a (var_a / gap_a + 2) ln(T) (Theorem 4)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.0,
        bound=bound,
        when={"zeta": 1.2, "c": 1.0},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O(sum_a (var_a / gap_a + 1) ln(T)) for zeta > 1 and c large enough "
        "(Theorem 3; the condition on c not confirmed)",
        assumptions="independent rewards in [0, 1]",
        exponent=0.0,
    ),
)


@kernel
def radius(var: float, n: float, E: float, c: float) -> float:
    """Return ``sqrt(2 var E / n) + 3 c E / n``."""
    return math.sqrt(2.0 * var * E / n) + 3.0 * c * E / n


@kernel
def _ucb_v(bandit: Bandit, T: int, zeta: float, c: float, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    n, mean, squares = np.zeros(A), np.zeros(A), np.zeros(A)
    spread, bias = np.zeros(A), np.zeros(A)  # the terms of the radius for E = 1
    for t in range(T):
        # act
        a = t
        if t >= A:
            E = zeta * math.log(t)
            root = math.sqrt(E)
            a, largest = 0, -math.inf
            for b in range(A):
                index = mean[b] + root * spread[b] + E * bias[b]
                if index > largest:
                    a, largest = b, index
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        error = reward - mean[a]
        mean[a] += error / n[a]
        squares[a] += error * (reward - mean[a])
        spread[a] = radius(squares[a] / n[a], n[a], 1.0, 0.0)
        bias[a] = radius(0.0, n[a], 1.0, c)
