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
# # Lower bounds you can touch
#
# *What no bandit learner can do, seen in simulation.*
#
# An upper bound says that one algorithm is good. A lower bound says something of **all**
# algorithms, also of those that nobody has written yet, and it is harder to believe. Here we build
# the two classical ones, and touch every step of their proofs with a running learner:
#
# 1. two worlds that look alike, and the exact price of telling them apart;
# 2. what follows for any test, and so for any learner;
# 3. the bound of Lai and Robbins: $C \ln T$ for *this* bandit, and the learners that reach it;
# 4. a learner that beats it, and what it pays elsewhere;
# 5. the minimax bound: $\sqrt{A T}$ for the *worst* bandit, and where that bandit is.
#
# You need to know what a Bernoulli variable is, and what a logarithm does. Set `ELUDER_SMOKE=1` for
# a quick run.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from eluder.core.bandits import lai_robbins, minimax
from eluder.envs import bernoulli_bandit
from eluder.tabular.bandits import explore_then_commit, imed, kl_ucb, moss, thompson, tsallis_inf, ucb1

SMOKE = os.environ.get("ELUDER_SMOKE") == "1"
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)
BLUE, ORANGE, GREEN, GREY = "#14507a", "#d1682b", "#3b8f5a", "#8a8a8a"


def runs(learner, bandit, T, n, **options):
    """Play n independent runs."""
    return [learner(bandit, T, **options, rng=np.random.default_rng(seed)) for seed in range(n)]


# %% [markdown]
# ## 1. Two worlds
#
# In world $\nu$ arm 0 pays 1 with probability 0.6 and arm 1 with probability 0.5. World $\nu'$ is
# the same, except that arm 1 pays with probability 0.7: there it is the better one. A learner
# cannot know in which of them it is, unless it plays arm 1 and looks.
#
# After a run the evidence is the logarithm of the likelihood ratio: each reward $x$ of arm 1 adds
# $\ln \frac{\nu_1(x)}{\nu'_1(x)}$, and arm 0 adds nothing, for it is the same in both worlds. Its
# mean in world $\nu$ is
#
# $$\mathbb{E}_\nu[\text{evidence}] = \mathbb{E}_\nu[n_1] \; \mathrm{kl}(0.5, 0.7),$$
#
# whatever the learner does. This **divergence decomposition** is the whole secret: the worlds come
# apart only at the rate at which the arm is played. Let us check it for a learner of ours, written
# out so that we see its rewards.

# %%
MEANS, OTHER = np.array([0.6, 0.5]), np.array([0.6, 0.7])


def kl(p, q):
    """Divergence of two Bernoulli laws."""
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def evidence(T, rng):
    """Play UCB1 in world nu; return the log-likelihood ratio and the plays of arm 1."""
    n, wins, ratio = np.zeros(2), np.zeros(2), 0.0
    for t in range(T):
        a = t if t < 2 else int(np.argmax(wins / n + np.sqrt(2 * np.log(t) / n)))
        x = float(rng.random() < MEANS[a])
        n[a] += 1
        wins[a] += x
        ratio += np.log((MEANS[a] if x else 1 - MEANS[a]) / (OTHER[a] if x else 1 - OTHER[a]))
    return ratio, n[1]


many = np.array([evidence(200, np.random.default_rng(i)) for i in range(300 if SMOKE else 3000)])
error = many[:, 0].std() / np.sqrt(len(many))
predicted = many[:, 1].mean() * kl(0.5, 0.7)
print(f"mean evidence {many[:, 0].mean():.3f} +- {2 * error:.3f}, E[n_1] kl = {predicted:.3f}")
assert abs(many[:, 0].mean() - predicted) < 5 * error

