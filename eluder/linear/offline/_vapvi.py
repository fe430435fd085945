r"""VAPVI: variance-aware pessimistic value iteration (Yin, Duan, Wang & Wang, ICLR 2022).

Pseudo-code (algorithm 1), in our names; the first half of the data, D', is for the variances alone::

    for h = H-1, ..., 0:
        Sigma <- lam I + sum over D' of phi phi'
        u, u_square <- Sigma^-1 sum over D' of phi V[h+1](s'), and of phi V[h+1](s')^2
        var <- max(1, clip(phi u_square, 0, (H - h)^2) - clip(phi u, 0, H - h)^2)
        Lambda <- lam I + sum over D of phi phi' / var(s, a)
        w <- Lambda^-1 sum over D of phi (r + V[h+1](s')) / var(s, a)
        Q[h] <- clip(phi w - beta sqrt(phi' Lambda^-1 phi) - 2 H^3 sqrt(d) / K, 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with beta = c sqrt(d) L, L = ln(2 d H K / delta) and K transitions a stage in D.

Guarantee: with probability at least 1 - delta, for K large and data that cover all features,

    V^{pi*}(s) - V^{pi}(s) <= O~(sqrt(d) sum_h E_{pi*}[ sqrt(phi' Lambda_h^-1 phi) | s_0 = s ]) + O~(1 / K)

with Lambda_h weighted by the variances of V* (Theorem 3.2): where the next value hardly varies, data tell
more than without weights.

Deviations from the paper: it writes beta = O~(sqrt(d)), the logarithm here is not confirmed; c is 1 unless
given, and multiplies the term in 1 / K too. The paper has two data sets; here they are the halves of one.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, refuse_not_linear
from eluder.core.offline_regression import absorb, absorb_stage, halves, next_variances
from eluder.core.results import PessimisticResult
from eluder.core.ridge import checked_radius
from eluder.core.transitions import Transitions, refuse_outside
from eluder.core.types import Array, BoolArray, IntArray
from eluder.core.value_regression import ValueRegression, new_regression, predict, solve

__all__ = ["vapvi"]


def vapvi(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    data: Transitions,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
) -> PessimisticResult:
    """Learn a policy from transitions by variance-aware pessimistic value iteration.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The learner reads `phi`, the available actions and the horizon; nothing else.
    data : Transitions
        At least 2 transitions of each stage; the first half serves the variances.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the penalty; smaller is common in practice, 0 is weighted least squares.

    Returns
    -------
    PessimisticResult
        Policy, lower estimates of its values, and the penalties.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `data` not transitions of its stages, states and actions or fewer than 2,
        `lam` is not positive, `delta` is outside (0, 1), or `c` is negative or makes the penalty exceed
        1e100.

    Notes
    -----
    O(K H (d^2 + S A d)) time.

    References
    ----------
    .. [1] Yin, Duan, Wang and Wang. Near-optimal offline reinforcement learning with linear representation:
       leveraging variance information with pessimism. ICLR 2022, Theorem 3.2. arXiv:2203.05804

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.linear import episodic
    >>> from eluder.core.transitions import collect_episodes
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(4, 2, 3, 3, rng=np.random.default_rng(0))
    >>> data = collect_episodes(episodic(mdp), np.full((4, 2), 0.5), 100, np.random.default_rng(0))
    >>> vapvi(mdp, data, c=0.01).pi.shape
    (3, 4)
    """
    refuse_not_linear(mdp)
    S, A, d = mdp.phi.shape
    refuse_outside(data, S, A, mdp.H, mdp.mask)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    aside, log = halves(data)
    K = len(log.r)
    beta = checked_radius(c * radius(d, mdp.H, K, delta), c=c)
    rest = checked_radius(c * remainder(d, mdp.H, K), c=c)
    spread, fit = new_regression(mdp.phi, mdp.H, lam), new_regression(mdp.phi, mdp.H, lam)
    absorb(spread, *aside)
    shape = (mdp.H, S, A)
    Q, penalty = np.zeros(shape), np.zeros(shape)
    V, pi = np.zeros((mdp.H + 1, S)), np.zeros(shape[:2], np.int64)
    _vapvi(spread, fit, *log, beta, rest, mdp.mask, Q, penalty, V, pi)
    Q[:, ~mdp.mask] = -np.inf
    return PessimisticResult(pi, V[:-1], Q, penalty)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = sqrt(d) ln(2 d H K / delta)``; the paper's is this up to constants and logarithms."""
    return math.sqrt(d) * math.log(2 * d * H * K / delta)


def remainder(d: int, H: int, K: int) -> float:
    """Return ``2 H^3 sqrt(d) / K``, what the variances' own estimation costs."""
    return 2 * H**3 * math.sqrt(d) / K


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Near-optimal offline reinforcement learning with linear representation: leveraging "
            "variance information with pessimism",
            authors="Yin, Duan, Wang, Wang",
            venue="ICLR",
            year=2022,
            arxiv="2203.05804",
        ),
        setting="offline",
        statement="suboptimality at most O~(sqrt(d) sum_h E_{pi*}[|phi|_{Lambda^-1}]) + O~(1 / K) with "
        "probability 1 - delta, Lambda weighted by the variances of V* (Theorem 3.2)",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1], data that cover all features, K large",
    ),
)


@kernel
def _vapvi(
    spread: ValueRegression,
    fit: ValueRegression,
    s: IntArray,
    a: IntArray,
    r: Array,
    s_next: IntArray,
    beta: float,
    rest: float,
    mask: BoolArray,
    Q: Array,
    penalty: Array,
    V: Array,
    pi: IntArray,
) -> None:
    """Absorb the data into the weighted regressions and plan, in place (`fit`, `Q`, ..., `pi`)."""
    H, S, A = Q.shape
    d = fit.b.shape[1]
    y, w, var = np.zeros(d), np.zeros(d), np.zeros((S, A))
    for h in range(H - 1, -1, -1):
        next_variances(spread, h, V[h + 1], float(H - h), var)
        absorb_stage(fit, h, s, a, r, s_next, var)
        solve(fit, h, V[h + 1], y, w)
        for i in range(S):
            best, largest = -1, -math.inf
            for j in range(A):
                penalty[h, i, j] = beta * math.sqrt(max(fit.width2[h, i, j], 0.0)) + rest
                if not mask[i, j]:
                    continue
                q = predict(fit, i, j, w) - penalty[h, i, j]
                Q[h, i, j] = min(max(q, 0.0), float(H - h))
                if Q[h, i, j] > largest:
                    best, largest = j, Q[h, i, j]
            V[h, i], pi[h, i] = largest, best
