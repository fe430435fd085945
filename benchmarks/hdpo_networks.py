"""HDPO in networks with warehouses: policies that share weights, for CPU seconds of one thread.

    python hdpo_networks.py --family one_warehouse    # 3 to 50 stores, beside the published costs
    python hdpo_networks.py --family transshipment    # 3 to 50 stores, above the lower bound
    python hdpo_networks.py --family many_warehouses  # 2 to 6 warehouses, beside the published costs
    python hdpo_networks.py --family serial           # graph network, 4 to 10 locations, above the optimum
    python hdpo_networks.py --family transfer         # weights of 50 stores used on 500; 1,000 stores trained
    python hdpo_networks.py --family scenarios        # graph network against perceptron on few scenarios
                                                      # (--only transshipment; --only "one warehouse" --brief)
    python hdpo_networks.py --family epoch            # one epoch of the graph network, 256 x 50 periods

Costs are per period and store on random demand that all policies share, with their standard error. CPU
seconds are those of training. One configuration for each family. See README.md.
"""

import math
import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from common import arguments, number, publish, table

from eluder.deep.common.random import seed_keys
from eluder.deep.inventory import (
    GNNPolicy,
    HDPOConfig,
    MLPPolicy,
    PolicyCost,
    Problem,
    Seen,
    SharedLevelPolicy,
    SymmetryAwarePolicy,
    hdpo,
    simulated_cost,
)
from eluder.deep.inventory._hdpo import Paths, make_update
from eluder.envs.inventory import (
    MultivariateNormal,
    Network,
    Normal,
    Setting,
    clark_scarf,
    edge,
    setting,
    store,
    supplier,
    warehouse,
)

PUBLISHED = {
    "one_warehouse": {3: 5.60, 5: 5.26, 10: 5.72, 20: 5.90, 30: 5.61, 50: 5.42},
    "many_warehouses": {10: 9.60, 20: 9.40, 30: 9.06, 40: 9.41, 50: 9.17},
}
SCARCE_PUBLISHED = {  # number of paths: percent of the graph network, and of the perceptron
    "transshipment, 3 stores": {128: (0.58, 3.67), 1024: (0.32, 0.72), 8192: (0.11, 0.28)},
    "one warehouse, 10 stores": {128: (1.42, 4.56), 1024: (0.16, 1.21), 8192: (0.0, 0.31)},
}
BRIEF = {"samples": 1, "eval_periods": 1, "eval_warm_up": 0}  # the evaluation is done here
SHARED = HDPOConfig(batch_size=16, periods=64, tail=10, lr=0.005, **BRIEF)
PASSING = HDPOConfig(batch_size=64, periods=60, lr=0.01, **BRIEF)
MANY = HDPOConfig(batch_size=5, periods=72, tail=16, lr=0.01, **BRIEF)
DEEP = HDPOConfig(batch_size=32, periods=100, lr=0.003, average=0.03, **BRIEF)
SCARCE = HDPOConfig(batch_size=64, periods=50, persistent=False, lr=0.004, average=0.05, **BRIEF)


def deep_serial(locations):
    """A serial system of any depth; up to 7 locations the published one."""
    if locations <= 7:
        return setting("serial", locations=locations)
    holding = [*(0.1, 0.2, 0.25, 0.3, 0.4, 0.42, 0.44, 0.46)[: locations - 2], 0.5, 1.0]
    leads = [*(2, 4, 1, 3, 2, 2, 1, 3)[: locations - 2], 3, 4]
    law, names = Normal(5.0, 2.0), ["outside", *(f"location {i}" for i in range(locations))]
    network = Network.build(
        supplier("outside"),
        *(warehouse(name, holding=h) for name, h in zip(names[1:-1], holding[:-1], strict=True)),
        store(names[-1], holding=1.0, penalty=9),
        *(edge(names[i], names[i + 1], lead_time=L) for i, L in enumerate(leads)),
        unmet="backlog",
        demand=law,
    )
    costs = {"lead_times": leads[::-1], "holding": holding[::-1], "penalty": 9}
    return Setting(
        "serial",
        network,
        np.array([5.0]),
        np.array([2.0]),
        kind="optimum",
        _reference=lambda: clark_scarf(law, **costs).cost,
    )


