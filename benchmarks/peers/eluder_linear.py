"""Our side of linear.py: whole runs on the tables of the problem file."""

import numpy as np
from worker import serve


def about():
    import eluder
    import eluder.linear.exploration

    return {"eluder": eluder.__version__}


def run(problem, method, seed=0, K=None, T=None, runs=1, **more):
    if method == "lin_ucb":
        from eluder.envs import linear_bandit
        from eluder.linear.bandits import lin_ucb

        A = problem["means"].shape[1]
        bandit = linear_bandit(problem["phi"][:A], np.linspace(0.1, 0.9, problem["phi"].shape[1]))
        return (
            lambda i: lin_ucb(bandit, T, rng=np.random.default_rng([seed, i]), **more),
            lambda result: {"regret": float(result.regret[-1])},
        )

    import eluder.linear.exploration
    from eluder.core.linear import LinearMDP

    mdp = LinearMDP(problem["phi"], problem["psi"], problem["theta"], problem["mu"])
    explore = getattr(eluder.linear.exploration, method)
    return (
        lambda i: explore(mdp, K, rng=np.random.default_rng([seed, i]), **more),
        lambda result: {"value": float(result.value.mean())},
    )


serve(about, run)
