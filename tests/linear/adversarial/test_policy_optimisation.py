"""Policy optimisation against adversaries: definitions on whole runs, estimates by enumeration, bounds."""

import itertools
import math

import numpy as np
import pytest

from eluder.core.adversarial import losses_of_episode
from eluder.core.adversarial_books import adversarial_books
from eluder.core.exact import policy_value
from eluder.core.guarantees import guarantee
from eluder.core.problems import EpisodicMDP
from eluder.core.results import checkpoints
from eluder.core.simplex import log_barrier_step
from eluder.core.simulator import visits
from eluder.envs import adversarial_linear_mdp, adversarial_mdp, linear_q_mdp
from eluder.linear.adversarial import _dilated_exp_po as exp_module
from eluder.linear.adversarial import _log_barrier_po as barrier_module
from eluder.linear.adversarial import _magnitude_reduced_po as reduced_module
from eluder.linear.adversarial import _mdp_linexp3 as linexp3_module
from eluder.linear.adversarial import (
    dilated_exp_po,
    log_barrier_po,
    magnitude_reduced_po,
    mdp_linexp3,
    simulator_free_po,
)
from eluder.linear.adversarial._steps import bonuses, ratios
from tests.linear.adversarial import naive_adversarial as naive

MASK = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], bool)
LEARNERS = {
    "exp": (dilated_exp_po, exp_module, lambda x, eta: naive.softmax(-eta * x), naive.plain_estimate),
    "barrier": (log_barrier_po, barrier_module, naive.barrier_leader, naive.plain_estimate),
    "reduced": (
        magnitude_reduced_po,
        reduced_module,
        lambda x, eta: naive.softmax(-eta * x),
        naive.reduced_estimate,
    ),
}


RATES = {"exp": 0.05, "barrier": 0.005, "reduced": 0.002}  # not so large that gamma hides the covariance


def rng(seed=0):
    return np.random.default_rng(seed)


def problem(seed=0, S=4, A=3, d=3, H=3, **options):
    return adversarial_linear_mdp(S, A, d, H, rng=rng(seed), **options)


def signed(mdp):
    """The same problem, but features of both signs: an invertible change of the basis."""
    d = mdp.phi.shape[2]
    turn = np.linalg.qr(rng(7).normal(size=(d, d)))[0]
    return mdp._replace(phi=mdp.phi @ turn)


def loss_of(mdp, losses, pi):
    tables = EpisodicMDP(mdp.P, losses, mdp.mu, mdp.H, mdp.mask)
    return float(mdp.mu @ policy_value(tables, pi)[0])


def assert_same_run(mdp, K, result, policies):
    np.testing.assert_allclose(result.pi, policies[-1], rtol=1e-7, atol=1e-10)
    losses = np.cumsum([loss_of(mdp, losses_of_episode(mdp, k), pi) for k, pi in enumerate(policies)])
    np.testing.assert_allclose(-result.value, losses[checkpoints(K) - 1], rtol=1e-8)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("seed", range(3))
def test_plays_the_policies_of_the_paper(name, seed):
    learner, module, leader, estimate = LEARNERS[name]
    mdp, K, eta = signed(problem(seed, block=3))._replace(mask=MASK), 40, RATES[name]
    result = learner(mdp, K, eta=eta, c=0.3, rng=rng(seed))
    beta, gamma = 0.3 * module.bonus_scale(3, eta), module.regularisation(3, eta)
    policies = naive.policy_optimisation(
        mdp, K, eta, beta, gamma, rng(seed), leader, estimate, lambda k: losses_of_episode(mdp, k)
    )
    assert_same_run(mdp, K, result, policies)
    assert np.abs(result.pi - 1 / 3).max() > 0.02, "it has moved"


