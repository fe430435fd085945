"""Contract rows of reward-free exploration of linear problems."""

import numpy as np

from eluder.core.reward_free import LinearExploration, MixtureExploration
from eluder.envs import random_linear_mdp, random_linear_mixture_mdp
from tests.contract import BUDGET, DELTA, RNG, SCALE, Row

MASK = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]], bool)
COMMON = (*BUDGET, *RNG, *DELTA, *SCALE, ({"lam": 0.0}, r"lam must be in \(0, inf"))


def mixture():
    mdp = random_linear_mixture_mdp(4, 3, 2, 3, total=1.0, rng=np.random.default_rng(1))
    return mdp._replace(mask=MASK, bernoulli=True)


def linear():
    mdp = random_linear_mdp(4, 3, 3, 3, rng=np.random.default_rng(1))
    return mdp._replace(mask=MASK, bernoulli=True)


def check_exploration(row, problem, result):
    (S, A), H, K = problem.mask.shape, problem.H, row.args[0]
    assert result.uncertainty.shape == (K,)
    assert (result.uncertainty >= 0).all()
    assert result.N.shape == (H, S, A)
    assert result.N.sum() == K * H
    assert (result.N[:, ~problem.mask] == 0).all()
    plan = result.plan(np.random.default_rng(0).random((H, S, A)) / H)
    assert plan.V.shape == plan.pi.shape == (H, S)
    assert (plan.Q[:, ~problem.mask] == -np.inf).all()
    assert np.take_along_axis(np.broadcast_to(problem.mask, (H, S, A)), plan.pi[..., None], -1).all()
    assert plan.gap >= 0


ROWS = [
    Row(
        "linear.reward_free.lsvi_reward_free",
        linear,
        args=(60,),
        kwargs={"c": 0.02},
        result=LinearExploration,
        check=check_exploration,
        errors=COMMON,
    ),
    *(
        Row(
            f"linear.reward_free.{name}",
            mixture,
            args=(60,),
            kwargs={"c": 0.02},
            result=MixtureExploration,
            check=check_exploration,
            errors=(*COMMON, ({"inner": "x"}, "inner must be 'exact' or 'ascent', got 'x'")),
        )
        for name in ("ucrl_rfe", "ucrl_rfe_plus")
    ),
    Row(
        "linear.reward_free.hf_ucrl_rfe_plus_plus",
        mixture,
        args=(30,),
        kwargs={"c": 0.01},
        result=MixtureExploration,
        check=check_exploration,
        errors=(
            *COMMON,
            ({"rewards": np.ones((1, 3, 4, 3))}, r"rewards\[0\] may add up to 3 in an episode"),
            ({"rewards": np.ones((3, 4, 3))}, "rewards must have shape"),
            ({"models": [[np.nan, 0.0]]}, r"models\[0, 0\] is nan, it must be finite"),
            ({"models": [[0.0]]}, "models must have shape"),
            ({"models": [[100.0, 0.0]]}, "none is left in the confidence set after episode 0"),
        ),
    ),
]
