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
# # Optimism from scratch
#
# *UCBVI line by line, checked against dynamic programming.*
#
# An agent is put into a world that it does not know. It acts in episodes; each episode earns some
# reward. How much less will it earn, in total, than an agent that knew the world from the start?
# That shortfall is the **regret**, and this notebook builds, from nothing but NumPy, an algorithm
# whose regret provably stays small: UCBVI, by Azar, Osband and Munos (2017).
#
# We write each line ourselves, and we check each line against an exact answer:
#
# 1. a world in which an honest but shy agent fails;
# 2. dynamic programming, which tells us the right answer;
# 3. an agent that believes its data, and how it goes wrong;
# 4. the bonus, where it comes from, and a check that it does what it must;
# 5. the whole algorithm in thirty lines, and its regret;
# 6. the proof, as two curves;
# 7. the library's version: the same numbers, hundreds of times faster.
#
# You need to know what a Markov decision process is, and a little probability. Set `ELUDER_SMOKE=1`
# for a quick run.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

SMOKE = os.environ.get("ELUDER_SMOKE") == "1"
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)
BLUE, ORANGE, GREEN, GREY = "#14507a", "#d1682b", "#3b8f5a", "#8a8a8a"

# %% [markdown]
# ## 1. A river
#
# Six states in a row. The agent starts at the left bank. Action 0 drifts left, and always works; at
# the left bank it pays a crumb, 0.005 each time. Action 1 swims right against the current: it may
# succeed, stay where it is, or even be swept back. At the right bank swimming pays 1. This world is
# called *RiverSwim* (Strehl and Littman, 2008), and it is the standard trap: the crumb is close and
# certain, the treasure is far away, and on the way nothing at all is earned.

# %%
S, A, H = 6, 2, 20

P = np.zeros((S, A, S))  # P[s, a, s'] is the probability of s' after action a in state s
r = np.zeros((S, A))  # r[s, a] is the reward

for s in range(S):
    P[s, 0, max(s - 1, 0)] = 1.0
P[0, 1, [0, 1]] = 0.4, 0.6
for s in range(1, S - 1):
    P[s, 1, [s - 1, s, s + 1]] = 0.05, 0.6, 0.35
P[S - 1, 1, [S - 2, S - 1]] = 0.4, 0.6
r[0, 0], r[S - 1, 1] = 0.005, 1.0

assert np.allclose(P.sum(axis=-1), 1.0)

# %% [markdown]
# ## 2. The right answer, by dynamic programming
#
# With the world known, the best policy follows from the end backwards. With $V_H = 0$,
#
# $$
# Q_h(s, a) = r(s, a) + \sum_{s'} P(s' \mid s, a)\, V_{h+1}(s'),
# \qquad V_h(s) = \max_a Q_h(s, a).
# $$
#
# The value of any other policy $\pi$ follows from the same recursion with $\pi_h(s)$ in the place
# of the maximum. Both are exact. We shall use them as the measuring rod: the agent never sees them.


# %%
def plan(P, r, H):
    """Backward induction: Q (H, S, A) and V (H + 1, S)."""
    S, A = r.shape
    Q, V = np.zeros((H, S, A)), np.zeros((H + 1, S))
    for h in reversed(range(H)):
        Q[h] = r + P @ V[h + 1]
        V[h] = Q[h].max(axis=1)
    return Q, V


def evaluate(P, r, pi):
    """Exact value (H + 1, S) of the policy pi (H, S)."""
    H, S = pi.shape
    V, rows = np.zeros((H + 1, S)), np.arange(S)
    for h in reversed(range(H)):
        V[h] = r[rows, pi[h]] + P[rows, pi[h]] @ V[h + 1]
    return V


Q_star, V_star = plan(P, r, H)
pi_star = Q_star.argmax(axis=-1)
always_left = np.zeros((H, S), int)

