"""The study of robust linear MDPs, and regret in robust values."""

import dataclasses

import numpy as np

from eluder.core.robust_linear import robust_optimum
from eluder.envs import off_dynamics_linear_mdp
from eluder.experiments import load_study, regret, run
from eluder.experiments.studies import robust_linear
from eluder.linear.robust import dr_lsvi_ucb


def test_regret_is_in_robust_values():
    mdp = off_dynamics_linear_mdp(0.6)
    result = dr_lsvi_ucb(mdp, 50, c=0.1, rng=np.random.default_rng(0))
    np.testing.assert_allclose(regret(result, mdp), np.cumsum(robust_optimum(mdp).V[0, 0] - result.value))


def test_study_shows_where_robust_policies_win(tmp_path):
    study = dataclasses.replace(load_study("robust_linear"), seeds=1, budget=200)
    table = run(study, out=tmp_path, progress=False)
    assert len(table.cells) == 9
    score = robust_linear.score(table.cells)
    plain, robust = (score.loc[("TV ball .6", f"{x}, offline")] for x in ("PEVI (c=0.01)", "DRPVI (c=1e-4)"))
    assert plain["q = 0"] > robust["q = 0"] + 0.2
    assert robust["q = 1"] > plain["q = 1"] + 0.4
    assert robust_linear.PERTURBATIONS[0] == 0.0
