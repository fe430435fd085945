r"""Regression and exploration on batches of delayed logs (Vangara & Egg, workshop at KDD 2025).

Pseudo-code, in our names::

    for batch k = 0, 1, ...:
        log = rounds of batches k - delay - memory, ..., k - delay - 1         # what has arrived, not too old
        f = least squares over the class on the log                             # update
        for each round of the batch:
            context x comes with its available actions, A of them;  b = argmax_a f(x, a)
            inverse_gap:  p_a = 1 / (A + gamma (f(x, b) - f(x, a))) for a != b,  p_b = the rest
            uniform:      p_a = epsilon / A for a != b,  p_b = the rest
            play a ~ p; the reward is logged                                    # act
    with an empty log p is uniform

Guarantee: none is claimed for delayed batches and short memory. "uniform" is the baseline: its regret is
linear in T, at least epsilon times the mean distance of the actions from the best.

Deviations from the paper: it runs on live payments and names SquareCB's weights; the regression (here least
squares instead of boosted trees), the batch length and the constants are ours. gamma is by default that of
SquareCB with the length n of the log for T: ``sqrt(A n / (Reg_Sq(n) + ln(2 / delta)))`` (from memory).
"""

from typing import Literal

import numpy as np

from eluder.core import checks
from eluder.core.contextual import (
    BatchedResult,
    ContextualBandit,
    ContextualLedger,
    arrive,
    contextual_ledger,
    contextual_result,
    refuse_other_problems,
    respond,
)
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.types import Array, BoolArray
from eluder.tabular.bandits._inverse_gap import inverse_gap_policy
from eluder.tabular.bandits._regression import fit, kind_of, square_regret
from eluder.tabular.bandits._square_cb import learning_rate

__all__ = ["batched_regression"]


