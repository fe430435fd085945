"""Demand as a function of (key, counter): the laws of `eluder.envs.inventory` on any device.

Laws on the integers are drawn by inverting their distribution function, the normal ones by Box and Muller;
nothing is drawn on the host, and a graph can be captured.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from eluder.deep.common.random import integers, normal, uniform
from eluder.envs.inventory import Demand, IntegerDemand, MultivariateNormal, Normal, Trace

__all__ = ["drawer"]

Draw = Callable[[Tensor, Tensor | int, int, tuple[int, int]], Tensor]


def drawer(law: Demand, n: int, device: str | torch.device = "cpu") -> Draw:
    """Return ``draw(keys, counter, stream, (B, T))``, the demand of N seeds, shape (N, T, B, n).

    Parameters
    ----------
    law : Demand
        Poisson, Geometric, ... (each store alone), Normal, MultivariateNormal (all stores together) or Trace.
    n : int
        Stores.
    device : str or torch.device, default="cpu"
        Where the numbers are drawn.

    Returns
    -------
    callable
        The same key, counter and stream give the same demand.

    Raises
    ------
    ValueError
        If the law has no method here, or not `n` stores.

    Examples
    --------
    >>> from eluder.deep.common.random import seed_keys
    >>> from eluder.envs.inventory import Poisson
    >>> draw = drawer(Poisson(5.0), 2)
    >>> draw(seed_keys([0]), 0, 0, (1000, 3)).mean().round(decimals=0).item()
    5.0
    """
    if isinstance(law, Normal):
        return _normals(torch.tensor(law.mean), torch.tensor(law.sd), 0.0, law.clipped, n, device)
    if isinstance(law, MultivariateNormal):
        if len(law.mean) != n:
            raise ValueError(f"demand has {len(law.mean)} stores, the network {n}")
        mean, sd = (torch.as_tensor(x, dtype=torch.float32) for x in (law.mean, law.sd))
        return _normals(mean, sd, law.correlation, law.clipped, n, device)
    if isinstance(law, Trace):
        return _windows(law, n, device)
    if isinstance(law, IntegerDemand):
        return _inverse(law, n, device)
    raise ValueError(f"demand must be a law of eluder.envs.inventory, got {law!r}")


def _inverse(law: IntegerDemand, n: int, device: str | torch.device) -> Draw:
    """Invert the distribution function."""
    cdf = np.cumsum(law.pmf())
    edges = torch.as_tensor(cdf[:-1] / cdf[-1], dtype=torch.float32, device=device)

    def draw(keys: Tensor, counter: Tensor | int, stream: int, shape: tuple[int, int]) -> Tensor:
        B, T = shape
        u = uniform(keys, counter, stream, (T, B, n))
        return torch.searchsorted(edges, u, right=True).to(torch.float32)

    return draw


def _normals(
    mean: Tensor, sd: Tensor, correlation: float, clipped: bool, n: int, device: str | torch.device
) -> Draw:
    """Draw by the symmetric square root of ``(1 - rho) I + rho 1 1'``."""
    mean, sd = mean.float().to(device), sd.float().to(device)
    rest = (1.0 - correlation) ** 0.5
    along = max(1.0 + (n - 1) * correlation, 0.0) ** 0.5 - rest

    def draw(keys: Tensor, counter: Tensor | int, stream: int, shape: tuple[int, int]) -> Tensor:
        B, T = shape
        z = normal(keys, counter, stream, (T, B, n))
        if correlation != 0.0:
            z = rest * z + along * z.mean(dim=-1, keepdim=True)
        x = mean + sd * z
        return x.clamp_min(0.0) if clipped else x

    return draw


def _windows(law: Trace, n: int, device: str | torch.device) -> Draw:
    """Draw windows of a record."""
    values = torch.as_tensor(law.values, dtype=torch.float32, device=device)
    if values.shape[1] != n:
        raise ValueError(f"demand has {values.shape[1]} stores, the network {n}")

    def draw(keys: Tensor, counter: Tensor | int, stream: int, shape: tuple[int, int]) -> Tensor:
        B, T = shape
        if len(values) < T:
            raise ValueError(f"windows of {T} periods do not fit a trace of {len(values)}")
        start = integers(keys, counter, stream, (B,), len(values) - T + 1)
        rows = start[:, None, :] + torch.arange(T, device=values.device)[:, None]
        return values[rows]

    return draw
