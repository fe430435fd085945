"""PPO end to end, environment included: against Stable-Baselines3, SBX and CleanRL, with their defaults.

64 x 64 units, rollouts of 2,048 steps, 10 epochs of minibatches of 64. CPU seconds of one thread on one core.
A step's cost is the difference of two runs, one 12,288 steps longer: what is done once (compilation, our
evaluation at the end) is left out. See README.md.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from common import Worker, arguments, number, peers, publish, ratio, rounds, table

SHORT, LONG = 4_096, 16_384
SCRIPTS = {"eluder": "eluder_ppo", "sb3": "sb3_ppo", "sbx": "sbx_ppo", "cleanrl": "cleanrl_agents"}
CASES = {
    "eluder": ("eluder", "kernels", 1),
    "eluder, autograd": ("eluder", "autograd", 1),
    "Stable-Baselines3": ("sb3", "defaults", 1),
    "Stable-Baselines3, VecNormalize": ("sb3", "normalised", 1),
    "SBX": ("sbx", "defaults", 1),
    "CleanRL": ("cleanrl", "ppo", 1),
    "eluder, 8 environments": ("eluder", "kernels", 8),
    "Stable-Baselines3, 8 environments": ("sb3", "defaults", 8),
    "CleanRL, 8 environments": ("cleanrl", "ppo", 8),
}


def races(workers, folder, env, only, repeat):
    """Rows of steps per second."""
    path = Path(folder, "nothing.npz")
    np.savez(path, nothing=np.zeros(0))
    jobs = []
    for name, (library, method, num_envs) in CASES.items():
        if only in name:
            request = {"problem": str(path), "method": method, "env": env, "num_envs": num_envs, "seed": 0}
            for steps in (SHORT, LONG):
                jobs.append(((name, steps), workers[library], {**request, "steps": steps}))
    answers = rounds(jobs, repeat)
    found = {}
    for name in CASES:
        pair = [answers.get((name, steps)) for steps in (SHORT, LONG)]
        if None in pair:
            continue
        wrong = [x for x in pair if isinstance(x, str)]
        found[name] = (
            wrong[0]
            if wrong
            else [{"seconds": (b["seconds"] - a["seconds"]) / (LONG - SHORT)} for a, b in zip(*pair)]
        )
    rows = []
    for name, each in found.items():
        if isinstance(each, str):
            rows.append([name, each, "-", "-"])
            continue
        first = "eluder, 8 environments" if CASES[name][2] == 8 else "eluder"
        over = "1" if name == first else ratio(each, found.get(first, "-"))
        per = float(np.median([x["seconds"] for x in each]))
        rows.append([name, f"{1 / per:,.0f}", number(1e6 * per), over])
    return rows


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=3)
    parser.add_argument("--env", default="HalfCheetah-v5", help="environment (%(default)s)")
    parser.add_argument("--core", type=int, default=0, help="core that everything is pinned to (%(default)s)")
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    workers = {name: Worker(name, script, args) for name, script in SCRIPTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        rows = races(workers, folder, args.env, args.only, args.repeat)
    text = table([args.env, "steps per second", "us per step", "over ours"], rows)
    publish("ppo", f"{text}\n\n{peers(workers.values())}", args.write)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
