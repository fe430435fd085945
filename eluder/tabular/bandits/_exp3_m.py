r"""EXP3.M: m arms a round (Uchiya, Nakamura & Kudo, ALT 2010).

Pseudo-code (algorithms EXP3.M and DepRound), in our names::

    w(a) = 1;  kappa = (1 / m - gamma / A) / (1 - gamma)
    for t = 0, ..., T-1:
        if max w >= kappa sum_a w(a):  v(a) = min(w(a), top) with top such that top = kappa sum_a v(a)
        else:  v = w
        p(a) = m ((1 - gamma) v(a) / sum_b v(b) + gamma / A)              # at most 1, and sums to m
        draw a set of m arms that holds a with probability p(a), by DepRound                # act
        observe the reward of each of its arms
        for each of them with w(a) < top:  w(a) <- w(a) exp(m gamma reward(a) / (A p(a)))   # update

    DepRound: while two entries i, j of p are neither 0 nor 1:
        up = min(1 - p(i), p(j)), down = min(p(i), 1 - p(j))
        with probability down / (up + down):  p(i) += up, p(j) -= up
        else:                                 p(i) -= down, p(j) += down

with gamma = min(1, sqrt(A ln(A / m) / ((e - 1) m T))).

Guarantee: the expected regret against the best fixed set of m arms is at most

    2 sqrt(e - 1) sqrt(m A T ln(A / m))            (Theorem 2 with G = m T; the theorem's number from memory)

Deviations from the paper: none. If m = A all arms are played.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, advance, draw, ledger, record, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray

__all__ = ["exp3_m"]

HUGE = 1e100  # weights above are scaled


class State(NamedTuple):
    """Weights and probabilities of the arms, and work space, each of shape (A,)."""

    w: Array
    p: Array
    rounded: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.ones(A), np.zeros(A), np.zeros(A))


def exp3_m(
    bandit: Bandit, T: int, *, m: int, gamma: float | None = None, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of EXP3.M, m arms in each.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees the rewards of the arms it plays.
    T : int
        Number of rounds.
    m : int
        Number of arms played in a round, at most A.
    gamma : float, optional
        Share in [1e-9, 1] of uniform exploration; by default that of the theorem.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret against the best fixed set of m arms (the best of each round if the bandit is `dynamic`) at
        log-spaced checkpoints, and pulls, which sum to m T.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], or an argument is outside its range.

    Notes
    -----
    O(A) time per round, O(A m) where arms have probability 1; O(A) memory. The module has `init`, `act` and
    `update` for loops of its own.

    References
    ----------
    .. [1] Uchiya, Nakamura and Kudo. Algorithms for adversarial bandit problems with multiple plays. ALT
       2010, Theorem 2.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = exp3_m(bernoulli_bandit([0.1, 0.9, 0.5, 0.8]), 2000, m=2, rng=np.random.default_rng(0))
    >>> np.sort(result.pulls.argsort()[-2:])
    array([1, 3])
    """
    refuse_unbounded("exp3_m", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    m = checks.integer("m", m, 1, A)
    gamma = mixing(A, T, m) if gamma is None else checks.number("gamma", gamma, 1e-9, 1.0)
    books = ledger(A, T)
    _exp3_m(bandit, T, m, gamma, init(A), books, checks.generator(rng))
    regret = best_sets(bandit, books.checkpoints, m) - books.value
    return BanditResult(books.checkpoints, regret, books.pulls, books.value)


def best_sets(bandit: Bandit, n: IntArray, m: int) -> Array:
    """Return what the best m arms collect in n rounds, as `eluder.core.bandits.best_value` does for one."""
    means = bandit.means
    if bandit.dynamic:
        means = np.sort(means, axis=1)[:, -m:]
    before = np.zeros(means.shape)
    np.cumsum(means[:-1] * np.diff(bandit.starts)[:, None], axis=0, out=before[1:])
    last = np.searchsorted(bandit.starts, n, side="left") - 1
    each = before[last] + (n - bandit.starts[last])[:, None] * means[last]
    total: Array = np.sort(each, axis=1)[:, -m:].sum(axis=1)
    return total


def mixing(A: int, T: int, m: int) -> float:
    """Return ``min(1, sqrt(A ln(A / m) / ((e - 1) m T)))``."""
    return min(1.0, math.sqrt(A * math.log(A / m) / ((math.e - 1) * m * T)))


def bound(A: int, T: int, m: int) -> float:
    """Return ``2 sqrt(e - 1) sqrt(m A T ln(A / m))``."""
    return 2 * math.sqrt((math.e - 1) * m * A * T * math.log(A / m))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Algorithms for adversarial bandit problems with multiple plays",
            authors="Uchiya, Nakamura, Kudo",
            venue="ALT",
            year=2010,
        ),
        setting="adversarial regret",
        statement="expected regret against the best set of m arms at most 2.63 sqrt(m A T ln(A / m))",
        assumptions="rewards in [0, 1]; those of the m arms played are seen",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def cap(w: Array, kappa: float) -> float:
    """Return `top`: weights cut there have a largest equal to kappa times their sum; inf if none is cut.

    Every pass cuts all weights above the last top, which only falls: at most as many passes as weights cut.
    """
    top, cut = math.inf, -1
    while True:
        n, rest = 0, 0.0
        for a in range(w.size):
            if w[a] >= top:
                n += 1
            else:
                rest += w[a]
        if n == cut:
            return top
        if n == 0:
            largest = 0.0
            for a in range(w.size):
                largest = max(largest, w[a])
            if largest < kappa * rest:
                return math.inf
        cut = n
        top = kappa * rest / (1.0 - kappa * n)


