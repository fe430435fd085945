"""Inventory: a store with lost sales. Optima of Zipkin's instances, and the heuristics' exact gaps.

CPU seconds of one thread after one call that is not counted (compilation). See README.md.
"""

import os

from common import ONE_THREAD

os.environ.update(ONE_THREAD)

import statistics
import time
from functools import partial

from common import arguments, number, publish, table

from eluder.envs.inventory import (
    BaseStock,
    CappedBaseStock,
    ConstantOrder,
    Geometric,
    MyopicOrder,
    Poisson,
    ProjectedInventory,
    best_store_policy,
    lost_sales_plan,
    store_policy_cost,
)

LAWS = {"Poisson": Poisson(5.0), "Geometric": Geometric(5.0)}
PENALTIES = (4.0, 9.0, 19.0, 39.0)
SEARCHES = {
    "base stock": partial(best_store_policy, BaseStock),
    "capped": partial(best_store_policy, CappedBaseStock),
    "projected": partial(best_store_policy, ProjectedInventory),
    "constant": partial(best_store_policy, ConstantOrder),
}


def timed(f, *args, **options):
    """Return what a call returns, and its CPU seconds."""
    start = time.process_time()
    result = f(*args, **options)
    return result, time.process_time() - start


def optima(only, repeat):
    """Solve each instance; return its rows, the plans' costs by instance, and the seconds of all."""
    rows, costs, total = [], {}, 0.0
    for name, law in LAWS.items():
        for L in (1, 2, 3, 4):
            for penalty in PENALTIES:
                case = f"{name} L={L} p={penalty:g}"
                if only not in case:
                    continue
                runs = [timed(lost_sales_plan, law, lead_time=L, penalty=penalty) for _ in range(repeat)]
                plan, seconds = runs[0][0], statistics.median(s for _, s in runs)
                costs[name, L, penalty] = plan.gain
                total += seconds
                rows.append(
                    [case, f"{plan.gain:.9f}", f"{plan.gap:.0e}", f"{len(plan.V):,}", number(seconds)]
                )
    return rows, costs, total


def heuristics(costs):
    """Return a row per instance with Poisson demand: how far each heuristic is above the optimum."""
    rows = []
    for (name, L, penalty), optimum in costs.items():
        if name != "Poisson":
            continue
        law, problem = LAWS[name], {"lead_time": L, "penalty": penalty}
        row, seconds = [f"{name} L={L} p={penalty:g}"], 0.0
        for search in SEARCHES.values():
            best, spent = timed(search, law, **problem)
            row.append(f"{100 * (best.cost / optimum - 1):.2f} %")
            seconds += spent
        myopic, spent = timed(store_policy_cost, MyopicOrder(law, penalty=penalty), law, **problem)
        rows.append([*row, f"{100 * (myopic / optimum - 1):.2f} %", number(seconds + spent)])
    return rows


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=3)
    args = parser.parse_args()
    for search in SEARCHES.values():  # compile
        search(LAWS["Poisson"], lead_time=1, penalty=4.0)
    lost_sales_plan(LAWS["Poisson"], lead_time=2, penalty=4.0)
    rows, costs, total = optima(args.only, args.repeat)
    text = table(["store with lost sales", "optimal cost", "certified gap", "states", "CPU s"], rows)
    text += f"\n\nAll {len(rows)} together: {number(total)} CPU s.\n\n"
    text += "Above the optimum, each family with its best parameters:\n\n"
    text += table(["", *SEARCHES, "myopic", "CPU s, all searches"], heuristics(costs))
    publish("inventory", text, args.write)


if __name__ == "__main__":
    main()
