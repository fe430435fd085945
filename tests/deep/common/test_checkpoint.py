"""Checkpoints: what was saved comes back; killed, truncated and tampered ones are told from whole ones."""

import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import eluder.deep
from eluder.deep.common.checkpoint import checkpoints, fill, load_checkpoint, save_checkpoint

TENSORS = {
    "w": torch.arange(6.0).view(2, 3),
    "n": torch.tensor([2**62, -1]),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "mask": torch.tensor([True, False]),
}
STATE = {
    "step": 7,
    "rng": np.random.PCG64(3).state,
    "schedule": [0.1, {"a": None}],
    "name": "é",
    "nan": float("inf"),
}


def test_what_was_saved_comes_back(tmp_path):
    path = save_checkpoint(tmp_path / "run", 7, TENSORS, STATE)
    tensors, state = load_checkpoint(path)
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    for name, x in TENSORS.items():
        assert tensors[name].dtype == x.dtype
        assert torch.equal(tensors[name], x)


def test_tensors_that_share_memory_or_are_views_are_saved(tmp_path):
    flat = torch.arange(12.0)
    path = save_checkpoint(tmp_path, 0, {"flat": flat, "view": flat[3:9].view(2, 3).T}, {})
    tensors, _ = load_checkpoint(path)
    assert torch.equal(tensors["view"], flat[3:9].view(2, 3).T)


def test_only_the_last_ones_stay(tmp_path):
    for step in (5, 10, 15, 20):
        save_checkpoint(tmp_path, step, TENSORS, {"k": step}, keep=2)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-000000000015", "step-000000000020"]
    assert load_checkpoint(tmp_path)[1] == {"k": 20}
    save_checkpoint(tmp_path, 20, TENSORS, {"k": "again"})
    assert load_checkpoint(tmp_path)[1] == {"k": "again"}


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
def test_damage_is_named_and_the_one_before_is_usable(tmp_path, file, damage):
    save_checkpoint(tmp_path, 1, TENSORS, STATE)
    last = save_checkpoint(tmp_path, 2, TENSORS, STATE)
    data = bytearray((last / file).read_bytes())
    if damage == "gone":
        (last / file).unlink()
    else:
        data[len(data) // 2] ^= 1
        (last / file).write_bytes({"cut": data[:-5], "flip": data, "empty": b""}[damage])
    with pytest.raises(ValueError, match=rf"{file} (is|cannot).*; the one before it is .*step-000000000001"):
        load_checkpoint(tmp_path)
    assert load_checkpoint(checkpoints(tmp_path)[0])[1] == STATE


def test_a_forged_state_with_other_numbers_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, 1, TENSORS, {"alpha": 0.5})
    raw = json.loads((path / "state.json").read_text())
    raw["state"] = raw["state"].replace("0.5", "0.6")
    (path / "state.json").write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=r"state\.json is damaged: its digest does not fit$"):
        load_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    """Even where the digests have been made to fit."""

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    file = io.BytesIO()
    torch.save(Code(), file)
    for data in (pickle.dumps(Code()), file.getvalue()):
        path = save_checkpoint(tmp_path, 1, TENSORS, {})
        raw = json.loads((path / "state.json").read_text())
        head = {"format": raw["format"], "step": 1, "tensors": hashlib.sha256(data).hexdigest()}
        digest = hashlib.sha256((json.dumps(head) + raw["state"]).encode()).hexdigest()
        (path / "tensors.safetensors").write_bytes(data)
        (path / "state.json").write_text(json.dumps({**raw, **head, "digest": digest}))
        with pytest.raises(ValueError, match=r"tensors\.safetensors is damaged: Error"):
            load_checkpoint(path)
        assert not (tmp_path / "ran").exists()
    for source in Path(eluder.deep.__file__).parent.rglob("*.py"):
        assert not re.search(r"import pickle|torch\.load|allow_pickle|\beval\(|\bexec\(", source.read_text())


def test_another_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("eluder.deep.common.checkpoint.FORMAT", 99)
    path = save_checkpoint(tmp_path, 1, TENSORS, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format 99, this version reads 1"):
        load_checkpoint(path)


def test_killed_while_saving_leaves_a_whole_one(tmp_path):
    """kill -9 at any time; what is there loads, and the next save cleans up."""
    code = f"""
import torch
from eluder.deep.common.checkpoint import save_checkpoint
step = 0
while True:
    save_checkpoint({str(tmp_path)!r}, step, {{"w": torch.full((300_000,), float(step))}}, {{"step": step}})
    step += 1
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while len(checkpoints(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    process.kill()
    process.wait()
    tensors, state = load_checkpoint(tmp_path)
    assert (tensors["w"] == state["step"]).all()
    save_checkpoint(tmp_path, 10**9, TENSORS, {})
    assert not list(tmp_path.glob(".saving-*"))


def test_tensors_are_filled_all_or_none():
    ours = {"a": torch.zeros(2), "b": torch.zeros(())}
    with pytest.raises(ValueError, match=r"b must have shape \(\), the checkpoint has nothing"):
        fill(ours, {"a": torch.ones(2)})
    assert not ours["a"].any()
    fill(ours, {"a": torch.ones(2), "b": torch.tensor(3.0), "c": torch.ones(1)})
    assert (ours["a"].tolist(), ours["b"].item()) == ([1.0, 1.0], 3.0)


def test_refuses_what_is_not_plain(tmp_path):
    with pytest.raises(ValueError, match=r"tensors\['x'\] must be a Tensor, got ndarray"):
        save_checkpoint(tmp_path, 0, {"x": np.ones(2)}, {})
    with pytest.raises(ValueError, match="state must be plain data"):
        save_checkpoint(tmp_path, 0, {}, {"x": object()})
    with pytest.raises(ValueError, match="step must be at least 0"):
        save_checkpoint(tmp_path, -1, {}, {})
    with pytest.raises(ValueError, match="keep must be at least 1"):
        save_checkpoint(tmp_path, 0, {}, {}, keep=0)
    with pytest.raises(ValueError, match="no checkpoint in"):
        load_checkpoint(tmp_path / "nothing")
