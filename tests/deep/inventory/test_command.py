"""``eluder train hdpo --setting NAME`` and ``eluder resume`` of it; the picture of a policy."""

import json

import numpy as np
import pytest

from eluder.cli import main
from eluder.deep.inventory import HDPOConfig, LevelPolicy, hdpo, plot_policy, reinforce
from eluder.deep.inventory.command import SHORT, resume, train
from eluder.envs.inventory import Poisson, setting

SMALL = ["--set", "batch_size=32", "--set", "periods=8", "--quiet"]


def run(*arguments):
    return main(["train", "hdpo", "--setting", "lost_sales", "--lead-time", "1", *arguments, *SMALL])


def test_train_prints_the_certified_gap_and_resume_goes_on(tmp_path, capsys):
    assert run("--penalty=4", "--steps", "20", "--seeds", "2", "--out", str(tmp_path / "run")) == 0
    text = capsys.readouterr().out
    assert "optimum: 4.04071117" in text
    config = HDPOConfig(batch_size=32, periods=8)
    given = setting("lost_sales", lead_time=1, penalty=4)
    whole = hdpo(given, 20, policy=LevelPolicy(), config=config, seeds=(0, 1))
    for seed in (0, 1):
        assert f"seed {seed}: gap {100 * whole.gap[seed]:.4f} % (exact, certified to" in text
    assert (tmp_path / "run" / "policy.png").stat().st_size > 5000
    held = json.loads((tmp_path / "run" / "run.json").read_text())
    assert held["setting"] == {"name": "lost_sales", "options": {"lead_time": 1, "penalty": 4}}
    assert held["config"]["policy"]["policy"] == "LevelPolicy"

    assert main(["resume", str(tmp_path / "run"), "--steps", "24", "--quiet"]) == 0
    assert "24          " in capsys.readouterr().out
    assert main(["resume", str(tmp_path / "run"), "--steps", "0", "--quiet"]) == 2
    assert "steps must be" in capsys.readouterr().err
    assert callable(train)
    assert callable(resume)


@pytest.mark.parametrize("name", SHORT)
def test_every_short_name_is_a_policy_that_trains(name, tmp_path, capsys):
    told = ["train", "hdpo", "--setting", "serial", "--policy", name, "--steps", "1", "--out", str(tmp_path)]
    quick = ["--set", "batch_size=4", "--set", "periods=3", "--set", "samples=2", "--set", "eval_warm_up=0"]
    assert main([*told, *quick, "--set", "eval_periods=2"]) == 0
    assert "cost per period and store" in capsys.readouterr().out
    kept = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert kept["config"]["policy"]["policy"] == SHORT[name]


def test_runs_of_other_trainers_go_on(tmp_path, capsys):
    here = ["--lead-time", "1", "--policy", "mlp", "--steps", "2", "--out", str(tmp_path), *SMALL]
    assert main(["train", "reinforce", "--setting", "lost_sales", *here]) == 0
    assert main(["resume", str(tmp_path), "--steps", "3", "--quiet"]) == 0
    assert "\n3          " in capsys.readouterr().out
    with pytest.raises(ValueError, match="holds another run: env is lost_sales"):
        reinforce(setting("lost_sales", lead_time=2), 3, out=tmp_path, resume=True)


def test_settings_of_ones_own_go_on_from_python_alone(tmp_path, capsys):
    given = setting("lost_sales", lead_time=1, penalty=4, demand=Poisson(3.0))
    config = HDPOConfig(batch_size=8, periods=4)
    hdpo(given, 3, policy=LevelPolicy(), config=config, out=tmp_path)
    assert main(["resume", str(tmp_path), "--quiet"]) == 2
    assert "is a setting of your own: resume it from Python" in capsys.readouterr().err
    again = hdpo(given, 5, policy=LevelPolicy(), config=config, out=tmp_path, resume=True)
    assert again.steps[-1] == 5
    other = setting("lost_sales", lead_time=1, penalty=4)
    with pytest.raises(ValueError, match="holds another run: env is lost_sales"):
        hdpo(other, 5, policy=LevelPolicy(), config=config, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "hdpo", "--setting", "lost"], "name must be one of"),
        (["train", "hdp", "--setting", "lost_sales"], "unknown trainer 'hdp', did you mean 'hdpo'?"),
        (["train", "hdpo", "--setting", "lost_sales", "--lead", "3"], "lost_sales has no option 'lead'"),
        (["train", "hdpo", "--setting", "lost_sales", "--policy", "tree"], "unknown policy 'tree'"),
        (
            ["train", "hdpo", "--setting", "lost_sales", "--policy", "QuantilePolicy"],
            "unknown policy",
        ),
        (["train", "hdpo", "--setting", "lost_sales", "--policy", "Policy"], "unknown policy 'Policy'"),
        (
            ["train", "hdpo", "--setting", "lost_sales", "--penalty", "0"],
            "penalty must be",
        ),
        (
            ["train", "reinforce", "--setting", "lost_sales", "--lead-time", "9"],
            "lead_time 9 and",
        ),
        (["train", "hdpo", "--setting", "lost_sales", "--set", "learning=1"], "has no field 'learning'"),
        (["train", "hdpo", "--setting", "lost_sales", "--steps", "0"], "steps must be"),
        (["train", "hdpo_on_data", "--setting", "lost_sales"], "unknown trainer 'hdpo_on_data'"),
        (["train", "sac", "--env", "Pendulum-v1"], "--steps is missing"),
    ],
)
def test_refused_in_one_line(tmp_path, capsys, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_what_is_too_large_for_a_picture_is_trained_without(tmp_path, capsys, monkeypatch):
    def refuse(*arguments):
        raise ValueError("policy reaches more than 1,000,000 states")

    monkeypatch.setattr("eluder.deep.inventory.command.plot_policy", refuse)
    monkeypatch.setattr("eluder.deep.inventory.command.bounded_offsets", lambda *arguments: [None])
    assert run("--penalty=4", "--steps", "2", "--out", str(tmp_path / "run")) == 0
    text = capsys.readouterr().out
    assert "no picture: policy reaches more than 1,000,000 states" in text
    assert "evaluations.csv, log.jsonl, checkpoints/" in text
    assert "% (by simulation)" in text


def test_pictures_refuse_what_they_cannot_show(tmp_path):
    config = HDPOConfig(batch_size=8, periods=4, samples=8, eval_periods=8, eval_warm_up=2)
    serial = setting("serial", locations=3)
    result = hdpo(serial, 2, config=config)
    with pytest.raises(ValueError, match="setting must be a single store with lost sales, got serial"):
        plot_policy(result, serial, tmp_path / "x.png")
    lost = setting("lost_sales", lead_time=1)
    with pytest.raises(ValueError, match=r"seed must be in \[0, 0\], got 1"):
        plot_policy(hdpo(lost, 2, policy=LevelPolicy(), config=config), lost, tmp_path / "x.png", seed=1)
    assert np.isfinite(result.gap).all()