@pytest.mark.parametrize("seed", range(3))
def test_linexp3_plays_the_policies_of_the_paper(seed):
    mdp, K = signed(problem(seed, block=3))._replace(mask=MASK), 40
    result = mdp_linexp3(mdp, K, eta=0.1, explore=0.3, num_terms=5, rng=rng(seed))
    policies = naive.linexp3(mdp, K, 0.1, 0.3, 5, rng(seed), lambda k: losses_of_episode(mdp, k))
    assert_same_run(mdp, K, result, policies)
    assert (result.pi[:, MASK] >= 0.3 / 3 - 1e-12).all()


def test_rates_by_hand():
    assert exp_module.regularisation(3, 0.01) == pytest.approx(0.06)
    assert exp_module.bonus_scale(3, 0.01) == pytest.approx(3 * math.sqrt(0.02))
    rate = (math.log(4) / (2 * 5 * 2 * 1e9 * math.sqrt(12))) ** (2 / 3)
    assert exp_module.learning_rate(5, 4, 2, 10**9) == pytest.approx(rate)
    assert exp_module.learning_rate(1, 4, 2, 1) == pytest.approx(1 / 256)
    assert exp_module.learning_rate(1, 4, 1, 1) == pytest.approx(1 / 96)
    assert exp_module.learning_rate(1, 4, 4, 1) == pytest.approx(1 / 8192)
    assert barrier_module.bonus_scale(3, 0.01) == pytest.approx(0.72)
    assert barrier_module.regularisation(3, 0.01) == pytest.approx(12 * 0.01 * 0.72 * 9)
    rate = math.sqrt(4 * math.log(100) / (24 * 5 * 4 * 6 * 100))
    assert barrier_module.learning_rate(5, 4, 2, 100) == pytest.approx(rate)
    assert reduced_module.bonus_scale(3, 0.01) == pytest.approx(2.88)
    assert reduced_module.regularisation(3, 0.01) == pytest.approx(12 * 0.01 * 2.88 * 9)
    rate = math.sqrt(math.log(4) / (24 * 5 * 4 * 12 * 100))
    assert reduced_module.learning_rate(5, 4, 2, 100) == pytest.approx(rate)
    share = (20 * 4 * math.log(4) / (3 * 0.5 * 9 * 1e9)) ** (1 / 3)
    assert linexp3_module.exploration(5, 4, 2, 10**9, 0.5) == pytest.approx(share)
    assert linexp3_module.exploration(5, 1, 2, 10**9, 0.5) == pytest.approx(share / 2 ** (1 / 3))
    assert linexp3_module.exploration(5, 4, 2, 2, 0.5) == 0.5
    assert linexp3_module.terms(4, 1000, 0.1) == 153  # 20 ln 2000 = 152.02
    assert linexp3_module.terms(1, 1, 0.1) == 1
    rate = math.sqrt(3 * math.log(4) / (41 * 4 * 1000))
    assert linexp3_module.learning_rate(4, 2, 1000, 0.2, 0.5, 3) == pytest.approx(rate)
    assert linexp3_module.learning_rate(4, 2, 10, 0.2, 0.5, 999) == pytest.approx(1 / 1000)


