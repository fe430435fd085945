"""Tests of core/fairness.py and of the learners with one-sided feedback: fair_exp2, fair_ftpl."""

import itertools

import numpy as np
import pytest

from eluder.core.fairness import FairClassification, FairResult, best_fair_policy, expected_error, report
from eluder.core.guarantees import guarantees
from eluder.tabular.bandits import _fair_ftpl as ftpl
from eluder.tabular.bandits import fair_exp2, fair_ftpl
from eluder.tabular.bandits._fair_exp2 import estimate, learning_rate, mixing


def rng(seed=0):
    return np.random.default_rng(seed)


def population(X=8, M=10, seed=0, alpha=0.1, k=4):
    """Types in the plane, labels along the first axis, linear classifiers, three auditors by distance."""
    generator = rng(seed)
    z = generator.standard_normal((X, 2))
    y = 1 / (1 + np.exp(-3 * z[:, 0]))
    F = np.vstack([np.ones(X), (z @ generator.standard_normal((2, M - 1)) > 0).T])
    distance = np.linalg.norm(z[:, None] - z[None], axis=2)
    similar = np.stack([distance < np.quantile(distance, share) for share in (0.2, 0.3, 0.4)])
    return FairClassification(y, generator.dirichlet(np.ones(X)), F, similar, k=k, alpha=alpha)


# --- the problem ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0.5, 1.5]}, r"y\[1\] is 1.5"),
        ({"mu": [0.5, 0.6]}, "mu sums to 1.1"),
        ({"F": [[1, 1], [0, 0.5]]}, r"F\[1, 1\] is 0.5, decisions are 0 or 1"),
        ({"F": [[0, 1]]}, "F must hold a classifier that is positive on all types"),
        ({"similar": np.ones((1, 2, 2))}, r"similar must be boolean of shape \(J, 2, 2\), got float64"),
        ({"similar": np.ones((2, 3, 3), bool)}, "similar must be boolean"),
        ({"k": 0}, "k must be at least 1"),
        ({"alpha": 2.0}, "alpha must be in"),
        ({"share": 0.0}, "share must be in"),
    ],
)
def test_bad_problems_are_named(change, message):
    good = {"y": [0.2, 0.9], "mu": [0.5, 0.5], "F": [[1, 1], [0, 1]], "similar": np.ones((1, 2, 2), bool)}
    with pytest.raises(ValueError, match=message):
        FairClassification(**{**good, **change})


def test_expected_error_by_enumeration():
    problem, q = population(X=3, k=2), np.array([0.2, 0.9, 0.5])
    total = 0.0
    for x, decision, label in itertools.product(range(3), (0, 1), (0, 1)):
        chance = (
            problem.mu[x] * (q[x] if decision else 1 - q[x]) * (problem.y[x] if label else 1 - problem.y[x])
        )
        total += problem.k * chance * (decision != label)
    assert expected_error(problem, q) == pytest.approx(total)


def test_best_fair_policy_is_never_reported_and_beats_random_fair_mixtures():
    problem = population()
    q = best_fair_policy(problem)
    x = np.arange(8)
    assert report(x, q - 1e-9 * q, problem.similar, problem.alpha + 1e-7, problem.share) == (-1, -1)
    best, generator = expected_error(problem, q), rng(1)
    fair = 0
    for _ in range(3000):
        mixture = generator.dirichlet(np.full(len(problem.F), 0.3)) @ problem.F
        if report(x, mixture, problem.similar, problem.alpha, problem.share) == (-1, -1):
            fair += 1
            assert expected_error(problem, mixture) >= best - 1e-9
    assert fair > 10
    assert expected_error(problem, best_fair_policy(problem, 0.05)) >= best - 1e-12
    with pytest.raises(ValueError, match="slack must be in"):
        best_fair_policy(problem, 0.2)


def test_report_needs_the_share_of_the_panel():
    similar = np.zeros((3, 2, 2), bool)
    similar[0] = similar[1] = True
    x, q = np.array([0, 1]), np.array([0.9, 0.5])
    assert report(x, q, similar, 0.1, 2 / 3) == (0, 1)
    assert report(x, q, similar, 0.1, 0.9) == (-1, -1)
    assert report(x, q, similar, 0.4000001, 0.5) == (-1, -1)
    assert report(x[::-1].copy(), q[::-1].copy(), similar, 0.1, 0.5) == (1, 0)


