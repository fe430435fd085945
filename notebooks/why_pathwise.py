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
# # Why a pathwise gradient needs so few samples
#
# *Two ways to differentiate an expectation, and what each pays for not knowing.*
#
# A policy orders, demand comes, costs follow. How does the expected cost change with the policy? There
# are two unbiased answers. The **score function** (REINFORCE) asks only for costs: it makes the policy
# random and reinforces what turned out cheap. The **pathwise** gradient (HDPO) differentiates the
# simulator along each sample path. Here we
#
# 1. write both for one period, where the answer is a formula;
# 2. see why one of them explodes as the noise shrinks, and the other does not;
# 3. go to a store with lost sales and several periods, and measure;
# 4. give the score function what it lacks: paths with the same demand;
# 5. count the periods that each needs to come within 1 % of the exact optimum;
# 6. and see where the pathwise gradient is the wrong tool.
#
# You need the newsvendor problem and the chain rule. Set `ELUDER_SMOKE=1` for a quick run.

# %%
import os
import warnings
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
import torch

from eluder.deep.common.training import Schedule
from eluder.deep.inventory import (
    HDPOConfig,
    InventoryPPOConfig,
    ReinforceConfig,
    gradient_noise,
    hdpo,
    inventory_ppo,
    reinforce,
)
from eluder.envs.inventory import setting

SMOKE = os.environ.get("ELUDER_SMOKE") == "1"
torch.set_num_threads(1)
warnings.filterwarnings("ignore", category=UserWarning)  # a busy machine
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)
BLUE, ORANGE, GREEN, GREY = "#14507a", "#d1682b", "#3b8f5a", "#8a8a8a"

# %% [markdown]
# ## 1. One period
#
# Order $a = \theta + \sigma\varepsilon$ with $\varepsilon \sim N(0, 1)$; demand $D \sim N(10, 3^2)$;
# cost $f(a, D) = h (a - D)^+ + p (D - a)^+$. The expected cost $J(\theta)$ has the derivative
#
# $$ J'(\theta) = (h + p)\,\Phi\Bigl(\frac{\theta - 10}{\sqrt{9 + \sigma^2}}\Bigr) - p . $$
#
# *Score function:* $J' = \mathrm E\, f(a, D)\, \partial_\theta \ln N(a; \theta, \sigma^2) =
# \mathrm E\, f\, \varepsilon / \sigma$. *Pathwise:* $\theta$ moves $a$, $a$ moves $f$, so
# $J' = \mathrm E\, \partial_a f(a, D)$, which is $h$ or $-p$. Both are means of things that we can draw.

# %%
h, p, mu, sd, theta = 1.0, 9.0, 10.0, 3.0, 13.0
rng = np.random.default_rng(0)


def exact(theta, sigma):
    """The derivative in closed form."""
    return (h + p) * NormalDist().cdf((theta - mu) / np.hypot(sd, sigma)) - p


def estimates(theta, sigma, n=200_000):
    """Draws of both estimators."""
    eps, D = rng.standard_normal(n), rng.normal(mu, sd, n)
    a = theta + sigma * eps
    cost = h * np.maximum(a - D, 0) + p * np.maximum(D - a, 0)
    return cost * eps / sigma, np.where(a > D, h, -p)


for name, draws in zip(("score", "pathwise"), estimates(theta, 1.0)):
    error = draws.std() / np.sqrt(draws.size)
    print(f"{name:9} {draws.mean():7.3f} +- {error:.3f}   exact {exact(theta, 1.0):.3f}")
    assert abs(draws.mean() - exact(theta, 1.0)) < 4 * error

# %% [markdown]
# ## 2. What the noise does
#
# We do not want a random policy; $\sigma$ is only there so that there is a density to differentiate. As
# it shrinks, the score function multiplies a cost that hardly changes by $\varepsilon / \sigma$, which
# grows. A *baseline* $b$, subtracted from the cost, helps, but not against the part of the cost that
# demand makes:
#
# $$ \mathrm{Var} \approx \frac{\mathrm{Var}(f) + (\mathrm E f - b)^2}{\sigma^2} . $$
#
# The derivative along the path stays between $-p$ and $h$ whatever $\sigma$ is. A baseline that knows the
# demand, $b = f(\theta, D)$, takes the $1/\sigma^2$ away: what is left is $f(a, D) - f(\theta, D)
# \approx \sigma\varepsilon f'$. Keep that in mind for section 4.

# %%
sigmas = np.geomspace(0.05, 3, 9)
rows = []
for sigma in sigmas:
    eps, D = rng.standard_normal(100_000), rng.normal(mu, sd, 100_000)
    f = lambda a: h * np.maximum(a - D, 0) + p * np.maximum(D - a, 0)  # noqa: B023, E731
    score = eps / sigma
    cost = f(theta + sigma * eps)
    path = np.where(theta + sigma * eps > D, h, -p)
    rows.append(
        [x.var() for x in (cost * score, (cost - cost.mean()) * score, (cost - f(theta)) * score, path)]
    )
fig, ax = plt.subplots(figsize=(6, 3.4))
labels = ("score", "score, mean as baseline", "score, same demand as baseline", "pathwise")
for y, label, color in zip(np.array(rows).T, labels, (GREY, ORANGE, GREEN, BLUE)):
    ax.loglog(sigmas, y, "o-", color=color, label=label)
ax.set(xlabel=r"noise $\sigma$", ylabel="variance of one draw")
ax.legend(frameon=False)
plt.show()
assert rows[0][0] > 100 * rows[-1][0]
assert rows[0][3] < 1.5 * rows[-1][3]

