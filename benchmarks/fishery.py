"""Fisheries: constant rules, the exact optimum of one species, pathwise gradients, and PPO.

    python fishery.py                 # constant rules, optimum, pathwise gradients
    python fishery.py --family ppo    # PPO, one configuration for all models

CPU seconds of one thread after one call that is not counted (compilation). See README.md.
"""

import argparse
import os

from common import ONE_THREAD

os.environ.update(ONE_THREAD)

import time
import warnings

import numpy as np
from common import arguments, number, publish, table

from eluder.deep.common.training import Schedule
from eluder.deep.fishery import FisheryPolicy, PathwiseConfig, learned_rule, pathwise
from eluder.deep.online import PPOConfig, ppo
from eluder.envs.fishery import (
    ConstantEscapement,
    ConstantMortality,
    best_rule,
    fishery,
    fishery_env,
    fishery_optimum,
    policy_value,
    simulate,
)

PUBLISHED = {  # mean of 100 episodes each
    1: {"constant mortality": 0.882, "constant escapement": 1.985, "PPO": 1.720, "PPO, smoothed": 1.899},
    2: {"constant mortality": 19.77, "constant escapement": 19.52, "PPO": 19.94, "PPO, smoothed": 19.62},
    3: {"constant mortality": 62.30, "constant escapement": 48.36, "PPO": 66.83, "PPO, smoothed": 68.75},
    4: {"constant mortality": 44.52, "constant escapement": 36.76, "PPO": 48.75, "PPO, smoothed": 49.44},
}
HEAD = ["", "policy", "return", "ended early", "paper's measure", "published", "CPU s"]
EVALUATE = 1  # seed of the episodes that are reported
PPO = PPOConfig(num_envs=8, num_steps=512, batch_size=256, lr=1e-3)


def timed(f, *args, **options):
    """Return what a call returns, and its CPU seconds."""
    start = time.process_time()
    result = f(*args, **options)
    return result, time.process_time() - start


def reported(model, name, rules, seconds, episodes, note=""):
    """Return a row: the mean over the rules (one per seed), each over fresh episodes."""
    runs = [
        simulate(fishery(model), rule, episodes=episodes, rng=np.random.default_rng(EVALUATE))
        for rule in rules
    ]
    returns = np.array([r.mean for r in runs])
    error = np.hypot(np.mean([r.error for r in runs]), returns.std() / np.sqrt(len(runs)))
    paper = np.array([r.published.mean() for r in runs])
    spread = np.hypot(
        np.mean([r.published.std() for r in runs]) / np.sqrt(episodes), paper.std() / np.sqrt(len(runs))
    )
    ended = 100 * np.mean([r.extinctions for r in runs])
    known = PUBLISHED[model].get(name)
    row = [
        f"Model {model}",
        f"{name}{note}",
        f"{returns.mean():.3f} +- {error:.3f}",
        f"{ended:.1f} %",
        f"{paper.mean():.3f} +- {spread:.3f}",
        "" if known is None else f"{known:g}",
        number(seconds),
    ]
    print(" | ".join(row), flush=True)
    return row


def constant_rules(model, args):
    """Return the rows of the best constant mortality and escapement, and the rules."""
    points = 101 if model < 3 else 51
    rows, rules = [], []
    families = {"constant mortality": ConstantMortality, "constant escapement": ConstantEscapement}
    for name, family in families.items():
        rng = np.random.default_rng(0)
        found, seconds = timed(
            best_rule, family, fishery(model), points=points, episodes=args.search_episodes, fresh=1, rng=rng
        )
        numbers = getattr(found.policy, "fractions", None) or found.policy.levels
        note = " (" + ", ".join(f"{x:.2f}" for x in numbers) + ")"
        rows.append(reported(model, name, [found.policy], seconds, args.episodes, note))
        rules.append(found.policy)
    return rows, rules


