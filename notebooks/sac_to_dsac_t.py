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
# # SAC to DSAC-T in three steps
#
# *From a mean to a law, and from a law to one that trains quietly.*
#
# Soft actor-critic learns one number for each state and action: the mean of the return. DSAC learns its
# **law**, as a Gaussian. DSAC-T makes that training steady, by three changes of a line each. Here we
# build them one after another on a problem whose return law is known in closed form, so that each step
# can be **measured** and not only plotted:
#
# 1. the problem and the truth; a critic of the mean;
# 2. a critic of the law, by the gradient of a likelihood;
# 3. first step, *expected value substituting*: a quieter gradient;
# 4. second step, *twins*: less overestimation;
# 5. third step, *variance-based adjusting*: no reward scale to choose;
# 6. and the gradient written here, number for number that of the library.
#
# You need gradient descent and the Bellman equation. Set `ELUDER_SMOKE=1` for a quick run.

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from eluder.deep.online import DSACTConfig, SACConfig, Schedule, dsac_t, sac
from eluder.deep.online._dsac import law_gradient
from eluder.deep.online._dsac_t import paper_gradient

SMOKE = os.environ.get("ELUDER_SMOKE") == "1"
torch.set_num_threads(1)
plt.rcParams.update(
    {"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}
)
BLUE, ORANGE, GREEN, GREY = "#14507a", "#d1682b", "#3b8f5a", "#8a8a8a"

# %% [markdown]
# ## 1. The problem and the truth
#
# A chain on the line, $x' = \rho x + w$ with $w \sim N(0, s^2)$, pays $c\,x$ at each step. There is
# nothing to choose, so a critic has to learn exactly one thing, the return $Z(x) = c \sum_t \gamma^t
# x_t$. It is Gaussian:
#
# $$
# Z(x) \sim N\Bigl(\frac{c\,x}{1 - \gamma \rho},\
#     \frac{(c\,\gamma s)^2}{(1 - \gamma\rho)^2 (1 - \gamma^2)}\Bigr).
# $$
#
# The spread is the same everywhere. First the critic that SAC has: a network for the mean, a slow copy
# of it for the target, half the squared error.

# %%
rho, s, gamma = 0.6, 1.0, 0.8
updates = 150 if SMOKE else 1500


def exact(x, c=1.0):
    """Mean and standard deviation of the return from x."""
    return c * x / (1 - gamma * rho), c * gamma * s / (1 - gamma * rho) / math.sqrt(1 - gamma**2)


def transitions(generator, n=256, c=1.0):
    """States, rewards and next states."""
    x = 6 * torch.rand(n, 1, generator=generator) - 3
    return x, c * x[:, 0], rho * x + s * torch.randn(n, 1, generator=generator)


def network(outputs, seed):
    """A small critic and its target."""
    torch.manual_seed(seed)
    make = lambda: torch.nn.Sequential(  # noqa: E731
        torch.nn.Linear(1, 32),
        torch.nn.GELU(),
        torch.nn.Linear(32, 32),
        torch.nn.GELU(),
        torch.nn.Linear(32, outputs),
    )
    net, target = make(), make()
    target.load_state_dict(net.state_dict())
    return net, target


def track(net, target, tau=0.02):
    """Move the target a little."""
    with torch.no_grad():
        for old, new in zip(target.parameters(), net.parameters()):
            old.lerp_(new, tau)


net, target = network(1, seed=0)
optimizer = torch.optim.Adam(net.parameters(), 2e-3)
generator = torch.Generator().manual_seed(0)
for _ in range(updates):
    x, r, x_next = transitions(generator)
    y = (r + gamma * target(x_next)[:, 0]).detach()
    optimizer.zero_grad()
    (0.5 * (net(x)[:, 0] - y) ** 2).mean().backward()
    optimizer.step()
    track(net, target)

grid = torch.linspace(-2, 2, 41)[:, None]
mean, spread = exact(grid[:, 0].numpy())
error = np.abs(net(grid)[:, 0].detach().numpy() - mean).max()
print(f"largest error of the mean: {error:.3f} (the return itself has standard deviation {spread:.3f})")
assert SMOKE or error < 0.4

# %% [markdown]
# ## 2. A critic of the law
#
# Two outputs instead of one: $Q$, and $\sigma$ through a softplus. The target is now a *sample* of the
# return, $y_z = r + \gamma z'$ with $z' \sim N(\bar Q(x'), \bar\sigma(x')^2)$, and the loss the
# negative log-likelihood $(y_z - Q)^2 / (2 \sigma^2) + \ln \sigma$. Its gradient is what DSAC writes
# down (up to $e = 0.1$ in the denominators, and a clip $C$ that keeps a single wild target from blowing
# up the variance):
#
# $$ -\frac{y_z - Q}{\sigma^2 + e}\,\nabla Q \;-\; \frac{(C - Q)^2 - \sigma^2}{\sigma^3 +
# e}\,\nabla\sigma . $$


# %%
def law(output):
    """Mean and standard deviation."""
    return output[..., 0], F.softplus(output[..., 1])


def factors(q, sigma, y_mean, y_sample, b, e=0.1):
    """What multiplies grad Q and grad sigma."""
    clipped = q + (y_sample - q).clamp(-b, b)
    return -(y_mean - q) / (sigma**2 + e), -((clipped - q) ** 2 - sigma**2) / (sigma**3 + e)


def train_law(c=1.0, *, substitute, adjust, b=20.0, steps=updates, seed=0):
    """Train a critic of the law; return the largest errors of mean and spread, relative to the spread."""
    net, target = network(2, seed)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(seed)
    average = None
    for _ in range(steps):
        x, r, x_next = transitions(generator, c=c)
        with torch.no_grad():
            q_next, sigma_next = law(target(x_next))
            noise = torch.randn(q_next.shape, generator=generator).clamp(-3, 3)
            y_q, y_z = r + gamma * q_next, r + gamma * (q_next + sigma_next * noise)
        q, sigma = law(net(x))
        with torch.no_grad():
            now = torch.stack([sigma.mean(), (sigma**2).mean()])
            average = now if average is None else 0.995 * average + 0.005 * now
            width = 3 * average[0] if adjust else torch.tensor(b)
            d_q, d_sigma = factors(q, sigma, y_q if substitute else y_z, y_z, width)
            scale = average[1] + 0.1 if adjust else 1.0
        optimizer.zero_grad()
        (scale * (d_q * q + d_sigma * sigma)).mean().backward()
        optimizer.step()
        track(net, target)
    with torch.no_grad():
        q, sigma = law(net(grid))
    mean, spread = exact(grid[:, 0], c)
    return float((q - mean).abs().max() / spread), float(sigma.mean() / spread)


error, ratio = train_law(substitute=False, adjust=False)
print(f"DSAC: mean off by {error:.3f} standard deviations, sigma {ratio:.3f} of the exact one")
assert SMOKE or (error < 0.4 and abs(ratio - 1) < 0.15)

# %% [markdown]
# One network now knows how much to trust its own mean.
#
# ## 3. First step: the mean for the mean
#
# The first factor needs no sample. $y_z$ and $y_q = r + \gamma \bar Q(x')$ have the same mean; $y_q$
# has less noise. How much less is a sum: $\mathrm{Var}(y_z \mid x) = (c \gamma)^2
# \bigl(\mathrm{Var}\,\bar Q(x') + \bar\sigma^2\bigr)$, and the second term, the larger one here, goes
# away. We measure it at the exact law.

# %%
generator = torch.Generator().manual_seed(1)
x_next = rho * 1.0 + s * torch.randn(200_000, generator=generator)  # from x = 1
q_next, sigma_next = exact(x_next)
z_next = q_next + sigma_next * torch.randn(200_000, generator=generator)
noisy, quiet = float((gamma * z_next).var()), float((gamma * q_next).var())
share = 1 - gamma**2
print(
    f"variance of the target: {noisy:.3f} with a sample, {quiet:.3f} with the mean: {quiet / noisy:.3f} of it"
)
print(f"by the closed form: {share:.3f}")
assert abs(quiet / noisy - share) < 0.01

# %% [markdown]
# The share that stays is $1 - \gamma^2$: the longer the horizon, the more there is to win. At $\gamma =
# 0.99$ it is 2 %.
#
# ## 4. Second step: twins
#
# A policy looks for actions with a high value, and finds those whose value is *too* high. Two critics
# do not err alike, and the lower one of two is less often too high. In a bandit whose rewards are pure
# noise every action is worth 0; what do critics say of the action that they like best?

# %%
actions = torch.linspace(-1, 1, 101)[:, None]
single, twin = [], []
for seed in range(2 if SMOKE else 10):
    generator = torch.Generator().manual_seed(100 + seed)
    estimates = []
    for member in range(2):  # each twin sees its own draws of the actions, and of the noise
        a = 2 * torch.rand(40, 1, generator=generator) - 1
        reward = torch.randn(40, generator=generator)
        net, _ = network(1, seed=10 * seed + member)
        optimizer = torch.optim.Adam(net.parameters(), 5e-3)
        for _ in range(50 if SMOKE else 400):
            optimizer.zero_grad()
            (0.5 * (net(a)[:, 0] - reward) ** 2).mean().backward()
            optimizer.step()
        estimates.append(net(actions)[:, 0].detach())
    single.append(float(estimates[0].max()))
    twin.append(float(torch.minimum(*estimates).max()))
print(
    f"value of the best action, which is 0: one critic says {np.mean(single):.2f}, twins {np.mean(twin):.2f}"
)
assert np.mean(twin) < np.mean(single)

# %% [markdown]
# In DSAC-T the twin with the lower *mean* gives both targets, $y_q$ and $y_z$, so that a law stays a law.
#
# ## 5. Third step: the spread sets the scale
#
# In the factors above a fixed clip $b$ is wide for small rewards and narrow for large ones, and so is
# $e$; and the step of the mean goes with $1/\sigma^2$. DSAC-T measures the spread as it goes: $b =
# 3\,\mathrm{E}[\sigma]$ and a factor $\omega = \mathrm{E}[\sigma^2]$ before the whole gradient. Rewards
# times
# 0.1, 1, 10 and 30 tell the difference: the error, in standard deviations of the return, should not
# know about $c$.

# %%
scales = [0.1, 1.0, 10.0] if SMOKE else [0.1, 1.0, 10.0, 30.0]
fixed = [train_law(c, substitute=True, adjust=False, b=20.0) for c in scales]
adjusted = [train_law(c, substitute=True, adjust=True) for c in scales]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
for ax, k, label in ((left, 0, "error of the mean / spread"), (right, 1, "sigma / exact spread")):
    ax.semilogx(scales, [x[k] for x in fixed], "o-", color=GREY, label="b = 20")
    ax.semilogx(scales, [x[k] for x in adjusted], "o-", color=BLUE, label="b and step by the spread")
    ax.set(xlabel="scale of the rewards c", ylabel=label)
right.axhline(1.0, color=GREEN, lw=1)
left.legend(frameon=False)
plt.show()
for c, f, a in zip(scales, fixed, adjusted):
    print(f"c = {c:<5g} fixed: {f[0]:.2f}, {f[1]:.2f}   adjusted: {a[0]:.2f}, {a[1]:.2f}")

# %% [markdown]
# ## 6. Number for number
#
# The factors that we wrote are those of `eluder.deep.online`; one file for each agent, with the loop in
# sight.

# %%
generator = torch.Generator().manual_seed(2)
q, y_q, y_z = (torch.randn(1000, generator=generator) for _ in range(3))
sigma = torch.rand(1000, generator=generator) + 0.1
b = torch.tensor(0.7)
ours = factors(q, sigma, y_q, y_z, b)
clipped = q + (y_z - q).clamp(-b, b)
for mine, theirs in zip(ours, law_gradient(q, sigma, y_q, clipped, 0.1)):
    assert torch.equal(mine, theirs)
omega = (sigma**2).mean()
for mine, theirs in zip(ours, paper_gradient(q, sigma, y_q, clipped, omega, 0.1)):
    assert torch.allclose((omega + 0.1) * mine, theirs)
print("the factors are those of the library")

# %% [markdown]
# And whole: SAC and DSAC-T on a pendulum, two seeds side by side in one batched product. Two seeds and
# one small task say nothing about which is better; they show that the same call trains both.

# %%
steps = 400 if SMOKE else 3000
short = {"hidden": (64, 64), "batch_size": 128, "warmup": 300, "lr_actor": 1e-3, "lr_critic": 1e-3}
schedule = Schedule(evaluate_every=steps // 4, episodes=2 if SMOKE else 5)
for name, train, config in (("sac", sac, SACConfig(**short)), ("dsac_t", dsac_t, DSACTConfig(**short))):
    result = train("Pendulum-v1", steps, config=config, seeds=range(2), schedule=schedule)
    print(name, [f"{x:.0f}" for x in result.returns.mean(axis=(1, 2))])
