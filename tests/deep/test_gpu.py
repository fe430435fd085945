"""On a GPU: the numbers of the CPU, the same from graphs as without, and again after a restart."""

import importlib

import numpy as np
import pytest
import torch

from eluder.deep import inventory, online
from eluder.deep.common import devices, gpu_kernels, random
from eluder.deep.common.fused import ACTIVATIONS, network
from eluder.deep.common.networks import Parameters, init_mlp, mlp, mlp_shapes
from eluder.deep.common.optim import Adam
from eluder.deep.inventory import HDPOConfig, hdpo
from eluder.deep.online import Schedule
from eluder.envs.inventory import setting
from tests.deep.common.test_devices import AGENTS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
POLICIES = {
    "serial": (inventory.MLPPolicy(), {"locations": 3}),
    "one_warehouse": (inventory.SharedLevelPolicy(), {"stores": 5}),
    "many_warehouses": (inventory.GNNPolicy(), {"stores": 10}),
}


def eager(function, device, key=None):
    """`repeated` without graphs."""
    return lambda u: function(u, torch.tensor(u, device=device))


def run(name, device, **kwargs):
    agent, env, config = AGENTS[name]
    schedule = kwargs.pop("schedule", Schedule(evaluate_every=0, episodes=1))
    steps = kwargs.pop("steps", 60)
    return getattr(online, agent)(
        env, steps, config=config, seeds=(3, 5), device=device, schedule=schedule, **kwargs
    ).parameters


def train(name, device):
    policy, sizes = POLICIES[name]
    config = HDPOConfig(batch_size=16, periods=10, lr=1e-3, samples=1, eval_periods=1, eval_warm_up=0)
    schedule = Schedule(evaluate_every=0, log_every=0)
    return hdpo(
        setting(name, **sizes),
        12,
        policy=policy,
        config=config,
        seeds=(3, 5),
        device=device,
        schedule=schedule,
    ).parameters


def same(ours, wanted, tolerance):
    """Relative to numbers of .1 at least: biases start at zero, where Adam's steps are signs."""
    for key, x in wanted.items():
        apart = np.linalg.norm(ours[key] - x) / (np.linalg.norm(x) + 0.1 * x.size**0.5)
        assert apart <= tolerance, (key, apart)


@pytest.mark.parametrize("kernels", [True, False])
def test_draws(kernels, monkeypatch):
    if not kernels:
        monkeypatch.setattr(gpu_kernels, "_triton", None)
    keys = random.seed_keys([0, 5, 9])
    there, counter = keys.cuda(), torch.tensor(2**40).cuda()
    for size in (1, 5, 600):
        for high in (7, torch.tensor([3, 1, 2**20])):
            bound = high.cuda() if isinstance(high, torch.Tensor) else high
            wanted = random.integers(keys, 2**40, 1, (size,), high)
            assert torch.equal(random.integers(there, counter, 1, (size,), bound).cpu(), wanted)
        for draw, tolerance in ((random.bits, 0), (random.uniform, 0), (random.normal, 5e-6)):
            shape = size if draw is random.bits else (size,)
            wanted, got = draw(keys, 2**40, 77, shape), draw(there, counter, 77, shape).cpu()
            torch.testing.assert_close(got, wanted, atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "silu"])
def test_a_network_and_its_optimiser(activation, dtype):
    """By hand against autograd; a step of Adam against PyTorch's."""
    p = Parameters(mlp_shapes((17, 256, 256, 5), (2,)), 3, "cuda")
    init_mlp(p, random.seed_keys([0, 1, 2], "cuda"))
    x = torch.randn(3, 1, 200, 17, generator=torch.Generator().manual_seed(0)).cuda()
    y = mlp(p, x, ACTIVATIONS[activation].forward)
    y.square().sum().backward()
    wanted = p.grad.clone()
    p.zero_grad()
    got = network(p, activation, dtype=dtype)(x)
    got.square().sum().backward()
    tolerance = 1e-5 if dtype == "float32" else 5e-2
    for ours, theirs in ((got, y), (p.grad, wanted)):
        assert (ours - theirs).norm() <= tolerance * theirs.norm()
    plain = torch.nn.Parameter(p.flat.clone())
    theirs, ours = torch.optim.Adam([plain], 1e-3), Adam(p, 1e-3)
    for factor in (1.0, -2.0, 0.5):
        plain.grad = factor * p.grad
        p.grad *= factor
        theirs.step()
        ours.step()
        p.grad /= factor
    torch.testing.assert_close(p.flat, plain.detach(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent(name, monkeypatch):
    """Its graphs give what the same operations give, and that is what the CPU gives."""
    graphs = run(name, "cuda")
    module = importlib.import_module(f"eluder.deep.online._{AGENTS[name][0]}")
    monkeypatch.setattr(module, "repeated", eager)
    same(graphs, run(name, "cuda"), 0.0)
    monkeypatch.undo()
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)  # operations: nothing is compiled here
    same(graphs, run(name, "cpu"), 1e-3 if name == "droq" else 1e-4)


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_goes_on_after_a_restart(name, tmp_path):
    often = Schedule(evaluate_every=0, episodes=1, save_every=30)
    whole = run(name, "cuda")
    run(name, "cuda", steps=30, out=tmp_path, schedule=often)
    same(run(name, "cuda", out=tmp_path, resume=True, schedule=often), whole, 1e-4)


@pytest.mark.parametrize("name", POLICIES)
def test_hdpo(name, monkeypatch):
    graphs = train(name, "cuda")
    monkeypatch.setattr(importlib.import_module("eluder.deep.inventory._hdpo"), "repeated", eager)
    same(graphs, train(name, "cuda"), 1e-3)  # sums of atomic operations have no order
    monkeypatch.undo()
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)
    same(graphs, train(name, "cpu"), 1e-2)
