r"""PSRL: posterior sampling for reinforcement learning (Osband, Russo & Van Roy, NeurIPS 2013).

Pseudo-code, in our names::

    prior: P(s, a, .) ~ Dirichlet(prior, ..., prior),  r(s, a) ~ Beta(1, 1), all independent
    for k = 1, ..., K:
        P~, r~ <- a draw from the posterior                                         # draw
        Q, V, pi <- backward induction in (P~, r~)                                  # plan
        for h = 0, ..., H-1:                                                        # act
            play a = pi[h, s], observe r and s'
            N(s, a, s') += 1;  successes(s, a) += Bernoulli(r)                      # update

The posterior of P(s, a, .) is Dirichlet(prior + N(s, a, .)), that of r(s, a) is
Beta(1 + successes, 1 + N(s, a) - successes).

Guarantee: the regret has expectation O(H S sqrt(A T ln(S A T))), T = K H, over problems drawn from the prior,
with Bernoulli rewards and counts shared by the stages (Theorem 1; its constant is not given). It is a bound
for the mean over problems, not for each problem.

Deviations from the paper: a reward in [0, 1] is rounded to 0 or 1 at random with that mean (Agrawal & Goyal
2012), so that Beta posteriors fit any reward; counts may depend on the stage. With ``sampling="lumped"`` the
successors that a pair has never shown get one draw together, of the exact law of their total probability, and
share it evenly. The mean of P~, and the joint law of the seen probabilities and the unseen total, are those
of the Dirichlet posterior; only the split of the unseen total is not random. ``sampling="full"`` draws each.
"""

from typing import Literal

import numpy as np

from eluder.core import checks
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel
from eluder.core.problems import EpisodicMDP
from eluder.core.results import OnlineResult
from eluder.core.simulator import Simulator, policy_value, reset, step
from eluder.core.types import Array, BoolArray, IntArray
from eluder.tabular.exploration._shared import episodic_simulator, greedy, optimistic, stage_table

__all__ = ["psrl"]


def psrl(
    mdp: EpisodicMDP,
    K: int,
    *,
    prior: float = 1.0,
    sampling: Literal["lumped", "full"] = "lumped",
    stationary: bool = False,
    rng: np.random.Generator,
) -> OnlineResult:
    """Play K episodes of posterior sampling.

    Parameters
    ----------
    mdp : EpisodicMDP
        The simulator. The learner knows the horizon and the numbers of states and actions; it reads neither
        `P` nor `r`.
    K : int
        Number of episodes.
    prior : float, default=1.0
        Pseudo-count of each successor in the Dirichlet prior, in (0, 1e100]: 1 is the uniform distribution
        over kernels, 1/S expects few successors and learns faster where there are.
    sampling : {"lumped", "full"}, default="lumped"
        Draw the unseen successors of a pair as one lump shared evenly, or each of them.
    stationary : bool, default=False
        Share the counts between stages, as in the paper; only if `P` and `r` do not depend on the stage.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    OnlineResult
        ``value`` of shape (K,); ``upper`` is NaN (no upper bound is kept); ``Q``, ``pi``, ``N`` by stage,
        ``Q`` and ``pi`` those of the last draw.

    Raises
    ------
    ValueError
        If `mdp` is not episodic, `K` < 1, `prior` is outside (0, 1e100], `sampling` is unknown, `rng` is
        not a Generator, or `stationary` is asked of a problem that depends on the stage.

    Notes
    -----
    O(H S A B) time per episode with B the number of successors of a pair, and one gamma draw for each seen
    successor, two for each reward and one for each lump, once (`stationary`) or at every stage. With
    ``sampling="full"`` S takes the place of B. O(H S A B) memory.

    References
    ----------
    .. [1] Osband, Russo and Van Roy. (More) efficient reinforcement learning via posterior sampling.
       NeurIPS 2013, Theorem 1. arXiv:1306.0940
    .. [2] Agrawal and Goyal. Analysis of Thompson sampling for the multi-armed bandit problem. COLT 2012.
       arXiv:1111.1797

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.core.problems import EpisodicMDP
    >>> bandit = EpisodicMDP(P=np.ones((1, 2, 1)), r=[[0.0, 1.0]], mu=[1.0], H=1)
    >>> psrl(bandit, 100, rng=np.random.default_rng(0)).pi
    array([[1]])
    """
    K = checks.integer("K", K)
    prior = checks.number("prior", prior, 0.0, 1e100, open_low=True)
    if sampling not in ("lumped", "full"):
        raise ValueError(f"sampling must be 'lumped' or 'full', got {sampling!r}")
    sim = episodic_simulator(mdp)
    tables = stage_table(mdp, stationary)
    value, Q, pi, N = _psrl(sim, K, tables, sampling == "lumped", prior, checks.generator(rng))
    return OnlineResult(value, np.full(K, np.nan), Q, pi, N)


