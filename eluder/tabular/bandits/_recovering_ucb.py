r"""UCB over purely periodic policies: recovering rewards, learnt (Simchi-Levi, Zheng & Zhu, 2021).

Pseudo-code, in our names::

    D <- {1, ..., a0 - 1} and {j 2^l : a0 <= j < 2 a0}                            # admissible periods
    for each phase of L periods:
        U[a, d] <- min_{d' >= d} (mean(a, d') + sqrt(2 ln(T) / n(a, d')))         # at most 1
        periods <- the best schedule of `purely_periodic` for the rewards U       # plan
        for each t of the phase:                                                  # act
            play the arms whose turn it is; one that rested d periods, d in D, counts
            in n(a, d) and mean(a, d)                                             # update

The minimum over longer rests keeps U valid and non-decreasing, since the true rewards are.

Guarantee: regret O~(A sqrt(T)) against the offline schedule (the abstract's claim; constants not confirmed).

Deviations from the paper: the length of a phase, L = ceil(sqrt(T)), and the radius (`c` scales it) are from
memory. An arm keeps its schedule between phases where its period and offset stay; plays after a rest that is
not in D teach nothing.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Ledger, draw, ledger
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import kernel
from eluder.core.recovering import RecoveringBandit
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray
from eluder.tabular.bandits._purely_periodic import GUARANTEES as OFFLINE
from eluder.tabular.bandits._purely_periodic import admissible, offsets, plan_periods, purely_periodic

__all__ = ["recovering_ucb"]


def recovering_ucb(
    bandit: RecoveringBandit,
    T: int,
    *,
    a0: int | None = None,
    phase: int | None = None,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T periods, and learn how fast the arms recover.

    Parameters
    ----------
    bandit : RecoveringBandit
        The problem. The learner knows m, and D: that rewards stay after a rest of D periods.
    T : int
        Number of periods.
    a0 : int, optional
        Fineness of the admissible periods, from 1 to m; by default the integer nearest to sqrt(m).
    phase : int, optional
        Periods between two plans; by default ``ceil(sqrt(T))``.
    c : float, default=1.0
        Multiplies the radius.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        ``regret`` against the offline schedule, ``T * purely_periodic(bandit).value``: it can be negative;
        ``pulls`` of each arm, up to m in a period.

    Raises
    ------
    ValueError
        If `bandit` is not a RecoveringBandit, `T`, `a0` or `phase` is out of range, `c` is negative, or `rng`
        is not a Generator.

    Notes
    -----
    O(m) time per play; O(A D log(A D)) and a few passes of improvements for each plan.

    References
    ----------
    .. [1] Simchi-Levi, Zheng and Zhu. Offline planning and online learning under recovering rewards.
       ICML 2021. arXiv:2106.14813

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.recovering import RecoveringBandit
    >>> bandit = RecoveringBandit([[0.1, 0.9], [0.1, 0.9]])
    >>> run = recovering_ucb(bandit, 2000, rng=np.random.default_rng(0))
    >>> bool(run.regret[-1] < 100)
    True
    """
    best = purely_periodic(bandit).value
    T = checks.integer("T", T)
    a0 = checks.integer("a0", round(math.sqrt(bandit.m)) if a0 is None else a0, 1, bandit.m)
    length = checks.integer("phase", math.ceil(math.sqrt(T)) if phase is None else phase)
    c = checks.number("c", c, 0.0)
    rng = checks.generator(rng)
    A, D = bandit.R.shape
    allowed = admissible(a0, D)
    place = np.full(int(allowed[-1]) + 1, -1)
    place[allowed] = np.arange(allowed.size)
    n, total = np.zeros((A, allowed.size)), np.zeros((A, allowed.size))
    last, books = np.full(A, -1), ledger(A, T)
    for start in range(0, T, length):
        period = plan_periods(upper(total, n, T, c), allowed, bandit.m, a0)
        stop = min(start + length, T)
        _phase(bandit.R, bandit.law, start, stop, period, offsets(period), place, last, n, total, books, rng)
    return BanditResult(books.checkpoints, best * books.checkpoints - books.value, books.pulls, books.value)


GUARANTEES = (
    Guarantee(
        paper=OFFLINE[0].paper,
        setting="recovering rewards",
        statement="regret O~(A sqrt(T)) against the offline schedule (constants not confirmed)",
        assumptions="mean rewards in [0, 1] that do not decrease with the idle time",
        exponent=0.5,
    ),
)


def radius(n: Array, T: int, c: float) -> Array:
    """Return ``c sqrt(2 ln T / n)``; infinite where n = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width: Array = np.where(n > 0, c * np.sqrt(2 * math.log(T) / n), np.inf)
    return width


def upper(total: Array, n: Array, T: int, c: float) -> Array:
    """Return U: upper estimates of the mean rewards, at most 1 and non-decreasing with the rest."""
    mean = total / np.maximum(n, 1)
    U = np.minimum(mean + radius(n, T, c), 1.0)
    return np.minimum.accumulate(U[:, ::-1], axis=1)[:, ::-1]


@kernel
def _phase(
    R: Array,
    law: int,
    start: int,
    stop: int,
    period: IntArray,
    offset: IntArray,
    place: IntArray,
    last: IntArray,
    n: Array,
    total: Array,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Play the periods from `start` to `stop`; `last`, `n`, `total` and `books` in place."""
    A, D = R.shape
    longest = place.size - 1
    for t in range(start, stop):
        value = 0.0
        for a in range(A):
            # act
            if period[a] == 0 or t % period[a] != offset[a]:
                continue
            rest = t - last[a]
            mean = R[a, min(rest, D) - 1]
            reward = draw(law, mean, 1.0, rng)

            # update
            i = place[min(rest, longest)]
            if i >= 0:
                n[a, i] += 1.0
                total[a, i] += reward
            last[a] = t
            books.pulls[a] += 1
            value += mean
        books.total[0] += value  # measurement
        at = books.place[0]
        if t + 1 == books.checkpoints[at]:
            books.value[at] = books.total[0]
            books.place[0] = at + 1