assert np.isclose(evaluate(P, r, pi_star)[0, 0], V_star[0, 0])
print(f"best return from the left bank:   {V_star[0, 0]:.3f}")
print(f"return of the crumbs at the left: {evaluate(P, r, always_left)[0, 0]:.3f}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
image = left.imshow(V_star[:H].T, aspect="auto", origin="lower", cmap="viridis")
left.set(xlabel="stage h", ylabel="state s", title="Optimal value $V^*_h(s)$")
fig.colorbar(image, ax=left, label="reward still to come")
right.imshow(pi_star.T, aspect="auto", origin="lower", cmap="RdYlBu_r", vmin=-0.3, vmax=1.3)
right.set(xlabel="stage h", ylabel="state s", title="Optimal action: swim (red), drift (blue)")
plt.show()

# %% [markdown]
# Swim, says the optimal policy, except near the end of an episode, when the treasure can no longer
# be reached and the crumb is all there is.
#
# ## 3. An agent that believes its data
#
# Now the world is unknown. The agent knows the rewards and the horizon, but not $P$. The obvious
# plan: count what happened, believe the frequencies, plan in the believed world, act, count again.
#
# $$
# \widehat P(s' \mid s, a) = \frac{N(s, a, s')}{N(s, a)}.
# $$
#
# Pairs never tried have no frequencies. We let the agent believe that they stay where they are; it
# then sees no reason to try them.


# %%
def act(P, pi, N, rng):
    """Play one episode from the left bank and count the transitions, in place."""
    s = 0
    for h in range(len(pi)):
        s_next = rng.choice(len(P), p=P[s, pi[h, s]])
        N[s, pi[h, s], s_next] += 1
        s = s_next


def believer(K, rng):
    """Plan in the empirical world. Returns the exact value of each episode's policy."""
    N = np.zeros((S, A, S))
    value = np.empty(K)
    for k in range(K):
        n = N.sum(axis=-1, keepdims=True)
        stay = np.broadcast_to(np.eye(S)[:, None, :], (S, A, S))
        P_hat = np.where(n > 0, N / np.maximum(n, 1), stay)
        pi = plan(P_hat, r, H)[0].argmax(axis=-1)
        value[k] = evaluate(P, r, pi)[0, 0]  # measurement: the agent does not see it
        act(P, pi, N, rng)
    return value


K = 60 if SMOKE else 400
shy = believer(K, np.random.default_rng(0))
print(
    f"value of its policy: first episode {shy[0]:.3f}, last episode {shy[-1]:.3f}, optimum {V_star[0, 0]:.3f}"
)
assert shy[-1] < 0.5 * V_star[0, 0]

# %% [markdown]
# It eats crumbs forever. Nothing it has seen is wrong. What it has not seen will stay unseen, since
# the belief itself decides what is looked at. Its regret grows by the same amount in each episode:
# a straight line.
#
# ## 4. The bonus
#
# The repair is to plan not with the frequencies, but with the *best world that the data do not
# exclude*. Then either this best world is true, and the agent acts optimally; or it is not, and
# acting on it brings data that exclude it. Nothing is lost forever.
#
# The best world need not be searched for. It is enough that the plan adds to each pair a **bonus**
# that covers the error of the frequencies *in the only direction that matters*: the optimal value
# of the next state. Values at stage $h + 1$ lie in $[0, H]$, so Hoeffding's inequality says that
# after $n$ visits
#
# $$
# \Bigl| \sum_{s'} \bigl(\widehat P(s' \mid s, a) - P(s' \mid s, a)\bigr)\, V^*_{h+1}(s') \Bigr|
# \;\le\; H \sqrt{\frac{\ln(2 / \delta')}{2 n}}
# \qquad \text{with probability } 1 - \delta'.
# $$
#
# We can watch this happen, because we know $V^*$. Draw $n$ successors of one pair, many times over,
# and compare the errors with the bound.

# %%
trials = 500 if SMOKE else 4_000
rng = np.random.default_rng(1)
delta = 0.05
target = V_star[1]
truth = P[3, 1] @ target
sizes = np.array([1, 3, 10, 30, 100, 300, 1_000])
errors = np.array(
    [[abs(rng.multinomial(n, P[3, 1]) / n @ target - truth) for _ in range(trials)] for n in sizes]
)
bound = H * np.sqrt(np.log(2 / delta) / (2 * sizes))

fig, axes = plt.subplots(figsize=(6.4, 3.4))
axes.loglog(
    sizes, np.quantile(errors, 0.95, axis=1), "o-", color=BLUE, label="95% of the errors stay below this"
)
axes.loglog(sizes, bound, color=ORANGE, label="Hoeffding's bound")
axes.set(
    xlabel="visits n",
    ylabel=r"error of $\widehat{P} V^*$",
    title="The error of the frequencies, in the direction of $V^*$",
)
axes.legend(frameon=False)
plt.show()

for n, error, b in zip(sizes, errors, bound, strict=True):
    assert (error > b).mean() <= delta, n

# %% [markdown]
# Two things are worth seeing. Both lines fall like $1/\sqrt n$: the bonus has the right *shape*.
# And the bound is many times too large: it only knows that values lie in $[0, H]$, while the values
# that can follow this pair lie close together. (That is what Bernstein's inequality repairs; see
# the last section.) The bound must hold for all pairs, stages and counts at once, which replaces
# $\delta'$ by $\delta / (\text{their number})$. That costs only a logarithm.
#
# ## 5. UCBVI in thirty lines
#
# Write $L = \ln(5 S A K H / \delta)$. The bonus of the paper is $7 H L / \sqrt n$. We multiply it
# by $c$; the paper has $c = 1$, and experiments use less, because the constants of the proof are
# generous.
#
# ```text
# for k = 1, ..., K:
#     for h = H-1, ..., 0 and each visited (s, a):                        # plan
#         P_hat      <- N(s, a, .) / N(s, a)
#         Q[h, s, a] <- min(Q[h, s, a], H - h, r(s, a) + P_hat V[h+1] + bonus)
#         V[h, s]    <- max_a Q[h, s, a]
#     play an episode with argmax Q;  count                               # act, update
# ```
#
# Three details carry the proof. Pairs that were never visited keep the largest possible value, $H -
# h$. Values are cut off at $H - h$, as nothing more can be earned. And $Q$ never increases: once
# the data have excluded a value, later bad luck does not bring it back.


# %%
def ucbvi_plan(Q, N, r, bonus):
    """One pass of planning: new Q (H, S, A), V (H + 1, S). `bonus` is a function of the number of visits."""
    H, S, A = Q.shape
    Q, V = Q.copy(), np.zeros((H + 1, S))
    for h in reversed(range(H)):
        for s in range(S):
            for a in range(A):
                n = N[s, a].sum()
                if n > 0:
                    P_hat = N[s, a] / n
                    Q[h, s, a] = min(Q[h, s, a], H - h, r[s, a] + P_hat @ V[h + 1] + bonus(n))
            V[h, s] = Q[h, s].max()
    return Q, V


def ucbvi_by_hand(P, K, c, rng, delta=0.05):
    """Play K episodes in the world P.

    Returns, by episode, the exact value of the policy played and the value that the agent planned.
    """
    L = np.log(5 * S * A * K * H / delta)
    N = np.zeros((S, A, S))
    Q = np.broadcast_to((H - np.arange(H))[:, None, None], (H, S, A)).astype(float)
    value, planned = np.empty(K), np.empty(K)
    for k in range(K):
        Q, V = ucbvi_plan(Q, N, r, lambda n: c * 7 * H * L / np.sqrt(n))  # plan
        pi = Q.argmax(axis=-1)
        value[k], planned[k] = evaluate(P, r, pi)[0, 0], V[0, 0]  # measurement
        act(P, pi, N, rng)  # act and update
    return value, planned


c = 0.002
start = time.perf_counter()
value, planned = ucbvi_by_hand(P, K, c, np.random.default_rng(0))
seconds = time.perf_counter() - start
print(
    f"{K} episodes in {seconds:.1f} s; value of the last policy {value[-1]:.3f}, optimum {V_star[0, 0]:.3f}"
)

# %%
episodes = np.arange(1, K + 1)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
left.plot(episodes, np.cumsum(V_star[0, 0] - shy), color=GREY, label="believes its data")
left.plot(episodes, np.cumsum(V_star[0, 0] - value), color=BLUE, label="UCBVI")
left.set(xlabel="episode", ylabel="cumulative regret", title="Regret")
left.legend(frameon=False)
right.plot(episodes, planned, color=ORANGE, label="what the agent plans to earn")
right.axhline(V_star[0, 0], color="black", lw=1, label="optimum")
right.plot(episodes, value, color=BLUE, lw=1, label="what its policy is worth")
right.set(xlabel="episode", ylabel="return per episode", title="An optimist, and how it is corrected")
right.legend(frameon=False)
plt.show()

assert (planned >= V_star[0, 0] - 1e-9).all()  # optimism

# %% [markdown]
# Look at the right-hand figure for a while; it is the whole idea. The planned value (orange) starts
# at the most that could be earned, and it *never falls below the optimum* (black). The policy
# (blue) at first is bad. As long as orange is above blue, the agent is about to be surprised, and
# surprises are paid from a budget that each visit depletes.
#
# ## 6. The proof, as two curves
#
# **Optimism.** Suppose that the bonus covers the error of the frequencies at $V^*$, for all pairs.
# Then $Q_h \ge Q^*_h$, by induction from the last stage: if $V_{h+1} \ge V^*_{h+1}$,
#
# $$
# r + \widehat P V_{h+1} + b \;\ge\; r + \widehat P V^*_{h+1} + b \;\ge\; r + P V^*_{h+1} = Q^*_h .
# $$
#
# We checked it above, in each episode.
#
# **Payment.** So the regret of an episode is at most what was planned minus what the policy is
# worth. Unroll that difference along the episode: at each step the plan exceeds the truth by the
# bonus and by the error of the frequencies, which the bonus covers as well, up to terms of lower
# order. Hence
#
# $$
# \mathrm{Regret}(K) \;\lesssim\; \sum_{k, h} 2\, b(s_h^k, a_h^k)
# \;=\; 2 c \cdot 7 H L \sum_{s, a} \sum_{n = 1}^{N(s, a)} \frac{1}{\sqrt n}
# \;\le\; 28\, c\, H L \sqrt{S A\, K H},
# $$
#
# the last step because $\sum_{n \le N} n^{-1/2} \le 2 \sqrt N$ and the visits add up to $K H$
# (Cauchy and Schwarz). This is the $\sqrt K$ of the theorem. The first curve below is the regret,
# the second the sum of *planned minus true*; the regret must stay below it.

# %%
regret = np.cumsum(V_star[0, 0] - value)
overestimate = np.cumsum(planned - value)
assert (regret <= overestimate + 1e-9).all()

fig, axes = plt.subplots(figsize=(6.4, 3.6))
axes.loglog(episodes, overestimate, color=ORANGE, label="sum of planned minus true")
axes.loglog(episodes, regret, color=BLUE, label="regret")
scale = overestimate[K // 2] / np.sqrt(K // 2)
axes.loglog(episodes, scale * np.sqrt(episodes), color=GREY, ls="--", label=r"slope $1/2$")
axes.set(xlabel="episode", ylabel="cumulated", title="Regret is paid out of overestimation")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# At first both grow in a straight line, since the plan is cut off at $H$ and nothing has been
# excluded yet. Then they bend.
#
# ## 7. The library's version
#
# `eluder.tabular.exploration.ucbvi` is the same algorithm as one compiled loop. Its file holds the
# pseudo-code of the paper in the docstring, and below it the kernel. Is it really the same? In a world
# without chance nothing depends on the order in which random numbers are used, so both must give the
# same run, number for number. Take a river in which swimming always succeeds.

# %%
from eluder.core.problems import EpisodicMDP
from eluder.tabular.exploration import ucbvi

P_sure = np.zeros((S, A, S))
for s in range(S):
    P_sure[s, 0, max(s - 1, 0)] = P_sure[s, 1, min(s + 1, S - 1)] = 1.0

sure = EpisodicMDP(P_sure, r, mu=np.eye(S)[0], H=H)
ours = ucbvi_by_hand(P_sure, K, c, np.random.default_rng(0))
theirs = ucbvi(sure, K, stationary=True, c=c, rng=np.random.default_rng(0))
assert np.allclose(ours[0], theirs.value)
assert np.allclose(ours[1], theirs.upper)

# %% [markdown]
# (The library's tests go further: they compare the planning step with a slow twin like ours on random
# counts and values.) Now the river itself, and the time it takes.

# %%
mdp = EpisodicMDP(P, r, mu=np.eye(S)[0], H=H)

start = time.perf_counter()
fast = ucbvi(mdp, K, stationary=True, c=c, rng=np.random.default_rng(0))
seconds_fast = time.perf_counter() - start

assert (fast.upper >= V_star[0, 0] - 1e-9).all()
assert np.isclose(evaluate(P, r, fast.pi)[0, 0], fast.value[-1])  # its exact values are ours
print(f"by hand {seconds:.2f} s, compiled {seconds_fast * 1e3:.2f} ms")
print(f"{seconds / seconds_fast:.0f} times faster")

# %% [markdown]
# Now long runs are cheap, and the questions of the theory can be asked of data. Does the regret
# grow like $\sqrt K$?

# %%
K_long, seeds = (2_000, 2) if SMOKE else (100_000, 4)
long = np.arange(1, K_long + 1)
runs = [ucbvi(mdp, K_long, stationary=True, c=c, rng=np.random.default_rng(seed)) for seed in range(seeds)]
curves = np.array([np.cumsum(V_star[0, 0] - run.value) for run in runs])

fig, axes = plt.subplots(figsize=(6.6, 3.8))
axes.loglog(long, curves.mean(axis=0), color=BLUE, label=f"mean of {seeds} seeds, and their range")
axes.fill_between(long, curves.min(axis=0), curves.max(axis=0), color=BLUE, alpha=0.25, lw=0)
axes.loglog(long, curves[:, -1].mean() * np.sqrt(long / K_long), color=GREY, ls="--", label=r"slope $1/2$")
axes.set(xlabel="episode", ylabel="cumulative regret", title=f"c = {c}")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# It does, once the agent has found its way; the bound holds for every world of this size, and on a
# single one the regret in the end grows more slowly.
#
# And what does the scale $c$ do? Below, each point is one scale. It is *filled* if in every episode
# of every seed the plan stayed above the optimum, and *hollow* if optimism failed somewhere.

# %%
K_scale = 500 if SMOKE else 10_000
scales = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02]

fig, axes = plt.subplots(figsize=(6.6, 3.8))
for bonus, color in (("hoeffding", BLUE), ("bernstein", GREEN)):
    regrets, optimistic = [], []
    for scale in scales:
        runs = [
            ucbvi(mdp, K_scale, bonus=bonus, stationary=True, c=scale, rng=np.random.default_rng(seed))
            for seed in range(seeds)
        ]
        regrets.append(np.mean([np.sum(V_star[0, 0] - run.value) for run in runs]))
        optimistic.append(all((run.upper >= V_star[0, 0] - 1e-9).all() for run in runs))
    axes.loglog(scales, regrets, color=color, label=bonus)
    axes.scatter(
        scales, regrets, c=[color if ok else "white" for ok in optimistic], edgecolors=color, zorder=3
    )
axes.set(xlabel="scale c of the bonus (1 is the paper's)", ylabel=f"regret after {K_scale} episodes")
axes.set_title("The price of a guarantee")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The scale trades regret against certainty: the smaller the bonus, the smaller the regret on this
# world, until optimism fails and the proof with it. The constants of the theory, far to the right
# of this figure, are made for the worst world of this size.
#
# At the same $c$ the Bernstein bonus is smaller, and so is its regret. But compare the leftmost filled
# points, where each plan is just safe: there the two are about equal. With so few episodes the correction
# terms still make up most of the Bernstein bonus, and the advantage that the theorem promises comes with
# larger $K$. Whoever reports an experiment should say which $c$ was used.

# %% [markdown]
# What the theorem promises is data too:

# %%
from eluder.core.guarantees import guarantees

for promise in guarantees(ucbvi):
    print(f"{promise.when}: {promise.statement}; exponent {promise.exponent}")

# %% [markdown]
# ## What to take away
#
# - An agent that believes its data may starve next to the treasure: what it believes decides what
#   it sees.
# - Optimism in the values is enough. The bonus has to cover the error of the frequencies in one
#   direction, $V^*$, and no more.
# - The proof is a budget. Each surprise is paid by a bonus that shrinks with every visit, and $\sum
#   1/\sqrt n$ gives $\sqrt K$.
# - Each of these claims was checked: against dynamic programming, in each episode.
#
# ## Exercises
#
# 1. Set $c$ so small that optimism fails. What happens to the regret, on average and in the worst
#    seed?
# 2. Remove the line that keeps $Q$ from increasing. Does the proof still hold? Do the curves
#    change?
# 3. Replace the range $H$ in the bonus by the empirical standard deviation of $V_{h+1}$, and add a
#    term of order $H / n$. Compare with `bonus="bernstein"`.
# 4. Give the agent counts for each stage, as if the world depended on the stage. By which factor
#    does it learn more slowly, and why?
#
# ## Reference
#
# Mohammad Gheshlaghi Azar, Ian Osband, Rémi Munos. *Minimax regret bounds for reinforcement
# learning*. ICML 2017. arXiv:1703.05449
