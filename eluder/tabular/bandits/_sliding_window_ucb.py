r"""Sliding-window UCB: only the last rounds count (Garivier & Moulines, ALT 2011).

Pseudo-code (section 3), in our names::

    play each arm once
    for t = A, ..., T-1:                                          # t plays so far
        n(a), mean(a) <- plays of a among the last `window` rounds, and mean of their rewards
        index(a) = mean(a) + c sqrt(xi ln(min(t, window)) / n(a));  infinite if n(a) = 0
        play a = argmax_a index(a)                                # act, and observe a reward

Guarantee: if the means change `changes` times and ``window = 2 sqrt(T ln(T) / changes)``, with rewards in
[0, 1] and xi > 1/2, the expected number of wrong plays of each arm is O(sqrt(changes T ln T)) (Theorem 2 and
the remark after it); the constants depend on the smallest gap (from memory).

Deviations from the paper: none. `c` multiplies the radius; 1 is the paper's B for rewards in [0, 1].
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult

__all__ = ["sliding_window_ucb"]


def sliding_window_ucb(
    bandit: Bandit,
    T: int,
    *,
    window: int | None = None,
    changes: int = 1,
    xi: float = 0.6,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of sliding-window UCB.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    window : int, optional
        Rounds that count, at least 1; by default ``2 sqrt(T ln(T) / changes)``.
    changes : int, default=1
        Changes of the means that the window is laid out for, at least 1.
    xi : float, default=0.6
        Factor of the logarithm; the theorem has xi > 1/2.
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
        If `bandit` is not a Bandit, `T`, `window` or `changes` < 1, `xi` or `c` is negative, or `rng` is not
        a Generator.

    Notes
    -----
    O(A) time per round, O(A + window) memory.

    References
    ----------
    .. [1] Garivier and Moulines. On upper-confidence bound policies for switching bandit problems. ALT 2011,
       Theorem 2. arXiv:0805.3415

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import piecewise_bandit
    >>> bandit = piecewise_bandit([[0.2, 0.8], [0.8, 0.2]], starts=[0, 1000])
    >>> result = sliding_window_ucb(bandit, 2000, window=200, rng=np.random.default_rng(0))
    >>> bool((result.pulls > 800).all())
    True
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    changes = checks.integer("changes", changes)
    length = default_window(T, changes) if window is None else checks.integer("window", window)
    xi = checks.number("xi", xi, 0.0)
    c = checks.number("c", c, 0.0)
    books = ledger(bandit.means.shape[1], T)
    _sliding_window_ucb(bandit, T, min(length, T), xi, c, books, checks.generator(rng))
    return bandit_result(bandit, books)


def default_window(T: int, changes: int) -> int:
    """Return ``2 sqrt(T ln(T) / changes)``, rounded up, at least 1."""
    return max(1, math.ceil(2 * math.sqrt(T * math.log(T) / changes)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="On upper-confidence bound policies for switching bandit problems",
            authors="Garivier, Moulines",
            venue="ALT",
            year=2011,
            arxiv="0805.3415",
        ),
        setting="changing rewards",
        statement="expected regret O(sqrt(changes T ln T)) with the default window (Theorem 2)",
        assumptions="independent rewards in [0, 1]; the number of changes is known",
        exponent=0.5,
    ),
)


@kernel
def radius(n: float, t: int, window: int, xi: float, c: float) -> float:
    """Return ``c sqrt(xi ln(min(t, window)) / n)``."""
    return c * math.sqrt(xi * math.log(min(t, window)) / n)


@kernel
def _sliding_window_ucb(
    bandit: Bandit, T: int, window: int, xi: float, c: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    n, total = np.zeros(A), np.zeros(A)
    arms, rewards = np.zeros(window, np.int64), np.zeros(window)
    mean, shrink = np.zeros(A), np.zeros(A)  # shrink = 1 / sqrt(n)
    for t in range(T):
        # act
        a = t
        if t >= A:
            width = radius(1.0, t, window, xi, c)
            a, largest = 0, -math.inf
            for b in range(A):
                index = mean[b] + width * shrink[b] if n[b] > 0.0 else math.inf
                if index > largest:
                    a, largest = b, index
        reward = play(bandit, books, t, a, rng)

        # update: the round that leaves the window, then the new one
        i = t % window
        if t >= window:
            old = arms[i]
            n[old] -= 1.0
            total[old] = total[old] - rewards[i] if n[old] > 0.0 else 0.0
            if n[old] > 0.0:
                mean[old] = total[old] / n[old]
                shrink[old] = 1.0 / math.sqrt(n[old])
        arms[i], rewards[i] = a, reward
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
        shrink[a] = 1.0 / math.sqrt(n[a])
