r"""Policy optimisation with magnitude-reduced estimates (Dai, Luo, Wei & Zimmert, ICML 2023, algorithm 2).

Pseudo-code, in our names::

    C[h](s, a) <- 0
    for k = 1, ..., K:
        for all h, s: pi[h](a | s) proportional to exp(-eta C[h](s, a))             # improve
        play an episode with pi; L[h] is its loss from stage h on                   # act
        R[h] <- (gamma I + Sigma[h])^-1, Sigma[h] = E_pi[phi phi']                  # evaluate
        z(s, a) <- phi(s, a)' R[h] phi(s_h, a_h),   (x)_- = min(x, 0)
        m(s, a) <- E_{(s', a') ~ pi at h}[(phi(s, a)' R[h] phi(s', a'))_-]
        Q[h](s, a) <- z(s, a) L[h] - (H - h) (z(s, a))_- + (H - h) m(s, a)
        b[h](s, a) <- beta (|phi(s, a)|^2_R + sum_a' pi(a' | s) |phi(s, a')|^2_R)   # explore
        B[h](s, a) <- b[h](s, a) + (1 + 1/H) E_{s'}[sum_a' pi(a' | s') B[h+1](s', a')]
        C <- C + Q - B

Guarantee: with |phi| <= 1 and Q^pi = phi theta with |theta| <= H sqrt(d) for every policy, the expected
regret is O~(sqrt(d H^6 K)), without a power of A. For c = 1 and oblivious losses it is at most

    H ln(A) / eta + 24 eta d H^3 (H^2 + 8) K,   beta = 32 eta H^2,  gamma = 12 eta beta H^2

Derived here: the new terms have mean 0, so Q has the mean of the plain estimate; z L - (H - h) (z)_- is not
negative, and m >= -|phi|_R >= -1 / sqrt(gamma), so that Q >= -H / sqrt(gamma) instead of -H / gamma: eta may
be of order sqrt(gamma). Per state, exponential weights pay ln(A) / eta + eta E<pi, (Q - B)^2>, where now
E Q^2 <= 4 H^2 |phi|^2_R; the rest is as for the log-barrier.

Deviations from the paper: R, m and the expectation in B are exact (infinitely many simulated episodes); the
paper samples them. eta, beta and gamma are those derived above (the paper's own were not confirmed). H - h,
the largest loss to go, replaces H.
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
from eluder.core.covariance import covariances, regularised_inverse
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import kernel
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array
from eluder.linear.adversarial._steps import REFINED, bonuses, factor, learning_rate_or, ratios, start

__all__ = ["magnitude_reduced_po"]


def magnitude_reduced_po(
    mdp: AdversarialMDP,
    K: int,
    *,
    eta: float | None = None,
    c: float = 1.0,
    rng: np.random.Generator,
) -> AdversarialResult:
    """Play K episodes of policy optimisation with magnitude-reduced estimates.

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
        or `rng` is not a Generator.

    Notes
    -----
    O(H S A (S A d + d^2) + H d^3) time per episode.

    References
    ----------
    .. [1] Dai, Luo, Wei and Zimmert. Refined regret for adversarial MDPs with linear function approximation.
       ICML 2023, algorithm 2. arXiv:2301.12942

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import adversarial_linear_mdp
    >>> mdp = adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0))
    >>> magnitude_reduced_po(mdp, 100, rng=np.random.default_rng(0)).pi.shape
    (2, 4, 2)
    """
    books = adversarial_books(mdp, checks.integer("K", K))
    (H, _, A), d = books.total.shape, mdp.phi.shape[2]
    eta = learning_rate_or(eta, learning_rate(d, A, H, K))
    beta, gamma = factor(c) * bonus_scale(H, eta), regularisation(H, eta)
    C, pi = start(mdp)
    _magnitude_reduced_po(C, pi, books, K, eta, beta, gamma, checks.generator(rng))
    return adversarial_result(books, pi)


def learning_rate(d: int, A: int, H: int, K: int) -> float:
    """Return ``eta = sqrt(ln(A) / (24 d H^2 (H^2 + 8) K))``, A being at least 2."""
    return math.sqrt(math.log(max(A, 2)) / (24 * d * H**2 * (H**2 + 8) * K))


def bonus_scale(H: int, eta: float) -> float:
    """Return ``beta = 32 eta H^2``."""
    return 32 * eta * H**2


def regularisation(H: int, eta: float) -> float:
    """Return ``gamma = 12 eta beta H^2 = 384 eta^2 H^4``."""
    return 12 * eta * bonus_scale(H, eta) * H**2


def bound(d: int, A: int, H: int, K: int) -> float:
    """Return ``H ln(A) / eta + 24 eta d H^3 (H^2 + 8) K`` at the default eta."""
    eta = learning_rate(d, A, H, K)
    return H * math.log(A) / eta + 24 * eta * d * H**3 * (H**2 + 8) * K


GUARANTEES = (
    Guarantee(
        paper=REFINED,
        setting="adversarial regret",
        statement="expected regret O~(sqrt(d H^6 K)) with a simulator; the bound's constants are derived "
        "in the module",
        assumptions="Q of every policy linear in phi, |phi| <= 1, |theta| <= H sqrt(d), oblivious losses in "
        "[0, 1], exact covariances",
        exponent=0.5,
        bound=bound,
        when={"c": 1.0},
    ),
)


@kernel
def reduced(z: float, loss: float, most: float, mean: float) -> float:
    """Return ``z loss - most (z)_- + most mean``, at least ``most mean`` for losses in [0, most]."""
    return z * loss - most * min(z, 0.0) + most * mean


@kernel
def low_mean(phi: Array, inverse: Array, pi: Array, q: Array, other: Array, mean: Array) -> None:
    """Write ``mean[s, a] = E[(phi(s, a)' inverse phi(s', a'))_-]`` in place, (s', a') from `q` and `pi`."""
    S, A = pi.shape
    mean[:] = 0.0
    for t in range(S):
        for e in range(A):
            p = q[t] * pi[t, e]
            if p > 0.0:
                ratios(phi, inverse, phi[t, e], other)
                for s in range(S):
                    for a in range(A):
                        mean[s, a] += p * min(other[s, a], 0.0)


@kernel
def _magnitude_reduced_po(
    C: Array,
    pi: Array,
    books: AdversarialBooks,
    K: int,
    eta: float,
    beta: float,
    gamma: float,
    rng: np.random.Generator,
) -> None:
    """Run K episodes in place (`C`, `pi`, `books`)."""
    H, S, A = pi.shape
    phi, sim = books.phi, books.sim
    d = phi.shape[2]
    inverse, room, ratio = np.zeros((H, d, d)), np.zeros((H, d, d)), np.zeros((S, A))
    other, mean = np.zeros((S, A)), np.zeros((S, A))
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
        covariances(sim, phi, pi, q, room)
        regularised_inverse(room, gamma, inverse)
        bonuses(phi, inverse, pi, beta, b)
        dilated_bonus(sim, pi, b, B, V)
        for h in range(H):
            ratios(phi, inverse[h], phi[path[h], played[h]], ratio)
            low_mean(phi, inverse[h], pi[h], q[h], other, mean)
            for s in range(S):
                for a in range(A):
                    Q = reduced(ratio[s, a], L[h], float(H - h), mean[s, a])
                    C[h, s, a] += Q - B[h, s, a]
        finish_episode(books, k, pi)  # measurement
