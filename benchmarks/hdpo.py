"""HDPO: how near to the optimum, for how many CPU seconds of one thread. One configuration for each family.

    python hdpo.py --family lost_sales        # 16 instances with Poisson demand
    python hdpo.py --family geometric         # 16 with geometric demand, and some that are drawn
    python hdpo.py --family serial            # 16 with four locations, and 3 to 7 locations

The gap is exact where the policy's Markov chain can be solved; in serial systems it is estimated on common
random demand, with its standard error. CPU seconds are those of training, compilation and the exact optimum
left out. See README.md.
"""

import time
import warnings

import numpy as np
import torch
from common import arguments, number, publish, table

from eluder.deep.inventory import HDPOConfig, LevelPolicy, Problem, hdpo, simulated_cost
from eluder.envs.inventory import Geometric, NegativeBinomial, Poisson, setting

PENALTIES = (4, 9, 19, 39)


def lost_sales():
    """(name, setting) of the tabulated instances with Poisson demand."""
    for L in (1, 2, 3, 4):
        for p in PENALTIES:
            yield f"L={L}, p={p}", setting("lost_sales", lead_time=L, penalty=p)


def geometric():
    """Instances with geometric demand, and eight that nobody tabulated."""
    for L in (1, 2, 3, 4):
        for p in PENALTIES:
            given = setting("lost_sales", lead_time=L, penalty=p, demand=Geometric(5.0))
            yield f"geometric, L={L}, p={p}", given
    rng = np.random.default_rng(0)
    for i in range(8):
        L, p, m = int(rng.integers(1, 4)), round(rng.uniform(3, 30), 1), round(rng.uniform(2, 8), 1)
        law = (Poisson(m), NegativeBinomial(m, round(1.5 * m**0.5, 2)))[i % 2]
        yield f"{law}, L={L}, p={p}", setting("lost_sales", lead_time=L, penalty=p, demand=law)


def serial():
    """Four locations, all lead times and penalties; then 3 to 7 locations."""
    for L in (1, 2, 3, 4):
        for p in PENALTIES:
            yield f"4 locations, L={L}, p={p}", setting("serial", lead_time=L, penalty=p)
    for k in (3, 5, 6, 7):
        yield f"{k} locations, L=4, p=9", setting("serial", locations=k)


FAMILIES = {
    "lost_sales": (lost_sales, LevelPolicy(), HDPOConfig(), 320),
    "geometric": (geometric, LevelPolicy(), HDPOConfig(), 320),
    "serial": (serial, LevelPolicy(), HDPOConfig(batch_size=128, periods=100), 160),
}


def train(given, policy, config, steps, seed):
    """Return gap, its error, and CPU seconds."""
    start = time.process_time()
    result = hdpo(given, steps, policy=policy, config=config, seeds=(seed,))
    spent = time.process_time() - start
    if given.name == "lost_sales":
        return 100 * float(result.gap[0]), 0.0, spent
    parameters = {
        k.removeprefix("policy/"): torch.as_tensor(x)
        for k, x in result.parameters.items()
        if k.startswith("policy/")
    }
    sizes = {"samples": 4_000, "periods": 500, "warm_up": 100}
    (cost,) = simulated_cost(policy, parameters, Problem(given), **sizes)
    best = given.reference()
    return 100 * (cost.cost / best - 1), 100 * cost.error / best, spent


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--family", default="lost_sales", choices=FAMILIES, help="instances (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--steps", type=int, help="updates, if not those of the family")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    instances, policy, config, steps = FAMILIES[args.family]
    steps = args.steps or steps
    hdpo(setting("lost_sales", lead_time=1, penalty=4), 2, policy=LevelPolicy())  # compile
    rows = []
    for name, given in instances():
        if args.only in name:
            given.reference()
            gap, error, spent = train(given, policy, config, steps, args.seed)
            of = f"{round(gap, 3) + 0.0:.3f}" if error == 0 else f"{gap:.3f} ± {error:.3f}"
            rows.append([name, of, number(spent)])
            print(f"  {rows[-1]}", flush=True)
    head = ["instance", "gap, %", "CPU seconds"]
    text = f"{type(policy).__name__}, {steps} updates of {config.batch_size} x {config.periods} periods.\n\n"
    publish(f"hdpo {args.family}", text + table(head, rows), args.write)


if __name__ == "__main__":
    main()
