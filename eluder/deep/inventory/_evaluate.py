"""What a trained policy costs: exactly where its Markov chain can be solved, else by common random numbers.

Policies are evaluated as they are used: orders of a network with integer orders are rounded.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.types import Array, IntArray
from eluder.deep.inventory._policies import LevelPolicy, Policy
from eluder.deep.inventory._problem import Problem, Seen
from eluder.envs.inventory import (
    IntegerDemand,
    Normal,
    Setting,
    backlogged_optimum,
    clark_scarf,
    dual_sourcing_cost,
    evaluate_store,
)

__all__ = ["PolicyCost", "best_offsets", "exact_cost", "simulated_cost"]


OFFSETS = (0.0, -0.1, 0.1, -0.2, 0.2, -0.3, 0.3, -0.4, 0.4)  # units; the first of equals is taken
QUIET = 500  # periods of the least demand after which stock must have stopped growing
STILL_GROWS = f"stock still grows after {QUIET} periods of the least demand"


class PolicyCost(NamedTuple):
    """Cost per period and store.

    Attributes
    ----------
    cost : float
        The cost, or its estimate.
    error : float
        Half the distance of certified bounds; of an estimate its standard error.
    """

    cost: float
    error: float


def exact_cost(
    policy: Policy, parameters: Mapping[str, Tensor], problem: Problem, *, offset: float = 0.0
) -> list[PolicyCost] | None:
    """Return the exact long-run cost of each seed's policy, by the stationary law of its Markov chain.

    Parameters
    ----------
    policy : Policy
        The policy.
    parameters : mapping of str to Tensor
        Of N seeds.
    problem : Problem
        The problem.
    offset : float, default=0.0
        Units added to orders before they are rounded.

    Returns
    -------
    list of PolicyCost or None
        One for each seed; None where there is no such chain: only a single store with integer demand has
        one, with one supplier or two.

    Raises
    ------
    ValueError
        If a policy orders without bound: its stock still grows after 500 periods of the least demand, or it
        reaches too many states.
    """
    chain = _chain(problem)
    if chain is None:
        return None
    grows = growing(policy, parameters, problem, (offset,))[:, 0]
    if grows.any():
        n = int(grows.int().argmax())
        raise ValueError(f"policy of seed number {n} orders without bound: {STILL_GROWS}")
    return [chain(policy, own, offset) for own in each_seed(parameters)]


def best_offsets(
    policy: Policy, parameters: Mapping[str, Tensor], problem: Problem
) -> tuple[list[float], list[PolicyCost]] | None:
    """Search the constant that is best added to orders before they are rounded, by the exact cost.

    Orders are trained as real numbers; where they are rounded up is one number more, which training does not
    see.

    Parameters
    ----------
    policy : Policy
        The policy.
    parameters : mapping of str to Tensor
        Of N seeds.
    problem : Problem
        The problem.

    Returns
    -------
    tuple of list of float and list of PolicyCost, or None
        The best of 9 constants between -0.4 and 0.4, and its cost, for each seed; None where `exact_cost` is.
        Constants with which a policy orders without bound are passed over.

    Raises
    ------
    ValueError
        If a policy orders without bound with all of them, or reaches too many states.
    """
    found = bounded_offsets(policy, parameters, problem)
    if found is None:
        return None
    known = [best for best in found if best is not None]
    if len(known) < len(found):
        raise ValueError(f"policy of seed number {found.index(None)} orders without bound")
    return [offset for offset, _ in known], [cost for _, cost in known]


def bounded_offsets(
    policy: Policy, parameters: Mapping[str, Tensor], problem: Problem
) -> list[tuple[float, PolicyCost] | None] | None:
    """Return what `best_offsets` searches seed by seed, None for a seed whose policy orders without bound.

    Where a constant leads to too many states, those beyond it are not tried: the work is bounded.
    """
    chain = _chain(problem)
    if chain is None:
        return None
    grows = growing(policy, parameters, problem, OFFSETS).tolist()
    found = []
    for own, endless in zip(each_seed(parameters), grows, strict=True):
        costs: dict[float, PolicyCost] = {}
        closed: set[bool] = set()  # sides, up and down, on which there were too many states
        for offset, without_bound in zip(OFFSETS, endless, strict=True):
            if without_bound or (offset > 0) in closed:
                continue
            try:
                costs[offset] = chain(policy, own, offset)
            except ValueError:  # too many states
                closed |= {offset > 0} if offset else {True, False}
        best = min(costs, key=lambda offset: costs[offset].cost, default=None)
        found.append(None if best is None else (best, costs[best]))
    return found


def each_seed(parameters: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the parameters of each of N seeds, with a first axis of 1."""
    N = len(next(iter(parameters.values())))
    return [{k: x[n : n + 1].detach() for k, x in parameters.items()} for n in range(N)]


