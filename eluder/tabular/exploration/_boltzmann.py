r"""Boltzmann (softmax) Q-learning, a baseline (Sutton & Barto, Reinforcement Learning, section 2.3 of its
first edition).

Pseudo-code, in our names::

    N <- 0;  Q <- 0
    for k = 1, ..., K:
        tau <- temperature k^-decay
        for h = 0, ..., H-1:
            play a with probability proportional to exp(Q[h, s, a] / tau)                      # act
            observe the reward R and s';  N[h, s, a] += 1                                      # update
            Q[h, s, a] += (H + 1) / (H + N[h, s, a]) (R + max_b Q[h+1, s', b] - Q[h, s, a])

Guarantee: none for the regret. It is linear with a constant temperature, and no schedule that ignores the
visits of each action is good everywhere (Cesa-Bianchi, Gentile, Lugosi & Neu, NeurIPS 2017, for bandits).

Deviations from the paper: the book has the rule for bandits; here it chooses at each stage, by the values of
Q-learning, whose step size (H + 1) / (H + n) is that of Jin et al. (NeurIPS 2018).
"""

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, reset, step, stochastic_policy_value
from eluder.core.types import Array, IntArray
from eluder.tabular.exploration._shared import episodic_simulator, greedy
from eluder.tabular.exploration._stochastic import decayed, repair_mixture_value, td_update, zero_q

__all__ = ["boltzmann_q_learning"]


def boltzmann_q_learning(
    mdp: EpisodicMDP, K: int, *, temperature: float = 0.1, decay: float = 0.0, rng: np.random.Generator
) -> OnlineResult:
    """Play K episodes of Q-learning with Boltzmann exploration.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the horizon; it reads neither `r` nor `P`.
    K : int
        Number of episodes.
    temperature : float, default=0.1
        Temperature of the first episode, in units of reward, > 0; large is near uniform, small near greedy.
    decay : float, default=0.0
        Episode k = 1, 2, ... has temperature ``temperature k^-decay``; 0 keeps it constant.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` (K,): exact value of the stochastic policy that was played; ``upper`` is NaN; ``Q``, ``pi``
        (greedy), ``N`` by stage.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1, `temperature` is not positive, `decay` is negative or `rng` is
        not a Generator.

    Notes
    -----
    O(H A) time per episode for the learner. Measuring takes up to O(H S A B), B the number of successors of a
    pair, as almost every step changes the policy.

    References
    ----------
    .. [1] Sutton and Barto. Reinforcement Learning: An Introduction. MIT Press 1998, section 2.3.
    .. [2] Cesa-Bianchi, Gentile, Lugosi and Neu. Boltzmann exploration done right. NeurIPS 2017.
       arXiv:1705.10257

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> result = boltzmann_q_learning(bandit, 2000, temperature=1.0, rng=np.random.default_rng(0))
    >>> round(float(result.value[-1]), 4)  # e / (1 + e)
    0.7311
    """
    K = checks.integer("K", K)
    temperature = checks.number("temperature", temperature, 0.0, open_low=True)
    decay = checks.number("decay", decay, 0.0)
    value, Q, pi, N = _boltzmann(episodic_simulator(mdp), K, temperature, decay, checks.generator(rng))
    return OnlineResult(value, np.full(K, np.nan), Q, pi, N)


PAPER = Paper(
    title="Boltzmann exploration done right",
    authors="Cesa-Bianchi, Gentile, Lugosi, Neu",
    venue="NeurIPS",
    year=2017,
    arxiv="1705.10257",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="baseline",
        statement="none for the regret: linear while the temperature is constant",
    ),
)


@kernel
def boltzmann_row(row: Array, q: Array, tau: float) -> None:
    """Set ``row[a] = exp(q[a] / tau) / sum_b exp(q[b] / tau)``; 0 where q is -inf."""
    top = q[greedy(q)]
    total = 0.0
    for a in range(q.size):
        row[a] = np.exp((q[a] - top) / tau)
        total += row[a]
    for a in range(q.size):
        row[a] /= total


def _boltzmann(
    sim: Simulator, K: int, temperature: float, decay: float, rng: np.random.Generator
) -> tuple[Array, Array, IntArray, IntArray]:
    """Run K episodes."""
    H, S, A = sim.r.shape
    Q, pi = zero_q(sim)
    N = np.zeros((H, S, A), np.int64)
    value = np.empty(K)
    w, V_w, changed = np.zeros((H, S, A)), np.zeros((H + 1, S)), np.full(H, -1)
    _run(value, Q, pi, N, w, V_w, changed, sim, temperature, decay, rng)
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
    temperature: float,
    decay: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all down to `changed`)."""
    H, S = pi.shape
    tau = -1.0
    for k in range(value.size):
        before, tau = tau, max(decayed(temperature, k + 1, decay), 1e-300)
        if tau != before:
            for h in range(H):
                for s in range(S):
                    boltzmann_row(w[h, s], Q[h, s], tau)
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
            pi[h, s] = greedy(Q[h, s])
            boltzmann_row(w[h, s], Q[h, s], tau)
            changed[h] = s
            s = s_next
