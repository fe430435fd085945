"""Backward passes by hand against autograd."""

import numpy as np
import pytest
import torch

from eluder.deep.common.compiled import bias_relu, relu_backward
from eluder.deep.common.fused import ACTIVATIONS, FusedMLP, network
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.random import seed_keys


@pytest.fixture(params=[1, 2], ids=["one_thread", "two_threads"], autouse=True)
def threads(request):
    """One thread passes network after network, two go layer by layer in batched products."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def parameters(N=2, members=(3,), sizes=(5, 16, 12, 2)):
    p = Parameters(mlp_shapes(sizes, members), N)
    init_mlp(p, seed_keys(range(N)))
    return p


def gradients(p, net, x, g):
    """Outputs, gradients of the parameters and of the inputs."""
    p.zero_grad()
    x = x.clone().requires_grad_()
    y = net(x)
    (y * g).sum().backward()
    return y.detach().clone(), p.grad.clone(), x.grad.clone()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("N", "members", "B"), [(1, (), 40), (2, (3,), 7), (1, (2,), 64), (5, (1, 2), 33)])
def test_equal_to_autograd(activation, N, members, B):
    p = parameters(N, members)
    x = torch.randn(N, *[1] * len(members), B, 5)
    g = torch.randn(N, *members, B, 2)
    reference = gradients(p, lambda x: mlp(p, x, ACTIVATIONS[activation].forward), x, g)
    ours = gradients(p, FusedMLP(p, activation), x, g)
    for a, b in zip(ours, reference):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_pass_through_without_reaching_the_parameters(fused):
    p = parameters()
    x, g = torch.randn(2, 3, 40, 5), torch.randn(2, 3, 40, 2)
    all_of_it = gradients(p, network(p, "relu"), x, g)
    _, own, through = gradients(p, network(p, "relu", learn=False, fused=fused), x, g)
    assert not own.any()
    torch.testing.assert_close(through, all_of_it[2], rtol=1e-5, atol=1e-5)


def test_gradients_add_up_like_those_of_autograd():
    p = parameters()
    x, g = torch.randn(2, 3, 40, 5), torch.randn(2, 3, 40, 2)
    _, once, _ = gradients(p, network(p, "gelu"), x, g)
    first, second = network(p, "gelu"), network(p, "gelu")
    p.zero_grad()
    ((first(x) + second(x)) * g).sum().backward()
    torch.testing.assert_close(p.grad, 2 * once, rtol=1e-5, atol=1e-5)


def test_batches_of_two_sizes_in_turn():
    p = parameters(1, ())
    net = network(p, "relu")
    small, large = torch.randn(1, 3, 5), torch.randn(1, 50, 5)
    for x in (small, large, small):
        torch.testing.assert_close(net(x), mlp(p, x, torch.relu))


def test_bfloat16_is_near_and_leaves_the_parameters_in_float32():
    p = parameters(1, (2,), (8, 64, 64, 1))
    x, g = torch.randn(1, 1, 128, 8), torch.randn(1, 2, 128, 1)
    reference = gradients(p, network(p, "relu"), x, g)
    ours = gradients(p, network(p, "relu", dtype="bfloat16"), x, g)
    assert p.flat.dtype == torch.float32
    for a, b in zip(ours, reference):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.15 * b.norm()


def test_the_weights_of_the_moment_are_used():
    p = parameters(1, ())
    net, x = network(p, "relu"), torch.randn(1, 40, 5)
    net(x)
    with torch.no_grad():
        p.flat.mul_(2.0)
    torch.testing.assert_close(net(x), mlp(p, x, torch.relu))


def test_bad_input():
    p = parameters()
    with pytest.raises(ValueError, match="activation must be one of relu"):
        FusedMLP(p, "sine")
    with pytest.raises(ValueError, match="no layer other_w0, only w0"):
        FusedMLP(p, "relu", "other_")
    with pytest.raises(ValueError, match="dtype must be 'float32' or"):
        network(p, "relu", dtype="float16")
    with pytest.raises(ValueError, match="without fused"):
        network(p, "relu", fused=False, dtype="bfloat16")


def test_compiled_rectifier_is_that_of_pytorch():
    """With its bias, and with the gradient of both; where no gradient of a bias is wanted, none is added."""
    rng = np.random.default_rng(3)
    z, dh = rng.normal(size=(2, 3, 7, 5)).astype(np.float32)
    b, db = rng.normal(size=(2, 3, 1, 5)).astype(np.float32)
    zt, bt = (torch.tensor(x, requires_grad=True) for x in (z, b))
    h = torch.relu(zt + bt)
    h.backward(torch.tensor(dh))
    before = db.copy()
    bias_relu(z, b)
    np.testing.assert_array_equal(z, h.detach().numpy())
    alone = dh.copy()
    relu_backward(alone, z, db[..., :0])
    relu_backward(dh, z, db)
    np.testing.assert_array_equal(dh, zt.grad.numpy())
    np.testing.assert_array_equal(alone, dh)
    np.testing.assert_allclose(db - before, bt.grad.numpy(), atol=1e-5)
    z[0, 0, 0] = np.nan
    bias_relu(z, b)
    assert np.isnan(z[0, 0, 0]).all()