def growing(
    policy: Policy, parameters: Mapping[str, Tensor], problem: Problem, offsets: tuple[float, ...]
) -> Tensor:
    """Say for which seeds and constants stock still grows after `QUIET` periods of the least demand, (N, K).

    All are played side by side from an empty store; what is not a number grows too.
    """
    law, s = problem.setting.network.demand, problem.simulator
    assert isinstance(law, IntegerDemand)
    N, K = len(next(iter(parameters.values()))), len(offsets)
    add = problem.mean.new_tensor(offsets)[:, None]
    x = problem.mean.new_zeros(N, K, s.M, s.L)
    least = x.new_full((N, K, s.n), float(np.flatnonzero(law.pmf())[0]))
    position = before = x.new_zeros(N, K)
    with torch.no_grad():
        for t in range(QUIET):
            orders = (policy.orders(parameters, problem, Seen(x)) + add).clamp_min(0.0)
            after = s.step(x, orders, least, rounded=True).inventory
            if torch.equal(after, x):
                return torch.zeros_like(position, dtype=torch.bool)
            x, position = after, after.sum(dim=(-2, -1))
            if 2 * t < QUIET:
                before = torch.maximum(before, position)
    return ~(position <= before)


def _chain(problem: Problem) -> Callable[[Policy, Mapping[str, Tensor], float], PolicyCost] | None:
    """Return the exact cost as a function of policy, parameters of one seed, and constant."""
    network, simulator = problem.setting.network, problem.simulator
    law = network.demand
    single = simulator.M == 1 and network.orders == "integer" and isinstance(law, IntegerDemand)
    plain = network.num_samples is None and not simulator.limited and network.objective == "cost"
    if not (single and plain):
        return None
    costs: dict[str, Any] = {"penalty": float(network.penalty[0]), "holding": float(network.holding[0])}

    def ordered(policy: Policy, parameters: Mapping[str, Tensor], offset: float, x: IntArray) -> IntArray:
        seen = torch.as_tensor(x, dtype=problem.mean.dtype, device=problem.mean.device)[None, :, None]
        with torch.no_grad():
            orders = policy.orders(parameters, problem, Seen(seen))[0] + offset
        q: IntArray = orders.clamp_min(0.0).round().long().cpu().numpy()
        return q

    assert isinstance(law, IntegerDemand)
    if simulator.E == 1 and not simulator.costly and network.lead_time[0] >= 1:

        def store(policy: Policy, parameters: Mapping[str, Tensor], offset: float) -> PolicyCost:
            result = evaluate_store(
                lambda x: ordered(policy, parameters, offset, x)[:, 0],
                law,
                lead_time=int(network.lead_time[0]),
                lost=network.unmet == "lost",
                **costs,
            )
            return PolicyCost(result.cost, (result.upper - result.lower) / 2)

        return store
    if simulator.E == 2 and network.unmet == "backlog" and not network.fixed_cost.any():
        slow, fast = (0, 1) if network.lead_time[0] > network.lead_time[1] else (1, 0)
        l_r, l_e = int(network.lead_time[slow]), int(network.lead_time[fast])
        priced = network.unit_cost[slow] <= network.unit_cost[fast] and min(costs.values()) > 0
        if l_e != 0 or l_r == l_e or not priced:
            return None

        def dual(policy: Policy, parameters: Mapping[str, Tensor], offset: float) -> PolicyCost:
            def orders(x: IntArray, pipeline: IntArray) -> tuple[IntArray, IntArray]:
                q = ordered(policy, parameters, offset, np.column_stack([x, pipeline]))
                return q[:, slow], q[:, fast]

            result = dual_sourcing_cost(
                law,
                orders,
                lead_times=(l_r, l_e),
                unit_costs=(float(network.unit_cost[slow]), float(network.unit_cost[fast])),
                **costs,
            )
            return PolicyCost(result.cost, (result.upper - result.lower) / 2)

        return dual
    return None


