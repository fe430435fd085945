"""Critics with dropout and layer normalisation (DroQ), an option of `sac`.

Hiraoka, Imagawa, Hashimoto, Onishi & Tsuruoka, Dropout Q-functions for doubly efficient reinforcement
learning, ICLR 2022, arXiv:2110.02034. Between two layers of a critic::

    h <- act(scale * normalise(dropout(h W + b)) + shift)

Dropout is on in the targets and in the actor's critics too. With `SACConfig(dropout=0.01, num_critics=2,
num_sampled=2, utd=20, actor_every=20)` the rest is the paper's algorithm.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eluder.deep.common.networks import Parameters, init_mlp, mlp_shapes
from eluder.deep.common.random import uniform

EPSILON = 1e-5  # added to the variance, as in PyTorch


def droq_shapes(sizes: tuple[int, ...], members: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a perceptron, and of scales and shifts of its hidden layers."""
    shapes = mlp_shapes(sizes, members)
    for i, units in enumerate(sizes[1:-1]):
        shapes |= {f"scale{i}": (*members, 1, units), f"shift{i}": (*members, 1, units)}
    return shapes


def init_droq(parameters: Parameters, keys: Tensor, stream: int) -> None:
    """Draw weights and biases as `init_mlp` does; scales are 1, shifts 0."""
    init_mlp(parameters, keys, stream)
    with torch.no_grad():
        for name, leaf in parameters.tensors.items():
            if name.startswith(("scale", "shift")):
                leaf.fill_(1.0 if name.startswith("scale") else 0.0)


class DropoutCritic:
    """The critics at one place of a loss: ``critic(x)`` with the masks of update `n`, by autograd."""

    def __init__(
        self,
        parameters: Parameters,
        activation: Callable[[Tensor], Tensor],
        p: float,
        keys: Tensor,
        stream: int,
        *,
        learn: bool,
    ) -> None:
        self.tensors: dict[str, Tensor] = {
            name: leaf if learn else leaf.detach() for name, leaf in parameters.tensors.items()
        }
        self.activation, self.p, self.keys, self.stream = activation, p, keys, stream
        self.hidden = sum(1 for name in self.tensors if name.startswith("scale"))
        self.n: Any = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Map inputs (N, 1, B, in) to outputs (N, members, B, out)."""
        t = self.tensors
        for i in range(self.hidden):
            z = torch.matmul(x, t[f"w{i}"]) + t[f"b{i}"]
            u = uniform(self.keys, self.n, self.stream + i, tuple(z.shape[1:]))
            z = torch.where(u < self.p, 0.0, z / (1.0 - self.p))
            centred = z - z.mean(dim=-1, keepdim=True)
            z = centred * (centred.square().mean(dim=-1, keepdim=True) + EPSILON).rsqrt()
            x = self.activation(t[f"scale{i}"] * z + t[f"shift{i}"])
        return torch.matmul(x, t[f"w{self.hidden}"]) + t[f"b{self.hidden}"]
