"""Ordering from a cheap slow and a dear fast supplier by indices that depend on the state.

The first policy is the best capped dual index policy of `eluder.envs.inventory.best_dual_index`, exact for
one store with integer demand; three outputs of a network move its indices from there::

    x_e = on hand and what arrives within L_e periods;  x_r = all orders
    e = (S_e + out_1 - x_e)^+;   q = min((S_r + out_2 - x_r - e)^+, (cap + out_3)^+)

Veeraraghavan and Scheller-Wolf (Operations Research 56, 2008); the cap: Sun and Van Mieghem (M&SOM 21, 2019).
`hdpo` trains it on orders that are not rounded, `reinforce` on rounded ones; both are evaluated with rounded
orders.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.inventory._policies import ACTIVATIONS, _check, flat_inventory
from eluder.deep.inventory._problem import Problem, Seen
from eluder.envs.inventory import DualIndex, IntegerDemand, best_dual_index

__all__ = ["DualIndexPolicy"]


@dataclass(frozen=True)
class DualIndexPolicy:
    """Dual index levels and a cap that depend on the state, at first the best that do not.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    activation : {"elu", "relu", "tanh"}
        Between layers.
    capped : bool
        Whether to start with the best capped dual index policy; else with the best one without a cap, whose
        cap is first the level itself.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> from eluder.deep.inventory import exact_cost
    >>> from eluder.envs.inventory import setting
    >>> problem = Problem(setting("dual_sourcing", lead_times=(2, 0), unit_costs=(0, 10)))
    >>> policy = DualIndexPolicy()
    >>> first = policy.init(problem, seed_keys([0]))
    >>> round(exact_cost(policy, first.tensors, problem)[0].cost, 4)  # the optimum is 19.7333
    19.7994
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "elu"
    capped: bool = True

    def __post_init__(self) -> None:
        _check(self.hidden, self.activation)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters; ``base`` holds S_e, S_r and the cap."""
        network, law = problem.setting.network, problem.setting.network.demand
        slow, fast = self._suppliers(problem)
        assert isinstance(law, IntegerDemand)
        best = best_dual_index(
            law,
            lead_times=(int(network.lead_time[slow]), int(network.lead_time[fast])),
            unit_costs=(float(network.unit_cost[slow]), float(network.unit_cost[fast])),
            penalty=float(network.penalty[0]),
            holding=float(network.holding[0]),
            capped=self.capped,
        ).policy
        assert isinstance(best, DualIndex)
        shapes = mlp_shapes((int(problem.slots.sum()), *self.hidden, 3)) | {"base": (1, 3)}
        parameters = Parameters(shapes, len(keys), keys.device, problem.mean.dtype)
        init_mlp(parameters, keys)
        last = len(self.hidden)
        cap = best.regular_level if best.cap is None else best.cap
        with torch.no_grad():
            parameters[f"w{last}"].zero_()
            parameters[f"b{last}"].zero_()
            for i, level in enumerate((best.express_level, best.regular_level, cap)):
                parameters["base"][..., i].fill_(float(level))
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, 2)."""
        slow, fast = self._suppliers(problem)
        network = problem.setting.network
        out = mlp(parameters, flat_inventory(problem, seen), ACTIVATIONS[self.activation])
        S_e, S_r, cap = (parameters["base"] + problem.scale * out).unbind(dim=-1)
        within = int(network.lead_time[fast]) + 1
        position = seen.inventory[..., 0, :within].sum(dim=-1), seen.inventory[..., 0, :].sum(dim=-1)
        e = torch.relu(S_e - position[0])
        q = torch.minimum(torch.relu(S_r - position[1] - e), torch.relu(cap))
        return torch.stack([q, e] if slow < fast else [e, q], dim=-1)

    def _suppliers(self, problem: Problem) -> tuple[int, int]:
        """Return the slow and the fast edge; refuse any other network."""
        network, L = problem.setting.network, problem.setting.network.lead_time
        law = network.demand
        plain = problem.simulator.M == 1 and problem.simulator.E == 2 and L.ndim == 1
        if not (plain and isinstance(law, IntegerDemand) and network.unmet == "backlog" and L[0] != L[1]):
            name = problem.setting.name
            raise ValueError(
                f"policy needs one store with backlog, integer demand, a slow and a fast supplier, not {name}"
            )
        slow = int(np.argmax(L))
        return slow, 1 - slow
