"""Densities of policies against torch.distributions, quadrature, and at the ends of tanh."""

import math

import numpy as np
import pytest
import torch

from eluder.deep.common import densities
from eluder.deep.common.cpu_densities import squash, squash_gradient
from eluder.deep.common.densities import (
    gaussian_log_density,
    log_tanh_derivative,
    tanh_gaussian,
    tanh_gaussian_gradient,
    tanh_gaussian_log_density,
    tanh_gaussian_with_spread,
)


def test_gaussian_is_that_of_torch():
    g = torch.Generator().manual_seed(0)
    x, mean, log_std = torch.randn(3, 7, 4, dtype=torch.float64, generator=g)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(x).sum(-1)
    torch.testing.assert_close(gaussian_log_density(x, mean, log_std), expected)


def test_squashed_density_is_that_of_torch_where_it_can_be_computed():
    g = torch.Generator().manual_seed(1)
    u, mean, log_std = torch.randn(3, 7, 4, dtype=torch.float64, generator=g)
    law = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_std.exp()), torch.distributions.TanhTransform(cache_size=1)
    )
    expected = law.log_prob(torch.tanh(u)).sum(-1)
    torch.testing.assert_close(tanh_gaussian_log_density(u, mean, log_std), expected, rtol=1e-6, atol=1e-6)


def test_squashed_density_integrates_to_one():
    a = torch.linspace(-1, 1, 2_000_001, dtype=torch.float64)[1:-1, None]
    mean, log_std = torch.tensor([0.4], dtype=torch.float64), torch.tensor([-0.5], dtype=torch.float64)
    density = tanh_gaussian_log_density(torch.atanh(a), mean, log_std).exp()
    assert density.sum().item() * 1e-6 == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_tanh_are_finite_and_have_gradients(dtype):
    u = torch.tensor([-1e4, -40.0, -1e-8, 0.0, 3.0, 40.0, 1e4], dtype=dtype, requires_grad=True)
    y = log_tanh_derivative(u)
    assert torch.isfinite(y).all()
    y.sum().backward()
    assert torch.isfinite(u.grad).all()
    torch.testing.assert_close(y[5].item(), 2 * math.log(2) - 80, rtol=1e-6, atol=0)
    torch.testing.assert_close(y[4].item(), math.log(1 - math.tanh(3) ** 2), rtol=1e-5, atol=0)
    torch.testing.assert_close(u.grad, -2 * torch.tanh(u.detach()), rtol=1e-5, atol=1e-7)


def test_reparametrised_action_has_the_density_of_its_point():
    g = torch.Generator().manual_seed(2)
    mean, log_std, noise = torch.randn(3, 5, 3, dtype=torch.float64, generator=g)
    action, log_prob = tanh_gaussian(mean, log_std, noise)
    u = mean + log_std.exp() * noise
    torch.testing.assert_close(action, torch.tanh(u))
    torch.testing.assert_close(log_prob, tanh_gaussian_log_density(u, mean, log_std))
    assert torch.autograd.gradcheck(
        lambda m, s: tanh_gaussian(m, s, noise), (mean.requires_grad_(), log_std.requires_grad_())
    )


def test_the_squashed_gaussian_has_the_gradients_of_its_formula():
    mean = (2 * torch.randn(3, 4, dtype=torch.float64)).requires_grad_()
    log_std = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
    noise = torch.randn(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda m, s: tanh_gaussian(m, s, noise), (mean, log_std))
    action, log_prob = tanh_gaussian(mean, log_std, noise)
    u = mean + log_std.exp() * noise
    torch.testing.assert_close(log_prob, tanh_gaussian_log_density(u, mean, log_std))
    torch.testing.assert_close(action, torch.tanh(u))


@pytest.mark.parametrize("shape", [(1, 40, 6), (3, 7, 1), (2, 5, 4, 3), (1, 3)])
def test_compiled_loops_equal_the_operations_of_pytorch(shape, monkeypatch):
    """Means far out, where tanh rounds to its ends, and log_std on both sides of the interval, on parts of
    larger tensors; gradients too."""
    g, ends = torch.Generator().manual_seed(4), (-1.0, 0.5)
    mean, log_std = (3 * torch.randn(*shape[:-1], 2 * shape[-1], generator=g)).chunk(2, dim=-1)
    noise = torch.randn(2, *shape, generator=g)[1]
    d_action = torch.randn(shape, generator=g)
    one_each, alike = torch.randn(shape[:-1], generator=g), torch.randn(shape[0], generator=g)
    alike = alike.view(-1, *[1] * (len(shape) - 2))

    def both_ways():
        action, log_prob, spread = tanh_gaussian_with_spread(mean, log_std, noise, ends)
        drawn = log_std, action, spread
        back = (tanh_gaussian_gradient(d_action, d, *drawn, ends) for d in (one_each, alike))
        return action, log_prob, spread, *back

    ours = both_ways()
    monkeypatch.setattr(densities, "_in_loops", lambda x: False)
    for a, b in zip(ours, both_ways()):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=2e-6)


def test_a_number_that_is_none_comes_through_the_loops():
    none, zero = torch.full((1, 2), float("nan")), torch.zeros(1, 2)
    for mean, log_std in ((none, zero), (zero, none)):
        assert tanh_gaussian(mean, log_std, zero + 1)[1].isnan().all()


def test_python_gives_the_compiled_numbers():
    rng = np.random.default_rng(0)
    mean, log_std, noise, d_action = rng.normal(size=(4, 5, 3)).astype(np.float32)
    low, high = -0.5, 0.5
    found = []
    for kind in ("compiled", "py_func"):
        there, back = (getattr(f, kind, f) for f in (squash, squash_gradient))
        action, spread, log_prob, d_output = (
            np.empty(shape, np.float32) for shape in ((5, 3), (5, 3), 5, (5, 6))
        )
        there(mean, log_std, noise, low, high, action, spread, log_prob)
        back(d_action, log_std, action, spread, noise[:, 0], low, high, d_output)
        found.append((action, spread, log_prob, d_output))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)
