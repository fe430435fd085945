"""Twin delayed deep deterministic policy gradient (TD3).

Fujimoto, van Hoof & Meger (2018), Addressing function approximation error in actor-critic methods, ICML 2018,
arXiv:1802.09477.

Pseudo-code, N seeds side by side; actions in [-1, 1], mu(s) = tanh of a perceptron::

    for t = 0, 1, ...:
        a = clip(mu(s) + sigma eps), uniform for t < warmup;  s', r = step(a);  store (s, a, r, s')
        for each of utd updates:
            (s, a, r, s') ~ store
            a' = clip(mubar(s') + clip(target_sigma eps, -target_clip, target_clip), -1, 1)
            y = r + gamma (1 - terminated) min_i Qbar_i(s', a')
            critics      1/2 sum_{i=1,2} mean (Q_i(s, a) - y)^2
            every actor_every updates:
                actor    -mean Q_1(s, mu(s))
                mubar, Qbar <- (1 - tau) mubar, Qbar + tau mu, Q

Guarantee: none for networks. Clipped double Q-learning of finite problems converges to Q* (Theorem 1 of the
paper).

Deviations from the paper:
- Episodes that end by a time limit go on in the value (`terminated` alone cuts it).
- The critics' loss has a factor of 1/2, which Adam takes back.
- Two hidden layers of 256 units, batches of 256 and steps of 3e-4, as the authors' later code has; the
  fields say what the paper has.
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

__all__ = ["TD3Config", "td3"]

ACTOR, CRITIC, WARMUP, ACT, NOISE, SAMPLE = range(0, 6000, 1000)  # streams of random numbers


@dataclass(frozen=True)
class TD3Config:
    """What TD3 can be told; actions and their noise are in units of [-1, 1].

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers of actor and critics; paper: 400 and 300.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    gamma, tau : float
        Discount factor; rate of the target networks.
    lr_actor, lr_critic : float
        Step sizes of Adam; paper: 1e-3.
    batch_size : int
        Transitions per update and seed; paper: 100.
    replay_size : int
        Frames that are kept.
    warmup : int
        Steps of uniform actions before the first update; paper: 10 000, or 1000 where a fall ends the
        episode.
    num_envs : int
        Environments of each seed.
    utd : float
        Updates per environment step.
    actor_every : int
        Updates of the critics per update of the actor and of all targets.
    n_step : int
        Rewards in a target; paper: 1.
    sigma : float
        Standard deviation of the noise of exploration.
    target_sigma, target_clip : float
        Standard deviation of the noise of the target's action, and where it is cut.
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
    batch_size: int = 256
    replay_size: int = 1_000_000
    warmup: int = 10_000
    num_envs: int = 1
    utd: float = 1.0
    actor_every: int = 2
    n_step: int = 1
    sigma: float = 0.1
    target_sigma: float = 0.2
    target_clip: float = 0.5
    fused: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("lr_actor", "lr_critic"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("utd", "sigma", "target_sigma", "target_clip"):
            checks.number(name, getattr(self, name), 0.0)
        checks.number("gamma", self.gamma, 0.0, 1.0)
        checks.number("tau", self.tau, 0.0, 1.0, open_low=True)
        for name in ("batch_size", "replay_size", "num_envs", "actor_every", "n_step"):
            checks.integer(name, getattr(self, name))
        checks.integer("warmup", self.warmup, self.num_envs)
        check_layers(self.hidden)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")


class Networks(NamedTuple):
    """The parameters of N agents."""

    actor: Parameters
    critic: Parameters  # both of them
    actor_target: Parameters
    critic_target: Parameters


class First(Parameters):
    """A view of the first critic of each seed, without gradients: all that the actor follows."""

    def __init__(self, critics: Parameters) -> None:
        self.shapes = {name: shape[1:] for name, shape in critics.shapes.items()}
        self.flat, self.grad = critics.flat, critics.grad
        self.tensors = {name: leaf.detach()[:, 0] for name, leaf in critics.tensors.items()}


def init(config: TD3Config, obs_dim: int, A: int, keys: Tensor) -> Networks:
    """Draw the first parameters."""
    N, device = len(keys), keys.device
    actor = Parameters(mlp_shapes((obs_dim, *config.hidden, A)), N, device)
    critic = Parameters(mlp_shapes((obs_dim + A, *config.hidden, 1), (2,)), N, device)
    init_mlp(actor, keys, ACTOR)
    init_mlp(critic, keys, CRITIC)
    return Networks(actor, critic, actor.like(), critic.like())


def smoothed(action: Tensor, noise: Tensor, sigma: float, clip: float) -> Tensor:
    """Return ``clip(action + clip(sigma noise, -clip, clip), -1, 1)``: the action of the target."""
    return (action + (sigma * noise).clamp(-clip, clip)).clamp(-1.0, 1.0)


def make_act(actor: Parameters, activation: str) -> Callable[[Tensor], Tensor]:
    """Return the policy: observations (N, B, ...) to actions (N, B, A)."""
    net = network(actor, activation, learn=False, fused=False)

    def act(obs: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.tanh(net(obs))

    return act


def make_update(
    config: TD3Config, nets: Networks, keys: Tensor, A: int
) -> tuple[Callable[..., dict[str, Tensor]], dict[str, Adam]]:
    """Return the update, and its optimisers.

    ``update(batch, u)`` changes the networks in place; u numbers the updates and feeds the random numbers. It
    returns metrics of shape (N,).
    """

    def place(parameters: Parameters, learn: bool) -> Any:
        return network(parameters, config.activation, learn=learn, fused=config.fused, dtype=config.dtype)

    actor_target, critic_target = place(nets.actor_target, False), place(nets.critic_target, False)
    evaluate = critic_gradient(place(nets.critic, True), config.fused)
    improve = actor_gradient(place(nets.actor, True), place(First(nets.critic), False), config.fused)
    adam_actor = Adam(nets.actor, config.lr_actor)
    adam_critic = Adam(nets.critic, config.lr_critic)

    def update(batch: Batch, u: int, n: Tensor | int | None = None) -> dict[str, Tensor]:
        n = u if n is None else n
        # critics
        with torch.no_grad():
            noise = normal(keys, n, NOISE, (config.batch_size, A))
            next_action = torch.tanh(actor_target(batch.next_obs))
            next_action = smoothed(next_action, noise, config.target_sigma, config.target_clip)
            pair = torch.cat([batch.next_obs, next_action], dim=-1)[:, None]
            y = td_target(batch.reward, batch.discount, critic_target(pair).squeeze(-1).amin(dim=1))
        if not config.fused:
            nets.critic.zero_grad()
        q = evaluate(batch.obs, batch.action, y)
        adam_critic.step()
        metrics = {"q": q.mean(dim=(1, 2)), "td_error": (q - y[:, None]).square().mean(dim=(1, 2))}

        # actor and targets
        if (u + 1) % config.actor_every == 0:
            if not config.fused:
                nets.actor.zero_grad()
            action, q = improve(batch.obs)
            adam_actor.step()
            nets.actor_target.track(nets.actor, config.tau)
            nets.critic_target.track(nets.critic, config.tau)
            metrics |= {"q_actor": q.mean(dim=1), "saturation": action.abs().mean(dim=(1, 2))}
        return metrics

    return update, {"adam_actor": adam_actor, "adam_critic": adam_critic}


def critic_gradient(critic: Any, fused: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return what sets the gradient of the critics' loss: (obs, action, y) to Q_i(s, a), shape (N, 2, B)."""

    def by_autograd(obs: Tensor, action: Tensor, y: Tensor) -> Tensor:
        q = critic(torch.cat([obs, action], dim=-1)[:, None]).squeeze(-1)
        squared_loss(q, y[:, None]).backward()
        return q.detach()

    def by_hand(obs: Tensor, action: Tensor, y: Tensor) -> Tensor:
        q: Tensor = critic.run(torch.cat([obs, action], dim=-1)[:, None])
        critic.pull((q - y[:, None, :, None]) / obs.shape[1], add=False)
        return q.squeeze(-1)

    return by_hand if fused else by_autograd


def actor_gradient(actor: Any, critic: Any, fused: bool) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what sets the gradient of ``-mean Q_1(s, mu(s))``: obs to mu(s), (N, B, A), and Q_1, (N, B)."""

    def by_autograd(obs: Tensor) -> tuple[Tensor, Tensor]:
        action = torch.tanh(actor(obs))
        q = critic(torch.cat([obs, action], dim=-1)).squeeze(-1)
        (-q.mean(dim=1).sum()).backward()
        return action.detach(), q.detach()

    def by_hand(obs: Tensor) -> tuple[Tensor, Tensor]:
        action = torch.tanh(actor.run(obs))
        q = critic.run(torch.cat([obs, action], dim=-1))
        d_pair = critic.pull(torch.full_like(q, -1.0 / obs.shape[1]), True)
        actor.pull(d_pair[..., obs.shape[-1] :] * (1.0 - action.square()), add=False)
        return action, q.squeeze(-1)

    return by_hand if fused else by_autograd


def td3(
    env: EnvLike,
    steps: int,
    *,
    config: TD3Config = TD3Config(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train twin delayed deep deterministic policy gradient (TD3), many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, actions of a bounded box.
    steps : int
        Environment steps of each seed.
    config : TD3Config, optional
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
    One update costs nine passes through a network of `hidden` units for `batch_size` rows, per seed, where
    the way back counts two, and five more when the actor's turn is; memory is the replay.

    References
    ----------
    Fujimoto, van Hoof & Meger. Addressing function approximation error in actor-critic methods. ICML 2018,
    arXiv:1802.09477.

    Examples
    --------
    >>> import numpy as np
    >>> short = TD3Config(hidden=(16,), batch_size=8, warmup=50)
    >>> result = td3("Pendulum-v1", 60, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape, result.policy(np.zeros((1, 5, 3))).shape
    ((1, 1, 1), (1, 5, 1))
    """
    with Run("td3", env, steps, config, seeds, device, out, resume, schedule) as run:
        obs_dim, A = run.continuous()
        nets = init(config, obs_dim, A, run.keys)
        replay = Replay(config.replay_size, (obs_dim,), A, run.N, config.num_envs, device)
        update, optimisers = make_update(config, nets, run.keys, A)
        act = make_act(nets.actor, config.activation)
        run.keep(**nets._asdict(), **optimisers, replay=replay)
        if run.start == 0:
            replay.begin(run.obs)

        def explore(t: int, n: Tensor | int) -> Tensor:
            if t < config.warmup:
                return 2.0 * uniform(run.keys, n, WARMUP, shape) - 1.0
            noise = config.sigma * normal(run.keys, n, ACT, shape)
            return (act(run.observations()) + noise).clamp(-1.0, 1.0)

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