def train(given, policy, config, steps, seed=0):
    """Return parameters and CPU seconds; loops are compiled before."""
    hdpo(given, 1, policy=policy, config=config, seeds=(seed,))
    start = time.process_time()
    result = hdpo(given, steps, policy=policy, config=config, seeds=(seed,))
    spent = time.process_time() - start
    parameters = {
        k.removeprefix("policy/"): torch.as_tensor(x)
        for k, x in result.parameters.items()
        if k.startswith("policy/")
    }
    return parameters, spent


def cost_of(policy, parameters, given, samples, periods=400, warm_up=100, seed=65):
    """Return (cost, standard error) in the long run, with the demand's own moments as control variates."""
    law, rng = given.network.demand, np.random.default_rng(seed)
    normal = MultivariateNormal(given.mean, given.sd, getattr(law, "correlation", 0.0), clipped=False)
    drawn = normal.sample(rng, (samples, periods, len(given.mean)))
    demand = torch.as_tensor(np.maximum(drawn, 0.0) if law.clipped else drawn, dtype=torch.float32)
    problem = Problem(given)
    x = torch.as_tensor(given.first_inventory(samples, rng=rng), dtype=torch.float32)[None]
    total = torch.zeros(samples, dtype=torch.float64)
    with torch.no_grad():
        for t in range(periods):
            outcome = problem.simulator.step(
                x, policy.orders(parameters, problem, Seen(x)), demand[None, :, t]
            )
            x = outcome.inventory
            if t >= warm_up:
                total += outcome.cost[0]
    y = total.numpy() / (periods - warm_up) / len(given.mean)
    design = np.column_stack([np.ones(samples), controls(normal, drawn, warm_up)])
    fit, *_ = np.linalg.lstsq(design, y, rcond=None)
    spread = np.sqrt(((y - design @ fit) ** 2).sum() / (samples - design.shape[1]))
    return PolicyCost(float(fit[0]), float(spread / samples**0.5))


def controls(law, demand, warm_up):
    """Return functions of each sample's demand whose expectation is zero, (B, 30)."""
    n = len(law.mean)
    above = math.exp(-0.5) / math.sqrt(2 * math.pi) - 0.5 * math.erfc(1 / math.sqrt(2))  # E (z - 1)^+
    columns = []
    for x, sd in (
        (demand - law.mean, law.sd),
        ((demand - law.mean).sum(axis=-1, keepdims=True), np.sqrt(np.ones(n) @ law.covariance @ np.ones(n))),
    ):
        sums = np.concatenate([np.zeros((len(x), 1, x.shape[2])), x.cumsum(axis=1)], axis=1)
        for k in (1, 3, 5, 7, 9):
            z = (sums[:, warm_up - 8 + k :] - sums[:, warm_up - 8 : -k]) / (sd * math.sqrt(k))
            for f in (z, z**2 - 1, np.maximum(z - 1, 0) - above):
                columns.append(f.mean(axis=(1, 2)))
    return np.column_stack(columns)


def first_cost(policy, given, samples):
    """Return the cost of the parameters with which training starts."""
    start = policy.init(Problem(given), seed_keys([0]))
    return cost_of(policy, start.tensors, given, samples)


