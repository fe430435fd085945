"""Graphs: what they promise, shown by tapes on the CPU; each agent trains the same numbers from its tapes."""

import importlib

import numpy as np
import pytest
import torch

from eluder.deep import online
from eluder.deep.common import devices
from eluder.deep.common.devices import Mailbox, has_kernels, repeated
from eluder.deep.online import Schedule
from tests.deep.graphs import Recorder, played

SMALL = {"hidden": (16, 16), "batch_size": 8, "warmup": 20}
AGENTS = {
    "sac": ("sac", "Pendulum-v1", online.SACConfig(**SMALL)),
    "redq": (
        "sac",
        "Pendulum-v1",
        online.SACConfig(**SMALL, num_critics=3, num_sampled=2, actor_every=2, utd=2, n_step=3, num_envs=2),
    ),
    "droq": (
        "sac",
        "Pendulum-v1",
        online.SACConfig(**SMALL, dropout=0.1, num_sampled=2, utd=2, actor_every=2),
    ),
    "td3": ("td3", "Pendulum-v1", online.TD3Config(**SMALL)),
    "ddpg": ("ddpg", "Pendulum-v1", online.DDPGConfig(**SMALL)),
    "dsac": ("dsac", "Pendulum-v1", online.DSACConfig(**SMALL)),
    "dsac_t": ("dsac_t", "Pendulum-v1", online.DSACTConfig(**SMALL)),
    "dsac_t, huber": ("dsac_t", "Pendulum-v1", online.DSACTConfig(**SMALL, loss="huber")),
    "pmoe": ("pmoe", "Pendulum-v1", online.PMOEConfig(**SMALL)),
    "dqn": ("dqn", "CartPole-v1", online.DQNConfig(**SMALL, target_every=5)),
    "quantiles": ("dqn", "CartPole-v1", online.DQNConfig(**SMALL, num_quantiles=4, duelling=True, n_step=3)),
}


def test_elsewhere_a_function_is_called_with_its_number_twice():
    assert repeated(lambda u, n: (u, n), "cpu", lambda u: u % 2)(7) == (7, 7)
    assert has_kernels(torch.device("cpu"))
    assert not has_kernels(torch.device("cuda"))


def test_a_mailbox_holds_arrays_of_every_type_in_one_piece():
    kinds = {"flag": (np.bool_, (3,)), "x": (np.float32, (2, 2)), "n": (np.int64, ()), "i": (np.int32, (5,))}
    mail = Mailbox(kinds, "cpu")
    rng = np.random.default_rng(0)
    given = {"flag": [True, False, True], "x": rng.normal(size=(2, 2)), "n": -7, "i": np.arange(5)}
    for name, x in given.items():
        mail[name][...] = x
    mail.send()
    for name, x in given.items():
        assert mail.there[name].shape == kinds[name][1]
        np.testing.assert_array_equal(mail.there[name].numpy(), np.asarray(x, kinds[name][0]))
    assert len({x.untyped_storage().data_ptr() for x in mail.there.values()}) == 1


def test_a_tape_refuses_what_a_graph_refuses():
    x = torch.ones(3)
    for bad in (lambda: x.sum().item(), lambda: torch.tensor([1.0, 2.0]) + x[:2], lambda: x.nonzero()):
        with pytest.raises(AssertionError, match="cannot be captured"), Recorder():
            bad()


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_learns_the_same_from_graphs(name, monkeypatch):
    """The operations of the GPU, once by Python and once from tapes: not a bit differs."""
    agent, env, config = AGENTS[name]
    monkeypatch.setattr(devices, "has_kernels", lambda device: False)
    module = importlib.import_module(f"eluder.deep.online._{agent}")
    schedule = Schedule(evaluate_every=0, episodes=1)

    def train():
        return getattr(online, agent)(env, 60, config=config, seeds=(3, 5), schedule=schedule)

    plain, used = train(), []
    monkeypatch.setattr(module, "repeated", lambda *a: used.append(played(*a)) or used[-1])
    taped = train()
    assert used
    assert all(tape.tapes for tape in used)
    for key, x in plain.parameters.items():
        assert (x == taped.parameters[key]).all(), key
