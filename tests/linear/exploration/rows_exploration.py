"""Contract rows of the explorers of linear MDPs."""

import numpy as np

from eluder.core.features import seen_through_features
from eluder.core.results import InteractionResult
from eluder.envs import random_linear_mdp, random_linear_mixture_mdp
from tests.contract import BUDGET, DELTA, RNG, SCALE, Row


def linear():
    return random_linear_mdp(4, 3, 3, 3, rng=np.random.default_rng(1))._replace(
        mask=np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]], bool), bernoulli=True
    )


def mixture():
    mdp = random_linear_mixture_mdp(4, 3, 2, 3, rng=np.random.default_rng(1))
    return mdp._replace(mask=np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]], bool))


def check_interaction(row, problem, result):
    K, (H, d) = row.args[0], result.w.shape
    assert result.returns.shape == result.upper.shape == (K,)
    assert result.inverse.shape == (H, d, d)
    assert problem.H == H
    assert ((result.returns >= 0) & (result.returns <= H)).all()


ROWS = [
    Row(
        "linear.exploration.lsvi_ucb_history",
        lambda: seen_through_features(linear()),
        args=(40,),
        kwargs={"c": 0.02},
        result=InteractionResult,
        check=check_interaction,
        errors=(*BUDGET, *RNG, *DELTA, *SCALE, ({"lam": 0.0}, r"lam must be in \(0, inf")),
    ),
    Row(
        "linear.exploration.lsvi_ucb",
        linear,
        args=(60,),
        kwargs={"c": 0.02},
        errors=(
            *BUDGET,
            *RNG,
            *DELTA,
            *SCALE,
            ({"lam": 0.0}, r"lam must be in \(0, inf"),
            ({"rare": 2}, "rare must be True or False, got 2"),
            ({"zeta": 1.5}, r"zeta must be in \[0, 1\], got 1.5"),
        ),
    ),
    Row(
        "linear.exploration.lsvi_phe",
        linear,
        args=(60,),
        kwargs={"c": 0.02, "num_samples": 3},
        errors=(
            *BUDGET,
            *RNG,
            *DELTA,
            *SCALE,
            ({"lam": 0.0}, r"lam must be in \(0, inf"),
            ({"num_samples": 0}, "num_samples must be at least 1"),
        ),
    ),
    Row(
        "linear.exploration.lsvi_ucb_plus_plus",
        linear,
        args=(100,),
        kwargs={"c": 0.02, "d3": 0.02},
        errors=(
            *BUDGET,
            *RNG,
            *DELTA,
            *SCALE,
            ({"lam": 0.0}, r"lam must be in \(0, inf"),
            ({"d3": -1.0}, r"d3 must be in \[0, 1e"),
        ),
    ),
    Row(
        "linear.exploration.oppo",
        mixture,
        args=(60,),
        kwargs={"c": 0.1},
        errors=(*BUDGET, *RNG, *DELTA, *SCALE, ({"lam": 0.0}, r"lam must be in \(0, inf")),
    ),
    Row(
        "linear.exploration.rlsvi",
        linear,
        args=(60,),
        kwargs={"c": 0.1},
        errors=(*BUDGET, *RNG, *SCALE, ({"lam": 0.0}, r"lam must be in \(0, inf")),
    ),
]
