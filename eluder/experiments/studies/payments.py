"""Payments: logs come in batches, one batch late, and only recent ones are used for the next regression.

Three problems. In the first a regression that is linear in the features is wrong (the middle of three ways
is the best), and each policy logs the data that make the next regression choose the other side: the value
swings for ever (the oscillation effect), as it does under the deterministic map, in which every count is
replaced by its expectation. The more logs are used, the rarer the swings; with all of them, or with more
exploration, they end. Action sets that differ between transactions do not end them by themselves. They do in
the second problem, where some transactions leave no choice: these log all ways whatever the policy is. The
third has 200 transactions, logistic rewards and 2 to 6 ways for each: here the linear regression is nearly
right, and it is the table with a short memory that pays, because it forgets what it seldom plays.

The score puts beside the regret of the runs what the deterministic map gives: value lost per round and swing
(largest less smallest value) over the last half of the batches, and the period of its orbit (0: none found).
"""

from typing import Any

import pandas as pd

T = 200_000  # rounds: 40 batches of 5,000
_PHI = [[[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]] * 4  # a constant, and the place of the way
_MEANS = [[0.7, 0.9, 0.5]] * 4
_DIFFER = [[1, 1, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]]
_FORCED = [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
problems: dict[str, tuple[str, dict[str, Any]]] = {
    "Linear is wrong": ("contextual_bandit", {"means": _MEANS, "mask": _DIFFER, "phi": _PHI}),
    "Linear is wrong, forced": ("contextual_bandit", {"means": _MEANS, "mask": _FORCED, "phi": _PHI}),
    "Payments": ("logistic_bandit", {"X": 200, "A": 6, "d": 10, "seed": 1}),
}
_LINEAR: dict[str, Any] = {"oracle": "linear", "gamma": 1000.0}
algorithms: dict[str, tuple[str, dict[str, Any]]] = {
    "linear, last log": ("batched_regression", {**_LINEAR, "memory": 1}),
    "linear, last 4 logs": ("batched_regression", {**_LINEAR, "memory": 4}),
    "linear, all logs": ("batched_regression", _LINEAR),
    "linear, last log, explores more": ("batched_regression", {**_LINEAR, "memory": 1, "gamma": 20.0}),
    "linear, last log, uniform 10%": (
        "batched_regression",
        {"oracle": "linear", "memory": 1, "explore": "uniform"},
    ),
    "table, last log": ("batched_regression", {"memory": 1, "gamma": 1000.0}),
    "table, all logs": ("batched_regression", {"gamma": 1000.0}),
}
seeds = 20
budget = T


def score(cells: pd.DataFrame) -> pd.DataFrame:
    """Return, for each problem and algorithm, the runs and the deterministic map side by side."""
    pairs = ["problem", "algorithm"]
    rows = [_row(str(p), str(a), runs) for (p, a), runs in cells.groupby(pairs, sort=False)]
    return pd.DataFrame(rows).set_index(pairs).round(4)


def _row(problem: str, algorithm: str, runs: pd.DataFrame) -> dict[str, Any]:
    """Measure the last half of the batches: of one run with its own seed, and of the map."""
    import numpy as np

    from eluder.core.contextual import best_arms, value_of
    from eluder.experiments.study import build
    from eluder.tabular.bandits import batched_regression
    from eluder.tabular.bandits._population import period, population_orbit

    bandit, options = build(*problems[problem]), algorithms[algorithm][1]
    rounds = int(runs["budget"].iloc[0])
    played = batched_regression(bandit, rounds, **options, rng=np.random.default_rng(0)).policies
    values = np.array([value_of(bandit, policy) for policy in played])
    K = len(values)
    orbit, policies = population_orbit(bandit, max(K, 60), **options)
    best = value_of(bandit, np.eye(bandit.means.shape[1])[best_arms(bandit)])
    return {
        "problem": problem,
        "algorithm": algorithm,
        "regret": round(runs["regret"].mean()),
        "run loss": best - values[K // 2 :].mean(),
        "map loss": best - orbit[K // 2 : K].mean(),
        "run swing": np.ptp(values[K // 2 :]),
        "map swing": np.ptp(orbit[K // 2 : K]),
        "map period": period(policies, 20, 1e-3),
    }
