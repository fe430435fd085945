"""Distributional soft actor-critic (DSAC, the first version).

Duan, Guan, Li, Ren, Sun & Cheng (2021), Distributional soft actor-critic: off-policy reinforcement learning
for addressing value estimation errors, IEEE TNNLS, arXiv:2001.02811.

One critic learns a Gaussian of the soft return, N(Q, sigma^2). Pseudo-code of one update::

    a' ~ pibar(.|s');  z ~ N(Qbar(s', a'), sigmabar(s', a')^2), cut at 3 sigmabar
    y = r + gamma (1 - terminated) [z - alpha ln pibar(a'|s')];  C = clip(y, Q - b, Q + b)
    grad = mean [ -(y - Q) / (sigma^2 + e) grad Q - ((C - Q)^2 - sigma^2) / (sigma^3 + e) grad sigma ]
    every second update: actor mean [alpha ln pi(b|s) - Q(s, b)], temperature as in SAC, all targets
    e = 0.1

Guarantee: none for networks. The tests hold the learnt mean and standard deviation against the closed form
of a linear problem with Gaussian noise.

Deviations from the paper:
- e, and the cut of z, are those of the authors' public code; the paper's equations have neither.
- The networks are those of the comparison in arXiv:2310.05858 (three layers of 256), and so is b = 20.
- The actor's gradient is computed only where it is used, at every second update.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.config import check_interval, check_layers
from eluder.deep.common.densities import tanh_gaussian
from eluder.deep.common.devices import repeated
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS, network
from eluder.deep.common.losses import soft_target, temperature_gradient
from eluder.deep.common.networks import Parameters, init_mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, uniform
from eluder.deep.common.replay import Batch, Replay
from eluder.deep.common.run import Run, updates_due
from eluder.deep.common.training import Schedule
from eluder.deep.online._sac import actor_gradient, gaussian, make_act, pairs

__all__ = ["DSACConfig", "dsac"]

ACTOR, CRITIC, WARMUP, ACT, NOISE, RETURN, SAMPLE = range(0, 7000, 1000)  # streams of random numbers


@dataclass(frozen=True)
class DSACConfig:
    """What DSAC can be told; the defaults are those of its comparison with DSAC-T.

    Attributes
    ----------
    bound : float
        b, where the target of the variance is cut.
    eps : float
        e, added to the powers of sigma; keeps gradients finite.
    hidden : tuple of int
        Units of the hidden layers.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    gamma, tau : float
        Discount factor (the paper has .999 for Hopper); rate of the target networks.
    lr_actor, lr_critic, lr_alpha : float
        Step sizes of Adam.
    batch_size, replay_size, warmup : int
        Transitions per update; frames kept; steps of uniform actions before the first update.
    num_envs : int
        Environments of each seed.
    utd : float
        Updates per environment step.
    actor_every : int
        Critic updates per update of actor, temperature and targets.
    alpha : float
        First temperature.
    target_entropy : float or None
        In nats; None is minus the dimension of the action.
    log_std_range : tuple of float
        Where the logarithm of the standard deviation of the policy is cut.
    fused : bool
        Backward passes by hand; else autograd: the same numbers.
    dtype : {"float32", "bfloat16"}
        Of the matrix products.
    """

    bound: float = 20.0
    eps: float = 0.1
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "gelu"
    gamma: float = 0.99
    tau: float = 0.005
    lr_actor: float = 1e-4
    lr_critic: float = 1e-4
    lr_alpha: float = 3e-4
    batch_size: int = 256
    replay_size: int = 1_000_000
    warmup: int = 10_000
    num_envs: int = 1
    utd: float = 1.0
    actor_every: int = 2
    alpha: float = 2.718281828459045
    target_entropy: float | None = None
    log_std_range: tuple[float, float] = (-20.0, 0.5)
    fused: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("lr_actor", "lr_critic", "lr_alpha", "alpha", "bound", "eps"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        checks.number("gamma", self.gamma, 0.0, 1.0)
        checks.number("tau", self.tau, 0.0, 1.0, open_low=True)
        checks.number("utd", self.utd, 0.0)
        for name in ("batch_size", "replay_size", "num_envs", "actor_every"):
            checks.integer(name, getattr(self, name))
        checks.integer("warmup", self.warmup, self.num_envs)
        check_layers(self.hidden)
        check_interval("log_std_range", self.log_std_range)
        if self.target_entropy is not None:
            checks.number("target_entropy", self.target_entropy)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")


class Networks(NamedTuple):
    """The parameters of N agents."""

    actor: Parameters
    actor_target: Parameters
    critic: Parameters  # one member, two outputs: Q, and sigma before softplus
    critic_target: Parameters
    alpha: Parameters  # its logarithm


def init(config: DSACConfig, obs_dim: int, A: int, keys: Tensor) -> Networks:
    """Draw the first parameters."""
    N, device = len(keys), keys.device
    actor = Parameters(mlp_shapes((obs_dim, *config.hidden, 2 * A)), N, device)
    critic = Parameters(mlp_shapes((obs_dim + A, *config.hidden, 2), (1,)), N, device)
    init_mlp(actor, keys, ACTOR)
    init_mlp(critic, keys, CRITIC)
    alpha = Parameters({"log_alpha": (1,)}, N, device)
    with torch.no_grad():
        alpha["log_alpha"].fill_(config.alpha).log_()
    return Networks(actor, actor.like(), critic, critic.like(), alpha)


def return_law(output: Tensor) -> tuple[Tensor, Tensor]:
    """Split the output of a critic into mean and standard deviation of the return."""
    return output[..., 0], F.softplus(output[..., 1])


def law_gradient(q: Tensor, sigma: Tensor, y: Tensor, clipped: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return what multiplies grad Q and grad sigma, for each transition, before the mean.

    It is the gradient of the negative log-likelihood of a Gaussian, ``(y - Q)^2 / (2 sigma^2) + ln sigma``,
    with the target of the variance clipped and eps in the denominators.
    """
    d_q = -(y - q) / (sigma.square() + eps)
    return d_q, -((clipped - q).square() - sigma.square()) / (sigma**3 + eps)


