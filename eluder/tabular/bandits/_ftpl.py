r"""Follow the perturbed leader (Kalai & Vempala, J. Comput. Syst. Sci. 2005; Neu & Bartok, JMLR 2016).

Pseudo-code, in our names::

    L(a) = 0
    for t = 0, ..., T-1:
        draw noise Z(a) for every arm;  play a = argmax_a  Z(a) - eta L(a)                  # act
        "full":    observe loss(b) of every arm;  L(b) += loss(b)                           # update
        "bandit":  observe loss = 1 - reward
                   n = number of fresh draws of the noise until a leads again, at most `most`
                   L(a) += n loss                                                           # update

n is geometric with mean 1 / p(a): the estimate is that of EXP3, but for a relative bias (1 - p(a))^most, and
no probability has to be computed (geometric resampling, Neu & Bartok 2013). `noise` is "exponential" or
"gumbel"; with Gumbel noise the leader is distributed exactly as in hedge, p(a) ~ exp(-eta L(a)).

Guarantee: the expected regret against the best fixed arm is at most, with the default eta and `most`,

    full, exponential:    2 sqrt(T (ln A + 1))
    full, gumbel:         sqrt(T ln(A) / 2)                              (the distribution is that of hedge)
    bandit, exponential:  3 sqrt(2 A T (ln A + 1))                       (Neu & Bartok 2016, Theorem 1)
    bandit, gumbel:       2 sqrt(A T ln A) + sqrt(2 A T (ln A + 1))

The number of the theorem is from memory; the bounds were derived anew, see Notes of the function.

Deviations from the paper: noise is drawn anew in each round. A draw of the resampling stops at the first arm
that beats `a`.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, observe, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array

__all__ = ["ftpl"]


def ftpl(
    bandit: Bandit,
    T: int,
    *,
    feedback: str = "bandit",
    noise: str = "exponential",
    eta: float | None = None,
    most: int | None = None,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of follow the perturbed leader.

    Parameters
    ----------
    bandit : Bandit
        The problem, with rewards in [0, 1]; the learner sees rewards only.
    T : int
        Number of rounds.
    feedback : str, default="bandit"
        "bandit" (the reward of the arm played) or "full" (the rewards of all arms).
    noise : str, default="exponential"
        "exponential" or "gumbel".
    eta : float, optional
        Learning rate > 0; by default `learning_rate`.
    most : int, optional
        Largest number of draws in the geometric resampling; by default `most_draws`. Not used if all
        rewards are seen.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret of the arms played at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], or an argument is outside its range.

    Notes
    -----
    O(A) time per round with full information. With bandit feedback the mean number of draws is at most A,
    each of at most O(A). O(A) memory.

    The bounds, with ``H = ln A + 1`` at least the mean of the largest of A exponential variables: the leader
    after the round ("be the leader") has regret at most H / eta. An exponential variable has no memory, so
    that a loss x of an arm shrinks its probability by a factor exp(-eta x) at worst; hence the leader before
    the round costs at most ``eta sum_a p(a) loss(a)^2`` more: eta with full information, and, since
    ``E n^2 <= 2 / p^2``, 2 eta A with bandit feedback. The bias costs at most ``A / (e most)`` a round, as
    ``p (1 - p)^n <= 1 / (e n)``. For Gumbel noise the analysis is that of exponential weights.

    References
    ----------
    .. [1] Kalai and Vempala. Efficient algorithms for online decision problems. Journal of Computer and
       System Sciences 71, 2005.
    .. [2] Neu and Bartok. Importance weighting without importance weights: an efficient algorithm for
       combinatorial semi-bandits. JMLR 17, 2016. arXiv:1503.05087

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> int(ftpl(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0)).pulls.argmax())
    1
    """
    refuse_unbounded("ftpl", bandit)
    T = checks.integer("T", T)
    if feedback not in ("bandit", "full"):
        raise ValueError(f"feedback must be 'bandit' or 'full', got {feedback!r}")
    if noise not in ("exponential", "gumbel"):
        raise ValueError(f"noise must be 'exponential' or 'gumbel', got {noise!r}")
    A = bandit.means.shape[1]
    if eta is None:
        eta = learning_rate(A, T, feedback, noise)
    else:
        eta = checks.number("eta", eta, 0.0, open_low=True)
    draws = most_draws(A, T) if most is None else checks.integer("most", most)
    books = ledger(A, T)
    run = _full if feedback == "full" else _bandit
    run(bandit, T, eta, draws, noise == "gumbel", books, checks.generator(rng))
    return bandit_result(bandit, books)


def learning_rate(A: int, T: int, feedback: str, noise: str) -> float:
    """Return the minimiser of the bound: sqrt of ``H / (2 A T), ln A / (A T), H / T, 8 ln A / T``."""
    if feedback == "bandit":
        return math.sqrt((math.log(A) + 1) / (2 * A * T) if noise == "exponential" else math.log(A) / (A * T))
    return math.sqrt((math.log(A) + 1) / T if noise == "exponential" else 8 * math.log(A) / T)


