"""Configurations from plain data."""

import dataclasses

import pytest

from eluder.deep.common.config import check_interval, check_layers, configure, tuned
from eluder.deep.common.networks import Parameters
from eluder.deep.common.normalise import RewardScale, RunningNorm
from eluder.deep.common.optim import Adam
from eluder.deep.common.replay import Replay
from eluder.deep.common.run import updates_due
from eluder.deep.common.training import Schedule, Stateful, read_run
from eluder.deep.online import (
    DDPGConfig,
    DQNConfig,
    DSACConfig,
    DSACTConfig,
    PMOEConfig,
    PPOConfig,
    SACConfig,
    TD3Config,
)


def test_plain_data_makes_the_configuration():
    config = configure(SACConfig(), {"hidden": [64, 32], "gamma": 1, "target_entropy": "none", "warmup": 5e3})
    assert (config.hidden, config.gamma, config.target_entropy, config.warmup) == ((64, 32), 1.0, None, 5000)
    assert configure(DSACTConfig(), dataclasses.asdict(DSACTConfig())) == DSACTConfig()
    assert configure(Schedule(), {"env_threads": 2}).env_threads == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr_acto": 1.0}, "SACConfig has no field 'lr_acto', did you mean 'lr_actor'"),
        ({"zzz": 1.0}, "Valid: hidden, activation"),
        ({"gamma": "much"}, "gamma must be of type float, got 'much'"),
        ({"gamma": 10**400}, "gamma must be of type float, got 1000"),
        ({"hidden": 64}, "hidden must be a list, got 64"),
        ({"hidden": [64, 0.5]}, r"hidden\[1\] must be of type int, got 0.5"),
        ({"log_std_range": [1]}, "log_std_range must have 2 entries, got 1"),
        ({"gamma": 2}, "gamma must be in"),
        ({"learn_alpha": 1}, "learn_alpha must be of type bool, got 1"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        configure(SACConfig(), changes)


@pytest.mark.parametrize(
    "make", [TD3Config, DDPGConfig, DQNConfig, SACConfig, DSACConfig, DSACTConfig, PMOEConfig, PPOConfig]
)
@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (64, "hidden must be a tuple of integers, got 64"),
        (None, "hidden must be a tuple"),
        ("64", "hidden must be a tuple"),
        ((64, 0), r"hidden\[1\] must be at least 1, got 0"),
        ((1.5,), r"hidden\[0\] must be an integer, got 1.5"),
    ],
)
def test_layers_are_checked_before_a_run(make, hidden, message):
    with pytest.raises(ValueError, match=message):
        make(hidden=hidden)


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("log_std_range", (2.0, -20.0), r"must be a pair \(low, high\) with low <= high, got \(2.0, -20.0\)"),
        ("log_std_range", (1.0,), r"must be a pair \(low, high\), got \(1.0,\)"),
        ("log_std_range", 3.0, r"must be a pair \(low, high\), got 3.0"),
        ("log_std_range", (float("nan"), 1.0), r"log_std_range\[0\] must be in"),
        ("target_entropy", float("nan"), "target_entropy must be in"),
        ("target_entropy", "low", "target_entropy must be a real number, got 'low'"),
        ("activation", "step", "activation must be one of relu, tanh, gelu, silu, got 'step'"),
    ],
)
@pytest.mark.parametrize("make", [SACConfig, DSACConfig, DSACTConfig, PMOEConfig])
def test_fields_of_soft_agents_are_checked_before_a_run(make, name, x, message):
    with pytest.raises(ValueError, match=message):
        make(**{name: x})


def test_what_fits_is_taken():
    check_layers([64, 32])
    check_layers(())
    check_interval("log_std_range", (-20.0, 2))
    check_interval("ends", [1, 1])
    with pytest.raises(ValueError, match=r"ends\[1\] must be in \[0, 1\], got 2"):
        check_interval("ends", (0.5, 2), 0.0, 1.0)


def test_a_pair_of_probabilities_is_one():
    for epsilon in ((0.5,), 0.1, (1.0, 0.5, 0.0)):
        with pytest.raises(ValueError, match=r"epsilon must be a pair \(first, last\)"):
            DQNConfig(epsilon=epsilon)


def test_defaults_of_environments():
    assert tuned(SACConfig(), "sac", "Pendulum-v1").warmup == 1000
    assert tuned(SACConfig(), "sac", "HalfCheetah-v5") == SACConfig()


def test_updates_are_consecutive():
    for stride, utd in [(1, 1.0), (20, 0.05), (3, 0.29), (2, 4.0), (1, 0.1)]:
        due = [u for t in range(-10, 600, stride) for u in updates_due(t, stride, utd)]
        assert due == list(range(len(due)))
        assert len(due) == int((t_end := max(range(-10, 600, stride)) + stride) * utd + 1e-9), t_end


def test_a_folder_that_holds_no_run(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match="no mapping"):
        read_run(tmp_path)


def test_what_checkpoints_can_hold():
    p = Parameters({"w": (2, 3)}, N=1)
    things = [p, Adam(p, 0.1), Replay(10, (1,), 1, 1), RunningNorm(1, (2,)), RewardScale(1, 1, 0.9)]
    assert all(isinstance(thing, Stateful) for thing in things)
    assert not isinstance(3, Stateful)


def test_parameters_that_do_not_fit_are_named():
    p = Parameters({"w": (2, 3), "b": (1, 3)}, N=1)
    with pytest.raises(ValueError, match=r"b must have shape \(1, 1, 3\), the checkpoint has nothing"):
        p.load({"w": p["w"].detach()})
    with pytest.raises(ValueError, match=r"w must have shape \(1, 2, 3\), the checkpoint has \(2, 2, 3\)"):
        p.load(Parameters({"w": (2, 3), "b": (1, 3)}, N=2).state())


def test_every_kept_default_is_one_of_its_agent():
    import inspect
    import tomllib
    from importlib import resources

    import gymnasium

    from eluder.deep import online

    table = tomllib.loads(resources.files("eluder.deep.online").joinpath("defaults.toml").read_text())
    for agent, envs in table.items():
        config = inspect.signature(getattr(online, agent)).parameters["config"].default
        for env in envs:
            assert tuned(config, agent, env) != config
            gymnasium.spec(env)
