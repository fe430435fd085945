"""The compiler decorator and the draws that all kernels share."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from eluder.core._cache import KernelCache
from eluder.core.types import Array

__all__ = ["dot", "kernel", "sample"]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function: ``njit(nogil=True)`` with a disk cache keyed by all its sources.

    Kernels take arrays, scalars, NamedTuples of these and a `numpy.random.Generator`; checks stay in
    Python. With ``NUMBA_DISABLE_JIT=1`` the function is returned as it is, and gives the same numbers.
    The wrapper by which C code would call a kernel is left out: it takes a sixth of the compilation.
    """
    return _compiled(function, False)


def _compiled(function: F, fastmath: bool | set[str]) -> F:
    compiled = numba.njit(nogil=True, fastmath=fastmath, no_cfunc_wrapper=True)(function)
    if not numba.config.DISABLE_JIT:
        try:
            compiled._cache = KernelCache(function)
        except RuntimeError:  # no place for a cache: compile in memory
            pass
    return compiled  # type: ignore[no-any-return]


def _reassociating(function: F) -> F:
    """Compile as `kernel` does, but let sums be taken in another order, as BLAS does.

    For `dot` alone: one accumulator waits for each addition in turn, and no order written by hand
    becomes vector code. Not-a-numbers, infinities and signs of zero keep their meaning.
    """
    return _compiled(function, {"reassoc"})


@_reassociating
def dot(x: Array, y: Array) -> float:
    """Return ``sum_i x[i] y[i]``, in an order that depends on the processor: equal up to rounding."""
    total = 0.0
    for i in range(y.size):
        total += x[i] * y[i]
    return total


@kernel
def sample(p: Array, rng: np.random.Generator) -> int:
    """Draw an index with probabilities `p`: one uniform number, the first index whose sum exceeds it."""
    u = rng.random()
    total = 0.0
    last = 0
    for i in range(p.size):
        if p[i] > 0.0:
            total += p[i]
            last = i
            if u < total:
                return i
    return last