PAPER = Paper(
    title="(More) efficient reinforcement learning via posterior sampling",
    authors="Osband, Russo, Van Roy",
    venue="NeurIPS",
    year=2013,
    arxiv="1306.0940",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="expected regret O(H S sqrt(A T ln(S A T))), T = K H, over the prior (Theorem 1)",
        assumptions="the problem is drawn from the prior",
        exponent=0.5,
        when={"sampling": "full", "stationary": True},
    ),
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="expected regret O~(sqrt(K)) over the prior: Theorem 1 with H S states",
        assumptions="the problem is drawn from the prior",
        exponent=0.5,
        when={"sampling": "full", "stationary": False},
    ),
    Guarantee(
        paper=PAPER,
        setting="episodic regret",
        statement="none: the unseen successors share their probability evenly, which no posterior does",
        when={"sampling": "lumped"},
    ),
)


def _psrl(
    sim: Simulator, K: int, table: IntArray, lumped: bool, prior: float, rng: np.random.Generator
) -> tuple[Array, Array, IntArray, IntArray]:
    """Run K episodes; stage h counts in ``table[h]``, by the simulator's slots (by state: not `lumped`)."""
    H, S, A = sim.r.shape
    G = int(table[-1]) + 1
    succ, stage = (sim.succ, sim.stage) if lumped else (_every_state(S, A), np.zeros(H, np.int64))
    Q, pi = optimistic(sim)
    N = np.zeros((H, S, A), np.int64)
    value = np.empty(K)
    V, V_pi, rest, r = (np.zeros(shape) for shape in ((H + 1, S), (H + 1, S), (G, S, A), (G, S, A)))
    n_next, wins = np.zeros((G, S, A, succ.shape[3]), np.int64), np.zeros((G, S, A, 2), np.int64)
    weight = np.zeros(n_next.shape)
    _run(value, Q, pi, N, V, V_pi, n_next, wins, weight, rest, r, table, succ, stage, sim, lumped, prior, rng)
    return value, Q, pi, N


@kernel
def _run(
    value: Array,
    Q: Array,
    pi: IntArray,
    N: IntArray,
    V: Array,
    V_pi: Array,
    n_next: IntArray,
    wins: IntArray,
    weight: Array,
    rest: Array,
    r: Array,
    table: IntArray,
    succ: IntArray,
    stage: IntArray,
    sim: Simulator,
    lumped: bool,
    prior: float,
    rng: np.random.Generator,
) -> None:
    """Run ``value.size`` episodes in place (all down to `r`)."""
    H = pi.shape[0]
    for k in range(value.size):
        _draw(weight, rest, r, n_next, wins, sim.mask, lumped, prior, rng)
        top = _plan(Q, V, pi, weight, rest, r, table, succ, stage, sim.mask)
        if k == 0 or top >= 0:
            value[k] = policy_value(sim, pi, V_pi, H - 1 if k == 0 else top)  # measurement
        else:
            value[k] = value[k - 1]

        # act
        s = reset(sim, rng)
        for h in range(H):
            a = pi[h, s]
            s_next, reward, slot = step(sim, h, s, a, rng)

            # update
            g = table[h]
            n_next[g, s, a, slot if lumped else s_next] += 1
            wins[g, s, a, 1 if rng.random() < reward else 0] += 1
            N[h, s, a] += 1
            s = s_next


