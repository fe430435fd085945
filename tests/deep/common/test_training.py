"""A training loop without environments: what it counts, logs and saves, and how it goes on."""

import json
import os
import re
import warnings

import pytest
import torch

from eluder.deep.common.networks import Parameters
from eluder.deep.common.training import Schedule, Training, part, read_run

ABOUT = {"agent": "counter", "env": "none", "config": {}}
SCHEDULE = Schedule(evaluate_every=4, log_every=2, save_every=3)


def count(out, steps, resume=False, stop=None, about=ABOUT):
    """Add the number of each step; stop as if killed before step `stop`."""
    sums = Parameters({"x": (1,)}, N=2)
    evaluated = []
    with Training(about, steps, (4, 5), "cpu", out, resume, SCHEDULE) as run:
        run.keep(sums=sums)
        for t in run:
            if t == stop:
                break
            sums.flat.detach().add_(t)
            run.metrics = {"sum": sums["x"].detach()[:, 0].clone()}
            evaluate, save = run.due(t)
            if evaluate:
                evaluated.append(t + 1)
            if save:
                run.save(t + 1)
    return sums.flat.tolist(), evaluated, run


def test_due_steps_and_resumption(tmp_path):
    whole, evaluated, run = count(tmp_path / "whole", 10)
    assert whole == [45.0, 45.0]
    assert evaluated == [4, 8, 10]
    assert run.N == 2
    count(tmp_path / "parts", 10, stop=8)
    parts, evaluated, run = count(tmp_path / "parts", 10, resume=True)
    assert (parts, evaluated, run.start) == (whole, [8, 10], 6)
    texts = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1]
    assert [json.loads(line)["step"] for line in texts[0].splitlines()] == [2, 2, 4, 4, 6, 6, 8, 8, 10, 10]
    assert read_run(tmp_path / "whole")["agent"] == "counter"


def test_tensor_operations_have_one_thread_while_a_run_lasts_or_as_many_as_are_wanted():
    before = torch.get_num_threads()
    for wanted, there in ((None, 1), (3, 3), (0, before)):
        schedule = Schedule() if wanted is None else Schedule(num_threads=wanted)
        with Training(ABOUT, 1, (0,), "cpu", None, False, schedule):
            assert torch.get_num_threads() == there
        assert torch.get_num_threads() == before


def test_a_busy_machine_is_warned_of(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for load in (2.9, 3.1):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Training(ABOUT, 1, (0,), "cpu", None, False, SCHEDULE)
        texts = [str(x.message) for x in caught]
        assert texts == ["load is 3.1 on 2 processors: training will be slow"] * (load > 3)


def test_progress_shows_steps_their_speed_and_the_time_that_is_left(capsys):
    with Training(ABOUT, 10, (0,), "cpu", None, False, Schedule(progress=True), stride=5) as run:
        run.keep()
        assert list(run) == [0, 5]
    first, *_, last = capsys.readouterr().err.strip().split("\r")
    assert "0/10 [00:00<?" in first
    assert re.search(r"10/10 \[00:00<00:00, .*step/s\]", last)


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert count(None, 5)[0] == [10.0, 10.0]
    assert not list(tmp_path.iterdir())


def test_bad_input(tmp_path):
    count(tmp_path / "run", 3)
    with pytest.raises(ValueError, match="holds a run already"):
        count(tmp_path / "run", 3)
    with pytest.raises(ValueError, match="holds another run: env is none, asked for other"):
        count(tmp_path / "run", 3, resume=True, about={**ABOUT, "env": "other"})
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out must be a folder, .* is a file"):
        count(tmp_path / "file", 3)
    with pytest.raises(ValueError, match=r"out cannot be written: .*file"):
        count(tmp_path / "file" / "inner", 3)
    with pytest.raises(ValueError, match=r"file holds no run: .*file.run.json is missing"):
        read_run(tmp_path / "file")
    for name, line in (("log.jsonl", '{"no": 1}'), ("log.jsonl", "garbage"), ("evaluations.csv", "x,1")):
        held = (tmp_path / "run" / name).read_text() if name == "log.jsonl" else ""
        (tmp_path / "run" / name).write_text(f"{line}\n")
        with pytest.raises(ValueError, match=rf"{name} is damaged: line 1 has no step"):
            count(tmp_path / "run", 5, resume=True)
        (tmp_path / "run" / name).write_text(held)
    with pytest.raises(ValueError, match=r"num_threads must be in \[0, 1024\], got 9999"):
        Schedule(num_threads=9999)
    with pytest.raises(ValueError, match="steps must be"):
        count(None, 0)
    with pytest.raises(ValueError, match="the checkpoint holds no networks"):
        part({"sums/x": torch.zeros(1)}, "networks")


def test_one_entry_that_is_not_finite_loses_a_seed():
    parameters = Parameters({"w0": (2, 3), "b0": (1, 3)}, 3)
    parameters["b0"].detach()[1, 0, 2] = torch.inf
    with Training(ABOUT, 1, (7, 8, 9), "cpu", None, False, Schedule()) as run:
        assert run.finite(parameters) == [True, False, True]
        with pytest.warns(RuntimeWarning, match=r"training of seeds \[8\] diverged: .* try a smaller lr"):
            run.warn_if_diverged(parameters)
        parameters["b0"].detach()[1, 0, 2] = 0.0
        run.warn_if_diverged(parameters)
