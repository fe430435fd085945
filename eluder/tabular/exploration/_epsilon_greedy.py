r"""Epsilon-greedy Q-learning (Watkins 1989; Watkins & Dayan, Machine Learning 1992), a baseline.

Pseudo-code, in our names::

    N <- 0;  Q <- 0
    for k = 1, ..., K:
        eps <- min(1, epsilon k^-decay)
        for h = 0, ..., H-1:
            with probability eps play an available action at random, else a = argmax Q[h, s, .]  # act
            observe the reward R and s';  N[h, s, a] += 1                                      # update
            Q[h, s, a] += (H + 1) / (H + N[h, s, a]) (R + max_b Q[h+1, s', b] - Q[h, s, a])

Guarantee: none for the regret. With constant eps it grows linearly, by up to eps H per episode, and where
rewards are d greedy steps away exploration alone takes of order (A / eps)^d episodes to see one.

Deviations from the paper: finite horizon; the step size (H + 1) / (H + n) is that of Jin et al. (NeurIPS
2018).
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, reset, step, stochastic_policy_value
from eluder.core.types import Array, BoolArray, IntArray
from eluder.tabular.exploration._shared import episodic_simulator, greedy
from eluder.tabular.exploration._stochastic import (
    decayed,
    repair_mixture_value,
    td_update,
    uniform_row,
    zero_q,
)

__all__ = ["epsilon_greedy_q_learning"]


def epsilon_greedy_q_learning(
    mdp: EpisodicMDP, K: int, *, epsilon: float = 0.1, decay: float = 0.0, rng: np.random.Generator
) -> OnlineResult:
    """Play K episodes of epsilon-greedy Q-learning.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the horizon; it reads neither `r` nor `P`.
    K : int
        Number of episodes.
    epsilon : float, default=0.1
        Probability of a random action in the first episode, in [0, 1].
    decay : float, default=0.0
        Episode k = 1, 2, ... explores with probability ``epsilon k^-decay``; 0 keeps it constant.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` (K,): exact value of the mixture that was played, random actions included; ``upper`` is NaN;
        ``Q``, ``pi`` (greedy), ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1, `epsilon` is outside [0, 1], `decay` is negative or `rng` is
        not a Generator.

    Notes
    -----
    O(H A) time per episode for the learner. Measuring takes up to O(H S A B), B the number of successors of a
    pair, in episodes whose policy differs from the last; with `decay` > 0 these are all episodes.

    References
    ----------
    .. [1] Watkins and Dayan. Q-learning. Machine Learning 8, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> result = epsilon_greedy_q_learning(bandit, 200, epsilon=0.5, rng=np.random.default_rng(0))
    >>> float(result.value[-1])
    0.75
    """
    K = checks.integer("K", K)
    epsilon = checks.number("epsilon", epsilon, 0.0, 1.0)
    decay = checks.number("decay", decay, 0.0)
    value, Q, pi, N = _epsilon_greedy(episodic_simulator(mdp), K, epsilon, decay, checks.generator(rng))
    return OnlineResult(value, np.full(K, np.nan), Q, pi, N)


PAPER = Paper(title="Q-learning", authors="Watkins, Dayan", venue="Machine Learning 8", year=1992)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="baseline",
        statement="none for the regret: linear while epsilon is constant",
    ),
)


@kernel
def epsilon_greedy_row(row: Array, best: int, mask: BoolArray, eps: float) -> None:
    """Set the probabilities of one state: eps spread over the available actions, the rest on `best`."""
    uniform_row(row, mask, eps)
    row[best] += 1.0 - eps


def _epsilon_greedy(
    sim: Simulator, K: int, epsilon: float, decay: float, rng: np.random.Generator
) -> tuple[Array, Array, IntArray, IntArray]:
    """Run K episodes."""
    H, S, A = sim.r.shape
    Q, pi = zero_q(sim)
    N = np.zeros((H, S, A), np.int64)
    value = np.empty(K)
    w, V_w, changed = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.full(H, -1)
    _run(value, Q, pi, N, w, V_w, changed, sim, epsilon, decay, rng)
    return value, Q, pi, N


@kernel
def _run(
    value: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    w: Array,
    V_w: Array,
    changed: IntArray,
    sim: Simulator,
    epsilon: float,
    decay: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all down to `changed`)."""
    H, S = pi.shape
    eps = -1.0
    for k in range(value.size):
        before, eps = eps, decayed(epsilon, k + 1, decay)
        if eps != before:
            for h in range(H):
                for s in range(S):
                    epsilon_greedy_row(w[h, s], pi[h, s], sim.mask[s], eps)
            value[k] = stochastic_policy_value(sim, w, V_w)  # measurement
        else:
            value[k] = repair_mixture_value(sim, w, V_w, changed, value[k - 1])  # measurement

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = sample(w[h, s], rng)
            s_next, reward, _ = step(sim, h, s, a, rng)

            # update
            td_update(Q, N, h, s, a, reward, s_next)
            changed[h] = -1
            best = greedy(Q[h, s])
            if best != pi[h, s]:
                pi[h, s] = best
                epsilon_greedy_row(w[h, s], best, sim.mask[s], eps)
                changed[h] = s
            s = s_next
