r"""Bayes-UCB: optimism with a quantile of the posterior (Kaufmann, Cappe & Garivier, AISTATS 2012).

Pseudo-code (algorithm 1), in our names::

    for t = 0, ..., T-1:
        alpha = 1 / ((t + 1) ln(T)^power)
        index(a) = the u with  P(Beta(1 + S(a), 1 + F(a)) > u) = alpha
        play a = argmax_a index(a)                                # act
        observe a reward x in [0, 1];  with probability x, S(a) += 1, else F(a) += 1              # update

Guarantee: for Bernoulli arms and power >= 5, limsup regret / ln T is the constant of Lai and Robbins,
``sum_{a: gap_a > 0} gap_a / kl(mean_a, best mean)`` (Theorem 1, from memory).

Deviations from the paper: none. The default ``power = 0`` is what the authors recommend in practice. Only the
argmax is needed: the quantile u is computed for the incumbent, and an arm replaces it if its tail beyond u
exceeds alpha; most arms are ruled out by the bound ``f(u) / slope`` on the tail of a log-concave density.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.bandits import Bandit, Ledger, bandit_result, ledger, play, refuse_unbounded
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.results import BanditResult
from eluder.core.types import Array
from eluder.tabular.bandits._index import INSIDE

__all__ = ["bayes_ucb"]


def bayes_ucb(bandit: Bandit, T: int, *, power: float = 0.0, rng: np.random.Generator) -> BanditResult:
    """Play T rounds of Bayes-UCB with uniform priors.

    Parameters
    ----------
    bandit : Bandit
        The problem; the learner sees rewards only. Those between 0 and 1 are rounded at random.
    T : int
        Number of rounds.
    power : float, default=0.0
        Exponent of ``ln T`` in the quantile's level: 5 in the theorem, 0 in practice.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a Bandit or its rewards can leave [0, 1], `T` < 1, `power` is negative, or `rng` is
        not a Generator.

    Notes
    -----
    O(A) time per round and some incomplete Beta functions (continued fractions of at most O(sqrt(t)) terms);
    O(A) memory.

    References
    ----------
    .. [1] Kaufmann, Cappe and Garivier. On Bayesian upper confidence bounds for bandit problems. AISTATS
       2012, Theorem 1.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import bernoulli_bandit
    >>> result = bayes_ucb(bernoulli_bandit([0.2, 0.8]), 1000, rng=np.random.default_rng(0))
    >>> int(result.pulls.argmax())
    1
    """
    refuse_unbounded("bayes_ucb", bandit)
    T = checks.integer("T", T)
    power = checks.number("power", power, 0.0, 100.0)
    books = ledger(bandit.means.shape[1], T)
    _bayes_ucb(bandit, T, power, books, checks.generator(rng))
    return bandit_result(bandit, books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="On Bayesian upper confidence bounds for bandit problems",
            authors="Kaufmann, Cappe, Garivier",
            venue="AISTATS",
            year=2012,
        ),
        setting="stochastic regret",
        statement="limsup of regret / ln(T) at most sum_a gap_a / kl(mean_a, best mean) "
        "(Theorem 1, with power = 5)",
        assumptions="independent Bernoulli rewards",
        exponent=0.0,
    ),
)


@kernel
def level(t: int, T: int, power: float) -> float:
    """Return ``1 / ((t + 1) ln(T)^power)``, at most 1."""
    log = math.log(T) ** power if T > 1 or power == 0.0 else 0.0
    return 1.0 / max((t + 1.0) * log, 1.0)


@kernel
def _fraction(x: float, y: float, u: float) -> float:
    """Return the continued fraction of the incomplete Beta function, as a ratio p / q; u <= mean.

    Numerators and denominators of the convergents follow one recurrence, without divisions.
    """
    last_p, last_q = 1.0, 1.0
    p, q = 1.0, 1.0 - (x + y) * u / (x + 1.0)
    for m in range(1, 100_000):
        even = m * (y - m) * u / ((x + 2.0 * m - 1.0) * (x + 2.0 * m))
        odd = -(x + m) * (x + y + m) * u / ((x + 2.0 * m) * (x + 2.0 * m + 1.0))
        old_p, old_q = p, q
        last_p, last_q = p + even * last_p, q + even * last_q
        p, q = last_p + odd * p, last_q + odd * q
        if abs(p * old_q - old_p * q) <= 1e-14 * abs(p * old_q):
            break
        if not 1e-100 < abs(q) < 1e100:
            shrink = 1e-100 if abs(q) >= 1e100 else 1e100
            p, q, last_p, last_q = p * shrink, q * shrink, last_p * shrink, last_q * shrink
    return p / q


@kernel
def tail(x: float, y: float, log_b: float, u: float) -> float:
    """Return P(Beta(x, y) > u); `log_b` is the logarithm of the Beta function of (x, y)."""
    if u <= 0.0 or u >= 1.0:
        return 1.0 if u <= 0.0 else 0.0
    front = math.exp(x * math.log(u) + y * math.log1p(-u) - log_b)
    if u > (x + 1.0) / (x + y + 2.0):
        return front * _fraction(y, x, 1.0 - u) / y
    return 1.0 - front * _fraction(x, y, u) / x


@kernel
def quantile(x: float, y: float, log_b: float, alpha: float, u: float) -> float:
    """Return the point that Beta(x, y) exceeds with probability `alpha`; the search begins at `u` in (0, 1).

    Halley's method on the logarithm of the tail, whose derivative is minus the hazard f / tail. A step that
    leaves the bracket, or a tail without logarithm, halves the bracket.
    """
    if alpha >= 1.0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(200):
        p = tail(x, y, log_b, u)
        if p > alpha:
            low = u
        else:
            high = u
        last, u = u, 0.5 * (low + high)
        f = math.exp((x - 1.0) * math.log(last) + (y - 1.0) * math.log1p(-last) - log_b)
        error = abs(u - last)
        if p > 0.0 and f > 0.0:
            hazard, slope = f / p, (y - 1.0) / (1.0 - last) - (x - 1.0) / last
            step = math.log(p / alpha) / hazard
            bend = 0.5 * (hazard - slope) * step
            step /= 1.0 + bend if abs(bend) < 0.5 else 1.0
            if low <= last + step <= high:
                u = last + step
                small = (hazard + abs(slope)) * step
                error = abs(step) * (small * small if abs(small) < 0.1 else 1.0)  # of third order
        u = min(u, INSIDE)
        if error <= 1e-13 * min(u, 1.0 - u) or u == last:
            break
    return u


@kernel
def argmax_quantile(alpha: float, a: int, wins: Array, losses: Array, log_b: Array, start: Array) -> int:
    """Return the first arm with the largest quantile; the search begins at arm `a`. `start` in place."""
    if alpha >= 1.0:
        return 0
    log_alpha = math.log(alpha)
    u = start[a] = quantile(wins[a], losses[a], log_b[a], alpha, start[a])
    log_u, log_1u = math.log(u), math.log1p(-u)
    for b in range(wins.size):
        if u >= INSIDE:  # quantiles that round to 1 are equal, and the first wins
            for first in range(a):
                if tail(wins[first], losses[first], log_b[first], INSIDE) >= alpha:
                    return first
            return a
        if wins[b] == wins[a] and losses[b] == losses[a]:
            a = min(a, b)  # equal quantiles
            continue
        x, y = wins[b] - 1.0, losses[b] - 1.0
        slope = y / (1.0 - u) - x / u
        if slope > 0.0:
            ratio = x * log_u + y * log_1u - log_b[b] - log_alpha
            if (ratio < 0.0 and slope >= 1.0) or math.exp(min(ratio, 700.0)) < slope:
                continue  # tail <= f(u) / slope < alpha
        if tail(wins[b], losses[b], log_b[b], u) > alpha:
            a = b
            u = start[a] = quantile(wins[a], losses[a], log_b[a], alpha, u)
            log_u, log_1u = math.log(u), math.log1p(-u)
    return a


@kernel
def _bayes_ucb(bandit: Bandit, T: int, power: float, books: Ledger, rng: np.random.Generator) -> None:
    """Run T rounds; `books` in place."""
    A = books.pulls.size
    wins, losses, log_b, start = np.ones(A), np.ones(A), np.zeros(A), np.full(A, 0.5)
    a = 0
    for t in range(T):
        # act
        a = argmax_quantile(level(t, T, power), a, wins, losses, log_b, start)
        reward = play(bandit, books, t, a, rng)

        # update
        if 0.0 < reward < 1.0:
            reward = 1.0 if rng.random() < reward else 0.0
        wins[a] += reward
        losses[a] += 1.0 - reward
        log_b[a] = math.lgamma(wins[a]) + math.lgamma(losses[a]) - math.lgamma(wins[a] + losses[a])
