"""MuJoCo environments side by side: gymnasium's SyncVectorEnv, ours one after another, ours in threads.

Steps per second of all environments together, wall time, random actions, the same for all. See README.md.
"""

import os
import statistics
import sys
import time

import numpy as np
from common import arguments, number, publish, table

NAMES = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
STEPS = {"HalfCheetah-v5": 400, "Hopper-v5": 200, "Walker2d-v5": 200, "Ant-v5": 100, "Humanoid-v5": 100}
WAYS = ("gymnasium Sync", "one after another", "2 threads", "auto")


def sync(name, num):
    """Return a step of gymnasium's vector environment; actions in its units."""
    import gymnasium

    mode = {
        "autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP
    }  # as ours: no step is spent on a reset
    envs = gymnasium.make_vec(name, num_envs=num, vectorization_mode="sync", vector_kwargs=mode)
    envs.reset(seed=0)
    low, high = envs.single_action_space.low, envs.single_action_space.high
    return lambda a: envs.step(low + (a + 1.0) * (high - low) / 2.0), envs


def ours(name, num, threads):
    """Return a step of ours."""
    from eluder.deep.common.environments import make_environments

    envs = make_environments(name, range(num), threads=threads)
    envs.reset()
    return envs.step, envs


def race(name, num, repeat):
    """Seconds of a step of each way in each round, and the threads that "auto" takes."""
    from eluder.deep.common.physics import TRIAL

    made = [sync(name, num), ours(name, num, 1), ours(name, num, 2), ours(name, num, "auto")]
    rng, A = np.random.default_rng(0), made[1][1].low.size
    for step, _ in made:
        for _ in range(2 * TRIAL):
            step(rng.uniform(-1, 1, (num, A)).astype(np.float32))
    rounds = []
    for i in range(repeat):
        actions = rng.uniform(-1, 1, (STEPS[name], num, A)).astype(np.float32)
        row = []
        for step, _ in made:
            begin = time.perf_counter()
            for action in actions:
                step(action)
            row.append((time.perf_counter() - begin) / len(actions))
        rounds.append(row)
        print(f"  round {i} {name}: {[number(1e6 * x) for x in row]} us", file=sys.stderr)
    threads = made[3][1].stepper.threads
    for _, envs in made:
        envs.close()
    return np.array(rounds), threads


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=9)
    parser.add_argument("--num", type=int, default=8, help="environments (%(default)s)")
    args = parser.parse_args()
    rows = []
    for name in NAMES:
        if args.only not in name:
            continue
        seconds, threads = race(name, args.num, args.repeat)
        speeds = [f"{args.num / statistics.median(x):,.0f}" for x in seconds.T.tolist()]
        gains = [seconds[:, 0] / seconds[:, 1], seconds[:, 1] / seconds[:, 2]]
        texts = [f"{number(np.median(g))}x ({number(g.min())}-{number(g.max())})" for g in gains]
        rows.append([name, *speeds, threads, *texts])
    header = [
        "environment",
        *WAYS,
        "auto takes",
        "one after another over Sync",
        "2 threads over one after another",
    ]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"Steps per second, {args.num} environments, {processors} processors:\n\n{table(header, rows)}"
    publish("environments", text, args.write)


if __name__ == "__main__":
    main()
