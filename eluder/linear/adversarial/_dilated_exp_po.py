r"""Policy optimisation with dilated bonuses, linear action values (Luo, Wei & Lee, NeurIPS 2021).

Pseudo-code (their algorithm for linear Q with a simulator), in our names::

    C[h](s, a) <- 0
    for k = 1, ..., K:
        for all h, s: pi[h](a | s) proportional to exp(-eta C[h](s, a))             # improve
        play an episode with pi; L[h] is its loss from stage h on                   # act
        R[h] <- estimate of (gamma I + Sigma[h])^-1, Sigma[h] = E_pi[phi phi']      # evaluate
        Q[h](s, a) <- phi(s, a)' R[h] phi(s_h, a_h) L[h]
        b[h](s, a) <- beta (|phi(s, a)|^2_R + sum_a' pi(a' | s) |phi(s, a')|^2_R)   # explore
        B[h](s, a) <- b[h](s, a) + (1 + 1/H) E_{s'}[sum_a' pi(a' | s') B[h+1](s', a')]
        C <- C + Q - B

Guarantee: with |phi| <= 1 and Q^pi = phi theta with |theta| <= H sqrt(d) for every policy, the paper's
expected regret is O~(H^2 (d K)^(2/3)) (from memory). For exact R, c = 1 and oblivious losses it is at most

    H ln(A) / eta + 4 d H^2 K sqrt(6 eta H),    gamma = 2 eta H,  beta = H sqrt(2 eta H / 3)

Derived here: per state, exponential weights pay ln(A) / eta + eta E<pi, (Q - B)^2> as eta (B - Q) <= 1; the
bias of Q is at most sqrt(gamma d) H |phi|_R <= beta |phi|_R^2 / 4 + gamma d H^2 / beta; 8 eta H^2 <= beta and
7 eta beta H^2 <= gamma put all that varies below <pi*, b> + <pi, B> / H; the recursion of B turns its sum
into e V^pi(b) <= 6 beta d H. The default eta minimises the bound, under what these steps ask for.

Deviations from the paper: R is exact unless `num_samples` > 0 (infinitely many simulated episodes), and so is
the expectation in B, which the paper samples; eta, beta and gamma are those derived above.
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
    dilated_bonus,
    finish_episode,
    play_episode,
)
from eluder.core.covariance import inverse_covariances
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array
from eluder.linear.adversarial._steps import add_estimates, bonuses, factor, learning_rate_or, start, terms

__all__ = ["dilated_exp_po"]


def dilated_exp_po(
    mdp: AdversarialMDP,
    K: int,
    *,
    eta: float | None = None,
    c: float = 1.0,
    num_samples: int = 0,
    rng: np.random.Generator,
) -> AdversarialResult:
    """Play K episodes of policy optimisation by exponential weights with dilated bonuses.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem, which is the simulator as well. The learner sees the losses of what it plays.
    K : int
        Number of episodes.
    eta : float, optional
        Learning rate in [1e-6, 1e6]; by default that of the bound.
    c : float, default=1.0
        Multiplies the bonus `beta`; at most 1e6.
    num_samples : int, default=0
        Repetitions of matrix geometric resampling per episode; 0 for exact covariances.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    AdversarialResult
        Exact regret at log-spaced checkpoints, and the last policy.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP, a feature is longer than 1, `K` < 1, `eta` or `c` is out of range,
        `num_samples` is negative or asks for too many episodes, or `rng` is not a Generator.

    Notes
    -----
    O(H S A (S + d^2) + H d^3) time per episode, and for each of the `num_samples` repetitions
    ``ln(1 / gamma) 4 / gamma`` simulated episodes of O(H d^2).

    References
    ----------
    .. [1] Luo, Wei and Lee. Policy optimization in adversarial MDPs: improved exploration via dilated
       bonuses. NeurIPS 2021. arXiv:2107.08346

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import adversarial_linear_mdp
    >>> mdp = adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0))
    >>> dilated_exp_po(mdp, 100, rng=np.random.default_rng(0)).pi.shape
    (2, 4, 2)
    """
    books = adversarial_books(mdp, checks.integer("K", K))
    (H, _, A), d = books.total.shape, mdp.phi.shape[2]
    eta = learning_rate_or(eta, learning_rate(d, A, H, K))
    beta, gamma = factor(c) * bonus_scale(H, eta), regularisation(H, eta)
    M, N = terms(gamma, num_samples)
    C, pi = start(mdp)
    _dilated_exp_po(C, pi, books, K, eta, beta, gamma, M, N, checks.generator(rng))
    return adversarial_result(books, pi)


def learning_rate(d: int, A: int, H: int, K: int) -> float:
    """Return the bound's minimiser ``(ln A / (2 d H K sqrt(6 H)))^(2/3)``, at most min(1/96H, 1/8H^5)."""
    best = (math.log(max(A, 2)) / (2 * d * H * K * math.sqrt(6 * H))) ** (2 / 3)
    return float(min(best, 1 / (96 * H), 1 / (8 * H**5)))


def regularisation(H: int, eta: float) -> float:
    """Return ``gamma = 2 eta H``."""
    return 2 * eta * H


def bonus_scale(H: int, eta: float) -> float:
    """Return ``beta = H sqrt(2 eta H / 3)``."""
    return H * math.sqrt(2 * eta * H / 3)


def bound(d: int, A: int, H: int, K: int) -> float:
    """Return ``H ln(A) / eta + 4 d H^2 K sqrt(6 eta H)`` at the default eta."""
    eta = learning_rate(d, A, H, K)
    return H * math.log(A) / eta + 4 * d * H**2 * K * math.sqrt(6 * eta * H)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Policy optimization in adversarial MDPs: improved exploration via dilated bonuses",
            authors="Luo, Wei, Lee",
            venue="NeurIPS",
            year=2021,
            arxiv="2107.08346",
        ),
        setting="adversarial regret",
        statement="expected regret O~(K^(2/3)) with a simulator; the bound's constants are derived "
        "in the module",
        assumptions="Q of every policy linear in phi, |phi| <= 1, |theta| <= H sqrt(d), oblivious losses in "
        "[0, 1], exact covariances",
        exponent=2 / 3,
        bound=bound,
        when={"c": 1.0, "num_samples": 0},
    ),
)


@kernel
def _dilated_exp_po(
    C: Array,
    pi: Array,
    books: AdversarialBooks,
    K: int,
    eta: float,
    beta: float,
    gamma: float,
    M: int,
    N: int,
    rng: np.random.Generator,
) -> None:
    """Run K episodes in place (`C`, `pi`, `books`)."""
    H, S, A = pi.shape
    phi, sim = books.phi, books.sim
    d = phi.shape[2]
    inverse, room, ratio = np.zeros((H, d, d)), np.zeros((H, d, d)), np.zeros((S, A))
    b, B, V, q = np.zeros((H, S, A)), np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S))
    path, played, L = np.zeros(H + 1, np.int64), np.zeros(H, np.int64), np.zeros(H)
    for k in range(K):
        begin_episode(books, k)

        # improve
        for h in range(H):
            for s in range(S):
                exponential_weights(C[h, s], eta, pi[h, s])

        # act
        play_episode(books, pi, path, played, L, rng)

        # evaluate, explore
        inverse_covariances(sim, phi, pi, gamma, M, N, rng, q, room, inverse)
        bonuses(phi, inverse, pi, beta, b)
        dilated_bonus(sim, pi, b, B, V)
        add_estimates(C, phi, inverse, path, played, L, ratio)
        C -= B
        finish_episode(books, k, pi)  # measurement
