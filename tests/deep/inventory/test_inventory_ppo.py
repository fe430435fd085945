"""PPO of ordering policies against plain NumPy, row by row."""

import shutil

import numpy as np
import pytest
import torch

from eluder.deep.common.networks import Parameters
from eluder.deep.common.random import normal, seed_keys, uniform
from eluder.deep.common.training import Schedule
from eluder.deep.inventory import InventoryPPOConfig, LevelPolicy, Problem, Seen, inventory_ppo
from eluder.deep.inventory import _inventory_ppo as ppo
from eluder.deep.inventory import _score_function as score
from eluder.deep.inventory._hdpo import Paths, step_size
from eluder.envs.inventory import setting

NONE = Schedule(evaluate_every=0, log_every=0, save_every=0)


def test_advantages_are_those_of_plain_numpy():
    rng = np.random.default_rng(0)
    r, V, last = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 3))
    wanted = np.zeros_like(r)
    for n in range(2):
        for b in range(3):
            values = [*V[n, :, b], last[n, b]]
            delta = [r[n, t, b] + 0.9 * values[t + 1] - values[t] for t in range(5)]
            for t in range(5):
                wanted[n, t, b] = sum((0.9 * 0.8) ** k * delta[t + k] for k in range(5 - t))
    got = ppo.advantages(torch.as_tensor(r), torch.as_tensor(V), torch.as_tensor(last), 0.9, 0.8)
    np.testing.assert_allclose(got, wanted)


def test_the_clipped_loss_is_that_of_plain_numpy():
    rng = np.random.default_rng(1)
    log_ratio, A = rng.normal(0, 0.3, (2, 50)), rng.normal(2, 3, (2, 50))
    got = ppo.clipped_loss(torch.as_tensor(log_ratio), torch.as_tensor(A), 0.2)
    for n in range(2):
        z = (A[n] - A[n].mean()) / A[n].std(ddof=1)
        w = np.exp(log_ratio[n])
        wanted = -np.mean([min(w[i] * z[i], min(max(w[i], 0.8), 1.2) * z[i]) for i in range(50)])
        assert got[n].item() == pytest.approx(wanted, rel=1e-6)


def test_no_gradient_beyond_the_clip():
    log_ratio = torch.tensor([[0.5, -0.5, 0.5, -0.5]], requires_grad=True)
    ppo.clipped_loss(log_ratio, torch.tensor([[1.0, 1.0, -1.0, -1.0]]), 0.2).sum().backward()
    gone = log_ratio.grad[0] == 0
    assert gone.tolist() == [True, False, False, True]
    assert torch.isfinite(ppo.clipped_loss(torch.tensor([[500.0, -500.0]]), torch.tensor([[-1.0, 1.0]]), 0.2))


def test_hand_values():
    cost = torch.tensor([[[6.0], [3.0]]])
    assert ppo.relative_reward(cost, torch.tensor([4.0])).flatten().tolist() == [-0.5, 0.25]
    assert ppo.relative_reward(cost, torch.tensor([-4.0])).flatten().tolist() == [-2.5, -1.75]
    average = ppo.Average(2, torch.device("cpu"))
    average.follow(torch.tensor([10.0, 2.0]), 0)
    assert average.follow(torch.tensor([20.0, 2.0]), 1).tolist() == pytest.approx([11.0, 2.0])
    other = ppo.Average(2, torch.device("cpu"))
    other.load(average.state())
    assert torch.equal(other.cost, average.cost)


