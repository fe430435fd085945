"""Pathwise gradients, score functions and PPO on one simulator; two suppliers along paths.

    python hdpo_score_function.py --family noise           # variance of both gradients at a trained policy
    python hdpo_score_function.py --family samples         # periods played until the exact gap is 1 %
    python hdpo_score_function.py --family dual_sourcing   # nine tabulated instances, exact gaps

Gaps are those of the exact cost of the policy without noise. A period of each copy of a path counts. See
README.md.
"""

import time
import warnings

import numpy as np
import torch
from common import arguments, number, publish, table

from eluder.deep.common.random import seed_keys
from eluder.deep.common.training import Schedule
from eluder.deep.inventory import (
    DualIndexPolicy,
    HDPOConfig,
    InventoryPPOConfig,
    MLPPolicy,
    Problem,
    ReinforceConfig,
    exact_cost,
    gradient_noise,
    hdpo,
    inventory_ppo,
    reinforce,
)
from eluder.envs.inventory import setting

DUAL, DUAL_STEPS = HDPOConfig(batch_size=256), 400
INSTANCES = [(express, regular) for express in (5, 10, 20) for regular in (2, 3, 4)]
METHODS = {
    "pathwise": (hdpo, HDPOConfig(batch_size=64), 150),
    "score, 16 copies": (reinforce, ReinforceConfig(batch_size=128), 200),
    "score, alone": (reinforce, ReinforceConfig(batch_size=512, copies=1), 400),
    "PPO": (inventory_ppo, InventoryPPOConfig(batch_size=128), 400),
}


def dual_sourcing(express, regular):
    """One of the tabulated instances."""
    return setting("dual_sourcing", lead_times=(regular, 0), unit_costs=(0, express))


def noise(args):
    """Variance of the gradient of one path."""
    rows = []
    for L in (2, 3, 4):
        given = setting("lost_sales", lead_time=L, penalty=9)
        trained = hdpo(given, 150, seeds=(args.seed,))
        parameters = {
            k.removeprefix("policy/"): torch.as_tensor(x)
            for k, x in trained.parameters.items()
            if k.startswith("policy/")
        }
        for T in (10, 30):
            of = {"parameters": parameters, "paths": 8192, "periods": T, "seed": args.seed}
            along = gradient_noise(given, "pathwise", **of).variance
            scores = [gradient_noise(given, "score", copies=K, **of).variance / along for K in (16, 2, 1)]
            rows.append([f"L={L}", T, number(along), *(f"{number(x)}x" for x in scores)])
            print(f"  {rows[-1]}", flush=True)
    head = ["lost sales, p=9", "periods", "pathwise", "score, 16 copies", "2 copies", "alone"]
    return "Trace of the covariance, per path, at a policy within 1 % of the optimum.\n\n" + table(head, rows)


def first_within(result, reference, per_update, gap=0.01):
    """Return the periods played until the gap is small for the first time, for each seed."""
    good = -result.returns[:, :, 0] / reference - 1 <= gap
    return [float(result.steps[g.argmax()]) * per_update if g.any() else np.inf for g in good.T]


def samples(args):
    """Periods until a gap of 1 %, least, median and greatest of three seeds."""
    rows, seeds = [], range(args.seed, args.seed + 3)
    for L in (2, 3, 4):
        given = setting("lost_sales", lead_time=L, penalty=9)
        for name, (train, config, steps) in METHODS.items():
            start = time.process_time()
            schedule = Schedule(evaluate_every=10, log_every=0, save_every=0)
            result = train(given, steps, config=config, seeds=seeds, schedule=schedule)
            spent = time.process_time() - start
            each = config.batch_size * config.periods / 1000
            played = sorted(first_within(result, given.reference(), each))
            last = ", ".join(f"{100 * x:.2f}" for x in result.gap)
            counts = [f"{x:,.0f}" if np.isfinite(x) else "-" for x in (played[1], played[0], played[2])]
            rows.append([f"L={L}", name, "{} ({} to {})".format(*counts), last, number(spent)])
            print(f"  {rows[-1]}", flush=True)
    head = [
        "lost sales, p=9",
        "gradient",
        "1,000 periods to 1 %",
        "gaps at the end, %",
        "CPU seconds of three",
    ]
    return table(head, rows)


def dual(args):
    """Exact gaps of nine instances."""
    rows, steps = [], args.steps or DUAL_STEPS
    for express, regular in INSTANCES:
        given = dual_sourcing(express, regular)
        best, gaps, spent = given.reference(), [], []
        for policy in (DualIndexPolicy(), MLPPolicy()):
            start = time.process_time()
            result = hdpo(given, steps, policy=policy, config=DUAL, seeds=(args.seed,))
            spent.append(number(time.process_time() - start))
            gaps.append(f"{100 * result.gap[0]:.3f}")
        first = f"{100 * (heuristic_cost(given) / best - 1):.3f}"
        rows.append([express, regular, f"{best:.5f}", first, gaps[0], spent[0], gaps[1], spent[1]])
        print(f"  {rows[-1]}", flush=True)
    head = ["c_e", "L_r", "optimum", "capped dual index, gap %", "indices, gap %", "CPU s"]
    text = f"Pathwise, {steps} updates of {DUAL.batch_size} x {DUAL.periods} periods.\n\n"
    return text + table([*head, "perceptron, gap %", "CPU s"], rows)


def heuristic_cost(given):
    """Exact cost of the best capped dual index policy: that of the first parameters."""
    policy, problem = DualIndexPolicy(), Problem(given)
    return exact_cost(policy, policy.init(problem, seed_keys([0])).tensors, problem)[0].cost


FAMILIES = {"noise": noise, "samples": samples, "dual_sourcing": dual}


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--family", default="dual_sourcing", choices=FAMILIES, help="which (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the runs (%(default)s)")
    parser.add_argument("--steps", type=int, help="updates of dual sourcing, if not the default")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    publish(f"hdpo score function, {args.family}", FAMILIES[args.family](args), args.write)


if __name__ == "__main__":
    main()
