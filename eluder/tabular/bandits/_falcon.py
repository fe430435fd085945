r"""FALCON: contextual bandits by offline regression in epochs (Simchi-Levi & Xu, Math. of OR 2022).

Pseudo-code (algorithm 1), in our names::

    tau_0 = 0, tau_m = 2^m                                             # epoch m: from tau_{m-1} to tau_m - 1
    for epoch m = 1, 2, ...:
        gamma = (1/30) sqrt(A tau_{m-1} / ln(N tau_{m-1} / delta))     # 0 in epoch 1: uniform
        f = least squares over the class, on all rounds before tau_{m-1}       # update
        for t in epoch m:
            context x comes;  b = argmax_a f(x, a)
            p_a = 1 / (A + gamma (f(x, b) - f(x, a))) for a != b,  p_b = 1 - sum of the others
            play a ~ p                                                 # act

Guarantee: if one of the N functions of the class is the mean reward, the regret is
O(sqrt(A T ln(N T / delta))) with probability at least 1 - delta (Theorem 1; its constant is not confirmed).
There are log2(T) regressions in all.

Deviations from the paper: A counts the actions that the context of the round offers, gamma takes the
largest such number. The theorem is for a finite class; for "table" and "linear" ln N is replaced by
``d ln(1 + tau)``, the logarithm of a covering number of a class with d parameters at scale 1 / tau, and
least squares has one fictitious reward 1/2 for each pair, or a ridge of weight 1. The factor 1/30 is from
memory and agrees with public implementations; `c` multiplies gamma (1 is the paper's).
"""

import math
from typing import Literal

import numpy as np

from eluder.core import checks
from eluder.core.contextual import (
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
from eluder.core.results import BanditResult
from eluder.core.types import Array
from eluder.tabular.bandits._inverse_gap import inverse_gap_policy
from eluder.tabular.bandits._regression import dimension, fit, kind_of

__all__ = ["falcon"]


def falcon(
    bandit: ContextualBandit,
    T: int,
    *,
    oracle: Literal["table", "finite", "linear"] = "table",
    delta: float = 0.05,
    c: float = 1.0,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of FALCON.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem; the learner sees contexts, available actions and rewards, and `phi` or `models`.
    T : int
        Number of rounds.
    oracle : {"table", "finite", "linear"}, default="table"
        Class of the regression: a parameter for each pair, the tables `models`, or linear in `phi`.
    delta : float, default=0.05
        Probability of failure.
    c : float, default=1.0
        Multiplies gamma; 1 is the paper's. Larger explores less.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    BanditResult
        Regret against the best action of each context that came, at log-spaced checkpoints, and pulls.

    Raises
    ------
    ValueError
        If `bandit` is not a ContextualBandit, lacks what the oracle needs, `T` < 1, `oracle` is another,
        `delta` is not in (0, 1), `c` is negative, or `rng` is not a Generator.

    Notes
    -----
    O(A) time per round, and log2(T) regressions on the counts of the X A pairs; O(X A) memory.

    References
    ----------
    .. [1] Simchi-Levi and Xu. Bypassing the monster: a faster and simpler optimal algorithm for contextual
       bandits under realizability. Mathematics of Operations Research 47, 2022. arXiv:2003.12699

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import contextual_bandit
    >>> means = [[0.1, 0.9], [0.8, 0.2]]
    >>> bandit = contextual_bandit(means, models=[means, [[0.5, 0.5], [0.5, 0.5]]])
    >>> int(falcon(bandit, 10_000, oracle="finite", rng=np.random.default_rng(0)).pulls.sum())
    10000
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    kind = kind_of(oracle, bandit)
    delta = checks.failure_probability("delta", delta)
    c = checks.number("c", c, 0.0)
    gammas = c * epoch_rates(kind, bandit, T, delta)
    books = contextual_ledger(bandit, T)
    _falcon(bandit, T, kind, gammas, books, checks.generator(rng))
    return contextual_result(books)


PAPER = Paper(
    title="Bypassing the monster: a faster and simpler optimal algorithm for contextual bandits "
    "under realizability",
    authors="Simchi-Levi, Xu",
    venue="Mathematics of Operations Research",
    year=2022,
    arxiv="2003.12699",
)
GUARANTEES = (
    Guarantee(
        paper=PAPER,
        setting="contextual regret",
        statement="regret O(sqrt(A T ln(N T / delta))) with probability at least 1 - delta, with log2(T) "
        "regressions (Theorem 1; constant not confirmed)",
        assumptions="a finite class of N functions that holds the mean rewards; contexts drawn independently",
        exponent=0.5,
        when={"oracle": "finite"},
    ),
    Guarantee(
        paper=PAPER,
        setting="contextual regret",
        statement="as for a finite class, with the logarithm of a covering number for ln N "
        "(constant not confirmed)",
        assumptions="the class holds the mean rewards; contexts drawn independently",
        exponent=0.5,
    ),
)


def log_size(kind: int, bandit: ContextualBandit, tau: int) -> float:
    """Return ln N of a finite class, or ``d ln(1 + tau)`` for a class with d parameters."""
    N = bandit.models.shape[0]
    return dimension(kind, bandit) * math.log(1 + tau) or math.log(max(N, 1))


def epoch_rate(A: int, tau: int, log_n: float, delta: float) -> float:
    """Return ``(1/30) sqrt(A tau / (log_n + ln(tau / delta)))``, the gamma after tau rounds; 0 after none."""
    return math.sqrt(A * tau / (log_n + math.log(tau / delta))) / 30 if tau else 0.0


def epoch_rates(kind: int, bandit: ContextualBandit, T: int, delta: float) -> Array:
    """Return gamma of the epochs that T rounds reach."""
    A = int(bandit.mask.sum(axis=1).max())
    ends = [0, *(2**m for m in range(1, max(T - 1, 1).bit_length() + 1))]
    return np.array([epoch_rate(A, tau, log_size(kind, bandit, tau), delta) for tau in ends])


@kernel
def _falcon(
    bandit: ContextualBandit,
    T: int,
    kind: int,
    gammas: Array,
    books: ContextualLedger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `books` in place."""
    X, A = bandit.mask.shape
    n, s, f, p = np.zeros((X, A)), np.zeros((X, A)), np.zeros((X, A)), np.zeros((X, A))
    m, end = 0, 0
    for t in range(T):
        if t == end:  # update
            fit(kind, bandit, n, s, f)
            inverse_gap_policy(f, bandit.mask, gammas[m], p)
            m += 1
            end = 2**m

        # act
        x = arrive(books, rng)
        a = sample(p[x], rng)
        reward = respond(bandit, books, t, x, a, rng)
        n[x, a] += 1.0
        s[x, a] += reward
