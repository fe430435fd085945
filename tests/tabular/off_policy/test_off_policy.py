"""Off-policy estimators against their definitions, and their exact moments by enumeration of all logs."""

import math

import numpy as np
import pytest

from eluder.core.contextual import ContextualBandit, value_of
from eluder.core.logged import LoggedData, collect, exact_moments, table_model, take
from eluder.tabular.off_policy import clipped_ips, doubly_robust, ips, snips, switch
from eluder.tabular.off_policy._clipped_ips import clipped_bias, clipped_variance, default_cap
from eluder.tabular.off_policy._doubly_robust import doubly_robust_scores, doubly_robust_variance
from eluder.tabular.off_policy._ips import ips_variance
from eluder.tabular.off_policy._rows import HEAVY, reward_variance, standard_error
from eluder.tabular.off_policy._snips import ratio_error
from eluder.tabular.off_policy._switch import all_weights, balanced_threshold, switch_bias, switch_scores
from tests.tabular.off_policy import naive_off_policy as naive

MASK = np.array([[True, True, True], [True, True, False]])
LOGGING = np.array([[0.7, 0.2, 0.1], [0.4, 0.6, 0.0]])
PI = np.array([[0.1, 0.2, 0.7], [0.9, 0.1, 0.0]])
MODEL = np.array([[0.3, 0.6, 0.4], [0.2, 0.8, 0.5]])


def bandit(law="bernoulli"):
    return ContextualBandit(
        [[0.2, 0.5, 0.9], [0.6, 0.3, 0.0]], mu=[0.3, 0.7], mask=MASK, law=law
    )  # fmt: skip


def log(n=60, seed=0):
    return collect(bandit(), LOGGING, n, np.random.default_rng(seed))


ESTIMATORS = {
    "ips": (lambda data: ips(data, PI), lambda data: naive.ips(data, PI)),
    "snips": (lambda data: snips(data, PI), lambda data: naive.snips(data, PI)),
    "clipped_ips": (
        lambda data: clipped_ips(data, PI, cap=2.0),
        lambda data: naive.clipped_ips(data, PI, 2.0),
    ),
    "doubly_robust": (
        lambda data: doubly_robust(data, PI, MODEL),
        lambda data: naive.doubly_robust(data, PI, np.where(MASK, MODEL, 0.0)),
    ),
    "switch": (
        lambda data: switch(data, PI, MODEL, LOGGING, threshold=2.0),
        lambda data: naive.switch(data, PI, np.where(MASK, MODEL, 0.0), LOGGING, 2.0, False),
    ),
    "switch_dr": (
        lambda data: switch(data, PI, MODEL, LOGGING, threshold=2.0, correct=True),
        lambda data: naive.switch(data, PI, np.where(MASK, MODEL, 0.0), LOGGING, 2.0, True),
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_definition(name):
    ours, twin = ESTIMATORS[name]
    for seed in range(10):
        data = log(seed=seed)
        result = ours(data)
        assert result.value == pytest.approx(twin(data), rel=1e-12)
        assert result.value == pytest.approx(result.scores.mean(), rel=1e-12)


# --- exact moments: closed forms against the enumeration of every log ---


@pytest.mark.parametrize("law", ["bernoulli", "fixed"])
@pytest.mark.parametrize("n", [1, 3])
def test_ips_is_unbiased_and_its_variance_exact(law, n):
    mean, variance = exact_moments(lambda data: ips(data, PI).value, bandit(law), LOGGING, n)
    assert mean == pytest.approx(value_of(bandit(law), PI), abs=1e-12)
    assert variance == pytest.approx(ips_variance(bandit(law), LOGGING, PI, n), abs=1e-12)


@pytest.mark.parametrize("law", ["bernoulli", "fixed"])
@pytest.mark.parametrize("n", [1, 3])
def test_doubly_robust_is_unbiased_with_any_model_and_its_variance_exact(law, n):
    mean, variance = exact_moments(lambda data: doubly_robust(data, PI, MODEL).value, bandit(law), LOGGING, n)
    assert mean == pytest.approx(value_of(bandit(law), PI), abs=1e-12)
    exact = doubly_robust_variance(bandit(law), LOGGING, PI, MODEL, n)
    assert variance == pytest.approx(exact, abs=1e-12)
    assert exact < ips_variance(bandit(law), LOGGING, PI, n)


def test_doubly_robust_is_unbiased_with_wrong_propensities_if_the_model_is_right():
    def halved(data):
        wrong = LoggedData(data.context, data.action, data.reward, data.propensity / 2, data.mask)
        return doubly_robust(wrong, PI, bandit().means).value

    assert exact_moments(halved, bandit(), LOGGING)[0] == pytest.approx(value_of(bandit(), PI), abs=1e-12)
    wrong_model = exact_moments(
        lambda data: (
            doubly_robust(
                LoggedData(data.context, data.action, data.reward, data.propensity / 2, data.mask), PI, MODEL
            ).value
        ),
        bandit(),
        LOGGING,
    )[0]
    assert abs(wrong_model - value_of(bandit(), PI)) > 0.05


@pytest.mark.parametrize("cap", [0.5, 2.0, 100.0])
def test_clipping_has_the_bias_and_the_variance_of_its_closed_forms(cap):
    mean, variance = exact_moments(lambda data: clipped_ips(data, PI, cap=cap).value, bandit(), LOGGING, 2)
    assert mean - value_of(bandit(), PI) == pytest.approx(clipped_bias(bandit(), LOGGING, PI, cap), abs=1e-12)
    assert variance == pytest.approx(clipped_variance(bandit(), LOGGING, PI, cap, 2), abs=1e-12)


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0, 3.0, math.inf])  # 1 is a weight
def test_switch_has_the_bias_of_its_closed_form(threshold, correct):
    mean, _ = exact_moments(
        lambda data: switch(data, PI, MODEL, LOGGING, threshold=threshold, correct=correct).value,
        bandit(),
        LOGGING,
    )
    bias = switch_bias(bandit(), LOGGING, PI, MODEL, threshold)
    assert mean - value_of(bandit(), PI) == pytest.approx(bias, abs=1e-12)
    assert (bias == 0) == (threshold == math.inf)


