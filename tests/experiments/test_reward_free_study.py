"""The study of reward-free exploration: what it is there to show, in two seeds."""

import dataclasses

import pandas as pd
import pytest

from eluder.experiments import load_study, run


@pytest.mark.slow
def test_the_horizon_costs_one_and_not_the_other(tmp_path):
    study = dataclasses.replace(load_study("reward_free_linear"), seeds=2)
    run(study, out=tmp_path, progress=False)
    score = pd.read_csv(tmp_path / "score.csv").set_index(["problem", "algorithm"])
    regret, long, short = score["regret"], "H = 32", "H = 4"
    assert regret[long, "UCRL-VTR (c=0.1)"] > 3 * regret[short, "UCRL-VTR (c=0.1)"]
    for problem in (short, long):
        assert score.loc[(problem, "HF-UCRL-RFE++ (c=0.005)"), "loss, 512"] < 0.01
        assert score.loc[(problem, "UCRL-RFE (c=0.1)"), "loss, 512"] < 0.01
    certificate = score["certificate, 512"]
    assert certificate[long, "UCRL-RFE (c=0.1)"] > 1.5 * certificate[short, "UCRL-RFE (c=0.1)"]
    for H in (4, 8, 16, 32):
        free = score.loc[(f"wait or take, H = {H}", "HF-UCRL-RFE++ (c=1; 0.001)")]
        plain = score.loc[(f"wait or take, H = {H}", "UCRL-RFE (c=1; 0.1)")]
        assert free["loss 0.1 after"] <= 256
        assert free["certificate 0.15 after"] <= 512
        assert plain["loss 0.1 after"] == pytest.approx(4096 * H, rel=0.5)
    assert plain["certificate 0.15 after"] >= 2048
