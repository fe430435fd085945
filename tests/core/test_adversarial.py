"""Adversarial MDPs: losses by episode, the comparator in hindsight by enumeration, the dilated bonus."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eluder.core.adversarial import (
    AdversarialMDP,
    AdversarialResult,
    hindsight_loss,
    linear_q_error,
    losses_of_episode,
)
from eluder.core.adversarial_books import (
    AdversarialBooks,
    adversarial_books,
    adversarial_result,
    begin_episode,
    dilated_bonus,
    finish_episode,
    play_episode,
)
from eluder.core.exact import occupancy, policy_value
from eluder.core.problems import EpisodicMDP
from eluder.core.simulator import visits
from eluder.envs import adversarial_linear_mdp, adversarial_mdp

MASK = np.array([[1, 1], [1, 0], [0, 1]], bool)


def rng(seed=0):
    return np.random.default_rng(seed)


def policy(mdp, seed=0):
    w = rng(seed).random(mdp.losses.shape[1:]) * mdp.mask
    return w / w.sum(axis=-1, keepdims=True)


def tables(mdp, losses):
    return EpisodicMDP(mdp.P, losses, mdp.mu, mdp.H, mdp.mask)


def value(mdp, losses, pi):
    """The expected loss; losses may be sums, values are linear in them."""
    scale = max(losses.max(), 1.0)
    return scale * float(mdp.mu @ policy_value(tables(mdp, losses / scale), pi)[0])


def test_hindsight_is_the_best_of_all_policies():
    mdp = adversarial_mdp(3, 2, 2, tables=3, block=2, rng=rng())._replace(mask=MASK)
    for K in (1, 2, 3, 7, 12, 17):
        total = sum(losses_of_episode(mdp, k) for k in range(K))
        available = [np.flatnonzero(row) for _ in range(2) for row in MASK]
        every = (np.reshape(p, (2, 3)) for p in itertools.product(*available))
        assert hindsight_loss(mdp, K) == pytest.approx(min(value(mdp, total, p) for p in every), rel=1e-12)


@pytest.mark.parametrize("law", ["fixed", "switching", "stochastic", "adaptive"])
def test_the_account_of_a_run_is_exact(law):
    mdp, K = adversarial_linear_mdp(4, 2, 3, 3, law=law, block=3, rng=rng(1)), 30
    books = adversarial_books(mdp, K)
    assert isinstance(books, AdversarialBooks)
    played, total, last, policies = 0.0, np.zeros((3, 4, 2)), None, [policy(mdp, k) for k in range(K)]
    for k, pi in enumerate(policies):
        begin_episode(books, k)
        losses = losses_of_episode(mdp, k)
        if law == "adaptive":
            target = np.zeros(3, int)
            if last is not None:
                target = np.einsum("hsa,sai->hi", occupancy(tables(mdp, losses), last), mdp.phi).argmax(1)
            losses = losses / 2 + np.moveaxis(mdp.phi[..., target], -1, 0) / 2
        np.testing.assert_allclose(books.sim.r, losses, atol=1e-12)
        played, total, last = played + value(mdp, losses, pi), total + losses, pi
        finish_episode(books, k, pi)
        if k + 1 in books.at:
            c = np.searchsorted(books.at, k + 1)
            every = itertools.product(range(2), repeat=12)
            best = min(value(mdp, total, np.reshape(p, (3, 4))) for p in every) if k == 9 else None
            if best is not None:
                assert books.regret[c] == pytest.approx(played - best, rel=1e-9)
            assert books.value[c] == pytest.approx(-played)
    result = adversarial_result(books, policies[-1])
    assert isinstance(result, AdversarialResult)
    assert value(mdp, total, result.best) == pytest.approx(played - result.regret[-1])
    if law != "adaptive":
        assert hindsight_loss(mdp, K) == pytest.approx(value(mdp, total, result.best))


def test_play_follows_the_policy_and_sums_the_losses_to_go():
    mdp = adversarial_mdp(3, 2, 4, rng=rng())._replace(mask=MASK)
    books, pi = adversarial_books(mdp, 1), policy(mdp)
    begin_episode(books, 0)
    path, played, L = np.zeros(5, int), np.zeros(4, int), np.zeros(4)
    play_episode(books, pi, path, played, L, rng(5))
    losses = [mdp.losses[0, h, path[h], played[h]] for h in range(4)]
    np.testing.assert_allclose(L, np.cumsum(losses[::-1])[::-1])
    assert MASK[path[:4], played].all()
    assert books.N.sum() == 4
    assert all(books.N[h, path[h], played[h]] == 1 for h in range(4))


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_dilated_bonus_telescopes_for_every_comparator(seed):
    """sum over stages, weighted by the comparator's visits: the identity behind the factor 1 + 1/H."""
    H = 3
    mdp = adversarial_mdp(3, 2, H, rng=rng(seed))
    pi, star, b = policy(mdp, seed), policy(mdp, seed + 1), 5 * rng(seed).random((H, 3, 2))
    B, V, q = np.full_like(b, np.nan), np.full((H + 1, 3), np.nan), np.zeros((H, 3))
    sim = adversarial_books(mdp, 1).sim
    dilated_bonus(sim, pi, b, B, V)
    visits(sim, star, q)
    np.testing.assert_allclose(B[-1], b[-1])
    left = sum(q[h] @ ((1 + 1 / H) * V[h] - (star[h] * (B[h] - b[h])).sum(1)) for h in range(H))
    assert left == pytest.approx((1 + 1 / H) * V[0, 0], rel=1e-10)
    plain = value(mdp, b, pi)
    assert plain - 1e-12 <= V[0, 0] <= (1 + 1 / H) ** (H - 1) * plain + 1e-12


