"""Steps that policy optimisation with linear action values shares: estimates of losses, widths, bonuses."""

from eluder.core import checks
from eluder.core.kernels import kernel
from eluder.core.types import Array


def optional(name: str, x: float | None, default: float) -> float:
    """Return a positive number, or the default where there is none."""
    return default if x is None else checks.number(name, x, 0.0, 1e6, open_low=True)


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