# %% [markdown]
# ## 2. No test is better than its evidence
#
# Let $E$ be any event that can be seen at the end of a run, such as "arm 1 was played more than
# $T/2$ times". In world $\nu$ that is a mistake; in world $\nu'$ its absence is one. The inequality
# of Bretagnolle and Huber bounds the sum of both errors from below:
#
# $$P_\nu(E) + P_{\nu'}(E^c) \;\ge\; \tfrac12 \exp\bigl(-\mathbb{E}_\nu[n_1]\, \mathrm{kl}(0.5, 0.7)\bigr).$$
#
# It is a statement about *every* learner. We hold it against several, for many horizons.

# %%
here, there = bernoulli_bandit(MEANS), bernoulli_bandit(OTHER)
horizons = [10, 20, 50, 100] if SMOKE else [10, 20, 50, 100, 200, 400]
fig, ax = plt.subplots(figsize=(6.2, 3.8))
for learner, color in ((ucb1, BLUE), (thompson, ORANGE), (kl_ucb, GREEN)):
    errors, floors = [], []
    for T in horizons:
        n_here = np.array([run.pulls[1] for run in runs(learner, here, T, 400)])
        n_there = np.array([run.pulls[1] for run in runs(learner, there, T, 400)])
        errors.append((n_here > T / 2).mean() + (n_there <= T / 2).mean())
        floors.append(0.5 * np.exp(-n_here.mean() * kl(0.5, 0.7)))
    ax.semilogx(horizons, errors, "o-", color=color, label=f"{learner.__name__}: both errors")
    ax.semilogx(horizons, floors, "--", color=color, lw=1)
    assert (np.array(errors) >= np.array(floors) - 0.1).all()
ax.set(xlabel="rounds T", ylabel="probability", title="Solid: errors. Dashed: what no learner can go below")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 3. Lai and Robbins
#
# Now turn the inequality round. Suppose that a learner is good on *every* bandit: its regret grows
# more slowly than any power of $T$. Then both errors above must vanish faster than any power, so
# the evidence must grow at least like $\ln T$: $\mathbb{E}_\nu[n_a] \ge \ln T / \mathrm{kl}(\mu_a,
# \mu^*)$ for each arm $a$ that is not best. Every play of it costs its gap, hence
#
# $$\liminf_T \frac{\mathrm{Regret}(T)}{\ln T} \;\ge\; C
# = \sum_{a:\, \Delta_a > 0} \frac{\Delta_a}{\mathrm{kl}(\mu_a, \mu^*)}.$$
#
# The bound is not a rate with a hidden constant: $C$ is a number that we can compute.

# %%
means = np.array([0.5, 0.6, 0.7, 0.8])
bandit = bernoulli_bandit(means)
C = sum((0.8 - p) / kl(p, 0.8) for p in means[:3])
print(f"C = {C:.4f}")
assert np.isclose(C, lai_robbins(bandit))

T, n = (3_000, 20) if SMOKE else (100_000, 100)
fig, ax = plt.subplots(figsize=(6.6, 4.0))
learners = ((ucb1, GREY), (kl_ucb, GREEN), (imed, ORANGE), (thompson, BLUE))
growth = {}
for learner, color in learners:
    mean = np.mean([run.regret for run in runs(learner, bandit, T, n)], axis=0)
    t = learner(bandit, T, rng=np.random.default_rng(0)).checkpoints
    ax.semilogx(t, mean, color=color, label=learner.__name__)
    decade = t >= T / 10
    growth[learner.__name__] = np.polyfit(np.log(t[decade]), mean[decade], 1)[0]
