"""SAC end to end, environment included: against Stable-Baselines3, SBX and CleanRL, with their defaults.

256 x 256 units, batches of 256, one update per step. A step's cost is the difference of two runs, one 1,000
steps longer: what is done once (imports, compilation, our evaluation at the end) is left out. The first table
is CPU seconds of one thread on one core. The second (``--cores 0,1``) is wall time of everything together on
two cores, eight of our seeds side by side against one run of the others with two threads. See README.md.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Worker, arguments, number, peers, publish, ratio, rounds, table

SHORT, LONG = 200, 1_200
SCRIPTS = {"eluder": "eluder_sac", "sb3": "sb3_sac", "sbx": "sbx_sac", "cleanrl": "cleanrl_agents"}
ALONE = {
    "eluder": ("eluder", "sac", {}),
    "eluder, autograd": ("eluder", "autograd", {}),
    "eluder, bfloat16": ("eluder", "bfloat16", {}),
    "eluder, DSAC-T (3 x 256)": ("eluder", "dsac_t", {}),
    "Stable-Baselines3": ("sb3", "sac", {}),
    "SBX": ("sbx", "sac", {}),
    "CleanRL": ("cleanrl", "sac", {}),
}
TOGETHER = {
    "eluder, 8 seeds": ("eluder", "sac", {"seeds": 8, "threads": 2}),
    "eluder, 8 seeds, bfloat16": ("eluder", "bfloat16", {"seeds": 8, "threads": 2}),
    "Stable-Baselines3": ("sb3", "sac", {"threads": 2}),
    "SBX": ("sbx", "sac", {"threads": 2}),
    "CleanRL": ("cleanrl", "sac", {"threads": 2}),
}


def races(workers, folder, cases, env, field, only, repeat):
    """Rows of steps per second, of all seeds of a run together."""
    path = Path(folder, "nothing.npz")
    np.savez(path, nothing=np.zeros(0))
    jobs = []
    for name, (library, method, options) in cases.items():
        if only in name:
            request = {"problem": str(path), "method": method, "env": env, "seed": 0, **options}
            for steps in (SHORT, LONG):
                jobs.append(((name, steps), workers[library], {**request, "steps": steps}))
    answers = rounds(jobs, repeat)
    found = {}
    for name in cases:
        pair = [answers.get((name, steps)) for steps in (SHORT, LONG)]
        if None in pair:
            continue
        wrong = [x for x in pair if isinstance(x, str)]
        seeds = cases[name][2].get("seeds", 1)
        found[name] = (
            wrong[0]
            if wrong
            else [{"seconds": (b[field] - a[field]) / (LONG - SHORT) / seeds} for a, b in zip(*pair)]
        )
    rows, first = [], next(iter(cases))
    for name, each in found.items():
        if isinstance(each, str):
            rows.append([name, each, "-", "-"])
            continue
        over = "1" if name == first else ratio(each, found.get(first, "-"))
        per = float(np.median([x["seconds"] for x in each]))
        rows.append([name, number(1 / per), number(1e3 * per), over])
    return rows


def floor(repeat):
    """Rows of an update's CPU time beside that of matrix products alone: those of the algorithm, of all rows
    and layers, and those that ours are, which leaves some out and has loops for the smallest."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    torch.set_num_threads(1)

    class Shapes(TorchDispatchMode):
        """Keep factors like those of the products that pass."""

        def __init__(self):
            super().__init__()
            self.held = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            kind = str(func).split(".")[1]
            if kind in ("mm", "addmm", "bmm", "baddbmm"):
                x, y = args[-2:]
                each = zip(x.unbind(), y.unbind()) if x.ndim == 3 else [(x, y)]
                self.held += [(torch.randn_like(x), torch.randn_like(y)) for x, y in each]
            return func(*args, **(kwargs or {}))

    def products(update):
        """Return what makes the products of two updates: all kinds of them."""
        for u in range(2):
            update(u)
        with Shapes() as shapes:
            for u in range(2, 4):
                update(u)
        outs = [torch.empty(x.shape[0], y.shape[1]) for x, y in shapes.held]

        def call():
            for (x, y), out in zip(shapes.held, outs):
                torch.mm(x, y, out=out)

        return call

    rows = []
    for (name, update), (_, reference) in zip(updates(), updates(fused=False)):
        calls = [lambda update=update: (update(2), update(3)), products(reference), products(update)]
        times = [[] for _ in calls]
        for _ in range(10 * repeat):
            for each, call in zip(times, calls):
                start = time.process_time()
                for _ in range(10):
                    call()
                each.append(1e3 * (time.process_time() - start) / 20)
        row = [name, number(float(np.median(times[0])))]
        for each in times[1:]:
            row += [number(float(np.median(each))), f"{np.median(np.divide(times[0], each)):.2f}x"]
        rows.append(row)
        print(f"  {row}", flush=True)
    head = ["HalfCheetah-v5, batches of 256", "ms per update", "products of the algorithm", "ratio"]
    return table([*head, "products of ours", "ratio"], rows)


def updates(**options):
    """(name, update of a number) of the agents, on one random batch."""
    import torch

    from eluder.deep.common.random import seed_keys
    from eluder.deep.common.replay import Batch
    from eluder.deep.online import DSACTConfig, SACConfig, _dsac_t, _sac

    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(1, 256, 17, generator=generator) for _ in range(2))
    action, reward = 2 * torch.rand(1, 256, 6, generator=generator) - 1, torch.randn(1, 256)
    batch = Batch(x, action, reward, y, torch.full_like(reward, 0.99))
    for name, module, config in (
        ("SAC, 2 x 256", _sac, SACConfig(**options)),
        ("DSAC-T, 3 x 256", _dsac_t, DSACTConfig(**options)),
    ):
        keys = seed_keys([0])
        nets = module.init(config, 17, 6, keys)
        update, _ = module.make_update(config, nets, keys, 6)
        yield name, lambda u, update=update: update(batch, u)


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=3)
    parser.add_argument("--env", default="HalfCheetah-v5", help="environment (%(default)s)")
    parser.add_argument(
        "--cores", default="0", help="cores that everything is pinned to: 0, or 0,1 (%(default)s)"
    )
    parser.add_argument("--floor", action="store_true", help="updates beside their matrix products alone")
    args = parser.parse_args()
    if args.floor:
        publish("sac floor", floor(args.repeat), args.write)
        return
    cores = {int(core) for core in args.cores.split(",")}
    os.sched_setaffinity(0, cores)
    if len(cores) == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    workers = {name: Worker(name, script, args) for name, script in SCRIPTS.items()}
    cases, field = (ALONE, "seconds") if len(cores) == 1 else (TOGETHER, "wall")
    with tempfile.TemporaryDirectory() as folder:
        rows = races(workers, folder, cases, args.env, field, args.only, args.repeat)
    head = [args.env, "steps per second", "ms per step", "over ours"]
    section = "sac" if len(cores) == 1 else "sac seeds"
    publish(section, f"{table(head, rows)}\n\n{peers(workers.values())}", args.write)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