def test_the_first_update_is_that_written_plainly():
    """One seed, one epoch, two minibatches: the same states, advantages, order and steps of Adam."""
    it, policy = setting("lost_sales", lead_time=2, penalty=4), LevelPolicy((4,), "tanh")
    config = InventoryPPOConfig(
        batch_size=6, periods=4, epochs=1, minibatches=2, hidden=(5,), lr_value=0.01, max_grad_norm=0.05
    )
    problem, keys, steps, T, B = Problem(it), seed_keys([8]), 50, 4, 6
    actor, critic = score.noisy(policy, problem, keys, 0.3), ppo.init_value(config, problem, keys)
    with torch.no_grad():
        for i, x in enumerate((*actor.tensors.values(), *critic.tensors.values())):
            x += 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(i))
    nets = [Parameters(p.shapes, 1, dtype=torch.float64) for p in (actor, critic)]
    for net, p in zip(nets, (actor, critic)):
        net.load(p.state())
    update, _ = ppo.make_update(config, policy, problem, (actor, critic), steps)
    paths, average = Paths(config, problem, keys), ppo.Average(1, torch.device("cpu"))
    x, demand = (y.clone().double() for y in paths.next(0))
    metrics = update(paths, average, 0)

    # act
    wide, noise = Problem(it, dtype=torch.float64), normal(keys, 0, score.NOISE, (T, B, 1)).double()
    played = score.rollout(policy, nets[0].tensors, wide, x, demand, noise, config.least_sigma)
    rho = played.cost.mean()
    assert metrics["loss"].item() == pytest.approx(rho.item(), rel=1e-5)
    states, actions = played.inventory[0].flatten(0, 1), played.action[0].flatten(0, 1)
    value = lambda y: ppo.value_of(nets[1].tensors, wide, y[None])[0]  # noqa: E731

    def log_prob(k):
        mean = policy.orders(nets[0].tensors, wide, Seen(states[k][None]))[0]
        sigma = 5.0 * nets[0]["log_sigma"].exp()[0]
        return (-0.5 * ((actions[k] - mean) / sigma) ** 2 - sigma.log()).sum(dim=-1)

    # advantages
    with torch.no_grad():
        V, last = value(states).view(1, T, B), value(played.last[0])[None]
        A = ppo.advantages((rho - played.cost) / rho, V, last, config.gamma, config.lam)
        old, A, R = log_prob(slice(None)), A.flatten(), (A + V).flatten()

    # learn
    lr = step_size(config, 0, steps)
    rates, moments = (lr, lr * 0.01 / config.lr), [torch.zeros(2, len(net.flat)).double() for net in nets]
    order = uniform(keys, 0, ppo.SHUFFLE, (T * B,)).argsort(dim=1)[0]
    for i, k in enumerate((order[:12], order[12:])):
        z = (A[k] - A[k].mean()) / A[k].std()
        w = (log_prob(k) - old[k]).exp()
        losses = (
            -torch.minimum(w * z, w.clamp(0.8, 1.2) * z).mean(),
            0.5 * ((value(states[k]) - R[k]) ** 2).mean(),
        )
        for net, loss, rate, (m, v) in zip(nets, losses, rates, moments):
            net.zero_grad()
            loss.backward()
            net.grad *= min(1.0, config.max_grad_norm / net.grad.norm().item())
            m += 0.1 * (net.grad - m)
            v += 0.001 * (net.grad**2 - v)
            net.flat -= rate * (m / (1 - 0.9 ** (i + 1))) / ((v / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8)
    for net, p in zip(nets, (actor, critic)):
        np.testing.assert_allclose(p.flat.detach(), net.flat.detach(), atol=2e-4)
    assert metrics["value_loss"].item() == pytest.approx(losses[1].item(), rel=1e-3)


def test_seeds_side_by_side_are_those_alone():
    it, config = setting("lost_sales", lead_time=2, penalty=4), InventoryPPOConfig(batch_size=16, periods=6)
    both = inventory_ppo(it, 4, policy=LevelPolicy((4,)), config=config, seeds=(3, 5), schedule=NONE)
    alone = inventory_ppo(it, 4, policy=LevelPolicy((4,)), config=config, seeds=(5,), schedule=NONE)
    for k, x in alone.parameters.items():
        np.testing.assert_allclose(both.parameters[k][1:], x, atol=1e-4)


def test_a_run_that_is_cut_goes_on_to_the_same_numbers(tmp_path):
    it, config = setting("lost_sales", lead_time=2, penalty=4), InventoryPPOConfig(batch_size=16, periods=6)
    options = {
        "policy": LevelPolicy((4,)),
        "config": config,
        "schedule": Schedule(evaluate_every=0, log_every=0, save_every=3),
    }
    whole = inventory_ppo(it, 6, out=tmp_path, **options)
    shutil.rmtree(sorted((tmp_path / "checkpoints").iterdir())[-1])
    again = inventory_ppo(it, 6, out=tmp_path, resume=True, **options)
    for k, x in whole.parameters.items():
        np.testing.assert_array_equal(again.parameters[k], x)


def test_it_learns_within_seconds():
    """From a policy under which stock grows for ever."""
    it = setting("lost_sales", lead_time=1, penalty=4)
    result = inventory_ppo(it, 60, config=InventoryPPOConfig(batch_size=128, periods=15), schedule=NONE)
    assert result.gap[0] < 0.1
    assert result.parameters["policy/log_sigma"].mean() < np.log(0.2)


def test_bad_input():
    with pytest.raises(ValueError, match="gamma"):
        InventoryPPOConfig(gamma=1.5)
    with pytest.raises(ValueError, match="clip"):
        InventoryPPOConfig(clip=0.0)
    with pytest.raises(ValueError, match="minibatches"):
        InventoryPPOConfig(batch_size=2, periods=2, minibatches=5)
    with pytest.raises(ValueError, match="sigma"):
        InventoryPPOConfig(sigma=0.001)
    with pytest.raises(ValueError, match="no law of demand"):
        inventory_ppo(setting("favorita", sales=np.ones((2, 100, 1))), 2)
