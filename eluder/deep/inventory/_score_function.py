"""REINFORCE with a leave-one-out baseline: train an ordering policy without a derivative of the simulator.

Williams (1992), Simple statistical gradient-following algorithms for connectionist reinforcement learning,
Machine Learning 8. Baseline: Kool, van Hoof & Welling (2019), Buy 4 REINFORCE samples, get a baseline for
free!, ICLR workshop on deep reinforcement learning meets structured prediction.

The policy is made random: Gaussian noise is added to its orders. Copies of a path share first state and
demand and differ by their noise alone, so what the others cost is a good guess of what this one will::

    for u = 0, 1, ...:
        d ~ demand, G paths of T periods, K copies of each
        for t < T:  a_t = pi(x_t) + sigma eps_t;  c_t, x_{t+1} = step(x_t, max(a_t, 0), d_t)
        C_t = sum_{s >= t} c_s;  A_t = C_t - mean of C_t over the K - 1 other copies
        gradient <- sum_t A_t grad ln N(a_t; pi(x_t), sigma^2) / (B T n),  B = G K
        cut at norm max_grad_norm; Adam with the step size of u;  average <- average + rate (theta - average)

Nothing is differentiated but the density. So orders may be rounded before they are played (they are, where a
network has integer orders), and fixed costs count; the price is noise, which `gradient_noise` measures.

Guarantee: none for networks. The gradient is unbiased for the cost of T periods of the random policy; with
continuous orders so is the one along sample paths with ``a_t`` as above, and the tests hold both against the
closed form of one period.

Deviations from the papers:
- A cost counts for the noise of its own and earlier periods only, within the path.
- The spread sigma is learnt with the rest, down to `least_sigma`; what is evaluated is the policy without
  noise.
- Paths go on where the first of their copies ended.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.deep.common.networks import Parameters
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, seed_keys
from eluder.deep.common.seedwise import clip_by_norm
from eluder.deep.common.training import Schedule, Training
from eluder.deep.inventory._hdpo import (
    HDPOConfig,
    Judge,
    Paths,
    _result,
    ask,
    check_paths,
    description,
    judge_end,
    keep_evaluation,
    step_size,
)
from eluder.deep.inventory._policies import MLPPolicy, Policy
from eluder.deep.inventory._problem import Problem, Seen
from eluder.envs.inventory import Setting

__all__ = ["GradientNoise", "ReinforceConfig", "gradient_noise", "reinforce"]

NOISE = 3000  # stream of random numbers


@dataclass(frozen=True)
class ReinforceConfig(HDPOConfig):
    """What REINFORCE can be told: all of `HDPOConfig`, and how it explores.

    Attributes
    ----------
    copies : int
        K, paths that share demand; divides `batch_size`. 1 is REINFORCE without a baseline.
    sigma : float
        First standard deviation of the noise, in mean orders of the edge (its share of the mean
        demand that passes).
    least_sigma : float
        Where it stops, in the same unit.
    """

    copies: int = 16
    sigma: float = 0.2
    least_sigma: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise(self.sigma, self.least_sigma)
        checks.integer("copies", self.copies)
        if self.batch_size % self.copies:
            raise ValueError(f"copies must divide batch_size {self.batch_size}, got {self.copies}")


def check_noise(sigma: float, least_sigma: float) -> None:
    """Check the spread of the noise."""
    checks.number("least_sigma", least_sigma, 0.0, open_low=True)
    checks.number("sigma", sigma, least_sigma)


def noisy(policy: Policy, problem: Problem, keys: Tensor, sigma: float) -> Parameters:
    """Draw the parameters of a policy, and with them ``log_sigma``, the logarithms of the spreads."""
    plain = policy.init(problem, keys)
    shapes = plain.shapes | {"log_sigma": (1, problem.simulator.E)}
    parameters = Parameters(shapes, len(keys), keys.device, plain.flat.dtype)
    with torch.no_grad():
        for name, leaf in plain.tensors.items():
            parameters[name].copy_(leaf)
        parameters["log_sigma"].fill_(math.log(sigma))
    return parameters


def spread(parameters: Mapping[str, Tensor], problem: Problem, least: float) -> Tensor:
    """Return the standard deviations of the noise, in units of goods, shape (N, 1, E)."""
    unit = problem.through[problem.simulator.target] * problem.share
    return unit * parameters["log_sigma"].clamp_min(math.log(least)).exp()


def log_density(a: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """Return ``ln N(a; mean, sigma^2)`` summed over edges; shapes (..., E) to (...)."""
    z = (a - mean) / sigma
    return (-0.5 * z * z - sigma.log() - 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)


class Rollout(NamedTuple):
    """What was seen, done and paid: `inventory` (N, T, B, M, L), `action` (N, T, B, E), `cost` per store
    (N, T, B), and the last state, (N, B, M, L)."""

    inventory: Tensor
    action: Tensor
    cost: Tensor
    last: Tensor


def rollout(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    x: Tensor,
    demand: Tensor,
    noise: Tensor,
    least: float,
) -> Rollout:
    """Play the random policy; nothing is differentiated. `noise` is standard normal, (N, T, B, E)."""
    seen, done, paid = [], [], []
    with torch.no_grad():
        sigma = spread(parameters, problem, least)
        for d, eps in zip(demand.unbind(dim=1), noise.unbind(dim=1), strict=True):
            a = policy.orders(parameters, problem, Seen(x)) + sigma * eps
            outcome = problem.simulator.step(x, torch.relu(a), d, rounded=True)
            seen.append(x)
            done.append(a)
            paid.append(outcome.cost / problem.simulator.n)
            x = outcome.inventory
    return Rollout(torch.stack(seen, dim=1), torch.stack(done, dim=1), torch.stack(paid, dim=1), x)


def log_densities(
    policy: Policy, parameters: Mapping[str, Tensor], problem: Problem, played: Rollout, least: float
) -> Tensor:
    """Return the log-densities of all actions in one pass, shape (N, T, B)."""
    T = played.cost.shape[1]
    mean = policy.orders(parameters, problem, Seen(played.inventory.flatten(1, 2)))
    sigma = spread(parameters, problem, least)
    return log_density(played.action.flatten(1, 2), mean, sigma).unflatten(1, (T, -1))


def cost_to_go(cost: Tensor) -> Tensor:
    """Return ``C_t = sum_{s >= t} c_s`` for costs (N, T, B)."""
    return cost.flip(1).cumsum(dim=1).flip(1)


def leave_one_out(C: Tensor, copies: int) -> Tensor:
    """Return C less the mean of the other copies; a path's copies lie side by side on the last axis."""
    if copies == 1:
        return C
    groups = C.unflatten(-1, (-1, copies))
    return ((groups - groups.mean(dim=-1, keepdim=True)) * (copies / (copies - 1))).flatten(-2)


