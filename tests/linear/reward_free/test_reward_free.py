"""Reward-free exploration: definitions, maxima over corners, radii by hand, certificates, rates."""

import math

import numpy as np
import pytest

from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import episodic
from eluder.core.mixture import mixture_tables
from eluder.core.reward_free import planning_gaps
from eluder.core.simulator import simulator
from eluder.core.targeted_regression import new_targets
from eluder.envs import hypercube_mixture_mdp, random_linear_mdp, random_linear_mixture_mdp
from eluder.linear.reward_free import _lsvi_reward_free as lsvi
from eluder.linear.reward_free import _pseudo_values as corners
from eluder.linear.reward_free import _ucrl_rfe as plain
from eluder.linear.reward_free import _ucrl_rfe_plus as plus
from eluder.linear.reward_free import lsvi_reward_free, ucrl_rfe, ucrl_rfe_plus
from tests.linear.reward_free import naive_reward_free as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def mixture(seed=0, S=4, A=3, d=2, H=3):
    mdp = random_linear_mixture_mdp(S, A, d, H, concentration=0.2, rng=rng(seed))
    return mdp._replace(mask=np.arange(S * A).reshape(S, A) % 5 != 3)


def staged(seed=0):
    """Base kernels that depend on the stage."""
    phi = rng(seed).dirichlet(np.full(4, 0.2), (3, 2, 4, 3)) / np.sqrt(2)
    return mixture(seed)._replace(phi=phi)


def linear(seed=0, S=4, A=3, d=3, H=3):
    mdp = random_linear_mdp(S, A, d, H, rng=rng(seed))
    return mdp._replace(mask=np.arange(S * A).reshape(S, A) % 5 != 3)


