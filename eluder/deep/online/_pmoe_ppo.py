"""Probabilistic mixture-of-experts policies for PPO (PMOE).

Ren, Li, Ding, Pan & Dong (2021), Probabilistic mixture-of-experts for efficient deep reinforcement learning,
arXiv:2104.09122; on proximal policy optimisation, arXiv:1707.06347.

The policy is a mixture, pi(a|s) = sum_k w_k(s) pi_k(a|s), of K Gaussians. Pseudo-code, N seeds side by side::

    for each rollout:
        k ~ w(s);  a ~ pi_k(.|s);  s', r = step(a)                       num_steps times
        advantages A and targets R as in PPO
        for each of epochs, for each minibatch:
            rho = pi(a|s) / pi_old(a|s)                                  of the mixture
            experts  -mean min(rho A^, clip(rho, 1 - eps, 1 + eps) A^)   w held fixed
            value    value_coef 1/2 mean (V(s) - R)^2
            judge    mean (Q(s, a) - R)^2
            b_k ~ pi_k(.|s) for every k;  k* = argmax_k Q(s, b_k);  v = one-hot of k*
            gate     mean |w(s) - v|^2                                   frequency loss
            gradient of their sum, cut at norm max_grad_norm; Adam

The gate follows the frequency loss alone, whose gradient 2 (w - v) is in the mean 2 (w - f), f_k the
probability that expert k is the best one.

Guarantee: none for networks.

Deviations from the paper:
- The text of the paper could not be read for this part; structure, sizes and step sizes follow the
  co-author's public code. Its ratio multiplies densities of single experts by a broadcast that mixes rows;
  here the ratio is that of the mixture.
- The frequency loss is the sum over experts, as in `pmoe`; that code takes their mean.
- The deterministic action is the mean of the likeliest expert (``play="likeliest"``); that code draws the
  expert. Where the draws of wide experts overlap all weights stay near 1 / K, and where the likeliest one is
  wrong it is so at every visit, while the policy that was learnt leaves such states by chance: so
  ``play="drawn"`` takes the mean of an expert that the gate draws, by a number that is a function of seed
  and observation.
- K = 4; everything else is PPO's here, see `ppo`: statistics that change after a rollout, time limits that do
  not end the value.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.config import check_layers
from eluder.deep.common.densities import gaussian_log_density
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.normalise import RewardScale, RunningNorm
from eluder.deep.common.orthogonal import init_orthogonal
from eluder.deep.common.random import bits, normal, uniform
from eluder.deep.common.rollout import Rollout
from eluder.deep.common.run import Run
from eluder.deep.common.seedwise import SeedAdam, clip_by_norm
from eluder.deep.common.training import Schedule
from eluder.deep.online._pmoe import chosen, draw_expert
from eluder.deep.online._ppo import (
    as_rows,
    clipped_loss,
    divergence,
    evaluate_rollout,
    normalised,
    step_size,
    value_error,
    values,
    weighted_mean,
)
from eluder.deep.online._ppo_kernels import Data

__all__ = ["PMOEPPOConfig", "pmoe_ppo"]

# streams of random numbers
ACTOR, CRITIC, JUDGE, GATE, ACT, EXPERT, SHUFFLE, BEST, PLAY = range(0, 9000, 1000)


@dataclass(frozen=True)
class PMOEPPOConfig:
    """What PMOE-PPO can be told.

    Attributes
    ----------
    num_experts : int
        K.
    hidden : tuple of int
        Units of the hidden layers of experts, value and judge.
    activation : {"tanh", "relu", "gelu", "silu"}
        Between layers.
    num_steps, num_envs : int
        Steps of each environment in a rollout; environments of each seed.
    epochs, batch_size : int
        Passes through a rollout; transitions of a minibatch.
    gamma, lam : float
        Discount factor; decay of the traces of the advantage.
    clip : float
        Half the width of the interval of ratios.
    value_coef : float
        Weight of the value's squared error, which has a factor 1/2.
    max_grad_norm : float
        Largest norm of a gradient.
    lr, adam_eps : float
        First step size of Adam; what it adds to the root of the second moment.
    anneal_steps : int or None
        Steps over which the step size falls to 0 in a line; 0 for never, None for those of the run.
    log_std : float
        First logarithm of the standard deviations, of actions in [-1, 1].
    normalise_obs, normalise_reward : bool
        Whether observations are normalised and rewards scaled by running statistics.
    play : {"likeliest", "drawn"}
        Whose mean the deterministic action is: the likeliest expert's, or that of one which the gate draws by
        a number of the observation.
    """

    num_experts: int = 4
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    num_steps: int = 2048
    num_envs: int = 1
    epochs: int = 10
    batch_size: int = 64
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    value_coef: float = 0.5
    max_grad_norm: float = 0.5
    lr: float = 3e-4
    adam_eps: float = 1e-5
    anneal_steps: int | None = None
    log_std: float = 0.0
    normalise_obs: bool = True
    normalise_reward: bool = True
    play: str = "likeliest"

    def __post_init__(self) -> None:
        for name in ("clip", "max_grad_norm", "lr", "adam_eps"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("gamma", "lam"):
            checks.number(name, getattr(self, name), 0.0, 1.0)
        checks.number("value_coef", self.value_coef, 0.0)
        checks.number("log_std", self.log_std)
        for name in ("num_experts", "num_steps", "num_envs", "epochs", "batch_size"):
            checks.integer(name, getattr(self, name))
        if self.anneal_steps is not None:
            checks.integer("anneal_steps", self.anneal_steps, 0)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if self.play not in ("likeliest", "drawn"):
            raise ValueError(f"play must be 'likeliest' or 'drawn', got {self.play!r}")
        check_layers(self.hidden)


def init(config: PMOEPPOConfig, obs_dim: int, A: int, keys: Tensor) -> Parameters:
    """Draw the first parameters: as PPO's; those of gate and judge uniform in 1 / sqrt(inputs)."""
    K = config.num_experts
    gate = mlp_shapes((obs_dim, K), name="gate_")
    judge = mlp_shapes((obs_dim + A, *config.hidden, 1), name="judge_")
    shapes = mlp_shapes((obs_dim, *config.hidden, K * A), name="actor_") | {"log_std": (K, A)}
    shapes |= mlp_shapes((obs_dim, *config.hidden, 1), name="critic_") | gate | judge
    parameters = Parameters(shapes, len(keys), keys.device)
    gains = [math.sqrt(2.0)] * len(config.hidden)
    init_orthogonal(parameters, keys, [*gains, 0.01], ACTOR, "actor_")
    init_orthogonal(parameters, keys, [*gains, 1.0], CRITIC, "critic_")
    for names, stream in ((gate, GATE), (judge, JUDGE)):
        drawn = Parameters(names, len(keys), keys.device)
        init_mlp(drawn, keys, stream)
        for name, leaf in drawn.tensors.items():
            parameters[name].detach().copy_(leaf.detach())
    parameters["log_std"].detach().fill_(config.log_std)
    return parameters