def score_loss(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    played: Rollout,
    copies: int,
    least: float,
) -> Tensor:
    """Return a loss whose gradient is that of REINFORCE, a path's own at a time, shape (N, B)."""
    advantage = leave_one_out(cost_to_go(played.cost), copies)
    log_prob = log_densities(policy, parameters, problem, played, least)
    return (advantage * log_prob).mean(dim=1)


def make_update(
    config: ReinforceConfig, policy: Policy, problem: Problem, parameters: Parameters, steps: int
) -> tuple[Callable[[Paths, int], dict[str, Tensor]], Adam]:
    """Return ``update(paths, u)``, which changes the parameters in place and returns metrics, and its
    optimiser."""
    adam, K, E = Adam(parameters, config.lr), config.copies, problem.simulator.E

    def update(paths: Paths, u: int) -> dict[str, Tensor]:
        x, demand = paths.next(u)
        x, demand = x.repeat_interleave(K, dim=1), demand.repeat_interleave(K, dim=2)
        noise = normal(paths.keys, u, NOISE, (config.periods, config.batch_size, E))
        played = rollout(policy, parameters.tensors, problem, x, demand, noise, config.least_sigma)
        parameters.zero_grad()
        loss = score_loss(policy, parameters.tensors, problem, played, K, config.least_sigma)
        loss.mean(dim=1).sum().backward()
        norm = clip_by_norm(parameters, config.max_grad_norm)
        adam.step(step_size(config, u, steps))
        paths.keep(played.last[:, ::K])
        sigma = spread(parameters.tensors, problem, config.least_sigma).detach().mean(dim=(1, 2))
        return {"loss": played.cost.mean(dim=(1, 2)), "grad_norm": norm, "sigma": sigma}

    return update, adam


