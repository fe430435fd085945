"""Deep deterministic policy gradient (DDPG).

Lillicrap, Hunt, Pritzel, Heess, Erez, Tassa, Silver & Wierstra (2016), Continuous control with deep
reinforcement learning, ICLR 2016, arXiv:1509.02971.

Pseudo-code, N seeds side by side; actions in [-1, 1], mu(s) = tanh of a perceptron::

    for t = 0, 1, ...:
        n <- (1 - theta) n + sigma eps,  n = 0 where an episode begins
        a = clip(mu(s) + n), uniform for t < warmup;  s', r = step(a);  store (s, a, r, s')
        for each of utd updates:
            (s, a, r, s') ~ store
            y = r + gamma (1 - terminated) Qbar(s', mubar(s'))
            critic       1/2 mean (Q(s, a) - y)^2 + 1/2 weight_decay |w|^2
            actor        -mean Q(s, mu(s))
            mubar, Qbar <- (1 - tau) mubar, Qbar + tau mu, Q

Guarantee: none for networks. The actor follows the deterministic policy gradient (Silver et al. 2014,
Theorem 1) as far as the critic's derivative in the action is right.

Deviations from the paper:
- No batch normalisation; `weight_decay` is 0 unless it is asked for (paper: 1e-2).
- The action enters the critic with the observation, not at its second layer.
- Uniform actions until the first update; the paper follows its policy from the start.
- Hidden layers are drawn as PyTorch draws biases and weights, the last ones as in the paper.
- Episodes that end by a time limit go on in the value (`terminated` alone cuts it).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.config import check_layers
from eluder.deep.common.devices import repeated
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS, network
from eluder.deep.common.losses import squared_loss, td_target
from eluder.deep.common.networks import Parameters, init_mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, uniform
from eluder.deep.common.replay import Batch, Replay
from eluder.deep.common.run import Run, updates_due
from eluder.deep.common.training import Schedule

__all__ = ["DDPGConfig", "ddpg"]

ACTOR, CRITIC, WARMUP, ACT, SAMPLE = range(0, 5000, 1000)  # streams of random numbers
LAST = 3e-3  # the last layers are drawn from U(-LAST, LAST), so that first values and actions are near 0


@dataclass(frozen=True)
class DDPGConfig:
    """What DDPG can be told; the defaults are those of the paper for low-dimensional observations.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers of actor and critic.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    gamma, tau : float
        Discount factor; rate of the target networks. At the paper's 0.001 they lag by 1,000 updates: runs of
        few steps want more, 0.005 say.
    lr_actor, lr_critic : float
        Step sizes of Adam.
    weight_decay : float
        Of the critic, added to the gradient; paper: 1e-2.
    batch_size : int
        Transitions per update and seed.
    replay_size : int
        Frames that are kept.
    warmup : int
        Steps of uniform actions before the first update.
    num_envs : int
        Environments of each seed.
    utd : float
        Updates per environment step.
    n_step : int
        Rewards in a target; paper: 1.
    sigma : float
        Standard deviation of the steps of the noise, in units of [-1, 1].
    theta : float
        How much of the noise is forgotten at each step: 1 draws it anew, less correlates it in time (the
        process of Ornstein and Uhlenbeck).
    fused : bool
        Backward passes by hand; else autograd: the same numbers.
    dtype : {"float32", "bfloat16"}
        Of the matrix products.
    """

    hidden: tuple[int, ...] = (400, 300)
    activation: str = "relu"
    gamma: float = 0.99
    tau: float = 0.001
    lr_actor: float = 1e-4
    lr_critic: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 64
    replay_size: int = 1_000_000
    warmup: int = 1_000
    num_envs: int = 1
    utd: float = 1.0
    n_step: int = 1
    sigma: float = 0.2
    theta: float = 0.15
    fused: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("lr_actor", "lr_critic"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("utd", "sigma", "weight_decay"):
            checks.number(name, getattr(self, name), 0.0)
        checks.number("gamma", self.gamma, 0.0, 1.0)
        for name in ("tau", "theta"):
            checks.number(name, getattr(self, name), 0.0, 1.0, open_low=True)
        for name in ("batch_size", "replay_size", "num_envs", "n_step"):
            checks.integer(name, getattr(self, name))
        checks.integer("warmup", self.warmup, self.num_envs)
        check_layers(self.hidden)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")


class Networks(NamedTuple):
    """The parameters of N agents."""

    actor: Parameters
    critic: Parameters
    actor_target: Parameters
    critic_target: Parameters


def init(config: DDPGConfig, obs_dim: int, A: int, keys: Tensor) -> Networks:
    """Draw the first parameters."""
    N, device, last = len(keys), keys.device, len(config.hidden)
    actor = Parameters(mlp_shapes((obs_dim, *config.hidden, A)), N, device)
    critic = Parameters(mlp_shapes((obs_dim + A, *config.hidden, 1)), N, device)
    for parameters, stream in ((actor, ACTOR), (critic, CRITIC)):
        init_mlp(parameters, keys, stream)
        fan_in = parameters[f"w{last}"].shape[-2]
        for name in (f"w{last}", f"b{last}"):
            parameters[name].detach().mul_(LAST * fan_in**0.5)
    return Networks(actor, critic, actor.like(), critic.like())


def next_noise(noise: Tensor, eps: Tensor, theta: float, sigma: float) -> Tensor:
    """Return ``(1 - theta) noise + sigma eps``."""
    return (1.0 - theta) * noise + sigma * eps


def make_act(actor: Parameters, activation: str) -> Callable[[Tensor], Tensor]:
    """Return the policy: observations (N, B, ...) to actions (N, B, A)."""
    net = network(actor, activation, learn=False, fused=False)

    def act(obs: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.tanh(net(obs))

    return act


def make_update(
    config: DDPGConfig, nets: Networks
) -> tuple[Callable[[Batch], dict[str, Tensor]], dict[str, Adam]]:
    """Return the update, and its optimisers.

    ``update(batch)`` changes the networks in place and returns metrics of shape (N,).
    """

    def place(parameters: Parameters, learn: bool) -> Any:
        return network(parameters, config.activation, learn=learn, fused=config.fused, dtype=config.dtype)

    actor_target, critic_target = place(nets.actor_target, False), place(nets.critic_target, False)
    evaluate = critic_gradient(place(nets.critic, True), config.fused)
    improve = actor_gradient(place(nets.actor, True), place(nets.critic, False), config.fused)
    adam_actor = Adam(nets.actor, config.lr_actor)
    adam_critic = Adam(nets.critic, config.lr_critic)

    def update(batch: Batch) -> dict[str, Tensor]:
        # critic
        with torch.no_grad():
            next_action = torch.tanh(actor_target(batch.next_obs))
            next_q = critic_target(torch.cat([batch.next_obs, next_action], dim=-1)).squeeze(-1)
            y = td_target(batch.reward, batch.discount, next_q)
        nets.critic.zero_grad()
        q = evaluate(batch.obs, batch.action, y)
        if config.weight_decay:
            nets.critic.grad.add_(nets.critic.flat, alpha=config.weight_decay)
        adam_critic.step()

        # actor
        nets.actor.zero_grad()
        action, q_actor = improve(batch.obs)
        adam_actor.step()

        # targets
        nets.actor_target.track(nets.actor, config.tau)
        nets.critic_target.track(nets.critic, config.tau)
        return {
            "q": q.mean(dim=1),
            "td_error": (q - y).square().mean(dim=1),
            "q_actor": q_actor.mean(dim=1),
            "saturation": action.abs().mean(dim=(1, 2)),
        }

    return update, {"adam_actor": adam_actor, "adam_critic": adam_critic}


def critic_gradient(critic: Any, fused: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return what adds the gradient of the critic's loss: (obs, action, y) to Q(s, a), shape (N, B)."""

    def by_autograd(obs: Tensor, action: Tensor, y: Tensor) -> Tensor:
        q = critic(torch.cat([obs, action], dim=-1)).squeeze(-1)
        squared_loss(q, y).backward()
        return q.detach()

    def by_hand(obs: Tensor, action: Tensor, y: Tensor) -> Tensor:
        q: Tensor = critic.run(torch.cat([obs, action], dim=-1)).squeeze(-1)
        critic.pull((q - y).unsqueeze(-1) / obs.shape[1])
        return q

    return by_hand if fused else by_autograd


