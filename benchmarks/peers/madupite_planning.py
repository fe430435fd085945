"""madupite (inexact policy iteration on PETSc), one rank; read is its own timer, without its result files."""

import json
import os
import tempfile
from importlib.metadata import version

import numpy as np
from worker import serve, sparse, value_error


def about():
    import madupite  # noqa: F401

    try:
        return {"madupite": version("madupite")}
    except Exception:
        return {"madupite": "built from source"}


def run(problem, method):
    import madupite

    P, r = sparse(problem), problem["r"]
    S, A = r.shape
    temporary = tempfile.TemporaryDirectory()
    folder = temporary.name
    kernel = problem["P"].reshape(S * A, S) if P is None else P
    files = {"P": kernel, "r": r}
    for name, matrix in files.items():
        madupite.writePETScBinary(matrix, os.path.join(folder, name), info_file=True)
    load = {name: os.path.join(folder, name) for name in files}
    mdp = madupite.MDP(madupite.initialize_madupite([""]))
    category, kind = madupite.MatrixCategory, madupite.MatrixType
    layout = kind.Dense if P is None else kind.Sparse
    tensor = madupite.Matrix.fromFile(filename=load["P"], category=category.Dynamics, type=layout)
    cost = madupite.Matrix.fromFile(filename=load["r"], category=category.Cost, type=kind.Dense)
    mdp.setTransitionProbabilityTensor(tensor)
    mdp.setStageCostMatrix(cost)
    gamma = float(problem["gamma"])
    options = {
        "-discount_factor": gamma, "-mode": "MAXREWARD", "-overwrite": "true", "-ksp_type": method,
        "-atol_pi": 1e-6 * (1 - gamma), "-file_stats": os.path.join(folder, "stats.json"),
        "-file_cost": os.path.join(folder, "V"), "-file_policy": os.path.join(folder, "pi"),
    }  # fmt: skip
    for name, value in options.items():
        mdp.setOption(name, str(value))

    def facts(_):
        with open(os.path.join(folder, "stats.json")) as file:
            last = json.load(file)["runs"]
        V = np.loadtxt(os.path.join(folder, "V"), ndmin=1)
        return {
            "iterations": len(last["iterations"]) - 1,
            "status": "stopped by max_iter" if "remark" in last else "converged",
            "seconds": last["total_solver_time"] / 1000,
            "error": value_error(problem, V),
        }

    return lambda _, kept=(temporary, tensor, cost): mdp.solve(), facts


serve(about, run)
