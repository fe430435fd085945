"""Robust linear MDPs: explored in the nominal problem, judged by the worst, played in another.

The three problems are one, with growing balls around the factor that leads to the good state. The regret is
in robust values, which are exact. With a small bonus the learner stays with what it tried first, which may
be right by chance; with a large one it tries everything for as long as this study lasts, or nearly. The
score puts beside it what policies learnt offline, from 1,000 episodes of the uniform policy, are worth
where that factor leads to the failing state with probability q instead (exact values, means of 10 data
sets): pessimistic value iteration, which believes in the nominal problem, and its robust counterpart with
the ball of the problem.
"""

from typing import Any

import pandas as pd

problems: dict[str, tuple[str, dict[str, Any]]] = {
    "TV ball .1": ("off_dynamics_linear_mdp", {"rho": 0.1}),
    "TV ball .3": ("off_dynamics_linear_mdp", {"rho": 0.3}),
    "TV ball .6": ("off_dynamics_linear_mdp", {"rho": 0.6}),
}
algorithms: dict[str, tuple[str, dict[str, Any]]] = {
    "DR-LSVI-UCB (c=0.02)": ("dr_lsvi_ucb", {"c": 0.02}),
    "DR-LSVI-UCB (c=0.05)": ("dr_lsvi_ucb", {"c": 0.05}),
    "DR-LSVI-UCB (c=0.2)": ("dr_lsvi_ucb", {"c": 0.2}),
}
seeds = 20
budget = 20_000
PERTURBATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def score(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the regret of the runs, and the values of offline policies where they are played."""
    pairs = ["problem", "algorithm"]
    rows = [
        {"problem": problem, "algorithm": algorithm, "regret": round(runs["regret"].mean(), 2)}
        for (problem, algorithm), runs in cells.groupby(pairs, sort=False)
    ]
    for problem in cells["problem"].unique():
        rows += _deployed(str(problem))
    return pd.DataFrame(rows).set_index(pairs).round(4)


def _deployed(problem: str) -> list[dict[str, Any]]:
    """Return the exact values of offline policies in perturbed problems."""
    import numpy as np

    from eluder.core.exact import policy_value
    from eluder.core.linear import episodic
    from eluder.core.robust_linear import nominal
    from eluder.core.transitions import collect_episodes
    from eluder.envs import perturbed_linear_mdp
    from eluder.experiments.study import build
    from eluder.linear.offline import pevi
    from eluder.linear.robust import drpvi

    mdp = build(*problems[problem])
    tables, uniform = episodic(nominal(mdp)), np.full(mdp.mask.shape, 1 / mdp.mask.shape[1])
    data = [collect_episodes(tables, uniform, 1000, np.random.default_rng(i)) for i in range(10)]
    policies = {
        "PEVI (c=0.01), offline": [pevi(nominal(mdp), log, c=0.01).pi for log in data],
        "DRPVI (c=1e-4), offline": [drpvi(mdp, log, c=0.0001).pi for log in data],
    }
    worlds = {f"q = {q:g}": episodic(perturbed_linear_mdp(q)) for q in PERTURBATIONS}
    rows = []
    for name, learnt in policies.items():
        values = {q: np.mean([w.mu @ policy_value(w, pi)[0] for pi in learnt]) for q, w in worlds.items()}
        rows.append({"problem": problem, "algorithm": name, **values})
    return rows
