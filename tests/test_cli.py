"""The command line: what it prints, what it refuses, and that refusing is one line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eluder
from eluder.cli import literal, main
from eluder.experiments import load
from eluder.experiments.catalogue import algorithms
from tests.experiments.small import fingerprints

STUDY = """
problems = {"River": ("river_swim", {"S": 4, "H": 5})}
algorithms = {"U (c=0.02)": ("ucbvi", {"c": 0.02}), "Q": "ucb_q_learning"}
seeds = 2
budget = 100
epsilons = (0.5,)
"""

FOLDER = Path(eluder.__file__).parent / "experiments" / "studies"
STUDIES = "".join(f"{p.stem}\n" for p in sorted(FOLDER.glob("[!_]*.py")))


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(STUDY)
    return path


def go(capsys, *words):
    """Run the command; return its exit code, stdout and stderr."""
    try:
        code = main([str(word) for word in words])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_help_imports_nothing_heavy():
    code = """
import sys
from eluder.cli import main
try:
    main(["run", "--help"])
except SystemExit:
    pass
heavy = {"numpy", "numba", "pandas", "scipy", "matplotlib", "gymnasium", "torch"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: eluder run" in done.stdout


def test_run_prints_the_summary_and_leaves_the_files(study, tmp_path, capsys):
    out = tmp_path / "out"
    code, text, errors = go(capsys, "run", study, "--out", out)
    assert code == 0
    assert "River (2 runs" in text
    assert "U (c=0.02)" in text
    assert "4/4" in errors, "no progress bar"
    assert {"table.csv", "curves.csv", "config.json", "regret.png", "report.html"} <= {
        p.name for p in out.iterdir()
    }
    assert load(out).config["name"] == "mine"


def test_run_is_the_library(study, tmp_path, capsys):
    go(capsys, "run", study, "--out", tmp_path / "one", "--no-report", "--quiet")
    eluder.experiments.run(study, out=tmp_path / "two", progress=False)
    assert fingerprints(tmp_path / "one") == fingerprints(tmp_path / "two")


def test_flags_win_over_the_file_and_the_file_over_the_study(study, tmp_path, capsys):
    changes = tmp_path / "changes.toml"
    changes.write_text("seeds = 3\nbudget = 50\n[ucbvi]\nc = 0.1\ndelta = 0.2\n[River]\nS = 5\n")
    words = ["--config", changes, "--seeds", 1, "--set", "ucbvi.c=0.3", "--set", "Q.bonus=bernstein"]
    code, _, errors = go(capsys, "run", study, "--out", tmp_path / "out", "--no-report", "--quiet", *words)
    assert code == 0, errors
    config = load(tmp_path / "out").config
    assert config["seeds"] == 1
    assert config["budget"] == {"River": 50}
    assert config["problems"]["River"][1]["S"] == 5
    assert config["algorithms"]["U (c=0.3)"][1] == {
        "bonus": "hoeffding", "stationary": False, "delta": 0.2, "c": 0.3,
    }  # fmt: skip
    assert config["algorithms"]["Q"][1]["bonus"] == "bernstein"


def test_labels_that_hold_an_equals_sign_can_be_set(study, tmp_path, capsys):
    words = ["run", study, "--out", tmp_path / "out", "--no-report", "--quiet", "--set", "U (c=0.02).c=0.5"]
    assert go(capsys, *words)[0] == 0
    assert load(tmp_path / "out").config["algorithms"]["U (c=0.5)"][1]["c"] == 0.5


def test_functions_beside_the_study_and_its_score(tmp_path, monkeypatch, capsys):
    """An algorithm of the user's own stands next to the study file; it runs in processes."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    own = (Path(__file__).parent / "experiments" / "learners.py").read_text()
    (tmp_path / "my_learners_beside.py").write_text(own)
    text = STUDY.replace('"ucb_q_learning"', '("my_learners_beside:sleepy", {"seconds": 0.0})')
    (tmp_path / "mine.py").write_text(
        f"{text}\ndef score(cells): return cells.groupby('algorithm').regret.max()"
    )
    code, text, errors = go(capsys, "run", tmp_path / "mine.py", "--out", tmp_path / "out", "--quiet")
    assert code == 0, errors
    scores = load(tmp_path / "out").cells.groupby("algorithm").regret.max()
    assert text.endswith(f"{scores.to_string()}\n")


def test_shards_and_no_resume(study, tmp_path, capsys):
    out = tmp_path / "out"
    for i in range(2):
        assert go(capsys, "run", study, "--out", out, "--no-report", "--quiet", "--shard", f"{i}/2")[0] == 0
        assert len(load(out).cells) == 2 * (i + 1)
    before = fingerprints(out)
    assert go(capsys, "run", study, "--out", out, "--no-report", "--quiet", "--no-resume")[0] == 0
    assert fingerprints(out) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "quickstrt"], "unknown study 'quickstrt', did you mean 'quickstart'? Valid: "),
        (["run", "nowhere.py"], "there is no file nowhere.py"),
        (
            ["run", "STUDY", "--set", "ucbvi.cc=1"],
            "'cc', did you mean 'c'? Valid: bonus, stationary, delta, c",
        ),
        (["run", "STUDY", "--set", "ucb.c=1"], "unknown problem or algorithm 'ucb'"),
        (["run", "STUDY", "--set", "c=1"], "--set takes NAME.PARAM=VALUE, got 'c=1'"),
        (["run", "STUDY", "--set", "ucbvi.c=-1"], "c must be in [0, inf"),
        (["run", "STUDY", "--set", "ucbvi.c=big"], "c must be of type float, got 'big'"),
        (["run", "STUDY", "--set", "ucbvi.bonus=none"], "bonus must be one of 'hoeffding', 'bernstein'"),
        (["run", "STUDY", "--seeds", "0"], "seeds must be at least 1"),
        (["run", "STUDY", "--budget", "0"], "budget of River must be at least 1"),
        (["run", "STUDY", "--seeds", "x"], "invalid int value: 'x'"),
        (["run", "STUDY", "--jobs", "0"], "jobs must be at least 1"),
        (["run", "STUDY", "--shard", "2/2"], "shard's i must be in [0, 1]"),
        (["run", "STUDY", "--shard", "two"], "must look like 0/8"),
        (["run", "STUDY", "--executor", "cloud"], "executor must be threads, processes or dask:"),
        (["run", "STUDY", "--config", "BAD"], "unknown key in bad.toml: 'seed', did you mean 'seeds'?"),
        (["run", "STUDY", "--config", "nowhere.toml"], "nowhere.toml"),
        (["run", "STUDY", "--seed", "3"], "unrecognized arguments: --seed 3"),
        (["solve", "river_swim", "--s", "6", "--H", "3"], "unknown option for river_swim: 's'"),
        (["run", "STUDY", "--sed", "3"], "unrecognized arguments: --sed 3"),
        (["run"], "the following arguments are required: study"),
        (["fly"], "invalid choice: 'fly'"),
        (["report", "nowhere"], "nowhere holds no study"),
        (["solve", "rivr_swim"], "unknown problem 'rivr_swim', did you mean 'river_swim'?"),
        (["solve", "river_swim"], "give H (episodic) or gamma"),
        (["solve", "river_swim", "--gama", ".9"], "'gama', did you mean 'gamma'?"),
        (["solve", "river_swim", "--gamma"], "options of solve look like --name value, got '--gamma'"),
        (["solve", "river_swim", "--gamma", "2"], "gamma must be in [0, 1]"),
        (["solve", "river_swim", "--gamma", "0.9", "--method", "guess"], "unknown method 'guess'"),
        (["solve", "river_swim", "--gamma", "0.9", "--method", "backward_induction"], "needs EpisodicMDP"),
        (["solve", "Nothing-v1", "--gamma", "0.9"], "gymnasium.make"),
        (["solve", "CartPole-v1", "--gamma", "0.9"], "P"),
    ],
)
def test_errors_are_one_line(study, tmp_path, capsys, words, message):
    (tmp_path / "bad.toml").write_text("seed = 3")
    files = {"STUDY": study, "BAD": tmp_path / "bad.toml"}
    words = [files.get(word, word) for word in words]
    if words[0] == "run":
        words += ["--out", tmp_path / "out"]
    code, text, errors = go(capsys, *words)
    lines = [line for line in errors.splitlines() if line.strip() and "cell/s" not in line]  # no bar
    assert code == 2
    assert text == ""
    assert len(lines) == 1, errors
    assert lines[0].startswith("eluder")
    assert message in lines[0]


def test_a_changed_study_is_refused_and_says_what_changed(study, tmp_path, capsys):
    words = ["run", study, "--out", tmp_path / "out", "--no-report", "--quiet"]
    assert go(capsys, *words)[0] == 0
    code, _, errors = go(capsys, *words, "--budget", 101)
    assert code == 2
    assert "holds another study (budget of River was 100, now 101)" in errors
    assert go(capsys, *words, "--set", "Q.c=0.5")[2].count("c was 1.0, now 0.5") == 1
    assert go(capsys, *words, "--seeds", 3)[0] == 0


def test_failed_cells_give_exit_code_1(study, tmp_path, capsys):
    study.write_text(STUDY.replace('"ucb_q_learning"', '"tests.experiments.learners:broken"'))
    words = ["run", study, "--out", tmp_path / "out", "--quiet", "--no-report", "--executor", "threads"]
    code, text, errors = go(capsys, *words)
    assert code == 1
    assert errors.count("FloatingPointError: value[99] is not finite") == 1
    assert "failed like one before" in errors
    last = "eluder: 2 of 4 cells failed: River / Q / seed 0; River / Q / seed 1; the same command"
    assert errors.splitlines()[-1].startswith(last)
    assert "U (c=0.02)" in text, "what did not fail is shown"


def test_list_names_every_algorithm_with_its_paper(capsys):
    code, text, _ = go(capsys, "list")
    assert code == 0
    listed = [line for line in text.splitlines() if line and line[0] != " "]
    assert listed == list(algorithms())
    assert "episodic regret" in text
    assert "Azar, Osband, Munos. Minimax regret bounds for reinforcement learning. ICML, 2017." in text
    assert "river_swim" in go(capsys, "list", "problems")[1]
    assert go(capsys, "list", "studies")[1] == STUDIES


def test_a_shard_without_cells_says_so(study, tmp_path, capsys):
    words = ["run", study, "--out", tmp_path / "out", "--quiet", "--shard", "9/20"]
    code, text, _ = go(capsys, *words)
    assert code == 0
    assert text == f"{tmp_path / 'out'} has no finished cell yet: shard 9/20 holds none\n"


def test_budgets_by_problem_in_a_file_of_changes(study, tmp_path, capsys):
    (tmp_path / "changes.toml").write_text("[budget]\nRiver = 40\n")
    words = ["--out", tmp_path / "out", "--no-report", "--quiet", "--config", tmp_path / "changes.toml"]
    assert go(capsys, "run", study, *words)[0] == 0
    assert load(tmp_path / "out").config["budget"] == {"River": 40}


def test_two_problems_give_a_profile(study, tmp_path, capsys):
    two = STUDY.replace("}\nalg", ', "Lake": ("gymnasium", {"id": "FrozenLake-v1", "H": 5})}\nalg', 1)
    study.write_text(two)
    code, text, errors = go(capsys, "run", study, "--out", tmp_path / "out", "--quiet")
    assert code == 0, errors
    assert "profile.png" in text
    assert (tmp_path / "out" / "profile.png").read_bytes()[:4] == b"\x89PNG"


def test_labels_that_the_terminal_cannot_write(study, tmp_path):
    study.write_text(STUDY.replace('"Q"', '"Q\u00e9"'), encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "eluder.cli",
        "run",
        study,
        "--out",
        tmp_path / "out",
        "--quiet",
        "--no-report",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Q\\xe9" in done.stdout


def test_report_of_a_finished_run(study, tmp_path, capsys):
    out = tmp_path / "out"
    go(capsys, "run", study, "--out", out, "--quiet", "--no-report")
    assert not (out / "report.html").exists()
    code, text, _ = go(capsys, "report", out)
    assert code == 0
    assert "River (2 runs" in text
    assert (out / "report.html").exists()
    assert (out / "regret.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["FrozenLake-v1", "--gamma", "0.99"], 0.542026),
        (["FrozenLake-v1", "--gamma", "0.9", "--is_slippery", "false"], 0.9**5),
        (["river_swim", "--S", "2", "--gamma=0", "--method", "value_iteration", "--tol", "1e-9"], 0.005),
        (["river_swim", "--S", "6", "--H", "1"], 0.005),
        (["garnet", "--S", "5", "--A", "2", "--branching", "2", "--gamma", "0.5", "--seed", "3"], None),
    ],
)
def test_solve(capsys, tmp_path, words, value):
    code, text, errors = go(capsys, "solve", *words, "--save", tmp_path / "plan.npz")
    assert code == 0, errors
    assert "converged" in text
    printed = next(float(x.split()[-1]) for x in text.splitlines() if x.startswith("value from mu"))
    if value is not None:
        assert printed == pytest.approx(value, abs=1e-6)
    saved = np.load(tmp_path / "plan.npz")
    rows = [line.split() for line in text.splitlines()[4:]]
    V, pi = (x if x.ndim == 1 else x[0] for x in (saved["V"], saved["pi"]))
    np.testing.assert_allclose([float(row[1]) for row in rows], V, rtol=1e-9)
    assert [int(row[2]) for row in rows] == pi.tolist()


def test_solve_average_reward(capsys):
    """River with two states: stay right with probability .6 there, come back with .6."""
    code, text, errors = go(capsys, "solve", "river_swim", "--S", "2", "--gamma", "1.0")
    assert code == 0, errors
    assert "gain 0.6" in text  # rewards 0 and 1, both states move right or stay with .6: stationary .4, .6


def test_solve_gives_the_same_seed_the_same_instance(capsys):
    words = ["solve", "garnet", "--S", "5", "--A", "2", "--branching", "2", "--gamma", "0.5"]
    assert go(capsys, *words, "--seed", 1) == go(capsys, *words, "--seed", 1)
    assert go(capsys, *words, "--seed", 1)[1] != go(capsys, *words, "--seed", 2)[1]


def test_solve_cuts_long_tables(capsys):
    _, text, _ = go(capsys, "solve", "Taxi-v4", "--gamma", "0.9")
    assert "... 461 more states" in text
    assert "S = 501, A = 6" in text


def test_doctor(capsys, monkeypatch, tmp_path):
    code, text, _ = go(capsys, "doctor")
    assert code == 0
    for word in (eluder.__version__, "numba", "cpus", "cache", "writable", "torch", "opengl"):
        assert word in text
    monkeypatch.setattr("eluder.core._cache.cache_dir", lambda: None)
    assert "no place for one" in go(capsys, "doctor")[1]
    (tmp_path / "file").touch()
    monkeypatch.setattr("eluder.core._cache.cache_dir", lambda: tmp_path / "file" / "kernels")
    assert "not writable" in go(capsys, "doctor")[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("abc", "abc"),
        ("[1, 2]", [1, 2]),
        ('"1"', "1"),
    ],
)
def test_literal(text, value):
    assert literal(text) == value
    assert type(literal(text)) is type(value)


def test_the_command_is_installed():
    done = subprocess.run(
        [Path(sys.executable).parent / "eluder", "list", "studies"], capture_output=True, text=True
    )
    assert done.stdout == STUDIES, done.stderr
