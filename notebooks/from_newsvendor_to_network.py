# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From newsvendor to network
#
# *One critical ratio, carried upstream until it breaks, and what takes its place.*
#
# How much should a shop order? For one shop and one day the answer is a quantile. This notebook carries
# that quantile as far as it goes and checks every step against an exact answer:
#
# 1. one day: the newsvendor;
# 2. a lead time: the same quantile, of more days (backlogged demand);
# 3. several stages in a row: a quantile for every echelon (Clark and Scarf);
# 4. lost sales: no quantile any more, but a dynamic program, and rules of thumb;
# 5. a policy that is trained instead, and its exact distance to the optimum;
# 6. a warehouse with many shops, where nobody knows the optimum.
#
# You need probability and a little Python. Set `ELUDER_SMOKE=1` for a quick run.

# %%
import os
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch

from eluder.deep.inventory import HDPOConfig, LevelPolicy, hdpo, heuristic_levels
from eluder.envs.inventory import (
    BaseStock,
    CappedBaseStock,
    ConstantOrder,
    Poisson,
    ProjectedInventory,
    backlogged_optimum,
    best_store_policy,
    clark_scarf,
    lost_sales_plan,
    newsvendor,
    order_up_to,
    setting,
    shang_song,
    simulate,
    store_policy_cost,
)

SMOKE = os.environ.get("ELUDER_SMOKE") == "1"
torch.set_num_threads(1)
warnings.filterwarnings("ignore", category=UserWarning)  # a busy machine
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)
BLUE, ORANGE, GREEN, GREY = "#14507a", "#d1682b", "#3b8f5a", "#8a8a8a"
demand = Poisson(5.0)

# %% [markdown]
# ## 1. One day
#
# Put $S$ units on the shelf; $D$ are asked for. Each left over costs $h = 1$, each missing $p = 9$. One
# more unit is worth it as long as
#
# $$ p\,\mathbb P(D > S) > h\,\mathbb P(D \le S), $$
#
# so the best $S$ is the smallest with $\mathbb P(D \le S) \ge p / (p + h)$, the **critical ratio**.

# %%
p = demand.pmf()
d = np.arange(len(p))
cost = [9 * p @ np.maximum(d - S, 0) + p @ np.maximum(S - d, 0) for S in range(16)]
best = newsvendor(demand, penalty=9)
assert int(np.argmin(cost)) == best.level == int(np.argmax(np.cumsum(p) >= 9 / 10))
assert np.isclose(min(cost), best.cost)
print(f"order up to {best.level:.0f}: cost {best.cost:.4f} a day")

# %% [markdown]
# ## 2. A lead time
#
# Now an order arrives $L$ days later, and customers wait for what is missing. What is ordered today meets
# its first demand at the end of a window of $L + 1$ days, and whatever is on the way already will have
# arrived by then. So only the **position** counts, stock plus orders under way, and the same ratio holds
# for the demand of $L + 1$ days.

# %%
for L in (0, 1, 2, 4):
    found = newsvendor(demand, penalty=9, periods=L + 1)
    print(f"L = {L}: order up to {found.level:>2.0f}, cost {found.cost:.4f}")
    if L:
        assert found.level == backlogged_optimum(demand, lead_time=L, penalty=9).level

exact = store_policy_cost(
    lambda x: np.maximum(backlogged_optimum(demand, lead_time=2, penalty=9).level - x.sum(axis=1), 0),
    demand,
    lead_time=2,
    penalty=9,
    lost=False,
)
assert np.isclose(exact, backlogged_optimum(demand, lead_time=2, penalty=9).cost)
print(f"the Markov chain of that rule, solved: {exact:.4f}")

# %% [markdown]
# ## 3. Stages in a row
#
# A factory feeds a warehouse, the warehouse a shop. Clark and Scarf (1960) saw that each stage can look
# at its **echelon**, all stock from there down to the customer, and that the optimal rule is again a level
# for each. The shop's level is a newsvendor's; the next stage's trades its own holding cost against what
# it makes the shop miss, an induced penalty that the recursion computes. Shang and Song (2003) bracket
# every level between two newsvendors.

# %%
costs = {"lead_times": [2, 3, 2], "holding": [1.0, 0.5, 0.2], "penalty": 9}  # the shop comes first
chain, bounds = clark_scarf(demand, **costs), shang_song(demand, **costs)
print("stage      below   level   above")
for name, low, level, high in zip(("shop", "warehouse", "factory"), bounds.lower, chain.levels, bounds.upper):
    print(f"{name:<9} {low:>6.0f} {level:>7.0f} {high:>7.0f}")
    assert low <= level <= high
