"""mdpsolver (C++): a fresh model for each solve, since a second solve starts from the last answer."""

from importlib.metadata import version

from worker import Once, serve, sparse, value_error


def about():
    import mdpsolver  # noqa: F401

    return {"mdpsolver": version("mdpsolver")}


def run(problem, method):
    import mdpsolver

    P, r = sparse(problem), problem["r"]
    S, A = r.shape
    if P is None:
        kernel = {"tranMatWithZeros": problem["P"].tolist()}
    elif (P.indptr[1:] - P.indptr[:-1] == P.indptr[1]).all():
        kernel = {
            "tranMatProbs": P.data.reshape(S, A, -1).tolist(),
            "tranMatColumns": P.indices.reshape(S, A, -1).tolist(),
        }
    else:
        split = [slice(*P.indptr[i : i + 2]) for i in range(S * A)]
        kernel = {
            "tranMatProbs": [[P.data[split[s * A + a]].tolist() for a in range(A)] for s in range(S)],
            "tranMatColumns": [[P.indices[split[s * A + a]].tolist() for a in range(A)] for s in range(S)],
        }
    model = mdpsolver.model()
    model.mdp(discount=float(problem["gamma"]), rewards=r.tolist(), **kernel)

    def solve():
        model.solve(algorithm=method, tolerance=1e-6, parallel=False)
        return model

    return Once(solve), lambda m: {"error": value_error(problem, m.getValueVector())}


serve(about, run)
