"""Measured exponents of the bandits, with bootstrap intervals over seeds: the table of docs/rates.md.

Where the theorem is about the worst problem, every learner plays for each horizon T a family of problems with
gaps from `sqrt(A / T)`, too small to be seen, to one that does not depend on T, and the largest mean regret
counts. (On the smallest gap alone even uniform play has a slope of 1/2; on the family it has 1.) `--write`
replaces the table.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from eluder import envs
from eluder.core.guarantees import guarantee
from eluder.core.identification import characteristic_time
from eluder.tabular import bandits

PAGE = Path(__file__).resolve().parents[1] / "docs" / "rates.md"
BEGIN, END = "<!-- rates: begin -->\n", "<!-- rates: end -->"
A = 5
SHORT, LONG = (2_000, 20_000, 200_000), (10_000, 100_000, 1_000_000)
VAST = (20_000, 200_000, 2_000_000)
RING = np.eye(A, dtype=bool) | np.eye(A, k=1, dtype=bool) | np.eye(A, k=-1, dtype=bool)
RING[0, -1] = RING[-1, 0] = True
REVEALING = np.zeros((4, 4), bool)
REVEALING[0] = True
EXPERTS = np.concatenate([np.eye(A), np.full((5, A), 1 / A)])


def gaps(n, T):
    """Multiples of sqrt(n / T) up to 0.4, and 0.4 itself."""
    grid = np.sqrt(n / T) * np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    return [*grid[grid < 0.4], 0.4]


def coins(T):
    """One of five coins is better."""
    return [envs.bernoulli_bandit(0.5 + gap * (np.arange(A) == 0)) for gap in gaps(A, T)]


def two(T):
    """Two arms of which the better one changes once; the theorems are for a fixed gap."""
    return [envs.piecewise_bandit([[0.3, 0.7], [0.9, 0.1]], [0, T // 2])]


def revealing(T):
    scaled = T ** (-1 / 3) * np.array([1.0, 2.0, 4.0])
    return [envs.bernoulli_bandit([0.0, 0.5, 0.5 + gap, 0.5]) for gap in (*scaled, 0.4)]


def cells(T):
    """Eight contexts, four actions, one better in each."""
    best = np.arange(4) == np.arange(8)[:, None] % 4
    return [envs.contextual_bandit(0.5 + gap * best) for gap in gaps(32, T)]


COINS = "five coins, worst of six gaps"
# learner, arguments, problem, its name, horizons, seeds; a declared exponent that the arguments change
WORST = [
    *(
        (name, kwargs, coins, COINS, SHORT, 20)
        for name, kwargs in (
            ("moss", {}),
            ("kl_ucb_plus_plus", {}),
            ("hedge", {}),
            ("optimistic_hedge", {}),
            ("exp3", {}),
            ("exp3", {"form": "gains"}),
            ("exp3_ix", {}),
            ("exp3_p", {}),
            ("exp3_plus_plus", {}),
            ("tsallis_inf", {}),
            ("tsallis_inf", {"estimator": "reduced"}),
            ("log_barrier", {}),
            ("exp4", {"advice": EXPERTS}),
            ("ftpl", {}),
            ("ftpl", {"feedback": "full"}),
            ("exp3_graph", {"graph": RING}),
            ("exp3_graph", {"graph": ~np.eye(A, dtype=bool), "form": "g"}),
            ("exp3_m", {"m": 2}),
            ("delayed_exp3", {"delays": 20}),
        )
    ),
    (
        "exp3_graph",
        {"graph": REVEALING, "form": "g"},
        revealing,
        "arm 0 shows all, worst of four gaps",
        SHORT,
        20,
    ),
    ("sliding_window_ucb", {}, two, "one change", LONG, 20),
    ("discounted_ucb", {}, two, "one change", LONG, 20),
    ("square_cb", {}, cells, "8 contexts, worst of six gaps", VAST, 4),
    ("falcon", {"c": 30.0}, cells, "8 contexts, worst of six gaps", VAST, 4),
]
# learner, arguments, problem, its name; the regret is of order ln T, seen in the last decade before T = 1e6
LOGARITHMIC = [
    ("tsallis_inf", {}, envs.bernoulli_bandit([5 / 8, 1 / 2, 1 / 2, 1 / 2]), "Bernoulli, gap 1/8"),
    (
        "tsallis_inf",
        {},
        envs.stochastically_constrained_bandit(4, 1_000_000, 1 / 8),
        "stochastically constrained adversary, gap 1/8",
    ),
    ("comb_ucb1", {}, envs.top_m_bandit(np.linspace(0.2, 0.8, 8), 3), "any 3 of 8 arms"),
    ("cts", {}, envs.top_m_bandit(np.linspace(0.2, 0.8, 8), 3), "any 3 of 8 arms"),
    ("rucb", {}, envs.bradley_terry_bandit(np.linspace(0, 2, 6)), "6 arms, Bradley-Terry"),
    ("d_ts", {}, envs.bradley_terry_bandit(np.linspace(0, 2, 6)), "6 arms, Bradley-Terry"),
]
DELTAS = (20.0, 60.0)


def slope(x, regret):
    """Slope of the log of the mean regret (rows: horizons, columns: seeds), with its 95% interval."""
    rng, seeds = np.random.default_rng(0), regret.shape[1]

    def fit(mean):
        return np.polyfit(np.log(x), np.log(mean), 1)[0]

    draws = [fit(regret[:, rng.integers(seeds, size=seeds)].mean(axis=1)) for _ in range(1000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{fit(regret.mean(axis=1)):.3f} [{low:.3f}, {high:.3f}]"


def title(name, kwargs):
    words = {"advice": "10 experts", "graph": "ring" if "form" not in kwargs else "no loops"}
    if kwargs.get("graph") is REVEALING:
        words["graph"] = "weakly observable"
    given = [
        words.get(key, f"{key}={value}") for key, value in kwargs.items() if key != "form" or value != "g"
    ]
    return f"`{name}`" + (f", {', '.join(given)}" if given else "")


def worst(name, kwargs, problem, text, horizons, seeds):
    learner = getattr(bandits, name)
    regret = []
    for T in horizons:
        family = [
            [learner(one, T, **kwargs, rng=np.random.default_rng(i)).regret[-1] for i in range(seeds)]
            for one in problem(T)
        ]
        regret.append(max(family, key=np.mean))
    simple = {key: value for key, value in kwargs.items() if isinstance(value, str)}
    exponent = guarantee(learner, **simple).exponent
    declared = "2/3" if kwargs.get("graph") is REVEALING else f"{exponent:g}"
    if problem is two:
        declared += ", times a power of ln T"
    reach = f"{horizons[0]:.0e} to {horizons[-1]:.0e}".replace("e+0", "e")
    return [title(name, kwargs), text, reach, seeds, declared, slope(horizons, np.array(regret))]


def logarithmic(name, kwargs, problem, text, T=1_000_000, seeds=20):
    learner = getattr(bandits, name)
    runs = [learner(problem, T, **kwargs, rng=np.random.default_rng(i)) for i in range(seeds)]
    late = runs[0].checkpoints >= T / 10
    t, regret = runs[0].checkpoints[late], np.array([run.regret[late] for run in runs]).T
    declared = "ln T, so about 0.1" if name != "tsallis_inf" else "ln T, so about 0.1 (0.5 for adversaries)"
    return [title(name, kwargs), text, "1e5 to 1e6", seeds, declared, slope(t, regret)]


def identification(name, kwargs, beta, seeds=100):
    learner, bandit = getattr(bandits, name), envs.bernoulli_bandit([0.5, 0.45, 0.43, 0.4])
    plays = np.array(
        [
            [
                learner(bandit, delta=math.exp(-x), **kwargs, rng=np.random.default_rng(i)).pulls.sum()
                for i in range(seeds)
            ]
            for x in DELTAS
        ]
    )
    width = DELTAS[1] - DELTAS[0]
    growth = (plays[1].mean() - plays[0].mean()) / width
    error = 1.96 * math.sqrt(plays.var(axis=1, ddof=1).sum() / seeds) / width
    time = characteristic_time(bandit, beta)[0]
    text = f"plays per unit of ln(1/delta): {growth:.0f} [{growth - error:.0f}, {growth + error:.0f}]"
    return [f"`{name}`", "0.5, 0.45, 0.43, 0.4", "delta e^-20 to e^-60", seeds, f"T* = {time:.0f}", text]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run only the learners whose name holds this text")
    parser.add_argument("--write", action="store_true", help="replace the table of docs/rates.md")
    args = parser.parse_args()
    rows = [worst(*case) for case in WORST if args.only in case[0]]
    rows += [logarithmic(*case) for case in LOGARITHMIC if args.only in case[0]]
    for case in (("track_and_stop", {}, None), ("top_two", {}, 0.5)):
        if args.only in case[0]:
            rows.append(identification(*case))
    head = ["learner", "problem", "T", "seeds", "declared", "slope [95%]"]
    lines = [head, ["---"] * len(head), *rows]
    text = "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
