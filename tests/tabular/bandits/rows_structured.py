"""Contract rows of recovering, fair and contextual bandits, and of off-policy evaluation."""

import numpy as np

from eluder.core.contextual import ContextualBandit
from eluder.core.fairness import FairClassification, FairResult
from eluder.core.logged import collect
from eluder.core.recovering import PeriodicPlan, RecoveringBandit
from eluder.core.results import BanditResult, EstimateResult
from eluder.envs import contextual_bandit
from tests.contract import DELTA, RNG, SCALE, STEPS, Row

ROWS = []


def recovering():
    return RecoveringBandit([[0.1, 0.5, 0.6], [0.4, 0.4, 0.9], [0.2, 0.3, 0.3]], m=2)


def check_plan(row, problem, result):
    assert result.period.dtype == result.offset.dtype == np.int64
    assert 0 < result.value <= result.upper + 1e-9


ROWS += [
    Row(
        "tabular.bandits.purely_periodic",
        recovering,
        result=PeriodicPlan,
        seeded=False,
        check=check_plan,
        errors=(({"largest": 0}, "largest must be in"),),
    ),
    Row(
        "tabular.bandits.recovering_ucb",
        recovering,
        args=(200,),
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *SCALE,
            ({"a0": 3}, r"a0 must be in \[1, 2\]"),
            ({"phase": 0}, "phase must be at least 1"),
        ),
    ),
]


def fair():
    similar = np.ones((2, 3, 3), bool)
    F = [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    return FairClassification([0.1, 0.4, 0.9], [0.3, 0.3, 0.4], F, similar, k=2)


def check_fair(row, problem, result):
    assert result.checkpoints[-1] == row.args[0]
    assert result.regret.shape == result.violations.shape == result.checkpoints.shape
    assert ((result.q >= 0) & (result.q <= 1 + 1e-12)).all()
    assert (np.diff(result.violations) >= 0).all()


ROWS += [
    Row(
        "tabular.bandits.fair_exp2",
        fair,
        args=(200,),
        result=FairResult,
        check=check_fair,
        errors=(
            *STEPS,
            *RNG,
            ({"lam": -1.0}, "lam must be in"),
            ({"eta": 0.0}, "eta must be in"),
            ({"gamma": 0.0}, "gamma must be in"),
            ({"slack": 0.5}, "slack must be in"),
        ),
    ),
]

ROWS.append(
    Row(
        "tabular.bandits.fair_ftpl",
        fair,
        args=(60,),
        kwargs={"draws": 5},
        result=FairResult,
        check=check_fair,
        errors=(
            *STEPS,
            *RNG,
            ({"lam": -1.0}, "lam must be in"),
            ({"eta": 0.0}, "eta must be in"),
            ({"gamma": 0.0}, "gamma must be in"),
            ({"draws": 0}, "draws must be in"),
            ({"slack": 0.5}, "slack must be in"),
        ),
    )
)


def contextual():
    return contextual_bandit([[0.2, 0.5, 0.9], [0.6, 0.3, 0.0]], mask=[[1, 1, 1], [1, 1, 0]])


ORACLE = (
    ({"oracle": "x"}, "oracle must be 'table', 'finite' or 'linear'"),
    ({"oracle": "finite"}, "oracle 'finite' needs a class"),
    ({"oracle": "linear"}, "oracle 'linear' needs features"),
)
GAMMA = (({"gamma": -1.0}, r"gamma must be in \[0, inf"),)


def regression(name, *errors, **kwargs):
    return Row(
        f"tabular.bandits.{name}",
        contextual,
        args=(300,),
        kwargs=kwargs,
        result=BanditResult,
        errors=(*STEPS, *RNG, *ORACLE, *DELTA, *errors),
    )


ROWS += [
    regression("square_cb", *GAMMA, gamma=40.0),
    regression("falcon", *SCALE, c=30.0),
    regression(
        "batched_regression",
        *GAMMA,
        ({"batch": 0}, "batch must be at least 1"),
        ({"delay": -1}, "delay must be at least 0"),
        ({"memory": 0}, "memory must be at least 1"),
        ({"explore": "x"}, "explore must be 'inverse_gap' or 'uniform'"),
        ({"explore": "uniform", "epsilon": 1.5}, r"epsilon must be in \[0, 1\]"),
        batch=40,
    ),
]


def log():
    bandit = ContextualBandit([[0.2, 0.5, 0.9], [0.6, 0.3, 0.0]], mask=[[1, 1, 1], [1, 1, 0]])
    return collect(bandit, LOGGING, 200, np.random.default_rng(0))


LOGGING = [[0.7, 0.2, 0.1], [0.4, 0.6, 0.0]]
PI = [[0.1, 0.2, 0.7], [0.9, 0.1, 0.0]]
MODEL = [[0.3, 0.6, 0.4], [0.2, 0.8, 0.5]]


def check_estimate(row, data, result):
    assert result.scores.shape == result.weights.shape == data.reward.shape
    assert result.error > 0
    assert 0 < result.effective_rows <= data.reward.size
    assert result.status == "ok"


def estimator(name, *args, errors=()):
    return Row(
        f"tabular.off_policy.{name}",
        log,
        args=(PI, *args),
        result=EstimateResult,
        seeded=False,
        check=check_estimate,
        errors=(({"pi": [[0.5, 0.5, 0.5], PI[1]]}, r"pi\[0\] sums to 1.5"), *errors),
    )


BAD_MODEL = (({"model": [[0.0, float("inf"), 0.0], [0.0] * 3]}, r"model\[0, 1\] is inf"),)

ROWS += [
    estimator("ips"),
    estimator("snips"),
    estimator("clipped_ips", errors=(({"cap": 0.0}, r"cap must be in \(0, inf"),)),
    estimator("doubly_robust", MODEL, errors=BAD_MODEL),
    estimator(
        "switch",
        MODEL,
        LOGGING,
        errors=(
            *BAD_MODEL,
            ({"threshold": -1.0}, r"threshold must be in \[0, inf"),
            ({"reward_bound": 0.0}, r"reward_bound must be in \(0, inf"),
        ),
    ),
]
