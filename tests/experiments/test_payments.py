"""The study of payments: what it is there to show, in two seeds."""

import dataclasses

import pandas as pd
import pytest

from eluder.experiments import load_study, run
from eluder.experiments.studies import payments


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    out = tmp_path_factory.mktemp("payments")
    table = run(dataclasses.replace(load_study("payments"), seeds=2), out=out, progress=False)
    return table.cells, pd.read_csv(out / "score.csv").set_index(["problem", "algorithm"])


def test_the_oscillation_is_that_of_the_deterministic_map(scored):
    _, score = scored
    wrong = score.loc["Linear is wrong"]
    for algorithm in ("linear, last log", "linear, last log, uniform 10%"):
        row = wrong.loc[algorithm]
        assert row["map period"] == 4
        assert row["map swing"] > 0.1
        assert row["run swing"] == pytest.approx(row["map swing"], abs=0.01)
        assert row["run loss"] == pytest.approx(row["map loss"], abs=0.002)


def test_what_damps_it(scored):
    _, score = scored
    wrong, forced = score.loc["Linear is wrong"], score.loc["Linear is wrong, forced"]
    loss = wrong["run loss"]
    assert loss["linear, last log"] > loss["linear, last 4 logs"] + 0.02 > loss["linear, all logs"] + 0.04
    for algorithm in ("linear, all logs", "linear, last log, explores more"):
        assert wrong.loc[algorithm, "run swing"] < 0.2 * wrong.loc["linear, last log", "run swing"]
    assert forced.filter(like="linear", axis=0)["run swing"].max() < 0.005


def test_inverse_gaps_cost_less_than_uniform_exploration_where_the_regression_is_nearly_right(scored):
    regret = scored[1].loc["Payments", "regret"]
    assert 2 * regret["linear, last log"] < regret["linear, last log, uniform 10%"]
    assert 2 * regret["table, all logs"] < regret["table, last log"]


def test_the_score_is_a_function_of_the_cells(scored):
    cells, score = scored
    pd.testing.assert_frame_equal(payments.score(cells), score, check_names=False, rtol=1e-12)
