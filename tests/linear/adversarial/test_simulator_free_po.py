"""Without a simulator: its definition on whole runs, the means of the weights, the cover, learning."""

import math

import numpy as np
import pytest

from eluder.core.adversarial import losses_of_episode
from eluder.core.adversarial_books import adversarial_books
from eluder.core.exact import policy_value
from eluder.core.guarantees import guarantee
from eluder.core.problems import EpisodicMDP
from eluder.core.results import checkpoints
from eluder.core.simulator import visits
from eluder.envs import adversarial_linear_mdp, adversarial_mdp
from eluder.linear.adversarial import simulator_free_po
from eluder.linear.adversarial._simulator_free_po import draw_play, largest, learning_rate, radius
from tests.linear.adversarial import naive_adversarial as naive

MASK = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], bool)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(4))
def test_plays_the_policies_of_the_pseudo_code(seed):
    mdp = adversarial_linear_mdp(4, 3, 3, 3, block=3, rng=rng(seed))._replace(mask=MASK)
    mdp, K, K0, W, eta, c, alpha = mdp._replace(mu=[0.5, 0.2, 0.2, 0.1]), 75, 20, 8, 0.3, 0.05, 0.2
    result = simulator_free_po(
        mdp, K, eta=eta, window=W, explore=0.4, cover=K0, alpha=alpha, c=c, rng=rng(seed)
    )
    beta, gamma = c * 8 * eta * 9, W**-0.5
    plays, pi, n, known = naive.simulator_free(
        mdp, K, K0, W, eta, beta, gamma, 0.4, c * radius(3, 3, K, 0.05), largest(3, beta, gamma), alpha,
        rng(seed), lambda k: losses_of_episode(mdp, k),
    )  # fmt: skip
    assert n > 2
    assert known.sum() > 0
    losses = []
    for k, play in enumerate(plays):
        tables = EpisodicMDP(mdp.P, losses_of_episode(mdp, k), mdp.mu, 3, MASK)
        losses.append(mdp.mu @ policy_value(tables, play)[0])
    np.testing.assert_allclose(-result.value, np.cumsum(losses)[checkpoints(K) - 1], rtol=1e-7)
    np.testing.assert_allclose(result.pi, pi, rtol=1e-6, atol=1e-9)
    assert np.abs(result.pi - 1 / 3).max() > 0.05


def test_equations_by_hand():
    assert learning_rate(2, 16) == pytest.approx(1 / 80)
    for H, W in ((1, 2), (3, 100), (7, 10**6)):
        assert 96 * learning_rate(H, W) ** 2 * H**4 <= W**-0.5, "what bonuses vary by is below their mean"
    assert radius(3, 2, 100, 0.1) == pytest.approx(6 * math.sqrt(math.log(12_000)))
    np.testing.assert_allclose(largest(2, 0.5, 0.1), [2 * 0.5 * 2 * 0.5 / 0.1, 0.0])


def test_weights_keep_the_means_whoever_plays():
    """Exact, over h* and the cover: E[v phi phi'] is the mixture's, and E[v phi L] = E[v phi phi'] theta."""
    mdp, H, explore = adversarial_linear_mdp(4, 3, 3, 3, rng=rng(2)), 3, 0.3
    pi, cover, weights = rng(1).dirichlet(np.ones(3), (3, 4)), rng(2).integers(3, size=(2, 3, 4)), [0.6, 0.4]
    sim, losses = adversarial_books(mdp, 1).sim, mdp.losses[0]

    def moments(play, tail):
        q, Q, V = np.zeros((3, 4)), np.zeros((3, 4, 3)), np.zeros(4)
        visits(sim, play, q)
        for h in range(2, -1, -1):
            Q[h] = losses[h] + mdp.P[h] @ V
            V = (tail[h] * Q[h]).sum(axis=1)
        occupied = q[:, :, None] * play
        return (
            np.einsum("hsa,sai,saj->hij", occupied, mdp.phi, mdp.phi),
            np.einsum("hsa,sai,hsa->hi", occupied, mdp.phi, Q),
            Q,
        )

    second, cross, Q = moments(pi, pi)
    M, y = (1 - explore) * second, (1 - explore) * cross
    for i, share in enumerate(weights):
        for star in range(H):
            play = pi.copy()
            play[: star + 1] = np.eye(3)[cover[i, : star + 1]]
            second, cross, _ = moments(play, pi)  # from h* on, Q is that of pi
            M[star] += explore * share / H * H * second[star]
            y[star] += explore * share / H * H * cross[star]
    full = [share * moments(np.eye(3)[cover[i]], pi)[0] for i, share in enumerate(weights)]
    np.testing.assert_allclose(M, (1 - explore) * moments(pi, pi)[0] + explore * sum(full), atol=1e-12)
    for h in range(H):
        theta = np.linalg.lstsq(mdp.phi.reshape(-1, 3), Q[h].ravel(), rcond=None)[0]
        np.testing.assert_allclose(y[h], M[h] @ theta, atol=1e-10)


