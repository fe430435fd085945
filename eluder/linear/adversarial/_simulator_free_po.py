r"""Simulator-free policy optimisation in linear MDPs (after Dai, Luo, Wei & Zimmert, ICML 2023).

Pseudo-code, in our names::

    explore for `cover` episodes: policies pi_i and their shares, Lambda[h] = lam I + sum phi phi'   # cover
    known[h](s) <- max_a phi' Lambda[h]^-1 phi <= alpha
    for epochs of `window` episodes:
        for all h, s: pi[h](. | s) <- argmin_p eta <p, C[h](s, .)> + sum_a ln(1 / p(a))  # improve
        in each episode of the epoch:                                                # act
            with probability 1 - explore: play pi; v[h] = 1 for all h
            else: draw h* and i; play pi_i up to h*, pi afterwards; v[h*] = H, v[h] = 0 for the others
            by a coin the episode goes to the covariances or to the losses:
                M[h] += v[h] phi phi'   or   y[h] += v[h] phi L[h]
        R[h] <- (gamma I + mean of M[h])^-1;  Q[h] <- phi R[h] (mean of y[h])        # evaluate
        b[h](s, a) <- known[h](s) beta (|phi(s, a)|^2_R + sum_a' pi(a' | s) |phi(s, a')|^2_R)   # explore
        B[h] <- b[h] + (1 + 1/H) clip(phi w[h] + rho |phi|_{Lambda[h]^-1}, 0, most),
            w[h] the ridge regression of <pi, B[h+1]>(s') on all rounds so far
        C <- C + Q - B

Guarantee: expected regret O~(K^(8/9)), dependence on d, A and H polynomial (from the abstract). The point is
that the policy stays for an epoch: the covariance under it is a mean over episodes that were really played,
and no resampling is needed. With gamma = 0 the expectation of y is exactly that of M times theta, as v keeps
the mean of both that of ``(1 - explore) Sigma_pi + explore Sigma_cover``.

Deviations from the paper: written from memory; its powers of K and constants were not confirmed, and no bound
was derived for ours, which balance the terms that the analysis of the log-barrier has when the policy stays
for W = `window` episodes (constants and logarithms aside),

    W / eta                 the barrier moves once in an epoch
    beta K, 8 eta H^2 <= beta, 96 eta^2 H^4 <= gamma     variance and bonuses, as with a simulator
    gamma K / beta          bias of the regularised inverse, paid by the bonus
    K / (gamma W beta)      error of the covariance, |R^(1/2) (M - E M) R^(1/2)|^2 ~ 1 / (gamma W), as well

each of them K^(5/6) with W = K^(2/3), gamma = W^(-1/2), eta = W^(-1/4) / (10 H^2), beta = 8 eta H^2;
exploring with probability min(1/2, K^(-1/9)) costs the K^(8/9). Further: cover = ceil(sqrt(K)); the radius
c d H sqrt(L) with L = ln(2 d K H / delta), as for fixed policies; rho = most radius / H and
most = 2 beta H ((1 + 1/H)^(H-h-1) - 1) / gamma. An epoch in which the coin left no episode for one of its two
uses changes nothing.
"""

import math
from typing import NamedTuple

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
from eluder.core.covariance import add_outer, regularised_inverse
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import dot, kernel, sample
from eluder.core.simplex import log_barrier_step
from eluder.core.types import Array, BoolArray, IntArray
from eluder.core.value_regression import ValueRegression, add_round, new_regression, predict, solve
from eluder.linear.adversarial._cover import explore_cover, one_hot
from eluder.linear.adversarial._steps import REFINED, bonuses, factor, learning_rate_or, start

__all__ = ["simulator_free_po"]


class Scales(NamedTuple):
    """The numbers of a run; `most` (H,) bounds the part of B after each stage."""

    eta: float
    beta: float
    gamma: float
    explore: float
    radius: float
    window: int
    most: Array


