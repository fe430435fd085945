r"""Log-barrier policy optimisation with dilated bonuses (Dai, Luo, Wei & Zimmert, ICML 2023, algorithm 1).

Pseudo-code, in our names::

    C[h](s, a) <- 0
    for k = 1, ..., K:
        for all h, s: pi[h](. | s) <- argmin_p eta <p, C[h](s, .)> + sum_a ln(1 / p(a))  # improve
        play an episode with pi; L[h] is its loss from stage h on                   # act
        R[h] <- estimate of (gamma I + Sigma[h])^-1, Sigma[h] = E_pi[phi phi']      # evaluate
        Q[h](s, a) <- phi(s, a)' R[h] phi(s_h, a_h) L[h]
        b[h](s, a) <- beta (|phi(s, a)|^2_R + sum_a' pi(a' | s) |phi(s, a')|^2_R)   # explore
        B[h](s, a) <- b[h](s, a) + (1 + 1/H) E_{s'}[sum_a' pi(a' | s') B[h+1](s', a')]
        C <- C + Q - B

Guarantee: with |phi| <= 1 and Q^pi = phi theta with |theta| <= H sqrt(d) for every policy, the expected
regret is O~(sqrt(A d H^6 K)). For exact R, c = 1 and oblivious losses it is at most

    A H ln(K) / eta + 24 eta d H^3 (H^2 + 2) K + 2 sqrt(d) H^2 + 0.6 / eta

with beta = 8 eta H^2 and gamma = 12 eta beta H^2. Derived here from the paper's lemma on this barrier, which
holds for losses of any sign and size, ``sum <p - u, c> <= (Psi(u) - Psi(p_1)) / eta + eta sum p^2 c^2``: the
magnitude H / gamma of Q does not limit eta, as it does for exponential weights, so gamma may be of order 1/K.
The bias of Q is at most sqrt(gamma d) H |phi|_R <= beta |phi|_R^2 / 4 + gamma d H^2 / beta; 8 eta H^2 <= beta
and 7 eta beta H^2 <= gamma put all that varies below <pi*, b> + <pi, B> / H; the recursion of B turns its sum
into e V^pi(b) <= 6 beta d H; the last two terms are for u, which is pi* mixed with 1/K of uniform.

Deviations from the paper: R is exact unless `num_samples` > 0 (infinitely many simulated episodes), and so is
the expectation in B, which the paper samples; eta, beta and gamma are those derived above (the paper's own
constants were not confirmed).
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
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import kernel
from eluder.core.simplex import log_barrier_step
from eluder.core.types import Array
from eluder.linear.adversarial._steps import (
    REFINED,
    add_estimates,
    bonuses,
    factor,
    learning_rate_or,
    start,
    terms,
)

__all__ = ["log_barrier_po"]


def log_barrier_po(
    mdp: AdversarialMDP,
    K: int,
    *,
    eta: float | None = None,
    c: float = 1.0,
    num_samples: int = 0,
    rng: np.random.Generator,
) -> AdversarialResult:
    """Play K episodes of policy optimisation by the log-barrier with dilated bonuses.

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
    .. [1] Dai, Luo, Wei and Zimmert. Refined regret for adversarial MDPs with linear function approximation.
       ICML 2023, algorithm 1. arXiv:2301.12942

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import adversarial_linear_mdp
    >>> mdp = adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0))
    >>> log_barrier_po(mdp, 100, rng=np.random.default_rng(0)).pi.shape
    (2, 4, 2)
    """
    books = adversarial_books(mdp, checks.integer("K", K))
    (H, _, A), d = books.total.shape, mdp.phi.shape[2]
    eta = learning_rate_or(eta, learning_rate(d, A, H, K))
    beta, gamma = factor(c) * bonus_scale(H, eta), regularisation(H, eta)
    M, N = terms(gamma, num_samples)
    C, pi = start(mdp)
    _log_barrier_po(C, pi, books, K, eta, beta, gamma, M, N, checks.generator(rng))
    return adversarial_result(books, pi)


def learning_rate(d: int, A: int, H: int, K: int) -> float:
    """Return ``eta = sqrt(A ln(K) / (24 d H^2 (H^2 + 2) K))``, K being at least 2."""
    K = max(K, 2)
    return math.sqrt(A * math.log(K) / (24 * d * H**2 * (H**2 + 2) * K))


def bonus_scale(H: int, eta: float) -> float:
    """Return ``beta = 8 eta H^2``."""
    return 8 * eta * H**2


def regularisation(H: int, eta: float) -> float:
    """Return ``gamma = 12 eta beta H^2 = 96 eta^2 H^4``."""
    return 12 * eta * bonus_scale(H, eta) * H**2


def bound(d: int, A: int, H: int, K: int) -> float:
    """Return ``A H ln(K) / eta + 24 eta d H^3 (H^2 + 2) K + 2 sqrt(d) H^2 + 0.6 / eta``."""
    eta = learning_rate(d, A, H, K)
    varies = 24 * eta * d * H**3 * (H**2 + 2) * K
    return A * H * math.log(max(K, 2)) / eta + varies + 2 * math.sqrt(d) * H**2 + 0.6 / eta


GUARANTEES = (
    Guarantee(
        paper=REFINED,
        setting="adversarial regret",
        statement="expected regret O~(sqrt(A d H^6 K)) with a simulator; the bound's constants are derived "
        "in the module",
        assumptions="Q of every policy linear in phi, |phi| <= 1, |theta| <= H sqrt(d), oblivious losses in "
        "[0, 1], exact covariances",
        exponent=0.5,
        bound=bound,
        when={"c": 1.0, "num_samples": 0},
    ),
)


@kernel
def _log_barrier_po(
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
    y = np.zeros((H, S))
    for k in range(K):
        begin_episode(books, k)

        # improve
        for h in range(H):
            for s in range(S):
                y[h, s] = log_barrier_step(C[h, s], eta, y[h, s], pi[h, s])

        # act
        play_episode(books, pi, path, played, L, rng)

        # evaluate, explore
        inverse_covariances(sim, phi, pi, gamma, M, N, rng, q, room, inverse)
        bonuses(phi, inverse, pi, beta, b)
        dilated_bonus(sim, pi, b, B, V)
        add_estimates(C, phi, inverse, path, played, L, ratio)
        C -= B
        finish_episode(books, k, pi)  # measurement
