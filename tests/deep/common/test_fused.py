"""Backward passes by hand against autograd."""

import pytest
import torch

from eluder.deep.common import fused
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


def by_layers(p, x, g, activation, N, members):
    """Outputs, gradients of the parameters and of the inputs, with factors rounded as they are declared."""
    act = ACTIVATIONS[activation].forward
    low = lambda a, b: (a.bfloat16() @ b.bfloat16()).float()  # noqa: E731
    square = [min(p[f"w{i}"].shape[-2:]) >= 64 for i in range(4)]
    h, z = [x.expand(N, *members, *x.shape[-2:])], []
    for i in range(4):
        product = low if square[i] else torch.matmul
        z.append((product(h[-1], p[f"w{i}"].detach()) + p[f"b{i}"].detach()).requires_grad_())
        h.append(act(z[-1]) if i < 3 else z[-1])
    grads, dh = {}, g
    for i in range(3, -1, -1):
        product = low if square[i] else torch.matmul
        (dz,) = torch.autograd.grad(h[i + 1], z[i], dh) if i < 3 else (dh,)
        grads[f"w{i}"] = product(h[i].detach().transpose(-1, -2), dz)
        grads[f"b{i}"] = dz.sum(dim=-2, keepdim=True)
        dh = product(dz, p[f"w{i}"].detach().transpose(-1, -2))
    return z[-1].detach(), torch.cat([grads[name].flatten() for name in p.tensors]), dh


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("sizes", [(8, 64, 70, 64, 1), (70, 64, 12, 64, 66)])
def test_bfloat16_rounds_the_factors_and_nothing_else(activation, sizes):
    """To a tenth of what the roundings change, or, for GELU's derivative, which is rounded too, to all of it;
    layers of both types meet in all orders, ends included."""
    p = parameters(2, (3,), sizes)
    x, g = torch.randn(2, 3, 48, sizes[0]), torch.randn(2, 3, 48, sizes[-1])
    exact = gradients(p, lambda x: mlp(p, x, ACTIVATIONS[activation].forward), x, g)
    wanted = by_layers(p, x, g, activation, 2, (3,))
    ours = gradients(p, network(p, activation, dtype="bfloat16"), x, g)
    for a, b, c in zip(ours, wanted, exact):
        assert (a - b).norm() < (0.1 if activation != "gelu" else 2.0) * (b - c).norm()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_gradients_replace_what_was_there_if_they_are_not_added(activation, dtype):
    p = parameters(2, (3,), (5, 64, 64, 2))
    net, x, g = network(p, activation, dtype=dtype), torch.randn(2, 3, 40, 5), torch.randn(2, 3, 40, 2)
    p.zero_grad()
    net.run(x)
    net.pull(g)
    once = p.grad.clone()
    net.run(x)
    net.pull(g)
    torch.testing.assert_close(p.grad, 2 * once, rtol=1e-5, atol=1e-5)
    net.run(x)
    net.pull(g, add=False)
    torch.testing.assert_close(p.grad, once, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_call_without_gradients_gives_the_outputs_and_leaves_the_way_back(activation, dtype):
    p = parameters(2, (3,), (5, 64, 64, 64, 2))
    net, x, g = network(p, activation, dtype=dtype), torch.randn(2, 3, 40, 5), torch.randn(2, 3, 40, 2)
    y = net.run(x).clone()
    net.pull(g, add=False)
    wanted = p.grad.clone()
    net.run(x)
    with torch.no_grad():
        assert torch.equal(net(x), y)
        net(x + 1)
    net.pull(g, add=False)
    assert torch.equal(p.grad, wanted)


@pytest.mark.parametrize("B", [7, 40])
@pytest.mark.parametrize("sizes", [(5, 2), (5, 16, 2)])
def test_outside_autograd_after_a_call_inside(sizes, B):
    """What autograd holds of the first is no longer the buffers of the second."""
    p = parameters(1, (), sizes)
    net, x = network(p, "relu"), torch.randn(1, B, 5)
    y = net(x)
    assert y.requires_grad
    z = net.run(x)
    assert not z.requires_grad
    assert torch.equal(z, y)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_seeds_side_by_side_give_what_each_gives_alone(activation, dtype, threads):
    p = parameters(3, (2,), (5, 64, 64, 2))
    x, g = torch.randn(3, 2, 40, 5), torch.randn(3, 2, 40, 2)
    y, _, dx = gradients(p, network(p, activation, dtype=dtype), x, g)
    for n in range(3):
        alone = parameters(1, (2,), (5, 64, 64, 2))
        alone.load({name: leaf[n : n + 1] for name, leaf in p.state().items()})
        y_n, grad, dx_n = gradients(
            alone, network(alone, activation, dtype=dtype), x[n : n + 1], g[n : n + 1]
        )
        together = torch.cat([leaf.grad[n].flatten() for leaf in p.tensors.values()])
        for a, b in ((y[n], y_n[0]), (dx[n], dx_n[0]), (together, grad)):
            if torch.get_num_threads() == 1:
                assert torch.equal(a, b)
            else:  # batched products may round otherwise
                assert (a - b).norm() < (1e-2 if dtype == "bfloat16" else 1e-5) * b.norm()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_rounded_weights_are_those_of_the_moment(dtype):
    p = parameters(1, (), (64, 64, 64, 1))
    net, x = network(p, "relu", dtype=dtype), torch.randn(1, 40, 64)
    net.run(x)
    with torch.no_grad():
        p.flat.mul_(-2.0)
    assert torch.equal(net.run(x), network(p, "relu", dtype=dtype).run(x))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_loops_on_tensors_of_float32_as_on_a_gpu(activation, dtype, monkeypatch):
    act, calls = ACTIVATIONS[activation], []

    def forward(z, b, h):
        act.apply(z.add_(b), h)

    def backward(dh, x, dz, db, rows):
        calls.append(dh.dtype)
        act.backward(dh, x, x)
        if db.shape[-1]:
            db += dh.sum(dim=1, keepdim=True)

    p = parameters(2, (3,), (70, 64, 64, 2))
    x, g = torch.randn(2, 3, 40, 70), torch.randn(2, 3, 40, 2)
    wanted = gradients(p, network(p, activation, dtype=dtype), x, g)
    monkeypatch.setattr(fused, "_loops", lambda *_: fused._Loops(forward, backward, False))
    ours = gradients(p, network(p, activation, dtype=dtype), x, g)
    for a, b in zip(ours, wanted):
        assert (a - b).norm() < (1e-5 if dtype == "float32" else 1e-2) * b.norm()
    assert set(calls) == {torch.float32}


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("sizes", [(5, 16, 12, 2), (5, 16, 1), (5, 2)])
def test_rows_without_a_derivative_pass_none_on(activation, sizes):
    """Some rows of each member, all of one and none of another, in turn; from a first input on."""
    p = parameters(2, (3,), sizes)
    net, x = network(p, activation, learn=False), torch.randn(2, 3, 40, 5)
    reference = network(p, activation, learn=False, fused=False)
    for seed in range(3):
        g = torch.randn(2, 3, 40, sizes[-1], generator=torch.Generator().manual_seed(seed))
        g[torch.rand(2, 3, 40, generator=torch.Generator().manual_seed(seed)) < 0.5] = 0.0
        g[0, 0], g[1, 2] = 0.0, 1.0
        wanted = gradients(p, reference, x, g)[2]
        torch.testing.assert_close(gradients(p, net, x, g)[2], wanted, rtol=1e-5, atol=1e-6)
        net.run(x)
        torch.testing.assert_close(net.pull(g, True, first=2), wanted[..., 2:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_from_a_first_input_on_beside_the_gradient_of_the_parameters(dtype):
    p = parameters(2, (3,), (70, 64, 64, 2))
    net, x, g = network(p, "relu", dtype=dtype), torch.randn(2, 3, 40, 70), torch.randn(2, 3, 40, 2)
    p.zero_grad()
    net.run(x)
    whole, grad = net.pull(g, True, add=False).clone(), p.grad.clone()
    part = net.pull(g, True, add=False, first=66)
    torch.testing.assert_close(part, whole[..., 66:], rtol=1e-5, atol=1e-6)
    assert torch.equal(p.grad, grad)


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
