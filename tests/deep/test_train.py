"""``eluder train`` and ``eluder resume``, logs and films."""

import contextlib
import csv
import importlib.util
import json
import os
import sys
from argparse import Namespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from eluder.cli import main
from eluder.deep.command import changed_schedule, read_changes
from eluder.deep.common.log import Log
from eluder.deep.common.video import record_video
from eluder.deep.online import SACConfig, Schedule, sac

SMALL = ["--set", "hidden=[16]", "--set", "batch_size=8", "--set", "warmup=40", "--quiet", "--episodes", "1"]


def train(*arguments):
    return main(["train", "sac", "--env", "Pendulum-v1", *arguments, *SMALL])


def test_train_and_resume(tmp_path, capsys):
    assert (
        train("--steps", "1e2", "--seeds", "2", "--out", str(tmp_path / "run"), "--evaluate-every", "50") == 0
    )
    first = capsys.readouterr().out
    assert [line.split()[0] for line in first.splitlines()[1:3]] == ["50", "100"]
    assert "2 seeds in" in first
    held = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (held["agent"], held["seeds"], held["config"]["hidden"]) == ("sac", [0, 1], [16])

    assert main(["resume", str(tmp_path / "run"), "--steps", "150", "--quiet"]) == 0
    assert first.splitlines()[:3] == capsys.readouterr().out.splitlines()[:3]
    config = SACConfig(hidden=(16,), batch_size=8, warmup=40)
    schedule = Schedule(evaluate_every=50, episodes=1)
    whole = sac("Pendulum-v1", 150, config=config, seeds=(0, 1), schedule=schedule)
    with open(tmp_path / "run" / "evaluations.csv", newline="") as file:
        rows = [(int(r["step"]), int(r["seed"]), float(r["return"])) for r in csv.DictReader(file)]
    wanted = [(s, n, whole.returns[i, n, 0]) for i, s in enumerate((50, 100, 150)) for n in range(2)]
    assert rows == wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "10", "--set", "gama=1"], "has no field 'gama', did you mean 'gamma'"),
        (["--steps", "10", "--set", "gamma"], "--set takes FIELD=VALUE"),
        (["--steps", "10", "--seeds", "0"], "seeds must hold at least one"),
        (["--steps", "10", "--seeds", "3,3"], "seeds[1] is 3 again"),
        (
            ["--steps", "10", "--set", "replay_size=100000000000000"],
            "the run needs more memory than there is",
        ),
        (["--steps", "10", "--env", "Broken-v0"], "env 'Broken-v0' cannot be made: AttributeError: "),
    ],
)
def test_refused_in_one_line(tmp_path, capsys, arguments, message, monkeypatch):
    spec = gymnasium.envs.registration.EnvSpec("Broken-v0", entry_point=lambda: gymnasium.Env().missing)
    monkeypatch.setitem(gymnasium.registry, "Broken-v0", spec)
    assert train(*arguments, "--out", str(tmp_path / "run")) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_named_and_what_goes_on_with_it(tmp_path, capsys):
    assert train("--steps", "50", "--out", str(tmp_path)) == 0
    assert train("--steps", "50", "--out", str(tmp_path)) == 2
    assert "holds a run already: resume=True, or eluder resume, goes on with it" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("eluder.deep.command.train", interrupted)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit):
        train("--steps", "50", "--out", str(tmp_path / "run"))
    assert "interrupted; eluder resume goes on from the newest checkpoint" in capsys.readouterr().err


