"""Pathwise gradients for fisheries: train a harvest policy by its return's derivative.

The problems are those of Montealegre-Mora, Lapeyrolerie, Chapman, Keller & Boettiger (2023), Pretty darn
good control: when are approximate solutions better than approximate models, arXiv:2308.13654, who train by
PPO; the gradient is that of Alvo, Russo, Kanoria & Lee (2023), arXiv:2306.11246, for inventories.

The next populations are a known function of populations, harvest and noise, and so is the probability that an
episode ends (see `Simulator`). So the return of a path can be differentiated through every period::

    for u = 0, 1, ...:
        B first populations and their noise;  w = 1
        for t < T:
            a = pi(N, t);  h = a N;  q = P(no population falls to the threshold)
            J <- J + w (sum h - (1 - q) penalty / (t + 1));  w <- w q;  N <- next populations, given survival
        gradient of the mean J, cut at norm max_grad_norm; Adam with the step size of u
        average <- average + rate (theta - average)

What is returned and evaluated are the averaged parameters.

Guarantee: none for networks. J is an unbiased estimate of the return and its gradient one of the return's
gradient, wherever no kink of the policy is met. In Model 1 the best policy takes all of a stock that will not
recover; taking a little more of it does not pay, so a gradient does not lead there.

Deviations from the papers:
- The papers of fisheries use PPO with the populations alone; here there are a model's derivatives, and the
  policy may see the time.
- The end of an episode is integrated out instead of sampled.
- Step sizes warm up and fall along a cosine; parameters are averaged.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.deep.common.networks import Parameters
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import normal, uniform
from eluder.deep.common.seedwise import clip_by_norm
from eluder.deep.common.training import Schedule, Training
from eluder.deep.fishery._policies import FisheryPolicy
from eluder.deep.fishery._simulator import Simulator, check_noisy
from eluder.envs.fishery import Fishery, draw_noise, simulate

__all__ = ["PathwiseConfig", "learned_rule", "pathwise"]

FIRST, LATER = 1000, 2000  # streams of random numbers
EVALUATE = 4839  # seed of the noise of evaluations


@dataclass(frozen=True)
class PathwiseConfig:
    """What `pathwise` can be told.

    Attributes
    ----------
    policy : FisheryPolicy
        What is trained.
    batch_size : int
        B, paths of an update and seed.
    lr : float
        Largest step size of Adam.
    warm_up : float
        Part of the run in which the step size rises in a line; it falls along half a cosine then.
    max_grad_norm : float
        Largest norm of a gradient.
    average : float
        Rate at which the averaged parameters follow; 1 for no average.
    samples : int
        Episodes of an evaluation, the same noise for all seeds.
    """

    policy: FisheryPolicy = field(default_factory=FisheryPolicy)
    batch_size: int = 256
    lr: float = 0.01
    warm_up: float = 0.05
    max_grad_norm: float = 10.0
    average: float = 0.05
    samples: int = 1000

    def __post_init__(self) -> None:
        if not isinstance(self.policy, FisheryPolicy):
            raise ValueError(f"policy must be a FisheryPolicy, got {self.policy!r}")
        for name in ("batch_size", "samples"):
            checks.integer(name, getattr(self, name))
        checks.number("lr", self.lr, 0.0, open_low=True)
        checks.number("warm_up", self.warm_up, 0.0, 1.0)
        checks.number("max_grad_norm", self.max_grad_norm, 0.0, open_low=True)
        checks.number("average", self.average, 0.0, 1.0, open_low=True)


def step_size(config: PathwiseConfig, u: int, steps: int) -> float:
    """Return the step size of update u: a line up to `lr`, then half a cosine down to 0."""
    rising = config.warm_up * steps
    if u < rising:
        return config.lr * (u + 1) / (rising + 1)
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * (u - rising) / max(steps - rising, 1.0)))


def draw_paths(simulator: Simulator, keys: Tensor, u: int, B: int) -> tuple[Tensor, Tensor]:
    """Return first populations (N, B, S) and uniform numbers (N, T, B, S) of update u."""
    first = simulator.first(normal(keys, u, FIRST, (B, simulator.S)))
    later = uniform(keys, u, LATER, (simulator.T, B, simulator.S))
    return first, later.to(simulator.dtype)


def described(fishery: Fishery) -> str:
    """Return all numbers of a fishery as a text."""
    return json.dumps({name: np.asarray(x).tolist() for name, x in fishery._asdict().items()})


def make_update(
    config: PathwiseConfig, simulator: Simulator, parameters: Parameters, keys: Tensor, steps: int
) -> tuple[Callable[[int], dict[str, Tensor]], Adam]:
    """Return ``update(u)``, which changes the parameters in place and returns metrics, and its optimiser."""
    adam, policy = Adam(parameters, config.lr), config.policy

    def act(populations: Tensor, t: int) -> Tensor:
        return policy.fractions(parameters.tensors, simulator, populations, t)

    def update(u: int) -> dict[str, Tensor]:
        first, later = draw_paths(simulator, keys, u, config.batch_size)
        parameters.zero_grad()
        J = simulator.returns(act, first, later).mean(dim=1)
        (-J.sum()).backward()
        norm = clip_by_norm(parameters, config.max_grad_norm)
        adam.step(step_size(config, u, steps))
        return {"expected_return": J.detach(), "grad_norm": norm}

    return update, adam


def pathwise(
    fishery: Fishery,
    steps: int,
    *,
    config: PathwiseConfig = PathwiseConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(evaluate_every=0, log_every=10, save_every=0),
) -> TrainResult:
    """Train a harvest policy by pathwise gradients, many seeds at once.

    Parameters
    ----------
    fishery : Fishery
        The fishery, with noise, from `eluder.envs.fishery.fishery`.
    steps : int
        Updates.
    config : PathwiseConfig, optional
        Policy and hyperparameters.
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
        ``returns[e, n, k]`` is the return of seed n in episode k of evaluation e, simulated with ends that
        are sampled; `policy` maps populations, and the period in the last place, (N, B, S + 1), to the parts
        that are taken, (N, B, A). `learned_rule` makes a policy of one seed for `simulate`.

    Raises
    ------
    ValueError
        If an argument is out of range, the fishery has no noise, or `out` holds another run.

    Warns
    -----
    RuntimeWarning
        If the parameters of some seeds are no longer finite at the end; the others are not touched by it.

    Notes
    -----
    An update costs ``batch_size * T`` passes through the policy and back; memory is that of their
    activations.

    References
    ----------
    Montealegre-Mora et al. Pretty darn good control: when are approximate solutions better than approximate
    models. arXiv:2308.13654, 2023.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> result = pathwise(fishery(3, T=10), 3, config=PathwiseConfig(batch_size=8, samples=16), seeds=(0, 1))
    >>> result.returns.shape, result.policy(np.ones((2, 5, 4))).shape
    ((1, 2, 16), (2, 5, 2))
    """
    check_noisy(fishery)
    about = {"agent": "pathwise", "env": described(fishery), "config": asdict(config)}
    with Training(about, steps, seeds, device, out, resume, schedule) as run:
        simulator = Simulator(fishery, run.device)
        parameters = config.policy.init(simulator, run.keys)
        average = parameters.like()
        update, adam = make_update(config, simulator, parameters, run.keys, steps)
        run.keep(parameters=parameters, average=average, adam=adam)

        def act(seen: Array) -> Array:
            return _fractions(config.policy, average, simulator, seen)

        for u in run:
            run.metrics = update(u)
            average.track(parameters, max(config.average, 1.0 / (u + 1)))
            evaluate, save = run.due(u)
            if evaluate:
                finite = run.finite(average)
                returns, length = evaluated(fishery, act, finite, config.samples)
                run.evaluations.append((u + 1, returns))
                run.log.evaluation(u + 1, returns, length)
            if save:
                run.save(u + 1)
        run.warn_if_diverged(average)
        return TrainResult(
            seeds=np.array(run.seeds),
            steps=np.array([u for u, _ in run.evaluations], np.int64),
            returns=np.stack([x for _, x in run.evaluations]),
            parameters={f"policy/{k}": x.detach().cpu().numpy().copy() for k, x in average.tensors.items()},
            policy=act,
            out=run.out,
        )


def _fractions(policy: FisheryPolicy, average: Parameters, simulator: Simulator, seen: Array) -> Array:
    """Return parts (N, B, A) from populations and the period (N, B, S + 1), which is the same for all."""
    array = np.array(seen, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != simulator.S + 1 or array.shape[1] == 0:
        raise ValueError(
            f"populations and period must have shape (N, B, {simulator.S + 1}), got {array.shape}"
        )
    t = float(array[0, 0, -1])
    if (array[..., -1] != t).any():
        raise ValueError("populations and period: the period must be the same in all rows")
    x = torch.as_tensor(array[..., :-1], dtype=simulator.dtype, device=simulator.device)
    with torch.no_grad():
        a = policy.fractions(average.tensors, simulator, x, int(t))
    fractions: Array = a.cpu().numpy().astype(np.float64)
    return fractions


def evaluated(
    fishery: Fishery, act: Callable[[Array], Array], finite: Sequence[bool], samples: int
) -> tuple[Array, np.ndarray]:
    """Return returns and lengths of simulated episodes, (N, samples); all seeds have the same noise.

    A seed whose parameters are not finite plays nothing: its returns are NaN, its lengths 0.
    """
    noise, N = draw_noise(fishery, samples, rng=np.random.default_rng(EVALUATE)), len(finite)
    returns, length = np.full((N, samples), np.nan), np.zeros((N, samples), np.int64)
    for n in np.flatnonzero(finite):
        run = simulate(fishery, _rule(act, N, int(n)), noise=noise)
        returns[n], length[n] = run.returns, run.length
    return returns, length


def _rule(act: Callable[[Array], Array], N: int, n: int) -> Callable[[Array, int], Array]:
    """Return the policy of seed n as a rule."""

    def rule(populations: Array, t: int) -> Array:
        seen = np.append(populations, np.full((len(populations), 1), float(t)), axis=1)
        fractions: Array = act(np.broadcast_to(seen, (N, *seen.shape)))[n]
        return fractions

    return rule


def learned_rule(result: TrainResult, n: int = 0) -> Callable[[Array, int], Array]:
    """Return the trained policy of one seed, for `eluder.envs.fishery.simulate`.

    Parameters
    ----------
    result : TrainResult
        What `pathwise` returned.
    n : int, default=0
        Place of the seed among `result.seeds`.

    Returns
    -------
    callable
        Maps populations (B, S) and the period to the parts (B, A) that are taken.

    Raises
    ------
    ValueError
        If there is no such seed.

    Examples
    --------
    >>> from eluder.envs.fishery import fishery
    >>> f = fishery(2, T=5)
    >>> result = pathwise(f, 2, config=PathwiseConfig(batch_size=8, samples=16))
    >>> simulate(f, learned_rule(result), episodes=3, rng=np.random.default_rng(0)).returns.shape
    (3,)
    """
    n = checks.integer("n", n, 0, len(result.seeds) - 1)
    return _rule(result.policy, len(result.seeds), n)