def test_the_bias_of_snips_falls_like_one_over_n():
    v = value_of(bandit(), PI)

    def estimate(data):
        w = PI[data.context, data.action]
        return snips(data, PI).value if w.sum() > 0 else 0.0

    bias = [exact_moments(estimate, bandit(), LOGGING, n)[0] - v for n in (1, 2, 4, 6)]
    assert np.all(np.diff(np.abs(bias)) < 0)
    assert abs(bias[3]) < abs(bias[1]) / 2


# --- properties ---


def test_switch_joins_the_direct_method_with_ips_and_with_doubly_robust():
    data = log()
    model = np.where(MASK, MODEL, 0.0)
    direct = (PI * model).sum(axis=1)[data.context].mean()
    for correct in (False, True):
        low = switch(data, PI, MODEL, LOGGING, threshold=0.0, correct=correct).value
        assert low == pytest.approx(direct, rel=1e-12)
    high = [switch(data, PI, MODEL, LOGGING, threshold=math.inf, correct=c).value for c in (False, True)]
    assert high[0] == pytest.approx(ips(data, PI).value, rel=1e-12)
    assert high[1] == pytest.approx(doubly_robust(data, PI, MODEL).value, rel=1e-12)
    assert clipped_ips(data, PI, cap=1e9).value == pytest.approx(ips(data, PI).value, rel=1e-12)


def test_snips_moves_with_a_constant_and_stays_in_range():
    data = log()
    shifted = LoggedData(data.context, data.action, data.reward + 5, data.propensity, data.mask)
    assert snips(shifted, PI).value == pytest.approx(snips(data, PI).value + 5, rel=1e-12)
    assert 0 <= snips(data, PI).value <= 1
    assert abs(ips(shifted, PI).value - ips(data, PI).value - 5) > 0.1


def test_standard_errors_cover():
    v = value_of(bandit(), PI)
    methods = (
        ips, snips, lambda d, pi: doubly_robust(d, pi, MODEL),
    )  # fmt: skip
    for method in methods:
        results = [method(log(400, seed), PI) for seed in range(300)]
        covered = np.mean([abs(r.value - v) < 1.96 * r.error for r in results])
        assert 0.91 < covered < 0.985


def test_default_threshold_trusts_the_log_when_it_is_long_and_the_model_when_it_is_short():
    def chosen(n):
        data = log(n)
        model = np.where(MASK, MODEL, 0.0)
        return balanced_threshold(data, PI, model, all_weights(PI, LOGGING), False, 1.0)

    assert chosen(100_000) == pytest.approx(7.0)
    assert chosen(6) < 7.0
    short = log(6)
    assert switch(short, PI, MODEL, LOGGING).value == pytest.approx(
        switch(short, PI, MODEL, LOGGING, threshold=chosen(6)).value
    )


