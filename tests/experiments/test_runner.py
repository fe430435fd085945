"""The runner: a cell gives the same bits everywhere, and a killed study goes on where it was."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eluder.core.guarantees import guarantee
from eluder.experiments import FailedCells, load, regret, run, store
from eluder.experiments.runner import run_cell
from eluder.experiments.study import build, cells, entropy, resolve
from eluder.tabular.exploration import ucbvi
from tests.experiments.small import fingerprints, numbers, small

ROOT = Path(__file__).resolve().parents[2]
SLEEPY = """
problems = {"River": ("river_swim", {"S": 4, "H": 5})}
algorithms = {label: ("tests.experiments.learners:sleepy", {"seconds": 0.08}) for label in "AB"}
budget = 50
seeds = 12
name = "sleepy"
"""


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The small study, one cell at a time: what all other ways are compared with."""
    out = tmp_path_factory.mktemp("serial")
    return out, run(small(), out=out, jobs=1, progress=False)


def command(*words, **options):
    """Start the command line in a process group of its own, which Ctrl-C ends even where tests ignore it."""
    return subprocess.Popen(
        [sys.executable, "-m", "eluder.cli", *map(str, words)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def run_sleepy(out, *words):
    study = out.parent / "sleepy.py"
    study.write_text(SLEEPY)
    return command("run", study, "--out", out, "--quiet", "--no-report", *words)


def until(condition, process=None, seconds=60):
    """Wait for a condition; `process` must not end before."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def finished(out):
    return {p.name: p.stat().st_mtime_ns for p in (out / "cells").glob("*.npz")}


def test_a_cell_is_what_the_library_gives_by_hand(serial):
    """No hidden state: the documented recipe repeats a stored curve exactly."""
    _, table = serial
    row = table.cells[(table.cells.problem == "Garnet") & (table.cells.algorithm == "Bernstein")].iloc[2]
    mdp = build("garnet", {"S": 5, "A": 2, "branching": 2, "H": 4, "seed": 0})
    rng = np.random.default_rng(int(row.entropy, 16))
    curve = regret(ucbvi(mdp, 300, bonus="bernstein", c=0.02, rng=rng), mdp)
    stored = table.curves.merge(row[["problem", "algorithm", "seed"]].to_frame().T)
    assert stored["regret"].tolist() == curve[stored["k"].to_numpy(int) - 1].tolist()
    assert row.regret == curve[-1]
    config = resolve(small()).config()
    assert table.cells["entropy"].tolist() == [hex(entropy(cell)) for cell in cells(config)]


def test_repetitions_differ(serial):
    _, table = serial
    assert table.cells["regret"].nunique() == len(table.cells) == 12


def test_one_cell_alone_gives_the_same(serial):
    out, _ = serial
    for cell in cells(resolve(small()).config())[::5]:
        record, _ = run_cell(cell)
        stored, _ = store.read_cell(out, cell)
        for name, x in record.items():
            np.testing.assert_array_equal(x, stored[name])


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_all_executors_give_the_same_bytes(serial, tmp_path, executor):
    out, table = serial
    other = run(small(), out=tmp_path, jobs=2, executor=executor, progress=False)
    assert fingerprints(tmp_path) == fingerprints(out)
    pd.testing.assert_frame_equal(numbers(other), numbers(table), check_exact=True)
    pd.testing.assert_frame_equal(other.guarantees, table.guarantees)
    assert (tmp_path / "curves.csv").read_bytes() == (out / "curves.csv").read_bytes()


def test_any_executor_will_do(serial, tmp_path):
    class Lazy(Executor):
        """Runs in the thread that asks."""

        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    run(small(), out=tmp_path, executor=Lazy(), progress=False)
    assert fingerprints(tmp_path) == fingerprints(serial[0])
    with ThreadPoolExecutor(1) as pool:
        run(small(seeds=4), out=tmp_path, executor=pool, progress=False)
        assert pool.submit(int).result() == 0, "an executor of the caller's was shut down"


def test_shards_share_the_work(serial, tmp_path):
    sizes = []
    for i in range(3):
        sizes.append(len(run(small(), out=tmp_path, shard=(i, 3), progress=False).cells))
    assert sizes == [4, 8, 12]
    assert fingerprints(tmp_path) == fingerprints(serial[0])


def test_only_what_is_missing_runs(serial, tmp_path):
    run(small(seeds=2), out=tmp_path, progress=False)
    before = finished(tmp_path)
    lost = sorted(before)[0]
    (tmp_path / "cells" / lost).unlink()
    run(small(), out=tmp_path, progress=False)
    after = finished(tmp_path)
    assert {n for n in before if before[n] == after[n]} == set(before) - {lost}
    assert fingerprints(tmp_path) == fingerprints(serial[0])
    run(small(), out=tmp_path, progress=False, resume=False)
    assert not set(after.items()) & set(finished(tmp_path).items())
    assert fingerprints(tmp_path) == fingerprints(serial[0])


def test_a_truncated_cell_runs_again(serial, tmp_path):
    run(small(), out=tmp_path, progress=False)
    path = sorted((tmp_path / "cells").glob("*.npz"))[3]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=path.name):
        run(small(), out=tmp_path, progress=False)
    assert fingerprints(tmp_path) == fingerprints(serial[0])


def test_kill_and_resume_equals_an_undisturbed_run(tmp_path):
    out, whole = tmp_path / "killed", tmp_path / "whole"
    first = run_sleepy(out, "--jobs", 1, "--executor", "threads")
    until(lambda: len(finished(out)) >= 3, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = finished(out)
    assert 3 <= len(before) < 24
    again = run_sleepy(out)
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    after = finished(out)
    assert before.items() <= after.items(), "a finished cell ran again"
    assert len(after) == 24
    undisturbed = run_sleepy(whole, "--executor", "threads", "--jobs", 2)
    undisturbed.communicate(timeout=120)
    assert fingerprints(out) == fingerprints(whole)
    assert (out / "curves.csv").read_bytes() == (whole / "curves.csv").read_bytes()
    assert (out / "config.json").read_bytes() == (whole / "config.json").read_bytes()
    pd.testing.assert_frame_equal(numbers(load(out)), numbers(load(whole)), check_exact=True)


def test_workers_do_not_outlive_a_killed_run(tmp_path):
    out = tmp_path / "out"
    parent = run_sleepy(out, "--jobs", 2, "--executor", "processes", "--seeds", 500)
    until(lambda: len(finished(out)) >= 1, parent)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert len(children) >= 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()  # not for the end of its output, which a worker that lives on would hold open
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), seconds=20)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_ctrl_c_keeps_finished_cells_and_is_quiet(tmp_path, executor):
    out = tmp_path / "out"
    process = run_sleepy(out, "--executor", executor, "--jobs", 2, "--seeds", 500)
    until(lambda: len(finished(out)) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; finished cells are kept" in errors
    assert "Traceback" not in errors
    assert len(load(out).cells) >= 2


def test_two_runs_in_one_directory_do_not_disturb_each_other(tmp_path):
    out, alone = tmp_path / "both", tmp_path / "alone"
    both = [run_sleepy(out, "--executor", "threads", "--jobs", 2) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    run_sleepy(alone, "--executor", "threads").communicate(timeout=120)
    assert fingerprints(out) == fingerprints(alone)
    assert not list(out.rglob("*.tmp"))
    pd.testing.assert_frame_equal(numbers(load(out)), numbers(load(alone)), check_exact=True)


def test_a_failing_cell_is_named_and_the_others_go_on(tmp_path, capfd):
    flag = tmp_path / "flag"
    flag.touch()
    algorithms = {
        "Fragile": ("tests.experiments.learners:fragile", {"flag": str(flag)}),
        "Sound": ("tests.experiments.learners:sleepy", {"seconds": 0.0}),
    }
    study = small(algorithms=algorithms, epsilons=(), seeds=4)
    with pytest.raises(FailedCells, match=r"of 16 cells failed: .* / Fragile / seed \d"):
        run(study, out=tmp_path / "out", executor="threads", progress=False)
    errors = capfd.readouterr().err
    assert "ZeroDivisionError: this learner divides by zero" in errors
    assert "River / Fragile / seed" in errors
    table = load(tmp_path / "out")
    assert (table.cells["algorithm"] == "Sound").sum() == 8
    assert 0 < (table.cells["algorithm"] == "Fragile").sum() < 8
    flag.unlink()
    assert len(run(study, out=tmp_path / "out", executor="threads", progress=False).cells) == 16


def test_nan_is_a_failure_not_a_number(tmp_path, capfd):
    study = small(algorithms={"NaN": "tests.experiments.learners:broken"}, seeds=1)
    with pytest.raises(FailedCells, match="2 of 2 cells failed"):
        run(study, out=tmp_path, executor="threads", progress=False)
    assert "value[299] is not finite" in capfd.readouterr().err
    assert load(tmp_path).cells.empty


def test_a_dying_worker_is_reported_in_one_line(tmp_path):
    study = tmp_path / "deadly.py"
    study.write_text(SLEEPY.replace('sleepy", {"seconds": 0.08}', 'deadly", {}'))
    process = command("run", study, "--out", tmp_path / "out", "--quiet", "--executor", "processes")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker died" in errors
    assert "Traceback" not in errors


def test_theory_is_stored_with_the_numbers(serial):
    _, table = serial
    declared = guarantee(ucbvi, bonus="hoeffding", stationary=False)
    row = table.guarantees.iloc[0]
    assert (row.exponent, row.statement) == (declared.exponent, declared.statement)
    assert "arXiv:1703.05449" in row.paper
    assert not row.applies, "c = 0.02 is not the theorem's"


def test_the_bound_is_the_theorems(tmp_path):
    algorithms = {"Paper": ("ucbvi", {"stationary": True, "delta": 0.1})}
    table = run(small(algorithms=algorithms, seeds=1), out=tmp_path, progress=False)
    declared = guarantee(ucbvi, stationary=True)
    bounds = table.bounds[table.bounds.problem == "River"]
    assert bounds["bound"].tolist() == [declared.bound(S=4, A=2, H=5, K=k, delta=0.1) for k in bounds["k"]]
    assert bounds["k"].tolist() == table.curves[table.curves.problem == "River"]["k"].tolist()
    assert table.guarantees["applies"].all()
    assert (table.cells["regret"] < table.bounds.groupby("problem")["bound"].max().min()).all()


def test_average_reward(tmp_path):
    """UCRL2's budget is a number of steps; its bound needs the diameter."""
    study = small(
        problems={"River": ("river_swim", {"S": 4, "gamma": 1.0})}, algorithms={"UCRL2": "ucrl2"}, epsilons=()
    )
    table = run(study, out=tmp_path, progress=False)
    assert len(table.cells) == 3
    assert len(table.bounds) == len(table.curves) / 3
    assert table.guarantees["setting"].tolist() == ["average-reward regret"]


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda cells: cells["nothing"], "score: KeyError: 'nothing'; all cells are stored"),
        (lambda cells: 3, "score must return a DataFrame, got 3; all cells are stored"),
    ],
)
def test_a_score_that_fails_loses_nothing(tmp_path, score, message):
    with pytest.raises(ValueError, match=message):
        run(small(score=score), out=tmp_path, progress=False)
    assert len(pd.read_csv(tmp_path / "table.csv")) == 12


