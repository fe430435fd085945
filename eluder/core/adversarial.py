r"""Adversarial MDPs: the losses change from episode to episode, and regret is against the best fixed policy.

In episode k the loss of action a in state s at stage h is ``l_k(h, s, a)`` in [0, 1]. The learner sees the
losses of what it plays, no others. With ``V^pi(l)`` the expected loss of an episode,

    regret(K) = sum_k V^{pi_k}(l_k) - min_pi sum_k V^pi(l_k) = sum_k V^{pi_k}(l_k) - min_pi V^pi(sum_k l_k),

since values are linear in the losses: the best policy in hindsight is a dynamic program on the summed losses.
All of this is measurement, exact, and never an input of a learner.

The dilated bonus (Luo, Wei & Lee 2021) is what policy optimisation adds to explore:

    B(h, s, a) = b(h, s, a) + (1 + 1/H) sum_{s'} P_h(s' | s, a) sum_{a'} pi(a' | s') B(h + 1, s', a')
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.kernels import kernel, sample
from eluder.core.problems import EpisodicMDP
from eluder.core.results import BanditResult, checkpoints
from eluder.core.simulator import Simulator, next_value, reset, simulator, step, stochastic_policy_value
from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "AdversarialBooks",
    "AdversarialMDP",
    "AdversarialResult",
    "adversarial_books",
    "adversarial_result",
    "begin_episode",
    "dilated_bonus",
    "finish_episode",
    "hindsight_loss",
    "linear_q_error",
    "losses_of_episode",
    "play_episode",
    "visits",
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


class AdversarialBooks(NamedTuple):
    """Simulator, adversary and exact account of a run; learners touch it by `play_episode` only.

    Attributes
    ----------
    sim : Simulator
        The dynamics; ``sim.r`` holds the losses of the current episode.
    tables : ndarray, shape (N, H, S, A)
        The adversary's tables.
    phi : ndarray, shape (S, A, d)
        Features.
    block : int
        Episodes for which a table stays.
    adaptive : float
        Share of the adversary that reacts.
    target : ndarray of int, shape (H,)
        The feature which that share charges.
    total : ndarray, shape (H, S, A)
        Summed losses.
    played : ndarray, shape (1,)
        Summed expected loss of what was played.
    at : ndarray of int, shape (C,)
        Checkpoints.
    row : ndarray of int, shape (1,)
        The next checkpoint.
    regret, value : ndarray, shape (C,)
        As in `AdversarialResult`.
    N : ndarray of int, shape (H, S, A)
        Visits.
    V : ndarray, shape (H + 1, S)
        Room for values.
    q : ndarray, shape (H, S)
        Room for the probabilities of states.
    best : ndarray of int, shape (H, S)
        The best policy in hindsight at the last checkpoint.
    """

    sim: Simulator
    tables: Array
    phi: Array
    block: int
    adaptive: float
    target: IntArray
    total: Array
    played: Array
    at: IntArray
    row: IntArray
    regret: Array
    value: Array
    N: IntArray
    V: Array
    q: Array
    best: IntArray


def adversarial_books(mdp: AdversarialMDP, K: int) -> AdversarialBooks:
    """Return the account of a run of K episodes before the first.

    Parameters
    ----------
    mdp : AdversarialMDP
        The problem.
    K : int
        Number of episodes.

    Returns
    -------
    AdversarialBooks
        O(N H S A) numbers, and one for each checkpoint.

    Raises
    ------
    ValueError
        If `mdp` is not an AdversarialMDP.

    Examples
    --------
    >>> mdp = AdversarialMDP(P=[[[[1.0]]]], losses=[[[[0.5]]]], mu=[1.0])
    >>> adversarial_books(mdp, 1000).at[-1]
    np.int64(1000)
    """
    refuse_not_adversarial(mdp)
    H, S, A = mdp.losses.shape[1:]
    at = checkpoints(K)
    return AdversarialBooks(
        sim=simulator(EpisodicMDP(mdp.P, np.zeros((H, S, A)), mdp.mu, H, mdp.mask)),
        tables=mdp.losses,
        phi=mdp.phi,
        block=mdp.block,
        adaptive=mdp.adaptive,
        target=np.zeros(H, np.int64),
        total=np.zeros((H, S, A)),
        played=np.zeros(1),
        at=at,
        row=np.zeros(1, np.int64),
        regret=np.zeros(at.size),
        value=np.zeros(at.size),
        N=np.zeros((H, S, A), np.int64),
        V=np.zeros((H + 1, S)),
        q=np.zeros((H, S)),
        best=np.zeros((H, S), np.int64),
    )


def adversarial_result(books: AdversarialBooks, pi: Array) -> AdversarialResult:
    """Return the result of a run whose last policy is `pi`.

    Parameters
    ----------
    books : AdversarialBooks
        The account after the last episode.
    pi : ndarray, shape (H, S, A)
        The last policy.

    Returns
    -------
    AdversarialResult
        Checkpoints and regret.

    Examples
    --------
    >>> mdp = AdversarialMDP(P=[[[[1.0]]]], losses=[[[[0.5]]]], mu=[1.0])
    >>> adversarial_result(adversarial_books(mdp, 1), np.ones((1, 1, 1))).best.shape
    (1, 1)
    """
    return AdversarialResult(books.at, books.regret, books.N, books.value, pi, books.best)


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
    books = adversarial_books(mdp, 1)
    n, block = len(mdp.losses), mdp.block
    turns, rest = divmod(K, n * block)
    count = turns * block + np.clip(rest - block * np.arange(n), 0, block)
    books.total[:] = np.einsum("n,nhsa->hsa", count.astype(float), mdp.losses)
    return float(_hindsight(books))


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


@kernel
def begin_episode(books: AdversarialBooks, k: int) -> None:
    """Let the adversary choose the losses of episode `k`, in place (``sim.r``)."""
    H, S, A = books.total.shape
    table, share = books.tables[k // books.block % len(books.tables)], books.adaptive
    for h in range(H):
        for s in range(S):
            for a in range(A):
                x = table[h, s, a]
                if share > 0.0:
                    x = (1.0 - share) * x + share * books.phi[s, a, books.target[h]]
                books.sim.r[h, s, a] = x


@kernel
def play_episode(
    books: AdversarialBooks, pi: Array, path: IntArray, played: IntArray, L: Array, rng: np.random.Generator
) -> None:
    """Play an episode of `pi`; write states `path` (H + 1,), actions `played` (H,), losses to go `L` (H,)."""
    H = played.size
    path[0] = reset(books.sim, rng)
    for h in range(H):
        played[h] = sample(pi[h, path[h]], rng)
        path[h + 1], L[h], _ = step(books.sim, h, path[h], played[h], rng)
        books.N[h, path[h], played[h]] += 1
    for h in range(H - 2, -1, -1):
        L[h] += L[h + 1]


@kernel
def finish_episode(books: AdversarialBooks, k: int, pi: Array) -> None:
    """Account for episode `k`, in which `pi` was played: all of it is measurement, in place (`books`)."""
    H, S, A = books.total.shape
    books.played[0] += stochastic_policy_value(books.sim, pi, books.V)
    for h in range(H):
        for s in range(S):
            for a in range(A):
                books.total[h, s, a] += books.sim.r[h, s, a]
    if books.adaptive > 0.0:
        _react(books, pi)
    c = books.row[0]
    if k + 1 == books.at[c]:
        books.value[c] = -books.played[0]
        books.regret[c] = books.played[0] - _hindsight(books)
        books.row[0] += 1


@kernel
def _react(books: AdversarialBooks, pi: Array) -> None:
    """Find, for each stage, the feature with the largest expected value under `pi`, in place (`target`)."""
    H, S, A = pi.shape
    d = books.phi.shape[2]
    visits(books.sim, pi, books.q)
    for h in range(H):
        most = -1.0
        for i in range(d):
            x = 0.0
            for s in range(S):
                for a in range(A):
                    x += books.q[h, s] * pi[h, s, a] * books.phi[s, a, i]
            if x > most:
                most, books.target[h] = x, i


@kernel
def _hindsight(books: AdversarialBooks) -> float:
    """Return the least loss of a fixed policy under the summed losses; `best` and `V` in place."""
    H, S, A = books.total.shape
    V = books.V
    V[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            V[h, s] = np.inf
            for a in range(A):
                if books.sim.mask[s, a]:
                    x = books.total[h, s, a] + next_value(books.sim, h, s, a, V)
                    if x < V[h, s]:
                        V[h, s] = x
                        books.best[h, s] = a
    least = 0.0
    for s in range(S):
        least += books.sim.mu[s] * V[0, s]
    V[H] = 0.0
    return least


@kernel
def visits(sim: Simulator, pi: Array, q: Array) -> None:
    """Write the probability ``q[h, s]`` that `pi` is in s at stage h, in place (`q`)."""
    H, S, A = pi.shape
    q[:] = 0.0
    q[0] = sim.mu
    for h in range(H - 1):
        g = sim.stage[h]
        for s in range(S):
            for a in range(A):
                p = q[h, s] * pi[h, s, a]
                if p > 0.0:
                    for i in range(sim.prob.shape[3]):
                        q[h + 1, sim.succ[g, s, a, i]] += p * sim.prob[g, s, a, i]


@kernel
def dilated_bonus(sim: Simulator, pi: Array, b: Array, B: Array, V: Array) -> None:
    """Write the dilated bonus ``B = b + (1 + 1/H) E[<pi, B>]``, in place; `V` (H + 1, S): ``<pi, B>``."""
    H, S, A = b.shape
    factor = 1.0 + 1.0 / H
    V[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            V[h, s] = 0.0
            for a in range(A):
                B[h, s, a] = b[h, s, a] + factor * next_value(sim, h, s, a, V)
                V[h, s] += pi[h, s, a] * B[h, s, a]
