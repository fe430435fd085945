"""Proximal policy optimisation with a clipped objective, for actions in a box and for discrete ones.

Schulman, Wolski, Dhariwal, Radford & Klimov (2017), Proximal policy optimization algorithms,
arXiv:1707.06347. Advantages: Schulman, Moritz, Levine, Jordan & Abbeel, High-dimensional continuous control
using generalized advantage estimation, ICLR 2016, arXiv:1506.02438.

Pseudo-code, N seeds side by side, E environments each::

    for k = 0, 1, ...:
        for num_steps steps:
            a ~ pi(.|s);  s', r = step(a);  store (s, a, r, s')
        delta = r + gamma (1 - terminated) V(s') - V(s)
        A = delta + gamma lam (1 - ended) A_next;  R = A + V(s)
        for each of epochs, for each minibatch:
            A^ = (A - mean A) / std A
            rho = pi(a|s) / pi_old(a|s)
            policy   -mean min(rho A^, clip(rho, 1 - eps, 1 + eps) A^) - entropy_coef mean H(pi(.|s))
            value    value_coef 1/2 mean (V(s) - R)^2
            gradient of both, cut at norm max_grad_norm; Adam
        statistics of observations <- those of the rollout too

Guarantee
    None for networks. On one state the clipped objective has the gradient of the surrogate
    ``E_old[rho A]`` at pi_old; for the exact surrogate and a small enough step in total variation the return
    does not fall (Kakade & Langford 2002; Schulman et al. 2015, Theorem 1).

Deviations from the paper
    - Actor and critic have no layer in common. The paper has none for continuous control either.
    - Not in the paper, but in the public implementations whose results are cited for it, and on by default:
      orthogonal first weights, normalised observations, scaled rewards, advantages normalised per
      minibatch, gradients cut by their norm, a step size that falls to 0. Value clipping and the limit on
      the divergence are off.
    - Those implementations change the statistics of observations at every step. Here they change after a
      rollout, so that the policy that acts is the one whose density is recorded; the first rollout sees
      observations as they are. Rewards of a rollout are scaled by the standard deviation of discounted
      returns up to its end.
    - Episodes that end by a time limit go on in the value of where their last step led (`terminated` alone
      cuts it); most public codes take the limit for an end.
    - The Gaussian's actions are cut to the box, not squashed; its standard deviation does not depend on
      the state; densities are those before the cut. Zero is the middle of the box, one its end.
    - Divergence is estimated as ``mean (rho - 1 - ln rho)`` before each step; a seed beyond `max_kl` learns
      no more from the rollout.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.advantages import discounted_sums, gae
from eluder.deep.common.compiled import net_of, scratch
from eluder.deep.common.config import check_layers
from eluder.deep.common.densities import gaussian_log_density
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS
from eluder.deep.common.networks import Parameters, mlp, mlp_shapes
from eluder.deep.common.normalise import RewardScale, RunningNorm
from eluder.deep.common.orthogonal import init_orthogonal
from eluder.deep.common.random import bits, normal, uniform
from eluder.deep.common.rollout import Rollout
from eluder.deep.common.run import Run
from eluder.deep.common.seedwise import SeedAdam, clip_by_norm
from eluder.deep.common.training import Schedule
from eluder.deep.online._ppo_kernels import (
    METRICS,
    Data,
    Rules,
    act_rows,
    learn_epochs,
)

__all__ = ["PPOConfig", "ppo"]

ACTOR, CRITIC, ACT, SHUFFLE = range(0, 4000, 1000)  # streams of random numbers


@dataclass(frozen=True)
class PPOConfig:
    """What PPO can be told; the defaults are those of the reference implementations for MuJoCo.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers of actor and critic.
    activation : {"tanh", "relu"}
        Between layers.
    num_steps : int
        Steps of each environment in a rollout.
    num_envs : int
        Environments of each seed.
    epochs : int
        Passes through a rollout.
    batch_size : int
        Transitions of a minibatch; the last of a pass may have fewer.
    gamma, lam : float
        Discount factor; decay of the traces of the advantage.
    clip : float
        Half the width of the interval of ratios.
    value_clip : float or None
        How far a value may follow its target beyond the value at the rollout; None for as far as it goes.
    value_coef, entropy_coef : float
        Weights of the squared error, which has a factor 1/2, and of the entropy.
    max_grad_norm : float
        Largest norm of a gradient.
    lr : float
        First step size of Adam.
    adam_eps : float
        Added to the root of the second moment.
    anneal_steps : int or None
        Steps over which the step size falls to 0 in a line; 0 for never, None for those of the run (which
        is then not the beginning of a longer one).
    max_kl : float or None
        Divergence beyond which a seed learns no more from a rollout.
    log_std : float
        First logarithm of the standard deviation, of actions in [-1, 1].
    normalise_obs, normalise_reward, normalise_advantage : bool
        Whether observations are normalised and rewards scaled by running statistics, and advantages
        normalised in each minibatch.
    fused : bool
        On the CPU: compiled kernels, with the gradient by hand; else autograd: the same numbers up to
        rounding. Other devices have autograd. Layers of 128 units and more run on as many threads as SciPy's
        OpenBLAS has, whatever the schedule says: OPENBLAS_NUM_THREADS=1 in the environment of a busy machine.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    num_steps: int = 2048
    num_envs: int = 1
    epochs: int = 10
    batch_size: int = 64
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    value_clip: float | None = None
    value_coef: float = 0.5
    entropy_coef: float = 0.0
    max_grad_norm: float = 0.5
    lr: float = 3e-4
    adam_eps: float = 1e-5
    anneal_steps: int | None = None
    max_kl: float | None = None
    log_std: float = 0.0
    normalise_obs: bool = True
    normalise_reward: bool = True
    normalise_advantage: bool = True
    fused: bool = True

    def __post_init__(self) -> None:
        for name in ("clip", "max_grad_norm", "lr", "adam_eps"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("value_clip", "max_kl"):
            if getattr(self, name) is not None:
                checks.number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("gamma", "lam"):
            checks.number(name, getattr(self, name), 0.0, 1.0)
        for name in ("value_coef", "entropy_coef"):
            checks.number(name, getattr(self, name), 0.0)
        checks.number("log_std", self.log_std)
        for name in ("num_steps", "num_envs", "epochs", "batch_size"):
            checks.integer(name, getattr(self, name))
        if self.anneal_steps is not None:
            checks.integer("anneal_steps", self.anneal_steps, 0)
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"activation must be 'tanh' or 'relu', got {self.activation!r}")
        check_layers(self.hidden)