def test_bounds_by_hand_and_least_at_the_default_rate():
    a, b = 2 * math.log(4), 4 * 5 * 4 * 1e9 * math.sqrt(12)
    eta = exp_module.learning_rate(5, 4, 2, 10**9)
    assert exp_module.bound(5, 4, 2, 10**9) == pytest.approx(a / eta + b * math.sqrt(eta))
    assert all(a / x + b * math.sqrt(x) >= exp_module.bound(5, 4, 2, 10**9) for x in (eta / 2, 2 * eta))
    eta = barrier_module.learning_rate(5, 4, 2, 1000)
    parts = 8 * math.log(1000) / eta + 24 * eta * 5 * 8 * 6 * 1000 + 8 * math.sqrt(5) + 0.6 / eta
    assert barrier_module.bound(5, 4, 2, 1000) == pytest.approx(parts)
    eta = reduced_module.learning_rate(5, 4, 2, 1000)
    assert reduced_module.bound(5, 4, 2, 1000) == pytest.approx(a / eta + 24 * eta * 5 * 8 * 12 * 1000)
    share = linexp3_module.exploration(5, 4, 2, 10**9, 0.2)
    eta = linexp3_module.learning_rate(4, 2, 10**9, share, 0.2, linexp3_module.terms(5, 10**9, share * 0.2))
    parts = a / eta + eta * 8 * 1e9 * (1 + 20 / share) / 3 + 3e9 * share + 6
    assert linexp3_module.bound(5, 4, 2, 10**9, 0.2) == pytest.approx(parts)
    leading = 3 * (a * 40e9 / (3 * 0.2) * 3e9) ** (1 / 3)
    assert 0.9 * leading < linexp3_module.bound(5, 4, 2, 10**9, 0.2) <= leading, "the terms are balanced"


@pytest.mark.parametrize("module", [exp_module, barrier_module, reduced_module])
@pytest.mark.parametrize(("d", "A", "H", "K"), [(2, 2, 1, 10), (3, 5, 4, 1000), (20, 3, 7, 10**6)])
def test_rates_fulfil_what_the_derivation_asks_for(module, d, A, H, K):
    """Variance below a quarter of the bonus; the bonus's square below E[B] / H; eta (B - Q) <= 1."""
    eta = module.learning_rate(d, A, H, K)
    beta, gamma = module.bonus_scale(H, eta), module.regularisation(H, eta)
    most = 2 * H * ((1 + 1 / H) ** H - 1) * beta / gamma  # of B
    assert (32 if module is reduced_module else 8) * eta * H**2 <= beta * (1 + 1e-12)
    assert 2 * eta * most <= 1 / H + 1e-12
    if module is exp_module:
        assert eta * (H / gamma + most) <= 1 + 1e-12
    if module is reduced_module:
        assert eta * (H / math.sqrt(gamma) + most) <= 1 + 1e-12


def paths(mdp, pi):
    S, A = mdp.mask.shape
    for path in itertools.product(range(S * A), repeat=mdp.H):
        pairs = [divmod(x, A) for x in path]
        p = mdp.mu[pairs[0][0]]
        for h, (s, a) in enumerate(pairs):
            p *= pi[h, s, a]
            if h + 1 < mdp.H:
                p *= mdp.P[h, s, a, pairs[h + 1][0]]
        if p > 0:
            yield p, pairs


