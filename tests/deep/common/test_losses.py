"""Losses: golden values in two precisions, and gradients."""

import math

import numpy as np
import pytest
import torch

from eluder.deep.common.cpu_losses import descend_least, descend_squared
from eluder.deep.common.losses import (
    huber,
    least_gradient,
    quantile_huber_loss,
    soft_policy_loss,
    soft_target,
    squared_gradient,
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


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("M", [1, 2, 5])
def test_gradients_of_critics_are_those_of_their_losses(dtype, M):
    """Compiled in float32, by operations of PyTorch in float64."""
    g = torch.Generator().manual_seed(M)
    q = torch.randn(3, M, 8, 2, dtype=dtype, generator=g).requires_grad_()
    y = torch.randn(3, 8, dtype=dtype, generator=g)
    squared_loss(q[..., 0], y[:, None]).backward()
    d_q, mean, error = squared_gradient(q[..., 0].detach(), y)
    torch.testing.assert_close(d_q, q.grad[..., 0])
    torch.testing.assert_close(mean, q.detach()[..., 0].mean(dim=(1, 2)))
    torch.testing.assert_close(error, (q.detach()[..., 0] - y[:, None]).square().mean(dim=(1, 2)))
    q.grad = None
    (-q[..., 0].amin(dim=1).mean(dim=-1).sum()).backward()
    torch.testing.assert_close(least_gradient(q.detach()), q.grad)


def test_python_gives_the_compiled_gradients():
    rng = np.random.default_rng(0)
    q, y = rng.normal(size=(2, 3, 5)).astype(np.float32), rng.normal(size=(2, 5)).astype(np.float32)
    found = []
    for kind in ("compiled", "py_func"):
        squared, least = (getattr(f, kind, f) for f in (descend_squared, descend_least))
        out = np.empty_like(q), np.empty(2, np.float32), np.empty(2, np.float32), np.empty((2, 3, 5, 1), "f4")
        squared(q, y, *out[:3])
        least(q[..., None], out[3])
        found.append(out)
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