def test_what_is_played_begins_with_the_cover():
    pi, cover = np.full((3, 4, 3), 1 / 3), rng(2).integers(3, size=(2, 3, 4))
    play, stars, picked, noise = np.zeros((3, 4, 3)), np.zeros(4), np.zeros(2), rng(0)
    for _ in range(6000):
        star = draw_play(pi, cover, np.array([0.7, 0.3]), 0.5, play, noise)
        stars[star] += 1
        np.testing.assert_array_equal(play[star + 1 :], pi[star + 1 :])
        if star >= 0:
            of = [i for i in range(2) if (play[: star + 1] == np.eye(3)[cover[i, : star + 1]]).all()]
            assert of
            picked[of[0]] += 1
    np.testing.assert_allclose(stars / 6000, [1 / 6, 1 / 6, 1 / 6, 1 / 2], atol=0.02)
    np.testing.assert_allclose(picked / picked.sum(), [0.7, 0.3], atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mdp", [adversarial_mdp(2, 2, 2, rng=rng(1)), adversarial_linear_mdp(5, 2, 2, 2, rng=rng(2))]
)
def test_regret_grows_no_faster_than_declared(mdp):
    """Powers of K as by default, with other constants; the bonus only costs on such problems."""
    budgets, finals = (2**18, 2**20, 2**22), []
    for K in budgets:
        W = math.ceil(K ** (2 / 3) / 16)
        options = {"eta": 30 * learning_rate(2, W), "window": W, "explore": K ** (-1 / 9) / 4, "c": 0.001}
        finals.append(
            np.mean([simulator_free_po(mdp, K, **options, rng=rng(i)).regret[-1] for i in range(2)])
        )
    slope = np.polyfit(np.log(budgets), np.log(finals), 1)[0]
    print(f"simulator_free_po: slope {slope:.3f}, regret {finals[-1]:.0f}")
    assert 0.6 < slope < guarantee(simulator_free_po).exponent


def test_learns_fixed_losses_and_follows_switching_ones():
    mdp, K = adversarial_mdp(2, 2, 2, tables=1, rng=rng(3)), 20_000
    result = simulator_free_po(mdp, K, eta=0.05, c=0.001, explore=0.1, window=20, rng=rng())
    half = np.searchsorted(result.checkpoints, K // 2)
    late = (result.regret[-1] - result.regret[half]) / (K - result.checkpoints[half])
    uniform = EpisodicMDP(mdp.P, mdp.losses[0], mdp.mu, 2)
    every = mdp.mu @ policy_value(uniform, np.full((2, 2, 2), 0.5))[0]
    best = -(result.value[-1] + result.regret[-1]) / K
    assert 0 <= late < 0.4 * (every - best)


@pytest.mark.parametrize("c", [0.0, 1e6])
@pytest.mark.parametrize("eta", [1e-6, 1e6])
def test_smallest_problems_and_extreme_rates(eta, c):
    for sizes in ((1, 1, 1, 1), (2, 1, 1, 3), (1, 3, 2, 1), (4, 2, 3, 5)):
        mdp = adversarial_linear_mdp(*sizes, rng=rng())
        for options in ({}, {"window": 10**6}, {"window": 2, "explore": 1.0, "cover": 1, "alpha": 1e9}):
            result = simulator_free_po(mdp, 200, eta=eta, c=c, **options, rng=rng(1))
            assert np.isfinite(result.regret).all()
            np.testing.assert_allclose(result.pi.sum(axis=2), 1)
            if sizes[1] == 1:
                np.testing.assert_allclose(result.regret, 0, atol=1e-9)


def test_defaults_are_the_powers_of_the_budget():
    mdp, K = adversarial_linear_mdp(3, 2, 2, 2, rng=rng()), 1000
    options = {"window": 100, "eta": learning_rate(2, 100), "explore": K ** (-1 / 9), "cover": 32}
    np.testing.assert_array_equal(
        simulator_free_po(mdp, K, rng=rng()).regret, simulator_free_po(mdp, K, **options, rng=rng()).regret
    )


def test_defaults_for_small_budgets_and_refusals():
    mdp = adversarial_mdp(2, 2, 2, rng=rng())
    for K in (1, 2, 5):
        assert np.isfinite(simulator_free_po(mdp, K, rng=rng()).regret).all()
    with pytest.raises(ValueError, match=r"cover must be at most 5|cover must be"):
        simulator_free_po(mdp, 5, cover=6, rng=rng())
