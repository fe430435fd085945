"""Deep agents on a GPU: steps per second of one seed and of many, and HDPO's simulated periods per second.

Runs in under ten minutes on one card, prints its table, and ends with code 1 where there is none. Wall time,
environments included; a step's cost is the difference of two runs after a short first one. That the numbers
are those of the CPU is a test: `pytest tests/deep/test_gpu.py`. See README.md.
"""

import sys
import time
import warnings

import torch
from common import arguments, number, publish, table

from eluder.deep.common.devices import repeated
from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import GNNPolicy, HDPOConfig, MLPPolicy, Problem, SharedLevelPolicy
from eluder.deep.inventory._hdpo import Paths, make_update
from eluder.deep.online import DSACTConfig, SACConfig, Schedule, TD3Config, dsac_t, sac, td3
from eluder.envs.inventory import setting

FIRST, SHORT, LONG = 250, 400, 2_400
CASES = {
    "sac, 1 seed": (sac, SACConfig(warmup=200), 1),
    "sac, 8 seeds": (sac, SACConfig(warmup=200), 8),
    "sac, 32 seeds": (sac, SACConfig(warmup=200), 32),
    "sac in bfloat16, 32 seeds": (sac, SACConfig(warmup=200, dtype="bfloat16"), 32),
    "td3, 32 seeds": (td3, TD3Config(warmup=200), 32),
    "dsac_t, 1 seed": (dsac_t, DSACTConfig(warmup=200), 1),
    "dsac_t, 32 seeds": (dsac_t, DSACTConfig(warmup=200), 32),
}
STORES = {
    "hdpo, perceptron, one store": ("lost_sales", {}, MLPPolicy(), 65_536, 50),
    "hdpo, shared levels, 50 stores": ("one_warehouse", {"stores": 50}, SharedLevelPolicy(), 2_048, 50),
    "hdpo, graph network, 50 stores": ("one_warehouse", {"stores": 50}, GNNPolicy(), 512, 50),
}


def speed(train, config, seeds, env, device, scale):
    """Environment steps per second of all seeds together."""
    schedule, ends = Schedule(evaluate_every=0, episodes=1, log_every=0), []
    for steps in (FIRST, SHORT, SHORT + (LONG - SHORT) // scale):
        start = time.perf_counter()
        train(env, steps, config=config, seeds=range(seeds), device=device, schedule=schedule)
        ends.append((steps, time.perf_counter() - start))
    (_, (few, short), (many, long)) = ends
    return seeds * (many - few) / (long - short)


def periods(name, sizes, policy, paths, length, device, updates):
    """Simulated periods of a store per second of training, gradient and step included."""
    problem, keys = Problem(setting(name, **sizes), torch.device(device)), seed_keys([0], device)
    config = HDPOConfig(batch_size=paths, periods=length)
    parameters = policy.init(problem, keys)
    update, _ = make_update(config, policy, problem, parameters)
    drawn = Paths(config, problem, keys)
    learn = repeated(lambda u, n: update(drawn, n), device)
    for u in range(5):
        found = learn(u)
    found["loss"].tolist()  # waits
    start = time.perf_counter()
    for u in range(5, 5 + updates):
        found = learn(u)
    found["loss"].tolist()
    return paths * length * problem.simulator.n * updates / (time.perf_counter() - start)


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--env", default="HalfCheetah-v5", help="environment (%(default)s)")
    parser.add_argument("--device", default="cuda", help="device (%(default)s)")
    parser.add_argument("--scale", type=int, default=1, help="divides the work, to try it (%(default)s)")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here", file=sys.stderr)
        return 1
    warnings.simplefilter("ignore")
    rows, stores = [], []
    for name, (train, config, seeds) in CASES.items():
        if args.only in name:
            rate = speed(train, config, seeds, args.env, args.device, args.scale)
            rows.append([name, number(rate), number(rate / seeds)])
            print(f"  {rows[-1]}", file=sys.stderr, flush=True)
    for name, (problem, sizes, policy, paths, length) in STORES.items():
        if args.only in name:
            size = max(paths // args.scale, 1)
            rate = periods(problem, sizes, policy, size, length, args.device, max(40 // args.scale, 1))
            stores.append([name, f"{size:,} x {length}", number(rate)])
            print(f"  {stores[-1]}", file=sys.stderr, flush=True)
    card = torch.cuda.get_device_name() if args.device.startswith("cuda") else args.device
    text = table([f"{args.env} on {card}", "seed-steps per second", "steps per second"], rows)
    head = [f"training on {card}", "paths x periods of an update", "simulated periods of a store per second"]
    publish("gpu", f"{text}\n\n{table(head, stores)}", args.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
