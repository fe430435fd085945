"""A study's table made by hand, for tests of summaries, figures and the report."""

import numpy as np
import pandas as pd

from eluder.core.results import checkpoints
from eluder.experiments.store import Table

SHAPES = {  # label: (coefficient, true exponent, declared exponent, bound / regret)
    "UCBVI (Hoeffding)": (9.0, 0.55, 0.5, 30.0),
    "UCBVI (Bernstein)": (5.0, 0.5, 0.5, 12.0),
    "Q-learning UCB-H": (8.0, 0.62, 0.5, None),
    "PSRL": (2.5, 0.45, 0.5, None),
    "epsilon-greedy": (0.6, 1.0, None, None),
}


def table(
    problems=("RiverSwim", "FrozenLake-v1"),
    algorithms=tuple(SHAPES),
    seeds=12,
    K=2000,
    name="quickstart",
    seed=0,
):
    """Return curves a k^b, noisy between seeds, with guarantees and bounds."""
    rng = np.random.default_rng(seed)
    k = checkpoints(K)
    cells, curves, theory, bounds = [], [], [], []
    for i, problem in enumerate(problems):
        for label, shape in zip(algorithms, SHAPES.values(), strict=False):
            a, b, declared, factor = shape
            who = {"problem": problem, "algorithm": label}
            for run in range(seeds):
                steps = rng.gamma(2.0, 0.5, k.size) * np.diff(k**b, prepend=0.0)
                regret = a * (1 + i) * rng.lognormal(0, 0.15) * steps.cumsum()
                cells.append(
                    {**who, "seed": run, "budget": K, "regret": regret[-1], "seconds": 0.1 * (1 + i) * a}
                    | {"sample_complexity_0.1": float(rng.integers(K // 2, K)) if b < 0.6 and run else np.nan}
                    | {"entropy": hex(rng.integers(2**60)), "version": "0.1.0", "commit": "0123abc"}
                    | {"python": "3.11.7", "numpy": "2.4.6", "numba": "0.68.1"}
                )
                curves.append(pd.DataFrame({**who, "seed": run, "k": k, "regret": regret}))
            theory.append(
                {**who, "exponent": np.nan if declared is None else declared, "applies": True}
                | {
                    "statement": "regret O~(H sqrt(S A K))" if declared else "none",
                    "assumptions": "known rewards",
                }
                | {"paper": "Azar, Osband, Munos. ICML 2017", "setting": "episodic regret"}
            )
            if factor:
                bounds.append(pd.DataFrame({**who, "k": k, "bound": factor * a * (1 + i) * k**0.5 + 40 * a}))
    none = pd.DataFrame(columns=["problem", "algorithm", "k", "bound"])
    config = {
        "name": name,
        "problems": {p: ["river_swim", {"S": 6, "H": 20}] for p in problems},
        "algorithms": {a: ["ucbvi", {"bonus": "bernstein", "delta": 0.05}] for a in algorithms},
        "budget": dict.fromkeys(problems, K),
        "seeds": seeds,
        "epsilons": [0.1],
    }
    return Table(
        cells=pd.DataFrame(cells, columns=None if cells else ["problem", "algorithm", "seed"]),
        curves=pd.concat(curves, ignore_index=True) if curves else none.iloc[:, :3].assign(regret=0.0),
        guarantees=pd.DataFrame(theory, columns=None if theory else ["problem", "algorithm"]),
        bounds=pd.concat(bounds, ignore_index=True) if bounds else none,
        config=config,
    )