print(f"optimal cost {chain.cost:.4f}")

# %% [markdown]
# ## 4. Lost sales
#
# If customers do not wait, the position is not enough: stock now and stock in three days are no longer
# the same, because what arrives after a stock-out comes too late. There is no quantile; the state is the
# whole pipeline. For short lead times it can be solved exactly, and the rules of thumb be measured
# exactly too.

# %%
L, penalty = 3, 4
plan = lost_sales_plan(demand, lead_time=L, penalty=penalty)
rules = {
    "constant order": best_store_policy(ConstantOrder, demand, lead_time=L, penalty=penalty),
    "base stock": best_store_policy(BaseStock, demand, lead_time=L, penalty=penalty),
    "capped base stock": best_store_policy(CappedBaseStock, demand, lead_time=L, penalty=penalty),
    "projected inventory": best_store_policy(ProjectedInventory, demand, lead_time=L, penalty=penalty),
}
gaps = {name: 100 * (rule.cost / plan.gain - 1) for name, rule in rules.items()}
print(f"optimum {plan.gain:.6f}, certified within {plan.gap:.0e}")
for name, rule in rules.items():
    print(f"{name:<20} {rule.cost:.6f}  {gaps[name]:>6.2f} % above")

# %% [markdown]
# ## 5. A policy that is trained
#
# Costs are known functions of orders and demand, so the cost of a path can be differentiated in the
# policy's parameters. The policy below orders up to a level that depends on the whole pipeline; it starts
# at the newsvendor's level of part 2, which customers who do not wait make wrong. Its exact cost, as a
# Markov chain, follows the training.

# %%
store = setting("lost_sales", lead_time=L, penalty=penalty)
curve = []
for steps in (1, 25, 50, 100) if SMOKE else (1, 25, 50, 100, 200, 400):
    result = hdpo(store, steps, policy=LevelPolicy(), config=HDPOConfig(batch_size=256), seeds=(0, 1))
    curve.append((steps, 100 * result.gap.mean()))
    print(f"{steps:>4} updates: {curve[-1][1]:.3f} % above the optimum")
assert curve[-1][1] < 1.0

fig, ax = plt.subplots(figsize=(6.2, 3.6))
ax.plot(*zip(*curve, strict=True), "o-", color=BLUE, label="trained policy")
for (name, gap), color in zip(list(gaps.items())[1:], (ORANGE, GREEN, GREY), strict=True):
    ax.axhline(gap, color=color, ls="--", label=name)
ax.set(xscale="log", yscale="log", xlabel="updates", ylabel="above the optimum, %")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 6. A warehouse and its shops
#
# Ten shops with demand that moves together, one warehouse that may hold stock for whoever needs it most.
# No optimum is known. Levels from newsvendors, with the warehouse's echelon covering both lead times, are
# where a planner would start, and where training starts too.

# %%
network = setting("one_warehouse", stores=10)
rng = np.random.default_rng(0)
paths = network.network.demand.sample(rng, (200, 200, 10))
rule = order_up_to(network.network, heuristic_levels(network), echelon=True)
first = simulate(network.network, rule, demand=paths, warm_up=50).cost.mean() / 10
trained = hdpo(
    network, 30 if SMOKE else 200, policy=LevelPolicy(), config=HDPOConfig(batch_size=64, samples=256)
)


def orders(seen):
    """What the trained policy orders."""
    return trained.policy(seen.inventory[None])[0]


now = simulate(network.network, orders, demand=paths, warm_up=50).cost.mean() / 10
print(
    f"newsvendor levels {first:.3f}, trained {now:.3f} per shop and period ({100 * (now / first - 1):+.1f} %)"
)
assert now < first

# %% [markdown]
# ## What to take away
#
# - One ratio, $p / (p + h)$, runs from one day to whole chains, as long as customers wait.
# - Lost sales break it: the pipeline's shape matters, and base stock is several per cent off.
# - Where a simulator can be differentiated, a policy is trained in seconds, and where the chain can be
#   solved, its distance to the optimum is a number and not a hope.
# - Weights that all shops share ({class}`eluder.deep.inventory.SharedLevelPolicy`,
#   {class}`eluder.deep.inventory.GNNPolicy`) go on where this last policy, one perceptron for all, stops.