@kernel
def probabilities(w: Array, m: int, gamma: float, p: Array) -> float:
    """Write the probability of each arm to be played into `p`; return the weight at which weights are cut."""
    A = w.size
    if m == A or gamma == 1.0:
        p[:] = m / A
        return math.inf
    top = cap(w, (1.0 / m - gamma / A) / (1.0 - gamma))
    total = 0.0
    for a in range(A):
        total += min(w[a], top)
    for a in range(A):
        p[a] = 1.0
        if w[a] < top:
            p[a] = min(m * ((1.0 - gamma) * w[a] / total + gamma / A), 1.0)
    return top


@kernel
def dep_round(p: Array, rng: np.random.Generator) -> None:
    """Round `p`, in place, to 0 and 1: its sum stays, and each entry has its value as mean."""
    i = -1  # the entry that is neither 0 nor 1 yet
    for j in range(p.size):
        if p[j] <= 0.0 or p[j] >= 1.0:
            continue
        if i < 0:
            i = j
            continue
        up, down = min(1.0 - p[i], p[j]), min(p[i], 1.0 - p[j])
        total = p[i] + p[j]
        if rng.random() < down / (up + down):
            p[i], p[j] = (1.0, total - 1.0) if total > 1.0 else (total, 0.0)
        else:
            p[i], p[j] = (total - 1.0, 1.0) if total > 1.0 else (0.0, total)
        if p[i] <= 0.0 or p[i] >= 1.0:
            i = j if 0.0 < p[j] < 1.0 else -1
    if i >= 0:  # rounding left a rest
        p[i] = 1.0 if p[i] > 0.5 else 0.0


@kernel
def act(state: State, m: int, gamma: float, rng: np.random.Generator) -> float:
    """Compute the probabilities and draw a set, 1 in `rounded`, in place; return where weights are cut."""
    top = probabilities(state.w, m, gamma, state.p)
    state.rounded[:] = state.p
    dep_round(state.rounded, rng)
    return top


@kernel
def update(state: State, rewards: Array, top: float, m: int, gamma: float) -> None:
    """Raise the weights of the arms played; p is that of the round in which they were drawn."""
    A, largest = state.w.size, 0.0
    for a in range(A):
        if state.rounded[a] == 1.0 and state.w[a] < top:
            state.w[a] *= math.exp(m * gamma * rewards[a] / (A * state.p[a]))
        largest = max(largest, state.w[a])
    if largest > HUGE:
        for a in range(A):
            state.w[a] /= largest


@kernel
def _exp3_m(
    bandit: Bandit, T: int, m: int, gamma: float, state: State, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `state` and `books` in place."""
    rewards = np.zeros(books.pulls.size)
    for t in range(T):
        # act
        top = act(state, m, gamma, rng)
        segment, left = advance(bandit, books, t), m
        for a in range(rewards.size):
            if state.rounded[a] == 1.0:
                mean = bandit.means[segment, a]
                left -= 1
                if left > 0:  # measurement: the last arm closes the round
                    books.pulls[a] += 1
                    books.total[0] += mean
                else:
                    record(books, t, a, mean)
                rewards[a] = draw(bandit.law, mean, bandit.scale[a], rng)

        # update
        update(state, rewards, top, m, gamma)