def test_a_full_disk_stops_the_run(serial, tmp_path, monkeypatch):
    """It is no failure of the cell, and the other cells need not run in vain."""
    tries = []

    def full(out, cell, *_):
        tries.append(cell)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_cell", full)
    with pytest.raises(OSError, match="No space left"):
        run(small(), out=tmp_path, jobs=1, progress=False)
    assert len(tries) == 1
    monkeypatch.undo()
    run(small(), out=tmp_path, progress=False)
    assert fingerprints(tmp_path) == fingerprints(serial[0])


def test_a_study_that_loses_its_directory_to_another_says_so(tmp_path, monkeypatch):
    """Nothing of it was finished when another study came: that one's table must not be mixed."""

    def other(todo, out, pool, bar):
        monkeypatch.undo()
        run(small(budget=7), out=out, progress=False)
        return []

    monkeypatch.setattr("eluder.experiments.runner._run_all", other)
    with pytest.raises(ValueError, match=r"holds another study .*budget of River was 7, now 300"):
        run(small(), out=tmp_path, progress=False)
    assert set(load(tmp_path).cells["budget"]) == {7}


def test_score_is_stored(tmp_path):
    def score(table):
        return table.groupby("algorithm")["regret"].mean()

    table = run(small(score=score), out=tmp_path, progress=False)
    stored = pd.read_csv(tmp_path / "score.csv", index_col="algorithm")["regret"]
    np.testing.assert_allclose(stored.to_numpy(), score(table.cells).to_numpy())


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, {"seeds": 0}, "seeds must be at least 1"),
        ({}, {"jobs": 0}, "jobs must be at least 1"),
        ({}, {"shard": (3, 3)}, r"shard's i must be in \[0, 2\]"),
        ({}, {"shard": (0, 0)}, "shard's n must be at least 1"),
        ({}, {"executor": "cloud"}, "executor must be threads, processes or dask:"),
        ({}, {"executor": 3}, "executor must have the method submit"),
        ({"problems": {"R": ("river_swim", {"S": 1, "H": 2})}}, {}, "R: S must be at least 2"),
        ({"algorithms": {"U": "os:getcwd"}}, {}, "U must take a problem, .* takes nothing"),
        ({"problems": {"R": ("river_swim", {"S": 3})}}, {}, "R: give H .* or gamma"),
        ({"problems": {"R": ("river_swim", {"gamma": 0.5})}}, {}, "Hoeffding needs EpisodicMDP, R is Disc"),
        ({"algorithms": {"U": ("ucbvi", {"c": -1.0})}}, {}, "River / U: c must be in"),
        (
            {"problems": {"R": ("river_swim", {"gamma": 1.0})}, "algorithms": {"U": "ucrl2"}},
            {},
            "mdp must be an EpisodicMDP",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, changes, arguments, message):
    with pytest.raises(ValueError, match=message):
        run(small(**changes), out=tmp_path / "out", progress=False, **arguments)
    assert not list(tmp_path.rglob("*.npz"))
    run(small(seeds=1, budget=2), out=tmp_path / "out", progress=False)  # no trace of the refused one