ax.semilogx(t, C * np.log(t), "k--", lw=1.2, label="$C \\ln t$")
ax.set(xlabel="round", ylabel=f"mean regret of {n} runs", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
for name, slope in growth.items():
    print(f"{name:10s} regret per unit of ln t over the last decade: {slope:6.2f}   (C = {C:.2f})")

# %% [markdown]
# Three learners grow at the rate $C$; UCB1 pays several times as much, since Hoeffding's inequality
# believes that every law on $[0, 1]$ varies as much as a fair coin does. A curve may lie *below* $C
# \ln t$: the bound is on the growth, for large $t$, and a constant may be missing on either side.
# What no good learner can do is to grow more slowly for ever.
#
# ## 4. Beating the bound
#
# "Good on every bandit" is an assumption, and without it the theorem is false. Explore each arm 40
# times, then commit to the best for ever. In more than half of the runs the regret is 24 and never
# grows: for large $T$ it is far below $C \ln T$. But the evidence was not paid for, and with a fixed
# probability the commitment is to a wrong arm.

# %%
budgets = [300, 1_000, 3_000] if SMOKE else [1_000, 10_000, 100_000]
for T in budgets:
    hasty = [run.regret[-1] for run in runs(explore_then_commit, bandit, T, 200, m=40)]
    careful = [run.regret[-1] for run in runs(kl_ucb, bandit, T, 40)]
    print(
        f"T = {T:>7,}: C ln T = {C * np.log(T):4.1f}; commit after 40 plays: median {np.median(hasty):5.1f}, "
        f"mean {np.mean(hasty):7.1f}; kl_ucb: mean {np.mean(careful):6.1f}"
    )

# %% [markdown]
# The median beats the bound, the mean is linear in $T$, as it must be for a learner that gives up
# with a fixed probability.
#
# ## 5. The worst bandit
#
# Fix the horizon and let the *world* move. If the gap is large, it is soon seen; if it is tiny, it
# does not matter. In between lies a gap of order $\sqrt{A/T}$, too small to be seen in $T$ rounds
# and large enough to hurt. There no learner has a regret below $\sqrt{A T}/20$ on all of the $A$
# worlds in which one arm is better by that gap (Auer et al., 2002).

# %%
A, T, n = (5, 1_000, 10) if SMOKE else (10, 10_000, 40)
gaps = np.geomspace(0.2, 12, 7 if SMOKE else 11) * np.sqrt(A / T)
gaps = gaps[gaps < 0.5]
fig, ax = plt.subplots(figsize=(6.6, 4.0))
worst = {}
for learner, color in ((ucb1, GREY), (moss, ORANGE), (tsallis_inf, GREEN), (thompson, BLUE)):
    regret = []
    for gap in gaps:
        world = bernoulli_bandit(np.append(np.full(A - 1, 0.5), 0.5 + gap))
        regret.append(np.mean([run.regret[-1] for run in runs(learner, world, T, n)]))
    ax.semilogx(gaps / np.sqrt(A / T), regret, "o-", color=color, label=learner.__name__)
    worst[learner.__name__] = max(regret)
floor = float(minimax(A, T))
ax.axhline(floor, color="black", ls="--", lw=1.2)
ax.text(gaps[0] / np.sqrt(A / T), 1.1 * floor, "$\\sqrt{AT}/20$")
ax.set(xlabel="gap, in units of $\\sqrt{A/T}$", ylabel=f"mean regret after {T:,} rounds", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
for name, regret in worst.items():
    print(f"{name:12s} worst regret / sqrt(A T) = {regret / np.sqrt(A * T):.2f}   (no learner: below 0.05)")
    assert regret >= floor

# %% [markdown]
# The peak of each curve is where the theorem says it is. Between $\sqrt{AT}/20$ and the best
# learner there is still a factor: lower bounds have constants too, and this one is not the last
# word.
#
# **To go on.** Change `MEANS` in section 1 so that the worlds differ in both arms: the evidence
# then has two terms. Move the means of section 3 towards 0 or 1, where Hoeffding's inequality is
# worst, and see UCB1 lose more. Play `exp3` in section 5: it is built for adversaries, and pays for
# that here.
#
# **References.** Lai and Robbins, *Asymptotically efficient adaptive allocation rules* (1985).
# Bretagnolle and Huber, *Estimation des densités: risque minimax* (1979). Auer, Cesa-Bianchi,
# Freund and Schapire, *The nonstochastic multiarmed bandit problem* (2002). Lattimore and
# Szepesvári, *Bandit Algorithms* (2020), chapters 13 to 16.
