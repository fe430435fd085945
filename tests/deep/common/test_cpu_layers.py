"""The compiled layers of the CPU against PyTorch and plain NumPy, in all types of their arrays."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from eluder.deep.common import cpu_layers, gpu_kernels
from eluder.deep.common.cpu_layers import array
from eluder.deep.common.fused import ACTIVATIONS

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
kinds = pytest.mark.parametrize(("before", "behind"), [(a, b) for a in TYPES for b in TYPES])
NONE = np.zeros((1, 1, 0), np.float32)


def gelu(x):
    """GELU and its derivative, by one call of the loop without a bias."""
    z, h = np.array(x, np.float32).reshape(1, 1, -1), np.empty((1, 1, np.size(x)), np.float32)
    cpu_layers.bias_gelu(z, np.full_like(z, -0.0), h)
    return h.ravel(), z.ravel()


def test_gelu_is_exact_within_the_rounding_of_float32():
    x = np.concatenate([np.linspace(-14, 14, 400_001), np.geomspace(1e-38, 1e-2, 1000)]).astype(np.float32)
    h, d = gelu(x)
    wide = x.astype(float)
    phi = np.exp(-0.5 * wide**2) / np.sqrt(2 * np.pi)
    assert (np.abs(h - wide * ndtr(wide)) <= 1.6e-7 * np.maximum(np.abs(wide), 0.5)).all()
    assert np.abs(d - (ndtr(wide) + wide * phi)).max() < 3e-7
    t = torch.from_numpy(x).requires_grad_()
    y = torch.nn.functional.gelu(t)
    y.sum().backward()
    assert (np.abs(h - y.detach().numpy()) <= 4e-7 * np.maximum(np.abs(wide), 0.5)).all()
    assert np.abs(d - t.grad.numpy()).max() < 4e-7
    small = (wide < -1) & (wide > -12)  # where PyTorch's has lost its digits, ours has them
    assert np.abs(h / (wide * ndtr(wide)) - 1)[small].max() < 2e-5


def test_gelu_of_special_numbers():
    x = np.array([0.0, -0.0, 1e-45, -1e-45, 20.0, -20.0, 1e20, -1e20, -3e38], np.float32)
    h, d = gelu(x)
    t = torch.from_numpy(x).requires_grad_()
    y = torch.nn.functional.gelu(t)
    y.sum().backward()
    np.testing.assert_allclose(h, y.detach().numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(d, t.grad.numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(np.signbit(h), np.signbit(x))
    h, d = gelu(np.array([np.inf, -np.inf, np.nan], np.float32))  # PyTorch: three times not a number
    assert np.isposinf(h[0])
    assert np.isnan([*h[1:], *d]).all()


def test_gelu_of_python_is_the_compiled_one():
    x = np.linspace(-6, 6, 200, dtype=np.float32).reshape(1, 4, 50)
    z, h, b = x.copy(), np.empty_like(x), np.full((1, 1, 50), 0.25, np.float32)
    plain, out = x.copy(), np.empty_like(x)
    cpu_layers.bias_gelu(z, b, h)
    getattr(cpu_layers.bias_gelu, "py_func", cpu_layers.bias_gelu)(plain, b, out)
    np.testing.assert_allclose(h, out, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(z, plain, rtol=1e-6, atol=1e-7)


def test_every_number_of_bfloat16_is_read():
    bits = np.arange(2**16, dtype=np.uint16).reshape(1, 256, 256)
    x = np.zeros(bits.shape, np.float32)
    cpu_layers.accumulate(x, bits)
    wanted = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(x, wanted)


def test_rounding_to_bfloat16_is_that_of_pytorch():
    """Ties, subnormals, what rounds to infinity, infinities and not-a-numbers among random bits."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, (1, 64, 1024), dtype=np.uint32)
    bits[0, 0, :] = (bits[0, 0, :] & 0xFFFF0000) | 0x8000
    bits[0, 1, :6] = 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800001
    x = bits.view(np.float32)
    low = np.empty(x.shape, np.uint16)
    cpu_layers.relu_backward(x, np.ones_like(x), low, NONE, np.arange(64))
    wanted = torch.from_numpy(x).bfloat16()
    ours = torch.from_numpy(low.view(np.int16)).view(torch.bfloat16)
    assert torch.equal(ours.isnan(), wanted.isnan())
    known = ~wanted.isnan().numpy()
    np.testing.assert_array_equal(low[known], array(wanted)[known])


def tensors(before, behind, seed=0, shape=(2, 9, 37)):
    """z and dh of two types, the bias and its gradient."""
    g = torch.Generator().manual_seed(seed)
    z = (2 * torch.randn(shape, generator=g)).to(TYPES[before])
    dh = torch.randn(shape, generator=g).to(TYPES[behind])
    b, db = torch.randn(2, shape[0], 1, shape[2], generator=g)
    return z, dh, b, db