def updates(stores):
    """More where an update is cheap: it sees fewer stores."""
    return min(1000 + 50_000 // stores, 8000)


def against(family, sizes, policy, config, steps, args, build):
    """Train on every size, for `steps(stores)` updates; print each row."""
    rows = []
    for n in sizes:
        if args.only not in ("", str(n)):
            continue
        given = build(n)
        samples = args.samples or max(2000, 40_000 // len(given.network.stores))
        first = first_cost(policy, given, samples)
        parameters, spent = train(given, policy, config, args.steps or steps(n), args.seed)
        cost = cost_of(policy, parameters, given, samples)
        best = PUBLISHED[family][n] if family in PUBLISHED else given.reference()
        gap = f"{100 * (cost.cost / best - 1):+.2f}"
        ours = f"{cost.cost:.4f} ± {cost.error:.4f}"
        rows.append([str(n), f"{first.cost:.3f}", ours, f"{best:.4f}", gap, number(spent)])
        print(f"  {rows[-1]}", flush=True)
    beside = "published" if family in PUBLISHED else "reference"
    return table(["size", "at first", "cost", beside, "gap, %", "CPU seconds"], rows)


def one_warehouse(args):
    build = lambda n: setting("one_warehouse", stores=n)  # noqa: E731
    sizes = PUBLISHED["one_warehouse"]
    return against("one_warehouse", sizes, SharedLevelPolicy(), SHARED, updates, args, build)


def transshipment(args):
    build = lambda n: setting("transshipment", stores=n)  # noqa: E731
    sizes, steps = (3, 5, 10, 20, 30, 50), lambda n: 200
    return against("transshipment", sizes, SharedLevelPolicy(), PASSING, steps, args, build)


def many_warehouses(args):
    build = lambda n: setting("many_warehouses", stores=n)  # noqa: E731
    sizes, steps = PUBLISHED["many_warehouses"], lambda n: 4000 + 25_000 // n
    return against("many_warehouses", sizes, SharedLevelPolicy(), MANY, steps, args, build)


def serial(args):
    """Gaps are the mean differences to the optimal levels on the same demand."""
    policy, rows = GNNPolicy(rounds=2, levels=True), []
    for k in (4, 7, 10):
        if args.only not in ("", str(k)):
            continue
        given = deep_serial(k)
        problem, best, gaps = Problem(given), given.reference(), []
        start = policy.init(problem, seed_keys([args.seed])).tensors
        trained, spent = train(given, policy, DEEP, args.steps or 120, args.seed)
        for parameters in (start, trained):
            sizes = {"samples": args.samples or 2000, "periods": 400, "warm_up": 100}
            (cost,) = simulated_cost(policy, parameters, problem, **sizes)
            gaps.append(f"{100 * (cost.cost / best - 1):.3f} ± {100 * cost.error / best:.3f}")
        rows.append([str(k), f"{best:.4f}", *gaps, number(spent)])
        print(f"  {rows[-1]}", flush=True)
    return table(["locations", "optimum", "gap at first, %", "gap trained, %", "CPU seconds"], rows)


def transfer(args):
    """Weights of 50 stores on 500 that they have never seen, and 1,000 stores trained."""
    policy, rows = SharedLevelPolicy(), []
    few, many, most = (setting("one_warehouse", stores=n) for n in (50, 500, 1000))
    parameters, spent = train(few, policy, SHARED, args.steps or updates(50), args.seed)
    here = HDPOConfig(batch_size=16, periods=60, lr=0.01, **BRIEF)
    steps = args.steps or 100
    trained, longer = train(many, policy, here, steps, args.seed)
    largest, longest = train(most, policy, here, steps, args.seed)
    for name, given, weights, seconds in (
        ("500 stores, heuristic", many, policy.init(Problem(many), seed_keys([0])).tensors, 0.0),
        ("500 stores, weights of 50", many, parameters, spent),
        ("500 stores, trained there", many, trained, longer),
        ("1,000 stores, heuristic", most, policy.init(Problem(most), seed_keys([0])).tensors, 0.0),
        ("1,000 stores, weights of 50", most, parameters, spent),
        ("1,000 stores, trained there", most, largest, longest),
    ):
        cost = cost_of(policy, weights, given, args.samples or 200)
        rows.append([name, f"{cost.cost:.4f} ± {cost.error:.4f}", number(seconds)])
        print(f"  {rows[-1]}", flush=True)
    return table(["", "cost", "CPU seconds of training"], rows)


def scenarios(args):
    """A fixed number of paths, used again and again: percent above the bound or the best published cost."""
    rows = []
    for name, published in SCARCE_PUBLISHED.items():
        if args.only not in name:
            continue
        kind, stores = name.rsplit(", ", 1)
        given = setting(kind.replace(" ", "_"), stores=int(stores.split()[0]))
        best = given.reference() if given.kind else PUBLISHED["one_warehouse"][10]
        for count, theirs in published.items():
            row = [name, f"{count:,}"]
            for policy in (GNNPolicy(), SymmetryAwarePolicy(), SharedLevelPolicy(), MLPPolicy((256, 256))):
                parameters = chosen(given, policy, replace(SCARCE, scenarios=count), args)
                cost = cost_of(policy, parameters, given, args.samples or 1000)
                row.append(f"{100 * (cost.cost / best - 1):.2f} ± {100 * cost.error / best:.2f}")
            rows.append([*row, *(f"{x:.2f}" for x in theirs)])
            print(f"  {rows[-1]}", flush=True)
    ours = ["graph network", "symmetry-aware", "shared levels", "perceptron"]
    return table(["", "paths", *ours, "published: graph network", "published: perceptron"], rows)


def chosen(given, policy, config, args):
    """Return the parameters of the step size and the length that cost least on paths of their own.

    If the search is brief, the long run has the step size that is best in the short one.
    """

    def tried(lr, steps):
        parameters, _ = train(given, policy, replace(config, lr=lr), steps, args.seed)
        dev = cost_of(policy, parameters, given, 300, periods=200, warm_up=50, seed=66)
        return dev.cost, lr, parameters

    steps, rates = args.steps or 400, (0.01, 0.004, 0.0015)
    found = [tried(lr, steps // 4) for lr in rates]
    if args.brief:
        rates = [min(found, key=lambda run: run[0])[1]]
    found += [tried(lr, steps) for lr in rates]
    return min(found, key=lambda run: run[0])[2]


def epoch(args):
    """One update of the graph network on 256 paths of 50 periods, as many as an epoch has."""
    rows = []
    for n in (10, 50):
        seconds = [gnn_epoch(n) for _ in range(3)]
        rows.append([str(n), number(min(seconds)), number(256 * 50 / min(seconds))])
        print(f"  {rows[-1]}", flush=True)
    return table(["stores", "CPU seconds", "periods per second"], rows)


def gnn_epoch(stores, samples=256, periods=50):
    """Return the CPU seconds of one epoch: forward, back, and a step of Adam."""
    problem, policy, keys = Problem(setting("one_warehouse", stores=stores)), GNNPolicy(), seed_keys([0])
    config, parameters = HDPOConfig(batch_size=samples, periods=periods), policy.init(problem, keys)
    update, _ = make_update(config, policy, problem, parameters)
    paths, times = Paths(config, problem, keys), [0.0]
    for u in range(2):
        update(paths, u)
        times.append(time.process_time())
    return times[-1] - times[-2]


FAMILIES = {
    f.__name__: f for f in (one_warehouse, transshipment, many_warehouses, serial, transfer, scenarios, epoch)
}


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--family", default="one_warehouse", choices=FAMILIES, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--steps", type=int, help="updates, if not those of the family")
    parser.add_argument("--samples", type=int, help="paths of an evaluation, if not those of the family")
    parser.add_argument("--brief", action="store_true", help="scenarios: step sizes only in short runs")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    section = "hdpo networks serial" if args.family == "serial" else f"hdpo {args.family}"
    section += f", {args.only}" if args.family == "scenarios" and args.only else ""
    publish(section, FAMILIES[args.family](args), args.write)


if __name__ == "__main__":
    main()
