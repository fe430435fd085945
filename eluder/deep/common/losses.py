"""Losses as pure functions. The last axis is the batch; the axes before it are seeds, or seeds and members.

A loss is the mean over the batch, summed over the axes before it: seeds and members do not meet, so the
gradient of each is that of its own loss.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eluder.deep.common import cpu_losses, devices

__all__ = [
    "huber",
    "least_gradient",
    "quantile_huber_loss",
    "soft_policy_loss",
    "soft_target",
    "squared_gradient",
    "squared_loss",
    "td_target",
    "temperature_gradient",
    "temperature_loss",
]


def td_target(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """Return ``reward + discount next_value``.

    Parameters
    ----------
    reward : Tensor, shape (..., B)
        Rewards.
    discount : Tensor, shape (..., B)
        ``gamma (1 - terminated)``: a truncated episode goes on in the value.
    next_value : Tensor, shape (..., B)
        Value of the next observation.

    Returns
    -------
    Tensor, shape (..., B)
        The target.

    Examples
    --------
    >>> td_target(torch.ones(1), torch.tensor([0.9]), torch.tensor([10.0]))
    tensor([10.])
    """
    return torch.addcmul(reward, discount, next_value)


def soft_target(
    reward: Tensor, discount: Tensor, next_q: Tensor, alpha: Tensor, next_log_prob: Tensor
) -> Tensor:
    """Return ``reward + discount (next_q - alpha next_log_prob)``.

    Parameters
    ----------
    reward, discount, next_q : Tensor, shape (N, B)
        Of the transitions; `next_q` at an action drawn by the present policy.
    alpha : Tensor, shape (N, 1)
        Temperature.
    next_log_prob : Tensor, shape (N, B)
        Log-density of that action.

    Returns
    -------
    Tensor, shape (N, B)
        The target.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> soft_target(one, 0.5 * one, 4 * one, 2 * one, -one)
    tensor([[4.]])
    """
    return td_target(reward, discount, torch.addcmul(next_q, alpha, next_log_prob, value=-1.0))


def squared_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return ``1/2 mean (q - target)^2``, summed over seeds and members.

    Parameters
    ----------
    q : Tensor, shape (..., B)
        Estimates.
    target : Tensor, shape (..., B)
        What they should be; nothing flows back into it.

    Returns
    -------
    Tensor, scalar
        The loss.

    Examples
    --------
    >>> squared_loss(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
    tensor(2.5000)
    """
    return F.mse_loss(q, target.detach().expand_as(q), reduction="sum") * (0.5 / q.shape[-1])