def rounded(x, kind):
    return x.to(TYPES[kind]).float()


@kinds
@pytest.mark.parametrize("learn", [True, False])
def test_rectifier_in_all_types(before, behind, learn):
    z, dh, b, db = tensors(before, behind)
    h_wanted = rounded(torch.relu(z.float() + b), behind)
    exact = dh.float() * (h_wanted > 0)
    sums = db + exact.sum(dim=1, keepdim=True)
    same, start = before == behind, db.clone()
    h = z if same else torch.empty_like(z, dtype=TYPES[behind])
    dz = dh if same else torch.empty_like(dh, dtype=TYPES[before])
    cpu_layers.bias_relu(array(z), b.numpy(), array(h))
    assert torch.equal(h.float(), h_wanted)
    cpu_layers.relu_backward(
        array(dh), array(h), array(dz), array(db if learn else db[..., :0]), np.arange(9)
    )
    assert torch.equal(dz.float(), rounded(exact, before))
    torch.testing.assert_close(db, sums if learn else start, rtol=1e-5, atol=1e-5)


@kinds
@pytest.mark.parametrize("learn", [True, False])
def test_gelu_in_all_types(before, behind, learn):
    z, dh, b, db = tensors(before, behind, seed=1)
    x = (z.float() + b).requires_grad_()
    wanted = torch.nn.functional.gelu(x)
    wanted.sum().backward()
    step = {"float32": 1e-6, "bfloat16": 2.0**-8}
    same, start = before == behind, db.clone()
    h = torch.empty_like(z, dtype=TYPES[behind])
    dz = dh if same else torch.empty_like(dh, dtype=TYPES[before])
    cpu_layers.bias_gelu(array(z), b.numpy(), array(h))
    torch.testing.assert_close(h.float(), wanted.detach(), rtol=step[behind], atol=1e-6)
    torch.testing.assert_close(z.float(), x.grad, rtol=step[before], atol=1e-6)
    exact = dh.float() * z.float()  # by the derivative as it was kept
    cpu_layers.gelu_backward(
        array(dh), array(z), array(dz), array(db if learn else db[..., :0]), np.arange(9)
    )
    assert torch.equal(dz.float(), rounded(exact, before))
    sums = start + exact.sum(dim=1, keepdim=True) if learn else start
    torch.testing.assert_close(db, sums, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(cpu_layers.LAYERS))
def test_derivatives_of_some_rows(kind):
    z, dh, _, _ = tensors("float32", "float32")
    rows, (_, backward) = np.array([7, 0, 3]), cpu_layers.LAYERS[kind]
    whole, part, db = dh.numpy().copy(), dh.numpy()[:, rows].copy(), np.zeros((2, 1, 37), np.float32)
    backward(whole, z.numpy(), whole, NONE, np.arange(9))
    backward(part, z.numpy(), part, db, rows)
    np.testing.assert_array_equal(part, whole[:, rows])
    np.testing.assert_allclose(db[:, 0], part.sum(axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("units", [1, 2, 3])
def test_layers_of_few_units(units):
    rng = np.random.default_rng(units)
    x, dx = rng.normal(size=(2, 9, 37)).astype(np.float32)
    w, dw = rng.normal(size=(2, 37, units)).astype(np.float32)
    b, db = rng.normal(size=(2, 1, units)).astype(np.float32)
    y = np.empty((9, units), np.float32)
    cpu_layers.thin(x, w, b, y)
    np.testing.assert_allclose(y, x @ w + b, rtol=1e-5, atol=1e-5)
    cpu_layers.thin_back(y, w, dx)
    np.testing.assert_allclose(dx, y @ w.T, rtol=1e-5, atol=1e-5)
    wanted = dw + x.T @ y, db + y.sum(axis=0)
    cpu_layers.thin_gradient(x, y, dw, db)
    np.testing.assert_allclose(dw, wanted[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(db, wanted[1], rtol=1e-5, atol=1e-5)


def test_the_rectifier_keeps_not_a_number():
    z = np.full((1, 1, 5), np.nan, np.float32)
    low = np.zeros(z.shape, np.uint16)
    cpu_layers.bias_relu(z, np.zeros_like(z), low)
    assert (low == 0x7FC0).all()
    cpu_layers.bias_relu(z, np.zeros_like(z), z)
    assert np.isnan(z).all()


def test_the_same_activations_are_compiled_as_on_a_gpu():
    assert set(cpu_layers.LAYERS) == set(gpu_kernels.LAYERS) < set(ACTIVATIONS)
