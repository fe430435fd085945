"""Contract rows of offline learning in linear MDPs."""

import numpy as np

from eluder.core.linear import episodic
from eluder.core.results import PessimisticResult
from eluder.core.transitions import collect_episodes
from tests.contract import DELTA, SCALE, Row
from tests.linear.exploration.rows_exploration import linear


def data():
    mdp = linear()
    pi = mdp.mask / mdp.mask.sum(axis=1, keepdims=True)
    return collect_episodes(episodic(mdp), pi, 80, np.random.default_rng(0))


def check(row, mdp, result):
    H, S, A = result.Q.shape
    assert result.pi.shape == result.V.shape == (H, S)
    assert result.penalty.shape == (H, S, A)
    assert mdp.mask[np.arange(S), result.pi].all()


ROWS = [
    Row(
        f"linear.offline.{name}",
        linear,
        args=(data(),),
        kwargs={"c": 0.02},
        result=PessimisticResult,
        seeded=False,
        check=check,
        errors=(
            *DELTA,
            *SCALE,
            ({"lam": 0.0}, r"lam must be in \(0, inf"),
            ({"data": 3}, "data must be a Transitions, got int"),
            ({"c": 1e308}, r"c = 1e\+308 makes the radius inf"),
        ),
    )
    for name in ("pevi", "vapvi")
]