# --- fair_exp2 ---


def test_rates_by_hand():
    assert learning_rate(32, 4, 10_000, 3.0) == pytest.approx(
        0.25 * 0.009308, rel=1e-4
    )  # sqrt(3.4657 / 40000)
    assert mixing(0.01, 4, 3.0) == pytest.approx(0.16)
    assert mixing(1.0, 4, 3.0) == 0.5


def test_estimates_are_unbiased_by_enumeration():
    """Over the classifier that decides and the labels, estimates have mean 1 - 2 y, and lam for the pair."""
    problem, generator = population(X=4, k=3), rng(2)
    p = generator.dirichlet(np.ones(len(problem.F)))
    x = np.array([0, 2, 3])
    q = (p @ problem.F)[x]
    assert (q > 0).all()
    mean, loss = np.zeros(3), np.zeros(3)
    for f, labels in itertools.product(range(len(p)), itertools.product((0.0, 1.0), repeat=3)):
        y = problem.y[x]
        label = np.array(labels)
        chance = p[f] * np.prod(np.where(label > 0, y, 1 - y))
        estimate(loss, x, problem.F[f, x].copy(), label, q, 5.0, 2, 0)
        mean += chance * loss
    np.testing.assert_allclose(mean, 1 - 2 * problem.y[x] + [-5.0, 0.0, 5.0])


def naive(problem, T, lam, eta, gamma, generator):
    """The pseudo-code in NumPy, the same stream of random numbers; error, reports and the last p."""
    M = len(problem.F)
    w, errors, reports = np.zeros(M), [], []
    positive = int(np.argmax(problem.F.all(axis=1)))
    for _ in range(T):
        p = np.exp(w - w.max())
        p = (1 - gamma) * p / p.sum() + gamma * (np.arange(M) == positive)
        x = np.array(
            [np.searchsorted(np.cumsum(problem.mu), generator.random(), "right") for _ in range(problem.k)]
        )
        q = p @ problem.F
        difference = q[x][:, None] - q[x][None]
        objects = problem.similar[:, x[:, None], x[None]].mean(axis=0) >= problem.share - 1e-9
        gap = np.where(objects & (difference > problem.alpha), difference, 0.0)
        f = int(np.searchsorted(np.cumsum(p), generator.random(), "right"))
        loss = np.zeros(problem.k)
        for a in range(problem.k):
            if problem.F[f, x[a]]:
                loss[a] = (1 - 2 * (generator.random() < problem.y[x[a]])) / q[x[a]]
        if gap.max() > 0:
            i, j = np.unravel_index(np.argmax(gap), gap.shape)
            loss[i] += lam
            loss[j] -= lam
        w -= eta * problem.F[:, x] @ loss
        errors.append(expected_error(problem, q))
        reports.append(gap.max() > 0)
    return np.cumsum(errors), np.cumsum(reports), p


@pytest.mark.parametrize("seed", range(3))
def test_learner_is_the_naive_one(seed):
    problem = population(seed=seed, alpha=0.05)
    error, reports, p = naive(problem, 200, 3.0, 0.02, 0.1, rng(seed))
    result = fair_exp2(problem, 200, lam=3.0, eta=0.02, gamma=0.1, rng=rng(seed))
    best = expected_error(problem, best_fair_policy(problem))
    np.testing.assert_allclose(
        result.regret, error[result.checkpoints - 1] - best * result.checkpoints, atol=1e-9
    )
    np.testing.assert_array_equal(result.violations, reports[result.checkpoints - 1])
    np.testing.assert_allclose(result.q, p @ problem.F)
    assert isinstance(result, FairResult)


def test_a_price_makes_reports_rare():
    problem = population(seed=1, alpha=0.05)
    free, dear = (fair_exp2(problem, 20_000, lam=lam, rng=rng()).violations[-1] for lam in (0.0, 30.0))
    assert dear < 0.5 * free


