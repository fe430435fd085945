"""Steps that each seed takes for itself: its gradient's norm, and an Adam that counts its steps alone."""

from collections.abc import Mapping

import torch
from torch import Tensor

from eluder.core import checks
from eluder.deep.common.checkpoint import fill
from eluder.deep.common.networks import Parameters

__all__ = ["SeedAdam", "clip_by_norm"]

BETA1, BETA2 = 0.9, 0.999


def clip_by_norm(parameters: Parameters, max_norm: float) -> Tensor:
    """Scale the gradient of each seed down to a norm, in place.

    Parameters
    ----------
    parameters : Parameters
        Their gradients are changed.
    max_norm : float
        Largest norm of one seed's gradient, all tensors taken together.

    Returns
    -------
    Tensor, shape (N,)
        The norms before.

    Examples
    --------
    >>> p = Parameters({"x": (2,)}, N=2)
    >>> _ = p.grad.copy_(torch.tensor([3.0, 4.0, 0.1, 0.0]))
    >>> clip_by_norm(p, 1.0), p["x"].grad.norm(dim=1)
    (tensor([5.0000, 0.1000]), tensor([1.0000, 0.1000]))
    """
    grads = [leaf.grad for leaf in parameters.tensors.values() if leaf.grad is not None]
    squares = torch.stack([g.flatten(1).square().sum(dim=1) for g in grads]).sum(dim=0)
    norm = squares.sqrt()
    scale = (max_norm / (norm + 1e-6)).clamp_max(1.0)
    for g in grads:
        g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))
    return norm


class SeedAdam:
    """Adam with a number of steps for each seed, so that one may stand still while others go on.

    Parameters
    ----------
    parameters : Parameters
        What is optimised.
    eps : float, default=1e-8
        Added to the root of the second moment.

    Raises
    ------
    ValueError
        If `eps` is negative.

    Examples
    --------
    >>> p = Parameters({"x": (1,)}, N=2)
    >>> adam = SeedAdam(p)
    >>> _ = p.grad.fill_(3.0)
    >>> adam.step(0.1, torch.tensor([True, False]))
    >>> p.flat, adam.count
    (tensor([-0.1000,  0.0000]), tensor([1., 0.], dtype=torch.float64))
    """

    def __init__(self, parameters: Parameters, eps: float = 1e-8) -> None:
        self.flat, self.grad = parameters.flat, parameters.grad
        self.eps = checks.number("eps", eps, 0.0)
        seeds = torch.arange(parameters.N, device=self.flat.device)
        leaves = parameters.tensors.values()
        self.owner = torch.cat([seeds.repeat_interleave(x[0].numel()) for x in leaves])
        self.count = torch.zeros(parameters.N, dtype=torch.float64, device=self.flat.device)
        self.exp_avg, self.exp_avg_sq = torch.zeros_like(self.flat), torch.zeros_like(self.flat)

    def step(self, lr: float, active: Tensor) -> None:
        """Take one step of size `lr` along the gradient for the active seeds, shape (N,), in place."""
        self.count += active
        steps = self.count.clamp_min(1.0)
        rate = (active * lr / (1.0 - BETA1**steps)).to(self.flat.dtype)[self.owner]
        root = (1.0 - BETA2**steps).sqrt().to(self.flat.dtype)[self.owner]
        goes = active.to(self.flat.dtype)[self.owner]
        self.exp_avg += goes * (1.0 - BETA1) * (self.grad - self.exp_avg)
        self.exp_avg_sq += goes * (1.0 - BETA2) * (self.grad.square() - self.exp_avg_sq)
        self.flat -= rate * self.exp_avg / (self.exp_avg_sq.sqrt() / root + self.eps)

    def state(self) -> dict[str, Tensor]:
        """Return the moments and the numbers of steps."""
        return {"count": self.count, "exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, in place."""
        fill(self.state(), state)
