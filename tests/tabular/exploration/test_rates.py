"""Slow: the regret grows no faster than the declared exponent (logarithms are worth 0.1).

On a fixed problem the slope may be smaller. Scales `c` are such that the bonuses fall below the horizon
early; until then the regret is linear.
"""

import numpy as np
import pytest

from eluder.core.guarantees import guarantee
from eluder.envs import river_swim
from eluder.experiments import regret
from eluder.tabular.exploration import euler, kl_ucrl, psrl, ucb_q_learning, ucbvi, ucrl2
from tests.instances import random_episodic

SMALL = random_episodic(3, 2, 3, seed=5)
RIVER = river_swim(6, gamma=1.0)
CASES = [
    (ucbvi, SMALL, {"bonus": "hoeffding", "c": 0.02}),
    (ucbvi, SMALL, {"bonus": "bernstein", "stationary": True, "c": 0.02}),
    (ucb_q_learning, SMALL, {"bonus": "hoeffding", "c": 0.1}),
    (ucb_q_learning, SMALL, {"bonus": "bernstein", "c": 0.1}),
    (euler, SMALL, {"stationary": True, "c": 0.1}),
    (psrl, SMALL, {"sampling": "full", "stationary": True}),
    (ucrl2, RIVER, {}),
    (kl_ucrl, RIVER, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "mdp", "params"), CASES)
def test_regret_rate(learner, mdp, params):
    K = 2 ** (np.arange(17, 23) if mdp is RIVER else np.arange(12, 20))
    curves = [
        regret(learner(mdp, K[-1], **params, rng=np.random.default_rng(seed)), mdp)[K - 1]
        for seed in range(8)
    ]
    slope, _ = np.polyfit(np.log(K), np.log(np.mean(curves, axis=0)), 1)
    assert slope < guarantee(learner, **params).exponent + 0.1
