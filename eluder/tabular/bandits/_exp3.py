r"""EXP3: exponential weights on estimated losses (Auer et al., SIAM J. Computing 2002).

Pseudo-code (Bubeck & Cesa-Bianchi 2012, section 3.1), in our names::

    L(a) = 0
    for t = 0, ..., T-1:
        p(a) = (1 - gamma) exp(-eta L(a)) / sum_b exp(-eta L(b)) + gamma / A
        draw a from p                                                               # act
        observe loss = 1 - reward;  L(a) += loss / p(a)                             # update

`form` "losses" has gamma = 0, eta = sqrt(2 ln A / (A T)). `form` "gains" is the original of 2002: the last
line is L(a) -= reward / p(a), with gamma = min(1, sqrt(A ln A / ((e - 1) T))) and eta = gamma / A.

Guarantee: the expected regret against the best fixed arm is at most

    losses:  sqrt(2 A T ln A)                      (Bubeck & Cesa-Bianchi 2012, Theorem 3.1)
    gains:   2 sqrt(e - 1) sqrt(A T ln A)          (Auer et al. 2002, Corollary 3.2 with g = T)

Deviations from the paper: none in the law. Only the weight of the arm played changes, so weights are kept in
a tree of sums: a round costs O(log A).
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.tabular.bandits._sum_tree import Weights, add_loss, find, probability, uniform_weights

__all__ = ["exp3"]

State = Weights
init = uniform_weights  # init(A) -> State


def exp3(
    bandit: Bandit,
    T: int,
    *,
    form: str = "losses",
    eta: float | None = None,
    gamma: float | None = None,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of EXP3.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    form : str, default="losses"
        "losses" (without mixing) or "gains" (the original).
    eta : float, optional
        Learning rate > 0; by default that of the theorem.
    gamma : float, optional
        Share in [0, 1] of rounds that draw an arm uniformly; by default that of the theorem.
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
    .. [1] Auer, Cesa-Bianchi, Freund and Schapire. The nonstochastic multiarmed bandit problem. SIAM Journal
       on Computing 32, 2002, Corollary 3.2.
    .. [2] Bubeck and Cesa-Bianchi. Regret analysis of stochastic and nonstochastic multi-armed bandit
       problems. Foundations and Trends in Machine Learning 5, 2012, Theorem 3.1. arXiv:1204.5721

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(exp3(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("exp3", bandit)
    T = checks.integer("T", T)
    if form not in ("losses", "gains"):
        raise ValueError(f"form must be 'losses' or 'gains', got {form!r}")
    A, gains = bandit.means.shape[1], form == "gains"
    mixing = mixing_rate(A, T) if gains else 0.0
    if gamma is not None:
        mixing = checks.number("gamma", gamma, 0.0, 1.0)
    rate = (mixing / A if gains else learning_rate(A, T)) if eta is None else eta
    rate = checks.number("eta", rate, 0.0, open_low=eta is not None)
    books = ledger(A, T)
    _exp3(bandit, T, rate, mixing, gains, init(A), books, checks.generator(rng))
    return bandit_result(bandit, books)


def learning_rate(A: int, T: int) -> float:
    """Return ``sqrt(2 ln A / (A T))``."""
    return math.sqrt(2 * math.log(A) / (A * T))


def mixing_rate(A: int, T: int) -> float:
    """Return ``min(1, sqrt(A ln A / ((e - 1) T)))``."""
    return min(1.0, math.sqrt(A * math.log(A) / ((math.e - 1) * T)))


def bound(A: int, T: int) -> float:
    """Return ``sqrt(2 A T ln A)``."""
    return math.sqrt(2 * A * T * math.log(A))


def bound_of_gains(A: int, T: int) -> float:
    """Return ``2 sqrt(e - 1) sqrt(A T ln A)``."""
    return 2 * math.sqrt((math.e - 1) * A * T * math.log(A))


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
        statement="expected regret at most sqrt(2 A T ln A) (Theorem 3.1)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound,
        when={"form": "losses"},
    ),
    Guarantee(
        paper=Paper(
            title="The nonstochastic multiarmed bandit problem",
            authors="Auer, Cesa-Bianchi, Freund, Schapire",
            venue="SIAM Journal on Computing",
            year=2002,
        ),
        setting="adversarial regret",
        statement="expected regret at most 2 sqrt(e - 1) sqrt(A T ln A) (Corollary 3.2)",
        assumptions="rewards in [0, 1]",
        exponent=0.5,
        bound=bound_of_gains,
        when={"form": "gains"},
    ),
)


@kernel
def act(state: State, gamma: float, rng: np.random.Generator) -> int:
    """Draw an arm: one uniform number."""
    u = rng.random()
    if u < gamma:
        A = state.loss.size
        return min(int(u / gamma * A), A - 1)
    return find(state, (u - gamma) / (1.0 - gamma)) if gamma > 0.0 else find(state, u)


@kernel
def update(state: State, a: int, loss: float, eta: float, gamma: float) -> None:
    """Add the estimate ``loss / p(a)`` to L(a); p is that of the round in which `a` was drawn."""
    p = (1.0 - gamma) * probability(state, a) + gamma / state.loss.size
    add_loss(state, a, loss / p, eta)


@kernel
def _exp3(
    bandit: Bandit,
    T: int,
    eta: float,
    gamma: float,
    gains: bool,
    state: State,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `state` and `books` in place."""
    for t in range(T):
        # act
        a = act(state, gamma, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        update(state, a, -reward if gains else 1.0 - reward, eta, gamma)
