r"""D-TS: double Thompson sampling for duelling bandits (Wu & Liu, NeurIPS 2016).

Pseudo-code (algorithm 1), in our names::

    wins = 0 for each ordered pair
    for t = 1, ..., T:
        U(a, b), L(a, b) = wins(a, b) / n(a, b) +- sqrt(alpha ln(t) / n(a, b)),
            n(a, b) = wins(a, b) + wins(b, a)
        U(a, b), L(a, b) = 2, 0 where n(a, b) = 0
        # act: first arm
        C = arms with the largest number of b != a with U(a, b) > 1/2
        draw theta(a, b) ~ Beta(1 + wins(a, b), 1 + wins(b, a)) for a < b;  theta(b, a) = 1 - theta(a, b)
        a = argmax_{a in C} number of b != a with theta(a, b) > 1/2, ties at random
        # act: second arm
        draw theta(b) ~ Beta(1 + wins(b, a), 1 + wins(a, b)) for b != a;  theta(a) = 1/2
        b = argmax_b theta(b) over a and the arms with L(b, a) <= 1/2
        let a and b meet;  wins(winner, loser) += 1                                       # update

Guarantee: for alpha > 1/2, with a Condorcet winner, the expected regret is O(A ln T + A^2 ln ln T) (abstract;
constants not confirmed).

Deviations from the paper: none in law. Draws on which nothing depends are left out: of theta(a, b) where
neither a nor b is in C or where C has one arm, of theta(b) where L(b, a) > 1/2. (The paper's learner needs no
Condorcet winner; the regret measured here does.)
"""

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger, ledger
from eluder.core.dueling import DuelingBandit, condorcet_winner, duel, dueling_result
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, BoolArray, IntArray
from eluder.tabular.bandits._pairs import count_duel, width

__all__ = ["d_ts"]


def d_ts(bandit: DuelingBandit, T: int, *, alpha: float = 0.6, rng: np.random.Generator) -> BanditResult:
    """Play T duels of double Thompson sampling.

    Parameters
    ----------
    bandit : DuelingBandit
        The problem, with a Condorcet winner; the learner sees who wins each duel.
    T : int
        Number of duels.
    alpha : float, default=0.6
        Width of the bounds, above 1/2.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints; `pulls` counts both arms of a duel.

    Raises
    ------
    ValueError
        If `bandit` is not a DuelingBandit or has no Condorcet winner, `T` < 1, `alpha` <= 1/2, or `rng` is
        not a Generator.

    Notes
    -----
    O(A^2) time per duel; A Beta variables while one arm leads, at most O(A^2); O(A^2) memory.

    References
    ----------
    .. [1] Wu and Liu. Double Thompson sampling for dueling bandits. NeurIPS 2016, arXiv:1604.07101.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bradley_terry_bandit
    >>> result = d_ts(bradley_terry_bandit([0.0, 1.0, 2.0]), 2000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    2
    """
    winner = condorcet_winner(bandit)
    T = checks.integer("T", T)
    alpha = checks.number("alpha", alpha, 0.5, open_low=True)
    books = ledger(bandit.P.shape[0], T)
    _d_ts(bandit, winner, T, alpha, books, checks.generator(rng))
    return dueling_result(books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Double Thompson sampling for dueling bandits",
            authors="Wu, Liu",
            venue="NeurIPS",
            year=2016,
            arxiv="1604.07101",
        ),
        setting="stochastic regret",
        statement="expected regret O(A ln T + A^2 ln ln T) (constants not confirmed)",
        assumptions="a Condorcet winner; independent duels; alpha > 1/2",
        exponent=0.0,
    ),
)


@kernel
def may_win_most(p: Array, shrink: Array, w: float, count: IntArray, held: BoolArray) -> int:
    """Mark in `held` the arms of C, that may beat the most others; return how many; `count` in place."""
    A = p.shape[0]
    most = 0
    for a in range(A):
        count[a] = 0
        for b in range(A):
            if p[a, b] + w * shrink[a, b] > 0.5:  # U(a, a) = 1/2
                count[a] += 1
        most = max(most, count[a])
    size = 0
    for a in range(A):
        held[a] = count[a] == most
        size += held[a]
    return size


@kernel
def argmax_at_random(count: IntArray, held: BoolArray, rng: np.random.Generator) -> int:
    """Return an arm of the largest count among those `held`, ties at random; no draw without a tie."""
    most, ties = -1, 0
    for a in range(count.size):
        if held[a]:
            if count[a] > most:
                most, ties = count[a], 0
            if count[a] == most:
                ties += 1
    left = min(int(rng.random() * ties), ties - 1) if ties > 1 else 0
    for a in range(count.size):
        if held[a] and count[a] == most:
            if left == 0:
                return a
            left -= 1
    return -1


@kernel
def first_arm(
    wins: Array,
    p: Array,
    shrink: Array,
    w: float,
    count: IntArray,
    held: BoolArray,
    rng: np.random.Generator,
) -> int:
    """Return the first arm of the duel; `count` and `held` in place."""
    size = may_win_most(p, shrink, w, count, held)
    if size > 1:
        count[:] = 0
        for a in range(count.size):
            for b in range(a + 1, count.size):
                if held[a] or held[b]:
                    theta = rng.beta(1.0 + wins[a, b], 1.0 + wins[b, a])
                    count[a] += theta > 0.5
                    count[b] += theta < 0.5
    return argmax_at_random(count, held, rng)


@kernel
def second_arm(wins: Array, p: Array, shrink: Array, w: float, a: int, rng: np.random.Generator) -> int:
    """Return the second arm: the best of a draw among the arms that may beat a, and a itself."""
    best, largest = a, 0.5
    for b in range(wins.shape[0]):
        if b != a and (shrink[b, a] == 0.0 or p[b, a] - w * shrink[b, a] <= 0.5):  # L = 0 before they met
            theta = rng.beta(1.0 + wins[b, a], 1.0 + wins[a, b])
            if theta > largest:
                best, largest = b, theta
    return best


@kernel
def _d_ts(
    bandit: DuelingBandit, winner: int, T: int, alpha: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T duels; `winner` is for measurement only; `books` in place."""
    A = books.pulls.size
    wins, p, shrink = np.zeros((A, A)), np.full((A, A), 2.0), np.zeros((A, A))  # shrink = 1 / sqrt(n)
    count, held = np.zeros(A, np.int64), np.zeros(A, np.bool_)
    for a in range(A):
        p[a, a] = 0.5
    for t in range(T):
        # act
        w = width(t + 1, alpha)
        a = first_arm(wins, p, shrink, w, count, held, rng)
        b = second_arm(wins, p, shrink, w, a, rng)
        won = duel(bandit, winner, books, t, a, b, rng)

        # update
        count_duel(wins, p, shrink, a, b, won)
