"""Problems: named tuples of arrays, checked when they are made.

All arrays index as written: ``P[s, a, s']`` or ``P[h, s, a, s']`` with stages h from 0.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from eluder.core import checks
from eluder.core.types import Array, BoolArray

__all__ = ["DiscountedMDP", "EpisodicMDP"]

MAX_REWARD = 1e100  # so that values, their squares and their sums are finite numbers


class _EpisodicMDP(NamedTuple):
    P: Array
    r: Array
    mu: Array
    H: int
    mask: BoolArray
    bernoulli: bool


class EpisodicMDP(_EpisodicMDP):
    """Finite-horizon Markov decision process with rewards in [0, 1].

    Parameters
    ----------
    P : array_like, shape (S, A, S) or (H, S, A, S)
        ``P[s, a, s']``, or ``P[h, s, a, s']`` where the kernel depends on the stage.
    r : array_like, shape (S, A) or (H, S, A)
        Mean rewards in [0, 1].
    mu : array_like, shape (S,)
        Distribution of the initial state.
    H : int
        Horizon, stages per episode.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default. Each state needs one.
    bernoulli : bool, default=False
        What the learner sees: False, the mean reward itself; True, 0 or 1 with that mean.

    Raises
    ------
    ValueError
        If a shape, a probability, a reward or the mask is wrong; the message names the first bad entry.

    Examples
    --------
    >>> from eluder.core.problems import EpisodicMDP
    >>> mdp = EpisodicMDP(P=[[[1.0]]], r=[[0.5]], mu=[1.0], H=3)
    >>> mdp.r.shape, mdp.H
    ((1, 1), 3)
    """

    __slots__ = ()

    def __new__(
        cls,
        P: ArrayLike,
        r: ArrayLike,
        mu: ArrayLike,
        H: int,
        mask: ArrayLike | None = None,
        bernoulli: bool = False,
    ) -> Self:
        H = checks.integer("H", H)
        stages = (H,) if np.ndim(P) == 4 else ()
        P = checks.distribution("P", P, (*stages, None, None, None))
        S, A = P.shape[-3:-1]
        P = checks.distribution("P", P, (*stages, S, A, S))
        stages = (H,) if np.ndim(r) == 3 else ()
        r = checks.finite("r", r, (*stages, S, A), 0.0, 1.0)
        mu = checks.distribution("mu", mu, (S,))
        return super().__new__(cls, P, r, mu, H, _mask(mask, S, A), _flag("bernoulli", bernoulli))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


class _DiscountedMDP(NamedTuple):
    P: Any
    r: Array
    mu: Array
    gamma: float
    mask: BoolArray
    bernoulli: bool


class DiscountedMDP(_DiscountedMDP):
    """Infinite-horizon Markov decision process with discounted or average reward.

    Functions for the average reward read the same object and ignore `gamma`.

    Parameters
    ----------
    P : array_like, shape (S, A, S), or scipy.sparse, shape (S * A, S)
        ``P[s, a, s']``; a sparse kernel holds that row at ``s * A + a`` and is kept as CSR. Float64 arrays,
        and those of canonical CSR without stored zeros, are not copied: do not change them afterwards.
    r : array_like, shape (S, A)
        Mean rewards, at most 1e100 in size; in [0, 1] if `bernoulli`, and for learners.
    mu : array_like, shape (S,)
        Distribution of the initial state.
    gamma : float
        Discount in [0, 1]; with 1 only the average-reward functions accept the problem.
    mask : array_like of bool, shape (S, A), optional
        Available actions; all by default. Each state needs one.
    bernoulli : bool, default=False
        What a learner sees: False, the mean reward itself; True, 0 or 1 with that mean.

    Raises
    ------
    ValueError
        If a shape, a probability, a reward or the mask is wrong; the message names the first bad entry.

    Examples
    --------
    >>> from eluder.core.problems import DiscountedMDP
    >>> DiscountedMDP(P=[[[1.0]]], r=[[0.5]], mu=[1.0], gamma=0.9).gamma
    0.9
    """

    __slots__ = ()

    def __new__(
        cls,
        P: Any,
        r: ArrayLike,
        mu: ArrayLike,
        gamma: float,
        mask: ArrayLike | None = None,
        bernoulli: bool = False,
    ) -> Self:
        bernoulli = _flag("bernoulli", bernoulli)
        r = checks.finite("r", checks.finite("r", r, (None, None)), (None, None), -MAX_REWARD, MAX_REWARD)
        if bernoulli:
            checks.finite("r", r, r.shape, 0.0, 1.0)
        S, A = r.shape
        if scipy.sparse.issparse(P):
            P = _sparse_kernel(P, S, A)
        else:
            P = checks.distribution("P", P, (S, A, S))
        mu = checks.distribution("mu", mu, (S,))
        gamma = checks.number("gamma", gamma, 0.0, 1.0)
        return super().__new__(cls, P, r, mu, gamma, _mask(mask, S, A), bernoulli)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)  # so that _replace checks as well


def _sparse_kernel(P: Any, S: int, A: int) -> Any:
    """Return a checked canonical CSR kernel of shape (S * A, S)."""
    if P.shape != (S * A, S):
        raise ValueError(f"P must have shape ({S * A}, {S}) (rows s * A + a), got {P.shape}")
    if np.issubdtype(P.dtype, np.complexfloating):
        raise ValueError("P must be an array of real numbers: the entries are complex")
    if _is_fine(P):
        return _narrow(P)
    if hasattr(P, "check_format"):  # SciPy takes index arrays that point outside, and kernels would follow
        try:
            P.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(f"P is not a valid sparse array: {error}") from None
    P = scipy.sparse.csr_array(P, dtype=np.float64, copy=True)
    P.sum_duplicates()
    bad = ~(np.isfinite(P.data) & (P.data >= 0))
    if bad.any():
        i = int(np.argmax(bad))
        row = int(np.searchsorted(P.indptr, i, side="right")) - 1
        at = checks.entry("P", (row // A, row % A, P.indices[i]))
        raise ValueError(f"{at} is {P.data[i]:g}, it must be in [0, 1]")
    P.eliminate_zeros()
    total = P.sum(axis=1)
    bad = np.abs(total - 1) > checks.SUM_TOLERANCE
    if bad.any():
        row = int(np.argmax(bad))
        at = checks.entry("P", (row // A, row % A))
        raise ValueError(f"{at} sums to {total[row]:.12g}, not 1")
    return _narrow(P)


def _is_fine(P: Any) -> bool:
    """Tell whether `P` is canonical CSR of positive float64 probabilities that sum to 1."""
    if P.format != "csr" or P.dtype != np.float64 or not (np.diff(P.indptr) > 0).all():
        return False
    if P.indptr[0] != 0 or not P.indptr[-1] == P.indices.size == P.data.size:
        return False
    if P.indices.min() < 0 or P.indices.max() >= P.shape[1]:
        return False
    if not P.has_canonical_format or not P.data.min() > 0:
        return False
    return bool((np.abs(np.add.reduceat(P.data, P.indptr[:-1]) - 1) <= checks.SUM_TOLERANCE).all())


def _narrow(P: Any) -> Any:
    """Return `P` as a CSR array with 32-bit indices where they suffice; its data are shared."""
    wide = max(P.nnz, *P.shape) > np.iinfo(np.int32).max
    indices, indptr = (x if wide else x.astype(np.int32, copy=False) for x in (P.indices, P.indptr))
    return scipy.sparse.csr_array((P.data, indices, indptr), shape=P.shape)


def _mask(mask: ArrayLike | None, S: int, A: int) -> BoolArray:
    if mask is None:
        return np.ones((S, A), dtype=np.bool_)
    try:
        array = np.asarray(mask)
    except ValueError as error:  # ragged
        raise ValueError(f"mask must be a boolean array of shape ({S}, {A}): {error}") from None
    if array.dtype != np.bool_ or array.shape != (S, A):
        raise ValueError(f"mask must be a boolean array of shape ({S}, {A}), got {array.dtype} {array.shape}")
    empty = ~array.any(axis=1)
    if empty.any():
        raise ValueError(f"mask[{int(np.argmax(empty))}] leaves the state without an action")
    return np.ascontiguousarray(array)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)
