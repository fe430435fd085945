r"""The oracle: it knows the problem and plays an optimal policy (Puterman, Markov Decision Processes, 1994).

Pseudo-code, in our names::

    for h = H-1, ..., 0:  Q[h, s, a] <- r[h, s, a] + P[h, s, a] V[h+1];  V[h, s] <- max_a Q[h, s, a]  # plan
    for k = 1, ..., K:
        for h = 0, ..., H-1:  play a = argmax Q[h, s, .]                                        # act

Guarantee: the regret is 0.

Deviations from the paper: none.
"""

import numpy as np

from eluder.core import checks
from eluder.core.exact import optimal_value
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, reset, simulator, step
from eluder.core.types import IntArray

__all__ = ["oracle_policy"]


def oracle_policy(mdp: EpisodicMDP, K: int, *, rng: np.random.Generator) -> OnlineResult:
    """Play K episodes of an optimal policy.

    Parameters
    ----------
    mdp : EpisodicMDP
        The problem, which the oracle knows.
    K : int
        Number of episodes.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` and ``upper`` (K,): the optimal value; ``Q``: the optimal action values; ``pi``: an optimal
        policy, the first among equals; ``N``: visits.

    Raises
    ------
    ValueError
        If `K` < 1, `rng` is not a Generator, or `mdp` is not episodic.

    Notes
    -----
    O(H S^2 A) time for the plan, O(H) per episode.

    References
    ----------
    .. [1] Puterman. Markov Decision Processes. Wiley 1994, section 4.5.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> oracle_policy(bandit, 3, rng=np.random.default_rng(0)).value
    array([1., 1., 1.])
    """
    K = checks.integer("K", K)
    V = optimal_value(mdp)
    Q = np.stack([(mdp.P[h] if mdp.P.ndim == 4 else mdp.P) @ V[h + 1] for h in range(mdp.H)]) + mdp.r
    Q = np.where(mdp.mask, Q, -np.inf)
    pi = Q.argmax(axis=-1)
    value = np.full(K, float(mdp.mu @ V[0]))
    return OnlineResult(value, value.copy(), Q, pi, _visits(simulator(mdp), pi, K, checks.generator(rng)))


PAPER = Paper(
    title="Markov Decision Processes: Discrete Stochastic Dynamic Programming",
    authors="Puterman",
    venue="Wiley",
    year=1994,
)
GUARANTEES = (Guarantee(paper=PAPER, setting="baseline", statement="the regret is 0", exponent=0.0),)


@kernel
def _visits(sim: Simulator, pi: IntArray, K: int, rng: np.random.Generator) -> IntArray:
    """Play K episodes of `pi` and count."""
    N = np.zeros(sim.r.shape, np.int64)
    for _ in range(K):
        # act
        s = reset(sim, rng)
        for h in range(sim.r.shape[0]):
            a = pi[h, s]
            N[h, s, a] += 1
            s, _, _ = step(sim, h, s, a, rng)
    return N
