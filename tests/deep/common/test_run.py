"""Runs: what is resumed with other wishes, what a folder says, policies of many seeds."""

import json

import gymnasium
import numpy as np
import pytest
import torch

from eluder.cli import main
from eluder.deep.common.checkpoint import load_checkpoint
from eluder.deep.common.networks import Parameters
from eluder.deep.common.optim import Adam
from eluder.deep.common.seedwise import SeedAdam
from eluder.deep.common.training import read_run
from eluder.deep.online import DQNConfig, PMOEConfig, SACConfig, Schedule, TD3Config, dqn, pmoe, sac

SMALL = SACConfig(hidden=(8,), batch_size=8, warmup=10)
ONE = Schedule(episodes=1, evaluate_every=20)


def test_one_row_of_observations_serves_every_seed_and_other_shapes_are_refused():
    config = PMOEConfig(hidden=(8,), batch_size=8, warmup=10, num_experts=2)
    result = pmoe("Pendulum-v1", 20, config=config, seeds=(0, 1), schedule=ONE)
    obs = np.random.default_rng(0).normal(size=(1, 4, 3))
    assert np.array_equal(result.policy(obs), result.policy(np.repeat(obs, 2, axis=0)))
    with pytest.raises(ValueError, match=r"obs must have shape \(2, B, 3\), or 1 for 2, got \(3, 4, 3\)"):
        result.policy(np.zeros((3, 4, 3)))
    with pytest.raises(ValueError, match=r"obs must have shape \(2, B, 3\), or 1 for 2, got \(2, 4, 5\)"):
        result.policy(np.zeros((2, 4, 5)))


def test_numbers_of_numpy_and_devices_of_pytorch_are_taken(tmp_path):
    config = SACConfig(hidden=(np.int64(8),), batch_size=np.int64(8), warmup=10, gamma=np.float32(0.5))
    given = {"config": config, "out": tmp_path, "schedule": ONE}
    seeds = np.array([3, 5], np.uint8)
    sac("Pendulum-v1", np.int32(20), seeds=seeds, device=torch.device("cpu"), **given)
    held = read_run(tmp_path)
    assert (held["device"], held["seeds"], held["steps"]) == ("cpu", [3, 5], 20)
    assert (held["config"]["hidden"], held["config"]["gamma"]) == ([8], 0.5)
    assert main(["resume", str(tmp_path), "--steps", "30", "--quiet"]) == 0


def test_another_number_of_episodes_is_refused_before_the_run_goes_on(tmp_path):
    sac("Pendulum-v1", 40, config=SMALL, out=tmp_path, schedule=ONE)
    with pytest.raises(ValueError, match="has evaluations of 1 episodes, asked for 2"):
        sac("Pendulum-v1", 60, config=SMALL, out=tmp_path, resume=True, schedule=Schedule(episodes=2))
    assert read_run(tmp_path)["schedule"]["episodes"] == 1  # what was refused is not written down
    assert read_run(tmp_path)["steps"] == 40
    assert sac("Pendulum-v1", 60, config=SMALL, out=tmp_path, resume=True, schedule=ONE).steps[-1] == 60


class Interrupted(gymnasium.Wrapper):
    steps = 0

    def step(self, action):
        Interrupted.steps += 1
        if Interrupted.steps == 30:
            raise KeyboardInterrupt
        return self.env.step(action)


def interrupted():
    return Interrupted(gymnasium.make("Pendulum-v1"))


def test_a_run_that_is_asked_for_fewer_steps_than_it_has_is_judged_where_it_is(tmp_path):
    never = Schedule(episodes=1, evaluate_every=0, save_every=20)
    with pytest.raises(KeyboardInterrupt):
        sac(interrupted, 100, config=SMALL, out=tmp_path, schedule=never)
    result = sac(interrupted, 20, config=SMALL, out=tmp_path, resume=True, schedule=never)
    assert result.steps.tolist() == [20]


def test_a_refused_run_closes_its_environments(tmp_path):
    closed = []

    class Seen(gymnasium.Wrapper):
        def close(self):
            closed.append(self)
            super().close()

    def seen():
        return Seen(gymnasium.make("Pendulum-v1"))

    made = []

    def counted():
        made.append(seen())
        return made[-1]

    sac(counted, 20, config=SMALL, out=tmp_path, schedule=ONE)
    with pytest.raises(ValueError, match="holds a run already"):
        sac(counted, 20, config=SMALL, out=tmp_path, schedule=ONE)
    assert len(closed) == len(made)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": 3}, "seeds must be a sequence of integers, got 3"),
        ({"seeds": (4, 7, 4)}, r"seeds\[2\] is 4 again: equal seeds are one run"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"device": "nowhere"}, "device 'nowhere' cannot be used"),
        ({"out": 3}, "out must be a path, got 3"),
        ({"schedule": {"episodes": 3}}, "schedule must be a Schedule, got {'episodes': 3}"),
    ],
)
def test_arguments_of_another_kind_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        sac("Pendulum-v1", 20, **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agent": 3}, "run.json is damaged: agent"),
        ({"env": 5}, "run.json is damaged: env"),
        ({"config": []}, "run.json is damaged: config"),
        ({"schedule": None}, "run.json is damaged: schedule"),
        ({"seeds": None}, "run.json is damaged: seeds"),
        ({"agent": ...}, "run.json is damaged: agent"),
    ],
)
def test_a_description_that_was_edited_is_refused_in_one_line(tmp_path, capsys, change, message):
    sac("Pendulum-v1", 20, config=SMALL, out=tmp_path, schedule=ONE)
    held = json.loads((tmp_path / "run.json").read_text()) | change
    (tmp_path / "run.json").write_text(json.dumps({k: x for k, x in held.items() if x is not ...}))
    assert main(["resume", str(tmp_path), "--quiet"]) == 2
    assert message in capsys.readouterr().err


