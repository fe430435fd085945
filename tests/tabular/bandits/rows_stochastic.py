"""Contract rows of the stochastic bandits."""

from eluder.core.results import BanditResult
from eluder.envs import bernoulli_bandit
from tests.contract import RNG, SCALE, STEPS, Row


def bandit():
    return bernoulli_bandit([0.2, 0.5, 0.8])


ROWS = [
    Row(
        "tabular.bandits.ucb1",
        bandit,
        args=(300,),
        result=BanditResult,
        errors=(*STEPS, *RNG, *SCALE),
    ),
]
