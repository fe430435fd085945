"""Proximal policy optimisation of an ordering policy: the simulator as a black box.

Schulman, Wolski, Dhariwal, Radford & Klimov (2017), Proximal policy optimization algorithms,
arXiv:1707.06347; advantages of Schulman et al. (2016), arXiv:1506.02438, for the cost above its average.

The random policy is that of `reinforce`: Gaussian noise around the orders of any policy::

    for u = 0, 1, ...:
        play B paths of T periods;  rho <- rho + 0.1 (mean cost - rho);  r_t = (rho - c_t) / |rho|
        delta_t = r_t + gamma V(x_{t+1}) - V(x_t);  A_t = sum_k (gamma lam)^k delta_{t+k};  R_t = A_t + V(x_t)
        for each of `epochs`, each minibatch of (x, a, A, R):
            w = pi(a|x) / pi_old(a|x);  A standardised
            policy  - mean min(w A, clip(w, 1 - eps, 1 + eps) A)
            value   1/2 mean (V(x) - R)^2
            each: cut at norm max_grad_norm; Adam with the step size of u
        average <- average + rate (theta - average)

Guarantee: none for networks.

Deviations from the papers:
- The cost of a period counts above its running average, in units of it, so that values stay near zero; paths
  never end, they go on in the value.
- No bonus for entropy; the spread sigma is learnt, down to `least_sigma`.
- What is evaluated are the averaged parameters, without noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, uniform
from eluder.deep.common.seedwise import clip_by_norm
from eluder.deep.common.training import Schedule, Training
from eluder.deep.inventory._hdpo import (
    HDPOConfig,
    Judge,
    Paths,
    _result,
    ask,
    description,
    judge_end,
    keep_evaluation,
    step_size,
)
from eluder.deep.inventory._policies import MLPPolicy, Policy, flat_inventory
from eluder.deep.inventory._problem import Problem, Seen
from eluder.deep.inventory._score_function import (
    NOISE,
    Rollout,
    check_noise,
    log_densities,
    log_density,
    noisy,
    rollout,
    spread,
)
from eluder.envs.inventory import Setting

__all__ = ["InventoryPPOConfig", "inventory_ppo"]

VALUE, SHUFFLE = 4000, 5000  # streams of random numbers
FOLLOW = 0.1  # rate at which the average cost follows


@dataclass(frozen=True)
class InventoryPPOConfig(HDPOConfig):
    """What PPO can be told: all of `HDPOConfig`, and how it explores and learns a value.

    Attributes
    ----------
    sigma, least_sigma : float
        First and least standard deviation of the noise, in mean orders of the edge.
    hidden : tuple of int
        Units of the hidden layers of the value.
    gamma, lam : float
        Discount factor, and decay of the advantages.
    clip : float
        How far the ratio may go from 1 before its gradient stops.
    epochs, minibatches : int
        Passes over what was played, and parts of a pass.
    lr_value : float
        Largest step size of the value.
    """

    lr: float = 0.02
    sigma: float = 0.2
    least_sigma: float = 0.02
    hidden: tuple[int, ...] = (64, 64)
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    epochs: int = 4
    minibatches: int = 4
    lr_value: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise(self.sigma, self.least_sigma)
        for name in ("gamma", "lam"):
            checks.number(name, getattr(self, name), 0.0, 1.0)
        for name in ("clip", "lr_value"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        checks.integer("epochs", self.epochs)
        checks.integer("minibatches", self.minibatches, 1, self.batch_size * self.periods)


class Average:
    """The running average cost of each seed, shape (N,); what it holds is part of a checkpoint."""

    def __init__(self, N: int, device: torch.device) -> None:
        self.cost = torch.zeros(N, device=device)

    def follow(self, mean: Tensor, u: int) -> Tensor:
        """Move towards the mean of update u, in place; the first is taken as it is."""
        self.cost.lerp_(mean, FOLLOW if u else 1.0)
        return self.cost

    def state(self) -> dict[str, Tensor]:
        """Return the average."""
        return {"cost": self.cost}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place."""
        self.cost.copy_(state["cost"])


