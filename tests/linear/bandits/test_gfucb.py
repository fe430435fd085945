"""GFUCB: its equations, the joint choice, whole runs, coverage and optimism, what sharing gains."""

import itertools
import math

import cvxpy as cp
import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.core.kernels import kernel
from eluder.core.multitask_bandits import MultitaskBandit, multitask_ledger, next_contexts, play_tasks
from eluder.envs import multitask_linear_bandits
from eluder.linear.bandits import _gfucb as module
from eluder.linear.bandits import gfucb
from eluder.linear.bandits._joint_choice import choose_jointly, search, tightest
from tests.linear.bandits import naive_multitask as naive


def rng(seed=0):
    return np.random.default_rng(seed)


# --- equations ---


def test_equations_by_hand():
    assert module.slack_base(4, 3, 0.5, 2.0, 1.5, 0.1) == pytest.approx(0.5 * math.log(40) + 13.5)
    assert module.largest_log_det(2, 8, 3.0, 4.0) == pytest.approx(2 * math.log(10))
    loss, log_det = np.array([3.0, 1.0, 2.5]), np.array([1.0, 6.0, 2.0])
    # the least of loss + log_det / 2 is 3.5
    assert module.slack(loss, log_det, 10.0, 0.5, 0) == pytest.approx(10.5)
    assert module.slack(loss, log_det, 0.1, 0.1, 0) == pytest.approx(0.1 + 1.6 - 3.0)


def test_the_bound_by_hand():
    """M = 1, k = 1, N = 2, T = 3, S = sigma = L = lam = 1: ln det = ln 4."""
    e = math.log(2 / 0.1)
    B, G = 2 * e + 1 + math.log(4), math.sqrt(2 * e + 2 * math.log(4))
    D = G + math.sqrt(G**2 + B + 2)
    widths = 3 * 2 * 2 / math.log(3) * 2 * math.log(4)
    expected = (D + 0.5 * math.sqrt(B)) * math.sqrt(widths)
    assert module.bound(1, 1, 2, 3, 0.1, tol=0.5) == pytest.approx(expected)


def test_a_ridge_learns_its_loss_and_its_determinant():
    g = rng(1)
    X, r, lam = g.standard_normal((12, 3)), g.standard_normal(12), 0.7
    inverse, w, u = np.eye(3) / lam, np.zeros(3), np.zeros(3)
    more, lost = np.sum([module.learn(inverse, w, f, y, u) for f, y in zip(X, r, strict=True)], axis=0)
    V = lam * np.eye(3) + X.T @ X
    np.testing.assert_allclose(inverse, np.linalg.inv(V), atol=1e-12)
    np.testing.assert_allclose(w, np.linalg.solve(V, X.T @ r))
    assert more == pytest.approx(np.linalg.slogdet(V / lam)[1])
    assert lost == pytest.approx(((r - X @ w) ** 2).sum() + lam * w @ w)


# --- the joint choice ---


@pytest.mark.parametrize("seed", range(40))
def test_the_joint_choice_is_the_best_of_all_tuples(seed):
    g = rng(seed)
    M, A = int(g.integers(1, 6)), int(g.integers(1, 6))
    y, q = g.standard_normal((M, A)), g.exponential(size=(M, A)) * g.exponential()
    if seed % 4 == 0:  # ties, and arms that are the same
        y, q = y.round(), q.round()
    rho = g.exponential() if seed % 5 else 0.0
    arms, W = np.zeros(M, np.int64), search(M, A)
    index = choose_jointly(y, q, rho, 0.0, -np.inf, arms, W)
    wanted, top = naive.best_tuple(y, q, rho)
    rows = np.arange(M)
    assert index == pytest.approx(top, abs=1e-10)
    assert y[rows, arms].sum() + rho * math.sqrt(q[rows, arms].sum()) == pytest.approx(top, abs=1e-10)
    if seed % 4:
        np.testing.assert_array_equal(arms, wanted)
    # with a tolerance
    wide = choose_jointly(y, q, rho, 0.3, -np.inf, arms, W)
    bonus = rho * math.sqrt(q[rows, arms].sum())
    assert wide == pytest.approx(y[rows, arms].sum() + 1.3 * bonus, abs=1e-10)
    assert top <= wide + 1e-10
    # and what is not above the best so far leaves no trace
    before = arms.copy()
    assert choose_jointly(y, q, rho, 0.0, top + 1.0, arms, W) == top + 1.0
    np.testing.assert_array_equal(arms, before)