def _every_state(S: int, A: int) -> IntArray:
    """Return successors for which slot s' is the state s', shape (1, S, A, S)."""
    return np.tile(np.arange(S), (1, S, A, 1))


@kernel
def _draw(
    weight: Array,
    rest: Array,
    r: Array,
    n_next: IntArray,
    wins: IntArray,
    mask: BoolArray,
    lumped: bool,
    prior: float,
    rng: np.random.Generator,
) -> None:
    """Draw a problem from the posterior, in place.

    Every successor gets the probability ``rest[g, s, a]``, and that of slot i ``weight[g, s, a, i]`` more, so
    that a backup over all S states is ``rest sum(V) + sum_i weight_i V[succ_i]``.
    """
    G, S, A = rest.shape
    for g in range(G):
        for s in range(S):
            for a in range(A):
                if mask[s, a]:
                    win = rng.standard_gamma(1.0 + wins[g, s, a, 1])
                    r[g, s, a] = win / (win + rng.standard_gamma(1.0 + wins[g, s, a, 0]))
                    _draw_row(weight, rest, n_next, g, s, a, lumped, prior, rng)


@kernel
def _draw_row(
    weight: Array,
    rest: Array,
    n_next: IntArray,
    g: int,
    s: int,
    a: int,
    lumped: bool,
    prior: float,
    rng: np.random.Generator,
) -> None:
    """Draw the kernel of one pair from its Dirichlet posterior, in place."""
    S = n_next.shape[1]
    total = 0.0
    unseen = S
    for i in range(n_next.shape[3]):
        if n_next[g, s, a, i] > 0 or not lumped:
            weight[g, s, a, i] = rng.standard_gamma(prior + n_next[g, s, a, i])
            total += weight[g, s, a, i]
            unseen -= 1
    if unseen == S:  # nothing seen: the lump is certain
        rest[g, s, a] = 1.0 / S
        return
    lump = rng.standard_gamma(prior * unseen) if unseen > 0 else 0.0
    total += lump
    if total == 0.0:  # every draw underflowed: the limit for a small prior is a random successor
        weight[g, s, a, int(rng.random() * S)] = total = 1.0
    rest[g, s, a] = lump / (unseen * total) if unseen > 0 else 0.0
    for i in range(n_next.shape[3]):
        if n_next[g, s, a, i] > 0 or not lumped:
            weight[g, s, a, i] = weight[g, s, a, i] / total - rest[g, s, a]


@kernel
def _plan(
    Q: Array,
    V: Array,
    pi: IntArray,
    weight: Array,
    rest: Array,
    r: Array,
    table: IntArray,
    succ: IntArray,
    stage: IntArray,
    mask: BoolArray,
) -> int:
    """Solve the drawn problem in place (`Q`, `V`, `pi`); return the last stage where `pi` changed, or -1."""
    H, S, A = Q.shape
    top = -1
    for h in range(H - 1, -1, -1):
        g = table[h]
        w, to, V_next = weight[g], succ[stage[h]], V[h + 1]
        sum_V = 0.0
        for s in range(S):
            sum_V += V_next[s]
        for s in range(S):
            for a in range(A):
                if mask[s, a]:
                    PV = rest[g, s, a] * sum_V
                    for i in range(to.shape[2]):
                        PV += w[s, a, i] * V_next[to[s, a, i]]
                    Q[h, s, a] = r[g, s, a] + PV
            best = greedy(Q[h, s])
            if best != pi[h, s]:
                pi[h, s] = best
                top = max(top, h)
            V[h, s] = Q[h, s, best]
    return top
