"""The simulator that kernels run on: a problem's kernel stored by successor, with exact evaluation.

Each pair (s, a) keeps only its successors: slot i of pair (s, a) is the state ``succ[g, s, a, i]``, reached
with probability ``prob[g, s, a, i]``. Learners may lay out their counts by the same slots: an unseen
successor has count zero and no influence, so this is a memory layout and not knowledge of the kernel. A
learner touches the dynamics through `reset` and `step` only; `policy_value` is measurement.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from eluder.core.kernels import kernel, sample
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.core.types import Array, BoolArray, IntArray

__all__ = [
    "Simulator",
    "next_value",
    "policy_value",
    "repair_policy_value",
    "reset",
    "simulator",
    "step",
    "stochastic_policy_value",
]


class Simulator(NamedTuple):
    """A problem as kernels read it. G is 1 (stationary) or H; B is the largest number of successors.

    Attributes
    ----------
    succ : ndarray of int, shape (G, S, A, B)
        Successors in increasing order; unused slots repeat the last one.
    prob : ndarray, shape (G, S, A, B)
        Their probabilities; unused slots have 0.
    stage : ndarray of int, shape (H,)
        Which of the G kernels stage h uses. Infinite-horizon problems have one stage.
    r : ndarray, shape (H, S, A)
        Mean rewards.
    mu : ndarray, shape (S,)
        Distribution of the initial state.
    mask : ndarray of bool, shape (S, A)
        Available actions.
    bernoulli : bool
        Whether rewards are drawn as 0 or 1.
    """

    succ: IntArray
    prob: Array
    stage: IntArray
    r: Array
    mu: Array
    mask: BoolArray
    bernoulli: bool


def simulator(mdp: EpisodicMDP | DiscountedMDP) -> Simulator:
    """Lay out a problem by successors.

    Parameters
    ----------
    mdp : EpisodicMDP or DiscountedMDP
        The problem; its arrays are copied.

    Returns
    -------
    Simulator
        The same dynamics, O(G S A B) numbers.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> sim = simulator(EpisodicMDP(P=[[[0, 1.0]], [[0.5, 0.5]]], r=[[0.0], [1.0]], mu=[1, 0], H=2))
    >>> sim.succ[0, :, 0].tolist(), sim.prob[0, :, 0].tolist()
    ([[1, 1], [0, 1]], [[1.0, 0.0], [0.5, 0.5]])
    """
    S, A = mdp.mask.shape
    H = mdp.H if isinstance(mdp, EpisodicMDP) else 1
    G = 1
    rows: Any = mdp.P
    if not scipy.sparse.issparse(rows):
        G = mdp.P.shape[0] if mdp.P.ndim == 4 else 1
        rows = scipy.sparse.csr_array(mdp.P.reshape(G * S * A, S))
    branching = np.diff(rows.indptr)
    B = int(branching.max())
    slot = np.minimum(np.arange(B), branching[:, None] - 1)
    at = rows.indptr[:-1, None] + slot
    succ = rows.indices[at].astype(np.int64)
    prob = np.where(np.arange(B) < branching[:, None], rows.data[at], 0.0)
    return Simulator(
        succ=succ.reshape(G, S, A, B),
        prob=prob.reshape(G, S, A, B),
        stage=np.arange(H) if G > 1 else np.zeros(H, np.int64),
        r=np.array(np.broadcast_to(mdp.r, (H, S, A))),
        mu=mdp.mu.copy(),
        mask=mdp.mask.copy(),
        bernoulli=mdp.bernoulli,
    )


@kernel
def reset(sim: Simulator, rng: np.random.Generator) -> int:
    """Draw an initial state."""
    return sample(sim.mu, rng)


@kernel
def step(sim: Simulator, h: int, s: int, a: int, rng: np.random.Generator) -> tuple[int, float, int]:
    """Play `a` in `s` at stage `h`; return the next state, the observed reward and the successor's slot."""
    reward = sim.r[h, s, a]
    if sim.bernoulli:
        reward = 1.0 if rng.random() < reward else 0.0
    g = sim.stage[h]
    slot = sample(sim.prob[g, s, a], rng)
    return sim.succ[g, s, a, slot], reward, slot


@kernel
def next_value(sim: Simulator, h: int, s: int, a: int, V: Array) -> float:
    """Return the exact mean of ``V[h + 1]`` after playing `a` in `s` at stage `h`; for measurement only."""
    g = sim.stage[h]
    total = 0.0
    for i in range(sim.prob.shape[3]):
        total += sim.prob[g, s, a, i] * V[h + 1, sim.succ[g, s, a, i]]
    return total


@kernel
def policy_value(sim: Simulator, pi: IntArray, V: Array, top: int) -> float:
    """Return the exact value of a deterministic policy from `mu`.

    `V` (H + 1, S) holds the values of the policy evaluated before; only the stages up to `top`, the last
    one at which the policy changed, are computed again, in place.
    """
    S = sim.mu.size
    for h in range(top, -1, -1):
        for s in range(S):
            a = pi[h, s]
            V[h, s] = sim.r[h, s, a] + next_value(sim, h, s, a, V)
    total = 0.0
    for s in range(S):
        total += sim.mu[s] * V[0, s]
    return total


@kernel
def repair_policy_value(sim: Simulator, pi: IntArray, V: Array, changed: IntArray, current: float) -> float:
    """Return the exact value, as `policy_value` does, after a small change of the policy.

    The policy changed at most in the state ``changed[h]`` of each stage (-1: nowhere), and `current` is the
    value before. `V` is repaired in place: a stage is computed again only if a value of the next one moved.
    """
    H, S = pi.shape
    moved = False
    for h in range(H - 1, -1, -1):
        low, high = (0, S) if moved else (changed[h], changed[h] + 1)
        if high == 0:
            continue
        moved = False
        for s in range(low, high):
            a = pi[h, s]
            v = sim.r[h, s, a] + next_value(sim, h, s, a, V)
            moved = moved or v != V[h, s]
            V[h, s] = v
    if not moved:
        return current
    total = 0.0
    for s in range(S):
        total += sim.mu[s] * V[0, s]
    return total


@kernel
def stochastic_policy_value(sim: Simulator, pi: Array, V: Array) -> float:
    """Return the exact value from `mu` of a policy of probabilities ``pi[h, s, a]``; fills `V` (H + 1, S)."""
    H, S, A = sim.r.shape
    for h in range(H - 1, -1, -1):
        for s in range(S):
            V[h, s] = 0.0
            for a in range(A):
                if pi[h, s, a] > 0.0:
                    q = sim.r[h, s, a] + next_value(sim, h, s, a, V)
                    V[h, s] += pi[h, s, a] * q
    total = 0.0
    for s in range(S):
        total += sim.mu[s] * V[0, s]
    return total
