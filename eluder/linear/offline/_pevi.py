r"""PEVI: pessimistic value iteration (Jin, Yang & Wang, ICML 2021).

Pseudo-code (algorithm 2), in our names::

    for h = H-1, ..., 0:
        Lambda <- lam I + sum of phi phi' over the data of stage h
        w <- Lambda^-1 sum of phi (r + V[h+1](s')) over the data
        Q[h] <- clip(phi w - beta sqrt(phi' Lambda^-1 phi), 0, H - h)
        pi[h] <- argmax Q[h],  V[h] <- max Q[h]

with lam = 1, beta = c d H sqrt(L), L = ln(2 d H K / delta) and K transitions a stage.

Guarantee: with probability at least 1 - delta, for every policy pi* to compare with,

    V^{pi*}(s) - V^{pi}(s) <= 2 beta sum_h E_{pi*}[ sqrt(phi' Lambda_h^-1 phi) | s_0 = s ]     (Theorem 4.4)

so what counts is how well the data cover the good policy, and no others; and V is at most the value of pi.

Deviations from the paper: it leaves the constant c open, here 1 unless given. Data of all stages may come
from the same episodes.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.linear import LinearMDP, MisspecifiedLinearMDP, refuse_not_linear
from eluder.core.offline_regression import absorb
from eluder.core.results import PessimisticResult
from eluder.core.ridge import checked_radius
from eluder.core.transitions import Transitions, refuse_outside
from eluder.core.types import Array, BoolArray, IntArray
from eluder.core.value_regression import ValueRegression, new_regression, predict, solve

__all__ = ["pevi"]


def pevi(
    mdp: LinearMDP | MisspecifiedLinearMDP,
    data: Transitions,
    *,
    lam: float = 1.0,
    delta: float = 0.05,
    c: float = 1.0,
) -> PessimisticResult:
    """Learn a policy from transitions by pessimistic value iteration.

    Parameters
    ----------
    mdp : LinearMDP or MisspecifiedLinearMDP
        The learner reads `phi`, the available actions and the horizon; nothing else.
    data : Transitions
        K transitions of each stage.
    lam : float, default=1.0
        Weight > 0 of the ridge.
    delta : float, default=0.05
        Failure probability, in (0, 1).
    c : float, default=1.0
        Multiplies the radius `beta`; smaller is common in practice, 0 is plain least squares.

    Returns
    -------
    PessimisticResult
        Policy, lower estimates of its values, and the penalties.

    Raises
    ------
    ValueError
        If `mdp` is not linear, `data` not transitions of its stages, states and available actions, `lam` is
        not positive, `delta` is outside (0, 1), or `c` is negative or makes the radius exceed 1e100.

    Notes
    -----
    O(K H (d^2 + S A d)) time.

    References
    ----------
    .. [1] Jin, Yang and Wang. Is pessimism provably efficient for offline RL? ICML 2021, Theorem 4.4.
       arXiv:2012.15085

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.linear import episodic
    >>> from eluder.core.transitions import collect_episodes
    >>> from eluder.envs import random_linear_mdp
    >>> mdp = random_linear_mdp(4, 2, 3, 3, rng=np.random.default_rng(0))
    >>> data = collect_episodes(episodic(mdp), np.full((4, 2), 0.5), 100, np.random.default_rng(0))
    >>> pevi(mdp, data, c=0.01).pi.shape
    (3, 4)
    """
    refuse_not_linear(mdp)
    S, A, d = mdp.phi.shape
    refuse_outside(data, S, A, mdp.H, mdp.mask)
    lam = checks.number("lam", lam, 0.0, open_low=True)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    beta = checked_radius(c * radius(d, mdp.H, len(data.r), delta), c=c)
    fit = new_regression(mdp.phi, mdp.H, lam)
    absorb(fit, *data)
    penalty = beta * np.sqrt(np.maximum(fit.width2, 0.0))
    Q, V, pi = np.zeros((mdp.H, S, A)), np.zeros((mdp.H + 1, S)), np.zeros((mdp.H, S), np.int64)
    _plan(fit, penalty, mdp.mask, Q, V, pi)
    Q[:, ~mdp.mask] = -np.inf
    return PessimisticResult(pi, V[:-1], Q, penalty)


def radius(d: int, H: int, K: int, delta: float) -> float:
    """Return ``beta = d H sqrt(ln(2 d H K / delta))``, with the paper's constant taken as 1."""
    return d * H * math.sqrt(math.log(2 * d * H * K / delta))


def suboptimality_bound(penalty: ArrayLike, occupancy: ArrayLike) -> float:
    """Return ``2 sum_h E_{pi*}[penalty_h]``; the occupancy measure of pi* has shape (H, S, A)."""
    return 2 * float(np.sum(np.asarray(penalty) * np.asarray(occupancy)))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Is pessimism provably efficient for offline RL?",
            authors="Jin, Yang, Wang",
            venue="ICML",
            year=2021,
            arxiv="2012.15085",
        ),
        setting="offline",
        statement="suboptimality at most 2 beta sum_h E_{pi*}[|phi|_{Lambda^-1}] with probability 1 - delta "
        "(Theorem 4.4)",
        assumptions="linear MDP, |phi| <= 1, rewards in [0, 1]; an absolute constant in the radius",
    ),
)


@kernel
def _plan(fit: ValueRegression, penalty: Array, mask: BoolArray, Q: Array, V: Array, pi: IntArray) -> None:
    """Plan in place (`Q`, `V`, `pi`)."""
    H, S, A = Q.shape
    d = fit.b.shape[1]
    y, w = np.zeros(d), np.zeros(d)
    for h in range(H - 1, -1, -1):
        solve(fit, h, V[h + 1], y, w)
        for s in range(S):
            best, largest = -1, -math.inf
            for a in range(A):
                if not mask[s, a]:
                    continue
                q = predict(fit, s, a, w) - penalty[h, s, a]
                Q[h, s, a] = min(max(q, 0.0), float(H - h))
                if Q[h, s, a] > largest:
                    best, largest = a, Q[h, s, a]
            V[h, s], pi[h, s] = largest, best
