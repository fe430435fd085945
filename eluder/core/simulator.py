"""The simulator that kernels run on: a problem's kernel stored by successor, with exact evaluation.

Each pair (s, a) keeps only its successors: slot i of pair (s, a) is the state ``succ[g, s, a, i]``, reached
with probability ``prob[g, s, a, i]``. Learners may lay out their counts by the same slots: an unseen
successor has count zero and no influence, so this is a memory layout and not knowledge of the kernel. A
learner touches the dynamics through `reset` and `step` only; the values of policies are measurement.
"""

from typing import Any, NamedTuple

import numpy as np

from eluder.core.kernels import kernel, sample
from eluder.core.problems import DiscountedMDP, EpisodicMDP
from eluder.core.types import Array, BoolArray, IntArray

LANES = 128  # policies that `measure` evaluates side by side

__all__ = [
    "PolicyLog",
    "Simulator",
    "measure",
    "next_value",
    "policy_log",
    "policy_value",
    "reset",
    "simulator",
    "step",
    "stochastic_policy_value",
    "visits",
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
    P: Any = mdp.P
    if isinstance(P, np.ndarray):
        G = P.shape[0] if P.ndim == 4 else 1
        at = np.flatnonzero(P)
        numbers = P.reshape(-1)[at]
        rows, states = np.divmod(at, S)
        first = np.searchsorted(rows, np.arange(G * S * A + 1))
    else:
        first, states, numbers = P.indptr, P.indices, P.data
    branching = np.diff(first)
    B = int(branching.max())
    at = first[:-1, None] + np.minimum(np.arange(B), branching[:, None] - 1)
    succ = states[at].astype(np.int64)
    prob = np.where(np.arange(B) < branching[:, None], numbers[at], 0.0)
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


class PolicyLog(NamedTuple):
    """Policies that wait for their value, each the one before with at most one change per stage.

    Attributes
    ----------
    reach : ndarray of bool, shape (H + 1, S)
        States that some policy reaches; the others need no value.
    path : ndarray of int, shape (H,)
        States of the last episode, which the learner writes.
    pi : ndarray of int, shape (H, S)
        The newest policy.
    V : ndarray, shape (H + 1, S)
        Values of the last policy that does not wait.
    first : ndarray of int, shape (LANES,)
        First episode of each waiting policy.
    state : ndarray of int, shape (H, LANES)
        The state of each stage where a waiting policy differs from the one before, -1 if there is none.
    action : ndarray of int, shape (H, LANES)
        The action of the one before in this state.
    lanes : ndarray, shape (2, S, LANES)
        Values of all waiting policies at an even and an odd stage.
    since : ndarray of int, shape (S,)
        Scratch: the first of the waiting policies whose value in this state is not yet known.
    waiting : ndarray of int, shape (2,)
        How many policies wait, and the last stage at which one of them changed.
    """

    reach: BoolArray
    path: IntArray
    pi: IntArray
    V: Array
    first: IntArray
    state: IntArray
    action: IntArray
    lanes: Array
    since: IntArray
    waiting: IntArray


def policy_log(sim: Simulator, pi: IntArray) -> PolicyLog:
    """Return the log of a run that starts with the policy `pi` (H, S)."""
    H, S = pi.shape
    stages = np.zeros((H, LANES), np.int64)
    reach = np.zeros((H + 1, S), np.bool_)
    reach[0] = sim.mu > 0
    possible = (sim.prob > 0) & sim.mask[..., None]
    for h, g in enumerate(sim.stage):
        reach[h + 1, sim.succ[g][possible[g] & reach[h, :, None, None]]] = True
        if len(possible) == 1 and (reach[h + 1] == reach[h]).all():
            reach[h + 2 :] = reach[h]
            break
    return PolicyLog(
        reach=reach,
        path=np.zeros(H, np.int64),
        pi=pi.copy(),
        V=np.zeros((H + 1, S)),
        first=np.zeros(LANES, np.int64),
        state=stages,
        action=stages.copy(),
        lanes=np.zeros((2, S, LANES)),
        since=np.zeros(S, np.int64),
        waiting=np.zeros(2, np.int64),
    )


@kernel
def measure(log: PolicyLog, sim: Simulator, pi: IntArray, k: int, value: Array) -> None:
    """Note the policy of episode `k`; all of `value` (K,) is exact after the call for the last episode.

    Since the call before, `pi` may have changed in the state ``log.path[h]`` of each stage and nowhere else.
    The policies that differ are evaluated side by side, `LANES` at a time: one backward induction reads the
    kernel once for all of them. `log` and `value` change in place.
    """
    H = pi.shape[0]
    n, top = log.waiting[0], log.waiting[1]
    changed = k == 0
    if k == 0:
        top = H - 1
    for h in range(H):
        s = log.path[h]
        log.state[h, n] = -1
        if pi[h, s] != log.pi[h, s]:
            log.state[h, n] = s
            log.action[h, n] = log.pi[h, s]
            log.pi[h, s] = pi[h, s]
            top = max(top, h)
            changed = True
    if changed:
        log.first[n] = k
        n += 1
    elif n == 0:
        value[k] = value[k - 1]
    if n == LANES or (n > 0 and k == value.size - 1):
        _evaluate(log, sim, n, top)
        i = 0
        for j in range(log.first[0], k + 1):
            if i + 1 < n and j == log.first[i + 1]:
                i += 1
            value[j] = log.lanes[1, 0, i]
        n, top = 0, -1
    log.waiting[0] = n
    log.waiting[1] = top


@kernel
def _evaluate(log: PolicyLog, sim: Simulator, n: int, top: int) -> None:
    """Put the values from `mu` of the `n` waiting policies into ``log.lanes[1, 0]``, and renew `log.V`."""
    # one loop over plain arrays: a view, or a tuple handed to a helper, is counted once per field
    prob, succ, mu = sim.prob, sim.succ, sim.mu
    lanes, since, V = log.lanes, log.since, log.V
    S, last = mu.size, prob.shape[3] - 1
    i, j, k = min(1, last), min(2, last), min(3, last)
    now = lanes[(top + 1) % 2]
    for s in range(S):
        for w in range(n):
            now[s, w] = V[top + 1, s]
    for h in range(top, -1, -1):
        now, ahead, g = lanes[h % 2], lanes[(h + 1) % 2], sim.stage[h]
        since[:] = 0
        for m in range(1, n + S):
            if m < n:  # the policies since[s], ..., m - 1 had another action in this state
                s, a, high = log.state[h, m], log.action[h, m], m
            else:
                s, high = m - n, n
                a = log.pi[h, s]
            if s < 0 or not log.reach[h, s]:
                continue

            # unsigned bounds show the compiler that no index is negative; four successors in one pass
            start, stop = np.uint64(since[s]), np.uint64(high)
            since[s] = high
            r = sim.r[h, s, a]
            p0, p1 = prob[g, s, a, 0], prob[g, s, a, i] * (i > 0)
            p2, p3 = prob[g, s, a, j] * (j > i), prob[g, s, a, k] * (k > j)
            x0, x1, x2, x3 = succ[g, s, a, 0], succ[g, s, a, i], succ[g, s, a, j], succ[g, s, a, k]
            for w in range(start, stop):
                v = r + p0 * ahead[x0, w] + p1 * ahead[x1, w] + p2 * ahead[x2, w] + p3 * ahead[x3, w]
                now[s, w] = v
            for slot in range(4, last + 1):
                p, x = prob[g, s, a, slot], succ[g, s, a, slot]
                for w in range(start, stop):
                    now[s, w] += p * ahead[x, w]
            V[h, s] = now[s, high - 1]
    for w in range(n):
        lanes[1, 0, w] = 0.0
    for s in range(S):
        for w in range(n):
            lanes[1, 0, w] += mu[s] * lanes[0, s, w]
