"""Soft actor-critic.

Haarnoja, Zhou, Hartikainen, Tucker, Ha, Tan, Kumar, Zhu, Gupta, Abbeel & Levine (2018), Soft actor-critic
algorithms and applications, arXiv:1812.05905. Options: an ensemble of critics with random subsets (REDQ:
Chen, Wang, Zhou & Ross, Randomized ensembled double Q-learning, ICLR 2021, arXiv:2101.05982); critics with
dropout (DroQ: Hiraoka et al., ICLR 2022, arXiv:2110.02034, in `_droq`).

Pseudo-code, N seeds side by side::

    for t = 0, 1, ...:
        a ~ pi(.|s), uniform for t < warmup;  s' , r = step(a);  store (s, a, r, s')
        for each of utd updates:
            (s, a, r, s') ~ store
            a' ~ pi(.|s');  y = r + gamma (1 - terminated) [min_i Qbar_i(s', a') - alpha ln pi(a'|s')]
            critics      1/2 sum_i mean (Q_i(s, a) - y)^2
            actor        mean [alpha ln pi(b|s) - min_i Q_i(s, b)],  b = tanh(mu(s) + sigma(s) eps)
            temperature  -ln alpha mean [ln pi(b|s) + Hbar],  Hbar = -dim A
            Qbar <- (1 - tau) Qbar + tau Q

Guarantee: none for networks. With exact evaluation and improvement soft policy iteration converges to the
optimal soft policy (Theorem 1 of arXiv:1801.01290); the tests hold the critics against soft dynamic
programming.

Deviations from the paper:
- The temperature is learnt through its logarithm, as every public code does; the paper's equation 18 has
  alpha itself.
- Episodes that end by a time limit go on in the value (`terminated` alone cuts it).
- The actor with more than two critics and `num_sampled` set follows the mean of all critics, as in REDQ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.config import check_interval, check_layers
from eluder.deep.common.densities import tanh_gaussian, tanh_gaussian_gradient, tanh_gaussian_with_spread
from eluder.deep.common.devices import repeated
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS, network
from eluder.deep.common.losses import (
    least_gradient,
    soft_policy_loss,
    soft_target,
    squared_gradient,
    squared_loss,
)
from eluder.deep.common.networks import Parameters, init_mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, uniform
from eluder.deep.common.replay import Batch, Replay
from eluder.deep.common.run import Run, updates_due
from eluder.deep.common.training import Schedule
from eluder.deep.online._droq import DropoutCritic, droq_shapes, init_droq

__all__ = ["SACConfig", "sac"]

ACTOR, CRITIC, WARMUP, ACT, NOISE, SAMPLE, SUBSET, DROPOUT = range(0, 8000, 1000)  # streams of random numbers


@dataclass(frozen=True)
class SACConfig:
    """What SAC can be told; the defaults are those of the paper.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers of actor and critics.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    gamma, tau : float
        Discount factor; rate of the target networks.
    lr_actor, lr_critic, lr_alpha : float
        Step sizes of Adam.
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
    actor_every : int
        Critic updates per update of actor and temperature.
    n_step : int
        Rewards in a target.
    num_critics : int
        Members of the ensemble.
    num_sampled : int or None
        Critics drawn for each target (REDQ: 2 of 10 at utd 20, with actor_every 20); None takes all.
    dropout : float
        Part of the units of critics that is dropped, with layer normalisation (DroQ: 0.01 with num_critics 2,
        num_sampled 2, utd 20, actor_every 20), by autograd; 0 for plain critics.
    alpha : float
        First temperature.
    learn_alpha : bool
        Whether it is learnt.
    target_entropy : float or None
        In nats; None is minus the dimension of the action.
    log_std_range : tuple of float
        Where the logarithm of the standard deviation is cut.
    fused : bool
        Backward passes by hand; else autograd: the same numbers.
    dtype : {"float32", "bfloat16"}
        Of the matrix products.
    """

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    gamma: float = 0.99
    tau: float = 0.005
    lr_actor: float = 3e-4
    lr_critic: float = 3e-4
    lr_alpha: float = 3e-4
    batch_size: int = 256
    replay_size: int = 1_000_000
    warmup: int = 10_000
    num_envs: int = 1
    utd: float = 1.0
    actor_every: int = 1
    n_step: int = 1
    num_critics: int = 2
    num_sampled: int | None = None
    dropout: float = 0.0
    alpha: float = 1.0
    learn_alpha: bool = True
    target_entropy: float | None = None
    log_std_range: tuple[float, float] = (-20.0, 2.0)
    fused: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("lr_actor", "lr_critic", "lr_alpha", "alpha"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        checks.number("gamma", self.gamma, 0.0, 1.0)
        checks.number("tau", self.tau, 0.0, 1.0, open_low=True)
        checks.number("dropout", self.dropout, 0.0, 1.0, open_high=True)
        checks.number("utd", self.utd, 0.0)
        for name in ("batch_size", "replay_size", "num_envs", "actor_every", "n_step", "num_critics"):
            checks.integer(name, getattr(self, name))
        checks.integer("warmup", self.warmup, self.num_envs)
        check_layers(self.hidden)
        check_interval("log_std_range", self.log_std_range)
        if self.target_entropy is not None:
            checks.number("target_entropy", self.target_entropy)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if self.num_sampled is not None:
            checks.integer("num_sampled", self.num_sampled, 1, self.num_critics)


class Networks(NamedTuple):
    """The parameters of N agents."""

    actor: Parameters
    critic: Parameters
    target: Parameters
    alpha: Parameters  # its logarithm


def init(config: SACConfig, obs_dim: int, A: int, keys: Tensor) -> Networks:
    """Draw the first parameters."""
    N, device = len(keys), keys.device
    actor = Parameters(mlp_shapes((obs_dim, *config.hidden, 2 * A)), N, device)
    shapes, draw = (droq_shapes, init_droq) if config.dropout else (mlp_shapes, init_mlp)
    critic = Parameters(shapes((obs_dim + A, *config.hidden, 1), (config.num_critics,)), N, device)
    init_mlp(actor, keys, ACTOR)
    draw(critic, keys, CRITIC)
    alpha = Parameters({"log_alpha": (1,)}, N, device)
    with torch.no_grad():
        alpha["log_alpha"].fill_(config.alpha).log_()
    return Networks(actor, critic, critic.like(), alpha)


def gaussian(output: Tensor, log_std_range: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Split the output of the actor into mean and logarithm of the standard deviation."""
    mean, log_std = output.chunk(2, dim=-1)
    return mean, log_std.clamp(*log_std_range)


