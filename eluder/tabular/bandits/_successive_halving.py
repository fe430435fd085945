r"""Successive (sequential) halving: split the budget over rounds, drop the worse half (Karnin et al. 2013).

Pseudo-code (algorithm 3, "Sequential Halving"), in our names::

    alive = all arms;  R = ceil(log2 A)
    for each of R rounds:
        play each arm alive floor(T / (|alive| R)) times                                  # act
        alive <- the ceil(|alive| / 2) arms with the best means in this round             # update
    return the arm left

Guarantee: the arm returned is wrong with probability at most

    3 log2(A) exp(-T / (8 H log2 A)),    H = max_{i >= 2} i / gap_(i)^2                  (Theorem 4.1)

with gap_(i) the i-th smallest distance from the best mean. (The proof, repeated for this file, needs A a
power of 2 and T a multiple of A log2 A; otherwise the rounding costs a little.)

Deviations from the paper: none. (Plays that rounding leaves over are not made.)
"""

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.identification import one_segment
from eluder.core.kernels import kernel
from eluder.core.results import IdentificationResult
from eluder.core.types import Array
from eluder.tabular.bandits._identification import result

__all__ = ["successive_halving"]


def successive_halving(bandit: Bandit, T: int, *, rng: np.random.Generator) -> IdentificationResult:
    """Find the best arm with a budget of T plays by successive halving.

    Parameters
    ----------
    bandit : Bandit
        One segment; rewards in [0, 1].
    T : int
        Budget: number of plays, at least ``A ceil(log2 A)``.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    IdentificationResult
        The arm, plays and means (of all rewards seen).

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit with one segment, two arms and rewards in [0, 1], `T` is too small, or
        `rng` is not a Generator.

    Notes
    -----
    O(1) time per play, O(A) memory. Also called sequential halving, the paper's name.

    References
    ----------
    .. [1] Karnin, Koren and Somekh. Almost optimal exploration in multi-armed bandits. ICML 2013,
       Theorem 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> successive_halving(bernoulli_bandit([0.2, 0.8, 0.5]), 600, rng=np.random.default_rng(0)).arm
    1
    """
    refuse_unbounded("successive_halving", bandit)
    one_segment(bandit)
    A, T = bandit.means.shape[1], checks.integer("T", T)
    if A * rounds(A) > T:
        raise ValueError(f"T must be at least A ceil(log2 A) = {A * rounds(A)}, got {T}")
    books, total = ledger(A, T), np.zeros(A)
    arm = _halving(bandit, T, rounds(A), total, books, checks.generator(rng))
    return result(books, arm, total, True)


def rounds(A: int) -> int:
    """Return ``ceil(log2 A)``."""
    return (A - 1).bit_length()


def hardness(gaps: Array) -> float:
    """Return ``H = max_{i >= 2} i / gap_(i)^2``."""
    worse = np.sort(gaps)[1:]
    return float(np.max(np.arange(2, gaps.size + 1) / worse**2)) if worse.min() > 0 else np.inf


def bound(gaps: Array, T: int) -> float:
    """Return the bound of Theorem 4.1 on the probability of error."""
    log = np.log2(gaps.size)
    return float(3 * log * np.exp(-T / (8 * hardness(gaps) * log)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Almost optimal exploration in multi-armed bandits",
            authors="Karnin, Koren, Somekh",
            venue="ICML",
            year=2013,
        ),
        setting="best-arm identification",
        statement="wrong with probability at most 3 log2(A) exp(-T / (8 H log2 A)), "
        "H = max_{i >= 2} i / gap_(i)^2 (Theorem 4.1)",
        assumptions="independent rewards in [0, 1], one best arm; A a power of 2, T a multiple of A log2 A",
        bound=bound,
    ),
)


@kernel
def plays_each(T: int, alive: int, R: int) -> int:
    """Return ``floor(T / (alive R))``, the plays of each arm alive in a round."""
    return T // (alive * R)


@kernel
def _halving(bandit: Bandit, T: int, R: int, total: Array, books: Ledger, rng: np.random.Generator) -> int:
    """Run R rounds; `total` (of rewards) and `books` in place."""
    alive = np.arange(total.size)
    t = 0
    for _ in range(R):
        # act
        k = plays_each(T, alive.size, R)
        loss = np.zeros(alive.size)  # minus the sum of this round's rewards
        for i in range(alive.size):
            for _ in range(k):
                reward = play(bandit, books, t, alive[i], rng)
                t += 1
                total[alive[i]] += reward
                loss[i] -= reward

        # update
        order = np.argsort(loss, kind="mergesort")  # ties go to the first arm
        alive = np.sort(alive[order[: (alive.size + 1) // 2]])
    return int(alive[0])
