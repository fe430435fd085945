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
# # One regression, six algorithms
#
# *Optimism, pessimism, noise, weights, a hostile nature, and exploration without a reward.*
#
# The literature on linear function approximation has dozens of algorithms, each with a page of
# notation. Most of them fit the same ridge regression, and differ in **one line** that comes after
# it. Here we write the regression once, in three statistics, and then the six lines:
#
# 1. the problem, and what the data say of it;
# 2. plus a width: LSVI-UCB; 3. minus a width: PEVI; 4. noise: RLSVI;
# 5. weights by the variance: VAPVI and LSVI-UCB++;
# 6. the worst nature nearby: robust value iteration;
# 7. the width *as* the reward: reward-free exploration;
# 8. and the whole of LSVI-UCB in a dozen lines, number for number that of the library.
#
# You need ridge regression and the Bellman equation. Set `ELUDER_SMOKE=1` for a quick run.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from eluder.core.divergences import worst_case
from eluder.core.exact import optimal_value, policy_value
from eluder.core.linear import episodic
from eluder.core.robust_linear import robust, robust_optimum
from eluder.core.simulator import reset, simulator, step
from eluder.core.transitions import collect_episodes
from eluder.envs import random_linear_mdp
from eluder.linear.exploration import lsvi_ucb
from eluder.linear.exploration._lsvi_ucb import radius
from eluder.linear.offline import pevi
from eluder.linear.offline._pevi import radius as pevi_radius

SMOKE = os.environ.get("ELUDER_SMOKE") == "1"
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)
BLUE, ORANGE, GREEN, GREY = "#14507a", "#d1682b", "#3b8f5a", "#8a8a8a"

# %% [markdown]
# ## 1. The problem, and three statistics
#
# In a linear MDP transitions and rewards are linear in known features:
# $P_h(s' \mid s, a) = \phi(s, a)^\top \psi_h(s')$ and $r_h(s, a) = \phi(s, a)^\top \theta_h$. We have
# twelve states, four actions, and only four features. What is not known is $\psi$ and $\theta$.

# %%
S, A, d, H, lam = 12, 4, 4, 5, 1.0
mdp = random_linear_mdp(S, A, d, H, rng=np.random.default_rng(1))
tables, phi = episodic(mdp), mdp.phi
V_star = optimal_value(tables)
start = int(mdp.mu.argmax())
print(f"optimal value {V_star[0, start]:.4f}, of {H} at most")

# %% [markdown]
# Somebody has played at random. Of all that was seen we keep, for every stage,
#
# $$\Lambda = \lambda I + \sum \phi \phi^\top, \qquad M = \sum \phi\, e_{s'}^\top, \qquad
# b = \sum \phi\, r.$$
#
# Ridge regression of *any* function $V$ of the next state is then $\Lambda^{-1} M V$: the data need not be
# looked at again when $V$ changes, and that is why the library's learners cost as much in the
# millionth episode as in the first.


# %%
def statistics(data):
    """Lambda (H, d, d), M (H, d, S) and b (H, d) of a set of transitions."""
    F = phi[data.s, data.a]  # (K, H, d)
    Lambda = lam * np.eye(d) + np.einsum("khi,khj->hij", F, F)
    M = np.zeros((H, d, S))
    for h in range(H):
        np.add.at(M[h].T, data.s_next[:, h], F[:, h])
    return Lambda, M, np.einsum("khi,kh->hi", F, data.r)


def played(K, seed=0):
    """K episodes of uniform actions."""
    return collect_episodes(tables, np.full((S, A), 1 / A), K, np.random.default_rng(seed))


sizes = [100, 1000, 10_000] if SMOKE else [100, 1000, 10_000, 100_000]
errors = []
for K in sizes:
    Lambda, M, b = statistics(played(K))
    errors.append(np.abs(np.linalg.solve(Lambda, M) - mdp.psi)[1:].mean())  # at stage 0 all start alike
slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
fig, ax = plt.subplots(figsize=(5, 3))
ax.loglog(sizes, errors, "o-", color=BLUE)
ax.set(xlabel="episodes", ylabel="mean error", title=r"$\Lambda^{-1} M$ is an estimate of $\psi$ itself")
plt.show()
print(f"slope {slope:.2f}")
assert -0.7 < slope < -0.3

# %% [markdown]
# One function does the fitting for all that follows: the solution for a given $V$, and the **width**
# $\lVert\phi\rVert_{\Lambda^{-1}}$, which says how much the data leave open about a pair.

# %%
K = 300
data = played(K)
Lambda, M, b = statistics(data)
inverse = np.linalg.inv(Lambda)
width = np.sqrt(np.einsum("sai,hij,saj->hsa", phi, inverse, phi))


def fit(h, V):
    """Ridge regression of r + V(s')."""
    return inverse[h] @ (b[h] + M[h] @ V)


