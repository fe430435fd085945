r"""MDP-LinExp3: exponential weights on resampled estimates (Neu & Olkhovskaya, 2020).

Pseudo-code, in our names::

    C[h](s, a) <- 0
    for k = 1, ..., K:
        for all h, s: pi[h](. | s) <- (1 - explore) softmax(-eta C[h](s, .)) + explore uniform  # improve
        play an episode with pi; L[h] is its loss from stage h on                   # act
        R[h] <- matrix geometric resampling with N simulated episodes of pi         # evaluate
        Q[h](s, a) <- phi(s, a)' R[h] phi(s_h, a_h) L[h]
        C <- C + Q

Guarantee: with a policy that explores, the paper's expected regret is O~(H^2 K^(2/3) (d A)^(1/3)) (from its
abstract). R is never inverted: its mean is ``c sum_{n <= N} (I - c Sigma)^n``, c = 1/2. If uniform actions
explore after any policy, ``E_{s ~ pi at h, a uniform} phi phi' >= lam I`` for every policy and stage (on the
span of the features that can be met there), then for |phi| <= 1, |theta| <= (H - h) sqrt(d) and oblivious
losses the expected regret is at most

    H ln(A) / eta + eta H^3 K (1 + 4 / (explore lam)) / 3 + explore K H (H + 1) / 2 + H (H + 1)

Derived here: Sigma[h] >= explore lam I, so one resampling has second moments (1 + 4 / (explore lam)) / 3 (see
`eluder.core.covariance`) at every pair, for comparators go where the learner does not; N terms make the bias
(1 - explore lam / 2)^(N + 1) |theta|, at most H / K; |Q| <= H (N + 1) / 2, so that eta |Q| <= 1. The defaults
balance the first three terms: explore falls as K^(-1/3), eta as K^(-2/3). No larger eta is covered: with
K^(-1/2) the second term is K^(5/6).

Deviations from the paper: from its abstract and from memory. MDP-LinExp3 is in version 2 (2020) of the
report; the paper of this name at NeurIPS 2021 has another algorithm, for linear MDPs, with O~(sqrt(d H K)).
The exploring policy is the uniform one, mixed in at every stage, so it must explore after any policy. `lam`
is 1/d, its largest possible value, where it is not given; eta, explore and N are those derived above.
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
from eluder.core.covariance import geometric_resampling, resampling_moment
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.simplex import exponential_weights
from eluder.core.types import Array, BoolArray
from eluder.linear.adversarial._steps import add_estimates, learning_rate_or, start

__all__ = ["mdp_linexp3"]


def mdp_linexp3(
    mdp: AdversarialMDP,
    K: int,
    *,
    eta: float | None = None,
    explore: float | None = None,
    num_terms: int | None = None,
    lam: float | None = None,
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
        Learning rate in [1e-6, 1e6]; by default that of the bound.
    explore : float, optional
        Weight in [0, 1] of the uniform policy; by default that of the bound.
    num_terms : int, optional
        Simulated episodes of matrix geometric resampling, per episode; by default those of the bound.
    lam : float, optional
        Smallest eigenvalue, in [1e-6, 1], of the covariances with uniform actions; by default 1/d.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    AdversarialResult
        Exact regret at log-spaced checkpoints, and the last policy.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP, a feature is longer than 1, `K` or `num_terms` < 1, `eta`,
        `explore` or `lam` is out of range, or `rng` is not a Generator.

    Notes
    -----
    O(N H (d^2 + A) + H S A d) time per episode, beside the exact value of its policy, O(H S^2 A).

    References
    ----------
    .. [1] Neu and Olkhovskaya. Online learning in MDPs with linear function approximation and bandit
       feedback. arXiv:2007.01612, version 2, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import adversarial_linear_mdp
    >>> mdp = adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0))
    >>> mdp_linexp3(mdp, 100, rng=np.random.default_rng(0)).pi.shape
    (2, 4, 2)
    """
    books = adversarial_books(mdp, checks.integer("K", K))
    (H, _, A), d = books.total.shape, mdp.phi.shape[2]
    lam = 1 / d if lam is None else checks.number("lam", lam, 1e-6, 1.0)
    least = exploration(d, A, H, K, lam)
    mix = least if explore is None else checks.number("explore", explore, 0.0, 1.0)
    N = terms(d, K, max(mix, least) * lam) if num_terms is None else checks.integer("num_terms", num_terms)
    eta = learning_rate_or(eta, learning_rate(A, H, K, mix or least, lam, N))
    C, pi = start(mdp)
    _mdp_linexp3(C, pi, books, mdp.mask, K, eta, mix, N, checks.generator(rng))
    return adversarial_result(books, pi)


def exploration(d: int, A: int, H: int, K: int, lam: float) -> float:
    """Return ``(20 H^2 ln(A) / (3 lam (H + 1)^2 K))^(1/3)``, at most 1/2, A being at least 2."""
    return float(min(0.5, (20 * H**2 * math.log(max(A, 2)) / (3 * lam * (H + 1) ** 2 * K)) ** (1 / 3)))


def terms(d: int, K: int, least: float) -> int:
    """Return ``ceil(2 ln(K sqrt(d)) / least)``, at least 1, for covariances that are at least `least`."""
    return max(1, math.ceil(2 * math.log(K * math.sqrt(d)) / least))


def learning_rate(A: int, H: int, K: int, explore: float, lam: float, N: int) -> float:
    """Return ``sqrt(3 ln(A) / ((1 + 4 / (explore lam)) H^2 K))``, at most ``2 / (H (N + 1))``."""
    moment = resampling_moment(explore * lam)
    return min(math.sqrt(math.log(max(A, 2)) / (moment * H**2 * K)), 2 / (H * (N + 1)))


def bound(d: int, A: int, H: int, K: int, lam: float) -> float:
    """Return the bound above at the default rates, A being at least 2."""
    explore = exploration(d, A, H, K, lam)
    eta = learning_rate(A, H, K, explore, lam, terms(d, K, explore * lam))
    varies = eta * H**3 * K * resampling_moment(explore * lam)
    return H * math.log(max(A, 2)) / eta + varies + (explore * K / 2 + 1) * H * (H + 1)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Online learning in MDPs with linear function approximation and bandit feedback",
            authors="Neu, Olkhovskaya",
            venue="arXiv (version 2)",
            year=2020,
            arxiv="2007.01612",
        ),
        setting="adversarial regret",
        statement="expected regret O~(H^2 K^(2/3) (d A)^(1/3)) with a simulator (from the abstract); the "
        "bound's constants are derived in the module, in terms of lam",
        assumptions="Q of every policy linear in phi, |phi| <= 1, |theta| <= H sqrt(d); oblivious losses in "
        "[0, 1]; uniform actions explore the features after any policy: covariances at least lam",
        exponent=2 / 3,
        bound=bound,
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
        add_estimates(C, phi, R, path, played, L, ratio)
        finish_episode(books, k, pi)  # measurement
