"""Hindsight differentiable policy optimisation: train an ordering policy by the gradient along sample paths.

Alvo, Russo, Kanoria & Lee (2023), Deep reinforcement learning for inventory networks: toward reliable policy
optimization, arXiv:2306.11246.

Demand does not depend on the policy, and cost and next state are known functions of state, order and demand.
So the cost of a sample path can be differentiated in the policy's parameters, through every period::

    for u = 0, 1, ...:
        d ~ demand, B paths of T periods;  x_0 the states in which the last paths ended
        for t < T:  q_t = pi(x_t);  c_t, x_{t+1} = step(x_t, q_t, d_t)
        loss = sum_t c_t / (B T n)
        gradient through all periods, of the orders before the tail; cut at norm max_grad_norm; Adam with the
        step size of u
        average <- average + rate (theta - average)

What is returned and evaluated are the averaged parameters.

Guarantee: none for networks. The gradient is exact for the sampled paths where no kink is met; the tests hold
it against differences.

Deviations from the paper:
- Paths go on where the last ones ended (`persistent`), so that short paths see states of the long run; the
  paper starts each of its 50 periods anew and does not count the first 30 when it reports. With `scenarios`
  a fixed number of paths, each from its own first state, is used again and again, as there.
- Inputs are divided by the mean demand; step sizes warm up and fall along a cosine; parameters are averaged.
- A path's gradient stops where the path began, and orders of a `tail` at its end add nothing to it.
- Orders are trained as real numbers. Where the exact cost of the rounded policy is known, a constant is added
  to them before they are rounded, the best of nine between -0.4 and 0.4.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.deep.common.devices import repeated
from eluder.deep.common.networks import Parameters
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import integers
from eluder.deep.common.seedwise import clip_by_norm
from eluder.deep.common.training import Schedule, Training
from eluder.deep.inventory._draws import drawer
from eluder.deep.inventory._evaluate import bounded_offsets, simulated_cost
from eluder.deep.inventory._policies import MLPPolicy, Policy
from eluder.deep.inventory._problem import Problem, Seen
from eluder.deep.inventory._shared_level import SharedLevelPolicy
from eluder.envs.inventory import Setting, Trace, setting_names
from eluder.envs.inventory import setting as setting_of

__all__ = ["HDPOConfig", "hdpo"]

DEMAND, PATHS = 1000, 2000  # streams of random numbers
START = 4839  # seed of first states
ARRAYS = (
    "holding", "penalty", "initial", "holds", "source", "target", "lead_time", "unit_cost", "fixed_cost",
    "capacity",
)  # fmt: skip


@dataclass(frozen=True)
class HDPOConfig:
    """What HDPO can be told.

    Attributes
    ----------
    batch_size : int
        B, paths of an update and seed.
    periods : int
        T, periods of a path.
    lr : float
        Largest step size of Adam.
    warm_up : float
        Part of the run in which the step size rises in a line; it falls along half a cosine then.
    max_grad_norm : float
        Largest norm of a gradient.
    tail : int
        Last periods of a path whose costs count, but whose orders do not move the parameters: what an order
        costs shows only later. Less than `periods`.
    persistent : bool
        Whether paths go on where the last ones ended.
    scenarios : int or None
        Paths of which the batches are drawn, each with its own first state; None draws new demand for every
        update. Needs `persistent` false.
    average : float
        Rate at which the averaged parameters follow; 1 for no average.
    samples, eval_periods, eval_warm_up : int
        Paths, periods and first periods that do not count of an evaluation by simulation.
    """

    batch_size: int = 512
    periods: int = 30
    lr: float = 0.02
    warm_up: float = 0.05
    max_grad_norm: float = 1.0
    tail: int = 0
    persistent: bool = True
    scenarios: int | None = None
    average: float = 0.02
    samples: int = 4096
    eval_periods: int = 100
    eval_warm_up: int = 60

    def __post_init__(self) -> None:
        for name in ("batch_size", "periods", "samples", "eval_periods"):
            checks.integer(name, getattr(self, name))
        checks.integer("tail", self.tail, 0, self.periods - 1)
        checks.integer("eval_warm_up", self.eval_warm_up, 0, self.eval_periods - 1)
        checks.number("lr", self.lr, 0.0, open_low=True)
        checks.number("warm_up", self.warm_up, 0.0, 1.0)
        checks.number("max_grad_norm", self.max_grad_norm, 0.0, open_low=True)
        checks.number("average", self.average, 0.0, 1.0, open_low=True)
        if self.scenarios is not None:
            checks.integer("scenarios", self.scenarios)
            if self.persistent:
                raise ValueError("scenarios needs persistent=False: its paths begin where they begin")


def step_size(config: HDPOConfig, u: int, steps: int) -> float:
    """Return the step size of update u: a line up to `lr`, then half a cosine down to 0."""
    rising = config.warm_up * steps
    if u < rising:
        return config.lr * (u + 1) / (rising + 1)
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * (u - rising) / max(steps - rising, 1.0)))


def path_cost(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    x: Tensor,
    demand: Tensor,
    tail: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the cost of paths per period and store, shape (N, B), and where they end, (N, B, M, L).

    Demand has shape (N, T, B, n). Orders of the last `tail` periods have no derivative in the parameters.
    """
    total = x.new_zeros(x.shape[:2])
    fixed = {name: leaf.detach() for name, leaf in parameters.items()}
    for t, d in enumerate(demand.unbind(dim=1)):
        theta = parameters if t < demand.shape[1] - tail else fixed
        outcome = problem.simulator.step(x, policy.orders(theta, problem, Seen(x)), d)
        x, total = outcome.inventory, total + outcome.cost
    return total / (demand.shape[1] * problem.simulator.n), x


