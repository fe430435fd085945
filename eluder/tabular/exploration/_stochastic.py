"""What learners that play at random share: the first Q, the Q-learning step, the exact value of a mixture."""

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.simulator import Simulator, next_value
from eluder.core.types import Array, BoolArray, IntArray
from eluder.tabular.exploration._shared import greedy

__all__ = ["decayed", "repair_mixture_value", "td_update", "uniform_row", "zero_q"]


def zero_q(sim: Simulator) -> tuple[Array, IntArray]:
    """Return Q = 0 where an action is available, -inf elsewhere, and its greedy policy."""
    Q = np.where(np.broadcast_to(sim.mask, sim.r.shape), 0.0, -np.inf)
    return Q, Q.argmax(axis=-1)


@kernel
def decayed(scale: float, k: int, decay: float) -> float:
    """Return ``scale k^-decay`` for episode k = 1, 2, ..."""
    return float(scale * k ** (-decay))


@kernel
def uniform_row(row: Array, mask: BoolArray, weight: float) -> None:
    """Spread `weight` evenly over the available actions of one state, in place."""
    n = 0
    for a in range(row.size):
        n += mask[a]
    for a in range(row.size):
        row[a] = weight / n if mask[a] else 0.0


@kernel
def td_update(Q: Array, N: IntArray, h: int, s: int, a: int, reward: float, s_next: int) -> None:
    """Move Q[h, s, a] by (H + 1) / (H + n) towards reward + max Q[h+1, s_next], in place (`Q`, `N`)."""
    H = Q.shape[0]
    N[h, s, a] += 1
    target = reward
    if h + 1 < H:
        target += Q[h + 1, s_next, greedy(Q[h + 1, s_next])]
    Q[h, s, a] += (H + 1.0) / (H + N[h, s, a]) * (target - Q[h, s, a])


@kernel
def repair_mixture_value(sim: Simulator, w: Array, V: Array, changed: IntArray, current: float) -> float:
    """Return the exact value of the policy of probabilities ``w[h, s, a]`` after a small change of it.

    The policy changed at most in the state ``changed[h]`` of each stage (-1: nowhere), and `current` is the
    value before. `V` is repaired in place: a stage is computed again only if a value of the next one moved.
    """
    H, S, A = w.shape
    moved = False
    for h in range(H - 1, -1, -1):
        low, high = (0, S) if moved else (changed[h], changed[h] + 1)
        if high == 0:
            continue
        moved = False
        for s in range(low, high):
            v = 0.0
            for a in range(A):
                if w[h, s, a] > 0.0:
                    v += w[h, s, a] * (sim.r[h, s, a] + next_value(sim, h, s, a, V))
            moved = moved or v != V[h, s]
            V[h, s] = v
    if not moved:
        return current
    total = 0.0
    for s in range(S):
        total += sim.mu[s] * V[0, s]
    return total
