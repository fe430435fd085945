r"""LSVI-UCB on problems whose states cannot be enumerated (Jin, Yang, Wang & Jordan, COLT 2020).

Pseudo-code (algorithm 1), in our names, as the paper writes it, with sums over the rounds::

    for k = 1, ..., K:
        for h = H-1, ..., 0:                                                        # plan
            Lambda <- lam I + sum of phi phi' over the rounds of stage h
            w[h] <- Lambda^-1 sum of phi (r + max_a Q[h+1](s', a)) over these rounds
            Q[h] := min(phi w[h] + beta sqrt(phi' Lambda^-1 phi), H - h)            (at any state)
        for h = 0, ..., H-1:                                                        # act, update
            play a = argmax Q[h](s, .), observe r and s', keep phi(s, a), r and phi(s', .)

with lam = 1, beta = c d H sqrt(L), L = ln(2 d T / delta) and T = K H. On enumerable states `lsvi_ucb`
plays the same episodes at a cost that does not grow with K.

Guarantee: as of `lsvi_ucb`: with |phi| <= 1 and rewards in [0, 1] the regret is O(sqrt(d^3 H^3 T) L) with
probability at least 1 - delta, for an absolute constant c (Theorem 3.1).

Deviations from the paper: it leaves the constant c open, here 1 unless given; Q is cut off at H - h instead
of H (the reward left).
"""

import math
from typing import NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.features import FeatureMDP, features_of, outcome
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import kernel
from eluder.core.results import InteractionResult
from eluder.core.ridge import checked_radius
from eluder.core.types import Array
from eluder.core.value_regression import refuse_vanishing_ridge
from eluder.linear.exploration._lsvi_ucb import PAPER, radius

__all__ = ["lsvi_ucb_history"]


class History(NamedTuple):
    """What the learner keeps: the rounds of each stage, and the last plan.

    Attributes
    ----------
    phi : ndarray, shape (H, K, d)
        Features of what was played.
    r : ndarray, shape (H, K)
        Rewards.
    following : ndarray, shape (H, K, A, d)
        Features of the next state; rows of NaN where an action is not available there.
    w : ndarray, shape (H, d)
        Solutions.
    inverse : ndarray, shape (H, d, d)
        ``Lambda^-1``.
    """

    phi: Array
    r: Array
    following: Array
    w: Array
    inverse: Array


