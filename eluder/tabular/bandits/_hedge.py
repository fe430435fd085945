r"""Hedge: exponential weights when all losses are seen (Freund & Schapire, J. Comput. Syst. Sci. 1997).

Pseudo-code, in our names::

    L(a) = 0
    for t = 0, ..., T-1:
        play p(a) = exp(-eta L(a)) / sum_b exp(-eta L(b))                           # act
        observe loss(a) = 1 - reward(a) of every arm;  L(a) += loss(a)              # update

with eta = sqrt(8 ln A / T).

Guarantee: whatever the losses in [0, 1],

    sum_t <p_t, loss_t> - min_a sum_t loss_t(a)  <=  ln(A) / eta + eta T / 8  =  sqrt(T ln(A) / 2)

surely, not in the mean only (Cesa-Bianchi & Lugosi 2006, Theorem 2.2).

Deviations from the paper: the learning rate and the constant are those of Cesa-Bianchi & Lugosi; those of
1997 are larger. The regret that is kept is that of the distributions p, so that on an `adversarial_bandit`
the bound holds in every run; `pulls` counts arms drawn from them.
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array
from eluder.tabular.bandits._simplex import observe_all

__all__ = ["hedge"]


class State(NamedTuple):
    """Cumulative losses and the distribution of the current round, each of shape (A,)."""

    loss: Array
    p: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(A), np.full(A, 1 / A))


def hedge(bandit: Bandit, T: int, *, eta: float | None = None, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of hedge with full information.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees the rewards of all arms.
    T : int
        Number of rounds.
    eta : float, optional
        Learning rate > 0; by default that of the theorem.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret of the distributions played, at log-spaced checkpoints; pulls of arms drawn from them.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], or an argument is outside its range.

    Notes
    -----
    O(A) time per round, O(A) memory. The module has `init`, `act` and `update` for loops of its own.

    References
    ----------
    .. [1] Freund and Schapire. A decision-theoretic generalization of on-line learning and an application to
       boosting. Journal of Computer and System Sciences 55, 1997.
    .. [2] Cesa-Bianchi and Lugosi. Prediction, learning, and games. Cambridge, 2006, Theorem 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(hedge(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("hedge", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    rate = learning_rate(A, T) if eta is None else checks.number("eta", eta, 0.0, open_low=True)
    books = ledger(A, T)
    _hedge(bandit, T, rate, init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def learning_rate(A: int, T: int) -> float:
    """Return ``sqrt(8 ln A / T)``."""
    return math.sqrt(8 * math.log(A) / T)


def bound(A: int, T: int) -> float:
    """Return ``sqrt(T ln(A) / 2)``."""
    return math.sqrt(T * math.log(A) / 2)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="A decision-theoretic generalization of on-line learning and an application to boosting",
            authors="Freund, Schapire",
            venue="Journal of Computer and System Sciences",
            year=1997,
        ),
        setting="adversarial regret",
        statement="regret of the distributions at most sqrt(T ln(A) / 2), surely",
        assumptions="rewards in [0, 1], all seen",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def act(state: State, eta: float) -> None:
    """Compute the distribution of this round, in place."""
    exponential_weights(state.loss, eta, state.p)


@kernel
def update(state: State, losses: Array) -> None:
    """Add the losses of this round."""
    for a in range(losses.size):
        state.loss[a] += losses[a]


@kernel
def _hedge(bandit: Bandit, T: int, eta: float, state: State, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `state` and `books` in place."""
    losses = np.empty(state.p.size)
    for t in range(T):
        # act
        act(state, eta)
        observe_all(bandit, books, t, state.p, losses, rng)

        # update
        for a in range(losses.size):
            losses[a] = 1.0 - losses[a]
        update(state, losses)