def test_dask_with_a_worker_killed_in_mid_sweep(tmp_path):
    """A scheduler and two workers on loopback; what is left equals a serial run byte for byte."""
    pytest.importorskip("distributed")
    from distributed import Client

    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    once = ["--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path)]
    study = small(
        algorithms={"A": ("tests.experiments.learners:sleepy", {"seconds": 0.1}), **small().algorithms},
        seeds=8,
    )
    scheduler = subprocess.Popen([*dask, "scheduler", "--port", "0", *local], **quiet)
    workers = [subprocess.Popen([*dask, "worker", *local, *once], **quiet) for _ in range(2)]
    killed = []

    class Watched(Executor):
        """Kills a worker once some cells are stored."""

        def __init__(self, executor):
            self.executor = executor

        def submit(self, fn, /, *args, **kwargs):
            future = self.executor.submit(fn, *args, **kwargs)
            future.add_done_callback(self.done)
            return future

        def done(self, _):
            if not killed and len(finished(tmp_path / "dask")) >= 4:
                workers[0].kill()
                killed.append(len(finished(tmp_path / "dask")))

    try:
        until(file.exists)
        with Client(scheduler_file=str(file), timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
            executor = Watched(client.get_executor(pure=False, retries=3))
            run(study, out=tmp_path / "dask", executor=executor, progress=False)
            address = client.scheduler.address
            run(small(seeds=1), out=tmp_path / "named", executor=f"dask:{address}", progress=False)
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
    assert killed
    assert killed[0] < 48
    run(study, out=tmp_path / "serial", executor="threads", jobs=1, progress=False)
    assert fingerprints(tmp_path / "dask") == fingerprints(tmp_path / "serial")
    assert len(fingerprints(tmp_path / "dask")) == 48
    assert len(fingerprints(tmp_path / "named")) == 4
