r"""Optimistic hedge: exponential weights with a guess of the next loss (Rakhlin & Sridharan, NeurIPS 2013).

Pseudo-code (with the last loss as the guess: Syrgkanis et al., NeurIPS 2015), in our names::

    L(a) = hint(a) = 0
    for t = 0, ..., T-1:
        play p(a) = exp(-eta (L(a) + hint(a))) / sum_b exp(-eta (L(b) + hint(b)))   # act
        observe loss(a) = 1 - reward(a) of every arm;  L(a) += loss(a), hint(a) <- loss(a)        # update

with eta = sqrt(ln A / V), where V is a bound on the path length ``sum_t max_a (loss_t(a) - loss_{t-1}(a))^2``
(loss before the first round: 0); V = T always is.

Guarantee: whatever the losses in [0, 1] of path length at most V,

    sum_t <p_t, loss_t> - min_a sum_t loss_t(a)  <=  ln(A) / eta + eta V  =  2 sqrt(V ln A)

surely (Syrgkanis et al., Proposition 7: optimistic FTRL has the RVU property with these two terms).

Deviations from the paper: none. The regret that is kept is that of the distributions p, so that on an
`adversarial_bandit` the bound holds in every run; `pulls` counts arms drawn from them.
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

__all__ = ["optimistic_hedge"]


class State(NamedTuple):
    """Losses plus the hint, the hint, and the distribution of the current round, each of shape (A,)."""

    guess: Array
    hint: Array
    p: Array


def init(A: int) -> State:
    """Return the state before the first round."""
    return State(np.zeros(A), np.zeros(A), np.full(A, 1 / A))


def optimistic_hedge(
    bandit: Bandit,
    T: int,
    *,
    V: float | None = None,
    eta: float | None = None,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of optimistic hedge with full information.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees the rewards of all arms.
    T : int
        Number of rounds.
    V : float, optional
        Bound > 0 on the path length of the losses; by default T.
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
    .. [1] Rakhlin and Sridharan. Optimization, learning, and games with predictable sequences. NeurIPS 2013.
       arXiv:1311.1869
    .. [2] Syrgkanis, Agarwal, Luo and Schapire. Fast convergence of regularized learning in games. NeurIPS
       2015, Proposition 7. arXiv:1507.00407

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(optimistic_hedge(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("optimistic_hedge", bandit)
    T = checks.integer("T", T)
    A = bandit.means.shape[1]
    V = float(T) if V is None else checks.number("V", V, 0.0, open_low=True)
    rate = learning_rate(A, V) if eta is None else checks.number("eta", eta, 0.0, open_low=True)
    books = ledger(A, T)
    _optimistic_hedge(bandit, T, rate, init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def learning_rate(A: int, V: float) -> float:
    """Return ``sqrt(ln A / V)``."""
    return math.sqrt(math.log(A) / V)


def bound(A: int, T: int, V: float | None = None) -> float:
    """Return ``2 sqrt(V ln A)``, with ``V = T`` by default."""
    return 2 * math.sqrt((T if V is None else V) * math.log(A))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Optimization, learning, and games with predictable sequences",
            authors="Rakhlin, Sridharan",
            venue="NeurIPS",
            year=2013,
            arxiv="1311.1869",
        ),
        setting="adversarial regret",
        statement="regret of the distributions at most 2 sqrt(V ln A), surely, V a bound on the path length",
        assumptions="rewards in [0, 1], all seen",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def act(state: State, eta: float) -> None:
    """Compute the distribution of this round, in place."""
    exponential_weights(state.guess, eta, state.p)


@kernel
def update(state: State, losses: Array) -> None:
    """Add the losses of this round, and take them for the next ones."""
    for a in range(losses.size):
        state.guess[a] += 2.0 * losses[a] - state.hint[a]
        state.hint[a] = losses[a]


@kernel
def _optimistic_hedge(
    bandit: Bandit, T: int, eta: float, state: State, books: Ledger, rng: np.random.Generator
) -> None:
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
