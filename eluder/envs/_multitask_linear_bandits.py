"""Tasks that share a representation: tables of your own, and random maps of raw features."""

import numpy as np

from eluder.core import checks
from eluder.core.multitask_bandits import MultitaskBandit

__all__ = ["multitask_linear_bandits"]


def multitask_linear_bandits(
    M: int,
    N: int = 20,
    *,
    k: int = 3,
    d: int = 20,
    X: int = 20,
    A: int = 5,
    sigma: float = 0.5,
    rng: np.random.Generator,
) -> MultitaskBandit:
    """Return M tasks whose rewards are linear in one of N random projections of raw features.

    Parameters
    ----------
    M : int
        Number of tasks.
    N : int, default=20
        Number of candidates, one of them right.
    k : int, default=3
        Features of a representation, at most `d`.
    d : int, default=20
        Raw features, which the problem does not keep.
    X : int, default=20
        Number of contexts, equally likely.
    A : int, default=5
        Number of actions in each.
    sigma : float, default=0.5
        Standard deviation of the Gaussian noise.
    rng : numpy.random.Generator
        Draws raw features and heads, uniform on unit spheres, the projections and which is right.

    Returns
    -------
    MultitaskBandit
        Candidate n maps raw features z to ``sqrt(d / k) B_n' z``, with ``B_n`` of k orthonormal columns;
        features longer than 1 are shortened to 1, and so means are in [-1, 1].

    Raises
    ------
    ValueError
        If a number is outside its range or `rng` is not a Generator.

    Examples
    --------
    >>> multitask_linear_bandits(4, 6, rng=np.random.default_rng(0)).phi.shape
    (6, 20, 5, 3)
    """
    M, N, d = checks.integer("M", M), checks.integer("N", N), checks.integer("d", d)
    k, X, A = checks.integer("k", k, 1, d), checks.integer("X", X), checks.integer("A", A)
    sigma = checks.number("sigma", sigma, 0.0, 1e6)
    g = checks.generator(rng)
    raw = g.standard_normal((X, A, d))
    raw /= np.linalg.norm(raw, axis=-1, keepdims=True)
    B = np.linalg.qr(g.standard_normal((N, d, k)))[0]
    phi = np.sqrt(d / k) * np.einsum("xad,ndk->nxak", raw, B)
    phi /= np.maximum(np.linalg.norm(phi, axis=-1, keepdims=True), 1.0)
    heads = g.standard_normal((M, k))
    heads /= np.linalg.norm(heads, axis=-1, keepdims=True)
    return MultitaskBandit(phi, heads, int(g.integers(N)), sigma=sigma)