def simulated_cost(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    *,
    samples: int = 4096,
    periods: int = 100,
    warm_up: int = 60,
    seed: int = 65,
    demand: Tensor | None = None,
) -> list[PolicyCost]:
    """Return the cost of each seed's policy on the same random demand.

    Where the optimal policy is known to be one of levels (a single store with backlog, a serial system), it
    plays the same demand, and the answer is the exact optimum plus the mean difference: a control variate.
    Demand that is handed over need not follow the law of the setting: it has none.

    Parameters
    ----------
    policy : Policy
        The policy.
    parameters : mapping of str to Tensor
        Of N seeds.
    problem : Problem
        The problem.
    samples, periods, warm_up : int
        Samples; periods of each; periods at the beginning that do not count.
    seed : int, default=65
        Of demand and first states.
    demand : Tensor, shape (B, T, n), optional
        Demand to use; its sizes replace `samples` and `periods`.

    Returns
    -------
    list of PolicyCost
        One for each seed; the error is the standard error over samples.

    Raises
    ------
    ValueError
        If a number is out of range, or there is no law of demand.
    """
    setting, like = problem.setting, {"dtype": problem.mean.dtype, "device": problem.mean.device}
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    best = optimal_levels(setting) if demand is None else None
    if demand is None:
        if setting.network.demand is None:
            raise ValueError(f"demand must be given: {setting.name} has no law of demand")
        B, T = checks.integer("samples", samples), checks.integer("periods", periods)
        drawn = setting.network.demand.sample(rng, (B, T, problem.simulator.n))
        demand = torch.as_tensor(drawn, **like)
    warm_up = checks.integer("warm_up", warm_up, 0, demand.shape[1] - 1)
    first = torch.as_tensor(setting.first_inventory(len(demand), rng=rng), **like)
    costs, known = _play(policy, parameters, problem, first, demand, warm_up), 0.0
    if best is not None:
        levels, known = best
        rule, control = _levels(problem, levels)
        costs = costs - _play(rule, control, problem, first, demand, warm_up)
    error = costs.std(dim=1) / len(demand) ** 0.5 if len(demand) > 1 else torch.zeros(len(costs))
    means = (known + costs.mean(dim=1)).tolist()
    return [PolicyCost(a, b) for a, b in zip(means, error.tolist(), strict=True)]


def _play(
    policy: Policy,
    parameters: Mapping[str, Tensor],
    problem: Problem,
    first: Tensor,
    demand: Tensor,
    warm_up: int,
) -> Tensor:
    """Return the mean cost per period and store of each sample, shape (N, B)."""
    N, (B, T) = len(next(iter(parameters.values()))), demand.shape[:2]
    x = first.expand(N, -1, -1, -1)
    total = torch.zeros(N, B, dtype=torch.float64, device=x.device)
    with torch.no_grad():
        for t in range(T):
            q = policy.orders(parameters, problem, Seen(x))
            outcome = problem.simulator.step(x, q, demand[:, t].expand(N, -1, -1), rounded=True)
            x = outcome.inventory
            if t >= warm_up:
                total += outcome.cost
    return total / (T - warm_up) / problem.simulator.n


def optimal_levels(setting: Setting) -> tuple[Array, float] | None:
    """Return echelon levels of the optimal policy, shape (M,), and its exact cost, where that is its form."""
    network, M = setting.network, setting.network.num_locations
    law = network.demand
    chain = len(network.stores) == 1 and network.num_edges == M and network.num_samples is None
    free = not (network.fixed_cost.any() or network.unit_cost.any() or np.isfinite(network.capacity).any())
    kept = network.unmet == "backlog" and network.objective == "cost" and bool(network.holds.all())
    plain = free and kept
    if not (chain and plain and isinstance(law, Normal | IntegerDemand) and setting.kind == "optimum"):
        return None
    order = network.upstream_first()[::-1]
    lead = np.zeros(M, np.int64)
    lead[network.target] = network.lead_time
    if M == 1:
        found = backlogged_optimum(
            law, lead_time=int(lead[0]), penalty=float(network.penalty[0]), holding=float(network.holding[0])
        )
        return np.array([found.level]), found.cost
    serial = clark_scarf(
        law, lead_times=lead[order], holding=network.holding[order], penalty=float(network.penalty[0])
    )
    levels = np.zeros(M)
    levels[order] = serial.levels
    return levels, serial.cost


def _levels(problem: Problem, levels: Array) -> tuple[LevelPolicy, dict[str, Tensor]]:
    """Return the policy of fixed echelon levels, and its parameters."""
    rule = LevelPolicy(hidden=(1,))
    parameters = rule.init(problem, torch.zeros(1, dtype=torch.int64, device=problem.mean.device))
    base = torch.as_tensor(levels, dtype=problem.mean.dtype, device=problem.mean.device)
    with torch.no_grad():
        parameters["base"].copy_(base / problem.through)
    return rule, parameters.state()
