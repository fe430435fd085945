"""Policies as networks: what they see becomes an order along every edge.

Each policy is a frozen record of its sizes with two methods: ``init(problem, keys)`` draws the parameters of
N seeds, ``orders(parameters, problem, seen)`` maps what is seen to orders (N, B, E), not negative and
differentiable. What a warehouse does not have, the simulator shares out in proportion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.inventory._problem import Problem, Seen, heuristic_levels

__all__ = ["LevelPolicy", "MLPPolicy", "Policy"]

ACTIVATIONS = {"elu": torch.nn.functional.elu, "relu": torch.relu, "tanh": torch.tanh}


@runtime_checkable
class Policy(Protocol):
    """What `hdpo` trains."""

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters of N seeds."""
        ...

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        ...


def flat_inventory(problem: Problem, seen: Seen) -> Tensor:
    """Return the slots that can hold something, in means of demand, shape (N, B, F)."""
    return seen.inventory.flatten(-2).index_select(-1, problem.places) / problem.scale


@dataclass(frozen=True)
class MLPPolicy:
    """A perceptron from all inventories to all orders: ``q[e] = unit[e] relu(1 + out[e])``.

    `unit` is the mean demand that passes along the edge, so that the first policy orders about that.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    activation : {"elu", "relu", "tanh"}
        Between layers.
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "elu"

    def __post_init__(self) -> None:
        _check(self.hidden, self.activation)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters: uniform in one over the root of the number of inputs."""
        sizes = (int(problem.slots.sum()), *self.hidden, problem.simulator.E)
        parameters = Parameters(mlp_shapes(sizes), len(keys), keys.device)
        init_mlp(parameters, keys)
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        out = mlp(parameters, flat_inventory(problem, seen), ACTIVATIONS[self.activation])
        unit = problem.through[problem.simulator.target] * problem.share
        return unit * torch.relu(1.0 + out)


@dataclass(frozen=True)
class LevelPolicy:
    """Order up to levels that depend on the state, and are at first those of a heuristic.

    ``level[i] = base[i] + unit[i] out[i]``, ``want[i] = relu(level[i] - position[i])``, an edge orders its
    share of what its target wants. The last layer starts at zero: the first policy is the heuristic's.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    activation : {"elu", "relu", "tanh"}
        Between layers.
    echelon : bool
        Whether a warehouse's position counts all stock downstream.
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "elu"
    echelon: bool = True

    def __post_init__(self) -> None:
        _check(self.hidden, self.activation)

    def init(self, problem: Problem, keys: Tensor) -> Parameters:
        """Draw the parameters; levels begin at `heuristic_levels`."""
        M = problem.simulator.M
        shapes = mlp_shapes((int(problem.slots.sum()), *self.hidden, M)) | {"base": (1, M)}
        parameters = Parameters(shapes, len(keys), keys.device)
        init_mlp(parameters, keys)
        last = len(self.hidden)
        levels = heuristic_levels(problem.setting, echelon=self.echelon)
        with torch.no_grad():
            parameters[f"w{last}"].zero_()
            parameters[f"b{last}"].zero_()
            unit = problem.through.clamp_min(1e-6)
            parameters["base"].copy_(torch.as_tensor(levels, dtype=unit.dtype, device=unit.device) / unit)
        return parameters

    def orders(self, parameters: Mapping[str, Tensor], problem: Problem, seen: Seen) -> Tensor:
        """Return the orders (N, B, E)."""
        out = mlp(parameters, flat_inventory(problem, seen), ACTIVATIONS[self.activation])
        position = seen.inventory.sum(dim=-1)
        if self.echelon:
            position = position @ problem.reach.T
        level = problem.through * (parameters["base"] + out)
        want = torch.relu(level - position)
        return problem.share * want[..., problem.simulator.target]


def _check(hidden: tuple[int, ...], activation: str, name: str = "hidden") -> None:
    for i, units in enumerate(hidden):
        checks.integer(f"{name}[{i}]", units)
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
