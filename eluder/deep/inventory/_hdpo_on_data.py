"""Train an ordering policy along recorded demand: the gradient of profit through the traces.

Alvo, Russo, Kanoria & Lee (2023), Deep reinforcement learning for inventory networks: toward reliable policy
optimization, arXiv:2306.11246, their data-driven settings.

A record is a set of samples (items), each with its own demand, prices and lead times. Nothing is drawn but
which samples an update sees; a policy sees the last H demands and the calendar (`Seen`)::

    for u = 0, 1, ...:
        B of the samples, without repetition; all inventories empty
        for t < T weeks of the train split:  q_t = pi(x_t, d_{t-H}, ..., d_{t-1}, calendar);  play
        loss = sum_t c_t / (B T n scale);  gradient through all weeks, cut; Adam;  average
        every so often: cost on the dev split; keep the parameters with the lowest

What is returned are the kept ones.

Guarantee: none. `simulate` with `JustInTime`, which sees the future, bounds the profit of any policy from
above where a store has one supplier and demand is lost.

Deviations from the paper:
- The loss is divided by the mean demand, so that `max_grad_norm` means the same for every record; the
  averaged parameters are those that are judged on the dev split.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.results import TrainResult
from eluder.core.types import Array
from eluder.deep.common.networks import Parameters
from eluder.deep.common.optim import Adam
from eluder.deep.common.random import uniform
from eluder.deep.common.seedwise import clip_by_norm
from eluder.deep.common.training import Schedule, Training
from eluder.deep.inventory._data_driven import DataDrivenPolicy, calendar_features
from eluder.deep.inventory._evaluate import PolicyCost
from eluder.deep.inventory._hdpo import (
    HDPOConfig,
    ask,
    digest,
    identity,
    judge_end,
    keep_evaluation,
    step_size,
)
from eluder.deep.inventory._policies import Policy
from eluder.deep.inventory._problem import Problem, Seen
from eluder.envs.inventory import SalesSplit, Setting

__all__ = ["DataConfig", "hdpo_on_data", "recorded_cost"]

ROWS = 2500  # stream of random numbers
PERCEPTRON = DataDrivenPolicy()


@dataclass(frozen=True)
class DataConfig:
    """What training on a record can be told.

    Attributes
    ----------
    batch_size : int
        B, samples of an update and seed; all of them if there are fewer.
    lr : float
        Largest step size of Adam.
    warm_up : float
        Part of the run in which the step size rises in a line; it falls along half a cosine then.
    max_grad_norm : float
        Largest norm of a gradient.
    average : float
        Rate at which the averaged parameters follow; 1 for no average.
    """

    batch_size: int = 72
    lr: float = 0.01
    warm_up: float = 0.05
    max_grad_norm: float = 1.0
    average: float = 0.05

    def __post_init__(self) -> None:
        checks.integer("batch_size", self.batch_size)
        for name in ("lr", "max_grad_norm"):
            checks.number(name, getattr(self, name), 0.0, open_low=True)
        checks.number("warm_up", self.warm_up, 0.0, 1.0)
        checks.number("average", self.average, 0.0, 1.0, open_low=True)


class Traces:
    """The weeks of a split as tensors: `demand` (T, B, n), `history` (H, B, n), `calendar` (T, C)."""

    def __init__(self, split: SalesSplit, problem: Problem, name: str) -> None:
        like: dict[str, Any] = {"dtype": problem.mean.dtype, "device": problem.mean.device}
        data = problem.setting.data
        assert data is not None
        B, n = data.shape[0], data.shape[2]
        demand = checks.finite(f"{name}.demand", split.demand, (B, None, n))
        history = checks.finite(f"{name}.history", split.history, (B, None, n))
        if len(split.week) != demand.shape[1]:
            raise ValueError(
                f"{name}.week has {len(split.week)} entries for {demand.shape[1]} weeks of demand"
            )
        self.demand = torch.as_tensor(demand, **like).transpose(0, 1).contiguous()
        self.history = torch.as_tensor(history, **like).transpose(0, 1).contiguous()
        self.calendar = torch.as_tensor(calendar_features(split.week), **like)
        self.name = name

    def ask(self, policy: Policy, parameters: Mapping[str, Tensor], problem: Problem) -> None:
        """Ask for the orders of the first week, so that a policy that does not fit is refused at once."""
        s, N, B = problem.simulator, len(next(iter(parameters.values()))), self.demand.shape[1]
        past = self.history.transpose(0, 1).expand(N, -1, -1, -1)
        ask(
            policy,
            parameters,
            problem,
            Seen(past.new_zeros(N, B, s.M, s.L), past, self.calendar[0]),
            self.name,
        )


def taken(problem: Problem, rows: Tensor) -> Problem:
    """Return the problem of some samples; rows (N, B) give each seed its own."""
    part = copy.copy(problem)
    part.simulator = problem.simulator.take(rows)
    return part


def trace_costs(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    demand: Tensor,
    history: Tensor,
    calendar: Tensor,
    *,
    rounded: bool = False,
) -> Tensor:
    """Return the cost of each week per store, shape (N, T, B), from empty inventories.

    Demand has shape (N, B, T, n), history (N, B, H, n).
    """
    s, H = problem.simulator, history.shape[2]
    known = torch.cat([history, demand], dim=2)
    x, costs = demand.new_zeros(*demand.shape[:2], s.M, s.L), []
    for t in range(demand.shape[2]):
        seen = Seen(x, known[:, :, t : t + H], calendar[t])
        outcome = s.step(x, policy.orders(parameters, problem, seen), demand[:, :, t], rounded=rounded)
        x = outcome.inventory
        costs.append(outcome.cost / s.n)
    return torch.stack(costs, dim=1)


def recorded_cost(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    setting: Setting,
    split: SalesSplit,
    *,
    warm_up: int = 16,
) -> list[PolicyCost]:
    """Return the cost of each seed's policy on recorded demand: minus the profit where profit is the aim.

    Parameters
    ----------
    policy : Policy
        The policy.
    parameters : mapping of str to Tensor
        Of N seeds.
    setting : Setting
        With recorded demand.
    split : SalesSplit
        Weeks to play, with their history.
    warm_up : int, default=16
        Weeks at the beginning that do not count.

    Returns
    -------
    list of PolicyCost
        Per week and store, one for each seed; the error is the standard error over samples.

    Raises
    ------
    ValueError
        If shapes do not fit or `warm_up` is out of range.
    """
    problem = Problem(_recorded(setting), next(iter(parameters.values())).device)
    return _costs(policy, parameters, problem, Traces(split, problem, "split"), warm_up)


def _costs(
    policy: Policy, parameters: Mapping[str, Tensor], problem: Problem, traces: Traces, warm_up: int
) -> list[PolicyCost]:
    """Return the cost of each seed's policy on all samples."""
    T, B = traces.demand.shape[:2]
    warm_up = checks.integer("warm_up", warm_up, 0, T - 1)
    N = len(next(iter(parameters.values())))
    demand, history = (x.transpose(0, 1).expand(N, -1, -1, -1) for x in (traces.demand, traces.history))
    with torch.no_grad():
        costs = trace_costs(policy, parameters, problem, demand, history, traces.calendar, rounded=True)
    mean = costs[:, warm_up:].double().mean(dim=1)
    error = mean.std(dim=1) / B**0.5 if B > 1 else torch.zeros(N)
    return [PolicyCost(a, b) for a, b in zip(mean.mean(dim=1).tolist(), error.tolist(), strict=True)]