def value_iteration(line):
    """Backward induction; `line(h, V)` gives Q of stage h from V of the next."""
    V, pi = np.zeros((H + 1, S)), np.zeros((H, S), int)
    for h in reversed(range(H)):
        Q = np.clip(line(h, V[h + 1]), 0, H - h)
        V[h], pi[h] = Q.max(axis=1), Q.argmax(axis=1)
    return V, pi


V_plain, pi_plain = value_iteration(lambda h, V: phi @ fit(h, V))
print(f"least squares promises {V_plain[0, start]:.3f}, its policy is worth", end=" ")
print(f"{policy_value(tables, pi_plain)[0, start]:.3f}, the best {V_star[0, start]:.3f}")

# %% [markdown]
# ## 2 and 3. Plus a width, minus a width
#
# Add $\beta$ widths and the value is an **upper** bound of the optimal one, with high probability:
# act greedily on it, and either you are right or you learn (LSVI-UCB). Take them off and it is a
# **lower** bound of the value of the policy that it proposes: where there will be no more data, that
# is what one wants to maximise (PEVI).

# %%
fig, ax = plt.subplots(figsize=(6, 3.2))
scales = [0, 0.003, 0.01, 0.03, 0.1]


def widened(factor):
    """The promise with so many widths added."""
    return value_iteration(lambda h, V: phi @ fit(h, V) + factor * width[h])[0][0, start]


beta = radius(d, H, K, 0.05)
for sign, label, color in ((1, "plus: LSVI-UCB", ORANGE), (-1, "minus: PEVI", BLUE)):
    ax.plot(scales, [widened(sign * c * beta) for c in scales], "o-", color=color, label=label)
ax.axhline(V_star[0, start], color=GREY, ls="--", lw=1)
ax.set(
    xlabel="c, the scale of the radius", ylabel="promise", title="The optimal value (dashed) is in between"
)
ax.legend(frameon=False)
plt.show()

V_low, pi_low = value_iteration(lambda h, V: phi @ fit(h, V) - 0.01 * pevi_radius(d, H, K, 0.05) * width[h])
ours, library = V_low[:-1], pevi(mdp, data, c=0.01).V
np.testing.assert_allclose(ours, library, atol=1e-10)
print("PEVI in one line equals the library's to 1e-10")
assert V_low[0, start] <= policy_value(tables, pi_low)[0, start] <= V_star[0, start]

# %% [markdown]
# ## 4. Noise
#
# Draw the solution from $\mathcal{N}(\hat w, \sigma^2 \Lambda^{-1})$ and be greedy (RLSVI). The spread
# of the promises is the width again: what the data leave open is random, and the best of the possible
# worlds comes up now and then.

# %%
rng = np.random.default_rng(0)
roots = np.linalg.cholesky(inverse)
promises = [
    value_iteration(lambda h, V: phi @ (fit(h, V) + 0.5 * roots[h] @ rng.standard_normal(d)))[0][0, start]
    for _ in range(300)
]
fig, ax = plt.subplots(figsize=(6, 2.8))
ax.hist(promises, bins=40, color=GREEN)
ax.axvline(V_star[0, start], color=GREY, ls="--", lw=1)
ax.set(xlabel="promise of one draw", title="RLSVI: a promise above the optimal value (dashed) now and then")
plt.show()
share = np.mean(np.array(promises) >= V_star[0, start])
print(f"{share:.0%} of the draws are optimistic")
assert 0.05 < share < 0.95

# %% [markdown]
# ## 5. Weights
#
# The same $M$ fits $V^2$, and so the variance of the next value: $\widehat{\mathrm{var}} = \phi
# \Lambda^{-1} M V^2 - (\phi \Lambda^{-1} M V)^2$. Weigh every round by $1 / \widehat{\mathrm{var}}$ and the
# radius no longer needs the factor $H$: that is VAPVI offline and LSVI-UCB++ online. Here is how well
# the variances of an arbitrary $V$ are known, against the exact ones.

# %%
Lambda_2, M_2, _ = statistics(played(20_000, seed=1))
V = 3 * np.random.default_rng(0).random(S)
mean, square = (phi @ np.linalg.solve(Lambda_2[1], M_2[1] @ V**p) for p in (1, 2))
found, exact = square - mean**2, tables.P[1] @ V**2 - (tables.P[1] @ V) ** 2
fig, ax = plt.subplots(figsize=(3.6, 3.4))
ax.plot([exact.min(), exact.max()], [exact.min(), exact.max()], color=GREY, ls="--", lw=1)
ax.plot(exact.ravel(), found.ravel(), "o", color=BLUE)
ax.set(xlabel="exact variance", ylabel="from the data", title="Every pair of stage 1")
plt.show()
assert np.abs(found - exact).max() < 0.1 * exact.max()

