"""Deep Q-learning: the mean of the return, or its quantiles.

Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518. Options: double
(van Hasselt, Guez & Silver, AAAI 2016, arXiv:1509.06461), duelling (Wang et al., ICML 2016,
arXiv:1511.06581), n-step targets (Sutton 1988) and quantile regression (QR-DQN: Dabney, Rowland, Bellemare &
Munos, AAAI 2018, arXiv:1710.10044).

Pseudo-code, N seeds side by side; theta_k(s, a) are the Z quantiles, Q their mean (Z = 1: Q itself)::

    for t = 0, 1, ...:
        a = argmax_a Q(s, a), uniform with probability epsilon_t;  s', r = step(a);  store (s, a, r, s')
        for each of utd updates:
            (s, a, r, s') ~ store                        r = sum_{i<n} gamma^i r_i,  s' n steps later
            a' = argmax_a' Qbar(s', a')                  double: argmax_a' Q(s', a')
            y_j = r + gamma^n (1 - terminated) thetabar_j(s', a')
            Z = 1:  mean huber(y - Q(s, a)), without bound on its square part unless kappa is given
            Z > 1:  mean sum_k 1/Z sum_j |tau_k - 1{u_kj < 0}| huber(u_kj) / kappa,
                    u_kj = y_j - theta_k(s, a),  tau_k = (k + 1/2) / Z
            every target_every updates:  thetabar <- (1 - tau) thetabar + tau theta

Guarantee: none for networks. With a table and steps of Robbins and Monro, Q-learning converges to Q*
(Watkins & Dayan 1992); the tests hold the values against dynamic programming.

Deviations from the paper:
- Vectors are observed, by a perceptron: no frames, no convolutions, no clipping of rewards; lives are no
  ends. The defaults are ours; the fields say what the papers have.
- Adam instead of RMSProp, as in QR-DQN.
- Squared errors unless `kappa` says from where they are linear: with rewards that are not clipped, the
  Huber loss of Mnih et al. (kappa = 1) may let values rise without bound, as on CartPole.
- Episodes that end by a time limit go on in the value (`terminated` alone cuts it).
- Evaluation is greedy; the papers keep an epsilon of 0.05 or less.
- The streams of the duelling network part after all hidden layers but one. As in that paper the gradient
  that enters the common layers is divided by sqrt 2, which Adam hardly feels, and the norm of all is cut.
- Targets of n > 1 steps are not corrected for the policy that took them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.deep.common.config import check_layers
from eluder.deep.common.devices import repeated
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS, FusedMLP
from eluder.deep.common.losses import huber, quantile_huber_loss
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import integers, uniform
from eluder.deep.common.replay import Batch, Replay
from eluder.deep.common.run import Run, updates_due
from eluder.deep.common.seedwise import clip_by_norm
from eluder.deep.common.training import Schedule

__all__ = ["DQNConfig", "dqn"]

NETWORK, COIN, ACT, SAMPLE = range(0, 4000, 1000)  # streams of random numbers
RESCALE = math.sqrt(0.5)  # of the gradient that the two streams of a duel send into their common layers


@dataclass(frozen=True)
class DQNConfig:
    """What deep Q-learning can be told; "paper" are the values for Atari of Mnih et al. (2015).

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    double : bool
        Whether the network in training chooses the action of the target.
    duelling : bool
        Whether value and advantages have streams of their own, each with the last of the hidden layers.
    num_quantiles : int
        Quantiles of the return, 200 in QR-DQN; 0 learns the mean.
    kappa : float or None
        Where Huber's loss becomes linear, 1 in the papers; None is 1 for quantiles and the squared error for
        the mean. Beyond `kappa` errors count by their sign alone, and the mean becomes a median: where a few
        large falls stand against many small gains, as at the end of an episode that lasts, values rise
        without bound.
    n_step : int
        Rewards in a target. What lies far ahead comes nearer by `n_step` steps with each update of the target
        network, no faster.
    gamma : float
        Discount factor.
    lr : float
        Step size of Adam; 5e-5 in QR-DQN.
    adam_eps : float
        Added to the root of the second moment; 0.01 / 32 in QR-DQN.
    max_grad_norm : float or None
        Largest norm of a seed's gradient; None is 10 if duelling, as in that paper, and else any.
    batch_size : int
        Transitions per update and seed; paper: 32.
    replay_size : int
        Frames that are kept; paper: 10^6.
    warmup : int
        Steps of uniform actions before the first update; paper: 50 000.
    num_envs : int
        Environments of each seed.
    utd : float
        Updates per environment step; paper: 1/4.
    epsilon : tuple of float
        Probability of a uniform action at the end of the warm-up, and after `epsilon_steps` more; linear in
        between. Paper: 1 and 0.1.
    epsilon_steps : int
        Steps of that decrease; paper: 10^6.
    target_every : int
        Updates between updates of the target network; paper: 10 000.
    tau : float
        Their size; 1 is a copy.
    fused : bool
        Backward passes by hand; else autograd: the same numbers.
    """

    hidden: tuple[int, ...] = (128, 128)
    activation: str = "relu"
    double: bool = True
    duelling: bool = False
    num_quantiles: int = 0
    kappa: float | None = None
    n_step: int = 1
    gamma: float = 0.99
    lr: float = 5e-4
    adam_eps: float = 1e-8
    max_grad_norm: float | None = None
    batch_size: int = 64
    replay_size: int = 100_000
    warmup: int = 1_000
    num_envs: int = 1
    utd: float = 0.5
    epsilon: tuple[float, float] = (1.0, 0.05)
    epsilon_steps: int = 10_000
    target_every: int = 50
    tau: float = 1.0
    fused: bool = True

    def __post_init__(self) -> None:
        for name in ("lr", "adam_eps"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("kappa", "max_grad_norm"):
            if getattr(self, name) is not None:
                checks.number(name, getattr(self, name), 0.0, open_low=True)
        checks.number("gamma", self.gamma, 0.0, 1.0)
        checks.number("tau", self.tau, 0.0, 1.0, open_low=True)
        checks.number("utd", self.utd, 0.0)
        for name in ("batch_size", "replay_size", "num_envs", "n_step", "epsilon_steps", "target_every"):
            checks.integer(name, getattr(self, name))
        checks.integer("num_quantiles", self.num_quantiles, 0)
        checks.integer("warmup", self.warmup, self.num_envs)
        if not isinstance(self.epsilon, tuple | list) or len(self.epsilon) != 2:
            raise ValueError(f"epsilon must be a pair (first, last), got {self.epsilon!r}")
        for i, x in enumerate(self.epsilon):
            checks.number(f"epsilon[{i}]", x, 0.0, 1.0)
        check_layers(self.hidden)
        if not self.hidden:
            raise ValueError("hidden must hold at least one layer")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")


class Networks(NamedTuple):
    """The parameters of N agents."""

    online: Parameters
    target: Parameters


def init(config: DQNConfig, obs_dim: int, A: int, keys: Tensor) -> Networks:
    """Draw the first parameters."""
    Z = max(1, config.num_quantiles)
    if config.duelling:
        *common, last = config.hidden
        sizes = (obs_dim, *common)
        shapes = mlp_shapes(sizes, name="common_") if common else {}
        shapes |= mlp_shapes((sizes[-1], last, Z), name="value_")
        shapes |= mlp_shapes((sizes[-1], last, A * Z), name="advantage_")
    else:
        shapes = mlp_shapes((obs_dim, *config.hidden, A * Z))
    online = Parameters(shapes, len(keys), keys.device)
    init_mlp(online, keys, NETWORK)
    return Networks(online, online.like())


def duel(value: Tensor, advantage: Tensor) -> Tensor:
    """Return ``V(s) + A(s, a) - mean_b A(s, b)``: values (..., 1, Z), advantages (..., A, Z)."""
    return value + advantage - advantage.mean(dim=-2, keepdim=True)


def forward(parameters: Parameters, config: DQNConfig, A: int, obs: Tensor, *, learn: bool) -> Tensor:
    """Return the quantiles, shape (N, B, A, Z): the readable reference."""
    p = parameters.tensors if learn else {name: leaf.detach() for name, leaf in parameters.tensors.items()}
    act = ACTIVATIONS[config.activation].forward
    if not config.duelling:
        return mlp(p, obs, act).unflatten(-1, (A, -1))
    h = obs
    if len(config.hidden) > 1:
        h = act(mlp(p, obs, act, "common_"))
        h = h.detach() + (h - h.detach()) * RESCALE
    value = mlp(p, h, act, "value_").unsqueeze(-2)
    return duel(value, mlp(p, h, act, "advantage_").unflatten(-1, (A, -1)))


class Fused:
    """The same network with its backward pass by hand: `run`, then `pull`."""

    def __init__(self, parameters: Parameters, config: DQNConfig, A: int, *, learn: bool) -> None:
        def place(name: str) -> FusedMLP:
            return FusedMLP(parameters, config.activation, name, learn=learn)

        self.A, self.duelling, self.activation = A, config.duelling, ACTIVATIONS[config.activation]
        if config.duelling:
            self.common = place("common_") if len(config.hidden) > 1 else None
            self.value, self.advantage = place("value_"), place("advantage_")
        else:
            self.net = place("")

    def run(self, obs: Tensor) -> Tensor:
        """Return the quantiles, shape (N, B, A, Z); those of the next call take their place."""
        if not self.duelling:
            return self.net.run(obs).unflatten(-1, (self.A, -1))
        self.h = obs
        if self.common is not None:
            self.z = self.common.run(obs)
            self.h = self.activation.forward(self.z)
        advantage = self.advantage.run(self.h).unflatten(-1, (self.A, -1))
        return duel(self.value.run(self.h).unsqueeze(-2), advantage)

    def pull(self, d: Tensor) -> None:
        """Add the gradients of the parameters, given the derivative in the quantiles (N, B, A, Z)."""
        if not self.duelling:
            self.net.pull(d.flatten(-2))
            return
        d_value = d.sum(dim=-2)
        d_advantage = (d - d_value.unsqueeze(-2) / self.A).flatten(-2)
        below = self.common is not None
        d_h = self.value.pull(d_value, below)
        d_h = d_h + self.advantage.pull(d_advantage, below)
        if self.common is not None:
            self.activation.backward(d_h.mul_(RESCALE), self.z, self.h)
            self.common.pull(d_h)


def quantile_gradient(quantiles: Tensor, target: Tensor, kappa: float) -> Tensor:
    """Return the derivative of `quantile_huber_loss`: ``-1/B mean_j |tau_k - 1{u_kj < 0}| clip(u_kj) /
    kappa``.
    """
    B, Z = quantiles.shape[-2:]
    tau = (torch.arange(Z, device=quantiles.device) + 0.5) / Z
    u = target[..., None, :] - quantiles[..., :, None]
    weight = (tau[:, None] - (u < 0).to(u.dtype)).abs()
    return (weight * u.clamp(-kappa, kappa)).mean(dim=-1) / (-kappa * B)


def linear_from(config: DQNConfig) -> float:
    """Return where the loss becomes linear; the squared error never does."""
    if config.kappa is None:
        return 1.0 if config.num_quantiles else math.inf
    return config.kappa


def largest_norm(config: DQNConfig) -> float:
    """Return where the norm of a seed's gradient is cut."""
    if config.max_grad_norm is None:
        return 10.0 if config.duelling else math.inf
    return config.max_grad_norm


