"""Steps that policy optimisation with linear action values shares: starts, estimates of losses, bonuses."""

import numpy as np

from eluder.core import checks
from eluder.core.adversarial import AdversarialMDP
from eluder.core.covariance import resampling_terms
from eluder.core.guarantees import Paper
from eluder.core.kernels import kernel
from eluder.core.types import Array, IntArray

REFINED = Paper(
    title="Refined regret for adversarial MDPs with linear function approximation",
    authors="Dai, Luo, Wei, Zimmert",
    venue="ICML",
    year=2023,
    arxiv="2301.12942",
)
LARGEST = 1e6  # of learning rates and factors of bonuses: nothing overflows
MOST_SIMULATED = 10**6  # episodes of the simulator in one episode


def learning_rate_or(eta: float | None, default: float) -> float:
    """Return the learning rate, or the default where there is none."""
    return default if eta is None else checks.number("eta", eta, 1e-6, LARGEST)


def factor(c: float) -> float:
    """Return what multiplies the bonus."""
    return checks.number("c", c, 0.0, LARGEST)


def terms(gamma: float, num_samples: int) -> tuple[int, int]:
    """Return repetitions and terms of geometric resampling, both 0 for exact covariances."""
    M = checks.integer("num_samples", num_samples, 0)
    if M == 0:
        return 0, 0
    if gamma > 1:
        raise ValueError(
            f"num_samples must be 0 where eta makes gamma {gamma:.3g}: resampling needs at most 1"
        )
    N = resampling_terms(gamma, gamma)
    if M * N > MOST_SIMULATED:
        raise ValueError(
            f"num_samples must be 0: eta makes gamma {gamma:.3g}, {M} x {N} simulated episodes in each"
        )
    return M, N


def start(mdp: AdversarialMDP) -> tuple[Array, Array]:
    """Return the costs, 0 or infinite where an action is not available, and room for a policy, (H, S, A).

    Refuses features longer than 1, of pairs that are not available as well: sums run over all.
    """
    norm = np.linalg.norm(mdp.phi, axis=2)
    if norm.max() > 1 + 1e-9:
        s, a = np.unravel_index(int(np.argmax(norm > 1 + 1e-9)), norm.shape)
        raise ValueError(f"phi[{s}, {a}] has norm {norm[s, a]:.6g}, it must be at most 1")
    shape = mdp.losses.shape[1:]
    return np.broadcast_to(np.where(mdp.mask, 0.0, np.inf), shape).copy(), np.zeros(shape)


@kernel
def add_estimates(
    C: Array, phi: Array, inverse: Array, path: IntArray, played: IntArray, L: Array, room: Array
) -> None:
    """Add ``phi(s, a)' inverse[h] phi(s_h, a_h) L[h]`` to the costs of each stage, in place (`C`, `room`)."""
    for h in range(L.size):
        ratios(phi, inverse[h], phi[path[h], played[h]], room)
        for s in range(room.shape[0]):
            for a in range(room.shape[1]):
                C[h, s, a] += room[s, a] * L[h]


@kernel
def ratios(phi: Array, inverse: Array, x: Array, out: Array) -> None:
    """Write ``out[s, a] = phi(s, a)' inverse x``, in place."""
    S, A, d = phi.shape
    for s in range(S):
        for a in range(A):
            out[s, a] = 0.0
    for i in range(d):
        u = 0.0
        for j in range(d):
            u += inverse[i, j] * x[j]
        for s in range(S):
            for a in range(A):
                out[s, a] += phi[s, a, i] * u


@kernel
def bonuses(phi: Array, inverse: Array, pi: Array, beta: float, b: Array) -> None:
    """Write ``b = beta (w + sum_a pi w)`` with ``w = phi' inverse[h] phi``, in place (`b`)."""
    H, S, A = b.shape
    d = phi.shape[2]
    for h in range(H):
        for s in range(S):
            mean = 0.0
            for a in range(A):
                w = 0.0
                for i in range(d):
                    u = 0.0
                    for j in range(d):
                        u += inverse[h, i, j] * phi[s, a, j]
                    w += phi[s, a, i] * u
                b[h, s, a] = beta * w
                mean += pi[h, s, a] * w
            for a in range(A):
                b[h, s, a] += beta * mean
