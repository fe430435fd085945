"""Means that are not quite linear: elimination without and with sparsity, novelty; what eps costs."""

import itertools
import math

import numpy as np
import pytest

from eluder.core.design import optimal_design
from eluder.core.feature_bandits import feature_ledger, misspecification
from eluder.core.guarantees import guarantee
from eluder.envs import answer_pool, feature_bandit, misspecified_linear_bandit, needle_bandit
from eluder.linear.bandits import (
    _misspecified_elimination,
    _rep_exp,
    _sparse_elimination,
    misspecified_elimination,
    rep_exp,
    sparse_elimination,
)
from tests.linear.bandits import naive_structured as naive


def rng(seed=0):
    return np.random.default_rng(seed)


# --- phased elimination ---


def test_equations_of_phased_elimination_by_hand():
    m = _misspecified_elimination
    assert [m.first_size(d) for d in (1, 2, 3, 10)] == [16, 16, 18, math.ceil(40 * 0.834032445) + 16]
    assert m.width(0.5, 3.0, 24.0, 4, 2, 0.1) == pytest.approx(0.5 * math.sqrt(0.25 * math.log(480)))
    assert m.bias(0.1, 4.0, 25.0, 36.0) == pytest.approx(0.24)
    # d = 1, A = 2, no eps, T = 18 + 5: a phase of 16 + 2 plays at 2 and one of 5 at 4 w
    w = math.sqrt(2 * 1.1 / 16 * math.log(4 * 2 / 0.05))
    assert m.bound(1, 2, 23, 0.05, sigma=0.1) == pytest.approx(36 + 5 * 4 * 0.1 * w)
    extra = 5 * (2 * m.bias(0.01, 1.1, 16, 18) + 2 * 0.01)
    assert m.bound(1, 2, 23, 0.05, sigma=0.1, eps=0.01) == pytest.approx(36 + 5 * 4 * 0.1 * w + extra)


@pytest.mark.parametrize("seed", range(4))
def test_phased_elimination_is_its_definition(seed):
    bandit = misspecified_linear_bandit(9, 3, eps=0.1, sigma=0.3, rng=rng(seed))

    def design(phi):
        found = optimal_design(phi, tol=0.1)
        return found.pi, found.width

    actions, history = naive.misspecified_elimination(bandit, 2500, design, 0.3, 0.1, rng(seed))
    result = misspecified_elimination(bandit, 2500, delta=0.1, rng=rng(seed))
    np.testing.assert_array_equal(result.pulls, np.bincount(actions, minlength=9))
    gaps = bandit.means.max() - bandit.means
    np.testing.assert_allclose(result.regret, np.cumsum(gaps[actions])[result.checkpoints - 1], atol=1e-9)
    books = feature_ledger(bandit, 2500)
    ours = _misspecified_elimination._run(bandit, 2500, 0.3, 0.1, 0.1, books, rng(seed))
    assert [a.tolist() for a in ours] == history
    assert len(history) >= 3


def test_without_noise_an_estimate_misses_by_the_bias_at_most():
    """The bias is ``eps sqrt(g N / m)`` whatever the errors of the means, and can come near."""
    worst = 0.0
    for seed in range(60):
        g = rng(seed)
        phi, eps, m = g.standard_normal((8, 3)), 0.1, 40.0
        design = optimal_design(phi, tol=0.1)
        n = np.ceil(m * design.pi)
        V = (phi * n[:, None]).T @ phi
        weight = phi @ np.linalg.solve(V, phi.T) * n  # row a: what the error of each arm does to arm a
        largest = eps * np.abs(weight).sum(axis=1).max()  # over all errors in [-eps, eps]
        limit = _misspecified_elimination.bias(eps, design.width, m, n.sum())
        assert largest <= limit * (1 + 1e-9)
        worst = max(worst, largest / limit)
    assert worst > 0.8


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.2])
def test_regret_and_survivors_of_phased_elimination(eps):
    """Over 40 instances: the bound on the regret, and what a phase may lose, with the exact error."""
    m, T, delta, failures = _misspecified_elimination, 8000, 0.05, 0
    for seed in range(40):
        bandit = misspecified_linear_bandit(20, 3, eps=eps, sigma=0.5, rng=rng(seed))
        fit = misspecification(bandit.phi, bandit.means)
        exact, y = max(fit.eps, 1e-9), bandit.phi @ fit.theta
        books = feature_ledger(bandit, T)
        history = m._run(bandit, T, 0.5, 0.1, delta, books, rng(seed))
        size, bad = float(m.first_size(3)), False
        for phase, (before, after) in enumerate(itertools.pairwise(history), 1):
            g = optimal_design(bandit.phi[before], tol=0.1).width
            w, b = m.width(0.5, g, size, 20, phase, delta), m.bias(exact, g, size, size + 20)
            bad = bad or y[after].max() < y[before].max() - 2 * b - 1e-9
            bad = bad or y[after].min() < y[before].max() - 4 * w - 2 * b - 1e-9
            size *= 2
        limit = m.bound(3, 20, T, delta, eps=exact, sigma=0.5, scale=1.2)
        bad = bad or bandit.means.max() * T - books.total[0] > limit
        failures += bad
    assert failures <= 40 * delta


