"""Linear mixtures of two kernels, told the reward or not, with horizons from 4 to 32.

The rewards of an episode add up to 1 at most, so that a learner for such rewards need not care how long an
episode is. The runs are of learners that know the reward: UCRL-VTR, whose radius grows with the horizon, and
HF-UCRL-VTR+, whose radius does not (but for logarithms). The score puts beside their regret what reward-free
exploration leaves, by the number of its episodes: the worst exact loss over 8 rewards, in the mean of 3 runs,
and the certificate of UCRL-RFE (largest gap of the 8 plans). With radii as small as here the loss of all
explorers is small at every horizon; what grows with it is the certificate. All radii are scaled by `c`, by
what suits each; with the constants of the theorems (c = 1) none leaves its cap in as many episodes.
"""

from typing import Any

import pandas as pd

_SIZE = {"S": 4, "A": 3, "d": 2, "total": 1.0, "concentration": 0.2, "seed": 1}
problems: dict[str, tuple[str, dict[str, Any]]] = {
    f"H = {H}": ("random_linear_mixture_mdp", {**_SIZE, "H": H}) for H in (4, 8, 16, 32)
}
algorithms: dict[str, tuple[str, dict[str, Any]]] = {
    "UCRL-VTR (c=0.1)": ("ucrl_vtr", {"c": 0.1}),
    "UCRL-VTR+ (c=0.01)": ("ucrl_vtr_plus", {"c": 0.01}),
    "HF-UCRL-VTR+ (c=0.005)": ("hf_ucrl_vtr_plus", {"c": 0.005}),
}
seeds = 10
budget = 5_000
EXPLORED = (32, 128, 512)  # episodes of exploration


def score(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the regret of the runs, and what exploration without a reward leaves."""
    pairs = ["problem", "algorithm"]
    rows = [
        {"problem": problem, "algorithm": algorithm, "regret": round(runs["regret"].mean(), 2)}
        for (problem, algorithm), runs in cells.groupby(pairs, sort=False)
    ]
    for problem in cells["problem"].unique():
        rows += _explored(str(problem))
    return pd.DataFrame(rows).set_index(pairs).round(4)


def _explored(problem: str) -> list[dict[str, Any]]:
    """Return the worst losses of the reward-free explorers of one problem."""
    import numpy as np

    from eluder.core.mixture import largest_return, mixture_tables
    from eluder.core.reward_free import planning_gaps
    from eluder.experiments.study import build
    from eluder.linear.reward_free import hf_ucrl_rfe_plus_plus, ucrl_rfe, ucrl_rfe_plus

    mdp, rng = build(*problems[problem]), np.random.default_rng(0)
    tables, drawn = mixture_tables(mdp), rng.random((8, *mdp.mask.shape)) ** 3
    scaled = [r / largest_return(mdp._replace(r=r)) for r in drawn]
    rewards = np.array([np.broadcast_to(r, (mdp.H, *r.shape)) for r in scaled])
    rows = []
    for name, explorer, options in (
        ("UCRL-RFE (c=0.1)", ucrl_rfe, {"c": 0.1}),
        ("UCRL-RFE+ (c=0.002)", ucrl_rfe_plus, {"c": 0.002}),
        ("HF-UCRL-RFE++ (c=0.005)", hf_ucrl_rfe_plus_plus, {"c": 0.005, "rewards": rewards}),
    ):
        row: dict[str, Any] = {"problem": problem, "algorithm": name}
        for K in EXPLORED:
            runs = [explorer(mdp, K, **options, rng=np.random.default_rng(i)) for i in range(3)]
            row[f"loss, {K}"] = np.mean([planning_gaps(tables, run, rewards).max() for run in runs])
            if explorer is ucrl_rfe:
                gaps = [max(run.plan(r).gap for r in rewards) for run in runs]
                row[f"certificate, {K}"] = np.mean(gaps)
        rows.append(row)
    return rows
