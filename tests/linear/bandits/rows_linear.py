"""Contract rows of linear bandits."""

import numpy as np

from eluder.core.dynamical import dynamical_bounds
from eluder.core.multitask_bandits import MultitaskResult
from eluder.core.results import BanditResult, IdentificationResult
from eluder.envs import (
    answer_pool,
    linear_bandit,
    misspecified_linear_bandit,
    multitask_linear_bandits,
    random_dynamical_bandit,
)
from eluder.linear.bandits._rep_exp import SelectionResult
from tests.contract import DELTA, RNG, SCALE, STEPS, Row

ROWS = []


def linear():
    return linear_bandit([[1, 0], [0, 1], [0.6, 0.6], [-0.5, 0.2]], [0.3, 0.5], sigma=[0.5, 0.4, 0.3, 0.2])


def dynamical():
    return random_dynamical_bandit(5, 3, 2, rng=np.random.default_rng(2))


def logistic():
    return linear_bandit([[1, 0], [0, 1], [0.6, 0.6]], [0.3, 0.5], link="logistic", law="bernoulli")


LAM = (({"lam": 0.0}, r"lam must be in \(0, 1e\+100\]"), ({"S": -1.0}, "S must be in"))

ROWS += [
    Row(
        "linear.bandits.lin_ucb",
        linear,
        args=(300,),
        kwargs={"switch": 0.1},
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            *LAM,
            ({"sigma": -1.0}, "sigma must be in"),
            ({"switch": -1.0}, "switch must be in"),
            ({"bandit": logistic()}, "lin_ucb needs means linear in phi, the link of the bandit is logistic"),
        ),
    ),
    Row(
        "linear.bandits.lin_ts",
        linear,
        args=(300,),
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            *LAM,
            ({"sigma": -1.0}, "sigma must be in"),
            ({"bandit": logistic()}, "lin_ts needs means linear in phi, the link of the bandit is logistic"),
        ),
    ),
    Row(
        "linear.bandits.phased_elimination",
        linear,
        args=(300,),
        kwargs={"c": 0.3},
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            ({"sigma": -1.0}, "sigma must be in"),
            ({"scale": 0.0}, r"scale must be in \(0"),
            ({"tol": 0.0}, r"tol must be in \(0"),
            ({"bandit": logistic()}, "phased_elimination needs means linear in phi"),
        ),
    ),
    Row(
        "linear.bandits.glm_ucb",
        logistic,
        args=(150,),
        kwargs={"tau": 5, "c": 0.2},
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            ({"lam": 0.0}, r"lam must be in \(0"),
            ({"S": 0.0}, r"S must be in \(0"),
            ({"sigma": -1.0}, "sigma must be in"),
            ({"kappa": 0.0}, r"kappa must be in \(0"),
            ({"tau": -1}, "tau must be at least 0"),
            ({"switch": -1.0}, "switch must be in"),
        ),
    ),
    Row(
        "linear.bandits.weighted_oful",
        linear,
        args=(300,),
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            *LAM,
            ({"sigma": [1, 1, 1, -1]}, r"sigma\[3\] is -1"),
            ({"alpha": 0.0}, r"alpha must be in \(0"),
            ({"gamma": -1.0}, "gamma must be in"),
            ({"bandit": logistic()}, "weighted_oful needs means linear in phi"),
        ),
    ),
    Row(
        "linear.bandits.dynlin_ucb",
        dynamical,
        args=(300,),
        kwargs={"c": 0.3},
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            ({"lam": 0.0}, r"lam must be in \(0, inf"),
            ({"bounds": 3}, "bounds must be a DynamicalBounds, got int"),
            ({"bounds": dynamical_bounds(dynamical())._replace(rho=1.0)}, r"bounds\.rho must be in \(0, 1\)"),
            ({"bounds": dynamical_bounds(dynamical())._replace(B=-1.0)}, r"bounds\.B must be in \[0, inf"),
        ),
    ),
]


def features():
    return misspecified_linear_bandit(6, 3, eps=0.1, s=1, sigma=0.3, rng=np.random.default_rng(2))


def check_selection(row, problem, result):
    (T,) = row.args
    assert result.arms.dtype == np.int64
    assert result.arms.shape == result.rewards.shape == result.bonus.shape == result.log_det.shape == (T,)
    assert len(set(result.arms.tolist())) == T
    assert (np.diff(result.log_det) >= 0).all()


ROWS += [
    Row(
        "linear.bandits.misspecified_elimination",
        features,
        args=(300,),
        kwargs={"c": 0.3},
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            ({"sigma": -1.0}, "sigma must be in"),
            ({"tol": 0.0}, r"tol must be in \(0"),
        ),
    ),
    Row(
        "linear.bandits.sparse_elimination",
        features,
        kwargs={"s": 1, "eps": 0.3},
        result=IdentificationResult,
        errors=(
            *RNG,
            *DELTA,
            *SCALE,
            ({"s": 4}, r"s must be in \[1, 3\]"),
            ({"eps": 0.0}, r"eps must be in \(0"),
            ({"S": 0.0}, r"S must be in \(0"),
            ({"sigma": -1.0}, "sigma must be in"),
            ({"eps": 1e-9, "s": 2}, r"eps = 1e-09 and s = 2 make a net of 6e\+18 points"),
        ),
    ),
    Row(
        "linear.bandits.rep_exp",
        lambda: answer_pool(12, 4, d=5, rng=np.random.default_rng(2)),
        args=(7,),
        result=SelectionResult,
        check=check_selection,
        errors=(
            *RNG,
            ({"T": 0}, r"T must be in \[1, 12\]"),
            ({"T": 13}, r"T must be in \[1, 12\]"),
            ({"lam": 0.0}, r"lam must be in \(0"),
            ({"center": 1}, "center must be True or False, got 1"),
        ),
    ),
]


def check_multitask(row, problem, result):
    (T,) = row.args
    (M, _), N = problem.heads.shape, len(problem.phi)
    assert result.checkpoints[-1] == T
    assert result.regret.shape == result.value.shape == result.checkpoints.shape
    assert np.isfinite(result.regret).all()
    assert result.pulls.sum() == M * T
    assert result.chosen.dtype == np.int64
    assert result.chosen.sum() == T
    assert result.loss.shape == result.chosen.shape == (N,)


ROWS += [
    Row(
        "linear.bandits.gfucb",
        lambda: multitask_linear_bandits(3, 4, k=2, X=3, A=3, rng=np.random.default_rng(2)),
        args=(100,),
        result=MultitaskResult,
        check=check_multitask,
        errors=(
            *STEPS,
            *RNG,
            *DELTA,
            *SCALE,
            *LAM,
            ({"sigma": -1.0}, "sigma must be in"),
            ({"tol": 1.5}, r"tol must be in \[0, 1\]"),
            ({"c": 1e308}, "makes the radius"),
        ),
    ),
]
