"""Exploration: seconds per 1000 episodes (or steps) against rlberry and statisticalRL, and how costs grow.

Both sides run the same tables, the same number of episodes and, where the peer's bonus can be matched, the
same leading bonus term; the mean reward of both is printed beside. CPU seconds of one thread. See README.md.
"""

import tempfile
from pathlib import Path

import numpy as np
import problems
from common import Worker, arguments, median, number, peers, publish, ratio, rounds, table

from eluder.envs import chain, garnet, grid, river_swim

SCRIPTS = {
    "eluder": "eluder_exploration",
    "rlberry": "rlberry_exploration",
    "statisticalrl": "statisticalrl_exploration",
}


def episodic():
    """Yield (name, problem, episodes of ucbvi, ucb_q_learning and psrl)."""
    yield "chain S=10 A=2 H=10", chain(10, H=10), (1000, 3000, 2000)
    yield "grid S=25 A=4 H=20", grid(5, H=20), (200, 2000, 1000)
    yield "grid S=100 A=4 H=50", grid(10, H=50), (10, 2000, 100)


def options(method, S, A, H, K):
    """Return our arguments and the peer's: shared counts, bonuses led by 1 / sqrt(n), the same priors."""
    if method == "ucbvi":
        L = np.log(5 * S * A * K * H / 0.05)
        return {"stationary": True, "c": 1 / (7 * H * L)}, {"bonus_scale_factor": 1.0}
    if method == "ucb_q_learning":
        return {"c": 1 / np.sqrt(H**3 * np.log(S * A * K * H / 0.05))}, {"bonus_scale_factor": 1.0}
    return {"stationary": True, "prior": 1 / S}, {"scale_prior_transition": 1 / S}


def compare(case, method, per, jobs, repeat):
    """Time (library, worker, request) triples in turn; return their rows."""
    answers = rounds(jobs, repeat)
    rows = []
    for library, found in answers.items():
        if isinstance(found, str):
            rows.append([case, method, library, f"{per:,}", found, "-", "-"])
            continue
        rows.append(
            [
                case,
                method,
                library,
                f"{per:,}",
                number(1e6 * median(found, "seconds") / per),
                number(median(found, "reward")),
                "1" if library == "eluder" else ratio(found, answers["eluder"]),
            ]
        )
    return rows


def races(workers, folder, only, repeat):
    """Rows of the comparison: three episodic learners, then UCRL2."""
    rows = []
    for i, (name, mdp, budgets) in enumerate(episodic()):
        path = problems.save(Path(folder, f"race{i}.npz"), mdp)
        for method, K in zip(("ucbvi", "ucb_q_learning", "psrl"), budgets):
            if only not in f"{method} {name}":
                continue
            ours, theirs = options(method, *mdp.mask.shape, mdp.H, K)
            request = {"problem": path, "method": method, "K": K, "seed": 0}
            jobs = [
                ("eluder", workers["eluder"], {**request, "least": 0.1, **ours}),
                ("rlberry", workers["rlberry"], {**request, **theirs}),
            ]
            rows += compare(name, method, K, jobs, repeat)
    for S in (6, 25):
        name, T = f"RiverSwim S={S}", 20_000
        if only not in f"ucrl2 {name}":
            continue
        path = problems.save(Path(folder, f"swim{S}.npz"), river_swim(S, gamma=1.0))
        request = {"problem": path, "method": "ucrl2", "K": T, "seed": 0, "delta": 0.05}
        jobs = [
            ("eluder", workers["eluder"], {**request, "least": 0.1}),
            ("statisticalrl", workers["statisticalrl"], request),
        ]
        rows += compare(name, "ucrl2", T, jobs, repeat)
    return rows


BASE = {"S": 40, "A": 4, "H": 20, "K": 2000}
AXES = {
    "S": (10, 20, 40, 80, 160),
    "A": (2, 4, 8, 16),
    "H": (5, 10, 20, 40),
    "K": (500, 1000, 2000, 4000, 8000),
}


def growth(worker, folder, only, repeat):
    """Rows of the cost table: seconds of a run along one axis, the others at BASE, on Garnet with b = 5."""
    rows = []
    for method in ("ucbvi", "ucb_q_learning", "psrl"):
        for axis, sizes in AXES.items():
            if only not in f"{method} growth":
                continue
            seconds = []
            for size in sizes:
                at = BASE | {axis: size}
                S, A, H, K = at.values()
                mdp = garnet(S, A, 5, H=H, rng=np.random.default_rng(0))
                path = problems.save(Path(folder, f"{axis}{size}.npz"), mdp)
                ours, _ = options(method, S, A, H, K)
                job = ("x", worker, {"problem": path, "method": method, "K": K, "least": 0.05, **ours})
                found = rounds([job], repeat)["x"]
                seconds.append(np.nan if isinstance(found, str) else median(found, "seconds"))
            slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
            speeds = [(size if axis == "K" else BASE["K"]) / s for size, s in zip(sizes, seconds)]
            rows.append(
                [
                    method,
                    axis,
                    ", ".join(map(str, sizes)),
                    ", ".join(number(x) for x in speeds),
                    "-" if np.isnan(slope) else f"{axis}^{slope:.2f}",
                ]
            )
    return rows


def main():
    args = arguments(__doc__.splitlines()[0], repeat=3).parse_args()
    workers = {name: Worker(name, script, args) for name, script in SCRIPTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        raced = races(workers, folder, args.only, args.repeat)
        grown = growth(workers["eluder"], folder, args.only, args.repeat)
    text = table(
        ["problem", "algorithm", "library", "episodes or steps", "ms per 1000", "mean reward", "over ours"],
        raced,
    )
    base = ", ".join(f"{k}={v}" for k, v in BASE.items())
    text += f"\n\nCost of ours on a Garnet with 5 successors ({base}, one axis at a time):\n\n"
    text += table(["algorithm", "axis", "values", "episodes per second", "cost of a run"], grown)
    publish("exploration", f"{text}\n\n{peers(workers.values())}", args.write)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
