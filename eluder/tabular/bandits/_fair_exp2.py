r"""Fair classification with one-sided feedback by Exp2 (Bechavod & Roth, ICML 2023).

Pseudo-code, in our names::

    w(f) <- 1 for each classifier f of the class
    for t = 0, ..., T-1:
        k individuals of types x_1, ..., x_k arrive
        p <- (1 - gamma) w / sum(w) + gamma [all-positive];  q(i) = sum_f p(f) f(x_i)       # act
        the panel reports a pair (i, j) with q(i) - q(j) > alpha, or none
        decide by one f ~ p; see the labels of those decided positively
        loss(i) <- 1 - 2 y_i;  estimate(i) <- 1{i positive} loss(i) / q(i)                  # estimate
        if a pair is reported: estimate(i) += lam, estimate(j) -= lam
        w(f) <- w(f) exp(-eta sum_i f(x_i) estimate(i))                                     # update

A positive decision on i errs with 1 - y_i, a negative one with y_i: the losses 1 - 2 y_i and 0 differ from
these by y_i, whatever is decided. So a loss is seen exactly where it is needed: a semi-bandit.

Guarantee: against policies that are fair with tolerance alpha - eps, regret + lam eps reports = O~(sqrt(T)),
and with lam about k / eps both are O~(sqrt(T)) (the abstract's claim; constants not confirmed).

Deviations from the paper: the learning rate, the share gamma and lam are parameters, their defaults from
memory; types are drawn from a distribution, not by an adversary: the best fair policy is a linear program.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.fairness import FairClassification, FairResult, best_fair_policy, expected_error, report
from eluder.core.guarantees import Guarantee, Paper
from eluder.core.kernels import kernel, sample
from eluder.core.results import checkpoints
from eluder.core.types import Array, BoolArray, IntArray

__all__ = ["fair_exp2"]


def fair_exp2(
    problem: FairClassification,
    T: int,
    *,
    lam: float = 4.0,
    eta: float | None = None,
    gamma: float | None = None,
    slack: float = 0.0,
    rng: np.random.Generator,
) -> FairResult:
    """Decide for T rounds by exponential weights, with a price on reported pairs.

    Parameters
    ----------
    problem : FairClassification
        The problem; the learner knows its class F, sees types, reports, and labels after positive decisions.
    T : int
        Number of rounds.
    lam : float, default=4.0
        Price of a report, >= 0. The paper's order is k / eps, which makes reports rare and learning slow.
    eta : float, optional
        Learning rate > 0; by default `learning_rate`.
    gamma : float, optional
        Share in (0, 1] of the all-positive classifier; by default `mixing`.
    slack : float, default=0.0
        The comparator is the best policy that is fair with tolerance ``alpha - slack``.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    FairResult
        Regret and reports at log-spaced checkpoints, and the last policy.

    Raises
    ------
    ValueError
        If `problem` is not a FairClassification, a parameter is out of range, or `rng` is not a Generator.

    Notes
    -----
    O(k (M + k J)) time per round and O(M X) memory; measuring the error costs O(M X) more in each round.

    References
    ----------
    .. [1] Bechavod and Roth. Individually fair learning with one-sided feedback. ICML 2023.
       arXiv:2206.04475

    Examples
    --------
    >>> import numpy as np
    >>> problem = FairClassification([0.1, 0.9], [0.5, 0.5], [[1, 1], [0, 1]], np.zeros((1, 2, 2), bool))
    >>> fair_exp2(problem, 3000, rng=np.random.default_rng(0)).q.round().tolist()
    [0.0, 1.0]
    """
    if not isinstance(problem, FairClassification):
        raise ValueError(f"problem must be a FairClassification, got {type(problem).__name__}")
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e6)
    M = problem.F.shape[0]
    if eta is None:
        eta = learning_rate(M, problem.k, T, lam)
    eta = checks.number("eta", eta, 0.0, 1e6, open_low=True)
    gamma = mixing(eta, problem.k, lam) if gamma is None else gamma
    gamma = checks.number("gamma", gamma, 0.0, 1.0, open_low=True)
    best = expected_error(problem, best_fair_policy(problem, slack))
    at = checkpoints(T)
    error, violations = np.zeros(at.size), np.zeros(at.size, np.int64)
    positive = int(np.argmax(problem.F.all(axis=1)))
    p = np.zeros(M)
    _run(*problem, at, positive, lam, eta, gamma, error, violations, p, checks.generator(rng))
    return FairResult(at, error - best * at, violations, p @ problem.F)


GUARANTEES = (
    Guarantee(
        paper=Paper(
            title="Individually fair learning with one-sided feedback",
            authors="Bechavod, Roth",
            venue="ICML",
            year=2023,
            arxiv="2206.04475",
        ),
        setting="fair one-sided feedback",
        statement="regret + lam eps reports = O~(sqrt(T)) (constants not confirmed)",
        assumptions="a finite class; comparators that are fair with some slack",
        exponent=0.5,
    ),
)


def learning_rate(M: int, k: int, T: int, lam: float) -> float:
    """Return ``sqrt(ln(M) / (k T)) / (1 + lam)``, at least that of two classifiers (from memory)."""
    return math.sqrt(math.log(max(M, 2)) / (k * T)) / (1.0 + lam)


def mixing(eta: float, k: int, lam: float) -> float:
    """Return ``min(1/2, eta k (1 + lam))``, so that no update exceeds one in size."""
    return min(0.5, eta * k * (1.0 + lam))


@kernel
def estimate(
    loss: Array, x: IntArray, decision: Array, label: Array, q: Array, lam: float, i: int, j: int
) -> None:
    """Write the estimated losses of positive decisions into `loss`; the pair (i, j) is reported if i >= 0."""
    for a in range(x.size):
        loss[a] = decision[a] * (1.0 - 2.0 * label[a]) / q[a]
    if i >= 0:
        loss[i] += lam
        loss[j] -= lam


@kernel
def _run(
    y: Array,
    mu: Array,
    F: Array,
    similar: BoolArray,
    k: int,
    alpha: float,
    share: float,
    at: IntArray,
    positive: int,
    lam: float,
    eta: float,
    gamma: float,
    error: Array,
    violations: IntArray,
    p: Array,
    rng: np.random.Generator,
) -> None:
    """Run ``at[-1]`` rounds; `error`, `violations` and `p` in place."""
    M, X = F.shape
    w = np.zeros(M)  # logarithms
    x, q, loss, decision, label = np.zeros(k, np.int64), np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k)
    wrong, reports, c = 0.0, 0, 0
    for t in range(at[-1]):
        # act
        top, total = w.max(), 0.0
        for f in range(M):
            p[f] = math.exp(w[f] - top)
            total += p[f]
        for f in range(M):
            p[f] *= (1.0 - gamma) / total
        p[positive] += gamma
        for i in range(k):
            x[i] = sample(mu, rng)
            q[i] = 0.0
            for f in range(M):
                q[i] += p[f] * F[f, x[i]]
        first, second = report(x, q, similar, alpha, share)
        chosen = sample(p, rng)
        for i in range(k):
            decision[i] = F[chosen, x[i]]
            label[i] = 0.0
            if decision[i] > 0.0:
                label[i] = 1.0 if rng.random() < y[x[i]] else 0.0

        # update
        estimate(loss, x, decision, label, q, lam, first, second)
        for f in range(M):
            for i in range(k):
                w[f] -= eta * F[f, x[i]] * loss[i]

        # measurement
        for s in range(X):
            positive_rate = 0.0
            for f in range(M):
                positive_rate += p[f] * F[f, s]
            wrong += k * mu[s] * (positive_rate * (1.0 - 2.0 * y[s]) + y[s])
        reports += first >= 0
        if t + 1 == at[c]:
            error[c], violations[c] = wrong, reports
            c += 1
