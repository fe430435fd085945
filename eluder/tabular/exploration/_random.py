r"""The uniformly random policy, a baseline.

Pseudo-code::

    for k = 1, ..., K:
        for h = 0, ..., H-1:  play an available action, each with the same probability

Guarantee: none; the regret is exactly linear.

Deviations from the paper: none.
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, reset, step, stochastic_policy_value
from eluder.core.types import Array, IntArray
from eluder.tabular.exploration._shared import episodic_simulator
from eluder.tabular.exploration._stochastic import zero_q

__all__ = ["random_policy"]


def random_policy(mdp: EpisodicMDP, K: int, *, rng: np.random.Generator) -> OnlineResult:
    """Play K episodes of uniformly random actions.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The player knows which actions are available.
    K : int
        Number of episodes.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` (K,): the exact value of the uniform policy, the same in each episode; ``upper`` is NaN;
        ``Q`` is 0 and ``pi`` the first available action, as nothing is learned; ``N`` the visits.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1 or `rng` is not a Generator.

    Notes
    -----
    O(H A) time per episode.

    References
    ----------
    .. [1] Sutton and Barto. Reinforcement Learning: An Introduction. MIT Press 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> random_policy(bandit, 3, rng=np.random.default_rng(0)).value
    array([0.5, 0.5, 0.5])
    """
    K = checks.integer("K", K)
    sim = episodic_simulator(mdp)
    value, upper = np.empty(K), np.full(K, np.nan)
    value[:], Q, pi, N = _random_policy(sim, K, checks.generator(rng))
    return OnlineResult(value, upper, Q, pi, N)


PAPER = Paper(
    title="Reinforcement Learning: An Introduction", authors="Sutton, Barto", venue="MIT Press", year=1998
)
GUARANTEES = (Guarantee(paper=PAPER, setting="baseline", statement="none: the regret is linear"),)


def _random_policy(
    sim: Simulator, K: int, rng: np.random.Generator
) -> tuple[float, Array, IntArray, IntArray]:
    """Run K episodes."""
    H, S, A = sim.r.shape
    Q, pi = zero_q(sim)
    N = np.zeros((H, S, A), np.int64)
    w = np.array(np.broadcast_to(sim.mask / sim.mask.sum(axis=1, keepdims=True), (H, S, A)))
    return _run(N, w, np.zeros((H + 1, S)), sim, K, rng), Q, pi, N


@kernel
def _run(N: IntArray, w: Array, V_w: Array, sim: Simulator, K: int, rng: np.random.Generator) -> float:
    """Play K episodes of the policy `w` and count in place (`N`); return its value."""
    for _ in range(K):
        # act
        s = reset(sim, rng)
        for h in range(w.shape[0]):
            a = sample(w[h, s], rng)
            N[h, s, a] += 1
            s, _, _ = step(sim, h, s, a, rng)
    return stochastic_policy_value(sim, w, V_w)  # measurement
