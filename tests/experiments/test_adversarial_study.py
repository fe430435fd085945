"""The study of adversarial losses: what it is there to show, in one seed."""

import dataclasses

from eluder.experiments import load_study, run


def test_tuned_learners_lose_less_than_the_theorems_rates(tmp_path):
    study = dataclasses.replace(load_study("adversarial_linear"), seeds=1, budget=16_384)
    curves = run(study, out=tmp_path, progress=False).cells.set_index(["problem", "algorithm"])["regret"]
    for problem in ("Linear, switching", "Linear, adaptive"):
        regrets = curves.loc[problem]
        assert regrets["magnitude-reduced (eta=0.002, c=0.1)"] < 0.7 * regrets["magnitude-reduced"]
        assert regrets["dilated bonus (eta=0.01, c=0.1)"] < 0.4 * regrets["dilated bonus"]
    regrets = curves.loc["Linear values, kernels not"]
    assert regrets["magnitude-reduced, no bonus (eta=0.002)"] < 0.7 * regrets["magnitude-reduced"]
    assert (curves < 2 * 16_384 / 3).all()
