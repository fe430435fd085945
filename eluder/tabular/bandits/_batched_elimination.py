r"""Batched successive elimination, BaSE (Gao, Han, Ren & Zhou, NeurIPS 2019).

Pseudo-code (algorithm 1), in our names::

    active <- all arms;  0 = t_0 < t_1 < ... < t_M = T: ends of the batches, fixed in advance
    for batch m = 1, ..., M-1:
        in rounds t_(m-1), ..., t_m - 1 play the active arms in turn                 # act
        observe the rewards of the batch;  n(a) plays and their mean(a) of each arm
        drop each active a with max_b mean(b) - mean(a) >= sqrt(gamma ln(A T) / n)   # update
    in the last batch play the active arm with the largest mean

`grid` "minimax" has t_m = floor(u^(2 - 2^(1-m))) with u = T^(1 / (2 - 2^(1-M))), `grid` "geometric" has
t_m = floor(T^(m/M)).

Guarantee: for gamma >= 12 the expected regret is, up to powers of ln(A T), at most of the order

    minimax:    sqrt(A) T^(1 / (2 - 2^(1-M)))           (ln ln T batches reach sqrt(A T))
    geometric:  A T^(1/M) / smallest gap                (ln T batches reach A ln(T) / gap)

(Theorem 1; gamma and the rates from memory, the grid is also that of the authors' code, the constants are not
explicit).

Deviations from the paper: n is the smallest number of plays of an active arm, as a batch need not divide
evenly; nothing is dropped before each active arm was played. `c` multiplies the radius (1 is the paper's, for
1-sub-Gaussian rewards; rewards in [0, 1] allow ``c = 0.5``).
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["batched_elimination"]


def batched_elimination(
    bandit: Bandit,
    T: int,
    *,
    batches: int = 4,
    grid: str = "minimax",
    gamma: float = 12.0,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of successive elimination whose choices change between batches only.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only, at the end of each batch.
    T : int
        Number of rounds.
    batches : int, default=4
        Number M of batches.
    grid : str, default="minimax"
        "minimax" or "geometric".
    gamma : float, default=12.0
        Constant >= 0 in the radius, the paper's by default.
    c : float, default=1.0
        Multiplies the radius; 1 is the paper's, for 1-sub-Gaussian rewards.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or an argument is outside its range.

    Notes
    -----
    O(1) time per round, O(A) memory. Batches that the grid makes empty are left out.

    References
    ----------
    .. [1] Gao, Han, Ren and Zhou. Batched multi-armed bandits problem. NeurIPS 2019, Theorem 1.
       arXiv:1904.01763

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> bandit = bernoulli_bandit([0.2, 0.8])
    >>> int(batched_elimination(bandit, 1000, c=0.5, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    M = checks.integer("batches", batches)
    if grid not in ("minimax", "geometric"):
        raise ValueError(f"grid must be 'minimax' or 'geometric', got {grid!r}")
    c, gamma = checks.number("c", c, 0.0), checks.number("gamma", gamma, 0.0)
    books = ledger(bandit.means.shape[1], T)
    ends = minimax_grid(T, M) if grid == "minimax" else geometric_grid(T, M)
    _batched_elimination(bandit, np.unique(ends), gamma, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def minimax_grid(T: int, M: int) -> IntArray:
    """Return the ends ``floor(u^(2 - 2^(1-m)))`` of batches 1, ..., M, with ``u = T^(1 / (2 - 2^(1-M)))``."""
    powers = [(2 - 2.0 ** (1 - m)) / (2 - 2.0 ** (1 - M)) for m in range(1, M + 1)]
    return _ends(T, powers)


def geometric_grid(T: int, M: int) -> IntArray:
    """Return the ends ``floor(T^(m/M))`` of batches 1, ..., M."""
    return _ends(T, [m / M for m in range(1, M + 1)])


def _ends(T: int, powers: list[float]) -> IntArray:
    ends = np.array([int(T**power * (1 + 1e-12)) for power in powers])  # 1000^(1/3) is 10, not 9.99...
    ends[-1] = T
    return ends


PAPER = Paper(
    title="Batched multi-armed bandits problem",
    authors="Gao, Han, Ren, Zhou",
    venue="NeurIPS",
    year=2019,
    arxiv="1904.01763",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O~(sqrt(A) T^(8/15)) with 4 batches (Theorem 1)",
        assumptions="independent 1-sub-Gaussian rewards",
        exponent=8 / 15,
        when={"grid": "minimax", "batches": 4},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O~(A T^(1/4) / smallest gap) with 4 batches (Theorem 1)",
        assumptions="independent 1-sub-Gaussian rewards",
        exponent=0.25,
        when={"grid": "geometric", "batches": 4},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O~(sqrt(A) T^(1 / (2 - 2^(1-M)))) with M batches (Theorem 1)",
        assumptions="independent 1-sub-Gaussian rewards",
        when={"grid": "minimax"},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O~(A T^(1/M) / smallest gap) with M batches (Theorem 1)",
        assumptions="independent 1-sub-Gaussian rewards",
        when={"grid": "geometric"},
    ),
)


@kernel
def radius(n: float, A: int, T: int, gamma: float, c: float) -> float:
    """Return ``c sqrt(gamma ln(A T) / n)``."""
    return c * math.sqrt(gamma * math.log(A * T) / n)


@kernel
def eliminate(active: BoolArray, n: Array, mean: Array, T: int, gamma: float, c: float) -> int:
    """Drop arms from `active`, in place; return the active arm with the largest mean."""
    best, least = -1, math.inf
    for a in range(n.size):
        if active[a]:
            least = min(least, n[a])
            if n[a] > 0.0 and (best < 0 or mean[a] > mean[best]):
                best = a
    if least > 0.0:
        width = radius(least, n.size, T, gamma, c)
        for a in range(n.size):
            if a != best and mean[best] - mean[a] >= width:
                active[a] = False
    return max(best, 0)


@kernel
def _batched_elimination(
    bandit: Bandit, ends: IntArray, gamma: float, c: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run all batches; `books` in place."""
    A, T = books.pulls.size, ends[-1]
    n, total, mean, active = np.zeros(A), np.zeros(A), np.zeros(A), np.ones(A, np.bool_)
    t, a, best = 0, -1, 0
    for m in range(ends.size):
        last = m == ends.size - 1 and m > 0
        while t < ends[m]:
            # act
            if last:
                a = best
            else:
                a = (a + 1) % A
                while not active[a]:
                    a = (a + 1) % A
            total[a] += play(bandit, books, t, a, rng)
            n[a] += 1.0
            t += 1

        # update
        for b in range(A):
            if n[b] > 0.0:
                mean[b] = total[b] / n[b]
        best = eliminate(active, n, mean, T, gamma, c)
