"""Critics with dropout and layer normalisation: by PyTorch's own, their masks, whole runs of SAC."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import seed_keys, uniform
from eluder.deep.common.training import Schedule
from eluder.deep.online import SACConfig, sac
from eluder.deep.online._droq import DropoutCritic, droq_shapes, init_droq
from tests.deep.probes import Constant

KEYS = seed_keys([3, 4])


def critic(p, n=5, learn=True, shift=0.3):
    parameters = Parameters(droq_shapes((4, 8, 6, 1), (2,)), 2)
    init_droq(parameters, KEYS, 0)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        parameters.flat.add_(shift * torch.randn(parameters.flat.shape, generator=generator))
    net = DropoutCritic(parameters, torch.relu, p, KEYS, 700, learn=learn)
    net.n = n
    return parameters, net


@pytest.mark.parametrize("p", [0.0, 0.4])
def test_layers_are_those_of_pytorch(p):
    """With the same masks: linear, dropout, layer_norm, relu, for each seed and member alone."""
    parameters, net = critic(p)
    x = torch.randn(2, 1, 7, 4, generator=torch.Generator().manual_seed(1))
    found = net(x)
    for n in range(2):
        masks = [
            uniform(KEYS[n : n + 1], 5, 700 + i, (2, 7, units))[0] >= p for i, units in enumerate((8, 6))
        ]
        for m in range(2):
            t = {name: leaf[n, m].detach() for name, leaf in parameters.tensors.items()}
            h = x[n, 0]
            for i in range(2):
                h = F.linear(h, t[f"w{i}"].T, t[f"b{i}"][0]) * masks[i][m] / (1 - p)
                h = torch.relu(F.layer_norm(h, h.shape[-1:], t[f"scale{i}"][0], t[f"shift{i}"][0]))
            torch.testing.assert_close(found[n, m].detach(), F.linear(h, t["w2"].T, t["b2"][0]))


def test_masks_change_with_the_update_and_the_place():
    _, net = critic(0.5)
    x = torch.randn(2, 1, 7, 4)
    first = net(x)
    net.n = 6
    assert not torch.equal(first, net(x))
    net.n, net.stream = 5, 800
    assert not torch.equal(first, net(x))
    net.stream = 700
    assert torch.equal(first, net(x))


def test_gradients_reach_the_parameters_only_where_they_learn():
    for learn in (True, False):
        parameters, net = critic(0.2, learn=learn)
        x = torch.randn(2, 1, 7, 4, requires_grad=True)
        net(x).sum().backward()
        assert x.grad.abs().sum() > 0
        assert (parameters.grad.abs().sum() > 0) == learn


def test_first_layers_do_not_rescale():
    parameters = Parameters(droq_shapes((4, 8, 1), (2,)), 2)
    init_droq(parameters, KEYS, 0)
    assert (parameters["scale0"] == 1).all()
    assert (parameters["shift0"] == 0).all()
    assert parameters["w0"].detach().std() > 0.1


def test_the_value_of_a_probe_and_resumption(tmp_path):
    """A step with reward 1: the value is 1, whatever units are dropped; and a run goes on to the bit."""
    config = SACConfig(
        hidden=(16, 16), batch_size=32, warmup=64, dropout=0.05, num_sampled=2, utd=2, actor_every=2,
        lr_critic=3e-3, tau=0.05,
    )  # fmt: skip
    quiet = Schedule(evaluate_every=0, episodes=1, log_every=0)
    whole = sac(Constant, 400, config=config, seeds=(1, 2), schedule=quiet, out=tmp_path / "whole")
    sac(Constant, 250, config=config, seeds=(1, 2), schedule=quiet, out=tmp_path / "parts")
    parts = sac(
        Constant, 400, config=config, seeds=(1, 2), schedule=quiet, out=tmp_path / "parts", resume=True
    )
    for name, x in whole.parameters.items():
        np.testing.assert_array_equal(x, parts.parameters[name])
    p = Parameters(droq_shapes((2, 16, 16, 1), (2,)), 2)
    p.load({k.removeprefix("critic/"): torch.tensor(x) for k, x in whole.parameters.items() if "critic" in k})
    value = DropoutCritic(p, torch.relu, 0.0, KEYS, 0, learn=False)(torch.zeros(2, 1, 1, 2))
    assert value.flatten().tolist() == pytest.approx([1.0] * 4, abs=0.15)


def test_bad_input():
    for p in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="dropout must be in"):
            SACConfig(dropout=p)
