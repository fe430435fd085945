r"""Greedy certainty equivalence: plan in the empirical model as if it were true; a baseline without
exploration.

Pseudo-code, in our names::

    N <- 0
    for k = 1, ..., K:
        for h = H-1, ..., 0 and each (s, a):                                                   # plan
            P_hat      <- N(s, a, .) / max(1, N(s, a))
            Q[h, s, a] <- r[h, s, a] + P_hat V[h+1];  V[h, s] <- max_a Q[h, s, a]
        for h = 0, ..., H-1:                                                                   # act
            play a = argmax Q[h, s, .], observe s';  N(s, a, s') += 1                          # update

A pair never tried is worth its own reward and nothing after it.

Guarantee: none. It can settle for ever on the first policy that looks good (Kumar & Varaiya, Stochastic
Systems, 1986, on the lack of identification in closed loop), and its regret is then linear.

Deviations from the paper: none.
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, policy_value, reset, step
from eluder.core.types import Array, IntArray
from eluder.tabular.exploration._shared import (
    Counts,
    count,
    episodic_simulator,
    greedy,
    mean,
    new_counts,
    stage_table,
)
from eluder.tabular.exploration._stochastic import zero_q

__all__ = ["greedy_certainty_equivalence"]


def greedy_certainty_equivalence(
    mdp: EpisodicMDP, K: int, *, stationary: bool = False, rng: np.random.Generator
) -> OnlineResult:
    """Play K episodes of the greedy policy of the empirical model.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the mean rewards `r` and the horizon; it never reads `P`.
    K : int
        Number of episodes.
    stationary : bool, default=False
        Share the counts between stages; only for a kernel that does not depend on the stage.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` (K,): exact value of the policy of each episode; ``upper`` is NaN; ``Q``, ``pi``, ``N`` by
        stage.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1, `rng` is not a Generator, or `stationary` is asked of a kernel
        that depends on the stage.

    Notes
    -----
    O(H S A B) time per episode, B the number of successors of a pair; O(H S A B) memory.

    References
    ----------
    .. [1] Kumar and Varaiya. Stochastic Systems: Estimation, Identification, and Adaptive Control. Prentice
       Hall 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> greedy_certainty_equivalence(bandit, 3, rng=np.random.default_rng(0)).value
    array([1., 1., 1.])
    """
    K = checks.integer("K", K)
    sim = episodic_simulator(mdp)
    tables = stage_table(mdp, stationary, knows_r=True)
    value, Q, pi, N = _certainty_equivalence(sim, K, tables, checks.generator(rng))
    return OnlineResult(value, np.full(K, np.nan), Q, pi, N)


PAPER = Paper(
    title="Stochastic Systems: Estimation, Identification, and Adaptive Control",
    authors="Kumar, Varaiya",
    venue="Prentice Hall",
    year=1986,
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="baseline",
        statement="none: the regret is linear where the greedy policy stops exploring too early",
    ),
)


def _certainty_equivalence(
    sim: Simulator, K: int, table: IntArray, rng: np.random.Generator
) -> tuple[Array, Array, IntArray, IntArray]:
    """Run K episodes; stage h counts in ``table[h]``."""
    H, S, A = sim.r.shape
    Q, pi = zero_q(sim)
    N = np.zeros((H, S, A), np.int64)
    value = np.empty(K)
    V, V_pi = np.zeros((H + 1, S)), np.zeros((H + 1, S))
    _run(value, Q, pi, N, V, V_pi, new_counts(table, sim), sim, rng)
    return value, Q, pi, N


@kernel
def _run(
    value: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    V: Array,
    V_pi: Array,
    counts: Counts,
    sim: Simulator,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all but `sim`)."""
    H = pi.shape[0]
    for k in range(value.size):
        # plan
        top = _plan(Q, V, pi, counts, sim)
        if k == 0 or top >= 0:
            value[k] = policy_value(sim, pi, V_pi, H - 1 if k == 0 else top)  # measurement
        else:
            value[k] = value[k - 1]

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, _, slot = step(sim, h, s, a, rng)

            # update
            count(counts, h, s, a, slot)
            N[h, s, a] += 1
            s = s_next


@kernel
def _plan(Q: Array, V: Array, pi: IntArray, counts: Counts, sim: Simulator) -> int:
    """Plan in place (`Q`, `V`, `pi`); return the last stage where `pi` changed, or -1."""
    H, S, A = Q.shape
    top = -1
    for h in range(H - 1, -1, -1):
        for s in range(S):
            for a in range(A):
                if sim.mask[s, a]:
                    Q[h, s, a] = sim.r[h, s, a] + mean(counts, sim, h, s, a, V)
            best = greedy(Q[h, s])
            if best != pi[h, s]:
                pi[h, s] = best
                top = max(top, h)
            V[h, s] = Q[h, s, best]
    return top
