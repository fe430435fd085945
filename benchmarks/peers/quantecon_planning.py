"""QuantEcon's DiscreteDP: state-action pairs with a sparse kernel, or the dense product form."""

from worker import serve, sparse, value_error

SHORT = {"vi": "value_iteration", "mpi": "modified_policy_iteration", "pi": "policy_iteration"}


def about():
    import quantecon

    return {"quantecon": quantecon.__version__}


def run(problem, method, max_iter=100_000, tol=1e-6):
    import numpy as np
    from quantecon.markov import DiscreteDP

    P, r, gamma = sparse(problem), problem["r"], float(problem["gamma"])
    S, A = r.shape
    if P is None:
        ddp = DiscreteDP(r, problem["P"], gamma)
    else:
        ddp = DiscreteDP(r.ravel(), P, gamma, np.repeat(np.arange(S), A), np.tile(np.arange(A), S))
    if method == "pi":
        max_iter = 200
    solve = {"method": SHORT[method], "epsilon": tol, "max_iter": max_iter, "k": 20}

    def facts(result):
        iterations = int(result.num_iter)
        return {
            "iterations": iterations,
            "error": value_error(problem, result.v),
            "status": "stopped by max_iter" if iterations >= max_iter else "",
        }

    return lambda _: ddp.solve(**solve), facts


serve(about, run)
