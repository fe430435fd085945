r"""SWA: the mean of the last plays of each arm (Levine, Crammer & Mannor, NeurIPS 2017).

Pseudo-code (algorithm 1), in our names::

    M = ceil(alpha 4^(2/3) sigma^(2/3) A^(-2/3) T^(2/3) ln(sqrt(2) T)^(1/3))
    play the arms in turn until each has M plays
    afterwards play a = argmax_a (mean of the last M rewards of a)              # act, and observe a reward

Guarantee: the expected regret is O(A^(1/3) T^(2/3) ln(T)^(1/3)) (Theorem 3.1; constants from memory).

Deviations from the paper: none. Its doubling trick for an unknown T is left out.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger, ledger
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.rotting import RottingBandit, pull, refuse_not_rotting, rotting_result
from eluder.tabular.bandits._tournament import replace, tournament

__all__ = ["sliding_window_average"]


def sliding_window_average(
    bandit: RottingBandit,
    T: int,
    *,
    alpha: float = 2 ** (-2 / 3),
    sigma: float = 0.5,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of the sliding-window average, which knows T.

    Parameters
    ----------
    bandit : RottingBandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds; the learner knows it.
    alpha : float, default=2 ** (-2 / 3)
        Factor of the window, > 0; ``(2 m)^(-2/3)`` is the paper's, where m is the largest mean.
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
        If `bandit` is not a RottingBandit, `T` < 1, `alpha` or `sigma` is not positive, or `rng` is not a
        Generator.

    Notes
    -----
    O(log A) time per round; the windows take O(A M) = O(A^(1/3) T^(2/3)) memory.

    References
    ----------
    .. [1] Levine, Crammer and Mannor. Rotting bandits. NeurIPS 2017, Theorem 3.1. arXiv:1702.07274

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import rotting_bandit
    >>> bandit = rotting_bandit([[0.9, 0.5]] * 100 + [[0.1, 0.5]])
    >>> result = sliding_window_average(bandit, 5000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_not_rotting(bandit)
    T = checks.integer("T", T)
    alpha = checks.number("alpha", alpha, 0.0, 1e6, open_low=True)
    sigma = checks.number("sigma", sigma, 0.0, 1e6, open_low=True)
    A = bandit.means.shape[1]
    M = min(window(T, A, alpha, sigma), T // A + 1)  # a longer window never fills
    books = ledger(A, T)
    _sliding_window_average(bandit, T, M, books, checks.generator(rng))
    return rotting_result(bandit, books)


def window(T: int, A: int, alpha: float, sigma: float) -> int:
    """Return M, plays of each arm in its window; at least 1."""
    cube = 16 * sigma**2 * T**2 * math.log(math.sqrt(2) * T) / A**2
    return max(1, math.ceil(alpha * math.cbrt(cube)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Rotting bandits",
            authors="Levine, Crammer, Mannor",
            venue="NeurIPS",
            year=2017,
            arxiv="1702.07274",
        ),
        setting="changing rewards",
        statement="expected regret O(A^(1/3) T^(2/3) ln(T)^(1/3)) (Theorem 3.1; constants from memory)",
        assumptions="means do not increase with the plays of their arm; sub-Gaussian rewards; T is known",
        exponent=2 / 3,
    ),
)


@kernel
def _sliding_window_average(
    bandit: RottingBandit, T: int, M: int, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    last, total = np.zeros((A, M)), np.zeros(A)
    keys, winner = tournament(A)
    for t in range(T):
        # act
        a = t % A if t < A * M else winner[1]
        i = books.pulls[a] % M
        reward = pull(bandit, books, t, a, rng)

        # update
        total[a] += reward - last[a, i]
        last[a, i] = reward
        replace(keys, winner, a, total[a] / M)
