"""What a trained policy costs: exactly where its Markov chain can be solved, else by common random numbers.

Policies are evaluated as they are used: orders of a network with integer orders are rounded.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eluder.core import checks
from eluder.core.types import IntArray
from eluder.deep.inventory._policies import Policy
from eluder.deep.inventory._problem import Problem, Seen
from eluder.envs.inventory import IntegerDemand, dual_sourcing_cost, evaluate_store

__all__ = ["PolicyCost", "exact_cost", "simulated_cost"]


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


def exact_cost(policy: Policy, parameters: Mapping[str, Tensor], problem: Problem) -> list[PolicyCost] | None:
    """Return the exact long-run cost of each seed's policy, by the stationary law of its Markov chain.

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
    list of PolicyCost or None
        One for each seed; None where there is no such chain: only a single store with integer demand has
        one, with one supplier or two.

    Raises
    ------
    ValueError
        If a policy reaches too many states: it orders without bound.
    """
    chain = _chain(problem)
    if chain is None:
        return None
    with torch.no_grad():
        N = len(next(iter(parameters.values())))
        return [chain(policy, {k: x[n : n + 1] for k, x in parameters.items()}) for n in range(N)]


def _chain(problem: Problem) -> Callable[[Policy, Mapping[str, Tensor]], PolicyCost] | None:
    network, simulator = problem.setting.network, problem.simulator
    law = network.demand
    single = simulator.M == 1 and network.orders == "integer" and isinstance(law, IntegerDemand)
    plain = network.num_samples is None and not simulator.limited and network.objective == "cost"
    if not (single and plain):
        return None
    costs: dict[str, Any] = {"penalty": float(network.penalty[0]), "holding": float(network.holding[0])}

    def ordered(policy: Policy, parameters: Mapping[str, Tensor], x: IntArray) -> IntArray:
        seen = torch.as_tensor(x, dtype=problem.mean.dtype, device=problem.mean.device)[None, :, None]
        q: IntArray = policy.orders(parameters, problem, Seen(seen))[0].round().long().cpu().numpy()
        return q

    assert isinstance(law, IntegerDemand)
    if simulator.E == 1 and not simulator.costly and network.lead_time[0] >= 1:

        def store(policy: Policy, parameters: Mapping[str, Tensor]) -> PolicyCost:
            result = evaluate_store(
                lambda x: ordered(policy, parameters, x)[:, 0],
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
        if l_e != 0 or l_r == l_e:
            return None

        def dual(policy: Policy, parameters: Mapping[str, Tensor]) -> PolicyCost:
            def orders(x: IntArray, pipeline: IntArray) -> tuple[IntArray, IntArray]:
                q = ordered(policy, parameters, np.column_stack([x, pipeline]))
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
    setting, simulator = problem.setting, problem.simulator
    rng = np.random.default_rng(checks.integer("seed", seed, 0))
    like: dict[str, Any] = {"dtype": problem.mean.dtype, "device": problem.mean.device}
    if demand is None:
        if setting.network.demand is None:
            raise ValueError(f"demand must be given: {setting.name} has no law of demand")
        B, T = checks.integer("samples", samples), checks.integer("periods", periods)
        demand = torch.as_tensor(setting.network.demand.sample(rng, (B, T, simulator.n)), **like)
    B, T = demand.shape[:2]
    warm_up = checks.integer("warm_up", warm_up, 0, T - 1)
    with torch.no_grad():
        N = len(next(iter(parameters.values())))
        x = torch.as_tensor(setting.first_inventory(B, rng=rng), **like).expand(N, -1, -1, -1)
        total = torch.zeros(N, B, dtype=torch.float64, device=x.device)
        for t in range(T):
            q = policy.orders(parameters, problem, Seen(x))
            outcome = simulator.step(x, q, demand[:, t].expand(N, -1, -1), rounded=True)
            x = outcome.inventory
            if t >= warm_up:
                total += outcome.cost
        mean = total / (T - warm_up) / simulator.n
        error = mean.std(dim=1) / B**0.5 if B > 1 else torch.zeros(N)
    return [PolicyCost(a, b) for a, b in zip(mean.mean(dim=1).tolist(), error.tolist(), strict=True)]
