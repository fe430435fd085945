r"""EXP4: exponential weights over experts that advise the learner (Auer et al., SIAM J. Computing 2002).

Pseudo-code (Lattimore & Szepesvari 2020, algorithm 11 with gamma = 0), in our names::

    L(i) = 0 for each of N experts
    for t = 0, ..., T-1:
        expert i advises the distribution advice(i, .) of this round
        q(i) = exp(-eta L(i)) / sum_j exp(-eta L(j));  p(a) = sum_i q(i) advice(i, a)
        draw a from p                                                               # act
        observe loss = 1 - reward
        L(i) += advice(i, a) loss / p(a)  for every i                               # update

with eta = sqrt(2 ln N / (A T)).

Guarantee: the expected regret against the best expert is at most

    sqrt(2 A T ln N)                               (Lattimore & Szepesvari 2020, Theorem 18.1)

whatever the rewards and the advice: thousands of experts cost little more than a few.

Deviations from the paper: the form is that of the book. The original of 2002 estimates gains and mixes in the
uniform distribution, and has a larger constant. Advice comes from a table, by the context of the round.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array, IntArray
from eluder.tabular.bandits._cycle import cycle

__all__ = ["exp4"]


class State(NamedTuple):
    """Loss estimates and weights of the experts (each of shape (N,)), and the distribution played (A,)."""

    loss: Array
    q: Array
    p: Array


def init(N: int, A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(N), np.full(N, 1 / N), np.full(A, 1 / A))


def exp4(
    bandit: Bandit,
    T: int,
    *,
    advice: ArrayLike,
    contexts: ArrayLike | None = None,
    eta: float | None = None,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of EXP4, with regret against the best expert.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    advice : array_like, shape (N, A) or (C, N, A)
        ``advice[c, i]`` is the distribution over arms that expert i advises in context c.
    contexts : array_like of int, shape (n,), optional
        Context of round t is ``contexts[t % n]``; by default 0, ..., C - 1 in turn, so that a table with
        C = T has the advice of each round.
    eta : float, optional
        Learning rate > 0; by default that of the theorem.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret against the expert that is best in hindsight, at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], advice is not a distribution, a context
        has none, or another argument is outside its range.

    Notes
    -----
    O(N A) time per round; O(N + C A) memory beside the table. The module has `init`, `act` and `update` for
    loops of its own.

    References
    ----------
    .. [1] Auer, Cesa-Bianchi, Freund and Schapire. The nonstochastic multiarmed bandit problem. SIAM Journal
       on Computing 32, 2002, section 7.
    .. [2] Lattimore and Szepesvari. Bandit algorithms. Cambridge, 2020, Theorem 18.1.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> advice = [[0.5, 0.5], [0.1, 0.9]]
    >>> result = exp4(bernoulli_bandit([0.2, 0.8]), 1000, advice=advice, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_unbounded("exp4", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    flat = np.ndim(advice) == 2
    table = checks.distribution("advice", advice, (None, A) if flat else (None, None, A))
    table = table.reshape(-1, *table.shape[-2:])
    C, N = table.shape[:2]
    order = cycle("contexts", np.arange(C) if contexts is None else contexts, 0, C - 1)
    rate = learning_rate(A, T, N) if eta is None else checks.number("eta", eta, 0.0, open_low=True)
    books = ledger(A, T)
    best = np.zeros(books.value.size)
    _exp4(bandit, T, rate, table, order, init(N, A), best, books, checks.generator(rng))
    return BanditResult(books.checkpoints, best - books.value, books.pulls, books.value)


def learning_rate(A: int, T: int, N: int) -> float:
    """Return ``sqrt(2 ln N / (A T))``."""
    return math.sqrt(2 * math.log(N) / (A * T))


def bound(A: int, T: int, advice: ArrayLike) -> float:
    """Return ``sqrt(2 A T ln N)``."""
    return math.sqrt(2 * A * T * math.log(np.shape(advice)[-2]))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="The nonstochastic multiarmed bandit problem",
            authors="Auer, Cesa-Bianchi, Freund, Schapire",
            venue="SIAM Journal on Computing",
            year=2002,
        ),
        setting="adversarial regret",
        statement="expected regret against the best of N experts at most sqrt(2 A T ln N) "
        "(Lattimore & Szepesvari 2020, Theorem 18.1)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def act(state: State, advice: Array, eta: float, rng: np.random.Generator) -> int:
    """Compute the distribution of this round from its advice (N, A), in place, and draw an arm."""
    exponential_weights(state.loss, eta, state.q)
    q, p = state.q, state.p
    p[:] = 0.0
    for i in range(q.size):
        for a in range(p.size):
            p[a] += q[i] * advice[i, a]
    return sample(p, rng)


@kernel
def update(state: State, advice: Array, a: int, loss: float) -> None:
    """Charge each expert its share of the estimate; p is that of the round in which `a` was drawn."""
    estimate = loss / state.p[a]
    for i in range(state.loss.size):
        state.loss[i] += advice[i, a] * estimate


@kernel
def _settle(advice: Array, owed: Array, gain: Array) -> float:
    """Pay the experts what they are owed, in place; return the largest gain."""
    for c in range(owed.shape[0]):
        if owed[c].any():
            for i in range(gain.size):
                for a in range(owed.shape[1]):
                    gain[i] += advice[c, i, a] * owed[c, a]
            owed[c] = 0.0
    return float(gain.max())


@kernel
def _exp4(
    bandit: Bandit,
    T: int,
    eta: float,
    advice: Array,
    contexts: IntArray,
    state: State,
    best: Array,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `state`, `books` and `best`, the value of the best expert at checkpoints, in place."""
    C, N, A = advice.shape
    gain, owed = np.zeros(N), np.zeros((C, A))
    place = 0
    for t in range(T):
        c = contexts[t % contexts.size]

        # act
        a = act(state, advice[c], eta, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        update(state, advice[c], a, 1.0 - reward)

        owed[c] += bandit.means[books.place[1]]  # measurement: means of the arms since the last checkpoint
        if books.place[0] > place:
            best[place] = _settle(advice, owed, gain)
            place += 1
