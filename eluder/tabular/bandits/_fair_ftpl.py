r"""Fair classification with one-sided feedback by perturbed leaders (Bechavod & Roth, ICML 2023).

Pseudo-code (Context-Semi-Bandit-FTPL of Syrgkanis, Krishnamurthy & Schapire 2016), in our names::

    G(x) <- 0 for each type x: the estimated loss of being positive on x
    for t = 0, ..., T-1:
        k individuals of types x_1, ..., x_k arrive
        noise(x) ~ Laplace(1/eta) for each type x                                           # act
        f <- argmin_f sum_x f(x) (G(x) + noise(x));  with probability gamma f <- all-positive
        q(i) <- share of `draws` such draws of f with f(x_i) = 1
        the panel reports a pair (i, j) with q(i) - q(j) > alpha, or none
        decide by f; see the labels of those decided positively
        for each i with f(x_i) = 1:                                                         # estimate
            n(i) <- draws of f until f(x_i) = 1 again, at most `most`
            G(x_i) += n(i) (1 - 2 y_i)
        if a pair is reported: G(x_i) += lam, G(x_j) -= lam                                 # update

The class enters through argmin alone: any oracle that minimises a weighted classification error can stand in
its place. n(i) has mean 1 / P(f(x_i) = 1), up to a relative bias (1 - gamma)^most: geometric resampling (Neu
& Bartok 2013).

Guarantee: against policies that are fair with tolerance alpha - eps, regret + lam eps reports = O~(T^(2/3))
for a class known through its oracle (rate from memory, constants not confirmed).

Deviations from the paper: the separator set is the set of all types; q is estimated by independent draws;
eta, gamma, lam, draws and most are parameters, their defaults from memory; types are drawn from a
distribution.
"""

import math

import numpy as np

from eluder.core import checks
from eluder.core.fairness import FairClassification, FairResult, best_fair_policy, expected_error, report
from eluder.core.guarantees import Guarantee
from eluder.core.kernels import kernel, sample
from eluder.core.results import checkpoints
from eluder.core.types import Array, BoolArray, IntArray
from eluder.tabular.bandits._fair_exp2 import GUARANTEES as EXP2

__all__ = ["fair_ftpl"]


def fair_ftpl(
    problem: FairClassification,
    T: int,
    *,
    lam: float = 4.0,
    eta: float | None = None,
    gamma: float | None = None,
    draws: int = 100,
    slack: float = 0.0,
    rng: np.random.Generator,
) -> FairResult:
    """Decide for T rounds by perturbed leaders, with a price on reported pairs.

    Parameters
    ----------
    problem : FairClassification
        The problem; the learner minimises over its class F, sees types, reports, and labels after positive
        decisions.
    T : int
        Number of rounds.
    lam : float, default=4.0
        Price of a report, >= 0.
    eta : float, optional
        Inverse scale of the noise, > 0; by default `noise_rate`.
    gamma : float, optional
        Share in (0, 1] of the all-positive classifier; by default `mixing`.
    draws : int, default=100
        Draws from which the probabilities shown to the panel are estimated: with few, chance alone is
        reported.
    slack : float, default=0.0
        The comparator is the best policy that is fair with tolerance ``alpha - slack``.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    FairResult
        Regret (the error is that of the estimated probabilities of each round) and reports at log-spaced
        checkpoints, and the mean of the last `draws` classifiers.

    Raises
    ------
    ValueError
        If `problem` is not a FairClassification, a parameter is out of range, or `rng` is not a Generator.

    Notes
    -----
    Each draw is one call of the oracle, O(M X) here; a round takes `draws` and about 1/q(i) calls for each
    positive decision. O(X) memory beside the class.

    References
    ----------
    .. [1] Bechavod and Roth. Individually fair learning with one-sided feedback. ICML 2023.
       arXiv:2206.04475
    .. [2] Syrgkanis, Krishnamurthy and Schapire. Efficient algorithms for adversarial contextual learning.
       ICML 2016. arXiv:1602.02454
    .. [3] Neu and Bartok. An efficient algorithm for learning with semi-bandit feedback. ALT 2013.
       arXiv:1305.2732

    Examples
    --------
    >>> import numpy as np
    >>> problem = FairClassification([0.1, 0.9], [0.5, 0.5], [[1, 1], [0, 1]], np.zeros((1, 2, 2), bool))
    >>> bool(fair_ftpl(problem, 3000, rng=np.random.default_rng(0)).q[0] < 0.3)
    True
    """
    if not isinstance(problem, FairClassification):
        raise ValueError(f"problem must be a FairClassification, got {type(problem).__name__}")
    T = checks.integer("T", T)
    lam = checks.number("lam", lam, 0.0, 1e6)
    draws = checks.integer("draws", draws, 1, 10_000)
    if eta is None:
        eta = noise_rate(problem.F.shape[1], problem.k, T, lam)
    eta = checks.number("eta", eta, 0.0, 1e6, open_low=True)
    gamma = checks.number("gamma", mixing(T) if gamma is None else gamma, 0.0, 1.0, open_low=True)
    best = expected_error(problem, best_fair_policy(problem, slack))
    at = checkpoints(T)
    error, violations = np.zeros(at.size), np.zeros(at.size, np.int64)
    positive = int(np.argmax(problem.F.all(axis=1)))
    q = np.zeros(problem.F.shape[1])
    most = cap(gamma, T)
    _run(*problem, at, positive, lam, eta, gamma, draws, most, error, violations, q, checks.generator(rng))
    return FairResult(at, error - best * at, violations, q)