def test_two_arms_each_hide_a_subset_sum():
    """The index is ``sqrt(Q) - Q / 2``, largest at Q = 1: which arms sum up to 1?"""
    q = np.array([[0.0, w] for w in (0.31, 0.42, 0.27, 0.58, 0.11)])
    y, arms = -0.5 * q, np.zeros(5, np.int64)
    choose_jointly(y, q, 1.0, 0.0, -np.inf, arms, search(5, 2))
    assert q[np.arange(5), arms].sum() == pytest.approx(1.0)
    assert naive.best_tuple(y, q, 1.0)[1] == pytest.approx(0.5)


def test_the_upper_bound_is_at_its_minimum():
    g = rng(3)
    y, q, rho = g.standard_normal((6, 4)), g.exponential(size=(6, 4)), 1.7

    def h(u):
        return (y + rho * u / 2 * q).max(axis=1).sum() + rho / (2 * u)

    u = tightest(y, q, rho, np.zeros(6, np.int64))
    assert h(u) <= min(h(v) for v in np.geomspace(u / 100, 100 * u, 2001)) + 1e-9


def test_widths_of_zero():
    y, arms = np.array([[0.1, 0.2], [0.5, 0.4]]), np.zeros(2, np.int64)
    assert choose_jointly(y, np.zeros((2, 2)), 3.0, 0.0, -np.inf, arms, search(2, 2)) == pytest.approx(0.7)
    assert arms.tolist() == [1, 0]


def test_the_index_is_the_largest_value_in_the_confidence_set():
    """By a cone program: maximise over the heads of all tasks with the loss below the threshold."""
    g = rng(5)
    M, k, lam, slack = 3, 2, 0.7, 1.9
    X, r, f = g.standard_normal((M, 8, k)), g.standard_normal((M, 8)), g.standard_normal((M, k))
    w = cp.Variable((M, k))
    loss = sum(cp.sum_squares(r[i] - X[i] @ w[i]) + lam * cp.sum_squares(w[i]) for i in range(M))
    least = cp.Problem(cp.Minimize(loss)).solve()
    top = cp.Problem(cp.Maximize(cp.sum(cp.multiply(f, w))), [loss <= least + slack]).solve()
    inverse, heads, _, total = module.multitask_ridge(1, M, k, lam)
    for i, j in itertools.product(range(M), range(8)):
        total[0] += module.learn(inverse[0, i], heads[0, i], X[i, j], r[i, j], np.zeros(k))[1]
    y, q = np.zeros((M, 1)), np.zeros((M, 1))
    module.predict(f[:, None, :], np.arange(M), inverse[0], heads[0], y, q)
    assert total[0] == pytest.approx(least, rel=1e-6)
    index = choose_jointly(y, q, math.sqrt(slack), 0.0, -np.inf, np.zeros(M, np.int64), search(M, 1))
    assert index == pytest.approx(top, rel=1e-5)


# --- whole runs ---


@pytest.mark.parametrize("seed", range(6))
def test_it_is_its_definition(seed):
    g = rng(seed)
    c = (1.0, 0.3)[seed % 2]
    bandit = MultitaskBandit(
        g.standard_normal((4, 3, 3, 2)), g.standard_normal((3, 2)), 2, g.dirichlet(np.ones(3)), sigma=0.6
    )
    history, gaps, chosen, loss = naive.gfucb(bandit, 60, 0.5, 2.0, 0.6, 0.1, c, rng(seed + 50))
    result = gfucb(bandit, 60, lam=0.5, S=2.0, tol=0.0, delta=0.1, c=c, rng=rng(seed + 50))
    arms = np.array([a for _, a, _ in history]).ravel()
    np.testing.assert_array_equal(result.pulls, np.bincount(arms, minlength=3))
    np.testing.assert_array_equal(result.chosen, np.bincount(chosen, minlength=4))
    np.testing.assert_allclose(result.regret, np.cumsum(gaps)[result.checkpoints - 1], atol=1e-9)
    np.testing.assert_allclose(result.loss, loss)