def mixture(parameters: Parameters, config: PMOEPPOConfig, obs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return w (N, B, K), means (N, B, K, A) and logarithms of standard deviations, (N, 1, K, A)."""
    y = mlp(parameters, obs, ACTIVATIONS[config.activation].forward, "actor_")
    w = torch.baddbmm(parameters["gate_b0"], obs, parameters["gate_w0"]).softmax(dim=-1)
    return w, y.unflatten(-1, (config.num_experts, -1)), parameters["log_std"][:, None]


def mixture_log_density(action: Tensor, w: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return ``ln sum_k w_k N(a; mu_k, sigma_k)`` of actions (N, B, A), shape (N, B)."""
    each = gaussian_log_density(action[:, :, None], mean, log_std.expand_as(mean))
    return torch.logsumexp(w.clamp_min(1e-30).log() + each, dim=-1)


def policy_terms(
    parameters: Parameters, config: PMOEPPOConfig, obs: Tensor, action: Tensor
) -> tuple[Tensor, Any]:
    """Return log-densities of actions (N, B), the gate held fixed; and what `mixture` returns."""
    w, mean, log_std = mixture(parameters, config, obs)
    return mixture_log_density(action, w.detach(), mean, log_std), (w, mean, log_std)


def judged(parameters: Parameters, config: PMOEPPOConfig, obs: Tensor, action: Tensor) -> Tensor:
    """Return Q(s, a) for actions (N, B, A), shape (N, B)."""
    x = torch.cat([obs, action], dim=-1)
    return mlp(parameters, x, ACTIVATIONS[config.activation].forward, "judge_").squeeze(-1)


def best_expert(
    parameters: Parameters, config: PMOEPPOConfig, obs: Tensor, mean: Tensor, log_std: Tensor, noise: Tensor
) -> Tensor:
    """Return k* = argmax_k Q(s, b_k) with b_k = mu_k + sigma_k noise_k, shape (N, B)."""
    with torch.no_grad():
        b = mean + log_std.exp() * noise
        rows = obs[:, :, None].expand(*b.shape[:3], obs.shape[-1])
        q = judged(parameters, config, rows.flatten(1, 2), b.flatten(1, 2))
        return q.view(b.shape[:3]).argmax(dim=-1)


def gate_loss(w: Tensor, best: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over rows of ``|w - v|^2``, v the one-hot of the best expert, shape (N,)."""
    v = torch.zeros_like(w).scatter_(-1, best[..., None], 1.0)
    return weighted_mean((w - v).square().sum(dim=-1), weight)


def fixed_uniform(keys: Tensor, obs: Tensor) -> Tensor:
    """Return a number in (0, 1) for each observation, (N, B, obs_dim) to (N, B): the same at each visit.

    The upper bits of ``odd . words`` modulo 2^64, with 32-bit words and random odd factors, mixed once more.
    """
    words = (obs.float() + 0.0).view(torch.int32).long()  # -0 is 0
    odd = bits(keys, 0, PLAY, obs.shape[-1] + 1)[:, None] | 1
    rows = (words * odd[..., :-1]).sum(dim=-1)
    rows = (rows ^ rows >> 32) * odd[..., -1]
    return ((rows >> 41 & 0x7FFFFF) + 0.5) * 2.0**-23


def make_act(
    parameters: Parameters, norm: RunningNorm, config: PMOEPPOConfig, keys: Tensor
) -> Callable[..., Tensor]:
    """Return the policy: a draw by noise (N, B, A) and u (N, B); without, the mean of an expert (`play`)."""

    def act(obs: Tensor, noise: Tensor | None = None, u: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            w, mean, log_std = mixture(parameters, config, norm(obs))
            if u is None and config.play == "drawn":
                u = fixed_uniform(keys, obs)
            k = w.argmax(dim=-1) if u is None else draw_expert(w, u)
            mean = chosen(mean, k)
            return mean if noise is None else mean + chosen(log_std.expand(*w.shape, -1), k).exp() * noise

    return act


def make_update(
    config: PMOEPPOConfig, parameters: Parameters, keys: Tensor
) -> tuple[Callable[[Data, Tensor, float, int], dict[str, Tensor]], SeedAdam]:
    """Return what learns from a rollout, and its optimiser.

    ``update(data, order, lr, u)`` changes the parameters in place; `order` (N, epochs, M) shuffles the rows,
    `u` numbers the first minibatch. It returns metrics of shape (N,), means over the minibatches that were
    learnt from.
    """
    adam = SeedAdam(parameters, config.adam_eps)
    K, seeds = config.num_experts, torch.arange(len(keys), device=keys.device)[:, None]

    def losses(batch: Data, noise: Tensor) -> dict[str, Tensor]:
        obs, action, weight = batch.obs, batch.action, batch.weight
        log_prob, (w, mean, log_std) = policy_terms(parameters, config, obs, action)
        log_ratio = log_prob - batch.log_prob
        policy = clipped_loss(log_ratio, normalised(batch.advantage, weight), config.clip)
        value = value_error(values(parameters, config, obs), batch.value, batch.target, None)
        judge = (judged(parameters, config, obs, action) - batch.target).square()
        best = best_expert(parameters, config, obs, mean, log_std, noise)
        return {
            "policy_loss": weighted_mean(policy, weight),
            "value_loss": config.value_coef * weighted_mean(value, weight),
            "judge_loss": weighted_mean(judge, weight),
            "gate_loss": gate_loss(w, best, weight),
            "divergence": divergence(log_ratio.detach(), weight),
        }

    def update(data: Data, order: Tensor, lr: float, u: int) -> dict[str, Tensor]:
        metrics: dict[str, Tensor] = {}
        taken = data.weight.new_zeros(len(keys))
        minibatches = [rows for epoch in order.unbind(1) for rows in epoch.split(config.batch_size, dim=1)]
        for i, rows in enumerate(minibatches):
            batch = Data(*(x[seeds, rows] for x in data))
            noise = normal(keys, u + i, BEST, (rows.shape[1], K, data.action.shape[-1]))
            parameters.zero_grad()
            found = losses(batch, noise)
            sum(x.sum() for name, x in found.items() if name != "divergence").backward()
            found["grad_norm"] = clip_by_norm(parameters, config.max_grad_norm)
            goes = batch.weight.sum(dim=1) > 0
            adam.step(lr, goes)
            taken += goes
            for name, x in found.items():
                metrics[name] = metrics.get(name, 0.0) + torch.where(goes, x.detach(), 0.0)
        means = {name: x / taken.clamp_min(1.0) for name, x in metrics.items()}
        return means | {"lr": torch.full((len(keys),), lr, device=keys.device)}

    return update, adam


def pmoe_ppo(
    env: EnvLike,
    steps: int,
    *,
    config: PMOEPPOConfig = PMOEPPOConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train a mixture of experts by proximal policy optimisation, many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations and actions of a box.
    steps : int
        Environment steps of each seed; whole rollouts are learnt from.
    config : PMOEPPOConfig, optional
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
        When to evaluate, log and save.

    Returns
    -------
    TrainResult
        Evaluations, parameters, and the deterministic policy, see `play`.

    Raises
    ------
    ValueError
        If an argument is out of range, the environment does not fit, or `out` holds another run.

    Notes
    -----
    A step costs `epochs` passes of one row through experts, value and judge, and `num_experts` more through
    the judge; memory is the rollout.

    References
    ----------
    Ren et al. Probabilistic mixture-of-experts for efficient deep reinforcement learning. arXiv:2104.09122,
    2021.

    Examples
    --------
    >>> import numpy as np
    >>> short = PMOEPPOConfig(hidden=(16,), num_steps=32, batch_size=16, epochs=2)
    >>> result = pmoe_ppo("Pendulum-v1", 64, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape, result.policy(np.zeros((1, 5, 3))).shape
    ((1, 1, 1), (1, 5, 1))
    """
    with Run("pmoe_ppo", env, steps, config, seeds, device, out, resume, schedule) as run:
        obs_dim, A = run.continuous()
        T, E = config.num_steps, config.num_envs
        parameters = init(config, obs_dim, A, run.keys)
        norm = RunningNorm(run.N, (obs_dim,), 10.0 if config.normalise_obs else math.inf, device=device)
        scale = RewardScale(run.N, E, config.gamma, device=device)
        rollout = Rollout(run.N, T, E, obs_dim, A)
        update, adam = make_update(config, parameters, run.keys)
        act = make_act(parameters, norm, config, run.keys)
        run.keep(parameters=parameters, adam=adam, norm=norm, scale=scale, rollout=rollout)
        minibatches = config.epochs * -(-T * E // config.batch_size)

        for t in run:
            # act
            k, i = divmod(t // E, T)
            obs = run.observations()
            noise, u = normal(run.keys, t, ACT, (E, A)), uniform(run.keys, t, EXPERT, (E,))
            action = act(obs, noise, u)

            # step
            rollout.add(i, obs.cpu().numpy(), *run.step(action))

            # learn
            if i == T - 1:
                data = evaluate_rollout(parameters, config, rollout, norm, scale, policy_terms)
                shuffle = bits(run.keys, k, SHUFFLE, config.epochs * T * E)
                order = shuffle.view(run.N, -1, T * E).argsort(dim=2)
                lr = step_size(config, t + E - T * E, run.steps)
                run.metrics = update(data, order, lr, k * minibatches)
                if config.normalise_obs:
                    norm.update(as_rows(rollout.obs, device), data.weight)

            run.after(t, act)
        statistics = {"mean": norm.mean, "var": norm.var}
        return run.result(act, {"policy": parameters.tensors, "norm": statistics})