# --- sparse parameters ---


def test_equations_of_sparse_elimination_by_hand():
    assert _sparse_elimination.grid_size(2.0, 3.0, 4, 0.5) == 24
    assert _sparse_elimination.grid_size(1.0, 0.01, 1, 0.5) == 1
    assert _sparse_elimination.plays(0.5, 0.1, 10, 0.05) == math.ceil(50 * math.log(400))
    assert _sparse_elimination.plays(0.0, 0.1, 10, 0.05) == 1
    assert _sparse_elimination.gap_bound(0.1, 0.0) == pytest.approx(0.4)
    assert _sparse_elimination.gap_bound(0.1) == pytest.approx(0.6)


@pytest.mark.parametrize(("s", "noise"), [(1, 0.0), (2, 0.0), (1, 0.3), (2, 0.3), (3, 0.0)])
def test_sparse_elimination_is_its_definition(s, noise):
    bandit = misspecified_linear_bandit(15, 4, eps=0.2, s=s, sigma=noise, rng=rng(s))
    n = _sparse_elimination.plays(noise, 0.25, 15, 0.1)
    arm, seen = naive.sparse_elimination(bandit, s, 0.25, 1.1, n, 0.25 * (noise > 0), rng(9))
    result = sparse_elimination(bandit, s=s, eps=0.25, S=1.1, delta=0.1, rng=rng(9))
    assert result.arm == arm
    assert result.status == "stopped"
    assert dict.fromkeys(seen, n) == {a: k for a, k in enumerate(result.pulls.tolist()) if k}
    for a, rewards in seen.items():
        assert result.means[a] == pytest.approx(np.mean(rewards))


@pytest.mark.parametrize("s", [1, 2])
def test_the_net_has_a_point_next_to_every_parameter(s):
    """Predictions of the nearest point differ by eps at most; it is inside the ball that is searched."""
    S, L, eps, g = 1.5, 2.0, 0.3, rng(s)
    q = _sparse_elimination.grid_size(S, L, s, eps)
    values = S * ((2 * np.arange(q) + 1) / q - 1)
    for _ in range(2000):
        theta = g.standard_normal(s)
        theta *= S * g.random() ** (1 / s) / np.linalg.norm(theta)
        near = values[np.abs(values[:, None] - theta).argmin(axis=0)]
        assert L * np.linalg.norm(near - theta) <= eps + 1e-12
        assert np.linalg.norm(near) <= S + math.sqrt(s) * S / q + 1e-12


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize(("d", "s"), [(5, 1), (12, 1), (8, 2)])
def test_the_arm_is_as_good_as_eps_whatever_the_dimension(d, s, noise):
    eps, worst = 0.1, 0.0
    for seed in range(12):
        bandit = misspecified_linear_bandit(60, d, eps=eps, s=s, sigma=noise, rng=rng(seed))
        result = sparse_elimination(bandit, s=s, eps=eps, rng=rng(seed))
        gap = bandit.means.max() - bandit.means[result.arm]
        assert gap <= _sparse_elimination.gap_bound(eps, noise)
        q = _sparse_elimination.grid_size(1.0, 1.0, s, eps)
        assert (result.pulls > 0).sum() <= math.comb(d, s) * q**s
        worst = max(worst, gap)
    assert worst <= 6 * eps


def test_a_net_that_fits_nothing_says_so():
    bandit = feature_bandit([[1.0, 0.0], [0.0, 1.0]], [5.0, 7.0], sigma=0.0)
    with pytest.warns(UserWarning, match="no parameter fits the rewards: raise eps, s or S"):
        result = sparse_elimination(bandit, s=1, eps=0.1, rng=rng())
    assert result.status.startswith("no parameter fits")
    assert result.arm == 1