def test_linear_values_of_every_policy():
    mdp = adversarial_linear_mdp(6, 3, 3, 4, rng=rng(2))
    for seed in range(5):
        assert linear_q_error(mdp, policy(mdp, seed)) < 1e-12
    bent = mdp._replace(losses=rng().random(mdp.losses.shape))
    assert linear_q_error(bent, policy(mdp)) > 0.05
    assert linear_q_error(adversarial_mdp(3, 2, 2, rng=rng()), np.full((2, 3, 2), 0.5)) < 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": [[[[0.0, 1.5]]]]}, r"losses\[0, 0, 0, 1\] is 1.5"),
        ({"losses": [[[[0.0, np.nan]]]]}, r"losses\[0, 0, 0, 1\] is nan"),
        ({"losses": [[[[0.0]]]]}, "losses must have shape"),
        ({"P": [[[[1.0], [0.9]]]]}, r"P\[0, 0, 1\] sums to 0.9"),
        ({"mu": [0.5]}, "mu sums to 0.5"),
        ({"phi": [[[1.0]]]}, "phi must have shape"),
        ({"phi": [[[1.0], [np.inf]]]}, r"phi\[0, 1, 0\] is inf"),
        ({"phi": [[[1.0], [-1.0]]], "adaptive": 0.5}, r"phi\[0, 1, 0\] is -1"),
        ({"block": 0}, "block must be at least 1"),
        ({"adaptive": 1.5}, r"adaptive must be in \[0, 1\]"),
        ({"mask": [[False, False]]}, "mask"),
    ],
)
def test_refuses_what_is_no_problem(change, message):
    good = {"P": [[[[1.0], [1.0]]]], "losses": [[[[0.0, 1.0]]]], "mu": [1.0]}
    with pytest.raises(ValueError, match=message):
        AdversarialMDP(**{**good, **change})


def test_refuses_by_message():
    mdp = adversarial_linear_mdp(3, 2, 2, 2, law="adaptive", rng=rng())
    with pytest.raises(ValueError, match="reacts to the learner"):
        hindsight_loss(mdp, 5)
    with pytest.raises(ValueError, match="K must be at least 1"):
        hindsight_loss(mdp, 0)
    with pytest.raises(ValueError, match="mdp must be an AdversarialMDP, got dict"):
        adversarial_books({}, 5)
    with pytest.raises(ValueError, match=r"pi\[0, 0\] sums to 2"):
        linear_q_error(mdp, np.ones((2, 3, 2)))
    with pytest.raises(ValueError, match="law must be one of 'fixed'"):
        adversarial_linear_mdp(3, 2, 2, 2, law="kind", rng=rng())
    with pytest.raises(ValueError, match="tables must be at least 1"):
        adversarial_mdp(3, 2, 2, tables=0, rng=rng())