def _recorded(setting: Setting) -> Setting:
    if setting.data is None:
        raise ValueError(f"setting {setting.name} has no recorded demand: train it by hdpo")
    return setting


def make_update(
    config: DataConfig, policy: Policy, problem: Problem, parameters: Parameters, steps: int, keys: Tensor
) -> tuple[Callable[[Traces, int], dict[str, Tensor]], Adam]:
    """Return ``update(traces, u)``, which changes the parameters in place and returns metrics, and its
    optimiser."""
    adam = Adam(parameters, config.lr)
    rates = HDPOConfig(lr=config.lr, warm_up=config.warm_up)

    def update(traces: Traces, u: int) -> dict[str, Tensor]:
        B = traces.demand.shape[1]
        rows = uniform(keys, u, ROWS, (B,)).argsort(dim=1)[:, : config.batch_size]
        demand, history = (x[:, rows].permute(1, 2, 0, 3) for x in (traces.demand, traces.history))
        part = taken(problem, rows)
        parameters.zero_grad()
        costs = trace_costs(policy, parameters.tensors, part, demand, history, traces.calendar)
        loss = costs.mean(dim=(1, 2))
        (loss.sum() / problem.scale).backward()
        norm = clip_by_norm(parameters, config.max_grad_norm)
        adam.step(step_size(rates, u, steps))
        return {"loss": loss.detach(), "grad_norm": norm}

    return update, adam


