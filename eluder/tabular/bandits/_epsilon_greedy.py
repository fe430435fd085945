r"""Epsilon-greedy: the best mean, sometimes any arm (Auer, Cesa-Bianchi & Fischer, Machine Learning 2002).

Pseudo-code (figure 3), in our names::

    for t = 0, ..., T-1:
        eps = epsilon, or min(1, rate A / (gap^2 (t + 1))) if a gap is given
        with probability eps play any arm, each as likely; else a = argmax_a mean(a)        # act
        observe a reward;  n(a) += 1, mean(a) <- mean of its rewards                         # update

Guarantee: with rewards in [0, 1], 0 < gap <= the smallest gap and rate > 5, an arm is wrongly played in
round t with probability at most ``rate / (gap^2 t) + o(1 / t)`` (Theorem 3, from memory): the regret is
O(log T). With a constant epsilon it grows linearly, by epsilon times the mean gap a round at least.

Deviations from the paper: none. A greedy round takes arms that were never played first.
"""

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.tabular.bandits._tournament import replace, tournament

__all__ = ["epsilon_greedy"]


def epsilon_greedy(
    bandit: Bandit,
    T: int,
    *,
    epsilon: float = 0.1,
    gap: float | None = None,
    rate: float = 6.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of epsilon-greedy.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    epsilon : float, default=0.1
        Probability of a round that explores; not used if a gap is given.
    gap : float, optional
        A number in (0, 1], at most the smallest gap: the probability decays as ``rate A / (gap^2 t)``.
    rate : float, default=6.0
        See `gap`; the theorem has rate > 5.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit, `T` < 1, `epsilon` is not in [0, 1], `gap` is not in (0, 1], `rate` is
        negative, or `rng` is not a Generator.

    Notes
    -----
    O(log A) time and one random number per round; O(A) memory.

    References
    ----------
    .. [1] Auer, Cesa-Bianchi and Fischer. Finite-time analysis of the multiarmed bandit problem. Machine
       Learning 47, 2002, Theorem 3.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = epsilon_greedy(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    epsilon = checks.number("epsilon", epsilon, 0.0, 1.0)
    rate = checks.number("rate", rate, 0.0)
    decay = 0.0
    if gap is not None:
        gap = checks.number("gap", gap, 0.0, 1.0, open_low=True)
        decay = rate * bandit.means.shape[1] / gap / gap  # infinite if gap^2 underflows
    books = ledger(bandit.means.shape[1], T)
    _epsilon_greedy(bandit, T, epsilon, gap is not None, decay, books, checks.generator(rng))
    return bandit_result(bandit, books)


PAPER = Paper(
    title="Finite-time analysis of the multiarmed bandit problem",
    authors="Auer, Cesa-Bianchi, Fischer",
    venue="Machine Learning",
    year=2002,
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="baseline",
        statement="a constant epsilon has linear regret: epsilon times the mean gap a round at least",
        assumptions="independent rewards",
        exponent=1.0,
        when={"gap": None},
    ),
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O(A ln(T) / gap^2) with rate > 5 (Theorem 3)",
        assumptions="independent rewards in [0, 1]; gap at most the smallest gap",
        exponent=0.0,
    ),
)


@kernel
def exploration(t: int, decay: float) -> float:
    """Return ``min(1, decay / (t + 1))`` with ``decay = rate A / gap^2``."""
    return min(1.0, decay / (t + 1.0))


@kernel
def _epsilon_greedy(
    bandit: Bandit,
    T: int,
    epsilon: float,
    decays: bool,
    decay: float,
    books: Ledger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    n, total = np.zeros(A), np.zeros(A)
    keys, winner = tournament(A)  # of the means; infinite for arms never played
    for t in range(T):
        # act
        eps = exploration(t, decay) if decays else epsilon
        u = rng.random()
        a = min(int(u / eps * A), A - 1) if u < eps else winner[1]
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        replace(keys, winner, a, total[a] / n[a])
