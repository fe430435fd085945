"""Contract rows of the learners of robust linear MDPs."""

import numpy as np

from eluder.core.linear import episodic
from eluder.core.results import PessimisticResult
from eluder.core.robust_linear import nominal, robust
from eluder.core.transitions import collect_episodes
from tests.contract import BUDGET, DELTA, RNG, SCALE, Row
from tests.linear.exploration.rows_exploration import linear
from tests.linear.offline.rows_offline import check


def ball():
    return robust(linear()._replace(bernoulli=False), 0.2)


def penalty():
    return robust(linear()._replace(bernoulli=False), 0.3, "chi2", "penalty")


def data():
    mdp = ball()
    pi = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    return collect_episodes(episodic(nominal(mdp)), pi, 80, np.random.default_rng(0))


def blocked():
    """Data with an action that is not available."""
    log = data()
    return log._replace(a=np.where(log.s == 3, 0, log.a))


BLOCKED = ({"data": blocked()}, "not available in state 3")
LAM = (({"lam": 0.0}, r"lam must be in \(0, inf"),)
KIND = ({"mdp": penalty()}, "mdp must be robust with mode 'ball', got 'penalty'")
OTHER = ({"mdp": ball()}, "mdp must be robust with mode 'penalty', got 'ball'")
LARGE = ({"c": 1e308}, r"c = 1e\+308 makes the radius inf")

ROWS = [
    Row(
        "linear.robust.dr_lsvi_ucb",
        ball,
        args=(50,),
        kwargs={"c": 0.02},
        errors=(*BUDGET, *RNG, *DELTA, *SCALE, *LAM, KIND, LARGE),
    ),
    Row(
        "linear.robust.dr_rpo",
        ball,
        args=(50,),
        kwargs={"c": 0.02, "eta": 2.0},
        errors=(
            *BUDGET,
            *RNG,
            *DELTA,
            *SCALE,
            *LAM,
            KIND,
            LARGE,
            ({"tau": 0.0}, r"tau must be in \(0, inf"),
            ({"eta": -1.0}, r"eta must be in \(0, inf"),
            ({"ref": [[1.0, 0.0, 0.0]] * 4}, r"ref\[0, 1\] is 0, it must be positive"),
        ),
    ),
    *(
        Row(
            f"linear.robust.{name}",
            problem,
            args=(data(),),
            kwargs={"c": 0.001},
            result=PessimisticResult,
            seeded=False,
            check=check,
            errors=(
                *DELTA,
                *SCALE,
                *LAM,
                BLOCKED,
                ({"c": 1e308}, "c = 1e\\+308 makes the radius"),
                ({"data": 3}, "data must be a Transitions, got int"),
                *errors,
            ),
        )
        for name, problem, errors in (
            ("drpvi", ball, (KIND,)),
            ("va_drpvi", ball, (KIND,)),
            ("r2pvi", penalty, (OTHER,)),
            ("va_r2pvi", penalty, (OTHER,)),
        )
    ),
]