def batched_regression(
    bandit: ContextualBandit,
    T: int,
    *,
    batch: int = 5000,
    delay: int = 1,
    memory: int | None = None,
    oracle: Literal["table", "finite", "linear"] = "table",
    explore: Literal["inverse_gap", "uniform"] = "inverse_gap",
    gamma: float | None = None,
    epsilon: float = 0.1,
    delta: float = 0.05,
    rng: np.random.Generator,
) -> BatchedResult:
    """Play T rounds in batches whose logs come late and are soon forgotten.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem; the learner sees contexts, available actions and rewards, and `phi` or `models`.
    T : int
        Number of rounds.
    batch : int, default=5000
        Rounds of a batch, in which the policy does not change.
    delay : int, default=1
        Batches that pass before a log can be used; 0 lets the next batch use it.
    memory : int, optional
        Number of batches to train on, the newest that have arrived; by default all.
    oracle : {"table", "finite", "linear"}, default="table"
        Class of the regression: a parameter for each pair, the tables `models`, or linear in `phi`.
    explore : {"inverse_gap", "uniform"}, default="inverse_gap"
        How the policy departs from the best prediction.
    gamma : float, optional
        Weight >= 0 of the gaps for "inverse_gap"; by default SquareCB's, with the length of the log for T.
    epsilon : float, default=0.1
        Share in [0, 1] of uniform rounds for "uniform".
    delta : float, default=0.05
        Probability of failure in the default of `gamma`.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BatchedResult
        Regret against the best action of each context that came, at log-spaced checkpoints, pulls, and the
        policy of each batch, with which its actions were drawn.

    Raises
    ------
    ValueError
        If `bandit` is not a ContextualBandit, lacks what the oracle needs, a number is outside its range,
        `oracle` or `explore` is another, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round, one regression a batch on the counts of the X A pairs; memory
    O(X A (delay + memory)) for the logs and O(X A T / batch) for the policies that are returned.

    References
    ----------
    .. [1] Vangara and Egg. Contextual bandits in payment processing: non-uniform exploration and supervised
       learning. OARS workshop at KDD, 2025. arXiv:2412.00569

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import contextual_bandit
    >>> bandit, rng = contextual_bandit([[0.1, 0.9], [0.8, 0.2]]), np.random.default_rng(0)
    >>> bool(batched_regression(bandit, 10_000, batch=500, rng=rng).regret[-1] < 1500)
    True
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    batch = checks.integer("batch", batch)
    delay = checks.integer("delay", delay, 0)
    batches = -(-T // batch)
    memory = batches if memory is None else checks.integer("memory", memory)
    kind = kind_of(oracle, bandit)
    rates = batch_rates(kind, bandit, batches, batch, delay, memory, explore, gamma, epsilon, delta)
    books = contextual_ledger(bandit, T)
    delay, memory = min(delay, batches), min(memory, batches)  # more changes nothing
    policies = np.zeros((batches, *bandit.mask.shape))
    _batched(bandit, T, batch, delay, memory, kind, rates, books, policies, checks.generator(rng))
    run = contextual_result(books)
    return BatchedResult(run.checkpoints, run.regret, run.pulls, run.value, policies)


PAPER = Paper(
    title="Contextual bandits in payment processing: non-uniform exploration and supervised learning",
    authors="Vangara, Egg",
    venue="OARS workshop at KDD",
    year=2025,
    arxiv="2412.00569",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="baseline",
        statement="linear regret: epsilon of the rounds are uniform for ever",
        exponent=1.0,
        when={"explore": "uniform"},
    ),
    Guarantee(
        paper=PAPER,
        setting="contextual regret",
        statement="none claimed for delayed batches and short memory; "
        "the weights satisfy SquareCB's inequality",
    ),
)


def lengths(batches: int, batch: int, delay: int, memory: int) -> list[int]:
    """Return how many rounds the log of each batch holds."""
    return [batch * min(max(k - delay, 0), memory) for k in range(batches)]


def batch_rates(
    kind: int,
    bandit: ContextualBandit,
    batches: int,
    batch: int,
    delay: int,
    memory: int,
    explore: str,
    gamma: float | None,
    epsilon: float,
    delta: float,
) -> Array:
    """Return gamma of each batch, 0 where the log is empty; -1 - epsilon for "uniform"."""
    if explore not in ("inverse_gap", "uniform"):
        raise ValueError(f"explore must be 'inverse_gap' or 'uniform', got {explore!r}")
    epsilon = checks.number("epsilon", epsilon, 0.0, 1.0)
    delta = checks.failure_probability("delta", delta)
    logs = lengths(batches, batch, delay, memory)
    if explore == "uniform":
        return np.full(batches, -1.0 - epsilon)
    if gamma is not None:
        gamma = checks.number("gamma", gamma, 0.0)
        return np.array([gamma if n else 0.0 for n in logs])
    A = int(bandit.mask.sum(axis=1).max())
    return np.array([learning_rate(A, n, square_regret(kind, bandit, n), delta) for n in logs])


@kernel
def uniform_policy(f: Array, mask: BoolArray, epsilon: float, p: Array) -> None:
    """Fill the table `p` (X, A) in place: the best prediction, but with chance epsilon any action."""
    X, A = f.shape
    for x in range(X):
        offered, b = 0, -1
        for a in range(A):
            if mask[x, a]:
                offered += 1
                if b < 0 or f[x, a] > f[x, b]:
                    b = a
        for a in range(A):
            p[x, a] = epsilon / offered if mask[x, a] else 0.0
        p[x, b] += 1.0 - epsilon


@kernel
def batch_policy(f: Array, mask: BoolArray, rate: float, logged: bool, p: Array) -> None:
    """Fill the policy `p` (X, A) of a batch in place: uniform without a log, else by the rate's sign."""
    if not logged:
        inverse_gap_policy(f, mask, 0.0, p)
    elif rate < 0.0:
        uniform_policy(f, mask, -1.0 - rate, p)
    else:
        inverse_gap_policy(f, mask, rate, p)


@kernel
def _batched(
    bandit: ContextualBandit,
    T: int,
    batch: int,
    delay: int,
    memory: int,
    kind: int,
    rates: Array,
    books: ContextualLedger,
    policies: Array,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `books` and `policies` in place. Negative rates stand for uniform exploration."""
    X, A = bandit.mask.shape
    slots = delay + memory + 1  # the batch that is played, those on their way, those in the log
    n_new, s_new = np.zeros((slots, X, A)), np.zeros((slots, X, A))
    n, s, f = np.zeros((X, A)), np.zeros((X, A)), np.zeros((X, A))
    for t in range(T):
        k = t // batch
        if t % batch == 0:  # update
            n_new[k % slots] = 0.0
            s_new[k % slots] = 0.0
            n[:] = 0.0
            s[:] = 0.0
            for j in range(max(k - delay - memory, 0), k - delay):
                n += n_new[j % slots]
                s += s_new[j % slots]
            fit(kind, bandit, n, s, f)
            batch_policy(f, bandit.mask, rates[k], k > delay, policies[k])

        # act
        x = arrive(books, rng)
        a = sample(policies[k, x], rng)
        n_new[k % slots, x, a] += 1.0
        s_new[k % slots, x, a] += respond(bandit, books, t, x, a, rng)