def init(config: PPOConfig, obs_dim: int, A: int, discrete: bool, keys: Tensor) -> Parameters:
    """Draw the first parameters: gains sqrt 2 for hidden layers, 0.01 for the policy, 1 for the value."""
    shapes = mlp_shapes((obs_dim, *config.hidden, A), name="actor_")
    if not discrete:
        shapes["log_std"] = (1, A)
    shapes |= mlp_shapes((obs_dim, *config.hidden, 1), name="critic_")
    parameters = Parameters(shapes, len(keys), keys.device)
    gains = [math.sqrt(2.0)] * len(config.hidden)
    init_orthogonal(parameters, keys, [*gains, 0.01], ACTOR, "actor_")
    init_orthogonal(parameters, keys, [*gains, 1.0], CRITIC, "critic_")
    if not discrete:
        parameters["log_std"].detach().fill_(config.log_std)
    return parameters


def step_size(config: Any, t: int, steps: int) -> float:
    """Return the step size of the rollout that began at step t."""
    horizon = steps if config.anneal_steps is None else config.anneal_steps
    return float(config.lr) if horizon == 0 else float(config.lr) * max(0.0, 1.0 - t / horizon)


# --- losses ---


def weighted_mean(x: Tensor, weight: Tensor) -> Tensor:
    """Return ``sum w x / sum w`` along the last axis; 0 if no row counts."""
    return (weight * x).sum(dim=-1) / weight.sum(dim=-1).clamp_min(1.0)


