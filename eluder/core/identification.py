"""Best-arm identification: how many rewards must be seen, whatever the learner, and in which proportions.

With ``d`` the Kullback-Leibler divergence of the family and `b` the best arm, a learner that errs with
probability at most delta on every bandit of the family plays at least ``T* kl(delta, 1 - delta)`` rounds in
the mean, where

    1 / T* = max_w min_{a != b}  w_b d(means_b, m) + w_a d(means_a, m),
    m = (w_b means_b + w_a means_a) / (w_b + w_a)

(Garivier and Kaufmann 2016, Theorem 1 and Lemma 3). The maximiser w* is found by two nested equations in one
variable (their Theorem 5): ``g_a(x) = d(means_b, m) + x d(means_a, m)`` with ``m = (means_b + x means_a) / (1
+ x)`` increases from 0; the x_a of all arms share one value ``y = g_a(x_a)``, and y solves

    sum_{a != b} d(means_b, m_a(x_a)) / d(means_a, m_a(x_a)) = 1,    w*_a = x_a / (1 + sum x).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.bandits import BERNOULLI, GAUSSIAN, Bandit, refuse_other_problems
from eluder.core.kernels import kernel
from eluder.core.types import Array

__all__ = ["Family", "characteristic_time", "family", "kl", "optimal_weights", "transport"]


LEAST = 1e-100  # gaps below are none


class Family(NamedTuple):
    """A family of reward laws with one parameter, the mean.

    Attributes
    ----------
    gaussian : bool
        Gaussian of known deviation; otherwise Bernoulli.
    sigma : float
        The deviation.
    """

    gaussian: bool
    sigma: float


def one_segment(bandit: Any) -> None:
    """Refuse what is not a bandit with two arms at least and means that never change."""
    refuse_other_problems(bandit)
    if bandit.starts.size > 1:
        raise ValueError("bandit must have one segment: a best arm is to be found, and means may not change")
    if bandit.means.shape[1] < 2:
        raise ValueError("bandit must have at least 2 arms, has 1")


def family(bandit: Bandit) -> Family:
    """Return the family of a stationary bandit with Bernoulli or Gaussian rewards.

    Parameters
    ----------
    bandit : Bandit
        One segment, two arms at least.

    Returns
    -------
    Family
        What a learner knows of the laws.

    Raises
    ------
    ValueError
        If the means change, there is one arm, the law is another, or Gaussian deviations differ.

    Examples
    --------
    >>> family(Bandit([0.1, 0.2]))
    Family(gaussian=False, sigma=1.0)
    """
    one_segment(bandit)
    if bandit.law not in (BERNOULLI, GAUSSIAN):
        raise ValueError("bandit must have Bernoulli rewards, or Gaussian ones of one deviation")
    gaussian = bandit.law == GAUSSIAN
    if gaussian and np.ptp(bandit.scale) > 0:
        i = checks.first(bandit.scale != bandit.scale[0])
        raise ValueError(
            f"{checks.entry('scale', i)} is {bandit.scale[i]:g} and scale[0] is {bandit.scale[0]:g}: "
            "the family needs one deviation for all arms"
        )
    return Family(gaussian, float(bandit.scale[0]) if gaussian else 1.0)


def characteristic_time(bandit: Bandit, beta: float | None = None) -> tuple[float, Array]:
    """Return T* and the proportions w* in which the best learner plays the arms.

    Parameters
    ----------
    bandit : Bandit
        One segment, one best arm; Bernoulli rewards, or Gaussian ones of one known deviation.
    beta : float, optional
        Fix the share of the best arm, in (0, 1); T* is then that of the best learner with this share.

    Returns
    -------
    tuple of float and ndarray, shape (A,)
        T* and w*.

    Raises
    ------
    ValueError
        If the means change, there is one arm, two arms are best, or the law is another.

    References
    ----------
    .. [1] Garivier and Kaufmann. Optimal best arm identification with fixed confidence. COLT 2016,
       arXiv:1602.04589, Theorems 1 and 5.

    Examples
    --------
    >>> characteristic_time(Bandit([0.0, 1.0], law="gaussian"))
    (8.0, array([0.5, 0.5]))
    """
    laws = family(bandit)
    means = bandit.means[0]
    best = int(np.argmax(means))
    if np.count_nonzero(means >= means[best] - LEAST) > 1:
        raise ValueError("bandit must have one best arm: no number of rewards tells two apart")
    share = 0.0 if beta is None else checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True)
    w = np.zeros(means.size)
    _, time = optimal_weights(laws, means, share, 0.5, w)
    return float(time), w


# --- divergences ---


@kernel
def _excess(u: float) -> float:
    """Return ``u - ln(1 + u)``, accurate near 0."""
    if abs(u) < 1e-3:
        return u * u * (0.5 - u * (1.0 / 3.0 - u * (0.25 - u * (0.2 - u / 6.0))))
    return u - math.log1p(u)


@kernel
def kl(laws: Family, x: float, y: float) -> float:
    """Return the divergence of the law with mean x from that with mean y, of one family.

    Its relative error stays small where x and y are close.
    """
    if laws.gaussian:
        z = (x - y) / laws.sigma
        return 0.5 * z * z
    if x == y:
        return 0.0
    if y <= 0.0 or y >= 1.0:
        return math.inf
    first = x * _excess((y - x) / x) if x > 1e-300 else y  # below, the quotient may overflow
    return first + ((1.0 - x) * _excess((x - y) / (1.0 - x)) if x < 1.0 else 1.0 - y)


@kernel
def transport(laws: Family, n_a: float, x_a: float, n_b: float, x_b: float) -> float:
    """Return the evidence that arm a is better than arm b: n plays each with mean rewards x.

    ``n_a d(x_a, m) + n_b d(x_b, m)`` with m the mean of both: the log of the generalised likelihood ratio of
    "a is better" to "b is at least as good"; 0 where x_a <= x_b.
    """
    if x_a <= x_b:
        return 0.0
    m = (n_a * x_a + n_b * x_b) / (n_a + n_b)
    return n_a * kl(laws, x_a, m) + n_b * kl(laws, x_b, m)


# --- the characteristic time ---


@kernel
def level(laws: Family, best: float, other: float, x: float) -> float:
    """Return ``g(x) = d(best, m) + x d(other, m)`` at ``m = (best + x other) / (1 + x)``."""
    m = (best + x * other) / (1.0 + x)
    return kl(laws, best, m) + x * kl(laws, other, m)


@kernel
def inverse_level(laws: Family, best: float, other: float, y: float, guess: float, high: float) -> float:
    """Return the x in [0, high] with ``g(x) = y``: Newton, as g is concave with slope d(other, m)."""
    low, x = 0.0, guess if 0.0 < guess < high else high
    for _ in range(200):
        f = level(laws, best, other, x) - y
        if f > 0.0:
            high = x
        else:
            low = x
        slope = kl(laws, other, (best + x * other) / (1.0 + x))
        new = x - f / slope if slope > 0.0 else -1.0
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 1e-14 * new:
            return new
        x = new
    return x


@kernel
def balance(laws: Family, best: float, other: float, x: float, share: float) -> tuple[float, float]:
    """Return an arm's term of the outer equation at x, and its derivative in y.

    The term is ``d(best, m) / d(other, m)``, or x where the share of the best arm is given.
    """
    m = (best + x * other) / (1.0 + x)
    near = kl(laws, other, m)
    if near <= 0.0:
        return math.inf, math.inf
    if share > 0.0:
        return x, 1.0 / near
    far = kl(laws, best, m)
    variance = laws.sigma * laws.sigma if laws.gaussian else m * (1.0 - m)
    turn = (other - m) / ((1.0 + x) * variance)  # dm/dx over the variance: d(a, .)' = (m - a) / variance
    return far / near, turn * ((m - best) * near - (m - other) * far) / (near * near * near)


@kernel
def optimal_weights(laws: Family, mean: Array, share: float, start: float, w: Array) -> tuple[float, float]:
    """Write w* into `w`; return a start for the next, similar problem (in (0, 1)) and T*.

    `w` on entry is a guess, or all zero. With `share` in (0, 1) the best arm has that share. Arms that tie
    for the best divide all plays.
    """
    best, ties = 0, 0
    for a in range(mean.size):
        if mean[a] > mean[best]:
            best = a
    for a in range(mean.size):
        ties += 1 if mean[a] == mean[best] else 0
    if ties > 1:
        for a in range(mean.size):
            w[a] = 1.0 / ties if mean[a] == mean[best] else 0.0
        return start, math.inf
    second = 1 if best == 0 else 0
    for a in range(mean.size):
        if a != best and mean[a] > mean[second]:
            second = a
    target = 1.0 if share == 0.0 else (1.0 - share) / share
    if w[best] > 0.0:
        w /= w[best]
    low, high, s = 0.0, 1.0, start  # s = x / (1 + x) of the second arm
    y = 0.0
    for _ in range(200):
        x = s / (1.0 - s)
        y = level(laws, mean[best], mean[second], x)
        total, slope, w[second] = -target, 0.0, x
        for a in range(mean.size):
            if a != best:
                if a != second:
                    w[a] = inverse_level(laws, mean[best], mean[a], y, w[a], x)
                term, turn = balance(laws, mean[best], mean[a], w[a], share)
                total += term
                slope += turn
        if total > 0.0:
            high = s
        else:
            low = s
        m = mean[best] + s * (mean[second] - mean[best])
        slope *= kl(laws, mean[second], m) / ((1.0 - s) * (1.0 - s))
        new = s - total / slope if 0.0 < slope < math.inf and total < math.inf else -1.0
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - s) <= 1e-13 * (1.0 - s) * s:
            break
        s = new
    w[best] = 1.0
    total = w.sum()
    w /= total
    return s, total / y
