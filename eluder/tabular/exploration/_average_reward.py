"""What the optimistic learners for average reward share: memory, one episode of play, one optimistic sweep.

They wander through one long run of T steps, without resets, cut into episodes k by their own counts::

    for k = 1, 2, ...:
        plan with N_k, the counts before the episode: extended value iteration until the span of
            u_{i+1} - u_i is below 1 / sqrt(t_k)                                               # plan
        v <- 0
        while v(s, pi(s)) < max(1, N_k(s, pi(s))):  play pi(s), v(s, pi(s)) += 1               # act, update
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

from eluder.core import checks
from eluder.core.exact import closed_classes, policy_kernel
from eluder.core.kernels import kernel
from eluder.core.problems import DiscountedMDP
from eluder.core.simulator import Simulator, simulator, step
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["MAX_SWEEPS", "Memory", "average_simulator", "backup", "memory", "play_episode", "warn_if_cut"]

MAX_SWEEPS = 20_000  # of one extended value iteration; the optimistic gain is then still an upper bound


class Memory(NamedTuple):
    """What the learner has seen.

    Attributes
    ----------
    N : ndarray of int, shape (S, A)
        Visits before the current episode.
    n_next : ndarray of int, shape (S, A, B)
        Visits by successor slot.
    reward : ndarray, shape (S, A)
        Sums of observed rewards.
    """

    N: IntArray
    n_next: IntArray
    reward: Array


def average_simulator(mdp: DiscountedMDP) -> Simulator:
    """Return the simulator of a problem with rewards in [0, 1]; warn if it does not communicate."""
    if not isinstance(mdp, DiscountedMDP):
        raise ValueError(f"mdp must be a DiscountedMDP (gamma is ignored), got {type(mdp).__name__}")
    checks.finite("r", mdp.r, (None, None), 0.0, 1.0)
    anywhere, _ = policy_kernel(mdp, mdp.mask / mdp.mask.sum(axis=1, keepdims=True))
    if closed_classes(anywhere)[0] != list(range(mdp.mu.size)):
        warnings.warn("the problem is not communicating: its regret may grow linearly", stacklevel=3)
    return simulator(mdp)


def warn_if_cut(cut: int, name: str) -> Any:
    """Warn if `cut` runs of extended value iteration stopped at `MAX_SWEEPS`."""
    if cut:
        warnings.warn(
            f"{name}: extended value iteration stopped at {MAX_SWEEPS} sweeps in {cut} episodes; "
            "the problem may not be communicating",
            stacklevel=3,
        )


def memory(sim: Simulator) -> Memory:
    """Return an empty memory."""
    _, S, A, B = sim.prob.shape
    return Memory(np.zeros((S, A), np.int64), np.zeros((S, A, B), np.int64), np.zeros((S, A)))


@kernel
def backup(Q: Array, u: Array, r_up: Array, PV: Array, mask: BoolArray, pi: IntArray, damping: float) -> Any:
    """Set Q = r_up + PV, `pi` greedy, ``u += damping (max_a Q - u)``, min u = 0; return min, max of Q_pi - u.

    The optimal gain of the optimistic problem lies between the two numbers returned, whatever `u`.
    """
    S, A = Q.shape
    low = np.inf
    high = -np.inf
    for s in range(S):
        best = -1
        for a in range(A):
            Q[s, a] = r_up[s, a] + PV[s, a] if mask[s, a] else -np.inf
            if mask[s, a] and (best < 0 or Q[s, a] > Q[s, best]):
                best = a
        pi[s] = best
        change = Q[s, best] - u[s]
        low = min(low, change)
        high = max(high, change)
    least = np.inf
    for s in range(S):
        u[s] += damping * (Q[s, pi[s]] - u[s])
        least = min(least, u[s])
    for s in range(S):
        u[s] -= least
    return low, high


@kernel
def play_episode(
    sim: Simulator,
    pi: IntArray,
    m: Memory,
    v: IntArray,
    s: int,
    t: int,
    value: Array,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Play `pi` until a pair has doubled its visits or time is up; return the state and time reached.

    `m`, `v` (S,) (visits of (s, pi[s]) in this episode) and `value` change in place.
    """
    v[:] = 0
    while t < value.size:
        a = pi[s]
        if v[s] >= max(1, m.N[s, a]):
            break
        s_next, reward, slot = step(sim, 0, s, a, rng)
        value[t] = sim.r[0, s, a]  # measurement
        m.n_next[s, a, slot] += 1
        m.reward[s, a] += reward
        v[s] += 1
        s = s_next
        t += 1
    for i in range(v.size):
        m.N[i, pi[i]] += v[i]
    return s, t