def test_unknown_agents_and_folders(tmp_path, capsys):
    assert main(["train", "sacc", "--env", "Pendulum-v1", "--steps", "10"]) == 2
    assert "unknown agent 'sacc', did you mean 'sac'" in capsys.readouterr().err
    assert main(["resume", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    for bad in ("ten", "1.5", "-1"):
        with pytest.raises(SystemExit):
            main(["train", "sac", "--env", "Pendulum-v1", f"--steps={bad}"])
        assert "whole number" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_too(tmp_path, capsys):
    out = tmp_path / "run"
    assert train("--steps", "100", "--out", str(out), "--save-every", "50") == 0
    newest = sorted((out / "checkpoints").iterdir())[-1]
    data = (newest / "tensors.safetensors").read_bytes()
    (newest / "tensors.safetensors").write_bytes(data[: len(data) // 2])
    capsys.readouterr()
    assert main(["resume", str(out), "--steps", "150", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "tensors.safetensors is damaged" in error
    assert "the one before it is" in error


def test_a_resumed_log_loses_what_will_be_done_again(tmp_path):
    log = Log(tmp_path, [0, 7])
    for step in (10, 20, 30):
        log.metrics(step, {"loss": torch.tensor([1.0, 2.0])})
        log.episode(step, 1, total=-3.0, length=4)
        log.evaluation(step, np.ones((2, 1)), np.ones((2, 1), np.int64))
    log.close()
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 4')  # cut short by a kill
    Log(tmp_path, [0, 7]).cut(20)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sorted({line["step"] for line in lines}) == [10, 20]
    assert len(lines) == 6
    assert {"step": 20, "seed": 7, "loss": 2.0} in lines
    assert {"step": 10, "seed": 7, "episode_return": -3.0, "episode_length": 4} in lines
    text = (tmp_path / "evaluations.csv").read_text().splitlines()
    assert text[0] == "step,seed,episode,return,length"
    assert [row.split(",")[0] for row in text[1:]] == ["10", "10", "20", "20"]


def test_a_table_that_lost_its_first_line_to_a_kill_gets_it_again(tmp_path):
    (tmp_path / "evaluations.csv").write_text("step,se")
    log = Log(tmp_path, [0])
    log.cut(0)
    log.evaluation(10, np.ones((1, 1)), np.ones((1, 1), np.int64))
    assert (tmp_path / "evaluations.csv").read_text() == "step,seed,episode,return,length\n10,0,0,1.0,1\n"


def test_tensorboard_needs_a_folder():
    with pytest.raises(ValueError, match="tensorboard needs a folder"):
        Log(None, [0], tensorboard=True)


def test_tensorboard_files(tmp_path):
    pytest.importorskip("tensorboard")
    log = Log(tmp_path, [0], tensorboard=True)
    log.metrics(1, {"loss": torch.tensor([1.0])})
    log.close()
    assert any(file.stat().st_size > 0 for file in (tmp_path / "tensorboard").iterdir())


def test_a_film(tmp_path):
    iio = pytest.importorskip("imageio.v3")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    film = record_video(lambda x: np.zeros((*x.shape[:2], 1)), "Pendulum-v1", tmp_path / "film.gif", steps=5)
    frames = iio.imread(film, index=None)
    assert len(frames) >= 2
    assert frames.std() > 0
    with pytest.raises(ValueError, match=r"file must end in \.gif or \.mp4"):
        record_video(lambda x: x, "Pendulum-v1", tmp_path / "film.avi")


def test_an_mp4_is_written_or_what_is_missing_is_named(tmp_path):
    pytest.importorskip("imageio.v3")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    there = any(importlib.util.find_spec(writer) for writer in ("imageio_ffmpeg", "av"))
    refused = pytest.raises(ValueError, match=r"(?s)film\.mp4 cannot be written: .*pip install")
    with contextlib.nullcontext() if there else refused:
        record_video(lambda x: np.zeros((*x.shape[:2], 1)), "Pendulum-v1", tmp_path / "film.mp4", steps=5)
    assert (tmp_path / "film.mp4").exists() == there


class Drawn(gymnasium.Env):
    """Counts; every picture is of the number that was observed last."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space, action_space = Discrete(4, start=1), Discrete(3, start=5)

    def __init__(self, render_mode=None, draws=True):
        self.render_mode, self.draws = render_mode, draws

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return 1, {}

    def step(self, action):
        assert action == self.t + 5
        self.t += 1
        return self.t + 1, 0.0, self.t == 3, False, {}

    def render(self):
        if not self.draws:
            raise NotImplementedError
        return np.full((8, 8, 3), 60 * self.t, np.uint8)


def test_films_of_what_is_counted_and_of_one_of_many(tmp_path):
    pytest.importorskip("imageio.v3")
    gymnasium.register("Drawn-v0", entry_point=Drawn)
    try:
        follow = lambda x: np.stack([np.zeros(x.shape[1:2]) + 9, x[0].argmax(axis=-1) + 5])  # noqa: E731
        assert record_video(follow, "Drawn-v0", tmp_path / "film.gif", member=1).stat().st_size > 0
        with pytest.raises(ValueError, match=r"member must be in 0\.\.1, got 2"):
            record_video(follow, "Drawn-v0", tmp_path / "film.gif", member=2)
        with pytest.raises(ValueError, match="env 'Drawn-v0' cannot be drawn: NotImplementedError"):
            record_video(follow, "Drawn-v0", tmp_path / "film.gif", draws=False)
    finally:
        del gymnasium.registry["Drawn-v0"]
    with pytest.raises(ValueError, match="env 'NoSuch-v0' cannot be made"):
        record_video(follow, "NoSuch-v0", tmp_path / "film.gif")


def test_flags_change_what_a_run_was_begun_with():
    names = ("evaluate_every", "episodes", "log_every", "save_every", "num_threads")
    flags = Namespace(**dict.fromkeys(names), quiet=True, tensorboard=False)
    flags.episodes = 3
    found = changed_schedule(flags, Schedule(), {"episodes": 7, "log_every": 11})
    assert (found.episodes, found.log_every, found.progress) == (3, 11, False)
    assert read_changes(["a=1", "b=x=y"], str) == {"a": "1", "b": "x=y"}
    with pytest.raises(ValueError, match="--set takes FIELD=VALUE, got 'gamma'"):
        read_changes(["gamma"], str)
