"""Garnet: random problems with a fixed number of successors (Archibald, McKinnon & Thomas 1995)."""

import numpy as np
import scipy.sparse

from eluder.core import checks
from eluder.core.types import IntArray
from eluder.envs._build import Problem, problem

__all__ = ["garnet"]


def garnet(
    S: int,
    A: int,
    branching: int,
    *,
    H: int | None = None,
    gamma: float | None = None,
    sparse: bool = False,
    rng: np.random.Generator,
) -> Problem:
    """Return a random problem in which each pair has `branching` successors.

    Parameters
    ----------
    S : int
        Number of states; the initial state is state 0.
    A : int
        Number of actions.
    branching : int
        Successors of each pair, in [1, S]: a uniform subset. Their probabilities are the spacings of
        ``branching - 1`` uniform points in [0, 1].
    H : int, optional
        Horizon, for an EpisodicMDP.
    gamma : float, optional
        Discount, for a DiscountedMDP; 1.0 for the average reward. Exactly one of `H` and `gamma` is given.
    sparse : bool, default=False
        Keep the kernel as CSR, shape (S * A, S); needs `gamma`. The numbers are the same.
    rng : numpy.random.Generator
        Draws the instance.

    Returns
    -------
    EpisodicMDP or DiscountedMDP
        Mean rewards are uniform in [0, 1], one per pair.

    Raises
    ------
    ValueError
        If a size is out of range, not exactly one of `H` and `gamma` is given, `sparse` comes with `H`, or
        `rng` is not a Generator.

    Notes
    -----
    O(S A branching^2) time. Differences from [1]_ and [2]_: rewards are uniform, not normal, so that they lie
    in [0, 1]. Such a problem need not be communicating.

    References
    ----------
    .. [1] Archibald, McKinnon and Thomas. On the generation of Markov decision processes. J. Operational
       Research Society 46, 1995.
    .. [2] Bhatnagar, Sutton, Ghavamzadeh and Lee. Natural actor-critic algorithms. Automatica 45, 2009.

    Examples
    --------
    >>> mdp = garnet(50, 3, 4, gamma=0.9, sparse=True, rng=np.random.default_rng(0))
    >>> mdp.P.shape, mdp.P.nnz
    ((150, 50), 600)
    """
    S, A = checks.integer("S", S), checks.integer("A", A)
    b = checks.integer("branching", branching, high=S)
    rng = checks.generator(rng)
    succ = _subsets(S * A, S, b, rng)
    cuts = np.sort(rng.random((S * A, b - 1)), axis=1)
    prob = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    P = scipy.sparse.csr_array((prob.ravel(), succ.ravel(), np.arange(0, S * A * b + 1, b)), (S * A, S))
    r = rng.random((S, A))
    return problem(P, r, np.eye(1, S)[0], H=H, gamma=gamma, sparse=sparse)


def _subsets(n: int, S: int, b: int, rng: np.random.Generator) -> IntArray:
    """Draw n uniform subsets of b states, sorted, shape (n, b): Floyd's algorithm on all rows at once."""
    chosen = np.empty((n, b), dtype=np.int64)
    for i, top in enumerate(range(S - b, S)):
        new = rng.integers(0, top + 1, n)
        taken = (chosen[:, :i] == new[:, None]).any(axis=1)
        chosen[:, i] = np.where(taken, top, new)
    return np.sort(chosen, axis=1)