@pytest.mark.parametrize("gamma", [0.0, 0.05])
@pytest.mark.parametrize(
    "plain_problem",
    [problem(4, S=3, A=2, d=2, H=3), linear_q_mdp(4, 2, 2, 3, rng=rng(1))],
    ids=["linear MDP", "linear Q"],
)
def test_estimates_by_enumeration_of_paths(plain_problem, gamma):
    """Means, the bias of gamma, the lower bound of the magnitude-reduced one, second moments."""
    mdp, S = signed(plain_problem), plain_problem.mu.size
    pi, losses, H = rng(1).dirichlet(np.ones(2), (3, S)), mdp.losses[0], 3
    R, q = np.array(naive.inverses(mdp, pi, gamma)), np.zeros((3, S))
    visits(adversarial_books(mdp, 1).sim, pi, q)
    table, other, mean = np.zeros((S, 2)), np.zeros((S, 2)), np.zeros((S, 2))
    V, lowest = np.zeros(S), 0.0
    for h in range(2, -1, -1):
        Q = losses[h] + mdp.P[h] @ V
        V = (pi[h] * Q).sum(axis=1)
        reduced_module.low_mean(mdp.phi, R[h], pi[h], q[h], other, mean)
        width = np.sqrt(np.einsum("sai,ij,saj->sa", mdp.phi, R[h], mdp.phi))
        lowest = min(lowest, mean.min())
        assert (mean >= -width - 1e-12).all()
        plain, reduced, second, third = (np.zeros((S, 2)) for _ in range(4))
        for p, pairs in paths(mdp, pi):
            L = sum(losses[g][pair] for g, pair in list(enumerate(pairs))[h:])
            ratios(mdp.phi, R[h], mdp.phi[pairs[h]], table)
            low = np.array(
                [
                    [reduced_module.reduced(table[s, a], L, H - h, mean[s, a]) for a in range(2)]
                    for s in range(S)
                ]
            )
            assert (low >= (H - h) * mean - 1e-12).all()
            assert (low >= -(H - h) * width - 1e-12).all()
            plain, reduced = plain + p * table * L, reduced + p * low
            second, third = second + p * (table * L) ** 2, third + p * low**2
        np.testing.assert_allclose(reduced, plain, atol=1e-10)
        theta = np.linalg.lstsq(mdp.phi.reshape(-1, 2), Q.ravel(), rcond=None)[0]
        np.testing.assert_allclose(Q - plain, gamma * mdp.phi @ R[h] @ theta, atol=1e-9)
        assert (np.abs(Q - plain) <= math.sqrt(gamma) * np.linalg.norm(theta) * width + 1e-9).all()
        assert (second <= ((H - h) * width) ** 2 + 1e-9).all()
        assert (third <= 4 * ((H - h) * width) ** 2 + 1e-9).all()
    assert lowest < -0.02, "some features point away from one another"


def test_bonuses_are_their_definition():
    mdp = signed(problem(2))
    pi, R, b = rng(3).dirichlet(np.ones(3), (3, 4)), rng(4).normal(size=(3, 3, 3)), np.full((3, 4, 3), np.nan)
    R = R @ R.transpose(0, 2, 1)
    bonuses(mdp.phi, R, pi, 0.7, b)
    w = np.einsum("sai,hij,saj->hsa", mdp.phi, R, mdp.phi)
    np.testing.assert_allclose(b, 0.7 * (w + (pi * w).sum(axis=2, keepdims=True)))


@pytest.mark.parametrize("seed", range(5))
def test_the_barrier_pays_for_losses_of_any_sign_and_size(seed):
    """sum <p - u, c> <= (Psi(u) - Psi(p_1)) / eta + eta sum p^2 c^2, with heavy tails of both signs."""
    noise, A, eta, T = rng(seed), 4, 0.05, 400
    total, p, y, left, right = np.zeros(A), np.zeros(A), 0.0, np.zeros(A), 0.0
    for _ in range(T):
        y = log_barrier_step(total, eta, y, p)
        loss = noise.standard_cauchy(A) * 3
        left += p @ loss - loss  # against each corner
        right += eta * (p**2 * loss**2).sum()
        total += loss
    for a in range(A):
        u = (1 - 1 / T) * np.eye(A)[a] + 1 / (A * T)
        mixed = (1 - 1 / T) * left[a] + left.mean() / T
        assert mixed <= (-np.log(u).sum() - A * math.log(A)) / eta + right


@pytest.mark.parametrize("learner", [dilated_exp_po, log_barrier_po, magnitude_reduced_po])
@pytest.mark.parametrize("law", ["fixed", "switching", "stochastic", "adaptive", "no linear MDP"])
def test_regret_is_below_the_bound_at_every_budget(learner, law):
    if law == "no linear MDP":
        mdp = linear_q_mdp(4, 2, 2, 2, rng=rng(5))
    else:
        mdp = problem(5, S=3, A=2, d=2, H=2, law=law)
    for K in (1, 30, 1000, 20_000):
        result = learner(mdp, K, rng=rng(K))
        assert result.regret[-1] <= guarantee(learner).bound(d=2, A=2, H=2, K=K)


