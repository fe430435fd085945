"""One-parameter exponential families: their divergence, and the largest mean within a divergence.

With natural parameter ``theta(u)`` and potential ``psi(u)`` of the mean u, and the conjugate ``ent(m)``,

    kl(m, u) = ent(m) - m theta(u) + psi(u),

so that many arms are compared with one u at two multiplications each. The Gaussian family has variance 1:
with variance sigma^2 the divergence is that over sigma^2.
"""

import math

from eluder.core import checks
from eluder.core.bandits import LAWS, Bandit, refuse_other_problems, refuse_unbounded
from eluder.core.kernels import kernel

__all__ = ["conjugate", "divergence", "excess", "family_code", "natural", "potential", "upper"]

FAMILIES = ("bernoulli", "gaussian", "exponential", "poisson")
BERNOULLI, GAUSSIAN, EXPONENTIAL, POISSON = range(len(FAMILIES))
NEWTON = 60  # steps at most; five are usual
INSIDE = 1.0 - 2.0**-53  # the largest number below 1


def family_code(who: str, family: str, bandit: Bandit) -> int:
    """Return the number of a family; refuse a bandit whose rewards can leave the family's domain."""
    refuse_other_problems(bandit)
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    law = LAWS[bandit.law]
    if family == "bernoulli":
        refuse_unbounded(who, bandit)
    elif family == "exponential" and law not in ("exponential", "fixed"):
        raise ValueError(f"{who} with family 'exponential' needs rewards > 0, a {law} bandit can give others")
    elif family == "poisson" and law in ("gaussian", "pareto"):
        raise ValueError(f"{who} with family 'poisson' needs rewards >= 0, a {law} bandit can give others")
    if law == "fixed" and family in ("exponential", "poisson"):
        low = 1e-300 if family == "exponential" else 0.0
        checks.finite("means", bandit.means, bandit.means.shape, low)
    return FAMILIES.index(family)


@kernel
def natural(family: int, u: float) -> float:
    """Return the natural parameter of the mean u; infinite at an end of the domain."""
    if family == BERNOULLI:
        if u >= 1.0:
            return math.inf
        return math.log(u / (1.0 - u)) if u > 0.0 else -math.inf
    if family == EXPONENTIAL:
        return -1.0 / u if u > 0.0 else -math.inf
    if family == POISSON:
        return math.log(u) if u > 0.0 else -math.inf
    return u


@kernel
def potential(family: int, u: float) -> float:
    """Return the log-partition function at the mean u."""
    if family == BERNOULLI:
        return -math.log(1.0 - u) if u < 1.0 else math.inf
    if family == EXPONENTIAL:
        return math.log(u) if u > 0.0 else -math.inf
    if family == POISSON:
        return u
    return 0.5 * u * u


@kernel
def conjugate(family: int, m: float) -> float:
    """Return the convex conjugate of the log-partition function at m: minus an entropy."""
    if family == BERNOULLI:
        x = m * math.log(m) if m > 0.0 else 0.0
        return x + ((1.0 - m) * math.log(1.0 - m) if m < 1.0 else 0.0)
    if family == EXPONENTIAL:
        return -1.0 - math.log(max(m, 1e-300))
    if family == POISSON:
        return m * math.log(m) - m if m > 0.0 else 0.0
    return 0.5 * m * m


@kernel
def excess(family: int, m: float, ent: float, u: float, theta: float, psi: float) -> float:
    """Return kl(m, u) from what is known of m (`ent`) and of u (`theta`, `psi`), up to rounding."""
    if family == GAUSSIAN:  # the three terms of large means would cancel
        return 0.5 * (u - m) * (u - m)
    if theta == math.inf:  # u is the upper end of the domain
        return 0.0 if m >= 1.0 else math.inf
    if m <= 0.0:
        return ent + psi if family != EXPONENTIAL else math.inf
    return ent - m * theta + psi


@kernel
def divergence(family: int, m: float, u: float) -> float:
    """Return kl(m, u) of two members of a family with these means."""
    if m == u:
        return 0.0
    value = excess(family, m, conjugate(family, m), u, natural(family, u), potential(family, u))
    return max(value, 0.0)


@kernel
def upper(family: int, m: float, level: float) -> float:
    """Return the largest u >= m with kl(m, u) <= level.

    Newton's method on a convex function, from a point above the root: every step stays above it.
    """
    if level <= 0.0:
        return m
    if family == GAUSSIAN:
        return m + math.sqrt(2.0 * level)
    if family == BERNOULLI:
        return _upper_bernoulli(m, level)
    if family == EXPONENTIAL:  # y = ln(u / m) solves exp(-y) - 1 + y = level
        y = level + min(1.0, math.sqrt(2.0 * level))
        for _ in range(NEWTON):
            step = (math.exp(-y) - 1.0 + y - level) / (1.0 - math.exp(-y))
            y -= step
            if step <= 1e-13 * y:
                break
        return m * math.exp(y)
    if m < 1e-300:  # u / m would overflow
        return level
    u = m + level + math.sqrt(2.0 * m * level)
    for _ in range(NEWTON):
        step = (u - m - m * math.log(u / m) - level) / (1.0 - m / u)
        u -= step
        if step <= 1e-13 * u:
            break
    return max(u, m)


@kernel
def _upper_bernoulli(m: float, level: float) -> float:
    if m >= 1.0:
        return 1.0
    ent = conjugate(BERNOULLI, m)
    u = min(m + math.sqrt(0.5 * level), 1.0 - math.exp((ent - level) / (1.0 - m)))  # both are above the root
    for _ in range(NEWTON):
        if u >= 1.0:
            return 1.0
        gap = ent - m * math.log(u) - (1.0 - m) * math.log(1.0 - u) - level
        step = gap * u * (1.0 - u) / (u - m) if u > m else 0.0
        u -= step
        if step <= 1e-13:
            break
    return max(u, m)
