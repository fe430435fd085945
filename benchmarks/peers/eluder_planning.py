"""Our side of planning.py."""

import inspect

import numpy as np
from worker import serve, sparse, value_error


def about():
    import eluder
    import eluder.tabular.planning

    return {"eluder": eluder.__version__}


def run(problem, method, tol=1e-6):
    import eluder.tabular.planning
    from eluder.core.problems import DiscountedMDP

    P, r, gamma = sparse(problem), problem["r"], float(problem["gamma"])
    if method == "matvec":  # a sweep of NumPy or SciPy: the baseline of the sweep table
        rows = problem["P"].reshape(r.size, -1) if P is None else P
        V = problem["V"].copy()
        return lambda _: (r + gamma * (rows @ V).reshape(r.shape)).max(axis=1), lambda _: {}
    S = r.shape[0]
    mdp = DiscountedMDP(problem["P"] if P is None else P, r, np.full(S, 1 / S), gamma)
    solve = getattr(eluder.tabular.planning, method)
    assert "tol" in inspect.signature(solve).parameters

    def facts(result):
        return {
            "iterations": int(result.num_iter),
            "error": value_error(problem, result.V),
            "gap": float(result.gap),
            "status": result.status,
        }

    return lambda _: solve(mdp, tol=tol), facts


serve(about, run)
