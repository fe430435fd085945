"""The greedy step that the planners of this folder share."""

import math

from eluder.core.kernels import kernel
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["act_greedily"]


@kernel
def act_greedily(Q: Array, mask: BoolArray, V: Array, pi: IntArray) -> bool:
    """Write the greedy policy of one stage to `pi` (S,), its values to `V` (S,); return whether `pi` changed.

    `Q` has shape (S, A). Of equal actions the first is taken, of those that are available.
    """
    S, A = Q.shape
    changed = False
    for s in range(S):
        best, largest = -1, -math.inf
        for a in range(A):
            if mask[s, a] and Q[s, a] > largest:
                best, largest = a, Q[s, a]
        V[s] = largest
        if pi[s] != best:
            pi[s] = best
            changed = True
    return changed