def test_a_model_of_one_half_serves_the_other():
    data = log(4000)
    half = np.arange(4000) % 2 == 0
    estimate = doubly_robust(take(data, ~half), PI, table_model(take(data, half)))
    assert estimate.value == pytest.approx(value_of(bandit(), PI), abs=4 * estimate.error)
    assert estimate.error < ips(take(data, ~half), PI).error


# --- equations by hand ---


def test_equations_by_hand():
    assert default_cap(16) == 4.0
    assert standard_error(np.array([1.0, 3.0])) == pytest.approx(1.0)
    assert math.isnan(standard_error(np.array([1.0])))
    # v = (1*0 + 3*1) / 4 = 0.75; residuals w (r - v) / 2: -0.375, 0.375; sqrt(0.28125 / 1 / 2) = 0.375
    assert ratio_error(np.array([1.0, 3.0]), np.array([0.0, 1.0])) == pytest.approx(0.375)
    np.testing.assert_array_equal(
        all_weights(np.array([[0.0, 0.5, 0.5]]), np.array([[0.0, 0.25, 0.0]])), [[0.0, 2.0, np.inf]]
    )
    np.testing.assert_allclose(reward_variance(bandit())[0], [0.16, 0.25, 0.09])
    assert (reward_variance(bandit("fixed")) == 0).all()
    data = LoggedData([0, 1], [2, 0], [1.0, 0.0], [0.1, 0.4], MASK)
    q, w = np.where(MASK, MODEL, 0.0), np.array([7.0, 2.25])
    # x = 0: 0.03 + 0.12 + 0.28 + 7 (1 - 0.4); x = 1: 0.18 + 0.08 + 2.25 (0 - 0.2)
    np.testing.assert_allclose(doubly_robust_scores(data, PI, q, w), [4.63, -0.19])
    every = all_weights(PI, LOGGING)
    # threshold 3: in context 0 the action 2 (weight 7) is the model's, 0.7 * 0.4; in context 1 none
    np.testing.assert_allclose(switch_scores(data, PI, q, every, 3.0, False), [0.28, 0.0])
    np.testing.assert_allclose(switch_scores(data, PI, q, every, 3.0, True), [0.43, 0.26 - 0.45])


# --- diagnostics ---


def test_status_says_what_is_wrong():
    assert ips(log(2000), PI).status == "ok"
    never = ips(LoggedData([0], [0], [1.0], [0.7], MASK), PI)
    assert never.unsupported == pytest.approx(0.9)
    assert never.status.startswith("0.9 of the policy's probability is on pairs that were never logged")
    assert math.isnan(never.error)
    n = 1000
    action = np.r_[2, 1, np.zeros(n - 2)].astype(int)
    heavy = ips(LoggedData(np.zeros(n), action, np.ones(n), np.where(action > 1, 0.001, 0.998), MASK), PI)
    assert "rows: try a model, clipping or a switch" in heavy.status
    assert heavy.effective_rows < HEAVY * n
    data = log(2000)
    wrong = ips(LoggedData(data.context, data.action, data.reward, data.propensity / 2, data.mask), PI)
    assert wrong.mean_weight == pytest.approx(2, abs=0.2)
    assert "instead of 1: are the propensities right?" in wrong.status


def test_errors():
    data = log()
    with pytest.raises(ValueError, match="data must be a LoggedData, got list"):
        ips([], PI)
    with pytest.raises(ValueError, match=r"pi\[1, 2\] is 0.5, the action is not available"):
        snips(data, [[1, 0, 0], [0.5, 0, 0.5]])
    with pytest.raises(ValueError, match="pi plays none of the 1 logged pairs"):
        snips(LoggedData([0], [0], [1.0], [0.7], MASK), [[0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match=r"model\[0, 1\] is nan"):
        doubly_robust(data, PI, [[0, np.nan, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"propensity\[0\] is 0.\d, the logging policy says 0.\d"):
        switch(data, PI, MODEL, [[0.3, 0.3, 0.4], [0.5, 0.5, 0.0]])
    with pytest.raises(ValueError, match="threshold must be in"):
        switch(data, PI, MODEL, LOGGING, threshold=-1.0)
    with pytest.raises(ValueError, match=r"logging\[0, 1\] is 0 where pi is 0.2"):
        ips_variance(bandit(), [[1, 0, 0], [1, 0, 0]], PI, 1)
    with pytest.raises(ValueError, match="bandit must be a ContextualBandit"):
        ips_variance(None, LOGGING, PI, 1)
