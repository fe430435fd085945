r"""RepExp: the most novel answers by an elliptical bonus (Tuyls, Foster, Krishnamurthy & Ash, 2025).

Pseudo-code (the choice at inference time), in our names; phi is the representation of each answer::

    V = lam I
    for t = 0, ..., T-1:
        a = argmax over answers not yet played of sqrt(phi_a' V^-1 phi_a)
        play a, that is, let it be verified                                             # act
        V += phi_a phi_a'                                                               # update

Guarantee: the paper has experiments, no theorem. What holds of its rule, and is tested here: (1) ``ln det V``
at the end is at least ``1 - 1/e`` of that of the best T answers, both less ``ln det(lam I)``, for it is a
monotone submodular function of the set and the rule is its greedy maximiser (Nemhauser, Wolsey & Fisher
1978); (2) every answer not played has ``phi_a' V^-1 phi_a <= (1 + T L^2 / (d lam))^(d / T) - 1`` with ``|phi|
<= L``, so after some multiple of d plays no answer is very different from all that were seen.

Deviations from the paper: representations are given, not taken from a language model; neither the random
projection of long ones nor the bonus inside post-training is here. The first answer is the most novel one.
`lam` and the subtraction of the mean are parameters, whose values in the paper were not confirmed.
"""

from dataclasses import dataclass

import numpy as np

from eluder.core import checks
from eluder.core.feature_bandits import FeatureBandit, pull, refuse_other_problems
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.ridge import Ridge, absorb, ridge
from eluder.core.types import Array, IntArray
from eluder.linear.bandits._ellipsoid import refuse_overflow

__all__ = ["SelectionResult", "rep_exp"]


@dataclass(frozen=True, slots=True, eq=False)
class SelectionResult:
    """What a choice without repetition returns.

    Attributes
    ----------
    arms : ndarray of int, shape (T,)
        What was played, in this order.
    rewards : ndarray, shape (T,)
        The reward of each.
    bonus : ndarray, shape (T,)
        ``sqrt(phi_a' V^-1 phi_a)`` when it was chosen; never increases.
    log_det : ndarray, shape (T,)
        ``ln(det V / det(lam I))`` after each.
    """

    arms: IntArray
    rewards: Array
    bonus: Array
    log_det: Array


def rep_exp(
    bandit: FeatureBandit, T: int, *, lam: float = 1.0, center: bool = True, rng: np.random.Generator
) -> SelectionResult:
    """Play T different arms, each as unlike those before as any.

    Parameters
    ----------
    bandit : FeatureBandit
        The pool; the learner sees `phi` and, in the end, rewards, never `means`.
    T : int
        Number of arms to play, at most A.
    lam : float, default=1.0
        Weight > 0 of the identity: the smaller, the more a new direction counts beside a long vector.
    center : bool, default=True
        Subtract the mean of the pool's features first.
    rng : numpy.random.Generator
        Draws the rewards; the choice is deterministic.

    Returns
    -------
    SelectionResult
        Arms in the order of their choice, with their rewards and bonuses.

    Raises
    ------
    ValueError
        If `bandit` is not a FeatureBandit, or an argument is outside its range.

    Notes
    -----
    O(A d + d^2) time for each arm by a rank-one update, memory O(A d + d^2).

    References
    ----------
    .. [1] Tuyls, Foster, Krishnamurthy and Ash. Representation-based exploration for language models: from
       test-time to post-training. 2025. arXiv:2510.11686
    .. [2] Nemhauser, Wolsey and Fisher. An analysis of approximations for maximizing submodular set
       functions. Mathematical Programming 14, 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import feature_bandit
    >>> pool = feature_bandit([[2, 0], [1.9, 0.1], [0, 1]], [0, 0, 1], law="bernoulli")
    >>> rep_exp(pool, 2, center=False, rng=np.random.default_rng(0)).arms
    array([0, 2])
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T, 1, len(bandit.phi))
    lam = checks.number("lam", lam, 0.0, 1e100, open_low=True)
    if not isinstance(center, bool | np.bool_):
        raise ValueError(f"center must be True or False, got {center!r}")
    phi = np.ascontiguousarray(bandit.phi - bandit.phi.mean(axis=0)) if center else bandit.phi
    result = SelectionResult(np.zeros(T, np.int64), np.zeros(T), np.zeros(T), np.zeros(T))
    refuse_overflow(phi, lam, 0.0)
    R, g = ridge(phi, lam), checks.generator(rng)
    _rep_exp(bandit, R, result.arms, result.rewards, result.bonus, result.log_det, g)
    return result


def novelty_bound(d: int, T: int, L: float = 1.0, lam: float = 1.0) -> float:
    """Return ``(1 + T L^2 / (d lam))^(d / T) - 1``: bounds ``phi' V^-1 phi`` of what is left."""
    return float(np.expm1(d / T * np.log1p(T * L**2 / (d * lam))))


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Representation-based exploration for language models: from test-time to post-training",
            authors="Tuyls, Foster, Krishnamurthy, Ash",
            venue="arXiv",
            year=2025,
            arxiv="2510.11686",
        ),
        setting="selection",
        statement="log-determinant at least 1 - 1/e of the largest; what is left is within the novelty bound "
        "(no theorem in the paper)",
        assumptions="a finite pool with features",
        bound=novelty_bound,
    ),
)


@kernel
def _rep_exp(
    bandit: FeatureBandit,
    R: Ridge,
    arms: IntArray,
    rewards: Array,
    bonus: Array,
    log_det: Array,
    rng: np.random.Generator,
) -> None:
    """Choose and play `arms.size` arms; all arrays and `R` in place."""
    left = np.ones(R.y.size, np.bool_)
    for t in range(arms.size):
        a = -1
        for b in range(left.size):
            if left[b] and (a < 0 or R.width[b] > R.width[a]):
                a = b
        left[a] = False
        arms[t], bonus[t] = a, np.sqrt(max(R.width[a], 0.0))

        # act
        rewards[t] = pull(bandit, a, rng)

        # update
        absorb(R, a, 1.0, rewards[t])
        log_det[t] = R.log_det[0]
