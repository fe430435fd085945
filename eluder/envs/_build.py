"""What the instances share: the choice of criterion and the scale of rewards."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.problems import DiscountedMDP, EpisodicMDP

__all__ = ["Problem", "problem", "rescaled"]

Problem: TypeAlias = Any  # an EpisodicMDP where H is given, a DiscountedMDP where gamma is


def problem(
    P: Any,
    r: ArrayLike,
    mu: ArrayLike,
    *,
    H: int | None,
    gamma: float | None,
    mask: ArrayLike | None = None,
    bernoulli: bool = False,
    rescale: bool = False,
    sparse: bool = False,
) -> Problem:
    """Return the problem with the criterion that was asked for: exactly one of `H` and `gamma`.

    `P` is dense, or CSR of shape (S * A, S), which `sparse` keeps.
    """
    r = rescaled(r) if rescale else np.asarray(r, dtype=np.float64)
    if sparse and H is not None:
        raise ValueError("an episodic problem has a dense kernel: sparse=True needs gamma")
    if not isinstance(P, np.ndarray) and not sparse:
        P = P.toarray().reshape(*r.shape, r.shape[0])
    if gamma is not None and H is None:
        return DiscountedMDP(P, r, mu, gamma, mask, bernoulli)
    if gamma is not None or H is None:
        got = "neither" if H is None else "both"
        raise ValueError(f"give H (episodic) or gamma (discounted; 1.0: average reward), got {got}")
    bad = (r < 0) | (r > 1)
    if bad.any():
        i = checks.first(bad)
        raise ValueError(
            f"{checks.entry('r', i)} is {r[i]:g}; an episodic problem has rewards in [0, 1]: try rescale=True"
        )
    return EpisodicMDP(P, r, mu, H, mask, bernoulli)


def rescaled(r: ArrayLike) -> Any:
    """Map rewards to [0, 1]: ``(r - low) / (high - low)`` with the smallest and the largest entry."""
    array = np.asarray(r, dtype=np.float64)
    low, high = array.min(), array.max()
    return (array - low) / (high - low) if high > low else np.zeros_like(array)