def most_draws(A: int, T: int) -> int:
    """Return ``ceil(sqrt(A T) / (e sqrt(2 (ln A + 1))))``."""
    return math.ceil(math.sqrt(A * T / (2 * (math.log(A) + 1))) / math.e)


def bound_full(A: int, T: int) -> float:
    """Return ``2 sqrt(T (ln A + 1))``."""
    return 2 * math.sqrt(T * (math.log(A) + 1))


def bound_full_gumbel(A: int, T: int) -> float:
    """Return ``sqrt(T ln(A) / 2)``."""
    return math.sqrt(T * math.log(A) / 2)


def bound_bandit(A: int, T: int) -> float:
    """Return ``3 sqrt(2 A T (ln A + 1))``."""
    return 3 * math.sqrt(2 * A * T * (math.log(A) + 1))


def bound_bandit_gumbel(A: int, T: int) -> float:
    """Return ``2 sqrt(A T ln A) + sqrt(2 A T (ln A + 1))``."""
    return 2 * math.sqrt(A * T * math.log(A)) + math.sqrt(2 * A * T * (math.log(A) + 1))


KALAI = Paper(
    title="Efficient algorithms for online decision problems",
    authors="Kalai, Vempala",
    venue="Journal of Computer and System Sciences",
    year=2005,
)
NEU = Paper(
    title="Importance weighting without importance weights: an efficient algorithm for combinatorial "
    "semi-bandits",
    authors="Neu, Bartok",
    venue="JMLR",
    year=2016,
    arxiv="1503.05087",
)
GUARANTEES = tuple(
    Guarantee(
        paper=paper,
        setting="adversarial regret",
        statement=f"expected regret at most {text}",
        assumptions="rewards in [0, 1]" + (", all seen" if feedback == "full" else ""),
        exponent=0.5,
        bound=bound,
        when={"feedback": feedback, "noise": noise},
    )
    for paper, feedback, noise, bound, text in (
        (NEU, "bandit", "exponential", bound_bandit, "3 sqrt(2 A T (ln A + 1))"),
        (NEU, "bandit", "gumbel", bound_bandit_gumbel, "2 sqrt(A T ln A) + sqrt(2 A T (ln A + 1))"),
        (KALAI, "full", "exponential", bound_full, "2 sqrt(T (ln A + 1))"),
        (KALAI, "full", "gumbel", bound_full_gumbel, "sqrt(T ln(A) / 2)"),
    )
)


@kernel
def perturbation(gumbel: bool, rng: np.random.Generator) -> float:
    """Draw the noise of an arm: exponential, or Gumbel as the negative logarithm of an exponential."""
    z = rng.standard_exponential()
    return -math.log(max(z, 1e-300)) if gumbel else z


@kernel
def leader(loss: Array, eta: float, gumbel: bool, rng: np.random.Generator) -> int:
    """Draw noise for all arms; return the leader."""
    best, a = -math.inf, 0
    for b in range(loss.size):
        z = perturbation(gumbel, rng) - eta * loss[b]
        if z > best:
            best, a = z, b
    return a


@kernel
def leads(loss: Array, a: int, eta: float, gumbel: bool, rng: np.random.Generator) -> bool:
    """Draw noise for `a`, then for the others until one beats it; return whether none does."""
    z = perturbation(gumbel, rng) - eta * loss[a]
    b = 0
    while b < loss.size and (b == a or perturbation(gumbel, rng) - eta * loss[b] <= z):
        b += 1
    return b == loss.size


@kernel
def resample(loss: Array, a: int, eta: float, most: int, gumbel: bool, rng: np.random.Generator) -> int:
    """Return the number of draws until `a` leads, at most `most`."""
    n = 1
    while n < most and not leads(loss, a, eta, gumbel, rng):
        n += 1
    return n


@kernel
def _bandit(
    bandit: Bandit, T: int, eta: float, most: int, gumbel: bool, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds with bandit feedback; `books` in place."""
    loss = np.zeros(books.pulls.size)
    for t in range(T):
        # act
        a = leader(loss, eta, gumbel, rng)
        reward = play(bandit, books, t, a, rng)

        # update
        if reward < 1.0:
            loss[a] += resample(loss, a, eta, most, gumbel, rng) * (1.0 - reward)


@kernel
def _full(
    bandit: Bandit, T: int, eta: float, most: int, gumbel: bool, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds in which all rewards are seen; `books` in place."""
    loss, rewards = np.zeros(books.pulls.size), np.zeros(books.pulls.size)
    for t in range(T):
        # act
        a = leader(loss, eta, gumbel, rng)
        observe(bandit, books, t, a, rewards, rng)

        # update
        for b in range(loss.size):
            loss[b] += 1.0 - rewards[b]