def make_update(
    config: DSACConfig, nets: Networks, keys: Tensor, A: int
) -> tuple[Callable[..., dict[str, Tensor]], dict[str, Adam]]:
    """Return ``update(batch, u)``, which changes the networks in place and returns metrics, and its
    optimisers."""

    def place(parameters: Parameters, learn: bool) -> Any:
        return network(parameters, config.activation, learn=learn, fused=config.fused, dtype=config.dtype)

    next_actor, target = place(nets.actor_target, False), place(nets.critic_target, False)
    critics = critic_gradient(config, place(nets.critic, True))
    improve = actor_gradient(
        place(nets.actor, True),
        place(nets.critic, False),
        config.log_std_range,
        least=True,
        fused=config.fused,
    )
    adam_actor = Adam(nets.actor, config.lr_actor)
    adam_critic = Adam(nets.critic, config.lr_critic)
    adam_alpha = Adam(nets.alpha, config.lr_alpha)
    entropy = -float(A) if config.target_entropy is None else config.target_entropy
    B, log_alpha = config.batch_size, nets.alpha["log_alpha"]

    def update(batch: Batch, u: int, n: Tensor | int | None = None) -> dict[str, Tensor]:
        n = u if n is None else n
        noise = normal(keys, n, NOISE, (2, B, A))
        alpha = log_alpha.detach().exp()

        # target
        with torch.no_grad():
            next_action, log_prob = tanh_gaussian(
                *gaussian(next_actor(batch.next_obs), config.log_std_range), noise[:, 0]
            )
            mean, spread = return_law(target(pairs(batch.next_obs, next_action))[:, 0])
            z = mean + spread * normal(keys, n, RETURN, (B,)).clamp(-3.0, 3.0)
            y = soft_target(batch.reward, batch.discount, z, alpha, log_prob)

        # critic
        if not config.fused:
            nets.critic.zero_grad()
        q, sigma = critics(batch, y)
        adam_critic.step()
        metrics = {"q": q.mean(dim=(1, 2)), "sigma": sigma.mean(dim=(1, 2))}

        # actor, temperature, targets
        if (u + 1) % config.actor_every == 0:
            if not config.fused:
                nets.actor.zero_grad()
            log_prob = improve(batch.obs, noise[:, 1], alpha)
            adam_actor.step()
            nets.alpha.grad.copy_(temperature_gradient(log_prob, entropy))
            adam_alpha.step()
            nets.actor_target.track(nets.actor, config.tau)
            nets.critic_target.track(nets.critic, config.tau)
            metrics |= {"entropy": -log_prob.mean(dim=1), "alpha": alpha[:, 0]}
        return metrics

    return update, {"adam_actor": adam_actor, "adam_critic": adam_critic, "adam_alpha": adam_alpha}