def explored(mdp):
    """The smallest eigenvalue of ``E_{s ~ pi at h, a uniform} phi phi'`` on the span of what can be met."""
    H, S, A = mdp.losses.shape[1:]
    outer, least = np.einsum("sai,saj->sij", mdp.phi, mdp.phi) / A, 1.0
    sim, q = adversarial_books(mdp, 1).sim, np.zeros((H, S))
    for actions in itertools.product(range(A), repeat=(H - 1) * S):
        pi = np.eye(A)[np.reshape([*actions, *[0] * S], (H, S))]  # the last actions do not matter
        visits(sim, pi, q)
        for h in range(H):
            values = np.linalg.eigvalsh(np.einsum("s,sij->ij", q[h], outer))
            met = np.linalg.matrix_rank(outer[q[h] > 0].sum(axis=0))
            least = min(least, values[-met:].min())
    return least


@pytest.mark.parametrize("make", [adversarial_linear_mdp, linear_q_mdp])
def test_regret_of_linexp3_is_below_its_bound(make):
    mdp, d = make(4, 2, 2, 2, rng=rng(6)), 2
    lam = explored(mdp)
    assert 0.01 < lam <= 1 / d
    for K in (1, 30, 1000, 3000):
        result = mdp_linexp3(mdp, K, lam=lam, rng=rng(K))
        assert result.regret[-1] <= guarantee(mdp_linexp3).bound(d=2, A=2, H=2, K=K, lam=lam)
        share = linexp3_module.exploration(d, 2, 2, K, lam)
        assert (result.pi >= share / 2 - 1e-12).all()


def test_defaults_of_linexp3_are_those_of_its_bound():
    """Where `lam` is not given it is 1/d, the best case."""
    mdp, K, module = problem(1, S=3, A=2, d=2, H=2), 50, linexp3_module
    share = module.exploration(2, 2, 2, K, 0.3)
    N = module.terms(2, K, share * 0.3)
    options = {"explore": share, "num_terms": N, "eta": module.learning_rate(2, 2, K, share, 0.3, N)}
    np.testing.assert_array_equal(
        mdp_linexp3(mdp, K, lam=0.3, rng=rng()).regret, mdp_linexp3(mdp, K, **options, rng=rng()).regret
    )
    np.testing.assert_array_equal(
        mdp_linexp3(mdp, 50, rng=rng()).regret, mdp_linexp3(mdp, 50, lam=0.5, rng=rng()).regret
    )