class Paths:
    """First states and demand of every update; what it holds is part of a checkpoint."""

    def __init__(self, config: HDPOConfig, problem: Problem, keys: Tensor) -> None:
        setting, N = problem.setting, len(keys)
        like: dict[str, Any] = {"dtype": problem.mean.dtype, "device": keys.device}
        self.config, self.keys = config, keys
        rows = config.batch_size if config.scenarios is None else config.scenarios
        first = setting.first_inventory(rows, rng=np.random.default_rng(START))
        self.x = torch.as_tensor(first, **like).expand(N, -1, -1, -1).contiguous()
        if config.scenarios is None:
            assert setting.network.demand is not None
            self.draw = drawer(setting.network.demand, problem.simulator.n, keys.device)
        else:
            rng = np.random.default_rng(START + 1)
            assert setting.network.demand is not None
            law, shape = setting.network.demand, (config.periods, rows, problem.simulator.n)
            if isinstance(law, Trace):  # a window is a path
                demand = law.sample(rng, (rows, config.periods, shape[-1])).transpose(1, 0, 2)
            else:
                demand = law.sample(rng, shape)
            self.demand = torch.as_tensor(np.ascontiguousarray(demand), **like)

    def next(self, u: Tensor | int) -> tuple[Tensor, Tensor]:
        """Return first states (N, B, M, L) and demand (N, T, B, n) of update u."""
        c = self.config
        if c.scenarios is None:
            return self.x, self.draw(self.keys, u, DEMAND, (c.batch_size, c.periods))
        if c.batch_size >= c.scenarios:
            return self.x, self.demand.expand(len(self.keys), -1, -1, -1)
        k = integers(self.keys, u, PATHS, (c.batch_size,), c.scenarios)
        seeds = torch.arange(len(self.keys), device=k.device)[:, None]
        return self.x[seeds, k], self.demand[:, k].transpose(0, 1)

    def keep(self, x: Tensor) -> None:
        """Take the states in which the paths ended."""
        if self.config.persistent:
            self.x.copy_(x)

    def state(self) -> dict[str, Tensor]:
        """Return the states from which the next paths go on."""
        return {"x": self.x}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place."""
        self.x.copy_(state["x"])


def make_update(
    config: HDPOConfig, policy: Policy, problem: Problem, parameters: Parameters
) -> tuple[Callable[[Paths, Tensor | int], dict[str, Tensor]], Adam]:
    """Return ``update(paths, u)``, which takes a step of the optimiser's size and returns metrics, and the
    optimiser."""
    adam = Adam(parameters, config.lr)
    loops = policy.compiled(problem, parameters) if isinstance(policy, SharedLevelPolicy) else None

    def update(paths: Paths, u: Tensor | int) -> dict[str, Tensor]:
        x, demand = paths.next(u)
        parameters.zero_grad()
        if loops is not None:
            cost, x = loops(x, demand, config.tail)
        else:
            cost, x = path_cost(policy, parameters.tensors, problem, x, demand, config.tail)
            cost.mean(dim=1).sum().backward()
        norm = clip_by_norm(parameters, config.max_grad_norm)
        adam.step()
        paths.keep(x.detach())
        return {"loss": cost.detach().mean(dim=1), "grad_norm": norm}

    return update, adam


def hdpo(
    setting: Setting,
    steps: int,
    *,
    policy: Policy = MLPPolicy(),
    config: HDPOConfig = HDPOConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(evaluate_every=0, log_every=10, save_every=0),
) -> TrainResult:
    """Train an ordering policy by pathwise gradients, many seeds at once.

    Parameters
    ----------
    setting : Setting
        A problem with a law of demand, from `eluder.envs.inventory.setting`.
    steps : int
        Updates.
    policy : Policy, optional
        What is trained.
    config : HDPOConfig, optional
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
        ``returns[e, n, 0]`` is minus the cost per period and store of seed n at evaluation e, exact where the
        policy's Markov chain can be solved (by simulation where it orders without bound); `policy` maps
        inventories (N, B, M, L) to orders (N, B, E), to be rounded by whoever uses them; `gap` is the
        relative distance of the last cost to the optimum or bound of the setting, None if it has none.

    Raises
    ------
    ValueError
        If an argument is out of range, the setting has no law of demand or its optimum cannot be computed, or
        `out` holds another run. All is checked before training.

    Warns
    -----
    RuntimeWarning
        If the parameters of some seeds are no longer finite at the end; the others are not touched by it.

    Notes
    -----
    An update costs ``batch_size * periods`` passes through the policy and back; memory is that of their
    activations.

    References
    ----------
    Alvo, Russo, Kanoria & Lee. Deep reinforcement learning for inventory networks: toward reliable policy
    optimization. arXiv:2306.11246, 2023.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> result = hdpo(setting("lost_sales", lead_time=1, penalty=4), 30, config=HDPOConfig(batch_size=64))
    >>> result.returns.shape, result.gap.shape
    ((1, 1, 1), (1,))
    """
    about = description("hdpo", setting, policy, config)
    with Training(about, steps, seeds, device, out, resume, schedule) as run:
        problem = Problem(setting, run.device)
        parameters = policy.init(problem, run.keys)
        ask(policy, parameters.tensors, problem)
        average, paths = parameters.like(), Paths(config, problem, run.keys)
        judge = Judge(config, policy, average, problem)
        update, adam = make_update(config, policy, problem, parameters)
        learn = repeated(lambda u, n: update(paths, n), run.device)
        run.keep(parameters=parameters, average=average, adam=adam, paths=paths)

        for u in run:
            adam.lr = step_size(config, u, steps)
            run.metrics = learn(u)
            average.track(parameters, max(config.average, 1.0 / (u + 1)))
            evaluate, save = run.due(u)
            if evaluate:
                keep_evaluation(run, u + 1, judge())
            if save:
                run.save(u + 1)
        judge_end(run, judge)
        return _result(run, judge)


def check_paths(setting: Setting, periods: int, eval_periods: int = 1) -> None:
    """Refuse a setting that paths of so many periods cannot be drawn of, or on which they teach nothing."""
    network, law = setting.network, setting.network.demand
    if law is None:
        raise ValueError(f"setting {setting.name} has no law of demand to draw paths from")
    if network.num_samples is not None:
        raise ValueError(f"setting {setting.name} has parameters of its own for each sample, paths have none")
    soonest = int(network.lead_time.min())
    if periods <= soonest and not (network.warehouses or network.unit_cost.any()):
        raise ValueError(f"periods is {periods}: no order arrives so soon, the first after {soonest}")
    for name, T in (("periods", periods), ("eval_periods", eval_periods)):
        if isinstance(law, Trace) and len(law.values) < T:
            raise ValueError(f"{name} is {T}, the trace of setting {setting.name} has {len(law.values)}")


def description(agent: str, setting: Setting, policy: Policy, config: HDPOConfig) -> dict[str, Any]:
    """Return what is trained, as plain data; refuse what could not be judged when it is trained."""
    check_paths(setting, config.periods, config.eval_periods)
    try:
        setting.reference()
    except ValueError as error:
        way_out = "setting.without_reference() is trained without one"
        raise ValueError(f"setting {setting.name} has no reference cost: {error} ({way_out})") from None
    named = {"policy": type(policy).__name__, **(asdict(policy) if is_dataclass(policy) else {})}
    settings = {**asdict(config), "policy": named}
    return {"agent": agent, "env": identity(setting), "setting": recipe(setting), "config": settings}


def ask(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    seen: Seen | None = None,
    where: str | None = None,
) -> None:
    """Ask for orders, of empty inventories by default, so that a policy that does not fit is refused."""
    s, where = problem.simulator, where or f"setting {problem.setting.name}"
    N = len(next(iter(parameters.values())))
    seen = Seen(problem.mean.new_zeros(N, 1, s.M, s.L)) if seen is None else seen
    try:
        with torch.no_grad():
            shape = policy.orders(parameters, problem, seen).shape
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"policy cannot order in {where}: {error}") from None
    wanted = (*seen.inventory.shape[:2], s.E)
    if shape != wanted:
        raise ValueError(f"policy must give {where} orders {wanted}, got {tuple(shape)}")


class Judge:
    """What the policies of a run cost; `offset` (N, 1, 1) is what is best added to their orders."""

    def __init__(self, config: HDPOConfig, policy: Policy, average: Parameters, problem: Problem) -> None:
        self.config, self.policy, self.average, self.problem = config, policy, average, problem
        self.offset: Array | None = None

    def __call__(self) -> Array:
        """Return the cost of each seed's policy, shape (N, 1): exact if possible, else by simulation.

        A policy that orders without bound is simulated too.
        """
        c, average = self.config, self.average
        exact = bounded_offsets(self.policy, average.tensors, self.problem) or [None] * average.N
        self.offset = np.reshape([0.0 if best is None else best[0] for best in exact], (-1, 1, 1))
        rest = [n for n, best in enumerate(exact) if best is None]
        cost = np.array([[np.nan if best is None else best[1].cost] for best in exact])
        if rest:
            sizes = {"samples": c.samples, "periods": c.eval_periods, "warm_up": c.eval_warm_up}
            some = {k: x[rest] for k, x in average.tensors.items()}
            cost[rest, 0] = [x.cost for x in simulated_cost(self.policy, some, self.problem, **sizes)]
        return cost


def keep_evaluation(run: Training, now: int, cost: Array) -> None:
    """Keep and log the costs of an evaluation, shape (N, 1)."""
    run.evaluations.append((now, -cost))
    run.log.evaluation(now, -cost, np.ones_like(cost, dtype=np.int64))


def judge_end(run: Training, evaluate: Callable[[], Array]) -> None:
    """Evaluate a run that was further than it is asked for, unless it was evaluated there."""
    if not run.evaluations or run.evaluations[-1][0] < run.start:
        run.evaluations.append((run.start, -evaluate()))


def identity(setting: Setting) -> str:
    """Return the name of a setting and a digest of its network and demand: a folder goes on with no other."""
    network, digest = setting.network, hashlib.sha256()
    law: Any = network.demand
    numbers = [getattr(network, name) for name in ARRAYS] + [setting.mean, setting.sd]
    numbers += [] if setting.data is None else [setting.data]
    if is_dataclass(law) and not isinstance(law, type):
        told = asdict(law)
    else:
        told = dict(getattr(law, "__dict__", {}))
    told = {key: np.asarray(x) for key, x in sorted(told.items())}
    numbers += [x for x in told.values() if x.dtype.kind in "biuf"]
    for x in numbers:
        digest.update(f"{np.shape(x)}".encode())
        digest.update(np.ascontiguousarray(x, dtype=np.float64).tobytes())
    words = (network.unmet, network.objective, network.orders, type(law).__name__, *told)
    digest.update(" ".join(words).encode())
    return f"{setting.name} {digest.hexdigest()[:16]}"


def digest(*things: Any) -> str:
    """Return a text that differs where a number, word, array or tensor in them does."""
    total = hashlib.sha256()

    def feed(x: Any) -> None:
        if isinstance(x, Tensor):
            x = x.detach().cpu().numpy()
        if isinstance(x, np.ndarray | np.generic):
            total.update(f"{x.dtype} {x.shape} ".encode() + np.ascontiguousarray(x).tobytes())
        elif x is None or isinstance(x, int | float | str):
            total.update(f"{x!r} ".encode())
        elif isinstance(x, Mapping | tuple | list):
            total.update(f"{type(x).__name__} {len(x)} ".encode())
            for part in sorted(x.items()) if isinstance(x, Mapping) else x:
                feed(part)
        else:
            told = {f.name: getattr(x, f.name) for f in fields(x)} if is_dataclass(x) else x.__dict__
            feed((type(x).__name__, dict(told)))

    feed(things)
    return total.hexdigest()[:16]


def recipe(setting: Setting) -> dict[str, Any] | None:
    """Return how `eluder.envs.inventory.setting` makes a setting, as plain data; None if it cannot."""
    try:
        plain = {"name": setting.name, "options": json.loads(json.dumps(dict(setting.options)))}
    except (TypeError, ValueError):
        return None
    again = setting_of(plain["name"], **plain["options"]) if plain["name"] in setting_names() else None
    same = again is not None and (identity(again), again.kind) == (identity(setting), setting.kind)
    return plain if same else None


def _result(run: Training, judge: Judge) -> TrainResult:
    """Return what the run leads to."""
    policy, problem, average = judge.policy, judge.problem, judge.average
    if judge.offset is None:  # a finished run was asked for again
        judge()
    assert judge.offset is not None
    offset = judge.offset
    run.warn_if_diverged(average)

    def order(inventory: Array) -> Array:
        with torch.no_grad():
            x = torch.as_tensor(np.asarray(inventory), dtype=problem.mean.dtype, device=run.device)
            q: Array = policy.orders(average.tensors, problem, Seen(x)).cpu().numpy() + offset
        return np.maximum(q, 0.0)

    returns = np.stack([x for _, x in run.evaluations])
    best = problem.setting.reference()
    parameters = {f"policy/{k}": x.detach().cpu().numpy().copy() for k, x in average.tensors.items()}
    return TrainResult(
        seeds=np.array(run.seeds),
        steps=np.array([u for u, _ in run.evaluations], np.int64),
        returns=returns,
        parameters=parameters | {"rounding/offset": offset},
        policy=order,
        out=run.out,
        gap=None if math.isnan(best) else (-returns[-1, :, 0] - best) / best,
    )