def simulator_free_po(
    mdp: AdversarialMDP,
    K: int,
    *,
    eta: float | None = None,
    window: int | None = None,
    explore: float | None = None,
    cover: int | None = None,
    alpha: float = 0.5,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> AdversarialResult:
    """Play K episodes of policy optimisation in epochs, without a simulator.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem, linear in its features. The learner sees states and the losses of what it plays.
    K : int
        Number of episodes.
    eta : float, optional
        Learning rate in [1e-6, 1e6].
    window : int, optional
        Episodes of an epoch, at least 2.
    explore : float, optional
        Share in [0, 1] of episodes that begin with the cover.
    cover : int, optional
        Episodes, at most K, that explore for the cover.
    alpha : float, default=0.5
        Squared width > 0 below which a state is known.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies both bonuses and the radius; at most 1e6.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    AdversarialResult
        Exact regret at log-spaced checkpoints, of the policies that were played with what the coins chose;
        the last policy.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP, a feature is longer than 1, `K` < 1, `window` < 2, `cover` is not
        in [1, K], a number is outside its range, or `rng` is not a Generator.

    Notes
    -----
    O(H (d^2 + d S + S A d)) time per episode and O(H d^3) per epoch, beside exact values, O(H S^2 A).

    References
    ----------
    .. [1] Dai, Luo, Wei and Zimmert. Refined regret for adversarial MDPs with linear function approximation.
       ICML 2023. arXiv:2301.12942

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import adversarial_linear_mdp
    >>> mdp = adversarial_linear_mdp(4, 2, 3, 2, rng=np.random.default_rng(0))
    >>> simulator_free_po(mdp, 100, rng=np.random.default_rng(0)).pi.shape
    (2, 4, 2)
    """
    K = checks.integer("K", K)
    books = adversarial_books(mdp, K)
    (H, S, _), d = books.total.shape, mdp.phi.shape[2]
    W = max(2, math.ceil(K ** (2 / 3))) if window is None else checks.integer("window", window, 2)
    share = min(0.5, K ** (-1 / 9)) if explore is None else checks.number("explore", explore, 0.0, 1.0)
    K0 = math.ceil(math.sqrt(K)) if cover is None else checks.integer("cover", cover, 1, K)
    alpha = checks.number("alpha", alpha, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    eta, c = learning_rate_or(eta, learning_rate(H, W)), factor(c)
    beta, gamma = c * 8 * eta * H**2, W**-0.5
    scales = Scales(eta, beta, gamma, share, c * radius(d, H, K, delta), W, largest(H, beta, gamma))
    C, pi = start(mdp)
    fit = new_regression(mdp.phi, H, 1.0)
    size = math.ceil(d * H * math.log2(1 + K0 / d)) + 2  # as often determinants double, if |phi| <= 1
    policies, weights = np.zeros((size, H, S), np.int64), np.zeros(size)
    rng = checks.generator(rng)
    explore_cover(policies, weights, fit, books, K0, scales.radius, rng)
    known = np.where(mdp.mask, fit.width2, 0.0).max(axis=2) <= alpha
    pi[:] = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    _simulator_free_po(C, pi, books, fit, policies, weights, known, K0, K, scales, rng)
    return adversarial_result(books, pi)


def learning_rate(H: int, W: int) -> float:
    """Return ``eta = W^(-1/4) / (10 H^2)``, so that ``96 eta^2 H^4 <= gamma = W^(-1/2)``."""
    return float(W**-0.25 / (10 * H**2))


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``d H sqrt(ln(2 d K H / delta))``, constants taken as 1."""
    return d * H * math.sqrt(math.log(2 * d * K * H / delta))


def largest(H: int, beta: float, gamma: float) -> Array:
    """Return ``2 beta H ((1 + 1/H)^(H-h-1) - 1) / gamma``: what follows stage h adds to B at most."""
    left = H - 1 - np.arange(H)
    return np.asarray(2 * beta * H * ((1 + 1 / H) ** left - 1) / gamma)


GUARANTEES = (
    Guarantee(
        paper=REFINED,
        setting="adversarial regret",
        statement="expected regret O~(K^(8/9)) without a simulator; powers of K in the parameters are not "
        "confirmed",
        assumptions="linear MDP, |phi| <= 1, oblivious linear losses in [0, 1]",
        exponent=8 / 9,
    ),
)


@kernel
def draw_play(
    pi: Array, policies: IntArray, weights: Array, explore: float, play: Array, rng: np.random.Generator
) -> int:
    """Write what to play in an episode into `play`; return h*, or -1 if it is `pi` throughout."""
    H = pi.shape[0]
    play[:] = pi
    if rng.random() >= explore:
        return -1
    star = int(H * rng.random())
    one_hot(policies[sample(weights, rng)], star, play)
    return star


@kernel
def regressed_bonus(
    B: Array, V: Array, b: Array, pi: Array, fit: ValueRegression, scales: Scales, y: Array, w: Array
) -> None:
    """Write the dilated bonus with the regressed expectation, in place (`B`, `V`)."""
    H, S, A = B.shape
    V[H] = 0.0
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        rho = scales.most[h] * scales.radius / H
        for s in range(S):
            V[h, s] = 0.0
            for a in range(A):
                after = predict(fit, s, a, w) + rho * math.sqrt(max(fit.width2[h, s, a], 0.0))
                after = min(max(after, 0.0), scales.most[h])
                B[h, s, a] = b[h, s, a] + (1.0 + 1.0 / H) * after
                V[h, s] += pi[h, s, a] * B[h, s, a]


@kernel
def _simulator_free_po(
    C: Array,
    pi: Array,
    books: AdversarialBooks,
    fit: ValueRegression,
    policies: IntArray,
    weights: Array,
    known: BoolArray,
    k: int,
    K: int,
    scales: Scales,
    rng: np.random.Generator,
) -> None:
    """Run the episodes k, ..., K - 1 in place (`C`, `pi`, `books`, `fit`)."""
    H, S, A = pi.shape
    phi, d = fit.phi, fit.phi.shape[2]
    M, R, mean = np.zeros((H, d, d)), np.zeros((H, d, d)), np.zeros((H, d))
    b, B, V, norm = np.zeros((H, S, A)), np.zeros((H, S, A)), np.zeros((H + 1, S)), np.zeros((H, S))
    u, y, w, play = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros((H, S, A))
    path, played, L, count = np.zeros(H + 1, np.int64), np.zeros(H, np.int64), np.zeros(H), np.zeros(2)
    while k < K:
        # improve
        for h in range(H):
            for s in range(S):
                norm[h, s] = log_barrier_step(C[h, s], scales.eta, norm[h, s], pi[h, s])

        # act
        M[:], mean[:], count[:] = 0.0, 0.0, 0.0
        end = min(k + scales.window, K)
        while k < end:
            star = draw_play(pi, policies, weights, scales.explore, play, rng)
            use = 1 if rng.random() < 0.5 else 0
            begin_episode(books, k)
            play_episode(books, play, path, played, L, rng)
            count[use] += 1.0
            for h in range(H):
                x = phi[path[h], played[h]]
                v = 1.0 if star < 0 else (float(H) if star == h else 0.0)
                if use == 0:
                    add_outer(M[h], x, v)
                else:
                    for i in range(d):
                        mean[h, i] += v * L[h] * x[i]
                add_round(fit, h, path[h], played[h], 0.0, path[h + 1], u)
            finish_episode(books, k, play)  # measurement
            k += 1

        # evaluate, explore
        if count.min() == 0.0:
            continue
        M /= count[0]
        mean /= count[1]
        regularised_inverse(M, scales.gamma, R)
        bonuses(phi, R, pi, scales.beta, b)
        for h in range(H):
            for s in range(S):
                if not known[h, s]:
                    b[h, s] = 0.0
        regressed_bonus(B, V, b, pi, fit, scales, y, w)
        for h in range(H):
            for i in range(d):
                u[i] = dot(R[h, i], mean[h])
            for s in range(S):
                for a in range(A):
                    C[h, s, a] += predict(fit, s, a, u) - B[h, s, a]
