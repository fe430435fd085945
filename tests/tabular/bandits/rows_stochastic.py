"""Contract rows of the stochastic bandits and of changing rewards."""

import numpy as np

from eluder.core.results import BanditResult
from eluder.envs import bernoulli_bandit, gaussian_bandit, piecewise_bandit, rotting_bandit
from tests.contract import DELTA, RNG, SCALE, STEPS, Row


def bandit():
    return bernoulli_bandit([0.2, 0.5, 0.8])


def changing():
    return piecewise_bandit([[0.2, 0.5, 0.8], [0.9, 0.5, 0.1]], starts=[0, 150])


def rotting():
    return rotting_bandit(np.linspace([0.9, 0.6, 0.5], [0.1, 0.5, 0.5], 60))


def unbounded(name):
    return {"bandit": gaussian_bandit([0.0, 1.0])}, f"^{name} needs rewards in .0, 1., those of a gaussian"


FAMILY = (
    ({"family": "x"}, "family must be one of bernoulli, gaussian, exponential, poisson, got 'x'"),
    ({"family": "exponential"}, "needs rewards > 0, a bernoulli bandit can give others"),
    ({"family": "poisson", "bandit": gaussian_bandit([0.0, 1.0])}, "needs rewards >= 0, a gaussian bandit"),
)
LOGLOG = (({"loglog": -1.0}, r"loglog must be in \[0, inf"),)
SIGMA = (({"sigma": 0.0}, "sigma must be in"),)
XI = (({"xi": -1.0}, r"xi must be in \[0, inf"), ({"changes": 0}, "changes must be at least 1"))


def row(name, problem=bandit, errors=(), **kwargs):
    return Row(
        f"tabular.bandits.{name}",
        problem,
        args=(300,),
        kwargs=kwargs,
        result=BanditResult,
        errors=(*STEPS, *RNG, *errors),
    )


ROWS = [
    row("bayes_ucb", errors=(({"power": -1.0}, r"power must be in \[0, 100\]"), unbounded("bayes_ucb"))),
    row("discounted_ucb", changing, (*SCALE, *XI, ({"gamma": 0.0}, r"gamma must be in \(0, 1\]"))),
    row(
        "epsilon_greedy",
        errors=(
            ({"rate": -1.0}, r"rate must be in \[0, inf"),
            ({"epsilon": 1.5}, r"epsilon must be in \[0, 1\]"),
            ({"gap": 0.0}, r"gap must be in \(0, 1\]"),
        ),
    ),
    row("explore_then_commit", errors=(({"m": 0}, "m must be at least 1"),), m=20),
    row("imed", errors=(*FAMILY, *SIGMA, unbounded("imed"))),
    row("kl_ucb", errors=(*LOGLOG, *FAMILY, *SIGMA, unbounded("kl_ucb")), loglog=3.0),
    row("kl_ucb_plus_plus", errors=(*FAMILY, *SIGMA, unbounded("kl_ucb_plus_plus"))),
    row("moss", errors=SCALE),
    row("raw_ucb", rotting, (*SIGMA, ({"alpha": -1.0}, "alpha must be in"))),
    row("sliding_window_average", rotting, (*SIGMA, ({"alpha": 0.0}, "alpha must be in"))),
    row(
        "sliding_window_ucb", changing, (*SCALE, *XI, ({"window": 0}, "window must be at least 1")), window=70
    ),
    row("successive_elimination", errors=(*SCALE, *DELTA), c=0.2),
    row(
        "thompson",
        errors=(({"prior": "x"}, "prior must be 'beta' or 'gaussian', got 'x'"), unbounded("thompson")),
    ),
    row("ucb1", errors=SCALE),
    row("ucb_v", errors=(*SCALE, ({"zeta": -1.0}, r"zeta must be in \[0, inf"), unbounded("ucb_v"))),
]