def relative_reward(cost: Tensor, average: Tensor) -> Tensor:
    """Return ``(rho - c) / |rho|`` for costs (N, T, B) and their averages (N,)."""
    rho = average[:, None, None]
    return (rho - cost) / rho.abs().clamp_min(1e-6)


def advantages(reward: Tensor, value: Tensor, last: Tensor, gamma: float, lam: float) -> Tensor:
    """Return ``A_t = delta_t + gamma lam A_{t+1}`` from rewards and values (N, T, B), last values (N, B)."""
    following = torch.cat([value[:, 1:], last[:, None]], dim=1)
    delta = reward + gamma * following - value
    A, out = torch.zeros_like(last), []
    for d in delta.flip(1).unbind(dim=1):
        A = d + gamma * lam * A
        out.append(A)
    return torch.stack(out[::-1], dim=1)


def clipped_loss(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return ``-mean min(w A, clip(w) A)`` over the last axis, with A standardised there."""
    A = (advantage - advantage.mean(dim=-1, keepdim=True)) / (advantage.std(dim=-1, keepdim=True) + 1e-8)
    w = log_ratio.clamp(-20.0, 20.0).exp()
    return -torch.minimum(w * A, w.clamp(1.0 - clip, 1.0 + clip) * A).mean(dim=-1)


def init_value(config: InventoryPPOConfig, problem: Problem, keys: Tensor) -> Parameters:
    """Draw the parameters of the value."""
    value = Parameters(mlp_shapes((int(problem.slots.sum()), *config.hidden, 1)), len(keys), keys.device)
    init_mlp(value, keys, VALUE)
    return value


def value_of(parameters: Mapping[str, Tensor], problem: Problem, x: Tensor) -> Tensor:
    """Return the values (N, B) of states (N, B, M, L)."""
    return mlp(parameters, flat_inventory(problem, Seen(x)), torch.tanh).squeeze(-1)


def make_update(
    config: InventoryPPOConfig,
    policy: Policy,
    problem: Problem,
    nets: tuple[Parameters, Parameters],
    steps: int,
) -> tuple[Callable[[Paths, Average, int], dict[str, Tensor]], dict[str, Adam]]:
    """Return ``update(paths, average, u)``, which changes policy and value in place and returns metrics, and
    the optimisers."""
    actor, critic = nets
    adam, adam_value = Adam(actor, config.lr), Adam(critic, config.lr_value)
    T, B, E, least = config.periods, config.batch_size, problem.simulator.E, config.least_sigma

    def learn(played: Rollout, old: Tensor, A: Tensor, R: Tensor, u: int, keys: Tensor) -> dict[str, Tensor]:
        x, a = played.inventory.flatten(1, 2), played.action.flatten(1, 2)
        seeds, lr = torch.arange(len(x), device=x.device)[:, None], step_size(config, u, steps)
        for epoch in range(config.epochs):
            order = uniform(keys, u, SHUFFLE + epoch, (T * B,)).argsort(dim=1)
            for k in order.tensor_split(config.minibatches, dim=1):
                # policy
                mean = policy.orders(actor.tensors, problem, Seen(x[seeds, k]))
                new = log_density(a[seeds, k], mean, spread(actor.tensors, problem, least))
                loss = clipped_loss(new - old[seeds, k], A[seeds, k], config.clip)
                actor.zero_grad()
                loss.sum().backward()
                norm = clip_by_norm(actor, config.max_grad_norm)
                adam.step(lr)

                # value
                error = value_of(critic.tensors, problem, x[seeds, k]) - R[seeds, k]
                critic.zero_grad()
                value_loss = 0.5 * error.square().mean(dim=1)
                value_loss.sum().backward()
                clip_by_norm(critic, config.max_grad_norm)
                adam_value.step(lr * config.lr_value / config.lr)
        return {"policy_loss": loss.detach(), "value_loss": value_loss.detach(), "grad_norm": norm}

    def update(paths: Paths, average: Average, u: int) -> dict[str, Tensor]:
        # act
        x, demand = paths.next(u)
        noise = normal(paths.keys, u, NOISE, (T, B, E))
        played = rollout(policy, actor.tensors, problem, x, demand, noise, least)
        paths.keep(played.last)

        # advantages
        cost = played.cost.mean(dim=(1, 2))
        reward = relative_reward(played.cost, average.follow(cost, u))
        with torch.no_grad():
            old = log_densities(policy, actor.tensors, problem, played, least).flatten(1)
            value = value_of(critic.tensors, problem, played.inventory.flatten(1, 2)).unflatten(1, (T, B))
            last = value_of(critic.tensors, problem, played.last)
            A = advantages(reward, value, last, config.gamma, config.lam)
            R = A + value

        # learn
        metrics = learn(played, old, A.flatten(1), R.flatten(1), u, paths.keys)
        sigma = spread(actor.tensors, problem, least).detach().mean(dim=(1, 2))
        return {"loss": cost, "sigma": sigma, **metrics}

    return update, {"adam": adam, "adam_value": adam_value}


def inventory_ppo(
    setting: Setting,
    steps: int,
    *,
    policy: Policy = MLPPolicy(),
    config: InventoryPPOConfig = InventoryPPOConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(evaluate_every=0, log_every=10, save_every=0),
) -> TrainResult:
    """Train an ordering policy by proximal policy optimisation, many seeds at once.

    Parameters
    ----------
    setting : Setting
        A problem with a law of demand, from `eluder.envs.inventory.setting`.
    steps : int
        Updates: each plays ``batch_size * periods`` periods.
    policy : Policy, optional
        What is trained.
    config : InventoryPPOConfig, optional
        Hyperparameters.
    seeds : sequence of int, default=(0,)
        Each gives what it gives alone, up to the rounding of batched products.
    device : str, default="cpu"
        A device of PyTorch.
    out : path, optional
        Folder of logs and checkpoints.
    resume : bool, default=False
        Whether to go on from the newest checkpoint in `out`; on the CPU to the same numbers.
    schedule : Schedule, optional
        When to evaluate, log and save, in updates.

    Returns
    -------
    TrainResult
        As `hdpo` returns it, of the policy without noise. A policy that still orders without bound has no
        exact cost and is simulated.

    Raises
    ------
    ValueError
        If an argument is out of range, the setting has no law of demand, or `out` holds another run.

    Warns
    -----
    RuntimeWarning
        If the parameters of some seeds are no longer finite at the end; the others are not touched by it.

    Notes
    -----
    An update costs ``batch_size * periods`` passes through the policy to play, and `epochs` times as many
    with their way back through policy and value.

    References
    ----------
    Schulman, Wolski, Dhariwal, Radford & Klimov. Proximal policy optimization algorithms. arXiv:1707.06347,
    2017.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> short = InventoryPPOConfig(batch_size=64, periods=8)
    >>> result = inventory_ppo(setting("lost_sales", lead_time=1, penalty=4), 3, config=short)
    >>> result.returns.shape, result.gap.shape
    ((1, 1, 1), (1,))
    """
    about = description("inventory_ppo", setting, policy, config)
    with Training(about, steps, seeds, device, out, resume, schedule) as run:
        problem = Problem(setting, run.device)
        actor = noisy(policy, problem, run.keys, config.sigma)
        ask(policy, actor.tensors, problem)
        critic = init_value(config, problem, run.keys)
        average, paths = actor.like(), Paths(config, problem, run.keys)
        mean, judge = Average(run.N, run.device), Judge(config, policy, average, problem)
        update, optimisers = make_update(config, policy, problem, (actor, critic), steps)
        run.keep(actor=actor, critic=critic, average=average, paths=paths, mean=mean, **optimisers)

        for u in run:
            run.metrics = update(paths, mean, u)
            average.track(actor, max(config.average, 1.0 / (u + 1)))
            evaluate, save = run.due(u)
            if evaluate:
                keep_evaluation(run, u + 1, judge())
            if save:
                run.save(u + 1)
        judge_end(run, judge)
        return _result(run, judge)
