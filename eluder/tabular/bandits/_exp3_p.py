r"""EXP3.P: biased estimates for a bound in high probability (Auer et al., SIAM J. Computing 2002).

Pseudo-code (Bubeck & Cesa-Bianchi 2012, section 3.2), in our names::

    G(a) = 0
    for t = 0, ..., T-1:
        p(a) = (1 - gamma) exp(eta G(a)) / sum_b exp(eta G(b)) + gamma / A
        draw a from p                                                               # act
        observe a reward;  G(b) += (reward 1{b = a} + beta) / p(b)  for every b     # update

with beta = sqrt(ln(A / delta) / (A T)), eta = 0.95 sqrt(ln A / (A T)), gamma = 1.05 sqrt(A ln A / T).

Guarantee: with probability at least 1 - delta the regret against the best fixed arm is at most

    5.15 sqrt(A T ln(A / delta))           (Bubeck & Cesa-Bianchi 2012, Theorem 3.2)

Deviations from the paper: none, but for gamma (and beta) being cut at 1 where T is so small that the bound is
above T.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import BanditResult
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array

__all__ = ["exp3_p"]


class State(NamedTuple):
    """Losses ``-G`` and the distribution of the current round, each of shape (A,)."""

    loss: Array
    p: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(A), np.full(A, 1 / A))


def exp3_p(bandit: Bandit, T: int, *, delta: float = 0.05, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of EXP3.P.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    delta : float, default=0.05
        Probability with which the bound may fail.
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
    O(A) time per round (the bias changes every weight), O(A) memory. The module has `init`, `act` and
    `update` for loops of its own.

    References
    ----------
    .. [1] Auer, Cesa-Bianchi, Freund and Schapire. The nonstochastic multiarmed bandit problem. SIAM Journal
       on Computing 32, 2002, section 6.
    .. [2] Bubeck and Cesa-Bianchi. Regret analysis of stochastic and nonstochastic multi-armed bandit
       problems. Foundations and Trends in Machine Learning 5, 2012, Theorem 3.2. arXiv:1204.5721

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(exp3_p(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("exp3_p", bandit)
    T = checks.integer("T", T)
    delta = checks.failure_probability("delta", delta)
    A = bandit.means.shape[1]
    beta, eta, gamma = bias(A, T, delta), learning_rate(A, T), mixing_rate(A, T)
    books = ledger(A, T)
    _exp3_p(bandit, T, eta, gamma, beta, init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def bias(A: int, T: int, delta: float) -> float:
    """Return ``min(1, sqrt(ln(A / delta) / (A T)))``."""
    return min(1.0, math.sqrt(math.log(A / delta) / (A * T)))


def learning_rate(A: int, T: int) -> float:
    """Return ``0.95 sqrt(ln A / (A T))``."""
    return 0.95 * math.sqrt(math.log(A) / (A * T))


def mixing_rate(A: int, T: int) -> float:
    """Return ``min(1, 1.05 sqrt(A ln A / T))``."""
    return min(1.0, 1.05 * math.sqrt(A * math.log(A) / T))


def bound(A: int, T: int, delta: float) -> float:
    """Return ``5.15 sqrt(A T ln(A / delta))``."""
    return 5.15 * math.sqrt(A * T * math.log(A / delta))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Regret analysis of stochastic and nonstochastic multi-armed bandit problems",
            authors="Bubeck, Cesa-Bianchi",
            venue="Foundations and Trends in Machine Learning",
            year=2012,
            arxiv="1204.5721",
        ),
        setting="adversarial regret",
        statement="with probability at least 1 - delta, regret at most 5.15 sqrt(A T ln(A / delta)) "
        "(Theorem 3.2)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def act(state: State, eta: float, gamma: float, rng: np.random.Generator) -> int:
    """Compute the distribution of this round, in place, and draw an arm."""
    p = state.p
    exponential_weights(state.loss, eta, p)
    for a in range(p.size):
        p[a] = (1.0 - gamma) * p[a] + gamma / p.size
    return sample(p, rng)


@kernel
def update(state: State, a: int, loss: float, beta: float) -> None:
    """Take ``((1 - loss) 1{b = a} + beta) / p(b)`` from the loss of every arm b."""
    p = state.p
    for b in range(p.size):
        state.loss[b] -= beta / p[b]
    state.loss[a] -= (1.0 - loss) / p[a]


@kernel
def _exp3_p(
    bandit: Bandit,
    T: int,
    eta: float,
    gamma: float,
    beta: float,
    state: State,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `state` and `books` in place."""
    for t in range(T):
        # act
        a = act(state, eta, gamma, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        update(state, a, 1.0 - reward, beta)