# %% [markdown]
# ## 3. Several periods
#
# A store with lost sales, Poisson demand and a lead time of four periods. A good policy first (it takes
# seconds, see below), and then both gradients of its $10^3$ parameters, path by path. The reward for an
# order comes four periods later, among the costs of all other orders: in the score function every cost is
# multiplied by the sum of all scores before it. The longer the path, the more of that.

# %%
lost = setting("lost_sales", lead_time=4, penalty=9)
silent = Schedule(evaluate_every=0, log_every=0, save_every=0)
trained = hdpo(lost, 40 if SMOKE else 150, config=HDPOConfig(batch_size=256), schedule=silent)
print(f"gap of the policy: {trained.gap[0]:.2%}")
named = trained.parameters.items()
parameters = {k.removeprefix("policy/"): torch.as_tensor(x) for k, x in named if k.startswith("policy/")}
paths = 512 if SMOKE else 4096

for sigma in (0.1, 0.4):  # in mean demands
    along = gradient_noise(lost, "pathwise", parameters=parameters, paths=paths, sigma=sigma)
    alone = gradient_noise(lost, "score", parameters=parameters, paths=paths, copies=1, sigma=sigma)
    z = (along.gradient - alone.gradient) / np.hypot(along.error, alone.error).clip(1e-12)
    print(
        f"sigma {sigma}: variance {along.variance:9.3g} pathwise, {alone.variance:9.3g} score,"
        f" ratio {alone.variance / along.variance:7.0f}; distance of the means: {np.abs(z).max():.1f} errors"
    )
    assert along.variance * 10 < alone.variance

# %% [markdown]
# Same mean, other noise. A ratio of a thousand means a thousand times as many paths for a gradient as good.
#
# ## 4. The same demand twice
#
# Demand does not depend on what we order. So we may play several *copies* of a path: same first state,
# same demand, other noise. What the other copies cost is a baseline that knows the demand, and it is
# unbiased, since their noise is not ours. That is the leave-one-out baseline of `reinforce`.

# %%
along = gradient_noise(lost, "pathwise", parameters=parameters, paths=paths)
copies = [1, 2, 4, 16]
ratios = [
    gradient_noise(lost, "score", parameters=parameters, paths=paths, copies=K).variance / along.variance
    for K in copies
]
for K, ratio in zip(copies, ratios):
    print(f"{K:2} copies: {ratio:7.0f} times the variance of the pathwise gradient, path for path")
assert ratios[-1] < 0.3 * ratios[0]

# %% [markdown]
# Most of the noise was demand. This trick is open to whoever owns the simulator or has a record of demand
# that orders did not cause, the same people who can differentiate. What stays is the price of looking at
# the cost of a path and not at its slope: the score function sees *one number per path*, the pathwise
# gradient one slope for *each order*.
#
# ## 5. Samples to 1 %
#
# The exact optimum is known, and so is the exact cost of each policy on the way. Every method trains the
# same network. Counted is each period that was played, copies too.

# %%
store = setting("lost_sales", lead_time=2, penalty=9)
runs = {
    "pathwise": (hdpo, HDPOConfig(batch_size=64), 100, BLUE),
    "score, 16 copies": (reinforce, ReinforceConfig(batch_size=128), 150, GREEN),
    "score, alone": (reinforce, ReinforceConfig(batch_size=512, copies=1), 150, GREY),
    "PPO": (inventory_ppo, InventoryPPOConfig(batch_size=128), 200, ORANGE),
}
fig, ax = plt.subplots(figsize=(6, 3.4))
for name, (train, config, steps, color) in runs.items():
    steps = 20 if SMOKE else steps
    schedule = Schedule(evaluate_every=10, log_every=0, save_every=0)
    result = train(store, steps, config=config, schedule=schedule)
    gap = -result.returns[:, 0, 0] / store.reference() - 1
    played = result.steps * config.batch_size * config.periods
    ax.loglog(played, gap, "o-", ms=3, color=color, label=name)
    good = np.flatnonzero(gap <= 0.01)
    when = f"{played[good[0]] / 1000:,.0f} thousand periods" if good.size else "not yet"
    print(f"{name:17} 1 % after {when}; {gap[-1]:.2%} after {played[-1] / 1000:,.0f} thousand")
ax.axhline(0.01, color=GREY, lw=1, ls=":")
ax.set(xlabel="periods played", ylabel="exact gap", ylim=(1e-3, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# On one store the copies bring the score function within a small factor of the pathwise gradient: there is
# one order a period to which a cost may belong. Without copies it needs an order of magnitude more, and
# PPO, whose learnt value does not know the demand, more still.
#
# ## 6. Where the path has no slope
#
# A fixed cost is due whenever anything is ordered, however little. Along a path its slope is zero almost
# everywhere, so the pathwise gradient does not know that it exists: it learns to order every period. The
# score function sees the bill. With whole units the same holds: `reinforce` rounds before it plays.

# %%
lumpy = setting("fixed_cost")  # 64 for an order, mean demand 10; an (s, S) policy is optimal
steps = 40 if SMOKE else 300
noisy = ReinforceConfig(batch_size=512, periods=20, sigma=0.5)
scored = reinforce(lumpy, steps, config=noisy, schedule=silent)
smooth = hdpo(lumpy, steps, config=HDPOConfig(batch_size=256), schedule=silent)
print(f"optimum {lumpy.reference():.2f}")
print(f"above it: {scored.gap[0]:.0%} by the score function, {smooth.gap[0]:.0%} along the path")
assert scored.gap[0] < 0.8 * smooth.gap[0]

# %% [markdown]
# Use the pathwise gradient where cost is a piecewise smooth function of what you choose; kinks do no harm,
# jumps do. Use the score function, with common demand, where there are jumps.
