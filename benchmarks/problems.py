"""The problems of the benchmarks, written as plain tables in `.npz` files that any interpreter can read."""

from pathlib import Path

import numpy as np
import scipy.sparse

from eluder.core.problems import DiscountedMDP, EpisodicMDP


def dense(S: int, A: int, gamma: float, rng: np.random.Generator) -> DiscountedMDP:
    """Return a random problem of full support: Dirichlet(1) rows, uniform rewards."""
    P = rng.dirichlet(np.ones(S), (S, A))
    return DiscountedMDP(P, rng.random((S, A)), np.eye(1, S)[0], gamma)


def optimal_value(mdp: DiscountedMDP, tol: float = 1e-10):
    """Return V* by NumPy value iteration with the span bounds, whose half width at the stop is <= `tol`."""
    S, A = mdp.r.shape
    rows = mdp.P if scipy.sparse.issparse(mdp.P) else mdp.P.reshape(S * A, S)
    scale = mdp.gamma / (1 - mdp.gamma)
    V = np.zeros(S)
    while True:
        new = (mdp.r + mdp.gamma * (rows @ V).reshape(S, A)).max(axis=1)
        low, high = (new - V).min(), (new - V).max()
        V = new
        if scale * (high - low) / 2 <= tol:
            return V + scale * (high + low) / 2


def save(path: Path, mdp: DiscountedMDP | EpisodicMDP, **more) -> str:
    """Write a problem (a sparse kernel by its three arrays) and return the path."""
    fields = {**mdp._asdict(), **more}
    if scipy.sparse.issparse(mdp.P):
        P = fields.pop("P")
        fields |= {"data": P.data, "indices": P.indices, "indptr": P.indptr}
    np.savez(path, **fields)
    return str(path)
