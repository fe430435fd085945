"""Probabilistic mixture-of-experts policies for SAC (PMOE).

Ren, Li, Ding, Pan & Dong (2021), Probabilistic mixture-of-experts for efficient deep reinforcement learning,
arXiv:2104.09122.

The policy is a mixture, pi(a|s) = sum_k w_k(s) pi_k(a|s), of K squashed Gaussians. One update::

    k' ~ w(s');  a' ~ pi_k'(.|s')
    y = r + gamma (1 - terminated) [min_i Qbar_i(s', a') - alpha ln pi_k'(a'|s')]
    critics   1/2 sum_i mean (Q_i(s, a) - y)^2
    b_k ~ pi_k(.|s) for every k;  k* = argmax_k min_i Q_i(s, b_k);  v = one-hot of k*
    gate      mean |w(s) - v|^2                                      frequency loss
    experts   mean [alpha ln pi_k*(b_k*|s) - min_i Q_i(s, b_k*)]     the best one; or the sum over all k
    temperature and targets as in SAC, with ln pi_k*(b_k*|s)

The frequency loss has the gradient 2 (w - v), whose mean over the draws is 2 (w - f) with f_k the probability
that expert k is the best one: no gradient through the choice of an expert is needed.

Guarantee: none for networks. The tests hold the gate of a one-step problem against f by quadrature.

Deviations from the paper:
- Log-densities in target, policy and temperature are those of the chosen expert, as in the co-author's
  public code; of the mixture they would be another algorithm.
- The deterministic action is the mode of the likeliest expert; that code draws the expert.
- K = 4, widths and step sizes of SAC here; the rewards are not normalised by batch, as that code does.
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
from eluder.deep.common.densities import tanh_gaussian
from eluder.deep.common.devices import repeated
from eluder.deep.common.environments import EnvLike
from eluder.deep.common.fused import ACTIVATIONS, network
from eluder.deep.common.losses import soft_target, temperature_loss
from eluder.deep.common.networks import Parameters, init_mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, uniform
from eluder.deep.common.replay import Batch, Replay
from eluder.deep.common.run import Run, updates_due
from eluder.deep.common.training import Schedule
from eluder.deep.online._sac import critic_gradient, gaussian, pairs

__all__ = ["PMOEConfig", "pmoe"]

ACTOR, CRITIC, WARMUP, ACT, NOISE, SAMPLE, EXPERT = range(0, 7000, 1000)  # streams of random numbers


@dataclass(frozen=True)
class PMOEConfig:
    """What PMOE-SAC can be told.

    Attributes
    ----------
    num_experts : int
        K.
    experts : {"best", "all"}
        Which experts learn from a state: the best one, or all.
    hidden : tuple of int
        Units of the hidden layers of actor and critics.
    activation : {"relu", "tanh", "gelu", "silu"}
        Between layers.
    gamma, tau : float
        Discount factor; rate of the target networks.
    lr_actor, lr_critic, lr_alpha : float
        Step sizes of Adam; gate and experts share the first.
    batch_size, replay_size, warmup : int
        Transitions per update; frames kept; steps of uniform actions before the first update.
    num_envs : int
        Environments of each seed.
    utd : float
        Updates per environment step.
    alpha : float
        First temperature.
    learn_alpha : bool
        Whether it is learnt.
    target_entropy : float or None
        In nats; None is minus the dimension of the action.
    log_std_range : tuple of float
        Where the logarithm of the standard deviation is cut.
    fused : bool
        Networks with a backward pass by hand; else autograd throughout: the same numbers.
    """

    num_experts: int = 4
    experts: str = "best"
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
    alpha: float = 1.0
    learn_alpha: bool = True
    target_entropy: float | None = None
    log_std_range: tuple[float, float] = (-20.0, 2.0)
    fused: bool = True

    def __post_init__(self) -> None:
        if self.experts not in ("best", "all"):
            raise ValueError(f"experts must be 'best' or 'all', got {self.experts!r}")
        for name in ("lr_actor", "lr_critic", "lr_alpha", "alpha"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        checks.number("gamma", self.gamma, 0.0, 1.0)
        checks.number("tau", self.tau, 0.0, 1.0, open_low=True)
        checks.number("utd", self.utd, 0.0)
        for name in ("num_experts", "batch_size", "replay_size", "num_envs"):
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

    actor: Parameters  # a perceptron with 2 K A outputs, and the gate: one layer from the observation
    critic: Parameters
    target: Parameters
    alpha: Parameters  # its logarithm


def init(config: PMOEConfig, obs_dim: int, A: int, keys: Tensor) -> Networks:
    """Draw the first parameters."""
    N, K, device = len(keys), config.num_experts, keys.device
    shapes = mlp_shapes((obs_dim, *config.hidden, 2 * K * A)) | mlp_shapes((obs_dim, K), name="gate_")
    actor = Parameters(shapes, N, device)
    critic = Parameters(mlp_shapes((obs_dim + A, *config.hidden, 1), (2,)), N, device)
    init_mlp(actor, keys, ACTOR)
    init_mlp(critic, keys, CRITIC)
    alpha = Parameters({"log_alpha": (1,)}, N, device)
    with torch.no_grad():
        alpha["log_alpha"].fill_(config.alpha).log_()
    return Networks(actor, critic, critic.like(), alpha)


def frequency_loss(w: Tensor, best: Tensor) -> Tensor:
    """Return ``mean |w - v|^2``, v the one-hot of the best expert, summed over seeds.

    Parameters
    ----------
    w : Tensor, shape (N, B, K)
        Probabilities of the experts.
    best : Tensor of int64, shape (N, B)
        The experts whose action was the best.

    Returns
    -------
    Tensor, scalar
        The loss.
    """
    v = torch.zeros_like(w).scatter_(-1, best[..., None], 1.0)
    return (w - v).square().sum(dim=-1).mean(dim=-1).sum()


def chosen(x: Tensor, k: Tensor) -> Tensor:
    """Return the entries of experts k, shape (N, B), from x, shape (N, B, K, ...)."""
    index = k.view(*k.shape, *[1] * (x.ndim - 2)).expand(*k.shape, 1, *x.shape[3:])
    return x.gather(2, index)[:, :, 0]


def draw_expert(w: Tensor, u: Tensor) -> Tensor:
    """Return experts drawn with probabilities w, shape (N, B, K), by uniform numbers u, shape (N, B)."""
    return (u[..., None] > w.cumsum(dim=-1)).sum(dim=-1).clamp_max(w.shape[-1] - 1)


def make_mixture(config: PMOEConfig, actor: Parameters, A: int, *, learn: bool) -> Callable[[Tensor], Any]:
    """Return the policy: observations (N, B, ...) to w (N, B, K), means and log_stds (N, B, K, A)."""
    experts = network(actor, config.activation, learn=learn, fused=config.fused and learn)
    gate = {key.removeprefix("gate_"): x for key, x in actor.tensors.items() if key.startswith("gate_")}

    def mixture(obs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        w = torch.baddbmm(gate["b0"], obs, gate["w0"]).softmax(dim=-1)
        output = experts(obs)
        split = output.view(*output.shape[:-1], config.num_experts, 2 * A)
        return w, *gaussian(split, config.log_std_range)

    return mixture


def make_act(config: PMOEConfig, actor: Parameters, A: int) -> Callable[..., Tensor]:
    """Return the policy: the mode of the likeliest expert, or a draw by noise (N, B, A) and u (N, B)."""
    mixture = make_mixture(config, actor, A, learn=False)

    def act(obs: Tensor, noise: Tensor | None = None, u: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            w, mean, log_std = mixture(obs)
            k = w.argmax(dim=-1) if u is None else draw_expert(w, u)
            mean, log_std = chosen(mean, k), chosen(log_std, k)
            return torch.tanh(mean if noise is None else mean + log_std.exp() * noise)

    return act


def make_update(
    config: PMOEConfig, nets: Networks, keys: Tensor, A: int
) -> tuple[Callable[..., dict[str, Tensor]], dict[str, Adam]]:
    """Return ``update(batch, u)``, which changes the networks in place and returns metrics, and its
    optimisers."""

    def place(parameters: Parameters, learn: bool) -> Any:
        return network(parameters, config.activation, learn=learn, fused=config.fused)

    mixture = make_mixture(config, nets.actor, A, learn=True)
    target, judge = place(nets.target, False), place(nets.critic, False)
    critics, critic_of_actor = (
        critic_gradient(place(nets.critic, True), config.fused),
        place(nets.critic, False),
    )
    adam_actor = Adam(nets.actor, config.lr_actor)
    adam_critic = Adam(nets.critic, config.lr_critic)
    adam_alpha = Adam(nets.alpha, config.lr_alpha)
    entropy = -float(A) if config.target_entropy is None else config.target_entropy
    B, K, log_alpha = config.batch_size, config.num_experts, nets.alpha["log_alpha"]

    def least(critic: Any, obs: Tensor, action: Tensor) -> Tensor:
        """Return min_i Q_i for actions (N, B, M, A): shape (N, B, M)."""
        N, B, M, _ = action.shape
        rows = obs[:, :, None].expand(N, B, M, obs.shape[-1])
        q: Tensor = critic(pairs(rows.reshape(N, B * M, -1), action.reshape(N, B * M, -1)))
        return q.squeeze(-1).amin(dim=1).view(N, B, M)

    def update(batch: Batch, u: int, n: Tensor | int | None = None) -> dict[str, Tensor]:
        n = u if n is None else n
        noise = normal(keys, n, NOISE, (B, K + 1, A))
        alpha = log_alpha.detach().exp()

        # critics
        with torch.no_grad():
            w, mean, log_std = mixture(batch.next_obs)
            k = draw_expert(w, uniform(keys, n, EXPERT, (B,)))
            next_action, next_log_prob = tanh_gaussian(chosen(mean, k), chosen(log_std, k), noise[:, :, K])
            next_q = target(pairs(batch.next_obs, next_action)).squeeze(-1).amin(dim=1)
            y = soft_target(batch.reward, batch.discount, next_q, alpha, next_log_prob)
        nets.critic.zero_grad()
        q, _ = critics(batch.obs, batch.action, y)
        adam_critic.step()

        # gate and experts
        w, mean, log_std = mixture(batch.obs)
        action, log_prob = tanh_gaussian(mean, log_std, noise[:, :, :K])
        with torch.no_grad():
            best = least(judge, batch.obs, action).argmax(dim=-1)
        if config.experts == "best":
            action, log_prob = chosen(action, best)[:, :, None], chosen(log_prob, best)[:, :, None]
        value = least(critic_of_actor, batch.obs, action)
        loss = (alpha[:, :, None] * log_prob - value).sum(dim=-1).mean(dim=-1).sum()
        nets.actor.zero_grad()
        (loss + frequency_loss(w, best)).backward()
        adam_actor.step()

        # temperature
        of_best = log_prob[:, :, 0] if config.experts == "best" else chosen(log_prob, best)
        if config.learn_alpha:
            nets.alpha.zero_grad()
            temperature_loss(log_alpha, of_best, entropy).backward()
            adam_alpha.step()

        # targets
        nets.target.track(nets.critic, config.tau)
        w = w.detach()
        return {
            "q": q,
            "alpha": alpha[:, 0],
            "entropy": -of_best.detach().mean(dim=1),
            "gate_entropy": -(w * w.clamp_min(1e-12).log()).sum(dim=-1).mean(dim=1),
        }

    return update, {"adam_actor": adam_actor, "adam_critic": adam_critic, "adam_alpha": adam_alpha}


def pmoe(
    env: EnvLike,
    steps: int,
    *,
    config: PMOEConfig = PMOEConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(),
) -> TrainResult:
    """Train SAC with a probabilistic mixture of experts, many seeds at once.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a factory of environments; observations of any box, actions of a bounded box.
    steps : int
        Environment steps of each seed.
    config : PMOEConfig, optional
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
        Evaluations, parameters and the deterministic policy: the mode of the likeliest expert.

    Raises
    ------
    ValueError
        If an argument is out of range, the environment does not fit, or `out` holds another run.

    Notes
    -----
    One update costs that of SAC and K more passes through the critics, to find the best expert.

    References
    ----------
    Ren et al. Probabilistic mixture-of-experts for efficient deep reinforcement learning. arXiv:2104.09122,
    2021.

    Examples
    --------
    >>> short = PMOEConfig(num_experts=2, hidden=(16,), batch_size=8, warmup=50)
    >>> result = pmoe("Pendulum-v1", 60, config=short, schedule=Schedule(episodes=1))
    >>> result.parameters["actor/gate_w0"].shape
    (1, 3, 2)
    """
    with Run("pmoe", env, steps, config, seeds, device, out, resume, schedule) as run:
        obs_dim, A = run.continuous()
        nets = init(config, obs_dim, A, run.keys)
        replay = Replay(config.replay_size, (obs_dim,), A, run.N, config.num_envs, device)
        update, optimisers = make_update(config, nets, run.keys, A)
        act = make_act(config, nets.actor, A)
        run.keep(**nets._asdict(), **optimisers, replay=replay)
        if run.start == 0:
            replay.begin(run.obs)

        def explore(t: int, n: Tensor | int) -> Tensor:
            if t < config.warmup:
                return 2.0 * uniform(run.keys, n, WARMUP, shape) - 1.0
            z, v = normal(run.keys, n, ACT, shape), uniform(run.keys, n, EXPERT + 1, shape[:1])
            return act(run.observations(), z, v)

        def learn(u: int, n: Tensor | int) -> dict[str, Tensor]:
            batch = replay.sample(B, run.keys, n, gamma=config.gamma, stream=SAMPLE)
            return update(batch, u, n)

        B, shape = config.batch_size, (config.num_envs, A)
        acting = repeated(explore, run.device, lambda t: t < config.warmup)
        learning = repeated(learn, run.device)

        for t in run:
            replay.add(*run.step(acting(t)))
            for u in updates_due(t - config.warmup, config.num_envs, config.utd):
                run.metrics = learning(u)
            run.after(t, act)
        return run.result(act, {"actor": nets.actor.tensors, "critic": nets.critic.tensors})
