"""Adam on a flat tensor against PyTorch's own on the separate ones."""

import pytest
import torch

from eluder.deep.common import devices
from eluder.deep.common.networks import Parameters
from eluder.deep.common.optim import Adam


def run(p, adam, steps, start=0):
    for i in range(start, start + steps):
        generator = torch.Generator().manual_seed(i)
        p.grad.copy_(torch.randn(p.grad.shape, generator=generator))
        adam.step()


def test_equal_to_pytorch():
    p = Parameters({"w": (3, 2), "b": (1, 2)}, N=2)
    leaves = [x.detach().clone().requires_grad_() for x in p.tensors.values()]
    reference = torch.optim.Adam(leaves, 0.01, eps=1e-5)
    adam = Adam(p, 0.01, eps=1e-5)
    for i in range(20):
        generator = torch.Generator().manual_seed(i)
        p.grad.copy_(torch.randn(p.grad.shape, generator=generator))
        for leaf, ours in zip(leaves, p.tensors.values()):
            leaf.grad = ours.grad.clone()
        reference.step()
        adam.step()
    for leaf, ours in zip(leaves, p.tensors.values()):
        torch.testing.assert_close(ours.detach(), leaf.detach(), rtol=1e-6, atol=1e-7)


def test_resumes_to_the_bit():
    p = Parameters({"w": (3, 2)}, N=1)
    adam = Adam(p, 0.01)
    run(p, adam, 5)
    kept = {k: x.clone() for k, x in adam.state().items()}
    numbers = p.flat.clone()
    run(p, adam, 5, start=5)
    end = p.flat.clone()

    q = Parameters({"w": (3, 2)}, N=1)
    with torch.no_grad():
        q.flat.copy_(numbers)
    again = Adam(q, 0.01)
    again.load(kept)
    run(q, again, 5, start=5)
    assert torch.equal(q.flat, end)


def test_a_target_follows_after_the_step():
    p, q = (Parameters({"w": (3, 2)}, N=2) for _ in range(2))
    target, other = p.like(), q.like()
    with torch.no_grad():
        target.flat.normal_(generator=torch.Generator().manual_seed(0))
        other.flat.copy_(target.flat)
    ours, reference = Adam(p, 0.01), Adam(q, 0.01)
    for i in range(5):
        g = torch.randn(p.grad.shape, generator=torch.Generator().manual_seed(i))
        p.grad.copy_(g)
        q.grad.copy_(g)
        ours.step(target=target, tau=0.1)
        reference.step()
        other.track(q, 0.1)
    torch.testing.assert_close(p.flat, q.flat, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(target.flat, other.flat, rtol=1e-6, atol=1e-7)


def test_a_target_follows_elsewhere_too(monkeypatch):
    """PyTorch's own step, as where there are no loops."""
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)
    test_a_target_follows_after_the_step()


def test_a_step_size_given_later_stays():
    p = Parameters({"w": (1,)}, N=1)
    adam = Adam(p, 0.5)
    p.grad.fill_(1.0)
    adam.step(lr=0.25)
    assert adam.lr == 0.25
    assert p.flat.item() == pytest.approx(-0.25, abs=1e-6)
    adam.step()
    assert p.flat.item() == pytest.approx(-0.5, abs=1e-6)


@pytest.mark.parametrize("lr", [0.0, -1.0, float("nan")])
def test_bad_step_size(lr):
    with pytest.raises(ValueError, match="lr must be in"):
        Adam(Parameters({"w": (1,)}, N=1), lr)
