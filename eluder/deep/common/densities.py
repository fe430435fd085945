"""Log-densities of policies: Gaussian, and Gaussian squashed by tanh, in their stable forms."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eluder.deep.common import cpu_densities, devices

__all__ = ["gaussian_log_density", "log_tanh_derivative", "tanh_gaussian", "tanh_gaussian_log_density"]


def gaussian_log_density(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the log-density of a diagonal Gaussian, summed over the last axis.

    Parameters
    ----------
    x, mean, log_std : Tensor, shape (..., A)
        Points, means and logarithms of the standard deviations.

    Returns
    -------
    Tensor, shape (...)
        ``-sum (z^2 / 2 + log_std + ln(2 pi) / 2)`` with ``z = (x - mean) / std``.

    Examples
    --------
    >>> round(gaussian_log_density(torch.zeros(1), torch.zeros(1), torch.zeros(1)).item(), 6)
    -0.918939
    """
    z = (x - mean) * torch.exp(-log_std)
    return -(0.5 * z * z + log_std + 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def log_tanh_derivative(u: Tensor) -> Tensor:
    """Return ``ln(1 - tanh(u)^2)`` without cancellation: ``2 (ln 2 - u - softplus(-2 u))``.

    Parameters
    ----------
    u : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Of the same shape; about ``-2 |u| + 2 ln 2`` where tanh rounds to an end.

    Examples
    --------
    >>> [round(x, 3) for x in log_tanh_derivative(torch.tensor([0.0, 50.0])).tolist()]
    [0.0, -98.614]
    """
    return 2.0 * (math.log(2.0) - u - F.softplus(-2.0 * u))


def tanh_gaussian_log_density(u: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the log-density of ``a = tanh(u)`` for a Gaussian u, summed over the last axis.

    Parameters
    ----------
    u, mean, log_std : Tensor, shape (..., A)
        Points before squashing, means and logarithms of the standard deviations.

    Returns
    -------
    Tensor, shape (...)
        ``ln N(u) - sum ln(1 - tanh(u)^2)``.

    Examples
    --------
    >>> zero = torch.zeros(1)
    >>> round(tanh_gaussian_log_density(zero, zero, zero).item(), 6)
    -0.918939
    """
    return gaussian_log_density(u, mean, log_std) - log_tanh_derivative(u).sum(dim=-1)


def tanh_gaussian(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return a reparametrised action of the squashed Gaussian and its log-density.

    Parameters
    ----------
    mean, log_std : Tensor, shape (..., A)
        Of the Gaussian before squashing.
    noise : Tensor, shape (..., A)
        Standard normal numbers.

    Returns
    -------
    Tensor, shape (..., A)
        ``tanh(mean + std noise)``, in [-1, 1].
    Tensor, shape (...)
        Its log-density; with u = mean + std noise, z is the noise itself.

    Examples
    --------
    >>> action, log_prob = tanh_gaussian(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2))
    >>> action.shape, log_prob.shape
    (torch.Size([3, 2]), torch.Size([3]))
    """
    if not torch.is_grad_enabled():
        return tanh_gaussian_with_spread(mean, log_std, noise)[:2]
    action, log_prob = _TanhGaussian.apply(mean, log_std, noise)
    return action, log_prob


def tanh_gaussian_with_spread(
    mean: Tensor, log_std: Tensor, noise: Tensor, log_std_range: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[Tensor, Tensor, Tensor]:
    """Return action and log-density like `tanh_gaussian`, and what its gradient by hand needs: ``std
    noise``; log_std is cut to an interval first."""
    if _in_loops(mean) and mean.shape == log_std.shape == noise.shape:
        shape, A = mean.shape, mean.shape[-1]
        action, spread = np.empty(shape, np.float32), np.empty(shape, np.float32)
        log_prob = np.empty(shape[:-1], np.float32)
        given = [x.numpy().reshape(-1, A) for x in (mean, log_std, noise)]
        into = action.reshape(-1, A), spread.reshape(-1, A), log_prob.reshape(-1)
        cpu_densities.squash(given[0], given[1], given[2], *log_std_range, *into)
        return torch.from_numpy(action), torch.from_numpy(log_prob), torch.from_numpy(spread)
    log_std = log_std.clamp(*log_std_range)
    spread = torch.exp(log_std).mul_(noise)
    u = mean + spread
    constant = 0.5 * math.log(2 * math.pi) + 2.0 * math.log(2.0)
    each = F.softplus(-2.0 * u).add_(u).mul_(2.0).sub_(log_std).addcmul_(noise, noise, value=-0.5)
    return torch.tanh(u), each.sum(dim=-1).sub_(mean.shape[-1] * constant), spread


def tanh_gaussian_gradient(
    d_action: Tensor,
    d_log_prob: Tensor,
    log_std: Tensor,
    action: Tensor,
    spread: Tensor,
    log_std_range: tuple[float, float] = (-math.inf, math.inf),
) -> Tensor:
    """Return the gradients of mean and log_std side by side, the latter 0 where it was cut: ``da/du = 1 -
    a^2``, ``d log_prob / du = 2 a``."""
    low, high = log_std_range
    if _in_loops(action) and d_action.dtype == d_log_prob.dtype == torch.float32:
        A = action.shape[-1]
        d_output = np.empty((*action.shape[:-1], 2 * A), np.float32)
        da, s, a, std_noise = (x.numpy().reshape(-1, A) for x in (d_action, log_std, action, spread))
        given = da, s, a, std_noise, d_log_prob.numpy().reshape(-1)
        cpu_densities.squash_gradient(*given, low, high, d_output.reshape(-1, 2 * A))
        return torch.from_numpy(d_output)
    du = torch.addcmul(d_action, d_action * action, action, value=-1.0)
    du = torch.addcmul(du, d_log_prob[..., None], action, value=2.0)
    d_log_std = torch.addcmul(-d_log_prob[..., None], du, spread)
    return torch.cat([du, d_log_std * ((log_std >= low) & (log_std <= high))], dim=-1)


def _in_loops(x: Tensor) -> bool:
    """Return whether our compiled loops take a tensor."""
    return devices.has_kernels(x.device) and x.dtype == torch.float32


class _TanhGaussian(torch.autograd.Function):
    """The squashed Gaussian as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        action, log_prob, spread = tanh_gaussian_with_spread(mean, log_std, noise)
        ctx.save_for_backward(log_std, action, spread)
        return action, log_prob

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return *tanh_gaussian_gradient(grad[0], grad[1], *ctx.saved_tensors).chunk(2, dim=-1), None
