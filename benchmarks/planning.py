"""Planning to 1e-6: value, modified policy and policy iteration against their peers, and sweeps.

Each library runs in its own interpreter (the runners under peers/); all solve the same `.npz` problem, in
turn, round by round. Times are CPU seconds of one thread. See README.md.
"""

import tempfile
import time
from pathlib import Path

import numba
import numpy as np
import problems
import scipy.sparse
from common import Worker, arguments, median, number, peers, publish, ratio, rounds, table

from eluder.envs import garnet, grid

SCRIPTS = {
    "eluder": "eluder_planning",
    "quantecon": "quantecon_planning",
    "mdpsolver": "mdpsolver_planning",
    "pymdptoolbox": "pymdptoolbox_planning",
    "madupite": "madupite_planning",
}
OURS = ("value_iteration", "modified_policy_iteration", "policy_iteration")
SAME = {"vi": OURS[0], "vi, run only": OURS[0], "mpi": OURS[1], "pi": OURS[2]}  # the method of ours beside it
BEST = "modified_policy_iteration"


def cases():
    """Yield (name, problem)."""
    for S in (2000, 20000):
        for gamma in (0.95, 0.99):
            mdp = garnet(S, 20, 10, gamma=gamma, sparse=True, rng=np.random.default_rng(0))
            yield f"Garnet S={S} A=20 b=10, gamma={gamma}", mdp
    yield "dense S=500 A=10, gamma=0.95", problems.dense(500, 10, 0.95, np.random.default_rng(0))
    yield "grid 60x60 slip 0.1, gamma=0.999", grid(60, gamma=0.999, sparse=True)


def methods(S):
    """Yield (library, method); those that would take minutes are left out (README says which and why)."""
    for method in OURS:
        yield "eluder", method
    yield from (("quantecon", "vi"), ("quantecon", "mpi"))
    if S <= 5000:
        yield "quantecon", "pi"
    yield from (("mdpsolver", "vi"), ("mdpsolver", "mpi"))
    yield "pymdptoolbox", "vi, run only"
    if S <= 2000:
        yield from (("pymdptoolbox", "vi"), ("pymdptoolbox", "mpi"))
    yield from (("madupite", "gmres"), ("madupite", "bcgs"))


def solve_rows(name, path, S, workers, repeat):
    """Time one problem; return its rows of the table."""
    jobs = [
        (
            (library, method),
            workers[library],
            {"problem": path, "method": method, "least": 0.1 if library in ("eluder", "quantecon") else 0.0},
        )
        for library, method in methods(S)
        if library in workers
    ]
    answers = rounds(jobs, repeat)
    rows = []
    for (library, method), found in answers.items():
        if isinstance(found, str):
            rows.append([name, library, method, found, *["-"] * 5])
            continue
        ours = answers["eluder", SAME.get(method, "policy_iteration")]
        is_ours = library == "eluder"
        last = found[-1]
        status = last.get("status") or "converged"
        note = "" if status == "converged" else f" ({status.split(':')[0]})"
        rows.append(
            [
                name,
                library,
                method,
                f"{last.get('iterations', '-')}{note}",
                number(last["error"]),
                number(1000 * median(found, "setup")),
                number(1000 * median(found, "seconds")),
                "-" if is_ours else ratio(found, ours),
                "1" if is_ours and method == BEST else ratio(found, answers["eluder", BEST]),
            ]
        )
    return rows


@numba.njit(fastmath=True)
def read(x, times):
    """Sum an array `times` times: a read-only stream over its bytes."""
    total = 0.0
    for i in range(times):
        x[0] = i
        for j in range(x.size):
            total += x[j]
    return total


def bandwidth(size):
    """Bytes per second of a read loop over `size` bytes, the best of seven."""
    x = np.ones(size // 8)
    times = max(1, int(2e8 // size))
    read(x, 1)
    best = np.inf
    for _ in range(7):
        start = time.process_time()
        read(x, times)
        best = min(best, (time.process_time() - start) / times)
    return size / best


def sweep_rows(name, path, mdp, workers, repeat):
    """Time one Bellman sweep: two accuracies of value iteration, the difference per iteration."""
    kernel = 12 * mdp.P.nnz if scipy.sparse.issparse(mdp.P) else 8 * mdp.P.size
    size = kernel + 8 * mdp.r.size
    requests = {
        ("eluder", tol): ("eluder", {"method": "value_iteration", "tol": tol}) for tol in (1e-1, 1e-8)
    }
    requests |= {
        ("quantecon", n): ("quantecon", {"method": "vi", "max_iter": n, "tol": 1e-12}) for n in (5, 25)
    }
    requests["matvec"] = ("eluder", {"method": "matvec"})
    jobs = [(key, workers[w], {"problem": path, "least": 0.2, **more}) for key, (w, more) in requests.items()]
    answers = rounds(jobs, repeat)
    bound = size / bandwidth(size)

    def per_sweep(library):
        few, many = (answers[key] for key in requests if key[0] == library)
        if isinstance(few, str) or isinstance(many, str):
            return "-"
        pairs = zip(few, many)
        each = sorted((b["seconds"] - a["seconds"]) / (b["iterations"] - a["iterations"]) for a, b in pairs)
        middle = each[len(each) // 2]
        return f"{number(1000 * middle)} ({number(middle / bound)}x)"

    plain = median(answers["matvec"], "seconds") if not isinstance(answers["matvec"], str) else np.nan
    return [
        [
            name,
            f"{size / 1e6:.1f}",
            f"{size / bound / 1e9:.0f}",
            number(1000 * bound),
            per_sweep("eluder"),
            per_sweep("quantecon"),
            f"{number(1000 * plain)} ({number(plain / bound)}x)",
        ]
    ]


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=5)
    parser.add_argument("--skip", action="append", default=[], metavar="NAME", help="leave a library out")
    args = parser.parse_args()
    workers = {name: Worker(name, script, args) for name, script in SCRIPTS.items() if name not in args.skip}
    solved, swept = [], []
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, mdp) in enumerate(cases()):
            if args.only not in name:
                continue
            path = problems.save(Path(folder, f"{i}.npz"), mdp, V=problems.optimal_value(mdp))
            solved += solve_rows(name, path, mdp.r.shape[0], workers, args.repeat)
            if mdp.gamma != 0.99:
                swept += sweep_rows(name, path, mdp, workers, args.repeat)
    text = table(
        [
            "problem", "library", "method", "iterations", "error of V", "set-up ms", "solve ms",
            "over our same method", "over our MPI",
        ],
        solved,
    )  # fmt: skip
    text += "\n\nOne Bellman sweep, ms (and times the bound: bytes of a sweep over the read bandwidth):\n\n"
    text += table(["problem", "MB/sweep", "GB/s read", "bound", "eluder", "quantecon", "NumPy/SciPy"], swept)
    publish("planning", f"{text}\n\n{peers(workers.values())}", args.write)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
