"""Linear mixtures of two kernels, told the reward or not, with horizons from 4 to 32.

The rewards of an episode add up to 1 at most, so that a learner for such rewards need not care how long an
episode is. The runs are of learners that know the reward: UCRL-VTR, whose radius grows with the horizon, and
HF-UCRL-VTR+, whose radius does not (but for logarithms). The score puts beside their regret what reward-free
exploration leaves, by the number of its episodes: the worst exact loss over 8 rewards, in the mean of 3 runs,
and the certificate of UCRL-RFE (largest gap of the 8 plans). With radii as small as here the loss of all
explorers is small at every horizon; what grows with it is the certificate. All radii are scaled by `c`, by
what suits each; with the constants of the theorems (c = 1) none leaves its cap in as many episodes.

The last rows are of a choice that is as hard at every horizon: to take a reward now, or to wait for 1 at the
end, which lasts half of the time. They say how many episodes, of powers of 2, an explorer needs until no
plan for two rewards loses more than 0.1, exactly and with the constants of the theorems (c = 1), and until,
with a smaller c, its own certificate of both is 0.15: as many at every horizon for HF-UCRL-RFE++, more with
the horizon for UCRL-RFE.
"""

import warnings
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
HORIZONS = (4, 8, 16, 32)  # of the choice


def score(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the regret of the runs, and what exploration without a reward leaves."""
    pairs = ["problem", "algorithm"]
    rows = [
        {"problem": problem, "algorithm": algorithm, "regret": round(runs["regret"].mean(), 2)}
        for (problem, algorithm), runs in cells.groupby(pairs, sort=False)
    ]
    for problem in cells["problem"].unique():
        rows += _explored(str(problem))
    for H in HORIZONS:
        rows += _waiting(H)
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
                row[f"certificate, {K}"] = np.mean([_certificate(run, rewards) for run in runs])
        rows.append(row)
    return rows


def _certificate(found: Any, rewards: Any) -> float:
    """Return the largest gap of the plans; that it may be trivial is no surprise here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(max(found.plan(r).gap for r in rewards))


def _waiting(H: int) -> list[dict[str, Any]]:
    """Return how many episodes make plans good, and are enough to know it, where the choice is to wait."""
    import numpy as np

    from eluder.core.mixture import mixture_tables
    from eluder.core.reward_free import planning_gaps
    from eluder.envs import wait_or_take_mixture_mdp
    from eluder.linear.reward_free import hf_ucrl_rfe_plus_plus, ucrl_rfe

    mdp = wait_or_take_mixture_mdp(H)
    rewards = np.array([wait_or_take_mixture_mdp(H, take=x).r for x in (0.3, 0.7)])

    def needed(explorer: Any, c: float, eps: float, certify: bool, most: int, more: dict[str, Any]) -> int:
        for j in range(most, -1, -1):
            found = explorer(mdp, 2**j, c=c, **more, rng=np.random.default_rng(0))
            if certify:
                gap = _certificate(found, rewards)
            else:
                gap = planning_gaps(mixture_tables(mdp), found, rewards).max()
            if gap > eps:
                return 1 << j + 1
        return 1

    rows = []
    for name, explorer, c, most, more in (
        ("UCRL-RFE (c=1; 0.1)", ucrl_rfe, 0.1, 18, {}),
        ("HF-UCRL-RFE++ (c=1; 0.001)", hf_ucrl_rfe_plus_plus, 0.001, 12, {"rewards": rewards}),
    ):
        row: dict[str, Any] = {"problem": f"wait or take, H = {H}", "algorithm": name}
        row["loss 0.1 after"] = needed(explorer, 1.0, 0.1, False, most, more)
        row["certificate 0.15 after"] = needed(explorer, c, 0.15, True, 12, more)
        rows.append(row)
    return rows
