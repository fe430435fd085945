"""Combinatorial semi-bandits: definitions on trajectories, oracles by enumeration, rates."""

import itertools
import math

import numpy as np
import pytest

from eluder.core.bandits import ledger
from eluder.core.combinatorial import SemiBandit, best_super_arm, play_super_arm, semi_bandit_result
from eluder.envs import semi_bandit, top_m_bandit
from eluder.tabular.bandits import _comb_ucb1, _cts, comb_ucb1, cts
from tests.tabular.bandits import naive_combinatorial as naive

MEANS = [0.2, 0.7, 0.5, 0.4, 0.6]
ACTIONS = [[0, 1], [2, 3], [1, 4], [0], [2, 3, 4]]
TABLE = np.array([[a in arms for a in range(5)] for arms in ACTIONS])


def rng(seed=0):
    return np.random.default_rng(seed)


def played(result, actions):
    """How often each arm was in a super-arm of the list."""
    return np.bincount([a for k in result for a in actions[k]], minlength=5)


@pytest.mark.parametrize("name", ["comb_ucb1", "cts"])
@pytest.mark.parametrize("seed", range(4))
def test_definition(name, seed):
    learner = {"comb_ucb1": comb_ucb1, "cts": cts}[name]
    T = 300
    result = learner(semi_bandit(MEANS, TABLE), T, rng=rng(seed))
    twin = getattr(naive, name)(MEANS, ACTIONS, T, rng(seed))
    np.testing.assert_array_equal(result.pulls, played(twin, ACTIONS))
    value = np.array([sum(MEANS[a] for a in arms) for arms in ACTIONS])
    regret = np.cumsum(value.max() - value[twin])[result.checkpoints - 1]
    np.testing.assert_allclose(result.regret, regret, atol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_oracle_by_enumeration(m):
    generator = rng(m)
    for _ in range(30):
        index = generator.random(5)
        chosen = np.zeros(m, np.int64)
        size = best_super_arm(np.zeros((0, m), np.int64), index, chosen)
        assert size == m
        best = max(index[list(arms)].sum() for arms in itertools.combinations(range(5), m))
        assert index[chosen].sum() == pytest.approx(best)
        assert np.unique(chosen).size == m
        listed = semi_bandit(MEANS, TABLE).members
        chosen = np.zeros(3, np.int64)
        size = best_super_arm(listed, index, chosen)
        assert sorted(chosen[:size]) == ACTIONS[naive.best_action(index, ACTIONS)]


def test_any_m_arms_is_the_list_of_all_sets():
    means, m = [0.2, 0.8, 0.5, 0.7], 2
    sets = list(itertools.combinations(range(4), m))
    table = np.array([[a in arms for a in range(4)] for arms in sets])
    one, other = top_m_bandit(means, m), semi_bandit(means, table)
    a = np.mean([comb_ucb1(one, 2000, rng=rng(i)).regret[-1] for i in range(20)])
    b = np.mean([comb_ucb1(other, 2000, rng=rng(i)).regret[-1] for i in range(20)])
    assert a == pytest.approx(b, rel=0.1)
    books = ledger(4, 1)
    rewards = np.zeros(2)
    play_super_arm(top_m_bandit(means, 2, "fixed"), books, 0, np.array([1, 3]), 2, rewards, rng())
    assert rewards.tolist() == [0.8, 0.7]
    assert semi_bandit_result(one, books).regret[0] == pytest.approx(0.0)


def test_single_arms_are_a_bandit():
    """With super-arms of one arm CombUCB1 is UCB1 with 1.5 in the place of 2."""
    means = [0.3, 0.5, 0.6]
    result = comb_ucb1(top_m_bandit(means, 1), 500, c=math.sqrt(2 / 1.5), rng=rng())
    from eluder.envs import bernoulli_bandit
    from eluder.tabular.bandits import ucb1

    np.testing.assert_array_equal(result.pulls, ucb1(bernoulli_bandit(means), 500, rng=rng()).pulls)


def test_equations_by_hand():
    assert _comb_ucb1.radius(10, 2.0) == pytest.approx(2 * math.sqrt(1.5 * math.log(10)))
    assert (_cts.coin(0.0, rng()), _cts.coin(1.0, rng())) == (0.0, 1.0)
    generator = rng()
    assert np.mean([_cts.coin(0.3, generator) for _ in range(4000)]) == pytest.approx(0.3, abs=0.03)


def test_refuses_wrong_problems():
    with pytest.raises(ValueError, match="arm 2 is in no super-arm"):
        SemiBandit([0.1, 0.2, 0.3], [[0, 1]])
    with pytest.raises(ValueError, match=r"members\[0\] names an arm twice"):
        SemiBandit([0.1, 0.2], [[1, 1]])
    with pytest.raises(ValueError, match=r"actions\[1\] holds no arm"):
        semi_bandit([0.1, 0.2], [[True, True], [False, False]])
    with pytest.raises(ValueError, match=r"m must be in \[1, 2\]"):
        top_m_bandit([0.1, 0.2], 3)


@pytest.mark.slow
@pytest.mark.parametrize("learner", [comb_ucb1, cts])
def test_regret_is_logarithmic(learner):
    """The declared exponent is 0: over two decades regret grows less than any small power."""
    bandit, T = top_m_bandit(np.linspace(0.2, 0.8, 8), 3), 1_000_000
    runs = [learner(bandit, T, rng=rng(i)) for i in range(20)]
    mean = np.mean([run.regret for run in runs], axis=0)
    t = runs[0].checkpoints
    late = t >= T / 10
    slope = np.polyfit(np.log(t[late]), np.log(mean[late]), 1)[0]
    print(f"{learner.__name__}: slope {slope:.3f} over the last decade, regret {mean[-1]:.0f}")
    assert slope < 0.2
