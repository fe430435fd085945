"""Contract rows of the explorers of linear MDPs."""

import numpy as np

from eluder.envs import random_linear_mdp
from tests.contract import BUDGET, DELTA, RNG, SCALE, Row


def linear():
    return random_linear_mdp(4, 3, 3, 3, rng=np.random.default_rng(1))._replace(
        mask=np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]], bool), bernoulli=True
    )


ROWS = [
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
        ),
    ),
    Row(
        "linear.exploration.rlsvi",
        linear,
        args=(60,),
        kwargs={"c": 0.1},
        errors=(*BUDGET, *RNG, *SCALE, ({"lam": 0.0}, r"lam must be in \(0, inf")),
    ),
]
