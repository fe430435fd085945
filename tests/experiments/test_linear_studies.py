"""The studies of linear function approximation: what they are there to show, in few seeds."""

import dataclasses

import pytest

from eluder.experiments import load_study, run


@pytest.fixture(scope="module")
def online(tmp_path_factory):
    study = dataclasses.replace(load_study("linear_online"), seeds=1, budget=30_000)
    return run(study, out=tmp_path_factory.mktemp("online"), progress=False)


def test_all_explorers_learn_the_linear_problem(online):
    curves = online.cells.set_index(["problem", "algorithm"])["regret"]
    regrets = curves.loc["Random linear MDP"]
    assert (regrets < 0.1 * 30_000).all()
    assert regrets["LSVI-UCB (c=0.05)"] < 1_500


def test_what_is_not_linear_costs_in_every_episode(online):
    """The last third of the regret: nearly none where the problem is linear, as much as before where not."""
    c = online.curves[online.curves["algorithm"] == "LSVI-UCB (c=0.05)"]
    late = {}
    for problem, rows in c.groupby("problem"):
        curve = rows.set_index("k")["regret"]
        late[problem] = (curve.iloc[-1] - curve[curve.index <= 20_000].iloc[-1]) / curve.iloc[-1]
    assert late["Random linear MDP"] < 0.2
    assert late["Misspecified"] > 0.22
