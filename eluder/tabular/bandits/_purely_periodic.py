r"""Purely periodic policies for recovering rewards (Simchi-Levi, Zheng & Zhu, 2021).

Pseudo-code, in our names::

    upper <- max sum_a F_a(x_a)  subject to  sum_a x_a <= m                       # over d = 1, 2, ...
    for a0 = 1, ..., m:
        D <- {1, ..., a0 - 1} and {j 2^l : a0 <= j < 2 a0, l >= 0}                # admissible periods
        relax over the periods of D with budget m - a0 + 1                        # round
        improve: change one arm's period, as long as the schedule still fits
        schedule: arms whose periods have the same odd part share slots           # nest by powers of two
    return the best of these schedules

F_a is the least concave function above the points (1/d, R_a(d)/d). A period of D has an odd part below 2 a0,
so there are at most a0 groups; one of total frequency f needs ceil(f) of the m slots, and wastes less than
one.

Guarantee: at most m arms are played in any period, and value / upper >= 1 - O(1/sqrt(m)) (the constant is not
confirmed from the paper). A period rounded up within D costs a factor 1 + 1/a0 at most, the slots that the
groups waste a factor 1 - (a0 - 1)/m, and the arm that the relaxation cuts one slot: a0 near sqrt(m) balances
them.

Deviations from the paper: the nesting of the schedules is derived from its claims; the best a0 is taken
instead of one near sqrt(m), with local improvements, and each can only raise the value.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.recovering import PeriodicPlan, RecoveringBandit, relaxation
from eluder.core.types import Array, IntArray

__all__ = ["purely_periodic"]


def purely_periodic(bandit: RecoveringBandit, *, largest: int | None = None) -> PeriodicPlan:
    """Plan a purely periodic policy for known recovering rewards.

    Parameters
    ----------
    bandit : RecoveringBandit
        The problem, known.
    largest : int, optional
        Largest a0 tried; by default the least of m and ``ceil(2 sqrt(m))``.

    Returns
    -------
    PeriodicPlan
        ``period``, ``offset``, ``value`` and the upper bound ``upper``.

    Raises
    ------
    ValueError
        If `bandit` is not a RecoveringBandit, or `largest` is not between 1 and m.

    Notes
    -----
    O(A D log(A D)) time for the relaxation, and O(A D) for each pass of improvements.

    References
    ----------
    .. [1] Simchi-Levi, Zheng and Zhu. Offline planning and online learning under recovering rewards.
       ICML 2021. arXiv:2106.14813

    Examples
    --------
    >>> from eluder.core.recovering import RecoveringBandit
    >>> plan = purely_periodic(RecoveringBandit([[0.1, 0.8], [0.1, 0.8]]))
    >>> plan.period.tolist(), plan.offset.tolist(), plan.value
    ([2, 2], [0, 1], 0.8)
    """
    if not isinstance(bandit, RecoveringBandit):
        raise ValueError(f"bandit must be a RecoveringBandit, got {type(bandit).__name__}")
    if largest is None:
        largest = min(bandit.m, int(np.ceil(2 * np.sqrt(bandit.m))))
    largest = checks.integer("largest", largest, 1, bandit.m)
    D = bandit.R.shape[1]
    upper, _, _ = relaxation(bandit.R, np.arange(1, D + 1), bandit.m)
    periods = []
    for a0 in range(1, largest + 1):
        allowed = admissible(a0, D)
        periods.append(plan_periods(at_periods(bandit.R, allowed), allowed, bandit.m, a0))
    value = [mean_reward(bandit.R, period) for period in periods]
    best = periods[int(np.argmax(value))]
    return PeriodicPlan(best, offsets(best), max(value), upper)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Offline planning and online learning under recovering rewards",
            authors="Simchi-Levi, Zheng, Zhu",
            venue="ICML",
            year=2021,
            arxiv="2106.14813",
        ),
        setting="planning",
        statement="value at least 1 - O(1/sqrt(m)) of the relaxation's (constant not confirmed)",
        assumptions="mean rewards that do not decrease with the idle time",
    ),
)


def admissible(a0: int, D: int) -> IntArray:
    """Return the periods {1, ..., a0 - 1} and {j 2^l : a0 <= j < 2 a0}, up to the first at or above D."""
    found = set(range(1, a0))
    for j in range(a0, 2 * a0):
        while j < 2 * max(D, a0):
            found.add(j)
            j *= 2
    every = np.array(sorted(found))
    return every[: int(np.searchsorted(every, D)) + 1]


def at_periods(R: Array, periods: IntArray) -> Array:
    """Return the mean rewards after each of the periods; beyond the table they stay."""
    return R[:, np.minimum(periods, R.shape[1]) - 1]


def mean_reward(R: Array, period: IntArray) -> float:
    """Return the long-run mean reward of a period, ``sum_a R_a(period) / period``."""
    on = np.flatnonzero(period)
    reward = R[on, np.minimum(period[on], R.shape[1]) - 1]
    return float(np.sum(reward / period[on]))


def slots(period: IntArray) -> int:
    """Return the slots that a schedule needs: the total frequency rounded up, for each odd part."""
    on = period[period > 0]
    odd = on // (on & -on)
    total = 0
    for q in np.unique(odd):
        residues = math.ceil(np.sum(q / on[odd == q]))  # exact: a sum of powers of two
        total += -(-residues // int(q))
    return total


def plan_periods(reward: Array, allowed: IntArray, m: int, a0: int) -> IntArray:
    """Return periods that fit into m slots: relax with budget m - a0 + 1, then improve one arm at a time.

    `reward` holds, for each arm, the mean reward after each of the `allowed` periods.
    """
    _, partial, period = relaxation(reward, allowed, m - a0 + 1)
    arms = [a for a, *_ in partial] + list(range(reward.shape[0]))  # the arm that was cut comes first
    changed = True
    while changed:
        changed = sum(improve(period, a, reward, allowed, m) for a in arms) > 0
    return period


def improve(period: IntArray, a: int, reward: Array, allowed: IntArray, m: int) -> bool:
    """Give arm `a` the best period that fits into m slots, in place; tell whether that is better."""
    gain = reward[a] / allowed
    old = int(period[a])
    now = gain[np.searchsorted(allowed, old)] if old else 0.0
    for i in np.argsort(-gain, kind="stable"):
        if gain[i] <= now + 1e-12:
            break
        period[a] = allowed[i]
        if slots(period) <= m:
            return True
    period[a] = old
    return False


def offsets(period: IntArray) -> IntArray:
    """Return offsets so that at most `slots(period)` arms are played at once.

    The arms of odd part q take turns by residues mod q; within a residue, one of period q 2^l takes a share
    2^-l of the times, laid out largest share first in the order of reversed bits, so that shares nest.
    """
    offset = np.zeros_like(period)
    on = np.flatnonzero(period)
    odd = period[on] // (period[on] & -period[on])
    for q in np.unique(odd):
        arms = on[odd == q]
        arms = arms[np.argsort(period[arms], kind="stable")]
        filled = 0.0  # residues used up, in parts
        for a in arms:
            n = int(period[a] // q)
            channel = int(filled)
            turn = reversed_bits(round((filled - channel) * n), n)
            offset[a] = channel % q + q * turn
            filled += 1.0 / n
    return offset


def reversed_bits(i: int, n: int) -> int:
    """Return i < n = 2^l with its l bits in reverse order."""
    out = 0
    while n > 1:
        out, i, n = 2 * out + i % 2, i // 2, n // 2
    return out