def normalised(advantage: Tensor, weight: Tensor) -> Tensor:
    """Return advantages of mean 0 and unbiased variance 1 along the last axis."""
    centred = advantage - weighted_mean(advantage, weight)[..., None]
    rows = weight.sum(dim=-1)
    var = (weight * centred.square()).sum(dim=-1) / (rows - 1.0).clamp_min(1.0)
    return centred / (var.sqrt() + 1e-8)[..., None]


def clipped_loss(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return ``-min(rho A, clip(rho, 1 - eps, 1 + eps) A)``, row by row (equation 7)."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)


def value_error(value: Tensor, old: Tensor, target: Tensor, clip: float | None) -> Tensor:
    """Return ``1/2 (V - R)^2``, or the larger of it and ``1/2 (V_old + clip(V - V_old) - R)^2``."""
    error = (value - target).square()
    if clip is not None:
        error = torch.maximum(error, (old + (value - old).clamp(-clip, clip) - target).square())
    return 0.5 * error


def divergence(log_ratio: Tensor, weight: Tensor) -> Tensor:
    """Return ``mean (rho - 1 - ln rho)``, an estimate of KL(pi_old || pi) that is never negative."""
    return weighted_mean(log_ratio.exp() - 1.0 - log_ratio, weight)


def policy_terms(parameters: Parameters, config: PPOConfig, obs: Tensor, action: Tensor) -> tuple[Any, Any]:
    """Return log-probabilities of actions, and entropies, both (N, B)."""
    y = mlp(parameters, obs, ACTIVATIONS[config.activation].forward, "actor_")
    if "log_std" in parameters.tensors:
        log_std = parameters["log_std"].expand_as(y)
        entropy = (log_std + 0.5 + 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)
        return gaussian_log_density(action, y, log_std), entropy
    log_p = y.log_softmax(dim=-1)
    return log_p.gather(-1, action.long()).squeeze(-1), -(log_p.exp() * log_p).sum(dim=-1)


def values(parameters: Parameters, config: Any, obs: Tensor) -> Tensor:
    """Return the values of observations, (N, B, obs_dim) to (N, B)."""
    return mlp(parameters, obs, ACTIVATIONS[config.activation].forward, "critic_").squeeze(-1)


# --- acting ---


def make_act(parameters: Parameters, norm: RunningNorm, config: PPOConfig) -> Callable[..., Any]:
    """Return the policy: observations (N, B, obs_dim) and noise, or None for the mode, to actions.

    Noise is normal of shape (N, B, A); for discrete actions uniform of shape (N, B, 1). The kernels take
    arrays as well as tensors, and return what they are given: a conversion costs as much as a layer.
    """
    discrete = "log_std" not in parameters.tensors

    def by_torch(obs: Tensor, noise: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            y = mlp(parameters, norm(obs), ACTIVATIONS[config.activation].forward, "actor_")
            if not discrete:
                return y if noise is None else y + parameters["log_std"].exp() * noise
            if noise is None:
                return y.argmax(dim=-1)
            passed = y.softmax(dim=-1).cumsum(dim=-1) < noise
            return passed.sum(dim=-1).clamp_max(y.shape[-1] - 1)

    if not fused_here(config, parameters):
        return by_torch
    net, memory = net_of(parameters, "actor_", config.activation), {0: np.zeros((1, 1), np.float32)}
    flat, at = parameters.flat.numpy(), _place(parameters, "log_std")[0]
    mean, squares, count = (x.numpy() for x in (norm.mean, norm.squares, norm.count))
    N, A, none = parameters.N, 1 if discrete else int(net.sizes[-1]), np.zeros((1, 1, 1), np.float32)

    def by_kernel(obs: Any, noise: Any = None) -> Any:
        if isinstance(obs, Tensor):
            given = None if noise is None else noise.numpy()
            return torch.from_numpy(by_kernel(obs.expand(N, -1, -1).numpy(), given))
        B, mode = obs.shape[1], noise is None
        if B not in memory:
            memory[B] = scratch(net, B)
        out, x = np.empty((N, B, A), np.float32), np.ascontiguousarray(obs)
        noise = none if mode else noise
        act_rows(flat, at, net, x, mean, squares, count, norm.clip, noise, mode, discrete, memory[B], out)
        return out[..., 0].astype(np.int64) if discrete else out

    return by_kernel


def draw_noise(parameters: Parameters, config: PPOConfig, keys: Tensor, k: int, T: int, E: int) -> Any:
    """Return the noise of rollout k, time first, (T, N, E, A) or (T, N, E, 1): an array for the kernels."""
    if "log_std" in parameters.tensors:
        noise = normal(keys, k, ACT, (T, E, parameters["log_std"].shape[-1]))
    else:
        noise = uniform(keys, k, ACT, (T, E, 1))
    noise = noise.transpose(0, 1).contiguous()
    return noise.numpy() if fused_here(config, parameters) else noise


def fused_here(config: PPOConfig, parameters: Parameters) -> bool:
    """Say whether the kernels do the work."""
    return config.fused and parameters.flat.device.type == "cpu"


def _place(parameters: Parameters, name: str) -> tuple[int, int]:
    """Return where a tensor begins in the flat one, and its numbers per seed; (0, 0) if there is none."""
    start = 0
    for key, leaf in parameters.tensors.items():
        if key == name:
            return start, leaf[0].numel()
        start += leaf.numel()
    return 0, 0


# --- learning ---


def as_rows(x: np.ndarray, device: torch.device | str) -> Tensor:
    """Return an array of a rollout, (N, T, E) or (N, T, E, A), as rows (N, T E, A) on a device."""
    N, T, E = x.shape[:3]
    return torch.from_numpy(x).to(device).view(N, T * E, -1)


def evaluate_rollout(
    parameters: Parameters,
    config: Any,
    rollout: Rollout,
    norm: RunningNorm,
    scale: RewardScale,
    terms: Callable[..., tuple[Any, Any]] | None = None,
) -> Data:
    """Return the rollout as rows (N, M) on the device, with advantages and targets; `scale` takes it in."""
    terms = policy_terms if terms is None else terms
    device, flat = parameters.flat.device, (rollout.N, -1)
    with torch.no_grad():
        obs, action = norm(as_rows(rollout.obs, device)), as_rows(rollout.action, device).float()
        value, log_prob = values(parameters, config, obs), terms(parameters, config, obs, action)[0]
        after = values(parameters, config, norm(as_rows(rollout.next_obs, device)))
    reward = rollout.reward
    if config.normalise_reward:
        reward = scaled_rewards(scale, rollout)
    v, v_next = (x.cpu().numpy().reshape(reward.shape) for x in (value, after))
    discount = config.gamma * ~rollout.terminated
    advantage = gae(reward, v, v_next, discount, config.gamma * config.lam * ~rollout.ended)
    columns = (advantage, advantage + v, rollout.valid.astype(np.float32))
    given, target, weight = (torch.from_numpy(x.reshape(flat)).to(device) for x in columns)
    return Data(obs, action, log_prob, given, target, value, weight)


def scaled_rewards(scale: RewardScale, rollout: Rollout) -> np.ndarray:
    """Take the rewards of a rollout into the statistics; return them scaled."""
    device, flat = scale.total.device, (rollout.N, -1)
    total = scale.total.cpu().numpy()
    sums = discounted_sums(rollout.reward, rollout.ended, total, scale.gamma)
    scale.total.copy_(torch.from_numpy(total))
    seen, weight = (torch.from_numpy(x.reshape(flat)).to(device) for x in (sums, rollout.valid))
    scale.norm.update(seen, weight)
    std = (scale.norm.var + scale.norm.eps).sqrt().cpu().numpy()[:, None, None]
    scaled: np.ndarray = np.clip(rollout.reward / std, -scale.clip, scale.clip).astype(np.float32)
    return scaled


def make_update(
    config: PPOConfig, parameters: Parameters
) -> tuple[Callable[[Data, Tensor, float], dict[str, Tensor]], SeedAdam]:
    """Return what learns from a rollout, and its optimiser.

    ``update(data, order, lr)`` changes the parameters in place; `order` (N, epochs, M) shuffles the rows. It
    returns metrics of shape (N,), each a mean over the minibatches that were learnt from.
    """
    adam = SeedAdam(parameters, config.adam_eps)
    by = by_kernels if fused_here(config, parameters) else by_autograd
    minibatches = by(config, parameters, adam)

    def update(data: Data, order: Tensor, lr: float) -> dict[str, Tensor]:
        sums, taken = minibatches(data, order, lr)
        metrics = sums / taken.clamp_min(1.0)[:, None]
        w, centred = data.weight, data.target - weighted_mean(data.target, data.weight)[:, None]
        left = weighted_mean((data.target - data.value).square(), w)
        explained = 1.0 - left / weighted_mean(centred.square(), w).clamp_min(1e-12)
        named = {name: metrics[:, i].float() for i, name in enumerate(METRICS)}
        return named | {
            "explained": explained,
            "lr": torch.full_like(explained, lr),
            "updates": taken.float(),
        }

    return update, adam


Minibatches = Callable[[Data, Tensor, float], tuple[Tensor, Tensor]]


def by_autograd(config: PPOConfig, parameters: Parameters, adam: SeedAdam) -> Minibatches:
    """Return the epochs as one reads them: all seeds side by side."""

    def losses(batch: Data) -> tuple[Tensor, list[Tensor]]:
        log_prob, entropy = policy_terms(parameters, config, batch.obs, batch.action)
        log_ratio, w = log_prob - batch.log_prob, batch.weight
        advantage = normalised(batch.advantage, w) if config.normalise_advantage else batch.advantage
        policy = weighted_mean(clipped_loss(log_ratio, advantage, config.clip), w)
        value = values(parameters, config, batch.obs)
        error = weighted_mean(value_error(value, batch.value, batch.target, config.value_clip), w)
        bonus = config.entropy_coef * weighted_mean(entropy, w)
        with torch.no_grad():
            kl = divergence(log_ratio, w)
            clipped = weighted_mean(((log_ratio.exp() - 1.0).abs() > config.clip).float(), w)
        loss = (policy + config.value_coef * error - bonus).sum()
        return loss, [policy, error, weighted_mean(entropy, w), kl, clipped]

    def minibatches(data: Data, order: Tensor, lr: float) -> tuple[Tensor, Tensor]:
        N, device = len(order), parameters.flat.device
        sums, taken = torch.zeros(N, len(METRICS), device=device), torch.zeros(N, device=device)
        active, seeds = (
            torch.ones(N, dtype=torch.bool, device=device),
            torch.arange(N, device=device)[:, None],
        )
        for epoch in order.unbind(dim=1):
            for rows in epoch.split(config.batch_size, dim=1):
                batch = Data(*(x[seeds, rows] for x in data))
                parameters.zero_grad()
                loss, terms = losses(batch)
                if config.max_kl is not None:
                    active = active & ~(terms[3] > config.max_kl)
                loss.backward()
                norm = clip_by_norm(parameters, config.max_grad_norm)
                goes = active & (batch.weight.sum(dim=1) > 0)
                adam.step(lr, goes)
                now = torch.stack([x.detach() for x in (*terms, norm)], dim=1)
                sums, taken = sums + torch.where(goes[:, None], now, 0.0), taken + goes
        return sums, taken

    return minibatches


def by_kernels(config: PPOConfig, parameters: Parameters, adam: SeedAdam) -> Minibatches:
    """Return the epochs as one compiled call: one seed after another."""
    actor, critic = (net_of(parameters, name, config.activation) for name in ("actor_", "critic_"))
    buffers: dict[int, tuple[Any, ...]] = {}
    blocks = np.array([_place(parameters, name) for name in parameters.tensors])
    flat, grad, m, v = (x.numpy() for x in (parameters.flat, parameters.grad, adam.exp_avg, adam.exp_avg_sq))
    count = adam.count.numpy()
    rules = Rules(
        "log_std" not in parameters.tensors,
        config.normalise_advantage,
        config.clip,
        math.inf if config.value_clip is None else config.value_clip,
        config.value_coef,
        config.entropy_coef,
        config.max_grad_norm,
        math.inf if config.max_kl is None else config.max_kl,
        config.adam_eps,
    )
    log_std = np.array(_place(parameters, "log_std"))

    def minibatches(data: Data, order: Tensor, lr: float) -> tuple[Tensor, Tensor]:
        N, B = len(order), min(config.batch_size, order.shape[2])
        if B not in buffers:
            buffers[B] = tuple(scratch(net, B) for net in (actor, actor, critic, critic))
        sums, taken, active = np.zeros((N, len(METRICS))), np.zeros(N), np.ones(N, bool)
        host = Data(*(x.contiguous().numpy() for x in data))
        learn_epochs(
            flat, grad, m, v, count, blocks, log_std, actor, critic, host, order.numpy(), rules,
            B, lr, active, buffers[B], sums, taken,
        )  # fmt: skip
        return torch.from_numpy(sums), torch.from_numpy(taken)

    return minibatches


def ppo(
    env: EnvLike,
    steps: int,
    *,
    config: PPOConfig = PPOConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train by proximal policy optimisation, many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, actions of a bounded box or
        discrete.
    steps : int
        Environment steps of each seed; what is left over after the last whole rollout is not learnt from.
    config : PPOConfig, optional
        Hyperparameters.
    seeds : sequence of int, default=(0,)
        Each gives what it gives alone.
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
        Evaluations, parameters and the deterministic policy: the mean, or the likeliest action, with the
        statistics of observations as they are at the end.

    Raises
    ------
    ValueError
        If an argument is out of range, the environment does not fit, or `out` holds another run.

    Notes
    -----
    A step costs `epochs` forward and backward passes of one row through both networks, and one of the actor
    to act; memory is the rollout.

    References
    ----------
    Schulman et al. Proximal policy optimization algorithms. arXiv:1707.06347, 2017.

    Examples
    --------
    >>> short = PPOConfig(hidden=(16,), num_steps=32, batch_size=16, epochs=2)
    >>> result = ppo("CartPole-v1", 64, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape, result.policy(np.zeros((1, 5, 4))).shape
    ((1, 1, 1), (1, 5))
    """
    with Run("ppo", env, steps, config, seeds, device, out, resume, schedule) as run:
        discrete = isinstance(run.envs.action_space, gymnasium.spaces.Discrete)
        obs_dim, A = run.discrete() if discrete else run.continuous()
        T, E = config.num_steps, config.num_envs
        parameters = init(config, obs_dim, A, discrete, run.keys)
        norm = RunningNorm(run.N, (obs_dim,), 10.0 if config.normalise_obs else math.inf, device=device)
        scale = RewardScale(run.N, E, config.gamma, device=device)
        rollout = Rollout(run.N, T, E, obs_dim, None if discrete else A)
        update, adam = make_update(config, parameters)
        act = make_act(parameters, norm, config)
        run.keep(parameters=parameters, adam=adam, norm=norm, scale=scale, rollout=rollout)
        noise = draw_noise(parameters, config, run.keys, run.start // (E * T), T, E)
        here = fused_here(config, parameters)

        for t in run:
            # act
            k, i = divmod(t // E, T)
            obs = run.obs
            action = act(obs if here else run.observations(), noise[i])

            # step
            rollout.add(i, obs, *run.step(action))

            # learn
            if i == T - 1:
                data = evaluate_rollout(parameters, config, rollout, norm, scale)
                order = (
                    bits(run.keys, k, SHUFFLE, config.epochs * T * E).view(run.N, -1, T * E).argsort(dim=2)
                )
                run.metrics = update(data, order, step_size(config, t + E - T * E, run.steps))
                if config.normalise_obs:
                    norm.update(as_rows(rollout.obs, device), data.weight)
                noise = draw_noise(parameters, config, run.keys, k + 1, T, E)

            run.after(t, act)
        statistics = {"mean": norm.mean, "var": norm.var}
        return run.result(act, {"policy": parameters.tensors, "norm": statistics})
