r"""EXP3-IX: implicit exploration (Neu, NeurIPS 2015).

Pseudo-code (algorithm 1), in our names::

    L(a) = 0
    for t = 0, ..., T-1:
        draw a from p(a) = exp(-eta L(a)) / sum_b exp(-eta L(b))                    # act
        observe loss = 1 - reward;  L(a) += loss / (p(a) + gamma)                   # update

with eta = sqrt(2 ln A / (A T)) and gamma = eta / 2.

Guarantee: with probability at least 1 - delta the regret against the best fixed arm is at most

    2 sqrt(2 A T ln A) + (sqrt(2 A T / ln A) + 1) ln(2 / delta)                     (Theorem 1)

Deviations from the paper: none in the law. Only the weight of the arm played changes, so weights are kept in
a tree of sums: a round costs O(log A). delta is no argument: the same run has the guarantee for every delta.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.tabular.bandits._sum_tree import Weights, add_loss, find, probability, uniform_weights

__all__ = ["exp3_ix"]

State = Weights
init = uniform_weights  # init(A) -> State


def exp3_ix(
    bandit: Bandit,
    T: int,
    *,
    eta: float | None = None,
    gamma: float | None = None,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of EXP3-IX.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    eta : float, optional
        Learning rate > 0; by default that of the theorem.
    gamma : float, optional
        Implicit exploration, at least 0; by default half of `eta`.
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
    O(log A) time per round, O(A) memory. The module has `init`, `act` and `update` for loops of its own.

    References
    ----------
    .. [1] Neu. Explore no more: improved high-probability regret bounds for non-stochastic bandits. NeurIPS
       2015, Theorem 1. arXiv:1506.03271

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(exp3_ix(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("exp3_ix", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    rate = learning_rate(A, T) if eta is None else checks.number("eta", eta, 0.0, open_low=True)
    bias = implicit_exploration(rate) if gamma is None else checks.number("gamma", gamma, 0.0)
    books = ledger(A, T)
    _exp3_ix(bandit, T, rate, bias, init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def learning_rate(A: int, T: int) -> float:
    """Return ``sqrt(2 ln A / (A T))``."""
    return math.sqrt(2 * math.log(A) / (A * T))


def implicit_exploration(eta: float) -> float:
    """Return ``eta / 2``."""
    return eta / 2


def bound(A: int, T: int, delta: float) -> float:
    """Return the bound of Theorem 1; 0 with one arm."""
    if A == 1:
        return 0.0
    scale, log = math.sqrt(2 * A * T), math.log(A)
    return 2 * scale * math.sqrt(log) + (scale / math.sqrt(log) + 1) * math.log(2 / delta)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Explore no more: improved high-probability regret bounds for non-stochastic bandits",
            authors="Neu",
            venue="NeurIPS",
            year=2015,
            arxiv="1506.03271",
        ),
        setting="adversarial regret",
        statement="with probability at least 1 - delta, regret at most "
        "2 sqrt(2 A T ln A) + (sqrt(2 A T / ln A) + 1) ln(2 / delta) (Theorem 1)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def act(state: State, rng: np.random.Generator) -> int:
    """Draw an arm: one uniform number."""
    return find(state, rng.random())


@kernel
def update(state: State, a: int, loss: float, eta: float, gamma: float) -> None:
    """Add the estimate ``loss / (p(a) + gamma)`` to L(a); p is that of the round in which `a` was drawn."""
    add_loss(state, a, loss / (probability(state, a) + gamma), eta)


@kernel
def _exp3_ix(
    bandit: Bandit, T: int, eta: float, gamma: float, state: State, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `state` and `books` in place."""
    for t in range(T):
        # act
        a = act(state, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        update(state, a, 1.0 - reward, eta, gamma)