def reinforce(
    setting: Setting,
    steps: int,
    *,
    policy: Policy = MLPPolicy(),
    config: ReinforceConfig = ReinforceConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(evaluate_every=0, log_every=10, save_every=0),
) -> TrainResult:
    """Train an ordering policy by the score function, many seeds at once.

    Parameters
    ----------
    setting : Setting
        A problem with a law of demand, from `eluder.envs.inventory.setting`.
    steps : int
        Updates.
    policy : Policy, optional
        What is trained.
    config : ReinforceConfig, optional
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
    An update costs ``batch_size * periods`` passes through the policy to play, and as many with their way
    back; no more than one period of the simulator is kept.

    References
    ----------
    Williams. Simple statistical gradient-following algorithms for connectionist reinforcement learning.
    Machine Learning 8, 1992.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> short = ReinforceConfig(batch_size=64)
    >>> result = reinforce(setting("lost_sales", lead_time=1, penalty=4), 5, config=short)
    >>> result.returns.shape, result.gap.shape
    ((1, 1, 1), (1,))
    """
    about = description("reinforce", setting, policy, config)
    with Training(about, steps, seeds, device, out, resume, schedule) as run:
        problem = Problem(setting, run.device)
        parameters = noisy(policy, problem, run.keys, config.sigma)
        ask(policy, parameters.tensors, problem)
        groups = replace(config, batch_size=config.batch_size // config.copies, copies=1)
        average, paths = parameters.like(), Paths(groups, problem, run.keys)
        judge = Judge(config, policy, average, problem)
        update, adam = make_update(config, policy, problem, parameters, steps)
        run.keep(parameters=parameters, average=average, adam=adam, paths=paths)

        for u in run:
            run.metrics = update(paths, u)
            average.track(parameters, max(config.average, 1.0 / (u + 1)))
            evaluate, save = run.due(u)
            if evaluate:
                keep_evaluation(run, u + 1, judge())
            if save:
                run.save(u + 1)
        judge_end(run, judge)
        return _result(run, judge)


class GradientNoise(NamedTuple):
    """How noisy an estimate of a gradient is.

    Attributes
    ----------
    gradient : ndarray, shape (P,)
        Mean of the estimates: of all parameters of the policy, one after another.
    error : ndarray, shape (P,)
        Standard errors of the mean.
    variance : float
        Trace of the covariance of the estimate from one path (copies count as paths).
    paths : float
        Paths after which the noise is as long as the gradient: variance over its squared norm, the latter
        estimated without bias.
    """

    gradient: Array
    error: Array
    variance: float
    paths: float


def gradient_noise(
    setting: Setting,
    estimator: str,
    *,
    policy: Policy = MLPPolicy(),
    parameters: Mapping[str, Tensor] | None = None,
    paths: int = 1024,
    periods: int = 30,
    copies: int = 16,
    sigma: float = 0.2,
    seed: int = 0,
) -> GradientNoise:
    """Measure the noise of a gradient estimate at one policy, path by path.

    Both estimators have the same mean where orders are continuous: the gradient of the cost per period and
    store of the policy with noise. Integer orders are not rounded here.

    Parameters
    ----------
    setting : Setting
        A problem with a law of demand.
    estimator : {"pathwise", "score"}
        The derivative along sample paths, or that of `reinforce`.
    policy : Policy, optional
        The policy.
    parameters : mapping of str to Tensor, optional
        Its parameters for one seed, shape (1, ...); by default the first ones of `seed`.
    paths : int, default=1024
        Paths that are drawn, a multiple of `copies`.
    periods : int, default=30
        T, periods of a path.
    copies : int, default=16
        K, paths with the same demand; the pathwise estimator does not use them.
    sigma : float, default=0.2
        Standard deviation of the noise, in mean orders of an edge.
    seed : int, default=0
        Of parameters, demand, first states and noise.

    Returns
    -------
    GradientNoise
        Mean, standard errors, variance, and paths for a signal as strong as the noise.

    Raises
    ------
    ValueError
        If an argument is out of range, or the setting has no law of demand.

    Notes
    -----
    Gradients of single paths come from one backward pass, with a path in place of a seed.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> lost = setting("lost_sales", lead_time=2, penalty=4)
    >>> along, score = (gradient_noise(lost, name, paths=256) for name in ("pathwise", "score"))
    >>> bool(along.variance < score.variance)
    True
    """
    if estimator not in ("pathwise", "score"):
        raise ValueError(f"estimator must be 'pathwise' or 'score', got {estimator!r}")
    config = ReinforceConfig(
        batch_size=checks.integer("paths", paths),
        periods=periods,
        copies=copies,
        sigma=sigma,
        least_sigma=sigma,
    )
    check_paths(setting, periods)
    K = copies if estimator == "score" else 1
    problem, keys = Problem(setting), seed_keys([checks.integer("seed", seed, 0)])
    problem.simulator.integer = False
    drawn = Paths(replace(config, batch_size=paths // K, copies=1), problem, keys)
    x, demand = drawn.next(0)
    rows, E = paths // K, problem.simulator.E
    x = x[0, :, None].repeat_interleave(K, dim=1)  # (rows, K, M, L): a row in place of a seed
    demand = demand[0].transpose(0, 1)[:, :, None].repeat_interleave(K, dim=2)
    noise = normal(keys, 0, NOISE, (rows, periods, K, E))[0]
    start = policy.init(problem, keys).tensors if parameters is None else parameters
    names = [k for k in start if k != "log_sigma"]
    own = {k: start[k].detach().expand(rows, *start[k].shape[1:]).clone().requires_grad_() for k in names}
    own["log_sigma"] = torch.full((rows, 1, E), math.log(sigma))
    if estimator == "score":
        played = rollout(policy, own, problem, x, demand, noise, sigma)
        loss = score_loss(policy, own, problem, played, K, sigma)
    else:
        loss = noisy_path_cost(policy, own, problem, x, demand, noise, sigma)
    grads = torch.autograd.grad(loss.mean(dim=1).sum(), [own[k] for k in names])
    g = torch.cat([x.flatten(1) for x in grads], dim=1).double()
    mean, var = g.mean(dim=0), g.var(dim=0)
    total = float(var.sum()) * K
    signal = float(mean.square().sum() - var.sum() / rows)
    error = (var / rows).sqrt()
    return GradientNoise(mean.numpy(), error.numpy(), total, total / signal if signal > 0 else math.inf)


def noisy_path_cost(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    x: Tensor,
    demand: Tensor,
    noise: Tensor,
    least: float,
) -> Tensor:
    """Return the cost of paths of the random policy per period and store, shape (N, B), differentiable along
    the paths."""
    total = x.new_zeros(x.shape[:2])
    sigma = spread(parameters, problem, least)
    for d, eps in zip(demand.unbind(dim=1), noise.unbind(dim=1), strict=True):
        q = torch.relu(policy.orders(parameters, problem, Seen(x)) + sigma * eps)
        outcome = problem.simulator.step(x, q, d)
        x, total = outcome.inventory, total + outcome.cost
    return total / (demand.shape[1] * problem.simulator.n)