def taken(quantiles: Tensor, action: Tensor) -> Tensor:
    """Return the quantiles of one action each: (N, B, A, Z) and (N, B) to (N, B, Z)."""
    index = action[..., None, None].expand(*action.shape, 1, quantiles.shape[-1])
    return quantiles.gather(2, index).squeeze(2)


def greedy(quantiles: Tensor) -> Tensor:
    """Return the actions of the largest mean, the first of equals: (N, B, A, Z) to (N, B)."""
    return quantiles.mean(dim=-1).argmax(dim=-1)


def exploration(config: DQNConfig, t: int) -> float:
    """Return the probability of a uniform action after t steps."""
    if t < config.warmup:
        return 1.0
    first, last = config.epsilon
    return first + (last - first) * min(1.0, (t - config.warmup) / config.epsilon_steps)


def make_act(online: Parameters, config: DQNConfig, A: int) -> Callable[[Tensor], Tensor]:
    """Return the greedy policy: observations (N, B, ...) to actions (N, B)."""

    def act(obs: Tensor) -> Tensor:
        return greedy(forward(online, config, A, obs, learn=False))

    return act


def explore(act: Callable[[Tensor], Tensor], obs: Tensor, keys: Tensor, t: int, A: int, eps: float) -> Tensor:
    """Return the actions of the policy, each replaced by a uniform one with probability eps."""
    E = obs.shape[1]
    uniformly = integers(keys, t, ACT, (E,), A)
    if eps >= 1.0:
        return uniformly
    return torch.where(uniform(keys, t, COIN, (E,)) < eps, uniformly, act(obs))


