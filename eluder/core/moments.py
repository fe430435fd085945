r"""High-order moments of the next value in linear mixtures (Zhou and Gu, 2022).

The estimator keeps M regressions (see `eluder.core.targeted_regression`), of ``V^(2^m)`` for m < M: each
level gives the variance by which the rounds of the level below are weighted.
"""

import math

from eluder.core.kernels import dot, kernel
from eluder.core.targeted_regression import TargetedRegression, confidence_norm
from eluder.core.types import Array

__all__ = ["moment_levels", "moment_radius", "moment_variances"]


def moment_levels(K: int, H: int) -> int:
    """Return the number of levels ``M = log2(7 K H)``, rounded up.

    Parameters
    ----------
    K, H : int
        Episodes and stages.

    Returns
    -------
    int
        M.

    Examples
    --------
    >>> moment_levels(100, 8)  # log2(5600) = 12.45
    13
    """
    return math.ceil(math.log2(7 * K * H))


@kernel
def moment_radius(d: int, H: int, k: int, lam: float, B: float, delta: float) -> float:
    """Return ``12 sqrt(d ln(1 + k H^2 / (d lam)) l) + 30 sqrt(d) l + sqrt(lam) B``, the radius of each level.

    Here ``l = ln(32 (ln(sqrt(H / d)) + 1) k^2 H^2 / delta)``, since alpha = H^(-1/2) and gamma = d^(-1/4);
    ln(sqrt(H / d)) is taken as 0 where it is negative. Constants of Weitong Zhang's thesis, Theorem 2.6.3.
    """
    log = math.log(32 * (max(0.5 * math.log(H / d), 0.0) + 1) * k**2 * H**2 / delta)
    first = 12 * math.sqrt(d * math.log(1 + k * H**2 / (d * lam)) * log)
    return first + 30 * math.sqrt(d) * log + math.sqrt(lam) * B


@kernel
def moment_variances(
    fit: TargetedRegression,
    inverse: Array,
    theta: Array,
    X: Array,
    beta: float,
    gamma: float,
    alpha: float,
    variance: Array,
) -> None:
    """Write the weights' denominators ``sigma_m^2`` of one round to `variance` (M,).

    Level m regresses ``V^(2^m)`` with the features ``X[m]``; `inverse` and `theta` are those of the start of
    the episode. For m < M - 1, with clipping to [0, 1]::

        sigma_m^2 = max(gamma^2 |X_m|, V_m + E_m, alpha^2)
        V_m = clip(X_{m+1} theta_{m+1}) - clip(X_m theta_m)^2
        E_m = min(1, 2 beta |X_m|_start) + min(1, beta |X_{m+1}|_start)

    and ``max(gamma^2 |X_m|, 1, alpha^2)`` at the last level.
    """
    M = X.shape[0]
    for m in range(M):
        known = 1.0
        if m < M - 1:
            square = min(max(dot(theta[m + 1], X[m + 1]), 0.0), 1.0)
            mean = min(max(dot(theta[m], X[m]), 0.0), 1.0)
            error = min(1.0, 2 * beta * confidence_norm(inverse[m], X[m]))
            error += min(1.0, beta * confidence_norm(inverse[m + 1], X[m + 1]))
            known = square - mean * mean + error
        variance[m] = max(max(gamma**2 * confidence_norm(fit.inverse[m], X[m]), known), alpha**2)
