"""Duelling bandits: definitions, winners by enumeration, rates."""

import math

import numpy as np
import pytest

from eluder.core.bandits import ledger
from eluder.core.dueling import DuelingBandit, condorcet_winner, dueling_result
from eluder.envs import bradley_terry_bandit, cyclic_dueling_bandit, dueling_bandit
from eluder.tabular.bandits import _d_ts, _pairs, _rucb, d_ts, rucb
from tests.tabular.bandits import naive_combinatorial as naive


def rng(seed=0):
    return np.random.default_rng(seed)


def pulls(pairs, A):
    return np.bincount(np.ravel(pairs), minlength=A)


@pytest.mark.parametrize("seed", range(6))
def test_rucb_is_its_definition(seed):
    P = cyclic_dueling_bandit(5, gap=0.2).P
    result = rucb(dueling_bandit(P), 400, alpha=0.6, rng=rng(seed))
    pairs = naive.rucb(P, 400, 0.6, rng(seed))
    np.testing.assert_array_equal(result.pulls, pulls(pairs, 5))
    regret = np.cumsum([0.5 * (P[0, a] + P[0, b]) - 0.5 for a, b in pairs])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, regret, atol=1e-9)


def state(seed, A=4):
    """A random history of duels, as counts and as the learner keeps them."""
    generator = rng(seed)
    wins = np.triu(generator.integers(0, 12, (A, A)), 1) + np.tril(generator.integers(0, 12, (A, A)), -1)
    wins[0, 1] = wins[1, 0] = 0
    kept, p, shrink = np.zeros((A, A)), np.full((A, A), 2.0), np.zeros((A, A))
    np.fill_diagonal(p, 0.5)
    for a in range(A):
        for b in range(A):
            for _ in range(wins[a, b]):
                _pairs.count_duel(kept, p, shrink, a, b, True)
    np.testing.assert_array_equal(kept, wins)
    return wins.astype(float), p, shrink


@pytest.mark.parametrize("seed", range(8))
def test_both_draws_of_d_ts_have_the_law_of_their_definition(seed):
    wins, p, shrink = state(seed)
    A, t, alpha, n = 4, 40, 0.6, 4000
    w = _pairs.width(t, alpha)
    count, held = np.zeros(A, np.int64), np.zeros(A, np.bool_)
    ours, twin = rng(1), rng(2)
    first = np.zeros((2, A))
    second = np.zeros((2, A))
    for _ in range(n):
        first[0, _d_ts.first_arm(wins, p, shrink, w, count, held, ours)] += 1 / n
        theta = np.triu(twin.beta(1 + wins, 1 + wins.T), 1)
        theta = theta + np.tril(1 - theta.T, -1)
        np.fill_diagonal(theta, 0.0)
        for a in (arms := naive.d_ts_first(wins, t, alpha, theta)):
            first[1, a] += 1 / len(arms) / n
        second[0, _d_ts.second_arm(wins, p, shrink, w, 2, ours)] += 1 / n
        theta = twin.beta(1 + wins[:, 2], 1 + wins[2])
        theta[2] = 0.5
        second[1, naive.d_ts_second(wins, t, alpha, 2, theta)] += 1 / n
    np.testing.assert_allclose(first[0], first[1], atol=0.04)
    np.testing.assert_allclose(second[0], second[1], atol=0.04)


def test_equations_by_hand():
    assert _pairs.width(10, 0.5) == pytest.approx(math.sqrt(0.5 * math.log(10)))
    wins, p, shrink = np.zeros((2, 2)), np.full((2, 2), 2.0), np.zeros((2, 2))
    for won in (True, True, True, False):
        _pairs.count_duel(wins, p, shrink, 0, 1, won)
    assert (p[0, 1], p[1, 0], shrink[0, 1]) == (0.75, 0.25, 0.5)
    candidates, blocker = np.zeros(2, np.int64), np.arange(2)
    np.fill_diagonal(p, 0.5)
    assert _rucb.possible_winners(p, shrink, 0.0, blocker, candidates) == 1
    assert candidates[0] == 0
    assert _rucb.possible_winners(p, shrink, 0.5, blocker, candidates) == 2  # 0.25 + 0.5 * 0.5
    assert _rucb.second_arm(p, shrink, 0.0, 0, candidates, rng()) == 0
    assert _rucb.second_arm(p, shrink, 2.0, 0, candidates, rng()) == 1


def test_the_winner_by_enumeration():
    generator = rng()
    found = 0
    for _ in range(200):
        P = np.triu(generator.random((4, 4)), 1)
        P = P + np.tril(1 - P.T, -1) + 0.5 * np.eye(4)
        winners = [a for a in range(4) if all(P[a, b] > 0.5 for b in range(4) if b != a)]
        if winners:
            assert condorcet_winner(DuelingBandit(P)) == winners[0]
            found += 1
        else:
            with pytest.raises(ValueError, match="P has no Condorcet winner"):
                condorcet_winner(DuelingBandit(P))
    assert 50 < found < 150


@pytest.mark.parametrize("learner", [rucb, d_ts])
def test_learners_find_the_winner_behind_a_cycle(learner):
    bandit = cyclic_dueling_bandit(4, gap=0.15, cycle=0.4)
    result = learner(bandit, 20_000, rng=rng())
    assert result.pulls.argmax() == 0
    assert result.pulls.sum() == 40_000
    assert result.regret[-1] < 0.2 * 20_000 * 0.15
    with pytest.raises(ValueError, match="P has no Condorcet winner"):
        learner(dueling_bandit([[0.5, 0.5], [0.5, 0.5]]), 10, rng=rng())


def test_refuses_wrong_problems():
    with pytest.raises(ValueError, match=r"P\[0, 1\] \+ P\[1, 0\] is 1.2, not 1"):
        dueling_bandit([[0.5, 0.7], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"P\[0, 0\] is nan"):
        dueling_bandit([[np.nan]])
    books = ledger(2, 1)
    assert dueling_result(books).pulls.tolist() == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("learner", [rucb, d_ts])
def test_regret_is_logarithmic(learner):
    bandit, T = bradley_terry_bandit(np.linspace(0.0, 2.0, 6)), 1_000_000
    runs = [learner(bandit, T, rng=rng(i)) for i in range(20)]
    mean = np.mean([run.regret for run in runs], axis=0)
    t = runs[0].checkpoints
    late = t >= T / 10
    slope = np.polyfit(np.log(t[late]), np.log(mean[late]), 1)[0]
    print(f"{learner.__name__}: slope {slope:.3f} over the last decade, regret {mean[-1]:.0f}")
    assert slope < 0.2
