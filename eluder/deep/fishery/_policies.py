"""A policy of a fishery as a network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.fishery._simulator import Simulator

__all__ = ["FisheryPolicy"]

SCALE = 2.0  # of the inputs, so that they are about 1


@dataclass(frozen=True)
class FisheryPolicy:
    """A perceptron that names the populations to be left: ``a = max(0, 1 - level / N)``.

    ``level = softplus(out)``, of the harvested species, from all populations, and the part of the episode
    that is over. The last layer starts at zero, with the levels at `start`: a constant escapement.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    clock : bool
        Whether the network sees the time; the published policies do not.
    start : float
        First level of each harvested species.

    Raises
    ------
    ValueError
        If a layer has no unit or `start` is not positive.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> from eluder.envs.fishery import fishery
    >>> simulator, policy = Simulator(fishery(1)), FisheryPolicy(start=0.4)
    >>> parameters = policy.init(simulator, seed_keys([0]))
    >>> round(policy.fractions(parameters.tensors, simulator, torch.tensor([[[0.5]]]), 0).item(), 4)
    0.2
    """

    hidden: tuple[int, ...] = (32, 32)
    clock: bool = True
    start: float = 0.5

    def __post_init__(self) -> None:
        for i, units in enumerate(self.hidden):
            checks.integer(f"hidden[{i}]", units)
        checks.number("start", self.start, 0.0, open_low=True)

    def init(self, simulator: Simulator, keys: Tensor) -> Parameters:
        """Draw the parameters of N seeds."""
        shapes = mlp_shapes((simulator.S + self.clock, *self.hidden, simulator.A))
        parameters = Parameters(shapes, len(keys), keys.device, simulator.dtype)
        init_mlp(parameters, keys)
        last = len(self.hidden)
        with torch.no_grad():
            parameters[f"w{last}"].zero_()
            parameters[f"b{last}"].fill_(math.log(math.expm1(self.start)))
        return parameters

    def fractions(
        self, parameters: Mapping[str, Tensor], simulator: Simulator, populations: Tensor, t: int
    ) -> Tensor:
        """Return the parts that are taken, shape (N, B, A), from populations (N, B, S) in period t."""
        seen = SCALE * (populations - 0.5)
        if self.clock:
            clock = seen.new_full((*seen.shape[:-1], 1), 2.0 * t / simulator.T - 1.0)
            seen = torch.cat([seen, clock], dim=-1)
        level = torch.nn.functional.softplus(mlp(parameters, seen, torch.tanh))
        N = populations[..., : simulator.A].clamp_min(1e-6)
        return torch.relu(1.0 - level / N)