@pytest.mark.parametrize(
    ("learner", "options"),
    [
        (dilated_exp_po, {"eta": 0.02, "c": 0.1}),
        (log_barrier_po, {"eta": 0.005, "c": 0.1}),
        (magnitude_reduced_po, {"eta": 0.002, "c": 0.1}),
        (mdp_linexp3, {"eta": 0.02, "num_terms": 40}),
    ],
)
def test_learns_the_best_policy_of_fixed_losses(learner, options):
    """Per episode it loses far less, at the end, than the uniform policy that it begins with."""
    mdp, K = adversarial_mdp(3, 2, 2, tables=1, rng=rng(3)), 20_000
    result = learner(mdp, K, **options, rng=rng())
    half = np.searchsorted(result.checkpoints, K // 2)
    late = (result.regret[-1] - result.regret[half]) / (K - result.checkpoints[half])
    assert 0 <= late < 0.35 * result.regret[0]


@pytest.mark.parametrize(
    "learner", [dilated_exp_po, log_barrier_po, magnitude_reduced_po, mdp_linexp3, simulator_free_po]
)
def test_refuses_features_that_are_too_long(learner):
    mdp = problem()._replace(mask=MASK)
    for pair in ((1, 1), (2, 1)):  # the first is not available
        phi = mdp.phi.copy()
        phi[pair] *= 1.5 / np.linalg.norm(phi[pair])
        with pytest.raises(ValueError, match=rf"phi\[{pair[0]}, 1\] has norm 1.5, it must be at most 1"):
            learner(mdp._replace(phi=phi), 3, rng=rng())


@pytest.mark.parametrize("learner", [dilated_exp_po, log_barrier_po, magnitude_reduced_po, mdp_linexp3])
@pytest.mark.parametrize("eta", [1e-6, 1e6])
def test_smallest_problems_and_extreme_rates(learner, eta):
    scale = {} if learner is mdp_linexp3 else {"c": 1e6}
    for sizes in ((1, 1, 1, 1), (2, 1, 1, 3), (1, 3, 2, 1), (4, 2, 3, 5)):
        mdp = adversarial_linear_mdp(*sizes, rng=rng())
        for K in (1, 200):
            for options in ({}, {"eta": eta, **scale}):
                result = learner(mdp, K, **options, rng=rng(1))
                assert np.isfinite(result.regret).all()
                np.testing.assert_allclose(result.pi.sum(axis=2), 1)
                assert (result.pi >= 0).all()
                if sizes[1] == 1:
                    np.testing.assert_allclose(result.regret, 0, atol=1e-9)


def test_resampling_approaches_exact_covariances():
    mdp, K = problem(1, S=3, A=2, d=2, H=2), 200
    exact = dilated_exp_po(mdp, K, eta=0.05, rng=rng())
    sampled = dilated_exp_po(mdp, K, eta=0.05, num_samples=40, rng=rng())
    assert 0 < np.abs(sampled.pi - exact.pi).max() < 0.1
    exact = log_barrier_po(mdp, K, eta=0.01, rng=rng())
    sampled = log_barrier_po(mdp, K, eta=0.01, num_samples=40, rng=rng())
    assert 0 < np.abs(sampled.pi - exact.pi).max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "module", "factor"),
    [
        (magnitude_reduced_po, reduced_module, 10),
        (log_barrier_po, barrier_module, 10),
        (dilated_exp_po, exp_module, 30),
    ],
)
@pytest.mark.parametrize(
    ("mdp", "d"), [(adversarial_mdp(2, 2, 2, rng=rng(1)), 4), (linear_q_mdp(5, 2, 2, 2, rng=rng(2)), 2)]
)
def test_regret_grows_no_faster_than_declared(learner, module, factor, mdp, d):
    """Rates depend on K: one run for each K. The learning rate and the bonus are tuned, by constants."""
    budgets, finals = (2**16, 2**18, 2**20), []
    for K in budgets:
        options = {"eta": factor * module.learning_rate(d, 2, 2, K), "c": 0.1}
        finals.append(np.mean([learner(mdp, K, **options, rng=rng(i)).regret[-1] for i in range(2)]))
    slope = np.polyfit(np.log(budgets), np.log(finals), 1)[0]
    print(f"{learner.__name__}: slope {slope:.3f}, regret {finals[-1]:.0f}")
    assert 0.3 < slope < guarantee(learner).exponent + 0.1


@pytest.mark.slow
def test_regret_of_linexp3_grows_no_faster_than_declared():
    """Powers of K as in the bound, with other constants; below 2^12 episodes hardly anything is learnt."""
    mdp, budgets, finals = adversarial_mdp(2, 2, 2, rng=rng(1)), (2**12, 2**14, 2**16), []
    for K in budgets:
        share = linexp3_module.exploration(4, 2, 2, K, 0.25)
        eta = 20 * linexp3_module.learning_rate(2, 2, K, share / 4, 0.25, 1)
        options = {"eta": eta, "explore": share / 4, "num_terms": math.ceil(4 * math.log(K) / share)}
        finals.append(np.mean([mdp_linexp3(mdp, K, **options, rng=rng(i)).regret[-1] for i in range(4)]))
    slope = np.polyfit(np.log(budgets), np.log(finals), 1)[0]
    print(f"mdp_linexp3: slope {slope:.3f}, regret {finals[-1]:.0f}")
    assert 0.5 < slope < guarantee(mdp_linexp3).exponent + 0.05