def squared_gradient(q: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of `squared_loss` for the members of ensembles, and what one wants to know of them.

    Parameters
    ----------
    q : Tensor, shape (N, M, B)
        Estimates of M members.
    target : Tensor, shape (N, B)
        What they should be.

    Returns
    -------
    Tensor, shape (N, M, B)
        ``(q - target) / B``.
    Tensor, shape (N,)
        Mean of q over members and batch.
    Tensor, shape (N,)
        Mean of ``(q - target)^2``.

    Examples
    --------
    >>> squared_gradient(torch.tensor([[[1.0, 3.0]]]), torch.zeros(1, 2))
    (tensor([[[0.5000, 1.5000]]]), tensor([2.]), tensor([5.]))
    """
    if devices.has_kernels(q.device) and q.dtype == target.dtype == torch.float32:
        d_q, mean, error = (np.empty(shape, np.float32) for shape in (q.shape, len(q), len(q)))
        cpu_losses.descend_squared(q.numpy(), target.numpy(), d_q, mean, error)
        return torch.from_numpy(d_q), torch.from_numpy(mean), torch.from_numpy(error)
    d = q - target[:, None]
    return d / q.shape[-1], q.mean(dim=(1, 2)), d.square().mean(dim=(1, 2))


def least_gradient(q: Tensor) -> Tensor:
    """Return the gradient of ``-mean min_i q_i`` in the outputs of members, whose first one is the value q_i.

    Parameters
    ----------
    q : Tensor, shape (N, M, B, outputs)
        Outputs of M members.

    Returns
    -------
    Tensor, shape (N, M, B, outputs)
        ``-1 / B`` at one least value of each transition, 0 elsewhere.

    Examples
    --------
    >>> least_gradient(torch.tensor([[3.0, 1.0], [2.0, 5.0]]).view(1, 2, 2, 1)).flatten()
    tensor([ 0.0000, -0.5000, -0.5000,  0.0000])
    """
    if devices.has_kernels(q.device) and q.dtype == torch.float32:
        d_q = np.empty(q.shape, np.float32)
        cpu_losses.descend_least(q.numpy(), d_q)
        return torch.from_numpy(d_q)
    least = q[..., :1].argmin(dim=1, keepdim=True)
    d = torch.zeros_like(q)
    d[..., :1].scatter_(1, least, -1.0 / q.shape[2])
    return d


def soft_policy_loss(alpha: Tensor, log_prob: Tensor, q: Tensor) -> Tensor:
    """Return ``mean (alpha log_prob - q)``, summed over seeds.

    Parameters
    ----------
    alpha : Tensor, shape (N, 1)
        Temperature; nothing flows back into it.
    log_prob, q : Tensor, shape (N, B)
        Log-density and value of actions drawn by the policy, differentiable in its parameters.

    Returns
    -------
    Tensor, scalar
        The loss.

    Examples
    --------
    >>> soft_policy_loss(torch.tensor([[0.5]]), torch.tensor([[2.0, 4.0]]), torch.ones(1, 2))
    tensor(0.5000)
    """
    return (alpha.detach() * log_prob - q).sum() / q.shape[-1]


def temperature_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return ``-log_alpha mean (log_prob + target_entropy)``, summed over seeds.

    The temperature falls where the entropy ``-log_prob`` is above its target.

    Parameters
    ----------
    log_alpha : Tensor, shape (N, 1)
        Logarithm of the temperature.
    log_prob : Tensor, shape (N, B)
        Log-densities of actions; nothing flows back into them.
    target_entropy : float
        The entropy wanted, in nats.

    Returns
    -------
    Tensor, scalar
        The loss.

    Examples
    --------
    >>> temperature_loss(torch.tensor([[2.0]]), torch.tensor([[1.0, 3.0]]), -1.0)
    tensor(-2.)
    """
    return -(log_alpha * (log_prob.detach().mean(dim=-1, keepdim=True) + target_entropy)).sum()


def temperature_gradient(log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return the gradient of `temperature_loss` in the logarithm of the temperature.

    Parameters
    ----------
    log_prob : Tensor, shape (N, B)
        Log-densities of actions.
    target_entropy : float
        The entropy wanted, in nats.

    Returns
    -------
    Tensor, shape (N,)
        ``-mean (log_prob + target_entropy)``.

    Examples
    --------
    >>> temperature_gradient(torch.tensor([[1.0, 3.0]]), -1.0)
    tensor([-1.])
    """
    return log_prob.mean(dim=-1).add_(target_entropy).neg_()


def huber(x: Tensor, kappa: float = 1.0) -> Tensor:
    """Return ``x^2 / 2`` up to kappa and ``kappa (|x| - kappa / 2)`` beyond, element by element.

    Parameters
    ----------
    x : Tensor
        Errors.
    kappa : float, default=1.0
        Where it becomes linear, > 0.

    Returns
    -------
    Tensor
        Of the same shape.

    Examples
    --------
    >>> huber(torch.tensor([-2.0, 0.5]))
    tensor([1.5000, 0.1250])
    """
    size = x.abs()
    inner = size.clamp_max(kappa)
    return inner * (size - 0.5 * inner)


def quantile_huber_loss(quantiles: Tensor, target: Tensor, kappa: float = 1.0) -> Tensor:
    """Return the quantile Huber loss of Dabney et al. (AAAI 2018), equation 10.

    ``sum_i mean_j |tau_i - 1{u_ij < 0}| huber(u_ij) / kappa`` with ``u_ij = target_j - quantiles_i`` and
    ``tau_i = (i + 1/2) / Z``, averaged over the batch and summed over seeds.

    Parameters
    ----------
    quantiles : Tensor, shape (..., B, Z)
        Estimates of the quantiles tau_0, ..., tau_{Z-1} of the return.
    target : Tensor, shape (..., B, Z')
        Samples of the target distribution, equally likely; nothing flows back into them.
    kappa : float, default=1.0
        Where the loss becomes linear.

    Returns
    -------
    Tensor, scalar
        The loss.

    Examples
    --------
    >>> quantile_huber_loss(torch.zeros(1, 1), torch.tensor([[-3.0, 3.0]]))
    tensor(1.2500)
    """
    Z = quantiles.shape[-1]
    tau = (torch.arange(Z, device=quantiles.device, dtype=quantiles.dtype) + 0.5) / Z
    u = target.detach()[..., None, :] - quantiles[..., :, None]
    weight = (tau[:, None] - (u < 0).to(u.dtype)).abs()
    return (weight * huber(u, kappa) / kappa).mean(dim=-1).sum(dim=-1).mean(dim=-1).sum()
