r"""Tsallis-INF: one learner for stochastic and adversarial bandits (Zimmert & Seldin, JMLR 2021).

Pseudo-code (algorithm 1 with alpha = 1/2), in our names::

    L(a) = 0
    for t = 1, ..., T:
        p(a) = 4 / (eta (L(a) - x))^2,  with x such that p sums to 1                # Newton's method
        draw a from p                                                               # act
        observe loss = 1 - reward
        L(b) += B(b) + 1{b = a} (loss - B(b)) / p(b)  for every b                   # update

`estimator` "plain" (importance weighting) has B = 0 and eta = 2 / sqrt(t); "reduced" (reduced variance) has
B(b) = 1/2 where p(b) >= eta^2, else 0, and eta = 4 / sqrt(t).

Guarantee: the expected regret against the best fixed arm is, for every T, without knowing it, at most

    plain:    4 sqrt(A T) + 1
    reduced:  2 sqrt(A T) + 10 A ln T + 16                 (Theorem 1; constants of "reduced" from memory)

and O(sum_a ln(T) / gap_a) on stochastic bandits with one best arm, and where only the gaps are fixed.

Deviations from the paper: none. Newton's method solves a concave equation in the norm of the weights, so that
it is safe from any start, and begins at the last round's x.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.simplex import tsallis_step
from eluder.core.types import Array

__all__ = ["tsallis_inf"]


class State(NamedTuple):
    """Loss estimates, the distribution of the current round (each of shape (A,)), and the normaliser (1,)."""

    loss: Array
    p: Array
    y: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(A), np.full(A, 1 / A), np.zeros(1))


def tsallis_inf(
    bandit: Bandit, T: int, *, estimator: str = "plain", rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of Tsallis-INF.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds; the learner does not use it.
    estimator : str, default="plain"
        "plain" (importance weighting) or "reduced" (reduced variance).
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], or an argument is outside its range.

    Notes
    -----
    O(A) time per round for each of two or three steps of Newton's method, O(A) memory. The module has `init`,
    `act` and `update` for loops of its own.

    References
    ----------
    .. [1] Zimmert and Seldin. Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits. JMLR
       22, 2021, Theorem 1. arXiv:1807.07623

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(tsallis_inf(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("tsallis_inf", bandit)
    T = checks.integer("T", T)
    if estimator not in ("plain", "reduced"):
        raise ValueError(f"estimator must be 'plain' or 'reduced', got {estimator!r}")
    A = bandit.means.shape[1]
    books = ledger(A, T)
    _tsallis_inf(bandit, T, estimator == "reduced", init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def bound(A: int, T: int) -> float:
    """Return ``4 sqrt(A T) + 1``."""
    return 4 * math.sqrt(A * T) + 1


PAPER = Paper(
    title="Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits",
    authors="Zimmert, Seldin",
    venue="JMLR",
    year=2021,
    arxiv="1807.07623",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="adversarial regret",
        statement="expected regret at most 4 sqrt(A T) + 1, any T (Theorem 1)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
        when={"estimator": "plain"},
    ),
    Guarantee(
        paper=PAPER,
        setting="adversarial regret",
        statement="expected regret at most 2 sqrt(A T) + 10 A ln T + 16, any T "
        "(Theorem 1; constants not confirmed)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        when={"estimator": "reduced"},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O(sum_a ln(T) / gap_a)",
        assumptions="rewards in [0, 1], fixed gaps, one best arm",
        exponent=0.0,
    ),
)


@kernel
def learning_rate(t: int, reduced: bool) -> float:
    """Return ``2 / sqrt(t)`` for plain estimates, ``4 / sqrt(t)`` for those of reduced variance; t from 1."""
    return (4.0 if reduced else 2.0) / math.sqrt(t)


@kernel
def baseline(p: float, eta: float, reduced: bool) -> float:
    """Return B, what the estimate takes every loss to be: 1/2 where ``p >= eta^2``, 0 elsewhere."""
    return 0.5 if reduced and p >= eta * eta else 0.0


@kernel
def act(state: State, eta: float, rng: np.random.Generator) -> int:
    """Compute the distribution of this round, in place, and draw an arm."""
    state.y[0] = tsallis_step(state.loss, eta, state.y[0], state.p)
    return sample(state.p, rng)


@kernel
def update(state: State, a: int, loss: float, eta: float, reduced: bool) -> None:
    """Add the estimates to the losses; p is that of the round in which `a` was drawn."""
    p = state.p
    b_a = baseline(p[a], eta, reduced)
    if reduced:
        for b in range(p.size):
            state.loss[b] += baseline(p[b], eta, reduced)
    state.loss[a] += (loss - b_a) / p[a]


@kernel
def _tsallis_inf(
    bandit: Bandit, T: int, reduced: bool, state: State, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `state` and `books` in place."""
    for t in range(T):
        eta = learning_rate(t + 1, reduced)

        # act
        a = act(state, eta, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        update(state, a, 1.0 - reward, eta, reduced)