def target_quantiles(double: bool, batch: Batch, next_target: Tensor, next_online: Tensor | None) -> Tensor:
    """Return ``y_j = r + discount thetabar_j(s', a')``, shape (N, B, Z)."""
    choice = next_online if double and next_online is not None else next_target
    follow = taken(next_target, greedy(choice))
    return torch.addcmul(batch.reward[..., None], batch.discount[..., None], follow)


def make_update(config: DQNConfig, nets: Networks, A: int) -> tuple[Callable[..., dict[str, Tensor]], Adam]:
    """Return the update, and its optimiser.

    ``update(batch, u)`` changes the networks in place; u numbers the updates. It returns metrics of shape
    (N,).
    """
    adam, most = Adam(nets.online, config.lr, config.adam_eps), largest_norm(config)
    differentiate = q_gradient(nets.online, config, A)

    def place(parameters: Parameters) -> Callable[[Tensor], Tensor]:
        if config.fused:
            return Fused(parameters, config, A, learn=False).run
        return lambda obs: forward(parameters, config, A, obs, learn=False)

    target_net, online_net = place(nets.target), place(nets.online)

    def update(batch: Batch, u: int, n: Tensor | int | None = None) -> dict[str, Tensor]:
        with torch.no_grad():
            next_online = online_net(batch.next_obs) if config.double else None
            y = target_quantiles(config.double, batch, target_net(batch.next_obs), next_online)
        nets.online.zero_grad()
        q = differentiate(batch.obs, batch.action, y)
        if most < math.inf:
            clip_by_norm(nets.online, most)
        adam.step()
        if (u + 1) % config.target_every == 0:
            nets.target.track(nets.online, config.tau)
        mean, error = q.mean(dim=-1), q.mean(dim=-1) - y.mean(dim=-1)
        return {"q": mean.mean(dim=1), "td_error": error.square().mean(dim=1)}

    return update, adam


