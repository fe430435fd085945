"""Our side of exploration.py: whole runs, on the tables of the problem file."""

import numpy as np
from worker import serve


def about():
    import eluder
    import eluder.tabular.exploration

    return {"eluder": eluder.__version__}


def run(problem, method, K, seed=0, **more):
    import eluder.tabular.exploration
    from eluder.core.problems import DiscountedMDP, EpisodicMDP

    P, r, mu = problem["P"], problem["r"], problem["mu"]
    if "H" in problem:
        mdp = EpisodicMDP(P, r, mu, int(problem["H"]))
    else:
        mdp = DiscountedMDP(P, r, mu, 1.0)
    explore = getattr(eluder.tabular.exploration, method)

    def call(i):
        return explore(mdp, K, rng=np.random.default_rng([seed, i]), **more)

    return call, lambda result: {"reward": float(result.value.mean())}


serve(about, run)
