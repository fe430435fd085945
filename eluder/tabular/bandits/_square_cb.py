r"""SquareCB: contextual bandits by online regression (Foster & Rakhlin, ICML 2020; Abe & Long, ICML 1999).

Pseudo-code (algorithm 1), in our names and for rewards::

    for t = 0, ..., T-1:
        context x comes with its available actions, A of them
        y_a = prediction of the regression oracle for (x, a)
        b = argmax_a y_a
        p_a = 1 / (A + gamma (y_b - y_a)) for a != b,  p_b = 1 - sum of the others
        play a ~ p, observe a reward r in [0, 1]                                       # act
        feed (x, a, r) to the oracle                                                   # update

Guarantee: if the class of the oracle holds the mean rewards, the expected regret is at most

    2 A T / gamma + gamma Reg_Sq(T) / 4

where Reg_Sq bounds the oracle's regret in square loss. This follows from the inequality
``sum_a p_a (f(a*) - f(a)) - gamma / 4 sum_a p_a (y_a - f(a))^2 <= 2 A / gamma``, which holds for every f
(lemma 3, from memory; proved in `_inverse_gap.worst_error`, with A - 1 for A). The paper's Theorem 1 (from
memory): with ``gamma = sqrt(A T / (Reg_Sq + ln(2 / delta)))`` the regret is
O(sqrt(A T Reg_Sq) + sqrt(A T ln(1 / delta))) with probability at least 1 - delta.

Oracles: "table" is follow-the-leader for each pair with one fictitious reward 1/2, "finite" exponential
weights over `bandit.models`, "linear" the Vovk-Azoury-Warmuth forecaster on `bandit.phi`.

Deviations from the paper: rewards instead of losses; A counts the actions that the context of the round
offers (dynamic action sets), gamma is computed for the largest such number. The constants of Theorem 1 and
of gamma are from memory; predictions of the linear oracle are clipped to [0, 1].
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
from eluder.tabular.bandits._inverse_gap import inverse_gap
from eluder.tabular.bandits._regression import Oracle, kind_of, learn, online_oracle, predict, square_regret

__all__ = ["square_cb"]


def square_cb(
    bandit: ContextualBandit,
    T: int,
    *,
    oracle: Literal["table", "finite", "linear"] = "table",
    gamma: float | None = None,
    delta: float = 0.05,
    rng: np.random.Generator,
) -> BanditResult:
    """Play T rounds of SquareCB.

    Parameters
    ----------
    bandit : ContextualBandit
        The problem; the learner sees contexts, available actions and rewards, and `phi` or `models`.
    T : int
        Number of rounds.
    oracle : {"table", "finite", "linear"}, default="table"
        Class of the regression: a parameter for each pair, the tables `models`, or linear in `phi`.
    gamma : float, optional
        Weight >= 0 of the gaps: large exploits, 0 plays uniformly. By default `learning_rate`.
    delta : float, default=0.05
        Probability of failure in the default of `gamma`.
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
        `gamma` is negative, `delta` is not in (0, 1), or `rng` is not a Generator.

    Notes
    -----
    Time per round O(A) for a table, O(N A) for N models, O(A d^2) for d features; memory does not grow
    with T.

    References
    ----------
    .. [1] Foster and Rakhlin. Beyond UCB: optimal and efficient contextual bandits with regression oracles.
       ICML 2020. arXiv:2002.04926
    .. [2] Abe and Long. Associative reinforcement learning using linear probabilistic concepts. ICML 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from eluder.envs import contextual_bandit
    >>> bandit = contextual_bandit([[0.1, 0.9], [0.8, 0.2]])
    >>> bool(square_cb(bandit, 10_000, rng=np.random.default_rng(0)).regret[-1] < 600)
    True
    """
    refuse_other_problems(bandit)
    T = checks.integer("T", T)
    kind = kind_of(oracle, bandit)
    delta = checks.failure_probability("delta", delta)
    if gamma is None:
        gamma = learning_rate(int(bandit.mask.sum(axis=1).max()), T, square_regret(kind, bandit, T), delta)
    gamma = checks.number("gamma", gamma, 0.0)
    books = contextual_ledger(bandit, T)
    _square_cb(bandit, T, gamma, online_oracle(kind, bandit), books, checks.generator(rng))
    return contextual_result(books)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Beyond UCB: optimal and efficient contextual bandits with regression oracles",
            authors="Foster, Rakhlin",
            venue="ICML",
            year=2020,
            arxiv="2002.04926",
        ),
        setting="contextual regret",
        statement="expected regret at most 2 A T / gamma + gamma Reg_Sq / 4, so O(sqrt(A T Reg_Sq)); "
        "Theorem 1: also with high probability (constants from memory)",
        assumptions="the class of the oracle holds the mean rewards; rewards in [0, 1]",
        exponent=0.5,
    ),
)


def learning_rate(A: int, T: int, reg: float, delta: float) -> float:
    """Return ``gamma = sqrt(A T / (reg + ln(2 / delta)))`` (Theorem 1; constant from memory)."""
    return math.sqrt(A * T / (reg + math.log(2 / delta)))


def expected_bound(A: int, T: int, gamma: float, reg: float) -> float:
    """Return the bound ``2 A T / gamma + gamma reg / 4`` on the expected regret."""
    return 2 * A * T / gamma + gamma * reg / 4


@kernel
def _square_cb(
    bandit: ContextualBandit,
    T: int,
    gamma: float,
    oracle: Oracle,
    books: ContextualLedger,
    rng: np.random.Generator,
) -> None:
    """Run T rounds; `oracle` and `books` in place."""
    A = bandit.mask.shape[1]
    y, p = np.zeros(A), np.zeros(A)
    for t in range(T):
        x = arrive(books, rng)
        predict(oracle, bandit, x, y)
        inverse_gap(y, bandit.mask[x], gamma, p)

        # act
        a = sample(p, rng)
        reward = respond(bandit, books, t, x, a, rng)

        # update
        learn(oracle, bandit, x, a, reward)
