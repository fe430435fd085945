"""Losses: golden values in two precisions, and gradients."""

import math

import pytest
import torch

from eluder.deep.common.losses import (
    huber,
    quantile_huber_loss,
    soft_policy_loss,
    soft_target,
    squared_loss,
    td_target,
    temperature_gradient,
    temperature_loss,
)

TYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", TYPES)
def test_golden(dtype):
    def t(*x):
        return torch.tensor(x, dtype=dtype)

    def close(x, value):
        assert x.dtype == dtype
        torch.testing.assert_close(x, torch.as_tensor(value, dtype=dtype))

    close(td_target(t(1.0, 2.0), t(0.9, 0.0), t(10.0, 7.0)), [10.0, 2.0])
    close(soft_target(t(1.0), t(0.5), t(4.0), t(0.2), t(-3.0)), [1 + 0.5 * (4 + 0.6)])
    # 1/2 mean over the batch (1 + 9) / 2, (4 + 0) / 2; summed over two seeds
    close(squared_loss(t([1.0, 3.0], [2.0, 0.0]), t([0.0, 0.0], [0.0, 0.0])), 2.5 + 1.0)
    close(soft_policy_loss(t([0.5], [2.0]), t([2.0, 4.0], [1.0, 1.0]), t([1.0, 0.0], [0.0, 3.0])), 1.0 + 0.5)
    close(temperature_loss(t([2.0], [-1.0]), t([1.0, 3.0], [0.0, 0.0]), -1.0), -(2 * 1.0) - (-1 * -1.0))
    close(huber(t(-3.0, 0.5, 2.0), 2.0), [2 * (3 - 1), 0.125, 2.0])


@pytest.mark.parametrize("dtype", TYPES)
def test_quantile_huber_by_hand(dtype):
    quantiles = torch.tensor([[0.0, 1.0]], dtype=dtype)  # tau = 1/4, 3/4
    target = torch.tensor([[0.5, 3.0]], dtype=dtype)
    by_hand = (0.25 * 0.125 + 0.25 * 2.5) / 2 + (0.25 * 0.125 + 0.75 * 1.5) / 2
    torch.testing.assert_close(quantile_huber_loss(quantiles, target), torch.tensor(by_hand, dtype=dtype))


def test_quantile_loss_is_least_at_the_quantiles():
    """With a small kappa it is the pinball loss, whose minimum is the quantile."""
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(4001, generator=generator, dtype=torch.float64)
    q = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([q], 0.05)
    for i in range(600):
        optimizer.param_groups[0]["lr"] = 0.05 * 0.99**i
        optimizer.zero_grad()
        quantile_huber_loss(q, sample[None], kappa=1e-3).backward()
        optimizer.step()
    wanted = torch.quantile(sample, (torch.arange(4, dtype=torch.float64) + 0.5) / 4)
    assert (q.detach()[0] - wanted).abs().max() < 0.02


def test_nothing_flows_into_targets():
    x = torch.ones(1, 3, requires_grad=True)
    y = torch.zeros(1, 3, requires_grad=True)
    squared_loss(x, y).backward()
    assert y.grad is None
    alpha = torch.ones(1, 1, requires_grad=True)
    soft_policy_loss(alpha, x, x).backward()
    assert alpha.grad is None
    temperature_loss(alpha, y, 1.0).backward()
    assert y.grad is None
    assert alpha.grad.item() == -1.0


def test_the_temperature_rises_where_the_entropy_is_too_low():
    log_alpha = torch.zeros(1, 1, requires_grad=True)
    temperature_loss(log_alpha, torch.full((1, 5), math.log(10.0)), -1.0).backward()  # entropy -2.3 < -1
    assert log_alpha.grad.item() < 0


def test_gradient_of_the_temperature_is_that_of_its_loss():
    log_alpha = torch.tensor([[0.3], [-2.0]], requires_grad=True)
    log_prob = torch.randn(2, 7)
    temperature_loss(log_alpha, log_prob, -1.5).backward()
    assert torch.equal(temperature_gradient(log_prob, -1.5), log_alpha.grad[:, 0])
