r"""KL-UCB++: minimax and asymptotically optimal at once (Menard & Garivier, ALT 2017).

Pseudo-code (algorithm 1), in our names::

    play each arm once
    for t = A, ..., T-1:
        y(a) = T / (A n(a));  g(a) = ln+( y(a) (ln+(y(a))^2 + 1) )
        index(a) = max{u : n(a) kl(mean(a), u) <= g(a)}
        play a = argmax_a index(a)                                # act
        observe a reward;  n(a) += 1, mean(a) <- mean of its rewards                 # update

Guarantee: the expected regret is O(sqrt(A T)) on every bandit (Theorem 1: at most
``76 sqrt(V A T) + (range of means) A`` with variances at most V; constants from memory), and limsup
regret / ln T is the constant of Lai and Robbins (Theorem 2).

Deviations from the paper: none. An index depends on its own arm only, so the largest one is kept in a
tournament tree.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.tabular.bandits._index import family_code, upper
from eluder.tabular.bandits._tournament import replace, tournament

__all__ = ["kl_ucb_plus_plus"]


def kl_ucb_plus_plus(
    bandit: Bandit, T: int, *, family: str = "bernoulli", sigma: float = 1.0, rng: np.random.Generator
) -> BanditResult:
    """Play T rounds of KL-UCB++, which knows T.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds; the learner knows it.
    family : str, default="bernoulli"
        Whose divergence: "bernoulli" (any rewards in [0, 1]), "gaussian", "exponential" or "poisson".
    sigma : float, default=1.0
        Standard deviation, > 0; used by the Gaussian family only.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave the domain of `family`, `T` < 1, `sigma` is not
        positive, `family` is another, or `rng` is not a Generator.

    Notes
    -----
    O(log A) time per round and one index by Newton's method; O(A) memory.

    References
    ----------
    .. [1] Menard and Garivier. A minimax and asymptotically optimal algorithm for stochastic bandits. ALT
       2017, Theorems 1 and 2. arXiv:1702.07211

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = kl_ucb_plus_plus(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    code = family_code("kl_ucb_plus_plus", family, bandit)
    T = checks.integer("T", T)
    sigma = checks.number("sigma", sigma, 0.0, 1e100, open_low=True)
    books = ledger(bandit.means.shape[1], T)
    scale = sigma**2 if family == "gaussian" else 1.0
    _kl_ucb_plus_plus(bandit, T, code, scale, books, checks.generator(rng))
    return bandit_result(bandit, books)


PAPER = Paper(
    title="A minimax and asymptotically optimal algorithm for stochastic bandits",
    authors="Menard, Garivier",
    venue="ALT",
    year=2017,
    arxiv="1702.07211",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="stochastic regret",
        statement="expected regret O(sqrt(A T)) on every bandit, and limsup of regret / ln(T) as in "
        "the lower bound of Lai and Robbins (Theorems 1 and 2; constants from memory)",
        assumptions="independent rewards of the family; T is known",
        exponent=0.5,
    ),
)


@kernel
def exploration(n: float, A: int, T: int) -> float:
    """Return ``ln+( y (ln+(y)^2 + 1) )`` for ``y = T / (A n)``."""
    y = T / (A * n)
    log = max(math.log(y), 0.0)
    return max(math.log(y * (log * log + 1.0)), 0.0)


@kernel
def _kl_ucb_plus_plus(
    bandit: Bandit, T: int, family: int, scale: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place. `scale` is the variance of a Gaussian."""
    A = books.pulls.size
    n, total = np.zeros(A), np.zeros(A)
    keys, winner = tournament(A)
    for t in range(T):
        # act
        a = winner[1]
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        level = scale * exploration(n[a], A, T) / n[a]
        replace(keys, winner, a, upper(family, total[a] / n[a], level))
