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
PEER_ROUNDS = {"ucb1": 20_000, "moss": 20_000, "kl_ucb": 5_000, "thompson": 20_000, "exp3": 10_000, "tsallis_inf": 3_000}
# What the peer's default is, where ours has another.
OURS = {"kl_ucb": {"c": 0.0}}


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
        ask = {"problem": path, "method": method, "seed": 0}
        more = OURS.get(method, {})
        jobs = [
            ("eluder", workers["eluder"], {**ask, "T": T, "runs": RUNS, **more}),
            ("eluder, as many rounds as the peer", workers["eluder"], {**ask, "T": short, "runs": 100, **more}),
            ("smpybandits", workers["smpybandits"], {**ask, "T": short, "runs": 1}),
        ]
        counts = (T * RUNS, short * 100, short)
        answers = rounds(jobs, repeat)
        for found, count in zip(answers.values(), counts):
            for answer in found if isinstance(found, list) else ():
                answer["per"] = answer["seconds"] / count
        for (library, found), count, budget in zip(answers.items(), counts, (T, short, short)):
            if isinstance(found, str):
                rows.append([method, library, f"{budget:,}", found, "-", "-"])
                continue
            over = "1" if library == "eluder" else ratio(found, answers["eluder"], "per")
            cost = number(1e6 * median(found, "per"))
            rows.append([method, library, f"{budget:,}", cost, number(median(found, "regret")), over])
    return rows


def growth(worker, folder, only, repeat):
    """Rows of the cost of a round along T (20 arms) and along the number of arms (1e5 rounds)."""
    rows = []
    floor = cost(worker, folder, "random_numbers", ARMS, 1_000_000, repeat) if not only else None
    del floor
    for method in (*PEER_ROUNDS, "exp3_ix", "ucb_v", "imed", "bayes_ucb"):
        if only not in f"{method} growth":
            continue
        along_T = [cost(worker, folder, method, ARMS, size, repeat) for size in (10**4, 10**5, 10**6)]
        along_A = [cost(worker, folder, method, arms, 10**5, repeat) for arms in (2, 20, 200, 2000)]
        rows.append([method, ", ".join(map(number, along_T)), ", ".join(map(number, along_A))])
    return rows


def cost(worker, folder, method, arms, T, repeat):
    """Nanoseconds of a round."""
    path = save(folder, f"arms{arms}", means=np.linspace(0.1, 0.9, arms))
    request = {"problem": path, "method": method, "T": T, "runs": max(1, 10**5 // T), "seed": 0}
    found = rounds([("x", worker, {**request, **OURS.get(method, {})})], repeat)["x"]
    if isinstance(found, str):
        return np.nan
    return 1e9 * median(found, "seconds") / (T * request["runs"])
