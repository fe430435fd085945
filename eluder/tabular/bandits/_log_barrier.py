r"""FTRL with the log-barrier (Foster, Li, Lykouris, Sridharan & Tardos, NeurIPS 2016).

Pseudo-code (the basic form: fixed rate, no optimism), in our names::

    L(a) = 0
    for t = 0, ..., T-1:
        p = argmin_p <p, L> + (1 / eta) sum_a ln(1 / p(a)):
            p(a) = 1 / (eta (L(a) - x)),  with x such that p sums to 1              # Newton's method
        draw a from p                                                               # act
        observe loss = 1 - reward;  L(a) += loss / p(a)                             # update

with eta = sqrt(2 (A - 1) ln T / T).

Guarantee: the expected regret against the best fixed arm is at most

    sqrt(2 (A - 1) T ln T) + 1

by the standard analysis of FTRL with this barrier. Against u = (1 - 1/T) e + 1/(A T), e the best arm, it pays
(A - 1) ln(T) / eta for the barrier, 1 for the distance of u from e, and in each round at most the largest
value of ``<p - q, c> - D(q, p) / eta`` over q > 0; c has the one entry loss / p(a), and this is
``(z - ln(1 + z)) / eta <= eta / 2`` with ``z = eta loss``.

Deviations from the paper: theirs (and that of Wei & Luo, COLT 2018) has an adaptive rate and a bound by the
loss of the best arm; this is the form with a fixed rate, and the constants are derived above.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.simplex import log_barrier_step
from eluder.core.types import Array

__all__ = ["log_barrier"]


class State(NamedTuple):
    """Loss estimates, the distribution of the current round (each of shape (A,)), and the normaliser (1,)."""

    loss: Array
    p: Array
    y: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(A), np.full(A, 1 / A), np.zeros(1))


def log_barrier(
    bandit: Bandit, T: int, *, eta: float | None = None, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of FTRL with the log-barrier.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    eta : float, optional
        Learning rate in (0, 1e6]; by default that of the bound.
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
    O(A) time per round for each step of Newton's method, O(A) memory. The module has `init`, `act` and
    `update` for loops of its own.

    References
    ----------
    .. [1] Foster, Li, Lykouris, Sridharan and Tardos. Learning in games: robustness of fast convergence.
       NeurIPS 2016. arXiv:1606.06244
    .. [2] Wei and Luo. More adaptive algorithms for adversarial bandits. COLT 2018. arXiv:1801.03265

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(log_barrier(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("log_barrier", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    rate = learning_rate(A, T) if eta is None else checks.number("eta", eta, 0.0, 1e6, open_low=True)
    books = ledger(A, T)
    _log_barrier(bandit, T, rate, init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def learning_rate(A: int, T: int) -> float:
    """Return ``sqrt(2 (A - 1) ln T / T)``; 1 where that is 0 (one arm or one round)."""
    return math.sqrt(2 * (A - 1) * math.log(T) / T) if A > 1 and T > 1 else 1.0


def bound(A: int, T: int) -> float:
    """Return ``sqrt(2 (A - 1) T ln T) + 1``."""
    return math.sqrt(2 * (A - 1) * T * math.log(T)) + 1


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Learning in games: robustness of fast convergence",
            authors="Foster, Li, Lykouris, Sridharan, Tardos",
            venue="NeurIPS",
            year=2016,
            arxiv="1606.06244",
        ),
        setting="adversarial regret",
        statement="expected regret at most sqrt(2 (A - 1) T ln T) + 1 (fixed rate; derived in the module)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def act(state: State, eta: float, rng: np.random.Generator) -> int:
    """Compute the distribution of this round, in place, and draw an arm."""
    state.y[0] = log_barrier_step(state.loss, eta, state.y[0], state.p)
    return sample(state.p, rng)


@kernel
def update(state: State, a: int, loss: float) -> None:
    """Add the estimate ``loss / p(a)`` to L(a); p is that of the round in which `a` was drawn."""
    state.loss[a] += loss / state.p[a]


@kernel
def _log_barrier(
    bandit: Bandit, T: int, eta: float, state: State, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `state` and `books` in place."""
    for t in range(T):
        # act
        a = act(state, eta, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        update(state, a, 1.0 - reward)