def test_an_id_that_names_its_module_is_resumed(tmp_path, capsys):
    env = "gymnasium.envs.classic_control:Pendulum-v1"
    sac(env, 20, config=SMALL, out=tmp_path, schedule=ONE)
    assert main(["resume", str(tmp_path), "--steps", "40", "--quiet"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:3]] == ["20", "40"]


def test_a_longer_run_says_so(tmp_path):
    """After a kill the greater number of steps counts."""
    sac("Pendulum-v1", 30, config=SMALL, out=tmp_path / "run", schedule=ONE)
    sac("Pendulum-v1", 50, config=SMALL, out=tmp_path / "run", schedule=ONE, resume=True)
    assert read_run(tmp_path / "run")["steps"] == 50


def test_the_configuration_is_that_of_the_agent():
    with pytest.raises(ValueError, match=r"config must be that of sac, got TD3Config"):
        sac("Pendulum-v1", 30, config=TD3Config())


class Endless(gymnasium.Env):
    """Shows and pays one number for ever."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    x = 0.0

    def reset(self, *, seed=None, options=None):
        return np.full(1, self.x, np.float32), {}

    def step(self, action):
        return np.full(1, self.x, np.float32), self.x, False, False, {}


class Huge(Endless):
    """Numbers whose squares are beyond float32."""

    x = 1e30


def test_training_that_diverged_says_so_and_whose(tmp_path):
    schedule = Schedule(episodes=1, save_every=5)
    with pytest.raises(
        ValueError, match=r"training of seeds \[3, 9\] diverged: their actions are not finite"
    ):
        sac(Huge, 30, config=SMALL, seeds=(3, 9), out=tmp_path, schedule=schedule)
    assert load_checkpoint(tmp_path / "checkpoints")[1]["step"] == 10


def test_a_seed_that_diverged_stops_no_other(tmp_path):
    """Environments of the first of two seeds show useless numbers; the second learns as it does alone."""
    made = []

    def make():
        made.append(gymnasium.make("Pendulum-v1", max_episode_steps=20))
        if len(made) in first:
            return gymnasium.wrappers.TransformObservation(made[-1], lambda x: 1e30 * x, None)
        return made[-1]

    schedule = Schedule(episodes=1, evaluate_every=20, log_every=5)
    first = (1, 3)  # of one training environment for each seed, then one to evaluate it
    with pytest.warns(RuntimeWarning, match=r"training of seeds \[3\] diverged") as warned:
        both = sac(make, 60, config=SMALL, seeds=(3, 9), out=tmp_path, schedule=schedule)
    assert ["0 from here on" in str(w.message) for w in warned].count(True) == 1
    made, first = [], ()
    alone = sac(make, 60, config=SMALL, seeds=(9,), schedule=schedule)
    assert np.isnan(both.returns[-1, 0]).all()
    np.testing.assert_allclose(both.returns[:, 1:], alone.returns, rtol=1e-3)
    for name, x in alone.parameters.items():
        np.testing.assert_allclose(both.parameters[name][1:], x, rtol=1e-3, atol=1e-5, err_msg=name)
    made, first = [], (1, 3)
    with pytest.warns(RuntimeWarning, match="their parameters are not finite"):
        again = sac(make, 60, config=SMALL, seeds=(3, 9), out=tmp_path, resume=True, schedule=schedule)
    np.testing.assert_array_equal(again.returns, both.returns)


def test_parameters_that_are_none_are_warned_of(monkeypatch):
    """The greatest of values that are none is an action all the same."""
    monkeypatch.setattr("eluder.deep.common.run.PATIENCE", 500)
    config = DQNConfig(hidden=(8,), batch_size=8, warmup=10)

    def make():
        world = gymnasium.wrappers.TimeLimit(Huge(), 5)
        world.action_space = gymnasium.spaces.Discrete(2)
        return world

    with pytest.warns(RuntimeWarning, match=r"training of seeds \[1\] diverged: their parameters"):
        dqn(make, 30, config=config, seeds=(1,), schedule=ONE)


def test_an_evaluation_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr("eluder.deep.common.run.PATIENCE", 50)
    with pytest.raises(ValueError, match="env has episodes without end: none ended in 50 steps"):
        sac(Endless, 30, config=SMALL, schedule=ONE)


def test_moments_that_do_not_fit_are_refused():
    p = Parameters({"x": (2,)}, N=1)
    for adam in (Adam(p, 0.1), SeedAdam(p)):
        state = dict(adam.state())
        name = "exp_avg"
        with pytest.raises(ValueError, match=r"exp_avg must have shape \(2,\)"):
            adam.load({**state, name: torch.zeros(1)})
        del state[name]
        with pytest.raises(ValueError, match="the checkpoint has nothing"):
            adam.load(state)