def test_the_needle_is_found_only_by_playing_it():
    """Before the good arm is played all rewards are equal: elimination with the known error loses the gap."""
    missed = 0
    for seed in range(12):
        bandit = needle_bandit(400, 12, gap=0.5, rng=rng(seed))
        result = misspecified_elimination(bandit, 400, sigma=0.05, rng=rng(seed))
        missed += result.pulls[bandit.means.argmax()] == 0
        played = (result.pulls > 0).sum()
        assert played < 120
    assert missed >= 8, "a design of some dozens of arms holds the needle by luck alone"


# --- novelty ---


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_rep_exp_is_its_definition(seed, center):
    bandit = feature_bandit(rng(seed).standard_normal((14, 3)), rng(seed).random(14), law="bernoulli")
    arms, bonus, logs = naive.rep_exp(bandit, 10, 0.3, center)
    result = rep_exp(bandit, 10, lam=0.3, center=center, rng=rng(5))
    assert result.arms.tolist() == arms
    np.testing.assert_allclose(result.bonus, bonus)
    np.testing.assert_allclose(result.log_det, logs)
    g = rng(5)
    assert result.rewards.tolist() == [naive.reward(bandit, a, g) for a in arms]


@pytest.mark.parametrize("seed", range(8))
def test_the_chosen_are_nearly_the_most_diverse(seed):
    """Against all subsets: at least 1 - 1/e of the best log-determinant, and what is left is not far."""
    phi = rng(seed).standard_normal((9, 3))
    bandit = feature_bandit(phi, np.zeros(9))
    for T in (2, 3, 5):
        result = rep_exp(bandit, T, lam=0.5, center=False, rng=rng())
        best = max(
            np.linalg.slogdet(np.eye(3) + 2 * phi[list(c)].T @ phi[list(c)])[1]
            for c in itertools.combinations(range(9), T)
        )
        assert (1 - 1 / math.e) * best <= result.log_det[-1] <= best + 1e-9
        assert (np.diff(result.bonus) <= 1e-12).all()
        np.testing.assert_allclose(np.cumsum(np.log1p(result.bonus**2)), result.log_det)
        V = 0.5 * np.eye(3) + phi[result.arms].T @ phi[result.arms]
        left = np.delete(phi, result.arms, axis=0)
        novelty = np.einsum("ai,ij,aj->a", left, np.linalg.inv(V), left).max()
        L = np.linalg.norm(phi, axis=1).max()
        assert novelty <= _rep_exp.novelty_bound(3, T, L, 0.5)
    assert _rep_exp.novelty_bound(2, 4, 3.0, 1.5) == pytest.approx(math.sqrt(13) - 1)


def test_rare_answers_are_found_sooner_than_by_chance():
    """The exact chance of a right one among k drawn blindly, and the share of pools where ours has one."""
    k, found, chance = 10, [], []
    for seed in range(60):
        pool = answer_pool(100, 10, rng=rng(seed))
        right = int(pool.means.sum())
        found.append(rep_exp(pool, k, lam=0.1, rng=rng()).rewards.max())
        chance.append(1 - math.comb(100 - right, k) / math.comb(100, k))
    assert np.mean(found) > 0.9
    assert np.mean(chance) < 0.5


# --- rates ---


@pytest.mark.slow
def test_regret_grows_as_declared():
    """Without misspecification and with gaps for each T the slope is 1 / 2; with it, 1."""
    sizes, d = np.array([40_000, 160_000, 640_000, 2_560_000]), 3
    regret = []
    for T in sizes:
        means = np.zeros(2 * d)
        means[0] = 40 * math.sqrt(d / T)
        means[d] = -means[0]
        bandit = feature_bandit(np.vstack([np.eye(d), -np.eye(d)]), means)
        runs = [misspecified_elimination(bandit, int(T), rng=rng(i)).regret[-1] for i in range(20)]
        regret.append(np.mean(runs))
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"misspecified_elimination: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(misspecified_elimination).exponent == 0.5
    assert abs(slope - 0.5) < 0.1


@pytest.mark.slow
def test_plays_grow_with_the_sparsity_and_not_the_dimension():
    """Arms enough that each point of the net has its own: plays grow at most as d^s."""
    sizes, slopes = np.array([4, 8, 16, 32]), []
    for s in (1, 2):
        played = []
        for d in sizes:
            bandit = misspecified_linear_bandit(4000, int(d), eps=0.3, s=s, sigma=0.0, rng=rng(1))
            played.append((sparse_elimination(bandit, s=s, eps=0.3, rng=rng()).pulls > 0).sum())
        slopes.append(np.polyfit(np.log(sizes), np.log(played), 1)[0])
        print(f"sparse_elimination: s = {s}, slope {slopes[-1]:.3f}, plays {played}")
        assert slopes[-1] <= s + 0.05