def pairs(obs: Tensor, action: Tensor) -> Tensor:
    """Join observations and actions (N, B, ...) for the members of an ensemble: (N, 1, B, ...)."""
    return torch.cat([obs, action], dim=-1)[:, None]


def make_act(actor: Parameters, activation: str, log_std_range: tuple[float, float]) -> Callable[..., Tensor]:
    """Return the policy: observations (N, B, ...) and noise (N, B, A), or None for the mode, to actions."""
    net = network(actor, activation, learn=False, fused=False)

    def act(obs: Tensor, noise: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            mean, log_std = gaussian(net(obs), log_std_range)
            return torch.tanh(mean if noise is None else mean + log_std.exp() * noise)

    return act


def make_update(
    config: SACConfig, nets: Networks, keys: Tensor, A: int
) -> tuple[Callable[..., dict[str, Tensor]], dict[str, Adam]]:
    """Return the update, and its optimisers.

    ``update(batch, u, n)`` changes the networks in place; u numbers the updates, and n, the same number or a
    tensor that holds it, feeds the random numbers. It returns metrics of shape (N,).
    """

    def place(parameters: Parameters, learn: bool) -> Any:
        return network(parameters, config.activation, learn=learn, fused=config.fused, dtype=config.dtype)

    act, dropped = ACTIVATIONS[config.activation].forward, list[DropoutCritic]()

    def place_critic(parameters: Parameters, learn: bool) -> Any:
        if not config.dropout:
            return place(parameters, learn)
        stream = DROPOUT + 100 * len(dropped)
        dropped.append(DropoutCritic(parameters, act, config.dropout, keys, stream, learn=learn))
        return dropped[-1]

    fused = config.fused and not config.dropout
    next_actor, target = place(nets.actor, False), place_critic(nets.target, False)
    critics = critic_gradient(place_critic(nets.critic, True), fused)
    improve = actor_gradient(
        network(nets.actor, config.activation, fused=fused, dtype=config.dtype if fused else "float32"),
        place_critic(nets.critic, False),
        config.log_std_range,
        least=config.num_sampled is None,
        fused=fused,
    )
    adam_actor = Adam(nets.actor, config.lr_actor)
    adam_critic = Adam(nets.critic, config.lr_critic)
    adam_alpha = Adam(nets.alpha, config.lr_alpha)
    entropy = -float(A) if config.target_entropy is None else config.target_entropy
    B, log_alpha = config.batch_size, nets.alpha["log_alpha"]

    def update(batch: Batch, u: int, n: Tensor | int | None = None) -> dict[str, Tensor]:
        n = u if n is None else n
        for critic in dropped:
            critic.n = n
        noise = normal(keys, n, NOISE, (2, B, A))
        alpha = log_alpha.detach().exp()

        # critics, and their targets, which follow them
        with torch.no_grad():
            mean, log_std = next_actor(batch.next_obs).chunk(2, dim=-1)
            next_action, next_log_prob, _ = tanh_gaussian_with_spread(
                mean, log_std, noise[:, 0], config.log_std_range
            )
            next_q = target(pairs(batch.next_obs, next_action)).squeeze(-1)
            next_q = _sampled(config, next_q, keys, n).amin(dim=1)
            y = soft_target(batch.reward, batch.discount, next_q, alpha, next_log_prob)
        if not fused:
            nets.critic.zero_grad()
        q, td_error = critics(batch.obs, batch.action, y)
        adam_critic.step(target=nets.target, tau=config.tau)
        metrics = {"q": q, "td_error": td_error}

        # actor and temperature
        if (u + 1) % config.actor_every == 0:
            if not fused:
                nets.actor.zero_grad()
            log_prob = improve(batch.obs, noise[:, 1], alpha)
            adam_actor.step()
            metrics |= {"entropy": -log_prob.mean(dim=1), "alpha": alpha[:, 0]}
            if config.learn_alpha:
                torch.sub(metrics["entropy"], entropy, out=nets.alpha.grad)  # temperature_gradient
                adam_alpha.step()
        return metrics

    return update, {"adam_actor": adam_actor, "adam_critic": adam_critic, "adam_alpha": adam_alpha}


def critic_gradient(critic: Any, fused: bool) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return what sets the gradient of the critics' loss: (obs, action, y) to the means of Q_i(s, a) and of
    its squared error, shape (N,) each."""

    def by_autograd(obs: Tensor, action: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        q = critic(pairs(obs, action)).squeeze(-1)
        squared_loss(q, y[:, None]).backward()
        return squared_gradient(q.detach(), y)[1:]

    def by_hand(obs: Tensor, action: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        d_q, *means = squared_gradient(critic.run(pairs(obs, action)).squeeze(-1), y)
        critic.pull(d_q[..., None], add=False)
        return means[0], means[1]

    return by_hand if fused else by_autograd


def actor_gradient(
    actor: Any, critic: Any, log_std_range: tuple[float, float], *, least: bool, fused: bool
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return what sets the gradient of the actor's loss: (obs, noise, alpha) to ln pi(b|s), shape (N, B).

    The first output of a critic is its value; the actor follows the least of them, or their mean.
    """

    def by_autograd(obs: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
        action, log_prob = tanh_gaussian(*gaussian(actor(obs), log_std_range), noise)
        q = critic(pairs(obs, action))[..., 0]
        soft_policy_loss(alpha, log_prob, q.amin(dim=1) if least else q.mean(dim=1)).backward()
        return log_prob.detach()

    def by_hand(obs: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
        B = obs.shape[1]
        mean, log_std = actor.run(obs).chunk(2, dim=-1)
        action, log_prob, spread = tanh_gaussian_with_spread(mean, log_std, noise, log_std_range)
        judged = critic.run(pairs(obs, action))
        if least:
            d_judged = least_gradient(judged)
        else:
            d_judged = torch.zeros_like(judged)
            d_judged[..., 0].fill_(-1.0 / (B * judged.shape[1]))
        d_action = critic.pull(d_judged, True, first=obs.shape[-1]).sum(dim=1)
        d_output = tanh_gaussian_gradient(d_action, alpha / B, log_std, action, spread, log_std_range)
        actor.pull(d_output, add=False)
        return log_prob

    return by_hand if fused else by_autograd


def _sampled(config: SACConfig, q: Tensor, keys: Tensor, u: Tensor | int) -> Tensor:
    """Return a random subset of the members, shape (N, num_sampled, B); all of them if none is asked for."""
    if config.num_sampled is None:
        return q
    order = uniform(keys, u, SUBSET, (config.num_critics,)).argsort(dim=1)[:, : config.num_sampled]
    return q.gather(1, order[:, :, None].expand(-1, -1, q.shape[-1]))


def sac(
    env: EnvLike,
    steps: int,
    *,
    config: SACConfig = SACConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train soft actor-critic, many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, actions of a bounded box.
    steps : int
        Environment steps of each seed.
    config : SACConfig, optional
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
    One update costs six passes through networks of `hidden` units for `batch_size` rows, per seed; memory is
    the replay.

    References
    ----------
    Haarnoja et al. Soft actor-critic algorithms and applications. arXiv:1812.05905, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> short = SACConfig(hidden=(16,), batch_size=8, warmup=50)
    >>> result = sac("Pendulum-v1", 60, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape, result.policy(np.zeros((1, 5, 3))).shape
    ((1, 1, 1), (1, 5, 1))
    """
    with Run("sac", env, steps, config, seeds, device, out, resume, schedule) as run:
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
            batch = replay.sample(B, run.keys, n, gamma=config.gamma, n_step=config.n_step, stream=SAMPLE)
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
