"""Gaussian noise as wide as the data leave a regression open."""

import numpy as np

from eluder.core.kernels import kernel
from eluder.core.types import Array

__all__ = ["perturb"]


@kernel
def perturb(w: Array, root: Array, sigma: float, z: Array, rng: np.random.Generator) -> None:
    """Add a draw of ``Normal(0, sigma^2 root root')`` to `w`, in place; `z` (d,) is room to work.

    `root` is lower triangular, such as the Cholesky factor of ``Lambda^-1``.
    """
    for i in range(w.size):
        z[i] = sigma * rng.standard_normal()
    for i in range(w.size):
        for j in range(i + 1):
            w[i] += root[i, j] * z[j]
