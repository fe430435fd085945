"""Linear function approximation: LSVI-UCB against rlberry, LinUCB against MABWiser, and how costs grow.

It is cost that is compared: rlberry pools all stages in one regression, MABWiser keeps a model for each arm,
and bonuses differ. CPU seconds of one thread. See README.md.
"""

import tempfile
from pathlib import Path

import numpy as np
from common import Worker, arguments, median, number, peers, publish, ratio, rounds, table

SCRIPTS = {"eluder": "eluder_linear", "rlberry": "rlberry_linear", "mabwiser": "mabwiser_bandits"}
SMALL, LARGE = {"S": 10, "A": 2, "d": 10, "H": 10}, {"S": 100, "A": 10, "d": 10, "H": 10}
RACES = ((SMALL, 10), (SMALL, 40), (SMALL, 200), (LARGE, 40))
LEARNERS = {
    "lsvi_ucb": {"c": 0.01},
    "lsvi_ucb, rare": {"c": 0.01, "rare": True},
    "rlsvi": {"c": 0.1},
    "lsvi_phe": {"c": 0.01, "num_samples": 10},
    "lsvi_ucb_plus_plus": {"c": 0.01, "d3": 0.1},
}
BUDGETS, LONG = (1_000, 10_000, 100_000), 1_000_000
ARMS, DIMENSION = 20, 10


def linear_mdp(folder, S, A, d, H):
    """Write the tables of a random linear MDP (of its first stage, for the peer that has but one)."""
    from eluder.core.linear import episodic
    from eluder.envs import random_linear_mdp

    mdp = random_linear_mdp(S, A, d, H, rng=np.random.default_rng(0))
    tables = episodic(mdp)
    path = Path(folder, f"mdp{S}-{A}-{d}-{H}.npz")
    np.savez(path, phi=mdp.phi, psi=mdp.psi, theta=mdp.theta, mu=mdp.mu, H=H, P=tables.P[0], r=tables.r[0])
    return str(path)


def races(workers, folder, only, repeat):
    """Rows of LSVI-UCB against rlberry's, for as many episodes as its time allows."""
    rows = []
    for size, K in RACES:
        if only not in "lsvi_ucb":
            continue
        request = {"problem": linear_mdp(folder, **size), "method": "lsvi_ucb", "K": K, "seed": 0}
        ours = {**request, "least": 0.1, **LEARNERS["lsvi_ucb"]}
        jobs = [("eluder", workers["eluder"], ours), ("rlberry", workers["rlberry"], request)]
        answers = rounds(jobs, repeat)
        name = " ".join(f"{k}={v}" for k, v in size.items())
        for library, found in answers.items():
            if isinstance(found, str):
                rows.append([name, K, library, found, "-"])
                continue
            over = "1" if library == "eluder" else ratio(found, answers["eluder"])
            rows.append([name, K, library, number(1e3 * median(found, "seconds") / K), over])
    return rows


def arms(workers, folder, only, repeat):
    """Rows of LinUCB: 20 arms, 10 features."""
    if only not in "lin_ucb":
        return []
    rng = np.random.default_rng(0)
    path = Path(folder, "arms.npz")
    phi = rng.dirichlet(np.ones(DIMENSION), 500)
    np.savez(path, phi=phi, means=phi @ rng.random((DIMENSION, ARMS)))
    request = {"problem": str(path), "seed": 0, "runs": 1}
    sent = {
        "lin_ucb (eluder)": {**request, "method": "lin_ucb", "T": 100_000},
        "LinUCB (mabwiser)": {**request, "method": "linucb", "T": 1_000},
    }
    workers = (workers["eluder"], workers["mabwiser"])
    answers = rounds([(key, w, sent[key]) for w, key in zip(workers, sent, strict=True)], repeat)
    rows = []
    for key, found in answers.items():
        if isinstance(found, str):
            rows.append([key, sent[key]["T"], found, "-"])
            continue
        for answer in found:
            answer["per"] = answer["seconds"] / sent[key]["T"]
        over = "1" if "eluder" in key else ratio(found, answers["lin_ucb (eluder)"], "per")
        rows.append([key, f"{sent[key]['T']:,}", number(1e6 * median(found, "per")), over])
    return rows


def growth(worker, folder, only, repeat):
    """Rows of episodes per second along K."""
    rows, path = [], linear_mdp(folder, **LARGE)
    for name, more in LEARNERS.items():
        if only not in f"{name} growth":
            continue
        speeds = []
        for K in (*BUDGETS, LONG) if name == "lsvi_ucb" else BUDGETS:
            request = {"problem": path, "method": name.split(",")[0], "K": K, "seed": 0, **more}
            found = rounds([("x", worker, request)], 1 if K == LONG else repeat)["x"]
            speeds.append("-" if isinstance(found, str) else f"{K / median(found, 'seconds'):,.0f}")
        rows.append([name, *speeds, *["-"] * (len(BUDGETS) + 1 - len(speeds))])
    return rows


def main():
    args = arguments(__doc__.splitlines()[0], repeat=3).parse_args()
    workers = {name: Worker(name, script, args) for name, script in SCRIPTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        raced = races(workers, folder, args.only, args.repeat)
        played = arms(workers, folder, args.only, args.repeat)
        grown = growth(workers["eluder"], folder, args.only, args.repeat)
    text = table(["problem", "episodes", "library", "ms per episode", "over ours"], raced)
    text += f"\n\nLinear bandits, {ARMS} arms, {DIMENSION} features:\n\n"
    text += table(["algorithm", "rounds", "us per round", "over ours"], played)
    size = ", ".join(f"{k} = {v}" for k, v in LARGE.items())
    text += f"\n\nEpisodes per second of ours, {size}, with the exact value of every policy:\n\n"
    text += table(["algorithm", *(f"K = {K:,}" for K in (*BUDGETS, LONG))], grown)
    publish("linear", f"{text}\n\n{peers(workers.values())}", args.write)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