def exact(rules):
    """Return the lines on Model 1, without simulation."""
    f, lines = fishery(1), []
    values = [fishery_optimum(f, step=s).value for s in (0.005, 0.0025, 0.00125, 0.000625)]
    limit = values[-1] + (values[-1] - values[-2]) / 3
    lines.append(
        "Model 1 exactly: the optimum is "
        + ", ".join(f"{v:.4f}" for v in values)
        + f" on grids of .005 and halves of it, {limit:.4f} in the limit;"
    )
    for rule in rules:
        v = policy_value(f, rule)
        lines.append(f"{rule} is worth {v.value:.4f} and ends early with probability {1 - v.survival:.4f};")
    return "\n".join(lines)[:-1] + "."


def learned(model, args):
    """Return the rows of pathwise gradients, without and with the time."""
    rows = []
    for clock in (False, True):
        config = PathwiseConfig(FisheryPolicy(clock=clock))
        result, seconds = timed(
            pathwise, fishery(model), args.updates, config=config, seeds=range(args.seeds)
        )
        rules = [learned_rule(result, n) for n in range(args.seeds)]
        name = "pathwise, sees the time" if clock else "pathwise"
        rows.append(reported(model, name, rules, seconds / args.seeds, args.episodes))
    return rows


def reinforced(model, args):
    """Return the row of PPO on the gymnasium environment, which sees populations alone, as the paper's."""
    result, seconds = timed(
        ppo,
        lambda **options: fishery_env(model, **options),
        args.ppo_steps,
        config=PPO,
        seeds=range(args.ppo_seeds),
        schedule=Schedule(evaluate_every=0, episodes=1),
    )

    def rule(n):
        def act(N, t):
            seen = np.clip(N / 4.0, 0.0, 1.0).astype(np.float32)
            return result.policy(np.broadcast_to(seen, (args.ppo_seeds, *seen.shape)).copy())[n]

        return act

    rules = [rule(n) for n in range(args.ppo_seeds)]
    return reported(model, "PPO", rules, seconds / args.ppo_seeds, args.episodes)


def rules(args):
    """Return the table of constant rules and pathwise gradients, and the exact values of Model 1."""
    few = {"points": 2, "episodes": 1, "fresh": 1, "rng": np.random.default_rng(0)}
    best_rule(ConstantEscapement, fishery(1), **few)  # compile
    rows, text = [], ""
    for model in models(args):
        found, best = constant_rules(model, args)
        rows += found + learned(model, args)
        if model == 1:
            text = "\n\n" + exact(best)
    return table(HEAD, rows) + text


def learning(args):
    """Return the table of PPO, beside the published one."""
    reinforced(1, argparse.Namespace(**{**vars(args), "ppo_steps": 4096, "episodes": 2}))  # compile
    rows = []
    for model in models(args):
        smooth = PUBLISHED[model]["PPO, smoothed"]
        rows.append(reinforced(model, args))
        rows.append([f"Model {model}", "PPO, smoothed (theirs alone)", "", "", "", f"{smooth:g}", ""])
    steps = f"{args.ppo_steps:,} steps, number of seeds: {args.ppo_seeds}.\n\n"
    return steps + table(HEAD, rows)


def models(args):
    """Return the numbers of the models that are asked for."""
    return [model for model in (1, 2, 3, 4) if args.only in f"Model {model}"]


FAMILIES = {"rules": rules, "ppo": learning}


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--family", default="rules", choices=FAMILIES, help="policies (%(default)s)")
    parser.add_argument("--episodes", type=int, default=4000, help="reported of each rule (%(default)s)")
    parser.add_argument(
        "--search-episodes", type=int, default=200, help="of each rule of a grid (%(default)s)"
    )
    parser.add_argument("--updates", type=int, default=100, help="of pathwise gradients (%(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="of pathwise gradients (%(default)s)")
    parser.add_argument("--ppo-steps", type=int, default=1_600_000, help="of each seed (%(default)s)")
    parser.add_argument("--ppo-seeds", type=int, default=1, help="of PPO (%(default)s)")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", "load is")
    publish("fishery ppo" if args.family == "ppo" else "fishery", FAMILIES[args.family](args), args.write)


if __name__ == "__main__":
    main()
