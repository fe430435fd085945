r"""The account of a run against adversarial losses: simulator, adversary, exact regret at checkpoints.

A learner touches it by `play_episode`; what the adversary does and what is measured is in `begin_episode` and
`finish_episode`. The best fixed policy in hindsight is found at checkpoints only, by dynamic programming on
the summed losses, so an episode costs one exact evaluation, O(H S^2 A).

The dilated bonus (Luo, Wei & Lee 2021) is what policy optimisation adds to explore; with an exact simulator:

    B(h, s, a) = b(h, s, a) + (1 + 1/H) sum_{s'} P_h(s' | s, a) sum_{a'} pi(a' | s') B(h + 1, s', a')
"""

from typing import NamedTuple

import numpy as np

from eluder.core.adversarial import AdversarialMDP, AdversarialResult, refuse_not_adversarial
from eluder.core.kernels import kernel, sample
from eluder.core.problems import EpisodicMDP
from eluder.core.results import checkpoints
from eluder.core.simulator import (
    Simulator,
    next_value,
    reset,
    simulator,
    step,
    stochastic_policy_value,
    visits,
)
from eluder.core.types import Array, IntArray

__all__ = [
    "AdversarialBooks",
    "adversarial_books",
    "adversarial_result",
    "begin_episode",
    "dilated_bonus",
    "finish_episode",
    "play_episode",
]


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