# %% [markdown]
# ## 6. A hostile nature
#
# $\Lambda^{-1} M$ estimates the factor measures $\psi_h(i, \cdot)$. Let nature replace each of them by
# the worst distribution within total variation $\rho$, before $V$ is averaged: robust value
# iteration. The truth is a dynamic program, `robust_optimum`.


# %%
def hostile(rho, Lambda, M, b):
    """The promise when nature may move every factor by rho."""

    def line(h, V):
        psi = np.maximum(np.linalg.solve(Lambda[h], M[h]), 0)
        psi /= psi.sum(axis=1, keepdims=True)
        nu = [worst_case(p, V, rho, "tv").value for p in psi]
        return phi @ (np.linalg.solve(Lambda[h], b[h]) + nu)

    return value_iteration(line)[0][0, start]


radii = np.linspace(0, 0.6, 7)
big = statistics(played(20_000, seed=2))
promise = [hostile(rho, *big) for rho in radii]
truth = [robust_optimum(robust(mdp, rho)).V[0, start] for rho in radii]
fig, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(radii, truth, color=GREY, ls="--", label="exact")
ax.plot(radii, promise, "o", color=BLUE, label="from the data")
ax.set(xlabel="radius of nature", ylabel="robust value")
ax.legend(frameon=False)
plt.show()
np.testing.assert_allclose(promise, truth, atol=0.1)

# %% [markdown]
# ## 7. The width as the reward
#
# If nobody has said yet what is good, go where the regression knows least: take the width *for* the
# reward. After enough episodes every direction that can be reached is known, and any reward that is
# named later can be planned for: reward-free exploration. One planning step of it, with our data:

# %%
bonus = np.minimum(width, 1.0)
V_explore, pi_explore = value_iteration(lambda h, V: bonus[h] + phi @ (inverse[h] @ (M[h] @ V)))
before = width.mean()
path, g = np.zeros(H + 1, int), np.random.default_rng(3)
for _ in range(200):  # play it, always the same policy: a little is enough to see
    path[0] = start
    for h in range(H):
        f = phi[path[h], pi_explore[h, path[h]]]
        Lambda[h] += np.outer(f, f)
        path[h + 1] = g.choice(S, p=tables.P[h, path[h], pi_explore[h, path[h]]])
after = np.sqrt(np.einsum("sai,hij,saj->hsa", phi, np.linalg.inv(Lambda), phi)).mean()
print(f"mean width {before:.4f} -> {after:.4f}")
assert after < before

# %% [markdown]
# ## 8. The whole of LSVI-UCB
#
# Online, the statistics grow by one round at a time. This is the paper's algorithm 1; with the same
# random numbers it promises, in every episode, what the library's kernel promises.


# %%
def optimistic(h, V):
    return phi @ fit(h, V) + beta * width[h]


K, c = (100 if SMOKE else 400), 0.02
sim, g, beta = simulator(tables), np.random.default_rng(7), c * radius(d, H, K, 0.05)
Lambda, M, b, upper = np.array([lam * np.eye(d)] * H), np.zeros((H, d, S)), np.zeros((H, d)), []
for _ in range(K):
    inverse = np.linalg.inv(Lambda)
    width = np.sqrt(np.einsum("sai,hij,saj->hsa", phi, inverse, phi))
    V, pi = value_iteration(optimistic)
    upper.append(V[0, start])
    s = reset(sim, g)
    for h in range(H):
        t, reward, _ = step(sim, h, s, pi[h, s], g)
        f = phi[s, pi[h, s]]
        Lambda[h] += np.outer(f, f)
        M[h, :, t] += f
        b[h] += reward * f
        s = t

library = lsvi_ucb(mdp, K, c=c, rng=np.random.default_rng(7))
np.testing.assert_allclose(upper, library.upper, rtol=1e-8)
print(f"{K} episodes: the same promises, to 1e-8")

# %% [markdown]
# ## What to take home
#
# | line after the regression | algorithm | promise |
# |---|---|---|
# | $+\,\beta \lVert\phi\rVert$ | `lsvi_ucb` | above the optimal value |
# | $-\,\beta \lVert\phi\rVert$ | `pevi` | below the value of its policy |
# | $+$ noise of that width | `rlsvi`, `lsvi_phe` | above it now and then |
# | weights $1 / \widehat{\mathrm{var}}$ | `vapvi`, `lsvi_ucb_plus_plus` | the same with a smaller radius |
# | worst factor nearby | `eluder.linear.robust` | the value in the worst world |
# | $\lVert\phi\rVert$ for the reward | `eluder.linear.reward_free` | any reward, later |
#
# **Try:** halve `lam`, and look at which of the plots moves most. Make the problem wider (`d = 12`),
# and see the slope of section 1 stay while the widths grow. In section 2, find the least `c` for which
# LSVI-UCB is optimistic on fifty data sets.