@pytest.mark.slow
def test_regret_and_reports_together_grow_as_declared():
    """regret + lam eps reports over budgets: its log-log slope, with lam = k / eps."""
    (exponent,) = {g.exponent for g in guarantees(fair_exp2)}
    problem, eps = population(X=20, M=32), 0.05
    lam = problem.k / eps
    budgets = np.array([32_000, 128_000, 512_000, 2_048_000])
    sums = []
    for T in budgets:
        runs = [fair_exp2(problem, int(T), lam=lam, slack=eps, rng=rng(i)) for i in range(4)]
        sums.append(np.mean([run.regret[-1] + lam * eps * run.violations[-1] for run in runs]))
    slope = np.polyfit(np.log(budgets), np.log(sums), 1)[0]
    assert slope <= exponent + 0.2, (slope, sums)


# --- fair_ftpl ---


def test_ftpl_rates_by_hand():
    assert ftpl.noise_rate(20, 4, 50_000, 3.0) == pytest.approx(0.25 / 100)
    assert ftpl.mixing(1000) == pytest.approx(0.1)
    assert ftpl.mixing(1) == 0.5
    assert ftpl.cap(0.1, 99) == 47  # ln(100) / 0.1 = 46.05


def test_leader_without_noise_is_the_argmin_of_the_class():
    problem = population(X=6, M=12, seed=3)
    G = rng(4).standard_normal(6)
    generator = rng(5)
    chosen = {ftpl.leader(problem.F, G, 1e5, 1e-9, 0, generator) for _ in range(50)}
    assert chosen == {int(np.argmin(problem.F @ G))}
    assert {ftpl.leader(problem.F, G, 1.0, 1.0, 7, generator) for _ in range(20)} == {7}


def test_leader_has_the_law_of_laplace_perturbations():
    problem, G, eta = population(X=5, M=6, seed=6), rng(7).standard_normal(5), 0.7
    generator, n = rng(8), 20_000
    drawn = np.bincount([ftpl.leader(problem.F, G, eta, 0.1, 0, generator) for _ in range(n)], minlength=6)
    noise = rng(9).laplace(scale=1 / eta, size=(n, 5))
    leaders = np.argmin((G + noise) @ problem.F.T, axis=1)
    expected = 0.9 * np.bincount(leaders, minlength=6) / n + 0.1 * (np.arange(6) == 0)
    np.testing.assert_allclose(drawn / n, expected, atol=5 * np.sqrt(0.5 / n))


def test_resampling_estimates_the_inverse_probability():
    problem, G = population(X=5, M=6, seed=6), np.zeros(5)
    generator, n, x = rng(10), 20_000, 2
    chance = np.mean([problem.F[ftpl.leader(problem.F, G, 1.0, 0.2, 0, generator), x] for _ in range(n)])
    counts = [ftpl.resample(problem.F, G, 1.0, 0.2, 0, x, 1000, generator) for _ in range(n)]
    assert np.mean(counts) == pytest.approx(1 / chance, rel=0.05)
    assert ftpl.resample(problem.F, G, 1.0, 1e-9, 0, x, 1, generator) == 1


def test_ftpl_learns_and_a_price_makes_reports_rare():
    problem = population(seed=1, alpha=0.1)
    plain = fair_ftpl(problem, 4000, lam=0.0, draws=20, rng=rng())
    always = expected_error(problem, np.ones(8)) - expected_error(problem, best_fair_policy(problem))
    assert plain.regret[-1] < 0.3 * always * 4000
    dear = fair_ftpl(problem, 4000, lam=30.0, rng=rng())
    assert dear.violations[-1] < 0.8 * plain.violations[-1]


@pytest.mark.slow
def test_ftpl_regret_and_reports_together_grow_as_declared():
    (exponent,) = {g.exponent for g in guarantees(fair_ftpl)}
    problem, eps = population(X=20, M=32, alpha=0.2), 0.1
    lam = problem.k / eps
    budgets = np.array([4_000, 16_000, 64_000])
    sums = []
    for T in budgets:
        runs = [fair_ftpl(problem, int(T), lam=lam, slack=eps, draws=400, rng=rng(i)) for i in range(3)]
        sums.append(np.mean([run.regret[-1] + lam * eps * run.violations[-1] for run in runs]))
    slope = np.polyfit(np.log(budgets), np.log(sums), 1)[0]
    assert slope <= exponent + 0.2, (slope, sums)
