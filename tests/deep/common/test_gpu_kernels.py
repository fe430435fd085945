"""The kernels for GPUs, run by Triton's interpreter on the CPU: what the loops and operations there give.

Triton comes with PyTorch's builds for GPUs; where it is not, there is nothing to run.
"""

import importlib.util
import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import torch

from eluder.deep.common import cpu_layers, devices, gpu_kernels, random
from eluder.deep.common.compiled import BETA1, BETA2, adam_in_place
from eluder.deep.common.fused import ACTIVATIONS, network
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.optim import Adam

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(
    not INTERPRETED, reason="run by the interpreter only, in a process of its own"
)


def test_there_are_kernels_on_cuda_with_triton_only(monkeypatch):
    assert not gpu_kernels.available(torch.device("cpu"))
    monkeypatch.setattr(gpu_kernels, "_triton", None)
    assert not gpu_kernels.available(torch.device("cuda"))
    monkeypatch.setattr(gpu_kernels, "_triton", object())
    assert gpu_kernels.available(torch.device("cuda"))


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not here")
@pytest.mark.skipif(INTERPRETED, reason="this is that process")
def test_in_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@interpreted
@pytest.mark.parametrize("size", [1, 5, 600])
@pytest.mark.parametrize(("stream", "counter"), [(0, 0), (1, 1), (77, 2**40)])
def test_draws_are_those_of_the_cpu(size, stream, counter):
    keys, n = random.seed_keys([0, 5, 9]), torch.tensor(counter)
    draw = lambda kind, *high: gpu_kernels.draw(kind, keys, n, stream, size, *high)  # noqa: E731
    assert torch.equal(draw("bits"), random.bits(keys, counter, stream, size))
    assert torch.equal(draw("uniform"), random.uniform(keys, counter, stream, (size,)))
    torch.testing.assert_close(
        draw("normal"), random.normal(keys, counter, stream, (size,)), atol=2e-6, rtol=0
    )
    for high in (7, torch.tensor([3, 1, 2**20])):
        wanted = random.integers(keys, counter, stream, (size,), high)
        assert torch.equal(draw("integers", high), wanted)


@interpreted
@pytest.mark.parametrize("shape", [(1, 3, 5), (2, 300, 33)])
def test_layers_are_those_of_the_cpu(shape):
    n, _, units = shape
    rng = np.random.default_rng(0)
    z, dh = rng.normal(size=(2, *shape)).astype(np.float32)
    b, db = rng.normal(size=(2, n, 1, units)).astype(np.float32)
    ours = [torch.from_numpy(x.copy()) for x in (z, b, dh, db)]
    for i in (1, 3):  # of the first of three members each
        ours[i] = torch.stack([ours[i], ours[i] + 1, ours[i] + 2], dim=1)[:, 0]
    gpu_kernels.activate("relu", ours[0], ours[1], ours[0])
    gpu_kernels.differentiate("relu", ours[2], ours[0], ours[3])
    cpu_layers.bias_relu(z, b, z)
    cpu_layers.relu_backward(dh, z, dh, db, np.arange(shape[1]))
    for got, wanted in zip(ours, (z, b, dh, db)):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    z = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    h, bias, dh, db = torch.empty_like(z), torch.from_numpy(b), torch.ones(shape), torch.zeros(n, 1, units)
    wanted = (z + bias).requires_grad_()
    y = torch.nn.functional.gelu(wanted)
    y.sum().backward()
    gpu_kernels.activate("gelu", z, bias, h)
    gpu_kernels.differentiate("gelu", dh, z, db)
    torch.testing.assert_close(h, y.detach(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(dh, wanted.grad, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(db, wanted.grad.sum(dim=1, keepdim=True), atol=1e-4, rtol=1e-5)
    gpu_kernels.differentiate("gelu", dh, z, db[..., :0])  # nobody learns


@interpreted
def test_adam_is_that_of_the_cpu():
    rng = np.random.default_rng(1)
    x, m, v = rng.normal(size=1500).astype(np.float32), *np.zeros((2, 1500), np.float32)
    ours = [torch.from_numpy(a.copy()) for a in (x, m, v)]
    for t in range(1, 5):
        g = rng.normal(size=1500).astype(np.float32)
        step, rate = torch.tensor(float(t)), torch.tensor(0.01)
        gpu_kernels.adam(ours[0], torch.from_numpy(g), ours[1], ours[2], step, rate, (BETA1, BETA2), 1e-8)
        adam_in_place(x, g, m, v, 0.01 / (1 - BETA1**t), (1 - BETA2**t) ** 0.5, 1e-8)
        for got, wanted in zip(ours, (x, m, v)):
            np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-7)


@interpreted
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_networks_and_their_optimisers_use_them(activation, monkeypatch):
    """The whole way, as on a GPU: draws, passes, gradients, steps."""
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)
    monkeypatch.setattr(gpu_kernels, "available", lambda device: True)
    p = Parameters(mlp_shapes((3, 20, 20, 1), (2,)), 2)
    init_mlp(p, random.seed_keys([0, 1]))
    x = random.normal(random.seed_keys([0, 1]), torch.tensor(3), 0, (1, 40, 3))
    mlp(p, x, ACTIVATIONS[activation].forward).square().sum().backward()
    wanted = p.grad.clone()
    p.zero_grad()
    adam = Adam(p, 0.1)
    with mock.patch.object(gpu_kernels, "differentiate", wraps=gpu_kernels.differentiate) as used:
        network(p, activation)(x).square().sum().backward()
    assert used.called
    torch.testing.assert_close(p.grad, wanted, rtol=1e-4, atol=1e-5)
    before = p.flat.clone()
    adam.step()
    torch.testing.assert_close(before - p.flat, 0.1 * p.grad / (p.grad.abs() + 1e-8), rtol=1e-4, atol=1e-6)
    assert adam.state()["step"] == 1