def some_rewards(n, H, S, A, seed=1):
    """Sparse ones, dense ones, and some that depend on the stage."""
    g = rng(seed)
    sparse = [(g.random((H, S, A)) < 0.2).astype(float) for _ in range(n // 2)]
    return sparse + [g.random((S, A)) for _ in range(n - len(sparse))]


# --- definition ---


def check(found, expected):
    policies, uncertainty, _ = expected
    np.testing.assert_allclose(found.uncertainty, uncertainty, rtol=1e-9)
    assert len(set(uncertainty.round(9))) > len(uncertainty) / 2
    np.testing.assert_array_equal(found.pi, policies[-1])


@pytest.mark.parametrize("make", [mixture, staged])
@pytest.mark.parametrize("seed", range(2))
def test_ucrl_rfe_explores_as_in_the_paper(seed, make):
    mdp, K, c, lam = make(seed), 40, 0.01, 0.7
    beta = c * plain.radius(2, 3, K, lam, mdp.B, 0.05)
    found = ucrl_rfe(mdp, K, c=c, lam=lam, rng=rng(seed))
    expected = naive.ucrl_rfe(mdp, mixture_tables(mdp).P, K, beta, lam, rng(seed))
    check(found, expected)
    np.testing.assert_allclose(found.Lambda, expected[2].Lambda, rtol=1e-9)
    np.testing.assert_allclose(found.theta, expected[2].theta, rtol=1e-8)
    r = rng(seed).random((3, 4, 3))
    plan = found.plan(r)
    Q, V, pi = naive.plan(mdp, r, found.theta, np.linalg.inv(found.Lambda), beta, np.arange(3, 0, -1.0))
    np.testing.assert_allclose(plan.Q, Q, rtol=1e-9)
    np.testing.assert_allclose(plan.V, V[:-1], rtol=1e-9)
    np.testing.assert_array_equal(plan.pi, pi)


@pytest.mark.parametrize("make", [mixture, staged])
@pytest.mark.parametrize("seed", range(2))
def test_ucrl_rfe_plus_explores_as_in_the_paper(seed, make):
    mdp, K, c, lam = make(seed), 40, 0.001, 5.0
    betas = tuple(c * x for x in plus.radii(2, 3, K, lam, mdp.B, 0.05))
    found = ucrl_rfe_plus(mdp, K, c=c, lam=lam, rng=rng(seed))
    expected = naive.ucrl_rfe_plus(mdp, mixture_tables(mdp).P, K, betas, lam, rng(seed))
    check(found, expected)
    np.testing.assert_allclose(found.Lambda, expected[2][0].Lambda, rtol=1e-9)
    np.testing.assert_allclose(found.theta, expected[2][0].theta, rtol=1e-8)
    assert found.beta == found.bonus == betas[0]


def test_all_regressions_of_ucrl_rfe_plus_are_those_of_the_paper():
    """Also where variances, and not the floor, decide the weights."""
    mdp, K, lam = mixture(1, H=4)._replace(mu=np.ones(4) / 4), 30, 40.0
    betas = (20.0, 0.8, 5.0, 20.0)
    expected = naive.ucrl_rfe_plus(mdp, mixture_tables(mdp).P, K, betas, lam, rng())[2]
    fits = tuple(new_targets(1, 2, lam) for _ in range(3))
    pi, N = np.zeros((4, 4), np.int64), np.zeros((4, 4, 3), np.int64)
    sim = simulator(mixture_tables(mdp))
    plus._ucrl_rfe_plus(np.empty(K), pi, N, fits, mdp.phi[None], sim, betas, True, rng())
    weights = {round(w, 9) for _, _, w in expected[1].rounds}
    assert len(weights) > 5
    for fit, e in zip(fits, expected, strict=True):
        np.testing.assert_allclose(fit.Lambda[0], e.Lambda, rtol=1e-9)
        np.testing.assert_allclose(fit.theta[0], e.theta, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_lsvi_reward_free_explores_as_in_the_paper(seed):
    mdp, K, c, lam = linear(seed), 60, 0.03, 0.7
    tables = episodic(mdp)
    beta = c * lsvi.radius(3, 3, K, 0.05)
    found = lsvi_reward_free(mdp, K, c=c, lam=lam, rng=rng(seed))
    expected = naive.lsvi_reward_free(mdp, tables.P, K, beta, lam, rng(seed))
    check(found, expected)
    r = rng(seed).random((3, 4, 3))
    Q, V, pi = naive.lsvi_plan(mdp, expected[2], r, beta, lam, 3, explore=False)
    plan = found.plan(r)
    np.testing.assert_allclose(plan.Q, Q, rtol=1e-9)
    np.testing.assert_allclose(plan.V, V[:-1], rtol=1e-9)
    np.testing.assert_array_equal(plan.pi, pi)


# --- the least known function ---


def random_pairs(seed, S=6, d=3):
    g = rng(seed)
    phi = g.standard_normal((2, d, S, 2, S)) * (g.random((2, 1, S, 2, S)) < 0.8)
    root = g.standard_normal((d, d))
    return phi, root @ root.T + 0.1 * np.eye(d)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_corners(seed, exact):
    """All corners find the maximum, ascent never exceeds it; what is returned is the norm of the corner."""
    phi, inverse = random_pairs(seed)
    width, f = np.zeros((2, 6, 2)), np.full((2, 6, 2, 6), 7.0)
    corners.pseudo_values(width, f, inverse, phi, exact)
    hits = 0
    for g, s, a in np.ndindex(2, 6, 2):
        best, _ = naive.pseudo(phi[g, :, s, a], inverse)
        x = phi[g, :, s, a] @ f[g, s, a]
        assert set(f[g, s, a].tolist()) <= {0.0, 1.0}
        assert width[g, s, a] == pytest.approx(np.sqrt(x @ inverse @ x), rel=1e-9)
        assert width[g, s, a] <= best * (1 + 1e-9)
        hits += width[g, s, a] >= best * (1 - 1e-9)
    assert hits == 24 if exact else hits >= 16


def test_a_corner_is_best_in_the_whole_box():
    phi, inverse = random_pairs(3)
    width, f = np.zeros((2, 6, 2)), np.zeros((2, 6, 2, 6))
    corners.pseudo_values(width, f, inverse, phi, True)
    for u in rng().random((300, 6)):
        x = np.einsum("gdsat,t->gsad", phi, u)
        assert (np.einsum("gsad,de,gsae->gsa", x, inverse, x) <= width**2 * (1 + 1e-9)).all()


def test_ascent_is_for_many_successors():
    mdp = random_linear_mixture_mdp(20, 2, 2, 3, concentration=1.0, rng=rng())
    with pytest.raises(ValueError, match="at most 16 successors of a pair, one has 20: try 'ascent'"):
        ucrl_rfe(mdp, 10, rng=rng())
    found = ucrl_rfe(mdp, 300, inner="ascent", c=0.02, rng=rng())
    assert planning_gaps(mixture_tables(mdp), found, some_rewards(20, 3, 20, 2)).max() < 0.05


def test_equations_by_hand():
    assert plain.radius(2, 3, 100, 0.25, 1.5, 0.1) == pytest.approx(
        3 * math.sqrt(2 * math.log(3 * (1 + 100 * 27 * 4) / 0.1)) + 0.75
    )
    log, rate = math.log(48 * 100**2 * 9 / 0.1), math.log(1 + 100 * 3 * 4)
    assert plus.radii(2, 3, 100, 0.25, 1.5, 0.1) == pytest.approx(
        (
            3 * math.sqrt(2 * math.log(12 * (1 + 100 * 27 * 4) / 0.1)) + 0.75,
            8 * math.sqrt(2 * rate * log) + 4 * math.sqrt(2) * log + 0.75,
            16 * math.sqrt(rate * log) + 4 * math.sqrt(2) * log + 0.75,
            72 * math.sqrt(2 * rate * log) + 36 * log + 0.75,
        )
    )
    assert lsvi.radius(3, 4, 100, 0.1) == pytest.approx(12 * math.sqrt(math.log(2 * 3 * 100 * 4 / 0.1)))
    r = np.zeros((3, 1, 1))
    corners.exploration_reward(r, np.full((1, 1, 1), 0.1), 2.0)
    assert r.ravel().tolist() == pytest.approx([2 * 2 / 3 * 2 * 0.1, 2 * 2 / 3 * 0.1, 0])
    corners.exploration_reward(r, np.full((1, 1, 1), 0.6), 2.0)
    assert r.ravel().tolist() == pytest.approx([1, 0.8, 0])


# --- theorems ---

EXPLORERS = [(ucrl_rfe, mixture, mixture_tables), (ucrl_rfe_plus, mixture, mixture_tables)]
EXPLORERS += [(lsvi_reward_free, linear, episodic)]
IDS = ["ucrl_rfe", "ucrl_rfe_plus", "lsvi_reward_free"]


@pytest.mark.filterwarnings("ignore:the gap is trivial")
@pytest.mark.parametrize(("learner", "make", "tables_of"), EXPLORERS, ids=IDS)
def test_certificates_hold_for_every_reward(learner, make, tables_of):
    """With the radius of the theory: V is above the optimum, the loss is below the gap."""
    for seed in range(4):
        mdp = make(seed)
        tables, found = tables_of(mdp), learner(mdp, 100, rng=rng(seed))
        for r in some_rewards(10, 3, 4, 3):
            plan = found.plan(r)
            problem = tables._replace(r=r)
            best = optimal_value(problem)[:-1]
            assert (best - 1e-9 <= plan.V).all()
            assert (best[0] - policy_value(problem, plan.pi)[0]).max() <= plan.gap + 1e-9


def test_certificates_close_as_exploration_goes_on():
    mdp = mixture(0)
    gaps, r = [], some_rewards(10, 3, 4, 3)
    for K in (100, 10_000):
        found = ucrl_rfe(mdp, K, c=0.1, rng=rng())
        plans = [found.plan(x) for x in r]
        gaps.append(max(plan.gap for plan in plans))
        assert found.uncertainty[-1] <= found.uncertainty[0]
    assert gaps[1] < 0.25 * gaps[0]
    assert all(plan.status == "converged" for plan in plans)
    found = ucrl_rfe_plus(mdp, 1, rng=rng())
    with pytest.warns(RuntimeWarning, match="the gap is trivial: explore for more episodes"):
        trivial = found.plan(np.eye(4)[:, :3])
    assert planning_gaps(mixture_tables(mdp), found, [np.eye(4)[:, :3]])[0] <= 3, "exact: no warning"
    assert trivial.gap == 3.0
    assert "explore for more episodes" in trivial.status


def test_confidence_set_covers_the_mixture():
    worst = 0.0
    for seed in range(20):
        mdp = mixture(seed % 5)
        for learner in (ucrl_rfe, ucrl_rfe_plus):
            found = learner(mdp, 100, rng=rng(seed))
            error = found.theta - mdp.theta
            worst = max(worst, math.sqrt(error @ found.Lambda @ error) / found.beta)
    assert 0.02 < worst <= 1


@pytest.mark.parametrize(("learner", "make", "tables_of"), EXPLORERS, ids=IDS)
def test_few_episodes_are_enough_in_practice(learner, make, tables_of):
    mdp = make(1)
    rewards = some_rewards(50, 3, 4, 3)
    few, many = (learner(mdp, K, c=0.01, rng=rng()) for K in (2, 2000))
    gaps = [planning_gaps(tables_of(mdp), found, rewards) for found in (few, many)]
    assert gaps[1].max() < 0.06
    assert gaps[1].mean() < 0.2 * gaps[0].mean()


def test_bad_rewards_are_named():
    found = ucrl_rfe(mixture(), 5, rng=rng())
    with pytest.raises(ValueError, match=r"r\[1, 0\] is 2, it must be in \[0, 1\]"):
        found.plan(2 * np.eye(4)[:, [1, 2, 3]])
    with pytest.raises(ValueError, match=r"r must have shape \(4, 3\), got \(3, 4\)"):
        found.plan(np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"r must have shape \(3, 4, 3\)"):
        lsvi_reward_free(linear(), 5, rng=rng()).plan(np.ones((2, 4, 3)))


@pytest.mark.parametrize("learner", [ucrl_rfe, ucrl_rfe_plus])
def test_mixtures_by_stage_are_refused(learner):
    with pytest.raises(ValueError, match="one theta for all stages"):
        learner(hypercube_mixture_mdp(3, 3, 0.1, rng=rng()), 10, rng=rng())


def test_rewards_are_not_seen():
    """The same exploration whatever the rewards of the problem are."""
    mdp = mixture()
    a, b = (ucrl_rfe(m, 50, c=0.01, rng=rng()) for m in (mdp, mdp._replace(r=1 - mdp.r)))
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.N, b.N)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "c", "make", "tables_of"),
    [
        (ucrl_rfe, 0.05, random_linear_mixture_mdp, mixture_tables),
        (ucrl_rfe_plus, 0.01, random_linear_mixture_mdp, mixture_tables),
        (lsvi_reward_free, 0.02, random_linear_mdp, episodic),
    ],
    ids=IDS,
)
def test_the_loss_falls_as_declared(learner, c, make, tables_of):
    """The worst loss of 100 rewards on four problems, against the number of episodes."""
    g, K = rng(5), 2 ** np.arange(5, 13)
    rewards = [(g.random((3, 5, 3)) < 0.2).astype(float) for _ in range(100)]
    problems = [make(5, 3, 3, 3, concentration=0.2, rng=rng(i)) for i in range(4)]
    worst = [
        np.mean(
            [
                planning_gaps(tables_of(mdp), learner(mdp, int(n), c=c, rng=rng(j)), rewards).max()
                for mdp in problems
                for j in range(3)
            ]
        )
        for n in K
    ]
    slope = np.polyfit(np.log(K), np.log(worst), 1)[0]
    print(f"{learner.__name__} (c={c}): slope {slope:.3f}, worst loss {worst[0]:.4f} to {worst[-1]:.4f}")
    assert slope < -0.45
