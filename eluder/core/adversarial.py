r"""Adversarial MDPs: the losses change from episode to episode, and regret is against the best fixed policy.

In episode k the loss of action a in state s at stage h is ``l_k(h, s, a)`` in [0, 1]. The learner sees the
losses of what it plays, no others. With ``V^pi(l)`` the expected loss of an episode,

    regret(K) = sum_k V^{pi_k}(l_k) - min_pi sum_k V^pi(l_k) = sum_k V^{pi_k}(l_k) - min_pi V^pi(sum_k l_k),

since values are linear in the losses: the best policy in hindsight is a dynamic program on the summed losses.
All of this is measurement, exact, and never an input of a learner. The account of a run is kept by
`eluder.core.adversarial_books`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.problems import EpisodicMDP
from eluder.core.results import BanditResult
from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "AdversarialMDP",
    "AdversarialResult",
    "hindsight_loss",
    "linear_q_error",
    "losses_of_episode",
]


class _AdversarialMDP(NamedTuple):
    P: Array
    losses: Array
    mu: Array
    phi: Array
    block: int
    adaptive: float
    mask: BoolArray


class AdversarialMDP(_AdversarialMDP):
    """Episodic problem with losses that an adversary chooses, and features of its pairs.

    Parameters
    ----------
    P : array_like, shape (H, S, A, S)
        Kernels of the stages.
    losses : array_like, shape (N, H, S, A)
        Tables of losses in [0, 1]: episode k, from 0, has table ``(k // block) % N``.
    mu : array_like, shape (S,)
        Distribution of the initial state.
    phi : array_like, shape (S, A, d), optional
        Features; one-hot, with ``d = S A``, by default. Linear learners need that the action values of every
        policy are linear in them, see `linear_q_error`; their theorems assume ``|phi| <= 1``.
    block : int, default=1
        Episodes for which a table stays.
    adaptive : float, default=0.0
        Share in [0, 1] of an adversary that reacts: it mixes into the table the feature whose expected value
        was the largest under the policy of the episode before. Features must be in [0, 1] then.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default.

    Raises
    ------
    ValueError
        If a shape or an entry is wrong; the message names the first bad entry.

    Examples
    --------
    >>> mdp = AdversarialMDP(P=[[[[1.0], [1.0]]]], losses=[[[[0.0, 1.0]]], [[[1.0, 0.5]]]], mu=[1.0])
    >>> hindsight_loss(mdp, 2)  # action 0 has 0 + 1, action 1 has 1 + 0.5
    1.0
    """

    __slots__ = ()

    def __new__(
        cls,
        P: ArrayLike,
        losses: ArrayLike,
        mu: ArrayLike,
        phi: ArrayLike | None = None,
        block: int = 1,
        adaptive: float = 0.0,
        mask: ArrayLike | None = None,
    ) -> Self:
        P = checks.distribution("P", P, (None, None, None, None))
        H, S, A, _ = P.shape
        P = checks.distribution("P", P, (H, S, A, S))
        losses = checks.finite("losses", losses, (None, H, S, A), 0.0, 1.0)
        features = np.eye(S * A).reshape(S, A, S * A) if phi is None else phi
        features = checks.finite("phi", features, (S, A, None))
        block = checks.integer("block", block)
        adaptive = checks.number("adaptive", adaptive, 0.0, 1.0)
        if adaptive > 0:
            features = checks.finite("phi", features, (S, A, None), 0.0, 1.0)
        plain = EpisodicMDP(P, np.zeros((S, A)), mu, H, mask)  # their checks
        return super().__new__(cls, P, losses, plain.mu, features, block, adaptive, plain.mask)

    @property
    def H(self) -> int:
        """The horizon."""
        return int(self.P.shape[0])

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


@dataclass(frozen=True, slots=True, eq=False)
class AdversarialResult(BanditResult):
    """What a learner against adversarial losses returns; rounds are episodes.

    Attributes
    ----------
    checkpoints : ndarray of int, shape (C,)
        Numbers of episodes, increasing, evenly spaced in log k; the last is K.
    regret : ndarray, shape (C,)
        Exact expected loss of the policies played so far, less that of the best fixed policy in hindsight
        over as many episodes. Can be negative.
    pulls : ndarray of int, shape (H, S, A)
        Visits.
    value : ndarray, shape (C,)
        Minus the exact expected loss of the policies played so far.
    pi : ndarray, shape (H, S, A)
        The last policy, of probabilities.
    best : ndarray of int, shape (H, S)
        The best fixed policy in hindsight.
    """

    pi: Array
    best: IntArray


def losses_of_episode(mdp: AdversarialMDP, k: int) -> Array:
    """Return the table of episode k of an adversary that does not react.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem.
    k : int
        Episode, from 0.

    Returns
    -------
    ndarray, shape (H, S, A)
        Losses.

    Examples
    --------
    >>> mdp = AdversarialMDP(P=[[[[1.0]]]], losses=[[[[0.5]]], [[[1.0]]]], mu=[1.0], block=2)
    >>> [float(losses_of_episode(mdp, k).item()) for k in range(5)]
    [0.5, 0.5, 1.0, 1.0, 0.5]
    """
    return np.asarray(mdp.losses[k // mdp.block % len(mdp.losses)])


def hindsight_loss(mdp: AdversarialMDP, K: int) -> float:
    """Return the expected loss, summed over K episodes, of the best fixed policy in hindsight.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem; its adversary must not react, for what it does then depends on the learner.
    K : int
        Number of episodes.

    Returns
    -------
    float
        ``min_pi sum_k V^pi(l_k)``, by dynamic programming on the summed losses.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP or its adversary reacts, or `K` < 1.

    Examples
    --------
    >>> mdp = AdversarialMDP(P=[[[[1.0], [1.0]]]], losses=[[[[0.0, 1.0]]]], mu=[1.0])
    >>> hindsight_loss(mdp, 10)
    0.0
    """
    refuse_not_adversarial(mdp)
    K = checks.integer("K", K)
    if mdp.adaptive > 0:
        raise ValueError("mdp reacts to the learner: its losses are known after a run only")
    n, block = len(mdp.losses), mdp.block
    turns, rest = divmod(K, n * block)
    count = turns * block + np.clip(rest - block * np.arange(n), 0, block)
    total, V = np.einsum("n,nhsa->hsa", count.astype(float), mdp.losses), np.zeros(mdp.mu.size)
    for h in range(mdp.H - 1, -1, -1):
        V = np.where(mdp.mask, total[h] + mdp.P[h] @ V, np.inf).min(axis=1)
    return float(mdp.mu @ V)


def linear_q_error(mdp: AdversarialMDP, pi: ArrayLike) -> float:
    """Return how far the action values of a policy are from linear in the features.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem.
    pi : array_like, shape (H, S, A)
        Probabilities.

    Returns
    -------
    float
        The largest residual of the least-squares fits of ``Q[h]`` to `phi` over the available pairs, over all
        tables and stages; 0 up to rounding where `pi` has linear values.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP, or `pi` is not a table of probabilities.

    Examples
    --------
    >>> mdp = AdversarialMDP([[[[1.0], [1.0]]]], [[[[0.0, 1.0]]]], [1.0], phi=[[[1.0], [1.0]]])
    >>> round(linear_q_error(mdp, [[[0.5, 0.5]]]), 9)
    0.5
    """
    refuse_not_adversarial(mdp)
    w = checks.distribution("pi", pi, mdp.P.shape[:3])
    x, worst = mdp.phi[mdp.mask], 0.0
    for table in mdp.losses:
        V = np.zeros(mdp.mu.size)
        for h in range(mdp.H - 1, -1, -1):
            Q = table[h] + mdp.P[h] @ V
            V = (w[h] * Q).sum(axis=1)
            y = Q[mdp.mask]
            worst = max(worst, float(np.abs(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).max()))
    return worst


def refuse_not_adversarial(mdp: Any) -> None:
    """Refuse what is not an `AdversarialMDP`."""
    if not isinstance(mdp, AdversarialMDP):
        raise ValueError(f"mdp must be an AdversarialMDP, got {type(mdp).__name__}")