class Best:
    """The parameters with the lowest cost so far, seed by seed; what it holds is part of a checkpoint."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters.like()
        self.cost = torch.full((parameters.N,), torch.inf, dtype=torch.float64, device=parameters.flat.device)

    def offer(self, parameters: Parameters, returns: Array) -> None:
        """Take the seeds that earn more than before, in place; returns have shape (N, 1)."""
        cost = torch.as_tensor(-returns[:, 0]).to(self.cost)
        better = (cost < self.cost) | ~self.cost.isfinite()
        self.cost = torch.where(better, cost, self.cost)
        for name, kept in self.parameters.tensors.items():
            kept[better] = parameters[name].detach()[better]

    def state(self) -> dict[str, Tensor]:
        """Return parameters and costs."""
        return {"cost": self.cost, **{f"best/{k}": x for k, x in self.parameters.state().items()}}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place."""
        self.cost = state["cost"].to(self.cost)
        self.parameters.load({k.removeprefix("best/"): x for k, x in state.items() if k != "cost"})


def hdpo_on_data(
    setting: Setting,
    train: SalesSplit,
    dev: SalesSplit,
    steps: int,
    *,
    policy: Policy = PERCEPTRON,
    config: DataConfig = DataConfig(),
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    schedule: Schedule = Schedule(evaluate_every=20, log_every=10, save_every=0),
) -> TrainResult:
    """Train an ordering policy by pathwise gradients along recorded demand, many seeds at once.

    Parameters
    ----------
    setting : Setting
        With recorded demand: ``setting("favorita", sales=...)``.
    train, dev : SalesSplit
        Weeks to learn from, and to choose by; ``WeeklySales.split`` makes them. Samples and stores are those
        of the setting.
    steps : int
        Updates.
    policy : Policy, optional
        What is trained.
    config : DataConfig, optional
        Hyperparameters.
    seeds : sequence of int, default=(0,)
        Each gives what it gives alone, up to the rounding of batched products.
    device : str, default="cpu"
        A device of PyTorch.
    out : path, optional
        Folder of logs and checkpoints.
    resume : bool, default=False
        Whether to go on from the newest checkpoint in `out`, of the same splits, policy and evaluations; on
        the CPU to the same numbers.
    schedule : Schedule, optional
        When to evaluate on `dev`, log and save, in updates; there is an evaluation at the end in any case.

    Returns
    -------
    TrainResult
        ``returns[e, n, 0]`` is the profit per week and store of seed n on `dev` at evaluation e, of averaged
        parameters; `parameters` are those of the best evaluation. `policy` maps inventories (N, B, M, L),
        past demands (N, B, H, n) and features of a week (3,) to orders (N, B, E), for the B samples of the
        setting.
        `gap` is None: no optimum is known.

    Raises
    ------
    ValueError
        If an argument is out of range, shapes do not fit, the policy sees more weeks than there are before
        a split, the setting has no recorded demand, or `out` holds another run.

    Warns
    -----
    RuntimeWarning
        If the parameters of some seeds are no longer finite at the end; the others are not touched by it.

    Notes
    -----
    An update costs ``batch_size * T`` passes through the policy and back, T the weeks of `train`; memory is
    that of their activations.

    References
    ----------
    Alvo, Russo, Kanoria & Lee. Deep reinforcement learning for inventory networks: toward reliable policy
    optimization. arXiv:2306.11246, 2023.

    Examples
    --------
    >>> from eluder.envs.inventory import setting
    >>> sales = np.random.default_rng(0).poisson(20.0, (8, 60, 1)).astype(float)
    >>> week = np.datetime64("2013-01-01") + 7 * np.arange(60)
    >>> split = SalesSplit(sales[:, 16:], sales[:, :16], week[16:])
    >>> result = hdpo_on_data(setting("favorita", sales=sales), split, split, 3)
    >>> result.returns.shape
    (1, 1, 1)
    """
    named = {"policy": type(policy).__name__, "digest": digest(policy)}
    told = {**asdict(config), "policy": named, "evaluate_every": schedule.evaluate_every}
    record = f"{identity(_recorded(setting))} {digest(train, dev, setting.dev.warm_up)}"
    about = {"agent": "hdpo_on_data", "env": record, "config": told}
    with Training(about, steps, seeds, device, out, resume, schedule) as run:
        problem = Problem(setting, run.device)
        learn, judge = Traces(train, problem, "train"), Traces(dev, problem, "dev")
        parameters = policy.init(problem, run.keys)
        for traces in (learn, judge):
            traces.ask(policy, parameters.tensors, problem)
        average, best = parameters.like(), Best(parameters)
        update, adam = make_update(config, policy, problem, parameters, steps, run.keys)
        run.keep(parameters=parameters, average=average, adam=adam, best=best)
        warm_up = min(setting.dev.warm_up, len(judge.demand) - 1)

        def cost_on_dev() -> Array:
            return np.array([[c.cost] for c in _costs(policy, average.tensors, problem, judge, warm_up)])

        for u in run:
            run.metrics = update(learn, u)
            average.track(parameters, max(config.average, 1.0 / (u + 1)))
            evaluate, save = run.due(u)
            if evaluate:
                keep_evaluation(run, u + 1, cost_on_dev())
                if schedule.evaluate_every and (u + 1) % schedule.evaluate_every == 0:
                    best.offer(average, run.evaluations[-1][1])
            if save:
                run.save(u + 1)
        judge_end(run, cost_on_dev)
        best.offer(average, run.evaluations[-1][1])  # not saved: a run that is made longer does not stop here
        run.warn_if_diverged(average)
        return _result(run, policy, problem, best.parameters)


def _result(run: Training, policy: Policy, problem: Problem, kept: Parameters) -> TrainResult:
    """Return what the run leads to."""

    def order(inventory: Any, past: Any, calendar: Any) -> Any:
        with torch.no_grad():
            x, d, c = (
                torch.as_tensor(np.asarray(y), dtype=problem.mean.dtype, device=run.device)
                for y in (inventory, past, calendar)
            )
            return policy.orders(kept.tensors, problem, Seen(x, d, c)).cpu().numpy()

    of_week: Any = order
    return TrainResult(
        seeds=np.array(run.seeds),
        steps=np.array([u for u, _ in run.evaluations], np.int64),
        returns=np.stack([x for _, x in run.evaluations]),
        parameters={f"policy/{k}": x.detach().cpu().numpy().copy() for k, x in kept.tensors.items()},
        policy=of_week,
        out=run.out,
        gap=None,
    )
