"""Contract rows of the explorers of linear mixture MDPs."""

import numpy as np

from eluder.envs import random_linear_mixture_mdp
from tests.contract import BUDGET, DELTA, RNG, SCALE, Row

MASK = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 0]], bool)


def mixture(total=None):
    mdp = random_linear_mixture_mdp(4, 3, 2, 3, total=total, rng=np.random.default_rng(1))
    return mdp._replace(mask=MASK, bernoulli=True)


ROWS = [
    Row(
        f"linear.mixture.{name}",
        problem,
        args=(60,),
        kwargs={"c": 0.02},
        errors=(*BUDGET, *RNG, *DELTA, *SCALE, ({"lam": 0.0}, r"lam must be in \(0, inf"), *errors),
    )
    for name, problem, errors in (
        ("ucrl_vtr", mixture, ()),
        ("ucrl_vtr_plus", mixture, ()),
        (
            "hf_ucrl_vtr_plus",
            lambda: mixture(1.0),
            (({"mdp": mixture()}, "rewards of an episode may add up to"),),
        ),
    )
]