GUARANTEES = (
    Guarantee(
        paper=EXP2[0].paper,
        setting="fair one-sided feedback",
        statement="regret + lam eps reports = O~(T^(2/3)) with an oracle (rate from memory)",
        assumptions="an optimisation oracle for the class; comparators that are fair with some slack",
        exponent=2 / 3,
    ),
)


def noise_rate(X: int, k: int, T: int, lam: float) -> float:
    """Return ``1 / ((1 + lam) sqrt(k T / X))`` (from memory)."""
    return 1.0 / ((1.0 + lam) * math.sqrt(max(1.0, k * T / X)))


def mixing(T: int) -> float:
    """Return ``min(1/2, T^(-1/3))``."""
    return min(0.5, math.pow(T, -1 / 3))


def cap(gamma: float, T: int) -> int:
    """Return the most draws of a resampling, ``ceil(ln(T + 1) / gamma)``: a bias of 1 / (T + 1) at most."""
    return math.ceil(math.log(T + 1) / gamma)


@kernel
def leader(F: Array, G: Array, eta: float, gamma: float, positive: int, rng: np.random.Generator) -> int:
    """Draw a classifier: all-positive with probability gamma, else the leader of the perturbed losses."""
    if rng.random() < gamma:
        return positive
    M, X = F.shape
    loss = np.zeros(M)
    for x in range(X):
        noise = rng.standard_exponential() - rng.standard_exponential()  # Laplace
        for f in range(M):
            loss[f] += F[f, x] * (G[x] + noise / eta)
    return int(np.argmin(loss))


@kernel
def resample(
    F: Array, G: Array, eta: float, gamma: float, positive: int, x: int, most: int, rng: np.random.Generator
) -> int:
    """Return the number of draws until a classifier is positive on type `x`, at most `most`."""
    n = 1
    while n < most and F[leader(F, G, eta, gamma, positive, rng), x] == 0.0:
        n += 1
    return n


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
    draws: int,
    most: int,
    error: Array,
    violations: IntArray,
    q: Array,
    rng: np.random.Generator,
) -> None:
    """Run ``at[-1]`` rounds; `error`, `violations` and `q` in place."""
    X = mu.size
    G, old = np.zeros(X), np.zeros(X)
    x, seen = np.zeros(k, np.int64), np.zeros(k)
    wrong, reports, c = 0.0, 0, 0
    for t in range(at[-1]):
        # act
        q[:] = 0.0
        for _ in range(draws):
            q += F[leader(F, G, eta, gamma, positive, rng)] / draws
        for i in range(k):
            x[i] = sample(mu, rng)
            seen[i] = q[x[i]]
        first, second = report(x, seen, similar, alpha, share)
        f = leader(F, G, eta, gamma, positive, rng)

        # update
        old[:] = G
        for i in range(k):
            if F[f, x[i]] > 0.0:
                label = 1.0 if rng.random() < y[x[i]] else 0.0
                n = resample(F, old, eta, gamma, positive, x[i], most, rng)
                G[x[i]] += n * (1.0 - 2.0 * label)
        if first >= 0:
            G[x[first]] += lam
            G[x[second]] -= lam

        # measurement
        for s in range(X):
            wrong += k * mu[s] * (q[s] * (1.0 - 2.0 * y[s]) + y[s])
        reports += first >= 0
        if t + 1 == at[c]:
            error[c], violations[c] = wrong, reports
            c += 1
