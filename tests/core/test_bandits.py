"""Bandit problems: constructors, laws, the ledger, comparators."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.core.bandits import (
    LAWS,
    Bandit,
    Ledger,
    advance,
    bandit_result,
    best_value,
    divergence,
    draw,
    lai_robbins,
    ledger,
    observe,
    play,
    record,
    refuse_unbounded,
)
from eluder.core.results import checkpoints

SCALES = {"pareto": 4.5, "beta": 3.0, "gaussian": 0.7}


def rng(seed=0):
    return np.random.default_rng(seed)


# --- constructors ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"means": [0.2, 1.2]}, r"means\[1\] is 1.2, it must be in \[0, 1\]"),
        ({"means": [0.2, np.nan]}, r"means\[1\] is nan"),
        ({"means": []}, r"means must have shape \(n >= 1\), got \(0,\)"),
        ({"means": [[[0.1]]]}, "means must have shape"),
        ({"means": "x"}, "means must be an array of real numbers"),
        ({"means": [0.5], "law": "cauchy"}, "law must be one of fixed, bernoulli"),
        ({"means": [0.5], "law": True}, "law must be one of"),
        ({"means": [0.5], "law": 7}, "law must be one of"),
        ({"means": [1.0, 0.0], "law": "exponential"}, r"means\[0, 1\] is 0|means\[1\] is 0"),
        ({"means": [-1.0], "law": "poisson"}, r"means\[0\] is -1"),
        ({"means": [1e9], "law": "gaussian"}, r"means\[0\] is 1e\+09"),
        ({"means": [0.5, 0.5], "law": "gaussian", "scale": [1.0, 0.0]}, r"scale\[1\] is 0, it must exceed 0"),
        ({"means": [0.5], "law": "pareto", "scale": 1.0}, r"scale\[0\] is 1, it must exceed 1"),
        ({"means": [0.5], "law": "gaussian", "scale": np.inf}, r"scale\[0\] is inf"),
        (
            {"means": [0.5], "law": "gaussian", "scale": [1.0, 1.0]},
            r"scale must have shape \(1\), got \(2,\)",
        ),
        ({"means": [[0.1], [0.2]], "starts": [1, 2]}, r"starts\[0\] is 1"),
        ({"means": [[0.1], [0.2]], "starts": [0, 0]}, r"starts\[1\] is 0: starts are whole, increasing"),
        ({"means": [[0.1], [0.2]], "starts": [0, 1.5]}, r"starts\[1\] is 1.5"),
        ({"means": [[0.1], [0.2]], "starts": [0]}, r"starts must have shape \(2\)"),
        ({"means": [0.5], "dynamic": 1}, "dynamic must be True or False"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bandit(**arguments)


@given(
    hnp.arrays(np.float64, st.integers(1, 4), elements=st.floats(-2, 2) | st.just(np.nan)),
    st.sampled_from(LAWS),
)
def test_any_input_gives_a_bandit_or_a_clear_error(means, law):
    low = {"bernoulli": 0.0, "beta": 0.0, "poisson": 0.0, "exponential": 1e-300}.get(law, -np.inf)
    high = 1.0 if law in ("bernoulli", "beta") else np.inf
    if ((low <= means) & (means <= high)).all():
        bandit = Bandit(means, law, SCALES.get(law, 1.0))
        assert np.isfinite(draw(bandit.law, bandit.means[0, 0], bandit.scale[0], rng()))
    else:
        with pytest.raises(ValueError, match=r"^means\["):
            Bandit(means, law, SCALES.get(law, 1.0))


def test_replace_checks_as_well():
    with pytest.raises(ValueError, match="means"):
        Bandit([0.5])._replace(means=[2.0])
    assert Bandit([0.5])._replace(law="beta").law == LAWS.index("beta")


def test_refuse_unbounded():
    for law in ("bernoulli", "beta", "fixed"):
        refuse_unbounded("x", Bandit([0.5], law))
    with pytest.raises(ValueError, match=r"x needs rewards in \[0, 1\], those of a poisson bandit"):
        refuse_unbounded("x", Bandit([0.5], "poisson"))
    with pytest.raises(ValueError, match=r"means\[0, 0\] is 2"):
        refuse_unbounded("x", Bandit([2.0], "fixed"))
    with pytest.raises(ValueError, match="bandit must be a Bandit, got list"):
        refuse_unbounded("x", [0.5])


# --- laws ---

VARIANCE = {
    "fixed": 0.0,
    "bernoulli": 0.4 * 0.6,
    "gaussian": 0.7**2,
    "beta": 0.4 * 0.6 / 4,
    "exponential": 0.4**2,
    "poisson": 0.4,
    "pareto": 4.5 / (3.5**2 * 2.5),
}


@pytest.mark.parametrize("law", LAWS)
def test_laws_have_their_mean_and_variance(law):
    generator, scale = rng(1), SCALES.get(law, 1.0)
    x = np.array([draw(LAWS.index(law), 0.4, scale, generator) for _ in range(40_000)])
    error = 5 * np.sqrt(VARIANCE[law] / x.size)
    assert abs(x.mean() - 0.4) <= error + 1e-12
    assert x.var() == pytest.approx(VARIANCE[law], rel=0.25 if law == "pareto" else 0.06, abs=1e-12)


@pytest.mark.parametrize("mean", [0.0, 3.0, 500.0])
def test_poisson_of_any_mean(mean):
    generator = rng(2)
    x = np.array([draw(LAWS.index("poisson"), mean, 1.0, generator) for _ in range(4000)])
    assert abs(x.mean() - mean) <= 5 * np.sqrt(mean / x.size)
    assert x.var() == pytest.approx(mean, rel=0.15)


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_beta_at_the_ends_is_a_point(mean):
    assert draw(LAWS.index("beta"), mean, 2.0, rng()) == mean


# --- ledger and comparators ---


def changing(dynamic=True):
    means = [[0.1, 0.5], [0.9, 0.3], [0.2, 0.4]]
    return Bandit(means, "fixed", starts=[0, 3, 7], dynamic=dynamic)


def test_play_follows_the_segments_and_keeps_the_books():
    bandit, T = changing(), 12
    books = ledger(2, T)
    arms = [t % 2 for t in range(T)]
    rewards = [play(bandit, books, t, a, rng()) for t, a in enumerate(arms)]
    segment = np.repeat([0, 1, 2], [3, 4, 5])
    expected = bandit.means[segment, arms]
    np.testing.assert_array_equal(rewards, expected)
    np.testing.assert_allclose(books.value, np.cumsum(expected)[books.checkpoints - 1])
    assert books.pulls.tolist() == [6, 6]
    result = bandit_result(bandit, books)
    np.testing.assert_allclose(result.regret + result.value, best_value(bandit, books.checkpoints))


def test_observe_sees_all_arms_and_books_one():
    bandit, books, seen = changing(), ledger(2, 5), np.zeros(2)
    observe(bandit, books, 0, 1, seen, rng())
    assert seen.tolist() == [0.1, 0.5]
    assert books.pulls.tolist() == [0, 1]
    assert books.total[0] == 0.5
    observe(bandit, books, 4, 0, seen, rng())
    assert seen.tolist() == [0.9, 0.3]


@pytest.mark.parametrize("dynamic", [False, True])
def test_best_value_by_enumeration(dynamic):
    bandit = changing(dynamic)
    table = bandit.means[np.repeat([0, 1, 2], [3, 4, 13])]
    n = np.arange(1, 21)
    expected = [table[:k].max(axis=1).sum() if dynamic else table[:k].sum(axis=0).max() for k in n]
    np.testing.assert_allclose(best_value(bandit, n), expected)


def test_memory_of_the_books_does_not_grow_with_T():
    books = ledger(3, 10**12)
    assert isinstance(books, Ledger)
    assert sum(x.size for x in books) < 500
    assert books.checkpoints[-1] == 10**12


def test_advance_and_record_at_the_edges():
    bandit, books = changing(), ledger(2, 2)
    assert [advance(bandit, books, t) for t in (0, 2, 3, 6, 7, 100)] == [0, 0, 1, 1, 2, 2]
    record(books, 0, 0, 0.25)
    record(books, 1, 1, 0.5)
    assert books.value.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("T", [1, 2, 200, 201, 10**6])
def test_checkpoints_end_at_T(T):
    at = checkpoints(T)
    assert at[0] == 1
    assert at[-1] == T
    assert (np.diff(at) > 0).all()
    assert at.size <= 200


# --- the bound of Lai and Robbins ---


def test_divergence_by_hand():
    def kl(law, *means, **more):
        return divergence(Bandit(means, law, **more))[0]

    assert kl("bernoulli", 0.25, 0.5) == pytest.approx(0.130_812_035_941_136_9)  # .25 ln .5 + .75 ln 1.5
    assert kl("gaussian", 0.0, 1.0, scale=2.0) == pytest.approx(0.125)
    assert kl("exponential", 1.0, 2.0) == pytest.approx(np.log(2) - 0.5)
    assert kl("poisson", 1.0, 2.0) == pytest.approx(1 - np.log(2))
    assert kl("bernoulli", 0.0, 0.5) == pytest.approx(np.log(2))
    assert kl("bernoulli", 0.5, 1.0) == np.inf
    assert divergence(Bandit([1.0, 1.0])).tolist() == [0.0, 0.0]


def test_lai_robbins():
    assert lai_robbins(Bandit([0.25, 0.5])) == pytest.approx(0.25 / 0.130_812_035_941_136_9)
    assert lai_robbins(Bandit([0.5, 1.0])) == 0.0
    assert lai_robbins(Bandit([0.5, 0.5])) == 0.0
    with pytest.raises(ValueError, match="one segment"):
        lai_robbins(changing())
    with pytest.raises(ValueError, match="no closed form for the law pareto"):
        lai_robbins(Bandit([0.5, 0.6], "pareto", 2.0))