def lsvi_ucb_history(
    problem: FeatureMDP,
    K: int,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> InteractionResult:
    """Play K episodes of LSVI-UCB with the history of all rounds.

    Parameters
    ----------
    problem : FeatureMDP
        What is played. The learner sees features and rewards.
    K : int
        Number of episodes.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice.
    rng : numpy.random.Generator
        The only source of randomness; passed on to the problem.

    Returns
    -------
    InteractionResult
        ``returns`` and ``upper`` of shape (K,), and the last plan.

    Raises
    ------
    ValueError
        If `problem` is not a FeatureMDP, `K` < 1, `lam` is not positive, `delta` is outside (0, 1), `c` is
        negative or makes a radius above 1e100, `rng` is not a Generator; or if the problem gives features
        that are not (A, d) numbers or a reward outside [0, 1], or no pair of them.

    Notes
    -----
    O(H (k A d^2 + d^3)) time in episode k and O(K H A d) memory.

    References
    ----------
    .. [1] Jin, Yang, Wang and Jordan. Provably efficient reinforcement learning with linear function
       approximation. COLT 2020, Theorem 3.1. arXiv:1907.05388

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.features import FeatureMDP
    >>> def features(x):  # of a point in [0, 1): stay, or go on by 0.1
    ...     return np.array([[1.0, x], [1.0, (x + 0.1) % 1.0]]) / 2
    >>> walk = FeatureMDP(lambda rng: 0.0, lambda h, x, a, rng: ((x + 0.1 * a) % 1.0, x), features, H=3)
    >>> lsvi_ucb_history(walk, 50, c=0.01, rng=np.random.default_rng(0)).returns[-1].round(9)
    np.float64(0.3)
    """
    if not isinstance(problem, FeatureMDP):
        raise ValueError(f"problem must be a FeatureMDP, got {type(problem).__name__}")
    K = checks.integer("K", K)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    rng = checks.generator(rng)
    returns, upper, H = np.zeros(K), np.zeros(K), problem.H
    state = problem.reset(rng)
    F = features_of(problem, state)
    refuse_vanishing_ridge(lam, float(np.linalg.norm(F[~np.isnan(F[:, 0])], axis=1).max()))
    (A, d), history = F.shape, init(F.shape[0], F.shape[1], H, K, lam)
    beta = checked_radius(c * radius(d, H, K, delta), c=c)
    for k in range(K):
        # plan
        plan(history, k, lam, beta)

        # act
        if k > 0:
            state = problem.reset(rng)
            F = features_of(problem, state, (A, d))
        for h in range(H):
            a, q = act(history, h, F, beta)
            if h == 0:
                upper[k] = q
            state, reward = outcome(problem, h, state, a, rng)
            returns[k] += (r := checks.number("reward", reward, 0.0, 1.0))

            # update
            following = features_of(problem, state, (A, d)) if h + 1 < H else np.zeros((A, d))
            update(history, k, h, F[a], r, following)
            F = following
    return InteractionResult(returns, upper, history.w, history.inverse, beta)


def init(A: int, d: int, H: int, K: int, lam: float) -> History:
    """Return a history without rounds, with room for K of each stage."""
    inverse = np.broadcast_to(np.eye(d) / lam, (H, d, d)).copy()
    return History(np.zeros((H, K, d)), np.zeros((H, K)), np.zeros((H, K, A, d)), np.zeros((H, d)), inverse)


def act(history: History, h: int, F: Array, beta: float) -> tuple[int, float]:
    """Return the greedy action for features F (A, d) of stage h, and its value."""
    Q = np.array([_upper(f, history.w[h], history.inverse[h], beta) for f in F])
    Q = np.where(np.isnan(Q), -np.inf, np.minimum(Q, len(history.w) - h))
    a = int(np.argmax(Q))
    return a, float(Q[a])


def update(history: History, k: int, h: int, f: Array, reward: float, following: Array) -> None:
    """Keep round k of stage h, in place."""
    history.phi[h, k], history.r[h, k], history.following[h, k] = f, reward, following


GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="regret O~(sqrt(d^3 H^3 T)) with probability 1 - delta, T = K H (Theorem 3.1)",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]; an absolute constant in the radius",
        exponent=0.5,
    ),
)


@kernel
def _upper(f: Array, w: Array, inverse: Array, beta: float) -> float:
    """Return ``f' w + beta sqrt(f' inverse f)``; NaN if f is."""
    mean, width2 = 0.0, 0.0
    for i in range(f.size):
        mean += f[i] * w[i]
        row = 0.0
        for j in range(f.size):
            row += inverse[i, j] * f[j]
        width2 += f[i] * row
    return mean + beta * math.sqrt(width2 if width2 != width2 else max(width2, 0.0))


@kernel
def plan(history: History, k: int, lam: float, beta: float) -> None:
    """Fit all stages to the first k rounds, in place (`w`, `inverse`)."""
    H, d = history.w.shape
    A = history.following.shape[2]
    for h in range(H - 1, -1, -1):
        Lambda, target = lam * np.eye(d), np.zeros(d)
        for i in range(k):
            y = 0.0
            if h + 1 < H:
                y = -math.inf
                for a in range(A):
                    q = _upper(history.following[h, i, a], history.w[h + 1], history.inverse[h + 1], beta)
                    if q == q and q > y:  # q is NaN where the action is not available
                        y = q
                y = min(y, float(H - h - 1))
            f = history.phi[h, i]
            for j in range(d):
                target[j] += f[j] * (history.r[h, i] + y)
                for m in range(d):
                    Lambda[j, m] += f[j] * f[m]
        history.inverse[h] = np.linalg.inv(Lambda)
        history.w[h] = history.inverse[h] @ target
