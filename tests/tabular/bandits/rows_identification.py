"""Contract rows of best-arm identification, combinatorial and duelling bandits."""

from eluder.core.results import BanditResult, IdentificationResult
from eluder.envs import bernoulli_bandit, bradley_terry_bandit, gaussian_bandit, semi_bandit
from tests.contract import DELTA, RNG, SCALE, STEPS, Row


def easy():
    return bernoulli_bandit([0.1, 0.9, 0.3])


def easy_gaussian():
    return gaussian_bandit([0.0, 2.0, 0.5])


def semi():
    return semi_bandit([0.2, 0.7, 0.5, 0.4], [[True, True, False, False], [False, False, True, True]])


def duels():
    return bradley_terry_bandit([0.0, 0.5, 2.0, 1.0])


CAP = (({"max_rounds": 2}, "max_rounds must be at least 3"), ({"max_rounds": 9.5}, "max_rounds must be an"))
THRESHOLD = (({"threshold": "x"}, "threshold must be 'proved' or 'heuristic', got 'x'"),)
ALPHA = (({"alpha": 0.5}, r"alpha must be in \(0.5, inf"), ({"alpha": float("nan")}, "alpha must be in"))

ROWS = [
    Row(
        "tabular.bandits.successive_halving",
        easy,
        args=(300,),
        result=IdentificationResult,
        errors=(*STEPS, *RNG, ({"T": 5}, r"T must be at least A ceil\(log2 A\) = 6, got 5")),
    ),
    Row(
        "tabular.bandits.lucb",
        easy,
        kwargs={"delta": 0.1, "c": 0.5},
        result=IdentificationResult,
        errors=(*RNG, *DELTA, *SCALE, *CAP, ({"eps": -0.1}, r"eps must be in \[0, inf")),
    ),
    Row(
        "tabular.bandits.track_and_stop",
        easy,
        kwargs={"delta": 0.1},
        result=IdentificationResult,
        errors=(*RNG, *DELTA, *CAP, *THRESHOLD),
    ),
    Row(
        "tabular.bandits.top_two",
        easy_gaussian,
        kwargs={"delta": 0.1, "leader": "thompson"},
        result=IdentificationResult,
        errors=(
            *RNG,
            *DELTA,
            *CAP,
            *THRESHOLD,
            ({"beta": 1.0}, r"beta must be in \(0, 1\)"),
            ({"leader": "x"}, "leader must be 'empirical' or 'thompson', got 'x'"),
        ),
    ),
    Row("tabular.bandits.comb_ucb1", semi, args=(300,), result=BanditResult, errors=(*STEPS, *RNG, *SCALE)),
    Row("tabular.bandits.cts", semi, args=(300,), result=BanditResult, errors=(*STEPS, *RNG)),
    Row("tabular.bandits.rucb", duels, args=(300,), result=BanditResult, errors=(*STEPS, *RNG, *ALPHA)),
    Row("tabular.bandits.d_ts", duels, args=(300,), result=BanditResult, errors=(*STEPS, *RNG, *ALPHA)),
]
