"""HDPO beside the code published with it: CPU seconds to an exact gap, and of an epoch of its graph network.

    python hdpo_peer.py --peer-path original=PATH_OF_ITS_FOLDER

One store with lost sales, lead time 4, penalty 9: both are asked after some updates for the exact gap of the
rounded policy, and only training counts. Its own fastest settings: batches of 1,024, step size 0.01, two
layers of 32. See README.md.
"""

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from common import Worker, arguments, number, peers, publish, table
from hdpo_networks import gnn_epoch

from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import HDPOConfig, LevelPolicy, MLPPolicy, Problem, exact_cost, hdpo
from eluder.deep.inventory._hdpo import Paths, make_update, step_size
from eluder.envs.inventory import setting

SHORT = HDPOConfig(batch_size=128, periods=20, lr=0.03, average=0.1)
CASES = {  # policy, configuration, updates of the whole run
    "eluder, perceptron, a short run": (MLPPolicy(), SHORT, 60),
    "eluder, perceptron": (MLPPolicy(), HDPOConfig(), 200),
    "eluder, levels": (LevelPolicy(), HDPOConfig(), 200),
}


def curve(policy, config, steps, target, seed, every=5):
    """CPU seconds of training, and exact gap, until the gap is below the target."""
    given = setting("lost_sales", lead_time=4, penalty=9)
    problem, keys = Problem(given), seed_keys([seed])
    best, parameters = given.reference(), policy.init(problem, keys)
    update, adam = make_update(config, policy, problem, parameters)
    average, paths, spent, found = parameters.like(), Paths(config, problem, keys), 0.0, []
    for u in range(steps):
        start = time.process_time()
        adam.lr = step_size(config, u, steps)
        update(paths, u)
        average.track(parameters, max(config.average, 1.0 / (u + 1)))
        spent += time.process_time() - start
        if (u + 1) % every == 0:
            (cost,) = exact_cost(policy, average.tensors, problem)
            found.append([spent, 100 * (cost.cost / best - 1)])
            if found[-1][1] <= target:
                break
    return found


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--target", type=float, default=1.0, help="exact gap in %% (%(default)s)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    hdpo(setting("lost_sales", lead_time=1, penalty=4), 2, policy=LevelPolicy())  # compile
    worker, rows, epochs = Worker("original", "original_hdpo", args), [], []
    found = {}
    for name, case in CASES.items():  # the median of three seeds
        runs = [curve(*case, args.target, seed) for seed in range(3)]
        found[name] = sorted(runs, key=lambda points: points[-1][0])[1]
    if worker.installed:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "nothing.npz")
            np.savez(path, nothing=np.zeros(0))
            answer = worker.ask(problem=str(path), method="gap", target=args.target)
            found["HDPO's own code"] = answer.get("curve", str(answer))
            theirs = worker.ask(problem=str(path), method="epoch")
            ours = min(gnn_epoch(50) for _ in range(3))
            epochs = [["eluder", number(ours), "1"]]
            if "epoch" in theirs:
                ratio = f"{theirs['epoch'] / ours:.2f}x"
                epochs.append(["HDPO's own code", number(theirs["epoch"]), ratio])
            else:
                epochs.append(["HDPO's own code", str(theirs), "-"])
    first = next(iter(found.values()))[-1][0]
    for name, points in found.items():
        if isinstance(points, str):
            rows.append([name, points, "-", "-"])
        else:
            spent, gap = points[-1]
            rows.append([name, number(spent), f"{gap:.2f} %", f"{spent / first:.1f}x"])
    head = ["lost sales, L = 4, p = 9", "CPU seconds", "exact gap", "over ours"]
    text = table(head, rows)
    if epochs:
        text += "\n\n" + table(["graph network, 50 stores, 256 x 50 periods", "CPU seconds", "ratio"], epochs)
    publish("hdpo peer", f"{text}\n\n{peers([worker])}", args.write)
    worker.close()


if __name__ == "__main__":
    main()