def q_gradient(online: Parameters, config: DQNConfig, A: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return what adds the gradient of the loss: (obs, action, y) to the quantiles of the action, (N, B,
    Z)."""
    kappa, mean = linear_from(config), config.num_quantiles == 0

    def by_autograd(obs: Tensor, action: Tensor, y: Tensor) -> Tensor:
        q = taken(forward(online, config, A, obs, learn=True), action)
        loss = huber(q - y, kappa).mean(dim=(1, 2)).sum() if mean else quantile_huber_loss(q, y, kappa)
        loss.backward()
        return q.detach()

    if not config.fused:
        return by_autograd
    net = Fused(online, config, A, learn=True)

    def by_hand(obs: Tensor, action: Tensor, y: Tensor) -> Tensor:
        every = net.run(obs)
        q = taken(every, action)
        d = (q - y).clamp(-kappa, kappa) / q.shape[1] if mean else quantile_gradient(q, y, kappa)
        index = action[..., None, None].expand(*action.shape, 1, q.shape[-1])
        net.pull(torch.zeros_like(every).scatter_(2, index, d.unsqueeze(2)))
        return q

    return by_hand


def dqn(
    env: EnvLike,
    steps: int,
    *,
    config: DQNConfig = DQNConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train a deep Q-network, many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, discrete actions.
    steps : int
        Environment steps of each seed.
    config : DQNConfig, optional
        Hyperparameters, and which of double, duelling, n-step and quantile targets.
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
        Evaluations, parameters and the greedy policy.

    Raises
    ------
    ValueError
        If an argument is out of range, the environment does not fit, or `out` holds another run.

    Notes
    -----
    One update costs four passes through the network for `batch_size` rows, per seed, where the way back
    counts two, and one more if double; quantile regression compares Z^2 pairs per row. Memory is the replay.

    References
    ----------
    Mnih et al. Human-level control through deep reinforcement learning. Nature 518, 2015.

    Dabney, Rowland, Bellemare & Munos. Distributional reinforcement learning with quantile regression. AAAI
    2018, arXiv:1710.10044.

    Examples
    --------
    >>> import numpy as np
    >>> short = DQNConfig(hidden=(16,), batch_size=8, warmup=50)
    >>> result = dqn("CartPole-v1", 60, config=short, schedule=Schedule(episodes=1))
    >>> result.returns.shape, result.policy(np.zeros((1, 5, 4))).shape
    ((1, 1, 1), (1, 5))
    """
    with Run("dqn", env, steps, config, seeds, device, out, resume, schedule) as run:
        obs_dim, A = run.discrete()
        nets = init(config, obs_dim, A, run.keys)
        replay = Replay(config.replay_size, (obs_dim,), 0, run.N, config.num_envs, device)
        update, adam = make_update(config, nets, A)
        act = make_act(nets.online, config, A)
        run.keep(**nets._asdict(), adam=adam, replay=replay)
        if run.start == 0:
            replay.begin(run.obs)

        def learn(u: int, n: Tensor | int) -> dict[str, Tensor]:
            batch = replay.sample(B, run.keys, n, gamma=config.gamma, n_step=config.n_step, stream=SAMPLE)
            return update(batch, u, n)

        B = config.batch_size
        learning = repeated(learn, run.device, lambda u: (u + 1) % config.target_every == 0)

        for t in run:
            eps = exploration(config, t)
            replay.add(*run.step(explore(act, run.observations(), run.keys, t, A, eps)))
            for u in updates_due(t - config.warmup, config.num_envs, config.utd):
                run.metrics = learning(u) | {"epsilon": torch.full((run.N,), eps, device=device)}
            run.after(t, act)
        return run.result(act, {"online": nets.online.tensors})
