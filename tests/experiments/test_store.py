"""The store: whole cells or none, no mixing of studies, nothing unpickled."""

import json
import os
import shutil
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest

from eluder.experiments import consolidate, load, store
from eluder.experiments.study import cells, resolve
from tests.experiments.small import small

CONFIG = small().config()
CELL = cells(CONFIG)[0]
RECORD = {
    "k": np.array([1, 10, 300]),
    "regret": np.array([0.1, 1 / 3, 2.5e-17 + 7]),
    "sample_complexity": np.array([np.nan, 4.0]),
}
PROVENANCE = {"seconds": 0.25, "version": "0.1.0", "commit": "abc"}


def fill(out, config=CONFIG):
    store.request(out, config)
    for i, cell in enumerate(cells(config)):
        store.write_cell(out, cell, {**RECORD, "regret": RECORD["regret"] + i}, PROVENANCE)


def test_a_cell_comes_back_bit_for_bit(tmp_path):
    store.write_cell(tmp_path, CELL, RECORD, PROVENANCE)
    record, provenance = store.read_cell(tmp_path, CELL)
    assert provenance == PROVENANCE
    for name, x in RECORD.items():
        np.testing.assert_array_equal(record[name], x)
    path = store.cell_file(tmp_path, CELL)
    before = path.read_bytes()
    store.write_cell(tmp_path, CELL, RECORD, {**PROVENANCE, "seconds": 9.0})
    assert path.read_bytes() == before, "the numbers' file depends on how the cell ran"
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".json", ".npz"], "temporary files stay"


def test_cut_or_altered_cells_count_as_missing(tmp_path):
    store.write_cell(tmp_path, CELL, RECORD, PROVENANCE)
    path = store.cell_file(tmp_path, CELL)
    whole = path.read_bytes()
    at = whole.index(RECORD["regret"].tobytes())
    damaged = [whole[:n] for n in range(0, len(whole), 97)]
    damaged += [whole[: at + 3] + bytes([whole[at + 3] ^ 1]) + whole[at + 4 :], b"", b"no archive"]
    for data in damaged:
        path.write_bytes(data)
        with pytest.warns(UserWarning, match=f"{path.name} is not a finished cell, it counts as missing"):
            assert store.read_cell(tmp_path, CELL) is None


def test_a_cell_of_another_specification_counts_as_missing(tmp_path):
    other = {**CELL, "seed": 77}
    store.write_cell(tmp_path, other, RECORD, PROVENANCE)
    shutil.copy(store.cell_file(tmp_path, other), store.cell_file(tmp_path, CELL))
    with pytest.warns(UserWarning, match="it holds another cell"):
        assert store.read_cell(tmp_path, CELL) is None


def test_a_curve_of_another_budget_counts_as_missing(tmp_path):
    store.write_cell(tmp_path, CELL, {**RECORD, "k": np.array([1, 10, 299])}, PROVENANCE)
    with pytest.warns(UserWarning, match="its curve is not whole"):
        assert store.read_cell(tmp_path, CELL) is None


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a cell was unpickled",))

    path = store.cell_file(tmp_path, CELL)
    path.parent.mkdir()
    bomb = np.array([Bomb()], object)
    np.savez(path, k=bomb, regret=bomb, spec=bomb)
    with pytest.warns(UserWarning, match="not a finished cell"):
        assert store.read_cell(tmp_path, CELL) is None


def test_the_name_of_a_cell_depends_on_all_of_its_specification(tmp_path):
    changes = [
        {"study": "x"},
        {"seed": 1},
        {"budget": 9},
        {"epsilons": []},
        {"results": 0},
        {"problem": ["River", "river_swim", {"S": 5, "H": 5}]},
        {"algorithm": ["Hoeffding", "ucbvi", {"c": 0.03}]},
    ]
    names = {store.cell_file(tmp_path, {**CELL, **change}) for change in [{}, *changes]}
    assert len(names) == 1 + len(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 301}, "budget of River was 300, now 301"),
        ({"epsilons": ()}, r"epsilons was \[0.5, 0.01\], now \[\]"),
        ({"name": "other"}, "name was small, now other"),
        ({"algorithms": {"Hoeffding": ("ucbvi", {"c": 0.5})}}, r"\['Hoeffding'\]: c was 0.02, now 0.5"),
        ({"algorithms": {"Bernstein": ("ucbvi", {"c": 0.02})}}, "bonus was bernstein, now hoeffding"),
        ({"algorithms": {"Hoeffding": "tests.experiments.learners:sleepy"}}, "was ucbvi, now tests"),
        ({"problems": {"River": ("river_swim", {"S": 9, "H": 5})}}, r"\['River'\]: S was 4, now 9"),
    ],
)
def test_a_changed_study_is_refused(tmp_path, change, message):
    fill(tmp_path)
    with pytest.raises(ValueError, match=f"holds another study .*{message}"):
        store.request(tmp_path, resolve(small(**change)).config())
    assert len(list((tmp_path / "studies").iterdir())) == 1


def test_a_request_without_finished_cells_gives_way_to_a_corrected_one(tmp_path):
    store.request(tmp_path, CONFIG)
    corrected = small(algorithms={"Hoeffding": ("ucbvi", {"c": 0.5})}).config()
    store.request(tmp_path, corrected)
    assert load(tmp_path).config == corrected
    store.write_cell(tmp_path, cells(corrected)[4], RECORD, PROVENANCE)
    with pytest.raises(ValueError, match=r"c was 0.5, now 0.02"):
        store.request(tmp_path, CONFIG)
    assert load(tmp_path).config == corrected


def test_other_results_of_the_package_are_refused(tmp_path):
    fill(tmp_path)
    with pytest.raises(ValueError, match="results was 1, now 2"):
        store.request(tmp_path, {**CONFIG, "results": 2})