def critic_gradient(config: DSACConfig, critic: Any) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return what sets the gradient of the critic and returns Q and sigma, shapes (N, 1, B)."""

    def factors(q: Tensor, sigma: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        clipped = q + (y[:, None] - q).clamp(-config.bound, config.bound)
        return law_gradient(q, sigma, y[:, None], clipped, config.eps)

    def by_autograd(batch: Batch, y: Tensor) -> tuple[Tensor, Tensor]:
        q, sigma = return_law(critic(pairs(batch.obs, batch.action)))
        d_q, d_sigma = factors(q.detach(), sigma.detach(), y)
        (d_q * q + d_sigma * sigma).mean(dim=-1).sum().backward()
        return q.detach(), sigma.detach()

    def by_hand(batch: Batch, y: Tensor) -> tuple[Tensor, Tensor]:
        output = critic.run(pairs(batch.obs, batch.action))
        q, sigma = return_law(output)
        d_q, d_sigma = factors(q, sigma, y)
        d_raw = d_sigma * torch.sigmoid(output[..., 1])  # softplus' = sigmoid
        critic.pull(torch.stack([d_q, d_raw], dim=-1) / q.shape[-1], add=False)
        return q, sigma

    return by_hand if config.fused else by_autograd


def dsac(
    env: EnvLike,
    steps: int,
    *,
    config: DSACConfig = DSACConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train DSAC, many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, actions of a bounded box.
    steps : int
        Environment steps of each seed.
    config : DSACConfig, optional
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
        Evaluations, parameters and the deterministic policy ``tanh(mu(s))``.

    Raises
    ------
    ValueError
        If an argument is out of range, the environment does not fit, or `out` holds another run.

    Notes
    -----
    One update costs about one of SAC: three hidden layers for two, one critic for two.

    References
    ----------
    Duan et al. Distributional soft actor-critic. IEEE TNNLS, 2021. arXiv:2001.02811.

    Examples
    --------
    >>> short = DSACConfig(hidden=(16,), batch_size=8, warmup=50)
    >>> result = dsac("Pendulum-v1", 60, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape
    (1, 1, 1)
    """
    with Run("dsac", env, steps, config, seeds, device, out, resume, schedule) as run:
        obs_dim, A = run.continuous()
        nets = init(config, obs_dim, A, run.keys)
        replay = Replay(config.replay_size, (obs_dim,), A, run.N, config.num_envs, device)
        update, optimisers = make_update(config, nets, run.keys, A)
        act = make_act(nets.actor, config.activation, config.log_std_range)
        run.keep(**nets._asdict(), **optimisers, replay=replay)
        if run.start == 0:
            replay.begin(run.obs)

        def explore(t: int, n: Tensor | int) -> Tensor:
            if t < config.warmup:
                return 2.0 * uniform(run.keys, n, WARMUP, shape) - 1.0
            return act(run.observations(), normal(run.keys, n, ACT, shape))

        def learn(u: int, n: Tensor | int) -> dict[str, Tensor]:
            batch = replay.sample(B, run.keys, n, gamma=config.gamma, stream=SAMPLE)
            return update(batch, u, n)

        B, shape = config.batch_size, (config.num_envs, A)
        acting = repeated(explore, run.device, lambda t: t < config.warmup)
        learning = repeated(learn, run.device, lambda u: (u + 1) % config.actor_every == 0)

        for t in run:
            replay.add(*run.step(acting(t)))
            for u in updates_due(t - config.warmup, config.num_envs, config.utd):
                run.metrics |= learning(u)
            run.after(t, act)
        return run.result(act, {"actor": nets.actor.tensors, "critic": nets.critic.tensors})