def actor_gradient(actor: Any, critic: Any, fused: bool) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what adds the gradient of ``-mean Q(s, mu(s))``: obs to mu(s), (N, B, A), and Q, (N, B)."""

    def by_autograd(obs: Tensor) -> tuple[Tensor, Tensor]:
        action = torch.tanh(actor(obs))
        q = critic(torch.cat([obs, action], dim=-1)).squeeze(-1)
        (-q.mean(dim=1).sum()).backward()
        return action.detach(), q.detach()

    def by_hand(obs: Tensor) -> tuple[Tensor, Tensor]:
        action = torch.tanh(actor.run(obs))
        q = critic.run(torch.cat([obs, action], dim=-1))
        d_pair = critic.pull(torch.full_like(q, -1.0 / obs.shape[1]), True)
        actor.pull(d_pair[..., obs.shape[-1] :] * (1.0 - action.square()))
        return action, q.squeeze(-1)

    return by_hand if fused else by_autograd


def ddpg(
    env: EnvLike,
    steps: int,
    *,
    config: DDPGConfig = DDPGConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train deep deterministic policy gradient (DDPG), many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, actions of a bounded box.
    steps : int
        Environment steps of each seed.
    config : DDPGConfig, optional
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
        Evaluations, parameters and the policy ``mu(s)`` without noise.

    Raises
    ------
    ValueError
        If an argument is out of range, the environment does not fit, or `out` holds another run.

    Notes
    -----
    One update costs ten passes through a network of `hidden` units for `batch_size` rows, per seed, where the
    way back counts two; memory is the replay.

    References
    ----------
    Lillicrap et al. Continuous control with deep reinforcement learning. ICLR 2016, arXiv:1509.02971.

    Examples
    --------
    >>> import numpy as np
    >>> short = DDPGConfig(hidden=(16,), batch_size=8, warmup=50)
    >>> result = ddpg("Pendulum-v1", 60, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape, result.policy(np.zeros((1, 5, 3))).shape
    ((1, 1, 1), (1, 5, 1))
    """
    with Run("ddpg", env, steps, config, seeds, device, out, resume, schedule) as run:
        obs_dim, A = run.continuous()
        nets = init(config, obs_dim, A, run.keys)
        replay = Replay(config.replay_size, (obs_dim,), A, run.N, config.num_envs, device)
        update, optimisers = make_update(config, nets)
        act = make_act(nets.actor, config.activation)
        shape = (config.num_envs, A)
        process = Parameters({"noise": shape}, run.N, device)
        run.keep(**nets._asdict(), **optimisers, replay=replay, process=process)
        if run.start == 0:
            replay.begin(run.obs)
        noise = process["noise"].detach()

        def explore(t: int, n: Tensor | int) -> Tensor:
            if t < config.warmup:
                return 2.0 * uniform(run.keys, n, WARMUP, shape) - 1.0
            noise.copy_(next_noise(noise, normal(run.keys, n, ACT, shape), config.theta, config.sigma))
            return (act(run.observations()) + noise).clamp(-1.0, 1.0)

        def learn(u: int, n: Tensor | int) -> dict[str, Tensor]:
            batch = replay.sample(B, run.keys, n, gamma=config.gamma, n_step=config.n_step, stream=SAMPLE)
            return update(batch)

        B = config.batch_size
        acting = repeated(explore, run.device, lambda t: t < config.warmup)
        learning = repeated(learn, run.device)

        for t in run:
            action, step = run.step(acting(t))
            replay.add(action, step)
            begins = torch.from_numpy(step.terminated | step.truncated | ~step.valid).to(noise.device)
            noise.masked_fill_(begins.view(run.N, config.num_envs, 1), 0.0)
            for u in updates_due(t - config.warmup, config.num_envs, config.utd):
                run.metrics = learning(u)
            run.after(t, act)
        return run.result(act, {"actor": nets.actor.tensors, "critic": nets.critic.tensors})
