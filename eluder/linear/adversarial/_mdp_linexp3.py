r"""MDP-LinExp3: exponential weights on resampled estimates (Neu & Olkhovskaya, NeurIPS 2021).

Pseudo-code, in our names::

    C[h](s, a) <- 0
    for k = 1, ..., K:
        for all h, s: pi[h](. | s) <- (1 - explore) softmax(-eta C[h](s, .)) + explore uniform  # improve
        play an episode with pi; L[h] is its loss from stage h on                   # act
        R[h] <- matrix geometric resampling with N simulated episodes of pi         # evaluate
        Q[h](s, a) <- phi(s, a)' R[h] phi(s_h, a_h) L[h]
        C <- C + Q

Guarantee: with known dynamics and a policy that explores all features, here the uniform one, the expected
regret is O~(K^(2/3)), as Luo, Wei & Lee (2021) report it; they, and Dai et al. (2023), replace the
exploring policy by bonuses. R is never inverted: its mean is ``c sum_{n <= N} (I - c Sigma)^n``, c = 1/2.

Deviations from the paper: written from memory. Defaults are ours: explore = min(1/2, K^(-1/3)),
N = ceil(ln(K) / explore), so that the bias (1 - lambda / 2)^(N + 1) vanishes where Sigma >= lambda I with
lambda of order `explore`; eta = sqrt(ln(A) / (d H^2 K)), or less so that eta |Q| <= 1.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.adversarial import AdversarialMDP, AdversarialResult
from eluder.core.adversarial_books import (
    AdversarialBooks,
    adversarial_books,
    adversarial_result,
    begin_episode,
    finish_episode,
    play_episode,
)
from eluder.core.covariance import geometric_resampling
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array, BoolArray
from eluder.linear.adversarial._steps import optional, ratios

__all__ = ["mdp_linexp3"]


def mdp_linexp3(
    mdp: AdversarialMDP,
    K: int,
    *,
    eta: float | None = None,
    explore: float | None = None,
    num_terms: int | None = None,
    rng: np.random.Generator,
) -> AdversarialResult:
    """Play K episodes of MDP-LinExp3.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem, which is the simulator as well. The learner sees the losses of what it plays.
    K : int
        Number of episodes.
    eta : float, optional
        Learning rate > 0.
    explore : float, optional
        Weight in [0, 1] of the uniform policy.
    num_terms : int, optional
        Simulated episodes of matrix geometric resampling, per episode.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    AdversarialResult
        Exact regret at log-spaced checkpoints, and the last policy.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP, `K` or `num_terms` < 1, `eta` is not positive, `explore` is outside
        [0, 1], or `rng` is not a Generator.

    Notes
    -----
    O(N H (d^2 + A) + H S A d) time per episode, beside the exact value of its policy, O(H S^2 A).

    References
    ----------
    .. [1] Neu and Olkhovskaya. Online learning in MDPs with linear function approximation and bandit
       feedback. NeurIPS 2021. arXiv:2007.01612

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import adversarial_linear_mdp
    >>> mdp = adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0))
    >>> mdp_linexp3(mdp, 100, rng=np.random.default_rng(0)).pi.shape
    (2, 4, 2)
    """
    books = adversarial_books(mdp, checks.integer("K", K))
    (H, S, A), d = books.total.shape, mdp.phi.shape[2]
    mix = exploration(K) if explore is None else checks.number("explore", explore, 0.0, 1.0)
    N = terms(K, max(mix, exploration(K))) if num_terms is None else checks.integer("num_terms", num_terms)
    eta = optional("eta", eta, learning_rate(d, A, H, K, N))
    C, pi = np.broadcast_to(np.where(mdp.mask, 0.0, np.inf), (H, S, A)).copy(), np.zeros((H, S, A))
    _mdp_linexp3(C, pi, books, mdp.mask, K, eta, mix, N, checks.generator(rng))
    return adversarial_result(books, pi)


def exploration(K: int) -> float:
    """Return ``min(1/2, K^(-1/3))``."""
    return float(min(0.5, K ** (-1 / 3)))


def terms(K: int, explore: float) -> int:
    """Return ``N = ceil(ln(K) / explore)``, at least 1."""
    return max(1, math.ceil(math.log(K) / explore))


def learning_rate(d: int, A: int, H: int, K: int, N: int) -> float:
    """Return ``min(sqrt(ln(A) / (d H^2 K)), 2 / (H (N + 1)))``, for ``|Q| <= H (N + 1) / 2``."""
    return min(math.sqrt(math.log(max(A, 2)) / (d * H**2 * K)), 2 / (H * (N + 1)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Online learning in MDPs with linear function approximation and bandit feedback",
            authors="Neu, Olkhovskaya",
            venue="NeurIPS",
            year=2021,
            arxiv="2007.01612",
        ),
        setting="adversarial regret",
        statement="expected regret O~(K^(2/3)), as reported by Luo, Wei & Lee (2021)",
        assumptions="Q of every policy linear in phi, |phi| <= 1, known dynamics, a policy that explores all "
        "features (here the uniform one); oblivious losses in [0, 1]",
        exponent=2 / 3,
    ),
)


@kernel
def _mdp_linexp3(
    C: Array,
    pi: Array,
    books: AdversarialBooks,
    mask: BoolArray,
    K: int,
    eta: float,
    explore: float,
    N: int,
    rng: np.random.Generator,
) -> None:
    """Run K episodes in place (`C`, `pi`, `books`)."""
    H, S, A = pi.shape
    phi, sim = books.phi, books.sim
    d = phi.shape[2]
    R, Z, ratio = np.zeros((H, d, d)), np.zeros((H, d, d)), np.zeros((S, A))
    path, played, L = np.zeros(H + 1, np.int64), np.zeros(H, np.int64), np.zeros(H)
    for k in range(K):
        begin_episode(books, k)

        # improve
        for h in range(H):
            for s in range(S):
                exponential_weights(C[h, s], eta, pi[h, s])
                share = explore / mask[s].sum()
                for a in range(A):
                    pi[h, s, a] *= 1.0 - explore
                    if mask[s, a]:
                        pi[h, s, a] += share

        # act
        play_episode(books, pi, path, played, L, rng)

        # evaluate
        geometric_resampling(sim, phi, pi, 0.0, 0.5, 1, N, rng, Z, R)
        for h in range(H):
            ratios(phi, R[h], phi[path[h], played[h]], ratio)
            for s in range(S):
                for a in range(A):
                    C[h, s, a] += ratio[s, a] * L[h]
        finish_episode(books, k, pi)  # measurement
