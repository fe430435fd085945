r"""KL-UCB: optimism with the divergence of the family (Garivier & Cappe, COLT 2011).

Pseudo-code (algorithm 1), in our names::

    play each arm once
    for t = A, ..., T-1:                                          # t plays so far
        f = ln(t) + loglog ln(ln(t))
        index(a) = max{u : n(a) kl(mean(a), u) <= f}
        play a = argmax_a index(a)                                # act
        observe a reward;  n(a) += 1, mean(a) <- mean of its rewards                 # update

Guarantee: for rewards in [0, 1] and the Bernoulli divergence, with loglog = 3,

    limsup regret / ln T <= sum_{a: gap_a > 0} gap_a / kl(mean_a, best mean)         (Theorem 1)

which for Bernoulli arms is the lower bound of Lai and Robbins; for the other families see Cappe et al.
(Annals of Statistics 2013), Theorem 1.

Deviations from the paper: t is the number of plays so far, as in Cappe et al.; in the pseudo-code of 2011 it
is one more. A negative f counts as 0 (it is negative for the first few t only). The default
``loglog = 0`` is what the authors recommend in practice. Only the argmax is needed: the index is computed for
the incumbent u, and an arm replaces it if ``n(a) kl(mean(a), u) < f``.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array
from eluder.tabular.bandits._index import BERNOULLI, conjugate, excess, family_code, natural, potential, upper

__all__ = ["kl_ucb"]


def kl_ucb(
    bandit: Bandit,
    T: int,
    *,
    family: str = "bernoulli",
    loglog: float = 0.0,
    sigma: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of KL-UCB.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only.
    T : int
        Number of rounds.
    family : str, default="bernoulli"
        Whose divergence: "bernoulli" (any rewards in [0, 1]), "gaussian", "exponential" or "poisson".
    loglog : float, default=0.0
        Factor of ``ln ln t``: 3 in the theorem, 0 in practice.
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
        If `bandit` is not a Bandit or its rewards can leave the domain of `family`, `T` < 1, `loglog` is
        negative, `sigma` is not positive, `family` is another, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round: one index by Newton's method, and two multiplications for each arm. O(A) memory.

    References
    ----------
    .. [1] Garivier and Cappe. The KL-UCB algorithm for bounded stochastic bandits and beyond. COLT 2011,
       Theorem 1. arXiv:1102.2490
    .. [2] Cappe, Garivier, Maillard, Munos and Stoltz. Kullback-Leibler upper confidence bounds for optimal
       sequential allocation. Annals of Statistics 41, 2013. arXiv:1210.1136

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = kl_ucb(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    code = family_code("kl_ucb", family, bandit)
    T = checks.integer("T", T)
    loglog = checks.number("loglog", loglog, 0.0)
    sigma = checks.number("sigma", sigma, 0.0, 1e100, open_low=True)
    books = ledger(bandit.means.shape[1], T)
    scale = sigma**2 if family == "gaussian" else 1.0
    _kl_ucb(bandit, T, code, loglog, scale, books, checks.generator(rng))
    return bandit_result(bandit, books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="The KL-UCB algorithm for bounded stochastic bandits and beyond",
            authors="Garivier, Cappe",
            venue="COLT",
            year=2011,
            arxiv="1102.2490",
        ),
        setting="stochastic regret",
        statement="limsup of regret / ln(T) at most sum_a gap_a / kl(mean_a, best mean) "
        "(Theorem 1, with loglog = 3)",
        assumptions="independent rewards of the family; Bernoulli divergence: any rewards in [0, 1]",
        exponent=0.0,
    ),
)


@kernel
def exploration(t: int, loglog: float) -> float:
    """Return ``max(ln t + loglog ln ln t, 0)``, and 0 for t = 1."""
    if t <= 1:
        return 0.0
    log = math.log(t)
    return max(log + loglog * math.log(log), 0.0) if loglog > 0.0 else log


@kernel
def argmax_index(family: int, f: float, a: int, n: Array, mean: Array, ent: Array) -> int:
    """Return the first arm with the largest index; the search begins at arm `a`."""
    u = upper(family, mean[a], f / n[a])
    theta, psi = natural(family, u), potential(family, u)
    for b in range(n.size):
        if family == BERNOULLI and u >= 1.0:  # the end of the domain: nothing is larger, the first wins
            for first in range(a):
                if upper(family, mean[first], f / n[first]) >= 1.0:
                    return first
            return a
        if mean[b] == mean[a] and n[b] == n[a]:
            a = min(a, b)  # equal indices
        elif mean[b] > u or n[b] * excess(family, mean[b], ent[b], u, theta, psi) < f:
            a = b
            u = upper(family, mean[a], f / n[a])
            theta, psi = natural(family, u), potential(family, u)
    return a


@kernel
def _kl_ucb(
    bandit: Bandit, T: int, family: int, loglog: float, scale: float, books: Ledger, rng: np.random.Generator
) -> None:
    """Run T rounds; `books` in place. `scale` is the variance of a Gaussian."""
    A = books.pulls.size
    n, total, mean, ent = np.zeros(A), np.zeros(A), np.zeros(A), np.zeros(A)
    a = 0
    for t in range(T):
        # act
        a = t if t < A else argmax_index(family, scale * exploration(t, loglog), a, n, mean, ent)
        reward = play(bandit, books, t, a, rng)

        # update
        n[a] += 1.0
        total[a] += reward
        mean[a] = total[a] / n[a]
        ent[a] = conjugate(family, mean[a])
