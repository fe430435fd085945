"""Batched networks: against torch's own layers seed by seed, gradients in one flat tensor, targets."""

import itertools
import math

import pytest
import torch
from torch.func import functional_call

from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.random import seed_keys


def network(N=3, members=(2,), sizes=(4, 8, 8, 2), dtype=torch.float64):
    p = Parameters(mlp_shapes(sizes, members), N, dtype=dtype)
    init_mlp(p, seed_keys(range(N)))
    return p


def torch_mlp(p, n, m, x):
    """The same network of one seed and member by torch.nn."""
    sizes = [p["w0"].shape[-2], *(p[f"w{i}"].shape[-1] for i in range(3))]
    layers = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()] if i < 2 else [torch.nn.Linear(a, b)]
    net = torch.nn.Sequential(*layers)
    weights = {}
    for i in range(3):
        weights[f"{2 * i}.weight"], weights[f"{2 * i}.bias"] = p[f"w{i}"][n, m].T, p[f"b{i}"][n, m, 0]
    return functional_call(net, weights, x)


@pytest.mark.parametrize("N", [1, 3])
def test_forward_and_gradients_are_those_of_torch_seed_by_seed(N):
    p = network(N)
    x = torch.randn(N, 1, 5, 4, dtype=torch.float64)
    y = mlp(p, x, torch.relu)
    assert y.shape == (N, 2, 5, 2)
    y.pow(2).sum().backward()
    found = p.grad.clone()
    p.zero_grad()
    for n in range(N):
        for m in range(2):
            torch.testing.assert_close(y[n, m], torch_mlp(p, n, m, x[n, 0]))
            torch_mlp(p, n, m, x[n, 0]).pow(2).sum().backward()
    torch.testing.assert_close(found, p.grad)
    assert found.abs().sum() > 0


def test_a_single_network_takes_the_path_of_a_plain_product():
    p = network(1, ())
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    batched = Parameters(mlp_shapes((4, 8, 8, 2)), 2, dtype=torch.float64)
    for name, leaf in batched.tensors.items():
        leaf.data[:] = p[name].data
    torch.testing.assert_close(mlp(p, x, torch.tanh)[0], mlp(batched, x.expand(2, 5, 4), torch.tanh)[1])


def test_each_seed_is_drawn_as_alone():
    p = network(4, dtype=torch.float32)
    for n in range(4):
        alone = Parameters(mlp_shapes((4, 8, 8, 2), (2,)), 1)
        init_mlp(alone, seed_keys([n]))
        for name in p.tensors:
            assert torch.equal(p[name][n], alone[name][0])


def test_draws_follow_the_fan_in():
    p = Parameters(mlp_shapes((100, 50, 10)), 2)
    init_mlp(p, seed_keys([0, 1]), stream=7)
    for name, fan_in in (("w0", 100), ("b0", 100), ("w1", 50), ("b1", 50)):
        bound = 1 / math.sqrt(fan_in)
        assert p[name].abs().max() <= bound
        assert p[name].abs().max() > 0.8 * bound
    assert p["w0"].std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)
    other = Parameters(mlp_shapes((100, 50, 10)), 2)
    init_mlp(other, seed_keys([0, 1]), stream=8)
    assert not torch.equal(p["w0"], other["w0"])


def test_steps_on_the_flat_tensor_move_the_network_and_targets_follow():
    p = network(2)
    target = p.like()
    before = target.flat.clone()
    with torch.no_grad():
        p.flat.add_(1.0)
    assert (p["w0"] == target["w0"] + 1).all()
    target.track(p, 0.25)
    torch.testing.assert_close(target.flat, before + 0.25)
    assert not target["w0"].requires_grad
    assert not mlp(target, torch.ones(2, 1, 1, 4, dtype=torch.float64), torch.relu).requires_grad
    optimiser = torch.optim.Adam([p.flat], lr=0.1)
    p.flat.grad = p.grad
    p.grad.fill_(1.0)
    now = p["w0"].detach().clone()
    optimiser.step()
    torch.testing.assert_close(p["w0"], now - 0.1)


def test_refuses_empty_networks():
    with pytest.raises(ValueError, match="shapes must hold at least one tensor"):
        Parameters({}, 1)
    with pytest.raises(ValueError, match="N must be at least 1"):
        Parameters({"w": (1,)}, 0)
    with pytest.raises(ValueError, match="sizes must hold at least an input and an output"):
        mlp_shapes((3,))
    with pytest.raises(ValueError, match=r"sizes\[1\] must be at least 1"):
        mlp_shapes((3, 0, 1))