def test_a_study_can_grow(tmp_path):
    fill(tmp_path)
    more = small(seeds=5, algorithms={**small().algorithms, "Third": ("ucbvi", {"c": 3.0})})
    fill(tmp_path, more.config())
    store.request(tmp_path, small(seeds=1).config())  # less is no change either
    table = load(tmp_path)
    assert len(table.cells) == 2 * 3 * 5
    assert table.config == more.config()
    assert list(table.cells["algorithm"].unique()) == ["Hoeffding", "Bernstein", "Third"]


def test_of_two_studies_at_once_one_at_most_gets_the_directory(tmp_path, monkeypatch):
    """The other run may appear between the first look and the writing."""
    look, other = store.refuse_changes, small(budget=7).config()
    calls = []

    def late(out, config):
        calls.append(config)
        look(out, config)
        if len(calls) == 1:
            store.write_cell(out, cells(other)[0], RECORD, PROVENANCE)
            store.write(out / "studies" / "other.json", store.to_json(other))

    monkeypatch.setattr(store, "refuse_changes", late)
    with pytest.raises(ValueError, match="budget of River was 7"):
        store.request(tmp_path, CONFIG)
    assert [p.name for p in (tmp_path / "studies").iterdir()] == ["other.json"]


def test_readers_never_see_a_half_written_cell(tmp_path):
    store.write_cell(tmp_path, CELL, RECORD, PROVENANCE)

    def rewrite():
        for i in range(30):
            store.write_cell(tmp_path, CELL, RECORD, {**PROVENANCE, "seconds": i})

    writers = [threading.Thread(target=rewrite) for _ in range(2)]
    for writer in writers:
        writer.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while any(writer.is_alive() for writer in writers):
            assert store.read_cell(tmp_path, CELL) is not None


def test_the_table(tmp_path):
    fill(tmp_path)
    statement = {
        "exponent": 0.5,
        "statement": "s",
        "paper": "p",
        "setting": "e",
        "assumptions": "",
        "applies": True,
    }
    theory = {**statement, "k": [1, 300], "bound": [2.0, 50.0]}
    store.write(store.theory_file(tmp_path, "River", "Hoeffding"), store.to_json(theory))
    table = consolidate(tmp_path)
    assert table.cells[["problem", "algorithm", "seed"]].to_numpy().tolist() == [
        [c["problem"][0], c["algorithm"][0], c["seed"]] for c in cells(CONFIG)
    ]
    assert table.cells["regret"].tolist() == [RECORD["regret"][-1] + i for i in range(12)]
    assert table.cells["sample_complexity_0.01"].tolist() == [4.0] * 12
    assert table.cells["sample_complexity_0.5"].isna().all()
    assert len(table.curves) == 36
    assert table.guarantees.iloc[0].to_dict() == {"problem": "River", "algorithm": "Hoeffding", **statement}
    assert table.bounds["bound"].tolist() == [2.0, 50.0]
    assert table.config == CONFIG == json.loads((tmp_path / "config.json").read_text())
    for name, frame in (("table", table.cells), ("curves", table.curves)):
        read = pd.read_csv(tmp_path / f"{name}.csv")
        pd.testing.assert_frame_equal(read, frame, check_exact=True, check_dtype=False)
        read = pd.read_parquet(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(read, frame, check_exact=True)


def test_an_unfinished_study_has_a_table_too(tmp_path):
    store.request(tmp_path, CONFIG)
    table = consolidate(tmp_path)
    assert table.cells.empty
    assert table.curves.empty
    store.write_cell(tmp_path, CELL, RECORD, PROVENANCE)
    assert len(load(tmp_path).cells) == 1


def test_a_damaged_request_is_left_out_with_a_warning(tmp_path):
    fill(tmp_path)
    (tmp_path / "studies" / "x.json").write_text("[1, 2")
    (tmp_path / "studies" / "y.json").write_text("[1, 2]")
    with pytest.warns(UserWarning, match=r"[xy]\.json is not a study"):
        assert len(load(tmp_path).cells) == 12


@pytest.mark.parametrize(
    ("record", "provenance", "message"),
    [
        ({"regret": np.full(3, np.nan)}, {}, "its regret is not finite"),
        ({"sample_complexity": np.ones(3)}, {}, "not those asked for"),
        ({}, {"seconds": None}, "counts as missing"),
        ({}, {"seconds": "long"}, "counts as missing"),
    ],
)
def test_a_cell_with_wrong_content_counts_as_missing(tmp_path, record, provenance, message):
    store.write_cell(tmp_path, CELL, {**RECORD, **record}, {**PROVENANCE, **provenance})
    with pytest.warns(UserWarning, match=message):
        assert store.read_cell(tmp_path, CELL) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"k": []'])
def test_a_damaged_theory_is_left_out_with_a_warning(tmp_path, text):
    fill(tmp_path)
    store.write(store.theory_file(tmp_path, "River", "Hoeffding"), text.encode())
    with pytest.warns(UserWarning, match="it is left out"):
        assert load(tmp_path).guarantees.empty


def test_only_old_leftovers_are_swept(tmp_path):
    """A run that was killed in the middle of a write leaves a file that no other run may be writing."""
    folder = tmp_path / "cells"
    folder.mkdir()
    for name, age in (("old", 2 * store.DAY), ("new", 60.0)):
        path = folder / f".{name}-x.tmp"
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    store.sweep(tmp_path)
    assert [p.name for p in folder.iterdir()] == [".new-x.tmp"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is gone")))
    with pytest.raises(OSError, match="disk is gone"):
        store.write(tmp_path / "a.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_study(tmp_path):
    with pytest.raises(ValueError, match="holds no study"):
        load(tmp_path)
