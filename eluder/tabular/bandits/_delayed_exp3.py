r"""EXP3 with delayed feedback (Cesa-Bianchi et al., JMLR 2019; Thune, Cesa-Bianchi & Seldin, NeurIPS 2019).

Pseudo-code (DEW, algorithm 1 of Thune et al.), in our names::

    L(a) = 0
    for t = 0, ..., T-1:
        p_t(a) = exp(-eta L(a)) / sum_b exp(-eta L(b))
        draw a_t from p_t                                                           # act
        for each round s with s + delays(s) = t:                                    # its feedback arrives
            observe loss = 1 - reward of round s
            L(a_s) += loss / p_s(a_s)                                               # update

with eta = sqrt(ln A / (A T + D)), D the sum of all delays, of which parts after round T - 1 do not count.

Guarantee: the expected regret against the best fixed arm is at most

    2 sqrt((A T + D) ln A)

for delays and rewards that do not depend on the learner's draws. (Rate: Thune et al. 2019, Theorem 1; this
constant was derived anew, see Notes of the function.)

Deviations from the paper: eta has no upper limit by the largest delay, which the derivation does not need.
Rounds with very large delays are not skipped.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array, IntArray
from eluder.tabular.bandits._cycle import cycle
from eluder.tabular.bandits._sum_tree import Weights, add_loss, find, probability, uniform_weights

__all__ = ["delayed_exp3"]


class Pending(NamedTuple):
    """Feedback under way, in rings whose size n exceeds the largest delay.

    Attributes
    ----------
    first : ndarray of int, shape (n,)
        The last round whose feedback arrives in round t, at t mod n; -1 if there is none.
    after : ndarray of int, shape (n,)
        Of round s, at s mod n: another round whose feedback arrives with it, or -1.
    arm : ndarray of int, shape (n,)
        The arm of round s, at s mod n.
    estimate : ndarray, shape (n,)
        ``loss / p_s(a_s)`` of round s, at s mod n.
    """

    first: IntArray
    after: IntArray
    arm: IntArray
    estimate: Array


def delayed_exp3(
    bandit: Bandit, T: int, *, delays: ArrayLike, eta: float | None = None, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of EXP3 with feedback that arrives later.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    delays : int or array_like of int, shape (n,)
        Rounds between a play and its feedback, >= 0: the reward of round t is seen after the play of round
        ``t + delays[t % n]``; never if that is T or later. 0 is the usual bandit.
    eta : float, optional
        Learning rate > 0; by default that of the theorem.
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
    O(log A) time per round, O(A + largest delay) memory.

    The bound: order the rounds by arrival. Who played the weights that hold after each arrival would have a
    regret of at most ln(A) / eta. As estimates x are not negative, an arrival lowers a weight by a factor of
    exp(-eta x(a)) at worst, so that p(a) of round s exceeds what holds after its own arrival by at most
    ``eta p(a) sum x(a)`` over the arrivals since it was played. Times the estimate of round s this has a mean
    of at most eta A for its own x, and of eta for each other x, which is drawn independently of it given the
    past of both. At most D pairs of rounds overlap. In sum, ``ln(A) / eta + eta (A T + D)``.

    References
    ----------
    .. [1] Thune, Cesa-Bianchi and Seldin. Nonstochastic multiarmed bandits with unrestricted delays. NeurIPS
       2019, Theorem 1. arXiv:1906.00670
    .. [2] Cesa-Bianchi, Gentile and Mansour. Delay and cooperation in nonstochastic bandits. JMLR 20, 2019.
       arXiv:1602.04741

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = delayed_exp3(bernoulli_bandit([0.2, 0.8]), 1000, delays=20, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_unbounded("delayed_exp3", bandit)
    T = checks.integer("T", T)
    wait = cycle("delays", delays, 0, 2**53)
    A = bandit.means.shape[1]
    if eta is None:
        eta = learning_rate(A, T, total_delay(wait, T))
    else:
        eta = checks.number("eta", eta, 0.0, open_low=True)
    n = 1 + int(min(wait.max(), T - 1))
    pending = Pending(np.full(n, -1), np.full(n, -1), np.zeros(n, np.int64), np.zeros(n))
    books = ledger(A, T)
    _delayed_exp3(bandit, T, wait, eta, uniform_weights(A), pending, books, checks.generator(rng))
    return bandit_result(bandit, books)


def total_delay(delays: IntArray, T: int) -> int:
    """Return D, the sum of ``min(delays[t % n], T - 1 - t)`` over the rounds."""
    n, total = delays.size, 0
    for j, delay in enumerate(delays[:T].tolist()):  # the rounds j, j + n, ...
        rounds = (T - 1 - j) // n + 1
        whole = max(0, (T - 1 - delay - j) // n + 1)  # of these, seen in full
        cut = (rounds - whole) * (T - 1 - j) - n * (rounds * (rounds - 1) - whole * (whole - 1)) // 2
        total += whole * delay + cut
    return total


def learning_rate(A: int, T: int, D: int) -> float:
    """Return ``sqrt(ln A / (A T + D))``."""
    return math.sqrt(math.log(A) / (A * T + D))


def bound(A: int, T: int, delays: ArrayLike) -> float:
    """Return ``2 sqrt((A T + D) ln A)``."""
    D = total_delay(cycle("delays", delays, 0, 2**53), int(T))
    return 2 * math.sqrt((A * T + D) * math.log(A))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Nonstochastic multiarmed bandits with unrestricted delays",
            authors="Thune, Cesa-Bianchi, Seldin",
            venue="NeurIPS",
            year=2019,
            arxiv="1906.00670",
        ),
        setting="adversarial regret",
        statement="expected regret at most 2 sqrt((A T + D) ln A), D the sum of delays (rate of Theorem 1)",
        assumptions="rewards in [0, 1]; rewards and delays do not depend on the draws",
        exponent=0.5,
        bound=bound,
    ),
)


@kernel
def send(pending: Pending, t: int, delay: int, a: int, estimate: float) -> None:
    """Put the feedback of round t under way, in place; `delay` is at most the ring's."""
    n = pending.first.size
    at, s = (t + delay) % n, t % n
    pending.after[s] = pending.first[at]
    pending.first[at] = s
    pending.arm[s] = a
    pending.estimate[s] = estimate


@kernel
def receive(pending: Pending, t: int, weights: Weights, eta: float) -> None:
    """Add all estimates that arrive in round t to the losses; both in place."""
    at = t % pending.first.size
    s = pending.first[at]
    while s >= 0:
        add_loss(weights, pending.arm[s], pending.estimate[s], eta)
        s = pending.after[s]
    pending.first[at] = -1


@kernel
def _delayed_exp3(
    bandit: Bandit,
    T: int,
    delays: IntArray,
    eta: float,
    weights: Weights,
    pending: Pending,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `weights`, `pending` and `books` in place."""
    for t in range(T):
        # act
        a = find(weights, rng.random())
        p = probability(weights, a)
        loss = 1.0 - play(bandit, books, t, a, rng)
        delay = delays[t % delays.size]
        if t + delay < T:
            send(pending, t, delay, a, loss / p)

        # update
        receive(pending, t, weights, eta)