@kernel
def follow(bandit, T, base, scale, lam, runs, books, W, rng):
    """In how many runs the truth leaves the set, and rounds in which it was inside and optimism failed."""
    (N, _, A, k), M = bandit.phi.shape, bandit.heads.shape[0]
    x, arms, rewards, u = np.zeros(M, np.int64), np.zeros(M, np.int64), np.zeros(M), np.zeros(k)
    y, q, missed, failed = np.zeros((M, A)), np.zeros((M, A)), 0, 0
    inverse, w, log_det, loss = np.zeros((N, M, k, k)), np.zeros((N, M, k)), np.zeros(N), np.zeros(N)
    for _ in range(runs):
        inverse[:], w[:], log_det[:], loss[:] = np.eye(k) / lam, 0.0, 0.0, 0.0
        own, out = lam * (bandit.heads**2).sum(), False
        books.played.place[:] = 0
        books.best.place[:] = 0
        for t in range(T):
            inside = own <= loss[bandit.truth] + _slack(loss, log_det, base, scale, bandit.truth)
            out = out or not inside
            next_contexts(bandit, x, rng)
            best = -np.inf
            for n in range(N):
                square = _slack(loss, log_det, base, scale, n)
                if square >= 0.0:
                    _predict(bandit.phi[n], x, inverse[n], w[n], y, q)
                    best = choose_jointly(y, q, np.sqrt(square), 0.0, best, arms, W)
            optimum = 0.0
            for i in range(M):
                optimum += books.means[i, x[i]].max()
            failed += inside and best < optimum - 1e-9
            play_tasks(bandit, books, t, x, arms, rewards, rng)
            for i in range(M):
                own += (rewards[i] - books.means[i, x[i], arms[i]]) ** 2
                for n in range(N):
                    more, lost = _learn(inverse[n, i], w[n, i], bandit.phi[n, x[i], arms[i]], rewards[i], u)
                    log_det[n] += more
                    loss[n] += lost
        missed += out
    return missed, failed


_slack, _predict, _learn = module.slack, module.predict, module.learn


def test_the_set_covers_the_truth_and_the_choice_is_optimistic():
    """At all times of a run at once, in at least 1 - delta of 1000 runs, with S^2 the mean of |w|^2."""
    bandit, T, lam, delta = multitask_linear_bandits(3, 5, k=2, X=4, A=3, rng=rng(4)), 150, 1.0, 0.1
    books, W = multitask_ledger(bandit, T), search(3, 3)
    base = module.slack_base(5, 3, bandit.sigma, lam, 1.0, delta)
    missed, failed = follow(bandit, T, base, bandit.sigma**2, lam, 1000, books, W, rng())
    assert missed <= 100
    assert failed == 0
    small, failed = follow(bandit, T, 0.1 * base, 0.1 * bandit.sigma**2, lam, 1000, books, W, rng())
    assert small > 100, "a set that is too small is noticed"
    assert failed == 0


@pytest.mark.parametrize("lam", [0.3, 1.0, 4.0])
def test_regret_is_below_the_bound(lam):
    for seed in range(10):
        bandit = multitask_linear_bandits(4, 6, k=2, rng=rng(seed))
        result = gfucb(bandit, 1000, lam=lam, rng=rng(seed))
        assert result.regret[-1] < module.bound(4, 2, 6, 1000, 0.05, sigma=bandit.sigma, lam=lam)
        assert result.chosen.sum() == 1000
        assert result.pulls.sum() == 4000


def test_without_a_radius_it_follows_the_smallest_loss():
    bandit = multitask_linear_bandits(2, 3, sigma=0.0, rng=rng(2))
    result = gfucb(bandit, 300, lam=1e-9, c=0.0, rng=rng())
    assert result.chosen.sum() == 300
    assert result.chosen[result.loss.argmin()] > 250


def test_tasks_learn_the_representation_together():
    """Per task, twenty tasks lose less than the same tasks one by one, and never leave the truth late."""
    shared, apart, T = [], [], 1000
    for seed in range(5):
        bandit = multitask_linear_bandits(20, 20, rng=rng(seed))
        result = gfucb(bandit, T, rng=rng(seed))
        shared.append(result.regret[-1])
        assert result.chosen[bandit.truth] > 0.97 * T
        tasks = [bandit._replace(heads=w[None]) for w in bandit.heads]
        apart.append(sum(gfucb(task, T, rng=rng(seed)).regret[-1] for task in tasks))
    print(f"regret of 20 tasks: together {np.mean(shared):.0f}, apart {np.mean(apart):.0f}")
    assert np.mean(shared) < 0.8 * np.mean(apart)


# --- rates ---


def hard(T, seed):
    """Three tasks on the square with gaps of 1 / sqrt(T); the other candidates mix up its corners."""
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=2)))
    mixed = [corners] + [corners[rng(i).permutation(4)] for i in range(3)]
    signs = np.where(rng(seed).random((3, 2)) < 0.5, -1.0, 1.0)
    return MultitaskBandit(np.array(mixed)[:, None], signs / math.sqrt(T), 0)


@pytest.mark.slow
def test_regret_grows_as_declared():
    sizes = np.array([4_000, 16_000, 64_000, 256_000])
    regret = [
        np.mean([gfucb(hard(int(T), i), int(T), c=0.5, rng=rng(i)).regret[-1] for i in range(20)])
        for T in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(regret), 1)[0]
    print(f"gfucb: slope {slope:.3f}, regret {np.round(regret)}")
    assert guarantee(gfucb).exponent == 0.5
    assert abs(slope - 0.5) < 0.08
