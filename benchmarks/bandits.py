"""Bandits: microseconds per round against SMPyBandits and MABWiser, and how the cost of a round grows.

Both sides play the same Bernoulli arms; generators and ties differ, so the mean regret of both is printed
beside. CPU seconds of one thread. See README.md.
"""

import tempfile
from pathlib import Path

import numpy as np
from common import Worker, arguments, median, number, peers, publish, ratio, rounds, table

SCRIPTS = {"eluder": "eluder_bandits", "smpybandits": "smpybandits_bandits", "mabwiser": "mabwiser_bandits"}
T, RUNS, ARMS = 100_000, 100, 20
PEER_ROUNDS = {
    "ucb1": 20_000,
    "moss": 20_000,
    "kl_ucb": 5_000,
    "thompson": 20_000,
    "exp3": 10_000,
    "tsallis_inf": 3_000,
}
OTHERS = ("ucb_v", "kl_ucb_plus_plus", "imed", "bayes_ucb", "exp3_ix", "log_barrier", "hedge")
SIZES, NUMBERS = (10_000, 100_000, 1_000_000), (2, 20, 200, 2_000)
# What the peer's default is, where ours has another.
OURS = {"kl_ucb": {"loglog": 0.0}}


def save(folder, name, **arrays):
    path = Path(folder, f"{name}.npz")
    np.savez(path, **arrays)
    return str(path)


def races(workers, folder, only, repeat):
    """Rows of the comparison: ours for 100 runs of 1e5 rounds, the peer for as many rounds as time allows."""
    rows = []
    path = save(folder, "arms", means=np.linspace(0.1, 0.9, ARMS))
    for method, short in PEER_ROUNDS.items():
        if only not in method:
            continue
        ours = {"problem": path, "method": method, "seed": 0, **OURS.get(method, {})}
        theirs = {"problem": path, "method": method, "seed": 0, "T": short, "runs": 1}
        jobs = [
            ("eluder", workers["eluder"], {**ours, "T": T, "runs": RUNS}),
            ("eluder, short", workers["eluder"], {**ours, "T": short, "runs": RUNS}),
            ("smpybandits", workers["smpybandits"], theirs),
        ]
        rounds_played = {"eluder": T * RUNS, "eluder, short": short * RUNS, "smpybandits": short}
        answers = rounds(jobs, repeat)
        for library, found in answers.items():
            budget = T if library == "eluder" else short
            if isinstance(found, str):
                rows.append([method, library, f"{budget:,}", found, "-", "-"])
                continue
            for answer in found:
                answer["per"] = answer["seconds"] / rounds_played[library]
            over = "1" if library == "eluder" else ratio(found, answers["eluder"], "per")
            cost = number(1e6 * median(found, "per"))
            rows.append([method, library, f"{budget:,}", cost, number(median(found, "regret")), over])
    return rows


def contextual(workers, folder, only, repeat):
    """Rows of the contextual comparison: five actions, ten features, a linear model for each action."""
    if only not in "square_cb":
        return []
    rng = np.random.default_rng(0)
    phi = rng.dirichlet(np.ones(10), 500)
    path = save(folder, "contexts", phi=phi, means=phi @ rng.random((10, 5)))
    request = {"problem": path, "seed": 0, "runs": 1}
    jobs = [
        (
            "square_cb (eluder)",
            workers["eluder"],
            {**request, "T": T, "method": "square_cb", "oracle": "linear"},
        ),
        ("LinUCB (mabwiser)", workers["mabwiser"], {**request, "T": 1_000, "method": "linucb"}),
    ]
    answers, rows = rounds(jobs, repeat), []
    for (label, _, sent), found in zip(jobs, answers.values(), strict=True):
        if isinstance(found, str):
            rows.append([label, found, "-", "-"])
            continue
        for answer in found:
            answer["per"] = answer["seconds"] / sent["T"]
        over = ratio(found, answers[jobs[0][0]], "per") if rows else "1"
        rows.append([label, f"{sent['T']:,}", number(1e6 * median(found, "per")), over])
    return rows


def growth(worker, folder, only, repeat):
    """Rows of the cost of a round along T (20 arms) and along the number of arms (1e5 rounds)."""
    floor = cost(worker, folder, "random numbers", ARMS, SIZES[-1], repeat)
    rows = [["a random number", number(floor), "-", "-"]]
    for method in (*PEER_ROUNDS, *OTHERS):
        if only not in f"{method} growth":
            continue
        along_T = [cost(worker, folder, method, ARMS, size, repeat) for size in SIZES]
        along_A = [cost(worker, folder, method, arms, T, repeat) for arms in NUMBERS]
        share = f"{2 * floor / along_T[1]:.0%}"
        rows.append([method, ", ".join(map(number, along_T)), ", ".join(map(number, along_A)), share])
    return rows


def cost(worker, folder, method, arms, rounds_a_run, repeat):
    """Nanoseconds of a round."""
    path = save(folder, f"arms{arms}", means=np.linspace(0.1, 0.9, arms))
    runs = max(1, T // rounds_a_run)
    request = {"problem": path, "method": method, "T": rounds_a_run, "runs": runs, "seed": 0}
    found = rounds([("x", worker, {**request, **OURS.get(method, {})})], repeat)["x"]
    return np.nan if isinstance(found, str) else 1e9 * median(found, "seconds") / (rounds_a_run * runs)


def main():
    args = arguments(__doc__.splitlines()[0], repeat=3).parse_args()
    workers = {name: Worker(name, script, args) for name, script in SCRIPTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        raced = races(workers, folder, args.only, args.repeat)
        seen = contextual(workers, folder, args.only, args.repeat)
        grown = growth(workers["eluder"], folder, args.only, args.repeat)
    head = ["algorithm", "library", "rounds of a run", "us per round", "mean regret", "over ours"]
    text = table(head, raced)
    text += "\n\nContextual, five actions, ten features, a linear model for each action (50 parameters):\n\n"
    text += table(["algorithm", "rounds of a run", "us per round", "over ours"], seen)
    text += "\n\nNanoseconds of a round of ours, Bernoulli arms:\n\n"
    sizes = f"20 arms, T = {', '.join(f'{n:,}' for n in SIZES)}"
    arms = f"T = {T:,}, A = {', '.join(f'{n:,}' for n in NUMBERS)}"
    text += table(["algorithm", sizes, arms, "two random numbers"], grown)
    publish("bandits", f"{text}\n\n{peers(workers.values())}", args.write)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
