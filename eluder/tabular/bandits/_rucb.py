r"""RUCB: relative upper confidence bounds for duelling bandits (Zoghi et al., ICML 2014).

Pseudo-code (algorithm 1), in our names::

    wins = 0 for each ordered pair;  B = {}                         # B: the arm thought best, or nobody
    for t = 1, ..., T:
        U(a, b) = wins(a, b) / n(a, b) + sqrt(alpha ln(t) / n(a, b)),  n(a, b) = wins(a, b) + wins(b, a)
        U(a, b) = 2 where n(a, b) = 0;  U(a, a) = 1/2
        C = arms a with U(a, b) >= 1/2 for all b                    # those that may still be the winner
        B <- B and C;  if C is empty: a is any arm
        if |C| = 1: B <- C, a is its arm
        if |C| > 1: a is the arm of B with probability 1/2, else any other of C
        b = argmax_b U(b, a), ties at random, where a itself is no candidate in a tie
        let a and b meet;  wins(winner, loser) += 1

Guarantee: for alpha > 1/2 the regret is O(A^2 + A ln T), with high probability, and for alpha > 1 in
expectation (Theorems 4 and 5, numbers and constants not confirmed).

Deviations from the paper: none. (x / 0 := 1 in both terms, hence the 2.)
"""

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger, ledger
from eluder.core.dueling import DuelingBandit, condorcet_winner, duel, dueling_result
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray
from eluder.tabular.bandits._pairs import count_duel, pick, width

__all__ = ["rucb"]


def rucb(bandit: DuelingBandit, T: int, *, alpha: float = 0.51, rng: np.random.Generator) -> BanditResult:
    """Play T duels of RUCB.

    Parameters
    ----------
    bandit : DuelingBandit
        The problem, with a Condorcet winner; the learner sees who wins each duel.
    T : int
        Number of duels.
    alpha : float, default=0.51
        Width of the bounds, above 1/2 (0.51 is that of the paper's experiments).
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
    O(A^2) time per duel at worst, O(A) while each arm that is out stays out for the same reason; O(A^2)
    memory.

    References
    ----------
    .. [1] Zoghi, Whiteson, Munos and de Rijke. Relative upper confidence bound for the K-armed dueling bandit
       problem. ICML 2014, arXiv:1312.3393.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bradley_terry_bandit
    >>> result = rucb(bradley_terry_bandit([0.0, 1.0, 2.0]), 2000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    2
    """
    winner = condorcet_winner(bandit)
    T = checks.integer("T", T)
    alpha = checks.number("alpha", alpha, 0.5, open_low=True)
    books = ledger(bandit.P.shape[0], T)
    _rucb(bandit, winner, T, alpha, books, checks.generator(rng))
    return dueling_result(books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Relative upper confidence bound for the K-armed dueling bandit problem",
            authors="Zoghi, Whiteson, Munos, de Rijke",
            venue="ICML",
            year=2014,
            arxiv="1312.3393",
        ),
        setting="stochastic regret",
        statement="regret O(A^2 + A ln T), with high probability, in expectation for alpha > 1 "
        "(constants not confirmed)",
        assumptions="a Condorcet winner; independent duels",
        exponent=0.0,
    ),
)


@kernel
def first_arm(candidates: IntArray, size: int, best: int, rng: np.random.Generator) -> int:
    """Return the first arm of the duel: `candidates` holds `size` arms; `best` is one of them, or -1."""
    if size == 1:
        return int(candidates[0])
    if best >= 0 and rng.random() < 0.5:
        return best
    i = pick(size - 1 if best >= 0 else size, rng)
    for j in range(size):
        if candidates[j] == best:
            return int(candidates[i if i < j else i + 1])
    return int(candidates[i])


@kernel
def second_arm(p: Array, shrink: Array, w: float, a: int, ties: IntArray, rng: np.random.Generator) -> int:
    """Return ``argmax_b U(b, a)``, ties at random, where a is no candidate in a tie; `ties` in place."""
    size, largest = 0, -1.0
    for b in range(p.shape[0]):
        u = p[b, a] + w * shrink[b, a]
        if u > largest:
            largest, size = u, 0
        if u == largest:
            ties[size] = b
            size += 1
    if size > 1:
        for i in range(size):
            if ties[i] == a:
                size -= 1
                ties[i] = ties[size]
                break
    return int(ties[pick(size, rng)])


@kernel
def possible_winners(p: Array, shrink: Array, w: float, blocker: IntArray, candidates: IntArray) -> int:
    """Write the arms with ``U(a, b) >= 1/2`` for all b into `candidates`; return how many.

    ``blocker[a]`` is the arm that failed a last: it is looked at first, and kept in place.
    """
    size = 0
    for a in range(p.shape[0]):
        b = blocker[a]
        if p[a, b] + w * shrink[a, b] >= 0.5:
            for b in range(p.shape[0]):
                if p[a, b] + w * shrink[a, b] < 0.5:
                    blocker[a] = b
                    break
            else:
                candidates[size] = a
                size += 1
    return size


@kernel
def _rucb(
    bandit: DuelingBandit, winner: int, T: int, alpha: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T duels; `winner` is for measurement only; `books` in place."""
    A = books.pulls.size
    wins, p, shrink = np.zeros((A, A)), np.full((A, A), 2.0), np.zeros((A, A))  # shrink = 1 / sqrt(n)
    candidates, ties, blocker = np.zeros(A, np.int64), np.zeros(A, np.int64), np.arange(A)
    for a in range(A):
        p[a, a] = 0.5
    best = -1  # the arm of B
    for t in range(T):
        # act
        w = width(t + 1, alpha)
        size = possible_winners(p, shrink, w, blocker, candidates)
        if size == 0:
            best = -1
            a = pick(A, rng)
        else:
            if size == 1:
                best = candidates[0]
            elif best >= 0 and not (candidates[:size] == best).any():
                best = -1
            a = first_arm(candidates, size, best, rng)
        b = second_arm(p, shrink, w, a, ties, rng)
        won = duel(bandit, winner, books, t, a, b, rng)

        # update
        count_duel(wins, p, shrink, a, b, won)
