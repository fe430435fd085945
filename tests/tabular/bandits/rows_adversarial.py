"""Contract rows of the adversarial bandits, and of those with other feedback."""

import numpy as np

from eluder.core.results import BanditResult
from eluder.envs import bernoulli_bandit, gaussian_bandit
from tests.contract import DELTA, RNG, SCALE, STEPS, Row


def bandit():
    return bernoulli_bandit([0.2, 0.5, 0.8])


ETA = (({"eta": 0.0}, r"eta must be in \(0, "), ({"eta": float("nan")}, "eta must be in"))


def row(name, *errors, **kwargs):
    bounded = ({"problem": gaussian_bandit([0.0, 1.0])}, rf"{name} needs rewards in \[0, 1\]")
    return Row(
        f"tabular.bandits.{name}",
        bandit,
        args=(300,),
        kwargs=kwargs,
        result=BanditResult,
        errors=(*STEPS, *RNG, *errors, bounded),
    )


ROWS = [
    row("hedge", *ETA),
    row("optimistic_hedge", *ETA, ({"V": 0.0}, r"V must be in \(0, inf")),
    row(
        "exp3",
        *ETA,
        ({"form": "x"}, "form must be 'losses' or 'gains'"),
        ({"gamma": 1.5}, r"gamma must be in \[0, 1\]"),
        form="gains",
    ),
    row("exp3_ix", *ETA, ({"gamma": -1.0}, r"gamma must be in \[0, inf")),
    row("exp3_p", *DELTA),
    row(
        "exp3_plus_plus",
        ({"alpha": 0.0}, r"alpha must be in \(0, "),
        ({"beta": 0.0}, r"beta must be in \(0, "),
        beta=0.5,
    ),
    row("tsallis_inf", ({"estimator": "x"}, "estimator must be 'plain' or 'reduced'"), estimator="reduced"),
    row("log_barrier", *ETA),
    row(
        "exp4",
        *ETA,
        ({"advice": [[0.5, 0.4, 0.2]]}, r"advice\[0\] sums to 1.1, not 1"),
        ({"advice": [[0.5, 0.5]]}, r"advice must have shape \(n >= 1, 3\)"),
        ({"advice": [0.5, 0.3, 0.2]}, r"advice must have shape \(n >= 1, n >= 1, 3\)"),
        ({"contexts": [0, 1]}, r"contexts\[1\] is 1, it must be in \[0, 0\]"),
        ({"contexts": [0.5]}, r"contexts\[0\] is 0.5, it must be "),
        advice=[[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]],
    ),
    row(
        "ftpl",
        *ETA,
        ({"feedback": "x"}, "feedback must be 'bandit' or 'full'"),
        ({"noise": "x"}, "noise must be 'exponential' or 'gumbel'"),
        ({"most": 0}, "most must be at least 1"),
    ),
    row(
        "exp3_graph",
        *ETA,
        ({"graph": [[1, 1]]}, r"graph must have shape \(3, 3\)"),
        ({"graph": np.ones((3, 3)) - np.eye(3)}, r"graph\[0, 0\] is 0, form 'set' needs"),
        ({"form": "x"}, "form must be 'set' or 'g'"),
        ({"alpha": 4}, r"alpha must be in \[1, 3\]"),
        ({"gamma": -0.1}, r"gamma must be in \[0, 1\]"),
        graph=[[1, 1, 0], [0, 1, 1], [1, 0, 1]],
    ),
    row(
        "exp3_m",
        ({"m": 0}, r"m must be in \[1, 3\]"),
        ({"m": 4}, r"m must be in \[1, 3\]"),
        ({"gamma": 0.0}, r"gamma must be in \[1e-09, 1\]"),
        m=2,
    ),
    row(
        "delayed_exp3",
        *ETA,
        ({"delays": -1}, r"delays\[0\] is -1, it must be in \[0, "),
        ({"delays": [0, 0.5]}, r"delays\[1\] is 0.5, it must be an integer"),
        delays=[3, 0, 10],
    ),
    Row(
        "tabular.bandits.batched_elimination",
        bandit,
        args=(300,),
        kwargs={"c": 0.2},
        result=BanditResult,
        errors=(
            *STEPS,
            *RNG,
            *SCALE,
            ({"batches": 0}, "batches must be at least 1"),
            ({"grid": "x"}, "grid must be 'minimax' or 'geometric'"),
            ({"gamma": -1.0}, r"gamma must be in \[0, inf"),
        ),
    ),
]
